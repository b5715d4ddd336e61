/* SPDX-License-Identifier: MIT
 *
 * A part of the engines: what grace_thread.c and thread.c ask of the system, see standin/.
 */
#ifndef MODEL_STANDINS_H
#define MODEL_STANDINS_H

#include "fibers.h"

#include <csetjmp>

static struct sync_object {
	const void *at;
	int value; /* of a semaphore; of a mutex, 1 if it is held */
	vector_clock c;
} syncs[MAX_SYNCS];
static unsigned nr_syncs;

static sync_object &sync_of(const void *at)
{
	for (unsigned i = 0; i < nr_syncs; i++)
		if (syncs[i].at == at)
			return syncs[i];
	if (nr_syncs == MAX_SYNCS)
		die("too many mutexes");
	syncs[nr_syncs] = sync_object();
	syncs[nr_syncs].at = at;
	return syncs[nr_syncs++];
}

static unsigned nr_users, nr_finished;
static void (*key_destroy)(void *);
static const void *key_value[SELVES];
static bool is_daemon[SELVES];
static void *(*daemon_fn)(void *);
static void *daemon_arg;
static jmp_buf daemon_exit;
enum { MODEL_HEAP = 512 };
extern "C" char model_heap[SELVES][MODEL_HEAP];
alignas(64) __attribute__((section("subject_bss"))) char model_heap[SELVES][MODEL_HEAP];
static bool heap_used[SELVES];

extern "C" int model_mutex_lock(void *mutex)
{
	sync_object &m = sync_of(mutex);

	switch_point(mutex, true);
	while (m.value)
		park(&m);
	m.value = 1;
	clock_acquire(m.c);
	return 0;
}

extern "C" int model_mutex_trylock(void *mutex)
{
	sync_object &m = sync_of(mutex);

	switch_point(mutex, true);
	if (m.value)
		return -1;
	m.value = 1;
	clock_acquire(m.c);
	return 0;
}

extern "C" int model_mutex_unlock(void *mutex)
{
	sync_object &m = sync_of(mutex);

	m.value = 0;
	clock_release(m.c);
	unpark(&m);
	return 0;
}

extern "C" int model_cond_wait(void *cond, void *mutex)
{
	model_mutex_unlock(mutex);
	park(cond);
	return model_mutex_lock(mutex);
}

extern "C" int model_cond_broadcast(void *cond)
{
	unpark(cond);
	return 0;
}

extern "C" int model_sem_init(void *sem, unsigned value)
{
	sync_of(sem).value = value;
	return 0;
}

extern "C" int model_sem_post(void *sem)
{
	sync_object &s = sync_of(sem);

	switch_point(sem, true);
	s.value++;
	clock_release(s.c);
	unpark(&s);
	return 0;
}

extern "C" int model_sem_trywait(void *sem)
{
	sync_object &s = sync_of(sem);

	switch_point(sem, true);
	if (!s.value)
		return -1;
	s.value--;
	clock_acquire(s.c);
	return 0;
}

extern "C" int model_sem_wait(void *sem)
{
	while (model_sem_trywait(sem)) {
		if (is_daemon[self()] && nr_finished == nr_users)
			longjmp(daemon_exit, 1);
		park(&sync_of(sem));
	}
	return 0;
}

extern "C" int model_thread_create(void *(*fn)(void *), void *arg)
{
	daemon_fn = fn;
	daemon_arg = arg;
	unpark(&daemon_fn);
	return 0;
}

extern "C" void model_daemon(void)
{
	if (!daemon_fn && nr_finished < nr_users)
		park(&daemon_fn);
	if (daemon_fn && !setjmp(daemon_exit))
		daemon_fn(daemon_arg);
}

extern "C" int model_key_create(void (*destroy)(void *))
{
	key_destroy = destroy;
	return 0;
}

extern "C" int model_set_specific(const void *value)
{
	key_value[self()] = value;
	return 0;
}

/* A thread's own heap. */
extern "C" void *model_aligned_alloc(size_t, size_t bytes)
{
	static_assert(MODEL_HEAP % 64 == 0, "aligned");
	if (heap_used[self()] || bytes > MODEL_HEAP)
		die("one allocation a thread");
	heap_used[self()] = true;
	return model_heap[self()];
}

extern "C" void model_free(void *at)
{
	for (unsigned i = 0; i < SELVES; i++)
		heap_used[i] &= at != model_heap[i];
}

extern "C" int model_nothing(void)
{
	return 0;
}

/* Before each execution. */
static void reset_standins()
{
	memset(reader, 0, sizeof(reader));
	memset(&started, 0, sizeof(started));
	memset(&in_order, 0, sizeof(in_order));
	memset(used, 0, sizeof(used));
	memset(parked_on, 0, sizeof(parked_on));
	for (unsigned i = 0; i < nr_tls; i++)
		tls_reset(i);
	nr_syncs = nr_users = nr_finished = 0;
	daemon_fn = nullptr;
	memset(counters, 0, sizeof(counters));
	memset(key_value, 0, sizeof(key_value));
	memset(heap_used, 0, sizeof(heap_used));
	for (unsigned i = 0; i < nr_threads; i++) {
		is_daemon[i] = current->thread[i] == model_daemon;
		nr_users += !is_daemon[i];
	}
}

static void finished()
{
	const void *value = key_value[self()];
	key_value[self()] = nullptr;
	if (value)
		key_destroy((void *)value);
	if (is_daemon[self()] || ++nr_finished < nr_users)
		return;
	unpark(&daemon_fn);
	for (unsigned i = 0; i < nr_syncs; i++)
		unpark(&syncs[i]);
}

#endif
