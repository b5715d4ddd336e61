/* SPDX-License-Identifier: MIT
 *
 * What main.c asks of the oracle.
 */
#ifndef STRESS_ORACLE_H
#define STRESS_ORACLE_H

#include "mix.h"

bool oracle_init(uint64_t nr_frames);
/* How often on_drop has run. */
uint64_t oracle_drops(void);

#endif
