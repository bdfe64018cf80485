/*
 * straight.h - entries that go straight to level-0 tables, past log and memtables, and
 * are there at once by one manifest line: those of a large move (move.c) and of going
 * back (rollback.c).
 *
 * All of it in one writer's turn, which is held from what the entries are read of until
 * the line is durable:
 *
 *     straight_begin
 *     read_point_take of each keyspace (N2)
 *     any number of straight_put and straight_build, all into one edit
 *     straight_end
 *     view_unref of each
 *
 * N1  The tables are newer than everything before (the memtables were flushed in this
 *     turn), so V3 holds.  Readers go on meanwhile.
 * N2  What entries refer to stays until tables that do are installed: the view that they
 *     were read from is held so long, for the tables in it may be merged away meanwhile.
 * N3  They use the reserve as a merge does, and leave alone what a merge leaves
 *     (compaction_kept).  Who must not use it asks space_check first.
 */
#ifndef DB_STRAIGHT_H
#define DB_STRAIGHT_H

#include "db/db.h"

struct straight_entry {
    struct lsmkv_slice key;
    uint8_t kind; /* KIND_DELETE or KIND_PUT_STAMPED, maybe with KIND_BLOB_BIT */
    struct lsmkv_record record; /* of a put, as record_decode has it */
};

/* Embedded, as first member.  next gives 1 and an entry, in key order and of each key
 * one, which holds until it is called again; 0 at the end, or an error. */
struct straight_source {
    int (*next)(struct straight_source *source, struct straight_entry *entry);
};

/* Flushes the memtables (N1). */
int LSMKV_CHECKED straight_begin(struct lsmkv *db) LSMKV_EXCLUDES(db->mutex);
/* Adds tables of what the source gives, numbered from db->next_sequence on. */
int LSMKV_CHECKED straight_put(struct lsmkv *db, const struct lsmkv_keyspace *keyspace,
                               struct straight_source *source, struct manifest_edit *edit)
    LSMKV_EXCLUDES(db->mutex);
/* The same of entries that have numbers, of each key the last one. */
int LSMKV_CHECKED straight_build(struct lsmkv *db, const struct lsmkv_keyspace *keyspace,
                                 struct iterator *it, struct manifest_edit *edit)
    LSMKV_EXCLUDES(db->mutex);
/* `result` of what was done since the beginning: if it is 0, installs the edit, and
 * publishes; else takes its tables back.  Frees the edit's contents. */
int LSMKV_CHECKED straight_end(struct lsmkv *db, struct manifest_edit *edit, int result)
    LSMKV_EXCLUDES(db->mutex);

#endif
