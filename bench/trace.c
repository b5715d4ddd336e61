/* SPDX-License-Identifier: MIT
 *
 * The trace reader.
 *
 * Promises: every byte is checked; what is not a trace is refused with its line, never guessed at.
 * Needs:    zlib.
 */
#include "trace.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#define LINE_BYTES 256

struct reader {
	gzFile file;
	const char *path;
	uint64_t line;
	char *error;
	unsigned error_bytes;
};

__attribute__((format(printf, 2, 3))) static bool refuse(struct reader *in, const char *format, ...)
{
	va_list args;
	int n = snprintf(in->error, in->error_bytes, "%s: line %" PRIu64 ": ", in->path, in->line);

	va_start(args, format);
	if (n >= 0 && (unsigned)n < in->error_bytes)
		vsnprintf(in->error + n, in->error_bytes - (unsigned)n, format, args);
	va_end(args);
	return false;
}

/* What zlib has met in the file, or NULL. */
static const char *damage(struct reader *in)
{
	int err;
	const char *why = gzerror(in->file, &err);

	switch (err) {
	case Z_OK:
	case Z_STREAM_END:
		return NULL;
	case Z_DATA_ERROR:
		return "the compressed data is damaged";
	case Z_BUF_ERROR:
		return "the compressed data ends early";
	default:
		return why;
	}
}

/* Reads the next line, without its end. 1 read, 0 the end of the file, -1 refused. */
static int next_line(struct reader *in, char text[LINE_BYTES])
{
	in->line++;
	if (!gzgets(in->file, text, LINE_BYTES)) {
		const char *why = damage(in);
		if (why)
			refuse(in, "%s", why);
		return why ? -1 : 0;
	}
	size_t bytes = strlen(text);
	if (bytes == 0 || text[bytes - 1] != '\n') {
		refuse(in, bytes + 1 >= LINE_BYTES ? "the line is too long"
						   : "the line does not end, or holds a zero byte");
		return -1;
	}
	if (bytes > 1 && text[bytes - 2] == '\r') {
		refuse(in, "the line ends with a carriage return");
		return -1;
	}
	text[bytes - 1] = '\0';
	return 1;
}

/* Takes an unsigned number of digits in `base` off *text. */
static bool take_number(const char **text, int base, uint64_t limit, uint64_t *out)
{
	uint64_t value = 0;
	const char *at = *text;

	for (; base == 16 ? isxdigit((unsigned char)*at) : isdigit((unsigned char)*at); at++) {
		int digit = isdigit((unsigned char)*at) ? *at - '0' : tolower((unsigned char)*at) - 'a' + 10;
		if ((uint64_t)digit > limit || value > (limit - (uint64_t)digit) / (uint64_t)base)
			return false;
		value = value * (uint64_t)base + (uint64_t)digit;
	}
	if (at == *text)
		return false;
	*text = at;
	*out = value;
	return true;
}

static bool take(const char **text, const char *literal)
{
	size_t n = strlen(literal);

	if (strncmp(*text, literal, n))
		return false;
	*text += n;
	return true;
}

static bool parse_header(struct reader *in, const char *text, struct trace *trace)
{
	uint64_t cpus, frames, events;
	size_t name_bytes;

	if (!take(&text, "# page trace v1 name="))
		return refuse(in, "no header that begins with \"# page trace v1 name=\"");
	name_bytes = strcspn(text, " ");
	if (name_bytes == 0 || name_bytes >= sizeof(trace->name))
		return refuse(in, "the name is empty or too long");
	memcpy(trace->name, text, name_bytes);
	text += name_bytes;
	if (!take(&text, " cpus=") || !take_number(&text, 10, TRACE_MAX_CPUS, &cpus) || cpus == 0)
		return refuse(in, "cpus= is not the next word, or not 1 to %d", TRACE_MAX_CPUS);
	if (!take(&text, " frames=") || !take_number(&text, 10, UINT32_MAX, &frames) || frames == 0)
		return refuse(in, "frames= is not the next word, or not 1 to %" PRIu32, UINT32_MAX);
	if (!take(&text, " events=") || !take_number(&text, 10, UINT32_MAX - 2, &events) || *text)
		return refuse(in, "events= is not the next word, too large, or not the last one");
	trace->nr_cpus = (unsigned)cpus;
	trace->nr_frames = (uint32_t)frames;
	trace->nr_events = events;
	return true;
}

