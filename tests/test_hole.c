/* SPDX-License-Identifier: MIT
 *
 * Ranges that are no frames: nobody gets them, by address or by allocation, and marking them costs what the range
 * costs.
 */
#include "alloc/cache.h"
#include "table/region.h"
#include "table/scarce.h"

#include <stdatomic.h>
#include <sys/mman.h>

#include "util.h"

#define NR_LARGE (UINT64_C(1) << 18)
#define LARGE(index) ((uint64_t)(index)*FRAME)

static struct mslot_region *large;

static int large_setup(void **state)
{
	large = mslot_region_create(&(struct mslot_region_config){.nr_frames = NR_LARGE}, NULL);
	return large ? setup(state) : -1;
}

static int large_teardown(void **state)
{
	if (mslot_barrier(large) || !mslot_is_clean(large) || mslot_region_destroy(large))
		return -1;
	return teardown(state);
}

static enum mslot_err claim_why(struct mslot_region *of, uint64_t paddr)
{
	enum mslot_err why = MSLOT_OK;

	mslot_frame_drop(mslot_frame_claim(of, paddr, &immediate, NULL, &why));
	return why;
}

static enum mslot_status status(struct mslot_region *of, uint64_t paddr)
{
	struct mslot_view view;

	assert_err(mslot_view(of, paddr, &view), MSLOT_OK);
	return view.status;
}

static void assert_is_hole(struct mslot_region *of, uint64_t paddr)
{
	enum mslot_err why = MSLOT_OK;

	assert_int_equal(status(of, paddr), MSLOT_STATUS_HOLE);
	assert_err(claim_why(of, paddr), MSLOT_OUT_OF_BOUND);
	/* Of a type that is known by now, by the short way. */
	assert_null(mslot_frame_claim(of, paddr, &immediate, &(struct meta){7, 7}, &why));
	assert_err(why, MSLOT_OUT_OF_BOUND);
	assert_null(mslot_frame_get(of, paddr, &why));
	assert_err(why, MSLOT_OUT_OF_BOUND);
	assert_null(mslot_unique_claim(of, paddr, &immediate, NULL, &why));
	assert_err(why, MSLOT_OUT_OF_BOUND);
	mslot_read_lock();
	assert_null(mslot_peek(of, paddr, &deferred, &why));
	mslot_read_unlock();
	assert_err(why, MSLOT_OUT_OF_BOUND);
	assert_null(mslot_frame_from_raw(of, paddr, &why));
	assert_err(why, MSLOT_NOT_FORGOTTEN);
	assert_err(mslot_frame_drop_raw(of, paddr), MSLOT_NOT_FORGOTTEN);
}

static void a_hole_has_no_frames(void **state)
{
	struct mslot_segment segment;
	(void)state;

	assert_err(mslot_region_mark_hole(region, PADDR(3), PADDR(6)), MSLOT_OK);
	for (unsigned i = 0; i < NR_FRAMES; i++)
		if (i < 3 || i >= 6)
			assert_err(claim_why(region, PADDR(i)), MSLOT_OK);
		else
			assert_is_hole(region, PADDR(i));
	ANSWERS(MSLOT_OUT_OF_BOUND, mslot_segment_claim(region, PADDR(5), PADDR(7), &immediate, NULL, NULL, &segment));
	assert_true(mslot_is_clean(region));
}

