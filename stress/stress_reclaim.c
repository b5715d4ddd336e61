/* SPDX-License-Identifier: MIT
 *
 * Proves: deferred drops at full rate keep to the backlog's limit and hold up no immediate type
 * Oracle: as in claim. With the fault stall, stall.c compares what the threads with immediate types do with and without
 *         a stalled reader, and sees that the most that waited is within the limit.
 * Knobs:  --threads, --seed, --stall. Smoke 3 s; `--fault stall --stall 10 --seconds 40`; a night 8 h.
 *
 * Of two threads one claims and drops frames of a deferred type as fast as it can, the other one of an immediate type,
 * each on frames of its own, so that none waits for another but in the library.
 */
#include "mix.h"

static void step(struct worker *worker)
{
	uint64_t all = mslot_region_nr_frames(worker->region), own = all / worker->nr_threads;
	bool is_alone = own > 0;
	uint64_t index = is_alone ? worker->thread * own + worker->ops % own : worker->thread % all;
	uint64_t paddr = index << STRESS_FRAME_SHIFT;
	bool deferred = !mix_is_immediate(worker->mix, worker->thread, worker->nr_threads);

	stress_chose(worker, deferred ? 'd' : 'i', paddr + stress_random(worker) % STRESS_FRAME);
	struct mslot_frame *frame = stress_claim_as(worker, paddr, deferred);

	if (!frame) {
		if (!deferred && is_alone)
			stress_broken("a claim of an immediate type was refused", paddr);
		return;
	}
	stress_check_frame(frame, paddr);
	mslot_frame_drop(frame);
}

const struct mix mix_reclaim = {
	.name = "reclaim",
	.step = step,
	.nr_frames = 32768,
	.deferred_in = 1,
	.is_split = true,
	.plants = 1u << PLANT_COOKIE,
};
