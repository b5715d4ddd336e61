/* SPDX-License-Identifier: MIT
 *
 * The count of unused frames, by one thread: tests/model/scarce.c has its threads.
 */
#include "table/give_back.h"

#include "util.h"

static void claim_and_drop(void)
{
	mslot_frame_drop(mslot_frame_claim(region, PADDR(0), &immediate, NULL, NULL));
}

/* A number of slots that may become unused unseen stands for unused ones. */
static uint64_t settle(uint64_t nr)
{
	uint64_t episode = scarce_begin(region);

	assert_true(episode);
	scarce_settle(region, episode, nr);
	return scarce_look(region);
}

static void none_is_said_once_it_is_settled(void **state)
{
	(void)state;
	assert_false(scarce_is_none(region));
	uint64_t episode = scarce_begin(region);
	assert_false(scarce_is_none(region));
	assert_int_equal(scarce_begin(region), 0); /* another is at it */
	scarce_settle(region, episode, 0);
	assert_true(scarce_is_none(region));
	scarce_end(region, episode);
	assert_false(scarce_is_none(region));
	assert_false(scarce_is_on(region));
}

static void an_attempt_that_found_one_ends(void **state)
{
	(void)state;
	uint64_t episode = scarce_begin(region);
	scarce_end(region, episode);
	assert_false(scarce_is_on(region));
	scarce_settle(region, episode, 0); /* late */
	assert_false(scarce_is_none(region));
}

/* What is freed while a pass is stopped is counted, as far as there is room. */
static void a_count_does_not_run_over(void **state)
{
	(void)state;
	uint64_t episode = scarce_begin(region);
	atomic_store(&region->scarce, episode | SCARCE_COUNT);
	claim_and_drop();
	assert_int_equal(scarce_look(region), episode | SCARCE_COUNT);
	scarce_settle(region, episode, 0);
	assert_false(scarce_is_on(region));
	assert_int_equal(scarce_attention & ~GIVE_BACK_WANTED, 0);
}

static void claims_count_off_what_was_counted(void **state)
{
	(void)state;
	uint64_t seen = settle(2);
	scarce_claimed(region, seen);
	assert_false(scarce_is_none(region));
	scarce_claimed(region, seen);
	assert_true(scarce_is_none(region));
	scarce_claimed(region, seen); /* never below none */
	assert_true(scarce_is_none(region));
	scarce_end(region, seen);
}

static void claims_that_began_before_do_not_count_off(void **state)
{
	(void)state;
	uint64_t before = scarce_look(region);
	uint64_t episode = scarce_begin(region), unsettled = scarce_look(region);
	scarce_settle(region, episode, 1);
	uint64_t settled = scarce_look(region);
	scarce_claimed(region, before);
	scarce_claimed(region, unsettled);
	assert_false(scarce_is_none(region));
	/* The next pass counts anew. */
	settle(1);
	scarce_claimed(region, settled);
	assert_false(scarce_is_none(region));
	scarce_end(region, scarce_look(region));
}

static void it_ends_where_many_are_unused(void **state)
{
	const uint64_t limit = NR_FRAMES / 2; /* of a region this small */
	(void)state;
	settle(limit);
	assert_true(scarce_is_on(region));
	give_back_begin(region->slots);
	assert_false(scarce_is_on(region));
	assert_int_equal(scarce_attention, 0);
	settle(limit + 1);
	assert_false(scarce_is_on(region));
}

static void types_are_suspended_meanwhile(void **state)
{
	uintptr_t carried;
	(void)state;
	claim_and_drop();
	assert_true(region_knows_type(region, &immediate, &carried));
	uint64_t seen = settle(0);
	claim_and_drop();
	assert_false(region_knows_type(region, &immediate, &carried));
	scarce_end(region, seen);
	claim_and_drop();
	assert_true(region_knows_type(region, &immediate, &carried));
}

static void a_region_that_goes_calls_for_attention_no_more(void **state)
{
	(void)state;
	settle(0);
	assert_int_equal(scarce_attention, SCARCE_ATTENTION_ONE);
	teardown(state);
	assert_int_equal(scarce_attention, 0);
	setup(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(none_is_said_once_it_is_settled),
		TEST(an_attempt_that_found_one_ends),
		TEST(a_count_does_not_run_over),
		TEST(claims_count_off_what_was_counted),
		TEST(claims_that_began_before_do_not_count_off),
		TEST(it_ends_where_many_are_unused),
		TEST(types_are_suspended_meanwhile),
		TEST(a_region_that_goes_calls_for_attention_no_more),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
