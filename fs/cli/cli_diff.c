/*
 * cli_diff.c - `lsmfs snapshot diff`: diff.c finds, snapshots.c passes on, here it is
 * told.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_report.h"
#include "cli/cli_snapshot.h"
#include "cli/place.h"
#include "common/report_text.h"
#include "daemon/mount.h"
#include "store/diff.h"
#include "store/key.h"

/* As `ls -l` and JSON call it. */
static const char *
type_name(char letter)
{
    static const struct {
        char letter;
        const char *name;
    } types[] = {{'-', "file"},        {'d', "directory"}, {'l', "symlink"},
                 {'p', "fifo"},        {'s', "socket"},    {'c', "character device"},
                 {'b', "block device"}};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (types[i].letter == letter)
            return types[i].name;
    }
    return "unknown";
}

/* What JSON's strings cannot hold, in hexadecimal digits. */
static json_t *
hex(const char *path)
{
    static const char digits[] = "0123456789abcdef";
    size_t size = strlen(path);
    char *text = malloc(2 * size + 1);

    if (text == NULL)
        return NULL;
    for (size_t i = 0; i < size; i++) {
        text[2 * i] = digits[(unsigned char)path[i] >> 4];
        text[2 * i + 1] = digits[path[i] & 15];
    }
    json_t *string = json_stringn(text, 2 * size);
    free(text);
    return string;
}

static bool
print_json(char kind, char letter, const char *path)
{
    const char *change = kind == DIFF_ADDED     ? "added"
                         : kind == DIFF_REMOVED ? "removed"
                                                : "modified";
    json_t *row = json_pack("{ss so ss}", "change", change, "path", report_text(path),
                            "type", type_name(letter));
    json_t *whole = json_string(path);

    if (row != NULL && whole == NULL &&
        json_object_set_new(row, "bytes", hex(path)) != 0) {
        json_decref(row);
        row = NULL;
    }
    json_decref(whole);
    if (row == NULL)
        return false;
    report_json(row);
    return true;
}

/* For `rsync --files-from`: what there is to copy.  With its name in the list, the root
 * would be copied with all that is in it; values without a path are in no snapshot's
 * listing.  A name that begins with one of two letters would be a comment there. */
static void
print_null(char kind, const char *path)
{
    const char keys[] = KEY_PRIVATE "/";

    if (kind == DIFF_REMOVED || *path == '\0' || strncmp(path, keys, strlen(keys)) == 0)
        return;
    printf("%s%s", *path == '#' || *path == ';' ? "./" : "", path);
    putchar('\0');
}

static bool
print(const struct snapshot_call *call, char kind, char letter, const char *path)
{
    if (call->json)
        return print_json(kind, letter, path);
    if (call->null) {
        print_null(kind, path);
        return true;
    }
    printf("%c ", kind);
    report_quoted(stdout, *path != '\0' ? path : ".");
    puts(letter == 'd' ? "/" : "");
    return true;
}

/* It has no line, for nobody knows what it would be. */
static void
complain(const struct snapshot_call *call, const char *path)
{
    fflush(stdout);
    fprintf(stderr, "lsmfs %s: ", call->name);
    report_quoted(stderr, *path != '\0' ? path : ".");
    fputs(": its record is damaged; see lsmfs check\n", stderr);
}

/* *damaged: so many are. */
static int
print_all(const struct snapshot_call *call, FILE *file, unsigned *damaged)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    int result = 0;

    while (result == 0 && (size = getdelim(&line, &capacity, '\0', file)) > 0) {
        if (size < 3 || line[size - 1] != '\0') {
            result = -EPROTO;
        } else if (line[0] == DIFF_DAMAGED) {
            complain(call, line + 2);
            ++*damaged;
        } else if (!print(call, line[0], line[1], line + 2)) {
            result = -ENOMEM;
        }
    }
    if (result == 0 && ferror(file))
        result = -EIO;
    free(line);
    return result;
}

/* Which of the names it is that there is no snapshot of. */
static const char *
absent_of(const struct place *place, const char *from, const char *to)
{
    struct place_snapshot *all;
    size_t count;

    if (to == NULL || place_list(place, &all, &count) != 0)
        return from;
    const char *absent = from;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(all[i].name, from) == 0)
            absent = to;
    }
    free(all);
    return absent;
}

int
snapshot_diff(const struct snapshot_call *call)
{
    const char *from = call->operands[1],
               *to = call->count > 2 ? call->operands[2] : NULL;
    struct place place;
    int status = place_open(&place, call->name, call->operands[0], false);

    if (status != STATUS_OK)
        return status;
    unsigned damaged = 0;
    FILE *file = tmpfile();
    int result = file != NULL ? place_diff(&place, from, to, file) : -errno;
    const char *what = result == -ENOENT ? absent_of(&place, from, to) : place.store;
    if (result == 0)
        result = print_all(call, file, &damaged);
    if (file != NULL)
        fclose(file);
    if (result != 0)
        status = place_fail(&place, what, result);
    else if (damaged > 0)
        status = mount_status_of(-EUCLEAN);
    return place_close(&place, status);
}
