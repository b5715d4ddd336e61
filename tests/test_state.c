/* SPDX-License-Identifier: MIT
 *
 * Walks every state, every move and every boundary of both counts, and compares state.h with a specification that is
 * written down here in plain integers. docs/state-machine.md is the same table in words.
 */
#include "table/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MAX 2097152
#define NR_ALL_STATES 8
static const int counts[] = {-2, -1, 0, 1, 2, 3, MAX - 1, MAX, MAX + 1};
static const uint32_t generations[] = {0, 1, 77, (1u << 17) - 1};

struct plain {
	int state, live, raw;
};

enum move { GET, CLAIM, FROM_RAW, DROP_RAW, TRY_UNIQUE, TRY_UNIQUE_SEEN, U_INTO_RAW, U_FROM_RAW, NR_MOVES };

/* ---- the specification ---- */

#define NF MSLOT_NOT_FORGOTTEN
/* Of the states without counts: what the move answers; OK where it is allowed. */
static const enum mslot_err answers[NR_ALL_STATES][NR_MOVES] = {
	/* state           get           claim         from_raw      drop_raw      try_unique    (seen)        u.into
	   u.from */
	[STATE_UNUSED] = {MSLOT_UNUSED, MSLOT_OK, NF, NF, MSLOT_UNUSED, MSLOT_UNUSED, NF, NF},
	[STATE_BUSY] = {MSLOT_BUSY, MSLOT_BUSY, NF, NF, MSLOT_BUSY, MSLOT_BUSY, NF, NF},
	[STATE_UNIQUE] = {MSLOT_UNIQUE, MSLOT_UNIQUE, MSLOT_UNIQUE, MSLOT_UNIQUE, MSLOT_UNIQUE, MSLOT_UNIQUE, MSLOT_OK,
			  MSLOT_OK},
	[STATE_UNIQUE_SEEN] = {MSLOT_UNIQUE, MSLOT_UNIQUE, MSLOT_UNIQUE, MSLOT_UNIQUE, MSLOT_UNIQUE, MSLOT_UNIQUE,
			       MSLOT_OK, MSLOT_OK},
	[STATE_RETIRED] = {MSLOT_BUSY, MSLOT_BUSY, NF, NF, MSLOT_BUSY, MSLOT_BUSY, NF, NF},
	[6] = {MSLOT_BUSY, MSLOT_BUSY, NF, NF, MSLOT_BUSY, MSLOT_BUSY, NF, NF},
	[STATE_HOLE] = {MSLOT_OUT_OF_BOUND, MSLOT_OUT_OF_BOUND, NF, NF, MSLOT_OUT_OF_BOUND, MSLOT_OUT_OF_BOUND, NF, NF},
};

static enum mslot_err spec_shared(struct plain w, enum move move, struct plain *next)
{
	/* Below zero an over-drop is in flight; it has taken from the forgotten references. */
	int restorable = w.live < 0 ? w.raw + w.live : w.raw;

	switch (move) {
	case GET:
		return w.live < MAX ? MSLOT_OK : MSLOT_OVERFLOW;
	case CLAIM:
		return w.live == 0 && w.raw == 0 ? MSLOT_BUSY : MSLOT_IN_USE;
	case FROM_RAW:
		*next = (struct plain){STATE_SHARED, w.live + 1, w.raw - 1};
		return restorable < 1 ? NF : w.live >= MAX ? MSLOT_OVERFLOW : MSLOT_OK;
	case DROP_RAW:
		*next = (struct plain){w.live == 0 && w.raw == 1 ? STATE_RETIRED : STATE_SHARED, w.live, w.raw - 1};
		return restorable < 1 ? NF : MSLOT_OK;
	case TRY_UNIQUE:
	case TRY_UNIQUE_SEEN:
		*next = (struct plain){move == TRY_UNIQUE ? STATE_UNIQUE : STATE_UNIQUE_SEEN, 0, 0};
		return w.live == 1 && w.raw == 0 ? MSLOT_OK : MSLOT_IN_USE;
	case U_INTO_RAW:
		return NF;
	case U_FROM_RAW:
		return MSLOT_IN_USE;
	case NR_MOVES:
		break;
	}
	fail();
	return MSLOT_OK;
}

