/*
 * verify.c - reading a whole table with suspicion: what a table promises its readers,
 * held against every entry.
 *
 * Blocks are read from the file, not from the cache.  A bad block is reported and left
 * out; the rest goes on, so that one run names all that is damaged.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/record.h"
#include "table/blob.h"
#include "table/pack.h"
#include "table/reader.h"

struct verifier {
    struct table *table;
    struct keybuf unpacked; /* of the block at hand, if it is packed */
    int first_error;
    bool whole;                   /* no block was left out: counts can be compared */
    struct keybuf last;           /* internal key of the entry before */
    struct table_properties seen; /* counted again */
};

/* Reports a finding about the block at `offset`. */
static void
finding(struct verifier *v, uint64_t offset, const char *what)
{
    int result = report_error(v->table->context->reporter, -EUCLEAN,
                              "%s: offset %" PRIu64 ": %s", v->table->name, offset, what);

    if (v->first_error == 0)
        v->first_error = result;
}

/* An error that was reported already, or that is none of the table's. */
static void
failed(struct verifier *v, int result)
{
    if (v->first_error == 0)
        v->first_error = result;
    v->whole = false;
}

/* ---- entries ---- */

static void
verify_filter(struct verifier *v, struct lsmkv_slice key, uint64_t offset)
{
    const struct filter *filter = &v->table->filter;
    struct lsmkv_slice previous = {NULL, 0};
    bool there;

    if (filter->lines == NULL)
        return;
    if (v->last.size > 0) {
        previous = internal_user_key(keybuf_slice(&v->last));
        if (slice_equal(previous, key))
            return;
    }
    there = filter_may_contain(filter, filter_hash(key));
    v->seen.filter_keys++;
    if (v->table->properties.order == LSMKV_ORDER_PATH) {
        size_t at = filter_ancestor_first(previous, key);

        for (; at < key.size; at = filter_ancestor_next(key, at)) {
            struct lsmkv_slice ancestor = lsmkv_bytes(key.data, at);

            there = filter_may_contain(filter, filter_hash(ancestor)) && there;
            v->seen.filter_keys++;
        }
    }
    if (!there)
        finding(v, offset, "the filter does not know a key of this block");
}

static void
count(struct table_properties *seen, struct lsmkv_slice key, struct lsmkv_slice payload)
{
    uint64_t sequence = internal_sequence(key);

    seen->entries++;
    if (!kind_is_put(internal_kind(key)))
        seen->tombstones++;
    if (kind_is_apart(internal_kind(key))) {
        struct lsmkv_record record;
        struct blob_ref ref;

        seen->has_blobs = true;
        if (record_decode(internal_kind(key), sequence, payload, &record) == 0 &&
            blob_ref_decode(record.value, &ref) == 0) {
            seen->has_pages = seen->has_pages || ref.pages > 0;
            seen->has_packed = seen->has_packed || ref.packed > 0;
        }
    }
    seen->raw_key_bytes += key.size;
    seen->raw_payload_bytes += payload.size;
    if (sequence < seen->smallest_sequence)
        seen->smallest_sequence = sequence;
    if (sequence > seen->largest_sequence)
        seen->largest_sequence = sequence;
}

static void
verify_record(struct verifier *v, const struct block_iter *it, uint64_t offset)
{
    uint8_t kind = internal_kind(it->entry.key);
    struct lsmkv_record record;

    if (!kind_is_known(kind))
        finding(v, offset, "an entry's kind is unknown to this version");
    else if (record_decode(kind, internal_sequence(it->entry.key), it->entry.payload,
                           &record) != 0)
        finding(v, offset, "an entry's payload is malformed");
}

static void
verify_entry(struct verifier *v, const struct block_iter *it, uint64_t offset)
{
    int result;

    if (v->last.size > 0 &&
        internal_key_compare(it->order, keybuf_slice(&v->last), it->entry.key) >= 0)
        finding(v, offset, "entries are out of order");
    verify_record(v, it, offset);
    verify_filter(v, internal_user_key(it->entry.key), offset);
    count(&v->seen, it->entry.key, it->entry.payload);
    result = keybuf_set(&v->last, it->entry.key);
    if (result != 0)
        failed(v, result);
}

