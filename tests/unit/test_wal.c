/* test_wal.c - one log: appending, syncing, failing, and reading back. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "log/frame.h"
#include "log/wal.h"
#include "support/log_fixture.h"
#include "support/suite.h"

#define NUMBER 7u
#define FIRST  (FRAME_HEADER_SIZE + FRAME_FIRST_SIZE) /* where the first frame ends */

static const struct wal_previous none = {0, 0};
static struct log_fixture fixture;

static void
setup(void)
{
    log_fixture_init(&fixture);
}

static void
teardown(void)
{
    log_fixture_fini(&fixture);
}

static void
fail_call(enum env_call call, uint64_t nth, int error)
{
    const struct fault fault = {call, nth, false, error, true};

    fault_env_set(fixture.fault, fault);
}

static uint64_t
calls(enum env_call call)
{
    return fault_env_calls(fixture.fault, call);
}

START_TEST(test_names_have_six_digits_or_more)
{
    char name[WAL_NAME_SIZE];
    uint64_t number = 1;

    wal_name(name, 7);
    ck_assert_str_eq(name, "000007.log");
    ck_assert(wal_name_parse(name, &number) && number == 7);
    wal_name(name, UINT64_MAX);
    ck_assert(wal_name_parse(name, &number) && number == UINT64_MAX);
    ck_assert(!wal_name_parse("7.log", &number));
    ck_assert(!wal_name_parse("000007.sst", &number));
    ck_assert(!wal_name_parse("000007.log~", &number));
    ck_assert(!wal_name_parse("+00007.log", &number));
    ck_assert(!wal_name_parse("99999999999999999999999.log", &number));
    ck_assert(!wal_name_parse("", &number));
}
END_TEST

START_TEST(test_frames_of_every_length_come_back)
{
    static const size_t large[] = {4096, 255 << 10, 256 << 10, 1 << 20, 5, 3 << 20};
    struct wal_writer *writer = log_create(&fixture, NUMBER, none);
    struct log_reading reading;
    uint64_t sequence = 1;
    size_t i;

    for (i = 0; i < 40; i++)
        log_append_ok(writer, sequence++, i);
    for (i = 0; i < sizeof(large) / sizeof(large[0]); i++)
        log_append_ok(writer, sequence++, large[i]);
    reading = log_read(&fixture, NUMBER);
    ck_assert_int_eq(reading.result, 0);
    ck_assert_uint_eq(reading.frames, sequence - 1);
    ck_assert_int_eq(reading.stop, WAL_CLEAN_END);
    ck_assert_uint_eq(reading.offset, wal_end(writer));
    ck_assert_int_eq(wal_close(writer), 0);
}
END_TEST

START_TEST(test_first_frame_names_the_log_before)
{
    struct wal_writer *writer =
        log_create(&fixture, NUMBER, (struct wal_previous){5, 123456});
    struct wal_previous previous;
    struct wal_reader *reader;
    struct wal_frame frame;

    ck_assert_uint_eq(wal_synced(writer), FIRST);
    ck_assert_int_eq(wal_close(writer), 0);
    ck_assert_int_eq(wal_reader_open(fixture.dir, NUMBER, &fixture.reporter, &reader), 0);
    ck_assert_int_eq(wal_read(reader, &frame), 1);
    ck_assert_uint_eq(frame.type, WAL_FRAME_FIRST);
    ck_assert_uint_eq(frame.end, FIRST);
    previous = wal_reader_previous(reader);
    ck_assert_uint_eq(previous.number, 5);
    ck_assert_uint_eq(previous.end, 123456);
    wal_reader_close(reader);
}
END_TEST

#define GROUP 900u /* frames: more parts than one writev takes */

/* Appends the batches `sequence` to `sequence` + count - 1 as one group. */
static int
append_group(struct wal_writer *writer, uint64_t sequence, size_t count)
{
    static struct lsmkv_batch batches[GROUP];
    static struct wal_append frames[GROUP];
    size_t i;
    int result;

    for (i = 0; i < count; i++) {
        batch_init(&batches[i]);
        log_batch(&batches[i], sequence + i, i % 50);
        frames[i] = (struct wal_append){sequence + i, batch_slice(&batches[i])};
    }
    result = wal_append(writer, frames, count);
    for (i = 0; i < count; i++)
        batch_fini(&batches[i]);
    return result;
}

