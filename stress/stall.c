/* SPDX-License-Identifier: MIT
 *
 * The fault `stall`: a reader that stays inside its section, again and again.
 *
 * Promises: one stay at least comes to its end; in each that lasts for a second, the reader is named; what was retired
 *           while it stayed is recycled soon after it leaves; in a mix that is split between immediate and deferred
 *           types, no more waits than the limit allows, and the threads with immediate types do as much as while it is
 *           away.
 * Read:     reader(), which stays and is away in turn; judge() for what must hold at the end.
 */
#include "stall.h"

#include <inttypes.h>
#include <time.h>
#include <unistd.h>

/* Between two stays, at least; in a split mix, half as long as a stay, so that there is something to compare with. */
#define AWAY_SECONDS 0.2
/* The library names after a second, ten times a second: from a stay of a second on, the reader is named before it
 * leaves, and on a loaded machine within so long after it came. */
#define LEAST_NAMED_SECONDS 1
#define NAMED_NS UINT64_C(1800000000)
/* Within so long after it left, all that had waited is recycled; on a machine with many more threads than cpus, too. */
#define RECYCLED_SECONDS 10
/*
 * What immediate types do beside a stalled reader, claims a second, as a share of what they do else. Other processes
 * make seconds differ, less so seconds of cpu time; a thread that waits uses none, and so is told by the first. A short
 * stay is too noisy for the second.
 */
#define LEAST_SHARE 0.25
#define LONG_STAY 5
#define LEAST_CPU_SHARE 0.8

/* What the threads with immediate types did in all stays, or in all times between. */
struct phase {
	double seconds, cpu_seconds;
	uint64_t claims;
};

static struct {
	pthread_t thread;
	_Atomic bool must_end;
	_Atomic int64_t id;		  /* the reader's */
	_Atomic uint64_t entered_ns;	  /* when it went inside */
	_Atomic uint64_t named_for_ns;	  /* the entry that it was last named for */
	_Atomic uint64_t nr_named;	  /* stays that it was named in */
	_Atomic uint64_t nr_named_others; /* how often another thread was */
	_Atomic uint64_t longest_unnamed_ns;
	_Atomic uint64_t nr_ended; /* stays that the end of the run did not cut short */
	uint64_t nr_begun, slowest_recycle_ns;
	struct phase stays, away;
} stall;

static bool is_over(void)
{
	return atomic_load(&stall.must_end) || atomic_load(&stress_run.broken);
}

static void on_stall(const struct mslot_stall *told, void *ctx)
{
	uint64_t entered = atomic_load(&stall.entered_ns), since = now_ns() - entered;
	(void)ctx;

	if (told->thread_id != atomic_load(&stall.id)) {
		atomic_fetch_add(&stall.nr_named_others, 1);
		return;
	}
	if (atomic_exchange(&stall.named_for_ns, entered) == entered)
		return;
	atomic_fetch_add(&stall.nr_named, 1);
	if (since > atomic_load(&stall.longest_unnamed_ns))
		atomic_store(&stall.longest_unnamed_ns, since);
}

static uint64_t immediate_claims(void)
{
	const struct options *options = &stress_run.options;
	uint64_t claims = 0;

	for (unsigned i = 0; i < options->nr_threads; i++)
		if (mix_is_immediate(options->mix, i, options->nr_threads))
			claims += atomic_load_explicit(&stress_run.jobs[i].worker.claims_now, memory_order_relaxed);
	return claims;
}

static double immediate_cpu_seconds(void)
{
	const struct options *options = &stress_run.options;
	double seconds = 0;

	for (unsigned i = 0; i < options->nr_threads; i++) {
		struct timespec used;
		clockid_t clock;
		if (mix_is_immediate(options->mix, i, options->nr_threads) &&
		    !pthread_getcpuclockid(stress_run.jobs[i].thread, &clock) && !clock_gettime(clock, &used))
			seconds += (double)used.tv_sec + (double)used.tv_nsec * 1e-9;
	}
	return seconds;
}

/* False if the run ends before. */
static bool pass(double seconds, struct phase *phase)
{
	double from = stress_now(), until = from + seconds, cpu_from = immediate_cpu_seconds();
	uint64_t before = immediate_claims();

	while (stress_now() < until && !is_over())
		stress_nap(0.01);
	phase->claims += immediate_claims() - before;
	phase->seconds += stress_now() - from;
	phase->cpu_seconds += immediate_cpu_seconds() - cpu_from;
	return !is_over();
}

static void await_recycled(uint64_t retired)
{
	uint64_t from = now_ns(), took = 0;
	struct mslot_stats stats;

	for (mslot_stats(&stats); stats.recycled < retired && !is_over(); mslot_stats(&stats)) {
		stress_nap(0.0005);
		if ((took = now_ns() - from) > RECYCLED_SECONDS * UINT64_C(1000000000))
			stress_broken("what waited for a stalled reader is not recycled", MSLOT_PADDR_NONE);
	}
	if (!is_over() && took > stall.slowest_recycle_ns)
		stall.slowest_recycle_ns = took;
}

