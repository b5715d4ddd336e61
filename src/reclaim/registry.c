/* SPDX-License-Identifier: MIT
 *
 * Who is registered, and how much was retired and recycled by all.
 *
 * Promises: nobody comes or goes during a walk; what a thread that goes has retired is adopted before it is found gone.
 * Needs:    nothing but a lock, which is held for as long as a walk lasts. Nothing that waits is called under it.
 */
#include "reclaim/reclaim.h"

#include <pthread.h>

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct reclaim_thread *threads;
static uint64_t gone_retired, gone_recycled; /* by threads that have unregistered */
static uint64_t most_backlog;

void registry_add(struct reclaim_thread *thread)
{
	pthread_mutex_lock(&registry_lock);
	thread->next = threads;
	threads = thread;
	reclaim_tally(&reclaim_nr_threads, 1);
	pthread_mutex_unlock(&registry_lock);
}

void registry_remove(struct reclaim_thread *thread)
{
	struct reclaim_thread **at = &threads;

	pthread_mutex_lock(&registry_lock);
	while (*at != thread)
		at = &(*at)->next;
	*at = thread->next;
	reclaim_tally(&reclaim_nr_threads, UINT64_MAX);
	reclaim_leave(thread);
	gone_retired += reclaim_nr_retired(thread);
	/* [relaxed] our own. */
	gone_recycled += atomic_load_explicit(&thread->nr_recycled, memory_order_relaxed);
	pthread_mutex_unlock(&registry_lock);
}

void registry_each(void (*fn)(struct reclaim_thread *thread, void *ctx), void *ctx)
{
	pthread_mutex_lock(&registry_lock);
	for (struct reclaim_thread *thread = threads; thread; thread = thread->next)
		fn(thread, ctx);
	pthread_mutex_unlock(&registry_lock);
}

/* What comes or goes meanwhile makes the difference too small; on machines that reorder loads, now and then too large
 * by as much. */
struct registry_sums registry_sums(void)
{
	pthread_mutex_lock(&registry_lock);
	struct registry_sums sums = {
		/* [relaxed] statistics. */
		.retired =
			gone_retired + atomic_load_explicit(&reclaim_counts.retired_by_strangers, memory_order_relaxed),
		.recycled = gone_recycled,
	};
	for (struct reclaim_thread *thread = threads; thread; thread = thread->next)
		sums.retired += reclaim_nr_retired(thread);
	for (struct reclaim_thread *thread = threads; thread; thread = thread->next)
		/* [relaxed] statistics. */
		sums.recycled += atomic_load_explicit(&thread->nr_recycled, memory_order_relaxed);
	if (sums.retired > sums.recycled + most_backlog)
		most_backlog = sums.retired - sums.recycled;
	sums.most_backlog = most_backlog;
	pthread_mutex_unlock(&registry_lock);
	return sums;
}
