/*
 * test_blob_faults.c - blob files when something fails beside them: what an unfinished manifest line
 * may name, merges and collections that do not fit the disk, tables that cannot be read.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/random.h"
#include "support/rig.h"
#include "support/suite.h"

#define VALUE     3000u
#define THRESHOLD 1000u

static struct rig rig;
static const struct lsmkv_slice none = {NULL, 0};

static void
setup(void)
{
    rig_init(&rig);
    rig.options.blob_threshold = THRESHOLD;
    rig.options.direct_threshold = 0; /* files that a flush makes */
}

static void
teardown(void)
{
    rig_fini(&rig);
}

static struct lsmkv_slice
key_of(const char *tree, unsigned i)
{
    static char key[32];

    snprintf(key, sizeof(key), "%s/k%05u", tree, i);
    return lsmkv_str(key);
}

static struct lsmkv_slice
value_of(unsigned i)
{
    static char value[VALUE];
    struct random random = random_of(i);

    for (unsigned at = 0; at < VALUE; at++)
        value[at] = (char)random_next(&random);
    return lsmkv_bytes(value, VALUE);
}

static void
put(unsigned i)
{
    ck_assert_int_eq(
        lsmkv_put(rig.db, NULL, key_of("d", i), none, value_of(i), LSMKV_UNSYNCED), 0);
}

static void
flush(void)
{
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
}

static bool
holds(struct lsmkv_slice key, unsigned i)
{
    static char buffer[VALUE];
    struct lsmkv_record record;
    int result = lsmkv_get(rig.db, NULL, NULL, key, buffer, sizeof(buffer), &record);

    ck_assert_msg(result == 0 || result == -ENOENT, "%s", lsmkv_error_detail());
    return result == 0 && record.value.size == VALUE &&
           memcmp(buffer, value_of(i).data, VALUE) == 0;
}

/* ---- a manifest line in doubt ---- */

/* The collection waits at its blob file until the move has begun to write its table, and the move
 * there until the collection is done. */
static struct {
    int (*file_open)(struct env_dir *dir, const char *name, enum env_open how,
                     struct env_file **file);
    pthread_t mover;
    atomic_bool begins;
    atomic_uint blobs;
} turns;

static void
let_collect(void)
{
    const uint64_t before = rig_stats(&rig).compactions;

    atomic_store(&turns.begins, true);
    for (unsigned i = 0; i < 1000 && rig_stats(&rig).compactions == before; i++)
        rig.options.env->sleep(rig.options.env, 10000000);
    ck_assert_uint_gt(rig_stats(&rig).compactions, before);
    /* The sync of the move's table, then that of its line. */
    fault_env_set(rig.faults,
                  (struct fault){.call = ENV_CALL_FILE_SYNC, .nth = 2, .error = EIO});
}

static int
open_in_turn(struct env_dir *dir, const char *name, enum env_open how,
             struct env_file **file)
{
    if (how == ENV_CREATE && pthread_equal(pthread_self(), turns.mover)) {
        if (strstr(name, ".sst") != NULL && !atomic_load(&turns.begins))
            let_collect();
    } else if (how == ENV_CREATE && strstr(name, ".blob") != NULL) {
        if (atomic_fetch_add(&turns.blobs, 1) >= 2) /* others are those of flushes */
            while (!atomic_load(&turns.begins))
                rig.options.env->sleep(rig.options.env, 1000000);
    }
    return turns.file_open(dir, name, how, file);
}

/* A line whose sync failed may be found when the store is opened again.  It may name blob files that
 * in memory only tables refer to that were merged away meanwhile, so from then on none is deleted.
 * (They were, with the view that the move had read from; then the store could not be opened.) */
START_TEST(test_what_a_line_in_doubt_names_is_not_deleted)
{
    const struct lsmkv_move trees = {lsmkv_str("d"), lsmkv_str("e")};

    rig.options.move_log_limit = 4 * VALUE;
    rig.options.l0_compaction_trigger = 2;
    rig_open(&rig);
    turns.file_open = rig.options.env->file_open;
    turns.mover = pthread_self();
    rig.options.env->file_open = open_in_turn;
    for (unsigned i = 0; i < 12; i++)
        put(i);
    flush();
    for (unsigned i = 0; i < 12; i++)
        if (i % 4 != 0)
            put(i);
    flush();
    while (atomic_load(&turns.blobs) < 3)
        rig.options.env->sleep(rig.options.env, 1000000);
    ck_assert_int_eq(lsmkv_move_trees(rig.db, NULL, &trees, 1, NULL, 0), -EIO);
    rig_kill(&rig);
    rig_open(&rig);
    for (unsigned i = 0; i < 12; i++)
        ck_assert(holds(key_of("e", i), i) || holds(key_of("d", i), i));
}
END_TEST

/* ---- a disk with little room ---- */

/* Bug: a merge that met values to be collected failed where there was room for its tables, but not
 * for a blob file; so nothing that was deleted came free. */
