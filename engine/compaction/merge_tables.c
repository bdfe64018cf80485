/*
 * merge_tables.c - runs a compaction: reads the inputs as one sorted stream, writes what
 * is kept at the output level, and says so in an edit.
 *
 * The inputs are read past the cache: what is read once and then deleted must not push
 * out what readers use.
 *
 * G1  No entry that is written has a sequence outside what MANIFEST says of the inputs.
 *     A table that holds one was made on purpose; a line that named it would make a store
 *     that does not open again of one that does.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compaction/build.h"
#include "iter/merge.h"

/* One iterator over inputs[which]. */
static int
open_inputs(const struct compaction *compaction, int which, struct iterator **children,
            size_t *count)
{
    struct table_file *const *files = compaction->inputs[which];
    const size_t file_count = compaction->input_counts[which];
    int result = 0;

    if (file_count == 0)
        return 0;
    if (which == 1 || compaction->level > 0) {
        result = level_iterate(files, file_count, compaction->order, TABLE_PASSING,
                               lsmkv_bytes(NULL, 0), &children[*count]);
        *count += result == 0;
        return result;
    }
    for (size_t i = 0; result == 0 && i < file_count; i++) {
        struct table *table;

        result = table_file_table(files[i], &table);
        if (result == 0)
            result = table_iterate(table, TABLE_PASSING, &children[*count]);
        *count += result == 0;
    }
    return result;
}

static int
merge_open(const struct compaction *compaction, struct iterator **merge)
{
    struct iterator **children =
        calloc(compaction->input_counts[0] + 1, sizeof(struct iterator *));
    size_t count = 0;
    int result = 0;

    if (children == NULL)
        return -ENOMEM;
    for (int which = 0; result == 0 && which < 2; which++)
        result = open_inputs(compaction, which, children, &count);
    if (result == 0)
        result = merge_new(compaction->order, children, count, merge);
    else
        while (count > 0)
            iterator_free(children[--count]);
    free(children);
    return result;
}

static int
remove_inputs(const struct compaction *compaction, struct manifest_edit *edit)
{
    const int levels[2] = {compaction->level, compaction->output_level};
    int result = 0;

    for (int which = 0; which < 2; which++) {
        for (size_t i = 0; result == 0 && i < compaction->input_counts[which]; i++)
            result = manifest_edit_remove(edit, compaction->keyspace, levels[which],
                                          compaction->inputs[which][i]->meta.number);
    }
    return result;
}

/* The same files at another level. */
static int
move_inputs(const struct compaction *compaction, struct manifest_edit *edit)
{
    const size_t added_count = edit->added_count;
    int result = 0;

    for (size_t i = 0; result == 0 && i < compaction->input_counts[0]; i++) {
        struct table_meta meta = {0};

        result = table_meta_copy(&meta, &compaction->inputs[0][i]->meta);
        if (result == 0)
            result = manifest_edit_add(edit, compaction->keyspace,
                                       compaction->output_level, &meta);
        table_meta_fini(&meta);
    }
    while (result < 0 && edit->added_count > added_count)
        table_meta_fini(&edit->added[--edit->added_count].meta);
    return result;
}

/* G1, of the tables added since there were `added_count`. */
static int
check_outputs(const struct build_context *context, const struct compaction *compaction,
              const struct manifest_edit *edit, size_t added_count)
{
    const size_t merged = compaction->input_counts[0] + compaction->input_counts[1];
    uint64_t smallest = UINT64_MAX, largest = 0;
    char name[TABLE_NAME_SIZE];

    for (int which = 0; which < 2; which++) {
        for (size_t i = 0; i < compaction->input_counts[which]; i++) {
            const struct table_meta *meta = &compaction->inputs[which][i]->meta;

            if (meta->smallest_sequence < smallest)
                smallest = meta->smallest_sequence;
            if (meta->largest_sequence > largest)
                largest = meta->largest_sequence;
        }
    }
    for (size_t i = added_count; i < edit->added_count; i++) {
        const struct table_meta *meta = &edit->added[i].meta;

        if (meta->smallest_sequence >= smallest && meta->largest_sequence <= largest)
            continue;
        table_name(name, compaction->inputs[0][0]->meta.number);
        return report_error(context->tables->reporter, -EUCLEAN,
                            "%s: offset 0: it, or one of %zu tables merged with it, "
                            "holds sequences that MANIFEST does not tell of",
                            name, merged - 1);
    }
    return 0;
}

static int
merge_inputs(const struct build_context *context, const struct compaction *compaction,
             struct manifest_edit *edit)
{
    const size_t added_count = edit->added_count, made_count = edit->made_blob_count;
    struct outside outside;
    struct iterator *merge;
    int result = outside_init(&outside, compaction);

    if (result < 0)
        return result;
    result = merge_open(compaction, &merge);
    if (result == 0) {
        result = build_tables(context, &outside, merge, compaction->output_level, edit);
        iterator_free(merge);
    }
    if (result == 0) {
        result = check_outputs(context, compaction, edit, added_count);
        if (result < 0)
            build_undo(context, edit, added_count, made_count);
    }
    outside_fini(&outside);
    return result;
}

static void
count_read(const struct build_context *context, const struct compaction *compaction)
{
    if (context->bytes_read == NULL)
        return;
    for (int which = 0; which < 2; which++) {
        for (size_t i = 0; i < compaction->input_counts[which]; i++)
            atomic_fetch_add_explicit(context->bytes_read,
                                      compaction->inputs[which][i]->meta.size,
                                      memory_order_relaxed);
    }
}

int
compaction_run(const struct build_context *context, const struct compaction *compaction,
               struct manifest_edit *edit)
{
    const size_t added_count = edit->added_count, removed_count = edit->removed_count;
    const size_t made_count = edit->made_blob_count;
    int result;

    if (compaction->trivial) {
        result = move_inputs(compaction, edit);
    } else {
        result = merge_inputs(context, compaction, edit);
        count_read(context, compaction);
    }
    if (result < 0)
        return result;
    result = remove_inputs(compaction, edit);
    if (result < 0) {
        edit->removed_count = removed_count;
        if (!compaction->trivial)
            build_undo(context, edit, added_count, made_count);
    }
    return result;
}
