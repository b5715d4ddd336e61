/* SPDX-License-Identifier: MIT
 *
 * A thread of a replay: the steps of one member of a plan, on one copy of the trace.
 *
 * Promises: every step is applied, in the order of its cpu and of its frames, or the run stops and names it. The clock
 *           runs over steps only.
 * Needs:    a replay_mode for the table. What it does itself costs the same whatever the table: a step, a poll where
 *           another cpu had the frame last, a store where another cpu waits.
 * Read:     run_member(); what an event does, in replay_apply.c and replay_alloc.c.
 */
#include "replay_state.h"

#include <metaslot/reclaim.h>

#include <ck_pr.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>

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

/* False where they were not done when the run failed: then the step must not be applied. */
static bool wait_for(struct worker *worker, const struct replay_step *step)
{
	for (uint16_t i = 0; i < step->nr_deps; i++) {
		const struct replay_dep *dep = &worker->copy->plan->deps[step->first_dep + i];
		_Atomic uint32_t *done = &worker->copy->progress[dep->member].steps_done;

		for (unsigned spins = 0; atomic_load_explicit(done, memory_order_acquire) <= dep->step; spins++) {
			ck_pr_stall();
			if (spins % 128 == 0 && has_failed(worker->run))
				return false;
			if (spins < SPINS_BEFORE_YIELD)
				continue;
			mslot_quiescent_state();
			sched_yield();
		}
	}
	return true;
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

		if (step->nr_deps && !wait_for(worker, step))
			break;
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

void replay_wait_at_gate(struct run *run)
{
	mslot_thread_offline();
	pthread_barrier_wait(&run->gate);
	mslot_thread_online();
}

void *replay_work(void *arg)
{
	struct worker *worker = arg;
	struct run *run = worker->run;

	if (run->config->place)
		place_thread(run->config->place, (unsigned)(worker - run->workers));
	mslot_thread_register();
	for (;;) {
		replay_wait_at_gate(run);
		if (run->is_over)
			break;
		run_member(worker);
		replay_wait_at_gate(run);
	}
	mslot_thread_unregister();
	return NULL;
}
