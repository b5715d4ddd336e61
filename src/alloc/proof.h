/* SPDX-License-Identifier: MIT
 *
 * Whether hints prove that a region does not have what is asked for, and what whoever changes hints owes to that.
 */
#ifndef ALLOC_PROOF_H
#define ALLOC_PROOF_H

#include <stdbool.h>

struct request;

/* Whoever changes an index, or what page a thread's row is of, does it between these two, which nest. */
void hints_move_begin(void);
void hints_move_end(void);

/* Whether no fitting run is unused. False also where hints are unproven, or where somebody moves. */
bool hints_prove_none(const struct request *request);

#endif
