/* SPDX-License-Identifier: MIT
 *
 * Frames: claim and drop, get and drop, forget and restore, map and unmap.
 *
 * own: each thread turns over slots of its own, as many as the limits have lines. hot: all share one frame, in windows
 * of time. Every impl is called through the same pointers, loaded before the loop.
 */
#include "bench.h"

#include <sched.h>

/* Whether threads meet though each has frames of its own. */
static bool threads_meet(const struct gbench_run *run, const struct impl *impl)
{
	return impl->is_global && gbench_threads(run) > 1;
}

/*
 * Runs `operation` on own frames: frame number `i` of OWN_SLOTS. In batches; where all wait for one lock, in windows of
 * time, as each of a fixed number of turns may cost a time slice.
 */
#define OWN_LOOP(operation)                                                                                            \
	if (threads_meet(run, impl)) {                                                                                 \
		while (gbench_window(run))                                                                             \
			do                                                                                             \
				for (unsigned i = 0; i < GBENCH_CHUNK; i++) {                                          \
					operation;                                                                     \
				}                                                                                      \
			while (gbench_window_open(run, GBENCH_CHUNK));                                                 \
	} else {                                                                                                       \
		while (gbench_batch(run, BATCH))                                                                       \
			for (unsigned turn = 0; turn < BATCH; turn++) {                                                \
				unsigned i = turn % OWN_SLOTS;                                                         \
				operation;                                                                             \
			}                                                                                              \
	}
_Static_assert(GBENCH_CHUNK == OWN_SLOTS, "a chunk turns each over once");

/* Runs `operation` on the one frame in windows of time. */
#define HOT_LOOP(operation)                                                                                            \
	while (gbench_window(run))                                                                                     \
		do                                                                                                     \
			for (unsigned i = 0; i < GBENCH_CHUNK; i++) {                                                  \
				operation;                                                                             \
			}                                                                                              \
	while (gbench_window_open(run, GBENCH_CHUNK))

/* A frame of its own held for each of the thread's slots. */
static void hold_own(struct gbench_run *run, const struct race *race, struct mslot_frame **frames)
{
	for (unsigned i = 0; i < OWN_SLOTS; i++)
		frames[i] = race->impl->frame_claim(race->region, OWN_FRAME(gbench_thread(run)) + FRAME(i),
						    &bench_immediate, bench_meta, NULL);
}

static void drop_own(const struct race *race, struct mslot_frame **frames)
{
	for (unsigned i = 0; i < OWN_SLOTS; i++)
		race->impl->frame_drop(frames[i]);
}

#define BODY(name)                                                                                                     \
	static void name(struct gbench_run *run, void *ctx)                                                            \
	{                                                                                                              \
		const struct race *race = ctx;                                                                         \
		struct mslot_region *region = race->region;                                                            \
		const struct impl *impl = race->impl;                                                                  \
		bench_thread_begin(run);                                                                               \
		name##_run(run, race, region, impl);                                                                   \
		bench_thread_end();                                                                                    \
	}
#define RUN_ARGS struct gbench_run *run, const struct race *race, struct mslot_region *region, const struct impl *impl

static void claim_drop_own_run(RUN_ARGS)
{
	__typeof__(impl->frame_claim) claim = impl->frame_claim;
	__typeof__(impl->frame_drop) drop = impl->frame_drop;
	uint64_t base = OWN_FRAME(gbench_thread(run));

	(void)race;
	OWN_LOOP(drop(claim(region, base + FRAME(i), &bench_immediate, bench_meta, NULL)));
	/* Were one of them refused, its turns would have counted for nothing. */
	for (unsigned i = 0; i < OWN_SLOTS; i++) {
		struct mslot_frame *frame = claim(region, base + FRAME(i), &bench_immediate, bench_meta, NULL);

		if (!frame)
			gbench_fail(run, "a frame of the thread's own was refused");
		drop(frame);
	}
}
BODY(claim_drop_own)

/*
 * Deferred: a thread turns over SPREAD_FRAMES, so that each comes back from its grace period before it is wanted again.
 * One that has not is refused, waited for, and counted as `refused`, not as an item.
 */
