/* SPDX-License-Identifier: MIT
 *
 * The pools behind alloc_impl.h that are made of slots: a free list and a bitmap behind one lock, and Concurrency Kit's
 * lock-free stack and its ring.
 *
 * Promises: each is the shortest that its means allow: one lock or one locked instruction to take or give a frame,
 *           nothing looked up, and the frame freed last is taken first where the structure has an order at all. Slots
 *           are touched as they are first used. Runs come from alloc_runs.h.
 * Read:     one pool after the other, then POOL(), which makes the calls of each.
 */
#include "alloc_pool.h"

#include "alloc_runs.h"
#include "lock_kinds.h"

#include <ck_ring.h>
#include <stdlib.h>

struct pool {
	_Alignas(64) union {
		ck_spinlock_fas_t fas;
		pthread_mutex_t mutex;
		ck_stack_t stack;
		ck_ring_t ring;
	};
	_Alignas(64) struct item *head;
	uint64_t row;
	uint64_t *free_rows;  /* of 64 items: 1 is free */
	uint64_t *free_words; /* of 64 rows: 1 has a free item */
	ck_ring_buffer_t *buffer;
	pthread_mutex_t enqueue_turn; /* of a ring, where threads outnumber cpus */
	struct item *items;
	uint64_t nr, nr_usable;
	_Alignas(64) _Atomic uint64_t nr_fresh; /* from there on, items were never used; a bitmap knows by itself */
	struct runs runs;
};

static void pool_destroy(void *opened)
{
	struct pool *pool = opened;

	free(pool->free_rows);
	free(pool->free_words);
	free(pool->buffer);
	items_unmap(pool->items, pool->nr);
	runs_end(&pool->runs);
	free(pool);
}

static struct pool *pool_create(uint64_t nr, bool is_mutex)
{
	struct pool *pool = aligned_alloc(64, sizeof(*pool));

	if (!pool)
		return NULL;
	memset(pool, 0, sizeof(*pool));
	pool->nr = pool->nr_usable = nr;
	pool->items = items_map(nr);
	if (!runs_init(&pool->runs, nr, is_mutex) || !pool->items) {
		pool_destroy(pool);
		return NULL;
	}
	return pool;
}

/* An item that was never used, or NULL. */
static struct item *take_fresh(struct pool *pool)
{
	uint64_t at = atomic_load_explicit(&pool->nr_fresh, memory_order_relaxed);

	while (at < pool->nr_usable)
		if (atomic_compare_exchange_weak_explicit(&pool->nr_fresh, &at, at + 1, memory_order_relaxed,
							  memory_order_relaxed))
			return &pool->items[at];
	return NULL;
}

/* ---- a free list ---- */

static struct pool *new_list(uint64_t nr, bool is_mutex)
{
	return pool_create(nr, is_mutex);
}

static struct item *list_take(struct pool *pool)
{
	struct item *item = pool->head;

	if (!item)
		return take_fresh(pool);
	pool->head = item->next;
	return item;
}

static void list_give(struct pool *pool, struct item *item)
{
	item->next = pool->head;
	pool->head = item;
}

/* ---- a bitmap, searched from where a frame was freed last ---- */

static struct pool *new_bitmap(uint64_t nr, bool is_mutex)
{
	struct pool *pool = pool_create(nr, is_mutex);
	uint64_t nr_rows = (nr + 63) / 64, nr_words = (nr_rows + 63) / 64;

	if (!pool)
		return NULL;
	pool->free_rows = calloc(nr_rows, sizeof(*pool->free_rows));
	pool->free_words = calloc(nr_words, sizeof(*pool->free_words));
	if (!pool->free_rows || !pool->free_words) {
		pool_destroy(pool);
		return NULL;
	}
	for (uint64_t i = 0; i < nr; i += 64)
		pool->free_rows[i / 64] = nr - i < 64 ? (UINT64_C(1) << (nr - i)) - 1 : UINT64_MAX;
	for (uint64_t i = 0; i < nr_rows; i++)
		pool->free_words[i / 64] |= UINT64_C(1) << i % 64;
	return pool;
}

