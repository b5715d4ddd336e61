/* SPDX-License-Identifier: MIT
 *
 * A hole is marked while others claim in it: either it is made, and nobody has a frame of it, or it is refused.
 */
#include "util.h"

#include <stdatomic.h>

#define GRAIN 512
#define NR_ROUNDS 2000
#define AT(index) ((uint64_t)(index)*FRAME)

static const struct meta seven = {7, 8};
static struct mslot_region *large;
static pthread_barrier_t turn;
static uint64_t grain; /* of this round; nothing of it was claimed, and it was marked in vain */
static struct mslot_frame *claimed[2];

static void *claim_there(void *arg)
{
	assert_err(mslot_thread_register(), MSLOT_OK);
	for (unsigned round = 0; round < NR_ROUNDS; round++) {
		pthread_barrier_wait(&turn);
		for (unsigned i = 0; i < 2; i++)
			claimed[i] = mslot_frame_claim(large, AT(grain * GRAIN + i), &immediate, &seven, NULL);
		pthread_barrier_wait(&turn);
	}
	assert_err(mslot_thread_unregister(), MSLOT_OK);
	return arg;
}

/* To touch a grain takes some ten microseconds. */
static void spin(unsigned turns)
{
	for (atomic_uint i = 0; i < turns; i++)
		;
}

static void mark_in_vain(void)
{
	struct mslot_frame *frame = mslot_frame_claim(large, AT((grain + 1) * GRAIN), &immediate, &seven, NULL);

	assert_err(mslot_region_mark_hole(large, AT(grain * GRAIN), AT((grain + 2) * GRAIN)), MSLOT_IN_USE);
	mslot_frame_drop(frame);
}

static void check_hole(void)
{
	for (unsigned i = 0; i < 3; i++) {
		struct mslot_view view;
		enum mslot_err why = MSLOT_OK;

		assert_err(mslot_view(large, AT(grain * GRAIN + i), &view), MSLOT_OK);
		assert_int_equal(view.status, MSLOT_STATUS_HOLE);
		assert_null(mslot_frame_claim(large, AT(grain * GRAIN + i), &immediate, &seven, &why));
		assert_err(why, MSLOT_OUT_OF_BOUND);
	}
}

static void a_hole_is_made_or_refused(void **state)
{
	unsigned nr_holes = 0;
	pthread_t thread;
	(void)state;

	large = mslot_region_create(&(struct mslot_region_config){.nr_frames = 2 * GRAIN * NR_ROUNDS}, NULL);
	assert_non_null(large);
	pthread_barrier_init(&turn, NULL, 2);
	assert_int_equal(pthread_create(&thread, NULL, claim_there, NULL), 0);
	for (unsigned round = 0; round < NR_ROUNDS; round++) {
		grain = 2 * round;
		mark_in_vain();
		pthread_barrier_wait(&turn);
		spin(round * 7919 % 20000);
		enum mslot_err err = mslot_region_mark_hole(large, AT(grain * GRAIN), AT((grain + 1) * GRAIN));
		pthread_barrier_wait(&turn);
		nr_holes += !err;
		assert_true(!err == (!claimed[0] && !claimed[1]));
		if (!err)
			check_hole();
		for (unsigned i = 0; i < 2; i++)
			mslot_frame_drop(claimed[i]);
	}
	join(thread);
	pthread_barrier_destroy(&turn);
	/* Else nobody met anybody. */
	assert_in_range(nr_holes, 1, NR_ROUNDS - 1);
	assert_err(mslot_region_destroy(large), MSLOT_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(a_hole_is_made_or_refused)};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
