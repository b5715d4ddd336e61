/* SPDX-License-Identifier: MIT
 *
 * Exhaustion from several threads: a region is filled to its last frame, whoever remembers that frame as free, and
 * "none" is not said before.
 */
#include "util.h"

#define NR_THREADS 4
#define NR_MANY 2000

static struct mslot_region *many;
static pthread_barrier_t step;
static _Atomic unsigned nr_held, nr_dropped;

/* A thread that waits must not keep grace periods from ending. */
static void meet(void)
{
	mslot_thread_offline();
	pthread_barrier_wait(&step);
	mslot_thread_online();
}

static int setup_many(void **state)
{
	(void)state;
	many = mslot_region_create(&(struct mslot_region_config){.nr_frames = NR_MANY}, NULL);
	nr_held = nr_dropped = 0;
	pthread_barrier_init(&step, NULL, NR_THREADS);
	return many ? 0 : -1;
}

static int teardown_many(void **state)
{
	(void)state;
	pthread_barrier_destroy(&step);
	if (mslot_barrier(many) || !mslot_is_clean(many))
		return -1;
	return mslot_region_destroy(many) == MSLOT_OK ? 0 : -1;
}

static void in_threads(void *(*fn)(void *))
{
	pthread_t threads[NR_THREADS];

	for (uintptr_t i = 0; i < NR_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, fn, (void *)i), 0);
	for (unsigned i = 0; i < NR_THREADS; i++)
		assert_ptr_equal(join(threads[i]), NULL);
}

/* Each thread allocates until there is none, at the same time. */
static void *fill(void *arg)
{
	const struct mslot_type *type = (uintptr_t)arg % 2 ? &deferred : &immediate;
	struct mslot_frame *mine[NR_MANY];
	unsigned nr;
	void *wrong = NULL;

	if (mslot_thread_register())
		return "register";
	for (int round = 0; round < 50; round++) {
		meet();
		for (nr = 0; nr < NR_MANY; nr++) {
			mine[nr] =
				mslot_alloc_frame(many, type, &(struct meta){1, 2},
						  &(struct mslot_alloc_options){.flags = MSLOT_ALLOC_MAY_WAIT}, NULL);
			if (!mine[nr])
				break;
		}
		nr_held += nr;
		meet();
		if (nr_held != (unsigned)(round + 1) * NR_MANY)
			wrong = "not all were found";
		meet();
		while (nr--)
			mslot_frame_drop(mine[nr]);
	}
	mslot_thread_unregister();
	return wrong;
}

static void threads_fill_a_region_to_the_last_frame(void **state)
{
	(void)state;
	in_threads(fill);
}

/* Each thread keeps a cache full of free frames, and waits; the first one then wants them all. */
static void *park(void *arg)
{
	static struct mslot_frame *all[NR_MANY];
	bool is_first = !arg;
	void *wrong = NULL;

	if (mslot_thread_register())
		return "register";
	mslot_frame_drop(mslot_alloc_frame(many, &immediate, NULL, NULL, NULL));
	struct mslot_frame *one = mslot_alloc_frame(many, &deferred, NULL, NULL, NULL);
	if (!one)
		wrong = "nothing at all";
	/* Retired, with nobody to drain it but the grace-period thread. */
	mslot_frame_drop(one);
	meet();
	if (is_first) {
		const struct mslot_alloc_options may_wait = {.flags = MSLOT_ALLOC_MAY_WAIT};
		for (unsigned i = 0; i < NR_MANY; i++) {
			all[i] = mslot_alloc_frame(many, &immediate, NULL, &may_wait, NULL);
			if (!all[i])
				wrong = "none was said too early";
		}
		enum mslot_err why = MSLOT_OK;
		if (mslot_alloc_frame(many, &immediate, NULL, NULL, &why) || why != MSLOT_NO_MEMORY)
			wrong = "none was not said";
		for (unsigned i = 0; i < NR_MANY; i++)
			mslot_frame_drop(all[i]);
		struct mslot_segment run;
		if (mslot_alloc_segment(many, NR_MANY, 1, &immediate, NULL, NULL, NULL, &run))
			wrong = "the region is not one run again";
		else
			mslot_segment_drop(&run);
	}
	meet();
	mslot_thread_unregister();
	return wrong;
}

