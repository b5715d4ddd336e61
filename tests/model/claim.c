/* SPDX-License-Identifier: MIT
 *
 * Claim against claim against get, on one frame of an immediate type.
 *
 * Proves: exactly one claimer wins; a getter that succeeds finds the winner's metadata complete, and no access to it
 *         races; what failed gets leave in the word is discarded; on_drop runs once an incarnation, after everything
 *         that holders read, and before everything that the next claimer writes.
 */
#include "model.h"

static void on_drop(void *meta, uint64_t paddr, void *memory)
{
	uint64_t *value = meta;

	(void)paddr, (void)memory;
	MODEL_CHECK(*value == 1 || *value == 2);
	*value = 99;
	model_add(MODEL_ENDED, 1);
}

static const struct mslot_type type = {.name = "t", .meta_bytes = 8, .on_drop = on_drop, .flags = MSLOT_TYPE_IMMEDIATE};

static struct mslot_frame *claim(uint64_t value)
{
	enum mslot_err why = MSLOT_OK;
	struct mslot_frame *frame = mslot_frame_claim(model_region, MODEL_PADDR(0), &type, &value, &why);

	if (frame)
		model_add(MODEL_WON, 1);
	else
		MODEL_CHECK(why == MSLOT_BUSY || why == MSLOT_IN_USE);
	return frame;
}

static void claim_read_drop(uint64_t value)
{
	struct mslot_frame *frame = claim(value);

	if (!frame)
		return;
	MODEL_CHECK(*(const uint64_t *)mslot_frame_meta(frame, &type) == value);
	mslot_frame_drop(frame);
}

static void claim_1(void)
{
	claim_read_drop(1);
}

static void claim_2(void)
{
	claim_read_drop(2);
}

static void get_read_drop(void)
{
	enum mslot_err why = MSLOT_OK;
	struct mslot_frame *frame = mslot_frame_get(model_region, MODEL_PADDR(0), &why);

	if (!frame) {
		MODEL_CHECK(why == MSLOT_UNUSED || why == MSLOT_BUSY);
		return;
	}
	const uint64_t *value = mslot_frame_meta(frame, &type);
	MODEL_CHECK(value && (*value == 1 || *value == 2));
	mslot_frame_drop(frame);
}

/* As often as it was won, it has ended, and the word shows nothing but that. */
static void all_is_over(void)
{
	struct mslot_frame *frame;
	uint64_t value = 1;

	MODEL_CHECK(model_count(MODEL_FAULTS) == 0);
	MODEL_CHECK(model_count(MODEL_WON) >= 1);
	MODEL_CHECK(model_count(MODEL_ENDED) == model_count(MODEL_WON));
	frame = mslot_frame_claim(model_region, MODEL_PADDR(0), &type, &value, NULL);
	MODEL_CHECK(frame && mslot_frame_ref_count(frame) == 1 && mslot_frame_raw_count(frame) == 0);
	mslot_frame_drop(frame);
	MODEL_CHECK(model_count(MODEL_ENDED) == model_count(MODEL_WON) + 1);
}

/* On a frame each, so that all that they share is what the region knows of the type. */
static void claim_own(unsigned frame)
{
	uint64_t value = 1;
	struct mslot_frame *mine = mslot_frame_claim(model_region, MODEL_PADDR(frame), &type, &value, NULL);

	MODEL_CHECK(mine && mslot_frame_meta(mine, &type));
	mslot_frame_drop(mine);
	MODEL_CHECK(model_count(MODEL_ENDED) >= 1);
}

static void claim_own_0(void)
{
	claim_own(0);
}

static void claim_own_1(void)
{
	claim_own(1);
}

static struct mslot_frame *kept;

/* Nobody drops what was claimed: of two, one wins. */
static void claim_and_keep(void)
{
	struct mslot_frame *frame = claim(1);

	if (frame)
		kept = frame;
}

static void one_won(void)
{
	MODEL_CHECK(model_count(MODEL_WON) == 1 && model_count(MODEL_ENDED) == 0);
	MODEL_CHECK(mslot_frame_ref_count(kept) == 1 && mslot_frame_raw_count(kept) == 0);
}

const struct model models[] = {
	{"claim/claim-claim-get", 2, NULL, all_is_over, {claim_1, claim_2, get_read_drop}},
	{"claim/claim-get", 4, NULL, all_is_over, {claim_1, get_read_drop}},
	{"claim/one-winner", 3, NULL, one_won, {claim_and_keep, claim_and_keep, get_read_drop}},
	{"claim/known-type", 3, NULL, NULL, {claim_own_0, claim_own_1}},
	{0},
};
