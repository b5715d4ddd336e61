/* SPDX-License-Identifier: MIT
 *
 * Faults that a run has to survive, by name.
 */
#ifndef STRESS_FAULTS_H
#define STRESS_FAULTS_H

#include "run.h"

/* What a fault is called, and what it does. */
struct fault_name {
	const char *name, *does;
};
extern const struct fault_name fault_names[FAULT_NR];

/* Why this build or machine cannot make the faults that were asked for; or NULL. */
const char *faults_cannot(void);
/* Adapts the region's config, and notes its backlog limit. */
void faults_configure(struct mslot_region_config *config);
/* Before any thread is started. */
void faults_begin_process(void);
/* Beside the workers. */
void faults_begin(void);
/* Ends what was begun, and checks what it has to show. The workers still run. */
void faults_end(void);
/* Before the first child process, so that faults_report() has what happened in all of them; false if there is no
 * memory. */
bool faults_share_counts(void);
/* One line of what happened; in each child process, once. */
void faults_report(void);

/* ---- kill.c: the whole run is a child's, again and again; gives the exit status ---- */
int kill_rounds(int (*run)(void));
/* In such a child, beside the workers; and the audit at its end. */
void kill_begin(void);
void kill_end(void);
bool kill_is_child(void);

#endif
