/* SPDX-License-Identifier: MIT
 *
 * Reads the command line; refuses whatever it does not understand to the last character.
 */
#include "faults.h"
#include "soak.h"
#include "stall.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define SECONDS_MOST 1000000
/* With this stay, a run of the seconds below has time for it, in any mix. */
#define STALL_SECONDS 1.2
#define SECONDS 2
#define AUDIT_SECONDS 60
#define AUDITED_SECONDS 120

static const struct mix *const mixes[] = {&mix_claim,	&mix_refcount,	&mix_raw,   &mix_unique,  &mix_peek,
					  &mix_segment, &mix_pagetable, &mix_alloc, &mix_reclaim, &mix_everything};
static const char *const plants[PLANT_NR] = {"none", "cookie", "double-drop", "two-winners", "stale", "leak"};
#define NR_MIXES (sizeof(mixes) / sizeof(mixes[0]))

/* Where the plant can be, as " claim raw ...". */
static void print_mixes(FILE *to, enum plant plant)
{
	for (size_t i = 0; i < NR_MIXES; i++)
		if (mixes[i]->plants >> plant & 1)
			fprintf(to, " %s", mixes[i]->name);
	fputc('\n', to);
}

static int usage(FILE *to, int status)
{
	fprintf(to,
		"usage: metaslot-stress [options]\n"
		"exit status: 0 held, 1 broken, or a file could not be written, 2 usage, 77 cannot run here\n"
		"--threads N     1 to %d (2)\n"
		"--seconds S     more than 0, at most %d (2); so are the other seconds\n"
		"--mix NAME      what the threads do (refcount)\n"
		"--seed N        0 to 2^63 - 1 (random, and printed)\n"
		"--json FILE     writes the result there\n"
		"--fault NAME    may be given several times; not stall, --json or --summary with kill\n"
		"--stall S       how long the reader of the fault stall stays inside (%g); the run must be longer\n"
		"--audit S       pauses all threads and audits, each so many seconds (%d in runs of %d or more)\n"
		"--summary FILE  keeps the sums of a long run in FILE, and continues what FILE says was done\n"
		"--sequence      prints a digest of each thread's first operations; the seed determines it\n"
		"--place P       threads on neighbouring cpus (compact), on distant ones (scatter), each on another\n"
		"                NUMA node (node), wherever the kernel puts them (none), or on a list such as 0-3,8\n"
		"                (compact, or none if threads outnumber cpus)\n"
		"--memory M      what a thread touches first lies on its node (local), on the farthest one (remote),\n"
		"                or on all in turn (interleaved) (local)\n"
		"--plant NAME    a defect on purpose, for the oracle to find, in a mix that can have it\n"
		"mixes:\n",
		STRESS_THREADS_MOST, SECONDS_MOST, STALL_SECONDS, AUDIT_SECONDS, AUDITED_SECONDS);
	for (size_t i = 0; i < NR_MIXES; i++)
		fprintf(to, "%s\n", mixes[i]->name);
	fputs("faults:\n", to);
	for (size_t i = 0; i < FAULT_NR; i++)
		fprintf(to, "%-13s  %s\n", fault_names[i].name, fault_names[i].does);
	fputs("plants:\n", to);
	for (unsigned i = PLANT_NONE + 1; i < PLANT_NR; i++) {
		fprintf(to, "%-13s ", plants[i]);
		print_mixes(to, (enum plant)i);
	}
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
	return (isdigit((unsigned char)*text) || *text == '.') && !*end && !errno && *value > 0 &&
	       *value <= SECONDS_MOST;
}

static bool read_name(const char *const *names, unsigned nr, const char *text, unsigned *which)
{
	for (unsigned i = 0; i < nr; i++)
		if (!strcmp(text, names[i])) {
			*which = i;
			return true;
		}
	return false;
}

static bool read_option(struct options *options, int option, const char *text, const char **json)
{
	uint64_t number;
	unsigned which;

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
	case 'f':
		for (unsigned i = 0; i < FAULT_NR; i++)
			if (!strcmp(text, fault_names[i].name)) {
				options->faults |= 1u << i;
				return true;
			}
		return false;
	case 'l':
		return read_seconds(text, &options->stall_seconds);
	case 'a':
		return read_seconds(text, &options->audit_seconds);
	case 'y':
		options->summary = text;
		return true;
	case 'q':
		options->sequence = true;
		return true;
	case 'p':
		if (!read_name(plants, PLANT_NR, text, &which))
			return false;
		options->plant = (enum plant)which;
		return true;
	case 'c':
		options->place = text;
		return place_is_known(text);
	case 'n':
		if (!read_name(place_memory_names, PLACE_NR, text, &which))
			return false;
		options->memory = (enum place_memory)which;
		return true;
	case 'j':
		*json = text;
		return true;
	default:
		return false;
	}
}

