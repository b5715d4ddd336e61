/* SPDX-License-Identifier: MIT
 *
 * What a run says of itself: progress, the lines at the end, JSON.
 */
#ifndef STRESS_REPORT_H
#define STRESS_REPORT_H

#include "run.h"

/* Of the threads that ended: one that is stuck may be anywhere. */
struct totals {
	const struct worker *const *workers;
	unsigned nr_workers;
	double seconds;
	const char *broken; /* what, or NULL */
	uint64_t nr_broken; /* found by oracle and audit */
};

void report_progress(const struct options *options, double elapsed);
void report_lines(const struct options *options, const struct totals *totals);
/* False if it could not be written. */
bool report_json(const struct options *options, const struct totals *totals);

#endif
