/* SPDX-License-Identifier: MIT
 *
 * What a program has printed is out, or the program has failed.
 */
#ifndef BENCH_OUTPUT_H
#define BENCH_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

/* At a program's end. */
static inline bool output_is_written(const char *program)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return true;
	fprintf(stderr, "%s: standard output could not be written\n", program);
	return false;
}

#endif
