/* SPDX-License-Identifier: MIT
 *
 * metaslot-versions: two or more builds of the library against each other, in one process.
 *
 * usage: metaslot-versions [--turns N] LIBRARY.so LIBRARY.so...
 *
 * A machine that others share is twice as fast in one second as in the next. So each build's turn takes some ten
 * microseconds, one after the other on the same processor, and what is compared is the times of one turn of all: the
 * ratio to the first build, whose median a noisy minute does not move.
 *
 * Promises: all builds run the same loop, through pointers, each in a thread of its own, which is registered with that
 *           build alone; the first half of a turn warms up and is not timed.
 * Needs:    shared libraries of one flavor with the calls of the public headers.
 */
#include <metaslot/metaslot.h>

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_VERSIONS 8
#define OWN 64	   /* slots that are turned over */
#define NEXT 65536 /* of a deferred type, so that each is back from its grace period before it is wanted again */
#define BULK 16384
#define TURN 4096 /* operations */

/* The calls of one build. */
struct calls {
	__typeof__(&mslot_thread_register) thread_register;
	__typeof__(&mslot_region_create) region_create;
	__typeof__(&mslot_frame_claim) frame_claim;
	__typeof__(&mslot_frame_get) frame_get;
	__typeof__(&mslot_frame_drop) frame_drop;
	__typeof__(&mslot_frame_into_raw) frame_into_raw;
	__typeof__(&mslot_frame_from_raw) frame_from_raw;
	__typeof__(&mslot_frame_clone_into_raw) frame_clone_into_raw;
	__typeof__(&mslot_frame_drop_raw) frame_drop_raw;
	__typeof__(&mslot_alloc_frame) alloc_frame;
	__typeof__(&mslot_quiescent_state) quiescent_state;
	__typeof__(&mslot_thread_offline) thread_offline;
	__typeof__(&mslot_thread_online) thread_online;
	__typeof__(&mslot_reclaim_flavor) reclaim_flavor;
};

struct version {
	const char *name;
	struct calls calls;
	struct mslot_region *claimed, *allocated;
	struct mslot_frame *own[OWN], *bulk[BULK];
	unsigned next;
	unsigned row; /* what to do in this turn */
	double ns;
	sem_t turn, done;
};

static const struct mslot_type immediate = {
	.name = "immediate", .meta_bytes = 16, .meta_align = 8, .flags = MSLOT_TYPE_IMMEDIATE};
static const struct mslot_type deferred = {.name = "deferred", .meta_bytes = 16, .meta_align = 8};
static const uint64_t meta[2] = {1, 2};

#define FRAME(index) ((uint64_t)(index) << 12)
#define OWN_FRAME(i) FRAME(NEXT + (i) % OWN)
#define HELD_FRAME(i) FRAME(NEXT + OWN + (i) % OWN)

static void claim_drop(struct version *of)
{
	for (unsigned i = 0; i < TURN; i++)
		of->calls.frame_drop(of->calls.frame_claim(of->claimed, OWN_FRAME(i), &immediate, meta, NULL));
}

static void claim_drop_rcu(struct version *of)
{
	for (unsigned i = 0; i < TURN; i++, of->next++) {
		struct mslot_frame *frame;

		while (!(frame = of->calls.frame_claim(of->claimed, FRAME(of->next % NEXT), &deferred, meta, NULL))) {
			of->calls.quiescent_state();
			sched_yield();
		}
		of->calls.frame_drop(frame);
	}
	of->calls.quiescent_state();
}

static void get_drop(struct version *of)
{
	for (unsigned i = 0; i < TURN; i++)
		of->calls.frame_drop(of->calls.frame_get(of->claimed, HELD_FRAME(i), NULL));
}

static void raw(struct version *of)
{
	for (unsigned i = 0; i < TURN; i++)
		of->own[i % OWN] =
			of->calls.frame_from_raw(of->claimed, of->calls.frame_into_raw(of->own[i % OWN]), NULL);
}

static void map(struct version *of)
{
	for (unsigned i = 0; i < TURN; i++)
		of->calls.frame_drop_raw(of->claimed, of->calls.frame_clone_into_raw(of->own[i % OWN]));
}

