/* SPDX-License-Identifier: MIT
 *
 * Many retired frames: chains of frames that drop each other are a loop and not recursion, and a region's limit on
 * what waits for a grace period is kept at the claims, never at the drops.
 */
#include "table/region.h"

#include "util.h"

#define NR_CHAIN 100000
/* Of deferred types each link waits for its own grace period. */
#define NR_CHAIN_DEFERRED 100000
#define LIMIT 128

static _Atomic uint64_t nr_dropped;

struct link {
	struct mslot_frame *next;
};

static void drop_next(void *meta, uint64_t paddr, void *memory)
{
	(void)paddr, (void)memory;
	nr_dropped++;
	mslot_frame_drop(((struct link *)meta)->next);
}

static struct mslot_frame *make_chain(struct mslot_region *of, uint64_t nr, const struct mslot_type *type)
{
	struct link link = {NULL};

	for (uint64_t i = 0; i < nr; i++)
		link.next = mslot_frame_claim(of, i * FRAME, type, &link, NULL);
	return link.next;
}

/* On a stack that a hundred thousand calls would not fit. */
static void *drop_on_a_small_stack(void *head)
{
	assert_err(mslot_thread_register(), MSLOT_OK);
	mslot_frame_drop(head);
	assert_err(mslot_thread_unregister(), MSLOT_OK);
	return NULL;
}

static void chain(uint64_t nr, unsigned flags)
{
	static const struct mslot_type types[] = {
		{.meta_bytes = sizeof(struct link), .on_drop = drop_next},
		{.meta_bytes = sizeof(struct link), .on_drop = drop_next, .flags = MSLOT_TYPE_IMMEDIATE},
	};
	struct mslot_region *large = mslot_region_create(&(struct mslot_region_config){.nr_frames = nr}, NULL);
	struct mslot_frame *head;
	pthread_attr_t attr;
	pthread_t thread;

	head = make_chain(large, nr, &types[flags == MSLOT_TYPE_IMMEDIATE]);
	assert_non_null(head);
	nr_dropped = 0;
	pthread_attr_init(&attr);
	assert_int_equal(pthread_attr_setstacksize(&attr, 256 * 1024), 0);
	assert_int_equal(pthread_create(&thread, &attr, drop_on_a_small_stack, head), 0);
	pthread_attr_destroy(&attr);
	join(thread);
	if (flags & MSLOT_TYPE_IMMEDIATE)
		assert_int_equal(nr_dropped, nr);
	/* Somebody waits, so the library's thread does not pause between grace periods. */
	for (uint64_t rounds = 0; nr_dropped < nr && rounds <= nr; rounds++)
		assert_err(mslot_barrier(large), MSLOT_OK);
	assert_int_equal(nr_dropped, nr);
	assert_err(mslot_region_destroy(large), MSLOT_OK);
}

static void a_long_chain_of_immediate_frames_is_a_loop(void **state)
{
	(void)state;
	chain(NR_CHAIN, MSLOT_TYPE_IMMEDIATE);
}

static void a_long_chain_of_deferred_frames_is_a_loop(void **state)
{
	(void)state;
	chain(NR_CHAIN_DEFERRED, 0);
}

/* All elapse at once, and each on_drop retires one more while they are drained. */
static void a_heap_of_pairs_is_a_loop(void **state)
{
	static const struct mslot_type type = {.meta_bytes = sizeof(struct link), .on_drop = drop_next};
	struct mslot_region *large =
		mslot_region_create(&(struct mslot_region_config){.nr_frames = 2 * NR_CHAIN}, NULL);
	(void)state;

	nr_dropped = 0;
	mslot_read_lock();
	for (uint64_t i = 0; i < NR_CHAIN; i++) {
		struct link link = {mslot_frame_claim(large, (2 * i) * FRAME, &type, &(struct link){NULL}, NULL)};

		mslot_frame_drop(mslot_frame_claim(large, (2 * i + 1) * FRAME, &type, &link, NULL));
	}
	assert_int_equal(nr_dropped, 0);
	mslot_read_unlock();
	assert_err(mslot_barrier(large), MSLOT_OK);
	assert_true(nr_dropped >= NR_CHAIN);
	assert_err(mslot_region_destroy(large), MSLOT_OK);
	assert_int_equal(nr_dropped, 2 * NR_CHAIN);
}

