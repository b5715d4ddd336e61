/* SPDX-License-Identifier: MIT
 *
 * Finds unused frames and claims them.
 *
 * Promises: what alloc.h says. Only a slot's own word decides whether its frame is free, and "none" is answered only
 *           after every slot was asked twice.
 * Needs:    slot.c for the moves, reclaim.c for backlog and grace periods.
 * Read:     scan() for what makes NO_MEMORY exact, then find(), then the public calls.
 */
#include "handle/handle.h"

#include <metaslot/alloc.h>

/* What a caller asked for, checked. */
struct request {
	struct mslot_region *region;
	const struct mslot_type *type;
	uint64_t nr_frames, align_frames;
	unsigned flags;
};

/* Where the thread found something last; a hint. */
static _Thread_local uint64_t cursor __attribute__((tls_model("initial-exec")));

static enum mslot_err request_check(const struct request *request, const struct mslot_alloc_options *options)
{
	const unsigned known = MSLOT_ALLOC_ZEROED | MSLOT_ALLOC_MAY_WAIT | MSLOT_ALLOC_ON_NODE;

	if (!request->region || !type_is_valid(request->type) || (options && options->flags & ~known) ||
	    (request->flags & MSLOT_ALLOC_ZEROED && !request->region->memory) || request->nr_frames == 0 ||
	    request->align_frames & (request->align_frames - 1))
		return MSLOT_INVALID;
	if (!type_is_immediate(request->type) && !reclaim_has_room(request->region))
		return reclaim_make_room(request->region);
	return MSLOT_OK;
}

static bool try_claim(struct mslot_region *region, struct slot *slot)
{
	uint64_t index = (uint64_t)(slot - region->slots);

	if (!region_is_touched(region, index))
		region_touch(region, index);
	return slot_try_claim(slot, slot_peek_state(slot));
}

/* Ascending, so that of two that collide one gets through; all or nothing. */
static bool try_claim_run(struct mslot_region *region, struct slot *slots, uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++) {
		if (try_claim(region, &slots[i]))
			continue;
		while (i--)
			slot_unclaim(&slots[i]);
		return false;
	}
	return true;
}

/* What a pass over all slots has seen. */
struct scan {
	uint64_t generations; /* the sum: grows with each frame that becomes unused */
	bool has_retired;
	bool has_lost; /* a run that was there was taken by others: what else lay there was not looked at */
};

/*
 * Asks every slot, from the cursor on and around; claims the first fitting run and gives its first slot.
 *
 * Two passes that find nothing and add up to the same sum prove that there was none: a slot which was not unused when
 * the first pass looked, and has the same generation when the second does, was not unused at the moment between the
 * two. So the unused slots of that moment are among those that the first pass saw, and they held no fitting run.
 */
static struct slot *scan(const struct request *request, struct scan *seen)
{
	struct mslot_region *region = request->region;
	uint64_t run = 0, align = request->align_frames ? request->align_frames : 1;
	uint64_t start = request->nr_frames == 1 && align == 1 ? cursor % region->nr_frames : 0;

	*seen = (struct scan){0};
	for (uint64_t i = 0; i < region->nr_frames; i++) {
		uint64_t index = start + i < region->nr_frames ? start + i : start + i - region->nr_frames;
		struct slot *slot = &region->slots[index];
		uint64_t word = slot_peek_state(slot);

		seen->generations += state_generation(word);
		seen->has_retired |= state_of(word) == STATE_RETIRED;
		if (state_of(word) != STATE_UNUSED) {
			run = 0;
			continue;
		}
		/* A run begins at a multiple of its alignment, or not yet. */
		if (run || index % align == 0)
			run++;
		if (run < request->nr_frames)
			continue;
		slot -= run - 1;
		if (try_claim_run(region, slot, run)) {
			cursor = index + 1;
			return slot;
		}
		seen->has_lost = true;
		run = 0;
	}
	return NULL;
}

static struct slot *find(const struct request *request, enum mslot_err *err)
{
	struct scan before, after;
	struct slot *slot;

	if (request->nr_frames > request->region->nr_frames) {
		*err = MSLOT_NO_MEMORY;
		return NULL;
	}
	for (;;) {
		do {
			if ((slot = scan(request, &before)) || (slot = scan(request, &after)))
				return slot;
		} while (before.generations != after.generations || before.has_lost || after.has_lost);
		*err = MSLOT_NO_MEMORY;
		if (!(request->flags & MSLOT_ALLOC_MAY_WAIT) || !(before.has_retired | after.has_retired))
			return NULL;
		*err = mslot_barrier(request->region);
		if (*err)
			return NULL;
	}
}

/* Claims a run, its metadata still to be written. */
static struct slot *allocate(struct mslot_region *region, uint64_t nr_frames, uint64_t align_frames,
			     const struct mslot_type *type, const struct mslot_alloc_options *options,
			     enum mslot_err *err)
{
	struct request request = {region, type, nr_frames, align_frames, options ? options->flags : 0};
	struct slot *slot;

	*err = request_check(&request, options);
	if (*err)
		return NULL;
	slot = find(&request, err);
	if (slot && request.flags & MSLOT_ALLOC_ZEROED)
		memset(slot_memory(region, slot), 0, nr_frames << region->frame_shift);
	return slot;
}

struct mslot_frame *mslot_alloc_frame(struct mslot_region *region, const struct mslot_type *type, const void *meta,
				      const struct mslot_alloc_options *options, enum mslot_err *why)
{
	enum mslot_err err;
	struct slot *slot;

	HARDENED_REGISTERED("mslot_alloc_frame", NULL);
	slot = allocate(region, 1, 1, type, options, &err);
	if (!slot) {
		why_set(why, err);
		return NULL;
	}
	slot_fill(slot, type, meta);
	slot_publish(slot, slot_peek_state(slot));
	return slot_frame(slot);
}

struct mslot_unique *mslot_alloc_unique(struct mslot_region *region, const struct mslot_type *type, const void *meta,
					const struct mslot_alloc_options *options, enum mslot_err *why)
{
	enum mslot_err err;
	struct slot *slot;

	HARDENED_REGISTERED("mslot_alloc_unique", NULL);
	slot = allocate(region, 1, 1, type, options, &err);
	if (!slot) {
		why_set(why, err);
		return NULL;
	}
	slot_fill(slot, type, meta);
	slot_publish_unique(slot, slot_peek_state(slot));
	return slot_unique(slot);
}

enum mslot_err mslot_alloc_segment(struct mslot_region *region, uint64_t nr_frames, uint64_t align_frames,
				   const struct mslot_type *type,
				   void (*init_fn)(void *ctx, uint64_t paddr, void *meta), void *ctx,
				   const struct mslot_alloc_options *options, struct mslot_segment *out)
{
	enum mslot_err err;
	struct slot *slots;

	HARDENED_REGISTERED("mslot_alloc_segment", MSLOT_INVALID);
	if (!out)
		return MSLOT_INVALID;
	slots = allocate(region, nr_frames, align_frames, type, options, &err);
	if (!slots)
		return err;
	for (uint64_t i = 0; i < nr_frames; i++) {
		slot_fill(&slots[i], type, NULL);
		if (init_fn)
			init_fn(ctx, slot_paddr(region, &slots[i]), slots[i].meta);
	}
	for (uint64_t i = 0; i < nr_frames; i++)
		slot_publish(&slots[i], slot_peek_state(&slots[i]));
	uint64_t start = slot_paddr(region, slots);
	*out = (struct mslot_segment){region, start, start + (nr_frames << region->frame_shift)};
	return MSLOT_OK;
}
