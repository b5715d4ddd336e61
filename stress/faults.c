/* SPDX-License-Identifier: MIT
 *
 * Faults that a run has to survive: helpers that signal, stop and fork while the workers work.
 *
 * Promises: each says what it did, so that a fault that did not happen is seen.
 * Read:     fault_names, then the helper of each. exit and malloc are worker.c's, kill and stall have files of their
 *           own; the delays are compiled in, see delay.h.
 */
#include "faults.h"

#include "delay.h"
#include "malloc_faults.h"
#include "stall.h"

#include <inttypes.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

const struct fault_name fault_names[FAULT_NR] = {
	[FAULT_EXIT] = {"exit", "threads end and begin, half of them without unregistering"},
	[FAULT_KILL] = {"kill", "threads are killed in the middle of an operation, in child processes"},
	[FAULT_STALL] = {"stall", "a reader stays inside for --stall seconds, and must be named"},
	[FAULT_OVERSUBSCRIBE] = {"oversubscribe", "32 threads for each cpu"},
	[FAULT_SIGNALS] = {"signals", "signals interrupt the threads, thousands a second"},
	[FAULT_STOP] = {"stop", "the process is stopped and continued"},
	[FAULT_FORK] = {"fork", "the process forks; the child exits, or executes another program"},
	[FAULT_MALLOC] = {"malloc", "one allocation in three fails"},
	[FAULT_LAST_FRAME] = {"last-frame", "a region of 16 frames for all"},
	[FAULT_BACKLOG] = {"backlog", "a backlog limit of 8; claims wait, or by an odd seed are refused"},
	[FAULT_DELAY] = {"delay", "delays at every atomic step (metaslot-stress-delay)"},
};

static struct {
	_Atomic bool must_end;
	pthread_t signals, forks;
	pid_t stopper;
	struct {
		_Atomic bool ends;
		_Atomic uint64_t nr;
	} * stops; /* shared with it */
	_Atomic uint64_t nr_signals, nr_forks;
} faults;

/* What was done to this process; with the fault kill, of_children adds up what was done to each, and is shared. */
struct counts {
	uint64_t signals, stops, forks, failed;
};
static struct counts *of_children;

bool stress_has_fault(enum fault fault)
{
	return stress_run.options.faults >> fault & 1;
}

const char *faults_cannot(void)
{
	if (stress_has_fault(FAULT_DELAY) && !STRESS_HAS_DELAYS)
		return "delays are compiled into metaslot-stress-delay only";
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
	if (stress_has_fault(FAULT_KILL))
		return "a sanitizer does not survive a thread that is killed";
#endif
	return NULL;
}

void faults_configure(struct mslot_region_config *config)
{
	if (stress_has_fault(FAULT_LAST_FRAME))
		config->nr_frames = 16;
	if (stress_has_fault(FAULT_STALL))
		config->backlog_limit = config->nr_frames / 4;
	if (stress_has_fault(FAULT_BACKLOG)) {
		config->backlog_limit = 8;
		/* One that is killed while it waits would take a mutex with it. */
		config->claims_may_wait = stress_run.options.seed % 2 == 0 && !stress_has_fault(FAULT_KILL);
	}
	stress_run.backlog_limit = config->backlog_limit;
}

static bool is_over(void)
{
	return atomic_load(&faults.must_end) || atomic_load(&stress_run.broken);
}

/* ---- signals ---- */

static void on_signal(int signal)
{
	(void)signal;
	atomic_fetch_add_explicit(&faults.nr_signals, 1, memory_order_relaxed);
}

static void *send_signals(void *arg)
{
	(void)arg;
	for (unsigned i = 0; !is_over(); i++) {
		pid_t id = atomic_load(&stress_run.jobs[i % stress_run.options.nr_threads].id);
		/* One that has ended meanwhile does not hear it. */
		if (id)
			syscall(SYS_tgkill, getpid(), id, SIGUSR1);
		stress_nap(0.0001);
	}
	return NULL;
}

/* ---- stop ---- */

