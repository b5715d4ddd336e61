/* SPDX-License-Identifier: MIT
 *
 * Every call of segment.h: all or nothing, every refusal and every fault with the table unchanged.
 */
#include "util.h"

static struct mslot_segment claim(unsigned first, unsigned end)
{
	struct mslot_segment segment = {0};

	assert_err(mslot_segment_claim(region, PADDR(first), PADDR(end), &noting, NULL, NULL, &segment), MSLOT_OK);
	return segment;
}

static void assert_segment(const struct mslot_segment *segment, unsigned first, unsigned end)
{
	assert_ptr_equal(segment->region, region);
	assert_int_equal(segment->start, PADDR(first));
	assert_int_equal(segment->end, PADDR(end));
	assert_int_equal(mslot_segment_nr_frames(segment), end - first);
	assert_ptr_equal(mslot_segment_type(segment), &noting);
}

static void assert_empty(struct mslot_segment *segment)
{
	struct mslot_segment out = {0};
	uint64_t start = 5, end = 6;

	assert_int_equal(segment->start, 0);
	assert_int_equal(segment->end, 0);
	assert_int_equal(mslot_segment_nr_frames(segment), 0);
	assert_null(mslot_segment_type(segment));
	assert_null(mslot_segment_next(segment));
	ANSWERS(MSLOT_INVALID, mslot_segment_clone(segment, &out));
	ANSWERS(MSLOT_INVALID, mslot_segment_slice(segment, 0, FRAME, &out));
	ANSWERS(MSLOT_INVALID, mslot_segment_split(segment, FRAME, &out));
	ANSWERS(MSLOT_INVALID, mslot_segment_into_raw(segment, &start, &end));
	ANSWERS(MSLOT_OK, (mslot_segment_drop(segment), MSLOT_OK));
	assert_int_equal(out.end, 0);
	assert_int_equal(start, 5);
	assert_int_equal(end, 6);
}

static void assert_all(unsigned first, unsigned end, enum mslot_status status, uint32_t refs, uint32_t raws)
{
	for (unsigned i = first; i < end; i++)
		assert_counts(i, status, refs, raws);
}

static uint64_t next_paddr;

static void init(void *ctx, uint64_t paddr, void *meta)
{
	static const struct meta zeros;

	assert_ptr_equal(ctx, &next_paddr);
	assert_int_equal(paddr, next_paddr);
	assert_memory_equal(meta, &zeros, sizeof(zeros));
	/* All frames are claimed, none is shared yet. */
	REFUSES(MSLOT_BUSY, mslot_frame_get(region, PADDR(2), &why));
	REFUSES(MSLOT_BUSY, mslot_frame_claim(region, PADDR(4), &immediate, NULL, &why));
	REFUSES(MSLOT_NOT_FORGOTTEN, mslot_frame_from_raw(region, PADDR(3), &why));
	assert_counts(3, MSLOT_STATUS_BUSY, 0, 0);
	((struct meta *)meta)->a = paddr;
	next_paddr += FRAME;
}

static void claim_takes_every_frame(void **state)
{
	struct mslot_segment segment;
	(void)state;

	next_paddr = PADDR(2);
	assert_err(mslot_segment_claim(region, PADDR(2), PADDR(5), &noting, init, &next_paddr, &segment), MSLOT_OK);
	assert_int_equal(next_paddr, PADDR(5));
	assert_segment(&segment, 2, 5);
	assert_all(2, 5, MSLOT_STATUS_SHARED, 1, 0);
	for (unsigned i = 2; i < 5; i++) {
		struct mslot_frame *frame = mslot_frame_get(region, PADDR(i), NULL);
		assert_int_equal(((const struct meta *)mslot_frame_meta(frame, &noting))->a, PADDR(i));
		mslot_frame_drop(frame);
	}
	assert_counts(1, MSLOT_STATUS_UNUSED, 0, 0);
	assert_counts(5, MSLOT_STATUS_UNUSED, 0, 0);
	mslot_segment_drop(&segment);
	assert_empty(&segment);
	assert_int_equal(drops, 3);
	assert_all(0, NR_FRAMES, MSLOT_STATUS_UNUSED, 0, 0);
	mslot_segment_drop(NULL);
}

static void never(void *ctx, uint64_t paddr, void *meta)
{
	(void)ctx, (void)paddr, (void)meta;
	fail_msg("called for a claim that fails");
}

