/* SPDX-License-Identifier: MIT
 *
 * Allocation against allocation, drops and claims, through the caches, the index and the slots. With an immediate type,
 * so that threads need no grace periods.
 *
 * Proves: no frame is handed out twice; hints that are wrong either way cost nothing but time; runs are all or nothing,
 *         and of two that collide one gets through; NO_MEMORY is answered only if at some moment nothing fitted, in
 *         every order that what the threads have seen of each other allows, whether hints prove it or the slots are
 *         asked.
 * Runs:   2 threads; 1483 to 1352408 executions a scenario under Relacy, 4000 under PCT.
 */
#include "alloc/free_index.h"
#include "handle/handle.h"
#include "hold.h"

/* Registration, as far as it matters where nothing waits for a grace period: they may remember frames. */
static struct reclaim_thread registered[MODEL_THREADS_MAX];

static _Atomic bool is_dropped;

static void hold_all(void)
{
	hold(0);
	hold(1);
	hold(2);
}

static void begun(void)
{
	mslot_frame_drop(mslot_alloc_frame(model_region, &type, &one, NULL, NULL));
}

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

/* As if nothing had been claimed before the first frame was allocated: so hints prove that there is none. */
static void prove(void)
{
	atomic_store_explicit(&model_region->hints_stage, HINTS_NONE, memory_order_relaxed);
	begun();
}

static void proven_hold_0(void)
{
	prove();
	hold(0);
}

static void proven_hold_0_and_1(void)
{
	prove();
	hold_0_and_1();
}

/* And no hint says otherwise. */
static void proven_hold_all(void)
{
	prove();
	hold_all();
	MODEL_CHECK(!mslot_alloc_frame(model_region, &type, &one, NULL, NULL));
}

/* Nothing is known of the region yet: nothing is in memory, and nothing of the index is made. */
static void untouched(void)
{
	atomic_store_explicit(&model_region->hints_stage, HINTS_NONE, memory_order_relaxed);
	atomic_store_explicit(region_grain(model_region, 0), GRAIN_UNTOUCHED, memory_order_relaxed);
}

/* Frames 0 and 1 are held, and another thread has begun to settle the count, and does not go on. */
static void hold_0_and_1_another_settles(void)
{
	hold_0_and_1();
	MODEL_CHECK(scarce_begin(model_region));
}

static struct mslot_frame *alloc(unsigned thread)
{
	enum mslot_err why = MSLOT_OK;
	struct mslot_frame *frame;

	reclaim_self = &registered[thread];
	frame = mslot_alloc_frame(model_region, &type, &one, NULL, &why);
	if (frame) {
		model_add(MODEL_WON, 1);
		MODEL_CHECK(*(const uint64_t *)mslot_frame_meta(frame, &type) == 1);
	} else {
		MODEL_CHECK(why == MSLOT_NO_MEMORY);
	}
	return frame;
}

static void alloc_a(void)
{
	alloc(0);
}

static void alloc_b(void)
{
	alloc(1);
}

static void alloc_must(void)
{
	MODEL_CHECK(alloc(1));
}

static void alloc_drop(void)
{
	struct mslot_frame *frame = alloc(1);

	if (frame)
		mslot_frame_drop(frame);
}

static void alloc_stranger(void)
{
	MODEL_CHECK(mslot_alloc_frame(model_region, &type, &one, NULL, NULL));
	model_add(MODEL_WON, 1);
}

static enum mslot_err alloc_two(unsigned thread)
{
	struct mslot_segment segment;
	enum mslot_err err;

	reclaim_self = &registered[thread];
	err = mslot_alloc_segment(model_region, 2, 1, &type, NULL, NULL, NULL, &segment);
	MODEL_CHECK(!err || err == MSLOT_NO_MEMORY);
	if (!err)
		model_add(MODEL_WON, 1);
	return err;
}

static void alloc_two_a(void)
{
	alloc_two(0);
}

static void alloc_two_b(void)
{
	alloc_two(1);
}

