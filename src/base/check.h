/* SPDX-License-Identifier: MIT
 *
 * Faults, and the checks of our own code.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <metaslot/error.h>

/* Ours, in debug builds only: something that cannot be. Never for the caller's mistakes. */
#ifdef NDEBUG
#define CHECK(condition) ((void)sizeof(condition))
#else
#include <assert.h>
#define CHECK(condition) assert(condition)
#endif

#define LIKELY(condition) __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define COLD __attribute__((cold, noinline))
/* What it calls becomes part of it. A public call that is one move then saves no registers: a store to the stack before
 * a locked instruction makes that one slower. Calls that would spoil this are NOINLINE or COLD. */
#define FLATTEN __attribute__((flatten))
#define NOINLINE __attribute__((noinline))

/* Tells the handler. Returns where the handler does; the caller has already undone itself. */
COLD void fault_report(const struct mslot_fault *fault);

/* Sets *why, if it is asked for. */
static inline void why_set(enum mslot_err *why, enum mslot_err err)
{
	if (why)
		*why = err;
}

/* The same for a call that returns a pointer: gives NULL. */
static inline void *why_null(enum mslot_err *why, enum mslot_err err)
{
	why_set(why, err);
	return NULL;
}

#endif
