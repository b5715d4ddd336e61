/* SPDX-License-Identifier: MIT
 *
 * metaslot-replay: replays recorded page traffic of a real kernel on the table, or on a baseline.
 *
 * Promises: exit 0 only if every event of every trace was applied and the audit after it was clean; 1 otherwise, with
 *           the trace, line and event; 2 for a wrong command line, and then nothing was run.
 * Needs:    replay_run.h; jansson for the JSON.
 */
#include "replay_run.h"

#include <metaslot/metaslot.h>

#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

#define MAX_THREADS 1024
#define MAX_ROUNDS 1000000
#define MAX_SECONDS 86400

struct options {
	struct replay_config config;
	const char *json;
	FILE *json_file; /* opened before the run, which may be long */
	const char *impl;
	const char *mode;
	const char *how;
	struct place *place;
	const char *reclaim; /* NULL: by mode */
	char **traces;
	int nr_traces;
};

/* Over all traces. */
struct totals {
	uint64_t events, held, cached, nr_waits, wait_ns, nr_broken;
	unsigned threads; /* the most that a trace had */
	unsigned *rounds; /* of each trace */
	double seconds;
	bool is_clean;
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
static bool choose_impl(struct options *options)
{
	struct replay_config *config = &options->config;
	bool is_alloc = !strcmp(options->mode, "alloc"), can_defer;

	config->impl = is_alloc ? NULL : impl_find(options->impl);
	config->alloc = is_alloc ? alloc_impl_find(options->impl) : NULL;
	if (!config->impl && !config->alloc) {
		fprintf(stderr, "metaslot-replay: no impl %s in mode %s; --help lists them\n", options->impl,
			options->mode);
		return false;
	}
	can_defer = is_alloc ? config->alloc->can_defer : config->impl->can_defer;
	config->is_deferred = options->reclaim ? !strcmp(options->reclaim, "deferred") : is_alloc && can_defer;
	if (config->is_deferred && !can_defer) {
		fprintf(stderr, "metaslot-replay: %s defers nothing: its run is immediate\n", options->impl);
		config->is_deferred = false;
	}
	return true;
}

enum { IMPL = 1, THREADS, MODE, RECLAIM, ROUNDS, SECONDS, PLACE, JSON, HELP };

static bool read_option(struct options *options, int option, const char *text)
{
	struct replay_config *config = &options->config;

	switch (option) {
	case IMPL:
		options->impl = text;
		return true;
	case THREADS:
		return parse_unsigned(text, MAX_THREADS, &config->nr_threads) && config->nr_threads;
	case MODE:
		options->mode = text;
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

	if (!choose_impl(options))
		return false;
	if (!options->nr_traces) {
		fprintf(stderr, "metaslot-replay: no trace\n");
		usage(stderr);
		return false;
	}
	options->config.place = options->place = place_make(options->how, PLACE_LOCAL, 1, &why);
	if (!options->place) {
		fprintf(stderr, "metaslot-replay: --place %s: %s\n", options->how, why);
		return false;
	}
	if (options->json && !(options->json_file = fopen(options->json, "w"))) {
		fprintf(stderr, "metaslot-replay: --json %s: cannot be written\n", options->json);
		place_free(options->place);
		return false;
	}
	return true;
}

/* The exit status, or -1 to go on. */
static int read_options(struct options *options, int argc, char **argv)
{
	static const struct option known[] = {
		{"impl", required_argument, NULL, IMPL},     {"threads", required_argument, NULL, THREADS},
		{"mode", required_argument, NULL, MODE},     {"reclaim", required_argument, NULL, RECLAIM},
		{"rounds", required_argument, NULL, ROUNDS}, {"seconds", required_argument, NULL, SECONDS},
		{"json", required_argument, NULL, JSON},     {"place", required_argument, NULL, PLACE},
		{"help", no_argument, NULL, HELP},	     {0},
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
	options->traces = argv + optind;
	options->nr_traces = argc - optind;
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

static bool replay_one(struct options *options, int nr, struct totals *totals, struct samples *latency)
{
	struct replay_config config = options->config;
	struct replay_result result;
	const char *path = options->traces[nr];
	struct trace trace;
	char error[512];
	bool ok;

	if (!trace_read(path, &trace, error, sizeof(error))) {
		fprintf(stderr, "metaslot-replay: %s\n", error);
		return false;
	}
	if (!config.nr_threads)
		config.nr_threads = trace.nr_cpus < MAX_THREADS ? trace.nr_cpus : MAX_THREADS;
	ok = replay_run(&config, &trace, &result);
	if (ok) {
		printf("%s: %s, %s, %s, %u threads: %" PRIu64
		       " events in %.3f ms (%u copies, mean of %u rounds): %.2f million a second\n",
		       trace.name, options->impl, options->mode, config.is_deferred ? "deferred" : "immediate",
		       config.nr_threads, result.events, result.seconds * 1e3, result.copies, result.rounds,
		       result.seconds > 0 ? (double)result.events / result.seconds * 1e-6 : 0.0);
		printf("  left behind, then released: %" PRIu64 " frames, %" PRIu64 " page-cache references\n",
		       result.held, result.cached);
		if (config.impl && config.is_deferred)
			printf("  waits for a grace period: %" PRIu64 ", %.1f us each\n", result.nr_waits,
			       result.nr_waits ? (double)result.wait_ns / (double)result.nr_waits * 1e-3 : 0.0);
	} else {
		fprintf(stderr, "metaslot-replay: %s: %s\n", path, result.error);
	}
	totals->rounds[nr] = result.rounds;
	totals->events += result.events;
	totals->seconds += result.seconds;
	totals->held += result.held;
	totals->cached += result.cached;
	totals->nr_waits += result.nr_waits;
	totals->nr_broken += result.nr_broken;
	totals->wait_ns += result.wait_ns;
	totals->is_clean = totals->is_clean && result.is_clean;
	*latency = result.latency;
	totals->threads = config.nr_threads > totals->threads ? config.nr_threads : totals->threads;
	trace_free(&trace);
	return ok;
}

static void set_int(json_t *object, const char *key, uint64_t value)
{
	json_object_set_new(object, key, json_integer((json_int_t)value));
}

/* What is not UTF-8 has question marks for what is not ASCII. */
static json_t *path_json(const char *path)
{
	json_t *json = json_string(path);
	char *plain = json ? NULL : strdup(path);

	for (char *at = plain; at && *at; at++)
		if (*at & 0x80)
			*at = '?';
	if (plain)
		json = json_string(plain);
	free(plain);
	return json;
}

static json_t *latency_json(const struct samples *latency)
{
	json_t *object = json_object();

	set_int(object, "p50", samples_percentile(latency, 0.5));
	set_int(object, "p99", samples_percentile(latency, 0.99));
	set_int(object, "p999", samples_percentile(latency, 0.999));
	set_int(object, "max", samples_percentile(latency, 1));
	return object;
}

static bool write_json(const struct options *options, const struct totals *totals, const struct samples *latency,
		       bool ok)
{
	const struct replay_config *config = &options->config;
	json_t *root = json_object(), *traces = json_array(), *rounds = json_array(), *waits = json_object();
	json_t *left = json_object(), *audit = json_object();
	bool failed;

	for (int i = 0; i < options->nr_traces; i++) {
		json_array_append_new(traces, path_json(options->traces[i]));
		json_array_append_new(rounds, json_integer(totals->rounds[i]));
	}
	set_int(waits, "count", totals->nr_waits);
	set_int(waits, "ns", totals->wait_ns);
	set_int(left, "frames", totals->held);
	set_int(left, "references", totals->cached);
	json_object_set_new(audit, "clean", json_boolean(ok && totals->is_clean));
	set_int(audit, "broken", totals->nr_broken);

	json_object_set_new(root, "schema", json_string("metaslot-replay/1"));
	json_object_set_new(root, "impl", json_string(options->impl));
	set_int(root, "threads", totals->threads);
	json_object_set_new(root, "mode", json_string(options->mode));
	json_object_set_new(root, "reclaim", json_string(config->is_deferred ? "deferred" : "immediate"));
	json_object_set_new(root, "flavor", json_string(mslot_reclaim_flavor()));
	json_object_set_new(root, "traces", traces);
	set_int(root, "events", totals->events);
	json_object_set_new(root, "seconds", json_real(totals->seconds));
	json_object_set_new(root, "rounds", rounds);
	json_object_set_new(root, "per_second",
			    json_real(totals->seconds > 0 ? (double)totals->events / totals->seconds : 0));
	json_object_set_new(root, "latency_ns", latency_json(latency));
	json_object_set_new(root, "waits", waits);
	json_object_set_new(root, "left", left);
	json_object_set_new(root, "audit", audit);
	set_int(root, "seed", 0); /* nothing is random */
	failed = json_dumpf(root, options->json_file, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) != 0;
	failed = fclose(options->json_file) != 0 || failed;
	json_decref(root);
	if (failed)
		fprintf(stderr, "metaslot-replay: %s cannot be written\n", options->json);
	return !failed;
}

int main(int argc, char **argv)
{
	struct options options = {.config = {.min_seconds = 0.5}, .impl = "mslot", .mode = "address", .how = "compact"};
	struct totals totals = {.is_clean = true};
	struct samples *latencies, latency = {0};
	bool ok = true;
	int status = read_options(&options, argc, argv);

	if (status >= 0)
		return status;
	if (isatty(STDERR_FILENO))
		options.config.progress = show_progress;
	latencies = calloc((size_t)options.nr_traces, sizeof(*latencies));
	totals.rounds = calloc((size_t)options.nr_traces, sizeof(*totals.rounds));
	if (!latencies || !totals.rounds || mslot_thread_register())
		return 1;
	for (int i = 0; ok && i < options.nr_traces; i++)
		ok = replay_one(&options, i, &totals, &latencies[i]);
	ok = samples_join(&latency, latencies, sizeof(*latencies), (size_t)options.nr_traces) && ok;
	if (options.json)
		ok = write_json(&options, &totals, &latency, ok) && ok;
	for (int i = 0; i < options.nr_traces; i++)
		samples_free(&latencies[i]);
	samples_free(&latency);
	free(latencies);
	free(totals.rounds);
	place_free(options.place);
	mslot_thread_unregister();
	return ok ? 0 : 1;
}
