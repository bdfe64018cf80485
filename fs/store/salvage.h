/*
 * salvage.h - the keyspaces of a store whose MANIFEST, where their names stand, is lost:
 * what they hold tells which is which.
 */
#ifndef FS_SALVAGE_H
#define FS_SALVAGE_H

#include "lsmkv.h"

/* The four that are of interest, in this order. */
enum salvage_role { SALVAGE_CHUNKS, SALVAGE_INODES, SALVAGE_META, SALVAGE_ROLES };

struct salvage_names {
    /* What the engine calls the keyspace that is in this role; "" if none is. */
    char names[SALVAGE_ROLES][LSMKV_NAME_MAX + 1];
};

/* Looks at every keyspace of a store that was opened with `salvage`.  One that has its
 * name keeps it. */
LSMKV_CHECKED int salvage_find_names(struct lsmkv *db, struct salvage_names *names);

/* The name that the keyspace called `name` had, if it had lost it; otherwise NULL. */
const char *salvage_old_name(const struct salvage_names *names, const char *name);

#endif
