/* SPDX-License-Identifier: MIT
 *
 * Regions and metadata types.
 *
 * A region is a range of page frames with one 64-byte slot of metadata each. Slots are made of zeros, and
 * all zero means unused, so creating a region is one lazy mapping, whatever its size.
 *
 * May run together:  everything with everything, but mslot_region_destroy() with nothing on its region.
 */
#ifndef METASLOT_REGION_H
#define METASLOT_REGION_H

#include <metaslot/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mslot_region;

/** Bytes of metadata that a slot can hold, at its offset 0. */
#define MSLOT_META_MAX 40
/** Bytes of a slot, and its alignment. */
#define MSLOT_SLOT_BYTES 64
/** The most references of one kind (live handles; forgotten ones) that a frame can have. */
#define MSLOT_COUNT_MAX (1u << 21)

enum {
	/**
	 * The payload is plain bytes that any holder may read and write (OSTD: `AnyUFrameMeta`). For the caller to
	 * read: the library does the same with and without it.
	 */
	MSLOT_TYPE_UNTYPED = 1u << 0,
	/** No reader ever peeks at such a frame: it is recycled at its last drop, without a grace period. */
	MSLOT_TYPE_IMMEDIATE = 1u << 1,
};

/**
 * A type of metadata. Types are compared by address; each must outlive every region that
 * it is used in, and must not change meanwhile.
 * A type that is not MSLOT_TYPE_IMMEDIATE is "deferred": readers may peek, and recycling waits for them.
 */
struct mslot_type {
	const char *name;  /**< for the caller's messages, the library does not read it; may be NULL */
	size_t meta_bytes; /**< 0 to MSLOT_META_MAX */
	size_t meta_align; /**< a power of two up to 64; 0 means 1 */
	/**
	 * Called once when the last reference is gone and, for a deferred type, a grace period has passed;
	 * NULL for nothing to do. It has the slot to itself. It may call anything that does not wait, so it may drop
	 * other frames (those of immediate types with an on_drop are recycled after it has returned, so chains do not
	 * recurse), but not mslot_barrier(), mslot_synchronize(), mslot_region_destroy(), mslot_stats(), the
	 * registration calls, mslot_quiescent_state(), mslot_thread_offline() or mslot_thread_online(). It runs on the
	 * dropping thread, for a deferred type on any registered thread or the library's own. It must not block for
	 * long: grace periods wait for it. Nor may the thread be cancelled in it, or exit: the frame would stay retired
	 * for good.
	 */
	void (*on_drop)(void *meta, uint64_t paddr, void *memory);
	unsigned flags; /**< MSLOT_TYPE_*; others are INVALID */
};

/** Where frames of a NUMA node begin; they end where the next range starts, or with the region. */
struct mslot_node_range {
	uint64_t start; /**< byte address, a multiple of 64 frames above the region's base */
	unsigned node;	/**< the operating system's number of a node that has memory */
};

struct mslot_region_config {
	uint64_t base_paddr;  /**< byte address of the first frame, a multiple of the frame size */
	uint64_t nr_frames;   /**< at least 1 */
	unsigned frame_shift; /**< log2 of the frame size in bytes, 6 to 40; 0 means 12 */
	void *memory;	      /**< the payload of the first frame, the others following; or NULL */
	/**
	 * How many retired slots may wait for their grace period; 0 for no limit. Drops never wait, so claims of
	 * deferred types are refused with BUSY from
	 *   limit - min(limit / 2, threads * (64 + 2 * min(64, limit / 256)))
	 * on, where threads are the registered ones and one of the library's: room for 64 frames that each holds, and
	 * for those that it has dropped and not counted yet. The limit is passed only where more are held when claims
	 * stop, and dropped then.
	 */
	uint64_t backlog_limit;
	/**
	 * At the limit, a claim outside reader sections and on_drop waits for a grace period, and is refused only if
	 * there is no room even then.
	 */
	bool claims_may_wait;
	/**
	 * Asks the kernel for huge pages for the slots. Slots that are met in random order then cost no miss of the
	 * address translation; but the first claim among 2^15 frames takes 2 MiB of memory at once, and may wait while
	 * the kernel makes room for them.
	 */
	bool huge_pages;
	/**
	 * On which NUMA nodes the frames lie: ranges, ascending, the first at `base_paddr`, at most 1024; copied.
	 * Slots, and hints about free frames, are then put on the node of their frames, where the kernel can
	 * do that; `memory` is the caller's to place. NULL and 0: all frames count as of node 0, no memory is
	 * placed, and the machine is not looked at, which takes some milliseconds once.
	 */
	const struct mslot_node_range *node_ranges;
	unsigned nr_node_ranges;
};

