/* test_store.c - the store beneath a mount: first mount, foreign stores, counters, commits. */
#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include "common/coding.h"
#include "store/records.h"
#include "store_fixture.h"
#include "support/fault_env.h"

static struct store_fixture fixture;

static void
setup(void)
{
    fixture_init(&fixture);
}

static void
teardown(void)
{
    fixture_fini(&fixture);
}

static struct lsmkv *
engine_open(bool create)
{
    struct lsmkv_options options = fixture.engine;
    struct lsmkv *db;

    options.create = create;
    ck_assert_int_eq(lsmkv_open(fixture.options.path, &options, &db), 0);
    return db;
}

static int
try_open(char *why, size_t size)
{
    struct store *store;

    return store_open(&fixture.options, &store, why, size);
}

static void
put(const char *key, bool durable)
{
    struct lsmkv_batch *batch;

    ck_assert_int_eq(lsmkv_batch_new(&batch), 0);
    ck_assert_int_eq(lsmkv_batch_put(batch, NULL, lsmkv_str(key), lsmkv_bytes(NULL, 0),
                                     lsmkv_str("value")),
                     0);
    ck_assert_int_eq(store_write(fixture.store, batch, durable), 0);
    lsmkv_batch_free(batch);
}

static bool
is_there(const char *key)
{
    return lsmkv_lookup(fixture.store->db, NULL, NULL, lsmkv_str(key), false, NULL, 0,
                        NULL) == LSMKV_EXACT;
}

START_TEST(test_the_format_record_is_golden)
{
    uint8_t bytes[32];
    struct lsmkv_record record;

    ck_assert_int_eq(lsmkv_get(fixture.store->db, fixture.store->meta, NULL,
                               lsmkv_str("format"), bytes, sizeof bytes, &record),
                     0);
    ck_assert_uint_eq(record.value.size, 12);
    ck_assert_uint_eq(get_le32(bytes), 1);
    ck_assert_uint_eq(get_le64(bytes + 4), fixture.store->salt);
    uint64_t salt = fixture.store->salt;
    fixture_reopen(&fixture);
    ck_assert_uint_eq(fixture.store->salt, salt);
}
END_TEST

START_TEST(test_a_store_filled_through_the_api_is_mounted)
{
    fixture_close(&fixture);
    mem_env_free(fixture.env);
    fixture.env = mem_env_new();
    fixture.engine.env = mem_env_base(fixture.env);
    struct lsmkv *db = engine_open(true);
    ck_assert_int_eq(
        lsmkv_put(db, NULL, lsmkv_str("k"), lsmkv_bytes(NULL, 0), lsmkv_str("v"), 0), 0);
    ck_assert_int_eq(lsmkv_close(db), 0);

    fixture.options.read_only = true;
    fixture_open(&fixture);
    ck_assert(is_there("k"));
    ck_assert_ptr_null(fixture.store->chunks);
    fixture_close(&fixture);
    fixture.options.read_only = false;
    fixture_open(&fixture);
    ck_assert(is_there("k"));
    ck_assert_ptr_nonnull(fixture.store->chunks);
}
END_TEST

START_TEST(test_a_newer_format_is_refused_in_words)
{
    uint8_t bytes[12] = {2};
    char why[256] = "";

    ck_assert_int_eq(lsmkv_put(fixture.store->db, fixture.store->meta,
                               lsmkv_str("format"), lsmkv_bytes(NULL, 0),
                               lsmkv_bytes(bytes, sizeof bytes), 0),
                     0);
    fixture_close(&fixture);
    ck_assert_int_eq(try_open(why, sizeof why), -EPROTONOSUPPORT);
    ck_assert_ptr_nonnull(strstr(why, "newer"));
}
END_TEST

