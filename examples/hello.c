/* SPDX-License-Identifier: MIT
 *
 * The README's example: one frame, claimed, shared, forgotten, restored, looked at, dropped.
 */
#include <metaslot/metaslot.h>
#include <stdio.h>

static const struct mslot_type page = {.name = "page", .meta_bytes = sizeof(int), .meta_align = _Alignof(int)};

int main(void)
{
	struct mslot_region_config config = {.base_paddr = 0x100000, .nr_frames = 1024};
	struct mslot_region *region = mslot_region_create(&config, NULL);
	if (!region || mslot_thread_register())
		return 1;
	struct mslot_frame *frame = mslot_frame_claim(region, 0x101000, &page, &(int){42}, NULL);
	struct mslot_frame *other = mslot_frame_get(region, 0x101000, NULL); /* one fetch_add */
	uint64_t paddr = mslot_frame_into_raw(other);			     /* into a page table, say */
	other = mslot_frame_from_raw(region, paddr, NULL);		     /* and out of it again */
	mslot_read_lock();
	const int *meta = mslot_peek(region, paddr, &page, NULL); /* no write, no reference */
	printf("frame 0x%llx: %d, %u references\n", (unsigned long long)paddr, *meta, mslot_frame_ref_count(frame));
	mslot_read_unlock();
	mslot_frame_drop(other);
	mslot_frame_drop(frame); /* the last one: recycled once no reader can see it */
	if (mslot_barrier(region) || !mslot_is_clean(region) || mslot_region_destroy(region))
		return 1;
	return mslot_thread_unregister() != MSLOT_OK;
}
