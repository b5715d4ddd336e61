/* SPDX-License-Identifier: MIT
 *
 * A replay applies every event on every impl, however many threads share it, and names the event that it cannot apply.
 *
 * Oracle: the traces are drawn by a model of the frames, so that any two events of a frame that swap are refused by the
 *         table (claimed twice, freed twice, got while unused). Few frames and many cpus: nearly every step waits for
 *         another.
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

static struct replay_result replay_with(const struct replay_config *config, const struct trace *trace)
{
	struct replay_result result;
	bool ok = replay_run(config, 1, trace, &result);

	samples_free(&result.latency);
	samples_free(&result.round_ns);
	assert_int_equal(ok, !result.error[0]);
	return result;
}

static struct replay_result replay(const struct impl *impl, const struct trace *trace, unsigned nr_threads,
				   bool is_deferred, unsigned rounds)
{
	return replay_with(
		&(struct replay_config){
			.impl = impl, .is_deferred = is_deferred, .nr_threads = nr_threads, .rounds = rounds},
		trace);
}

static struct replay_result replay_alloc(const struct alloc_impl *alloc, const struct trace *trace, unsigned nr_threads,
					 bool is_deferred, unsigned rounds)
{
	return replay_with(
		&(struct replay_config){
			.alloc = alloc, .is_deferred = is_deferred, .nr_threads = nr_threads, .rounds = rounds},
		trace);
}

static void assert_result(const struct replay_result *of, const char *name, const struct trace *trace,
			  unsigned nr_threads, unsigned rounds)
{
	struct replay_result result = *of;

	if (result.error[0])
		fail_msg("%s, %u threads: %s", name, nr_threads, result.error);
	assert_int_equal(result.copies, (nr_threads + trace->nr_cpus - 1) / trace->nr_cpus);
	assert_int_equal(result.rounds, rounds);
	assert_int_equal(result.events, trace->nr_events * result.copies);
	assert_true(result.is_clean);
	assert_int_equal(result.nr_broken, 0);
}

static void assert_applied(const struct impl *impl, const struct trace *trace, unsigned nr_threads, bool is_deferred,
			   unsigned rounds)
{
	struct replay_result result = replay(impl, trace, nr_threads, is_deferred, rounds);

	assert_result(&result, impl->name, trace, nr_threads, rounds);
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
	struct replay_result result = {.nr_waits = 0};

	(void)state;
	/* In one round at least: in the others a thread may be preempted for as long. */
	for (int tries = 0; tries < 40 && result.nr_waits == 0; tries++) {
		result = replay(impl_find("mslot"), &trace, 2, true, 50);
		assert_string_equal(result.error, "");
		assert_int_equal(result.held, 1);
	}
	assert_true(result.nr_waits > 0 && result.wait_ns > 0);
}

