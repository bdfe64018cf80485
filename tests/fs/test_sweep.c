/* test_sweep.c - orphans and trims: swept when they may be, and not a moment sooner. */
#include <errno.h>
#include <unistd.h>

#include "store_fixture.h"

static struct store_fixture fixture;
static struct lsmkv_batch *batch;

static const struct mem_crash everything = {MEM_DATA_ALL, MEM_NAMES_KEPT};

static void
setup(void)
{
    fixture_init(&fixture);
    ck_assert_int_eq(lsmkv_batch_new(&batch), 0);
}

static void
teardown(void)
{
    lsmkv_batch_free(batch);
    fixture_fini(&fixture);
}

static void
crash(void)
{
    lsmkv_batch_free(batch);
    fixture_crash(&fixture, everything, 0);
    ck_assert_int_eq(lsmkv_batch_new(&batch), 0);
}

/* Chunks 0 to before `count` of `id`. */
static void
put_chunks(uint64_t id, unsigned count)
{
    lsmkv_batch_clear(batch);
    for (unsigned i = 0; i < count; i++) {
        struct chunk_key key = chunk_key(id, i, 0);
        ck_assert_int_eq(lsmkv_batch_put(batch, fixture.store->chunks, chunk_slice(&key),
                                         lsmkv_bytes(NULL, 0), lsmkv_str("contents")),
                         0);
    }
    ck_assert_int_eq(store_write(fixture.store, batch, false), 0);
}

static void
orphan(uint64_t id, bool held)
{
    struct sweep_list dead = {0};

    lsmkv_batch_clear(batch);
    ck_assert_int_eq(sweep_orphan(fixture.store, batch, &dead, id, held), 0);
    ck_assert_int_eq(sweep_publish(fixture.store, batch, &dead, false), 0);
}

static void
trim(uint64_t id, uint64_t first_dead)
{
    struct sweep_list dead = {0};

    lsmkv_batch_clear(batch);
    ck_assert_int_eq(sweep_trim(fixture.store, batch, &dead, id, first_dead), 0);
    ck_assert_int_eq(sweep_publish(fixture.store, batch, &dead, false), 0);
}

static void
expect(size_t chunks, size_t orphans, size_t trims)
{
    ck_assert_uint_eq(fixture_count_chunks(&fixture), chunks);
    ck_assert_uint_eq(fixture_count_tag(&fixture, RECORD_ORPHAN), orphans);
    ck_assert_uint_eq(fixture_count_tag(&fixture, RECORD_TRIM), trims);
}

START_TEST(test_orphans_go_with_all_their_chunks_and_others_stay)
{
    for (uint64_t id = 1; id <= 5; id++)
        put_chunks(id, 10);
    orphan(2, false);
    orphan(4, false);
    fixture_sweep(&fixture);
    expect(30, 0, 0);
}
END_TEST

START_TEST(test_a_batch_of_the_sweep_is_bounded_and_the_record_goes_with_the_last)
{
    bool more;

    put_chunks(1, SWEEP_BATCH + 10);
    orphan(1, false);
    ck_assert_int_eq(sweep_step(fixture.store, &more), 0);
    ck_assert(more);
    expect(10, 1, 0);
    ck_assert_int_eq(sweep_step(fixture.store, &more), 0);
    expect(0, 0, 0);
}
END_TEST

START_TEST(test_many_orphans_share_a_batch)
{
    struct lsmkv_stats before, after;
    bool more;

    for (uint64_t id = 1; id <= 100; id++) {
        put_chunks(id, 1);
        orphan(id, false);
    }
    ck_assert_int_eq(lsmkv_get_stats(fixture.store->db, &before), 0);
    ck_assert_int_eq(sweep_step(fixture.store, &more), 0);
    ck_assert_int_eq(lsmkv_get_stats(fixture.store->db, &after), 0);
    ck_assert_uint_eq(after.writes - before.writes, 1);
    expect(0, 0, 0);
}
END_TEST

START_TEST(test_a_crash_in_the_middle_is_finished_at_the_next_mount)
{
    bool more;

    put_chunks(1, 2 * SWEEP_BATCH);
    put_chunks(2, SWEEP_BATCH + 20);
    orphan(1, false);
    trim(2, 10);
    ck_assert_int_eq(sweep_step(fixture.store, &more), 0);
    crash();
    expect(2 * SWEEP_BATCH + 20, 1, 1);
    crash();
    fixture_sweep(&fixture);
    expect(10, 0, 0);
}
END_TEST

START_TEST(test_a_held_orphan_waits_for_its_release)
{
    bool more;

    put_chunks(1, 3);
    put_chunks(2, 3);
    orphan(1, true);
    orphan(2, false);
    fixture_sweep(&fixture);
    expect(3, 1, 0);
    ck_assert_int_eq(sweep_step(fixture.store, &more), 0);
    ck_assert(!more);
    sweep_release(fixture.store, 1);
    fixture_sweep(&fixture);
    expect(0, 0, 0);
}
END_TEST

START_TEST(test_an_orphan_held_before_a_crash_is_swept_after_it)
{
    put_chunks(1, 3);
    orphan(1, true);
    crash();
    fixture_sweep(&fixture);
    expect(0, 0, 0);
}
END_TEST

