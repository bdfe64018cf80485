/*
 * test_wal_recovery.c - replaying all logs after a crash: which are read, how far, what is
 * damage, what is changed; and that it can be interrupted.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/frame.h"
#include "log/wal.h"
#include "support/log_fixture.h"
#include "support/random.h"
#include "support/suite.h"

#define FIRST (FRAME_HEADER_SIZE + FRAME_FIRST_SIZE)

static const struct wal_previous none = {0, 0};
static const struct mem_crash worst = {MEM_DATA_NONE, MEM_NAMES_DROPPED};
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

/* ---- recovering, and what came of it ---- */

static struct log_replay
recover(uint64_t oldest)
{
    struct log_replay replay = {0};

    if (log_recover(&fixture, oldest, false, &replay) == 0)
        ck_assert_uint_eq(replay.outcome.frames, replay.frames);
    return replay;
}

/* Recovery of `oldest` must end with `error`, report `text`, and change no file. */
static void
expect_damage(uint64_t oldest, int error, const char *text)
{
    uint64_t writes = fault_env_calls(fixture.fault, ENV_CALL_FILE_WRITE);
    uint64_t truncations = fault_env_calls(fixture.fault, ENV_CALL_FILE_TRUNCATE);
    struct log_replay replay = recover(oldest);

    ck_assert_int_eq(replay.result, error);
    ck_assert_msg(strstr(fixture.report, text) != NULL, "reported: %s", fixture.report);
    ck_assert_uint_eq(fault_env_calls(fixture.fault, ENV_CALL_FILE_WRITE), writes);
    ck_assert_uint_eq(fault_env_calls(fixture.fault, ENV_CALL_FILE_TRUNCATE),
                      truncations);
}

/* ---- making logs ---- */

/* Logs 5, 7 and 10 with three frames each; the last two of log 10 are not synced. */
static void
write_three(void)
{
    struct wal_writer *a = log_create(&fixture, 5, none), *b, *c;
    uint64_t sequence;

    for (sequence = 1; sequence <= 3; sequence++)
        log_append_ok(a, sequence, 100 * sequence);
    ck_assert_int_eq(wal_rotate(fixture.dir, 7, a, &b), 0);
    for (; sequence <= 6; sequence++)
        log_append_ok(b, sequence, 100);
    ck_assert_int_eq(wal_rotate(fixture.dir, 10, b, &c), 0);
    for (; sequence <= 9; sequence++) {
        log_append_ok(c, sequence, 100);
        if (sequence == 7)
            ck_assert_int_eq(wal_sync(c), 0);
    }
    ck_assert_int_eq(wal_close(a), 0);
    ck_assert_int_eq(wal_close(b), 0);
    ck_assert_int_eq(wal_close(c), 0);
}

/* Changes one byte of a log; negative offsets count from its end. */
static void
flip(uint64_t number, long offset)
{
    size_t size;
    uint8_t *bytes = log_bytes(&fixture, number, &size);

    bytes[offset < 0 ? size - (size_t)-offset : (size_t)offset] ^= 1;
    log_replace(&fixture, number, bytes, size);
    free(bytes);
}

/* Makes a log `by` bytes shorter, or longer with bytes that are no frame. */
static void
resize(uint64_t number, long by)
{
    size_t size;
    uint8_t *bytes = log_bytes(&fixture, number, &size);
    uint8_t *resized = calloc(1, size + 4096);
    size_t after = by < 0 ? size - (size_t)-by : size + (size_t)by;

    memset(resized + size, 0xa5, 4096);
    memcpy(resized, bytes, size);
    log_replace(&fixture, number, resized, after);
    free(resized);
    free(bytes);
}

static size_t
size_of(uint64_t number)
{
    size_t size = 0;

    free(log_bytes(&fixture, number, &size));
    return size;
}

static void
set_size(uint64_t number, size_t size)
{
    char name[WAL_NAME_SIZE];
    struct env_file *file;

    wal_name(name, number);
    ck_assert_int_eq(env_file_open(fixture.dir, name, ENV_WRITE, &file), 0);
    ck_assert_int_eq(env_file_truncate(file, size), 0);
    ck_assert_int_eq(env_file_close(file), 0);
}

/* ---- tests ---- */

START_TEST(test_no_logs_are_an_empty_recovery)
{
    struct log_replay replay = recover(0);

    ck_assert_int_eq(replay.result, 0);
    ck_assert_uint_eq(replay.begun, 0);
    ck_assert_uint_eq(replay.outcome.last.number, 0);
}
END_TEST

