/*
 * manifest.h - the file MANIFEST: what the store consists of, as newline-delimited JSON.
 *
 * Each line is one edit, a JSON object, followed by a tab and the CRC32C of the object's bytes
 * as 8 hex digits.  The first line names the format, its feature bits and the manifest's own
 * number, and carries the whole state when it was rolled.  One synced line is one atomic step.
 * Keys are hex strings, files are numbers.  The table of fields stands in
 * edit_json.c, the form of a line in json_line.h.
 *
 * M1  A line is acted upon in memory only after it is durable.
 * M2  A torn last line (no newline, or a bad checksum with nothing after it) never happened;
 *     it is cut before the next append.  Any other bad line is damage: nothing is deleted and
 *     the store does not open.
 * M3  A failed write is undone by truncating and syncing; a failed sync breaks the manifest.
 * M4  Rolling: MANIFEST.tmp written and synced, renamed over MANIFEST, directory synced.
 * M5  The first line names the features "lz4" and "packed" before any line has a keyspace that is
 *     compressed: so a version that does not know them says what it lacks, and takes nothing for
 *     damage.  For the same reason a store whose first line does not name "pages", or that names
 *     "lz4" and not "packed", has it replaced before it is written to.
 */
#ifndef MANIFEST_MANIFEST_H
#define MANIFEST_MANIFEST_H

#include "lsmkv.h"
#include "manifest/version.h"

struct edit_table {
    uint32_t keyspace;
    int level;
    struct table_meta meta; /* of a removed one only the number counts */
};

struct edit_keyspace {
    uint32_t id;
    enum lsmkv_order order;
    enum lsmkv_compression compression;
    char name[LSMKV_NAME_MAX + 1];
};

static inline bool
compression_is_known(enum lsmkv_compression compression)
{
    return compression == LSMKV_COMPRESSION_NONE || compression == LSMKV_COMPRESSION_LZ4;
}

#define MANIFEST_FEATURES 200 /* bytes of a list in words, cut */

/* What one line changes.  Zero it to begin.  Absent numbers are 0.  The arrays grow by the
 * functions below only. */
struct manifest_edit {
    uint64_t next_file;     /* file numbers from here on are unused */
    uint64_t oldest_log;    /* logs below it are replaced by tables */
    uint64_t last_sequence; /* published when the line was written */
    uint32_t next_keyspace; /* ids from here on are unused */
    uint64_t next_snapshot; /* likewise */
    struct edit_table *added, *removed;
    size_t added_count, removed_count;
    struct edit_keyspace *keyspaces; /* created */
    size_t keyspace_count;
    uint32_t *dropped_keyspaces;
    size_t dropped_keyspace_count;
    struct lsmkv_snapshot_info *snapshots; /* created, or renamed: same id, other name */
    size_t snapshot_count;
    uint64_t *dropped_snapshots; /* ids */
    size_t dropped_snapshot_count;
    /* Not part of the line: blob files that were written for the tables added.  They go if the
     * edit is given up. */
    struct table_blob *made_blobs;
    size_t made_blob_count;
    /* Nor this, which is for manifest_roll and manifest_replace: the feature that compressed keyspaces
     * need is named, whether there is one or not. */
    bool names_lz4;
    /* Nor this, of what manifest_load and manifest_salvage read: the features, named, that are not
     * known here and that who writes must know; "": there is none. */
    char unknown_features[MANIFEST_FEATURES];
    /* Nor this, of what manifest_load reads: M5. */
    bool names_all;
};

void manifest_edit_fini(struct manifest_edit *edit);
/* A deep copy; `to` is zeroed or a meta to be replaced.  -ENOMEM leaves it zeroed. */
int LSMKV_CHECKED table_meta_copy(struct table_meta *to, const struct table_meta *from);
/* These copy; `meta` is taken and left zeroed.  Each raises next_file, next_keyspace or
 * next_snapshot past the number it uses, so that no line names one its reader must refuse.
 * -ENOMEM. */
int LSMKV_CHECKED manifest_edit_add(struct manifest_edit *edit, uint32_t keyspace,
                                    int level, struct table_meta *meta);
int LSMKV_CHECKED manifest_edit_make_blob(struct manifest_edit *edit,
                                          const struct table_blob *blob);
int LSMKV_CHECKED manifest_edit_remove(struct manifest_edit *edit, uint32_t keyspace,
                                       int level, uint64_t number);
int LSMKV_CHECKED manifest_edit_keyspace(struct manifest_edit *edit,
                                         const struct edit_keyspace *keyspace);
int LSMKV_CHECKED manifest_edit_drop_keyspace(struct manifest_edit *edit, uint32_t id);
int LSMKV_CHECKED manifest_edit_snapshot(struct manifest_edit *edit,
                                         const struct lsmkv_snapshot_info *snapshot);
int LSMKV_CHECKED manifest_edit_drop_snapshot(struct manifest_edit *edit, uint64_t id);

/* Applies `edit` to `state`, itself an edit that stands for all lines so far (only added
 * tables, sorted by number, created keyspaces and snapshots).  What is removed goes before
 * what is added, so that a table can change its level; a dropped keyspace takes its tables
 * along; numbers never go back.  -EUCLEAN with the reason in error_detail: a table removed
 * that is not there, an id used twice, a level out of range...  After a failure `state` is
 * only good for manifest_edit_fini. */
int LSMKV_CHECKED manifest_state_apply(struct manifest_edit *state,
                                       const struct manifest_edit *edit);