/* One event too many, on line 4, and what is said of it. */
static void an_event_that_cannot_be_applied_is_named(void **state)
{
	static const struct {
		struct trace_event event;
		const char *what;
	} wrong[] = {
		{{.op = 'A', .pfn = 2}, "line 4: A cpu 0 pfn 0x2: the frame is allocated already"},
		{{.op = 'A', .order = 2}, "line 4: A cpu 0 pfn 0x0, frame 0x2: the frame is allocated already"},
		{{.op = 'F', .pfn = 3, .cpu = 1}, "line 4: F cpu 1 pfn 0x3: the frame is not allocated"},
		{{.op = 'F', .pfn = 2, .order = 1}, "line 4: F cpu 0 pfn 0x2, frame 0x3: the frame is not allocated"},
		{{.op = 'I', .pfn = 3}, "line 4: I cpu 0 pfn 0x3: the frame is not allocated"},
		{{.op = 'D', .pfn = 2, .cpu = 1}, "line 4: D cpu 1 pfn 0x2: the page cache does not have the frame"},
		{{.op = 'G', .pfn = 3}, "line 4: G cpu 0 pfn 0x3: the frame is not allocated"},
		{{.op = 'M', .pfn = 3}, "line 4: M cpu 0 pfn 0x3: the frame is not allocated"},
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

/* Of 160 GiB two frames are named: neither time nor memory is spent on the others. (Not of more, as MALLOC_PERTURB_
 * makes calloc() touch what it gives.) */
static void a_sparse_trace_costs_what_it_names(void **state)
{
	struct trace_event events[] = {{.op = 'A'}, {.op = 'A', .pfn = 40000000, .cpu = 1}};
	struct trace trace = {.name = "sparse", .nr_cpus = 2, .nr_frames = 40000001, .nr_events = 2, .events = events};
	struct replay_plan plan;

	(void)state;
	assert_applied(impl_find("mslot"), &trace, 2, false, 1);
	assert_true(replay_plan_make(&trace, 2, &plan));
	assert_int_equal(plan.nr_held, 2);
	assert_int_equal(plan.nr_places, 2);
	assert_int_equal(plan.pfns[plan.held[1]], 40000000);
	replay_plan_free(&plan);
}

static void frames_of_a_block_have_places_in_a_row(void **state)
{
	struct trace_event events[] = {{.op = 'A', .pfn = 7},
				       {.op = 'F', .pfn = 3},
				       {.op = 'A', .order = 2},
				       {.op = 'A', .pfn = 4, .order = 1}};
	struct trace trace = {.name = "blocks", .nr_cpus = 1, .nr_frames = 9, .nr_events = 4, .events = events};
	static const uint32_t expected[] = {7, 0, 1, 2, 3, 4, 5};
	struct replay_plan plan;

	(void)state;
	assert_true(replay_plan_make(&trace, 1, &plan));
	assert_int_equal(plan.nr_places, sizeof(expected) / sizeof(*expected));
	assert_memory_equal(plan.pfns, expected, sizeof(expected));
	for (unsigned i = 0; i < trace.nr_events; i++)
		assert_int_equal(plan.pfns[plan.members[0].steps[i].place], events[i].pfn);
	replay_plan_free(&plan);
}

/* One frame of each huge page of slots, and 16 TiB of copies. */
static void what_memory_does_not_hold_is_refused(void **state)
{
	enum { PARTS = 1 << 13, THREADS = 1024 };
	struct trace_event *events = calloc(PARTS, sizeof(*events));
	struct trace trace = {
		.name = "wide", .nr_cpus = 1, .nr_frames = PARTS << 15, .nr_events = PARTS, .events = events};

	(void)state;
	assert_non_null(events);
	for (uint32_t i = 0; i < PARTS; i++)
		events[i] = (struct trace_event){.op = 'M', .pfn = i << 15};
	assert_int_equal(replay_parts(&trace, 15), PARTS);
	assert_non_null(strstr(replay(impl_find("mslot"), &trace, THREADS, false, 1).error,
			       "1024 copies of the trace need 16384.1 GiB, and "));
	free(events);
}

static void every_allocator_applies_every_event(void **state)
{
	struct trace trace = draw_trace();

	(void)state;
	for (const struct alloc_impl *const *alloc = alloc_impl_list(); *alloc; alloc++)
		for (unsigned nr_threads = 1; nr_threads <= (strcmp((*alloc)->name, "ck_ring") ? 4 : 2); nr_threads++)
			for (int is_deferred = 0; is_deferred <= (*alloc)->can_defer; is_deferred++) {
				struct replay_result result = replay_alloc(*alloc, &trace, nr_threads, is_deferred, 2);

				assert_result(&result, (*alloc)->name, &trace, nr_threads, 2);
			}
}

/* As above, on line 4, after an event on line 3. */
static void an_event_that_no_allocator_can_apply_is_named(void **state)
{
	static const struct {
		struct trace_event before, event;
		const char *what;
	} wrong[] = {
		{{.op = 'M', .pfn = 2}, {.op = 'A', .pfn = 2}, "A cpu 0 pfn 0x2: the frame is allocated already"},
		{{.op = 'M', .pfn = 2},
		 {.op = 'A', .order = 2},
		 "A cpu 0 pfn 0x0, frame 0x2: the frame is allocated already"},
		{{.op = 'F', .pfn = 2}, {.op = 'F', .pfn = 2}, "F cpu 0 pfn 0x2: the frame is not allocated"},
		{{.op = 'F', .pfn = 2}, {.op = 'F', .pfn = 2, .cpu = 1}, "F cpu 1 pfn 0x2: the frame is not allocated"},
		{{.op = 'M', .pfn = 2},
		 {.op = 'F', .pfn = 2, .order = 1},
		 "F cpu 0 pfn 0x2, frame 0x3: the frame is not allocated"},
		{{.op = 'F', .pfn = 2}, {.op = 'I', .pfn = 2}, "I cpu 0 pfn 0x2: the frame is not allocated"},
		{{.op = 'M', .pfn = 2},
		 {.op = 'D', .pfn = 2, .cpu = 1},
		 "D cpu 1 pfn 0x2: the page cache does not have the frame"},
		{{.op = 'F', .pfn = 2}, {.op = 'G', .pfn = 2}, "G cpu 0 pfn 0x2: the frame is not allocated"},
		{{.op = 'F', .pfn = 2}, {.op = 'M', .pfn = 2}, "M cpu 0 pfn 0x2: the frame is not allocated"},
		{{.op = 'M', .pfn = 2}, {.op = 'M', .pfn = 3}, "M cpu 0 pfn 0x3: the frame is not allocated"},
	};

	(void)state;
	for (const struct alloc_impl *const *alloc = alloc_impl_list(); *alloc; alloc++) {
		for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
			struct trace_event events[] = {{.op = 'A', .pfn = 2}, wrong[i].before, wrong[i].event};
			struct trace trace = {
				.name = "wrong", .nr_cpus = 2, .nr_frames = 8, .nr_events = 3, .events = events};
			char expected[128];

			snprintf(expected, sizeof(expected), "line 4: %s", wrong[i].what);
			assert_string_equal(replay_alloc(*alloc, &trace, 2, (*alloc)->can_defer, 1).error, expected);
		}
	}
}

/* What is freed before it leaves the page cache is free once it has left. */
static void the_page_cache_keeps_a_frame(void **state)
{
	struct trace_event early[] = {{.op = 'A'}, {.op = 'I'}, {.op = 'F'}, {.op = 'A'}};
	struct trace_event late[] = {{.op = 'A'}, {.op = 'I'}, {.op = 'F'}, {.op = 'G'}, {.op = 'D'}, {.op = 'A'}};
	struct trace wrong = {.name = "early", .nr_cpus = 1, .nr_frames = 1, .nr_events = 4, .events = early};
	struct trace right = {.name = "late", .nr_cpus = 1, .nr_frames = 1, .nr_events = 6, .events = late};
	const char *what = "line 5: A cpu 0 pfn 0x0: the page cache has the frame";

	(void)state;
	for (const struct impl *const *impl = impl_list(); *impl; impl++) {
		assert_string_equal(replay(*impl, &wrong, 1, false, 1).error, what);
		assert_applied(*impl, &right, 1, false, 2);
	}
	for (const struct alloc_impl *const *alloc = alloc_impl_list(); *alloc; alloc++) {
		struct replay_result result = replay_alloc(*alloc, &right, 1, (*alloc)->can_defer, 2);

		assert_string_equal(replay_alloc(*alloc, &wrong, 1, (*alloc)->can_defer, 1).error, what);
		assert_result(&result, (*alloc)->name, &right, 1, 2);
	}
}

/* What an allocator that is wrong gives: the frame that it gave before. */
static void *given;

static void *alloc_again(void *pool, const struct mslot_type *type, const uint64_t meta[2])
{
	if (!given)
		given = alloc_impl_find("list-fas")->alloc(pool, type, meta);
	else
		memcpy(given, meta, 2 * sizeof(*meta));
	return given;
}

static void lose(void *pool, unsigned order, void **items)
{
	(void)pool, (void)order, (void)items;
}

static void an_allocator_that_is_wrong_is_seen(void **state)
{
	struct trace_event events[] = {{.op = 'A'}, {.op = 'A', .pfn = 1}, {.op = 'G'}};
	struct trace trace = {.name = "right", .nr_cpus = 1, .nr_frames = 2, .nr_events = 3, .events = events};
	struct alloc_impl twice = *alloc_impl_find("list-fas"), loses = twice;

	(void)state;
	twice.alloc = alloc_again;
	given = NULL;
	assert_string_equal(replay_alloc(&twice, &trace, 1, false, 1).error,
			    "line 4: G cpu 0 pfn 0x0: the metadata is another frame's");
	loses.put = lose;
	assert_string_equal(replay_alloc(&loses, &trace, 1, false, 1).error, "the audit after the replay is not clean");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_impl_applies_every_event),
		cmocka_unit_test(a_deferred_frame_is_waited_for),
		cmocka_unit_test(an_event_that_cannot_be_applied_is_named),
		cmocka_unit_test(a_trace_without_events_is_applied),
		cmocka_unit_test(a_sparse_trace_costs_what_it_names),
		cmocka_unit_test(frames_of_a_block_have_places_in_a_row),
		cmocka_unit_test(what_memory_does_not_hold_is_refused),
		cmocka_unit_test(every_allocator_applies_every_event),
		cmocka_unit_test(an_event_that_no_allocator_can_apply_is_named),
		cmocka_unit_test(the_page_cache_keeps_a_frame),
		cmocka_unit_test(an_allocator_that_is_wrong_is_seen),
	};

	printf("seed %d\n", SEED);
	if (mslot_thread_register())
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	mslot_thread_unregister();
	return failed;
}
