/*
 * test_pick.c - what is merged next (C4, P1, P2).  Tables are drawn: each has a level, a range
 * of one-letter keys, sequences and a size; no file is touched.
 *
 *     { 0, "a", "c", 40, 49, 10 }   level 0, keys a to c, sequences 40 to 49, 10 bytes
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compaction/compaction.h"
#include "support/random.h"
#include "support/suite.h"

struct drawn_table {
    int level;
    const char *from, *to;
    uint64_t smallest_sequence, largest_sequence, size;
    uint64_t tombstones;
};

static struct reporter reporter;

static void
quiet(void *context, enum lsmkv_level level, const char *line)
{
    (void)context;
    (void)level;
    (void)line;
}

static void
setup(void)
{
    reporter_init(&reporter, quiet, NULL);
}

static void
teardown(void)
{
    reporter_fini(&reporter);
}

/* Tables are numbered from 1, in the order drawn. */
static struct version *
draw(const struct drawn_table *tables, size_t count)
{
    struct version_change *added = calloc(count + 1, sizeof(*added));
    struct version *empty, *version;

    ck_assert_int_eq(version_new(LSMKV_ORDER_BYTES, &empty), 0);
    for (size_t i = 0; i < count; i++) {
        struct table_meta meta = {.number = i + 1,
                                  .size = tables[i].size,
                                  .entries = 100,
                                  .tombstones = tables[i].tombstones,
                                  .smallest_sequence = tables[i].smallest_sequence,
                                  .largest_sequence = tables[i].largest_sequence};

        ck_assert_int_eq(keybuf_set_internal(&meta.smallest, lsmkv_str(tables[i].from),
                                             meta.smallest_sequence, KIND_PUT),
                         0);
        ck_assert_int_eq(keybuf_set_internal(&meta.largest, lsmkv_str(tables[i].to),
                                             meta.smallest_sequence, KIND_PUT),
                         0);
        added[i].level = tables[i].level;
        ck_assert_int_eq(table_file_new(NULL, NULL, 0, &meta, &added[i].file), 0);
    }
    ck_assert_int_eq(version_edit(empty, NULL, 0, added, count, &reporter, &version), 0);
    for (size_t i = 0; i < count; i++)
        table_file_unref(added[i].file);
    version_unref(empty);
    free(added);
    return version;
}

/* "4>5: 1 2 | 7 8 move": levels, the numbers of both inputs, and whether it is trivial. */
static void
print(const struct compaction *compaction, char *out, size_t size)
{
    size_t used;

    if (compaction == NULL) {
        snprintf(out, size, "none");
        return;
    }
    used = (size_t)snprintf(out, size, "%d>%d:", compaction->level,
                            compaction->output_level);
    for (int which = 0; which < 2; which++) {
        for (size_t i = 0; i < compaction->input_counts[which]; i++)
            used += (size_t)snprintf(out + used, size - used, " %u",
                                     (unsigned)compaction->inputs[which][i]->meta.number);
        if (which == 0)
            used += (size_t)snprintf(out + used, size - used, " |");
    }
    snprintf(out + used, size - used, "%s", compaction->trivial ? " move" : "");
}

static const struct compaction_limits limits = {
    .l0_trigger = 2, .level_base_size = 100, .table_size = 10};

static void
assert_pick(struct version *version, struct compaction_cursor *cursor,
            const char *expected)
{
    struct compaction *compaction;
    char text[256];

    ck_assert_int_eq(compaction_pick(5, version, &limits, cursor, &compaction), 0);
    print(compaction, text, sizeof(text));
    ck_assert_str_eq(text, expected);
    if (compaction != NULL)
        ck_assert_uint_eq(compaction->keyspace, 5);
    compaction_free(compaction);
}

static void
assert_drawn_pick(const struct drawn_table *tables, size_t count, const char *expected)
{
    struct version *version = draw(tables, count);
    struct compaction_cursor cursor = {0};

    assert_pick(version, &cursor, expected);
    compaction_cursor_fini(&cursor);
    version_unref(version);
}

