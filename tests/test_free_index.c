/* SPDX-License-Identifier: MIT
 *
 * The index of hints alone, against a plain array of what is free; then from several threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "alloc/free_index.c"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static struct free_index made;
static void *memory;

static void make_from(uint64_t first, uint64_t end)
{
	memory = calloc(1, free_index_bytes(first, end));
	assert_non_null(memory);
	free_index_init(&made, memory, first, end);
}

static void make(uint64_t nr_frames)
{
	make_from(0, nr_frames);
}

static void hints_take_at_most_a_fifth_of_a_byte_a_frame(void **state)
{
	(void)state;
	for (uint64_t nr = 1 << 16; nr <= UINT64_C(1) << 40; nr *= 2) {
		assert_true(free_index_bytes(0, nr) * 5 <= nr);
		assert_true(free_index_bytes(0, nr + 1) <= nr / 64 * 9 + 4096);
	}
	for (uint64_t nr = 1; nr < 5000; nr++)
		for (uint64_t first = 0; first < 1024; first += 64)
			assert_true(free_index_bytes(first, first + nr) <= nr / 64 * 9 + 4096);
}

static void every_frame_is_in_one_row(void **state)
{
	static const uint64_t sizes[] = {1, 16, 63, 64, 65, 511, 512, 513, 4095, 4096, 4097, 100000, 262144, 300001};
	(void)state;

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint64_t row, mask, nr = 0, next = 0;

		make(sizes[i]);
		while ((mask = free_index_take_row(&made, 0, &row))) {
			assert_int_equal(row, next++);
			nr += (unsigned)__builtin_popcountll(mask);
			assert_true(row * 64 + 63 - (unsigned)__builtin_clzll(mask) < sizes[i]);
		}
		assert_int_equal(nr, sizes[i]);
		/* Nothing, and a single frame anywhere. */
		for (int round = 0; round < 50; round++) {
			uint64_t at = (uint64_t)rand() % sizes[i];
			free_index_give(&made, at / 64, UINT64_C(1) << at % 64);
			uint64_t from = (uint64_t)rand() % free_index_nr_rows(sizes[i]);
			assert_true(free_index_take_row(&made, from, &row) == UINT64_C(1) << at % 64);
			assert_int_equal(row, at / 64);
			assert_int_equal(free_index_take_row(&made, from, &row), 0);
		}
		free(memory);
	}
}

#define NR 5000

static bool is_free[NR];

static bool fits(uint64_t at, uint64_t nr)
{
	if (at + nr > NR || (nr <= 64 && at / 64 != (at + nr - 1) / 64) || (nr > 64 && at % 64))
		return false;
	for (uint64_t i = 0; i < nr; i++)
		if (!is_free[at + i])
			return false;
	return true;
}

/* Random holes; every promised kind of run is found where it is first, and nowhere else. */
static void find_runs_from(uint64_t first)
{
	static const uint64_t lengths[] = {1, 2, 3, 8, 33, 64, 65, 100, 128, 512, 513, 700, 1024, 1500};

	make_from(first, NR);
	memset(is_free, false, first);
	memset(is_free + first, true, NR - first);
	for (int round = 0; round < 3000; round++) {
		uint64_t row = first / 64 + (uint64_t)rand() % ((NR - first + 63) / 64);
		uint64_t mask = (uint64_t)rand() * (unsigned)rand();
		bool gives = rand() % 8;

		if (rand() % 4)
			mask = UINT64_MAX;
		else if (rand() % 2)
			mask = UINT64_C(1) << rand() % 64;
		if (row == NR / 64)
			mask &= (UINT64_C(1) << NR % 64) - 1;
		for (unsigned i = 0; i < 64; i++)
			if (mask >> i & 1)
				is_free[row * 64 + i] = gives;
		if (gives)
			free_index_give(&made, row, mask);
		else
			free_index_take(&made, row, mask);
		uint64_t nr = lengths[(unsigned)rand() % (sizeof(lengths) / sizeof(lengths[0]))];
		uint64_t align = UINT64_C(1) << rand() % 11, at = (uint64_t)rand() % 3 ? 0 : (uint64_t)rand() % NR;
		uint64_t expected = (at + align - 1) / align * align;

		while (expected < NR && !fits(expected, nr))
			expected += align;
		bool found = free_index_find_run(&made, nr, align, &at);
		assert_int_equal(found, expected < NR);
		if (found)
			assert_int_equal(at, expected);
	}
	for (uint64_t row, mask; (mask = free_index_take_row(&made, 0, &row));)
		for (unsigned i = 0; i < 64; i++)
			assert_true(mask >> i & 1 ? is_free[row * 64 + i] : true);
	free(memory);
}

static void runs_are_found_where_they_are(void **state)
{
	(void)state;
	find_runs_from(0);
}

/* An index of a part of the region aligns as the region does. */
static void runs_are_found_where_a_part_begins(void **state)
{
	static const uint64_t firsts[] = {64, 448, 512, 576, 1024, 2048 + 320};

	(void)state;
	for (unsigned i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++)
		find_runs_from(firsts[i]);
}

/* Threads take rows and give them back; in the end all is there again, in every summary. */
static void *take_and_give(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	for (int i = 0; i < 200000; i++) {
		uint64_t row, mask = free_index_take_row(&made, 0, &row);

		if (!mask)
			continue;
		uint64_t some = mask & ((uint64_t)rand_r(&seed) << 32 | (unsigned)rand_r(&seed));
		if (some)
			free_index_give(&made, row, some);
		if (mask & ~some)
			free_index_give(&made, row, mask & ~some);
	}
	return NULL;
}

static void nothing_is_lost_between_threads(void **state)
{
	pthread_t threads[4];
	uint64_t row, mask, nr = 0, at = 0;
	(void)state;

	make(130);
	for (uintptr_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, (void *)(i + 1)), 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_true(free_index_find_run(&made, 130, 1, &at));
	while ((mask = free_index_take_row(&made, 0, &row)))
		nr += (unsigned)__builtin_popcountll(mask);
	assert_int_equal(nr, 130);
	free(memory);
}

static void rows_come_from_a_place_on_and_around(void **state)
{
	const uint64_t nr_rows = 5000, from = 4100;
	uint64_t row;
	(void)state;

	make(nr_rows * 64);
	for (uint64_t i = 0; i < nr_rows; i++) {
		assert_true(free_index_take_row(&made, from, &row) == UINT64_MAX);
		assert_int_equal(row, i < nr_rows - from ? from + i : i - (nr_rows - from));
	}
	assert_int_equal(free_index_take_row(&made, from, &row), 0);
	free(memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hints_take_at_most_a_fifth_of_a_byte_a_frame),
		cmocka_unit_test(every_frame_is_in_one_row),
		cmocka_unit_test(rows_come_from_a_place_on_and_around),
		cmocka_unit_test(runs_are_found_where_they_are),
		cmocka_unit_test(runs_are_found_where_a_part_begins),
		cmocka_unit_test(nothing_is_lost_between_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
