/* SPDX-License-Identifier: MIT
 *
 * The histogram of ages.
 *
 * Promises: an age is from the beginning of a frame's last drop to its on_drop, of one frame in eight. Percentiles are
 *           at most an eighth too high. (Debian 12 ships no HDR histogram for C.)
 * Read:     the calls that drop are wrapped by the linker, as any of them may be the last. stress_aged() is called from
 *           on_drop of the deferred types, on whatever thread that runs.
 *
 *   bucket     0 ... 7 | 8 ... 15 | 16 17 18 ... 23    | 24 25 ...
 *   ns from    0 ... 7 | 8 ... 15 | 16 18 20 ... 30    | 32 36 ...      eight for each power of two
 */
#include "ages.h"

#include "mix.h"
#include "run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ONE_IN 8
#define PER_OCTAVE 8
#define NR_BUCKETS (64 * PER_OCTAVE)

static _Atomic uint64_t *dropped_ns; /* of each frame that is looked at; 0: recycled, or not dropped yet */
static _Atomic uint64_t buckets[NR_BUCKETS];
static _Atomic uint64_t longest_ns;

bool ages_init(uint64_t nr_frames)
{
	dropped_ns = calloc(nr_frames / ONE_IN + 1, sizeof(*dropped_ns));
	return dropped_ns != NULL;
}

/* ---- when a frame was dropped ---- */

static void drops(uint64_t paddr)
{
	uint64_t index = paddr >> STRESS_FRAME_SHIFT;

	if (index % ONE_IN == 0)
		atomic_store_explicit(&dropped_ns[index / ONE_IN], now_ns(), memory_order_relaxed);
}

void __real_mslot_frame_drop(struct mslot_frame *frame);
enum mslot_err __real_mslot_frame_drop_raw(struct mslot_region *region, uint64_t paddr);
void __real_mslot_unique_drop(struct mslot_unique *unique);
void __real_mslot_segment_drop(struct mslot_segment *segment);
void __wrap_mslot_frame_drop(struct mslot_frame *frame);
enum mslot_err __wrap_mslot_frame_drop_raw(struct mslot_region *region, uint64_t paddr);
void __wrap_mslot_unique_drop(struct mslot_unique *unique);
void __wrap_mslot_segment_drop(struct mslot_segment *segment);

void __wrap_mslot_frame_drop(struct mslot_frame *frame)
{
	if (frame)
		drops(mslot_frame_paddr(frame));
	__real_mslot_frame_drop(frame);
}

enum mslot_err __wrap_mslot_frame_drop_raw(struct mslot_region *region, uint64_t paddr)
{
	drops(paddr);
	return __real_mslot_frame_drop_raw(region, paddr);
}

void __wrap_mslot_unique_drop(struct mslot_unique *unique)
{
	if (unique)
		drops(mslot_unique_paddr(unique));
	__real_mslot_unique_drop(unique);
}

void __wrap_mslot_segment_drop(struct mslot_segment *segment)
{
	for (uint64_t paddr = segment->start; paddr < segment->end; paddr += STRESS_FRAME)
		drops(paddr);
	__real_mslot_segment_drop(segment);
}

/* ---- how long it took ---- */

static unsigned bucket_of(uint64_t ns)
{
	if (ns < PER_OCTAVE)
		return (unsigned)ns;
	unsigned shift = 63 - (unsigned)__builtin_clzll(ns) - 3;

	return shift * PER_OCTAVE + (unsigned)(ns >> shift);
}

/* The least that is beyond it. */
static uint64_t end_of(unsigned bucket)
{
	unsigned shift = bucket < 2 * PER_OCTAVE ? 0 : bucket / PER_OCTAVE - 1;

	return ((uint64_t)bucket - shift * PER_OCTAVE + 1) << shift;
}

void stress_aged(uint64_t paddr)
{
	uint64_t index = paddr >> STRESS_FRAME_SHIFT;

	if (index % ONE_IN)
		return;
	uint64_t since = atomic_exchange_explicit(&dropped_ns[index / ONE_IN], 0, memory_order_relaxed);
	if (!since)
		return;
	uint64_t age = now_ns() - since;
	uint64_t longest = atomic_load_explicit(&longest_ns, memory_order_relaxed);
	while (age > longest && !atomic_compare_exchange_weak_explicit(&longest_ns, &longest, age, memory_order_relaxed,
								       memory_order_relaxed))
		;
	atomic_fetch_add_explicit(&buckets[bucket_of(age)], 1, memory_order_relaxed);
}

/* ---- what it came to ---- */

static uint64_t count(unsigned from, unsigned to)
{
	uint64_t nr = 0;

	for (unsigned i = from; i < to; i++)
		nr += atomic_load_explicit(&buckets[i], memory_order_relaxed);
	return nr;
}

static uint64_t percentile(double share)
{
	double wanted = share * (double)count(0, NR_BUCKETS);
	uint64_t nr = 0, longest = atomic_load(&longest_ns);

	for (unsigned i = 0; i < NR_BUCKETS; i++)
		if ((double)(nr += count(i, i + 1)) > wanted)
			return end_of(i) < longest ? end_of(i) : longest;
	return longest;
}

void ages_report(void)
{
	uint64_t all = count(0, NR_BUCKETS), most = 0;

	if (!all)
		return;
	printf("ages of deferred frames, last drop to on_drop: p50 %.3f ms, p99 %.3f ms, p99.9 %.3f ms, most %.3f ms\n",
	       (double)percentile(0.5) * 1e-6, (double)percentile(0.99) * 1e-6, (double)percentile(0.999) * 1e-6,
	       (double)atomic_load(&longest_ns) * 1e-6);
	for (unsigned i = 0; i < NR_BUCKETS; i += PER_OCTAVE)
		most = count(i, i + PER_OCTAVE) > most ? count(i, i + PER_OCTAVE) : most;
	for (unsigned i = 0; i < NR_BUCKETS; i += PER_OCTAVE) {
		uint64_t nr = count(i, i + PER_OCTAVE);
		if (nr)
			printf("  below %10.3f ms %12" PRIu64 "  %.*s\n", (double)end_of(i + PER_OCTAVE - 1) * 1e-6, nr,
			       (int)((nr * 40 + most - 1) / most), "########################################");
	}
}

json_t *ages_json(void)
{
	json_t *histogram = json_array();

	for (unsigned i = 0; i < NR_BUCKETS; i += PER_OCTAVE) {
		uint64_t nr = count(i, i + PER_OCTAVE);
		if (nr)
			json_array_append_new(
				histogram, json_pack("[I, I]", (json_int_t)end_of(i + PER_OCTAVE - 1), (json_int_t)nr));
	}
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o}", "nr", (json_int_t)count(0, NR_BUCKETS), "p50",
			 (json_int_t)percentile(0.5), "p99", (json_int_t)percentile(0.99), "p999",
			 (json_int_t)percentile(0.999), "max", (json_int_t)atomic_load(&longest_ns), "below",
			 histogram);
}
