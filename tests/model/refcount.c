/* SPDX-License-Identifier: MIT
 *
 * Two getters, two putters, clones: exactly one last.
 *
 * Proves: however gets, clones and drops of one frame meet, on_drop runs once, after every holder's reads (which it
 *         would race with), and a getter either gets the frame alive or is told UNUSED or BUSY.
 */
#include "hold_one.h"

static void hold_two(void)
{
	hold_one();
	MODEL_CHECK(mslot_frame_clone(frame) == frame);
}

static void read_meta(void)
{
	MODEL_CHECK(*(const uint64_t *)mslot_frame_meta(frame, &type) == 1);
}

static void drop(void)
{
	read_meta();
	mslot_frame_drop(frame);
}

static void clone_drop_drop(void)
{
	MODEL_CHECK(mslot_frame_clone(frame) == frame);
	read_meta();
	mslot_frame_drop(frame);
	read_meta();
	mslot_frame_drop(frame);
}

static void get_drop(void)
{
	enum mslot_err why = MSLOT_OK;
	struct mslot_frame *got = mslot_frame_get(model_region, MODEL_PADDR(0), &why);

	if (!got) {
		MODEL_CHECK(why == MSLOT_UNUSED || why == MSLOT_BUSY);
		return;
	}
	read_meta();
	mslot_frame_drop(got);
}

static void has_ended(void)
{
	MODEL_CHECK(model_count(MODEL_FAULTS) == 0 && model_count(MODEL_ENDED) == 1);
	/* It can be had again, so it was recycled. */
	hold_one();
	MODEL_CHECK(mslot_frame_ref_count(frame) == 1);
}

const struct model models[] = {
	{"refcount/two-get-two-put", 2, hold_two, has_ended, {drop, drop, get_drop, get_drop}},
	{"refcount/two-get-one-put", 4, hold_one, has_ended, {drop, get_drop, get_drop}},
	{"refcount/clone-put-get", 3, hold_two, has_ended, {clone_drop_drop, drop, get_drop}},
	{0},
};
