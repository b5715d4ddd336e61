/* SPDX-License-Identifier: MIT
 *
 * The operations of a walk: every public call on a handle, a frame or a segment; see walk.h.
 */
#ifndef WALK_WALK_OPS_H
#define WALK_WALK_OPS_H

#include "walk.h"

/* ---- frames ---- */

static enum mslot_err ref_claim_for(struct ref_slot *s, const struct mslot_type *type)
{
	return walk_type_is_valid(type) ? ref_claim(s) : MSLOT_INVALID;
}

static void op_claim(unsigned i, unsigned arg)
{
	const struct mslot_type *type = walk_type(arg);
	const void *meta = arg & 0x40 && walk_type_is_valid(type) && !type->on_drop ? NULL : walk_meta();
	bool unique = arg & 0x80;
	enum mslot_err bad, why = MSLOT_OK;
	uint64_t paddr = walk_paddr(i, arg, &bad);
	enum mslot_err err = bad ? bad : ref_claim_for(&walk.ref[i], type);
	const void *made = unique ? (const void *)mslot_unique_claim(walk.region, paddr, type, meta, &why)
				  : (const void *)mslot_frame_claim(walk.region, paddr, type, meta, &why);

	EXPECT(why == err);
	EXPECT(made == (err ? NULL : (const void *)walk_slot(i)));
	if (!err)
		ref_publish(&walk.ref[i], unique, type, meta ? walk.meta : 0);
}

static void op_get(unsigned i, unsigned arg)
{
	enum mslot_err bad, why = MSLOT_OK;
	uint64_t paddr = walk_paddr(i, arg, &bad);
	struct ref_answer answer = bad ? REF_ERR(bad) : ref_get(&walk.ref[i]);
	struct mslot_frame *got = mslot_frame_get(walk.region, paddr, &why);

	walk_expect(answer, why);
	EXPECT(got == (ref_is_ok(answer) ? walk_frame(i) : NULL));
}

static void op_get_typed(unsigned i, unsigned arg)
{
	const struct mslot_type *type = walk_type(arg);
	enum mslot_err bad, why = MSLOT_OK;
	uint64_t paddr = walk_paddr(i, arg, &bad);
	struct ref_answer answer = !type ? REF_ERR(MSLOT_INVALID) : bad ? REF_ERR(bad) : ref_get(&walk.ref[i]);
	struct mslot_frame *got;

	if (ref_is_ok(answer) && walk.ref[i].type != type) {
		walk.ref[i].live--;
		answer.err = MSLOT_WRONG_TYPE;
	}
	got = mslot_frame_get_typed(walk.region, paddr, type, &why);
	walk_expect(answer, why);
	EXPECT(got == (ref_is_ok(answer) ? walk_frame(i) : NULL));
}

static void op_clone(unsigned i, unsigned arg)
{
	struct ref_answer answer = ref_clone(&walk.ref[i]);
	(void)arg;

	EXPECT(mslot_frame_clone(walk_frame(i)) == (ref_is_ok(answer) ? walk_frame(i) : NULL));
	walk_expect_fault(answer.fault);
}

static void op_drop(unsigned i, unsigned arg)
{
	struct ref_answer answer = ref_put(&walk.ref[i]);
	(void)arg;

	mslot_frame_drop(NULL);
	mslot_frame_drop(walk_frame(i));
	walk_expect_fault(answer.fault);
	if (ref_is_ok(answer))
		walk_settle(i);
}

static void op_forget(unsigned i, unsigned arg)
{
	bool keep = arg & 1;
	struct ref_answer answer = ref_forget(&walk.ref[i], keep);
	uint64_t paddr = keep ? mslot_frame_clone_into_raw(walk_frame(i)) : mslot_frame_into_raw(walk_frame(i));

	EXPECT(paddr == (ref_is_ok(answer) ? WALK_PADDR(i) : MSLOT_PADDR_NONE));
	walk_expect_fault(answer.fault);
}

static void op_from_raw(unsigned i, unsigned arg)
{
	enum mslot_err bad, why = MSLOT_OK;
	uint64_t paddr = walk_paddr(i, arg, &bad);
	struct ref_answer answer = bad ? REF_ERR(bad) : ref_from_raw(&walk.ref[i]);
	struct mslot_frame *got = mslot_frame_from_raw(walk.region, paddr, &why);

	walk_expect(answer, why);
	EXPECT(got == (ref_is_ok(answer) ? walk_frame(i) : NULL));
}

static void op_drop_raw(unsigned i, unsigned arg)
{
	enum mslot_err bad;
	uint64_t paddr = walk_paddr(i, arg, &bad);
	enum mslot_err err = bad ? bad : ref_drop_raw(&walk.ref[i]);

	EXPECT(mslot_frame_drop_raw(walk.region, paddr) == err);
	if (!err)
		walk_settle(i);
}

