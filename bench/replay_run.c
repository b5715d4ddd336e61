/* SPDX-License-Identifier: MIT
 *
 * Replays one trace, N threads, on one table or on several in turns.
 *
 * Promises: the clock runs over events only: not over planning, page faults of the first round (but with one round), or
 *           the release of what the trace leaves behind. Each table is audited at the end.
 * Needs:    replay_worker.c for the threads, a replay_mode for the table, replay_plan.h for order.
 * Read:     run_round(), then replay_run().
 */
#include "replay_state.h"

#include "memory.h"

#include <metaslot/metaslot.h>

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where time decides: of a trace whose rounds hardly take any. */
#define MOST_ROUNDS 100000

/* Gives up what the trace leaves behind, of each copy. */
static bool release(struct run *run)
{
	for (struct copy *copy = run->copies; copy->run; copy++) {
		const struct replay_plan *plan = copy->plan;

		for (uint64_t i = 0; i < plan->nr_cached; i++) {
			const char *why = run->mode->drop_cached(copy, plan->cached[i]);
			if (why) {
				snprintf(run->error, sizeof(run->error),
					 "frame 0x%" PRIx32 " left in the page cache: %s", plan->pfns[plan->cached[i]],
					 why);
				return false;
			}
		}
		for (uint64_t i = 0; i < plan->nr_held; i++)
			run->mode->drop_held(copy, plan->held[i]);
		for (unsigned member = 0; member < plan->nr_members; member++)
			atomic_store_explicit(&copy->progress[member].steps_done, 0, memory_order_relaxed);
	}
	run->mode->barrier(run);
	return true;
}

/* One round of all threads; its time, or a negative number if it failed. */
static double run_round(struct run *run)
{
	uint64_t first = UINT64_MAX, last = 0;

	replay_wait_at_gate(run);
	replay_wait_at_gate(run);
	for (unsigned i = 0; i < run->config->nr_threads; i++) {
		first = run->workers[i].start_ns < first ? run->workers[i].start_ns : first;
		last = run->workers[i].end_ns > last ? run->workers[i].end_ns : last;
	}
	if (has_failed(run) || !release(run))
		return -1;
	return (double)(last - first) * 1e-9;
}

/* A round that is timed; false if it failed. */
static bool run_timed(struct run *run, struct replay_result *result)
{
	double took = run_round(run);

	if (took < 0)
		return false;
	samples_add(&result->round_ns, (uint64_t)(took * 1e9));
	result->seconds += took;
	result->rounds++;
	return true;
}

/* A round that is not: what it counted is forgotten. */
static bool warm_up(struct run *run)
{
	if (run_round(run) < 0)
		return false;
	for (unsigned i = 0; i < run->config->nr_threads; i++) {
		struct worker *worker = &run->workers[i];
		worker->latency.nr = worker->nr_waits = worker->wait_ns = 0;
	}
	return true;
}

static bool has_enough(const struct run *run, const struct replay_result *result)
{
	const struct replay_config *config = run->config;

	if (config->rounds)
		return result->rounds >= config->rounds;
	return result->rounds &&
	       (result->seconds >= config->min_seconds || result->rounds >= MOST_ROUNDS || !run->trace->nr_events);
}

/* Whose turn it is: of those that need more rounds, the one that has had the fewest or, where time decides, the least
 * of it. */
static unsigned next_turn(const struct run *runs, unsigned nr, const struct replay_result *results)
{
	bool counts = runs->config->rounds;
	unsigned next = nr;

	for (unsigned i = 0; i < nr; i++)
		if (!has_enough(&runs[i], &results[i]) &&
		    (next == nr ||
		     (counts ? results[i].rounds < results[next].rounds : results[i].seconds < results[next].seconds)))
			next = i;
	return next;
}