static bool bitmap_seek(struct pool *pool)
{
	uint64_t nr_words = ((pool->nr + 63) / 64 + 63) / 64, word = pool->row / 64;

	for (uint64_t tries = 0; tries < nr_words; tries++) {
		if (pool->free_words[word]) {
			pool->row = word * 64 + (unsigned)__builtin_ctzll(pool->free_words[word]);
			return true;
		}
		word = word + 1 < nr_words ? word + 1 : 0;
	}
	return false;
}

static struct item *bitmap_take(struct pool *pool)
{
	if (!pool->free_rows[pool->row] && !bitmap_seek(pool))
		return NULL;
	uint64_t *row = &pool->free_rows[pool->row];
	unsigned bit = (unsigned)__builtin_ctzll(*row);
	*row &= *row - 1;
	if (!*row)
		pool->free_words[pool->row / 64] &= ~(UINT64_C(1) << pool->row % 64);
	return &pool->items[pool->row * 64 + bit];
}

static void bitmap_give(struct pool *pool, struct item *item)
{
	uint64_t index = (uint64_t)(item - pool->items);

	pool->row = index / 64;
	pool->free_rows[pool->row] |= UINT64_C(1) << index % 64;
	pool->free_words[pool->row / 64] |= UINT64_C(1) << pool->row % 64;
}

/* All zero is an unlocked lock of either kind. */
#define LOCKED(structure, lock_name, lock, unlock)                                                                     \
	static struct item *structure##_##lock_name##_take(struct pool *pool)                                          \
	{                                                                                                              \
		lock(&pool->lock_name);                                                                                \
		TOLD_ACQUIRE(pool);                                                                                    \
		struct item *item = structure##_take(pool);                                                            \
		TOLD_RELEASE(pool);                                                                                    \
		unlock(&pool->lock_name);                                                                              \
		return item;                                                                                           \
	}                                                                                                              \
	static void structure##_##lock_name##_give(struct pool *pool, struct item *item)                               \
	{                                                                                                              \
		lock(&pool->lock_name);                                                                                \
		TOLD_ACQUIRE(pool);                                                                                    \
		structure##_give(pool, item);                                                                          \
		TOLD_RELEASE(pool);                                                                                    \
		unlock(&pool->lock_name);                                                                              \
	}

LOCKED(list, fas, ck_spinlock_fas_lock, ck_spinlock_fas_unlock)
LOCKED(list, mutex, pthread_mutex_lock, pthread_mutex_unlock)
LOCKED(bitmap, fas, ck_spinlock_fas_lock, ck_spinlock_fas_unlock)
LOCKED(bitmap, mutex, pthread_mutex_lock, pthread_mutex_unlock)

/* ---- Concurrency Kit's lock-free stack, and its ring ---- */

#ifdef ALLOC_CK_STACK
static struct pool *new_stack(uint64_t nr, bool is_mutex)
{
	struct pool *pool = pool_create(nr, is_mutex);

	if (pool)
		ck_stack_init(&pool->stack);
	return pool;
}

static struct item *stack_take(struct pool *pool)
{
	ck_stack_entry_t *entry = ck_stack_pop_mpmc(&pool->stack);

	TOLD_ACQUIRE(pool);
	return entry ? (struct item *)((char *)entry - offsetof(struct item, entry)) : take_fresh(pool);
}

static void stack_give(struct pool *pool, struct item *item)
{
	TOLD_RELEASE(pool);
	ck_stack_push_mpmc(&pool->stack, &item->entry);
}
#endif

#ifdef ALLOC_CK_RING

static struct pool *new_ring(uint64_t nr, bool is_mutex)
{
	struct pool *pool = pool_create(nr, is_mutex);
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
	return pool;
}

static struct item *ring_take(struct pool *pool)
{
	struct item *item = NULL;

	if (!ck_ring_dequeue_mpmc(&pool->ring, pool->buffer, &item))
		return take_fresh(pool);
	TOLD_ACQUIRE(pool);
	return item;
}

/* Never full: it has a place for every item. */
static void ring_enqueue(struct pool *pool, struct item *item)
{
	while (!ck_ring_enqueue_mpmc(&pool->ring, pool->buffer, item))
		ck_pr_stall();
}

/* An enqueue spins until the one before it is done: a time slice and more where that thread was preempted. So where
 * threads outnumber cpus they take turns by a mutex, and sleep while they wait for a preempted one. Dequeues wait for
 * nobody. */
