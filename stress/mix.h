/* SPDX-License-Identifier: MIT
 *
 * What main.c and the mixes share. A mix is one step function, called by every thread until time is up.
 * Cookies are plain memory on purpose: ThreadSanitizer then sees a missing edge of the library.
 */
#ifndef STRESS_MIX_H
#define STRESS_MIX_H

#include <metaslot/metaslot.h>
#include <stdatomic.h>

#define STRESS_FRAMES 64
#define STRESS_POISON UINT64_C(0xdeadc0dedeadc0de)

struct cookie {
	uint64_t value, inverse;
};

struct worker {
	struct mslot_region *region;
	uint64_t random, ops, refused, claims;
	unsigned id;
};

struct mix {
	const char *name, *proves;
	void (*step)(struct worker *worker);
};

extern const struct mix mix_claim, mix_refcount, mix_raw, mix_unique, mix_peek;
extern const struct mslot_type stress_types[2]; /* immediate, deferred */

uint64_t stress_random(struct worker *worker);
uint64_t stress_paddr(struct worker *worker);
/* Claims with a fresh cookie, and checks that nobody else owns the frame; NULL if refused. */
struct mslot_frame *stress_claim(struct worker *worker, uint64_t paddr);
void stress_check(const struct cookie *cookie, uint64_t paddr);
void stress_refused(struct worker *worker, enum mslot_err why);
_Noreturn void stress_broken(const char *what, uint64_t paddr);

#endif
