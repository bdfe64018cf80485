/* test_options.c - the command line of a mount. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/memory.h"
#include "daemon/options.h"
#include "support/suite.h"

static struct options options;

/* Parses `lsmfs` and these words, which are separated by blanks; what it says is dropped. */
static int
parse(const char *words)
{
    char line[512], *rest = line, *argv[20] = {line};
    int argc = 1, saved = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);

    snprintf(line, sizeof(line), "%s", words);
    for (char *word; (word = strsep(&rest, " ")) != NULL;)
        argv[argc++] = word;
    optind = 0;
    dup2(null, STDERR_FILENO);
    int result = options_parse(argc, argv, &options);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(null);
    return result;
}

START_TEST(test_defaults)
{
    ck_assert_int_eq(parse("/tmp/store /tmp/point"), 0);
    ck_assert_str_eq(options.store, "/tmp/store");
    ck_assert_str_eq(options.mountpoint, "/tmp/point");
    ck_assert_uint_eq(options.commit_ms, 1000);
    ck_assert(!options.sync && !options.read_only && !options.show_snapshots);
    ck_assert(!options.acl && !options.foreground && !options.debug);
    ck_assert_int_eq(options.atime, VFS_RELATIME);
    ck_assert_str_eq(options.snapshot, "");
    ck_assert_str_eq(options.passed, "");
}
END_TEST

START_TEST(test_options_stand_anywhere_and_several_times)
{
    ck_assert_int_eq(
        parse("-o ro,acl /tmp/store -f /tmp/point -o commit=5 -onoatime,,sync"), 0);
    ck_assert(options.read_only && options.acl && options.foreground);
    ck_assert(options.sync && !options.debug);
    ck_assert_int_eq(options.atime, VFS_NOATIME);
    ck_assert_uint_eq(options.commit_ms, 5000);
    ck_assert_int_eq(parse("-d /tmp/store /tmp/point"), 0);
    ck_assert(options.debug && options.foreground);
    /* Was handed to the kernel, which does nothing about it. */
    ck_assert_int_eq(parse("-o dirsync /tmp/store /tmp/point"), 0);
    ck_assert(options.sync);
    ck_assert_str_eq(options.passed, "");
}
END_TEST

START_TEST(test_commit_takes_seconds_and_parts_of_them)
{
    static const struct {
        const char *text;
        unsigned ms; /* 0: refused */
    } cases[] = {
        {"1", 1000},   {"0.25", 250}, {"0.001", 1}, {"3600", 3600000}, {"0", 0},
        {"0.0001", 0}, {"-1", 0},     {"3601", 0},  {"inf", 0},        {"nan", 0},
        {"", 0},       {"1s", 0},     {"x", 0},     {"1e400", 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char line[100];

        snprintf(line, sizeof(line), "/tmp/s /tmp/m -o commit=%s", cases[i].text);
        ck_assert_msg(parse(line) == (cases[i].ms == 0 ? -EINVAL : 0), "%s",
                      cases[i].text);
        if (cases[i].ms != 0)
            ck_assert_uint_eq(options.commit_ms, cases[i].ms);
    }
}
END_TEST

START_TEST(test_memory_takes_bytes_and_units)
{
    static const struct {
        const char *text;
        uint64_t bytes; /* 0: refused */
    } cases[] = {
        {"48M", UINT64_C(48) << 20},
        {"65536K", UINT64_C(64) << 20},
        {"134217728", UINT64_C(128) << 20},
        {"1024G", UINT64_C(1) << 40},
        {"47M", 0},
        {"1025G", 0},
        {"64", 0}, /* bytes */
        {"0", 0},
        {"", 0},
        {"M", 0},
        {"-64M", 0},
        {"64MB", 0},
        {"64m", 0},
        {"18446744073709551617", 0},
        {"18014398509482048K", 0}, /* 64 MiB, were the number cut */
    };

    ck_assert_int_eq(parse("/tmp/s /tmp/m"), 0);
    ck_assert_uint_eq(options.memory, MEMORY_DEFAULT);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char line[100];

        snprintf(line, sizeof(line), "/tmp/s /tmp/m -o memory=%s", cases[i].text);
        ck_assert_msg(parse(line) == (cases[i].bytes == 0 ? -EINVAL : 0), "%s",
                      cases[i].text);
        if (cases[i].bytes != 0)
            ck_assert_uint_eq(options.memory, cases[i].bytes);
    }
}
END_TEST

