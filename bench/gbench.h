/* SPDX-License-Identifier: MIT
 *
 * The door to Google Benchmark, for C.
 *
 * A benchmark is a function that is called once a thread and runs batches until it is told to stop:
 *
 *     static void body(struct gbench_run *run, void *ctx)
 *     {
 *             ... set this thread up ...
 *             while (gbench_batch(run, 4096))
 *                     for (int i = 0; i < 4096; i++)
 *                             ...
 *     }
 *
 * gbench_batch() costs about 3 ns. In a batch of 4096 operations of 5 ns each that is one part in 7000; 512 would be
 * enough for one part in 800 (docs/benchmarks.md has the measurement).
 */
#ifndef BENCH_GBENCH_H
#define BENCH_GBENCH_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gbench_run;

/* True while another batch of `nr` iterations is to be run; the first call starts the clock, on all threads at once. */
bool gbench_batch(struct gbench_run *run, int64_t nr);

/*
 * Where threads contend, a fixed number of iterations would favour unfair locks: one thread does its share alone, then
 * the next. So there one iteration is a window of wall-clock time, in which each thread does what it can:
 *
 *     while (gbench_window(run))
 *             do
 *                     ... GBENCH_CHUNK operations ...
 *             while (gbench_window_open(run, GBENCH_CHUNK));
 */
#define GBENCH_CHUNK 64
bool gbench_window(struct gbench_run *run);
/* Looks at the clock, which costs 25 ns; `nr` operations were done since it last did. */
bool gbench_window_open(struct gbench_run *run, int64_t nr);

/* Calls `fn` around each wait of a thread for the others, at both ends of its loop. To be set before gbench_main(). */
void gbench_on_wait(void (*fn)(bool begins));

/* Stops and starts the calling thread's clock, at some 200 ns each. */
void gbench_pause(struct gbench_run *run);
void gbench_resume(struct gbench_run *run);

int gbench_thread(const struct gbench_run *run);
int gbench_threads(const struct gbench_run *run);

/* After the loop: adds to the sum (or, averaged over threads, the mean) that is reported under `name`. */
void gbench_count(struct gbench_run *run, const char *name, double value, bool is_average);

/* Ends the benchmark with an error; the body returns after it. */
void gbench_fail(struct gbench_run *run, const char *why);

/* Registers `name` for each of the thread counts (ended by 0): wall-clock time, and items_per_second counting every
 * operation of every thread. */
void gbench_register(const char *name, const int *threads, void (*body)(struct gbench_run *run, void *ctx), void *ctx);

/* Runs what the command line asks for; the exit status. Unknown flags are refused. */
int gbench_main(int argc, char **argv);

#ifdef __cplusplus
}
#endif
#endif
