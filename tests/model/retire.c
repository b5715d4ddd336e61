/* SPDX-License-Identifier: MIT
 *
 * Retire against peek; hand-over of queues between threads and at thread exit. With the shipped reclaim.c, thread.c and
 * grace_thread.c, and stand-ins for liburcu and pthreads.
 *
 * Proves: a peeked frame is not recycled within the reader's section; every retired slot is recycled exactly once,
 *         whether its thread drains it, pauses, exits, or never was registered, and no wake-up is lost on the way; no
 *         access to a queue or a link races; after mslot_barrier() on_drop has run.
 */
#include "model.h"
#include "reclaim/reclaim.h"

static struct mslot_frame *frames[MODEL_FRAMES];
static struct mslot_frame *held_by[MODEL_FRAMES]; /* by each frame, or none */

static void on_drop(void *meta, uint64_t paddr, void *memory)
{
	struct mslot_frame *next = held_by[paddr / MODEL_PADDR(1)];
	uint64_t *value = meta;

	(void)memory;
	MODEL_CHECK(value[0] == 1);
	value[0] = 99;
	model_add(MODEL_ENDED, 1);
	if (next)
		mslot_frame_drop(next);
}

static const struct mslot_type type = {.name = "t", .meta_bytes = 8, .on_drop = on_drop};
/* Has nothing to do at its end: where no limit is set, the short way. */
static const struct mslot_type plain_type = {.name = "p", .meta_bytes = 8};
static const uint64_t one = 1, two = 2;

static void hold(unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		frames[i] = mslot_frame_claim(model_region, MODEL_PADDR(i), &type, &one, NULL);
		MODEL_CHECK(frames[i]);
	}
}

/* The grace-period thread exists; nobody is registered any more. */
static void register_and_hold(void)
{
	MODEL_CHECK(mslot_thread_register() == MSLOT_OK);
	MODEL_CHECK(mslot_thread_unregister() == MSLOT_OK);
	hold(1);
}

static void hold_one(void)
{
	hold(1);
}

static void hold_two(void)
{
	hold(2);
}

static void hold_two_handles(void)
{
	hold(1);
	MODEL_CHECK(mslot_frame_clone(frames[0]));
}

static void drop_0(void)
{
	MODEL_CHECK(mslot_thread_register() == MSLOT_OK);
	mslot_frame_drop(frames[0]);
}

static void drop_0_unregistered(void)
{
	mslot_frame_drop(frames[0]);
}

static void drop_0_and_1(void)
{
	MODEL_CHECK(mslot_thread_register() == MSLOT_OK);
	mslot_frame_drop(frames[0]);
	mslot_frame_drop(frames[1]);
}

/* Its queue is flipped away and back. */
static void drop_yield_drop(void)
{
	MODEL_CHECK(mslot_thread_register() == MSLOT_OK);
	mslot_frame_drop(frames[0]);
	model_yield();
	mslot_frame_drop(frames[1]);
	model_yield();
	mslot_frame_drop(frames[2]);
}

/* As above, but the second one recycles what the first one was; or a drain has the queue flipped twice at once. */
static void drop_yield_drop_two(void)
{
	MODEL_CHECK(mslot_thread_register() == MSLOT_OK);
	mslot_frame_drop(frames[0]);
	model_yield();
	mslot_frame_drop(frames[1]);
}

/* It recycles what it has retired itself, as allocation does that finds nothing. */
static void drop_yield_drain(void)
{
	MODEL_CHECK(mslot_thread_register() == MSLOT_OK);
	mslot_frame_drop(frames[0]);
	model_yield();
	reclaim_drain_own();
}

static void drop_yield_drain_unregister(void)
{
	drop_yield_drain();
	MODEL_CHECK(mslot_thread_unregister() == MSLOT_OK);
}

static void hold_plain(void)
{
	MODEL_CHECK(mslot_thread_register() == MSLOT_OK);
	MODEL_CHECK(mslot_thread_unregister() == MSLOT_OK);
	model_region->backlog_limit = INT64_MAX;
	frames[0] = mslot_frame_claim(model_region, MODEL_PADDR(0), &plain_type, &one, NULL);
	MODEL_CHECK(frames[0]);
}

/* And claims it again, which writes where readers of before may not read any more. */
static void drop_yield_drain_claim(void)
{
	drop_yield_drain();
	frames[1] = mslot_frame_claim(model_region, MODEL_PADDR(0), &plain_type, &two, NULL);
}

static void peek_plain(void)
{
	const uint64_t *value;

	mslot_read_lock();
	value = mslot_peek(model_region, MODEL_PADDR(0), &plain_type, NULL);
	if (value) {
		uint64_t first = *value;
		MODEL_CHECK(first == 1 || first == 2);
		MODEL_CHECK(*value == first);
	}
	mslot_read_unlock();
}

static void plain_recycled(void)
{
	if (frames[1])
		mslot_frame_drop(frames[1]);
	MODEL_CHECK(model_count(MODEL_FAULTS) == 0);
}

/* What is drained is of a queue that was flipped away meanwhile, or has come back. */
static void drop_yield_drop_drain(void)
{
	MODEL_CHECK(mslot_thread_register() == MSLOT_OK);
	mslot_frame_drop(frames[0]);
	model_yield();
	reclaim_drain_own();
	mslot_frame_drop(frames[1]);
	model_yield();
	reclaim_drain_own();
}

static void register_and_hold_two(void)
{
	MODEL_CHECK(mslot_thread_register() == MSLOT_OK);
	MODEL_CHECK(mslot_thread_unregister() == MSLOT_OK);
	hold(2);
}

