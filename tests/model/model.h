/* SPDX-License-Identifier: MIT
 *
 * What a scenario says, and what it may call. A scenario is plain C on the public calls; its threads are run by
 * engine.cc, together with the shipped sources, in every interleaving up to a bound of preemptions, with the stale
 * values that C11 allows.
 *
 * A file ends with `models`, closed by an entry without a name. Before each execution all static data is as it was
 * linked and a region of MODEL_FRAMES unused frames is open; then `before` runs, the threads, `after`.
 */
#ifndef MODEL_H
#define MODEL_H

#include <metaslot/metaslot.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MODEL_THREADS_MAX 4
#define MODEL_FRAMES 3
#define MODEL_PADDR(frame) ((uint64_t)(frame) << 12)

struct model {
	const char *name;
	unsigned bound; /* preemptions in one execution */
	void (*before)(void);
	void (*after)(void);
	void (*thread[MODEL_THREADS_MAX])(void);
};

extern const struct model models[];
extern struct mslot_region *const model_region;
/* What lies beside the region, and an engine does not restore with the static data. */
void model_reset_tables(void);

void model_fail(const char *what, const char *file, int line);
#define MODEL_CHECK(condition) ((condition) ? (void)0 : model_fail(#condition, __FILE__, __LINE__))

/* Counters for oracles, which take no part in the execution. The faults that were reported are one of them. */
enum { MODEL_FAULTS, MODEL_WON, MODEL_ENDED, MODEL_OTHER, MODEL_COUNTERS };
void model_add(unsigned counter, int n);
int model_count(unsigned counter);

/* The stand-in for RCU: sections and grace periods, with RCU's guarantee and no more. */
void model_read_lock(void);
void model_read_unlock(void);
bool model_in_section(void);
void model_synchronize(void);
void model_use_barrier(void);

/* Lets others run; orders nothing, and is no preemption. */
void model_yield(void);
/* The same, for as long as there are others that may run. */
void model_nap(void);

/* A thread that runs what pthread_create() is given, for as long as others run and it has work. */
void model_daemon(void);

#ifdef __cplusplus
}
#endif
#endif
