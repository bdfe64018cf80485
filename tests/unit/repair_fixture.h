/*
 * repair_fixture.h - one small store, damaged copies of it, what a repair of one tells, and the new
 * store held against what was put.
 */
#ifndef TESTS_UNIT_REPAIR_FIXTURE_H
#define TESTS_UNIT_REPAIR_FIXTURE_H

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

static inline void
put(int k, struct lsmkv_keyspace *keyspace, int i, int round)
{
    char key[64], value[96], attributes[16];
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

static inline int
remember_file(void *context, const char *name)
{
    (void)context;
    if (strcmp(name, "LOCK") != 0) {
        ck_assert_uint_lt(file_count, FILES_MAX);
        snprintf(files[file_count++].name, sizeof(files[0].name), "%s", name);
    }
    return 0;
}

static inline struct env_dir *
directory(struct mem_env *env, const char *path)
{
    struct env_dir *dir;

    ck_assert_int_eq(env_dir_open(mem_env_base(env), path, false, &dir), 0);
    return dir;
}

/* The file's bytes, malloced. */
static inline uint8_t *
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

static inline void
read_files(void)
{
    struct env_dir *dir = directory(rig.memory, "store");

    file_count = 0;
    ck_assert_int_eq(env_dir_list(dir, remember_file, NULL), 0);
    for (size_t i = 0; i < file_count; i++)
        files[i].data = contents(dir, files[i].name, &files[i].size);
    env_dir_close(dir);
}

/* Tables at two levels, two keyspaces, one of them compressed, a snapshot, tombstones, a log with entries of its own. */
static inline void
setup(void)
{
    const struct lsmkv_keyspace_options options = {.order = LSMKV_ORDER_BYTES,
                                                   .compression = LSMKV_COMPRESSION_LZ4};
    struct lsmkv_keyspace *plain;

    rig_init(&rig);
    rig.options.block_size = 512;
    rig_open(&rig);
    model_init(&models[0], LSMKV_ORDER_PATH);
    model_init(&models[1], LSMKV_ORDER_BYTES);
    ck_assert_int_eq(lsmkv_keyspace_create_with(rig.db, "plain", &options, &plain), 0);
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

static inline void
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

static inline void
note_finding(void *context, const struct lsmkv_finding *finding)
{
    struct outcome *outcome = context;

    if (finding->severity != LSMKV_DAMAGE)
        return;
    outcome->damage++;
    if (outcome->sought != NULL && strcmp(finding->file, outcome->sought) == 0)
        outcome->names_file = true;
}

static inline size_t
copy_bound(uint8_t *bound, struct lsmkv_slice key)
{
    if (key.data == NULL)
        return SIZE_MAX;
    ck_assert_uint_le(key.size, 256);
    memcpy(bound, key.data, key.size);
    return key.size;
}

static inline void
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

static inline bool
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
static inline void
check_value(struct lsmkv_slice key, const struct lsmkv_record *record)
{
    char name[64], expected[96];
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

static inline void
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

static inline void
say_finding(void *context, const struct lsmkv_finding *finding)
{
    (void)context;
    if (finding->severity != LSMKV_DAMAGE)
        return;
    fprintf(stderr, "%s: offset %llu: %s\n", finding->file,
            (unsigned long long)finding->offset, finding->text);
}

/* Sound, and with all that was not told to be lost. */
static inline void
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
static inline void
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

static inline const char *
name_again(void *context, const char *name)
{
    (void)context;
    return strcmp(name, "keyspace-1") == 0 ? "plain" : NULL;
}

static inline int
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

static inline void
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
static inline struct outcome
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

static inline bool
is_table(size_t f)
{
    return strstr(files[f].name, ".sst") != NULL;
}

static inline bool
is_log(size_t f)
{
    return strstr(files[f].name, ".log") != NULL;
}

#endif