/* ---- the limit ---- */

static struct mslot_region *limited;

static int limited_setup(void **state)
{
	limited = mslot_region_create(&(struct mslot_region_config){.nr_frames = 4096,
								    .backlog_limit = LIMIT,
								    .claims_may_wait = *state != NULL},
				      NULL);
	return limited ? 0 : -1;
}

static int limited_teardown(void **state)
{
	(void)state;
	return mslot_region_destroy(limited) == MSLOT_OK ? 0 : -1;
}

static uint64_t nr_retired(void)
{
	struct mslot_audit audit;

	assert_err(mslot_audit(limited, &audit), MSLOT_OK);
	return audit.by_status[MSLOT_STATUS_RETIRED];
}

/* Claims and drops until refused; gives how often it was not. */
static unsigned fill(enum mslot_err *why)
{
	unsigned nr = 0;

	*why = MSLOT_OK;
	for (; nr < 4096; nr++) {
		struct mslot_frame *frame = mslot_frame_claim(limited, nr * FRAME, &deferred, NULL, why);

		if (!frame)
			break;
		mslot_frame_drop(frame);
	}
	return nr;
}

static void at_the_limit_claims_are_refused_until_a_grace_period(void **state)
{
	struct mslot_segment segment;
	enum mslot_err why;
	unsigned nr;
	(void)state;

	for (int round = 0; round < 3; round++) {
		mslot_read_lock();
		nr = fill(&why);
		assert_err(why, MSLOT_BUSY);
		/* Room is kept for what threads may hold, but no more than half. */
		assert_in_range(nr, LIMIT / 2, LIMIT);
		assert_int_equal(nr_retired(), nr);
		assert_null(mslot_unique_claim(limited, 4095 * FRAME, &deferred, NULL, &why));
		assert_err(why, MSLOT_BUSY);
		assert_err(mslot_segment_claim(limited, 4090 * FRAME, 4095 * FRAME, &deferred, NULL, NULL, &segment),
			   MSLOT_BUSY);
		/* Immediate types never notice. */
		for (unsigned i = 0; i < 100; i++)
			mslot_frame_drop(mslot_frame_claim(limited, (4000 + i % 10) * FRAME, &immediate, NULL, NULL));
		mslot_read_unlock();
		assert_err(mslot_barrier(limited), MSLOT_OK);
		assert_int_equal(nr_retired(), 0);
	}
}

static void a_drop_never_waits_and_is_never_refused(void **state)
{
	static struct mslot_frame *frames[1024];
	enum mslot_err why;
	(void)state;

	for (unsigned i = 0; i < 1024; i++)
		frames[i] = mslot_frame_claim(limited, i * FRAME, &deferred, NULL, NULL);
	mslot_read_lock();
	for (unsigned i = 0; i < 1024; i++)
		mslot_frame_drop(frames[i]);
	assert_int_equal(nr_retired(), 1024);
	assert_null(mslot_frame_claim(limited, 2000 * FRAME, &deferred, NULL, &why));
	assert_err(why, MSLOT_BUSY);
	mslot_read_unlock();
	assert_err(mslot_barrier(limited), MSLOT_OK);
	mslot_frame_drop(mslot_frame_claim(limited, 2000 * FRAME, &deferred, NULL, &why));
	assert_err(mslot_barrier(limited), MSLOT_OK);
}

/* ---- what threads hold when claims stop ---- */

#define LARGE_LIMIT 4096
#define NR_THREADS 4
#define NR_HELD 64

