/* SPDX-License-Identifier: MIT
 *
 * Every call of reclaim.h, and when a dropped frame of a deferred type is recycled: after every reader section that
 * could see it, whoever retired it and whatever became of that thread.
 */
#include "util.h"

#include <semaphore.h>
#include <time.h>

static const struct meta seven = {7, 8};
static bool is_qsbr;

static struct mslot_frame *claim(unsigned index, const struct mslot_type *type)
{
	struct mslot_frame *frame = mslot_frame_claim(region, PADDR(index), type, &seven, NULL);

	assert_non_null(frame);
	return frame;
}

static void a_deferred_drop_is_recycled_after_the_section(void **state)
{
	struct mslot_frame *frame = claim(5, &noting_deferred);
	const struct meta *meta;
	(void)state;

	mslot_read_lock();
	mslot_read_lock();
	meta = mslot_peek(region, PADDR(5), &noting_deferred, NULL);
	assert_non_null(meta);
	mslot_frame_drop(frame);
	mslot_read_unlock();
	nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
	assert_int_equal(drops, 0);
	assert_int_equal(meta->a, 7);
	assert_int_equal(meta->b, 8);
	assert_counts(5, MSLOT_STATUS_RETIRED, 0, 0);
	assert_ptr_equal(view_at(5).type, &noting_deferred);
	mslot_read_unlock();
	assert_err(mslot_barrier(region), MSLOT_OK);
	assert_int_equal(drops, 1);
	assert_int_equal(dropped_a, 7);
	assert_int_equal(dropped_paddr, PADDR(5));
	assert_ptr_equal(dropped_memory, payload + 5 * FRAME);
	assert_counts(5, MSLOT_STATUS_UNUSED, 0, 0);
	assert_int_equal(view_at(5).generation, 1);
}

static struct mslot_frame *inner;
static sem_t inner_is_dropped;

static void on_drop_inner(void *meta, uint64_t paddr, void *memory)
{
	(void)meta, (void)paddr, (void)memory;
	mslot_frame_drop(inner);
	sem_post(&inner_is_dropped);
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

static void *find_inner(void *arg)
{
	struct mslot_view view;

	sem_wait(&inner_is_dropped);
	assert_err(mslot_barrier(region), MSLOT_OK);
	assert_err(mslot_view(region, PADDR(5), &view), MSLOT_OK);
	assert_int_equal(view.status, MSLOT_STATUS_UNUSED);
	return arg;
}

/* Though it waits for the outer on_drop to end, so that chains do not recurse. */
static void a_barrier_recycles_what_an_on_drop_has_dropped(void **state)
{
	static const struct mslot_type drops_inner = {.flags = MSLOT_TYPE_IMMEDIATE, .on_drop = on_drop_inner};
	pthread_t thread;
	(void)state;

	sem_init(&inner_is_dropped, 0, 0);
	inner = mslot_frame_claim(region, PADDR(5), &noting, NULL, NULL);
	assert_int_equal(pthread_create(&thread, NULL, find_inner, NULL), 0);
	mslot_frame_drop(mslot_frame_claim(region, PADDR(6), &drops_inner, NULL, NULL));
	join(thread);
}

/* Nobody asks for it: the library's own thread does it, within a second by far. */
static void a_retired_frame_is_recycled_without_a_barrier(void **state)
{
	(void)state;
	mslot_unique_drop(mslot_unique_claim(region, PADDR(5), &noting_deferred, NULL, NULL));
	mslot_thread_offline();
	for (int ms = 0; ms < 5000 && !drops; ms++)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	mslot_thread_online();
	assert_int_equal(drops, 1);
}

static void peek_refuses_what_it_cannot_keep(void **state)
{
	struct mslot_frame *shared = claim(0, &deferred), *plain = claim(1, &immediate);
	struct mslot_unique *unique = mslot_unique_claim(region, PADDR(2), &deferred, NULL, NULL);
	(void)state;

	mslot_read_lock();
	mslot_frame_drop(claim(3, &deferred));
	REFUSES(MSLOT_WRONG_TYPE, mslot_peek(region, PADDR(0), &noting_deferred, &why));
	REFUSES(MSLOT_WRONG_TYPE, mslot_peek(region, PADDR(1), &deferred, &why));
	REFUSES(MSLOT_INVALID, mslot_peek(region, PADDR(1), &immediate, &why));
	REFUSES(MSLOT_INVALID, mslot_peek(region, PADDR(0), NULL, &why));
	REFUSES(MSLOT_UNIQUE, mslot_peek(region, PADDR(2), &deferred, &why));
	REFUSES(MSLOT_BUSY, mslot_peek(region, PADDR(3), &deferred, &why));
	REFUSES(MSLOT_UNUSED, mslot_peek(region, PADDR(4), &deferred, &why));
	REFUSES(MSLOT_OUT_OF_BOUND, mslot_peek(region, END, &deferred, &why));
	REFUSES(MSLOT_NOT_ALIGNED, mslot_peek(region, BASE + 1, &deferred, &why));
	assert_null(mslot_peek(region, END, &deferred, NULL));
	assert_memory_equal(mslot_peek(region, PADDR(0), &deferred, NULL), &seven, sizeof(seven));
	assert_counts(0, MSLOT_STATUS_SHARED, 1, 0);
	mslot_read_unlock();
	mslot_frame_drop(shared);
	mslot_frame_drop(plain);
	mslot_unique_drop(unique);
}

/* ---- threads that retire, then pause, end, or were never registered ---- */

static sem_t reached, go_on;

static void wait_for(sem_t *sem)
{
	mslot_thread_offline();
	while (sem_wait(sem))
		;
	mslot_thread_online();
}

static void *retire_five(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 5; i++)
		mslot_frame_drop(mslot_frame_claim(region, PADDR(i), &noting_deferred, NULL, NULL));
	return NULL;
}

