/* SPDX-License-Identifier: MIT
 *
 * A part of engine.cc: the memory of the subject. Atomic words and plain accesses, as the compiler's ThreadSanitizer
 * calls (hooks.h) tell of them; 4-byte granules of static data.
 */
#ifndef MODEL_SHADOW_H
#define MODEL_SHADOW_H

#include "image.h"

using rl::ctx;

enum { MAX_GRANULES = 1 << 14, MAX_WORDS = 1280, MAX_PLACES = 4096, MAX_OBJECTS = 32 };

/*
 * Who uses something, while threads run: in any execution of a scenario. What one thread alone uses, or nobody changes,
 * commutes with all that others do. So no thread need be preempted there, no load has a choice, and no race is
 * possible: a switch before the next use of what is shared leads to the same. What is shared comes out in some
 * executions at random, which come first; if it comes out later, all begin anew.
 */
struct use {
	bool is_used, is_changed, is_met; /* in effect from the next execution on */
	bool is_shared;
	unsigned char by;
};

struct word {
	char *at;
	unsigned bytes;
	uint64_t image;
	struct use use;
	union { /* only of shared ones */
		rl::atomic<uint64_t> atomic;
	};
	word()
	{
	}
	~word()
	{
	}
};

static word words[MAX_WORDS];
static unsigned nr_words;
static unsigned short word_in[MAX_PLACES]; /* by address: index + 1 */
static bool is_atomic[MAX_GRANULES];	   /* where a word begins */
static rl::var_data *plain[MAX_GRANULES];
static struct use plain_use[MAX_GRANULES];
static unsigned touched[MAX_GRANULES], nr_touched;
static struct object {
	const void *at;
	struct use use;
} objects[MAX_OBJECTS];

static bool in_simulation, in_threads, is_learning, released, discovered, has_met;

static bool granule_of(const volatile void *addr, size_t *granule)
{
	for (range &r : ranges)
		if ((char *)addr >= r.start && (char *)addr < r.stop) {
			*granule = r.first_granule + ((char *)addr - r.start) / 4;
			return true;
		}
	return false;
}

/* What is there before each execution. */
static const char *image_of(const volatile void *addr)
{
	for (range &r : ranges)
		if ((char *)addr >= r.start && (char *)addr < r.stop)
			return r.image + ((char *)addr - r.start);
	return (const char *)addr;
}

static rl::debug_info here(void *pc)
{
	return rl::debug_info("", "pc", (unsigned)(uintptr_t)pc);
}

static void fail(const char *what, rl::test_result_e result, void *pc)
{
	ctx().fail_test(what, result, here(pc));
}

extern "C" void model_fail(const char *what, const char *file, int line)
{
	/* Words that were met only in this execution have carried no orders yet, and do from the next one on. */
	if (has_met)
		return;
	ctx().fail_test(what, rl::test_result_user_assert_failed, rl::debug_info("", file, line));
}

static void note(use &u, bool is_change, void *pc)
{
	unsigned self = ctx().threadx_->index_;

	if (!in_threads || u.is_met)
		return;
	if (!u.is_used) {
		u.is_used = true;
		u.by = (unsigned char)self;
	}
	u.is_changed |= is_change;
	if (u.by == self)
		return;
	u.by = MODEL_THREADS_MAX;
	if (!u.is_changed)
		return;
	u.is_met = has_met = true;
	if (!is_learning) {
		discovered = true;
		fail("discovered", rl::test_result_user_assert_failed, pc);
	}
}

static void plain_access(const void *addr, size_t bytes, bool is_write, void *pc)
{
	size_t granule;

	if (!in_simulation || !granule_of(addr, &granule))
		return;
	for (size_t last = granule + ((uintptr_t)addr % 4 + bytes - 1) / 4; granule <= last; granule++) {
		if (is_atomic[granule]) {
			if (is_write)
				fail("plain write to an atomic word", rl::test_result_data_race, pc);
			continue;
		}
		note(plain_use[granule], is_write, pc);
		if (!plain_use[granule].is_shared)
			continue;
		if (!plain[granule]) {
			plain[granule] = ctx().var_ctor();
			touched[nr_touched++] = granule;
		}
		rl::thread_info_base &self = *ctx().threadx_;
		bool is_ordered = is_write ? plain[granule]->store(self) : plain[granule]->load(self);
		/* What orders it may have been met only in this execution, and count from the next one on. */
		if (!is_ordered && !has_met)
			fail(is_write ? "data race, found by a write" : "data race, found by a read",
			     rl::test_result_data_race, pc);
	}
}

