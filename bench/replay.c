/* SPDX-License-Identifier: MIT
 *
 * metaslot-replay: replays recorded page traffic of a real kernel on the table, or on a baseline.
 *
 * Promises: exit 0 only if every event of every trace was applied and the audit after it was clean; 1 otherwise, with
 *           the trace, line and event; 2 for a wrong command line, and then nothing was run.
 * Needs:    replay_run.h for the work, replay_report.h for what is said of it.
 */
#include "output.h"
#include "replay_report.h"

#include <metaslot/metaslot.h>

#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#define MAX_THREADS 1024
#define MAX_ROUNDS 1000000
#define MAX_SECONDS 86400
#define MAX_IMPLS 32

struct options {
	struct replay_config config; /* of all impls; which one is still to be said */
	struct replay_report report;
	const char *json;
	FILE *json_file; /* opened before the run, which may be long */
	const char *impl;
	char *against; /* names, separated by commas; or NULL */
	const char *how;
	struct place *place;
	const char *reclaim; /* NULL: by mode */
};

static void usage(FILE *to)
{
	fprintf(to, "usage: metaslot-replay [options] TRACE.gz...\n"
		    "\n"
		    "Replays page traces and reports events per second.\n"
		    "\n"
		    "  --impl I        what to replay on (default mslot), one of\n");
	for (size_t i = 0; impl_list()[i]; i++)
		fprintf(to, "      %s\n", impl_list()[i]->name);
	fprintf(to, "                  or with --mode alloc one of\n");
	for (size_t i = 0; alloc_impl_list()[i]; i++)
		fprintf(to, "      %s\n", alloc_impl_list()[i]->name);
	fprintf(to,
		"  --against I,... other impls, on which the same is replayed in turns, round by round: what the "
		"machine\n"
		"                  does meanwhile falls on all alike, and how long each takes beside --impl is told\n"
		"  --threads N     1 to %d (default: the trace's cpus); each cpus' worth replays a copy of its own\n"
		"                  and takes its memory: some 80 MiB of the recorded traces, 15 MiB in mode alloc. "
		"What "
		"four\n"
		"                  fifths of the available memory do not hold is refused\n"
		"  --mode M        who chooses the frames (default address), one of\n"
		"      address     the trace\n"
		"      alloc       the allocator; the trace's frames stand for what it gives\n"
		"  --reclaim R     immediate, or deferred: page-cache frames wait for a grace period, and are looked "
		"up\n"
		"                  by peek. Default: deferred for mslot in mode alloc, else immediate; baselines "
		"defer\n"
		"                  nothing\n"
		"  --place P       where threads run: compact (default), scatter, node, none, or a list of cpus: "
		"0-3,8\n"
		"  --rounds N      replay each trace N times; at most %d; 0 (default): once to warm up, then for a\n"
		"                  while\n"
		"  --seconds S     how long that while is (default 0.5, at most %d)\n"
		"  --json FILE     write the result there\n"
		"  --help\n",
		MAX_THREADS, MAX_ROUNDS, MAX_SECONDS);
}

static bool parse_unsigned(const char *text, unsigned most, unsigned *out)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value > most)
		return false;
	*out = (unsigned)value;
	return true;
}

static bool parse_seconds(const char *text, double *out)
{
	char *end;
	double value = strtod(text, &end);

	if (*text < '0' || *text > '9' || *end || !(value <= MAX_SECONDS))
		return false;
	*out = value;
	return true;
}

/* Once mode and reclaim are known. */
static bool add_impl(struct options *options, const char *name)
{
	struct replay_report *report = &options->report;
	bool is_alloc = !strcmp(report->mode, "alloc"), can_defer;
	struct replay_subject *subject = &report->subjects[report->nr_subjects];
	struct replay_config *config = &subject->config;

	*subject = (struct replay_subject){.impl = name, .config = options->config, .totals.is_clean = true};
	config->impl = is_alloc ? NULL : impl_find(name);
	config->alloc = is_alloc ? alloc_impl_find(name) : NULL;
	if (!config->impl && !config->alloc) {
		fprintf(stderr, "metaslot-replay: no impl %s in mode %s; --help lists them\n", name, report->mode);
		return false;
	}
	if (++report->nr_subjects == MAX_IMPLS) {
		fprintf(stderr, "metaslot-replay: more than %d impls\n", MAX_IMPLS - 1);
		return false;
	}
	can_defer = is_alloc ? config->alloc->can_defer : config->impl->can_defer;
	config->is_deferred = options->reclaim ? !strcmp(options->reclaim, "deferred") : is_alloc && can_defer;
	if (config->is_deferred && !can_defer) {
		fprintf(stderr, "metaslot-replay: %s defers nothing: its run is immediate\n", name);
		config->is_deferred = false;
	}
	return true;
}

