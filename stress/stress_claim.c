/* SPDX-License-Identifier: MIT
 *
 * Proves: a claim has exactly one winner
 * Oracle: plain cookies, owner words outside the table, claims equal drops, a clean audit at the end.
 * Knobs:  --threads, --seed. Smoke 2 s; pre-merge 60 s; a night 8 h.
 */
#include "mix.h"

static void step(struct worker *worker)
{
	uint64_t paddr = stress_paddr(worker);

	stress_chose(worker, 'c', paddr);
	struct mslot_frame *frame = stress_claim(worker, paddr);

	if (!frame)
		return;
	stress_check_frame(frame, paddr);
	if (stress_plant == PLANT_LEAK && worker->claims % 1024 == 0)
		return;
	mslot_frame_drop(frame);
}

const struct mix mix_claim = {
	.name = "claim",
	.step = step,
	.nr_frames = 32768,
	.deferred_in = 8,
	.plants = PLANTS_OF_CLAIMS | 1u << PLANT_LEAK,
};
