/*
 * test_replay.c - what opening takes after an unclean stop: no flush, and reads and writes in
 * proportion to what the logs hold.
 *
 * Both are seen at the env, in the thread that opens.  While a store dies and is opened again no
 * table can be made, so what was not flushed stays in its logs, and the background threads cannot
 * be quicker than a look at the counters.
 */
#include <check.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "env/env.h"
#include "support/rig.h"
#include "support/suite.h"

#define BUFFER   (UINT64_C(1) << 20) /* a set of memtables */
#define SETS_MAX 3u /* one that is written to, two that wait for the flush */

static struct rig rig;
static const struct lsmkv_slice none = {NULL, 0};

/* ---- the env ---- */

static struct lsmkv_env real; /* its functions */
static atomic_bool no_tables;
static _Thread_local bool opens; /* this thread does, just now */
static struct {
    unsigned tables;
    uint64_t read, written;
} work; /* of the thread that opens */

static int
seen_file_open(struct env_dir *dir, const char *name, enum env_open how,
               struct env_file **file)
{
    if (how == ENV_CREATE && strstr(name, ".sst") != NULL) {
        if (opens)
            work.tables++;
        if (atomic_load(&no_tables))
            return -EIO;
    }
    return real.file_open(dir, name, how, file);
}

static ssize_t
seen_file_read(struct env_file *file, uint64_t offset, void *buffer, size_t size)
{
    ssize_t got = real.file_read(file, offset, buffer, size);

    if (opens && got > 0)
        work.read += (uint64_t)got;
    return got;
}

static int
seen_file_write(struct env_file *file, uint64_t offset, const struct iovec *parts,
                int count)
{
    for (int i = 0; i < count && opens; i++)
        work.written += parts[i].iov_len;
    return real.file_write(file, offset, parts, count);
}

static void
open_seen(void)
{
    struct lsmkv_env *env = rig.options.env;

    real = *env;
    env->file_open = seen_file_open;
    env->file_read = seen_file_read;
    env->file_write = seen_file_write;
    memset(&work, 0, sizeof(work));
    opens = true;
    rig_open(&rig);
    opens = false;
}

/* ---- stores ---- */

static void
begin(uint64_t buffer)
{
    rig_init(&rig);
    rig.options.write_buffer_size = buffer;
    atomic_store(&no_tables, true);
    open_seen();
}

static void
end(void)
{
    rig_fini(&rig);
}

static struct lsmkv_slice
key_of(char *buffer, size_t size, unsigned i)
{
    snprintf(buffer, size, "%08u", i * 2654435761u % 100000000);
    return lsmkv_str(buffer);
}

/* What a set is full by. */
static uint64_t
filled(const struct lsmkv_stats *stats)
{
    return stats->memtable_bytes + stats->direct_bytes_written;
}

/* Puts until so many sets are full, the next write finding that of the last, and returns how many
 * values that took.  They stand in the log, or in a blob file beside it. */
static unsigned
fill(unsigned sets, size_t value_size)
{
    static const char value[64 << 10];
    struct lsmkv_stats before, stats = rig_stats(&rig);
    uint64_t frozen = 0;
    unsigned count = 0;
    char key[16];

    do {
        before = stats;
        ck_assert_int_eq(lsmkv_put(rig.db, NULL, key_of(key, sizeof(key), count++), none,
                                   lsmkv_bytes(value, value_size), LSMKV_UNSYNCED),
                         0);
        stats = rig_stats(&rig);
        if (stats.memtable_sets > before.memtable_sets)
            frozen = filled(&before);
    } while (stats.memtable_sets < sets ||
             filled(&stats) - frozen < rig.options.write_buffer_size);
    ck_assert_uint_eq(stats.memtable_sets, sets);
    ck_assert_uint_eq(stats.logs, sets);
    ck_assert_uint_eq(stats.flushes, 0);
    return count;
}

static void
assert_all_there(unsigned count, size_t value_size)
{
    static char buffer[64 << 10];
    struct lsmkv_record record;
    char key[16];

    for (unsigned i = 0; i < count; i++) {
        ck_assert_int_eq(lsmkv_get(rig.db, NULL, NULL, key_of(key, sizeof(key), i),
                                   buffer, sizeof(buffer), &record),
                         0);
        ck_assert_uint_eq(record.value.size, value_size);
    }
}

/* ---- tests ---- */

static const struct {
    unsigned sets;
    uint64_t buffer; /* when it is opened again */
    size_t value_size;
} stores[] = {
    {1, BUFFER, 1000},      {SETS_MAX, BUFFER, 1000},
    {1, BUFFER / 16, 1000}, {SETS_MAX, BUFFER / 16, 1000},
    {1, BUFFER, 40000},     {SETS_MAX, BUFFER, 40000},
};

START_TEST(test_full_logs_are_replayed_without_a_flush)
{
    unsigned count;

    begin(BUFFER);
    count = fill(stores[_i].sets, stores[_i].value_size);
    rig_kill(&rig);
    rig.options.write_buffer_size = stores[_i].buffer;
    open_seen();
    ck_assert_uint_eq(work.tables, 0);
    ck_assert_uint_eq(rig_stats(&rig).flushes, 0);
    ck_assert_uint_eq(rig_stats(&rig).tables, 0);
    ck_assert_uint_eq(rig_stats(&rig).memtable_sets, stores[_i].sets + 1);
    assert_all_there(count, stores[_i].value_size);
    end();
}
END_TEST

/* Sees what it takes to open so many full sets of that size, none of them synced but at the end of
 * its log. */
static void
measure(unsigned sets, uint64_t buffer, size_t value_size)
{
    begin(buffer);
    (void)fill(sets, value_size);
    rig_kill(&rig);
    open_seen();
    end();
}

static const size_t value_sizes[] = {1000, 40000};

START_TEST(test_a_log_three_times_as_long_takes_three_times_the_work)
{
    uint64_t read, written;

    measure(1, BUFFER, value_sizes[_i]);
    read = work.read;
    written = work.written;
    ck_assert_uint_ge(read, BUFFER / 2); /* they are seen */
    ck_assert_uint_ge(written, BUFFER / 2);
    measure(1, 3 * BUFFER, value_sizes[_i]);
    ck_assert_uint_le(10 * work.read, 33 * read);
    ck_assert_uint_ge(10 * work.read, 25 * read);
    ck_assert_uint_le(10 * work.written, 33 * written);
    ck_assert_uint_ge(10 * work.written, 25 * written);
}
END_TEST

/* Of those that were ended less is done: they are synced. */
START_TEST(test_three_logs_take_no_more_work_than_one_as_long)
{
    uint64_t read, written;

    measure(1, BUFFER, value_sizes[_i]);
    read = work.read;
    written = work.written;
    measure(SETS_MAX, BUFFER, value_sizes[_i]);
    ck_assert_uint_le(10 * work.read, 33 * read);
    ck_assert_uint_le(10 * work.written, 11 * written);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("replay");
    TCase *tests = tcase_create("replay");

    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, test_full_logs_are_replayed_without_a_flush, 0,
                        sizeof(stores) / sizeof(stores[0]));
    tcase_add_loop_test(tests, test_a_log_three_times_as_long_takes_three_times_the_work,
                        0, sizeof(value_sizes) / sizeof(value_sizes[0]));
    tcase_add_loop_test(tests, test_three_logs_take_no_more_work_than_one_as_long, 0,
                        sizeof(value_sizes) / sizeof(value_sizes[0]));
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
