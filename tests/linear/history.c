/* SPDX-License-Identifier: MIT
 *
 * Wing and Gong's check: searches for an order of the calls that the sequential reference answers in the same way.
 *
 * A call takes its place between its call and its return. Those that the library makes in steps that others can see
 * take a place a step: claim, then publish; put, then retire if that left nothing, then recycle. Positions and states
 * that were met before are not searched again.
 */
#include "history.h"

#include <stdio.h>
#include <string.h>

struct point {
	unsigned char next[LINEAR_THREADS], step[LINEAR_THREADS]; /* call of each thread, and how far it is */
	struct ref_slot slot[LINEAR_SLOTS];
};

enum { MAX_POINTS = 1 << 12 };

static struct search {
	const struct linear_history *history;
	struct point met[MAX_POINTS];
	unsigned nr_met;
} search;

/* Makes one step of a call. False if it cannot be explained here; *done if it was the last. */
static bool make_step(struct ref_slot *s, const struct linear_call *call, unsigned step, bool *done)
{
	enum mslot_err err = MSLOT_OK;
	struct ref_answer answer = REF_OK;

	*done = true;
	switch (call->op) {
	case LINEAR_CLAIM:
	case LINEAR_CLAIM_UNIQUE:
		if (step == 1) {
			ref_publish(s, call->op == LINEAR_CLAIM_UNIQUE, s->type, call->value);
			return true;
		}
		err = ref_claim(s);
		*done = err != MSLOT_OK;
		break;
	case LINEAR_DROP:
	case LINEAR_DROP_RAW:
		if (step == 0) {
			if (call->op == LINEAR_DROP)
				answer = ref_put(s);
			else
				err = ref_drop_raw(s);
			*done = err != MSLOT_OK;
			break;
		}
		if (step == 1)
			*done = !ref_retire(s);
		else
			ref_recycle(s);
		return true;
	case LINEAR_UNIQUE_DROP:
		if (step == 1)
			ref_recycle(s);
		else
			answer = ref_unique_drop(s);
		*done = step == 1;
		break;
	case LINEAR_GET:
		answer = ref_get(s);
		if (ref_is_ok(answer) && s->meta != call->value)
			return false;
		break;
	case LINEAR_CLONE:
		answer = ref_clone(s);
		break;
	case LINEAR_INTO_RAW:
	case LINEAR_CLONE_INTO_RAW:
		answer = ref_forget(s, call->op == LINEAR_CLONE_INTO_RAW);
		break;
	case LINEAR_FROM_RAW:
		answer = ref_from_raw(s);
		break;
	case LINEAR_TRY_UNIQUE:
		answer = ref_try_unique(s);
		break;
	case LINEAR_SHARE:
		answer = ref_share(s);
		break;
	case LINEAR_UNIQUE_INTO_RAW:
		answer = ref_unique_into_raw(s);
		break;
	case LINEAR_UNIQUE_FROM_RAW:
		err = ref_unique_from_raw(s);
		break;
	case LINEAR_NR_OPS:
		return false;
	}
	return !answer.fault && (answer.err ? answer.err : err) == call->err;
}

/* A step of `call` may come now: nothing that returned before it was called is left. */
static bool may_come(const struct point *at, const struct linear_call *call)
{
	for (unsigned t = 0; t < LINEAR_THREADS; t++)
		if (at->next[t] < search.history->nr[t] && search.history->call[t][at->next[t]].returned < call->called)
			return false;
	return true;
}

static bool was_met(const struct point *at)
{
	for (unsigned i = 0; i < search.nr_met; i++)
		if (!memcmp(&search.met[i], at, sizeof(*at)))
			return true;
	if (search.nr_met < MAX_POINTS)
		search.met[search.nr_met++] = *at;
	return false;
}

static bool explains(const struct point *at)
{
	bool all = true;

	if (was_met(at))
		return false;
	for (unsigned t = 0; t < LINEAR_THREADS; t++) {
		const struct linear_call *call = &search.history->call[t][at->next[t]];
		struct point then;
		bool done;

		if (at->next[t] == search.history->nr[t])
			continue;
		all = false;
		memcpy(&then, at, sizeof(then));
		if (!may_come(at, call) || !make_step(&then.slot[call->slot], call, then.step[t], &done))
			continue;
		then.step[t] = done ? 0 : then.step[t] + 1;
		then.next[t] += done;
		if (explains(&then))
			return true;
	}
	return all;
}

bool linear_is_explained(const struct linear_history *history)
{
	struct point begin;

	/* Compared as bytes, so that what lies between its members is zero. */
	memset(&begin, 0, sizeof(begin));
	memcpy(begin.slot, history->begin, sizeof(begin.slot));
	search.history = history;
	search.nr_met = 0;
	return explains(&begin);
}

void linear_print(const struct linear_history *history)
{
	static const char *const names[LINEAR_NR_OPS] = {
		"claim",    "claim_unique", "get",	  "clone", "drop",	  "into_raw",	"clone_raw",
		"from_raw", "drop_raw",	    "try_unique", "share", "unique_drop", "u_into_raw", "u_from_raw",
	};

	for (unsigned t = 0; t < LINEAR_THREADS; t++)
		for (unsigned i = 0; i < history->nr[t]; i++) {
			const struct linear_call *call = &history->call[t][i];
			fprintf(stderr, "thread %u: %llu-%llu  %s(%u) = error %d, %llu\n", t,
				(unsigned long long)call->called, (unsigned long long)call->returned, names[call->op],
				call->slot, (int)call->err, (unsigned long long)call->value);
		}
}
