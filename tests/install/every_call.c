/* SPDX-License-Identifier: MIT
 *
 * A user's program: every call of the library, built with nothing but its installed headers and pkg-config.
 * Exits 0 if each does what a user expects of it, else with the line that it failed in.
 */
#include <metaslot/metaslot.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRAME UINT64_C(4096)
#define EXPECT(condition)                                                                                              \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                        \
			exit(1);                                                                                       \
		}                                                                                                      \
	} while (0)

static const struct mslot_type type = {.name = "int", .meta_bytes = sizeof(int), .meta_align = _Alignof(int)};
static struct mslot_region *region;
static unsigned nr_faults;

static void count_fault(const struct mslot_fault *fault, void *ctx)
{
	EXPECT(ctx == &nr_faults && fault->kind == MSLOT_FAULT_OVER_DROP);
	nr_faults++;
}

static void init(void *ctx, uint64_t paddr, void *meta)
{
	(void)ctx;
	*(int *)meta = (int)(paddr / FRAME);
}

static void regions(void)
{
	EXPECT(mslot_region_nr_frames(region) == 64);
	EXPECT(mslot_region_base(region) == 0);
	EXPECT(mslot_region_frame_shift(region) == 12);
	EXPECT(mslot_range_in_region(region, 0, 64 * FRAME));
	EXPECT(mslot_range_not_in_region(region, 64 * FRAME, 65 * FRAME));
	EXPECT(mslot_range_not_mapped(region, 0, 64 * FRAME));
	EXPECT(!mslot_region_mark_hole(region, 63 * FRAME, 64 * FRAME));
	EXPECT(!strcmp(mslot_err_name(MSLOT_NOT_FORGOTTEN), "NOT_FORGOTTEN"));
}

static void frames(void)
{
	enum mslot_err why = MSLOT_OK;
	struct mslot_frame *frame = mslot_frame_claim(region, FRAME, &type, &(int){42}, &why);
	struct mslot_frame *other = mslot_frame_get(region, FRAME, &why);
	struct mslot_frame *third = mslot_frame_get_typed(region, FRAME, &type, &why);
	struct mslot_frame *volatile dead;
	uint64_t paddr;

	EXPECT(frame && other && third && why == MSLOT_OK);
	EXPECT(mslot_frame_clone(frame) == frame);
	EXPECT(mslot_frame_ref_count(frame) == 4 && mslot_frame_raw_count(frame) == 0);
	EXPECT(mslot_frame_paddr(frame) == FRAME && mslot_frame_region(frame) == region);
	EXPECT(mslot_frame_type(frame) == &type && *(const int *)mslot_frame_meta(frame, &type) == 42);
	EXPECT(!mslot_frame_memory(frame));
	paddr = mslot_frame_into_raw(other);
	EXPECT(paddr == FRAME && mslot_frame_clone_into_raw(frame) == FRAME);
	EXPECT(mslot_frame_from_raw(region, paddr, NULL) == frame);
	EXPECT(mslot_frame_drop_raw(region, paddr) == MSLOT_OK);
	EXPECT(!mslot_frame_try_unique(frame, &why) && why == MSLOT_IN_USE);
	mslot_read_lock();
	EXPECT(*(const int *)mslot_peek(region, FRAME, &type, NULL) == 42);
	mslot_read_unlock();
	dead = frame;
	for (int i = 0; i < 4; i++)
		mslot_frame_drop(dead);
	mslot_set_fault_handler(count_fault, &nr_faults);
	mslot_frame_drop(dead);
	mslot_set_fault_handler(NULL, NULL);
	EXPECT(nr_faults == 1);
}

static void uniques(void)
{
	struct mslot_unique *unique = mslot_unique_claim(region, 2 * FRAME, &type, NULL, NULL);
	struct mslot_frame *frame;
	uint64_t paddr;

	EXPECT(unique && mslot_unique_paddr(unique) == 2 * FRAME && mslot_unique_region(unique) == region);
	EXPECT(mslot_unique_type(unique) == &type && !mslot_unique_memory(unique));
	*(int *)mslot_unique_meta(unique, &type) = 7;
	paddr = mslot_unique_into_raw(unique);
	unique = mslot_unique_from_raw(region, paddr, NULL);
	EXPECT(unique && mslot_unique_repurpose(unique, &type, &(int){8}) == MSLOT_OK);
	frame = mslot_unique_share(unique);
	EXPECT(frame && *(const int *)mslot_frame_meta(frame, &type) == 8);
	unique = mslot_frame_try_unique(frame, NULL);
	EXPECT(unique);
	mslot_unique_drop(unique);
	unique = mslot_unique_claim(region, 3 * FRAME, &type, NULL, NULL);
	EXPECT(unique);
	mslot_unique_reset_as_unused(unique);
}

