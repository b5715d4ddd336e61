/* SPDX-License-Identifier: MIT
 *
 * The door to hwloc.
 *
 * Promises: the topology is read once, without moving the calling thread, and again only where that failed; after that
 *           only numa_bind() may allocate.
 * Needs:    hwloc 2. Its variables HWLOC_SYNTHETIC and HWLOC_XMLFILE put another machine in place of this one; then
 *           binding does nothing, and processors are taken for those of that machine by their numbers.
 * Read:     is_nearer() for what "near" means, read_machine() for what is kept.
 *
 * Nodes and processors that the process may not use (a cgroup's cpuset) are not there for hwloc, and so not here.
 */
#include "base/numa.h"

#include <hwloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Written by numa_init(); whoever has called it, or has a region that was made after that, may read. */
static struct {
	hwloc_topology_t topology;
	unsigned nr_nodes, nr_with_memory, nr_cpus;
	hwloc_obj_t *nodes;
	unsigned *nearest;     /* a row of nr_with_memory nodes for each node */
	unsigned *node_of_cpu; /* by the operating system's number of the cpu */
} machine;

/* Latencies between nodes, as the firmware tells them; NULL where it does not. */
static struct hwloc_distances_s *latencies;

static uint64_t latency(unsigned from, unsigned to)
{
	hwloc_uint64_t there = UINT64_MAX, back;

	(void)hwloc_distances_obj_pair_values(latencies, machine.nodes[from], machine.nodes[to], &there, &back);
	return there;
}

/* How deep in the tree of the machine the lowest object lies that has both nodes below it. */
static int common_depth(unsigned from, unsigned to)
{
	hwloc_obj_t above = machine.nodes[from]->parent;

	while (!hwloc_obj_is_in_subtree(machine.topology, machine.nodes[to], above))
		above = above->parent;
	return above->depth;
}

/*
 * The node itself; then by the firmware's latency, or else by how much of the machine both share. Of equals, whose
 * number follows next, around: so that not all nodes fall back on the same one.
 */
static bool is_nearer(unsigned from, unsigned a, unsigned b)
{
	unsigned nr = machine.nr_nodes, around_a = (a + nr - from) % nr, around_b = (b + nr - from) % nr;

	if (a == from || b == from)
		return a == from;
	if (latencies && latency(from, a) != latency(from, b))
		return latency(from, a) < latency(from, b);
	if (!latencies && common_depth(from, a) != common_depth(from, b))
		return common_depth(from, a) > common_depth(from, b);
	return around_a < around_b;
}

static bool has_memory(unsigned node)
{
	return machine.nodes[node]->attr->numanode.local_memory > 0;
}

static void sort_nearest(unsigned from, unsigned *nearest)
{
	unsigned nr = 0;

	for (unsigned node = 0; node < machine.nr_nodes; node++) {
		unsigned at = nr;

		if (!has_memory(node))
			continue;
		for (; at > 0 && is_nearer(from, node, nearest[at - 1]); at--)
			nearest[at] = nearest[at - 1];
		nearest[at] = node;
		nr++;
	}
}

/* Of several nodes at a cpu (plain memory, and fast memory beside it) the most local one, and of those the first. */
static unsigned find_node_of_cpu(unsigned cpu)
{
	unsigned best = 0;
	int best_weight = 0;

	for (unsigned node = 0; node < machine.nr_nodes; node++) {
		int weight = hwloc_bitmap_weight(machine.nodes[node]->cpuset);

		if (hwloc_bitmap_isset(machine.nodes[node]->cpuset, cpu) && (!best_weight || weight < best_weight)) {
			best = node;
			best_weight = weight;
		}
	}
	return best;
}

