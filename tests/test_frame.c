/* SPDX-License-Identifier: MIT
 *
 * Every call of frame.h: what it gives, and every refusal with the table unchanged. Faults are in test_frame_faults.c.
 */
#include "util.h"

static const struct meta seven = {7, 8};

static struct mslot_frame *claim(unsigned index, const struct mslot_type *type)
{
	enum mslot_err why = MSLOT_OK;
	struct mslot_frame *frame = mslot_frame_claim(region, PADDR(index), type, &seven, &why);

	assert_err(why, MSLOT_OK);
	assert_non_null(frame);
	return frame;
}

static void claim_gives_the_only_reference(void **state)
{
	struct mslot_frame *frame = claim(3, &immediate);
	(void)state;

	assert_int_equal(mslot_frame_paddr(frame), PADDR(3));
	assert_ptr_equal(mslot_frame_region(frame), region);
	assert_ptr_equal(mslot_frame_type(frame), &immediate);
	assert_ptr_equal(mslot_frame_memory(frame), payload + 3 * FRAME);
	assert_int_equal(mslot_frame_ref_count(frame), 1);
	assert_int_equal(mslot_frame_raw_count(frame), 0);
	assert_memory_equal(mslot_frame_meta(frame, &immediate), &seven, sizeof(seven));
	assert_int_equal((uintptr_t)mslot_frame_meta(frame, &immediate) % MSLOT_SLOT_BYTES, 0);
	assert_null(mslot_frame_meta(frame, &deferred));
	assert_counts(3, MSLOT_STATUS_SHARED, 1, 0);
	assert_ptr_equal(view_at(3).type, &immediate);
	assert_int_equal(view_at(3).generation, 0);
	mslot_frame_drop(frame);
	assert_counts(3, MSLOT_STATUS_UNUSED, 0, 0);
	assert_null(view_at(3).type);
	assert_int_equal(view_at(3).generation, 1);
}

/* Each size again and again, since a region may remember the types that it has seen. */
static void claim_copies(const struct mslot_type *type, const unsigned char *source)
{
	static const unsigned char zeros[MSLOT_META_MAX];
	struct mslot_frame *frame = mslot_frame_claim(region, PADDR(0), type, source, NULL);

	assert_memory_equal(mslot_frame_meta(frame, type), source ? source : zeros, type->meta_bytes);
	mslot_frame_drop(frame);
}

/* A region remembers its first types and copies theirs another way than those of the many that come later. */
static void claim_copies_metadata_of_any_size(void **state)
{
	static struct mslot_type types[MSLOT_META_MAX + 1];

	for (size_t bytes = 0; bytes <= MSLOT_META_MAX; bytes++)
		types[bytes] =
			(struct mslot_type){.meta_bytes = bytes, .meta_align = 64, .flags = MSLOT_TYPE_IMMEDIATE};
	for (size_t first = 0; first <= MSLOT_META_MAX; first++) {
		for (size_t nth = 0; nth < 3 * (MSLOT_META_MAX + 1); nth++) {
			unsigned char source[MSLOT_META_MAX];
			for (size_t i = 0; i < sizeof(source); i++)
				source[i] = (unsigned char)(i + nth + 1);
			claim_copies(&types[(first + nth) % (MSLOT_META_MAX + 1)], source);
			claim_copies(&types[(first + nth) % (MSLOT_META_MAX + 1)], NULL);
		}
		teardown(state);
		setup(state);
	}
}

/* Inside a reader section no frame that was dropped before can be recycled: it stays retired. */
static void retire_frame(unsigned index)
{
	mslot_frame_drop(claim(index, &deferred));
	assert_counts(index, MSLOT_STATUS_RETIRED, 0, 0);
}

static void claim_of_a_held_frame_is_refused(void **state)
{
	struct mslot_frame *frame = claim(1, &immediate);
	struct mslot_unique *unique = mslot_unique_claim(region, PADDR(2), &immediate, &seven, NULL);
	(void)state;

	mslot_read_lock();
	retire_frame(4);
	REFUSES(MSLOT_IN_USE, mslot_frame_claim(region, PADDR(1), &immediate, &seven, &why));
	REFUSES(MSLOT_IN_USE, mslot_frame_claim(region, PADDR(1), &immediate, NULL, &why));
	REFUSES(MSLOT_UNIQUE, mslot_frame_claim(region, PADDR(2), &immediate, &seven, &why));
	REFUSES(MSLOT_BUSY, mslot_frame_claim(region, PADDR(4), &immediate, &seven, &why));
	assert_null(mslot_frame_claim(region, PADDR(1), &immediate, &seven, NULL));
	mslot_read_unlock();
	mslot_frame_drop(frame);
	mslot_unique_drop(unique);
}