static void claim_drop_rcu_own_run(RUN_ARGS)
{
	__typeof__(impl->frame_claim) claim = impl->frame_claim;
	__typeof__(impl->frame_drop) drop = impl->frame_drop;
	uint64_t base = SPREAD_FRAME(gbench_thread(run)), refused = 0;
	static _Thread_local unsigned next;
	unsigned at = next;

	(void)race;
	/* Page faults are not what is timed. */
	for (unsigned i = 0; i < SPREAD_FRAMES; i++) {
		struct mslot_frame *frame = claim(region, base + FRAME(i), &bench_immediate, bench_meta, NULL);

		if (frame)
			drop(frame);
	}
	while (gbench_batch(run, BATCH)) {
		for (unsigned i = 0; i < BATCH; i++) {
			uint64_t paddr = base + FRAME(at++ % SPREAD_FRAMES);
			struct mslot_frame *frame;

			while (!(frame = claim(region, paddr, &bench_deferred, bench_meta, NULL))) {
				refused++;
				mslot_quiescent_state();
				sched_yield();
			}
			drop(frame);
		}
		mslot_quiescent_state();
	}
	next = at;
	gbench_count(run, "refused", (double)refused, false);
}
BODY(claim_drop_rcu_own)

static void get_drop_own_run(RUN_ARGS)
{
	__typeof__(impl->frame_get) get = impl->frame_get;
	__typeof__(impl->frame_drop) drop = impl->frame_drop;
	struct mslot_frame *frames[OWN_SLOTS];
	uint64_t base = OWN_FRAME(gbench_thread(run));

	hold_own(run, race, frames);
	OWN_LOOP(drop(get(region, base + FRAME(i), NULL)));
	drop_own(race, frames);
}
BODY(get_drop_own)

static void get_drop_hot_run(RUN_ARGS)
{
	__typeof__(impl->frame_get) get = impl->frame_get;
	__typeof__(impl->frame_drop) drop = impl->frame_drop;

	(void)race;
	HOT_LOOP(drop(get(region, HOT_FRAME, NULL)));
}
BODY(get_drop_hot)

static void raw_own_run(RUN_ARGS)
{
	__typeof__(impl->frame_into_raw) into_raw = impl->frame_into_raw;
	__typeof__(impl->frame_from_raw) from_raw = impl->frame_from_raw;
	struct mslot_frame *frames[OWN_SLOTS];

	hold_own(run, race, frames);
	OWN_LOOP(frames[i] = from_raw(region, into_raw(frames[i]), NULL));
	drop_own(race, frames);
}
BODY(raw_own)

static void raw_hot_run(RUN_ARGS)
{
	__typeof__(impl->frame_into_raw) into_raw = impl->frame_into_raw;
	__typeof__(impl->frame_from_raw) from_raw = impl->frame_from_raw;
	struct mslot_frame *frame = impl->frame_get(region, HOT_FRAME, NULL);

	(void)race;
	HOT_LOOP(frame = from_raw(region, into_raw(frame), NULL));
	impl->frame_drop(frame);
}
BODY(raw_hot)

static void map_own_run(RUN_ARGS)
{
	__typeof__(impl->frame_clone_into_raw) map = impl->frame_clone_into_raw;
	__typeof__(impl->frame_drop_raw) unmap = impl->frame_drop_raw;
	struct mslot_frame *frames[OWN_SLOTS];

	hold_own(run, race, frames);
	OWN_LOOP(unmap(region, map(frames[i])));
	drop_own(race, frames);
}
BODY(map_own)

static void map_hot_run(RUN_ARGS)
{
	__typeof__(impl->frame_clone_into_raw) map = impl->frame_clone_into_raw;
	__typeof__(impl->frame_drop_raw) unmap = impl->frame_drop_raw;
	struct mslot_frame *frame = impl->frame_get(region, HOT_FRAME, NULL);

	(void)race;
	HOT_LOOP(unmap(region, map(frame)));
	impl->frame_drop(frame);
}
BODY(map_hot)

void bench_frames(void)
{
	for (unsigned i = 0; race_of(i); i++) {
		const struct race *race = race_of(i);
		const char *name = race->impl->name;

		bench_register("frame", "claim_drop", "own", name, bench_threads, claim_drop_own, race);
		if (race->impl->can_defer)
			bench_register("frame", "claim_drop_rcu", "own", name, bench_threads, claim_drop_rcu_own, race);
		bench_register("frame", "get_drop", "own", name, bench_threads, get_drop_own, race);
		bench_register("frame", "get_drop", "hot", name, bench_threads, get_drop_hot, race);
		bench_register("frame", "raw", "own", name, bench_threads, raw_own, race);
		bench_register("frame", "raw", "hot", name, bench_threads, raw_hot, race);
		bench_register("frame", "map", "own", name, bench_threads, map_own, race);
		bench_register("frame", "map", "hot", name, bench_threads, map_hot, race);
	}
}
