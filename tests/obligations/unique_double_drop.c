/* SPDX-License-Identifier: MIT
 *
 * expects: -Wanalyzer-double-free
 * A unique handle that is dropped twice.
 */
#include <metaslot/metaslot.h>

int user(struct mslot_region *region, const struct mslot_type *type);

int user(struct mslot_region *region, const struct mslot_type *type)
{
	struct mslot_unique *unique = mslot_unique_claim(region, 0, type, NULL, NULL);

	if (!unique)
		return 1;
	mslot_unique_drop(unique);
	mslot_unique_drop(unique);
	return 0;
}