START_TEST(test_logs_are_replayed_in_order_from_the_oldest_needed)
{
    struct log_replay replay;

    write_three();
    replay = recover(5);
    ck_assert_int_eq(replay.result, 0);
    ck_assert_uint_eq(replay.ended, 3);
    ck_assert_uint_eq(replay.numbers[0], 5);
    ck_assert_uint_eq(replay.numbers[1], 7);
    ck_assert_uint_eq(replay.numbers[2], 10);
    ck_assert_uint_eq(replay.first, 1);
    ck_assert_uint_eq(replay.last, 9);
    ck_assert_uint_eq(replay.outcome.logs, 3);
    ck_assert_uint_eq(replay.outcome.bytes, size_of(5) + size_of(7) + size_of(10));
    ck_assert_uint_eq(replay.outcome.last.number, 10);
    ck_assert_uint_eq(replay.outcome.last.end, size_of(10));
    ck_assert_int_eq(replay.outcome.stop, WAL_CLEAN_END);

    replay = recover(6);
    ck_assert_int_eq(replay.result, 0);
    ck_assert_uint_eq(replay.first, 4);
}
END_TEST

START_TEST(test_a_missing_older_log_is_damage_unless_it_is_not_needed)
{
    write_three();
    ck_assert_int_eq(env_dir_unlink(fixture.dir, "000007.log"), 0);
    expect_damage(5, -EBADMSG, "000007.log: missing");
    expect_damage(7, -EBADMSG, "000007.log: missing");
    ck_assert_int_eq(recover(8).result, 0);
}
END_TEST

/* Invariant 4 broken by hand: the older log ends before what its successor names. */
START_TEST(test_an_older_log_shorter_than_named_is_damage)
{
    write_three();
    resize(7, -(long)(size_of(7) - FIRST) / 3);
    expect_damage(5, -EBADMSG, "000007.log: offset ");
    ck_assert_ptr_nonnull(strstr(fixture.report, "durable up to"));
}
END_TEST

START_TEST(test_an_older_log_cut_at_its_first_frame_is_damage)
{
    write_three();
    resize(7, -(long)size_of(7) + (long)FIRST);
    expect_damage(5, -EBADMSG, "000007.log: offset 56");
    resize(7, -1);
    expect_damage(5, -EBADMSG, "000007.log: offset 0");
}
END_TEST

START_TEST(test_a_bad_frame_in_an_older_log_is_damage_even_the_last)
{
    write_three();
    flip(5, -20);
    expect_damage(5, -EBADMSG, "000005.log: offset ");
    ck_assert_int_eq(recover(7).result, 0);
    flip(5, -20);
    ck_assert_int_eq(recover(5).result, 0);
}
END_TEST

START_TEST(test_what_lies_beyond_the_named_end_is_ignored)
{
    size_t before;

    write_three();
    resize(7, 1000);
    before = size_of(7);
    ck_assert_uint_eq(recover(5).last, 9);
    ck_assert_uint_eq(size_of(7), before);
}
END_TEST

START_TEST(test_even_a_good_frame_beyond_the_named_end_is_ignored)
{
    struct wal_writer *older = log_create(&fixture, 5, none), *newer;
    struct log_replay replay;
    uint64_t end;

    log_append_ok(older, 1, 100);
    end = wal_end(older);
    log_append_ok(older, 2, 200);
    ck_assert_int_eq(wal_close(older), 0);
    newer = log_create(&fixture, 6, (struct wal_previous){5, end});
    log_append_ok(newer, 2, 300);
    ck_assert_int_eq(wal_close(newer), 0);
    replay = recover(5);
    ck_assert_int_eq(replay.result, 0);
    ck_assert_uint_eq(replay.frames, 2);
    ck_assert_uint_eq(replay.outcome.bytes, end + size_of(6));
}
END_TEST

/* Frames of another size: the named end falls into one. */
START_TEST(test_a_frame_across_the_named_end_is_damage)
{
    struct wal_writer *writer = log_create(&fixture, 5, none);
    uint64_t end;

    log_append_ok(writer, 1, 100);
    end = wal_end(writer);
    ck_assert_int_eq(wal_close(writer), 0);
    ck_assert_int_eq(
        wal_close(log_create(&fixture, 6, (struct wal_previous){5, end - 8})), 0);
    expect_damage(5, -EUCLEAN, "000005.log: offset 56");
}
END_TEST

