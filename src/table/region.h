/* SPDX-License-Identifier: MIT
 *
 * The region: where slots lie, and how slot, index, paddr and region lead to each other.
 */
#ifndef TABLE_REGION_H
#define TABLE_REGION_H

#include "base/check.h"
#include "table/slot.h"

#include <string.h>

/* Slots of one bit of `touched`: the grain in which walks skip what was never claimed. */
#define TOUCHED_SHIFT 12

#define NR_KNOWN_TYPES 16

struct mslot_region {
	/* Read only once created, but for the cache at the end. */
	struct slot *slots;
	uint64_t base, nr_frames;
	unsigned frame_shift;
	bool claims_may_wait;
	char *memory;
	uint64_t backlog_limit;
	uint32_t backlog_grain; /* retires that a thread may keep to itself before it counts them here */
	_Atomic uint64_t *touched;
	/* The one upward edge: who wants to hear of unused frames, or NULL. Set before the region is shared. */
	void (*give_back)(struct mslot_region *region, uint64_t index);
	size_t mapping_bytes;
	_Atomic uintptr_t known_types[NR_KNOWN_TYPES];
};

/* Any slot of a region leads to the region: slot tables begin on, and have to themselves, multiples of this. */
#define CHUNK_SHIFT 30
#define NR_CHUNKS (UINT64_C(1) << (48 - CHUNK_SHIFT))
extern struct mslot_region *region_of_chunk[NR_CHUNKS];

static inline struct mslot_region *slot_region(const struct slot *slot)
{
	return region_of_chunk[(uintptr_t)slot >> CHUNK_SHIFT];
}

/*
 * A hint: a region's retired slots, each thread's last few not counted. Beside the region, not in it: a thread may
 * count after the region is gone.
 */
struct backlog {
	_Alignas(MSLOT_SLOT_BYTES) _Atomic int64_t nr_retired;
};
extern struct backlog backlog_of_chunk[NR_CHUNKS];

static inline _Atomic int64_t *region_backlog(const struct mslot_region *region)
{
	return &backlog_of_chunk[(uintptr_t)region >> CHUNK_SHIFT].nr_retired;
}

/* Only then is the backlog counted. */
static inline bool region_is_limited(const struct mslot_region *region)
{
	return region->backlog_limit != INT64_MAX;
}

static inline uint64_t slot_paddr(const struct mslot_region *region, const struct slot *slot)
{
	return region->base + ((uint64_t)(slot - region->slots) << region->frame_shift);
}

static inline void *slot_memory(const struct mslot_region *region, const struct slot *slot)
{
	return region->memory ? region->memory + ((uint64_t)(slot - region->slots) << region->frame_shift) : NULL;
}

/*
 * The index of `paddr`, or one past the end. Rotated, not shifted: what lies off a frame's start, or below the base,
 * becomes an index far beyond the end.
 */
static inline uint64_t region_index(const struct mslot_region *region, uint64_t paddr)
{
	uint64_t offset = paddr - region->base;

	return offset >> region->frame_shift | offset << (-region->frame_shift & 63);
}

/* The slot of `paddr`, or NULL and NOT_ALIGNED or OUT_OF_BOUND. */
static inline struct slot *region_slot(const struct mslot_region *region, uint64_t paddr, enum mslot_err *err)
{
	uint64_t index = region_index(region, paddr);

	if (LIKELY(index < region->nr_frames))
		return &region->slots[index];
	*err = (paddr - region->base) & ((UINT64_C(1) << region->frame_shift) - 1) ? MSLOT_NOT_ALIGNED
										   : MSLOT_OUT_OF_BOUND;
	return NULL;
}

/* The frames of a non-empty range of whole frames; else why not. */
enum mslot_err region_range(const struct mslot_region *region, uint64_t start, uint64_t end, struct slot **first,
			    uint64_t *nr_slots);

/* To be called before a slot is claimed whose word is zero: any other has been claimed before. */
COLD void region_touch(struct mslot_region *region, const struct slot *slot);

/* Calls fn for each slot that may ever have been claimed, ascending, until it returns false. */
bool region_walk(const struct mslot_region *region, bool (*fn)(struct slot *slot, void *ctx), void *ctx);

/* Frees a region whose every slot is unused; else IN_USE, or BUSY where only retired slots are in the way. */
enum mslot_err region_free(struct mslot_region *region);

/* A type that breaks its contract is INVALID. */
static inline bool type_is_valid(const struct mslot_type *type)
{
	return type && type->meta_bytes <= MSLOT_META_MAX && type->meta_align <= MSLOT_SLOT_BYTES &&
	       (type->meta_align & (type->meta_align - 1)) == 0;
}

/* What a slot carries as its type: the address, and whether the last put has nothing to do but to recycle. */
static inline uintptr_t type_word(const struct mslot_region *region, const struct mslot_type *type)
{
	bool is_plain = type->flags & MSLOT_TYPE_IMMEDIATE && !type->on_drop && !region->give_back;

	return (uintptr_t)type | (is_plain ? TYPE_PLAIN : 0);
}

/*
 * Types that a claim need not look at again, by a hash of their address: valid, of whole words, with no backlog to
 * mind. Filled by the first claim of each; two that share a place leave the second to the slow path.
 */
static inline _Atomic uintptr_t *region_known_type(struct mslot_region *region, const struct mslot_type *type)
{
	return &region->known_types[(uintptr_t)type / sizeof(uint64_t) % NR_KNOWN_TYPES];
}

COLD void region_know_type(struct mslot_region *region, const struct mslot_type *type);

/* The word of a known type, or anything else. */
static inline uintptr_t region_type_word(struct mslot_region *region, const struct mslot_type *type)
{
	/* [relaxed] the word says all there is, and types do not change. */
	return atomic_load_explicit(region_known_type(region, type), memory_order_relaxed);
}

/* Writes type and metadata of a slot that the caller has to itself; meta NULL means zeros. */
void slot_fill(struct slot *slot, const struct mslot_type *type, const void *meta);

/* The same where meta is whole words: copied in place, since a call of memcpy() would cost as much as the claim. */
static inline void slot_fill_words(struct slot *slot, const struct mslot_type *type, const void *meta)
{
	size_t bytes = type->meta_bytes;

	_Static_assert(MSLOT_META_MAX == 5 * 8, "the words below");
	if (LIKELY(bytes > 0))
		memcpy(slot->meta, meta, 8);
	if (LIKELY(bytes > 8))
		memcpy(slot->meta + 8, (const char *)meta + 8, 8);
	if (UNLIKELY(bytes > 16))
		for (size_t at = 16; at < bytes && at < MSLOT_META_MAX; at += 8)
			memcpy(slot->meta + at, (const char *)meta + at, 8);
}

/* Reports a fault on `slot`, whose word was `seen`. */
COLD void slot_fault(enum mslot_fault_kind kind, const char *call, const struct slot *slot, uint64_t seen);

#endif
