/*
 * Truncated, zeroed, flipped, swapped, deleted and foreign files: the answer is right, or an
 * error that names the file.  Never a wrong value, a crash, a hang or a deletion.
 *
 * Each case damages a copy of one small, cleanly closed store, opens it and reads everything.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/model.h"
#include "support/rig.h"
#include "support/rounds.h"
#include "support/suite.h"

#define FILES_MAX 32
#define KEYS      60

struct one_file {
    char name[64];
    uint8_t *data;
    size_t size;
};

static struct rig rig;
static struct model models[2];
static struct one_file files[FILES_MAX];
static size_t file_count;

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
directory(struct mem_env *env)
{
    struct env_dir *dir;

    ck_assert_int_eq(env_dir_open(mem_env_base(env), "store", false, &dir), 0);
    return dir;
}

static void
read_files(void)
{
    struct env_dir *dir = directory(rig.memory);

    file_count = 0;
    ck_assert_int_eq(env_dir_list(dir, remember_file, NULL), 0);
    for (size_t i = 0; i < file_count; i++) {
        struct env_file *file;
        uint64_t size;

        ck_assert_int_eq(env_file_open(dir, files[i].name, ENV_READ, &file), 0);
        ck_assert_int_eq(env_file_size(file, &size), 0);
        files[i].size = (size_t)size;
        files[i].data = malloc(size + 1);
        ck_assert_int_eq(env_file_read(file, 0, files[i].data, size), (ssize_t)size);
        ck_assert_int_eq(env_file_close(file), 0);
    }
    env_dir_close(dir);
}

/* Tables at two levels, two keyspaces, one of them compressed, a snapshot, a log with entries of its own. */
static void
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
        if (round == 0)
            ck_assert_int_eq(
                lsmkv_compact(rig.db, NULL, lsmkv_bytes(NULL, 0), lsmkv_bytes(NULL, 0)),
                0);
        if (round == 1) {
            ck_assert_int_eq(lsmkv_snapshot_create(rig.db, "snap", NULL), 0);
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
    rig_fini(&rig);
}

/* ---- holding what a damaged store answers against the model ---- */

/* Every value is right or an error; absent only if it was. */
static bool
gets_are_right(struct lsmkv *db, struct lsmkv_keyspace *keyspace,
               const struct model *model)
{
    bool complete = true;

    for (size_t i = 0; i < model->count; i++) {
        const struct model_entry *entry = &model->entries[i];
        struct lsmkv_held *held;
        int result = lsmkv_get_held(db, keyspace, NULL, entry->key, &held);

        if (result == 0) {
            if (lsmkv_held_record(held)->value.size != entry->value.size ||
                memcmp(lsmkv_held_record(held)->value.data, entry->value.data,
                       entry->value.size) != 0)
                ck_abort_msg("a wrong value");
            lsmkv_held_release(held);
        } else {
            if (result == -ENOENT)
                ck_abort_msg("a key is missing without an error");
            complete = false;
        }
    }
    return complete;
}

/* A walk shows the model's entries from the first on, and ends early only with an error. */
static bool
walk_is_right(struct lsmkv *db, struct lsmkv_keyspace *keyspace,
              const struct model *model)
{
    struct lsmkv_iter *iter;
    size_t i = 0;
    int result = lsmkv_iter_new(db, keyspace, NULL, &iter);

    if (result != 0)
        return false;
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter); lsmkv_iter_next(iter), i++)
        if (i >= model->count ||
            model_compare(model->order, lsmkv_iter_key(iter), model->entries[i].key) != 0)
            ck_abort_msg("a walk shows what is not there");
    result = lsmkv_iter_status(iter);
    if (result == 0 && i != model->count)
        ck_abort_msg("a walk ended early without an error");
    lsmkv_iter_free(iter);
    return result == 0;
}

