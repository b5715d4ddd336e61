/* SPDX-License-Identifier: MIT
 *
 * The two rows of hints that each thread keeps, and the list of all threads' rows.
 *
 * Promises: nothing that is remembered is lost by a thread that ends, or one that waits: whoever finds no frame reads
 *           it. A row of a region that is gone is never followed.
 * Needs:    free_index.c; reader sections, which the end of a region waits for.
 * Read:     row_flush(), then cache_refill() and cache_give().
 */
#include "alloc/cache.h"

#include "alloc/proof.h"
#include "reclaim/reclaim.h"

pthread_mutex_t caches_lock = PTHREAD_MUTEX_INITIALIZER;
struct free_cache *caches;

static inline uint64_t row_load(const _Atomic uint64_t *word)
{
	/* [relaxed] our own; or another's, and a hint. */
	return atomic_load_explicit(word, memory_order_relaxed);
}

static inline void row_store(_Atomic uint64_t *word, uint64_t value)
{
	/* [relaxed] a hint: others look at the slot. */
	atomic_store_explicit(word, value, memory_order_relaxed);
}

static void row_set(struct free_row *row, struct mslot_region *region, uintptr_t page, uint64_t mask)
{
	/* Others may find the frames of one row with the page of another: wrong hints, but of frames that are there. */
	/* [relaxed] as row_store(). */
	atomic_store_explicit(&row->hot, NULL, memory_order_relaxed);
	row_store(&row->mask, 0);
	row_store(&row->region_id, region ? region->id : 0);
	/* [release:move] whoever finds the new page finds us moving. */
	atomic_store_explicit(&row->page, page, memory_order_release);
	row_store(&row->mask, mask);
}

static uintptr_t row_page(const struct free_row *row)
{
	/* [relaxed] as row_load(). */
	return atomic_load_explicit(&row->page, memory_order_relaxed);
}

static bool row_is_empty(const struct free_row *row)
{
	/* [relaxed] as row_load(). */
	return !row_load(&row->mask) && !atomic_load_explicit(&row->hot, memory_order_relaxed);
}

/* The frames of that page that it remembers; the region is there. The hot one may be in use: whoever ends that
 * remembers it. It may be of another page, and gone, where the row is another thread's. */
static uint64_t row_frames(const struct free_row *row, uintptr_t page)
{
	/* [relaxed] as row_load(). */
	const struct slot *hot = atomic_load_explicit(&row->hot, memory_order_relaxed);
	bool is_free = (uintptr_t)hot >> SLOT_PAGE_SHIFT == page && state_of(slot_word_acquire(hot)) == STATE_UNUSED;

	return row_load(&row->mask) | (is_free ? slot_row_bit(hot) : 0);
}

static void index_give(const struct mslot_region *region, uint64_t row, uint64_t mask)
{
	free_index_give(cache_index_of(region, row), row, mask);
}

/* The frames of a region that is there which the row remembers, and where its index has them. It may remember them of
 * one that was at the same place before: what lies past the end of this one is not there. */
static uint64_t row_hints(const struct free_row *row, const struct mslot_region *region, uint64_t *at)
{
	uintptr_t page = row_page(row);
	uint64_t nr_rows = free_index_nr_rows(region->nr_frames), mask;

	*at = region_row(region, page);
	if (*at >= nr_rows)
		return 0;
	mask = row_frames(row, page);
	if (*at == nr_rows - 1 && region->nr_frames % 64)
		mask &= (UINT64_C(1) << region->nr_frames % 64) - 1;
	return mask;
}

/* Also what the index seems to have: whoever takes that just now may find it in use still, and forget it. */
static void row_give(const struct free_row *row, const struct mslot_region *region)
{
	uint64_t at, mask = row_hints(row, region, &at);

	if (mask)
		index_give(region, at, mask);
}

