/* SPDX-License-Identifier: MIT
 *
 * The machine's NUMA nodes: which there are, how far apart, and on which one the caller runs.
 *
 * Nodes are counted from 0 in hwloc's order, in which neighbours follow each other. numa_init() reads the topology,
 * which takes some milliseconds; so a region that names no nodes makes none of these calls.
 */
#ifndef BASE_NUMA_H
#define BASE_NUMA_H

#include <stdbool.h>
#include <stddef.h>

#define NUMA_NONE (~0u)

/* Before any other call: reads the topology, unless that is done. False where memory does not suffice, or it cannot be
 * read; the next call tries again. */
bool numa_init(void);
unsigned numa_nr_nodes(void);
/* The node that has the operating system's number `os_number` and has memory, or NUMA_NONE. */
unsigned numa_node(unsigned os_number);
/* The node whose processor the caller runs on, as of now; 0 where that is not known. */
unsigned numa_here(void);
/* Of the nodes that have memory the nth nearest to `from`, itself first; NUMA_NONE past the last. */
unsigned numa_nearest(unsigned from, unsigned nth);
/* Asks that pages not yet touched lie on the node. A wish: where it is full, or may not be asked, others serve. */
void numa_bind(void *start, size_t bytes, unsigned node);

#endif
