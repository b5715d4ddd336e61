/* SPDX-License-Identifier: MIT
 *
 * Segments of 512 frames.
 */
#include "bench.h"

#define SEGMENT_FRAMES 512

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
		bench_thread_end();
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

void bench_segments(void)
{
	for (unsigned i = 0; race_of(i); i++)
		bench_register("segment", "clone512", "own", race_of(i)->impl->name, bench_threads, clone512,
			       race_of(i));
}
