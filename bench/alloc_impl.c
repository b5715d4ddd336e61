/* SPDX-License-Identifier: MIT
 *
 * The pools behind alloc_impl.h.
 *
 * Promises: each is the shortest that its means allow: one lock or one locked instruction a call, nothing looked up.
 * Read:     the slot, then one pool after the other: free list, bitmap, ck_stack, ck_ring, malloc.
 */
#include "alloc_impl.h"

#include <metaslot/metaslot.h>

#include <ck_ring.h>
#include <ck_spinlock.h>
#include <ck_stack.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static const struct mslot_type type = {"immediate", 16, 8, NULL, MSLOT_TYPE_IMMEDIATE};

/* As large as the library's. */
struct item {
	_Alignas(64) uint64_t meta[2];
	union {
		struct item *next;
		ck_stack_entry_t entry;
	};
	const struct mslot_type *type;
	uint64_t state;
};

_Static_assert(sizeof(struct item) == MSLOT_SLOT_BYTES, "the same footprint");

static void *open_item(struct item *item, const uint64_t meta[2])
{
	memcpy(item->meta, meta, sizeof(item->meta));
	item->type = &type;
	item->state = 1;
	return item;
}

/* Twice freed is not checked: a baseline may be faster for it. */
static struct item *close_item(void *opened)
{
	struct item *item = opened;

	item->state = 0;
	return item;
}

struct pool {
	_Alignas(64) union {
		ck_spinlock_fas_t fas;
		pthread_mutex_t mutex;
		ck_stack_t stack;
		ck_ring_t ring;
	};
	_Alignas(64) struct item *head;
	uint64_t *free_rows; /* of 64 items: 1 is free */
	uint64_t nr_rows, row;
	ck_ring_buffer_t *buffer;
	struct item *items;
	uint64_t nr;
};

static void pool_destroy(void *opened)
{
	struct pool *pool = opened;

	if (!pool)
		return;
	free(pool->free_rows);
	free(pool->buffer);
	free(pool->items);
	free(pool);
}

static struct pool *pool_create(uint64_t nr)
{
	struct pool *pool = aligned_alloc(64, sizeof(*pool));

	if (!pool)
		return NULL;
	memset(pool, 0, sizeof(*pool));
	pool->nr = nr;
	pool->items = aligned_alloc(64, nr * sizeof(*pool->items));
	if (!pool->items) {
		pool_destroy(pool);
		return NULL;
	}
	memset(pool->items, 0, nr * sizeof(*pool->items));
	return pool;
}

/* ---- the library ---- */

static void *mslot_pool_create(uint64_t nr)
{
	return mslot_region_create(&(struct mslot_region_config){.nr_frames = nr}, NULL);
}

static void mslot_pool_destroy(void *pool)
{
	(void)mslot_region_destroy(pool);
}

static void *mslot_pool_alloc(void *pool, const uint64_t meta[2])
{
	return mslot_alloc_frame(pool, &type, meta, NULL, NULL);
}

static void mslot_pool_free(void *pool, void *item)
{
	(void)pool;
	mslot_frame_drop(item);
}

static const struct alloc_impl impl_mslot = {"mslot", mslot_pool_create, mslot_pool_destroy, mslot_pool_alloc,
					     mslot_pool_free};

/* ---- a free list, and a bitmap, behind one lock ---- */

static void *list_create(uint64_t nr)
{
	struct pool *pool = pool_create(nr);

	if (!pool)
		return NULL;
	for (uint64_t i = nr; i--;) {
		pool->items[i].next = pool->head;
		pool->head = &pool->items[i];
	}
	return pool;
}

static void *bitmap_create(uint64_t nr)
{
	struct pool *pool = pool_create(nr);

	if (!pool)
		return NULL;
	pool->nr_rows = (nr + 63) / 64;
	pool->free_rows = calloc(pool->nr_rows, sizeof(*pool->free_rows));
	if (!pool->free_rows) {
		pool_destroy(pool);
		return NULL;
	}
	for (uint64_t i = 0; i < nr; i++)
		pool->free_rows[i / 64] |= UINT64_C(1) << i % 64;
	return pool;
}

static struct item *list_take(struct pool *pool)
{
	struct item *item = pool->head;

	if (item)
		pool->head = item->next;
	return item;
}

static void list_give(struct pool *pool, struct item *item)
{
	item->next = pool->head;
	pool->head = item;
}

static struct item *bitmap_take(struct pool *pool)
{
	for (uint64_t tries = 0; tries < pool->nr_rows; tries++) {
		uint64_t *row = &pool->free_rows[pool->row];

		if (*row) {
			unsigned bit = (unsigned)__builtin_ctzll(*row);
			*row &= *row - 1;
			return &pool->items[pool->row * 64 + bit];
		}
		pool->row = pool->row + 1 < pool->nr_rows ? pool->row + 1 : 0;
	}
	return NULL;
}

static void bitmap_give(struct pool *pool, struct item *item)
{
	uint64_t index = (uint64_t)(item - pool->items);

	pool->free_rows[index / 64] |= UINT64_C(1) << index % 64;
}

