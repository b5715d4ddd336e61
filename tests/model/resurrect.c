/* SPDX-License-Identifier: MIT
 *
 * Resurrection against last put, over two incarnations (the ABA of a count that is zero again).
 *
 * Proves: a put that took the count to zero and stalled does not end the next incarnation, whose count is zero as
 *         well: whoever is told that it was the last has dropped a reference of that very incarnation.
 */
#include "model.h"

static const uint64_t first = 1, second = 2;
static _Thread_local uint64_t dropped; /* the incarnation that this thread last dropped */
static struct mslot_frame *frame;

static void on_drop(void *meta, uint64_t paddr, void *memory)
{
	uint64_t *value = meta;

	(void)paddr, (void)memory;
	MODEL_CHECK(dropped == *value);
	*value = 99;
	model_add(MODEL_ENDED, 1);
}

static const struct mslot_type type = {.name = "t", .meta_bytes = 8, .on_drop = on_drop, .flags = MSLOT_TYPE_IMMEDIATE};

static void hold_two(void)
{
	frame = mslot_frame_claim(model_region, MODEL_PADDR(0), &type, &first, NULL);
	MODEL_CHECK(frame && mslot_frame_clone(frame));
	model_add(MODEL_WON, 1);
}

static void drop(void)
{
	dropped = *(const uint64_t *)mslot_frame_meta(frame, &type);
	mslot_frame_drop(frame);
}

static void get_drop(void)
{
	if (mslot_frame_get(model_region, MODEL_PADDR(0), NULL))
		drop();
}

/* Resurrects, ends the first incarnation, and begins the second with two handles. */
static void resurrect_and_reuse(void)
{
	get_drop();
	if (!mslot_frame_claim(model_region, MODEL_PADDR(0), &type, &second, NULL))
		return;
	model_add(MODEL_WON, 1);
	drop();
}

static void drop_then_get(void)
{
	drop();
	get_drop();
}

static void all_have_ended(void)
{
	MODEL_CHECK(model_count(MODEL_FAULTS) == 0);
	MODEL_CHECK(model_count(MODEL_ENDED) == model_count(MODEL_WON));
	MODEL_CHECK(!mslot_frame_get(model_region, MODEL_PADDR(0), NULL));
}

const struct model models[] = {
	{"resurrect/two-incarnations", 3, hold_two, all_have_ended, {drop, drop_then_get, resurrect_and_reuse}},
	{"resurrect/storm",
	 2,
	 hold_two,
	 all_have_ended,
	 {drop, drop_then_get, resurrect_and_reuse, resurrect_and_reuse}},
	{0},
};
