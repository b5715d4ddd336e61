/* SPDX-License-Identifier: MIT
 *
 * Runs plans on tables: each copy of each trace on frames of its own.
 */
#ifndef BENCH_REPLAY_RUN_H
#define BENCH_REPLAY_RUN_H

#include "alloc_impl.h"
#include "impl.h"
#include "place.h"
#include "replay_plan.h"
#include "samples.h"

struct replay_config {
	const struct impl *impl;	/* address mode: the trace says which frame */
	const struct alloc_impl *alloc; /* alloc mode, if not NULL: it chooses */
	bool is_deferred;		/* kind c is a deferred type, and G a peek */
	unsigned nr_threads;
	const struct place *place; /* of the threads, or NULL: wherever the kernel puts them */
	unsigned rounds;	   /* 0: one to warm up, then as many as fill `min_seconds` */
	double min_seconds;
	void (*progress)(double share); /* called now and then, or NULL */
};

struct replay_result {
	uint64_t events; /* applied in each round */
	double seconds;	 /* of a timed round, from the first thread's start to the last one's end: the mean */
	unsigned rounds, copies;
	uint64_t held, cached;	    /* left behind by each round, then released */
	uint64_t nr_waits, wait_ns; /* for frames in their grace period */
	struct samples latency;	    /* ns, of every 64th event, sorted; the caller frees it */
	struct samples round_ns;    /* of the timed rounds, in order; the caller frees it */
	bool is_clean;
	uint64_t nr_broken; /* invariants, where the impl has an audit */
	char error[256];    /* why a round stopped: line, event; empty if every event was applied */
};

/*
 * Replays the trace on each of the configs, which differ in what they replay on alone. Their rounds take turns, so that
 * what the machine does meanwhile falls on all alike. False if something went wrong: some result's error says what.
 */
bool replay_run(const struct replay_config *configs, unsigned nr, const struct trace *trace,
		struct replay_result *results);

#endif
