/* SPDX-License-Identifier: MIT
 *
 * A part of engine.cc: the memory of the subject. Atomic words and plain accesses, as the compiler's ThreadSanitizer
 * calls tell of them; 4-byte granules of static data.
 */
#ifndef MODEL_SHADOW_H
#define MODEL_SHADOW_H

#include "image.h"

using rl::ctx;
typedef rl::atomic<uint64_t> atomic_word;

enum { MAX_GRANULES = 1 << 14, MAX_ATOMICS = 128, MAX_PLACES = 1024 };

static bool is_atomic[MAX_GRANULES];	    /* where a word begins */
static unsigned char atomic_in[MAX_PLACES]; /* by address: index + 1 */
static char *atomic_at[MAX_ATOMICS];
static uint64_t atomic_image[MAX_ATOMICS];
static unsigned atomic_bytes[MAX_ATOMICS];
static unsigned nr_atomics;
static bool discovered;
static union storage {
	atomic_word word;
	storage()
	{
	}
	~storage()
	{
	}
} atomics[MAX_ATOMICS];
static rl::var_data *plain[MAX_GRANULES];
static unsigned touched[MAX_GRANULES], nr_touched;

static bool in_simulation, released;

static bool granule_of(const volatile void *addr, size_t *granule)
{
	for (range &r : ranges)
		if ((char *)addr >= r.start && (char *)addr < r.stop) {
			*granule = r.first_granule + ((char *)addr - r.start) / 4;
			return true;
		}
	return false;
}

static rl::debug_info here(void *pc)
{
	return rl::debug_info("", "pc", (unsigned)(uintptr_t)pc);
}

static void fail(const char *what, rl::test_result_e result, void *pc)
{
	ctx().fail_test(what, result, here(pc));
}

extern "C" void model_fail(const char *what, const char *file, int line)
{
	ctx().fail_test(what, rl::test_result_user_assert_failed, rl::debug_info("", file, line));
}

static void plain_access(const void *addr, size_t bytes, bool is_write, void *pc)
{
	size_t granule;

	if (!in_simulation || !granule_of(addr, &granule))
		return;
	for (size_t last = granule + ((uintptr_t)addr % 4 + bytes - 1) / 4; granule <= last; granule++) {
		if (is_atomic[granule]) {
			if (is_write)
				fail("plain write to an atomic word", rl::test_result_data_race, pc);
			continue;
		}
		if (!plain[granule]) {
			plain[granule] = ctx().var_ctor();
			touched[nr_touched++] = granule;
		}
		rl::thread_info_base &self = *ctx().threadx_;
		if (!(is_write ? plain[granule]->store(self) : plain[granule]->load(self)))
			fail(is_write ? "data race, found by a write" : "data race, found by a read",
			     rl::test_result_data_race, pc);
	}
}

/* An atomic word has to exist before the threads begin: one that is met for the first time ends the run, and the next
 * run knows it. */
static atomic_word &atomic_at_addr(const volatile void *addr, unsigned bytes, void *pc)
{
	size_t place = (uintptr_t)addr / 4 % MAX_PLACES, granule;

	for (; atomic_in[place]; place = (place + 1) % MAX_PLACES)
		if (atomic_at[atomic_in[place] - 1] == (char *)addr)
			return atomics[atomic_in[place] - 1].word;
	if (nr_atomics == MAX_ATOMICS)
		die("too many atomics");
	atomic_at[nr_atomics] = (char *)addr;
	atomic_bytes[nr_atomics] = bytes;
	memcpy(&atomic_image[nr_atomics], (char *)addr, bytes);
	atomic_in[place] = ++nr_atomics;
	if (granule_of(addr, &granule))
		is_atomic[granule] = true;
	discovered = true;
	fail("discovered", rl::test_result_user_assert_failed, pc);
	abort();
}

/*
 * Relacy lets a thread's plain store continue a release sequence that its own swap has joined, whoever heads it. C11
 * does so only for the head's own thread, C++20 never. Here a plain store begins anew, as in C++20.
 */
template <typename Tag, typename Tag::type member> struct opened {
	friend typename Tag::type member_of(Tag)
	{
		return member;
	}
};
struct impl_tag {
	typedef rl::atomic_data *rl::generic_atomic<uint64_t, false>::*type;
	friend type member_of(impl_tag);
};
template struct opened<impl_tag, &rl::generic_atomic<uint64_t, false>::impl_>;

static void (*begin_sequence)(rl::atomic_data *word, bool is_release);

template <int N> static void begin_sequence_of(rl::atomic_data *word, bool is_release)
{
	auto &data = *static_cast<rl::atomic_data_impl<N> *>(word);
	auto &record = data.history_[data.current_index_ % rl::atomic_history_size];

	for (int i = 0; i < N; i++)
		record.acq_rel_order_[i] = is_release ? ctx().threadx_->acq_rel_order_[i] : 0;
}

static rl::memory_order order(int mo)
{
	return (rl::memory_order)mo; /* both count relaxed, consume, acquire, release, acq_rel, seq_cst */
}

