/* SPDX-License-Identifier: MIT
 *
 * metaslot-stress: runs one mix on many threads, then asks the audit.
 *
 * Promises: exit 0 held, 1 broken, 2 usage, 77 cannot run here, 130 or 143 held until SIGINT or SIGTERM; what was asked
 *           for as JSON or summary is written wherever the audit was asked, or the status is 1.
 * Read:     main(), run(), finish(). A thread that sees something broken says so and stays where it is, as the table
 *           can no longer be trusted; the main thread then reports what there is and ends the process.
 */
#include "ages.h"
#include "delay.h"
#include "faults.h"
#include "oracle.h"
#include "output.h"
#include "report.h"
#include "soak.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Of a region: few enough that a run of seconds touches them all, so that its memory soon stays flat. */
#define FRAMES_MOST (UINT64_C(1) << 19)

struct run stress_run;
struct mslot_region *stress_region;
struct mslot_node_range stress_nodes[STRESS_NODES_MOST];
unsigned stress_nr_nodes;

static volatile sig_atomic_t signal_to_stop; /* 0: none has come */

double stress_now(void)
{
	return (double)now_ns() * 1e-9;
}

void stress_nap(double seconds)
{
	struct timespec left = {.tv_sec = (time_t)seconds,
				.tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};

	while (nanosleep(&left, &left))
		;
}

