/*
 * lsmkv_repair: of a damaged store all that is not damaged is in the new one, nothing else is, what
 * is missing was told, and the damaged one is as it was.
 *
 * Each case damages a copy of one small store, repairs it, checks the new one and holds it against
 * what was put.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/model.h"
#include "support/rig.h"

#define FILES_MAX  32
#define KEYS       60
#define LOSSES_MAX 64

struct one_file {
    char name[64];
    uint8_t *data;
    size_t size;
};

struct loss {
    char file[64], keyspace[64]; /* keyspace "": not known */
    uint8_t first[256], last[256];
    size_t first_size, last_size; /* SIZE_MAX: not known */
};

struct outcome {
    unsigned damage;
    bool names_file; /* a finding of it names `sought` */
    const char *sought;
    struct loss losses[LOSSES_MAX];
    size_t loss_count;
    unsigned missing; /* keys that are not as they were last put */
};

static struct rig rig;
static struct model models[2], seen_by_snapshot;
static struct one_file files[FILES_MAX];
static size_t file_count;
static const char *const keyspaces[2] = {"default", "plain"};
static const enum lsmkv_order orders[2] = {LSMKV_ORDER_PATH, LSMKV_ORDER_BYTES};

/* ---- the store ---- */

static void
put(int k, struct lsmkv_keyspace *keyspace, int i, int round)
{
    char key[64], value[64], attributes[16];
    struct lsmkv_slice slices[3];

    snprintf(key, sizeof(key), "dir%d/file%d", i % 7, i);
    snprintf(value, sizeof(value), "value %d of round %d, long enough to fill a block", i,
             round);
    snprintf(attributes, sizeof(attributes), "a%d", i);
    slices[0] = lsmkv_str(key);
    slices[1] = lsmkv_str(attributes);
    slices[2] = lsmkv_str(value);
    ck_assert_int_eq(
        lsmkv_put(rig.db, keyspace, slices[0], slices[1], slices[2], LSMKV_UNSYNCED), 0);
    model_put(&models[k], slices[0], slices[1], slices[2]);
}

static void delete (int k, struct lsmkv_keyspace *keyspace, int i)
{
    char key[64];

    snprintf(key, sizeof(key), "dir%d/file%d", i % 7, i);
    ck_assert_int_eq(lsmkv_delete(rig.db, keyspace, lsmkv_str(key), 0), 0);
    model_delete(&models[k], lsmkv_str(key));
}

static int
remember_file(void *context, const char *name)
{
    (void)context;
    if (strcmp(name, "LOCK") != 0) {
        ck_assert_uint_lt(file_count, FILES_MAX);
        snprintf(files[file_count++].name, sizeof(files[0].name), "%s", name);
    }
    return 0;
}

static struct env_dir *
directory(struct mem_env *env, const char *path)
{
    struct env_dir *dir;

    ck_assert_int_eq(env_dir_open(mem_env_base(env), path, false, &dir), 0);
    return dir;
}

/* The file's bytes, malloced. */
static uint8_t *
contents(struct env_dir *dir, const char *name, size_t *size)
{
    struct env_file *file;
    uint64_t length;
    uint8_t *data;

    ck_assert_int_eq(env_file_open(dir, name, ENV_READ, &file), 0);
    ck_assert_int_eq(env_file_size(file, &length), 0);
    data = malloc(length + 1);
    ck_assert_int_eq(env_file_read(file, 0, data, length), (ssize_t)length);
    ck_assert_int_eq(env_file_close(file), 0);
    *size = length;
    return data;
}

static void
read_files(void)
{
    struct env_dir *dir = directory(rig.memory, "store");

    file_count = 0;
    ck_assert_int_eq(env_dir_list(dir, remember_file, NULL), 0);
    for (size_t i = 0; i < file_count; i++)
        files[i].data = contents(dir, files[i].name, &files[i].size);
    env_dir_close(dir);
}

/* Tables at two levels, two keyspaces, a snapshot, tombstones, a log with entries of its own. */
static void
setup(void)
{
    struct lsmkv_keyspace *plain;

    rig_init(&rig);
    rig.options.block_size = 512;
    rig_open(&rig);
    model_init(&models[0], LSMKV_ORDER_PATH);
    model_init(&models[1], LSMKV_ORDER_BYTES);
    ck_assert_int_eq(lsmkv_keyspace_create(rig.db, "plain", LSMKV_ORDER_BYTES, &plain),
                     0);
    for (int round = 0; round < 3; round++) {
        for (int i = round; i < KEYS; i += round + 1) {
            put(0, NULL, i, round);
            put(1, plain, i, round);
        }
        if (round > 0) {
            delete (0, NULL, 6 * round);
            delete (1, plain, 6 * round);
        }
        if (round == 0)
            ck_assert_int_eq(
                lsmkv_compact(rig.db, NULL, lsmkv_bytes(NULL, 0), lsmkv_bytes(NULL, 0)),
                0);
        if (round == 1) {
            ck_assert_int_eq(lsmkv_snapshot_create(rig.db, "snap", NULL), 0);
            model_copy(&seen_by_snapshot, &models[0]);
            ck_assert_int_eq(lsmkv_flush(rig.db), 0);
        }
    }
    rig_close(&rig);
    read_files();
}

