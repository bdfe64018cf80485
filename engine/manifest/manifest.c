/*
 * manifest.c - the file MANIFEST: reading it line by line, appending to it, rolling it.
 *
 * The form of a line stands in json_line.h, its fields in edit_json.c, what an edit does
 * in edit.c; here are the file, its order of writes and syncs, and what a failure leaves
 * behind.
 *
 * A line is written after the last one was synced, so at most one line, the last, can be
 * on the disk in part.  Three things end such a line: no newline, a checksum that does
 * not match with nothing after it, or (a process that died before the sync) nothing at
 * all: it is whole and counts, though the disk may not have it yet.  So that it does
 * before anything relies on it, manifest_open writes the last line again in place and
 * syncs.
 *
 * A failed sync ends the life of a manifest: nothing may be concluded about what the disk
 * holds (E3), so nothing more is written until the store is opened again.
 */
#include "manifest/manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/report.h"
#include "manifest/edit_json.h"
#include "manifest/json_line.h"
#include "table/blob.h"

#define READ_SIZE (64u << 10)
#define ROLL_SIZE (UINT64_C(1) << 20)

struct manifest {
    struct env_dir *dir; /* constant, as the two below */
    struct reporter *reporter;
    struct env_file *file;
    uint64_t number;
    uint64_t end;        /* of the last good line */
    uint64_t first_line; /* its size: what a fresh manifest would have */
    int error;           /* why it is broken; 0: it is not */
};

static int
report_io(struct reporter *reporter, int result, const char *what, uint64_t offset)
{
    return report_error(reporter, result, MANIFEST_NAME ": offset %llu: cannot %s",
                        (unsigned long long)offset, what);
}

/* What is wrong with the line at `offset`, whose reason is this thread's error detail.
 * What a newer version wrote is no damage, and is logged by nobody. */
static int
report_line(struct reporter *reporter, int result, uint64_t offset)
{
    char reason[256];

    strncpy(reason, lsmkv_error_detail(), sizeof(reason) - 1);
    reason[sizeof(reason) - 1] = '\0';
    if (result == -ENOMEM)
        return result;
    if (result == -ENOTSUP)
        return error_detail(result, MANIFEST_NAME ": offset %llu: %s",
                            (unsigned long long)offset, reason);
    return report_error(reporter, result, MANIFEST_NAME ": offset %llu: %s",
                        (unsigned long long)offset, reason);
}

/* ---- reading ---- */

/* The file, cut into lines. */
struct line_source {
    struct env_file *file;
    char *buffer;
    size_t capacity;
    size_t size;     /* bytes in the buffer */
    size_t line;     /* where the current line begins in it */
    size_t next;     /* where the one after begins */
    uint64_t offset; /* of the buffer in the file */
    bool at_end;     /* nothing is left in the file */
};

static uint64_t
source_offset(const struct line_source *source)
{
    return source->offset + source->line;
}

/* Reads on behind what the buffer holds of the current line.  -EUCLEAN: it is too
 * long. */
static int
source_fill(struct line_source *source)
{
    size_t kept = source->size - source->line;
    ssize_t got;

    if (kept > 0)
        memmove(source->buffer, source->buffer + source->line, kept);
    source->offset += source->line;
    source->next -= source->line;
    source->line = 0;
    source->size = kept;
    if (kept > MANIFEST_LINE_MAX)
        return error_detail(-EUCLEAN, "a line of more than %u bytes", MANIFEST_LINE_MAX);
    if (source->capacity - kept < READ_SIZE) {
        size_t capacity = 2 * source->capacity + READ_SIZE;
        char *buffer = realloc(source->buffer, capacity);

        if (buffer == NULL)
            return -ENOMEM;
        source->buffer = buffer;
        source->capacity = capacity;
    }
    got = env_file_read(source->file, source->offset + kept, source->buffer + kept,
                        source->capacity - kept);
    if (got < 0)
        return error_detail((int)got, "cannot read");
    source->size += (size_t)got;
    source->at_end = got == 0;
    return 0;
}

/* Goes to the next line: 1, and its bytes without the newline; 0: none; or an error. */
static int
source_next(struct line_source *source, const char **line, size_t *size)
{
    size_t looked = source->next;

    source->line = source->next;
    for (;;) {
        size_t left = source->size - looked;
        const char *end = left == 0 ? NULL : memchr(source->buffer + looked, '\n', left);
        int result;

        if (end != NULL) {
            *line = source->buffer + source->line;
            *size = (size_t)(end - *line);
            source->next = source->line + *size + 1;
            return 1;
        }
        looked = source->size - source->line;
        result = source_fill(source);
        if (result < 0)
            return result;
        if (source->at_end)
            return 0;
    }
}

