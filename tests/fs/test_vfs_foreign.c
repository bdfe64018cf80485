/*
 * test_vfs_foreign.c - stores that others filled: keys as paths, implied directories, keys that
 * are no path, values with keys below them.
 */
#include "store/attr.h"
#include "store/key.h"
#include "vfs_fixture.h"

#define RAW(key, value) fs_raw_put(&fs, key, sizeof(key) - 1, value)

static struct vfs_fixture fs;

/* A store that no mount has seen. */
static void
begin(void)
{
    struct lsmkv *db;

    memset(&fs, 0, sizeof(fs));
    fs.env = mem_env_new();
    lsmkv_options_init(&fs.engine);
    fs.engine.env = mem_env_base(fs.env);
    fs.engine.create = true;
    fs.engine.space_reserve = 1 << 20;
    ck_assert_int_eq(lsmkv_open("lsmfs-test-store", &fs.engine, &db), 0);
    ck_assert_int_eq(lsmkv_close(db), 0);
    vfs_options_init(&fs.options);
    fs.options.store.path = "lsmfs-test-store";
    fs.options.store.engine = &fs.engine;
}

static void
put(struct lsmkv *db, const char *key, size_t size, const char *value)
{
    ck_assert_int_eq(lsmkv_put(db, NULL, lsmkv_bytes(key, size), lsmkv_bytes(NULL, 0),
                               lsmkv_str(value), 0),
                     0);
}

#define PUT(key, value) put(db, key, sizeof(key) - 1, value)

static void
fill_usual(struct lsmkv *db)
{
    PUT("a/b/c", "abc");
    PUT("a/d", "ad");
    PUT("plain", "value");
    PUT("both", "of the key");
    PUT("both/below", "below");
    PUT("odd//x", "odd");
    PUT("only//x", "odd");
    PUT("", "of the empty key");
    PUT(".snapshots/x", "hidden");
    PUT("nul\0in", "nul");
    PUT("d/../e", "dots");
}

static void
setup(void)
{
    struct lsmkv *db;

    begin();
    ck_assert_int_eq(lsmkv_open("lsmfs-test-store", &fs.engine, &db), 0);
    fill_usual(db);
    ck_assert_int_eq(lsmkv_close(db), 0);
    fs_open(&fs);
}

static void
teardown(void)
{
    fs_fini(&fs);
}

START_TEST(test_keys_show_as_paths)
{
    fs_expect_names(&fs, "", "a/ both/ d/ odd/ only/ plain ");
    fs_expect_names(&fs, "a", "b/ d ");
    fs_expect_names(&fs, "a/b", "c ");
    fs_expect_names(&fs, "both", "below ");
    fs_expect_names(&fs, "odd", "");
    fs_expect(&fs, "a/b/c", "abc");
    fs_expect(&fs, "plain", "value");
    fs_expect(&fs, "both/below", "below");
}
END_TEST

