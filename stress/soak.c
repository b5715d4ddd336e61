/* SPDX-License-Identifier: MIT
 *
 * Long runs: audits now and then, memory that does not grow, a summary that a later run continues.
 *
 * Read:     soak_audit(): with all workers between two operations and nothing retired, frames in use are those claimed
 *           and not yet dropped, and nothing is broken. The summary is a small JSON file, replaced as a whole.
 */
#include "soak.h"

#include "oracle.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

/* What a run may grow by once it is warm. */
#define GROWTH_KIB 16384
#define NAME_BYTES 4096

static struct {
	double seconds;
	uint64_t ops, claims, audits, runs;
	bool held;
} before; /* by earlier runs */

static uint64_t nr_audits, rss_at_first;

static uint64_t workers_ops(void)
{
	uint64_t ops = 0;

	for (unsigned i = 0; i < stress_run.options.nr_threads; i++)
		ops += atomic_load_explicit(&stress_run.jobs[i].worker.ops_now, memory_order_relaxed);
	return ops;
}

/* What is written first, and then takes the summary's name; false if that would be too long. */
static bool name_next(char next[NAME_BYTES], const char *summary)
{
	return snprintf(next, NAME_BYTES, "%s.next", summary) < NAME_BYTES;
}

static bool can_write(const char *summary)
{
	char next[NAME_BYTES];
	FILE *file = name_next(next, summary) ? fopen(next, "w") : NULL;

	if (!file)
		return false;
	fclose(file);
	return remove(next) == 0;
}

const char *soak_open(const struct options *options)
{
	json_int_t threads = 0, ops = 0, claims = 0, audits = 0, runs = 0, faults = 0;
	const char *mix = "";
	int held = 1;
	json_t *summary;

	before.held = true;
	if (!options->summary)
		return NULL;
	if (access(options->summary, F_OK))
		return can_write(options->summary) ? NULL : "cannot be written";
	summary = json_load_file(options->summary, 0, NULL);
	/* Of nothing, json_unpack() fails, too. */
	bool is_ours = json_unpack(summary, "{s:s, s:I, s:I, s:F, s:I, s:I, s:I, s:I, s:b}", "mix", &mix, "threads",
				   &threads, "faults", &faults, "seconds", &before.seconds, "ops", &ops, "claims",
				   &claims, "audits", &audits, "runs", &runs, "held", &held) == 0 &&
		       !strcmp(mix, options->mix->name) && threads == (json_int_t)options->nr_threads &&
		       faults == (json_int_t)options->faults;
	json_decref(summary);
	before.ops = (uint64_t)ops;
	before.claims = (uint64_t)claims;
	before.audits = (uint64_t)audits;
	before.runs = (uint64_t)runs;
	before.held = held;
	if (!is_ours)
		return "the file is there, and is no summary of a run of this mix with these threads and faults";
	return can_write(options->summary) ? NULL : "cannot be written";
}

bool soak_is_complete(const struct options *options)
{
	if (!before.runs || before.seconds < options->seconds)
		return false;
	printf("complete: %s has %.1f of %g s, %" PRIu64 " ops, %" PRIu64 " audits, %s; nothing is run or written\n",
	       options->summary, before.seconds, options->seconds, before.ops, before.audits,
	       before.held ? "held" : "broken");
	return true;
}

bool soak_held(void)
{
	return before.held;
}

double soak_begin(void)
{
	const struct options *options = &stress_run.options;

	if (!before.runs)
		return options->seconds;
	printf("continues %.0f of %g s, %" PRIu64 " ops, %" PRIu64 " audits\n", before.seconds, options->seconds,
	       before.ops, before.audits);
	return options->seconds - before.seconds;
}

/* True if there is none to be written. */
static bool write_summary(double seconds, uint64_t ops, uint64_t claims, bool held)
{
	const struct options *options = &stress_run.options;
	char next[NAME_BYTES];
	json_t *json;

	if (!options->summary)
		return true;
	json = json_pack("{s:s, s:I, s:I, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "mix", options->mix->name,
			 "threads", (json_int_t)options->nr_threads, "faults", (json_int_t)options->faults, "seconds",
			 before.seconds + seconds, "ops", (json_int_t)(before.ops + ops), "claims",
			 (json_int_t)(before.claims + claims), "audits", (json_int_t)(before.audits + nr_audits),
			 "runs", (json_int_t)(before.runs + 1), "seed", (json_int_t)options->seed, "rss_kib",
			 (json_int_t)stress_rss_kib(), "held", before.held && held);
	bool written = json && name_next(next, options->summary) && !json_dump_file(json, next, JSON_INDENT(2)) &&
		       !rename(next, options->summary);
	if (!written)
		fprintf(stderr, "metaslot-stress: the summary could not be written\n");
	json_decref(json);
	return written;
}

static void compare_memory(void)
{
	uint64_t now = stress_rss_kib();

	/* The first audit is the first chance to be warm. */
	if (nr_audits == 1)
		rss_at_first = now;
	if (now > rss_at_first + rss_at_first / 4 + GROWTH_KIB)
		stress_broken("memory grows", MSLOT_PADDR_NONE);
}

void soak_audit(void)
{
	struct mslot_audit audit;

	if (!workers_park(true)) {
		if (!atomic_load(&stress_run.broken))
			stress_broken("a thread could not be parked", MSLOT_PADDR_NONE);
		return;
	}
	/* Root table, leaf table, page: each retires the next. */
	for (int round = 0; round < 3; round++)
		if (mslot_barrier(stress_region))
			stress_broken("a barrier was refused", MSLOT_PADDR_NONE);
	if (mslot_audit(stress_region, &audit))
		stress_broken("the audit was refused", MSLOT_PADDR_NONE);
	uint64_t in_use = audit.nr_frames - audit.by_status[MSLOT_STATUS_UNUSED];
	if (audit.nr_broken || audit.by_status[MSLOT_STATUS_RETIRED] || audit.by_status[MSLOT_STATUS_BUSY])
		stress_broken("an audit on the way is not clean",
			      audit.nr_broken ? audit.broken[0].paddr : MSLOT_PADDR_NONE);
	if (workers_claims() != oracle_drops() + in_use)
		stress_broken("frames in use are not those claimed and not dropped", MSLOT_PADDR_NONE);
	nr_audits++;
	compare_memory();
	uint64_t ops = workers_ops(), claims = workers_claims();
	workers_park(false);
	double seconds = stress_now() - stress_run.started_at;
	printf("audit %" PRIu64 " after %.0f s: clean, %" PRIu64 " in use, %" PRIu64 " ops, %" PRIu64 " KiB\n",
	       nr_audits, before.seconds + seconds, in_use, before.ops + ops, stress_rss_kib());
	fflush(stdout);
	(void)write_summary(seconds, ops, claims, true);
}

bool soak_end(bool held)
{
	return write_summary(stress_run.ran_for, workers_ops(), workers_claims(), held);
}
