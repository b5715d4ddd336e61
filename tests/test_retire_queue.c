/* SPDX-License-Identifier: MIT
 *
 * A queue of retired slots alone: what goes in comes out once, when its grace period is over or when all is taken, and
 * a slot that came out is not written any more, whoever holds it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "reclaim/retire_queue.h"

#define NR_SLOTS 8

static struct slot slots[NR_SLOTS];
static struct slot elsewhere;

static void put(struct retire_queue *queue, uint64_t cookie, uint64_t completed, struct slot *slot)
{
	retire_queue_rotate(queue, cookie, completed);
	slot->link = NULL;
	retire_batch_append(&queue->fresh, &(struct retire_batch){slot, slot, cookie});
	retire_queue_count_in(queue, 1);
}

/* Checks that the chain holds each of slots[0 .. nr - 1] once. */
static void assert_holds(struct retire_batch all, unsigned nr)
{
	unsigned seen[NR_SLOTS] = {0};

	for (struct slot *slot = all.head; slot; slot = slot->link) {
		seen[slot - slots]++;
		if (!slot->link)
			assert_ptr_equal(slot, all.tail);
	}
	for (unsigned i = 0; i < NR_SLOTS; i++)
		assert_int_equal(seen[i], i < nr);
}

static void pops_what_has_elapsed_only(void **state)
{
	struct retire_queue queue = {0};

	(void)state;
	put(&queue, 2, 0, &slots[0]);
	put(&queue, 3, 1, &slots[1]);
	retire_queue_elapse(&queue, 1);
	assert_null(retire_queue_pop(&queue));
	retire_queue_elapse(&queue, 2);
	assert_ptr_equal(retire_queue_pop(&queue), &slots[0]);
	assert_null(retire_queue_pop(&queue));
	assert_int_equal(retire_queue_size(&queue), 1);
}

static void gives_all_as_one_chain(void **state)
{
	struct retire_queue queue = {0};

	(void)state;
	for (unsigned i = 0; i < 6; i++)
		put(&queue, 2 + i / 2, i / 2, &slots[i]);
	retire_queue_elapse(&queue, 2);
	assert_int_equal(retire_queue_size(&queue), 6);
	assert_holds(retire_queue_take_all(&queue), 6);
	assert_int_equal(retire_queue_size(&queue), 0);
	assert_null(retire_queue_take_all(&queue).head);
	put(&queue, 9, 7, &slots[0]);
	assert_holds(retire_queue_take_all(&queue), 1);
}

/* The last one popped may be retired again, by another thread: its link is in that one's chain. */
static void leaves_alone_what_was_popped(void **state)
{
	struct retire_queue queue = {0};

	(void)state;
	put(&queue, 2, 0, &slots[0]);
	retire_queue_elapse(&queue, 2);
	assert_ptr_equal(retire_queue_pop(&queue), &slots[0]);
	slots[0].link = &elsewhere;
	assert_null(retire_queue_take_all(&queue).head);
	assert_ptr_equal(slots[0].link, &elsewhere);

	put(&queue, 3, 2, &slots[1]);
	retire_queue_elapse(&queue, 3);
	assert_ptr_equal(retire_queue_pop(&queue), &slots[1]);
	slots[1].link = &elsewhere;
	put(&queue, 5, 3, &slots[2]);
	retire_queue_elapse(&queue, 5);
	assert_ptr_equal(retire_queue_pop(&queue), &slots[2]);
	assert_ptr_equal(slots[1].link, &elsewhere);
}

/* What is counted, and the mark beside it. */
static void a_use_ends_with_what_has_come(void **state)
{
	struct retire_queue queue = {0};
	uint64_t before = retire_queue_use_begin(&queue);

	(void)state;
	assert_true(retire_queue_is_used(&queue));
	assert_int_equal(retire_queue_size(&queue), 0);
	assert_int_equal(retire_queue_use_end(&queue, before, 0), 0);
	assert_false(retire_queue_is_used(&queue));
	retire_queue_count_in(&queue, 2);
	assert_int_equal(retire_queue_use_end(&queue, retire_queue_use_begin(&queue), 1), 3);
	assert_int_equal(retire_queue_nr_in(&queue), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pops_what_has_elapsed_only),
		cmocka_unit_test(gives_all_as_one_chain),
		cmocka_unit_test(leaves_alone_what_was_popped),
		cmocka_unit_test(a_use_ends_with_what_has_come),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
