/* SPDX-License-Identifier: MIT
 *
 * The count of unused frames that "none is left" is said by, against drops, claims, and claims that end again.
 *
 * Proves: once it is settled, it is never less than the number of unused slots, whatever happened while a pass settled
 *         it and since. So 0 is exact.
 */
#include "model.h"
#include "table/scarce.h"

static const struct mslot_type type = {.name = "t", .meta_bytes = 8, .flags = MSLOT_TYPE_IMMEDIATE};
static struct mslot_frame *frames[MODEL_FRAMES];
static const uint64_t one = 1;

/* As alloc.c does it. */
static void settle(void)
{
	uint64_t episode = scarce_begin(model_region), nr_moving = 0;
	bool has_unused = false;

	if (!episode)
		return;
	for (unsigned i = 0; i < MODEL_FRAMES; i++) {
		struct slot *slot = &model_region->slots[i];
		uint64_t word = slot_word(slot);

		if (state_of(word) == STATE_SHARED)
			word = slot_call_attention(slot);
		has_unused |= state_of(word) == STATE_UNUSED;
		nr_moving += state_of(word) != STATE_SHARED;
	}
	if (has_unused)
		scarce_end(model_region, episode);
	else
		scarce_settle(model_region, episode, nr_moving);
}

static void hold_all(void)
{
	for (unsigned i = 0; i < MODEL_FRAMES; i++)
		MODEL_CHECK(frames[i] = mslot_frame_claim(model_region, MODEL_PADDR(i), &type, &one, NULL));
}

static void hold_all_and_settle(void)
{
	hold_all();
	settle();
	MODEL_CHECK(scarce_is_none(model_region));
}

static void drop_0(void)
{
	mslot_frame_drop(frames[0]);
}

static void drop_1(void)
{
	mslot_frame_drop(frames[1]);
}

static void claim_0(void)
{
	(void)!mslot_frame_claim(model_region, MODEL_PADDR(0), &type, &one, NULL);
}

static void claim_0_and_drop(void)
{
	mslot_frame_drop(mslot_frame_claim(model_region, MODEL_PADDR(0), &type, &one, NULL));
}

/* Frame 1 is held: what is claimed of frame 0 is given up. */
static void claim_both_in_vain(void)
{
	struct mslot_segment segment;

	(void)!mslot_segment_claim(model_region, MODEL_PADDR(0), MODEL_PADDR(2), &type, NULL, NULL, &segment);
}

static void own_0_and_drop(void)
{
	struct mslot_unique *unique = mslot_frame_try_unique(frames[0], NULL);

	MODEL_CHECK(unique);
	mslot_unique_drop(unique);
}

/* Whoever knows that a frame is unused is not told that none is. */
static void see_0(void)
{
	uint64_t word = atomic_load_explicit(&model_region->slots[0].state, memory_order_acquire);

	MODEL_CHECK(state_of(word) != STATE_UNUSED || !scarce_is_none(model_region));
}

static void has_counted_all(void)
{
	uint64_t seen = scarce_look(model_region), nr_unused = 0;

	for (unsigned i = 0; i < MODEL_FRAMES; i++)
		nr_unused += state_of(slot_word(&model_region->slots[i])) == STATE_UNUSED;
	MODEL_CHECK(!(seen & SCARCE_SETTLED) || (seen & SCARCE_COUNT) >= nr_unused);
}

static struct mslot_unique *unique_0;

static void hold_0_unique(void)
{
	MODEL_CHECK(unique_0 = mslot_unique_claim(model_region, MODEL_PADDR(0), &type, &one, NULL));
	for (unsigned i = 1; i < MODEL_FRAMES; i++)
		MODEL_CHECK(frames[i] = mslot_frame_claim(model_region, MODEL_PADDR(i), &type, &one, NULL));
}

static void share_0_and_drop(void)
{
	mslot_frame_drop(mslot_unique_share(unique_0));
}

const struct model models[] = {
	{"scarce/two-settle-share-drop", 2, hold_0_unique, has_counted_all, {settle, share_0_and_drop, settle}},
	{"scarce/settle-drop", 3, hold_all, has_counted_all, {settle, drop_0}},
	{"scarce/settle-own", 3, hold_all, has_counted_all, {settle, own_0_and_drop}},
	{"scarce/settle-drop-claim", 2, hold_all, has_counted_all, {settle, drop_0, claim_0}},
	{"scarce/settle-drop-claim-drop", 2, hold_all, has_counted_all, {settle, drop_0, claim_0_and_drop}},
	{"scarce/settle-drop-give-up", 2, hold_all, has_counted_all, {settle, drop_0, claim_both_in_vain}},
	{"scarce/settled-drop-claim-drop",
	 2,
	 hold_all_and_settle,
	 has_counted_all,
	 {drop_0, claim_0_and_drop, claim_0}},
	{"scarce/settled-drop-see", 3, hold_all_and_settle, has_counted_all, {drop_0, see_0}},
	{"scarce/settled-two-drops", 2, hold_all_and_settle, has_counted_all, {drop_0, drop_1, claim_0_and_drop}},
	{"scarce/settled-settle-again", 2, hold_all_and_settle, has_counted_all, {settle, drop_0, claim_0_and_drop}},
	{0},
};
