/* SPDX-License-Identifier: MIT
 *
 * Regions: how long the making of one for 1 TiB takes, and how much memory.
 */
#include "bench.h"

#include <stdio.h>

#define TIB_FRAMES (UINT64_C(1) << 28)

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

void bench_regions(void)
{
	static const int one[] = {1, 0};

	/* The destruction waits for a grace period. */
	bench_register("region", "create_destroy_1tib", "own", "mslot", one, create_destroy_1tib, NULL);
}
