/*
 * test_looking.c - what levels, pins and unsynced bytes are said to be (engine/db/looking.c,
 * stats.c, count_traffic of install.c).
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "env/env.h"
#include "support/rig.h"
#include "support/suite.h"

static struct rig rig;

/* Merges run when a test asks for them. */
static void
setup(void)
{
    rig_init(&rig);
    rig.options.l0_compaction_trigger = 8;
    rig_open(&rig);
}

static void
teardown(void)
{
    rig_fini(&rig);
}

/* ---- levels ---- */

struct levels {
    struct lsmkv_level_stats of[16];
    size_t count;
};

static int
note_level(void *context, const struct lsmkv_level_stats *level)
{
    struct levels *levels = context;

    ck_assert_uint_lt(levels->count, 16);
    levels->of[levels->count++] = *level; /* a keyspace's name lasts here */
    return 0;
}

static struct levels
look(void)
{
    struct levels levels = {.count = 0};

    ck_assert_int_eq(lsmkv_level_list(rig.db, note_level, &levels), 0);
    return levels;
}

/* The level of "default"; zeros if it is not told. */
static struct lsmkv_level_stats
level(const struct levels *levels, unsigned number)
{
    for (size_t i = 0; i < levels->count; i++)
        if (levels->of[i].level == number &&
            strcmp(levels->of[i].keyspace, "default") == 0)
            return levels->of[i];
    return (struct lsmkv_level_stats){.level = number};
}

static void
flush_one(const char *key)
{
    rig_put(&rig, key, "a value of some length");
    rig_put(&rig, "shared", key);
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
}

static void
compact_all(void)
{
    ck_assert_int_eq(
        lsmkv_compact(rig.db, NULL, lsmkv_bytes(NULL, 0), lsmkv_bytes(NULL, 0)), 0);
}

START_TEST(test_a_flushed_table_is_in_level_0_and_was_written_once)
{
    struct lsmkv_level_stats top;
    struct levels levels = look();

    ck_assert_uint_eq(levels.count, 0);
    for (int i = 0; i < 4; i++)
        flush_one(&"abcd"[i]);
    levels = look();
    ck_assert_uint_eq(levels.count, 1);
    top = level(&levels, 0);
    ck_assert_uint_eq(top.tables, 4);
    ck_assert_uint_eq(top.tables_a_read, 4);
    ck_assert_uint_eq(top.bytes, rig_stats(&rig).table_bytes);
    ck_assert_uint_eq(top.bytes_in, top.bytes);
    ck_assert_uint_eq(top.bytes_written, top.bytes);
    ck_assert_double_eq(top.score, 0.5);
    ck_assert_uint_eq(top.due, 8);
    ck_assert_uint_eq(top.merges + top.moves, 0);
    ck_assert_uint_eq(top.merging_tables, 0);
}
END_TEST

START_TEST(test_what_a_merge_reads_from_above_came_in_and_what_it_writes_was_written)
{
    struct lsmkv_level_stats top, deep;
    uint64_t came;
    struct levels levels;

    for (int i = 0; i < 4; i++)
        flush_one(&"abcd"[i]);
    levels = look();
    came = level(&levels, 0).bytes;
    compact_all();
    levels = look();
    ck_assert_uint_eq(levels.count, 2);
    top = levels.of[0];
    deep = levels.of[1];
    /* Level 0 is empty, and what went through it is told. */
    ck_assert_uint_eq(top.tables, 0);
    ck_assert_uint_eq(top.tables_a_read, 0);
    ck_assert_uint_eq(top.bytes_in, came);
    ck_assert_uint_eq(deep.tables, 1);
    ck_assert_uint_eq(deep.tables_a_read, 1);
    ck_assert_uint_eq(deep.bytes_in, came);
    ck_assert_uint_ge(deep.bytes_written, deep.bytes);
    ck_assert_uint_lt(deep.bytes, came); /* four versions became one */
    ck_assert_double_eq(deep.score, 0);  /* there is none below */
    ck_assert_uint_eq(deep.due, 0);
    ck_assert_uint_eq(top.merges, 1);
    ck_assert_uint_eq(deep.merges + top.moves + deep.moves, 0);

    rig_close(&rig);
    rig_open(&rig);
    levels = look();
    deep = level(&levels, deep.level);
    ck_assert_uint_eq(deep.tables, 1);
    ck_assert_uint_eq(deep.bytes_in, 0);
    ck_assert_uint_eq(deep.bytes_written, 0);
}
END_TEST