static void
assert_range(const struct drawn_table *tables, size_t count, int level, const char *from,
             const char *to, const char *expected)
{
    const struct lsmkv_slice none = {NULL, 0};
    struct version *version = draw(tables, count);
    struct compaction *compaction;
    char text[256];

    ck_assert_int_eq(compaction_pick_range(5, version, &limits, level,
                                           from == NULL ? none : lsmkv_str(from),
                                           to == NULL ? none : lsmkv_str(to),
                                           &compaction),
                     0);
    print(compaction, text, sizeof(text));
    ck_assert_str_eq(text, expected);
    compaction_free(compaction);
    version_unref(version);
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- level 0 ---- */

START_TEST(test_nothing_is_due_below_the_trigger)
{
    static const struct drawn_table tables[] = {{0, "a", "c", 1, 9, 10, 0}};

    assert_drawn_pick(NULL, 0, "none");
    assert_drawn_pick(tables, 1, "none");
}
END_TEST

START_TEST(test_level_0_is_due_earlier_once_reads_have_paid)
{
    static const struct drawn_table tables[] = {
        {0, "a", "c", 1, 9, 10, 0},
        {0, "b", "d", 10, 19, 10, 0},
    };
    struct compaction_limits paid = {
        .l0_trigger = 4, .l0_paid = true, .level_base_size = 100, .table_size = 10};

    for (size_t count = 1; count <= COUNT(tables); count++) {
        struct version *version = draw(tables, count);
        int level;

        ck_assert_int_eq(compaction_score(version, &paid, &level) >= 1, count == 2);
        paid.l0_paid = false;
        ck_assert(compaction_score(version, &paid, &level) < 1);
        paid.l0_paid = true;
        version_unref(version);
    }
}
END_TEST

/*
 *            a b c d e f g h
 *  new   3         [---]
 *        2   [---]
 *  old   1     [-----]          1 is taken; 2 and 3 overlap it
 */
START_TEST(test_level_0_is_merged_from_the_oldest_table_on)
{
    static const struct drawn_table tables[] = {
        {0, "c", "f", 1, 9, 10, 0},
        {0, "b", "d", 10, 19, 10, 0},
        {0, "e", "g", 20, 29, 10, 0},
    };

    assert_drawn_pick(tables, COUNT(tables), "0>6: 3 2 1 |");
}
END_TEST

/*
 *            a b c d e f g h
 *        4               [-]    apart from the oldest: stays
 *        3       [---]          overlaps the oldest through 2 only
 *        2   [---]
 *        1 [---]
 */
START_TEST(test_what_overlaps_through_another_table_is_in)
{
    static const struct drawn_table tables[] = {
        {0, "a", "b", 1, 9, 10, 0},
        {0, "b", "d", 10, 19, 10, 0},
        {0, "d", "f", 20, 29, 10, 0},
        {0, "g", "h", 30, 39, 10, 0},
    };

    assert_drawn_pick(tables, COUNT(tables), "0>6: 3 2 1 |");
}
END_TEST

START_TEST(test_a_lone_table_of_level_0_moves_if_nothing_overlaps_it)
{
    static const struct drawn_table tables[] = {
        {0, "a", "b", 10, 19, 10, 0},
        {0, "m", "n", 20, 29, 10, 0},
        {6, "d", "e", 1, 9, 10, 0},
    };
    static const struct drawn_table dense[] = {
        {0, "a", "b", 10, 19, 10, 4},
        {0, "m", "n", 20, 29, 10, 0},
        {6, "d", "e", 1, 9, 10, 0},
    };

    assert_drawn_pick(tables, COUNT(tables), "0>6: 1 | move");
    /* P2: with tombstones, and nothing below, rewriting it drops them. */
    assert_drawn_pick(dense, COUNT(dense), "0>6: 1 |");
}
END_TEST

START_TEST(test_level_0_takes_what_it_overlaps_below)
{
    static const struct drawn_table tables[] = {
        {0, "c", "f", 10, 19, 10, 0}, {0, "d", "e", 20, 29, 10, 0},
        {6, "a", "b", 1, 9, 10, 0},   {6, "c", "c", 1, 9, 10, 0},
        {6, "d", "f", 1, 9, 10, 0},   {6, "g", "h", 1, 9, 10, 0},
    };

    assert_drawn_pick(tables, COUNT(tables), "0>6: 2 1 | 4 5");
}
END_TEST

/* ---- levels ---- */

START_TEST(test_levels_are_sized_from_the_bottom_up)
{
    static const struct {
        uint64_t bytes[LEVEL_COUNT];
        int base;
        uint64_t targets[LEVEL_COUNT];
    } cases[] = {
        {{0}, 6, {0, 0, 0, 0, 0, 0, 100}},
        {{0, 0, 0, 0, 0, 0, 90}, 6, {0, 0, 0, 0, 0, 0, 100}},
        {{0, 0, 0, 0, 0, 0, 500}, 5, {0, 0, 0, 0, 0, 100, 500}},
        {{0, 0, 0, 0, 0, 20, 900}, 5, {0, 0, 0, 0, 0, 100, 900}},
        {{0, 0, 0, 0, 0, 20, 5000}, 4, {0, 0, 0, 0, 100, 500, 5000}},
        /* P1: after deletions the first non-empty level stays the base until it is empty. */
        {{0, 0, 0, 7, 0, 0, 500}, 3, {0, 0, 0, 100, 110, 1100, 11000}},
        {{0, 1, 1, 1, 1, 1, 100000000},
         1,
         {0, 100, 1000, 10000, 100000, 1000000, 10000000}},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct version version = {.order = LSMKV_ORDER_BYTES};
        uint64_t targets[LEVEL_COUNT];

        for (int level = 0; level < LEVEL_COUNT; level++) {
            version.levels[level].bytes = cases[i].bytes[level];
            version.levels[level].count = cases[i].bytes[level] > 0;
        }
        ck_assert_int_eq(compaction_targets(&version, &limits, targets), cases[i].base);
        for (int level = 0; level < LEVEL_COUNT; level++)
            ck_assert_msg(targets[level] == cases[i].targets[level],
                          "case %zu, level %d: %llu", i, level,
                          (unsigned long long)targets[level]);
    }
}
END_TEST

START_TEST(test_the_base_level_is_never_below_a_level_in_use)
{
    struct random random = random_of(random_seed());

    for (int round = 0; round < 20000; round++) {
        struct version version = {.order = LSMKV_ORDER_BYTES};
        uint64_t targets[LEVEL_COUNT];
        int base;

        for (int level = 1; level < LEVEL_COUNT; level++) {
            if (random_coin(&random))
                continue;
            version.levels[level].count = 1;
            version.levels[level].bytes =
                random_next(&random) >> random_below(&random, 64);
        }
        base = compaction_targets(&version, &limits, targets);
        ck_assert_int_ge(base, 1);
        ck_assert_int_lt(base, LEVEL_COUNT);
        for (int level = 1; level < base; level++)
            ck_assert_uint_eq(version.levels[level].count, 0);
        for (int level = base + 1; level < LEVEL_COUNT; level++)
            ck_assert_uint_ge(targets[level], targets[level - 1]);
    }
}
END_TEST

START_TEST(test_the_level_most_in_need_is_chosen)
{
    static const struct drawn_table tables[] = {
        {0, "a", "z", 90, 99, 10, 0},
        {0, "a", "z", 80, 89, 10, 0},
        {5, "a", "b", 1, 9, 250, 0},
        {6, "x", "z", 1, 9, 900, 0},
    };
    struct version *version = draw(tables, COUNT(tables));
    int level;

    ck_assert_double_eq_tol(compaction_score(version, &limits, &level), 2.5, 0.001);
    ck_assert_int_eq(level, 5);
    version_unref(version);
    assert_drawn_pick(tables, COUNT(tables), "5>6: 3 | move");
}
END_TEST

/* Level 5 has 3 tables over its aim: they are chosen in turn, and round again. */
START_TEST(test_a_level_is_gone_through_in_turn)
{
    static const struct drawn_table tables[] = {
        {5, "a", "b", 1, 9, 100, 0}, {5, "c", "d", 1, 9, 100, 0},
        {5, "e", "f", 1, 9, 100, 0}, {6, "a", "b", 1, 9, 300, 0},
        {6, "c", "d", 1, 9, 300, 0}, {6, "e", "f", 1, 9, 300, 0},
    };
    struct version *version = draw(tables, COUNT(tables));
    struct compaction_cursor cursor = {0};

    assert_pick(version, &cursor, "5>6: 1 | 4");
    assert_pick(version, &cursor, "5>6: 2 | 5");
    assert_pick(version, &cursor, "5>6: 3 | 6");
    assert_pick(version, &cursor, "5>6: 1 | 4");
    compaction_cursor_fini(&cursor);
    version_unref(version);
}
END_TEST

/*
 *         a b c d e f
 *    5    1 1 2 2   3     2 lies over 4, which is rewritten anyway; 3 would add 5
 *    6    4---------4 5-5
 */
START_TEST(test_inputs_grow_where_the_level_below_does_not)
{
    static const struct drawn_table tables[] = {
        {5, "a", "b", 10, 19, 50, 0}, {5, "c", "d", 10, 19, 50, 0},
        {5, "f", "g", 10, 19, 50, 0}, {6, "a", "e", 1, 9, 100, 0},
        {6, "f", "g", 1, 9, 300, 0},
    };

    assert_drawn_pick(tables, COUNT(tables), "5>6: 1 2 | 4");
}
END_TEST

/*
 *         a b c d e f g
 *    5    1 1 2-----2      2 lies over 3, but would bring in 4
 *    6    3-----3 4---4
 */
START_TEST(test_inputs_do_not_grow_where_the_level_below_would)
{
    static const struct drawn_table tables[] = {
        {5, "a", "b", 10, 19, 60, 0},
        {5, "c", "f", 10, 19, 60, 0},
        {6, "a", "d", 1, 9, 50, 0},
        {6, "e", "g", 1, 9, 50, 0},
    };

    assert_drawn_pick(tables, COUNT(tables), "5>6: 1 | 3");
}
END_TEST

START_TEST(test_inputs_do_not_grow_past_a_bound)
{
    static const struct drawn_table tables[] = {
        {5, "a", "b", 10, 19, 90, 0},
        {5, "c", "d", 10, 19, 90, 0},
        {6, "a", "e", 1, 9, 200, 0},
    };

    assert_drawn_pick(tables, COUNT(tables), "5>6: 1 | 3");
}
END_TEST

START_TEST(test_a_table_over_a_gap_moves_down)
{
    static const struct drawn_table tables[] = {
        {4, "a", "b", 10, 19, 200, 5},
        {4, "m", "n", 10, 19, 200, 5},
        {6, "a", "b", 1, 9, 100, 0},
    };

    /* Tombstones still hide what level 6 has: no gain in rewriting. */
    assert_drawn_pick(tables, COUNT(tables), "4>5: 1 | move");
    /* Here they hide nothing. */
    assert_drawn_pick(tables + 1, 2, "4>5: 1 |");
}
END_TEST

/* Level 6 has more below it than an output would be given (C5). */
START_TEST(test_a_table_over_too_much_is_cut_instead_of_moved)
{
    static const struct drawn_table tables[] = {
        {4, "a", "z", 10, 19, 200, 5},
        {6, "b", "c", 1, 9, 50, 0},
        {6, "d", "e", 1, 9, 51, 0},
        {6, "zz", "zzz", 1, 9, 1000, 0},
    };

    assert_drawn_pick(tables, COUNT(tables), "4>5: 1 |");
    assert_drawn_pick(tables, 2, "4>5: 1 | move");
}
END_TEST

/* ---- tombstones ---- */

/* One level after the other, where there are enough for what they lie over; level 6, where what is
 * left is kept by snapshots, only if asked. */
START_TEST(test_tombstones_are_taken_downwards)
{
    static const struct drawn_table tables[] = {
        {0, "a", "k", 60, 69, 10, 0}, {0, "a", "c", 50, 59, 10, 2},
        {5, "a", "b", 40, 49, 10, 0}, {5, "c", "d", 40, 49, 10, 1},
        {5, "e", "f", 40, 49, 10, 0}, {5, "g", "h", 40, 49, 10, 3},
        {6, "a", "c", 1, 9, 10, 0},   {6, "d", "g", 1, 9, 10, 4},
    };
    static const struct {
        int level;
        bool in_place;
        uint64_t released;
        unsigned worth;
        const char *picks[3];
    } cases[] = {
        {0, false, 0, 0, {"0>5: 1 2 | 3 4 5 6"}},
        {0, false, 0, 200, {"0>5: 1 2 | 3 4 5 6"}},
        {0, false, 0, 100, {"none"}},
        {5, false, 0, 0, {"5>6: 4 | 7 8", "5>6: 6 | 8", "none"}},
        {5, false, 0, 50, {"5>6: 6 | 8", "none"}},
        {6, false, 0, 0, {"none"}},
        {6, true, 0, 0, {"6>6: 8 |", "none"}},
        {6, true, 5, 0, {"6>6: 7 |", "6>6: 8 |", "none"}},
        {6, true, 5, 25, {"6>6: 8 |", "none"}},
        {6, true, 5, 20, {"none"}},
        {6, true, 9, 0, {"6>6: 8 |", "none"}},
    };
    struct version *version = draw(tables, COUNT(tables));

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct keybuf after = {0};

        for (size_t k = 0; k < 3 && cases[i].picks[k] != NULL; k++) {
            struct compaction *compaction;
            char text[256];

            struct compaction_limits with = limits;

            with.worth = cases[i].worth;
            with.in_place = cases[i].in_place;
            with.released_from = with.released_to = cases[i].released;
            ck_assert_int_eq(compaction_pick_tombstones(5, version, &with, cases[i].level,
                                                        &after, &compaction),
                             0);
            print(compaction, text, sizeof(text));
            ck_assert_str_eq(text, cases[i].picks[k]);
            compaction_free(compaction);
        }
        keybuf_fini(&after);
    }
    version_unref(version);
}
END_TEST

