/* SPDX-License-Identifier: MIT
 *
 * A queue of retired slots, linked through themselves, in batches of one grace period. No memory but the slots'.
 * A queue has one user at a time, so no atomics but its counters, one of which also marks a use: see reclaim.c.
 *
 *   fresh, waiting   in batches, by the grace period to wait for: those that come, and those before
 *   elapsed          to be recycled
 */
#ifndef RECLAIM_RETIRE_QUEUE_H
#define RECLAIM_RETIRE_QUEUE_H

#include "base/check.h"
#include "table/slot.h"

struct retire_batch {
	struct slot *head, *tail; /* last in, first out; tail is stale where head is NULL */
	uint64_t cookie;
};

/*
 * While period N runs, N - 1 are completed. What comes waits for N + 1 (fresh); what came before has elapsed, or waits
 * for N (waiting): one batch each.
 */
struct retire_queue {
	struct retire_batch fresh, waiting, elapsed;
	/* A sequence count: odd in a use; seq / 2 slots have ever come. Only the thread whose queue it is writes it. */
	_Atomic uint64_t seq;
	_Atomic uint64_t nr_out; /* ever; written by the user alone, others read it as a hint */
};

#define SEQ_USE 1
#define SEQ_SLOT 2

static inline void retire_batch_append(struct retire_batch *to, const struct retire_batch *from)
{
	if (!from->head)
		return;
	if (to->head)
		to->tail->link = from->head;
	else
		to->head = from->head;
	to->tail = from->tail;
}

/* How many have ever come. */
static inline uint64_t retire_queue_nr_in(const struct retire_queue *queue)
{
	/* [relaxed] a hint for others, exact for the user. */
	return atomic_load_explicit(&queue->seq, memory_order_relaxed) / SEQ_SLOT;
}

static inline uint64_t retire_queue_size(const struct retire_queue *queue)
{
	/* [acquire:counted] exact for the user; others see all come that they see gone, so they never see none left
	 * where some are: the grace-period thread would sleep. */
	uint64_t nr_out = atomic_load_explicit(&queue->nr_out, memory_order_acquire);

	return retire_queue_nr_in(queue) - nr_out;
}

/* Of one's own queue, where others might take it over; gives what retire_queue_use_end() needs. */
static inline uint64_t retire_queue_use_begin(struct retire_queue *queue)
{
	/* [relaxed] our own. */
	uint64_t before = atomic_load_explicit(&queue->seq, memory_order_relaxed);

	/* [relaxed] the barrier that follows orders it. */
	atomic_store_explicit(&queue->seq, before + SEQ_USE, memory_order_relaxed);
	return before;
}

/* Counts `nr` that have come; gives how many have come with these. */
static inline uint64_t retire_queue_use_end(struct retire_queue *queue, uint64_t before, uint64_t nr)
{
	uint64_t after = before + nr * SEQ_SLOT;

	/* [release:use] whoever finds that nobody uses the queue any more finds it as it was left. */
	atomic_store_explicit(&queue->seq, after, memory_order_release);
	return after / SEQ_SLOT;
}

static inline bool retire_queue_is_used(const struct retire_queue *queue)
{
	/* [acquire:use] no use lasts, and what was done in them is visible. */
	return atomic_load_explicit(&queue->seq, memory_order_acquire) & SEQ_USE;
}

/* Where no use is needed. */
static inline void retire_queue_count_in(struct retire_queue *queue, uint64_t nr)
{
	/* [relaxed] as above. */
	uint64_t before = atomic_load_explicit(&queue->seq, memory_order_relaxed);

	/* [relaxed] as above. */
	atomic_store_explicit(&queue->seq, before + nr * SEQ_SLOT, memory_order_relaxed);
}

static inline void retire_queue_count_out(struct retire_queue *queue, uint64_t nr)
{
	/* [relaxed] as above. */
	uint64_t nr_out = atomic_load_explicit(&queue->nr_out, memory_order_relaxed) + nr;

	/* [release:counted] whoever sees it gone sees that it came. */
	atomic_store_explicit(&queue->nr_out, nr_out, memory_order_release);
}

/* Moves the batches that have elapsed. */
static inline void retire_queue_elapse(struct retire_queue *queue, uint64_t completed)
{
	if (queue->waiting.cookie <= completed) {
		retire_batch_append(&queue->elapsed, &queue->waiting);
		queue->waiting.head = NULL;
	}
	if (queue->fresh.cookie <= completed) {
		retire_batch_append(&queue->elapsed, &queue->fresh);
		queue->fresh.head = NULL;
	}
}

/* The same, and makes the fresh batch the one to which slots with this cookie go. */
static inline void retire_queue_rotate(struct retire_queue *queue, uint64_t cookie, uint64_t completed)
{
	retire_queue_elapse(queue, completed);
	if (queue->fresh.cookie == cookie)
		return;
	if (queue->fresh.head) {
		CHECK(!queue->waiting.head);
		queue->waiting = queue->fresh;
	}
	queue->fresh = (struct retire_batch){.cookie = cookie};
}

/* Adds one to a batch that has one, uncounted. */
static inline void retire_batch_push(struct retire_batch *batch, struct slot *slot)
{
	CHECK(batch->head);
	slot->link = batch->head;
	batch->head = slot;
}

/* Takes the one that is recycled next out of those that have elapsed, or NULL. */
static inline struct slot *retire_queue_pop(struct retire_queue *queue)
{
	struct slot *slot = queue->elapsed.head;

	if (slot) {
		queue->elapsed.head = slot->link;
		retire_queue_count_out(queue, 1);
	}
	return slot;
}

/* Takes all out, elapsed or not, as one chain. */
static inline struct retire_batch retire_queue_take_all(struct retire_queue *queue)
{
	struct retire_batch all = queue->elapsed;

	retire_batch_append(&all, &queue->waiting);
	retire_batch_append(&all, &queue->fresh);
	if (all.head)
		all.tail->link = NULL;
	queue->fresh = queue->waiting = queue->elapsed = (struct retire_batch){0};
	retire_queue_count_out(queue, retire_queue_size(queue));
	return all;
}

#endif
