/* SPDX-License-Identifier: MIT
 *
 * Operations on segments and on the walk itself, and the step; see walk.h.
 */
#ifndef WALK_WALK_STEP_H
#define WALK_WALK_STEP_H

#include "walk_ops.h"

#include <metaslot/segment.h>

#include <string.h>

/* ---- segments: frames i to i + nr, which may lie past the end ---- */

static struct mslot_segment walk_segment(unsigned i, unsigned arg, unsigned *nr)
{
	*nr = arg % 3 + 1;
	return (struct mslot_segment){walk.region, WALK_PADDR(i), WALK_PADDR(i + *nr)};
}

static void walk_init(void *ctx, uint64_t paddr, void *meta)
{
	EXPECT(ctx == &walk && (paddr - WALK_BASE) / WALK_FRAME < WALK_SLOTS);
	memcpy(meta, &walk.meta, sizeof(walk.meta));
}

static void op_segment_claim(unsigned i, unsigned arg)
{
	unsigned nr, done = 0;
	struct mslot_segment want = walk_segment(i, arg, &nr), got = {0};
	const struct mslot_type *type = walk_type(arg >> 8);
	enum mslot_err err = i + nr > WALK_SLOTS ? MSLOT_OUT_OF_BOUND : MSLOT_OK;

	walk_meta();
	while (!err && done < nr && !(err = ref_claim_for(&walk.ref[i + done], type)))
		done++;
	EXPECT(mslot_segment_claim(walk.region, want.start, want.end, type, walk_init, &walk, &got) == err);
	EXPECT(!memcmp(&got, err ? &(struct mslot_segment){0} : &want, sizeof(got)));
	while (done--) {
		if (err)
			ref_recycle(&walk.ref[i + done]);
		else
			ref_publish(&walk.ref[i + done], false, type, walk.meta);
	}
}

static void op_segment_drop(unsigned i, unsigned arg)
{
	unsigned nr;
	struct mslot_segment segment = walk_segment(i, arg, &nr);
	bool fits = i + nr <= WALK_SLOTS;

	for (unsigned j = i; fits && j < i + nr; j++) {
		struct ref_answer answer = ref_put(&walk.ref[j]);
		walk_expect_fault(answer.fault);
		if (ref_is_ok(answer))
			walk_settle(j);
	}
	mslot_segment_drop(&segment);
	EXPECT(!fits || segment.end == 0);
}

/* All or nothing: the first fault undoes what was done before it, and is the one that is told. */
static enum mslot_err ref_each(unsigned i, unsigned nr, struct ref_answer (*move)(struct ref_slot *s))
{
	struct ref_slot before[WALK_SLOTS];

	if (i + nr > WALK_SLOTS)
		return MSLOT_INVALID;
	memcpy(before, walk.ref, sizeof(before));
	for (unsigned j = i; j < i + nr; j++) {
		struct ref_answer answer = move(&walk.ref[j]);
		if (ref_is_ok(answer))
			continue;
		memcpy(walk.ref, before, sizeof(before));
		walk_expect_fault(answer.fault);
		return answer.fault == MSLOT_FAULT_OVERFLOW ? MSLOT_OVERFLOW : MSLOT_INVALID;
	}
	return MSLOT_OK;
}

static struct ref_answer ref_into_raw(struct ref_slot *s)
{
	return ref_forget(s, false);
}

static void op_segment_clone(unsigned i, unsigned arg)
{
	unsigned nr;
	struct mslot_segment segment = walk_segment(i, arg, &nr), out = {0};
	enum mslot_err err = ref_each(i, nr, ref_clone);

	/* A slice of all is a clone. */
	if (arg & 0x100)
		EXPECT(mslot_segment_slice(&segment, 0, nr * WALK_FRAME, &out) == err);
	else
		EXPECT(mslot_segment_clone(&segment, &out) == err);
	EXPECT(err || !memcmp(&out, &segment, sizeof(out)));
}

static void op_segment_into_raw(unsigned i, unsigned arg)
{
	unsigned nr;
	struct mslot_segment segment = walk_segment(i, arg, &nr);
	uint64_t start = 1, end = 1;
	enum mslot_err err = ref_each(i, nr, ref_into_raw);

	EXPECT(mslot_segment_into_raw(&segment, &start, &end) == err);
	EXPECT(start == (err ? 1 : WALK_PADDR(i)) && end == (err ? 1 : WALK_PADDR(i + nr)));
	EXPECT(segment.end == (err ? WALK_PADDR(i + nr) : 0));
}