static bool read_nodes(void)
{
	hwloc_topology_t topology = machine.topology;
	int nr_nodes = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_NUMANODE);
	int last_cpu = hwloc_bitmap_last(hwloc_topology_get_topology_cpuset(topology));

	if (nr_nodes < 1 || last_cpu < 0)
		return false;
	machine.nr_nodes = (unsigned)nr_nodes;
	machine.nr_cpus = (unsigned)last_cpu + 1;
	machine.nodes = calloc(machine.nr_nodes, sizeof(machine.nodes[0]));
	machine.nearest = calloc((size_t)machine.nr_nodes * machine.nr_nodes, sizeof(machine.nearest[0]));
	machine.node_of_cpu = calloc(machine.nr_cpus, sizeof(machine.node_of_cpu[0]));
	if (!machine.nodes || !machine.nearest || !machine.node_of_cpu)
		return false;
	for (unsigned node = 0; node < machine.nr_nodes; node++) {
		machine.nodes[node] = hwloc_get_obj_by_type(topology, HWLOC_OBJ_NUMANODE, node);
		machine.nr_with_memory += has_memory(node);
	}
	for (unsigned cpu = 0; cpu < machine.nr_cpus; cpu++)
		machine.node_of_cpu[cpu] = find_node_of_cpu(cpu);
	return true;
}

static bool read_machine(void)
{
	struct hwloc_distances_s *found = NULL;
	unsigned nr = 1;

	if (hwloc_topology_init(&machine.topology))
		return false;
	/* Reading must not move the thread that happens to be first. */
	if (hwloc_topology_set_flags(machine.topology, HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING) ||
	    hwloc_topology_load(machine.topology) || !read_nodes()) {
		free(machine.nodes);
		free(machine.nearest);
		free(machine.node_of_cpu);
		hwloc_topology_destroy(machine.topology);
		memset(&machine, 0, sizeof(machine));
		return false;
	}
	if (!hwloc_distances_get_by_type(machine.topology, HWLOC_OBJ_NUMANODE, &nr, &found,
					 HWLOC_DISTANCES_KIND_MEANS_LATENCY, 0) &&
	    nr > 0 && found->nbobjs == machine.nr_nodes)
		latencies = found;
	for (unsigned from = 0; from < machine.nr_nodes; from++)
		sort_nearest(from, machine.nearest + (size_t)from * machine.nr_with_memory);
	return true;
}

bool numa_init(void)
{
	static pthread_mutex_t reading = PTHREAD_MUTEX_INITIALIZER;
	static bool is_read;
	bool is_there;
	int cancel_state;

	/* hwloc reads files: a thread that is cancelled there would take the lock along. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	pthread_mutex_lock(&reading);
	is_there = is_read = is_read || read_machine();
	pthread_mutex_unlock(&reading);
	pthread_setcancelstate(cancel_state, NULL);
	return is_there;
}

unsigned numa_nr_nodes(void)
{
	return machine.nr_nodes;
}

unsigned numa_node(unsigned os_number)
{
	for (unsigned node = 0; node < machine.nr_nodes; node++)
		if (machine.nodes[node]->os_index == os_number)
			return has_memory(node) ? node : NUMA_NONE;
	return NUMA_NONE;
}

unsigned numa_here(void)
{
	/* Not cached: the kernel keeps it up to date in the thread's own memory, at some 4 ns a look. */
	unsigned cpu = (unsigned)sched_getcpu();
	return cpu < machine.nr_cpus ? machine.node_of_cpu[cpu] : 0;
}

unsigned numa_nearest(unsigned from, unsigned nth)
{
	if (from >= machine.nr_nodes || nth >= machine.nr_with_memory)
		return NUMA_NONE;
	return machine.nearest[(size_t)from * machine.nr_with_memory + nth];
}

void numa_bind(void *start, size_t bytes, unsigned node)
{
	/* Nothing to choose. */
	if (machine.nr_nodes < 2 || node >= machine.nr_nodes)
		return;
	/* Not HWLOC_MEMBIND_STRICT: a full node must not be the end of the process. */
	(void)hwloc_set_area_membind(machine.topology, start, bytes, machine.nodes[node]->nodeset, HWLOC_MEMBIND_BIND,
				     HWLOC_MEMBIND_BYNODESET);
}
