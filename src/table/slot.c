/* SPDX-License-Identifier: MIT
 *
 * Makes each move of state.h atomic, and owns every order of the state word and of the type.
 *
 * Promises: exactly one winner per claim; exactly one last reference per incarnation; a refused move has changed
 *           nothing that anybody reads.
 * Needs:    nothing but C11 atomics. No fences, no assembly: the models check this file as it is.
 * Read:     state.h first. An edge is named by the fact that it carries; docs/memory-ordering.md has both ends.
 */
#include "table/slot.h"

#include "base/check.h"

uint64_t slot_word(const struct slot *slot)
{
	/* [relaxed] a snapshot to judge by; whoever acts on it swaps against it. */
	return atomic_load_explicit(&slot->state, memory_order_relaxed);
}

uintptr_t slot_type_word(const struct slot *slot)
{
	/* [relaxed] the caller holds a reference, whose acquire made the type visible. */
	return atomic_load_explicit(&slot->type, memory_order_relaxed);
}

const struct mslot_type *slot_type(const struct slot *slot)
{
	return (const struct mslot_type *)(slot_type_word(slot) & ~TYPE_BITS);
}

uint64_t slot_word_acquire(const struct slot *slot)
{
	/* [acquire:taken] whoever finds it taken finds free what its claimer knew to be free. */
	return atomic_load_explicit(&slot->state, memory_order_acquire);
}

/* Compare-and-swaps, named by the edge that they are an end of. Each fails where another thread has changed the word
 * meanwhile, a failed get too; *word is then its current value. */

/* Every earlier holder's accesses are over. */
static inline bool swap_acquire_last_put(struct slot *slot, uint64_t *word, uint64_t next)
{
	/* [acquire:last-put] their puts are releases, or lead to this one by the release sequence.
	 * [relaxed] on failure nothing is read by it. */
	return LIKELY(atomic_compare_exchange_strong_explicit(&slot->state, word, next, memory_order_acquire,
							      memory_order_relaxed));
}

/* The same, and sections that begin after the next grace period has begun find the slot retired. */
static inline bool swap_retire(struct slot *slot, uint64_t *word, uint64_t next)
{
	/* [seq_cst:retire] before the look at what has begun. [relaxed] on failure nothing is read by it.
	 * [acquire:last-put] as above. [acquire:attention] whoever retires sees what slot_call_attention() released. */
	return LIKELY(atomic_compare_exchange_strong_explicit(&slot->state, word, next, memory_order_seq_cst,
							      memory_order_relaxed));
}

/* Our accesses are over before the last holder's reclaim. */
static inline bool swap_release_last_put(struct slot *slot, uint64_t *word, uint64_t next)
{
	/* [release:last-put] the other end of the above. [relaxed] on failure nothing is read by it. */
	return LIKELY(atomic_compare_exchange_strong_explicit(&slot->state, word, next, memory_order_release,
							      memory_order_relaxed));
}

/* What the forgetting thread wrote is visible. */
static inline bool swap_acquire_forget(struct slot *slot, uint64_t *word, uint64_t next)
{
	/* [acquire:forget] forgetting releases. [relaxed] on failure nothing is read by it. */
	return LIKELY(atomic_compare_exchange_strong_explicit(&slot->state, word, next, memory_order_acquire,
							      memory_order_relaxed));
}

/* ---- unused -> busy -> shared or unique ---- */

/* The caller goes on with `claimed`, and does not load the word again: that load would wait for this swap to complete,
 * and the next write for the load. */
static inline bool slot_try_claim(struct slot *slot, uint64_t word, uint64_t claimed)
{
	/* [acquire:recycle] what the last holder did to metadata and payload is over before we write. And
	 * [release:taken]: whoever finds this taken finds free what we knew to be free. */
	return LIKELY(atomic_compare_exchange_strong_explicit(&slot->state, &word, claimed, memory_order_acq_rel,
							      /* [relaxed] a failed getter moved it, or we lost. */
							      memory_order_relaxed));
}

/* The common case, by a word that was just looked at: true if it was one. */
bool slot_claim_quick(struct slot *slot, uint64_t word, uint64_t *claimed)
{
	*claimed = word + STATE_BUSY;
	return LIKELY(state_is_clean(word)) && slot_try_claim(slot, word, *claimed);
}

enum mslot_err slot_claim(struct slot *slot, uint64_t *claimed)
{
	for (;;) {
		uint64_t word = slot_word(slot);
		enum mslot_err err = state_claim(word, claimed);

		if (err || slot_try_claim(slot, word, *claimed))
			return err;
	}
}

/* The claimed frame is none. */
void slot_make_hole(struct slot *slot, uint64_t claimed)
{
	/* [release:taken] as the claim. */
	atomic_store_explicit(&slot->state, state_make_hole(claimed), memory_order_release);
}

