/* SPDX-License-Identifier: MIT
 *
 * Finding free frames: what the calls give, what they refuse, and that "none" is only said when there is none.
 */
#include "table/give_back.h"

#include "util.h"

static const struct mslot_alloc_options may_wait = {.flags = MSLOT_ALLOC_MAY_WAIT};
static const struct mslot_alloc_options zeroed = {.flags = MSLOT_ALLOC_ZEROED};

static struct mslot_frame *alloc_one(const struct mslot_type *type)
{
	return mslot_alloc_frame(region, type, &(struct meta){1, 2}, NULL, NULL);
}

static void an_allocated_frame_is_shared_with_its_metadata(void **state)
{
	(void)state;
	struct mslot_frame *frame = alloc_one(&immediate);

	assert_non_null(frame);
	assert_ptr_equal(mslot_frame_type(frame), &immediate);
	assert_int_equal(((const struct meta *)mslot_frame_meta(frame, &immediate))->b, 2);
	assert_int_equal(mslot_frame_ref_count(frame), 1);
	mslot_frame_drop(frame);
	frame = mslot_alloc_frame(region, &immediate, NULL, NULL, NULL);
	assert_non_null(frame);
	assert_int_equal(((const struct meta *)mslot_frame_meta(frame, &immediate))->b, 0);
	mslot_frame_drop(frame);
}

static void an_allocated_unique_frame_is_unique(void **state)
{
	(void)state;
	struct mslot_unique *unique = mslot_alloc_unique(region, &deferred, &(struct meta){1, 2}, NULL, NULL);
	enum mslot_err why = MSLOT_OK;

	assert_non_null(unique);
	assert_null(mslot_frame_get(region, mslot_unique_paddr(unique), &why));
	assert_err(why, MSLOT_UNIQUE);
	assert_int_equal(((struct meta *)mslot_unique_meta(unique, &deferred))->a, 1);
	mslot_unique_drop(unique);
}

static void every_frame_is_found_once(void **state)
{
	(void)state;
	struct mslot_frame *frames[NR_FRAMES];
	bool seen[NR_FRAMES] = {false};

	for (int round = 0; round < 3; round++) {
		memset(seen, 0, sizeof(seen));
		for (unsigned i = 0; i < NR_FRAMES; i++) {
			frames[i] = alloc_one(round == 1 ? &deferred : &immediate);
			assert_non_null(frames[i]);
			uint64_t index = (mslot_frame_paddr(frames[i]) - BASE) / FRAME;
			assert_false(seen[index]);
			seen[index] = true;
		}
		REFUSES(MSLOT_NO_MEMORY, mslot_alloc_frame(region, &immediate, NULL, NULL, &why));
		REFUSES(MSLOT_NO_MEMORY, mslot_alloc_unique(region, &immediate, NULL, NULL, &why));
		for (unsigned i = 0; i < NR_FRAMES; i++)
			mslot_frame_drop(frames[i]);
		assert_int_equal(mslot_barrier(region), MSLOT_OK);
	}
}

/* Its slot is in the cache, and its memory, where there is any, too. */
static void a_frame_freed_alone_is_allocated_next(void **state)
{
	(void)state;
	struct mslot_frame *frames[6];

	for (unsigned i = 0; i < 6; i++)
		frames[i] = alloc_one(&immediate);
	for (unsigned i = 0; i < 6; i++) {
		struct mslot_frame *last = frames[5 - i];

		mslot_frame_drop(last);
		assert_ptr_equal(alloc_one(&immediate), last);
	}
	/* The others are not forgotten over it. */
	mslot_frame_drop(frames[3]);
	mslot_frame_drop(frames[1]);
	mslot_frame_drop(frames[4]);
	assert_ptr_equal(alloc_one(&immediate), frames[3]);
	assert_ptr_equal(alloc_one(&immediate), frames[1]);
	assert_ptr_equal(alloc_one(&immediate), frames[4]);
	for (unsigned i = 0; i < 6; i++)
		mslot_frame_drop(frames[i]);
}

static void frames_claimed_by_address_and_allocated_mix(void **state)
{
	(void)state;
	struct mslot_frame *held[NR_FRAMES], *frame;

	for (unsigned i = 0; i < NR_FRAMES; i++)
		assert_non_null(held[i] = mslot_frame_claim(region, PADDR(i), &immediate, NULL, NULL));
	for (unsigned i = 0; i < NR_FRAMES; i++) {
		mslot_frame_drop(held[i]);
		frame = alloc_one(&immediate);
		assert_non_null(frame);
		assert_int_equal(mslot_frame_paddr(frame), PADDR(i));
		mslot_frame_drop(frame);
		assert_non_null(held[i] = mslot_frame_claim(region, PADDR(i), &immediate, NULL, NULL));
	}
	REFUSES(MSLOT_NO_MEMORY, mslot_alloc_frame(region, &immediate, NULL, NULL, &why));
	for (unsigned i = 0; i < NR_FRAMES; i++)
		mslot_frame_drop(held[i]);
}