static void
teardown(void)
{
    for (size_t i = 0; i < file_count; i++)
        free(files[i].data);
    model_fini(&models[0]);
    model_fini(&models[1]);
    model_fini(&seen_by_snapshot);
    rig_fini(&rig);
}

/* ---- what a repair tells ---- */

static void
note_finding(void *context, const struct lsmkv_finding *finding)
{
    struct outcome *outcome = context;

    if (finding->severity != LSMKV_DAMAGE)
        return;
    outcome->damage++;
    if (outcome->sought != NULL && strcmp(finding->file, outcome->sought) == 0)
        outcome->names_file = true;
}

static size_t
copy_bound(uint8_t *bound, struct lsmkv_slice key)
{
    if (key.data == NULL)
        return SIZE_MAX;
    ck_assert_uint_le(key.size, 256);
    memcpy(bound, key.data, key.size);
    return key.size;
}

static void
note_loss(void *context, const struct lsmkv_loss *told)
{
    struct outcome *outcome = context;
    struct loss *loss = &outcome->losses[outcome->loss_count++];

    ck_assert_uint_le(outcome->loss_count, LOSSES_MAX);
    snprintf(loss->file, sizeof(loss->file), "%s", told->file);
    snprintf(loss->keyspace, sizeof(loss->keyspace), "%s",
             told->keyspace != NULL ? told->keyspace : "");
    loss->first_size = copy_bound(loss->first, told->first);
    loss->last_size = copy_bound(loss->last, told->last);
}

static bool
is_told(const struct outcome *outcome, int k, struct lsmkv_slice key)
{
    for (size_t i = 0; i < outcome->loss_count; i++) {
        const struct loss *loss = &outcome->losses[i];
        struct lsmkv_slice first = lsmkv_bytes(loss->first, loss->first_size);
        struct lsmkv_slice last = lsmkv_bytes(loss->last, loss->last_size);

        if (loss->keyspace[0] != '\0' && strcmp(loss->keyspace, keyspaces[k]) != 0)
            continue;
        if ((loss->first_size == SIZE_MAX || model_compare(orders[k], first, key) <= 0) &&
            (loss->last_size == SIZE_MAX || model_compare(orders[k], key, last) <= 0))
            return true;
    }
    return false;
}

/* ---- the new store against what was put ---- */

/* A value that this key had at some time. */
static void
check_value(struct lsmkv_slice key, const struct lsmkv_record *record)
{
    char name[64], expected[64];
    int directory_number, i, round, length;

    ck_assert_uint_lt(key.size, sizeof(name));
    memcpy(name, key.data, key.size);
    name[key.size] = '\0';
    ck_assert_int_eq(sscanf(name, "dir%d/file%d", &directory_number, &i), 2);
    for (round = 0; round < 3; round++) {
        length = snprintf(expected, sizeof(expected),
                          "value %d of round %d, long enough to fill a block", i, round);
        if (record->value.size == (size_t)length &&
            memcmp(record->value.data, expected, (size_t)length) == 0)
            return;
    }
    ck_abort_msg("%s: a value that it never had", name);
}

