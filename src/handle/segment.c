/* SPDX-License-Identifier: MIT
 *
 * Segments: each call is its frame's call, over a range, all or nothing.
 *
 * Promises: what segment.h says. A refused call has changed nothing; an empty segment leads to no frame.
 * Needs:    slot.c for the moves, reclaim.c for what follows the last put.
 */
#include "handle/handle.h"

#include <metaslot/segment.h>

/* The slots of a segment that its holder vouches for; 0 for an empty one. */
static uint64_t segment_slots(const struct mslot_segment *segment, struct slot **first)
{
	uint64_t nr = 0;

	if (!segment || !segment->region || region_slots(segment->region, segment->start, segment->end, first, &nr))
		return 0;
	return nr;
}

static void segment_clear(struct mslot_segment *segment)
{
	segment->start = segment->end = 0;
}

void slots_publish(struct mslot_region *region, struct slot *slots, uint64_t nr, const struct mslot_type *type,
		   void (*init_fn)(void *ctx, uint64_t paddr, void *meta), void *ctx)
{
	for (uint64_t i = 0; i < nr; i++) {
		slot_fill(&slots[i], type, NULL);
		if (init_fn)
			init_fn(ctx, slot_paddr(region, &slots[i]), slots[i].meta);
	}
	for (uint64_t i = 0; i < nr; i++)
		slot_publish(&slots[i], slot_word(&slots[i]));
}

enum mslot_err mslot_segment_claim(struct mslot_region *region, uint64_t start, uint64_t end,
				   const struct mslot_type *type,
				   void (*init_fn)(void *ctx, uint64_t paddr, void *meta), void *ctx,
				   struct mslot_segment *out)
{
	enum mslot_err err;
	struct slot *slots = NULL;
	uint64_t nr = 0, claimed;

	HARDENED_REGISTERED("mslot_segment_claim", MSLOT_INVALID);
	if (!out)
		return MSLOT_INVALID;
	err = region_slots(region, start, end, &slots, &nr);
	if (!err)
		err = claim_prepare(region, type);
	for (uint64_t i = 0; i < nr && !err; i++) {
		err = claim_slot(region, &slots[i], &claimed);
		for (uint64_t held = i; err && held--;)
			claim_undo(&slots[held]);
	}
	if (err) {
		claim_refused(err);
		return err;
	}
	slots_publish(region, slots, nr, type, init_fn, ctx);
	*out = (struct mslot_segment){region, start, end};
	return MSLOT_OK;
}

void mslot_segment_drop(struct mslot_segment *segment)
{
	struct slot *slots;
	uint64_t nr = segment_slots(segment, &slots);

	HARDENED_REGISTERED("mslot_segment_drop", );
	if (!nr)
		return;
	segment_clear(segment);
	for (uint64_t i = 0; i < nr; i++)
		slot_verdict_settle(&slots[i], slot_put(&slots[i]), "mslot_segment_drop");
}

static enum mslot_err fault_err(enum mslot_fault_kind fault)
{
	return fault == MSLOT_FAULT_OVERFLOW ? MSLOT_OVERFLOW : MSLOT_INVALID;
}

static enum mslot_err clone_slots(struct slot *slots, uint64_t nr, const char *call)
{
	for (uint64_t i = 0; i < nr; i++) {
		struct slot_verdict verdict = slot_clone(&slots[i]);

		if (LIKELY(verdict.fault == MSLOT_FAULT_NONE))
			continue;
		for (uint64_t done = i; done--;)
			slot_verdict_settle(&slots[done], slot_put(&slots[done]), call);
		slot_verdict_settle(&slots[i], verdict, call);
		return fault_err(verdict.fault);
	}
	return MSLOT_OK;
}

enum mslot_err mslot_segment_clone(const struct mslot_segment *segment, struct mslot_segment *out)
{
	struct slot *slots;
	uint64_t nr = segment_slots(segment, &slots);
	enum mslot_err err;

	HARDENED_REGISTERED("mslot_segment_clone", MSLOT_INVALID);
	if (!nr || !out || out == segment)
		return MSLOT_INVALID;
	err = clone_slots(slots, nr, "mslot_segment_clone");
	if (!err)
		*out = *segment;
	return err;
}

enum mslot_err mslot_segment_slice(const struct mslot_segment *segment, uint64_t from, uint64_t to,
				   struct mslot_segment *out)
{
	struct slot *slots;
	uint64_t nr = segment_slots(segment, &slots);
	enum mslot_err err;

