/* SPDX-License-Identifier: MIT
 *
 * Reclaim: threads, reader sections (RCU's read-side critical sections), grace periods.
 *
 * A frame of a deferred type is recycled only after every reader section that could see it has ended.
 * Dropping costs no wait and no memory: retired slots are linked through themselves, in batches of one
 * grace period. The thread that retired them recycles them later, up to 16 at every eighth further drop, and as many as
 * their on_drop have retired; where it pauses, exits or never was registered, the library's grace-period thread does.
 * Frames come back within a millisecond or so where no reader stays and no processor is overloaded.
 *
 *   flavor   reader section                                   chosen by the meson option `flavor`
 *   memb     two plain stores, membarrier(2) by the updater   (default)
 *   qsbr     nothing; threads call mslot_quiescent_state()
 *   mb       two full barriers
 *   bp       as memb; threads register themselves with liburcu
 *
 * Under bp a grace period that meets a reader takes 10 ms or more (liburcu polls), and a thread's section ends with the
 * thread before destructors of thread-specific data run.
 *
 * A thread that has not registered is told so by a fault in hardened builds. Other builds do not check: it may claim
 * and drop, but its reader sections protect nothing. Under bp they protect all the same, as liburcu registers a thread
 * at its first section; the stall handler is not told of them.
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
 * Registers the calling thread, before its first call that does not say "registered or not".
 *
 * A thread that ends registered is unregistered then, and its reader section, if it is in one, ends. But a destructor
 * of thread-specific data must not register it in the last of the PTHREAD_DESTRUCTOR_ITERATIONS rounds: no other
 * follows to unregister it, and the library would look at thread-local memory that is gone.
 *
 * The first registration in a process starts the library's thread. Whoever makes it, that thread is SCHED_OTHER, and
 * runs on the processors of its creator and of the process's main thread, as far as the kernel allows; its nice value,
 * and what else threads inherit (cgroup, memory policy), are its creator's. So a thread in the background should not be
 * the first: register another before, or call mslot_synchronize() from one, which starts it as well.
 *
 * Order:    a mutex orders it against the grace-period thread.
 * Progress: blocking (a mutex; allocates).
 * Context:  a thread that is not registered, with the library or with liburcu's flavor of it; outside reader sections.
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

/**
 * Enters a reader section; sections nest.
 *
 * Order:    acquires `retire`: what a finished grace period waited for is not to be found any more.
 * Progress: wait-free.
 * Context:  a registered, online thread.
 */
MSLOT_API void mslot_read_lock(void);
/**
 * Leaves a reader section. Without a matching mslot_read_lock(), later sections of this thread protect nothing, and no
 * grace period of the process may end any more; a fault in hardened builds, except under qsbr.
 *
 * Order:    releases `grace`.
 * Progress: wait-free.
 * Context:  the thread that entered it.
 */
MSLOT_API void mslot_read_unlock(void);

/*
 * Under qsbr sections are nothing, so they need no call. metaslot.pc defines this where the library is of that flavor
 * and not hardened, and a program that has it does not link with any other. Without it the calls do the same.
 */
#ifdef MSLOT_INLINE_QSBR
MSLOT_API extern const char mslot_flavor_is_qsbr;
static const char *const mslot_needs_qsbr __attribute__((used)) = &mslot_flavor_is_qsbr;
#define mslot_read_lock() ((void)0)
#define mslot_read_unlock() ((void)0)
#endif

/**
 * Looks at the metadata of the shared frame at `paddr` without taking a reference.
 *
 * @region  covers `paddr`
 * @paddr   byte address, a multiple of the region's frame size
 * @type    the metadata's type; a deferred one
 * @why     set on failure; may be NULL
 *
 * Owner:    nobody; the pointer is valid until the enclosing mslot_read_unlock() (qsbr: until the thread's
 *           next mslot_quiescent_state() or mslot_thread_offline(), or its next call that may wait for a grace period,
 *           such as a claim in a region with `claims_may_wait`: sections are nothing there, so it does wait).
 * Order:    acquires `publish`.
 * Progress: wait-free, writes nothing.
 * Context:  inside a reader section.
 * Errors:   UNUSED, BUSY, UNIQUE: not shared; WRONG_TYPE: it carries another type; INVALID: `type` is NULL or
 *           immediate; OUT_OF_BOUND, NOT_ALIGNED: `paddr`.
 */
MSLOT_API MSLOT_MUST_USE const void *mslot_peek(struct mslot_region *region, uint64_t paddr,
						const struct mslot_type *type, enum mslot_err *why);

