/* SPDX-License-Identifier: MIT
 *
 * Counts the unused frames of a region that has run out of them, so that "there is none" can be said again without a
 * look at every slot.
 *
 *   63   62        61      32 31    0
 *  +----+---------+----------+-------+
 *  | on | settled | episode  | count |
 *  +----+---------+----------+-------+
 *
 * While it is on, whoever makes a slot unused first adds 1. Once it is settled, the count is never less than the number
 * of unused slots: it may be more, but 0 is exact. Whoever claims an unused slot subtracts 1, but need not: the count
 * is then too high, which is safe.
 *
 * How it settles: attention is called; then a pass adds 0 to the word of every shared slot, with release. Whoever swaps
 * such a word to retired after that acquires it, so it sees attention, and counts. Slots in any other state, whose end
 * may be under way already, are counted from the start, and an unused one ends the attempt.
 *
 * Why subtracting is safe: the claimer saw, before its claim, that the count was settled. So the slot was counted in
 * this episode; and whoever ends that claim sees attention, and adds it again.
 */
#ifndef TABLE_SCARCE_H
#define TABLE_SCARCE_H

#include "table/region.h"

#define SCARCE_ON (UINT64_C(1) << 63)
#define SCARCE_SETTLED (UINT64_C(1) << 62)
#define SCARCE_EPISODE_ONE (UINT64_C(1) << 32)
#define SCARCE_EPISODE (SCARCE_SETTLED - SCARCE_EPISODE_ONE)
#define SCARCE_COUNT (SCARCE_EPISODE_ONE - 1)

/*
 * Whoever makes a slot unused looks at this: how many regions count, and in the lowest bit whether anybody allocates at
 * all (see give_back.h).
 */
extern _Atomic unsigned scarce_attention;
#define SCARCE_ATTENTION_ONE 2

/* Begins to settle: gives a pass its episode, or 0 where another thread is at it. */
uint64_t scarce_begin(struct mslot_region *region);
/* Ends the pass. It has counted `nr` slots that may become unused without being counted. */
void scarce_settle(struct mslot_region *region, uint64_t episode, uint64_t nr);
/* Ends the episode: its pass has found an unused slot, the count is past its limit, or the region ends. */
void scarce_end(struct mslot_region *region, uint64_t episode);

COLD void scarce_count_inc(struct slot *slot);
COLD void scarce_count_dec(struct mslot_region *region, uint64_t seen);

static inline uint64_t scarce_look(const struct mslot_region *region)
{
	/* [acquire:settled] the claim that follows comes after it was settled, and so does attention. */
	return atomic_load_explicit(&region->scarce, memory_order_acquire);
}

/* After a claim, with what scarce_look() gave before it. */
static inline void scarce_claimed(struct mslot_region *region, uint64_t seen)
{
	if (UNLIKELY(seen & SCARCE_SETTLED))
		scarce_count_dec(region, seen);
}

static inline bool scarce_is_on(const struct mslot_region *region)
{
	/* [relaxed] if it is out of date, the caller takes the slow path once more, or does not count off: safe. */
	return atomic_load_explicit(&region->scarce, memory_order_relaxed) & SCARCE_ON;
}

/* No slot of the region is unused. */
static inline bool scarce_is_none(const struct mslot_region *region)
{
	uint64_t seen = scarce_look(region);

	return seen & SCARCE_SETTLED && !(seen & SCARCE_COUNT);
}

#endif
