/* SPDX-License-Identifier: MIT
 *
 * A queue of retired slots, linked through themselves, in batches of one grace period. No atomics but one hint:
 * a queue has one user at a time. No memory but the slots'.
 *
 *   waiting[first] ... waiting[first + nr_waiting - 1]   ascending cookies: the grace period to wait for
 *   elapsed                                              to be recycled
 */
#ifndef RECLAIM_RETIRE_QUEUE_H
#define RECLAIM_RETIRE_QUEUE_H

#include "base/check.h"
#include "table/slot.h"

/*
 * Cookies in flight: a batch waits at most for the grace period after the one that runs, so two cookies are beyond the
 * completed one; a third place lets one be added before the elapsed one is moved. A power of two.
 */
#define RETIRE_BATCHES 4

struct retire_batch {
	struct slot *head, *tail; /* last in, first out; without a head, the tail is somebody else's by now */
	uint64_t cookie;
};

struct retire_queue {
	struct retire_batch waiting[RETIRE_BATCHES];
	unsigned first, nr_waiting;
	struct retire_batch elapsed;
	_Atomic uint64_t nr_in, nr_out; /* ever; written by the user alone, others read them as hints */
};

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
	return atomic_load_explicit(&queue->nr_in, memory_order_relaxed);
}

static inline uint64_t retire_queue_size(const struct retire_queue *queue)
{
	/* [relaxed] exact for the user. Others may see more gone than came, and get a huge number: not zero, a hint
	 * still. */
	uint64_t nr_out = atomic_load_explicit(&queue->nr_out, memory_order_relaxed);

	return retire_queue_nr_in(queue) - nr_out;
}

/* Gives how many have come with these. */
static inline uint64_t retire_queue_count_in(struct retire_queue *queue, uint64_t nr)
{
	uint64_t nr_in = retire_queue_nr_in(queue) + nr;

	/* [relaxed] as above. */
	atomic_store_explicit(&queue->nr_in, nr_in, memory_order_relaxed);
	return nr_in;
}

static inline void retire_queue_count_out(struct retire_queue *queue, uint64_t nr)
{
	/* [relaxed] as above. */
	uint64_t nr_out = atomic_load_explicit(&queue->nr_out, memory_order_relaxed) + nr;

	/* [relaxed] as above. */
	atomic_store_explicit(&queue->nr_out, nr_out, memory_order_relaxed);
}

/* The batch to which slots with this cookie go, if the last one went there too; else NULL. */
static inline struct retire_batch *retire_queue_newest(struct retire_queue *queue, uint64_t cookie)
{
	struct retire_batch *newest = &queue->waiting[(queue->first + queue->nr_waiting - 1) % RETIRE_BATCHES];

	return LIKELY(queue->nr_waiting && newest->cookie == cookie) ? newest : NULL;
}

/* Moves the batches that have elapsed. */
static inline void retire_queue_elapse(struct retire_queue *queue, uint64_t completed)
{
	while (queue->nr_waiting && queue->waiting[queue->first].cookie <= completed) {
		retire_batch_append(&queue->elapsed, &queue->waiting[queue->first]);
		queue->first = (queue->first + 1) % RETIRE_BATCHES;
		queue->nr_waiting--;
	}
}

/* The same, and gives the one to which slots with this cookie go. */
static inline struct retire_batch *retire_queue_rotate(struct retire_queue *queue, uint64_t cookie, uint64_t completed)
{
	struct retire_batch *batch = retire_queue_newest(queue, cookie);

	if (batch)
		return batch;
	retire_queue_elapse(queue, completed);
	CHECK(queue->nr_waiting < RETIRE_BATCHES);
	batch = &queue->waiting[(queue->first + queue->nr_waiting++) % RETIRE_BATCHES];
	*batch = (struct retire_batch){.cookie = cookie};
	return batch;
}

/* Adds one to a batch; gives how many have come with it. */
static inline uint64_t retire_queue_push(struct retire_queue *queue, struct retire_batch *batch, struct slot *slot)
{
	struct slot *head = batch->head;

	slot->link = head;
	batch->head = slot;
	if (!head)
		batch->tail = slot;
	return retire_queue_count_in(queue, 1);
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

/* Takes all out, elapsed or not, as one chain. No batch has a cookie then. */
static inline struct retire_batch retire_queue_take_all(struct retire_queue *queue)
{
	struct retire_batch all = queue->elapsed;

	for (unsigned i = 0; i < queue->nr_waiting; i++)
		retire_batch_append(&all, &queue->waiting[(queue->first + i) % RETIRE_BATCHES]);
	if (all.head)
		all.tail->link = NULL;
	/* Whoever remembers a batch finds that it is gone. */
	for (unsigned i = 0; i < RETIRE_BATCHES; i++)
		queue->waiting[i].cookie = 0;
	queue->nr_waiting = queue->first = 0;
	queue->elapsed = (struct retire_batch){0};
	retire_queue_count_out(queue, retire_queue_size(queue));
	return all;
}

#endif
