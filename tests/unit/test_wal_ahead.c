/*
 * test_wal_ahead.c - what frames of the log refer to is durable before they are (W7 of
 * log/wal_writer.c).
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "log/wal.h"
#include "support/log_fixture.h"
#include "support/suite.h"

#define NUMBER 7u

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

static uint64_t
log_syncs(void)
{
    return fault_env_calls(fixture.fault, ENV_CALL_FILE_SYNC);
}

/* What frames refer to: how often it was synced, the syncs of the log there were then, and what it is
 * to say. */
struct referred {
    unsigned calls;
    uint64_t syncs;
    int result;
};

static int
sync_referred(void *context)
{
    struct referred *referred = context;

    referred->calls++;
    referred->syncs = log_syncs();
    return referred->result;
}

/* Of a sync, of the one that undoes a write, and of one before a new log. */
START_TEST(test_what_frames_refer_to_is_synced_before_them)
{
    struct wal_writer *writer = log_create(&fixture, NUMBER, none), *newer;
    struct referred referred = {.result = 0};
    uint64_t syncs = log_syncs();

    wal_set_ahead(writer, sync_referred, &referred);
    log_append_ok(writer, 1, 100);
    ck_assert_uint_eq(referred.calls, 0);
    ck_assert_int_eq(wal_sync(writer), 0);
    ck_assert_uint_eq(referred.calls, 1);
    ck_assert_uint_eq(referred.syncs, syncs);
    log_append_ok(writer, 2, 100);
    fault_env_set(fixture.fault,
                  (struct fault){ENV_CALL_FILE_WRITE, 1, false, EIO, true});
    ck_assert_int_eq(log_append(writer, 3, 100), -EIO);
    ck_assert_uint_eq(referred.calls, 2);
    ck_assert_uint_eq(referred.syncs, syncs + 1);
    log_append_ok(writer, 3, 100);
    ck_assert_int_eq(wal_rotate(fixture.dir, NUMBER + 1, writer, &newer), 0);
    ck_assert_uint_eq(referred.calls, 3);
    ck_assert_uint_eq(referred.syncs, syncs + 2);
    ck_assert_int_eq(wal_close(newer), 0);
    ck_assert_int_eq(wal_close(writer), 0);
}
END_TEST

START_TEST(test_a_failed_sync_of_what_frames_refer_to_breaks_the_writer)
{
    struct wal_writer *writer = log_create(&fixture, NUMBER, none);
    struct referred referred = {.result = -EIO};
    uint64_t synced = wal_synced(writer);

    wal_set_ahead(writer, sync_referred, &referred);
    log_append_ok(writer, 1, 100);
    ck_assert_int_eq(wal_sync(writer), -EIO);
    ck_assert(wal_is_broken(writer));
    ck_assert_uint_eq(wal_synced(writer), synced);
    ck_assert_int_eq(wal_sync(writer), -EIO);
    ck_assert_uint_eq(referred.calls, 1);
    ck_assert_int_eq(wal_close(writer), 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("wal_ahead");
    TCase *tests = tcase_create("wal_ahead");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_what_frames_refer_to_is_synced_before_them);
    tcase_add_test(tests, test_a_failed_sync_of_what_frames_refer_to_breaks_the_writer);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
