/* SPDX-License-Identifier: MIT
 *
 * What is raced: the library and tables built from locks, behind the library's own calls.
 */
#ifndef BENCH_IMPL_H
#define BENCH_IMPL_H

#include <metaslot/metaslot.h>

struct impl {
	const char *name;
	/* One lock for all frames. */
	bool is_global;
	/* Has reader sections and a grace period; else every type is immediate. */
	bool can_defer;
	struct mslot_region *(*region_create)(const struct mslot_region_config *config, enum mslot_err *why);
	enum mslot_err (*region_destroy)(struct mslot_region *region);
	struct mslot_frame *(*frame_claim)(struct mslot_region *region, uint64_t paddr, const struct mslot_type *type,
					   const void *meta, enum mslot_err *why);
	struct mslot_frame *(*frame_get)(struct mslot_region *region, uint64_t paddr, enum mslot_err *why);
	struct mslot_frame *(*frame_clone)(const struct mslot_frame *frame);
	void (*frame_drop)(struct mslot_frame *frame);
	uint64_t (*frame_into_raw)(struct mslot_frame *frame);
	struct mslot_frame *(*frame_from_raw)(struct mslot_region *region, uint64_t paddr, enum mslot_err *why);
	uint64_t (*frame_clone_into_raw)(const struct mslot_frame *frame);
	enum mslot_err (*frame_drop_raw)(struct mslot_region *region, uint64_t paddr);
	const void *(*frame_meta)(const struct mslot_frame *frame, const struct mslot_type *type);
	/* NULL: nothing to do. A baseline's peek takes the lock, and its read_unlock gives it back: one a section. */
	void (*read_lock)(void);
	void (*read_unlock)(void);
	const void *(*peek)(struct mslot_region *region, uint64_t paddr, const struct mslot_type *type,
			    enum mslot_err *why);
	enum mslot_err (*segment_claim)(struct mslot_region *region, uint64_t start, uint64_t end,
					const struct mslot_type *type,
					void (*init_fn)(void *ctx, uint64_t paddr, void *meta), void *ctx,
					struct mslot_segment *out);
	enum mslot_err (*segment_clone)(const struct mslot_segment *segment, struct mslot_segment *out);
	void (*segment_drop)(struct mslot_segment *segment);
	enum mslot_err (*barrier)(struct mslot_region *region);
	bool (*is_clean)(const struct mslot_region *region);
};

static inline void impl_read_lock(const struct impl *impl)
{
	if (impl->read_lock)
		impl->read_lock();
}

static inline void impl_read_unlock(const struct impl *impl)
{
	if (impl->read_unlock)
		impl->read_unlock();
}

/* To be set, before threads start, where there are more of them than cpus and none is measured by its waits. */
extern bool impl_is_oversubscribed;

/* All of them, mslot first, ended by NULL. */
const struct impl *const *impl_list(void);

/* By name, or NULL. */
const struct impl *impl_find(const char *name);

#endif
