/* SPDX-License-Identifier: MIT
 *
 * How soon a retired slot is recycled, by a thread that goes on retiring: in step with grace periods, between two of
 * them, and where a claim waits for one.
 */
#include "reclaim/reclaim.h"

#include "util.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

static const struct meta seven = {7, 8};

static void await_grace_period(void)
{
	struct mslot_stats before, now;

	mslot_stats(&before);
	do {
		mslot_quiescent_state();
		nanosleep(&(struct timespec){.tv_nsec = 10000}, NULL);
		mslot_stats(&now);
		/* None runs where nothing waits. */
	} while (now.grace_periods == before.grace_periods && now.retired != now.recycled);
}

/* As many a grace period as the library drains by, or nearly, wherever it begins to count: none of it adds up. */
static void a_thread_in_step_with_grace_periods_recycles(void **state)
{
	enum { A_PERIOD = 8, PERIODS = 30, MOST_WAITING = A_PERIOD * PERIODS / 2 };
	struct mslot_region_config config = {.nr_frames = A_PERIOD * (PERIODS + 1)};
	struct mslot_stats stats;
	(void)state;

	for (unsigned offset = 0; offset < A_PERIOD; offset++) {
		struct mslot_region *large = mslot_region_create(&config, NULL);

		assert_non_null(large);
		for (uint64_t i = 0; i < offset + A_PERIOD * PERIODS; i++) {
			if (i >= offset && (i - offset) % A_PERIOD == 0)
				await_grace_period();
			mslot_frame_drop(mslot_frame_claim(large, i * FRAME, &deferred, &seven, NULL));
		}
		mslot_stats(&stats);
		assert_true(stats.retired - stats.recycled < MOST_WAITING);
		assert_err(mslot_region_destroy(large), MSLOT_OK);
	}
}

/* One or two a grace period, behind more than the library's thread takes over at a look. */
static void a_thread_that_retires_few_recycles_many(void **state)
{
	enum { MANY = 200, PERIODS = 250 };
	struct mslot_region_config config = {.nr_frames = MANY + 1 + 2 * PERIODS};
	struct mslot_stats stats;
	(void)state;

	for (uint64_t few = 1; few <= 2; few++) {
		struct mslot_region *large = mslot_region_create(&config, NULL);
		uint64_t at = 0;

		assert_non_null(large);
		/* Odd, so that pairs never end with a multiple of eight. */
		for (; at < MANY + few - 1; at++)
			mslot_frame_drop(mslot_frame_claim(large, at * FRAME, &deferred, &seven, NULL));
		for (unsigned period = 0; period < PERIODS; period++) {
			await_grace_period();
			for (uint64_t i = 0; i < few; i++, at++)
				mslot_frame_drop(mslot_frame_claim(large, at * FRAME, &deferred, &seven, NULL));
		}
		mslot_stats(&stats);
		assert_true(stats.retired - stats.recycled < MANY);
		assert_err(mslot_region_destroy(large), MSLOT_OK);
	}
}

static uint64_t started(void)
{
	return atomic_load(&reclaim_periods.started);
}

/* Waits some milliseconds at most, with the thread quiescent, until so many grace periods have begun, or are over. */
static bool await(_Atomic uint64_t *periods, uint64_t nr)
{
	for (int i = 0; atomic_load(periods) < nr; i++) {
		if (i == 20000)
			return false;
		mslot_quiescent_state();
		sched_yield();
	}
	return true;
}

/* A reader that holds up the grace period which has begun, when it is told to. */
static _Atomic enum { AWAY, ENTER, INSIDE, LEAVE, DISMISSED } reader;

static void *read_when_told(void *arg)
{
	if (mslot_thread_register())
		abort();
	mslot_thread_offline();
	while (atomic_load(&reader) != DISMISSED) {
		if (atomic_load(&reader) == ENTER) {
			mslot_thread_online();
			mslot_read_lock();
			atomic_store(&reader, INSIDE);
			while (atomic_load(&reader) != LEAVE)
				sched_yield();
			mslot_read_unlock();
			mslot_thread_offline();
			atomic_store(&reader, AWAY);
		}
		sched_yield();
	}
	mslot_thread_online();
	mslot_thread_unregister();
	return arg;
}

/* Whether frames that were retired before a grace period come back after it; false and *is_between false where the next
 * one had begun before we looked. */
static bool come_back_between(struct mslot_region *large, uint64_t nr_frames, uint64_t nr_earlier, bool *is_between)
{
	struct mslot_audit audit;
	uint64_t at = 0, period;

	atomic_store(&reader, ENTER);
	while (atomic_load(&reader) != INSIDE)
		sched_yield();
	period = started() + 1;
	for (; at < nr_earlier; at++)
		mslot_frame_drop(mslot_frame_claim(large, at * FRAME, &deferred, &seven, NULL));
	/* Not if one had begun already, and waits for the reader as well. */
	*is_between = await(&reclaim_periods.started, period);
	/* It runs, and waits for the reader: this one is of the next. */
	mslot_frame_drop(mslot_frame_claim(large, at++ * FRAME, &deferred, &seven, NULL));
	atomic_store(&reader, LEAVE);
	*is_between = await(&reclaim_periods.completed, period) && *is_between;
	for (; at < nr_frames; at++)
		mslot_frame_drop(mslot_frame_claim(large, at * FRAME, &deferred, &seven, NULL));
	mslot_audit(large, &audit);
	*is_between = *is_between && started() == period;
	while (atomic_load(&reader) != AWAY)
		sched_yield();
	return *is_between && audit.by_status[MSLOT_STATUS_UNUSED] >= nr_earlier;
}

