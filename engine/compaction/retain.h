/*
 * retain.h - which entries a flush or a merge keeps.
 *
 * Entries are offered in internal-key order; those that C1 and C2 (compaction.h) keep are
 * passed on in that order.  What a tombstone hides is only known at the end of its key,
 * so tombstones wait there until an older version is kept.
 */
#ifndef COMPACTION_RETAIN_H
#define COMPACTION_RETAIN_H

#include <stdbool.h>

#include "compaction/compaction.h"
#include "manifest/version.h"

/* The tables of a version that are not inputs of a merge, and may hold versions of its
 * keys. */
struct outside {
    enum lsmkv_order order;
    struct level levels[LEVEL_COUNT]; /* borrow the version's files */
};

/* -ENOMEM.  The compaction must outlive it. */
int LSMKV_CHECKED outside_init(struct outside *outside,
                               const struct compaction *compaction);
void outside_fini(struct outside *outside);

/* Takes a kept entry; `first` says that it is its user key's first.  Both slices hold for
 * the call.  An error ends the merge. */
struct retain_sink {
    int (*keep)(struct retain_sink *sink, struct lsmkv_slice internal,
                struct lsmkv_slice payload, bool first);
};

struct retain {
    /* constant */
    enum lsmkv_order order;
    const uint64_t *snapshots; /* ascending, the last published sequence last */
    size_t snapshot_count;
    const struct outside *outside; /* NULL: tombstones stay (a flush) */
    struct retain_sink *sink;
    /* of the user key at hand */
    struct keybuf key;
    bool any;          /* an entry was offered */
    bool passed;       /* one was passed on */
    uint64_t newer;    /* the sequence of the entry before */
    uint64_t *waiting; /* sequences of kept tombstones not yet passed on, newest first */
    size_t waiting_count, waiting_capacity;
    struct keybuf tombstone; /* room for the internal key of one */
};

/* All is borrowed.  At least one snapshot. */
void retain_init(struct retain *retain, enum lsmkv_order order, const uint64_t *snapshots,
                 size_t snapshot_count, const struct outside *outside,
                 struct retain_sink *sink);
void retain_fini(struct retain *retain);
/* -ENOMEM, or what the sink returned. */
int LSMKV_CHECKED retain_offer(struct retain *retain, struct lsmkv_slice internal,
                               struct lsmkv_slice payload);
/* After the last entry. */
int LSMKV_CHECKED retain_end(struct retain *retain);

#endif
