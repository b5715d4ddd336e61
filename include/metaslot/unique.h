/* SPDX-License-Identifier: MIT
 *
 * Unique frames: one handle, nobody else gets in, so the metadata may be written.
 *
 * A `struct mslot_unique *` is the only reference to its frame. Whoever holds it must end it, once: with
 * mslot_unique_drop(), mslot_unique_share(), mslot_unique_into_raw() or mslot_unique_reset_as_unused().
 *
 * May run together:  a unique handle has one user at a time. Getters and claimers of its address are
 *                    refused with UNIQUE meanwhile.
 */
#ifndef METASLOT_UNIQUE_H
#define METASLOT_UNIQUE_H

#include <metaslot/frame.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Drops the handle and retires the frame.
 *
 * @unique  ended by this call; NULL does nothing
 *
 * Order:    releases `recycle` or `retire`.
 * Progress: lock-free; wait-free where no getter fails on this frame at the same time. Never waits. Runs on_drop.
 * Context:  any registered thread, also inside a reader section and from on_drop.
 * Faults:   over-drop: the frame is not unique, or its handle is forgotten.
 * Source:   OSTD `UniqueFrame::drop`.
 */
MSLOT_API void mslot_unique_drop(struct mslot_unique *unique);

/**
 * Drops the handle without giving the frame back to whoever finds free frames.
 *
 * For allocators. As mslot_unique_drop(), but no hint of the frame is made: it can be claimed by address, and
 * allocations find it only when hints have run out and they look at every slot. They may find it sooner if an old hint
 * of it is left: if it was claimed by address, found by such a look, or allocated as a shared frame by another thread.
 * Source: OSTD `UniqueFrame::reset_as_unused`.
 */
MSLOT_API void mslot_unique_reset_as_unused(struct mslot_unique *unique);

/**
 * Forgets the handle: the frame stays unique, as a bare address.
 *
 * @unique  ended by this call
 *
 * Owner:    whoever keeps the paddr; ends with mslot_unique_from_raw().
 * Order:    releases `forget`.
 * Progress: lock-free, one RMW where nobody interferes.
 * Context:  any registered thread, also inside a reader section and from on_drop.
 * Faults:   dead handle. Gives MSLOT_PADDR_NONE if the handler returns.
 * Source:   OSTD `UniqueFrame::into_raw`.
 */
MSLOT_API MSLOT_MUST_USE uint64_t mslot_unique_into_raw(struct mslot_unique *unique);

/**
 * Shares the frame: the unique handle becomes the first shared one.
 *
 * @unique  ended by this call
 *
 * Owner:    the caller; the frame handle ends as frame.h says.
 * Order:    releases `publish`.
 * Progress: wait-free, no RMW.
 * Context:  any registered thread, also inside a reader section and from on_drop.
 * Faults:   dead handle. Gives NULL if the handler returns.
 * Source:   OSTD `Frame::from(UniqueFrame)`.
 */
MSLOT_API MSLOT_MAKES_FRAME struct mslot_frame *mslot_unique_share(struct mslot_unique *unique);

/** On a call that makes a unique handle: names what ends one, so that -fanalyzer can follow it. */
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 11
#define MSLOT_MAKES_UNIQUE                                                                                             \
	__attribute__((malloc(mslot_unique_drop, 1), malloc(mslot_unique_into_raw, 1),                                 \
		       malloc(mslot_unique_reset_as_unused, 1), malloc(mslot_unique_share, 1), warn_unused_result))
#else
#define MSLOT_MAKES_UNIQUE MSLOT_MUST_USE
#endif

/* Declared without consumers in frame.h, where these are not known yet. */
MSLOT_API MSLOT_MAKES_UNIQUE struct mslot_unique *mslot_frame_try_unique(struct mslot_frame *frame,
									 enum mslot_err *why);

/**
 * Claims the unused frame at `paddr` for one owner.
 * As mslot_frame_claim(), but the handle is a unique one, and nobody can get the frame until it is shared, which is
 * when `publish` is released. Source: OSTD `UniqueFrame::from_unused`.
 */
MSLOT_API MSLOT_MAKES_UNIQUE struct mslot_unique *mslot_unique_claim(struct mslot_region *region, uint64_t paddr,
								     const struct mslot_type *type, const void *meta,
								     enum mslot_err *why);

/**
 * Restores the forgotten unique handle of a frame.
 *
 * @region  covers `paddr`
 * @paddr   given by mslot_unique_into_raw()
 * @why     set on failure; may be NULL
 *
 * Owner:    the caller; the handle ends as any unique one.
 * Order:    acquires `forget`.
 * Progress: lock-free, one RMW where nobody interferes.
 * Context:  any registered thread, also inside a reader section and from on_drop.
 * Errors:   NOT_FORGOTTEN: no unique handle is forgotten here; IN_USE: the frame is shared;
 *           OUT_OF_BOUND, NOT_ALIGNED: `paddr`.
 * Source:   OSTD `UniqueFrame::from_raw`.
 */
MSLOT_API MSLOT_MAKES_UNIQUE struct mslot_unique *mslot_unique_from_raw(struct mslot_region *region, uint64_t paddr,
									enum mslot_err *why);

/**
 * Replaces the metadata by that of another type; the frame stays unique.
 *
 * The old type's on_drop runs first. If readers may still peek at the old metadata (the frame was shared
 * under a deferred type), the call waits for a grace period before that.
 *
 * @unique  stays the caller's
 * @type    of the new metadata
 * @meta    `type->meta_bytes` bytes, copied after the old type's on_drop; not in the slot; NULL for zeros
 *
 * Order:    acquires the end of the grace period where there is one.
 * Progress: wait-free, or blocking for a grace period as said, or at the backlog limit, as a claim.
 * Context:  a registered thread; where it would have to wait, outside reader sections and on_drop.
 * Errors:   INVALID: `type`; BUSY: it would have to wait and must not, or the new type is deferred, the old one is
 *           not, and the backlog is at its limit; nothing has changed.
 * Faults:   dead handle (then UNUSED, IN_USE, BUSY, UNIQUE, OVERFLOW or OUT_OF_BOUND if the handler returns).
 * Source:   OSTD `UniqueFrame::repurpose`.
 */
MSLOT_API enum mslot_err mslot_unique_repurpose(struct mslot_unique *unique, const struct mslot_type *type,
						const void *meta);

/* The rest looks at the frame of a live handle. Context: any thread, registered or not, anywhere. */

/** Gives the frame's byte address. Progress: wait-free. */
MSLOT_API uint64_t mslot_unique_paddr(const struct mslot_unique *unique);
/** Gives the frame's region, in O(1). Progress: wait-free. */
MSLOT_API struct mslot_region *mslot_unique_region(const struct mslot_unique *unique);
/** Gives the type of the frame's metadata. Progress: wait-free. */
MSLOT_API const struct mslot_type *mslot_unique_type(const struct mslot_unique *unique);
/**
 * Gives the metadata if it is of `type`, else NULL; valid while the handle lives.
 *
 * It may be written. Where the frame was shared under a deferred type before, readers that peeked then may
 * still be reading: write what they read with atomics, or wait with mslot_synchronize() first.
 * Progress: wait-free.
 */
MSLOT_API void *mslot_unique_meta(const struct mslot_unique *unique, const struct mslot_type *type);
/** Gives the frame's payload, or NULL if the region was created without. Progress: wait-free. */
MSLOT_API void *mslot_unique_memory(const struct mslot_unique *unique);

#ifdef __cplusplus
}
#endif
#endif
