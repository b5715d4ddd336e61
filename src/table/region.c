/* SPDX-License-Identifier: MIT
 *
 * Creates regions, finds slots, walks them.
 *
 * Promises: creating costs one mapping, whatever the size; a slot leads to its region by one load.
 * Needs:    mmap of lazily zeroed memory. A region's mapping lies below 2^48 and begins on a multiple of 1 GiB of
 *           address space (not of memory), which no other region shares.
 */
#include "table/region.h"

#include "table/give_back.h"
#include "table/scarce.h"

#include <sys/mman.h>

_Atomic(struct mslot_region *) region_of_chunk[NR_CHUNKS];
struct chunk chunks[NR_CHUNKS];

_Atomic(const struct give_back_hooks *) give_back_hooks;
_Thread_local struct free_cache free_cache __attribute__((tls_model("initial-exec")));

#define CHUNK_BYTES (UINT64_C(1) << CHUNK_SHIFT)
#define HEADER_ALIGN UINT64_C(4096)
#define HUGE_PAGE (UINT64_C(2) << 20)

/* Maps `bytes` at a multiple of CHUNK_BYTES. */
static void *map_chunks(uint64_t bytes)
{
	char *mapped = mmap(NULL, bytes + CHUNK_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mapped == MAP_FAILED)
		return NULL;
	uint64_t before = -(uintptr_t)mapped & (CHUNK_BYTES - 1);
	if (before)
		munmap(mapped, before);
	munmap(mapped + before + bytes, CHUNK_BYTES - before);
	if ((uintptr_t)(mapped + before + bytes - 1) >> CHUNK_SHIFT >= NR_CHUNKS) {
		munmap(mapped + before, bytes);
		return NULL;
	}
	return mapped + before;
}

static void name_chunks(struct mslot_region *region, struct mslot_region *value)
{
	for (uintptr_t at = (uintptr_t)region; at < (uintptr_t)region + region->mapping_bytes; at += CHUNK_BYTES)
		/* [relaxed] the caller publishes the region. Atomic, since regions that follow each other at one
		 * address may be of threads that only the kernel has ordered. */
		atomic_store_explicit(&region_of_chunk[at >> CHUNK_SHIFT], value, memory_order_relaxed);
}

static enum mslot_err config_check(const struct mslot_region_config *config, unsigned shift)
{
	if (!config || config->nr_frames == 0 || shift < 6 || shift > 40)
		return MSLOT_INVALID;
	if (config->base_paddr & ((UINT64_C(1) << shift) - 1))
		return MSLOT_NOT_ALIGNED;
	/* The last byte must have an address, and the end, which is one more, too. */
	if (config->nr_frames > (UINT64_MAX - config->base_paddr) >> shift)
		return MSLOT_OUT_OF_BOUND;
	if (config->nr_frames > (UINT64_C(1) << 46) / MSLOT_SLOT_BYTES)
		return MSLOT_NO_MEMORY;
	return nodes_check(config, shift);
}

static uint64_t round_up(uint64_t value, uint64_t step)
{
	return (value + step - 1) & ~(step - 1);
}

struct mslot_region *mslot_region_create(const struct mslot_region_config *config, enum mslot_err *why)
{
	unsigned shift = config && config->frame_shift ? config->frame_shift : 12;
	enum mslot_err err = config_check(config, shift);

	if (err)
		return why_null(why, err);
	static _Atomic uint64_t last_id;
	/* header, a byte for each grain, node ranges, hints, slots: one mapping */
	uint64_t nr_grains = ((config->nr_frames - 1) >> GRAIN_SHIFT) + 1;
	uint64_t nodes = round_up(sizeof(struct mslot_region) + nr_grains, MSLOT_SLOT_BYTES);
	uint64_t hints = round_up(nodes + nodes_bytes(config), HEADER_ALIGN);
	uint64_t header = round_up(hints + nodes_hint_bytes(config), config->huge_pages ? HUGE_PAGE : HEADER_ALIGN);
	uint64_t bytes = round_up(header + config->nr_frames * MSLOT_SLOT_BYTES, HEADER_ALIGN);
	struct mslot_region *region = map_chunks(bytes);

