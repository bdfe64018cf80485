/*
 * stats.h - what a store and its mount are doing, in numbers: `lsmfs stats`, and the file
 * .lsmfs/stats of a mount.
 *
 * All is gathered first (stats.c), then printed in one of three forms.
 */
#ifndef FS_STATS_H
#define FS_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lsmkv.h"
#include "vfs/requests.h"

struct vfs;

/* What the numbers are of; borrowed for as long as the vfs is open. */
struct stats_source {
    const char *store;               /* absolute */
    const char *mountpoint;          /* NULL: not mounted */
    const struct requests *requests; /* NULL likewise */
    bool writeback;                  /* the kernel's writeback cache is on */
    bool io_uring;                   /* most of them come over it */
};

enum stats_form {
    STATS_TEXT,
    STATS_JSON,       /* an object in a line */
    STATS_PROMETHEUS, /* the text format 0.0.4 */
    STATS_FORMS
};

/* "text", "json", "prometheus". */
const char *stats_form_name(enum stats_form form);
/* The file of that form in .lsmfs of a mount. */
const char *stats_file_name(enum stats_form form);

/* `source` may be NULL.  -ENOMEM, or what the engine says; what `out` has met is left to the caller
 * to ask. */
LSMKV_CHECKED int stats_print(struct vfs *vfs, const struct stats_source *source,
                              enum stats_form form, FILE *out);

/* ---- for those who print ---- */

struct stats_level {
    char keyspace[LSMKV_NAME_MAX + 1];
    struct lsmkv_level_stats of; /* `keyspace` of it is the one above */
};

struct stats_pin {
    char name[LSMKV_NAME_MAX +
              1];        /* of a snapshot; "": of who reads one that is dropped */
    struct lsmkv_pin of; /* likewise */
};

struct stats {
    struct stats_source source;
    bool read_only;
    const char *compression; /* of keyspace "default" */
    struct lsmkv_stats engine;
    struct stats_level *levels;
    size_t level_count;
    struct stats_pin *pins;
    size_t pin_count;
    uint64_t unsynced_age; /* nanoseconds */
    size_t nodes;          /* inodes that the kernel holds */
    char *recovery;        /* of the opening */
    char *error;           /* "" : nothing failed */
};

/* Tables that a get may have to look into, in the keyspace where that is most. */
uint64_t stats_tables_a_read(const struct stats *stats);
/* Bytes written to the disk for each that a writer gave; 0: nothing was written. */
double stats_write_amplification(const struct stats *stats);
/* Likewise of a level: written for each that went in. */
double stats_level_amplification(const struct lsmkv_level_stats *level);
/* Checks of filters that said rightly that something may be there. */
uint64_t stats_filter_hits(const struct stats *stats);

/* A number of the engine. */
struct stats_number {
    const char *name;   /* as in lsmkv_stats */
    size_t offset;      /* there */
    const char *metric; /* for Prometheus, without "lsmfs_"; NULL: it is told otherwise */
    const char *help;
};
extern const struct stats_number stats_numbers[];
extern const size_t stats_number_count;
uint64_t stats_value(const struct lsmkv_stats *engine, const struct stats_number *number);

void stats_print_text(const struct stats *stats, FILE *out);
LSMKV_CHECKED int stats_print_json(const struct stats *stats, FILE *out);
void stats_print_prometheus(const struct stats *stats, FILE *out);

#endif
