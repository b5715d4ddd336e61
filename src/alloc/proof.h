/* SPDX-License-Identifier: MIT
 *
 * Whether the hints of a region prove that it has no unused frame, and what whoever changes hints owes to that.
 */
#ifndef ALLOC_PROOF_H
#define ALLOC_PROOF_H

#include <stdbool.h>

struct mslot_region;

/* Whoever changes an index, or what page a thread's row is of, does it between these two, which nest. */
void hints_move_begin(void);
void hints_move_end(void);

/* Whether no frame of the region is unused. False also where hints are unproven, or where somebody moves. */
bool hints_prove_none(const struct mslot_region *region);

#endif