START_TEST(test_a_keyspace_of_somebody_else_is_refused_and_left_alone)
{
    struct lsmkv_keyspace *meta;
    char why[256] = "";

    fixture_close(&fixture);
    mem_env_free(fixture.env);
    fixture.env = mem_env_new();
    fixture.engine.env = mem_env_base(fixture.env);
    struct lsmkv *db = engine_open(true);
    ck_assert_int_eq(lsmkv_keyspace_create(
                         db, "meta", _i ? LSMKV_ORDER_BYTES : LSMKV_ORDER_PATH, &meta),
                     0);
    ck_assert_int_eq(
        lsmkv_put(db, meta, lsmkv_str("k"), lsmkv_bytes(NULL, 0), lsmkv_str("v"), 0), 0);
    ck_assert_int_eq(lsmkv_close(db), 0);
    ck_assert_int_eq(try_open(why, sizeof why), -EUCLEAN);
    ck_assert_ptr_nonnull(strstr(why, fixture.options.path));
    db = engine_open(false);
    ck_assert_int_eq(lsmkv_keyspace_open(db, "chunks", &meta), -ENOENT);
    ck_assert_int_eq(lsmkv_close(db), 0);
}
END_TEST

START_TEST(test_what_is_no_store_is_not_made_one)
{
    char path[] = "/tmp/lsmfs-test-XXXXXX", file[64], why[256] = "";
    struct store *store;

    ck_assert_ptr_nonnull(mkdtemp(path));
    snprintf(file, sizeof file, "%s/notes", path);
    fclose(fopen(file, "w"));
    struct store_options options = fixture.options;
    options.engine = NULL;
    options.path = path;
    ck_assert_int_eq(store_open(&options, &store, why, sizeof why), -ENOENT);
    ck_assert_ptr_nonnull(strstr(why, "not a store"));
    unlink(file);
    rmdir(path);
}
END_TEST

START_TEST(test_a_first_mount_cut_short_anywhere_begins_again)
{
    struct mem_env *env = fixture.env;

    fixture_close(&fixture);
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct mem_crash policy = {MEM_DATA_RANDOM, MEM_NAMES_RANDOM};
        fixture.env = mem_env_new();
        fixture.engine.env = mem_env_base(fixture.env);
        struct lsmkv *db = engine_open(true);
        static const char *const names[] = {"chunks", "inodes", "meta"};
        for (size_t i = 0; i < seed % 4; i++) {
            struct lsmkv_keyspace *made;
            ck_assert_int_eq(
                lsmkv_keyspace_create(db, names[i], LSMKV_ORDER_BYTES, &made), 0);
        }
        struct mem_env *image = mem_env_crash(fixture.env, policy, seed);
        ck_assert_int_eq(lsmkv_close(db), 0);
        mem_env_free(fixture.env);
        fixture.env = image;
        fixture_open(&fixture);
        fixture_close(&fixture);
        mem_env_free(fixture.env);
    }
    fixture.env = env;
}
END_TEST

START_TEST(test_numbers_are_never_given_out_twice)
{
    struct mem_crash nothing = {MEM_DATA_NONE, MEM_NAMES_DROPPED};
    uint64_t last_ino = 0, last_id = 0;

    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < 70000; i += 1 + (round % 2) * 1000) {
            uint64_t ino, id;
            ck_assert_int_eq(store_new_ino(fixture.store, &ino), 0);
            ck_assert_int_eq(store_new_data_id(fixture.store, &id), 0);
            if (ino <= last_ino || id <= last_id || ino < ATTR_INO_FIRST ||
                ino >= ATTR_INO_IMPLIED)
                ck_abort_msg("%llu after %llu", (unsigned long long)ino,
                             (unsigned long long)last_ino);
            last_ino = ino;
            last_id = id;
        }
        if (round < 2)
            fixture_crash(&fixture, nothing, 0);
        else
            fixture_reopen(&fixture);
    }
}
END_TEST

static void
put_record(struct lsmkv_keyspace *keyspace, struct lsmkv_slice key)
{
    const struct lsmkv_slice none = lsmkv_bytes(NULL, 0);

    ck_assert_int_eq(lsmkv_put(fixture.store->db, keyspace, key, none, none, 0), 0);
}

/* Found by fuzz/vfs: a counter below what there is gave a new file an id with contents.  What was
 * written to it then could not be read. */
