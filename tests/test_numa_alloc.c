/* SPDX-License-Identifier: MIT
 *
 * NUMA: from which node frames come.
 */
#include "numa/numa.h"

#include "table/slot.h"

/* The operating system's number of the node that the frame is on. */
static unsigned node_of(uint64_t paddr)
{
	return nodes[(paddr - BASE) / FRAME / OF_NODE];
}

static struct mslot_frame *alloc_on(unsigned node)
{
	struct mslot_alloc_options options = on(node);

	return mslot_alloc_frame(region, &immediate, NULL, &options, NULL);
}

/* Moves the caller to a cpu; gives the nodes to fall back on from there, nearest first. */
static const char *move_to(unsigned cpu)
{
	const char *nearest;

	cpu_now = (int)cpu;
	nearest = machine->nearest[numa_here()];
	/* A thread uses up the row of the node that it comes from; but not if it asks for another one. */
	mslot_frame_drop(alloc_on((unsigned)(nearest[0] - '0')));
	return nearest;
}

static struct mslot_frame *held[MOST_NODES * OF_NODE];

static void frames_come_from_the_nearest_node_that_has_any(void **state)
{
	(void)state;
	for (unsigned cpu = 0; cpu < machine->nr_cpus; cpu++) {
		const char *expected = move_to(cpu);
		uint64_t nr = 0;

		for (; *expected; expected++)
			for (uint64_t i = 0; i < frames_of((unsigned)(*expected - '0')); i++) {
				held[nr] = mslot_alloc_frame(region, &immediate, NULL, NULL, NULL);
				assert_non_null(held[nr]);
				assert_int_equal(node_of(mslot_frame_paddr(held[nr++])), *expected - '0');
			}
		assert_int_equal(nr, nr_frames);
		enum mslot_err why = MSLOT_OK;
		assert_null(mslot_alloc_frame(region, &immediate, NULL, NULL, &why));
		assert_err(why, MSLOT_NO_MEMORY);
		while (nr--)
			mslot_frame_drop(held[nr]);
	}
}

static void a_node_that_is_asked_for_gives_all_its_frames_and_no_others(void **state)
{
	(void)state;
	for (unsigned round = 0; round < nr_nodes * machine->nr_cpus; round++) {
		unsigned node = nodes[round % nr_nodes];
		struct mslot_alloc_options options = on(node);
		enum mslot_err why = MSLOT_OK;
		struct mslot_segment run;

		cpu_now = (int)(round / nr_nodes);
		for (uint64_t i = 0; i < frames_of(node); i++) {
			held[i] = alloc_on(node);
			assert_non_null(held[i]);
			assert_int_equal(node_of(mslot_frame_paddr(held[i])), node);
		}
		assert_null(mslot_alloc_frame(region, &immediate, NULL, &options, &why));
		assert_err(why, MSLOT_NO_MEMORY);
		assert_null(mslot_alloc_unique(region, &immediate, NULL, &options, &why));
		assert_err(why, MSLOT_NO_MEMORY);
		assert_err(mslot_alloc_segment(region, 1, 1, &immediate, NULL, NULL, &options, &run), MSLOT_NO_MEMORY);
		/* Hints say so, though there are frames elsewhere: a look at the slots would find this one. */
		struct slot *slot = (struct slot *)held[round];
		uint64_t word = slot_word(slot);
		atomic_store(&slot->state, state_recycle(word));
		assert_null(mslot_alloc_frame(region, &immediate, NULL, &options, &why));
		assert_err(mslot_alloc_segment(region, 2, 1, &immediate, NULL, NULL, &options, &run), MSLOT_NO_MEMORY);
		atomic_store(&slot->state, word);
		/* The last one that is left there is found. */
		mslot_frame_drop(held[round]);
		assert_non_null(held[round] = alloc_on(node));
		for (uint64_t i = 0; i < frames_of(node); i++)
			mslot_frame_drop(held[i]);
	}
}

