/*
 * writer.c - writing a table: entries in order become data blocks, and at the end filter,
 * index, properties and footer (format.h).
 *
 * W1  Blocks stand one behind the other in the order of their keys; a block is cut before
 *     the entry that would make it larger than the block size, so only an entry larger
 *     than that makes a larger block.
 * W2  The table is whole once table_writer_finish returned 0: the file is synced, its
 *     directory is not.
 * W3  After a failure nothing more is written, and the file goes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/record.h"
#include "table/blob.h"
#include "table/block.h"
#include "table/filter.h"
#include "table/format.h"
#include "table/index.h"
#include "table/pack.h"

#define WRITE_BUFFER (256u << 10)
/* What a block of one entry takes beside key and payload: its head, restart points. */
#define ENTRY_OVERHEAD   (3u * 5u + 8u)
#define PAYLOAD_SIZE_MAX (RECORD_HEAD_MAX + LSMKV_ATTRIBUTES_MAX + LSMKV_VALUE_MAX)

struct table_writer {
    const struct table_context *context;
    char name[TABLE_NAME_SIZE];
    struct env_file *file;
    int status; /* the first failure */

    struct keybuf out; /* not yet written */
    uint64_t written;  /* bytes of the file before `out` */
    enum lsmkv_compression compression;
    struct block_builder data;
    struct keybuf packed;    /* a data block */
    struct keybuf separator; /* of the block being built */
    uint64_t block_largest;  /* sequence in it */
    struct block_builder index;
    struct filter_builder filter;

    struct keybuf last; /* internal key */
    struct table_properties properties;
    struct table_meta meta;
};

void
table_meta_fini(struct table_meta *meta)
{
    keybuf_fini(&meta->smallest);
    keybuf_fini(&meta->largest);
    free(meta->blobs);
    meta->blobs = NULL;
    meta->blob_count = 0;
}

int
table_meta_add_blob(struct table_meta *meta, uint64_t number, uint64_t bytes)
{
    struct table_blob *blobs = meta->blobs;
    size_t at = 0, end = meta->blob_count;

    while (at < end) {
        size_t middle = at + (end - at) / 2;

        if (blobs[middle].number < number)
            at = middle + 1;
        else
            end = middle;
    }
    if (at < meta->blob_count && blobs[at].number == number) {
        blobs[at].bytes += bytes;
        return 0;
    }
    blobs = array_grown(blobs, meta->blob_count, sizeof(*blobs));
    if (blobs == NULL)
        return -ENOMEM;
    meta->blobs = blobs;
    memmove(&blobs[at + 1], &blobs[at], (meta->blob_count - at) * sizeof(*blobs));
    blobs[at] = (struct table_blob){.number = number, .bytes = bytes};
    meta->blob_count++;
    return 0;
}

/* What an entry that is about to be added refers to. */
static int
count_blob(struct table_writer *writer, struct lsmkv_slice internal,
           struct lsmkv_slice payload)
{
    struct lsmkv_record record;
    struct blob_ref ref;
    int result;

    if (!kind_is_apart(internal_kind(internal)))
        return 0;
    result = record_decode(internal_kind(internal), 0, payload, &record);
    if (result == 0)
        result = blob_ref_decode(record.value, &ref);
    if (result != 0)
        return report_error(writer->context->reporter, result,
                            "%s: entry %llu: its payload cannot be written", writer->name,
                            (unsigned long long)writer->properties.entries);
    writer->properties.has_blobs = true;
    writer->properties.has_pages = writer->properties.has_pages || ref.pages > 0;
    writer->properties.has_packed = writer->properties.has_packed || ref.packed > 0;
    return table_meta_add_blob(&writer->meta, ref.file, blob_record_size(internal, &ref));
}

static void
writer_free(struct table_writer *writer)
{
    keybuf_fini(&writer->out);
    block_builder_fini(&writer->data);
    keybuf_fini(&writer->packed);
    keybuf_fini(&writer->separator);
    block_builder_fini(&writer->index);
    filter_builder_fini(&writer->filter);
    keybuf_fini(&writer->last);
    table_meta_fini(&writer->meta);
    free(writer);
}

int
table_writer_open(const struct table_context *context, uint64_t number, uint32_t keyspace,
                  enum lsmkv_order order, struct table_writer **writer)
{
    struct table_writer *made = calloc(1, sizeof(*made));
    int result;

    if (made == NULL)
        return -ENOMEM;
    made->context = context;
    made->meta.number = number;
    made->meta.smallest_sequence = SEQUENCE_MAX;
    made->properties.keyspace = keyspace;
    made->properties.order = order;
    table_name(made->name, number);
    result = env_file_open(context->dir, made->name, ENV_CREATE, &made->file);
    if (result != 0) {
        result =
            report_error(context->reporter, result, "%s: cannot be created", made->name);
        writer_free(made);
        return result;
    }
    *writer = made;
    return 0;
}

void
table_writer_compress(struct table_writer *writer, enum lsmkv_compression compression)
{
    writer->compression = compression;
}

/* ---- bytes ---- */

static uint64_t
writer_offset(const struct table_writer *writer)
{
    return writer->written + writer->out.size;
}

