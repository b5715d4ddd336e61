/* SPDX-License-Identifier: MIT
 *
 * "None" proved by hints, without a look at every slot, and the ways in which hints prove nothing: then the slots are
 * asked, and nothing is lost. By threads one after the other: tests/model/proof.c has them together.
 */
#include "alloc/cache.h"
#include "alloc/proof.h"
#include "alloc/request.h"

#include "util.h"

static struct mslot_frame *held[NR_FRAMES];

static struct mslot_frame *alloc(void)
{
	enum mslot_err why = MSLOT_OK;
	struct mslot_frame *frame = mslot_alloc_frame(region, &immediate, NULL, NULL, &why);

	if (!frame)
		assert_err(why, MSLOT_NO_MEMORY);
	return frame;
}

/* That no frame is unused. */
static bool is_proved(void)
{
	const struct request request = {region, &immediate, 1, 1, 0, NODE_ANY};

	return hints_prove_none(&request);
}

/* A pass over the slots has begun to count those that are unused. */
static bool slots_were_asked(void)
{
	return region->scarce != 0;
}

static void hold_all(void)
{
	for (unsigned i = 0; i < NR_FRAMES; i++)
		assert_non_null(held[i] = alloc());
}

static void drop_all(void)
{
	for (unsigned i = 0; i < NR_FRAMES; i++)
		mslot_frame_drop(held[i]);
}

/* Also again, and after one came and went. */
static void hints_prove_that_there_is_none(void **state)
{
	(void)state;
	hold_all();
	assert_null(alloc());
	assert_null(alloc());
	mslot_frame_drop(held[3]);
	assert_non_null(held[3] = alloc());
	assert_null(alloc());
	assert_false(slots_were_asked());
	drop_all();
}

/* A frame that is unused, and of which no hint is left, would be found by whoever asks the slots. */
static void hints_prove_that_there_is_no_run(void **state)
{
	struct mslot_segment run;
	uint64_t word;
	(void)state;

	hold_all();
	cache_flush();
	word = slot_word(&region->slots[4]);
	atomic_store(&region->slots[4].state, state_recycle(word));
	assert_err(mslot_alloc_segment(region, 1, 2, &immediate, NULL, NULL, NULL, &run), MSLOT_NO_MEMORY);
	atomic_store(&region->slots[4].state, word);
	drop_all();
}

/* Gives what it finds, or 0. */
static uint64_t alloc_two(void)
{
	struct mslot_segment run;
	enum mslot_err err = mslot_alloc_segment(region, 2, 1, &immediate, NULL, NULL, NULL, &run);
	uint64_t start = err ? 0 : run.start;

	if (err)
		assert_err(err, MSLOT_NO_MEMORY);
	else
		mslot_segment_drop(&run);
	return start;
}

/* Every other frame is free, and what a look at the slots would find is not found. */
static void hints_prove_that_no_run_is_left(void **state)
{
	uint64_t word;
	(void)state;

	hold_all();
	for (unsigned i = 0; i < NR_FRAMES; i += 2)
		mslot_frame_drop(held[i]);
	word = slot_word(&region->slots[5]);
	atomic_store(&region->slots[5].state, state_recycle(word));
	assert_int_equal(alloc_two(), 0);
	atomic_store(&region->slots[5].state, word);
	mslot_frame_drop(held[5]);
	assert_int_equal(alloc_two(), PADDR(4));
	assert_non_null(held[5] = mslot_frame_claim(region, PADDR(5), &immediate, NULL, NULL));
	assert_int_equal(alloc_two(), 0);
	for (unsigned i = 1; i < NR_FRAMES; i += 2)
		mslot_frame_drop(held[i]);
}

static void *drop_one_and_wait(void *arg)
{
	mslot_thread_register();
	mslot_frame_drop(held[5]);
	held[5] = NULL;
	pthread_barrier_wait(arg);
	pthread_barrier_wait(arg);
	mslot_thread_unregister();
	return NULL;
}

/* It has no hint but there, and is not lost: first it is found, then there is none, of whichever page it was. */
static void what_another_thread_remembers_is_no_none(void **state)
{
	pthread_barrier_t step;
	pthread_t thread;
	(void)state;

	pthread_barrier_init(&step, NULL, 2);
	hold_all();
	assert_int_equal(pthread_create(&thread, NULL, drop_one_and_wait, &step), 0);
	mslot_thread_offline();
	pthread_barrier_wait(&step);
	mslot_thread_online();
	assert_false(is_proved());
	assert_non_null(held[5] = alloc());
	assert_true(is_proved());
	assert_null(alloc());
	assert_false(slots_were_asked());
	mslot_thread_offline();
	pthread_barrier_wait(&step);
	assert_int_equal(pthread_join(thread, NULL), 0);
	mslot_thread_online();
	pthread_barrier_destroy(&step);
	drop_all();
}

