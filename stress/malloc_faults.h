/* SPDX-License-Identifier: MIT
 *
 * Allocation that fails: the linker sends here what the library and the harness allocate (--wrap).
 */
#ifndef STRESS_MALLOC_FAULTS_H
#define STRESS_MALLOC_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

/* From now on, in armed threads, one call in three fails. */
void malloc_faults_begin(void);
/* Whether the calling thread's allocations may fail. */
void malloc_faults_arm(bool armed);
/* How many have. */
uint64_t malloc_faults_count(void);

#endif
