/* SPDX-License-Identifier: MIT
 *
 * NUMA: which node is near, and where slots and hints lie.
 */
#include "numa/numa.h"

/* ---- the machine ---- */

static void a_region_that_names_no_node_does_not_look_at_the_machine(void **state)
{
	struct mslot_region_config config = {.base_paddr = BASE, .nr_frames = 100};
	struct mslot_alloc_options options = on(0);
	enum mslot_err why = MSLOT_OK;

	(void)state;
	region = mslot_region_create(&config, NULL);
	assert_non_null(region);
	struct mslot_frame *frame = mslot_alloc_frame(region, &immediate, NULL, NULL, NULL);
	assert_non_null(frame);
	mslot_frame_drop(frame);
	/* Its frames count as of node 0. */
	frame = mslot_alloc_frame(region, &immediate, NULL, &options, NULL);
	assert_non_null(frame);
	mslot_frame_drop(frame);
	options.node = 1;
	assert_null(mslot_alloc_frame(region, &immediate, NULL, &options, &why));
	assert_err(why, MSLOT_INVALID);
	assert_int_equal(mslot_region_destroy(region), MSLOT_OK);
	assert_int_equal(nr_loads, 0);
	assert_int_equal(nr_bound, 0);
}

static bool has_read;

static void *read_cancelled(void *arg)
{
	pthread_cancel(pthread_self());
	assert_false(numa_init());
	has_read = true;
	pthread_testcancel();
	return arg;
}

static void who_is_cancelled_while_it_reads_the_topology_leaves_no_lock(void **state)
{
	pthread_t thread;
	void *result = NULL;

	(void)state;
	loads_fail = true;
	assert_int_equal(pthread_create(&thread, NULL, read_cancelled, NULL), 0);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_ptr_equal(result, PTHREAD_CANCELED);
	assert_true(has_read);
	nr_loads = 0;
}

static void a_topology_that_could_not_be_read_is_read_again(void **state)
{
	struct mslot_node_range range = {0, 0};
	struct mslot_region_config config = {.nr_frames = 64, .node_ranges = &range, .nr_node_ranges = 1};
	enum mslot_err why = MSLOT_OK;

	(void)state;
	loads_fail = true;
	assert_null(mslot_region_create(&config, &why));
	assert_err(why, MSLOT_NO_MEMORY);
	assert_int_equal(numa_nr_nodes(), 0);
	loads_fail = false;
	assert_true(numa_init());
	assert_int_equal(nr_loads, 2);
}

static void near_is_what_the_machine_says(void **state)
{
	(void)state;
	for (unsigned from = 0; from < numa_nr_nodes(); from++) {
		const char *expected = machine->nearest[from];
		for (unsigned nth = 0; nth < strlen(expected); nth++)
			assert_int_equal(numa_nearest(from, nth), numa_node((unsigned)(expected[nth] - '0')));
		assert_int_equal(numa_nearest(from, (unsigned)strlen(expected)), NUMA_NONE);
	}
	assert_int_equal(numa_nearest(numa_nr_nodes(), 0), NUMA_NONE);
	assert_true(numa_init());
	assert_int_equal(nr_loads, 2);
}

static void a_cpu_is_on_its_node(void **state)
{
	(void)state;
	for (unsigned cpu = 0; cpu < machine->nr_cpus; cpu++) {
		unsigned os = (unsigned)(machine->node_of_cpu[cpu] - '0');
		cpu_now = (int)cpu;
		if (!strchr(machine->no_memory, machine->node_of_cpu[cpu]))
			assert_int_equal(numa_here(), numa_node(os));
		else
			assert_int_not_equal(numa_nearest(numa_here(), 0), numa_here());
	}
	/* Cpus that are not there, or not known. */
	cpu_now = (int)machine->nr_cpus;
	assert_int_equal(numa_here(), 0);
	cpu_now = -1;
	assert_int_equal(numa_here(), 0);
}

/* ---- regions ---- */

static void refused(const struct mslot_node_range *wrong, unsigned nr, enum mslot_err err)
{
	struct mslot_region_config config = {
		.base_paddr = BASE, .nr_frames = 256, .node_ranges = wrong, .nr_node_ranges = nr};
	enum mslot_err why = MSLOT_OK;

	assert_null(mslot_region_create(&config, &why));
	assert_err(why, err);
}

