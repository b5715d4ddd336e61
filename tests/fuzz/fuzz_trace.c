/* SPDX-License-Identifier: MIT
 *
 * A fuzz target: bytes are a trace file, plain or gzipped. What the reader accepts must be well-formed, and what it
 * refuses must say why and leave nothing behind.
 */
#include "trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t nr_bytes);

static void must(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "fuzz_trace: %s\n", what);
	abort();
}

static void check_event(const struct trace *trace, const struct trace_event *event)
{
	must(event->op && strchr("PAFIDGM", event->op), "an operation");
	must(event->cpu < trace->nr_cpus && trace->nr_cpus <= TRACE_MAX_CPUS, "a cpu of the header");
	must(event->pfn < trace->nr_frames, "a frame of the header");
	if (strchr("PAF", event->op))
		must(event->order <= TRACE_MAX_ORDER && event->pfn + (UINT64_C(1) << event->order) <= trace->nr_frames,
		     "a block within the frames");
	if (strchr("PA", event->op))
		must(event->kind < TRACE_NR_KINDS, "a known kind");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t nr_bytes)
{
	struct trace trace;
	char error[256] = "", path[64];
	int file = memfd_create("trace", 0);

	must(file >= 0 && write(file, bytes, nr_bytes) == (ssize_t)nr_bytes, "a file");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	if (trace_read(path, &trace, error, sizeof(error))) {
		for (uint64_t i = 0; i < trace.nr_events; i++)
			check_event(&trace, &trace.events[i]);
		trace_free(&trace);
	} else {
		must(error[0] && !trace.events, "a reason and nothing to free");
	}
	close(file);
	return 0;
}
