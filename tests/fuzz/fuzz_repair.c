/*
 * fuzz_repair.c - a whole store made of crafted files, opened with `salvage`, walked past its damage,
 * and repaired.
 *
 * What must hold: no file goes; salvaging walks end without an error, in order; the new store is
 * one that lsmkv_check finds nothing wrong with, and that opens, or there is none.
 *
 * Input: files (files.h).
 */
#include <errno.h>

#include "files.h"
#include "table/table.h"

#define STEPS_MAX 200000u /* far more entries than an input can hold */

static struct lsmkv_options
options_of(struct fuzz_files *files)
{
    struct lsmkv_options options;

    lsmkv_options_init(&options);
    options.env = files->env;
    options.cache_size = 64 << 10;
    options.block_size = 512;
    options.table_size = 16 << 10;
    options.space_reserve = 1;
    options.lock_wait_ms = 1;
    options.log = fuzz_silence;
    return options;
}

/* ---- salvaging ---- */

static void
walk(struct lsmkv *db, struct lsmkv_keyspace *keyspace)
{
    struct lsmkv_iter *iter;
    unsigned steps = 0;

    fuzz_check(lsmkv_iter_new_salvaging(db, keyspace, NULL, &iter) == 0);
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter); lsmkv_iter_next(iter)) {
        struct lsmkv_held *held;
        int result;

        fuzz_check(++steps < STEPS_MAX);
        result = lsmkv_get_held(db, keyspace, NULL, lsmkv_iter_key(iter), &held);
        if (result == 0)
            lsmkv_held_release(held);
    }
    /* Entries whose checksum holds may be no records all the same. */
    fuzz_check(lsmkv_iter_status(iter) == 0 || lsmkv_iter_status(iter) == -EUCLEAN);
    lsmkv_iter_free(iter);
}

struct names {
    char names[8][LSMKV_NAME_MAX + 1];
    size_t count;
};

static int
note_keyspace(void *context, const char *name, enum lsmkv_order order)
{
    struct names *names = context;

    (void)order;
    if (names->count < sizeof(names->names) / sizeof(names->names[0]))
        snprintf(names->names[names->count++], sizeof(names->names[0]), "%s", name);
    return 0;
}

static void
salvage(struct fuzz_files *files)
{
    struct lsmkv_options options = options_of(files);
    struct names names = {.count = 0};
    struct lsmkv *db;

    options.read_only = options.salvage = true;
    if (lsmkv_open("store", &options, &db) != 0)
        return;
    fuzz_check(lsmkv_keyspace_list(db, note_keyspace, &names) == 0);
    for (size_t i = 0; i < names.count; i++) {
        struct lsmkv_keyspace *keyspace;

        if (lsmkv_keyspace_open(db, names.names[i], &keyspace) == 0)
            walk(db, keyspace);
    }
    fuzz_check(lsmkv_close(db) == 0);
}

/* ---- repairing ---- */

static void
take_finding(void *context, const struct lsmkv_finding *finding)
{
    unsigned *damage = context;

    fuzz_check(finding->text != NULL && finding->file != NULL);
    *damage += finding->severity == LSMKV_DAMAGE;
}

static void
take_loss(void *context, const struct lsmkv_loss *loss)
{
    (void)context;
    fuzz_check(loss->file != NULL && loss->first.size <= LSMKV_KEY_MAX &&
               loss->last.size <= LSMKV_KEY_MAX);
}

static void
say_finding(void *context, const struct lsmkv_finding *finding)
{
    (void)context;
    if (finding->severity == LSMKV_DAMAGE)
        fuzz_fail("the new store: %s: offset %llu: %s", finding->file,
                  (unsigned long long)finding->offset, finding->text);
}

static void
repair(struct fuzz_files *files)
{
    struct lsmkv_options options = options_of(files);
    unsigned damage = 0;
    struct lsmkv_repair_options ask = {
        .finding = take_finding, .lost = take_loss, .context = &damage};
    struct lsmkv_check_options check = {.finding = say_finding};
    struct lsmkv *db;
    int result = lsmkv_repair("store", "new", &options, &ask);

    if (result != 0 && result != -EUCLEAN)
        return;
    fuzz_check((result == -EUCLEAN) == (damage > 0));
    result = lsmkv_check("new", &options, &check);
    if (result != 0)
        fuzz_fail("the new store: %d, %s", result, lsmkv_error_detail());
    result = lsmkv_open("new", &options, &db);
    if (result != 0)
        fuzz_fail("the new store does not open: %s", lsmkv_error_detail());
    fuzz_check(lsmkv_close(db) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    struct fuzz_file made[FUZZ_FILES_MAX];
    struct fuzz_files files;
    size_t count;

    fuzz_files_init(&files);
    count = fuzz_files_unpack(&files, &input, made);
    salvage(&files);
    repair(&files);
    for (size_t i = 0; i < count; i++)
        fuzz_check(fuzz_files_has(&files, made[i].name));
    fuzz_files_fini(&files);
    return 0;
}
