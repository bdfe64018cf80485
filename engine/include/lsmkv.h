/*
 * lsmkv.h - an embedded, durable, ordered key-value store: a log-structured merge-tree.
 *
 * A store is a directory.  It holds keyspaces (column families), each an ordered map from
 * a key (0 to 65,535 bytes) to a record: a value (0 bytes to 16 MiB) and attributes (0 to
 * 65,535 opaque bytes that are cheap to read without the value).  All keyspaces share one
 * log and one sequence, so a batch is atomic across them.
 *
 * Results.  Functions return 0 or a negative errno:
 *   -ENOENT   no such key, snapshot or keyspace       -EEXIST  the name is taken
 *   -EBADMSG  a checksum does not match               -EUCLEAN a structure is not valid
 *   -EINVAL   an argument is out of its documented range
 *   -E2BIG    a batch above LSMKV_BATCH_MAX, or a key, attributes or value above its limit
 *   -ENOSPC   free space is below the reserve; deletes still work
 *   -EROFS    the store was opened read-only
 *   -EBUSY    another process holds the store; or a snapshot needs what is to be dropped
 *   -ENOMEM   no memory; nothing was changed, and the store goes on
 * and what the operating system says of I/O.  After a failed sync the store is poisoned:
 * writes return that error until it is opened again, reads go on.  Out-parameters are
 * written only on success, unless a function says otherwise.
 *
 * Threads.  A store, its keyspaces and its snapshots may be used from any number of threads
 * at once.  A batch, an iterator or a held record belongs to one thread at a time.
 *
 * Ownership.  Slices passed in are borrowed for the call.  Slices handed out say until when
 * they hold.
 */
#ifndef LSMKV_H
#define LSMKV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LSMKV_API     __attribute__((visibility("default")))
#define LSMKV_CHECKED __attribute__((warn_unused_result))

#define LSMKV_KEY_MAX        65535u      /* bytes in a key */
#define LSMKV_ATTRIBUTES_MAX 65535u      /* bytes of attributes */
#define LSMKV_VALUE_MAX      (16u << 20) /* bytes in a value */
#define LSMKV_BATCH_MAX      (32u << 20) /* encoded bytes in a batch */
#define LSMKV_NAME_MAX       255u        /* bytes in a snapshot's or keyspace's name */

struct lsmkv;          /* an open store */
struct lsmkv_env;      /* storage, clock, threads; NULL means the operating system's */
struct lsmkv_keyspace; /* lives until the store closes or the keyspace is dropped */
struct lsmkv_snapshot; /* a read sequence, pinned */
struct lsmkv_batch;
struct lsmkv_iter;
struct lsmkv_held; /* a record kept in memory until released */

struct lsmkv_slice {
    const void *data;
    size_t size;
};

/* A NUL-terminated string as a slice, without its NUL. */
LSMKV_API struct lsmkv_slice lsmkv_str(const char *string);

static inline struct lsmkv_slice
lsmkv_bytes(const void *data, size_t size)
{
    struct lsmkv_slice slice = {data, size};
    return slice;
}

/* What a key holds.  `sequence` numbers the put; `stamp_*` belong to the put that made the
 * record, which a tree move keeps although it gives the entry a new sequence.  `stamp_time`
 * is in nanoseconds since 1970, 0 where the order keeps none (LSMKV_ORDER_BYTES). */
struct lsmkv_record {
    struct lsmkv_slice attributes;
    struct lsmkv_slice value;
    uint64_t sequence;
    uint64_t stamp_sequence;
    int64_t stamp_time;
};

/* The order of a keyspace, chosen when it is created.
 *   BYTES  as memcmp, a prefix before what it begins.
 *   PATH   as BYTES, but '/' ranks below every other byte: the keys *below* K, those that
 *          begin with K and a '/', follow K at once.  Below the empty key is every other. */
enum lsmkv_order { LSMKV_ORDER_BYTES = 0, LSMKV_ORDER_PATH = 1 };

/* How a keyspace is compressed on disk, chosen when it is created.  Of LZ4, a block of keys, attributes
 * and values, or a value in a blob file, is stored as it is if it does not become smaller by an eighth;
 * what is in the log always is.  What is read stays in the cache uncompressed. */
enum lsmkv_compression { LSMKV_COMPRESSION_NONE = 0, LSMKV_COMPRESSION_LZ4 = 1 };

enum lsmkv_level { LSMKV_LOG_ERROR, LSMKV_LOG_WARNING, LSMKV_LOG_INFO, LSMKV_LOG_DEBUG };

