/* SPDX-License-Identifier: MIT
 *
 * A random walk of millions of operations on a few slots, every public call among them, compared with the sequential
 * reference after each.
 *
 *   test_walk [STEPS [SEED]]        2000000 steps a second or so; a night: test_walk 20000000000 $RANDOM
 *
 * Proves: one after the other, no call answers, counts or faults differently from the reference.
 * Oracle: reference.h, through mslot_view() of every slot after each step, mslot_audit() every 256.
 */
#include "walk/walk_step.h"

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

int main(int argc, char **argv)
{
	uint64_t steps = argc > 1 ? strtoull(argv[1], NULL, 0) : 3000000;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	uint64_t random = seed;

	printf("seed %llu, %llu steps\n", (unsigned long long)seed, (unsigned long long)steps);
	fflush(stdout);
	EXPECT(mslot_thread_register() == MSLOT_OK);
	walk_begin(seed);
	for (uint64_t i = 0; i < steps; i++) {
		uint64_t bits = next_random(&random);
		walk_step((unsigned)(bits >> 32), (unsigned)(bits >> 24), (unsigned)bits & 0xffff);
	}
	walk_end();
	EXPECT(mslot_thread_unregister() == MSLOT_OK);
	printf("held\n");
	return 0;
}
