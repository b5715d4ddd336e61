/* SPDX-License-Identifier: MIT
 *
 * Every call of region.h: creation and its refusals, ranges that end where addresses end, destruction.
 */
#include "util.h"

#include <stdio.h>
#include <time.h>

static void refuses(const struct mslot_region_config *config, enum mslot_err err)
{
	enum mslot_err why = MSLOT_OK;

	assert_null(mslot_region_create(config, &why));
	assert_err(why, err);
	assert_null(mslot_region_create(config, NULL));
}

static void create_refuses_wrong_configs(void **state)
{
	(void)state;
	refuses(NULL, MSLOT_INVALID);
	refuses(&(struct mslot_region_config){.base_paddr = BASE}, MSLOT_INVALID);
	refuses(&(struct mslot_region_config){.nr_frames = 1, .frame_shift = 5}, MSLOT_INVALID);
	refuses(&(struct mslot_region_config){.nr_frames = 1, .frame_shift = 41}, MSLOT_INVALID);
	refuses(&(struct mslot_region_config){.base_paddr = 2048, .nr_frames = 1}, MSLOT_NOT_ALIGNED);
	refuses(&(struct mslot_region_config){.base_paddr = 4096, .nr_frames = 1, .frame_shift = 13},
		MSLOT_NOT_ALIGNED);
	refuses(&(struct mslot_region_config){.base_paddr = -FRAME, .nr_frames = 1}, MSLOT_OUT_OF_BOUND);
	refuses(&(struct mslot_region_config){.base_paddr = -2 * FRAME, .nr_frames = 2}, MSLOT_OUT_OF_BOUND);
	refuses(&(struct mslot_region_config){.nr_frames = UINT64_MAX}, MSLOT_OUT_OF_BOUND);
	refuses(&(struct mslot_region_config){.nr_frames = UINT64_C(1) << 52}, MSLOT_OUT_OF_BOUND);
	refuses(&(struct mslot_region_config){.nr_frames = (UINT64_C(1) << 52) - 1}, MSLOT_NO_MEMORY);
}

static void a_new_region_is_unused_and_clean(void **state)
{
	struct mslot_audit audit;
	(void)state;

	assert_int_equal(mslot_region_nr_frames(region), NR_FRAMES);
	assert_int_equal(mslot_region_base(region), BASE);
	assert_int_equal(mslot_region_frame_shift(region), 12);
	assert_err(mslot_audit(region, &audit), MSLOT_OK);
	assert_int_equal(audit.by_status[MSLOT_STATUS_UNUSED], NR_FRAMES);
	assert_true(mslot_is_clean(region));
}

static void each_frame_shift_works(void **state)
{
	(void)state;
	for (unsigned shift = 6; shift <= 40; shift++) {
		uint64_t base = UINT64_C(3) << shift, frame = UINT64_C(1) << shift;
		struct mslot_region *other = mslot_region_create(
			&(struct mslot_region_config){.base_paddr = base, .nr_frames = 5, .frame_shift = shift}, NULL);
		struct mslot_segment segment;

		assert_non_null(other);
		assert_int_equal(mslot_region_frame_shift(other), shift);
		assert_err(mslot_segment_claim(other, base, base + 5 * frame, &immediate, NULL, NULL, &segment),
			   MSLOT_OK);
		for (unsigned i = 0; i < 5; i++) {
			struct mslot_frame *handle = mslot_segment_next(&segment);
			assert_int_equal(mslot_frame_paddr(handle), base + i * frame);
			mslot_frame_drop(handle);
		}
		assert_err(mslot_region_destroy(other), MSLOT_OK);
	}
}

static void ranges_in_and_out(void **state)
{
	(void)state;
	assert_true(mslot_range_in_region(region, BASE, END));
	assert_true(mslot_range_in_region(region, BASE + 1, BASE + 2));
	assert_false(mslot_range_in_region(region, BASE - 1, END));
	assert_false(mslot_range_in_region(region, BASE, END + 1));
	assert_false(mslot_range_in_region(region, BASE, BASE));
	assert_false(mslot_range_in_region(region, END, BASE));
	assert_false(mslot_range_in_region(region, -FRAME, PADDR(1)));
	assert_false(mslot_range_in_region(region, 0, UINT64_MAX));
	assert_true(mslot_range_not_in_region(region, 0, BASE));
	assert_true(mslot_range_not_in_region(region, END, UINT64_MAX));
	assert_true(mslot_range_not_in_region(region, PADDR(2), PADDR(2)));
	assert_true(mslot_range_not_in_region(region, PADDR(3), PADDR(2)));
	assert_false(mslot_range_not_in_region(region, 0, BASE + 1));
	assert_false(mslot_range_not_in_region(region, END - 1, END));
	assert_false(mslot_range_not_in_region(region, 0, UINT64_MAX));
}

