/* SPDX-License-Identifier: MIT
 *
 * What a scenario may call beside model.h where only the PCT engine runs it.
 */
#ifndef PCT_PCT_H
#define PCT_PCT_H

#include "model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Of the execution's seed. */
uint64_t model_random(void);

/* A number larger than any given before in the process. */
uint64_t model_stamp(void);

/* The steps (atomic operations and calls of stand-ins) of the calling thread since it began to count. Only between the
 * two is a thread suspended, in the runs that suspend one. */
void model_steps_begin(void);
void model_steps_end(void);
unsigned model_steps(void);

#ifdef __cplusplus
}
#endif
#endif
