/* SPDX-License-Identifier: MIT
 *
 * Every table of the race means the same: the same small test for each, so that no baseline wins by leaving work out.
 *
 * Needs: an own process, which forks before it registers with the library.
 */
#include "impl.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define BASE UINT64_C(0x100000)
#define FRAME UINT64_C(4096)
#define NR_FRAMES 64
#define NR_THREADS 4
#define MIX_NS 100000000
#define SHARED_FRAMES 4

#define ORDERED_COUNT(counter, by) atomic_fetch_add_explicit(counter, by, memory_order_relaxed)

struct meta {
	uint64_t paddr, complement;
};

struct table {
	const struct impl *impl;
	struct mslot_region *region;
};

static _Atomic unsigned nr_dropped;
static _Atomic int nr_owners[NR_FRAMES];
static _Atomic unsigned nr_wrong;
static struct table reentered;

static bool is_whole(const struct meta *meta, uint64_t paddr)
{
	return meta && meta->paddr == paddr && meta->complement == ~paddr;
}

static void count_drop(void *meta, uint64_t paddr, void *memory)
{
	(void)memory;
	if (!is_whole(meta, paddr) || ORDERED_COUNT(&nr_owners[(paddr - BASE) / FRAME], -1) != 1)
		ORDERED_COUNT(&nr_wrong, 1);
	memset(meta, 0, sizeof(struct meta));
	ORDERED_COUNT(&nr_dropped, 1);
}

static void come_back(void *meta, uint64_t paddr, void *memory)
{
	static const struct mslot_type other = {"other", 0, 0, NULL, MSLOT_TYPE_IMMEDIATE};
	enum mslot_err why = MSLOT_OK;
	uint64_t none[2] = {0, 0};

	(void)meta, (void)memory;
	/* Its own frame has nobody yet; another can be had. */
	if (reentered.impl->frame_get(reentered.region, paddr, &why) || why != MSLOT_BUSY)
		ORDERED_COUNT(&nr_wrong, 1);
	struct mslot_frame *frame = reentered.impl->frame_claim(reentered.region, paddr + FRAME, &other, none, &why);
	if (frame)
		reentered.impl->frame_drop(frame);
	else
		ORDERED_COUNT(&nr_wrong, 1);
	ORDERED_COUNT(&nr_dropped, 1);
}

