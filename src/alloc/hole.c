/* SPDX-License-Identifier: MIT
 *
 * Marks ranges of a region that are no frames.
 *
 * Promises: what mslot_region_mark_hole() says. A grain that was never claimed is marked as a whole, by one byte, and
 *           its slots stay out of memory; the slots of others are claimed, and then marked one by one.
 * Needs:    region_touch(), which claims nothing in a grain that is marked.
 */
#include "alloc/cache.h"
#include "alloc/proof.h"
#include "handle/handle.h"

#define GRAIN_FRAMES (UINT64_C(1) << GRAIN_SHIFT)

static bool swap_grain(struct mslot_region *region, uint64_t at, uint8_t from, uint8_t to)
{
	/* [release:taken] as a claim; the swap decides between us and whoever claims there. */
	return atomic_compare_exchange_strong_explicit(region_grain(region, at), &from, to, memory_order_release,
						       /* [relaxed] it is not as wanted. */
						       memory_order_relaxed);
}

/* How many frames from `at` on lie in whole grains that end at `end` or before: of one grain, or none. */
static uint64_t whole_grain(const struct mslot_region *region, uint64_t at, uint64_t end)
{
	uint64_t next = at + GRAIN_FRAMES < region->nr_frames ? at + GRAIN_FRAMES : region->nr_frames;

	return at % GRAIN_FRAMES == 0 && next <= end ? next - at : 0;
}

/* Gives or takes the hints of frames `at` to `end`, exclusive. */
static void each_row(struct mslot_region *region, uint64_t at, uint64_t end,
		     void (*fn)(struct free_index *index, uint64_t row, uint64_t mask))
{
	for (uint64_t next; at < end; at = next) {
		uint64_t row = at / 64, last;

		next = (row + 1) * 64 < end ? (row + 1) * 64 : end;
		last = (next - 1) % 64;
		fn(cache_index_of(region, row), row, UINT64_MAX << at % 64 & UINT64_MAX >> (63 - last));
	}
}

/* Takes hold of some frames from `at` on. Gives how many, or 0 and why not. */
static uint64_t hold(struct mslot_region *region, uint64_t at, uint64_t end, enum mslot_err *err)
{
	uint64_t whole = whole_grain(region, at, end), word;
	uint8_t byte = region_grain_byte(region, at);

	if (whole && grain_of(byte) == GRAIN_UNTOUCHED && byte < GRAIN_UNTOUCHED + GRAIN_MOST_IN_VAIN &&
	    swap_grain(region, at, byte, grain_moved(byte, GRAIN_MARKED)))
		return whole;
	*err = claim_slot(region, &region->slots[at], &word);
	return !*err;
}

/* Ends what hold() began, for some frames from `at` on, which become a hole or what they were. Gives how many. */
static uint64_t finish_hold(struct mslot_region *region, uint64_t at, uint64_t end, bool is_hole)
{
	uint64_t whole = whole_grain(region, at, end);
	struct slot *slot = &region->slots[at];
	uint8_t byte = region_grain_byte(region, at);

	if (whole && grain_of(byte) == GRAIN_MARKED) {
		uint8_t next = is_hole ? grain_moved(byte, GRAIN_HOLE) : grain_moved(byte + 1, GRAIN_UNTOUCHED);

		/* Of a grain that we have marked: nobody else leaves that state. */
		swap_grain(region, at, byte, next);
		if (is_hole)
			return whole;
		/* Whoever was led there meanwhile has dropped the hints. Where they are made just now, they may lead
		 * there before it is seen that this is over. */
		if (cache_make_indexes(region))
			each_row(region, at, at + whole, free_index_give);
		else
			region_disprove_hints(region);
		return whole;
	}
	if (is_hole)
		slot_make_hole(slot, slot_word(slot));
	else
		claim_undo(slot);
	return 1;
}

enum mslot_err mslot_region_mark_hole(struct mslot_region *region, uint64_t start, uint64_t end)
{
	enum mslot_err err;
	struct slot *slots;
	uint64_t nr = 0, first, at;

	if (!region)
		return MSLOT_INVALID;
	HARDENED_REGISTERED("mslot_region_mark_hole", MSLOT_INVALID);
	err = region_slots(region, start, end, &slots, &nr);
	if (err)
		return err;
	/* Before anything is claimed, so that the hints can be proven. */
	cache_make_indexes(region);
	first = at = (uint64_t)(slots - region->slots);
	hints_move_begin();
	for (uint64_t held; at < first + nr && (held = hold(region, at, first + nr, &err)); at += held)
		;
	for (uint64_t done = first; done < at; done += finish_hold(region, done, at, !err))
		;
	/* Nobody is led there by a hint. */
	if (!err && cache_make_indexes(region))
		each_row(region, first, first + nr, free_index_take);
	hints_move_end();
	return err;
}
