/*
 * test_stats.c - the files .lsmfs/stats of a mount, what stands in them, and the counts of requests
 * (statsfile.h, stats.h, requests.h).
 */
#include <jansson.h>
#include <linux/fuse.h>

#include "vfs/requests.h"
#include "vfs/stats.h"
#include "vfs_fixture.h"

static struct vfs_fixture fs;
static struct requests *requests;
static struct stats_source source = {.store = "/the/store", .mountpoint = "/the/mount"};

static void
setup(void)
{
    requests = requests_new(2);
    ck_assert_ptr_nonnull(requests);
    source.requests = requests;
    fs_init(&fs);
    fs.options.source = &source;
    fs_reopen(&fs);
    ck_assert_int_eq(fs_mkdir(&fs, "d"), 0);
}

static void
teardown(void)
{
    fs_fini(&fs);
    requests_free(requests);
}

/* What the node has to read, in pieces of 100 bytes; free it. */
static char *
contents(struct node *node, size_t *size)
{
    char *text = malloc(1 << 20);
    size_t got = 0;

    ck_assert_ptr_nonnull(text);
    *size = 0;
    do {
        ck_assert_int_eq(vfs_read(fs.vfs, node, *size, text + *size, 100, 0, &got), 0);
        *size += got;
    } while (got == 100);
    text[*size] = '\0';
    return text;
}

static json_t *
stats(void)
{
    struct node *node;
    size_t size;
    char *text;
    json_t *object;

    ck_assert_int_eq(fs_node(&fs, ".lsmfs/stats.json", &node), 0);
    text = contents(node, &size);
    object = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_msg(object != NULL, "%s", text);
    free(text);
    vfs_forget(fs.vfs, node, 1);
    return object;
}

static char *
prometheus(void)
{
    struct node *node;
    size_t size;
    char *text;

    ck_assert_int_eq(fs_node(&fs, ".lsmfs/stats.prom", &node), 0);
    text = contents(node, &size);
    vfs_forget(fs.vfs, node, 1);
    return text;
}

/* ---- the file ---- */

START_TEST(test_the_file_has_the_size_that_it_shows_and_stays_as_it_was_opened)
{
    struct stat before, after, fresh;
    struct node *node;
    size_t size;
    char *text, *again;

    ck_assert_int_eq(fs_node(&fs, ".lsmfs/stats", &node), 0);
    ck_assert_int_eq(vfs_getattr(fs.vfs, node, &before, NULL), 0);
    ck_assert_uint_eq(before.st_mode, S_IFREG | 0400);
    ck_assert_uint_eq(before.st_nlink, 1);
    text = contents(node, &size);
    ck_assert_int_eq(before.st_size, (off_t)size);
    ck_assert_ptr_nonnull(strstr(text, "/the/mount (read-write)"));
    ck_assert_ptr_nonnull(strstr(text, "No snapshots.\n"));

    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/monday"), 0);
    again = contents(node, &size);
    ck_assert_str_eq(text, again);
    ck_assert_int_eq(vfs_getattr(fs.vfs, node, &after, NULL), 0);
    ck_assert_int_eq(after.st_size, before.st_size);
    free(again);
    free(text);
    vfs_forget(fs.vfs, node, 1);

    ck_assert_int_eq(fs_node(&fs, ".lsmfs/stats", &node), 0);
    ck_assert_int_eq(vfs_getattr(fs.vfs, node, &fresh, NULL), 0);
    ck_assert_uint_eq(fresh.st_ino, before.st_ino);
    text = contents(node, &size);
    ck_assert_int_eq(fresh.st_size, (off_t)size);
    ck_assert_ptr_nonnull(strstr(text, "  monday\n"));
    free(text);
    vfs_forget(fs.vfs, node, 1);
}
END_TEST

START_TEST(test_two_who_read_it_have_a_text_each)
{
    struct node *first, *second;
    size_t size;
    char *text;

    ck_assert_int_eq(fs_node(&fs, ".lsmfs/stats", &first), 0);
    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/monday"), 0);
    ck_assert_int_eq(fs_node(&fs, ".lsmfs/stats", &second), 0);
    ck_assert_ptr_ne(first, second);
    text = contents(second, &size);
    ck_assert_ptr_nonnull(strstr(text, "monday"));
    free(text);
    vfs_forget(fs.vfs, second, 1);
    text = contents(first, &size);
    ck_assert_ptr_null(strstr(text, "monday"));
    free(text);
    vfs_forget(fs.vfs, first, 1);
}
END_TEST

