/* SPDX-License-Identifier: MIT
 *
 * The trace reader refuses what is damaged, with its line, and reads what is not.
 */
#include "trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#define HEADER "# page trace v1 name=t cpus=2 frames=16 events="

static char path[] = "metaslot-trace-XXXXXX"; /* in the build folder */

/* Writes bytes as they are, or gzipped. */
static void write_file(const void *bytes, size_t nr_bytes, bool is_gzipped)
{
	if (is_gzipped) {
		gzFile file = gzopen(path, "wb");
		assert_int_equal(gzwrite(file, bytes, (unsigned)nr_bytes), (int)nr_bytes);
		assert_int_equal(gzclose(file), Z_OK);
	} else {
		FILE *file = fopen(path, "wb");
		assert_int_equal(fwrite(bytes, 1, nr_bytes, file), nr_bytes);
		fclose(file);
	}
}

static void assert_refused(const char *text, const char *where)
{
	struct trace trace;
	char error[256];

	for (int gzipped = 0; gzipped < 2; gzipped++) {
		write_file(text, strlen(text), gzipped);
		assert_false(trace_read(path, &trace, error, sizeof(error)));
		if (!strstr(error, where))
			fail_msg("\"%s\" does not say \"%s\"", error, where);
		assert_null(trace.events);
	}
}

static void a_whole_trace_is_read(void **state)
{
	struct trace trace;
	char error[256];
	const char *text = HEADER "4\nP 0 3 0 u\nA 1 8 3 c\nI 1 f\nF 0 8 3\n";

	(void)state;
	write_file(text, strlen(text), true);
	assert_true(trace_read(path, &trace, error, sizeof(error)));
	assert_int_equal(trace.nr_events, 4);
	assert_int_equal(trace.nr_cpus, 2);
	assert_int_equal(trace.nr_frames, 16);
	assert_int_equal(trace.events[1].order, 3);
	assert_int_equal(trace.events[1].cpu, 1);
	assert_int_equal(trace.events[2].pfn, 15);
	trace_free(&trace);
}

static void a_bad_header_is_refused(void **state)
{
	(void)state;
	assert_refused("", "line 1: the file is empty");
	assert_refused("A 0 1 0 u\n", "line 1: no header");
	assert_refused("# page trace v2 name=t cpus=2 frames=16 events=0\n", "line 1: no header");
	assert_refused("# page trace v1 name=t cpus=0 frames=16 events=0\n", "line 1: cpus=");
	assert_refused("# page trace v1 name=t cpus=2 frames=0 events=0\n", "line 1: frames=");
	assert_refused("# page trace v1 name=t cpus=2 frames=99999999999999999999 events=0\n", "line 1: frames=");
	assert_refused(HEADER "-1\n", "line 1: events=");
	assert_refused(HEADER "1 \nA 0 1 0 u\n", "line 1: events=");
	assert_refused(HEADER "1\r\nA 0 1 0 u\r\n", "line 1: the line ends with a carriage return");
}

static void a_bad_event_is_refused_with_its_line(void **state)
{
	static const char *const bad[] = {"X 0 1",     "A 2 1 0 u", "A 0 10 0 u",     "A 0 1 5 u",	 "A 0 f 1 u",
					  "A 0 1 0 z", "A 0 1 0",   "A 0 1 0 u x",    "F 0 1",		 "I 0",
					  "M 0 zz",    "",	    "A 0 1 999999 u", "G 99999999999 1", "A 0 -1 0 u",
					  "D 0 1 ",    "A  0 1 0 u"};
	char text[256];

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		snprintf(text, sizeof(text), HEADER "2\nA 0 1 0 u\n%s\n", bad[i]);
		assert_refused(text, "line 3: ");
	}
}

static void too_few_and_too_many_events_are_refused(void **state)
{
	(void)state;
	assert_refused(HEADER "2\nA 0 1 0 u\n", "line 3: the trace ends after 1 of 2 events");
	assert_refused(HEADER "1\nA 0 1 0 u\nF 0 1 0\n", "line 3: more lines");
	assert_refused(HEADER "1\nA 0 1 0 u", "line 2: ");
}

