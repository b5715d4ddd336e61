/* SPDX-License-Identifier: MIT
 *
 * Proves: the last of many puts, and only it, ends the frame
 * Oracle: plain cookies, owner words outside the table, claims equal drops, a clean audit at the end.
 * Knobs:  --threads, --seed. Smoke 2 s; pre-merge 60 s; a night 8 h.
 */
#include "mix.h"

static void step(struct worker *worker)
{
	enum mslot_err why = MSLOT_OK;
	uint64_t paddr = stress_paddr(worker);
	struct mslot_frame *frame = mslot_frame_get(worker->region, paddr, &why);

	if (!frame) {
		stress_refused(worker, why);
		frame = stress_claim(worker, paddr);
	}
	if (!frame)
		return;
	struct mslot_frame *clone = mslot_frame_clone(frame);
	mslot_frame_drop(frame);
	for (unsigned i = 0; i < 2; i++) {
		const struct cookie *cookie = mslot_frame_meta(clone, &stress_types[i]);
		if (cookie)
			stress_check(cookie, paddr);
	}
	mslot_frame_drop(clone);
}

const struct mix mix_refcount = {"refcount", "the last of many puts, and only it, ends the frame", step};
