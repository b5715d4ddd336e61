/* SPDX-License-Identifier: MIT
 *
 * A replay applies every event on every impl, however many threads share it, and names the event that it cannot apply.
 *
 * Oracle: the traces are drawn by a model of the frames, so that any two events of a frame that swap are refused by the
 * table (claimed twice, freed twice, got while unused). Few frames and many cpus: nearly every step waits for another.
 */
#include "replay_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NR_CPUS 3
#define NR_FRAMES 64
#define NR_EVENTS 600
#define SEED 20240607

static struct trace_event drawn[NR_EVENTS];

/* Draws a trace: blocks of order 0 to 3 come and go, their frames enter and leave the page cache and are looked up. */
static struct trace draw_trace(void)
{
	struct {
		int order, cached; /* of the block that begins there; order -1: no block */
	} at[NR_FRAMES];
	unsigned seed = SEED, nr = 0;

	for (int i = 0; i < NR_FRAMES; i++)
		at[i].order = -1, at[i].cached = 0;
	while (nr < NR_EVENTS) {
		struct trace_event event = {.cpu = (uint16_t)(rand_r(&seed) % NR_CPUS)};
		int begin = rand_r(&seed) % NR_FRAMES & ~7, what = rand_r(&seed) % 6;

		event.pfn = (uint32_t)begin;
		if (at[begin].order < 0) {
			at[begin].order = rand_r(&seed) % 4;
			event.op = nr < 20 ? 'P' : 'A';
			event.order = (uint8_t)at[begin].order;
			event.kind = (uint8_t)(rand_r(&seed) % TRACE_NR_KINDS);
		} else if (what == 0 && !at[begin].cached) {
			event.op = 'F';
			event.order = (uint8_t)at[begin].order;
			at[begin].order = -1;
		} else if (what == 1) {
			event.op = 'I';
			at[begin].cached++;
		} else if (what < 4 && at[begin].cached) {
			event.op = 'D';
			at[begin].cached--;
		} else {
			event.op = what == 4 ? 'G' : 'M';
			event.pfn += (uint32_t)(rand_r(&seed) % (1 << at[begin].order));
		}
		drawn[nr++] = event;
	}
	return (struct trace){
		.name = "drawn", .nr_cpus = NR_CPUS, .nr_frames = NR_FRAMES, .nr_events = nr, .events = drawn};
}

static struct replay_result replay(const struct impl *impl, const struct trace *trace, unsigned nr_threads,
				   bool is_deferred, unsigned rounds)
{
	struct replay_config config = {
		.impl = impl, .is_deferred = is_deferred, .nr_threads = nr_threads, .rounds = rounds};
	struct replay_result result;
	bool ok = replay_run(&config, trace, &result);

	samples_free(&result.latency);
	assert_int_equal(ok, !result.error[0]);
	return result;
}

static void assert_applied(const struct impl *impl, const struct trace *trace, unsigned nr_threads, bool is_deferred,
			   unsigned rounds)
{
	struct replay_result result = replay(impl, trace, nr_threads, is_deferred, rounds);

	if (result.error[0])
		fail_msg("%s, %u threads: %s", impl->name, nr_threads, result.error);
	assert_int_equal(result.copies, (nr_threads + trace->nr_cpus - 1) / trace->nr_cpus);
	assert_int_equal(result.events, trace->nr_events * result.copies * rounds);
	assert_true(result.is_clean);
	assert_int_equal(result.nr_broken, 0);
}

static void every_impl_applies_every_event(void **state)
{
	struct trace trace = draw_trace();

	(void)state;
	for (const struct impl *const *impl = impl_list(); *impl; impl++)
		/* More threads than cpus would wait for each other in fair spin locks, a time slice each. */
		for (unsigned nr_threads = 1; nr_threads <= ((*impl)->can_defer ? 4 : 2); nr_threads++)
			assert_applied(*impl, &trace, nr_threads, false, 1);
}

