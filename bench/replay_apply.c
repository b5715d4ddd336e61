/* SPDX-License-Identifier: MIT
 *
 * Applies one event of a trace to the table.
 *
 * Promises: an event that cannot be applied is named with its reason; nothing is skipped.
 * Needs:    impl.h for the table. Whose turn it is, is the caller's business.
 */
#include "replay_state.h"

#include <metaslot/metaslot.h>

#include <sched.h>

#define COOKIE(paddr) ((paddr) ^ UINT64_C(0x9e3779b97f4a7c15))

/* Claims one frame; a frame in its grace period is waited for. */
static enum mslot_err claim(struct worker *worker, uint64_t paddr, unsigned kind, struct mslot_frame **out)
{
	struct run *run = worker->run;
	struct page_meta meta = {COOKIE(paddr), kind};
	enum mslot_err why = MSLOT_OK;
	struct mslot_frame *frame;
	uint64_t since = 0;

	while (!(frame = run->impl->frame_claim(run->region, paddr, &run->types[kind], &meta, &why))) {
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
	const struct impl *impl = run->impl;
	const struct page_meta *meta = NULL;
	enum mslot_err why = MSLOT_OK;
	bool is_right;

	if (run->config->is_deferred) {
		impl->read_lock();
		for (unsigned kind = 0; kind < TRACE_NR_KINDS && !meta; kind++)
			if (!(run->types[kind].flags & MSLOT_TYPE_IMMEDIATE))
				meta = impl->peek(run->region, paddr, &run->types[kind], &why);
		is_right = meta && meta->cookie == COOKIE(paddr);
		impl->read_unlock();
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

const char *replay_apply(struct worker *worker, const struct replay_step *step)
{
	struct run *run = worker->run;
	const struct impl *impl = run->impl;
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
