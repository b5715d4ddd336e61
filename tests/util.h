/* SPDX-License-Identifier: MIT
 *
 * What the unit tests share: a small region, some types, and a picture of the whole table to compare with.
 *
 * Promises: REFUSES, ANSWERS and FAULTS fail where a call that has to change nothing changes anything that mslot_view()
 *           or mslot_audit() can see; every test ends with a barrier, a clean audit and a destroyed region.
 * Needs:    cmocka. One test program is one process, and its main thread is registered.
 */
#ifndef TESTS_UTIL_H
#define TESTS_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <metaslot/metaslot.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define BASE UINT64_C(0x100000)
#define FRAME UINT64_C(4096)
#define NR_FRAMES 16
#define PADDR(index) (BASE + (uint64_t)(index)*FRAME)
#define END PADDR(NR_FRAMES)

static struct mslot_region *region;
static char payload[NR_FRAMES * 4096];

/* ---- types ---- */

struct meta {
	uint64_t a, b;
};

/* What on_drop was told last, and how often; atomics, as the library's own thread may be the one that tells. */
static _Atomic unsigned drops;
static _Atomic uint64_t dropped_paddr, dropped_a;
static void *_Atomic dropped_memory;

static inline void on_drop_note(void *meta, uint64_t paddr, void *memory)
{
	dropped_a = ((struct meta *)meta)->a;
	dropped_paddr = paddr;
	dropped_memory = memory;
	drops++;
}

__attribute__((unused)) static const struct mslot_type immediate = {
	.name = "immediate", .meta_bytes = sizeof(struct meta), .meta_align = 8, .flags = MSLOT_TYPE_IMMEDIATE};
__attribute__((unused)) static const struct mslot_type deferred = {
	.name = "deferred", .meta_bytes = sizeof(struct meta), .meta_align = 8};
__attribute__((unused)) static const struct mslot_type noting = {.name = "noting",
								 .meta_bytes = sizeof(struct meta),
								 .meta_align = 8,
								 .on_drop = on_drop_note,
								 .flags = MSLOT_TYPE_IMMEDIATE};
__attribute__((unused)) static const struct mslot_type noting_deferred = {
	.name = "noting deferred", .meta_bytes = sizeof(struct meta), .meta_align = 8, .on_drop = on_drop_note};

/* ---- the table as a picture ---- */

struct picture {
	struct mslot_view view[NR_FRAMES];
	struct mslot_audit audit;
};

static inline void picture_take(struct picture *picture)
{
	memset(picture, 0, sizeof(*picture));
	for (unsigned i = 0; i < NR_FRAMES; i++)
		assert_int_equal(mslot_view(region, PADDR(i), &picture->view[i]), MSLOT_OK);
	assert_int_equal(mslot_audit(region, &picture->audit), MSLOT_OK);
}

static inline void picture_compare(const struct picture *before, const char *file, int line)
{
	struct picture now;

	picture_take(&now);
	for (unsigned i = 0; i < NR_FRAMES; i++)
		_assert_memory_equal(&now.view[i], &before->view[i], sizeof(now.view[i]), file, line);
	_assert_memory_equal(&now.audit, &before->audit, sizeof(now.audit), file, line);
}

static inline struct mslot_view view_at(unsigned index)
{
	struct mslot_view view;

	assert_int_equal(mslot_view(region, PADDR(index), &view), MSLOT_OK);
	return view;
}

#define assert_err(err, expected) assert_string_equal(mslot_err_name(err), mslot_err_name(expected))

#define assert_counts(index, expected_status, refs, raws)                                                              \
	do {                                                                                                           \
		struct mslot_view view_now = view_at(index);                                                           \
		assert_string_equal(mslot_status_name(view_now.status), mslot_status_name(expected_status));           \
		assert_int_equal(view_now.ref_count, refs);                                                            \
		assert_int_equal(view_now.raw_count, raws);                                                            \
	} while (0)

/* A maker of handles, called with &why, gives NULL and says `err`; nothing has changed. */
#define REFUSES(err, call)                                                                                             \
	do {                                                                                                           \
		struct picture refused;                                                                                \
		enum mslot_err why = MSLOT_OK;                                                                         \
		picture_take(&refused);                                                                                \
		assert_null(call);                                                                                     \
		assert_err(why, err);                                                                                  \
		picture_compare(&refused, __FILE__, __LINE__);                                                         \
	} while (0)