START_TEST(test_a_number_of_a_record_is_not_given_out)
{
    const uint64_t far = 1000000, limit = ATTR_INO_IMPLIED / 2;
    struct record_key keys[] = {record_inode(far),
                                record_xattr(2 * far, lsmkv_str("user.a")),
                                record_orphan(3 * far), record_trim(4 * far, 1),
                                record_inode(limit + 1) /* none comes to it */};
    struct chunk_key chunk = chunk_key(5 * far, 7, 1), beyond = chunk_key(limit, 0, 0),
                     last = chunk_key(limit - 1, 0, 0);
    uint64_t ino, id, least[] = {far + 1, 2 * far + 1, 0, 0, 0},
                      least_id[] = {0, 0, 3 * far + 1, 4 * far + 1, 0};

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        put_record(fixture.store->inodes, record_slice(&keys[i]));
        fixture_reopen(&fixture);
        ck_assert_int_eq(store_new_ino(fixture.store, &ino), 0);
        ck_assert_int_eq(store_new_data_id(fixture.store, &id), 0);
        ck_assert(ino >= least[i] && ino < limit);
        ck_assert(id >= least_id[i] && id < limit);
    }
    put_record(fixture.store->chunks, chunk_slice(&chunk));
    put_record(fixture.store->chunks, chunk_slice(&beyond));
    fixture_reopen(&fixture);
    ck_assert_int_eq(store_new_data_id(fixture.store, &id), 0);
    ck_assert_uint_eq(id, 5 * far + 1);
    put_record(fixture.store->chunks, chunk_slice(&last));
    for (unsigned i = 0; i < 2; i++) {
        fixture_reopen(&fixture);
        ck_assert_int_eq(store_new_data_id(fixture.store, &id), -EUCLEAN);
    }
}
END_TEST

/* Bug: any bound was believed.  One near the top made numbers that mean something else (bits of
 * ATTR_INO_IMPLIED) or wrapped; one of 0 gave the root's number to a file. */
START_TEST(test_a_bound_that_no_store_comes_to_is_refused)
{
    static const uint64_t bounds[] = {0, ATTR_INO_FIRST - 1, ATTR_INO_IMPLIED,
                                      UINT64_MAX};
    char why[256];

    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        uint8_t bytes[8];

        for (size_t byte = 0; byte < 8; byte++)
            bytes[byte] = (uint8_t)(bounds[i] >> 8 * byte);
        if (i > 0)
            fixture_init(&fixture);
        ck_assert_int_eq(lsmkv_put(fixture.store->db, fixture.store->meta,
                                   lsmkv_str("inode"), lsmkv_bytes(NULL, 0),
                                   lsmkv_bytes(bytes, sizeof bytes), 0),
                         0);
        fixture_close(&fixture);
        ck_assert_int_eq(try_open(why, sizeof why), -EUCLEAN);
        if (i + 1 < sizeof bounds / sizeof bounds[0])
            mem_env_free(fixture.env);
    }
}
END_TEST

START_TEST(test_a_read_only_store_writes_nothing)
{
    struct lsmkv_batch *batch;
    uint64_t ino;

    fixture_close(&fixture);
    uint64_t used = mem_env_used(fixture.env);
    fixture.options.read_only = true;
    fixture_open(&fixture);
    ck_assert_int_eq(store_start(fixture.store, NULL, NULL), 0);
    ck_assert_int_eq(lsmkv_batch_new(&batch), 0);
    ck_assert_int_eq(store_write(fixture.store, batch, true), 0);
    ck_assert_int_eq(lsmkv_batch_delete(batch, NULL, lsmkv_str("k")), 0);
    ck_assert_int_eq(store_write(fixture.store, batch, true), -EROFS);
    ck_assert_int_eq(store_new_ino(fixture.store, &ino), -EROFS);
    ck_assert_int_eq(store_sync(fixture.store), 0);
    lsmkv_batch_free(batch);
    fixture_close(&fixture);
    ck_assert_uint_eq(mem_env_used(fixture.env), used);
    fixture.options.read_only = false;
}
END_TEST

