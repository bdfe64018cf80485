/*
 * closed.c - the file CLOSED, the mark of a clean close: the number and length of
 * manifest and log, one line in the form of json_line.h.
 *
 *     field     type     meaning
 *     manifest  numbers  its number and its length
 *     log       numbers  its number and its length; number 0: there is none
 *
 * An opener holds the files against the mark: what does not match is damage, where
 * without a mark it could be a torn tail.  So the mark must never be there in part (it is
 * written aside and renamed), and never come back after it was removed (the directory is
 * synced even if nothing was there: a removal before it may not have been durable yet).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/report.h"
#include "manifest/json_line.h"
#include "manifest/manifest.h"

#define CLOSED_MAX 512u

static const char *const closed_fields[] = {"manifest", "log", NULL};

static int
mark_to_json(const struct closed_mark *mark, json_t **object)
{
    *object = json_pack("{s:[II],s:[II]}", "manifest", (json_int_t)mark->manifest_number,
                        (json_int_t)mark->manifest_end, "log",
                        (json_int_t)mark->log_number, (json_int_t)mark->log_end);
    return *object == NULL ? -ENOMEM : 0;
}

static int
write_aside(struct env_dir *dir, const char *line, size_t size)
{
    struct env_file *file;
    int result = env_file_open(dir, CLOSED_TMP_NAME, ENV_REPLACE, &file);
    int closed;

    if (result < 0)
        return result;
    result = env_file_write(file, 0, line, size);
    if (result == 0)
        result = env_file_sync(file);
    closed = env_file_close(file);
    return result < 0 ? result : closed;
}

int
closed_write(struct env_dir *dir, const struct closed_mark *mark)
{
    json_t *object;
    char *line = NULL;
    size_t size = 0;
    int result = mark_to_json(mark, &object);

    if (result < 0)
        return result;
    result = line_seal(object, &line, &size);
    json_decref(object);
    if (result == 0)
        result = write_aside(dir, line, size);
    if (result == 0)
        result = env_dir_rename(dir, CLOSED_TMP_NAME, CLOSED_NAME);
    if (result == 0)
        result = env_dir_sync(dir);
    free(line);
    return result;
}

/* A pair of numbers of 0 and above. */
static int
pair_from_json(const json_t *object, const char *name, uint64_t *first, uint64_t *second)
{
    const json_t *pair;
    int result = line_array(object, name, &pair);
    json_int_t one, two;

    if (result < 0)
        return result;
    one = json_integer_value(json_array_get(pair, 0));
    two = json_integer_value(json_array_get(pair, 1));
    if (json_array_size(pair) != 2 || !json_is_integer(json_array_get(pair, 0)) ||
        !json_is_integer(json_array_get(pair, 1)) || one < 0 || two < 0)
        return error_detail(-EUCLEAN, "field \"%s\": two numbers expected", name);
    *first = (uint64_t)one;
    *second = (uint64_t)two;
    return 0;
}

static int
mark_from_line(const char *line, size_t size, struct closed_mark *mark)
{
    json_t *object;
    int result;

    if (size == 0 || line[size - 1] != '\n')
        return error_detail(-EBADMSG, "the line is not whole");
    result = line_unseal(line, size - 1, &object);
    if (result < 0)
        return result;
    result = line_only(object, closed_fields);
    if (result == 0)
        result = pair_from_json(object, "manifest", &mark->manifest_number,
                                &mark->manifest_end);
    if (result == 0)
        result = pair_from_json(object, "log", &mark->log_number, &mark->log_end);
    json_decref(object);
    return result;
}

int
closed_read(struct env_dir *dir, struct reporter *reporter, struct closed_mark *mark)
{
    char line[CLOSED_MAX], reason[256];
    struct closed_mark read = {0};
    struct env_file *file;
    ssize_t got;
    int result = env_file_open(dir, CLOSED_NAME, ENV_READ, &file);

    if (result == -ENOENT)
        return result; /* as a crash leaves it: nothing to tell */
    if (result < 0)
        return report_error(reporter, result, CLOSED_NAME ": cannot open");
    got = env_file_read(file, 0, line, sizeof(line));
    env_file_close(file); /* it was only read */
    if (got < 0)
        return report_error(reporter, (int)got, CLOSED_NAME ": offset 0: cannot read");
    result = mark_from_line(line, (size_t)got, &read);
    if (result < 0) {
        strncpy(reason, lsmkv_error_detail(), sizeof(reason) - 1);
        reason[sizeof(reason) - 1] = '\0';
        return result == -ENOMEM
                   ? result
                   : report_error(reporter, result, CLOSED_NAME ": offset 0: %s", reason);
    }
    *mark = read;
    return 0;
}

int
closed_remove(struct env_dir *dir)
{
    int result = env_dir_unlink(dir, CLOSED_NAME);

    return result < 0 && result != -ENOENT ? result : env_dir_sync(dir);
}