static void a_region_may_end_where_addresses_end(void **state)
{
	uint64_t base = -5 * FRAME;
	struct mslot_region *last =
		mslot_region_create(&(struct mslot_region_config){.base_paddr = base, .nr_frames = 4}, NULL);
	struct mslot_segment segment;
	enum mslot_err why = MSLOT_OK;
	(void)state;

	assert_non_null(last);
	assert_true(mslot_range_in_region(last, base, -FRAME));
	assert_false(mslot_range_in_region(last, base, UINT64_MAX));
	assert_true(mslot_range_not_in_region(last, -FRAME, UINT64_MAX));
	assert_true(mslot_range_not_mapped(last, 0, UINT64_MAX));
	assert_null(mslot_frame_claim(last, -FRAME, &immediate, NULL, &why));
	assert_err(why, MSLOT_OUT_OF_BOUND);
	assert_null(mslot_frame_claim(last, 0, &immediate, NULL, &why));
	assert_err(why, MSLOT_OUT_OF_BOUND);
	assert_err(mslot_segment_claim(last, base, 0, &immediate, NULL, NULL, &segment), MSLOT_INVALID);
	assert_err(mslot_segment_claim(last, -2 * FRAME, FRAME, &immediate, NULL, NULL, &segment), MSLOT_INVALID);
	assert_err(mslot_segment_claim(last, base, -FRAME, &immediate, NULL, NULL, &segment), MSLOT_OK);
	assert_int_equal(mslot_segment_nr_frames(&segment), 4);
	mslot_segment_drop(&segment);
	assert_err(mslot_region_destroy(last), MSLOT_OK);
}

static void a_range_is_mapped_while_a_reference_is_forgotten(void **state)
{
	struct mslot_frame *frame = mslot_frame_claim(region, PADDR(3), &immediate, NULL, NULL);
	struct mslot_unique *unique = mslot_unique_claim(region, PADDR(8), &immediate, NULL, NULL);
	(void)state;

	assert_true(mslot_range_not_mapped(region, 0, UINT64_MAX));
	assert_int_equal(mslot_frame_clone_into_raw(frame), PADDR(3));
	assert_false(mslot_range_not_mapped(region, 0, UINT64_MAX));
	assert_false(mslot_range_not_mapped(region, PADDR(4) - 1, PADDR(4)));
	assert_false(mslot_range_not_mapped(region, PADDR(3), PADDR(3) + 1));
	assert_true(mslot_range_not_mapped(region, BASE, PADDR(3)));
	assert_true(mslot_range_not_mapped(region, PADDR(4), UINT64_MAX));
	assert_true(mslot_range_not_mapped(region, PADDR(4), PADDR(3)));
	assert_err(mslot_frame_drop_raw(region, PADDR(3)), MSLOT_OK);
	assert_true(mslot_range_not_mapped(region, BASE, END));
	assert_int_equal(mslot_unique_into_raw(unique), PADDR(8));
	assert_false(mslot_range_not_mapped(region, BASE, END));
	mslot_unique_drop(mslot_unique_from_raw(region, PADDR(8), NULL));
	mslot_frame_drop(frame);
}

static void destroy_refuses_while_anything_is_out(void **state)
{
	struct mslot_frame *frame = mslot_frame_claim(region, PADDR(15), &noting_deferred, NULL, NULL);
	struct mslot_unique *unique;
	(void)state;

	ANSWERS(MSLOT_IN_USE, mslot_region_destroy(region));
	assert_int_equal(mslot_frame_into_raw(frame), PADDR(15));
	ANSWERS(MSLOT_IN_USE, mslot_region_destroy(region));
	assert_err(mslot_frame_drop_raw(region, PADDR(15)), MSLOT_OK);
	unique = mslot_unique_claim(region, PADDR(2), &immediate, NULL, NULL);
	assert_err(mslot_region_destroy(region), MSLOT_IN_USE);
	assert_int_equal(drops, 1);
	assert_int_equal(mslot_unique_into_raw(unique), PADDR(2));
	ANSWERS(MSLOT_IN_USE, mslot_region_destroy(region));
	mslot_unique_drop(mslot_unique_from_raw(region, PADDR(2), NULL));
	assert_err(mslot_region_destroy(NULL), MSLOT_OK);
}

