/*
 * lsmkv_repair: of a damaged store all that is not damaged is in the new one, nothing else is, what
 * is missing was told, and the damaged one is as it was.
 *
 * Each case damages a copy of one small store, repairs it, checks the new one and holds it against
 * what was put.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "db/db.h"
#include "repair_fixture.h"
#include "support/rounds.h"
#include "support/suite.h"
#include "table/blob.h"

START_TEST(test_an_undamaged_store_is_copied)
{
    struct mem_env *copy = mem_env_kill(rig.memory);
    struct outcome outcome = {.sought = NULL};
    struct lsmkv_snapshot *snapshot;
    struct lsmkv_options options = rig.options;
    struct lsmkv *db;

    ck_assert_int_eq(repair(copy, &outcome), 0);
    ck_assert_uint_eq(outcome.damage + outcome.loss_count, 0);
    check_new_store(copy, &outcome);
    ck_assert_uint_eq(outcome.missing, 0);
    options.env = mem_env_base(copy);
    ck_assert_int_eq(lsmkv_open("new", &options, &db), 0);
    ck_assert_int_eq(lsmkv_snapshot_open(db, "snap", &snapshot, NULL), 0);
    ck_assert(model_matches(&seen_by_snapshot, db, NULL, snapshot));
    lsmkv_snapshot_release(db, snapshot);
    ck_assert_int_eq(lsmkv_close(db), 0);
    mem_env_free(copy);
}
END_TEST

/* Of a part of the places, those of each file are others. */
static size_t
first(size_t f, size_t step)
{
    unsigned one_in = rounds_of_bytes_one_in();

    return f % one_in * (step / one_in);
}

/* Every so many places. */
static size_t
step(size_t f, size_t large, size_t small)
{
    return (files[f].size > 4096 ? large : small) * rounds_of_bytes_one_in();
}

/* One byte spoils one block or one frame, or nothing of the records. */
START_TEST(test_a_flipped_byte_loses_a_block_at_most)
{
    for (size_t f = 0; f < file_count; f++)
        for (size_t at = first(f, step(f, 23, 5)); at < files[f].size;
             at += step(f, 23, 5)) {
            struct outcome outcome;

            files[f].data[at] ^= 0x40;
            outcome = damage(f, files[f].data, files[f].size);
            files[f].data[at] ^= 0x40;
            ck_assert_uint_le(outcome.missing, is_table(f) ? 10 : is_log(f) ? 1 : 0);
            ck_assert_msg(outcome.names_file, "%s at %zu", files[f].name, at);
        }
}
END_TEST

/* What stands before the place is there. */
START_TEST(test_a_truncated_file_keeps_what_it_has)
{
    for (size_t f = 0; f < file_count; f++)
        for (size_t size = first(f, step(f, 61, 11)); size < files[f].size;
             size += step(f, 61, 11)) {
            struct outcome outcome = damage(f, files[f].data, size);
            unsigned lost = (unsigned)(KEYS * 2 * (files[f].size - size) / files[f].size);

            ck_assert_msg(outcome.names_file, "%s at %zu", files[f].name, size);
            if (is_table(f) || is_log(f))
                ck_assert_uint_le(outcome.missing, lost + 10);
            else
                ck_assert_uint_eq(outcome.missing, 0);
        }
}
END_TEST

/* After an unclean stop no mark tells how long MANIFEST was; that the logs and tables that it does
 * not know replaced others shows all the same. */
START_TEST(test_a_manifest_that_lacks_its_end)
{
    size_t f = 0;

    while (strcmp(files[f].name, "MANIFEST") != 0)
        f++;
    for (size_t size = 0; size < files[f].size; size += 11 * rounds_of_bytes_one_in()) {
        struct mem_env *copy = mem_env_kill(rig.memory);
        struct outcome outcome = {.sought = NULL};
        struct env_dir *dir = directory(copy, "store");
        int result;

        ck_assert_int_eq(env_dir_unlink(dir, "CLOSED"), 0);
        env_dir_close(dir);
        rewrite(copy, files[f].name, files[f].data, size);
        result = repair(copy, &outcome);
        ck_assert(result == 0 || result == -EUCLEAN);
        check_new_store(copy, &outcome);
        ck_assert_uint_eq(outcome.missing, 0);
        mem_env_free(copy);
    }
}
END_TEST

