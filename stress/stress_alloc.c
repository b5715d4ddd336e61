/* SPDX-License-Identifier: MIT
 *
 * Proves: what is allocated was free, is the caller's alone, and comes back, whoever drops it
 * Oracle: plain cookies; the owner's mark in the payload; alignment of runs; a clean audit at the end, after which as
 *         many frames can be allocated as are unused, whatever the storms of claims by address have left of the hints.
 * Knobs:  --threads, --seed. Smoke 2 s; pre-merge 60 s; a night 8 h.
 */
#include "mix.h"

/* Frames on their way to another thread, as bare addresses; 0 is an address too. */
#define PASSED 64
#define ROW 64
#define PRESENT UINT64_C(1)
static _Atomic uint64_t passed[PASSED];

static void own(void *ctx, uint64_t paddr, void *meta)
{
	stress_own(ctx, paddr, meta);
}

/* None left is an answer, not a defect; whether it is the right one is for the unit tests. */
static void refused(struct worker *worker, enum mslot_err why)
{
	if (why == MSLOT_NO_MEMORY)
		worker->refused++;
	else
		stress_refused(worker, why);
}

/* Plain, in the payload: the holder before has to be gone. */
static void mark(struct mslot_frame *frame, uint64_t expected, uint64_t value)
{
	uint64_t *payload = mslot_frame_memory(frame);

	if (*payload != expected)
		stress_broken("the payload of an owned frame was written", mslot_frame_paddr(frame));
	*payload = value;
}

static struct mslot_frame *passed_exchange(struct worker *worker, unsigned at, uint64_t entry)
{
	uint64_t other = atomic_exchange_explicit(&passed[at], entry, memory_order_relaxed);
	struct mslot_frame *frame = other ? mslot_frame_from_raw(worker->region, other - PRESENT, NULL) : NULL;

	if (other && !frame)
		stress_broken("a passed frame is gone", other - PRESENT);
	return frame;
}

static void give_up(struct mslot_frame *frame)
{
	if (!frame)
		return;
	uint64_t paddr = mslot_frame_paddr(frame);
	stress_check_frame(frame, paddr);
	mark(frame, paddr + 1, 0);
	mslot_frame_drop(frame);
}

static unsigned node_of(uint64_t paddr)
{
	unsigned at = stress_nr_nodes - 1;

	while (paddr < stress_nodes[at].start)
		at--;
	return stress_nodes[at].node;
}

/* Allocates one, passes it on, and gives up what others have passed. */
static void pass_one(struct worker *worker, const struct mslot_type *type, unsigned at, bool zeroed)
{
	enum mslot_err why = MSLOT_OK;
	uint64_t value = stress_random(worker);
	struct mslot_alloc_options options = {.flags = zeroed ? MSLOT_ALLOC_ZEROED : 0};

	if (stress_nr_nodes && value % 4 == 0) {
		options.flags |= MSLOT_ALLOC_ON_NODE;
		options.node = stress_nodes[value / 4 % stress_nr_nodes].node;
	}
	struct mslot_frame *frame =
		mslot_alloc_frame(worker->region, type, &(struct cookie){value, ~value}, &options, &why);

	if (!frame) {
		refused(worker, why);
		give_up(passed_exchange(worker, at, 0));
		return;
	}
	uint64_t paddr = mslot_frame_paddr(frame);
	if (options.flags & MSLOT_ALLOC_ON_NODE && node_of(paddr) != options.node)
		stress_broken("a frame is of another node", paddr);
	stress_own(worker, paddr, NULL);
	mark(frame, 0, paddr + 1);
	give_up(passed_exchange(worker, at, mslot_frame_into_raw(frame) | PRESENT));
}

