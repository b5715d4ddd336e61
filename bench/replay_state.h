/* SPDX-License-Identifier: MIT
 *
 * The state of a replay that is running, between the files that apply events, run threads and take turns.
 */
#ifndef BENCH_REPLAY_STATE_H
#define BENCH_REPLAY_STATE_H

#include "replay_run.h"
#include "samples.h"

#include <pthread.h>
#include <stdatomic.h>

struct progress_word {
	_Alignas(64) _Atomic uint32_t steps_done;
};

struct run;

/* What the trace's frame stands for, where the allocator chooses. The events of a frame are ordered, so it is plain. */
struct traced_frame {
	void *item;
	uint32_t cached; /* references of the page cache */
	uint8_t kind;
	bool is_held;
};

struct copy {
	struct run *run;
	const struct replay_plan *plan;
	uint64_t base;			/* paddr of the trace's first frame */
	struct mslot_frame **held;	/* address mode, by place */
	struct traced_frame *frames;	/* alloc mode, by place */
	struct progress_word *progress; /* by member */
};

struct worker {
	struct run *run;
	struct copy *copy;
	unsigned member;
	uint64_t start_ns, end_ns, nr_waits, wait_ns;
	void **run_items;	/* alloc mode: of the run at hand */
	uint32_t wrong;		/* of the block's frames, the one that an error is about */
	struct samples latency; /* ns */
	pthread_t thread;
};

struct run {
	const struct replay_config *config;
	const struct replay_mode *mode;
	const struct trace *trace;
	struct mslot_region *region; /* address mode */
	void *pool;		     /* alloc mode */
	struct mslot_type types[TRACE_NR_KINDS];
	struct worker *workers;
	unsigned nr_started;
	struct copy *copies;
	struct replay_plan plans[2]; /* for copies with all their members; for the last one, if it has fewer */
	pthread_barrier_t gate;
	bool is_over;
	_Atomic bool has_failed;
	char error[256];
	pthread_mutex_t error_lock;
};

static inline bool has_failed(struct run *run)
{
	return atomic_load_explicit(&run->has_failed, memory_order_relaxed);
}

/* Why an event cannot be applied, whoever chooses the frames. */
#define NOT_ALLOCATED "the frame is not allocated"
#define ALLOCATED_ALREADY "the frame is allocated already"
#define HAS_IN_CACHE "the page cache has the frame"
#define NOT_IN_CACHE "the page cache does not have the frame"

/* 16 bytes of metadata in every slot; the cookie names the frame. */
struct page_meta {
	uint64_t cookie, kind;
};

/* Who chooses the frames. What can fail gives NULL, or why it did. */
struct replay_mode {
	/* What a copy of the trace takes, in its table and of its own: an estimate, rather too high. */
	uint64_t (*copy_bytes)(const struct trace *trace);
	/* Makes the table for `nr_frames` frames of traces, and what a copy or a worker needs of its own. */
	const char *(*open)(struct run *run, uint64_t nr_frames);
	bool (*open_copy)(struct copy *copy);
	bool (*open_worker)(struct worker *worker);
	const char *(*apply)(struct worker *worker, const struct replay_step *step);
	/* After a round: gives up a reference of the page cache; of a holder; waits for what is retired. */
	const char *(*drop_cached)(struct copy *copy, uint32_t place);
	void (*drop_held)(struct copy *copy, uint32_t place);
	void (*barrier)(struct run *run);
	/* After the last one. */
	bool (*is_clean)(struct run *run, uint64_t *nr_broken);
	/* After an event that failed: whatever the frame still is, so that the table can go. */
	void (*give_up)(struct copy *copy, uint32_t place);
	void (*close)(struct run *run);
};

/* ---- replay_worker.c ---- */

/* Of each worker's thread: at the gate once before and once after each round, until the run is over. */
void *replay_work(void *worker);
void replay_wait_at_gate(struct run *run);

extern const struct replay_mode replay_by_address, replay_by_alloc;

#endif
