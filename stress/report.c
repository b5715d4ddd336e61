/* SPDX-License-Identifier: MIT
 *
 * What a run says of itself: progress, the lines at the end, JSON.
 *
 * Read:     report_lines(). Fairness is Jain's index over the threads' operations, (sum x)^2 / (n sum x^2): 1 where all
 *           do the same, 1/n where one does everything; and the slowest and fastest thread's share of the mean.
 */
#include "report.h"

#include <inttypes.h>
#include <jansson.h>
#include <sys/resource.h>
#include <unistd.h>

struct fairness {
	double jain, slowest, fastest;
};

void report_progress(const struct options *options, double elapsed)
{
	static double next = 10;

	if (isatty(STDOUT_FILENO)) {
		int width = (int)(40 * (elapsed < options->seconds ? elapsed / options->seconds : 1));
		printf("\r%s [%-40.*s] %.0f of %g s", options->mix->name, width,
		       "########################################", elapsed, options->seconds);
	} else if (elapsed >= next) {
		next += 10;
		printf("%.0f of %g s\n", elapsed, options->seconds);
	}
	fflush(stdout);
}

static uint64_t sum(const struct totals *totals, size_t field)
{
	uint64_t all = 0;

	for (unsigned i = 0; i < totals->nr_workers; i++)
		all += *(const uint64_t *)((const char *)totals->workers[i] + field);
	return all;
}

#define SUM(totals, field) sum(totals, offsetof(struct worker, field))

static struct fairness fairness_of(const struct totals *totals)
{
	double all = 0, squares = 0, least = 0, most = 0;

	for (unsigned i = 0; i < totals->nr_workers; i++) {
		double ops = (double)totals->workers[i]->ops;
		all += ops;
		squares += ops * ops;
		least = i == 0 || ops < least ? ops : least;
		most = ops > most ? ops : most;
	}
	if (all <= 0)
		return (struct fairness){0, 0, 0};
	double mean = all / totals->nr_workers;
	return (struct fairness){all * all / (totals->nr_workers * squares), least / mean, most / mean};
}

static bool latencies(const struct totals *totals, struct samples *all)
{
	struct samples *sets = calloc(totals->nr_workers + 1, sizeof(*sets));
	bool done;

	for (unsigned i = 0; sets && i < totals->nr_workers; i++)
		sets[i] = totals->workers[i]->latency;
	done = sets && samples_join(all, sets, sizeof(*sets), totals->nr_workers);
	free(sets);
	return done;
}

void report_lines(const struct options *options, const struct totals *totals)
{
	struct fairness fairness = fairness_of(totals);
	uint64_t ops = SUM(totals, ops);
	struct samples all;

	if (options->sequence)
		for (unsigned i = 0; i < totals->nr_workers; i++) {
			const struct worker *worker = totals->workers[i];
			if (worker->ops >= STRESS_SEQUENCE)
				printf("thread %u: sequence 0x%016" PRIx64 "\n", worker->thread, worker->digest);
			else
				printf("thread %u: sequence too short\n", worker->thread);
		}
	printf("%s: %s; %" PRIu64 " ops, %" PRIu64 " claims, %" PRIu64 " refused, %" PRIu64 " peeks\n",
	       options->mix->name, totals->broken ? "broken" : "held", ops, SUM(totals, claims), SUM(totals, refused),
	       SUM(totals, peeks));
	printf("throughput: %.3g ops/s; fairness %.3f, slowest %.2f and fastest %.2f of the mean\n",
	       (double)ops / totals->seconds, fairness.jain, fairness.slowest, fairness.fastest);
	if (latencies(totals, &all)) {
		printf("latency: p50 %" PRIu64 " ns, p99 %" PRIu64 " ns, p99.9 %" PRIu64 " ns, most %" PRIu64 " ns\n",
		       samples_percentile(&all, 0.5), samples_percentile(&all, 0.99), samples_percentile(&all, 0.999),
		       samples_percentile(&all, 1));
		samples_free(&all);
	}
	printf("audit: %s\n", totals->broken ? totals->broken : "clean");
	fflush(stdout);
}

static json_t *ops_of_each(const struct totals *totals)
{
	json_t *array = json_array();

	for (unsigned i = 0; array && i < totals->nr_workers; i++)
		json_array_append_new(array, json_integer((json_int_t)totals->workers[i]->ops));
	return array;
}

static json_t *json_of(const struct options *options, const struct totals *totals, const struct samples *all)
{
	struct fairness fairness = fairness_of(totals);
	uint64_t ops = SUM(totals, ops);
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return json_pack(
		"{s:i, s:s, s:s, s:i, s:I, s:f, s:f, s:{s:I, s:I, s:I, s:I}, s:{s:f, s:f, s:f, s:o}, "
		"s:{s:b, s:I}, s:I, s:I, s:b}",
		"schema", 1, "impl", "mslot", "mix", options->mix->name, "threads", (int)options->nr_threads, "ops",
		(json_int_t)ops, "seconds", totals->seconds, "per_second", (double)ops / totals->seconds, "latency_ns",
		"p50", (json_int_t)samples_percentile(all, 0.5), "p99", (json_int_t)samples_percentile(all, 0.99),
		"p999", (json_int_t)samples_percentile(all, 0.999), "max", (json_int_t)samples_percentile(all, 1),
		"fairness", "jain", fairness.jain, "slowest", fairness.slowest, "fastest", fairness.fastest, "ops",
		ops_of_each(totals), "audit", "clean", !totals->broken, "broken", (json_int_t)totals->nr_broken, "seed",
		(json_int_t)options->seed, "rss_kib", (json_int_t)usage.ru_maxrss, "held", !totals->broken);
}

bool report_json(const struct options *options, const struct totals *totals)
{
	struct samples all;
	bool written = false;

	if (latencies(totals, &all)) {
		json_t *json = json_of(options, totals, &all);
		written = json && json_dumpf(json, options->json, JSON_INDENT(2)) == 0;
		json_decref(json);
		samples_free(&all);
	}
	return fclose(options->json) == 0 && written;
}