	if (!region)
		return why_null(why, MSLOT_NO_MEMORY);
	region->slots = (struct slot *)((char *)region + header);
#ifdef MADV_HUGEPAGE
	if (config->huge_pages)
		/* Where the kernel has none to give, small ones do. */
		(void)madvise(region->slots, bytes - header, MADV_HUGEPAGE);
#endif
	region->base = config->base_paddr;
	region->nr_frames = config->nr_frames;
	region->frame_shift = shift;
	region->claims_may_wait = config->claims_may_wait;
	region->huge_pages = config->huge_pages;
	region->memory = config->memory;
	region->backlog_limit =
		config->backlog_limit && config->backlog_limit < INT64_MAX ? config->backlog_limit : INT64_MAX;
	region->backlog_slack = region->backlog_limit < 256 * 64 ? (uint32_t)(region->backlog_limit / 256) : 64;
	region->mapping_bytes = bytes;
	nodes_init(region, config, (char *)region + nodes, (char *)region + hints);
	/* [relaxed] only to differ. */
	region->id = atomic_fetch_add_explicit(&last_id, 1, memory_order_relaxed) + 1;
	for (unsigned i = 0; i < NR_KNOWN_TYPES; i++)
		/* [relaxed] nobody else knows the region yet. */
		atomic_store_explicit(&region->known_types[i], KNOWN_NONE, memory_order_relaxed);
	name_chunks(region, region);
	/* [relaxed] nobody counts here before the id. */
	atomic_store_explicit(region_backlog(region), 0, memory_order_relaxed);
	/* [release:attach] the region is made. */
	atomic_store_explicit(&region_chunk(region)->region_id, region->id, memory_order_release);
	return region;
}

struct holders {
	uint64_t nr_held, nr_retired;
};

static bool count_holders(struct slot *slot, void *ctx)
{
	struct holders *holders = ctx;
	enum state state = state_of(slot_word(slot));

	holders->nr_retired += state == STATE_RETIRED;
	holders->nr_held += state != STATE_UNUSED && state != STATE_RETIRED && state != STATE_HOLE;
	return true;
}

enum mslot_err region_close(struct mslot_region *region, uint64_t *nr_held)
{
	struct holders holders = {0};

	region_walk(region, count_holders, &holders);
	*nr_held = holders.nr_held;
	if (holders.nr_held)
		return MSLOT_IN_USE;
	if (holders.nr_retired)
		return MSLOT_BUSY;
	scarce_end(region, scarce_look(region));
	name_chunks(region, NULL);
	/* [relaxed] a reader section that still finds it is waited for. */
	atomic_store_explicit(&region_chunk(region)->region_id, 0, memory_order_relaxed);
	return MSLOT_OK;
}

void region_unmap(struct mslot_region *region)
{
	munmap(region, region->mapping_bytes);
}

/*
 * By writing, once a grain: a claim reads a slot before it writes it, and page by page that would be a fault for the
 * page of zeros, a second one for a page of its own, and a flush of the other processors' address translations in
 * between.
 */
static void populate(const struct mslot_region *region, uint64_t grain)
{
#ifdef MADV_POPULATE_WRITE
	char *start = (char *)(region->slots + (grain << GRAIN_SHIFT));
	size_t bytes = sizeof(struct slot) << GRAIN_SHIFT,
	       left = (size_t)((char *)region + region->mapping_bytes - start);

	/* A fault brings 64 grains then: it is cheaper than to ask for each. */
	if (region->huge_pages)
		return;
	/* Where the kernel cannot, the faults do. */
	(void)madvise(start, left < bytes ? left : bytes, MADV_POPULATE_WRITE);
#else
	(void)region, (void)grain;
#endif
}

enum mslot_err region_touch(struct mslot_region *region, uint64_t index)
{
	uint8_t byte = region_grain_byte(region, index);

	while (grain_of(byte) == GRAIN_UNTOUCHED) {
		populate(region, index >> GRAIN_SHIFT);
		/* What is claimed before there are hints may be dropped by a thread that does not know of any. */
		if (region_hints_stage(region) == HINTS_NONE)
			region_disprove_hints(region);
		/* [release:attach] others who claim here see what we saw of hints. */
		if (atomic_compare_exchange_strong_explicit(region_grain(region, index), &byte,
							    grain_moved(byte, GRAIN_TOUCHED),
							    /* [relaxed] another was here, and is looked for below. */
							    memory_order_release, memory_order_relaxed))
			return MSLOT_OK;
		byte = region_grain_byte(region, index);
	}
	switch (grain_of(byte)) {
	case GRAIN_TOUCHED:
		return MSLOT_OK;
	case GRAIN_HOLE:
		return MSLOT_OUT_OF_BOUND;
	case GRAIN_UNTOUCHED:
	case GRAIN_MARKED:
	default:
		return MSLOT_BUSY;
	}
}

uint64_t region_in_holes(const struct mslot_region *region)
{
	const uint64_t frames = UINT64_C(1) << GRAIN_SHIFT;
	uint64_t nr = 0;

	for (uint64_t at = 0; at < region->nr_frames; at += frames)
		if (region_is_hole(region, at))
			nr += region->nr_frames - at < frames ? region->nr_frames - at : frames;
	return nr;
}