static int
write_out(struct table_writer *writer)
{
    int result;

    if (writer->out.size == 0)
        return 0;
    result =
        env_file_write(writer->file, writer->written, writer->out.data, writer->out.size);
    if (result != 0)
        return report_error(writer->context->reporter, result,
                            "%s: offset %llu: %zu bytes cannot be written", writer->name,
                            (unsigned long long)writer->written, writer->out.size);
    /* Else the sync at the end would wait for all of it. */
    env_file_writeback(writer->file, writer->written, writer->out.size);
    writer->written += writer->out.size;
    writer->out.size = 0;
    return 0;
}

/* Appends a block with its trailer. */
static int
emit_block(struct table_writer *writer, struct lsmkv_slice contents, enum block_type type,
           struct block_handle *handle)
{
    static const uint8_t room[BLOCK_TRAILER_SIZE];
    uint64_t offset = writer_offset(writer);
    size_t begin = writer->out.size;
    int result = keybuf_append(&writer->out, contents);

    if (result == 0)
        result = keybuf_append(&writer->out, lsmkv_bytes(room, sizeof(room)));
    if (result != 0)
        return result;
    block_seal(writer->out.data + begin, contents.size, type, writer->meta.number,
               offset);
    handle->offset = offset;
    handle->size = (uint32_t)contents.size;
    return writer->out.size < WRITE_BUFFER ? 0 : write_out(writer);
}

/* ---- entries ---- */

/* Appends a data block, packed if that is asked for and worth it. */
static int
emit_data(struct table_writer *writer, struct lsmkv_slice contents,
          struct block_handle *handle)
{
    int packed = 0;

    if (writer->compression == LSMKV_COMPRESSION_LZ4)
        packed = block_pack(contents, &writer->packed);
    if (packed < 0)
        return packed;
    writer->properties.raw_data_bytes += contents.size + BLOCK_TRAILER_SIZE;
    if (packed == 0)
        return emit_block(writer, contents, BLOCK_PLAIN, handle);
    writer->properties.packed = true;
    return emit_block(writer, keybuf_slice(&writer->packed), BLOCK_LZ4, handle);
}

static int
finish_data_block(struct table_writer *writer)
{
    struct block_handle handle;
    int result = block_builder_finish(&writer->data);

    if (result == 0)
        result = emit_data(writer, keybuf_slice(&writer->data.data), &handle);
    block_builder_clear(&writer->data);
    if (result != 0)
        return result;
    writer->properties.data_blocks++;
    result = index_add(&writer->index, keybuf_slice(&writer->separator), handle.size,
                       writer->block_largest);
    writer->block_largest = 0;
    return result;
}

/* Cuts the block if the entry would overfill it, and begins one if there is none. */
static int
make_room(struct table_writer *writer, struct lsmkv_slice internal, size_t payload_size)
{
    size_t size = block_builder_size(&writer->data);
    size_t more = internal.size + payload_size + ENTRY_OVERHEAD;
    int result = 0;

    if (writer->data.entries > 0 && size + more > writer->context->block_size)
        result = finish_data_block(writer);
    if (result == 0 && writer->data.entries == 0)
        result = index_separator(writer->properties.order, keybuf_slice(&writer->last),
                                 internal, &writer->separator);
    return result;
}

static int
add_to_filter(struct table_writer *writer, struct lsmkv_slice key)
{
    struct lsmkv_slice previous = {NULL, 0};
    int result;

    if (writer->last.size > 0) {
        previous = internal_user_key(keybuf_slice(&writer->last));
        if (slice_equal(previous, key))
            return 0; /* another version */
    }
    result = filter_builder_add(&writer->filter, filter_hash(key));
    if (writer->properties.order == LSMKV_ORDER_PATH) {
        size_t at = filter_ancestor_first(previous, key);

        for (; result == 0 && at < key.size; at = filter_ancestor_next(key, at))
            result = filter_builder_add(&writer->filter,
                                        filter_hash(lsmkv_bytes(key.data, at)));
    }
    return result;
}

static void
count_entry(struct table_writer *writer, struct lsmkv_slice internal, size_t payload_size)
{
    struct table_properties *properties = &writer->properties;
    uint64_t sequence = internal_sequence(internal);

    properties->entries++;
    if (!kind_is_put(internal_kind(internal)))
        properties->tombstones++;
    properties->raw_key_bytes += internal.size;
    properties->raw_payload_bytes += payload_size;
    if (sequence < writer->meta.smallest_sequence)
        writer->meta.smallest_sequence = sequence;
    if (sequence > writer->meta.largest_sequence)
        writer->meta.largest_sequence = sequence;
    if (sequence > writer->block_largest)
        writer->block_largest = sequence;
}

static bool
entry_is_allowed(const struct table_writer *writer, struct lsmkv_slice internal,
                 struct lsmkv_slice payload)
{
    if (internal.size < KEY_TRAILER_SIZE ||
        internal.size - KEY_TRAILER_SIZE > LSMKV_KEY_MAX ||
        payload.size > PAYLOAD_SIZE_MAX)
        return false;
    return writer->last.size == 0 ||
           internal_key_compare(writer->properties.order, keybuf_slice(&writer->last),
                                internal) < 0;
}