#define HOOKS(bits)                                                                                                    \
	extern "C" uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *a, int mo)                 \
	{                                                                                                              \
		void *pc = __builtin_return_address(0);                                                                \
		return (uint##bits##_t)atomic_at_addr(a, bits / 8, pc).load(order(mo), here(pc));                      \
	}                                                                                                              \
	extern "C" void __tsan_atomic##bits##_store(volatile uint##bits##_t *a, uint##bits##_t v, int mo)              \
	{                                                                                                              \
		void *pc = __builtin_return_address(0);                                                                \
		atomic_word &word = atomic_at_addr(a, bits / 8, pc);                                                   \
		word.store(v, order(mo), here(pc));                                                                    \
		begin_sequence(word.*member_of(impl_tag()), order(mo) != rl::mo_relaxed);                              \
		*a = v;                                                                                                \
	}                                                                                                              \
	extern "C" uint##bits##_t __tsan_atomic##bits##_exchange(volatile uint##bits##_t *a, uint##bits##_t v, int mo) \
	{                                                                                                              \
		void *pc = __builtin_return_address(0);                                                                \
		uint64_t old = atomic_at_addr(a, bits / 8, pc).exchange(v, order(mo), here(pc));                       \
		*a = v;                                                                                                \
		return (uint##bits##_t)old;                                                                            \
	}                                                                                                              \
	extern "C" uint##bits##_t __tsan_atomic##bits##_fetch_add(volatile uint##bits##_t *a, uint##bits##_t v,        \
								  int mo)                                              \
	{                                                                                                              \
		void *pc = __builtin_return_address(0);                                                                \
		uint64_t old = atomic_at_addr(a, bits / 8, pc).fetch_add(v, order(mo), here(pc));                      \
		*a = (uint##bits##_t)(old + v);                                                                        \
		return (uint##bits##_t)old;                                                                            \
	}                                                                                                              \
	extern "C" uint##bits##_t __tsan_atomic##bits##_fetch_or(volatile uint##bits##_t *a, uint##bits##_t v, int mo) \
	{                                                                                                              \
		void *pc = __builtin_return_address(0);                                                                \
		uint64_t old = atomic_at_addr(a, bits / 8, pc).fetch_or(v, order(mo), here(pc));                       \
		*a = (uint##bits##_t)(old | v);                                                                        \
		return (uint##bits##_t)old;                                                                            \
	}                                                                                                              \
	extern "C" uint##bits##_t __tsan_atomic##bits##_fetch_and(volatile uint##bits##_t *a, uint##bits##_t v,        \
								  int mo)                                              \
	{                                                                                                              \
		void *pc = __builtin_return_address(0);                                                                \
		uint64_t old = atomic_at_addr(a, bits / 8, pc).fetch_and(v, order(mo), here(pc));                      \
		*a = (uint##bits##_t)(old & v);                                                                        \
		return (uint##bits##_t)old;                                                                            \
	}                                                                                                              \
	extern "C" uint##bits##_t __tsan_atomic##bits##_fetch_sub(volatile uint##bits##_t *a, uint##bits##_t v,        \
								  int mo)                                              \
	{                                                                                                              \
		void *pc = __builtin_return_address(0);                                                                \
		uint64_t old = atomic_at_addr(a, bits / 8, pc).fetch_sub(v, order(mo), here(pc));                      \
		*a = (uint##bits##_t)(old - v);                                                                        \
		return (uint##bits##_t)old;                                                                            \
	}                                                                                                              \
	extern "C" uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(                                          \
		volatile uint##bits##_t *a, uint##bits##_t expected, uint##bits##_t v, int mo, int fail_mo)            \
	{                                                                                                              \
		void *pc = __builtin_return_address(0);                                                                \
		uint64_t seen = expected;                                                                              \
		if (atomic_at_addr(a, bits / 8, pc)                                                                    \
			    .compare_exchange_strong(seen, (uint64_t)v, order(mo), here(pc), order(fail_mo),           \
						     here(pc)))                                                        \
			*a = v;                                                                                        \
		return (uint##bits##_t)seen;                                                                           \
	}
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

/* ---- what fibers.h asks of an engine ---- */

struct vector_clock {
	rl::timestamp_t at[MODEL_THREADS_MAX];
};

static void clock_release(vector_clock &c)
{
	for (unsigned i = 0; i < nr_threads; i++)
		c.at[i] = std::max(c.at[i], ctx().threadx_->acq_rel_order_[i]);
}

static void clock_acquire(const vector_clock &c)
{
	for (unsigned i = 0; i < nr_threads; i++)
		ctx().threadx_->acq_rel_order_[i] = std::max(ctx().threadx_->acq_rel_order_[i], c.at[i]);
}

static unsigned self()
{
	return ctx().threadx_->index_;
}

static void switch_point()
{
	ctx().sched();
}

static void suspend_self()
{
	ctx().park_current_thread(false, false, false, here(nullptr));
}

static void resume(unsigned thread)
{
	ctx().unpark_thread(thread, false, here(nullptr));
}

extern "C" void model_yield(void)
{
	ctx().yield(1, here(nullptr));
}

#endif
