/* SPDX-License-Identifier: MIT
 *
 * What an allocation asks for, and whether hints have it.
 */
#ifndef ALLOC_REQUEST_H
#define ALLOC_REQUEST_H

#include "table/region.h"

#include <metaslot/alloc.h>

/* What a caller asked for, checked. */
struct request {
	struct mslot_region *region;
	const struct mslot_type *type;
	uint64_t nr_frames, align_frames;
	unsigned flags;
	unsigned node; /* or NODE_ANY */
};

static inline bool request_is_single(const struct request *request)
{
	return request->nr_frames == 1 && request->align_frames == 1;
}

/* Whether it may be frames of that range. */
static inline bool request_wants(const struct request *request, const struct node_range *range)
{
	return request->node == NODE_ANY || request->node == range->node;
}

/* Moves *at to the first fitting run of the indexes that begins there or later, in whatever row; false where there is
 * none. Looks at every row that has a free frame. */
bool request_is_hinted(const struct request *request, uint64_t *at);

#endif
