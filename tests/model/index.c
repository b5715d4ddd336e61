/* SPDX-License-Identifier: MIT
 *
 * The index of free frames by itself: frames given, and rows taken, in several threads.
 *
 * Proves: no frame is handed out twice and none is lost; what was given is found again, whoever fills its word or a
 *         word above it meanwhile; a block says that it is whole if it is, and if it is not, is asked in vain only
 *         once; whoever takes a frame's hint sees what its giver did before; an index that is full shows who is
 *         about to change that.
 */
#include "alloc/free_index.h"
#include "model.h"

#define FULL UINT64_MAX
#define ROW 5

/* Three levels: all frames of 65 rows are taken, but the second and third of ROW. */
enum { NR_ROWS = 65 };
static _Atomic uint64_t three_levels[] = {
	[0 ... NR_ROWS - 1] = FULL,
	[ROW] = FULL & ~UINT64_C(6),
	/* "This row is full." */
	[NR_ROWS] = FULL & ~(UINT64_C(1) << ROW),
	[NR_ROWS + 1] = FULL,
	/* "This word of the above is full." */
	[NR_ROWS + 2] = FULL & ~UINT64_C(1),
	/* Blocks, and above them; then a byte a block. */
	[NR_ROWS + 3] = FULL,
	[NR_ROWS + 4] = FULL,
	[NR_ROWS + 5] = FULL,
	[NR_ROWS + 6] = 0xff,
};
static _Atomic uint64_t zeros[16];
static struct free_index index;
/* Of the frames of one row, whoever has them. */
/* Whether one of two threads is moving hints. */
static _Atomic unsigned moves;
static uint64_t payload[64], taken[MODEL_THREADS_MAX];

/* Those of row 0 that are set in `free`, and nothing else. */
static void one_row(uint64_t free)
{
	free_index_init(&index, zeros, 0, 64);
	free_index_take(&index, 0, ~free);
}

static void none_free(void)
{
	one_row(0);
}

static void one_free(void)
{
	one_row(1);
}

static void three_free(void)
{
	one_row(7);
}

/* The first of either row. */
static void one_free_of_two_rows(void)
{
	free_index_init(&index, zeros, 0, 128);
	free_index_take(&index, 0, ~UINT64_C(1));
	free_index_take(&index, 1, ~UINT64_C(1));
}

static void two_free_of_many(void)
{
	free_index_init(&index, three_levels, 0, NR_ROWS * 64);
}

/* As above, but nothing says that the row is full. */
static void promised_in_vain(void)
{
	two_free_of_many();
	(void)atomic_fetch_or_explicit(&three_levels[ROW], 6, memory_order_relaxed);
}

static void none_free_of_many(void)
{
	uint64_t row;

	two_free_of_many();
	(void)free_index_take_row(&index, 0, &row);
}

static void write_each(uint64_t mask)
{
	for (unsigned i = 0; i < 4; i++)
		if (mask >> i & 1)
			payload[i]++;
}

static void give(uint64_t row, uint64_t mask)
{
	write_each(mask);
	free_index_give(&index, row, mask);
}

static void take(unsigned thread)
{
	uint64_t row, mask = free_index_take_row(&index, 0, &row);

	write_each(mask);
	taken[thread] |= mask;
}

static void take_a(void)
{
	take(0);
}

static void take_b(void)
{
	take(1);
}

static void give_0(void)
{
	give(0, 1);
}

static void give_1(void)
{
	give(0, 2);
}

static void give_all(void)
{
	give(0, 7);
}

static void take_and_give(void)
{
	uint64_t row, mask = free_index_take_row(&index, 0, &row);

	if (mask)
		give(row, mask);
}

static void give_in_row(void)
{
	give(ROW, 1);
}

static void give_in_last_row(void)
{
	give(NR_ROWS - 1, 8);
}

static void look_for_one(void)
{
	uint64_t at = 0;

	(void)!free_index_find_run(&index, 1, 1, &at);
}

/* What threads have taken, and what is found now, are these frames, each once. */
static void are_there(uint64_t frames)
{
	uint64_t all = 0, row;

	taken[2] = free_index_take_row(&index, 0, &row);
	/* Of another row. */
	taken[3] = free_index_take_row(&index, 0, &row) << 8;
	for (unsigned i = 0; i < 4; i++) {
		MODEL_CHECK(!(all & taken[i]));
		all |= taken[i];
	}
	MODEL_CHECK(all == frames);
	MODEL_CHECK(!free_index_take_row(&index, 0, &row));
}

static void one_is_there(void)
{
	are_there(1);
}

static void two_are_there(void)
{
	are_there(3);
}

static void three_are_there(void)
{
	are_there(7);
}

/* Row 0 may have been taken by a thread, and given frame 1 before or after. */
static void both_rows_are_there(void)
{
	uint64_t row, mask = 0, there[2] = {taken[0]};

	for (unsigned i = 0; i < 3; i++) {
		mask = free_index_take_row(&index, 0, &row);
		MODEL_CHECK(!mask || !(there[row] & mask));
		there[row] |= mask;
	}
	MODEL_CHECK(!mask && there[0] == 3 && there[1] == 1);
}