/*
 * Those who retire all the time need not wait for the next grace period to begin to learn that one is over: not each
 * time, as their queue may have been taken over, since they seemed to pause. More than the library's thread takes at
 * each look, so that it is not the one that recycles them.
 */
static void what_has_elapsed_is_recycled_before_the_next_grace_period(void **state)
{
	const struct mslot_region_config config = {.nr_frames = 73};
	unsigned nr_between = 0, nr_back = 0;
	pthread_t thread;
	(void)state;

	assert_int_equal(pthread_create(&thread, NULL, read_when_told, NULL), 0);
	for (int i = 0; i < 2000 && nr_between < 40; i++) {
		struct mslot_region *large = mslot_region_create(&config, NULL);
		bool is_between;

		assert_non_null(large);
		nr_back += come_back_between(large, config.nr_frames, 40, &is_between);
		nr_between += is_between;
		assert_err(mslot_region_destroy(large), MSLOT_OK);
	}
	atomic_store(&reader, DISMISSED);
	join(thread);
	/* All of them where nothing else runs, and a third at worst where much does. */
	assert_true(nr_between > 0 && 8 * nr_back > nr_between);
}

static void a_claim_that_is_refused_hastens_grace_periods(void **state)
{
	bool was_urgent = false;
	(void)state;

	/* The grace-period thread may take note between the refusal and our look. */
	for (int i = 0; i < 1000 && !was_urgent; i++) {
		mslot_read_lock();
		mslot_frame_drop(mslot_frame_claim(region, PADDR(0), &deferred, NULL, NULL));
		REFUSES(MSLOT_BUSY, mslot_frame_claim(region, PADDR(0), &deferred, NULL, &why));
		was_urgent = atomic_load(&pace_is_urgent);
		mslot_read_unlock();
		assert_err(mslot_barrier(region), MSLOT_OK);
	}
	assert_true(was_urgent);
	/* Once: by the next pause, which comes where nobody waits for a barrier. */
	mslot_frame_drop(mslot_frame_claim(region, PADDR(0), &deferred, NULL, NULL));
	mslot_thread_offline();
	for (int ms = 0; ms < 5000 && atomic_load(&pace_is_urgent); ms++)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	mslot_thread_online();
	assert_false(atomic_load(&pace_is_urgent));
}

/*
 * Where nobody hastens them, a pause of 0.8 ms is between two. Here there are more than six in a millisecond. Whether
 * they come so fast depends on what else runs here: tried again.
 */
static void grace_periods_come_faster_while_claims_are_refused(void **state)
{
	const uint64_t try_ns = 10000000, pause_ns = 500000;
	bool is_faster = false;
	(void)state;

	for (int i = 0; i < 200 && !is_faster; i++) {
		/* Time in which we are preempted counts against it. */
		uint64_t since = reclaim_now_ns(), before = started();

		while (reclaim_now_ns() - since < try_ns) {
			struct mslot_frame *frame = mslot_frame_claim(region, PADDR(0), &deferred, NULL, NULL);

			if (frame)
				mslot_frame_drop(frame);
			mslot_quiescent_state();
		}
		uint64_t nr = started() - before;
		is_faster = nr * pause_ns > (reclaim_now_ns() - since) * 3;
	}
	assert_true(is_faster);
}

/* More grace periods may come of what else runs here. */
static void a_lone_frame_comes_back_after_one_grace_period(void **state)
{
	uint64_t least = UINT64_MAX;
	(void)state;

	for (int i = 0; i < 200 && least > 1; i++) {
		assert_err(mslot_barrier(region), MSLOT_OK);
		mslot_thread_offline();
		/* The library's thread sleeps by then. */
		nanosleep(&(struct timespec){.tv_nsec = 4000000}, NULL);
		mslot_thread_online();
		uint64_t before = started();
		struct mslot_stats stats;

		mslot_frame_drop(mslot_frame_claim(region, PADDR(0), &deferred, NULL, NULL));
		mslot_thread_offline();
		do
			mslot_stats(&stats);
		while (stats.backlog && !nanosleep(&(struct timespec){.tv_nsec = 10000}, NULL));
		mslot_thread_online();
		least = started() - before < least ? started() - before : least;
	}
	assert_int_equal(least, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_thread_in_step_with_grace_periods_recycles),
		TEST(a_thread_that_retires_few_recycles_many),
		TEST(what_has_elapsed_is_recycled_before_the_next_grace_period),
		TEST(a_claim_that_is_refused_hastens_grace_periods),
		TEST(grace_periods_come_faster_while_claims_are_refused),
		TEST(a_lone_frame_comes_back_after_one_grace_period),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