/* ---- commits ---- */

START_TEST(test_the_age_of_what_is_not_on_disk_is_told)
{
    uint64_t age;

    ck_assert_uint_eq(store_unsynced_age(fixture.store), 0);
    put("durable", true);
    ck_assert_uint_eq(store_unsynced_age(fixture.store), 0);
    put("first", false);
    usleep(20000);
    put("second", false);
    age = store_unsynced_age(fixture.store);
    ck_assert_uint_ge(age, 20000000); /* of the first */
    ck_assert_uint_gt(store_unsynced_age(fixture.store), age);
    ck_assert_int_eq(store_sync(fixture.store), 0);
    ck_assert_uint_eq(store_unsynced_age(fixture.store), 0);
    put("third", false);
    ck_assert_uint_gt(store_unsynced_age(fixture.store), 0);
    ck_assert_uint_lt(store_unsynced_age(fixture.store), age);
}
END_TEST

static const struct mem_crash nothing_kept = {MEM_DATA_NONE, MEM_NAMES_DROPPED};

START_TEST(test_unsynced_work_is_on_disk_after_the_interval)
{
    fixture_close(&fixture);
    fixture.options.commit_ms = 20;
    fixture_open(&fixture);
    ck_assert_int_eq(store_start(fixture.store, NULL, NULL), 0);
    put("unsynced", false);
    usleep(500000);
    fixture_crash(&fixture, nothing_kept, 0);
    ck_assert(is_there("unsynced"));
    put("durable", true);
    fixture_crash(&fixture, nothing_kept, 0);
    ck_assert(is_there("durable"));
    put("lost", false);
    fixture_crash(&fixture, nothing_kept, 0);
    ck_assert(!is_there("lost"));
}
END_TEST

START_TEST(test_sync_makes_every_write_durable)
{
    fixture_close(&fixture);
    fixture.options.sync = true;
    fixture_open(&fixture);
    put("k", false);
    fixture_crash(&fixture, nothing_kept, 0);
    ck_assert(is_there("k"));
}
END_TEST

START_TEST(test_an_idle_store_syncs_nothing)
{
    struct lsmkv_stats before, after;

    fixture_close(&fixture);
    fixture.options.commit_ms = 10;
    fixture_open(&fixture);
    ck_assert_int_eq(store_start(fixture.store, NULL, NULL), 0);
    put("k", false);
    usleep(300000);
    ck_assert_int_eq(lsmkv_get_stats(fixture.store->db, &before), 0);
    usleep(300000);
    ck_assert_int_eq(lsmkv_get_stats(fixture.store->db, &after), 0);
    ck_assert_uint_eq(before.log_syncs, after.log_syncs);
}
END_TEST

static atomic_uint deferred_calls;

static int
put_deferred(void *context)
{
    (void)context;
    atomic_fetch_add(&deferred_calls, 1);
    put("deferred", false);
    return 0;
}

START_TEST(test_what_is_deferred_is_put_ahead_of_the_sync)
{
    struct lsmkv_stats before, after;

    fixture_close(&fixture);
    fixture.options.commit_ms = 20;
    fixture_open(&fixture);
    ck_assert_int_eq(store_start(fixture.store, put_deferred, NULL), 0);
    usleep(200000);
    ck_assert_uint_eq(atomic_load(&deferred_calls), 0);
    ck_assert_int_eq(lsmkv_get_stats(fixture.store->db, &before), 0);
    store_touch(fixture.store);
    after = before;
    for (unsigned waited = 0; waited < 2000 && after.log_syncs == before.log_syncs;
         waited++) {
        usleep(10000);
        ck_assert_int_eq(lsmkv_get_stats(fixture.store->db, &after), 0);
    }
    usleep(100000);
    ck_assert_uint_eq(atomic_load(&deferred_calls), 1);
    fixture_crash(&fixture, nothing_kept, 0);
    ck_assert(is_there("deferred"));
}
END_TEST