START_TEST(test_a_zeroed_sector)
{
    for (size_t f = 0; f < file_count; f++)
        for (size_t at = 0; at < files[f].size; at += 512) {
            size_t size = files[f].size - at < 512 ? files[f].size - at : 512;
            uint8_t saved[512];
            struct outcome outcome;

            memcpy(saved, files[f].data + at, size);
            memset(files[f].data + at, 0, size);
            outcome = damage(f, files[f].data, files[f].size);
            memcpy(files[f].data + at, saved, size);
            ck_assert_uint_le(outcome.missing, 20);
        }
}
END_TEST

START_TEST(test_a_file_that_is_gone)
{
    for (size_t f = 0; f < file_count; f++) {
        struct outcome outcome = damage(f, NULL, 0);

        if (strcmp(files[f].name, "CLOSED") == 0)
            ck_assert_uint_eq(outcome.damage, 0);
        else
            ck_assert_msg(outcome.names_file, "%s", files[f].name);
        if (!is_table(f) && !is_log(f))
            ck_assert_uint_eq(outcome.missing, 0);
    }
}
END_TEST

START_TEST(test_a_file_in_place_of_another)
{
    for (size_t f = 0; f < file_count; f++)
        for (size_t other = 0; other < file_count; other++)
            if (other != f && strcmp(files[f].name, "CLOSED") != 0)
                damage(f, files[other].data, files[other].size);
}
END_TEST

/* A copy in which all tables were merged into others, and are there again, as a crash before
 * their deletion leaves them; with `deleting`, every key was deleted before. */
static struct mem_env *
copy_with_obsolete_tables(bool deleting)
{
    struct mem_env *copy = mem_env_kill(rig.memory);
    struct lsmkv_options options = rig.options;
    struct env_dir *dir;
    struct lsmkv *db;

    options.env = mem_env_base(copy);
    ck_assert_int_eq(lsmkv_open("store", &options, &db), 0);
    for (int i = 0; i < KEYS && deleting; i++) {
        char key[64];

        snprintf(key, sizeof(key), "dir%d/file%d", i % 7, i);
        ck_assert_int_eq(lsmkv_delete(db, NULL, lsmkv_str(key), 0), 0);
        model_delete(&models[0], lsmkv_str(key));
    }
    ck_assert_int_eq(lsmkv_snapshot_drop(db, "snap"), 0);
    ck_assert_int_eq(lsmkv_compact(db, NULL, lsmkv_bytes(NULL, 0), lsmkv_bytes(NULL, 0)),
                     0);
    ck_assert_int_eq(lsmkv_close(db), 0);
    dir = directory(copy, "store");
    for (size_t f = 0; f < file_count; f++) {
        struct env_file *file;

        if (!is_table(f) || env_file_open(dir, files[f].name, ENV_CREATE, &file) != 0)
            continue;
        ck_assert_int_eq(env_file_write(file, 0, files[f].data, files[f].size), 0);
        ck_assert_int_eq(env_file_close(file), 0);
    }
    env_dir_close(dir);
    return copy;
}

/* What was deleted stays deleted. */
START_TEST(test_an_obsolete_table_stays_out)
{
    struct mem_env *copy = copy_with_obsolete_tables(true);
    struct outcome outcome = {.sought = NULL};

    ck_assert_int_eq(repair(copy, &outcome), 0);
    check_new_store(copy, &outcome);
    ck_assert_uint_eq(outcome.missing, 0);
    mem_env_free(copy);
}
END_TEST

