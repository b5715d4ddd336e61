/* SPDX-License-Identifier: MIT
 *
 * What a replay reports: a line or two for each trace and impl, and the JSON that docs/benchmarks.md describes.
 */
#include "replay_report.h"

#include <metaslot/reclaim.h>

#include <inttypes.h>
#include <jansson.h>

static double rate(uint64_t events, double seconds)
{
	return seconds > 0 ? (double)events / seconds : 0;
}

static double median_ns(const struct samples *rounds)
{
	struct samples sorted;
	double median;

	if (!samples_join(&sorted, rounds, sizeof(*rounds), 1))
		return 0;
	median = (double)samples_percentile(&sorted, 0.5);
	samples_free(&sorted);
	return median;
}

void replay_print(const struct replay_subject *subject, const struct replay_result *result, const char *trace,
		  const char *mode, const struct replay_subject *first, const struct replay_result *of_first)
{
	const struct replay_config *config = &subject->config;

	printf("%s: %s, %s, %s, %u threads: %" PRIu64
	       " events in %.3f ms (%u copies, mean of %u rounds): %.2f million a second\n",
	       trace, subject->impl, mode, config->is_deferred ? "deferred" : "immediate", config->nr_threads,
	       result->events, result->seconds * 1e3, result->copies, result->rounds,
	       rate(result->events, result->seconds) * 1e-6);
	if (of_first != result) {
		double ours = median_ns(&of_first->round_ns);
		printf("  %s takes %.2f times as long as %s, by the medians of rounds that took turns\n", subject->impl,
		       ours > 0 ? median_ns(&result->round_ns) / ours : 0, first->impl);
		return;
	}
	printf("  left behind, then released: %" PRIu64 " frames, %" PRIu64 " page-cache references\n", result->held,
	       result->cached);
	if (config->impl && config->is_deferred)
		printf("  waits for a grace period: %" PRIu64 ", %.1f us each\n", result->nr_waits,
		       result->nr_waits ? (double)result->wait_ns / (double)result->nr_waits * 1e-3 : 0.0);
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

/* What is one impl's. */
static void add_measured(json_t *object, const struct replay_subject *subject, const struct replay_report *report,
			 bool ok)
{
	const struct replay_totals *totals = &subject->totals;
	json_t *rounds = json_array(), *round_seconds = json_array(), *waits = json_object(), *audit = json_object();

	for (int i = 0; i < report->nr_traces; i++) {
		const struct samples *round_ns = &subject->round_ns[i];
		json_array_append_new(rounds, json_integer((json_int_t)round_ns->nr));
		for (size_t at = 0; at < samples_kept(round_ns); at++)
			json_array_append_new(round_seconds, json_real((double)round_ns->values[at] * 1e-9));
	}
	set_int(waits, "count", totals->nr_waits);
	set_int(waits, "ns", totals->wait_ns);
	json_object_set_new(audit, "clean", json_boolean(ok && totals->is_clean));
	set_int(audit, "broken", totals->nr_broken);

	json_object_set_new(object, "impl", json_string(subject->impl));
	json_object_set_new(object, "reclaim", json_string(subject->config.is_deferred ? "deferred" : "immediate"));
	set_int(object, "events", totals->events);
	json_object_set_new(object, "seconds", json_real(totals->seconds));
	json_object_set_new(object, "rounds", rounds);
	json_object_set_new(object, "round_seconds", round_seconds);
	json_object_set_new(object, "per_second", json_real(rate(totals->events, totals->seconds)));
	json_object_set_new(object, "latency_ns", latency_json(&subject->all_latency));
	json_object_set_new(object, "waits", waits);
	json_object_set_new(object, "audit", audit);
}

bool replay_write_json(FILE *file, const struct replay_report *report, bool ok)
{
	const struct replay_subject *first = &report->subjects[0];
	json_t *root = json_object(), *traces = json_array(), *left = json_object(), *against = json_array();
	bool failed;

	for (int i = 0; i < report->nr_traces; i++)
		json_array_append_new(traces, path_json(report->traces[i]));
	set_int(left, "frames", first->totals.held);
	set_int(left, "references", first->totals.cached);
	for (unsigned i = 1; i < report->nr_subjects; i++) {
		json_t *other = json_object();
		add_measured(other, &report->subjects[i], report, ok);
		json_array_append_new(against, other);
	}
	json_object_set_new(root, "schema", json_string("metaslot-replay/1"));
	set_int(root, "threads", first->totals.threads);
	json_object_set_new(root, "mode", json_string(report->mode));
	json_object_set_new(root, "flavor", json_string(mslot_reclaim_flavor()));
	json_object_set_new(root, "traces", traces);
	json_object_set_new(root, "left", left);
	add_measured(root, first, report, ok);
	json_object_set_new(root, "against", against);
	set_int(root, "seed", 0); /* nothing is random */
	failed = json_dumpf(root, file, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) != 0 || fputc('\n', file) == EOF;
	json_decref(root);
	return !failed;
}
