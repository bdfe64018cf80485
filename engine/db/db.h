/*
 * db.h - an open store: what its threads share, and who guards what.
 *
 * One log is one generation of memtables, one memtable a keyspace.  The active generation
 * takes writes; a full one freezes, is flushed to at most one level-0 table a keyspace, and
 * goes, together with its log, in one manifest line.
 *
 * A reader takes the keyspace's view (memtables and version) and the published sequence, and
 * needs no lock after that; a get, not even for that.
 *
 * Locks, outermost first:
 *   the writer's turn    one thread at a time writes to the log and the active memtables;
 *                        a place at the head of a queue, not a mutex (write.c)
 *   the sync's turn      one sync of the log at a time, beside writes; likewise (sync.c)
 *   manifest_mutex       one manifest line at a time (install.c)
 *   mutex                everything marked below
 *   leaf mutexes         of table files, blob files, dead ranges, the reaper, the reporter:
 *                        nothing is locked inside them
 *
 * D1  last_sequence is published after the memtable inserts it covers, under mutex.
 * D2  A snapshot's sequence is chosen and the snapshot registered in one hold of mutex; a
 *     merge takes its list of snapshots and last_sequence in one hold of mutex.  So no
 *     snapshot is missed (invariant 11).
 * D3  Views change only under mutex; a view, once made, never changes.
 * D4  A get does not take mutex.  Inside an epoch it loads the view, then last_sequence, and then
 *     the same view once more, which was current when it loaded the sequence: so it holds all
 *     entries up to that.  It takes a reference and leaves the epoch before any I/O.
 */
#ifndef DB_DB_H
#define DB_DB_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/epoch.h"
#include "base/mutex.h"
#include "base/report.h"
#include "compaction/compaction.h"
#include "env/env.h"
#include "iter/dead_ranges.h"
#include "log/batch.h"
#include "log/wal.h"
#include "lsmkv.h"
#include "manifest/manifest.h"
#include "manifest/version.h"
#include "memtable/memtable.h"
#include "table/cache.h"
#include "table/table.h"

#define LOCK_NAME "LOCK"
/* Numbers beyond these no store comes to: one that names them does not open.  They are far
 * below where the formats end, so what one opening adds still fits. */
#define FILE_NUMBER_MAX (UINT64_C(1) << 60) /* of snapshots, too */
#define SEQUENCE_LIMIT  (SEQUENCE_MAX / 2)

#define FROZEN_MAX 2u /* frozen generations before writers wait for the flush */
/* Each is a descriptor, and one more file to sync with the log. */
#define GENERATION_BLOBS_MAX 32u
#define FAILURES_TOLD \
    2u /* a flush that failed once may have met a merge's passing outputs */

/* The memtables of one log. */
struct generation {
    struct generation *newer; /* guarded by db->mutex */
    atomic_uint refs;         /* the store's one, and one a view */
    struct lsmkv *db;
    uint64_t log_number;
    bool flushed; /* and its log replaced: set before the store's reference goes */
    /* Blob files that the log refers to, and so the memtables (direct.h); of the active one in the
     * writer's turn, then constant. */
    struct generation_blob {
        uint64_t number, size;
        uint32_t keyspace;
    } * blobs;
    size_t blob_count; /* at most GENERATION_BLOBS_MAX */
    /* What adds to each, in the same order; NULL: nothing is added, or not any more.  Set in the
     * writer's turn, gone in both turns: so read in either. */
    struct blob_appender *_Atomic appenders[GENERATION_BLOBS_MAX];
    size_t count; /* of slots; grows, under mutex, when a keyspace is made */
    struct generation_slot {
        uint32_t keyspace;
        struct memtable *memtable;
        bool dropped; /* the keyspace: takes no more entries */
        size_t need_bytes,
            need_count; /* of the group being written; in the writer's turn */
    } * slots;
};

/* What a reader of one keyspace looks into.  Immutable.  Counted by who keeps it; read without
 * being counted inside an epoch (epoch.h). */
