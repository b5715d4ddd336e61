/* SPDX-License-Identifier: MIT
 *
 * Proves: forgotten references in page tables keep pages and tables, through fork and teardown by another thread
 * Oracle: plain cookies; a plain count in each table's payload, handed over by the library's edges alone; a page that
 *         an entry names can be got; a table that a reader came by is there until its section ends; a clean audit.
 * Knobs:  --threads, --seed. Smoke 2 s; pre-merge 60 s; a night 8 h.
 *
 * An address space is a root table of leaf tables of pages. Entries are forgotten references; the last drop of a table
 * drops what its entries name, from on_drop. Each thread has one space, forks it now and then, offers the child to the
 * others as a bare address, and takes what they offer in place of its own.
 */
#include "mix.h"

#define ENTRIES 15
/* An entry is the page's address and this bit, as 0 is an address too. */
#define PRESENT UINT64_C(1)

struct table {
	_Atomic uint64_t entries[ENTRIES]; /* relaxed: readers walk them meanwhile */
	uint64_t nr_present;		   /* the owner's; plain on purpose */
};

_Static_assert(sizeof(struct table) == STRESS_FRAME, "a table is a frame");

/* What each thread offers: an address that the one who takes it restores. */
static _Atomic uint64_t offers[STRESS_THREADS_MOST];

static uint64_t entry_read(const struct table *table, unsigned at)
{
	return atomic_load_explicit(&table->entries[at], memory_order_relaxed);
}

static void entry_write(struct table *table, unsigned at, uint64_t entry)
{
	table->nr_present += (entry != 0) - (entry_read(table, at) != 0);
	atomic_store_explicit(&table->entries[at], entry, memory_order_relaxed);
}

static void on_drop_table(void *meta, uint64_t paddr, void *memory)
{
	struct table *table = memory;
	uint64_t nr_present = table->nr_present;

	for (unsigned i = 0; i < ENTRIES; i++) {
		uint64_t entry = entry_read(table, i);
		if (!entry)
			continue;
		nr_present--;
		entry_write(table, i, 0);
		if (mslot_frame_drop_raw(stress_region, entry - PRESENT))
			stress_broken("an entry's reference is gone", entry - PRESENT);
	}
	if (nr_present != 0)
		stress_broken("a table has lost an entry", paddr);
	stress_aged(paddr);
	stress_disown(meta, paddr);
}

static const struct mslot_type type_root = {
	.name = "root table", .meta_bytes = sizeof(struct cookie), .meta_align = 8, .on_drop = on_drop_table};
static const struct mslot_type type_leaf = {
	.name = "leaf table", .meta_bytes = sizeof(struct cookie), .meta_align = 8, .on_drop = on_drop_table};

static struct mslot_frame *table_make(struct worker *worker, const struct mslot_type *type)
{
	enum mslot_err why = MSLOT_OK;
	uint64_t value = stress_random(worker), paddr = stress_paddr(worker);
	struct mslot_frame *frame =
		mslot_frame_claim(worker->region, paddr, type, &(struct cookie){value, ~value}, &why);

	if (!frame) {
		stress_refused(worker, why);
		return NULL;
	}
	stress_own(worker, paddr, NULL);
	if (((struct table *)mslot_frame_memory(frame))->nr_present != 0)
		stress_broken("a new table has entries", paddr);
	return frame;
}

static struct table *root_of(struct worker *worker)
{
	if (!worker->space)
		worker->space = table_make(worker, &type_root);
	return worker->space ? mslot_frame_memory(worker->space) : NULL;
}

/* The table that an entry names stays as long as the one it is in. */
static struct table *leaf_of(struct worker *worker, uint64_t entry)
{
	struct mslot_frame *frame = mslot_frame_get_typed(worker->region, entry - PRESENT, &type_leaf, NULL);

	if (!frame)
		stress_broken("a leaf table is gone", entry - PRESENT);
	struct table *table = mslot_frame_memory(frame);
	stress_check_frame(frame, entry - PRESENT);
	mslot_frame_drop(frame);
	return table;
}

/* A page for an entry; tables are no pages, or a space could hold itself. */
static struct mslot_frame *page_make(struct worker *worker)
{
	struct mslot_frame *frame = stress_get_or_claim(worker, stress_paddr(worker));

	if (!frame || (mslot_frame_type(frame) != &type_root && mslot_frame_type(frame) != &type_leaf))
		return frame;
	mslot_frame_drop(frame);
	return NULL;
}

static void map(struct worker *worker, uint64_t page)
{
	struct table *root = root_of(worker);

	if (!root)
		return;
	if (!entry_read(root, page / ENTRIES)) {
		struct mslot_frame *leaf = table_make(worker, &type_leaf);
		if (!leaf)
			return;
		entry_write(root, page / ENTRIES, mslot_frame_into_raw(leaf) | PRESENT);
	}
	struct table *leaf = leaf_of(worker, entry_read(root, page / ENTRIES));
	if (entry_read(leaf, page % ENTRIES))
		return;
	struct mslot_frame *frame = page_make(worker);
	if (!frame)
		return;
	entry_write(leaf, page % ENTRIES, mslot_frame_clone_into_raw(frame) | PRESENT);
	mslot_frame_drop(frame);
}

