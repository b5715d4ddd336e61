/* SPDX-License-Identifier: MIT
 *
 * The region: where slots lie, and how slot, index, paddr and region lead to each other.
 */
#ifndef TABLE_REGION_H
#define TABLE_REGION_H

#include "base/check.h"
#include "table/slot.h"

#include <string.h>

/* Slots of one grain: memory is populated a grain at a time, and walks skip the grains that never were. */
#define GRAIN_SHIFT 9

#define NR_KNOWN_TYPES 32

/* Slots of one page: a row. No two nodes share one. */
#define SLOTS_OF_PAGE UINT64_C(64)

/* Bytes of free-frame hints for a range of so many frames, in whole pages: 9/64 a frame and 4096 for the index, as
 * free_index_bytes() says, and 4096 for its header; cache.c checks it. */
#define REGION_HINT_BYTES(nr_frames) (((nr_frames) / 64 * 9 + 8192 + 4095) & ~UINT64_C(4095))

/* Frames that lie on one NUMA node. */
struct node_range {
	uint64_t first, end; /* by index; whole rows, but for the region's last */
	unsigned node;	     /* the operating system's number */
	void *hints;	     /* of these frames, for whoever finds free ones: zeros at first */
};

/* Added to an entry of known_types: its claims take the slow path for now. */
#define KNOWN_SUSPENDED ((uintptr_t)4)
/* Not 0, so that a NULL type is not known. */
#define KNOWN_NONE KNOWN_SUSPENDED
_Static_assert(_Alignof(struct mslot_type) % sizeof(uintptr_t) == 0, "its address is an offset in the table");
_Static_assert(_Alignof(struct mslot_type) > (KNOWN_SUSPENDED | TYPE_BITS), "a type's address leaves the bits free");

/* Whether the region's hints about free frames are made. */
enum hints_stage { HINTS_NONE = 0, HINTS_MAKING = 2, HINTS_MADE = 4 };
/* Added to it: there may be an unused frame without a hint, so hints no longer prove that none is left. */
#define HINTS_UNPROVEN 1u

struct mslot_region {
	/* Read only once created, but for the last three. */
	struct slot *slots;
	uint64_t base, nr_frames;
	unsigned frame_shift;
	bool claims_may_wait;
	bool huge_pages;
	char *memory;
	uint64_t backlog_limit;
	uint32_t backlog_slack; /* a thread may keep twice so many retires to itself, uncounted */
	size_t mapping_bytes;
	uint64_t id;		   /* no other region has, or had, it */
	unsigned nr_ranges;	   /* at least 1 */
	struct node_range *ranges; /* all frames, ascending; no two neighbours of one node */
	const uint16_t *order;	   /* for each node of the machine all ranges, nearest first; if there are several */
	_Atomic unsigned hints_stage;
	_Atomic uint64_t scarce;		       /* see scarce.h */
	_Atomic uintptr_t known_types[NR_KNOWN_TYPES]; /* what slots of a type carry; never replaced by another's */
};

/* Any slot of a region leads to the region: its mapping begins on, and has to itself, multiples of this. */
#define CHUNK_SHIFT 30
#define NR_CHUNKS (UINT64_C(1) << (48 - CHUNK_SHIFT))
extern _Atomic(struct mslot_region *) region_of_chunk[NR_CHUNKS];

static inline struct mslot_region *slot_region(const struct slot *slot)
{
	/* [relaxed] whoever has a slot of the region was given the region. */
	return atomic_load_explicit(&region_of_chunk[(uintptr_t)slot >> CHUNK_SHIFT], memory_order_relaxed);
}

/*
 * What is kept of the region that begins in a chunk. Beside the region, not in it: a thread may look here, and may
 * still have retires to count, when the region is gone. No region begins in chunk 0.
 */
struct chunk {
	_Alignas(MSLOT_SLOT_BYTES) _Atomic int64_t nr_retired; /* a hint: each thread's last few are not counted */
	_Atomic uint64_t region_id;			       /* 0: there is none */
};
extern struct chunk chunks[NR_CHUNKS];

static inline struct chunk *region_chunk(const struct mslot_region *region)
{
	return &chunks[(uintptr_t)region >> CHUNK_SHIFT];
}

