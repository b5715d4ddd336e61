/* SPDX-License-Identifier: MIT
 *
 * Proves: the last of many puts, and only it, ends the frame
 * Oracle: plain cookies, owner words outside the table, claims equal drops, a clean audit at the end.
 * Knobs:  --threads, --seed. Smoke 2 s; pre-merge 60 s; a night 8 h.
 */
#include "mix.h"

static void step(struct worker *worker)
{
	uint64_t paddr = stress_paddr(worker);

	stress_chose(worker, 'g', paddr);
	struct mslot_frame *frame = stress_get_or_claim(worker, paddr);

	if (!frame)
		return;
	struct mslot_frame *clone = mslot_frame_clone(frame);
	/* The compiler knows what ends a handle, and would see through this. */
	struct mslot_frame *volatile again = clone;
	mslot_frame_drop(frame);
	stress_check_frame(clone, paddr);
	mslot_frame_drop(clone);
	if (stress_plant == PLANT_DROP)
		mslot_frame_drop(again);
}

const struct mix mix_refcount = {
	.name = "refcount",
	.step = step,
	.nr_frames = 64,
	.deferred_in = 8192,
	.plants = PLANTS_OF_CLAIMS | 1u << PLANT_DROP,
};
