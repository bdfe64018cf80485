/*
 * compaction.h - choosing what to merge (pick.c: pure, state in, choice out), merging it
 * (merge_tables.c), and what both flush and compaction share: which versions survive
 * (retain.c) and how sorted entries become tables (build.c).
 *
 * C1  Of one user key's versions, newest first, an entry is dropped when a newer one already
 *     written or dropped is visible to every reader that could see it: no snapshot's sequence
 *     lies in [entry, newer), and the newer one is not above the last published sequence (past
 *     which a reader may come to stand anywhere).  The list of snapshots ends with the last
 *     published sequence.
 * C2  A tombstone is dropped only if no source outside the inputs may hold an older version of
 *     its key (levels below the output, and any unmerged table above whose smallest sequence
 *     is lower), and C1 leaves in the inputs, next below it, another tombstone or nothing:
 *     then to every reader its absence says the same.
 * C3  An output is cut only between user keys (V2).
 * C4  The inputs from level 0 are closed: with a table, every older one of level 0 that
 *     overlaps the whole of the inputs' range is in.
 * C5  An output is cut, too, where it would lie over more than COMPACTION_LAPPED_TABLES' worth
 *     of bytes of the level below, so that its own merge stays small however few keys it has.
 *     So is nothing moved as it is that does.  (LevelDB's rule.)
 */
#ifndef COMPACTION_COMPACTION_H
#define COMPACTION_COMPACTION_H

#include "manifest/manifest.h"
#include "manifest/version.h"
#include "table/blob.h"

struct compaction_limits {
    unsigned l0_trigger;
    bool l0_paid; /* by detours (version.h): level 0 is due from its second table */
    uint64_t level_base_size; /* the most that the first level below 0 in use aims at */
    uint64_t table_size;
    unsigned passed_over; /* bit i: not level i now, its merge has just failed */
    bool narrow;          /* choices are not grown: space is short */
    bool
        pressing; /* puts are refused: level 0 is due from its first table, for what that overwrites */
    /* Of compaction_pick_tombstones.  Only choices of which the tombstones are at least one in so
     * many of the entries that are rewritten for them; 0: all. */
    unsigned worth;
    /* Snapshots of these sequences are gone. */
    bool in_place;
    uint64_t released_from, released_to;
};

/* Of level 0 the oldest tables are taken, up to so many times the trigger: a merge fits the
 * reserve however crowded level 0 is. */
#define COMPACTION_L0_FACTOR 2u
/* A choice is grown up to so many tables' worth of bytes, while there is space. */
#define COMPACTION_GROWN_TABLES  25u
#define COMPACTION_LAPPED_TABLES 10u /* C5 */
/* So many tables' worth a choice from below level 0 may be by itself: a table, what it lies over
 * by C5, one more at both ends, and what those have grown since. */
#define COMPACTION_PLAIN_TABLES 14u

/* Levels are sized from the bottom up: the deepest one aims at what it holds, each one above
 * at a tenth of the one below.  The first whose aim is at most level_base_size is the *base
 * level*, which level 0 is merged into; between the two all is empty.  Writes the aim of each
 * level (0 above the base level) and returns the base level, 1 to LEVEL_COUNT - 1. */
int compaction_targets(const struct version *version,
                       const struct compaction_limits *limits,
                       uint64_t targets[LEVEL_COUNT]);

struct compaction {
    uint32_t keyspace;
    enum lsmkv_order order;
    int level;        /* inputs[0] come from here */
    int output_level; /* inputs[1] come from here */
    struct table_file **inputs[2];
    size_t input_counts[2];
    bool trivial;            /* inputs[0] just change level: nothing overlaps */
    struct version *version; /* referenced */
};

/* How much each level is in need: 1 and above means a compaction is due; 0: it is passed over, or
 * there is none below.  And what it is due at: tables of level 0, bytes of a deeper one; 0: never. */
void compaction_scores(const struct version *version,
                       const struct compaction_limits *limits, double scores[LEVEL_COUNT],
                       uint64_t due[LEVEL_COUNT]);
/* The score of the level most in need. */
double compaction_score(const struct version *version,
                        const struct compaction_limits *limits, int *level);

