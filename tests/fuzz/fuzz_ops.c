/* SPDX-License-Identifier: MIT
 *
 * A fuzz target: bytes are a walk, four bytes a step, compared with the sequential reference as in test_walk.c.
 *
 * Needs: libFuzzer (clang -fsanitize=fuzzer), or replay.c, which feeds it files.
 */
#include "walk/walk_step.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t nr_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t nr_bytes)
{
	static bool is_registered;

	if (!is_registered)
		EXPECT(mslot_thread_register() == MSLOT_OK);
	is_registered = true;
	walk_begin(0);
	for (; nr_bytes >= 4; bytes += 4, nr_bytes -= 4)
		walk_step(bytes[0], bytes[1], bytes[2] | (unsigned)bytes[3] << 8);
	walk_end();
	return 0;
}
