/*
 * test_straight.c - entries that go straight to tables (straight.h), of a large move and
 * of going back: what they refer to stays until they are installed, and where they are
 * not, no file is left.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "rig_fixture.h"
#include "support/suite.h"

#define THRESHOLD 1000
#define KEPT      3000 /* bytes of a value that stands apart and is live, */
#define DEAD      6000 /* and of one in the same file that is not */

static const char *
value_of(char letter, size_t size)
{
    static char value[DEAD + 1];

    memset(value, letter, size);
    value[size] = '\0';
    return value;
}

static void
flush(void)
{
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
}

/* ---- two keyspaces ---- */

static struct lsmkv_keyspace *
make_two_keyspaces(size_t write_buffer_size)
{
    struct lsmkv_keyspace *beside;

    rig_init(&rig);
    rig.options.blob_threshold = THRESHOLD;
    rig.options.move_log_limit = 1; /* by tables */
    rig.options.write_buffer_size = rig.options.table_size = write_buffer_size;
    rig_open(&rig);
    ck_assert_int_eq(lsmkv_keyspace_create(rig.db, "beside", LSMKV_ORDER_BYTES, &beside),
                     0);
    return beside;
}

static void
put_beside(struct lsmkv_keyspace *beside)
{
    ck_assert_int_eq(lsmkv_put(rig.db, beside, lsmkv_str("k"), none, lsmkv_str("1"), 0),
                     0);
}

/* To the snapshot "then". */
static int
go_back(struct lsmkv_keyspace *beside)
{
    struct lsmkv_snapshot *then;
    int result;

    (void)beside;
    ck_assert_int_eq(lsmkv_snapshot_open(rig.db, "then", &then, NULL), 0);
    result = lsmkv_rollback(rig.db, then, NULL);
    release(then);
    return result;
}

/* With a batch that makes tables of both keyspaces, and a blob file. */
static int
move_tree(struct lsmkv_keyspace *beside)
{
    struct lsmkv_move move = {lsmkv_str("d"), lsmkv_str("e")};
    struct lsmkv_batch *batch;
    int result;

    ck_assert_int_eq(lsmkv_batch_new(&batch), 0);
    ck_assert_int_eq(lsmkv_batch_put(batch, NULL, lsmkv_str("large"), none,
                                     lsmkv_str(value_of('l', KEPT))),
                     0);
    ck_assert_int_eq(lsmkv_batch_put(batch, beside, lsmkv_str("k"), none, lsmkv_str("2")),
                     0);
    result = lsmkv_move_trees(rig.db, NULL, &move, 1, batch, 0);
    lsmkv_batch_free(batch);
    return result;
}

/* ---- what is referred to ---- */

/* Beside tables that are more than what is dead in it, so that only a merge of them for
 * another reason collects it; and so large that a merge is told to wait. */
static void
make_half_dead_file(void)
{
    char key[32];

    rig_put(&rig, "d/kept", value_of('k', KEPT));
    rig_put(&rig, "dead", value_of('d', DEAD));
    for (int i = 0; i < 120; i++) {
        snprintf(key, sizeof(key), "small%d", i);
        rig_put(&rig, key, value_of('s', THRESHOLD - 100));
    }
    flush();
    rig_put(&rig, "dead", "");
    flush_and_merge();
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    ck_assert_uint_eq(rig_stats(&rig).blob_files, 1);
    ck_assert_uint_ge(rig_stats(&rig).blob_dead_bytes, DEAD);
}

/* The tables that the test's own thread makes. */
static struct {
    pthread_t thread;
    int (*open)(struct env_dir *dir, const char *name, enum env_open how,
                struct env_file **file);
    unsigned count;
} made;

/* The merge under way, which goes on for minutes otherwise, takes no time any more. */
static void
let_merge_end(void)
{
    struct lsmkv_stats before = rig_stats(&rig), after;

    rig_hurry(&rig);
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
    after = rig_stats(&rig);
    ck_assert_uint_eq(after.compactions, before.compactions + 1);
    ck_assert_uint_ge(after.blob_bytes_written, before.blob_bytes_written + KEPT);
}

