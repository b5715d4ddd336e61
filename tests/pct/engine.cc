/* SPDX-License-Identifier: MIT
 *
 * Runs scenarios of the models, compiled from the shipped sources with ThreadSanitizer's instrumentation, on its real
 * runtime, under seeded random schedules (PCT, see fiber.h). The linker sends each atomic operation through here, so
 * that a switch can come before it.
 *
 * Promises: no bound of preemptions and any number of threads' steps, but a sample of the schedules; values are those
 *           of sequential consistency, and a missing order shows as a race that ThreadSanitizer reports. A seed
 *           repeats.
 *
 *   PROGRAM [--executions N] [--seed N] [--only NAME]       prints a line a scenario; exit 1 if one failed. To repeat
 *                                                           what failed: its seed, one execution, its name
 *   PROGRAM --suspend N                                     takes each thread off at each of its steps, N times: the
 *                                                           others must end all the same, and `after` hold
 */
#include "fiber.h"

#include "pct.h"
#include "standins.h"

#include <chrono>

static bool raced;

extern "C" const char *__tsan_default_options()
{
	return "exitcode=0:atexit_sleep_ms=0:suppress_equal_stacks=0:suppress_equal_addresses=0:report_signal_unsafe=0";
}

extern "C" void __tsan_on_report(void *)
{
	raced = true;
}

#define WRAP(bits, name, parameters, arguments)                                                                        \
	extern "C" uint##bits##_t __real___tsan_atomic##bits##_##name parameters;                                      \
	extern "C" uint##bits##_t __wrap___tsan_atomic##bits##_##name parameters                                       \
	{                                                                                                              \
		switch_point();                                                                                        \
		return __real___tsan_atomic##bits##_##name arguments;                                                  \
	}
