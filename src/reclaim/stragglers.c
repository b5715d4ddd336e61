/* SPDX-License-Identifier: MIT
 *
 * Before a grace period: lets readers that were preempted inside a section leave it.
 *
 * Promises: only to return soon. Grace periods are liburcu's; this makes them short.
 * Needs:    grace_is_inside(), a hint.
 * Read:     docs/decisions/0002-grace-period-thread.md, for why it pays.
 */
#include "reclaim/grace.h"
#include "reclaim/reclaim.h"

/* A reader that runs leaves a short section meanwhile: some microseconds. */
#define LOOKS 100
#define NAPS_MOST 4
#define NAP_NS 30000

/* Under the registry's lock, so the thread is there. */
static void find_stuck(struct reclaim_thread *thread, void *ctx)
{
	bool *is_stuck = ctx;
	unsigned looks = 0;

	if (*is_stuck || !thread->reader)
		return;
	while (looks < LOOKS && grace_is_inside(thread->reader)) {
		grace_relax();
		looks++;
	}
	*is_stuck = looks == LOOKS;
}

void stragglers_nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
}

void stragglers_wait(void)
{
	for (unsigned naps = 0; naps < NAPS_MOST; naps++) {
		bool is_stuck = false;

		registry_each(find_stuck, &is_stuck);
		if (!is_stuck)
			return;
		stragglers_nap();
	}
}
