/* SPDX-License-Identifier: MIT
 *
 * Finds unused frames and claims them.
 *
 * Promises: only a slot's own word decides whether its frame is free. "None" is answered only if two passes over all
 *           slots, the hints (proof.c), or the region's count of unused frames (scarce.h) show that there is none.
 * Needs:    cache.c and free_index.c for hints, slot.c for the moves.
 * Read:     request_find() first, find_by_slots() for why NO_MEMORY is exact.
 */
#include "alloc/find.h"

#include "alloc/cache.h"
#include "alloc/proof.h"
#include "handle/handle.h"

/* Proofs that are tried before every slot is looked at: whoever moves hints meanwhile is done sooner than that. */
#define TRIES 2

/* ---- claiming what hints promise ---- */

static bool try_claim(struct mslot_region *region, struct slot *slot)
{
	uint64_t claimed;

	return claim_slot(region, slot, &claimed) == MSLOT_OK;
}

/* Ascending, so that of two that collide one gets through; all or nothing. Gives how many could be claimed. */
static uint64_t try_claim_run(struct mslot_region *region, struct slot *slots, uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++)
		if (!try_claim(region, &slots[i])) {
			for (uint64_t claimed = i; claimed--;)
				claim_undo(&slots[claimed]);
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

/* One frame, out of the thread's own row, else of the index. Hints that are wrong are dropped: whoever holds such a
 * frame gives it back. */
static struct slot *find_frame(struct mslot_region *region, unsigned node)
{
	struct slot *slot, *found = NULL;

	hints_move_begin();
	do
		for (uint64_t word; !found && cache_first(region, &slot, &word);) {
			if (LIKELY(try_claim(region, slot)))
				found = slot;
			else if (state_of(slot_word_acquire(slot)) == STATE_UNUSED)
				continue;
			/* What is claimed is dropped, too: its owner may be unique, and not want it found again. */
			cache_drop_first(slot);
		}
	while (!found && cache_refill(region, node));
	cache_end_call();
	hints_move_end();
	return found;
}

/* Claims the run that hints promise at *at. Where one of its frames is taken, drops the wrong hint, and moves *at past
 * it. */
static struct slot *claim_hinted_run(const struct request *request, uint64_t *at)
{
	struct mslot_region *region = request->region;
	struct slot *slots = &region->slots[*at];
	uint64_t nr = request->nr_frames, claimed = try_claim_run(region, slots, nr), end = *at + nr;

	if (claimed == nr) {
		for (uint64_t row = *at / 64; row <= (end - 1) / 64; row++)
			free_index_take(cache_index_of(region, row), row, row_mask(row, *at, end));
		return slots;
	}
	uint64_t taken = *at + claimed, row = taken / 64, bit = UINT64_C(1) << taken % 64;
	free_index_take(cache_index_of(region, row), row, bit);
	/* It may just have become free, and have been given back before we took it. */
	if (state_of(region_word(region, taken)) == STATE_UNUSED)
		free_index_give(cache_index_of(region, row), row, bit);
	*at = taken + 1;
	return NULL;
}

/* A run where that index finds one at once; or, without an index, wherever there is one. */
static struct slot *find_run(const struct request *request, struct free_index *index)
{
	uint64_t nr = request->nr_frames, align = request->align_frames, at = 0;
	struct slot *slots = NULL;

	hints_move_begin();
	while (!slots && (index ? free_index_find_run(index, nr, align, &at) : request_is_hinted(request, &at)))
		slots = claim_hinted_run(request, &at);
	hints_move_end();
	return slots;
}

static bool is_of_any_frame(const struct request *request)
{
	return request_is_single(request) && request->node == NODE_ANY;
}

static struct slot *find_by_hints(const struct request *request)
{
	struct mslot_region *region = request->region;
	struct range_walk walk;

	if (!cache_make_indexes(region))
		return NULL;
	if (request_is_single(request) && cache_serves(region, request->node))
		return find_frame(region, request->node);
	/* What we remember ourselves is part of runs, too. */
	if (!request_is_single(request))
		cache_flush();
	walk = range_walk_begin(region, request->node);
	for (struct node_range *range; (range = range_walk_next(region, &walk));) {
		struct slot *slots = find_run(request, range->hints);
		if (slots)
			return slots;
	}
	return request_is_single(request) ? NULL : find_run(request, NULL);
}

/* ---- asking the slots ---- */

/* What a pass over all slots has seen. */
struct pass {
	uint64_t generations; /* the sum: grows with each frame that becomes unused */
	uint64_t found;	      /* where a fitting run is, or was */
	uint64_t nr_moving;   /* neither unused nor shared nor holes: they may become unused unseen */
	uint64_t nr_unused;
	uint64_t nr_seen,
		nr_enough; /* slots, in whole rows; enough: as many again as before a run was found, and more */
	bool has_found;
	bool may_come; /* a fitting run is there once what is retired is unused */
};

/* The run that ends with this slot; 0 if it does not fit. It begins at a multiple of the alignment. */
static uint64_t run_on(const struct request *request, uint64_t run, uint64_t at, bool fits)
{
	return fits ? run + (run || at % request->align_frames == 0) : 0;
}

/* Lengths of the runs that fit, up to a slot. */
struct runs {
	uint64_t unused, soon; /* soon: of unused or retired slots */
};

/* Where there is a run, the rest need not be seen. But some more are, or each of many slots without hints would be
 * found by a pass of its own. */
static bool is_enough(const struct pass *pass)
{
	return pass->has_found && pass->nr_seen >= pass->nr_enough;
}

/* Looks at the slots of a range. May settle the region's count. */
static void pass_over_range(const struct request *request, const struct node_range *range, bool settles,
			    struct runs *runs, struct pass *pass)
{
	struct mslot_region *region = request->region;
	bool has_index = cache_make_indexes(region);
	uint64_t unused = 0;

	for (uint64_t at = range->first; at < range->end; at++) {
		uint64_t word = region_word(region, at);

		if (settles && state_of(word) == STATE_SHARED)
			word = grain_word(region_grain_byte(region, at), slot_call_attention(&region->slots[at]));
		pass->generations += state_generation(word);
		bool is_unused = state_of(word) == STATE_UNUSED;
		unused |= (uint64_t)is_unused << at % 64;
		pass->nr_unused += is_unused;
		pass->nr_moving += !is_unused && state_of(word) != STATE_SHARED && state_of(word) != STATE_HOLE;
		runs->unused = run_on(request, runs->unused, at, is_unused);
		runs->soon = run_on(request, runs->soon, at, is_unused || state_of(word) == STATE_RETIRED);
		pass->may_come |= runs->soon == request->nr_frames;
		if (runs->unused == request->nr_frames && !pass->has_found) {
			pass->found = at + 1 - request->nr_frames;
			pass->has_found = true;
			pass->nr_enough = 2 * pass->nr_seen + 4096;
		}
		if (at % 64 == 63 || at == range->end - 1) {
			if (has_index && unused & ~free_index_row(range->hints, at / 64)) {
				hints_move_begin();
				free_index_give(range->hints, at / 64, unused);
				hints_move_end();
			}
			unused = 0;
			pass->nr_seen += 64;
			if (is_enough(pass))
				return;
		}
	}
}

/* Looks at every slot that is wanted, if it finds no run. Hints of unused ones are set right on the way. */
static struct pass pass_over(const struct request *request, bool settles)
{
	struct mslot_region *region = request->region;
	struct pass pass = {0};
	struct runs runs = {0};

	for (unsigned i = 0; i < region->nr_ranges; i++)
		if (request_wants(request, &region->ranges[i]))
			pass_over_range(request, &region->ranges[i], settles, &runs, &pass);
		else
			runs = (struct runs){0};
	return pass;
}

/*
 * The exact answer. Two passes that find nothing and add up to the same sum prove that there was none: a slot which was
 * not unused when the first pass looked, and has the same generation when the second does, was not unused at the moment
 * between the two. So the unused slots of that moment are among those that the first pass saw, and they held no fitting
 * run. What is compared is a sum of generations, which wrap: reuses between two looks go unnoticed if there are 131072
 * of them for each generation that wraps meanwhile.
 *
 * A caller that may wait is refused only if not even retired slots would make a fitting run. The same argument holds of
 * unused and retired slots together, if both passes see as many unused: then none was claimed between them, and what
 * was retired at that moment is retired still. If a fitting run may come, gives NULL and sets *may_come.
 */
static struct slot *find_by_slots(const struct request *request, bool waits, bool *may_come)
{
	struct mslot_region *region = request->region;

	for (;;) {
		/* Only one of us settles; and a count says nothing of runs, nor of nodes, nor of retired frames. */
		uint64_t episode = !waits && is_of_any_frame(request) ? scarce_begin(region) : 0;
		struct pass before = pass_over(request, episode), after;

		if (episode && before.has_found)
			scarce_end(region, episode);
		else if (episode)
			scarce_settle(region, episode, before.nr_moving);
		if (!before.has_found) {
			*may_come = before.may_come;
			if (waits ? before.may_come : scarce_is_none(region))
				return NULL;
			after = pass_over(request, false);
			*may_come = after.may_come;
			if (!after.has_found && before.generations == after.generations &&
			    (!waits || after.may_come || before.nr_unused == after.nr_unused))
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

struct slot *request_find(const struct request *request, enum mslot_err *err)
{
	struct mslot_region *region = request->region;
	struct slot *slot;

	*err = MSLOT_NO_MEMORY;
	if (request->nr_frames > region->nr_frames)
		return NULL;
	for (bool waits = request->flags & MSLOT_ALLOC_MAY_WAIT, has_waited = false;;) {
		bool may_come = false, may_prove = !waits && region_hints_stage(region) == HINTS_MADE;

		/* The count is of unused frames; a caller that waits must see the retired ones, too. */
		if (scarce_is_none(region) && !waits)
			return NULL;
		slot = find_by_hints(request);
		for (unsigned tries = may_prove ? TRIES : 1; !slot && region_has_hints(region) && tries; tries--) {
			/* What we have retired, where its grace period is over; and what others remember. */
			reclaim_drain_own();
			if (may_prove && hints_prove_none(request))
				return NULL;
			cache_give_all(region);
			slot = find_by_hints(request);
		}
		/* Where anything may come, a grace period takes less time than a look at every slot. */
		if (!slot && waits && !has_waited && reclaim_may_bring()) {
			has_waited = true;
			if (!mslot_barrier(region))
				continue;
		}
		if (!slot)
			slot = find_by_slots(request, waits, &may_come);
		if (slot || !waits || !may_come)
			return slot;
		/* Again, as others may be faster. */
		*err = mslot_barrier(region);
		if (*err)
			return NULL;
		*err = MSLOT_NO_MEMORY;
	}
}
