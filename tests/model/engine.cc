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

#include "hooks.h"
#include "standins.h"

enum { LEARNING = 1000 }; /* executions */

static void reset()
{
	restore_image();
	reset_standins();
	reset_memory();
}

template <int N> struct suite : rl::test_suite<suite<N>, N> {
	void before()
	{
		reset();
		if (current->before)
			current->before();
		in_threads = true;
	}
	void thread(unsigned i)
	{
		current->thread[i]();
		finished();
	}
	void after()
	{
		in_threads = false;
		if (current->after)
			current->after();
		release_memory();
	}
};

template <int N> static rl::test_result_e explore(rl::test_params &params, std::ostream &state, bool is_repeat)
{
	begin_sequence = begin_sequence_of<N>;
	discovered = in_simulation = in_threads = false;
	rl::test_result_e result =
		is_learning ? rl::run_test<suite<N>, rl::random_scheduler<N>>(params, state, is_repeat)
			    : rl::run_test<suite<N>, rl::context_bound_scheduler<N>>(params, state, is_repeat);
	in_simulation = false;
	return result;
}

/* Not rl::simulate(), which repeats what failed with a history: one that has discovered something would not fail again,
 * but go on with ever more of it. */
static rl::test_result_e simulate(rl::test_params &params, std::ostream &state, bool is_repeat)
{
	switch (nr_threads) {
	case 1:
		return explore<1>(params, state, is_repeat);
	case 2:
		return explore<2>(params, state, is_repeat);
	case 3:
		return explore<3>(params, state, is_repeat);
	default:
		return explore<4>(params, state, is_repeat);
	}
}

/* Prints: scenario, tool, threads, executions, seconds, result. */
static bool run(unsigned bound)
{
	auto begin = std::chrono::steady_clock::now();
	rl::ostringstream said, quiet, state;
	rl::test_params params;
	rl::test_result_e result;

	params.output_stream = &said;
	params.progress_stream = &quiet;
	params.iteration_count = LEARNING;
	params.context_bound = bound;
	params.execution_depth_limit = 5000;
	forget_uses();
	is_learning = true;
	params.search_type = rl::random_scheduler_type;
	result = simulate(params, state, false);
	if (!result) {
		is_learning = false;
		params.search_type = rl::sched_bound;
		do {
			state.str("");
			result = simulate(params, state, false);
		} while (discovered);
	}
	double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
	printf("%-35s relacy bound %u  %u threads  %9llu executions  %6.2f s  %s\n", current->name, bound, nr_threads,
	       (unsigned long long)params.stop_iteration, seconds, result ? rl::test_result_str(result) : "held");
	fflush(stdout);
	if (result && getenv("MODEL_HISTORY")) {
		params.initial_state = state.str();
		params.collect_history = true;
		simulate(params, state, true);
		fprintf(stderr, "%s\n", said.str().c_str());
	}
	return !result;
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