/* ---- blob files to be collected ---- */

/* The deepest table that refers to a victim, by itself and where it is; of level 0 what is due there
 * anyway. */
START_TEST(test_who_refers_to_a_victim_is_rewritten)
{
    static const struct drawn_table tables[] = {
        {0, "a", "z", 30, 39, 10, 0}, {5, "a", "b", 10, 19, 10, 0},
        {5, "c", "d", 10, 19, 20, 0}, {6, "a", "b", 1, 9, 40, 0},
        {6, "c", "d", 1, 9, 80, 0},
    };
    static const struct {
        unsigned referring; /* bit i: table i */
        size_t count;
        uint64_t bytes;
        const char *pick;
    } cases[] = {
        {0, 0, 0, "none"},
        {1u << 1, 1, 10, "0>5: 1 | 2 3"},
        {1u << 1 | 1u << 3, 2, 30, "5>5: 3 |"},
        {1u << 1 | 1u << 3 | 1u << 5, 3, 110, "6>6: 5 |"},
    };
    struct version *version = draw(tables, COUNT(tables));
    uint64_t numbers[] = {7, 9};
    const struct blob_victims victims = {numbers, 2, 100};
    struct table_blob victim[] = {{8, 1, 1}, {9, 1, 1}}, other[] = {{8, 1, 1}};

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct compaction *compaction;
        char text[256];
        uint64_t bytes;

        for (int level = 0; level < LEVEL_COUNT; level++)
            for (size_t k = 0; k < version->levels[level].count; k++) {
                struct table_meta *meta = &version->levels[level].files[k]->meta;
                bool refers = (cases[i].referring >> meta->number & 1) != 0;

                meta->blobs = refers ? victim : other;
                meta->blob_count = refers ? 2 : 1;
            }
        ck_assert_uint_eq(compaction_referring(version, &victims, &bytes),
                          cases[i].count);
        ck_assert_uint_eq(bytes, cases[i].bytes);
        ck_assert_int_eq(
            compaction_pick_referring(5, version, &limits, &victims, &compaction), 0);
        print(compaction, text, sizeof(text));
        ck_assert_str_eq(text, cases[i].pick);
        compaction_free(compaction);
    }
    for (int level = 0; level < LEVEL_COUNT; level++)
        for (size_t k = 0; k < version->levels[level].count; k++) {
            version->levels[level].files[k]->meta.blobs = NULL;
            version->levels[level].files[k]->meta.blob_count = 0;
        }
    version_unref(version);
}
END_TEST

