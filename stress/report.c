/* SPDX-License-Identifier: MIT
 *
 * What a run says of itself: progress, the lines at the end, JSON.
 *
 * Read:     report_lines(). Fairness is Jain's index over the threads' operations, (sum x)^2 / (n sum x^2): 1 where all
 *           do the same, 1/n where one does everything; and the slowest and fastest thread's share of the mean.
 */
#include "report.h"

#include "ages.h"
#include "faults.h"
#include "stall.h"

#include <inttypes.h>
#include <jansson.h>
#include <unistd.h>

struct fairness {
	double jain, slowest, fastest;
};

/* Live: operations a second and the mean grace period since the last line, and what waits now. */
void report_progress(const struct options *options, double elapsed)
{
	static double next = 10, last;
	static uint64_t last_ops, last_periods;
	uint64_t ops = 0;
	struct mslot_stats stats;

	mslot_stats(&stats);
	if (stats.oldest_wait_ns > stress_run.most_wait_ns)
		stress_run.most_wait_ns = stats.oldest_wait_ns;
	if (!isatty(STDOUT_FILENO) && elapsed < next)
		return;
	for (unsigned i = 0; i < options->nr_threads; i++)
		ops += atomic_load_explicit(&stress_run.jobs[i].worker.ops_now, memory_order_relaxed);
	double since = elapsed - last > 0 ? elapsed - last : 1;
	uint64_t periods = stats.grace_periods - last_periods;
	double rate = (double)(ops - last_ops) / since, grace_us = periods ? since * 1e6 / (double)periods : 0;
	if (isatty(STDOUT_FILENO)) {
		int width = (int)(30 * (elapsed < options->seconds ? elapsed / options->seconds : 1));
		printf("\r%s [%-30.*s] %.0f of %g s, %.3g ops/s, backlog %" PRIu64 ", grace %.0f us ",
		       options->mix->name, width, "##############################", elapsed, options->seconds, rate,
		       stats.backlog, grace_us);
	} else {
		next += 10;
		printf("%.0f of %g s, %.3g ops/s, backlog %" PRIu64 ", grace %.0f us\n", elapsed, options->seconds,
		       rate, stats.backlog, grace_us);
	}
	last = elapsed;
	last_ops = ops;
	last_periods = stats.grace_periods;
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

static uint64_t longest(const struct totals *totals)
{
	uint64_t ns = 0;

	for (unsigned i = 0; i < totals->nr_workers; i++)
		if (totals->workers[i]->longest_ns > ns)
			ns = totals->workers[i]->longest_ns;
	return ns;
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
	struct mslot_stats stats;
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
		       longest(totals));
		samples_free(&all);
	}
	mslot_stats(&stats);
	printf("reclaim: %" PRIu64 " retired, %" PRIu64 " recycled, most waiting %" PRIu64 " (limit %" PRIu64
	       "), longest wait seen %.3f ms, %" PRIu64 " claims waited, %" PRIu64 " refused\n",
	       stats.retired, stats.recycled, stats.most_backlog, stress_run.backlog_limit,
	       (double)stress_run.most_wait_ns * 1e-6, stats.claims_waited, stats.claims_refused);
	ages_report();
	if (stress_run.rss_begin_kib && stress_run.rss_end_kib)
		printf("memory: %" PRIu64 " KiB when warm, %" PRIu64 " KiB at the end\n", stress_run.rss_begin_kib,
		       stress_run.rss_end_kib);
	faults_report();
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

static json_t *names_of_faults(void)
{
	json_t *array = json_array();

	for (unsigned i = 0; array && i < FAULT_NR; i++)
		if (stress_has_fault(i))
			json_array_append_new(array, json_string(fault_names[i].name));
	return array;
}

static json_t *json_of(const struct options *options, const struct totals *totals, const struct samples *all)
{
	struct fairness fairness = fairness_of(totals);
	uint64_t ops = SUM(totals, ops);
	struct mslot_stats stats;

	mslot_stats(&stats);
	return json_pack(
		"{s:s, s:s, s:s, s:i, s:I, s:f, s:f, s:{s:I, s:I, s:I, s:I}, s:{s:f, s:f, s:f, s:o}, s:{s:b, s:I}, "
		"s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I}, s:o, s:o, s:o, s:s, s:s, s:I, s:I, s:I, s:b}",
		"schema", "metaslot-stress/1", "impl", "mslot", "mix", options->mix->name, "threads",
		(int)options->nr_threads, "ops", (json_int_t)ops, "seconds", totals->seconds, "per_second",
		(double)ops / totals->seconds, "latency_ns", "p50", (json_int_t)samples_percentile(all, 0.5), "p99",
		(json_int_t)samples_percentile(all, 0.99), "p999", (json_int_t)samples_percentile(all, 0.999), "max",
		(json_int_t)longest(totals), "fairness", "jain", fairness.jain, "slowest", fairness.slowest, "fastest",
		fairness.fastest, "ops", ops_of_each(totals), "audit", "clean", !totals->broken, "broken",
		(json_int_t)totals->nr_broken, "reclaim", "retired", (json_int_t)stats.retired, "recycled",
		(json_int_t)stats.recycled, "most_waiting", (json_int_t)stats.most_backlog, "limit",
		(json_int_t)stress_run.backlog_limit, "claims_waited", (json_int_t)stats.claims_waited,
		"claims_refused", (json_int_t)stats.claims_refused, "stalls", (json_int_t)stats.stalls, "age_ns",
		ages_json(), "stall", stall_json(), "faults", names_of_faults(), "place", place_name(stress_run.place),
		"memory", place_memory_names[options->memory], "seed", (json_int_t)options->seed, "rss_warm_kib",
		(json_int_t)stress_run.rss_begin_kib, "rss_kib", (json_int_t)stress_run.rss_end_kib, "held",
		!totals->broken);
}

bool report_json(const struct options *options, const struct totals *totals)
{
	struct samples all;
	bool written = false;

	if (latencies(totals, &all)) {
		json_t *json = json_of(options, totals, &all);
		written = json && json_dumpf(json, options->json, JSON_INDENT(2)) == 0 &&
			  fputc('\n', options->json) != EOF;
		json_decref(json);
		samples_free(&all);
	}
	return fclose(options->json) == 0 && written;
}
