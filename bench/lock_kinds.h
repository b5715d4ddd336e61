/* SPDX-License-Identifier: MIT
 *
 * The locks of the baselines, chosen by LOCK_FAS, LOCK_TICKET, LOCK_MCS, LOCK_RWLOCK (Concurrency Kit) or LOCK_MUTEX
 * (pthread). Locks that hand over in order try and yield instead where a harness says that more threads run than there
 * are cpus (impl_is_oversubscribed): otherwise each hand-over to a thread that does not run costs a time slice, and a
 * replay hours. ThreadSanitizer does not see Concurrency Kit's assembly, so it is told.
 */
#ifndef BENCH_LOCK_KINDS_H
#define BENCH_LOCK_KINDS_H

#include "impl.h"

#include <sched.h>

#if defined(__SANITIZE_THREAD__)
#define LOCK_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LOCK_TSAN 1
#endif
#endif

#ifdef LOCK_TSAN
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
#define TOLD_ACQUIRE(lock) __tsan_acquire(lock)
#define TOLD_RELEASE(lock) __tsan_release(lock)
#else
#define TOLD_ACQUIRE(lock) ((void)(lock))
#define TOLD_RELEASE(lock) ((void)(lock))
#endif

#if defined(LOCK_FAS)
#include <ck_spinlock.h>
#define LOCK_T ck_spinlock_fas_t
#define LOCK_TAKE(lock) ck_spinlock_fas_lock(lock)
#define LOCK_GIVE(lock) ck_spinlock_fas_unlock(lock)
#elif defined(LOCK_TICKET)
#include <ck_spinlock.h>
#define LOCK_T ck_spinlock_ticket_t
#define LOCK_TAKE(lock)                                                                                                \
	do {                                                                                                           \
		if (__builtin_expect(!impl_is_oversubscribed, 1))                                                      \
			ck_spinlock_ticket_lock(lock);                                                                 \
		else                                                                                                   \
			while (!ck_spinlock_ticket_trylock(lock))                                                      \
				sched_yield();                                                                         \
	} while (0)
#define LOCK_GIVE(lock) ck_spinlock_ticket_unlock(lock)
#elif defined(LOCK_MCS)
#include <ck_spinlock.h>
/* The queue's tail in the slot, each thread's node beside its other thread-locals; no two locks are held at once. */
static _Thread_local ck_spinlock_mcs_context_t mcs_node;
#define LOCK_T ck_spinlock_mcs_t
#define LOCK_TAKE(lock)                                                                                                \
	do {                                                                                                           \
		if (__builtin_expect(!impl_is_oversubscribed, 1))                                                      \
			ck_spinlock_mcs_lock(lock, &mcs_node);                                                         \
		else                                                                                                   \
			while (!ck_spinlock_mcs_trylock(lock, &mcs_node))                                              \
				sched_yield();                                                                         \
	} while (0)
#define LOCK_GIVE(lock) ck_spinlock_mcs_unlock(lock, &mcs_node)
#elif defined(LOCK_MUTEX)
#include <pthread.h>
#define LOCK_T pthread_mutex_t
#define LOCK_TAKE(lock) pthread_mutex_lock(lock)
#define LOCK_GIVE(lock) pthread_mutex_unlock(lock)
#elif defined(LOCK_RWLOCK)
#include <ck_rwlock.h>
#define LOCK_T ck_rwlock_t
#define LOCK_TAKE(lock) ck_rwlock_write_lock(lock)
#define LOCK_GIVE(lock) ck_rwlock_write_unlock(lock)
#define READ_LOCK(lock) (ck_rwlock_read_lock(lock), TOLD_ACQUIRE(lock))
#define READ_UNLOCK(lock) (TOLD_RELEASE(lock), ck_rwlock_read_unlock(lock))
#endif

#define LOCK(lock)                                                                                                     \
	do {                                                                                                           \
		LOCK_TAKE(lock);                                                                                       \
		TOLD_ACQUIRE(lock);                                                                                    \
	} while (0)
#define UNLOCK(lock) (TOLD_RELEASE(lock), LOCK_GIVE(lock))
#ifndef READ_LOCK
#define READ_LOCK LOCK
#define READ_UNLOCK UNLOCK
#endif

#endif
