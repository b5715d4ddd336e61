/* SPDX-License-Identifier: MIT
 *
 * Deferred drops of one thread, through a region of 2^20 frames, beside one call_rcu a slot.
 *
 * drop:       a batch of frames is claimed while the clock stands; the drops of it are what is counted.
 * claim_drop: one frame after the other, with the clock running: what can be kept up.
 *
 * One drop in STRIDE is timed by itself, clock included (`clock` says what that costs), and so is the time from that
 * drop to the moment when its slot is recycled. What recycles is part of the run: the library's own share at later
 * drops is in its drops, what other threads do is not, on either side.
 */
#include "bench.h"
#include "call_rcu.h"
#include "samples.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#define NR_FRAMES (UINT64_C(1) << 20)
/* Frames that are held between a claim and its drop. */
#define HELD 4096
/* Shares no factor with how often a drop recycles what came before, or with the region. */
#define STRIDE 61

struct deferring {
	void *(*claim)(uint64_t index, bool is_told);
	void (*drop)(void *handle);
	void (*barrier)(void);
};

/* ---- ages ---- */

static uint64_t dropped_ns[NR_FRAMES / STRIDE + 1]; /* of each frame that is timed, its last drop */
static uint64_t ages[SAMPLES_MOST];
static _Atomic uint64_t nr_ages;

/* On whatever thread recycles. */
static void on_recycle(uint64_t index)
{
	uint64_t at = atomic_fetch_add_explicit(&nr_ages, 1, memory_order_relaxed);

	ages[at % SAMPLES_MOST] = now_ns() - dropped_ns[index / STRIDE];
}

/* ---- the two ---- */

static struct mslot_region *region;
static struct call_rcu_slot *table;

static void on_drop(void *meta, uint64_t paddr, void *memory)
{
	(void)meta, (void)memory;
	on_recycle(paddr / FRAME(1));
}

static void *mslot_claim(uint64_t index, bool is_told)
{
	static const struct mslot_type told = {"told", 16, 8, on_drop, 0};

	return mslot_frame_claim(region, FRAME(index), is_told ? &told : &bench_deferred, bench_meta, NULL);
}

static void mslot_drop(void *frame)
{
	mslot_frame_drop(frame);
}

static void mslot_wait(void)
{
	mslot_barrier(region);
}

static void *baseline_claim(uint64_t index, bool is_told)
{
	return call_rcu_claim(table, index, bench_meta, is_told);
}

static void baseline_drop(void *slot)
{
	call_rcu_drop(slot);
}

static const struct deferring library = {mslot_claim, mslot_drop, mslot_wait};
static const struct deferring baseline = {baseline_claim, baseline_drop, call_rcu_barrier};

/* ---- what both do ---- */

static struct samples drops;

static void *claim(const struct deferring *impl, uint64_t index)
{
	void *handle;

	/* From its last grace period. */
	while (!(handle = impl->claim(index, index % STRIDE == 0))) {
		mslot_quiescent_state();
		sched_yield();
	}
	return handle;
}

static void drop(const struct deferring *impl, void *handle, uint64_t index)
{
	if (index % STRIDE) {
		impl->drop(handle);
		return;
	}
	uint64_t from = now_ns();
	dropped_ns[index / STRIDE] = from;
	impl->drop(handle);
	samples_add(&drops, now_ns() - from);
}

static uint64_t clock_cost_ns(void)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < 1000; i++) {
		uint64_t from = now_ns(), cost = now_ns() - from;
		least = cost < least ? cost : least;
	}
	return least;
}

static void report(struct gbench_run *run)
{
	struct samples old = {ages, atomic_load(&nr_ages)}, sorted;

	if (!samples_join(&sorted, &drops, sizeof(drops), 1)) {
		gbench_fail(run, "no memory");
		return;
	}
	bench_count_percentiles(run, &sorted);
	gbench_count(run, "clock", (double)clock_cost_ns(), false);
	samples_free(&sorted);
	if (!samples_join(&sorted, &old, sizeof(old), 1)) {
		gbench_fail(run, "no memory");
		return;
	}
	gbench_count(run, "age_p50", (double)samples_percentile(&sorted, 0.5), false);
	gbench_count(run, "age_p99", (double)samples_percentile(&sorted, 0.99), false);
	samples_free(&sorted);
}

/* All slots have been touched, and none is timed that was dropped before the run. */
static bool begin(struct gbench_run *run, const struct deferring *impl)
{
	if (!drops.values && !samples_init(&drops)) {
		gbench_fail(run, "no memory");
		return false;
	}
	bench_thread_begin(run);
	for (uint64_t i = 0; i < NR_FRAMES; i++)
		impl->drop(claim(impl, i));
	impl->barrier();
	drops.nr = 0;
	atomic_store(&nr_ages, 0);
	return true;
}

static void end(struct gbench_run *run, const struct deferring *impl)
{
	impl->barrier();
	report(run);
	bench_thread_end();
}

static void drop_own(struct gbench_run *run, void *ctx)
{
	const struct deferring *impl = ctx;
	static void *held[HELD];
	uint64_t at = 0;

	if (!begin(run, impl))
		return;
	while (gbench_batch(run, HELD)) {
		gbench_pause(run);
		for (uint64_t i = 0; i < HELD; i++)
			held[i] = claim(impl, at + i);
		gbench_resume(run);
		for (uint64_t i = 0; i < HELD; i++)
			drop(impl, held[i], at + i);
		mslot_quiescent_state();
		at = (at + HELD) % NR_FRAMES;
	}
	end(run, impl);
}

static void claim_drop_own(struct gbench_run *run, void *ctx)
{
	const struct deferring *impl = ctx;
	uint64_t at = 0;

	if (!begin(run, impl))
		return;
	while (gbench_batch(run, HELD)) {
		for (uint64_t i = 0; i < HELD; i++)
			drop(impl, claim(impl, at + i), at + i);
		mslot_quiescent_state();
		at = (at + HELD) % NR_FRAMES;
	}
	end(run, impl);
}

void bench_reclaims(void)
{
	static const int threads[] = {1, 0};
	const struct mslot_region_config config = {.nr_frames = NR_FRAMES, .huge_pages = true};

	region = mslot_region_create(&config, NULL);
	table = call_rcu_table(NR_FRAMES, on_recycle);
	if (!region || !table) {
		fputs("metaslot-bench: no memory for the frames of reclaim/\n", stderr);
		exit(1);
	}
	bench_register("reclaim", "drop", "own", "mslot", threads, drop_own, &library);
	bench_register("reclaim", "drop", "own", "call_rcu", threads, drop_own, &baseline);
	bench_register("reclaim", "claim_drop", "own", "mslot", threads, claim_drop_own, &library);
	bench_register("reclaim", "claim_drop", "own", "call_rcu", threads, claim_drop_own, &baseline);
}
