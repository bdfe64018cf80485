/* blob_walk.c - reading a whole blob file with suspicion. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "table/blob.h"

struct walk {
    const struct table_context *context;
    char name[TABLE_NAME_SIZE];
    uint64_t number, size;
    bool packs; /* as its header says */
    struct env_file *file;
    uint8_t *buffer; /* of the record at hand */
    size_t capacity;
    struct keybuf unpacked; /* its value, if that is packed */
    int first_error;
};

static int
finding(struct walk *walk, int result, uint64_t offset, const char *problem)
{
    result = report_error(walk->context->reporter, result, "%s: offset %" PRIu64 ": %s",
                          walk->name, offset, problem);
    if (walk->first_error == 0)
        walk->first_error = result;
    return result;
}

/* Bytes of the file to the buffer at `at`, which keeps what is before. */
static int
read_at(struct walk *walk, uint64_t offset, size_t at, size_t size)
{
    ssize_t got;

    if (offset > walk->size || size > walk->size - offset)
        return finding(walk, -EUCLEAN, offset, "the file ends in a record");
    if (walk->capacity < at + size) {
        uint8_t *grown = realloc(walk->buffer, at + size);

        if (grown == NULL)
            return -ENOMEM;
        walk->buffer = grown;
        walk->capacity = at + size;
    }
    got = env_file_read(walk->file, offset, walk->buffer + at, size);
    if (got < 0)
        return finding(walk, (int)got, offset, "reading failed");
    if ((size_t)got < size)
        return finding(walk, -EUCLEAN, offset, "the file ends in a record");
    return 0;
}

static int
open_walk(struct walk *walk, uint64_t expected, bool is_growing)
{
    int result = env_file_open(walk->context->dir, walk->name, ENV_READ, &walk->file);

    if (result == -ENOENT)
        return finding(walk, -EUCLEAN, 0, "the file is missing");
    if (result != 0)
        return finding(walk, result, 0, "cannot be opened");
    result = env_file_size(walk->file, &walk->size);
    if (result != 0)
        return finding(walk, result, 0, "its size cannot be asked");
    if (is_growing && walk->size > expected)
        walk->size = expected; /* what lies beyond is cut off by the next opening */
    if (expected != 0 && walk->size != expected)
        (void)report_error(walk->context->reporter, walk->first_error = -EUCLEAN,
                           "%s: offset %" PRIu64 ": the file ends here, expected %" PRIu64
                           " bytes",
                           walk->name, walk->size, expected);
    return 0;
}

static int
read_header(struct walk *walk, uint32_t *keyspace)
{
    struct blob_header header;
    const char *problem;
    int result;

    if (walk->size < BLOB_HEADER_SIZE)
        return finding(walk, -EUCLEAN, walk->size, "too short to be a blob file");
    result = read_at(walk, 0, 0, BLOB_HEADER_SIZE);
    if (result != 0)
        return result;
    result = blob_header_decode(walk->buffer, &header, &problem);
    if (result != 0)
        return finding(walk, result, 0, problem);
    if (header.number != walk->number)
        return finding(walk, -EUCLEAN, 0, "it is another blob file");
    walk->packs = header.packs;
    if (keyspace != NULL)
        *keyspace = header.keyspace;
    return 0;
}

static void
look_at_value(struct walk *walk, struct blob_record *record, const uint8_t *stored)
{
    const struct blob_ref *ref = &record->ref;

    if (!blob_is_intact(ref, stored)) {
        (void)finding(walk, -EBADMSG, ref->offset, "a value's checksum does not match");
        return;
    }
    record->value = stored;
    if (!blob_table_is_intact(ref, stored))
        (void)finding(walk, -EBADMSG, ref->offset - blob_table_size(ref),
                      "the checksums of a value's pages do not match");
}

static int
unpack_value(struct walk *walk, struct blob_record *record, const uint8_t *stored)
{
    const struct blob_ref *ref = &record->ref;
    const char *problem;
    int result = keybuf_reserve(&walk->unpacked, ref->length);

    if (result != 0)
        return result;
    if (!walk->packs)
        (void)finding(walk, -EUCLEAN, record->offset,
                      "a packed value, of which the header does not tell");
    result = blob_unpack(ref, stored, walk->unpacked.data, &problem);
    if (result == 0)
        record->value = walk->unpacked.data;
    else
        (void)finding(walk, result, ref->offset, problem);
    return 0;
}

static int
read_record(struct walk *walk, struct blob_record *record)
{
    const uint64_t offset = record->offset;
    struct blob_ref ref;
    size_t key_size, rest;
    const char *problem;
    int result = read_at(walk, offset, 0, BLOB_HEAD_MAX);

    if (result != 0)
        return result;
    result =
        blob_head_decode(walk->buffer, walk->number, offset, &ref, &key_size, &problem);
    if (result != 0)
        return finding(walk, result, offset, problem);
    rest = (size_t)(ref.offset - offset) - BLOB_HEAD_MAX + blob_stored_size(&ref);
    result = read_at(walk, offset + BLOB_HEAD_MAX, BLOB_HEAD_MAX, rest);
    if (result != 0)
        return result;
    result = blob_head_check(walk->buffer, &ref, key_size, &problem);
    if (result != 0)
        return finding(walk, result, offset, problem);
    record->key = blob_head_key(walk->buffer, &ref, key_size);
    record->ref = ref;
    record->value = NULL;
    if (ref.packed > 0)
        return unpack_value(walk, record, walk->buffer + (ref.offset - offset));
    look_at_value(walk, record, walk->buffer + (ref.offset - offset));
    return 0;
}

static int
walk_records(const struct table_context *context, uint64_t number, uint64_t size,
             bool is_growing, uint32_t *keyspace,
             int (*each)(void *user, const struct blob_record *record), void *user)
{
    struct walk walk = {.context = context, .number = number};
    struct blob_record record = {.offset = BLOB_HEADER_SIZE};
    int result;

    blob_name(walk.name, number);
    result = open_walk(&walk, size, is_growing);
    if (result == 0)
        result = read_header(&walk, keyspace);
    while (result == 0 && record.offset < walk.size) {
        result = read_record(&walk, &record);
        if (result == 0)
            result = each == NULL ? 0 : each(user, &record);
        record.offset = record.ref.offset + blob_stored_size(&record.ref);
    }
    (void)env_file_close(walk.file); /* only read */
    free(walk.buffer);
    keybuf_fini(&walk.unpacked);
    return walk.first_error != 0 ? walk.first_error : result;
}

int
blob_walk(const struct table_context *context, uint64_t number, uint64_t size,
          uint32_t *keyspace, int (*each)(void *user, const struct blob_record *record),
          void *user)
{
    return walk_records(context, number, size, false, keyspace, each, user);
}

int
blob_walk_growing(const struct table_context *context, uint64_t number, uint64_t size,
                  int (*each)(void *user, const struct blob_record *record), void *user)
{
    return walk_records(context, number, size, true, NULL, each, user);
}
