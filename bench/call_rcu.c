/* SPDX-License-Identifier: MIT
 *
 * Slots that are retired by call_rcu, each with a callback of its own, through the library's door to liburcu: the same
 * flavor, the same inlines.
 *
 * Promises: no less than what the library does at a claim and a drop of one reference, and no more: metadata and type
 *           are written, one compare-and-swap takes a slot, one gives it up, a release store makes it unused again.
 * Read:     call_rcu_claim(), call_rcu_drop(), recycle().
 */
#include "call_rcu.h"

#include "reclaim/grace.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

/* As the library's: metadata, state, and where that has its type and link, liburcu's link and function. */
struct call_rcu_slot {
	uint64_t meta[2];
	uint64_t unused_meta[2];
	bool is_told;
	_Atomic uint64_t state;
	struct rcu_head head;
};

_Static_assert(sizeof(struct call_rcu_slot) == 64, "a slot is a cache line");

enum { UNUSED, BUSY, SHARED, RETIRED };

static struct call_rcu_slot *slots;
static void (*told)(uint64_t index);

struct call_rcu_slot *call_rcu_table(uint64_t nr_slots, void (*on_recycle)(uint64_t index))
{
	size_t huge = (size_t)2 << 20, bytes = nr_slots * sizeof(*slots);
	char *start =
		mmap(NULL, bytes + huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (start == MAP_FAILED)
		return NULL;
	/* In huge pages, as the library's slots here. */
	slots = (void *)(((uintptr_t)start + huge - 1) & ~(uintptr_t)(huge - 1));
	madvise(slots, bytes, MADV_HUGEPAGE);
	told = on_recycle;
	/* Starts liburcu's thread. */
	GRACE_CALL(get_default_call_rcu_data)();
	return slots;
}

struct call_rcu_slot *call_rcu_claim(struct call_rcu_slot *table, uint64_t index, const uint64_t meta[2], bool is_told)
{
	struct call_rcu_slot *slot = &table[index];
	uint64_t unused = UNUSED;

	if (!atomic_compare_exchange_strong_explicit(&slot->state, &unused, BUSY, memory_order_acquire,
						     memory_order_relaxed))
		return NULL;
	memcpy(slot->meta, meta, sizeof(slot->meta));
	slot->is_told = is_told;
	atomic_store_explicit(&slot->state, SHARED, memory_order_release);
	return slot;
}

static void recycle(struct rcu_head *head)
{
	struct call_rcu_slot *slot = caa_container_of(head, struct call_rcu_slot, head);

	if (slot->is_told)
		told((uint64_t)(slot - slots));
	atomic_store_explicit(&slot->state, UNUSED, memory_order_release);
}

void call_rcu_drop(struct call_rcu_slot *slot)
{
	uint64_t sole = SHARED;

	if (atomic_compare_exchange_strong_explicit(&slot->state, &sole, RETIRED, memory_order_acq_rel,
						    memory_order_relaxed))
		GRACE_CALL(call_rcu)(&slot->head, recycle);
}

void call_rcu_barrier(void)
{
	GRACE_CALL(barrier)();
}
