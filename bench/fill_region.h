/* SPDX-License-Identifier: MIT
 *
 * A region filled to a level, with random holes and one run that is free.
 *
 * All frames are taken once and forgotten, so that no handle need be kept; then holes are given back frame by frame,
 * each with the chance that the level wants, and more of them for the next level.
 */
#ifndef BENCH_FILL_REGION_H
#define BENCH_FILL_REGION_H

#include <metaslot/metaslot.h>

#define RUN_FRAMES 512

struct fill {
	struct mslot_region *region;
	uint64_t nr_frames;
	uint64_t nr_free;
	uint64_t run_paddr; /* of a run that is free whenever the level is above 0 */
	uint64_t random;
};

extern const struct mslot_type fill_type;
extern const uint64_t fill_meta[2];

bool fill_open(struct fill *fill, uint64_t nr_frames, uint64_t seed);
void fill_close(struct fill *fill);

/* Whether four fifths of the memory that is available hold the slots of all frames; of a filled region it is so. */
bool fill_fits(const struct fill *fill);

/*
 * Parts of a million that are free: all first, then none, then more and more. NULL, or what must not be. Stale: filled
 * by address, so that what is remembered of free frames is wrong.
 */
const char *fill_to(struct fill *fill, uint32_t free_ppm, bool is_stale);

/* Gives all back, and audits. NULL, or what must not be. */
const char *fill_empty(struct fill *fill);

static inline uint64_t fill_random(struct fill *fill)
{
	fill->random ^= fill->random << 13;
	fill->random ^= fill->random >> 7;
	fill->random ^= fill->random << 17;
	return fill->random >> 8;
}

#endif