static struct mslot_region *wide;
static pthread_barrier_t all_hold;

/* Holds as many as there is room for, turns others over until it is refused, and then drops what it held. */
static void *hold_fill_and_drop(void *arg)
{
	uint64_t first = (uintptr_t)arg * 2 * LARGE_LIMIT;
	struct mslot_frame *held[NR_HELD], *frame;

	assert_err(mslot_thread_register(), MSLOT_OK);
	for (unsigned i = 0; i < NR_HELD - 1; i++) {
		held[i] = mslot_frame_claim(wide, (first + i) * FRAME, &deferred, NULL, NULL);
		assert_non_null(held[i]);
	}
	pthread_barrier_wait(&all_hold);
	for (unsigned i = NR_HELD; (frame = mslot_frame_claim(wide, (first + i) * FRAME, &deferred, NULL, NULL)); i++)
		mslot_frame_drop(frame);
	for (unsigned i = 0; i < NR_HELD - 1; i++)
		mslot_frame_drop(held[i]);
	mslot_thread_unregister();
	return NULL;
}

static void what_threads_hold_when_claims_stop_stays_below_the_limit(void **state)
{
	const struct mslot_region_config config = {.nr_frames = NR_THREADS * 2 * LARGE_LIMIT,
						   .backlog_limit = LARGE_LIMIT};
	pthread_t threads[NR_THREADS];
	struct mslot_audit audit;
	(void)state;

	wide = mslot_region_create(&config, NULL);
	assert_non_null(wide);
	pthread_barrier_init(&all_hold, NULL, NR_THREADS);
	mslot_read_lock();
	for (uintptr_t i = 0; i < NR_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hold_fill_and_drop, (void *)i), 0);
	/* Not by join(), which goes offline: with qsbr that ends the section. */
	for (unsigned i = 0; i < NR_THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_err(mslot_audit(wide, &audit), MSLOT_OK);
	assert_in_range(audit.by_status[MSLOT_STATUS_RETIRED], LARGE_LIMIT / 2, LARGE_LIMIT);
	mslot_read_unlock();
	assert_err(mslot_barrier(wide), MSLOT_OK);
	assert_err(mslot_region_destroy(wide), MSLOT_OK);
}

static void claims_that_may_wait_do(void **state)
{
	enum mslot_err why;
	(void)state;

	assert_int_equal(fill(&why), 4096);
	assert_err(why, MSLOT_OK);
	assert_true(nr_retired() <= LIMIT);
	assert_err(mslot_barrier(limited), MSLOT_OK);
	if (!strcmp(mslot_reclaim_flavor(), "qsbr"))
		return; /* has no sections */
	mslot_read_lock();
	assert_in_range(fill(&why), LIMIT / 2, LIMIT);
	assert_err(why, MSLOT_BUSY);
	mslot_read_unlock();
}

/* The program has given up its only handle: what is held is held by frames that wait for their own end. */
static void a_region_ends_whose_frames_hold_each_other(void **state)
{
	static const struct mslot_type type = {.meta_bytes = sizeof(struct link), .on_drop = drop_next};
	(void)state;

	for (unsigned nr = 1; nr <= 8; nr++)
		for (unsigned i = 0; i < 20; i++) {
			struct mslot_region *small =
				mslot_region_create(&(struct mslot_region_config){.nr_frames = nr}, NULL);

			assert_non_null(small);
			mslot_frame_drop(make_chain(small, nr, &type));
			assert_err(mslot_region_destroy(small), MSLOT_OK);
		}
}

static void a_region_does_not_end_whose_frame_is_held_beside_a_chain(void **state)
{
	static const struct mslot_type type = {.meta_bytes = sizeof(struct link), .on_drop = drop_next};
	struct mslot_region *small = mslot_region_create(&(struct mslot_region_config){.nr_frames = 8}, NULL);
	struct mslot_frame *held = mslot_frame_claim(small, 7 * FRAME, &type, &(struct link){NULL}, NULL);
	(void)state;

	mslot_frame_drop(make_chain(small, 7, &type));
	assert_err(mslot_region_destroy(small), MSLOT_IN_USE);
	assert_int_equal(mslot_frame_ref_count(held), 1);
	mslot_frame_drop(held);
	assert_err(mslot_region_destroy(small), MSLOT_OK);
}