START_TEST(test_a_group_is_one_write_and_no_sync)
{
    struct wal_writer *writer = log_create(&fixture, NUMBER, none);
    uint64_t writes = calls(ENV_CALL_FILE_WRITE), syncs = calls(ENV_CALL_FILE_SYNC);

    ck_assert_int_eq(append_group(writer, 1, 300), 0);
    ck_assert_uint_eq(calls(ENV_CALL_FILE_WRITE), writes + 1);
    ck_assert_uint_eq(calls(ENV_CALL_FILE_SYNC), syncs);
    ck_assert_uint_eq(log_read(&fixture, NUMBER).last, 300);
    ck_assert_int_eq(wal_close(writer), 0);
}
END_TEST

START_TEST(test_a_group_of_too_many_parts_is_still_whole_or_undone)
{
    struct wal_writer *writer = log_create(&fixture, NUMBER, none);
    uint64_t end;

    ck_assert_int_eq(append_group(writer, 1, GROUP), 0);
    end = wal_end(writer);
    fail_call(ENV_CALL_FILE_WRITE, 2, ENOSPC);
    ck_assert_int_eq(append_group(writer, 1 + GROUP, GROUP), -ENOSPC);
    ck_assert_uint_eq(wal_end(writer), end);
    ck_assert_uint_eq(log_read(&fixture, NUMBER).last, GROUP);
    ck_assert_int_eq(log_read(&fixture, NUMBER).stop, WAL_CLEAN_END);
    ck_assert_int_eq(wal_close(writer), 0);
}
END_TEST

START_TEST(test_an_entry_too_long_for_a_frame_is_refused_and_breaks_nothing)
{
    struct wal_writer *writer = log_create(&fixture, NUMBER, none);
    uint8_t *bytes = calloc(1, FRAME_LENGTH_MAX + 1);
    struct wal_append frame = {1, lsmkv_bytes(bytes, FRAME_LENGTH_MAX + 1)};

    ck_assert_int_eq(wal_append(writer, &frame, 1), -E2BIG);
    log_append_ok(writer, 1, 10);
    ck_assert_uint_eq(log_read(&fixture, NUMBER).frames, 1);
    ck_assert_int_eq(wal_close(writer), 0);
    free(bytes);
}
END_TEST

START_TEST(test_synced_in_a_frame_is_what_was_durable_before_it)
{
    struct wal_writer *writer = log_create(&fixture, NUMBER, none);
    struct wal_reader *reader;
    struct wal_frame frame;
    uint64_t expected[] = {0, FIRST, FIRST, 0, 0};
    size_t i;

    log_append_ok(writer, 1, 10);
    log_append_ok(writer, 2, 10);
    ck_assert_int_eq(wal_sync(writer), 0);
    expected[3] = expected[4] = wal_end(writer);
    ck_assert_uint_eq(wal_synced(writer), wal_end(writer));
    log_append_ok(writer, 3, 10);
    log_append_ok(writer, 4, 10);
    ck_assert_uint_eq(wal_synced(writer), expected[4]);
    ck_assert_int_eq(wal_close(writer), 0);

    ck_assert_int_eq(wal_reader_open(fixture.dir, NUMBER, &fixture.reporter, &reader), 0);
    for (i = 0; i < 5; i++) {
        ck_assert_int_eq(wal_read(reader, &frame), 1);
        ck_assert_uint_eq(frame.synced, expected[i]);
    }
    ck_assert_uint_eq(wal_reader_synced(reader), expected[4]);
    wal_reader_close(reader);
}
END_TEST

START_TEST(test_synced_frames_survive_a_power_cut_and_unsynced_ones_the_process)
{
    const struct mem_crash worst = {MEM_DATA_NONE, MEM_NAMES_DROPPED};
    struct wal_writer *writer = log_create(&fixture, NUMBER, none);

    log_append_ok(writer, 1, 5000);
    ck_assert_int_eq(wal_sync(writer), 0);
    log_append_ok(writer, 2, 5000);
    ck_assert_int_eq(wal_close(writer), 0);
    log_fixture_kill(&fixture);
    ck_assert_uint_eq(log_read(&fixture, NUMBER).last, 2);
    log_fixture_crash(&fixture, worst, 0);
    ck_assert_uint_eq(log_read(&fixture, NUMBER).last, 1);
}
END_TEST

