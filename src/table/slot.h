/* SPDX-License-Identifier: MIT
 *
 * A slot and its moves, as docs/state-machine.md has them; a refusal has changed nothing. Beside them: looks at a slot,
 * its type, and slot_call_attention(), which changes nothing.
 */
#ifndef TABLE_SLOT_H
#define TABLE_SLOT_H

#include "table/state.h"

#include <stdatomic.h>

/*
 *   0        40      48     56     64
 *  +--------+-------+------+------+
 *  | meta   | state | type | link |
 *  +--------+-------+------+------+
 */
struct slot {
	_Alignas(MSLOT_SLOT_BYTES) unsigned char meta[MSLOT_META_MAX];
	_Atomic uint64_t state; /* the only truth about the frame */
	_Atomic uintptr_t type; /* its address, plus TYPE_BITS; written while busy or unique */
	struct slot *link;	/* belongs to whoever owns the slot exclusively */
};

/*
 * Beside the type's address. At the end of the frame there is more to do than to recycle it, at once or later: an
 * on_drop, or a backlog to count. Found at the claim, where the type is at hand.
 */
#define TYPE_CAREFUL ((uintptr_t)1)
/* The type is immediate, and may not be peeked at. */
#define TYPE_IMMEDIATE ((uintptr_t)2)
#define TYPE_BITS (TYPE_CAREFUL | TYPE_IMMEDIATE)

_Static_assert(_Alignof(struct mslot_type) > TYPE_BITS, "a type's address leaves the bits free");
_Static_assert(sizeof(struct slot) == MSLOT_SLOT_BYTES, "a slot is one cache line");
_Static_assert(offsetof(struct slot, meta) == 0, "metadata comes first");

/* What a move by addition has done. */
struct slot_verdict {
	enum mslot_fault_kind fault; /* not NONE: the move has been taken back */
	bool is_last;		     /* the frame is retired, and the caller's to reclaim, fault or not */
	uint64_t seen;		     /* the word that was judged */
};

/* What a put in its common cases has come to. */
enum slot_put {
	PUT_LEFT,    /* others hold the frame */
	PUT_LAST,    /* the frame is retired, by the word `seen` */
	PUT_ADDED,   /* by addition, which returned `seen`; to be settled */
	PUT_UNTRIED, /* nothing has changed */
};

uint64_t slot_word(const struct slot *slot);
/* The same, for whoever is to say what is free. */
uint64_t slot_word_acquire(const struct slot *slot);
const struct mslot_type *slot_type(const struct slot *slot);
/* The type's address and TYPE_BITS. */
uintptr_t slot_type_word(const struct slot *slot);

bool slot_claim_quick(struct slot *slot, uint64_t word, uint64_t *claimed);
enum mslot_err slot_claim(struct slot *slot, uint64_t *claimed);
void slot_make_hole(struct slot *slot, uint64_t claimed);
void slot_unclaim(struct slot *slot);
void slot_set_type(struct slot *slot, uintptr_t type_word);
void slot_publish(struct slot *slot, uint64_t claimed);
void slot_publish_unique(struct slot *slot, uint64_t claimed);

/* Adds 1 in any case; false: state_get(*seen) says what to make of it. */
bool slot_get(struct slot *slot, uint64_t *seen);
enum slot_put slot_put_quick(struct slot *slot, uint64_t *seen);
/* With what slot_put_quick() gave, PUT_ADDED or PUT_UNTRIED, and the word it saw. */
struct slot_verdict slot_put_slow(struct slot *slot, enum slot_put tried, uint64_t seen);
struct slot_verdict slot_put(struct slot *slot);
struct slot_verdict slot_clone(struct slot *slot);
bool slot_forget_quick(struct slot *slot, uint64_t delta, bool *has_added, uint64_t *seen);
/* With what slot_forget_quick() left, where it gave false. */
struct slot_verdict slot_forget_slow(struct slot *slot, uint64_t delta, bool has_added, uint64_t seen);
struct slot_verdict slot_forget(struct slot *slot, uint64_t delta);
bool slot_from_raw_quick(struct slot *slot);
enum mslot_err slot_from_raw(struct slot *slot);
bool slot_drop_raw_quick(struct slot *slot);
/* *retired: the word, if that was the last reference, else 0. */
enum mslot_err slot_drop_raw(struct slot *slot, uint64_t *retired);

enum mslot_err slot_try_unique(struct slot *slot, bool seen_by_readers);
bool slot_share(struct slot *slot, uint64_t *seen);
bool slot_unique_retire(struct slot *slot, bool give_back, uint64_t *seen);
bool slot_unique_into_raw(struct slot *slot, uint64_t *seen);
enum mslot_err slot_unique_from_raw(struct slot *slot);

bool slot_peek_quick(const struct slot *slot, const struct mslot_type *type);
enum mslot_err slot_peek(const struct slot *slot, const struct mslot_type *type);
uint64_t slot_call_attention(struct slot *slot);
bool slot_recycle(struct slot *slot, uint64_t retired);

#endif