/* Fill with lsmkv_options_init, then change what you want. */
struct lsmkv_options {
    struct lsmkv_env *env; /* NULL: the operating system's */
    bool create;           /* make the store if the directory holds none */
    bool exclusive;        /* with create: -EEXIST if there is one */
    bool read_only; /* change no file at all; a shared lock, if there is a lock file */
    bool
        salvage; /* with read_only: open a damaged store, MANIFEST gone or bad included; what
                     cannot be read is missing, or an error where it is read */
    size_t write_buffer_size; /* bytes of memtables before they are flushed; 64 MiB */
    size_t cache_size;        /* bytes kept of tables and of short values; 64 MiB */
    size_t block_size;        /* bytes of a data block before it is cut; 4096 */
    size_t
        blob_threshold; /* values of so many bytes and more are kept apart from their keys, in
                                 blob files; 0: none is; 2048 */
    size_t
        direct_threshold; /* of those, values of so many bytes and more that are put unsynced go to a
                             blob file at once, and the log only refers to it; of a sixteenth as
                             many once a 32nd of write_buffer_size waits for a sync; 0: none;
                             32 KiB */
    size_t table_size;      /* bytes of a table before compaction cuts it; 16 MiB */
    size_t level_base_size; /* bytes of level 1; each deeper one is ten times larger */
    unsigned
        max_open_tables; /* table and blob files open at a time; 0: half of RLIMIT_NOFILE, which
                                 is also the most */
    unsigned l0_compaction_trigger; /* L0 tables that start a compaction; 4 */
    unsigned l0_slowdown_trigger;   /* L0 tables that delay writers; 20 */
    unsigned l0_stop_trigger;       /* L0 tables that stop writers; 36 */
    unsigned
        filter_bits_per_key; /* bloom filter; 10 give about 1 % false positives; 0 none */
    uint64_t
        compaction_rate; /* bytes a second that merges write while neither writers nor space
                             wait for them; 0: as many as they can */
    size_t
        move_log_limit; /* a tree move up to this many bytes is one log frame; 16 MiB */
    uint64_t
        space_reserve; /* free bytes below which puts get -ENOSPC; 0: what a merge needs, or an
                          eighth of the disk: if that is less, buffer, tables and levels are
                          smaller than said above */
    enum lsmkv_compression
        compression;       /* of keyspace "default", if this makes the store; none */
    bool dead_ranges;      /* remember runs of dead keys that scans passed; true */
    unsigned lock_wait_ms; /* wait for a holder that is shutting down; 30,000 */
    const char *lock_note; /* told to those the lock turns away, e.g. the mount point */
    /* Called with one line without its newline, from any thread, never concurrently for one
     * store; it must not call back into the library.  NULL: errors and warnings go to stderr. */
    void (*log)(void *context, enum lsmkv_level level, const char *line);
    void *log_context;
};

LSMKV_API void lsmkv_options_init(struct lsmkv_options *options);

/* ---- errors ---- */

/* Text for a result of this library; static. */
LSMKV_API const char *lsmkv_strerror(int result);

/* What the last failed call of this thread met, with file and offset where there is one;
 * "" if nothing is known.  Holds until this thread's next call. */
LSMKV_API const char *lsmkv_error_detail(void);

LSMKV_API const char *lsmkv_version(void);

/* ---- the store ---- */

/* Opens the store in directory `path`; replays the log of an unclean stop.  -EBUSY names the
 * holder in lsmkv_error_detail().  -ENOENT: no store there (and `create` is not set).  -ENOTSUP: a newer
 * version wrote it, and lsmkv_error_detail() says what this one does not know; if it may be read all the
 * same, it opens with `read_only`. */
LSMKV_API LSMKV_CHECKED int lsmkv_open(const char *path,
                                       const struct lsmkv_options *options,
                                       struct lsmkv **db);

/* Syncs everything, stops the threads, marks the store clean, gives up the lock and frees
 * `db` whatever it returns.  Iterators, walks over changes, held records, batches and snapshot
 * handles must have been released.  A result other than 0 says that acknowledged unsynced writes may be lost. */
LSMKV_API int lsmkv_close(struct lsmkv *db);

/* Replaces the note that those who find the store locked are told. */
LSMKV_API LSMKV_CHECKED int lsmkv_set_lock_note(struct lsmkv *db, const char *note);

/* Announces that the holder is about to close: openers then wait for the lock. */
LSMKV_API void lsmkv_announce_close(struct lsmkv *db);

/* The note and process id of whoever holds the store at `path`, "" and 0 if it is being read
 * only; -ENOENT if nobody holds it. */
LSMKV_API LSMKV_CHECKED int lsmkv_lock_holder(const char *path, int *pid, char *note,
                                              size_t note_size);

/* ---- checking ---- */

/* DAMAGE: something is lost, wrong or cannot be read.  NOTE: nothing is, but somebody should
 * know: what a crash left, and the next opening clears away. */