/* Whether the current line, not good and maybe without its newline, can be one that was
 * written in part: nothing stands behind it, and its only tab is in its suffix.  A tab
 * before that says that it is two lines whose newline was damaged.  A negative errno if
 * the file cannot be looked at. */
static int
source_is_torn(struct line_source *source, size_t size)
{
    const size_t object = size < LINE_SUFFIX_SIZE ? 0 : size - LINE_SUFFIX_SIZE;
    uint64_t length = 0;
    int result = env_file_size(source->file, &length);

    if (result < 0)
        return error_detail(result, "cannot read");
    if (length - source_offset(source) > size + 1)
        return 0;
    /* A newline in its place and no byte left out: written whole, gone bad since. */
    if (length - source_offset(source) == size + 1 &&
        memchr(source->buffer + source->line, '\0', size) == NULL)
        return 0;
    return object == 0 || memchr(source->buffer + source->line, '\t', object) == NULL;
}

static int
apply_line(json_t *object, struct manifest_header *header, bool first,
           struct manifest_edit *state)
{
    struct manifest_edit edit = {0};
    int result = first ? header_from_json(object, header) : 0;

    if (result == 0)
        result = edit_from_json(object, header, first, &edit);
    if (result == 0)
        result = manifest_state_apply(state, &edit);
    manifest_edit_fini(&edit);
    return result;
}

/* Reads all lines into `state`; `source` ends at the first byte that is no good line. */
static int
load_lines(struct line_source *source, struct manifest_header *header,
           struct manifest_edit *state)
{
    const char *line = NULL;
    size_t size = 0;
    int result;

    for (bool first = true; (result = source_next(source, &line, &size)) == 1;
         first = false) {
        json_t *object;

        result = line_unseal(line, size, &object);
        if (result == -EBADMSG && !first) {
            int torn = source_is_torn(source, size);

            return torn > 0 ? 0 : torn < 0 ? torn : result;
        }
        if (result < 0)
            return result;
        result = apply_line(object, header, first, state);
        json_decref(object);
        if (result < 0)
            return result;
    }
    if (result < 0)
        return result;
    if (source_offset(source) == 0)
        return error_detail(-EUCLEAN, "the first line is not whole");
    result = source_is_torn(source, source->size - source->line);
    if (result == 0)
        return error_detail(-EBADMSG, "several lines without a newline between them");
    return result < 0 ? result : 0;
}

static void
note_torn_tail(struct line_source *source, struct reporter *reporter)
{
    uint64_t size = 0;

    if (env_file_size(source->file, &size) == 0 && size > source_offset(source))
        report_warning(reporter,
                       MANIFEST_NAME
                       ": offset %llu: the last line was torn and is ignored",
                       (unsigned long long)source_offset(source));
}

int
manifest_exists(struct env_dir *dir)
{
    struct env_file *file;
    int result = env_file_open(dir, MANIFEST_NAME, ENV_READ, &file);

    return result == 0 ? env_file_close(file) : result;
}

int
manifest_load(struct env_dir *dir, struct reporter *reporter, struct manifest_edit *state,
              uint64_t *number, uint64_t *end)
{
    struct line_source source = {0};
    struct manifest_header header = {0};
    struct manifest_edit loaded = {0};
    int result = env_file_open(dir, MANIFEST_NAME, ENV_READ, &source.file);

    if (result == -ENOENT)
        return error_detail(-ENOENT, MANIFEST_NAME " does not exist");
    if (result < 0)
        return report_io(reporter, result, "open", 0);
    result = load_lines(&source, &header, &loaded);
    if (result < 0) {
        report_line(reporter, result, source_offset(&source));
        manifest_edit_fini(&loaded);
    } else {
        note_torn_tail(&source, reporter);
        *state = loaded;
        memcpy(state->unknown_features, header.unknown, sizeof(header.unknown));
        state->names_all = header.names_all;
        *number = header.number;
        *end = source_offset(&source);
    }
    free(source.buffer);
    env_file_close(source.file); /* it was only read */
    return result;
}

