/* SPDX-License-Identifier: MIT
 *
 * into_raw, clone_into_raw, from_raw, drop_raw in storms.
 *
 * Proves: NOT_FORGOTTEN is exact: as many restores and raw drops succeed as references were forgotten; what a holder
 *         wrote before it forgot is visible to whoever restores; on_drop runs once, after all of it.
 */
#include "hold_one.h"

static uint64_t payload; /* belongs to whoever has the forgotten reference */

static void hold_one_forgotten(void)
{
	hold_one();
	MODEL_CHECK(mslot_frame_into_raw(frame) == MODEL_PADDR(0));
	model_add(MODEL_OTHER, 1);
}

static void hold_one_and_one_forgotten(void)
{
	hold_one();
	MODEL_CHECK(mslot_frame_clone_into_raw(frame) == MODEL_PADDR(0));
	model_add(MODEL_OTHER, 1);
}

static void hold_one_and_two_forgotten(void)
{
	hold_one_and_one_forgotten();
	MODEL_CHECK(mslot_frame_clone_into_raw(frame) == MODEL_PADDR(0));
	model_add(MODEL_OTHER, 1);
}

static void forget(void)
{
	payload++;
	MODEL_CHECK(mslot_frame_into_raw(frame) == MODEL_PADDR(0));
	model_add(MODEL_OTHER, 1);
}

static void clone_forget_drop(void)
{
	payload++;
	MODEL_CHECK(mslot_frame_clone_into_raw(frame) == MODEL_PADDR(0));
	model_add(MODEL_OTHER, 1);
	MODEL_CHECK(*(const uint64_t *)mslot_frame_meta(frame, &type) == 1);
	mslot_frame_drop(frame);
}

static struct mslot_frame *restored(void)
{
	enum mslot_err why = MSLOT_OK;
	struct mslot_frame *got = mslot_frame_from_raw(model_region, MODEL_PADDR(0), &why);

	if (!got) {
		MODEL_CHECK(why == MSLOT_NOT_FORGOTTEN);
		return NULL;
	}
	model_add(MODEL_OTHER, -1);
	MODEL_CHECK(*(const uint64_t *)mslot_frame_meta(got, &type) == 1);
	return got;
}

static void restore_drop(void)
{
	struct mslot_frame *got = restored();

	if (got)
		mslot_frame_drop(got);
}

/* The payload goes with the one forgotten reference. */
static void restore_write_forget(void)
{
	if (!restored())
		return;
	payload++;
	MODEL_CHECK(mslot_frame_into_raw(frame) == MODEL_PADDR(0));
	model_add(MODEL_OTHER, 1);
}

static void drop_raw(void)
{
	enum mslot_err err = mslot_frame_drop_raw(model_region, MODEL_PADDR(0));

	MODEL_CHECK(err == MSLOT_OK || err == MSLOT_NOT_FORGOTTEN);
	if (!err)
		model_add(MODEL_OTHER, -1);
}

/* One that has the frame mapped, say: it reads through its forgotten reference, then gives it up. */
static void read_and_drop_raw(void)
{
	MODEL_CHECK(*(const uint64_t *)mslot_frame_meta(frame, &type) == 1);
	MODEL_CHECK(mslot_frame_drop_raw(model_region, MODEL_PADDR(0)) == MSLOT_OK);
	model_add(MODEL_OTHER, -1);
}

static void get_drop(void)
{
	if (!mslot_frame_get(model_region, MODEL_PADDR(0), NULL))
		return;
	MODEL_CHECK(*(const uint64_t *)mslot_frame_meta(frame, &type) == 1);
	mslot_frame_drop(frame);
}

static void drop(void)
{
	MODEL_CHECK(*(const uint64_t *)mslot_frame_meta(frame, &type) == 1);
	mslot_frame_drop(frame);
}

/* What is still forgotten can be dropped, no more and no less. */
static void raw_count_is_exact(void)
{
	while (model_count(MODEL_OTHER) > 0) {
		MODEL_CHECK(mslot_frame_raw_count(frame) == (uint32_t)model_count(MODEL_OTHER));
		MODEL_CHECK(model_count(MODEL_ENDED) == 0);
		MODEL_CHECK(mslot_frame_drop_raw(model_region, MODEL_PADDR(0)) == MSLOT_OK);
		model_add(MODEL_OTHER, -1);
	}
	MODEL_CHECK(model_count(MODEL_OTHER) == 0);
	MODEL_CHECK(mslot_frame_drop_raw(model_region, MODEL_PADDR(0)) == MSLOT_NOT_FORGOTTEN);
	MODEL_CHECK(model_count(MODEL_FAULTS) == 0 && model_count(MODEL_ENDED) == 1);
}

const struct model models[] = {
	{"raw/forget-restore-drop", 3, hold_one, raw_count_is_exact, {forget, restore_drop, drop_raw}},
	{"raw/map-unmap", 3, hold_one, raw_count_is_exact, {clone_forget_drop, drop_raw, get_drop}},
	{"raw/one-of-three-restores",
	 2,
	 hold_one_forgotten,
	 raw_count_is_exact,
	 {restore_drop, drop_raw, restore_drop}},
	{"raw/hand-over",
	 3,
	 hold_one_forgotten,
	 raw_count_is_exact,
	 {restore_write_forget, restore_write_forget, drop_raw}},
	{"raw/read-and-unmap",
	 3,
	 hold_one_and_two_forgotten,
	 raw_count_is_exact,
	 {read_and_drop_raw, read_and_drop_raw, drop}},
	{"raw/put-drop-raw-get", 3, hold_one_and_one_forgotten, raw_count_is_exact, {drop, drop_raw, get_drop}},
	{0},
};
