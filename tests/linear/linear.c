/* SPDX-License-Identifier: MIT
 *
 * Linearizability: short random programs on three threads and two frames; what each call answered, and when, is
 * recorded and must be what the sequential reference answers in some order of the calls.
 *
 * Oracle: history.c. An execution is one program under one schedule; both come from the seed.
 */
#include "history.h"
#include "pct.h"

static const struct mslot_type type = {.name = "t", .meta_bytes = 8, .flags = MSLOT_TYPE_IMMEDIATE};
static struct linear_history history;
static uint64_t choices[LINEAR_THREADS][LINEAR_OPS];
static uint64_t stamp_of_value; /* of the metadata of the first incarnation */

/* What a thread holds. */
struct hold {
	struct mslot_frame *frame[LINEAR_SLOTS];
	unsigned live[LINEAR_SLOTS];
	struct mslot_unique *unique[LINEAR_SLOTS];
};
static struct hold holds[LINEAR_THREADS];

static void choose(void)
{
	for (unsigned t = 0; t < LINEAR_THREADS; t++)
		for (unsigned i = 0; i < LINEAR_OPS; i++)
			choices[t][i] = model_random();
}

static void begin_with(bool held)
{
	choose();
	stamp_of_value = model_stamp();
	for (unsigned i = 0; i < LINEAR_SLOTS; i++)
		history.begin[i] = (struct ref_slot){.status = MSLOT_STATUS_UNUSED, .type = &type};
	if (!held)
		return;
	ref_publish(&history.begin[0], false, &type, stamp_of_value);
	holds[0].frame[0] = mslot_frame_claim(model_region, MODEL_PADDR(0), &type, &stamp_of_value, NULL);
	MODEL_CHECK(holds[0].frame[0]);
	for (unsigned t = 1; t < LINEAR_THREADS; t++)
		holds[t].frame[0] = mslot_frame_clone(holds[0].frame[0]);
	for (unsigned t = 0; t < LINEAR_THREADS; t++)
		holds[t].live[0] = 1;
	history.begin[0].live = LINEAR_THREADS;
}

static void begin_held(void)
{
	begin_with(true);
}

static void begin_unused(void)
{
	begin_with(false);
}

/* What a thread may call depends on what it holds; what needs a handle that it lacks becomes a call that makes one. */
static enum linear_op allowed(const struct hold *hold, unsigned slot, enum linear_op op)
{
	switch (op) {
	case LINEAR_CLONE:
	case LINEAR_DROP:
	case LINEAR_INTO_RAW:
	case LINEAR_CLONE_INTO_RAW:
	case LINEAR_TRY_UNIQUE:
		return hold->live[slot] ? op : LINEAR_GET;
	case LINEAR_SHARE:
	case LINEAR_UNIQUE_DROP:
	case LINEAR_UNIQUE_INTO_RAW:
		return hold->unique[slot] ? op : hold->live[slot] ? LINEAR_TRY_UNIQUE : LINEAR_CLAIM_UNIQUE;
	case LINEAR_CLAIM:
	case LINEAR_CLAIM_UNIQUE:
	case LINEAR_GET:
	case LINEAR_FROM_RAW:
	case LINEAR_DROP_RAW:
	case LINEAR_UNIQUE_FROM_RAW:
	case LINEAR_NR_OPS:
		break;
	}
	return op;
}

static void got_frame(struct hold *hold, unsigned slot, struct mslot_frame *frame)
{
	if (!frame)
		return;
	hold->frame[slot] = frame;
	hold->live[slot]++;
}

static void make_call(struct hold *hold, struct linear_call *call)
{
	const unsigned slot = call->slot;
	const uint64_t paddr = MODEL_PADDR(slot);
	struct mslot_frame *const frame = hold->frame[slot];
	struct mslot_unique *const unique = hold->unique[slot];

	switch (call->op) {
	case LINEAR_CLAIM:
		got_frame(hold, slot, mslot_frame_claim(model_region, paddr, &type, &call->value, &call->err));
		break;
	case LINEAR_CLAIM_UNIQUE:
		hold->unique[slot] = mslot_unique_claim(model_region, paddr, &type, &call->value, &call->err);
		break;
	case LINEAR_GET:
		got_frame(hold, slot, mslot_frame_get(model_region, paddr, &call->err));
		if (!call->err)
			call->value = *(const uint64_t *)mslot_frame_meta(hold->frame[slot], &type);
		break;
	case LINEAR_CLONE:
		got_frame(hold, slot, mslot_frame_clone(frame));
		break;
	case LINEAR_DROP:
		hold->live[slot]--;
		mslot_frame_drop(frame);
		break;
	case LINEAR_INTO_RAW:
		hold->live[slot]--;
		MODEL_CHECK(mslot_frame_into_raw(frame) == paddr);
		break;
	case LINEAR_CLONE_INTO_RAW:
		MODEL_CHECK(mslot_frame_clone_into_raw(frame) == paddr);
		break;
	case LINEAR_FROM_RAW:
		got_frame(hold, slot, mslot_frame_from_raw(model_region, paddr, &call->err));
		break;
	case LINEAR_DROP_RAW:
		call->err = mslot_frame_drop_raw(model_region, paddr);
		break;
	case LINEAR_TRY_UNIQUE:
		hold->unique[slot] = mslot_frame_try_unique(frame, &call->err);
		hold->live[slot] -= hold->unique[slot] != NULL;
		break;
	case LINEAR_SHARE:
		got_frame(hold, slot, mslot_unique_share(unique));
		hold->unique[slot] = NULL;
		break;
	case LINEAR_UNIQUE_DROP:
		hold->unique[slot] = NULL;
		mslot_unique_drop(unique);
		break;
	case LINEAR_UNIQUE_INTO_RAW:
		hold->unique[slot] = NULL;
		MODEL_CHECK(mslot_unique_into_raw(unique) == paddr);
		break;
	case LINEAR_UNIQUE_FROM_RAW:
		hold->unique[slot] = mslot_unique_from_raw(model_region, paddr, &call->err);
		break;
	case LINEAR_NR_OPS:
		break;
	}
}

static void run_program(unsigned t)
{
	for (unsigned i = 0; i < LINEAR_OPS; i++) {
		const unsigned slot = choices[t][i] % 8 == 7;
		struct linear_call call = {.slot = slot};

		call.op = allowed(&holds[t], slot, (enum linear_op)(choices[t][i] / 8 % LINEAR_NR_OPS));
		/* A second unique handle would take the place of the first. */
		if (holds[t].unique[slot] && (call.op == LINEAR_CLAIM_UNIQUE || call.op == LINEAR_UNIQUE_FROM_RAW))
			call.op = LINEAR_GET;
		call.called = call.value = model_stamp();
		make_call(&holds[t], &call);
		call.returned = model_stamp();
		history.call[t][i] = call;
		history.nr[t] = i + 1;
	}
}

static void run_0(void)
{
	run_program(0);
}

static void run_1(void)
{
	run_program(1);
}

static void run_2(void)
{
	run_program(2);
}

static void is_explained(void)
{
	MODEL_CHECK(model_count(MODEL_FAULTS) == 0);
	if (linear_is_explained(&history))
		return;
	linear_print(&history);
	MODEL_CHECK(!"a history that no order explains");
}

const struct model models[] = {
	{"linear/shared-by-three", 0, begin_held, is_explained, {run_0, run_1, run_2}},
	{"linear/unused", 0, begin_unused, is_explained, {run_0, run_1, run_2}},
	{0},
};
