/* SPDX-License-Identifier: MIT
 *
 * expects: -Wuse-after-free
 * A unique handle that is asked for its address after it was dropped.
 */
#include <metaslot/metaslot.h>

int user(struct mslot_region *region, const struct mslot_type *type);

int user(struct mslot_region *region, const struct mslot_type *type)
{
	struct mslot_unique *unique = mslot_unique_claim(region, 0, type, NULL, NULL);

	if (!unique)
		return 1;
	mslot_unique_drop(unique);
	return mslot_unique_paddr(unique) == 0;
}
