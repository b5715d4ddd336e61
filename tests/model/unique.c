/* SPDX-License-Identifier: MIT
 *
 * try_unique against clone, drop and get; a forgotten unique handle.
 *
 * Proves: the one who becomes the only owner may write what earlier holders read, and whoever gets the frame after it
 *         was shared again finds what the owner wrote; on failure the handle is still good; of several that restore a
 *         forgotten unique handle one gets it, and finds what was written before it was forgotten.
 */
#include "model.h"

static void on_drop(void *meta, uint64_t paddr, void *memory)
{
	(void)paddr, (void)memory;
	*(uint64_t *)meta = 99;
	model_add(MODEL_ENDED, 1);
}

static const struct mslot_type type = {
	.name = "t", .meta_bytes = 16, .on_drop = on_drop, .flags = MSLOT_TYPE_IMMEDIATE};

static struct mslot_frame *frame;
static struct mslot_unique *unique;
static const uint64_t ones[2] = {1, 1};

static void hold_two(void)
{
	frame = mslot_frame_claim(model_region, MODEL_PADDR(0), &type, ones, NULL);
	MODEL_CHECK(frame && mslot_frame_clone(frame));
}

static void read_meta(void)
{
	const uint64_t *value = mslot_frame_meta(frame, &type);

	MODEL_CHECK(value && value[0] == value[1]);
}

static void write_meta(struct mslot_unique *owner)
{
	uint64_t *value = mslot_unique_meta(owner, &type);

	MODEL_CHECK(value && value[0] == value[1]);
	value[0]++;
	value[1]++;
}

static void become_owner(void)
{
	enum mslot_err why = MSLOT_OK;
	struct mslot_unique *owner = mslot_frame_try_unique(frame, &why);

	if (owner) {
		write_meta(owner);
		MODEL_CHECK(mslot_unique_share(owner) == frame);
		model_add(MODEL_WON, 1);
	} else {
		MODEL_CHECK(why == MSLOT_IN_USE);
	}
	read_meta();
	mslot_frame_drop(frame);
}

static void become_owner_and_drop(void)
{
	struct mslot_unique *owner = mslot_frame_try_unique(frame, NULL);

	if (!owner) {
		mslot_frame_drop(frame);
		return;
	}
	write_meta(owner);
	mslot_unique_drop(owner);
}

static void read_and_drop(void)
{
	read_meta();
	mslot_frame_drop(frame);
}

static void clone_and_drop(void)
{
	MODEL_CHECK(mslot_frame_clone(frame));
	read_and_drop();
	read_and_drop();
}

static void get_and_drop(void)
{
	enum mslot_err why = MSLOT_OK;

	if (mslot_frame_get(model_region, MODEL_PADDR(0), &why))
		read_and_drop();
	else
		MODEL_CHECK(why == MSLOT_UNIQUE || why == MSLOT_BUSY || why == MSLOT_UNUSED);
}

static void has_ended(void)
{
	MODEL_CHECK(model_count(MODEL_FAULTS) == 0 && model_count(MODEL_ENDED) == 1);
	MODEL_CHECK(!mslot_frame_get(model_region, MODEL_PADDR(0), NULL));
}

static void own(void)
{
	unique = mslot_unique_claim(model_region, MODEL_PADDR(0), &type, ones, NULL);
	MODEL_CHECK(unique);
}

static void forget(void)
{
	write_meta(unique);
	MODEL_CHECK(mslot_unique_into_raw(unique) == MODEL_PADDR(0));
}

static void restore(void)
{
	enum mslot_err why = MSLOT_OK;
	struct mslot_unique *owner = mslot_unique_from_raw(model_region, MODEL_PADDR(0), &why);

	if (!owner) {
		MODEL_CHECK(why == MSLOT_NOT_FORGOTTEN);
		return;
	}
	write_meta(owner);
	mslot_unique_drop(owner);
}

static void restore_and_forget(void)
{
	struct mslot_unique *owner = mslot_unique_from_raw(model_region, MODEL_PADDR(0), NULL);

	if (!owner)
		return;
	write_meta(owner);
	MODEL_CHECK(mslot_unique_into_raw(owner) == MODEL_PADDR(0));
}

static void get_fails(void)
{
	enum mslot_err why = MSLOT_OK;

	MODEL_CHECK(!mslot_frame_get(model_region, MODEL_PADDR(0), &why));
	MODEL_CHECK(why == MSLOT_UNIQUE || why == MSLOT_BUSY || why == MSLOT_UNUSED);
}

static void is_owned_or_has_ended(void)
{
	restore();
	has_ended();
}

/* A claim for one owner and its end, against the next claim. */
static void own_and_drop(void)
{
	struct mslot_unique *owner = mslot_unique_claim(model_region, MODEL_PADDR(0), &type, ones, NULL);

	if (!owner)
		return;
	model_add(MODEL_WON, 1);
	write_meta(owner);
	mslot_unique_drop(owner);
}

static void all_have_ended(void)
{
	MODEL_CHECK(model_count(MODEL_FAULTS) == 0 && model_count(MODEL_ENDED) == model_count(MODEL_WON));
	MODEL_CHECK(model_count(MODEL_WON) >= 1);
}

const struct model models[] = {
	{"unique/try-drop-get", 3, hold_two, has_ended, {become_owner, read_and_drop, get_and_drop}},
	{"unique/try-clone-get", 2, hold_two, has_ended, {become_owner, clone_and_drop, get_and_drop}},
	{"unique/try-try-drop", 3, hold_two, has_ended, {become_owner_and_drop, become_owner, get_and_drop}},
	{"unique/forget-restore", 3, own, is_owned_or_has_ended, {forget, restore_and_forget, restore, get_fails}},
	{"unique/own-own-get", 3, NULL, all_have_ended, {own_and_drop, own_and_drop, get_fails}},
	{0},
};
