/* SPDX-License-Identifier: MIT
 *
 * The library's threads are ordinary ones, whoever is first to register: not in the background, nor on one processor.
 */
#include "util.h"

#include <dirent.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/wait.h>

static pid_t first;

static void ignore_stall(const struct mslot_stall *stall, void *ctx)
{
	(void)stall, (void)ctx;
}

static void pin_to_one_processor(pid_t thread)
{
	cpu_set_t cpus, one;
	int cpu = 0;

	assert_int_equal(sched_getaffinity(thread, sizeof(cpus), &cpus), 0);
	while (!CPU_ISSET(cpu, &cpus))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	assert_int_equal(sched_setaffinity(thread, sizeof(one), &one), 0);
}

static void *register_first(void *arg)
{
	first = gettid();
	assert_err(mslot_thread_register(), MSLOT_OK);
	assert_err(mslot_set_stall_handler(ignore_stall, NULL), MSLOT_OK);
	return arg;
}

/* Not SCHED_IDLE: who is not root may not leave it. */
static void *register_from_the_background(void *arg)
{
	assert_int_equal(sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0}), 0);
	pin_to_one_processor(0);
	return register_first(arg);
}

static void expect_ordinary_threads(const cpu_set_t *expected)
{
	DIR *tasks = opendir("/proc/self/task");
	cpu_set_t cpus;
	unsigned nr = 0;

	assert_non_null(tasks);
	for (struct dirent *task; (task = readdir(tasks));) {
		pid_t id = (pid_t)atoi(task->d_name);

		if (!id || id == getpid() || id == first)
			continue;
		assert_int_equal(sched_getscheduler(id), SCHED_OTHER);
		assert_int_equal(sched_getaffinity(id, sizeof(cpus), &cpus), 0);
		assert_true(CPU_EQUAL(&cpus, expected));
		nr++;
	}
	closedir(tasks);
	/* Grace periods, stalls; a sanitizer may have one, too. */
	assert_true(nr >= 2);
}

/* The library's threads never end: each case has a process of its own. */
static void in_child(void (*fn)(void))
{
	int status = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void run_first(void *(*fn)(void *arg))
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, fn, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void register_in_the_background_first(void)
{
	cpu_set_t all;

	run_first(register_from_the_background);
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	expect_ordinary_threads(&all);
}

static void its_threads_are_ordinary_whoever_registers_first(void **state)
{
	(void)state;
	in_child(register_in_the_background_first);
}

static void *pin_main_and_register_first(void *arg)
{
	pin_to_one_processor(getpid());
	return register_first(arg);
}

static void register_beside_a_pinned_main_thread(void)
{
	cpu_set_t all;

	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	run_first(pin_main_and_register_first);
	expect_ordinary_threads(&all);
}

static void its_threads_are_not_pinned_as_the_main_thread(void **state)
{
	(void)state;
	in_child(register_beside_a_pinned_main_thread);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_threads_are_ordinary_whoever_registers_first),
		cmocka_unit_test(its_threads_are_not_pinned_as_the_main_thread),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
