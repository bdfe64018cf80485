/*
 * test_emptied.c - a directory that was emptied costs the first look into it, not the next, though a
 * snapshot keeps all that was there: at rest every name is a tombstone over what the snapshot sees.
 *
 * What a look costs is counted in blocks, from the cache or not.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>

#include "support/rig.h"
#include "support/suite.h"

#define KIB 1024u

enum { NAMES = 100000, NEIGHBOURS = 1000, FEW = 30 };

static struct rig rig;
static const struct lsmkv_slice none = {NULL, 0};

static void
setup(void)
{
    rig_init(&rig);
    rig.options.write_buffer_size = 1024 * KIB;
    rig.options.table_size = 256 * KIB;
    rig.options.level_base_size = 1024 * KIB;
    rig.options.max_open_tables = 64;
    rig_open(&rig);
}

static void
teardown(void)
{
    rig_fini(&rig);
}

static struct lsmkv_slice
name_of(const char *directory, unsigned i)
{
    static char name[32];

    snprintf(name, sizeof(name), "%s/%07u", directory, i);
    return lsmkv_str(name);
}

static void
put_names(const char *directory, unsigned count)
{
    static const char value[40];

    for (unsigned i = 0; i < count; i++)
        ck_assert_int_eq(lsmkv_put(rig.db, NULL, name_of(directory, i), none,
                                   lsmkv_bytes(value, sizeof(value)), LSMKV_UNSYNCED),
                         0);
}

static void
delete_names(const char *directory, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        ck_assert_int_eq(
            lsmkv_delete(rig.db, NULL, name_of(directory, i), LSMKV_UNSYNCED), 0);
}

static void
rest(void)
{
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
}

static uint64_t
blocks(void)
{
    struct lsmkv_stats stats = rig_stats(&rig);

    return stats.cache_hits + stats.cache_misses + stats.blocks_read;
}

/* How many names `m` has, and what it cost to see that. */
static unsigned
list(const struct lsmkv_snapshot *snapshot, uint64_t *cost)
{
    const struct lsmkv_iter_options options = {
        .snapshot = snapshot, .lower = lsmkv_str("m/"), .upper = lsmkv_str("m0")};
    uint64_t before = blocks();
    struct lsmkv_iter *iter;
    unsigned count = 0;

    ck_assert_int_eq(lsmkv_iter_new(rig.db, NULL, &options, &iter), 0);
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter); lsmkv_iter_next(iter))
        count++;
    ck_assert_int_eq(lsmkv_iter_status(iter), 0);
    lsmkv_iter_free(iter);
    *cost = blocks() - before;
    return count;
}

static uint64_t
look_up(int expected)
{
    uint64_t before = blocks();

    ck_assert_int_eq(
        lsmkv_lookup(rig.db, NULL, NULL, lsmkv_str("m"), false, NULL, 0, NULL), expected);
    return blocks() - before;
}

static void
empty_under_snapshot(void)
{
    put_names("a", NEIGHBOURS);
    put_names("m", NAMES);
    put_names("z", NEIGHBOURS);
    rest();
    ck_assert_int_eq(lsmkv_snapshot_create(rig.db, "before", NULL), 0);
    delete_names("m", NAMES);
    rest();
}

START_TEST(test_a_second_look_into_an_emptied_directory_is_cheap)
{
    struct lsmkv_snapshot *before;
    uint64_t first, second, skips;

    empty_under_snapshot();
    ck_assert_uint_eq(list(NULL, &first), 0);
    skips = rig_stats(&rig).dead_range_skips;
    ck_assert_uint_eq(list(NULL, &second), 0);
    ck_assert_uint_ge(first, 500); /* it is all there */
    ck_assert_uint_le(second, FEW);
    ck_assert_uint_eq(rig_stats(&rig).dead_range_skips, skips + 1);
    /* Bug: a look for the directory's name asked each table that the names lie in. */
    ck_assert_uint_le(look_up(LSMKV_ABSENT), FEW);
    /* Nor does the snapshot lose anything by it. */
    ck_assert_int_eq(lsmkv_snapshot_open(rig.db, "before", &before, NULL), 0);
    ck_assert_uint_eq(list(before, &first), NAMES);
    lsmkv_snapshot_release(rig.db, before);
    ck_assert_uint_eq(list(NULL, &second), 0);
    ck_assert_uint_le(second, FEW);
}
END_TEST

/* Merged with newer names, the tables are newer than the range; few of their blocks are. */
START_TEST(test_a_few_new_names_leave_it_cheap)
{
    uint64_t cost;

    empty_under_snapshot();
    ck_assert_uint_eq(list(NULL, &cost), 0);
    put_names("a", NEIGHBOURS);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(lsmkv_put(rig.db, NULL, name_of("m", i * (NAMES / 3) + 7), none,
                                   lsmkv_str("new"), 0),
                         0);
    ck_assert_uint_eq(list(NULL, &cost), 3);
    ck_assert_uint_le(cost, 3 * FEW);
    rest();
    ck_assert_uint_eq(list(NULL, &cost), 3);
    ck_assert_uint_le(cost, 3 * FEW);
    ck_assert_int_eq(lsmkv_compact(rig.db, NULL, none, none), 0);
    ck_assert_uint_eq(list(NULL, &cost), 3);
    ck_assert_uint_le(cost, 3 * FEW);
    ck_assert_uint_le(look_up(LSMKV_IMPLIED), FEW);
}
END_TEST

/* Without a snapshot merges leave nothing of it, once they have come to the deepest level. */
START_TEST(test_when_the_snapshot_is_dropped_nothing_is_left_to_skip)
{
    uint64_t cost;

    empty_under_snapshot();
    ck_assert_int_eq(lsmkv_snapshot_drop(rig.db, "before"), 0);
    ck_assert_int_eq(lsmkv_compact(rig.db, NULL, none, none), 0);
    ck_assert_uint_eq(list(NULL, &cost), 0);
    ck_assert_uint_le(cost, FEW);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("emptied");
    TCase *tests = tcase_create("emptied");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, test_a_second_look_into_an_emptied_directory_is_cheap);
    tcase_add_test(tests, test_a_few_new_names_leave_it_cheap);
    tcase_add_test(tests, test_when_the_snapshot_is_dropped_nothing_is_left_to_skip);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
