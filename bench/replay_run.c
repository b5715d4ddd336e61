/* SPDX-License-Identifier: MIT
 *
 * Replays one trace, N threads.
 *
 * Promises: every event is applied, in the order of its cpu and of its frames, or the run stops and names it. The clock
 *           runs over events only: not over planning, page faults of the first round (but with one round), or the
 *           release of what the trace leaves behind.
 * Needs:    a replay_mode for the table, replay_plan.h for order. The harness costs the same whatever the table: a
 *           step, a poll where another cpu had the frame last, a store where another cpu waits.
 * Read:     run_member(), then replay_run(); what an event does, in replay_apply.c and replay_alloc.c.
 */
#include "replay_state.h"

#include "memory.h"

#include <metaslot/metaslot.h>

#include <ck_pr.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_EVERY 64
/* To yield costs as much as ten events, so it is for threads that have no processor each. */
#define SPINS_BEFORE_YIELD (impl_is_oversubscribed ? 200 : 100000)

static void fail(struct worker *worker, const struct replay_step *step, const char *what)
{
	struct run *run = worker->run;
	const struct trace_event *event = &run->trace->events[step->event];
	char frame[32] = "";

	if (worker->wrong)
		snprintf(frame, sizeof(frame), ", frame 0x%" PRIx32, event->pfn + worker->wrong);
	pthread_mutex_lock(&run->error_lock);
	if (!run->error[0])
		snprintf(run->error, sizeof(run->error), "line %" PRIu32 ": %c cpu %u pfn 0x%" PRIx32 "%s: %s",
			 step->event + 2, event->op, event->cpu, event->pfn, frame, what);
	pthread_mutex_unlock(&run->error_lock);
	atomic_store_explicit(&run->has_failed, true, memory_order_relaxed);
}

static void wait_for(struct worker *worker, const struct replay_step *step)
{
	for (uint16_t i = 0; i < step->nr_deps; i++) {
		const struct replay_dep *dep = &worker->copy->plan->deps[step->first_dep + i];
		_Atomic uint32_t *done = &worker->copy->progress[dep->member].steps_done;

		for (unsigned spins = 0; atomic_load_explicit(done, memory_order_acquire) <= dep->step; spins++) {
			ck_pr_stall();
			if (spins % 128 == 0 && has_failed(worker->run))
				return;
			if (spins < SPINS_BEFORE_YIELD)
				continue;
			mslot_quiescent_state();
			sched_yield();
		}
	}
}

static void run_member(struct worker *worker)
{
	const struct replay_member *member = &worker->copy->plan->members[worker->member];
	_Atomic uint32_t *done = &worker->copy->progress[worker->member].steps_done;

	worker->start_ns = now_ns();
	for (uint32_t i = 0; i < member->nr_steps; i++) {
		const struct replay_step *step = &member->steps[i];
		bool is_sample = i % SAMPLE_EVERY == 0;
		const char *error;
		uint64_t from = 0;

		if (step->nr_deps)
			wait_for(worker, step);
		if (is_sample) {
			if (has_failed(worker->run))
				break;
			mslot_quiescent_state();
			from = now_ns();
		}
		error = worker->run->mode->apply(worker, step);
		if (is_sample)
			samples_add(&worker->latency, now_ns() - from);
		if (error) {
			fail(worker, step, error);
			break;
		}
		if (step->is_awaited)
			atomic_store_explicit(done, i + 1, memory_order_release);
	}
	worker->end_ns = now_ns();
}

static void wait_at_gate(struct run *run)
{
	mslot_thread_offline();
	pthread_barrier_wait(&run->gate);
	mslot_thread_online();
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct run *run = worker->run;

	if (run->config->place)
		place_thread(run->config->place, (unsigned)(worker - run->workers));
	mslot_thread_register();
	for (;;) {
		wait_at_gate(run);
		if (run->is_over)
			break;
		run_member(worker);
		wait_at_gate(run);
	}
	mslot_thread_unregister();
	return NULL;
}

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

	wait_at_gate(run);
	wait_at_gate(run);
	for (unsigned i = 0; i < run->config->nr_threads; i++) {
		first = run->workers[i].start_ns < first ? run->workers[i].start_ns : first;
		last = run->workers[i].end_ns > last ? run->workers[i].end_ns : last;
	}
	if (has_failed(run) || !release(run))
		return -1;
	return (double)(last - first) * 1e-9;
}