static void whole_grains_stay_out_of_memory(void **state)
{
	struct mslot_audit audit;
	(void)state;

	/* Edges within grains, one of which was claimed before; whole grains between; the region's last grain. */
	assert_err(claim_why(large, LARGE(100)), MSLOT_OK);
	assert_err(claim_why(large, LARGE(5000)), MSLOT_OK);
	assert_err(mslot_region_mark_hole(large, LARGE(200), LARGE(NR_LARGE - 700)), MSLOT_OK);
	assert_err(mslot_region_mark_hole(large, LARGE(NR_LARGE - 100), LARGE(NR_LARGE)), MSLOT_OK);
	assert_err(mslot_audit(large, &audit), MSLOT_OK);
	assert_int_equal(audit.by_status[MSLOT_STATUS_HOLE], NR_LARGE - 900 + 100);
	assert_int_equal(audit.by_status[MSLOT_STATUS_UNUSED], 200 + 600);
	assert_int_equal(audit.nr_broken, 0);
	static const uint64_t holes[] = {
		200, 511, 512, 1023, 4999, 5000, 5001, 65536, NR_LARGE - 701, NR_LARGE - 100, NR_LARGE - 1};
	for (unsigned i = 0; i < sizeof(holes) / sizeof(holes[0]); i++)
		assert_is_hole(large, LARGE(holes[i]));
	static const uint64_t frames[] = {0, 199, NR_LARGE - 700, NR_LARGE - 101};
	for (unsigned i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
		assert_err(claim_why(large, LARGE(frames[i])), MSLOT_OK);
	static unsigned char resident[NR_LARGE * MSLOT_SLOT_BYTES / 4096];
	struct mslot_region *other = mslot_region_create(&(struct mslot_region_config){.nr_frames = NR_LARGE}, NULL);
	assert_non_null(other);
	assert_err(mslot_region_mark_hole(other, 0, LARGE(NR_LARGE)), MSLOT_OK);
	assert_int_equal(mincore(other->slots, NR_LARGE * MSLOT_SLOT_BYTES, resident), 0);
	for (unsigned i = 0; i < sizeof(resident); i++)
		assert_int_equal(resident[i] & 1, 0);
	assert_err(claim_why(other, LARGE(77777)), MSLOT_OUT_OF_BOUND);
	assert_err(mslot_region_destroy(other), MSLOT_OK);
}

static void allocation_finds_frames_beside_holes_only(void **state)
{
	struct mslot_segment segment;
	enum mslot_err why = MSLOT_OK;
	uint64_t nr = 0;
	(void)state;

	/* Hints of these exist already. */
	mslot_frame_drop(mslot_alloc_frame(large, &immediate, NULL, NULL, NULL));
	assert_err(mslot_region_mark_hole(large, LARGE(10), LARGE(NR_LARGE - 1000)), MSLOT_OK);
	assert_err(mslot_alloc_segment(large, 512, 512, &immediate, NULL, NULL, NULL, &segment), MSLOT_OK);
	assert_true(segment.start >= LARGE(NR_LARGE - 1000));
	mslot_segment_drop(&segment);
	assert_err(mslot_alloc_segment(large, 1001, 1, &immediate, NULL, NULL, NULL, &segment), MSLOT_NO_MEMORY);
	static struct mslot_frame *all[2000];
	for (struct mslot_frame *frame; (frame = mslot_alloc_frame(large, &immediate, NULL, NULL, &why)); nr++) {
		uint64_t index = mslot_frame_paddr(frame) / FRAME;
		assert_true(index < 10 || index >= NR_LARGE - 1000);
		all[nr] = frame;
	}
	assert_err(why, MSLOT_NO_MEMORY);
	assert_int_equal(nr, 1010);
	while (nr)
		mslot_frame_drop(all[--nr]);
}

static void a_refused_hole_changes_nothing(void **state)
{
	struct mslot_frame *frame = mslot_frame_claim(region, PADDR(5), &immediate, NULL, NULL);
	struct mslot_unique *unique = mslot_unique_claim(region, PADDR(9), &immediate, NULL, NULL);
	struct mslot_frame *far = mslot_frame_claim(large, LARGE(4000), &immediate, NULL, NULL);
	(void)state;

	assert_err(mslot_region_mark_hole(region, PADDR(3), PADDR(7)), MSLOT_IN_USE);
	assert_err(mslot_region_mark_hole(region, PADDR(8), PADDR(10)), MSLOT_UNIQUE);
	for (unsigned i = 0; i < NR_FRAMES; i++)
		assert_err(claim_why(region, PADDR(i)), i == 5 ? MSLOT_IN_USE : i == 9 ? MSLOT_UNIQUE : MSLOT_OK);
	assert_err(mslot_region_mark_hole(large, LARGE(300), LARGE(4001)), MSLOT_IN_USE);
	for (uint64_t i = 300; i < 4000; i += 100)
		assert_err(claim_why(large, LARGE(i)), MSLOT_OK);
	assert_err(mslot_region_mark_hole(large, LARGE(600), LARGE(700)), MSLOT_OK);
	assert_err(mslot_region_mark_hole(large, LARGE(512), LARGE(1024)), MSLOT_OUT_OF_BOUND);
	assert_err(claim_why(large, LARGE(599)), MSLOT_OK);
	assert_err(mslot_region_mark_hole(NULL, 0, FRAME), MSLOT_INVALID);
	ANSWERS(MSLOT_INVALID, mslot_region_mark_hole(region, PADDR(2), PADDR(2)));
	ANSWERS(MSLOT_INVALID, mslot_region_mark_hole(region, PADDR(3), PADDR(2)));
	ANSWERS(MSLOT_NOT_ALIGNED, mslot_region_mark_hole(region, PADDR(2) + 1, PADDR(3)));
	ANSWERS(MSLOT_NOT_ALIGNED, mslot_region_mark_hole(region, PADDR(2), PADDR(3) + 1));
	ANSWERS(MSLOT_OUT_OF_BOUND, mslot_region_mark_hole(region, PADDR(2), END + FRAME));
	ANSWERS(MSLOT_OUT_OF_BOUND, mslot_region_mark_hole(region, BASE - FRAME, PADDR(3)));
	mslot_frame_drop(frame);
	mslot_unique_drop(unique);
	mslot_frame_drop(far);
}

/* ---- while others claim ---- */

#define NR_RACED 4096

static _Atomic bool is_marked, stop;
static _Atomic uint64_t nr_claimed, nr_late;

static void *claim_all_over(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	assert_err(mslot_thread_register(), MSLOT_OK);
	while (!stop) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		bool was_marked = is_marked;
		enum mslot_err why = claim_why(large, LARGE((seed >> 33) % NR_RACED));
		nr_claimed += !why;
		nr_late += was_marked && why != MSLOT_OUT_OF_BOUND;
		mslot_quiescent_state();
	}
	assert_err(mslot_thread_unregister(), MSLOT_OK);
	return NULL;
}

