// SPDX-License-Identifier: MIT
//
// The only C++ here: C functions on Google Benchmark's calls.
#include "gbench.h"

#include <benchmark/benchmark.h>

#include <chrono>

struct gbench_run {
	benchmark::State &state;
	int64_t items;
	bool has_begun;
	std::chrono::steady_clock::time_point end;
};

static void (*on_wait)(bool begins);

void gbench_on_wait(void (*fn)(bool begins))
{
	on_wait = fn;
}

static constexpr auto window = std::chrono::milliseconds(10);

// The first call and the one that says no wait for the other threads.
template <typename Keep> static bool keep_running(gbench_run *run, Keep keep)
{
	bool waits = !run->has_begun || run->state.iterations() >= run->state.max_iterations;

	run->has_begun = true;
	if (waits && on_wait)
		on_wait(true);
	bool goes_on = keep();
	if (waits && on_wait)
		on_wait(false);
	return goes_on;
}

bool gbench_batch(gbench_run *run, int64_t nr)
{
	if (!keep_running(run, [run, nr] { return run->state.KeepRunningBatch(nr); }))
		return false;
	run->items += nr;
	return true;
}

bool gbench_window(gbench_run *run)
{
	if (!keep_running(run, [run] { return run->state.KeepRunning(); }))
		return false;
	run->end = std::chrono::steady_clock::now() + window;
	return true;
}

bool gbench_window_open(gbench_run *run, int64_t nr)
{
	run->items += nr;
	return std::chrono::steady_clock::now() < run->end;
}

void gbench_pause(gbench_run *run)
{
	run->state.PauseTiming();
}

void gbench_resume(gbench_run *run)
{
	run->state.ResumeTiming();
}

int gbench_thread(const gbench_run *run)
{
	return run->state.thread_index();
}

int gbench_threads(const gbench_run *run)
{
	return run->state.threads();
}

void gbench_count(gbench_run *run, const char *name, double value, bool is_average)
{
	run->state.counters[name] =
		benchmark::Counter(value, is_average ? benchmark::Counter::kAvgThreads : benchmark::Counter::kDefaults);
}

void gbench_fail(gbench_run *run, const char *why)
{
	run->state.SkipWithError(why);
}

void gbench_register(const char *name, const int *threads, void (*body)(gbench_run *run, void *ctx), void *ctx)
{
	auto *registered = benchmark::RegisterBenchmark(name, [body, ctx](benchmark::State &state) {
		gbench_run run = {state, 0, false, {}};
		body(&run, ctx);
		state.SetItemsProcessed(run.items);
	});
	registered->UseRealTime();
	for (; *threads; threads++)
		registered->Threads(*threads);
}

int gbench_main(int argc, char **argv)
{
	benchmark::Initialize(&argc, argv);
	if (benchmark::ReportUnrecognizedArguments(argc, argv))
		return 2;
	/* None where the filter is wrong, or matches nothing, which it has said. */
	size_t nr_run = benchmark::RunSpecifiedBenchmarks();
	benchmark::Shutdown();
	return nr_run ? 0 : 2;
}
