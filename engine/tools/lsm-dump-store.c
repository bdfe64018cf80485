/*
 * lsm-dump-store.c - dumps every live table of a store, as its MANIFEST names them; to
 * verify, their blob files, too.
 *
 * The store may be in use.  No lock is taken: the manifest is read once, and tables never
 * change; one that has gone since is told apart from a lost one by reading the manifest
 * again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "manifest/manifest.h"
#include "table/blob.h"
#include "tools/lsm-dump.h"

static int
load_manifest(struct dump *dump, struct manifest_edit *state)
{
    uint64_t number, end;

    *state = (struct manifest_edit){0};
    return manifest_load(dump->context.dir, dump->context.reporter, state, &number, &end);
}

static int
compare_numbers(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

/* Keyspace, level, then newest first, as a reader asks them. */
static int
compare_tables(const void *left, const void *right)
{
    const struct edit_table *a = left, *b = right;

    if (a->keyspace != b->keyspace)
        return compare_numbers(a->keyspace, b->keyspace);
    if (a->level != b->level)
        return a->level - b->level;
    return compare_numbers(b->meta.largest_sequence, a->meta.largest_sequence);
}

static void
print_table(struct dump *dump, const struct manifest_edit *state,
            const struct edit_table *table)
{
    const struct edit_keyspace *keyspace =
        manifest_state_keyspace(state, table->keyspace);
    struct printer *printer = &dump->printer;

    print_begin(printer, "table");
    print_number(printer, "number", table->meta.number);
    print_number(printer, "level", (uint64_t)table->level);
    if (keyspace != NULL)
        print_bytes(printer, "keyspace", lsmkv_str(keyspace->name));
    print_number(printer, "bytes", table->meta.size);
    print_number(printer, "entries", table->meta.entries);
    print_number(printer, "tombstones", table->meta.tombstones);
    print_bytes(printer, "smallest",
                internal_user_key(keybuf_slice(&table->meta.smallest)));
    print_bytes(printer, "largest",
                internal_user_key(keybuf_slice(&table->meta.largest)));
    if (table->meta.blob_count > 0)
        print_number(printer, "blob_files", table->meta.blob_count);
    print_end(printer);
}

/* ---- one table of the store ---- */

static bool
file_is_missing(const struct dump *dump, const char *name)
{
    struct env_file *file;
    int result;

    result = env_file_open(dump->context.dir, name, ENV_READ, &file);
    if (result == 0)
        (void)env_file_close(file); /* only read */
    return result == -ENOENT;
}

static bool
is_still_named(struct dump *dump, uint64_t number)
{
    struct manifest_edit state;
    bool named = true; /* unless shown otherwise: the worse case */

    if (load_manifest(dump, &state) == 0) {
        named = false;
        for (size_t i = 0; i < state.added_count && !named; i++)
            named = state.added[i].meta.number == number;
    }
    manifest_edit_fini(&state);
    return named;
}

static enum dump_result
dump_live_table(struct dump *dump, const struct manifest_edit *state,
                const struct edit_table *live)
{
    char name[TABLE_NAME_SIZE];
    struct table *table;
    enum dump_result result;

    table_name(name, live->meta.number);
    if (file_is_missing(dump, name) && !is_still_named(dump, live->meta.number)) {
        report_warning(dump->context.reporter, "table %llu was replaced meanwhile",
                       (unsigned long long)live->meta.number);
        return DUMP_GOOD;
    }
    print_table(dump, state, live);
    if (table_open(&dump->context, live->meta.number, live->meta.size, &table) != 0)
        return DUMP_DAMAGED; /* it is named and cannot be read, whatever the cause */
    result = dump_table(dump, table);
    if (dump->verify && table_verify_meta(table, &live->meta) != 0)
        result = result == DUMP_FAILED ? result : DUMP_DAMAGED;
    table_close(table);
    return result;
}

static bool
blob_is_still_named(struct dump *dump, uint64_t number)
{
    struct manifest_edit state;
    struct table_blob *blobs = NULL;
    size_t count = 0;
    bool named = true; /* unless shown otherwise: the worse case */

    if (load_manifest(dump, &state) == 0 &&
        manifest_state_blobs(&state, &blobs, &count) == 0) {
        named = false;
        for (size_t i = 0; i < count && !named; i++)
            named = blobs[i].number == number;
    }
    free(blobs);
    manifest_edit_fini(&state);
    return named;
}

static enum dump_result
dump_live_blobs(struct dump *dump, const struct manifest_edit *state)
{
    struct table_blob *blobs;
    size_t count;
    enum dump_result result = DUMP_GOOD;

    if (manifest_state_blobs(state, &blobs, &count) != 0)
        return DUMP_FAILED;
    for (size_t i = 0; i < count; i++) {
        char name[TABLE_NAME_SIZE];
        enum dump_result one;

        blob_name(name, blobs[i].number);
        if (file_is_missing(dump, name) && !blob_is_still_named(dump, blobs[i].number))
            continue; /* collected meanwhile */
        one = dump_blob(dump, blobs[i].number, blobs[i].size);
        result = one > result ? one : result;
    }
    free(blobs);
    return result;
}

enum dump_result
dump_store(struct dump *dump, const char *path)
{
    struct manifest_edit state;
    enum dump_result result = DUMP_GOOD;
    int loaded = load_manifest(dump, &state);

    if (loaded == 0)
        loaded = manifest_check_features(&state, false, dump->context.reporter);
    if (loaded != 0) {
        manifest_edit_fini(&state);
        if (loaded == -ENOENT)
            fprintf(stderr, "lsm-dump: %s: not a store: it has no MANIFEST\n", path);
        if (loaded == -ENOTSUP)
            fprintf(stderr, "lsm-dump: %s: written by a newer version of lsmkv: %s\n",
                    path, lsmkv_error_detail());
        return loaded == -EBADMSG || loaded == -EUCLEAN ? DUMP_DAMAGED : DUMP_FAILED;
    }
    if (state.added_count > 0)
        qsort(state.added, state.added_count, sizeof(*state.added), compare_tables);
    for (size_t i = 0; i < state.added_count; i++) {
        enum dump_result one = dump_live_table(dump, &state, &state.added[i]);

        result = one > result ? one : result;
    }
    if (dump->verify) {
        bool entries = dump->entries;
        enum dump_result blobs;

        dump->entries = false; /* those of the tables were asked for */
        blobs = dump_live_blobs(dump, &state);
        dump->entries = entries;
        result = blobs > result ? blobs : result;
    }
    manifest_edit_fini(&state);
    return result;
}
