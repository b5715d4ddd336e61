/* SPDX-License-Identifier: MIT
 *
 * metaslot-stress: runs one mix on many threads, then asks the audit. Exit 0 held, 1 broken, 2 usage, 77 cannot run.
 */
#include "mix.h"

#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static const struct mix *const mixes[] = {&mix_claim, &mix_refcount, &mix_raw, &mix_unique, &mix_peek};
#define NR_MIXES (sizeof(mixes) / sizeof(mixes[0]))
static uint64_t seed, planted;
static _Atomic bool must_stop;
/* Relaxed throughout, so that they add no edge that would hide one the library lacks. */
static _Atomic uint32_t owned[STRESS_FRAMES];
static _Atomic uint64_t nr_drops;

void stress_broken(const char *what, uint64_t paddr)
{
	fprintf(stderr, "broken: %s, paddr 0x%" PRIx64 ", seed %" PRIu64 "\n", what, paddr, seed);
	_exit(1);
}

static void on_fault(const struct mslot_fault *fault, void *ctx)
{
	(void)ctx;
	stress_broken(fault->what, fault->paddr);
}

static void on_drop(void *meta, uint64_t paddr, void *memory)
{
	struct cookie *cookie = meta;

	(void)memory;
	stress_check(cookie, paddr);
	if (atomic_exchange_explicit(&owned[paddr >> 12], 0, memory_order_relaxed) != 1)
		stress_broken("on_drop ran twice for one claim", paddr);
	cookie->value = cookie->inverse = STRESS_POISON;
	atomic_fetch_add_explicit(&nr_drops, 1, memory_order_relaxed);
}

const struct mslot_type stress_types[2] = {
	{.name = "immediate", .meta_bytes = sizeof(struct cookie), .meta_align = 8, .on_drop = on_drop,
	 .flags = MSLOT_TYPE_IMMEDIATE},
	{.name = "deferred", .meta_bytes = sizeof(struct cookie), .meta_align = 8, .on_drop = on_drop},
};

uint64_t stress_random(struct worker *worker)
{
	worker->random ^= worker->random << 13;
	worker->random ^= worker->random >> 7;
	return worker->random ^= worker->random << 17;
}

uint64_t stress_paddr(struct worker *worker)
{
	uint64_t random = stress_random(worker);

	return (random & 1 ? random >> 8 & 3 : random >> 8 & (STRESS_FRAMES - 1)) << 12;
}

struct mslot_frame *stress_claim(struct worker *worker, uint64_t paddr)
{
	enum mslot_err why = MSLOT_OK;
	uint64_t value = stress_random(worker);
	struct cookie cookie = {value, planted ? value : ~value};
	struct mslot_frame *frame =
		mslot_frame_claim(worker->region, paddr, &stress_types[value >> 20 & 1], &cookie, &why);

	if (!frame) {
		stress_refused(worker, why);
		return NULL;
	}
	if (atomic_exchange_explicit(&owned[paddr >> 12], 1, memory_order_relaxed) != 0)
		stress_broken("a claim had two winners", paddr);
	worker->claims++;
	return frame;
}

void stress_check(const struct cookie *cookie, uint64_t paddr)
{
	if (cookie->value != ~cookie->inverse)
		stress_broken("a cookie is poisoned or torn", paddr);
}

void stress_refused(struct worker *worker, enum mslot_err why)
{
	worker->refused++;
	if (why != MSLOT_IN_USE && why != MSLOT_UNUSED && why != MSLOT_BUSY && why != MSLOT_UNIQUE &&
	    why != MSLOT_WRONG_TYPE)
		stress_broken(mslot_err_name(why), MSLOT_PADDR_NONE);
}

struct job {
	struct worker worker;
	const struct mix *mix;
	pthread_t thread;
};

static void *run(void *arg)
{
	struct job *job = arg;

	if (mslot_thread_register())
		stress_broken("a thread could not register", MSLOT_PADDR_NONE);
	while (!atomic_load_explicit(&must_stop, memory_order_relaxed)) {
		job->mix->step(&job->worker);
		if (++job->worker.ops % 64 == 0)
			mslot_quiescent_state();
	}
	mslot_thread_unregister();
	return NULL;
}