static void alloc_two_must(void)
{
	MODEL_CHECK(alloc_two(1) == MSLOT_OK);
}

static void drop_0(void)
{
	reclaim_self = &registered[0];
	mslot_frame_drop(frames[0]);
}

/* At each moment either of them is free. */
static void drop_0_claim_2(void)
{
	drop_0();
	hold(2);
}

/* As above, over and over. The other may hold one of them for a moment, on its way to two. */
static void drop_0_claim_2_and_back(void)
{
	for (unsigned i = 0; i < 3; i++) {
		unsigned from = i % 2 ? 2 : 0;

		if (frames[from])
			mslot_frame_drop(frames[from]);
		hold(2 - from);
		model_yield();
	}
}

/* As above, but what is held at the end has been free in between. */
static void drop_1_claim_2_drop_0_claim_1(void)
{
	mslot_frame_drop(frames[1]);
	hold(2);
	mslot_frame_drop(frames[0]);
	hold(1);
}

/* At each moment one is free, and at the end what this one has dropped. */
static void drop_0_alloc_drop(void)
{
	struct mslot_frame *frame;

	drop_0();
	frame = alloc(0);
	if (frame)
		mslot_frame_drop(frame);
}

/* Hands on what it remembers, once the other may know that there is some. */
static void drop_0_hand_on(void)
{
	drop_0();
	atomic_store_explicit(&is_dropped, true, memory_order_release);
	give_back_upward()->flush();
}

/* Frames 0 and 2 in turn, of a page that it remembers. */
static void drop_2_go_to_and_fro(void)
{
	reclaim_self = &registered[0];
	mslot_frame_drop(frames[2]);
	atomic_store_explicit(&is_dropped, true, memory_order_release);
	drop_0_claim_2_and_back();
}

/* One of two is free at each moment, but in another place. */
static void drop_two_hand_on_alloc(void)
{
	drop_0();
	mslot_frame_drop(frames[1]);
	atomic_store_explicit(&is_dropped, true, memory_order_release);
	model_yield();
	give_back_upward()->flush();
	alloc(0);
}

/* Frame 0 is free then, and before that frame 1. */
static void drop_0_claim_1(void)
{
	drop_0();
	(void)!mslot_frame_claim(model_region, MODEL_PADDR(1), &type, &one, NULL);
}

/* It finds in use what it remembers, and must not forget the other one that is free then. */
static void drop_1_alloc(void)
{
	reclaim_self = &registered[1];
	mslot_frame_drop(frames[1]);
	MODEL_CHECK(alloc(1));
}

/* The same of the hot one. */
static void drop_1_alloc_drop_alloc(void)
{
	struct mslot_frame *frame;

	reclaim_self = &registered[1];
	mslot_frame_drop(frames[1]);
	frame = alloc(1);
	MODEL_CHECK(frame);
	if (frame)
		mslot_frame_drop(frame);
	MODEL_CHECK(alloc(1));
}

/* And of the hot one that it hands on. */
static void drop_1_hand_on_hot_alloc(void)
{
	struct mslot_frame *frame;

	reclaim_self = &registered[1];
	mslot_frame_drop(frames[1]);
	frame = alloc(1);
	if (frame)
		mslot_frame_drop(frame);
	give_back_upward()->flush();
	MODEL_CHECK(alloc(1));
}

static void alloc_drop_hand_on(void)
{
	alloc_drop();
	give_back_upward()->flush();
}

static void alloc_if_dropped(void)
{
	if (atomic_load_explicit(&is_dropped, memory_order_acquire))
		MODEL_CHECK(alloc(1));
}

static void drop_1_hand_on_alloc(void)
{
	reclaim_self = &registered[1];
	mslot_frame_drop(frames[1]);
	give_back_upward()->flush();
	MODEL_CHECK(alloc(1));
}

/* The frame is left unused, and nobody is told. */
static void reset_0(void)
{
	struct mslot_unique *unique = mslot_frame_try_unique(frames[0], NULL);

	MODEL_CHECK(unique);
	mslot_unique_reset_as_unused(unique);
}

