/* SPDX-License-Identifier: MIT
 *
 * Registers threads, with liburcu and with the grace-period thread.
 *
 * Promises: a thread that ends, whether it unregisters or not, leaves nothing behind: what it retired is adopted.
 * Needs:    a pthread key, whose destructor runs at thread exit.
 */
#include "reclaim/grace.h"
#include "reclaim/reclaim.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_key_t exit_key;

void reclaim_leave(struct reclaim_thread *self)
{
	for (unsigned i = 0; i < 2; i++) {
		struct retire_batch all = retire_queue_take_all(&self->queue[i]);

		if (all.head)
			grace_thread_adopt(all.head, all.tail);
	}
}

static void unregister(void *thread)
{
	struct reclaim_thread *self = thread;

	/* It may end offline, and what follows looks at regions. */
	grace_online();
	if (give_back_upward())
		give_back_upward()->thread_exits();
	reclaim_count_flush(self);
	registry_remove(self);
	reclaim_become(NULL);
	reclaim_leave_sections();
	grace_unregister();
	free(self);
}

/*
 * Takes from a thread of the library's what it has from the one that happened to create it: a policy under which it
 * starves, or is in the way; a processor where another thread runs all the time. The main thread's processors are those
 * that the process was given (taskset), unless it has pinned itself: so the creator's are added. Where the kernel
 * refuses one of them, that stays. Not by attributes: with them there would be no thread then.
 */
static void make_ordinary(pthread_t thread)
{
	cpu_set_t cpus, own;

	(void)pthread_setschedparam(thread, SCHED_OTHER, &(struct sched_param){0});
	if (sched_getaffinity(getpid(), sizeof(cpus), &cpus) || sched_getaffinity(0, sizeof(own), &own))
		return;
	CPU_OR(&cpus, &cpus, &own);
	(void)pthread_setaffinity_np(thread, sizeof(cpus), &cpus);
}

enum mslot_err reclaim_spawn(void *(*fn)(void *arg), void *arg)
{
	static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, before;
	int err;

	if (pthread_attr_init(&attr))
		return MSLOT_NO_MEMORY;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	/* Signals are for the program's threads, but those that an on_drop there causes itself. */
	sigfillset(&all);
	for (unsigned i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(&all, own[i]);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	err = pthread_create(&thread, &attr, fn, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	/* It never ends, so its name is valid. */
	if (!err)
		make_ordinary(thread);
	pthread_attr_destroy(&attr);
	return err ? MSLOT_NO_MEMORY : MSLOT_OK;
}

/* Not by pthread_once(): where it fails, the next thread is to try again. */
static bool make_key(void)
{
	static pthread_mutex_t key_lock = PTHREAD_MUTEX_INITIALIZER;
	static bool is_made;
	bool is_there;

	pthread_mutex_lock(&key_lock);
	is_there = is_made = is_made || pthread_key_create(&exit_key, unregister) == 0;
	pthread_mutex_unlock(&key_lock);
	return is_there;
}

enum mslot_err mslot_thread_register(void)
{
	struct reclaim_thread *self;

	if (reclaim_self)
		return MSLOT_INVALID;
	if (!make_key())
		return MSLOT_NO_MEMORY;
	self = aligned_alloc(MSLOT_SLOT_BYTES,
			     (sizeof(*self) + MSLOT_SLOT_BYTES - 1) & ~(size_t)(MSLOT_SLOT_BYTES - 1));
	if (!self)
		return MSLOT_NO_MEMORY;
	memset(self, 0, sizeof(*self));
	/* First, so that whoever finds us in the registry can look at the reader. */
	grace_register();
	self->id = gettid();
	self->reader = grace_reader();
	if (pthread_setspecific(exit_key, self) || grace_thread_start()) {
		pthread_setspecific(exit_key, NULL);
		grace_unregister();
		free(self);
		return MSLOT_NO_MEMORY;
	}
	registry_add(self);
	reclaim_become(self);
	return MSLOT_OK;
}

enum mslot_err mslot_thread_unregister(void)
{
	if (!reclaim_self)
		return MSLOT_INVALID;
	if (reclaim_must_not_wait())
		return MSLOT_BUSY;
	pthread_setspecific(exit_key, NULL);
	unregister(reclaim_self);
	return MSLOT_OK;
}
