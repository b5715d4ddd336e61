/* SPDX-License-Identifier: MIT
 *
 * Proves: what a reader peeked at does not change inside its section
 * Oracle: plain cookies, owner words outside the table, claims equal drops, a clean audit at the end.
 * Knobs:  --threads, --seed. Smoke 2 s; pre-merge 60 s; a night 8 h.
 */
#include "mix.h"

#include <time.h>

#define PEEKS 4

/* Where frames were claimed lately. */
static _Atomic uint64_t board[STRESS_BOARD];

/* Each thread holds a few frames; drops the oldest and claims another. */
static void turn_over(struct worker *worker)
{
	uint64_t paddr = stress_paddr(worker);
	unsigned at = stress_random(worker) % (worker->is_short ? 1 : STRESS_HELD);

	stress_chose(worker, 't', paddr + at);
	mslot_frame_drop(worker->held[at]);
	worker->held[at] = stress_claim(worker, paddr);
	if (worker->held[at])
		atomic_store_explicit(&board[stress_random(worker) % STRESS_BOARD], paddr, memory_order_relaxed);
}

static void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

static void step(struct worker *worker)
{
	const volatile struct cookie *seen[PEEKS];
	uint64_t paddrs[PEEKS], values[PEEKS];
	unsigned nr = 0;
	uint64_t random = stress_random(worker);
	/* The defect: what the first worker peeked at it uses after the section, while the others turn frames over. */
	bool is_planted = stress_plant == PLANT_STALE, stale = is_planted && worker->thread == 0;

	if (is_planted ? !stale : random % 2 == 0) {
		turn_over(worker);
		return;
	}
	stress_chose(worker, 'p', random);
	mslot_read_lock();
	for (unsigned i = 0; i < PEEKS; i++) {
		enum mslot_err why = MSLOT_OK;
		uint64_t at = stress_random(worker) % STRESS_BOARD;
		uint64_t paddr = atomic_load_explicit(&board[at], memory_order_relaxed);
		const struct cookie *cookie = mslot_peek(worker->region, paddr, &stress_types[1], &why);

		if (!cookie) {
			stress_refused(worker, why);
			continue;
		}
		worker->peeks++;
		stress_check(cookie, paddr);
		paddrs[nr] = paddr;
		values[nr] = cookie->value;
		seen[nr++] = cookie;
	}
	if (stale) {
		mslot_read_unlock();
		mslot_thread_offline();
	}
	/* Now and then the section is longer than many grace periods would be that do not wait for it. */
	unsigned rounds = stale || random % 512 == 1 ? 8 : 2;
	for (unsigned round = 0; round < rounds; round++) {
		for (unsigned i = 0; i < nr; i++)
			if (seen[i]->value != values[i] || seen[i]->inverse != ~values[i])
				stress_broken("a cookie changed inside a reader section", paddrs[i]);
		if (rounds > 2)
			nap();
	}
	if (stale)
		mslot_thread_online();
	else
		mslot_read_unlock();
}

static void end(struct worker *worker)
{
	for (unsigned i = 0; i < STRESS_HELD; i++)
		mslot_frame_drop(worker->held[i]);
}

const struct mix mix_peek = {
	.name = "peek",
	.step = step,
	.end = end,
	.nr_frames = 4096,
	.deferred_in = 1,
	.plants = PLANTS_OF_CLAIMS | 1u << PLANT_STALE,
};