/**
 * Waits until everything that was retired before is recycled and its on_drop has run: by any thread, in drops that have
 * returned. Not waited for: frames of immediate types that an on_drop drops on an unregistered thread; they are
 * recycled before the outer drop returns.
 *
 * @region  only checked for NULL; all regions are drained
 *
 * Order:    acquires `recycle` of each.
 * Progress: blocking (grace periods).
 * Context:  any thread, registered or not, outside reader sections and on_drop. Under qsbr a registered caller is
 *           offline meanwhile.
 * Errors:   INVALID: `region` NULL; BUSY: inside a reader section or on_drop, where it would wait for itself;
 *           NO_MEMORY: nobody was ever registered, and the library's own thread could not be started.
 */
MSLOT_API enum mslot_err mslot_barrier(struct mslot_region *region);

/**
 * Waits for a grace period: every reader section that was running has ended.
 *
 * Order:    acquires `grace`.
 * Progress: blocking.
 * Context, Errors: as mslot_barrier(), but for the region.
 */
MSLOT_API enum mslot_err mslot_synchronize(void);

/**
 * Says that the thread holds no peeked pointer (qsbr; nothing under the others).
 *
 * Order:    releases `grace`.
 * Progress: wait-free.
 * Context:  a registered thread; not from on_drop.
 */
MSLOT_API void mslot_quiescent_state(void);
/**
 * Says that the thread makes no calls until mslot_thread_online() (qsbr; nothing under the others).
 *
 * Order:    releases `grace`.
 * Progress: wait-free.
 * Context:  a registered thread; not from on_drop.
 */
MSLOT_API void mslot_thread_offline(void);
/**
 * Ends mslot_thread_offline().
 *
 * Order:    acquires `retire`.
 * Progress: wait-free.
 * Context:  a registered thread; not from on_drop.
 */
MSLOT_API void mslot_thread_online(void);

/** What reclaim has done and has to do, in the whole process. */
struct mslot_stats {
	uint64_t retired;	 /**< frames of deferred types that lost their last reference */
	uint64_t recycled;	 /**< how many of them are unused again; on_drop has run */
	uint64_t backlog;	 /**< how many are not yet */
	uint64_t most_backlog;	 /**< the most there were whenever they were counted: at least before and after each
				    grace period, before what waited for it is recycled, and at each mslot_stats() */
	uint64_t oldest_wait_ns; /**< how long the oldest of them waits, as the library's thread knows, or 0 */
	uint64_t grace_periods;	 /**< that have ended */
	uint64_t claims_waited;	 /**< claims that helped at a region's backlog limit, by waiting for a grace period */
	uint64_t claims_refused; /**< claims that a backlog limit refused with BUSY */
	uint64_t stalls;	 /**< readers that the stall handler was told of, counted once for each wait */
};

/**
 * Tells what reclaim has done so far. Each number is exact while nothing changes.
 *
 * @out  filled in; NULL does nothing
 *
 * Order:    relaxed counters, read one by one.
 * Progress: blocking (a mutex); O(registered threads).
 * Context:  any thread, registered or not; not from on_drop.
 */
MSLOT_API void mslot_stats(struct mslot_stats *out);

/** A reader that keeps a grace period from ending. */
struct mslot_stall {
	int64_t thread_id;    /**< the kernel's, as gettid() gives it */
	uint64_t duration_ns; /**< it has been inside for at least so long */
	uint64_t backlog;     /**< frames that wait, for this reader or another */
};

/**
 * Installs the function that is told of readers which stay inside their section for longer than a second while frames
 * wait, or somebody in mslot_barrier() (qsbr: of threads that are online and announce nothing), and of threads that are
 * stopped amid a drop.
 *
 * Told once about a second after the grace period began to wait for it, and again whenever that time has doubled.
 *
 * @fn   called on a thread of the library's own, which looks ten times a second; it may call mslot_stats(), and nothing
 *       else of the library: in this call it would wait for itself. NULL: nobody is told
 * @ctx  handed to `fn`
 *
 * Order:    a mutex: `fn` sees what the caller wrote before. Once the call returns, the handler before it does not run
 *           any more, so its `ctx` may be freed.
 * Progress: blocking (waits for a handler that runs; the first call starts the thread, which inherits as
 *           mslot_thread_register() says).
 * Context:  any thread, registered or not, but not `fn`; holding nothing that a handler which runs may wait for.
 * Errors:   NO_MEMORY: the thread could not be started.
 */
MSLOT_API enum mslot_err mslot_set_stall_handler(void (*fn)(const struct mslot_stall *stall, void *ctx), void *ctx);

/** Names the flavor that the library was built with: "memb", "qsbr", "mb" or "bp". Progress: wait-free. */
MSLOT_API const char *mslot_reclaim_flavor(void);

#ifdef __cplusplus
}
#endif
#endif
