/* collect.h - see collect.c. */
#ifndef DB_COLLECT_H
#define DB_COLLECT_H

#include "db/db.h"

/* What a merge in this keyspace collects. */
int LSMKV_CHECKED collect_victims(struct lsmkv *db, const struct lsmkv_keyspace *keyspace,
                                  struct blob_victims *victims) LSMKV_REQUIRES(db->mutex);
/* Is a collection due in any keyspace, and has not failed just now? */
bool collect_due(struct lsmkv *db) LSMKV_REQUIRES(db->mutex);
/* Space got short: what is worth it now?  In a keyspace that is known only until
 * something changes. */
void collect_look_again(struct lsmkv *db) LSMKV_EXCLUDES(db->mutex);
/* Files were deleted: what had no room may have it now. */
void collect_note_room(struct lsmkv *db) LSMKV_EXCLUDES(db->mutex);
/* Its next merge; *compaction = NULL: none.  `force`: whatever it costs. */
int LSMKV_CHECKED collect_pick(struct lsmkv *db, struct lsmkv_keyspace *keyspace,
                               bool force, struct compaction **compaction)
    LSMKV_REQUIRES(db->mutex);
/* One of its merges failed.  If a table could not be read, what it refers to is not
 * collected before the store is opened again: that table would be the next for ever. */
void collect_note_failure(struct lsmkv *db, struct lsmkv_keyspace *keyspace,
                          const struct compaction *compaction, int result)
    LSMKV_REQUIRES(db->mutex);
/* As collect_pick, of whichever keyspace it is due in. */
int LSMKV_CHECKED collect_choose(struct lsmkv *db, struct lsmkv_keyspace **keyspace,
                                 struct compaction **compaction)
    LSMKV_REQUIRES(db->mutex);

#endif
