/* SPDX-License-Identifier: MIT
 *
 * A table built from one kind of lock, global or per slot. Included once for each, with
 *
 *   IMPL          the name of the table's struct impl, say impl_slot_fas
 *   IMPL_NAME     "slot-fas"
 *   IMPL_PER_SLOT 1: one lock a slot, in the slot; 0: one lock for all
 *   LOCK_T        the lock; all zero, or LOCK_INIT(lock), is unlocked
 *   LOCK, UNLOCK, READ_LOCK, READ_UNLOCK (lock)
 *
 * Written to win: under the lock lies only what must; the metadata is copied by words; the lock shares the slot's cache
 * line with what it guards; a last drop without on_drop frees the frame under the same hold. Same meaning as the
 * library: typed metadata, live and forgotten references, errors, over-drop. No deferral: on_drop runs at the last
 * drop. A peek holds the lock until read_unlock, since that is how long its pointer is valid.
 */
#include "impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct table;

/* One cache line, but two where a pthread mutex leaves no room. */
struct lock_slot {
	_Alignas(64) LOCK_T lock; /* unused where the lock is global */
	uint32_t ref_count, raw_count;
	const struct mslot_type *type; /* NULL: unused. With ref_count 0: on_drop is running. */
	struct table *table;
	uint64_t meta[2];
};

struct table {
	struct lock_slot *slots;
	uint64_t base, nr_frames;
	unsigned shift;
	size_t bytes;
	char *memory;
	_Alignas(64) LOCK_T lock; /* unused where each slot has its own */
};

#if IMPL_PER_SLOT
#define LOCK_OF(slot, table) ((void)(table), &(slot)->lock)
#else
#define LOCK_OF(slot, table) ((void)(slot), &(table)->lock)
#endif

/* Metadata of a claim that brings none. */
static const uint64_t zeros[2];

/* The lock of the peek that is open. */
static _Thread_local LOCK_T *peeked;

static struct table *table_of(const struct mslot_region *region)
{
	return (struct table *)region;
}

static struct lock_slot *slot_of(const struct mslot_frame *frame)
{
	return (struct lock_slot *)frame;
}

static uint64_t paddr_of(const struct lock_slot *slot)
{
	return slot->table->base + ((uint64_t)(slot - slot->table->slots) << slot->table->shift);
}

static void refuse(enum mslot_err *why, enum mslot_err err)
{
	if (why)
		*why = err;
}

static struct lock_slot *find(struct table *table, uint64_t paddr, enum mslot_err *why)
{
	uint64_t offset = paddr - table->base, index = offset >> table->shift;

	if (__builtin_expect(index < table->nr_frames && index << table->shift == offset, 1))
		return &table->slots[index];
	refuse(why, index << table->shift != offset ? MSLOT_NOT_ALIGNED : MSLOT_OUT_OF_BOUND);
	return NULL;
}

static struct mslot_region *create(const struct mslot_region_config *config, enum mslot_err *why)
{
	struct table *table = aligned_alloc(64, sizeof(*table));
	void *slots;

	if (!table)
		goto no_memory;
	memset(table, 0, sizeof(*table));
	table->base = config->base_paddr;
	table->nr_frames = config->nr_frames;
	table->shift = config->frame_shift ? config->frame_shift : 12;
	table->memory = config->memory;
	table->bytes = config->nr_frames * sizeof(struct lock_slot);
	slots = mmap(NULL, table->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (slots == MAP_FAILED)
		goto no_memory;
	if (config->huge_pages)
		(void)madvise(slots, table->bytes, MADV_HUGEPAGE);
	table->slots = slots;
	return (struct mslot_region *)table;
no_memory:
	free(table);
	refuse(why, MSLOT_NO_MEMORY);
	return NULL;
}

static bool is_clean(const struct mslot_region *region)
{
	const struct table *table = table_of(region);

	for (uint64_t i = 0; i < table->nr_frames; i++)
		if (table->slots[i].type)
			return false;
	return true;
}

static enum mslot_err destroy(struct mslot_region *region)
{
	struct table *table = table_of(region);

