/* SPDX-License-Identifier: MIT
 *
 * Long runs: audits now and then, memory that does not grow, a summary that a later run continues.
 */
#ifndef STRESS_SOAK_H
#define STRESS_SOAK_H

#include "run.h"

/* Reads the summary to be continued, if there is one; NULL, or why the file that these options name cannot be used. */
const char *soak_open(const struct options *options);
/* Whether the summary has all that these options ask for; then it says so. */
bool soak_is_complete(const struct options *options);
/* Whether all held that the summary has. */
bool soak_held(void);
/* What is left to run. */
double soak_begin(void);
/* Parks the workers, audits the table, compares memory, writes the summary. */
void soak_audit(void);
/* Adds the rest, when the run has ended. False if the summary could not be written. */
bool soak_end(bool held);

#endif
