/* SPDX-License-Identifier: MIT
 *
 * A segment's claim against claims, drops and gets of its frames.
 *
 * Proves: all or nothing: of two claims that collide at most one has each frame and the other leaves no trace; a claim
 *         that gave up passes on what came before it: the next claimer's writes come after the last holder's accesses.
 *         And a restore that is refused takes no reference from others.
 */
#include "model.h"

static void on_drop(void *meta, uint64_t paddr, void *memory)
{
	(void)paddr, (void)memory;
	*(uint64_t *)meta = 99;
	model_add(MODEL_ENDED, 1);
}

static const struct mslot_type type = {.name = "t", .meta_bytes = 8, .on_drop = on_drop, .flags = MSLOT_TYPE_IMMEDIATE};
static struct mslot_frame *frames[MODEL_FRAMES];
static const uint64_t one = 1;

static void hold_two(void)
{
	for (unsigned i = 0; i < 2; i++) {
		frames[i] = mslot_frame_claim(model_region, MODEL_PADDR(i), &type, &one, NULL);
		MODEL_CHECK(frames[i]);
	}
}

static void drop_0(void)
{
	mslot_frame_drop(frames[0]);
}

static void init(void *ctx, uint64_t paddr, void *meta)
{
	(void)ctx, (void)paddr;
	*(uint64_t *)meta = 1;
}

static void claim_segment(void)
{
	struct mslot_segment segment;
	enum mslot_err err =
		mslot_segment_claim(model_region, MODEL_PADDR(0), MODEL_PADDR(2), &type, init, NULL, &segment);

	MODEL_CHECK(!err || err == MSLOT_IN_USE || err == MSLOT_BUSY);
	if (err)
		return;
	model_add(MODEL_WON, 2);
	mslot_segment_drop(&segment);
}

static void claim_segment_fails(void)
{
	struct mslot_segment segment;

	MODEL_CHECK(mslot_segment_claim(model_region, MODEL_PADDR(0), MODEL_PADDR(2), &type, init, NULL, &segment));
}

static void claim_drop(unsigned i)
{
	struct mslot_frame *frame = mslot_frame_claim(model_region, MODEL_PADDR(i), &type, &one, NULL);

	if (!frame)
		return;
	model_add(MODEL_WON, 1);
	MODEL_CHECK(*(const uint64_t *)mslot_frame_meta(frame, &type) == 1);
	mslot_frame_drop(frame);
}

static void claim_0(void)
{
	claim_drop(0);
}

static void claim_1(void)
{
	claim_drop(1);
}

static void get_1(void)
{
	struct mslot_frame *frame = mslot_frame_get(model_region, MODEL_PADDR(1), NULL);

	if (!frame)
		return;
	MODEL_CHECK(*(const uint64_t *)mslot_frame_meta(frame, &type) == 1);
	mslot_frame_drop(frame);
}

static void hold_two_forget_0(void)
{
	hold_two();
	MODEL_CHECK(mslot_frame_into_raw(frames[0]) == MODEL_PADDR(0));
}

static void restore_in_vain(void)
{
	struct mslot_segment segment;
	enum mslot_err err = mslot_segment_from_raw(model_region, MODEL_PADDR(0), MODEL_PADDR(2), &segment);

	MODEL_CHECK(err == MSLOT_NOT_FORGOTTEN);
}

static void restore_0(void)
{
	MODEL_CHECK(mslot_frame_from_raw(model_region, MODEL_PADDR(0), NULL) == frames[0]);
}

static void both_are_held(void)
{
	MODEL_CHECK(model_count(MODEL_FAULTS) == 0);
	for (unsigned i = 0; i < 2; i++)
		MODEL_CHECK(mslot_frame_ref_count(frames[i]) == 1 && mslot_frame_raw_count(frames[i]) == 0);
}

static void each_has_ended(void)
{
	MODEL_CHECK(model_count(MODEL_FAULTS) == 0);
	MODEL_CHECK(model_count(MODEL_ENDED) == model_count(MODEL_WON));
	claim_0();
	claim_1();
	MODEL_CHECK(model_count(MODEL_ENDED) == model_count(MODEL_WON));
}

static void first_has_ended(void)
{
	MODEL_CHECK(model_count(MODEL_FAULTS) == 0);
	MODEL_CHECK(model_count(MODEL_ENDED) == model_count(MODEL_WON) + 1);
	MODEL_CHECK(mslot_frame_ref_count(frames[1]) == 1);
}

const struct model models[] = {
	{"segment/claim-and-give-up", 3, hold_two, first_has_ended, {drop_0, claim_segment_fails, claim_0}},
	{"segment/restore-in-vain", 3, hold_two_forget_0, both_are_held, {restore_in_vain, restore_0}},
	{"segment/two-collide", 2, NULL, each_has_ended, {claim_segment, claim_segment}},
	{"segment/claim-frame-get", 2, NULL, each_has_ended, {claim_segment, claim_1, get_1}},
	{0},
};
