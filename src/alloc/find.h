/* SPDX-License-Identifier: MIT
 *
 * Finds unused frames and claims them: the general case of every allocation.
 */
#ifndef ALLOC_FIND_H
#define ALLOC_FIND_H

#include "alloc/request.h"

/* Gives the slots of a run, claimed and still to be published; or NULL, and why: NO_MEMORY is exact. */
NOINLINE struct slot *request_find(const struct request *request, enum mslot_err *err);

#endif
