/* SPDX-License-Identifier: MIT
 *
 * Names the errors, and brings faults to whoever is to hear of them.
 *
 * Promises: the handler runs outside the mutex, so it may install another.
 * Needs:    stdio for the default handler, pthread for the mutex.
 */
#include "base/check.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_mutex_t handler_lock = PTHREAD_MUTEX_INITIALIZER;
static void (*handler)(const struct mslot_fault *fault, void *ctx);
static void *handler_ctx;

const char *mslot_err_name(enum mslot_err err)
{
	switch (err) {
	case MSLOT_OK:
		return "OK";
	case MSLOT_IN_USE:
		return "IN_USE";
	case MSLOT_UNUSED:
		return "UNUSED";
	case MSLOT_BUSY:
		return "BUSY";
	case MSLOT_UNIQUE:
		return "UNIQUE";
	case MSLOT_OUT_OF_BOUND:
		return "OUT_OF_BOUND";
	case MSLOT_NOT_ALIGNED:
		return "NOT_ALIGNED";
	case MSLOT_NO_MEMORY:
		return "NO_MEMORY";
	case MSLOT_OVERFLOW:
		return "OVERFLOW";
	case MSLOT_NOT_FORGOTTEN:
		return "NOT_FORGOTTEN";
	case MSLOT_WRONG_TYPE:
		return "WRONG_TYPE";
	case MSLOT_INVALID:
		return "INVALID";
	}
	return "?";
}

void mslot_set_fault_handler(void (*fn)(const struct mslot_fault *fault, void *ctx), void *ctx)
{
	pthread_mutex_lock(&handler_lock);
	handler = fn;
	handler_ctx = ctx;
	pthread_mutex_unlock(&handler_lock);
}

void fault_report(const struct mslot_fault *fault)
{
	pthread_mutex_lock(&handler_lock);
	void (*fn)(const struct mslot_fault *fault, void *ctx) = handler;
	void *ctx = handler_ctx;
	pthread_mutex_unlock(&handler_lock);

	if (fn) {
		fn(fault, ctx);
		return;
	}
	/* A cancel here would end the thread, and not the process. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &(int){0});
	fprintf(stderr, "metaslot: %s in %s: paddr 0x%llx, %s, ref_count %u, raw_count %u\n", fault->what, fault->call,
		(unsigned long long)fault->paddr, fault->status, fault->ref_count, fault->raw_count);
	abort();
}
