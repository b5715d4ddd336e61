/* SPDX-License-Identifier: MIT
 *
 * Address mode: applies the events of a trace to the frames that it names.
 *
 * Promises: an event that cannot be applied is named with its reason; nothing is skipped.
 * Needs:    impl.h for the table. Whose turn it is, is the caller's business.
 */
#include "replay_state.h"

#include <metaslot/metaslot.h>

#include <sched.h>
#include <stdlib.h>

#define COOKIE(paddr) ((paddr) ^ UINT64_C(0x9e3779b97f4a7c15))

/* Out of line, so that each event saves the registers that it needs, and no other one's: what is timed is the table. */
#define EVENT __attribute__((noinline)) static const char *

static uint64_t paddr_of(const struct copy *copy, uint32_t pfn)
{
	return copy->base + ((uint64_t)pfn << 12);
}

/* Why no reference to a frame could be taken. */
static const char *why_no_get(enum mslot_err why)
{
	return why == MSLOT_UNUSED || why == MSLOT_BUSY ? NOT_ALLOCATED : mslot_err_name(why);
}

/* A frame in its grace period is waited for. `out` has who holds the frame. */
EVENT claim_again(struct worker *worker, uint64_t paddr, unsigned kind, struct mslot_frame **out, enum mslot_err why)
{
	struct run *run = worker->run;
	struct page_meta meta = {COOKIE(paddr), kind};
	struct mslot_frame *frame;
	uint64_t since = now_ns();

	do {
		if (why == MSLOT_IN_USE)
			return *out ? ALLOCATED_ALREADY : HAS_IN_CACHE;
		if (why != MSLOT_BUSY || !run->config->is_deferred || has_failed(run))
			return mslot_err_name(why);
		mslot_quiescent_state();
		sched_yield();
		frame = run->config->impl->frame_claim(run->region, paddr, &run->types[kind], &meta, &why);
	} while (!frame);
	*out = frame;
	worker->nr_waits++;
	worker->wait_ns += now_ns() - since;
	return NULL;
}

EVENT claim(struct worker *worker, const struct replay_step *step)
{
	struct run *run = worker->run;
	uint64_t paddr = paddr_of(worker->copy, step->pfn);
	struct mslot_frame **held = &worker->copy->held[step->place];
	const char *error = NULL;

	for (uint32_t i = 0; i < UINT32_C(1) << step->order && !error; i++, paddr += UINT64_C(1) << 12) {
		struct page_meta meta = {COOKIE(paddr), step->kind};
		enum mslot_err why = MSLOT_OK;
		struct mslot_frame *frame =
			run->config->impl->frame_claim(run->region, paddr, &run->types[step->kind], &meta, &why);

		if (frame)
			held[i] = frame;
		else if ((error = claim_again(worker, paddr, step->kind, &held[i], why)))
			worker->wrong = i;
	}
	return error;
}

EVENT drop(struct worker *worker, const struct replay_step *step)
{
	struct mslot_frame **held = &worker->copy->held[step->place];

	for (uint32_t i = 0; i < UINT32_C(1) << step->order; i++) {
		if (!held[i]) {
			worker->wrong = i;
			return NOT_ALLOCATED;
		}
		worker->run->config->impl->frame_drop(held[i]);
		held[i] = NULL;
	}
	return NULL;
}

EVENT forget(struct worker *worker, const struct replay_step *step)
{
	struct mslot_frame *held = worker->copy->held[step->place];

	if (!held)
		return NOT_ALLOCATED;
	if (worker->run->config->impl->frame_clone_into_raw(held) != paddr_of(worker->copy, step->pfn))
		return "the reference could not be forgotten";
	return NULL;
}

static const char *drop_raw(struct copy *copy, uint32_t pfn)
{
	return copy->run->config->impl->frame_drop_raw(copy->run->region, paddr_of(copy, pfn)) ? NOT_IN_CACHE : NULL;
}

EVENT drop_forgotten(struct worker *worker, const struct replay_step *step)
{
	return drop_raw(worker->copy, step->pfn);
}

EVENT get_drop(struct worker *worker, const struct replay_step *step)
{
	struct run *run = worker->run;
	enum mslot_err why = MSLOT_OK;
	struct mslot_frame *frame = run->config->impl->frame_get(run->region, paddr_of(worker->copy, step->pfn), &why);

	if (!frame)
		return why_no_get(why);
	run->config->impl->frame_drop(frame);
	return NULL;
}

static const char *const wrong_metadata = "the metadata is another frame's";

