/*
 * version.h - which tables hold a keyspace: levels of counted, immutable table files.
 *
 * A version never changes.  An edit makes the next one; readers keep the one they began
 * with, and with it its files.
 *
 * V1  Level 0 tables may overlap; they are ordered newest first (largest sequence first).
 * V2  Tables of a deeper level are disjoint and ordered by key; the versions of one user
 *     key never span two tables of a level.
 * V3  For one user key, everything in a shallower level is newer than everything in a
 *     deeper one, and everything in memtables newer than both.
 */
#ifndef MANIFEST_VERSION_H
#define MANIFEST_VERSION_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/mutex.h"
#include "table/table.h"

#define LEVEL_COUNT 7

/* A table as the versions see it. */
struct table_file {
    struct table_meta meta; /* constant */
    atomic_uint refs;       /* of versions and of users between versions */
    atomic_bool obsolete;   /* no durable version names it: delete at the last unref */
    struct mutex mutex;     /* guards opening */
    struct table *_Atomic table; /* opened at first use; closed at the last unref */
    const struct table_context *context;
    struct table_identity identity; /* set by who salvages, before the first use */
    struct file_reaper *reaper;     /* takes obsolete files at the last unref */
};

/* The kinds of numbered files that a store has. */
enum file_kind { FILE_LOG, FILE_TABLE, FILE_BLOB };

/* Where files whose last reference went are put, to be deleted in one place (files.c). */
struct file_reaper {
    void (*reap)(struct file_reaper *reaper, enum file_kind kind, uint64_t number);
};

/* Takes the contents of `meta` (leaves it zeroed); one reference.  It counts as a
 * reference of the blob files that the table refers to. */
int LSMKV_CHECKED table_file_new(const struct table_context *context,
                                 struct file_reaper *reaper, uint32_t keyspace,
                                 struct table_meta *meta, struct table_file **file);
void table_file_ref(struct table_file *file);
/* The last one closes the table and, if it is obsolete, hands its number to the reaper,
 * and those of the blob files that only it referred to. */
void table_file_unref(struct table_file *file);
/* The open table, which lasts as long as the file is referenced.  A missing file is
 * -EUCLEAN: a version names it, so it is damage, and not an absent key. */
int LSMKV_CHECKED table_file_table(struct table_file *file, struct table **table);
/* The same, or NULL if it has not been opened yet. */
static inline struct table *
table_file_if_open(struct table_file *file)
{
    return atomic_load_explicit(&file->table, memory_order_acquire);
}
/* A salvaging walk leaves the file out, which could not be opened. */
void table_file_tell_lost(const struct table_file *file);

struct level {
    struct table_file **files;
    size_t count;
    uint64_t bytes;
};

/* Each table of level 0 is a sorted run of its own, which every read may have to ask.  A
 * *detour* is one that a read asked besides the first, about: what it would have been
 * spared if level 0 were one run.  Once there were as many as a merge of level 0 has
 * entries to rewrite, the merge is *paid for*: reads have spent on crowding about what it
 * costs. */
struct version {
    atomic_uint refs;
    enum lsmkv_order order;
    struct level levels[LEVEL_COUNT];
    uint64_t
        detours_due; /* so many pay for a merge of level 0; UINT64_MAX: there is none */
    _Atomic uint64_t detours;
};

int LSMKV_CHECKED version_new(enum lsmkv_order order, struct version **version);
void version_ref(struct version *version);
void version_unref(struct version *version);

/* A read has made detours.  True: with these the merge of level 0 is paid for, and before
 * it was not.  A thread's are added when they have become many, so that threads do not
 * meet here. */
bool version_count_detours(struct version *version, uint64_t count);
bool version_merge_is_paid(const struct version *version);

/* One table added to or removed from a level. */
struct version_change {
    int level;
    struct table_file *file; /* borrowed; the new version takes its own reference */
};
/* A new version: `base` without `removed` (matched by number), with `added`.  -EUCLEAN if
 * a removed file is not there, or the result breaks V2 (then reported). */
int LSMKV_CHECKED version_edit(const struct version *base,
                               const struct version_change *removed, size_t removed_count,
                               const struct version_change *added, size_t added_count,
                               struct reporter *reporter, struct version **version);

/* The index of the first table in a level > 0 whose largest user key is at or after
 * `key`; `count` if none is. */
size_t level_find(const struct level *level, enum lsmkv_order order,
                  struct lsmkv_slice key);
/* Whether the user-key range of a file meets [from, to]; NULL data: no bound. */
bool table_file_overlaps(const struct table_file *file, enum lsmkv_order order,
                         struct lsmkv_slice from, struct lsmkv_slice to);

/* Iterators over all of a version: appends one for each L0 table (newest first) and one a
 * deeper non-empty level.  The version must stay referenced meanwhile.  On failure those
 * already appended stay and are the caller's to free.  `upper` as in table_iterate_to.
 * Salvaging, a table that cannot be opened is left out. */
#define VERSION_ITERATORS_MAX(version) ((version)->levels[0].count + LEVEL_COUNT - 1)
int LSMKV_CHECKED version_iterators(const struct version *version, enum table_walk walk,
                                    struct lsmkv_slice upper, struct iterator **children,
                                    size_t *count);
/* An iterator over the tables of one level > 0 (or any disjoint, ordered set of
 * files). */
int LSMKV_CHECKED level_iterate(struct table_file *const *files, size_t count,
                                enum lsmkv_order order, enum table_walk walk,
                                struct lsmkv_slice upper, struct iterator **it);

#endif
