/* SPDX-License-Identifier: MIT
 *
 * Runs the shipped C code under Relacy.
 *
 * The sources are compiled as C, with the compiler's ThreadSanitizer instrumentation, but linked with this file in
 * place of its runtime: each atomic operation arrives here with its order, each plain access with its address. So
 * what is checked is the code that ships, as its compiler read it. Atomic operations go to Relacy's atomics, which
 * may return stale values; plain accesses go to its race detector. Threads are fibers, so thread-local variables come
 * through emulated TLS.
 *
 * Needs:  the static data of all instrumented code in the sections subject_data and subject_bss (tests/model/run).
 * Limits: a load sees the newest value or the one before; a failing compare-and-swap sees the newest; no load sees a
 *         store that has not been executed yet (no load buffering, which hardware and C11 allow).
 */
#include <relacy/relacy.hpp>
#undef malloc
#undef free
#undef calloc
#undef assert
#undef new
#undef delete

#include "model.h"

#include <chrono>
#include <cstdarg>
#include <csetjmp>

using rl::ctx;
typedef rl::atomic<uint64_t> atomic_word;

extern "C" {
extern char __start_subject_data[] __attribute__((weak)), __stop_subject_data[] __attribute__((weak));
extern char __start_subject_bss[] __attribute__((weak)), __stop_subject_bss[] __attribute__((weak));
}

enum { MAX_GRANULES = 1 << 14, MAX_ATOMICS = 128, MAX_PLACES = 1024, MAX_SYNCS = 8, MAX_TLS = 8 };

/* ---- memory: 4-byte granules of the subject's static data ---- */

struct range {
	char *start, *stop;
	char *image;
	size_t first_granule;
};

static range ranges[2];
static bool is_atomic[MAX_GRANULES]; /* where a word begins */
static unsigned char atomic_in[MAX_PLACES]; /* by address: index + 1 */
static char *atomic_at[MAX_ATOMICS];
static uint64_t atomic_image[MAX_ATOMICS];
static unsigned atomic_bytes[MAX_ATOMICS];
static unsigned nr_atomics;
static bool discovered;
static union storage {
	atomic_word word;
	storage() {}
	~storage() {}
} atomics[MAX_ATOMICS];
static rl::var_data *plain[MAX_GRANULES];
static unsigned touched[MAX_GRANULES], nr_touched;

static const struct model *current;
static int counters[MODEL_COUNTERS];
static unsigned nr_threads;
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

static void die(const char *why)
{
	fprintf(stderr, "model: %s\n", why);
	_exit(2);
}

