/* SPDX-License-Identifier: MIT
 *
 * One look of the thread that names stalled readers, with grace periods that begin and end in the midst of it. Includes
 * stall.c, and stands in for what it looks at.
 */
#include "reclaim/stall.c"

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct reclaim_counts reclaim_counts;
#ifdef GRACE_TSAN
char grace_tsan_edge;
#endif

static struct grace_snapshot now, then; /* up to the walk; after it */
static unsigned nr_told;
static bool stops_at_walk; /* the handler is taken away then */

/* Inside, in a section from before the grace period, whichever flavor it is. */
static unsigned long inside;
static struct reclaim_thread reader;

void grace_thread_snapshot(struct grace_snapshot *out)
{
	*out = now;
}

void registry_each(void (*fn)(struct reclaim_thread *thread, void *ctx), void *ctx)
{
	fn(&reader, ctx);
	now = then;
	if (stops_at_walk)
		mslot_set_stall_handler(NULL, NULL);
}

enum mslot_err reclaim_spawn(void *(*fn)(void *arg), void *arg)
{
	(void)fn, (void)arg;
	return MSLOT_OK;
}

void mslot_stats(struct mslot_stats *out)
{
	*out = (struct mslot_stats){.backlog = 3};
}

static void note_stall(const struct mslot_stall *stall, void *ctx)
{
	assert_ptr_equal(ctx, &nr_told);
	assert_int_equal(stall->thread_id, 7);
	assert_int_equal(stall->backlog, 3);
	assert_true(stall->duration_ns >= STALL_NS);
	nr_told++;
}

static uint64_t nr_stalls(void)
{
	return atomic_load(&reclaim_counts.stalls);
}

/* A grace period that runs since `ms` ago. */
static struct watched since_ms(uint64_t period, uint64_t ms)
{
	return (struct watched){period, reclaim_now_ns() - ms * 1000000};
}

static int begin(void **state)
{
	(void)state;
	inside = ~CMM_LOAD_SHARED(GRACE_CALL(gp).ctr);
	reader = (struct reclaim_thread){.id = 7, .reader = &inside};
	atomic_store(&reclaim_counts.stalls, 0);
	nr_told = 0;
	now = then = (struct grace_snapshot){.started = 5, .completed = 4};
	return mslot_set_stall_handler(note_stall, &nr_told);
}

static void a_reader_is_named_after_a_second_and_when_that_has_doubled(void **state)
{
	struct watched watched = since_ms(5, 900);
	(void)state;

	look_once(&watched);
	assert_int_equal(nr_told, 0);
	watched = since_ms(5, 1100);
	look_once(&watched);
	look_once(&watched);
	assert_int_equal(nr_told, 1);
	reader.stall_next_ns = STALL_NS;
	look_once(&watched);
	assert_int_equal(nr_told, 2);
	assert_int_equal(nr_stalls(), 1);
}

static void look_while(struct grace_snapshot later)
{
	struct watched watched = since_ms(5, 1100);

	then = later;
	look_once(&watched);
	assert_int_equal(nr_told, 0);
	assert_int_equal(nr_stalls(), 0);
}

static void who_is_seen_while_the_wait_becomes_another_is_not_named(void **state)
{
	uint64_t use = reclaim_now_ns() - 2 * STALL_NS;
	(void)state;

	look_while((struct grace_snapshot){.started = 6, .completed = 5});
	now = (struct grace_snapshot){.started = 5, .completed = 4};
	look_while((struct grace_snapshot){.started = 5, .completed = 5});
	now = (struct grace_snapshot){.started = 5, .completed = 5, .use_waited_ns = use};
	reader.flipped = true;
	retire_queue_use_begin(&reader.queue[1]);
	look_while((struct grace_snapshot){.started = 5, .completed = 5});
}

/* It has lost nothing: its own wait begins with the next look. */
static void who_was_seen_in_vain_is_named_after_a_second_of_its_own(void **state)
{
	struct watched watched = since_ms(5, 1100);
	(void)state;

	then = (struct grace_snapshot){.started = 6, .completed = 5};
	look_once(&watched);
	look_once(&watched);
	assert_int_equal(nr_told, 0);
	assert_int_equal(watched.period, 6);
	watched = since_ms(6, 1100);
	look_once(&watched);
	assert_int_equal(nr_told, 1);
	assert_int_equal(nr_stalls(), 1);
}

/* ---- another handler ---- */

static sem_t is_running;
static bool has_ended; /* under the lock */

static void run_for_a_while(const struct mslot_stall *stall, void *ctx)
{
	(void)stall, (void)ctx;
	sem_post(&is_running);
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	has_ended = true;
}

static void *look_in_thread(void *arg)
{
	struct watched watched = since_ms(5, 1100);

	look_once(&watched);
	return arg;
}

static void who_installs_another_waits_for_the_one_that_runs(void **state)
{
	pthread_t thread;
	(void)state;

	sem_init(&is_running, 0, 0);
	assert_int_equal(mslot_set_stall_handler(run_for_a_while, NULL), MSLOT_OK);
	assert_int_equal(pthread_create(&thread, NULL, look_in_thread, NULL), 0);
	sem_wait(&is_running);
	assert_int_equal(mslot_set_stall_handler(NULL, NULL), MSLOT_OK);
	assert_true(has_ended);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void what_is_seen_is_told_to_the_handler_of_now(void **state)
{
	struct watched watched = since_ms(5, 1100);
	(void)state;

	stops_at_walk = true;
	look_once(&watched);
	stops_at_walk = false;
	assert_int_equal(nr_told, 0);
	assert_int_equal(nr_stalls(), 0);
}

#define TEST(fn) cmocka_unit_test_setup(fn, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_reader_is_named_after_a_second_and_when_that_has_doubled),
		TEST(who_is_seen_while_the_wait_becomes_another_is_not_named),
		TEST(who_was_seen_in_vain_is_named_after_a_second_of_its_own),
		TEST(who_installs_another_waits_for_the_one_that_runs),
		TEST(what_is_seen_is_told_to_the_handler_of_now),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
