/*
 * build.c - sorted entries become tables.
 *
 * Every table is synced when it is finished, their names once, at the end (invariant 3): only
 * then may a manifest line name them.  Whatever fails, all of this build's files are deleted
 * again: they are in no version yet, so this is not a deletion by reference count but the end
 * of a file that never became part of the store.
 *
 * Values that are large enough go to blob files on the way (build_values.c), which are synced
 * before the last table is (invariant 14).
 */
#include "compaction/build.h"

#include <errno.h>
#include <string.h>

#include "compaction/build_values.h"

#define PACE_BYTES (64u << 10)

struct build {
    struct retain_sink sink; /* first member */
    const struct build_context *context;
    int level;
    struct manifest_edit *edit;
    struct table_writer *writer; /* NULL between two tables */
    const struct level *below;   /* the level under the outputs, or NULL */
    size_t below_at;             /* its first table that does not end before the key */
    uint64_t lapped;             /* bytes of those that did since the writer was opened */
    uint64_t unpaced;            /* bytes of entries since context->pace was told */
    struct build_values values;
};

static int
finish_table(struct build *build)
{
    const struct build_context *context = build->context;
    struct table_writer *writer = build->writer;
    struct table_meta meta = {0};
    uint64_t number;
    int result;

    if (writer == NULL)
        return 0;
    build->writer = NULL;
    result = table_writer_finish(writer, &meta);
    if (result < 0)
        return result;
    number = meta.number;
    if (context->bytes_written != NULL)
        atomic_fetch_add_explicit(context->bytes_written, meta.size,
                                  memory_order_relaxed);
    result = manifest_edit_add(build->edit, context->keyspace, build->level, &meta);
    if (result < 0) {
        char name[TABLE_NAME_SIZE];
        int unlinked;

        table_name(name, number);
        unlinked = env_dir_unlink(context->tables->dir, name);
        (void)unlinked; /* the sweep at opening finds it */
        table_meta_fini(&meta);
    }
    return result;
}

/* C5: whether so much lies under the output that it is to be cut before `key`. */
static bool
laps_enough(struct build *build, struct lsmkv_slice key)
{
    const struct build_context *context = build->context;

    while (build->below != NULL && build->below_at < build->below->count) {
        const struct table_meta *meta = &build->below->files[build->below_at]->meta;

        if (key_compare(context->order, key,
                        internal_user_key(keybuf_slice(&meta->largest))) <= 0)
            break;
        build->lapped += meta->size;
        build->below_at++;
    }
    return build->lapped > COMPACTION_LAPPED_TABLES * context->table_size;
}

/* The next output, if there is room for it. */
static int
open_table(struct build *build)
{
    const struct build_context *context = build->context;
    int result = context->may_write == NULL
                     ? 0
                     : context->may_write(context->store, context->table_size);

    if (result < 0)
        return result;
    build->lapped = 0;
    result = table_writer_open(context->tables, context->next_number(context->store),
                               context->keyspace, context->order, &build->writer);
    if (result == 0)
        table_writer_compress(build->writer, context->compression);
    return result;
}

static void
pace(struct build *build, size_t bytes)
{
    const struct build_context *context = build->context;

    build->unpaced += bytes;
    if (context->pace == NULL || build->unpaced < PACE_BYTES)
        return;
    context->pace(context->store, build->unpaced);
    build->unpaced = 0;
}

/* A table is cut only before the first entry of a user key (C3). */
static int
build_keep(struct retain_sink *sink, struct lsmkv_slice internal,
           struct lsmkv_slice payload, bool first)
{
    struct build *build = (struct build *)sink;
    const struct build_context *context = build->context;
    bool lapped = first && laps_enough(build, internal_user_key(internal));
    int result = 0;

    pace(build, internal.size + payload.size);
    if (first && build->writer != NULL &&
        (lapped || table_writer_size(build->writer) >= context->table_size))
        result = finish_table(build);
    if (result == 0 && build->writer == NULL)
        result = open_table(build);
    if (result == 0)
        result = build_place(&build->values, &internal, &payload);
    if (result < 0)
        return result;
    result = table_writer_add(build->writer, internal, payload);
    if (result == -EINVAL)
        return report_error(context->tables->reporter, -EUCLEAN,
                            "keyspace %u: the entries to be merged are out of order",
                            context->keyspace);
    return result;
}

static bool
is_cancelled(const struct build_context *context)
{
    return context->cancel != NULL &&
           atomic_load_explicit(context->cancel, memory_order_relaxed);
}

static int
feed(const struct build_context *context, struct retain *retain, struct iterator *it)
{
    int result = 0;

    for (iterator_first(it); result == 0 && it->valid;) {
        if (is_cancelled(context))
            return -ECANCELED;
        result = retain_offer(retain, it->entry->key, it->entry->payload);
        if (result == 0)
            iterator_next(it);
    }
    if (result == 0)
        result = it->status;
    return result < 0 ? result : retain_end(retain);
}

static void
delete_output(const struct build_context *context, const char *name)
{
    int result = env_dir_unlink(context->tables->dir, name);

    if (result < 0) /* the sweep at opening finds it */
        report_warning(context->tables->reporter, "%s: cannot delete it: %s", name,
                       strerror(-result));
}

void
build_undo(const struct build_context *context, struct manifest_edit *edit,
           size_t added_count, size_t made_count)
{
    while (edit->made_blob_count > made_count) {
        char name[TABLE_NAME_SIZE];

        blob_name(name, edit->made_blobs[--edit->made_blob_count].number);
        delete_output(context, name);
    }
    while (edit->added_count > added_count) {
        struct table_meta *meta = &edit->added[--edit->added_count].meta;
        char name[TABLE_NAME_SIZE];

        table_name(name, meta->number);
        delete_output(context, name);
        table_meta_fini(meta);
    }
}

int
build_tables(const struct build_context *context, const struct outside *outside,
             struct iterator *it, int level, struct manifest_edit *edit)
{
    struct build build = {
        .sink = {build_keep},
        .context = context,
        .level = level,
        .edit = edit,
        .values = {.context = context, .edit = edit},
    };
    const size_t added_count = edit->added_count, made_count = edit->made_blob_count;
    struct retain retain;
    int result;

    if (outside != NULL && level + 1 < LEVEL_COUNT)
        build.below = &outside->levels[level + 1];
    retain_init(&retain, context->order, context->snapshots, context->snapshot_count,
                outside, &build.sink);
    result = feed(context, &retain, it);
    if (result == 0)
        result = build_values_finish(&build.values);
    if (result == 0)
        result = finish_table(&build);
    if (result == 0)
        result = build_values_measure(&build.values, added_count, made_count);
    if (result == 0 && edit->added_count > added_count)
        result = env_dir_sync(context->tables->dir);
    if (result < 0) {
        table_writer_abandon(build.writer);
        build_undo(context, edit, added_count, made_count);
    }
    build_values_fini(&build.values);
    retain_fini(&retain);
    return result;
}

int
build_flush(const struct build_context *context, struct iterator *it,
            struct manifest_edit *edit)
{
    return build_tables(context, NULL, it, 0, edit);
}
