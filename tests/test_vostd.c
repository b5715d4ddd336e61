/* SPDX-License-Identifier: MIT
 *
 * The predicates of the verified OSTD (vostd, ostd/specs/mm/frame), executable, against the moves of state.h.
 *
 * There a slot is a reference count with two reserved values and, kept by the prover, a multiset of obligations: who
 * still has to drop what. Here the obligations of a frame are its live handles, and a mapping is a forgotten reference.
 *
 *   vostd                              here
 *   ref_count == REF_COUNT_UNUSED      unused
 *   ref_count == REF_COUNT_UNIQUE      unique
 *   ref_count == 0                     busy (under construction), retired, or shared with nothing left
 *   0 < ref_count <= REF_COUNT_MAX     shared; ref_count = live + raw
 *   frame_obligations.count(index)     live
 *   paths_in_pt                        raw
 *
 * Every state times boundary counts times every move: what is allowed there, and what it must lead to.
 */
#include "table/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define RC_MAX (2 * (int64_t)MSLOT_COUNT_MAX)
#define RC_UNIQUE (INT64_MAX - 1)
#define RC_UNUSED INT64_MAX

struct owner {
	int64_t ref_count, obligations, mappings;
};

static struct owner owner_of(uint64_t word)
{
	struct owner owner = {0, 0, 0};

	switch (state_of(word)) {
	case STATE_UNUSED:
		owner.ref_count = RC_UNUSED;
		break;
	case STATE_SHARED:
		owner = (struct owner){state_live(word) + state_raw(word), state_live(word), state_raw(word)};
		break;
	case STATE_UNIQUE:
	case STATE_UNIQUE_SEEN:
		owner = (struct owner){RC_UNIQUE, 1 - state_raw(word), 0};
		break;
	case STATE_BUSY:
	case STATE_RETIRED:
	case STATE_TAIL: /* neither is in the model */
	case STATE_HOLE:
	case NR_STATES:
		break;
	}
	return owner;
}

/* ---- vostd's predicates ---- */

/* MetaSlotOwner::inv */
static bool inv(struct owner o)
{
	return o.obligations >= 0 && o.mappings >= 0 &&
	       (o.ref_count == RC_UNUSED || o.ref_count == RC_UNIQUE || (o.ref_count >= 0 && o.ref_count <= RC_MAX)) &&
	       (!(o.ref_count == RC_UNUSED || o.ref_count == RC_UNIQUE) || o.mappings == 0);
}

static bool get_from_unused_spec(bool as_unique, struct owner pre, struct owner post)
{
	return pre.ref_count == RC_UNUSED && post.ref_count == (as_unique ? RC_UNIQUE : 1) &&
	       post.mappings == pre.mappings && post.obligations == pre.obligations + 1;
}

static bool get_from_in_use_success(struct owner pre, struct owner post)
{
	return post.ref_count == pre.ref_count + 1 && post.mappings == pre.mappings &&
	       post.obligations == pre.obligations + 1;
}

/* Frame::wf_with_region and Frame::drop_requires */
static bool wf(struct owner o)
{
	return o.ref_count > 0 && o.ref_count <= RC_MAX;
}

static bool drop_requires(struct owner o)
{
	return wf(o) && (o.ref_count != 1 || o.mappings == 0) && o.obligations > 0;
}

static bool drop_last_in_place_safety_cond(struct owner o)
{
	return (o.ref_count == 0 || o.ref_count == RC_UNIQUE) && o.mappings == 0;
}

/* Frame::drop_ensures, up to the last in place. */
static bool drop_ensures(struct owner pre, struct owner post)
{
	return post.ref_count == pre.ref_count - 1 && post.mappings == pre.mappings &&
	       post.obligations == pre.obligations - 1;
}

/* The owner of the slot is as before; one obligation more (from_raw), or less (into_raw). */
static bool from_raw_ensures(struct owner pre, struct owner post)
{
	return post.ref_count == pre.ref_count && post.obligations == pre.obligations + 1;
}

static bool into_raw_ensures(struct owner pre, struct owner post)
{
	return post.ref_count == pre.ref_count && post.obligations == pre.obligations - 1;
}

/* ---- the moves, where both know them ---- */

