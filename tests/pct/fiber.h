/* SPDX-License-Identifier: MIT
 *
 * A part of pct/engine.cc: threads of a scenario as fibers, one of which runs at a time, with priorities.
 *
 * The scheduler is Burckhardt's PCT: each thread has a random priority and the one with the highest runs; at d - 1
 * random steps the running thread's priority drops below all others. A bug that needs d ordered events to show is then
 * found with a probability of at least 1 / (n k^(d - 1)), for n threads and k steps. A step is an atomic operation or a
 * call of a stand-in.
 *
 * ThreadSanitizer is told of the fibers, but not that switching between them orders anything.
 */
#ifndef PCT_FIBER_H
#define PCT_FIBER_H

#include "image.h"

#include <sanitizer/tsan_interface.h>
#include <ucontext.h>

enum { STACK_BYTES = 256 << 10, MAX_DEPTH = 4, MAX_STEPS = 20000, MAIN = MODEL_THREADS_MAX };

static struct fiber {
	ucontext_t context;
	void *tsan;
	char *stack;
	bool is_done, is_parked, is_suspended, is_counted;
	int priority;
	unsigned steps; /* since model_steps_begin() */
} fibers[MODEL_THREADS_MAX + 1];

static unsigned running = MAIN;
static unsigned nr_steps, changes[MAX_DEPTH], nr_changes;
static int lowest;
static const char *failure;
/* The progress runs take this thread off for good, after so many of its steps. */
static unsigned victim = MAIN, victim_steps;

/* splitmix64 */
static uint64_t random_state;

extern "C" uint64_t model_random(void)
{
	uint64_t z = (random_state += 0x9e3779b97f4a7c15u);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static unsigned self()
{
	return running;
}

static void run_fiber(unsigned next)
{
	unsigned before = running;

	if (next == before)
		return;
	running = next;
	__tsan_switch_to_fiber(fibers[next].tsan, __tsan_switch_to_fiber_no_sync);
	swapcontext(&fibers[before].context, &fibers[next].context);
}

/* As if all had been joined, those too that have not come to their end. Their creation has ordered their beginning. */
static void join_fibers()
{
	static char ended;

	for (unsigned i = 0; i < nr_threads; i++) {
		__tsan_switch_to_fiber(fibers[i].tsan, __tsan_switch_to_fiber_no_sync);
		__tsan_release(&ended);
		__tsan_switch_to_fiber(fibers[MAIN].tsan, __tsan_switch_to_fiber_no_sync);
	}
	__tsan_acquire(&ended);
}

/* The highest priority that can run; MAIN if none can. */
static unsigned pick()
{
	unsigned best = MAIN;

	for (unsigned i = 0; i < nr_threads; i++) {
		const fiber &f = fibers[i];
		if (!f.is_done && !f.is_parked && !f.is_suspended &&
		    (best == MAIN || f.priority > fibers[best].priority))
			best = i;
	}
	return best;
}

extern "C" void model_fail(const char *what, const char *file, int line)
{
	static char text[256];

	if (!failure) {
		snprintf(text, sizeof(text), "%s:%d: %s", file, line, what);
		failure = text;
	}
	run_fiber(MAIN);
}

/* Whatever it is used for. */
static void switch_point(const void * = nullptr, bool = true)
{
	fiber &f = fibers[running];

	if (running == MAIN)
		return;
	if (++nr_steps > MAX_STEPS)
		model_fail("no end", current->name, (int)nr_steps);
	if (++f.steps == victim_steps && running == victim && f.is_counted)
		f.is_suspended = true;
	for (unsigned i = 0; i < nr_changes; i++)
		if (changes[i] == nr_steps)
			f.priority = --lowest;
	run_fiber(pick());
}

static void suspend_self()
{
	if (running == MAIN)
		die("what comes before and after must not wait");
	fibers[running].is_parked = true;
	run_fiber(pick());
}

static void resume(unsigned thread)
{
	fibers[thread].is_parked = false;
}

extern "C" void model_yield(void)
{
	fibers[running].priority = --lowest;
	switch_point();
}

extern "C" void model_nap(void)
{
	bool is_alone = true, is_held_up = false;

	for (unsigned i = 0; i < nr_threads; i++) {
		is_alone &= i == running || fibers[i].is_done || fibers[i].is_parked || fibers[i].is_suspended;
		is_held_up |= fibers[i].is_suspended;
	}
	/* Else what it waits for may have come meanwhile. */
	if (is_alone && is_held_up)
		suspend_self();
	else
		model_yield();
}

extern "C" uint64_t model_stamp(void)
{
	static uint64_t stamp;

	return ++stamp;
}

extern "C" unsigned model_steps(void)
{
	return fibers[running].steps;
}

extern "C" void model_steps_begin(void)
{
	fibers[running].steps = 0;
	fibers[running].is_counted = true;
}

extern "C" void model_steps_end(void)
{
	fibers[running].is_counted = false;
}

/* ---- an order told by hand, as stand-ins do ---- */

struct vector_clock {
	char at;
};

static void clock_release(vector_clock &c)
{
	__tsan_release(&c);
}

static void clock_acquire(const vector_clock &c)
{
	__tsan_acquire((void *)&c);
}

#endif
