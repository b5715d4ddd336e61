/* SPDX-License-Identifier: MIT
 *
 * The command line of metaslot-stress.
 */
#ifndef STRESS_OPTIONS_H
#define STRESS_OPTIONS_H

#include "mix.h"

#include <pthread.h>
#include <stdio.h>

struct options {
	const struct mix *mix;
	unsigned nr_threads;
	double seconds;
	uint64_t seed;
	enum plant plant;
	bool sequence; /* print each thread's digest */
	FILE *json;
	pthread_t main_thread;
};

/* Gives the exit status, or -1 to go on. */
int options_read(struct options *options, int argc, char **argv);

#endif