START_TEST(test_the_newest_log_is_cut_at_a_torn_frame_and_the_cut_is_told)
{
    struct log_replay replay;
    size_t whole;

    write_three();
    whole = size_of(10);
    flip(10, -20);
    replay = recover(5);
    ck_assert_int_eq(replay.result, 0);
    ck_assert_uint_eq(replay.last, 8);
    ck_assert_int_eq(replay.outcome.stop, WAL_TORN);
    ck_assert_uint_eq(size_of(10), replay.outcome.last.end);
    ck_assert_uint_eq(replay.outcome.stop_offset, replay.outcome.last.end);
    whole -= replay.outcome.last.end; /* with up to 7 zeros in the end */
    ck_assert_uint_le(replay.outcome.cut_bytes, whole);
    ck_assert_uint_gt(replay.outcome.cut_bytes + FRAME_ALIGNMENT, whole);
    ck_assert_uint_eq(fixture.warnings, 1);
    ck_assert_ptr_nonnull(strstr(fixture.report, "000010.log: offset "));
    log_fixture_crash(&fixture, worst, 0);
    replay = recover(5);
    ck_assert_uint_eq(replay.last, 8);
    ck_assert_int_eq(replay.outcome.stop, WAL_CLEAN_END);
}
END_TEST

START_TEST(test_damage_in_the_newest_log_is_damage)
{
    struct wal_writer *writer = log_create(&fixture, 5, none);

    log_append_ok(writer, 1, 100);
    ck_assert_int_eq(wal_sync(writer), 0);
    log_append_ok(writer, 2, 100);
    ck_assert_int_eq(wal_close(writer), 0);
    flip(5, 100);
    expect_damage(5, -EBADMSG, "000005.log: offset 56: ");
}
END_TEST

static void
make_empty(uint64_t number, unsigned kind)
{
    struct wal_writer *writer =
        log_create(&fixture, number, (struct wal_previous){10, 999});

    ck_assert_int_eq(wal_close(writer), 0);
    if (kind == 0)
        flip(number, 12);
    else if (kind == 1)
        resize(number, -1);
    else
        resize(number, -(long)FIRST);
}

/* The crash came between making a log and syncing its first frame, more than once. */
START_TEST(test_logs_without_a_first_frame_are_empty_and_the_one_before_is_newest)
{
    struct log_replay replay;

    write_three();
    flip(10, -20);
    make_empty(11, (unsigned)_i);
    make_empty(12, (unsigned)(_i + 1) % 3);
    replay = recover(5);
    ck_assert_int_eq(replay.result, 0);
    ck_assert_uint_eq(replay.last, 8);
    ck_assert_uint_eq(replay.outcome.last.number, 10);
    ck_assert_int_eq(replay.outcome.stop, WAL_TORN);
    ck_assert_uint_eq(size_of(10), replay.outcome.last.end);

    /* The next log names log 10, over the empty ones. */
    ck_assert_int_eq(wal_close(log_create(&fixture, 13, replay.outcome.last)), 0);
    replay = recover(5);
    ck_assert_int_eq(replay.result, 0);
    ck_assert_uint_eq(replay.ended, 4);
    ck_assert_uint_eq(replay.outcome.last.number, 13);
}
END_TEST

START_TEST(test_only_empty_logs_are_an_empty_recovery)
{
    struct log_replay replay;

    make_empty(3, 0);
    make_empty(4, 2);
    replay = recover(2);
    ck_assert_int_eq(replay.result, 0);
    ck_assert_uint_eq(replay.outcome.last.number, 0);
    ck_assert_uint_eq(size_of(3), FIRST);
}
END_TEST

START_TEST(test_a_bad_first_frame_before_good_ones_is_damage)
{
    write_three();
    flip(10, 30);
    expect_damage(5, -EBADMSG, "000010.log: offset 0: ");
}
END_TEST

START_TEST(test_a_log_that_none_names_may_hold_no_batch)
{
    struct wal_writer *writer;

    write_three();
    writer = log_create(&fixture, 8, (struct wal_previous){5, 56});
    ck_assert_int_eq(recover(5).result, 0);
    log_append_ok(writer, 4, 10);
    ck_assert_int_eq(wal_close(writer), 0);
    expect_damage(5, -EUCLEAN, "000008.log: offset 56: ");
}
END_TEST

