/* SPDX-License-Identifier: MIT
 *
 * Frames that an on_drop drops: they are recycled as fast as they come, however long their threads go on.
 */
#include "reclaim/reclaim.h"

#include "util.h"

#include <sched.h>

#define FAMILIES 12800
#define CHILDREN 3
#define BIG 20
#define THREADS 4
#define OF_THREAD 1024

static struct mslot_region *families;
static _Atomic bool is_over;

static uint64_t grace_periods(void)
{
	struct mslot_stats stats;

	mslot_stats(&stats);
	return stats.grace_periods;
}

static uint64_t backlog(void)
{
	struct mslot_stats stats;

	mslot_stats(&stats);
	return stats.backlog;
}

static void drop_children(uint64_t paddr, unsigned nr)
{
	for (unsigned i = 1; i <= nr; i++)
		if (mslot_frame_drop_raw(families, paddr + i * FRAME) != MSLOT_OK)
			abort();
}

static void on_drop_small(void *meta, uint64_t paddr, void *memory)
{
	(void)meta, (void)memory;
	drop_children(paddr, CHILDREN);
}

static void on_drop_big(void *meta, uint64_t paddr, void *memory)
{
	(void)meta, (void)memory;
	drop_children(paddr, BIG);
}

static const struct mslot_type small = {.name = "small", .on_drop = on_drop_small};
static const struct mslot_type big = {.name = "big", .on_drop = on_drop_big};

/* A parent and its children, which nobody holds but it; dropped. False where some frame still waits. */
static bool come_and_go(uint64_t first, const struct mslot_type *type, unsigned nr_children)
{
	struct mslot_frame *parent = NULL;
	unsigned i = 1;

	for (; i <= nr_children; i++) {
		struct mslot_frame *child = mslot_frame_claim(families, (first + i) * FRAME, &deferred, NULL, NULL);

		if (!child)
			break;
		assert_int_equal(mslot_frame_into_raw(child), (first + i) * FRAME);
	}
	if (i > nr_children)
		parent = mslot_frame_claim(families, first * FRAME, type, NULL, NULL);
	if (parent)
		mslot_frame_drop(parent);
	else
		drop_children(first * FRAME, i - 1);
	return parent != NULL;
}

/* So many families a grace period. Were children not recycled on top of what a drop recycles, ever more would wait. */
static void a_thread_keeps_up_with_what_its_frames_drop(void **state)
{
	enum { A_PERIOD = 64, PERIODS = FAMILIES / A_PERIOD };
	uint64_t most = 0;
	(void)state;

	for (unsigned period = 0; period < PERIODS; period++) {
		uint64_t before = grace_periods();

		for (unsigned i = 0; i < A_PERIOD; i++)
			assert_true(come_and_go((period * A_PERIOD + i) * (CHILDREN + 1), &small, CHILDREN));
		while (grace_periods() == before) {
			mslot_quiescent_state();
			sched_yield();
		}
		if (backlog() > most)
			most = backlog();
	}
	assert_in_range(most, 1, 3000);
}

/* Nor does it go on to recycle many at a drop, once they are gone. */
static void what_others_have_recycled_is_not_owed(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < 1000; i++)
			assert_true(come_and_go(i * (BIG + 1), &big, BIG));
		assert_int_equal(mslot_barrier(families), MSLOT_OK);
	}
	/* Its first drain looks. */
	for (unsigned i = 0; i < 8; i++)
		assert_true(come_and_go(i, &deferred, 0));
	assert_in_range(reclaim_self->nr_owed, 0, 8);
	assert_int_equal(mslot_barrier(families), MSLOT_OK);
}

static void *drop_now_and_then(void *arg)
{
	const uint64_t begin = FAMILIES * (CHILDREN + 1) + (uintptr_t)arg * OF_THREAD * (BIG + 1);

	mslot_thread_register();
	for (uint64_t i = 0; !is_over; i++) {
		(void)come_and_go(begin + i % OF_THREAD * (BIG + 1), &big, BIG);
		mslot_thread_offline();
		usleep(100);
		mslot_thread_online();
	}
	mslot_thread_unregister();
	return NULL;
}

/* Frames of threads that pause are recycled by the library's thread, and so are those that they drop. */
static void the_librarys_thread_keeps_up_with_what_its_frames_drop(void **state)
{
	pthread_t threads[THREADS];
	uint64_t sum = 0;
	(void)state;

	assert_int_equal(mslot_barrier(families), MSLOT_OK);
	mslot_thread_offline();
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, drop_now_and_then, (void *)i), 0);
	for (unsigned i = 0; i < 100; i++) {
		usleep(10000);
		sum += backlog();
	}
	is_over = true;
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	mslot_thread_online();
	/* On average; several times as many wait where it does not keep up. */
	assert_in_range(sum / 100, 0, 10000);
}

static int make(void **state)
{
	const struct mslot_region_config config = {.nr_frames =
							   FAMILIES * (CHILDREN + 1) + THREADS * OF_THREAD * (BIG + 1)};

	(void)state;
	if (mslot_thread_register())
		return -1;
	families = mslot_region_create(&config, NULL);
	return families ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	return mslot_barrier(families) || !mslot_is_clean(families) || mslot_region_destroy(families) ||
	       mslot_thread_unregister();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thread_keeps_up_with_what_its_frames_drop),
		cmocka_unit_test(what_others_have_recycled_is_not_owed),
		cmocka_unit_test(the_librarys_thread_keeps_up_with_what_its_frames_drop),
	};
	return cmocka_run_group_tests(tests, make, end);
}
