/* SPDX-License-Identifier: MIT
 *
 * The linearizability checker accepts what some order explains and refuses what none does.
 */
#include "history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct mslot_type type = {.name = "t", .meta_bytes = 8, .flags = MSLOT_TYPE_IMMEDIATE};
static struct linear_history history;

/* The next call of a thread: its answer, its value, from when to when. */
static void call(unsigned thread, enum linear_op op, enum mslot_err err, uint64_t value, uint64_t from, uint64_t to)
{
	history.call[thread][history.nr[thread]++] = (struct linear_call){op, 0, err, value, from, to};
}

static int begin(void **state)
{
	(void)state;
	history = (struct linear_history){0};
	for (unsigned i = 0; i < LINEAR_SLOTS; i++)
		history.begin[i] = (struct ref_slot){.status = MSLOT_STATUS_UNUSED, .type = &type};
	return 0;
}

static void begin_shared(int live, int raw)
{
	ref_publish(&history.begin[0], false, &type, 7);
	history.begin[0].live = live;
	history.begin[0].raw = raw;
}

static void one_of_two_claims_may_win(void **state)
{
	(void)state;
	call(0, LINEAR_CLAIM, MSLOT_OK, 1, 1, 4);
	call(1, LINEAR_CLAIM, MSLOT_BUSY, 2, 2, 3);
	assert_true(linear_is_explained(&history));
	history.call[1][0].err = MSLOT_IN_USE;
	assert_true(linear_is_explained(&history));
	history.call[1][0].err = MSLOT_UNIQUE;
	assert_false(linear_is_explained(&history));
}

static void two_winners_are_refused(void **state)
{
	(void)state;
	call(0, LINEAR_CLAIM, MSLOT_OK, 1, 1, 4);
	call(1, LINEAR_CLAIM, MSLOT_OK, 2, 2, 3);
	assert_false(linear_is_explained(&history));
	/* Unless the first has dropped it before. */
	history.call[0][0].returned = 2;
	call(0, LINEAR_DROP, MSLOT_OK, 0, 3, 8);
	history.call[1][0].called = 4;
	history.call[1][0].returned = 5;
	assert_true(linear_is_explained(&history));
}

static void what_has_returned_comes_first(void **state)
{
	(void)state;
	call(0, LINEAR_CLAIM, MSLOT_OK, 1, 1, 2);
	call(1, LINEAR_GET, MSLOT_UNUSED, 0, 3, 4);
	assert_false(linear_is_explained(&history));
	history.call[0][0].returned = 5;
	assert_true(linear_is_explained(&history));
}

static void a_get_finds_the_metadata_of_its_incarnation(void **state)
{
	(void)state;
	begin_shared(1, 0);
	call(0, LINEAR_DROP, MSLOT_OK, 0, 1, 2);
	call(0, LINEAR_CLAIM, MSLOT_OK, 8, 3, 4);
	call(1, LINEAR_GET, MSLOT_OK, 7, 1, 9);
	assert_false(linear_is_explained(&history)); /* a claim cannot win while the getter holds the frame */
	history.call[1][0].value = 8;
	assert_true(linear_is_explained(&history));
	history.call[1][0].value = 9;
	assert_false(linear_is_explained(&history));
}

static void a_forgotten_reference_is_restored_once(void **state)
{
	(void)state;
	begin_shared(1, 1);
	call(0, LINEAR_FROM_RAW, MSLOT_OK, 0, 1, 4);
	call(1, LINEAR_DROP_RAW, MSLOT_OK, 0, 2, 3);
	assert_false(linear_is_explained(&history));
	history.call[1][0].err = MSLOT_NOT_FORGOTTEN;
	assert_true(linear_is_explained(&history));
}

static void an_owner_is_alone(void **state)
{
	(void)state;
	begin_shared(2, 0);
	call(0, LINEAR_TRY_UNIQUE, MSLOT_OK, 0, 1, 4);
	call(1, LINEAR_GET, MSLOT_OK, 7, 2, 3);
	assert_false(linear_is_explained(&history));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(one_of_two_claims_may_win, begin),
		cmocka_unit_test_setup(two_winners_are_refused, begin),
		cmocka_unit_test_setup(what_has_returned_comes_first, begin),
		cmocka_unit_test_setup(a_get_finds_the_metadata_of_its_incarnation, begin),
		cmocka_unit_test_setup(a_forgotten_reference_is_restored_once, begin),
		cmocka_unit_test_setup(an_owner_is_alone, begin),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