enum lsmkv_severity { LSMKV_NOTE, LSMKV_DAMAGE };

struct lsmkv_finding {
    enum lsmkv_severity severity;
    const char *file; /* its name in the store's directory; "" if it is not of one file */
    uint64_t offset;  /* in that file; 0 where nothing more is known */
    const char *text; /* one line; holds for the call, as `file` */
};

struct lsmkv_check_options {
    void (*finding)(void *context, const struct lsmkv_finding *finding);
    /* Bytes looked at, and of how many; NULL: not wanted.  False: to go no further. */
    bool (*progress)(void *context, uint64_t done, uint64_t total);
    void *context;
};

/* Reads all of the store at `path` with suspicion, one that does not open, too: the manifest,
 * the mark of a clean close, every frame of the logs, and of every table each checksum, the
 * order of its entries, its index, its filter and its counts, all against each other; the order
 * of tables in their levels and of each key's versions between levels; snapshots; files that
 * belong to nothing.  Changes no byte, and holds a shared lock meanwhile.  Takes the memory that
 * opening takes.  Callbacks are made by the caller's thread.  `options` as for lsmkv_open (NULL:
 * the defaults).
 *
 * 0: no damage, maybe notes.  -EUCLEAN: all damage that was found was told.  Any other: the check
 * could not be made, or not to its end (-EBUSY, -ENOENT: no store there, -ENOTSUP: a newer
 * version's, -ENOMEM, -ECANCELED by `progress`). */
LSMKV_API LSMKV_CHECKED int lsmkv_check(const char *path,
                                        const struct lsmkv_options *options,
                                        const struct lsmkv_check_options *check);

/* The same of a store that is open, beside its use: MANIFEST, and the tables and blob files that it
 * consists of at one moment, which stay as long, and have all that was written before the call, for
 * that is flushed first (lsmkv_flush).  If it cannot be, a note says that what only the logs have was
 * left out.  Takes a cache of its own, of 4 MiB.  -EINVAL: it was opened with `salvage`. */
LSMKV_API LSMKV_CHECKED int lsmkv_check_open(struct lsmkv *db,
                                             const struct lsmkv_check_options *check);

/* ---- repairing ---- */

/* What could not be read of a damaged store. */
struct lsmkv_loss {
    const char *file;      /* its name in the store's directory */
    uint64_t offset, size; /* bytes of it; size 0: the whole file */
    const char *keyspace;  /* NULL: not known */
    /* Whatever is lost there had keys from `first` to before `last`, or to `last`; NULL data: not
     * known.  Of one of those keys an older version, or one that was deleted, may be back, unless
     * it is newer than `sequence`. */
    struct lsmkv_slice first, last;
    bool last_too;
    uint64_t sequence; /* of what is lost, at most */
};

struct lsmkv_repair_options {
    void (*finding)(void *context, const struct lsmkv_finding *finding);
    void (*lost)(void *context, const struct lsmkv_loss *loss);
    /* Bytes of records copied, and of all files; NULL: not wanted.  False: to go no further. */
    bool (*progress)(void *context, uint64_t done, uint64_t total);
    /* The name that a keyspace gets whose name is now `name`; NULL result, or NULL here: it
     * stays.  Names are lost with MANIFEST; then that of keyspace 3 is "keyspace-3". */
    const char *(*rename)(void *context, const char *name);
    void *context;
};

/* Makes a good store in directory `target` of all that can be read of the damaged one at `path`:
 * every frame of a log whose checksum holds, and every such block of a table; but if its index is
 * bad, those before its first bad block only.  Of each key the newest such version is there, and
 * those that snapshots see.  If MANIFEST is gone or bad, snapshots are
 * gone that only its bad lines knew of, and deleted keys may be back if a file was left over that
 * held them; both is told.
 *
 * `path` is only read, with a shared lock held.  `target` must be missing or empty (-ENOTEMPTY); it
 * is no store before all of it is on the disk.  If this fails, nothing is left in it but a lock
 * file; if it is killed, what it wrote: tables, and no MANIFEST.  Takes the memory that opening
 * takes, and once the space of what is live.  Callbacks are made by the caller's thread; what they
 * are given holds for the call.  `options` as for lsmkv_open, of both stores (NULL: the defaults).
 *
 * 0: nothing was damaged.  -EUCLEAN: `target` is made, and what is missing in it was told.  Any
 * other: there is no new store (-EBUSY, -ENOENT: no store there, -ENOTSUP: a newer version's,
 * -ENOSPC, -ENOMEM, -ECANCELED by `progress`). */
LSMKV_API LSMKV_CHECKED int lsmkv_repair(const char *path, const char *target,
                                         const struct lsmkv_options *options,
                                         const struct lsmkv_repair_options *repair);