/* A line of MANIFEST that is bad hides what it says, not what the others say: that the tables were
 * merged. */
START_TEST(test_an_obsolete_table_stays_out_beside_a_bad_line)
{
    struct mem_env *copy = copy_with_obsolete_tables(true);
    struct outcome outcome = {.sought = "MANIFEST"};
    struct env_dir *dir = directory(copy, "store");
    size_t size, at;
    uint8_t *data = contents(dir, "MANIFEST", &size);

    env_dir_close(dir);
    for (at = 0; memcmp(data + at, "\"added\"", 7) != 0; at++)
        ck_assert_uint_lt(at, size - 7);
    data[at] ^= 1; /* in the line that added the first table */
    rewrite(copy, "MANIFEST", data, size);
    free(data);
    ck_assert_int_eq(repair(copy, &outcome), -EUCLEAN);
    ck_assert(outcome.names_file);
    check_new_store(copy, &outcome);
    ck_assert_uint_eq(outcome.missing, 0);
    mem_env_free(copy);
}
END_TEST

/* Without MANIFEST both the merged tables and what they were merged into are taken: what is in
 * two of them is in the new store once.  The two keys that were deleted in each keyspace before
 * the merge are back, which is told in general. */
START_TEST(test_what_is_there_twice_is_taken_once)
{
    struct mem_env *copy = copy_with_obsolete_tables(false);
    struct outcome outcome = {.sought = "MANIFEST"};
    struct env_dir *dir = directory(copy, "store");

    ck_assert_int_eq(env_dir_unlink(dir, "MANIFEST"), 0);
    env_dir_close(dir);
    ck_assert_int_eq(repair(copy, &outcome), -EUCLEAN);
    ck_assert(outcome.names_file);
    outcome.losses[outcome.loss_count++] =
        (struct loss){.first_size = SIZE_MAX, .last_size = SIZE_MAX};
    check_new_store(copy, &outcome);
    ck_assert_uint_le(outcome.missing, 4);
    mem_env_free(copy);
}
END_TEST

/* How long a log was, CLOSED tells. */
START_TEST(test_neither_manifest_nor_the_end_of_a_log)
{
    for (size_t f = 0; f < file_count; f++) {
        struct mem_env *copy = mem_env_kill(rig.memory);
        struct outcome outcome = {.sought = files[f].name};
        struct env_dir *dir = directory(copy, "store");

        ck_assert_int_eq(env_dir_unlink(dir, "MANIFEST"), 0);
        env_dir_close(dir);
        if (is_log(f)) {
            rewrite(copy, files[f].name, files[f].data, files[f].size / 2);
            ck_assert_int_eq(repair(copy, &outcome), -EUCLEAN);
            ck_assert(outcome.names_file);
            check_new_store(copy, &outcome);
        }
        mem_env_free(copy);
    }
}
END_TEST

/* Then a table is identified by its properties alone, which are found without its footer. */
START_TEST(test_neither_manifest_nor_footer)
{
    for (size_t f = 0; f < file_count; f++) {
        struct mem_env *copy = mem_env_kill(rig.memory);
        struct outcome outcome = {.sought = files[f].name};
        struct env_dir *dir = directory(copy, "store");

        ck_assert_int_eq(env_dir_unlink(dir, "MANIFEST"), 0);
        env_dir_close(dir);
        if (is_table(f)) {
            files[f].data[files[f].size - 20] ^= 1;
            rewrite(copy, files[f].name, files[f].data, files[f].size);
            files[f].data[files[f].size - 20] ^= 1;
            ck_assert_int_eq(repair(copy, &outcome), -EUCLEAN);
            ck_assert(outcome.names_file);
            check_new_store(copy, &outcome);
            ck_assert_uint_eq(outcome.missing, 0);
        }
        mem_env_free(copy);
    }
}
END_TEST

