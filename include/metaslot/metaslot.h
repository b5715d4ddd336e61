/* SPDX-License-Identifier: MIT
 *
 * metaslot: one 64-byte slot of metadata per page frame, lock-free. This header includes all the others.
 *
 *   error.h     what calls answer, and the handler of faults
 *   region.h    a range of frames, types of metadata
 *   frame.h     shared frames: claim, get, clone, drop, forget, restore
 *   unique.h    one owner, writable metadata
 *   segment.h   contiguous frames under one handle
 *   alloc.h     find free frames: one, a unique one, a run
 *   reclaim.h   threads, reader sections, grace periods
 *   audit.h     look at slots, check the table
 */
#ifndef METASLOT_METASLOT_H
#define METASLOT_METASLOT_H

#include <metaslot/alloc.h>
#include <metaslot/audit.h>
#include <metaslot/error.h>
#include <metaslot/frame.h>
#include <metaslot/reclaim.h>
#include <metaslot/region.h>
#include <metaslot/segment.h>
#include <metaslot/unique.h>

/** Of these headers; metaslot.pc has the same. */
#define MSLOT_VERSION_MAJOR 0
#define MSLOT_VERSION_MINOR 1
#define MSLOT_VERSION_PATCH 0

#endif