static void op_look(unsigned i, unsigned arg)
{
	const struct ref_slot *s = &walk.ref[i];
	const struct mslot_frame *frame = walk_frame(i);
	const struct mslot_unique *unique = walk_unique(i);
	const struct mslot_type *type = &walk_types[arg % WALK_NR_TYPES];
	bool shared = s->status == MSLOT_STATUS_SHARED, owned = s->status == MSLOT_STATUS_UNIQUE;

	EXPECT(mslot_frame_paddr(frame) == WALK_PADDR(i) && mslot_unique_paddr(unique) == WALK_PADDR(i));
	EXPECT(mslot_frame_region(frame) == walk.region && mslot_unique_region(unique) == walk.region);
	EXPECT(mslot_frame_memory(frame) == walk.memory + i * WALK_FRAME);
	EXPECT(mslot_unique_memory(unique) == walk.memory + i * WALK_FRAME);
	EXPECT(mslot_frame_ref_count(frame) == (uint32_t)(shared ? s->live + s->raw : owned));
	EXPECT(mslot_frame_raw_count(frame) == (uint32_t)(shared || owned ? s->raw : 0));
	if (!shared && !owned)
		return;
	EXPECT(mslot_frame_type(frame) == s->type && mslot_unique_type(unique) == s->type);
	EXPECT(mslot_frame_meta(frame, type) == (s->type == type ? (const void *)walk_slot(i) : NULL));
	EXPECT(mslot_unique_meta(unique, type) == (s->type == type ? (void *)walk_slot(i) : NULL));
}

static void op_peek(unsigned i, unsigned arg)
{
	const struct ref_slot *s = &walk.ref[i];
	const struct mslot_type *type = arg % 8 == 7 ? NULL : &walk_types[arg % WALK_NR_TYPES];
	enum mslot_err bad, why = MSLOT_OK, err = MSLOT_OK;
	uint64_t paddr = walk_paddr(i, arg, &bad);
	const void *meta;

	if (bad)
		err = bad;
	else if (!type || ref_is_immediate(type))
		err = MSLOT_INVALID;
	else if (s->status != MSLOT_STATUS_SHARED)
		err = ref_refusal(s);
	else if (s->type != type)
		err = MSLOT_WRONG_TYPE;
	mslot_read_lock();
	meta = mslot_peek(walk.region, paddr, type, &why);
	mslot_read_unlock();
	EXPECT(why == err);
	EXPECT(meta == (err ? NULL : (const void *)walk_slot(i)));
}

/* ---- unique ---- */

static void op_try_unique(unsigned i, unsigned arg)
{
	struct ref_answer answer = ref_try_unique(&walk.ref[i]);
	enum mslot_err why = MSLOT_OK;
	(void)arg;

	EXPECT(mslot_frame_try_unique(walk_frame(i), &why) == (ref_is_ok(answer) ? walk_unique(i) : NULL));
	walk_expect(answer, why);
}

static void op_share(unsigned i, unsigned arg)
{
	struct ref_answer answer = ref_share(&walk.ref[i]);
	(void)arg;

	EXPECT(mslot_unique_share(walk_unique(i)) == (ref_is_ok(answer) ? walk_frame(i) : NULL));
	walk_expect_fault(answer.fault);
}

static void op_unique_drop(unsigned i, unsigned arg)
{
	struct ref_answer answer = ref_unique_drop(&walk.ref[i]);

	if (arg & 1)
		mslot_unique_drop(walk_unique(i));
	else
		mslot_unique_reset_as_unused(walk_unique(i));
	walk_expect_fault(answer.fault);
	if (ref_is_ok(answer))
		walk_retired(i);
}

static void op_unique_into_raw(unsigned i, unsigned arg)
{
	struct ref_answer answer = ref_unique_into_raw(&walk.ref[i]);
	(void)arg;

	EXPECT(mslot_unique_into_raw(walk_unique(i)) == (ref_is_ok(answer) ? WALK_PADDR(i) : MSLOT_PADDR_NONE));
	walk_expect_fault(answer.fault);
}

static void op_unique_from_raw(unsigned i, unsigned arg)
{
	enum mslot_err bad, why = MSLOT_OK;
	uint64_t paddr = walk_paddr(i, arg, &bad);
	enum mslot_err err = bad ? bad : ref_unique_from_raw(&walk.ref[i]);

	EXPECT(mslot_unique_from_raw(walk.region, paddr, &why) == (err ? NULL : walk_unique(i)));
	EXPECT(why == err);
}

static void op_repurpose(unsigned i, unsigned arg)
{
	const struct mslot_type *type = walk_type(arg);
	struct ref_slot *s = &walk.ref[i];
	enum mslot_err err = mslot_unique_repurpose(walk_unique(i), type, walk_meta());

	if (!ref_is_owned(s)) {
		walk_expect_fault(MSLOT_FAULT_DEAD_HANDLE);
		EXPECT(err != MSLOT_OK);
		return;
	}
	if (!walk_type_is_valid(type) || (s->seen && walk.in_section)) {
		EXPECT(err == (walk_type_is_valid(type) ? MSLOT_BUSY : MSLOT_INVALID));
		return;
	}
	EXPECT(err == MSLOT_OK);
	walk_ended(s->type);
	ref_publish(s, true, type, walk.meta);
}

#endif
