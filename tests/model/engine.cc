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

#include <chrono>

#include "shadow.h"
#include "standins.h"

static void reset()
{
	restore_image();
	reset_standins();
	if (!released)
		memset(plain, 0, sizeof(plain)); /* an execution that failed did not come to its end */
	released = false;
	nr_touched = 0;
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
		begin_sequence = begin_sequence_of<1>;
		return rl::simulate<suite<1>>(params);
	case 2:
		begin_sequence = begin_sequence_of<2>;
		return rl::simulate<suite<2>>(params);
	case 3:
		begin_sequence = begin_sequence_of<3>;
		return rl::simulate<suite<3>>(params);
	default:
		begin_sequence = begin_sequence_of<4>;
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
	printf("%-35s relacy bound %u  %u threads  %9llu executions  %6.2f s  %s\n", current->name, bound, nr_threads,
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

	find_image();
	signal(SIGSEGV, on_crash);
	if (nr_granules > MAX_GRANULES)
		die("too much static data");
	for (current = models; current->name; current++) {
		if (argc > 1 && strcmp(argv[1], current->name))
			continue;
		count_threads();
		/* For the mutants, most of which are noticed early. */
		const char *most = getenv("MODEL_BOUND");
		unsigned bound = argc > 2 ? (unsigned)atoi(argv[2]) : current->bound;
		held &= run(most && argc == 1 ? std::min(bound, (unsigned)atoi(most)) : bound);
	}
	return !held;
}