static void unmap(struct worker *worker, uint64_t page)
{
	struct table *root = root_of(worker);

	if (!root || !entry_read(root, page / ENTRIES))
		return;
	struct table *leaf = leaf_of(worker, entry_read(root, page / ENTRIES));
	uint64_t entry = entry_read(leaf, page % ENTRIES);
	if (!entry)
		return;
	entry_write(leaf, page % ENTRIES, 0);
	struct mslot_frame *frame = mslot_frame_from_raw(worker->region, entry - PRESENT, NULL);
	if (!frame)
		stress_broken("a mapped page is gone", entry - PRESENT);
	stress_check_frame(frame, entry - PRESENT);
	mslot_frame_drop(frame);
}

/* Copies a leaf table: each page gets one reference more. */
static struct mslot_frame *leaf_clone(struct worker *worker, const struct table *from)
{
	struct mslot_frame *frame = table_make(worker, &type_leaf);
	struct table *to = frame ? mslot_frame_memory(frame) : NULL;

	for (unsigned i = 0; to && i < ENTRIES; i++) {
		uint64_t entry = entry_read(from, i);
		if (!entry)
			continue;
		struct mslot_frame *page = mslot_frame_get(worker->region, entry - PRESENT, NULL);
		if (!page)
			stress_broken("a mapped page cannot be shared", entry - PRESENT);
		entry_write(to, i, mslot_frame_into_raw(page) | PRESENT);
	}
	return frame;
}

/* Takes what is offered, if it is. */
static struct mslot_frame *offer_take(struct worker *worker, unsigned from, uint64_t instead)
{
	uint64_t entry = atomic_exchange_explicit(&offers[from], instead, memory_order_relaxed);
	struct mslot_frame *frame = entry ? mslot_frame_from_raw(worker->region, entry - PRESENT, NULL) : NULL;

	if (entry && !frame)
		stress_broken("an offered space is gone", entry - PRESENT);
	return frame;
}

static void fork_space(struct worker *worker)
{
	struct table *from = root_of(worker);
	struct mslot_frame *child = from ? table_make(worker, &type_root) : NULL;
	struct table *to = child ? mslot_frame_memory(child) : NULL;

	if (!to)
		return;
	for (unsigned i = 0; i < ENTRIES; i++) {
		struct mslot_frame *leaf =
			entry_read(from, i) ? leaf_clone(worker, leaf_of(worker, entry_read(from, i))) : NULL;
		if (leaf)
			entry_write(to, i, mslot_frame_into_raw(leaf) | PRESENT);
	}
	/* What nobody has taken is torn down. */
	mslot_frame_drop(offer_take(worker, worker->thread, mslot_frame_into_raw(child) | PRESENT));
}

static void exchange_space(struct worker *worker, unsigned from)
{
	struct mslot_frame *other = offer_take(worker, from, 0);

	if (!other)
		return;
	mslot_frame_drop(worker->space);
	worker->space = other;
}

static const struct table *peek_table(struct worker *worker, uint64_t paddr, const struct mslot_type *type)
{
	const struct cookie *cookie = mslot_peek(worker->region, paddr, type, NULL);

	if (!cookie)
		return NULL;
	stress_check(cookie, paddr);
	worker->peeks++;
	return (const struct table *)worker->payload + (paddr >> STRESS_FRAME_SHIFT);
}

/* As a processor walks, or get_user_pages_fast(): no references on the way, one at the end. */
static void walk(struct worker *worker, unsigned whose, uint64_t page)
{
	uint64_t offered = atomic_load_explicit(&offers[whose], memory_order_relaxed);

	if (!offered)
		return;
	mslot_read_lock();
	const struct table *root = peek_table(worker, offered - PRESENT, &type_root);
	uint64_t entry = root ? entry_read(root, page / ENTRIES) : 0;
	if (entry) {
		const struct table *leaf = peek_table(worker, entry - PRESENT, &type_leaf);
		if (!leaf)
			stress_broken("a leaf table left inside a reader section", entry - PRESENT);
		entry = entry_read(leaf, page % ENTRIES);
		struct mslot_frame *frame = entry ? mslot_frame_get(worker->region, entry - PRESENT, NULL) : NULL;
		/* It may have been unmapped meanwhile. */
		if (frame)
			stress_check_frame(frame, entry - PRESENT);
		mslot_frame_drop(frame);
	}
	mslot_read_unlock();
}

static void end(struct worker *worker)
{
	mslot_frame_drop(worker->space);
	worker->space = NULL;
	/* Only we offer there. */
	mslot_frame_drop(offer_take(worker, worker->thread, 0));
}

static void step(struct worker *worker)
{
	uint64_t random = stress_random(worker), page = (random >> 8) % (ENTRIES * ENTRIES);
	unsigned whose = (unsigned)((random >> 24) % worker->nr_threads);

	stress_chose(worker, 'm', random);
	switch (random % 64) {
	case 0:
		fork_space(worker);
		break;
	case 1:
		exchange_space(worker, whose);
		break;
	case 2:
		if (worker->is_short)
			end(worker);
		break;
	default:
		if (random % 4 == 0)
			walk(worker, whose, page);
		else if (random % 4 == 1)
			unmap(worker, page);
		else
			map(worker, page);
	}
}

const struct mix mix_pagetable = {
	.name = "pagetable",
	.step = step,
	.end = end,
	.nr_frames = 4096,
	.deferred_in = 64,
	.plants = PLANTS_OF_CLAIMS,
};