/* A process of its own; ends itself, so that it always continues what it has stopped. */
static _Noreturn void stop_and_continue(pid_t whom)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (unsigned i = 0; !atomic_load(&faults.stops->ends) && getppid() == whom; i++) {
		stress_nap(0.02 + i % 7 * 0.01);
		kill(whom, SIGSTOP);
		stress_nap(0.002 + i % 5 * 0.005);
		kill(whom, SIGCONT);
		atomic_fetch_add(&faults.stops->nr, 1);
	}
	_exit(0);
}

/* ---- fork ---- */

static void *fork_children(void *arg)
{
	(void)arg;
	while (!is_over()) {
		pid_t child = fork();
		if (child == 0) {
			if (atomic_load(&faults.nr_forks) % 2)
				execl("/bin/true", "true", (char *)NULL);
			_exit(0);
		}
		if (child > 0) {
			waitpid(child, NULL, 0);
			atomic_fetch_add(&faults.nr_forks, 1);
		}
		stress_nap(0.005);
	}
	return NULL;
}

/* ---- all ---- */

static void begin_thread(pthread_t *thread, void *(*fn)(void *))
{
	if (pthread_create(thread, NULL, fn, NULL))
		stress_broken("a helper could not be started", MSLOT_PADDR_NONE);
}

void faults_begin_process(void)
{
	pid_t self = getpid();

	if (stress_has_fault(FAULT_SIGNALS))
		sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal}, NULL);
	if (stress_has_fault(FAULT_STALL) && !stall_prepare())
		stress_broken("the stall handler was refused", MSLOT_PADDR_NONE);
	if (!stress_has_fault(FAULT_STOP))
		return;
	faults.stops = mmap(NULL, sizeof(*faults.stops), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (faults.stops != MAP_FAILED && (faults.stopper = fork()) == 0)
		stop_and_continue(self);
	if (faults.stops == MAP_FAILED || faults.stopper < 0)
		stress_broken("a helper could not be started", MSLOT_PADDR_NONE);
}

void faults_begin(void)
{
	if (stress_has_fault(FAULT_STALL) && !stall_begin())
		stress_broken("a helper could not be started", MSLOT_PADDR_NONE);
	if (stress_has_fault(FAULT_SIGNALS))
		begin_thread(&faults.signals, send_signals);
	if (stress_has_fault(FAULT_FORK))
		begin_thread(&faults.forks, fork_children);
	if (stress_has_fault(FAULT_MALLOC))
		malloc_faults_begin();
}

void faults_end(void)
{
	atomic_store(&faults.must_end, true);
	if (faults.stopper) {
		atomic_store(&faults.stops->ends, true);
		waitpid(faults.stopper, NULL, 0);
	}
	if (stress_has_fault(FAULT_STALL))
		stall_end();
	if (stress_has_fault(FAULT_SIGNALS))
		pthread_join(faults.signals, NULL);
	if (stress_has_fault(FAULT_FORK))
		pthread_join(faults.forks, NULL);
}

bool faults_share_counts(void)
{
	void *shared = mmap(NULL, sizeof(*of_children), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	of_children = shared == MAP_FAILED ? NULL : shared;
	return of_children;
}

static struct counts count(void)
{
	struct counts own = {faults.nr_signals, faults.stops ? faults.stops->nr : 0, faults.nr_forks,
			     malloc_faults_count()};

	if (!of_children)
		return own;
	/* Of the parent, nothing is counted. */
	of_children->signals += own.signals;
	of_children->stops += own.stops;
	of_children->forks += own.forks;
	of_children->failed += own.failed;
	return *of_children;
}

void faults_report(void)
{
	if (!stress_run.options.faults)
		return;
	struct counts counts = count();
	printf("faults:");
	for (unsigned i = 0; i < FAULT_NR; i++)
		if (stress_has_fault(i))
			printf(" %s", fault_names[i].name);
	if (stress_has_fault(FAULT_STALL))
		stall_report();
	if (stress_has_fault(FAULT_SIGNALS))
		printf("; %" PRIu64 " signals", counts.signals);
	if (stress_has_fault(FAULT_STOP))
		printf("; %" PRIu64 " stops", counts.stops);
	if (stress_has_fault(FAULT_FORK))
		printf("; %" PRIu64 " forks", counts.forks);
	if (stress_has_fault(FAULT_MALLOC))
		printf("; %" PRIu64 " allocations failed", counts.failed);
	printf("\n");
}
