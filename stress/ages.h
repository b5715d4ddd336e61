/* SPDX-License-Identifier: MIT
 *
 * Ages: how long frames of deferred types take from their last drop to their on_drop, as a histogram.
 */
#ifndef STRESS_AGES_H
#define STRESS_AGES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

bool ages_init(uint64_t nr_frames);
/* Lines on stdout; none if no age is known. */
void ages_report(void);
/* Percentiles, and how many ages lie below each power of two. */
json_t *ages_json(void);

#endif
