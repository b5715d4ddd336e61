/* SPDX-License-Identifier: MIT
 *
 * metaslot-bench: the race of the library against tables built from locks, and against the bare machine.
 *
 * Takes Google Benchmark's flags, and --place. Names are <room>/<operation>/<sharing>/<impl>; one pair (claim and drop,
 * get and drop, forget and restore) is one item.
 */
#include "alloc_impl.h"
#include "bench.h"
#include "output.h"
#include "place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const int bench_threads[] = {1, 2, 4, BENCH_MOST_THREADS, 0};

const struct mslot_type bench_immediate = {"immediate", 16, 8, NULL, MSLOT_TYPE_IMMEDIATE};
const struct mslot_type bench_deferred = {"deferred", 16, 8, NULL, 0};
const uint64_t bench_meta[2] = {0x1122334455667788, 0x99aabbccddeeff00};

static struct place *place;

unsigned bench_nr_cpus(void)
{
	return place_nr_cpus(place);
}

void bench_thread_begin(struct gbench_run *run)
{
	/* Thread 0 is the main thread, and registered already. */
	mslot_thread_register();
	mslot_thread_online();
	place_thread(place, (unsigned)gbench_thread(run));
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

	/* Google Benchmark would take one. */
	if (!*threads)
		return;
	snprintf(name, sizeof(name), "%s/%s/%s/%s", room, operation, sharing, impl);
	gbench_register(name, threads, body, (void *)ctx);
}

void bench_count_percentiles(struct gbench_run *run, const struct samples *sorted)
{
	gbench_count(run, "p50", (double)samples_percentile(sorted, 0.5), false);
	gbench_count(run, "p99", (double)samples_percentile(sorted, 0.99), false);
	gbench_count(run, "p999", (double)samples_percentile(sorted, 0.999), false);
	gbench_count(run, "max", (double)samples_percentile(sorted, 1), false);
}

static void help(void)
{
	printf("usage: metaslot-bench [--place compact|scatter|node|none|CPUS] [Google Benchmark's flags]\n"
	       "\n"
	       "  --place P                         threads on neighbouring cpus (default), on distant ones, each on\n"
	       "                                    another NUMA node, where the kernel puts them, or on a list: "
	       "0-3,8\n"
	       "  --benchmark_list_tests            every benchmark, by name\n"
	       "  --benchmark_filter=REGEX          which to run\n"
	       "  --benchmark_repetitions=N         how often; the repetitions of all take turns, in random order, so "
	       "that\n"
	       "                                    what the machine does meanwhile falls on all alike, but with\n"
	       "  --benchmark_enable_random_interleaving=false\n"
	       "  --benchmark_min_time=SECONDS      how long each\n"
	       "  --benchmark_out=FILE --benchmark_out_format=json\n"
	       "\n"
	       "impls:\n");
	for (const struct impl *const *impl = impl_list(); *impl; impl++)
		printf("  %s\n", (*impl)->name);
	printf("\nimpls of alloc/:\n");
	for (const struct alloc_impl *const *impl = alloc_impl_list(); *impl; impl++)
		printf("  %s\n", (*impl)->name);
	printf("\nimpls of reclaim/:\n  mslot\n  call_rcu\n\nimpls of limit/, which are no tables:\n  bare\n");
}

/* Takes what is ours off the command line, with = or as a word of its own; false if it cannot be done. */
static bool take_place(int *argc, char **argv)
{
	const char *how = "compact", *why;
	int left = 1;

	for (int i = 1; i < *argc; i++)
		if (!strncmp(argv[i], "--place=", 8))
			how = argv[i] + 8;
		else if (!strcmp(argv[i], "--place"))
			how = ++i < *argc ? argv[i] : "";
		else
			argv[left++] = argv[i];
	argv[left] = NULL;
	*argc = left;
	place = place_make(how, PLACE_LOCAL, 1, &why);
	if (!place)
		fprintf(stderr, "metaslot-bench: --place %s: %s\n", how, why);
	return place;
}

/* Repetitions are to take turns, unless the command line says otherwise: what comes later there wins. Gives `argv`, or
 * a longer one to be freed. */
static char **interleave(int *argc, char **argv)
{
	static char turns[] = "--benchmark_enable_random_interleaving=true";
	bool repeats = false;

	for (int i = 1; i < *argc; i++)
		repeats = repeats || !strncmp(argv[i], "--benchmark_repetitions=", 24);
	char **longer = repeats ? calloc((size_t)*argc + 2, sizeof(*longer)) : NULL;
	if (!longer)
		return argv;
	longer[0] = argv[0];
	longer[1] = turns;
	memcpy(&longer[2], &argv[1], (size_t)(*argc - 1) * sizeof(*argv));
	++*argc;
	return longer;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--help")) {
			help();
			return 0;
		}
	if (!take_place(&argc, argv))
		return 2;
	if (mslot_thread_register())
		return 1;
	bench_limits();
	bench_frames();
	bench_peeks();
	bench_segments();
	bench_latency();
	bench_reclaims();
	bench_regions();
	bench_allocs();
	mslot_thread_offline();
	gbench_on_wait(wait_offline);
	char **flags = interleave(&argc, argv);
	int status = gbench_main(argc, flags);
	if (flags != argv)
		free(flags);
	mslot_thread_online();
	mslot_thread_unregister();
	place_free(place);
	return output_is_written("metaslot-bench") ? status : 1;
}