/* Empties a row into its index; `there` is a region that is known to be there, or NULL. */
static void row_flush(struct free_row *row, const struct mslot_region *there)
{
	if (!row_is_empty(row)) {
		if (there && row_load(&row->region_id) == there->id) {
			row_give(row, there);
		} else {
			mslot_read_lock();
			struct mslot_region *region = region_at(row_page(row) << SLOT_PAGE_SHIFT);
			if (region && region_has_hints(region))
				row_give(row, region);
			else if (region && region_hints_stage(region) >= HINTS_MAKING)
				/* What was hot in the region before was dropped in this one, and nobody told. */
				region_disprove_hints(region);
			mslot_read_unlock();
		}
	}
	row_set(row, NULL, 0, 0);
}

/* The bits of the number, the other way around, halve an index again and again. Rows that two threads take in turn
 * would take their cache lines to and fro. */
static uint32_t place_of(uint32_t number)
{
	uint32_t place = 0;

	for (unsigned bit = 0; bit < 32; bit++)
		place |= (number >> bit & 1) << (31 - bit);
	return place;
}

/* Under the lock. The list ascends by the numbers; it goes to the first that is missing. */
static void cache_list(void)
{
	struct free_cache **at = &caches;
	uint32_t number = 0;

	for (; *at && (*at)->number == number; at = &(*at)->next)
		number++;
	free_cache.number = number;
	free_cache.place = place_of(number);
	free_cache.next = *at;
	*at = &free_cache;
	free_cache.is_listed = true;
}

bool cache_enlist(void)
{
	if (LIKELY(free_cache.is_listed))
		return true;
	if (!reclaim_self || pthread_mutex_trylock(&caches_lock))
		return false;
	cache_list();
	pthread_mutex_unlock(&caches_lock);
	return true;
}

/* Of a slot that is in neither row, but in an index. Drops in random order call it again and again. */
FLATTEN NOINLINE static void cache_give(struct slot *slot)
{
	struct mslot_region *region = slot_region(slot);
	uintptr_t page = (uintptr_t)slot >> SLOT_PAGE_SHIFT;

	/* As in give_back(). */
	if (!region)
		return;
	hints_move_begin();
	if (cache_enlist()) {
		row_flush(&free_cache.freed, region);
		row_set(&free_cache.freed, region, page, slot_row_bit(slot));
	} else {
		index_give(region, region_row(region, page), slot_row_bit(slot));
	}
	hints_move_end();
}

void cache_end_call(void)
{
	if (UNLIKELY(!free_cache.is_listed))
		row_set(&free_cache.own, NULL, 0, 0);
}

void cache_flush(void)
{
	hints_move_begin();
	row_flush(&free_cache.own, NULL);
	row_flush(&free_cache.freed, NULL);
	hints_move_end();
}

static void cache_ends(void)
{
	struct free_cache **at = &caches;

	if (!free_cache.is_listed)
		return;
	cache_flush();
	pthread_mutex_lock(&caches_lock);
	while (*at != &free_cache)
		at = &(*at)->next;
	*at = free_cache.next;
	free_cache.is_listed = false;
	pthread_mutex_unlock(&caches_lock);
}

static unsigned nearest_node(const struct mslot_region *region)
{
	struct range_walk walk = range_walk_begin(region, NODE_ANY);

	return range_walk_next(region, &walk)->node;
}

/* Whether the row is of the region, and on that node. */
static bool row_is_on(const struct free_row *row, const struct mslot_region *region, unsigned node)
{
	return row_load(&row->region_id) == region->id && row_frames(row, row_page(row)) &&
	       (region->nr_ranges == 1 || node == NODE_ANY ||
		region_range_of(region, region_row(region, row_page(row)) << ROW_SHIFT)->node == node);
}

bool cache_serves(const struct mslot_region *region, unsigned node)
{
	if (region->nr_ranges == 1 || node == NODE_ANY || row_is_on(&free_cache.own, region, node))
		return true;
	if (node != nearest_node(region))
		return false;
	/* Left over from when the nearest had none. */
	hints_move_begin();
	row_flush(&free_cache.own, region);
	hints_move_end();
	return true;
}

/* All frames of a row that have a hint, out of the first range that has any. */
static uint64_t take_row(const struct mslot_region *region, unsigned node, uint64_t *row)
{
	struct range_walk walk = range_walk_begin(region, node);
	uint64_t mask = 0;

	for (struct node_range *range; !mask && (range = range_walk_next(region, &walk));) {
		struct free_index *index = range->hints;
		/* Whole cache lines of the summary apart, or all from the first row on where there are so few. */
		uint64_t from = (free_index_nr_rows(index->nr_frames) / 512 * free_cache.place >> 32) * 512;

		mask = free_index_take_row(index, from, row);
	}
	return mask;
}

