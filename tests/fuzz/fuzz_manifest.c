/*
 * fuzz_manifest.c - MANIFEST and CLOSED: lines (manifest/json_line.h), their fields
 * (manifest/edit_json.c), and what edits make of one another (manifest/edit.c).
 *
 * Input: how 1 (1: sealed, 2: as CLOSED), then the file.
 */
#include <errno.h>

#include "files.h"
#include "manifest/edit_json.h"
#include "manifest/json_line.h"
#include "seal.h"

/* The state as a line of its own, by which two are compared. */
static struct lsmkv_slice
state_line(const struct manifest_edit *state)
{
    json_t *object;
    char *line;
    size_t size;

    fuzz_check(edit_to_json(NULL, state, &object) == 0);
    fuzz_check(line_seal(object, &line, &size) == 0);
    json_decref(object);
    return lsmkv_bytes(line, size);
}

static void
check_same(const struct manifest_edit *a, const struct manifest_edit *b)
{
    struct lsmkv_slice x = state_line(a), y = state_line(b);

    fuzz_check(fuzz_equal(x, y));
    free((void *)(uintptr_t)x.data);
    free((void *)(uintptr_t)y.data);
}

static void
check_state(const struct manifest_edit *state)
{
    fuzz_check(state->removed_count == 0 && state->dropped_keyspace_count == 0 &&
               state->dropped_snapshot_count == 0);
    for (size_t i = 0; i < state->added_count; i++) {
        const struct edit_table *table = &state->added[i];

        fuzz_check(table->level >= 0 && table->level < LEVEL_COUNT);
        fuzz_check(table->meta.number < state->next_file);
        fuzz_check(i == 0 || table[-1].meta.number < table->meta.number);
        fuzz_check(table->meta.largest_sequence <= state->last_sequence);
    }
    for (size_t i = 0; i < state->keyspace_count; i++)
        fuzz_check(state->keyspaces[i].id < state->next_keyspace);
    for (size_t i = 0; i < state->snapshot_count; i++)
        fuzz_check(state->snapshots[i].id < state->next_snapshot &&
                   strchr(state->snapshots[i].name, '/') == NULL);
}

static void
reload(struct fuzz_files *files, const struct manifest_edit *state, uint64_t expected)
{
    struct manifest_edit again = {0};
    uint64_t number, end;

    fuzz_check(manifest_load(files->dir, &files->reporter, &again, &number, &end) == 0);
    fuzz_check(number == expected);
    check_same(state, &again);
    manifest_edit_fini(&again);
}

/* What was read can be gone on with, and written anew: it is the same when read again. */
static void
go_on(struct fuzz_files *files, const struct manifest_edit *state, uint64_t number,
      uint64_t end)
{
    struct manifest_edit nothing = {0};
    struct manifest *manifest;

    fuzz_check(manifest_open(files->dir, &files->reporter, number, end, &manifest) == 0);
    fuzz_check(manifest_append(manifest, &nothing) == 0);
    reload(files, state, number);
    fuzz_check(manifest_replace(&manifest, number, state) == 0);
    reload(files, state, number);
    fuzz_check(manifest_close(manifest) == 0);
}

static void
run_manifest(struct fuzz_files *files)
{
    struct manifest_edit state = {0};
    uint64_t number = 0, end = 0;
    int result = manifest_load(files->dir, &files->reporter, &state, &number, &end);

    if (result == 0) {
        int to_write = state.unknown_features[0] == '\0' ? 0 : -ENOTSUP;

        fuzz_check(manifest_check_features(&state, true, &files->reporter) == to_write);
        fuzz_check(manifest_check_features(&state, false, &files->reporter) == 0);
        check_state(&state);
        go_on(files, &state, number, end);
        manifest_edit_fini(&state);
    } else {
        fuzz_check(result == -EBADMSG || result == -EUCLEAN || result == -ENOTSUP);
    }
}

static void
run_closed(struct fuzz_files *files)
{
    struct closed_mark mark, again;
    int result = closed_read(files->dir, &files->reporter, &mark);

    if (result != 0) {
        fuzz_check(result == -EBADMSG || result == -EUCLEAN);
        return;
    }
    fuzz_check(closed_write(files->dir, &mark) == 0);
    fuzz_check(closed_read(files->dir, &files->reporter, &again) == 0);
    fuzz_check(memcmp(&mark, &again, sizeof(mark)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    unsigned how = (unsigned)fuzz_number(&input, 1);
    struct lsmkv_slice bytes = fuzz_take(&input, input.left);
    struct fuzz_files files;
    uint8_t *sealed = NULL;

    fuzz_files_init(&files);
    if (how & 1)
        sealed = seal_lines(bytes.data, bytes.size, &bytes.size);
    if (sealed != NULL)
        bytes.data = sealed;
    fuzz_files_put(&files, how & 2 ? "CLOSED" : "MANIFEST", bytes);
    if (how & 2)
        run_closed(&files);
    else
        run_manifest(&files);
    free(sealed);
    fuzz_files_fini(&files);
    return 0;
}
