/* SPDX-License-Identifier: MIT
 *
 * Segments of 512 frames, and the making of a whole region.
 */
#include "bench.h"

#include <stdio.h>

#define SEGMENT_FRAMES 512
#define TIB_FRAMES (UINT64_C(1) << 28)

static void clone512(struct gbench_run *run, void *ctx)
{
	const struct race *race = ctx;
	const struct impl *impl = race->impl;
	uint64_t start = SPREAD_FRAME(gbench_thread(run));
	struct mslot_segment segment, clone;

	bench_thread_begin(run);
	/* A thread's frames may be on their way back from the deferred race. */
	impl->barrier(race->region);
	if (impl->segment_claim(race->region, start, start + FRAME(SEGMENT_FRAMES), &bench_immediate, NULL, NULL,
				&segment)) {
		gbench_fail(run, "the segment could not be claimed");
		return;
	}
	while (gbench_batch(run, 8))
		for (unsigned i = 0; i < 8; i++) {
			if (impl->segment_clone(&segment, &clone) == MSLOT_OK)
				impl->segment_drop(&clone);
		}
	impl->segment_drop(&segment);
	bench_thread_end();
}

/* Of this process, in KiB. */
static double resident_kib(void)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "re");
	char line[128];
	double kib = 0;

	while (file && fgets(line, sizeof(line), file) && sscanf(line, "Rss: %lf kB", &kib) != 1)
		;
	if (file)
		fclose(file);
	return kib;
}

static void create_destroy_1tib(struct gbench_run *run, void *ctx)
{
	const struct mslot_region_config config = {.nr_frames = TIB_FRAMES};
	struct samples creations, sorted;
	double kib = 0;

	(void)ctx;
	if (!samples_init(&creations)) {
		gbench_fail(run, "no memory");
		return;
	}
	bench_thread_begin(run);
	while (gbench_batch(run, 1)) {
		double before = creations.nr ? 0 : resident_kib();
		uint64_t from = now_ns();
		struct mslot_region *region = mslot_region_create(&config, NULL);

		samples_add(&creations, now_ns() - from);
		if (creations.nr == 1)
			kib = resident_kib() - before;
		if (!region || mslot_region_destroy(region) != MSLOT_OK) {
			gbench_fail(run, "no region");
			break;
		}
	}
	if (samples_join(&sorted, &creations, sizeof(creations), 1)) {
		gbench_count(run, "create_ns", (double)samples_percentile(&sorted, 0.5), false);
		gbench_count(run, "create_kib", kib, false);
		samples_free(&sorted);
	}
	samples_free(&creations);
	bench_thread_end();
}

void bench_segments(void)
{
	for (unsigned i = 0; race_of(i); i++)
		bench_register("segment", "clone512", "own", race_of(i)->impl->name, bench_threads, clone512,
			       race_of(i));
}

void bench_regions(void)
{
	static const int one[] = {1, 0};

	/* The destruction waits for a grace period. */
	bench_register("region", "create_destroy_1tib", "own", "mslot", one, create_destroy_1tib, NULL);
}
