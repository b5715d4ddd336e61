/* SPDX-License-Identifier: MIT
 *
 * Placement: which threads run where, and where their memory lies; on machines that hwloc makes up, and on this one
 * with fewer cpus allowed. What hwloc is asked to bind is noted.
 *
 * Usage: test_place FILE: the topology of five uneven nodes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "place.h"

#include <hwloc.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

static const char *uneven;

/* ---- in place of the kernel ---- */

static int bound_cpu, policy_now;
static unsigned nodes_now; /* of memory: a bit each */
static char area[64];	   /* of payload: a letter for its bytes, and its node; one area after the other */

int __wrap_hwloc_set_cpubind(hwloc_topology_t topology, hwloc_const_bitmap_t set, int flags);
int __wrap_hwloc_set_cpubind(hwloc_topology_t topology, hwloc_const_bitmap_t set, int flags)
{
	(void)topology;
	assert_int_equal(flags, HWLOC_CPUBIND_THREAD);
	assert_int_equal(hwloc_bitmap_weight(set), 1);
	bound_cpu = hwloc_bitmap_first(set);
	return 0;
}

int __wrap_hwloc_set_membind(hwloc_topology_t topology, hwloc_const_bitmap_t set, hwloc_membind_policy_t policy,
			     int flags);
int __wrap_hwloc_set_membind(hwloc_topology_t topology, hwloc_const_bitmap_t set, hwloc_membind_policy_t policy,
			     int flags)
{
	(void)topology;
	assert_int_equal(flags, HWLOC_MEMBIND_THREAD | HWLOC_MEMBIND_BYNODESET);
	policy_now = (int)policy;
	nodes_now = (unsigned)hwloc_bitmap_to_ulong(set);
	return 0;
}

static char memory[1 << 20];

int __wrap_hwloc_set_area_membind(hwloc_topology_t topology, const void *start, size_t bytes, hwloc_const_bitmap_t set,
				  hwloc_membind_policy_t policy, int flags);
int __wrap_hwloc_set_area_membind(hwloc_topology_t topology, const void *start, size_t bytes, hwloc_const_bitmap_t set,
				  hwloc_membind_policy_t policy, int flags)
{
	(void)topology;
	assert_int_equal(policy, HWLOC_MEMBIND_BIND);
	assert_int_equal(flags, HWLOC_MEMBIND_BYNODESET);
	snprintf(area + strlen(area), sizeof(area) - strlen(area), "%zu+%zu:%d ",
		 (size_t)((const char *)start - memory) / 64, bytes / 64, hwloc_bitmap_first(set));
	return 0;
}

/* ---- */

static struct place *make(const char *machine, const char *how, enum place_memory where, unsigned nr_threads)
{
	const char *why;

	unsetenv("HWLOC_XMLFILE");
	unsetenv("HWLOC_SYNTHETIC");
	if (machine)
		setenv(machine == uneven ? "HWLOC_XMLFILE" : "HWLOC_SYNTHETIC", machine, 1);
	return place_make(how, where, nr_threads, &why);
}

/* The picture, without its first line. */
static void pictured(const char *machine, const char *how, unsigned nr_threads, const char *expected)
{
	struct place *place = make(machine, how, PLACE_LOCAL, nr_threads);
	char *text = NULL;
	size_t bytes = 0;
	FILE *to = open_memstream(&text, &bytes);

	assert_non_null(place);
	assert_non_null(to);
	place_print(place, nr_threads, to);
	fclose(to);
	assert_string_equal(strchr(text, '\n') + 1, expected);
	free(text);
	place_free(place);
}

#define TWO_BY_TWO "package:2 numa:2(memory=2147483648) core:2 pu:2"

static void threads_are_where_they_were_asked_for(void **state)
{
	(void)state;
	pictured(TWO_BY_TWO, "compact", 5,
		 "  node 0    2.0 GiB  [0: 0]  [1: 1]  [2: 2]  [3: 3]\n"
		 "  node 1    2.0 GiB  [4: 4]  3 idle\n"
		 "  node 2    2.0 GiB  4 idle\n"
		 "  node 3    2.0 GiB  4 idle\n");
	pictured(TWO_BY_TWO, "scatter", 5,
		 "  node 0    2.0 GiB  [0: 0]  [2: 4]  2 idle\n"
		 "  node 1    2.0 GiB  [4: 2]  3 idle\n"
		 "  node 2    2.0 GiB  [8: 1]  3 idle\n"
		 "  node 3    2.0 GiB  [12: 3]  3 idle\n");
	pictured(TWO_BY_TWO, "node", 6,
		 "  node 0    2.0 GiB  [0: 0]  [1: 4]  2 idle\n"
		 "  node 1    2.0 GiB  [4: 1]  [5: 5]  2 idle\n"
		 "  node 2    2.0 GiB  [8: 2]  3 idle\n"
		 "  node 3    2.0 GiB  [12: 3]  3 idle\n");
	pictured(TWO_BY_TWO, "9,2-3", 7,
		 "  node 0    2.0 GiB  [2: 0 3 6]  [3: 1 4]\n"
		 "  node 1    2.0 GiB  no cpus to use\n"
		 "  node 2    2.0 GiB  [9: 2 5]\n"
		 "  node 3    2.0 GiB  no cpus to use\n");
	pictured("numa:1(memory=1073741824) pu:2", "0", 9, "  node 0    1.0 GiB  [0: 0 1 2 and 6 more]\n");
}

/* Nodes without cpus have no threads, those without memory do. */
static void an_uneven_machine_is_used_as_it_is(void **state)
{
	(void)state;
	pictured(uneven, "node", 6,
		 "  node 0   16.0 GiB  [0: 0]  [1: 4]\n"
		 "  node 2    1.0 GiB  [2: 1]  [3: 5]\n"
		 "  node 5    2.0 GiB  [4: 2]\n"
		 "  node 7    0.0 GiB  [5: 3]\n"
		 "  node 3  128.0 GiB  no cpus to use\n");
}

