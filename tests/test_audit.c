/* SPDX-License-Identifier: MIT
 *
 * Every call of audit.h: what each status looks like, what is counted, and that each broken invariant is named. The
 * broken ones are written into the slot by hand: no call of the library makes them.
 */
#include "table/region.h"

#include "util.h"

static void every_status_has_its_name(void **state)
{
	static const char *const names[] = {"unused", "busy", "shared", "unique", "retired", "hole", "broken"};
	(void)state;

	for (int i = 0; i < MSLOT_NR_STATUSES; i++)
		assert_string_equal(mslot_status_name((enum mslot_status)i), names[i]);
	assert_string_equal(mslot_status_name(MSLOT_NR_STATUSES), "?");
	assert_string_equal(mslot_status_name((enum mslot_status) - 1), "?");
}

static void view_refuses_wrong_addresses(void **state)
{
	struct mslot_view view = {.paddr = 5};
	(void)state;

	ANSWERS(MSLOT_OUT_OF_BOUND, mslot_view(region, END, &view));
	ANSWERS(MSLOT_OUT_OF_BOUND, mslot_view(region, BASE - FRAME, &view));
	ANSWERS(MSLOT_NOT_ALIGNED, mslot_view(region, BASE + 1, &view));
	ANSWERS(MSLOT_INVALID, mslot_view(region, BASE, NULL));
	assert_int_equal(view.paddr, 5);
	ANSWERS(MSLOT_INVALID, mslot_audit(region, NULL));
	assert_err(mslot_audit(NULL, &(struct mslot_audit){0}), MSLOT_INVALID);
	assert_false(mslot_is_clean(NULL));
}

static void audit_counts_by_status_and_type(void **state)
{
	struct mslot_frame *one = mslot_frame_claim(region, PADDR(0), &immediate, NULL, NULL);
	struct mslot_frame *two = mslot_frame_claim(region, PADDR(1), &immediate, NULL, NULL);
	struct mslot_unique *unique = mslot_unique_claim(region, PADDR(2), &deferred, NULL, NULL);
	struct mslot_audit audit;
	(void)state;

	assert_int_equal(mslot_frame_clone_into_raw(one), PADDR(0));
	assert_int_equal(mslot_frame_clone_into_raw(one), PADDR(0));
	one = mslot_frame_clone(one);
	mslot_read_lock();
	mslot_frame_drop(mslot_frame_claim(region, PADDR(3), &deferred, NULL, NULL));
	assert_err(mslot_audit(region, &audit), MSLOT_OK);
	mslot_read_unlock();
	assert_int_equal(audit.nr_frames, NR_FRAMES);
	assert_int_equal(audit.by_status[MSLOT_STATUS_UNUSED], NR_FRAMES - 4);
	assert_int_equal(audit.by_status[MSLOT_STATUS_SHARED], 2);
	assert_int_equal(audit.by_status[MSLOT_STATUS_UNIQUE], 1);
	assert_int_equal(audit.by_status[MSLOT_STATUS_RETIRED], 1);
	assert_int_equal(audit.by_status[MSLOT_STATUS_BROKEN], 0);
	assert_int_equal(audit.live_refs, 4);
	assert_int_equal(audit.raw_refs, 2);
	assert_int_equal(audit.nr_types, 2);
	assert_ptr_equal(audit.types[0].type, &immediate);
	assert_int_equal(audit.types[0].frames, 2);
	assert_int_equal(audit.types[0].live_refs, 3);
	assert_int_equal(audit.types[0].raw_refs, 2);
	assert_ptr_equal(audit.types[1].type, &deferred);
	assert_int_equal(audit.types[1].frames, 2);
	assert_int_equal(audit.types[1].live_refs, 1);
	assert_int_equal(audit.nr_broken, 0);
	assert_int_equal(audit.other_types, 0);
	mslot_frame_drop(two);
	mslot_unique_drop(unique);
	for (int i = 0; i < 2; i++) {
		assert_false(mslot_is_clean(region));
		mslot_frame_drop(stale_frame(one));
	}
	for (int i = 0; i < 2; i++) {
		assert_false(mslot_is_clean(region));
		assert_err(mslot_frame_drop_raw(region, PADDR(0)), MSLOT_OK);
	}
	assert_true(mslot_is_clean(region));
}

static void a_unique_frame_alone_is_not_clean(void **state)
{
	struct mslot_unique *unique = mslot_unique_claim(region, PADDR(15), &immediate, NULL, NULL);
	(void)state;

	assert_false(mslot_is_clean(region));
	assert_int_equal(mslot_unique_into_raw(unique), PADDR(15));
	assert_false(mslot_is_clean(region));
	mslot_unique_drop(mslot_unique_from_raw(region, PADDR(15), NULL));
	assert_true(mslot_is_clean(region));
}

