/*
 * test_spool.c - spool.h: what is short is in memory, what is not on the disk, and what either meets.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/spool.h"
#include "support/suite.h"

static char bytes[SPOOL_MEMORY + 1000];
static int here, nowhere; /* a directory, and one that takes no file */

static void
setup(void)
{
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 31 + i / 251);
    here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    nowhere = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(here, 0);
    ck_assert_int_ge(nowhere, 0);
}

static void
teardown(void)
{
    close(here);
    close(nowhere);
}

static void
expect(struct spool *spool, size_t size)
{
    static char got[sizeof(bytes) + 1];

    ck_assert_int_eq(spool_rewind(spool), 0);
    ck_assert_int_eq(spool_read(spool, got, sizeof(got)), (ssize_t)size);
    ck_assert_mem_eq(got, bytes, size);
    ck_assert_int_eq(spool_read(spool, got, 1), 0);
}

/* Else what `lsmfs snapshot diff` or `ls` says of a store on a full disk was -EIO. */
START_TEST(test_what_is_short_needs_no_disk)
{
    struct spool spool;

    ck_assert_int_eq(spool_open(&spool, nowhere), 0);
    ck_assert_int_eq(spool_write(&spool, bytes, 1000), 0);
    ck_assert_int_eq(spool_write(&spool, bytes + 1000, SPOOL_MEMORY - 1000), 0);
    expect(&spool, SPOOL_MEMORY);
    spool_close(&spool);
}
END_TEST

START_TEST(test_what_is_long_goes_on_on_the_disk)
{
    struct spool spool;

    ck_assert_int_eq(spool_open(&spool, here), 0);
    for (size_t at = 0; at < sizeof(bytes); at += 8)
        ck_assert_int_eq(spool_write(&spool, bytes + at, 8), 0);
    ck_assert(spool.on_disk);
    expect(&spool, sizeof(bytes));
    spool_close(&spool);
}
END_TEST

START_TEST(test_the_disk_may_be_asked_for_at_once)
{
    struct spool spool;

    ck_assert_int_eq(spool_open(&spool, here), 0);
    ck_assert_int_eq(spool_to_disk(&spool), 0);
    ck_assert_int_eq(spool_write(&spool, bytes, sizeof(bytes)), 0);
    expect(&spool, sizeof(bytes));
    spool_close(&spool);
    ck_assert_int_eq(spool_open(&spool, nowhere), 0);
    ck_assert_int_lt(spool_to_disk(&spool), 0);
    spool_close(&spool);
}
END_TEST

/* spool_write where no file may be larger than `most` bytes. */
static int
write_where_files_end(struct spool *spool, const void *from, size_t size, rlim_t most)
{
    struct rlimit before, limit;
    int result;

    signal(SIGXFSZ, SIG_IGN); /* the write fails instead */
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = (struct rlimit){most, before.rlim_max};
    /* No assertion meanwhile: each writes to a file of Check's. */
    result =
        setrlimit(RLIMIT_FSIZE, &limit) == 0 ? spool_write(spool, from, size) : -errno;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    return result;
}

/* Found by a mutant. */
START_TEST(test_a_write_that_the_disk_takes_in_part_says_so)
{
    struct spool spool;

    ck_assert_int_eq(spool_open(&spool, here), 0);
    ck_assert_int_eq(spool_write(&spool, bytes, SPOOL_MEMORY), 0);
    ck_assert_int_eq(
        write_where_files_end(&spool, bytes + SPOOL_MEMORY, 1000, SPOOL_MEMORY + 100),
        -EFBIG);
    ck_assert(spool.on_disk);
    ck_assert_uint_eq(spool.size, SPOOL_MEMORY);
    spool_close(&spool);
}
END_TEST

/* Whereas what there is in memory stays there, whole. */
START_TEST(test_what_the_disk_has_no_room_for_stays_in_memory)
{
    struct spool spool;

    ck_assert_int_eq(spool_open(&spool, here), 0);
    ck_assert_int_eq(spool_write(&spool, bytes, SPOOL_MEMORY), 0);
    ck_assert_int_eq(
        write_where_files_end(&spool, bytes + SPOOL_MEMORY, 1000, SPOOL_MEMORY / 2),
        -EFBIG);
    ck_assert(!spool.on_disk);
    expect(&spool, SPOOL_MEMORY);
    ck_assert_int_eq(spool_write(&spool, bytes + SPOOL_MEMORY, 1000), 0);
    expect(&spool, sizeof(bytes));
    spool_close(&spool);
}
END_TEST

/* Though what comes later would have room: it would stand behind a gap.  Found by a
 * mutant. */
START_TEST(test_a_stream_keeps_the_error_of_its_first_failure)
{
    struct spool spool;
    FILE *stream;

    ck_assert_int_eq(spool_open(&spool, nowhere), 0);
    stream = spool_stream(&spool);
    ck_assert_ptr_nonnull(stream);
    ck_assert_uint_eq(fwrite(bytes, 1, 1000, stream), 1000);
    ck_assert_int_eq(fflush(stream), 0);
    ck_assert_int_eq(spool.error, 0);
    ck_assert_uint_lt(fwrite(bytes + 1000, 1, sizeof(bytes) - 1000, stream),
                      sizeof(bytes) - 1000);
    ck_assert_int_lt(spool.error, 0);
    ck_assert_int_ne(spool.error, -EIO);
    ck_assert_uint_eq(fwrite(bytes, 1, 10, stream), 10);
    fclose(stream);
    ck_assert_int_lt(spool.error, 0);
    expect(&spool, spool.size);
    spool_close(&spool);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("spool");
    TCase *tcase = tcase_create("spool");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_what_is_short_needs_no_disk);
    tcase_add_test(tcase, test_what_is_long_goes_on_on_the_disk);
    tcase_add_test(tcase, test_the_disk_may_be_asked_for_at_once);
    tcase_add_test(tcase, test_a_write_that_the_disk_takes_in_part_says_so);
    tcase_add_test(tcase, test_what_the_disk_has_no_room_for_stays_in_memory);
    tcase_add_test(tcase, test_a_stream_keeps_the_error_of_its_first_failure);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