static void claim_of_a_wrong_address_is_refused(void **state)
{
	(void)state;
	REFUSES(MSLOT_OUT_OF_BOUND, mslot_frame_claim(region, BASE - FRAME, &immediate, &seven, &why));
	REFUSES(MSLOT_OUT_OF_BOUND, mslot_frame_claim(region, END, &immediate, &seven, &why));
	REFUSES(MSLOT_OUT_OF_BOUND, mslot_frame_claim(region, 0, &immediate, &seven, &why));
	REFUSES(MSLOT_OUT_OF_BOUND, mslot_frame_claim(region, -FRAME, &immediate, &seven, &why));
	REFUSES(MSLOT_NOT_ALIGNED, mslot_frame_claim(region, BASE + 1, &immediate, &seven, &why));
	REFUSES(MSLOT_NOT_ALIGNED, mslot_frame_claim(region, PADDR(3) - 1, &immediate, &seven, &why));
	REFUSES(MSLOT_NOT_ALIGNED, mslot_frame_claim(region, MSLOT_PADDR_NONE, &immediate, &seven, &why));
}

static void claim_with_a_wrong_type_is_refused(void **state)
{
	static const struct mslot_type wrong[] = {
		{.meta_bytes = MSLOT_META_MAX + 1},   {.meta_bytes = SIZE_MAX},
		{.meta_bytes = 8, .meta_align = 3},   {.meta_bytes = 8, .flags = 8},
		{.meta_bytes = 8, .meta_align = 128},
	};
	(void)state;

	REFUSES(MSLOT_INVALID, mslot_frame_claim(region, PADDR(0), NULL, &seven, &why));
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		REFUSES(MSLOT_INVALID, mslot_frame_claim(region, PADDR(0), &wrong[i], &seven, &why));
}

static void get_adds_a_reference(void **state)
{
	struct mslot_frame *frame = claim(0, &noting), *other = mslot_frame_get(region, PADDR(0), NULL);
	struct mslot_frame *third = mslot_frame_get_typed(region, PADDR(0), &noting, NULL);
	(void)state;

	assert_ptr_equal(other, frame);
	assert_ptr_equal(third, frame);
	assert_int_equal(mslot_frame_ref_count(frame), 3);
	mslot_frame_drop(frame);
	mslot_frame_drop(other);
	assert_int_equal(drops, 0);
	mslot_frame_drop(third);
	assert_int_equal(drops, 1);
}

static void get_of_what_is_not_shared_is_refused(void **state)
{
	struct mslot_unique *unique = mslot_unique_claim(region, PADDR(2), &immediate, &seven, NULL);
	(void)state;

	mslot_read_lock();
	retire_frame(4);
	REFUSES(MSLOT_UNUSED, mslot_frame_get(region, PADDR(0), &why));
	REFUSES(MSLOT_UNIQUE, mslot_frame_get(region, PADDR(2), &why));
	REFUSES(MSLOT_BUSY, mslot_frame_get(region, PADDR(4), &why));
	REFUSES(MSLOT_OUT_OF_BOUND, mslot_frame_get(region, END, &why));
	REFUSES(MSLOT_OUT_OF_BOUND, mslot_frame_get(region, BASE - FRAME, &why));
	REFUSES(MSLOT_NOT_ALIGNED, mslot_frame_get(region, BASE + 8, &why));
	assert_null(mslot_frame_get(region, END, NULL));
	mslot_read_unlock();
	mslot_unique_drop(unique);
}

static void get_typed_refuses_another_type(void **state)
{
	struct mslot_frame *frame = claim(0, &immediate);
	(void)state;

	REFUSES(MSLOT_WRONG_TYPE, mslot_frame_get_typed(region, PADDR(0), &deferred, &why));
	REFUSES(MSLOT_INVALID, mslot_frame_get_typed(region, PADDR(0), NULL, &why));
	REFUSES(MSLOT_UNUSED, mslot_frame_get_typed(region, PADDR(1), &immediate, &why));
	REFUSES(MSLOT_OUT_OF_BOUND, mslot_frame_get_typed(region, END, &immediate, &why));
	REFUSES(MSLOT_NOT_ALIGNED, mslot_frame_get_typed(region, BASE + 1, &immediate, &why));
	mslot_frame_drop(frame);
}

static void clone_adds_a_reference(void **state)
{
	struct mslot_frame *frame = claim(0, &immediate), *other = mslot_frame_clone(frame);
	(void)state;

	assert_ptr_equal(other, frame);
	assert_counts(0, MSLOT_STATUS_SHARED, 2, 0);
	mslot_frame_drop(frame);
	assert_counts(0, MSLOT_STATUS_SHARED, 1, 0);
	mslot_frame_drop(other);
}

static void the_last_drop_tells_on_drop_once(void **state)
{
	struct mslot_frame *frame = claim(5, &noting);
	(void)state;

	mslot_frame_drop(NULL);
	mslot_frame_drop(frame);
	assert_int_equal(drops, 1);
	assert_int_equal(dropped_a, 7);
	assert_int_equal(dropped_paddr, PADDR(5));
	assert_ptr_equal(dropped_memory, payload + 5 * FRAME);
}