static void stay(double seconds)
{
	struct mslot_stats before, after;
	uint64_t entered = now_ns();
	bool stayed, is_nameless;

	stall.nr_begun++;
	atomic_store(&stall.entered_ns, entered);
	mslot_read_lock();
	mslot_stats(&before);
	for (stayed = pass(seconds, &stall.stays);; stayed = pass(0.01, &stall.stays)) {
		mslot_stats(&after);
		/* Although somebody has waited for it from early on. */
		is_nameless = seconds >= LEAST_NAMED_SECONDS && after.retired > before.retired &&
			      atomic_load(&stall.named_for_ns) != entered;
		if (!stayed || !is_nameless || now_ns() - entered >= NAMED_NS)
			break;
	}
	mslot_read_unlock();
	mslot_thread_offline();
	if (stayed && is_nameless)
		stress_broken("a stalled reader was not named", MSLOT_PADDR_NONE);
	if (stayed)
		await_recycled(after.retired);
	atomic_fetch_add(&stall.nr_ended, stayed);
	mslot_thread_online();
}

static double away_seconds(const struct options *options)
{
	double away = options->mix->is_split ? options->stall_seconds / 2 : 0;

	return away > AWAY_SECONDS ? away : AWAY_SECONDS;
}

double stall_needs_seconds(const struct options *options)
{
	return away_seconds(options) + options->stall_seconds;
}

static void *reader(void *arg)
{
	const struct options *options = &stress_run.options;
	(void)arg;

	if (mslot_thread_register())
		stress_broken("the stalled reader could not register", MSLOT_PADDR_NONE);
	atomic_store(&stall.id, gettid());
	while (!is_over()) {
		mslot_thread_offline();
		pass(away_seconds(options), &stall.away);
		mslot_thread_online();
		if (!is_over())
			stay(options->stall_seconds);
	}
	mslot_thread_unregister();
	return NULL;
}

static double ratio(double stays, double away)
{
	return away > 0 ? stays / away : 0;
}

/* What immediate types did beside the reader, as a share of what they did without it. */
static double share(void)
{
	return ratio((double)stall.stays.claims / stall.stays.seconds, (double)stall.away.claims / stall.away.seconds);
}

static double cpu_share(void)
{
	return ratio((double)stall.stays.claims / stall.stays.cpu_seconds,
		     (double)stall.away.claims / stall.away.cpu_seconds);
}

/* Where the threads stay the same ones, and alive. */
static bool has_shares(void)
{
	return stress_run.options.mix->is_split && stall.nr_ended && stall.away.claims &&
	       !stress_has_fault(FAULT_EXIT) && !stress_has_fault(FAULT_MALLOC) && !stress_has_fault(FAULT_KILL);
}

static void judge(void)
{
	const struct options *options = &stress_run.options;
	struct mslot_stats stats;

	if (!options->mix->is_split || !stall.nr_ended)
		return;
	mslot_stats(&stats);
	/* The library keeps room for what each thread may hold, where the limit leaves it any. */
	if (stats.most_backlog > stress_run.backlog_limit &&
	    stress_run.backlog_limit >= UINT64_C(512) * options->nr_threads)
		stress_broken("the backlog passed its limit", MSLOT_PADDR_NONE);
	if (has_shares() &&
	    (share() < LEAST_SHARE || (options->stall_seconds >= LONG_STAY && cpu_share() < LEAST_CPU_SHARE)))
		stress_broken("a stalled reader holds up immediate types", MSLOT_PADDR_NONE);
}

bool stall_prepare(void)
{
	return mslot_set_stall_handler(on_stall, NULL) == MSLOT_OK;
}

bool stall_begin(void)
{
	return pthread_create(&stall.thread, NULL, reader, NULL) == 0;
}

void stall_end(void)
{
	/* On a loaded machine, the first stay begins late. */
	while (!atomic_load(&stall.nr_ended) && !atomic_load(&stress_run.broken))
		stress_nap(0.01);
	atomic_store(&stall.must_end, true);
	if (atomic_load(&stress_run.broken))
		return;
	pthread_join(stall.thread, NULL);
	judge();
}

void stall_report(void)
{
	printf("; of %" PRIu64 " stays inside begun, %" PRIu64 " ended, %" PRIu64 " named; others named %" PRIu64
	       " times",
	       stall.nr_begun, stall.nr_ended, stall.nr_named, stall.nr_named_others);
	if (stall.nr_named)
		printf("; named after %.2f s, at the latest", (double)stall.longest_unnamed_ns * 1e-9);
	if (stall.nr_ended)
		printf("; all recycled %.3f ms after it left, at the latest", (double)stall.slowest_recycle_ns * 1e-6);
	if (has_shares())
		printf("; immediate types beside it: %.2f of what they do without in a second, %.2f in one of cpu time",
		       share(), cpu_share());
}

json_t *stall_json(void)
{
	return json_pack("{s:I, s:I, s:I, s:f, s:f, s:f, s:f}", "begun", (json_int_t)stall.nr_begun, "ended",
			 (json_int_t)stall.nr_ended, "named", (json_int_t)stall.nr_named, "named_after_seconds",
			 (double)stall.longest_unnamed_ns * 1e-9, "recycled_after_seconds",
			 (double)stall.slowest_recycle_ns * 1e-9, "immediate_share", has_shares() ? share() : 0,
			 "immediate_cpu_share", has_shares() ? cpu_share() : 0);
}
