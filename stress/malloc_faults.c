/* SPDX-License-Identifier: MIT
 *
 * Allocation that fails. Only calls from this program and the library inside it come here; those of the C library and
 * of liburcu do not.
 */
#include "malloc_faults.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t nr, size_t bytes);
void *__real_aligned_alloc(size_t align, size_t bytes);
void *__real_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t nr, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);
void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);

static _Atomic bool has_begun;
static _Atomic uint64_t nr_calls, nr_failed;
static _Thread_local bool is_armed;

void malloc_faults_begin(void)
{
	atomic_store(&has_begun, true);
}

void malloc_faults_arm(bool armed)
{
	is_armed = armed;
}

uint64_t malloc_faults_count(void)
{
	return atomic_load(&nr_failed);
}

static bool fails(void)
{
	if (!is_armed || !atomic_load_explicit(&has_begun, memory_order_relaxed) ||
	    atomic_fetch_add_explicit(&nr_calls, 1, memory_order_relaxed) % 3)
		return false;
	atomic_fetch_add_explicit(&nr_failed, 1, memory_order_relaxed);
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t bytes)
{
	return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t nr, size_t bytes)
{
	return fails() ? NULL : __real_calloc(nr, bytes);
}

void *__wrap_aligned_alloc(size_t align, size_t bytes)
{
	return fails() ? NULL : __real_aligned_alloc(align, bytes);
}

void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	return fails() ? MAP_FAILED : __real_mmap(at, bytes, protection, flags, fd, offset);
}
