/* SPDX-License-Identifier: MIT
 *
 * One thread claims and drops a few frames of a deferred type, whose on_drop writes to the metadata; another peeks and
 * reads it, all in plain memory. Without grace periods that is a race, and ThreadSanitizer reports it.
 */
#include <metaslot/metaslot.h>

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define NR_FRAMES 4

static struct mslot_region *region;
static _Atomic bool stop;
static _Atomic uint64_t sum;

static void poison(void *meta, uint64_t paddr, void *memory)
{
	(void)paddr, (void)memory;
	*(uint64_t *)meta = 0xdead;
}

static const struct mslot_type type = {.meta_bytes = sizeof(uint64_t), .meta_align = 8, .on_drop = poison};

static void *come_and_go(void *arg)
{
	uint64_t value = 1;

	(void)arg;
	if (mslot_thread_register())
		return &stop;
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		mslot_frame_drop(mslot_frame_claim(region, value % NR_FRAMES << 12, &type, &value, NULL));
		value++;
		mslot_quiescent_state();
	}
	mslot_thread_unregister();
	return NULL;
}

static void *peek(void *arg)
{
	(void)arg;
	if (mslot_thread_register())
		return &stop;
	for (uint64_t i = 0; !atomic_load_explicit(&stop, memory_order_relaxed); i++) {
		const uint64_t *value;

		mslot_read_lock();
		value = mslot_peek(region, i % NR_FRAMES << 12, &type, NULL);
		if (value)
			atomic_fetch_add_explicit(&sum, *value, memory_order_relaxed);
		mslot_read_unlock();
		mslot_quiescent_state();
	}
	mslot_thread_unregister();
	return NULL;
}

int main(void)
{
	pthread_t threads[2];
	void *failed[2];

	region = mslot_region_create(&(struct mslot_region_config){.nr_frames = NR_FRAMES}, NULL);
	if (!region || pthread_create(&threads[0], NULL, come_and_go, NULL) ||
	    pthread_create(&threads[1], NULL, peek, NULL))
		return 1;
	usleep(300000);
	atomic_store_explicit(&stop, true, memory_order_relaxed);
	pthread_join(threads[0], &failed[0]);
	pthread_join(threads[1], &failed[1]);
	return failed[0] || failed[1] || mslot_region_destroy(region) != MSLOT_OK;
}