static enum mslot_err spec(struct plain w, enum move move, struct plain *next)
{
	bool unique = w.state == STATE_UNIQUE || w.state == STATE_UNIQUE_SEEN;

	if (w.state == STATE_SHARED)
		return spec_shared(w, move, next);
	*next = (struct plain){move == CLAIM ? STATE_BUSY : w.state, 0, move == U_INTO_RAW};
	if (unique && move == U_INTO_RAW)
		return w.raw == 0 ? MSLOT_OK : NF;
	if (unique && move == U_FROM_RAW)
		return w.raw == 1 ? MSLOT_OK : NF;
	return answers[w.state][move];
}

/* ---- the code ---- */

static enum mslot_err code(uint64_t word, enum move move, uint64_t *next)
{
	switch (move) {
	case GET:
		return state_get(word);
	case CLAIM:
		return state_claim(word, next);
	case FROM_RAW:
		return state_from_raw(word, next);
	case DROP_RAW:
		return state_drop_raw(word, next);
	case TRY_UNIQUE:
	case TRY_UNIQUE_SEEN:
		return state_try_unique(word, move == TRY_UNIQUE_SEEN, next);
	case U_INTO_RAW:
		if (!state_is_owned(word))
			return MSLOT_NOT_FORGOTTEN;
		*next = state_unique_into_raw(word);
		return MSLOT_OK;
	case U_FROM_RAW:
		return state_unique_from_raw(word, next);
	case NR_MOVES:
		break;
	}
	fail();
	return MSLOT_OK;
}

/* The word, laid out here and not by state_word(): live 22, raw 22, generation 17, state 3 bits. */
static uint64_t lay_out(struct plain w, uint32_t generation)
{
	return (uint64_t)(uint32_t)w.live << 42 | ((uint64_t)(uint32_t)w.raw & 0x3fffff) << 20 |
	       (uint64_t)generation << 3 | (uint64_t)w.state;
}

static uint64_t nr_words;

static void each_word(void (*check)(struct plain w, uint32_t generation, uint64_t word))
{
	nr_words = 0;
	for (int state = 0; state < NR_ALL_STATES; state++)
		for (unsigned l = 0; l < sizeof(counts) / sizeof(counts[0]); l++)
			for (unsigned r = 0; r < sizeof(counts) / sizeof(counts[0]); r++)
				for (unsigned g = 0; g < sizeof(generations) / sizeof(generations[0]); g++) {
					struct plain w = {state, counts[l], counts[r]};

					check(w, generations[g], lay_out(w, generations[g]));
					nr_words++;
				}
	assert_int_equal(nr_words, 8 * 9 * 9 * 4);
}

static void check_moves(struct plain w, uint32_t generation, uint64_t word)
{
	for (enum move move = 0; move < NR_MOVES; move++) {
		struct plain to = w;
		uint64_t next = 0x5555;
		enum mslot_err expected = spec(w, move, &to), err = code(word, move, &next);

		if (err != expected)
			fail_msg("move %d of state %d live %d raw %d: %s, not %s", move, w.state, w.live, w.raw,
				 mslot_err_name(err), mslot_err_name(expected));
		if (err || move == GET)
			assert_int_equal(next, 0x5555);
		else if (next != lay_out(to, generation))
			fail_msg("move %d of state %d live %d raw %d: to %llx, not %llx", move, w.state, w.live, w.raw,
				 (unsigned long long)next, (unsigned long long)lay_out(to, generation));
	}
}

static void every_move_of_every_state_is_as_specified(void **state)
{
	(void)state;
	each_word(check_moves);
}

