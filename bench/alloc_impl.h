/* SPDX-License-Identifier: MIT
 *
 * What is raced at finding free frames: the library, and pools of the same slots behind locks, lock-free stacks and
 * rings, and malloc.
 *
 * Each hands out a slot of 64 bytes with 16 bytes of metadata, its type and its state written, and takes it back.
 */
#ifndef BENCH_ALLOC_IMPL_H
#define BENCH_ALLOC_IMPL_H

#include <stdint.h>

struct alloc_impl {
	const char *name;
	/* A pool of `nr` slots, or NULL. */
	void *(*create)(uint64_t nr);
	void (*destroy)(void *pool);
	/* One of them, or NULL. From any thread that is registered with the library. */
	void *(*alloc)(void *pool, const uint64_t meta[2]);
	void (*free)(void *pool, void *item);
};

/* All of them, the library first, ended by NULL. */
const struct alloc_impl *const *alloc_impl_list(void);

#endif
