/* SPDX-License-Identifier: MIT
 *
 * Fills a region.
 *
 * Promises: holes are independent of each other, and the same for the same seed.
 * Needs:    nothing but the library; the slots of all frames are in memory once a level below 100 % was asked for.
 */
#include "fill_region.h"

#include "memory.h"

#define PPM 1000000u

const struct mslot_type fill_type = {"fill", 16, 8, NULL, MSLOT_TYPE_IMMEDIATE};
const uint64_t fill_meta[2] = {1, 2};

bool fill_open(struct fill *fill, uint64_t nr_frames, uint64_t seed)
{
	*fill = (struct fill){.nr_frames = nr_frames, .nr_free = nr_frames, .random = seed * 2 + 88172645463325253};
	fill->region = mslot_region_create(&(struct mslot_region_config){.nr_frames = nr_frames}, NULL);
	fill->run_paddr = fill_random(fill) % (nr_frames / RUN_FRAMES) * RUN_FRAMES << 12;
	return fill->region;
}

void fill_close(struct fill *fill)
{
	(void)mslot_region_destroy(fill->region);
}

bool fill_fits(const struct fill *fill)
{
	return fill->nr_free < fill->nr_frames || memory_fits(fill->nr_frames * MSLOT_SLOT_BYTES);
}

static bool forget(struct mslot_segment *segment)
{
	uint64_t start, end;

	return !mslot_segment_into_raw(segment, &start, &end);
}

/* By the allocator, so that its hints are right: runs, then frames. */
static const char *take_all(struct fill *fill)
{
	struct mslot_segment segment;
	struct mslot_frame *frame;

	while (!mslot_alloc_segment(fill->region, RUN_FRAMES, RUN_FRAMES, &fill_type, NULL, NULL, NULL, &segment)) {
		if (!forget(&segment))
			return "a run could not be forgotten";
		fill->nr_free -= RUN_FRAMES;
	}
	/* Not once more: the first such answer is measured. */
	while (fill->nr_free && (frame = mslot_alloc_frame(fill->region, &fill_type, fill_meta, NULL, NULL))) {
		if (mslot_frame_into_raw(frame) == MSLOT_PADDR_NONE)
			return "a frame could not be forgotten";
		fill->nr_free--;
	}
	return fill->nr_free ? "frames were free and could not be had" : NULL;
}

static const char *claim_all(struct fill *fill)
{
	struct mslot_segment segment;

	if (mslot_segment_claim(fill->region, 0, fill->nr_frames << 12, &fill_type, NULL, NULL, &segment) ||
	    !forget(&segment))
		return "the region could not be claimed";
	fill->nr_free = 0;
	return NULL;
}

static void give(struct fill *fill, uint64_t paddr)
{
	/* One that is free already stays so. */
	if (!mslot_frame_drop_raw(fill->region, paddr))
		fill->nr_free++;
}

const char *fill_to(struct fill *fill, uint32_t free_ppm, bool is_stale)
{
	if (free_ppm == PPM)
		return NULL;
	if (!free_ppm)
		return is_stale ? claim_all(fill) : take_all(fill);
	for (uint64_t i = 0; i < RUN_FRAMES; i++)
		give(fill, fill->run_paddr + (i << 12));
	uint64_t wanted = fill->nr_frames / PPM * free_ppm + fill->nr_frames % PPM * free_ppm / PPM;
	uint64_t missing = wanted > fill->nr_free ? wanted - fill->nr_free : 0, taken = fill->nr_frames - fill->nr_free;
	if (!missing)
		return NULL;
	/* Of 2^32, the chance of a frame that is taken. */
	uint64_t chance = (uint64_t)((double)missing / (double)taken * 4294967296.0);
	for (uint64_t paddr = 0; paddr < fill->nr_frames << 12; paddr += 1 << 12)
		if ((fill_random(fill) & UINT32_MAX) < chance)
			give(fill, paddr);
	return NULL;
}

const char *fill_empty(struct fill *fill)
{
	struct mslot_audit found;

	for (uint64_t paddr = 0; fill->nr_free < fill->nr_frames && paddr < fill->nr_frames << 12; paddr += 1 << 12)
		give(fill, paddr);
	if (mslot_barrier(fill->region) || mslot_audit(fill->region, &found) || found.nr_broken ||
	    found.by_status[MSLOT_STATUS_UNUSED] != found.nr_frames || fill->nr_free != fill->nr_frames)
		return "the audit at the end is not clean";
	return NULL;
}