static word &word_of(const volatile void *addr, unsigned bytes, bool is_change, void *pc)
{
	size_t place = (uintptr_t)addr / 4 % MAX_PLACES, granule;

	while (word_in[place] && words[word_in[place] - 1].at != (char *)addr)
		place = (place + 1) % MAX_PLACES;
	if (!word_in[place]) {
		if (nr_words == MAX_WORDS)
			die("too many atomics");
		word_in[place] = (unsigned short)(nr_words + 1);
		words[nr_words].at = (char *)addr;
		words[nr_words].bytes = bytes;
		memcpy(&words[nr_words++].image, image_of(addr), bytes);
		if (granule_of(addr, &granule))
			is_atomic[granule] = true;
	}
	note(words[word_in[place] - 1].use, is_change, pc);
	return words[word_in[place] - 1];
}

/* Before a scenario, of which nothing is known. */
static void forget_uses()
{
	for (word &w : words)
		w.use = use();
	for (use &u : plain_use)
		u = use();
	for (object &o : objects)
		o = object();
}

static void meet()
{
	for (word &w : words)
		w.use.is_shared = w.use.is_met;
	for (use &u : plain_use)
		u.is_shared = u.is_met;
	for (object &o : objects)
		o.use.is_shared = o.use.is_met;
	has_met = false;
}

/* Before each execution. */
static void reset_memory()
{
	if (!released)
		memset(plain, 0, sizeof(plain)); /* an execution that failed did not come to its end */
	released = false;
	nr_touched = 0;
	in_simulation = true;
	if (has_met)
		meet();
	for (unsigned i = 0; i < nr_words; i++) {
		word &w = words[i];
		memcpy(w.at, &w.image, w.bytes);
		if (w.use.is_shared) {
			::new ((void *)&w.atomic) rl::atomic<uint64_t>();
			w.atomic.store(w.image, rl::mo_relaxed, here(nullptr));
		}
	}
}

static void release_memory()
{
	for (unsigned i = 0; i < nr_touched; i++) {
		ctx().var_dtor(plain[touched[i]]);
		plain[touched[i]] = nullptr;
	}
	for (unsigned i = 0; i < nr_words; i++)
		if (words[i].use.is_shared)
			words[i].atomic.~atomic();
	released = true;
}

/*
 * Relacy lets a thread's plain store continue a release sequence that its own swap has joined, whoever heads it. C11
 * does so only for the head's own thread, C++20 never. Here a plain store begins anew, as in C++20.
 */
template <typename Tag, typename Tag::type member> struct opened {
	friend typename Tag::type member_of(Tag)
	{
		return member;
	}
};
struct impl_tag {
	typedef rl::atomic_data *rl::generic_atomic<uint64_t, false>::*type;
	friend type member_of(impl_tag);
};
template struct opened<impl_tag, &rl::generic_atomic<uint64_t, false>::impl_>;

static void (*begin_sequence)(rl::atomic_data *word, bool is_release);

template <int N> static void begin_sequence_of(rl::atomic_data *word, bool is_release)
{
	auto &data = *static_cast<rl::atomic_data_impl<N> *>(word);
	auto &record = data.history_[data.current_index_ % rl::atomic_history_size];

	for (int i = 0; i < N; i++)
		record.acq_rel_order_[i] = is_release ? ctx().threadx_->acq_rel_order_[i] : 0;
}

/* ---- what fibers.h asks of an engine ---- */

struct vector_clock {
	rl::timestamp_t at[MODEL_THREADS_MAX];
};

static void clock_release(vector_clock &c)
{
	for (unsigned i = 0; i < nr_threads; i++)
		c.at[i] = std::max(c.at[i], ctx().threadx_->acq_rel_order_[i]);
}

static void clock_acquire(const vector_clock &c)
{
	for (unsigned i = 0; i < nr_threads; i++)
		ctx().threadx_->acq_rel_order_[i] = std::max(ctx().threadx_->acq_rel_order_[i], c.at[i]);
}

static unsigned self()
{
	return ctx().threadx_->index_;
}

/* Before a use of what is no word: see struct use. */
static void switch_point(const void *at, bool is_change)
{
	unsigned i = 0;

	while (i < MAX_OBJECTS && objects[i].at && objects[i].at != at)
		i++;
	if (i == MAX_OBJECTS)
		die("too many objects");
	objects[i].at = at;
	note(objects[i].use, is_change, nullptr);
	if (objects[i].use.is_shared)
		ctx().sched();
}

static void suspend_self()
{
	ctx().park_current_thread(false, false, false, here(nullptr));
}

static void resume(unsigned thread)
{
	ctx().unpark_thread(thread, false, here(nullptr));
}

extern "C" void model_yield(void)
{
	ctx().yield(1, here(nullptr));
}

extern "C" void model_nap(void)
{
	model_yield();
}

#endif
