/* SPDX-License-Identifier: MIT
 *
 * metaslot-fill: how long an allocation takes in a region that is nearly full.
 *
 * Fills a region to levels with random holes, and at each measures one call at a time: a frame, an aligned run of 512
 * where one is left, and the answer that there is nothing left. Times include the clock, whose own are given too.
 *
 * Promises: exit 0 only if every frame that was free could be had, every run that was there was found, nothing was had
 *           when nothing was there, and the audit at the end was clean. A level that memory does not reach to is named,
 *           not faked: a level below 100 % touches the slots of all frames.
 * Needs:    jansson for the JSON; /proc/meminfo.
 * Read:     main(), then the measure functions.
 */
#include "fill_region.h"
#include "memory.h"
#include "output.h"
#include "samples.h"

#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#define MOST_FRAMES (UINT64_C(1) << 36)
#define SECONDS_PER_MEASURE 1.0
#define BATCH_MOST 4096

enum what { FRAME, RUN, CLAIM, NONE_FIRST, NONE_NEXT, NONE_AGAIN, NR_WHATS };

static const char *const what_names[NR_WHATS] = {"frame",      "run512",    "claim512",
						 "none_first", "none_next", "none_again"};

/* Parts of a million that are free. */
static const uint32_t levels[] = {1000000, 0, 1000, 10000, 100000, 500000};
#define NR_LEVELS (sizeof(levels) / sizeof(*levels))

struct options {
	uint64_t nr_frames;
	uint64_t nr_samples;
	uint64_t seed;
	bool is_stale;
	const char *json;
	FILE *json_file; /* opened before the run, which may be long */
};

struct bench {
	struct fill fill;
	const struct options *options;
	struct samples samples, claims; /* of the measure at hand; of run claims, beside those of runs */
	struct mslot_frame *batch[BATCH_MOST];
	const char *broken; /* what must not be */
};

static void usage(FILE *to)
{
	fprintf(to, "usage: metaslot-fill [options]\n"
		    "\n"
		    "Measures allocation from a region filled to levels, with random holes.\n"
		    "\n"
		    "  --size S       bytes of 4096-byte frames, 8M to 256T, with K, M, G or T (default 16G)\n"
		    "  --samples N    at most so many of each measure, and about a second (default 100000)\n"
		    "  --stale        fill by address, so that the hints are wrong\n"
		    "  --seed N       of the holes (default 1)\n"
		    "  --json FILE    write the result there\n"
		    "  --help\n");
}

static bool parse_number(const char *text, const char *suffixes, uint64_t *out)
{
	char *end;
	const char *suffix;

	*out = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9')
		return false;
	if (!*end)
		return true;
	suffix = strchr(suffixes, *end);
	if (!suffix || end[1] || *out >> 40)
		return false;
	*out <<= 10 * (unsigned)(suffix - suffixes + 1);
	return true;
}

/* 0, or the exit status plus one. */
static int parse(int argc, char **argv, struct options *options)
{
	enum { SIZE = 1, SAMPLES, STALE, SEED, JSON, HELP };
	static const struct option known[] = {
		{"size", required_argument, NULL, SIZE},
		{"samples", required_argument, NULL, SAMPLES},
		{"stale", no_argument, NULL, STALE},
		{"seed", required_argument, NULL, SEED},
		{"json", required_argument, NULL, JSON},
		{"help", no_argument, NULL, HELP},
		{0},
	};
	uint64_t bytes = UINT64_C(16) << 30;
	bool ok = true;
	int option, which = 0;

	while (ok && (option = getopt_long(argc, argv, "", known, &which)) != -1) {
		switch (option) {
		case SIZE:
			ok = parse_number(optarg, "KMGT", &bytes) && bytes >> 12 >= 4 * RUN_FRAMES &&
			     bytes >> 12 <= MOST_FRAMES;
			break;
		case SAMPLES:
			ok = parse_number(optarg, "", &options->nr_samples) && options->nr_samples;
			break;
		case STALE:
			options->is_stale = true;
			break;
		case SEED:
			ok = parse_number(optarg, "", &options->seed);
			break;
		case JSON:
			options->json = optarg;
			break;
		case HELP:
			usage(stdout);
			return 1;
		default:
			return 3;
		}
		if (!ok)
			fprintf(stderr, "metaslot-fill: --%s cannot be '%s'; --help says what it can\n",
				known[which].name, optarg);
	}
	if (ok && optind != argc)
		fprintf(stderr, "metaslot-fill: '%s' is no option; see --help\n", argv[optind]);
	if (!ok || optind != argc)
		return 3;
	options->nr_frames = bytes >> 12;
	if (options->json && !(options->json_file = fopen(options->json, "w"))) {
		fprintf(stderr, "metaslot-fill: --json %s: cannot be written\n", options->json);
		return 3;
	}
	return 0;
}