static uint64_t now_ns(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

static const struct mslot_type plain = {"plain", sizeof(struct meta), 8, NULL, MSLOT_TYPE_IMMEDIATE};
static const struct mslot_type counted = {"counted", sizeof(struct meta), 8, count_drop, MSLOT_TYPE_IMMEDIATE};
static const struct mslot_type reentering = {"reentering", 0, 0, come_back, MSLOT_TYPE_IMMEDIATE};
static const struct mslot_type deferred = {"deferred", sizeof(struct meta), 8, NULL, 0};

static void table_make(struct table *table)
{
	const struct mslot_region_config config = {.base_paddr = BASE, .nr_frames = NR_FRAMES};

	table->region = table->impl->region_create(&config, NULL);
	assert_non_null(table->region);
}

static void table_end(struct table *table)
{
	assert_int_equal(table->impl->barrier(table->region), MSLOT_OK);
	assert_true(table->impl->is_clean(table->region));
	assert_int_equal(table->impl->region_destroy(table->region), MSLOT_OK);
}

static struct mslot_frame *claim(struct table *table, uint64_t paddr, const struct mslot_type *type,
				 enum mslot_err *why)
{
	const struct meta meta = {paddr, ~paddr};

	return table->impl->frame_claim(table->region, paddr, type, &meta, why);
}

static void a_claim_has_one_winner_and_its_metadata(void **state)
{
	struct table table = {.impl = *state};
	const struct impl *impl = table.impl;
	enum mslot_err why = MSLOT_OK;

	table_make(&table);
	assert_null(impl->frame_get(table.region, BASE, &why));
	assert_int_equal(why, MSLOT_UNUSED);
	assert_null(claim(&table, BASE - FRAME, &plain, &why));
	assert_int_equal(why, MSLOT_OUT_OF_BOUND);
	assert_null(claim(&table, BASE + NR_FRAMES * FRAME, &plain, &why));
	assert_int_equal(why, MSLOT_OUT_OF_BOUND);
	assert_null(claim(&table, BASE + 8, &plain, &why));
	assert_int_equal(why, MSLOT_NOT_ALIGNED);

	struct mslot_frame *frame = claim(&table, BASE, &plain, NULL);
	assert_non_null(frame);
	assert_true(is_whole(impl->frame_meta(frame, &plain), BASE));
	assert_null(impl->frame_meta(frame, &counted));
	assert_null(claim(&table, BASE, &plain, &why));
	assert_int_equal(why, MSLOT_IN_USE);
	impl->frame_drop(frame);
	table_end(&table);
}

static void the_last_drop_frees_once(void **state)
{
	struct table table = {.impl = *state};
	const struct impl *impl = table.impl;
	unsigned before = nr_dropped;

	table_make(&table);
	nr_owners[1] = 1;
	struct mslot_frame *first = claim(&table, BASE + FRAME, &counted, NULL);
	struct mslot_frame *second = impl->frame_get(table.region, BASE + FRAME, NULL);
	struct mslot_frame *third = impl->frame_clone(second);
	assert_non_null(second);
	assert_non_null(third);
	impl->frame_drop(first);
	impl->frame_drop(third);
	assert_int_equal(nr_dropped, before);
	assert_false(impl->is_clean(table.region));
	assert_int_equal(impl->region_destroy(table.region), MSLOT_IN_USE);
	impl->frame_drop(second);
	assert_int_equal(nr_dropped, before + 1);
	first = claim(&table, BASE + FRAME, &plain, NULL);
	assert_non_null(first);
	impl->frame_drop(first);
	table_end(&table);
	assert_int_equal(nr_wrong, 0);
}

static void a_forgotten_reference_comes_back_once(void **state)
{
	struct table table = {.impl = *state};
	const struct impl *impl = table.impl;
	enum mslot_err why = MSLOT_OK;

	table_make(&table);
	struct mslot_frame *frame = claim(&table, BASE, &plain, NULL);
	assert_null(impl->frame_from_raw(table.region, BASE, &why));
	assert_int_equal(why, MSLOT_NOT_FORGOTTEN);
	assert_int_equal(impl->frame_into_raw(frame), BASE);
	assert_false(impl->is_clean(table.region));
	assert_int_equal(impl->region_destroy(table.region), MSLOT_IN_USE);
	frame = impl->frame_from_raw(table.region, BASE, NULL);
	assert_non_null(frame);
	assert_int_equal(impl->frame_clone_into_raw(frame), BASE);
	assert_int_equal(impl->frame_drop_raw(table.region, BASE), MSLOT_OK);
	assert_int_equal(impl->frame_drop_raw(table.region, BASE), MSLOT_NOT_FORGOTTEN);
	assert_int_equal(impl->frame_into_raw(frame), BASE);
	assert_int_equal(impl->frame_drop_raw(table.region, BASE), MSLOT_OK);
	assert_null(impl->frame_get(table.region, BASE, &why));
	assert_int_equal(why, MSLOT_UNUSED);
	table_end(&table);
}

static void on_drop_may_call_again(void **state)
{
	struct table table = {.impl = *state};
	unsigned before = nr_dropped;

	table_make(&table);
	reentered = table;
	struct mslot_frame *frame = claim(&table, BASE, &reentering, NULL);
	assert_non_null(frame);
	table.impl->frame_drop(frame);
	assert_int_equal(nr_dropped, before + 1);
	assert_int_equal(nr_wrong, 0);
	table_end(&table);
}

static void a_peek_shows_typed_metadata(void **state)
{
	struct table table = {.impl = *state};
	const struct impl *impl = table.impl;
	enum mslot_err why = MSLOT_OK;

	table_make(&table);
	struct mslot_frame *frame = claim(&table, BASE, &deferred, NULL);
	assert_non_null(frame);
	for (int i = 0; i < 2; i++) {
		impl_read_lock(impl);
		assert_true(is_whole(impl->peek(table.region, BASE, &deferred, NULL), BASE));
		impl_read_unlock(impl);
	}
	impl_read_lock(impl);
	assert_null(impl->peek(table.region, BASE + FRAME, &deferred, &why));
	assert_int_equal(why, MSLOT_UNUSED);
	impl_read_unlock(impl);
	struct mslot_frame *other = claim(&table, BASE + FRAME, &plain, NULL);
	impl_read_lock(impl);
	assert_null(impl->peek(table.region, BASE + FRAME, &deferred, &why));
	assert_int_equal(why, MSLOT_WRONG_TYPE);
	impl_read_unlock(impl);
	impl->frame_drop(other);
	impl->frame_drop(frame);
	table_end(&table);
}

static void fill(void *ctx, uint64_t paddr, void *meta)
{
	(void)ctx;
	*(struct meta *)meta = (struct meta){paddr, ~paddr};
}

static void a_segment_is_all_or_nothing(void **state)
{
	struct table table = {.impl = *state};
	const struct impl *impl = table.impl;
	struct mslot_segment segment, again;
	uint64_t end = BASE + 8 * FRAME;

	if (!impl->segment_claim)
		skip();
	table_make(&table);
	struct mslot_frame *frame = claim(&table, end - FRAME, &plain, NULL);
	assert_int_equal(impl->segment_claim(table.region, BASE, end, &plain, fill, NULL, &segment), MSLOT_IN_USE);
	impl->frame_drop(frame);
	assert_true(impl->is_clean(table.region));
	assert_int_equal(impl->segment_claim(table.region, BASE, end, &plain, fill, NULL, &segment), MSLOT_OK);
	assert_int_equal(impl->segment_clone(&segment, &again), MSLOT_OK);
	impl->segment_drop(&segment);
	for (uint64_t paddr = BASE; paddr < end; paddr += FRAME) {
		frame = impl->frame_get(table.region, paddr, NULL);
		assert_non_null(frame);
		assert_true(is_whole(impl->frame_meta(frame, &plain), paddr));
		impl->frame_drop(frame);
	}
	assert_false(impl->is_clean(table.region));
	impl->segment_drop(&again);
	table_end(&table);
}

struct worker {
	struct table *table;
	pthread_t thread;
	unsigned seed, nr_claims;
};

static void *mix(void *arg)
{
	struct worker *worker = arg;
	struct table *table = worker->table;
	const struct impl *impl = table->impl;
	uint64_t end_ns = now_ns() + MIX_NS;
	bool is_right = !mslot_thread_register();

	/* By the clock: a number of steps is over within one time slice, unraced, or takes a slice for each in a fair
	 * spin lock. */
	while (now_ns() < end_ns) {
		uint64_t random = (uint64_t)rand_r(&worker->seed), nth = random % SHARED_FRAMES;
		uint64_t paddr = BASE + nth * FRAME;
		struct mslot_frame *frame = claim(table, paddr, &counted, NULL);

		/* Nobody else has it: the last owner's on_drop is over. */
		if (frame) {
			is_right &= ORDERED_COUNT(&nr_owners[nth], 1) == 0;
			worker->nr_claims++;
		} else {
			frame = impl->frame_get(table->region, paddr, NULL);
		}
		if (!frame)
			continue;
		is_right &= is_whole(impl->frame_meta(frame, &counted), paddr);
		if (random & 0x100) {
			is_right &= impl->frame_clone_into_raw(frame) == paddr;
			is_right &= !impl->frame_drop_raw(table->region, paddr);
		}
		if (random & 0x200) {
			is_right &= impl->frame_into_raw(frame) == paddr;
			frame = impl->frame_from_raw(table->region, paddr, NULL);
		}
		if (random & 0x400)
			impl->frame_drop(impl->frame_clone(frame));
		is_right &= is_whole(impl->frame_meta(frame, &counted), paddr);
		impl->frame_drop(frame);
	}
	is_right &= !mslot_thread_unregister();
	if (!is_right)
		ORDERED_COUNT(&nr_wrong, 1);
	return NULL;
}

static void four_threads_agree(void **state)
{
	struct table table = {.impl = *state};
	struct worker workers[NR_THREADS];
	unsigned before = nr_dropped, nr_claims = 0;

	table_make(&table);
	for (unsigned i = 0; i < NR_THREADS; i++) {
		workers[i] = (struct worker){.table = &table, .seed = i + 1};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, mix, &workers[i]), 0);
	}
	mslot_thread_offline();
	for (unsigned i = 0; i < NR_THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		nr_claims += workers[i].nr_claims;
	}
	mslot_thread_online();
	assert_int_equal(nr_wrong, 0);
	assert_true(nr_claims > 0);
	assert_int_equal(nr_dropped - before, nr_claims);
	table_end(&table);
}