static void the_default_is_compact_until_threads_outnumber_cpus(void **state)
{
	struct place *place;

	(void)state;
	for (unsigned nr = 1; nr <= 5; nr++) {
		assert_non_null(place = make("numa:2 pu:2", NULL, PLACE_LOCAL, nr));
		assert_string_equal(place_name(place), nr <= 4 ? "compact" : "none");
		bound_cpu = -1;
		place_thread(place, nr - 1);
		assert_int_equal(bound_cpu, nr <= 4 ? (int)nr - 1 : -1);
		place_free(place);
	}
	assert_non_null(place = make("numa:2 pu:2", "compact", PLACE_LOCAL, 6));
	place_thread(place, 5);
	assert_int_equal(bound_cpu, 1);
	place_free(place);
	pictured("numa:2(memory=1073741824) pu:2", "none", 3,
		 "  node 0    1.0 GiB  2 cpus\n  node 1    1.0 GiB  2 cpus\n");
}

static void cpus_that_may_not_be_used_are_not(void **state)
{
	struct place *place;
	cpu_set_t before, one;
	char name[32], other[32];
	int first = 0;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	while (!CPU_ISSET(first, &before))
		first++;
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	snprintf(name, sizeof(name), "%d", first);
	snprintf(other, sizeof(other), "%d-%d", first, first + 1);
	assert_null(make(NULL, other, PLACE_LOCAL, 1));
	assert_non_null(place = make(NULL, "scatter", PLACE_LOCAL, 4));
	assert_int_equal(place_nr_cpus(place), 1);
	place_thread(place, 3);
	assert_int_equal(bound_cpu, first);
	place_free(place);
	place_free(make(NULL, name, PLACE_LOCAL, 1));
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
}

static void what_cannot_be_is_refused(void **state)
{
	static const char *const wrong[] = {"", "far", "0-x", "x", "3-1", "4", "0,4", "-1", "1-"};

	(void)state;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_null(make("numa:2 pu:2", wrong[i], PLACE_LOCAL, 1));
	assert_null(make("numa:1 pu:2", NULL, PLACE_REMOTE, 1));
	assert_null(make("numa:2 pu:2", "none", PLACE_REMOTE, 1));
}

/* The operating system's number of the only node, or -1. */
static int memory_of(const struct place *place, unsigned thread)
{
	nodes_now = 0;
	policy_now = -1;
	place_thread(place, thread);
	return nodes_now ? __builtin_ctz(nodes_now) : -1;
}

static void memory_is_far_or_everywhere_if_that_is_asked_for(void **state)
{
	static const int farthest[] = {2, 2, 0, 0, 3, 0};
	struct place *place;

	(void)state;
	assert_non_null(place = make(uneven, "compact", PLACE_REMOTE, 6));
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(memory_of(place, i), farthest[i]);
		assert_int_equal(policy_now, HWLOC_MEMBIND_BIND);
	}
	place_free(place);
	/* Where no latencies are known: in the other package. */
	assert_non_null(place = make(TWO_BY_TWO, "node", PLACE_REMOTE, 4));
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(memory_of(place, i), i < 2 ? 2 : 0);
	place_free(place);
	assert_non_null(place = make(uneven, "compact", PLACE_INTERLEAVED, 6));
	memory_of(place, 0);
	assert_int_equal(policy_now, HWLOC_MEMBIND_INTERLEAVE);
	assert_int_equal(nodes_now, 1 << 0 | 1 << 2 | 1 << 3 | 1 << 5);
	place_free(place);
	assert_non_null(place = make(uneven, "compact", PLACE_LOCAL, 6));
	assert_int_equal(memory_of(place, 0), -1);
	place_free(place);
}

static void a_region_is_divided_among_the_nodes_with_memory(void **state)
{
	struct mslot_region_config config = {.base_paddr = 4096, .nr_frames = 1000, .frame_shift = 6, .memory = memory};
	struct mslot_node_range ranges[8];
	struct place *place = make(uneven, NULL, PLACE_LOCAL, 1);

	(void)state;
	assert_non_null(place);
	assert_int_equal(place_ranges(place, &config, ranges, 8), 4);
	/* In hwloc's order; multiples of 64 frames, and the rest. */
	static const unsigned nodes[] = {0, 2, 5, 3};
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(ranges[i].node, nodes[i]);
		assert_int_equal(ranges[i].start, 4096 + i * 192 * 64);
	}
	assert_string_equal(area, "0+192:0 192+192:2 384+192:5 576+424:3 ");
	assert_int_equal(place_ranges(place, &config, ranges, 3), 0);
	config.nr_frames = 255;
	assert_int_equal(place_ranges(place, &config, ranges, 8), 0);
	place_free(place);
	assert_non_null(place = make(uneven, NULL, PLACE_INTERLEAVED, 1));
	config.nr_frames = 1000;
	assert_int_equal(place_ranges(place, &config, ranges, 8), 0);
	place_free(place);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_are_where_they_were_asked_for),
		cmocka_unit_test(an_uneven_machine_is_used_as_it_is),
		cmocka_unit_test(the_default_is_compact_until_threads_outnumber_cpus),
		cmocka_unit_test(cpus_that_may_not_be_used_are_not),
		cmocka_unit_test(what_cannot_be_is_refused),
		cmocka_unit_test(memory_is_far_or_everywhere_if_that_is_asked_for),
		cmocka_unit_test(a_region_is_divided_among_the_nodes_with_memory),
	};

	if (argc != 2)
		return 2;
	uneven = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
