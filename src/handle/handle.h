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

/* To be called before a claim for metadata of `type`, which the region then knows: INVALID, or BUSY at the backlog
 * limit, where it may wait for room. */
enum mslot_err claim_prepare(struct mslot_region *region, const struct mslot_type *type);
/* Claims a slot that may not be in memory yet, and counts it off where the region counts its unused frames. */
enum mslot_err claim_slot(struct mslot_region *region, struct slot *slot, uint64_t *claimed);
/* Both, of the frame at `paddr`, whose metadata is written then; it is still to be published. NULL and why not. */
struct slot *claim_at(struct mslot_region *region, uint64_t paddr, const struct mslot_type *type, const void *meta,
		      uint64_t *claimed, enum mslot_err *why);
/* After a refused claim: BUSY may mean that the slot waits for a grace period, so that one is hastened. */
static inline void claim_refused(enum mslot_err err)
{
	if (err == MSLOT_BUSY)
		pace_hasten();
}

/* Shares a claimed slot of a type that the region knows. */
static inline struct mslot_frame *publish_known(struct slot *slot, const struct mslot_type *type, uintptr_t carried,
						const void *meta, uint64_t claimed)
{
	slot_fill_known(slot, type, meta);
	slot_set_type(slot, carried);
	slot_publish(slot, claimed);
	return slot_frame(slot);
}

/* Gives up a claim. */
static inline void claim_undo(struct slot *slot)
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
