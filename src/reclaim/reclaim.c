/* SPDX-License-Identifier: MIT
 *
 * Brings retired slots back to unused: at once for immediate types, after a grace period for deferred ones.
 *
 * Promises: a drop allocates nothing and waits for nothing; on_drop does not recurse, however long the chain of
 *           frames that drop each other; each slot is recycled once.
 * Needs:    grace.h for reader sections and uses, grace_thread.c for grace periods.
 * Read:     reclaim_slot() and reclaim_slot_slow(), then retire(); then grace_thread.c for what drives it.
 *
 * The cookie of a slot is `started + 1`, read after its retirement: the next grace period. Retirement, this look and
 * the start of a grace period have one order, that of seq_cst. So a grace period that the look does not see starts
 * after the retirement, and a reader section that it does not wait for does not find the slot shared.
 */
#include "reclaim/reclaim.h"

#include "reclaim/grace.h"

/*
 * Every so many retires, twice as many elapsed slots are recycled: more than came, so that queues shrink; few, so that
 * a drop stays short; several at once, so that most retires carry none of it. And as many as an on_drop has retired,
 * but not all at once.
 */
#define RETIRES_PER_DRAIN 8
#define RECYCLES_PER_DRAIN (2 * RETIRES_PER_DRAIN)
#define MOST_OWED_PER_DRAIN 8192
/* So many may need a grace period sooner than those before them. */
#define RETIRES_PER_CROWD 1024

_Thread_local struct reclaim_thread *reclaim_self __attribute__((tls_model("initial-exec")));
_Thread_local struct reclaim_newest reclaim_newest __attribute__((tls_model("initial-exec")));
_Thread_local bool reclaim_in_on_drop __attribute__((tls_model("initial-exec")));
struct reclaim_periods reclaim_periods;
struct reclaim_counts reclaim_counts;
_Atomic uint64_t reclaim_nr_threads;

/* Immediate slots dropped from within an on_drop of this thread, which the outermost one recycles. */
static _Thread_local struct {
	struct slot *head;
	bool running;
} immediate __attribute__((tls_model("initial-exec")));

#ifdef GRACE_TSAN
char grace_tsan_edge;
#endif

/* The end of an incarnation. */
static void recycle(struct slot *slot, struct mslot_region *region, const struct mslot_type *type)
{
	if (type->on_drop)
		type->on_drop(slot->meta, slot_paddr(region, slot), slot_memory(region, slot));
	unsigned attention = give_back_begin(slot);
	uint64_t retired = slot_word(slot);
	/* Not to be given back, so that hints will not know of it: reset as unused, or a refused forget of a dead
	 * handle is in the word. */
	if (UNLIKELY(state_raw(retired) != 0))
		region_disprove_hints(region);
	if (slot_recycle(slot, retired))
		give_back(slot, attention);
}

/* Chains of immediate frames that drop each other become a loop here. */
static COLD void recycle_nesting(struct slot *slot)
{
	struct reclaim_thread *self = reclaim_self;

	slot->link = immediate.head;
	immediate.head = slot;
	if (immediate.running)
		return;
	immediate.running = true;
	/* What an on_drop drops is recycled by this loop, after that drop has returned. The section makes a barrier,
	 * and the end of the region, wait for it. */
	if (self)
		grace_read_lock();
	while ((slot = immediate.head)) {
		immediate.head = slot->link;
		recycle(slot, slot_region(slot), slot_type(slot));
	}
	if (self)
		grace_read_unlock();
	immediate.running = false;
}

static void backlog_add(struct mslot_region *region, int64_t delta)
{
	/* [relaxed] a hint that bounds; nothing is read by it. */
	atomic_fetch_add_explicit(region_backlog(region), delta, memory_order_relaxed);
}

/*
 * Keeps up to twice the slack of retires to the thread, and never less than none: the region's count is too low by
 * that, but never too high, so that threads which pause cannot make claims fail for good.
 */
static void count(struct reclaim_thread *self, struct mslot_region *region, int64_t delta)
{
	int64_t slack = region->backlog_slack;

	if (LIKELY(!region_is_limited(region)))
		return;
	if (UNLIKELY(self->counted_id != region->id)) {
		reclaim_count_flush(self);
		self->counted = region;
		self->counted_id = region->id;
	}
	self->uncounted += delta;
	if (UNLIKELY(self->uncounted < 0 || self->uncounted > 2 * slack)) {
		int64_t excess = self->uncounted - slack;
		backlog_add(region, excess);
		self->uncounted = slack;
	}
}