struct view {
    struct retired retired; /* first: when nobody counts it any more */
    struct limbo *limbo;
    atomic_uint refs;
    struct version *version;
    size_t count;                    /* of generations, newest first */
    struct generation **generations; /* referenced */
    struct memtable **memtables;     /* this keyspace's in each */
};

struct lsmkv_keyspace {
    struct lsmkv *db;
    uint32_t id;
    enum lsmkv_order order;
    enum lsmkv_compression compression;
    char name[LSMKV_NAME_MAX + 1];
    struct dead_ranges *dead_ranges; /* NULL: not remembered */
    uint64_t created_sequence;       /* 0: before this opening */
    /* guarded by db->mutex */
    struct lsmkv_keyspace *next; /* in order of creation */
    struct view *_Atomic view;   /* read without the mutex, too (D4) */
    bool collect_known,
        collect_due,      /* of blob files; known since the tables changed last */
        collect_dead;     /* for what is dead, and not only for small ones */
    uint64_t small_below; /* small ones before this number are to go together; 0: none */
    struct level_traffic {
        uint64_t in, written;   /* bytes since opening, as of lsmkv_level_stats */
        uint64_t merges, moves; /* that took tables of it, likewise */
    } traffic[LEVEL_COUNT];
    /* guarded by the compaction's turn */
    struct compaction_cursor cursor;
    unsigned failed_levels; /* bit i: the merge of level i failed, others come first; bit
                             * LEVEL_COUNT: a collection */
};

/* A pinned read sequence, in a list that ascends by sequence. */
struct lsmkv_snapshot {
    struct lsmkv_snapshot *prev, *next; /* guarded by db->mutex */
    uint64_t sequence;
};

struct named_snapshot {
    struct named_snapshot *next; /* in order of creation */
    struct lsmkv_snapshot *pin;
    struct lsmkv_snapshot_info info;
    bool durable; /* its manifest line is written; until then only the name is taken */
};

/* What readers count, beside what the tables do (enum table_count), in one tally. */
enum read_count {
    READ_GETS = TABLE_COUNTS,
    READ_LOOKUPS,
    READ_ITERATORS,
    READ_SEEKS,
    READ_DEAD_RANGE_SKIPS,
    READ_COUNTS
};
static_assert(READ_COUNTS <= TALLY_COUNTS, "a tally holds them all");

/* What writers and background threads count. */
struct db_counters {
    atomic_uint_fast64_t writes, write_groups, write_entries;
    atomic_uint_fast64_t log_bytes_written, log_syncs;
    atomic_uint_fast64_t flushes, flush_bytes_read, flush_bytes_written;
    atomic_uint_fast64_t compactions, trivial_moves;
    atomic_uint_fast64_t compaction_bytes_read, compaction_bytes_written;
    atomic_uint_fast64_t blob_bytes_written, direct_bytes_written; /* these of those */
    atomic_uint_fast64_t stall_slowdowns, stall_stops;
    atomic_uint_fast64_t manifest_lines, manifest_bytes;
};

/* Files that nothing refers to any more, waiting for the one place that deletes (files.c). */
struct obsolete_files {
    struct file_reaper reaper; /* first member */
    struct mutex mutex;
    struct obsolete_file {
        enum file_kind kind;
        uint64_t number;
    } * files;
    size_t count;
    unsigned deleting; /* threads that took files from here and are at it */
    atomic_bool any;
    atomic_bool stopped; /* a manifest line is in doubt: nothing is deleted any more */
};

/* A place in the queue of writers, on the stack of the thread that waits (write.c). */
struct writer {
    struct writer *next;
    struct lsmkv_batch *batch; /* NULL: wants the turn itself */
    bool sync;
    /* Set before `told` is posted: it is done, with this result; else it has the turn. */
    bool done;
    int result;
    struct semaphore told;
};

/* A place in the queue for a sync of the log, on the stack of the thread that waits (sync.c). */
struct syncer {
    struct syncer *next;
    uint64_t wanted; /* `logged` when it came: what is to be durable */
    /* As a writer's. */
    bool done;
    int result;
    struct semaphore told;
};

