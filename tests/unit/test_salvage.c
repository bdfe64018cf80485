/*
 * Getting at what a damaged store still has: iterators that pass over what cannot be read, and
 * opening in spite of a damaged log.  What is read is right, and what is not damaged is read.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/rig.h"
#include "support/suite.h"

#define KEYS      400u
#define FILES_MAX 32

static struct rig rig;
static char names[FILES_MAX][64];
static unsigned name_count;
static bool seen[KEYS];

static void
key_of(char *key, size_t size, unsigned i)
{
    snprintf(key, size, "dir%02u/key%04u", i / 50, i);
}

static void
put_keys(unsigned from, unsigned to)
{
    char key[32], value[64];

    for (unsigned i = from; i < to; i++) {
        key_of(key, sizeof(key), i);
        snprintf(value, sizeof(value), "the value of key %u, of some length", i);
        rig_put(&rig, key, value);
    }
}

static void
setup(void)
{
    rig_init(&rig);
    rig.options.block_size = 512;
    rig.options.table_size = 8 << 10;
    rig_open(&rig);
    put_keys(0, KEYS);
}

static void
teardown(void)
{
    rig_fini(&rig);
}

static int
note_name(void *context, const char *name)
{
    if (strstr(name, context) != NULL) {
        ck_assert_uint_lt(name_count, FILES_MAX);
        snprintf(names[name_count++], sizeof(names[0]), "%s", name);
    }
    return 0;
}

static struct env_dir *
find_files(const char *suffix)
{
    char copy[8];
    struct env_dir *dir;

    snprintf(copy, sizeof(copy), "%s", suffix);
    name_count = 0;
    ck_assert_int_eq(env_dir_open(rig.options.env, "store", false, &dir), 0);
    ck_assert_int_eq(env_dir_list(dir, note_name, copy), 0);
    return dir;
}

static void
flip(struct env_dir *dir, const char *name, uint64_t offset)
{
    struct env_file *file;
    uint8_t byte;

    ck_assert_int_eq(env_file_open(dir, name, ENV_WRITE, &file), 0);
    ck_assert_int_eq(env_file_read(file, offset, &byte, 1), 1);
    byte ^= 0x10;
    ck_assert_int_eq(env_file_write(file, offset, &byte, 1), 0);
    ck_assert_int_eq(env_file_close(file), 0);
}

static uint64_t
size_of(struct env_dir *dir, const char *name)
{
    struct env_file *file;
    uint64_t size;

    ck_assert_int_eq(env_file_open(dir, name, ENV_READ, &file), 0);
    ck_assert_int_eq(env_file_size(file, &size), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    return size;
}

static int
open_salvaging(struct lsmkv **db)
{
    struct lsmkv_options options = rig.options;

    options.read_only = options.salvage = true;
    options.create = false;
    return lsmkv_open("store", &options, db);
}

/* How many keys a salvaging walk shows, each once and in order; notes which. */
static unsigned
walk(struct lsmkv *db, struct lsmkv_slice lower)
{
    struct lsmkv_iter_options options = {.lower = lower};
    struct lsmkv_iter *iter;
    unsigned count = 0;
    int last = -1;

    memset(seen, 0, sizeof(seen));
    ck_assert_int_eq(lsmkv_iter_new_salvaging(db, NULL, &options, &iter), 0);
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter); lsmkv_iter_next(iter)) {
        struct lsmkv_slice key = lsmkv_iter_key(iter);
        char text[32], expected[64];
        int i;

        ck_assert_uint_lt(key.size, sizeof(text));
        memcpy(text, key.data, key.size);
        text[key.size] = '\0';
        ck_assert_int_eq(sscanf(text, "dir%*u/key%d", &i), 1);
        ck_assert_int_gt(i, last);
        last = i;
        seen[i] = true;
        count++;
        snprintf(expected, sizeof(expected), "the value of key %d, of some length", i);
        ck_assert_mem_eq(lsmkv_iter_record(iter)->value.data, expected, strlen(expected));
    }
    ck_assert_int_eq(lsmkv_iter_status(iter), 0);
    lsmkv_iter_free(iter);
    return count;
}

