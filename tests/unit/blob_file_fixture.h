/*
 * blob_file_fixture.h - one blob file in a directory in memory, and the blob files of a store that may
 * refer to it.
 */
#ifndef TESTS_UNIT_BLOB_FILE_FIXTURE_H
#define TESTS_UNIT_BLOB_FILE_FIXTURE_H

#include <check.h>

#include "support/table_fixture.h"
#include "table/blob.h"

#define NUMBER 0x0102u

static struct table_fixture fixture;
static struct blob_files *files;

static inline void
begin(size_t cache_bytes)
{
    table_fixture_init(&fixture, cache_bytes, 1024);
    ck_assert_int_eq(blob_files_new(&fixture.context, &files), 0);
    fixture.context.blobs = files;
}

static inline void
setup(void)
{
    begin(4u << 20);
}

static inline void
teardown(void)
{
    blob_files_free(files);
    table_fixture_fini(&fixture);
}

/* The file has just these bytes. */
static inline void
put_file(const uint8_t *bytes, size_t size)
{
    struct env_file *file;
    char name[TABLE_NAME_SIZE];

    blob_name(name, NUMBER);
    ck_assert_int_eq(env_file_open(fixture.dir, name, ENV_REPLACE, &file), 0);
    ck_assert_int_eq(env_file_write(file, 0, bytes, size), 0);
    ck_assert_int_eq(env_file_close(file), 0);
}

#endif
