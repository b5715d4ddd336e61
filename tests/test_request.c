/* SPDX-License-Identifier: MIT
 *
 * Where the indexes have a run, compared with a search frame by frame, over a region of three ranges; and that such a
 * run is allocated.
 */
#include "alloc/cache.h"
#include "alloc/request.h"

#include "util.h"

enum { MANY = 64 * 40 - 5 };

static struct mslot_region *many;
static bool is_free[MANY];

static void set(uint64_t at, bool becomes_free)
{
	void (*move)(struct free_index * index, uint64_t row, uint64_t mask) =
		becomes_free ? free_index_give : free_index_take;

	move(cache_index_of(many, at / 64), at / 64, UINT64_C(1) << at % 64);
	is_free[at] = becomes_free;
}

static void set_all(bool becomes_free)
{
	for (uint64_t at = 0; at < MANY; at++)
		set(at, becomes_free);
}

static bool is_wanted(const struct request *request, uint64_t at)
{
	return request->node == NODE_ANY || region_range_of(many, at)->node == request->node;
}

/* Frame by frame; MANY: there is none. */
static uint64_t first_run(const struct request *request, uint64_t from)
{
	for (uint64_t at = from; at + request->nr_frames <= MANY; at++) {
		uint64_t nr = 0;

		while (nr < request->nr_frames && is_free[at + nr] && is_wanted(request, at + nr))
			nr++;
		if (at % request->align_frames == 0 && nr == request->nr_frames)
			return at;
	}
	return MANY;
}

static void compare(uint64_t nr, uint64_t align, unsigned node, uint64_t from)
{
	const struct request request = {many, &immediate, nr, align, 0, node};
	uint64_t at = from, expected = first_run(&request, from);

	if (!request_is_hinted(&request, &at))
		at = MANY;
	if (at != expected)
		fail_msg("%u frames from a multiple of %u on, node %u, from %u: %u, not %u", (unsigned)nr,
			 (unsigned)align, node, (unsigned)from, (unsigned)at, (unsigned)expected);
}

static void compare_all(void)
{
	static const uint64_t lengths[] = {1, 2, 3, 63, 64, 65, 100, 128, 200, 700};

	for (unsigned l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++)
		for (uint64_t align = 1; align <= 256; align *= 4)
			for (unsigned node = 0; node < 3; node++)
				for (uint64_t from = 0; from < 200; from += 67)
					compare(lengths[l], align, node == 2 ? NODE_ANY : node, from);
}

static void all_and_nothing(void **state)
{
	(void)state;
	set_all(true);
	compare_all();
	set_all(false);
	compare_all();
}

/* Over the end of a row, of a range, and of the region. */
static void runs_that_lie_across(void **state)
{
	static const uint64_t starts[] = {63, 60, 1, 64 * 8 - 1, 64 * 16 - 40, 64 * 30 - 90, MANY - 3};
	(void)state;

	for (unsigned i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		set_all(false);
		for (uint64_t at = starts[i]; at < starts[i] + 130 && at < MANY; at++) {
			set(at, true);
			compare(2, 1, NODE_ANY, 0);
			compare(3, 2, 1, 0);
		}
		compare_all();
	}
}

static void whatever_is_free(void **state)
{
	uint64_t random = 88172645463325252;
	(void)state;

	for (unsigned round = 0; round < 30; round++) {
		/* Stretches of up to 2, 4, ... 1024. */
		for (uint64_t at = 0; at < MANY;) {
			random ^= random << 13, random ^= random >> 7, random ^= random << 17;
			uint64_t nr = random % (UINT64_C(2) << round % 10) + 1;

			for (; nr && at < MANY; nr--)
				set(at++, random >> 60 & 1);
		}
		compare_all();
	}
}

/* A look at the slots would find another one first. */
static void a_run_over_two_rows_is_found_by_hints(void **state)
{
	static struct mslot_frame *held[MANY];
	struct slot *slots = many->slots;
	struct mslot_segment run;
	uint64_t words[2];
	(void)state;

	set_all(true);
	for (uint64_t i = 0; i < MANY; i++) {
		struct mslot_frame *frame = mslot_alloc_frame(many, &immediate, NULL, NULL, NULL);

		assert_non_null(frame);
		held[mslot_frame_paddr(frame) / FRAME] = frame;
	}
	mslot_frame_drop(held[63]);
	mslot_frame_drop(held[64]);
	for (unsigned i = 0; i < 2; i++) {
		words[i] = slot_word(&slots[10 + i]);
		atomic_store(&slots[10 + i].state, state_recycle(words[i]));
	}
	assert_err(mslot_alloc_segment(many, 2, 1, &immediate, NULL, NULL, NULL, &run), MSLOT_OK);
	assert_int_equal(run.start, 63 * FRAME);
	for (unsigned i = 0; i < 2; i++)
		atomic_store(&slots[10 + i].state, words[i]);
	mslot_segment_drop(&run);
	for (uint64_t i = 0; i < MANY; i++)
		if (i != 63 && i != 64)
			mslot_frame_drop(held[i]);
}

static int make(void **state)
{
	static const struct mslot_node_range ranges[] = {{0, 0}, {FRAME * 64 * 16, 1}, {FRAME * 64 * 30, 0}};
	const struct mslot_region_config config = {
		.nr_frames = MANY, .node_ranges = ranges, .nr_node_ranges = sizeof(ranges) / sizeof(ranges[0])};

	(void)state;
	/* Two nodes. */
	if (setenv("HWLOC_SYNTHETIC", "numa:2 pu:1", 1) || mslot_thread_register())
		return -1;
	many = mslot_region_create(&config, NULL);
	return many && cache_make_indexes(many) ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	return mslot_region_destroy(many) || mslot_thread_unregister();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_and_nothing),
		cmocka_unit_test(runs_that_lie_across),
		cmocka_unit_test(whatever_is_free),
		cmocka_unit_test(a_run_over_two_rows_is_found_by_hints),
	};
	return cmocka_run_group_tests(tests, make, end);
}
