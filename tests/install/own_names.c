/* SPDX-License-Identifier: MIT
 *
 * A user's program that has names of its own: those of the library's inside, and of libnuma, are free.
 */
#include <metaslot/metaslot.h>

unsigned find(unsigned n);
void numa_bind(unsigned *calls);

unsigned find(unsigned n)
{
	return n + 1;
}

void numa_bind(unsigned *calls)
{
	++*calls;
}

int main(void)
{
	static const struct mslot_type type = {.name = "none"};
	const struct mslot_region_config config = {.nr_frames = find(63)};
	struct mslot_region *region;
	struct mslot_frame *frame;
	unsigned calls = 0;

	if (mslot_thread_register())
		return 1;
	region = mslot_region_create(&config, NULL);
	if (!region)
		return 2;
	frame = mslot_alloc_frame(region, &type, NULL, NULL, NULL);
	if (!frame)
		return 3;
	mslot_frame_drop(frame);
	mslot_barrier(region);
	if (mslot_region_destroy(region))
		return 4;
	mslot_thread_unregister();
	numa_bind(&calls);
	return calls == 1 ? 0 : 5;
}