static void own_one(struct worker *worker, const struct mslot_type *type)
{
	enum mslot_err why = MSLOT_OK;
	uint64_t value = stress_random(worker);
	struct mslot_unique *unique =
		mslot_alloc_unique(worker->region, type, &(struct cookie){value, ~value}, NULL, &why);

	if (!unique) {
		refused(worker, why);
		return;
	}
	stress_own(worker, mslot_unique_paddr(unique), mslot_unique_meta(unique, type));
	mslot_unique_drop(unique);
}

static void own_run(struct worker *worker, const struct mslot_type *type, uint64_t nr, uint64_t align)
{
	struct mslot_segment segment;
	enum mslot_err err = mslot_alloc_segment(worker->region, nr, align, type, own, worker, NULL, &segment);

	if (err) {
		refused(worker, err);
		return;
	}
	if (mslot_segment_nr_frames(&segment) != nr || segment.start % (align << STRESS_FRAME_SHIFT) != 0)
		stress_broken("a run is of another length or alignment", segment.start);
	mslot_segment_drop(&segment);
}

/* Claims the frames of a row by address: the hints that name them, in the index and in rows of other threads, are wrong
 * until they are dropped. */
static void storm(struct worker *worker, uint64_t random)
{
	struct mslot_frame *frames[ROW];
	uint64_t nr = worker->is_short ? 2 : ROW;
	uint64_t nr_rows = (mslot_region_nr_frames(worker->region) + ROW - 1) / ROW;
	uint64_t first = random % nr_rows * ROW;

	for (uint64_t i = 0; i < nr; i++)
		frames[i] = stress_claim(worker, (first + i) << STRESS_FRAME_SHIFT);
	for (uint64_t i = 0; i < nr; i++)
		if (frames[i]) {
			stress_check_frame(frames[i], (first + i) << STRESS_FRAME_SHIFT);
			mslot_frame_drop(frames[i]);
		}
}

static void step(struct worker *worker)
{
	uint64_t random = stress_random(worker);
	const struct mslot_type *type = &stress_types[(random >> 8) % worker->mix->deferred_in == 0];

	stress_chose(worker, 'a', random);
	switch (random % 8) {
	case 0:
		own_run(worker, type, 1 + (random >> 32) % 8, UINT64_C(1) << (random >> 40) % 4);
		break;
	case 1:
		own_one(worker, type);
		break;
	case 2:
		if ((random >> 16) % 16 == 0) {
			storm(worker, random >> 32);
			break;
		}
		/* fallthrough */
	default:
		pass_one(worker, type, (random >> 48) % (worker->is_short ? 2 : PASSED), random >> 56 & 1);
	}
}

/* Whoever ends last leaves nothing. */
static void end(struct worker *worker)
{
	for (unsigned i = 0; i < PASSED; i++)
		give_up(passed_exchange(worker, i, 0));
}

void stress_take_all(void)
{
	static const struct mslot_type plain = {"plain", 8, 8, NULL, MSLOT_TYPE_IMMEDIATE};
	uint64_t nr = mslot_region_nr_frames(stress_region), had = 0;
	enum mslot_err why = MSLOT_OK;

	for (struct mslot_frame *frame; (frame = mslot_alloc_frame(stress_region, &plain, &(uint64_t){0}, NULL, &why));
	     had++)
		if (mslot_frame_into_raw(frame) == MSLOT_PADDR_NONE)
			stress_broken("an allocated frame cannot be forgotten", MSLOT_PADDR_NONE);
	if (why != MSLOT_NO_MEMORY || had != nr)
		stress_broken("an unused frame could not be allocated", MSLOT_PADDR_NONE);
	for (uint64_t index = 0; index < nr; index++)
		if (mslot_frame_drop_raw(stress_region, index << STRESS_FRAME_SHIFT))
			stress_broken("an allocated frame is gone", index << STRESS_FRAME_SHIFT);
}

const struct mix mix_alloc = {
	.name = "alloc",
	.step = step,
	.end = end,
	.nr_frames = 4096,
	.deferred_in = 8,
	.plants = PLANTS_OF_CLAIMS,
};
