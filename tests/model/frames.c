/* SPDX-License-Identifier: MIT
 *
 * A region of a few frames in static data, so that every execution begins with them unused. Programs of the models are
 * linked below 1 GiB: the tables by address need their first entry only.
 */
#include "model.h"
#include "table/region.h"

static struct slot slots[MODEL_FRAMES];
static _Atomic uint64_t touched = 1;
static struct mslot_region region = {
	.slots = slots, .nr_frames = MODEL_FRAMES, .frame_shift = 12, .backlog_limit = 1000, .touched = &touched};

struct mslot_region *const model_region = &region;

__attribute__((constructor)) static void open_region(void)
{
	region_of_chunk[0] = &region;
}

void fault_report(const struct mslot_fault *fault)
{
	(void)fault;
	model_add(MODEL_FAULTS, 1);
}
