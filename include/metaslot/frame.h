/* SPDX-License-Identifier: MIT
 *
 * Shared frames: claim, get, clone, drop; forget to a bare address and restore.
 *
 * A `struct mslot_frame *` stands for one reference. Whoever holds it must end it, once: with
 * mslot_frame_drop(), with mslot_frame_into_raw(), or by a call that says it takes the handle.
 * gcc -fanalyzer checks that in the user's code (see MSLOT_MAKES_FRAME).
 *
 *   ref_count   references, forgotten ones included (OSTD: `reference_count`)
 *   raw_count   forgotten references: turned into bare addresses, not yet restored
 *   live        ref_count - raw_count: handles out there
 *
 * May run together:  all calls on one frame, by any threads, each with a reference of its own.
 *                    Two threads must not use one and the same handle while either of them ends it.
 */
#ifndef METASLOT_FRAME_H
#define METASLOT_FRAME_H

#include <metaslot/region.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mslot_frame;
struct mslot_unique;

/**
 * Drops a handle; the last reference retires the frame.
 *
 * @frame  ended by this call; NULL does nothing
 *
 * Order:    releases `last-put`; the last one acquires it, then releases `recycle` or `retire`.
 * Progress: lock-free, and never waits; wait-free where no other thread drops, forgets or restores a reference to the
 *           frame. Runs on_drop.
 * Context:  any registered thread, also inside a reader section and from on_drop.
 * Faults:   over-drop: no live handle stands for it.
 * Source:   OSTD `Frame::drop`.
 */
MSLOT_API void mslot_frame_drop(struct mslot_frame *frame);

/**
 * Forgets a handle: its reference stays, as a bare address.
 *
 * @frame  ended by this call
 *
 * Owner:    the reference now belongs to whoever keeps the paddr; ends with mslot_frame_from_raw() or
 *           mslot_frame_drop_raw().
 * Order:    releases `forget`.
 * Progress: wait-free, one RMW.
 * Context:  any registered thread, also inside a reader section and from on_drop.
 * Faults:   dead handle; overflow of raw_count. Gives MSLOT_PADDR_NONE if the handler returns.
 * Source:   OSTD `Frame::into_raw`.
 */
MSLOT_API MSLOT_MUST_USE uint64_t mslot_frame_into_raw(struct mslot_frame *frame);

/* A handle that is used after its end is found by this warning, not by the analyzer. -Wall has it on as well. Both
 * with -Wno-use-after-free and -DMSLOT_NO_WARNINGS it is off. */
#if !defined(MSLOT_NO_WARNINGS) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#pragma GCC diagnostic warning "-Wuse-after-free=2"
#endif

/** On a call that makes a frame handle: names what ends one, so that -fanalyzer can follow it. It
 *  cannot follow a handle that mslot_frame_try_unique() takes, nor segments, nor peeked pointers. */
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 11
#define MSLOT_MAKES_FRAME                                                                                              \
	__attribute__((malloc(mslot_frame_drop, 1), malloc(mslot_frame_into_raw, 1), warn_unused_result))
#else
#define MSLOT_MAKES_FRAME MSLOT_MUST_USE
#endif

/**
 * Claims the unused frame at `paddr` and returns the only handle to it.
 *
 * @region  covers `paddr`
 * @paddr   byte address, a multiple of the region's frame size
 * @type    layout of `meta`; must outlive the region
 * @meta    `type->meta_bytes` bytes, copied into the slot; NULL for zeros
 * @why     set on failure; may be NULL
 *
 * Owner:    the caller; ends with mslot_frame_drop() or mslot_frame_into_raw().
 * Order:    acquires `recycle`, releases `publish`.
 * Progress: lock-free; wait-free where no getter fails on this frame at the same time. Waits only at the
 *           backlog limit of a region that allows it.
 * Context:  any registered thread, also inside a reader section and from on_drop.
 * Errors:   IN_USE, UNIQUE, BUSY: another holder; BUSY: backlog at its limit; OUT_OF_BOUND, NOT_ALIGNED:
 *           `paddr`; INVALID: `type`.
 * Source:   OSTD `Frame::from_unused`, `MetaSlot::get_from_unused`.
 */
