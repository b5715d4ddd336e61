/* SPDX-License-Identifier: MIT
 *
 * A part of engine.cc: what a thread is to the subject. Thread-local variables, blocking, and the stand-in for RCU.
 */
#ifndef MODEL_FIBERS_H
#define MODEL_FIBERS_H

#include "shadow.h"

/* ---- thread-local variables ---- */

struct tls_control {
	size_t bytes, align;
	void *unused;
	const void *image;
};

static struct {
	tls_control *control;
	alignas(64) char memory[MODEL_THREADS_MAX][128];
} tls[MAX_TLS];
static unsigned nr_tls;

static void tls_reset(unsigned i)
{
	for (auto &memory : tls[i].memory) {
		memset(memory, 0, sizeof(memory));
		if (tls[i].control->image)
			memcpy(memory, tls[i].control->image, tls[i].control->bytes);
	}
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
	return tls[i].memory[ctx().threadx_->index_];
}

/* ---- clocks, blocking ---- */

struct vector_clock {
	rl::timestamp_t at[MODEL_THREADS_MAX];
};

static void clock_release(vector_clock &c)
{
	for (unsigned i = 0; i < nr_threads; i++)
		c.at[i] = std::max(c.at[i], ctx().threadx_->acq_rel_order_[i]);
}

static void clock_acquire(const vector_clock &c)
{
	for (unsigned i = 0; i < nr_threads; i++)
		ctx().threadx_->acq_rel_order_[i] = std::max(ctx().threadx_->acq_rel_order_[i], c.at[i]);
}

static unsigned self()
{
	return ctx().threadx_->index_;
}

static const void *parked_on[MODEL_THREADS_MAX];

static void park(const void *on)
{
	parked_on[self()] = on;
	while (parked_on[self()])
		ctx().park_current_thread(false, false, false, here(nullptr));
}

static void unpark(const void *on)
{
	for (unsigned i = 0; i < nr_threads; i++)
		if (parked_on[i] == on) {
			parked_on[i] = nullptr;
			ctx().unpark_thread(i, false, here(nullptr));
		}
}

/* ---- RCU: a section that began before a grace period ends before it; one that begins later sees what preceded it ----
 */

enum { SECTIONS = 16 };
static struct {
	unsigned nesting, nr_ended;
	vector_clock end[SECTIONS];
} reader[MODEL_THREADS_MAX];
static vector_clock started;

extern "C" void model_read_lock(void)
{
	if (reader[self()].nesting++)
		return;
	ctx().sched();
	clock_acquire(started);
}

extern "C" void model_read_unlock(void)
{
	auto &r = reader[self()];

	if (r.nesting == 1)
		ctx().sched();
	if (--r.nesting)
		return;
	if (++r.nr_ended >= SECTIONS)
		die("too many sections");
	clock_release(r.end[r.nr_ended]);
	unpark(&r);
}

extern "C" bool model_in_section(void)
{
	return reader[self()].nesting != 0;
}

extern "C" void model_synchronize(void)
{
	unsigned until[MODEL_THREADS_MAX];

	ctx().sched();
	clock_release(started);
	for (unsigned i = 0; i < nr_threads; i++)
		until[i] = reader[i].nr_ended + (reader[i].nesting != 0);
	for (unsigned i = 0; i < nr_threads; i++) {
		while (reader[i].nr_ended < until[i])
			park(&reader[i]);
		for (unsigned section = 1; section <= until[i]; section++)
			clock_acquire(reader[i].end[section]);
	}
	ctx().sched();
}

#endif
