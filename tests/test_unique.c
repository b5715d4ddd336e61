/* SPDX-License-Identifier: MIT
 *
 * Every call of unique.h: what it gives, every refusal and every fault with the table unchanged.
 * What waits for readers (repurposing a frame that was shared before) is in test_reclaim.c.
 */
#include "table/give_back.h"
#include "table/region.h"

#include "util.h"

static const struct meta seven = {7, 8};

static struct mslot_unique *claim(unsigned index, const struct mslot_type *type)
{
	enum mslot_err why = MSLOT_OK;
	struct mslot_unique *unique = mslot_unique_claim(region, PADDR(index), type, &seven, &why);

	assert_err(why, MSLOT_OK);
	assert_non_null(unique);
	return unique;
}

static void claim_gives_the_only_handle(void **state)
{
	struct mslot_unique *unique = claim(3, &noting);
	struct meta *meta = mslot_unique_meta(unique, &noting);
	(void)state;

	assert_int_equal(mslot_unique_paddr(unique), PADDR(3));
	assert_ptr_equal(mslot_unique_region(unique), region);
	assert_ptr_equal(mslot_unique_type(unique), &noting);
	assert_ptr_equal(mslot_unique_memory(unique), payload + 3 * FRAME);
	assert_null(mslot_unique_meta(unique, &immediate));
	assert_memory_equal(meta, &seven, sizeof(seven));
	assert_counts(3, MSLOT_STATUS_UNIQUE, 1, 0);
	assert_ptr_equal(view_at(3).type, &noting);
	meta->a = 99;
	mslot_unique_drop(NULL);
	mslot_unique_drop(unique);
	assert_int_equal(drops, 1);
	assert_int_equal(dropped_a, 99);
	assert_int_equal(dropped_paddr, PADDR(3));
	assert_ptr_equal(dropped_memory, payload + 3 * FRAME);
	assert_counts(3, MSLOT_STATUS_UNUSED, 0, 0);
}

static void claim_refuses_what_a_frame_claim_refuses(void **state)
{
	static const struct mslot_type wrong = {.meta_bytes = MSLOT_META_MAX + 1};
	struct mslot_frame *frame = mslot_frame_claim(region, PADDR(1), &immediate, &seven, NULL);
	struct mslot_unique *unique = claim(2, &immediate), *deferred_one = claim(4, &deferred);
	(void)state;

	mslot_read_lock();
	mslot_unique_drop(deferred_one);
	REFUSES(MSLOT_IN_USE, mslot_unique_claim(region, PADDR(1), &immediate, &seven, &why));
	REFUSES(MSLOT_UNIQUE, mslot_unique_claim(region, PADDR(2), &immediate, &seven, &why));
	REFUSES(MSLOT_BUSY, mslot_unique_claim(region, PADDR(4), &immediate, &seven, &why));
	REFUSES(MSLOT_OUT_OF_BOUND, mslot_unique_claim(region, END, &immediate, &seven, &why));
	REFUSES(MSLOT_NOT_ALIGNED, mslot_unique_claim(region, BASE + 1, &immediate, &seven, &why));
	REFUSES(MSLOT_INVALID, mslot_unique_claim(region, PADDR(0), NULL, &seven, &why));
	REFUSES(MSLOT_INVALID, mslot_unique_claim(region, PADDR(0), &wrong, &seven, &why));
	assert_null(mslot_unique_claim(region, END, &immediate, &seven, NULL));
	mslot_read_unlock();
	mslot_unique_drop(unique);
	mslot_frame_drop(frame);
}

