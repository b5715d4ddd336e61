/* SPDX-License-Identifier: MIT
 *
 * Every call of error.h: names, and who hears of faults.
 */
#include "util.h"

static void every_error_has_its_name(void **state)
{
	static const char *const names[] = {"OK",	"IN_USE",	 "UNUSED",	"BUSY",
					    "UNIQUE",	"OUT_OF_BOUND",	 "NOT_ALIGNED", "NO_MEMORY",
					    "OVERFLOW", "NOT_FORGOTTEN", "WRONG_TYPE",	"INVALID"};
	(void)state;

	assert_int_equal(MSLOT_OK, 0);
	for (int i = 0; i <= MSLOT_INVALID; i++)
		assert_string_equal(mslot_err_name((enum mslot_err)i), names[i]);
	assert_string_equal(mslot_err_name((enum mslot_err)(MSLOT_INVALID + 1)), "?");
	assert_string_equal(mslot_err_name((enum mslot_err) - 1), "?");
}

static struct mslot_frame *make_dead(void)
{
	struct mslot_frame *frame = mslot_frame_claim(region, PADDR(3), &immediate, NULL, NULL);
	struct mslot_frame *dead = stale_frame(frame);

	mslot_frame_drop(frame);
	return dead;
}

static void a_fault_tells_what_where_and_how_many(void **state)
{
	struct mslot_frame *frame = mslot_frame_claim(region, PADDR(5), &immediate, NULL, NULL);
	struct mslot_frame *dead = stale_frame(frame);
	(void)state;

	assert_int_equal(mslot_frame_clone_into_raw(frame), PADDR(5));
	mslot_frame_drop(frame);
	faults_begin();
	mslot_frame_drop(dead);
	assert_int_equal(caught.nr, 1);
	assert_int_equal(caught.last.kind, MSLOT_FAULT_OVER_DROP);
	assert_string_equal(caught.last.what, "over-drop");
	assert_string_equal(caught.last.call, "mslot_frame_drop");
	assert_int_equal(caught.last.paddr, PADDR(5));
	assert_string_equal(caught.last.status, "shared");
	assert_int_equal(caught.last.ref_count, 1);
	assert_int_equal(caught.last.raw_count, 1);
	assert_err(mslot_frame_drop_raw(region, PADDR(5)), MSLOT_OK);
}

static unsigned nr_others;

static void catch_other(const struct mslot_fault *fault, void *ctx)
{
	(void)fault;
	assert_null(ctx);
	nr_others++;
}

/* The handler runs outside the library's locks. */
static void catch_and_install_another(const struct mslot_fault *fault, void *ctx)
{
	catch_fault(fault, ctx);
	mslot_set_fault_handler(catch_other, NULL);
}

static void a_handler_may_install_another(void **state)
{
	struct mslot_frame *dead = make_dead();
	(void)state;

	caught.nr = nr_others = 0;
	mslot_set_fault_handler(catch_and_install_another, &caught);
	mslot_frame_drop(stale_frame(dead));
	assert_int_equal(caught.nr, 1);
	assert_int_equal(nr_others, 0);
	mslot_frame_drop(stale_frame(dead));
	assert_int_equal(caught.nr, 1);
	assert_int_equal(nr_others, 1);
}

static void the_default_prints_and_aborts(void **state)
{
	struct mslot_frame *dead = make_dead();
	int out[2], status = 0;
	char printed[400] = "";
	pid_t child;
	(void)state;

	child = abort_begin(out);
	if (child == 0) {
		/* Else it would end by its first output. */
		pthread_cancel(pthread_self());
		mslot_frame_drop(dead);
		_exit(0);
	}
	close(out[1]);
	assert_true(read(out[0], printed, sizeof(printed) - 1) > 0);
	close(out[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_string_equal(
		printed, "metaslot: over-drop in mslot_frame_drop: paddr 0x103000, unused, ref_count 0, raw_count 0\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_error_has_its_name),
		TEST(a_fault_tells_what_where_and_how_many),
		TEST(a_handler_may_install_another),
		TEST(the_default_prints_and_aborts),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
