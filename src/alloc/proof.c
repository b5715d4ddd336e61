/* SPDX-License-Identifier: MIT
 *
 * Proves by its hints that a region does not have the frame, or the run of frames, that is asked for.
 *
 * Promises: "none" only where, at one moment of the call, no fitting run was unused, not counting frames whose last use
 *           was just ending.
 * Needs:    cache.c and free_index.c for the hints; that whoever changes them says so (hints_move_begin()).
 * Read:     hints_prove_none(), from the end.
 *
 * How hints prove that there is none. An unused frame is marked free in an index, or lies in a page that some thread
 * remembers (a row of its cache), unless a thread is moving hints, or the call that ends its use has not returned. So
 * if nobody moves hints, and the indexes have each unused frame of the remembered pages too, then they have all; and
 * where no run that fits is marked free in them, none is unused. All of this must hold at one moment: nobody has moved
 * from before the look until after it, and two looks at the slots add up to the same generations, as in find.c. A
 * region is unproven for good if a frame was claimed before there were hints, as whoever drops it may not know of any,
 * or if a frame became unused without being given back.
 *
 * Whoever finds a change of an index or of a row's page finds the beginning of the move that made it, and of those that
 * led there (edge `move`). So where two looks find that nobody has moved, what they found was so between them.
 */
#include "alloc/proof.h"

#include "alloc/cache.h"
#include "alloc/request.h"

/* Moves of strangers: above, how many have begun, modulo 2^32; below, how many are under way. */
static _Atomic uint64_t strangers_moves;
#define STRANGER_LASTS UINT64_C(1)
#define STRANGER_BEGUN (UINT64_C(1) << 32)

static uint64_t own_moves(void)
{
	/* [relaxed] our own. */
	return atomic_load_explicit(&free_cache.moves, memory_order_relaxed);
}

void hints_move_begin(void)
{
	if (free_cache.move_depth++)
		return;
	if (cache_enlist())
		/* [relaxed] each change that follows releases it. */
		atomic_store_explicit(&free_cache.moves, own_moves() + 1, memory_order_relaxed);
	else
		/* [relaxed] as above. */
		atomic_fetch_add_explicit(&strangers_moves, STRANGER_BEGUN + STRANGER_LASTS, memory_order_relaxed);
}

void hints_move_end(void)
{
	uint64_t moves = own_moves();

	if (--free_cache.move_depth)
		return;
	if (moves % 2)
		/* [release:move] whoever finds it over finds what it has changed. */
		atomic_store_explicit(&free_cache.moves, moves + 1, memory_order_release);
	else
		/* [release:move] likewise. */
		atomic_fetch_sub_explicit(&strangers_moves, STRANGER_LASTS, memory_order_release);
}

/* Whether nobody moves. Under the lock. */
static bool nobody_moves(uint64_t *begun)
{
	/* [acquire:move] what has been moved is where it belongs. */
	uint64_t moves = atomic_load_explicit(&strangers_moves, memory_order_acquire);
	bool is_quiet = moves % STRANGER_BEGUN == 0;

	*begun = moves / STRANGER_BEGUN;
	for (struct free_cache *cache = caches; cache; cache = cache->next) {
		/* [acquire:move] likewise. */
		moves = atomic_load_explicit(&cache->moves, memory_order_acquire);
		is_quiet = is_quiet && moves % 2 == 0;
		*begun += moves;
	}
	return is_quiet;
}

/* Whether the index has each unused frame of the region that lies in that page. */
static bool page_is_hinted(const struct mslot_region *region, uintptr_t page, uint64_t *generations)
{
	uint64_t row = region_row(region, page), first = row << ROW_SHIFT, unused = 0;

	if (row >= free_index_nr_rows(region->nr_frames))
		return true;
	for (uint64_t at = first; at < first + 64 && at < region->nr_frames; at++) {
		uint64_t word = region_word(region, at);

		unused |= (uint64_t)(state_of(word) == STATE_UNUSED) << at % 64;
		*generations += state_generation(word);
	}
	return !(unused & ~free_index_row(cache_index_of(region, row), row));
}

/* Whether the indexes have all unused frames of the pages that rows are of. Under the lock. */
static bool rows_are_hinted(const struct mslot_region *region, uint64_t *generations)
{
	*generations = 0;
	for (struct free_cache *cache = caches; cache; cache = cache->next)
		for (unsigned i = 0; i < 2; i++) {
			const struct free_row *row = i ? &cache->freed : &cache->own;
			/* [acquire:move] whoever has changed it is found moving. */
			uintptr_t page = atomic_load_explicit(&row->page, memory_order_acquire);

			if (!page_is_hinted(region, page, generations))
				return false;
		}
	return true;
}

bool hints_prove_none(const struct request *request)
{
	const struct mslot_region *region = request->region;
	uint64_t generations, again, begun, begun_since, at = 0;
	bool is_none;

	if (region_hints_stage(region) != HINTS_MADE || pthread_mutex_trylock(&caches_lock))
		return false;
	is_none = nobody_moves(&begun) && rows_are_hinted(region, &generations) && !request_is_hinted(request, &at) &&
		  rows_are_hinted(region, &again) && generations == again && nobody_moves(&begun_since) &&
		  begun == begun_since && region_hints_stage(region) == HINTS_MADE;
	pthread_mutex_unlock(&caches_lock);
	return is_none;
}