static unsigned
walk_all(struct lsmkv *db)
{
    return walk(db, lsmkv_bytes(NULL, 0));
}

/* What is not seen is one run of keys: those of a block, or of a table. */
static unsigned
missing_run(void)
{
    unsigned runs = 0, missing = 0;

    for (unsigned i = 0; i < KEYS; i++) {
        missing += !seen[i];
        runs += !seen[i] && (i == 0 || seen[i - 1]);
    }
    ck_assert_uint_eq(runs, 1);
    return missing;
}

/* Below level 0: wherever a table is damaged, only the block there, or the table, is missing. */
START_TEST(test_a_walk_passes_over_a_damaged_block)
{
    struct env_dir *dir;

    ck_assert_int_eq(
        lsmkv_compact(rig.db, NULL, lsmkv_bytes(NULL, 0), lsmkv_bytes(NULL, 0)), 0);
    rig_close(&rig);
    dir = find_files(".sst");
    ck_assert_uint_ge(name_count, 3);
    for (unsigned f = 0; f < name_count; f++) {
        uint64_t end = size_of(dir, names[f]) / 2; /* data blocks, all of it */

        for (uint64_t offset = 0; offset < end; offset += 250) {
            struct lsmkv *db;
            unsigned count;

            flip(dir, names[f], offset);
            ck_assert_int_eq(open_salvaging(&db), 0);
            count = walk_all(db);
            ck_assert_uint_lt(count, KEYS);
            ck_assert_uint_eq(missing_run(), KEYS - count);
            ck_assert_uint_le(KEYS - count, 12); /* of a block of 512 bytes */
            /* A walk that begins inside what is damaged goes on behind it. */
            for (unsigned i = 0; i < KEYS; i++)
                if (!seen[i]) {
                    char key[32];

                    key_of(key, sizeof(key), i);
                    ck_assert_uint_le(walk(db, lsmkv_str(key)), KEYS - i - 1);
                    break;
                }
            ck_assert_int_eq(lsmkv_close(db), 0);
            flip(dir, names[f], offset);
        }
    }
    env_dir_close(dir);
}
END_TEST

static void
remove_each_table(void)
{
    struct env_dir *dir = find_files(".sst");

    ck_assert_uint_ge(name_count, 1);
    for (unsigned f = 0; f < name_count; f++) {
        struct lsmkv *db;
        unsigned count;

        ck_assert_int_eq(env_dir_rename(dir, names[f], "away"), 0);
        ck_assert_int_eq(open_salvaging(&db), 0);
        count = walk_all(db);
        ck_assert_uint_lt(count, KEYS);
        ck_assert_uint_eq(missing_run(), KEYS - count);
        ck_assert_int_eq(lsmkv_close(db), 0);
        ck_assert_int_eq(env_dir_rename(dir, "away", names[f]), 0);
    }
    env_dir_close(dir);
}

START_TEST(test_a_walk_passes_over_a_missing_table)
{
    ck_assert_int_eq(
        lsmkv_compact(rig.db, NULL, lsmkv_bytes(NULL, 0), lsmkv_bytes(NULL, 0)), 0);
    rig_close(&rig);
    remove_each_table();
}
END_TEST

START_TEST(test_a_walk_passes_over_a_missing_table_of_level_0)
{
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    rig_close(&rig);
    remove_each_table();
}
END_TEST

/* With a bound right behind the last key before `upper`, all before it is read without an error. */
static void
expect_whole_up_to(struct lsmkv *db, unsigned upper)
{
    struct lsmkv_iter_options options = {0};
    struct lsmkv_iter *iter;
    unsigned count = 0;
    char key[32] = "";

    if (upper > 0)
        key_of(key, sizeof(key), upper - 1);
    options.upper = lsmkv_bytes(key, strlen(key) + 1); /* with the NUL */
    ck_assert_int_eq(lsmkv_iter_new(db, NULL, &options, &iter), 0);
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter); lsmkv_iter_next(iter))
        count++;
    ck_assert_int_eq(lsmkv_iter_status(iter), 0);
    ck_assert_uint_eq(count, upper);
    lsmkv_iter_free(iter);
}