#define WRAPS(bits)                                                                                                    \
	WRAP(bits, load, (const volatile uint##bits##_t *a, int mo), (a, mo))                                          \
	WRAP(bits, exchange, (volatile uint##bits##_t * a, uint##bits##_t v, int mo), (a, v, mo))                      \
	WRAP(bits, fetch_add, (volatile uint##bits##_t * a, uint##bits##_t v, int mo), (a, v, mo))                     \
	WRAP(bits, fetch_sub, (volatile uint##bits##_t * a, uint##bits##_t v, int mo), (a, v, mo))                     \
	WRAP(bits, fetch_and, (volatile uint##bits##_t * a, uint##bits##_t v, int mo), (a, v, mo))                     \
	WRAP(bits, fetch_or, (volatile uint##bits##_t * a, uint##bits##_t v, int mo), (a, v, mo))                      \
	WRAP(bits, compare_exchange_val,                                                                               \
	     (volatile uint##bits##_t * a, uint##bits##_t expected, uint##bits##_t v, int mo, int fail_mo),            \
	     (a, expected, v, mo, fail_mo))                                                                            \
	extern "C" void __real___tsan_atomic##bits##_store(volatile uint##bits##_t *a, uint##bits##_t v, int mo);      \
	extern "C" void __wrap___tsan_atomic##bits##_store(volatile uint##bits##_t *a, uint##bits##_t v, int mo)       \
	{                                                                                                              \
		switch_point();                                                                                        \
		__real___tsan_atomic##bits##_store(a, v, mo);                                                          \
	}
WRAPS(64)
WRAPS(32)
WRAPS(8)

static void thread_main()
{
	current->thread[running]();
	finished();
	fibers[running].is_done = true;
	run_fiber(pick());
}

/* All that may run has ended. */
static bool all_done()
{
	for (unsigned i = 0; i < nr_threads; i++)
		if (!fibers[i].is_done && !fibers[i].is_suspended && !is_daemon[i])
			return false;
	return true;
}

/* All that is random in an execution comes from its seed. */
static void execute(uint64_t seed)
{
	unsigned horizon;

	random_state = seed;
	restore_image();
	model_reset_tables();
	reset_standins();
	failure = nullptr;
	nr_steps = 0;
	lowest = 0;
	nr_changes = model_random() % MAX_DEPTH;
	/* Executions differ in length: some take 20 steps, some 200. */
	horizon = 16u << model_random() % 5;
	for (unsigned i = 0; i < nr_changes; i++)
		changes[i] = 1 + (unsigned)(model_random() % horizon);
	if (current->before)
		current->before();
	for (unsigned i = 0; i < nr_threads; i++) {
		fiber &f = fibers[i];
		f.is_done = f.is_parked = f.is_suspended = f.is_counted = false;
		f.steps = 0;
		f.priority = 1 + (int)(model_random() % 1000000);
		getcontext(&f.context);
		f.context.uc_stack.ss_sp = f.stack;
		f.context.uc_stack.ss_size = STACK_BYTES;
		makecontext(&f.context, thread_main, 0);
		f.tsan = __tsan_create_fiber(0);
	}
	run_fiber(pick());
	join_fibers();
	if (!failure && !all_done())
		failure = victim == MAIN ? "deadlock" : "the others wait for one that is suspended";
	if (!failure && current->after)
		current->after();
	if (!failure && raced)
		failure = "data race";
	for (unsigned i = 0; i < nr_threads; i++)
		__tsan_destroy_fiber(fibers[i].tsan);
}

struct result {
	unsigned long long executions;
	uint64_t seed; /* of the last */
};

static uint64_t seed_of(uint64_t seed, uint64_t execution)
{
	return seed + execution;
}

static result run_pct(uint64_t seed, unsigned executions)
{
	result r = {0, 0};

	for (; r.executions < executions && !failure; r.executions++) {
		r.seed = seed_of(seed, r.executions);
		execute(r.seed);
	}
	return r;
}

static result run_suspend(uint64_t seed, unsigned times)
{
	result r = {0, 0};

	for (unsigned thread = 0; thread < nr_threads && !failure; thread++) {
		if (current->thread[thread] == model_daemon)
			continue;
		bool is_suspended = true;
		for (unsigned step = 1; is_suspended && !failure; step++) {
			is_suspended = false;
			for (unsigned i = 0; i < times && !failure; i++, r.executions++) {
				victim = thread;
				victim_steps = step;
				r.seed = seed_of(seed, r.executions);
				execute(r.seed);
				is_suspended |= fibers[thread].is_suspended;
			}
		}
	}
	victim = MAIN;
	return r;
}

int main(int argc, char **argv)
{
	unsigned executions = 1000, suspend = 0;
	uint64_t seed = 1;
	const char *only = nullptr;
	bool held = true;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--executions"))
			executions = (unsigned)strtoul(argv[i + 1], nullptr, 0);
		else if (!strcmp(argv[i], "--seed"))
			seed = strtoull(argv[i + 1], nullptr, 0);
		else if (!strcmp(argv[i], "--suspend"))
			suspend = (unsigned)strtoul(argv[i + 1], nullptr, 0);
		else
			only = argv[i + 1];
	}
	find_image();
	signal(SIGSEGV, on_crash);
	fibers[MAIN].tsan = __tsan_get_current_fiber();
	for (unsigned i = 0; i < MODEL_THREADS_MAX; i++)
		fibers[i].stack = (char *)malloc(STACK_BYTES);
	for (current = models; current->name; current++) {
		if (only && strcmp(only, current->name))
			continue;
		count_threads();
		failure = nullptr;
		raced = false;
		auto begin = std::chrono::steady_clock::now();
		result r = suspend ? run_suspend(seed, suspend) : run_pct(seed, executions);
		double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
		printf("%-35s %s  %u threads  %9llu executions  %6.2f s  %s\n", current->name,
		       suspend ? "pct, suspended" : "pct depth 1-4 ", nr_threads, r.executions, seconds,
		       failure ? failure : "held");
		fflush(stdout);
		if (failure)
			fprintf(stderr, "%s: seed %llu\n", current->name, (unsigned long long)r.seed);
		held &= !failure;
	}
	return !held;
}