static void *retire_and_pause(void *arg)
{
	assert_err(mslot_thread_register(), MSLOT_OK);
	retire_five(arg);
	sem_post(&reached);
	wait_for(&go_on);
	assert_err(mslot_thread_unregister(), MSLOT_OK);
	return NULL;
}

static void *retire_and_unregister(void *arg)
{
	assert_err(mslot_thread_register(), MSLOT_OK);
	retire_five(arg);
	assert_err(mslot_thread_unregister(), MSLOT_OK);
	assert_err(mslot_thread_unregister(), MSLOT_INVALID);
	return NULL;
}

static void *retire_and_end(void *arg)
{
	assert_err(mslot_thread_register(), MSLOT_OK);
	return retire_five(arg);
}

/* By then a grace period waits for it. */
static void *end_inside_sections(void *arg)
{
	assert_err(mslot_thread_register(), MSLOT_OK);
	mslot_read_lock();
	mslot_read_lock();
	retire_five(arg);
	usleep(20000);
	return NULL;
}

static void a_barrier_recycles_what_a_paused_thread_retired(void **state)
{
	pthread_t thread;
	(void)state;

	sem_init(&reached, 0, 0);
	sem_init(&go_on, 0, 0);
	assert_int_equal(pthread_create(&thread, NULL, retire_and_pause, NULL), 0);
	wait_for(&reached);
	assert_err(mslot_barrier(region), MSLOT_OK);
	assert_int_equal(drops, 5);
	sem_post(&go_on);
	join(thread);
}

static void a_section_ends_with_its_thread(void **state)
{
	(void)state;
	run_in_thread(end_inside_sections, NULL);
	assert_err(mslot_barrier(region), MSLOT_OK);
	assert_int_equal(drops, 5);
}

static void a_barrier_recycles_what_an_unregistered_thread_left(void **state)
{
	(void)state;
	run_in_thread(retire_and_unregister, NULL);
	assert_err(mslot_barrier(region), MSLOT_OK);
	assert_int_equal(drops, 5);
}

static void a_barrier_recycles_what_an_ended_thread_left(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 10; i++) {
		run_in_thread(retire_and_end, NULL);
		assert_err(mslot_barrier(region), MSLOT_OK);
		assert_int_equal(drops, 5 * i);
	}
}

static void a_barrier_recycles_what_a_stranger_retired(void **state)
{
	(void)state;
#ifndef MSLOT_HARDENED
	run_in_thread(retire_five, NULL);
	assert_err(mslot_barrier(region), MSLOT_OK);
	assert_int_equal(drops, 5);
#else
	skip();
#endif
}

static void *barrier_in_a_stranger(void *arg)
{
	(void)arg;
	assert_err(mslot_barrier(region), MSLOT_OK);
	assert_err(mslot_synchronize(), MSLOT_OK);
	assert_int_equal(drops, 1);
	return NULL;
}

static void a_stranger_may_wait(void **state)
{
	(void)state;
	mslot_frame_drop(claim(0, &noting_deferred));
	run_in_thread(barrier_in_a_stranger, NULL);
}

/* ---- who must not wait ---- */

static void registration_is_once(void **state)
{
	(void)state;
	assert_err(mslot_thread_register(), MSLOT_INVALID);
	assert_err(mslot_barrier(NULL), MSLOT_INVALID);
	assert_err(mslot_synchronize(), MSLOT_OK);
	assert_string_equal(mslot_reclaim_flavor(), TEST_FLAVOR);
}

