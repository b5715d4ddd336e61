/* SPDX-License-Identifier: MIT
 *
 * Drives one slot by hand through interleavings that no scheduler can be asked for: a move by addition is split into
 * its addition and what follows it. Includes slot.c, whose halves are static.
 */
#include "table/slot.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct slot slot;

static void set(enum state state, int32_t live, int32_t raw)
{
	atomic_store(&slot.state, state_word(state, UINT64_C(5) * GEN_ONE, live, raw));
}

static uint64_t word(void)
{
	return atomic_load(&slot.state);
}

static void assert_word(enum state state, int32_t live, int32_t raw)
{
	assert_int_equal(state_of(word()), state);
	assert_int_equal(state_live(word()), live);
	assert_int_equal(state_raw(word()), raw);
}

/* The first half of a put, and what a getter that comes too late leaves. */
static uint64_t half_put(void)
{
	return atomic_fetch_sub(&slot.state, LIVE_ONE);
}

static void late_gets(unsigned nr)
{
	atomic_fetch_add(&slot.state, nr * LIVE_ONE);
}

static void a_stale_put_does_not_retire_the_next_incarnation(void **state)
{
	struct slot_verdict verdict;
	uint64_t first, second, seen, claimed;
	(void)state;

	set(STATE_SHARED, 1, 0);
	first = half_put(); /* 1 -> 0, then stalls */
	assert_true(slot_get(&slot, &seen));
	verdict = slot_put(&slot);
	assert_true(verdict.is_last);
	assert_true(slot_recycle(&slot, word()));
	assert_int_equal(slot_claim(&slot, &claimed), MSLOT_OK);
	slot_publish(&slot, claimed);
	second = half_put(); /* the next incarnation's count is zero too */
	assert_true(state_is_dead(word()));
	assert_int_equal((first ^ second) & ~GEN_MASK, 0);
	verdict = put_settle(&slot, first);
	assert_int_equal(verdict.fault, MSLOT_FAULT_NONE);
	assert_false(verdict.is_last);
	verdict = put_settle(&slot, second);
	assert_true(verdict.is_last);
	assert_word(STATE_RETIRED, 0, 0);
}

static void a_resurrected_count_is_not_retired(void **state)
{
	uint64_t first, seen;
	(void)state;

	set(STATE_SHARED, 1, 0);
	first = half_put();
	assert_true(slot_get(&slot, &seen));
	assert_false(put_settle(&slot, first).is_last);
	assert_word(STATE_SHARED, 1, 0);
	assert_true(slot_put(&slot).is_last);
}

/* Two threads drop one handle at the same moment; whichever settles first, one is the last and one is told. */
static void of_two_drops_of_one_handle_one_is_last_and_one_is_a_fault(void **state)
{
	(void)state;
	for (int second_first = 0; second_first < 2; second_first++) {
		struct slot_verdict verdicts[2];
		uint64_t old[2];

		set(STATE_SHARED, 1, 0);
		old[0] = half_put();
		old[1] = half_put();
		assert_word(STATE_SHARED, -1, 0);
		verdicts[second_first] = put_settle(&slot, old[second_first]);
		verdicts[!second_first] = put_settle(&slot, old[!second_first]);
		assert_int_equal(verdicts[0].fault, MSLOT_FAULT_NONE);
		assert_int_equal(verdicts[1].fault, MSLOT_FAULT_OVER_DROP);
		assert_int_equal(verdicts[0].is_last + verdicts[1].is_last, 1);
		assert_word(STATE_RETIRED, 0, 0);
	}
}

/* Its frame was recycled and claimed again meanwhile, which discarded what it took. */
static void an_over_drop_gives_nothing_back_to_the_next_incarnation(void **state)
{
	uint64_t old[2];
	(void)state;

	set(STATE_SHARED, 1, 0);
	old[0] = half_put();
	old[1] = half_put();
	assert_int_equal(put_settle(&slot, old[0]).fault, MSLOT_FAULT_NONE);
	atomic_store(&slot.state, state_word(STATE_SHARED, old[0] + GEN_ONE, 1, 0));
	assert_int_equal(put_settle(&slot, old[1]).fault, MSLOT_FAULT_OVER_DROP);
	assert_word(STATE_SHARED, 1, 0);
}