/* reset_as_unused does not give back, but "none" would be a lie. */
static void a_frame_that_was_not_given_back_is_found_before_none_is_said(void **state)
{
	(void)state;
	struct mslot_frame *frames[NR_FRAMES];
	struct mslot_unique *unique;

	for (unsigned i = 0; i < NR_FRAMES; i++)
		assert_non_null(frames[i] = alloc_one(&immediate));
	unique = mslot_frame_try_unique(frames[7], NULL);
	assert_non_null(unique);
	mslot_unique_reset_as_unused(unique);
	assert_non_null(frames[7] = alloc_one(&immediate));
	for (unsigned i = 0; i < NR_FRAMES; i++)
		mslot_frame_drop(frames[i]);
}

static void retired_frames_are_waited_for_where_that_is_allowed(void **state)
{
	(void)state;
	struct mslot_frame *frames[NR_FRAMES];
	enum mslot_err why = MSLOT_OK;

	for (unsigned i = 0; i < NR_FRAMES; i++)
		assert_non_null(frames[i] = alloc_one(&deferred));
	/* A reader keeps them. */
	mslot_read_lock();
	for (unsigned i = 0; i < NR_FRAMES; i++)
		mslot_frame_drop(frames[i]);
	assert_null(mslot_alloc_frame(region, &deferred, NULL, NULL, &why));
	assert_err(why, MSLOT_NO_MEMORY);
	if (strcmp(TEST_FLAVOR, "qsbr") != 0) {
		assert_null(mslot_alloc_frame(region, &deferred, NULL, &may_wait, &why));
		assert_err(why, MSLOT_BUSY);
	}
	mslot_read_unlock();
	for (unsigned i = 0; i < NR_FRAMES; i++)
		assert_non_null(frames[i] = mslot_alloc_frame(region, &deferred, NULL, &may_wait, NULL));
	assert_null(mslot_alloc_frame(region, &deferred, NULL, &may_wait, &why));
	assert_err(why, MSLOT_NO_MEMORY);
	for (unsigned i = 0; i < NR_FRAMES; i++)
		mslot_frame_drop(frames[i]);
}

static struct mslot_segment held_by_on_drop;

static void drop_what_is_held(void *meta, uint64_t paddr, void *memory)
{
	(void)meta;
	(void)paddr;
	(void)memory;
	mslot_segment_drop(&held_by_on_drop);
}

/* What it holds is not retired before. */
static void what_a_retired_frame_holds_is_waited_for(void **state)
{
	static const struct mslot_type holder = {
		.meta_bytes = sizeof(struct meta), .meta_align = 8, .on_drop = drop_what_is_held};
	struct mslot_segment run;
	(void)state;
	struct mslot_frame *frame = alloc_one(&holder);

	assert_err(mslot_alloc_segment(region, NR_FRAMES - 1, 1, &immediate, NULL, NULL, NULL, &held_by_on_drop),
		   MSLOT_OK);
	mslot_frame_drop(frame);
	assert_err(mslot_alloc_segment(region, 2, 1, &immediate, NULL, NULL, &may_wait, &run), MSLOT_OK);
	mslot_segment_drop(&run);
}

/* While a region counts, all drops of all regions take a slower path. */
static void a_small_region_counts_while_it_is_full_only(void **state)
{
	enum mslot_err why = MSLOT_OK;
	struct mslot_frame *frames[NR_FRAMES];
	struct mslot_stats before, after;
	(void)state;

	assert_err(mslot_barrier(region), MSLOT_OK);
	for (unsigned nr = 1; nr <= NR_FRAMES; nr++) {
		struct mslot_region *small = mslot_region_create(&(struct mslot_region_config){.nr_frames = nr}, NULL);
		assert_non_null(small);
		/* By address, so that hints do not tell. */
		for (unsigned i = 0; i < nr; i++)
			assert_non_null(frames[i] = mslot_frame_claim(small, i * FRAME, &immediate, NULL, NULL));
		/* Nor is anything waited for, where nothing is retired. */
		mslot_stats(&before);
		assert_null(mslot_alloc_frame(small, &immediate, NULL, &may_wait, &why));
		assert_err(why, MSLOT_NO_MEMORY);
		mslot_stats(&after);
		assert_int_equal(after.grace_periods, before.grace_periods);
		assert_int_equal(scarce_attention & ~GIVE_BACK_WANTED, 0);
		assert_null(mslot_alloc_frame(small, &immediate, NULL, NULL, &why));
		assert_err(why, MSLOT_NO_MEMORY);
		assert_int_equal(scarce_attention & ~GIVE_BACK_WANTED, SCARCE_ATTENTION_ONE);
		for (unsigned i = 0; i < nr; i++)
			mslot_frame_drop(frames[i]);
		assert_int_equal(scarce_attention & ~GIVE_BACK_WANTED, 0);
		assert_err(mslot_region_destroy(small), MSLOT_OK);
	}
}

