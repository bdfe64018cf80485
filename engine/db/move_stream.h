/*
 * move_stream.h - a tree move as sorted entries: a tombstone for each key left, a stamped put
 * for each key filled; a key both left and filled gets only its put.
 *
 * Moving a tree keeps its order, so each tree gives two sorted runs (its keys as they are, and
 * as they will be); the stream merges them.
 */
#ifndef DB_MOVE_STREAM_H
#define DB_MOVE_STREAM_H

#include "db/db.h"

struct move_stream;

/* Reads the trees at `point`, which must stay taken until the stream is closed. */
int LSMKV_CHECKED move_stream_open(struct lsmkv *db, const struct read_point *point,
                                   const struct lsmkv_move *moves, size_t count,
                                   struct move_stream **stream);
void move_stream_close(struct move_stream *stream);

struct move_entry {
    struct lsmkv_slice key; /* holds until the next call */
    uint8_t kind; /* KIND_DELETE or KIND_PUT_STAMPED, maybe with KIND_BLOB_BIT */
    struct lsmkv_record record; /* of a put, as record_decode has it; likewise */
};

/* 1 and the next entry in key order, 0 at the end, or an error; -E2BIG: a new key would be
 * too long. */
int LSMKV_CHECKED move_stream_next(struct move_stream *stream, struct move_entry *entry);

/* Reads a value that stands apart into the entry; it holds as the rest does. */
int LSMKV_CHECKED move_stream_load(struct move_stream *stream, struct move_entry *entry);

/* The rest of the stream as an iterator that only goes forward from its first entry, giving
 * the entries sequences from *sequence on, which it advances.  Borrows the stream. */
int LSMKV_CHECKED move_stream_iterate(struct move_stream *stream, uint64_t *sequence,
                                      struct iterator **it);

#endif
