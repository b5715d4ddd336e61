/* SPDX-License-Identifier: MIT
 *
 * The list of what is raced at finding free frames, with the library itself and malloc.
 *
 * Read: the library, malloc, then what all baselines share.
 */
#include "alloc_impl.h"

#include "alloc_item.h"
#include "alloc_pool.h"

#include <stdlib.h>

/* ---- the library ---- */

static void *mslot_pool_create(uint64_t nr)
{
	return mslot_region_create(&(struct mslot_region_config){.nr_frames = nr, .huge_pages = true}, NULL);
}

static void mslot_pool_destroy(void *pool)
{
	(void)mslot_region_destroy(pool);
}

static const struct mslot_alloc_options may_wait = {.flags = MSLOT_ALLOC_MAY_WAIT};

static void *mslot_pool_alloc(void *pool, const struct mslot_type *type, const uint64_t meta[2])
{
	return mslot_alloc_frame(pool, type, meta, &may_wait, NULL);
}

static void mslot_pool_free(void *pool, void *item)
{
	(void)pool;
	mslot_frame_drop(item);
}

/* Frames come in ascending order. */
static void write_next_meta(void *ctx, uint64_t paddr, void *meta)
{
	uint64_t *next = ctx;

	(void)paddr;
	memcpy(meta, next, 2 * sizeof(*next));
	next[0]++;
}

static bool mslot_pool_alloc_run(void *pool, unsigned order, const struct mslot_type *type, const uint64_t meta[2],
				 void **items)
{
	uint64_t nr = UINT64_C(1) << order, next[2] = {meta[0], meta[1]};
	struct mslot_segment segment;

	if (mslot_alloc_segment(pool, nr, nr, type, write_next_meta, next, &may_wait, &segment))
		return false;
	for (uint64_t i = 0; i < nr; i++)
		items[i] = mslot_segment_next(&segment);
	return true;
}

static void mslot_pool_put(void *pool, unsigned order, void **items)
{
	(void)pool;
	for (uint64_t i = 0; i < UINT64_C(1) << order; i++)
		mslot_frame_drop(items[i]);
}

static bool mslot_pool_get_put(void *pool, void *item)
{
	struct mslot_frame *frame = mslot_frame_get(pool, mslot_frame_paddr(item), NULL);

	mslot_frame_drop(frame);
	return frame;
}

static bool mslot_pool_forget(void *pool, void *item)
{
	(void)pool;
	return mslot_frame_clone_into_raw(item) != MSLOT_PADDR_NONE;
}

static bool mslot_pool_put_forgotten(void *pool, void *item)
{
	return !mslot_frame_drop_raw(pool, mslot_frame_paddr(item));
}

static bool mslot_pool_look(void *pool, void *item, const struct mslot_type *type, uint64_t cookie)
{
	uint64_t paddr = mslot_frame_paddr(item);
	struct mslot_frame *frame = NULL;
	const uint64_t *meta;
	bool is_right;

	if (type->flags & MSLOT_TYPE_IMMEDIATE) {
		frame = mslot_frame_get(pool, paddr, NULL);
		if (!frame)
			return false;
		meta = mslot_frame_meta(frame, type);
		is_right = meta && meta[0] == cookie;
		mslot_frame_drop(frame);
		return is_right;
	}
	mslot_read_lock();
	meta = mslot_peek(pool, paddr, type, NULL);
	is_right = meta && meta[0] == cookie;
	mslot_read_unlock();
	return is_right;
}

static void mslot_pool_barrier(void *pool)
{
	(void)mslot_barrier(pool);
}

static bool mslot_pool_is_clean(void *pool, uint64_t *nr_broken)
{
	struct mslot_audit found;

	if (mslot_audit(pool, &found))
		return false;
	*nr_broken = found.nr_broken;
	return mslot_is_clean(pool) && found.by_status[MSLOT_STATUS_UNUSED] == found.nr_frames;
}

