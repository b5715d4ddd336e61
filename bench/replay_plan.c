/* SPDX-License-Identifier: MIT
 *
 * Deals a trace out to threads.
 *
 * Promises: waiting for a step's dependencies, and nothing else, keeps the order of every frame; the plan knows nothing
 *           of the table that it is replayed on.
 * Needs:    memory of about 40 bytes an event, and of 11 a frame that the trace names.
 */
#include "replay_plan.h"

#include <stdlib.h>
#include <string.h>

struct planner {
	struct replay_plan *plan;
	uint16_t *last_member; /* by pfn: who touched it last, plus one; 0: nobody yet */
	uint32_t *last_step;
	uint32_t *known;  /* [member][other]: steps of other that member's earlier steps have waited for */
	uint32_t *wanted; /* [other]: of the step at hand */
	uint64_t nr_deps, room;
};

static bool add_dep(struct planner *planner, uint32_t other, uint32_t step)
{
	struct replay_plan *plan = planner->plan;

	if (planner->nr_deps == planner->room) {
		planner->room = planner->room ? 2 * planner->room : 1024;
		struct replay_dep *more = realloc(plan->deps, planner->room * sizeof(*more));
		if (!more)
			return false;
		plan->deps = more;
	}
	plan->deps[planner->nr_deps++] = (struct replay_dep){other, step};
	plan->members[other].steps[step].is_awaited = true;
	return true;
}

static bool add_step(struct planner *planner, uint32_t event_index)
{
	struct replay_plan *plan = planner->plan;
	const struct trace_event *event = &plan->trace->events[event_index];
	uint32_t self = event->cpu % plan->nr_members;
	struct replay_member *member = &plan->members[self];
	uint32_t step_index = member->nr_steps++, *known = &planner->known[self * plan->nr_members];
	struct replay_step *step = &member->steps[step_index];

	*step = (struct replay_step){.pfn = event->pfn,
				     .event = event_index,
				     .first_dep = (uint32_t)planner->nr_deps,
				     .order = event->order,
				     .kind = event->kind,
				     .op = event->op};
	memset(planner->wanted, 0, plan->nr_members * sizeof(*planner->wanted));
	for (uint32_t pfn = event->pfn; pfn < event->pfn + (UINT32_C(1) << event->order); pfn++) {
		uint32_t last = planner->last_member[pfn];
		if (last && last != self + 1 && planner->last_step[pfn] + 1 > planner->wanted[last - 1])
			planner->wanted[last - 1] = planner->last_step[pfn] + 1;
		planner->last_member[pfn] = (uint16_t)(self + 1);
		planner->last_step[pfn] = step_index;
	}
	for (uint32_t other = 0; other < plan->nr_members; other++) {
		if (planner->wanted[other] <= known[other])
			continue;
		known[other] = planner->wanted[other];
		if (!add_dep(planner, other, planner->wanted[other] - 1))
			return false;
		step->nr_deps++;
	}
	return true;
}

static bool push(uint32_t **list, uint64_t *nr, uint64_t *room, uint32_t pfn)
{
	if (*nr == *room) {
		uint64_t more = *room ? 2 * *room : 1024;
		uint32_t *grown = realloc(*list, more * sizeof(*grown));
		if (!grown)
			return false;
		*list = grown;
		*room = more;
	}
	(*list)[(*nr)++] = pfn;
	return true;
}

/* Lists what is left of the frames of one event, and takes it off, so that it is listed once. */
static bool list_leftovers(struct replay_plan *plan, const struct trace_event *event, uint8_t *held, int32_t *cached,
			   uint64_t room[2])
{
	for (uint32_t pfn = event->pfn; pfn < event->pfn + (UINT32_C(1) << event->order); pfn++) {
		for (; held[pfn]; held[pfn] = 0)
			if (!push(&plan->held_pfns, &plan->nr_held, &room[0], pfn))
				return false;
		for (; cached[pfn] > 0; cached[pfn]--)
			if (!push(&plan->cached_pfns, &plan->nr_cached, &room[1], pfn))
				return false;
	}
	return true;
}

/* What is held and cached at the end, in the order in which the trace first names it. */
static bool find_leftovers(struct replay_plan *plan)
{
	const struct trace *trace = plan->trace;
	uint8_t *held = calloc(trace->nr_frames, sizeof(*held));
	int32_t *cached = calloc(trace->nr_frames, sizeof(*cached));
	uint64_t room[2] = {0, 0};
	bool ok = held && cached;

	for (uint64_t i = 0; ok && i < trace->nr_events; i++) {
		const struct trace_event *event = &trace->events[i];

		if (strchr("PAF", event->op))
			memset(&held[event->pfn], event->op != 'F', UINT32_C(1) << event->order);
		else if (event->op == 'I' || event->op == 'D')
			cached[event->pfn] += event->op == 'I' ? 1 : -1;
	}
	for (uint64_t i = 0; ok && i < trace->nr_events; i++)
		ok = list_leftovers(plan, &trace->events[i], held, cached, room);
	free(held);
	free(cached);
	return ok;
}

bool replay_plan_make(const struct trace *trace, unsigned nr_members, struct replay_plan *plan)
{
	struct planner planner = {.plan = plan};
	bool ok = true;

	*plan = (struct replay_plan){.trace = trace, .nr_members = nr_members};
	plan->members = calloc(nr_members, sizeof(*plan->members));
	/* Zeroed as it is touched: a trace pays for the frames that it names, not for all that it could. */
	planner.last_member = calloc(trace->nr_frames, sizeof(*planner.last_member));
	planner.last_step = calloc(trace->nr_frames, sizeof(*planner.last_step));
	planner.known = calloc((size_t)nr_members * nr_members, sizeof(*planner.known));
	planner.wanted = calloc(nr_members, sizeof(*planner.wanted));
	ok = plan->members && planner.last_member && planner.last_step && planner.known && planner.wanted;
	for (uint64_t i = 0; ok && i < trace->nr_events; i++)
		plan->members[trace->events[i].cpu % nr_members].nr_steps++;
	for (unsigned m = 0; ok && m < nr_members; m++) {
		plan->members[m].steps = malloc((plan->members[m].nr_steps + 1) * sizeof(struct replay_step));
		ok = plan->members[m].steps;
		plan->members[m].nr_steps = 0;
	}
	for (uint64_t i = 0; ok && i < trace->nr_events; i++)
		ok = add_step(&planner, (uint32_t)i);
	ok = ok && find_leftovers(plan);
	free(planner.last_member);
	free(planner.last_step);
	free(planner.known);
	free(planner.wanted);
	if (!ok)
		replay_plan_free(plan);
	return ok;
}

void replay_plan_free(struct replay_plan *plan)
{
	for (unsigned m = 0; plan->members && m < plan->nr_members; m++)
		free(plan->members[m].steps);
	free(plan->members);
	free(plan->deps);
	free(plan->held_pfns);
	free(plan->cached_pfns);
	*plan = (struct replay_plan){0};
}

uint64_t replay_parts(const struct trace *trace, unsigned shift)
{
	bool *is_named = calloc((trace->nr_frames >> shift) + 1, sizeof(*is_named));
	uint64_t nr = 0;

	for (uint64_t i = 0; is_named && i < trace->nr_events; i++) {
		const struct trace_event *event = &trace->events[i];
		uint32_t last = (event->pfn + (UINT32_C(1) << event->order) - 1) >> shift;

		for (uint32_t part = event->pfn >> shift; part <= last; part++) {
			nr += !is_named[part];
			is_named[part] = true;
		}
	}
	free(is_named);
	return nr;
}
