/* SPDX-License-Identifier: MIT
 *
 * What happens to a slot after its last reference, for the rooms above.
 */
#ifndef RECLAIM_RECLAIM_H
#define RECLAIM_RECLAIM_H

#include "reclaim/pace.h"
#include "reclaim/retire_queue.h"
#include "table/give_back.h"
#include "table/region.h"

#include <metaslot/reclaim.h>

#include <sys/types.h>
#include <time.h>

/* One registered thread. Its queues are used by it inside a reader section or a use, or by whoever has flipped `active`
 * away from one and seen a grace period, and no use, since. */
struct reclaim_thread {
	struct retire_queue queue[2];
	_Atomic unsigned active;      /* index of the queue to use; written by the grace-period thread */
	bool recycling;		      /* in an on_drop of the deferred path: do not nest */
	uint64_t nr_owed;	      /* at most: slots of its queue that an on_drop has retired */
	struct mslot_region *counted; /* the region that `uncounted` belongs to, if it is there still */
	uint64_t counted_id;
	int64_t uncounted; /* retired minus recycled, not yet in region_backlog() */

	_Atomic uint64_t nr_recycled; /* for the statistics: by this thread, whoever retired them */

	/* Under the registry's lock. */
	struct reclaim_thread *next;
	uint64_t nr_slots_before; /* in the active queue, at the last look */
	bool flipped;

	/* For stragglers.c and stall.c. */
	pid_t id;
	const unsigned long *reader; /* as grace_reader() gives it; NULL of the library's own thread, which does not
					wait for itself */
	uint64_t stall_since_ns;     /* begin of the wait that it was last reported for */
	uint64_t stall_next_ns;	     /* how long that is to last for it to be reported again */
};

extern _Thread_local struct reclaim_thread *reclaim_self __attribute__((tls_model("initial-exec")));
/* Where the last retire of the thread went: to the fresh batch of a queue. The next one goes there too, for as long as
 * the cookie is the same: after a flip it is another. */
struct reclaim_newest {
	struct retire_queue *queue; /* any at first; none if the thread is not registered */
	uint64_t cookie;	    /* none at first */
};
extern _Thread_local struct reclaim_newest reclaim_newest __attribute__((tls_model("initial-exec")));

/* Which queue the thread is to use. */
static inline unsigned reclaim_active(const struct reclaim_thread *thread)
{
	/* [relaxed] the grace-period thread's own; a hint for others. */
	return atomic_load_explicit(&thread->active, memory_order_relaxed);
}

/* Whether the thread is still in a use of the queue that it was flipped away from. Under the registry's lock. */
static inline bool reclaim_is_in_old_use(const struct reclaim_thread *thread)
{
	return thread->flipped && retire_queue_is_used(&thread->queue[1 - reclaim_active(thread)]);
}

/* What the calling thread is; NULL ends it. */
static inline void reclaim_become(struct reclaim_thread *self)
{
	reclaim_self = self;
	reclaim_newest = (struct reclaim_newest){.queue = self ? &self->queue[0] : NULL};
}

/* How many slots the thread has ever retired; a hint for others. */
static inline uint64_t reclaim_nr_retired(const struct reclaim_thread *thread)
{
	return retire_queue_nr_in(&thread->queue[0]) + retire_queue_nr_in(&thread->queue[1]);
}

/* In hardened builds, a call from an unregistered thread is a fault and has no effect. Others do not look. */
#ifdef MSLOT_HARDENED
static inline bool reclaim_allows_call(void)
{
	return reclaim_self != NULL;
}
#define HARDENED_REGISTERED(call, result)                                                                              \
	do {                                                                                                           \
		if (UNLIKELY(!reclaim_self)) {                                                                         \
			slot_fault(MSLOT_FAULT_UNREGISTERED, call, NULL, 0);                                           \
			return result;                                                                                 \
		}                                                                                                      \
	} while (0)
#else
static inline bool reclaim_allows_call(void)
{
	return true;
}
#define HARDENED_REGISTERED(call, result) ((void)0)
#endif

/* Whatever reclaim_slot() does not do itself. */
NOINLINE void reclaim_slot_slow(struct slot *slot);

/* Takes a slot in state retired. Runs on_drop and recycles, now or after a grace period. Never waits. `retired` is the
 * slot's word, which nobody changes any more in what counts. */
static inline void reclaim_slot(struct slot *slot, uint64_t retired)
{
	unsigned attention = give_back_attention();

	if (UNLIKELY((slot_type_word(slot) & TYPE_BITS) != TYPE_IMMEDIATE || attention > GIVE_BACK_WANTED))
		reclaim_slot_slow(slot);
	else if (slot_recycle(slot, retired))
		give_back(slot, attention);
}

/* Makes room below the region's backlog limit, or says why not: BUSY. For claims of deferred types. */
COLD enum mslot_err reclaim_make_room(struct mslot_region *region);

/* Registered threads, and the grace-period thread; not the one that names stalled readers. */
extern _Atomic uint64_t reclaim_nr_threads;

