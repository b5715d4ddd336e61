/* SPDX-License-Identifier: MIT
 *
 * Reads the command line; refuses whatever it does not understand to the last character.
 */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static const struct mix *const mixes[] = {&mix_claim,	&mix_refcount,	&mix_raw,   &mix_unique,    &mix_peek,
					  &mix_segment, &mix_pagetable, &mix_alloc, &mix_everything};
static const char *const plants[PLANT_NR] = {"none", "cookie", "double-drop", "two-winners", "stale", "leak"};
#define NR_MIXES (sizeof(mixes) / sizeof(mixes[0]))

static int usage(FILE *to, int status)
{
	fputs("metaslot-stress [--threads N] [--seconds S] [--mix NAME] [--seed N] [--sequence] [--json "
	      "FILE]\nmixes:\n",
	      to);
	for (size_t i = 0; i < NR_MIXES; i++)
		fprintf(to, "%s\n", mixes[i]->name);
	return status;
}

static bool read_number(const char *text, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 0);
	return isdigit((unsigned char)*text) && !*end && !errno;
}

static bool read_seconds(const char *text, double *value)
{
	char *end;

	errno = 0;
	*value = strtod(text, &end);
	return (isdigit((unsigned char)*text) || *text == '.') && !*end && !errno && *value > 0 && *value <= 1e6;
}

static bool read_option(struct options *options, int option, const char *text)
{
	uint64_t number;

	switch (option) {
	case 't':
		if (!read_number(text, &number) || number < 1 || number > STRESS_THREADS_MOST)
			return false;
		options->nr_threads = (unsigned)number;
		return true;
	case 's':
		return read_seconds(text, &options->seconds);
	case 'r':
		/* As JSON's integers. */
		return read_number(text, &options->seed) && options->seed <= INT64_MAX;
	case 'm':
		for (size_t i = 0; i < NR_MIXES; i++)
			if (!strcmp(text, mixes[i]->name)) {
				options->mix = mixes[i];
				return true;
			}
		return false;
	case 'q':
		options->sequence = true;
		return true;
	case 'p':
		for (unsigned i = 0; i < PLANT_NR; i++)
			if (!strcmp(text, plants[i])) {
				options->plant = (enum plant)i;
				return true;
			}
		return false;
	case 'j':
		options->json = fopen(text, "w");
		return options->json != NULL;
	default:
		return false;
	}
}

int options_read(struct options *options, int argc, char **argv)
{
	static const struct option known[] = {{"threads", 1, 0, 't'},  {"seconds", 1, 0, 's'}, {"mix", 1, 0, 'm'},
					      {"seed", 1, 0, 'r'},     {"json", 1, 0, 'j'},    {"plant", 1, 0, 'p'},
					      {"sequence", 0, 0, 'q'}, {"help", 0, 0, 'h'},    {0, 0, 0, 0}};

	*options = (struct options){.mix = &mix_refcount, .nr_threads = 2, .seconds = 2, .main_thread = pthread_self()};
	if (getrandom(&options->seed, sizeof(options->seed), 0) != sizeof(options->seed))
		options->seed = (uint64_t)time(NULL);
	options->seed &= INT64_MAX;
	for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		if (c == 'h')
			return usage(stdout, 0);
		if (c != '?' && read_option(options, c, optarg))
			continue;
		if (c != '?')
			fprintf(stderr, "metaslot-stress: cannot use '%s'\n", optarg);
		return usage(stderr, 2);
	}
	return optind == argc ? -1 : usage(stderr, 2);
}
