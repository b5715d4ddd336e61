/* SPDX-License-Identifier: MIT
 *
 * Handles on shared frames.
 *
 * Promises: what frame.h says. A handle is the slot's address.
 * Needs:    slot.c for the moves, reclaim.c for what follows the last put.
 * Read:     mslot_frame_claim() and mslot_frame_drop() first; the others are a move and its refusal.
 */
#include "handle/handle.h"

enum mslot_err claim_prepare(struct mslot_region *region, const struct mslot_type *type)
{
	if (UNLIKELY(!type_is_valid(type)))
		return MSLOT_INVALID;
	region_know_type(region, type);
	if (type_is_immediate(type) || LIKELY(reclaim_has_room(region)))
		return MSLOT_OK;
	return reclaim_make_room(region);
}

enum mslot_err claim_slot(struct mslot_region *region, struct slot *slot, uint64_t *claimed)
{
	uint64_t index = (uint64_t)(slot - region->slots);
	enum mslot_err err = region_is_touched(region, index) ? MSLOT_OK : region_touch(region, index);

	if (err)
		return err;
	uint64_t scarce = scarce_look(region);
	err = slot_claim(slot, claimed);
	if (!err)
		scarce_claimed(region, scarce);
	return err;
}

struct slot *claim_at(struct mslot_region *region, uint64_t paddr, const struct mslot_type *type, const void *meta,
		      uint64_t *claimed, enum mslot_err *why)
{
	enum mslot_err err = MSLOT_OK;
	struct slot *slot = region_slot(region, paddr, &err);

	if (slot)
		err = claim_prepare(region, type);
	if (!err) {
		err = claim_slot(region, slot, claimed);
		claim_refused(err);
	}
	if (err)
		return why_null(why, err);
	slot_fill(slot, type, meta);
	return slot;
}

void slot_verdict_report(struct slot *slot, struct slot_verdict verdict, const char *call)
{
	if (verdict.is_last)
		reclaim_slot(slot, state_retire(verdict.seen));
	slot_fault(verdict.fault, call, slot, verdict.seen);
}

/* The general case: whatever the fast one below does not take, refusals with their reason among it. */
static NOINLINE struct mslot_frame *claim_slow(struct mslot_region *region, uint64_t paddr,
					       const struct mslot_type *type, const void *meta, enum mslot_err *why)
{
	struct slot *slot;
	uint64_t claimed;

	HARDENED_REGISTERED("mslot_frame_claim", why_null(why, MSLOT_INVALID));
	slot = claim_at(region, paddr, type, meta, &claimed, why);
	if (slot)
		slot_publish(slot, claimed);
	return slot_frame(slot);
}

/* By the slot, so that the fast path has no need to keep `paddr`, and saves no register. */
static NOINLINE struct mslot_frame *claim_slow_at(struct mslot_region *region, const struct slot *slot,
						  const struct mslot_type *type, const void *meta, enum mslot_err *why)
{
	return claim_slow(region, slot_paddr(region, slot), type, meta, why);
}

FLATTEN struct mslot_frame *mslot_frame_claim(struct mslot_region *region, uint64_t paddr,
					      const struct mslot_type *type, const void *meta, enum mslot_err *why)
{
	uint64_t index = region_index(region, paddr);
	uintptr_t carried;

	if (UNLIKELY(index >= region->nr_frames || !region_knows_type(region, type, &carried) || !meta ||
		     !reclaim_allows_call()))
		return claim_slow(region, paddr, type, meta, why);
	struct slot *slot = &region->slots[index];
	uint64_t word = slot_word(slot), claimed;
	/* A word that is not zero was claimed before, so it is in memory. */
	if (UNLIKELY((!word && !region_is_touched(region, index)) || !slot_claim_quick(slot, word, &claimed)))
		return claim_slow_at(region, slot, type, meta, why);
	return publish_known(slot, type, carried, meta, claimed);
}

