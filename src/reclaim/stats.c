/* SPDX-License-Identifier: MIT
 *
 * The statistics of reclaim.
 *
 * Promises: a call costs the threads that retire nothing: each counts for itself, here the counts are added up.
 */
#include "reclaim/reclaim.h"

void mslot_stats(struct mslot_stats *out)
{
	struct grace_snapshot snapshot;

	if (!out)
		return;
	struct registry_sums sums = registry_sums();
	grace_thread_snapshot(&snapshot);
	uint64_t now = reclaim_now_ns();
	*out = (struct mslot_stats){
		.retired = sums.retired,
		.recycled = sums.recycled,
		.most_backlog = sums.most_backlog,
		.grace_periods = snapshot.completed,
		/* [relaxed] statistics. */
		.claims_waited = atomic_load_explicit(&reclaim_counts.claims_waited, memory_order_relaxed),
		/* [relaxed] statistics. */
		.claims_refused = atomic_load_explicit(&reclaim_counts.claims_refused, memory_order_relaxed),
		/* [relaxed] statistics. */
		.stalls = atomic_load_explicit(&reclaim_counts.stalls, memory_order_relaxed),
	};
	/* One that was retired by another while we added up may be missing there. */
	if (out->retired < out->recycled)
		out->retired = out->recycled;
	out->backlog = out->retired - out->recycled;
	if (out->backlog && snapshot.oldest_ns && now > snapshot.oldest_ns)
		out->oldest_wait_ns = now - snapshot.oldest_ns;
}
