/* SPDX-License-Identifier: MIT
 *
 * expects: -Wanalyzer-malloc-leak
 * A clone that nobody drops.
 */
#include <metaslot/metaslot.h>

int user(struct mslot_region *region, const struct mslot_type *type);

int user(struct mslot_region *region, const struct mslot_type *type)
{
	struct mslot_frame *frame = mslot_frame_claim(region, 0, type, NULL, NULL);

	if (!frame)
		return 1;
	struct mslot_frame *other = mslot_frame_clone(frame);
	mslot_frame_drop(frame);
	return other == NULL;
}
