/* SPDX-License-Identifier: MIT
 *
 * The grace-period thread: runs grace periods while slots wait for one, recycles what nobody else does, and answers
 * those who wait. One per process, started with the first registered thread; it sleeps while nothing is retired.
 *
 * Promises: a slot retired by a thread that then pauses, exits or never registered is recycled all the same.
 * Needs:    grace.h; reclaim.c for queues and recycling; POSIX semaphores, whose post never waits.
 * Read:     cycle(), then grace_thread_wait(); stats.c and stall.c look on from outside.
 *
 * Taking a queue over from its thread: flip `active`, let a grace period pass, and the use that lasts still. A section
 * or a use, see retire(), that begins later is not of the old queue, which is ours then. That costs the thread no RMW.
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

/* Adds slots that were retired before the next grace period starts, as all are that have reached us. */
static void orphan(struct retire_batch batch, uint64_t nr)
{
	/* [relaxed] our own. */
	uint64_t completed = atomic_load_explicit(&reclaim_periods.completed, memory_order_relaxed);

	if (!batch.head)
		return;
	retire_queue_rotate(&orphans, completed + 1, completed);
	retire_batch_append(&orphans.fresh, &batch);
	retire_queue_count_in(&orphans, nr);
}

static void orphan_adopted(void)
{
	/* [acquire:adopt] links and retirement are visible. */
	struct retire_batch batch = {.head = atomic_exchange_explicit(&adopted, NULL, memory_order_acquire)};
	uint64_t nr = 0;

	for (struct slot *slot = batch.head; slot; slot = slot->link, nr++)
		batch.tail = slot;
	orphan(batch, nr);
}

/* Takes over what was flipped away before the last grace period; not while it is in use. */
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
	uint64_t nr = retire_queue_size(queue);
	orphan(retire_queue_take_all(queue), nr);
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

struct flip {
	bool all; /* or only those whose thread pauses */
	bool left;
};

static void flip(struct reclaim_thread *thread, void *ctx)
{
	struct flip *flip = ctx;
	unsigned active = reclaim_active(thread);
	uint64_t size = retire_queue_size(&thread->queue[active]);

	/* Whether it pauses, or may with the one that it has just retired; mistaken now and then, at no harm. */
	thread->flipped = flip->all || (size && (size == thread->nr_slots_before || size == 1));
	if (thread->flipped)
		/* [release:handover] the other queue is empty. */
		atomic_store_explicit(&thread->active, 1 - active, memory_order_release);
	thread->nr_slots_before = size;
	flip->left |= size || thread->flipped;
}

/* Between two grace periods. True if work is left. */
static bool collect_and_flip(bool flip_all)
{
	struct flip flips = {flip_all, false};

	collect_all();
	pthread_mutex_lock(&lock);
	/* [relaxed] our own. */
	began_ns[(atomic_load_explicit(&reclaim_periods.started, memory_order_relaxed) + 1) % 4] = reclaim_now_ns();
	pthread_mutex_unlock(&lock);
	registry_each(flip, &flips);
	orphan_adopted();
	return flips.left;
}

/* One grace period, and what it sets free. */
static bool cycle(struct reclaim_thread *self, bool flip_all)
{
	bool left = collect_and_flip(flip_all);
	stragglers_wait();
	/* [relaxed] our own. */
	uint64_t period = atomic_load_explicit(&reclaim_periods.started, memory_order_relaxed) + 1;

	/* [seq_cst:retire] what was retired by a thread that does not see it was retired before it. */
	atomic_store_explicit(&reclaim_periods.started, period, memory_order_seq_cst);
	grace_synchronize();
	/* Before anything that waited for it is recycled: notes the most that waits. */
	registry_sums();
	/* [release:grace] readers that were there before are gone. */
	atomic_store_explicit(&reclaim_periods.completed, period, memory_order_release);
	/* Moves the elapsed batches; the fresh batch is empty. */
	retire_queue_rotate(&orphans, period + 1, period);
	grace_online();
	reclaim_drain(self, &orphans, UINT64_MAX);
	if (give_back_upward())
		give_back_upward()->flush();
	reclaim_count_flush(self);
	grace_offline();
	return left || retire_queue_size(&orphans);
}

static bool has_waiters(void)
{
	pthread_mutex_lock(&lock);
	bool has = waiters;
	pthread_mutex_unlock(&lock);
	return has;
}

static void *run(void *arg)
{
	struct reclaim_thread *self = arg;

	is_self = true;
	reclaim_become(self);
	grace_register();
	grace_offline();
	prctl(PR_SET_TIMERSLACK, 1UL);
	for (;;) {
		while (sem_wait(&work) && errno == EINTR)
			;
		bool has_slept = true;
		for (bool left = true; left;) {
			/* What was posted up to here, this cycle sees. */
			while (!sem_trywait(&work))
				;
			pthread_mutex_lock(&lock);
			uint64_t wanted = drains_wanted;
			bool drain = wanted != drains_done;
			/* Nothing waited while we slept: what waits now has begun to just now. */
			for (unsigned i = 0; has_slept && i < 4; i++)
				began_ns[i] = reclaim_now_ns();
			has_slept = false;
			pthread_mutex_unlock(&lock);

			left = cycle(self, drain);
			if (drain) {
				/* The first flipped all queues, the second collects and recycles them. */
				left |= cycle(self, true);
				pthread_mutex_lock(&lock);
				drains_done = wanted;
				pthread_mutex_unlock(&lock);
			}
			pthread_mutex_lock(&lock);
			pthread_cond_broadcast(&answered);
			left |= drains_done != drains_wanted;
			pthread_mutex_unlock(&lock);
			if (left)
				pace_pause(has_waiters);
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
		reclaim_count_flush(self);
		was_online = grace_pause();
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