static const struct alloc_impl impl_mslot = {
	.name = "mslot",
	.can_defer = true,
	.create = mslot_pool_create,
	.destroy = mslot_pool_destroy,
	.alloc = mslot_pool_alloc,
	.free = mslot_pool_free,
	.alloc_run = mslot_pool_alloc_run,
	.put = mslot_pool_put,
	.get_put = mslot_pool_get_put,
	.forget = mslot_pool_forget,
	.put_forgotten = mslot_pool_put_forgotten,
	.look = mslot_pool_look,
	.barrier = mslot_pool_barrier,
	.is_clean = mslot_pool_is_clean,
};

/* ---- malloc, which knows no runs: their frames come one by one, wherever they lie ---- */

static void *malloc_create(uint64_t nr)
{
	static char any;

	(void)nr;
	return &any;
}

static void malloc_destroy(void *pool)
{
	(void)pool;
}

/* Aligned as malloc likes: asking for the alignment of a line would cost it more. */
static void *malloc_alloc(void *pool, const struct mslot_type *type, const uint64_t meta[2])
{
	struct item *item = malloc(sizeof(*item));

	(void)pool;
	return item ? item_open(item, type, meta) : NULL;
}

static void malloc_free(void *pool, void *item)
{
	(void)pool;
	item_close(item);
	free(item);
}

static void malloc_put(void *pool, unsigned order, void **items)
{
	(void)pool;
	for (uint64_t i = 0; i < UINT64_C(1) << order; i++)
		if (item_put(items[i]))
			free(items[i]);
}

static bool malloc_alloc_run(void *pool, unsigned order, const struct mslot_type *type, const uint64_t meta[2],
			     void **items)
{
	for (uint64_t i = 0; i < UINT64_C(1) << order; i++) {
		items[i] = malloc_alloc(pool, type, (uint64_t[]){meta[0] + i, meta[1]});
		if (!items[i]) {
			while (i--)
				free(items[i]);
			return false;
		}
	}
	return true;
}

static bool malloc_put_forgotten(void *pool, void *item)
{
	(void)pool;
	if (item_put_forgotten(item))
		free(item);
	return true;
}

/* Whoever runs it knows what is still out; a leak is the sanitizer's to find. */
static bool malloc_is_clean(void *pool, uint64_t *nr_broken)
{
	(void)pool;
	*nr_broken = 0;
	return true;
}

static const struct alloc_impl impl_malloc = {
	.name = "malloc",
	.create = malloc_create,
	.destroy = malloc_destroy,
	.alloc = malloc_alloc,
	.free = malloc_free,
	.alloc_run = malloc_alloc_run,
	.put = malloc_put,
	.get_put = counted_get_put,
	.forget = counted_forget,
	.put_forgotten = malloc_put_forgotten,
	.look = counted_look,
	.barrier = counted_barrier,
	.is_clean = malloc_is_clean,
};

/* ---- what all baselines share ---- */

bool counted_get_put(void *pool, void *item)
{
	(void)pool;
	return item_get(item) && !item_put(item);
}

bool counted_forget(void *pool, void *item)
{
	(void)pool;
	item_forget(item);
	return true;
}

bool counted_look(void *pool, void *item, const struct mslot_type *type, uint64_t cookie)
{
	(void)pool;
	if (!item_get(item))
		return false;
	bool is_right = item_look(item, type, cookie);
	return !item_put(item) && is_right;
}

void counted_barrier(void *pool)
{
	(void)pool;
}

static const struct alloc_impl *const impls[] = {
	&impl_mslot, &impl_list_fas, &impl_list_mutex, &impl_bitmap_fas, &impl_bitmap_mutex, &impl_malloc,
#ifdef ALLOC_CK_RING
	&impl_ring,
#endif
#ifdef ALLOC_CK_STACK
	&impl_stack,
#endif
	NULL};

const struct alloc_impl *const *alloc_impl_list(void)
{
	return impls;
}

const struct alloc_impl *alloc_impl_find(const char *name)
{
	for (size_t i = 0; impls[i]; i++)
		if (!strcmp(impls[i]->name, name))
			return impls[i];
	return NULL;
}