/* Rounds that free what was deleted (reclaim.c). */
struct reclaim {
    atomic_bool is_short;         /* a write found space short; rounds go on */
    atomic_uint_fast64_t deletes; /* since the last round began */
    /* guarded by db->mutex */
    bool noted;    /* something was deleted or let go since the last round began */
    bool released; /* by snapshots that were dropped: of these sequences */
    uint64_t released_from, released_to;
    bool let_go; /* the same, since the last round began */
    bool running;
    bool quiet;       /* it runs without shortage (R4) */
    bool wants_turn;  /* a round waits for the writer's */
    unsigned rest;    /* sleeps before the next round */
    uint64_t seen;    /* bytes_logged, from which on it is counted whether all is quiet */
    unsigned in_vain; /* rounds in a row that freed less than they wrote */
    /* The compaction thread's own, during a round: the next merge, and what was before. */
    bool in_place, failed;
    uint64_t from, to; /* what was released when it began */
    uint32_t keyspace;
    int level; /* LEVEL_COUNT: it collects blob files */
    struct keybuf after;
    uint64_t free_before, written_before;
};

struct lsmkv {
    /* Constant after opening. */
    struct lsmkv_env *env;
    struct lsmkv_options options;
    struct env_dir *dir;
    struct env_lock *lock;
    struct reporter reporter;
    struct block_cache *cache;
    struct open_files *files;
    struct blob_files *blobs;
    struct table_context tables;
    struct block_pool pool; /* of the memtables; has its own mutex */
    bool is_rebuilt; /* salvaging: MANIFEST cannot be relied upon, V3 does not hold */
    struct lsmkv_keyspace *default_keyspace;
    uint64_t space_reserve;
    char *recovery_text; /* what the opening found */
    bool was_stopped;    /* it found logs that nobody had closed */
    struct env_thread *flush_thread, *compaction_thread;

    struct db_counters counters;
    struct tally reads; /* enum table_count, enum read_count */
    struct obsolete_files obsolete;
    struct limbo limbo; /* views that readers may still be in */
    struct reclaim reclaim;
    atomic_uint_fast64_t next_file;
    atomic_bool closing;
    atomic_bool space_low; /* at the last look, free space was below the reserve */

    /* How often frames were appended to the log since opening, by who has the writer's turn; and how
     * many of these are durable, by who has the sync's. */
    atomic_uint_fast64_t logged, durable;
    atomic_uint_fast64_t durable_bytes; /* of bytes_logged; by who has the sync's turn */

    /* The writer's turn. */
    size_t direct_least;    /* of direct.h, L5 */
    struct wal_writer *wal; /* exchanged in the sync's turn, too */
    uint64_t next_sequence;
    uint64_t space_checked_at; /* log bytes written at the last look at free space */

    struct mutex manifest_mutex;
    struct manifest *manifest; /* guarded by manifest_mutex */

    struct mutex mutex;
    /* guarded by mutex */
    struct condition work;     /* for the background threads */
    struct condition progress; /* a flush, a compaction, an error or a turn ended */
    _Atomic uint64_t
        last_sequence; /* published: what readers see; read without it, too */
    struct generation *oldest, *active;
    unsigned frozen; /* generations before the active one */
    size_t
        view_room; /* generations that fit the views being prepared while a manifest line is
                         written; 0: none is */
    struct lsmkv_keyspace *keyspaces;
    uint32_t next_keyspace;
    struct lsmkv_snapshot snapshots; /* head of the ring of pins */
    struct named_snapshot *named;
    uint64_t next_snapshot;
    struct writer *writers, *last_writer; /* the queue */
    struct syncer *syncers, *last_syncer; /* likewise */
    bool compacting;                      /* somebody has the compaction's turn */
    uint64_t paced_until;                 /* of that turn: see pace in compact.c */
    struct merge_now {                    /* without tables: nothing is being merged */
        uint32_t keyspace;
        int level[2]; /* of both inputs */
        uint64_t tables[2], bytes[2];
    } merge;
    bool flushing;
    int poison;           /* a failed sync: no more writes until reopened */
    int flush_error;      /* of the last flush; cleared by success */
    int compaction_error; /* of the last merge; likewise */
    unsigned flush_failures, compaction_failures; /* in a row */
    char *lock_note;
    bool lock_closing;
};

