/* blob_writer.c - writing a blob file, record by record; the byte table is in blob.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "table/blob.h"

#define WRITE_BUFFER (256u << 10)

struct blob_writer {
    const struct table_context *context;
    char name[TABLE_NAME_SIZE];
    uint64_t number;
    enum lsmkv_compression compression;
    struct env_file *file;
    struct keybuf packed; /* of the value at hand */
    struct keybuf out;    /* not yet written */
    uint64_t written;     /* bytes of the file before `out` */
    int status;           /* the first failure */
};

static void
writer_free(struct blob_writer *writer)
{
    keybuf_fini(&writer->packed);
    keybuf_fini(&writer->out);
    free(writer);
}

static int
put_header(struct blob_writer *writer, uint32_t keyspace)
{
    struct blob_header header = {keyspace, writer->number,
                                 writer->compression == LSMKV_COMPRESSION_LZ4};
    uint8_t bytes[BLOB_HEADER_SIZE];

    blob_header_encode(bytes, &header);
    return keybuf_append(&writer->out, lsmkv_bytes(bytes, sizeof(bytes)));
}

int
blob_writer_open(const struct table_context *context, uint64_t number, uint32_t keyspace,
                 enum lsmkv_compression compression, struct blob_writer **writer)
{
    struct blob_writer *made = calloc(1, sizeof(*made));
    int result;

    if (made == NULL)
        return -ENOMEM;
    made->context = context;
    made->number = number;
    made->compression = compression;
    blob_name(made->name, number);
    result = put_header(made, keyspace);
    if (result == 0) {
        result = env_file_open(context->dir, made->name, ENV_CREATE, &made->file);
        if (result != 0)
            result = report_error(context->reporter, result, "%s: cannot be created",
                                  made->name);
    }
    if (result != 0) {
        writer_free(made);
        return result;
    }
    *writer = made;
    return 0;
}

/* What is buffered, and behind it `value`, which is not copied. */
static int
write_out(struct blob_writer *writer, struct lsmkv_slice value)
{
    struct iovec parts[2] = {env_part(writer->out.data, writer->out.size),
                             env_part(value.data, value.size)};
    size_t size = writer->out.size + value.size;
    int result =
        env_file_writev(writer->file, writer->written, parts, value.size > 0 ? 2 : 1);

    if (result != 0)
        return report_error(writer->context->reporter, result,
                            "%s: offset %llu: %zu bytes cannot be written", writer->name,
                            (unsigned long long)writer->written, size);
    /* Else the sync at the end would wait for all of it. */
    env_file_writeback(writer->file, writer->written, size);
    writer->written += size;
    writer->out.size = 0;
    return 0;
}

static int
add(struct blob_writer *writer, struct lsmkv_slice internal, struct lsmkv_slice value,
    struct blob_ref *ref)
{
    struct lsmkv_slice stored = value;
    const uint8_t *source = value.data;
    struct blob_ref made;
    size_t front_size;
    uint32_t packed = 0;
    int result = 0;

    if (writer->compression == LSMKV_COMPRESSION_LZ4)
        result = blob_pack(value, &writer->packed, &packed);
    made = blob_place(writer->number, blob_writer_size(writer), internal.size, value.size,
                      packed);
    front_size = blob_front_size(internal.size, &made);
    if (packed > 0) {
        source = writer->packed.data;
        stored = lsmkv_bytes(source + blob_table_size(&made), packed);
    }
    if (result == 0)
        result = keybuf_reserve(&writer->out, writer->out.size + front_size);
    if (result != 0)
        return result;
    blob_front_encode(writer->out.data + writer->out.size, internal, source, &made);
    writer->out.size += front_size;
    result = writer->out.size + stored.size < WRITE_BUFFER
                 ? keybuf_append(&writer->out, stored)
                 : write_out(writer, stored);
    if (result == 0)
        *ref = made;
    return result;
}

int
blob_writer_add(struct blob_writer *writer, struct lsmkv_slice internal,
                struct lsmkv_slice value, struct blob_ref *ref)
{
    if (writer->status == 0)
        writer->status = add(writer, internal, value, ref);
    return writer->status;
}

uint64_t
blob_writer_size(const struct blob_writer *writer)
{
    return writer->written + writer->out.size;
}

uint64_t
blob_writer_number(const struct blob_writer *writer)
{
    return writer->number;
}

static int
sync_and_close(struct blob_writer *writer)
{
    int result = env_file_sync(writer->file);
    int closed = env_file_close(writer->file);

    writer->file = NULL;
    if (result == 0)
        result = closed;
    if (result != 0)
        return report_error(writer->context->reporter, result, "%s: cannot be synced",
                            writer->name);
    return 0;
}

int
blob_writer_finish(struct blob_writer *writer)
{
    int result = writer->status;

    if (result == 0 && writer->out.size > 0)
        result = write_out(writer, lsmkv_bytes(NULL, 0));
    if (result == 0)
        result = sync_and_close(writer);
    if (result != 0) {
        blob_writer_abandon(writer);
        return result;
    }
    writer_free(writer);
    return 0;
}

void
blob_writer_abandon(struct blob_writer *writer)
{
    int result;

    if (writer == NULL)
        return;
    (void)env_file_close(writer->file); /* it goes anyway */
    result = env_dir_unlink(writer->context->dir, writer->name);
    if (result != 0) /* the sweep at open finds it */
        report_warning(writer->context->reporter, "%s: cannot be deleted: %s",
                       writer->name, lsmkv_strerror(result));
    writer_free(writer);
}