/* The last line of MANIFEST, when it added what replaced other tables, and these are deleted. */
START_TEST(test_a_lost_last_line_loses_no_table)
{
    struct mem_env *copy = mem_env_kill(rig.memory);
    struct lsmkv_options options = rig.options;
    struct outcome outcome = {.sought = NULL};
    struct env_dir *dir;
    struct lsmkv *db;
    uint8_t *data;
    size_t size, cut;

    options.env = mem_env_base(copy);
    ck_assert_int_eq(lsmkv_open("store", &options, &db), 0);
    ck_assert_int_eq(lsmkv_compact(db, NULL, lsmkv_bytes(NULL, 0), lsmkv_bytes(NULL, 0)),
                     0);
    ck_assert_int_eq(lsmkv_close(db), 0);
    dir = directory(copy, "store");
    data = contents(dir, "MANIFEST", &size);
    env_dir_close(dir);
    for (cut = size - 1; data[cut - 1] != '\n'; cut--)
        continue;
    rewrite(copy, "MANIFEST", data, cut);
    free(data);
    ck_assert_int_eq(repair(copy, &outcome), -EUCLEAN);
    check_new_store(copy, &outcome);
    ck_assert_uint_le(outcome.missing, 60); /* told: tables that MANIFEST still names */
    mem_env_free(copy);
}
END_TEST

/* ---- a store that is open ---- */

/* A copy of the store, open. */
static struct lsmkv *
open_copy(struct mem_env *copy)
{
    struct lsmkv_options options = rig.options;
    struct lsmkv *db;

    options.env = mem_env_base(copy);
    ck_assert_int_eq(lsmkv_open("store", &options, &db), 0);
    return db;
}

struct beside_use {
    struct outcome outcome; /* first: what callbacks find */
    struct lsmkv *db;
    unsigned calls;
};

static bool
use_meanwhile(void *context, uint64_t done, uint64_t total)
{
    struct beside_use *use = context;
    struct lsmkv_slice none = lsmkv_bytes(NULL, 0);

    ck_assert_uint_le(done, total);
    if (use->calls++ > 0)
        return true;
    ck_assert_int_eq(
        lsmkv_put(use->db, NULL, lsmkv_str("dir/new"), none, lsmkv_str("written"), 0), 0);
    ck_assert_int_eq(lsmkv_delete(use->db, NULL, lsmkv_str("dir1/file1"), 0), 0);
    ck_assert_int_eq(lsmkv_snapshot_drop(use->db, "snap"), 0);
    ck_assert_int_eq(lsmkv_compact(use->db, NULL, none, none), 0);
    return true;
}

/* What memory has of it is there, and nothing that is written afterwards; what is merged away
 * meanwhile stays readable. */
START_TEST(test_an_open_store_is_copied_beside_its_use)
{
    struct mem_env *copy = mem_env_kill(rig.memory);
    struct beside_use use = {.db = open_copy(copy)};
    const struct lsmkv_repair_options ask = {.finding = note_finding,
                                             .lost = note_loss,
                                             .progress = use_meanwhile,
                                             .context = &use};
    struct lsmkv_options options = rig.options;
    struct lsmkv_snapshot *snapshot;
    struct lsmkv *made, *store = rig.db;

    rig.db = use.db; /* put() writes there */
    for (int i = 0; i < KEYS; i += 5)
        put(0, NULL, i, 1);
    ck_assert_int_eq(lsmkv_repair_open(use.db, "new", &ask), 0);
    rig.db = store;
    ck_assert_uint_gt(use.calls, 0);
    ck_assert_uint_eq(use.outcome.damage + use.outcome.loss_count, 0);
    ck_assert_int_eq(lsmkv_close(use.db), 0);
    check_new_store(copy, &use.outcome);
    ck_assert_uint_eq(use.outcome.missing, 0);
    options.env = mem_env_base(copy);
    ck_assert_int_eq(lsmkv_open("new", &options, &made), 0);
    ck_assert_int_eq(lsmkv_snapshot_open(made, "snap", &snapshot, NULL), 0);
    ck_assert(model_matches(&seen_by_snapshot, made, NULL, snapshot));
    lsmkv_snapshot_release(made, snapshot);
    ck_assert_int_eq(lsmkv_close(made), 0);
    mem_env_free(copy);
}
END_TEST

