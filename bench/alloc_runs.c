/* SPDX-License-Identifier: MIT
 *
 * A binary buddy allocator.
 *
 * Promises: O(order) under one lock, and neighbours merge at once.
 */
#include "alloc_runs.h"

#include "lock_kinds.h"

#include <sys/mman.h>

struct item *items_map(uint64_t nr)
{
	void *mapped = mmap(NULL, nr * sizeof(struct item), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (mapped == MAP_FAILED)
		return NULL;
	/* As the library is asked to. */
	(void)madvise(mapped, nr * sizeof(struct item), MADV_HUGEPAGE);
	return mapped;
}

void items_unmap(struct item *items, uint64_t nr)
{
	if (items)
		munmap(items, nr * sizeof(*items));
}

static void lock(struct runs *runs)
{
	if (runs->is_mutex)
		pthread_mutex_lock(&runs->mutex);
	else
		ck_spinlock_fas_lock(&runs->fas);
	TOLD_ACQUIRE(runs);
}

static void unlock(struct runs *runs)
{
	TOLD_RELEASE(runs);
	if (runs->is_mutex)
		pthread_mutex_unlock(&runs->mutex);
	else
		ck_spinlock_fas_unlock(&runs->fas);
}

static void link_run(struct runs *runs, struct item *item, unsigned order)
{
	struct item *next = runs->heads[order];

	item->free_order = order + 1;
	item->previous = NULL;
	item->next = next;
	if (next)
		next->previous = item;
	runs->heads[order] = item;
	runs->orders |= UINT32_C(1) << order;
}

static void unlink_run(struct runs *runs, struct item *item)
{
	unsigned order = (unsigned)item->free_order - 1;

	if (item->previous)
		item->previous->next = item->next;
	else
		runs->heads[order] = item->next;
	if (item->next)
		item->next->previous = item->previous;
	if (!runs->heads[order])
		runs->orders &= ~(UINT32_C(1) << order);
	item->free_order = 0;
}

bool runs_init(struct runs *runs, uint64_t nr, bool is_mutex)
{
	const uint64_t most = UINT64_C(1) << ALLOC_MAX_ORDER;

	*runs = (struct runs){.is_mutex = is_mutex, .nr_blocks = (nr + most - 1) / most};
	ck_spinlock_fas_init(&runs->fas);
	pthread_mutex_init(&runs->mutex, NULL);
	runs->items = items_map(runs->nr_blocks * most);
	for (uint64_t i = runs->items ? runs->nr_blocks : 0; i--;)
		link_run(runs, &runs->items[i * most], ALLOC_MAX_ORDER);
	return runs->items;
}

void runs_end(struct runs *runs)
{
	items_unmap(runs->items, runs->nr_blocks << ALLOC_MAX_ORDER);
	pthread_mutex_destroy(&runs->mutex);
}

struct item *runs_take(struct runs *runs, unsigned order)
{
	struct item *item = NULL;

	lock(runs);
	uint32_t fitting = runs->orders >> order << order;
	if (fitting) {
		unsigned from = (unsigned)__builtin_ctz(fitting);
		item = runs->heads[from];
		unlink_run(runs, item);
		while (from-- > order)
			link_run(runs, item + (UINT64_C(1) << from), from);
	}
	unlock(runs);
	return item;
}

void runs_give(struct runs *runs, struct item *item, unsigned order)
{
	uint64_t index = (uint64_t)(item - runs->items);

	lock(runs);
	for (; order < ALLOC_MAX_ORDER; order++) {
		struct item *buddy = &runs->items[index ^ UINT64_C(1) << order];
		if (buddy->free_order != order + 1)
			break;
		unlink_run(runs, buddy);
		index &= ~(UINT64_C(1) << order);
	}
	link_run(runs, &runs->items[index], order);
	unlock(runs);
}

bool runs_are_whole(const struct runs *runs)
{
	uint64_t nr = 0;

	for (const struct item *item = runs->heads[ALLOC_MAX_ORDER]; item; item = item->next)
		nr++;
	return nr == runs->nr_blocks;
}

bool runs_open(struct runs *runs, unsigned order, const struct mslot_type *type, const uint64_t meta[2], void **items)
{
	struct item *first = runs_take(runs, order);

	for (uint64_t i = 0; first && i < UINT64_C(1) << order; i++)
		items[i] = item_open(&first[i], type, (uint64_t[]){meta[0] + i, meta[1]});
	return first;
}

bool runs_put(struct runs *runs, unsigned order, void **items)
{
	struct item *first = items[0];
	uint64_t nr = UINT64_C(1) << order, nr_last = 0;

	if (!runs_have(runs, first) || (uint64_t)(first - runs->items) % nr)
		return false;
	for (uint64_t i = 1; i < nr; i++)
		if (items[i] != first + i)
			return false;
	while (nr_last < nr && item_put(&first[nr_last]))
		nr_last++;
	if (nr_last == nr) {
		runs_give(runs, first, order);
		return true;
	}
	/* Somebody holds one of them: the others go back alone. */
	for (uint64_t i = 0; i < nr; i++)
		if (i < nr_last || (i > nr_last && item_put(&first[i])))
			runs_give(runs, &first[i], 0);
	return true;
}
