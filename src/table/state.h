/* SPDX-License-Identifier: MIT
 *
 * The state word of a slot, as a value. Pure: no atomics, no pointers; slot.c makes each move atomic.
 *
 *   63            42 41            20 19         3 2     0
 *  +----------------+----------------+------------+-------+
 *  | live handles   | forgotten refs | generation | state |
 *  | guard + 21 bit | guard + 21 bit | 17 bit     | 3 bit |
 *  +----------------+----------------+------------+-------+
 *
 *  ref_count = live + raw, raw_count = raw. Encoding live instead of ref_count makes every move one addition:
 *  get +LIVE, put -LIVE, into_raw +RAW-LIVE, clone_into_raw +RAW, drop_raw -RAW.
 *
 *  All zero is unused. A count may be at most COUNT_MAX; the guard bit above it is room for what wrong or racing
 *  calls add before they see it in the value that the RMW returned and take it back. `live` lies on top, so what
 *  runs past its guard falls out of the word. Calls take it below zero only for a moment, and only in a program
 *  that has dropped too often: the upper quarter of the field reads as negative.
 *
 *  Only a shared frame has counts. In the other states `live` is whatever failed gets left behind ("pollution"):
 *  every reading ignores it, every move out of the state discards it. A unique frame has one reference, and raw
 *  is 1 while its handle is forgotten. In a retired word, raw 1 says not to give the frame back when it is recycled.
 *
 *  The generation counts incarnations, so that a compare-and-swap which was computed in one incarnation fails in
 *  the next. It wraps after 131072 reuses of one frame.
 */
#ifndef TABLE_STATE_H
#define TABLE_STATE_H

#include <metaslot/error.h>
#include <metaslot/region.h>

enum state {
	STATE_UNUSED = 0,
	STATE_BUSY = 1,	       /* claimed, not yet published */
	STATE_SHARED = 2,      /* has counts */
	STATE_UNIQUE = 3,      /* one owner; nobody could peek in this incarnation, or all who did are gone */
	STATE_UNIQUE_SEEN = 4, /* one owner; it was shared before, readers may still look */
	STATE_RETIRED = 5,     /* last reference gone, not yet recycled */
	STATE_TAIL = 6,	       /* reserved for a tail that names its head; an audit calls it broken */
	STATE_HOLE = 7,	       /* no frame; for good */
	NR_STATES
};

#define STATE_BITS 3
#define GEN_BITS 17
#define COUNT_BITS 22 /* the guard included */

#define STATE_MASK ((UINT64_C(1) << STATE_BITS) - 1)
#define GEN_ONE (UINT64_C(1) << STATE_BITS)
#define GEN_MASK (((UINT64_C(1) << GEN_BITS) - 1) << STATE_BITS)
#define RAW_ONE (UINT64_C(1) << (STATE_BITS + GEN_BITS))
#define LIVE_ONE (UINT64_C(1) << (STATE_BITS + GEN_BITS + COUNT_BITS))
#define COUNT_MASK ((UINT64_C(1) << COUNT_BITS) - 1)
#define LIVE_GUARD (UINT64_C(1) << 63)
#define RAW_GUARD (LIVE_ONE >> 1)
#define COUNT_MAX ((int32_t)MSLOT_COUNT_MAX)

_Static_assert(STATE_BITS + GEN_BITS + 2 * COUNT_BITS == 64, "the word is full");
_Static_assert(NR_STATES <= 1 << STATE_BITS, "every state fits");
_Static_assert(MSLOT_COUNT_MAX == 1 << (COUNT_BITS - 1), "a count reaches its guard bit, and stays there");

static inline enum state state_of(uint64_t word)
{
	return (enum state)(word & STATE_MASK);
}

static inline uint32_t state_generation(uint64_t word)
{
	return (uint32_t)((word & GEN_MASK) >> STATE_BITS);
}

static inline int32_t state_count(uint64_t field)
{
	int32_t count = (int32_t)(field & COUNT_MASK);
	/* The upper quarter is below zero. */
	return count >= 3 << (COUNT_BITS - 2) ? count - (1 << COUNT_BITS) : count;
}

/* Live handles; meaningful for a shared word. */
static inline int32_t state_live(uint64_t word)
{
	return state_count(word / LIVE_ONE);
}

/* Forgotten references; meaningful for a shared or unique word. */
static inline int32_t state_raw(uint64_t word)
{
	return state_count(word / RAW_ONE);
}

static inline bool state_is_unique(uint64_t word)
{
	return state_of(word) == STATE_UNIQUE || state_of(word) == STATE_UNIQUE_SEEN;
}