/* Slots are looked at where something was claimed before: so the first claim far away must be seen. */
static void what_is_claimed_first_of_its_neighbours_is_seen(void **state)
{
	const uint64_t nr_frames = 4096;
	struct mslot_region *large = mslot_region_create(&(struct mslot_region_config){.nr_frames = nr_frames}, NULL);
	struct mslot_audit audit;
	(void)state;

	assert_non_null(large);
	for (uint64_t index = 0; index < nr_frames; index += 1000) {
		struct mslot_frame *frame =
			mslot_frame_claim(large, index * FRAME, &immediate, &(struct meta){7, 7}, NULL);

		assert_non_null(frame);
		assert_err(mslot_audit(large, &audit), MSLOT_OK);
		assert_int_equal(audit.by_status[MSLOT_STATUS_SHARED], 1);
		assert_err(mslot_region_destroy(large), MSLOT_IN_USE);
		mslot_frame_drop(frame);
	}
	assert_err(mslot_region_destroy(large), MSLOT_OK);
}

static void many_regions_keep_their_handles_apart(void **state)
{
	struct mslot_region *regions[64];
	struct mslot_frame *frames[64];
	(void)state;

	for (unsigned i = 0; i < 64; i++) {
		regions[i] = mslot_region_create(&(struct mslot_region_config){.nr_frames = 1}, NULL);
		frames[i] = mslot_frame_claim(regions[i], 0, &immediate, NULL, NULL);
	}
	for (unsigned i = 0; i < 64; i++) {
		assert_ptr_equal(mslot_frame_region(frames[i]), regions[i]);
		mslot_frame_drop(frames[i]);
		assert_err(mslot_region_destroy(regions[i]), MSLOT_OK);
	}
}

static long resident_kib(void)
{
	long kib = -1;
	char line[200];
	FILE *file = fopen("/proc/self/status", "r");

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "VmRSS: %ld kB", &kib) == 1)
			break;
	fclose(file);
	return kib;
}

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* Whether the kernel has any to give, or not. */
static void a_region_in_huge_pages_is_like_others(void **state)
{
	const uint64_t nr = (1 << 16) + 7;
	struct mslot_region *huge =
		mslot_region_create(&(struct mslot_region_config){.nr_frames = nr, .huge_pages = true}, NULL);
	struct mslot_frame *first, *last;
	(void)state;

	assert_non_null(huge);
	first = mslot_frame_claim(huge, 0, &immediate, NULL, NULL);
	last = mslot_frame_claim(huge, (nr - 1) << 12, &immediate, NULL, NULL);
	assert_non_null(first);
	assert_non_null(last);
	assert_int_equal(mslot_frame_paddr(last), (nr - 1) << 12);
	assert_null(mslot_frame_claim(huge, nr << 12, &immediate, NULL, NULL));
	mslot_frame_drop(first);
	mslot_frame_drop(last);
	assert_true(mslot_is_clean(huge));
	assert_err(mslot_region_destroy(huge), MSLOT_OK);
}

static void a_region_for_a_tebibyte_costs_nothing(void **state)
{
	const struct mslot_region_config config = {.nr_frames = UINT64_C(1) << 28};
	double best_us = 1e9;
	long kib;
	(void)state;

	/* The best of five: other programs may be running. */
	for (int i = 0; i < 5; i++) {
		double start = now_us();
		struct mslot_region *large = mslot_region_create(&config, NULL);
		double took = now_us() - start;

		assert_non_null(large);
		best_us = took < best_us ? took : best_us;
		assert_err(mslot_region_destroy(large), MSLOT_OK);
	}
	kib = resident_kib();
	struct mslot_region *large = mslot_region_create(&config, NULL);
	struct mslot_frame *last = mslot_frame_claim(large, ((UINT64_C(1) << 28) - 1) << 12, &immediate, NULL, NULL);
	assert_non_null(last);
	mslot_frame_drop(last);
	/* Nor do refused gets bring it into memory. */
	for (uint64_t index = 0; index < config.nr_frames / 2; index += 1 << 15) {
		enum mslot_err why;
		assert_null(mslot_frame_get(large, index << 12, &why));
		assert_err(why, MSLOT_UNUSED);
	}
	kib = resident_kib() - kib;
	assert_err(mslot_region_destroy(large), MSLOT_OK);
	print_message("1 TiB: %.0f us, %ld KiB\n", best_us, kib);
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
	assert_true(best_us < 1000);
	assert_true(kib < 1024);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(create_refuses_wrong_configs),
		TEST(a_new_region_is_unused_and_clean),
		TEST(each_frame_shift_works),
		TEST(ranges_in_and_out),
		TEST(a_region_may_end_where_addresses_end),
		TEST(a_range_is_mapped_while_a_reference_is_forgotten),
		TEST(destroy_refuses_while_anything_is_out),
		TEST(what_is_claimed_first_of_its_neighbours_is_seen),
		TEST(many_regions_keep_their_handles_apart),
		TEST(a_region_in_huge_pages_is_like_others),
		TEST(a_region_for_a_tebibyte_costs_nothing),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
