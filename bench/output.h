/* SPDX-License-Identifier: MIT
 *
 * What a program has printed is out, or the program has failed; and what it writes is none of what it reads.
 */
#ifndef BENCH_OUTPUT_H
#define BENCH_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

/* Opens a file to be written; NULL, and says why, where that cannot be, or the file is one of the inputs. */
static inline FILE *output_open(const char *program, const char *option, const char *path, char **inputs, int nr_inputs)
{
	struct stat there, input;
	FILE *file;

	for (int i = 0; i < nr_inputs; i++)
		if (!stat(path, &there) && !stat(inputs[i], &input) && there.st_ino == input.st_ino &&
		    there.st_dev == input.st_dev) {
			fprintf(stderr, "%s: %s %s: is read, too\n", program, option, path);
			return NULL;
		}
	file = fopen(path, "w");
	if (!file)
		fprintf(stderr, "%s: %s %s: cannot be written\n", program, option, path);
	return file;
}

/* At a program's end. */
static inline bool output_is_written(const char *program)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return true;
	fprintf(stderr, "%s: standard output could not be written\n", program);
	return false;
}

#endif