START_TEST(test_nothing_of_it_can_be_changed)
{
    const unsigned which[] = {VFS_MODE, VFS_UID, VFS_SIZE, VFS_MTIME};
    struct stat st = {.st_mode = 0644};
    struct node *node, *file;
    char text[8] = "text";
    size_t copied;

    ck_assert_int_eq(fs_put(&fs, "f", "text"), 0);
    ck_assert_int_eq(fs_node(&fs, "f", &file), 0);
    ck_assert_int_eq(fs_node(&fs, ".lsmfs/stats", &node), 0);
    ck_assert_int_eq(vfs_file_open(fs.vfs, &fs.caller, node, O_RDONLY), 0);
    ck_assert_int_eq(vfs_file_open(fs.vfs, &fs.caller, node, O_WRONLY), -EPERM);
    ck_assert_int_eq(vfs_file_open(fs.vfs, &fs.caller, node, O_RDONLY | O_TRUNC), -EPERM);
    ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, node, 0, text, 4, 0), -EPERM);
    ck_assert_int_eq(vfs_fallocate(fs.vfs, &fs.caller, node, 0, 0, 10), -EPERM);
    ck_assert_int_eq(vfs_copy(fs.vfs, &fs.caller, file, 0, node, 0, 4, 0, &copied),
                     -EPERM);
    for (size_t i = 0; i < sizeof(which) / sizeof(which[0]); i++)
        ck_assert_int_eq(vfs_setattr(fs.vfs, &fs.caller, node, &st, which[i], &st),
                         -EPERM);
    ck_assert_int_lt(vfs_setxattr(fs.vfs, &fs.caller, node, "user.x", "1", 1, 0), 0);
    ck_assert_int_eq(fs_unlink(&fs, ".lsmfs/stats"), -EPERM);
    ck_assert_int_eq(fs_put(&fs, ".lsmfs/new", "x"), -EPERM);
    ck_assert_int_eq(fs_link(&fs, "f", ".lsmfs/stats"), -EXDEV);
    ck_assert_int_eq(fs_link(&fs, ".lsmfs/stats", "g"), -EXDEV);
    ck_assert_int_eq(fs_rename(&fs, "f", ".lsmfs/stats", 0), -EXDEV);
    ck_assert_int_eq(fs_rename(&fs, ".lsmfs/stats", "g", 0), -EXDEV);
    ck_assert_int_eq(fs_rename(&fs, ".lsmfs/stats", ".lsmfs/new", 0), -EPERM);
    vfs_forget(fs.vfs, node, 1);
    vfs_forget(fs.vfs, file, 1);

    fs_close(&fs);
    fs.options.store.read_only = true;
    fs_open(&fs);
    ck_assert_int_eq(fs_node(&fs, ".lsmfs/stats", &node), 0);
    ck_assert_int_eq(vfs_file_open(fs.vfs, &fs.caller, node, O_WRONLY), -EROFS);
    vfs_forget(fs.vfs, node, 1);
}
END_TEST

START_TEST(test_it_is_listed_in_its_directory_alone_and_in_no_snapshot)
{
    struct node *node;

    fs_expect_names(&fs, "", "d/ ");
    fs_expect_names(&fs, ".lsmfs", "keys/ stats stats.json stats.prom ");
    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/s"), 0);
    fs_expect_names(&fs, ".snapshots/s/.lsmfs", "keys/ ");
    ck_assert_int_eq(fs_node(&fs, ".snapshots/s/.lsmfs/stats", &node), -ENOENT);
    ck_assert_int_eq(fs_node(&fs, ".lsmfs/stats.txt", &node), -ENOENT);
    ck_assert_int_eq(fs_node(&fs, ".lsmfs/stat", &node), -ENOENT);
    ck_assert_int_eq(fs_node(&fs, ".lsmfs/keys/stats", &node), -ENOENT);
    ck_assert_int_eq(fs_node(&fs, "d/.lsmfs", &node), -ENOENT);

    /* A snapshot that is itself mounted has it: it tells of the mount. */
    fs_close(&fs);
    fs.options.snapshot = "s";
    fs_open(&fs);
    ck_assert_int_eq(fs_node(&fs, ".lsmfs/stats", &node), 0);
    vfs_forget(fs.vfs, node, 1);
}
END_TEST

START_TEST(test_a_key_that_has_its_name_is_where_odd_keys_are)
{
    struct node *node;
    size_t size;
    char *text;

    fs_raw_put(&fs, ".lsmfs/stats", strlen(".lsmfs/stats"), "mine");
    fs_expect(&fs, ".lsmfs/keys/%2Elsmfs%2Fstats", "mine");
    ck_assert_int_eq(fs_node(&fs, ".lsmfs/stats", &node), 0);
    text = contents(node, &size);
    ck_assert_str_ne(text, "mine");
    free(text);
    vfs_forget(fs.vfs, node, 1);
    fs_expect(&fs, ".lsmfs/keys/%2Elsmfs%2Fstats", "mine");
}
END_TEST

