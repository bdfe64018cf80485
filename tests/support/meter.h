/*
 * meter.h - what a store takes of the machine: now, and at the most since the last meter_reset.
 *
 * It stands in front of the functions of an env, in its table.  One env a process: a test of Check
 * has a process of its own.
 *
 * All functions may be called from any thread, but meter_attach.
 */
#ifndef SUPPORT_METER_H
#define SUPPORT_METER_H

#include "env/env.h"

enum meter_what {
    METER_MEMORY,   /* bytes that env->allocate handed out */
    METER_FILES,    /* open */
    METER_LOGS,     /* bytes of all logs that have a name */
    METER_MANIFEST, /* bytes of MANIFEST, and of the one that is to replace it */
    METER_LOG_DIRTY, /* bytes written to a log when a sync of it begins and its writing back was not
                        asked for; only at the most */
    METER_TABLE_DIRTY, /* the same of tables */
    METER_BLOB_DIRTY,  /* of blob files */
    METER_COUNT
};

/* Before any other call; never taken away. */
void meter_attach(struct lsmkv_env *env);
uint64_t meter_now(enum meter_what what);
uint64_t meter_most(enum meter_what what);
/* The most is what is now. */
void meter_reset(void);

/* From now on who makes a table waits; until let go. */
void meter_hold_tables(void);
void meter_let_tables_go(void);
/* The same of the store's own merges alone, those of a store opened from now on; until let go. */
void meter_hold_merges(void);
void meter_let_merges_go(void);

#endif