START_TEST(test_a_table_that_moves_goes_in_and_is_not_written)
{
    struct lsmkv_level_stats into = {0};
    struct levels levels;
    uint64_t before;

    rig_close(&rig);
    rig.options.l0_compaction_trigger = 1;
    rig_open(&rig);
    before = rig_stats(&rig).trivial_moves;
    rig_put(&rig, "k", "v");
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    ck_assert_uint_eq(rig_stats(&rig).trivial_moves, before + 1);
    levels = look();
    for (unsigned i = 1; i < 7; i++)
        if (level(&levels, i).tables > 0)
            into = level(&levels, i);
    ck_assert_uint_eq(into.tables, 1);
    ck_assert_uint_eq(into.bytes_in, into.bytes);
    ck_assert_uint_eq(into.bytes_written, 0);
    ck_assert_uint_eq(level(&levels, 0).moves, 1);
    ck_assert_uint_eq(level(&levels, 0).merges, 0);
}
END_TEST

/* Filled until there is a level between 0 and the deepest. */
START_TEST(test_a_level_is_due_at_as_many_bytes_as_make_its_score_1)
{
    struct lsmkv_level_stats between = {0};
    uint64_t merges = 0, moves = 0;
    struct levels levels;
    char key[16], value[200];

    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    for (unsigned i = 0; i < 4000; i++) {
        snprintf(key, sizeof(key), "%08u", i * 7919 % 4000);
        rig_put(&rig, key, value);
    }
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    levels = look();
    for (unsigned i = 1; i < 6; i++)
        if (level(&levels, i).tables > 0)
            between = level(&levels, i);
    ck_assert_uint_ge(between.bytes, 1);
    ck_assert_uint_ge(between.due, rig.options.level_base_size);
    ck_assert_double_eq_tol(between.score, (double)between.bytes / (double)between.due,
                            1e-9);
    ck_assert_double_lt(between.score, 1); /* it is at rest */
    for (size_t i = 0; i < levels.count; i++) {
        merges += levels.of[i].merges;
        moves += levels.of[i].moves;
    }
    ck_assert_uint_eq(merges, rig_stats(&rig).compactions);
    ck_assert_uint_eq(moves, rig_stats(&rig).trivial_moves);
}
END_TEST

/* ---- the same as text ---- */

/* The line of `text` that begins so. */
static void
take_line(const char *text, const char *begin, char *line, size_t size)
{
    const char *at = strstr(text, begin);

    ck_assert_msg(at != NULL, "no line begins with \"%s\" in\n%s", begin, text);
    snprintf(line, size, "%.*s", (int)strcspn(at, "\n"), at);
}

START_TEST(test_what_levels_are_due_at_stands_in_a_line_each)
{
    char text[1024], line[256], expected[256];
    struct levels levels;

    for (int i = 0; i < 4; i++)
        flush_one(&"abcd"[i]);
    levels = look();
    ck_assert_int_gt(lsmkv_property(rig.db, "lsmkv.levels", text, sizeof(text)), 0);
    take_line(text, "  L0", line, sizeof(line));
    snprintf(expected, sizeof(expected),
             "  L0      4 tables %12llu bytes  score   0.50  due at            8 tables  "
             "0 merges 0 moves",
             (unsigned long long)levels.of[0].bytes);
    ck_assert_str_eq(line, expected);
    compact_all();
    levels = look();
    ck_assert_int_gt(lsmkv_property(rig.db, "lsmkv.levels", text, sizeof(text)), 0);
    take_line(text, "  L0", line, sizeof(line));
    ck_assert_str_eq(line, "  L0      0 tables            0 bytes  score   0.00  due at"
                           "            8 tables  1 merges 0 moves");
    take_line(text, "  L6", line, sizeof(line));
    snprintf(expected, sizeof(expected),
             "  L6      1 tables %12llu bytes  score   0.00  never due                   "
             "0 merges 0 moves",
             (unsigned long long)levels.of[1].bytes);
    ck_assert_str_eq(line, expected);
}
END_TEST

START_TEST(test_levels_are_told_by_keyspace_until_the_callback_ends_it)
{
    struct lsmkv_keyspace *other;
    struct levels levels;

    ck_assert_int_eq(lsmkv_keyspace_create(rig.db, "other", LSMKV_ORDER_BYTES, &other),
                     0);
    rig_put(&rig, "k", "v");
    ck_assert_int_eq(
        lsmkv_put(rig.db, other, lsmkv_str("k"), lsmkv_bytes(NULL, 0), lsmkv_str("v"), 0),
        0);
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    levels = look();
    ck_assert_uint_eq(levels.count, 2);
    ck_assert_str_eq(levels.of[0].keyspace, "default");
    ck_assert_str_eq(levels.of[1].keyspace, "other");
}
END_TEST