/* In a child of its own, which the fault ends. */
static bool over_drop_is_seen(const struct impl *impl)
{
	struct table table = {.impl = impl};
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		fclose(stderr);
		signal(SIGABRT, SIG_DFL);
		if (mslot_thread_register())
			_exit(1);
		const struct mslot_region_config config = {.base_paddr = BASE, .nr_frames = NR_FRAMES};
		table.region = impl->region_create(&config, NULL);
		struct mslot_frame *frame = claim(&table, BASE, &plain, NULL);
		if (!frame || impl->frame_into_raw(frame) != BASE)
			_exit(1);
		/* The reference is forgotten: no handle is out that this could stand for. */
		impl->frame_drop(frame);
		_exit(0);
	}
	return child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

int main(void)
{
	int nr_failed = 0;

	for (const struct impl *const *impl = impl_list(); *impl; impl++)
		if (!over_drop_is_seen(*impl)) {
			fprintf(stderr, "%s: an over-drop went unseen\n", (*impl)->name);
			nr_failed++;
		}
	if (mslot_thread_register())
		return 1;
	for (const struct impl *const *impl = impl_list(); *impl; impl++) {
#define FACT(fact)                                                                                                     \
	{                                                                                                              \
		.name = #fact, .test_func = fact, .initial_state = (void *)*impl                                       \
	}
		const struct CMUnitTest tests[] = {
			FACT(a_claim_has_one_winner_and_its_metadata),
			FACT(the_last_drop_frees_once),
			FACT(a_forgotten_reference_comes_back_once),
			FACT(on_drop_may_call_again),
			FACT(a_peek_shows_typed_metadata),
			FACT(a_segment_is_all_or_nothing),
			FACT(four_threads_agree),
		};

		nr_failed += cmocka_run_group_tests_name((*impl)->name, tests, NULL, NULL);
	}
	mslot_thread_unregister();
	return nr_failed ? 1 : 0;
}
