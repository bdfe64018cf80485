/*
 * move_stream.h - a tree move as sorted entries: a tombstone for each key left, a stamped
 * put for each key filled; a key both left and filled gets only its put.
 *
 * Moving a tree keeps its order, so each tree gives two sorted runs (its keys as they
 * are, and as they will be); the stream merges them.
 */
#ifndef DB_MOVE_STREAM_H
#define DB_MOVE_STREAM_H

#include "db/straight.h"

struct move_stream;

/* Reads the trees at `point`, which must stay taken until the stream is closed. */
int LSMKV_CHECKED move_stream_open(struct lsmkv *db, const struct read_point *point,
                                   const struct lsmkv_move *moves, size_t count,
                                   struct move_stream **stream);
void move_stream_close(struct move_stream *stream);

/* As a straight_source gives it; -E2BIG: a new key would be
 * too long. */
int LSMKV_CHECKED move_stream_next(struct move_stream *stream,
                                   struct straight_entry *entry);

/* Reads a value that stands apart into the entry; it holds as the rest does. */
int LSMKV_CHECKED move_stream_load(struct move_stream *stream,
                                   struct straight_entry *entry);

/* The rest of the stream, as long as it is open. */
struct straight_source *move_stream_source(struct move_stream *stream);

#endif
