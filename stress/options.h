/* SPDX-License-Identifier: MIT
 *
 * The command line of metaslot-stress.
 */
#ifndef STRESS_OPTIONS_H
#define STRESS_OPTIONS_H

#include "mix.h"
#include "place.h"

#include <pthread.h>
#include <stdio.h>

enum fault {
	FAULT_EXIT,
	FAULT_KILL,
	FAULT_STALL,
	FAULT_OVERSUBSCRIBE,
	FAULT_SIGNALS,
	FAULT_STOP,
	FAULT_FORK,
	FAULT_MALLOC,
	FAULT_LAST_FRAME,
	FAULT_BACKLOG,
	FAULT_DELAY,
	FAULT_NR
};

struct options {
	const struct mix *mix;
	unsigned nr_threads;
	double seconds;
	uint64_t seed;
	enum plant plant;
	bool sequence;	 /* print each thread's digest */
	unsigned faults; /* a bit each */
	double stall_seconds;
	double audit_seconds; /* between audits on the way; 0: none */
	const char *summary;  /* file to continue, or NULL */
	const char *place;    /* as place.h says, or NULL for what is best */
	enum place_memory memory;
	FILE *json;
	pthread_t main_thread;
};

/* Gives the exit status, or -1 to go on. */
int options_read(struct options *options, int argc, char **argv);

#endif