uint64_t stress_rss_kib(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long long pages = 0;

	if (!file || fscanf(file, "%*u %llu", &pages) != 1)
		pages = 0;
	if (file)
		fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

static _Noreturn void finish(void);

void stress_broken(const char *what, uint64_t paddr)
{
	const char *none = NULL;

	char at[32] = "";

	if (paddr != MSLOT_PADDR_NONE)
		snprintf(at, sizeof(at), ", paddr 0x%" PRIx64, paddr);
	if (atomic_compare_exchange_strong(&stress_run.broken, &none, what))
		fprintf(stderr, "broken: %s%s, seed %" PRIu64 "\n", what, at, stress_run.options.seed);
	atomic_store(&stress_run.must_stop, true);
	workers_stuck();
	if (pthread_equal(pthread_self(), stress_run.options.main_thread))
		finish();
	for (;;)
		pause();
}

static void on_fault(const struct mslot_fault *fault, void *ctx)
{
	(void)ctx;
	stress_broken(fault->what, fault->paddr);
}

/* Reports and ends the process; with what the threads that ended have counted. */
static _Noreturn void finish(void)
{
	const struct options *options = &stress_run.options;
	const char *what = atomic_load(&stress_run.broken);
	const struct worker **ended = calloc(options->nr_threads, sizeof(*ended));
	struct totals totals = {.workers = ended, .broken = what};
	struct mslot_audit audit;

	for (double limit = stress_now() + 1; what && stress_now() < limit && !workers_have_ended();)
		stress_nap_until_post(0.1);
	if (stress_run.ran_for <= 0)
		stress_run.ran_for = stress_now() - stress_run.started_at;
	totals.seconds = stress_run.ran_for;
	for (unsigned i = 0; ended && stress_run.jobs && i < options->nr_threads; i++)
		if (atomic_load(&stress_run.jobs[i].ended))
			ended[totals.nr_workers++] = &stress_run.jobs[i].worker;
	if (what)
		/* What the oracle saw counts too. */
		totals.nr_broken = 1 + (mslot_audit(stress_region, &audit) ? 0 : audit.nr_broken);
	bool written = soak_end(!what);
	report_lines(options, &totals);
	if (options->json && !report_json(options, &totals)) {
		fputs("metaslot-stress: the JSON could not be written\n", stderr);
		written = false;
	}
	written = output_is_written("metaslot-stress") && written;
	/* exit(), so that sanitizers have their say; but not beside stuck threads. */
	if (what)
		_exit(1);
	if (signal_to_stop && written)
		exit(128 + signal_to_stop);
	exit(written ? 0 : 1);
}

static void on_signal_to_stop(int signal)
{
	int saved = errno;

	signal_to_stop = signal;
	workers_post();
	errno = saved;
}

/* The first SIGINT or SIGTERM ends the run early, with its audit; the second one the process. Ignored ones stay so. */
static void catch_signals_to_stop(void)
{
	static const int signals[] = {SIGINT, SIGTERM};
	struct sigaction stop = {.sa_handler = on_signal_to_stop, .sa_flags = SA_RESTART | (int)SA_RESETHAND}, was;

	for (unsigned i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		if (!sigaction(signals[i], NULL, &was) && was.sa_handler != SIG_IGN)
			sigaction(signals[i], &stop, NULL);
}

static _Noreturn void cannot_run(const char *why)
{
	fprintf(stderr, "metaslot-stress: cannot run here: %s\n", why);
	_exit(77);
}

static void prepare(void)
{
	const struct options *options = &stress_run.options;
	uint64_t nr_frames = (uint64_t)options->mix->nr_frames * options->nr_threads;
	struct mslot_region_config config = {
		.nr_frames = options->mix->nr_frames <= 64 ? 64
			     : nr_frames < FRAMES_MOST	   ? nr_frames
							   : FRAMES_MOST,
		.frame_shift = STRESS_FRAME_SHIFT,
	};

	stress_plant = options->plant;
	mslot_set_fault_handler(on_fault, NULL);
	faults_configure(&config);
	stress_run.nr_frames = config.nr_frames;
	config.memory = mmap(NULL, config.nr_frames << STRESS_FRAME_SHIFT, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (config.memory == MAP_FAILED)
		cannot_run("no memory");
	stress_nr_nodes = place_ranges(stress_run.place, &config, stress_nodes, STRESS_NODES_MOST);
	config.node_ranges = stress_nodes;
	config.nr_node_ranges = stress_nr_nodes;
	stress_region = mslot_region_create(&config, NULL);
	stress_run.jobs = calloc(options->nr_threads, sizeof(*stress_run.jobs));
	if (!stress_region || !stress_run.jobs || !oracle_init(config.nr_frames) || !ages_init(config.nr_frames))
		cannot_run("no memory");
	faults_begin_process();
	stress_run.started_at = stress_now();
	stress_delay_begin(options->faults >> FAULT_DELAY & 1 ? options->seed : 0);
	if (!workers_start(config.memory))
		cannot_run("no memory, or no more threads");
	faults_begin();
	if (kill_is_child())
		kill_begin();
	else
		catch_signals_to_stop();
}

/* Looks on until time is up. */
static void look_on(double seconds)
{
	const struct options *options = &stress_run.options;
	double next_audit = options->audit_seconds;

	for (double elapsed = 0; (elapsed = stress_now() - stress_run.started_at) < seconds && !signal_to_stop;) {
		double left = seconds - elapsed;
		if (atomic_load(&stress_run.broken))
			finish();
		report_progress(options, elapsed);
		if (!stress_run.rss_begin_kib && elapsed > seconds / 3)
			stress_run.rss_begin_kib = stress_rss_kib();
		if (options->audit_seconds > 0 && elapsed >= next_audit) {
			next_audit += options->audit_seconds;
			soak_audit();
		}
		stress_nap_until_post(left < 0.2 ? left : 0.2);
	}
	report_progress(options, stress_now() - stress_run.started_at);
	stress_run.rss_end_kib = stress_rss_kib();
	if (isatty(STDOUT_FILENO))
		putchar('\n');
	if (signal_to_stop)
		printf("stopped by signal %d\n", (int)signal_to_stop);
}

static void check_the_end(void)
{
	struct mslot_audit audit;

	if (mslot_thread_register())
		stress_broken("the main thread could not register", MSLOT_PADDR_NONE);
	/* Root table, leaf table, page: each retires the next. */
	for (int round = 0; round < 3; round++)
		if (mslot_barrier(stress_region))
			stress_broken("a barrier was refused", MSLOT_PADDR_NONE);
	if (mslot_audit(stress_region, &audit))
		stress_broken("the audit was refused", MSLOT_PADDR_NONE);
	if (!mslot_is_clean(stress_region) || audit.nr_broken ||
	    audit.by_status[MSLOT_STATUS_UNUSED] != stress_run.nr_frames)
		stress_broken("the audit at the end is not clean", MSLOT_PADDR_NONE);
	if (workers_claims() != oracle_drops())
		stress_broken("on_drop did not run once per claim", MSLOT_PADDR_NONE);
	stress_take_all();
	if (mslot_region_destroy(stress_region))
		stress_broken("the region could not be destroyed", MSLOT_PADDR_NONE);
	mslot_thread_unregister();
}

static int run(void)
{
	const struct options *options = &stress_run.options;
	double seconds = soak_begin();

	prepare();
	look_on(seconds);
	faults_end();
	atomic_store(&stress_run.must_stop, true);
	while (!workers_have_ended() && !atomic_load(&stress_run.broken))
		stress_nap_until_post(0.2);
	if (atomic_load(&stress_run.broken))
		finish();
	stress_run.ran_for = stress_now() - stress_run.started_at;
	/* A killed thread's stack must stay: liburcu still looks at the reader in it. */
	for (unsigned i = 0; i < options->nr_threads; i++)
		if (!atomic_load(&stress_run.jobs[i].killed))
			pthread_join(stress_run.jobs[i].thread, NULL);
	if (kill_is_child())
		kill_end();
	else
		check_the_end();
	finish();
}

int main(int argc, char **argv)
{
	const struct options *options = &stress_run.options;
	int status = options_read(&stress_run.options, argc, argv);
	const char *why;

	if (status >= 0)
		return status;
	if (faults_cannot())
		cannot_run(faults_cannot());
	printf("seed %" PRIu64 "\n", options->seed);
	stress_run.place = place_make(options->place, options->memory, options->nr_threads, &why);
	if (!stress_run.place)
		cannot_run(why);
	place_print(stress_run.place, options->nr_threads, stdout);
	fflush(stdout);
	return stress_has_fault(FAULT_KILL) ? kill_rounds(run) : run();
}