/* ---- blocks ---- */

/* X1 of index.h for block `i`, whose first entry is under the cursor. */
static void
verify_separator(struct verifier *v, size_t i, const struct block_iter *it)
{
    const struct index_entry *entry = &v->table->index.entries[i];
    struct keybuf separator = {0};
    int result = keybuf_set_internal(&separator, index_entry_separator(entry),
                                     entry->trailer >> 8, (uint8_t)entry->trailer);

    if (result != 0)
        failed(v, result);
    else if (internal_key_compare(it->order, it->entry.key, keybuf_slice(&separator)) < 0)
        finding(v, entry->offset, "the block begins before its separator in the index");
    else if (v->last.size > 0 && internal_key_compare(it->order, keybuf_slice(&v->last),
                                                      keybuf_slice(&separator)) >= 0)
        finding(v, entry->offset, "the block before reaches past this one's separator");
    keybuf_fini(&separator);
}

static void
verify_entries(struct verifier *v, size_t i, struct lsmkv_slice contents)
{
    const struct index_entry *entry = &v->table->index.entries[i];
    struct block_iter it = {0};
    uint64_t largest = 0;
    int result = block_iter_set(&it, v->table->properties.order, contents);

    if (result != 0) {
        failed(v, table_block_failed(v->table, i, result));
        return;
    }
    block_iter_first(&it);
    if (it.valid)
        verify_separator(v, i, &it);
    for (; it.valid; block_iter_next(&it)) {
        if (internal_sequence(it.entry.key) > largest)
            largest = internal_sequence(it.entry.key);
        verify_entry(v, &it, entry->offset);
    }
    if (it.status != 0)
        failed(v, table_block_failed(v->table, i, it.status));
    else if (largest != entry->largest_sequence)
        finding(v, entry->offset, "the index gives this block another largest sequence");
    block_iter_fini(&it);
}

/* Reads a block again from the file, with table_read_data or table_read_block.  NULL: it is bad. */
static uint8_t *
read_again(struct verifier *v, struct block_handle handle,
           int (*read)(const struct table *, struct block_handle, uint8_t *))
{
    uint8_t *buffer = malloc((size_t)handle.size + BLOCK_TRAILER_SIZE);
    int result = buffer == NULL ? -ENOMEM : read(v->table, handle, buffer);

    if (result == 0)
        return buffer;
    failed(v, result);
    free(buffer);
    return NULL;
}

static void
verify_data(struct verifier *v, size_t i, const uint8_t *block)
{
    struct block_handle handle = table_data_handle(v->table, i);
    struct lsmkv_slice contents = lsmkv_bytes(block, handle.size);
    const char *problem;
    int result = 0;

    if (block[handle.size] != BLOCK_PLAIN) {
        v->seen.packed = true;
        result = block_unpack_into(block, handle.size, &v->unpacked, &problem);
        contents = keybuf_slice(&v->unpacked);
    }
    if (result == -EUCLEAN)
        result = table_block_bad(v->table, result, handle, problem);
    v->seen.raw_data_bytes += contents.size + BLOCK_TRAILER_SIZE;
    if (result == 0)
        verify_entries(v, i, contents);
    else
        failed(v, result);
}

static void
verify_data_blocks(struct verifier *v)
{
    for (size_t i = 0; i < v->table->index.count; i++) {
        uint8_t *block = read_again(v, table_data_handle(v->table, i), table_read_data);

        if (block != NULL)
            verify_data(v, i, block);
        free(block);
    }
}

/* What was read at open stays in memory; on the disk it may have gone bad since. */
static void
verify_rest(struct verifier *v)
{
    const struct table_footer *footer = &v->table->footer;

    if (footer->filter.size > 0)
        free(read_again(v, footer->filter, table_read_block));
    free(read_again(v, footer->index, table_read_block));
    free(read_again(v, footer->properties, table_read_block));
}