static unsigned
first_missing(void)
{
    unsigned i = 0;

    while (seen[i])
        i++;
    return i;
}

/* Bug: at the end of a block an iterator went on to the next one, although that began behind its
 * bound; so a bad block hid the one before it, too, and a bad table what was before that. */
START_TEST(test_a_bound_spares_what_stands_behind_it)
{
    struct env_dir *dir;
    struct lsmkv *db;
    uint64_t end;

    ck_assert_int_eq(
        lsmkv_compact(rig.db, NULL, lsmkv_bytes(NULL, 0), lsmkv_bytes(NULL, 0)), 0);
    rig_close(&rig);
    dir = find_files(".sst");
    end = size_of(dir, names[1]) / 2; /* data blocks, all of it */
    for (uint64_t offset = 0; offset < end; offset += 100) {
        flip(dir, names[1], offset);
        ck_assert_int_eq(open_salvaging(&db), 0);
        ck_assert_uint_lt(walk_all(db), KEYS);
        expect_whole_up_to(db, first_missing());
        ck_assert_int_eq(lsmkv_close(db), 0);
        flip(dir, names[1], offset);
    }
    for (unsigned f = 0; f < name_count; f++) {
        ck_assert_int_eq(env_dir_rename(dir, names[f], "away"), 0);
        ck_assert_int_eq(open_salvaging(&db), 0);
        walk_all(db);
        expect_whole_up_to(db, first_missing());
        ck_assert_int_eq(lsmkv_close(db), 0);
        ck_assert_int_eq(env_dir_rename(dir, "away", names[f]), 0);
    }
    env_dir_close(dir);
}
END_TEST

/* Every iterator but the salvaging one ends with the error. */
START_TEST(test_another_iterator_still_fails)
{
    struct env_dir *dir;
    struct lsmkv_iter *iter;
    struct lsmkv *db;

    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    rig_close(&rig);
    dir = find_files(".sst");
    flip(dir, names[0], 0);
    env_dir_close(dir);
    ck_assert_int_eq(open_salvaging(&db), 0);
    ck_assert_int_eq(lsmkv_iter_new(db, NULL, NULL, &iter), 0);
    lsmkv_iter_first(iter);
    ck_assert(!lsmkv_iter_valid(iter));
    ck_assert_int_eq(lsmkv_iter_status(iter), -EBADMSG);
    lsmkv_iter_free(iter);
    ck_assert_int_eq(lsmkv_close(db), 0);
}
END_TEST

/* Of a damaged log every frame that is not is read, before the damage and behind it. */
START_TEST(test_a_damaged_log_lacks_the_damaged_frame)
{
    struct env_dir *dir;

    rig_close(&rig);
    dir = find_files(".log");
    ck_assert_uint_eq(name_count, 1);
    for (uint64_t offset = 100; offset < 30000; offset += 1000) {
        struct lsmkv_options options = rig.options;
        struct lsmkv *db;

        flip(dir, names[0], offset);
        options.read_only = true;
        options.create = false;
        ck_assert_int_lt(lsmkv_open("store", &options, &db), 0);
        ck_assert_int_eq(open_salvaging(&db), 0);
        ck_assert_uint_eq(walk_all(db), KEYS - 1);
        ck_assert_int_eq(lsmkv_close(db), 0);
        flip(dir, names[0], offset);
    }
    env_dir_close(dir);
}
END_TEST

/* Without MANIFEST the tables are found in the directory.  One that was merged may hold an older
 * version of a key than a flushed one, and a larger largest sequence: each key's newest version is
 * found all the same, by walks and by gets. */