/* Before the second one. */
static int
open_after_merge(struct env_dir *dir, const char *name, enum env_open how,
                 struct env_file **file)
{
    if (pthread_equal(pthread_self(), made.thread) && how == ENV_CREATE &&
        strstr(name, ".sst") != NULL && ++made.count == 2)
        let_merge_end();
    return made.open(dir, name, how, file);
}

static const struct {
    int (*go)(struct lsmkv_keyspace *beside);
    const char *now;  /* what the key has before, or NULL: its value that stands apart */
    const char *kept; /* that has this afterwards */
} ways[] = {{go_back, "now", "d/kept"}, {move_tree, NULL, "e/kept"}};

/* When the first table is there, a merge collects the file of a value that it refers to
 * (N2).  Found by a mutant. */
START_TEST(test_what_is_referred_to_stays_though_its_file_is_collected)
{
    struct lsmkv_keyspace *beside = make_two_keyspaces(1 << 20);

    make_half_dead_file();
    rig_close(&rig);
    rig.options.l0_compaction_trigger = 2;
    rig.options.compaction_rate = 100; /* bytes a second */
    made.thread = pthread_self();
    made.count = 0;
    made.open = rig.options.env->file_open;
    rig.options.env->file_open = open_after_merge;
    rig_open(&rig);
    ck_assert_int_eq(lsmkv_keyspace_open(rig.db, "beside", &beside), 0);
    ck_assert_int_eq(lsmkv_snapshot_create(rig.db, "then", NULL), 0);
    if (ways[_i].now != NULL)
        rig_put(&rig, "d/kept", ways[_i].now);
    rig_put(&rig, "m", "1"); /* among the keys of the large tables */
    put_beside(beside);
    flush();
    rig_put(&rig, "m", "2");
    flush(); /* the second table of level 0 */
    ck_assert_int_eq(ways[_i].go(beside), 0);
    ck_assert_uint_ge(made.count, 2);
    ck_assert(rig_holds(&rig, NULL, ways[_i].kept, value_of('k', KEPT)));
    rig_kill(&rig);
    rig_open(&rig);
    ck_assert(rig_holds(&rig, NULL, ways[_i].kept, value_of('k', KEPT)));
    rig_fini(&rig);
}
END_TEST

/* ---- what is left ---- */

static int
count_files(void *context, const char *name)
{
    *(uint64_t *)context += strstr(name, ".sst") != NULL || strstr(name, ".blob") != NULL;
    return 0;
}

/* Tables and blob files that have a name. */
static uint64_t
files_there(void)
{
    uint64_t count = 0;
    struct env_dir *dir;

    ck_assert_int_eq(env_dir_open(rig.options.env, "store", false, &dir), 0);
    ck_assert_int_eq(env_dir_list(dir, count_files, &count), 0);
    env_dir_close(dir);
    return count;
}

/* Whichever write of it fails, of the first table or the last one, or of the manifest.
 * Found by a mutant: they stayed until the next opening. */
START_TEST(test_of_what_fails_half_way_no_file_stays)
{
    struct fault fault = {.call = ENV_CALL_FILE_WRITE, .error = EIO};
    int result = -EIO;

    while (result != 0) {
        struct lsmkv_keyspace *beside = make_two_keyspaces(64 << 10);
        uint64_t before;

        ck_assert_int_eq(lsmkv_snapshot_create(rig.db, "then", NULL), 0);
        rig_put(&rig, "d/x", "1");
        put_beside(beside);
        flush();
        before = files_there();
        ck_assert_uint_eq(before, 2);
        fault.nth++;
        fault_env_set(rig.faults, fault);
        result = ways[_i].go(beside);
        fault_env_heal(rig.faults);
        if (result != 0) {
            ck_assert_int_eq(result, -EIO);
            ck_assert_uint_eq(files_there(), before);
        }
        rig_fini(&rig);
    }
    ck_assert_uint_gt(fault.nth, 3); /* each of two tables, and the manifest */
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("straight");
    TCase *tcase = tcase_create("referred to");

    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(
        tcase, test_what_is_referred_to_stays_though_its_file_is_collected, 0, 2);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("what is left");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, test_of_what_fails_half_way_no_file_stays, 0, 2);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