/* One line of a damaged manifest. */
static int
salvage_line(const char *line, size_t size, bool first, struct manifest_header *header,
             struct manifest_edit *state)
{
    struct manifest_edit edit = {0};
    json_t *object;
    int result = line_unseal(line, size, &object);

    if (result < 0)
        return result;
    if (first)
        result = header_from_json(object, header);
    if (result == 0)
        result = edit_from_json(object, header, first, &edit);
    if (result == 0)
        result = manifest_state_apply_fitting(state, &edit);
    manifest_edit_fini(&edit);
    json_decref(object);
    return result;
}

int
manifest_salvage(struct env_dir *dir, struct reporter *reporter,
                 struct manifest_edit *state)
{
    struct line_source source = {0};
    struct manifest_header header = {0};
    const char *line = NULL;
    size_t size = 0;
    int result = env_file_open(dir, MANIFEST_NAME, ENV_READ, &source.file), more = 1;

    if (result < 0)
        return result == -ENOMEM ? result : report_io(reporter, result, "open", 0);
    for (bool first = true; more == 1 && result == 0; first = false) {
        more = source_next(&source, &line, &size);
        if (more == 1)
            result = salvage_line(line, size, first, &header, state);
        if (more < 0)
            result = more;
        if (result < 0 && result != -ENOMEM && result != -ENOTSUP)
            result = report_line(reporter, result, source_offset(&source)) == -ENOMEM
                         ? -ENOMEM
                         : 0;
    }
    memcpy(state->unknown_features, header.unknown, sizeof(header.unknown));
    free(source.buffer);
    env_file_close(source.file); /* it was only read */
    return result;
}

int
manifest_check_features(const struct manifest_edit *state, bool to_write,
                        struct reporter *reporter)
{
    const char *unknown = state->unknown_features;

    if (unknown[0] == '\0')
        return 0;
    if (to_write)
        return error_detail(-ENOTSUP,
                            MANIFEST_NAME ": offset 0: the store can only be read: who "
                                          "writes it needs feature %s",
                            unknown);
    report_warning(reporter,
                   MANIFEST_NAME ": offset 0: a newer version wrote the store; it can be "
                                 "read, but who writes it needs feature %s",
                   unknown);
    return 0;
}

/* -ENOENT: there is no such file. */
static int
file_size(struct env_dir *dir, const char *name, uint64_t *size)
{
    struct env_file *file;
    int result = env_file_open(dir, name, ENV_READ, &file);

    if (result < 0)
        return result;
    result = env_file_size(file, size);
    env_file_close(file); /* it was only looked at */
    return result;
}

static int
check_file(struct env_dir *dir, struct reporter *reporter, const char *name,
           uint64_t expected)
{
    uint64_t size = 0;
    int result = file_size(dir, name, &size);

    if (result == -ENOENT)
        return report_error(reporter, -EUCLEAN,
                            "%s: offset 0: the file is missing, and MANIFEST needs it",
                            name);
    if (result < 0)
        return report_error(reporter, result, "%s: offset 0: cannot look at it", name);
    if (size != expected)
        return report_error(reporter, -EUCLEAN,
                            "%s: offset %llu: the file ends here, not at %llu", name,
                            (unsigned long long)size, (unsigned long long)expected);
    return 0;
}

static int
check_blobs(struct env_dir *dir, struct reporter *reporter,
            const struct manifest_edit *state)
{
    struct table_blob *blobs;
    size_t count;
    int result = manifest_state_blobs(state, &blobs, &count);

    if (result != 0)
        return result;
    for (size_t i = 0; i < count; i++) {
        char name[TABLE_NAME_SIZE];
        int checked;

        blob_name(name, blobs[i].number);
        checked = check_file(dir, reporter, name, blobs[i].size);
        if (result == 0)
            result = checked;
    }
    free(blobs);
    return result;
}

int
manifest_check_tables(struct env_dir *dir, struct reporter *reporter,
                      const struct manifest_edit *state)
{
    int result = 0;

    for (size_t i = 0; i < state->added_count; i++) {
        const struct table_meta *meta = &state->added[i].meta;
        char name[TABLE_NAME_SIZE];
        int checked;

        table_name(name, meta->number);
        checked = check_file(dir, reporter, name, meta->size);
        if (result == 0)
            result = checked;
    }
    return result == 0 ? check_blobs(dir, reporter, state) : result;
}