/* Says why not. At the limit of the count, what was added is given back. */
static NOINLINE struct mslot_frame *get_refused(struct mslot_region *region, uint64_t paddr, bool has_added,
						uint64_t seen, enum mslot_err *why)
{
	enum mslot_err err = MSLOT_OK;
	struct slot *slot;

	HARDENED_REGISTERED("mslot_frame_get", why_null(why, MSLOT_INVALID));
	slot = region_slot(region, paddr, &err);
	if (slot)
		err = state_get(seen);
	if (err == MSLOT_UNUSED && region_is_hole(region, region_index(region, paddr)))
		err = MSLOT_OUT_OF_BOUND;
	if (slot && !err)
		return slot_frame(slot);
	if (slot && err == MSLOT_OVERFLOW) {
		if (has_added)
			slot_verdict_settle(slot, slot_put(slot), "mslot_frame_get");
		slot_fault(MSLOT_FAULT_OVERFLOW, "mslot_frame_get", slot, seen);
	}
	return why_null(why, err);
}

FLATTEN struct mslot_frame *mslot_frame_get(struct mslot_region *region, uint64_t paddr, enum mslot_err *why)
{
	uint64_t index = region_index(region, paddr), seen = 0;
	bool has_added = false;

	/* A failed get must not bring slots into memory. */
	if (LIKELY(index < region->nr_frames && region_is_touched(region, index) && reclaim_allows_call())) {
		struct slot *slot = &region->slots[index];

		has_added = true;
		if (LIKELY(slot_get(slot, &seen)))
			return slot_frame(slot);
	}
	return get_refused(region, paddr, has_added, seen, why);
}

struct mslot_frame *mslot_frame_get_typed(struct mslot_region *region, uint64_t paddr, const struct mslot_type *type,
					  enum mslot_err *why)
{
	struct mslot_frame *frame;

	if (!type)
		return why_null(why, MSLOT_INVALID);
	frame = mslot_frame_get(region, paddr, why);
	if (frame && slot_type(frame_slot(frame)) != type) {
		mslot_frame_drop(frame);
		return why_null(why, MSLOT_WRONG_TYPE);
	}
	return frame;
}

FLATTEN struct mslot_frame *mslot_frame_clone(const struct mslot_frame *frame)
{
	struct slot *slot = frame_slot(frame);

	HARDENED_REGISTERED("mslot_frame_clone", NULL);
	return LIKELY(slot_verdict_settle(slot, slot_clone(slot), "mslot_frame_clone")) ? slot_frame(slot) : NULL;
}

static NOINLINE void drop_slow(struct slot *slot, enum slot_put tried, uint64_t seen)
{
	slot_verdict_settle(slot, slot_put_slow(slot, tried, seen), "mslot_frame_drop");
}

FLATTEN void mslot_frame_drop(struct mslot_frame *frame)
{
	struct slot *slot = frame_slot(frame);
	enum slot_put tried;
	uint64_t seen;

	HARDENED_REGISTERED("mslot_frame_drop", );
	if (UNLIKELY(!slot))
		return;
	tried = slot_put_quick(slot, &seen);
	if (tried == PUT_LAST)
		reclaim_slot(slot, seen);
	else if (UNLIKELY(tried != PUT_LEFT))
		drop_slow(slot, tried, seen);
}

static NOINLINE uint64_t forget_slow(struct slot *slot, uint64_t delta, bool has_added, uint64_t seen)
{
	const char *call = delta == INTO_RAW ? "mslot_frame_into_raw" : "mslot_frame_clone_into_raw";

	if (!slot_verdict_settle(slot, slot_forget_slow(slot, delta, has_added, seen), call))
		return MSLOT_PADDR_NONE;
	return slot_paddr(slot_region(slot), slot);
}

static inline uint64_t forget(struct slot *slot, uint64_t delta)
{
	uint64_t seen, paddr = slot_paddr(slot_region(slot), slot);
	bool has_added;

	return LIKELY(slot_forget_quick(slot, delta, &has_added, &seen)) ? paddr
									 : forget_slow(slot, delta, has_added, seen);
}

FLATTEN uint64_t mslot_frame_into_raw(struct mslot_frame *frame)
{
	HARDENED_REGISTERED("mslot_frame_into_raw", MSLOT_PADDR_NONE);
	return forget(frame_slot(frame), INTO_RAW);
}

