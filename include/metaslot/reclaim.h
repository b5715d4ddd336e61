/* SPDX-License-Identifier: MIT
 *
 * Reclaim: threads, reader sections, grace periods.
 *
 * A frame of a deferred type is recycled only after every reader section that could see it has ended.
 * Dropping costs no wait and no memory: retired slots are linked through themselves, in batches of one
 * grace period. The thread that retired them recycles them later, a few at each further drop; where it
 * pauses, exits or never was registered, the library's grace-period thread does.
 *
 *   flavor   reader section                                   chosen by the meson option `flavor`
 *   memb     two plain stores, membarrier(2) by the updater   (default)
 *   qsbr     nothing; threads call mslot_quiescent_state()
 *   mb       two full barriers
 *   bp       as mb, threads register themselves with liburcu
 *
 * May run together:  everything with everything.
 * fork:              the child may only exec or _exit; the library does not continue there.
 */
#ifndef METASLOT_RECLAIM_H
#define METASLOT_RECLAIM_H

#include <metaslot/region.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Registers the calling thread, before its first call on a handle or a region (but create).
 *
 * A thread that ends registered is unregistered then.
 *
 * Order:    a mutex orders it against the grace-period thread.
 * Progress: blocking (a mutex; allocates).
 * Context:  a thread that is not registered, with the library or with liburcu's flavor of it.
 * Errors:   INVALID: already registered; NO_MEMORY: the thread, or the library's own, could not be set up.
 */
MSLOT_API enum mslot_err mslot_thread_register(void);

/**
 * Unregisters the calling thread; what it retired is recycled by others.
 *
 * Order:    releases `grace` and `adopt`.
 * Progress: blocking (a mutex).
 * Context:  outside reader sections and on_drop.
 * Errors:   INVALID: not registered; BUSY: inside a reader section or on_drop.
 */
MSLOT_API enum mslot_err mslot_thread_unregister(void);

/** Enters a reader section; sections nest. Progress: wait-free. Context: a registered, online thread. Order: acquires
 *  `retire`: what a finished grace period waited for is not to be found any more. */
MSLOT_API void mslot_read_lock(void);
/** Leaves a reader section. Progress: wait-free. Order: releases `grace`. */
MSLOT_API void mslot_read_unlock(void);

/**
 * Looks at the metadata of the shared frame at `paddr` without taking a reference.
 *
 * @region  covers `paddr`
 * @paddr   byte address, a multiple of the region's frame size
 * @type    the metadata's type; a deferred one
 * @why     set on failure; may be NULL
 *
 * Owner:    nobody; the pointer is valid until the enclosing mslot_read_unlock() (qsbr: until the thread's
 *           next mslot_quiescent_state() or mslot_thread_offline()).
 * Order:    acquires `publish`.
 * Progress: wait-free, writes nothing.
 * Context:  inside a reader section.
 * Errors:   UNUSED, BUSY, UNIQUE: not shared; WRONG_TYPE: it carries another type; INVALID: `type` is NULL or
 *           immediate; OUT_OF_BOUND, NOT_ALIGNED: `paddr`.
 */
MSLOT_API MSLOT_MUST_USE const void *mslot_peek(struct mslot_region *region, uint64_t paddr,
						const struct mslot_type *type, enum mslot_err *why);

/**
 * Waits until everything that was retired before, by any thread, is recycled and its on_drop has run.
 *
 * @region  whose frames are meant
 *
 * Order:    acquires `recycle` of each.
 * Progress: blocking (grace periods).
 * Context:  any thread, outside reader sections and on_drop. Under qsbr a registered caller is offline meanwhile.
 * Errors:   INVALID: `region` NULL; BUSY: inside a reader section or on_drop, where it would wait for itself.
 */
MSLOT_API enum mslot_err mslot_barrier(struct mslot_region *region);

/**
 * Waits for a grace period: every reader section that was running has ended.
 * Progress: blocking. Context and errors as mslot_barrier().
 */
MSLOT_API enum mslot_err mslot_synchronize(void);

/** Says that the thread holds no peeked pointer (qsbr; nothing under the others). Progress: wait-free.
 *  Order: releases `grace`. */
MSLOT_API void mslot_quiescent_state(void);
/** Says that the thread makes no calls until mslot_thread_online() (qsbr; nothing under the others).
 *  Progress: wait-free. Order: releases `grace`. */
MSLOT_API void mslot_thread_offline(void);
/** Ends mslot_thread_offline(). Progress: wait-free. Order: acquires `retire`. */
MSLOT_API void mslot_thread_online(void);

/** Names the flavor that the library was built with: "memb", "qsbr", "mb" or "bp". Progress: wait-free. */
MSLOT_API const char *mslot_reclaim_flavor(void);

#ifdef __cplusplus
}
#endif
#endif