START_TEST(test_it_can_be_copied_and_sought_in)
{
    struct node *node, *file;
    size_t size, copied;
    uint64_t found;
    char *text, *copy;

    ck_assert_int_eq(fs_put(&fs, "f", ""), 0);
    ck_assert_int_eq(fs_node(&fs, "f", &file), 0);
    ck_assert_int_eq(fs_node(&fs, ".lsmfs/stats.prom", &node), 0);
    text = contents(node, &size);
    ck_assert_uint_gt(size, 4096); /* more than a small file holds in its record */
    ck_assert_int_eq(
        vfs_copy(fs.vfs, &fs.caller, node, 0, file, 0, size + 100, 0, &copied), 0);
    ck_assert_uint_eq(copied, size);
    ck_assert_int_eq(vfs_seek(fs.vfs, node, 0, SEEK_HOLE, &found), 0);
    ck_assert_uint_eq(found, size);
    vfs_forget(fs.vfs, node, 1);
    copy = contents(file, &copied);
    ck_assert_str_eq(copy, text);
    free(copy);
    free(text);
    vfs_forget(fs.vfs, file, 1);
}
END_TEST

/* ---- what stands in it ---- */

START_TEST(test_json_has_numbers_and_places)
{
    json_t *object;
    const char *mounted;
    json_int_t entries, unsynced, pins;
    double age;

    fs.options.store.commit_ms = 3600000;
    fs_reopen(&fs);
    ck_assert_int_eq(fs_put(&fs, "f", "text"), 0);
    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/\xff"), 0); /* which syncs */
    ck_assert_int_eq(fs_put(&fs, "g", "text"), 0);
    object = stats();
    ck_assert_int_eq(json_unpack(object, "{ss s{sI} s{sI sF}}", "mounted_at", &mounted,
                                 "engine", "write_entries", &entries, "unsynced", "bytes",
                                 &unsynced, "seconds", &age),
                     0);
    ck_assert_str_eq(mounted, "/the/mount");
    ck_assert_int_ge(entries, 2);
    ck_assert_int_gt(unsynced, 0);
    ck_assert_double_gt(age, 0);
    pins = (json_int_t)json_array_size(json_object_get(object, "pins"));
    ck_assert_int_ge(pins, 1); /* the name is no UTF-8, and is told all the same */
    json_decref(object);

    ck_assert_int_eq(vfs_sync(fs.vfs), 0);
    object = stats();
    ck_assert_int_eq(json_unpack(object, "{s{sI sF}}", "unsynced", "bytes", &unsynced,
                                 "seconds", &age),
                     0);
    ck_assert_int_eq(unsynced, 0);
    ck_assert_double_eq(age, 0);
    json_decref(object);
}
END_TEST

START_TEST(test_an_unclean_stop_is_told)
{
    json_t *object = stats();
    const char *recovery;
    int unclean;

    ck_assert_int_eq(json_unpack(object, "{sb}", "unclean_stop", &unclean), 0);
    ck_assert_int_eq(unclean, 0);
    json_decref(object);
    fs_kill(&fs);
    object = stats();
    ck_assert_int_eq(
        json_unpack(object, "{sb ss}", "unclean_stop", &unclean, "recovery", &recovery),
        0);
    ck_assert_int_eq(unclean, 1);
    ck_assert_ptr_nonnull(strstr(recovery, "unclean stop; "));
    json_decref(object);
}
END_TEST

START_TEST(test_names_are_escaped_in_labels)
{
    char *text;

    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/a\"b\\c\nd"), 0);
    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/\xff"), 0);
    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/\xfe"), 0);
    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/gr\xc3\xbc\xc3\x9f"), 0);
    text = prometheus();
    ck_assert_ptr_nonnull(
        strstr(text, "\nlsmfs_snapshot_kept_bytes{snapshot=\"a\\\"b\\\\c\\nd\"} "));
    ck_assert_ptr_nonnull(strstr(text, "{snapshot=\"%FF\"} "));
    ck_assert_ptr_nonnull(strstr(text, "{snapshot=\"%FE\"} "));
    ck_assert_ptr_nonnull(strstr(text, "{snapshot=\"gr\xc3\xbc\xc3\x9f\"} "));
    free(text);
}
END_TEST