/* Three sets of memtables, names of listings and their ends; a node with its name takes 350
 * bytes. */
static uint64_t
sum_of(const struct memory_shares *shares)
{
    return UINT64_C(3) * shares->write_buffer + shares->cache + 350 * shares->nodes +
           UINT64_C(2) * shares->listings + shares->holes;
}

START_TEST(test_memory_is_shared_out_whole_and_no_more)
{
    for (uint64_t total = MEMORY_LEAST; total <= MEMORY_MOST; total += total / 3) {
        struct memory_shares shares;
        uint64_t sum;

        memory_share(total, total / 8, &shares); /* of rings */
        ck_assert_uint_ge(shares.holes, total / 8);
        sum = sum_of(&shares);
        ck_assert_uint_le(sum, total);
        ck_assert_uint_gt(sum, total / 2);
        memory_share(total, 0, &shares);
        sum = sum_of(&shares);
        ck_assert_uint_le(sum, total);
        ck_assert_uint_gt(sum, total / 2);
        ck_assert_uint_ge(shares.write_buffer, 1 << 20);
    }
}
END_TEST

START_TEST(test_loglevel_names_what_is_said)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};

    ck_assert_int_eq(parse("/tmp/s /tmp/m"), 0);
    ck_assert_int_eq(options.log_level, LSMKV_LOG_WARNING);
    for (int i = 0; i < 4; i++) {
        char line[100];

        snprintf(line, sizeof(line), "/tmp/s /tmp/m -o loglevel=%s", names[i]);
        ck_assert_int_eq(parse(line), 0);
        ck_assert_int_eq(options.log_level, i);
    }
    ck_assert_int_eq(parse("/tmp/s /tmp/m -o loglevel=verbose"), -EINVAL);
    ck_assert_int_eq(parse("/tmp/s /tmp/m -o loglevel="), -EINVAL);
    ck_assert_int_eq(parse("/tmp/s /tmp/m -o loglevel"), -EINVAL);
}
END_TEST

START_TEST(test_a_snapshot_is_read_only)
{
    ck_assert_int_eq(parse("/tmp/s /tmp/m -o snapshot=monday"), 0);
    ck_assert_str_eq(options.snapshot, "monday");
    ck_assert(options.read_only);
    ck_assert_int_eq(parse("/tmp/s /tmp/m -o snapshot="), -EINVAL);
    ck_assert_int_eq(parse("/tmp/s /tmp/m -o snapshot=a/b"), -EINVAL);
}
END_TEST

START_TEST(test_usual_options_are_passed_on_in_order)
{
    ck_assert_int_eq(
        parse("/tmp/s /tmp/m -o suid,allow_other,nofail,x-anything=1,noexec"), 0);
    ck_assert_str_eq(options.passed, ",suid,allow_other,noexec");
}
END_TEST

/* mount(8) repeats what the kernel says of a mount, and lsmfs once refused it all. */
START_TEST(test_remount_takes_what_mount_repeats)
{
    ck_assert_int_eq(parse("/tmp/s /tmp/m -o ro,nosuid,nodev,relatime,remount,user_id=0,"
                           "group_id=0,default_permissions,max_read=131072"),
                     0);
    ck_assert(options.remount);
    ck_assert(options.read_only);
    ck_assert_str_eq(options.passed, ",nosuid,nodev");
    ck_assert_int_eq(parse("/tmp/s /tmp/m -o user_id=0"), -EINVAL);
}
END_TEST

START_TEST(test_owners_and_modes_to_be_shown)
{
    ck_assert_int_eq(parse("/tmp/s /tmp/m"), 0);
    ck_assert(!options.shown.has_uid && !options.shown.has_gid &&
              !options.shown.has_umask);
    ck_assert_int_eq(parse("/tmp/s /tmp/m -o uid=17,gid=4294967294,umask=027"), 0);
    ck_assert(options.shown.has_uid && options.shown.has_gid && options.shown.has_umask);
    ck_assert_uint_eq(options.shown.uid, 17);
    ck_assert_uint_eq(options.shown.gid, 4294967294);
    ck_assert_uint_eq(options.shown.umask, 027);
    ck_assert_int_eq(parse("/tmp/s /tmp/m -o uid=root"), 0);
    ck_assert(options.shown.has_uid && options.shown.uid == 0);
    for (size_t i = 0; i < 9; i++) {
        static const char *const bad[] = {
            "uid=",
            "uid=-1",
            "uid=4294967295",
            "uid=1x",
            "gid=nobody-at-all",
            "umask=1000",
            "umask=8",
            "umask=",
            "umask=07,acl",
        };
        char line[80];

        snprintf(line, sizeof(line), "/tmp/s /tmp/m -o %s", bad[i]);
        ck_assert_int_eq(parse(line), -EINVAL);
    }
}
END_TEST

