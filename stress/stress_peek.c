/* SPDX-License-Identifier: MIT
 *
 * Proves: what a reader peeked at does not change inside its section
 * Oracle: plain cookies, owner words outside the table, claims equal drops, a clean audit at the end.
 * Knobs:  --threads, --seed. Smoke 2 s; pre-merge 60 s; a night 8 h.
 */
#include "mix.h"

static void step(struct worker *worker)
{
	enum mslot_err why = MSLOT_OK;
	uint64_t paddr = stress_paddr(worker);

	if (stress_random(worker) % 4 == 0) {
		mslot_frame_drop(stress_claim(worker, paddr));
		return;
	}
	mslot_read_lock();
	const volatile struct cookie *cookie = mslot_peek(worker->region, paddr, &stress_types[1], &why);
	if (cookie) {
		uint64_t value = cookie->value;
		stress_check((const struct cookie *)cookie, paddr);
		for (volatile unsigned i = 0; i < 50; i++)
			;
		if (cookie->value != value)
			stress_broken("a cookie changed inside a reader section", paddr);
	} else {
		stress_refused(worker, why);
	}
	mslot_read_unlock();
}

const struct mix mix_peek = {"peek", "what a reader peeked at does not change inside its section", step};