	if (!is_clean(region))
		return MSLOT_IN_USE;
	munmap(table->slots, table->bytes);
	free(table);
	return MSLOT_OK;
}

static struct mslot_frame *claim(struct mslot_region *region, uint64_t paddr, const struct mslot_type *type,
				 const void *meta, enum mslot_err *why)
{
	struct table *table = table_of(region);
	struct lock_slot *slot = find(table, paddr, why);

	if (!slot)
		return NULL;
	if (__builtin_expect(!type || type->meta_bytes > sizeof(slot->meta), 0)) {
		refuse(why, MSLOT_INVALID);
		return NULL;
	}
	if (!meta)
		meta = zeros;
	LOCK(LOCK_OF(slot, table));
	if (__builtin_expect(slot->type != NULL, 0)) {
		enum mslot_err err = slot->ref_count ? MSLOT_IN_USE : MSLOT_BUSY;
		UNLOCK(LOCK_OF(slot, table));
		refuse(why, err);
		return NULL;
	}
	slot->type = type;
	slot->table = table;
	slot->ref_count = 1;
	slot->raw_count = 0;
	if (type->meta_bytes > 0)
		memcpy(&slot->meta[0], meta, 8);
	if (type->meta_bytes > 8)
		memcpy(&slot->meta[1], (const char *)meta + 8, 8);
	UNLOCK(LOCK_OF(slot, table));
	return (struct mslot_frame *)slot;
}

static struct mslot_frame *get(struct mslot_region *region, uint64_t paddr, enum mslot_err *why)
{
	struct table *table = table_of(region);
	struct lock_slot *slot = find(table, paddr, why);

	if (!slot)
		return NULL;
	LOCK(LOCK_OF(slot, table));
	if (__builtin_expect(slot->ref_count - 1 >= UINT32_MAX - 1, 0)) {
		enum mslot_err err = slot->type ? MSLOT_BUSY : MSLOT_UNUSED;
		UNLOCK(LOCK_OF(slot, table));
		refuse(why, err);
		return NULL;
	}
	slot->ref_count++;
	UNLOCK(LOCK_OF(slot, table));
	return (struct mslot_frame *)slot;
}

/* Out of the lock. */
static _Noreturn void over_drop(const struct lock_slot *slot)
{
	fprintf(stderr, IMPL_NAME ": over-drop of frame 0x%llx\n", (unsigned long long)paddr_of(slot));
	abort();
}

/* Under the lock, which it gives back; the last reference has just gone. */
static void release_last(struct lock_slot *slot)
{
	struct table *table = slot->table;
	const struct mslot_type *type = slot->type;

	if (!type->on_drop) {
		slot->type = NULL;
		UNLOCK(LOCK_OF(slot, table));
		return;
	}
	UNLOCK(LOCK_OF(slot, table));
	type->on_drop(slot->meta, paddr_of(slot),
		      table->memory ? table->memory + (paddr_of(slot) - table->base) : NULL);
	LOCK(LOCK_OF(slot, table));
	slot->type = NULL;
	UNLOCK(LOCK_OF(slot, table));
}

static void drop(struct mslot_frame *frame)
{
	struct lock_slot *slot = slot_of(frame);
	struct table *table = slot->table;

	LOCK(LOCK_OF(slot, table));
	if (__builtin_expect(slot->ref_count == slot->raw_count, 0)) {
		UNLOCK(LOCK_OF(slot, table));
		over_drop(slot);
	}
	if (--slot->ref_count == 0) {
		release_last(slot);
		return;
	}
	UNLOCK(LOCK_OF(slot, table));
}

/* clone, into_raw and clone_into_raw: adds to both counts of a frame with a live handle. */
static void add(struct lock_slot *slot, uint32_t refs, uint32_t raws)
{
	struct table *table = slot->table;

	LOCK(LOCK_OF(slot, table));
	if (__builtin_expect(slot->ref_count == slot->raw_count, 0)) {
		UNLOCK(LOCK_OF(slot, table));
		over_drop(slot);
	}
	slot->ref_count += refs;
	slot->raw_count += raws;
	UNLOCK(LOCK_OF(slot, table));
}

static struct mslot_frame *clone_frame(const struct mslot_frame *frame)
{
	add(slot_of(frame), 1, 0);
	return (struct mslot_frame *)frame;
}

static uint64_t into_raw(struct mslot_frame *frame)
{
	add(slot_of(frame), 0, 1);
	return paddr_of(slot_of(frame));
}

static uint64_t clone_into_raw(const struct mslot_frame *frame)
{
	add(slot_of(frame), 1, 1);
	return paddr_of(slot_of(frame));
}

static struct mslot_frame *from_raw(struct mslot_region *region, uint64_t paddr, enum mslot_err *why)
{
	struct table *table = table_of(region);
	struct lock_slot *slot = find(table, paddr, why);

