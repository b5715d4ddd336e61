/* SPDX-License-Identifier: MIT
 *
 * The slot of the baselines: as large as the library's, with the same metadata, counted by one locked instruction a
 * step, as any table must whose frames others may look up.
 */
#ifndef BENCH_ALLOC_ITEM_H
#define BENCH_ALLOC_ITEM_H

#include <metaslot/metaslot.h>

#include <ck_stack.h>
#include <stdatomic.h>
#include <string.h>

struct item {
	uint64_t meta[2];
	union {
		struct item *next;
		ck_stack_entry_t entry;
	};
	const struct mslot_type *type;
	_Atomic uint64_t counts; /* references; in the upper half, those that are forgotten */
	struct item *previous;	 /* in a list of free runs */
	uint64_t free_order;	 /* of the free run that begins here, plus one; else 0 */
	uint64_t unused;
};

_Static_assert(sizeof(struct item) == MSLOT_SLOT_BYTES, "the same footprint");

#define ITEM_FORGOTTEN ((UINT64_C(1) << 32) + 1)

static inline struct item *item_open(struct item *item, const struct mslot_type *type, const uint64_t meta[2])
{
	memcpy(item->meta, meta, sizeof(item->meta));
	item->type = type;
	atomic_store_explicit(&item->counts, 1, memory_order_release);
	return item;
}

/* Twice freed is not checked: a baseline may be faster for it. */
static inline void item_close(struct item *item)
{
	atomic_store_explicit(&item->counts, 0, memory_order_relaxed);
}

static inline bool item_get(struct item *item)
{
	return (uint32_t)atomic_fetch_add_explicit(&item->counts, 1, memory_order_acquire) != 0;
}

/* Whether it was the last one. */
static inline bool item_put(struct item *item)
{
	return atomic_fetch_sub_explicit(&item->counts, 1, memory_order_acq_rel) == 1;
}

static inline void item_forget(struct item *item)
{
	atomic_fetch_add_explicit(&item->counts, ITEM_FORGOTTEN, memory_order_release);
}

/* Whether it was the last one. */
static inline bool item_put_forgotten(struct item *item)
{
	return atomic_fetch_sub_explicit(&item->counts, ITEM_FORGOTTEN, memory_order_acq_rel) == ITEM_FORGOTTEN;
}

static inline bool item_look(struct item *item, const struct mslot_type *type, uint64_t cookie)
{
	return item->type == type && item->meta[0] == cookie;
}

/* For alloc_impl.h, of any pool. */
bool counted_get_put(void *pool, void *item);
bool counted_forget(void *pool, void *item);
bool counted_look(void *pool, void *item, const struct mslot_type *type, uint64_t cookie);
void counted_barrier(void *pool);

#endif
