/* SPDX-License-Identifier: MIT
 *
 * The calls that allocate.
 *
 * Promises: what alloc.h says.
 * Needs:    find.c for the frames, reclaim.c for backlog and grace periods.
 * Read:     mslot_alloc_frame(), whose common case needs nothing but the thread's own row.
 */
#include "alloc/cache.h"
#include "alloc/find.h"
#include "handle/handle.h"

static bool has_node(const struct mslot_region *region, unsigned node)
{
	for (unsigned i = 0; i < region->nr_ranges; i++)
		if (region->ranges[i].node == node)
			return true;
	return false;
}

static enum mslot_err request_check(const struct request *request)
{
	const unsigned known = MSLOT_ALLOC_ZEROED | MSLOT_ALLOC_MAY_WAIT | MSLOT_ALLOC_ON_NODE;

	if (!request->region || request->flags & ~known ||
	    (request->flags & MSLOT_ALLOC_ZEROED && !request->region->memory) || request->nr_frames == 0 ||
	    request->align_frames & (request->align_frames - 1) ||
	    (request->flags & MSLOT_ALLOC_ON_NODE && !has_node(request->region, request->node)))
		return MSLOT_INVALID;
	return claim_prepare(request->region, request->type);
}

/* Claims a run, its metadata still to be written. */
static struct slot *allocate(struct mslot_region *region, uint64_t nr_frames, uint64_t align_frames,
			     const struct mslot_type *type, const struct mslot_alloc_options *options,
			     enum mslot_err *err)
{
	struct request request = {
		region, type, nr_frames, align_frames ? align_frames : 1, options ? options->flags : 0, NODE_ANY};
	struct slot *slot;

	if (request.flags & MSLOT_ALLOC_ON_NODE)
		request.node = options->node;

	*err = request_check(&request);
	if (*err)
		return NULL;
	slot = request_find(&request, err);
	/* Retired frames may be waiting for a grace period. */
	if (!slot)
		pace_hasten();
	if (slot && request.flags & MSLOT_ALLOC_ZEROED)
		memset(slot_memory(region, slot), 0, nr_frames << region->frame_shift);
	return slot;
}

/* Claims one, its metadata written. */
static struct slot *allocate_one(struct mslot_region *region, const struct mslot_type *type, const void *meta,
				 const struct mslot_alloc_options *options, enum mslot_err *why)
{
	enum mslot_err err;
	struct slot *slot = allocate(region, 1, 1, type, options, &err);

	if (slot)
		slot_fill(slot, type, meta);
	else
		why_set(why, err);
	return slot;
}

/* The general case: whatever the fast one below does not take. */
static NOINLINE struct mslot_frame *alloc_frame_slow(struct mslot_region *region, const struct mslot_type *type,
						     const void *meta, const struct mslot_alloc_options *options,
						     enum mslot_err *why)
{
	struct slot *slot;

	HARDENED_REGISTERED("mslot_alloc_frame", why_null(why, MSLOT_INVALID));
	slot = allocate_one(region, type, meta, options, why);
	if (slot)
		slot_publish(slot, slot_word(slot));
	return slot_frame(slot);
}

FLATTEN struct mslot_frame *mslot_alloc_frame(struct mslot_region *region, const struct mslot_type *type,
					      const void *meta, const struct mslot_alloc_options *options,
					      enum mslot_err *why)
{
	uintptr_t carried;
	struct slot *slot;
	uint64_t word, claimed;

	if (UNLIKELY(!region_knows_type(region, type, &carried) || !meta ||
		     (options && options->flags & ~MSLOT_ALLOC_MAY_WAIT) || !reclaim_allows_call()))
		return alloc_frame_slow(region, type, meta, options, why);
	if (UNLIKELY(!cache_first(region, &slot, &word) || !slot_claim_quick(slot, word, &claimed)))
		return alloc_frame_slow(region, type, meta, options, why);
	cache_take_first(slot);
	return publish_known(slot, type, carried, meta, claimed);
}

struct mslot_unique *mslot_alloc_unique(struct mslot_region *region, const struct mslot_type *type, const void *meta,
					const struct mslot_alloc_options *options, enum mslot_err *why)
{
	struct slot *slot;

	HARDENED_REGISTERED("mslot_alloc_unique", why_null(why, MSLOT_INVALID));
	slot = allocate_one(region, type, meta, options, why);
	if (slot)
		slot_publish_unique(slot, slot_word(slot));
	return slot_unique(slot);
}

enum mslot_err mslot_alloc_segment(struct mslot_region *region, uint64_t nr_frames, uint64_t align_frames,
				   const struct mslot_type *type,
				   void (*init_fn)(void *ctx, uint64_t paddr, void *meta), void *ctx,
				   const struct mslot_alloc_options *options, struct mslot_segment *out)
{
	enum mslot_err err;
	struct slot *slots;

	HARDENED_REGISTERED("mslot_alloc_segment", MSLOT_INVALID);
	if (!out)
		return MSLOT_INVALID;
	slots = allocate(region, nr_frames, align_frames, type, options, &err);
	if (!slots)
		return err;
	slots_publish(region, slots, nr_frames, type, init_fn, ctx);
	uint64_t start = slot_paddr(region, slots);
	*out = (struct mslot_segment){region, start, start + (nr_frames << region->frame_shift)};
	return MSLOT_OK;
}