static void check_claim(uint64_t word, struct owner pre)
{
	uint64_t next = 0;
	bool allowed = state_claim(word, &next) == MSLOT_OK;

	assert_int_equal(allowed, pre.ref_count == RC_UNUSED);
	if (!allowed)
		return;
	assert_true(inv(owner_of(next)) && owner_of(next).ref_count == 0);
	assert_true(get_from_unused_spec(false, pre, owner_of(state_publish(next))));
	assert_true(get_from_unused_spec(true, pre, owner_of(state_word(STATE_UNIQUE, next, 0, 0))));
	assert_int_equal(owner_of(state_recycle(next)).ref_count, RC_UNUSED);
}

static void check_counts(uint64_t word, struct owner pre)
{
	uint64_t next = 0;

	/* A getter may resurrect a frame of count 0, which vostd's get, a compare-and-swap loop, refuses. */
	if (wf(pre) && pre.obligations < MSLOT_COUNT_MAX) {
		assert_int_equal(state_get(word), MSLOT_OK);
		assert_true(get_from_in_use_success(pre, owner_of(word + LIVE_ONE)));
	}
	assert_int_equal(state_put_fault(word) == MSLOT_FAULT_NONE && state_of(word) == STATE_SHARED,
			 wf(pre) && pre.obligations > 0);
	if (drop_requires(pre))
		assert_true(drop_ensures(pre, owner_of(word - LIVE_ONE)) && inv(owner_of(word - LIVE_ONE)));
	if (state_clone_fault(word) == MSLOT_FAULT_NONE)
		assert_true(get_from_in_use_success(pre, owner_of(word + LIVE_ONE)) && inv(owner_of(word + LIVE_ONE)));
	/* inc_ref_count_panic_cond, for each of the two counts. */
	if (wf(pre) && pre.obligations > 0)
		assert_int_equal(state_clone_fault(word) == MSLOT_FAULT_OVERFLOW, pre.obligations >= MSLOT_COUNT_MAX);
	if (state_forget_fault(word) == MSLOT_FAULT_NONE)
		assert_true(into_raw_ensures(pre, owner_of(word + RAW_ONE - LIVE_ONE)));
	if (state_from_raw(word, &next) == MSLOT_OK) {
		assert_true(pre.ref_count != RC_UNUSED && pre.mappings > 0);
		assert_true(from_raw_ensures(pre, owner_of(next)) && inv(owner_of(next)));
	} else if (wf(pre)) {
		assert_true(pre.mappings == 0 || pre.obligations >= MSLOT_COUNT_MAX);
	}
}

/* Whatever leads to retired was allowed to drop in place. */
static void check_last(uint64_t word, struct owner pre)
{
	uint64_t next = 0;

	if (state_is_dead(word))
		assert_true(drop_last_in_place_safety_cond(pre));
	if (state_is_sole(word))
		assert_true(drop_requires(pre) && drop_last_in_place_safety_cond(owner_of(word - LIVE_ONE)));
	if (state_drop_raw(word, &next) == MSLOT_OK && state_of(next) == STATE_RETIRED)
		assert_true(drop_last_in_place_safety_cond(owner_of(word - RAW_ONE)));
	if (state_try_unique(word, false, &next) == MSLOT_OK)
		assert_true(pre.ref_count == 1 && drop_last_in_place_safety_cond(owner_of(next)));
	assert_int_equal(owner_of(state_recycle(state_retire(word))).ref_count, RC_UNUSED);
}

static void the_moves_keep_what_vostd_has_proven(void **unused)
{
	static const int counts[] = {0, 1, 2, MSLOT_COUNT_MAX - 1, MSLOT_COUNT_MAX};
	const unsigned nr = sizeof(counts) / sizeof(counts[0]);
	unsigned nr_words = 0;
	(void)unused;

	for (int state = 0; state < STATE_TAIL; state++)
		for (unsigned l = 0; l < nr; l++)
			for (unsigned r = 0; r < nr; r++) {
				bool unique = state == STATE_UNIQUE || state == STATE_UNIQUE_SEEN;
				uint64_t word = state_word((enum state)state, 77 * GEN_ONE, counts[l], counts[r]);
				struct owner pre = owner_of(word);

				/* Without references nothing is forgotten; what is in `live` there is pollution. */
				if (state != STATE_SHARED && counts[r] > (unique ? 1 : 0))
					continue;
				assert_true(inv(pre));
				check_claim(word, pre);
				check_counts(word, pre);
				check_last(word, pre);
				nr_words++;
			}
	assert_int_equal(nr_words, 25 + 2 * 10 + 3 * 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_moves_keep_what_vostd_has_proven)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