/*
 * Drops are never refused, so claims stop before the limit, and leave room for each thread to drop so many frames that
 * it holds, beside those that it has retired and not counted. More than half of the limit is not kept free, lest
 * nothing could be claimed.
 */
#define RECLAIM_HELD 64

/* Deferred types may be claimed while fewer wait. */
static inline int64_t reclaim_admits_below(const struct mslot_region *region)
{
	int64_t limit = (int64_t)region->backlog_limit;
	/* [relaxed] a hint that bounds. */
	int64_t nr_threads = (int64_t)atomic_load_explicit(&reclaim_nr_threads, memory_order_relaxed);
	int64_t reserve = nr_threads * (RECLAIM_HELD + 2 * (int64_t)region->backlog_slack);

	return limit - (reserve < limit / 2 ? reserve : limit / 2);
}

static inline bool reclaim_has_room(const struct mslot_region *region)
{
	return LIKELY(!region_is_limited(region)) ||
	       /* [relaxed] a hint that bounds; nothing is read by it. */
	       atomic_load_explicit(region_backlog(region), memory_order_relaxed) < reclaim_admits_below(region);
}

/* Of the calling thread: it is in an on_drop that no reclaim has called. */
extern _Thread_local bool reclaim_in_on_drop __attribute__((tls_model("initial-exec")));

/* Whether the caller must not wait for a grace period, as it would wait for itself. */
bool reclaim_must_not_wait(void);
/* Whether the caller may wait, and anything of any region was retired that is not recycled. */
bool reclaim_may_bring(void);

/* Recycles what the calling thread has retired and whose grace period is over. */
void reclaim_drain_own(void);

/* ---- inside the room ---- */

/* Read at each retire, written at each grace period. On a line of their own: every drop reads their neighbours. */
struct reclaim_periods {
	_Alignas(MSLOT_SLOT_BYTES) _Atomic uint64_t started;
	_Atomic uint64_t completed;
};
extern struct reclaim_periods reclaim_periods;

/* Recycles up to `most` elapsed slots of a queue that the caller uses; gives how many. */
uint64_t reclaim_drain(struct reclaim_thread *self, struct retire_queue *queue, uint64_t most);

/* Adds `self`'s uncounted retires to its region's backlog. */
void reclaim_count_flush(struct reclaim_thread *self);

/* Counts of what has no thread of its own. */
struct reclaim_counts {
	_Atomic uint64_t retired_by_strangers, claims_waited, claims_refused, stalls;
};
extern struct reclaim_counts reclaim_counts;

/* Adds to a counter that nobody else writes meanwhile; gives what it is now. */
static inline uint64_t reclaim_tally(_Atomic uint64_t *counter, uint64_t nr)
{
	/* [relaxed] statistics. */
	uint64_t sum = atomic_load_explicit(counter, memory_order_relaxed) + nr;

	/* [relaxed] statistics. */
	atomic_store_explicit(counter, sum, memory_order_relaxed);
	return sum;
}

static inline void reclaim_tally_shared(_Atomic uint64_t *counter)
{
	/* [relaxed] statistics. */
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* Hands a chain of slots to the grace-period thread, from any thread. */
void grace_thread_adopt(struct slot *head, struct slot *tail);
/* Tells the grace-period thread that there is work. Never waits. */
void grace_thread_wake(void);
bool grace_thread_is_self(void);
/* Waits until what was retired before is recycled (drain), or until a grace period has passed. */
enum mslot_err grace_thread_wait(bool drain);
/* Starts it, unless it runs. */
enum mslot_err grace_thread_start(void);

/* What the grace-period thread is at. */
struct grace_snapshot {
	uint64_t started, completed;
	uint64_t oldest_ns;	/* what waits was retired since; on the clock of reclaim_now_ns() */
	uint64_t use_waited_ns; /* since when a use holds up a queue that is taken over, or 0 */
};
void grace_thread_snapshot(struct grace_snapshot *out);

/* ---- registry.c ---- */

void registry_add(struct reclaim_thread *thread);
void registry_remove(struct reclaim_thread *thread);
/* Calls fn for each registered thread; none comes or goes meanwhile. */
void registry_each(void (*fn)(struct reclaim_thread *thread, void *ctx), void *ctx);

/* By all threads, also those that are gone. */
struct registry_sums {
	uint64_t retired, recycled;
	uint64_t most_backlog; /* at any call, so far */
};
struct registry_sums registry_sums(void);

/* ---- read.c ---- */

/* A thread may end inside sections: a grace period would wait for it, and if it registers once more, it is in none. */
void reclaim_leave_sections(void);

/* ---- thread.c ---- */

/* Starts a thread of the library's own, which never ends: an ordinary one, whatever the caller is, on the processors of
 * the caller and of the main thread. It gets no signals but those that it causes itself (SIGSEGV, say). */
enum mslot_err reclaim_spawn(void *(*fn)(void *arg), void *arg);
/* Hands what both queues of `self` hold to the grace-period thread. Under the registry's lock, once `self` is off the
 * list: nobody flips its queues any more, and a drain that misses `self` finds what it left. */
void reclaim_leave(struct reclaim_thread *self);

static inline uint64_t reclaim_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

#endif