/* ---- views and generations (view.c) ---- */

/* A generation with an empty memtable for each keyspace. */
int LSMKV_CHECKED generation_new(struct lsmkv *db, uint64_t log_number,
                                 struct generation **generation)
    LSMKV_REQUIRES(db->mutex);
int LSMKV_CHECKED generation_add_keyspace(struct lsmkv *db, struct generation *generation,
                                          uint32_t keyspace, enum lsmkv_order order);
/* Takes back the last one added; no view has it. */
void generation_take_back(struct generation *generation, uint32_t keyspace);
/* NULL: it has none for the keyspace. */
struct generation_slot *generation_slot(const struct generation *generation,
                                        uint32_t keyspace);
struct memtable *generation_memtable(const struct generation *generation,
                                     uint32_t keyspace);
bool generation_is_empty(const struct generation *generation);
size_t generation_memory(const struct generation *generation);
/* Bytes of its blob files; in the writer's turn. */
uint64_t generation_blob_bytes(const struct generation *generation);
/* It refers to a blob file, of at least `size` bytes.  -ENOMEM; -EUCLEAN as blob_files_ref, and if it
 * would be one file too many. */
int LSMKV_CHECKED generation_refer(struct generation *generation, uint32_t keyspace,
                                   uint64_t number, uint64_t size);
/* Takes the last one back. */
void generation_refer_no_more(struct generation *generation);
void generation_unref(struct generation *generation);

/* Makes the view of `keyspace` anew from the live generations and `version`. */
int LSMKV_CHECKED view_install(struct lsmkv *db, struct lsmkv_keyspace *keyspace,
                               struct version *version) LSMKV_REQUIRES(db->mutex);
/* The views of all keyspaces anew, all or none. */
int LSMKV_CHECKED view_install_all(struct lsmkv *db) LSMKV_REQUIRES(db->mutex);

/* The same in two steps, for what must not fail once a log or a manifest line is written: memory
 * for a view a keyspace, each with room for so many generations; and its use. */
struct view_set {
    struct view **views;
    size_t count;
};
int LSMKV_CHECKED view_set_reserve(struct lsmkv *db, size_t room, struct view_set *set)
    LSMKV_REQUIRES(db->mutex);
void view_set_install(struct lsmkv *db, struct view_set *set,
                      struct lsmkv_keyspace *keyspace, struct version *version)
    LSMKV_REQUIRES(db->mutex);
/* All keyspaces, with the versions that they have. */
void view_set_install_all(struct lsmkv *db, struct view_set *set)
    LSMKV_REQUIRES(db->mutex);
void view_set_fini(struct view_set *set);
void view_unref(struct view *view);
/* Counts a view that is read inside an epoch.  False: the last that counted it has gone. */
bool LSMKV_CHECKED view_try_ref(struct view *view);

/* What a read begins with: NULL keyspace and NULL snapshot stand for the default and the
 * newest.  The view is referenced. */
struct read_point {
    struct lsmkv_keyspace *keyspace;
    struct view *view;
    uint64_t sequence;
};
struct read_point read_point_take(struct lsmkv *db, struct lsmkv_keyspace *keyspace,
                                  const struct lsmkv_snapshot *snapshot);
/* The same inside an epoch: the view is not referenced (D4). */
struct read_point read_point_peek(struct lsmkv *db, struct lsmkv_keyspace *keyspace,
                                  const struct lsmkv_snapshot *snapshot);
/* An internal iterator over everything in a view; borrows the view.  `upper` as in
 * table_iterate_to. */
int LSMKV_CHECKED view_iterate(const struct view *view, enum lsmkv_order order,
                               enum table_walk walk, struct lsmkv_slice upper,
                               struct iterator **it);

/* ---- writing (write.c, room.c) ---- */

/* Waits for the writer's turn: no other write, rotation, tree move, keyspace or snapshot change
 * runs until writer_end. */
