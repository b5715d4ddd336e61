/* SPDX-License-Identifier: MIT
 *
 * Audit: reads every slot that may have been claimed, changes nothing.
 *
 * May run together:  everything; exact only while nothing changes. Otherwise a slot may be counted as busy while it
 *                    moves, and as broken while its last drop is under way.
 */
#ifndef METASLOT_AUDIT_H
#define METASLOT_AUDIT_H

#include <metaslot/region.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Who holds a frame (vostd: `MetaSlotStatus`). */
enum mslot_status {
	MSLOT_STATUS_UNUSED,
	MSLOT_STATUS_BUSY, /**< being claimed (vostd: UNDER_CONSTRUCTION) */
	MSLOT_STATUS_SHARED,
	MSLOT_STATUS_UNIQUE,
	MSLOT_STATUS_RETIRED, /**< last reference gone, not yet recycled */
	MSLOT_STATUS_HOLE,    /**< marked by mslot_region_mark_hole() */
	MSLOT_STATUS_BROKEN,  /**< no state the table knows, or counts past their limits (vostd: OVERFLOW) */
	MSLOT_NR_STATUSES
};

/** Names a status: "unused", "busy", ... Progress: wait-free. */
MSLOT_API const char *mslot_status_name(enum mslot_status status);

/** One slot, as OSTD's `MetaSlotModel`. */
struct mslot_view {
	uint64_t paddr;
	enum mslot_status status;
	uint32_t ref_count;  /**< references, forgotten ones included; a unique frame has 1 */
	uint32_t raw_count;  /**< forgotten references */
	uint32_t generation; /**< incarnations so far, modulo 2^17; a refused claim of several frames counts, too,
				and a refused hole */
	const struct mslot_type *type; /**< NULL where there is no metadata: unused, busy, hole, broken */
};

/**
 * Looks at one slot.
 *
 * @region  covers `paddr`
 * @paddr   byte address of the frame
 * @out     set on success only
 *
 * Order:    relaxed: one snapshot of the state word; the type belongs to it unless the slot moves meanwhile.
 * Progress: wait-free.
 * Context:  any thread, registered or not.
 * Errors:   OUT_OF_BOUND, NOT_ALIGNED: `paddr`; INVALID: `out` NULL. `out` is untouched then.
 */
MSLOT_API enum mslot_err mslot_view(const struct mslot_region *region, uint64_t paddr, struct mslot_view *out);

#define MSLOT_AUDIT_TYPES 16
#define MSLOT_AUDIT_BROKEN 16

/** What an audit found. */
struct mslot_audit {
	uint64_t nr_frames;
	uint64_t by_status[MSLOT_NR_STATUSES];
	uint64_t live_refs; /**< live handles of shared and unique frames */
	uint64_t raw_refs;  /**< forgotten references */
	/** Frames that carry metadata, by type; the first MSLOT_AUDIT_TYPES types met. */
	struct {
		const struct mslot_type *type;
		uint64_t frames, live_refs, raw_refs;
	} types[MSLOT_AUDIT_TYPES];
	unsigned nr_types;
	uint64_t other_types; /**< frames of further types */
	/** Broken invariants: how many, and the first MSLOT_AUDIT_BROKEN of them. */
	uint64_t nr_broken;
	struct {
		uint64_t paddr;
		const char *what;
	} broken[MSLOT_AUDIT_BROKEN];
};

/**
 * Counts the slots by state and type and checks the invariants of each.
 *
 * @out  set on success only
 *
 * Order:    relaxed snapshots.
 * Progress: wait-free; reads one byte per 512 frames, and of these 512 all slots where one was ever claimed.
 * Context:  any thread, registered or not; not while the region is destroyed.
 * Errors:   INVALID: an argument is NULL.
 */
MSLOT_API enum mslot_err mslot_audit(const struct mslot_region *region, struct mslot_audit *out);

/**
 * Tells whether no obligation is outstanding: no handle, no forgotten reference, nothing broken. Retired
 * frames are the library's to recycle, not the caller's. Order, progress and context as mslot_audit().
 */
MSLOT_API bool mslot_is_clean(const struct mslot_region *region);

#ifdef __cplusplus
}
#endif
#endif
