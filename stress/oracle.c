/* SPDX-License-Identifier: MIT
 *
 * The oracle: what must hold in every mix, kept outside the table.
 *
 * Promises: a second winner of a claim, a second on_drop, and a cookie that is torn, poisoned or changed end the run.
 * Read:     stress_own() and stress_disown(), which must alternate on each frame.
 */
#include "oracle.h"

#include <stdlib.h>

enum plant stress_plant;
static _Atomic uint32_t *owned;
/* Apart, so that threads on frames of their own do not meet here. */
#define NR_STRIPES 64
static struct {
	_Alignas(64) _Atomic uint64_t nr;
} drops[NR_STRIPES];

bool oracle_init(uint64_t nr_frames)
{
	owned = calloc(nr_frames, sizeof(*owned));
	return owned != NULL;
}

uint64_t oracle_drops(void)
{
	uint64_t nr = 0;

	for (unsigned i = 0; i < NR_STRIPES; i++)
		nr += atomic_load_explicit(&drops[i].nr, memory_order_relaxed);
	return nr;
}

void stress_disown(struct cookie *cookie, uint64_t paddr)
{
	stress_check(cookie, paddr);
	if (atomic_exchange_explicit(&owned[paddr >> STRESS_FRAME_SHIFT], 0, memory_order_relaxed) != 1)
		stress_broken("on_drop ran twice for one claim", paddr);
	cookie->value = cookie->inverse = STRESS_POISON;
	atomic_fetch_add_explicit(&drops[(paddr >> STRESS_FRAME_SHIFT) / 1024 % NR_STRIPES].nr, 1,
				  memory_order_relaxed);
}

static void on_drop(void *meta, uint64_t paddr, void *memory)
{
	(void)memory;
	stress_disown(meta, paddr);
}

static void on_drop_deferred(void *meta, uint64_t paddr, void *memory)
{
	stress_aged(paddr);
	on_drop(meta, paddr, memory);
}

const struct mslot_type stress_types[2] = {
	{.name = "immediate",
	 .meta_bytes = sizeof(struct cookie),
	 .meta_align = 8,
	 .on_drop = on_drop,
	 .flags = MSLOT_TYPE_IMMEDIATE},
	{.name = "deferred", .meta_bytes = sizeof(struct cookie), .meta_align = 8, .on_drop = on_drop_deferred},
};

static uint64_t scramble(uint64_t bits)
{
	bits = (bits ^ bits >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	bits = (bits ^ bits >> 27) * UINT64_C(0x94d049bb133111eb);
	return bits ^ bits >> 31;
}

void stress_begin(struct worker *worker)
{
	worker->random = scramble(worker->seed + worker->ops++ * UINT64_C(0x9e3779b97f4a7c15)) | 1;
}

void stress_chose(struct worker *worker, char what, uint64_t where)
{
	if (worker->ops <= STRESS_SEQUENCE)
		worker->digest = scramble(worker->digest + (uint64_t)what + where * 257);
}

uint64_t stress_random(struct worker *worker)
{
	worker->random ^= worker->random << 13;
	worker->random ^= worker->random >> 7;
	return worker->random ^= worker->random << 17;
}

uint64_t stress_paddr(struct worker *worker)
{
	uint64_t random = stress_random(worker);
	bool is_hot = worker->mix->nr_frames > 64 ? (random & 15) == 0 : random & 1;

	return (is_hot ? random >> 8 & 3 : (random >> 8) % mslot_region_nr_frames(worker->region))
	       << STRESS_FRAME_SHIFT;
}

void stress_own(struct worker *worker, uint64_t paddr, struct cookie *cookie)
{
	if (atomic_exchange_explicit(&owned[paddr >> STRESS_FRAME_SHIFT], 1, memory_order_relaxed) != 0)
		stress_broken("a claim had two winners", paddr);
	if (cookie) {
		cookie->value = stress_random(worker);
		cookie->inverse = stress_plant == PLANT_COOKIE ? cookie->value : ~cookie->value;
	}
	worker->claims++;
}

static struct mslot_frame *claim(struct worker *worker, uint64_t paddr, bool deferred, uint64_t value)
{
	enum mslot_err why = MSLOT_OK;
	struct cookie cookie = {value, stress_plant == PLANT_COOKIE ? value : ~value};
	struct mslot_frame *frame = mslot_frame_claim(worker->region, paddr, &stress_types[deferred], &cookie, &why);

	if (frame || (stress_plant == PLANT_WINNERS && why == MSLOT_IN_USE))
		stress_own(worker, paddr, NULL);
	else
		stress_refused(worker, why);
	return frame;
}

struct mslot_frame *stress_claim(struct worker *worker, uint64_t paddr)
{
	uint64_t value = stress_random(worker);

	return claim(worker, paddr, (value >> 20) % worker->mix->deferred_in == 0, value);
}

struct mslot_frame *stress_claim_as(struct worker *worker, uint64_t paddr, bool deferred)
{
	return claim(worker, paddr, deferred, stress_random(worker));
}

struct mslot_frame *stress_get_or_claim(struct worker *worker, uint64_t paddr)
{
	enum mslot_err why = MSLOT_OK;
	struct mslot_frame *frame = mslot_frame_get(worker->region, paddr, &why);

	if (frame)
		return frame;
	stress_refused(worker, why);
	return stress_claim(worker, paddr);
}

void stress_check(const struct cookie *cookie, uint64_t paddr)
{
	if (cookie->value != ~cookie->inverse)
		stress_broken("a cookie is poisoned or torn", paddr);
}

void stress_check_frame(struct mslot_frame *frame, uint64_t paddr)
{
	const struct cookie *cookie = mslot_frame_meta(frame, mslot_frame_type(frame));

	if (mslot_frame_paddr(frame) != paddr || !cookie)
		stress_broken("a handle leads to another frame", paddr);
	stress_check(cookie, paddr);
}

void stress_refused(struct worker *worker, enum mslot_err why)
{
	worker->refused++;
	if (why != MSLOT_IN_USE && why != MSLOT_UNUSED && why != MSLOT_BUSY && why != MSLOT_UNIQUE &&
	    why != MSLOT_WRONG_TYPE)
		stress_broken(mslot_err_name(why), MSLOT_PADDR_NONE);
}