START_TEST(test_a_control_character_does_not_spoil_the_text)
{
    struct node *node;
    size_t size;
    char *text;

    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/a\nb\033[2J"), 0);
    ck_assert_int_eq(fs_node(&fs, ".lsmfs/stats", &node), 0);
    text = contents(node, &size);
    ck_assert_ptr_nonnull(strstr(text, "  a?b?[2J\n"));
    ck_assert_ptr_null(strchr(text, '\033'));
    free(text);
    vfs_forget(fs.vfs, node, 1);
}
END_TEST

/* ---- counts of requests ---- */

START_TEST(test_requests_of_all_threads_add_up_by_kind)
{
    struct requests_kind lookups, others;
    uint64_t now = requests_now();

    requests_count(requests, 0, FUSE_LOOKUP, now);
    requests_count(requests, 1, FUSE_LOOKUP, now);
    requests_count(requests, 1, 4096, now); /* no kind that there is */
    requests_count(requests, 0, 0, now);
    requests_sum(requests, FUSE_LOOKUP, &lookups);
    requests_sum(requests, 0, &others);
    ck_assert_uint_eq(lookups.count, 2);
    ck_assert_uint_eq(others.count, 2);
    ck_assert_uint_eq(requests_total(requests), 4);
    ck_assert_str_eq(requests_name(FUSE_LOOKUP), "lookup");
    ck_assert_str_eq(requests_name(0), "other");
    ck_assert_ptr_null(requests_name(4096));
}
END_TEST

/* Some time goes by until it is counted: of short ones nobody knows the bucket. */
START_TEST(test_a_time_is_in_the_bucket_that_it_fits)
{
    for (unsigned i = 10; i < REQUESTS_BUCKETS; i++) {
        const uint64_t above = REQUESTS_BOUND(i) / 4; /* the bound of the bucket before */
        struct requests_kind kind;

        requests_count(requests, 0, FUSE_READ + i, requests_now() - above - above / 8);
        requests_count(requests, 0, FUSE_READ + i, requests_now() - 2 * above);
        requests_sum(requests, FUSE_READ + i, &kind);
        ck_assert_uint_eq(kind.buckets[i], 2);
        ck_assert_uint_eq(kind.count, 2);
        ck_assert_uint_ge(kind.nanoseconds, 3 * above);
        ck_assert_uint_lt(kind.nanoseconds, 4 * above);
    }
}
END_TEST

START_TEST(test_buckets_are_cumulative_for_prometheus)
{
    static const char *const wanted[] = {"opcode=\"fsync\",le=\"0.001048576\"} 1\n",
                                         "opcode=\"fsync\",le=\"0.067108864\"} 1\n",
                                         "opcode=\"fsync\",le=\"4.294967296\"} 2\n",
                                         "opcode=\"fsync\",le=\"+Inf\"} 3\n",
                                         "_count{opcode=\"fsync\"} 3\n"};
    const uint64_t second = 1000000000;
    char *text;

    requests_count(requests, 0, FUSE_FSYNC, requests_now());
    requests_count(requests, 0, FUSE_FSYNC, requests_now() - second / 2);
    requests_count(requests, 1, FUSE_FSYNC, requests_now() - 100 * second);
    text = prometheus();
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        ck_assert_msg(strstr(text, wanted[i]) != NULL, "%s", wanted[i]);
    ck_assert_ptr_null(strstr(text, "opcode=\"rename\""));
    free(text);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("stats");
    TCase *tcase = tcase_create("stats");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase,
                   test_the_file_has_the_size_that_it_shows_and_stays_as_it_was_opened);
    tcase_add_test(tcase, test_two_who_read_it_have_a_text_each);
    tcase_add_test(tcase, test_nothing_of_it_can_be_changed);
    tcase_add_test(tcase, test_it_is_listed_in_its_directory_alone_and_in_no_snapshot);
    tcase_add_test(tcase, test_a_key_that_has_its_name_is_where_odd_keys_are);
    tcase_add_test(tcase, test_it_can_be_copied_and_sought_in);
    tcase_add_test(tcase, test_json_has_numbers_and_places);
    tcase_add_test(tcase, test_an_unclean_stop_is_told);
    tcase_add_test(tcase, test_names_are_escaped_in_labels);
    tcase_add_test(tcase, test_a_control_character_does_not_spoil_the_text);
    tcase_add_test(tcase, test_requests_of_all_threads_add_up_by_kind);
    tcase_add_test(tcase, test_a_time_is_in_the_bucket_that_it_fits);
    tcase_add_test(tcase, test_buckets_are_cumulative_for_prometheus);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
