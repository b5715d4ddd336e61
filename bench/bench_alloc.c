/* SPDX-License-Identifier: MIT
 *
 * Finding free frames: one and back, many, back in random order, back on another thread.
 *
 * pair: allocated and freed at once. bulk: BULK are allocated, then freed in the same order; what is not measured runs
 * with the clock stopped. random_free: freed in random order. remote_free: threads form a ring, and each frees what the
 * one before it has allocated. One allocation, or one free, is one item.
 *
 * All but pair stop the clock of each thread once a turn, and have rows for no more threads than there are processors:
 * with more, much of a thread's wait for a processor falls into the part that is not measured, and the rows showed up
 * to four times of what was done.
 */
#include "alloc_impl.h"
#include "bench.h"

#include <pthread.h>
#include <stdlib.h>

#define BULK 65536

struct alloc_race {
	const struct alloc_impl *impl;
	void *pool;
};

static void **items_of[BENCH_MOST_THREADS];
static pthread_barrier_t all;

/* Made by the first thread that runs it. */
static void *pool_of(struct alloc_race *race)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&lock);
	if (!race->pool)
		race->pool = race->impl->create((uint64_t)BULK * (BENCH_MOST_THREADS + 1));
	pthread_mutex_unlock(&lock);
	return race->pool;
}

static void pair(struct gbench_run *run, void *ctx)
{
	struct alloc_race *race = ctx;
	struct alloc_impl impl = *race->impl;
	void *pool = pool_of(race);

	if (!pool) {
		gbench_fail(run, "no memory");
		return;
	}
	/* All threads wait for each other at both ends of the loop. Other rows measure how threads wait. */
	if (gbench_thread(run) == 0)
		impl_is_oversubscribed = (unsigned)gbench_threads(run) > bench_nr_cpus();
	bench_thread_begin(run);
	while (gbench_batch(run, BATCH))
		for (unsigned i = 0; i < BATCH; i++)
			impl.free(pool, impl.alloc(pool, &bench_immediate, bench_meta));
	if (gbench_thread(run) == 0)
		impl_is_oversubscribed = false;
	bench_thread_end();
}

static bool alloc_bulk(const struct alloc_race *race, void **items)
{
	struct alloc_impl impl = *race->impl;

	for (unsigned i = 0; i < BULK; i++)
		if (!(items[i] = impl.alloc(race->pool, &bench_immediate, bench_meta))) {
			while (i--)
				impl.free(race->pool, items[i]);
			return false;
		}
	return true;
}

static void free_bulk(const struct alloc_race *race, void **items)
{
	struct alloc_impl impl = *race->impl;

	for (unsigned i = 0; i < BULK; i++)
		impl.free(race->pool, items[i]);
}

static void shuffle(void **items)
{
	static _Thread_local uint64_t random = 88172645463325252;

	for (unsigned i = BULK - 1; i > 0; i--) {
		random ^= random << 13, random ^= random >> 7, random ^= random << 17;
		unsigned j = (unsigned)(random % (i + 1));
		void *item = items[i];
		items[i] = items[j];
		items[j] = item;
	}
}

/* What of a turn is measured, and in which order is freed. */
enum turn { BULK_ALLOC, BULK_FREE, RANDOM_FREE, REMOTE_FREE, REMOTE_RANDOM_FREE };

/* With the clock stopped, all threads meet. */
static void meet(enum turn turn)
{
	if (turn >= REMOTE_FREE) {
		mslot_thread_offline(); /* nobody waits for a grace period of ours */
		pthread_barrier_wait(&all);
		mslot_thread_online();
	}
}

static void turns(struct gbench_run *run, void *ctx, enum turn turn)
{
	struct alloc_race *race = ctx;
	int self = gbench_thread(run), before = (self + gbench_threads(run) - 1) % gbench_threads(run);
	void **items = items_of[self] = malloc(BULK * sizeof(*items));
	bool ok = pool_of(race) && items;

	/* The first call of gbench_batch() waits for all threads: the barrier is there before any meets another. */
	if (self == 0 && turn >= REMOTE_FREE)
		pthread_barrier_init(&all, NULL, (unsigned)gbench_threads(run));
	bench_thread_begin(run);
	while (gbench_batch(run, BULK)) {
		if (turn != BULK_ALLOC)
			gbench_pause(run);
		ok = ok && alloc_bulk(race, items);
		if (turn == BULK_ALLOC)
			gbench_pause(run);
		if (ok && (turn == RANDOM_FREE || turn == REMOTE_RANDOM_FREE))
			shuffle(items);
		meet(turn);
		if (turn != BULK_ALLOC)
			gbench_resume(run);
		if (ok)
			free_bulk(race, turn >= REMOTE_FREE ? items_of[before] : items);
		if (turn == BULK_ALLOC)
			gbench_resume(run);
		if (turn >= REMOTE_FREE) {
			gbench_pause(run);
			meet(turn);
			gbench_resume(run);
		}
	}
	if (self == 0 && turn >= REMOTE_FREE)
		pthread_barrier_destroy(&all);
	free(items);
	if (!ok)
		gbench_fail(run, "nothing left");
	bench_thread_end();
}

#define TURNS(name, turn)                                                                                              \
	static void name(struct gbench_run *run, void *ctx)                                                            \
	{                                                                                                              \
		turns(run, ctx, turn);                                                                                 \
	}
TURNS(bulk_alloc, BULK_ALLOC)
TURNS(bulk_free, BULK_FREE)
TURNS(random_free, RANDOM_FREE)
TURNS(remote_free, REMOTE_FREE)
TURNS(remote_random_free, REMOTE_RANDOM_FREE)

/* Of the usual numbers of threads, those from `least` on that have a processor each; `threads` has room for all. */
static void threads_with_cpus(int *threads, int least)
{
	for (const int *count = bench_threads; *count; count++)
		if (*count >= least && (unsigned)*count <= bench_nr_cpus())
			*threads++ = *count;
	*threads = 0;
}

void bench_allocs(void)
{
	static struct alloc_race races[16];
	int any[8], several[8];

	threads_with_cpus(any, 1);
	/* Of one thread, nothing is remote. */
	threads_with_cpus(several, 2);
	for (unsigned i = 0; alloc_impl_list()[i]; i++) {
		const char *name = alloc_impl_list()[i]->name;

		races[i].impl = alloc_impl_list()[i];
		bench_register("alloc", "pair", "own", name, bench_threads, pair, &races[i]);
		bench_register("alloc", "bulk_alloc", "own", name, any, bulk_alloc, &races[i]);
		bench_register("alloc", "bulk_free", "own", name, any, bulk_free, &races[i]);
		bench_register("alloc", "random_free", "own", name, any, random_free, &races[i]);
		bench_register("alloc", "remote_free", "own", name, several, remote_free, &races[i]);
		bench_register("alloc", "remote_random_free", "own", name, several, remote_random_free, &races[i]);
	}
}
