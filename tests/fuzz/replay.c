/* SPDX-License-Identifier: MIT
 *
 * Feeds each file of a folder to a fuzz target, where there is no libFuzzer: the corpus as a unit test.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t nr_bytes);

int main(int argc, char **argv)
{
	static uint8_t bytes[1 << 16];
	DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
	unsigned nr_files = 0;

	if (!folder) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	for (struct dirent *entry; (entry = readdir(folder));) {
		char path[4096];
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
		file = fopen(path, "rb");
		if (!file)
			return 2;
		LLVMFuzzerTestOneInput(bytes, fread(bytes, 1, sizeof(bytes), file));
		fclose(file);
		nr_files++;
	}
	closedir(folder);
	printf("%u inputs held\n", nr_files);
	return nr_files ? 0 : 1;
}