void reclaim_count_flush(struct reclaim_thread *self)
{
	if (!self->uncounted)
		return;
	/* The end of the region waits for the section. */
	grace_read_lock();
	struct mslot_region *region = region_at((uintptr_t)self->counted);
	if (region && region->id == self->counted_id)
		backlog_add(region, self->uncounted);
	grace_read_unlock();
	self->uncounted = 0;
}

NOINLINE uint64_t reclaim_drain(struct reclaim_thread *self, struct retire_queue *queue, uint64_t most)
{
	uint64_t nr = 0, nr_retired = reclaim_nr_retired(self);

	self->recycling = true;
	for (struct slot *slot; nr < most && (slot = retire_queue_pop(queue)); nr++) {
		struct mslot_region *region = slot_region(slot);

		count(self, region, -1);
		recycle(slot, region, slot_type(slot));
		reclaim_tally(&self->nr_recycled, 1);
	}
	self->recycling = false;
	self->nr_owed += reclaim_nr_retired(self) - nr_retired;
	/* Where others have recycled some of it. */
	if (self->nr_owed > retire_queue_size(queue))
		self->nr_owed = retire_queue_size(queue);
	return nr;
}

/* At the first retire of a batch. */
static void rotate(struct retire_queue *queue, uint64_t cookie)
{
	/* [acquire:grace] readers of the batches that this elapses are gone. */
	uint64_t completed = atomic_load_explicit(&reclaim_periods.completed, memory_order_acquire);

	retire_queue_rotate(queue, cookie, completed);
	reclaim_newest.queue = queue;
	reclaim_newest.cookie = cookie;
}

/* In a section: one's queue, until the section ends. */
static inline struct retire_queue *active_queue(struct reclaim_thread *self)
{
	/* [acquire:handover] a queue that was emptied by the grace-period thread is empty. */
	return &self->queue[atomic_load_explicit(&self->active, memory_order_acquire)];
}

/* Looks what has elapsed by now. */
static inline void elapse(struct retire_queue *queue)
{
	/* [acquire:grace] readers of the batches that this elapses are gone. */
	retire_queue_elapse(queue, atomic_load_explicit(&reclaim_periods.completed, memory_order_acquire));
}

/* Recycles a retire's share of what has elapsed. In a section, so that a grace period covers it: a barrier finds
 * on_drop finished. */
static inline void drain_share(struct reclaim_thread *self, struct retire_queue *queue)
{
	uint64_t owed = self->nr_owed < MOST_OWED_PER_DRAIN ? self->nr_owed : MOST_OWED_PER_DRAIN;
	uint64_t nr = reclaim_drain(self, queue, RECYCLES_PER_DRAIN + owed);

	if (UNLIKELY(nr > RECYCLES_PER_DRAIN)) {
		uint64_t paid = nr - RECYCLES_PER_DRAIN;

		self->nr_owed -= paid < self->nr_owed ? paid : self->nr_owed;
	}
}

void reclaim_drain_own(void)
{
	struct reclaim_thread *self = reclaim_self;

	if (!self || self->recycling || immediate.running)
		return;
	grace_read_lock();
	struct retire_queue *queue = active_queue(self);
	elapse(queue);
	reclaim_drain(self, queue, UINT64_MAX);
	grace_read_unlock();
}

/* Not registered: nothing may be assumed of this thread, so others do the rest. */
static void retire_as_stranger(struct slot *slot, struct mslot_region *region)
{
	if (region_is_limited(region))
		backlog_add(region, 1);
	reclaim_tally_shared(&reclaim_counts.retired_by_strangers);
	grace_thread_adopt(slot, slot);
}

/* The rest of a retire. What is rare ends in a call of its own: nothing lives across a call, so that the common way has
 * no registers to save. */
static NOINLINE void retire_draining(void)
{
	struct reclaim_thread *self = reclaim_self;

	if (self->recycling)
		return;
	grace_read_lock();
	struct retire_queue *queue = active_queue(self);
	uint64_t nr_in = retire_queue_nr_in(queue);
	elapse(queue);
	drain_share(self, queue);
	grace_read_unlock();
	if (UNLIKELY(nr_in % RETIRES_PER_CROWD == 0))
		pace_crowded();
}

/* The first of its batch. It always drains: a thread might retire so few a grace period that no other one ever did,
 * from a queue that is too long to be taken over. */
