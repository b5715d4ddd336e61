/* SPDX-License-Identifier: MIT
 *
 * What a thread remembers of free frames, seen from the index: whatever it frees is in the index when the thread has
 * given back, ended, or been read by another, so that nobody has to ask the slots for it.
 */
#include "alloc/cache.h"

#include "util.h"

static const uint64_t every = (UINT64_C(1) << NR_FRAMES) - 1;

static uint64_t in_index(void)
{
	return free_index_row(region->ranges[0].hints, 0);
}

/* Takes the row, frees some of it: the first is the hot frame, the others are in the mask. No asserts: any thread may.
 */
static bool use(unsigned nr_freed)
{
	struct mslot_frame *frames[NR_FRAMES];
	bool is_right = true;

	for (unsigned i = 0; i < NR_FRAMES; i++)
		if (!(frames[i] = mslot_alloc_frame(region, &immediate, NULL, NULL, NULL)))
			return false;
	for (unsigned i = 0; i < nr_freed; i++)
		mslot_frame_drop(frames[i]);
	is_right = in_index() == 0;
	/* Nobody remembers the rest. */
	for (unsigned i = nr_freed; i < NR_FRAMES; i++)
		is_right &= mslot_frame_into_raw(frames[i]) == BASE + i * FRAME;
	return is_right;
}

static void drop_rest(unsigned nr_freed)
{
	for (unsigned i = nr_freed; i < NR_FRAMES; i++)
		assert_err(mslot_frame_drop_raw(region, BASE + i * FRAME), MSLOT_OK);
}

static void what_is_freed_goes_to_the_index(void **state)
{
	(void)state;
	for (unsigned nr = 0; nr <= NR_FRAMES; nr++) {
		assert_true(use(nr));
		cache_flush();
		assert_int_equal(in_index(), (UINT64_C(1) << nr) - 1);
		drop_rest(nr);
		cache_flush();
		assert_int_equal(in_index(), every);
	}
}

static void what_others_freed_is_read(void **state)
{
	(void)state;
	for (unsigned nr = 0; nr <= NR_FRAMES; nr++) {
		assert_true(use(nr));
		cache_give_all(region);
		assert_int_equal(in_index(), (UINT64_C(1) << nr) - 1);
		/* It is remembered still. */
		for (unsigned i = 0; i < nr; i++)
			mslot_frame_drop(mslot_alloc_frame(region, &immediate, NULL, NULL, NULL));
		drop_rest(nr);
		cache_flush();
		assert_int_equal(in_index(), every);
	}
}

struct use {
	unsigned nr_freed;
	bool is_right;
};

static void *use_and_end(void *arg)
{
	struct use *use_it = arg;

	use_it->is_right =
		mslot_thread_register() == MSLOT_OK && use(use_it->nr_freed) && mslot_thread_unregister() == MSLOT_OK;
	return NULL;
}

static void what_a_thread_that_ends_has_freed_goes_to_the_index(void **state)
{
	(void)state;
	for (unsigned nr = 0; nr <= NR_FRAMES; nr++) {
		struct use use_it = {nr, false};

		run_in_thread(use_and_end, &use_it);
		assert_true(use_it.is_right);
		assert_int_equal(in_index(), (UINT64_C(1) << nr) - 1);
		drop_rest(nr);
		cache_flush();
	}
}

/* A row that the thread did not allocate from becomes its own when that one is used up, without a look at the index. */
static void what_was_freed_elsewhere_is_allocated(void **state)
{
	(void)state;
	struct mslot_region *two = mslot_region_create(&(struct mslot_region_config){.nr_frames = 128}, NULL);
	struct mslot_frame *frames[128];

	assert_non_null(two);
	for (unsigned i = 0; i < 128; i++)
		assert_non_null(frames[i] = mslot_alloc_frame(two, &immediate, NULL, NULL, NULL));
	for (unsigned nr = 0; nr < 5; nr++) {
		/* The own row is the second; these are of the first. */
		for (unsigned i = 0; i < nr; i++)
			mslot_frame_drop(frames[i]);
		assert_int_equal(free_index_row(two->ranges[0].hints, 0), 0);
		for (unsigned i = 0; i < nr; i++)
			assert_ptr_equal(mslot_alloc_frame(two, &immediate, NULL, NULL, NULL), frames[i]);
		/* Now the first is; back to the second. */
		if (nr) {
			mslot_frame_drop(frames[64]);
			assert_ptr_equal(mslot_alloc_frame(two, &immediate, NULL, NULL, NULL), frames[64]);
		}
	}
	for (unsigned i = 0; i < 128; i++)
		mslot_frame_drop(frames[i]);
	assert_err(mslot_region_destroy(two), MSLOT_OK);
}

static struct mslot_frame *alloc_at(unsigned index)
{
	struct mslot_frame *frame = mslot_alloc_frame(region, &immediate, &(struct meta){1, 2}, NULL, NULL);

