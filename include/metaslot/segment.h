/* SPDX-License-Identifier: MIT
 *
 * Segments: contiguous frames under one handle.
 *
 * A segment holds one live reference to each of its frames. It is a value: copying the struct does not copy
 * the references, and a call that ends or empties a segment sets start and end of the caller's struct to 0.
 * Such an empty segment holds nothing, and every call but mslot_segment_drop() and _next() refuses it. So does a range
 * that the region does not have.
 *
 * May run together:  as frames do; one segment value has one user at a time.
 */
#ifndef METASLOT_SEGMENT_H
#define METASLOT_SEGMENT_H

#include <metaslot/frame.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The frames from byte address `start` to `end` (exclusive). */
struct mslot_segment {
	struct mslot_region *region;
	uint64_t start, end;
};

/**
 * Claims all frames from `start` to `end` (exclusive), or none.
 *
 * @region   covers the range
 * @start    byte address, a multiple of the frame size
 * @end      likewise, greater than `start`
 * @type     of the metadata of every frame
 * @init_fn  writes one frame's metadata (`type->meta_bytes` zeroed bytes at `meta`); called in ascending
 *           order once all frames are claimed, so never for a claim that fails; NULL leaves zeros. The thread may
 *           not be cancelled in it, or exit: the frames would stay BUSY for good
 * @ctx      handed to `init_fn`
 * @out      set on success only
 *
 * Owner:    the caller; ends with mslot_segment_drop() or mslot_segment_into_raw().
 * Order:    acquires `recycle`, releases `publish`, of each frame. Claims ascend, so of two calls that
 *           collide one gets through.
 * Progress: lock-free, O(frames); waits only at the backlog limit of a region that allows it. While it runs, its
 *           frames answer BUSY.
 * Context:  any registered thread, also inside a reader section and from on_drop.
 * Errors:   IN_USE, UNIQUE, BUSY: of the first frame that could not be had; OUT_OF_BOUND, NOT_ALIGNED: the
 *           range; INVALID: empty or backward range, `type`, `out` NULL.
 * Source:   OSTD `Segment::from_unused`.
 */
MSLOT_API MSLOT_MUST_USE enum mslot_err mslot_segment_claim(struct mslot_region *region, uint64_t start, uint64_t end,
							    const struct mslot_type *type,
							    void (*init_fn)(void *ctx, uint64_t paddr, void *meta),
							    void *ctx, struct mslot_segment *out);

/**
 * Drops the references to all frames and empties the segment.
 * Per frame as mslot_frame_drop(): a fault is told of each frame that has one, and the others are dropped all the same.
 * An empty segment, or NULL, does nothing. Source: OSTD `Segment::drop`.
 */
MSLOT_API void mslot_segment_drop(struct mslot_segment *segment);

/**
 * Takes another reference to every frame.
 *
 * @segment  stays the caller's
 * @out      set on success only
 *
 * Owner:    the caller; ends with mslot_segment_drop() or mslot_segment_into_raw().
 * Order:    relaxed, as mslot_frame_clone().
 * Progress: wait-free, O(frames).
 * Context:  any registered thread, also inside a reader section and from on_drop.
 * Errors:   INVALID: the segment is empty, or `out` is NULL or the segment itself; OVERFLOW: of a frame. Nothing has
 *           changed.
 * Faults:   dead handle, then INVALID if the handler returns; overflow.
 * Source:   OSTD `Segment::clone`.
 */
MSLOT_API MSLOT_MUST_USE enum mslot_err mslot_segment_clone(const struct mslot_segment *segment,
							    struct mslot_segment *out);

/**
 * Takes another reference to some frames of the segment. As mslot_segment_clone(), but:
 *
 * @from, @to  byte offsets of the first frame and one past the last, multiples of the frame size
 *
 * Errors:   also NOT_ALIGNED; OUT_OF_BOUND: beyond the segment; INVALID: empty or backward range.
 * Source:   OSTD `Segment::slice`, which allows an empty result; an empty handle owns nothing, so it is refused.
 */
MSLOT_API MSLOT_MUST_USE enum mslot_err mslot_segment_slice(const struct mslot_segment *segment, uint64_t from,
							    uint64_t to, struct mslot_segment *out);

