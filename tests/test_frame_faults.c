/* SPDX-License-Identifier: MIT
 *
 * Every fault of frame.h: the handler is told, nothing has changed; the default handler aborts. The limits of both
 * counts are really reached.
 */
#include "util.h"

static struct mslot_frame *claim(unsigned index, const struct mslot_type *type)
{
	struct mslot_frame *frame = mslot_frame_claim(region, PADDR(index), type, NULL, NULL);

	assert_non_null(frame);
	return frame;
}

/* The handle-using calls, each on a handle that stands for nothing. */
static void all_fault(struct mslot_frame *dead)
{
	FAULTS(MSLOT_FAULT_OVER_DROP, "mslot_frame_drop", mslot_frame_drop(stale_frame(dead)));
	FAULTS(MSLOT_FAULT_DEAD_HANDLE, "mslot_frame_clone", assert_null(mslot_frame_clone(stale_frame(dead))));
	FAULTS(MSLOT_FAULT_DEAD_HANDLE, "mslot_frame_into_raw",
	       assert_int_equal(mslot_frame_into_raw(stale_frame(dead)), MSLOT_PADDR_NONE));
	FAULTS(MSLOT_FAULT_DEAD_HANDLE, "mslot_frame_clone_into_raw",
	       assert_int_equal(mslot_frame_clone_into_raw(stale_frame(dead)), MSLOT_PADDR_NONE));
}

static void a_handle_of_an_unused_frame_is_dead(void **state)
{
	struct mslot_frame *frame = claim(0, &immediate), *dead = stale_frame(frame);
	(void)state;

	mslot_frame_drop(frame);
	all_fault(dead);
	assert_string_equal(caught.last.status, "unused");
	assert_int_equal(caught.last.paddr, PADDR(0));
	FAULTS(MSLOT_FAULT_DEAD_HANDLE, "mslot_frame_try_unique",
	       REFUSES(MSLOT_UNUSED, mslot_frame_try_unique(stale_frame(dead), &why)));
}

static void a_handle_of_a_retired_frame_is_dead(void **state)
{
	struct mslot_frame *frame = claim(1, &deferred), *dead = stale_frame(frame);
	(void)state;

	mslot_read_lock();
	mslot_frame_drop(frame);
	all_fault(dead);
	assert_string_equal(caught.last.status, "retired");
	FAULTS(MSLOT_FAULT_DEAD_HANDLE, "mslot_frame_try_unique",
	       REFUSES(MSLOT_BUSY, mslot_frame_try_unique(stale_frame(dead), &why)));
	mslot_read_unlock();
}

static void a_shared_handle_of_a_unique_frame_is_dead(void **state)
{
	struct mslot_frame *frame = claim(2, &immediate), *dead = stale_frame(frame);
	struct mslot_unique *unique = mslot_frame_try_unique(frame, NULL);
	(void)state;

	all_fault(dead);
	assert_string_equal(caught.last.status, "unique");
	assert_int_equal(caught.last.ref_count, 1);
	FAULTS(MSLOT_FAULT_DEAD_HANDLE, "mslot_frame_try_unique",
	       REFUSES(MSLOT_UNIQUE, mslot_frame_try_unique(stale_frame(dead), &why)));
	mslot_unique_drop(unique);
}

/* The trap of counts that lump handles and forgotten references: a double drop must not eat one of those. */
static void an_over_drop_does_not_eat_a_forgotten_reference(void **state)
{
	struct mslot_frame *frame = claim(3, &immediate), *dead = stale_frame(frame);
	(void)state;

	assert_int_equal(mslot_frame_clone_into_raw(frame), PADDR(3));
	assert_int_equal(mslot_frame_into_raw(frame), PADDR(3));
	all_fault(dead);
	assert_string_equal(caught.last.status, "shared");
	assert_int_equal(caught.last.ref_count, 2);
	assert_int_equal(caught.last.raw_count, 2);
	FAULTS(MSLOT_FAULT_DEAD_HANDLE, "mslot_frame_try_unique",
	       REFUSES(MSLOT_IN_USE, mslot_frame_try_unique(stale_frame(dead), &why)));
	assert_err(mslot_frame_drop_raw(region, PADDR(3)), MSLOT_OK);
	assert_err(mslot_frame_drop_raw(region, PADDR(3)), MSLOT_OK);
	assert_counts(3, MSLOT_STATUS_UNUSED, 0, 0);
}