void writer_begin(struct lsmkv *db, struct writer *writer) LSMKV_EXCLUDES(db->mutex);
void writer_end(struct lsmkv *db, struct writer *writer) LSMKV_EXCLUDES(db->mutex);
/* Writes one batch while holding the turn: log, sync, memtables, publish. */
int LSMKV_CHECKED write_in_turn(struct lsmkv *db, struct lsmkv_batch *batch,
                                unsigned flags) LSMKV_EXCLUDES(db->mutex);
/* Freezes the active generation and begins a new log; in the writer's turn.  The old log is
 * wholly synced first (invariant 4). */
int LSMKV_CHECKED rotate(struct lsmkv *db) LSMKV_EXCLUDES(db->mutex);
/* Waits until the active generation has room, slowing down and stopping as the levels demand;
 * in the writer's turn. */
int LSMKV_CHECKED make_room(struct lsmkv *db) LSMKV_EXCLUDES(db->mutex);
/* -ENOSPC if free space is below the reserve and the batch adds data (invariant 15); without
 * a batch, of something that does. */
int LSMKV_CHECKED space_check(struct lsmkv *db, const struct lsmkv_batch *batch);
/* Looks at free space again once a MiB of what writers wrote; in the writer's turn. */
void space_look(struct lsmkv *db);
/* Space is short, by a look or as the disk itself said: somebody else may have filled it. */
void space_note_full(struct lsmkv *db) LSMKV_EXCLUDES(db->mutex);
/* Puts are refused, as far as is known. */
bool space_presses(const struct lsmkv *db);
/* The most level-0 tables of any keyspace. */
size_t l0_count(struct lsmkv *db) LSMKV_REQUIRES(db->mutex);
/* Poisons the store: no write succeeds until it is opened again.  Returns `error`. */
int poison(struct lsmkv *db, int error) LSMKV_EXCLUDES(db->mutex);
/* 0, or why the store takes no writes: poisoned, or read-only. */
int LSMKV_CHECKED check_writable(struct lsmkv *db) LSMKV_EXCLUDES(db->mutex);

/* ---- syncing (sync.c) ---- */

/* Makes durable what was in the log before the call; with or without the writer's turn.  A failed
 * sync has poisoned the store; else it fails only if that was poisoned before. */
int LSMKV_CHECKED sync_log(struct lsmkv *db) LSMKV_EXCLUDES(db->mutex);
/* Waits for the sync's turn: no sync runs until syncer_end.  In the writer's turn. */
void syncer_begin(struct lsmkv *db, struct syncer *syncer) LSMKV_EXCLUDES(db->mutex);
void syncer_end(struct lsmkv *db, struct syncer *syncer) LSMKV_EXCLUDES(db->mutex);
/* Bytes that writers have given to logs and to blob files beside them since opening. */
uint64_t bytes_logged(const struct lsmkv *db);

/* ---- the manifest (install.c) ---- */

/* Makes `edit` durable as one manifest line, then true in memory, in one hold of mutex:
 * versions, the generations up to `retired` (flushed; NULL: none) gone, `publish` (0: none) as
 * the new last_sequence.  On failure the tables that the edit adds are deleted, unless the line may
 * have become durable; then the store is poisoned. */
int LSMKV_CHECKED install(struct lsmkv *db, struct manifest_edit *edit,
                          struct generation *retired, uint64_t publish)
    LSMKV_EXCLUDES(db->mutex);
/* Replaces the manifest by one that names what this version writes (M5). */
int LSMKV_CHECKED install_manifest(struct lsmkv *db);
/* The whole state as one edit, for rolling. */
int LSMKV_CHECKED state_edit(struct lsmkv *db, struct manifest_edit *edit)
    LSMKV_REQUIRES(db->mutex);

/* ---- keyspaces (keyspace.c) ---- */

struct lsmkv_keyspace *keyspace_by_id(struct lsmkv *db, uint32_t id)
    LSMKV_REQUIRES(db->mutex);
/* In memory alone: a keyspace as the manifest has it, empty, at the end of the list. */
int LSMKV_CHECKED keyspace_register(struct lsmkv *db,
                                    const struct edit_keyspace *described)
    LSMKV_REQUIRES(db->mutex);
