/* SPDX-License-Identifier: MIT
 *
 * A recorded history of concurrent calls, and the check that some order of them, one after the other, explains it.
 */
#ifndef LINEAR_HISTORY_H
#define LINEAR_HISTORY_H

#include "../reference.h"

enum { LINEAR_THREADS = 3, LINEAR_OPS = 4, LINEAR_SLOTS = 2 };

enum linear_op {
	LINEAR_CLAIM, /* value: the metadata that it wrote */
	LINEAR_CLAIM_UNIQUE,
	LINEAR_GET, /* value: the metadata that it found */
	LINEAR_CLONE,
	LINEAR_DROP,
	LINEAR_INTO_RAW,
	LINEAR_CLONE_INTO_RAW,
	LINEAR_FROM_RAW,
	LINEAR_DROP_RAW,
	LINEAR_TRY_UNIQUE,
	LINEAR_SHARE,
	LINEAR_UNIQUE_DROP,
	LINEAR_UNIQUE_INTO_RAW,
	LINEAR_UNIQUE_FROM_RAW,
	LINEAR_NR_OPS
};

struct linear_call {
	enum linear_op op;
	unsigned slot;
	enum mslot_err err;
	uint64_t value;
	uint64_t called, returned; /* stamps: what returned before another was called comes before it */
};

struct linear_history {
	struct ref_slot begin[LINEAR_SLOTS];
	unsigned nr[LINEAR_THREADS];
	struct linear_call call[LINEAR_THREADS][LINEAR_OPS];
};

/* All calls have returned, and none was a fault. */
bool linear_is_explained(const struct linear_history *history);
void linear_print(const struct linear_history *history);

#endif
