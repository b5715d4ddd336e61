/* SPDX-License-Identifier: MIT
 *
 * expects: -Wanalyzer-malloc-leak
 * A unique handle that nobody drops.
 */
#include <metaslot/metaslot.h>

int user(struct mslot_region *region, const struct mslot_type *type);

int user(struct mslot_region *region, const struct mslot_type *type)
{
	struct mslot_unique *unique = mslot_unique_claim(region, 0, type, NULL, NULL);

	if (!unique)
		return 1;
	return mslot_unique_paddr(unique) == 0;
}