/* A round that left a frame behind would make the next one fail, so one audit at the end is enough. */
static void run_rounds(struct run *runs, unsigned nr, struct replay_result *results)
{
	const struct replay_config *config = runs->config;
	double done = 0, all = nr * (config->rounds ? config->rounds : config->min_seconds);

	for (unsigned i = 0; i < nr && !config->rounds; i++)
		if (!warm_up(&runs[i]))
			return;
	for (unsigned i; (i = next_turn(runs, nr, results)) < nr;) {
		double before = results[i].seconds;

		if (!run_timed(&runs[i], &results[i]))
			return;
		done += config->rounds ? 1 : results[i].seconds - before;
		if (config->progress)
			config->progress(done / all);
	}
}

/* Before anything is made: a table that memory does not hold ends the process as it is touched. */
static bool run_fits(struct run *run, unsigned copies, unsigned nr)
{
	uint64_t bytes = run->mode->copy_bytes(run->trace) * copies;

	if (memory_fits(bytes * nr))
		return true;
	snprintf(run->error, sizeof(run->error),
		 "nothing was run: %u copies of the trace need %.1f GiB%s, and %.1f GiB are available", copies,
		 (double)bytes / (1 << 30), nr > 1 ? " for each impl" : "",
		 (double)memory_available_bytes() / (1 << 30));
	return false;
}

static bool run_setup(struct run *run, unsigned nr, struct replay_result *result)
{
	const struct replay_config *config = run->config;
	unsigned cpus = run->trace->nr_cpus, rest = config->nr_threads % cpus;
	static const char *const names[TRACE_NR_KINDS] = {"user", "page cache", "kernel", "page table"};
	const char *why;

	for (unsigned kind = 0; kind < TRACE_NR_KINDS; kind++)
		run->types[kind] = (struct mslot_type){
			.name = names[kind],
			.meta_bytes = sizeof(struct page_meta),
			.meta_align = _Alignof(struct page_meta),
			.flags = (TRACE_KINDS[kind] == 'c' && config->is_deferred ? 0 : MSLOT_TYPE_IMMEDIATE) |
				 (TRACE_KINDS[kind] == 'u' ? MSLOT_TYPE_UNTYPED : 0),
		};
	result->copies = (config->nr_threads + cpus - 1) / cpus;
	if (!run_fits(run, result->copies, nr))
		return false;
	result->events = run->trace->nr_events * result->copies;
	why = run->mode->open(run, (uint64_t)run->trace->nr_frames * result->copies);
	if (why) {
		snprintf(run->error, sizeof(run->error), "the table: %s", why);
		return false;
	}
	run->workers = calloc(config->nr_threads, sizeof(*run->workers));
	run->copies = calloc(result->copies + 1, sizeof(*run->copies));
	bool ok = run->workers && run->copies && samples_init(&result->round_ns);
	if (config->nr_threads >= cpus)
		ok = ok && replay_plan_make(run->trace, cpus, &run->plans[0]);
	if (rest)
		ok = ok && replay_plan_make(run->trace, rest, &run->plans[1]);
	for (unsigned c = 0; ok && c < result->copies; c++) {
		const struct replay_plan *plan = &run->plans[rest && c == result->copies - 1];
		struct copy *copy = &run->copies[c];

		*copy = (struct copy){.run = run, .plan = plan, .base = ((uint64_t)c * run->trace->nr_frames) << 12};
		copy->progress = aligned_alloc(64, plan->nr_members * sizeof(struct progress_word));
		ok = run->mode->open_copy(copy) && copy->progress;
		if (ok)
			memset(copy->progress, 0, plan->nr_members * sizeof(struct progress_word));
		result->held += plan->nr_held;
		result->cached += plan->nr_cached;
	}
	for (unsigned i = 0; ok && i < config->nr_threads; i++) {
		run->workers[i] = (struct worker){.run = run, .copy = &run->copies[i / cpus], .member = i % cpus};
		ok = run->mode->open_worker(&run->workers[i]) && samples_init(&run->workers[i].latency);
	}
	if (!ok)
		snprintf(run->error, sizeof(run->error), "no memory for the plan");
	return ok;
}

