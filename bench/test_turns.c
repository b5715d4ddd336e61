/* SPDX-License-Identifier: MIT
 *
 * Tables on which the same trace is replayed in turns have as many rounds, or as much time, each; and a replay that
 * fails stops at once.
 */
#include "replay_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdatomic.h>

enum { IN_TURNS = 3 };

/* On the library and two baselines. */
static bool replay_in_turns(const struct trace *trace, unsigned rounds, double min_seconds,
			    struct replay_result results[IN_TURNS])
{
	static const char *const names[IN_TURNS] = {"mslot", "slot-fas", "global-mutex"};
	struct replay_config configs[IN_TURNS];

	for (unsigned i = 0; i < IN_TURNS; i++)
		configs[i] = (struct replay_config){
			.impl = impl_find(names[i]), .nr_threads = 2, .rounds = rounds, .min_seconds = min_seconds};
	bool ok = replay_run(configs, IN_TURNS, trace, results);
	for (unsigned i = 0; i < IN_TURNS; i++)
		samples_free(&results[i].latency);
	return ok;
}

static void several_take_turns(void **state)
{
	struct trace_event events[] = {{.op = 'A', .order = 2}, {.op = 'I', .cpu = 1}, {.op = 'G'},
				       {.op = 'D', .cpu = 1},	{.op = 'M', .cpu = 1}, {.op = 'F', .order = 2}};
	struct trace trace = {.name = "right", .nr_cpus = 2, .nr_frames = 4, .nr_events = 6, .events = events};
	struct replay_result results[IN_TURNS];

	(void)state;
	assert_true(replay_in_turns(&trace, 4, 0, results));
	for (unsigned i = 0; i < IN_TURNS; i++) {
		assert_true(results[i].is_clean);
		assert_int_equal(results[i].rounds, 4);
		assert_int_equal(results[i].round_ns.nr, 4);
		samples_free(&results[i].round_ns);
	}
	assert_true(replay_in_turns(&trace, 0, 0.01, results));
	for (unsigned i = 0; i < IN_TURNS; i++) {
		uint64_t sum = 0;

		assert_true(results[i].is_clean);
		for (unsigned at = 0; at < results[i].rounds; at++)
			sum += results[i].round_ns.values[at];
		assert_true(sum > 9900000);
		samples_free(&results[i].round_ns);
	}
}

/* Who had the turn, one letter a round. */
static char turns[32];
static unsigned nr_turns;

#define NOTES_ITS_TURN(letter, name)                                                                                   \
	static struct mslot_frame *letter##_claim(struct mslot_region *region, uint64_t paddr,                         \
						  const struct mslot_type *type, const void *meta,                     \
						  enum mslot_err *why)                                                 \
	{                                                                                                              \
		turns[nr_turns++] = #letter[0];                                                                        \
		return impl_find(name)->frame_claim(region, paddr, type, meta, why);                                   \
	}
NOTES_ITS_TURN(a, "mslot")
NOTES_ITS_TURN(b, "slot-fas")

static void one_round_follows_another_ones(void **state)
{
	struct trace_event events[] = {{.op = 'A'}, {.op = 'F'}};
	struct trace trace = {.name = "right", .nr_cpus = 1, .nr_frames = 1, .nr_events = 2, .events = events};
	struct impl a = *impl_find("mslot"), b = *impl_find("slot-fas");
	struct replay_config configs[] = {{.impl = &a, .nr_threads = 1, .rounds = 3},
					  {.impl = &b, .nr_threads = 1, .rounds = 3}};
	struct replay_result results[2];

	(void)state;
	a.frame_claim = a_claim;
	b.frame_claim = b_claim;
	assert_true(replay_run(configs, 2, &trace, results));
	assert_string_equal(turns, "ababab");
	for (unsigned i = 0; i < 2; i++) {
		samples_free(&results[i].latency);
		samples_free(&results[i].round_ns);
	}
}

static void who_fails_ends_all_turns(void **state)
{
	struct trace_event events[] = {{.op = 'A'}, {.op = 'A'}};
	struct trace trace = {.name = "wrong", .nr_cpus = 2, .nr_frames = 1, .nr_events = 2, .events = events};
	struct replay_result results[IN_TURNS];

	(void)state;
	assert_false(replay_in_turns(&trace, 1, 0, results));
	assert_string_equal(results[0].error, "line 3: A cpu 0 pfn 0x0: the frame is allocated already");
	for (unsigned i = 0; i < IN_TURNS; i++) {
		assert_int_equal(results[i].rounds, 0);
		samples_free(&results[i].round_ns);
	}
}

static _Atomic unsigned nr_claims_of_1;

static struct mslot_frame *count_claims(struct mslot_region *region, uint64_t paddr, const struct mslot_type *type,
					const void *meta, enum mslot_err *why)
{
	atomic_fetch_add_explicit(&nr_claims_of_1, paddr >> 12 == 1, memory_order_relaxed);
	return impl_find("slot-fas")->frame_claim(region, paddr, type, meta, why);
}

static void what_waits_for_a_step_that_was_never_done_is_not_applied(void **state)
{
	struct trace_event events[] = {{.op = 'A', .pfn = 2}, {.op = 'A', .pfn = 2}, {.op = 'A', .pfn = 1},
				       {.op = 'F', .pfn = 1}, {.op = 'A', .cpu = 1}, {.op = 'A', .pfn = 1, .cpu = 1}};
	struct trace trace = {.name = "wrong", .nr_cpus = 2, .nr_frames = 3, .nr_events = 6, .events = events};
	struct impl counting = *impl_find("slot-fas");
	struct replay_config config = {.impl = &counting, .nr_threads = 2, .rounds = 1};

	(void)state;
	counting.frame_claim = count_claims;
	for (unsigned i = 0; i < 50; i++) {
		struct replay_result result;

		assert_false(replay_run(&config, 1, &trace, &result));
		assert_string_equal(result.error, "line 3: A cpu 0 pfn 0x2: the frame is allocated already");
		samples_free(&result.latency);
		samples_free(&result.round_ns);
	}
	assert_int_equal(nr_claims_of_1, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(several_take_turns),
		cmocka_unit_test(one_round_follows_another_ones),
		cmocka_unit_test(who_fails_ends_all_turns),
		cmocka_unit_test(what_waits_for_a_step_that_was_never_done_is_not_applied),
	};

	if (mslot_thread_register())
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	mslot_thread_unregister();
	return failed;
}
