/* SPDX-License-Identifier: MIT
 *
 * Reader sections, and what may be looked at inside one without a reference.
 *
 * Promises: what a peek found is not recycled before its section ends.
 * Needs:    grace.h for the sections, slot.c for the two looks of a peek.
 * Read:     mslot_peek().
 */
#include "reclaim/grace.h"
#include "reclaim/reclaim.h"

/* qsbr has no sections to be in. The library's own, around an on_drop, are none of the caller's. */
#if defined(MSLOT_HARDENED) && !defined(MSLOT_FLAVOR_QSBR)
static _Thread_local unsigned nr_entered;
#define HARDENED_ENTER() nr_entered++
#define HARDENED_LEAVE() nr_entered--
#define HARDENED_LEAVE_ALL() nr_entered = 0
#define HARDENED_IN_SECTION(call, result)                                                                              \
	do {                                                                                                           \
		if (UNLIKELY(!nr_entered)) {                                                                           \
			slot_fault(MSLOT_FAULT_NO_SECTION, call, NULL, 0);                                             \
			return result;                                                                                 \
		}                                                                                                      \
	} while (0)
#else
#define HARDENED_ENTER() ((void)0)
#define HARDENED_LEAVE() ((void)0)
#define HARDENED_LEAVE_ALL() ((void)0)
#define HARDENED_IN_SECTION(call, result) ((void)0)
#endif

#if defined(MSLOT_FLAVOR_QSBR) && !defined(MSLOT_HARDENED)
MSLOT_API extern const char mslot_flavor_is_qsbr;
const char mslot_flavor_is_qsbr = 1;
#endif

void mslot_read_lock(void)
{
	HARDENED_REGISTERED("mslot_read_lock", );
	HARDENED_ENTER();
	grace_read_lock();
}

void mslot_read_unlock(void)
{
	HARDENED_REGISTERED("mslot_read_unlock", );
	HARDENED_IN_SECTION("mslot_read_unlock", );
	HARDENED_LEAVE();
	grace_read_unlock();
}

void reclaim_leave_sections(void)
{
	HARDENED_LEAVE_ALL();
	while (grace_in_section())
		grace_read_unlock();
}

/* The general case: refusals with their reason. */
static NOINLINE const void *peek_slow(const struct mslot_region *region, uint64_t paddr, const struct mslot_type *type,
				      enum mslot_err *why)
{
	enum mslot_err err = MSLOT_OK;
	struct slot *slot;

	slot = region_slot(region, paddr, &err);
	if (slot)
		err = !type || type_is_immediate(type) ? MSLOT_INVALID : slot_peek(slot, type);
	if (err == MSLOT_UNUSED && region_is_hole(region, region_index(region, paddr)))
		err = MSLOT_OUT_OF_BOUND;
	if (!err)
		return slot->meta;
	return why_null(why, err);
}

FLATTEN const void *mslot_peek(struct mslot_region *region, uint64_t paddr, const struct mslot_type *type,
			       enum mslot_err *why)
{
	HARDENED_REGISTERED("mslot_peek", why_null(why, MSLOT_INVALID));
	HARDENED_IN_SECTION("mslot_peek", why_null(why, MSLOT_INVALID));
	uint64_t index = region_index(region, paddr);

	/* An immediate type is not what its slots carry. */
	if (LIKELY(index < region->nr_frames && slot_peek_quick(&region->slots[index], type)))
		return region->slots[index].meta;
	return peek_slow(region, paddr, type, why);
}

void mslot_quiescent_state(void)
{
	HARDENED_REGISTERED("mslot_quiescent_state", );
	grace_quiescent_state();
}

void mslot_thread_offline(void)
{
	HARDENED_REGISTERED("mslot_thread_offline", );
	grace_offline();
}

void mslot_thread_online(void)
{
	HARDENED_REGISTERED("mslot_thread_online", );
	grace_online();
}

const char *mslot_reclaim_flavor(void)
{
	return GRACE_NAME;
}