static void frames_in_caches_of_waiting_threads_are_found(void **state)
{
	(void)state;
	in_threads(park);
}

/*
 * One thread frees a frame and only then asks; another may take it away and give one back. With as many frames as there
 * are threads plus held ones, each asks for at most one, so none may ever be told "none"; of a deferred type, if it may
 * wait: again, if it has to.
 */
static struct {
	const struct mslot_type *type;
	struct mslot_alloc_options options;
	int times;
} never_none;

static void *ask(void *arg)
{
	void *wrong = NULL;
	(void)arg;

	if (mslot_thread_register())
		return "register";
	meet();
	for (int i = 0; i < never_none.times; i++) {
		struct mslot_frame *frame =
			mslot_alloc_frame(many, never_none.type, &(struct meta){1, 2}, &never_none.options, NULL);

		if (!frame)
			wrong = "none, though there were as many frames as threads";
		mslot_frame_drop(frame);
		mslot_quiescent_state();
	}
	mslot_thread_unregister();
	return wrong;
}

static void all_ask(const struct mslot_type *type, unsigned flags, int times)
{
	struct mslot_segment rest;

	never_none.type = type;
	never_none.options = (struct mslot_alloc_options){.flags = flags};
	never_none.times = times;
	assert_err(mslot_segment_claim(many, 0, (NR_MANY - NR_THREADS) * FRAME, &immediate, NULL, NULL, &rest),
		   MSLOT_OK);
	in_threads(ask);
	mslot_segment_drop(&rest);
}

static void none_is_never_said_while_there_is_one(void **state)
{
	(void)state;
	all_ask(&immediate, 0, 3000);
}

static void none_is_never_said_while_one_may_be_waited_for(void **state)
{
	(void)state;
	all_ask(&deferred, MSLOT_ALLOC_MAY_WAIT, 200);
}

/* After "none" was said, a frame that only its last holder remembers as free. */
static void *drop_and_stay(void *arg)
{
	if (mslot_thread_register())
		return "register";
	mslot_frame_drop(arg);
	meet();
	meet();
	mslot_thread_unregister();
	return NULL;
}

static void a_frame_freed_elsewhere_after_none_is_found(void **state)
{
	static struct mslot_frame *all[NR_MANY];
	enum mslot_err why = MSLOT_OK;
	pthread_t thread;
	(void)state;

	pthread_barrier_destroy(&step);
	pthread_barrier_init(&step, NULL, 2);
	for (unsigned i = 0; i < NR_MANY; i++)
		assert_non_null(all[i] = mslot_alloc_frame(many, &immediate, NULL, NULL, NULL));
	for (int again = 0; again < 3; again++) {
		assert_null(mslot_alloc_frame(many, &immediate, NULL, NULL, &why));
		assert_err(why, MSLOT_NO_MEMORY);
	}
	assert_int_equal(pthread_create(&thread, NULL, drop_and_stay, all[7]), 0);
	meet();
	all[7] = mslot_alloc_frame(many, &immediate, NULL, NULL, NULL);
	bool was_found = all[7];
	meet();
	assert_ptr_equal(join(thread), NULL);
	assert_true(was_found);
	for (unsigned i = 0; i < NR_MANY; i++)
		mslot_frame_drop(all[i]);
}

/* Threads end with full caches; the next generation finds it all. */
static void *leave(void *arg)
{
	(void)arg;
	if (mslot_thread_register())
		return "register";
	for (int i = 0; i < 100; i++)
		mslot_frame_drop(mslot_alloc_frame(many, i % 2 ? &deferred : &immediate, NULL, NULL, NULL));
	/* Every other one ends without saying so. */
	if ((uintptr_t)arg % 2)
		mslot_thread_unregister();
	return NULL;
}

static void threads_that_end_lose_nothing(void **state)
{
	static struct mslot_frame *all[NR_MANY];
	(void)state;

	for (int i = 0; i < 10; i++)
		in_threads(leave);
	assert_err(mslot_barrier(many), MSLOT_OK);
	for (unsigned i = 0; i < NR_MANY; i++)
		assert_non_null(all[i] = mslot_alloc_frame(many, &immediate, NULL, NULL, NULL));
	for (unsigned i = 0; i < NR_MANY; i++)
		mslot_frame_drop(all[i]);
}

