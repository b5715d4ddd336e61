/* SPDX-License-Identifier: MIT
 *
 * Names readers that stay inside: a thread that looks on while the grace-period thread waits.
 *
 * Promises: costs readers nothing; without a handler there is no such thread.
 * Needs:    grace_waits_for(), which tells whether the grace period that runs waits for a reader.
 * Read:     look_once(), called ten times a second.
 *
 * Only a reader that holds up the same grace period at every look for a second is named. A busy reader, which is inside
 * at many looks but in a new section each time, is not: it began after the grace period, which does not wait for it.
 * What was seen while one grace period ended and another began tells nothing.
 */
#include "reclaim/reclaim.h"

#include "reclaim/grace.h"

#include <pthread.h>

#define LOOK_NS 100000000
#define STALL_NS UINT64_C(1000000000)
/* Named at one look; the rest are named at the next. */
#define STALLS_AT_ONCE 16

static pthread_mutex_t stall_lock = PTHREAD_MUTEX_INITIALIZER; /* the handler, also while it runs */
static pthread_cond_t installed = PTHREAD_COND_INITIALIZER;
static void (*stall_fn)(const struct mslot_stall *stall, void *ctx);
static void *stall_ctx;
static bool is_watched;

/* The grace period of the last look; of the watching thread alone. */
struct watched {
	uint64_t period, since_ns;
};

struct look {
	uint64_t since_ns, lasts_ns;
	bool is_for_use; /* the grace period is over, but a use of a queue that is to be taken over is not */
	unsigned nr, nr_new;
	struct mslot_stall stalls[STALLS_AT_ONCE];
};

/* What it notes of the thread is of this wait, and forgotten with it. */
static void look_at(struct reclaim_thread *thread, void *ctx)
{
	struct look *look = ctx;
	bool is_new = thread->stall_since_ns != look->since_ns;

	if (!thread->reader || look->nr == STALLS_AT_ONCE ||
	    !(look->is_for_use ? reclaim_is_in_old_use(thread) : grace_waits_for(thread->reader)) ||
	    (!is_new && look->lasts_ns < thread->stall_next_ns))
		return;
	thread->stall_since_ns = look->since_ns;
	thread->stall_next_ns = 2 * look->lasts_ns;
	look->nr_new += is_new;
	look->stalls[look->nr++] = (struct mslot_stall){.thread_id = thread->id, .duration_ns = look->lasts_ns};
}

/* Under the lock, so that a handler runs no more once another is installed. */
static void tell(struct look *look)
{
	struct mslot_stats stats;

	pthread_mutex_lock(&stall_lock);
	for (unsigned i = 0; stall_fn && i < look->nr_new; i++)
		reclaim_tally_shared(&reclaim_counts.stalls);
	mslot_stats(&stats);
	for (unsigned i = 0; stall_fn && i < look->nr; i++) {
		look->stalls[i].backlog = stats.backlog;
		stall_fn(&look->stalls[i], stall_ctx);
	}
	pthread_mutex_unlock(&stall_lock);
}

static bool is_same(const struct grace_snapshot *a, const struct grace_snapshot *b)
{
	return a->started == b->started && a->completed == b->completed && a->use_waited_ns == b->use_waited_ns;
}

static void look_once(struct watched *watched)
{
	struct look look = {.nr = 0};
	struct grace_snapshot before, after;

	pthread_mutex_lock(&stall_lock);
	while (!stall_fn)
		pthread_cond_wait(&installed, &stall_lock);
	pthread_mutex_unlock(&stall_lock);

	grace_thread_snapshot(&before);
	if (before.started == before.completed || before.started != watched->period)
		*watched = (struct watched){before.started, reclaim_now_ns()};
	look.is_for_use = before.use_waited_ns;
	look.since_ns = look.is_for_use ? before.use_waited_ns : watched->since_ns;
	look.lasts_ns = reclaim_now_ns() - look.since_ns;
	if (look.lasts_ns < STALL_NS)
		return;
	registry_each(look_at, &look);
	/* Who was seen may hold up another grace period, which has begun meanwhile: for how long is not known. */
	grace_thread_snapshot(&after);
	if (look.nr && is_same(&before, &after))
		tell(&look);
}

static void *watch(void *arg)
{
	struct watched watched = {0};
	(void)arg;

	for (;;) {
		look_once(&watched);
		nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
	}
	return NULL;
}

enum mslot_err mslot_set_stall_handler(void (*fn)(const struct mslot_stall *stall, void *ctx), void *ctx)
{
	enum mslot_err err = MSLOT_OK;

	pthread_mutex_lock(&stall_lock);
	if (fn && !is_watched) {
		err = reclaim_spawn(watch, NULL);
		is_watched = !err;
	}
	if (!err) {
		stall_fn = fn;
		stall_ctx = ctx;
		pthread_cond_signal(&installed);
	}
	pthread_mutex_unlock(&stall_lock);
	return err;
}