static void the_payload_is_zeroed_where_that_is_asked_for(void **state)
{
	(void)state;
	struct mslot_segment run;
	struct mslot_frame *frame;

	memset(payload, 0xa5, sizeof(payload));
	frame = mslot_alloc_frame(region, &immediate, NULL, &zeroed, NULL);
	assert_non_null(frame);
	for (unsigned i = 0; i < FRAME; i++)
		assert_int_equal(((char *)mslot_frame_memory(frame))[i], 0);
	assert_err(mslot_alloc_segment(region, 4, 4, &immediate, NULL, NULL, &zeroed, &run), MSLOT_OK);
	for (uint64_t i = run.start - BASE; i < run.end - BASE; i++)
		assert_int_equal(payload[i], 0);
	uint64_t nr_zeros = 0;
	for (unsigned i = 0; i < sizeof(payload); i++)
		nr_zeros += payload[i] == 0;
	assert_int_equal(nr_zeros, 5 * FRAME);
	mslot_frame_drop(frame);
	mslot_segment_drop(&run);
}

static void note_paddr(void *ctx, uint64_t paddr, void *meta)
{
	uint64_t *next = ctx;

	assert_int_equal(((struct meta *)meta)->b, 0);
	((struct meta *)meta)->a = paddr;
	if (*next)
		assert_int_equal(paddr, *next);
	*next = paddr + FRAME;
}

static void a_run_is_contiguous_aligned_and_filled(void **state)
{
	(void)state;
	struct mslot_frame *frame = mslot_frame_claim(region, PADDR(1), &immediate, NULL, NULL);
	struct mslot_segment run, rest, untouched = {NULL, 1, 2};
	uint64_t next = 0;

	assert_non_null(frame);
	assert_err(mslot_alloc_segment(region, 3, 4, &deferred, note_paddr, &next, NULL, &run), MSLOT_OK);
	assert_int_equal((run.start - BASE) % (4 * FRAME), 0);
	assert_int_equal(run.end - run.start, 3 * FRAME);
	assert_int_equal(next, run.end);
	for (uint64_t paddr = run.start; paddr < run.end; paddr += FRAME) {
		struct mslot_frame *one = mslot_frame_get(region, paddr, NULL);
		assert_non_null(one);
		assert_int_equal(((const struct meta *)mslot_frame_meta(one, &deferred))->a, paddr);
		mslot_frame_drop(one);
	}
	assert_err(mslot_alloc_segment(region, 8, 8, &immediate, NULL, NULL, NULL, &rest), MSLOT_OK);
	assert_int_equal(rest.start, PADDR(8));
	ANSWERS(MSLOT_NO_MEMORY, mslot_alloc_segment(region, 8, 8, &immediate, NULL, NULL, NULL, &untouched));
	ANSWERS(MSLOT_NO_MEMORY, mslot_alloc_segment(region, 17, 1, &immediate, NULL, NULL, NULL, &untouched));
	ANSWERS(MSLOT_NO_MEMORY, mslot_alloc_segment(region, 2, 32, &immediate, NULL, NULL, NULL, &untouched));
	assert_ptr_equal(untouched.region, NULL);
	assert_int_equal(untouched.start, 1);
	mslot_segment_drop(&run);
	mslot_segment_drop(&rest);
	mslot_frame_drop(frame);
}