static void waiting_inside_a_section_is_refused(void **state)
{
	(void)state;
	if (is_qsbr)
		skip(); /* has no sections */
	mslot_read_lock();
	ANSWERS(MSLOT_BUSY, mslot_barrier(region));
	ANSWERS(MSLOT_BUSY, mslot_synchronize());
	ANSWERS(MSLOT_BUSY, mslot_region_destroy(region));
	ANSWERS(MSLOT_BUSY, mslot_thread_unregister());
	mslot_read_unlock();
	assert_err(mslot_barrier(region), MSLOT_OK);
}

static struct mslot_unique *seen_unique;
static _Atomic unsigned nr_refused;

static void wait_in_on_drop(void *meta, uint64_t paddr, void *memory)
{
	nr_refused += mslot_barrier(region) == MSLOT_BUSY;
	nr_refused += mslot_synchronize() == MSLOT_BUSY;
	nr_refused += mslot_region_destroy(region) == MSLOT_BUSY;
	nr_refused += mslot_thread_unregister() != MSLOT_OK;
	nr_refused += mslot_unique_repurpose(seen_unique, &immediate, NULL) == MSLOT_BUSY;
	on_drop_note(meta, paddr, memory);
}

static void waiting_in_on_drop_is_refused(void **state)
{
	static const struct mslot_type later = {.meta_bytes = sizeof(struct meta), .on_drop = wait_in_on_drop};
	static const struct mslot_type at_once = {
		.meta_bytes = sizeof(struct meta), .on_drop = wait_in_on_drop, .flags = MSLOT_TYPE_IMMEDIATE};
	(void)state;

	seen_unique = mslot_frame_try_unique(claim(1, &deferred), NULL);
	nr_refused = 0;
	mslot_frame_drop(claim(0, &later));
	assert_err(mslot_barrier(region), MSLOT_OK);
	assert_int_equal(drops, 1);
	assert_int_equal(nr_refused, 5);
	mslot_frame_drop(claim(0, &at_once));
	assert_int_equal(drops, 2);
	assert_int_equal(nr_refused, 10);
	mslot_unique_drop(seen_unique);
}

/* ---- repurposing what readers may still see ---- */

static _Atomic bool has_read;

static void *read_slowly(void *arg)
{
	const struct meta *meta;

	(void)arg;
	assert_err(mslot_thread_register(), MSLOT_OK);
	mslot_read_lock();
	meta = mslot_peek(region, PADDR(0), &noting_deferred, NULL);
	assert_non_null(meta);
	sem_post(&reached);
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	assert_int_equal(meta->a, 7);
	has_read = true;
	mslot_read_unlock();
	assert_err(mslot_thread_unregister(), MSLOT_OK);
	return NULL;
}

static void repurpose_waits_for_readers(void **state)
{
	struct mslot_frame *frame = claim(0, &noting_deferred);
	struct mslot_unique *unique;
	pthread_t thread;
	(void)state;

	has_read = false;
	sem_init(&reached, 0, 0);
	assert_int_equal(pthread_create(&thread, NULL, read_slowly, NULL), 0);
	wait_for(&reached);
	unique = mslot_frame_try_unique(frame, NULL);
	assert_non_null(unique);
	if (!is_qsbr) {
		mslot_read_lock();
		ANSWERS(MSLOT_BUSY, mslot_unique_repurpose(unique, &deferred, NULL));
		assert_ptr_equal(mslot_unique_type(unique), &noting_deferred);
		mslot_read_unlock();
		assert_int_equal(drops, 0);
	}
	assert_err(mslot_unique_repurpose(unique, &deferred, NULL), MSLOT_OK);
	assert_true(has_read);
	assert_int_equal(drops, 1);
	/* Once waited for: nobody can see it any more. */
	mslot_read_lock();
	assert_err(mslot_unique_repurpose(unique, &immediate, NULL), MSLOT_OK);
	mslot_read_unlock();
	mslot_unique_drop(unique);
	join(thread);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_deferred_drop_is_recycled_after_the_section),
		TEST(a_barrier_recycles_what_an_on_drop_has_dropped),
		TEST(a_retired_frame_is_recycled_without_a_barrier),
		TEST(peek_refuses_what_it_cannot_keep),
		TEST(a_barrier_recycles_what_a_paused_thread_retired),
		TEST(a_barrier_recycles_what_an_unregistered_thread_left),
		TEST(a_section_ends_with_its_thread),
		TEST(a_barrier_recycles_what_an_ended_thread_left),
		TEST(a_barrier_recycles_what_a_stranger_retired),
		TEST(a_stranger_may_wait),
		TEST(registration_is_once),
		TEST(waiting_inside_a_section_is_refused),
		TEST(waiting_in_on_drop_is_refused),
		TEST(repurpose_waits_for_readers),
	};
	is_qsbr = !strcmp(mslot_reclaim_flavor(), "qsbr");
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
