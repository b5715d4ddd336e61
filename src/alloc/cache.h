/* SPDX-License-Identifier: MIT
 *
 * What a thread remembers of free frames, and how that goes to and from the index of the region.
 */
#ifndef ALLOC_CACHE_H
#define ALLOC_CACHE_H

#include "alloc/free_index.h"
#include "table/give_back.h"
#include "table/region.h"

#include <pthread.h>

_Static_assert(1 << ROW_SHIFT == SLOTS_OF_PAGE && BLOCK_SHIFT == GRAIN_SHIFT, "a row is a page, a block a grain");

/* Makes the region's indexes, one a range, where that is not done yet, and from then on frames are given back. False
 * while another thread makes them: then the slots are asked. */
bool cache_make_indexes(struct mslot_region *region);

/* The index that has the row, once they are made. */
static inline struct free_index *cache_index_of(const struct mslot_region *region, uint64_t row)
{
	return region_range_of(region, row << ROW_SHIFT)->hints;
}

/* The row of the index that a page of slots is. */
static inline uint64_t region_row(const struct mslot_region *region, uintptr_t page)
{
	return page - ((uintptr_t)region->slots >> SLOT_PAGE_SHIFT);
}

/* Whether frames of `node` come by way of the thread's own row: it is there, or is refilled from there. */
bool cache_serves(const struct mslot_region *region, unsigned node);
/* Puts frames of the region, on `node` if not NODE_ANY, into the thread's own row; false where no hint of one is left.
 */
bool cache_refill(struct mslot_region *region, unsigned node);
/* The first frame in the thread's own row, if there is one, and the word of its slot. Claim it
 * first, then take it out: where the claim fails although the slot is unused, the only hint of it is kept. */
static inline bool cache_first(const struct mslot_region *region, struct slot **slot, uint64_t *word)
{
	struct free_row *own = &free_cache.own;

	/* [relaxed] our own. */
	if (UNLIKELY(atomic_load_explicit(&own->region_id, memory_order_relaxed) != region->id))
		return false;
	/* [relaxed] our own. */
	*slot = atomic_load_explicit(&own->hot, memory_order_relaxed);
	if (LIKELY(*slot)) {
		*word = slot_word_acquire(*slot);
		if (LIKELY(state_of(*word) == STATE_UNUSED))
			return true;
		/* It is in use: whoever ends that remembers it. */
		/* [relaxed] a hint: others look at the slot. */
		atomic_store_explicit(&own->hot, NULL, memory_order_relaxed);
	}
	/* [relaxed] our own. */
	uint64_t mask = atomic_load_explicit(&own->mask, memory_order_relaxed);
	if (UNLIKELY(!mask))
		return false;
	/* [relaxed] our own. */
	uintptr_t slots = atomic_load_explicit(&own->page, memory_order_relaxed) << SLOT_PAGE_SHIFT;
	*slot = (struct slot *)(slots + (unsigned)__builtin_ctzll(mask) * sizeof(struct slot));
	*word = slot_word(*slot);
	return true;
}

/* Once it is claimed. The hot one stays. */
static inline void cache_take_first(const struct slot *first)
{
	struct free_row *own = &free_cache.own;

	/* [relaxed] our own. */
	if (LIKELY(atomic_load_explicit(&own->hot, memory_order_relaxed) == first))
		return;
	/* [relaxed] our own. */
	uint64_t mask = atomic_load_explicit(&own->mask, memory_order_relaxed);

	/* [relaxed] a hint: others look at the slot. */
	atomic_store_explicit(&own->mask, mask & (mask - 1), memory_order_relaxed);
}

/* The same, or once it was found to be in use; and the hot one goes, too. */
static inline void cache_drop_first(const struct slot *first)
{
	cache_take_first(first);
	free_cache_forget_hot(first);
}

/* After an allocation: forgets the row where cache_enlist() says false, as nobody would learn of the thread's end. */
void cache_end_call(void);
/* Gives to the index what the thread remembers. */
void cache_flush(void);
/* Gives to the indexes what all threads remember of the region. They remember it still. */
void cache_give_all(const struct mslot_region *region);

/* ---- for proof.c ---- */

/* Lists the thread's rows, where that is not done yet; false where it may not remember anything: it was never
 * registered, so nobody would learn of its end, or the list is in use just now. */
bool cache_enlist(void);
/* Of the threads that have rows. Held for a few steps, and for a look at all rows where a run is proved not to be left;
 * whoever allocates or frees only tries to take it. */
extern pthread_mutex_t caches_lock;
extern struct free_cache *caches;

#endif
