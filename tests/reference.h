/* SPDX-License-Identifier: MIT
 *
 * The sequential reference: what each call does to a slot, in plain integers, without words, bits or atomics.
 *
 * Promises: the same answers and counts as the library, one call after the other. A call that the library makes in
 *           steps which others can see (claim, then publish; put, then retire, then recycle) is one function a step
 *           here, so that concurrent histories can be explained too.
 * Read:     docs/state-machine.md is the same in words. The random walk, the fuzzer and the linearizability checker use
 *           it; test_state.c has a specification of its own for the word.
 */
#ifndef TESTS_REFERENCE_H
#define TESTS_REFERENCE_H

#include <metaslot/metaslot.h>

#define REF_MAX ((int)MSLOT_COUNT_MAX)

struct ref_slot {
	enum mslot_status status;
	int live, raw; /* of a shared frame; of a unique one, raw is 1 while its handle is forgotten */
	bool seen;     /* unique, and readers may still look: it was shared under a deferred type */
	uint32_t generation;
	const struct mslot_type *type;
	uint64_t meta;
};

/* An error that is returned, a fault that is reported, or both. */
struct ref_answer {
	enum mslot_err err;
	enum mslot_fault_kind fault;
};

#define REF_OK ((struct ref_answer){MSLOT_OK, MSLOT_FAULT_NONE})
#define REF_ERR(err) ((struct ref_answer){err, MSLOT_FAULT_NONE})
#define REF_FAULT(fault) ((struct ref_answer){MSLOT_OK, fault})

static inline bool ref_is_ok(struct ref_answer answer)
{
	return !answer.err && !answer.fault;
}

static inline bool ref_is_immediate(const struct mslot_type *type)
{
	return type->flags & MSLOT_TYPE_IMMEDIATE;
}

/* Shared, with the last reference just put: the next step retires it, unless a getter comes first. */
static inline bool ref_is_dead(const struct ref_slot *s)
{
	return s->status == MSLOT_STATUS_SHARED && s->live == 0 && s->raw == 0;
}

/* What a getter or claimer is told of a frame that is not shared. */
static inline enum mslot_err ref_refusal(const struct ref_slot *s)
{
	switch (s->status) {
	case MSLOT_STATUS_UNUSED:
		return MSLOT_UNUSED;
	case MSLOT_STATUS_SHARED:
		return MSLOT_IN_USE;
	case MSLOT_STATUS_UNIQUE:
		return MSLOT_UNIQUE;
	case MSLOT_STATUS_HOLE:
		return MSLOT_OUT_OF_BOUND;
	case MSLOT_STATUS_BUSY:
	case MSLOT_STATUS_RETIRED:
	case MSLOT_STATUS_BROKEN:
	case MSLOT_NR_STATUSES:
		break;
	}
	return MSLOT_BUSY;
}

/* ---- claim, publish; give up ---- */

static inline enum mslot_err ref_claim(struct ref_slot *s)
{
	if (s->status != MSLOT_STATUS_UNUSED)
		return ref_is_dead(s) ? MSLOT_BUSY : ref_refusal(s);
	s->status = MSLOT_STATUS_BUSY;
	return MSLOT_OK;
}

static inline void ref_publish(struct ref_slot *s, bool unique, const struct mslot_type *type, uint64_t meta)
{
	s->status = unique ? MSLOT_STATUS_UNIQUE : MSLOT_STATUS_SHARED;
	s->live = !unique;
	s->raw = 0;
	s->seen = false;
	s->type = type;
	s->meta = meta;
}

static inline void ref_recycle(struct ref_slot *s)
{
	s->status = MSLOT_STATUS_UNUSED;
	s->live = s->raw = 0;
	s->generation = (s->generation + 1) % (1u << 17);
}

/* The last reference is gone. False if it is not: a getter came, or somebody else retired the frame. */
static inline bool ref_retire(struct ref_slot *s)
{
	if (!ref_is_dead(s))
		return false;
	s->status = MSLOT_STATUS_RETIRED;
	return true;
}

/* ---- counts ---- */

static inline struct ref_answer ref_get(struct ref_slot *s)
{
	if (s->status != MSLOT_STATUS_SHARED)
		return REF_ERR(ref_refusal(s));
	if (s->live == REF_MAX)
		return (struct ref_answer){MSLOT_OVERFLOW, MSLOT_FAULT_OVERFLOW};
	s->live++;
	return REF_OK;
}

