/* SPDX-License-Identifier: MIT
 *
 * Proves: what each mix proves, of frames that go from one mix to another
 * Oracle: that of every mix; a clean audit at the end.
 * Knobs:  --threads, --seed. Smoke 2 s; pre-merge 60 s; a night 8 h.
 */
#include "mix.h"

static const struct mix *const mixes[] = {&mix_claim, &mix_refcount, &mix_raw,	     &mix_unique,
					  &mix_peek,  &mix_segment,  &mix_pagetable, &mix_alloc};
#define NR_MIXES (sizeof(mixes) / sizeof(mixes[0]))

static void step(struct worker *worker)
{
	mixes[stress_random(worker) % NR_MIXES]->step(worker);
}

static void end(struct worker *worker)
{
	for (unsigned i = 0; i < NR_MIXES; i++)
		if (mixes[i]->end)
			mixes[i]->end(worker);
}

const struct mix mix_everything = {
	.name = "everything",
	.step = step,
	.end = end,
	.nr_frames = 8192,
	.deferred_in = 8,
	.plants = PLANTS_OF_CLAIMS | 1u << PLANT_DROP | 1u << PLANT_STALE | 1u << PLANT_LEAK,
};