	HARDENED_REGISTERED("mslot_segment_slice", MSLOT_INVALID);
	if (!nr || !out || out == segment || from >= to)
		return MSLOT_INVALID;
	unsigned shift = segment->region->frame_shift;
	if ((from | to) & ((UINT64_C(1) << shift) - 1))
		return MSLOT_NOT_ALIGNED;
	if (to > segment->end - segment->start)
		return MSLOT_OUT_OF_BOUND;
	err = clone_slots(slots + (from >> shift), (to - from) >> shift, "mslot_segment_slice");
	if (!err)
		*out = (struct mslot_segment){segment->region, segment->start + from, segment->start + to};
	return err;
}

enum mslot_err mslot_segment_split(struct mslot_segment *segment, uint64_t at, struct mslot_segment *out)
{
	struct slot *slots;

	HARDENED_REGISTERED("mslot_segment_split", MSLOT_INVALID);
	if (!segment_slots(segment, &slots) || !out || out == segment)
		return MSLOT_INVALID;
	if (at & ((UINT64_C(1) << segment->region->frame_shift) - 1))
		return MSLOT_NOT_ALIGNED;
	if (at == 0 || at >= segment->end - segment->start)
		return MSLOT_OUT_OF_BOUND;
	*out = (struct mslot_segment){segment->region, segment->start + at, segment->end};
	segment->end = segment->start + at;
	return MSLOT_OK;
}

struct mslot_frame *mslot_segment_next(struct mslot_segment *segment)
{
	struct slot *slots;
	uint64_t nr = segment_slots(segment, &slots);

	HARDENED_REGISTERED("mslot_segment_next", NULL);
	if (!nr)
		return NULL;
	if (nr == 1)
		segment_clear(segment);
	else
		segment->start += UINT64_C(1) << segment->region->frame_shift;
	return slot_frame(slots);
}

enum mslot_err mslot_segment_from_frame(struct mslot_frame *frame, struct mslot_segment *out)
{
	HARDENED_REGISTERED("mslot_segment_from_frame", MSLOT_INVALID);
	if (!frame || !out)
		return MSLOT_INVALID;
	struct mslot_region *region = mslot_frame_region(frame);
	uint64_t paddr = mslot_frame_paddr(frame);
	*out = (struct mslot_segment){region, paddr, paddr + (UINT64_C(1) << region->frame_shift)};
	return MSLOT_OK;
}

enum mslot_err mslot_segment_into_raw(struct mslot_segment *segment, uint64_t *start, uint64_t *end)
{
	struct slot *slots;
	uint64_t nr = segment_slots(segment, &slots);

	HARDENED_REGISTERED("mslot_segment_into_raw", MSLOT_INVALID);
	if (!nr || !start || !end)
		return MSLOT_INVALID;
	for (uint64_t i = 0; i < nr; i++) {
		struct slot_verdict verdict = slot_forget(&slots[i], INTO_RAW);

		if (LIKELY(verdict.fault == MSLOT_FAULT_NONE))
			continue;
		for (uint64_t done = 0; done < i; done++)
			(void)slot_from_raw(&slots[done]);
		slot_verdict_settle(&slots[i], verdict, "mslot_segment_into_raw");
		return fault_err(verdict.fault);
	}
	*start = segment->start;
	*end = segment->end;
	segment_clear(segment);
	return MSLOT_OK;
}

enum mslot_err mslot_segment_from_raw(struct mslot_region *region, uint64_t start, uint64_t end,
				      struct mslot_segment *out)
{
	enum mslot_err err;
	struct slot *slots = NULL;
	uint64_t nr = 0, next;

	HARDENED_REGISTERED("mslot_segment_from_raw", MSLOT_INVALID);
	if (!out)
		return MSLOT_INVALID;
	err = region_slots(region, start, end, &slots, &nr);
	/* A look first: where a reference is missing, none is taken from others, not even for a moment. */
	for (uint64_t i = 0; i < nr && !err; i++)
		err = state_from_raw(slot_word(&slots[i]), &next);
	if (err && err != MSLOT_OVERFLOW)
		return err;
	for (uint64_t i = 0; i < nr; i++) {
		err = slot_from_raw(&slots[i]);
		if (err) {
			uint64_t seen = slot_word(&slots[i]);

			for (uint64_t done = i; done--;)
				slot_verdict_settle(&slots[done], slot_forget(&slots[done], INTO_RAW),
						    "mslot_segment_from_raw");
			if (err == MSLOT_OVERFLOW)
				slot_fault(MSLOT_FAULT_OVERFLOW, "mslot_segment_from_raw", &slots[i], seen);
			return err;
		}
	}
	*out = (struct mslot_segment){region, start, end};
	return MSLOT_OK;
}

const struct mslot_type *mslot_segment_type(const struct mslot_segment *segment)
{
	struct slot *slots;

	return segment_slots(segment, &slots) ? slot_type(slots) : NULL;
}

uint64_t mslot_segment_nr_frames(const struct mslot_segment *segment)
{
	struct slot *slots;

	return segment_slots(segment, &slots);
}