static void ring_give(struct pool *pool, struct item *item)
{
	TOLD_RELEASE(pool);
	if (__builtin_expect(!impl_is_oversubscribed, 1)) {
		ring_enqueue(pool, item);
		return;
	}
	pthread_mutex_lock(&pool->enqueue_turn);
	ring_enqueue(pool, item);
	pthread_mutex_unlock(&pool->enqueue_turn);
}
#endif

/* ---- the calls of each ---- */

#define POOL(id, impl_name, structure, is_mutex)                                                                       \
	static void *id##_create(uint64_t nr)                                                                          \
	{                                                                                                              \
		return new_##structure(nr, is_mutex);                                                                  \
	}                                                                                                              \
	static void *id##_alloc(void *opened, const struct mslot_type *type, const uint64_t meta[2])                   \
	{                                                                                                              \
		struct item *item = id##_take(opened);                                                                 \
		return item ? item_open(item, type, meta) : NULL;                                                      \
	}                                                                                                              \
	static void id##_free(void *opened, void *item)                                                                \
	{                                                                                                              \
		item_close(item);                                                                                      \
		id##_give(opened, item);                                                                               \
	}                                                                                                              \
	static bool id##_alloc_run(void *opened, unsigned order, const struct mslot_type *type,                        \
				   const uint64_t meta[2], void **items)                                               \
	{                                                                                                              \
		return runs_open(&((struct pool *)opened)->runs, order, type, meta, items);                            \
	}                                                                                                              \
	static void id##_last(struct pool *pool, struct item *item)                                                    \
	{                                                                                                              \
		if (__builtin_expect(runs_have(&pool->runs, item), 0))                                                 \
			runs_give(&pool->runs, item, 0);                                                               \
		else                                                                                                   \
			id##_give(pool, item);                                                                         \
	}                                                                                                              \
	static void id##_put(void *opened, unsigned order, void **items)                                               \
	{                                                                                                              \
		if (order && runs_put(&((struct pool *)opened)->runs, order, items))                                   \
			return;                                                                                        \
		for (uint64_t i = 0; i < UINT64_C(1) << order; i++)                                                    \
			if (item_put(items[i]))                                                                        \
				id##_last(opened, items[i]);                                                           \
	}                                                                                                              \
	static bool id##_put_forgotten(void *opened, void *item)                                                       \
	{                                                                                                              \
		if (item_put_forgotten(item))                                                                          \
			id##_last(opened, item);                                                                       \
		return true;                                                                                           \
	}                                                                                                              \
	static bool id##_is_clean(void *opened, uint64_t *nr_broken)                                                   \
	{                                                                                                              \
		struct pool *pool = opened;                                                                            \
		uint64_t nr = 0;                                                                                       \
		*nr_broken = 0;                                                                                        \
		if (!pool->free_rows)                                                                                  \
			pool->nr_usable = atomic_load_explicit(&pool->nr_fresh, memory_order_relaxed);                 \
		for (struct item * item; (item = id##_take(pool)); nr++)                                               \
			*nr_broken += atomic_load_explicit(&item->counts, memory_order_relaxed) != 0;                  \
		return nr == pool->nr_usable && !*nr_broken && runs_are_whole(&pool->runs);                            \
	}                                                                                                              \
	const struct alloc_impl impl_##id = {                                                                          \
		.name = impl_name,                                                                                     \
		.create = id##_create,                                                                                 \
		.destroy = pool_destroy,                                                                               \
		.alloc = id##_alloc,                                                                                   \
		.free = id##_free,                                                                                     \
		.alloc_run = id##_alloc_run,                                                                           \
		.put = id##_put,                                                                                       \
		.get_put = counted_get_put,                                                                            \
		.forget = counted_forget,                                                                              \
		.put_forgotten = id##_put_forgotten,                                                                   \
		.look = counted_look,                                                                                  \
		.barrier = counted_barrier,                                                                            \
		.is_clean = id##_is_clean,                                                                             \
	};

POOL(list_fas, "list-fas", list, false)
POOL(list_mutex, "list-mutex", list, true)
POOL(bitmap_fas, "bitmap-fas", bitmap, false)
POOL(bitmap_mutex, "bitmap-mutex", bitmap, true)
#ifdef ALLOC_CK_STACK
POOL(stack, "ck_stack", stack, false)
#endif
#ifdef ALLOC_CK_RING
POOL(ring, "ck_ring", ring, false)
#endif
