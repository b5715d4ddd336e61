/* SPDX-License-Identifier: MIT
 *
 * What reclaim tells of itself: counts that add up, and readers that stay inside, by name.
 */
#include "reclaim/reclaim.h"

#include "util.h"

#include <semaphore.h>
#include <time.h>

static struct mslot_stats stats(void)
{
	struct mslot_stats now;

	mslot_stats(&now);
	return now;
}

static void retire_some(unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		mslot_frame_drop(mslot_frame_claim(region, PADDR(i), &deferred, NULL, NULL));
}

static void nap_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void what_is_retired_is_backlog_until_it_is_recycled(void **state)
{
	struct mslot_stats before = stats(), now;
	(void)state;

	mslot_read_lock();
	retire_some(5);
	now = stats();
	/* The wait is counted from when the library's thread has woken. */
	for (int ms = 0; ms < 5000 && now.oldest_wait_ns < 15000000; ms++) {
		nap_ms(1);
		now = stats();
	}
	assert_int_equal(now.retired - before.retired, 5);
	assert_int_equal(now.recycled, before.recycled);
	assert_int_equal(now.backlog, 5);
	assert_int_equal(now.most_backlog, 5);
	assert_in_range(now.oldest_wait_ns, 15000000, 10000000000);
	mslot_read_unlock();
	assert_err(mslot_barrier(region), MSLOT_OK);
	now = stats();
	assert_int_equal(now.recycled - before.recycled, 5);
	assert_int_equal(now.backlog, 0);
	assert_int_equal(now.oldest_wait_ns, 0);
	assert_true(now.grace_periods > before.grace_periods);
}

/* Also where the library's thread has not woken yet. */
static void a_wait_does_not_begin_before_the_drop(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		assert_err(mslot_barrier(region), MSLOT_OK);
		mslot_thread_offline();
		nap_ms(100);
		mslot_thread_online();
		uint64_t before = reclaim_now_ns();
		retire_some(1);
		struct mslot_stats now = stats();
		assert_true(now.oldest_wait_ns <= reclaim_now_ns() - before);
	}
}

static void the_most_that_waited_is_seen_though_nobody_looked(void **state)
{
	uint64_t most = stats().most_backlog;
	(void)state;

	mslot_read_lock();
	retire_some((unsigned)most + 3);
	mslot_read_unlock();
	assert_err(mslot_barrier(region), MSLOT_OK);
	assert_int_equal(stats().backlog, 0);
	assert_int_equal(stats().most_backlog, most + 3);
}

static void immediate_types_are_never_backlog(void **state)
{
	struct mslot_stats before = stats(), now;
	(void)state;

	mslot_frame_drop(mslot_frame_claim(region, PADDR(0), &noting, &(struct meta){1, 2}, NULL));
	now = stats();
	assert_int_equal(now.retired, before.retired);
}

static void *retire_and_exit(void *registered)
{
	if (registered)
		assert_err(mslot_thread_register(), MSLOT_OK);
	retire_some(3);
	return NULL;
}

static void the_counts_of_threads_that_are_gone_stay(void **state)
{
	struct mslot_stats before = stats(), now;
	(void)state;

	run_in_thread(retire_and_exit, region);
	assert_err(mslot_barrier(region), MSLOT_OK);
#ifndef MSLOT_HARDENED
	run_in_thread(retire_and_exit, NULL);
	assert_err(mslot_barrier(region), MSLOT_OK);
	now = stats();
	assert_int_equal(now.retired - before.retired, 6);
#endif
	now = stats();
	assert_int_equal(now.backlog, 0);
	assert_int_equal(now.recycled - before.recycled, now.retired - before.retired);
}

static void a_wait_after_a_pause_is_not_counted_from_before_the_pause(void **state)
{
	struct mslot_stats now;
	(void)state;

	retire_some(1);
	assert_err(mslot_barrier(region), MSLOT_OK);
	/* Where the library's thread is not done yet, it must not wait for us. */
	mslot_thread_offline();
	nap_ms(300);
	mslot_thread_online();
	mslot_read_lock();
	retire_some(1);
	nap_ms(10);
	now = stats();
	mslot_read_unlock();
	assert_int_equal(now.backlog, 1);
	assert_in_range(now.oldest_wait_ns, 1, 250000000);
}

static void the_limit_counts_who_waited_and_who_was_refused(void **state)
{
	struct mslot_stats before = stats(), now;
	struct mslot_region *limited = mslot_region_create(
		&(struct mslot_region_config){.nr_frames = 64, .backlog_limit = 4, .claims_may_wait = true}, NULL);
	(void)state;

	for (unsigned i = 0; i < 32; i++)
		mslot_frame_drop(mslot_frame_claim(limited, i * FRAME, &deferred, NULL, NULL));
	now = stats();
	assert_true(now.claims_waited > before.claims_waited);
	mslot_read_lock();
	unsigned nr_refused = 0;
	for (unsigned i = 32; i < 64; i++) {
		struct mslot_frame *frame = mslot_frame_claim(limited, i * FRAME, &deferred, NULL, NULL);

		nr_refused += !frame;
		mslot_frame_drop(frame);
	}
	mslot_read_unlock();
	assert_int_equal(stats().claims_refused - now.claims_refused, nr_refused);
	if (strcmp(mslot_reclaim_flavor(), "qsbr"))
		assert_true(nr_refused > 0);
	assert_err(mslot_region_destroy(limited), MSLOT_OK);
}

