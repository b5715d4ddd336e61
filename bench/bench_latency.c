/* SPDX-License-Identifier: MIT
 *
 * The latency of get and drop, one by one, where more threads run than there are cpus.
 */
#include "bench.h"

/* Of each thread; all have left the loop when the first one reads them. */
static struct samples latencies[BENCH_MOST_THREADS];

static void report_latency(struct gbench_run *run)
{
	struct samples sorted;

	if (!samples_join(&sorted, latencies, sizeof(*latencies), (size_t)gbench_threads(run))) {
		gbench_fail(run, "no memory");
		return;
	}
	bench_count_percentiles(run, &sorted);
	samples_free(&sorted);
}

static void get_drop_latency(struct gbench_run *run, void *ctx)
{
	const struct race *race = ctx;
	struct impl impl = *race->impl;
	struct samples *own = &latencies[gbench_thread(run)];

	if (!own->values && !samples_init(own)) {
		gbench_fail(run, "no memory");
		return;
	}
	own->nr = 0;
	bench_thread_begin(run);
	while (gbench_window(run))
		do {
			uint64_t from = now_ns();
			impl.frame_drop(impl.frame_get(race->region, HOT_FRAME, NULL));
			samples_add(own, now_ns() - from);
		} while (gbench_window_open(run, 1));
	if (gbench_thread(run) == 0)
		report_latency(run);
	bench_thread_end();
}

void bench_latency(void)
{
	static const int threads[] = {2, BENCH_MOST_THREADS, 0};

	for (unsigned i = 0; race_of(i); i++)
		bench_register("frame", "get_drop_latency", "hot", race_of(i)->impl->name, threads, get_drop_latency,
			       race_of(i));
}