static bool parse_event(struct reader *in, const char *text, const struct trace *trace, struct trace_event *event)
{
	uint64_t cpu, pfn, order = 0;
	char op = text[0];

	if (!op || !strchr("PAFIDGM", op) || text[1] != ' ')
		return refuse(in, "no event: P, A, F, I, D, G or M");
	text += 2;
	if (!take_number(&text, 10, trace->nr_cpus - 1, &cpu) || !take(&text, " "))
		return refuse(in, "the cpu is missing or not below %u", trace->nr_cpus);
	if (!take_number(&text, 16, trace->nr_frames - 1, &pfn))
		return refuse(in, "the pfn is missing or not below 0x%" PRIx32, trace->nr_frames);
	*event = (struct trace_event){.pfn = (uint32_t)pfn, .cpu = (uint16_t)cpu, .op = op};
	if (strchr("PAF", op)) {
		if (!take(&text, " ") || !take_number(&text, 10, TRACE_MAX_ORDER, &order))
			return refuse(in, "the order is missing or above %d", TRACE_MAX_ORDER);
		if ((UINT64_C(1) << order) > trace->nr_frames - pfn)
			return refuse(in, "the block ends beyond the last frame");
		event->order = (uint8_t)order;
	}
	if (op == 'P' || op == 'A') {
		const char *kind = text[0] == ' ' && text[1] ? strchr(TRACE_KINDS, text[1]) : NULL;
		if (!kind)
			return refuse(in, "the kind is missing or none of " TRACE_KINDS);
		event->kind = (uint8_t)(kind - TRACE_KINDS);
		text += 2;
	}
	if (*text)
		return refuse(in, "something follows the event");
	return true;
}

static bool read_events(struct reader *in, struct trace *trace)
{
	/* Grown as lines come: a header that lies costs nothing. */
	uint64_t room = 0;
	char text[LINE_BYTES];

	for (uint64_t i = 0;; i++) {
		int got = next_line(in, text);
		if (got < 0)
			return false;
		if (got == 0 && i < trace->nr_events)
			return refuse(in, "the trace ends after %" PRIu64 " of %" PRIu64 " events", i,
				      trace->nr_events);
		if (got == 0)
			return true;
		if (i == trace->nr_events)
			return refuse(in, "more lines than the %" PRIu64 " events of the header", trace->nr_events);
		if (i == room) {
			room = room ? 2 * room : 1024;
			struct trace_event *more = realloc(trace->events, room * sizeof(*more));
			if (!more)
				return refuse(in, "no memory for the events");
			trace->events = more;
		}
		if (!parse_event(in, text, trace, &trace->events[i]))
			return false;
	}
}

/*
 * zlib passes over what follows the compressed data. The length of its text ends it, or of its last part, where files
 * were put one after the other; what is no such length is something else. That part may be empty: some writers mark the
 * end so. Of a pipe, nothing can be told.
 */
static bool ends_with_length(const char *path, uint64_t bytes)
{
	static const unsigned char empty[10] = {3};
	unsigned char end[10];
	struct stat is;

	if (stat(path, &is) == 0 && !S_ISREG(is.st_mode))
		return true;
	FILE *file = fopen(path, "rb");
	bool ok = file && !fseek(file, -10, SEEK_END) && fread(end, 1, 10, file) == 10;
	if (file)
		fclose(file);
	uint32_t length = ok ? end[6] | (uint32_t)end[7] << 8 | (uint32_t)end[8] << 16 | (uint32_t)end[9] << 24 : 0;
	return length > 0 ? length <= bytes : ok && !memcmp(end, empty, sizeof(empty));
}

/* A wrong line may come of damage that zlib sees only later, by the checksum: so the rest is read, within reason. */
static void look_for_damage(struct reader *in)
{
	static const unsigned most = 1 << 16;
	char bytes[1 << 14];
	const char *why;

	for (unsigned i = 0; i < most && gzread(in->file, bytes, sizeof(bytes)) > 0; i++)
		;
	why = damage(in);
	if (why)
		refuse(in, "%s", why);
}

bool trace_read(const char *path, struct trace *trace, char *error, unsigned error_bytes)
{
	struct reader in = {.file = gzopen(path, "rb"), .path = path, .error = error, .error_bytes = error_bytes};
	char text[LINE_BYTES];
	bool ok;

	*trace = (struct trace){0};
	if (!in.file) {
		snprintf(error, error_bytes, "%s: cannot be opened", path);
		return false;
	}
	gzbuffer(in.file, 1 << 17);
	int got = next_line(&in, text);
	if (got == 0)
		refuse(&in, "the file is empty");
	ok = got == 1 && parse_header(&in, text, trace) && read_events(&in, trace);
	if (!ok && !gzdirect(in.file))
		look_for_damage(&in);
	if (ok && !gzdirect(in.file) && !ends_with_length(path, (uint64_t)gztell(in.file)))
		ok = refuse(&in, "something follows the compressed data");
	/* The checksum is only looked at now. */
	if (gzclose_r(in.file) != Z_OK && ok)
		ok = refuse(&in, "the compressed data ends early");
	if (!ok)
		trace_free(trace);
	return ok;
}

void trace_free(struct trace *trace)
{
	free(trace->events);
	trace->events = NULL;
}