static void more_types_than_fit_are_still_counted(void **state)
{
	struct mslot_region *other = mslot_region_create(&(struct mslot_region_config){.nr_frames = 32}, NULL);
	static struct mslot_type types[32];
	struct mslot_frame *frames[32];
	struct mslot_audit audit;
	(void)state;

	for (unsigned i = 0; i < 32; i++) {
		types[i].flags = MSLOT_TYPE_IMMEDIATE;
		frames[i] = mslot_frame_claim(other, i * FRAME, &types[i], NULL, NULL);
	}
	assert_err(mslot_audit(other, &audit), MSLOT_OK);
	assert_int_equal(audit.nr_types, MSLOT_AUDIT_TYPES);
	assert_int_equal(audit.other_types, 32 - MSLOT_AUDIT_TYPES);
	assert_int_equal(audit.live_refs, 32);
	for (unsigned i = 0; i < 32; i++)
		mslot_frame_drop(frames[i]);
	assert_err(mslot_region_destroy(other), MSLOT_OK);
}

/* Each word is written into the slot of frame 7, audited, and taken back. */
static void broken_words_are_named(void **state)
{
	const struct {
		uint64_t word;
		bool has_type;
		const char *what;
	} cases[] = {
		{6, true, "unknown state"},
		{state_word(STATE_SHARED, 0, 1, 0), false, "in use without a type"},
		{state_word(STATE_UNIQUE, 0, 0, 0), false, "in use without a type"},
		{state_word(STATE_RETIRED, 0, 0, 0), false, "in use without a type"},
		{state_word(STATE_SHARED, 0, -1, 2), true, "live handles past their limits"},
		{state_word(STATE_SHARED, 0, COUNT_MAX + 1, 0), true, "live handles past their limits"},
		{state_word(STATE_SHARED, 0, 1, -1), true, "forgotten references past their limits"},
		{state_word(STATE_SHARED, 0, 1, COUNT_MAX + 1), true, "forgotten references past their limits"},
		{state_word(STATE_SHARED, 0, 0, 0), true, "shared without a reference: the last put was lost"},
		{state_word(STATE_UNIQUE, 0, 0, 2), true, "unique with more than one reference"},
		{state_word(STATE_UNIQUE_SEEN, 0, 0, 2), true, "unique with more than one reference"},
		{state_word(STATE_RETIRED, 0, 0, 2), true, "retired with references"},
		{state_word(STATE_UNUSED, 0, 0, 1), true, "unused with forgotten references"},
		{state_word(STATE_BUSY, 0, 0, 1), true, "unused with forgotten references"},
	};
	struct slot *slot = &region->slots[7];
	(void)state;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mslot_frame *frame = mslot_frame_claim(region, PADDR(7), &immediate, NULL, NULL);
		struct mslot_audit audit;
		uint64_t word = atomic_load(&slot->state);
		uintptr_t type = atomic_load(&slot->type);

		atomic_store(&slot->state, cases[i].word);
		atomic_store(&slot->type, cases[i].has_type ? type : 0);
		assert_err(mslot_audit(region, &audit), MSLOT_OK);
		assert_int_equal(audit.nr_broken, 1);
		assert_int_equal(audit.by_status[MSLOT_STATUS_BROKEN], 1);
		assert_int_equal(audit.broken[0].paddr, PADDR(7));
		assert_string_equal(audit.broken[0].what, cases[i].what);
		assert_counts(7, MSLOT_STATUS_BROKEN, 0, 0);
		assert_false(mslot_is_clean(region));
		atomic_store(&slot->state, word);
		atomic_store(&slot->type, type);
		mslot_frame_drop(frame);
	}
}

/* What failed gets leave behind belongs to no one and is no defect. */
static void pollution_is_not_broken(void **state)
{
	struct slot *slot = &region->slots[2];
	(void)state;

	mslot_frame_drop(mslot_frame_claim(region, PADDR(2), &immediate, NULL, NULL));
	atomic_fetch_add(&slot->state, 3 * LIVE_ONE);
	assert_counts(2, MSLOT_STATUS_UNUSED, 0, 0);
	assert_true(mslot_is_clean(region));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_status_has_its_name),
		TEST(view_refuses_wrong_addresses),
		TEST(audit_counts_by_status_and_type),
		TEST(a_unique_frame_alone_is_not_clean),
		TEST(more_types_than_fit_are_still_counted),
		TEST(broken_words_are_named),
		TEST(pollution_is_not_broken),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
