/* SPDX-License-Identifier: MIT
 *
 * What a thread remembers of free frames, and how that goes to and from the index of the region.
 */
#ifndef ALLOC_CACHE_H
#define ALLOC_CACHE_H

#include "alloc/free_index.h"
#include "table/give_back.h"
#include "table/region.h"

/* The region's index; made by the first call. NULL while another thread makes it: then the slots are asked. */
struct free_index *region_free_index(struct mslot_region *region);

/* The row of the index that a page of slots is. */
static inline uint64_t region_row(const struct mslot_region *region, uintptr_t page)
{
	return page - ((uintptr_t)region->slots >> SLOT_ROW_SHIFT);
}

/* Puts frames of the region into the thread's own row; false where no hint is left to be taken. */
bool cache_refill(struct mslot_region *region, struct free_index *index);
/* Takes a frame out of the thread's own row, or NULL. */
static inline struct slot *cache_take(const struct mslot_region *region)
{
	struct free_row *own = &free_cache.own;
	/* [relaxed] our own. */
	uint64_t mask = atomic_load_explicit(&own->mask, memory_order_relaxed);

	/* [relaxed] our own. */
	if (UNLIKELY(!mask || atomic_load_explicit(&own->region_id, memory_order_relaxed) != region->id))
		return NULL;
	/* [relaxed] our own. */
	uintptr_t slots = atomic_load_explicit(&own->row, memory_order_relaxed) << SLOT_ROW_SHIFT;
	/* [relaxed] a hint: others look at the slot. */
	atomic_store_explicit(&own->mask, mask & (mask - 1), memory_order_relaxed);
	return (struct slot *)slots + __builtin_ctzll(mask);
}

/* Gives to the index what the thread remembers. */
void cache_flush(void);
/* Gives to the index what other threads remember of the region. They remember it still. */
void cache_publish(const struct mslot_region *region, struct free_index *index);

#endif
