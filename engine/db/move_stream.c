#include "db/move_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "iter/cursor.h"
#include "table/blob.h"

/* One sorted run: a tree's keys as they are, or as they will be. */
struct run {
    struct cursor cursor;
    struct lsmkv_slice from, to;
    bool arriving;
    bool open;
    struct keybuf key; /* of an arriving run: the current entry's new key */
};

struct move_stream {
    struct straight_source source; /* first member */
    struct lsmkv *db;
    enum lsmkv_order order;
    size_t count;
    struct keybuf value; /* of an entry that was loaded */
    struct run
        *shown; /* whose entry was given out last, to be advanced by the next call */
    struct run runs[];
};

/* The new key of the current entry. */
static int
map_key(struct run *run)
{
    struct lsmkv_slice old = cursor_key(&run->cursor);
    const uint8_t *bytes = old.data;
    size_t suffix = old.size - run->from.size;
    int result;

    if (suffix > LSMKV_KEY_MAX - run->to.size)
        return error_detail(-E2BIG, "a moved key would be longer than %u bytes",
                            LSMKV_KEY_MAX);
    result = keybuf_set(&run->key, run->to);
    if (result == 0)
        result = keybuf_append(&run->key, lsmkv_bytes(bytes + run->from.size, suffix));
    return result;
}

static int
settle_run(struct run *run)
{
    if (!cursor_valid(&run->cursor))
        return cursor_status(&run->cursor);
    return run->arriving ? map_key(run) : 0;
}

static int
open_run(struct move_stream *stream, const struct read_point *point,
         const struct lsmkv_move *move, bool arriving, struct run *run)
{
    struct keybuf end = {0};
    struct iterator *it;
    int result;

    run->from = move->from;
    run->to = move->to;
    run->arriving = arriving;
    /* The tree is [from, from NUL): the key itself and all below it (K1). */
    result = keybuf_set(&end, move->from);
    if (result == 0)
        result = keybuf_append(&end, lsmkv_bytes("", 1));
    if (result == 0)
        result = view_iterate(point->view, stream->order, TABLE_KEEPING,
                              lsmkv_bytes(NULL, 0), &it);
    if (result == 0)
        result = cursor_init(&run->cursor, it, stream->order, point->sequence, move->from,
                             keybuf_slice(&end), point->keyspace->dead_ranges);
    keybuf_fini(&end);
    if (result != 0)
        return result;
    run->open = true;
    cursor_first(&run->cursor);
    return settle_run(run);
}

static int
source_next(struct straight_source *source, struct straight_entry *entry)
{
    return move_stream_next((struct move_stream *)source, entry);
}

int
move_stream_open(struct lsmkv *db, const struct read_point *point,
                 const struct lsmkv_move *moves, size_t count, struct move_stream **out)
{
    struct move_stream *stream =
        calloc(1, sizeof(*stream) + 2 * count * sizeof(struct run));
    int result = 0;

    if (stream == NULL)
        return -ENOMEM;
    stream->source.next = source_next;
    stream->db = db;
    stream->order = point->keyspace->order;
    stream->count = 2 * count;
    for (size_t i = 0; i < stream->count && result == 0; i++)
        result = open_run(stream, point, &moves[i / 2], i % 2 == 1, &stream->runs[i]);
    if (result == 0)
        *out = stream;
    else
        move_stream_close(stream);
    return result;
}

void
move_stream_close(struct move_stream *stream)
{
    if (stream == NULL)
        return;
    for (size_t i = 0; i < stream->count; i++) {
        if (stream->runs[i].open)
            cursor_fini(&stream->runs[i].cursor);
        keybuf_fini(&stream->runs[i].key);
    }
    keybuf_fini(&stream->value);
    free(stream);
}

static struct lsmkv_slice
run_key(const struct run *run)
{
    return run->arriving ? keybuf_slice(&run->key) : cursor_key(&run->cursor);
}

static int
advance(struct run *run)
{
    cursor_next(&run->cursor);
    return settle_run(run);
}

/* Past the entry given out last, and past a tombstone for the same key. */
static int
advance_shown(struct move_stream *stream)
{
    struct lsmkv_slice shown = run_key(stream->shown);
    int result = 0;

    for (size_t i = 0; i < stream->count && result == 0; i++) {
        struct run *run = &stream->runs[i];

        if (run != stream->shown && cursor_valid(&run->cursor) &&
            slice_equal(run_key(run), shown))
            result = advance(run);
    }
    return result == 0 ? advance(stream->shown) : result;
}

/* The run with the smallest key; of two with the same key the one that arrives. */
static struct run *
smallest(struct move_stream *stream)
{
    struct run *best = NULL;

    for (size_t i = 0; i < stream->count; i++) {
        struct run *run = &stream->runs[i];
        int order;

        if (!cursor_valid(&run->cursor))
            continue;
        order =
            best == NULL ? -1 : key_compare(stream->order, run_key(run), run_key(best));
        if (order < 0 || (order == 0 && run->arriving))
            best = run;
    }
    return best;
}

int
move_stream_next(struct move_stream *stream, struct straight_entry *entry)
{
    int result = stream->shown != NULL ? advance_shown(stream) : 0;

    if (result != 0)
        return result;
    stream->shown = smallest(stream);
    if (stream->shown == NULL)
        return 0;
    entry->key = run_key(stream->shown);
    entry->kind = stream->shown->arriving ? KIND_PUT_STAMPED : KIND_DELETE;
    if (stream->shown->arriving && cursor_is_apart(&stream->shown->cursor))
        entry->kind |= KIND_BLOB_BIT;
    entry->record = *cursor_record(&stream->shown->cursor);
    return 1;
}

int
move_stream_load(struct move_stream *stream, struct straight_entry *entry)
{
    struct blob_ref ref;
    int result;

    if (!kind_is_apart(entry->kind))
        return 0;
    result = blob_ref_decode(entry->record.value, &ref);
    if (result == 0)
        result = keybuf_reserve(&stream->value, ref.length);
    if (result == 0)
        result = blob_read(stream->db->blobs, &ref, stream->value.data);
    if (result != 0)
        return result;
    entry->kind = KIND_PUT_STAMPED;
    entry->record.value = lsmkv_bytes(stream->value.data, ref.length);
    return 0;
}

struct straight_source *
move_stream_source(struct move_stream *stream)
{
    return &stream->source;
}
