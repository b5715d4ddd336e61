/* SPDX-License-Identifier: MIT
 *
 * The bitmap of hints and its summaries.
 *
 * Promises: a frame given back is found, unless it is taken meanwhile: a summary never hides a free frame for longer
 *           than the call that made it free, or the one that filled its row, takes. A summary may promise what is not
 *           there.
 * Needs:    C11 atomics only; memory is handed in. So a model can check this file as it is.
 * Read:     tree_full() and tree_room(), which race; then the calls.
 *
 * Whoever fills a word sets the bit above, then looks at the word again. Whoever makes room in a word clears the bit
 * above after that. Both are read-modify-writes of the bit's word: if the clearing comes second, the bit is clear; if
 * it comes first, the filler acquires it, finds the room and clears the bit itself. So making room releases, and
 * filling acquires; the same goes for rows, and blocks, that are broken and heal.
 */
#include "alloc/free_index.h"

#include "base/check.h"

#define FULL UINT64_MAX

static inline uint64_t hint_load(const _Atomic uint64_t *word)
{
	/* [acquire:move] a hint; and whoever says above what it finds here passes it on.
	 * [acquire:hint] also after our own exchange, which continues what releases gave. */
	return atomic_load_explicit(word, memory_order_acquire);
}

static inline uint64_t hint_or(_Atomic uint64_t *word, uint64_t mask)
{
	/* [acquire:hint] see above; and what is taken here was given back with its slot recycled.
	 * [release:move] whoever finds our change finds us moving. */
	return atomic_fetch_or_explicit(word, mask, memory_order_acq_rel);
}

static inline uint64_t hint_and(_Atomic uint64_t *word, uint64_t mask)
{
	/* [release:hint] see above; and whoever takes the frame's hint finds its slot recycled.
	 * [acquire:move] whoever is not through with this word yet is found moving by whoever finds our change. */
	return atomic_fetch_and_explicit(word, mask, memory_order_acq_rel);
}

/* ---- trees ---- */

static uint64_t tree_init(struct bit_tree *tree, char *zeros, uint64_t nr_bits)
{
	uint64_t bytes = 0;

	*tree = (struct bit_tree){0};
	do {
		uint64_t nr_words = (nr_bits + 63) / 64;
		CHECK(tree->nr_levels < TREE_LEVELS);
		if (zeros) {
			tree->level[tree->nr_levels] = (_Atomic uint64_t *)(zeros + bytes);
			/* What lies past the end is not there. */
			if (nr_bits % 64)
				hint_or(&tree->level[tree->nr_levels][nr_words - 1], FULL << nr_bits % 64);
		}
		tree->nr_words[tree->nr_levels++] = nr_words;
		bytes += nr_words * sizeof(uint64_t);
		nr_bits = nr_words;
	} while (nr_bits > 1 || tree->nr_levels < 2);
	return bytes;
}

/* Room was made in a word that was full. */
static void tree_room(struct bit_tree *tree, unsigned level, uint64_t at)
{
	while (++level < tree->nr_levels) {
		if (hint_and(&tree->level[level][at / 64], ~(UINT64_C(1) << at % 64)) != FULL)
			return;
		at /= 64;
	}
}

/* A word was filled. */
static void tree_full(struct bit_tree *tree, unsigned level, uint64_t at)
{
	while (++level < tree->nr_levels) {
		uint64_t bit = UINT64_C(1) << at % 64;

		bool is_full = (hint_or(&tree->level[level][at / 64], bit) | bit) == FULL;

		if (hint_load(&tree->level[level - 1][at]) != FULL) {
			tree_room(tree, level - 1, at);
			return;
		}
		if (!is_full)
			return;
		at /= 64;
	}
}

/* Moves *at to the first zero of `level` from there on; false where there is none. */
static bool tree_next(struct bit_tree *tree, unsigned level, uint64_t *at)
{
	uint64_t i = *at;
	unsigned l = level;

	while (i / 64 < tree->nr_words[l]) {
		uint64_t word = hint_load(&tree->level[l][i / 64]), free = ~word & FULL << i % 64;

		if (free) {
			i = (i & ~UINT64_C(63)) + (unsigned)__builtin_ctzll(free);
			if (l == level) {
				*at = i;
				return true;
			}
			/* Down to the first of what is below. */
			l--;
			i *= 64;
			continue;
		}
		if (l + 1 == tree->nr_levels)
			return false;
		/* Promised, and not there. */
		if (word == FULL && !(hint_load(&tree->level[l + 1][i / 4096]) >> i / 64 % 64 & 1))
			tree_full(tree, l, i / 64);
		l++;
		i = i / 64 + 1;
	}
	return false;
}

/* ---- the index ---- */

