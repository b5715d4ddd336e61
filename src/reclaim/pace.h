/* SPDX-License-Identifier: MIT
 *
 * How soon one grace period follows another. All but pace_pause() never wait, and are hints.
 */
#ifndef RECLAIM_PACE_H
#define RECLAIM_PACE_H

#include <stdbool.h>
#include <stdint.h>

/* Once, before the rest; false where there is no semaphore. */
bool pace_init(void);
/* The pause between the end of one and the beginning of the next, of the grace-period thread. While `someone_waits`,
 * there is none. */
void pace_pause(uint64_t since_ns, bool (*someone_waits)(void));

/* What `someone_waits` gives has changed. */
void pace_look_again(void);
/* Somebody goes without a frame for want of a grace period: the pause that lasts, or the next one, is to be short. */
void pace_hasten(void);
/* pace_hasten() was called, and no pause has ended since. */
extern _Atomic bool pace_is_urgent;
/* Many more slots wait than before. */
void pace_crowded(void);

#endif
