/* SPDX-License-Identifier: MIT
 *
 * A run: its options, its threads, its clock. main.c owns it; the faults and the soak look on and meddle.
 */
#ifndef STRESS_RUN_H
#define STRESS_RUN_H

#include "options.h"

#include <semaphore.h>
#include <signal.h>

/* A worker and the thread that runs it; under some faults, one thread after another. */
struct job {
	struct worker worker;
	pthread_t thread;
	uint64_t lives;		 /* random numbers of its own, for how long each thread lives */
	_Atomic pid_t id;	 /* the kernel's, of the thread; 0 before */
	_Atomic unsigned parked; /* the park that it obeys */
	_Atomic bool ended, stuck, killed;
	sem_t thread_over; /* posted when the thread comes to its end, or was killed */
};

struct run {
	struct options options;
	struct job *jobs;
	struct place *place;
	uint64_t nr_frames, backlog_limit;
	double started_at, ran_for;
	_Atomic bool must_stop;
	_Atomic unsigned park; /* odd: threads are to wait between two operations */
	_Atomic(const char *) broken;
	/* What was seen now and then. */
	uint64_t most_wait_ns;
	uint64_t rss_begin_kib, rss_end_kib;
};

extern struct run stress_run;

/* Set while a thread is in an operation, so that a killer finds it there. */
extern _Thread_local volatile sig_atomic_t stress_in_step;

double stress_now(void);
/* Sleeps, however many signals come. */
void stress_nap(double seconds);
/* As long, or until a thread ends or breaks. */
void stress_nap_until_post(double seconds);
bool stress_has_fault(enum fault fault);
uint64_t stress_rss_kib(void);

/* ---- worker.c ---- */
bool workers_start(char *payload);
bool workers_have_ended(void);
/* Parks: waits until each waits between two operations, false if one does not. Else lets them go on. */
bool workers_park(bool park);
/* What all have counted; while they are parked or have ended. */
uint64_t workers_claims(void);
/* A worker has ended or broken: ends stress_nap_until_post(). */
void workers_post(void);
/* The calling worker goes no further. */
void workers_stuck(void);

#endif
