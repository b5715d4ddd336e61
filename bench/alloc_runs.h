/* SPDX-License-Identifier: MIT
 *
 * Runs of frames for the pools that know single ones only: a binary buddy allocator behind a lock of its own.
 *
 * It has as many frames as the pool has, beside them, so that no pool pays for breaking up runs or for merging single
 * frames: more than the library, which finds both in one region, is given.
 */
#ifndef BENCH_ALLOC_RUNS_H
#define BENCH_ALLOC_RUNS_H

#include "alloc_impl.h"
#include "alloc_item.h"

#include <ck_spinlock.h>
#include <pthread.h>

struct runs {
	bool is_mutex; /* else a test-and-set spinlock */
	ck_spinlock_fas_t fas;
	pthread_mutex_t mutex;
	struct item *items;
	uint64_t nr_blocks; /* of the highest order */
	uint32_t orders;    /* a bit for each that has a free run */
	struct item *heads[ALLOC_MAX_ORDER + 1];
};

/* Zeroed memory for `nr` items, paid for as it is touched; NULL where there is none. */
struct item *items_map(uint64_t nr);
void items_unmap(struct item *items, uint64_t nr);

bool runs_init(struct runs *runs, uint64_t nr, bool is_mutex);
void runs_end(struct runs *runs);
struct item *runs_take(struct runs *runs, unsigned order);
/* A run that was taken, or an aligned part of one. */
void runs_give(struct runs *runs, struct item *item, unsigned order);
/* Whether all have come back. */
bool runs_are_whole(const struct runs *runs);

/* Opens the frames of a run, as alloc_run of alloc_impl.h. */
bool runs_open(struct runs *runs, unsigned order, const struct mslot_type *type, const uint64_t meta[2], void **items);
/* Gives up a reference to each of the items; false if they are no run, or part of one: then nothing is done. */
bool runs_put(struct runs *runs, unsigned order, void **items);

static inline bool runs_have(const struct runs *runs, const struct item *item)
{
	return item >= runs->items && item < runs->items + (runs->nr_blocks << ALLOC_MAX_ORDER);
}

#endif
