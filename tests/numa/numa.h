/* SPDX-License-Identifier: MIT
 *
 * What the tests of NUMA share: machines that are not here, and a region over all nodes of one.
 *
 * Usage of both: test_numa MACHINE FILE: one of `machines` below, FILE the topology of the one that is not synthetic. A
 * process reads the topology once, so each machine is a run of its own.
 *
 * Needs:    the linker's --wrap: the cpu that the caller runs on is what the test says, as the machine has cpus that
 *           this one has not; and what hwloc is asked to bind is noted.
 */
#ifndef TESTS_NUMA_H
#define TESTS_NUMA_H

#include "util.h"

#include "base/numa.h"

#include <hwloc.h>

/* Frames of a node: no whole block, and in the last range no whole row. */
#define OF_NODE 576
#define MOST_NODES 8

struct machine {
	const char *name, *synthetic;
	unsigned nr_cpus;
	const char *node_of_cpu; /* the operating system's numbers are digits here */
	const char *no_memory;	 /* a node that is there, and cannot have frames */
	const char *nearest[MOST_NODES];
};

static const struct machine machines[] = {
	{"2", "numa:2 pu:2", 4, "0011", "", {"01", "10"}},
	/* All equally far: around, so that not all fall back on node 0. */
	{"3", "numa:3 pu:1", 3, "012", "", {"012", "120", "201"}},
	/* In pairs: who shares more of the machine is nearer. */
	{"4", "package:2 numa:2 pu:1", 4, "0123", "", {"0123", "1023", "2301", "3201"}},
	{"8",
	 "package:2 group:2 numa:2 pu:2",
	 16,
	 "0011223344556677",
	 "",
	 {"01234567", "10234567", "23014567", "32014567", "45670123", "54670123", "67450123", "76450123"}},
	/* In hwloc's order: 0 2 5 7 3. The firmware's latencies count; 7 has no memory, 3 no cpus. */
	/* uneven.xml: nodes numbered with gaps, of different size, 3 without cpus, 7 without memory; distances that do
	 * not follow the tree. No comments in that file: hwloc without its libxml2 plugin does not read them. */
	{"uneven", NULL, 6, "002257", "7", {"0352", "2530", "5023", "5230", "3025"}},
};

static const struct machine *machine;

/* ---- in place of the kernel ---- */

static _Thread_local int cpu_now;

int __wrap_sched_getcpu(void);
int __wrap_sched_getcpu(void)
{
	return cpu_now;
}

static struct bound {
	const char *start;
	size_t bytes;
	unsigned node;
} bound[64];
static unsigned nr_bound, nr_loads;
static bool loads_fail;

int __wrap_hwloc_set_area_membind(hwloc_topology_t topology, const void *start, size_t bytes, hwloc_const_bitmap_t set,
				  hwloc_membind_policy_t policy, int flags);
int __wrap_hwloc_set_area_membind(hwloc_topology_t topology, const void *start, size_t bytes, hwloc_const_bitmap_t set,
				  hwloc_membind_policy_t policy, int flags)
{
	(void)topology;
	assert_int_equal(policy, HWLOC_MEMBIND_BIND);
	assert_int_equal(flags, HWLOC_MEMBIND_BYNODESET);
	assert_int_equal(hwloc_bitmap_weight(set), 1);
	bound[nr_bound++ % 64] = (struct bound){start, bytes, (unsigned)hwloc_bitmap_first(set)};
	return 0;
}

int __real_hwloc_topology_load(hwloc_topology_t topology);
int __wrap_hwloc_topology_load(hwloc_topology_t topology);
int __wrap_hwloc_topology_load(hwloc_topology_t topology)
{
	nr_loads++;
	/* As each file is that the real one reads. */
	pthread_testcancel();
	return loads_fail ? -1 : __real_hwloc_topology_load(topology);
}

/* ---- a region over all nodes that have memory ---- */

static unsigned nodes[MOST_NODES], nr_nodes; /* the operating system's numbers, ascending */
static struct mslot_node_range ranges[MOST_NODES];
static uint64_t nr_frames;

/* The base is no multiple of a block, and no node but the first begins with one. */
static int make(void **state)
{
	struct mslot_region_config config = {.base_paddr = BASE, .node_ranges = ranges};

	(void)state;
	nr_nodes = 0;
	for (unsigned os = 0; os < 10; os++)
		if (strchr(machine->nearest[0], '0' + (int)os)) {
			ranges[nr_nodes] = (struct mslot_node_range){PADDR(nr_nodes * OF_NODE), os};
			nodes[nr_nodes++] = os;
		}
	nr_frames = nr_nodes * OF_NODE - 3;
	config.nr_node_ranges = nr_nodes;
	config.nr_frames = nr_frames;
	nr_bound = 0;
	region = mslot_region_create(&config, NULL);
	cpu_now = 0;
	return !region;
}

static int end(void **state)
{
	(void)state;
	return mslot_barrier(region) || !mslot_is_clean(region) || mslot_region_destroy(region);
}

static uint64_t frames_of(unsigned node)
{
	return node == nodes[nr_nodes - 1] ? OF_NODE - 3 : OF_NODE;
}

static struct mslot_alloc_options on(unsigned node)
{
	return (struct mslot_alloc_options){.flags = MSLOT_ALLOC_ON_NODE, .node = node};
}

#define ON_A_REGION(test) cmocka_unit_test_setup_teardown(test, make, end)

/* Puts the machine in place of this one; false if it is not known. */
static bool numa_begin(int argc, char **argv)
{
	for (unsigned i = 0; i < sizeof(machines) / sizeof(machines[0]); i++)
		if (argc == 3 && !strcmp(argv[1], machines[i].name))
			machine = &machines[i];
	if (!machine || mslot_thread_register())
		return false;
	if (machine->synthetic)
		return !setenv("HWLOC_SYNTHETIC", machine->synthetic, 1);
	return !setenv("HWLOC_XMLFILE", argv[2], 1);
}

#endif
