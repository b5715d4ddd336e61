/* SPDX-License-Identifier: MIT
 *
 * One step of a walk: a public call on the library and its like on the reference, then both are compared.
 *
 * Promises: any sequence of steps is valid input, misuse included: calls through dead handles are faults, which are
 *           compared too. After each step every slot looks through mslot_view() as the reference says.
 * Needs:    the calling thread registered. While in a section, nothing deferred is recycled, so the answers are exact;
 *           outside, each step that retires is followed by a barrier.
 * Read:     walk_step() at the end of walk_ops.h; a step is an operation, a slot and an argument.
 */
#ifndef WALK_WALK_H
#define WALK_WALK_H

#include "reference.h"
#include "table/region.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WALK_SLOTS 4
#define WALK_BASE UINT64_C(0x40000)
#define WALK_FRAME UINT64_C(4096)
#define WALK_PADDR(i) (WALK_BASE + (uint64_t)(i)*WALK_FRAME)
#define WALK_END WALK_PADDR(WALK_SLOTS)

static struct walk {
	struct mslot_region *region;
	char memory[WALK_SLOTS * 4096];
	struct ref_slot ref[WALK_SLOTS];
	bool in_section;
	uint64_t meta;	      /* of the next claim */
	unsigned nr_expected; /* faults, and calls of on_drop, of this step */
	unsigned nr_faults;
	enum mslot_fault_kind expected, fault;
	uint64_t drops_expected;
	_Atomic uint64_t drops, drops_wrong; /* the library's own thread may be the one that tells */
	/* For the report of a failure. */
	const char *op;
	uint64_t step, seed;
	unsigned slot, arg;
} walk;

static void walk_fail(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: %s\n  seed %llu, step %llu: %s, slot %u, arg %u\n", file, line, what,
		(unsigned long long)walk.seed, (unsigned long long)walk.step, walk.op, walk.slot, walk.arg);
	for (unsigned i = 0; i < WALK_SLOTS; i++)
		fprintf(stderr, "  slot %u should be: %s, live %d, raw %d, generation %u\n", i,
			mslot_status_name(walk.ref[i].status), walk.ref[i].live, walk.ref[i].raw,
			walk.ref[i].generation);
	abort();
}

#define EXPECT(condition) ((condition) ? (void)0 : walk_fail(#condition, __FILE__, __LINE__))

/* ---- types ---- */

static void walk_on_drop(void *meta, uint64_t paddr, void *memory)
{
	uint64_t i = (paddr - WALK_BASE) / WALK_FRAME;

	walk.drops++;
	if (i >= WALK_SLOTS || memory != walk.memory + i * WALK_FRAME || !memcmp(meta, "", 1))
		walk.drops_wrong++;
}

#define WALK_NR_TYPES 4
static const struct mslot_type walk_types[WALK_NR_TYPES + 2] = {
	{.name = "plain", .meta_bytes = 8, .flags = MSLOT_TYPE_IMMEDIATE},
	{.name = "noting", .meta_bytes = 16, .meta_align = 8, .on_drop = walk_on_drop, .flags = MSLOT_TYPE_IMMEDIATE},
	{.name = "deferred", .meta_bytes = 24},
	{.name = "noting deferred", .meta_bytes = MSLOT_META_MAX, .on_drop = walk_on_drop},
	/* Not to be had. */
	{.name = "too large", .meta_bytes = MSLOT_META_MAX + 1},
	{.name = "misaligned", .meta_bytes = 8, .meta_align = 3},
};

/* One of the types; now and then one that breaks its contract, or none. */
static const struct mslot_type *walk_type(unsigned arg)
{
	if (arg % 32 >= 29)
		return arg % 32 == 31 ? NULL : &walk_types[WALK_NR_TYPES + arg % 32 - 29];
	return &walk_types[arg % WALK_NR_TYPES];
}

static bool walk_type_is_valid(const struct mslot_type *type)
{
	return type && type < &walk_types[WALK_NR_TYPES];
}

/* Metadata never begins with a zero byte. */
static const void *walk_meta(void)
{
	static uint64_t words[MSLOT_META_MAX / 8];

	walk.meta += 0x100;
	walk.meta |= 1;
	for (unsigned i = 0; i < MSLOT_META_MAX / 8; i++)
		words[i] = walk.meta + i;
	return words;
}

/* ---- addresses ---- */

/* The slot's paddr; now and then one that has no slot, and then the error to come. */
static uint64_t walk_paddr(unsigned i, unsigned arg, enum mslot_err *bad)
{
	*bad = MSLOT_OK;
	switch (arg >> 8 & 63) {
	case 0:
		*bad = MSLOT_NOT_ALIGNED;
		return WALK_PADDR(i) + 1 + (arg & 0xff);
	case 1:
		*bad = MSLOT_OUT_OF_BOUND;
		return WALK_END + (arg & 3) * WALK_FRAME;
	case 2:
		*bad = MSLOT_OUT_OF_BOUND;
		return arg & 1 ? 0 : WALK_BASE - WALK_FRAME;
	default:
		return WALK_PADDR(i);
	}
}