static void claim_takes_all_or_nothing(void **state)
{
	struct mslot_segment out = {NULL, 1, 2};
	struct mslot_frame *frame = mslot_frame_claim(region, PADDR(6), &immediate, NULL, NULL);
	struct mslot_unique *unique = mslot_unique_claim(region, PADDR(9), &immediate, NULL, NULL);
	(void)state;

	assert_err(mslot_segment_claim(region, PADDR(2), PADDR(12), &noting, never, NULL, &out), MSLOT_IN_USE);
	assert_err(mslot_segment_claim(region, PADDR(7), PADDR(12), &noting, never, NULL, &out), MSLOT_UNIQUE);
	mslot_read_lock();
	mslot_frame_drop(mslot_frame_claim(region, PADDR(5), &deferred, NULL, NULL));
	assert_err(mslot_segment_claim(region, PADDR(4), PADDR(6), &noting, never, NULL, &out), MSLOT_BUSY);
	mslot_read_unlock();
	assert_counts(6, MSLOT_STATUS_SHARED, 1, 0);
	assert_counts(9, MSLOT_STATUS_UNIQUE, 1, 0);
	assert_all(2, 5, MSLOT_STATUS_UNUSED, 0, 0);
	assert_all(7, 9, MSLOT_STATUS_UNUSED, 0, 0);
	assert_all(10, 12, MSLOT_STATUS_UNUSED, 0, 0);
	assert_int_equal(out.start, 1);
	assert_int_equal(drops, 0);
	mslot_frame_drop(frame);
	mslot_unique_drop(unique);
}

static void claim_refuses_wrong_ranges(void **state)
{
	struct mslot_segment out = {NULL, 1, 2};
	(void)state;
#define CLAIM(start, end) mslot_segment_claim(region, start, end, &noting, never, NULL, &out)

	ANSWERS(MSLOT_INVALID, CLAIM(PADDR(3), PADDR(3)));
	ANSWERS(MSLOT_INVALID, CLAIM(PADDR(3), PADDR(2)));
	ANSWERS(MSLOT_INVALID, CLAIM(PADDR(3), 0));
	ANSWERS(MSLOT_INVALID, CLAIM(-FRAME, FRAME));
	ANSWERS(MSLOT_OUT_OF_BOUND, CLAIM(BASE - FRAME, PADDR(2)));
	ANSWERS(MSLOT_OUT_OF_BOUND, CLAIM(PADDR(3), END + FRAME));
	ANSWERS(MSLOT_OUT_OF_BOUND, CLAIM(PADDR(3), -FRAME));
	ANSWERS(MSLOT_OUT_OF_BOUND, CLAIM(0, -FRAME));
	ANSWERS(MSLOT_OUT_OF_BOUND, CLAIM(END, END + FRAME));
	ANSWERS(MSLOT_NOT_ALIGNED, CLAIM(PADDR(3) + 1, PADDR(5)));
	ANSWERS(MSLOT_NOT_ALIGNED, CLAIM(PADDR(3), PADDR(5) - 1));
	ANSWERS(MSLOT_NOT_ALIGNED, CLAIM(PADDR(3), UINT64_MAX));
#undef CLAIM
	ANSWERS(MSLOT_INVALID, mslot_segment_claim(region, BASE, PADDR(2), NULL, never, NULL, &out));
	ANSWERS(MSLOT_INVALID, mslot_segment_claim(region, BASE, PADDR(2), &noting, never, NULL, NULL));
	assert_int_equal(out.start, 1);
}

static void clone_and_slice_add_references(void **state)
{
	struct mslot_segment segment = claim(2, 8), copy = {0}, part = {0};
	(void)state;

	assert_err(mslot_segment_clone(&segment, &copy), MSLOT_OK);
	assert_segment(&copy, 2, 8);
	assert_all(2, 8, MSLOT_STATUS_SHARED, 2, 0);
	assert_err(mslot_segment_slice(&segment, FRAME, 3 * FRAME, &part), MSLOT_OK);
	assert_segment(&part, 3, 5);
	assert_all(3, 5, MSLOT_STATUS_SHARED, 3, 0);
	assert_counts(2, MSLOT_STATUS_SHARED, 2, 0);
	assert_counts(5, MSLOT_STATUS_SHARED, 2, 0);
	ANSWERS(MSLOT_INVALID, mslot_segment_clone(&segment, NULL));
	ANSWERS(MSLOT_INVALID, mslot_segment_slice(&segment, 0, FRAME, NULL));
	ANSWERS(MSLOT_INVALID, mslot_segment_slice(&segment, FRAME, FRAME, &part));
	ANSWERS(MSLOT_INVALID, mslot_segment_slice(&segment, 2 * FRAME, FRAME, &part));
	ANSWERS(MSLOT_NOT_ALIGNED, mslot_segment_slice(&segment, 1, FRAME, &part));
	ANSWERS(MSLOT_NOT_ALIGNED, mslot_segment_slice(&segment, 0, FRAME + 1, &part));
	ANSWERS(MSLOT_OUT_OF_BOUND, mslot_segment_slice(&segment, 0, 7 * FRAME, &part));
	ANSWERS(MSLOT_OUT_OF_BOUND, mslot_segment_slice(&segment, FRAME, -FRAME, &part));
	assert_segment(&part, 3, 5);
	mslot_segment_drop(&segment);
	mslot_segment_drop(&copy);
	assert_int_equal(drops, 4);
	mslot_segment_drop(&part);
	assert_int_equal(drops, 6);
}