static bool
everything_reads(struct lsmkv *db)
{
    struct lsmkv_keyspace *keyspaces[2] = {NULL, NULL};
    bool complete = true;

    if (lsmkv_keyspace_open(db, "plain", &keyspaces[1]) != 0)
        ck_abort_msg("a keyspace is missing");
    for (int k = 0; k < 2; k++) {
        if (!gets_are_right(db, keyspaces[k], &models[k]))
            complete = false;
        if (!walk_is_right(db, keyspaces[k], &models[k]))
            complete = false;
    }
    return complete;
}

/* ---- damaging ---- */

static void
rewrite(struct mem_env *env, const char *name, const uint8_t *data, size_t size)
{
    struct env_dir *dir = directory(env);
    struct env_file *file;

    ck_assert_int_eq(env_file_open(dir, name, ENV_REPLACE, &file), 0);
    if (size > 0)
        ck_assert_int_eq(env_file_write(file, 0, data, size), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    env_dir_close(dir);
}

struct outcome {
    bool opened, complete;
    char error[512];    /* the last line logged */
    const char *sought; /* by lsmkv_check: the file it is to name */
};

static void
note_error(void *context, enum lsmkv_level level, const char *line)
{
    struct outcome *outcome = context;

    if (level == LSMKV_LOG_ERROR)
        snprintf(outcome->error, sizeof(outcome->error), "%s", line);
}

/* Opens a damaged copy without its threads changing anything first. */
static struct outcome
try_store(struct mem_env *env)
{
    struct outcome outcome = {.opened = false};
    struct lsmkv_options options = rig.options;
    struct lsmkv *db;

    options.env = mem_env_base(env);
    options.log = note_error;
    options.log_context = &outcome;
    options.create = false;
    if (lsmkv_open("store", &options, &db) == 0) {
        outcome.opened = true;
        outcome.complete = everything_reads(db);
        (void)lsmkv_close(db); /* may have met the damage in the background */
    }
    return outcome;
}

/* Right, or an error that names `name`. */
static void
check_outcome(const struct outcome *outcome, const char *name, const char *what,
              size_t offset)
{
    if (outcome->opened && outcome->complete)
        return;
    if (strstr(outcome->error, name) == NULL || strstr(outcome->error, "offset") == NULL)
        ck_abort_msg("%s %s at %zu: the error does not name file and offset: \"%s\"",
                     name, what, offset, outcome->error);
}

static void
note_finding(void *context, const struct lsmkv_finding *finding)
{
    struct outcome *outcome = context;

    if (finding->severity == LSMKV_DAMAGE &&
        (outcome->error[0] == '\0' || strcmp(finding->file, outcome->sought) == 0))
        snprintf(outcome->error, sizeof(outcome->error), "%s: offset %llu: %s",
                 finding->file, (unsigned long long)finding->offset, finding->text);
}

/* The store was closed cleanly, so no change of it may escape lsmkv_check. */
static void
check_finds(struct mem_env *env, const char *name, const char *what, size_t offset)
{
    struct outcome outcome = {.sought = name};
    struct lsmkv_check_options check = {.finding = note_finding, .context = &outcome};
    struct lsmkv_options options = rig.options;
    int result;

    options.env = mem_env_base(env);
    result = lsmkv_check("store", &options, &check);
    if (result != -EUCLEAN || strstr(outcome.error, name) != outcome.error)
        ck_abort_msg("%s %s at %zu: lsmkv_check gives %d and finds \"%s\"", name, what,
                     offset, result, outcome.error);
}

static void
damage(size_t file, const uint8_t *data, size_t size, const char *what, size_t offset)
{
    struct mem_env *copy = mem_env_kill(rig.memory);
    struct outcome outcome;

    rewrite(copy, files[file].name, data, size);
    check_finds(copy, files[file].name, what, offset);
    outcome = try_store(copy);
    check_outcome(&outcome, files[file].name, what, offset);
    mem_env_free(copy);
}

START_TEST(test_the_undamaged_store_reads_whole)
{
    struct mem_env *copy = mem_env_kill(rig.memory);
    struct outcome outcome = try_store(copy);

    ck_assert(outcome.opened && outcome.complete);
    ck_assert_uint_ge(file_count, 6); /* manifest, mark, log, tables of both keyspaces */
    mem_env_free(copy);
}
END_TEST

/* Every so many places, */
static size_t
step(size_t f, size_t large, size_t small)
{
    return (files[f].size > 4096 ? large : small) * rounds_of_bytes_one_in();
}

/* of each file from another on if they are but a part. */
static size_t
first(size_t f, size_t large, size_t small)
{
    unsigned one_in = rounds_of_bytes_one_in();

    return f % one_in * (step(f, large, small) / one_in);
}

START_TEST(test_flipped_bytes)
{
    for (size_t f = 0; f < file_count; f++)
        for (size_t at = first(f, 13, 3); at < files[f].size; at += step(f, 13, 3)) {
            files[f].data[at] ^= 0x40;
            damage(f, files[f].data, files[f].size, "flipped", at);
            files[f].data[at] ^= 0x40;
        }
}
END_TEST

START_TEST(test_truncated_files)
{
    for (size_t f = 0; f < file_count; f++)
        for (size_t size = first(f, 29, 7); size < files[f].size; size += step(f, 29, 7))
            damage(f, files[f].data, size, "truncated", size);
}
END_TEST

START_TEST(test_zeroed_sectors)
{
    for (size_t f = 0; f < file_count; f++)
        for (size_t at = 0; at < files[f].size; at += 512) {
            size_t size = files[f].size - at < 512 ? files[f].size - at : 512;
            uint8_t saved[512];

            memcpy(saved, files[f].data + at, size);
            memset(files[f].data + at, 0, size);
            if (memcmp(files[f].data + at, saved, size) == 0)
                continue;
            damage(f, files[f].data, files[f].size, "zeroed", at);
            memcpy(files[f].data + at, saved, size);
        }
}
END_TEST

START_TEST(test_files_swapped_for_another)
{
    for (size_t f = 0; f < file_count; f++)
        for (size_t other = 0; other < file_count; other++)
            if (other != f)
                damage(f, files[other].data, files[other].size, "swapped", other);
}
END_TEST

/* Only the mark of the clean close may be missing: then it was an unclean stop. */
START_TEST(test_deleted_files)
{
    for (size_t f = 0; f < file_count; f++) {
        struct mem_env *copy = mem_env_kill(rig.memory);
        struct env_dir *dir = directory(copy);
        struct outcome outcome;

        ck_assert_int_eq(env_dir_unlink(dir, files[f].name), 0);
        env_dir_close(dir);
        outcome = try_store(copy);
        if (strcmp(files[f].name, "CLOSED") == 0)
            ck_assert(outcome.opened && outcome.complete);
        else if (strcmp(files[f].name, "MANIFEST") == 0)
            ck_assert(!outcome.opened);
        else {
            ck_assert(!(outcome.opened && outcome.complete));
            check_outcome(&outcome, files[f].name, "deleted", 0);
        }
        mem_env_free(copy);
    }
}
END_TEST

START_TEST(test_foreign_files_stay)
{
    static const char *const names[] = {"notes.txt", "12.sst", "000001.bak", "manifest"};
    struct mem_env *copy = mem_env_kill(rig.memory);
    struct outcome outcome;
    struct env_dir *dir;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        rewrite(copy, names[i], (const uint8_t *)"mine", 4);
    outcome = try_store(copy);
    ck_assert(outcome.opened && outcome.complete);
    dir = directory(copy);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct env_file *file;

        ck_assert_int_eq(env_file_open(dir, names[i], ENV_READ, &file), 0);
        ck_assert_int_eq(env_file_close(file), 0);
    }
    env_dir_close(dir);
    mem_env_free(copy);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("store_damage");
    TCase *tcase = tcase_create("store_damage");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, test_the_undamaged_store_reads_whole);
    tcase_add_test(tcase, test_flipped_bytes);
    tcase_add_test(tcase, test_truncated_files);
    tcase_add_test(tcase, test_zeroed_sectors);
    tcase_add_test(tcase, test_files_swapped_for_another);
    tcase_add_test(tcase, test_deleted_files);
    tcase_add_test(tcase, test_foreign_files_stay);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
