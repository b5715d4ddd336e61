/* SPDX-License-Identifier: MIT
 *
 * Share and repurpose against get and peek.
 *
 * Proves: whoever gets or peeks at a frame after it was claimed, shared, or repurposed and shared, finds a type and
 *         the metadata that belong together, complete; a reader that peeked before the frame became unique may go on
 *         reading: the metadata changes only after its section.
 */
#include "model.h"

static void on_drop(void *meta, uint64_t paddr, void *memory)
{
	uint64_t *value = meta;

	(void)paddr, (void)memory;
	value[0] = value[1] = 99;
	model_add(MODEL_ENDED, 1);
}

static const struct mslot_type type_a = {.name = "a", .meta_bytes = 16, .on_drop = on_drop};
static const struct mslot_type type_b = {.name = "b", .meta_bytes = 16, .on_drop = on_drop};
static const uint64_t meta_a[2] = {1, 1}, meta_b[2] = {2, 2};

/* Its frames are reused at once; nobody may peek at them, but somebody may peek at the next incarnation. */
static const struct mslot_type type_immediate = {
	.name = "i", .meta_bytes = 16, .on_drop = on_drop, .flags = MSLOT_TYPE_IMMEDIATE};

static struct mslot_frame *frame;
static struct mslot_unique *unique;

static void own(void)
{
	unique = mslot_unique_claim(model_region, MODEL_PADDR(0), &type_a, meta_a, NULL);
	MODEL_CHECK(unique);
}

static void hold(void)
{
	frame = mslot_frame_claim(model_region, MODEL_PADDR(0), &type_a, meta_a, NULL);
	MODEL_CHECK(frame);
}

static void hold_immediate(void)
{
	frame = mslot_frame_claim(model_region, MODEL_PADDR(0), &type_immediate, meta_a, NULL);
	MODEL_CHECK(frame);
}

static void drop_and_claim_deferred(void)
{
	mslot_frame_drop(frame);
	MODEL_CHECK(mslot_frame_claim(model_region, MODEL_PADDR(0), &type_b, meta_b, NULL));
}

static void claim(void)
{
	MODEL_CHECK(mslot_frame_claim(model_region, MODEL_PADDR(0), &type_a, meta_a, NULL));
}

static void claim_unique_and_share(void)
{
	own();
	MODEL_CHECK(mslot_unique_share(unique));
}

static void share(void)
{
	MODEL_CHECK(mslot_unique_share(unique));
}

static void repurpose_and_share(void)
{
	MODEL_CHECK(mslot_unique_repurpose(unique, &type_b, meta_b) == MSLOT_OK);
	MODEL_CHECK(mslot_unique_share(unique));
}

static void become_owner_repurpose_and_share(void)
{
	unique = mslot_frame_try_unique(frame, NULL);
	if (unique)
		repurpose_and_share();
}

/* Nobody could peek while it was of the immediate type, so the owner may write at once. */
static void become_owner_repurpose_write_and_share(void)
{
	static const uint64_t zeros[2];
	uint64_t *value;

	unique = mslot_frame_try_unique(frame, NULL);
	MODEL_CHECK(unique && mslot_unique_repurpose(unique, &type_b, zeros) == MSLOT_OK);
	value = mslot_unique_meta(unique, &type_b);
	value[0] = value[1] = 2;
	MODEL_CHECK(mslot_unique_share(unique));
}

static void check_meta(const uint64_t *value, uint64_t expected)
{
	if (value)
		MODEL_CHECK(value[0] == expected && value[1] == expected);
}

static void get(void)
{
	enum mslot_err why = MSLOT_OK;
	struct mslot_frame *got = mslot_frame_get(model_region, MODEL_PADDR(0), &why);

	if (!got) {
		MODEL_CHECK(why == MSLOT_UNUSED || why == MSLOT_BUSY || why == MSLOT_UNIQUE);
		return;
	}
	MODEL_CHECK(mslot_frame_type(got) == &type_a || mslot_frame_type(got) == &type_b);
	check_meta(mslot_frame_meta(got, &type_a), 1);
	check_meta(mslot_frame_meta(got, &type_b), 2);
}

static void peek(void)
{
	enum mslot_err why = MSLOT_OK;
	const uint64_t *a, *b;

	mslot_read_lock();
	a = mslot_peek(model_region, MODEL_PADDR(0), &type_a, &why);
	check_meta(a, 1);
	b = mslot_peek(model_region, MODEL_PADDR(0), &type_b, &why);
	check_meta(b, 2);
	MODEL_CHECK(why != MSLOT_INVALID);
	mslot_read_unlock();
}

static void peek_a(void)
{
	mslot_read_lock();
	check_meta(mslot_peek(model_region, MODEL_PADDR(0), &type_a, NULL), 1);
	mslot_read_unlock();
}

static void no_fault(void)
{
	MODEL_CHECK(model_count(MODEL_FAULTS) == 0);
}

const struct model models[] = {
	{"share/claim-get-peek", 3, NULL, no_fault, {claim, get, peek}},
	{"share/claim-share-get-peek", 3, NULL, no_fault, {claim_unique_and_share, get, peek}},
	{"share/share-get-peek", 3, own, no_fault, {share, get, peek}},
	{"share/repurpose-get-peek", 3, own, no_fault, {repurpose_and_share, get, peek}},
	{"share/reader-of-before", 3, hold, no_fault, {become_owner_repurpose_and_share, peek_a, model_daemon}},
	{"share/repurpose-peek", 3, hold, no_fault, {become_owner_repurpose_and_share, peek, model_daemon}},
	{"share/immediate-then-deferred", 4, hold_immediate, no_fault, {drop_and_claim_deferred, peek}},
	{"share/immediate-repurposed", 4, hold_immediate, no_fault, {become_owner_repurpose_write_and_share, peek}},
	{0},
};