/* The same of a store that is open, beside its use: all that was written before the call, and maybe
 * some of what is written during it, up to one moment.  Writers wait while its memtables are flushed,
 * as for lsmkv_rollback, and go on after that; what it consisted of at that moment stays on the disk
 * as long.  MANIFEST and the logs are not read, for what they say is known.  Takes a cache of its own,
 * of 4 MiB.  -EROFS: it was opened read-only; what lsmkv_flush gives: it cannot be flushed. */
LSMKV_API LSMKV_CHECKED int lsmkv_repair_open(struct lsmkv *db, const char *target,
                                              const struct lsmkv_repair_options *repair);

/* ---- keyspaces ---- */

/* The keyspace "default", which every store has, in path order.  Wherever a keyspace is
 * asked for, NULL means this one. */
LSMKV_API struct lsmkv_keyspace *lsmkv_default_keyspace(struct lsmkv *db);

/* Durable when it returns.  -EEXIST: there is one. */
LSMKV_API LSMKV_CHECKED int lsmkv_keyspace_create(struct lsmkv *db, const char *name,
                                                  enum lsmkv_order order,
                                                  struct lsmkv_keyspace **keyspace);

/* The same with more to choose, for good.  Zero it and set what differs.  -EINVAL: no such choice. */
struct lsmkv_keyspace_options {
    enum lsmkv_order order;             /* of bytes */
    enum lsmkv_compression compression; /* none */
};
LSMKV_API LSMKV_CHECKED int lsmkv_keyspace_create_with(
    struct lsmkv *db, const char *name, const struct lsmkv_keyspace_options *options,
    struct lsmkv_keyspace **keyspace);

LSMKV_API LSMKV_CHECKED int lsmkv_keyspace_open(struct lsmkv *db, const char *name,
                                                struct lsmkv_keyspace **keyspace);
/* Drops the keyspace and all it holds; `keyspace` must not be used afterwards, and nothing
 * may be using it.  -EBUSY while a named snapshot may see it: one taken after the keyspace was
 * made; any, if that was before this opening.  -EINVAL for "default". */
LSMKV_API LSMKV_CHECKED int lsmkv_keyspace_drop(struct lsmkv *db,
                                                struct lsmkv_keyspace *keyspace);
/* Calls `each` for every keyspace in order of creation; stops at its first non-zero result
 * and returns that.  `each` must not call back into the store. */
LSMKV_API LSMKV_CHECKED int lsmkv_keyspace_list(
    struct lsmkv *db,
    int (*each)(void *context, const char *name, enum lsmkv_order order), void *context);
LSMKV_API const char *lsmkv_keyspace_name(const struct lsmkv_keyspace *keyspace);
LSMKV_API enum lsmkv_order lsmkv_keyspace_order(const struct lsmkv_keyspace *keyspace);
LSMKV_API enum lsmkv_compression lsmkv_keyspace_compression(
    const struct lsmkv_keyspace *keyspace);

/* ---- writing ---- */

/* Flags of a write.  Without UNSYNCED it is durable when it returns.  With it, write(2) has
 * returned: it survives the process, not the power, and a crash leaves a prefix. */
enum { LSMKV_UNSYNCED = 1 };

LSMKV_API LSMKV_CHECKED int lsmkv_put(struct lsmkv *db, struct lsmkv_keyspace *keyspace,
                                      struct lsmkv_slice key,
                                      struct lsmkv_slice attributes,
                                      struct lsmkv_slice value, unsigned flags);
LSMKV_API LSMKV_CHECKED int lsmkv_delete(struct lsmkv *db,
                                         struct lsmkv_keyspace *keyspace,
                                         struct lsmkv_slice key, unsigned flags);

/* A batch is applied whole or not at all, in the order it was built: a later entry for a key
 * wins.  Building functions copy what they are given.  -ENOMEM and -E2BIG leave the batch as
 * it was. */
LSMKV_API LSMKV_CHECKED int lsmkv_batch_new(struct lsmkv_batch **batch);
LSMKV_API void lsmkv_batch_free(struct lsmkv_batch *batch);
LSMKV_API void lsmkv_batch_clear(struct lsmkv_batch *batch);
LSMKV_API size_t lsmkv_batch_count(const struct lsmkv_batch *batch);
LSMKV_API size_t lsmkv_batch_size(const struct lsmkv_batch *batch);
LSMKV_API LSMKV_CHECKED int lsmkv_batch_put(struct lsmkv_batch *batch,
                                            struct lsmkv_keyspace *keyspace,
                                            struct lsmkv_slice key,
                                            struct lsmkv_slice attributes,
                                            struct lsmkv_slice value);