static void a_deferred_frame_is_waited_for(void **state)
{
	struct trace_event again[] = {{.op = 'A', .kind = 1}, {.op = 'F', .cpu = 1}, {.op = 'A', .kind = 1}};
	struct trace trace = {.name = "again", .nr_cpus = 2, .nr_frames = 1, .nr_events = 3, .events = again};
	struct replay_result result;

	(void)state;
	result = replay(impl_find("mslot"), &trace, 2, true, 4);
	assert_string_equal(result.error, "");
	assert_true(result.nr_waits > 0 && result.wait_ns > 0);
	assert_int_equal(result.held, 1);
}

/* One event too many, on line 4, and what is said of it. */
static void an_event_that_cannot_be_applied_is_named(void **state)
{
	static const struct {
		struct trace_event event;
		const char *what;
	} wrong[] = {
		{{.op = 'A', .pfn = 2}, "trace wrong: line 4: A cpu 0 pfn 0x2: IN_USE"},
		{{.op = 'F', .pfn = 3, .cpu = 1}, "trace wrong: line 4: F cpu 1 pfn 0x3: the frame is not allocated"},
		{{.op = 'F', .pfn = 2, .order = 1}, "trace wrong: line 4: F cpu 0 pfn 0x2: the frame is not allocated"},
		{{.op = 'I', .pfn = 3}, "trace wrong: line 4: I cpu 0 pfn 0x3: the frame is not allocated"},
		{{.op = 'D', .pfn = 2, .cpu = 1}, "trace wrong: line 4: D cpu 1 pfn 0x2: NOT_FORGOTTEN"},
		{{.op = 'G', .pfn = 3}, "trace wrong: line 4: G cpu 0 pfn 0x3: UNUSED"},
		{{.op = 'M', .pfn = 3}, "trace wrong: line 4: M cpu 0 pfn 0x3: UNUSED"},
	};

	(void)state;
	for (const struct impl *const *impl = impl_list(); *impl; impl++) {
		for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
			struct trace_event events[3] = {{.op = 'A', .pfn = 2}, {.op = 'M', .pfn = 2}, wrong[i].event};
			struct trace trace = {
				.name = "wrong", .nr_cpus = 2, .nr_frames = 8, .nr_events = 3, .events = events};

			assert_string_equal(replay(*impl, &trace, 2, false, 1).error, wrong[i].what);
		}
	}
}

static void a_trace_without_events_is_applied(void **state)
{
	struct trace trace = {.name = "empty", .nr_cpus = 4, .nr_frames = 1};

	(void)state;
	assert_applied(impl_find("mslot"), &trace, 5, false, 1);
	assert_applied(impl_find("slot-fas"), &trace, 5, false, 1);
}

/* Terabytes of frames of which two are named: neither time nor memory is spent on the others. */
static void a_sparse_trace_costs_what_it_names(void **state)
{
	struct trace_event events[] = {{.op = 'A'}, {.op = 'A', .pfn = 400000000, .cpu = 1}};
	struct trace trace = {.name = "sparse", .nr_cpus = 2, .nr_frames = 400000001, .nr_events = 2, .events = events};
	struct replay_plan plan;

	(void)state;
	assert_applied(impl_find("mslot"), &trace, 2, false, 1);
	assert_true(replay_plan_make(&trace, 2, &plan));
	assert_int_equal(plan.nr_held, 2);
	assert_int_equal(plan.held_pfns[1], 400000000);
	replay_plan_free(&plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_impl_applies_every_event),
		cmocka_unit_test(a_deferred_frame_is_waited_for),
		cmocka_unit_test(an_event_that_cannot_be_applied_is_named),
		cmocka_unit_test(a_trace_without_events_is_applied),
		cmocka_unit_test(a_sparse_trace_costs_what_it_names),
	};

	printf("seed %d\n", SEED);
	if (mslot_thread_register())
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	mslot_thread_unregister();
	return failed;
}