static void find_memory()
{
	char *bounds[2][2] = {{__start_subject_data, __stop_subject_data}, {__start_subject_bss, __stop_subject_bss}};
	size_t nr = 0;

	for (int i = 0; i < 2; i++) {
		range &r = ranges[i];
		r.start = (char *)((uintptr_t)bounds[i][0] & ~(uintptr_t)7);
		r.stop = bounds[i][1];
		r.first_granule = nr;
		nr += (r.stop - r.start) / 4 + 1;
		r.image = (char *)malloc(r.stop - r.start + 1);
		memcpy(r.image, r.start, r.stop - r.start);
	}
	if (nr > MAX_GRANULES)
		die("too much static data");
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

extern "C" void model_add(unsigned counter, int n)
{
	counters[counter] += n;
}

extern "C" int model_count(unsigned counter)
{
	return counters[counter];
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
		atomic_at_addr(a, bits / 8, pc).store(v, order(mo), here(pc));                                         \
		*a = v;                                                                                                \
	}                                                                                                              \
	extern "C" uint##bits##_t __tsan_atomic##bits##_exchange(volatile uint##bits##_t *a, uint##bits##_t v, int mo) \
	{                                                                                                              \
		void *pc = __builtin_return_address(0);                                                                \
		uint64_t old = atomic_at_addr(a, bits / 8, pc).exchange(v, order(mo), here(pc));                       \
		*a = v;                                                                                                \
		return (uint##bits##_t)old;                                                                            \
	}                                                                                                              \
	extern "C" uint##bits##_t __tsan_atomic##bits##_fetch_add(volatile uint##bits##_t *a, uint##bits##_t v, int mo)\
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
	extern "C" uint##bits##_t __tsan_atomic##bits##_fetch_sub(volatile uint##bits##_t *a, uint##bits##_t v, int mo)\
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
			    .compare_exchange_strong(seen, (uint64_t)v, order(mo), here(pc), order(fail_mo), here(pc))) \
			*a = v;                                                                                        \
		return (uint##bits##_t)seen;                                                                           \
	}
HOOKS(64)
HOOKS(32)

#define ACCESS(bytes)                                                                                                  \
	extern "C" void __tsan_read##bytes(void *a) { plain_access(a, bytes, false, __builtin_return_address(0)); }    \
	extern "C" void __tsan_write##bytes(void *a) { plain_access(a, bytes, true, __builtin_return_address(0)); }    \
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

extern "C" void __tsan_init() {}
extern "C" void __tsan_func_entry(void *) {}
extern "C" void __tsan_func_exit() {}

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

/* ---- thread-local variables ---- */

struct tls_control {
	size_t bytes, align;
	void *unused;
	const void *image;
};

static struct {
	tls_control *control;
	alignas(64) char memory[MODEL_THREADS_MAX][128];
} tls[MAX_TLS];
static unsigned nr_tls;

static void tls_reset(unsigned i)
{
	for (auto &memory : tls[i].memory) {
		memset(memory, 0, sizeof(memory));
		if (tls[i].control->image)
			memcpy(memory, tls[i].control->image, tls[i].control->bytes);
	}
}

extern "C" void *__emutls_get_address(tls_control *control)
{
	unsigned i = 0;

	while (i < nr_tls && tls[i].control != control)
		i++;
	if (i == nr_tls) {
		if (nr_tls == MAX_TLS || control->bytes > sizeof(tls[0].memory[0]))
			die("too much thread-local data");
		tls[nr_tls++].control = control;
		tls_reset(i);
	}
	return tls[i].memory[ctx().threadx_->index_];
}

/* ---- clocks, blocking ---- */

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

static const void *parked_on[MODEL_THREADS_MAX];

static void park(const void *on)
{
	parked_on[self()] = on;
	while (parked_on[self()])
		ctx().park_current_thread(false, false, false, here(nullptr));
}

static void unpark(const void *on)
{
	for (unsigned i = 0; i < nr_threads; i++)
		if (parked_on[i] == on) {
			parked_on[i] = nullptr;
			ctx().unpark_thread(i, false, here(nullptr));
		}
}

/* ---- RCU: a section that began before a grace period ends before it; one that begins later sees what preceded it ---- */

enum { SECTIONS = 16 };
static struct {
	unsigned nesting, nr_ended;
	vector_clock end[SECTIONS];
} reader[MODEL_THREADS_MAX];
static vector_clock started;

extern "C" void model_read_lock(void)
{
	if (reader[self()].nesting++)
		return;
	ctx().sched();
	clock_acquire(started);
}

extern "C" void model_read_unlock(void)
{
	auto &r = reader[self()];

	if (r.nesting == 1)
		ctx().sched();
	if (--r.nesting)
		return;
	if (++r.nr_ended >= SECTIONS)
		die("too many sections");
	clock_release(r.end[r.nr_ended]);
	unpark(&r);
}

extern "C" bool model_in_section(void)
{
	return reader[self()].nesting != 0;
}

extern "C" void model_synchronize(void)
{
	unsigned until[MODEL_THREADS_MAX];

	ctx().sched();
	clock_release(started);
	for (unsigned i = 0; i < nr_threads; i++)
		until[i] = reader[i].nr_ended + (reader[i].nesting != 0);
	for (unsigned i = 0; i < nr_threads; i++) {
		while (reader[i].nr_ended < until[i])
			park(&reader[i]);
		for (unsigned section = 1; section <= until[i]; section++)
			clock_acquire(reader[i].end[section]);
	}
	ctx().sched();
}

/* ---- what grace_thread.c and thread.c ask of the system: see standin/ ---- */

static struct sync_object {
	const void *at;
	int value; /* of a semaphore; of a mutex, 1 if it is held */
	vector_clock c;
} syncs[MAX_SYNCS];
static unsigned nr_syncs;

static sync_object &sync_of(const void *at)
{
	for (unsigned i = 0; i < nr_syncs; i++)
		if (syncs[i].at == at)
			return syncs[i];
	if (nr_syncs == MAX_SYNCS)
		die("too many mutexes");
	syncs[nr_syncs] = sync_object();
	syncs[nr_syncs].at = at;
	return syncs[nr_syncs++];
}

static unsigned nr_users, nr_finished;
static void (*key_destroy)(void *);
static const void *key_value[MODEL_THREADS_MAX];
static bool is_daemon[MODEL_THREADS_MAX];
static void *(*daemon_fn)(void *);
static void *daemon_arg;
static jmp_buf daemon_exit;
enum { MODEL_HEAP = 512 };
extern "C" char model_heap[MODEL_THREADS_MAX][MODEL_HEAP];
alignas(64) __attribute__((section("subject_bss"))) char model_heap[MODEL_THREADS_MAX][MODEL_HEAP];
static bool heap_used[MODEL_THREADS_MAX];

extern "C" int model_mutex_lock(void *mutex)
{
	sync_object &m = sync_of(mutex);

	ctx().sched();
	while (m.value)
		park(&m);
	m.value = 1;
	clock_acquire(m.c);
	return 0;
}

extern "C" int model_mutex_unlock(void *mutex)
{
	sync_object &m = sync_of(mutex);

	m.value = 0;
	clock_release(m.c);
	unpark(&m);
	return 0;
}

extern "C" int model_cond_wait(void *cond, void *mutex)
{
	model_mutex_unlock(mutex);
	park(cond);
	return model_mutex_lock(mutex);
}

extern "C" int model_cond_broadcast(void *cond)
{
	unpark(cond);
	return 0;
}

extern "C" int model_sem_init(void *sem, unsigned value)
{
	sync_of(sem).value = value;
	return 0;
}

extern "C" int model_sem_post(void *sem)
{
	sync_object &s = sync_of(sem);

	ctx().sched();
	s.value++;
	clock_release(s.c);
	unpark(&s);
	return 0;
}

extern "C" int model_sem_trywait(void *sem)
{
	sync_object &s = sync_of(sem);

	ctx().sched();
	if (!s.value)
		return -1;
	s.value--;
	clock_acquire(s.c);
	return 0;
}

extern "C" int model_sem_wait(void *sem)
{
	while (model_sem_trywait(sem)) {
		if (is_daemon[self()] && nr_finished == nr_users)
			longjmp(daemon_exit, 1);
		park(&sync_of(sem));
	}
	return 0;
}

extern "C" int model_thread_create(void *(*fn)(void *), void *arg)
{
	daemon_fn = fn;
	daemon_arg = arg;
	unpark(&daemon_fn);
	return 0;
}

extern "C" void model_daemon(void)
{
	if (!daemon_fn && nr_finished < nr_users)
		park(&daemon_fn);
	if (daemon_fn && !setjmp(daemon_exit))
		daemon_fn(daemon_arg);
}

extern "C" int model_once(int *once, void (*fn)(void))
{
	sync_object &o = sync_of(once);

	clock_acquire(o.c);
	if (!*once) {
		*once = 1;
		fn();
	}
	clock_release(o.c);
	return 0;
}

extern "C" int model_key_create(void (*destroy)(void *))
{
	key_destroy = destroy;
	return 0;
}

extern "C" int model_set_specific(const void *value)
{
	key_value[self()] = value;
	return 0;
}

/* A thread's own heap. */
extern "C" void *model_aligned_alloc(size_t, size_t bytes)
{
	static_assert(MODEL_HEAP % 64 == 0, "aligned");
	if (heap_used[self()] || bytes > MODEL_HEAP)
		die("one allocation a thread");
	heap_used[self()] = true;
	return model_heap[self()];
}

extern "C" void model_free(void *)
{
}

extern "C" int model_nothing(void)
{
	return 0;
}

static void finished()
{
	const void *value = key_value[self()];
	key_value[self()] = nullptr;
	if (value)
		key_destroy((void *)value);
	if (is_daemon[self()] || ++nr_finished < nr_users)
		return;
	unpark(&daemon_fn);
	for (unsigned i = 0; i < nr_syncs; i++)
		unpark(&syncs[i]);
}

/* ---- executions ---- */

static void reset()
{
	for (range &r : ranges)
		memcpy(r.start, r.image, r.stop - r.start);
	memset(reader, 0, sizeof(reader));
	memset(&started, 0, sizeof(started));
	memset(parked_on, 0, sizeof(parked_on));
	if (!released)
		memset(plain, 0, sizeof(plain)); /* an execution that failed did not come to its end */
	released = false;
	for (unsigned i = 0; i < nr_tls; i++)
		tls_reset(i);
	nr_touched = nr_syncs = nr_users = nr_finished = 0;
	daemon_fn = nullptr;
	memset(counters, 0, sizeof(counters));
	memset(key_value, 0, sizeof(key_value));
	memset(heap_used, 0, sizeof(heap_used));
	for (unsigned i = 0; i < nr_threads; i++) {
		is_daemon[i] = current->thread[i] == model_daemon;
		nr_users += !is_daemon[i];
	}
	in_simulation = true;
	for (unsigned i = 0; i < nr_atomics; i++) {
		memcpy(atomic_at[i], &atomic_image[i], atomic_bytes[i]);
		::new ((void *)&atomics[i].word) atomic_word();
		atomics[i].word.store(atomic_image[i], rl::mo_relaxed, here(nullptr));
	}
}

static void release()
{
	for (unsigned i = 0; i < nr_touched; i++) {
		ctx().var_dtor(plain[touched[i]]);
		plain[touched[i]] = nullptr;
	}
	for (unsigned i = 0; i < nr_atomics; i++)
		atomics[i].word.~atomic_word();
	released = true;
}

template <int N> struct suite : rl::test_suite<suite<N>, N> {
	void before()
	{
		reset();
		if (current->before)
			current->before();
	}
	void thread(unsigned i)
	{
		current->thread[i]();
		finished();
	}
	void after()
	{
		if (current->after)
			current->after();
		release();
	}
};

static bool simulate(rl::test_params &params)
{
	switch (nr_threads) {
	case 1:
		return rl::simulate<suite<1>>(params);
	case 2:
		return rl::simulate<suite<2>>(params);
	case 3:
		return rl::simulate<suite<3>>(params);
	default:
		return rl::simulate<suite<4>>(params);
	}
}

/* Prints: scenario, tool, threads, executions, seconds, result. */
static bool run(unsigned bound)
{
	auto begin = std::chrono::steady_clock::now();
	rl::ostringstream out;
	rl::ostringstream quiet;
	rl::test_params params;
	bool held;

	do {
		discovered = in_simulation = false;
		params = rl::test_params();
		out.str("");
		params.output_stream = &out;
		params.progress_stream = &quiet;
		params.search_type = rl::sched_bound;
		params.context_bound = bound;
		params.execution_depth_limit = 5000;
		params.collect_history = getenv("MODEL_HISTORY") != nullptr;
		held = simulate(params);
		in_simulation = false;
	} while (discovered);
	double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
	printf("%-34s relacy bound %u  %u threads  %9llu executions  %6.2f s  %s\n", current->name, bound, nr_threads,
	       (unsigned long long)params.stop_iteration, seconds,
	       held ? "held" : rl::test_result_str(params.test_result));
	fflush(stdout);
	if (!held)
		fprintf(stderr, "%s\n", out.str().c_str());
	return held;
}

int main(int argc, char **argv)
{
	bool held = true;

	find_memory();
	for (current = models; current->name; current++) {
		if (argc > 1 && strcmp(argv[1], current->name))
			continue;
		for (nr_threads = 0; nr_threads < MODEL_THREADS_MAX && current->thread[nr_threads]; nr_threads++)
			;
		held &= run(argc > 2 ? (unsigned)atoi(argv[2]) : current->bound);
	}
	return !held;
}