START_TEST(test_plain_values_have_times_and_numbers_that_last)
{
    struct stat before, after;

    ck_assert_int_eq(fs_stat(&fs, "plain", &before), 0);
    ck_assert_int_ne(before.st_mtim.tv_sec, 0);
    ck_assert_uint_eq(before.st_mode, S_IFREG | 0644);
    ck_assert(before.st_ino >> 62 == 1);
    fs_reopen(&fs);
    ck_assert_int_eq(fs_stat(&fs, "plain", &after), 0);
    ck_assert_uint_eq(before.st_ino, after.st_ino);
    ck_assert_int_eq(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    /* The first change writes it down. */
    ck_assert_int_eq(fs_rename(&fs, "plain", "a/moved", 0), 0);
    ck_assert_uint_eq(fs_ino(&fs, "a/moved"), before.st_ino);
    fs_expect(&fs, "a/moved", "value");
}
END_TEST

START_TEST(test_plain_put_over_a_file_is_a_new_file)
{
    uint64_t ino;

    ck_assert_int_eq(fs_put(&fs, "f", "mine"), 0);
    ino = fs_ino(&fs, "f");
    RAW("f", "theirs");
    ck_assert_uint_ne(fs_ino(&fs, "f"), ino);
    fs_expect(&fs, "f", "theirs");
}
END_TEST

START_TEST(test_implied_directory_keeps_its_number_when_adopted)
{
    uint64_t ino = fs_ino(&fs, "a/b"), above = fs_ino(&fs, "a");

    ck_assert(ino >> 61 == 1);
    ck_assert_uint_eq(fs_nlink(&fs, "a"), 1);
    ck_assert_int_eq(fs_put(&fs, "a/b/new", "n"), 0);
    fs_reopen(&fs);
    ck_assert_uint_eq(fs_ino(&fs, "a/b"), ino);
    ck_assert_uint_eq(fs_ino(&fs, "a"), above);
    fs_expect_names(&fs, "a/b", "c new ");
}
END_TEST

START_TEST(test_implied_directory_does_not_vanish_with_its_last_file)
{
    ck_assert_int_eq(fs_unlink(&fs, "a/b/c"), 0);
    ck_assert_int_eq(fs_unlink(&fs, "a/d"), 0);
    fs_expect_names(&fs, "a", "b/ ");
    fs_expect_names(&fs, "a/b", "");
    ck_assert_int_eq(fs_rmdir(&fs, "a/b"), 0);
    fs_expect_names(&fs, "a", "");
    ck_assert_int_eq(fs_rmdir(&fs, "a"), 0);
    fs_expect_names(&fs, "", "both/ d/ odd/ only/ plain ");
}
END_TEST

START_TEST(test_implied_directory_can_be_renamed)
{
    uint64_t ino = fs_ino(&fs, "a");

    ck_assert_int_eq(fs_rename(&fs, "a", "z", 0), 0);
    fs_expect(&fs, "z/b/c", "abc");
    ck_assert_uint_eq(fs_ino(&fs, "z"), ino);
    ck_assert_int_eq(fs_rename(&fs, "z", "both", RENAME_EXCHANGE), 0);
    fs_expect(&fs, "both/b/c", "abc");
    fs_expect(&fs, "z/below", "below");
    fs_expect(&fs, ".lsmfs/keys/z", "of the key");
}
END_TEST

/* A directory that was renamed kept the number that keys put below its old path imply, so after
 * a remount two directories had it. */
START_TEST(test_number_of_a_renamed_implied_directory_is_not_given_again)
{
    uint64_t a = fs_ino(&fs, "a"), again, below = fs_ino(&fs, "a/b");

    ck_assert_int_eq(fs_put(&fs, "a/b/new", ""), 0); /* its record goes along with a's */
    ck_assert_int_eq(fs_rename(&fs, "a", "z", 0), 0);
    RAW("a/b/c", "again");
    fs_reopen(&fs);
    ck_assert_uint_eq(fs_ino(&fs, "z"), a);
    ck_assert_uint_eq(fs_ino(&fs, "z/b"), below);
    again = fs_ino(&fs, "a");
    ck_assert_uint_ne(again, a);
    ck_assert_uint_ne(fs_ino(&fs, "a/b"), below);
    fs_reopen(&fs);
    ck_assert_uint_eq(fs_ino(&fs, "a"), again);
    /* Removed, it gives the number back. */
    ck_assert_int_eq(fs_unlink(&fs, "z/b/c"), 0);
    ck_assert_int_eq(fs_unlink(&fs, "z/b/new"), 0);
    ck_assert_int_eq(fs_rmdir(&fs, "z/b"), 0);
    fs_reopen(&fs);
    ck_assert_uint_eq(fs_ino(&fs, "a/b"), below);
}
END_TEST

START_TEST(test_keys_that_are_no_path_are_files_in_keys)
{
    struct node *node;

    fs_expect(&fs, ".lsmfs/keys/odd%2F%2Fx", "odd");
    fs_expect(&fs, ".lsmfs/keys/%", "of the empty key");
    fs_expect(&fs, ".lsmfs/keys/nul%00in", "nul");
    fs_expect(&fs, ".lsmfs/keys/%2Esnapshots%2Fx", "hidden");
    fs_expect(&fs, ".lsmfs/keys/d%2F%2E%2E%2Fe", "dots");
    ck_assert_int_eq(fs_node(&fs, ".lsmfs/keys/plain", &node), -ENOENT);
    ck_assert_int_eq(fs_node(&fs, ".lsmfs/keys/odd%2f%2fx", &node), -ENOENT);
    ck_assert_int_eq(fs_node(&fs, ".lsmfs/other", &node), -ENOENT);
    ck_assert_int_eq(fs_put(&fs, ".lsmfs/keys/new", ""), -EPERM);
    ck_assert_int_eq(fs_mkdir(&fs, ".lsmfs/keys/new"), -EPERM);
    ck_assert_int_eq(fs_rename(&fs, "plain", ".lsmfs/keys/new", 0), -EXDEV);
}
END_TEST

START_TEST(test_value_of_a_directorys_key_is_kept)
{
    fs_expect(&fs, ".lsmfs/keys/both", "of the key");
    ck_assert_int_eq(fs_put(&fs, "both/new", "n"), 0); /* the directory gets its record */
    fs_expect(&fs, ".lsmfs/keys/both", "of the key");
    ck_assert_int_eq(fs_put(&fs, ".lsmfs/keys/both", "rewritten"), 0);
    fs_reopen(&fs);
    fs_expect(&fs, ".lsmfs/keys/both", "rewritten");
    fs_expect_names(&fs, "both", "below new ");
    ck_assert_int_eq(fs_unlink(&fs, "both/new"), 0);
    ck_assert_int_eq(fs_unlink(&fs, "both/below"), 0);
    ck_assert_int_eq(fs_rmdir(&fs, "both"), -ENOTEMPTY);
    ck_assert_int_eq(fs_unlink(&fs, ".lsmfs/keys/both"), 0);
    ck_assert_int_eq(fs_unlink(&fs, ".lsmfs/keys/both"), -ENOENT);
    ck_assert_int_eq(fs_rmdir(&fs, "both"), 0);
}
END_TEST

START_TEST(test_rewritten_key_may_be_large)
{
    static char big[300000], back[300001];
    struct node *node;

    memset(big, 'L', sizeof(big));
    ck_assert_int_eq(fs_write(&fs, ".lsmfs/keys/odd%2F%2Fx", big, sizeof(big), NULL), 0);
    ck_assert_int_eq(fs_put(&fs, "both/x", ""), 0);
    ck_assert_int_eq(fs_write(&fs, ".lsmfs/keys/both", big, sizeof(big), NULL), 0);
    fs_reopen(&fs);
    ck_assert_int_eq(fs_read(&fs, ".lsmfs/keys/odd%2F%2Fx", back, sizeof(back)),
                     sizeof(big));
    ck_assert_int_eq(memcmp(big, back, sizeof(big)), 0);
    ck_assert_int_eq(fs_read(&fs, ".lsmfs/keys/both", back, sizeof(back)), sizeof(big));
    ck_assert_int_eq(memcmp(big, back, sizeof(big)), 0);
    fs_expect_names(&fs, "both", "below x ");
    ck_assert_int_eq(fs_node(&fs, ".lsmfs/keys/both", &node), 0);
    ck_assert_int_eq(fs_unlink(&fs, ".lsmfs/keys/both"), 0);
    vfs_forget(fs.vfs, node, 1);
}
END_TEST

START_TEST(test_directory_of_odd_keys_is_not_empty)
{
    ck_assert_int_eq(fs_rmdir(&fs, "only"), -ENOTEMPTY);
    ck_assert_int_eq(fs_rename(&fs, "only", "moved", 0), 0);
    fs_expect(&fs, ".lsmfs/keys/moved%2F%2Fx", "odd");
    ck_assert_int_eq(fs_unlink(&fs, ".lsmfs/keys/moved%2F%2Fx"), 0);
    ck_assert_int_eq(fs_rmdir(&fs, "moved"), 0);
}
END_TEST

START_TEST(test_long_key_is_cut_into_components)
{
    char key[500], path[800];

    memset(key, 'k', sizeof(key));
    key[0] = '/';
    fs_raw_put(&fs, key, sizeof(key), "long");
    snprintf(path, sizeof(path), ".lsmfs/keys/%%2F%.*s+/%.*s+/%.*s", 196, key + 1, 199,
             key + 1, 499 - 196 - 199, key + 1);
    fs_expect(&fs, path, "long");
}
END_TEST

START_TEST(test_file_with_keys_below_shows_in_keys_whatever_wrote_it)
{
    struct lsmkv *db;

    ck_assert_int_eq(fs_put(&fs, "mine", "through the mount"), 0);
    fs_close(&fs);
    ck_assert_int_eq(lsmkv_open("lsmfs-test-store", &fs.engine, &db), 0);
    PUT("mine/x", "below");
    ck_assert_int_eq(lsmkv_close(db), 0);
    fs_open(&fs);
    fs_expect_names(&fs, "mine", "x ");
    fs_expect(&fs, ".lsmfs/keys/mine", "through the mount");
}
END_TEST

/* The rename was told that its arguments are too long: E2BIG. */
START_TEST(test_rename_that_makes_a_key_too_long_is_refused_as_such)
{
    static char key[LSMKV_KEY_MAX - 10], name[KEY_NAME_MAX + 1];

    memset(key, 'k', sizeof(key));
    for (size_t i = 1; i < sizeof(key) - 1; i += 200)
        key[i] = '/';
    memset(name, 'n', KEY_NAME_MAX);
    fs_raw_put(&fs, key, sizeof(key), "deep");
    ck_assert_int_eq(fs_rename(&fs, "k", name, 0), -ENAMETOOLONG);
    ck_assert_int_eq(fs_rename(&fs, "k", "l", 0), 0);
}
END_TEST

/* The keyspace of long attributes was taken for the default one where there is none. */
START_TEST(test_crafted_attributes_of_a_store_never_mounted_are_no_records)
{
    struct attr attr;
    uint8_t bytes[ATTR_BUFFER];
    char names[64];
    size_t length;
    struct node *node;
    struct lsmkv *db;

    fs_close(&fs);
    mem_env_free(fs.env);
    begin();
    attr_init(&attr, S_IFREG | 0644, 0, 0, 100, store_now());
    attr.xattr_records = true;
    attr_encode(&attr, bytes);
    ck_assert_int_eq(lsmkv_open("lsmfs-test-store", &fs.engine, &db), 0);
    ck_assert_int_eq(lsmkv_put(db, NULL, lsmkv_str("crafted"),
                               lsmkv_bytes(bytes, attr_encoded_size(&attr)),
                               lsmkv_bytes(NULL, 0), 0),
                     0);
    ck_assert_int_eq(lsmkv_close(db), 0);
    fs.options.store.read_only = true;
    fs_open(&fs);
    ck_assert_int_eq(fs_node(&fs, "crafted", &node), 0);
    ck_assert_int_eq(
        vfs_listxattr(fs.vfs, &fs.caller, node, names, sizeof(names), &length), -EUCLEAN);
    ck_assert_int_eq(vfs_getxattr(fs.vfs, node, "user.a", names, sizeof(names), &length),
                     -EUCLEAN);
    vfs_forget(fs.vfs, node, 1);
}
END_TEST

START_TEST(test_large_plain_value_is_a_file)
{
    static char big[200001], back[200002];
    struct node *node;

    memset(big, 'v', sizeof(big) - 1);
    RAW("big", big);
    ck_assert_int_eq(fs_read(&fs, "big", back, sizeof(back)), 200000);
    ck_assert_str_eq(back, big);
    ck_assert_int_eq(fs_node(&fs, "big", &node), 0);
    ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, node, 100000, "HERE", 4, 0), 0);
    memcpy(big + 100000, "HERE", 4);
    vfs_forget(fs.vfs, node, 1);
    ck_assert_int_eq(fs_read(&fs, "big", back, sizeof(back)), 200000);
    ck_assert_str_eq(back, big);
    ck_assert_int_eq(fs_link(&fs, "big", "link"), 0);
    ck_assert_int_eq(fs_read(&fs, "link", back, sizeof(back)), 200000);
    ck_assert_str_eq(back, big);
}
END_TEST