/* Every subset of frames held, every length, every alignment: a run is found if and only if there is one. */
static void a_run_is_found_if_it_exists(void **state)
{
	(void)state;
	struct mslot_frame *held[NR_FRAMES] = {NULL};
	uint32_t seed = 1;

	for (int round = 0; round < 200; round++) {
		unsigned mask = 0;
		for (unsigned i = 0; i < NR_FRAMES; i++) {
			seed = seed * 1664525 + 1013904223;
			if (seed >> 30 != 0)
				continue;
			mask |= 1u << i;
			assert_non_null(held[i] = mslot_frame_claim(region, PADDR(i), &immediate, NULL, NULL));
		}
		for (uint64_t align = 1; align <= NR_FRAMES; align *= 2)
			for (uint64_t nr = 1; nr <= NR_FRAMES; nr++) {
				struct mslot_segment run;
				bool exists = false;
				for (uint64_t at = 0; at + nr <= NR_FRAMES; at += align)
					exists |= !(mask >> at & ((1u << nr) - 1));
				enum mslot_err err =
					mslot_alloc_segment(region, nr, align, &immediate, NULL, NULL, NULL, &run);
				assert_err(err, exists ? MSLOT_OK : MSLOT_NO_MEMORY);
				if (!exists)
					continue;
				assert_int_equal((run.start - BASE) / FRAME % align, 0);
				assert_int_equal(mslot_segment_nr_frames(&run), nr);
				mslot_segment_drop(&run);
			}
		for (unsigned i = 0; i < NR_FRAMES; i++) {
			mslot_frame_drop(held[i]);
			held[i] = NULL;
		}
	}
}

static void wrong_requests_are_refused(void **state)
{
	(void)state;
	const struct mslot_alloc_options unknown = {.flags = 1u << 31};
	const struct mslot_type too_large = {.meta_bytes = MSLOT_META_MAX + 1};
	struct mslot_segment run;
	enum mslot_err err;

	REFUSES(MSLOT_INVALID, mslot_alloc_frame(region, NULL, NULL, NULL, &why));
	REFUSES(MSLOT_INVALID, mslot_alloc_frame(region, &too_large, NULL, NULL, &why));
	REFUSES(MSLOT_INVALID, mslot_alloc_frame(region, &immediate, NULL, &unknown, &why));
	REFUSES(MSLOT_INVALID, mslot_alloc_unique(region, NULL, NULL, NULL, &why));
	ANSWERS(MSLOT_INVALID, mslot_alloc_segment(region, 0, 1, &immediate, NULL, NULL, NULL, &run));
	ANSWERS(MSLOT_INVALID, mslot_alloc_segment(region, 1, 3, &immediate, NULL, NULL, NULL, &run));
	ANSWERS(MSLOT_INVALID, mslot_alloc_segment(region, 1, 1, NULL, NULL, NULL, NULL, &run));
	ANSWERS(MSLOT_INVALID, mslot_alloc_segment(region, 1, 1, &immediate, NULL, NULL, NULL, NULL));
	struct mslot_region *bare = mslot_region_create(&(struct mslot_region_config){.nr_frames = 1}, NULL);
	assert_non_null(bare);
	assert_null(mslot_alloc_frame(bare, &immediate, NULL, &zeroed, &err));
	assert_err(err, MSLOT_INVALID);
	assert_err(mslot_region_destroy(bare), MSLOT_OK);
}

static void the_backlog_limit_refuses_deferred_types_only(void **state)
{
	(void)state;
	struct mslot_region *limited =
		mslot_region_create(&(struct mslot_region_config){.nr_frames = 1024, .backlog_limit = 1}, NULL);
	struct mslot_frame *frame;
	enum mslot_err why = MSLOT_OK;

	assert_non_null(limited);
	mslot_read_lock();
	for (int i = 0; i < 1000 && (frame = mslot_alloc_frame(limited, &deferred, NULL, NULL, &why)); i++)
		mslot_frame_drop(frame);
	assert_err(why, MSLOT_BUSY);
	frame = mslot_alloc_frame(limited, &immediate, NULL, NULL, &why);
	assert_non_null(frame);
	mslot_frame_drop(frame);
	mslot_read_unlock();
	assert_err(mslot_region_destroy(limited), MSLOT_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_allocated_frame_is_shared_with_its_metadata),
		TEST(an_allocated_unique_frame_is_unique),
		TEST(every_frame_is_found_once),
		TEST(a_frame_freed_alone_is_allocated_next),
		TEST(frames_claimed_by_address_and_allocated_mix),
		TEST(a_frame_that_was_not_given_back_is_found_before_none_is_said),
		TEST(retired_frames_are_waited_for_where_that_is_allowed),
		TEST(what_a_retired_frame_holds_is_waited_for),
		TEST(a_small_region_counts_while_it_is_full_only),
		TEST(the_payload_is_zeroed_where_that_is_asked_for),
		TEST(a_run_is_contiguous_aligned_and_filled),
		TEST(a_run_is_found_if_it_exists),
		TEST(wrong_requests_are_refused),
		TEST(the_backlog_limit_refuses_deferred_types_only),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