/* `nr` allocations, then their drops. */
static inline void bursts(struct version *of, unsigned nr)
{
	for (unsigned i = 0; i < TURN; i += nr) {
		for (unsigned j = 0; j < nr; j++)
			of->bulk[j] = of->calls.alloc_frame(of->allocated, &immediate, meta, NULL, NULL);
		for (unsigned j = 0; j < nr; j++)
			of->calls.frame_drop(of->bulk[j]);
	}
}

static void pair(struct version *of)
{
	bursts(of, 1);
}

static void burst8(struct version *of)
{
	bursts(of, 8);
}

static void bulk_alloc(struct version *of)
{
	for (unsigned i = 0; i < BULK; i++)
		of->bulk[i] = of->calls.alloc_frame(of->allocated, &immediate, meta, NULL, NULL);
}

static void bulk_free(struct version *of)
{
	for (unsigned i = 0; i < BULK; i++)
		of->calls.frame_drop(of->bulk[i]);
}

/* `before` and `after` are not timed. */
static const struct row {
	const char *name;
	void (*before)(struct version *of), (*timed)(struct version *of), (*after)(struct version *of);
	unsigned nr;
} rows[] = {
	{"claim_drop", NULL, claim_drop, NULL, TURN},
	{"claim_drop_rcu", NULL, claim_drop_rcu, NULL, TURN},
	{"get_drop", NULL, get_drop, NULL, TURN},
	{"raw", NULL, raw, NULL, TURN},
	{"map", NULL, map, NULL, TURN},
	{"alloc pair", NULL, pair, NULL, TURN},
	{"alloc bursts of 8", NULL, burst8, NULL, TURN},
	{"bulk_alloc", NULL, bulk_alloc, bulk_free, BULK},
	{"bulk_free", bulk_alloc, bulk_free, NULL, BULK},
};
#define NR_ROWS (sizeof(rows) / sizeof(rows[0]))

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void fail(const char *name, const char *why)
{
	fprintf(stderr, "metaslot-versions: %s: %s\n", name, why);
	exit(1);
}

static void prepare(struct version *of)
{
	const struct mslot_region_config config = {.nr_frames = 4 * NEXT, .huge_pages = true};

	if (of->calls.thread_register())
		fail(of->name, "the thread could not be registered");
	of->claimed = of->calls.region_create(&config, NULL);
	of->allocated = of->calls.region_create(&config, NULL);
	if (!of->claimed || !of->allocated)
		fail(of->name, "no memory");
	/* Page faults are not what is timed. */
	for (unsigned i = 0; i < NEXT + 2 * OWN; i++)
		of->calls.frame_drop(of->calls.frame_claim(of->claimed, FRAME(i), &immediate, meta, NULL));
	for (unsigned i = 0; i < OWN; i++)
		of->own[i] = of->calls.frame_claim(of->claimed, HELD_FRAME(i), &immediate, meta, NULL);
}

static void *take_turns(void *arg)
{
	struct version *of = arg;

	prepare(of);
	sem_post(&of->done);
	for (;;) {
		of->calls.thread_offline();
		while (sem_wait(&of->turn))
			;
		of->calls.thread_online();
		for (unsigned half = 0; half < 2; half++) {
			const struct row *row = &rows[of->row];

			if (row->before)
				row->before(of);
			double from = now_ns();
			row->timed(of);
			of->ns = (now_ns() - from) / row->nr;
			if (row->after)
				row->after(of);
		}
		sem_post(&of->done);
	}
	return NULL;
}

