/* SPDX-License-Identifier: MIT
 *
 * What threads may do that are not registered, where that is no fault: see reclaim.h.
 */
#include "util.h"

#include <semaphore.h>
#include <time.h>

static void skip_unless_strangers_have_sections(void)
{
#ifdef MSLOT_HARDENED
	skip();
#endif
	if (!strcmp(mslot_reclaim_flavor(), "qsbr"))
		skip();
}

static void *wait_inside_a_section(void *nr_as_told)
{
	unsigned *nr = nr_as_told;

	mslot_read_lock();
	*nr += mslot_barrier(region) == MSLOT_BUSY;
	*nr += mslot_synchronize() == MSLOT_BUSY;
	*nr += *nr == 2 && mslot_region_destroy(region) == MSLOT_BUSY;
	mslot_read_unlock();
	*nr += mslot_barrier(region) == MSLOT_OK;
	return NULL;
}

static void waiting_inside_a_section_is_refused(void **state)
{
	unsigned nr_as_told = 0;
	(void)state;

	skip_unless_strangers_have_sections();
	run_in_thread(wait_inside_a_section, &nr_as_told);
	assert_int_equal(nr_as_told, 4);
}

static sem_t has_peeked;

static void *peek_for_a_while(void *arg)
{
	mslot_read_lock();
	const struct meta *meta = mslot_peek(region, PADDR(0), &noting_deferred, NULL);
	assert_non_null(meta);
	sem_post(&has_peeked);
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	assert_int_equal(meta->a, 7);
	assert_int_equal(drops, 0);
	mslot_read_unlock();
	return arg;
}

static void a_section_protects_under_bp(void **state)
{
	struct mslot_frame *frame;
	pthread_t thread;
	(void)state;

	skip_unless_strangers_have_sections();
	if (strcmp(mslot_reclaim_flavor(), "bp"))
		skip();
	frame = mslot_frame_claim(region, PADDR(0), &noting_deferred, &(struct meta){7, 8}, NULL);
	sem_init(&has_peeked, 0, 0);
	assert_int_equal(pthread_create(&thread, NULL, peek_for_a_while, NULL), 0);
	sem_wait(&has_peeked);
	mslot_frame_drop(frame);
	assert_err(mslot_barrier(region), MSLOT_OK);
	assert_int_equal(drops, 1);
	join(thread);
}

static void *claim_at_the_limit(void *limited)
{
	for (unsigned i = 0; i < 32; i++) {
		struct mslot_frame *frame = mslot_frame_claim(limited, i * FRAME, &deferred, NULL, NULL);

		if (!frame)
			return "refused";
		mslot_frame_drop(frame);
	}
	return NULL;
}

static void a_claim_at_the_limit_waits(void **state)
{
	struct mslot_region_config config = {.nr_frames = 32, .backlog_limit = 4, .claims_may_wait = true};
	struct mslot_region *limited;
	struct mslot_stats before, now;
	pthread_t thread;
	(void)state;

#ifdef MSLOT_HARDENED
	skip();
#endif
	limited = mslot_region_create(&config, NULL);
	mslot_stats(&before);
	assert_int_equal(pthread_create(&thread, NULL, claim_at_the_limit, limited), 0);
	assert_null(join(thread));
	mslot_stats(&now);
	assert_true(now.claims_waited > before.claims_waited);
	assert_err(mslot_region_destroy(limited), MSLOT_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(waiting_inside_a_section_is_refused),
		TEST(a_section_protects_under_bp),
		TEST(a_claim_at_the_limit_waits),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
