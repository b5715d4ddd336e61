/* SPDX-License-Identifier: MIT
 *
 * The grace-period thread: runs grace periods while slots wait for one, recycles what nobody else does, and answers
 * those who wait. One per process, started with the first registered thread; it sleeps while nothing is retired.
 *
 * Promises: a slot retired by a thread that then pauses, exits or never registered is recycled all the same.
 * Needs:    grace.h; reclaim.c for queues and recycling; POSIX semaphores, whose post never waits.
 * Read:     cycle(), then grace_thread_wait(); stats.c and stall.c look on from outside.
 *
 * Taking a queue over from its thread: flip `active`, wait for a grace period, then for a use of the old queue that has
 * not ended. Sections and uses (see retire()) that begin later are of the other queue, so the old one is then ours.
 * That costs its thread no RMW.
 */
#include "reclaim/reclaim.h"

#include "reclaim/grace.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/prctl.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* requests, answers, times */
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;
static uint64_t drains_wanted, drains_done;
static uint64_t waiters;       /* threads in grace_thread_wait() */
static uint64_t began_ns[4];   /* of the last grace periods, by their number */
static uint64_t use_waited_ns; /* since when a use is waited for; 0 while none is */

static _Atomic(struct slot *) adopted; /* slots of threads that are gone or never were registered */
static struct retire_queue orphans;    /* of the grace-period thread alone */
static sem_t work;
static bool started;
static struct reclaim_thread grace_self;
static _Thread_local bool is_self __attribute__((tls_model("initial-exec")));

bool grace_thread_is_self(void)
{
	return is_self;
}

void grace_thread_wake(void)
{
	sem_post(&work);
}

void grace_thread_adopt(struct slot *head, struct slot *tail)
{
	/* [relaxed] the swap below decides. */
	struct slot *first = atomic_load_explicit(&adopted, memory_order_relaxed);

	do
		tail->link = first;
	/* [release:adopt] links and retirement are visible to the grace-period thread. */
	while (!atomic_compare_exchange_weak_explicit(&adopted, &first, head, memory_order_release,
						      /* [relaxed] another was faster. */
						      memory_order_relaxed));
	grace_thread_wake();
}

static uint64_t completed(void)
{
	/* [relaxed] our own. */
	return atomic_load_explicit(&reclaim_periods.completed, memory_order_relaxed);
}

/* They were retired before the next grace period starts. */
static void orphan_adopted(void)
{
	/* [acquire:adopt] links and retirement are visible. */
	struct retire_batch batch = {.head = atomic_exchange_explicit(&adopted, NULL, memory_order_acquire)};
	uint64_t nr = 0;

	if (!batch.head)
		return;
	for (struct slot *slot = batch.head; slot; slot = slot->link, nr++)
		batch.tail = slot;
	retire_queue_rotate(&orphans, completed() + 1, completed());
	retire_batch_append(&orphans.fresh, &batch);
	retire_queue_count_in(&orphans, nr);
}

/* Takes over what was flipped away before the grace period that is over; not while it is in use. */
static void collect(struct reclaim_thread *thread, void *ctx)
{
	bool *is_used = ctx;

	if (!thread->flipped)
		return;
	if (reclaim_is_in_old_use(thread)) {
		*is_used = true;
		return;
	}
	struct retire_queue *queue = &thread->queue[1 - reclaim_active(thread)];
	/* A retire that sees the period begun sees the flip: all here was retired before, and has elapsed. */
	CHECK(queue->fresh.cookie <= completed());
	retire_queue_count_in(&orphans, retire_queue_size(queue));
	struct retire_batch all = retire_queue_take_all(queue);
	retire_batch_append(&orphans.elapsed, &all);
	thread->flipped = false;
}

static void note_use(uint64_t since_ns)
{
	pthread_mutex_lock(&lock);
	use_waited_ns = since_ns;
	pthread_mutex_unlock(&lock);
}

static void collect_all(void)
{
	uint64_t since = 0;

	for (;;) {
		bool is_used = false;

		registry_each(collect, &is_used);
		if (!is_used)
			break;
		/* A use is a few instructions: the thread was preempted. It may end meanwhile. */
		stragglers_nap();
		if (!since)
			note_use(since = reclaim_now_ns());
	}
	if (since)
		note_use(0);
}

/* A queue of at most so many is taken over at each look; a longer one where two looks find that its thread pauses. What
 * an on_drop drops on our own thread is taken over at once, as nobody else looks at that queue. */
#define FEW_SLOTS 16

static void flip(struct reclaim_thread *thread, void *ctx)
{
	const bool *all = ctx;
	unsigned active = reclaim_active(thread);
	uint64_t size = retire_queue_size(&thread->queue[active]);

	bool is_due = size <= FEW_SLOTS || size == thread->nr_slots_before || thread == &grace_self;

	thread->flipped = *all || (size && is_due);
	if (thread->flipped)
		/* [release:handover] the other queue is empty. */
		atomic_store_explicit(&thread->active, 1 - active, memory_order_release);
	thread->nr_slots_before = size;
}

static void find_left(struct reclaim_thread *thread, void *ctx)
{
	bool *is_left = ctx;

	*is_left |= retire_queue_size(&thread->queue[0]) || retire_queue_size(&thread->queue[1]);
}

/* Between two grace periods. */
static void flip_and_adopt(bool flip_all)
{
	pthread_mutex_lock(&lock);
	began_ns[(completed() + 1) % 4] = reclaim_now_ns();
	pthread_mutex_unlock(&lock);
	registry_each(flip, &flip_all);
	orphan_adopted();
}