static int
add_entry(struct table_writer *writer, struct lsmkv_slice internal,
          struct lsmkv_slice payload)
{
    int result = count_blob(writer, internal, payload);

    if (result == 0)
        result = make_room(writer, internal, payload.size);
    if (result == 0)
        result = block_builder_add(&writer->data, internal, payload);
    if (result == 0 && writer->context->filter_bits_per_key > 0)
        result = add_to_filter(writer, internal_user_key(internal));
    if (result == 0 && writer->properties.entries == 0)
        result = keybuf_set(&writer->meta.smallest, internal);
    if (result == 0)
        result = keybuf_set(&writer->last, internal);
    if (result == 0)
        count_entry(writer, internal, payload.size);
    return result;
}

int
table_writer_add(struct table_writer *writer, struct lsmkv_slice internal,
                 struct lsmkv_slice payload)
{
    if (writer->status != 0)
        return writer->status;
    if (entry_is_allowed(writer, internal, payload))
        writer->status = add_entry(writer, internal, payload);
    else
        writer->status =
            report_error(writer->context->reporter, -EINVAL,
                         "%s: entry %llu is out of order or too large", writer->name,
                         (unsigned long long)writer->properties.entries);
    return writer->status;
}

uint64_t
table_writer_size(const struct table_writer *writer)
{
    return writer_offset(writer) + block_builder_size(&writer->data) +
           block_builder_size(&writer->index) + TABLE_FOOTER_SIZE;
}

/* ---- the end ---- */

static int
emit_filter(struct table_writer *writer, struct block_handle *handle)
{
    uint8_t *block;
    size_t size;
    int result;

    handle->offset = writer_offset(writer);
    handle->size = 0;
    if (writer->context->filter_bits_per_key == 0)
        return 0;
    result = filter_builder_finish(&writer->filter, writer->context->filter_bits_per_key,
                                   &block, &size);
    if (result != 0)
        return result;
    result = emit_block(writer, lsmkv_bytes(block, size), BLOCK_PLAIN, handle);
    free(block);
    writer->properties.filter_bytes = size;
    writer->properties.filter_keys = writer->filter.count;
    return result;
}

static int
emit_index(struct table_writer *writer, struct block_handle *handle)
{
    int result = block_builder_finish(&writer->index);

    if (result == 0)
        result =
            emit_block(writer, keybuf_slice(&writer->index.data), BLOCK_PLAIN, handle);
    return result;
}

static int
emit_properties(struct table_writer *writer, struct block_handle *handle)
{
    uint8_t block[TABLE_PROPERTIES_MAX];
    size_t size = table_properties_encode(block, &writer->properties);

    return emit_block(writer, lsmkv_bytes(block, size), BLOCK_PLAIN, handle);
}

static int
emit_footer(struct table_writer *writer, const struct table_footer *footer)
{
    uint8_t bytes[TABLE_FOOTER_SIZE];

    table_footer_encode(bytes, footer, writer_offset(writer));
    return keybuf_append(&writer->out, lsmkv_bytes(bytes, sizeof(bytes)));
}

/* Everything behind the entries. */
static int
emit_rest(struct table_writer *writer)
{
    struct table_footer footer = {.number = writer->meta.number};
    struct table_properties *properties = &writer->properties;
    int result = finish_data_block(writer);

    properties->smallest_sequence = writer->meta.smallest_sequence;
    properties->largest_sequence = writer->meta.largest_sequence;
    properties->data_bytes = writer_offset(writer);
    if (result == 0)
        result = emit_filter(writer, &footer.filter);
    if (result == 0)
        result = emit_index(writer, &footer.index);
    properties->index_bytes = footer.index.size;
    if (result == 0)
        result = emit_properties(writer, &footer.properties);
    if (result == 0)
        result = emit_footer(writer, &footer);
    return result != 0 ? result : write_out(writer);
}

static int
sync_and_close(struct table_writer *writer)
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

/* Fills the caller's and leaves nothing of ours in it to free. */
static void
hand_over_meta(struct table_writer *writer, struct table_meta *meta)
{
    writer->meta.size = writer->written;
    writer->meta.entries = writer->properties.entries;
    writer->meta.tombstones = writer->properties.tombstones;
    writer->meta.largest = writer->last;
    *meta = writer->meta;
    writer->last = (struct keybuf){0};
    writer->meta.smallest = (struct keybuf){0};
    writer->meta.largest = (struct keybuf){0};
    writer->meta.blobs = NULL;
    writer->meta.blob_count = 0;
}

int
table_writer_finish(struct table_writer *writer, struct table_meta *meta)
{
    int result = writer->status;

    if (result == 0 && writer->properties.entries == 0)
        result = -EINVAL;
    if (result == 0)
        result = emit_rest(writer);
    if (result == 0)
        result = sync_and_close(writer);
    if (result != 0) {
        table_writer_abandon(writer);
        return result;
    }
    hand_over_meta(writer, meta);
    writer_free(writer);
    return 0;
}

void
table_writer_abandon(struct table_writer *writer)
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