START_TEST(test_a_second_sync_of_the_same_bytes_is_none)
{
    struct wal_writer *writer = log_create(&fixture, NUMBER, none);
    uint64_t syncs;

    log_append_ok(writer, 1, 10);
    syncs = calls(ENV_CALL_FILE_SYNC);
    ck_assert_int_eq(wal_sync(writer), 0);
    ck_assert_int_eq(wal_sync(writer), 0);
    ck_assert_uint_eq(calls(ENV_CALL_FILE_SYNC), syncs + 1);
    ck_assert_int_eq(wal_close(writer), 0);
}
END_TEST

/* Invariant 1: undone by truncating and syncing, so that nothing of it is ever read, not even
 * after a power cut that keeps every byte ever written. */
START_TEST(test_a_failed_write_is_undone_durably)
{
    const struct mem_crash images[] = {{MEM_DATA_ALL, MEM_NAMES_KEPT},
                                       {MEM_DATA_NONE, MEM_NAMES_DROPPED}};
    struct wal_writer *writer = log_create(&fixture, NUMBER, none);
    struct log_reading reading;
    uint64_t end;

    log_append_ok(writer, 1, 100);
    end = wal_end(writer);
    fail_call(ENV_CALL_FILE_WRITE, 1, ENOSPC);
    ck_assert_int_eq(log_append(writer, 2, 20000), -ENOSPC);
    ck_assert(!wal_is_broken(writer));
    ck_assert_uint_eq(wal_end(writer), end);
    ck_assert_uint_eq(wal_synced(writer), end);
    ck_assert_ptr_nonnull(strstr(fixture.report, "000007.log"));
    ck_assert_int_eq(wal_close(writer), 0);
    log_fixture_crash(&fixture, images[_i], 0);
    reading = log_read(&fixture, NUMBER);
    ck_assert_uint_eq(reading.last, 1);
    ck_assert_int_eq(reading.stop, WAL_CLEAN_END);
}
END_TEST

START_TEST(test_writing_goes_on_after_a_failed_write)
{
    struct wal_writer *writer = log_create(&fixture, NUMBER, none);
    struct log_reading reading;

    log_append_ok(writer, 1, 100);
    fail_call(ENV_CALL_FILE_WRITE, 1, ENOSPC);
    ck_assert_int_eq(log_append(writer, 2, 20000), -ENOSPC);
    log_append_ok(writer, 2, 50);
    log_append_ok(writer, 3, 50);
    reading = log_read(&fixture, NUMBER);
    ck_assert_uint_eq(reading.last, 3);
    ck_assert_int_eq(reading.stop, WAL_CLEAN_END);
    ck_assert_int_eq(wal_close(writer), 0);
}
END_TEST

/* From the failing write on: truncate, then sync. */
START_TEST(test_a_write_that_cannot_be_undone_breaks_the_writer)
{
    const enum env_call undoing[] = {ENV_CALL_FILE_TRUNCATE, ENV_CALL_FILE_SYNC};
    struct wal_writer *writer = log_create(&fixture, NUMBER, none);
    uint64_t syncs;

    log_append_ok(writer, 1, 100);
    /* Two plans cannot be set at once: no space at all makes the write fail by itself. */
    mem_env_set_capacity(fixture.mem, mem_env_used(fixture.mem));
    fail_call(undoing[_i], 1, EIO);
    ck_assert_int_eq(log_append(writer, 2, 20000), -ENOSPC);
    mem_env_set_capacity(fixture.mem, UINT64_MAX);
    ck_assert(wal_is_broken(writer));
    syncs = calls(ENV_CALL_FILE_SYNC);
    ck_assert_int_eq(log_append(writer, 2, 10), -EIO);
    ck_assert_int_eq(wal_sync(writer), -EIO);
    ck_assert_uint_eq(calls(ENV_CALL_FILE_SYNC), syncs);
    ck_assert_int_eq(wal_close(writer), 0);
}
END_TEST