/**
 * Splits at byte offset `at`: the segment keeps what is before, `out` takes the rest.
 *
 * @segment  changed on success only
 * @at       a multiple of the frame size
 * @out      set on success only
 *
 * Owner:    of `out` the caller; ends with mslot_segment_drop() or mslot_segment_into_raw().
 * Order:    none: no count changes.
 * Progress: wait-free.
 * Context:  any registered thread, also inside a reader section and from on_drop.
 * Errors:   NOT_ALIGNED; OUT_OF_BOUND: `at` is 0 or not inside; INVALID: empty segment, or `out` is NULL or the
 *           segment itself. Nothing has changed.
 * Source:   OSTD `Segment::split`.
 */
MSLOT_API MSLOT_MUST_USE enum mslot_err mslot_segment_split(struct mslot_segment *segment, uint64_t at,
							    struct mslot_segment *out);

/**
 * Takes the first frame off, as a handle of its own; NULL when none is left.
 *
 * @segment  shorter by that frame; may be empty
 *
 * Owner:    the caller; ends with mslot_frame_drop() or mslot_frame_into_raw().
 * Order:    none: no count changes.
 * Progress: wait-free.
 * Context:  any registered thread, also inside a reader section and from on_drop.
 * Source:   OSTD `Segment::next`.
 */
MSLOT_API MSLOT_MAKES_FRAME struct mslot_frame *mslot_segment_next(struct mslot_segment *segment);

/**
 * Makes a one-frame segment of a handle.
 *
 * @frame  taken on success; on failure it stays the caller's
 * @out    set on success only
 *
 * Owner:    the caller; ends with mslot_segment_drop() or mslot_segment_into_raw().
 * Order:    none: no count changes. The frame is not looked at: a dead handle makes a dead segment.
 * Progress: wait-free.
 * Context:  any registered thread, also inside a reader section and from on_drop.
 * Errors:   INVALID: `frame` or `out` NULL.
 * Source:   OSTD `Segment::from`.
 */
MSLOT_API MSLOT_MUST_USE enum mslot_err mslot_segment_from_frame(struct mslot_frame *frame, struct mslot_segment *out);

/**
 * Forgets all references and empties the segment; the range itself now stands for them.
 *
 * @segment      empty then
 * @start, @end  receive the range
 *
 * Owner:    whoever keeps the range; ends with mslot_segment_from_raw(), or frame by frame with
 *           mslot_frame_drop_raw().
 * Order:    releases `forget` of each frame.
 * Progress: wait-free, O(frames).
 * Context:  any registered thread, also inside a reader section and from on_drop.
 * Errors:   INVALID: the segment is empty, or `start` or `end` is NULL; OVERFLOW: of a frame's raw_count. Nothing has
 *           changed, with one exception: a frame forgotten before the one that failed stays forgotten if getters have
 *           brought it to the limit of live handles meanwhile.
 * Faults:   dead handle; overflow.
 * Source:   OSTD `Segment::into_raw`.
 */
MSLOT_API MSLOT_MUST_USE enum mslot_err mslot_segment_into_raw(struct mslot_segment *segment, uint64_t *start,
							       uint64_t *end);

/**
 * Restores a forgotten segment: every frame of the range, or none. Where a frame loses its last forgotten reference
 * during the call, those before it are restored for a moment: others may be told NOT_FORGOTTEN of them; and one of them
 * that is brought to the limit of forgotten references meanwhile stays restored, and a fault is told.
 *
 * @region       covers the range
 * @start, @end  byte addresses of the first frame and one past the last
 * @out          set on success only
 *
 * Owner:    the caller; ends with mslot_segment_drop() or mslot_segment_into_raw().
 * Order:    acquires `forget` of each frame.
 * Progress: lock-free, O(frames).
 * Context:  any registered thread, also inside a reader section and from on_drop.
 * Errors:   NOT_FORGOTTEN, UNIQUE: of the first frame without a forgotten reference; OUT_OF_BOUND, NOT_ALIGNED:
 *           the range; INVALID: empty or backward range, `out` NULL.
 * Faults:   overflow of a frame's live handles (then OVERFLOW if the handler returns).
 * Source:   OSTD `Segment::from_raw`.
 */
MSLOT_API MSLOT_MUST_USE enum mslot_err mslot_segment_from_raw(struct mslot_region *region, uint64_t start,
							       uint64_t end, struct mslot_segment *out);

/** Gives the type of the frames' metadata, or NULL if the segment is empty. Progress: wait-free. */
MSLOT_API const struct mslot_type *mslot_segment_type(const struct mslot_segment *segment);
/** Gives the number of frames. Progress: wait-free. */
MSLOT_API uint64_t mslot_segment_nr_frames(const struct mslot_segment *segment);

#ifdef __cplusplus
}
#endif
#endif