void slot_unclaim(struct slot *slot)
{
	uint64_t next = state_recycle(slot_word(slot));

	/* [release:recycle] as slot_recycle(); of a busy slot only `live` moves, by failing gets, and is discarded. */
	atomic_store_explicit(&slot->state, next, memory_order_release);
}

void slot_set_type(struct slot *slot, uintptr_t type_word)
{
	/* [release:type] whoever reads it reads a state at least as new as our claim or our unique. */
	atomic_store_explicit(&slot->type, type_word, memory_order_release);
}

void slot_publish(struct slot *slot, uint64_t claimed)
{
	/* [release:publish] type and metadata are visible to whoever gets or peeks. A store, not an add: it
	 * discards what failed gets left in `live`. */
	atomic_store_explicit(&slot->state, state_publish(claimed), memory_order_release);
}

void slot_publish_unique(struct slot *slot, uint64_t claimed)
{
	/* [release:taken] as the claim. Nobody may look at metadata yet; share or into_raw releases that. */
	atomic_store_explicit(&slot->state, state_publish_unique(claimed), memory_order_release);
}

/* ---- counting ---- */

bool slot_get(struct slot *slot, uint64_t *seen)
{
	/* [acquire:publish] the metadata is visible. One add, never taken back where the frame is not shared: the
	 * next store to the word discards it. Not after a look: where others get and drop the same frame, that would
	 * bring its line here twice. */
	*seen = atomic_fetch_add_explicit(&slot->state, LIVE_ONE, memory_order_acquire);
	return LIKELY(state_is_gettable(*seen));
}

/* The word says shared and dead: one thread swaps it to retired, and that one is the last. It need not be the one whose
 * put emptied it. */
static bool retire_dead(struct slot *slot, uint64_t dead)
{
	return swap_retire(slot, &dead, state_retire(dead));
}

/* Takes back an addition that is refused; true if that leaves the frame without a reference, and retires it. */
static bool take_back(struct slot *slot, uint64_t delta, uint64_t old)
{
	uint64_t word = slot_word(slot), next;
	bool is_last;

	do {
		/* What is not in the same state of the same incarnation any more needs nothing: a store has discarded
		 * it. */
		if (state_of(word) != state_of(old) || state_generation(word) != state_generation(old))
			return false;
		next = word - delta;
		is_last = state_is_dead(next);
		if (is_last)
			next = state_retire(next);
	} while (!swap_retire(slot, &word, next));
	return is_last;
}

/* What follows an add that did not simply leave others behind. */
static struct slot_verdict put_settle(struct slot *slot, uint64_t old)
{
	struct slot_verdict verdict = {state_put_fault(old), false, old};

	if (!verdict.fault) {
		verdict.is_last = state_is_dead(old - LIVE_ONE) && retire_dead(slot, old - LIVE_ONE);
	} else {
		/* More threads put at once than there were live handles: the later ones take it back. */
		verdict.is_last = take_back(slot, -LIVE_ONE, old);
	}
	return verdict;
}

/*
 * The last live handle goes by compare-and-swap, so that no count falls below zero unless several threads drop one
 * handle at the same moment.
 */
static struct slot_verdict put_last_live(struct slot *slot, uint64_t old)
{
	while (!state_put_fault(old) && state_live(old) == 1) {
		if (state_is_sole(old)) {
			if (swap_retire(slot, &old, state_retire(old)))
				return (struct slot_verdict){MSLOT_FAULT_NONE, true, old};
		} else if (swap_release_last_put(slot, &old, old - LIVE_ONE)) {
			return (struct slot_verdict){MSLOT_FAULT_NONE, false, old};
		}
	}
	if (state_put_fault(old))
		return (struct slot_verdict){state_put_fault(old), false, old};
	/* [release:last-put] our accesses are over before the last holder's reclaim. */
	return put_settle(slot, atomic_fetch_sub_explicit(&slot->state, LIVE_ONE, memory_order_release));
}

enum slot_put slot_put_quick(struct slot *slot, uint64_t *seen)
{
	*seen = slot_word(slot);
	if (state_is_sole(*seen)) {
		/* As state_retire(): of a sole word, what lies above the state is the generation. */
		uint64_t retired = (*seen - SOLE) | STATE_RETIRED;

		if (!swap_retire(slot, seen, retired))
			return PUT_UNTRIED;
		*seen = retired;
		return PUT_LAST;
	}
	if (UNLIKELY(!state_has_others(*seen)))
		return PUT_UNTRIED;
	/* [release:last-put] our accesses are over before the last holder's reclaim. */
	*seen = atomic_fetch_sub_explicit(&slot->state, LIVE_ONE, memory_order_release);
	return LIKELY(state_has_others(*seen)) ? PUT_LEFT : PUT_ADDED;
}