/* The fourth of the last row comes after those of ROW, or is alone. */
static void all_levels_lead_there(void)
{
	MODEL_CHECK(taken[0] == 6);
	taken[0] = 0;
	MODEL_CHECK(free_index_row(&index, ROW) == 0 && free_index_row(&index, NR_ROWS - 1) == 8);
	are_there(8);
}

/* What threads have taken is of ROW, or the fourth of the last row. */
static void all_are_there(void)
{
	uint64_t row, mask = 0, there[NR_ROWS] = {0};

	for (unsigned i = 0; i < 3; i++) {
		mask = free_index_take_row(&index, 0, &row);
		there[row] |= mask;
	}
	for (unsigned i = 0; i < MODEL_THREADS_MAX; i++)
		there[taken[i] == 8 ? NR_ROWS - 1 : ROW] |= taken[i];
	MODEL_CHECK(!mask && there[ROW] == 7 && there[NR_ROWS - 1] == 8);
}

/* ---- blocks: whole, or not ---- */

static void rows_0_and_1_broken(void)
{
	free_index_init(&index, zeros, 0, 512);
	free_index_take(&index, 0, 1);
	free_index_take(&index, 1, 1);
}

static void row_0_broken(void)
{
	free_index_init(&index, zeros, 0, 512);
	free_index_take(&index, 0, 1);
}

static void none_broken(void)
{
	free_index_init(&index, zeros, 0, 512);
}

static void heal_0(void)
{
	free_index_give(&index, 0, 1);
}

static void heal_1(void)
{
	free_index_give(&index, 1, 1);
}

static void break_1(void)
{
	free_index_take(&index, 1, 1);
}

static void break_and_heal_1(void)
{
	free_index_take(&index, 1, 1);
	free_index_give(&index, 1, 1);
}

/* As hints_move_begin(). */
static void begin_move(void)
{
	atomic_store_explicit(&moves, 1, memory_order_relaxed);
}

static void move_and_take(void)
{
	begin_move();
	take(0);
}

static void move_and_give(void)
{
	begin_move();
	give(ROW, 2);
}

/* What is full because of another shows that he moves. */
static void full_shows_who_moves(void)
{
	if (free_index_is_full(&index))
		MODEL_CHECK(atomic_load_explicit(&moves, memory_order_relaxed));
}

static void take_nothing_and_look(void)
{
	take(1);
	if (!taken[1])
		full_shows_who_moves();
}

static void give_beside_and_look(void)
{
	give(ROW, 4);
	full_shows_who_moves();
}

static void need_not_give_and_look(void)
{
	if (free_index_row(&index, ROW) & 2)
		full_shows_who_moves();
}

/* Both rows are free, and so their block is found. */
static void block_is_whole(void)
{
	uint64_t at = 0;

	MODEL_CHECK(free_index_find_run(&index, 512, 512, &at) && at == 0);
}

/* It is as its second row says. */
static void block_is_as_row_1(void)
{
	uint64_t at = 0;

	MODEL_CHECK(free_index_find_run(&index, 512, 512, &at) == (free_index_row(&index, 1) == FULL));
	/* A block that said whole in vain is not met again. */
	MODEL_CHECK((index.broken.level[0][0] & 1) == (free_index_row(&index, 1) != FULL));
}

const struct model models[] = {
	{"index/two-take", 4, three_free, three_are_there, {take_a, take_b}},
	{"index/give-take", 3, none_free, two_are_there, {give_0, take_a, give_1}},
	{"index/fill-give", 4, one_free, two_are_there, {take_a, give_1}},
	{"index/fill-give-take", 4, one_free, two_are_there, {take_a, give_1, take_b}},
	{"index/fill-give-beside-another", 4, one_free_of_two_rows, both_rows_are_there, {take_a, give_1}},
	{"index/give-three-at-once", 4, none_free, three_are_there, {give_all, take_and_give, take_a}},
	{"index/fill-above-give", 4, two_free_of_many, three_are_there, {take_a, give_in_row}},
	{"index/fill-above-give-elsewhere", 4, two_free_of_many, all_levels_lead_there, {take_a, give_in_last_row}},
	{"index/fill-above-give-both", 4, two_free_of_many, all_are_there, {take_a, give_in_row, give_in_last_row}},
	{"index/fill-above-twice-give",
	 2,
	 two_free_of_many,
	 all_are_there,
	 {take_a, take_b, give_in_row, give_in_last_row}},
	{"index/repair-give", 4, promised_in_vain, one_is_there, {look_for_one, give_in_row}},
	{"index/take-shows-move", 4, two_free_of_many, NULL, {move_and_take, take_nothing_and_look}},
	{"index/give-shows-move", 4, none_free_of_many, NULL, {move_and_give, give_beside_and_look}},
	{"index/given-shows-move", 4, none_free_of_many, NULL, {move_and_give, need_not_give_and_look}},
	{"index/two-heal", 4, rows_0_and_1_broken, block_is_whole, {heal_0, heal_1}},
	{"index/heal-break-heal", 4, row_0_broken, block_is_whole, {heal_0, break_and_heal_1}},
	{"index/break-heal", 4, none_broken, block_is_as_row_1, {break_1, heal_1}},
	{"index/heal-break-elsewhere", 4, row_0_broken, block_is_as_row_1, {heal_0, break_1}},
	{0},
};