bool cache_refill(struct mslot_region *region, unsigned node)
{
	struct free_row *own = &free_cache.own, *freed = &free_cache.freed;
	bool is_usable = cache_enlist();
	uint64_t row, mask;

	row_flush(own, region);
	if (row_is_on(freed, region, region->nr_ranges > 1 && node == NODE_ANY ? nearest_node(region) : node)) {
		row_set(own, region, row_page(freed), row_frames(freed, row_page(freed)));
		row_set(freed, NULL, 0, 0);
		return true;
	}
	/* What was freed on another node goes back there, to those who are near. */
	if (row_is_on(freed, region, NODE_ANY))
		row_flush(freed, region);
	do {
		mask = take_row(region, node, &row);
		if (!mask) {
			/* Empty; and of no page, so that whoever looks for frames need not look there. */
			row_flush(freed, region);
			return false;
		}
		/* Hints of frames in a hole are dropped. */
	} while (!region_is_touched(region, row << ROW_SHIFT) && region_touch(region, row << ROW_SHIFT));
	if (!is_usable) {
		/* It keeps one frame, for as long as its call lasts. */
		uint64_t rest = mask & (mask - 1);
		if (rest)
			index_give(region, row, rest);
		mask ^= rest;
	}
	row_set(own, region, ((uintptr_t)region->slots >> SLOT_PAGE_SHIFT) + row, mask);
	return true;
}

void cache_give_all(const struct mslot_region *region)
{
	hints_move_begin();
	if (pthread_mutex_trylock(&caches_lock)) {
		hints_move_end();
		return;
	}
	for (struct free_cache *cache = caches; cache; cache = cache->next)
		for (unsigned i = 0; i < 2; i++) {
			const struct free_row *from = i ? &cache->freed : &cache->own;
			uint64_t at, mask = row_is_empty(from) ? 0 : row_hints(from, region, &at);

			/* Not what the index seems to have: the row remembers it still. */
			if (mask && mask & ~free_index_row(cache_index_of(region, at), at))
				index_give(region, at, mask);
		}
	pthread_mutex_unlock(&caches_lock);
	hints_move_end();
}

static const struct give_back_hooks cache_hooks = {cache_give, cache_flush, cache_ends};

static void make_index(struct node_range *range)
{
	struct free_index *index = range->hints;
	uint64_t begin = (sizeof(*index) + 63) & ~UINT64_C(63);

	CHECK(begin + free_index_bytes(range->first, range->end) <= REGION_HINT_BYTES(range->end - range->first));
	free_index_init(index, (char *)range->hints + begin, range->first, range->end);
}

bool cache_make_indexes(struct mslot_region *region)
{
	unsigned stage;

	if (LIKELY(region_has_hints(region)))
		return true;
	/* Before the hints are begun, as whoever claims a frame and finds none begun says so. */
	/* [relaxed] constants; whoever must find them acquires that hints are begun. */
	atomic_store_explicit(&give_back_hooks, &cache_hooks, memory_order_relaxed);
	/* [relaxed] likewise. */
	atomic_fetch_or_explicit(&scarce_attention, GIVE_BACK_WANTED, memory_order_relaxed);
	stage = region_hints_stage(region);
	do
		if (stage >= HINTS_MAKING)
			return false;
	/* [release:attach] whoever finds them begun sees attention and the hooks.
	 * [relaxed] tried again. */
	while (!atomic_compare_exchange_weak_explicit(&region->hints_stage, &stage, stage + HINTS_MAKING,
						      memory_order_release, memory_order_relaxed));
	for (unsigned i = 0; i < region->nr_ranges; i++)
		make_index(&region->ranges[i]);
	/* [release:attach] the indexes are made. */
	atomic_fetch_add_explicit(&region->hints_stage, HINTS_MADE - HINTS_MAKING, memory_order_release);
	return true;
}
