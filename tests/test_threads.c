/* SPDX-License-Identifier: MIT
 *
 * Several threads on few frames, a fifth of a second each: what must balance balances, and metadata that plain memory
 * accesses read and write (so that ThreadSanitizer sees a missing edge) is never seen half made or after on_drop.
 *
 * Oracles: one holder per claim; one on_drop per incarnation; as many references restored as forgotten; cookies.
 */
#include "util.h"

#include <sched.h>
#include <stdatomic.h>

#define NR_THREADS 3
#define NR_HOT 4

struct cookie {
	uint64_t value, inverse;
};

static _Atomic bool stop;
static _Atomic uint64_t nr_claims, nr_drops, nr_forgotten, nr_restored, nr_seen, nr_torn;

static void poison(void *meta, uint64_t paddr, void *memory)
{
	struct cookie *cookie = meta;

	(void)paddr, (void)memory;
	if (cookie->value != ~cookie->inverse)
		atomic_fetch_add_explicit(&nr_torn, 1, memory_order_relaxed);
	cookie->value = cookie->inverse = 0xdead;
	atomic_fetch_add_explicit(&nr_drops, 1, memory_order_relaxed);
}

static const struct mslot_type counted = {
	.meta_bytes = sizeof(struct cookie), .on_drop = poison, .flags = MSLOT_TYPE_IMMEDIATE};
static const struct mslot_type counted_deferred = {.meta_bytes = sizeof(struct cookie), .on_drop = poison};
static const struct mslot_type *type;

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void add(_Atomic uint64_t *counter, uint64_t nr)
{
	atomic_fetch_add_explicit(counter, nr, memory_order_relaxed);
}

static bool goes_on(void)
{
	mslot_quiescent_state();
	return !atomic_load_explicit(&stop, memory_order_relaxed);
}

struct job {
	void (*body)(uint64_t *seed);
	uint64_t seed;
};

static void *run_job(void *arg)
{
	struct job *job = arg;

	assert_err(mslot_thread_register(), MSLOT_OK);
	while (goes_on())
		job->body(&job->seed);
	assert_err(mslot_thread_unregister(), MSLOT_OK);
	return NULL;
}

/* Thread 0 runs `first`, the others run `others`. */
static void storm(void (*first)(uint64_t *seed), void (*others)(uint64_t *seed))
{
	pthread_t threads[NR_THREADS];
	struct job jobs[NR_THREADS];

	stop = false;
	nr_claims = nr_drops = nr_forgotten = nr_restored = nr_seen = nr_torn = 0;
	for (unsigned i = 0; i < NR_THREADS; i++) {
		jobs[i] = (struct job){i ? others : first, 88172645463325252u + i};
		assert_int_equal(pthread_create(&threads[i], NULL, run_job, &jobs[i]), 0);
	}
	mslot_thread_offline();
	usleep(200000);
	mslot_thread_online();
	stop = true;
	for (unsigned i = 0; i < NR_THREADS; i++)
		join(threads[i]);
	assert_int_equal(nr_torn, 0);
}

static struct mslot_frame *claim(uint64_t *seed, unsigned index)
{
	struct cookie cookie = {next_random(seed), 0};

	cookie.inverse = ~cookie.value;
	return mslot_frame_claim(region, PADDR(index), type, &cookie, NULL);
}

static void look(const struct cookie *cookie)
{
	add(cookie->value == ~cookie->inverse ? &nr_seen : &nr_torn, 1);
}

/* ---- one winner per claim ---- */

static _Atomic int holders[NR_HOT];
static int owner_writes[NR_HOT];

static void claim_and_own(uint64_t *seed)
{
	unsigned index = next_random(seed) % NR_HOT;
	enum mslot_err why = MSLOT_OK;
	struct mslot_unique *unique =
		mslot_unique_claim(region, PADDR(index), type, &(struct cookie){5, ~UINT64_C(5)}, &why);

	if (!unique) {
		if (why != MSLOT_UNIQUE && why != MSLOT_BUSY)
			add(&nr_torn, 1);
		return;
	}
	if (atomic_fetch_add_explicit(&holders[index], 1, memory_order_relaxed) != 0)
		add(&nr_torn, 1);
	owner_writes[index]++;
	atomic_fetch_sub_explicit(&holders[index], 1, memory_order_relaxed);
	add(&nr_claims, 1);
	mslot_unique_drop(unique);
}

static void a_claim_has_one_winner(void **state)
{
	uint64_t writes = 0;
	(void)state;

	memset(owner_writes, 0, sizeof(owner_writes));
	storm(claim_and_own, claim_and_own);
	for (unsigned i = 0; i < NR_HOT; i++)
		writes += (uint64_t)owner_writes[i];
	assert_int_equal(writes, nr_claims);
	assert_err(mslot_barrier(region), MSLOT_OK);
	assert_int_equal(nr_drops, nr_claims);
	assert_true(nr_claims > NR_HOT); /* frames were used again */
}

/* ---- counts balance ---- */

static void hold(uint64_t *seed)
{
	struct mslot_frame *frames[4] = {0};

	for (unsigned i = 0; i < 4; i++) {
		unsigned index = next_random(seed) % NR_HOT;

		frames[i] = mslot_frame_get(region, PADDR(index), NULL);
		if (!frames[i] && (frames[i] = claim(seed, index)))
			add(&nr_claims, 1);
		if (frames[i])
			look(mslot_frame_meta(frames[i], type));
		if (frames[i] && i < 3 && next_random(seed) & 1) {
			frames[i + 1] = mslot_frame_clone(frames[i]);
			i++;
		}
	}
	for (unsigned i = 0; i < 4; i++)
		mslot_frame_drop(frames[i]);
}