/* Chooses a compaction of a keyspace, or *chosen = NULL if none is due.  `cursor` holds, a
 * level, the largest user key of the last choice, so that a level is gone through in turn;
 * it is updated.  -ENOMEM. */
struct compaction_cursor {
    struct keybuf after[LEVEL_COUNT];
};
void compaction_cursor_fini(struct compaction_cursor *cursor);
int LSMKV_CHECKED compaction_pick(uint32_t keyspace, struct version *version,
                                  const struct compaction_limits *limits,
                                  struct compaction_cursor *cursor,
                                  struct compaction **chosen);
/* All tables of `level` that meet [from, to], and what they overlap at the next level (below
 * level 0: the first that is not empty, or the deepest there can be); *chosen = NULL if none.
 * With level = the deepest non-empty one, rewrites in place (output_level = level).  So a walk
 * from level 0 to the deepest drops what can be dropped; no choice that reaches the deepest is
 * trivial. */
int LSMKV_CHECKED compaction_pick_range(uint32_t keyspace, struct version *version,
                                        const struct compaction_limits *limits, int level,
                                        struct lsmkv_slice from, struct lsmkv_slice to,
                                        struct compaction **chosen);
/* What takes tombstones of `level` downwards: of level 0, if it has any, its oldest tables, of
 * others the next table that has some behind `*after`, which is moved on.  *chosen = NULL if
 * there is none.  What the deepest level has too much of snapshots keep: it is rewritten only
 * in_place, and then also tables that may hold versions kept for those that are gone. */
int LSMKV_CHECKED compaction_pick_tombstones(uint32_t keyspace, struct version *version,
                                             const struct compaction_limits *limits,
                                             int level, struct keybuf *after,
                                             struct compaction **chosen);
/* A table that refers to a victim: by itself, rewritten where it is, the deepest ones first; in level
 * 0, which is to be merged in order, as compaction_pick would.  *chosen = NULL if there is none. */
int LSMKV_CHECKED compaction_pick_referring(uint32_t keyspace, struct version *version,
                                            const struct compaction_limits *limits,
                                            const struct blob_victims *victims,
                                            struct compaction **chosen);
/* How many tables refer to a victim, and the bytes of these tables. */
size_t compaction_referring(const struct version *version,
                            const struct blob_victims *victims, uint64_t *bytes);
void compaction_free(struct compaction *compaction);

/* What a merge needs of the store. */
struct build_context {
    const struct table_context *tables;
    uint32_t keyspace;
    enum lsmkv_order order;
    enum lsmkv_compression compression;
    uint64_t table_size;   /* outputs are cut past it */
    size_t blob_threshold; /* values from here on stand apart; 0: none does */
    uint64_t blob_size;    /* blob files are cut past it */
    const struct blob_victims *victims; /* whose values are written anew; NULL: none */
    const uint64_t *snapshots;          /* ascending, the last published sequence last */
    size_t snapshot_count;
    uint64_t (*next_number)(void *store); /* a fresh file number; thread-safe */
    /* Asked before each table and blob file of so many bytes; NULL: always. */
    int (*may_write)(void *store, uint64_t size);
    /* Told how many bytes are about to be written, piece by piece, and waits with them; NULL. */
    void (*pace)(void *store, uint64_t bytes);
    void *store;               /* for these three */
    const atomic_bool *cancel; /* when true the merge ends with -ECANCELED */
    atomic_uint_fast64_t *bytes_read, *bytes_written; /* added to */
    atomic_uint_fast64_t *blob_bytes_written; /* likewise, besides; NULL: nobody counts */
};

/* Writes the entries of `it` that C1 keeps (tombstones always stay) as tables, added to
 * `edit` at level 0, and syncs the directory: what a flush does.  No entry left: no table.  `it` is borrowed.  On
 * failure no file is left behind. */
int LSMKV_CHECKED build_flush(const struct build_context *context, struct iterator *it,
                              struct manifest_edit *edit);
/* Merges the inputs into outputs at the output level; `edit` gets both.  A trivial one only
 * changes the edit.  On failure no output is left behind. */
int LSMKV_CHECKED compaction_run(const struct build_context *context,
                                 const struct compaction *compaction,
                                 struct manifest_edit *edit);

#endif
