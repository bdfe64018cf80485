/*
 * check.h - what check.c and check_order.c share.
 */
#ifndef REPAIR_CHECK_H
#define REPAIR_CHECK_H

#include "db/db.h"

/* V3 of version.h for one keyspace of a store whose tables read well: walks all versions
 * of all keys, memtables included; reports.  `walked` is told of the bytes passed, and
 * its result ends the walk if it is not 0.  0, -EUCLEAN if anything was reported, or an
 * error. */
int LSMKV_CHECKED check_order(struct lsmkv *db, struct lsmkv_keyspace *keyspace,
                              int (*walked)(void *context, uint64_t bytes),
                              void *context);

#endif
