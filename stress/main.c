/* SPDX-License-Identifier: MIT
 *
 * metaslot-stress: runs one mix on many threads, then asks the audit.
 *
 * Promises: exit 0 held, 1 broken, 2 usage, 77 cannot run here; what was asked for as JSON is written in both
 *           of the first two cases.
 * Read:     main(), run(), finish(). A thread that sees something broken says so and stays where it is, as the table
 *           can no longer be trusted; the main thread then reports what there is and ends the process.
 */
#include "options.h"
#include "oracle.h"
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct job {
	struct worker worker;
	pthread_t thread;
	_Atomic bool ended, stuck;
};

static struct options options;
static struct job *jobs;
struct mslot_region *stress_region;
static double started_at, ran_for;
static _Atomic bool must_stop;
static _Atomic(const char *) broken;
static sem_t ends; /* posted by each thread that ends, or breaks */
static _Thread_local struct job *own_job;

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static _Noreturn void finish(void);

void stress_broken(const char *what, uint64_t paddr)
{
	const char *none = NULL;

	if (atomic_compare_exchange_strong(&broken, &none, what))
		fprintf(stderr, "broken: %s, paddr 0x%" PRIx64 ", seed %" PRIu64 "\n", what, paddr, options.seed);
	atomic_store(&must_stop, true);
	if (own_job)
		atomic_store(&own_job->stuck, true);
	sem_post(&ends);
	if (pthread_equal(pthread_self(), options.main_thread))
		finish();
	for (;;)
		pause();
}

static void on_fault(const struct mslot_fault *fault, void *ctx)
{
	(void)ctx;
	stress_broken(fault->what, fault->paddr);
}

static uint64_t now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void *run(void *arg)
{
	struct job *job = arg;
	struct worker *worker = &job->worker;

	own_job = job;
	if (mslot_thread_register())
		stress_broken("a thread could not register", MSLOT_PADDR_NONE);
	while (!atomic_load_explicit(&must_stop, memory_order_relaxed)) {
		/* Every 64th is timed, so that the clock does not set the pace. */
		bool timed = worker->ops % 64 == 0;
		uint64_t start = timed ? now_ns() : 0;

		stress_begin(worker);
		worker->mix->step(worker);
		if (timed)
			samples_add(&worker->latency, now_ns() - start);
		mslot_quiescent_state();
	}
	if (worker->mix->end)
		worker->mix->end(worker);
	mslot_thread_unregister();
	atomic_store(&job->ended, true);
	sem_post(&ends);
	return NULL;
}

static bool threads_have_ended(void)
{
	for (unsigned i = 0; i < options.nr_threads; i++)
		if (!atomic_load(&jobs[i].ended) && !atomic_load(&jobs[i].stuck))
			return false;
	return true;
}

static void nap_until_post(double seconds)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += (long)(seconds * 1e9);
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	while (sem_timedwait(&ends, &until) && errno == EINTR)
		;
}

/* Reports and ends the process. */
static _Noreturn void finish(void)
{
	const char *what = atomic_load(&broken);
	const struct worker **ended = calloc(options.nr_threads, sizeof(*ended));
	struct totals totals = {.workers = ended, .broken = what};
	struct mslot_audit audit;

	for (double limit = now() + 1; what && now() < limit && !threads_have_ended();)
		nap_until_post(0.1);
	totals.seconds = ran_for > 0 ? ran_for : now() - started_at;
	for (unsigned i = 0; ended && i < options.nr_threads; i++)
		if (atomic_load(&jobs[i].ended))
			ended[totals.nr_workers++] = &jobs[i].worker;
	if (what)
		/* What the oracle saw counts too. */
		totals.nr_broken = 1 + (mslot_audit(stress_region, &audit) ? 0 : audit.nr_broken);
	report_lines(&options, &totals);
	if (options.json && !report_json(&options, &totals)) {
		fputs("metaslot-stress: the JSON could not be written\n", stderr);
		_exit(what ? 1 : 77);
	}
	/* exit(), so that sanitizers have their say; but not beside stuck threads. */
	if (what)
		_exit(1);
	exit(0);
}

static _Noreturn void cannot_run(const char *why)
{
	fprintf(stderr, "metaslot-stress: cannot run here: %s\n", why);
	_exit(77);
}

int main(int argc, char **argv)
{
	uint64_t nr_frames, claims = 0;
	struct mslot_audit audit;

	int status = options_read(&options, argc, argv);
	if (status >= 0)
		return status;
	printf("seed %" PRIu64 "\n", options.seed);
	fflush(stdout);
	stress_plant = options.plant;
	mslot_set_fault_handler(on_fault, NULL);
	nr_frames = options.mix->nr_frames > 64 ? (uint64_t)options.mix->nr_frames * options.nr_threads : 64;
	char *payload = mmap(NULL, nr_frames << STRESS_FRAME_SHIFT, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (payload == MAP_FAILED)
		cannot_run("no memory");
	stress_region = mslot_region_create(&(struct mslot_region_config){.nr_frames = nr_frames,
									  .frame_shift = STRESS_FRAME_SHIFT,
									  .memory = payload},
					    NULL);
	jobs = calloc(options.nr_threads, sizeof(*jobs));
	if (!stress_region || !jobs || !oracle_init(nr_frames) || sem_init(&ends, 0, 0))
		cannot_run("no memory");
	started_at = now();
	for (unsigned i = 0; i < options.nr_threads; i++) {
		struct worker *worker = &jobs[i].worker;
		worker->mix = options.mix;
		worker->region = stress_region;
		worker->payload = payload;
		worker->thread = i;
		worker->nr_threads = options.nr_threads;
		worker->seed = (options.seed + i) * UINT64_C(0xd1342543de82ef95);
		if (!samples_init(&worker->latency))
			cannot_run("no memory");
		if (pthread_create(&jobs[i].thread, NULL, run, &jobs[i]))
			cannot_run("no more threads");
	}
	for (double elapsed = 0; (elapsed = now() - started_at) < options.seconds && !atomic_load(&broken);) {
		double left = options.seconds - elapsed;
		report_progress(&options, elapsed);
		nap_until_post(left < 0.2 ? left : 0.2);
	}
	report_progress(&options, options.seconds);
	if (isatty(STDOUT_FILENO))
		putchar('\n');
	atomic_store(&must_stop, true);
	while (!threads_have_ended() && !atomic_load(&broken))
		nap_until_post(0.2);
	if (atomic_load(&broken))
		finish();
	ran_for = now() - started_at;
	for (unsigned i = 0; i < options.nr_threads; i++) {
		pthread_join(jobs[i].thread, NULL);
		claims += jobs[i].worker.claims;
	}
	if (mslot_thread_register())
		stress_broken("the main thread could not register", MSLOT_PADDR_NONE);
	/* Root table, leaf table, page: each retires the next. */
	for (int round = 0; round < 3; round++)
		if (mslot_barrier(stress_region))
			stress_broken("a barrier was refused", MSLOT_PADDR_NONE);
	if (mslot_audit(stress_region, &audit))
		stress_broken("the audit was refused", MSLOT_PADDR_NONE);
	if (!mslot_is_clean(stress_region) || audit.nr_broken || audit.by_status[MSLOT_STATUS_UNUSED] != nr_frames)
		stress_broken("the audit at the end is not clean", MSLOT_PADDR_NONE);
	if (claims != oracle_drops())
		stress_broken("on_drop did not run once per claim", MSLOT_PADDR_NONE);
	if (mslot_region_destroy(stress_region))
		stress_broken("the region could not be destroyed", MSLOT_PADDR_NONE);
	mslot_thread_unregister();
	finish();
}