START_TEST(test_a_store_without_manifest_is_read)
{
    struct env_dir *dir;
    struct lsmkv *db;
    char key[32];

    ck_assert_int_eq(
        lsmkv_compact(rig.db, NULL, lsmkv_bytes(NULL, 0), lsmkv_bytes(NULL, 0)), 0);
    key_of(key, sizeof(key), 7);
    rig_put(&rig, key, "the value of key 7, of some length, again");
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    key_of(key, sizeof(key), 9);
    rig_put(&rig, key, "the value of key 9, of some length, again");
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    ck_assert_int_eq(lsmkv_compact(rig.db, NULL, lsmkv_str(key), lsmkv_str(key)), 0);
    key_of(key, sizeof(key), 8);
    rig_put(&rig, key, "the value of key 8, of some length, in the log");
    rig_close(&rig);
    dir = find_files("MANIFEST");
    ck_assert_int_eq(env_dir_unlink(dir, "MANIFEST"), 0);
    env_dir_close(dir);
    ck_assert_int_eq(open_salvaging(&db), 0);
    ck_assert_uint_eq(walk_all(db), KEYS);
    for (unsigned i = 0; i < KEYS; i++) {
        struct lsmkv_held *held;
        size_t size;

        key_of(key, sizeof(key), i);
        ck_assert_int_eq(lsmkv_get_held(db, NULL, NULL, lsmkv_str(key), &held), 0);
        size = lsmkv_held_record(held)->value.size;
        ck_assert_msg((size > 40) == (i >= 7 && i <= 9), "key %u has %zu bytes", i, size);
        lsmkv_held_release(held);
    }
    ck_assert_int_eq(lsmkv_close(db), 0);
}
END_TEST

START_TEST(test_a_missing_log_leaves_the_tables)
{
    struct env_dir *dir;
    struct lsmkv *db;

    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    rig_close(&rig);
    dir = find_files(".log");
    for (unsigned i = 0; i < name_count; i++)
        ck_assert_int_eq(env_dir_unlink(dir, names[i]), 0);
    env_dir_close(dir);
    ck_assert_int_eq(open_salvaging(&db), 0);
    ck_assert_uint_eq(walk_all(db), KEYS);
    ck_assert_int_eq(lsmkv_close(db), 0);
}
END_TEST

START_TEST(test_a_damaged_mark_of_a_clean_close)
{
    struct env_dir *dir;
    struct lsmkv *db;

    rig_close(&rig);
    dir = find_files("CLOSED");
    flip(dir, "CLOSED", 3);
    env_dir_close(dir);
    ck_assert_int_eq(open_salvaging(&db), 0);
    ck_assert_uint_eq(walk_all(db), KEYS);
    ck_assert_int_eq(lsmkv_close(db), 0);
}
END_TEST

static void
put_in(const char *name, const char *key)
{
    struct lsmkv_keyspace *keyspace;

    ck_assert_int_eq(lsmkv_keyspace_create(rig.db, name, LSMKV_ORDER_BYTES, &keyspace),
                     0);
    ck_assert_int_eq(
        lsmkv_put(rig.db, keyspace, lsmkv_str(key), lsmkv_str(""), lsmkv_str("value"), 0),
        0);
}

static void
assert_in(struct lsmkv *db, const char *name, const char *key)
{
    struct lsmkv_keyspace *keyspace;
    struct lsmkv_record record;
    char buffer[64];

    ck_assert_int_eq(lsmkv_keyspace_open(db, name, &keyspace), 0);
    ck_assert_int_eq(
        lsmkv_get(db, keyspace, NULL, lsmkv_str(key), buffer, sizeof(buffer), &record),
        0);
}

