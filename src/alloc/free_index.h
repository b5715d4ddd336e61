/* SPDX-License-Identifier: MIT
 *
 * Hints about free frames: a bit a frame, and summaries above, so that one or a run is found in O(log frames).
 *
 * A bit is 1 where the frame is taken, so zeros say that all is free and nothing need be written to begin. A *row* is
 * 64 frames, one word; a *block* is 8 rows. Each hint may be wrong: a slot's own word decides.
 */
#ifndef ALLOC_FREE_INDEX_H
#define ALLOC_FREE_INDEX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define ROW_SHIFT 6
#define BLOCK_SHIFT 9
#define TREE_LEVELS 8

/* Bits, and above each word of them a bit that says "this word is all ones". */
struct bit_tree {
	unsigned nr_levels; /* at least 2 */
	_Atomic uint64_t *level[TREE_LEVELS];
	uint64_t nr_words[TREE_LEVELS];
};

/*
 * Covers the frames from `origin` on: its range's first frame, rounded down to a block, so that blocks of the index are
 * blocks of the region. Frames before the range are marked as taken. Calls number frames and rows as the region does.
 */
struct free_index {
	uint64_t origin; /* a multiple of 512 */
	uint64_t nr_frames;
	struct bit_tree taken;	  /* a bit a frame */
	_Atomic uint8_t *partial; /* a byte a block, a bit a row: some frame of the row is taken */
	struct bit_tree broken;	  /* a bit a block: some row of it is partial */
};

static inline uint64_t free_index_nr_rows(uint64_t nr_frames)
{
	return (nr_frames + 63) >> ROW_SHIFT;
}

/* Bytes of zeros that an index of the frames `first` to `end` needs; at most 9/64 a frame and 4096. */
uint64_t free_index_bytes(uint64_t first, uint64_t end);
/* Makes an index over memory that is all zeros: every frame is free. `first` begins a row. */
void free_index_init(struct free_index *index, void *zeros, uint64_t first, uint64_t end);

/* Takes all free frames of the first row from `from` on, around, that has any: gives their mask, or 0 where no row has.
 * Here `from` counts the index's own rows. */
uint64_t free_index_take_row(struct free_index *index, uint64_t from, uint64_t *row);
/* Marks frames of a row as taken. */
void free_index_take(struct free_index *index, uint64_t row, uint64_t mask);
/* Marks frames of a row as free. */
void free_index_give(struct free_index *index, uint64_t row, uint64_t mask);
/* No frame is free, as far as the topmost summary says. */
bool free_index_is_full(const struct free_index *index);
/* Moves *row to the first from there on that has a free frame, as far as the summary says; false where none has.
 * Changes nothing. */
bool free_index_next_row(const struct free_index *index, uint64_t *row);
/* Where in a row with these free frames `nr`, up to 64, of them lie together, from a multiple of `align` in the row on.
 */
uint64_t free_index_starts(uint64_t free, uint64_t nr, uint64_t align);
/* The free frames of a row. */
uint64_t free_index_row(const struct free_index *index, uint64_t row);
/*
 * Moves *at to the first run of free frames from there on, which begins at a multiple of `align`, a power of two; false
 * where there is none. Runs of up to a row lie within one, longer ones begin with one: others are not found.
 */
bool free_index_find_run(struct free_index *index, uint64_t nr_frames, uint64_t align, uint64_t *at);

#endif
