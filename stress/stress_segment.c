/* SPDX-License-Identifier: MIT
 *
 * Proves: a segment is claimed, split and dropped all or nothing
 * Oracle: plain cookies, owner words outside the table, claims equal drops, a clean audit at the end.
 * Knobs:  --threads, --seed. Smoke 2 s; pre-merge 60 s; a night 8 h.
 */
#include "mix.h"

static void own(void *ctx, uint64_t paddr, void *meta)
{
	stress_own(ctx, paddr, meta);
}

static void step(struct worker *worker)
{
	uint64_t random = stress_random(worker);
	uint64_t nr = 1 + random % 8;
	uint64_t start = (random >> 8) % (mslot_region_nr_frames(worker->region) - nr) << STRESS_FRAME_SHIFT;
	const struct mslot_type *type = &stress_types[(random >> 40) % worker->mix->deferred_in == 0];
	struct mslot_segment segment, clone, rest = {0};

	stress_chose(worker, 's', start + nr);
	enum mslot_err err = mslot_segment_claim(worker->region, start, start + (nr << STRESS_FRAME_SHIFT), type, own,
						 worker, &segment);

	if (err) {
		stress_refused(worker, err);
		return;
	}
	if (mslot_segment_clone(&segment, &clone) ||
	    (nr > 1 && mslot_segment_split(&segment, nr / 2 << STRESS_FRAME_SHIFT, &rest)))
		stress_broken("a live segment was refused", start);
	mslot_segment_drop(&segment);
	if (stress_plant != PLANT_LEAK || worker->claims % 1024)
		mslot_segment_drop(&rest);
	for (uint64_t paddr = start; paddr < start + (nr << STRESS_FRAME_SHIFT); paddr += STRESS_FRAME) {
		struct mslot_frame *frame = mslot_segment_next(&clone);
		if (!frame)
			stress_broken("a segment lost a frame", paddr);
		stress_check_frame(frame, paddr);
		mslot_frame_drop(frame);
	}
}

const struct mix mix_segment = {
	.name = "segment",
	.step = step,
	.nr_frames = 1024,
	.deferred_in = 64,
	.plants = 1u << PLANT_COOKIE | 1u << PLANT_LEAK,
};
