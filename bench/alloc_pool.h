/* SPDX-License-Identifier: MIT
 *
 * The pools of alloc_pool.c.
 */
#ifndef BENCH_ALLOC_POOL_H
#define BENCH_ALLOC_POOL_H

#include "alloc_impl.h"

extern const struct alloc_impl impl_list_fas, impl_list_mutex, impl_bitmap_fas, impl_bitmap_mutex, impl_stack,
	impl_ring;

#endif