/* Unique, and its handle is not forgotten. */
static inline bool state_is_owned(uint64_t word)
{
	return state_is_unique(word) && state_raw(word) == 0;
}

/* As OSTD defines them, and 0 where a frame has no references. */
static inline uint32_t state_raw_count(uint64_t word)
{
	return state_of(word) == STATE_SHARED || state_is_unique(word) ? (uint32_t)state_raw(word) : 0;
}

static inline uint32_t state_ref_count(uint64_t word)
{
	if (state_of(word) == STATE_SHARED) {
		int32_t count = state_live(word) + state_raw(word);
		/* Below zero while over-drops take themselves back. */
		return count > 0 ? (uint32_t)count : 0;
	}
	return state_is_unique(word) ? 1 : 0;
}

static inline uint64_t state_word(enum state state, uint64_t generation_of, int32_t live, int32_t raw)
{
	return ((uint64_t)live & COUNT_MASK) * LIVE_ONE + ((uint64_t)raw & COUNT_MASK) * RAW_ONE +
	       (generation_of & GEN_MASK) + (uint64_t)state;
}

/* A shared word with one live handle, without its generation. What compares with it subtracts it: fewer constants in
 * the code. */
#define SOLE (LIVE_ONE + STATE_SHARED)

/* The only reference, live: the last put may then take the word straight to retired. */
static inline bool state_is_sole(uint64_t word)
{
	return ((word - SOLE) & ~GEN_MASK) == 0;
}

/* Shared, and the last reference has been put: whoever swaps this word retires the frame. */
static inline bool state_is_dead(uint64_t word)
{
	return (word & ~GEN_MASK) == STATE_SHARED;
}

/* Forgotten references that are there to be taken. An over-drop in flight has taken from them. */
static inline int32_t state_restorable(uint64_t word)
{
	int32_t live = state_live(word), raw = state_raw(word);
	return live < 0 ? raw + live : raw;
}

/* Unused, and no failed get has left anything: the generation alone. */
static inline bool state_is_clean(uint64_t word)
{
	return (word & ~GEN_MASK) == STATE_UNUSED;
}

/* The common case of a getter and a holder. What is not common is judged by the functions below. */
static inline bool state_is_gettable(uint64_t word)
{
	return (word & (LIVE_GUARD | STATE_MASK)) == STATE_SHARED;
}

/* As gettable, and a reference is forgotten. Signed, with `raw` shifted to the top, so that its guard bit fails it. */
static inline bool state_has_raw(uint64_t word)
{
	return state_is_gettable(word) && (int64_t)(word << COUNT_BITS) >= (int64_t)(RAW_ONE << COUNT_BITS);
}

/* A live handle is there, and room for one more. */
static inline bool state_is_clonable(uint64_t word)
{
	return state_is_gettable(word) && word / LIVE_ONE != 0;
}

/* A live handle is there, and room for one more forgotten reference. */
static inline bool state_is_forgettable(uint64_t word)
{
	return (word & (LIVE_GUARD | RAW_GUARD | STATE_MASK)) == STATE_SHARED && word / LIVE_ONE != 0;
}

/*
 * Shared, with at least two live handles: a put by addition leaves one. Signed, so that the guard bit fails it. Two
 * short tests side by side, as all that follows waits for them.
 */
static inline bool state_has_others(uint64_t word)
{
	return (int64_t)word >= (int64_t)(2 * LIVE_ONE) && state_of(word) == STATE_SHARED;
}

/*
 * What a getter is told. Acceptable is a shared word, even one whose last reference has just been put: the getter
 * resurrects it, and the put's compare-and-swap fails.
 */
static inline enum mslot_err state_get(uint64_t word)
{
	switch (state_of(word)) {
	case STATE_SHARED:
		return state_live(word) < COUNT_MAX ? MSLOT_OK : MSLOT_OVERFLOW;
	case STATE_UNUSED:
		return MSLOT_UNUSED;
	case STATE_UNIQUE:
	case STATE_UNIQUE_SEEN:
		return MSLOT_UNIQUE;
	case STATE_HOLE:
		return MSLOT_OUT_OF_BOUND;
	case STATE_BUSY:
	case STATE_RETIRED:
	case STATE_TAIL:
	case NR_STATES:
	default:
		return MSLOT_BUSY;
	}
}

/* Moves by compare-and-swap: each says whether it is allowed, and if so what the word becomes. */