NOINLINE struct slot_verdict slot_put_slow(struct slot *slot, enum slot_put tried, uint64_t seen)
{
	return tried == PUT_ADDED ? put_settle(slot, seen) : put_last_live(slot, seen);
}

struct slot_verdict slot_put(struct slot *slot)
{
	uint64_t seen;
	enum slot_put tried = slot_put_quick(slot, &seen);

	if (tried == PUT_LEFT || tried == PUT_LAST)
		return (struct slot_verdict){MSLOT_FAULT_NONE, tried == PUT_LAST, seen};
	return slot_put_slow(slot, tried, seen);
}

static NOINLINE struct slot_verdict clone_settle(struct slot *slot, uint64_t old)
{
	struct slot_verdict verdict = {state_clone_fault(old), false, old};

	/* What was added is a reference like others; in another state it is pollution. */
	if (verdict.fault && state_of(old) == STATE_SHARED)
		verdict.is_last = slot_put(slot).is_last;
	return verdict;
}

struct slot_verdict slot_clone(struct slot *slot)
{
	uint64_t old = slot_word(slot);

	if (UNLIKELY(!state_is_clonable(old)))
		return (struct slot_verdict){state_clone_fault(old), false, old};
	/* [relaxed] the caller's own reference keeps the frame and has made it visible. */
	old = atomic_fetch_add_explicit(&slot->state, LIVE_ONE, memory_order_relaxed);
	if (UNLIKELY(!state_is_clonable(old)))
		return clone_settle(slot, old);
	return (struct slot_verdict){MSLOT_FAULT_NONE, false, old};
}

/* Judges a forget that is not the common case; takes back what is refused. */
static struct slot_verdict forget_settle(struct slot *slot, uint64_t delta, uint64_t old)
{
	struct slot_verdict verdict = {state_forget_fault(old), false, old};

	if (verdict.fault)
		verdict.is_last = take_back(slot, delta, old);
	return verdict;
}

static inline uint64_t forget_add(struct slot *slot, uint64_t delta)
{
	/* [release:forget] what the holder wrote is visible to whoever restores or drops the bare address. */
	return atomic_fetch_add_explicit(&slot->state, delta, memory_order_release);
}

bool slot_forget_quick(struct slot *slot, uint64_t delta, bool *has_added, uint64_t *seen)
{
	*has_added = false;
	*seen = slot_word(slot);
	if (UNLIKELY(!state_is_forgettable(*seen)))
		return false;
	*seen = forget_add(slot, delta);
	*has_added = true;
	return LIKELY(state_is_forgettable(*seen));
}

NOINLINE struct slot_verdict slot_forget_slow(struct slot *slot, uint64_t delta, bool has_added, uint64_t seen)
{
	if (!has_added && state_forget_fault(seen))
		return (struct slot_verdict){state_forget_fault(seen), false, seen};
	return forget_settle(slot, delta, has_added ? seen : forget_add(slot, delta));
}

struct slot_verdict slot_forget(struct slot *slot, uint64_t delta)
{
	uint64_t seen;
	bool has_added;

	if (slot_forget_quick(slot, delta, &has_added, &seen))
		return (struct slot_verdict){MSLOT_FAULT_NONE, false, seen};
	return slot_forget_slow(slot, delta, has_added, seen);
}

/* The common case: true if it was one. */
bool slot_from_raw_quick(struct slot *slot)
{
	uint64_t word = slot_word(slot);

	return LIKELY(state_has_raw(word)) && swap_acquire_forget(slot, &word, word + LIVE_ONE - RAW_ONE);
}

enum mslot_err slot_from_raw(struct slot *slot)
{
	uint64_t word = slot_word(slot), next;
	enum mslot_err err;

	while (!(err = state_from_raw(word, &next)) && !swap_acquire_forget(slot, &word, next))
		;
	return err;
}

/* The common case, where live handles remain: true if it was one. */
bool slot_drop_raw_quick(struct slot *slot)
{
	uint64_t word = slot_word(slot);

	return LIKELY(state_has_raw(word) && word >= LIVE_ONE) && swap_release_last_put(slot, &word, word - RAW_ONE);
}

enum mslot_err slot_drop_raw(struct slot *slot, uint64_t *retired)
{
	uint64_t word = slot_word(slot), next;

	*retired = 0;
	for (;;) {
		enum mslot_err err = state_drop_raw(word, &next);
		bool is_last = !err && state_of(next) == STATE_RETIRED;

		if (err)
			return err;
		if (is_last ? swap_retire(slot, &word, next) : swap_release_last_put(slot, &word, next)) {
			*retired = is_last ? next : 0;
			return MSLOT_OK;
		}
	}
}

