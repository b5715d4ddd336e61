/* SPDX-License-Identifier: MIT
 *
 * Finds unused frames and claims them: the general case of every allocation.
 */
#ifndef ALLOC_FIND_H
#define ALLOC_FIND_H

#include "handle/handle.h"

#include <metaslot/alloc.h>

/* What a caller asked for, checked. */
struct request {
	struct mslot_region *region;
	const struct mslot_type *type;
	uint64_t nr_frames, align_frames;
	unsigned flags;
	unsigned node; /* or NODE_ANY */
};

/* Gives the slots of a run, claimed and still to be published; or NULL, and why: NO_MEMORY is exact. */
NOINLINE struct slot *request_find(const struct request *request, enum mslot_err *err);

#endif