static void split_moves_references(void **state)
{
	struct mslot_segment segment = claim(2, 8), rest = {0};
	(void)state;

	ANSWERS(MSLOT_NOT_ALIGNED, mslot_segment_split(&segment, FRAME + 1, &rest));
	ANSWERS(MSLOT_OUT_OF_BOUND, mslot_segment_split(&segment, 0, &rest));
	ANSWERS(MSLOT_OUT_OF_BOUND, mslot_segment_split(&segment, 6 * FRAME, &rest));
	ANSWERS(MSLOT_OUT_OF_BOUND, mslot_segment_split(&segment, -FRAME, &rest));
	ANSWERS(MSLOT_INVALID, mslot_segment_split(&segment, FRAME, NULL));
	/* Into itself: half of the references would be nobody's. */
	ANSWERS(MSLOT_INVALID, mslot_segment_split(&segment, FRAME, &segment));
	ANSWERS(MSLOT_INVALID, mslot_segment_slice(&segment, 0, FRAME, &segment));
	ANSWERS(MSLOT_INVALID, mslot_segment_clone(&segment, &segment));
	assert_segment(&segment, 2, 8);
	ANSWERS(MSLOT_OK, mslot_segment_split(&segment, 2 * FRAME, &rest));
	assert_segment(&segment, 2, 4);
	assert_segment(&rest, 4, 8);
	mslot_segment_drop(&segment);
	assert_all(4, 8, MSLOT_STATUS_SHARED, 1, 0);
	mslot_segment_drop(&rest);
}

static void next_takes_the_first_frame_off(void **state)
{
	struct mslot_segment segment = claim(2, 4), single = {0};
	struct mslot_frame *frame = mslot_segment_next(&segment);
	(void)state;

	assert_int_equal(mslot_frame_paddr(frame), PADDR(2));
	assert_segment(&segment, 3, 4);
	mslot_frame_drop(frame);
	frame = mslot_segment_next(&segment);
	assert_int_equal(mslot_frame_paddr(frame), PADDR(3));
	assert_empty(&segment);
	assert_counts(3, MSLOT_STATUS_SHARED, 1, 0);
	ANSWERS(MSLOT_INVALID, mslot_segment_from_frame(frame, NULL));
	ANSWERS(MSLOT_INVALID, mslot_segment_from_frame(NULL, &single));
	ANSWERS(MSLOT_OK, mslot_segment_from_frame(stale_frame(frame), &single));
	assert_segment(&single, 3, 4);
	mslot_segment_drop(&single);
}

static void into_raw_and_from_raw_move_all_references(void **state)
{
	struct mslot_segment segment = claim(2, 6), out = {NULL, 1, 2};
	uint64_t start = 0, end = 0;
	(void)state;
#define FROM_RAW(from, to) mslot_segment_from_raw(region, from, to, &out)

	ANSWERS(MSLOT_INVALID, mslot_segment_into_raw(&segment, NULL, &end));
	ANSWERS(MSLOT_INVALID, mslot_segment_into_raw(&segment, &start, NULL));
	assert_err(mslot_segment_into_raw(&segment, &start, &end), MSLOT_OK);
	assert_int_equal(start, PADDR(2));
	assert_int_equal(end, PADDR(6));
	assert_empty(&segment);
	assert_all(2, 6, MSLOT_STATUS_SHARED, 1, 1);
	ANSWERS(MSLOT_NOT_FORGOTTEN, FROM_RAW(PADDR(1), end));
	ANSWERS(MSLOT_NOT_FORGOTTEN, FROM_RAW(start, PADDR(7)));
	ANSWERS(MSLOT_INVALID, FROM_RAW(start, start));
	ANSWERS(MSLOT_INVALID, FROM_RAW(end, start));
	ANSWERS(MSLOT_NOT_ALIGNED, FROM_RAW(start + 1, end));
	ANSWERS(MSLOT_NOT_ALIGNED, FROM_RAW(start, end + 1));
	ANSWERS(MSLOT_OUT_OF_BOUND, FROM_RAW(BASE - FRAME, end));
	ANSWERS(MSLOT_OUT_OF_BOUND, FROM_RAW(start, END + FRAME));
	ANSWERS(MSLOT_INVALID, mslot_segment_from_raw(region, start, end, NULL));
	assert_int_equal(out.start, 1);
	assert_err(FROM_RAW(start, end), MSLOT_OK);
	assert_segment(&out, 2, 6);
	assert_all(2, 6, MSLOT_STATUS_SHARED, 1, 0);
	mslot_segment_drop(&out);
	/* A unique frame in the way, its handle forgotten. */
	assert_int_equal(mslot_unique_into_raw(mslot_unique_claim(region, PADDR(3), &immediate, NULL, NULL)), PADDR(3));
	ANSWERS(MSLOT_UNIQUE, FROM_RAW(PADDR(3), PADDR(4)));
	mslot_unique_drop(mslot_unique_from_raw(region, PADDR(3), NULL));
#undef FROM_RAW
}