MSLOT_API MSLOT_MAKES_FRAME struct mslot_frame *mslot_frame_claim(struct mslot_region *region, uint64_t paddr,
								  const struct mslot_type *type, const void *meta,
								  enum mslot_err *why);

/**
 * Takes another reference to the shared frame at `paddr`. A get that is refused may write the slot, too: to scan frames
 * that may not be shared, mslot_view() is cheaper.
 *
 * @region  covers `paddr`
 * @paddr   byte address, a multiple of the region's frame size
 * @why     set on failure; may be NULL
 *
 * Owner:    the caller; ends with mslot_frame_drop() or mslot_frame_into_raw().
 * Order:    acquires `publish`.
 * Progress: wait-free, at most one RMW; at the count's limit lock-free, as a drop takes it back.
 * Context:  any registered thread, also inside a reader section and from on_drop.
 * Errors:   UNUSED, BUSY, UNIQUE: not shared; OUT_OF_BOUND, NOT_ALIGNED: `paddr`.
 * Faults:   overflow of the live handles (then OVERFLOW if the handler returns).
 * Source:   OSTD `Frame::from_in_use`.
 */
MSLOT_API MSLOT_MAKES_FRAME struct mslot_frame *mslot_frame_get(struct mslot_region *region, uint64_t paddr,
								enum mslot_err *why);

/**
 * Takes another reference to the shared frame at `paddr` if it carries metadata of `type`.
 * As mslot_frame_get(), but the type is checked after a reference is taken: a WRONG_TYPE refusal drops it again, may be
 * the last drop, and may run the other type's on_drop.
 *
 * Progress: as mslot_frame_get(); where it answers WRONG_TYPE lock-free, as mslot_frame_drop().
 * Errors:   as mslot_frame_get(); WRONG_TYPE: it carries another; INVALID: `type` is NULL.
 * Faults:   as mslot_frame_get(), and name that call.
 * Source:   OSTD `Frame::try_from`.
 */
MSLOT_API MSLOT_MAKES_FRAME struct mslot_frame *
mslot_frame_get_typed(struct mslot_region *region, uint64_t paddr, const struct mslot_type *type, enum mslot_err *why);

/**
 * Takes another reference through a handle.
 *
 * @frame  stays the caller's
 *
 * Owner:    the caller; the new handle ends with mslot_frame_drop() or mslot_frame_into_raw().
 * Order:    relaxed: the caller sees through `frame` what the new handle shows.
 * Progress: wait-free, one RMW.
 * Context:  any registered thread, also inside a reader section and from on_drop.
 * Faults:   dead handle; overflow. Gives NULL if the handler returns.
 * Source:   OSTD `Frame::clone`.
 */
MSLOT_API MSLOT_MAKES_FRAME struct mslot_frame *mslot_frame_clone(const struct mslot_frame *frame);

/**
 * Restores a handle from a forgotten reference.
 *
 * @region  covers `paddr`
 * @paddr   given by mslot_frame_into_raw() or mslot_frame_clone_into_raw()
 * @why     set on failure; may be NULL
 *
 * Owner:    the caller; ends with mslot_frame_drop() or mslot_frame_into_raw().
 * Order:    acquires `forget`.
 * Progress: lock-free, one RMW where nobody interferes.
 * Context:  any registered thread, also inside a reader section and from on_drop.
 * Errors:   NOT_FORGOTTEN: raw_count is 0; UNIQUE: the frame is unique;
 *           OUT_OF_BOUND, NOT_ALIGNED: `paddr`.
 * Faults:   overflow of the live handles (then OVERFLOW if the handler returns).
 * Source:   OSTD `Frame::from_raw`.
 */
