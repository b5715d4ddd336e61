/* SPDX-License-Identifier: MIT
 *
 * The regions that the race is run on, one for each impl.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

static const struct mslot_region_config config = {.nr_frames = (uint64_t)SPREAD_FRAMES * 16, .huge_pages = true};

static void open_race(struct race *race, const struct impl *impl)
{
	enum mslot_err why = MSLOT_OK;

	race->impl = impl;
	race->region = impl->region_create(&config, &why);
	/* Both are held to the end of the process. */
	if (!race->region || !impl->frame_claim(race->region, HOT_FRAME, &bench_immediate, bench_meta, &why) ||
	    !impl->frame_claim(race->region, HOT_DEFERRED_FRAME, &bench_deferred, bench_meta, &why)) {
		fprintf(stderr, "metaslot-bench: %s: %s\n", impl->name, mslot_err_name(why));
		exit(1);
	}
}

const struct race *race_of(unsigned index)
{
	static struct race races[64];
	unsigned nr = 0;

	while (impl_list()[nr])
		nr++;
	if (index >= nr)
		return NULL;
	if (!races[index].impl)
		open_race(&races[index], impl_list()[index]);
	return &races[index];
}