/* Of the keyspaces that an edit creates: all that needs memory, in a list; then what the edit,
 * durable now, says of keyspaces, in memory; or the list is given up.  In the writer's turn, if
 * there are any. */
int LSMKV_CHECKED keyspaces_make(struct lsmkv *db, const struct manifest_edit *edit,
                                 struct lsmkv_keyspace **made) LSMKV_REQUIRES(db->mutex);
void keyspaces_apply(struct lsmkv *db, const struct manifest_edit *edit,
                     struct lsmkv_keyspace **made) LSMKV_REQUIRES(db->mutex);
void keyspaces_unmake(struct lsmkv *db, struct lsmkv_keyspace **made)
    LSMKV_REQUIRES(db->mutex);
void keyspace_free(struct lsmkv_keyspace *keyspace);

/* ---- snapshots (snapshot.c) ---- */

/* In memory alone: a named snapshot as the manifest has it. */
int LSMKV_CHECKED snapshot_register(struct lsmkv *db,
                                    const struct lsmkv_snapshot_info *info,
                                    struct named_snapshot **named)
    LSMKV_REQUIRES(db->mutex);
/* What a durable edit says of named snapshots, in memory. */
void snapshots_apply(struct lsmkv *db, const struct manifest_edit *edit)
    LSMKV_REQUIRES(db->mutex);
/* All pinned sequences, each once, and last_sequence at the end; ascending; malloced (D2). */
int LSMKV_CHECKED snapshot_sequences(struct lsmkv *db, uint64_t **sequences,
                                     size_t *count) LSMKV_EXCLUDES(db->mutex);
void snapshots_free_all(struct lsmkv *db);

/* ---- background work (background.c, flush.c, compact.c) ---- */

int LSMKV_CHECKED background_start(struct lsmkv *db);
/* Ends the threads; a merge under way is cancelled. */
void background_stop(struct lsmkv *db) LSMKV_EXCLUDES(db->mutex);
/* Flushes the oldest frozen generation, and those behind it as far as they are small; 0 if there is
 * none. */
int LSMKV_CHECKED flush_oldest(struct lsmkv *db) LSMKV_EXCLUDES(db->mutex);
/* Waits until the generation of log `number` and all before it are flushed, or a flush fails. */
int LSMKV_CHECKED flush_wait(struct lsmkv *db, uint64_t number) LSMKV_EXCLUDES(db->mutex);
/* Does the most urgent compaction, if one is due. */
int LSMKV_CHECKED compact_once(struct lsmkv *db) LSMKV_EXCLUDES(db->mutex);
bool compaction_due(struct lsmkv *db) LSMKV_REQUIRES(db->mutex);
/* Something may have become due without a write: the thread looks. */
void compaction_wake(struct lsmkv *db) LSMKV_EXCLUDES(db->mutex);
/* The same, but for merges that failed and wait for others. */
bool compaction_presses(struct lsmkv *db) LSMKV_REQUIRES(db->mutex);
/* What is said of each level, 0 and empty ones included. */
void level_stats_of(const struct lsmkv *db, const struct lsmkv_keyspace *keyspace,
                    struct lsmkv_level_stats levels[LEVEL_COUNT])
    LSMKV_REQUIRES(db->mutex);
/* Does it have, or has it had, a table? */
bool level_is_told(const struct lsmkv_level_stats *level);
struct compaction_limits compaction_limits_of(const struct lsmkv *db,
                                              const struct lsmkv_keyspace *keyspace);
/* Free bytes that a merge leaves alone: memtables and their logs need them, so that deletes go on
 * while it runs (invariant 15). */
uint64_t compaction_kept(const struct lsmkv *db);
/* may_write of a build_context whose `store` is the db: -ENOSPC if `size` bytes would leave less. */
int LSMKV_CHECKED compaction_may_write(void *store, uint64_t size);
/* One merge at a time. */
void compaction_turn_take(struct lsmkv *db) LSMKV_REQUIRES(db->mutex);
void compaction_turn_end(struct lsmkv *db) LSMKV_EXCLUDES(db->mutex);
/* Merges and installs; in the compaction's turn. */
int LSMKV_CHECKED compaction_do(struct lsmkv *db, struct lsmkv_keyspace *keyspace,
                                const struct compaction *compaction)
    LSMKV_EXCLUDES(db->mutex);

