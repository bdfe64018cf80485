/* straight.c - see straight.h. */
#include "db/straight.h"

#include <stdlib.h>

#include "base/record.h"

int
straight_begin(struct lsmkv *db)
{
    int result = generation_is_empty(db->active) ? 0 : rotate(db);

    return result == 0 ? flush_wait(db, wal_number(db->wal) - 1) : result; /* N1 */
}

int
straight_build(struct lsmkv *db, const struct lsmkv_keyspace *keyspace,
               struct iterator *it, struct manifest_edit *edit)
{
    uint64_t newest = SEQUENCE_MAX; /* all are new: of a key's versions the last stays */
    struct build_context context = build_context_of(db, keyspace, &newest, 1);

    context.table_size = db->options.write_buffer_size;
    context.may_write = compaction_may_write; /* N3 */
    context.bytes_read = &db->counters.flush_bytes_read;
    context.bytes_written = &db->counters.flush_bytes_written;
    return build_flush(&context, it, edit);
}

/* ---- a source as an iterator ---- */

struct straight_iterator {
    struct iterator base; /* first member */
    struct iterator_entry entry;
    struct straight_source *source;
    uint64_t *sequence;
    struct keybuf key, payload;
};

static int
show(struct straight_iterator *straight, const struct straight_entry *entry)
{
    size_t size = 0;
    int result = keybuf_set_internal(&straight->key, entry->key, (*straight->sequence)++,
                                     entry->kind);

    if (result == 0 && entry->kind != KIND_DELETE) {
        size = record_payload_size(entry->kind, &entry->record);
        result = keybuf_reserve(&straight->payload, size);
        if (result == 0)
            record_encode(straight->payload.data, entry->kind, &entry->record);
    }
    if (result != 0)
        return result;
    straight->entry.key = keybuf_slice(&straight->key);
    straight->entry.payload = lsmkv_bytes(straight->payload.data, size);
    return 0;
}

static void
straight_next(struct iterator *it)
{
    struct straight_iterator *straight = (struct straight_iterator *)it;
    struct straight_entry entry;
    int result = straight->source->next(straight->source, &entry);
    bool any = result == 1;

    if (any)
        result = show(straight, &entry);
    it->valid = any && result == 0;
    if (result < 0)
        it->status = result;
}

/* Embedded in straight_put. */
static void
straight_free(struct iterator *it)
{
    struct straight_iterator *straight = (struct straight_iterator *)it;

    keybuf_fini(&straight->key);
    keybuf_fini(&straight->payload);
}

/* first() is next(): the source stands before its first entry.  The other operations are
 * not given: a merge into tables asks for no more. */
static const struct iterator_ops straight_ops = {
    .first = straight_next,
    .next = straight_next,
    .free = straight_free,
};

int
straight_put(struct lsmkv *db, const struct lsmkv_keyspace *keyspace,
             struct straight_source *source, struct manifest_edit *edit)
{
    struct straight_iterator straight = {
        .base.ops = &straight_ops, .source = source, .sequence = &db->next_sequence};
    int result;

    straight.base.entry = &straight.entry;
    result = straight_build(db, keyspace, &straight.base, edit);
    iterator_free(&straight.base);
    return result;
}

/* ---- the end ---- */

int
straight_end(struct lsmkv *db, struct manifest_edit *edit, int result)
{
    if (result != 0)
        files_discard_added(db, edit);
    else if (edit->added_count > 0)
        result = install(db, edit, NULL, db->next_sequence - 1);
    manifest_edit_fini(edit);
    return result;
}
