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

/* Claims one frame; a frame in its grace period is waited for. */
static enum mslot_err claim(struct worker *worker, uint64_t paddr, unsigned kind, struct mslot_frame **out)
{
	struct run *run = worker->run;
	struct page_meta meta = {COOKIE(paddr), kind};
	enum mslot_err why = MSLOT_OK;
	struct mslot_frame *frame;
	uint64_t since = 0;

	while (!(frame = run->config->impl->frame_claim(run->region, paddr, &run->types[kind], &meta, &why))) {
		if (why != MSLOT_BUSY || !run->config->is_deferred || has_failed(run))
			return why;
		if (!since)
			since = now_ns();
		mslot_quiescent_state();
		sched_yield();
	}
	*out = frame;
	if (since) {
		worker->nr_waits++;
		worker->wait_ns += now_ns() - since;
	}
	return MSLOT_OK;
}

static const char *look_up(struct run *run, uint64_t paddr)
{
	const struct impl *impl = run->config->impl;
	const struct page_meta *meta = NULL;
	enum mslot_err why = MSLOT_OK;
	bool is_right;

	if (run->config->is_deferred) {
		impl_read_lock(impl);
		for (unsigned kind = 0; kind < TRACE_NR_KINDS && !meta; kind++)
			if (!(run->types[kind].flags & MSLOT_TYPE_IMMEDIATE))
				meta = impl->peek(run->region, paddr, &run->types[kind], &why);
		is_right = meta && meta->cookie == COOKIE(paddr);
		impl_read_unlock(impl);
		if (meta)
			return is_right ? NULL : "the metadata is another frame's";
		/* Of an immediate kind: it is looked up with a reference. */
	}
	struct mslot_frame *frame = impl->frame_get(run->region, paddr, &why);
	if (!frame)
		return mslot_err_name(why);
	for (unsigned kind = 0; kind < TRACE_NR_KINDS && !meta; kind++)
		meta = impl->frame_meta(frame, &run->types[kind]);
	is_right = meta && meta->cookie == COOKIE(paddr);
	impl->frame_drop(frame);
	return is_right ? NULL : "the metadata is another frame's";
}

static const char *apply(struct worker *worker, const struct replay_step *step)
{
	struct run *run = worker->run;
	const struct impl *impl = run->config->impl;
	struct mslot_frame **held = &worker->copy->held[step->pfn];
	uint64_t paddr = worker->copy->base + ((uint64_t)step->pfn << 12);
	uint32_t nr_frames = UINT32_C(1) << step->order;
	enum mslot_err why = MSLOT_OK;

	switch (step->op) {
	case 'P':
	case 'A':
		for (uint32_t i = 0; i < nr_frames && !why; i++)
			why = claim(worker, paddr + ((uint64_t)i << 12), step->kind, &held[i]);
		break;
	case 'F':
		for (uint32_t i = 0; i < nr_frames; i++) {
			if (!held[i])
				return "the frame is not allocated";
			impl->frame_drop(held[i]);
			held[i] = NULL;
		}
		break;
	case 'I':
		if (!held[0])
			return "the frame is not allocated";
		if (impl->frame_clone_into_raw(held[0]) != paddr)
			return "the reference could not be forgotten";
		break;
	case 'D':
		why = impl->frame_drop_raw(run->region, paddr);
		break;
	case 'G':
		return look_up(run, paddr);
	case 'M': {
		struct mslot_frame *frame = impl->frame_get(run->region, paddr, &why);
		if (frame)
			impl->frame_drop(frame);
		break;
	}
	}
	return why ? mslot_err_name(why) : NULL;
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
	copy->held = calloc(copy->run->trace->nr_frames, sizeof(*copy->held));
	return copy->held;
}

static bool open_worker(struct worker *worker)
{
	(void)worker;
	return true;
}

static uint64_t paddr_of(const struct copy *copy, uint32_t pfn)
{
	return copy->base + ((uint64_t)pfn << 12);
}

static const char *drop_cached(struct copy *copy, uint32_t pfn)
{
	enum mslot_err why = copy->run->config->impl->frame_drop_raw(copy->run->region, paddr_of(copy, pfn));

	return why ? mslot_err_name(why) : NULL;
}

static void drop_held(struct copy *copy, uint32_t pfn)
{
	copy->run->config->impl->frame_drop(copy->held[pfn]);
	copy->held[pfn] = NULL;
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

static void give_up(struct copy *copy, uint32_t pfn)
{
	if (copy->held[pfn])
		drop_held(copy, pfn);
	while (!drop_cached(copy, pfn))
		;
}

static void close_table(struct run *run)
{
	for (struct copy *copy = run->copies; copy && copy->run; copy++)
		free(copy->held);
	if (run->region)
		run->config->impl->region_destroy(run->region);
}

const struct replay_mode replay_by_address = {open_table, open_copy, open_worker, apply,   drop_cached,
					      drop_held,  barrier,   is_clean,	  give_up, close_table};
