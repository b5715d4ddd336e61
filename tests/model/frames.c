/* SPDX-License-Identifier: MIT
 *
 * A region of a few frames in static data, so that every execution begins with them unused. Programs of the models are
 * linked below 1 GiB: the tables by address need their first entry only.
 */
#include "model.h"
#include "table/give_back.h"

/* As a region's slots begin a page. */
_Alignas(4096) static struct slot slots[MODEL_FRAMES];
/* What the index of free frames takes. */
_Alignas(64) static char hints[1024];
static struct node_range ranges[] = {{.end = MODEL_FRAMES, .hints = hints}};
#define FOUR(x) x, x, x, x
/* As mslot_region_create() makes it. */
static struct {
	struct mslot_region region;
	_Atomic uint8_t grains[2];
} made = {{.slots = slots,
	   .nr_frames = MODEL_FRAMES,
	   .frame_shift = 12,
	   .backlog_limit = 1000,
	   .id = 1,
	   /* Scenarios claim frames before any is allocated, and slots that are in memory. */
	   .hints_stage = HINTS_UNPROVEN,
	   .nr_ranges = 1,
	   .ranges = ranges,
	   .known_types = {FOUR(FOUR(KNOWN_NONE)), FOUR(FOUR(KNOWN_NONE))}},
	  {GRAIN_TOUCHED, GRAIN_UNTOUCHED}};

_Static_assert(NR_KNOWN_TYPES == 32, "all of them");

struct mslot_region *const model_region = &made.region;

__attribute__((constructor)) static void open_region(void)
{
	/* Not a store that an engine would be told of: none is there yet. */
	atomic_init(&region_of_chunk[0], &made.region);
	atomic_init(&chunks[0].region_id, made.region.id);
}

void model_reset_tables(void)
{
	atomic_store_explicit(region_backlog(&made.region), 0, memory_order_relaxed);
	atomic_store_explicit(&give_back_hooks, NULL, memory_order_relaxed);
}

void fault_report(const struct mslot_fault *fault)
{
	(void)fault;
	model_add(MODEL_FAULTS, 1);
}
