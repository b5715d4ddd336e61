/* SPDX-License-Identifier: MIT
 *
 * The threads of a run: each does operations of its mix until time is up.
 *
 * Read:     live(), one thread's life. Under the faults `exit` and `malloc` a worker outlives its threads: keep()
 *           starts one after the other, and what the worker holds goes from one to the next.
 */
#include "run.h"

#include "malloc_faults.h"

#include <errno.h>
#include <semaphore.h>
#include <time.h>
#include <unistd.h>

/* Kept of each worker's latencies, evenly from the whole run, so that a long one needs no more memory. */
#define LATENCIES 65536

_Thread_local volatile sig_atomic_t stress_in_step;

static sem_t ends; /* posted by each thread that ends, or breaks */
static _Thread_local struct job *own_job;

void workers_post(void)
{
	sem_post(&ends);
}

void workers_stuck(void)
{
	if (own_job)
		atomic_store(&own_job->stuck, true);
	workers_post();
}

void stress_nap_until_post(double seconds)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += (long)(seconds * 1e9);
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	while (sem_timedwait(&ends, &until) && errno == EINTR)
		;
}

static void keep_latency(struct worker *worker, uint64_t ns)
{
	if (ns > worker->longest_ns)
		worker->longest_ns = ns;
	if (worker->latency.nr < LATENCIES)
		samples_add(&worker->latency, ns);
	else if (worker->ops / 64 % (worker->ops / 64 / LATENCIES + 1) == 0)
		worker->latency.values[worker->random % LATENCIES] = ns;
}

static void park(struct job *job, unsigned number)
{
	mslot_thread_offline();
	atomic_store(&job->parked, number);
	while (atomic_load(&stress_run.park) == number && !atomic_load(&stress_run.must_stop))
		stress_nap(0.001);
	mslot_thread_online();
}

static void operate(struct worker *worker)
{
	/* Every 64th is timed, so that the clock does not set the pace. */
	bool timed = worker->ops % 64 == 0;
	uint64_t start = timed ? now_ns() : 0;

	stress_begin(worker);
	stress_in_step = 1;
	worker->mix->step(worker);
	stress_in_step = 0;
	if (timed) {
		keep_latency(worker, now_ns() - start);
		atomic_store_explicit(&worker->ops_now, worker->ops, memory_order_relaxed);
		atomic_store_explicit(&worker->claims_now, worker->claims, memory_order_relaxed);
	}
	mslot_quiescent_state();
}

static void join_in(struct job *job)
{
	enum mslot_err err;

	own_job = job;
	atomic_store(&job->id, gettid());
	place_thread(stress_run.place, job->worker.thread);
	malloc_faults_arm(true);
	while ((err = mslot_thread_register()) == MSLOT_NO_MEMORY && stress_has_fault(FAULT_MALLOC))
		;
	if (err)
		stress_broken("a thread could not register", MSLOT_PADDR_NONE);
}

static void *live(void *arg)
{
	struct job *job = arg;
	struct worker *worker = &job->worker;
	uint64_t left = UINT64_MAX;
	bool leaves_early = stress_has_fault(FAULT_EXIT) || stress_has_fault(FAULT_MALLOC);

	join_in(job);
	job->lives = job->lives * UINT64_C(6364136223846793005) + 1;
	if (leaves_early)
		left = 500 + (job->lives >> 33) % 16384;
	while (!atomic_load_explicit(&stress_run.must_stop, memory_order_relaxed) && left--) {
		unsigned number = atomic_load_explicit(&stress_run.park, memory_order_relaxed);
		if (number % 2)
			park(job, number);
		operate(worker);
	}
	malloc_faults_arm(false);
	bool is_last = atomic_load(&stress_run.must_stop);
	if (is_last && worker->mix->end)
		worker->mix->end(worker);
	/* Every other time, the library's own destructor does it. */
	if (is_last || job->lives >> 32 & 1)
		mslot_thread_unregister();
	if (is_last) {
		atomic_store_explicit(&worker->ops_now, worker->ops, memory_order_relaxed);
		atomic_store(&job->ended, true);
		workers_post();
	}
	sem_post(&job->thread_over);
	return NULL;
}

static void *keep(void *arg)
{
	struct job *job = arg;

	while (!atomic_load(&job->ended)) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, live, job))
			stress_broken("a thread could not be started", MSLOT_PADDR_NONE);
		while (sem_wait(&job->thread_over))
			;
		/* Then its stack must stay: liburcu still looks at the reader in it. */
		if (atomic_load(&job->killed))
			break;
		pthread_join(thread, NULL);
	}
	return NULL;
}

bool workers_start(char *payload)
{
	const struct options *options = &stress_run.options;
	bool kept = stress_has_fault(FAULT_EXIT) || stress_has_fault(FAULT_MALLOC);

	if (sem_init(&ends, 0, 0))
		return false;
	for (unsigned i = 0; i < options->nr_threads; i++) {
		struct job *job = &stress_run.jobs[i];
		job->worker.mix = options->mix;
		job->worker.region = stress_region;
		job->worker.payload = payload;
		job->worker.thread = i;
		job->worker.is_short = stress_has_fault(FAULT_LAST_FRAME);
		job->worker.nr_threads = options->nr_threads;
		job->worker.seed = (options->seed + i) * UINT64_C(0xd1342543de82ef95);
		job->lives = job->worker.seed;
		if (!samples_init(&job->worker.latency) || sem_init(&job->thread_over, 0, 0) ||
		    pthread_create(&job->thread, NULL, kept ? keep : live, job))
			return false;
	}
	return true;
}

bool workers_have_ended(void)
{
	for (unsigned i = 0; i < stress_run.options.nr_threads; i++) {
		struct job *job = &stress_run.jobs[i];
		if (!atomic_load(&job->ended) && !atomic_load(&job->stuck) && !atomic_load(&job->killed))
			return false;
	}
	return true;
}

bool workers_park(bool park)
{
	unsigned number = atomic_fetch_add(&stress_run.park, 1) + 1;
	double limit = stress_now() + 60;

	for (unsigned i = 0; park && i < stress_run.options.nr_threads; i++)
		while (atomic_load(&stress_run.jobs[i].parked) != number) {
			if (atomic_load(&stress_run.broken) || stress_now() > limit)
				return false;
			stress_nap(0.001);
		}
	return true;
}

uint64_t workers_claims(void)
{
	uint64_t claims = 0;

	for (unsigned i = 0; i < stress_run.options.nr_threads; i++)
		claims += stress_run.jobs[i].worker.claims;
	return claims;
}