/* One grace period, and what it sets free. True if work is left. */
static bool cycle(struct reclaim_thread *self, bool flip_all)
{
	bool is_left = false;

	flip_and_adopt(flip_all);
	stragglers_wait();
	uint64_t period = completed() + 1;

	/* [seq_cst:retire] what was retired by a thread that does not see it was retired before it. */
	atomic_store_explicit(&reclaim_periods.started, period, memory_order_seq_cst);
	grace_synchronize();
	/* Before anything that waited for it is recycled: notes the most that waits. */
	registry_sums();
	/* [release:grace] readers that were there before are gone. */
	atomic_store_explicit(&reclaim_periods.completed, period, memory_order_release);
	/* Moves the elapsed batches; the fresh batch is empty. */
	retire_queue_rotate(&orphans, period + 1, period);
	collect_all();
	grace_online();
	/* Where nothing was recycled there is nothing to flush, and to move hints would be in the way of a proof. */
	if (reclaim_drain(self, &orphans, UINT64_MAX) && give_back_upward())
		give_back_upward()->flush();
	reclaim_count_flush(self);
	grace_offline();
	/* Whoever retires the first of a queue after this look wakes us. */
	registry_each(find_left, &is_left);
	return is_left || retire_queue_size(&orphans);
}

static bool has_waiters(void)
{
	pthread_mutex_lock(&lock);
	bool has = waiters;
	pthread_mutex_unlock(&lock);
	return has;
}

/* Since when whatever waits does so; 0: nothing is known to wait. */
static void note_begun(uint64_t ns)
{
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < 4; i++)
		began_ns[i] = ns;
	pthread_mutex_unlock(&lock);
}

/* A cycle, or the two that answer those who wait until all is recycled. True if work is left. */
static bool serve(struct reclaim_thread *self)
{
	/* What was posted up to here, this cycle sees. */
	while (!sem_trywait(&work))
		;
	pthread_mutex_lock(&lock);
	uint64_t wanted = drains_wanted;
	bool drain = wanted != drains_done;
	pthread_mutex_unlock(&lock);

	bool is_left = cycle(self, drain);
	/* What an exiting thread, or an on_drop, hands over during the first is recycled in the second. */
	if (drain)
		is_left = cycle(self, true);
	pthread_mutex_lock(&lock);
	drains_done = wanted;
	pthread_cond_broadcast(&answered);
	is_left |= drains_done != drains_wanted;
	pthread_mutex_unlock(&lock);
	return is_left;
}

static void *run(void *arg)
{
	struct reclaim_thread *self = arg;

	is_self = true;
	reclaim_become(self);
	grace_register();
	grace_offline();
	prctl(PR_SET_TIMERSLACK, 1UL);
	for (uint64_t ended = 0;;) {
		note_begun(0);
		while (sem_wait(&work) && errno == EINTR)
			;
		/* Nothing waited while we slept: what waits now has begun to just now. */
		note_begun(reclaim_now_ns());
		for (bool is_left = true; is_left;) {
			pace_pause(ended, has_waiters);
			is_left = serve(self);
			ended = reclaim_now_ns();
		}
	}
	return NULL;
}

/* Under the lock. */
static enum mslot_err start(void)
{
	if (started)
		return MSLOT_OK;
	/* One cycle of its own: what strangers handed over before now has woken nobody. */
	if (sem_init(&work, 0, 1) || !pace_init() || reclaim_spawn(run, &grace_self))
		return MSLOT_NO_MEMORY;
	registry_add(&grace_self);
	started = true;
	return MSLOT_OK;
}

/* Under the lock. */
static void wait_for_thread(bool drain)
{
	waiters++;
	pace_look_again();
	if (drain) {
		uint64_t wanted = ++drains_wanted;
		grace_thread_wake();
		while (drains_done < wanted)
			pthread_cond_wait(&answered, &lock);
	} else {
		/* [relaxed] the period after the one that may be running; under the lock it is at most one behind. */
		uint64_t wanted = atomic_load_explicit(&reclaim_periods.started, memory_order_relaxed) + 2;
		/* [acquire:grace] readers that were there before are gone. */
		while (atomic_load_explicit(&reclaim_periods.completed, memory_order_acquire) < wanted) {
			grace_thread_wake();
			pthread_cond_wait(&answered, &lock);
		}
	}
	waiters--;
}

enum mslot_err grace_thread_wait(bool drain)
{
	struct reclaim_thread *self = reclaim_self;
	bool was_online = false;
	int cancel_state;

	/* A thread that is cancelled here would take the lock along. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	if (self) {
		was_online = grace_begin_online();
		reclaim_count_flush(self);
		grace_offline();
	}
	pthread_mutex_lock(&lock);
	/* If nobody was ever registered, nothing was retired but by strangers, and nobody reads. */
	enum mslot_err err = start();
	if (!err)
		wait_for_thread(drain);
	pthread_mutex_unlock(&lock);
	if (was_online)
		grace_online();
	pthread_setcancelstate(cancel_state, NULL);
	return err;
}

enum mslot_err grace_thread_start(void)
{
	pthread_mutex_lock(&lock);
	enum mslot_err err = start();
	pthread_mutex_unlock(&lock);
	return err;
}

void grace_thread_snapshot(struct grace_snapshot *out)
{
	pthread_mutex_lock(&lock);
	/* [relaxed] statistics. */
	out->completed = atomic_load_explicit(&reclaim_periods.completed, memory_order_relaxed);
	/* [relaxed] statistics. */
	out->started = atomic_load_explicit(&reclaim_periods.started, memory_order_relaxed);
	/* What elapsed with the last period, and was retired in the one before or after, may still be to recycle. */
	out->oldest_ns = began_ns[(out->completed - 1) % 4];
	out->use_waited_ns = use_waited_ns;
	pthread_mutex_unlock(&lock);
}
