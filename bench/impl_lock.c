/* SPDX-License-Identifier: MIT
 *
 * One baseline; compiled once for each lock and scope, with the macros of lock_kinds.h and impl_lock.h from the build.
 */
#include "lock_kinds.h"

#include "impl_lock.h"