/* mount(8) adds rw to each list without ro, and so to one with snapshot=. */
START_TEST(test_the_last_of_ro_and_rw_counts_but_a_snapshot_is_read_only)
{
    ck_assert_int_eq(parse("/tmp/s /tmp/m -o ro,rw"), 0);
    ck_assert(!options.read_only);
    ck_assert_int_eq(parse("/tmp/s /tmp/m -o rw,ro"), 0);
    ck_assert(options.read_only);
    ck_assert_int_eq(parse("/tmp/s /tmp/m -o snapshot=monday,rw"), 0);
    ck_assert(options.read_only);
}
END_TEST

START_TEST(test_a_helper_gives_its_options_one_by_one)
{
    char first[] = "nofail,user=me,comment=a b,X-c,bogus,allow_root",
         second[] = "nocreate";

    options_init(&options);
    options.sloppy = true;
    ck_assert_int_eq(options_add(&options, first), 0);
    ck_assert_int_eq(options_add(&options, second), 0);
    ck_assert_int_eq(options_place(&options, "/tmp/s", "/tmp/m"), 0);
    ck_assert(options.nofail && options.must_exist);
    ck_assert(options_passes(&options, "allow_root"));
    ck_assert(!options_passes(&options, "allow") && !options_passes(&options, "root"));
    ck_assert(!options_passes(&options, "allow_other"));
}
END_TEST

START_TEST(test_what_is_not_known_or_not_complete_is_refused)
{
    static const char *const bad[] = {
        "",
        "/tmp/s",
        "/tmp/s /tmp/m /tmp/n",
        "/tmp/s /tmp/m -o",
        "/tmp/s /tmp/m -o nonsense",
        "/tmp/s /tmp/m -o commit",
        "/tmp/s /tmp/m -o ro=1",
        "/tmp/s /tmp/m -o snapdir=some",
        "/tmp/s /tmp/m -o fsname=x",
        "/tmp/s /tmp/m -o auto_unmount",
        "/tmp/s /tmp/m -z",
        "/tmp/s /tmp/m --long",
        "/absent/below/s /tmp/m",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(parse(bad[i]) == -EINVAL, "'%s'", bad[i]);
}
END_TEST

START_TEST(test_store_and_mount_point_must_lie_apart)
{
    ck_assert_int_eq(parse("/tmp/s /tmp/s"), -EINVAL);
    ck_assert_int_eq(parse("/tmp /tmp/m"), -EINVAL);
    ck_assert_int_eq(parse("/tmp/s /tmp"), -EINVAL);
    ck_assert_int_eq(parse("/tmp/s /"), -EINVAL);
    ck_assert_int_eq(parse("/tmp/store /tmp/store2"), 0);
    ck_assert_int_eq(parse("/tmp/store2 /tmp/store"), 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("options");
    TCase *tests = tcase_create("options");

    tcase_add_test(tests, test_defaults);
    tcase_add_test(tests, test_owners_and_modes_to_be_shown);
    tcase_add_test(tests, test_options_stand_anywhere_and_several_times);
    tcase_add_test(tests, test_commit_takes_seconds_and_parts_of_them);
    tcase_add_test(tests, test_memory_takes_bytes_and_units);
    tcase_add_test(tests, test_memory_is_shared_out_whole_and_no_more);
    tcase_add_test(tests, test_loglevel_names_what_is_said);
    tcase_add_test(tests, test_a_snapshot_is_read_only);
    tcase_add_test(tests, test_usual_options_are_passed_on_in_order);
    tcase_add_test(tests, test_remount_takes_what_mount_repeats);
    tcase_add_test(tests, test_the_last_of_ro_and_rw_counts_but_a_snapshot_is_read_only);
    tcase_add_test(tests, test_a_helper_gives_its_options_one_by_one);
    tcase_add_test(tests, test_what_is_not_known_or_not_complete_is_refused);
    tcase_add_test(tests, test_store_and_mount_point_must_lie_apart);
    suite_add_tcase(suite, tests);

    return run_suite(suite);
}
