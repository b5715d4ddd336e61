/* SPDX-License-Identifier: MIT
 *
 * Peek: look at a frame's metadata, each time in a section of its own. Under qsbr a thread reports quiescence once a
 * batch.
 */
#include "bench.h"

static inline void peek_once(const struct impl *impl, struct mslot_region *region, uint64_t paddr)
{
	const uint64_t *meta;

	impl_read_lock(impl);
	meta = impl->peek(region, paddr, &bench_deferred, NULL);
	bench_keep((void *)(uintptr_t)meta[0]);
	impl_read_unlock(impl);
}

static void peek_own(struct gbench_run *run, void *ctx)
{
	const struct race *race = ctx;
	struct impl impl = *race->impl;
	uint64_t base = OWN_FRAME(gbench_thread(run));
	struct mslot_frame *frames[OWN_SLOTS];

	bench_thread_begin(run);
	for (unsigned i = 0; i < OWN_SLOTS; i++)
		while (!(frames[i] =
				 impl.frame_claim(race->region, base + FRAME(i), &bench_deferred, bench_meta, NULL)))
			mslot_quiescent_state(); /* from its last grace period */
	while (gbench_batch(run, BATCH)) {
		for (unsigned i = 0; i < BATCH; i++)
			peek_once(&impl, race->region, base + FRAME(i % OWN_SLOTS));
		mslot_quiescent_state();
	}
	for (unsigned i = 0; i < OWN_SLOTS; i++)
		impl.frame_drop(frames[i]);
	bench_thread_end();
	/* The slots are wanted for immediate types next. */
	impl.barrier(race->region);
}

static void peek_hot(struct gbench_run *run, void *ctx)
{
	const struct race *race = ctx;
	struct impl impl = *race->impl;

	bench_thread_begin(run);
	while (gbench_window(run))
		do {
			for (unsigned i = 0; i < GBENCH_CHUNK; i++)
				peek_once(&impl, race->region, HOT_DEFERRED_FRAME);
			mslot_quiescent_state();
		} while (gbench_window_open(run, GBENCH_CHUNK));
	bench_thread_end();
}

void bench_peeks(void)
{
	for (unsigned i = 0; race_of(i); i++) {
		bench_register("frame", "peek", "own", race_of(i)->impl->name, bench_threads, peek_own, race_of(i));
		bench_register("frame", "peek", "hot", race_of(i)->impl->name, bench_threads, peek_hot, race_of(i));
	}
}