static inline _Atomic int64_t *region_backlog(const struct mslot_region *region)
{
	return &region_chunk(region)->nr_retired;
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

/* ---- nodes.c ---- */

enum mslot_err nodes_check(const struct mslot_region_config *config, unsigned shift);
/* Of a config that was checked: what its ranges take, and all their hints. */
uint64_t nodes_bytes(const struct mslot_region_config *config);
uint64_t nodes_hint_bytes(const struct mslot_region_config *config);
/* Divides the region, and asks that slots and hints of a range lie on its node. */
void nodes_init(struct mslot_region *region, const struct mslot_region_config *config, void *at, char *hints);

static inline struct node_range *region_range_of(const struct mslot_region *region, uint64_t index)
{
	struct node_range *range = region->ranges;

	while (UNLIKELY(index >= range->end))
		range++;
	return range;
}

#define NODE_ANY (~0u)

/* The ranges of one node, or, nearest to the caller first, all of them. */
struct range_walk {
	const uint16_t *order;
	unsigned node, nth;
};
struct range_walk range_walk_begin(const struct mslot_region *region, unsigned node);
/* NULL after the last. */
struct node_range *range_walk_next(const struct mslot_region *region, struct range_walk *walk);

/* ---- ranges of addresses ---- */

/* The frames of a non-empty range of whole frames; else why not. */
enum mslot_err region_slots(const struct mslot_region *region, uint64_t start, uint64_t end, struct slot **first,
			    uint64_t *nr_slots);

/*
 * What a region knows of a grain: one byte, behind struct mslot_region. The upper two bits are the state; HOLE and
 * TOUCHED are final. The lower six count the markings that failed: each is an incarnation of the grain's frames that is
 * not in their slots' words, so it is added to their generations (grain_word()).
 */
enum grain {
	GRAIN_UNTOUCHED = 0 << 6, /* never claimed: its slots are zero, and not in memory */
	GRAIN_MARKED = 1 << 6,	  /* about to be a hole, or untouched again; likewise */
	GRAIN_HOLE = 2 << 6,	  /* no frames; likewise */
	GRAIN_TOUCHED = 3 << 6,	  /* in memory, and may have been claimed */
};
#define GRAIN_MOST_IN_VAIN 63 /* where the count is full, slots are marked one by one */

static inline _Atomic uint8_t *region_grain(const struct mslot_region *region, uint64_t index)
{
	return (_Atomic uint8_t *)(region + 1) + (index >> GRAIN_SHIFT);
}

static inline uint8_t region_grain_byte(const struct mslot_region *region, uint64_t index)
{
	/* [acquire:attach] we see what the first claimer there saw of hints. [acquire:taken] as
	 * slot_word_acquire(), where it is a hole, or about to be one. */
	return atomic_load_explicit(region_grain(region, index), memory_order_acquire);
}

static inline enum grain grain_of(uint8_t byte)
{
	return (enum grain)(byte & ~GRAIN_MOST_IN_VAIN);
}

/* The byte, with another state. */
static inline uint8_t grain_moved(uint8_t byte, enum grain grain)
{
	return (uint8_t)(grain | (byte & GRAIN_MOST_IN_VAIN));
}

/* A slot's word, with the generations that its frame had before the grain was touched. */
static inline uint64_t grain_word(uint8_t byte, uint64_t word)
{
	uint64_t generation = word + (byte & GRAIN_MOST_IN_VAIN) * GEN_ONE;

	return (word & ~GEN_MASK) | (generation & GEN_MASK);
}

static inline bool region_is_touched(const struct mslot_region *region, uint64_t index)
{
	return LIKELY(region_grain_byte(region, index) >= GRAIN_TOUCHED);
}

/* The grain is a hole: its slots are not in memory and say nothing of it. Others are holes one by one. */
static inline bool region_is_hole(const struct mslot_region *region, uint64_t index)
{
	return grain_of(region_grain_byte(region, index)) == GRAIN_HOLE;
}

/* The word of a frame, whose slot may not be in memory. Its generation only grows (modulo 2^17): by one whenever the
 * frame becomes unused. */
static inline uint64_t region_word(const struct mslot_region *region, uint64_t index)
{
	uint8_t byte = region_grain_byte(region, index);

	switch (grain_of(byte)) {
	case GRAIN_UNTOUCHED:
		return grain_word(byte, STATE_UNUSED);
	case GRAIN_MARKED:
		return grain_word(byte, STATE_BUSY);
	case GRAIN_HOLE:
		return grain_word(byte, STATE_HOLE);
	case GRAIN_TOUCHED:
	default:
		return grain_word(byte, slot_word_acquire(&region->slots[index]));
	}
}

/*
 * To be called before a slot is claimed, and best before it is read, where region_is_touched() says no. OUT_OF_BOUND in
 * a hole, BUSY where one is being marked.
 */
COLD enum mslot_err region_touch(struct mslot_region *region, uint64_t index);
/* Frames of grains that are holes. */
uint64_t region_in_holes(const struct mslot_region *region);

/* Calls fn for each slot that may ever have been claimed, ascending, until it returns false. */
bool region_walk(const struct mslot_region *region, bool (*fn)(struct slot *slot, void *ctx), void *ctx);

/* Ends a region whose every slot is unused; else IN_USE, and how many are held, or BUSY where only retired slots are in
 * the way. */
enum mslot_err region_close(struct mslot_region *region, uint64_t *nr_held);
/* After that, when nobody looks for the region any more. */
void region_unmap(struct mslot_region *region);

/* The region that has that address, if there is one now. It is there until the end of the caller's reader section. */
static inline struct mslot_region *region_at(uintptr_t address)
{
	struct mslot_region *region = slot_region((const struct slot *)address);

	/* [acquire:attach] it is made. */
	return atomic_load_explicit(&region_chunk(region)->region_id, memory_order_acquire) ? region : NULL;
}

static inline unsigned region_hints_stage(const struct mslot_region *region)
{
	/* [acquire:attach] they are made; and whoever finds them begun sees attention. */
	return atomic_load_explicit(&region->hints_stage, memory_order_acquire);
}

static inline bool region_has_hints(const struct mslot_region *region)
{
	return LIKELY(region_hints_stage(region) >= HINTS_MADE);
}

/* A frame becomes unused, or may become so, without a hint. */
static inline void region_disprove_hints(struct mslot_region *region)
{
	if (!(region_hints_stage(region) & HINTS_UNPROVEN))
		/* [relaxed] before the frame is unused, by a release, or the call that ends its use has returned. */
		atomic_fetch_or_explicit(&region->hints_stage, HINTS_UNPROVEN, memory_order_relaxed);
}

/* A type that breaks its contract is INVALID. */
static inline bool type_is_valid(const struct mslot_type *type)
{
	return type && type->meta_bytes <= MSLOT_META_MAX && type->meta_align <= MSLOT_SLOT_BYTES &&
	       (type->meta_align & (type->meta_align - 1)) == 0 &&
	       !(type->flags & ~(unsigned)(MSLOT_TYPE_UNTYPED | MSLOT_TYPE_IMMEDIATE));
}

static inline bool type_is_immediate(const struct mslot_type *type)
{
	return type->flags & MSLOT_TYPE_IMMEDIATE;
}

/* What a slot carries as its type: the address, and what the last put and a reader need to know of it. */
static inline uintptr_t type_word(const struct mslot_region *region, const struct mslot_type *type)
{
	bool is_immediate = type_is_immediate(type);
	bool is_careful = type->on_drop || (!is_immediate && region_is_limited(region));

	return (uintptr_t)type | (is_immediate ? TYPE_IMMEDIATE : 0) | (is_careful ? TYPE_CAREFUL : 0);
}

/*
 * Types that a claim need not look at again, by a hash of their address: valid, of at least 8 bytes, with no backlog to
 * mind. Filled by the first claim of each; two that share a place leave the second to the slow path.
 */
static inline _Atomic uintptr_t *region_known_type(struct mslot_region *region, const struct mslot_type *type)
{
	/* An address is a multiple of the size of an entry, so it is an offset, too. */
	return (_Atomic uintptr_t *)((char *)region->known_types + (uintptr_t)type % sizeof(region->known_types));
}

/* Claims take the slow path until one of them finds that the region is not scarce any more. */
void region_suspend_types(struct mslot_region *region);
COLD void region_know_type(struct mslot_region *region, const struct mslot_type *type);

static inline bool region_knows_type(struct mslot_region *region, const struct mslot_type *type, uintptr_t *carried)
{
	/* [relaxed] says nothing but what the caller's type says. */
	*carried = atomic_load_explicit(region_known_type(region, type), memory_order_relaxed);
	return LIKELY((*carried ^ (uintptr_t)type) <= TYPE_BITS);
}

/* Writes type and metadata of a slot that the caller has to itself; meta NULL means zeros. */
void slot_fill(struct slot *slot, const struct mslot_type *type, const void *meta);

/* The same for a known type: copied in place, since a call of memcpy() would cost as much as the claim. */
static inline void slot_fill_known(struct slot *slot, const struct mslot_type *type, const void *meta)
{
	size_t bytes = type->meta_bytes;

	_Static_assert(MSLOT_META_MAX == 40, "five words: the first, the last, and what is between them");
	/* By words, as the caller will have written them just now: a wider load would wait for all of their stores. */
	memcpy(slot->meta, meta, 8);
	if (UNLIKELY(bytes > 16)) {
		memcpy(slot->meta + 8, (const char *)meta + 8, 8);
		if (bytes > 24)
			memcpy(slot->meta + 16, (const char *)meta + 16, 8);
		if (bytes > 32)
			memcpy(slot->meta + 24, (const char *)meta + 24, 8);
	}
	/* Of any length, down to 8. */
	memcpy(slot->meta + bytes - 8, (const char *)meta + bytes - 8, 8);
}

/* Reports a fault on `slot`, whose word was `seen`. */
COLD void slot_fault(enum mslot_fault_kind kind, const char *call, const struct slot *slot, uint64_t seen);

#endif