static void an_over_drop_in_flight_does_not_eat_a_forgotten_reference(void **state)
{
	uint64_t old[2], seen;
	uint64_t retired;
	(void)state;

	set(STATE_SHARED, 1, 1);
	old[0] = half_put();
	old[1] = half_put();
	assert_word(STATE_SHARED, -1, 1);
	/* Neither can the forgotten one be lost now, nor a getter be refused. */
	assert_int_equal(slot_from_raw(&slot), MSLOT_NOT_FORGOTTEN);
	assert_int_equal(slot_drop_raw(&slot, &retired), MSLOT_NOT_FORGOTTEN);
	assert_word(STATE_SHARED, -1, 1);
	(void)slot_get(&slot, &seen);
	assert_int_equal(state_get(seen), MSLOT_OK);
	assert_int_equal(put_settle(&slot, old[0]).fault, MSLOT_FAULT_NONE);
	assert_int_equal(put_settle(&slot, old[1]).fault, MSLOT_FAULT_OVER_DROP);
	assert_word(STATE_SHARED, 1, 1);
	assert_int_equal(slot_put(&slot).fault, MSLOT_FAULT_NONE);
	assert_int_equal(slot_put(&slot).fault, MSLOT_FAULT_OVER_DROP);
	assert_word(STATE_SHARED, 0, 1);
	assert_int_equal(slot_drop_raw(&slot, &retired), MSLOT_OK);
	assert_int_equal(retired, slot_word(&slot));
	assert_int_equal(state_of(retired), STATE_RETIRED);
}

/* into_raw of a handle that another thread drops at the same moment. */
static void a_forget_that_lost_against_a_drop_is_taken_back(void **state)
{
	const uint64_t deltas[] = {RAW_ONE - LIVE_ONE, RAW_ONE};
	(void)state;

	for (unsigned i = 0; i < 2; i++) {
		struct slot_verdict verdict;
		uint64_t dropped, forgotten;

		set(STATE_SHARED, 1, 0);
		dropped = half_put();
		forgotten = atomic_fetch_add(&slot.state, deltas[i]);
		assert_false(put_settle(&slot, dropped).is_last);
		verdict = forget_settle(&slot, deltas[i], forgotten);
		assert_int_equal(verdict.fault, MSLOT_FAULT_DEAD_HANDLE);
		assert_true(verdict.is_last);
		assert_word(STATE_RETIRED, 0, 0);

		/* And where the frame has gone on to its next incarnation, nothing is taken from that. */
		slot_recycle(&slot, word());
		set(STATE_SHARED, 2, 3);
		verdict = forget_settle(&slot, deltas[i], forgotten + GEN_ONE);
		assert_false(verdict.is_last);
		assert_word(STATE_SHARED, 2, 3);
	}
}

/* Of a handle that is dead, whose frame has become unique. */
static void a_forget_of_a_unique_frame_is_taken_back(void **state)
{
	const uint64_t deltas[] = {INTO_RAW, CLONE_INTO_RAW};
	(void)state;

	for (unsigned i = 0; i < 2; i++) {
		set(STATE_UNIQUE, 0, 0);
		struct slot_verdict verdict = forget_settle(&slot, deltas[i], atomic_fetch_add(&slot.state, deltas[i]));
		assert_int_equal(verdict.fault, MSLOT_FAULT_DEAD_HANDLE);
		assert_false(verdict.is_last);
		assert_word(STATE_UNIQUE, 0, 0);
	}
}