static void op_segment_from_raw(unsigned i, unsigned arg)
{
	unsigned nr;
	struct mslot_segment want = walk_segment(i, arg, &nr), out = {0};
	struct ref_slot before[WALK_SLOTS];
	struct ref_answer answer = REF_ERR(i + nr > WALK_SLOTS ? MSLOT_OUT_OF_BOUND : MSLOT_OK);

	memcpy(before, walk.ref, sizeof(before));
	for (unsigned j = i; ref_is_ok(answer) && j < i + nr; j++)
		answer = ref_from_raw(&walk.ref[j]);
	if (!ref_is_ok(answer))
		memcpy(walk.ref, before, sizeof(before));
	walk_expect(answer, mslot_segment_from_raw(walk.region, want.start, want.end, &out));
	EXPECT(out.end == (ref_is_ok(answer) ? want.end : 0));
}

/* Splitting, taking off and joining change no count. */
static void op_segment_split(unsigned i, unsigned arg)
{
	unsigned nr;
	struct mslot_segment segment = walk_segment(i, arg, &nr), rest = {0}, one = {0};

	if (i + nr > WALK_SLOTS) {
		EXPECT(mslot_segment_split(&segment, WALK_FRAME, &rest) == MSLOT_INVALID);
		EXPECT(!mslot_segment_next(&segment));
		return;
	}
	EXPECT(mslot_segment_nr_frames(&segment) == nr);
	EXPECT(mslot_segment_split(&segment, WALK_FRAME, &rest) == (nr > 1 ? MSLOT_OK : MSLOT_OUT_OF_BOUND));
	EXPECT(mslot_segment_split(&segment, 1, &rest) == MSLOT_NOT_ALIGNED);
	EXPECT(mslot_segment_next(&segment) == walk_frame(i) && segment.end == 0);
	EXPECT(mslot_segment_nr_frames(&rest) == nr - 1);
	EXPECT(mslot_segment_from_frame(walk_frame(i), &one) == MSLOT_OK);
	EXPECT(one.start == WALK_PADDR(i) && one.end == WALK_PADDR(i + 1));
}

/* ---- ranges, counts, sections ---- */

static void op_range(unsigned i, unsigned arg)
{
	uint64_t start = WALK_PADDR(i) - WALK_FRAME, end = start + (arg % 6) * WALK_FRAME;
	bool mapped = false, outside = start >= end;

	for (unsigned j = 0; j < WALK_SLOTS; j++)
		if (WALK_PADDR(j) >= start && WALK_PADDR(j) < end)
			mapped |= walk.ref[j].status != MSLOT_STATUS_RETIRED && walk.ref[j].raw;
	EXPECT(mslot_range_not_mapped(walk.region, start, end) == !mapped);
	EXPECT(mslot_range_in_region(walk.region, start, end) == (!outside && start >= WALK_BASE && end <= WALK_END));
	EXPECT(mslot_range_not_in_region(walk.region, start, end) ==
	       (outside || end <= WALK_BASE || start >= WALK_END));
}

/* Takes the counts of a shared frame to where they begin or end. */
static void op_jump(unsigned i, unsigned arg)
{
	static const int near[] = {1, 2, REF_MAX - 1, REF_MAX};
	struct ref_slot *s = &walk.ref[i];
	int live = near[arg & 3], raw = near[arg >> 2 & 3] - 1;

	if (s->status != MSLOT_STATUS_SHARED)
		return;
	/* Mostly to where they begin: from there other states are near. */
	if (arg & 0x30) {
		live = 1;
		raw = 0;
	}
	if (raw == REF_MAX - 1 && arg & 0x100)
		raw = REF_MAX;
	atomic_fetch_add_explicit(&walk_slot(i)->state,
				  (uint64_t)(live - s->live) * LIVE_ONE + (uint64_t)(raw - s->raw) * RAW_ONE,
				  memory_order_relaxed);
	s->live = live;
	s->raw = raw;
}