static void the_count_of_live_handles_has_a_limit(void **state)
{
	struct mslot_frame *frame = claim(4, &immediate);
	(void)state;

	assert_int_equal(mslot_frame_clone_into_raw(frame), PADDR(4));
	for (uint32_t i = 1; i < MSLOT_COUNT_MAX; i++)
		if (mslot_frame_get(region, PADDR(4), NULL) != frame)
			fail_msg("get %u", i);
	assert_counts(4, MSLOT_STATUS_SHARED, MSLOT_COUNT_MAX + 1, 1);
	FAULTS(MSLOT_FAULT_OVERFLOW, "mslot_frame_get",
	       REFUSES(MSLOT_OVERFLOW, mslot_frame_get(region, PADDR(4), &why)));
	assert_int_equal(caught.last.ref_count, MSLOT_COUNT_MAX + 1);
	FAULTS(MSLOT_FAULT_OVERFLOW, "mslot_frame_clone", assert_null(mslot_frame_clone(frame)));
	FAULTS(MSLOT_FAULT_OVERFLOW, "mslot_frame_from_raw",
	       REFUSES(MSLOT_OVERFLOW, mslot_frame_from_raw(region, PADDR(4), &why)));
	struct mslot_segment segment;
	FAULTS(MSLOT_FAULT_OVERFLOW, "mslot_segment_from_raw",
	       assert_err(mslot_segment_from_raw(region, PADDR(4), PADDR(5), &segment), MSLOT_OVERFLOW));
	/* At the limit, what does not add still works. */
	assert_int_equal(mslot_frame_clone_into_raw(frame), PADDR(4));
	assert_err(mslot_frame_drop_raw(region, PADDR(4)), MSLOT_OK);
	assert_int_equal(mslot_frame_into_raw(frame), PADDR(4));
	assert_counts(4, MSLOT_STATUS_SHARED, MSLOT_COUNT_MAX + 1, 2);
	frame = mslot_frame_from_raw(region, PADDR(4), NULL);
	assert_non_null(frame);
	for (uint32_t i = 0; i < MSLOT_COUNT_MAX; i++)
		mslot_frame_drop(stale_frame(frame));
	assert_counts(4, MSLOT_STATUS_SHARED, 1, 1);
	assert_err(mslot_frame_drop_raw(region, PADDR(4)), MSLOT_OK);
	assert_counts(4, MSLOT_STATUS_UNUSED, 0, 0);
}

static void the_count_of_forgotten_references_has_a_limit(void **state)
{
	struct mslot_frame *frame = claim(5, &immediate), *other = mslot_frame_clone(frame);
	(void)state;

	for (uint32_t i = 0; i < MSLOT_COUNT_MAX; i++)
		if (mslot_frame_clone_into_raw(frame) != PADDR(5))
			fail_msg("clone_into_raw %u", i);
	assert_counts(5, MSLOT_STATUS_SHARED, MSLOT_COUNT_MAX + 2, MSLOT_COUNT_MAX);
	FAULTS(MSLOT_FAULT_OVERFLOW, "mslot_frame_clone_into_raw",
	       assert_int_equal(mslot_frame_clone_into_raw(frame), MSLOT_PADDR_NONE));
	assert_int_equal(caught.last.raw_count, MSLOT_COUNT_MAX);
	FAULTS(MSLOT_FAULT_OVERFLOW, "mslot_frame_into_raw",
	       assert_int_equal(mslot_frame_into_raw(stale_frame(other)), MSLOT_PADDR_NONE));
	/* At the limit, live handles still come and go. */
	mslot_frame_drop(mslot_frame_clone(frame));
	mslot_frame_drop(mslot_frame_get(region, PADDR(5), NULL));
	mslot_frame_drop(mslot_frame_from_raw(region, PADDR(5), NULL));
	mslot_frame_drop(stale_frame(other));
	mslot_frame_drop(frame);
	assert_counts(5, MSLOT_STATUS_SHARED, MSLOT_COUNT_MAX - 1, MSLOT_COUNT_MAX - 1);
	for (uint32_t i = 1; i < MSLOT_COUNT_MAX; i++)
		if (mslot_frame_drop_raw(region, PADDR(5)))
			fail_msg("drop_raw %u", i);
	assert_counts(5, MSLOT_STATUS_UNUSED, 0, 0);
}

static void try_unique_refuses_while_others_hold_the_frame(void **state)
{
	struct mslot_frame *frame = claim(6, &immediate), *other = mslot_frame_clone(frame);
	struct mslot_unique *unique;
	(void)state;

	REFUSES(MSLOT_IN_USE, mslot_frame_try_unique(frame, &why));
	assert_int_equal(mslot_frame_into_raw(other), PADDR(6));
	REFUSES(MSLOT_IN_USE, mslot_frame_try_unique(frame, &why));
	assert_err(mslot_frame_drop_raw(region, PADDR(6)), MSLOT_OK);
	unique = mslot_frame_try_unique(frame, NULL);
	assert_non_null(unique);
	assert_counts(6, MSLOT_STATUS_UNIQUE, 1, 0);
	mslot_unique_drop(unique);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_handle_of_an_unused_frame_is_dead),
		TEST(a_handle_of_a_retired_frame_is_dead),
		TEST(a_shared_handle_of_a_unique_frame_is_dead),
		TEST(an_over_drop_does_not_eat_a_forgotten_reference),
		TEST(the_count_of_live_handles_has_a_limit),
		TEST(the_count_of_forgotten_references_has_a_limit),
		TEST(try_unique_refuses_while_others_hold_the_frame),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
