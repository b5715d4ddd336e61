/* SPDX-License-Identifier: MIT
 *
 * What the files of metaslot-bench share.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "gbench.h"
#include "impl.h"
#include "samples.h"

/* Operations of a batch; slots that a thread calls its own, so that all of it, limits too, lies in the first cache. */
#define BATCH 4096
#define OWN_SLOTS 64

/* The thread counts of the race: one, both of two, and oversubscribed, up to the most. */
extern const int bench_threads[];
#define BENCH_MOST_THREADS 8

/* Processors that the threads share. */
unsigned bench_nr_cpus(void);

/* Puts the calling thread where --place says, by its number, and registers it with the library. To be called first in a
 * body; bench_thread_end() last. */
void bench_thread_begin(struct gbench_run *run);
void bench_thread_end(void);

/* 16 bytes of metadata, of an immediate and of a deferred type. */
extern const struct mslot_type bench_immediate, bench_deferred;
extern const uint64_t bench_meta[2];

/* A region of each impl, with a frame that all share: of an immediate type, and of a deferred one. */
struct race {
	const struct impl *impl;
	struct mslot_region *region;
};
#define FRAME(index) ((uint64_t)(index) << 12)
#define OWN_FRAME(thread) FRAME((thread)*OWN_SLOTS)
#define HOT_FRAME FRAME(4000)
#define HOT_DEFERRED_FRAME FRAME(4001)
#define SPREAD_FRAMES 65536 /* of one thread; enough for slots to come back from their grace period */
#define SPREAD_FRAME(thread) FRAME(SPREAD_FRAMES *((thread) + 1))

/* Of impl number `index`, or NULL past the last. */
const struct race *race_of(unsigned index);

/* Reports p50, p99, p999 and max of samples that samples_join() has sorted. */
void bench_count_percentiles(struct gbench_run *run, const struct samples *sorted);

/* Keeps a value from being thought unused. */
static inline void bench_keep(const void *value)
{
	__asm__ volatile("" : : "r"(value) : "memory");
}

/* "frame", "claim_drop", "own", "mslot" to the registered name; nothing without a number of threads. */
void bench_register(const char *room, const char *operation, const char *sharing, const char *impl, const int *threads,
		    void (*body)(struct gbench_run *run, void *ctx), const void *ctx);

/* Each file registers its own. */
void bench_limits(void);
void bench_frames(void);
void bench_peeks(void);
void bench_latency(void);
void bench_reclaims(void);
void bench_segments(void);
void bench_regions(void);
void bench_allocs(void);

#endif
