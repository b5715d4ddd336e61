/* SPDX-License-Identifier: MIT
 *
 * expects: -Wuse-after-free
 * A unique handle that was forgotten, and is dropped.
 */
#include <metaslot/metaslot.h>

int user(struct mslot_region *region, const struct mslot_type *type);

int user(struct mslot_region *region, const struct mslot_type *type)
{
	struct mslot_unique *unique = mslot_unique_claim(region, 0, type, NULL, NULL);

	if (!unique)
		return 1;
	if (mslot_unique_into_raw(unique) == MSLOT_PADDR_NONE)
		return 1;
	mslot_unique_drop(unique);
	return 0;
}
