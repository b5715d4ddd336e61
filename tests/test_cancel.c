/* SPDX-License-Identifier: MIT
 *
 * A thread that is cancelled while it waits for a grace period ends as any other.
 */
#include "util.h"

#include <semaphore.h>

static sem_t is_inside, may_leave;

static void *stay_inside(void *arg)
{
	(void)arg;
	mslot_thread_register();
	mslot_read_lock();
	sem_post(&is_inside);
	sem_wait(&may_leave);
	mslot_read_unlock();
	mslot_thread_unregister();
	return NULL;
}

static void *wait_for_grace_period(void *arg)
{
	mslot_thread_register();
	sem_post(arg);
	mslot_barrier(region);
	pthread_testcancel();
	mslot_thread_unregister();
	return NULL;
}

/* As any other that ends: nobody waits for a lock that it has taken along. */
static void a_waiter_may_be_cancelled(void **state)
{
	pthread_t reader, waiter;
	sem_t is_waiting;
	(void)state;

	sem_init(&is_inside, 0, 0);
	sem_init(&may_leave, 0, 0);
	sem_init(&is_waiting, 0, 0);
	assert_int_equal(pthread_create(&reader, NULL, stay_inside, NULL), 0);
	sem_wait(&is_inside);
	assert_int_equal(pthread_create(&waiter, NULL, wait_for_grace_period, &is_waiting), 0);
	sem_wait(&is_waiting);
	mslot_thread_offline();
	usleep(20000);
	mslot_thread_online();
	assert_int_equal(pthread_cancel(waiter), 0);
	sem_post(&may_leave);
	assert_ptr_equal(join(waiter), PTHREAD_CANCELED);
	join(reader);
	assert_err(mslot_barrier(region), MSLOT_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_waiter_may_be_cancelled),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
