/* SPDX-License-Identifier: MIT
 *
 * The door to liburcu: reader sections and grace periods of the flavor that the build chose.
 *
 * Nothing else includes liburcu, so a model replaces this file to run the rest unchanged. liburcu's own atomics
 * are invisible to ThreadSanitizer: the one edge that the library builds on, the end of a reader section to the
 * end of a grace period, is told to it here by hand, on `grace_tsan_edge`.
 *
 * Beside sections there are uses, of a thread's own retire queue: it marks the queue, and the grace-period thread looks
 * at the mark after a grace period. See grace_use_barrier().
 */
#ifndef RECLAIM_GRACE_H
#define RECLAIM_GRACE_H

#if defined(__SANITIZE_THREAD__)
#define GRACE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define GRACE_TSAN 1
#endif
#endif

/* The inlines make a memb reader section 9 times cheaper; under ThreadSanitizer they add reports. */
#ifndef GRACE_TSAN
#define _LGPL_SOURCE
#endif

#include <stdbool.h>

#if defined(MSLOT_FLAVOR_QSBR)
#include <urcu/static/urcu-qsbr.h>
#include <urcu/urcu-qsbr.h>
#define GRACE_CALL(name) urcu_qsbr_##name
#define GRACE_NAME "qsbr"
#elif defined(MSLOT_FLAVOR_MB)
#include <urcu/static/urcu-mb.h>
#include <urcu/urcu-mb.h>
#define GRACE_CALL(name) urcu_mb_##name
#define GRACE_NAME "mb"
#elif defined(MSLOT_FLAVOR_BP)
#include <urcu/static/urcu-bp.h>
#include <urcu/urcu-bp.h>
#define GRACE_CALL(name) urcu_bp_##name
#define GRACE_NAME "bp"
#else
#include <urcu/static/urcu-memb.h>
#include <urcu/urcu-memb.h>
#define GRACE_CALL(name) urcu_memb_##name
#define GRACE_NAME "memb"
#endif

#ifdef GRACE_TSAN
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
extern char grace_tsan_edge;
#define GRACE_RELEASE() __tsan_release(&grace_tsan_edge)
#define GRACE_ACQUIRE() __tsan_acquire(&grace_tsan_edge)
#else
#define GRACE_RELEASE() ((void)0)
#define GRACE_ACQUIRE() ((void)0)
#endif

static inline void grace_read_lock(void)
{
	GRACE_CALL(read_lock)();
}

/* [release:grace] what the section read is read before the end of the next grace period. */
static inline void grace_read_unlock(void)
{
	GRACE_RELEASE();
	GRACE_CALL(read_unlock)();
}

/*
 * Between marking a use and the first look at what the use depends on: the cheap side of an asymmetric Dekker handshake
 * (store buffering), whose expensive side is the grace period's membarrier(2). Either that look sees all that was
 * stored before a grace period began, or whoever looks at the mark after that grace period sees it. Costs nothing where
 * a grace period interrupts all processors; liburcu's own sections have it in the same place. Under qsbr a thread that
 * makes calls is in a section until it says otherwise.
 */
static inline void grace_use_barrier(void)
{
#if defined(MSLOT_FLAVOR_QSBR)
	cmm_barrier();
#elif defined(MSLOT_FLAVOR_MB)
	cmm_smp_mb();
#else
	GRACE_CALL(smp_mb_slave)();
#endif
}

/* Whether the thread, known to liburcu or not, is in a section, as far as the flavor can tell: qsbr has no sections. */
static inline bool grace_in_section(void)
{
#if defined(MSLOT_FLAVOR_QSBR)
	return false;
#elif defined(MSLOT_FLAVOR_BP)
	/* The look itself would register it. */
	return URCU_TLS(urcu_bp_reader) && GRACE_CALL(read_ongoing)() != 0;
#else
	return GRACE_CALL(read_ongoing)() != 0;
#endif
}

static inline void grace_quiescent_state(void)
{
	GRACE_RELEASE();
	GRACE_CALL(quiescent_state)();
}

static inline void grace_offline(void)
{
	GRACE_RELEASE();
	GRACE_CALL(thread_offline)();
}

static inline void grace_online(void)
{
	GRACE_CALL(thread_online)();
}

/* Goes online, so that regions may be looked at; true if the thread was online already. */
static inline bool grace_begin_online(void)
{
#ifdef MSLOT_FLAVOR_QSBR
	if (!GRACE_CALL(read_ongoing)()) {
		grace_online();
		return false;
	}
#endif
	return true;
}

/* Takes what grace_begin_online() gave. */
static inline void grace_end_online(bool was_online)
{
	if (!was_online)
		grace_offline();
}

static inline void grace_register(void)
{
	GRACE_CALL(register_thread)();
#ifdef MSLOT_FLAVOR_BP
	/* Only a section does it there. A grace period without readers is none: it interrupts nobody. */
	GRACE_CALL(read_lock)();
	GRACE_CALL(read_unlock)();
#endif
}

static inline void grace_unregister(void)
{
	GRACE_RELEASE();
	GRACE_CALL(unregister_thread)();
}

/* Where others may look whether this thread is in a section; valid until it unregisters. */
static inline const unsigned long *grace_reader(void)
{
#ifdef MSLOT_FLAVOR_BP
	return &URCU_TLS(urcu_bp_reader)->ctr;
#else
	return &URCU_TLS(GRACE_CALL(reader)).ctr;
#endif
}

/* Whether this reader is inside a section now; qsbr has none. A hint, read as below. */
static inline bool grace_is_inside(const unsigned long *reader)
{
#if defined(MSLOT_FLAVOR_QSBR)
	(void)reader;
	return false;
#elif defined(MSLOT_FLAVOR_BP)
	return CMM_LOAD_SHARED(*reader) & URCU_BP_GP_CTR_NEST_MASK;
#else
	return CMM_LOAD_SHARED(*reader) & URCU_GP_CTR_NEST_MASK;
#endif
}

/* Between two looks. */
static inline void grace_relax(void)
{
	caa_cpu_relax();
}

/* Before a grace period: waits, but not for long, until no reader is off its processor inside a section. In
 * stragglers.c; declared here because models replace this file, and with it the call. */
void stragglers_wait(void);
/* Sleeps, so that a thread which waits for this processor gets it. */
void stragglers_nap(void);

/* Whether the grace period that runs, if one does, waits for this reader: its section began before. A hint, as all that
 * liburcu keeps here is plain; read as its own updaters read it. */
static inline bool grace_waits_for(const unsigned long *reader)
{
	unsigned long mine = CMM_LOAD_SHARED(*reader), current = CMM_LOAD_SHARED(GRACE_CALL(gp).ctr);

#if defined(MSLOT_FLAVOR_QSBR)
	return mine && mine != current;
#elif defined(MSLOT_FLAVOR_BP)
	return mine & URCU_BP_GP_CTR_NEST_MASK && (mine ^ current) & URCU_BP_GP_CTR_PHASE;
#else
	return mine & URCU_GP_CTR_NEST_MASK && (mine ^ current) & URCU_GP_CTR_PHASE;
#endif
}

/* [acquire:grace] every section that was running has ended, and what it read has been read. */
static inline void grace_synchronize(void)
{
	/* Left out, it is a defect on purpose: a test builds the library so, to see that it is noticed. */
#ifndef MSLOT_PLANT_NO_GRACE
	GRACE_CALL(synchronize_rcu)();
	GRACE_ACQUIRE();
#endif
}

#endif