static void claim_0_drop(void)
{
	reclaim_self = &registered[0];
	hold(0);
	if (frames[0])
		mslot_frame_drop(frames[0]);
}

/* By a thread that keeps no rows of its own. */
static void drop_0_stranger(void)
{
	mslot_frame_drop(frames[0]);
}

/* All that are unused can be allocated, and no more. */
static void rest_is_there(void)
{
	unsigned nr_unused = 0;

	for (unsigned i = 0; i < MODEL_FRAMES; i++) {
		enum state state = state_of(slot_word(&model_region->slots[i]));

		MODEL_CHECK(state == STATE_UNUSED || state == STATE_SHARED);
		nr_unused += state == STATE_UNUSED;
	}
	for (unsigned i = 0; i < nr_unused; i++)
		MODEL_CHECK(mslot_alloc_frame(model_region, &type, &one, NULL, NULL));
	MODEL_CHECK(!mslot_alloc_frame(model_region, &type, &one, NULL, NULL));
	MODEL_CHECK(model_count(MODEL_FAULTS) == 0);
}

static void two_have_one(void)
{
	MODEL_CHECK(model_count(MODEL_WON) == 2);
	rest_is_there();
}

static void one_has_one(void)
{
	MODEL_CHECK(model_count(MODEL_WON) == 1);
	rest_is_there();
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
	{"alloc/proven-two-alloc", 2, prove, two_have_one, {alloc_a, alloc_b}},
	{"alloc/proven-stranger-alloc", 2, proven_hold_0, two_have_one, {alloc_stranger, alloc_b}},
	{"alloc/proven-last-drop", 2, proven_hold_all, rest_is_there, {drop_0, alloc_drop}},
	{"alloc/proven-last-drop-stranger", 2, proven_hold_all, rest_is_there, {drop_0_stranger, alloc_drop}},
	{"alloc/proven-one-moves", 3, proven_hold_0_and_1, one_has_one, {drop_0_claim_2, alloc_must}},
	{"alloc/proven-two-drop", 2, proven_hold_0_and_1, rest_is_there, {drop_0_alloc_drop, alloc_must}},
	{"alloc/proven-to-and-fro", 3, proven_hold_all, NULL, {drop_2_go_to_and_fro, alloc_if_dropped}},
	{"alloc/proven-there-and-back", 1, proven_hold_all, NULL, {drop_two_hand_on_alloc, alloc_if_dropped}},
	{"alloc/proven-claimed", 3, proven_hold_all, NULL, {drop_0_claim_1, drop_1_alloc}},
	{"alloc/proven-hot-claimed", 3, proven_hold_all, NULL, {drop_0_claim_1, drop_1_alloc_drop_alloc}},
	{"alloc/proven-hot-handed-on", 2, proven_hold_all, NULL, {drop_0_claim_1, drop_1_hand_on_hot_alloc}},
	{"alloc/proven-hand-on", 2, proven_hold_all, NULL, {drop_0_hand_on, alloc_if_dropped}},
	{"alloc/proven-two-hand-on", 3, proven_hold_all, NULL, {drop_0_hand_on, drop_1_hand_on_alloc}},
	{"alloc/proven-reset", 2, proven_hold_all, rest_is_there, {reset_0, alloc_drop}},
	{"alloc/untouched-claim", 2, untouched, rest_is_there, {claim_0_drop, alloc_drop_hand_on}},
	{"alloc/two-runs-collide", 2, begun, one_has_one, {alloc_two_a, alloc_two_b}},
	{"alloc/run-drop", 2, hold_all, rest_is_there, {drop_0, alloc_two_b}},
	{"alloc/run-moves", 2, hold_0, one_has_one, {drop_0_claim_2, alloc_two_must}},
	{"alloc/run-moves-and-back", 2, hold_0, one_has_one, {drop_0_claim_2_and_back, alloc_two_must}},
	{0},
};