static void
compare_keyspace(struct lsmkv *db, int k, struct outcome *outcome)
{
    struct lsmkv_keyspace *keyspace;
    struct lsmkv_iter *iter;

    if (lsmkv_keyspace_open(db, keyspaces[k], &keyspace) != 0)
        ck_abort_msg("keyspace %s is missing", keyspaces[k]);
    for (size_t i = 0; i < models[k].count; i++) {
        const struct model_entry *entry = &models[k].entries[i];
        struct lsmkv_held *held;
        int result = lsmkv_get_held(db, keyspace, NULL, entry->key, &held);
        bool same = result == 0;

        ck_assert(result == 0 || result == -ENOENT);
        if (result == 0) {
            const struct lsmkv_record *record = lsmkv_held_record(held);

            check_value(entry->key, record);
            same = record->value.size == entry->value.size &&
                   memcmp(record->value.data, entry->value.data, entry->value.size) == 0;
            lsmkv_held_release(held);
        }
        if (!same && !is_told(outcome, k, entry->key))
            ck_abort_msg("%.*s is missing or old, and was not told of",
                         (int)entry->key.size, (const char *)entry->key.data);
        outcome->missing += !same;
    }
    ck_assert_int_eq(lsmkv_iter_new(db, keyspace, NULL, &iter), 0);
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter); lsmkv_iter_next(iter)) {
        struct lsmkv_slice key = lsmkv_iter_key(iter);

        check_value(key, lsmkv_iter_record(iter));
        if (model_find(&models[k], key) != NULL)
            continue;
        outcome->missing++;
        if (!is_told(outcome, k, key))
            ck_abort_msg("%.*s is back, and was not told of", (int)key.size,
                         (const char *)key.data);
    }
    ck_assert_int_eq(lsmkv_iter_status(iter), 0);
    lsmkv_iter_free(iter);
}

static void
say_finding(void *context, const struct lsmkv_finding *finding)
{
    (void)context;
    if (finding->severity != LSMKV_DAMAGE)
        return;
    fprintf(stderr, "%s: offset %llu: %s\n", finding->file,
            (unsigned long long)finding->offset, finding->text);
}

/* Sound, and with all that was not told to be lost. */
static void
check_new_store(struct mem_env *env, struct outcome *outcome)
{
    struct lsmkv_check_options check = {.finding = say_finding};
    struct lsmkv_options options = rig.options;
    struct lsmkv *db;

    options.env = mem_env_base(env);
    options.create = false;
    ck_assert_int_eq(lsmkv_check("new", &options, &check), 0);
    ck_assert_int_eq(lsmkv_open("new", &options, &db), 0);
    for (int k = 0; k < 2; k++)
        compare_keyspace(db, k, outcome);
    ck_assert_int_eq(lsmkv_close(db), 0);
}

/* `name` is as it was but for what the case did. */
static void
check_unchanged(struct mem_env *env, const struct one_file *expected)
{
    struct env_dir *dir = directory(env, "store");
    size_t size;
    uint8_t *data = contents(dir, expected->name, &size);

    ck_assert_uint_eq(size, expected->size);
    ck_assert_mem_eq(data, expected->data, size);
    free(data);
    env_dir_close(dir);
}

static const char *
name_again(void *context, const char *name)
{
    (void)context;
    return strcmp(name, "keyspace-1") == 0 ? "plain" : NULL;
}

static int
repair(struct mem_env *env, struct outcome *outcome)
{
    struct lsmkv_repair_options ask = {.finding = note_finding,
                                       .lost = note_loss,
                                       .rename = name_again,
                                       .context = outcome};
    struct lsmkv_options options = rig.options;

    options.env = mem_env_base(env);
    return lsmkv_repair("store", "new", &options, &ask);
}

/* ---- damaging ---- */

