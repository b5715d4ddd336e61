/* SPDX-License-Identifier: MIT
 *
 * Stands in for the door to hwloc: no region of a model names a node.
 */
#ifndef BASE_NUMA_H
#define BASE_NUMA_H

#define NUMA_NONE (~0u)

#define numa_init() true
#define numa_nr_nodes() 1u
#define numa_node(os_number) (os_number)
#define numa_here() 0u
#define numa_nearest(from, nth) ((nth) ? NUMA_NONE : (from))
#define numa_bind(start, bytes, node) ((void)0)

#endif