/* As lsmkv_batch_put with the value of `held`, which is written once more wherever it is kept.
 * `held` must stay unreleased until the batch is written or cleared. */
LSMKV_API LSMKV_CHECKED int lsmkv_batch_put_held(struct lsmkv_batch *batch,
                                                 struct lsmkv_keyspace *keyspace,
                                                 struct lsmkv_slice key,
                                                 struct lsmkv_slice attributes,
                                                 const struct lsmkv_held *held);
LSMKV_API LSMKV_CHECKED int lsmkv_batch_delete(struct lsmkv_batch *batch,
                                               struct lsmkv_keyspace *keyspace,
                                               struct lsmkv_slice key);
/* Writes the batch and leaves it as it is (clear it before building the next).  A keyspace
 * NULL in the batch is the store's default one. */
LSMKV_API LSMKV_CHECKED int lsmkv_write(struct lsmkv *db, struct lsmkv_batch *batch,
                                        unsigned flags);

/* Makes every write acknowledged so far durable.  Unsynced writes go on meanwhile, unless a synced one
 * came before them; a sync serves all whose writes were in the log when it began. */
LSMKV_API LSMKV_CHECKED int lsmkv_sync(struct lsmkv *db);

/* Moves `from` and every key below it to `to`, in a keyspace in path order. */
struct lsmkv_move {
    struct lsmkv_slice from;
    struct lsmkv_slice to;
};

/* Moves `count` trees at once, atomically together with `batch` (may be NULL), whose entries
 * come after the moves.  All trees are read at one sequence, so a -> b with b -> a exchanges
 * them.  What stood at or below a `to` and is not itself moved must have been deleted (or is
 * deleted by the batch): it is not removed here, only replaced key by key.  Records keep
 * their stamps.  -EINVAL: a `to` at or below its own `from`, the same `from` or `to` twice,
 * one tree inside another, or the keyspace is not in path order. */
LSMKV_API LSMKV_CHECKED int lsmkv_move_trees(struct lsmkv *db,
                                             struct lsmkv_keyspace *keyspace,
                                             const struct lsmkv_move *moves, size_t count,
                                             struct lsmkv_batch *batch, unsigned flags);

/* ---- reading ---- */

/* A NULL snapshot reads the newest state. */

/* Copies the attributes, then the value, into `buffer` and points `record` at them.  -ERANGE
 * if they do not fit: then only the sizes (and sequences, times) of `record` are set, and its
 * data pointers are NULL. */
LSMKV_API LSMKV_CHECKED int lsmkv_get(struct lsmkv *db, struct lsmkv_keyspace *keyspace,
                                      const struct lsmkv_snapshot *snapshot,
                                      struct lsmkv_slice key, void *buffer,
                                      size_t capacity, struct lsmkv_record *record);

/* As lsmkv_get without copying: the record holds until lsmkv_held_release. */
LSMKV_API LSMKV_CHECKED int lsmkv_get_held(struct lsmkv *db,
                                           struct lsmkv_keyspace *keyspace,
                                           const struct lsmkv_snapshot *snapshot,
                                           struct lsmkv_slice key,
                                           struct lsmkv_held **held);
LSMKV_API const struct lsmkv_record *lsmkv_held_record(const struct lsmkv_held *held);
LSMKV_API void lsmkv_held_release(struct lsmkv_held *held);

/* EXACT: the key has a record.  IMPLIED: it has none, but a key below it has.  IMPLIED is
 * found in path order only. */
enum lsmkv_presence { LSMKV_ABSENT = 0, LSMKV_IMPLIED = 1, LSMKV_EXACT = 2 };

/* Resolves a name in one step.  Returns a presence or a negative errno.  When EXACT, the
 * attributes are copied to `buffer` and `record` is set; its value has a size but NULL data,
 * unless `with_value`, which copies the value behind the attributes if it fits.
 * -ERANGE if the attributes do not fit.  `record` may be NULL: then nothing is copied. */
LSMKV_API LSMKV_CHECKED int lsmkv_lookup(struct lsmkv *db,
                                         struct lsmkv_keyspace *keyspace,
                                         const struct lsmkv_snapshot *snapshot,
                                         struct lsmkv_slice key, bool with_value,
                                         void *buffer, size_t capacity,
                                         struct lsmkv_record *record);

/* An iterator sees one state: the snapshot's, or that of its making.  It walks the keys from
 * `lower` (included) to `upper` (left out); NULL data means no bound.  The bounds are
 * copied.  It starts unpositioned, not valid. */
struct lsmkv_iter_options {
    const struct lsmkv_snapshot *snapshot;
    struct lsmkv_slice lower;
    struct lsmkv_slice upper;
    /* A value that is kept apart from its key is not read before lsmkv_iter_value or
     * lsmkv_iter_value_copy asks for it:
     * records have its size and NULL data. */
    bool lazy_values;
};