static void share_makes_the_first_shared_handle(void **state)
{
	struct mslot_unique *unique = claim(0, &noting);
	struct mslot_frame *frame;
	(void)state;

	((struct meta *)mslot_unique_meta(unique, &noting))->a = 21;
	frame = mslot_unique_share(unique);
	assert_counts(0, MSLOT_STATUS_SHARED, 1, 0);
	assert_int_equal(((const struct meta *)mslot_frame_meta(frame, &noting))->a, 21);
	mslot_frame_drop(mslot_frame_get(region, PADDR(0), NULL));
	unique = mslot_frame_try_unique(frame, NULL);
	assert_counts(0, MSLOT_STATUS_UNIQUE, 1, 0);
	assert_int_equal(view_at(0).generation, 0);
	assert_int_equal(drops, 0);
	mslot_unique_drop(unique);
	assert_int_equal(drops, 1);
}

static void a_forgotten_handle_keeps_the_frame_unique(void **state)
{
	struct mslot_unique *unique = claim(0, &immediate);
	(void)state;

	assert_int_equal(mslot_unique_into_raw(unique), PADDR(0));
	assert_counts(0, MSLOT_STATUS_UNIQUE, 1, 1);
	REFUSES(MSLOT_UNIQUE, mslot_frame_get(region, PADDR(0), &why));
	REFUSES(MSLOT_UNIQUE, mslot_frame_claim(region, PADDR(0), &immediate, &seven, &why));
	unique = mslot_unique_from_raw(region, PADDR(0), NULL);
	assert_non_null(unique);
	assert_counts(0, MSLOT_STATUS_UNIQUE, 1, 0);
	mslot_unique_drop(unique);
}

static void from_raw_refuses_what_was_not_forgotten(void **state)
{
	struct mslot_unique *unique = claim(0, &immediate), *gone = claim(4, &deferred);
	struct mslot_frame *frame = mslot_frame_claim(region, PADDR(1), &immediate, &seven, NULL);
	(void)state;

	REFUSES(MSLOT_NOT_FORGOTTEN, mslot_unique_from_raw(region, PADDR(0), &why));
	REFUSES(MSLOT_IN_USE, mslot_unique_from_raw(region, PADDR(1), &why));
	REFUSES(MSLOT_NOT_FORGOTTEN, mslot_unique_from_raw(region, PADDR(2), &why));
	REFUSES(MSLOT_OUT_OF_BOUND, mslot_unique_from_raw(region, END, &why));
	REFUSES(MSLOT_NOT_ALIGNED, mslot_unique_from_raw(region, BASE + 1, &why));
	assert_null(mslot_unique_from_raw(region, END, NULL));
	mslot_read_lock();
	mslot_unique_drop(gone);
	REFUSES(MSLOT_NOT_FORGOTTEN, mslot_unique_from_raw(region, PADDR(4), &why));
	mslot_read_unlock();
	mslot_unique_drop(unique);
	mslot_frame_drop(frame);
}

static void repurpose_replaces_type_and_metadata(void **state)
{
	struct mslot_unique *unique = claim(0, &noting);
	(void)state;

	assert_err(mslot_unique_repurpose(unique, &immediate, &(struct meta){1, 2}), MSLOT_OK);
	assert_int_equal(drops, 1);
	assert_int_equal(dropped_a, 7);
	assert_int_equal(dropped_paddr, PADDR(0));
	assert_ptr_equal(dropped_memory, payload);
	assert_null(mslot_unique_meta(unique, &noting));
	assert_int_equal(((struct meta *)mslot_unique_meta(unique, &immediate))->b, 2);
	assert_counts(0, MSLOT_STATUS_UNIQUE, 1, 0);
	assert_err(mslot_unique_repurpose(unique, &noting, NULL), MSLOT_OK);
	assert_int_equal(((struct meta *)mslot_unique_meta(unique, &noting))->b, 0);
	/* Never shared: nobody could have peeked, so even the deferred type can be left inside a section. */
	assert_err(mslot_unique_repurpose(unique, &deferred, NULL), MSLOT_OK);
	mslot_read_lock();
	assert_err(mslot_unique_repurpose(unique, &noting, NULL), MSLOT_OK);
	mslot_read_unlock();
	ANSWERS(MSLOT_INVALID, mslot_unique_repurpose(unique, NULL, NULL));
	ANSWERS(MSLOT_INVALID, mslot_unique_repurpose(unique, &(struct mslot_type){.meta_align = 5}, NULL));
	mslot_unique_drop(unique);
	assert_int_equal(drops, 3);
}