/* ---- a merge under way ---- */

static int (*real_write)(struct env_file *file, uint64_t offset,
                         const struct iovec *parts, int count);
static struct levels meanwhile;
static bool armed;

/* The first write of the merge, which holds no lock, is when somebody looks in. */
static int
looking_write(struct env_file *file, uint64_t offset, const struct iovec *parts,
              int count)
{
    if (armed) {
        armed = false;
        meanwhile = look();
    }
    return real_write(file, offset, parts, count);
}

START_TEST(test_the_tables_of_a_merge_are_told_while_it_runs)
{
    struct lsmkv_level_stats before;
    struct levels levels;

    rig_close(&rig);
    real_write = rig.options.env->file_write;
    rig.options.env->file_write = looking_write;
    rig_open(&rig);
    for (int i = 0; i < 3; i++)
        flush_one(&"abc"[i]);
    levels = look();
    before = level(&levels, 0);
    armed = true;
    compact_all();
    ck_assert(!armed);
    ck_assert_uint_eq(level(&meanwhile, 0).merging_tables, 3);
    ck_assert_uint_eq(level(&meanwhile, 0).merging_bytes, before.bytes);
    levels = look();
    for (size_t i = 0; i < levels.count; i++)
        ck_assert_uint_eq(levels.of[i].merging_tables, 0);
}
END_TEST

/* ---- pins ---- */

struct pins {
    struct {
        char name[LSMKV_NAME_MAX + 1];
        struct lsmkv_pin pin;
    } of[8];
    size_t count;
};

static int
note_pin(void *context, const struct lsmkv_pin *pin)
{
    struct pins *pins = context;

    ck_assert_uint_lt(pins->count, 8);
    stpcpy(pins->of[pins->count].name, pin->snapshot);
    pins->of[pins->count++].pin = *pin;
    return pins->count == 8 ? 1 : 0;
}

static struct pins
look_at_pins(void)
{
    struct pins pins = {.count = 0};

    ck_assert_int_eq(lsmkv_pin_list(rig.db, note_pin, &pins), 0);
    return pins;
}

START_TEST(test_pins_are_told_with_the_tables_that_may_hold_what_they_see)
{
    struct lsmkv_snapshot_info info;
    struct lsmkv_snapshot *handle;
    uint64_t first, both;
    struct pins pins;

    ck_assert_uint_eq(look_at_pins().count, 0);
    flush_one("a");
    first = rig_stats(&rig).table_bytes;
    ck_assert_int_eq(lsmkv_snapshot_create(rig.db, "monday", &info), 0);
    flush_one("b");
    both = rig_stats(&rig).table_bytes;
    ck_assert_int_eq(lsmkv_snapshot_take(rig.db, &handle), 0);
    flush_one("c");

    pins = look_at_pins();
    ck_assert_uint_eq(pins.count, 2);
    ck_assert_str_eq(pins.of[0].name, "monday");
    ck_assert_int_eq(pins.of[0].pin.time, info.time);
    ck_assert_uint_eq(pins.of[0].pin.sequence, info.sequence);
    ck_assert_uint_eq(pins.of[0].pin.tables, 1);
    ck_assert_uint_eq(pins.of[0].pin.bytes, first);
    ck_assert_str_eq(pins.of[1].name, "");
    ck_assert_int_eq(pins.of[1].pin.time, 0);
    ck_assert_uint_eq(pins.of[1].pin.tables, 2);
    ck_assert_uint_eq(pins.of[1].pin.bytes, both);

    lsmkv_snapshot_release(rig.db, handle);
    ck_assert_int_eq(lsmkv_snapshot_drop(rig.db, "monday"), 0);
    ck_assert_uint_eq(look_at_pins().count, 0);
}
END_TEST

START_TEST(test_values_that_stand_apart_count_for_a_pin)
{
    size_t size = 100000;
    char *value = calloc(1, size);
    struct pins pins;

    ck_assert_ptr_nonnull(value);
    ck_assert_int_eq(lsmkv_put(rig.db, NULL, lsmkv_str("k"), lsmkv_bytes(NULL, 0),
                               lsmkv_bytes(value, size), 0),
                     0);
    free(value);
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    ck_assert_int_eq(lsmkv_snapshot_create(rig.db, "s", NULL), 0);
    pins = look_at_pins();
    ck_assert_uint_eq(pins.of[0].pin.tables, 1);
    ck_assert_uint_ge(pins.of[0].pin.bytes, size);
}
END_TEST