#define LOCKED_POOL(structure, lock_name, lock, unlock)                                                                \
	static void *structure##_##lock_name##_alloc(void *opened, const uint64_t meta[2])                             \
	{                                                                                                              \
		struct pool *pool = opened;                                                                            \
		lock(&pool->lock_name);                                                                                \
		struct item *item = structure##_take(pool);                                                            \
		unlock(&pool->lock_name);                                                                              \
		return item ? open_item(item, meta) : NULL;                                                            \
	}                                                                                                              \
	static void structure##_##lock_name##_free(void *opened, void *item)                                           \
	{                                                                                                              \
		struct pool *pool = opened;                                                                            \
		struct item *closed = close_item(item);                                                                \
		lock(&pool->lock_name);                                                                                \
		structure##_give(pool, closed);                                                                        \
		unlock(&pool->lock_name);                                                                              \
	}                                                                                                              \
	static const struct alloc_impl impl_##structure##_##lock_name = {                                              \
		#structure "-" #lock_name, structure##_create, pool_destroy, structure##_##lock_name##_alloc,          \
		structure##_##lock_name##_free};

/* All zero is an unlocked lock of either kind. */
LOCKED_POOL(list, fas, ck_spinlock_fas_lock, ck_spinlock_fas_unlock)
LOCKED_POOL(list, mutex, pthread_mutex_lock, pthread_mutex_unlock)
LOCKED_POOL(bitmap, fas, ck_spinlock_fas_lock, ck_spinlock_fas_unlock)
LOCKED_POOL(bitmap, mutex, pthread_mutex_lock, pthread_mutex_unlock)

/* ---- Concurrency Kit's lock-free stack and ring ---- */

#ifdef CK_F_STACK_POP_MPMC
static void *stack_create(uint64_t nr)
{
	struct pool *pool = pool_create(nr);

	if (!pool)
		return NULL;
	ck_stack_init(&pool->stack);
	for (uint64_t i = nr; i--;)
		ck_stack_push_spnc(&pool->stack, &pool->items[i].entry);
	return pool;
}

static void *stack_alloc(void *opened, const uint64_t meta[2])
{
	struct pool *pool = opened;
	ck_stack_entry_t *entry = ck_stack_pop_mpmc(&pool->stack);

	return entry ? open_item((struct item *)((char *)entry - offsetof(struct item, entry)), meta) : NULL;
}

static void stack_free(void *opened, void *item)
{
	struct pool *pool = opened;

	ck_stack_push_mpmc(&pool->stack, &close_item(item)->entry);
}

static const struct alloc_impl impl_stack = {"ck_stack", stack_create, pool_destroy, stack_alloc, stack_free};
#endif

static void *ring_create(uint64_t nr)
{
	struct pool *pool = pool_create(nr);
	unsigned size = 2;

	if (!pool)
		return NULL;
	/* One place stays empty. */
	while (size < nr + 1)
		size *= 2;
	pool->buffer = calloc(size, sizeof(*pool->buffer));
	if (!pool->buffer) {
		pool_destroy(pool);
		return NULL;
	}
	ck_ring_init(&pool->ring, size);
	for (uint64_t i = 0; i < nr; i++)
		(void)ck_ring_enqueue_mpmc(&pool->ring, pool->buffer, &pool->items[i]);
	return pool;
}

static void *ring_alloc(void *opened, const uint64_t meta[2])
{
	struct pool *pool = opened;
	struct item *item = NULL;

	return ck_ring_dequeue_mpmc(&pool->ring, pool->buffer, &item) ? open_item(item, meta) : NULL;
}

static void ring_free(void *opened, void *item)
{
	struct pool *pool = opened;

	/* Never full: it has a place for every item. */
	while (!ck_ring_enqueue_mpmc(&pool->ring, pool->buffer, close_item(item)))
		ck_pr_stall();
}

static const struct alloc_impl impl_ring = {"ck_ring", ring_create, pool_destroy, ring_alloc, ring_free};

/* ---- malloc ---- */

static void *malloc_create(uint64_t nr)
{
	return pool_create(nr ? 1 : 0);
}

static void *malloc_alloc(void *pool, const uint64_t meta[2])
{
	struct item *item = malloc(sizeof(*item));

	(void)pool;
	return item ? open_item(item, meta) : NULL;
}

static void malloc_free(void *pool, void *item)
{
	(void)pool;
	free(close_item(item));
}

static const struct alloc_impl impl_malloc = {"malloc", malloc_create, pool_destroy, malloc_alloc, malloc_free};

static const struct alloc_impl *const impls[] = {&impl_mslot,	   &impl_list_fas,     &impl_list_mutex,
						 &impl_bitmap_fas, &impl_bitmap_mutex,
#ifdef CK_F_STACK_POP_MPMC
						 &impl_stack,
#endif
						 &impl_ring,	   &impl_malloc,       NULL};

const struct alloc_impl *const *alloc_impl_list(void)
{
	return impls;
}