/* A round that left a frame behind would make the next one fail, so one audit at the end is enough. */
static void run_rounds(struct run *run, struct replay_result *result)
{
	const struct replay_config *config = run->config;
	unsigned round = 0;
	double took, seconds = 0;

	if (config->rounds == 0) {
		if (run_round(run) < 0)
			return;
		for (unsigned i = 0; i < config->nr_threads; i++) {
			struct worker *worker = &run->workers[i];
			worker->latency.nr = worker->nr_waits = worker->wait_ns = 0;
		}
	}
	do {
		took = run_round(run);
		if (took < 0)
			return;
		seconds += took;
		result->rounds = ++round;
		if (config->progress)
			config->progress(config->rounds ? (double)round / config->rounds
							: seconds / config->min_seconds);
	} while (config->rounds ? round < config->rounds
				: seconds < config->min_seconds && round < 100000 && run->trace->nr_events);
	result->events = run->trace->nr_events * result->copies;
	result->seconds = seconds / round;
}

/* Before anything is made: a table that memory does not hold ends the process as it is touched. */
static bool run_fits(struct run *run, unsigned copies)
{
	uint64_t bytes = run->mode->copy_bytes(run->trace) * copies;

	if (memory_fits(bytes))
		return true;
	snprintf(run->error, sizeof(run->error),
		 "nothing was run: %u copies of the trace need %.1f GiB, and %.1f GiB are available", copies,
		 (double)bytes / (1 << 30), (double)memory_available_bytes() / (1 << 30));
	return false;
}

static bool run_setup(struct run *run, struct replay_result *result)
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
	if (!run_fits(run, result->copies))
		return false;
	why = run->mode->open(run, (uint64_t)run->trace->nr_frames * result->copies);
	if (why) {
		snprintf(run->error, sizeof(run->error), "the table: %s", why);
		return false;
	}
	run->workers = calloc(config->nr_threads, sizeof(*run->workers));
	run->copies = calloc(result->copies + 1, sizeof(*run->copies));
	bool ok = run->workers && run->copies;
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

bool replay_run(const struct replay_config *config, const struct trace *trace, struct replay_result *result)
{
	struct run run = {.config = config, .trace = trace};
	unsigned started = 0;

	*result = (struct replay_result){0};
	run.mode = config->alloc ? &replay_by_alloc : &replay_by_address;
	pthread_mutex_init(&run.error_lock, NULL);
	pthread_barrier_init(&run.gate, NULL, config->nr_threads + 1);
	impl_is_oversubscribed = config->nr_threads > (config->place ? place_nr_cpus(config->place) : nr_cpus());
	if (run_setup(&run, result)) {
		for (; started < config->nr_threads; started++)
			if (pthread_create(&run.workers[started].thread, NULL, work, &run.workers[started])) {
				/* The gate counts on all of them. */
				fprintf(stderr, "metaslot-replay: a thread could not be started\n");
				exit(1);
			}
		run_rounds(&run, result);
		result->is_clean = !run.error[0] && run.mode->is_clean(&run, &result->nr_broken);
		run.is_over = true;
		wait_at_gate(&run);
		mslot_thread_offline();
		for (unsigned i = 0; i < started; i++)
			pthread_join(run.workers[i].thread, NULL);
		mslot_thread_online();
	}
	for (unsigned i = 0; run.workers && i < config->nr_threads; i++) {
		result->nr_waits += run.workers[i].nr_waits;
		result->wait_ns += run.workers[i].wait_ns;
	}
	if (started == config->nr_threads &&
	    !samples_join(&result->latency, &run.workers[0].latency, sizeof(struct worker), started))
		snprintf(run.error, sizeof(run.error), "no memory for the percentiles");
	for (unsigned i = 0; run.workers && i < config->nr_threads; i++)
		samples_free(&run.workers[i].latency);
	if (!run.error[0] && !result->is_clean)
		snprintf(run.error, sizeof(run.error), "the audit after the replay is not clean");
	memcpy(result->error, run.error, sizeof(result->error));
	for (struct copy *copy = run.copies; copy && copy->run; copy++) {
		for (uint32_t place = 0; result->error[0] && started && place < copy->plan->nr_places; place++)
			run.mode->give_up(copy, place);
		free(copy->progress);
	}
	run.mode->close(&run);
	replay_plan_free(&run.plans[0]);
	replay_plan_free(&run.plans[1]);
	free(run.copies);
	free(run.workers);
	pthread_barrier_destroy(&run.gate);
	return !result->error[0];
}
