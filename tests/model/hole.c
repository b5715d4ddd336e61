/* SPDX-License-Identifier: MIT
 *
 * Frames that become holes, by slots or a grain of slots at once, and unique ones: against claims by address, against
 * allocation, and against whoever looks for free frames.
 *
 * Proves: whoever finds a frame taken, by whatever took it, finds free what its taker knew to be free; of a claim and a
 *         marking one wins, and a marking that fails leaves nothing behind; allocation misses no frame on the way.
 */
#include "alloc/cache.h"
#include "handle/handle.h"
#include "hold.h"

/* One frame more than a grain: it is a grain of its own, which nobody has touched. */
enum { LONE = 1 << GRAIN_SHIFT };
_Alignas(4096) static struct slot slots[LONE + 1];

static void hold_0_and_2(void)
{
	hold(0);
	hold(2);
}

static void untouched_grain(void)
{
	model_region->slots = slots;
	model_region->nr_frames = model_region->ranges[0].end = LONE + 1;
	/* Its memory is there. */
	model_region->huge_pages = true;
}

static void untouched_grain_hold_0(void)
{
	untouched_grain();
	hold(0);
}

static bool mark(unsigned first, unsigned end)
{
	bool won = mslot_region_mark_hole(model_region, MODEL_PADDR(first), MODEL_PADDR(end)) == MSLOT_OK;

	if (won)
		model_add(MODEL_WON, 1);
	return won;
}

static void mark_2(void)
{
	mark(2, 3);
}

static void mark_both(void)
{
	mark(0, 2);
}

static void mark_lone(void)
{
	mark(LONE, LONE + 1);
}

static void drop_0_mark_1(void)
{
	mslot_frame_drop(frames[0]);
	mark(1, 2);
}

static void drop_0_mark_lone(void)
{
	mslot_frame_drop(frames[0]);
	mark(LONE, LONE + 1);
}

static void drop_0_own_1(void)
{
	mslot_frame_drop(frames[0]);
	(void)!mslot_unique_claim(model_region, MODEL_PADDR(1), &type, &one, NULL);
}

static void claim(unsigned i)
{
	if (mslot_frame_claim(model_region, MODEL_PADDR(i), &type, &one, NULL))
		model_add(MODEL_WON, 1);
}

static void claim_1(void)
{
	claim(1);
}

static void claim_lone(void)
{
	claim(LONE);
}

/* Whoever was refused asks again: a hole stays one. */
static void claim_lone_twice(void)
{
	if (!mslot_frame_claim(model_region, MODEL_PADDR(LONE), &type, &one, NULL))
		claim(LONE);
	else
		model_add(MODEL_WON, 1);
}

static void alloc(void)
{
	enum mslot_err why = MSLOT_OK;

	if (mslot_alloc_frame(model_region, &type, &one, NULL, &why))
		model_add(MODEL_WON, 1);
	else
		MODEL_CHECK(why == MSLOT_NO_MEMORY);
}

static void alloc_must(void)
{
	MODEL_CHECK(mslot_alloc_frame(model_region, &type, &one, NULL, NULL));
}

static enum state state_at(unsigned i)
{
	return state_of(region_word(model_region, i));
}

/* As a pass over the slots looks, twice. */
static void look(unsigned at, enum state state)
{
	MODEL_CHECK(state_at(at) != state || state_at(0) == STATE_UNUSED);
}

static void see_hole_1(void)
{
	look(1, STATE_HOLE);
}

static void see_lone_hole(void)
{
	look(LONE, STATE_HOLE);
}

/* Its slot was never claimed, and has a generation nevertheless. */
static void lone_in_vain(void)
{
	untouched_grain();
	atomic_store_explicit(region_grain(model_region, LONE), GRAIN_UNTOUCHED + 1, memory_order_relaxed);
}

static void see_lone_marked(void)
{
	look(LONE, STATE_BUSY);
}

static void see_unique_1(void)
{
	look(1, STATE_UNIQUE);
}

static void one_won(void)
{
	MODEL_CHECK(model_count(MODEL_WON) == 1 && model_count(MODEL_FAULTS) == 0);
}

static void one_won_of_second(void)
{
	one_won();
	MODEL_CHECK(state_generation(region_word(model_region, LONE)) == 1);
}

static void both_or_none(void)
{
	one_won();
	MODEL_CHECK((state_at(0) == STATE_HOLE) == (state_at(1) == STATE_HOLE));
	MODEL_CHECK(state_at(0) == STATE_HOLE || state_at(0) == STATE_UNUSED);
}

const struct model models[] = {
	{"hole/see-slot", 4, hold_0, NULL, {drop_0_mark_1, see_hole_1}},
	{"hole/see-grain", 4, untouched_grain_hold_0, NULL, {drop_0_mark_lone, see_lone_hole}},
	{"hole/see-marked", 4, untouched_grain_hold_0, NULL, {drop_0_mark_lone, see_lone_marked}},
	{"hole/see-unique", 4, hold_0, NULL, {drop_0_own_1, see_unique_1}},
	{"hole/mark-claim", 3, NULL, both_or_none, {mark_both, claim_1}},
	{"hole/mark-claim-grain", 3, untouched_grain, one_won, {mark_lone, claim_lone}},
	{"hole/claim-in-vain", 4, lone_in_vain, one_won_of_second, {claim_lone, claim_lone}},
	{"hole/mark-in-vain", 3, lone_in_vain, one_won_of_second, {mark_lone, claim_lone_twice}},
	{"hole/mark-alloc", 2, hold_0_and_1, one_won, {mark_2, alloc}},
	{"hole/one-moves", 2, hold_0_and_2, NULL, {drop_0_mark_1, alloc_must}},
	{0},
};
