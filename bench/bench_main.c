/* SPDX-License-Identifier: MIT
 *
 * metaslot-bench: the race of the library against tables built from locks, and against the bare machine.
 *
 * Takes Google Benchmark's flags. Names are <room>/<operation>/<sharing>/<impl>; one pair (claim and drop, get and
 * drop, forget and restore) is one item.
 */
#include "alloc_impl.h"
#include "bench.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

const int bench_threads[] = {1, 2, 4, 8, 0};

const struct mslot_type bench_immediate = {"immediate", 16, 8, NULL, MSLOT_TYPE_IMMEDIATE};
const struct mslot_type bench_deferred = {"deferred", 16, 8, NULL, 0};
const uint64_t bench_meta[2] = {0x1122334455667788, 0x99aabbccddeeff00};

static cpu_set_t allowed;

void bench_thread_begin(struct gbench_run *run)
{
	int nth = gbench_thread(run) % CPU_COUNT(&allowed);
	cpu_set_t one;

	/* Thread 0 is the main thread, and registered already. */
	mslot_thread_register();
	mslot_thread_online();
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed) || nth--)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
		return;
	}
}

/* Under qsbr, a thread that waits for others must not hold up the grace period that they wait for. */
static void wait_offline(bool begins)
{
	if (begins)
		mslot_thread_offline();
	else
		mslot_thread_online();
}

void bench_thread_end(void)
{
	/* The main thread waits for the others next. */
	mslot_thread_offline();
}

void bench_register(const char *room, const char *operation, const char *sharing, const char *impl, const int *threads,
		    void (*body)(struct gbench_run *run, void *ctx), const void *ctx)
{
	char name[128];

	snprintf(name, sizeof(name), "%s/%s/%s/%s", room, operation, sharing, impl);
	gbench_register(name, threads, body, (void *)ctx);
}

static void help(void)
{
	printf("usage: metaslot-bench [Google Benchmark's flags]\n"
	       "\n"
	       "  --benchmark_list_tests            every benchmark, by name\n"
	       "  --benchmark_filter=REGEX          which to run\n"
	       "  --benchmark_repetitions=N         how often\n"
	       "  --benchmark_enable_random_interleaving=true\n"
	       "  --benchmark_min_time=SECONDS      how long each\n"
	       "  --benchmark_out=FILE --benchmark_out_format=json\n"
	       "\n"
	       "impls:\n");
	for (const struct impl *const *impl = impl_list(); *impl; impl++)
		printf("  %s\n", (*impl)->name);
	printf("\nimpls of alloc/:\n");
	for (const struct alloc_impl *const *impl = alloc_impl_list(); *impl; impl++)
		printf("  %s\n", (*impl)->name);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--help")) {
			help();
			return 0;
		}
	if (sched_getaffinity(0, sizeof(allowed), &allowed) || mslot_thread_register())
		return 1;
	bench_limits();
	bench_frames();
	bench_peeks();
	bench_segments();
	bench_latency();
	bench_regions();
	bench_allocs();
	mslot_thread_offline();
	gbench_on_wait(wait_offline);
	int status = gbench_main(argc, argv);
	mslot_thread_online();
	mslot_thread_unregister();
	return status;
}
