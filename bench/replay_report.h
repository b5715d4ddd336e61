/* SPDX-License-Identifier: MIT
 *
 * What a replay reports.
 */
#ifndef BENCH_REPLAY_REPORT_H
#define BENCH_REPLAY_REPORT_H

#include "replay_run.h"

#include <stdio.h>

/* Over all traces. */
struct replay_totals {
	uint64_t events, held, cached, nr_waits, wait_ns, nr_broken;
	unsigned threads; /* the most that a trace had */
	double seconds;
	bool is_clean;
};

/* One impl, and what came of it. */
struct replay_subject {
	const char *impl;
	struct replay_config config;
	struct replay_totals totals;
	struct samples *latency, *round_ns; /* by trace */
	struct samples all_latency;	    /* sorted */
};

struct replay_report {
	const char *mode;
	char **traces;
	int nr_traces;
	struct replay_subject *subjects; /* the first one is what the others are compared with */
	unsigned nr_subjects;
};

/* What was measured of one impl on one trace, beside the first one's. */
void replay_print(const struct replay_subject *subject, const struct replay_result *result, const char *trace,
		  const char *mode, const struct replay_subject *first, const struct replay_result *of_first);
/* False where it cannot be written. */
bool replay_write_json(FILE *file, const struct replay_report *report, bool ok);

#endif