static uint64_t layout(struct free_index *index, char *zeros, uint64_t nr_frames)
{
	uint64_t nr_blocks = (nr_frames + (UINT64_C(1) << BLOCK_SHIFT) - 1) >> BLOCK_SHIFT, bytes;

	index->nr_frames = nr_frames;
	bytes = tree_init(&index->taken, zeros, nr_frames);
	bytes += tree_init(&index->broken, zeros ? zeros + bytes : NULL, nr_blocks);
	index->partial = zeros ? (_Atomic uint8_t *)(zeros + bytes) : NULL;
	return bytes + nr_blocks;
}

static uint64_t origin_of(uint64_t first)
{
	return first >> BLOCK_SHIFT << BLOCK_SHIFT;
}

uint64_t free_index_bytes(uint64_t first, uint64_t end)
{
	struct free_index index;

	return layout(&index, NULL, end - origin_of(first));
}

/* What is the region's row to the index. */
static inline uint64_t own_row(const struct free_index *index, uint64_t row)
{
	return row - index->origin / 64;
}

/* All frames of the row are free. */
static void row_heals(struct free_index *index, uint64_t row)
{
	uint64_t block = row / 8, bit = UINT64_C(1) << block % 64;
	uint8_t row_bit = (uint8_t)(1u << row % 8);

	/* [release:hint] whoever breaks the row finds it free. */
	if (atomic_fetch_and_explicit(&index->partial[block], (uint8_t)~row_bit, memory_order_release) == row_bit &&
	    hint_and(&index->broken.level[0][block / 64], ~bit) == FULL)
		tree_room(&index->broken, 0, block / 64);
}

/* Some row of the block is partial. */
static void block_breaks(struct free_index *index, uint64_t block)
{
	uint64_t bit = UINT64_C(1) << block % 64;

	if (hint_load(&index->broken.level[0][block / 64]) & bit)
		return;
	if ((hint_or(&index->broken.level[0][block / 64], bit) | bit) == FULL)
		tree_full(&index->broken, 0, block / 64);
	/* [relaxed] the same thread's read-modify-write of the bit came first. */
	if (!atomic_load_explicit(&index->partial[block], memory_order_relaxed) &&
	    hint_and(&index->broken.level[0][block / 64], ~bit) == FULL)
		tree_room(&index->broken, 0, block / 64);
}

/* Some frame of the row is taken. */
static void row_breaks(struct free_index *index, uint64_t row)
{
	uint64_t block = row / 8;
	uint8_t row_bit = (uint8_t)(1u << row % 8);

	/* [relaxed] a hint; wrong only where somebody else says the same, or gives the row back. */
	if (!(atomic_load_explicit(&index->partial[block], memory_order_relaxed) & row_bit)) {
		/* [acquire:hint] as in a tree, of which this is the lowest level. */
		atomic_fetch_or_explicit(&index->partial[block], row_bit, memory_order_acquire);
		if (!hint_load(&index->taken.level[0][row]))
			row_heals(index, row);
	}
	block_breaks(index, block);
}

void free_index_init(struct free_index *index, void *zeros, uint64_t first, uint64_t end)
{
	uint64_t origin = origin_of(first), nr_rows = (end - origin + 511) >> BLOCK_SHIFT << 3;

	layout(index, zeros, end - origin);
	index->origin = origin;
	CHECK(first % 64 == 0);
	CHECK(free_index_bytes(first, end) <= (end - first) / 64 * 9 + 4096);
	/* The rows of the last block that are not there, or not whole. */
	for (uint64_t row = index->nr_frames / 64; row < nr_rows; row++) {
		/* [relaxed] nobody else is here yet. */
		atomic_fetch_or_explicit(&index->partial[row / 8], (uint8_t)(1u << row % 8), memory_order_relaxed);
		block_breaks(index, row / 8);
	}
	/* And those of the first one. */
	for (uint64_t row = origin / 64; row < first / 64; row++)
		free_index_take(index, row, FULL);
}

uint64_t free_index_take_row(struct free_index *index, uint64_t from, uint64_t *row)
{
	uint64_t at = from;

	for (;;) {
		if (!tree_next(&index->taken, 1, &at)) {
			if (!from)
				return 0;
			at = from = 0;
			continue;
		}
		/* [release:move] as hint_or(). That the slots of what is free here are recycled is acquired by the look
		 * at the word in tree_full(). */
		uint64_t old = atomic_exchange_explicit(&index->taken.level[0][at], FULL, memory_order_release);

		tree_full(&index->taken, 0, at);
		if (old == FULL)
			continue;
		if (old == 0)
			row_breaks(index, at);
		*row = at + index->origin / 64;
		return ~old;
	}
}

