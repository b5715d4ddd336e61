/* SPDX-License-Identifier: MIT
 *
 * The library's threads are ordinary ones, whoever is first to register: not in the background, nor on one processor.
 */
#include "util.h"

#include <dirent.h>
#include <sched.h>
#include <stdlib.h>

static pid_t first;

static void ignore_stall(const struct mslot_stall *stall, void *ctx)
{
	(void)stall, (void)ctx;
}

/* Not SCHED_IDLE: who is not root may not leave it. */
static void *register_from_the_background(void *arg)
{
	cpu_set_t cpus, one;
	int cpu = 0;

	first = gettid();
	assert_int_equal(sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0}), 0);
	assert_int_equal(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
	while (!CPU_ISSET(cpu, &cpus))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	assert_err(mslot_thread_register(), MSLOT_OK);
	assert_err(mslot_set_stall_handler(ignore_stall, NULL), MSLOT_OK);
	return arg;
}

static void its_threads_are_ordinary_whoever_registers_first(void **state)
{
	DIR *tasks = opendir("/proc/self/task");
	cpu_set_t all, cpus;
	pthread_t thread;
	unsigned nr = 0;
	(void)state;

	assert_non_null(tasks);
	assert_int_equal(pthread_create(&thread, NULL, register_from_the_background, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	for (struct dirent *task; (task = readdir(tasks));) {
		pid_t id = (pid_t)atoi(task->d_name);

		if (!id || id == getpid() || id == first)
			continue;
		assert_int_equal(sched_getscheduler(id), SCHED_OTHER);
		assert_int_equal(sched_getaffinity(id, sizeof(cpus), &cpus), 0);
		assert_true(CPU_EQUAL(&cpus, &all));
		nr++;
	}
	closedir(tasks);
	/* Grace periods, stalls; a sanitizer may have one, too. */
	assert_true(nr >= 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_threads_are_ordinary_whoever_registers_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