static void op_enter(unsigned i, unsigned arg)
{
	(void)i, (void)arg;
	/* qsbr has no sections that a call could tell to be in. */
	if (!strcmp(mslot_reclaim_flavor(), "qsbr"))
		return;
	if (!walk.in_section)
		mslot_read_lock();
	walk.in_section = true;
}

/* Once in sixteen times, as a grace period takes as long as many steps. */
static void op_leave(unsigned i, unsigned arg)
{
	(void)i;
	if (!walk.in_section || arg % 16)
		return;
	EXPECT(mslot_barrier(walk.region) == MSLOT_BUSY && mslot_synchronize() == MSLOT_BUSY);
	EXPECT(mslot_region_destroy(walk.region) == MSLOT_BUSY);
	mslot_read_unlock();
	walk.in_section = false;
	mslot_quiescent_state();
	mslot_thread_offline();
	mslot_thread_online();
	walk_sweep();
}

static const struct walk_op {
	const char *name;
	void (*run)(unsigned i, unsigned arg);
} walk_ops[] = {
	{"claim", op_claim},
	{"get", op_get},
	{"get_typed", op_get_typed},
	{"clone", op_clone},
	{"drop", op_drop},
	{"forget", op_forget},
	{"from_raw", op_from_raw},
	{"drop_raw", op_drop_raw},
	{"look", op_look},
	{"peek", op_peek},
	{"try_unique", op_try_unique},
	{"share", op_share},
	{"unique_drop", op_unique_drop},
	{"unique_into_raw", op_unique_into_raw},
	{"unique_from_raw", op_unique_from_raw},
	{"repurpose", op_repurpose},
	{"segment_claim", op_segment_claim},
	{"segment_drop", op_segment_drop},
	{"segment_clone", op_segment_clone},
	{"segment_into_raw", op_segment_into_raw},
	{"segment_from_raw", op_segment_from_raw},
	{"segment_split", op_segment_split},
	{"range", op_range},
	{"jump", op_jump},
	{"enter", op_enter},
	{"leave", op_leave},
};
#define WALK_NR_OPS (sizeof(walk_ops) / sizeof(walk_ops[0]))

static void walk_step(unsigned op, unsigned slot, unsigned arg)
{
	bool any_retired = false;

	walk.op = walk_ops[op % WALK_NR_OPS].name;
	walk.slot = slot % WALK_SLOTS;
	walk.arg = arg & 0xffff;
	walk.nr_faults = walk.nr_expected = 0;
	walk_ops[op % WALK_NR_OPS].run(walk.slot, walk.arg);
	for (unsigned i = 0; i < WALK_SLOTS; i++)
		any_retired |= walk.ref[i].status == MSLOT_STATUS_RETIRED;
	if (any_retired && !walk.in_section)
		walk_sweep();
	walk_compare();
	if (walk.step++ % 256 == 0)
		walk_compare_audit();
}

/* A fresh region, each slot of which has had a holder once, so that its handle is one. */
static void walk_begin(uint64_t seed)
{
	memset(&walk, 0, sizeof(walk));
	walk.seed = seed;
	walk.op = "begin";
	mslot_set_fault_handler(walk_on_fault, NULL);
	walk.region = mslot_region_create(
		&(struct mslot_region_config){.base_paddr = WALK_BASE, .nr_frames = WALK_SLOTS, .memory = walk.memory},
		NULL);
	EXPECT(walk.region);
	for (unsigned i = 0; i < WALK_SLOTS; i++) {
		walk_step(0, i, 0xff00);
		walk_step(4, i, 0xff00);
	}
	op_enter(0, 0);
}

/* Takes back whatever is out. */
static void walk_end(void)
{
	walk.op = "end";
	for (unsigned i = 0; i < WALK_SLOTS; i++) {
		op_jump(i, 0x30);
		if (walk.ref[i].status == MSLOT_STATUS_UNIQUE && walk.ref[i].raw)
			walk_step(14, i, 0xff00);
		walk_step(walk.ref[i].status == MSLOT_STATUS_UNIQUE ? 12 : 4, i, 0xff00);
	}
	if (walk.in_section)
		mslot_read_unlock();
	walk.in_section = false;
	walk_sweep();
	walk_compare();
	walk_compare_audit();
	EXPECT(mslot_region_destroy(walk.region) == MSLOT_OK);
	mslot_set_fault_handler(NULL, NULL);
}

#endif
