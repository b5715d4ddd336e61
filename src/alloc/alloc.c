/* SPDX-License-Identifier: MIT
 *
 * Finds unused frames and claims them.
 *
 * Promises: what alloc.h says. Only a slot's own word decides whether its frame is free, and "none" is answered only
 *           after every slot was asked twice.
 * Needs:    cache.c and free_index.c for hints, slot.c for the moves, reclaim.c for backlog and grace periods.
 * Read:     mslot_alloc_frame() for the common case, find() for all others, find_by_slots() for why NO_MEMORY is exact.
 */
#include "alloc/cache.h"
#include "handle/handle.h"

#include <metaslot/alloc.h>

/* What a caller asked for, checked. */
struct request {
	struct mslot_region *region;
	const struct mslot_type *type;
	uint64_t nr_frames, align_frames;
	unsigned flags;
	unsigned node; /* or NODE_ANY */
};

static bool has_node(const struct mslot_region *region, unsigned node)
{
	for (unsigned i = 0; i < region->nr_ranges; i++)
		if (region->ranges[i].node == node)
			return true;
	return false;
}

static enum mslot_err request_check(const struct request *request, const struct mslot_alloc_options *options)
{
	const unsigned known = MSLOT_ALLOC_ZEROED | MSLOT_ALLOC_MAY_WAIT | MSLOT_ALLOC_ON_NODE;

	if (!request->region || !type_is_valid(request->type) || (options && options->flags & ~known) ||
	    (request->flags & MSLOT_ALLOC_ZEROED && !request->region->memory) || request->nr_frames == 0 ||
	    request->align_frames & (request->align_frames - 1) ||
	    (request->flags & MSLOT_ALLOC_ON_NODE && !has_node(request->region, request->node)))
		return MSLOT_INVALID;
	region_know_type(request->region, request->type);
	if (!type_is_immediate(request->type) && !reclaim_has_room(request->region))
		return reclaim_make_room(request->region);
	return MSLOT_OK;
}

/* ---- claiming what hints promise ---- */

static bool try_claim(struct mslot_region *region, struct slot *slot)
{
	uint64_t index = (uint64_t)(slot - region->slots);

	if (!region_is_touched(region, index))
		region_touch(region, index);
	return slot_try_claim(slot, slot_peek_state(slot));
}

/* Ascending, so that of two that collide one gets through; all or nothing. Gives how many could be claimed. */
static uint64_t try_claim_run(struct mslot_region *region, struct slot *slots, uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++)
		if (!try_claim(region, &slots[i])) {
			for (uint64_t claimed = i; claimed--;)
				slot_take_back(&slots[claimed]);
			return i;
		}
	return nr;
}

/* The bits of frames `from` to `to`, exclusive, that are in row `row`. */
static uint64_t row_mask(uint64_t row, uint64_t from, uint64_t to)
{
	uint64_t first = from > row * 64 ? from - row * 64 : 0, end = to < row * 64 + 64 ? to - row * 64 : 64;

	return UINT64_MAX >> (64 - (end - first)) << first;
}

/* One frame, out of the thread's own row, else of the index. Hints that are wrong are dropped: who holds such a frame
 * gives it back. */
static struct slot *find_frame(struct mslot_region *region, unsigned node)
{
	do
		for (struct slot *slot; (slot = cache_take(region));)
			if (LIKELY(slot_try_claim(slot, slot_peek_state(slot))))
				return slot;
	while (cache_refill(region, node));
	return NULL;
}

static struct slot *find_run(const struct request *request, struct free_index *index)
{
	struct mslot_region *region = request->region;
	uint64_t nr = request->nr_frames;

	for (uint64_t at = 0; free_index_find_run(index, nr, request->align_frames, &at);) {
		struct slot *slots = &region->slots[at];
		uint64_t claimed = try_claim_run(region, slots, nr), end = at + nr;

		if (claimed == nr) {
			for (uint64_t row = at / 64; row <= (end - 1) / 64; row++)
				free_index_take(index, row, row_mask(row, at, end));
			return slots;
		}
		at += claimed;
		free_index_take(index, at / 64, UINT64_C(1) << at % 64);
		/* It may just have become free, and have been given back before we took it. */
		if (state_of(slot_peek_state(&region->slots[at])) == STATE_UNUSED)
			free_index_give(index, at / 64, UINT64_C(1) << at % 64);
		at++;
	}
	return NULL;
}

static struct slot *find_by_hints(const struct request *request)
{
	struct mslot_region *region = request->region;
	bool is_one = request->nr_frames == 1 && request->align_frames == 1;
	struct range_walk walk;

	if (!cache_has_indexes(region))
		return NULL;
	if (is_one && cache_serves(region, request->node))
		return find_frame(region, request->node);
	/* What we remember ourselves is part of runs, too. */
	if (!is_one)
		cache_flush();
	walk = region_ranges(region, request->node);
	for (struct node_range *range; (range = region_next_range(region, &walk));) {
		struct slot *slots = find_run(request, range->hints);
		if (slots)
			return slots;
	}
	return NULL;
}

/* ---- asking the slots ---- */

/* What a pass over all slots has seen. */
struct pass {
	uint64_t generations; /* the sum: grows with each frame that becomes unused */
	uint64_t found;	      /* where a fitting run is, or was */
	bool has_found;
	bool has_retired;
};