static void check_reading(struct plain w, uint32_t generation, uint64_t word)
{
	assert_int_equal(state_of(word), w.state);
	assert_int_equal(state_generation(word), generation);
	assert_int_equal(state_live(word), w.live);
	assert_int_equal(state_raw(word), w.raw);
	assert_int_equal(state_word((enum state)w.state, word, w.live, w.raw), word);
	assert_int_equal(state_is_unique(word), w.state == STATE_UNIQUE || w.state == STATE_UNIQUE_SEEN);
	assert_int_equal(state_is_sole(word), w.state == STATE_SHARED && w.live == 1 && w.raw == 0);
	assert_int_equal(state_is_dead(word), w.state == STATE_SHARED && w.live == 0 && w.raw == 0);
}

static void counts_below_zero_and_past_the_guard_are_read(void **state)
{
	(void)state;
	each_word(check_reading);
}

static void check_faults(struct plain w, uint32_t generation, uint64_t word)
{
	bool has_live = w.state == STATE_SHARED && w.live >= 1;
	(void)generation;

	assert_int_equal(state_put_fault(word), has_live ? MSLOT_FAULT_NONE : MSLOT_FAULT_OVER_DROP);
	assert_int_equal(state_clone_fault(word), !has_live	  ? MSLOT_FAULT_DEAD_HANDLE
						  : w.live >= MAX ? MSLOT_FAULT_OVERFLOW
								  : MSLOT_FAULT_NONE);
	assert_int_equal(state_forget_fault(word), !has_live	  ? MSLOT_FAULT_DEAD_HANDLE
						   : w.raw >= MAX ? MSLOT_FAULT_OVERFLOW
								  : MSLOT_FAULT_NONE);
}

static void moves_by_addition_are_judged_as_specified(void **state)
{
	(void)state;
	each_word(check_faults);
}

/* What takes the fast path must be allowed; what it leaves out is judged again. */
static void check_fast_paths(struct plain w, uint32_t generation, uint64_t word)
{
	bool shared = w.state == STATE_SHARED;
	struct plain next;
	(void)generation;

	if (state_is_gettable(word))
		assert_int_equal(spec(w, GET, &next), MSLOT_OK);
	if (state_has_raw(word))
		assert_int_equal(spec(w, FROM_RAW, &next), MSLOT_OK);
	if (state_is_forgettable(word) && w.raw >= 0)
		assert_true(shared && w.live >= 1 && w.raw < MAX);
	if (shared && state_has_others(word))
		assert_true(w.live >= 2);
	/* And the common words do take it. */
	if (shared && w.live >= 1 && w.live < MAX && w.raw >= 0 && w.raw < MAX) {
		assert_true(state_is_gettable(word) && state_is_forgettable(word));
		assert_int_equal(state_has_raw(word), w.raw >= 1);
		assert_int_equal(state_has_others(word), w.live >= 2);
	}
}

static void fast_paths_take_only_what_is_allowed(void **state)
{
	(void)state;
	each_word(check_fast_paths);
}

static void check_stores(struct plain w, uint32_t generation, uint64_t word)
{
	(void)w;
	assert_int_equal(state_publish(word), lay_out((struct plain){STATE_SHARED, 1, 0}, generation));
	assert_int_equal(state_retire(word), lay_out((struct plain){STATE_RETIRED, 0, 0}, generation));
	assert_int_equal(state_recycle(word), lay_out((struct plain){STATE_UNUSED, 0, 0}, (generation + 1) & 0x1ffff));
}

static void stores_discard_what_failed_gets_left(void **state)
{
	(void)state;
	each_word(check_stores);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_move_of_every_state_is_as_specified),
		cmocka_unit_test(counts_below_zero_and_past_the_guard_are_read),
		cmocka_unit_test(moves_by_addition_are_judged_as_specified),
		cmocka_unit_test(fast_paths_take_only_what_is_allowed),
		cmocka_unit_test(stores_discard_what_failed_gets_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
