/* SPDX-License-Identifier: MIT
 *
 * Memory that is available, so that nothing begins which it does not hold.
 */
#ifndef BENCH_MEMORY_H
#define BENCH_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* 0 if the kernel does not say. */
static inline uint64_t memory_available_bytes(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	unsigned long long kib = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %llu", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return (uint64_t)kib << 10;
}

/* Whether four fifths of what is available hold so much; also where that is not known. */
static inline bool memory_fits(uint64_t bytes)
{
	uint64_t available = memory_available_bytes();

	return !available || bytes <= available / 5 * 4;
}

#endif
