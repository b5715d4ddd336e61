/* SPDX-License-Identifier: MIT
 *
 * Threads that are killed in the middle of an operation.
 *
 * Proves:   the others go on; whatever moment a thread dies at leaves each slot in a state that the table knows, and
 *           loses no more than what the thread had in hand.
 * Read:     kill_rounds(): each round is a child process, for what the dead thread held is never given back. In it,
 *           kill_begin() chooses a worker and a moment, die() is where it ends, kill_end() looks at what is left.
 */
#include "faults.h"

#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUND_SECONDS 0.4
/* A thread that has run for so long after another died, or slept for so long, and has finished nothing, stands still.
 * It may sleep that long: for a lock of the C library or of the kernel, whose holder has no processor. */
#define RUN_SECONDS 0.1
#define SLEEP_SECONDS 5
/* Frames that one thread has in hand: handles, two address spaces, a segment; and that one retired root table leads to.
 */
#define IN_HAND 1024
#define IN_TABLE (15 + 15 * 15)

static bool is_child;
static pthread_t killer;
static struct look {
	pid_t id;
	uint64_t ops;
	bool sleeps;
	double at;	    /* when, in seconds */
	double ran, queued; /* seconds that it had a processor, and that it waited for one; not those of this moment */
} * looks; /* at each worker, when it last had finished something, but not before the victim was dead */
static _Atomic bool has_died; /* says the victim itself, in its last moment */
static _Atomic bool is_dead;

bool kill_is_child(void)
{
	return is_child;
}

/* No destructor, no clean-up: the thread is gone. */
static void die(int signal)
{
	(void)signal;
	if (!stress_in_step)
		return;
	atomic_store(&has_died, true);
	syscall(SYS_exit, 0);
}

/* Of many threads to a processor, most wait for it most of the time: that is nobody's fault. So the kernel is asked. */
static struct look look_at(const struct job *job)
{
	struct look look = {.id = atomic_load(&job->id), .ops = atomic_load(&job->worker.ops_now), .at = stress_now()};
	char path[64], state = 'R';
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", look.id);
	if ((file = fopen(path, "re"))) {
		look.sleeps = fscanf(file, "%*d (%*[^)]) %c", &state) == 1 && state != 'R';
		fclose(file);
	}
	snprintf(path, sizeof(path), "/proc/self/task/%d/schedstat", look.id);
	if ((file = fopen(path, "re"))) {
		if (fscanf(file, "%lf %lf", &look.ran, &look.queued) != 2)
			look.ran = look.queued = 0;
		fclose(file);
	}
	look.ran *= 1e-9;
	look.queued *= 1e-9;
	return look;
}

static bool stands_still(const struct job *job, struct look *last)
{
	struct look now = look_at(job);

	if (!last->id || now.id != last->id || now.ops != last->ops || atomic_load(&job->killed) ||
	    atomic_load(&job->ended)) {
		*last = now;
		return false;
	}
	return now.ran - last->ran > RUN_SECONDS ||
	       (now.sleeps && now.at - last->at - (now.queued - last->queued) > SLEEP_SECONDS);
}

/* Until all have ended, or one is found to stand still. */
static void see_others_go_on(void)
{
	do {
		stress_nap(0.05);
		for (unsigned i = 0; i < stress_run.options.nr_threads; i++)
			if (stands_still(&stress_run.jobs[i], &looks[i]))
				stress_broken("a thread stands still since another was killed", MSLOT_PADDR_NONE);
	} while (!workers_have_ended());
}

static void *kill_one(void *arg)
{
	unsigned nr_threads = stress_run.options.nr_threads;
	uint64_t seed = stress_run.options.seed;
	struct job *victim = &stress_run.jobs[seed % nr_threads];
	(void)arg;

	stress_nap(0.02 + (double)(seed >> 8 & 1023) * 0.0001);
	/* Until it was in an operation when the signal came. */
	for (;;) {
		pid_t id = atomic_load(&victim->id);
		if (id)
			syscall(SYS_tgkill, getpid(), id, SIGUSR2);
		stress_nap(0.0005);
		if (atomic_load(&has_died))
			break;
		if (atomic_load(&victim->ended) || atomic_load(&stress_run.broken))
			return NULL;
	}
	atomic_store(&victim->killed, true);
	sem_post(&victim->thread_over);
	for (unsigned i = 0; i < nr_threads; i++)
		looks[i] = look_at(&stress_run.jobs[i]);
	atomic_store(&is_dead, true);
	workers_post();
	see_others_go_on();
	return NULL;
}

void kill_begin(void)
{
	looks = calloc(stress_run.options.nr_threads, sizeof(*looks));
	sigaction(SIGUSR2, &(struct sigaction){.sa_handler = die}, NULL);
	if (!looks || pthread_create(&killer, NULL, kill_one, NULL))
		stress_broken("the killer could not be started", MSLOT_PADDR_NONE);
}

/* Grace periods may never end again: the thread may have died inside a reader section. So nothing is waited for. */
void kill_end(void)
{
	struct mslot_audit audit;

	pthread_join(killer, NULL);
	if (!atomic_load(&is_dead))
		_exit(0);
	if (mslot_audit(stress_region, &audit))
		stress_broken("the audit was refused", MSLOT_PADDR_NONE);
	/* The one that died between a last put and its retirement, if it did. */
	if (audit.nr_broken > 1)
		stress_broken("a killed thread left broken slots", audit.broken[0].paddr);
	if (audit.by_status[MSLOT_STATUS_BUSY] + audit.by_status[MSLOT_STATUS_SHARED] +
		    audit.by_status[MSLOT_STATUS_UNIQUE] >
	    IN_HAND + IN_TABLE * audit.by_status[MSLOT_STATUS_RETIRED])
		stress_broken("a killed thread lost more than it had in hand", MSLOT_PADDR_NONE);
}

int kill_rounds(int (*run)(void))
{
	struct options *options = &stress_run.options;
	double until = stress_now() + options->seconds;
	unsigned nr_rounds = 0;

	if (!faults_share_counts())
		return 77;
	options->seconds = ROUND_SECONDS;
	do {
		int status = 0;
		pid_t child = fork();

		if (child == 0) {
			is_child = true;
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (!freopen("/dev/null", "w", stdout))
				_exit(77);
			exit(run());
		}
		if (child < 0 || waitpid(child, &status, 0) != child)
			return 77;
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
			fprintf(stderr, "broken: round %u, seed %llu\n", nr_rounds, (unsigned long long)options->seed);
			printf("%s: broken\n", options->mix->name);
			return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
		}
		nr_rounds++;
		options->seed = (options->seed + 0x1234567) & INT64_MAX;
	} while (stress_now() < until);
	printf("%s: held; a thread killed in each of %u processes\n", options->mix->name, nr_rounds);
	faults_report();
	printf("audit: clean, but for what the dead had in hand\n");
	return 0;
}
