/* SPDX-License-Identifier: MIT
 *
 * On which NUMA nodes a region's frames lie.
 *
 * Promises: a range's slots and hints lie on the node of its frames, where the kernel can do that; a region whose
 *           config names no node costs nothing for all of this, and counts as node 0.
 * Needs:    numa.c; slots and hints of a range that begin on a page of their own.
 * Read:     nodes_check(), then nodes_init(), then range_walk_next() for the order in which ranges are looked at.
 */
#include "table/region.h"

#include "base/numa.h"

/* An index of a range fits into 16 bits, and a walk over all of them is short. */
#define NR_RANGES_MOST 1024

enum mslot_err nodes_check(const struct mslot_region_config *config, unsigned shift)
{
	uint64_t before = config->base_paddr;

	if (config->nr_node_ranges > NR_RANGES_MOST || (config->nr_node_ranges && !config->node_ranges))
		return MSLOT_INVALID;
	if (config->nr_node_ranges && !numa_init())
		return MSLOT_NO_MEMORY;
	for (unsigned i = 0; i < config->nr_node_ranges; i++) {
		const struct mslot_node_range *range = &config->node_ranges[i];
		uint64_t offset = range->start - config->base_paddr;

		if (i ? range->start <= before : range->start != before)
			return MSLOT_INVALID;
		if (offset >> shift >= config->nr_frames)
			return MSLOT_OUT_OF_BOUND;
		if (offset & ((SLOTS_OF_PAGE << shift) - 1))
			return MSLOT_NOT_ALIGNED;
		if (numa_node(range->node) == NUMA_NONE)
			return MSLOT_INVALID;
		before = range->start;
	}
	return MSLOT_OK;
}

static uint64_t nr_ranges(const struct mslot_region_config *config)
{
	return config->nr_node_ranges ? config->nr_node_ranges : 1;
}

uint64_t nodes_bytes(const struct mslot_region_config *config)
{
	uint64_t nr = nr_ranges(config), bytes = nr * sizeof(struct node_range);

	return nr == 1 ? bytes : bytes + nr * numa_nr_nodes() * sizeof(uint16_t);
}

uint64_t nodes_hint_bytes(const struct mslot_region_config *config)
{
	/* No less than all REGION_HINT_BYTES(): 9/64 a frame, and each range's fixed part. */
	return config->nr_frames / 64 * 9 + nr_ranges(config) * (REGION_HINT_BYTES(UINT64_C(0)) + 4096);
}

static void sort_ranges(struct mslot_region *region, uint16_t *order)
{
	region->order = order;
	for (unsigned from = 0; from < numa_nr_nodes(); from++)
		for (unsigned nth = 0, node; (node = numa_nearest(from, nth)) != NUMA_NONE; nth++)
			for (unsigned i = 0; i < region->nr_ranges; i++)
				if (numa_node(region->ranges[i].node) == node)
					*order++ = (uint16_t)i;
}

void nodes_init(struct mslot_region *region, const struct mslot_region_config *config, void *at, char *hints)
{
	struct node_range *last = region->ranges = at;

	*last = (struct node_range){.end = region->nr_frames};
	for (unsigned i = 0; i < config->nr_node_ranges; i++) {
		const struct mslot_node_range *range = &config->node_ranges[i];

		if (i && range->node != last->node) {
			last->end = (range->start - config->base_paddr) >> region->frame_shift;
			last[1] = (struct node_range){.first = last->end, .end = region->nr_frames};
			last++;
		}
		last->node = range->node;
	}
	region->nr_ranges = (unsigned)(last - region->ranges) + 1;
	for (unsigned i = 0; i < region->nr_ranges; i++) {
		struct node_range *range = &region->ranges[i];
		uint64_t nr_frames = range->end - range->first, bytes = REGION_HINT_BYTES(nr_frames);

		range->hints = hints;
		hints += bytes;
		if (!config->nr_node_ranges)
			return;
		numa_bind(range->hints, bytes, numa_node(range->node));
		numa_bind(region->slots + range->first, nr_frames * MSLOT_SLOT_BYTES, numa_node(range->node));
	}
	if (region->nr_ranges > 1)
		sort_ranges(region, (uint16_t *)(region->ranges + nr_ranges(config)));
}

struct range_walk range_walk_begin(const struct mslot_region *region, unsigned node)
{
	return (struct range_walk){
		.order = region->nr_ranges == 1 ? NULL : region->order + numa_here() * region->nr_ranges,
		.node = node,
	};
}

struct node_range *range_walk_next(const struct mslot_region *region, struct range_walk *walk)
{
	while (walk->nth < region->nr_ranges) {
		unsigned nth = walk->order ? walk->order[walk->nth] : walk->nth;
		struct node_range *range = &region->ranges[nth];

		walk->nth++;
		if (walk->node == NODE_ANY || walk->node == range->node)
			return range;
	}
	return NULL;
}