void free_index_take(struct free_index *index, uint64_t row, uint64_t mask)
{
	uint64_t own = own_row(index, row), old = hint_or(&index->taken.level[0][own], mask);

	row_breaks(index, own);
	if ((old | mask) == FULL && old != FULL)
		tree_full(&index->taken, 0, own);
}

void free_index_give(struct free_index *index, uint64_t row, uint64_t mask)
{
	uint64_t own = own_row(index, row), old = hint_and(&index->taken.level[0][own], ~mask);

	if (old == FULL)
		tree_room(&index->taken, 0, own);
	if (old && !(old & ~mask))
		row_heals(index, own);
}

/* Of the index's own count. */
static inline uint64_t free_of_row(const struct free_index *index, uint64_t row)
{
	return ~hint_load(&index->taken.level[0][row]);
}

uint64_t free_index_row(const struct free_index *index, uint64_t row)
{
	return free_of_row(index, own_row(index, row));
}

bool free_index_is_full(const struct free_index *index)
{
	return hint_load(index->taken.level[index->taken.nr_levels - 1]) == FULL;
}

bool free_index_next_row(const struct free_index *index, uint64_t *row)
{
	for (uint64_t own = own_row(index, *row); own < index->taken.nr_words[0]; own = (own | 63) + 1) {
		uint64_t room = ~hint_load(&index->taken.level[1][own / 64]) & FULL << own % 64;

		if (room) {
			*row = index->origin / 64 + (own & ~UINT64_C(63)) + (unsigned)__builtin_ctzll(room);
			return true;
		}
	}
	return false;
}

/* ---- runs ---- */

uint64_t free_index_starts(uint64_t free, uint64_t nr, uint64_t align)
{
	/* Each step knows that as many more are free. */
	for (uint64_t known = 1; known < nr;) {
		uint64_t more = known < nr - known ? known : nr - known;
		free &= free >> more;
		known += more;
	}
	for (uint64_t step = 1; step < align && step < 64; step *= 2)
		/* Keeps the starts whose bit of the position is 0. */
		free &= FULL / ((UINT64_C(1) << step) + 1);
	return free;
}

/* The next row whose first frame is a multiple of `align` in the region. */
static uint64_t round_up_row(const struct free_index *index, uint64_t row, uint64_t align)
{
	uint64_t step = align > 64 ? align / 64 : 1, origin = index->origin / 64;

	return ((row + origin + step - 1) & ~(step - 1)) - origin;
}

static bool find_in_row(struct free_index *index, uint64_t nr, uint64_t align, uint64_t *at)
{
	uint64_t from = *at;

	for (uint64_t row = from / 64, next; tree_next(&index->taken, 1, &row); row = next) {
		next = round_up_row(index, row, align);
		if (next != row)
			continue;
		next = row + 1;
		uint64_t starts = free_index_starts(free_of_row(index, row), nr, align);

		if (row == from / 64)
			starts &= FULL << from % 64;
		if (starts) {
			*at = row * 64 + (unsigned)__builtin_ctzll(starts);
			return true;
		}
	}
	return false;
}

static bool find_rows(struct free_index *index, uint64_t nr, uint64_t align, uint64_t *at)
{
	uint64_t row = round_up_row(index, (*at + 63) / 64, align);

	while (row * 64 < index->nr_frames && nr <= index->nr_frames - row * 64) {
		uint64_t nr_free = 0, block = row / 8;

		/* A run that begins with a whole block: from block to block. */
		if (nr >= 512 && align % 512 == 0) {
			if (!tree_next(&index->broken, 0, &block))
				return false;
			if (block * 8 != row) {
				row = round_up_row(index, block * 8, align);
				continue;
			}
		}
		while (nr_free < nr) {
			uint64_t left = nr - nr_free, free = free_of_row(index, row + nr_free / 64);
			uint64_t wanted = left < 64 ? (UINT64_C(1) << left) - 1 : FULL;

			if (wanted & ~free)
				break;
			nr_free += left < 64 ? left : 64;
		}
		if (nr_free == nr) {
			*at = row * 64;
			return true;
		}
		/* A block that says whole and is not would be met again. */
		row_breaks(index, row + nr_free / 64);
		row = round_up_row(index, row + nr_free / 64 + 1, align);
	}
	return false;
}

bool free_index_find_run(struct free_index *index, uint64_t nr_frames, uint64_t align, uint64_t *at)
{
	uint64_t own = *at > index->origin ? *at - index->origin : 0;

	if (nr_frames <= 64 ? !find_in_row(index, nr_frames, align, &own) : !find_rows(index, nr_frames, align, &own))
		return false;
	*at = own + index->origin;
	return true;
}