static void wrong_ranges_are_refused(void **state)
{
	unsigned node = machine->nearest[0][0] - '0';
	struct mslot_node_range wrong[2] = {{BASE, node}, {PADDR(64), 9}};

	(void)state;
	refused(NULL, 1, MSLOT_INVALID);
	refused(wrong, 2, MSLOT_INVALID);
	wrong[1].node = node;
	refused(wrong, 1025, MSLOT_INVALID);
	wrong[1].start = BASE;
	refused(wrong, 2, MSLOT_INVALID);
	wrong[1].start = BASE - 64 * FRAME;
	refused(wrong, 2, MSLOT_INVALID);
	wrong[1].start = PADDR(65);
	refused(wrong, 2, MSLOT_NOT_ALIGNED);
	wrong[1].start = PADDR(64) + 1;
	refused(wrong, 2, MSLOT_NOT_ALIGNED);
	wrong[1].start = PADDR(256);
	refused(wrong, 2, MSLOT_OUT_OF_BOUND);
	wrong[0].start = PADDR(64);
	refused(wrong, 1, MSLOT_INVALID);
	for (const char *os = machine->no_memory; *os; os++) {
		wrong[0] = (struct mslot_node_range){BASE, (unsigned)(*os - '0')};
		refused(wrong, 1, MSLOT_INVALID);
	}
}

/* Of each node its hints, then its slots: whole pages, and no page twice. */
static void slots_and_hints_lie_on_the_node_of_their_frames(void **state)
{
	struct mslot_frame *frame;

	(void)state;
	assert_int_equal(nr_bound, 2 * nr_nodes);
	for (unsigned i = 0; i < nr_bound; i++) {
		assert_int_equal(bound[i].node, nodes[i / 2]);
		assert_int_equal((uintptr_t)bound[i].start % 4096, 0);
		if (i % 2) {
			frame = mslot_frame_claim(region, ranges[i / 2].start, &immediate, NULL, NULL);
			assert_ptr_equal(frame, bound[i].start);
			mslot_frame_drop(frame);
			assert_int_equal(bound[i].bytes, frames_of(nodes[i / 2]) * MSLOT_SLOT_BYTES);
		} else {
			assert_int_equal(bound[i].bytes % 4096, 0);
		}
		for (unsigned j = 0; j < i; j++)
			assert_true(bound[i].start >= bound[j].start + bound[j].bytes ||
				    bound[j].start >= bound[i].start + bound[i].bytes);
	}
}

static void neighbours_of_one_node_are_one_range(void **state)
{
	unsigned first = machine->nearest[0][0] - '0', second = machine->nearest[0][1] - '0';
	struct mslot_node_range four[4] = {
		{BASE, first}, {PADDR(64), first}, {PADDR(128), second}, {PADDR(192), first}};
	struct mslot_region_config config = {
		.base_paddr = BASE, .nr_frames = 256, .node_ranges = four, .nr_node_ranges = 4};
	struct mslot_alloc_options options = on(first);
	struct mslot_segment run, other;

	(void)state;
	nr_bound = 0;
	region = mslot_region_create(&config, NULL);
	assert_non_null(region);
	assert_int_equal(nr_bound, 6);
	assert_err(mslot_alloc_segment(region, 128, 1, &immediate, NULL, NULL, &options, &run), MSLOT_OK);
	assert_int_equal(run.start, BASE);
	/* The node's other range is found, too; the two are no run. */
	assert_err(mslot_alloc_segment(region, 65, 1, &immediate, NULL, NULL, &options, &other), MSLOT_NO_MEMORY);
	assert_err(mslot_alloc_segment(region, 64, 1, &immediate, NULL, NULL, &options, &other), MSLOT_OK);
	assert_int_equal(other.start, PADDR(192));
	mslot_segment_drop(&run);
	mslot_segment_drop(&other);
	end(NULL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_region_that_names_no_node_does_not_look_at_the_machine),
		cmocka_unit_test(who_is_cancelled_while_it_reads_the_topology_leaves_no_lock),
		cmocka_unit_test(a_topology_that_could_not_be_read_is_read_again),
		cmocka_unit_test(near_is_what_the_machine_says),
		cmocka_unit_test(a_cpu_is_on_its_node),
		cmocka_unit_test(wrong_ranges_are_refused),
		cmocka_unit_test(neighbours_of_one_node_are_one_range),
		ON_A_REGION(slots_and_hints_lie_on_the_node_of_their_frames),
	};

	return numa_begin(argc, argv) ? cmocka_run_group_tests(tests, NULL, NULL) : 2;
}