/* ---- space from what was deleted (reclaim.c) ---- */

/* At the opening of a store, before its threads start. */
void reclaim_begin(struct lsmkv *db) LSMKV_EXCLUDES(db->mutex);
/* A write found space short. */
void reclaim_note_short(struct lsmkv *db) LSMKV_EXCLUDES(db->mutex);
/* So many keys were deleted; RECLAIM_MANY: it may be that many. */
#define RECLAIM_MANY 512u
void reclaim_note_deletes(struct lsmkv *db, uint64_t count) LSMKV_EXCLUDES(db->mutex);
/* No snapshot sees that sequence any more: what was kept for it may go. */
void reclaim_note_released(struct lsmkv *db, uint64_t sequence) LSMKV_REQUIRES(db->mutex);
/* Is there something to be freed, now or after a rest?  Is it now?  Is it later?  Pending is, too,
 * what waits for quiet. */
bool reclaim_is_pending(struct lsmkv *db) LSMKV_REQUIRES(db->mutex);
bool reclaim_due(struct lsmkv *db) LSMKV_REQUIRES(db->mutex);
bool reclaim_rests(struct lsmkv *db) LSMKV_REQUIRES(db->mutex);
/* The compaction thread slept so many times, whatever for. */
void reclaim_rested(struct lsmkv *db, unsigned sleeps) LSMKV_EXCLUDES(db->mutex);
/* Begins a round, or does its next merge; in the compaction thread. */
void reclaim_step(struct lsmkv *db) LSMKV_EXCLUDES(db->mutex);
void reclaim_fini(struct lsmkv *db);

/* A build context for `keyspace`; `sequences` must outlive it. */
struct build_context build_context_of(struct lsmkv *db,
                                      const struct lsmkv_keyspace *keyspace,
                                      const uint64_t *sequences, size_t count);

/* ---- files (files.c) ---- */

uint64_t file_number_take(struct lsmkv *db);
/* "000012.log", "000012.sst", "000012.blob"; `name` has TABLE_NAME_SIZE bytes. */
void file_name(char *name, enum file_kind kind, uint64_t number);
/* False for any other name. */
bool file_name_parse(const char *name, uint64_t *number, enum file_kind *kind);
void obsolete_init(struct obsolete_files *obsolete);
void obsolete_fini(struct obsolete_files *obsolete);
/* Deletes what the reaper was given; costs next to nothing when that is nothing. */
void files_delete_obsolete(struct lsmkv *db) LSMKV_EXCLUDES(db->mutex);
/* Is there still something to delete, or somebody who does? */
bool files_are_going(struct lsmkv *db);
/* Gives the tables of an edit that will not be installed, and the blob files made for them, to the
 * reaper. */
void files_discard_added(struct lsmkv *db, const struct manifest_edit *edit);
/* Deletes logs below `oldest_log` after the line that replaced them is durable (W2). */
void files_delete_logs(struct lsmkv *db, uint64_t from, uint64_t oldest_log);
/* All logs at or above `oldest_log`, ascending, and the highest number of any file. */
int LSMKV_CHECKED files_scan(struct lsmkv *db, uint64_t oldest_log, uint64_t **logs,
                             size_t *count, uint64_t *highest);
/* Deletes tables and blob files that no version and no generation names and logs below
 * `oldest_log`, left by a crash; at opening, after replay, with an undamaged manifest (invariant
 * 9). */
int LSMKV_CHECKED files_sweep(struct lsmkv *db, uint64_t oldest_log);

/* ---- opening (open.c, recover.c) ---- */

/* Replays the logs into frozen generations; sets `last`, next_sequence, last_sequence. */
int LSMKV_CHECKED recover_logs(struct lsmkv *db, uint64_t oldest_log,
                               const struct closed_mark *closed,
                               struct wal_previous *last);
int LSMKV_CHECKED lock_take(struct lsmkv *db, const char *path);

#endif
