/* SPDX-License-Identifier: MIT
 *
 * What the handle files share: a handle is a slot's address under a distinct type.
 */
#ifndef HANDLE_HANDLE_H
#define HANDLE_HANDLE_H

#include "reclaim/reclaim.h"

#include <metaslot/frame.h>
#include <metaslot/unique.h>

static inline struct slot *frame_slot(const struct mslot_frame *frame)
{
	return (struct slot *)frame;
}

static inline struct mslot_frame *slot_frame(struct slot *slot)
{
	return (struct mslot_frame *)slot;
}

static inline struct slot *unique_slot(const struct mslot_unique *unique)
{
	return (struct slot *)unique;
}

static inline struct mslot_unique *slot_unique(struct slot *slot)
{
	return (struct mslot_unique *)slot;
}

/* Claims a slot for metadata of `type`: checks the type and the backlog first. */
enum mslot_err slot_claim_for(struct mslot_region *region, struct slot *slot, const struct mslot_type *type,
			      uint64_t *claimed);

/* Gives up a claim. */
static inline void slot_take_back(struct slot *slot)
{
	unsigned attention = give_back_begin(slot);
	slot_unclaim(slot);
	give_back(slot, attention);
}

/* Writes metadata and type of slots that are claimed, and publishes them, when all are written. */
void slots_publish(struct mslot_region *region, struct slot *slots, uint64_t nr, const struct mslot_type *type,
		   void (*init_fn)(void *ctx, uint64_t paddr, void *meta), void *ctx);

COLD void slot_verdict_report(struct slot *slot, struct slot_verdict verdict, const char *call);

/* Reclaims what a move retired, reports its fault; true if there was none. */
static inline bool slot_verdict_settle(struct slot *slot, struct slot_verdict verdict, const char *call)
{
	if (UNLIKELY(verdict.fault != MSLOT_FAULT_NONE)) {
		slot_verdict_report(slot, verdict, call);
		return false;
	}
	if (verdict.is_last)
		reclaim_slot(slot, state_retire(verdict.seen));
	return true;
}

#endif