#define NR_DEBTORS 4
#define NR_OWED 100 /* less than a thread may keep uncounted */

static struct mslot_region *owed;
static pthread_barrier_t debtors;

static void *retire_and_wait(void *arg)
{
	struct mslot_frame *frames[NR_OWED];
	uint64_t first = (uintptr_t)arg * NR_OWED;

	assert_err(mslot_thread_register(), MSLOT_OK);
	for (uint64_t i = 0; i < NR_OWED; i++)
		frames[i] = mslot_frame_claim(owed, (first + i) * FRAME, &deferred, NULL, NULL);
	for (uint64_t i = 0; i < NR_OWED; i++)
		mslot_frame_drop(frames[i]);
	mslot_thread_offline();
	pthread_barrier_wait(&debtors); /* the library's thread has them to recycle */
	pthread_barrier_wait(&debtors); /* another region is there */
	mslot_thread_online();
	assert_err(mslot_thread_unregister(), MSLOT_OK);
	return NULL;
}

/* Retires that threads had not counted yet when a region ended are not the next one's. */
static void a_region_has_no_backlog_of_the_one_before(void **state)
{
	const struct mslot_region_config config = {.nr_frames = NR_DEBTORS * NR_OWED, .backlog_limit = 1 << 20};
	pthread_t threads[NR_DEBTORS];
	(void)state;

	owed = mslot_region_create(&config, NULL);
	assert_non_null(owed);
	pthread_barrier_init(&debtors, NULL, NR_DEBTORS + 1);
	for (uintptr_t i = 0; i < NR_DEBTORS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, retire_and_wait, (void *)i), 0);
	mslot_thread_offline();
	pthread_barrier_wait(&debtors);
	mslot_thread_online();
	const struct mslot_region *before = owed;
	assert_err(mslot_region_destroy(owed), MSLOT_OK);
	owed = mslot_region_create(&config, NULL);
	/* Where the kernel gives the same addresses again, as it does. */
	bool is_same_place = owed == before;
	int64_t at_first = atomic_load(region_backlog(owed));
	mslot_thread_offline();
	pthread_barrier_wait(&debtors);
	mslot_thread_online();
	for (unsigned i = 0; i < NR_DEBTORS; i++)
		join(threads[i]);
	pthread_barrier_destroy(&debtors);
	assert_int_equal(at_first, 0);
	assert_int_equal(atomic_load(region_backlog(owed)), 0);
	assert_err(mslot_region_destroy(owed), MSLOT_OK);
	if (!is_same_place)
		skip();
}

int main(void)
{
	static int may_wait;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_long_chain_of_immediate_frames_is_a_loop),
		cmocka_unit_test(a_long_chain_of_deferred_frames_is_a_loop),
		cmocka_unit_test(a_heap_of_pairs_is_a_loop),
		cmocka_unit_test_setup_teardown(at_the_limit_claims_are_refused_until_a_grace_period, limited_setup,
						limited_teardown),
		cmocka_unit_test_setup_teardown(a_drop_never_waits_and_is_never_refused, limited_setup,
						limited_teardown),
		cmocka_unit_test(what_threads_hold_when_claims_stop_stays_below_the_limit),
		cmocka_unit_test_prestate_setup_teardown(claims_that_may_wait_do, limited_setup, limited_teardown,
							 &may_wait),
		cmocka_unit_test(a_region_ends_whose_frames_hold_each_other),
		cmocka_unit_test(a_region_does_not_end_whose_frame_is_held_beside_a_chain),
		cmocka_unit_test(a_region_has_no_backlog_of_the_one_before),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