/* ---- writing ---- */

static int
edit_line(const struct manifest_header *header, const struct manifest_edit *edit,
          char **line, size_t *size)
{
    json_t *object;
    int result = edit_to_json(header, edit, &object);

    if (result < 0)
        return result;
    result = line_seal(object, line, size);
    json_decref(object);
    if (result == 0 && *size > MANIFEST_LINE_MAX) {
        free(*line);
        return error_detail(-EFBIG, MANIFEST_NAME ": a line of %zu bytes", *size);
    }
    return result;
}

static int
manifest_break(struct manifest *manifest, int error)
{
    manifest->error = error;
    return error;
}

/* MANIFEST.tmp with `state` as its only line, synced; nothing is left of it on
 * failure. */
static int
write_fresh(struct env_dir *dir, struct reporter *reporter, uint64_t number,
            const struct manifest_edit *state, struct env_file **file, uint64_t *size)
{
    struct manifest_header header = {.number = number};
    struct env_file *fresh;
    char *line;
    size_t length;
    int result = edit_line(&header, state, &line, &length);

    if (result < 0)
        return result;
    result = env_file_open(dir, MANIFEST_TMP_NAME, ENV_REPLACE, &fresh);
    if (result < 0) {
        free(line);
        return report_error(reporter, result, MANIFEST_TMP_NAME ": cannot create");
    }
    result = env_file_write(fresh, 0, line, length);
    if (result == 0)
        result = env_file_sync(fresh);
    free(line);
    if (result < 0) {
        int unlinked;

        env_file_close(fresh); /* it failed already */
        unlinked = env_dir_unlink(dir, MANIFEST_TMP_NAME);
        (void)unlinked; /* what is left is replaced next time */
        return report_error(reporter, result, MANIFEST_TMP_NAME ": cannot write or sync");
    }
    *file = fresh;
    *size = length;
    return 0;
}

/* Renames MANIFEST.tmp over MANIFEST (M4).  `*renamed` says whether that was begun: from
 * then on either may be what the next open finds. */
static int
install_fresh(struct env_dir *dir, struct reporter *reporter, bool *renamed)
{
    int result;

    *renamed = true;
    result = env_dir_rename(dir, MANIFEST_TMP_NAME, MANIFEST_NAME);
    if (result < 0)
        return report_error(reporter, result, MANIFEST_TMP_NAME ": cannot rename");
    result = env_dir_sync(dir);
    if (result < 0)
        return report_error(reporter, result,
                            MANIFEST_NAME ": cannot sync its directory");
    return 0;
}

static int
roll(struct env_dir *dir, struct reporter *reporter, uint64_t number,
     const struct manifest_edit *state, struct manifest **manifest, bool *renamed)
{
    struct manifest *made = calloc(1, sizeof(*made));
    int result;

    if (made == NULL)
        return -ENOMEM;
    made->dir = dir;
    made->reporter = reporter;
    made->number = number;
    result = write_fresh(dir, reporter, number, state, &made->file, &made->end);
    if (result == 0)
        result = install_fresh(dir, reporter, renamed);
    if (result < 0) {
        env_file_close(made->file);
        free(made);
        return result;
    }
    made->first_line = made->end;
    *manifest = made;
    return 0;
}

int
manifest_roll(struct env_dir *dir, struct reporter *reporter, uint64_t number,
              const struct manifest_edit *state, struct manifest **manifest)
{
    bool renamed = false;

    return roll(dir, reporter, number, state, manifest, &renamed);
}

int
manifest_replace(struct manifest **manifest, uint64_t number,
                 const struct manifest_edit *state)
{
    struct manifest *old = *manifest, *fresh;
    bool renamed = false;
    int result;

    if (old->error != 0)
        return old->error;
    result = roll(old->dir, old->reporter, number, state, &fresh, &renamed);
    if (result < 0)
        return renamed ? manifest_break(old, result) : result;
    manifest_close(old); /* its name is gone, and every line of it was synced */
    *manifest = fresh;
    return 0;
}

