/* SPDX-License-Identifier: MIT
 *
 * Deals a trace out to threads.
 *
 * Promises: waiting for a step's dependencies, and nothing else, keeps the order of every frame; the plan knows nothing
 *           of the table that it is replayed on.
 * Needs:    memory of about 40 bytes an event, and of 20 a frame that the trace names.
 */
#include "replay_plan.h"

#include <stdlib.h>
#include <string.h>

struct planner {
	struct replay_plan *plan;
	uint32_t *places;      /* by pfn: its place, plus one; 0: the trace does not name it */
	uint16_t *last_member; /* by place: who touched it last, plus one; 0: nobody yet */
	uint32_t *last_step;
	uint32_t *known;  /* [member][other]: steps of other that member's earlier steps have waited for */
	uint32_t *wanted; /* [other]: of the step at hand */
	uint64_t nr_deps, room;
};

static bool push(uint32_t **list, uint64_t *nr, uint64_t *room, uint32_t value)
{
	if (*nr == *room) {
		uint64_t more = *room ? 2 * *room : 1024;
		uint32_t *grown = realloc(*list, more * sizeof(*grown));
		if (!grown)
			return false;
		*list = grown;
		*room = more;
	}
	(*list)[(*nr)++] = value;
	return true;
}

static uint32_t place_of(const struct planner *planner, const struct trace_event *event)
{
	return planner->places[event->pfn] - 1;
}

/* Of blocks that overlap, all frames get their places in a row. */
static bool find_places(struct planner *planner)
{
	struct replay_plan *plan = planner->plan;
	const struct trace *trace = plan->trace;
	bool *is_joined = calloc(trace->nr_frames, sizeof(*is_joined)); /* by pfn: some block has the next one, too */
	bool ok = is_joined && planner->places;
	uint64_t room = 0;

	for (uint64_t i = 0; ok && i < trace->nr_events; i++)
		memset(&is_joined[trace->events[i].pfn], true, (UINT32_C(1) << trace->events[i].order) - 1);
	for (uint64_t i = 0; ok && i < trace->nr_events; i++) {
		uint32_t pfn = trace->events[i].pfn;

		if (planner->places[pfn])
			continue;
		while (pfn && is_joined[pfn - 1])
			pfn--;
		do {
			ok = push(&plan->pfns, &plan->nr_places, &room, pfn);
			planner->places[pfn] = (uint32_t)plan->nr_places;
		} while (ok && is_joined[pfn++]);
	}
	free(is_joined);
	return ok;
}

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
				     .place = place_of(planner, event),
				     .event = event_index,
				     .first_dep = (uint32_t)planner->nr_deps,
				     .order = event->order,
				     .kind = event->kind,
				     .op = event->op};
	memset(planner->wanted, 0, plan->nr_members * sizeof(*planner->wanted));
	for (uint32_t at = step->place; at < step->place + (UINT32_C(1) << step->order); at++) {
		uint32_t last = planner->last_member[at];
		if (last && last != self + 1 && planner->last_step[at] + 1 > planner->wanted[last - 1])
			planner->wanted[last - 1] = planner->last_step[at] + 1;
		planner->last_member[at] = (uint16_t)(self + 1);
		planner->last_step[at] = step_index;
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

/* What is held and cached at the end, in the order in which the trace first names it. */
static bool find_leftovers(const struct planner *planner)
{
	struct replay_plan *plan = planner->plan;
	const struct trace *trace = plan->trace;
	bool *held = calloc(plan->nr_places + 1, sizeof(*held));
	int32_t *cached = calloc(plan->nr_places + 1, sizeof(*cached));
	uint64_t room[2] = {0, 0};
	bool ok = held && cached;

	for (uint64_t i = 0; ok && i < trace->nr_events; i++) {
		const struct trace_event *event = &trace->events[i];
		uint32_t place = place_of(planner, event);

		if (strchr("PAF", event->op))
			memset(&held[place], event->op != 'F', UINT32_C(1) << event->order);
		else if (event->op == 'I' || event->op == 'D')
			cached[place] += event->op == 'I' ? 1 : -1;
	}
	for (uint32_t place = 0; ok && place < plan->nr_places; place++) {
		ok = !held[place] || push(&plan->held, &plan->nr_held, &room[0], place);
		for (; ok && cached[place] > 0; cached[place]--)
			ok = push(&plan->cached, &plan->nr_cached, &room[1], place);
	}
	free(held);
	free(cached);
	return ok;
}

bool replay_plan_make(const struct trace *trace, unsigned nr_members, struct replay_plan *plan)
{
	struct planner planner = {.plan = plan};
	bool ok;

	*plan = (struct replay_plan){.trace = trace, .nr_members = nr_members};
	plan->members = calloc(nr_members, sizeof(*plan->members));
	/* Zeroed as it is touched: a trace pays for the frames that it names, not for all that it could. */
	planner.places = calloc(trace->nr_frames, sizeof(*planner.places));
	ok = find_places(&planner);
	planner.last_member = calloc(plan->nr_places + 1, sizeof(*planner.last_member));
	planner.last_step = calloc(plan->nr_places + 1, sizeof(*planner.last_step));
	planner.known = calloc((size_t)nr_members * nr_members, sizeof(*planner.known));
	planner.wanted = calloc(nr_members, sizeof(*planner.wanted));
	ok = ok && plan->members && planner.last_member && planner.last_step && planner.known && planner.wanted;
	for (uint64_t i = 0; ok && i < trace->nr_events; i++)
		plan->members[trace->events[i].cpu % nr_members].nr_steps++;
	for (unsigned m = 0; ok && m < nr_members; m++) {
		plan->members[m].steps = malloc((plan->members[m].nr_steps + 1) * sizeof(struct replay_step));
		ok = plan->members[m].steps;
		plan->members[m].nr_steps = 0;
	}
	for (uint64_t i = 0; ok && i < trace->nr_events; i++)
		ok = add_step(&planner, (uint32_t)i);
	ok = ok && find_leftovers(&planner);
	free(planner.places);
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
	free(plan->pfns);
	free(plan->held);
	free(plan->cached);
	*plan = (struct replay_plan){0};
}

uint64_t replay_parts(const struct trace *trace, unsigned shift)
{
	bool *is_named = calloc(((size_t)trace->nr_frames >> shift) + 1, sizeof(*is_named));
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