/* A plant that nothing would make, or nobody could meet, would be reported as held. */
static bool can_plant(const struct options *options)
{
	const char *plant = plants[options->plant];

	if (options->plant == PLANT_NONE)
		return true;
	if (!(options->mix->plants >> options->plant & 1)) {
		fprintf(stderr, "metaslot-stress: --plant %s is not in the mix %s, but in:", plant, options->mix->name);
		print_mixes(stderr, options->plant);
		return false;
	}
	if (options->nr_threads < 2 && (options->plant == PLANT_WINNERS || options->plant == PLANT_STALE)) {
		fprintf(stderr, "metaslot-stress: --plant %s needs two threads\n", plant);
		return false;
	}
	return true;
}

/* With the fault kill, the run is one child process after another, and none of them as long as a stay. */
static bool can_be_children(const struct options *options, const char *json)
{
	const char *what = options->faults >> FAULT_STALL & 1 ? "--fault stall"
			   : options->summary		      ? "--summary"
			   : json			      ? "--json"
							      : NULL;

	if (!(options->faults >> FAULT_KILL & 1) || !what)
		return true;
	fprintf(stderr, "metaslot-stress: %s is not for --fault kill, whose processes live for half a second\n", what);
	return false;
}

/* A run without a whole stay would show nothing. */
static bool can_stall(const struct options *options)
{
	double needs = stall_needs_seconds(options);

	if (!(options->faults >> FAULT_STALL & 1) || options->seconds >= needs)
		return true;
	fprintf(stderr,
		"metaslot-stress: --seconds %g is too short for --fault stall: in the mix %s, the first stay of "
		"--stall %g ends after %g seconds\n",
		options->seconds, options->mix->name, options->stall_seconds, needs);
	return false;
}

int options_read(struct options *options, int argc, char **argv)
{
	static const struct option known[] = {{"threads", 1, 0, 't'}, {"seconds", 1, 0, 's'},  {"mix", 1, 0, 'm'},
					      {"seed", 1, 0, 'r'},    {"json", 1, 0, 'j'},     {"plant", 1, 0, 'p'},
					      {"fault", 1, 0, 'f'},   {"stall", 1, 0, 'l'},    {"audit", 1, 0, 'a'},
					      {"summary", 1, 0, 'y'}, {"sequence", 0, 0, 'q'}, {"place", 1, 0, 'c'},
					      {"memory", 1, 0, 'n'},  {"help", 0, 0, 'h'},     {0, 0, 0, 0}};

	*options = (struct options){.mix = &mix_refcount,
				    .nr_threads = 2,
				    .seconds = SECONDS,
				    .stall_seconds = STALL_SECONDS,
				    .main_thread = pthread_self()};
	if (getrandom(&options->seed, sizeof(options->seed), 0) != sizeof(options->seed))
		options->seed = (uint64_t)time(NULL);
	options->seed &= INT64_MAX;
	const char *json = NULL;
	for (int c, which; (c = getopt_long(argc, argv, "", known, &which)) != -1;) {
		if (c == 'h')
			return usage(stdout, 0);
		if (c != '?' && read_option(options, c, optarg, &json))
			continue;
		if (c != '?')
			fprintf(stderr, "metaslot-stress: --%s cannot be '%s'; --help says what it can\n",
				known[which].name, optarg);
		return 2;
	}
	if (optind != argc) {
		fprintf(stderr, "metaslot-stress: '%s' is no option; see --help\n", argv[optind]);
		return 2;
	}
	if (options->faults >> FAULT_OVERSUBSCRIBE & 1) {
		unsigned most = 32 * (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
		options->nr_threads = most < STRESS_THREADS_MOST ? most : STRESS_THREADS_MOST;
	}
	if (!can_plant(options) || !can_be_children(options, json) || !can_stall(options))
		return 2;
	const char *why = soak_open(options);
	if (why) {
		fprintf(stderr, "metaslot-stress: --summary %s: %s\n", options->summary, why);
		return 2;
	}
	if (soak_is_complete(options))
		return soak_held() ? 0 : 1;
	/* Once all else is good: what is refused leaves the file as it was. */
	if (json && !(options->json = fopen(json, "w"))) {
		fprintf(stderr, "metaslot-stress: --json %s: cannot be written\n", json);
		return 2;
	}
	if (options->audit_seconds <= 0 && options->seconds >= AUDITED_SECONDS)
		options->audit_seconds = AUDIT_SECONDS;
	return -1;
}