	assert_non_null(frame);
	assert_int_equal(mslot_frame_paddr(frame), BASE + index * FRAME);
	return frame;
}

/* It stays where it was remembered, and whoever drops it finds it there. */
static void a_hot_frame_that_is_in_use_is_not_given_back(void **state)
{
	struct mslot_frame *frame = alloc_at(0);
	(void)state;

	for (unsigned flushes = 0; flushes < 2; flushes++) {
		mslot_frame_drop(frame);
		frame = alloc_at(0);
		if (flushes)
			cache_flush();
		else
			cache_give_all(region);
		assert_int_equal(in_index(), every & ~UINT64_C(1));
	}
	mslot_frame_drop(frame);
	cache_flush();
	assert_int_equal(in_index(), every);
}

/* Nor does a thread with nothing to give say that there is room. */
static void a_row_with_nothing_free_is_not_promised(void **state)
{
	struct mslot_frame *frames[NR_FRAMES];
	(void)state;

	for (unsigned i = 0; i < NR_FRAMES; i++)
		frames[i] = alloc_at(i);
	const _Atomic uint64_t *summary = ((struct free_index *)region->ranges[0].hints)->taken.level[1];
	mslot_frame_drop(frames[0]);
	frames[0] = alloc_at(0);
	assert_true(*summary & 1);
	cache_flush();
	assert_true(*summary & 1);
	for (unsigned i = 0; i < NR_FRAMES; i++)
		mslot_frame_drop(frames[i]);
	cache_flush();
	assert_int_equal(in_index(), every);
	assert_false(*summary & 1);
}

static void *reset(void *unique)
{
	if (mslot_thread_register() == MSLOT_OK) {
		mslot_unique_reset_as_unused(unique);
		mslot_thread_unregister();
	}
	return NULL;
}

/* By whom it was allocated as unique, whoever resets it. */
static void what_another_thread_resets_is_not_allocated_next(void **state)
{
	(void)state;
	mslot_frame_drop(alloc_at(0));
	run_in_thread(reset, mslot_alloc_unique(region, &immediate, NULL, NULL, NULL));
	mslot_frame_drop(alloc_at(1));
	mslot_frame_drop(mslot_frame_claim(region, BASE, &immediate, NULL, NULL));
	cache_flush();
	assert_int_equal(in_index(), every);
}

/* The hot frame is not, either, and a thread that gives its row back does not tell of it. */
static void what_is_reset_as_unused_is_not_allocated_next(void **state)
{
	struct mslot_frame *frame = alloc_at(0);
	(void)state;

	mslot_frame_drop(frame);
	frame = alloc_at(0);
	mslot_unique_reset_as_unused(mslot_frame_try_unique(frame, NULL));
	mslot_frame_drop(alloc_at(1));
	cache_flush();
	assert_int_equal(in_index(), every & ~UINT64_C(1));
	mslot_unique_reset_as_unused(mslot_alloc_unique(region, &immediate, NULL, NULL, NULL));
	frame = alloc_at(2);
	mslot_frame_drop(frame);
	cache_flush();
	assert_int_equal(in_index(), every & ~UINT64_C(3));
	/* Both are free, and can be claimed. */
	mslot_frame_drop(mslot_frame_claim(region, BASE, &immediate, NULL, NULL));
	mslot_frame_drop(mslot_frame_claim(region, BASE + FRAME, &immediate, NULL, NULL));
	cache_flush();
	assert_int_equal(in_index(), every);
}

/* Turned over while others are freed: none of them is forgotten. */
static void what_is_freed_beside_a_hot_frame_goes_to_the_index(void **state)
{
	struct mslot_frame *first = alloc_at(0), *second = alloc_at(1), *third = alloc_at(2);
	(void)state;

	mslot_frame_drop(first);
	mslot_frame_drop(second);
	first = alloc_at(0);
	mslot_frame_drop(third);
	second = alloc_at(1);
	mslot_frame_drop(first);
	mslot_frame_drop(second);
	cache_flush();
	assert_int_equal(in_index(), every);
}

/* What it remembers of a region is no use in another. */
static void a_frame_of_another_region_is_never_given(void **state)
{
	(void)state;
	struct mslot_region *other = mslot_region_create(&(struct mslot_region_config){.nr_frames = 64}, NULL);

	assert_non_null(other);
	for (unsigned nr = 0; nr < 5; nr++) {
		struct mslot_frame *frames[5];

		for (unsigned i = 0; i < nr; i++)
			frames[i] = mslot_alloc_frame(region, &immediate, NULL, NULL, NULL);
		for (unsigned i = 0; i < nr; i++)
			mslot_frame_drop(frames[i]);
		for (unsigned i = 0; i < 5; i++) {
			frames[i] = mslot_alloc_frame(other, &immediate, NULL, NULL, NULL);
			assert_ptr_equal(mslot_frame_region(frames[i]), other);
		}
		for (unsigned i = 0; i < 5; i++)
			mslot_frame_drop(frames[i]);
	}
	assert_err(mslot_region_destroy(other), MSLOT_OK);
}

