/* SPDX-License-Identifier: MIT
 *
 * Stands in for the door to liburcu. What liburcu promises is assumed here, not proven.
 */
#ifndef RECLAIM_GRACE_H
#define RECLAIM_GRACE_H

#include "model.h"

#define GRACE_NAME "model"

#define grace_read_lock() model_read_lock()
#define grace_read_unlock() model_read_unlock()
#define grace_in_section() model_in_section()
#define grace_synchronize() model_synchronize()
#define grace_use_barrier() model_use_barrier()
#define grace_quiescent_state() ((void)0)
#define grace_offline() ((void)0)
#define grace_online() ((void)0)
#define grace_begin_online() true
#define grace_end_online(was_online) ((void)(was_online))
#define grace_register() ((void)0)
#define grace_unregister() ((void)0)
#define grace_reader() NULL
/* Left out: it promises nothing. */
#define stragglers_wait() ((void)0)
#define stragglers_nap() model_nap()

#endif
