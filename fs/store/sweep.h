/*
 * sweep.h - giving back the chunks that no file has any more, in the background.
 *
 * A batch that takes chunks from a file leaves a record of it in `inodes`: an orphan (the whole
 * data id) or a trim (from a chunk on).  The sweep deletes the chunks, a bounded number a batch,
 * and the record with the last of them; what a crash cut short goes on at the next mount.
 *
 * Lock order: a file's lock, then the sweep's own.  Nothing here calls back.
 */
#ifndef FS_SWEEP_H
#define FS_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "lsmkv.h"
#include "store/store.h"

#define SWEEP_BATCH 1024u /* deletions in one batch */

/* What one batch takes from files.  Zero it (= {0}) before building the batch. */
struct sweep_list {
    unsigned count;
    struct sweep_item {
        uint64_t data_id;
        uint64_t first_dead; /* 0: an orphan */
        bool held;           /* a live node still reads it: not before sweep_release */
    } items[4];
};

/* Puts the orphan record into `batch` and the item into `list`.  A `held` orphan is left alone
 * until sweep_release or the next mount. */
LSMKV_CHECKED int sweep_orphan(struct store *store, struct lsmkv_batch *batch,
                               struct sweep_list *list, uint64_t data_id, bool held);
/* The same for the chunks of `data_id` from `first_dead` (above 0) on. */
LSMKV_CHECKED int sweep_trim(struct store *store, struct lsmkv_batch *batch,
                             struct sweep_list *list, uint64_t data_id,
                             uint64_t first_dead);

/* Writes `batch` (store_write) and takes `list` into account: this is how every batch that an
 * edit of data.h, sweep_orphan or sweep_trim had a hand in is written.  Whoever wrote such a
 * batch otherwise (store_move) calls sweep_before and then sweep_after with the result.  The
 * locks of the files concerned are held throughout. */
LSMKV_CHECKED int sweep_publish(struct store *store, struct lsmkv_batch *batch,
                                const struct sweep_list *list, bool durable);
LSMKV_CHECKED int sweep_before(struct store *store, const struct sweep_list *list);
void sweep_after(struct store *store, const struct sweep_list *list, int result);

/* The last node that read a held orphan is gone. */
void sweep_release(struct store *store, uint64_t data_id);

/* Finishes every trim of `data_id` that begins at or before chunk `last`: the file is about to
 * reach it.  The file's lock is held.  Costs one atomic load while no trim is pending. */
LSMKV_CHECKED int sweep_finish_trims(struct store *store, uint64_t data_id,
                                     uint64_t last);

/* The file of a held orphan has got a name: the batch that was published deletes the orphan's
 * record (sweep_adopt_in). */
LSMKV_CHECKED int sweep_adopt_in(struct store *store, struct lsmkv_batch *batch,
                                 uint64_t data_id);
void sweep_adopt(struct store *store, uint64_t data_id);

/* Around the store's going back to `snapshot`, while nobody publishes: nothing is swept until
 * sweep_went_back, and after it what was pending then is (`back`: it has gone back), whoever held
 * orphans.  -ENOMEM, an error of reading: it shall not go back, and sweep_went_back is not due. */
LSMKV_CHECKED int sweep_before_rollback(struct store *store,
                                        const struct lsmkv_snapshot *snapshot);
void sweep_went_back(struct store *store, bool back);

/* ---- its life ---- */

/* Reads what is pending and sets store->sweep; belongs right behind store_open, before anything
 * is written.  A read-only store gets one that does nothing. */
LSMKV_CHECKED int sweep_new(struct store *store);
/* Begins to sweep on a thread of its own. */
LSMKV_CHECKED int sweep_start(struct store *store);
/* Ends the thread, if there is one, within a batch; what is left waits for the next mount. */
void sweep_free(struct store *store);

/* Is the thread deleting, or about to? */
bool sweep_is_busy(struct store *store);

/* One batch of it on the caller's thread; `*more` is false when nothing is left but what is
 * held. */
LSMKV_CHECKED int sweep_step(struct store *store, bool *more);

#endif
