/* SPDX-License-Identifier: MIT
 *
 * In a hardened build, every call on a handle or a region from a thread that is not registered is a fault and has no
 * effect. Elsewhere there is nothing to see.
 */
#include "util.h"

#define UNREGISTERED(call, statement) FAULTS(MSLOT_FAULT_UNREGISTERED, call, statement)

static struct mslot_frame *shared;
static struct mslot_unique *unique;
static struct mslot_segment segment;

static void frame_calls(void)
{
	UNREGISTERED("mslot_frame_claim",
		     REFUSES(MSLOT_INVALID, mslot_frame_claim(region, PADDR(9), &immediate, NULL, &why)));
	UNREGISTERED("mslot_frame_claim", REFUSES(MSLOT_INVALID, mslot_frame_claim(region, PADDR(9), &immediate,
										   &(struct meta){1, 2}, &why)));
	UNREGISTERED("mslot_frame_get", REFUSES(MSLOT_INVALID, mslot_frame_get(region, PADDR(0), &why)));
	UNREGISTERED("mslot_frame_get",
		     REFUSES(MSLOT_INVALID, mslot_frame_get_typed(region, PADDR(0), &immediate, &why)));
	UNREGISTERED("mslot_frame_clone", assert_null(mslot_frame_clone(shared)));
	UNREGISTERED("mslot_frame_drop", mslot_frame_drop(stale_frame(shared)));
	UNREGISTERED("mslot_frame_into_raw",
		     assert_int_equal(mslot_frame_into_raw(stale_frame(shared)), MSLOT_PADDR_NONE));
	UNREGISTERED("mslot_frame_clone_into_raw",
		     assert_int_equal(mslot_frame_clone_into_raw(shared), MSLOT_PADDR_NONE));
	UNREGISTERED("mslot_frame_from_raw", REFUSES(MSLOT_INVALID, mslot_frame_from_raw(region, PADDR(0), &why)));
	UNREGISTERED("mslot_frame_drop_raw", assert_err(mslot_frame_drop_raw(region, PADDR(0)), MSLOT_INVALID));
	UNREGISTERED("mslot_frame_try_unique", REFUSES(MSLOT_INVALID, mslot_frame_try_unique(shared, &why)));
}

static void unique_calls(void)
{
	UNREGISTERED("mslot_unique_claim",
		     REFUSES(MSLOT_INVALID, mslot_unique_claim(region, PADDR(9), &immediate, NULL, &why)));
	UNREGISTERED("mslot_unique_drop", mslot_unique_drop(stale_unique(unique)));
	UNREGISTERED("mslot_unique_reset_as_unused", mslot_unique_reset_as_unused(stale_unique(unique)));
	UNREGISTERED("mslot_unique_into_raw",
		     assert_int_equal(mslot_unique_into_raw(stale_unique(unique)), MSLOT_PADDR_NONE));
	UNREGISTERED("mslot_unique_share", assert_null(mslot_unique_share(stale_unique(unique))));
	UNREGISTERED("mslot_unique_from_raw", REFUSES(MSLOT_INVALID, mslot_unique_from_raw(region, PADDR(1), &why)));
	UNREGISTERED("mslot_unique_repurpose",
		     assert_true(mslot_unique_repurpose(stale_unique(unique), &immediate, NULL) != MSLOT_OK));
}

static void segment_calls(void)
{
	struct mslot_segment other;
	uint64_t start, end;

	UNREGISTERED("mslot_segment_claim", assert_true(mslot_segment_claim(region, PADDR(9), PADDR(10), &immediate,
									    NULL, NULL, &other) == MSLOT_INVALID));
	UNREGISTERED("mslot_segment_clone", assert_true(mslot_segment_clone(&segment, &other)));
	UNREGISTERED("mslot_segment_slice", assert_true(mslot_segment_slice(&segment, 0, FRAME, &other)));
	UNREGISTERED("mslot_segment_split", assert_true(mslot_segment_split(&segment, FRAME, &other)));
	UNREGISTERED("mslot_segment_next", assert_null(mslot_segment_next(&segment)));
	UNREGISTERED("mslot_segment_from_frame", assert_true(mslot_segment_from_frame(shared, &other)));
	UNREGISTERED("mslot_segment_into_raw", assert_true(mslot_segment_into_raw(&segment, &start, &end)));
	UNREGISTERED("mslot_segment_from_raw", assert_true(mslot_segment_from_raw(region, PADDR(0), PADDR(1), &other)));
	UNREGISTERED("mslot_segment_drop", mslot_segment_drop(&segment));
	assert_int_equal(segment.start, PADDR(4));
	assert_int_equal(segment.end, PADDR(6));
}

