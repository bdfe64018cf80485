/*
 * blob_fixture.h - a store with values that stand apart: values of which each is told by its key's
 * number and a version's, the blob files there are, changes to them, and what a check or a repair
 * tells.
 */
#ifndef TESTS_UNIT_BLOB_FIXTURE_H
#define TESTS_UNIT_BLOB_FIXTURE_H

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/random.h"
#include "support/rig.h"

#define VALUE 3000u

static struct rig rig;
static const struct lsmkv_slice none = {NULL, 0};
static char buffer[2 * VALUE];
static bool
    packing; /* the keyspaces are compressed, and two thirds of each value are air */

static inline const char *
key_of(unsigned i)
{
    static char key[24];

    snprintf(key, sizeof(key), "d/k%05u", i);
    return key;
}

/* The value number `version` of a key. */
static inline struct lsmkv_slice
value_of(unsigned i, unsigned version)
{
    static char value[VALUE];
    struct random random = random_of(i * 1000u + version);

    for (unsigned at = 0; at < VALUE; at++)
        value[at] = packing && at >= VALUE / 3 ? ' ' : (char)random_next(&random);
    return lsmkv_bytes(value, VALUE);
}

static inline void
put(unsigned i, unsigned version)
{
    ck_assert_int_eq(lsmkv_put(rig.db, NULL, lsmkv_str(key_of(i)), lsmkv_str("at"),
                               value_of(i, version), LSMKV_UNSYNCED),
                     0);
}

static inline void
put_all(unsigned count, unsigned version)
{
    for (unsigned i = 0; i < count; i++)
        put(i, version);
}

static inline void
assert_value(struct lsmkv_slice value, unsigned i, unsigned version)
{
    ck_assert_uint_eq(value.size, VALUE);
    ck_assert_mem_eq(value.data, value_of(i, version).data, VALUE);
}

static inline void
assert_at(const struct lsmkv_snapshot *snapshot, const char *key, unsigned i,
          unsigned version)
{
    struct lsmkv_record record;
    int result = lsmkv_get(rig.db, NULL, snapshot, lsmkv_str(key), buffer, sizeof(buffer),
                           &record);

    ck_assert_msg(result == 0, "%s: %s", key, lsmkv_error_detail());
    ck_assert_uint_eq(record.attributes.size, 2);
    ck_assert_mem_eq(record.attributes.data, "at", 2);
    assert_value(record.value, i, version);
}

static inline void
assert_all(const struct lsmkv_snapshot *snapshot, unsigned count, unsigned version)
{
    for (unsigned i = 0; i < count; i++)
        assert_at(snapshot, key_of(i), i, version);
}

static inline void
flush(void)
{
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
}

static inline void
compact(void)
{
    ck_assert_int_eq(lsmkv_compact(rig.db, NULL, none, none), 0);
    ck_assert_int_eq(lsmkv_settle(rig.db), 0);
}

struct file_list {
    char names[64][32];
    unsigned count;
};

static inline int
note_blob(void *context, const char *name)
{
    struct file_list *list = context;

    if (strstr(name, ".blob") != NULL && list->count < 64)
        snprintf(list->names[list->count++], 32, "%s", name);
    return 0;
}

/* Blob files in the directory. */
static inline struct file_list
blob_files(void)
{
    struct file_list list = {.count = 0};
    struct env_dir *dir;

    ck_assert_int_eq(env_dir_open(rig.options.env, "store", false, &dir), 0);
    ck_assert_int_eq(env_dir_list(dir, note_blob, &list), 0);
    env_dir_close(dir);
    return list;
}

static inline void
change_file(const char *name, uint64_t offset, uint64_t cut)
{
    struct env_dir *dir;
    struct env_file *file;
    uint8_t byte;

    ck_assert_int_eq(env_dir_open(rig.options.env, "store", false, &dir), 0);
    ck_assert_int_eq(env_file_open(dir, name, ENV_WRITE, &file), 0);
    if (cut > 0) {
        ck_assert_int_eq(env_file_truncate(file, cut), 0);
    } else {
        ck_assert_int_eq(env_file_read(file, offset, &byte, 1), 1);
        byte ^= 1;
        ck_assert_int_eq(env_file_write(file, offset, &byte, 1), 0);
    }
    ck_assert_int_eq(env_file_close(file), 0);
    env_dir_close(dir);
}

static inline void
refuse_to_open(void)
{
    struct lsmkv *db;

    ck_assert_int_eq(lsmkv_open("store", &rig.options, &db), -EUCLEAN);
}

struct told {
    unsigned findings, losses;
    char file[64];
    char first[64];
    uint64_t lost_end; /* in its file, of what was lost last */
};

static inline void
note_finding(void *context, const struct lsmkv_finding *finding)
{
    struct told *told = context;

    told->findings += finding->severity == LSMKV_DAMAGE;
    snprintf(told->file, sizeof(told->file), "%s", finding->file);
}

static inline void
note_loss(void *context, const struct lsmkv_loss *loss)
{
    struct told *told = context;

    told->losses++;
    told->lost_end = loss->offset + loss->size;
    snprintf(told->first, sizeof(told->first), "%.*s", (int)loss->first.size,
             (const char *)loss->first.data);
}

#endif
