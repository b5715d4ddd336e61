/* SPDX-License-Identifier: MIT
 *
 * How long retired slots wait: the pause between two grace periods, and who ends it.
 */
#include "reclaim/grace.h"
#include "reclaim/reclaim.h"

#include "util.h"

#include <sched.h>
#include <stdlib.h>
#include <time.h>

static const struct meta seven = {7, 8};

static uint64_t started(void)
{
	return atomic_load(&reclaim_periods.started);
}

/* From retire to recycle, ns, of frames that carry the time of their retirement. */
enum { TIMED = 101 };
static uint64_t waited_ns[TIMED];
static _Atomic unsigned nr_waited;

static void on_drop_time(void *meta, uint64_t paddr, void *memory)
{
	unsigned at = atomic_fetch_add(&nr_waited, 1);
	(void)paddr;
	(void)memory;

	waited_ns[at % TIMED] = reclaim_now_ns() - ((struct meta *)meta)->a;
}

static int by_size(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

static uint64_t median_wait_ns(struct mslot_region *large, long every_ns)
{
	static const struct mslot_type timed = {
		.name = "timed", .meta_bytes = sizeof(struct meta), .meta_align = 8, .on_drop = on_drop_time};

	atomic_store(&nr_waited, 0);
	for (uint64_t i = 0; i < TIMED; i++) {
		struct meta now = {.a = reclaim_now_ns()};

		mslot_frame_drop(mslot_frame_claim(large, i * FRAME, &timed, &now, NULL));
		mslot_thread_offline();
		do
			nanosleep(&(struct timespec){.tv_nsec = every_ns}, NULL);
		while (!every_ns && atomic_load(&nr_waited) <= i);
		mslot_thread_online();
	}
	assert_err(mslot_barrier(large), MSLOT_OK);
	assert_int_equal(atomic_load(&nr_waited), TIMED);
	qsort(waited_ns, TIMED, sizeof(waited_ns[0]), by_size);
	return waited_ns[TIMED / 2];
}

/* However many come, also where each waits for the one before; where nothing else runs, or at least once. */
static void frames_come_back_within_a_millisecond(void **state)
{
	static const long every_ns[] = {0, 10000, 100000, 300000, 1000000, 2000000};
	struct mslot_region_config config = {.nr_frames = TIMED};
	struct mslot_region *large = mslot_region_create(&config, NULL);
	(void)state;

	for (unsigned i = 0; i < sizeof(every_ns) / sizeof(every_ns[0]); i++) {
		unsigned tries = 0;

		while (median_wait_ns(large, every_ns[i]) >= 1000000)
			assert_true(++tries < 60);
	}
	assert_err(mslot_region_destroy(large), MSLOT_OK);
}

/* How long two grace periods take where the first may begin at once, if `ask` is called in the pause between: no less
 * than that pause. One frame is retired before the first, one before the second. */
static uint64_t two_periods_ns(void (*ask)(void), void (*prepare)(void))
{
	assert_err(mslot_barrier(region), MSLOT_OK);
	if (prepare)
		prepare();
	mslot_thread_offline();
	nanosleep(&(struct timespec){.tv_nsec = 2500000}, NULL);
	mslot_thread_online();
	uint64_t before = started(), since = reclaim_now_ns();

	mslot_frame_drop(mslot_frame_claim(region, PADDR(0), &deferred, NULL, NULL));
	mslot_thread_offline();
	while (started() < before + 1)
		sched_yield();
	mslot_thread_online();
	mslot_frame_drop(mslot_frame_claim(region, PADDR(1), &deferred, NULL, NULL));
	/* The library's thread has seen it, and pauses. */
	mslot_thread_offline();
	nanosleep(&(struct timespec){.tv_nsec = 150000}, NULL);
	mslot_thread_online();
	if (ask)
		ask();
	mslot_thread_offline();
	while (started() < before + 2)
		sched_yield();
	mslot_thread_online();
	return reclaim_now_ns() - since;
}

/* At least once, as what else runs here may make it longer. */
static bool comes_within(uint64_t ns, void (*ask)(void), void (*prepare)(void))
{
	unsigned tries = 0;

	while (two_periods_ns(ask, prepare) >= ns)
		if (++tries == 200)
			return false;
	return true;
}

static void be_refused(void)
{
	/* Dropped where we were late. */
	mslot_frame_drop(mslot_frame_claim(region, PADDR(1), &deferred, NULL, NULL));
}

static struct mslot_region *other;

static void find_none(void)
{
	assert_null(mslot_alloc_frame(other, &deferred, NULL, NULL, NULL));
}

/* Where that many alone take as long as a pause. */
#ifdef GRACE_TSAN
#define DROPS_ARE_SLOW true
#else
#define DROPS_ARE_SLOW false
#endif

static struct mslot_frame *many[4096];

static void claim_many(void)
{
	for (uint64_t i = 0; i < 4096; i++)
		many[i] = mslot_frame_claim(other, i * FRAME, &deferred, &seven, NULL);
}

static void retire_many(void)
{
	for (uint64_t i = 0; i < 4096; i++)
		mslot_frame_drop(many[i]);
}

static void wait_for_all(void)
{
	assert_err(mslot_barrier(region), MSLOT_OK);
}

static void wait_for_one(void)
{
	assert_err(mslot_synchronize(), MSLOT_OK);
}

/* However often they are woken, and however busy the machine. */
static void few_slots_cause_few_grace_periods(void **state)
{
	const uint64_t most_ns = 800000;
	struct mslot_region_config config = {.nr_frames = 100};
	struct mslot_region *large = mslot_region_create(&config, NULL);
	uint64_t since = reclaim_now_ns(), before = started();
	(void)state;

	for (uint64_t i = 0; i < config.nr_frames; i++) {
		mslot_frame_drop(mslot_frame_claim(large, i * FRAME, &deferred, &seven, NULL));
		mslot_thread_offline();
		nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
		mslot_thread_online();
	}
	assert_in_range(started() - before, 1, (reclaim_now_ns() - since) / most_ns + 2);
	assert_err(mslot_region_destroy(large), MSLOT_OK);
}

static void few_slots_wait_for_long_unless_somebody_asks(void **state)
{
	const uint64_t most_ns = 800000;
	struct mslot_region_config config = {.nr_frames = 1};
	struct mslot_frame *frame;
	(void)state;

	assert_true(comes_within(most_ns * 3 / 2, NULL, NULL));

	assert_true(comes_within(most_ns, be_refused, NULL));
	assert_true(comes_within(most_ns, wait_for_all, NULL));
	assert_true(comes_within(most_ns, wait_for_one, NULL));

	other = mslot_region_create(&config, NULL);
	frame = mslot_frame_claim(other, 0, &deferred, NULL, NULL);
	assert_true(comes_within(most_ns, find_none, NULL));
	mslot_frame_drop(frame);
	assert_err(mslot_region_destroy(other), MSLOT_OK);

	config.nr_frames = 4096;
	other = mslot_region_create(&config, NULL);
	assert_true(DROPS_ARE_SLOW || comes_within(most_ns, retire_many, claim_many));
	assert_err(mslot_region_destroy(other), MSLOT_OK);
}

/* More than are taken over at once, and nobody asks for them. */
static void what_a_thread_retired_that_pauses_comes_back(void **state)
{
	struct mslot_region_config config = {.nr_frames = 100};
	struct mslot_region *large = mslot_region_create(&config, NULL);
	struct mslot_stats stats;
	(void)state;

	assert_err(mslot_barrier(large), MSLOT_OK);
	for (uint64_t i = 0; i < config.nr_frames; i++)
		mslot_frame_drop(mslot_frame_claim(large, i * FRAME, &deferred, &seven, NULL));
	mslot_thread_offline();
	for (unsigned ms = 0; mslot_stats(&stats), stats.backlog && ms < 5000; ms++)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	mslot_thread_online();
	assert_int_equal(stats.backlog, 0);
	assert_err(mslot_region_destroy(large), MSLOT_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(frames_come_back_within_a_millisecond),
		TEST(few_slots_cause_few_grace_periods),
		TEST(few_slots_wait_for_long_unless_somebody_asks),
		TEST(what_a_thread_retired_that_pauses_comes_back),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
