/*
 * store.h - the lsmkv store beneath a mount: its keyspaces, its counters, its commit timer.
 *
 * Threads: everything but store_open, store_start, store_stop and store_close may be called
 * from any thread at any time.
 */
#ifndef FS_STORE_H
#define FS_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "lsmkv.h"
#include "store/attr.h"

#define STORE_FORMAT 1u /* of the records in all four keyspaces; kept in `meta` */

struct sweep;
struct known_chunks;

struct store_options {
    const char *path;
    /* NULL: the defaults.  create and read_only are taken from here, not from there.  With
     * `exclusive` the store must be new, -EEXIST; with `salvage`, what is damaged or missing of our
     * keyspaces is left out. */
    const struct lsmkv_options *engine;
    bool create; /* make the store if the directory is empty or absent */
    bool as_is;  /* make nothing in a store that was never mounted */
    bool read_only;
    bool sync;          /* -o sync: every write is durable when it returns */
    unsigned commit_ms; /* at most so long stays acknowledged work unsynced; 0: 1000 */
    struct attr_defaults defaults;
};

/* Set by store_open, constant until store_close, to be read by anyone; what changes is in
 * `state`. */
struct store {
    struct lsmkv *db;
    struct lsmkv_keyspace *files; /* "default" */
    /* NULL only in a store that was never mounted, read-only or as_is: then no record needs them, or
     * that is salvaged, and NULL must not reach lsmkv, which takes it for "default". */
    struct lsmkv_keyspace *inodes;
    struct lsmkv_keyspace *meta;
    struct lsmkv_keyspace *chunks;
    bool read_only;
    struct attr_defaults defaults;
    uint64_t salt;       /* of this store, for hashed inode numbers */
    struct sweep *sweep; /* set by sweep_new */
    struct known_chunks *known_chunks;
    struct store_state *state;
};

/* Fills in: not read-only, commit 1000 ms, owner the caller's, modes 0644 and 0755. */
void store_options_init(struct store_options *options);
/* The engine's defaults but for what a filesystem has another use for: who lists a directory
 * wants the attributes and not what is in the files, so less of a table is contents. */
void store_engine_init(struct lsmkv_options *engine);

/* Opens the store, makes the keyspaces and the format record on the first mount, reads the
 * counters.  On failure `why` says in words what went wrong, naming the path: not a store, held
 * by whom and mounted where, a newer format, no permission.  -EPROTONOSUPPORT: newer format.
 * -EUCLEAN: a keyspace of ours is somebody else's. */
LSMKV_CHECKED int store_open(const struct store_options *options, struct store **store,
                             char *why, size_t why_size);

/* Makes what store_open needs of a store that has been mounted and has lost some of it: keyspaces,
 * the format, counters that give out no number below `inodes` and `data_ids`.  `*made`: any of it.
 * A format that is there stays. */
LSMKV_CHECKED int store_make_meta(struct lsmkv *db, uint64_t inodes, uint64_t data_ids,
                                  bool *made);

/* Starts the commit thread.  `before` (may be NULL) is called on it ahead of each sync, to put
 * what was deferred, with the writes of store_write; its failure is logged and tried again the
 * next time. */
LSMKV_CHECKED int store_start(struct store *store, int (*before)(void *context),
                              void *context);

/* Ends the commit thread, with a last call of `before` and a last sync, and returns what those
 * returned, but for -ENOSPC of `before`.  After it `before` is not called again. */
LSMKV_CHECKED int store_stop(struct store *store);

/* Closes the store (store_stop and sweep_free come first if they were begun) and frees it
 * whatever it returns: not 0 if anything acknowledged may not be on disk. */
int store_close(struct store *store);

/* Writes `batch`; it is left as it is.  An empty one does nothing.  Durable on return if
 * `durable` or the store is -o sync, otherwise within the commit interval.  -EIO once a sync
 * has failed; -EROFS. */
LSMKV_CHECKED int store_write(struct store *store, struct lsmkv_batch *batch,
                              bool durable);

/* Lets `batch` through although free space is below the reserve, if it puts 4 KiB at most: what
 * a full filesystem must still take, such as cutting a file, or a mode.  The engine takes
 * removals with little beside them, so this adds one of a key that is never there. */
LSMKV_CHECKED int store_let_through(struct store *store, struct lsmkv_batch *batch);

/* As lsmkv_move_trees in `files`, as store_write for the rest.  -ENAMETOOLONG: a key would
 * become longer than any may be. */
LSMKV_CHECKED int store_move(struct store *store, const struct lsmkv_move *moves,
                             size_t count, struct lsmkv_batch *batch, bool durable);

/* Everything but `meta`, so that no number is given out twice, becomes what `snapshot` sees, as of
 * lsmkv_rollback.  While a merge has what is left of a full disk, or a flush that failed for want of
 * it stands, it tries again, a few seconds at most.  `progress` may be NULL. */
LSMKV_CHECKED int store_rollback(struct store *store,
                                 const struct lsmkv_snapshot *snapshot,
                                 void (*progress)(void *context, uint64_t keys),
                                 void *context);

/* Everything acknowledged is on disk.  Does not call `before`: fsyncdir does its own. */
LSMKV_CHECKED int store_sync(struct store *store);

/* Has `files` no key?  1, 0 or an error. */
LSMKV_CHECKED int store_is_empty(struct store *store);

/* Nanoseconds, at most, since the oldest change that is not on disk was acknowledged; 0: all is. */
uint64_t store_unsynced_age(const struct store *store);

/* Something was deferred: the commit thread shall call `before` within its interval. */
void store_touch(struct store *store);

/* A number never given out before, whatever has crashed since.  -EROFS; errors of the store. */
LSMKV_CHECKED int store_new_ino(struct store *store, uint64_t *ino);
LSMKV_CHECKED int store_new_data_id(struct store *store, uint64_t *id);

/* Numbers below these may have been given out, all others have not (M2 in store.c). */
void store_reserved(const struct store *store, uint64_t *inodes, uint64_t *data_ids);

/* A line for whoever reads the log: to the engine's `log` callback, which therefore must bear
 * calls from several threads, or to stderr. */
void store_log(struct store *store, enum lsmkv_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* CLOCK_REALTIME, not the coarse one: times must not run behind the stamps of the engine. */
struct timespec store_now(void);

#endif
