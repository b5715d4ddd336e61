/* SPDX-License-Identifier: MIT
 *
 * Allocation where hints prove that there is no free frame, against allocation, drops, claims, and threads that hand on
 * what they remember.
 *
 * Proves: NO_MEMORY is answered only if at some moment no frame was free, in every order that what the threads have
 *         seen of each other allows, though no slot is asked.
 */
#include "alloc/cache.h"
#include "allocating.h"

static _Atomic bool is_dropped;

/* As if nothing had been claimed before the first frame was allocated: so hints prove that there is none. */
static void prove(void)
{
	atomic_store_explicit(&model_region->hints_stage, HINTS_NONE, memory_order_relaxed);
	begun();
}

static void prove_hold_0(void)
{
	prove();
	hold(0);
}

static void prove_hold_0_and_1(void)
{
	prove();
	hold_0_and_1();
}

/* Frame 1 is free, and hints prove that there are no two. */
static void prove_hold_0_and_2(void)
{
	struct mslot_segment two;

	prove();
	hold(0);
	hold(2);
	MODEL_CHECK(mslot_alloc_segment(model_region, 2, 1, &type, NULL, NULL, NULL, &two) == MSLOT_NO_MEMORY);
}

/* And no hint says otherwise. */
static void prove_hold_all(void)
{
	prove();
	hold_all();
	MODEL_CHECK(!mslot_alloc_frame(model_region, &type, &one, NULL, NULL));
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

static void drop_1(void)
{
	reclaim_self = &registered[1];
	mslot_frame_drop(frames[1]);
}

/* It finds in use what it remembers, and must not forget the other one that is free then. */
static void drop_1_alloc(void)
{
	drop_1();
	MODEL_CHECK(alloc(1));
}

/* So that one is hot. */
static void drop_1_alloc_drop(void)
{
	struct mslot_frame *frame;

	drop_1();
	frame = alloc(1);
	MODEL_CHECK(frame);
	if (frame)
		mslot_frame_drop(frame);
}

/* The same of the hot one. */
static void drop_1_alloc_drop_alloc(void)
{
	drop_1_alloc_drop();
	MODEL_CHECK(alloc(1));
}

/* And of the hot one that it hands on. */
static void drop_1_hand_on_hot_alloc(void)
{
	drop_1_alloc_drop();
	give_back_upward()->flush();
	MODEL_CHECK(alloc(1));
}

static void alloc_if_dropped(void)
{
	if (atomic_load_explicit(&is_dropped, memory_order_acquire))
		MODEL_CHECK(alloc(1));
}

static void alloc_two_if_dropped(void)
{
	if (atomic_load_explicit(&is_dropped, memory_order_acquire))
		alloc_two_must();
}

static void drop_1_hand_on_alloc(void)
{
	drop_1();
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

/* By address: the index still says that they are free. */
static void prove_hold_all_hinted(void)
{
	prove();
	hold_all();
}

/* As a region that was at this place before, and ended, has left it: remembers frame 0. */
static void remember_0_of_before_hold_all_drop_0_flush(void)
{
	reclaim_self = &registered[0];
	MODEL_CHECK(cache_enlist());
	free_cache.own.page = (uintptr_t)model_region->slots >> SLOT_PAGE_SHIFT;
	free_cache.own.region_id = model_region->id + 1;
	free_cache.own.hot = &model_region->slots[0];
	hold_all();
	if (frames[0])
		mslot_frame_drop(frames[0]);
	if (give_back_upward())
		give_back_upward()->flush();
}

/* A grain, and two frames of the next one. */
enum { LONE = 1 << GRAIN_SHIFT };
_Alignas(4096) static struct slot many[LONE + 2];
static _Atomic bool has_marked;

static void many_untouched(void)
{
	model_region->slots = many;
	model_region->nr_frames = model_region->ranges[0].end = LONE + 2;
	untouched();
}

static bool claim_lone(unsigned i)
{
	return mslot_frame_claim(model_region, MODEL_PADDR(LONE + i), &type, &one, NULL);
}

static void many_hold_lone(void)
{
	many_untouched();
	MODEL_CHECK(cache_make_indexes(model_region));
	MODEL_CHECK(claim_lone(0) && claim_lone(1));
}

/* It fails, as a lone frame is held, and what it held itself is free again. */
static void mark_all(void)
{
	MODEL_CHECK(mslot_region_mark_hole(model_region, 0, MODEL_PADDR(LONE + 2)) != MSLOT_OK);
}

static void alloc_if_mark_lasts(void)
{
	if (atomic_load_explicit(region_grain(model_region, 0), memory_order_relaxed) == GRAIN_MARKED)
		alloc(1);
}

static void making_hold_lone_mark_all(void)
{
	reclaim_self = &registered[0];
	if (region_hints_stage(model_region) != HINTS_MAKING || !claim_lone(0))
		return;
	mark_all();
	/* Orders nothing. */
	atomic_store_explicit(&has_marked, true, memory_order_relaxed);
}

static void make_alloc_if_marked(void)
{
	cache_make_indexes(model_region);
	if (atomic_load_explicit(&has_marked, memory_order_relaxed))
		alloc(1);
}

static void another_is_there(void)
{
	MODEL_CHECK(mslot_alloc_frame(model_region, &type, &one, NULL, NULL));
}

const struct model models[] = {
	{"proof/two-alloc", 2, prove, two_have_one, {alloc_a, alloc_b}},
	{"proof/stranger-alloc", 2, prove_hold_0, two_have_one, {alloc_stranger, alloc_b}},
	{"proof/last-drop", 2, prove_hold_all, rest_is_there, {drop_0, alloc_drop}},
	{"proof/last-drop-stranger", 2, prove_hold_all, rest_is_there, {drop_0_stranger, alloc_drop}},
	{"proof/one-moves", 3, prove_hold_0_and_1, one_has_one, {drop_0_claim_2, alloc_must}},
	{"proof/two-drop", 2, prove_hold_0_and_1, rest_is_there, {drop_0_alloc_drop, alloc_must}},
	{"proof/run-moves", 2, prove_hold_0, one_has_one, {drop_0_claim_2, alloc_two_must}},
	{"proof/run-moves-and-back", 2, prove_hold_0, one_has_one, {drop_0_claim_2_and_back, alloc_two_must}},
	{"proof/run-drop", 3, prove_hold_0_and_2, rest_is_there, {drop_0, alloc_two_b}},
	{"proof/run-hand-on", 2, prove_hold_0_and_2, rest_is_there, {drop_0_hand_on, alloc_two_if_dropped}},
	{"proof/to-and-fro", 3, prove_hold_all, NULL, {drop_2_go_to_and_fro, alloc_if_dropped}},
	{"proof/there-and-back", 1, prove_hold_all, NULL, {drop_two_hand_on_alloc, alloc_if_dropped}},
	{"proof/claimed", 3, prove_hold_all, NULL, {drop_0_claim_1, drop_1_alloc}},
	{"proof/hot-claimed", 3, prove_hold_all, NULL, {drop_0_claim_1, drop_1_alloc_drop_alloc}},
	{"proof/hot-handed-on", 2, prove_hold_all, NULL, {drop_0_claim_1, drop_1_hand_on_hot_alloc}},
	{"proof/hand-on", 2, prove_hold_all, NULL, {drop_0_hand_on, alloc_if_dropped}},
	{"proof/two-hand-on", 3, prove_hold_all, NULL, {drop_0_hand_on, drop_1_hand_on_alloc}},
	{"proof/flush-hinted", 2, prove_hold_all_hinted, rest_is_there, {drop_0_hand_on, alloc_drop}},
	{"proof/mark", 1, many_hold_lone, another_is_there, {mark_all, alloc_if_mark_lasts}},
	{"proof/making-mark", 2, many_untouched, another_is_there, {making_hold_lone_mark_all, make_alloc_if_marked}},
	{"proof/making-remembered", 1, untouched, rest_is_there, {remember_0_of_before_hold_all_drop_0_flush, alloc_b}},
	{"proof/reset", 2, prove_hold_all, rest_is_there, {reset_0, alloc_drop}},
	{0},
};
