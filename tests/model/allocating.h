/* SPDX-License-Identifier: MIT
 *
 * Threads that allocate, drop and claim frames of an immediate type, and what must be true when they are done.
 */
#ifndef MODEL_ALLOCATING_H
#define MODEL_ALLOCATING_H

#include "handle/handle.h"
#include "hold.h"
#include "table/give_back.h"

/* Registration, as far as it matters where nothing waits for a grace period: they may remember frames. */
static struct reclaim_thread registered[MODEL_THREADS_MAX];

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

/* Nothing is known of the region yet: nothing is in memory, and nothing of the index is made. */
static void untouched(void)
{
	atomic_store_explicit(&model_region->hints_stage, HINTS_NONE, memory_order_relaxed);
	atomic_store_explicit(region_grain(model_region, 0), GRAIN_UNTOUCHED, memory_order_relaxed);
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

#endif