static void
verify_counts(struct verifier *v)
{
    const struct table_properties *said = &v->table->properties;
    const struct table_properties *seen = &v->seen;
    uint64_t offset = v->table->footer.properties.offset;

    if (said->entries != seen->entries || said->tombstones != seen->tombstones)
        finding(v, offset, "the properties give another number of entries");
    if (said->raw_key_bytes != seen->raw_key_bytes ||
        said->raw_payload_bytes != seen->raw_payload_bytes)
        finding(v, offset, "the properties give other sizes of keys and payloads");
    if (said->smallest_sequence != seen->smallest_sequence ||
        said->largest_sequence != seen->largest_sequence)
        finding(v, offset, "the properties give other sequences");
    if (said->has_blobs != seen->has_blobs || said->has_pages != seen->has_pages ||
        said->has_packed != seen->has_packed)
        finding(v, offset, "the properties do not tell right of blob files");
    if (said->packed != seen->packed || said->raw_data_bytes != seen->raw_data_bytes)
        finding(v, offset, "the properties do not tell right of compressed blocks");
    if (said->filter_keys != seen->filter_keys)
        finding(v, offset, "the properties give another number of keys in the filter");
}

int
table_verify(struct table *table)
{
    struct verifier v = {
        .table = table,
        .whole = true,
        .seen = {.smallest_sequence = UINT64_MAX},
    };

    verify_data_blocks(&v);
    verify_rest(&v);
    if (v.whole)
        verify_counts(&v);
    keybuf_fini(&v.last);
    keybuf_fini(&v.unpacked);
    return v.first_error;
}

/* ---- the manifest against the table ---- */

/* 1 if they do; -ENOMEM. */
static int
ends_agree(struct table *table, const struct table_meta *meta)
{
    struct iterator *it;
    int result = table_iterate(table, TABLE_PASSING, &it);
    bool agree;

    if (result != 0)
        return result;
    iterator_first(it);
    agree = it->valid && slice_equal(it->entry->key, keybuf_slice(&meta->smallest));
    result = it->status;
    iterator_last(it);
    agree =
        agree && it->valid && slice_equal(it->entry->key, keybuf_slice(&meta->largest));
    if (result != -ENOMEM)
        result = it->status;
    iterator_free(it);
    return result == -ENOMEM ? result : agree;
}

static int
count_blobs(struct iterator *it, struct table_meta *seen)
{
    int result = 0;

    for (iterator_first(it); it->valid && result == 0; iterator_next(it)) {
        uint8_t kind = internal_kind(it->entry->key);
        struct lsmkv_record record;
        struct blob_ref ref;

        if (!kind_is_apart(kind))
            continue;
        result = record_decode(kind, internal_sequence(it->entry->key),
                               it->entry->payload, &record);
        if (result == 0)
            result = blob_ref_decode(record.value, &ref);
        if (result == 0)
            result = table_meta_add_blob(seen, ref.file,
                                         blob_record_size(it->entry->key, &ref));
    }
    return result == 0 ? it->status : result;
}

/* As ends_agree, of what is referred to. */
static int
blobs_agree(struct table *table, const struct table_meta *meta)
{
    struct table_meta seen = {0};
    struct iterator *it;
    int result;
    bool agree;

    if (!table->properties.has_blobs)
        return meta->blob_count == 0;
    result = table_iterate(table, TABLE_PASSING, &it);
    if (result != 0)
        return result;
    result = count_blobs(it, &seen);
    agree = result == 0 && seen.blob_count == meta->blob_count;
    for (size_t i = 0; agree && i < seen.blob_count; i++)
        agree = seen.blobs[i].number == meta->blobs[i].number &&
                seen.blobs[i].bytes == meta->blobs[i].bytes;
    iterator_free(it);
    table_meta_fini(&seen);
    return result == -ENOMEM ? result : agree;
}

int
table_verify_meta(struct table *table, const struct table_meta *meta)
{
    const struct table_properties *properties = &table->properties;
    int agree = properties->entries == meta->entries &&
                properties->tombstones == meta->tombstones &&
                properties->smallest_sequence == meta->smallest_sequence &&
                properties->largest_sequence == meta->largest_sequence;

    if (agree)
        agree = ends_agree(table, meta);
    if (agree > 0)
        agree = blobs_agree(table, meta);
    if (agree != 0)
        return agree > 0 ? 0 : agree;
    return report_error(table->context->reporter, -EUCLEAN,
                        "MANIFEST: table %" PRIu64
                        " holds other entries than the manifest says",
                        meta->number);
}