static void
rewrite(struct mem_env *env, const char *name, const uint8_t *data, size_t size)
{
    struct env_dir *dir = directory(env, "store");
    struct env_file *file;

    ck_assert_int_eq(env_file_open(dir, name, ENV_REPLACE, &file), 0);
    if (size > 0)
        ck_assert_int_eq(env_file_write(file, 0, data, size), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    env_dir_close(dir);
}

/* Repairs a copy in which `f` holds `data`; NULL: is not there. */
static struct outcome
damage(size_t f, const uint8_t *data, size_t size)
{
    struct mem_env *copy = mem_env_kill(rig.memory);
    struct outcome outcome = {.sought = files[f].name};
    int result;

    if (data == NULL) {
        struct env_dir *dir = directory(copy, "store");

        ck_assert_int_eq(env_dir_unlink(dir, files[f].name), 0);
        env_dir_close(dir);
    } else {
        rewrite(copy, files[f].name, data, size);
    }
    result = repair(copy, &outcome);
    ck_assert_msg(result == 0 || result == -EUCLEAN, "%s: %s (%s)", files[f].name,
                  lsmkv_strerror(result), lsmkv_error_detail());
    ck_assert_int_eq(result == -EUCLEAN, outcome.damage > 0);
    check_new_store(copy, &outcome);
    for (size_t i = 0; i < file_count; i++) {
        struct one_file expected = files[i];

        if (i == f) {
            memcpy(expected.name, files[f].name, sizeof(expected.name));
            expected.data = (uint8_t *)(uintptr_t)data;
            expected.size = size;
        }
        if (expected.data != NULL)
            check_unchanged(copy, &expected);
    }
    mem_env_free(copy);
    return outcome;
}

static bool
is_table(size_t f)
{
    return strstr(files[f].name, ".sst") != NULL;
}

static bool
is_log(size_t f)
{
    return strstr(files[f].name, ".log") != NULL;
}

/* ---- the cases ---- */

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

/* One byte spoils one block or one frame, or nothing of the records. */
START_TEST(test_a_flipped_byte_loses_a_block_at_most)
{
    for (size_t f = 0; f < file_count; f++)
        for (size_t at = 0; at<files[f].size; at += files[f].size> 4096 ? 23 : 5) {
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
        for (size_t size = 0; size<files[f].size; size += files[f].size> 4096 ? 61 : 11) {
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
    for (size_t size = 0; size < files[f].size; size += 11) {
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

/* ---- failures and deaths under way ---- */

static int
refuse_any(void *context, const char *name)
{
    (void)context;
    return strcmp(name, "LOCK") == 0 ? 0 : -EEXIST;
}

/* However full the disk is: no new store, nothing left of it, the old one untouched. */
START_TEST(test_a_full_disk_leaves_nothing)
{
    unsigned failed = 0;

    for (uint64_t more = 0; more < 64; more += 4) {
        struct mem_env *copy = mem_env_kill(rig.memory);
        struct outcome outcome = {.sought = NULL};
        struct env_dir *dir;
        int result;

        mem_env_set_capacity(copy, mem_env_used(copy) + more * 1024);
        result = repair(copy, &outcome);
        if (result != 0) {
            failed++;
            ck_assert_int_eq(result, -ENOSPC);
            if (env_dir_open(mem_env_base(copy), "new", false, &dir) == 0) {
                ck_assert_int_eq(env_dir_list(dir, refuse_any, NULL), 0);
                env_dir_close(dir);
            }
            mem_env_set_capacity(copy, mem_env_used(copy) + (1 << 20));
            ck_assert_int_eq(repair(copy, &outcome), 0);
        }
        mem_env_set_capacity(copy, mem_env_used(copy) + (1 << 20));
        for (size_t i = 0; i < file_count; i++)
            check_unchanged(copy, &files[i]);
        check_new_store(copy, &outcome);
        mem_env_free(copy);
    }
    ck_assert_uint_ge(failed, 3);
}
END_TEST

struct death {
    struct mem_env *env;
    uint64_t at;
    struct mem_env *image;
};

static void
die(void *context, uint64_t ordinal, enum env_call call)
{
    struct death *death = context;
    struct mem_crash policy = {MEM_DATA_NONE, MEM_NAMES_DROPPED};

    (void)call;
    if (ordinal == death->at)
        death->image = mem_env_crash(death->env, policy, 1);
}

/* Power goes before any call: there is no new store, or a whole one; the old one is as it was. */
START_TEST(test_power_goes_under_way)
{
    uint64_t first, last;
    unsigned none = 0, whole = 0;
    struct mem_env *copy = mem_env_kill(rig.memory);
    struct outcome outcome = {.sought = NULL};

    first = mem_env_calls(copy);
    ck_assert_int_eq(repair(copy, &outcome), 0);
    last = mem_env_calls(copy);
    mem_env_free(copy);
    for (uint64_t at = first + 1; at <= last; at += 3) {
        struct death death = {.at = at};
        struct lsmkv_options options = rig.options;
        struct lsmkv *db;
        int result;

        death.env = mem_env_kill(rig.memory);
        memset(&outcome, 0, sizeof(outcome));
        mem_env_set_hook(death.env, die, &death);
        ck_assert_int_eq(repair(death.env, &outcome), 0);
        mem_env_set_hook(death.env, NULL, NULL);
        mem_env_free(death.env);
        if (death.image == NULL)
            continue;
        for (size_t i = 0; i < file_count; i++)
            check_unchanged(death.image, &files[i]);
        options.env = mem_env_base(death.image);
        options.create = false;
        options.read_only = true;
        result = lsmkv_open("new", &options, &db);
        if (result == 0) {
            whole++;
            ck_assert_int_eq(lsmkv_close(db), 0);
            check_new_store(death.image, &outcome);
            ck_assert_uint_eq(outcome.missing, 0);
        } else {
            none++;
            ck_assert_int_eq(result, -ENOENT);
        }
        mem_env_free(death.image);
    }
    ck_assert_uint_gt(none, 5);
    ck_assert_uint_gt(whole, 2);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("repair");
    TCase *tcase = tcase_create("repair");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 300);
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
    tcase_add_test(tcase, test_only_an_empty_directory_is_taken);
    tcase_add_test(tcase, test_a_full_disk_leaves_nothing);
    tcase_add_test(tcase, test_power_goes_under_way);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