/* Of a segment whose copy was dropped in part, the third frame is gone: calls on all take back what they did. */
static void a_dead_frame_in_the_middle_changes_nothing(void **state)
{
	struct mslot_segment segment = claim(2, 6), out = {NULL, 1, 2};
	struct mslot_frame *frame = mslot_frame_get(region, PADDR(4), NULL);
	uint64_t start = 1, end = 2;
	(void)state;

	mslot_frame_drop(stale_frame(frame));
	mslot_frame_drop(stale_frame(frame));
	FAULTS(MSLOT_FAULT_DEAD_HANDLE, "mslot_segment_clone",
	       assert_err(mslot_segment_clone(&segment, &out), MSLOT_INVALID));
	assert_int_equal(caught.last.paddr, PADDR(4));
	FAULTS(MSLOT_FAULT_DEAD_HANDLE, "mslot_segment_slice",
	       assert_err(mslot_segment_slice(&segment, FRAME, 4 * FRAME, &out), MSLOT_INVALID));
	FAULTS(MSLOT_FAULT_DEAD_HANDLE, "mslot_segment_into_raw",
	       assert_err(mslot_segment_into_raw(&segment, &start, &end), MSLOT_INVALID));
	assert_int_equal(caught.last.paddr, PADDR(4));
	assert_int_equal(out.start, 1);
	assert_int_equal(start, 1);
	assert_int_equal(segment.start, PADDR(2));
	faults_begin();
	mslot_segment_drop(&segment);
	mslot_set_fault_handler(NULL, NULL);
	assert_int_equal(caught.nr, 1);
	assert_int_equal(caught.last.kind, MSLOT_FAULT_OVER_DROP);
	assert_int_equal(caught.last.paddr, PADDR(4));
	assert_string_equal(caught.last.call, "mslot_segment_drop");
	assert_all(2, 6, MSLOT_STATUS_UNUSED, 0, 0);
	assert_int_equal(drops, 4);
}

static void a_full_count_in_the_middle_changes_nothing(void **state)
{
	struct mslot_segment segment = claim(0, 3), copy = {0}, out = {NULL, 1, 2};
	struct mslot_frame *frame = mslot_frame_get(region, PADDR(1), NULL);
	uint64_t start = 1, end = 2;
	(void)state;

	for (uint32_t i = 2; i < MSLOT_COUNT_MAX; i++)
		if (!mslot_frame_get(region, PADDR(1), NULL))
			fail();
	FAULTS(MSLOT_FAULT_OVERFLOW, "mslot_segment_clone",
	       assert_err(mslot_segment_clone(&segment, &out), MSLOT_OVERFLOW));
	assert_int_equal(caught.last.paddr, PADDR(1));
	FAULTS(MSLOT_FAULT_OVERFLOW, "mslot_segment_slice",
	       assert_err(mslot_segment_slice(&segment, 0, 2 * FRAME, &out), MSLOT_OVERFLOW));
	for (uint32_t i = 1; i < MSLOT_COUNT_MAX; i++)
		mslot_frame_drop(stale_frame(frame));
	assert_err(mslot_segment_clone(&segment, &copy), MSLOT_OK);
	frame = mslot_frame_get(region, PADDR(1), NULL);
	for (uint32_t i = 0; i < MSLOT_COUNT_MAX; i++)
		if (mslot_frame_clone_into_raw(frame) != PADDR(1))
			fail();
	mslot_frame_drop(frame);
	FAULTS(MSLOT_FAULT_OVERFLOW, "mslot_segment_into_raw",
	       assert_err(mslot_segment_into_raw(&segment, &start, &end), MSLOT_OVERFLOW));
	assert_int_equal(start, 1);
	for (uint32_t i = 0; i < MSLOT_COUNT_MAX; i++)
		if (mslot_frame_drop_raw(region, PADDR(1)))
			fail();
	mslot_segment_drop(&segment);
	mslot_segment_drop(&copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(claim_takes_every_frame),
		TEST(claim_takes_all_or_nothing),
		TEST(claim_refuses_wrong_ranges),
		TEST(clone_and_slice_add_references),
		TEST(split_moves_references),
		TEST(next_takes_the_first_frame_off),
		TEST(into_raw_and_from_raw_move_all_references),
		TEST(a_dead_frame_in_the_middle_changes_nothing),
		TEST(a_full_count_in_the_middle_changes_nothing),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