/* A call that returns an error returns `err`; nothing has changed. */
#define ANSWERS(err, call)                                                                                             \
	do {                                                                                                           \
		struct picture before;                                                                                 \
		picture_take(&before);                                                                                 \
		assert_err(call, err);                                                                                 \
		picture_compare(&before, __FILE__, __LINE__);                                                          \
	} while (0)

/* ---- faults ---- */

static struct {
	unsigned nr;
	struct mslot_fault last;
} caught;

static inline void catch_fault(const struct mslot_fault *fault, void *ctx)
{
	assert_ptr_equal(ctx, &caught);
	caught.last = *fault;
	caught.nr++;
}

static inline void faults_begin(void)
{
	caught.nr = 0;
	mslot_set_fault_handler(catch_fault, &caught);
}

/* Tells a child process to run into the default handler: gives what it printed, or fails if it did not abort. */
static inline pid_t abort_begin(int out[2])
{
	pid_t child;

	assert_int_equal(pipe(out), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
		signal(SIGABRT, SIG_DFL);
		dup2(out[1], STDERR_FILENO);
		mslot_set_fault_handler(NULL, NULL);
	}
	return child;
}

static inline void abort_end(pid_t child, int out[2], const char *call)
{
	char printed[400] = "";
	int status = 0;
	ssize_t nr;

	close(out[1]);
	nr = read(out[0], printed, sizeof(printed) - 1);
	close(out[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	assert_true(nr > 0);
	assert_non_null(strstr(printed, call));
	assert_non_null(strstr(printed, "paddr 0x"));
}

/*
 * `statement` is a fault of `fault_kind`, seen by the public call named `fault_call`. Under a returning handler nothing
 * has changed; under the default one the process aborts.
 */
#define FAULTS(fault_kind, fault_call, statement)                                                                      \
	do {                                                                                                           \
		struct picture before;                                                                                 \
		picture_take(&before);                                                                                 \
		faults_begin();                                                                                        \
		statement;                                                                                             \
		mslot_set_fault_handler(NULL, NULL);                                                                   \
		assert_int_equal(caught.nr, 1);                                                                        \
		assert_int_equal(caught.last.kind, fault_kind);                                                        \
		assert_string_equal(caught.last.call, fault_call);                                                     \
		assert_non_null(caught.last.what);                                                                     \
		picture_compare(&before, __FILE__, __LINE__);                                                          \
		int printed[2];                                                                                        \
		pid_t child = abort_begin(printed);                                                                    \
		if (child == 0) {                                                                                      \
			statement;                                                                                     \
			_exit(0);                                                                                      \
		}                                                                                                      \
		abort_end(child, printed, fault_call);                                                                 \
	} while (0)

/* A handle that the compiler does not recognize as given up. */
static inline struct mslot_frame *stale_frame(struct mslot_frame *frame)
{
	volatile uintptr_t bits = (uintptr_t)frame;
	return (struct mslot_frame *)bits;
}

static inline struct mslot_unique *stale_unique(struct mslot_unique *unique)
{
	volatile uintptr_t bits = (uintptr_t)unique;
	return (struct mslot_unique *)bits;
}

/* ---- fixtures ---- */

static inline int setup(void **state)
{
	(void)state;
	region = mslot_region_create(
		&(struct mslot_region_config){.base_paddr = BASE, .nr_frames = NR_FRAMES, .memory = payload}, NULL);
	drops = 0;
	return region ? 0 : -1;
}

static inline int teardown(void **state)
{
	struct mslot_audit audit;
	(void)state;

	mslot_set_fault_handler(NULL, NULL);
	if (mslot_barrier(region) || mslot_audit(region, &audit) || audit.nr_broken || !mslot_is_clean(region))
		return -1;
	return mslot_region_destroy(region) == MSLOT_OK ? 0 : -1;
}

static inline int group_setup(void **state)
{
	(void)state;
	return mslot_thread_register() == MSLOT_OK ? 0 : -1;
}

static inline int group_teardown(void **state)
{
	(void)state;
	return mslot_thread_unregister() == MSLOT_OK ? 0 : -1;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

/* ---- threads ---- */

/* Joins; a thread that waits must not keep grace periods from ending. */
static inline void *join(pthread_t thread)
{
	void *result = NULL;

	mslot_thread_offline();
	assert_int_equal(pthread_join(thread, &result), 0);
	mslot_thread_online();
	return result;
}

static inline void run_in_thread(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, fn, arg), 0);
	join(thread);
}

#endif
