/*
 * cli_snapshot.h - `lsmfs snapshot`: what its commands share.
 */
#ifndef FS_CLI_SNAPSHOT_H
#define FS_CLI_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/prune.h"

/* A command line, taken apart. */
struct snapshot_call {
    const char *name; /* "snapshot list" */
    bool json, dry_run, null, force;
    const char *prefix; /* "" without the option */
    unsigned keep[PRUNE_RULES];
    char **operands; /* the store or mount point first */
    int count;
};

#define SNAPSHOT_TIME_SIZE 64u

/* Nanoseconds since 1970 as 2026-11-26T09:30:00Z. */
void snapshot_time(int64_t time, char text[SNAPSHOT_TIME_SIZE]);

/* `lsmfs snapshot prune`; the exit status. */
int snapshot_prune(const struct snapshot_call *call);
/* `lsmfs snapshot diff`; the exit status. */
int snapshot_diff(const struct snapshot_call *call);
/* `lsmfs snapshot rollback`; the exit status. */
int snapshot_rollback(const struct snapshot_call *call);

#endif