START_TEST(test_a_merge_does_without_collecting_where_it_does_not_fit)
{
    uint64_t collected;

    rig.options.space_reserve = 4096;
    rig_open(&rig);
    for (unsigned i = 0; i < 12; i++)
        put(i);
    flush();
    for (unsigned i = 0; i < 12; i++)
        if (i % 4 != 0)
            put(i);
    flush();
    ck_assert_int_eq(lsmkv_settle(rig.db), 0); /* logs are deleted */
    /* What a merge leaves alone and a table, but no blob file. */
    mem_env_set_capacity(rig.memory,
                         mem_env_used(rig.memory) + 2 * (64 << 10) + (48 << 10));
    ck_assert_int_eq(lsmkv_compact(rig.db, NULL, none, none), 0);
    collected = rig_stats(&rig).blob_bytes_written;
    for (unsigned i = 0; i < 12; i++)
        if (i % 4 == 1)
            ck_assert_int_eq(lsmkv_delete(rig.db, NULL, key_of("d", i), 0), 0);
    ck_assert_int_eq(lsmkv_compact(rig.db, NULL, none, none), 0);
    ck_assert_uint_eq(rig_stats(&rig).blob_bytes_written, collected);
    for (unsigned i = 0; i < 12; i++)
        ck_assert_int_eq(holds(key_of("d", i), i), i % 4 != 1);
    mem_env_set_capacity(rig.memory, MEM_CAPACITY);
    ck_assert_int_eq(lsmkv_delete(rig.db, NULL, key_of("d", 2), 0), 0);
    ck_assert_int_eq(lsmkv_compact(rig.db, NULL, none, none), 0);
    ck_assert_uint_gt(rig_stats(&rig).blob_bytes_written, collected);
}
END_TEST

/* ---- long keys ---- */

/* Bug: what a file has of keys counted as dead.  With keys as long as their values each file was half
 * dead as it was written, and was collected without end. */
START_TEST(test_long_keys_are_not_dead_bytes)
{
    static char key[THRESHOLD + THRESHOLD / 10];
    struct lsmkv_stats stats;

    memset(key, 'k', sizeof(key));
    rig_open(&rig);
    for (unsigned i = 0; i < 12; i++) {
        key[sizeof(key) - 1] = (char)('a' + i);
        ck_assert_int_eq(lsmkv_put(rig.db, NULL, lsmkv_bytes(key, sizeof(key)), none,
                                   lsmkv_bytes(value_of(i).data, THRESHOLD),
                                   LSMKV_UNSYNCED),
                         0);
    }
    flush();
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    stats = rig_stats(&rig);
    ck_assert_uint_eq(stats.compactions, 0);
    ck_assert_uint_eq(stats.blob_dead_bytes, 0);
}
END_TEST

/* ---- damage ---- */

struct first_table {
    char name[32];
};

static int
note_table(void *context, const char *name)
{
    struct first_table *first = context;

    if (strstr(name, ".sst") != NULL &&
        (first->name[0] == '\0' || strcmp(name, first->name) < 0))
        snprintf(first->name, sizeof(first->name), "%s", name);
    return 0;
}

/* Of the table with the lowest number. */
static void
damage_first_block(void)
{
    struct first_table first = {""};
    struct env_file *file;
    struct env_dir *dir;

    ck_assert_int_eq(env_dir_open(rig.options.env, "store", false, &dir), 0);
    ck_assert_int_eq(env_dir_list(dir, note_table, &first), 0);
    ck_assert_int_eq(env_file_open(dir, first.name, ENV_WRITE, &file), 0);
    ck_assert_int_eq(env_file_write(file, 100, "??", 2), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    env_dir_close(dir);
}

static void
put_small(unsigned i)
{
    ck_assert_int_eq(lsmkv_put(rig.db, NULL, key_of("d", i), none,
                               lsmkv_bytes(value_of(i).data, 900), LSMKV_UNSYNCED),
                     0);
}

/* Bug: a table that could not be read, and referred to a file to be collected, was the next one for
 * ever: the collection failed, was tried again, and nothing else was collected. */
START_TEST(test_a_table_that_cannot_be_read_does_not_stop_collecting)
{
    uint64_t dead;

    rig_open(&rig);
    /* The values lie in one order, their keys in another: all files serve both tables. */
    for (unsigned n = 0; n < 100; n++) {
        unsigned i = n * 37 % 100;

        if (i < 50 ? i % 16 == 0 : i % 2 == 0)
            put(i);
        else
            put_small(i);
    }
    ck_assert_int_eq(lsmkv_compact(rig.db, NULL, none, none), 0);
    ck_assert_uint_gt(rig_stats(&rig).tables, 1);
    rig_close(&rig);
    damage_first_block();
    rig_open(&rig);
    for (unsigned i = 50; i < 100; i += 2)
        if (i % 8 != 0)
            put(i);
    flush();
    ck_assert_int_eq(
        lsmkv_compact(rig.db, NULL, lsmkv_str("d/k00050"), lsmkv_str("d/k00099")), 0);
    if (lsmkv_settle(rig.db) != 0) /* it may be met only now */
        ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    ck_assert_uint_gt(rig.errors, 0);
    dead = rig_stats(&rig).blob_dead_bytes;
    ck_assert_uint_gt(dead, 0);
    for (unsigned n = 0; n < 2; n++) {
        for (unsigned i = 100; i < 112; i++)
            if (n == 0 || i % 4 != 0)
                put(i);
        flush();
    }
    ck_assert_int_eq(lsmkv_compact(rig.db, NULL, lsmkv_str("d/k00100"), none), 0);
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    ck_assert_uint_lt(rig_stats(&rig).blob_dead_bytes, dead + VALUE);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("blob_faults");
    TCase *tests = tcase_create("blob_faults");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_what_a_line_in_doubt_names_is_not_deleted);
    tcase_add_test(tests, test_a_merge_does_without_collecting_where_it_does_not_fit);
    tcase_add_test(tests, test_long_keys_are_not_dead_bytes);
    tcase_add_test(tests, test_a_table_that_cannot_be_read_does_not_stop_collecting);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