static int usage(FILE *to, int status)
{
	fputs("metaslot-stress [--threads N] [--seconds S] [--mix NAME] [--seed N] [--json FILE]\nmixes:\n", to);
	for (size_t i = 0; i < NR_MIXES; i++)
		fprintf(to, "%s\n", mixes[i]->name);
	return status;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"threads", 1, 0, 't'}, {"seconds", 1, 0, 's'}, {"mix", 1, 0, 'm'},
						{"seed", 1, 0, 'r'},	{"json", 1, 0, 'j'},	{"plant", 0, 0, 'p'},
						{"help", 0, 0, 'h'},	{0, 0, 0, 0}};
	const struct mix *mix = &mix_refcount;
	const char *json = NULL;
	unsigned long nr = 2;
	double seconds = 2;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = (uint64_t)time(NULL);
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c == 't')
			nr = strtoul(optarg, NULL, 10);
		else if (c == 's')
			seconds = strtod(optarg, NULL);
		else if (c == 'r')
			seed = strtoull(optarg, NULL, 0);
		else if (c == 'j')
			json = optarg;
		else if (c == 'p')
			planted = 1;
		else if (c == 'm') {
			mix = NULL;
			for (size_t i = 0; i < NR_MIXES; i++)
				if (!strcmp(optarg, mixes[i]->name))
					mix = mixes[i];
		} else
			return usage(c == 'h' ? stdout : stderr, c == 'h' ? 0 : 2);
	}
	if (!mix || nr < 1 || nr > 1024 || !(seconds > 0 && seconds < 1e6) || optind != argc)
		return usage(stderr, 2);
	printf("seed %" PRIu64 "\n", seed);
	fflush(stdout);
	mslot_set_fault_handler(on_fault, NULL);
	struct mslot_region *region =
		mslot_region_create(&(struct mslot_region_config){.nr_frames = STRESS_FRAMES}, NULL);
	struct job *jobs = calloc(nr, sizeof(*jobs));
	if (!region || !jobs)
		return 77;
	for (unsigned long i = 0; i < nr; i++) {
		jobs[i].mix = mix;
		jobs[i].worker.region = region;
		jobs[i].worker.id = (unsigned)i;
		jobs[i].worker.random = ((seed + i + 1) * UINT64_C(0x9e3779b97f4a7c15)) | 1;
		if (pthread_create(&jobs[i].thread, NULL, run, &jobs[i]))
			return 77;
	}
	struct timespec left = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
	while (nanosleep(&left, &left))
		;
	atomic_store_explicit(&must_stop, true, memory_order_relaxed);
	uint64_t ops = 0, claims = 0, refused = 0;
	for (unsigned long i = 0; i < nr; i++) {
		pthread_join(jobs[i].thread, NULL);
		ops += jobs[i].worker.ops;
		claims += jobs[i].worker.claims;
		refused += jobs[i].worker.refused;
	}
	struct mslot_audit audit;
	if (mslot_thread_register() || mslot_barrier(region) || mslot_audit(region, &audit))
		stress_broken("the barrier or the audit was refused", MSLOT_PADDR_NONE);
	bool clean = mslot_is_clean(region) && !audit.nr_broken &&
		     audit.by_status[MSLOT_STATUS_UNUSED] == STRESS_FRAMES;
	if (!clean)
		stress_broken("the audit at the end is not clean", MSLOT_PADDR_NONE);
	if (claims != atomic_load_explicit(&nr_drops, memory_order_relaxed))
		stress_broken("on_drop did not run once per claim", MSLOT_PADDR_NONE);
	if (mslot_region_destroy(region))
		stress_broken("the region could not be destroyed", MSLOT_PADDR_NONE);
	mslot_thread_unregister();
	printf("%s: held; %" PRIu64 " ops, %" PRIu64 " claims, %" PRIu64 " refused, audit clean\n", mix->name, ops,
	       claims, refused);
	FILE *file = json ? fopen(json, "w") : NULL;
	if (json && !file)
		return 77;
	if (file) {
		fprintf(file,
			"{\"schema\":1,\"impl\":\"mslot\",\"mix\":\"%s\",\"threads\":%lu,\"ops\":%" PRIu64
			",\"seconds\":%g,\"per_second\":%.0f,\"audit\":{\"clean\":true,\"broken\":0},\"seed\":%" PRIu64 "}\n",
			mix->name, nr, ops, seconds, (double)ops / seconds, seed);
		fclose(file);
	}
	free(jobs);
	return 0;
}
