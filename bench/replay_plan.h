/* SPDX-License-Identifier: MIT
 *
 * The plan of a replay: a trace dealt out to threads, with what each step has to wait for.
 *
 * A copy of the trace is replayed by `nr_members` threads; the events of cpu c are steps of member c % nr_members, in
 * file order. A step waits for the last earlier step of another member that touched one of its frames, so events of one
 * frame keep their order across cpus. Waits that an earlier step of the same member covers are left out.
 *
 * Frames have *places*: numbers in the order in which the trace first names them, a block's frames in a row. What a
 * replay keeps of each frame is indexed by them: it is small, and what is used together lies together. So what is timed
 * is the table, and not the replay's own cache misses.
 */
#ifndef BENCH_REPLAY_PLAN_H
#define BENCH_REPLAY_PLAN_H

#include "trace.h"

struct replay_dep {
	uint32_t member, step; /* that member must have done this step */
};

struct replay_step {
	uint32_t pfn, place; /* of the block's first frame */
	uint32_t event;	     /* index in the trace */
	uint32_t first_dep;  /* of nr_deps in the plan's deps */
	uint16_t nr_deps;
	uint8_t order;
	uint8_t kind;
	char op;
	bool is_awaited; /* another member waits for it: its end must be told */
};

struct replay_member {
	struct replay_step *steps;
	uint32_t nr_steps;
};

struct replay_plan {
	const struct trace *trace;
	unsigned nr_members;
	struct replay_member *members;
	struct replay_dep *deps;
	uint32_t *pfns; /* by place */
	uint64_t nr_places;
	/* The places of what the trace leaves behind. */
	uint32_t *held, *cached; /* a frame cached n times stands there n times */
	uint64_t nr_held, nr_cached;
};

/* False where memory runs out. */
bool replay_plan_make(const struct trace *trace, unsigned nr_members, struct replay_plan *plan);
void replay_plan_free(struct replay_plan *plan);
/* Of parts of 2^shift frames, how many the trace names; 0 where memory runs out. */
uint64_t replay_parts(const struct trace *trace, unsigned shift);

#endif