START_TEST(test_an_orphan_that_comes_while_the_walk_has_passed_it_is_found)
{
    bool more;

    put_chunks(1, 1);
    put_chunks(9, SWEEP_BATCH + 1);
    orphan(9, false);
    ck_assert_int_eq(sweep_step(fixture.store, &more), 0);
    orphan(1, false);
    fixture_sweep(&fixture);
    expect(0, 0, 0);
}
END_TEST

START_TEST(test_finishing_trims_takes_those_that_begin_before_the_chunk)
{
    put_chunks(1, 30);
    put_chunks(2, 30);
    trim(1, 20);
    trim(1, 10);
    trim(2, 10);
    ck_assert_int_eq(sweep_finish_trims(fixture.store, 1, 9), 0);
    expect(60, 0, 3);
    ck_assert_int_eq(sweep_finish_trims(fixture.store, 1, 10), 0);
    expect(40, 0, 2);
    ck_assert_int_eq(sweep_finish_trims(fixture.store, 1, 1000), 0);
    expect(40, 0, 1);
    ck_assert_int_eq(sweep_finish_trims(fixture.store, 3, 1000), 0);
    expect(40, 0, 1);
}
END_TEST

/* A trim that was announced, and whose batch then failed, must delete nothing. */
START_TEST(test_a_trim_that_was_not_published_is_never_swept)
{
    struct sweep_list dead = {0};
    bool more;

    put_chunks(1, 30);
    lsmkv_batch_clear(batch);
    ck_assert_int_eq(sweep_trim(fixture.store, batch, &dead, 1, 10), 0);
    ck_assert_int_eq(sweep_before(fixture.store, &dead), 0);
    ck_assert_int_eq(sweep_step(fixture.store, &more), 0);
    ck_assert_int_eq(sweep_finish_trims(fixture.store, 1, 1000), 0);
    sweep_after(fixture.store, &dead, -ENOSPC);
    fixture_sweep(&fixture);
    ck_assert_int_eq(sweep_finish_trims(fixture.store, 1, 1000), 0);
    expect(30, 0, 0);
}
END_TEST

/* One such record, and the store could not be mounted. */
START_TEST(test_a_malformed_trim_is_left_alone)
{
    char key[] = {RECORD_TRIM, 'b', 'a', 'd'};

    ck_assert_int_eq(lsmkv_put(fixture.store->db, fixture.store->inodes,
                               lsmkv_bytes(key, sizeof key), lsmkv_bytes(NULL, 0),
                               lsmkv_bytes(NULL, 0), 0),
                     0);
    fixture_reopen(&fixture);
    fixture_sweep(&fixture);
    ck_assert_uint_eq(fixture_count_tag(&fixture, RECORD_TRIM), 1);
}
END_TEST

START_TEST(test_the_thread_sweeps_what_comes)
{
    ck_assert_int_eq(sweep_start(fixture.store), 0);
    for (uint64_t id = 1; id <= 20; id++) {
        put_chunks(id, 100);
        if (id % 2)
            orphan(id, false);
        else
            trim(id, 50);
    }
    for (unsigned i = 0; i < 1000; i++) {
        if (fixture_count_tag(&fixture, RECORD_ORPHAN) == 0 &&
            fixture_count_tag(&fixture, RECORD_TRIM) == 0)
            break;
        usleep(10000);
    }
    expect(500, 0, 0);
}
END_TEST

START_TEST(test_a_read_only_store_is_not_swept)
{
    bool more;

    put_chunks(1, 3);
    orphan(1, false);
    lsmkv_batch_free(batch);
    fixture_close(&fixture);
    fixture.options.read_only = true;
    fixture_open(&fixture);
    ck_assert_int_eq(sweep_start(fixture.store), 0);
    ck_assert_int_eq(sweep_step(fixture.store, &more), 0);
    expect(3, 1, 0);
    fixture_close(&fixture);
    fixture.options.read_only = false;
    fixture_open(&fixture);
    ck_assert_int_eq(lsmkv_batch_new(&batch), 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("sweep");
    TCase *tests = tcase_create("sweep");

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_orphans_go_with_all_their_chunks_and_others_stay);
    tcase_add_test(
        tests, test_a_batch_of_the_sweep_is_bounded_and_the_record_goes_with_the_last);
    tcase_add_test(tests, test_many_orphans_share_a_batch);
    tcase_add_test(tests, test_a_crash_in_the_middle_is_finished_at_the_next_mount);
    tcase_add_test(tests, test_a_held_orphan_waits_for_its_release);
    tcase_add_test(tests, test_an_orphan_held_before_a_crash_is_swept_after_it);
    tcase_add_test(tests,
                   test_an_orphan_that_comes_while_the_walk_has_passed_it_is_found);
    tcase_add_test(tests, test_finishing_trims_takes_those_that_begin_before_the_chunk);
    tcase_add_test(tests, test_a_trim_that_was_not_published_is_never_swept);
    tcase_add_test(tests, test_a_malformed_trim_is_left_alone);
    tcase_add_test(tests, test_the_thread_sweeps_what_comes);
    tcase_add_test(tests, test_a_read_only_store_is_not_swept);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
