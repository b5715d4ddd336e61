/* SPDX-License-Identifier: MIT
 *
 * The state of a replay that is running, between the file that applies events and the one that runs threads.
 */
#ifndef BENCH_REPLAY_STATE_H
#define BENCH_REPLAY_STATE_H

#include "replay_run.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

struct progress_word {
	_Alignas(64) _Atomic uint32_t steps_done;
};

struct run;

struct copy {
	struct run *run;
	const struct replay_plan *plan;
	uint64_t base; /* paddr of the trace's first frame */
	struct mslot_frame **held;
	struct progress_word *progress; /* by member */
};

struct worker {
	struct run *run;
	struct copy *copy;
	unsigned member;
	uint64_t start_ns, end_ns, nr_waits, wait_ns;
	struct samples latency; /* ns */
	pthread_t thread;
};

struct run {
	const struct replay_config *config;
	const struct impl *impl;
	const struct trace *trace;
	struct mslot_region *region;
	struct mslot_type types[TRACE_NR_KINDS];
	struct worker *workers;
	struct copy *copies;
	struct replay_plan plans[2]; /* for copies with all their members; for the last one, if it has fewer */
	pthread_barrier_t gate;
	bool is_over;
	_Atomic bool has_failed;
	char error[256];
	pthread_mutex_t error_lock;
};

static inline uint64_t now_ns(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

static inline bool has_failed(struct run *run)
{
	return atomic_load_explicit(&run->has_failed, memory_order_relaxed);
}

/* 16 bytes of metadata in every slot; the cookie names the frame. */
struct page_meta {
	uint64_t cookie, kind;
};

/* Applies one event; NULL, or why it could not be. */
const char *replay_apply(struct worker *worker, const struct replay_step *step);

#endif
