/* SPDX-License-Identifier: MIT
 *
 * Where the threads of a program run, and where the memory lies that they touch first.
 *
 * A placement is an order of cpus, of those that the process may use; thread number n runs on the nth of them, around:
 *
 *     compact   neighbours first: a core's hardware threads, a cache's cores, a node's caches
 *     scatter   far apart first: thread after thread in another package, then node, cache, core
 *     node      thread after thread on another NUMA node, within a node compact
 *     CPUS      a list such as 0-3,8, by the operating system's numbers, in ascending order
 *     none      the kernel chooses
 */
#ifndef BENCH_PLACE_H
#define BENCH_PLACE_H

#include <metaslot/region.h>

#include <stdio.h>

/* Pages that a thread touches first lie on its node, on the node farthest from it, or on all nodes in turn. */
enum place_memory { PLACE_LOCAL, PLACE_REMOTE, PLACE_INTERLEAVED, PLACE_NR };
extern const char *const place_memory_names[PLACE_NR];

struct place;

/* NULL and why, where it cannot be done here. `how` NULL is compact where each of `nr_threads` has a cpu, else none. */
struct place *place_make(const char *how, enum place_memory memory, unsigned nr_threads, const char **why);
void place_free(struct place *place);
/* Whether place_make() could ever understand it. */
bool place_is_known(const char *how);

/* Cpus that the threads share. */
unsigned place_nr_cpus(const struct place *place);
/* Puts the calling thread, the nth of its kind, into its place. */
void place_thread(const struct place *place, unsigned nth);

/* As many node ranges, of about equal size, as there are nodes with memory, for a region of that config; the payload is
 * put on the nodes, too. Gives how many: 0 where there is one node, or so few frames, or memory that is not to be
 * local. */
unsigned place_ranges(const struct place *place, const struct mslot_region_config *config,
		      struct mslot_node_range *ranges, unsigned most);

/* A line for what was asked for, and one for each node: its memory, its cpus, and which threads run there. */
void place_print(const struct place *place, unsigned nr_threads, FILE *to);
/* In a word: compact, ..., or the list of cpus. */
const char *place_name(const struct place *place);

#endif