/* Looks at the slots of a range; `run` unused ones lie just before it. */
static void pass_over_range(const struct request *request, const struct node_range *range, uint64_t *run,
			    struct pass *pass)
{
	struct mslot_region *region = request->region;
	bool has_index = cache_has_indexes(region);
	uint64_t unused = 0;

	for (uint64_t at = range->first; at < range->end; at++) {
		/* What was never claimed is unused, and not in memory. */
		uint64_t word = region_is_touched(region, at) ? slot_peek_state(&region->slots[at]) : 0;

		pass->generations += state_generation(word);
		pass->has_retired |= state_of(word) == STATE_RETIRED;
		if (state_of(word) == STATE_UNUSED) {
			unused |= UINT64_C(1) << at % 64;
			/* A run begins at a multiple of its alignment, or not yet. */
			*run += *run || at % request->align_frames == 0;
		} else {
			*run = 0;
		}
		if (*run == request->nr_frames && !pass->has_found) {
			pass->found = at + 1 - *run;
			pass->has_found = true;
		}
		if (at % 64 == 63 || at == range->end - 1) {
			if (has_index && unused & ~free_index_row(range->hints, at / 64))
				free_index_give(range->hints, at / 64, unused);
			unused = 0;
		}
	}
}

/* Looks at every slot that is wanted. Hints of unused ones are set right on the way. */
static struct pass pass_over(const struct request *request)
{
	struct mslot_region *region = request->region;
	struct pass pass = {0};
	uint64_t run = 0;

	for (unsigned i = 0; i < region->nr_ranges; i++)
		if (request->node == NODE_ANY || request->node == region->ranges[i].node)
			pass_over_range(request, &region->ranges[i], &run, &pass);
		else
			run = 0;
	return pass;
}

/*
 * The exact answer. Two passes that find nothing and add up to the same sum prove that there was none: a slot which was
 * not unused when the first pass looked, and has the same generation when the second does, was not unused at the moment
 * between the two. So the unused slots of that moment are among those that the first pass saw, and they held no fitting
 * run. Generations wrap after 131072 reuses of one frame: that many, all between two looks, would go unnoticed.
 */
static struct slot *find_by_slots(const struct request *request, bool *has_retired)
{
	struct mslot_region *region = request->region;

	for (;;) {
		struct pass before = pass_over(request), after;

		if (!before.has_found) {
			after = pass_over(request);
			*has_retired = before.has_retired | after.has_retired;
			if (!after.has_found && before.generations == after.generations)
				return NULL;
			before = after;
		}
		if (before.has_found) {
			struct slot *slots = &region->slots[before.found];

			if (try_claim_run(region, slots, request->nr_frames) == request->nr_frames)
				return slots;
		}
		/* Others were faster, or have given back: there may be more. */
		struct slot *slot = find_by_hints(request);
		if (slot)
			return slot;
	}
}

static NOINLINE struct slot *find(const struct request *request, enum mslot_err *err)
{
	struct mslot_region *region = request->region;
	struct slot *slot;

	*err = MSLOT_NO_MEMORY;
	if (request->nr_frames > region->nr_frames)
		return NULL;
	for (bool has_waited = false;; has_waited = true) {
		bool has_retired = false;

		slot = find_by_hints(request);
		if (!slot && cache_has_indexes(region)) {
			/* What others remember; and what we have retired, where its grace period is over. */
			cache_publish(region);
			reclaim_drain_own();
			slot = find_by_hints(request);
		}
		if (!slot)
			slot = find_by_slots(request, &has_retired);
		if (slot || has_waited || !has_retired || !(request->flags & MSLOT_ALLOC_MAY_WAIT))
			return slot;
		*err = mslot_barrier(region);
		if (*err)
			return NULL;
		*err = MSLOT_NO_MEMORY;
	}
}

/* ---- the calls ---- */

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

	*err = request_check(&request, options);
	if (*err)
		return NULL;
	slot = find(&request, err);
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

	HARDENED_REGISTERED("mslot_alloc_frame", NULL);
	slot = allocate_one(region, type, meta, options, why);
	if (slot)
		slot_publish(slot, slot_peek_state(slot));
	return slot_frame(slot);
}

FLATTEN struct mslot_frame *mslot_alloc_frame(struct mslot_region *region, const struct mslot_type *type,
					      const void *meta, const struct mslot_alloc_options *options,
					      enum mslot_err *why)
{
	struct slot *slot;

	if (UNLIKELY(!region_knows_type(region, type) || !meta || (options && options->flags) ||
		     !reclaim_is_registered()))
		return alloc_frame_slow(region, type, meta, options, why);
	slot = cache_take(region);
	if (UNLIKELY(!slot))
		return alloc_frame_slow(region, type, meta, options, why);
	uint64_t word = slot_peek_state(slot);
	if (UNLIKELY(!slot_try_claim(slot, word)))
		return alloc_frame_slow(region, type, meta, options, why);
	slot_fill_known(slot, type, meta);
	slot_set_type(slot, region_type_word(region, type));
	slot_publish(slot, word);
	return slot_frame(slot);
}

struct mslot_unique *mslot_alloc_unique(struct mslot_region *region, const struct mslot_type *type, const void *meta,
					const struct mslot_alloc_options *options, enum mslot_err *why)
{
	struct slot *slot;

	HARDENED_REGISTERED("mslot_alloc_unique", NULL);
	slot = allocate_one(region, type, meta, options, why);
	if (slot)
		slot_publish_unique(slot, slot_peek_state(slot));
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