static void a_node_without_frames_is_refused(void **state)
{
	struct mslot_alloc_options options = on(9);
	struct mslot_segment run;

	(void)state;
	for (int round = 0; round < 2; round++) {
		enum mslot_err why = MSLOT_OK;
		if (round && *machine->no_memory)
			options.node = (unsigned)(*machine->no_memory - '0');
		assert_null(mslot_alloc_frame(region, &immediate, NULL, &options, &why));
		assert_err(why, MSLOT_INVALID);
		assert_null(mslot_alloc_unique(region, &immediate, NULL, &options, &why));
		assert_err(why, MSLOT_INVALID);
		assert_err(mslot_alloc_segment(region, 2, 1, &immediate, NULL, NULL, &options, &run), MSLOT_INVALID);
	}
}

/* One request elsewhere, and frames freed elsewhere, do not take a thread away from its node. */
static void a_thread_stays_near(void **state)
{
	struct mslot_frame *far[100];

	(void)state;
	for (unsigned cpu = 0; cpu < machine->nr_cpus; cpu++) {
		const char *near = move_to(cpu);
		unsigned here = (unsigned)(near[0] - '0'), there = (unsigned)(near[strlen(near) - 1] - '0');

		for (unsigned i = 0; i < 100; i++) {
			assert_non_null(far[i] = alloc_on(there));
			assert_non_null(held[i] = mslot_alloc_frame(region, &immediate, NULL, NULL, NULL));
			assert_int_equal(node_of(mslot_frame_paddr(held[i])), here);
		}
		for (unsigned i = 0; i < 100; i++)
			mslot_frame_drop(far[i]);
		for (unsigned i = 100; i < 300; i++) {
			assert_non_null(held[i] = mslot_alloc_frame(region, &immediate, NULL, NULL, NULL));
			assert_int_equal(node_of(mslot_frame_paddr(held[i])), here);
		}
		for (unsigned i = 0; i < 300; i++)
			mslot_frame_drop(held[i]);
	}
}

static void a_run_lies_on_one_node_where_it_can(void **state)
{
	const char *near = move_to(machine->nr_cpus - 1);
	struct mslot_segment run, all;

	(void)state;
	for (unsigned i = 0; i < nr_nodes; i++) {
		struct mslot_alloc_options options = on(nodes[i]);
		assert_err(mslot_alloc_segment(region, 300, 64, &immediate, NULL, NULL, &options, &run), MSLOT_OK);
		assert_int_equal(node_of(run.start), nodes[i]);
		assert_int_equal(node_of(run.end - FRAME), nodes[i]);
		assert_int_equal((run.start - BASE) / FRAME % 64, 0);
		mslot_segment_drop(&run);
		assert_err(mslot_alloc_segment(region, frames_of(nodes[i]), 1, &immediate, NULL, NULL, &options, &run),
			   MSLOT_OK);
		assert_int_equal(run.start, ranges[i].start);
		assert_err(mslot_alloc_segment(region, 1, 1, &immediate, NULL, NULL, &options, &all), MSLOT_NO_MEMORY);
		mslot_segment_drop(&run);
		assert_err(
			mslot_alloc_segment(region, frames_of(nodes[i]) + 1, 1, &immediate, NULL, NULL, &options, &all),
			MSLOT_NO_MEMORY);
	}
	assert_err(mslot_alloc_segment(region, 100, 2, &immediate, NULL, NULL, NULL, &run), MSLOT_OK);
	assert_int_equal(node_of(run.start), (unsigned)(near[0] - '0'));
	mslot_segment_drop(&run);
	/* Longer than a node: over all of them, where no node is asked for. */
	assert_err(mslot_alloc_segment(region, nr_frames, 1, &immediate, NULL, NULL, NULL, &all), MSLOT_OK);
	assert_int_equal(all.start, BASE);
	mslot_segment_drop(&all);
}

/* ---- several threads, each on another cpu ---- */

#define NR_THREADS 4
#define NR_ROUNDS 20000

static _Atomic uint64_t nr_refused;

