/* SPDX-License-Identifier: MIT
 *
 * Proves: a forgotten reference keeps its frame until it is restored or dropped
 * Oracle: plain cookies, owner words outside the table, claims equal drops, a clean audit at the end.
 * Knobs:  --threads, --seed. Smoke 2 s; pre-merge 60 s; a night 8 h.
 */
#include "mix.h"

static void step(struct worker *worker)
{
	enum mslot_err why = MSLOT_OK;
	uint64_t paddr = stress_paddr(worker);

	stress_chose(worker, 'r', paddr);
	struct mslot_frame *frame = stress_get_or_claim(worker, paddr);

	if (!frame)
		return;
	if (mslot_frame_clone_into_raw(frame) != paddr || mslot_frame_into_raw(frame) != paddr)
		stress_broken("forgetting gave another address", paddr);
	frame = mslot_frame_from_raw(worker->region, paddr, &why);
	if (!frame)
		stress_broken("a forgotten reference is gone", paddr);
	stress_check_frame(frame, paddr);
	mslot_frame_drop(frame);
	if (mslot_frame_drop_raw(worker->region, paddr))
		stress_broken("a forgotten reference is gone", paddr);
}

const struct mix mix_raw = {
	.name = "raw",
	.step = step,
	.nr_frames = 64,
	.deferred_in = 8192,
	.plants = PLANTS_OF_CLAIMS,
};
