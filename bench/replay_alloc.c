/* SPDX-License-Identifier: MIT
 *
 * Alloc mode: the allocator chooses the frames, and the trace's frames stand for those that it gave.
 *
 * Promises: an event that cannot be applied is named with its reason; nothing is skipped. What a frame holds is checked
 *           here, at the same price for every allocator, as some check nothing. The metadata names the trace's frame:
 *           a frame that is handed out twice is seen by the look-up of its first holder.
 * Needs:    alloc_impl.h for the allocators. Whose turn it is, is the caller's business.
 */
#include "replay_state.h"

#include <stdlib.h>
#include <string.h>

/* More than the traces name: their kernel placed runs otherwise, and retired frames are not free yet. */
#define FRAMES_PER_FRAME 4
#define FRAMES_MORE 4096

static uint64_t cookie_of(const struct copy *copy, uint32_t pfn)
{
	return UINT64_C(0x9e3779b97f4a7c15) + copy->base + pfn;
}

static const char *allocate(struct worker *worker, const struct replay_step *step)
{
	struct copy *copy = worker->copy;
	struct run *run = worker->run;
	struct traced_frame *frame = &copy->frames[step->place];
	uint32_t nr = UINT32_C(1) << step->order;
	uint64_t meta[2] = {cookie_of(copy, step->pfn), step->kind};

	for (uint32_t i = 0; i < nr; i++) {
		if (frame[i].is_held || frame[i].cached) {
			worker->wrong = i;
			return frame[i].is_held ? ALLOCATED_ALREADY : HAS_IN_CACHE;
		}
	}
	if (nr == 1) {
		worker->run_items[0] = run->config->alloc->alloc(run->pool, &run->types[step->kind], meta);
		if (!worker->run_items[0])
			return mslot_err_name(MSLOT_NO_MEMORY);
	} else if (!run->config->alloc->alloc_run(run->pool, step->order, &run->types[step->kind], meta,
						  worker->run_items)) {
		return mslot_err_name(MSLOT_NO_MEMORY);
	}
	for (uint32_t i = 0; i < nr; i++)
		frame[i] = (struct traced_frame){.item = worker->run_items[i], .kind = step->kind, .is_held = true};
	return NULL;
}

static const char *put(struct worker *worker, const struct replay_step *step)
{
	struct traced_frame *frame = &worker->copy->frames[step->place];
	uint32_t nr = UINT32_C(1) << step->order;

	for (uint32_t i = 0; i < nr; i++)
		if (!frame[i].is_held) {
			worker->wrong = i;
			return NOT_ALLOCATED;
		}
	for (uint32_t i = 0; i < nr; i++) {
		frame[i].is_held = false;
		worker->run_items[i] = frame[i].item;
	}
	worker->run->config->alloc->put(worker->run->pool, step->order, worker->run_items);
	return NULL;
}

static const char *drop_cached(struct copy *copy, uint32_t place)
{
	struct traced_frame *frame = &copy->frames[place];

	if (!frame->cached)
		return NOT_IN_CACHE;
	frame->cached--;
	return copy->run->config->alloc->put_forgotten(copy->run->pool, frame->item) ? NULL : "no reference is left";
}

static const char *apply(struct worker *worker, const struct replay_step *step)
{
	struct copy *copy = worker->copy;
	const struct alloc_impl *alloc = worker->run->config->alloc;
	void *pool = worker->run->pool;
	struct traced_frame *frame = &copy->frames[step->place];

	switch (step->op) {
	case 'P':
	case 'A':
		return allocate(worker, step);
	case 'F':
		return put(worker, step);
	case 'I':
		if (!frame->is_held)
			return NOT_ALLOCATED;
		frame->cached++;
		return alloc->forget(pool, frame->item) ? NULL : "the reference could not be forgotten";
	case 'D':
		return drop_cached(copy, step->place);
	case 'G':
		if (!frame->is_held && !frame->cached)
			return NOT_ALLOCATED;
		return alloc->look(pool, frame->item, &worker->run->types[frame->kind], cookie_of(copy, step->pfn))
			       ? NULL
			       : "the metadata is another frame's";
	case 'M':
		if (!frame->is_held && !frame->cached)
			return NOT_ALLOCATED;
		return alloc->get_put(pool, frame->item) ? NULL : "no reference could be taken";
	}
	return NULL;
}

/*
 * Of the pool, as measured, up to eight slots for each frame that is in use at the worst: huge pages are filled
 * unevenly, above all where runs are split.
 */
static uint64_t copy_bytes(const struct trace *trace)
{
	int64_t in_use = 0, most = 0;

	for (uint64_t i = 0; i < trace->nr_events; i++) {
		const struct trace_event *event = &trace->events[i];

		if (strchr("PAF", event->op))
			in_use += event->op == 'F' ? -(INT64_C(1) << event->order) : INT64_C(1) << event->order;
		most = in_use > most ? in_use : most;
	}
	return (uint64_t)most * 8 * MSLOT_SLOT_BYTES + replay_parts(trace, 0) * sizeof(struct traced_frame);
}

static const char *open_pool(struct run *run, uint64_t nr_frames)
{
	run->pool = run->config->alloc->create(FRAMES_PER_FRAME * nr_frames + FRAMES_MORE);
	return run->pool ? NULL : mslot_err_name(MSLOT_NO_MEMORY);
}

static bool open_copy(struct copy *copy)
{
	copy->frames = calloc(copy->plan->nr_places + 1, sizeof(*copy->frames));
	return copy->frames;
}

static bool open_worker(struct worker *worker)
{
	worker->run_items = malloc(sizeof(*worker->run_items) << ALLOC_MAX_ORDER);
	return worker->run_items;
}

static void drop_held(struct copy *copy, uint32_t place)
{
	copy->frames[place].is_held = false;
	copy->run->config->alloc->put(copy->run->pool, 0, &copy->frames[place].item);
}

static void barrier(struct run *run)
{
	run->config->alloc->barrier(run->pool);
}

static bool is_clean(struct run *run, uint64_t *nr_broken)
{
	return run->config->alloc->is_clean(run->pool, nr_broken);
}

static void give_up(struct copy *copy, uint32_t place)
{
	if (copy->frames[place].is_held)
		drop_held(copy, place);
	while (copy->frames[place].cached)
		(void)drop_cached(copy, place);
}

static void close_pool(struct run *run)
{
	for (unsigned i = 0; run->workers && i < run->config->nr_threads; i++)
		free(run->workers[i].run_items);
	for (struct copy *copy = run->copies; copy && copy->run; copy++)
		free(copy->frames);
	if (run->pool)
		run->config->alloc->destroy(run->pool);
}

const struct replay_mode replay_by_alloc = {copy_bytes, open_pool, open_copy, open_worker, apply,     drop_cached,
					    drop_held,	barrier,   is_clean,  give_up,	   close_pool};
