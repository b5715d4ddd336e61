/* SPDX-License-Identifier: MIT
 *
 * What the bare machine does: one locked instruction, one load, on lines of the thread's own or on one line for all.
 * The same loops, batches and footprint as the race has.
 */
#include "bench.h"

#include <stdatomic.h>

struct line {
	_Alignas(64) _Atomic uint64_t word;
};

static struct line own[BENCH_MOST_THREADS][OWN_SLOTS];
static struct line hot;

static void xadd_own(struct gbench_run *run, void *ctx)
{
	struct line *lines = own[gbench_thread(run)];

	(void)ctx;
	bench_thread_begin(run);
	while (gbench_batch(run, BATCH))
		for (unsigned i = 0; i < BATCH; i++)
			atomic_fetch_add_explicit(&lines[i % OWN_SLOTS].word, 1, memory_order_relaxed);
	bench_thread_end();
}

static void cas_own(struct gbench_run *run, void *ctx)
{
	struct line *lines = own[gbench_thread(run)];

	(void)ctx;
	bench_thread_begin(run);
	while (gbench_batch(run, BATCH))
		for (unsigned i = 0; i < BATCH; i++) {
			_Atomic uint64_t *word = &lines[i % OWN_SLOTS].word;
			uint64_t old = atomic_load_explicit(word, memory_order_relaxed);
			atomic_compare_exchange_strong_explicit(word, &old, old + 1, memory_order_relaxed,
								memory_order_relaxed);
		}
	bench_thread_end();
}

static void load_own(struct gbench_run *run, void *ctx)
{
	struct line *lines = own[gbench_thread(run)];

	(void)ctx;
	bench_thread_begin(run);
	while (gbench_batch(run, BATCH))
		for (unsigned i = 0; i < BATCH; i++)
			bench_keep((void *)(uintptr_t)atomic_load_explicit(&lines[i % OWN_SLOTS].word,
									   memory_order_relaxed));
	bench_thread_end();
}

static void xadd_hot(struct gbench_run *run, void *ctx)
{
	(void)ctx;
	bench_thread_begin(run);
	while (gbench_window(run))
		do
			for (unsigned i = 0; i < GBENCH_CHUNK; i++)
				atomic_fetch_add_explicit(&hot.word, 1, memory_order_relaxed);
		while (gbench_window_open(run, GBENCH_CHUNK));
	bench_thread_end();
}

void bench_limits(void)
{
	bench_register("limit", "xadd", "own", "bare", bench_threads, xadd_own, NULL);
	bench_register("limit", "cas", "own", "bare", bench_threads, cas_own, NULL);
	bench_register("limit", "load", "own", "bare", bench_threads, load_own, NULL);
	bench_register("limit", "xadd", "hot", "bare", bench_threads, xadd_hot, NULL);
}
