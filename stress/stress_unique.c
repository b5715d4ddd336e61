/* SPDX-License-Identifier: MIT
 *
 * Proves: a unique owner may write the metadata of an immediate type
 * Oracle: plain cookies, owner words outside the table, claims equal drops, a clean audit at the end.
 * Knobs:  --threads, --seed. Smoke 2 s; pre-merge 60 s; a night 8 h.
 */
#include "mix.h"

static void step(struct worker *worker)
{
	enum mslot_err why = MSLOT_OK;
	uint64_t paddr = stress_paddr(worker);

	stress_chose(worker, 'u', paddr);
	struct mslot_frame *frame = stress_get_or_claim(worker, paddr);

	if (!frame)
		return;
	struct mslot_unique *unique = mslot_frame_try_unique(frame, &why);
	if (!unique) {
		stress_refused(worker, why);
		stress_check_frame(frame, paddr);
		mslot_frame_drop(frame);
		return;
	}
	struct cookie *cookie = mslot_unique_meta(unique, &stress_types[0]);
	if (cookie) {
		stress_check(cookie, paddr);
		cookie->value = stress_random(worker);
		cookie->inverse = ~cookie->value;
	}
	mslot_frame_drop(mslot_unique_share(unique));
}

const struct mix mix_unique = {
	.name = "unique",
	.step = step,
	.nr_frames = 64,
	.deferred_in = 8192,
	.plants = PLANTS_OF_CLAIMS,
};