static void hold_three(void)
{
	hold(3);
}

/* The second is retired by whoever recycles the first. */
static void hold_chain_of_two(void)
{
	register_and_hold_two();
	held_by[0] = frames[1];
}

static void hold_chain_of_three(void)
{
	MODEL_CHECK(mslot_thread_register() == MSLOT_OK);
	MODEL_CHECK(mslot_thread_unregister() == MSLOT_OK);
	hold(3);
	held_by[0] = frames[1];
	held_by[1] = frames[2];
}

static void barrier(void)
{
	MODEL_CHECK(mslot_barrier(model_region) == MSLOT_OK);
}

static _Atomic bool is_dropped;

static void drop_0_tell_and_exit(void)
{
	MODEL_CHECK(mslot_thread_register() == MSLOT_OK);
	mslot_frame_drop(frames[0]);
	atomic_store_explicit(&is_dropped, true, memory_order_release);
	MODEL_CHECK(mslot_thread_unregister() == MSLOT_OK);
}

static void wait_if_dropped(void)
{
	if (!atomic_load_explicit(&is_dropped, memory_order_acquire))
		return;
	MODEL_CHECK(mslot_barrier(model_region) == MSLOT_OK);
	MODEL_CHECK(model_count(MODEL_ENDED) == 1);
}

static void drop_0_and_wait(void)
{
	MODEL_CHECK(mslot_thread_register() == MSLOT_OK);
	mslot_frame_drop(frames[0]);
	MODEL_CHECK(mslot_barrier(model_region) == MSLOT_OK);
	MODEL_CHECK(model_count(MODEL_ENDED) == 1);
	hold(1);
	mslot_frame_drop(frames[0]);
}

static void register_only(void)
{
	MODEL_CHECK(mslot_thread_register() == MSLOT_OK);
}

static void peek_at(unsigned index)
{
	const uint64_t *value;

	mslot_read_lock();
	value = mslot_peek(model_region, MODEL_PADDR(index), &type, NULL);
	if (value) {
		MODEL_CHECK(*value == 1);
		MODEL_CHECK(*value == 1);
	}
	mslot_read_unlock();
}

static void peek(void)
{
	peek_at(0);
}

static void peek_1(void)
{
	peek_at(1);
}

static void get_drop(void)
{
	struct mslot_frame *got;

	MODEL_CHECK(mslot_thread_register() == MSLOT_OK);
	got = mslot_frame_get(model_region, MODEL_PADDR(0), NULL);
	if (got) {
		MODEL_CHECK(*(const uint64_t *)mslot_frame_meta(got, &type) == 1);
		mslot_frame_drop(got);
	}
}

/* Each frame can be claimed again, in the generation after `nr` ends. */
static void all_recycled(int nr)
{
	MODEL_CHECK(model_count(MODEL_FAULTS) == 0 && model_count(MODEL_ENDED) == nr);
	for (unsigned i = 0; i < model_region->nr_frames; i++)
		MODEL_CHECK(mslot_frame_claim(model_region, MODEL_PADDR(i), &type, &one, NULL));
}

static void one_recycled(void)
{
	all_recycled(1);
}

static void two_recycled(void)
{
	all_recycled(2);
}

static void three_recycled(void)
{
	all_recycled(3);
}

const struct model models[] = {
	{"retire/stranger-before-anybody",
	 3,
	 hold_one,
	 one_recycled,
	 {drop_0_unregistered, register_only, model_daemon}},
	{"retire/peek-stranger", 2, register_and_hold, one_recycled, {drop_0_unregistered, peek, model_daemon}},
	{"retire/drop-and-exit", 2, hold_one, one_recycled, {drop_0, model_daemon}},
	{"retire/peek-registered", 2, hold_one, one_recycled, {drop_0, peek, model_daemon}},
	{"retire/two-and-exit", 2, hold_two, two_recycled, {drop_0_and_1, model_daemon}},
	{"retire/flip-and-back", 2, hold_three, three_recycled, {drop_yield_drop, model_daemon}},
	{"retire/peek-and-drain", 2, hold_two, two_recycled, {drop_yield_drop_two, peek, model_daemon}},
	{"retire/flip-and-back-at-once", 2, hold_two, two_recycled, {drop_yield_drop_two, barrier, model_daemon}},
	{"retire/barrier", 2, hold_one, two_recycled, {drop_0_and_wait, model_daemon}},
	{"retire/exit-and-barrier", 2, hold_one, one_recycled, {drop_0_tell_and_exit, wait_if_dropped, model_daemon}},
	{"retire/two-put", 2, hold_two_handles, one_recycled, {drop_0, drop_0_unregistered, model_daemon}},
	{"retire/resurrect", 2, hold_one, one_recycled, {drop_0, get_drop, model_daemon}},
	{"retire/peek-and-drain-own", 2, register_and_hold, one_recycled, {drop_yield_drain, peek, model_daemon}},
	{"retire/peek-and-drain-plain",
	 2,
	 hold_plain,
	 plain_recycled,
	 {drop_yield_drain_claim, peek_plain, model_daemon}},
	{"retire/flip-and-drain-own", 2, register_and_hold_two, two_recycled, {drop_yield_drop_drain, model_daemon}},
	{"retire/chain", 2, hold_chain_of_three, three_recycled, {drop_yield_drain, model_daemon}},
	{"retire/chain-and-barrier",
	 2,
	 hold_chain_of_two,
	 two_recycled,
	 {drop_yield_drain_unregister, barrier, model_daemon}},
	{"retire/chain-and-peek", 2, hold_chain_of_two, two_recycled, {drop_yield_drain, peek_1, model_daemon}},
	{0},
};
