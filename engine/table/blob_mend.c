/*
 * blob_mend.c - after a crash: is what the log refers to there, and making it durable.
 *
 * A power cut keeps unsynced sectors in any order, of the log and of a blob file beside
 * it.  So of a record all is held against its checksums, head and key too: nobody may
 * find the file damaged later.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "table/blob.h"

#define COPY_SIZE ((size_t)1 << 20)

/* ---- is it there? ---- */

static bool
header_is_whole(const uint8_t *bytes, uint64_t number)
{
    struct blob_header header;
    const char *problem;

    return blob_header_decode(bytes, &header, &problem) == 0 && header.number == number;
}

static bool
record_is_whole(const uint8_t *bytes, uint64_t offset, const struct blob_ref *ref,
                size_t key_size)
{
    const uint8_t *stored = bytes + (ref->offset - offset);
    struct blob_ref there;
    const char *problem;
    size_t size;

    return blob_head_decode(bytes, ref->file, offset, &there, &size, &problem) == 0 &&
           there.offset == ref->offset && there.length == ref->length &&
           there.pages == ref->pages && there.packed == ref->packed &&
           there.checksum == ref->checksum && size == key_size &&
           blob_head_check(bytes, &there, size, &problem) == 0 &&
           blob_is_intact(ref, stored) && blob_table_is_intact(ref, stored);
}

int
blob_probe(struct blob_files *files, const struct blob_ref *ref, size_t key_size,
           struct keybuf *room)
{
    const uint64_t before = blob_front_size(key_size, ref);
    uint64_t offset, from;
    ssize_t got;
    size_t size;
    int result;

    if (ref->offset < BLOB_HEADER_SIZE + before)
        return 0; /* no record stands there */
    offset = ref->offset - before;
    from = offset == BLOB_HEADER_SIZE ? 0 : offset;
    size = (size_t)(ref->offset - from) + blob_stored_size(ref);
    result = keybuf_reserve(room, size);
    if (result != 0)
        return result;
    got = blob_files_bytes(files, ref->file, from, room->data, size);
    if (got < 0)
        return got == -ENOENT ? 0 : (int)got;
    return (size_t)got == size && (from > 0 || header_is_whole(room->data, ref->file)) &&
           record_is_whole(room->data + (offset - from), offset, ref, key_size);
}

/* ---- making it durable ---- */

static int
failed(const struct table_context *context, const char *name, int result,
       const char *what)
{
    return report_error(context->reporter, result, "%s: offset 0: %s", name, what);
}

int
blob_length(const struct table_context *context, uint64_t number, uint64_t *size)
{
    char name[TABLE_NAME_SIZE];
    struct env_file *file;
    int result;

    blob_name(name, number);
    result = env_file_open(context->dir, name, ENV_READ, &file);
    if (result != 0)
        return result == -ENOENT ? result
                                 : failed(context, name, result, "cannot be opened");
    result = env_file_size(file, size);
    (void)env_file_close(file); /* only looked at */
    return result == 0 ? 0 : failed(context, name, result, "its size cannot be asked");
}

static int
rewrite(struct env_file *file, uint64_t from, uint64_t to)
{
    uint8_t *buffer = malloc(COPY_SIZE);
    int result = buffer == NULL ? -ENOMEM : 0;

    while (result == 0 && from < to) {
        size_t now = to - from < COPY_SIZE ? (size_t)(to - from) : COPY_SIZE;
        ssize_t got = env_file_read(file, from, buffer, now);

        if (got < 0)
            result = (int)got;
        else if ((size_t)got < now)
            result = -EIO; /* it was longer when its records were read */
        else
            result = env_file_write(file, from, buffer, now);
        from += now;
    }
    free(buffer);
    return result;
}

int
blob_mend(const struct table_context *context, uint64_t number, uint64_t from,
          uint64_t end)
{
    char name[TABLE_NAME_SIZE];
    struct env_file *file;
    uint64_t size;
    int result, closed;

    blob_name(name, number);
    result = env_file_open(context->dir, name, ENV_WRITE, &file);
    if (result != 0)
        return failed(context, name, result, "cannot be opened");
    result = env_file_size(file, &size);
    if (result == 0 && size > end)
        result = env_file_truncate(file, end);
    if (result == 0)
        result = rewrite(file, from, end);
    if (result == 0)
        result = env_file_sync(file);
    closed = env_file_close(file);
    if (result == 0)
        result = closed;
    if (result != 0)
        return report_error(context->reporter, result,
                            "%s: writing bytes %" PRIu64 " to %" PRIu64 " again failed",
                            name, from, end);
    return 0;
}
