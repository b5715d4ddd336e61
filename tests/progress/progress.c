/* SPDX-License-Identifier: MIT
 *
 * Progress: whatever step a thread is stopped at, the others go on.
 *
 * Proves: with `--suspend`, that no call of the fast paths waits for another thread: each thread is taken off for good
 *         at each of its atomic steps, and all others come to their end; for a deferred drop even where the one that
 *         stopped is inside a reader section. And, in all runs, that what is wait-free ends within the number of its
 *         own steps that is written here, whatever the others do.
 * Oracle: the engine's: a thread that waits for the one that is suspended never ends.
 */
#include "pct.h"

static const struct mslot_type immediate = {.name = "i", .meta_bytes = 8, .flags = MSLOT_TYPE_IMMEDIATE};
static const struct mslot_type deferred = {.name = "d", .meta_bytes = 8};
static struct mslot_frame *frame;
static const uint64_t one = 1;

#define BOUNDED(limit, statement)                                                                                      \
	do {                                                                                                           \
		unsigned steps_before = model_steps();                                                                 \
		statement;                                                                                             \
		MODEL_CHECK(model_steps() - steps_before <= (limit));                                                  \
	} while (0)

static void hold_three(void)
{
	frame = mslot_frame_claim(model_region, MODEL_PADDR(0), &immediate, &one, NULL);
	MODEL_CHECK(frame && mslot_frame_clone(frame) && mslot_frame_clone(frame));
}

static void hold_deferred(void)
{
	frame = mslot_frame_claim(model_region, MODEL_PADDR(0), &deferred, &one, NULL);
	MODEL_CHECK(frame && mslot_frame_clone(frame) && mslot_frame_clone(frame));
}

/* Each begins with one handle on the frame and ends with none. */
static void get_clone_drop(void)
{
	struct mslot_frame *got;

	model_steps_begin();
	BOUNDED(2, got = mslot_frame_get(model_region, MODEL_PADDR(0), NULL));
	MODEL_CHECK(got);
	BOUNDED(2, got = mslot_frame_clone(frame));
	MODEL_CHECK(got);
	mslot_frame_drop(got);
	mslot_frame_drop(got);
	mslot_frame_drop(frame);
	BOUNDED(3, got = mslot_frame_get(model_region, MODEL_PADDR(0), NULL));
	if (got)
		mslot_frame_drop(got);
	model_steps_end();
}

static void forget_restore(void)
{
	uint64_t paddr;

	model_steps_begin();
	BOUNDED(3, paddr = mslot_frame_clone_into_raw(frame));
	MODEL_CHECK(paddr == MODEL_PADDR(0));
	BOUNDED(3, paddr = mslot_frame_into_raw(frame));
	MODEL_CHECK(paddr == MODEL_PADDR(0));
	MODEL_CHECK(mslot_frame_from_raw(model_region, paddr, NULL) == frame);
	MODEL_CHECK(mslot_frame_drop_raw(model_region, paddr) == MSLOT_OK);
	mslot_frame_drop(frame);
	model_steps_end();
}

static void claim_drop(void)
{
	struct mslot_frame *claimed;

	mslot_frame_drop(frame);
	model_steps_begin();
	for (unsigned i = 0; i < 2; i++) {
		claimed = mslot_frame_claim(model_region, MODEL_PADDR(i), &immediate, &one, NULL);
		if (claimed)
			mslot_frame_drop(claimed);
	}
	model_steps_end();
}

static void own_share(void)
{
	struct mslot_unique *owner;
	struct mslot_frame *shared;

	model_steps_begin();
	owner = mslot_frame_try_unique(frame, NULL);
	if (owner)
		BOUNDED(2, shared = mslot_unique_share(owner));
	else
		shared = frame;
	mslot_frame_drop(shared);
	owner = mslot_unique_claim(model_region, MODEL_PADDR(0), &immediate, &one, NULL);
	if (owner) {
		MODEL_CHECK(mslot_unique_into_raw(owner) == MODEL_PADDR(0));
		owner = mslot_unique_from_raw(model_region, MODEL_PADDR(0), NULL);
		if (owner)
			mslot_unique_drop(owner);
	}
	model_steps_end();
}

/* A registered thread retires, while others may be stopped in a section; and claims again. */
static void drop_deferred(void)
{
	struct mslot_frame *claimed;

	MODEL_CHECK(mslot_thread_register() == MSLOT_OK);
	model_steps_begin();
	mslot_frame_drop(frame);
	claimed = mslot_frame_claim(model_region, MODEL_PADDR(1), &deferred, &one, NULL);
	if (claimed)
		mslot_frame_drop(claimed);
	model_steps_end();
}

static void drop_as_stranger(void)
{
	model_steps_begin();
	mslot_frame_drop(frame);
	model_steps_end();
}

static void peek(void)
{
	const uint64_t *value;

	mslot_frame_drop(frame);
	model_steps_begin();
	mslot_read_lock();
	BOUNDED(7, value = mslot_peek(model_region, MODEL_PADDR(0), &deferred, NULL));
	MODEL_CHECK(!value || *value == 1);
	mslot_read_unlock();
	model_steps_end();
}

static void no_fault(void)
{
	MODEL_CHECK(model_count(MODEL_FAULTS) == 0);
}

const struct model models[] = {
	{"progress/get-clone-drop", 0, hold_three, no_fault, {get_clone_drop, get_clone_drop, claim_drop}},
	{"progress/forget-restore", 0, hold_three, no_fault, {forget_restore, forget_restore, get_clone_drop}},
	{"progress/claim-claim", 0, hold_three, no_fault, {claim_drop, claim_drop, get_clone_drop}},
	{"progress/unique", 0, hold_three, no_fault, {own_share, get_clone_drop, claim_drop}},
	{"progress/deferred", 0, hold_deferred, no_fault, {drop_deferred, drop_deferred, peek, model_daemon}},
	{"progress/strangers", 0, hold_deferred, no_fault, {drop_as_stranger, drop_as_stranger, drop_as_stranger}},
	{0},
};
