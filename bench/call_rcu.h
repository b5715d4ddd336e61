/* SPDX-License-Identifier: MIT
 *
 * The baseline of bench_reclaim.c: slots of the library's size and layout, each retired by one liburcu call_rcu.
 */
#ifndef BENCH_CALL_RCU_H
#define BENCH_CALL_RCU_H

#include <stdbool.h>
#include <stdint.h>

struct call_rcu_slot;

/* `on_recycle` is called for slots that are claimed with `is_told`, on liburcu's thread. That thread runs where the
 * caller of this may, so this comes before threads are placed. NULL: no memory. */
struct call_rcu_slot *call_rcu_table(uint64_t nr_slots, void (*on_recycle)(uint64_t index));
/* Gives a reference to a slot that was unused; NULL if it is not. */
struct call_rcu_slot *call_rcu_claim(struct call_rcu_slot *table, uint64_t index, const uint64_t meta[2], bool is_told);
/* Drops the reference, which is the only one here, and retires the slot. */
void call_rcu_drop(struct call_rcu_slot *slot);
/* Waits until all that was retired is unused again. */
void call_rcu_barrier(void);

#endif