START_TEST(test_sequences_must_go_up_from_log_to_log)
{
    struct wal_writer *a = log_create(&fixture, 5, none), *b;

    log_append_ok(a, 1, 10);
    log_append_ok(a, 2, 10);
    ck_assert_int_eq(wal_rotate(fixture.dir, 6, a, &b), 0);
    log_append_ok(b, 2, 10);
    ck_assert_int_eq(wal_close(a), 0);
    ck_assert_int_eq(wal_close(b), 0);
    expect_damage(5, -EUCLEAN, "000006.log: offset 56: ");
}
END_TEST

/* PostgreSQL 2018: after a failed sync the kernel calls lost pages clean, so that they can be
 * read, synced again without error, and are gone after the power cut. */
START_TEST(test_what_a_failed_sync_lost_is_written_again)
{
    struct wal_writer *writer = log_create(&fixture, 5, none);

    log_append_ok(writer, 1, 9000);
    ck_assert_int_eq(wal_sync(writer), 0);
    log_append_ok(writer, 2, 9000);
    log_append_ok(writer, 3, 9000);
    fault_env_set(fixture.fault,
                  (struct fault){ENV_CALL_FILE_SYNC, 1, false, EIO, false});
    ck_assert_int_eq(wal_sync(writer), -EIO);
    ck_assert_int_eq(wal_close(writer), 0);
    log_fixture_kill(&fixture);
    ck_assert_uint_eq(recover(5).last, 3);
    log_fixture_crash(&fixture, worst, 0);
    ck_assert_uint_eq(recover(5).last, 3);
}
END_TEST

/* A recovery whose frames refer to something: that of `bad` is not there. */
struct settling {
    struct log_replay replay; /* first */
    uint64_t bad;             /* a sequence; 0: all is there */
    uint64_t bad_at;          /* where it was given */
    uint64_t synced;          /* that was said */
    unsigned settled, mended, writes;
};

static int
settling_begin(void *context, uint64_t number)
{
    struct settling *settling = context;
    struct log_replay *replay = &settling->replay;

    if (replay->begun > replay->ended) { /* it is begun again */
        ck_assert_uint_eq(settling->settled, 1);
        ck_assert_uint_eq(replay->numbers[replay->begun - 1], number);
        replay->begun--;
        replay->last = 6;
    }
    return log_recovery_ops.begin_log(replay, number);
}

static int
settling_frame(void *context, const struct wal_frame *frame)
{
    struct settling *settling = context;

    if (frame->first_sequence == settling->bad)
        settling->bad_at = frame->offset;
    return log_recovery_ops.frame(&settling->replay, frame);
}

static int
settling_settle(void *context, uint64_t synced, uint64_t *end)
{
    struct settling *settling = context;

    settling->settled++;
    settling->synced = synced;
    ck_assert_uint_eq(settling->replay.ended, 2); /* only of the newest */
    if (settling->bad == 0)
        return 0;
    *end = settling->bad_at;
    return 1;
}

static int
settling_mend(void *context, uint64_t synced)
{
    struct settling *settling = context;

    settling->mended++;
    ck_assert_uint_eq(settling->synced, synced);
    ck_assert_uint_eq(settling->replay.ended, 3);
    ck_assert_uint_eq(fault_env_calls(fixture.fault, ENV_CALL_FILE_WRITE),
                      settling->writes); /* before the log's own */
    return 0;
}

static int
settling_end(void *context, uint64_t number, uint64_t end)
{
    return log_recovery_ops.end_log(&((struct settling *)context)->replay, number, end);
}

static struct settling
recover_settling(uint64_t bad, bool read_only)
{
    static const struct wal_recovery_ops ops = {
        settling_begin, settling_frame, settling_end, settling_settle, settling_mend};
    struct settling settling = {.bad = bad};
    struct log_list list = {.oldest = 5};

    log_list_logs(&fixture, &list);
    settling.writes = (unsigned)fault_env_calls(fixture.fault, ENV_CALL_FILE_WRITE);
    settling.replay.result =
        wal_recover(fixture.dir, list.numbers, list.count, 5, read_only,
                    &fixture.reporter, &ops, &settling, &settling.replay.outcome);
    ck_assert_int_eq(settling.replay.result, 0);
    ck_assert_uint_eq(settling.settled, 1);
    ck_assert_uint_eq(settling.mended, read_only ? 0 : 1);
    return settling;
}