static void segments(void)
{
	struct mslot_segment segment, copy, part, rest, single;
	struct mslot_frame *frame;
	uint64_t start, end;

	EXPECT(mslot_segment_claim(region, 8 * FRAME, 16 * FRAME, &type, init, NULL, &segment) == MSLOT_OK);
	EXPECT(mslot_segment_nr_frames(&segment) == 8 && mslot_segment_type(&segment) == &type);
	EXPECT(mslot_segment_clone(&segment, &copy) == MSLOT_OK);
	EXPECT(mslot_segment_slice(&segment, FRAME, 3 * FRAME, &part) == MSLOT_OK);
	EXPECT(mslot_segment_split(&segment, 4 * FRAME, &rest) == MSLOT_OK);
	EXPECT(mslot_segment_into_raw(&rest, &start, &end) == MSLOT_OK);
	EXPECT(mslot_segment_from_raw(region, start, end, &rest) == MSLOT_OK);
	frame = mslot_segment_next(&rest);
	EXPECT(frame && *(const int *)mslot_frame_meta(frame, &type) == 12);
	EXPECT(mslot_segment_from_frame(frame, &single) == MSLOT_OK);
	mslot_segment_drop(&single);
	mslot_segment_drop(&rest);
	mslot_segment_drop(&part);
	mslot_segment_drop(&copy);
	mslot_segment_drop(&segment);
}

static void allocations(void)
{
	const struct mslot_alloc_options options = {.flags = MSLOT_ALLOC_MAY_WAIT};
	enum mslot_err why = MSLOT_OK;
	struct mslot_frame *frame = mslot_alloc_frame(region, &type, &(int){1}, NULL, &why);
	struct mslot_unique *unique = mslot_alloc_unique(region, &type, NULL, &options, &why);
	struct mslot_segment run;

	EXPECT(frame && unique && mslot_frame_paddr(frame) != mslot_unique_paddr(unique));
	EXPECT(*(const int *)mslot_frame_meta(frame, &type) == 1);
	EXPECT(mslot_alloc_segment(region, 16, 16, &type, init, NULL, NULL, &run) == MSLOT_OK);
	EXPECT(run.start % (16 * FRAME) == 0 && mslot_segment_nr_frames(&run) == 16);
	EXPECT(mslot_alloc_segment(region, 64, 0, &type, NULL, NULL, NULL, &run) == MSLOT_NO_MEMORY);
	mslot_segment_drop(&run);
	mslot_unique_drop(unique);
	mslot_frame_drop(frame);
}

static void audits(void)
{
	struct mslot_audit audit;
	struct mslot_view view;

	mslot_quiescent_state();
	mslot_thread_offline();
	mslot_thread_online();
	EXPECT(mslot_synchronize() == MSLOT_OK && mslot_barrier(region) == MSLOT_OK);
	EXPECT(mslot_view(region, FRAME, &view) == MSLOT_OK && view.status == MSLOT_STATUS_UNUSED);
	EXPECT(!strcmp(mslot_status_name(view.status), "unused"));
	EXPECT(mslot_audit(region, &audit) == MSLOT_OK && audit.by_status[MSLOT_STATUS_UNUSED] == 63);
	EXPECT(mslot_is_clean(region));
}

static void told(const struct mslot_stall *stall, void *ctx)
{
	(void)stall, (void)ctx;
}

static void statistics(void)
{
	struct mslot_stats stats;

	mslot_stats(&stats);
	EXPECT(stats.retired == stats.recycled + stats.backlog);
	EXPECT(mslot_set_stall_handler(told, NULL) == MSLOT_OK && mslot_set_stall_handler(NULL, NULL) == MSLOT_OK);
}

int main(void)
{
	EXPECT(mslot_thread_register() == MSLOT_OK);
	region = mslot_region_create(&(struct mslot_region_config){.nr_frames = 64}, NULL);
	EXPECT(region);
	regions();
	frames();
	uniques();
	segments();
	allocations();
	audits();
	statistics();
	EXPECT(mslot_region_destroy(region) == MSLOT_OK);
	EXPECT(mslot_thread_unregister() == MSLOT_OK);
	return printf("every call works, flavor %s\n", mslot_reclaim_flavor()) < 0;
}