/* Where the first line ends and the last one begins, in the first `end` bytes. */
static int
find_lines(struct env_file *file, uint64_t end, char *buffer, uint64_t *first_end,
           uint64_t *last_start)
{
    uint64_t first = 0, last = 0;

    for (uint64_t offset = 0; offset < end;) {
        size_t want = end - offset < READ_SIZE ? (size_t)(end - offset) : READ_SIZE;
        ssize_t got = env_file_read(file, offset, buffer, want);

        if (got <= 0)
            return got < 0 ? (int)got : -EUCLEAN;
        for (size_t i = 0; i < (size_t)got; i++) {
            uint64_t next = offset + i + 1;

            if (buffer[i] != '\n')
                continue;
            first = first == 0 ? next : first;
            last = next < end ? next : last;
        }
        offset += (uint64_t)got;
    }
    *first_end = first;
    *last_start = last;
    return 0;
}

/* Writes [from, to) again as it is. */
static int
rewrite(struct env_file *file, uint64_t from, uint64_t to, char *buffer)
{
    int result = 0;

    while (result == 0 && from < to) {
        size_t want = to - from < READ_SIZE ? (size_t)(to - from) : READ_SIZE;
        ssize_t got = env_file_read(file, from, buffer, want);

        if (got <= 0)
            return got < 0 ? (int)got : -EUCLEAN;
        result = env_file_write(file, from, buffer, (size_t)got);
        from += (uint64_t)got;
    }
    return result;
}

/* Cuts what follows `end` and makes all before it durable. */
static int
settle(struct manifest *manifest, uint64_t end)
{
    char *buffer = malloc(READ_SIZE);
    uint64_t last_start = end;
    int result;

    if (buffer == NULL)
        return -ENOMEM;
    result = find_lines(manifest->file, end, buffer, &manifest->first_line, &last_start);
    if (result == 0)
        result = env_file_truncate(manifest->file, end);
    if (result == 0)
        result = rewrite(manifest->file, last_start, end, buffer);
    if (result == 0)
        result = env_file_sync(manifest->file);
    if (result == 0)
        result = env_dir_sync(manifest->dir);
    free(buffer);
    if (result < 0)
        return report_io(manifest->reporter, result, "cut and sync the file", end);
    return 0;
}

int
manifest_open(struct env_dir *dir, struct reporter *reporter, uint64_t number,
              uint64_t end, struct manifest **manifest)
{
    struct manifest *made = calloc(1, sizeof(*made));
    int result;

    if (made == NULL)
        return -ENOMEM;
    made->dir = dir;
    made->reporter = reporter;
    made->number = number;
    made->end = end;
    result = env_file_open(dir, MANIFEST_NAME, ENV_WRITE, &made->file);
    if (result < 0)
        report_io(reporter, result, "open", 0);
    else
        result = settle(made, end);
    if (result < 0) {
        env_file_close(made->file);
        free(made);
        return result;
    }
    *manifest = made;
    return 0;
}

/* M3: takes back a write that failed. */
static int
undo_write(struct manifest *manifest, int error)
{
    int result;

    report_io(manifest->reporter, error, "write a line", manifest->end);
    result = env_file_truncate(manifest->file, manifest->end);
    if (result == 0)
        result = env_file_sync(manifest->file);
    if (result < 0) {
        report_io(manifest->reporter, result, "cut a line written in part",
                  manifest->end);
        return manifest_break(manifest, error);
    }
    return error;
}

int
manifest_append(struct manifest *manifest, const struct manifest_edit *edit)
{
    char *line;
    size_t size;
    int result = manifest->error;

    if (result == 0)
        result = edit_line(NULL, edit, &line, &size);
    if (result < 0)
        return result;
    result = env_file_write(manifest->file, manifest->end, line, size);
    free(line);
    if (result < 0)
        return undo_write(manifest, result);
    result = env_file_sync(manifest->file);
    if (result < 0)
        return manifest_break(
            manifest, report_io(manifest->reporter, result, "sync", manifest->end));
    manifest->end += size;
    return 0;
}

bool
manifest_is_broken(const struct manifest *manifest)
{
    return manifest->error != 0;
}

uint64_t
manifest_number(const struct manifest *manifest)
{
    return manifest->number;
}

uint64_t
manifest_end(const struct manifest *manifest)
{
    return manifest->end;
}

bool
manifest_wants_roll(const struct manifest *manifest)
{
    uint64_t limit = 4 * manifest->first_line;

    return manifest->end > (limit > ROLL_SIZE ? limit : ROLL_SIZE);
}

int
manifest_close(struct manifest *manifest)
{
    int result;

    if (manifest == NULL)
        return 0;
    result = env_file_close(manifest->file);
    free(manifest);
    return result;
}