LSMKV_API LSMKV_CHECKED int lsmkv_iter_new(struct lsmkv *db,
                                           struct lsmkv_keyspace *keyspace,
                                           const struct lsmkv_iter_options *options,
                                           struct lsmkv_iter **iter);
/* The same for a damaged store: blocks and tables that cannot be read are reported to the log and
 * passed over.  So a key may be missing, show an older version, or be one that was deleted; what it
 * holds, lsmkv_get tells, or that it cannot be told.  Forwards only: first, seek, next. */
LSMKV_API LSMKV_CHECKED int lsmkv_iter_new_salvaging(
    struct lsmkv *db, struct lsmkv_keyspace *keyspace,
    const struct lsmkv_iter_options *options, struct lsmkv_iter **iter);
LSMKV_API void lsmkv_iter_free(struct lsmkv_iter *iter);
LSMKV_API void lsmkv_iter_first(struct lsmkv_iter *iter);
LSMKV_API void lsmkv_iter_last(struct lsmkv_iter *iter);
/* The first key at or after `key`; the last key at or before it. */
LSMKV_API void lsmkv_iter_seek(struct lsmkv_iter *iter, struct lsmkv_slice key);
LSMKV_API void lsmkv_iter_seek_before(struct lsmkv_iter *iter, struct lsmkv_slice key);
/* These need a valid iterator. */
LSMKV_API void lsmkv_iter_next(struct lsmkv_iter *iter);
LSMKV_API void lsmkv_iter_prev(struct lsmkv_iter *iter);
/* Forward to the first key that is neither `key` nor below it; `key` is the current key or
 * one that it is below.  Path order only. */
LSMKV_API void lsmkv_iter_skip_tree(struct lsmkv_iter *iter, struct lsmkv_slice key);
/* False at either end and after an error. */
LSMKV_API bool lsmkv_iter_valid(const struct lsmkv_iter *iter);
/* 0 or the error that ended the walk. */
LSMKV_API LSMKV_CHECKED int lsmkv_iter_status(const struct lsmkv_iter *iter);
/* Both hold until the iterator moves. */
LSMKV_API struct lsmkv_slice lsmkv_iter_key(const struct lsmkv_iter *iter);
LSMKV_API const struct lsmkv_record *lsmkv_iter_record(const struct lsmkv_iter *iter);
/* The value of a valid iterator's record, read if it was not yet: an error concerns this value
 * alone.  Holds until the iterator moves. */
LSMKV_API LSMKV_CHECKED int lsmkv_iter_value(struct lsmkv_iter *iter,
                                             struct lsmkv_slice *value);
/* Copies `size` bytes of that value, from `from` on.  Of a long value that was not read yet no more
 * is read and checked than that needs: damage elsewhere in it is not noticed.  -ERANGE: it has not
 * so many; after other errors the buffer may have been written to. */
LSMKV_API LSMKV_CHECKED int lsmkv_iter_value_copy(struct lsmkv_iter *iter, size_t from,
                                                  size_t size, void *buffer);

/* ---- snapshots ---- */

struct lsmkv_snapshot_info {
    char name[LSMKV_NAME_MAX + 1];
    uint64_t id;       /* of this store, never given to another snapshot */
    uint64_t sequence; /* the last one it sees */
    int64_t time;      /* of its making, nanoseconds since 1970 */
};

/* A named snapshot is durable, with all it sees, when this returns, and lasts until dropped.
 * A name has 1 to 255 bytes without '/' or NUL.  `info` may be NULL. */
LSMKV_API LSMKV_CHECKED int lsmkv_snapshot_create(struct lsmkv *db, const char *name,
                                                  struct lsmkv_snapshot_info *info);
LSMKV_API LSMKV_CHECKED int lsmkv_snapshot_drop(struct lsmkv *db, const char *name);
/* -EEXIST: `to` is taken. */
LSMKV_API LSMKV_CHECKED int lsmkv_snapshot_rename(struct lsmkv *db, const char *from,
                                                  const char *to);
/* In order of creation; stops at the first non-zero result of `each` and returns it. */
LSMKV_API LSMKV_CHECKED int lsmkv_snapshot_list(
    struct lsmkv *db, int (*each)(void *context, const struct lsmkv_snapshot_info *info),
    void *context);
/* A handle to read a named snapshot: what it sees stays readable until lsmkv_snapshot_release,
 * even if the name is dropped meanwhile.  `info` may be NULL. */
LSMKV_API LSMKV_CHECKED int lsmkv_snapshot_open(struct lsmkv *db, const char *name,
                                                struct lsmkv_snapshot **snapshot,
                                                struct lsmkv_snapshot_info *info);
