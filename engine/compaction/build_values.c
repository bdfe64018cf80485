/* build_values.c - see build_values.h. */
#include "compaction/build_values.h"

#include <errno.h>

static int
finish_file(struct build_values *values)
{
    const struct build_context *context = values->context;
    struct blob_writer *writer = values->writer;
    struct table_blob made = {.number = blob_writer_number(writer),
                              .size = blob_writer_size(writer)};
    int result;

    values->writer = NULL;
    result = blob_writer_finish(writer);
    if (result < 0)
        return result;
    if (context->bytes_written != NULL)
        atomic_fetch_add_explicit(context->bytes_written, made.size,
                                  memory_order_relaxed);
    if (context->blob_bytes_written != NULL)
        atomic_fetch_add_explicit(context->blob_bytes_written, made.size,
                                  memory_order_relaxed);
    result = manifest_edit_make_blob(values->edit, &made);
    if (result < 0) {
        char name[TABLE_NAME_SIZE];
        int unlinked;

        blob_name(name, made.number);
        unlinked = env_dir_unlink(context->tables->dir, name);
        (void)unlinked; /* the sweep at opening finds it */
    }
    return result;
}

static int
open_file(struct build_values *values)
{
    const struct build_context *context = values->context;
    int result = context->may_write == NULL
                     ? 0
                     : context->may_write(context->store, context->blob_size);

    if (result < 0)
        return result;
    return blob_writer_open(context->tables, context->next_number(context->store),
                            context->keyspace, context->compression, &values->writer);
}

/* Writes `value` apart and makes the entry refer to it. */
static int
put_apart(struct build_values *values, const struct lsmkv_record *record,
          struct lsmkv_slice value, struct lsmkv_slice *internal,
          struct lsmkv_slice *payload)
{
    const uint8_t kind = internal_kind(*internal) | KIND_BLOB_BIT;
    uint8_t bytes[BLOB_REF_SIZE_MAX];
    struct lsmkv_record moved = *record;
    struct blob_ref ref;
    int result = 0;

    if (values->writer != NULL &&
        blob_writer_size(values->writer) >= values->context->blob_size)
        result = finish_file(values);
    if (result == 0 && values->writer == NULL)
        result = open_file(values);
    if (result == 0)
        result = blob_writer_add(values->writer, *internal, value, &ref);
    if (result < 0)
        return result;
    moved.value = lsmkv_bytes(bytes, blob_ref_encode(bytes, &ref));
    result = keybuf_reserve(&values->payload, record_payload_size(kind, &moved));
    if (result == 0)
        result = keybuf_set_internal(&values->internal, internal_user_key(*internal),
                                     internal_sequence(*internal), kind);
    if (result < 0)
        return result;
    record_encode(values->payload.data, kind, &moved);
    values->payload.size = record_payload_size(kind, &moved);
    *internal = keybuf_slice(&values->internal);
    *payload = keybuf_slice(&values->payload);
    return 0;
}

/* A value that cannot be read stays where it is: what reads it meets the error, and
 * merges go on. */
static int
collect(struct build_values *values, const struct lsmkv_record *record,
        const struct blob_ref *ref, struct lsmkv_slice *internal,
        struct lsmkv_slice *payload)
{
    struct blob_files *blobs = values->context->tables->blobs;
    int result = keybuf_reserve(&values->value, ref->length);

    if (result < 0)
        return result;
    result = blob_read(blobs, ref, values->value.data);
    if (result == -ENOMEM)
        return result;
    if (result < 0) {
        blob_files_pass_over(blobs, ref->file);
        return 0;
    }
    return put_apart(values, record, lsmkv_bytes(values->value.data, ref->length),
                     internal, payload);
}

int
build_place(struct build_values *values, struct lsmkv_slice *internal,
            struct lsmkv_slice *payload)
{
    const struct build_context *context = values->context;
    const uint8_t kind = internal_kind(*internal);
    const bool apart = kind_is_apart(kind);
    struct lsmkv_record record;
    struct blob_ref ref;

    if (apart ? context->victims == NULL || context->victims->count == 0
              : context->blob_threshold == 0 || payload->size < context->blob_threshold ||
                    !kind_is_put(kind))
        return 0;
    /* What does not parse goes on as it is, for whoever reads it to report. */
    if (record_decode(kind, internal_sequence(*internal), *payload, &record) != 0)
        return 0;
    if (!apart)
        return record.value.size >= context->blob_threshold
                   ? put_apart(values, &record, record.value, internal, payload)
                   : 0;
    if (blob_ref_decode(record.value, &ref) != 0 ||
        !blob_victims_have(context->victims, ref.file))
        return 0;
    return collect(values, &record, &ref, internal, payload);
}

int
build_values_finish(struct build_values *values)
{
    return values->writer == NULL ? 0 : finish_file(values);
}

static uint64_t
size_of(const struct build_values *values, uint64_t number, size_t made_count)
{
    const struct manifest_edit *edit = values->edit;

    for (size_t i = made_count; i < edit->made_blob_count; i++)
        if (edit->made_blobs[i].number == number)
            return edit->made_blobs[i].size;
    return blob_files_size(values->context->tables->blobs, number);
}

int
build_values_measure(struct build_values *values, size_t added_count, size_t made_count)
{
    struct manifest_edit *edit = values->edit;
    char name[TABLE_NAME_SIZE];

    for (size_t i = added_count; i < edit->added_count; i++) {
        struct table_meta *meta = &edit->added[i].meta;

        for (size_t k = 0; k < meta->blob_count; k++) {
            meta->blobs[k].size = size_of(values, meta->blobs[k].number, made_count);
            if (meta->blobs[k].size > 0)
                continue;
            blob_name(name, meta->blobs[k].number);
            return report_error(values->context->tables->reporter, -EUCLEAN,
                                "%s: offset 0: an entry refers to it, and it is none "
                                "that MANIFEST tells of",
                                name);
        }
    }
    return 0;
}

void
build_values_fini(struct build_values *values)
{
    blob_writer_abandon(values->writer);
    keybuf_fini(&values->internal);
    keybuf_fini(&values->payload);
    keybuf_fini(&values->value);
}
