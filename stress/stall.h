/* SPDX-License-Identifier: MIT
 *
 * A reader that stays inside its section.
 */
#ifndef STRESS_STALL_H
#define STRESS_STALL_H

#include "run.h"

#include <jansson.h>

/* Until the first stay ends. */
double stall_needs_seconds(const struct options *options);
/* Before any thread is started; false if the library refuses. */
bool stall_prepare(void);
/* Beside the workers. */
bool stall_begin(void);
/* Ends it, and checks what it has to show. The workers still run. */
void stall_end(void);
/* Part of a line. */
void stall_report(void);
json_t *stall_json(void);

#endif