/* Bug: a root whose record has another number failed the mount with -ESTALE, as if a file had
 * gone. */
START_TEST(test_a_root_of_another_number_is_damage)
{
    uint8_t bytes[ATTR_BUFFER];
    struct timespec now = {1, 0};
    struct attr attr;
    char why[512];

    attr_init(&attr, S_IFDIR | 0755, 0, 0, 77, now);
    ck_assert_int_eq(lsmkv_put(vfs_store(fs.vfs)->db, NULL, lsmkv_str(""),
                               lsmkv_bytes(bytes, attr_encode(&attr, bytes)),
                               lsmkv_bytes(NULL, 0), 0),
                     0);
    fs_close(&fs);
    ck_assert_int_eq(vfs_open(&fs.options, &fs.vfs, why, sizeof(why)), -EUCLEAN);
    fs.vfs = NULL;
}
END_TEST

START_TEST(test_read_only_mount_of_a_store_never_mounted)
{
    fs_close(&fs);
    mem_env_free(fs.env);
    begin();
    {
        struct lsmkv *db;

        ck_assert_int_eq(lsmkv_open("lsmfs-test-store", &fs.engine, &db), 0);
        fill_usual(db);
        ck_assert_int_eq(lsmkv_close(db), 0);
    }
    fs.options.store.read_only = true;
    fs_open(&fs);
    fs_expect_names(&fs, "", "a/ both/ d/ odd/ only/ plain ");
    fs_expect(&fs, "a/b/c", "abc");
    fs_expect(&fs, ".lsmfs/keys/both", "of the key");
    ck_assert_int_eq(fs_put(&fs, "new", ""), -EROFS);
    ck_assert_int_eq(fs_put(&fs, "plain", ""), -EROFS);
    ck_assert_int_eq(fs_unlink(&fs, "plain"), -EROFS);
    ck_assert_int_eq(fs_rename(&fs, "plain", "x", 0), -EROFS);
    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/s"), -EROFS);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("vfs_foreign");
    TCase *tcase = tcase_create("foreign");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_keys_show_as_paths);
    tcase_add_test(tcase, test_plain_values_have_times_and_numbers_that_last);
    tcase_add_test(tcase, test_plain_put_over_a_file_is_a_new_file);
    tcase_add_test(tcase, test_implied_directory_keeps_its_number_when_adopted);
    tcase_add_test(tcase, test_implied_directory_does_not_vanish_with_its_last_file);
    tcase_add_test(tcase, test_implied_directory_can_be_renamed);
    tcase_add_test(tcase, test_number_of_a_renamed_implied_directory_is_not_given_again);
    tcase_add_test(tcase, test_keys_that_are_no_path_are_files_in_keys);
    tcase_add_test(tcase, test_value_of_a_directorys_key_is_kept);
    tcase_add_test(tcase, test_rewritten_key_may_be_large);
    tcase_add_test(tcase, test_directory_of_odd_keys_is_not_empty);
    tcase_add_test(tcase, test_long_key_is_cut_into_components);
    tcase_add_test(tcase, test_file_with_keys_below_shows_in_keys_whatever_wrote_it);
    tcase_add_test(tcase, test_rename_that_makes_a_key_too_long_is_refused_as_such);
    tcase_add_test(tcase,
                   test_crafted_attributes_of_a_store_never_mounted_are_no_records);
    tcase_add_test(tcase, test_large_plain_value_is_a_file);
    tcase_add_test(tcase, test_a_root_of_another_number_is_damage);
    tcase_add_test(tcase, test_read_only_mount_of_a_store_never_mounted);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
