/* SPDX-License-Identifier: MIT
 *
 * Replays one trace, N threads, address mode: the trace says which frame.
 *
 * Promises: every event is applied, in the order of its cpu and of its frames, or the run stops and names it. The clock
 *           runs over events only: not over planning, page faults of the first round (but with one round), or the
 *           release of what the trace leaves behind.
 * Needs:    impl.h for the table, replay_plan.h for order. The harness costs the same whatever the table: a step, a
 *           poll where another cpu had the frame last, a store where another cpu waits.
 * Read:     replay_apply(), then run_member(), then replay_run().
 */
#include "replay_state.h"

#include <metaslot/metaslot.h>

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_EVERY 64
#define SPINS_BEFORE_YIELD 200

static void fail(struct run *run, const struct replay_step *step, const char *what)
{
	const struct trace_event *event = &run->trace->events[step->event];

	pthread_mutex_lock(&run->error_lock);
	if (!run->error[0])
		snprintf(run->error, sizeof(run->error), "trace %s: line %" PRIu32 ": %c cpu %u pfn 0x%" PRIx32 ": %s",
			 run->trace->name, step->event + 2, event->op, event->cpu, event->pfn, what);
	pthread_mutex_unlock(&run->error_lock);
	atomic_store_explicit(&run->has_failed, true, memory_order_relaxed);
}

static void wait_for(struct worker *worker, const struct replay_step *step)
{
	for (uint16_t i = 0; i < step->nr_deps; i++) {
		const struct replay_dep *dep = &worker->copy->plan->deps[step->first_dep + i];
		_Atomic uint32_t *done = &worker->copy->progress[dep->member].steps_done;

		for (unsigned spins = 0; atomic_load_explicit(done, memory_order_acquire) <= dep->step; spins++) {
			if (spins < SPINS_BEFORE_YIELD)
				continue;
			if (has_failed(worker->run))
				return;
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
		error = replay_apply(worker, step);
		if (is_sample)
			samples_add(&worker->latency, now_ns() - from);
		if (error) {
			fail(worker->run, step, error);
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
			uint64_t paddr = copy->base + ((uint64_t)plan->cached_pfns[i] << 12);
			enum mslot_err why = run->impl->frame_drop_raw(run->region, paddr);
			if (why) {
				snprintf(run->error, sizeof(run->error),
					 "trace %s: frame 0x%" PRIx32 " left in the page cache: %s", run->trace->name,
					 plan->cached_pfns[i], mslot_err_name(why));
				return false;
			}
		}
		for (uint64_t i = 0; i < plan->nr_held; i++) {
			run->impl->frame_drop(copy->held[plan->held_pfns[i]]);
			copy->held[plan->held_pfns[i]] = NULL;
		}
		for (unsigned member = 0; member < plan->nr_members; member++)
			atomic_store_explicit(&copy->progress[member].steps_done, 0, memory_order_relaxed);
	}
	run->impl->barrier(run->region);
	return true;
}

/* After an event that failed: whatever is held or forgotten, so that the region can go. */
static void give_up_all(struct run *run)
{
	for (struct copy *copy = run->copies; copy->run && copy->held; copy++)
		for (uint32_t pfn = 0; pfn < run->trace->nr_frames; pfn++) {
			if (copy->held[pfn])
				run->impl->frame_drop(copy->held[pfn]);
			copy->held[pfn] = NULL;
			while (!run->impl->frame_drop_raw(run->region, copy->base + ((uint64_t)pfn << 12)))
				;
		}
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

static void audit(struct run *run, struct replay_result *result)
{
	struct mslot_audit found = {0};

	result->is_clean = run->impl->is_clean(run->region);
	if (!run->impl->can_defer)
		return;
	/* After the barrier of the last round nothing waits for a grace period, either. */
	result->is_clean = result->is_clean && mslot_audit(run->region, &found) == MSLOT_OK &&
			   found.by_status[MSLOT_STATUS_UNUSED] == found.nr_frames;
	result->nr_broken = found.nr_broken;
}

/* A round that left a frame behind would make the next one fail, so one audit at the end is enough. */
static void run_rounds(struct run *run, struct replay_result *result)
{
	const struct replay_config *config = run->config;
	unsigned round = 0;
	double took;

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
		result->seconds += took;
		result->events += run->trace->nr_events * result->copies;
		result->rounds = ++round;
		if (config->progress)
			config->progress(config->rounds ? (double)round / config->rounds
							: result->seconds / config->min_seconds);
	} while (config->rounds ? round < config->rounds
				: result->seconds < config->min_seconds && round < 100000 && run->trace->nr_events);
}

static bool run_setup(struct run *run, struct replay_result *result)
{
	const struct replay_config *config = run->config;
	unsigned cpus = run->trace->nr_cpus, rest = config->nr_threads % cpus;
	static const char *const names[TRACE_NR_KINDS] = {"user", "page cache", "kernel", "page table"};
	enum mslot_err why = MSLOT_OK;

	for (unsigned kind = 0; kind < TRACE_NR_KINDS; kind++)
		run->types[kind] = (struct mslot_type){
			.name = names[kind],
			.meta_bytes = sizeof(struct page_meta),
			.meta_align = _Alignof(struct page_meta),
			.flags = (TRACE_KINDS[kind] == 'c' && config->is_deferred ? 0 : MSLOT_TYPE_IMMEDIATE) |
				 (TRACE_KINDS[kind] == 'u' ? MSLOT_TYPE_UNTYPED : 0),
		};
	result->copies = (config->nr_threads + cpus - 1) / cpus;
	run->region = run->impl->region_create(
		&(struct mslot_region_config){.nr_frames = (uint64_t)run->trace->nr_frames * result->copies}, &why);
	if (!run->region) {
		snprintf(run->error, sizeof(run->error), "the region: %s", mslot_err_name(why));
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
		copy->held = calloc(run->trace->nr_frames, sizeof(struct mslot_frame *));
		copy->progress = aligned_alloc(64, plan->nr_members * sizeof(struct progress_word));
		ok = copy->held && copy->progress;
		if (ok)
			memset(copy->progress, 0, plan->nr_members * sizeof(struct progress_word));
		result->held += plan->nr_held;
		result->cached += plan->nr_cached;
	}
	for (unsigned i = 0; ok && i < config->nr_threads; i++) {
		run->workers[i] = (struct worker){.run = run, .copy = &run->copies[i / cpus], .member = i % cpus};
		ok = samples_init(&run->workers[i].latency);
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
	struct run run = {.config = config, .impl = config->impl, .trace = trace};
	unsigned started = 0;

	*result = (struct replay_result){0};
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
		audit(&run, result);
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
		snprintf(run.error, sizeof(run.error), "trace %s: the audit after the replay is not clean",
			 trace->name);
	memcpy(result->error, run.error, sizeof(result->error));
	if (result->error[0] && started)
		give_up_all(&run);
	for (struct copy *copy = run.copies; copy && copy->run; copy++) {
		free(copy->held);
		free(copy->progress);
	}
	if (run.region)
		run.impl->region_destroy(run.region);
	replay_plan_free(&run.plans[0]);
	replay_plan_free(&run.plans[1]);
	free(run.copies);
	free(run.workers);
	pthread_barrier_destroy(&run.gate);
	return !result->error[0];
}
