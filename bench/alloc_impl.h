/* SPDX-License-Identifier: MIT
 *
 * What is raced at finding free frames: the library, and pools of the same slots behind locks, lock-free stacks and
 * rings, and malloc.
 *
 * Each hands out a slot of 64 bytes with 16 bytes of metadata, its type and its counts written, and takes it back. The
 * calls below the line count references, as the library does; the baselines check nothing there that costs them time.
 */
#ifndef BENCH_ALLOC_IMPL_H
#define BENCH_ALLOC_IMPL_H

#include <metaslot/metaslot.h>

/* The longest run is of 2^ALLOC_MAX_ORDER frames. */
#define ALLOC_MAX_ORDER 20

struct alloc_impl {
	const char *name;
	/* Has a grace period and peeks; else every type is immediate. */
	bool can_defer;
	/* A pool of `nr` slots, or NULL. */
	void *(*create)(uint64_t nr);
	void (*destroy)(void *pool);
	/* One of them, or NULL. From any thread that is registered with the library. */
	void *(*alloc)(void *pool, const struct mslot_type *type, const uint64_t meta[2]);
	/* From its only holder. */
	void (*free)(void *pool, void *item);

	/* ---- */

	/* 2^order of them in a row, aligned to as many: frame i gets {meta[0] + i, meta[1]}. */
	bool (*alloc_run)(void *pool, unsigned order, const struct mslot_type *type, const uint64_t meta[2],
			  void **items);
	/* Gives up a reference to each of the 2^order items, whether they came as a run or not. */
	void (*put)(void *pool, unsigned order, void **items);
	bool (*get_put)(void *pool, void *item);
	/* Takes a reference that only the frame remembers, and gives it up. */
	bool (*forget)(void *pool, void *item);
	bool (*put_forgotten)(void *pool, void *item);
	/* Whether the item carries `type` and meta[0] is `cookie`: by a peek at a deferred type, else a reference. */
	bool (*look)(void *pool, void *item, const struct mslot_type *type, uint64_t cookie);
	/* Nothing waits for a grace period after it. */
	void (*barrier)(void *pool);
	/* Whether all came back; the pool is of no use after it. */
	bool (*is_clean)(void *pool, uint64_t *nr_broken);
};

/* All of them, the library first, ended by NULL. */
const struct alloc_impl *const *alloc_impl_list(void);

/* By name, or NULL. */
const struct alloc_impl *alloc_impl_find(const char *name);

#endif
