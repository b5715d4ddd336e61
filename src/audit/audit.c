/* SPDX-License-Identifier: MIT
 *
 * Looks at slots, counts them, checks their invariants.
 *
 * Promises: changes nothing, and reads no slot of a grain in which none was ever claimed.
 * Needs:    the table only.
 */
#include "table/region.h"

#include <metaslot/audit.h>

#include <string.h>

const char *mslot_status_name(enum mslot_status status)
{
	static const char *const names[MSLOT_NR_STATUSES] = {"unused",	"busy", "shared", "unique",
							     "retired", "hole", "broken"};

	return (unsigned)status < MSLOT_NR_STATUSES ? names[status] : "?";
}

/* Why the word is broken, or NULL. */
static const char *word_defect(uint64_t word, const struct mslot_type *type)
{
	enum state state = state_of(word);

	if (state == STATE_TAIL)
		return "unknown state";
	if ((state == STATE_SHARED || state_is_unique(word) || state == STATE_RETIRED) && !type)
		return "in use without a type";
	if (state == STATE_SHARED && (state_live(word) < 0 || state_live(word) > COUNT_MAX))
		return "live handles past their limits";
	if (state == STATE_SHARED && (state_raw(word) < 0 || state_raw(word) > COUNT_MAX))
		return "forgotten references past their limits";
	if (state_is_dead(word))
		return "shared without a reference: the last put was lost";
	if (state_is_unique(word) && (state_raw(word) < 0 || state_raw(word) > 1))
		return "unique with more than one reference";
	if (state == STATE_RETIRED && (state_raw(word) < 0 || state_raw(word) > 1))
		return "retired with references";
	if ((state == STATE_UNUSED || state == STATE_BUSY) && state_raw(word) != 0)
		return "unused with forgotten references";
	return NULL;
}

static enum mslot_status status_of(uint64_t word, const struct mslot_type *type)
{
	if (word_defect(word, type))
		return MSLOT_STATUS_BROKEN;
	switch (state_of(word)) {
	case STATE_UNUSED:
		return MSLOT_STATUS_UNUSED;
	case STATE_BUSY:
		return MSLOT_STATUS_BUSY;
	case STATE_SHARED:
		return MSLOT_STATUS_SHARED;
	case STATE_UNIQUE:
	case STATE_UNIQUE_SEEN:
		return MSLOT_STATUS_UNIQUE;
	case STATE_RETIRED:
		return MSLOT_STATUS_RETIRED;
	case STATE_HOLE:
		return MSLOT_STATUS_HOLE;
	case STATE_TAIL:
	case NR_STATES:
		break;
	}
	return MSLOT_STATUS_BROKEN;
}

static struct mslot_view view_of(const struct mslot_region *region, const struct slot *slot)
{
	uint64_t index = (uint64_t)(slot - region->slots), word = region_word(region, index);
	const struct mslot_type *type = region_is_touched(region, index) ? slot_type(slot) : NULL;
	struct mslot_view view = {
		.paddr = slot_paddr(region, slot),
		.status = status_of(word, type),
		.generation = state_generation(word),
	};

	if (view.status != MSLOT_STATUS_BROKEN) {
		view.ref_count = state_ref_count(word);
		view.raw_count = state_raw_count(word);
	}
	if (view.status == MSLOT_STATUS_SHARED || view.status == MSLOT_STATUS_UNIQUE ||
	    view.status == MSLOT_STATUS_RETIRED)
		view.type = type;
	return view;
}

enum mslot_err mslot_view(const struct mslot_region *region, uint64_t paddr, struct mslot_view *out)
{
	enum mslot_err err = MSLOT_OK;
	const struct slot *slot;

	if (!out)
		return MSLOT_INVALID;
	slot = region_slot(region, paddr, &err);
	if (slot)
		*out = view_of(region, slot);
	return err;
}

static void count_type(struct mslot_audit *audit, const struct mslot_view *view)
{
	for (unsigned i = 0; i < MSLOT_AUDIT_TYPES; i++) {
		if (i == audit->nr_types) {
			audit->types[i].type = view->type;
			audit->nr_types++;
		}
		if (audit->types[i].type != view->type)
			continue;
		audit->types[i].frames++;
		audit->types[i].live_refs += view->ref_count - view->raw_count;
		audit->types[i].raw_refs += view->raw_count;
		return;
	}
	audit->other_types++;
}

struct audit_walk {
	const struct mslot_region *region;
	struct mslot_audit *audit;
};

static bool audit_slot(struct slot *slot, void *ctx)
{
	struct audit_walk *walk = ctx;
	struct mslot_audit *audit = walk->audit;
	struct mslot_view view = view_of(walk->region, slot);

	audit->by_status[view.status]++;
	audit->live_refs += view.ref_count - view.raw_count;
	audit->raw_refs += view.raw_count;
	if (view.type)
		count_type(audit, &view);
	if (view.status == MSLOT_STATUS_BROKEN) {
		const char *defect = word_defect(slot_word(slot), slot_type(slot));

		if (audit->nr_broken < MSLOT_AUDIT_BROKEN) {
			audit->broken[audit->nr_broken].paddr = view.paddr;
			audit->broken[audit->nr_broken].what = defect ? defect : "changed during the audit";
		}
		audit->nr_broken++;
	}
	return true;
}

enum mslot_err mslot_audit(const struct mslot_region *region, struct mslot_audit *out)
{
	struct audit_walk walk = {region, out};

	if (!region || !out)
		return MSLOT_INVALID;
	memset(out, 0, sizeof(*out));
	out->nr_frames = region->nr_frames;
	region_walk(region, audit_slot, &walk);
	/* What was never claimed is unused, or lies in a hole. */
	out->by_status[MSLOT_STATUS_HOLE] += region_in_holes(region);
	uint64_t walked = 0;
	for (unsigned i = 0; i < MSLOT_NR_STATUSES; i++)
		walked += out->by_status[i];
	out->by_status[MSLOT_STATUS_UNUSED] += region->nr_frames - walked;
	return MSLOT_OK;
}

bool mslot_is_clean(const struct mslot_region *region)
{
	struct mslot_audit audit;

	return mslot_audit(region, &audit) == MSLOT_OK && audit.by_status[MSLOT_STATUS_UNUSED] +
									  audit.by_status[MSLOT_STATUS_RETIRED] +
									  audit.by_status[MSLOT_STATUS_HOLE] ==
								  audit.nr_frames;
}