/* ---- measures ---- */

static bool goes_on(const struct bench *bench, uint64_t since)
{
	return !bench->broken && bench->samples.nr < bench->options->nr_samples &&
	       (double)(now_ns() - since) * 1e-9 < SECONDS_PER_MEASURE;
}

/* Half of what is free at a time, given back in random order. */
static void measure_frames(struct bench *bench)
{
	uint64_t since = now_ns(), half = (bench->fill.nr_free + 1) / 2;
	uint64_t nr = half < BATCH_MOST ? half : BATCH_MOST, had;

	while (nr && goes_on(bench, since)) {
		for (had = 0; had < nr; had++) {
			uint64_t from = now_ns();
			bench->batch[had] = mslot_alloc_frame(bench->fill.region, &fill_type, fill_meta, NULL, NULL);
			samples_add(&bench->samples, now_ns() - from);
			if (!bench->batch[had]) {
				bench->broken = "a frame was free and could not be had";
				break;
			}
		}
		while (had) {
			uint64_t at = fill_random(&bench->fill) % had;
			mslot_frame_drop(bench->batch[at]);
			bench->batch[at] = bench->batch[--had];
		}
	}
}

/* One call, and the drop of what it gave. */
static enum mslot_err time_run(struct samples *samples, const struct fill *fill, bool is_claim)
{
	uint64_t begin = fill->run_paddr, end = begin + ((uint64_t)RUN_FRAMES << 12);
	struct mslot_segment segment;
	uint64_t from = now_ns();
	enum mslot_err err = is_claim ? mslot_segment_claim(fill->region, begin, end, &fill_type, NULL, NULL, &segment)
				      : mslot_alloc_segment(fill->region, RUN_FRAMES, RUN_FRAMES, &fill_type, NULL,
							    NULL, NULL, &segment);

	samples_add(samples, now_ns() - from);
	if (!err)
		mslot_segment_drop(&segment);
	return err;
}

/* In turns, as one is compared with the other. */
static void measure_runs(struct bench *bench)
{
	for (uint64_t since = now_ns(); goes_on(bench, since);)
		if (time_run(&bench->samples, &bench->fill, false) || time_run(&bench->claims, &bench->fill, true))
			bench->broken = "a run was free and could not be had";
}

/* In a region without a free frame. Next: one was given back and taken since, so that nothing can be remembered. */
static void measure_none(struct bench *bench, enum what what)
{
	struct fill *fill = &bench->fill;
	uint64_t nr = 0;

	for (uint64_t since = now_ns(); goes_on(bench, since) && (what != NONE_FIRST || !nr); nr++) {
		struct mslot_frame *frame = NULL;
		enum mslot_err err = MSLOT_OK;

		if (what == NONE_NEXT) {
			uint64_t paddr = fill_random(fill) % fill->nr_frames << 12;
			(void)mslot_frame_drop_raw(fill->region, paddr);
			frame = mslot_alloc_frame(fill->region, &fill_type, fill_meta, NULL, NULL);
			if (!frame || mslot_frame_into_raw(frame) != paddr) {
				bench->broken = "the only free frame was not found";
				return;
			}
		}
		uint64_t from = now_ns();
		frame = mslot_alloc_frame(fill->region, &fill_type, fill_meta, NULL, &err);
		samples_add(&bench->samples, now_ns() - from);
		if (frame || err != MSLOT_NO_MEMORY)
			bench->broken = "no frame was free, and the answer was another";
	}
}

static void measure_clock(struct bench *bench)
{
	for (uint64_t since = now_ns(); goes_on(bench, since);) {
		uint64_t from = now_ns();
		samples_add(&bench->samples, now_ns() - from);
	}
}

/* ---- results ---- */

static void set_int(json_t *object, const char *key, uint64_t value)
{
	json_object_set_new(object, key, json_integer((json_int_t)value));
}

/* Prints a measure, gives its JSON, and makes room for another. */
static json_t *report(struct samples *samples, const char *level, const char *what)
{
	struct samples all;
	json_t *object = json_object();

	if (!samples_join(&all, samples, sizeof(all), 1))
		return object;
	uint64_t p50 = samples_percentile(&all, 0.5), p99 = samples_percentile(&all, 0.99);
	uint64_t p999 = samples_percentile(&all, 0.999), most = samples_percentile(&all, 1);

	printf("%9s  %-10s %10" PRIu64 " %12" PRIu64 " %12" PRIu64 " %12" PRIu64 " %12" PRIu64 "\n", level, what,
	       samples->nr, p50, p99, p999, most);
	set_int(object, "nr", samples->nr);
	set_int(object, "p50", p50);
	set_int(object, "p99", p99);
	set_int(object, "p999", p999);
	set_int(object, "max", most);
	samples_free(&all);
	samples->nr = 0;
	return object;
}