static void open_version(struct version *of, const char *path)
{
	static const char *const names[] = {
		"thread_register", "region_create",  "frame_claim",	     "frame_get",      "frame_drop",
		"frame_into_raw",  "frame_from_raw", "frame_clone_into_raw", "frame_drop_raw", "alloc_frame",
		"quiescent_state", "thread_offline", "thread_online",	     "reclaim_flavor"};
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL), **calls = (void **)&of->calls;
	pthread_t thread;
	char name[64];

	_Static_assert(sizeof(names) / sizeof(names[0]) * sizeof(void *) == sizeof(of->calls), "in the same order");
	if (!library)
		fail("a library cannot be loaded", dlerror());
	of->name = path;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(name, sizeof(name), "mslot_%s", names[i]);
		calls[i] = dlsym(library, name);
		if (!calls[i])
			fail(path, dlerror());
	}
	if (strcmp(of->calls.reclaim_flavor(), mslot_reclaim_flavor()) != 0)
		fail(path, "of another flavor than this program");
	if (sem_init(&of->turn, 0, 0) || sem_init(&of->done, 0, 0) || pthread_create(&thread, NULL, take_turns, of))
		fail(path, "no thread");
	sem_wait(&of->done);
}

static int compare(const void *a, const void *b)
{
	double first = *(const double *)a, second = *(const double *)b;

	return (first > second) - (first < second);
}

/* One row: `turns` turns of each version, who begins changing. */
static void run_row(struct version *versions, unsigned nr, unsigned row, unsigned turns, double *ns)
{
	for (unsigned turn = 0; turn < turns; turn++)
		for (unsigned i = 0; i < nr; i++) {
			struct version *of = &versions[(turn + i) % nr];

			of->row = row;
			sem_post(&of->turn);
			while (sem_wait(&of->done))
				;
			ns[(of - versions) * turns + turn] = of->ns;
		}
}

static void report(struct version *versions, unsigned nr, unsigned row, unsigned turns, double *ns)
{
	double *ratio = malloc(turns * sizeof(*ratio));

	if (!ratio)
		fail(rows[row].name, "no memory");
	for (unsigned i = nr; i-- > 0;) {
		for (unsigned turn = 0; turn < turns; turn++)
			ratio[turn] = ns[i * turns + turn] / ns[turn];
		qsort(ratio, turns, sizeof(*ratio), compare);
		/* The first one's order is what the ratios are taken by: it is sorted last. */
		qsort(&ns[i * turns], turns, sizeof(*ns), compare);
		printf("%-18s %8.2f %8.2f %8.2f   %7.3f   %7.3f to %.3f   %s\n", rows[row].name, ns[i * turns],
		       ns[i * turns + turns / 4], ns[i * turns + turns / 2], ratio[turns / 2], ratio[turns / 4],
		       ratio[turns * 3 / 4], versions[i].name);
	}
	free(ratio);
}

int main(int argc, char **argv)
{
	static struct version versions[MAX_VERSIONS];
	unsigned nr = 0, turns = 200;
	int first = 1;
	cpu_set_t one;

	if (argc > 2 && !strcmp(argv[1], "--turns")) {
		turns = (unsigned)strtoul(argv[2], NULL, 10);
		first = 3;
	}
	bool wants_help = argc == 2 && !strcmp(argv[1], "--help");
	if (wants_help || argc - first < 2 || argc - first > MAX_VERSIONS || argv[first][0] == '-' || turns == 0 ||
	    turns > 100000) {
		fprintf(wants_help ? stdout : stderr,
			"usage: metaslot-versions [--turns N] LIBRARY.so LIBRARY.so...\n"
			"Times builds of the library in turns, in one process; ratios are to the first. N: 200.\n");
		return wants_help ? 0 : 2;
	}
	/* All on one processor, the first that this process may use. */
	if (!sched_getaffinity(0, sizeof(one), &one)) {
		int cpu = 0;

		while (cpu < CPU_SETSIZE - 1 && !CPU_ISSET(cpu, &one))
			cpu++;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
	}
	double *ns = malloc(MAX_VERSIONS * turns * sizeof(*ns));
	if (!ns)
		fail("turns", "no memory");
	for (; first < argc; first++)
		open_version(&versions[nr++], argv[first]);
	printf("flavor %s; ns: minimum, lower quartile, median; ratio to the first: median, quartiles\n",
	       mslot_reclaim_flavor());
	for (unsigned row = 0; row < NR_ROWS; row++) {
		run_row(versions, nr, row, turns, ns);
		report(versions, nr, row, turns, ns);
	}
	free(ns);
	return 0;
}
