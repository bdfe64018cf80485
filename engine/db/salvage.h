/*
 * salvage.h - what a damaged store consists of, for opening with `salvage` and for
 * repair.c.
 */
#ifndef DB_SALVAGE_H
#define DB_SALVAGE_H

#include "db/db.h"

/* The state of the store in db->dir, from what there is: MANIFEST if it is whole, else
 * what its good lines say and what the files say of themselves; then db->is_rebuilt is
 * set, all tables are at level 0, and a keyspace whose name is lost has one of the form
 * "keyspace-3".  `number` and `end` as manifest_load, 0 if it is not whole.  Whatever is
 * wrong is reported.  -ENOENT: not a store; -ENOTSUP; -ENOMEM. */
int LSMKV_CHECKED salvage_state(struct lsmkv *db, const char *path,
                                struct manifest_edit *state, uint64_t *number,
                                uint64_t *end);

/* Calls wal_salvage for each of the logs, ascending, between `begin` and `end` (NULL: nothing); what a
 * newer log, or CLOSED, says of its end is taken into account.  What cannot be read is
 * left out. */
int LSMKV_CHECKED salvage_each_log(
    struct lsmkv *db, const uint64_t *logs, size_t count,
    const struct closed_mark *closed, struct reporter *reporter,
    int (*begin)(void *context, uint64_t number),
    int (*end)(void *context, uint64_t number, uint64_t size), struct wal_salvage *ops);

#endif
