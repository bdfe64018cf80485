/* manifest_fixture.h - a directory for a manifest, what is reported of it, edits. */
#ifndef UNIT_MANIFEST_FIXTURE_H
#define UNIT_MANIFEST_FIXTURE_H

#include <check.h>
#include <stdio.h>

#include "manifest/manifest.h"
#include "support/fault_env.h"
#include "support/mem_env.h"

#define NAME "MANIFEST"

static struct mem_env *memory;
static struct fault_env *faults;
static struct env_dir *dir;
static struct reporter reporter;
static unsigned reports;
static char last_report[800];

static inline void
note_report(void *context, enum lsmkv_level level, const char *line)
{
    (void)context;
    (void)level;
    reports++;
    snprintf(last_report, sizeof(last_report), "%s", line);
}

static inline void
setup(void)
{
    memory = mem_env_new();
    faults = fault_env_new(mem_env_base(memory));
    fault_env_on_lost_sync(faults, mem_env_lose_unsynced);
    ck_assert_int_eq(env_dir_open(fault_env_base(faults), "store", true, &dir), 0);
    reporter_init(&reporter, note_report, NULL);
}

static inline void
teardown(void)
{
    env_dir_close(dir);
    fault_env_free(faults);
    mem_env_free(memory);
    reporter_fini(&reporter);
}

static inline size_t
read_all(char *out, size_t capacity)
{
    struct env_file *file;
    ssize_t size;

    ck_assert_int_eq(env_file_open(dir, NAME, ENV_READ, &file), 0);
    size = env_file_read(file, 0, out, capacity - 1);
    env_file_close(file);
    ck_assert_int_ge(size, 0);
    out[size] = '\0';
    return (size_t)size;
}

static inline void
write_all(const char *bytes, size_t size)
{
    struct env_file *file;

    ck_assert_int_eq(env_file_open(dir, NAME, ENV_REPLACE, &file), 0);
    ck_assert_int_eq(env_file_write(file, 0, bytes, size), 0);
    ck_assert_int_eq(env_file_sync(file), 0);
    env_file_close(file);
    ck_assert_int_eq(env_dir_sync(dir), 0);
}

/* Loads and says how many tables there are, or the error. */
static inline int
load_count(struct env_dir *from, uint64_t *end)
{
    struct manifest_edit state = {0};
    uint64_t number;
    int result = manifest_load(from, &reporter, &state, &number, end);

    if (result < 0)
        return result;
    result = (int)state.added_count;
    manifest_edit_fini(&state);
    return result;
}

/* ---- edits ---- */

static inline struct lsmkv_snapshot_info
snapshot_of(uint64_t id, const char *name, uint64_t sequence)
{
    struct lsmkv_snapshot_info info = {.id = id, .sequence = sequence, .time = -5};

    snprintf(info.name, sizeof(info.name), "%s", name);
    return info;
}

static inline void
add_keyspace(struct manifest_edit *edit, uint32_t id, const char *name,
             enum lsmkv_order order)
{
    struct edit_keyspace keyspace = {.id = id, .order = order};

    snprintf(keyspace.name, sizeof(keyspace.name), "%s", name);
    ck_assert_int_eq(manifest_edit_keyspace(edit, &keyspace), 0);
}

static inline void
add_table(struct manifest_edit *edit, int level, uint64_t number, const char *from,
          const char *to)
{
    struct table_meta meta = {.number = number,
                              .size = 4096,
                              .entries = 10,
                              .tombstones = 3,
                              .smallest_sequence = 5,
                              .largest_sequence = 90};

    ck_assert_int_eq(keybuf_set_internal(&meta.smallest, lsmkv_str(from), 7, KIND_PUT),
                     0);
    ck_assert_int_eq(keybuf_set_internal(&meta.largest, lsmkv_str(to), 9, KIND_DELETE),
                     0);
    ck_assert_int_eq(manifest_edit_add(edit, 0, level, &meta), 0);
    ck_assert_ptr_null(meta.smallest.data);
}

static inline struct manifest_edit
first_state(void)
{
    struct manifest_edit state = {.next_file = 20, .oldest_log = 2, .last_sequence = 100};

    add_keyspace(&state, 0, "default", LSMKV_ORDER_PATH);
    add_table(&state, 1, 3, "a", "b");
    return state;
}

#endif