static struct slot *walk_slot(unsigned i)
{
	return &walk.region->slots[i];
}

/* Any slot's handle, good or dead: a handle is the slot's address. */
static struct mslot_frame *walk_frame(unsigned i)
{
	return (struct mslot_frame *)walk_slot(i);
}

static struct mslot_unique *walk_unique(unsigned i)
{
	return (struct mslot_unique *)walk_slot(i);
}

/* ---- what is expected ---- */

static void walk_on_fault(const struct mslot_fault *fault, void *ctx)
{
	(void)ctx;
	walk.fault = fault->kind;
	walk.nr_faults++;
}

static void walk_expect_fault(enum mslot_fault_kind kind)
{
	if (kind == MSLOT_FAULT_NONE)
		return;
	walk.expected = kind;
	walk.nr_expected++;
}

/* The answer to a call that says why. */
static void walk_expect(struct ref_answer answer, enum mslot_err err)
{
	EXPECT(err == answer.err);
	walk_expect_fault(answer.fault);
}

static void walk_ended(const struct mslot_type *type)
{
	walk.drops_expected += type->on_drop != NULL;
}

/* The slot has been retired: an immediate type is recycled at once, a deferred one by walk_sweep(). */
static void walk_retired(unsigned i)
{
	struct ref_slot *s = &walk.ref[i];

	if (!ref_is_immediate(s->type))
		return;
	walk_ended(s->type);
	ref_recycle(s);
}

/* After a put. */
static void walk_settle(unsigned i)
{
	if (ref_retire(&walk.ref[i]))
		walk_retired(i);
}

/* Outside a section: all that is retired is recycled. */
static void walk_sweep(void)
{
	EXPECT(mslot_barrier(walk.region) == MSLOT_OK);
	for (unsigned i = 0; i < WALK_SLOTS; i++)
		if (walk.ref[i].status == MSLOT_STATUS_RETIRED) {
			walk_ended(walk.ref[i].type);
			ref_recycle(&walk.ref[i]);
		}
}

static void walk_compare_slot(unsigned i)
{
	const struct ref_slot *s = &walk.ref[i];
	struct mslot_view view;
	bool has_meta = s->status != MSLOT_STATUS_UNUSED;
	int raw = has_meta && s->status != MSLOT_STATUS_RETIRED ? s->raw : 0;
	int refs = s->status == MSLOT_STATUS_SHARED ? s->live + s->raw : s->status == MSLOT_STATUS_UNIQUE;

	EXPECT(mslot_view(walk.region, WALK_PADDR(i), &view) == MSLOT_OK);
	EXPECT(view.paddr == WALK_PADDR(i));
	EXPECT(view.status == s->status);
	EXPECT(view.ref_count == (uint32_t)refs);
	EXPECT(view.raw_count == (uint32_t)raw);
	EXPECT(view.generation == s->generation);
	EXPECT(view.type == (has_meta ? s->type : NULL));
	if (has_meta)
		EXPECT(!memcmp(walk_slot(i)->meta, &s->meta, sizeof(s->meta)));
}

static void walk_compare_audit(void)
{
	struct mslot_audit audit;
	uint64_t by_status[MSLOT_NR_STATUSES] = {0}, live = 0, raw = 0;

	for (unsigned i = 0; i < WALK_SLOTS; i++) {
		const struct ref_slot *s = &walk.ref[i];
		by_status[s->status]++;
		if (s->status == MSLOT_STATUS_SHARED || s->status == MSLOT_STATUS_UNIQUE) {
			live += (uint64_t)(s->status == MSLOT_STATUS_SHARED ? s->live : 1 - s->raw);
			raw += (uint64_t)s->raw;
		}
	}
	EXPECT(mslot_audit(walk.region, &audit) == MSLOT_OK);
	EXPECT(!memcmp(audit.by_status, by_status, sizeof(by_status)));
	EXPECT(audit.live_refs == live && audit.raw_refs == raw);
	EXPECT(audit.nr_broken == 0);
	EXPECT(mslot_is_clean(walk.region) == (live + raw == 0));
}

static void walk_compare(void)
{
	EXPECT(walk.nr_faults == walk.nr_expected);
	EXPECT(walk.nr_faults == 0 || walk.fault == walk.expected);
	EXPECT(walk.drops == walk.drops_expected && walk.drops_wrong == 0);
	for (unsigned i = 0; i < WALK_SLOTS; i++)
		walk_compare_slot(i);
}

#endif
