/*
 * fsck_facts.h - what a check has read of a store and compares with what it reads later.
 * Private to fsck*.c.
 *
 * Each kind of fact is an array, sorted by its number once all of them are there.
 */
#ifndef FS_FSCK_FACTS_H
#define FS_FSCK_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "check/fsck.h"
#include "lsmkv.h"
#include "store/attr.h"
#include "store/records.h"
#include "store/store.h"

/* Every fact begins with the number that it is sorted by. */
struct fact_inode {
    uint64_t ino; /* of a record with attributes of ours, references left out */
    bool xattrs;  /* it may have extended attributes of their own */
    bool implied; /* a directory with a number of implied.h */
    bool noted;   /* its record 'n' was found */
};

struct fact_reference {
    uint64_t ino;
};

struct fact_contents {
    uint64_t id;
    uint64_t ino; /* 0: an orphan */
    uint64_t size;
    uint64_t chunks; /* at most so many, says the owner */
    uint64_t found;  /* so many there are */
    uint64_t first_dead;
};

/* A trim's. */
struct fact_trim {
    uint64_t id;
    uint64_t first_dead;
};

struct fact_array {
    void *items;
    size_t count, capacity;
    size_t size; /* of one */
};

struct fsck {
    struct store *store;
    const struct lsmkv_snapshot *snapshot;
    const struct fsck_report *report;
    uint64_t damage;
    struct {
        enum fsck_problem problem;
        uint64_t number, value;
    } next; /* how the finding that is told next can be mended */
    uint64_t records;
    struct {
        uint64_t records, bytes;
    } untold;                         /* read since `progress` was called */
    uint64_t inode_bound, data_bound; /* from here on none was given out */
    struct fact_array inodes, references, contents, trims;
};

/* Appends a copy. */
LSMKV_CHECKED int facts_add(struct fact_array *facts, const void *fact);
void facts_sort(struct fact_array *facts);
/* The first with this number, or NULL; sorted.  Equal ones follow. */
void *facts_find(const struct fact_array *facts, uint64_t number);
/* The number of fact `i`. */
uint64_t facts_number(const struct fact_array *facts, size_t i);

/* ---- telling ---- */

/* Of a key of `default`; of an inode or a data id. */
void fsck_tell_key(struct fsck *check, enum lsmkv_severity severity,
                   struct lsmkv_slice key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void fsck_tell_number(struct fsck *check, const char *what, uint64_t number,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The finding that is told next can be mended. */
void fsck_mendable(struct fsck *check, enum fsck_problem problem, uint64_t number,
                   uint64_t value);
/* One more record was read.  -ECANCELED. */
LSMKV_CHECKED int fsck_count(struct fsck *check, const struct lsmkv_record *record);

/* ---- the walks ---- */

/* An iterator over [lower, upper) of a keyspace as the check sees it. */
LSMKV_CHECKED int fsck_iterate(const struct fsck *check, struct lsmkv_keyspace *keyspace,
                               struct lsmkv_slice lower, struct lsmkv_slice upper,
                               struct lsmkv_iter **iter);

/* What a file's attributes, wherever they stand, say of others: its number, its contents.
 * `key` is where they stand in `default`; NULL: shared by names. */
LSMKV_CHECKED int fsck_note_file(struct fsck *check, const struct attr *attr,
                                 const struct lsmkv_record *record,
                                 const struct lsmkv_slice *key);

/* `default`: adds inodes, references, contents. */
LSMKV_CHECKED int fsck_tree(struct fsck *check);
/* `inodes`: adds to inodes, contents and trims, and compares. */
LSMKV_CHECKED int fsck_records(struct fsck *check);
/* `chunks`: contents and trims are complete and sorted. */
LSMKV_CHECKED int fsck_chunks(struct fsck *check);

#endif
