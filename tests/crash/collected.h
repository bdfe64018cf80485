/*
 * collected.h - for test_power.c: values that stand apart in one file, are moved by reference, lose
 * the names under which they were and most of those that they got, and are then collected.
 */
#ifndef CRASH_COLLECTED_H
#define CRASH_COLLECTED_H

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lsmkv.h"

#define COLLECTED      6
#define COLLECTED_LEFT 2 /* of those */

/* So long that a move of all is one by tables. */
static const char collected_value[] =
    "a value that stands apart, shared by two names of which one goes, and collected then; a "
    "move of a few such is made by tables, whose references are to one and the same file";

/* Of a new keyspace in path order.  `*read`: how many values were. */
static int
collected_make(struct lsmkv *db, struct lsmkv_keyspace *keyspace, uint64_t *read)
{
    const struct lsmkv_move move = {lsmkv_str("v"), lsmkv_str("w")};
    const struct lsmkv_slice none = {NULL, 0};
    struct lsmkv_stats before, after;
    char key[16];
    int result = lsmkv_flush(db); /* the file is to hold no others */

    for (int i = 0; i < COLLECTED && result == 0; i++) {
        snprintf(key, sizeof(key), "v/%d", i);
        result = lsmkv_put(db, keyspace, lsmkv_str(key), none, lsmkv_str(collected_value),
                           LSMKV_UNSYNCED);
    }
    if (result == 0)
        result = lsmkv_flush(db);
    if (result == 0)
        result = lsmkv_move_trees(db, keyspace, &move, 1, NULL, LSMKV_UNSYNCED);
    for (int i = COLLECTED_LEFT; i < COLLECTED && result == 0; i++) {
        snprintf(key, sizeof(key), "w/%d", i);
        result = lsmkv_delete(db, keyspace, lsmkv_str(key), LSMKV_UNSYNCED);
    }
    if (result == 0)
        result = lsmkv_get_stats(db, &before);
    if (result == 0)
        result = lsmkv_compact(db, keyspace, none, none);
    if (result == 0)
        result = lsmkv_get_stats(db, &after);
    if (result == 0)
        *read = after.blobs_read - before.blobs_read;
    return result;
}

/* Those that were left are as they were, in whichever file; -EILSEQ: they are not. */
static int
collected_check(struct lsmkv *db, struct lsmkv_keyspace *keyspace)
{
    char key[16], buffer[sizeof(collected_value)];
    struct lsmkv_record record;
    int result = 0;

    for (int i = 0; i < COLLECTED && result == 0; i++) {
        snprintf(key, sizeof(key), "w/%d", i);
        result = lsmkv_get(db, keyspace, NULL, lsmkv_str(key), buffer, sizeof(buffer),
                           &record);
        if (result == 0 || result == -ENOENT)
            result = (result == 0) == (i < COLLECTED_LEFT) ? 0 : -EILSEQ;
        if (result == 0 && i < COLLECTED_LEFT &&
            (record.value.size != strlen(collected_value) ||
             memcmp(record.value.data, collected_value, record.value.size) != 0))
            result = -EILSEQ;
    }
    return result;
}

#endif
