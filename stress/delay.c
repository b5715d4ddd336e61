/* SPDX-License-Identifier: MIT
 *
 * Delays at every atomic step of the library.
 */
#include "delay.h"

#include <sched.h>
#include <time.h>

static _Atomic uint64_t seed;
static _Atomic uint64_t nr_threads;
static _Thread_local uint64_t state;

void stress_delay_begin(uint64_t by)
{
	atomic_store(&seed, by | 1);
}

void stress_delay(void)
{
	if (!state) {
		uint64_t begun = atomic_load_explicit(&seed, memory_order_relaxed);
		if (!begun)
			return;
		state = (begun + atomic_fetch_add_explicit(&nr_threads, 1, memory_order_relaxed)) *
				UINT64_C(0x9e3779b97f4a7c15) |
			1;
	}
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	if (state % 16)
		return;
	switch (state >> 8 & 255) {
	case 0:
		nanosleep(&(struct timespec){.tv_nsec = (long)(state >> 16 & 16383)}, NULL);
		break;
	case 1:
	case 2:
	case 3:
	case 4:
	case 5:
	case 6:
		sched_yield();
		break;
	default:
		for (volatile unsigned left = state >> 16 & 63; left; left--)
			;
	}
}
