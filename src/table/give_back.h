/* SPDX-License-Identifier: MIT
 *
 * The one upward edge: alloc is told of each frame that becomes unused.
 *
 * Promises: while nobody allocates, a recycle pays one load for it. While somebody does, a thread remembers what it
 *           frees in two rows of 64 frames of its own, without a read-modify-write.
 * Needs:    rows are pages: slot tables begin on a page, and 64 slots fill one.
 */
#ifndef TABLE_GIVE_BACK_H
#define TABLE_GIVE_BACK_H

#include "base/check.h"
#include "table/scarce.h"

/*
 * Frames of one row that may be free: hints. Written by their thread alone; read by others that find nothing else.
 * The region that the row was taken from is told by its id, as it may be gone. Another one may be in its place, whose
 * frames are remembered here as well: it is the page that counts.
 */
struct free_row {
	_Atomic uintptr_t page; /* of its slots; 0 for none */
	/* One that was freed lately, and may have been allocated since, or NULL. It goes first, as its slot is in the
	 * cache. It stays here meanwhile: an allocation and a drop that turn it over write nothing here. */
	_Atomic(struct slot *) hot;
	_Atomic uint64_t mask; /* the others, and stale ones */
	_Atomic uint64_t region_id;
};

struct free_cache {
	struct free_row own;	/* allocates from here */
	struct free_row freed;	/* collects what is freed elsewhere */
	_Atomic uint64_t moves; /* odd while it moves hints: see alloc/proof.c */
	unsigned move_depth;
	struct free_cache *next;
	bool is_listed;
	uint32_t number; /* no two that are listed have the same */
	uint32_t place;	 /* where in an index it looks first, as a share of 2^32 */
};
extern _Thread_local struct free_cache free_cache __attribute__((tls_model("initial-exec")));

/* What alloc does where the rows do not help. NULL while nobody allocates; set once. Given back are frames of regions
 * whose hints are made. */
struct give_back_hooks {
	void (*give_back)(struct slot *slot);
	void (*flush)(void);
	void (*thread_exits)(void);
};
extern _Atomic(const struct give_back_hooks *) give_back_hooks;

static inline const struct give_back_hooks *give_back_upward(void)
{
	/* [relaxed] constants, whose calls look at nothing that is not their thread's own, or acquired there. */
	return atomic_load_explicit(&give_back_hooks, memory_order_relaxed);
}

#define SLOT_PAGE_SHIFT 12

_Static_assert(64 * MSLOT_SLOT_BYTES == 1 << SLOT_PAGE_SHIFT, "a row of slots is a page");

static inline uint64_t slot_row_bit(const struct slot *slot)
{
	return UINT64_C(1) << ((uintptr_t)slot / MSLOT_SLOT_BYTES % 64);
}

/* Remembers the slot, if it is of this row. */
static inline bool free_row_add(struct free_row *row, struct slot *slot)
{
	/* [relaxed] our own. */
	if (atomic_load_explicit(&row->page, memory_order_relaxed) != (uintptr_t)slot >> SLOT_PAGE_SHIFT)
		return false;
	/* [relaxed] our own. */
	if (!atomic_load_explicit(&row->hot, memory_order_relaxed)) {
		/* [relaxed] a hint: others look at the slot. */
		atomic_store_explicit(&row->hot, slot, memory_order_relaxed);
		return true;
	}
	/* [relaxed] our own. */
	uint64_t mask = atomic_load_explicit(&row->mask, memory_order_relaxed) | slot_row_bit(slot);
	/* [relaxed] a hint: others look at the slot. */
	atomic_store_explicit(&row->mask, mask, memory_order_relaxed);
	return true;
}

#define GIVE_BACK_WANTED 1

static inline unsigned give_back_attention(void)
{
	/* [relaxed] whoever must see it is ordered after its store: it has acquired hints that are begun, or the
	 * release of slot_call_attention(), when it retired the slot. */
	return atomic_load_explicit(&scarce_attention, memory_order_relaxed);
}

/* Before a slot becomes unused, once it is the caller's alone; gives what give_back() needs. */
static inline unsigned give_back_begin(struct slot *slot)
{
	unsigned attention = give_back_attention();

	if (UNLIKELY(attention > GIVE_BACK_WANTED))
		scarce_count_inc(slot);
	return attention;
}

/* Forgets the slot, if it is the hot one: this thread is not to allocate it next. */
static inline void free_cache_forget_hot(const struct slot *slot)
{
	/* [relaxed] our own. */
	if (atomic_load_explicit(&free_cache.own.hot, memory_order_relaxed) == slot)
		/* [relaxed] a hint: others look at the slot. */
		atomic_store_explicit(&free_cache.own.hot, NULL, memory_order_relaxed);
}

/* After a slot has become unused. An allocation that comes between the two finds it when it looks at the slots. */
static inline void give_back(struct slot *slot, unsigned attention)
{
	if (LIKELY(!attention))
		return;
	/* [relaxed] our own. It was allocated from there, and is there still. */
	if (LIKELY(atomic_load_explicit(&free_cache.own.hot, memory_order_relaxed) == slot))
		return;
	/* Whatever region was there when the row was taken: whoever empties the row looks which one is there now. */
	if (LIKELY(free_row_add(&free_cache.own, slot)) || free_row_add(&free_cache.freed, slot))
		return;
	/* NULL: the slot was the last that was in use, and another thread has just ended the region. */
	struct mslot_region *region = slot_region(slot);
	if (UNLIKELY(!region) || !region_has_hints(region)) {
		/* Until they are begun, hints say that all is free. */
		if (region && region_hints_stage(region) >= HINTS_MAKING)
			region_disprove_hints(region);
		return;
	}
	give_back_upward()->give_back(slot);
}

#endif