static bool add_impls(struct options *options)
{
	bool ok = add_impl(options, options->impl);
	char *rest = options->against;

	while (ok && rest)
		ok = add_impl(options, strsep(&rest, ","));
	return ok;
}

enum { IMPL = 1, AGAINST, THREADS, MODE, RECLAIM, ROUNDS, SECONDS, PLACE, JSON, HELP };

static bool read_option(struct options *options, int option, char *text)
{
	struct replay_config *config = &options->config;

	switch (option) {
	case IMPL:
		options->impl = text;
		return true;
	case AGAINST:
		options->against = text;
		return true;
	case THREADS:
		return parse_unsigned(text, MAX_THREADS, &config->nr_threads) && config->nr_threads;
	case MODE:
		options->report.mode = text;
		return !strcmp(text, "address") || !strcmp(text, "alloc");
	case RECLAIM:
		options->reclaim = text;
		return !strcmp(text, "deferred") || !strcmp(text, "immediate");
	case ROUNDS:
		return parse_unsigned(text, MAX_ROUNDS, &config->rounds);
	case SECONDS:
		return parse_seconds(text, &config->min_seconds);
	case PLACE:
		options->how = text;
		return true;
	case JSON:
		options->json = text;
		return true;
	default:
		return false;
	}
}

/* What the options say together, and what they name. */
static bool open_options(struct options *options)
{
	const char *why;

	if (!options->report.nr_traces) {
		fprintf(stderr, "metaslot-replay: no trace\n");
		usage(stderr);
		return false;
	}
	options->place = place_make(options->how, PLACE_LOCAL, 1, &why);
	if (!options->place) {
		fprintf(stderr, "metaslot-replay: --place %s: %s\n", options->how, why);
		return false;
	}
	options->config.place = options->place;
	if (!add_impls(options)) {
		place_free(options->place);
		return false;
	}
	if (options->json && !(options->json_file = output_open("metaslot-replay", "--json", options->json,
								options->report.traces, options->report.nr_traces))) {
		place_free(options->place);
		return false;
	}
	return true;
}

/* The exit status, or -1 to go on. */
static int read_options(struct options *options, int argc, char **argv)
{
	static const struct option known[] = {
		{"impl", required_argument, NULL, IMPL},
		{"against", required_argument, NULL, AGAINST},
		{"threads", required_argument, NULL, THREADS},
		{"mode", required_argument, NULL, MODE},
		{"reclaim", required_argument, NULL, RECLAIM},
		{"rounds", required_argument, NULL, ROUNDS},
		{"seconds", required_argument, NULL, SECONDS},
		{"json", required_argument, NULL, JSON},
		{"place", required_argument, NULL, PLACE},
		{"help", no_argument, NULL, HELP},
		{0},
	};

	for (int option, which; (option = getopt_long(argc, argv, "", known, &which)) != -1;) {
		if (option == HELP) {
			usage(stdout);
			return 0;
		}
		if (option == '?') {
			usage(stderr);
			return 2;
		}
		if (!read_option(options, option, optarg)) {
			fprintf(stderr, "metaslot-replay: --%s cannot be '%s'; --help says what it can\n",
				known[which].name, optarg);
			return 2;
		}
	}
	options->report.traces = argv + optind;
	options->report.nr_traces = argc - optind;
	return open_options(options) ? -1 : 2;
}

static void show_progress(double share)
{
	static const char bar[] = "########################################";
	int done = share >= 1 ? 40 : (int)(share * 40);

	fprintf(stderr, "\r[%-40.*s] %3.0f %%", done, bar, share >= 1 ? 100 : share * 100);
	if (share >= 1)
		fprintf(stderr, "\r%50s\r", "");
}

static void add_result(struct replay_subject *subject, int nr, const struct replay_result *result)
{
	struct replay_totals *totals = &subject->totals;

	totals->events += result->rounds ? result->events : 0;
	totals->seconds += result->seconds;
	totals->held += result->rounds ? result->held : 0;
	totals->cached += result->rounds ? result->cached : 0;
	totals->nr_waits += result->nr_waits;
	totals->nr_broken += result->nr_broken;
	totals->wait_ns += result->wait_ns;
	totals->is_clean = totals->is_clean && result->is_clean;
	if (subject->config.nr_threads > totals->threads)
		totals->threads = subject->config.nr_threads;
	subject->latency[nr] = result->latency;
	subject->round_ns[nr] = result->round_ns;
}

