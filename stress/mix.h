/* SPDX-License-Identifier: MIT
 *
 * What main.c and the mixes share. A mix is one step function, called by every thread until time is up.
 * Cookies are plain memory on purpose: ThreadSanitizer then sees a missing edge of the library. The oracle's own
 * words are relaxed throughout, so that they add no edge which would hide one that the library lacks.
 */
#ifndef STRESS_MIX_H
#define STRESS_MIX_H

#include "samples.h"

#include <metaslot/metaslot.h>
#include <stdatomic.h>

#define STRESS_POISON UINT64_C(0xdeadc0dedeadc0de)
#define STRESS_HELD 16
#define STRESS_BOARD 16
/* Small frames, so that their payload is too. */
#define STRESS_FRAME_SHIFT 7
#define STRESS_FRAME (UINT64_C(1) << STRESS_FRAME_SHIFT)
#define STRESS_THREADS_MOST 1024
/* The digest of a thread's sequence is taken after so many operations. */
#define STRESS_SEQUENCE 1024

struct cookie {
	uint64_t value, inverse;
};

/* A defect that the harness makes on purpose, to show that its oracle can fail. */
enum plant { PLANT_NONE, PLANT_COOKIE, PLANT_DROP, PLANT_WINNERS, PLANT_STALE, PLANT_LEAK, PLANT_NR };
extern enum plant stress_plant;
/* Those of every mix that claims by stress_claim() what others have claimed. */
#define PLANTS_OF_CLAIMS (1u << PLANT_COOKIE | 1u << PLANT_WINNERS)

struct worker {
	const struct mix *mix;
	struct mslot_region *region;
	const char *payload; /* the region's */
	unsigned thread, nr_threads;
	bool is_short; /* of frames: keeps as few as it can */
	uint64_t seed, random, digest, ops, refused, claims, peeks;
	struct mslot_frame *held[STRESS_HELD]; /* mix peek */
	struct mslot_frame *space;	       /* mix pagetable */
	struct samples latency;
	uint64_t longest_ns;
	/* For others to look at; behind by up to 64 operations. */
	_Atomic uint64_t ops_now, claims_now;
};

struct mix {
	const char *name;
	void (*step)(struct worker *worker);
	/* Gives back what the steps keep; or NULL. */
	void (*end)(struct worker *worker);
	/* Frames per thread; few make threads meet, many leave room for those that wait for a grace period. */
	unsigned nr_frames;
	/* One claim in so many is of the deferred type. */
	unsigned deferred_in;
	/* Half of the threads use immediate types only. */
	bool is_split;
	/* What can be planted in it, a bit each. */
	unsigned plants;
};

static inline bool mix_is_immediate(const struct mix *mix, unsigned thread, unsigned nr_threads)
{
	return mix->is_split && nr_threads > 1 && thread % 2 == 0;
}

extern const struct mix mix_claim, mix_refcount, mix_raw, mix_unique, mix_peek, mix_segment, mix_pagetable, mix_alloc,
	mix_reclaim, mix_everything;
extern struct mslot_region *stress_region; /* of all workers, for on_drop */
/* The region's, as long as it has several. */
#define STRESS_NODES_MOST 64
extern struct mslot_node_range stress_nodes[STRESS_NODES_MOST];
extern unsigned stress_nr_nodes;
extern const struct mslot_type stress_types[2]; /* immediate, deferred */

/*
 * The next operation of a thread depends on seed, thread and number alone: its random numbers begin anew, however many
 * the one before has used, and whatever it met.
 */
void stress_begin(struct worker *worker);
/* Says what the operation is to be, before anything shared is looked at: it becomes part of the digest. */
void stress_chose(struct worker *worker, char what, uint64_t where);
uint64_t stress_random(struct worker *worker);
/* An address: now and then one of four that all threads fight for. */
uint64_t stress_paddr(struct worker *worker);
/* Claims with a fresh cookie, and checks that nobody else owns the frame; NULL if refused. */
struct mslot_frame *stress_claim(struct worker *worker, uint64_t paddr);
struct mslot_frame *stress_claim_as(struct worker *worker, uint64_t paddr, bool deferred);
/* Gets the frame, or claims it where nobody has it; NULL if both were refused. */
struct mslot_frame *stress_get_or_claim(struct worker *worker, uint64_t paddr);
/* The frame is claimed: writes its cookie and makes this thread its owner. */
void stress_own(struct worker *worker, uint64_t paddr, struct cookie *cookie);
/* For every type's on_drop; a deferred one's calls both. */
void stress_disown(struct cookie *cookie, uint64_t paddr);
void stress_aged(uint64_t paddr);
void stress_check(const struct cookie *cookie, uint64_t paddr);
void stress_check_frame(struct mslot_frame *frame, uint64_t paddr);
void stress_refused(struct worker *worker, enum mslot_err why);
/* When every frame is unused: allocates as long as there is one, and expects to get them all. */
void stress_take_all(void);
/* Says what broke; the calling thread goes no further. */
_Noreturn void stress_broken(const char *what, uint64_t paddr);

#endif