FLATTEN uint64_t mslot_frame_clone_into_raw(const struct mslot_frame *frame)
{
	HARDENED_REGISTERED("mslot_frame_clone_into_raw", MSLOT_PADDR_NONE);
	return forget(frame_slot(frame), CLONE_INTO_RAW);
}

/* The general case, as claim_slow(). */
static NOINLINE struct mslot_frame *from_raw_slow(struct mslot_region *region, uint64_t paddr, enum mslot_err *why)
{
	enum mslot_err err = MSLOT_OK;
	struct slot *slot;

	HARDENED_REGISTERED("mslot_frame_from_raw", why_null(why, MSLOT_INVALID));
	slot = region_slot(region, paddr, &err);
	if (slot && !(err = slot_from_raw(slot)))
		return slot_frame(slot);
	if (slot && err == MSLOT_OVERFLOW)
		slot_fault(MSLOT_FAULT_OVERFLOW, "mslot_frame_from_raw", slot, slot_word(slot));
	return why_null(why, err);
}

FLATTEN struct mslot_frame *mslot_frame_from_raw(struct mslot_region *region, uint64_t paddr, enum mslot_err *why)
{
	uint64_t index = region_index(region, paddr);

	if (LIKELY(index < region->nr_frames && reclaim_allows_call() && slot_from_raw_quick(&region->slots[index])))
		return slot_frame(&region->slots[index]);
	return from_raw_slow(region, paddr, why);
}

/* The general case, as claim_slow(). */
static NOINLINE enum mslot_err drop_raw_slow(struct mslot_region *region, uint64_t paddr)
{
	enum mslot_err err = MSLOT_OK;
	uint64_t retired;
	struct slot *slot;

	HARDENED_REGISTERED("mslot_frame_drop_raw", MSLOT_INVALID);
	slot = region_slot(region, paddr, &err);
	if (slot && !(err = slot_drop_raw(slot, &retired)) && retired)
		reclaim_slot(slot, retired);
	return err;
}

FLATTEN enum mslot_err mslot_frame_drop_raw(struct mslot_region *region, uint64_t paddr)
{
	uint64_t index = region_index(region, paddr);

	if (LIKELY(index < region->nr_frames && reclaim_allows_call() && slot_drop_raw_quick(&region->slots[index])))
		return MSLOT_OK;
	return drop_raw_slow(region, paddr);
}

struct mslot_unique *mslot_frame_try_unique(struct mslot_frame *frame, enum mslot_err *why)
{
	struct slot *slot = frame_slot(frame);
	enum mslot_err err;

	HARDENED_REGISTERED("mslot_frame_try_unique", why_null(why, MSLOT_INVALID));
	err = slot_try_unique(slot, !type_is_immediate(slot_type(slot)));
	if (LIKELY(!err))
		return slot_unique(slot);
	/* IN_USE without any live handle: what others hold is forgotten references, and `frame` is dead. */
	uint64_t seen = slot_word(slot);
	if (err != MSLOT_IN_USE || (state_of(seen) == STATE_SHARED && state_live(seen) <= 0))
		slot_fault(MSLOT_FAULT_DEAD_HANDLE, "mslot_frame_try_unique", slot, seen);
	return why_null(why, err);
}

uint64_t mslot_frame_paddr(const struct mslot_frame *frame)
{
	return slot_paddr(slot_region(frame_slot(frame)), frame_slot(frame));
}

struct mslot_region *mslot_frame_region(const struct mslot_frame *frame)
{
	return slot_region(frame_slot(frame));
}

const struct mslot_type *mslot_frame_type(const struct mslot_frame *frame)
{
	return slot_type(frame_slot(frame));
}

const void *mslot_frame_meta(const struct mslot_frame *frame, const struct mslot_type *type)
{
	return slot_type(frame_slot(frame)) == type ? frame_slot(frame)->meta : NULL;
}

void *mslot_frame_memory(const struct mslot_frame *frame)
{
	return slot_memory(slot_region(frame_slot(frame)), frame_slot(frame));
}

uint32_t mslot_frame_ref_count(const struct mslot_frame *frame)
{
	return state_ref_count(slot_word(frame_slot(frame)));
}

uint32_t mslot_frame_raw_count(const struct mslot_frame *frame)
{
	return state_raw_count(slot_word(frame_slot(frame)));
}