static struct {
    atomic_bool done;
    int result;
} copying;

static void *
copy_open_store(void *db)
{
    const struct lsmkv_repair_options ask = {.finding = NULL};

    copying.result = lsmkv_repair_open(db, "new", &ask);
    atomic_store(&copying.done, true);
    return NULL;
}

/* Behind who has the turn. */
static bool
somebody_waits_for_the_turn(struct lsmkv *db)
{
    bool waits;

    mutex_lock(&db->mutex);
    waits = db->writers->next != NULL;
    mutex_unlock(&db->mutex);
    return waits;
}

/* Found by a mutant: what a turn under way has written until its end is there, too. */
START_TEST(test_an_open_store_is_copied_in_a_turn_of_its_own)
{
    struct mem_env *copy = mem_env_kill(rig.memory);
    struct lsmkv *db = open_copy(copy), *made;
    struct lsmkv_options options = rig.options;
    struct lsmkv_batch *batch;
    struct lsmkv_record record;
    struct writer turn;
    pthread_t thread;
    char value[16];

    ck_assert_int_eq(lsmkv_batch_new(&batch), 0);
    ck_assert_int_eq(lsmkv_batch_put(batch, NULL, lsmkv_str("late"), lsmkv_bytes(NULL, 0),
                                     lsmkv_str("written")),
                     0);
    writer_begin(db, &turn);
    ck_assert_int_eq(pthread_create(&thread, NULL, copy_open_store, db), 0);
    while (!atomic_load(&copying.done) && !somebody_waits_for_the_turn(db))
        sched_yield();
    ck_assert(!atomic_load(&copying.done));
    ck_assert_int_eq(write_in_turn(db, batch, 0), 0);
    writer_end(db, &turn);
    lsmkv_batch_free(batch);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(copying.result, 0);
    ck_assert_int_eq(lsmkv_close(db), 0);
    options.env = mem_env_base(copy);
    ck_assert_int_eq(lsmkv_open("new", &options, &made), 0);
    ck_assert_int_eq(
        lsmkv_get(made, NULL, NULL, lsmkv_str("late"), value, sizeof(value), &record), 0);
    ck_assert_int_eq(lsmkv_close(made), 0);
    mem_env_free(copy);
}
END_TEST

/* A table is damaged while the store is open: the same is told, and the same is missing, as of a store
 * that is not; and the store's own log has no line of it. */
START_TEST(test_damage_of_an_open_store_is_what_it_is_of_a_closed_one)
{
    const struct lsmkv_repair_options ask = {
        .finding = note_finding, .lost = note_loss, .context = NULL};

    for (size_t f = 0; f < file_count; f++)
        for (size_t at = 0; at < files[f].size && is_table(f);
             at += 199 * rounds_of_bytes_one_in()) {
            struct mem_env *copy = mem_env_kill(rig.memory);
            struct lsmkv *db = open_copy(copy);
            struct lsmkv_repair_options own = ask;
            struct outcome closed, outcome = {.sought = files[f].name};
            int result;

            own.context = &outcome;
            files[f].data[at] ^= 0x40;
            closed = damage(f, files[f].data, files[f].size);
            rewrite(copy, files[f].name, files[f].data, files[f].size);
            files[f].data[at] ^= 0x40;
            result = lsmkv_repair_open(db, "new", &own);
            ck_assert_int_eq(result, -EUCLEAN);
            ck_assert(outcome.names_file);
            ck_assert_uint_eq(outcome.damage, closed.damage);
            ck_assert_uint_eq(outcome.loss_count, closed.loss_count);
            ck_assert_uint_eq(rig.errors, 0);
            ck_assert_int_eq(lsmkv_close(db), 0);
            check_new_store(copy, &outcome);
            ck_assert_uint_eq(outcome.missing, closed.missing);
            mem_env_free(copy);
        }
}
END_TEST

