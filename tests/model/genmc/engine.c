/* SPDX-License-Identifier: MIT
 *
 * Runs one scenario, unchanged, under GenMC: all its executions that RC11 allows.
 *
 * Promises: the region is as each execution of engine.cc finds it, but that metadata is uninitialised, which GenMC
 *           reports if it is read; counters and sections of readers order nothing that the subject does not.
 * Needs:    MODEL_INDEX, the scenario's place in `models`; to be linked as bitcode with the scenario and the sources.
 *           Slots are on the heap, whose addresses are small in GenMC: the table by address needs its first entry, and
 *           nobody counts a backlog. memcpy() and memset() are the two below: GenMC knows no access of mixed sizes, and
 *           scenarios read metadata by words. No grace-period thread: who waits for a grace period waits for readers.
 */
#include "model.h"
#include "reclaim/reclaim.h"

/* GenMC's own. */
void __VERIFIER_assert_fail(const char *what, const char *file, int line);
void __VERIFIER_assume(int condition);
void *__VERIFIER_malloc_aligned(size_t align, size_t bytes);
int __VERIFIER_thread_create(const void *attr, void *(*fn)(void *), void *arg);
void *__VERIFIER_thread_join(long thread);

void model_fail(const char *what, const char *file, int line)
{
	__VERIFIER_assert_fail(what, file, line);
}

/* Unrolled: a loop becomes intrinsics that GenMC does not know. Metadata has at most five words. */
void *copy_words(void *to, const void *from, size_t bytes)
{
	uint64_t *out = to;
	const uint64_t *in = from;

	if (bytes >= 8)
		out[0] = in[0];
	if (bytes >= 16)
		out[1] = in[1];
	if (bytes >= 24)
		out[2] = in[2];
	if (bytes >= 32)
		out[3] = in[3];
	if (bytes >= 40)
		out[4] = in[4];
	return to;
}

void *clear_words(void *to, int zero, size_t bytes)
{
	static const uint64_t zeros[5];

	(void)zero;
	return copy_words(to, zeros, bytes);
}

/* In place of a memset() of constant size, which GenMC does not know, either. What the sources zero is words, or static
 * data that nothing was written to: GenMC's addresses of those are negative. Both as they stand, or LLVM would see to
 * that. */
__attribute__((used, noinline, optnone)) void zero_words(void *at, size_t bytes)
{
	uint64_t *word = at, *end = word + bytes / 8;

	for (; word != end; word++)
		if ((intptr_t)at < 0)
			MODEL_CHECK(*word == 0);
		else
			*word = 0;
}

/* In place of a saturating difference. */
__attribute__((used, noinline, optnone)) uint64_t less_by(uint64_t from, uint64_t what)
{
	return from > what ? from - what : 0;
}

/* ---- the region, as frames.c has it ---- */

_Alignas(64) static char hints[1024];
static struct node_range ranges[] = {{.end = MODEL_FRAMES, .hints = hints}};
static struct {
	struct mslot_region region;
	_Atomic uint8_t grains[2];
} made = {{.nr_frames = MODEL_FRAMES,
	   .frame_shift = 12,
	   .backlog_limit = INT64_MAX,
	   .id = 1,
	   .nr_ranges = 1,
	   .ranges = ranges,
	   .known_types = {[0 ... NR_KNOWN_TYPES - 1] = KNOWN_NONE}},
	  {GRAIN_TOUCHED, GRAIN_UNTOUCHED}};

struct mslot_region *const model_region = &made.region;

static void open_region(void)
{
	struct slot *slots = __VERIFIER_malloc_aligned(sizeof(struct slot), MODEL_FRAMES * sizeof(struct slot));

	for (unsigned i = 0; i < MODEL_FRAMES; i++) {
		atomic_init(&slots[i].state, 0);
		atomic_init(&slots[i].type, 0);
	}
	made.region.slots = slots;
	atomic_init(&region_of_chunk[0], &made.region);
}

/* ---- counters: one of each thread, added up when all have ended ---- */

static int counters[MODEL_THREADS_MAX + 1][MODEL_COUNTERS];
static _Thread_local unsigned self;

void model_add(unsigned counter, int n)
{
	counters[self][counter] += n;
}

int model_count(unsigned counter)
{
	int sum = counters[self][counter];

	for (unsigned i = 1; !self && i <= MODEL_THREADS_MAX; i++)
		sum += counters[i][counter];
	return sum;
}

void fault_report(const struct mslot_fault *fault)
{
	(void)fault;
	model_add(MODEL_FAULTS, 1);
}

/* ---- RCU, with its guarantee and no more; where nobody waits, sections order nothing ---- */

static _Atomic unsigned section[MODEL_THREADS_MAX + 1]; /* odd inside */
static _Thread_local unsigned nesting;

/* Nobody takes a queue over. */
void model_use_barrier(void)
{
}

void model_read_lock(void)
{
	if (nesting++)
		return;
	atomic_store_explicit(&section[self], atomic_load_explicit(&section[self], memory_order_relaxed) + 1,
			      memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
}

void model_read_unlock(void)
{
	if (--nesting)
		return;
	atomic_store_explicit(&section[self], atomic_load_explicit(&section[self], memory_order_relaxed) + 1,
			      memory_order_release);
}

bool model_in_section(void)
{
	return nesting != 0;
}

void model_synchronize(void)
{
	atomic_thread_fence(memory_order_seq_cst);
	for (unsigned i = 1; i <= MODEL_THREADS_MAX; i++) {
		unsigned seen = atomic_load_explicit(&section[i], memory_order_acquire);

		if (seen % 2)
			__VERIFIER_assume(atomic_load_explicit(&section[i], memory_order_acquire) != seen);
	}
	atomic_thread_fence(memory_order_seq_cst);
}

/* ---- in place of grace_thread.c ---- */

bool grace_thread_is_self(void)
{
	return false;
}

enum mslot_err grace_thread_wait(bool drain)
{
	MODEL_CHECK(!drain);
	model_synchronize();
	return MSLOT_OK;
}

void grace_thread_wake(void)
{
}

void grace_thread_adopt(struct slot *head, struct slot *tail)
{
	(void)head, (void)tail;
	MODEL_CHECK(!"a slot is left to the grace-period thread");
}

void model_daemon(void)
{
}

/* ---- the scenario ---- */

static void *run(void *nr)
{
	self = (unsigned)(uintptr_t)nr;
	models[MODEL_INDEX].thread[self - 1]();
	return NULL;
}

int main(void)
{
	const struct model *model = &models[MODEL_INDEX];
	long threads[MODEL_THREADS_MAX];
	unsigned nr = 0;

	open_region();
	if (model->before)
		model->before();
	for (; nr < MODEL_THREADS_MAX && model->thread[nr]; nr++)
		threads[nr] = __VERIFIER_thread_create(NULL, run, (void *)(uintptr_t)(nr + 1));
	for (unsigned i = 0; i < nr; i++)
		__VERIFIER_thread_join(threads[i]);
	if (model->after)
		model->after();
	return 0;
}
