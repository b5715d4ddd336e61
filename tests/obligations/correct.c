/* SPDX-License-Identifier: MIT
 *
 * expects: nothing
 * A page of correct uses: each way to end a handle, and none of them may be reported.
 */
#include <metaslot/metaslot.h>

int claim_and_drop(struct mslot_region *region, const struct mslot_type *type);
int map_and_unmap(struct mslot_region *region, struct mslot_frame *frame);
int forget_and_restore(struct mslot_region *region, const struct mslot_type *type);
int own_then_share(struct mslot_region *region, const struct mslot_type *type);
int share_then_own(struct mslot_region *region, const struct mslot_type *type);
int own_and_forget(struct mslot_region *region, const struct mslot_type *type);
int take_apart(struct mslot_region *region, const struct mslot_type *type);

int claim_and_drop(struct mslot_region *region, const struct mslot_type *type)
{
	enum mslot_err why = MSLOT_OK;
	struct mslot_frame *frame = mslot_frame_claim(region, 0, type, NULL, &why), *other;

	if (!frame)
		return (int)why;
	other = mslot_frame_clone(frame);
	if (other)
		mslot_frame_drop(other);
	other = mslot_frame_get_typed(region, 0, type, NULL);
	mslot_frame_drop(other);
	mslot_frame_drop(frame);
	return 0;
}

int map_and_unmap(struct mslot_region *region, struct mslot_frame *frame)
{
	uint64_t paddr = mslot_frame_clone_into_raw(frame);

	if (paddr == MSLOT_PADDR_NONE)
		return 1;
	return mslot_frame_drop_raw(region, paddr) != MSLOT_OK;
}

int forget_and_restore(struct mslot_region *region, const struct mslot_type *type)
{
	struct mslot_frame *frame = mslot_frame_claim(region, 0, type, NULL, NULL);
	uint64_t paddr;

	if (!frame)
		return 1;
	paddr = mslot_frame_into_raw(frame);
	frame = mslot_frame_from_raw(region, paddr, NULL);
	mslot_frame_drop(frame);
	return 0;
}

int own_then_share(struct mslot_region *region, const struct mslot_type *type)
{
	struct mslot_unique *unique = mslot_unique_claim(region, 0, type, NULL, NULL);
	struct mslot_frame *frame;

	if (!unique)
		return 1;
	*(int *)mslot_unique_meta(unique, type) = 1;
	frame = mslot_unique_share(unique);
	if (!frame)
		return 1;
	mslot_frame_drop(frame);
	return 0;
}

int own_and_forget(struct mslot_region *region, const struct mslot_type *type)
{
	struct mslot_unique *unique = mslot_unique_claim(region, 0, type, NULL, NULL);
	uint64_t paddr;

	if (!unique)
		return 1;
	paddr = mslot_unique_into_raw(unique);
	unique = mslot_unique_from_raw(region, paddr, NULL);
	if (!unique || mslot_unique_repurpose(unique, type, NULL)) {
		mslot_unique_drop(unique);
		return 1;
	}
	mslot_unique_reset_as_unused(unique);
	return 0;
}

int share_then_own(struct mslot_region *region, const struct mslot_type *type)
{
	struct mslot_frame *frame = mslot_frame_claim(region, 0, type, NULL, NULL);
	struct mslot_unique *unique;

	if (!frame)
		return 1;
	unique = mslot_frame_try_unique(frame, NULL);
	if (unique)
		mslot_unique_drop(unique);
	else
		mslot_frame_drop(frame);
	return 0;
}

int take_apart(struct mslot_region *region, const struct mslot_type *type)
{
	struct mslot_segment segment;
	struct mslot_frame *frame;

	if (mslot_segment_claim(region, 0, 8192, type, NULL, NULL, &segment))
		return 1;
	while ((frame = mslot_segment_next(&segment)))
		mslot_frame_drop(frame);
	return 0;
}
