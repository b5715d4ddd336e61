/* SPDX-License-Identifier: MIT
 *
 * Turns the counting of unused frames on and off, and counts.
 *
 * Promises: what scarce.h says.
 * Needs:    slot_call_attention() for the pass; whoever makes slots unused, to look at attention between its swap and
 *           its store.
 */
#include "table/scarce.h"

_Atomic unsigned scarce_attention;

static uint64_t scarce_word(const struct mslot_region *region)
{
	/* [relaxed] the swap that follows decides. */
	return atomic_load_explicit(&region->scarce, memory_order_relaxed);
}

static bool scarce_swap(struct mslot_region *region, uint64_t *word, uint64_t next)
{
	/* [relaxed] publishes nothing: slot_call_attention() releases attention, scarce_settle() that it is settled.
	 * [relaxed] others count. */
	return atomic_compare_exchange_weak_explicit(&region->scarce, word, next, memory_order_relaxed,
						     memory_order_relaxed);
}

/* Begins or ends an episode. */
static bool scarce_swap_episode(struct mslot_region *region, uint64_t *word, uint64_t next)
{
	/* [acquire:settled] attention was called before the count was settled. So a pass which need not call it itself
	 * releases it all the same, and whoever ends the episode gives up what was called before.
	 * [relaxed] others count. */
	return atomic_compare_exchange_weak_explicit(&region->scarce, word, next, memory_order_acquire,
						     memory_order_relaxed);
}

/* It is on, and in the same episode as the other word. */
static bool is_same_episode(uint64_t word, uint64_t other)
{
	return word & SCARCE_ON && !((word ^ other) & SCARCE_EPISODE);
}

/* Counting makes claims dearer; where an eighth is free again, many follow before the next pass. */
static uint64_t scarce_limit(const struct mslot_region *region)
{
	uint64_t limit = region->nr_frames / 8 + 8, half = region->nr_frames / 2;

	if (limit > half)
		return half;
	return limit < SCARCE_COUNT / 4 ? limit : SCARCE_COUNT / 4;
}

uint64_t scarce_begin(struct mslot_region *region)
{
	uint64_t word = scarce_word(region), next;

	do {
		if (word & SCARCE_ON && !(word & SCARCE_SETTLED))
			return 0;
		next = SCARCE_ON | ((word + SCARCE_EPISODE_ONE) & SCARCE_EPISODE);
	} while (!scarce_swap_episode(region, &word, next));
	if (!(word & SCARCE_ON))
		/* [relaxed] slot_call_attention() releases it. */
		atomic_fetch_add_explicit(&scarce_attention, SCARCE_ATTENTION_ONE, memory_order_relaxed);
	/* So that claims take their slow path, where they count. Those that do not yet are forgiven. */
	region_suspend_types(region);
	return next;
}

void scarce_end(struct mslot_region *region, uint64_t episode)
{
	uint64_t word = scarce_word(region);

	do
		if (!is_same_episode(word, episode))
			return;
	while (!scarce_swap_episode(region, &word, word & ~(SCARCE_ON | SCARCE_SETTLED)));
	/* [relaxed] as above. */
	atomic_fetch_sub_explicit(&scarce_attention, SCARCE_ATTENTION_ONE, memory_order_relaxed);
}

void scarce_settle(struct mslot_region *region, uint64_t episode, uint64_t nr)
{
	uint64_t word = scarce_word(region);

	do {
		if (!is_same_episode(word, episode))
			return;
		if ((word & SCARCE_COUNT) + nr > scarce_limit(region)) {
			scarce_end(region, episode);
			return;
		}
	}
	/* [release:settled] attention is visible to whoever counts off. [relaxed] others count. */
	while (!atomic_compare_exchange_weak_explicit(&region->scarce, &word, (word + nr) | SCARCE_SETTLED,
						      memory_order_release, memory_order_relaxed));
}

void scarce_count_inc(struct slot *slot)
{
	struct mslot_region *region = slot_region(slot);
	uint64_t word = scarce_word(region);

	/* Whoever finds the slot unused acquires its recycling, which follows. As many as there is room for are far too
	 * many to go on, and end the attempt where it would be settled. */
	do
		if (!(word & SCARCE_ON) || (word & SCARCE_COUNT) == SCARCE_COUNT)
			return;
	while (!scarce_swap(region, &word, word + 1));
	if (word & SCARCE_SETTLED && (word & SCARCE_COUNT) >= scarce_limit(region))
		scarce_end(region, word);
}

void scarce_count_dec(struct mslot_region *region, uint64_t seen)
{
	uint64_t word = scarce_word(region);

	do
		/* Another pass has not counted our slot. */
		if (!is_same_episode(word, seen) || !(word & SCARCE_COUNT))
			return;
	while (!scarce_swap(region, &word, word - 1));
}