static void nobody_claims_what_has_become_a_hole(void **state)
{
	pthread_t threads[2];
	enum mslot_err err;
	(void)state;

	is_marked = stop = false;
	nr_claimed = nr_late = 0;
	for (uintptr_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, claim_all_over, (void *)(i + 1)), 0);
	while (nr_claimed < 100)
		mslot_quiescent_state();
	while ((err = mslot_region_mark_hole(large, 0, LARGE(NR_RACED))))
		assert_true(err == MSLOT_BUSY || err == MSLOT_IN_USE);
	is_marked = true;
	for (unsigned i = 0; i < 1000; i++)
		assert_err(claim_why(large, LARGE(i)), MSLOT_OUT_OF_BOUND);
	mslot_thread_offline();
	usleep(20000);
	mslot_thread_online();
	stop = true;
	for (unsigned i = 0; i < 2; i++)
		join(threads[i]);
	assert_int_equal(nr_late, 0);
}

static void a_hole_is_no_unused_frame_where_those_are_counted(void **state)
{
	enum { NR = 64 };
	struct mslot_region *small = mslot_region_create(&(struct mslot_region_config){.nr_frames = NR}, NULL);
	struct mslot_frame *frames[NR];
	enum mslot_err why = MSLOT_OK;
	(void)state;

	assert_non_null(small);
	/* Before anything is allocated: so hints prove nothing, and frames are counted. */
	mslot_frame_drop(mslot_frame_claim(small, 0, &immediate, NULL, NULL));
	for (unsigned i = 0; i < NR; i++)
		assert_non_null(frames[i] = mslot_alloc_frame(small, &immediate, NULL, NULL, NULL));
	assert_null(mslot_alloc_frame(small, &immediate, NULL, NULL, &why));
	assert_err(why, MSLOT_NO_MEMORY);
	assert_true(scarce_is_none(small));
	uint64_t paddr = mslot_frame_paddr(frames[0]);
	mslot_frame_drop(frames[0]);
	assert_false(scarce_is_none(small));
	assert_err(mslot_region_mark_hole(small, paddr, paddr + FRAME), MSLOT_OK);
	assert_true(scarce_is_none(small));
	for (unsigned i = 1; i < NR; i++)
		mslot_frame_drop(frames[i]);
	assert_err(mslot_region_destroy(small), MSLOT_OK);
}

static void *fail_to_mark(void *arg)
{
	(void)arg;
	mslot_thread_register();
	while (!stop)
		nr_claimed += mslot_region_mark_hole(large, 0, LARGE(NR_LARGE)) == MSLOT_IN_USE;
	mslot_thread_unregister();
	return NULL;
}

/* An allocation that is led to a frame while it is marked passes it over, but not for good. */
static void a_refused_hole_loses_no_hints(void **state)
{
	struct mslot_frame *last = mslot_frame_claim(large, LARGE(NR_LARGE - 1), &immediate, NULL, NULL);
	uint64_t nr_lost = 0;
	pthread_t thread;
	(void)state;

	mslot_frame_drop(mslot_alloc_frame(large, &immediate, NULL, NULL, NULL));
	stop = false;
	nr_claimed = 0;
	assert_int_equal(pthread_create(&thread, NULL, fail_to_mark, NULL), 0);
	for (unsigned i = 0; i < 2000 || nr_claimed < 20; i++) {
		mslot_frame_drop(mslot_alloc_frame(large, &immediate, NULL, NULL, NULL));
		cache_flush();
		mslot_quiescent_state();
	}
	stop = true;
	join(thread);
	cache_flush();
	for (uint64_t i = 0; i < NR_LARGE; i++)
		nr_lost +=
			!region_is_touched(large, i) && !(free_index_row(large->ranges[0].hints, i / 64) >> i % 64 & 1);
	assert_int_equal(nr_lost, 0);
	mslot_frame_drop(last);
}

