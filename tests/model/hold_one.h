/* SPDX-License-Identifier: MIT
 *
 * One frame of an immediate type that scenarios hold from the beginning. Its end is counted, and spoils the metadata:
 * whoever still reads it finds that, or races.
 */
#ifndef MODEL_HOLD_ONE_H
#define MODEL_HOLD_ONE_H

#include "model.h"

static void on_drop(void *meta, uint64_t paddr, void *memory)
{
	(void)paddr, (void)memory;
	*(uint64_t *)meta = 99;
	model_add(MODEL_ENDED, 1);
}

static const struct mslot_type type = {.name = "t", .meta_bytes = 8, .on_drop = on_drop, .flags = MSLOT_TYPE_IMMEDIATE};

static struct mslot_frame *frame;

static void hold_one(void)
{
	uint64_t value = 1;

	frame = mslot_frame_claim(model_region, MODEL_PADDR(0), &type, &value, NULL);
	MODEL_CHECK(frame);
}

#endif
