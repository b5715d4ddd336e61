/* SPDX-License-Identifier: MIT
 *
 * The segments of a table built from locks: the rest of impl_lock.h, included by it. A global lock is taken once for
 * all frames.
 */

static enum mslot_err segment_claim(struct mslot_region *region, uint64_t start, uint64_t end,
				    const struct mslot_type *type,
				    void (*init_fn)(void *ctx, uint64_t paddr, void *meta), void *ctx,
				    struct mslot_segment *out)
{
	uint64_t step = UINT64_C(1) << table_of(region)->shift;
	enum mslot_err why = MSLOT_OK;

	for (uint64_t paddr = start; paddr < end; paddr += step) {
		struct mslot_frame *frame = claim(region, paddr, type, zeros, &why);
		if (!frame) {
			while (paddr > start) {
				paddr -= step;
				drop((struct mslot_frame *)find(table_of(region), paddr, NULL));
			}
			return why;
		}
		if (init_fn)
			init_fn(ctx, paddr, slot_of(frame)->meta);
	}
	*out = (struct mslot_segment){region, start, end};
	return MSLOT_OK;
}

static enum mslot_err segment_clone(const struct mslot_segment *segment, struct mslot_segment *out)
{
	struct table *table = table_of(segment->region);
	struct lock_slot *first = find(table, segment->start, NULL);
	uint64_t nr = (segment->end - segment->start) >> table->shift;

#if IMPL_PER_SLOT
	for (uint64_t i = 0; i < nr; i++)
		add(&first[i], 1, 0);
#else
	LOCK(&table->lock);
	for (uint64_t i = 0; i < nr; i++)
		first[i].ref_count++;
	UNLOCK(&table->lock);
#endif
	*out = *segment;
	return MSLOT_OK;
}

static void segment_drop(struct mslot_segment *segment)
{
	struct table *table = table_of(segment->region);
	struct lock_slot *first = find(table, segment->start, NULL);
	uint64_t nr = (segment->end - segment->start) >> table->shift;

#if IMPL_PER_SLOT
	for (uint64_t i = 0; i < nr; i++)
		drop((struct mslot_frame *)&first[i]);
#else
	LOCK(&table->lock);
	for (uint64_t i = 0; i < nr; i++) {
		if (first[i].ref_count == first[i].raw_count) {
			UNLOCK(&table->lock);
			over_drop(&first[i]);
		}
		if (--first[i].ref_count > 0)
			continue;
		release_last(&first[i]);
		LOCK(&table->lock);
	}
	UNLOCK(&table->lock);
#endif
	segment->start = segment->end = 0;
}