/* Passes over the slots add generations up: none may shrink. */
static void a_hole_keeps_the_generation_of_its_frames(void **state)
{
	struct mslot_frame *last = mslot_frame_claim(large, LARGE(1024), &immediate, NULL, NULL);
	struct mslot_view view;
	(void)state;

	assert_err(mslot_region_mark_hole(large, 0, LARGE(1025)), MSLOT_IN_USE);
	assert_err(mslot_region_mark_hole(large, 0, LARGE(512)), MSLOT_OK);
	assert_err(mslot_view(large, LARGE(5), &view), MSLOT_OK);
	assert_int_equal(view.generation, 1);
	mslot_frame_drop(last);
}

/* What was taken and is unused again has another generation, though it never was in memory. More often than a grain can
 * tell, too. */
static void a_refused_hole_counts_as_a_use(void **state)
{
	struct mslot_frame *last = mslot_frame_claim(large, LARGE(NR_LARGE - 1), &immediate, NULL, NULL);
	struct mslot_view view;
	uint32_t before = 0;
	(void)state;

	for (unsigned i = 0; i < 70; i++) {
		assert_err(mslot_region_mark_hole(large, 0, LARGE(NR_LARGE)), MSLOT_IN_USE);
		for (uint64_t at = 0; at < 1024; at += 511) {
			assert_err(mslot_view(large, LARGE(at), &view), MSLOT_OK);
			assert_int_equal(view.generation, before + 1);
		}
		before = view.generation;
		if (i == 20)
			assert_false(region_is_touched(large, 0));
	}
	mslot_frame_drop(mslot_frame_claim(large, 0, &immediate, NULL, NULL));
	assert_err(mslot_view(large, 0, &view), MSLOT_OK);
	assert_int_equal(view.generation, before + 1);
	assert_err(mslot_view(large, LARGE(1), &view), MSLOT_OK);
	assert_int_equal(view.generation, before);
	mslot_frame_drop(last);
}

/* Claimed before the count is full. */
static void what_was_marked_in_vain_is_claimed_with_its_generation(void **state)
{
	struct mslot_frame *last = mslot_frame_claim(large, LARGE(NR_LARGE - 1), &immediate, NULL, NULL), *frame;
	struct mslot_view view;
	(void)state;

	for (unsigned i = 0; i < 3; i++)
		assert_err(mslot_region_mark_hole(large, 0, LARGE(NR_LARGE)), MSLOT_IN_USE);
	frame = mslot_frame_claim(large, LARGE(7), &immediate, NULL, NULL);
	for (uint64_t at = 0; at < 512; at += 73) {
		assert_err(mslot_view(large, LARGE(at), &view), MSLOT_OK);
		assert_int_equal(view.generation, 3);
	}
	assert_err(mslot_region_mark_hole(large, LARGE(512), LARGE(1024)), MSLOT_OK);
	mslot_frame_drop(frame);
	mslot_frame_drop(last);
}

/* Marked while another thread made the index, whose hints say that all is free. */
static void hints_of_a_hole_are_followed_once(void **state)
{
	struct mslot_segment run;
	(void)state;

	large->hints_stage = HINTS_MAKING;
	assert_err(mslot_region_mark_hole(large, 0, LARGE(512)), MSLOT_OK);
	large->hints_stage = HINTS_NONE;
	assert_err(mslot_alloc_segment(large, 512, 512, &immediate, NULL, NULL, NULL, &run), MSLOT_OK);
	assert_int_equal(run.start, LARGE(512));
	assert_int_equal(free_index_row(large->ranges[0].hints, 0) & 1, 0);
	mslot_segment_drop(&run);
}

#define TEST_LARGE(fn) cmocka_unit_test_setup_teardown(fn, large_setup, large_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_LARGE(a_hole_has_no_frames),
		TEST_LARGE(whole_grains_stay_out_of_memory),
		TEST_LARGE(allocation_finds_frames_beside_holes_only),
		TEST_LARGE(a_refused_hole_changes_nothing),
		TEST_LARGE(nobody_claims_what_has_become_a_hole),
		TEST_LARGE(a_refused_hole_loses_no_hints),
		TEST_LARGE(a_hole_keeps_the_generation_of_its_frames),
		TEST_LARGE(a_refused_hole_counts_as_a_use),
		TEST_LARGE(what_was_marked_in_vain_is_claimed_with_its_generation),
		TEST_LARGE(hints_of_a_hole_are_followed_once),
		cmocka_unit_test_setup_teardown(a_hole_is_no_unused_frame_where_those_are_counted, setup, teardown),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
