/*
 * direct_fixture.h - blob_fixture.h with large values that go to a blob file before the log.
 */
#ifndef TESTS_UNIT_DIRECT_FIXTURE_H
#define TESTS_UNIT_DIRECT_FIXTURE_H

#include "blob_fixture.h"
#include "env/env.h"
#include "table/blob.h"

#define DIRECT 2000u
/* Of a record, and of a file that holds records of keys by key_of. */
#define RECORD     (BLOB_HEAD_SIZE + 8u + 8u + VALUE)
#define SIZE_OF(n) (BLOB_HEADER_SIZE + (n)*RECORD)

static const struct mem_crash worst = {MEM_DATA_NONE, MEM_NAMES_DROPPED};

static inline void
prepare(void)
{
    rig_init(&rig);
    rig.options.blob_threshold = 1000;
    rig.options.direct_threshold = DIRECT;
}

static inline void
setup(void)
{
    prepare();
    rig_open(&rig);
}

static inline void
teardown(void)
{
    rig_fini(&rig);
}

static inline void
sync_store(void)
{
    ck_assert_int_eq(lsmkv_sync(rig.db), 0);
}

static inline int
try_put(unsigned i, unsigned version)
{
    return lsmkv_put(rig.db, NULL, lsmkv_str(key_of(i)), lsmkv_str("at"),
                     value_of(i, version), LSMKV_UNSYNCED);
}

static inline void
put_small(const char *key, const char *value)
{
    ck_assert_int_eq(
        lsmkv_put(rig.db, NULL, lsmkv_str(key), none, lsmkv_str(value), LSMKV_UNSYNCED),
        0);
}

static inline void
assert_absent(const char *key)
{
    struct lsmkv_record record;

    ck_assert_int_eq(
        lsmkv_get(rig.db, NULL, NULL, lsmkv_str(key), buffer, sizeof(buffer), &record),
        -ENOENT);
}

static inline uint64_t
size_of(const char *name)
{
    struct env_dir *dir;
    struct env_file *file;
    uint64_t size;

    ck_assert_int_eq(env_dir_open(rig.options.env, "store", false, &dir), 0);
    ck_assert_int_eq(env_file_open(dir, name, ENV_READ, &file), 0);
    ck_assert_int_eq(env_file_size(file, &size), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    env_dir_close(dir);
    return size;
}

/* The only one there is. */
static inline const char *
the_file(void)
{
    static char name[32];
    struct file_list files = blob_files();

    ck_assert_uint_eq(files.count, 1);
    snprintf(name, sizeof(name), "%s", files.names[0]);
    return name;
}

static inline void
append_to(const char *name, const void *bytes, size_t size)
{
    struct env_dir *dir;
    struct env_file *file;
    uint64_t end = size_of(name);

    ck_assert_int_eq(env_dir_open(rig.options.env, "store", false, &dir), 0);
    ck_assert_int_eq(env_file_open(dir, name, ENV_WRITE, &file), 0);
    ck_assert_int_eq(env_file_write(file, end, bytes, size), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    env_dir_close(dir);
}

static inline void
remove_file(const char *name)
{
    struct env_dir *dir;

    ck_assert_int_eq(env_dir_open(rig.options.env, "store", false, &dir), 0);
    ck_assert_int_eq(env_dir_unlink(dir, name), 0);
    env_dir_close(dir);
}

/* What lsmkv_check tells of the store, which nobody has open; the number of findings of damage. */
static inline unsigned
damage_of(struct told *told)
{
    const struct lsmkv_check_options check = {.finding = note_finding, .context = told};
    int result;

    *told = (struct told){.findings = 0};
    result = lsmkv_check("store", &rig.options, &check);
    ck_assert_int_eq(result, told->findings > 0 ? -EUCLEAN : 0);
    return told->findings;
}

static inline void
assert_sound(void)
{
    struct told told;

    ck_assert_uint_eq(damage_of(&told), 0);
}

static inline void
die_and_open(void)
{
    rig_kill(&rig);
    assert_sound();
    rig_open(&rig);
}

/* Three values and a small one; the first is durable, and the frame of the second says so.  Where the
 * second stands in the only file. */
static inline uint64_t
put_some_durably(void)
{
    uint64_t second;

    put(0, 1);
    sync_store();
    second = size_of(the_file());
    put(1, 1);
    put_small("between", "is small");
    put(2, 1);
    return second;
}

/* What comes after the crash: of those the first alone, and what is put then. */
static inline void
assert_ends_behind_the_first(void)
{
    assert_sound();
    rig_open(&rig);
    ck_assert_uint_gt(rig.warnings, 0);
    assert_at(NULL, key_of(0), 0, 1);
    assert_absent(key_of(1));
    assert_absent("between");
    assert_absent(key_of(2));
    put(1, 2);
    die_and_open();
    assert_at(NULL, key_of(0), 0, 1);
    assert_at(NULL, key_of(1), 1, 2);
}

static inline void
fail_next(enum env_call call, uint64_t nth, int error)
{
    fault_env_set(
        rig.faults,
        (struct fault){.call = call, .nth = nth, .error = error, .partial_write = true});
}

#endif