START_TEST(test_a_failed_sync_breaks_the_writer_and_is_never_tried_again)
{
    struct wal_writer *writer = log_create(&fixture, NUMBER, none);
    uint64_t syncs, writes;

    log_append_ok(writer, 1, 100);
    fail_call(ENV_CALL_FILE_SYNC, 1, EIO);
    ck_assert_int_eq(wal_sync(writer), -EIO);
    ck_assert(wal_is_broken(writer));
    ck_assert_uint_eq(wal_synced(writer), FIRST);
    ck_assert_ptr_nonnull(strstr(fixture.report, "000007.log"));
    syncs = calls(ENV_CALL_FILE_SYNC);
    writes = calls(ENV_CALL_FILE_WRITE);
    ck_assert_int_eq(wal_sync(writer), -EIO);
    ck_assert_int_eq(log_append(writer, 2, 10), -EIO);
    ck_assert_uint_eq(calls(ENV_CALL_FILE_SYNC), syncs);
    ck_assert_uint_eq(calls(ENV_CALL_FILE_WRITE), writes);
    ck_assert_uint_eq(wal_synced(writer), FIRST);
    ck_assert_int_eq(wal_close(writer), 0);
}
END_TEST

static bool
exists(uint64_t number)
{
    size_t size;
    uint8_t *bytes = log_bytes(&fixture, number, &size);

    free(bytes);
    return bytes != NULL;
}

/* Fails each call of wal_create in turn. */
START_TEST(test_a_log_that_cannot_be_made_leaves_no_file)
{
    struct wal_writer *writer = NULL;
    uint64_t nth;
    int result = -1;

    for (nth = 1; result != 0; nth++) {
        ck_assert_uint_lt(nth, 20);
        fail_call(ENV_CALL_ANY, nth, EIO);
        result = wal_create(fixture.dir, NUMBER, &none, &fixture.reporter, &writer);
        fault_env_heal(fixture.fault);
        if (result != 0) {
            ck_assert_int_eq(result, -EIO);
            ck_assert_ptr_null(writer);
            ck_assert(!exists(NUMBER));
        }
    }
    ck_assert_uint_gt(nth, 4); /* open, write, sync, sync of the directory */
    ck_assert_int_eq(wal_close(writer), 0);
}
END_TEST

START_TEST(test_a_number_is_not_given_twice)
{
    struct wal_writer *writer = log_create(&fixture, NUMBER, none);
    struct wal_writer *second;

    ck_assert_int_eq(wal_create(fixture.dir, NUMBER, &none, &fixture.reporter, &second),
                     -EEXIST);
    log_append_ok(writer, 1, 1);
    ck_assert_uint_eq(log_read(&fixture, NUMBER).frames, 1);
    ck_assert_int_eq(wal_close(writer), 0);
}
END_TEST

/* Invariant 4. */
START_TEST(test_rotation_syncs_the_older_log_and_names_its_end)
{
    struct wal_writer *older = log_create(&fixture, NUMBER, none), *newer;
    struct wal_reader *reader;
    struct wal_frame frame;

    log_append_ok(older, 1, 5000);
    ck_assert_int_eq(wal_rotate(fixture.dir, NUMBER + 2, older, &newer), 0);
    ck_assert_uint_eq(wal_synced(older), wal_end(older));
    ck_assert_int_eq(wal_reader_open(fixture.dir, NUMBER + 2, &fixture.reporter, &reader),
                     0);
    ck_assert_int_eq(wal_read(reader, &frame), 1);
    ck_assert_uint_eq(wal_reader_previous(reader).number, NUMBER);
    ck_assert_uint_eq(wal_reader_previous(reader).end, wal_end(older));
    wal_reader_close(reader);
    ck_assert_int_eq(wal_close(older), 0);
    ck_assert_int_eq(wal_close(newer), 0);
}
END_TEST

/* W5: after each failure of a rotation either the older log still takes a frame, and then a
 * power cut shows it in every image, or it is broken. */