static int
take_last_blob(void *last, const char *name)
{
    if (strstr(name, ".blob") != NULL && strcmp(name, last) > 0)
        strcpy(last, name);
    return 0;
}

/* Flips a bit of the checksums of the first value of the newest blob file, whose key has `key_size`
 * bytes. */
static void
damage_sums(struct mem_env *env, size_t key_size)
{
    const uint64_t at = BLOB_HEADER_SIZE + BLOB_HEAD_SIZE + key_size + KEY_TRAILER_SIZE;
    struct env_dir *store = directory(env, "store");
    struct env_file *file;
    char last[32] = "";
    uint8_t byte;

    ck_assert_int_eq(env_dir_list(store, take_last_blob, last), 0);
    ck_assert_int_eq(env_file_open(store, last, ENV_READ, &file), 0);
    ck_assert_int_eq(env_file_read(file, at, &byte, 1), 1);
    ck_assert_int_eq(env_file_close(file), 0);
    byte ^= 4;
    ck_assert_int_eq(env_file_open(store, last, ENV_WRITE, &file), 0);
    ck_assert_int_eq(env_file_write(file, at, &byte, 1), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    env_dir_close(store);
}

/* Parts of the value cannot be read, all of it can: repair, which copies that, told nothing. */
START_TEST(test_damaged_checksums_of_pages_are_told)
{
    static char value[40000];
    struct mem_env *copy = mem_env_kill(rig.memory);
    struct lsmkv *db = open_copy(copy), *made;
    struct outcome outcome = {0};
    const struct lsmkv_repair_options ask = {
        .finding = note_finding, .lost = note_loss, .context = &outcome};
    struct lsmkv_options options = rig.options;
    struct lsmkv_held *held;

    memset(value, 'v', sizeof(value));
    ck_assert_int_eq(lsmkv_put(db, NULL, lsmkv_str("big"), lsmkv_bytes(NULL, 0),
                               lsmkv_bytes(value, sizeof(value)), LSMKV_UNSYNCED),
                     0);
    damage_sums(copy, strlen("big"));
    ck_assert_int_eq(lsmkv_repair_open(db, "new", &ask), -EUCLEAN);
    ck_assert_uint_eq(outcome.damage, 1);
    ck_assert_uint_eq(outcome.loss_count, 0);
    ck_assert_int_eq(lsmkv_close(db), 0);
    options.env = mem_env_base(copy);
    ck_assert_int_eq(lsmkv_open("new", &options, &made), 0);
    ck_assert_int_eq(lsmkv_get_held(made, NULL, NULL, lsmkv_str("big"), &held), 0);
    ck_assert_uint_eq(lsmkv_held_record(held)->value.size, sizeof(value));
    ck_assert_mem_eq(lsmkv_held_record(held)->value.data, value, sizeof(value));
    lsmkv_held_release(held);
    ck_assert_int_eq(lsmkv_close(made), 0);
    mem_env_free(copy);
}
END_TEST

static bool
stop(void *context, uint64_t done, uint64_t total)
{
    (void)context, (void)done, (void)total;
    return false;
}

/* Whoever asked is gone: nothing is left that is a store, and the one that is open goes on. */
START_TEST(test_a_repair_can_be_ended)
{
    static const struct lsmkv_repair_options ask = {.progress = stop};
    struct mem_env *copy = mem_env_kill(rig.memory);
    struct lsmkv *db = open_copy(copy);
    struct lsmkv_options options = rig.options;
    char value[2 << 20]; /* progress is told once a MiB */

    memset(value, 'v', sizeof(value));
    ck_assert_int_eq(lsmkv_put(db, NULL, lsmkv_str("large"), lsmkv_bytes(NULL, 0),
                               lsmkv_bytes(value, sizeof(value)), 0),
                     0);
    ck_assert_int_eq(lsmkv_repair_open(db, "new", &ask), -ECANCELED);
    ck_assert_int_eq(lsmkv_delete(db, NULL, lsmkv_str("large"), 0), 0);
    ck_assert_int_eq(lsmkv_close(db), 0);
    options.env = mem_env_base(copy);
    options.create = false;
    ck_assert_int_eq(lsmkv_open("new", &options, &db), -ENOENT);
    options.read_only = true;
    ck_assert_int_eq(lsmkv_open("store", &options, &db), 0);
    ck_assert_int_eq(lsmkv_repair_open(db, "new", &ask), -EROFS);
    ck_assert_int_eq(lsmkv_close(db), 0);
    mem_env_free(copy);
}
END_TEST

START_TEST(test_only_an_empty_directory_is_taken)
{
    struct mem_env *copy = mem_env_kill(rig.memory);
    struct lsmkv_repair_options ask = {.finding = NULL};
    struct lsmkv_options options = rig.options;

    options.env = mem_env_base(copy);
    ck_assert_int_eq(lsmkv_repair("store", "store", &options, &ask), -ENOTEMPTY);
    ck_assert_int_eq(lsmkv_repair("nowhere", "new", &options, &ask), -ENOENT);
    ck_assert_int_eq(lsmkv_repair("store", "new", &options, &ask), 0);
    ck_assert_int_eq(lsmkv_repair("store", "new", &options, &ask), -ENOTEMPTY);
    ck_assert_int_eq(lsmkv_repair("new", "newer", &options, &ask), 0);
    for (size_t i = 0; i < file_count; i++)
        check_unchanged(copy, &files[i]);
    mem_env_free(copy);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("repair");
    TCase *tcase = tcase_create("repair"), *open = tcase_create("open");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 300);
    tcase_add_checked_fixture(open, setup, teardown);
    tcase_set_timeout(open, 300);
    tcase_add_test(tcase, test_an_undamaged_store_is_copied);
    tcase_add_test(tcase, test_a_flipped_byte_loses_a_block_at_most);
    tcase_add_test(tcase, test_a_truncated_file_keeps_what_it_has);
    tcase_add_test(tcase, test_a_manifest_that_lacks_its_end);
    tcase_add_test(tcase, test_a_zeroed_sector);
    tcase_add_test(tcase, test_a_file_that_is_gone);
    tcase_add_test(tcase, test_a_file_in_place_of_another);
    tcase_add_test(tcase, test_an_obsolete_table_stays_out);
    tcase_add_test(tcase, test_an_obsolete_table_stays_out_beside_a_bad_line);
    tcase_add_test(tcase, test_what_is_there_twice_is_taken_once);
    tcase_add_test(tcase, test_neither_manifest_nor_the_end_of_a_log);
    tcase_add_test(tcase, test_neither_manifest_nor_footer);
    tcase_add_test(tcase, test_a_lost_last_line_loses_no_table);
    tcase_add_test(open, test_an_open_store_is_copied_beside_its_use);
    tcase_add_test(open, test_an_open_store_is_copied_in_a_turn_of_its_own);
    tcase_add_test(open, test_damage_of_an_open_store_is_what_it_is_of_a_closed_one);
    tcase_add_test(open, test_damaged_checksums_of_pages_are_told);
    tcase_add_test(open, test_a_repair_can_be_ended);
    tcase_add_test(tcase, test_only_an_empty_directory_is_taken);
    suite_add_tcase(suite, tcase);
    suite_add_tcase(suite, open);
    return run_suite(suite);
}