/* ---- stalls ---- */

static struct {
	_Atomic int64_t thread_id;
	_Atomic uint64_t nr, first_ns, last_ns, backlog;
} told;

static void note_stall(const struct mslot_stall *stall, void *ctx)
{
	assert_ptr_equal(ctx, &told);
	told.thread_id = stall->thread_id;
	told.backlog = stall->backlog;
	if (told.nr++ == 0)
		told.first_ns = stall->duration_ns;
	told.last_ns = stall->duration_ns;
}

static struct {
	sem_t is_inside;
	_Atomic bool must_stop;
	_Atomic int64_t thread_id;
} reader;

/* Stays inside: in a section, or under qsbr by saying nothing. */
static void *stay_inside(void *ms)
{
	assert_err(mslot_thread_register(), MSLOT_OK);
	mslot_read_lock();
	reader.thread_id = gettid();
	sem_post(&reader.is_inside);
	nap_ms((long)(intptr_t)ms);
	mslot_read_unlock();
	assert_err(mslot_thread_unregister(), MSLOT_OK);
	return NULL;
}

/* Inside almost always, but never in one section for long. */
static void *come_and_go(void *arg)
{
	(void)arg;
	assert_err(mslot_thread_register(), MSLOT_OK);
	while (!reader.must_stop) {
		mslot_read_lock();
		nap_ms(1);
		mslot_read_unlock();
		mslot_quiescent_state();
	}
	assert_err(mslot_thread_unregister(), MSLOT_OK);
	return NULL;
}

static void a_reader_that_stays_inside_is_named(void **state)
{
	struct mslot_stats before = stats();
	pthread_t stalled, busy;
	(void)state;

	sem_init(&reader.is_inside, 0, 0);
	assert_err(mslot_set_stall_handler(note_stall, &told), MSLOT_OK);
	assert_int_equal(pthread_create(&busy, NULL, come_and_go, NULL), 0);
	assert_int_equal(pthread_create(&stalled, NULL, stay_inside, (void *)(intptr_t)2800), 0);
	sem_wait(&reader.is_inside);
	retire_some(4);
	join(stalled);
	reader.must_stop = true;
	join(busy);
	assert_err(mslot_barrier(region), MSLOT_OK);
	assert_err(mslot_set_stall_handler(NULL, NULL), MSLOT_OK);
	/* After one second, and again after two. */
	assert_int_equal(told.nr, 2);
	assert_int_equal(told.thread_id, reader.thread_id);
	assert_int_equal(told.backlog, 4);
	assert_in_range(told.first_ns, 1000000000, 1700000000);
	assert_in_range(told.last_ns, 2000000000, 3000000000);
	assert_int_equal(stats().stalls - before.stalls, 1);
	assert_int_equal(stats().backlog, 0);
}

/* As a thread that is stopped amid a drop. */
static void *stay_in_a_use(void *ms)
{
	assert_err(mslot_thread_register(), MSLOT_OK);
	mslot_thread_offline();
	struct retire_queue *queue = &reclaim_self->queue[reclaim_active(reclaim_self)];
	uint64_t use = retire_queue_use_begin(queue);
	reader.thread_id = gettid();
	sem_post(&reader.is_inside);
	nap_ms((long)(intptr_t)ms);
	retire_queue_use_end(queue, use, 0);
	mslot_thread_online();
	assert_err(mslot_thread_unregister(), MSLOT_OK);
	return NULL;
}

static void who_stays_in_a_drop_is_named(void **state)
{
	struct mslot_stats before = stats();
	uint64_t told_before = told.nr;
	pthread_t stalled;
	(void)state;

	sem_init(&reader.is_inside, 0, 0);
	assert_err(mslot_set_stall_handler(note_stall, &told), MSLOT_OK);
	assert_int_equal(pthread_create(&stalled, NULL, stay_in_a_use, (void *)(intptr_t)1700), 0);
	sem_wait(&reader.is_inside);
	assert_err(mslot_barrier(region), MSLOT_OK);
	join(stalled);
	assert_err(mslot_set_stall_handler(NULL, NULL), MSLOT_OK);
	assert_int_equal(told.nr, told_before + 1);
	assert_int_equal(told.thread_id, reader.thread_id);
	assert_int_equal(stats().stalls - before.stalls, 1);
}

static void who_holds_nobody_up_is_not_named(void **state)
{
	uint64_t before = told.nr;
	(void)state;

	/* The library's thread is done with what the tests before have left. */
	mslot_thread_offline();
	nap_ms(100);
	mslot_thread_online();
	assert_err(mslot_set_stall_handler(note_stall, &told), MSLOT_OK);
	run_in_thread(stay_inside, (void *)(intptr_t)1500);
	assert_err(mslot_set_stall_handler(NULL, NULL), MSLOT_OK);
	assert_int_equal(told.nr, before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_retired_is_backlog_until_it_is_recycled),
		TEST(a_wait_does_not_begin_before_the_drop),
		TEST(the_most_that_waited_is_seen_though_nobody_looked),
		TEST(immediate_types_are_never_backlog),
		TEST(the_counts_of_threads_that_are_gone_stay),
		TEST(a_wait_after_a_pause_is_not_counted_from_before_the_pause),
		TEST(the_limit_counts_who_waited_and_who_was_refused),
		TEST(a_reader_that_stays_inside_is_named),
		TEST(who_stays_in_a_drop_is_named),
		TEST(who_holds_nobody_up_is_not_named),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