START_TEST(test_stopping_puts_what_is_deferred_and_syncs)
{
    ck_assert_int_eq(store_start(fixture.store, put_deferred, NULL), 0);
    store_touch(fixture.store);
    put("k", false);
    ck_assert_int_eq(store_stop(fixture.store), 0);
    fixture_crash(&fixture, nothing_kept, 0);
    ck_assert(is_there("deferred"));
    ck_assert(is_there("k"));
}
END_TEST

static void
quiet(void *context, enum lsmkv_level level, const char *line)
{
    (void)context;
    (void)level;
    (void)line;
}

/* With ENOSPC, too.  Found by a mutant: whatever follows is EIO, for a caller that frees space
 * and tries again after ENOSPC would believe itself safe. */
START_TEST(test_a_failed_sync_of_the_timer_ends_all_writing)
{
    static const int errors[] = {EIO, ENOSPC};
    struct lsmkv_batch *batch;

    fixture_close(&fixture);
    struct fault_env *faults = fault_env_new(mem_env_base(fixture.env));
    struct store *store;
    char why[256];
    fixture.engine.env = fault_env_base(faults);
    fixture.engine.log = quiet;
    fixture.options.commit_ms = 20;
    ck_assert_int_eq(store_open(&fixture.options, &store, why, sizeof why), 0);
    fixture.store = store;
    ck_assert_int_eq(store_start(store, NULL, NULL), 0);
    /* The next sync shall be the timer's, not that of a flush of what open recovered. */
    ck_assert_int_eq(lsmkv_settle(store->db), 0);
    fault_env_set(faults, (struct fault){
                              .call = ENV_CALL_FILE_SYNC, .nth = 1, .error = errors[_i]});
    put("k", false);
    usleep(500000);
    fault_env_heal(faults);
    ck_assert(is_there("k"));
    ck_assert_int_eq(lsmkv_batch_new(&batch), 0);
    ck_assert_int_eq(lsmkv_batch_delete(batch, NULL, lsmkv_str("k")), 0);
    ck_assert_int_eq(store_write(store, batch, false), -EIO);
    ck_assert_int_eq(store_sync(store), -EIO);
    ck_assert_uint_ge(store_unsynced_age(store),
                      400000000); /* it never came to the disk */
    lsmkv_batch_free(batch);
    ck_assert_int_eq(store_stop(store), -EIO);
    ck_assert_int_ne(store_close(store), 0);
    fixture.store = NULL;
    fault_env_free(faults);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("store");
    TCase *tests = tcase_create("store");

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_the_format_record_is_golden);
    tcase_add_test(tests, test_a_store_filled_through_the_api_is_mounted);
    tcase_add_test(tests, test_a_newer_format_is_refused_in_words);
    tcase_add_test(tests, test_a_bound_that_no_store_comes_to_is_refused);
    tcase_add_loop_test(tests, test_a_keyspace_of_somebody_else_is_refused_and_left_alone,
                        0, 2);
    tcase_add_test(tests, test_what_is_no_store_is_not_made_one);
    tcase_add_test(tests, test_a_first_mount_cut_short_anywhere_begins_again);
    tcase_add_test(tests, test_numbers_are_never_given_out_twice);
    tcase_add_test(tests, test_a_number_of_a_record_is_not_given_out);
    tcase_add_test(tests, test_a_read_only_store_writes_nothing);
    tcase_add_test(tests, test_unsynced_work_is_on_disk_after_the_interval);
    tcase_add_test(tests, test_sync_makes_every_write_durable);
    tcase_add_test(tests, test_the_age_of_what_is_not_on_disk_is_told);
    tcase_add_test(tests, test_an_idle_store_syncs_nothing);
    tcase_add_test(tests, test_what_is_deferred_is_put_ahead_of_the_sync);
    tcase_add_test(tests, test_stopping_puts_what_is_deferred_and_syncs);
    tcase_add_loop_test(tests, test_a_failed_sync_of_the_timer_ends_all_writing, 0, 2);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
