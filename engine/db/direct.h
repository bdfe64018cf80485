/*
 * direct.h - large values go to a blob file before the log, and to the disk once.
 *
 * Of a batch that is written unsynced, each value of direct_least bytes and more is
 * appended to a blob file of the active generation, one a keyspace, made when it is first
 * wanted.  The frame carries the reference, the memtable too, and a flush takes it on
 * into the table: the value itself is not touched again.  Of many keyspaces only the
 * first get one.  When the generation freezes, nothing is appended to its files any more.
 *
 *     value      -> 000014.blob      write(2), before
 *     reference  -> 000012.log       write(2)
 *     sync:         000014.blob, its name, then 000012.log
 *
 * L1  A sync of the log covers the blob files first (W7 of log/wal_writer.c, invariant
 *     14).
 * L2  A frame is written only after what it refers to was.  If the frame cannot be, that
 *     is taken back, so that a file ends with its last record.
 * L3  A generation counts as a reference of its files, for its log and for readers, until
 *     it has been flushed and the last view of it has gone (B2 of table/blob.h).
 * L4  What was written so counts as bytes of memtables: a generation freezes when both
 *     together are write_buffer_size.  So a file is not larger than others, and of a log
 *     that was never synced recovery verifies and writes again no more than that.
 * L5  direct_least is direct_threshold while little waits to be synced: the next sync
 *     would feel one file more.  Behind a 32nd of a write buffer that was not synced it
 *     is a sixteenth of it, and never less than blob_threshold.
 *
 * Of a compressed keyspace the values are packed on the way, in the writer's turn: other
 * writers wait as long.
 *
 * A synced put of a large value is written to the log whole, and again at the flush: two
 * files would have to be synced for it.
 *
 * All of it in the writer's turn, but the sync, which may run beside a writer: in the
 * sync's turn, or in the writer's when the log undoes a write.
 */
#ifndef DB_DIRECT_H
#define DB_DIRECT_H

#include "db/db.h"

/* Sets direct_least for this turn: SIZE_MAX, if no value is worth it. */
void direct_begin(struct lsmkv *db);

/* Of each frame for which `wanted`, whose entries have a value that is large enough:
 * makes entries with references instead, which stand in `placed`, and prepares what
 * direct_write is to write.  -ENOMEM, or what making a file says; then direct_forget. */
int LSMKV_CHECKED direct_place(struct lsmkv *db, struct wal_append *frames,
                               const bool *wanted, size_t count,
                               struct lsmkv_batch *placed);
void direct_forget(struct lsmkv *db);
/* On failure all is undone, or the store poisoned. */
int LSMKV_CHECKED direct_write(struct lsmkv *db);
/* Takes back the last direct_write (L2), or poisons the store. */
void direct_undo(struct lsmkv *db);
/* The `ahead` of the log (L1). */
int LSMKV_CHECKED direct_sync(void *db);
/* Nothing is appended to the generation's files any more; in both turns. */
void direct_finish(struct generation *generation);

#endif
