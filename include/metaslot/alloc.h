/* SPDX-License-Identifier: MIT
 *
 * Finds free frames and claims them: one frame, a unique one, a run.
 *
 * Frames that were allocated and frames that were claimed by address are the same, and mix freely: any of them is
 * dropped as frame.h, unique.h and segment.h say, and is found again here. Which frame is free is only ever
 * decided by its slot; what is remembered beside the slots are hints.
 *
 * May run together:  everything with everything.
 */
#ifndef METASLOT_ALLOC_H
#define METASLOT_ALLOC_H

#include <metaslot/frame.h>
#include <metaslot/segment.h>
#include <metaslot/unique.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
	/** Fills the frame's payload with zeros; INVALID where the region has no `memory`. */
	MSLOT_ALLOC_ZEROED = 1u << 0,
	/**
	 * Where no frame is found by hints and some frames of any region are retired, waits for a grace period before
	 * it answers NO_MEMORY: tens of microseconds, hundreds where all processors are busy, and as long as reader
	 * sections stay. A caller that drops one frame to allocate one pays that each time; a few spare frames avoid
	 * it.
	 */
	MSLOT_ALLOC_MAY_WAIT = 1u << 1,
	/**
	 * Only frames of `node`, by the region's node ranges; INVALID where none is of it. Without this flag, frames of
	 * the caller's node come first, then those of the others by their distance from it.
	 */
	MSLOT_ALLOC_ON_NODE = 1u << 2,
};

/** How to allocate; all zero, or NULL in its place, is the default. */
struct mslot_alloc_options {
	unsigned flags; /**< MSLOT_ALLOC_* */
	unsigned node;	/**< the operating system's number of a NUMA node; read with MSLOT_ALLOC_ON_NODE only */
};

/**
 * Claims any unused frame and returns the only handle to it.
 *
 * @type     layout of `meta`; must outlive the region
 * @meta     `type->meta_bytes` bytes, copied into the slot; NULL for zeros
 * @options  NULL for the default
 * @why      set on failure; may be NULL
 *
 * Owner:    the caller; ends with mslot_frame_drop() or mslot_frame_into_raw().
 * Order:    acquires `recycle`, releases `publish`.
 * Progress: lock-free; blocking with MSLOT_ALLOC_MAY_WAIT, or at the backlog limit of a region that allows it.
 *           Where hints have run out it recycles what the thread has dropped before, and so may run on_drop.
 * Context:  any registered thread; outside reader sections and on_drop if it may wait.
 * Errors:   NO_MEMORY: at some moment during the call no frame (of the node, where one is asked for) was unused, nor
 *           could become so by the wait that is allowed; BUSY: backlog at its limit, or asked to wait where that is
 *           not possible; INVALID: `type`, unknown flags, ZEROED without memory, a node that no frame is of.
 *           A frame may count as used until the call that ends its use has returned; where it waits for a grace
 *           period, until the library has recycled it and has told of it, for which mslot_barrier() waits; where
 *           its type is immediate and has an on_drop, and it is dropped from an on_drop, until that one has
 *           returned; while it is being marked as a hole, or claimed with others, even if that fails.
 *           NO_MEMORY takes microseconds the first time and a tenth of one when repeated, more where many threads
 *           allocate. It looks at every slot instead, which takes tens of milliseconds for each million: each time
 *           with MSLOT_ALLOC_MAY_WAIT; and if frames were claimed before the region's first allocation or
 *           mslot_region_mark_hole(), or a frame was reset as unused: the first time, and each time while a frame of
 *           the region is unique, or, with MSLOT_ALLOC_ON_NODE, while another node has an unused frame.
 * Source:   OSTD `FrameAllocOptions::alloc_frame_with`.
 */
MSLOT_API MSLOT_MAKES_FRAME struct mslot_frame *mslot_alloc_frame(struct mslot_region *region,
								  const struct mslot_type *type, const void *meta,
								  const struct mslot_alloc_options *options,
								  enum mslot_err *why);

/** As mslot_alloc_frame(), but gives a unique handle, which ends as unique.h says; nobody else can get the frame, and
 * `publish` is released when it is shared. */
MSLOT_API MSLOT_MAKES_UNIQUE struct mslot_unique *mslot_alloc_unique(struct mslot_region *region,
								     const struct mslot_type *type, const void *meta,
								     const struct mslot_alloc_options *options,
								     enum mslot_err *why);

/**
 * Claims any run of unused frames, all or nothing.
 *
 * @nr_frames     at least 1
 * @align_frames  a power of two, of which the first frame's number in the region is a multiple; 0 means 1
 * @init_fn       writes each frame's metadata, as for mslot_segment_claim(), and under its rules: the thread may not be
 *                cancelled in it, or exit; NULL for zeros
 * @out           untouched on failure
 *
 * Owner:    the caller; ends with mslot_segment_drop() or mslot_segment_into_raw().
 * Order, Progress, Context: as mslot_alloc_frame(). Claims ascend, so of two that collide one gets through.
 * Errors:   NO_MEMORY: at some moment during the call no fitting run was unused. It takes as long as there; while any
 *           frame is unused, some 0.3 ms for each million of frames, or a look at every slot: where other threads
 *           allocate or free meanwhile, and each time where there the first time may need one. BUSY, INVALID as
 *           there, and `nr_frames` 0 or `align_frames` no power of two.
 * Source:   OSTD `FrameAllocOptions::alloc_segment_with`.
 */
MSLOT_API MSLOT_MUST_USE enum mslot_err mslot_alloc_segment(struct mslot_region *region, uint64_t nr_frames,
							    uint64_t align_frames, const struct mslot_type *type,
							    void (*init_fn)(void *ctx, uint64_t paddr, void *meta),
							    void *ctx, const struct mslot_alloc_options *options,
							    struct mslot_segment *out);

#ifdef __cplusplus
}
#endif
#endif