/* By peek; or NULL and *is_deferred false, where the frame is of an immediate kind. */
static const char *peek(struct worker *worker, uint64_t paddr, bool *is_deferred)
{
	struct run *run = worker->run;
	const struct impl *impl = run->config->impl;
	const struct page_meta *meta = NULL;
	enum mslot_err why = MSLOT_OK;
	bool is_right;

	impl_read_lock(impl);
	for (unsigned kind = 0; kind < TRACE_NR_KINDS && !meta; kind++)
		if (!(run->types[kind].flags & MSLOT_TYPE_IMMEDIATE))
			meta = impl->peek(run->region, paddr, &run->types[kind], &why);
	is_right = meta && meta->cookie == COOKIE(paddr);
	impl_read_unlock(impl);
	*is_deferred = meta;
	return meta && !is_right ? wrong_metadata : NULL;
}

EVENT look_up(struct worker *worker, const struct replay_step *step)
{
	struct run *run = worker->run;
	const struct impl *impl = run->config->impl;
	uint64_t paddr = paddr_of(worker->copy, step->pfn);
	const struct page_meta *meta = NULL;
	enum mslot_err why = MSLOT_OK;
	bool is_right, is_deferred;

	if (run->config->is_deferred) {
		const char *error = peek(worker, paddr, &is_deferred);
		if (is_deferred)
			return error;
	}
	struct mslot_frame *frame = impl->frame_get(run->region, paddr, &why);
	if (!frame)
		return why_no_get(why);
	for (unsigned kind = 0; kind < TRACE_NR_KINDS && !meta; kind++)
		meta = impl->frame_meta(frame, &run->types[kind]);
	is_right = meta && meta->cookie == COOKIE(paddr);
	impl->frame_drop(frame);
	return is_right ? NULL : wrong_metadata;
}

static const char *apply(struct worker *worker, const struct replay_step *step)
{
	switch (step->op) {
	case 'P':
	case 'A':
		return claim(worker, step);
	case 'F':
		return drop(worker, step);
	case 'I':
		return forget(worker, step);
	case 'D':
		return drop_forgotten(worker, step);
	case 'G':
		return look_up(worker, step);
	case 'M':
		return get_drop(worker, step);
	default:
		return NULL;
	}
}

/* Slots come in huge pages of 32768, as their frames are named. */
static uint64_t copy_bytes(const struct trace *trace)
{
	return (replay_parts(trace, 15) << 21) + replay_parts(trace, 0) * sizeof(struct mslot_frame *);
}

static const char *open_table(struct run *run, uint64_t nr_frames)
{
	enum mslot_err why = MSLOT_OK;

	run->region = run->config->impl->region_create(
		&(struct mslot_region_config){.nr_frames = nr_frames, .huge_pages = true}, &why);
	return run->region ? NULL : mslot_err_name(why);
}

static bool open_copy(struct copy *copy)
{
	copy->held = calloc(copy->plan->nr_places + 1, sizeof(*copy->held));
	return copy->held;
}

static bool open_worker(struct worker *worker)
{
	(void)worker;
	return true;
}

static const char *drop_cached(struct copy *copy, uint32_t place)
{
	return drop_raw(copy, copy->plan->pfns[place]);
}

static void drop_held(struct copy *copy, uint32_t place)
{
	copy->run->config->impl->frame_drop(copy->held[place]);
	copy->held[place] = NULL;
}

static void barrier(struct run *run)
{
	run->config->impl->barrier(run->region);
}

static bool is_clean(struct run *run, uint64_t *nr_broken)
{
	const struct impl *impl = run->config->impl;
	struct mslot_audit found = {0};

	if (!impl->can_defer)
		return impl->is_clean(run->region);
	/* After the barrier of the last round nothing waits for a grace period, either. */
	if (mslot_audit(run->region, &found))
		return false;
	*nr_broken = found.nr_broken;
	return impl->is_clean(run->region) && found.by_status[MSLOT_STATUS_UNUSED] == found.nr_frames;
}

static void give_up(struct copy *copy, uint32_t place)
{
	if (copy->held[place])
		drop_held(copy, place);
	while (!drop_cached(copy, place))
		;
}

static void close_table(struct run *run)
{
	for (struct copy *copy = run->copies; copy && copy->run; copy++)
		free(copy->held);
	if (run->region)
		run->config->impl->region_destroy(run->region);
}

const struct replay_mode replay_by_address = {copy_bytes, open_table, open_copy, open_worker, apply,	  drop_cached,
					      drop_held,  barrier,    is_clean,	 give_up,     close_table};