MSLOT_API MSLOT_MAKES_FRAME struct mslot_frame *mslot_frame_from_raw(struct mslot_region *region, uint64_t paddr,
								     enum mslot_err *why);

/**
 * Clones and forgets in one step, as mapping a page does.
 *
 * @frame  stays the caller's
 *
 * Owner:    the new reference belongs to whoever keeps the paddr, as after mslot_frame_into_raw().
 * Order:    releases `forget`.
 * Progress: wait-free, one RMW.
 * Context:  any registered thread, also inside a reader section and from on_drop.
 * Faults:   dead handle; overflow of raw_count. Gives MSLOT_PADDR_NONE if the handler returns.
 */
MSLOT_API MSLOT_MUST_USE uint64_t mslot_frame_clone_into_raw(const struct mslot_frame *frame);

/**
 * Restores and drops in one step, as unmapping a page does; the last reference retires the frame.
 *
 * @region  covers `paddr`
 * @paddr   a forgotten reference
 *
 * Order:    releases `last-put`; the last one acquires it, then releases `recycle` or `retire`.
 * Progress: lock-free, one RMW where nobody interferes; never waits. Runs on_drop.
 * Context:  any registered thread, also inside a reader section and from on_drop.
 * Errors:   NOT_FORGOTTEN, UNIQUE, OUT_OF_BOUND, NOT_ALIGNED, as mslot_frame_from_raw().
 */
MSLOT_API enum mslot_err mslot_frame_drop_raw(struct mslot_region *region, uint64_t paddr);

/**
 * Makes the only handle to a frame a unique one.
 *
 * A reader that peeked before may still be looking: mslot_unique_meta() says what that means.
 *
 * @frame  taken on success; on failure it stays the caller's
 * @why    set on failure; may be NULL
 *
 * Owner:    the caller; the unique handle ends as unique.h says.
 * Order:    acquires `last-put`: all that earlier holders did is visible.
 * Progress: lock-free, one RMW where nobody interferes.
 * Context:  any registered thread, also inside a reader section and from on_drop.
 * Errors:   IN_USE: other references, forgotten ones included, are out.
 * Faults:   dead handle (then UNUSED, BUSY, UNIQUE, IN_USE or OUT_OF_BOUND if the handler returns).
 * Source:   OSTD `UniqueFrame::try_from`.
 */
MSLOT_API MSLOT_MUST_USE struct mslot_unique *mslot_frame_try_unique(struct mslot_frame *frame, enum mslot_err *why);

/* The rest looks at the frame of a live handle. Context: any thread, registered or not, anywhere. */

/** Gives the frame's byte address. Progress: wait-free. */
MSLOT_API uint64_t mslot_frame_paddr(const struct mslot_frame *frame);
/** Gives the frame's region, in O(1). Progress: wait-free. */
MSLOT_API struct mslot_region *mslot_frame_region(const struct mslot_frame *frame);
/** Gives the type of the frame's metadata. Progress: wait-free. */
MSLOT_API const struct mslot_type *mslot_frame_type(const struct mslot_frame *frame);
/** Gives the metadata if it is of `type`, else NULL; valid while the handle lives. Progress: wait-free. */
MSLOT_API const void *mslot_frame_meta(const struct mslot_frame *frame, const struct mslot_type *type);
/** Gives the frame's payload, or NULL if the region was created without. Progress: wait-free. */
MSLOT_API void *mslot_frame_memory(const struct mslot_frame *frame);
/** Gives the number of references, forgotten ones included. Order: a relaxed snapshot. Progress: wait-free. */
MSLOT_API uint32_t mslot_frame_ref_count(const struct mslot_frame *frame);
/** Gives the number of forgotten references. Order: a relaxed snapshot. Progress: wait-free. */
MSLOT_API uint32_t mslot_frame_raw_count(const struct mslot_frame *frame);

#ifdef __cplusplus
}
#endif
#endif