/* V5. */
START_TEST(test_a_frame_that_refers_to_nothing_is_a_torn_one)
{
    struct settling settling;
    struct log_replay replay;
    size_t whole;

    write_three();
    whole = size_of(10);
    settling = recover_settling(0, false);
    ck_assert_uint_eq(settling.replay.last, 9);
    set_size(10, whole + 4096); /* zeros ahead are nothing that is cut */
    settling = recover_settling(8, true);
    ck_assert_uint_eq(settling.replay.last, 7);
    ck_assert_uint_eq(size_of(10), whole + 4096);
    settling = recover_settling(8, false);
    ck_assert_uint_eq(settling.replay.last, 7);
    ck_assert_uint_eq(settling.replay.outcome.frames, 7);
    ck_assert_uint_eq(settling.replay.outcome.logs, 3);
    ck_assert_int_eq(settling.replay.outcome.stop, WAL_TORN);
    ck_assert_uint_eq(settling.replay.outcome.last.end, settling.bad_at);
    ck_assert_uint_eq(settling.replay.outcome.cut_bytes, whole - settling.bad_at);
    ck_assert_uint_eq(size_of(10), settling.bad_at);
    log_fixture_crash(&fixture, worst, 0);
    replay = recover(5);
    ck_assert_uint_eq(replay.last, 7);
    ck_assert_int_eq(replay.outcome.stop, WAL_CLEAN_END);
}
END_TEST

START_TEST(test_a_read_only_recovery_changes_nothing)
{
    struct log_replay replay = {0};
    uint64_t changes;
    size_t whole;

    write_three();
    flip(10, -20);
    whole = size_of(10);
    changes = fault_env_calls(fixture.fault, ENV_CALL_FILE_WRITE) +
              fault_env_calls(fixture.fault, ENV_CALL_FILE_TRUNCATE) +
              fault_env_calls(fixture.fault, ENV_CALL_FILE_SYNC);
    ck_assert_int_eq(log_recover(&fixture, 5, true, &replay), 0);
    ck_assert_uint_eq(replay.last, 8);
    ck_assert_uint_gt(replay.outcome.cut_bytes, 0);
    ck_assert_uint_eq(size_of(10), whole);
    ck_assert_uint_eq(fault_env_calls(fixture.fault, ENV_CALL_FILE_WRITE) +
                          fault_env_calls(fixture.fault, ENV_CALL_FILE_TRUNCATE) +
                          fault_env_calls(fixture.fault, ENV_CALL_FILE_SYNC),
                      changes);
}
END_TEST

START_TEST(test_a_callbacks_error_ends_the_recovery)
{
    struct log_replay replay = {.fail_frame = -ENOMEM};

    write_three();
    ck_assert_int_eq(log_recover(&fixture, 5, false, &replay), -ENOMEM);
    ck_assert_uint_eq(replay.ended, 0);
}
END_TEST

/* Invariants 6 and 8: each call of a recovery fails once; the next recovery finds the same. */
START_TEST(test_any_failing_call_fails_the_recovery_and_loses_nothing)
{
    struct log_replay replay;
    uint64_t nth;

    write_three();
    flip(10, -20);
    for (nth = 1;; nth++) {
        uint64_t failures = fault_env_failures(fixture.fault);
        struct log_list logs = {.oldest = 5};

        replay = (struct log_replay){0};
        log_list_logs(&fixture, &logs);
        fault_env_set(fixture.fault, (struct fault){ENV_CALL_ANY, nth, false, EIO, true});
        replay.result =
            wal_recover(fixture.dir, logs.numbers, logs.count, 5, false,
                        &fixture.reporter, &log_recovery_ops, &replay, &replay.outcome);
        fault_env_heal(fixture.fault);
        if (fault_env_failures(fixture.fault) == failures)
            break;
        /* Closing what was only read may fail unheard. */
        ck_assert(replay.result == -EIO || (replay.result == 0 && replay.last == 8));
        log_fixture_crash(&fixture, worst, 0);
    }
    ck_assert_uint_gt(nth, 15);
    ck_assert_int_eq(replay.result, 0);
    ck_assert_uint_eq(replay.last, 8);
}
END_TEST

/* ---- a crash inside recovery, and another inside the one after it ---- */

#define IMAGES_MAX 400u

struct images {
    struct mem_env *of[IMAGES_MAX];
    size_t count;
    uint64_t seed;
};

