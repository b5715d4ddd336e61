/* SPDX-License-Identifier: MIT
 *
 * A part of the engines: what a thread is to the subject. Thread-local variables, blocking, and the stand-in for RCU.
 *
 * Needs of the engine: self(); switch_point() before a use of an object, which changes it or not; suspend_self() and
 *                      resume(); vector_clock with clock_release() and clock_acquire(), which order as a release and an
 *                      acquire of one object do.
 */
#ifndef MODEL_FIBERS_H
#define MODEL_FIBERS_H

#include "image.h"

enum { MAX_SYNCS = 8, MAX_TLS = 8 };
/* One more than there are threads: what comes before and after them may run by itself. */
enum { SELVES = MODEL_THREADS_MAX + 1 };

/* ---- thread-local variables ---- */

struct tls_control {
	size_t bytes, align;
	void *unused;
	const void *image;
};

static struct {
	tls_control *control;
	alignas(64) char memory[SELVES][128];
} tls[MAX_TLS];
static unsigned nr_tls;

/* Not by memcpy(), which ThreadSanitizer would take for the subject's. */
static void tls_reset(unsigned i)
{
	const volatile char *image = (const char *)tls[i].control->image;

	for (auto &memory : tls[i].memory)
		for (size_t at = 0; at < tls[i].control->bytes; at++)
			((volatile char *)memory)[at] = image ? image[at] : 0;
}

extern "C" void *__emutls_get_address(tls_control *control)
{
	unsigned i = 0;

	while (i < nr_tls && tls[i].control != control)
		i++;
	if (i == nr_tls) {
		if (nr_tls == MAX_TLS || control->bytes > sizeof(tls[0].memory[0]))
			die("too much thread-local data");
		tls[nr_tls++].control = control;
		tls_reset(i);
	}
	return tls[i].memory[self()];
}

/* ---- blocking ---- */

static const void *parked_on[SELVES];

static void park(const void *on)
{
	parked_on[self()] = on;
	while (parked_on[self()])
		suspend_self();
}

static void unpark(const void *on)
{
	for (unsigned i = 0; i < nr_threads; i++)
		if (parked_on[i] == on) {
			parked_on[i] = nullptr;
			resume(i);
		}
}

/* ---- RCU: a section that began before a grace period ends before it; one that begins later sees what preceded it ----
 */

enum { SECTIONS = 64 };
static struct {
	unsigned nesting, nr_ended;
	vector_clock end[SECTIONS];
} reader[SELVES];
static vector_clock started;
/* Before its last use, of each thread. */
static vector_clock used[SELVES];
/* What seq_cst swaps have released. The start of a grace period is a fence: what it precedes sees what comes before it
 * in the one order of all that is seq_cst. */
static vector_clock in_order;

static void __attribute__((unused)) released_in_order()
{
	clock_release(in_order);
}

extern "C" void model_read_lock(void)
{
	if (reader[self()].nesting++)
		return;
	switch_point(&started, false);
	clock_acquire(started);
}

extern "C" void model_read_unlock(void)
{
	auto &r = reader[self()];

	if (r.nesting == 1)
		switch_point(&started, false);
	if (--r.nesting)
		return;
	if (++r.nr_ended >= SECTIONS)
		die("too many sections");
	clock_release(r.end[r.nr_ended]);
	unpark(&r);
}

/* The barrier of a use comes before a grace period begins, or after: whichever is second sees what the first had done.
 * The use's mark is stored just before; a switch comes before that. */
extern "C" void model_use_barrier(void)
{
	clock_acquire(started);
	clock_release(used[self()]);
}

extern "C" bool model_in_section(void)
{
	return reader[self()].nesting != 0;
}

extern "C" void model_synchronize(void)
{
	unsigned until[MODEL_THREADS_MAX];

	switch_point(&started, true);
	clock_acquire(in_order);
	clock_release(started);
	for (const vector_clock &use : used)
		clock_acquire(use);
	for (unsigned i = 0; i < nr_threads; i++)
		until[i] = reader[i].nr_ended + (reader[i].nesting != 0);
	for (unsigned i = 0; i < nr_threads; i++) {
		while (reader[i].nr_ended < until[i])
			park(&reader[i]);
		for (unsigned section = 1; section <= until[i]; section++)
			clock_acquire(reader[i].end[section]);
	}
	switch_point(&started, true);
}

#endif