static void *mix(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	struct mslot_frame *own[200] = {NULL};

	if (mslot_thread_register())
		abort();
	cpu_now = (int)((uintptr_t)arg % machine->nr_cpus);
	for (int i = 0; i < NR_ROUNDS; i++) {
		unsigned at = (unsigned)rand_r(&seed) % 200, node = nodes[(unsigned)rand_r(&seed) % nr_nodes];

		if (own[at]) {
			mslot_frame_drop(own[at]);
			own[at] = NULL;
			continue;
		}
		bool anywhere = rand_r(&seed) % 2;
		own[at] = anywhere ? mslot_alloc_frame(region, &immediate, NULL, NULL, NULL) : alloc_on(node);
		if (!own[at])
			nr_refused++;
		else if (!anywhere && node_of(mslot_frame_paddr(own[at])) != node)
			abort();
		if (i % 5000 == 0)
			cpu_now = (int)((unsigned)rand_r(&seed) % machine->nr_cpus);
		mslot_quiescent_state();
	}
	for (unsigned i = 0; i < 200; i++)
		if (own[i])
			mslot_frame_drop(own[i]);
	if (mslot_thread_unregister())
		abort();
	return NULL;
}

static void none_is_lost_between_threads_on_several_nodes(void **state)
{
	pthread_t threads[NR_THREADS];
	uint64_t nr = 0;

	(void)state;
	mslot_thread_offline();
	for (uintptr_t i = 0; i < NR_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, mix, (void *)(i + 1)), 0);
	for (unsigned i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
	mslot_thread_online();
	/* 200 frames a thread are never more than a node has, on each of them. */
	for (unsigned i = 0; i < nr_nodes; i++)
		for (uint64_t left = frames_of(nodes[i]); left--;)
			assert_non_null(held[nr++] = alloc_on(nodes[i]));
	assert_int_equal(nr, nr_frames);
	while (nr--)
		mslot_frame_drop(held[nr]);
}

/* What another thread remembers of a node is found before "none" is said. */
static void *remember(void *arg)
{
	(void)arg;
	if (mslot_thread_register())
		abort();
	/* Takes a whole row into the thread's cache, and keeps it there. */
	mslot_frame_drop(mslot_alloc_frame(region, &immediate, NULL, NULL, NULL));
	mslot_thread_offline();
	return NULL;
}

static pthread_barrier_t both;

static void *remember_and_wait(void *arg)
{
	remember(arg);
	pthread_barrier_wait(&both);
	pthread_barrier_wait(&both);
	mslot_thread_online();
	mslot_thread_unregister();
	return NULL;
}

static void hints_that_others_hold_of_a_node_are_found(void **state)
{
	unsigned node = (unsigned)(move_to(0)[0] - '0');
	pthread_t thread;

	(void)state;
	pthread_barrier_init(&both, NULL, 2);
	assert_int_equal(pthread_create(&thread, NULL, remember_and_wait, NULL), 0);
	pthread_barrier_wait(&both);
	for (uint64_t i = 0; i < frames_of(node); i++)
		assert_non_null(held[i] = alloc_on(node));
	assert_null(alloc_on(node));
	for (uint64_t i = 0; i < frames_of(node); i++)
		mslot_frame_drop(held[i]);
	pthread_barrier_wait(&both);
	pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		ON_A_REGION(frames_come_from_the_nearest_node_that_has_any),
		ON_A_REGION(a_node_that_is_asked_for_gives_all_its_frames_and_no_others),
		ON_A_REGION(a_node_without_frames_is_refused),
		ON_A_REGION(a_thread_stays_near),
		ON_A_REGION(a_run_lies_on_one_node_where_it_can),
		ON_A_REGION(none_is_lost_between_threads_on_several_nodes),
		ON_A_REGION(hints_that_others_hold_of_a_node_are_found),
	};

	return numa_begin(argc, argv) ? cmocka_run_group_tests(tests, NULL, NULL) : 2;
}