/* ---- a range, asked for ---- */

/* A move by lsmkv_compact left a table over the whole level below it. */
START_TEST(test_a_range_over_too_much_is_cut_instead_of_moved)
{
    static const struct drawn_table tables[] = {
        {4, "a", "z", 10, 19, 200, 5},
        {6, "b", "c", 1, 9, 50, 0},
        {6, "d", "e", 1, 9, 51, 0},
    };

    assert_range(tables, 3, 4, NULL, NULL, "4>5: 1 |");
    assert_range(tables, 2, 4, NULL, NULL, "4>5: 1 | move");
}
END_TEST

START_TEST(test_a_range_takes_what_meets_it)
{
    static const struct drawn_table tables[] = {
        {4, "a", "b", 10, 19, 10, 0}, {4, "c", "d", 10, 19, 10, 0},
        {4, "e", "f", 10, 19, 10, 0}, {5, "b", "c", 1, 9, 10, 0},
        {5, "d", "e", 1, 9, 10, 0},   {6, "a", "z", 1, 9, 10, 0},
    };

    assert_range(tables, COUNT(tables), 4, "c", "d", "4>5: 2 | 4 5");
    assert_range(tables, COUNT(tables), 4, NULL, "b", "4>5: 1 | 4");
    assert_range(tables, COUNT(tables), 4, "e", NULL, "4>5: 3 | 5");
    assert_range(tables, COUNT(tables), 4, NULL, NULL, "4>5: 1 2 3 | 4 5");
    assert_range(tables, COUNT(tables), 4, "g", NULL, "none");
    assert_range(tables, COUNT(tables), 3, NULL, NULL, "none");
    assert_range(tables, COUNT(tables), 6, "c", "d", "6>6: 6 |");
}
END_TEST