START_TEST(test_a_failed_rotation_never_hides_later_frames_of_the_older_log)
{
    static const struct mem_crash images[] = {
        {MEM_DATA_ALL, MEM_NAMES_KEPT},    {MEM_DATA_ALL, MEM_NAMES_DROPPED},
        {MEM_DATA_NONE, MEM_NAMES_KEPT},   {MEM_DATA_NONE, MEM_NAMES_DROPPED},
        {MEM_DATA_RANDOM, MEM_NAMES_KEPT}, {MEM_DATA_ALL, MEM_NAMES_RANDOM},
    };
    struct wal_writer *older, *newer;
    unsigned survived = 0, broken = 0;
    uint64_t nth;
    int result = -1;

    for (nth = 1; result != 0; nth++) {
        ck_assert_uint_lt(nth, 20);
        log_fixture_fini(&fixture);
        log_fixture_init(&fixture);
        older = log_create(&fixture, NUMBER, none);
        log_append_ok(older, 1, 100);
        fault_env_set(fixture.fault,
                      (struct fault){ENV_CALL_ANY, nth, (_i & 1) != 0, EIO, false});
        result = wal_rotate(fixture.dir, NUMBER + 1, older, &newer);
        fault_env_heal(fixture.fault);
        if (result == 0) {
            ck_assert_int_eq(wal_close(newer), 0);
        } else if (wal_is_broken(older)) {
            ck_assert_int_lt(log_append(older, 2, 100), 0);
            broken++;
        } else {
            log_append_ok(older, 2, 100);
            ck_assert_int_eq(wal_sync(older), 0);
            survived++;
        }
        ck_assert_int_eq(wal_close(older), 0);
        if (result != 0 && log_read(&fixture, NUMBER).last == 2) {
            log_fixture_crash(&fixture, images[_i / 2], nth);
            ck_assert(!exists(NUMBER + 1) || log_read(&fixture, NUMBER + 1).offset == 0);
        }
    }
    ck_assert_uint_gt(survived, 0);
    ck_assert_uint_gt(broken, 0);
}
END_TEST

static int (*inner_sync)(struct env_file *file);
static struct wal_writer *appending;

static int
sync_then_append(struct env_file *file)
{
    struct wal_writer *writer = appending;
    int result = inner_sync(file);

    appending = NULL;
    if (writer != NULL)
        log_append_ok(writer, 2, 100);
    return result;
}

/* W1: a frame that was written between the sync and the look at where it ended. */
START_TEST(test_a_sync_covers_only_what_was_written_when_it_began)
{
    struct lsmkv_env *env = fault_env_base(fixture.fault);
    struct wal_writer *writer = log_create(&fixture, NUMBER, none);
    uint64_t end;

    log_append_ok(writer, 1, 100);
    end = wal_end(writer);
    inner_sync = env->file_sync;
    env->file_sync = sync_then_append;
    appending = writer;
    ck_assert_int_eq(wal_sync(writer), 0);
    ck_assert_uint_gt(wal_end(writer), end);
    ck_assert_uint_eq(wal_synced(writer), end);
    ck_assert_int_eq(wal_sync(writer), 0);
    ck_assert_uint_eq(wal_synced(writer), wal_end(writer));
    ck_assert_int_eq(wal_close(writer), 0);
}
END_TEST

struct syncer {
    struct wal_writer *writer;
    atomic_bool stop;
    int result;
    atomic_uint rounds;
};

static void *
sync_on_and_on(void *context)
{
    struct syncer *syncer = context;
    uint64_t before;

    while (syncer->result == 0 && !atomic_load(&syncer->stop)) {
        before = wal_end(syncer->writer);
        syncer->result = wal_sync(syncer->writer);
        if (wal_synced(syncer->writer) < before)
            syncer->result = -ERANGE;
        syncer->rounds++;
    }
    return NULL;
}

/* W1, with one write in three failing and being undone meanwhile. */
START_TEST(test_syncs_run_beside_appends_and_failed_writes)
{
    struct syncer syncer = {.writer = log_create(&fixture, NUMBER, none)};
    struct log_reading reading;
    uint64_t sequence = 0;
    pthread_t thread;
    unsigned i;

    ck_assert_int_eq(pthread_create(&thread, NULL, sync_on_and_on, &syncer), 0);
    while (atomic_load(&syncer.rounds) == 0) /* a busy machine may run it late */
        sched_yield();
    for (i = 0; i < 3000; i++) {
        if (i % 3 == 0)
            fail_call(ENV_CALL_FILE_WRITE, 1, ENOSPC);
        if (log_append(syncer.writer, sequence + 1, i % 300) == 0)
            sequence++;
    }
    atomic_store(&syncer.stop, true);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(syncer.result, 0);
    ck_assert_uint_eq(sequence, 2000);
    reading = log_read(&fixture, NUMBER);
    ck_assert_uint_eq(reading.last, sequence);
    ck_assert(reading.stop == WAL_CLEAN_END || reading.stop == WAL_ZERO_TAIL);
    ck_assert_int_eq(wal_close(syncer.writer), 0);
}
END_TEST