static void add(struct samples *samples, enum what what, const char *level, json_t *into)
{
	json_object_set_new(into, what_names[what], report(samples, level, what_names[what]));
}

static void measure_level(struct bench *bench, bool is_full, const char *level, json_t *into)
{
	static const enum what nones[] = {NONE_FIRST, NONE_AGAIN, NONE_NEXT};

	for (unsigned i = 0; is_full && i < sizeof(nones) / sizeof(*nones); i++) {
		measure_none(bench, nones[i]);
		add(&bench->samples, nones[i], level, into);
	}
	if (is_full)
		return;
	measure_frames(bench);
	add(&bench->samples, FRAME, level, into);
	measure_runs(bench);
	add(&bench->samples, RUN, level, into);
	add(&bench->claims, CLAIM, level, into);
}

static void run_levels(struct bench *bench, json_t *results, json_t *skipped)
{
	for (unsigned i = 0; i < NR_LEVELS && !bench->broken; i++) {
		json_t *result;
		char name[32];

		snprintf(name, sizeof(name), "%g %%", levels[i] / 10000.0);
		if (levels[i] != 1000000 && !fill_fits(&bench->fill)) {
			printf("%9s  left out: its slots need %.1f GiB, and %.1f GiB are available\n", name,
			       (double)bench->fill.nr_frames * MSLOT_SLOT_BYTES / (1 << 30),
			       (double)memory_available_bytes() / (1 << 30));
			json_array_append_new(skipped, json_string(name));
			continue;
		}
		bench->broken = fill_to(&bench->fill, levels[i], bench->options->is_stale);
		if (bench->broken)
			return;
		result = json_object();
		json_object_set_new(result, "free_percent", json_real(levels[i] / 10000.0));
		set_int(result, "free_frames", bench->fill.nr_free);
		measure_level(bench, !levels[i], name, result);
		json_array_append_new(results, result);
	}
}

static bool write_json(const struct options *options, json_t *root)
{
	bool ok = json_dumpf(root, options->json_file, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) == 0 &&
		  fputc('\n', options->json_file) != EOF;

	ok = fclose(options->json_file) == 0 && ok;

	if (!ok)
		fprintf(stderr, "metaslot-fill: %s cannot be written\n", options->json);
	return ok;
}

int main(int argc, char **argv)
{
	struct options options = {.nr_samples = 100000, .seed = 1};
	static struct bench bench;
	int stop = parse(argc, argv, &options);
	json_t *root, *results, *skipped, *audit;
	bool ok;

	if (stop)
		return stop - 1;
	bench.options = &options;
	if (mslot_thread_register() || !samples_init(&bench.samples) || !samples_init(&bench.claims) ||
	    !fill_open(&bench.fill, options.nr_frames, options.seed)) {
		fprintf(stderr, "metaslot-fill: no memory\n");
		return 1;
	}
	root = json_object(), results = json_array(), skipped = json_array(), audit = json_object();
	printf("%" PRIu64 " frames, seed %" PRIu64 "\n%9s  %-10s %10s %12s %12s %12s %12s\n", options.nr_frames,
	       options.seed, "free", "ns of", "samples", "p50", "p99", "p99.9", "max");
	measure_clock(&bench);
	json_object_set_new(root, "schema", json_string("metaslot-fill/1"));
	json_object_set_new(root, "impl", json_string("mslot"));
	set_int(root, "threads", 1);
	set_int(root, "frames", options.nr_frames);
	set_int(root, "seed", options.seed);
	json_object_set_new(root, "hints", json_string(options.is_stale ? "stale" : "right"));
	json_object_set_new(root, "clock", report(&bench.samples, "", "clock"));
	run_levels(&bench, results, skipped);
	if (!bench.broken)
		bench.broken = fill_empty(&bench.fill);
	json_object_set_new(audit, "clean", json_boolean(!bench.broken));
	json_object_set_new(root, "levels", results);
	json_object_set_new(root, "left_out", skipped);
	json_object_set_new(root, "audit", audit);
	ok = !bench.broken;
	if (bench.broken)
		fprintf(stderr, "metaslot-fill: %s\n", bench.broken);
	if (options.json)
		ok = write_json(&options, root) && ok;
	json_decref(root);
	samples_free(&bench.samples);
	samples_free(&bench.claims);
	fill_close(&bench.fill);
	mslot_thread_unregister();
	return output_is_written("metaslot-fill") && ok ? 0 : 1;
}
