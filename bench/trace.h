/* SPDX-License-Identifier: MIT
 *
 * Reads a page trace: gzipped (or plain) text, a header line, then an event a line. docs/benchmarks.md, "The replays",
 * says what the lines mean.
 */
#ifndef BENCH_TRACE_H
#define BENCH_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#define TRACE_KINDS "uckt"
#define TRACE_NR_KINDS 4
#define TRACE_MAX_ORDER 20
#define TRACE_MAX_CPUS 1024

struct trace_event {
	uint32_t pfn;
	uint16_t cpu;
	uint8_t order;
	char op;      /* one of PAFIDGM */
	uint8_t kind; /* index into TRACE_KINDS, for P and A */
};

struct trace {
	char name[64];
	unsigned nr_cpus;
	uint32_t nr_frames;
	uint64_t nr_events;
	struct trace_event *events; /* in file order; event i stands on line i + 2 */
};

/*
 * Reads the whole of `path`. False on anything but a complete, well-formed trace: `error` then says
 * what is wrong and on which line, and `trace` holds nothing to free.
 */
bool trace_read(const char *path, struct trace *trace, char *error, unsigned error_bytes);

void trace_free(struct trace *trace);

#endif