static void damaged_compression_is_refused(void **state)
{
	enum { EVENTS = 4000 };
	char *text = malloc(EVENTS * 16 + 128), error[256];
	unsigned char bytes[1 << 16];
	struct trace trace;
	int n = sprintf(text, HEADER "%d\n", EVENTS);

	(void)state;
	srand(1);
	for (int i = 0; i < EVENTS; i++)
		n += sprintf(text + n, "M %d %x\n", rand() % 2, (unsigned)rand() % 16);
	write_file(text, (size_t)n, true);
	free(text);
	FILE *file = fopen(path, "rb");
	size_t nr_bytes = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	/* Cut anywhere, the last byte of the checksum included. */
	for (size_t cut = 1; cut < nr_bytes; cut += cut + 200 < nr_bytes ? 97 : 1) {
		write_file(bytes, cut, false);
		assert_false(trace_read(path, &trace, error, sizeof(error)));
		assert_non_null(strstr(error, "line "));
	}
	/* A flipped bit, of the data or of the checksum: whatever line it makes wrong, it is no line that was written.
	 */
	for (size_t at = 20; at <= nr_bytes - 6; at += at + 200 < nr_bytes ? 97 : 1) {
		bytes[at] ^= 1;
		write_file(bytes, nr_bytes, false);
		bytes[at] ^= 1;
		assert_false(trace_read(path, &trace, error, sizeof(error)));
		assert_non_null(strstr(error, "line "));
		if (!strstr(error, "the compressed data "))
			fail_msg("byte %zu: %s", at, error);
	}
}

static void what_follows_the_compression_is_refused(void **state)
{
	static const char *const more[] = {"x", "left over from somewhere", "\0\0\0\0\0\0\0\0"};
	const char *text = HEADER "1\nP 0 3 0 u\n";
	struct trace trace;
	char error[256];

	(void)state;
	for (unsigned i = 0; i < sizeof(more) / sizeof(*more); i++) {
		write_file(text, strlen(text), true);
		FILE *file = fopen(path, "ab");
		assert_true(fwrite(more[i], 1, i == 2 ? 8 : strlen(more[i]), file) > 0);
		fclose(file);
		assert_false(trace_read(path, &trace, error, sizeof(error)));
		assert_non_null(strstr(error, "something follows"));
		assert_null(trace.events);
	}
}

/* As gzip reads them, too. */
static void parts_that_follow_each_other_are_one_trace(void **state)
{
	static const char *const parts[] = {HEADER "2\nP 0 3", " 0 u\n", "", "F 0 3 0\n", ""};
	struct trace trace;
	char error[256];

	(void)state;
	for (unsigned i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		gzFile file = gzopen(path, i ? "ab" : "wb");
		assert_int_equal(gzputs(file, parts[i]), (int)strlen(parts[i]));
		assert_int_equal(gzclose(file), Z_OK);
	}
	assert_true(trace_read(path, &trace, error, sizeof(error)));
	assert_int_equal(trace.nr_events, 2);
	trace_free(&trace);
}

static void a_pipe_is_read(void **state)
{
	const char *text = HEADER "1\nP 0 3 0 u\n";
	struct trace trace;
	char error[256], bytes[512], name[32];
	int ends[2];

	(void)state;
	write_file(text, strlen(text), true);
	FILE *file = fopen(path, "rb");
	size_t nr_bytes = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], bytes, nr_bytes), (ssize_t)nr_bytes);
	close(ends[1]);
	snprintf(name, sizeof(name), "/dev/fd/%d", ends[0]);
	assert_true(trace_read(name, &trace, error, sizeof(error)));
	assert_int_equal(trace.nr_events, 1);
	trace_free(&trace);
	close(ends[0]);
}

static void a_missing_file_is_refused(void **state)
{
	struct trace trace;
	char error[256];

	(void)state;
	assert_false(trace_read("/nonexistent/trace", &trace, error, sizeof(error)));
	assert_non_null(strstr(error, "cannot be opened"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_trace_is_read),
		cmocka_unit_test(a_bad_header_is_refused),
		cmocka_unit_test(a_bad_event_is_refused_with_its_line),
		cmocka_unit_test(too_few_and_too_many_events_are_refused),
		cmocka_unit_test(damaged_compression_is_refused),
		cmocka_unit_test(what_follows_the_compression_is_refused),
		cmocka_unit_test(parts_that_follow_each_other_are_one_trace),
		cmocka_unit_test(a_pipe_is_read),
		cmocka_unit_test(a_missing_file_is_refused),
	};
	close(mkstemp(path));
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