/* One that others cannot see: between a row and the index, or the other way around. */
static void while_a_thread_moves_the_slots_are_asked(void **state)
{
	(void)state;
	hold_all();
	hints_move_begin();
	assert_false(is_proved());
	assert_null(alloc());
	assert_true(slots_were_asked());
	hints_move_end();
	assert_true(is_proved());
	drop_all();
}

/* Who dropped it may not have known of hints. */
static void what_was_claimed_before_there_were_hints_disproves_them(void **state)
{
	(void)state;
	mslot_frame_drop(mslot_frame_claim(region, PADDR(7), &immediate, NULL, NULL));
	hold_all();
	assert_false(is_proved());
	assert_null(alloc());
	assert_true(slots_were_asked());
	drop_all();
}

static void a_hole_leaves_none_that_hints_prove(void)
{
	assert_err(mslot_region_mark_hole(region, PADDR(2), PADDR(3)), MSLOT_OK);
	for (unsigned i = 0; i < NR_FRAMES - 1; i++)
		assert_non_null(held[i] = alloc());
	assert_null(alloc());
	assert_false(slots_were_asked());
	for (unsigned i = 0; i < NR_FRAMES - 1; i++)
		mslot_frame_drop(held[i]);
}

static void what_is_claimed_later_does_not(void **state)
{
	(void)state;
	mslot_frame_drop(alloc());
	mslot_frame_drop(mslot_frame_claim(region, PADDR(7), &immediate, NULL, NULL));
	a_hole_leaves_none_that_hints_prove();
}

/* A hole is not claimed, and may come first. */
static void a_hole_does_not_disprove_hints(void **state)
{
	(void)state;
	a_hole_leaves_none_that_hints_prove();
}

static void what_is_not_given_back_is_found_by_its_slot(void **state)
{
	(void)state;
	hold_all();
	cache_flush();
	mslot_unique_reset_as_unused(mslot_frame_try_unique(held[4], NULL));
	assert_non_null(held[4] = alloc());
	assert_null(alloc());
	drop_all();
}

/* What a forget of a handle that has just been dropped adds, before it finds that it is refused. */
static void a_forget_of_a_dead_handle_loses_no_frame(void **state)
{
	(void)state;
	hold_all();
	mslot_frame_drop(held[6]);
	mslot_frame_drop(held[7]);
	held[6] = mslot_alloc_frame(region, &deferred, NULL, NULL, NULL);
	assert_non_null(held[6]);
	assert_non_null(held[7] = alloc());
	/* Nor is one of them hot any more. */
	mslot_frame_drop(held[NR_FRAMES - 1]);
	assert_non_null(held[NR_FRAMES - 1] = alloc());
	mslot_read_lock();
	mslot_frame_drop(held[6]);
	atomic_fetch_add_explicit(&((struct slot *)held[6])->state, INTO_RAW, memory_order_relaxed);
	mslot_read_unlock();
	assert_int_equal(mslot_barrier(region), MSLOT_OK);
	assert_non_null(held[6] = alloc());
	assert_null(alloc());
	drop_all();
}

/* A handle that is over: its frame, which the thread remembers, stays found, and its hints proven. */
static void a_reset_that_is_refused_takes_no_hint(void **state)
{
	struct mslot_unique *unique, *over;
	(void)state;

	hold_all();
	unique = mslot_frame_try_unique(held[4], NULL);
	over = stale_unique(unique);
	mslot_unique_drop(unique);
	FAULTS(MSLOT_FAULT_OVER_DROP, "mslot_unique_reset_as_unused", mslot_unique_reset_as_unused(stale_unique(over)));
	cache_flush();
	assert_non_null(held[4] = alloc());
	assert_null(alloc());
	assert_false(slots_were_asked());
	drop_all();
}

/* Its drop finds hints that are begun, and not there yet to be given any. */
static void what_is_dropped_while_hints_are_made_disproves_them(void **state)
{
	(void)state;
	hold_all();
	cache_flush();
	region->hints_stage = HINTS_MAKING;
	mslot_frame_drop(held[4]);
	region->hints_stage += HINTS_MADE - HINTS_MAKING;
	assert_non_null(held[4] = alloc());
	assert_null(alloc());
	drop_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(hints_prove_that_there_is_none),
		TEST(hints_prove_that_there_is_no_run),
		TEST(hints_prove_that_no_run_is_left),
		TEST(what_another_thread_remembers_is_no_none),
		TEST(while_a_thread_moves_the_slots_are_asked),
		TEST(what_was_claimed_before_there_were_hints_disproves_them),
		TEST(what_is_claimed_later_does_not),
		TEST(a_hole_does_not_disprove_hints),
		TEST(what_is_not_given_back_is_found_by_its_slot),
		TEST(a_forget_of_a_dead_handle_loses_no_frame),
		TEST(a_reset_that_is_refused_takes_no_hint),
		TEST(what_is_dropped_while_hints_are_made_disproves_them),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