/* ---- zeros ahead ---- */

static uint64_t
size_of_log(void)
{
    struct env_file *file;
    uint64_t size;

    ck_assert_int_eq(env_file_open(fixture.dir, "000007.log", ENV_READ, &file), 0);
    ck_assert_int_eq(env_file_size(file, &size), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    return size;
}

/* Appends and syncs so many small batches. */
static void
append_synced(struct wal_writer *writer, uint64_t *sequence, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        log_append_ok(writer, (*sequence)++, 100);
        ck_assert_int_eq(wal_sync(writer), 0);
    }
}

/* W6: a sync of what lies in the zeros has no size to write. */
START_TEST(test_a_log_that_is_synced_often_seldom_grows)
{
    struct wal_writer *writer = log_create(&fixture, NUMBER, none);
    unsigned grown = 0, i;
    uint64_t sequence = 1, size;
    struct log_reading reading;

    append_synced(writer, &sequence, 4);
    for (i = 0; i < 4000; i++) {
        size = size_of_log();
        append_synced(writer, &sequence, 1);
        ck_assert_uint_ge(size_of_log(), wal_end(writer));
        ck_assert_uint_le(size_of_log(), wal_end(writer) * 5 / 4 + (16u << 10));
        grown += size_of_log() != size;
    }
    ck_assert_uint_lt(grown, 40);
    ck_assert_uint_gt(grown, 4);
    reading = log_read(&fixture, NUMBER);
    ck_assert_uint_eq(reading.last, sequence - 1);
    ck_assert_int_eq(reading.stop, WAL_ZERO_TAIL);
    ck_assert_uint_eq(reading.offset, wal_end(writer));
    ck_assert_int_eq(wal_close(writer), 0);
}
END_TEST

START_TEST(test_a_log_that_is_seldom_synced_is_not_zeroed_ahead)
{
    struct wal_writer *writer = log_create(&fixture, NUMBER, none);
    uint64_t sequence = 1, i;

    append_synced(writer, &sequence, 3);
    for (i = 0; i < 8; i++) {
        ck_assert_uint_eq(size_of_log(), wal_end(writer));
        log_append_ok(writer, sequence++, 100000);
        ck_assert_uint_eq(size_of_log(), wal_end(writer));
        ck_assert_int_eq(wal_sync(writer), 0);
    }
    ck_assert_int_eq(wal_close(writer), 0);
}
END_TEST

/* Zeros need room that frames may need: without it they are not missed, nor tried again. */
START_TEST(test_zeros_that_cannot_be_written_are_done_without)
{
    struct wal_writer *writer = log_create(&fixture, NUMBER, none);
    uint64_t sequence = 1, writes;

    append_synced(writer, &sequence, 3);
    mem_env_set_capacity(fixture.mem, mem_env_used(fixture.mem) + MEM_PAGE);
    append_synced(writer, &sequence, 12);
    mem_env_set_capacity(fixture.mem, UINT64_MAX);
    ck_assert_uint_eq(fixture.errors + fixture.warnings, 0);
    writes = calls(ENV_CALL_FILE_WRITE);
    append_synced(writer, &sequence, 200);
    ck_assert_uint_eq(calls(ENV_CALL_FILE_WRITE), writes + 200);
    ck_assert_uint_eq(log_read(&fixture, NUMBER).last, sequence - 1);
    ck_assert_int_eq(log_read(&fixture, NUMBER).stop, WAL_CLEAN_END);
    ck_assert_int_eq(wal_close(writer), 0);
}
END_TEST