/* ---- unique ---- */

/* All that earlier holders did, their reads too, is over before the owner writes. */
enum mslot_err slot_try_unique(struct slot *slot, bool seen_by_readers)
{
	uint64_t word = slot_word(slot), next;
	enum mslot_err err;

	while (!(err = state_try_unique(word, seen_by_readers, &next)) && !swap_acquire_last_put(slot, &word, next))
		;
	return err;
}

bool slot_share(struct slot *slot, uint64_t *seen)
{
	*seen = slot_word(slot);
	if (!state_is_owned(*seen))
		return false;
	/* [release:publish] what the owner wrote is visible to whoever gets or peeks. */
	atomic_store_explicit(&slot->state, state_publish(*seen), memory_order_release);
	return true;
}

bool slot_unique_retire(struct slot *slot, bool give_back, uint64_t *seen)
{
	*seen = slot_word(slot);
	while (state_is_owned(*seen)) {
		uint64_t next = state_unique_retire(*seen, give_back);
		/* [seq_cst:retire] as in swap_retire. A swap, so that of two drops by the owner one is a fault. */
		if (atomic_compare_exchange_strong_explicit(&slot->state, seen, next, memory_order_seq_cst,
							    /* [relaxed] a failing get moved it. */
							    memory_order_relaxed))
			return true;
	}
	return false;
}

bool slot_unique_into_raw(struct slot *slot, uint64_t *seen)
{
	*seen = slot_word(slot);
	while (state_is_owned(*seen))
		/* [release:forget] what the owner wrote is visible to whoever restores. */
		if (atomic_compare_exchange_strong_explicit(&slot->state, seen, state_unique_into_raw(*seen),
							    memory_order_release,
							    /* [relaxed] a failing get moved it. */
							    memory_order_relaxed))
			return true;
	return false;
}

enum mslot_err slot_unique_from_raw(struct slot *slot)
{
	uint64_t word = slot_word(slot), next;
	enum mslot_err err;

	while (!(err = state_unique_from_raw(word, &next)) && !swap_acquire_forget(slot, &word, next))
		;
	return err;
}

/* ---- readers, and the end ---- */

/*
 * Between two equal looks at the state lies the type of that incarnation, or one that the same incarnation was
 * repurposed to and then shared with. An immediate type may be followed at once by another incarnation; its state
 * differs. A deferred one cannot be followed while the caller's reader section lasts.
 */
static inline bool peek(const struct slot *slot, const struct mslot_type *type, uint64_t *first, uint64_t *last)
{
	/* [acquire:publish] a type at least as new as this incarnation, and its metadata. */
	uint64_t word = atomic_load_explicit(&slot->state, memory_order_acquire);
	/* [acquire:type] a state at least as new as the claim that wrote this type. */
	uintptr_t carried = atomic_load_explicit(&slot->type, memory_order_acquire);
	/* [acquire:publish] the metadata that was shared with this type. */
	uint64_t again = atomic_load_explicit(&slot->state, memory_order_acquire);

	*first = word;
	*last = again;
	return LIKELY(state_of(again) == STATE_SHARED && !((word ^ again) & (STATE_MASK | GEN_MASK)) &&
		      (carried & ~TYPE_CAREFUL) == (uintptr_t)type);
}

bool slot_peek_quick(const struct slot *slot, const struct mslot_type *type)
{
	uint64_t first, last;

	return peek(slot, type, &first, &last);
}

enum mslot_err slot_peek(const struct slot *slot, const struct mslot_type *type)
{
	uint64_t first, last;

	if (peek(slot, type, &first, &last))
		return MSLOT_OK;
	if (state_of(last) != STATE_SHARED)
		return state_get(last);
	/* Recycled and claimed meanwhile, or of another type. */
	return (first ^ last) & (STATE_MASK | GEN_MASK) ? MSLOT_BUSY : MSLOT_WRONG_TYPE;
}

/* Gives the word; whoever retires the slot after that sees what the caller did before. */
uint64_t slot_call_attention(struct slot *slot)
{
	/* [release:attention] adds nothing, but is a move like others. [acquire:taken] as slot_word_acquire(). */
	return atomic_fetch_add_explicit(&slot->state, 0, memory_order_acq_rel);
}

/* True if the frame is to be given back to whoever finds free frames. */
bool slot_recycle(struct slot *slot, uint64_t retired)
{
	/* [release:recycle] on_drop and all holders' accesses are over before the next claimer writes. */
	atomic_store_explicit(&slot->state, state_recycle(retired), memory_order_release);
	return state_raw(retired) == 0;
}
