/* SPDX-License-Identifier: MIT
 *
 * Over-drops, with a fault handler that returns.
 *
 * Proves: however the drops of one handle by two threads meet, one is a fault and one is not; the forgotten reference
 *         is not eaten, nor is the frame ended twice; the same for a dead handle that is forgotten.
 */
#include "hold_one.h"

static struct mslot_unique *unique;

static void hold_two(void)
{
	hold_one();
	MODEL_CHECK(mslot_frame_clone(frame));
}

static void hold_one_and_one_forgotten(void)
{
	hold_one();
	MODEL_CHECK(mslot_frame_clone_into_raw(frame) == MODEL_PADDR(0));
}

static void hold_two_and_one_forgotten(void)
{
	hold_two();
	MODEL_CHECK(mslot_frame_clone_into_raw(frame) == MODEL_PADDR(0));
}

static void drop(void)
{
	mslot_frame_drop(frame);
}

/* What is read here is read before the frame ends, whoever ends it. */
static void read_and_drop(void)
{
	MODEL_CHECK(*(const uint64_t *)mslot_frame_meta(frame, &type) == 1);
	mslot_frame_drop(frame);
}

static void forget(void)
{
	if (mslot_frame_into_raw(frame) != MSLOT_PADDR_NONE)
		model_add(MODEL_OTHER, 1);
}

static void clone(void)
{
	if (mslot_frame_clone(frame))
		model_add(MODEL_WON, 1);
}

static void drop_raw(void)
{
	MODEL_CHECK(mslot_frame_drop_raw(model_region, MODEL_PADDR(0)) == MSLOT_OK);
}

/* While an over-drop is in flight, what it has taken may be missed by others; once it is taken back, it is there. */
static void drop_raw_or_be_refused(void)
{
	enum mslot_err err = mslot_frame_drop_raw(model_region, MODEL_PADDR(0));

	MODEL_CHECK(err == MSLOT_OK || err == MSLOT_NOT_FORGOTTEN);
	if (err)
		model_add(MODEL_OTHER, 1);
}

static void one_fault_and_raw_is_left(void)
{
	MODEL_CHECK(model_count(MODEL_FAULTS) == 1);
	MODEL_CHECK(model_count(MODEL_ENDED) == 0);
	MODEL_CHECK(mslot_frame_ref_count(frame) == 1 && mslot_frame_raw_count(frame) == 1);
	drop_raw();
	MODEL_CHECK(model_count(MODEL_ENDED) == 1);
}

static void one_fault_and_it_has_ended(void)
{
	MODEL_CHECK(model_count(MODEL_FAULTS) == 1);
	MODEL_CHECK(model_count(MODEL_ENDED) == 1);
	hold_one();
	MODEL_CHECK(mslot_frame_ref_count(frame) == 1);
}

static void one_fault_and_it_ends(void)
{
	if (model_count(MODEL_OTHER))
		drop_raw();
	one_fault_and_it_has_ended();
}

static void get_drop(void)
{
	if (mslot_frame_get(model_region, MODEL_PADDR(0), NULL))
		drop();
}

/* A getter that meets the over-drop may be the one who is told; the count is right again in the end. */
static void faults_and_raw_is_left(void)
{
	MODEL_CHECK(model_count(MODEL_FAULTS) >= 1 && model_count(MODEL_ENDED) == 0);
	MODEL_CHECK(mslot_frame_raw_count(frame) == 1);
	MODEL_CHECK(mslot_frame_ref_count(frame) == (uint32_t)model_count(MODEL_FAULTS));
}

/* One handle: the drop, or the forget, or the clone after the drop, is the fault. */
static void one_handle_counts_once(void)
{
	MODEL_CHECK(model_count(MODEL_FAULTS) == 1);
	MODEL_CHECK(model_count(MODEL_ENDED) == !model_count(MODEL_OTHER));
	if (model_count(MODEL_OTHER))
		drop_raw();
	MODEL_CHECK(model_count(MODEL_ENDED) == 1);
}

static void clone_counts_or_faults(void)
{
	MODEL_CHECK(model_count(MODEL_FAULTS) + model_count(MODEL_WON) == 1);
	MODEL_CHECK(model_count(MODEL_ENDED) == !model_count(MODEL_WON));
	if (model_count(MODEL_WON))
		drop();
	MODEL_CHECK(model_count(MODEL_ENDED) == 1);
}

static void own(void)
{
	uint64_t value = 1;

	unique = mslot_unique_claim(model_region, MODEL_PADDR(0), &type, &value, NULL);
	MODEL_CHECK(unique);
}

static void drop_unique(void)
{
	mslot_unique_drop(unique);
}

const struct model models[] = {
	{"over-drop/two-of-one", 3, hold_one, one_fault_and_it_has_ended, {drop, drop}},
	{"over-drop/three-of-two", 3, hold_two, one_fault_and_it_has_ended, {drop, drop, drop}},
	{"over-drop/beside-a-forgotten", 3, hold_one_and_one_forgotten, one_fault_and_raw_is_left, {drop, drop}},
	{"over-drop/three-beside-a-forgotten",
	 3,
	 hold_two_and_one_forgotten,
	 one_fault_and_raw_is_left,
	 {drop, drop, drop}},
	{"over-drop/against-drop-raw",
	 3,
	 hold_two_and_one_forgotten,
	 one_fault_and_it_ends,
	 {drop, drop, drop, drop_raw_or_be_refused}},
	{"over-drop/against-get", 3, hold_two_and_one_forgotten, faults_and_raw_is_left, {drop, drop, drop, get_drop}},
	{"over-drop/drop-and-forget", 4, hold_one, one_handle_counts_once, {drop, forget}},
	{"over-drop/forget-of-two", 3, hold_two, one_handle_counts_once, {read_and_drop, read_and_drop, forget}},
	{"over-drop/forget-twice", 4, hold_one, one_handle_counts_once, {forget, forget}},
	{"over-drop/clone-of-a-dead-one", 4, hold_one, clone_counts_or_faults, {drop, clone}},
	{"over-drop/unique-twice", 4, own, one_fault_and_it_has_ended, {drop_unique, drop_unique}},
	{0},
};