/* The same as far as possible: what does not fit is left out, and what is removed is kept in
 * `state->removed`.  -ENOMEM. */
int LSMKV_CHECKED manifest_state_apply_fitting(struct manifest_edit *state,
                                               const struct manifest_edit *edit);
/* The blob files that a state's tables refer to, each once, by number, with all the bytes that are
 * referred to; malloced. */
int LSMKV_CHECKED manifest_state_blobs(const struct manifest_edit *state,
                                       struct table_blob **blobs, size_t *count);
/* The keyspace of a state with this id, or NULL; valid until the state changes. */
struct edit_keyspace *manifest_state_keyspace(const struct manifest_edit *state,
                                              uint32_t id);

#define MANIFEST_NAME "MANIFEST"
#define CLOSED_NAME   "CLOSED"
/* Left by a crash, they are nothing. */
#define MANIFEST_TMP_NAME "MANIFEST.tmp"
#define CLOSED_TMP_NAME   "CLOSED.tmp"

/* 0: there is a MANIFEST, of whatever kind; -ENOENT: there is none. */
int LSMKV_CHECKED manifest_exists(struct env_dir *dir);

/* Reads MANIFEST.  -ENOENT: there is none; -EBADMSG, -EUCLEAN: damaged, reported with file and
 * offset; -ENOTSUP: a format or an incompatible feature this version does not know, which is told in
 * error_detail alone.  `number`
 * and `end` (of the good part) are for manifest_open and for CLOSED. */
int LSMKV_CHECKED manifest_load(struct env_dir *dir, struct reporter *reporter,
                                struct manifest_edit *state, uint64_t *number,
                                uint64_t *end);

/* The same of a damaged MANIFEST: what its good lines say, bad ones being reported and passed
 * over.  `state` gets, besides, in `removed`, the tables that a line took away.  Its tables are
 * those that were added and not removed, at levels that may be wrong.  -ENOTSUP, -ENOMEM. */
int LSMKV_CHECKED manifest_salvage(struct env_dir *dir, struct reporter *reporter,
                                   struct manifest_edit *state);

/* May a store of this state be opened, to be written or only read?  -ENOTSUP, told in error_detail; a
 * warning to `reporter` if it may be read alone. */
int LSMKV_CHECKED manifest_check_features(const struct manifest_edit *state,
                                          bool to_write, struct reporter *reporter);

/* Whether every table and every blob file that `state` names is there in its size.  To be asked before an opener
 * changes or deletes anything: damage to the last line cannot be told from a torn one, and
 * going back one line is right only if that line's inputs are still there.  Otherwise its
 * outputs would be swept as orphans (invariant 9).  -EUCLEAN: each that is not is reported. */
int LSMKV_CHECKED manifest_check_tables(struct env_dir *dir, struct reporter *reporter,
                                        const struct manifest_edit *state);

struct manifest;

/* The longest line; a longer one is -EFBIG to write and -EUCLEAN to read. */
#define MANIFEST_LINE_MAX (256u << 20)

/* Makes a new MANIFEST (number `number`) that holds `state` in its first line, replacing one
 * that is there (M4).  After a failure the one that was there may or may not have been
 * replaced: where that one is open, use manifest_replace. */
int LSMKV_CHECKED manifest_roll(struct env_dir *dir, struct reporter *reporter,
                                uint64_t number, const struct manifest_edit *state,
                                struct manifest **manifest);
/* As manifest_roll over the open `*manifest`, which is closed on success and then replaced.  On
 * failure it stays open: to be gone on with if nothing had been renamed yet (no space, say),
 * broken otherwise. */
int LSMKV_CHECKED manifest_replace(struct manifest **manifest, uint64_t number,
                                   const struct manifest_edit *state);
/* Goes on with the one that manifest_load read: cuts what follows `end`, writes the last line
 * again in place (it may be one whose sync failed before, and the kernel then calls the lost
 * page clean), syncs it and the directory. */
int LSMKV_CHECKED manifest_open(struct env_dir *dir, struct reporter *reporter,
                                uint64_t number, uint64_t end,
                                struct manifest **manifest);
/* Appends one line and syncs it (M1, M3).  One caller at a time. */
int LSMKV_CHECKED manifest_append(struct manifest *manifest,
                                  const struct manifest_edit *edit);
bool manifest_is_broken(const struct manifest *manifest);
uint64_t manifest_number(const struct manifest *manifest);
uint64_t manifest_end(const struct manifest *manifest);
/* Whether it has outgrown max(1 MiB, 4 times its first line). */
bool manifest_wants_roll(const struct manifest *manifest);
int manifest_close(struct manifest *manifest);

/* ---- CLOSED: the mark of a clean close ---- */

struct closed_mark {
    uint64_t manifest_number, manifest_end;
    uint64_t log_number, log_end; /* number 0: no log */
};

/* Writes the checksummed mark (one JSON line in the manifest's form), syncs it and the
 * directory. */
int LSMKV_CHECKED closed_write(struct env_dir *dir, const struct closed_mark *mark);
/* -ENOENT: none; -EBADMSG or -EUCLEAN: not valid (reported). */
int LSMKV_CHECKED closed_read(struct env_dir *dir, struct reporter *reporter,
                              struct closed_mark *mark);
/* Deletes it and syncs the directory; 0 if there was none. */
int LSMKV_CHECKED closed_remove(struct env_dir *dir);

#endif
