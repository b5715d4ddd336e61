/* SPDX-License-Identifier: MIT
 *
 * The list of what is raced, with the library itself.
 */
#include "impl.h"

#include <string.h>

extern const struct impl impl_global_fas, impl_global_ticket, impl_global_mcs, impl_global_mutex, impl_global_rwlock;
extern const struct impl impl_slot_fas, impl_slot_ticket, impl_slot_mcs, impl_slot_mutex, impl_slot_rwlock;

bool impl_is_oversubscribed;

static const struct impl impl_mslot = {
	.name = "mslot",
	.can_defer = true,
	.region_create = mslot_region_create,
	.region_destroy = mslot_region_destroy,
	.frame_claim = mslot_frame_claim,
	.frame_get = mslot_frame_get,
	.frame_clone = mslot_frame_clone,
	.frame_drop = mslot_frame_drop,
	.frame_into_raw = mslot_frame_into_raw,
	.frame_from_raw = mslot_frame_from_raw,
	.frame_clone_into_raw = mslot_frame_clone_into_raw,
	.frame_drop_raw = mslot_frame_drop_raw,
	.frame_meta = mslot_frame_meta,
#ifndef MSLOT_INLINE_QSBR
	.read_lock = mslot_read_lock,
	.read_unlock = mslot_read_unlock,
#endif
	.peek = mslot_peek,
	.segment_claim = mslot_segment_claim,
	.segment_clone = mslot_segment_clone,
	.segment_drop = mslot_segment_drop,
	.barrier = mslot_barrier,
	.is_clean = mslot_is_clean,
};

static const struct impl *const impls[] = {
	&impl_mslot,	    &impl_global_fas,	 &impl_global_ticket, &impl_global_mcs,
	&impl_global_mutex, &impl_global_rwlock, &impl_slot_fas,      &impl_slot_ticket,
	&impl_slot_mcs,	    &impl_slot_mutex,	 &impl_slot_rwlock,   NULL,
};

const struct impl *const *impl_list(void)
{
	return impls;
}

const struct impl *impl_find(const char *name)
{
	for (const struct impl *const *impl = impls; *impl; impl++)
		if (!strcmp((*impl)->name, name))
			return *impl;
	return NULL;
}
