/*
 * open.h - the steps of opening that checking and repairing a store take as well
 * (check.c, repair.c).
 *
 * Each reports what it meets.  None of these changes a file, but for open_store.
 */
#ifndef DB_OPEN_H
#define DB_OPEN_H

#include "db/db.h"

/* Nothing but the struct; NULL: no memory. */
struct lsmkv *db_new(const struct lsmkv_options *options);
/* Whatever was made so far; closes files without syncing them. */
void db_free(struct lsmkv *db);
/* All of opening, as db->options say; on failure db_free is the caller's. */
int LSMKV_CHECKED open_store(struct lsmkv *db, const char *path);
/* The block cache and the open tables, and what tables need of the store, once db->dir is
 * open. */
int LSMKV_CHECKED make_caches(struct lsmkv *db);
/* Keyspaces, tables and snapshots as the manifest has them; takes the tables' metas. */
int LSMKV_CHECKED take_state(struct lsmkv *db, struct manifest_edit *state)
    LSMKV_EXCLUDES(db->mutex);
/* The mark of a clean close, held against the manifest.  *closed = NULL: there is
 * none. */
int LSMKV_CHECKED check_closed(struct lsmkv *db, uint64_t number, uint64_t end,
                               struct closed_mark *mark, struct closed_mark **closed);
/* Without a log: what was replayed is all there is, and it is read only. */
int LSMKV_CHECKED begin_read_only(struct lsmkv *db) LSMKV_EXCLUDES(db->mutex);

#endif
