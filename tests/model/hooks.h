/* SPDX-License-Identifier: MIT
 *
 * A part of engine.cc: the calls of the compiler's ThreadSanitizer instrumentation.
 */
#ifndef MODEL_HOOKS_H
#define MODEL_HOOKS_H

#include "shadow.h"

static void released_in_order(); /* of fibers.h */

static rl::memory_order order(int mo)
{
	return (rl::memory_order)mo; /* both count relaxed, consume, acquire, release, acq_rel, seq_cst */
}

template <typename T> static T load(const volatile T *a, int mo, void *pc)
{
	word &w = word_of(a, sizeof(T), false, pc);

	return w.use.is_shared ? (T)w.atomic.load(order(mo), here(pc)) : *a;
}

template <typename T> static void store(volatile T *a, T v, int mo, void *pc)
{
	word &w = word_of(a, sizeof(T), true, pc);

	if (w.use.is_shared) {
		w.atomic.store(v, order(mo), here(pc));
		begin_sequence(w.atomic.*member_of(impl_tag()), order(mo) != rl::mo_relaxed);
	}
	*a = v;
}

template <typename T> static T compare_exchange(volatile T *a, T expected, T v, int mo, int fail_mo, void *pc)
{
	word &w = word_of(a, sizeof(T), true, pc);
	uint64_t seen = expected;
	bool is_equal;

	if (w.use.is_shared) {
		is_equal = w.atomic.compare_exchange_strong(seen, (uint64_t)v, order(mo), here(pc), order(fail_mo),
							    here(pc));
	} else {
		seen = *a;
		is_equal = seen == expected;
	}
	if (is_equal) {
		*a = v;
		if (order(mo) == rl::mo_seq_cst)
			released_in_order();
	}
	return (T)seen;
}

/* Of a swap that always succeeds: `call` is Relacy's, `next` what it leaves. */
#define RMW(bits, call, next)                                                                                          \
	extern "C" uint##bits##_t __tsan_atomic##bits##_##call(volatile uint##bits##_t *a, uint##bits##_t v, int mo)   \
	{                                                                                                              \
		void *pc = __builtin_return_address(0);                                                                \
		word &w = word_of(a, bits / 8, true, pc);                                                              \
		uint64_t old = w.use.is_shared ? w.atomic.call(v, order(mo), here(pc)) : *a;                           \
		*a = (uint##bits##_t)(next);                                                                           \
		return (uint##bits##_t)old;                                                                            \
	}

#define HOOKS(bits)                                                                                                    \
	extern "C" uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *a, int mo)                 \
	{                                                                                                              \
		return load(a, mo, __builtin_return_address(0));                                                       \
	}                                                                                                              \
	extern "C" void __tsan_atomic##bits##_store(volatile uint##bits##_t *a, uint##bits##_t v, int mo)              \
	{                                                                                                              \
		store(a, v, mo, __builtin_return_address(0));                                                          \
	}                                                                                                              \
	extern "C" uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(                                          \
		volatile uint##bits##_t *a, uint##bits##_t expected, uint##bits##_t v, int mo, int fail_mo)            \
	{                                                                                                              \
		return compare_exchange(a, expected, v, mo, fail_mo, __builtin_return_address(0));                     \
	}                                                                                                              \
	RMW(bits, exchange, v)                                                                                         \
	RMW(bits, fetch_add, old + v)                                                                                  \
	RMW(bits, fetch_sub, old - v)                                                                                  \
	RMW(bits, fetch_or, old | v)                                                                                   \
	RMW(bits, fetch_and, old &v)
HOOKS(64)
HOOKS(32)
HOOKS(8)

#define ACCESS(bytes)                                                                                                  \
	extern "C" void __tsan_read##bytes(void *a)                                                                    \
	{                                                                                                              \
		plain_access(a, bytes, false, __builtin_return_address(0));                                            \
	}                                                                                                              \
	extern "C" void __tsan_write##bytes(void *a)                                                                   \
	{                                                                                                              \
		plain_access(a, bytes, true, __builtin_return_address(0));                                             \
	}                                                                                                              \
	extern "C" void __tsan_unaligned_read##bytes(void *a)                                                          \
	{                                                                                                              \
		plain_access(a, bytes, false, __builtin_return_address(0));                                            \
	}                                                                                                              \
	extern "C" void __tsan_unaligned_write##bytes(void *a)                                                         \
	{                                                                                                              \
		plain_access(a, bytes, true, __builtin_return_address(0));                                             \
	}
ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)

extern "C" void __tsan_init()
{
}
extern "C" void __tsan_func_entry(void *)
{
}
extern "C" void __tsan_func_exit()
{
}

extern "C" void *__tsan_memcpy(void *to, const void *from, size_t bytes)
{
	if (bytes) {
		plain_access(from, bytes, false, __builtin_return_address(0));
		plain_access(to, bytes, true, __builtin_return_address(0));
	}
	return memmove(to, from, bytes);
}

extern "C" void *__tsan_memset(void *to, int value, size_t bytes)
{
	if (bytes)
		plain_access(to, bytes, true, __builtin_return_address(0));
	return memset(to, value, bytes);
}

#endif
