/* SPDX-License-Identifier: MIT
 *
 * How soon one grace period follows another.
 *
 * Promises: correctness does not depend on it. A pause ends at once for a thread that waits, and soon for one that is
 *           refused.
 * Needs:    the registry's sums, for how many slots wait.
 * Read:     pace_pause().
 *
 * Each grace period interrupts every processor that runs one of our threads, for 10 to 20 us where the machine is
 * virtual. So while few slots wait the pause is long, though under a millisecond. The more wait, the shorter it is, so
 * that they are still in the cache when they come back; but not so short that the interrupts cost more than the misses.
 */
#include "reclaim/reclaim.h"

#include <errno.h>
#include <semaphore.h>

#define URGENT_NS 50000
#define LEAST_NS 200000
#define MOST_NS 800000
/* Of all slots that wait, together: 4000 wait for half a millisecond, a quarter of a megabyte. */
#define SLOTS_NS 2000000000

static sem_t asked;
/* Whether posting it is of use. */
static _Atomic bool is_pausing;
/* Whether the pause would be shorter if more slots waited. */
static _Atomic bool is_long;
_Atomic bool pace_is_urgent;

bool pace_init(void)
{
	return !sem_init(&asked, 0, 0);
}

static uint64_t pause_ns(void)
{
	/* [relaxed] a hint. */
	if (atomic_load_explicit(&pace_is_urgent, memory_order_relaxed))
		return URGENT_NS;
	struct registry_sums sums = registry_sums();
	uint64_t nr_waiting = sums.retired > sums.recycled ? sums.retired - sums.recycled : 0;
	uint64_t pause = nr_waiting > SLOTS_NS / MOST_NS ? SLOTS_NS / nr_waiting : MOST_NS;
	return pause < LEAST_NS ? LEAST_NS : pause;
}

/* False where it ends by itself, and not because somebody has asked. */
static bool sleep_until(uint64_t ns)
{
	struct timespec deadline = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};

	return !sem_clockwait(&asked, CLOCK_MONOTONIC, &deadline) || errno != ETIMEDOUT;
}

void pace_pause(uint64_t since_ns, bool (*someone_waits)(void))
{
	uint64_t pause;

	/* [relaxed] a thread that waits has a lock in common with someone_waits(): one of us sees the other. For the
	 * others, a hint. */
	atomic_store_explicit(&is_pausing, true, memory_order_relaxed);
	do {
		pause = pause_ns();
		/* [relaxed] a hint. */
		atomic_store_explicit(&is_long, pause > LEAST_NS, memory_order_relaxed);
	} while (!someone_waits() && reclaim_now_ns() - since_ns < pause && sleep_until(since_ns + pause));
	/* Whoever asks now has what it asks for: the grace period begins. */
	/* [relaxed] hints. */
	atomic_store_explicit(&is_pausing, false, memory_order_relaxed);
	/* [relaxed] as above. */
	atomic_store_explicit(&is_long, false, memory_order_relaxed);
	/* [relaxed] as above. */
	atomic_store_explicit(&pace_is_urgent, false, memory_order_relaxed);
	/* Nobody's answer is to end another pause. */
	while (!sem_trywait(&asked))
		;
}

void pace_look_again(void)
{
	/* [relaxed] as in pace_pause(). */
	if (atomic_load_explicit(&is_pausing, memory_order_relaxed))
		sem_post(&asked);
}

void pace_hasten(void)
{
	/* [relaxed] a hint. Looked at first, as a thread that is refused calls this again and again. */
	if (atomic_load_explicit(&pace_is_urgent, memory_order_relaxed))
		return;
	/* [relaxed] a hint. */
	atomic_store_explicit(&pace_is_urgent, true, memory_order_relaxed);
	pace_look_again();
}

void pace_crowded(void)
{
	/* [relaxed] a hint. One of those who retire is enough. */
	if (atomic_load_explicit(&is_long, memory_order_relaxed) &&
	    /* [relaxed] as above. */
	    atomic_exchange_explicit(&is_long, false, memory_order_relaxed))
		pace_look_again();
}