/**
 * Creates a region in which every frame is unused.
 *
 * @config  copied; `memory` must outlive the region
 * @why     set on failure; may be NULL
 *
 * Owner:    the caller; ends with mslot_region_destroy().
 * Order:    none: the caller publishes the region to other threads.
 * Progress: blocking (one mapping; time and resident memory do not grow with `nr_frames`; the first region with node
 *           ranges reads the machine's topology).
 * Context:  any thread, registered or not.
 * Errors:   INVALID: `config` NULL, no frames, a shift out of range, node ranges that do not ascend from the base, a
 *           node that is not there, may not be used or has no memory; NOT_ALIGNED: `base_paddr`, or the start of a
 *           node range; OUT_OF_BOUND: the range wraps around, or a node range starts past its end; NO_MEMORY: no
 *           address space for the slots, or the machine's topology could not be read.
 * Source:   vostd `MetaRegionOwners`.
 */
MSLOT_API MSLOT_MUST_USE struct mslot_region *mslot_region_create(const struct mslot_region_config *config,
								  enum mslot_err *why);

/**
 * Recycles what is retired, and what that held until its on_drop, and frees the region. It refuses while any other
 * frame has a holder.
 *
 * @region  not used by any other thread any more; NULL does nothing
 *
 * Order:    as mslot_barrier().
 * Progress: blocking (grace periods, and walks as mslot_audit()'s).
 * Context:  any thread, registered or not, outside reader sections and on_drop.
 * Errors:   IN_USE: a handle or a forgotten reference is out, and nothing is freed. It may also be out in a retired
 *           frame of another region, if several such drop each other by on_drop before the last one drops it: then
 *           try again after mslot_barrier(). BUSY: called inside a reader section or from on_drop; NO_MEMORY: as
 *           mslot_barrier().
 */
MSLOT_API enum mslot_err mslot_region_destroy(struct mslot_region *region);

/**
 * Marks a range that is no memory (reserved, a device's, missing): a hole, until the region ends. Its frames are never
 * allocated; claim, get and peek answer OUT_OF_BOUND, restoring and raw drops NOT_FORGOTTEN, mslot_view()
 * MSLOT_STATUS_HOLE.
 *
 * @region       covers the range
 * @start, @end  byte addresses of the first frame and one past the last
 *
 * Order:    none.
 * Progress: lock-free, O(frames of the range). Frames that lie in whole, aligned groups of 512 which were never claimed
 *           cost some 68 bytes a group, nearly all of them hints, and no slot of theirs is put into memory,
 *           unless marking them has been refused 63 times.
 * Context:  a registered thread; at any time. While it runs, claims of these frames may answer BUSY, mslot_view()
 *           MSLOT_STATUS_BUSY, and allocation takes them for held.
 * Errors:   all or nothing: IN_USE, BUSY, UNIQUE, as mslot_frame_claim(): a frame is not unused; OUT_OF_BOUND: the
 *           range leaves the region, or meets a hole; NOT_ALIGNED; INVALID: no region, or an empty or backward range.
 */
MSLOT_API enum mslot_err mslot_region_mark_hole(struct mslot_region *region, uint64_t start, uint64_t end);

/** Gives the number of frames, holes included. Progress: wait-free. */
MSLOT_API uint64_t mslot_region_nr_frames(const struct mslot_region *region);
/** Gives the byte address of the first frame. Progress: wait-free. */
MSLOT_API uint64_t mslot_region_base(const struct mslot_region *region);
/** Gives log2 of the frame size in bytes. Progress: wait-free. */
MSLOT_API unsigned mslot_region_frame_shift(const struct mslot_region *region);

/**
 * Tells whether every byte of `start` to `end` (exclusive) belongs to the region.
 * An empty or backward range is never in the region. Progress: wait-free.
 */
MSLOT_API bool mslot_range_in_region(const struct mslot_region *region, uint64_t start, uint64_t end);

/**
 * Tells whether no byte of `start` to `end` (exclusive) belongs to the region.
 * True for an empty or backward range, which has no bytes. Progress: wait-free.
 */
MSLOT_API bool mslot_range_not_in_region(const struct mslot_region *region, uint64_t start, uint64_t end);

/**
 * Tells whether no frame that the range touches has a forgotten reference (a page-table entry, say).
 * Frames outside the region have none.
 *
 * Order:    relaxed: a snapshot of each frame, exact where nothing forgets or restores meanwhile.
 * Progress: wait-free, O(frames in the range).
 * Source:   vostd `paddr_range_not_mapped`.
 */
MSLOT_API bool mslot_range_not_mapped(const struct mslot_region *region, uint64_t start, uint64_t end);

#ifdef __cplusplus
}
#endif
#endif