static struct mslot_region *second;

static void *claim_all_of_second(void *arg)
{
	struct mslot_frame **frames = arg;

	mslot_thread_register();
	for (unsigned i = 0; i < 64; i++)
		frames[i] = mslot_alloc_frame(second, &immediate, NULL, NULL, NULL);
	mslot_thread_unregister();
	return NULL;
}

/* The thread remembers a row of a region that has ended, and another region lies at the same addresses now. */
static void what_is_freed_where_a_region_was_before_goes_to_the_index(void **state)
{
	const struct mslot_region_config config = {.nr_frames = 64};
	struct mslot_frame *frames[64];
	(void)state;

	for (unsigned published = 0; published < 2; published++) {
		struct mslot_region *first = mslot_region_create(&config, NULL);

		mslot_frame_drop(mslot_alloc_frame(first, &immediate, NULL, NULL, NULL));
		uintptr_t row = free_cache.own.page;
		uint64_t id = first->id;
		assert_err(mslot_region_destroy(first), MSLOT_OK);
		/* As another thread would that did not end it. */
		free_cache.own.page = row;
		free_cache.own.region_id = id;
		second = mslot_region_create(&config, NULL);
		assert_non_null(second);
		if (second != first)
			skip();
		run_in_thread(claim_all_of_second, frames);
		assert_int_equal(free_index_row(second->ranges[0].hints, 0), 0);
		for (unsigned i = 0; i < 64; i++)
			mslot_frame_drop(frames[i]);
		if (published)
			cache_give_all(second);
		else
			cache_flush();
		assert_int_equal(free_index_row(second->ranges[0].hints, 0), UINT64_MAX);
		assert_err(mslot_region_destroy(second), MSLOT_OK);
	}
}

static void *alloc_and_drop(void *arg)
{
	mslot_frame_drop(mslot_alloc_frame(region, &immediate, NULL, NULL, NULL));
	*(bool *)arg = free_cache.own.page == 0 && free_cache.freed.page == 0;
	return NULL;
}

/* Nobody would learn of its end. */
static void a_thread_that_is_not_registered_remembers_nothing(void **state)
{
	bool is_right = false;
	(void)state;

#ifdef MSLOT_HARDENED
	skip();
#endif
	run_in_thread(alloc_and_drop, &is_right);
	assert_true(is_right);
	assert_int_equal(in_index(), every);
}

/* In a region of a terabyte all of them take seconds: another thread may just be making the index. */
static void frames_without_hints_are_looked_for_no_further_than_pays(void **state)
{
	const uint64_t nr_frames = 1 << 16;
	struct mslot_region *large = mslot_region_create(&(struct mslot_region_config){.nr_frames = nr_frames}, NULL);
	struct free_index *index;
	uint64_t nr_found = 0;
	(void)state;

	assert_non_null(large);
	assert_true(cache_make_indexes(large));
	region_disprove_hints(large);
	index = large->ranges[0].hints;
	for (uint64_t row = 0; row < nr_frames / 64; row++)
		free_index_take(index, row, UINT64_MAX);
	for (struct mslot_frame *frame; (frame = mslot_alloc_frame(large, &immediate, NULL, NULL, NULL)); nr_found++) {
		/* Each look goes as far again as it had to go to the first. */
		if (nr_found == 0)
			for (uint64_t row = 1; row < nr_frames / 64; row++)
				assert_int_equal(free_index_row(index, row), row < 64 ? UINT64_MAX : 0);
		assert_int_not_equal(mslot_frame_into_raw(frame), MSLOT_PADDR_NONE);
	}
	assert_int_equal(nr_found, nr_frames);
	for (uint64_t at = 0; at < nr_frames; at++)
		assert_err(mslot_frame_drop_raw(large, at * FRAME), MSLOT_OK);
	assert_err(mslot_region_destroy(large), MSLOT_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_freed_goes_to_the_index),
		TEST(what_others_freed_is_read),
		TEST(what_a_thread_that_ends_has_freed_goes_to_the_index),
		TEST(what_was_freed_elsewhere_is_allocated),
		TEST(a_hot_frame_that_is_in_use_is_not_given_back),
		TEST(what_is_freed_beside_a_hot_frame_goes_to_the_index),
		TEST(a_row_with_nothing_free_is_not_promised),
		TEST(what_is_reset_as_unused_is_not_allocated_next),
		TEST(what_another_thread_resets_is_not_allocated_next),
		TEST(a_frame_of_another_region_is_never_given),
		TEST(what_is_freed_where_a_region_was_before_goes_to_the_index),
		TEST(frames_without_hints_are_looked_for_no_further_than_pays),
		TEST(a_thread_that_is_not_registered_remembers_nothing),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
