/* SPDX-License-Identifier: MIT
 *
 * Frames of an immediate type that scenarios hold from the beginning.
 */
#ifndef MODEL_HOLD_H
#define MODEL_HOLD_H

#include "model.h"

static const struct mslot_type type = {.name = "t", .meta_bytes = 8, .flags = MSLOT_TYPE_IMMEDIATE};
static struct mslot_frame *frames[MODEL_FRAMES];
static const uint64_t one = 1;

static void hold(unsigned i)
{
	frames[i] = mslot_frame_claim(model_region, MODEL_PADDR(i), &type, &one, NULL);
}

static void hold_0(void)
{
	hold(0);
}

static void hold_0_and_1(void)
{
	hold(0);
	hold(1);
}

#endif
