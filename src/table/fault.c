/* SPDX-License-Identifier: MIT
 *
 * Tells the fault handler what went wrong on a slot.
 *
 * Promises: what slot_fault() in region.h says.
 * Needs:    base/check.c for the handler.
 * Read:     slot_fault().
 */
#include "base/check.h"
#include "table/region.h"
#include "table/state.h"

static const char *fault_name(enum mslot_fault_kind kind)
{
	switch (kind) {
	case MSLOT_FAULT_OVER_DROP:
		return "over-drop";
	case MSLOT_FAULT_DEAD_HANDLE:
		return "use of a dead handle";
	case MSLOT_FAULT_OVERFLOW:
		return "count overflow";
	case MSLOT_FAULT_UNREGISTERED:
		return "unregistered thread";
	case MSLOT_FAULT_NO_SECTION:
		return "not in a reader section";
	case MSLOT_FAULT_NONE:
		break;
	}
	return "no fault";
}

void slot_fault(enum mslot_fault_kind kind, const char *call, const struct slot *slot, uint64_t seen)
{
	static const char *const names[NR_STATES] = {"unused", "busy",	  "shared", "unique",
						     "unique", "retired", "broken", "hole"};
	struct mslot_region *region = slot ? slot_region(slot) : NULL;

	fault_report(&(struct mslot_fault){
		.kind = kind,
		.what = fault_name(kind),
		.call = call,
		.paddr = region ? slot_paddr(region, slot) : MSLOT_PADDR_NONE,
		.status = slot ? names[state_of(seen)] : "none",
		.ref_count = slot ? state_ref_count(seen) : 0,
		.raw_count = slot ? state_raw_count(seen) : 0,
	});
}