static void
take_images(void *context, uint64_t ordinal, enum env_call call)
{
    static const struct mem_crash policies[] = {
        {MEM_DATA_ALL, MEM_NAMES_KEPT},
        {MEM_DATA_NONE, MEM_NAMES_DROPPED},
        {MEM_DATA_RANDOM, MEM_NAMES_RANDOM},
        {MEM_DATA_RANDOM, MEM_NAMES_RANDOM},
    };
    struct images *images = context;
    size_t i;

    if (!env_call_changes(call))
        return;
    for (i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
        ck_assert_uint_lt(images->count, IMAGES_MAX);
        images->of[images->count++] =
            mem_env_crash(fixture.mem, policies[i], images->seed + 10 * ordinal + i);
    }
}

/* Recovers `env`, which must give the sequences from 1 to `least` or more; takes images on
 * the way if asked, and frees it. */
static uint64_t
recover_image(struct mem_env *env, uint64_t least, struct images *images)
{
    struct log_fixture outer = fixture;
    struct log_replay replay;

    log_fixture_init(&fixture);
    env_dir_close(fixture.dir);
    fault_env_free(fixture.fault);
    mem_env_free(fixture.mem);
    fixture.mem = env;
    fixture.fault = fault_env_new(mem_env_base(env));
    ck_assert_int_eq(
        env_dir_open(fault_env_base(fixture.fault), "store", true, &fixture.dir), 0);
    if (images != NULL)
        mem_env_set_hook(env, take_images, images);
    replay = recover(5);
    mem_env_set_hook(env, NULL, NULL);
    ck_assert_msg(replay.result == 0, "%d: %s", replay.result, fixture.report);
    ck_assert_uint_ge(replay.last, least);
    log_fixture_fini(&fixture);
    fixture = outer;
    return replay.last;
}

START_TEST(test_recovery_may_be_cut_short_anywhere_twice)
{
    static struct images first, second;
    struct log_replay replay;
    size_t i, j;

    first.seed = second.seed = random_seed();
    write_three();
    flip(10, -20);
    mem_env_set_hook(fixture.mem, take_images, &first);
    replay = recover(5);
    mem_env_set_hook(fixture.mem, NULL, NULL);
    ck_assert_int_eq(replay.result, 0);
    ck_assert_uint_ge(first.count, 12); /* truncate, write, sync */
    for (i = 0; i < first.count; i++) {
        second.count = 0;
        ck_assert_uint_eq(recover_image(first.of[i], 7, &second), 8);
        for (j = 0; j < second.count; j++)
            ck_assert_uint_eq(recover_image(second.of[j], 7, NULL), 8);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("wal_recovery");
    TCase *tests = tcase_create("wal_recovery");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_no_logs_are_an_empty_recovery);
    tcase_add_test(tests, test_logs_are_replayed_in_order_from_the_oldest_needed);
    tcase_add_test(tests, test_a_missing_older_log_is_damage_unless_it_is_not_needed);
    tcase_add_test(tests, test_an_older_log_shorter_than_named_is_damage);
    tcase_add_test(tests, test_an_older_log_cut_at_its_first_frame_is_damage);
    tcase_add_test(tests, test_a_bad_frame_in_an_older_log_is_damage_even_the_last);
    tcase_add_test(tests, test_what_lies_beyond_the_named_end_is_ignored);
    tcase_add_test(tests, test_even_a_good_frame_beyond_the_named_end_is_ignored);
    tcase_add_test(tests, test_a_frame_across_the_named_end_is_damage);
    tcase_add_test(tests, test_the_newest_log_is_cut_at_a_torn_frame_and_the_cut_is_told);
    tcase_add_test(tests, test_damage_in_the_newest_log_is_damage);
    tcase_add_loop_test(
        tests, test_logs_without_a_first_frame_are_empty_and_the_one_before_is_newest, 0,
        3);
    tcase_add_test(tests, test_only_empty_logs_are_an_empty_recovery);
    tcase_add_test(tests, test_a_bad_first_frame_before_good_ones_is_damage);
    tcase_add_test(tests, test_a_log_that_none_names_may_hold_no_batch);
    tcase_add_test(tests, test_sequences_must_go_up_from_log_to_log);
    tcase_add_test(tests, test_what_a_failed_sync_lost_is_written_again);
    tcase_add_test(tests, test_a_frame_that_refers_to_nothing_is_a_torn_one);
    tcase_add_test(tests, test_a_read_only_recovery_changes_nothing);
    tcase_add_test(tests, test_a_callbacks_error_ends_the_recovery);
    tcase_add_test(tests, test_any_failing_call_fails_the_recovery_and_loses_nothing);
    tcase_add_test(tests, test_recovery_may_be_cut_short_anywhere_twice);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