/* Bug: the name that was made up for a keyspace without one stood twice in a repaired store. */
START_TEST(test_a_name_made_up_is_nobody_elses)
{
    char manifest[16384];
    struct env_file *file;
    struct env_dir *dir;
    struct lsmkv *db;
    const char *lost;
    ssize_t got;

    put_in("keyspace-2", "first");
    put_in("misplaced", "second");
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    rig_close(&rig);
    dir = find_files("MANIFEST");
    ck_assert_int_eq(env_file_open(dir, "MANIFEST", ENV_READ, &file), 0);
    got = env_file_read(file, 0, manifest, sizeof(manifest) - 1);
    ck_assert_int_gt(got, 0);
    ck_assert_int_eq(env_file_close(file), 0);
    manifest[got] = '\0';
    lost = strstr(manifest, "misplaced");
    ck_assert_ptr_nonnull(lost);
    flip(dir, "MANIFEST", (uint64_t)(lost - manifest));
    env_dir_close(dir);
    ck_assert_int_eq(open_salvaging(&db), 0);
    assert_in(db, "keyspace-2", "first");
    assert_in(db, "keyspace-2-2", "second");
    ck_assert_int_eq(lsmkv_close(db), 0);
}
END_TEST

/* The last line, which replaced tables by a merge, is bad: those that the lines before it name are
 * gone, and nothing could be read. */
START_TEST(test_a_bad_line_that_replaced_tables)
{
    struct env_dir *dir;
    struct env_file *file;
    struct lsmkv_held *held;
    struct lsmkv *db;
    char key[32];
    uint64_t size;

    ck_assert_int_eq(
        lsmkv_compact(rig.db, NULL, lsmkv_bytes(NULL, 0), lsmkv_bytes(NULL, 0)), 0);
    rig_close(&rig);
    dir = find_files("MANIFEST");
    ck_assert_int_eq(env_file_open(dir, "MANIFEST", ENV_READ, &file), 0);
    ck_assert_int_eq(env_file_size(file, &size), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    flip(dir, "MANIFEST", size - 20);
    env_dir_close(dir);
    ck_assert_int_eq(open_salvaging(&db), 0);
    ck_assert_uint_eq(walk_all(db), KEYS);
    for (unsigned i = 0; i < KEYS; i++) {
        key_of(key, sizeof(key), i);
        ck_assert_int_eq(lsmkv_get_held(db, NULL, NULL, lsmkv_str(key), &held), 0);
        lsmkv_held_release(held);
    }
    ck_assert_int_eq(lsmkv_close(db), 0);
    ck_assert_uint_gt(rig.errors, 0);
}
END_TEST

START_TEST(test_an_undamaged_store_is_whole)
{
    struct lsmkv *db;

    rig_close(&rig);
    ck_assert_int_eq(open_salvaging(&db), 0);
    ck_assert_uint_eq(walk_all(db), KEYS);
    ck_assert_int_eq(lsmkv_close(db), 0);
    ck_assert_uint_eq(rig.errors, 0);
}
END_TEST

START_TEST(test_salvaging_never_writes)
{
    struct lsmkv_options options = rig.options;
    struct lsmkv *db;

    rig_close(&rig);
    options.salvage = true;
    ck_assert_int_eq(lsmkv_open("store", &options, &db), -EINVAL);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("salvage");
    TCase *tcase = tcase_create("salvage");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_a_walk_passes_over_a_damaged_block);
    tcase_add_test(tcase, test_a_walk_passes_over_a_missing_table);
    tcase_add_test(tcase, test_a_walk_passes_over_a_missing_table_of_level_0);
    tcase_add_test(tcase, test_a_bound_spares_what_stands_behind_it);
    tcase_add_test(tcase, test_another_iterator_still_fails);
    tcase_add_test(tcase, test_a_damaged_log_lacks_the_damaged_frame);
    tcase_add_test(tcase, test_a_store_without_manifest_is_read);
    tcase_add_test(tcase, test_a_missing_log_leaves_the_tables);
    tcase_add_test(tcase, test_a_damaged_mark_of_a_clean_close);
    tcase_add_test(tcase, test_a_name_made_up_is_nobody_elses);
    tcase_add_test(tcase, test_a_bad_line_that_replaced_tables);
    tcase_add_test(tcase, test_an_undamaged_store_is_whole);
    tcase_add_test(tcase, test_salvaging_never_writes);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