	if (!slot)
		return NULL;
	LOCK(LOCK_OF(slot, table));
	if (__builtin_expect(slot->raw_count == 0, 0)) {
		UNLOCK(LOCK_OF(slot, table));
		refuse(why, MSLOT_NOT_FORGOTTEN);
		return NULL;
	}
	slot->raw_count--;
	UNLOCK(LOCK_OF(slot, table));
	return (struct mslot_frame *)slot;
}

static enum mslot_err drop_raw(struct mslot_region *region, uint64_t paddr)
{
	struct table *table = table_of(region);
	enum mslot_err why = MSLOT_OK;
	struct lock_slot *slot = find(table, paddr, &why);

	if (!slot)
		return why;
	LOCK(LOCK_OF(slot, table));
	if (__builtin_expect(slot->raw_count == 0, 0)) {
		UNLOCK(LOCK_OF(slot, table));
		return MSLOT_NOT_FORGOTTEN;
	}
	slot->raw_count--;
	if (--slot->ref_count == 0) {
		release_last(slot);
		return MSLOT_OK;
	}
	UNLOCK(LOCK_OF(slot, table));
	return MSLOT_OK;
}

static const void *meta(const struct mslot_frame *frame, const struct mslot_type *type)
{
	return slot_of(frame)->type == type ? slot_of(frame)->meta : NULL;
}

static void read_unlock(void)
{
	if (peeked) {
		READ_UNLOCK(peeked);
		peeked = NULL;
	}
}

static const void *peek(struct mslot_region *region, uint64_t paddr, const struct mslot_type *type, enum mslot_err *why)
{
	struct table *table = table_of(region);
	struct lock_slot *slot = find(table, paddr, why);

	if (!slot)
		return NULL;
	READ_LOCK(LOCK_OF(slot, table));
	if (__builtin_expect(slot->type != type || !slot->ref_count, 0)) {
		enum mslot_err err = !slot->type ? MSLOT_UNUSED : slot->ref_count ? MSLOT_WRONG_TYPE : MSLOT_BUSY;
		READ_UNLOCK(LOCK_OF(slot, table));
		refuse(why, err);
		return NULL;
	}
	peeked = LOCK_OF(slot, table);
	return slot->meta;
}

#include "impl_lock_segment.h"

static enum mslot_err barrier(struct mslot_region *region)
{
	(void)region;
	return MSLOT_OK;
}

extern const struct impl IMPL;
const struct impl IMPL = {
	.name = IMPL_NAME,
	.is_global = !IMPL_PER_SLOT,
	.region_create = create,
	.region_destroy = destroy,
	.frame_claim = claim,
	.frame_get = get,
	.frame_clone = clone_frame,
	.frame_drop = drop,
	.frame_into_raw = into_raw,
	.frame_from_raw = from_raw,
	.frame_clone_into_raw = clone_into_raw,
	.frame_drop_raw = drop_raw,
	.frame_meta = meta,
	.read_unlock = read_unlock,
	.peek = peek,
	.segment_claim = segment_claim,
	.segment_clone = segment_clone,
	.segment_drop = segment_drop,
	.barrier = barrier,
	.is_clean = is_clean,
};