/* ---- what is not synced ---- */

static void
put_unsynced(const char *key, size_t size)
{
    char *value = calloc(1, size);

    ck_assert_ptr_nonnull(value);
    ck_assert_int_eq(lsmkv_put(rig.db, NULL, lsmkv_str(key), lsmkv_bytes(NULL, 0),
                               lsmkv_bytes(value, size), LSMKV_UNSYNCED),
                     0);
    free(value);
}

START_TEST(test_unsynced_bytes_are_those_since_the_last_sync)
{
    ck_assert_uint_eq(rig_stats(&rig).unsynced_bytes, 0);
    rig_put(&rig, "k", "synced");
    ck_assert_uint_eq(rig_stats(&rig).unsynced_bytes, 0);
    put_unsynced("k", 1000);
    ck_assert_uint_ge(rig_stats(&rig).unsynced_bytes, 1000);
    ck_assert_uint_lt(rig_stats(&rig).unsynced_bytes, 2000);
    ck_assert_int_eq(lsmkv_sync(rig.db), 0);
    ck_assert_uint_eq(rig_stats(&rig).unsynced_bytes, 0);
    /* A value that goes to its blob file at once is as little on the disk. */
    put_unsynced("large", 40000);
    ck_assert_uint_ge(rig_stats(&rig).unsynced_bytes, 40000);
    rig_put(&rig, "k", "synced"); /* and all before it */
    ck_assert_uint_eq(rig_stats(&rig).unsynced_bytes, 0);
    put_unsynced("k", 1000);
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    ck_assert_uint_eq(rig_stats(&rig).unsynced_bytes, 0);
}
END_TEST

START_TEST(test_sets_of_memtables_and_the_cache_are_told)
{
    struct lsmkv_stats stats = rig_stats(&rig);

    ck_assert_uint_ge(stats.memtable_sets, 1);
    ck_assert_uint_eq(stats.cache_limit_bytes, rig.options.cache_size);
}
END_TEST

/* Programs that walk a tree ask for it at each directory. */
START_TEST(test_space_is_one_call)
{
    struct lsmkv_stats stats;
    struct lsmkv_space space;
    uint64_t before;

    ck_assert_int_eq(lsmkv_get_stats(rig.db, &stats), 0);
    before = fault_env_calls(rig.faults, ENV_CALL_ANY);
    ck_assert_int_eq(lsmkv_get_space(rig.db, &space), 0);
    ck_assert_uint_eq(fault_env_calls(rig.faults, ENV_CALL_ANY), before + 1);
    ck_assert_uint_eq(space.free_bytes, stats.free_bytes);
    ck_assert_uint_eq(space.total_bytes, stats.total_bytes);
    ck_assert_uint_eq(space.reserve_bytes, stats.reserve_bytes);
    fault_env_set(rig.faults, (struct fault){ENV_CALL_DIR_SPACE, 1, true, EIO, false});
    ck_assert_int_eq(lsmkv_get_space(rig.db, &space), -EIO);
    fault_env_heal(rig.faults);
    ck_assert_uint_eq(space.total_bytes, stats.total_bytes);
}
END_TEST

static Suite *
looking_suite(void)
{
    Suite *suite = suite_create("looking");
    TCase *tests = tcase_create("looking");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_a_flushed_table_is_in_level_0_and_was_written_once);
    tcase_add_test(
        tests, test_what_a_merge_reads_from_above_came_in_and_what_it_writes_was_written);
    tcase_add_test(tests, test_a_table_that_moves_goes_in_and_is_not_written);
    tcase_add_test(tests, test_a_level_is_due_at_as_many_bytes_as_make_its_score_1);
    tcase_add_test(tests, test_what_levels_are_due_at_stands_in_a_line_each);
    tcase_add_test(tests, test_levels_are_told_by_keyspace_until_the_callback_ends_it);
    tcase_add_test(tests, test_the_tables_of_a_merge_are_told_while_it_runs);
    tcase_add_test(tests, test_pins_are_told_with_the_tables_that_may_hold_what_they_see);
    tcase_add_test(tests, test_values_that_stand_apart_count_for_a_pin);
    tcase_add_test(tests, test_unsynced_bytes_are_those_since_the_last_sync);
    tcase_add_test(tests, test_sets_of_memtables_and_the_cache_are_told);
    tcase_add_test(tests, test_space_is_one_call);
    suite_add_tcase(suite, tests);
    return suite;
}

int
main(void)
{
    return run_suite(looking_suite());
}
