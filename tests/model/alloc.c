/* SPDX-License-Identifier: MIT
 *
 * Allocation against allocation, drops and claims, through the caches, the index and the slots. With an immediate type,
 * so that threads need no grace periods.
 *
 * Proves: no frame is handed out twice; hints that are wrong either way cost nothing but time; runs are all or nothing,
 *         and of two that collide one gets through; NO_MEMORY is answered only if at some moment nothing fitted, in
 *         every order that what the threads have seen of each other allows. Here the slots are asked: proof.c has the
 *         answer that hints prove.
 */
#include "alloc/free_index.h"
#include "allocating.h"

/* Nothing is held, but the index says that all is taken. */
static void all_hidden(void)
{
	begun();
	free_index_take(model_region->ranges[0].hints, 0, 7);
}

static void hold_0_and_1_hidden(void)
{
	all_hidden();
	hold_0_and_1();
}

/* Frames are allocated elsewhere already; of this region's index nothing is made. */
static void hold_0_another_region_allocates(void)
{
	static _Alignas(64) char hints[1024];

	begun();
	model_region->ranges[0].hints = hints;
	atomic_store_explicit(&model_region->hints_stage, HINTS_UNPROVEN, memory_order_relaxed);
	hold(0);
}

/* Frames 0 and 1 are held, and another thread has begun to settle the count, and does not go on. */
static void hold_0_and_1_another_settles(void)
{
	hold_0_and_1();
	MODEL_CHECK(scarce_begin(model_region));
}

static void alloc_two_a(void)
{
	alloc_two(0);
}

/* At each moment one of them is free, and what is held at the end has been free in between. */
static void drop_1_claim_2_drop_0_claim_1(void)
{
	mslot_frame_drop(frames[1]);
	hold(2);
	mslot_frame_drop(frames[0]);
	hold(1);
}

static void alloc_drop_hand_on(void)
{
	alloc_drop();
	give_back_upward()->flush();
}

static void claim_0_drop(void)
{
	reclaim_self = &registered[0];
	hold(0);
	if (frames[0])
		mslot_frame_drop(frames[0]);
}

const struct model models[] = {
	{"alloc/two-alloc", 2, begun, two_have_one, {alloc_a, alloc_b}},
	{"alloc/begin-two-alloc", 1, NULL, two_have_one, {alloc_a, alloc_b}},
	{"alloc/begin-two-runs", 1, NULL, one_has_one, {alloc_two_a, alloc_two_b}},
	{"alloc/begin-drop", 2, hold_0, rest_is_there, {drop_0, alloc_b}},
	{"alloc/begin-drop-elsewhere", 2, hold_0_another_region_allocates, rest_is_there, {drop_0_stranger, alloc_b}},
	{"alloc/two-hidden", 1, all_hidden, two_have_one, {alloc_a, alloc_b}},
	{"alloc/stranger-alloc", 1, hold_0, two_have_one, {alloc_stranger, alloc_b}},
	{"alloc/last-drop", 2, hold_all, rest_is_there, {drop_0, alloc_drop}},
	{"alloc/one-moves", 2, hold_0_and_1, one_has_one, {drop_0_claim_2, alloc_must}},
	{"alloc/one-moves-twice", 2, hold_0_and_1_hidden, NULL, {drop_1_claim_2_drop_0_claim_1, alloc_must}},
	{"alloc/one-moves-another-settles", 2, hold_0_and_1_another_settles, one_has_one, {drop_0_claim_2, alloc_must}},
	{"alloc/untouched-claim", 2, untouched, rest_is_there, {claim_0_drop, alloc_drop_hand_on}},
	{"alloc/two-runs-collide", 2, begun, one_has_one, {alloc_two_a, alloc_two_b}},
	{"alloc/run-drop", 2, hold_all, rest_is_there, {drop_0, alloc_two_b}},
	{"alloc/run-moves", 2, hold_0, one_has_one, {drop_0_claim_2, alloc_two_must}},
	{"alloc/run-moves-and-back", 2, hold_0, one_has_one, {drop_0_claim_2_and_back, alloc_two_must}},
	{0},
};