/* A handle to the newest state, without a name, gone with the handle. */
LSMKV_API LSMKV_CHECKED int lsmkv_snapshot_take(struct lsmkv *db,
                                                struct lsmkv_snapshot **snapshot);
LSMKV_API void lsmkv_snapshot_release(struct lsmkv *db, struct lsmkv_snapshot *snapshot);
LSMKV_API uint64_t lsmkv_snapshot_sequence(const struct lsmkv_snapshot *snapshot);

/* ---- changes ---- */

/* Zero it and set what differs. */
struct lsmkv_changes_options {
    const struct lsmkv_snapshot *from; /* NULL: the empty store */
    const struct lsmkv_snapshot
        *to; /* NULL: the newest state, as it was when the walk was made */
    struct lsmkv_slice lower, upper; /* as an iterator's */
    /* Asked now and then on the way, which may be long to the first key that is told.  False ends
     * the walk with -ECANCELED.  NULL: it goes on. */
    bool (*go_on)(void *context);
    void *context;
};

struct lsmkv_changes;

/* A walk over the keys that were put, deleted or moved after `from` and not after `to`, each once,
 * in their order.  Every key of which the record differs between the two is among them; so may be
 * one that was put again as it was, or put and deleted in between: lsmkv_get with either tells.
 * Costs the reading of the blocks in which something newer than `from` stands, whatever else there
 * is.  It may outlive the handles, but not `db`, and keeps what it reads from being deleted.
 * -EINVAL: `from` is newer than `to`.  One thread at a time. */
LSMKV_API LSMKV_CHECKED int lsmkv_changes_new(struct lsmkv *db,
                                              struct lsmkv_keyspace *keyspace,
                                              const struct lsmkv_changes_options *options,
                                              struct lsmkv_changes **changes);
LSMKV_API void lsmkv_changes_free(struct lsmkv_changes *changes);
/* To the first key, then to the next; false at the end and after an error. */
LSMKV_API LSMKV_CHECKED bool lsmkv_changes_next(struct lsmkv_changes *changes);
/* 0 or the error that ended the walk: of reading, -ENOMEM, -ECANCELED. */
LSMKV_API LSMKV_CHECKED int lsmkv_changes_status(const struct lsmkv_changes *changes);
/* After lsmkv_changes_next was true; holds until it is called again. */
LSMKV_API struct lsmkv_slice lsmkv_changes_key(const struct lsmkv_changes *changes);

/* Zero it and set what differs. */
struct lsmkv_rollback_options {
    const struct lsmkv_keyspace *except; /* stays as it is; NULL: none does */
    /* Keys that were put back, now and then, and in the end all; NULL: not wanted. */
    void (*progress)(void *context, uint64_t keys);
    void *context;
};

/* Makes every keyspace hold what `snapshot` sees: of each key that changed since, the record that it
 * had, with its stamp.  At once, and durable when it returns; or nothing changes.  Keyspaces made
 * since are empty then.  Snapshots, newer ones too, stay as they are; writers wait meanwhile, readers
 * go on.  It may use the reserve of free space.  `options` may be NULL.  -ENOSPC; -EROFS; what ended
 * the reading of a damaged store; an error of writing, which after a failed sync says that the store
 * is poisoned, and reopened holds the one state or the other. */
LSMKV_API LSMKV_CHECKED int lsmkv_rollback(struct lsmkv *db,
                                           const struct lsmkv_snapshot *snapshot,
                                           const struct lsmkv_rollback_options *options);

/* ---- upkeep ---- */

/* Writes the memtables to tables and waits for it. */
LSMKV_API LSMKV_CHECKED int lsmkv_flush(struct lsmkv *db);
/* Merges all tables that hold keys in [from, to] down to the deepest level, and waits.  NULL
 * data: no bound. */
LSMKV_API LSMKV_CHECKED int lsmkv_compact(struct lsmkv *db,
                                          struct lsmkv_keyspace *keyspace,
                                          struct lsmkv_slice from, struct lsmkv_slice to);
/* Waits until no flush or compaction is due. */
LSMKV_API LSMKV_CHECKED int lsmkv_settle(struct lsmkv *db);
/* Was free space below the reserve at the last look?  No lock, no system call. */
LSMKV_API bool lsmkv_is_full(const struct lsmkv *db);
/* After -ENOSPC: what was deleted or overwritten comes free in the background.  Waits until a put
 * may succeed, at most `ms` milliseconds.  -ENOSPC: there is nothing to come; -ETIMEDOUT: there may
 * be. */
LSMKV_API LSMKV_CHECKED int lsmkv_wait_for_space(struct lsmkv *db, unsigned ms);