static void claim_masks_what_failed_gets_left(void **state)
{
	uint64_t claimed, seen;
	(void)state;

	set(STATE_UNUSED, 0, 0);
	late_gets(3);
	assert_int_equal(slot_claim(&slot, &claimed), MSLOT_OK);
	assert_word(STATE_BUSY, 0, 0);
	late_gets(2);
	slot_publish(&slot, claimed);
	assert_word(STATE_SHARED, 1, 0);
	assert_int_equal(slot_try_unique(&slot, false), MSLOT_OK);
	late_gets(4);
	assert_true(slot_share(&slot, &seen));
	assert_word(STATE_SHARED, 1, 0);
	assert_int_equal(slot_try_unique(&slot, true), MSLOT_OK);
	late_gets(1);
	assert_true(slot_unique_into_raw(&slot, &seen));
	assert_word(STATE_UNIQUE_SEEN, 0, 1);
	late_gets(1);
	assert_int_equal(slot_unique_from_raw(&slot), MSLOT_OK);
	assert_word(STATE_UNIQUE_SEEN, 0, 0);
	late_gets(1);
	assert_true(slot_unique_retire(&slot, false, &seen));
	assert_word(STATE_RETIRED, 0, 1);
	late_gets(5);
	assert_false(slot_recycle(&slot, word())); /* not to be given back */
	assert_word(STATE_UNUSED, 0, 0);
}

/* As many as a field holds: what runs out of the word takes nothing along. */
static void late_gets_never_reach_the_other_fields(void **state)
{
	uint64_t claimed;
	(void)state;

	set(STATE_UNUSED, 0, 0);
	for (unsigned i = 0; i < 1u << COUNT_BITS; i++)
		late_gets(1);
	assert_word(STATE_UNUSED, 0, 0);
	set(STATE_UNUSED, 0, 0);
	late_gets((1u << COUNT_BITS) - 1);
	assert_int_equal(state_generation(word()), 5);
	assert_int_equal(slot_claim(&slot, &claimed), MSLOT_OK);
	assert_word(STATE_BUSY, 0, 0);
}

static void an_unclaimed_slot_has_ended_an_incarnation(void **state)
{
	uint64_t claimed;
	(void)state;

	set(STATE_UNUSED, 0, 0);
	assert_int_equal(slot_claim(&slot, &claimed), MSLOT_OK);
	late_gets(1);
	slot_unclaim(&slot);
	assert_word(STATE_UNUSED, 0, 0);
	assert_int_equal(state_generation(word()), 6);
}

static void peek_wants_the_same_type_and_a_shared_frame(void **state)
{
	static const struct mslot_type type, other;
	uint64_t claimed;
	(void)state;

	set(STATE_UNUSED, 0, 0);
	assert_int_equal(slot_peek(&slot, &type), MSLOT_UNUSED);
	assert_int_equal(slot_claim(&slot, &claimed), MSLOT_OK);
	atomic_store(&slot.type, (uintptr_t)&type);
	assert_int_equal(slot_peek(&slot, &type), MSLOT_BUSY);
	slot_publish(&slot, claimed);
	assert_int_equal(slot_peek(&slot, &type), MSLOT_OK);
	assert_int_equal(slot_peek(&slot, &other), MSLOT_WRONG_TYPE);
	atomic_store(&slot.type, (uintptr_t)&type | TYPE_IMMEDIATE);
	assert_int_equal(slot_peek(&slot, &type), MSLOT_WRONG_TYPE);
	assert_ptr_equal(slot_type(&slot), &type);
	atomic_store(&slot.type, (uintptr_t)&type | TYPE_CAREFUL);
	assert_int_equal(slot_peek(&slot, &type), MSLOT_OK);
	assert_ptr_equal(slot_type(&slot), &type);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stale_put_does_not_retire_the_next_incarnation),
		cmocka_unit_test(a_resurrected_count_is_not_retired),
		cmocka_unit_test(of_two_drops_of_one_handle_one_is_last_and_one_is_a_fault),
		cmocka_unit_test(an_over_drop_gives_nothing_back_to_the_next_incarnation),
		cmocka_unit_test(an_over_drop_in_flight_does_not_eat_a_forgotten_reference),
		cmocka_unit_test(a_forget_that_lost_against_a_drop_is_taken_back),
		cmocka_unit_test(a_forget_of_a_unique_frame_is_taken_back),
		cmocka_unit_test(claim_masks_what_failed_gets_left),
		cmocka_unit_test(late_gets_never_reach_the_other_fields),
		cmocka_unit_test(an_unclaimed_slot_has_ended_an_incarnation),
		cmocka_unit_test(peek_wants_the_same_type_and_a_shared_frame),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
