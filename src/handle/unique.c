/* SPDX-License-Identifier: MIT
 *
 * Handles on unique frames.
 *
 * Promises: what unique.h says.
 * Needs:    slot.c for the moves, reclaim.c for what follows a drop and for grace periods.
 */
#include "handle/handle.h"

struct mslot_unique *mslot_unique_claim(struct mslot_region *region, uint64_t paddr, const struct mslot_type *type,
					const void *meta, enum mslot_err *why)
{
	struct slot *slot;
	uint64_t claimed;

	HARDENED_REGISTERED("mslot_unique_claim", why_null(why, MSLOT_INVALID));
	slot = claim_at(region, paddr, type, meta, &claimed, why);
	if (slot)
		slot_publish_unique(slot, claimed);
	return slot_unique(slot);
}

struct mslot_frame *mslot_unique_share(struct mslot_unique *unique)
{
	struct slot *slot = unique_slot(unique);
	uint64_t seen;

	HARDENED_REGISTERED("mslot_unique_share", NULL);
	if (LIKELY(slot_share(slot, &seen)))
		return slot_frame(slot);
	slot_fault(MSLOT_FAULT_DEAD_HANDLE, "mslot_unique_share", slot, seen);
	return NULL;
}

static void unique_retire(struct slot *slot, bool give_back, const char *call)
{
	uint64_t seen;

	if (!slot)
		return;
	if (UNLIKELY(!slot_unique_retire(slot, give_back, &seen))) {
		slot_fault(MSLOT_FAULT_OVER_DROP, call, slot, seen);
		return;
	}
	if (!give_back) {
		/* Once it is known to be the caller's, and before it is unused. */
		free_cache_forget_hot(slot);
		region_disprove_hints(slot_region(slot));
	}
	reclaim_slot(slot, state_unique_retire(seen, give_back));
}

void mslot_unique_drop(struct mslot_unique *unique)
{
	HARDENED_REGISTERED("mslot_unique_drop", );
	unique_retire(unique_slot(unique), true, "mslot_unique_drop");
}

void mslot_unique_reset_as_unused(struct mslot_unique *unique)
{
	HARDENED_REGISTERED("mslot_unique_reset_as_unused", );
	unique_retire(unique_slot(unique), false, "mslot_unique_reset_as_unused");
}

uint64_t mslot_unique_into_raw(struct mslot_unique *unique)
{
	struct slot *slot = unique_slot(unique);
	uint64_t seen;

	HARDENED_REGISTERED("mslot_unique_into_raw", MSLOT_PADDR_NONE);
	if (LIKELY(slot_unique_into_raw(slot, &seen)))
		return slot_paddr(slot_region(slot), slot);
	slot_fault(MSLOT_FAULT_DEAD_HANDLE, "mslot_unique_into_raw", slot, seen);
	return MSLOT_PADDR_NONE;
}

struct mslot_unique *mslot_unique_from_raw(struct mslot_region *region, uint64_t paddr, enum mslot_err *why)
{
	enum mslot_err err = MSLOT_OK;
	struct slot *slot;

	HARDENED_REGISTERED("mslot_unique_from_raw", why_null(why, MSLOT_INVALID));
	slot = region_slot(region, paddr, &err);
	if (slot && LIKELY(!(err = slot_unique_from_raw(slot))))
		return slot_unique(slot);
	return why_null(why, err);
}

enum mslot_err mslot_unique_repurpose(struct mslot_unique *unique, const struct mslot_type *type, const void *meta)
{
	struct slot *slot = unique_slot(unique);
	uint64_t seen = slot_word(slot);
	enum mslot_err err;

	HARDENED_REGISTERED("mslot_unique_repurpose", MSLOT_INVALID);
	if (!state_is_owned(seen)) {
		slot_fault(MSLOT_FAULT_DEAD_HANDLE, "mslot_unique_repurpose", slot, seen);
		return state_get(seen) ? state_get(seen) : MSLOT_IN_USE;
	}
	if (!type_is_valid(type))
		return MSLOT_INVALID;
	/* One more frame will wait at its end, as after a claim. */
	if (type_is_immediate(slot_type(slot))) {
		err = claim_prepare(slot_region(slot), type);
		if (err)
			return err;
	}
	if (state_of(seen) == STATE_UNIQUE_SEEN) {
		err = mslot_synchronize();
		if (err)
			return err;
		slot_publish_unique(slot, seen);
	}
	const struct mslot_type *old = slot_type(slot);
	if (old->on_drop) {
		bool was_in_on_drop = reclaim_in_on_drop;

		reclaim_in_on_drop = true;
		old->on_drop(slot->meta, slot_paddr(slot_region(slot), slot), slot_memory(slot_region(slot), slot));
		reclaim_in_on_drop = was_in_on_drop;
	}
	slot_fill(slot, type, meta);
	return MSLOT_OK;
}

uint64_t mslot_unique_paddr(const struct mslot_unique *unique)
{
	return slot_paddr(slot_region(unique_slot(unique)), unique_slot(unique));
}

struct mslot_region *mslot_unique_region(const struct mslot_unique *unique)
{
	return slot_region(unique_slot(unique));
}

const struct mslot_type *mslot_unique_type(const struct mslot_unique *unique)
{
	return slot_type(unique_slot(unique));
}

void *mslot_unique_meta(const struct mslot_unique *unique, const struct mslot_type *type)
{
	return slot_type(unique_slot(unique)) == type ? unique_slot(unique)->meta : NULL;
}

void *mslot_unique_memory(const struct mslot_unique *unique)
{
	return slot_memory(slot_region(unique_slot(unique)), unique_slot(unique));
}