/* Half of a failed write lies where zeros were; those behind it go as well. */
START_TEST(test_a_failed_write_into_the_zeros_is_undone)
{
    struct wal_writer *writer = log_create(&fixture, NUMBER, none);
    const struct mem_crash all = {MEM_DATA_ALL, MEM_NAMES_KEPT};
    uint64_t sequence = 1, end;

    append_synced(writer, &sequence, 10);
    end = wal_end(writer);
    ck_assert_uint_gt(size_of_log(), end + 10000);
    fail_call(ENV_CALL_FILE_WRITE, 1, EIO);
    ck_assert_int_eq(log_append(writer, sequence, 5000), -EIO);
    ck_assert_uint_eq(size_of_log(), end);
    log_append_ok(writer, sequence++, 10);
    ck_assert_uint_gt(size_of_log(), wal_end(writer));
    ck_assert_int_eq(wal_close(writer), 0);
    log_fixture_crash(&fixture, all, 0);
    ck_assert_uint_eq(log_read(&fixture, NUMBER).last, sequence - 1);
    ck_assert_int_eq(log_read(&fixture, NUMBER).stop, WAL_ZERO_TAIL);
}
END_TEST

/* CLOSED tells the length of the log; no power cut after it may change the file. */
START_TEST(test_a_finished_log_ends_durably_with_its_last_frame)
{
    const struct mem_crash none_of_it = {MEM_DATA_NONE, MEM_NAMES_DROPPED};
    struct wal_writer *writer = log_create(&fixture, NUMBER, none);
    uint64_t sequence = 1, end;

    append_synced(writer, &sequence, 10);
    end = wal_end(writer);
    ck_assert_uint_gt(size_of_log(), end);
    ck_assert_int_eq(wal_finish(writer), 0);
    ck_assert_int_eq(wal_close(writer), 0);
    log_fixture_crash(&fixture, none_of_it, 0);
    ck_assert_uint_eq(size_of_log(), end);
    ck_assert_uint_eq(log_read(&fixture, NUMBER).last, sequence - 1);
    ck_assert_int_eq(log_read(&fixture, NUMBER).stop, WAL_CLEAN_END);
}
END_TEST

START_TEST(test_a_log_that_cannot_be_finished_is_not_synced_again)
{
    const enum env_call failing[] = {ENV_CALL_FILE_TRUNCATE, ENV_CALL_FILE_SYNC};
    struct wal_writer *writer = log_create(&fixture, NUMBER, none);
    uint64_t sequence = 1, syncs;

    append_synced(writer, &sequence, 10);
    fail_call(failing[_i], 1, EIO);
    ck_assert_int_eq(wal_finish(writer), -EIO);
    ck_assert_uint_eq(fixture.errors, 1);
    ck_assert(wal_is_broken(writer) == (_i == 1));
    syncs = calls(ENV_CALL_FILE_SYNC);
    ck_assert_int_eq(wal_finish(writer), _i == 1 ? -EIO : 0);
    ck_assert_uint_eq(calls(ENV_CALL_FILE_SYNC), syncs + (_i == 0));
    ck_assert_int_eq(wal_close(writer), 0);
}
END_TEST

/* Invariant 6. */
START_TEST(test_a_read_error_is_not_an_end_and_reading_goes_on_after_it)
{
    struct wal_writer *writer = log_create(&fixture, NUMBER, none);
    struct wal_reader *reader;
    struct wal_frame frame;
    unsigned frames = 0, errors = 0;
    uint64_t sequence;
    int result;

    for (sequence = 1; sequence <= 8; sequence++)
        log_append_ok(writer, sequence, 200 << 10);
    ck_assert_int_eq(wal_close(writer), 0);
    ck_assert_int_eq(wal_reader_open(fixture.dir, NUMBER, &fixture.reporter, &reader), 0);
    do {
        fail_call(ENV_CALL_FILE_READ, 1, EIO);
        result = wal_read(reader, &frame);
        if (result == -EIO) {
            errors++;
            ck_assert_ptr_nonnull(strstr(fixture.report, "000007.log: offset "));
            fault_env_heal(fixture.fault);
            result = wal_read(reader, &frame);
        }
        if (result == 1 && frame.type == WAL_FRAME_BATCH)
            ck_assert_uint_eq(log_check_frame(&frame), ++frames);
    } while (result == 1);
    ck_assert_int_eq(result, 0);
    ck_assert_uint_eq(frames, 8);
    ck_assert_uint_gt(errors, 4);
    wal_reader_close(reader);
}
END_TEST