static void references_balance(void **state)
{
	(void)state;
	storm(hold, hold);
	assert_err(mslot_barrier(region), MSLOT_OK);
	assert_int_equal(nr_drops, nr_claims);
	assert_true(nr_claims > NR_HOT); /* frames were used again */
	assert_true(mslot_is_clean(region));
}

/* ---- forgotten references ---- */

static void forget_and_restore(uint64_t *seed)
{
	unsigned index = next_random(seed) % NR_HOT;
	struct mslot_frame *frame = mslot_frame_get(region, PADDR(index), NULL);
	uint64_t random = next_random(seed);

	if (!frame) {
		frame = claim(seed, index);
		if (!frame)
			return;
		add(&nr_claims, 1);
	}
	if (random & 1 && mslot_frame_clone_into_raw(frame) == PADDR(index))
		add(&nr_forgotten, 1);
	if (random & 2) {
		if (mslot_frame_into_raw(frame) == PADDR(index))
			add(&nr_forgotten, 1);
	} else {
		mslot_frame_drop(frame);
	}
	if (random & 4 && mslot_frame_drop_raw(region, PADDR(index)) == MSLOT_OK)
		add(&nr_restored, 1);
	if (random & 8 && (frame = mslot_frame_from_raw(region, PADDR(index), NULL))) {
		add(&nr_restored, 1);
		look(mslot_frame_meta(frame, type));
		mslot_frame_drop(frame);
	}
}

static void forgotten_references_balance(void **state)
{
	(void)state;
	storm(forget_and_restore, forget_and_restore);
	for (unsigned i = 0; i < NR_HOT; i++)
		while (mslot_frame_drop_raw(region, PADDR(i)) == MSLOT_OK)
			nr_restored++;
	assert_int_equal(nr_restored, nr_forgotten);
	assert_err(mslot_barrier(region), MSLOT_OK);
	assert_int_equal(nr_drops, nr_claims);
	assert_true(mslot_is_clean(region));
}

/* ---- unique owners write what others read ---- */

static void take_turns(uint64_t *seed)
{
	unsigned index = next_random(seed) % 2;
	struct mslot_frame *frame = mslot_frame_get(region, PADDR(index), NULL);
	struct mslot_unique *unique;

	if (!frame) {
		frame = claim(seed, index);
		if (!frame)
			return;
		add(&nr_claims, 1);
	}
	look(mslot_frame_meta(frame, type));
	unique = mslot_frame_try_unique(frame, NULL);
	if (unique) {
		struct cookie *cookie = mslot_unique_meta(unique, type);

		cookie->value++;
		if (next_random(seed) & 1) {
			uint64_t paddr = mslot_unique_into_raw(unique);
			unique = mslot_unique_from_raw(region, paddr, NULL);
		}
		cookie->inverse = ~cookie->value;
		frame = mslot_unique_share(unique);
	}
	mslot_frame_drop(frame);
}

static void a_unique_owner_is_alone(void **state)
{
	(void)state;
	storm(take_turns, take_turns);
	assert_err(mslot_barrier(region), MSLOT_OK);
	assert_int_equal(nr_drops, nr_claims);
	assert_true(mslot_is_clean(region));
}

/* ---- readers without references ---- */

static void come_and_go(uint64_t *seed)
{
	struct mslot_frame *frame = claim(seed, next_random(seed) % NR_HOT);

	if (frame) {
		add(&nr_claims, 1);
		sched_yield(); /* so that readers find it */
	}
	mslot_frame_drop(frame);
}

static void peek(uint64_t *seed)
{
	for (int i = 0; i < 16; i++) {
		const struct cookie *cookie;

		mslot_read_lock();
		cookie = mslot_peek(region, PADDR(next_random(seed) % NR_HOT), type, NULL);
		if (cookie) {
			look(cookie);
			sched_yield();
			look(cookie);
		}
		mslot_read_unlock();
	}
}

static void a_peeked_cookie_lasts_as_long_as_the_section(void **state)
{
	int left = 20;
	(void)state;

	/* On a loaded machine, one storm may be over before the first grace period is. */
	do {
		storm(come_and_go, peek);
		assert_err(mslot_barrier(region), MSLOT_OK);
	} while ((nr_claims <= NR_HOT || !nr_seen) && --left);
	assert_int_equal(nr_drops, nr_claims);
	assert_true(nr_claims > NR_HOT); /* frames were used again */
	assert_true(nr_seen > 0);
	assert_true(mslot_is_clean(region));
}

static int immediate_setup(void **state)
{
	type = &counted;
	return setup(state);
}

static int deferred_setup(void **state)
{
	type = &counted_deferred;
	return setup(state);
}

#define IMMEDIATE(fn)                                                                                                  \
	{                                                                                                              \
#fn " (immediate)", fn, immediate_setup, teardown, NULL                                                \
	}
#define DEFERRED(fn)                                                                                                   \
	{                                                                                                              \
#fn " (deferred)", fn, deferred_setup, teardown, NULL                                                  \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IMMEDIATE(a_claim_has_one_winner),	 DEFERRED(a_claim_has_one_winner),
		IMMEDIATE(references_balance),		 DEFERRED(references_balance),
		IMMEDIATE(forgotten_references_balance), DEFERRED(forgotten_references_balance),
		IMMEDIATE(a_unique_owner_is_alone),	 DEFERRED(a_peeked_cookie_lasts_as_long_as_the_section),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