static void into_raw_keeps_the_reference(void **state)
{
	struct mslot_frame *frame = claim(0, &noting), *other = mslot_frame_clone(frame);
	(void)state;

	assert_int_equal(mslot_frame_into_raw(frame), PADDR(0));
	assert_counts(0, MSLOT_STATUS_SHARED, 2, 1);
	assert_int_equal(mslot_frame_raw_count(other), 1);
	assert_int_equal(mslot_frame_ref_count(other), 2);
	mslot_frame_drop(other);
	assert_counts(0, MSLOT_STATUS_SHARED, 1, 1);
	assert_int_equal(drops, 0);
	frame = mslot_frame_from_raw(region, PADDR(0), NULL);
	assert_counts(0, MSLOT_STATUS_SHARED, 1, 0);
	mslot_frame_drop(frame);
	assert_int_equal(drops, 1);
}

static void from_raw_and_drop_raw_refuse_what_was_not_forgotten(void **state)
{
	struct mslot_frame *frame = claim(0, &immediate);
	struct mslot_unique *unique = mslot_unique_claim(region, PADDR(1), &immediate, &seven, NULL);
	(void)state;

	REFUSES(MSLOT_NOT_FORGOTTEN, mslot_frame_from_raw(region, PADDR(0), &why));
	ANSWERS(MSLOT_NOT_FORGOTTEN, mslot_frame_drop_raw(region, PADDR(0)));
	REFUSES(MSLOT_UNIQUE, mslot_frame_from_raw(region, PADDR(1), &why));
	ANSWERS(MSLOT_UNIQUE, mslot_frame_drop_raw(region, PADDR(1)));
	assert_int_equal(mslot_unique_into_raw(unique), PADDR(1));
	REFUSES(MSLOT_UNIQUE, mslot_frame_from_raw(region, PADDR(1), &why));
	ANSWERS(MSLOT_UNIQUE, mslot_frame_drop_raw(region, PADDR(1)));
	REFUSES(MSLOT_NOT_FORGOTTEN, mslot_frame_from_raw(region, PADDR(2), &why));
	ANSWERS(MSLOT_NOT_FORGOTTEN, mslot_frame_drop_raw(region, PADDR(2)));
	REFUSES(MSLOT_OUT_OF_BOUND, mslot_frame_from_raw(region, END, &why));
	ANSWERS(MSLOT_OUT_OF_BOUND, mslot_frame_drop_raw(region, END));
	REFUSES(MSLOT_NOT_ALIGNED, mslot_frame_from_raw(region, BASE + 1, &why));
	ANSWERS(MSLOT_NOT_ALIGNED, mslot_frame_drop_raw(region, BASE + 1));
	assert_null(mslot_frame_from_raw(region, END, NULL));
	mslot_read_lock();
	retire_frame(4);
	REFUSES(MSLOT_NOT_FORGOTTEN, mslot_frame_from_raw(region, PADDR(4), &why));
	ANSWERS(MSLOT_NOT_FORGOTTEN, mslot_frame_drop_raw(region, PADDR(4)));
	mslot_read_unlock();
	mslot_frame_drop(frame);
	mslot_unique_drop(mslot_unique_from_raw(region, PADDR(1), NULL));
}

static void mapping_and_unmapping_is_one_step_each(void **state)
{
	struct mslot_frame *frame = claim(0, &noting);
	(void)state;

	for (unsigned i = 1; i <= 5; i++) {
		assert_int_equal(mslot_frame_clone_into_raw(frame), PADDR(0));
		assert_counts(0, MSLOT_STATUS_SHARED, i + 1, i);
	}
	assert_err(mslot_frame_drop_raw(region, PADDR(0)), MSLOT_OK);
	assert_counts(0, MSLOT_STATUS_SHARED, 5, 4);
	mslot_frame_drop(frame);
	assert_counts(0, MSLOT_STATUS_SHARED, 4, 4);
	for (unsigned i = 4; i-- > 0;) {
		assert_int_equal(drops, 0);
		assert_err(mslot_frame_drop_raw(region, PADDR(0)), MSLOT_OK);
	}
	assert_int_equal(drops, 1);
	assert_counts(0, MSLOT_STATUS_UNUSED, 0, 0);
}

static void a_region_without_memory_has_no_payload(void **state)
{
	struct mslot_region *bare = mslot_region_create(&(struct mslot_region_config){.nr_frames = 1}, NULL);
	struct mslot_frame *frame = mslot_frame_claim(bare, 0, &immediate, NULL, NULL);
	(void)state;

	assert_null(mslot_frame_memory(frame));
	mslot_frame_drop(frame);
	assert_err(mslot_region_destroy(bare), MSLOT_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(claim_gives_the_only_reference),
		TEST(claim_copies_metadata_of_any_size),
		TEST(claim_of_a_held_frame_is_refused),
		TEST(claim_of_a_wrong_address_is_refused),
		TEST(claim_with_a_wrong_type_is_refused),
		TEST(get_adds_a_reference),
		TEST(get_of_what_is_not_shared_is_refused),
		TEST(get_typed_refuses_another_type),
		TEST(clone_adds_a_reference),
		TEST(the_last_drop_tells_on_drop_once),
		TEST(into_raw_keeps_the_reference),
		TEST(from_raw_and_drop_raw_refuse_what_was_not_forgotten),
		TEST(mapping_and_unmapping_is_one_step_each),
		TEST(a_region_without_memory_has_no_payload),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
