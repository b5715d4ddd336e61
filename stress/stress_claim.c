/* SPDX-License-Identifier: MIT
 *
 * Proves: a claim has exactly one winner
 * Oracle: plain cookies, owner words outside the table, claims equal drops, a clean audit at the end.
 * Knobs:  --threads, --seed. Smoke 2 s; pre-merge 60 s; a night 8 h.
 */
#include "mix.h"

static void step(struct worker *worker)
{
	mslot_frame_drop(stress_claim(worker, stress_paddr(worker)));
}

const struct mix mix_claim = {"claim", "a claim has exactly one winner", step};