START_TEST(test_a_range_of_level_0_is_closed)
{
    static const struct drawn_table tables[] = {
        {0, "a", "c", 1, 9, 10, 0},
        {0, "c", "e", 10, 19, 10, 0},
        {0, "x", "z", 20, 29, 10, 0},
    };

    /* C4: 2 holds "e"; with it must go 1, which is older and overlaps it. */
    assert_range(tables, COUNT(tables), 0, "d", "e", "0>6: 2 1 |");
}
END_TEST

START_TEST(test_a_range_reaches_the_deepest_level_by_rewriting)
{
    static const struct drawn_table tables[] = {{0, "a", "c", 1, 9, 10, 0}};
    static const struct drawn_table deeper[] = {
        {4, "a", "c", 10, 19, 10, 0},
        {6, "x", "z", 1, 9, 10, 0},
    };

    assert_range(tables, 1, 0, NULL, NULL, "0>6: 1 |");
    assert_range(deeper, 2, 4, NULL, NULL, "4>5: 1 | move");
}
END_TEST

/* C4 at random: no table left in level 0 may be older than one taken that it overlaps. */
START_TEST(test_level_0_is_closed_whatever_it_holds)
{
    struct random random = random_of(random_seed());
    static const char *const keys[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};

    for (int round = 0; round < 2000; round++) {
        struct drawn_table tables[12] = {{0}};
        size_t count = 2 + random_below(&random, 10);
        struct compaction_cursor cursor = {0};
        struct compaction *compaction;
        struct version *version;

        for (size_t i = 0; i < count; i++) {
            size_t from = random_below(&random, 10), to = from + random_below(&random, 3);

            tables[i] = (struct drawn_table){
                0, keys[from], keys[to < 10 ? to : 9], 10 * i + 1, 10 * i + 9, 10, 0};
        }
        version = draw(tables, count);
        ck_assert_int_eq(compaction_pick(0, version, &limits, &cursor, &compaction), 0);
        ck_assert_ptr_nonnull(compaction);
        for (size_t i = 0; i < compaction->input_counts[0]; i++) {
            const struct drawn_table *in =
                &tables[compaction->inputs[0][i]->meta.number - 1];

            for (size_t k = 0; k < count; k++) {
                bool taken = false;

                for (size_t j = 0; j < compaction->input_counts[0]; j++)
                    taken |= compaction->inputs[0][j]->meta.number == k + 1;
                ck_assert(taken || tables[k].largest_sequence > in->largest_sequence ||
                          strcmp(tables[k].to, in->from) < 0 ||
                          strcmp(tables[k].from, in->to) > 0);
            }
        }
        compaction_free(compaction);
        compaction_cursor_fini(&cursor);
        version_unref(version);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("pick");
    TCase *cases = tcase_create("pick");

    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, test_nothing_is_due_below_the_trigger);
    tcase_add_test(cases, test_level_0_is_due_earlier_once_reads_have_paid);
    tcase_add_test(cases, test_level_0_is_merged_from_the_oldest_table_on);
    tcase_add_test(cases, test_what_overlaps_through_another_table_is_in);
    tcase_add_test(cases, test_a_lone_table_of_level_0_moves_if_nothing_overlaps_it);
    tcase_add_test(cases, test_level_0_takes_what_it_overlaps_below);
    tcase_add_test(cases, test_levels_are_sized_from_the_bottom_up);
    tcase_add_test(cases, test_the_base_level_is_never_below_a_level_in_use);
    tcase_add_test(cases, test_the_level_most_in_need_is_chosen);
    tcase_add_test(cases, test_a_level_is_gone_through_in_turn);
    tcase_add_test(cases, test_inputs_grow_where_the_level_below_does_not);
    tcase_add_test(cases, test_inputs_do_not_grow_where_the_level_below_would);
    tcase_add_test(cases, test_inputs_do_not_grow_past_a_bound);
    tcase_add_test(cases, test_a_table_over_a_gap_moves_down);
    tcase_add_test(cases, test_a_table_over_too_much_is_cut_instead_of_moved);
    tcase_add_test(cases, test_tombstones_are_taken_downwards);
    tcase_add_test(cases, test_who_refers_to_a_victim_is_rewritten);
    tcase_add_test(cases, test_a_range_over_too_much_is_cut_instead_of_moved);
    tcase_add_test(cases, test_a_range_takes_what_meets_it);
    tcase_add_test(cases, test_a_range_of_level_0_is_closed);
    tcase_add_test(cases, test_a_range_reaches_the_deepest_level_by_rewriting);
    tcase_add_test(cases, test_level_0_is_closed_whatever_it_holds);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
