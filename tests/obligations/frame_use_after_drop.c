/* SPDX-License-Identifier: MIT
 *
 * expects: -Wuse-after-free
 * A handle that is asked for its address after it was dropped.
 */
#include <metaslot/metaslot.h>

int user(struct mslot_region *region, const struct mslot_type *type);

int user(struct mslot_region *region, const struct mslot_type *type)
{
	struct mslot_frame *frame = mslot_frame_claim(region, 0, type, NULL, NULL);

	if (!frame)
		return 1;
	mslot_frame_drop(frame);
	return mslot_frame_paddr(frame) == 0;
}