static unsigned nr_given_back;

static void note_give_back(struct slot *slot)
{
	assert_int_equal(slot - region->slots, 6);
	nr_given_back++;
}

static void nothing(void)
{
}

static void reset_as_unused_gives_nothing_back(void **state)
{
	struct mslot_unique *unique;
	(void)state;

	static const struct give_back_hooks hooks = {note_give_back, nothing, nothing};

	nr_given_back = 0;
	give_back_hooks = &hooks;
	scarce_attention = GIVE_BACK_WANTED;
	/* Of a region that nobody allocates from, nothing is. */
	mslot_frame_drop(mslot_frame_claim(region, PADDR(6), &immediate, &seven, NULL));
	assert_int_equal(nr_given_back, 0);
	region->hints_stage = HINTS_MADE;
	unique = claim(6, &noting);
	mslot_unique_reset_as_unused(NULL);
	mslot_unique_reset_as_unused(unique);
	assert_counts(6, MSLOT_STATUS_UNUSED, 0, 0);
	assert_int_equal(drops, 1);
	assert_int_equal(nr_given_back, 0);
	mslot_unique_drop(claim(6, &noting));
	assert_int_equal(drops, 2);
	assert_int_equal(nr_given_back, 1);
	mslot_frame_drop(mslot_frame_claim(region, PADDR(6), &immediate, &seven, NULL));
	assert_int_equal(nr_given_back, 2);
	region->hints_stage = HINTS_NONE;
	scarce_attention = 0;
	give_back_hooks = NULL;
}

/* Every call on a handle that stands for nothing; `refusal` is what repurpose says. */
static void all_fault(struct mslot_unique *dead, enum mslot_err refusal)
{
	FAULTS(MSLOT_FAULT_OVER_DROP, "mslot_unique_drop", mslot_unique_drop(stale_unique(dead)));
	FAULTS(MSLOT_FAULT_OVER_DROP, "mslot_unique_reset_as_unused", mslot_unique_reset_as_unused(stale_unique(dead)));
	FAULTS(MSLOT_FAULT_DEAD_HANDLE, "mslot_unique_into_raw",
	       assert_int_equal(mslot_unique_into_raw(stale_unique(dead)), MSLOT_PADDR_NONE));
	FAULTS(MSLOT_FAULT_DEAD_HANDLE, "mslot_unique_share", assert_null(mslot_unique_share(stale_unique(dead))));
	FAULTS(MSLOT_FAULT_DEAD_HANDLE, "mslot_unique_repurpose",
	       assert_err(mslot_unique_repurpose(stale_unique(dead), &immediate, NULL), refusal));
}

static void a_handle_of_an_unused_frame_is_dead(void **state)
{
	struct mslot_unique *unique = claim(0, &immediate), *dead = stale_unique(unique);
	(void)state;

	mslot_unique_drop(unique);
	all_fault(dead, MSLOT_UNUSED);
	assert_string_equal(caught.last.status, "unused");
	assert_int_equal(caught.last.paddr, PADDR(0));
}

static void a_handle_of_a_retired_frame_is_dead(void **state)
{
	struct mslot_unique *unique = claim(1, &deferred), *dead = stale_unique(unique);
	(void)state;

	mslot_read_lock();
	mslot_unique_drop(unique);
	all_fault(dead, MSLOT_BUSY);
	assert_string_equal(caught.last.status, "retired");
	mslot_read_unlock();
}

