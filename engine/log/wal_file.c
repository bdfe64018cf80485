/* wal_file.c - opening, reading and naming the files of the log. */
#include "log/wal_file.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
wal_name(char *name, uint64_t number)
{
    snprintf(name, WAL_NAME_SIZE, "%06llu.log", (unsigned long long)number);
}

bool
wal_name_parse(const char *name, uint64_t *number)
{
    char expected[WAL_NAME_SIZE];
    unsigned long long parsed;

    if (name[0] < '0' || name[0] > '9')
        return false;
    errno = 0;
    parsed = strtoull(name, NULL, 10);
    if (errno != 0)
        return false;
    wal_name(expected, parsed);
    if (strcmp(name, expected) != 0)
        return false;
    *number = parsed;
    return true;
}

int
wal_file_open(struct wal_file *file, struct env_dir *dir, const char *name,
              uint64_t number, enum env_open how, struct reporter *reporter)
{
    struct wal_file opened = {.reporter = reporter, .number = number};
    int result;

    opened.name = strdup(name);
    if (opened.name == NULL)
        return -ENOMEM;
    result = env_file_open(dir, name, how, &opened.file);
    if (result == 0)
        result = env_file_size(opened.file, &opened.size);
    if (result < 0) {
        report_error(reporter, result, "%s: cannot be opened: %s", name,
                     strerror(-result));
        (void)wal_file_close(&opened); /* nothing was written */
        return result;
    }
    *file = opened;
    return 0;
}

int
wal_file_close(struct wal_file *file)
{
    int result = env_file_close(file->file);

    free(file->name);
    file->name = NULL;
    file->file = NULL;
    return result;
}

int
wal_file_read(const struct wal_file *file, uint64_t offset, void *buffer, size_t size)
{
    ssize_t got;

    assert(offset <= file->size && size <= file->size - offset);
    got = env_file_read(file->file, offset, buffer, size);
    if (got < 0)
        return report_error(file->reporter, (int)got,
                            "%s: offset %llu: reading %zu bytes failed: %s", file->name,
                            (unsigned long long)offset, size, strerror((int)-got));
    if ((size_t)got != size)
        return report_error(file->reporter, -EIO,
                            "%s: offset %llu: %zu of %zu bytes read: the file has become "
                            "shorter than %llu",
                            file->name, (unsigned long long)offset, (size_t)got, size,
                            (unsigned long long)file->size);
    return 0;
}
