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
 *
 * Calls say under Order which of these edges they acquire or release: whoever acquires one sees what was done before
 * its release.
 *
 *   recycle     all of the frame's last incarnation is over
 *   publish     its type and metadata are written
 *   last-put    what earlier holders did is over
 *   forget      what the holder that forgot it did
 *   retire      reader sections that begin from now on do not find it
 *   grace       what readers read in their sections has been read
 *   adopt       what a thread that ends, or is not registered, leaves behind
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