static NOINLINE void retire_rotating(uint64_t cookie, struct slot *slot)
{
	struct reclaim_thread *self = reclaim_self;

	grace_read_lock();
	struct retire_queue *queue = active_queue(self);
	bool was_empty = !retire_queue_size(queue);

	rotate(queue, cookie);
	slot->link = NULL;
	retire_batch_append(&queue->fresh, &(struct retire_batch){slot, slot, cookie});
	retire_queue_count_in(queue, 1);
	if (!self->recycling)
		drain_share(self, queue);
	grace_read_unlock();
	if (was_empty)
		grace_thread_wake();
}

/*
 * Pushes to the queue of the retire before, in a use instead of a section and a look at `active`. That look came after
 * one at `started`; each flip precedes the beginning of a grace period, after which uses are waited for. So a use that
 * finds `started` unchanged has the queue to itself.
 */
static inline void retire(struct retire_queue *queue, struct slot *slot)
{
	uint64_t before = retire_queue_use_begin(queue);

	grace_use_barrier();
	/* [seq_cst:retire] the grace period that follows has not begun when the slot is retired. */
	uint64_t cookie = atomic_load_explicit(&reclaim_periods.started, memory_order_seq_cst) + 1;
	if (UNLIKELY(cookie != reclaim_newest.cookie)) {
		retire_queue_use_end(queue, before, 0);
		retire_rotating(cookie, slot);
		return;
	}
	retire_batch_push(&queue->fresh, slot);
	if (UNLIKELY(retire_queue_use_end(queue, before, 1) % RETIRES_PER_DRAIN == 0))
		retire_draining();
}

/* All but the common way of deferred types. */
static NOINLINE void reclaim_carefully(struct slot *slot)
{
	struct reclaim_thread *self = reclaim_self;
	struct mslot_region *region = slot_region(slot);
	const struct mslot_type *type = slot_type(slot);

	if (type_is_immediate(type)) {
		if (type->on_drop)
			recycle_nesting(slot);
		else
			recycle(slot, region, type);
	} else if (!self) {
		retire_as_stranger(slot, region);
	} else {
		count(self, region, 1);
		retire(reclaim_newest.queue, slot);
	}
}

void reclaim_slot_slow(struct slot *slot)
{
	struct retire_queue *queue = reclaim_newest.queue;

	if (UNLIKELY(slot_type_word(slot) & TYPE_BITS || !queue))
		reclaim_carefully(slot);
	else
		retire(queue, slot);
}

bool reclaim_must_not_wait(void)
{
	struct reclaim_thread *self = reclaim_self;

	return immediate.running || reclaim_in_on_drop || grace_thread_is_self() || (self && self->recycling) ||
	       grace_in_section();
}

bool reclaim_may_bring(void)
{
	if (reclaim_must_not_wait())
		return false;
	struct registry_sums sums = registry_sums();
	return sums.retired != sums.recycled;
}

enum mslot_err reclaim_make_room(struct mslot_region *region)
{
	if (region->claims_may_wait && !reclaim_must_not_wait()) {
		reclaim_tally_shared(&reclaim_counts.claims_waited);
		grace_thread_wait(true);
		if (reclaim_has_room(region))
			return MSLOT_OK;
	}
	reclaim_tally_shared(&reclaim_counts.claims_refused);
	pace_hasten();
	return MSLOT_BUSY;
}

/* ---- public ---- */

enum mslot_err mslot_synchronize(void)
{
	return reclaim_must_not_wait() ? MSLOT_BUSY : grace_thread_wait(false);
}

enum mslot_err mslot_barrier(struct mslot_region *region)
{
	if (!region)
		return MSLOT_INVALID;
	return reclaim_must_not_wait() ? MSLOT_BUSY : grace_thread_wait(true);
}

enum mslot_err mslot_region_destroy(struct mslot_region *region)
{
	enum mslot_err err;

	if (!region)
		return MSLOT_OK;
	if (reclaim_must_not_wait())
		return MSLOT_BUSY;
	/* What is retired may hold further frames, until its on_drop drops them. So the caller's program holds what is
	 * held only where a round leaves no less than the one before. */
	for (uint64_t nr_held = 0, before = UINT64_MAX;; before = nr_held) {
		err = mslot_barrier(region);
		if (!err)
			err = region_close(region, &nr_held);
		if (!err)
			break;
		if (err != MSLOT_BUSY && (err != MSLOT_IN_USE || nr_held >= before))
			return err;
	}
	if (give_back_upward() && reclaim_self) {
		bool was_online = grace_begin_online();
		give_back_upward()->flush();
		grace_end_online(was_online);
	}
	/* Threads that remember frames of it look whether it is still there; one may be about to remember the last. */
	grace_thread_wait(false);
	region_unmap(region);
	return MSLOT_OK;
}
