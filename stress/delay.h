/* SPDX-License-Identifier: MIT
 *
 * Delays at every atomic step of the library, to widen races: forced into its sources by the compiler's command line
 * (metaslot-stress-delay), where it stands in for <stdatomic.h>'s calls.
 */
#ifndef STRESS_DELAY_H
#define STRESS_DELAY_H

#include <stdatomic.h>
#include <stdint.h>

/* Now and then waits: a few instructions, a turn of the scheduler, some microseconds. */
void stress_delay(void);
/* From now on, by this seed; what a thread does then depends on the seed, and on when it came. */
void stress_delay_begin(uint64_t seed);

#ifndef STRESS_HAS_DELAYS
#define STRESS_HAS_DELAYS 0
#endif

#ifdef STRESS_DELAY_LIBRARY
/* gcc's builtins take atomic pointers as they are; clang has others for those. */
#ifdef __clang__
#define DELAY_LOAD __c11_atomic_load
#define DELAY_STORE __c11_atomic_store
#define DELAY_EXCHANGE __c11_atomic_exchange
#define DELAY_ADD __c11_atomic_fetch_add
#define DELAY_SUB __c11_atomic_fetch_sub
#define DELAY_OR __c11_atomic_fetch_or
#define DELAY_AND __c11_atomic_fetch_and
#define DELAY_SWAP(at, old, value, won, lost) __c11_atomic_compare_exchange_strong(at, old, value, won, lost)
#else
#define DELAY_LOAD __atomic_load_n
#define DELAY_STORE __atomic_store_n
#define DELAY_EXCHANGE __atomic_exchange_n
#define DELAY_ADD __atomic_fetch_add
#define DELAY_SUB __atomic_fetch_sub
#define DELAY_OR __atomic_fetch_or
#define DELAY_AND __atomic_fetch_and
#define DELAY_SWAP(at, old, value, won, lost) __atomic_compare_exchange_n(at, old, value, 0, won, lost)
#endif

#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_exchange_explicit
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub_explicit
#undef atomic_fetch_or_explicit
#undef atomic_fetch_and_explicit
#undef atomic_compare_exchange_strong_explicit
#undef atomic_compare_exchange_weak_explicit
#define atomic_load_explicit(at, order) (stress_delay(), DELAY_LOAD(at, order))
#define atomic_store_explicit(at, value, order) (stress_delay(), DELAY_STORE(at, value, order))
#define atomic_exchange_explicit(at, value, order) (stress_delay(), DELAY_EXCHANGE(at, value, order))
#define atomic_fetch_add_explicit(at, value, order) (stress_delay(), DELAY_ADD(at, value, order))
#define atomic_fetch_sub_explicit(at, value, order) (stress_delay(), DELAY_SUB(at, value, order))
#define atomic_fetch_or_explicit(at, value, order) (stress_delay(), DELAY_OR(at, value, order))
#define atomic_fetch_and_explicit(at, value, order) (stress_delay(), DELAY_AND(at, value, order))
#define atomic_compare_exchange_strong_explicit(at, old, value, won, lost)                                             \
	(stress_delay(), DELAY_SWAP(at, old, value, won, lost))
#define atomic_compare_exchange_weak_explicit(at, old, value, won, lost)                                               \
	(stress_delay(), DELAY_SWAP(at, old, value, won, lost))
#endif

#endif