static void alloc_calls(void)
{
	struct mslot_segment other;

	UNREGISTERED("mslot_alloc_frame",
		     REFUSES(MSLOT_INVALID, mslot_alloc_frame(region, &immediate, NULL, NULL, &why)));
	UNREGISTERED("mslot_alloc_unique",
		     REFUSES(MSLOT_INVALID, mslot_alloc_unique(region, &immediate, NULL, NULL, &why)));
	UNREGISTERED("mslot_alloc_segment",
		     assert_true(mslot_alloc_segment(region, 2, 1, &immediate, NULL, NULL, NULL, &other)));
}

static void thread_calls(void)
{
	UNREGISTERED("mslot_quiescent_state", mslot_quiescent_state());
	UNREGISTERED("mslot_thread_offline", mslot_thread_offline());
	UNREGISTERED("mslot_thread_online", mslot_thread_online());
}

/* Asserts of cmocka's belong to the main thread: it is the one that unregisters. */
static void calls_of_an_unregistered_thread_are_faults(void **state)
{
	(void)state;
#ifndef MSLOT_HARDENED
	skip();
#endif
	shared = mslot_frame_claim(region, PADDR(0), &immediate, NULL, NULL);
	assert_int_equal(mslot_frame_clone_into_raw(shared), PADDR(0));
	unique = mslot_unique_claim(region, PADDR(1), &immediate, NULL, NULL);
	assert_err(mslot_segment_claim(region, PADDR(4), PADDR(6), &immediate, NULL, NULL, &segment), MSLOT_OK);
	assert_err(mslot_thread_unregister(), MSLOT_OK);
	frame_calls();
	unique_calls();
	segment_calls();
	alloc_calls();
	thread_calls();
	assert_err(mslot_thread_register(), MSLOT_OK);
	assert_err(mslot_frame_drop_raw(region, PADDR(0)), MSLOT_OK);
	mslot_frame_drop(shared);
	mslot_unique_drop(unique);
	mslot_segment_drop(&segment);
}

static void skip_where_sections_are_not_checked(void)
{
#ifndef MSLOT_HARDENED
	skip();
#endif
	/* It has no sections to be in. */
	if (!strcmp(mslot_reclaim_flavor(), "qsbr"))
		skip();
}

static void what_needs_a_section_is_a_fault_outside(void **state)
{
	(void)state;
	skip_where_sections_are_not_checked();
	FAULTS(MSLOT_FAULT_NO_SECTION, "mslot_read_unlock", mslot_read_unlock());
	FAULTS(MSLOT_FAULT_NO_SECTION, "mslot_peek",
	       REFUSES(MSLOT_INVALID, mslot_peek(region, PADDR(0), &deferred, &why)));
	assert_string_equal(caught.last.status, "none");
	/* It is as if they had not been. */
	mslot_read_lock();
	REFUSES(MSLOT_UNUSED, mslot_peek(region, PADDR(0), &deferred, &why));
	mslot_read_unlock();
	assert_err(mslot_synchronize(), MSLOT_OK);
}

static void on_drop_leave(void *meta, uint64_t paddr, void *memory)
{
	(void)meta, (void)paddr, (void)memory;
	mslot_read_unlock();
}

/* The library's section around it is not the caller's to leave. */
static void an_on_drop_is_in_no_section(void **state)
{
	static const struct mslot_type leaves = {.flags = MSLOT_TYPE_IMMEDIATE, .on_drop = on_drop_leave};
	(void)state;

	skip_where_sections_are_not_checked();
	faults_begin();
	mslot_frame_drop(mslot_frame_claim(region, PADDR(0), &leaves, NULL, NULL));
	mslot_set_fault_handler(NULL, NULL);
	assert_int_equal(caught.nr, 1);
	assert_int_equal(caught.last.kind, MSLOT_FAULT_NO_SECTION);
	assert_err(mslot_synchronize(), MSLOT_OK);
}

static pthread_key_t later;

/* After the library's own: its key is older. */
static void register_again(void *arg)
{
	(void)arg;
	mslot_thread_register();
	mslot_read_unlock();
	mslot_thread_unregister();
}

static void *end_inside_a_section(void *arg)
{
	mslot_thread_register();
	pthread_setspecific(later, &later);
	mslot_read_lock();
	return arg;
}

static void sections_end_with_the_registration(void **state)
{
	(void)state;

	skip_where_sections_are_not_checked();
	assert_int_equal(pthread_key_create(&later, register_again), 0);
	faults_begin();
	run_in_thread(end_inside_a_section, NULL);
	mslot_set_fault_handler(NULL, NULL);
	pthread_key_delete(later);
	assert_int_equal(caught.nr, 1);
	assert_int_equal(caught.last.kind, MSLOT_FAULT_NO_SECTION);
	assert_err(mslot_synchronize(), MSLOT_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(calls_of_an_unregistered_thread_are_faults),
		TEST(what_needs_a_section_is_a_fault_outside),
		TEST(an_on_drop_is_in_no_section),
		TEST(sections_end_with_the_registration),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
