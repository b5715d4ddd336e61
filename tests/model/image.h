/* SPDX-License-Identifier: MIT
 *
 * A part of the engines: the static data of the subject, which is as it was linked before each execution.
 */
#ifndef MODEL_IMAGE_H
#define MODEL_IMAGE_H

#include "model.h"

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

extern "C" {
extern char __start_subject_data[] __attribute__((weak)), __stop_subject_data[] __attribute__((weak));
extern char __start_subject_bss[] __attribute__((weak)), __stop_subject_bss[] __attribute__((weak));
}

struct range {
	char *start, *stop;
	char *image;
	size_t first_granule; /* of 4 bytes, counted over all ranges */
};

static range ranges[2];
static size_t nr_granules;

static void die(const char *why)
{
	fprintf(stderr, "model: %s\n", why);
	_exit(2);
}

static void find_image()
{
	char *bounds[2][2] = {{__start_subject_data, __stop_subject_data}, {__start_subject_bss, __stop_subject_bss}};

	for (int i = 0; i < 2; i++) {
		range &r = ranges[i];
		r.start = (char *)((uintptr_t)bounds[i][0] & ~(uintptr_t)7);
		r.stop = bounds[i][1];
		r.first_granule = nr_granules;
		nr_granules += (r.stop - r.start) / 4 + 1;
		r.image = (char *)malloc(r.stop - r.start + 1);
		memcpy(r.image, r.start, r.stop - r.start);
	}
}

static void restore_image()
{
	for (range &r : ranges)
		memcpy(r.start, r.image, r.stop - r.start);
}

/* ---- the scenario, and its counters ---- */

static const struct model *current;

/* A line for the scenario that ran, as for any that failed. */
static void on_crash(int)
{
	printf("%-35s crashed  the program crashes\n", current->name);
	fflush(stdout);
	_exit(3);
}
static unsigned nr_threads;
static int counters[MODEL_COUNTERS];

static void count_threads()
{
	for (nr_threads = 0; nr_threads < MODEL_THREADS_MAX && current->thread[nr_threads]; nr_threads++)
		;
}

extern "C" void model_add(unsigned counter, int n)
{
	counters[counter] += n;
}

extern "C" int model_count(unsigned counter)
{
	return counters[counter];
}

#endif
