/* SPDX-License-Identifier: MIT
 *
 * Reads the clock; keeps measured values, and gives exact percentiles of them. (Debian 12 ships no HDR histogram.)
 */
#ifndef BENCH_SAMPLES_H
#define BENCH_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The last SAMPLES_MOST values; memory is touched as it fills. */
#define SAMPLES_MOST ((size_t)1 << 20)

struct samples {
	uint64_t *values;
	uint64_t nr; /* added so far */
};

static inline uint64_t now_ns(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

static inline bool samples_init(struct samples *samples)
{
	samples->nr = 0;
	samples->values = (uint64_t *)malloc(SAMPLES_MOST * sizeof(*samples->values));
	return samples->values != NULL;
}

static inline void samples_add(struct samples *samples, uint64_t value)
{
	samples->values[samples->nr++ % SAMPLES_MOST] = value;
}

static inline size_t samples_kept(const struct samples *samples)
{
	return samples->nr < SAMPLES_MOST ? (size_t)samples->nr : SAMPLES_MOST;
}

static inline int samples_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Of several sets, share by share; `all` is made by samples_join(). */
static inline bool samples_join(struct samples *all, const struct samples *sets, size_t stride, size_t nr_sets)
{
	size_t total = 0;

	for (size_t i = 0; i < nr_sets; i++)
		total += samples_kept((const struct samples *)((const char *)sets + i * stride));
	all->nr = 0;
	all->values = (uint64_t *)malloc((total + 1) * sizeof(*all->values));
	if (!all->values)
		return false;
	for (size_t i = 0; i < nr_sets; i++) {
		const struct samples *set = (const struct samples *)((const char *)sets + i * stride);
		if (samples_kept(set))
			memcpy(all->values + all->nr, set->values, samples_kept(set) * sizeof(*all->values));
		all->nr += samples_kept(set);
	}
	qsort(all->values, all->nr, sizeof(*all->values), samples_compare);
	return true;
}

/* The value that `share` (0 to 1) of the joined, sorted values do not exceed; 0 of none. */
static inline uint64_t samples_percentile(const struct samples *sorted, double share)
{
	if (!sorted->nr)
		return 0;
	uint64_t at = (uint64_t)(share * (double)sorted->nr);
	return sorted->values[at < sorted->nr ? at : sorted->nr - 1];
}

static inline void samples_free(struct samples *samples)
{
	free(samples->values);
	samples->values = NULL;
}

#endif