static unsigned nr_cpus(void)
{
	cpu_set_t allowed;

	return sched_getaffinity(0, sizeof(allowed), &allowed) ? 1 : (unsigned)CPU_COUNT(&allowed);
}

/* Makes the table and starts the threads, which wait for the first round. */
static bool run_open(struct run *run, const struct replay_config *config, unsigned nr, const struct trace *trace,
		     struct replay_result *result)
{
	*run = (struct run){.config = config, .trace = trace};
	run->mode = config->alloc ? &replay_by_alloc : &replay_by_address;
	pthread_mutex_init(&run->error_lock, NULL);
	pthread_barrier_init(&run->gate, NULL, config->nr_threads + 1);
	if (!run_setup(run, nr, result))
		return false;
	for (; run->nr_started < config->nr_threads; run->nr_started++)
		if (pthread_create(&run->workers[run->nr_started].thread, NULL, replay_work,
				   &run->workers[run->nr_started])) {
			/* The gate counts on all of them. */
			fprintf(stderr, "metaslot-replay: a thread could not be started\n");
			exit(1);
		}
	return true;
}

static void run_join(struct run *run)
{
	run->is_over = true;
	replay_wait_at_gate(run);
	mslot_thread_offline();
	for (unsigned i = 0; i < run->nr_started; i++)
		pthread_join(run->workers[i].thread, NULL);
	mslot_thread_online();
}

/* Audits the table, and frees what run_open() has made, however far it came. */
static void run_close(struct run *run, struct replay_result *result)
{
	const struct replay_config *config = run->config;
	unsigned started = run->nr_started;

	if (started) {
		result->is_clean = !run->error[0] && run->mode->is_clean(run, &result->nr_broken);
		run_join(run);
	}
	result->seconds /= result->rounds ? result->rounds : 1;
	for (unsigned i = 0; run->workers && i < config->nr_threads; i++) {
		result->nr_waits += run->workers[i].nr_waits;
		result->wait_ns += run->workers[i].wait_ns;
	}
	if (started && !samples_join(&result->latency, &run->workers[0].latency, sizeof(struct worker), started))
		snprintf(run->error, sizeof(run->error), "no memory for the percentiles");
	for (unsigned i = 0; run->workers && i < config->nr_threads; i++)
		samples_free(&run->workers[i].latency);
	if (started && !run->error[0] && !result->is_clean)
		snprintf(run->error, sizeof(run->error), "the audit after the replay is not clean");
	memcpy(result->error, run->error, sizeof(result->error));
	for (struct copy *copy = run->copies; copy && copy->run; copy++) {
		for (uint32_t place = 0; result->error[0] && started && place < copy->plan->nr_places; place++)
			run->mode->give_up(copy, place);
		free(copy->progress);
	}
	run->mode->close(run);
	replay_plan_free(&run->plans[0]);
	replay_plan_free(&run->plans[1]);
	free(run->copies);
	free(run->workers);
	pthread_barrier_destroy(&run->gate);
}

bool replay_run(const struct replay_config *configs, unsigned nr, const struct trace *trace,
		struct replay_result *results)
{
	struct run *runs = calloc(nr, sizeof(*runs));
	unsigned opened = 0;
	bool ok = runs;

	impl_is_oversubscribed = configs->nr_threads > (configs->place ? place_nr_cpus(configs->place) : nr_cpus());
	memset(results, 0, nr * sizeof(*results));
	if (!ok)
		snprintf(results->error, sizeof(results->error), "no memory for the tables");
	while (ok && opened < nr) {
		ok = run_open(&runs[opened], &configs[opened], nr, trace, &results[opened]);
		opened++;
	}
	if (ok)
		run_rounds(runs, nr, results);
	for (unsigned i = 0; i < opened; i++) {
		run_close(&runs[i], &results[i]);
		ok = ok && !results[i].error[0];
	}
	free(runs);
	return ok;
}