/* Counters since the store was opened, and sizes now. */
struct lsmkv_stats {
    uint64_t sequence;                            /* last published */
    uint64_t writes, write_groups, write_entries; /* batches, groups, entries */
    uint64_t log_bytes_written, log_syncs;
    uint64_t direct_bytes_written; /* to blob files, in place of the log */
    uint64_t logs, log_bytes;      /* live files, now */
    /* Of what was written to logs and blob files: bytes that no sync has covered yet, now. */
    uint64_t unsynced_bytes;
    uint64_t gets, lookups, iterators, seeks;
    uint64_t blocks_read, block_bytes_read, cache_hits, cache_misses;
    uint64_t filter_checks, filter_negatives, filter_false_positives;
    uint64_t flushes, flush_bytes_written;
    uint64_t compactions, trivial_moves, compaction_bytes_read, compaction_bytes_written;
    uint64_t stall_slowdowns, stall_stops;
    uint64_t manifest_lines, manifest_bytes;
    uint64_t memtable_bytes, cache_bytes; /* now */
    /* Sets of memtables, now: one is written to, the others wait to be flushed. */
    uint64_t memtable_sets;
    uint64_t cache_limit_bytes;           /* what the cache may come to */
    uint64_t tables, table_bytes;         /* now */
    uint64_t blob_files, blob_file_bytes; /* now; of these bytes, nothing refers to: */
    uint64_t blob_dead_bytes;
    uint64_t blobs_read, blob_bytes_read, blob_bytes_written;
    uint64_t snapshots;                              /* named, now */
    uint64_t free_bytes, total_bytes, reserve_bytes; /* of the file system beneath, now */
    uint64_t dead_range_skips;                       /* runs of dead keys jumped over */
    uint64_t unclean_stop; /* 1: nobody had closed it: see "lsmkv.recovery" */
};

LSMKV_API LSMKV_CHECKED int lsmkv_get_stats(struct lsmkv *db, struct lsmkv_stats *stats);

/* Bytes of the file system beneath, now, as in lsmkv_stats; one system call. */
struct lsmkv_space {
    uint64_t free_bytes, total_bytes;
    uint64_t reserve_bytes; /* of the free ones, not for puts */
};

LSMKV_API LSMKV_CHECKED int lsmkv_get_space(struct lsmkv *db, struct lsmkv_space *space);

/* A level of a keyspace: what it is now, and what went into it since the store was opened. */
struct lsmkv_level_stats {
    const char *keyspace; /* its name; holds for the call */
    unsigned level;
    uint64_t tables, bytes;
    double score;           /* 1 and more: it is to be merged into a deeper one */
    uint64_t tables_a_read; /* that a get may have to look into */
    uint64_t bytes_in;      /* of tables that were flushed to it or came from above */
    uint64_t bytes_written; /* of tables that were written to it for that */
    uint64_t merging_tables, merging_bytes; /* read by the merge under way */
    uint64_t due;           /* tables of level 0, bytes of a deeper one; 0: never */
    uint64_t merges, moves; /* that took tables of it; moved ones are not rewritten */
};

/* Calls `each` for every level that has, or has had, a table, keyspaces in order of creation;
 * stops at its first non-zero result and returns that.  `each` must not call back into the store. */
LSMKV_API LSMKV_CHECKED int lsmkv_level_list(
    struct lsmkv *db, int (*each)(void *context, const struct lsmkv_level_stats *level),
    void *context);

/* A sequence that merges keep readable. */
struct lsmkv_pin {
    const char *snapshot; /* whose; "": of a handle alone.  Holds for the call */
    int64_t time; /* of the snapshot's making, nanoseconds since 1970; 0: of a handle */
    uint64_t sequence;
    /* Tables that hold something as old, with the values that stand apart from them: no more can be
     * kept for this pin, and most of it may be needed without it. */
    uint64_t tables, bytes;
};

/* Calls `each` for every pin, those of older sequences first; stops at its first non-zero result
 * and returns that. */
LSMKV_API LSMKV_CHECKED int lsmkv_pin_list(struct lsmkv *db,
                                           int (*each)(void *context,
                                                       const struct lsmkv_pin *pin),
                                           void *context);

/* A property as text: "lsmkv.stats" (a counter a line), "lsmkv.levels" (a line a keyspace, and
 * one for each of its levels that has, or has had, a table: how many and how large, its score,
 * what it is due at, and how many merges and moves have taken tables of it, as of
 * lsmkv_level_stats), "lsmkv.recovery", "lsmkv.error".  Writes at most `size` bytes with the final
 * NUL and returns the length of the whole text, as snprintf; -ENOENT for an unknown name. */
LSMKV_API int lsmkv_property(struct lsmkv *db, const char *name, char *buffer,
                             size_t size);

#ifdef __cplusplus
}
#endif

#endif
