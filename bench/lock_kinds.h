/* SPDX-License-Identifier: MIT
 *
 * The locks of the baselines, chosen by LOCK_FAS, LOCK_TICKET, LOCK_MCS, LOCK_RWLOCK (Concurrency Kit) or LOCK_MUTEX
 * (pthread). ThreadSanitizer does not see Concurrency Kit's assembly, so it is told.
 */
#ifndef BENCH_LOCK_KINDS_H
#define BENCH_LOCK_KINDS_H

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
#define LOCK_TAKE(lock) ck_spinlock_ticket_lock(lock)
#define LOCK_GIVE(lock) ck_spinlock_ticket_unlock(lock)
#elif defined(LOCK_MCS)
#include <ck_spinlock.h>
/* The queue's tail in the slot, each thread's node beside its other thread-locals; no two locks are held at once. */
static _Thread_local ck_spinlock_mcs_context_t mcs_node;
#define LOCK_T ck_spinlock_mcs_t
#define LOCK_TAKE(lock) ck_spinlock_mcs_lock(lock, &mcs_node)
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

#define LOCK(lock) (LOCK_TAKE(lock), TOLD_ACQUIRE(lock))
#define UNLOCK(lock) (TOLD_RELEASE(lock), LOCK_GIVE(lock))
#ifndef READ_LOCK
#define READ_LOCK LOCK
#define READ_UNLOCK UNLOCK
#endif

#endif