static inline enum mslot_err state_claim(uint64_t word, uint64_t *next)
{
	if (state_of(word) == STATE_UNUSED) {
		*next = state_word(STATE_BUSY, word, 0, 0);
		return MSLOT_OK;
	}
	if (state_of(word) == STATE_SHARED)
		return state_is_dead(word) ? MSLOT_BUSY : MSLOT_IN_USE;
	return state_get(word);
}

static inline enum mslot_err state_from_raw(uint64_t word, uint64_t *next)
{
	if (state_is_unique(word))
		return MSLOT_UNIQUE;
	if (state_of(word) != STATE_SHARED || state_restorable(word) < 1)
		return MSLOT_NOT_FORGOTTEN;
	if (state_live(word) >= COUNT_MAX)
		return MSLOT_OVERFLOW;
	*next = word + LIVE_ONE - RAW_ONE;
	return MSLOT_OK;
}

static inline enum mslot_err state_drop_raw(uint64_t word, uint64_t *next)
{
	if (state_is_unique(word))
		return MSLOT_UNIQUE;
	if (state_of(word) != STATE_SHARED || state_restorable(word) < 1)
		return MSLOT_NOT_FORGOTTEN;
	*next = word - RAW_ONE;
	if (state_is_dead(*next))
		*next = state_word(STATE_RETIRED, word, 0, 0);
	return MSLOT_OK;
}

static inline enum mslot_err state_try_unique(uint64_t word, bool seen, uint64_t *next)
{
	if (state_of(word) != STATE_SHARED)
		return state_get(word);
	if (!state_is_sole(word))
		return MSLOT_IN_USE;
	*next = state_word(seen ? STATE_UNIQUE_SEEN : STATE_UNIQUE, word, 0, 0);
	return MSLOT_OK;
}

static inline enum mslot_err state_unique_from_raw(uint64_t word, uint64_t *next)
{
	if (state_of(word) == STATE_SHARED)
		return MSLOT_IN_USE;
	if (!state_is_unique(word) || state_raw(word) != 1)
		return MSLOT_NOT_FORGOTTEN;
	*next = state_word(state_of(word), word, 0, 0);
	return MSLOT_OK;
}

/* Of an owned one. */
static inline uint64_t state_unique_into_raw(uint64_t word)
{
	return state_word(state_of(word), word, 0, 1);
}

/* What the two moves that forget add. */
#define INTO_RAW (RAW_ONE - LIVE_ONE)
#define CLONE_INTO_RAW RAW_ONE

/* Moves by addition: judged by the value that the RMW returned, and taken back where that says so. */

static inline enum mslot_fault_kind state_put_fault(uint64_t old)
{
	return state_of(old) == STATE_SHARED && state_live(old) >= 1 ? MSLOT_FAULT_NONE : MSLOT_FAULT_OVER_DROP;
}

static inline enum mslot_fault_kind state_clone_fault(uint64_t old)
{
	if (state_of(old) != STATE_SHARED || state_live(old) < 1)
		return MSLOT_FAULT_DEAD_HANDLE;
	return state_live(old) < COUNT_MAX ? MSLOT_FAULT_NONE : MSLOT_FAULT_OVERFLOW;
}

/* into_raw and clone_into_raw */
static inline enum mslot_fault_kind state_forget_fault(uint64_t old)
{
	if (state_of(old) != STATE_SHARED || state_live(old) < 1)
		return MSLOT_FAULT_DEAD_HANDLE;
	return state_raw(old) < COUNT_MAX ? MSLOT_FAULT_NONE : MSLOT_FAULT_OVERFLOW;
}

/* Moves by store, out of a state that nobody else leaves: what failed gets left is discarded. */

static inline uint64_t state_make_hole(uint64_t word)
{
	return state_word(STATE_HOLE, word, 0, 0);
}

static inline uint64_t state_publish(uint64_t word)
{
	return state_word(STATE_SHARED, word, 1, 0);
}

static inline uint64_t state_publish_unique(uint64_t word)
{
	return state_word(STATE_UNIQUE, word, 0, 0);
}

/* By compare-and-swap: of a word without references, and of an owned one. */
static inline uint64_t state_retire(uint64_t word)
{
	return state_word(STATE_RETIRED, word, 0, 0);
}

static inline uint64_t state_unique_retire(uint64_t word, bool give_back)
{
	return state_word(STATE_RETIRED, word, 0, give_back ? 0 : 1);
}

static inline uint64_t state_recycle(uint64_t word)
{
	return state_word(STATE_UNUSED, word + GEN_ONE, 0, 0);
}

#endif