/* Regions come and go, often at the same address, under threads that remember frames of them. */
static void *outlive(void *arg)
{
	void *wrong = NULL;
	(void)arg;

	if (mslot_thread_register())
		return "register";
	for (int i = 0; i < 20; i++) {
		struct mslot_region *own =
			mslot_region_create(&(struct mslot_region_config){.nr_frames = 1 + (unsigned)i * 40}, NULL);
		struct mslot_frame *frame = own ? mslot_alloc_frame(own, &immediate, NULL, NULL, NULL) : NULL;
		struct mslot_frame *other = mslot_alloc_frame(many, &immediate, NULL, NULL, NULL);

		if (!frame || !other)
			wrong = "nothing was found";
		mslot_frame_drop(i % 2 ? frame : other);
		mslot_frame_drop(i % 2 ? other : frame);
		if (mslot_region_destroy(own))
			wrong = "a region was not destroyed";
	}
	mslot_thread_unregister();
	return wrong;
}

static void regions_come_and_go(void **state)
{
	(void)state;
	in_threads(outlive);
}

#define TEST_MANY(fn) cmocka_unit_test_setup_teardown(fn, setup_many, teardown_many)

/* Of a region large enough, threads that live at the same time take frames from different places. */
#define NR_PER_PLACE 32768
static struct mslot_region *large;
static uint64_t places[NR_THREADS];
/* A thread that finds another getting its place does without one, and tries again at its next call. */
static pthread_mutex_t settling = PTHREAD_MUTEX_INITIALIZER;

static void *settle(void *arg)
{
	uintptr_t self = (uintptr_t)arg;
	void *wrong = NULL;

	if (mslot_thread_register())
		return "register";
	pthread_mutex_lock(&settling);
	mslot_frame_drop(mslot_alloc_frame(large, &immediate, NULL, NULL, NULL));
	pthread_mutex_unlock(&settling);
	for (unsigned i = 0; i < 200; i++) {
		struct mslot_frame *frame = mslot_alloc_frame(large, &immediate, NULL, NULL, NULL);
		uint64_t place = mslot_frame_paddr(frame) / (NR_PER_PLACE * FRAME);

		if (i && place != places[self])
			wrong = "a thread left its place";
		places[self] = place;
		/* Kept, so that it takes several rows. */
		if (mslot_frame_into_raw(frame) == MSLOT_PADDR_NONE)
			wrong = "into_raw";
	}
	meet();
	mslot_thread_unregister();
	return wrong;
}

static void threads_allocate_in_places_of_their_own(void **state)
{
	const uint64_t nr_frames = 8 * NR_PER_PLACE;
	(void)state;

	large = mslot_region_create(&(struct mslot_region_config){.nr_frames = nr_frames}, NULL);
	assert_non_null(large);
	/* The caller has one as well, the first. */
	mslot_frame_drop(mslot_alloc_frame(large, &immediate, NULL, NULL, NULL));
	for (unsigned round = 0; round < 2; round++) {
		in_threads(settle);
		for (unsigned i = 0; i < NR_THREADS; i++)
			for (unsigned other = 0; other < i; other++)
				assert_int_not_equal(places[i], places[other]);
	}
	for (uint64_t i = 0; i < nr_frames; i++)
		(void)mslot_frame_drop_raw(large, i * FRAME);
	assert_err(mslot_region_destroy(large), MSLOT_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_MANY(threads_fill_a_region_to_the_last_frame),
		TEST_MANY(frames_in_caches_of_waiting_threads_are_found),
		TEST_MANY(none_is_never_said_while_there_is_one),
		TEST_MANY(none_is_never_said_while_one_may_be_waited_for),
		TEST_MANY(a_frame_freed_elsewhere_after_none_is_found),
		TEST_MANY(threads_that_end_lose_nothing),
		TEST_MANY(regions_come_and_go),
		TEST_MANY(threads_allocate_in_places_of_their_own),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