static inline bool ref_has_handle(const struct ref_slot *s)
{
	return s->status == MSLOT_STATUS_SHARED && s->live >= 1;
}

static inline struct ref_answer ref_put(struct ref_slot *s)
{
	if (!ref_has_handle(s))
		return REF_FAULT(MSLOT_FAULT_OVER_DROP);
	s->live--;
	return REF_OK;
}

static inline struct ref_answer ref_clone(struct ref_slot *s)
{
	if (!ref_has_handle(s))
		return REF_FAULT(MSLOT_FAULT_DEAD_HANDLE);
	if (s->live == REF_MAX)
		return REF_FAULT(MSLOT_FAULT_OVERFLOW);
	s->live++;
	return REF_OK;
}

/* into_raw, and clone_into_raw where the handle is kept. */
static inline struct ref_answer ref_forget(struct ref_slot *s, bool keep)
{
	if (!ref_has_handle(s))
		return REF_FAULT(MSLOT_FAULT_DEAD_HANDLE);
	if (s->raw == REF_MAX)
		return REF_FAULT(MSLOT_FAULT_OVERFLOW);
	s->raw++;
	s->live -= !keep;
	return REF_OK;
}

static inline enum mslot_err ref_not_restorable(const struct ref_slot *s)
{
	if (s->status == MSLOT_STATUS_UNIQUE)
		return MSLOT_UNIQUE;
	return s->status == MSLOT_STATUS_SHARED && s->raw >= 1 ? MSLOT_OK : MSLOT_NOT_FORGOTTEN;
}

static inline struct ref_answer ref_from_raw(struct ref_slot *s)
{
	if (ref_not_restorable(s))
		return REF_ERR(ref_not_restorable(s));
	if (s->live == REF_MAX)
		return (struct ref_answer){MSLOT_OVERFLOW, MSLOT_FAULT_OVERFLOW};
	s->raw--;
	s->live++;
	return REF_OK;
}

static inline enum mslot_err ref_drop_raw(struct ref_slot *s)
{
	enum mslot_err err = ref_not_restorable(s);

	s->raw -= !err;
	return err;
}

/* ---- unique ---- */

static inline struct ref_answer ref_try_unique(struct ref_slot *s)
{
	if (s->status != MSLOT_STATUS_SHARED)
		return (struct ref_answer){ref_refusal(s), MSLOT_FAULT_DEAD_HANDLE};
	if (s->live == 0)
		return (struct ref_answer){MSLOT_IN_USE, MSLOT_FAULT_DEAD_HANDLE};
	if (s->live != 1 || s->raw != 0)
		return REF_ERR(MSLOT_IN_USE);
	s->status = MSLOT_STATUS_UNIQUE;
	s->live = 0;
	s->seen = !ref_is_immediate(s->type);
	return REF_OK;
}

static inline bool ref_is_owned(const struct ref_slot *s)
{
	return s->status == MSLOT_STATUS_UNIQUE && s->raw == 0;
}

static inline struct ref_answer ref_share(struct ref_slot *s)
{
	if (!ref_is_owned(s))
		return REF_FAULT(MSLOT_FAULT_DEAD_HANDLE);
	ref_publish(s, false, s->type, s->meta);
	return REF_OK;
}

static inline struct ref_answer ref_unique_drop(struct ref_slot *s)
{
	if (!ref_is_owned(s))
		return REF_FAULT(MSLOT_FAULT_OVER_DROP);
	s->status = MSLOT_STATUS_RETIRED;
	return REF_OK;
}

static inline struct ref_answer ref_unique_into_raw(struct ref_slot *s)
{
	if (!ref_is_owned(s))
		return REF_FAULT(MSLOT_FAULT_DEAD_HANDLE);
	s->raw = 1;
	return REF_OK;
}

static inline enum mslot_err ref_unique_from_raw(struct ref_slot *s)
{
	if (s->status == MSLOT_STATUS_SHARED)
		return MSLOT_IN_USE;
	if (s->status != MSLOT_STATUS_UNIQUE || s->raw != 1)
		return MSLOT_NOT_FORGOTTEN;
	s->raw = 0;
	return MSLOT_OK;
}

#endif