static void a_unique_handle_of_a_shared_frame_is_dead(void **state)
{
	struct mslot_unique *unique = claim(2, &immediate), *dead = stale_unique(unique);
	struct mslot_frame *frame = mslot_unique_share(unique);
	(void)state;

	all_fault(dead, MSLOT_IN_USE);
	assert_string_equal(caught.last.status, "shared");
	mslot_frame_drop(frame);
}

static void a_forgotten_handle_is_dead(void **state)
{
	struct mslot_unique *unique = claim(3, &immediate), *dead = stale_unique(unique);
	(void)state;

	assert_int_equal(mslot_unique_into_raw(unique), PADDR(3));
	all_fault(dead, MSLOT_UNIQUE);
	assert_int_equal(caught.last.ref_count, 1);
	assert_int_equal(caught.last.raw_count, 1);
	mslot_unique_drop(mslot_unique_from_raw(region, PADDR(3), NULL));
}

/* ---- the on_drop of the old type ---- */

static enum mslot_err answers[3];

static void on_drop_wait(void *meta, uint64_t paddr, void *memory)
{
	(void)meta, (void)paddr, (void)memory;
	answers[0] = mslot_barrier(region);
	answers[1] = mslot_synchronize();
	answers[2] = mslot_thread_unregister();
}

static void on_drop_must_not_wait_in_a_repurpose_either(void **state)
{
	static const struct mslot_type waiting = {.on_drop = on_drop_wait, .flags = MSLOT_TYPE_IMMEDIATE};
	struct mslot_unique *unique = claim(3, &waiting);
	(void)state;

	assert_err(mslot_unique_repurpose(unique, &immediate, NULL), MSLOT_OK);
	for (unsigned i = 0; i < 3; i++)
		assert_err(answers[i], MSLOT_BUSY);
	assert_err(mslot_barrier(region), MSLOT_OK);
	mslot_unique_drop(unique);
}

static void at_the_backlog_limit_no_frame_becomes_deferred(void **state)
{
	const struct mslot_region_config config = {.nr_frames = 64, .backlog_limit = 16};
	struct mslot_region *limited = mslot_region_create(&config, NULL);
	struct mslot_unique *unique = mslot_unique_claim(limited, 63 * FRAME, &immediate, NULL, NULL);
	enum mslot_err why = MSLOT_OK;
	(void)state;

	/* Nothing comes back meanwhile; under qsbr, as we are not quiescent. */
	mslot_read_lock();
	for (uint64_t i = 0; i < 63 && !why; i++)
		mslot_frame_drop(mslot_frame_claim(limited, i * FRAME, &deferred, NULL, &why));
	assert_err(why, MSLOT_BUSY);
	assert_err(mslot_unique_repurpose(unique, &deferred, NULL), MSLOT_BUSY);
	assert_ptr_equal(mslot_unique_type(unique), &immediate);
	assert_err(mslot_unique_repurpose(unique, &noting, NULL), MSLOT_OK);
	mslot_read_unlock();
	assert_err(mslot_barrier(limited), MSLOT_OK);
	assert_err(mslot_unique_repurpose(unique, &deferred, NULL), MSLOT_OK);
	mslot_unique_drop(unique);
	assert_err(mslot_region_destroy(limited), MSLOT_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(claim_gives_the_only_handle),
		TEST(claim_refuses_what_a_frame_claim_refuses),
		TEST(share_makes_the_first_shared_handle),
		TEST(a_forgotten_handle_keeps_the_frame_unique),
		TEST(from_raw_refuses_what_was_not_forgotten),
		TEST(repurpose_replaces_type_and_metadata),
		TEST(reset_as_unused_gives_nothing_back),
		TEST(a_handle_of_an_unused_frame_is_dead),
		TEST(a_handle_of_a_retired_frame_is_dead),
		TEST(a_unique_handle_of_a_shared_frame_is_dead),
		TEST(a_forgotten_handle_is_dead),
		TEST(on_drop_must_not_wait_in_a_repurpose_either),
		TEST(at_the_backlog_limit_no_frame_becomes_deferred),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