static bool replay_one(struct options *options, int nr)
{
	const struct replay_report *report = &options->report;
	struct replay_config configs[MAX_IMPLS];
	struct replay_result results[MAX_IMPLS];
	const char *path = report->traces[nr];
	struct trace trace;
	char error[512];

	if (!trace_read(path, &trace, error, sizeof(error))) {
		fprintf(stderr, "metaslot-replay: %s\n", error);
		return false;
	}
	for (unsigned i = 0; i < report->nr_subjects; i++) {
		struct replay_config *config = &report->subjects[i].config;
		config->nr_threads = options->config.nr_threads;
		if (!config->nr_threads)
			config->nr_threads = trace.nr_cpus < MAX_THREADS ? trace.nr_cpus : MAX_THREADS;
		configs[i] = *config;
	}
	bool ok = replay_run(configs, report->nr_subjects, &trace, results);
	for (unsigned i = 0; i < report->nr_subjects; i++) {
		const struct replay_subject *subject = &report->subjects[i];
		if (ok)
			replay_print(subject, &results[i], trace.name, report->mode, report->subjects, results);
		else if (results[i].error[0])
			fprintf(stderr, "metaslot-replay: %s%s%s: %s\n", i ? subject->impl : "", i ? ": " : "", path,
				results[i].error);
	}
	for (unsigned i = 0; i < report->nr_subjects; i++)
		add_result(&report->subjects[i], nr, &results[i]);
	trace_free(&trace);
	return ok;
}

/* What was measured of all traces. */
static bool join_latencies(struct replay_report *report)
{
	size_t nr = (size_t)report->nr_traces, joined = 0;

	for (unsigned i = 0; i < report->nr_subjects; i++) {
		struct replay_subject *subject = &report->subjects[i];
		joined += samples_join(&subject->all_latency, subject->latency, sizeof(*subject->latency), nr);
	}
	return joined == report->nr_subjects;
}

static bool write_json(const struct options *options, bool ok)
{
	bool is_written = replay_write_json(options->json_file, &options->report, ok);

	is_written = fclose(options->json_file) == 0 && is_written;
	if (!is_written)
		fprintf(stderr, "metaslot-replay: %s cannot be written\n", options->json);
	return is_written;
}

static bool make_room(struct replay_report *report)
{
	bool ok = true;

	for (unsigned i = 0; i < report->nr_subjects; i++) {
		report->subjects[i].latency = calloc((size_t)report->nr_traces, sizeof(struct samples));
		report->subjects[i].round_ns = calloc((size_t)report->nr_traces, sizeof(struct samples));
		ok = ok && report->subjects[i].latency && report->subjects[i].round_ns;
	}
	return ok;
}

static void free_room(struct replay_report *report)
{
	for (unsigned i = 0; i < report->nr_subjects; i++) {
		struct replay_subject *subject = &report->subjects[i];
		for (int nr = 0; nr < report->nr_traces; nr++) {
			samples_free(&subject->latency[nr]);
			samples_free(&subject->round_ns[nr]);
		}
		samples_free(&subject->all_latency);
		free(subject->latency);
		free(subject->round_ns);
	}
}

/* The call that is refused says so, and the event that made it is named. */
static void ignore_fault(const struct mslot_fault *fault, void *ctx)
{
	(void)fault, (void)ctx;
}

int main(int argc, char **argv)
{
	struct replay_subject subjects[MAX_IMPLS];
	struct options options = {.config = {.min_seconds = 0.5},
				  .report = {.mode = "address", .subjects = subjects},
				  .impl = "mslot",
				  .how = "compact"};
	struct replay_report *report = &options.report;
	bool ok = true;
	int status = read_options(&options, argc, argv);

	if (status >= 0)
		return status;
	if (isatty(STDERR_FILENO))
		for (unsigned i = 0; i < report->nr_subjects; i++)
			subjects[i].config.progress = show_progress;
	if (!make_room(report) || mslot_thread_register())
		return 1;
	mslot_set_fault_handler(ignore_fault, NULL);
	for (int i = 0; ok && i < report->nr_traces; i++)
		ok = replay_one(&options, i);
	ok = join_latencies(report) && ok;
	if (options.json)
		ok = write_json(&options, ok) && ok;
	free_room(report);
	place_free(options.place);
	mslot_thread_unregister();
	return output_is_written("metaslot-replay") && ok ? 0 : 1;
}
