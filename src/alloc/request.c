/* SPDX-License-Identifier: MIT
 *
 * Looks for a run in the indexes of all ranges.
 *
 * Promises: no run is missed, wherever it begins, also where it goes on from one range to the next.
 * Needs:    indexes that are made.
 */
#include "alloc/request.h"

#include "alloc/free_index.h"

static bool fits(const struct request *request, uint64_t begin, uint64_t end, uint64_t *at)
{
	uint64_t first = (begin + request->align_frames - 1) & ~(request->align_frames - 1);

	if (first + request->nr_frames > end)
		return false;
	*at = first;
	return true;
}

bool request_is_hinted(const struct request *request, uint64_t *at)
{
	const struct mslot_region *region = request->region;
	uint64_t begin = 0, end = 0; /* of the free frames up to here that lie together */

	for (unsigned i = 0; i < region->nr_ranges; i++) {
		const struct node_range *range = &region->ranges[i];
		uint64_t from = *at > range->first ? *at : range->first;

		if (!request_wants(request, range) || free_index_is_full(range->hints))
			continue;
		for (uint64_t row = from / 64; free_index_next_row(range->hints, &row); row++) {
			uint64_t free = free_index_row(range->hints, row);
			uint64_t first = row * 64;

			if (row == from / 64)
				free &= UINT64_MAX << from % 64;
			/* What goes on from the rows before, what lies in this one, and what may go on. */
			if (end != first)
				begin = first;
			end = first + (~free ? (unsigned)__builtin_ctzll(~free) : 64);
			if (fits(request, begin, end, at))
				return true;
			if (!~free)
				continue;
			if (request->nr_frames <= 64 && request->align_frames <= 64) {
				uint64_t starts = free_index_starts(free, request->nr_frames, request->align_frames);

				if (starts) {
					*at = first + (unsigned)__builtin_ctzll(starts);
					return true;
				}
			}
			begin = first + 64 - (unsigned)__builtin_clzll(~free);
			end = first + 64;
		}
	}
	return false;
}