START_TEST(test_a_read_error_while_judging_a_tail_is_an_error)
{
    struct wal_writer *writer = log_create(&fixture, NUMBER, none);
    size_t size;
    uint8_t *bytes;

    log_append_ok(writer, 1, 100);
    log_append_ok(writer, 2, 600 << 10);
    ck_assert_int_eq(wal_close(writer), 0);
    bytes = log_bytes(&fixture, NUMBER, &size);
    bytes[size - 1000] ^= 1;
    log_replace(&fixture, NUMBER, bytes, size);
    free(bytes);
    /* One read of the window, one of the frame, then those of the search. */
    fail_call(ENV_CALL_FILE_READ, (uint64_t)_i + 1, EIO);
    ck_assert_int_eq(log_read(&fixture, NUMBER).result, -EIO);
    fault_env_heal(fixture.fault);
    ck_assert_int_eq(log_read(&fixture, NUMBER).stop, WAL_TORN);
}
END_TEST

START_TEST(test_a_missing_log_is_absent_and_an_empty_file_has_no_frame)
{
    struct log_reading reading = log_read(&fixture, NUMBER);

    ck_assert_int_eq(reading.result, -ENOENT);
    log_replace(&fixture, NUMBER, "", 0);
    reading = log_read(&fixture, NUMBER);
    ck_assert_int_eq(reading.result, 0);
    ck_assert_int_eq(reading.stop, WAL_CLEAN_END);
    ck_assert_uint_eq(reading.offset, 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("wal");
    TCase *tests = tcase_create("wal");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_names_have_six_digits_or_more);
    tcase_add_test(tests, test_frames_of_every_length_come_back);
    tcase_add_test(tests, test_first_frame_names_the_log_before);
    tcase_add_test(tests, test_a_group_is_one_write_and_no_sync);
    tcase_add_test(tests, test_a_group_of_too_many_parts_is_still_whole_or_undone);
    tcase_add_test(tests,
                   test_an_entry_too_long_for_a_frame_is_refused_and_breaks_nothing);
    tcase_add_test(tests, test_synced_in_a_frame_is_what_was_durable_before_it);
    tcase_add_test(tests,
                   test_synced_frames_survive_a_power_cut_and_unsynced_ones_the_process);
    tcase_add_test(tests, test_a_second_sync_of_the_same_bytes_is_none);
    tcase_add_loop_test(tests, test_a_failed_write_is_undone_durably, 0, 2);
    tcase_add_test(tests, test_writing_goes_on_after_a_failed_write);
    tcase_add_loop_test(tests, test_a_write_that_cannot_be_undone_breaks_the_writer, 0,
                        2);
    tcase_add_test(tests, test_a_failed_sync_breaks_the_writer_and_is_never_tried_again);
    tcase_add_test(tests, test_a_log_that_cannot_be_made_leaves_no_file);
    tcase_add_test(tests, test_a_number_is_not_given_twice);
    tcase_add_test(tests, test_rotation_syncs_the_older_log_and_names_its_end);
    tcase_add_loop_test(
        tests, test_a_failed_rotation_never_hides_later_frames_of_the_older_log, 0, 12);
    tcase_add_test(tests, test_a_sync_covers_only_what_was_written_when_it_began);
    tcase_add_test(tests, test_syncs_run_beside_appends_and_failed_writes);
    tcase_add_test(tests, test_a_log_that_is_synced_often_seldom_grows);
    tcase_add_test(tests, test_a_log_that_is_seldom_synced_is_not_zeroed_ahead);
    tcase_add_test(tests, test_zeros_that_cannot_be_written_are_done_without);
    tcase_add_test(tests, test_a_failed_write_into_the_zeros_is_undone);
    tcase_add_test(tests, test_a_finished_log_ends_durably_with_its_last_frame);
    tcase_add_loop_test(tests, test_a_log_that_cannot_be_finished_is_not_synced_again, 0,
                        2);
    tcase_add_test(tests, test_a_read_error_is_not_an_end_and_reading_goes_on_after_it);
    tcase_add_loop_test(tests, test_a_read_error_while_judging_a_tail_is_an_error, 0, 5);
    tcase_add_test(tests, test_a_missing_log_is_absent_and_an_empty_file_has_no_frame);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