bool region_walk(const struct mslot_region *region, bool (*fn)(struct slot *slot, void *ctx), void *ctx)
{
	uint64_t nr_grains = ((region->nr_frames - 1) >> GRAIN_SHIFT) + 1;

	for (uint64_t grain = 0; grain < nr_grains; grain++) {
		if (!region_is_touched(region, grain << GRAIN_SHIFT))
			continue;
		uint64_t end = (grain + 1) << GRAIN_SHIFT;
		if (end > region->nr_frames)
			end = region->nr_frames;
		for (uint64_t index = grain << GRAIN_SHIFT; index < end; index++)
			if (!fn(&region->slots[index], ctx))
				return false;
	}
	return true;
}

enum mslot_err region_slots(const struct mslot_region *region, uint64_t start, uint64_t end, struct slot **first,
			    uint64_t *nr_slots)
{
	enum mslot_err err = MSLOT_OK;

	if (start >= end)
		return MSLOT_INVALID;
	*first = region_slot(region, start, &err);
	if (!*first)
		return err;
	if ((end - start) & ((UINT64_C(1) << region->frame_shift) - 1))
		return MSLOT_NOT_ALIGNED;
	*nr_slots = (end - start) >> region->frame_shift;
	return *nr_slots <= region->nr_frames - (uint64_t)(*first - region->slots) ? MSLOT_OK : MSLOT_OUT_OF_BOUND;
}

void slot_fill(struct slot *slot, const struct mslot_type *type, const void *meta)
{
	if (meta)
		memcpy(slot->meta, meta, type->meta_bytes);
	else
		memset(slot->meta, 0, type->meta_bytes);
	slot_set_type(slot, type_word(slot_region(slot), type));
}

void region_suspend_types(struct mslot_region *region)
{
	for (unsigned i = 0; i < NR_KNOWN_TYPES; i++)
		/* [relaxed] those that miss it are forgiven. */
		atomic_fetch_or_explicit(&region->known_types[i], KNOWN_SUSPENDED, memory_order_relaxed);
}

void region_know_type(struct mslot_region *region, const struct mslot_type *type)
{
	_Atomic uintptr_t *known = region_known_type(region, type);
	uintptr_t word = type_word(region, type), suspended = word | KNOWN_SUSPENDED, none = KNOWN_NONE;

	/* [relaxed] the swap decides. */
	if (UNLIKELY(atomic_load_explicit(known, memory_order_relaxed) == suspended)) {
		if (!scarce_is_on(region))
			/* [relaxed] says nothing but what the type says. */
			atomic_compare_exchange_strong_explicit(known, &suspended, word, memory_order_relaxed,
								/* [relaxed] another was faster. */
								memory_order_relaxed);
		return;
	}
	if (type->meta_bytes < 8 || (region_is_limited(region) && !type_is_immediate(type)))
		return;
	/* [relaxed] as above. Never replaced, so that types which share a place do not take turns. */
	atomic_compare_exchange_strong_explicit(known, &none, word, memory_order_relaxed,
						/* [relaxed] somebody was here. */
						memory_order_relaxed);
}

uint64_t mslot_region_nr_frames(const struct mslot_region *region)
{
	return region->nr_frames;
}

uint64_t mslot_region_base(const struct mslot_region *region)
{
	return region->base;
}

unsigned mslot_region_frame_shift(const struct mslot_region *region)
{
	return region->frame_shift;
}

static uint64_t region_end(const struct mslot_region *region)
{
	return region->base + (region->nr_frames << region->frame_shift);
}

bool mslot_range_in_region(const struct mslot_region *region, uint64_t start, uint64_t end)
{
	return start < end && start >= region->base && end <= region_end(region);
}

bool mslot_range_not_in_region(const struct mslot_region *region, uint64_t start, uint64_t end)
{
	return start >= end || end <= region->base || start >= region_end(region);
}

bool mslot_range_not_mapped(const struct mslot_region *region, uint64_t start, uint64_t end)
{
	if (mslot_range_not_in_region(region, start, end))
		return true;
	uint64_t last = (end < region_end(region) ? end : region_end(region)) - 1;
	uint64_t first = start > region->base ? start : region->base;

	for (uint64_t index = (first - region->base) >> region->frame_shift;
	     index <= (last - region->base) >> region->frame_shift; index++) {
		if (!region_is_touched(region, index)) {
			/* Nor is the rest of the grain. */
			index |= (UINT64_C(1) << GRAIN_SHIFT) - 1;
			continue;
		}
		if (state_raw_count(slot_word(&region->slots[index])) != 0)
			return false;
	}
	return true;
}
