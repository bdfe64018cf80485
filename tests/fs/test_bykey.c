/* test_bykey.c - `lsmfs get`, `put` and `rm` without a mount follow the filesystem's rules. */
#include <errno.h>

#include "store/attr.h"
#include "store/bykey.h"
#include "store_fixture.h"

#define LARGE (3u << 20)

static struct store_fixture fixture;
static uint8_t contents[LARGE + 1000];
static const struct bykey_owner root_owner = {10, 20, 0640, true};
static const struct bykey_owner user_owner = {10, 20, 0640, false};

static void
setup(void)
{
    fixture_init(&fixture);
    for (size_t i = 0; i < sizeof contents; i++)
        contents[i] = (uint8_t)(i * 31 + (i >> 8));
}

static void
teardown(void)
{
    fixture_fini(&fixture);
}

/* ---- sources and sinks ---- */

struct memory {
    const uint8_t *bytes;
    size_t size;
    size_t used;
    size_t fail_at;         /* a source: fails once so much was read; 0: never */
    struct mem_env **image; /* a source: what a power cut there leaves */
};

static ssize_t
read_memory(void *context, void *bytes, size_t size)
{
    struct memory *memory = context;
    size_t left = memory->size - memory->used;

    if (memory->fail_at > 0 && memory->used >= memory->fail_at) {
        if (memory->image)
            *memory->image = mem_env_crash(
                fixture.env, (struct mem_crash){MEM_DATA_ALL, MEM_NAMES_KEPT}, 0);
        return -EPIPE;
    }
    size = size < left ? size : left;
    memcpy(bytes, memory->bytes + memory->used, size);
    memory->used += size;
    return (ssize_t)size;
}

static int
compare_memory(void *context, const void *bytes, size_t size)
{
    struct memory *memory = context;

    ck_assert_uint_le(size, memory->size - memory->used);
    ck_assert_mem_eq(bytes, memory->bytes + memory->used, size);
    memory->used += size;
    return 0;
}

static int
try_put(const char *key, size_t size, const struct bykey_owner *owner)
{
    struct memory memory = {.bytes = contents, .size = size};
    struct bykey_source source = {read_memory, &memory};

    return bykey_put(fixture.store, lsmkv_str(key), &source, owner);
}

static void
put(const char *key, size_t size)
{
    ck_assert_int_eq(try_put(key, size, &root_owner), 0);
}

static int
try_get(const char *key, size_t size)
{
    struct memory memory = {.bytes = contents, .size = size};
    struct bykey_sink sink = {compare_memory, &memory};
    int result = bykey_get(fixture.store, lsmkv_str(key), &sink);

    if (result == 0)
        ck_assert_uint_eq(memory.used, size);
    return result;
}

/* That `key` has the first `size` bytes of contents. */
static void
expect(const char *key, size_t size)
{
    ck_assert_int_eq(try_get(key, size), 0);
}

static int
rm(const char *key)
{
    return bykey_remove(fixture.store, lsmkv_str(key));
}

/* ---- records ---- */

static bool
attr_of(const char *key, struct attr *attr, struct lsmkv_record *record)
{
    static uint8_t bytes[8192];

    if (lsmkv_lookup(fixture.store->db, NULL, NULL, lsmkv_str(key), true, bytes,
                     sizeof bytes, record) != LSMKV_EXACT)
        return false;
    ck_assert_int_eq(attr_decode(record, &fixture.store->defaults, attr), 0);
    return true;
}

static void
put_attr(struct lsmkv_keyspace *keyspace, struct lsmkv_slice key, const struct attr *attr,
         const char *value)
{
    uint8_t bytes[ATTR_BUFFER];
    size_t size = attr_encode(attr, bytes);

    ck_assert_int_eq(lsmkv_put(fixture.store->db, keyspace, key, lsmkv_bytes(bytes, size),
                               lsmkv_str(value), 0),
                     0);
}

static void
put_directory(const char *key)
{
    struct attr attr;

    attr_init(&attr, S_IFDIR | 0755, 1, 2, 77, (struct timespec){5, 5});
    put_attr(NULL, lsmkv_str(key), &attr, "");
}

static void
put_plain(const char *key, size_t size)
{
    ck_assert_int_eq(lsmkv_put(fixture.store->db, NULL, lsmkv_str(key),
                               lsmkv_bytes(NULL, 0), lsmkv_bytes(contents, size), 0),
                     0);
}

static void
expect_swept(size_t chunks)
{
    fixture_sweep(&fixture);
    ck_assert_uint_eq(fixture_count_chunks(&fixture), chunks);
    ck_assert_uint_eq(fixture_count_tag(&fixture, RECORD_ORPHAN), 0);
}

/* ---- put and get ---- */

START_TEST(test_what_is_put_is_got_at_every_size)
{
    static const size_t sizes[] = {0,       1,         4095,          4096, 4097,
                                   1 << 20, LARGE - 1, (1 << 20) + 1, LARGE};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        put("a/b", sizes[i]);
        expect("a/b", sizes[i]);
        fixture_reopen(&fixture);
        expect("a/b", sizes[i]);
    }
    expect_swept(LARGE / DATA_CHUNK);
    put("a/b", 3);
    expect_swept(0);
}
END_TEST

START_TEST(test_a_put_is_durable)
{
    put("f", LARGE);
    fixture_crash(&fixture, (struct mem_crash){MEM_DATA_NONE, MEM_NAMES_DROPPED}, 0);
    expect("f", LARGE);
    ck_assert_int_eq(rm("f"), 0);
    fixture_crash(&fixture, (struct mem_crash){MEM_DATA_NONE, MEM_NAMES_DROPPED}, 0);
    ck_assert_int_eq(try_get("f", 0), -ENOENT);
    expect_swept(0);
}
END_TEST

START_TEST(test_a_put_that_fails_midway_leaves_the_old_file)
{
    struct memory memory = {.bytes = contents, .size = LARGE, .fail_at = 2 << 20};
    struct bykey_source source = {read_memory, &memory};

    put("f", 200000);
    ck_assert_int_eq(bykey_put(fixture.store, lsmkv_str("f"), &source, &root_owner),
                     -EPIPE);
    expect("f", 200000);
    expect_swept(2);
    memory.used = 0;
    ck_assert_int_eq(bykey_put(fixture.store, lsmkv_str("g"), &source, &root_owner),
                     -EPIPE);
    ck_assert_int_eq(try_get("g", 0), -ENOENT);
    expect_swept(2);
}
END_TEST

START_TEST(test_a_power_cut_in_a_put_leaves_the_old_file)
{
    struct mem_env *image = NULL;
    struct memory memory = {
        .bytes = contents, .size = LARGE, .fail_at = 2 << 20, .image = &image};
    struct bykey_source source = {read_memory, &memory};

    put("f", 200000);
    ck_assert_int_eq(bykey_put(fixture.store, lsmkv_str("f"), &source, &root_owner),
                     -EPIPE);
    fixture_close(&fixture);
    mem_env_free(fixture.env);
    fixture.env = image;
    fixture_open(&fixture);
    ck_assert_uint_eq(fixture_count_chunks(&fixture), 2 + 16);
    expect("f", 200000);
    expect_swept(2);
}
END_TEST

START_TEST(test_put_keeps_attributes_as_a_write_would)
{
    struct lsmkv_slice value = lsmkv_str("v");
    struct lsmkv_record record;
    struct attr attr, after;
    uint8_t list[256];

    attr_init(&attr, S_IFREG | S_ISUID | S_ISGID | 0755, 1, 2, 99,
              (struct timespec){5, 5});
    attr.xattrs = lsmkv_bytes(
        list, attr_xattr_replace(attr.xattrs, lsmkv_str("user.a"), &value, list));
    put_attr(NULL, lsmkv_str("f"), &attr, "old");
    put("f", LARGE);
    ck_assert(attr_of("f", &after, &record));
    ck_assert(after.mode == attr.mode && after.uid == 1 && after.gid == 2 &&
              after.ino == 99);
    ck_assert(after.btime.tv_sec == 5 && after.mtime.tv_sec > 5 &&
              after.ctime.tv_sec > 5);
    ck_assert(attr_xattr_find(after.xattrs, lsmkv_str("user.a"), &value));
    ck_assert_int_eq(try_put("f", 10, &user_owner), 0);
    ck_assert(attr_of("f", &after, &record));
    ck_assert_uint_eq(after.mode, S_IFREG | 0755);
}
END_TEST

START_TEST(test_a_new_file_is_its_makers)
{
    struct lsmkv_record record;
    struct attr attr, directory;

    put_directory("d");
    put("d/f", 5);
    ck_assert(attr_of("d/f", &attr, &record));
    ck_assert(attr.mode == (S_IFREG | 0640) && attr.uid == 10 && attr.gid == 20);
    ck_assert(attr.ino >= ATTR_INO_FIRST && attr.ino < ATTR_INO_IMPLIED);
    ck_assert(attr_of("d", &directory, &record));
    ck_assert(directory.mtime.tv_sec > 5 && directory.ino == 77);
}
END_TEST

START_TEST(test_a_setgid_directory_gives_its_group)
{
    struct lsmkv_record record;
    struct attr attr;

    attr_init(&attr, S_IFDIR | S_ISGID | 0755, 1, 2, 77, (struct timespec){5, 5});
    put_attr(NULL, lsmkv_str("d"), &attr, "");
    put("d/f", 5);
    ck_assert(attr_of("d/f", &attr, &record));
    ck_assert_uint_eq(attr.gid, 2);
}
END_TEST

START_TEST(test_directories_are_no_files_and_files_no_directories)
{
    put("a/b/c", 1);
    put_directory("d");
    ck_assert_int_eq(try_put("a", 1, &root_owner), -EISDIR);
    ck_assert_int_eq(try_put("a/b", 1, &root_owner), -EISDIR);
    ck_assert_int_eq(try_put("d", 1, &root_owner), -EISDIR);
    ck_assert_int_eq(try_put("", 1, &root_owner), -EISDIR);
    ck_assert_int_eq(try_put("a/b/c/d", 1, &root_owner), -ENOTDIR);
    ck_assert_int_eq(try_put("a/b/c/d/e", 1, &root_owner), -ENOTDIR);
    ck_assert_int_eq(try_get("a", 0), -EISDIR);
    ck_assert_int_eq(try_get("a/x", 0), -ENOENT);
    ck_assert_int_eq(rm("a"), -EISDIR);
    ck_assert_int_eq(rm("d"), -EISDIR);
    ck_assert_int_eq(rm("x"), -ENOENT);
}
END_TEST

START_TEST(test_odd_keys_are_put_got_and_removed)
{
    static const char *const keys[] = {"a//b", "/", "..", ".lsmfs/x", "a/"};

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        put(keys[i], LARGE);
        expect(keys[i], LARGE);
        ck_assert_int_eq(rm(keys[i]), 0);
        ck_assert_int_eq(try_get(keys[i], 0), -ENOENT);
    }
    expect_swept(0);
}
END_TEST

START_TEST(test_a_directorys_value_is_rewritten_and_removed_alone)
{
    struct lsmkv_record record, kept = {.stamp_sequence = 1};
    struct attr directory, value;

    attr_init_implied(&directory, &fixture.store->defaults, 5, (struct timespec){1, 1});
    attr_keep_value(&directory, &kept);
    put_attr(NULL, lsmkv_str("d"), &directory, "");
    put("d/f", 1);
    put("d", LARGE);
    expect("d", LARGE);
    ck_assert(attr_of("d", &directory, &record));
    ck_assert(directory.has_value && S_ISDIR(directory.mode) && directory.ino == 5);
    ck_assert_int_eq(
        attr_decode_kept(&directory, &record, &fixture.store->defaults, &value), 0);
    ck_assert(value.data.kind == ATTR_CHUNKS && value.ino == (ATTR_INO_PLAIN | 1));
    put("d", 7);
    expect("d", 7);
    expect_swept(0);
    ck_assert_int_eq(rm("d"), 0);
    ck_assert(attr_of("d", &directory, &record));
    ck_assert(!directory.has_value && S_ISDIR(directory.mode) && record.value.size == 0);
    ck_assert_int_eq(try_get("d", 0), -EISDIR);
    expect("d/f", 1);
}
END_TEST

/* ---- plain values ---- */

START_TEST(test_a_plain_value_keeps_its_number_when_it_gets_attributes)
{
    struct lsmkv_record record;
    struct attr before, after;

    put_plain("f", 100);
    ck_assert(attr_of("f", &before, &record));
    put("f", 5000);
    ck_assert(attr_of("f", &after, &record));
    ck_assert(before.plain && !after.plain);
    ck_assert_uint_eq(before.ino, after.ino);
    expect("f", 5000);
}
END_TEST

START_TEST(test_the_largest_plain_value_is_got)
{
    put_plain("f", sizeof contents);
    expect("f", sizeof contents);
}
END_TEST

/* ---- rm ---- */

START_TEST(test_an_implied_directory_outlives_its_last_file)
{
    struct lsmkv_record record;
    struct attr attr;

    put_plain("a/b/one", 1);
    put_plain("a/b/two", 1);
    ck_assert_int_eq(rm("a/b/one"), 0);
    ck_assert(!attr_of("a/b", &attr, &record));
    ck_assert_int_eq(rm("a/b/two"), 0);
    ck_assert(attr_of("a/b", &attr, &record));
    ck_assert(S_ISDIR(attr.mode) &&
              attr.ino == attr_implied_ino(fixture.store->salt, lsmkv_str("a/b")));
    ck_assert_uint_eq(attr_nlink(&attr), 2);
}
END_TEST

START_TEST(test_an_implied_directory_that_holds_a_value_keeps_it)
{
    struct lsmkv_record record;
    struct attr attr;

    put_plain("a/b", 100);
    put_plain("a/b/c", 1);
    ck_assert_int_eq(rm("a/b/c"), 0);
    ck_assert(attr_of("a/b", &attr, &record));
    ck_assert(S_ISDIR(attr.mode) && attr.has_value);
    expect("a/b", 100);
}
END_TEST

/* Two names of one file with chunks and a long extended attribute. */
static void
put_linked(const char *one, const char *two)
{
    struct record_key inode = record_inode(300);
    struct record_key xattr = record_xattr(300, lsmkv_str("user.long"));
    struct lsmkv_record record;
    struct attr attr;

    put(one, LARGE);
    ck_assert(attr_of(one, &attr, &record));
    attr.ino = 300;
    attr.nlink = 2;
    attr.xattr_records = true;
    put_attr(fixture.store->inodes, record_slice(&inode), &attr, "");
    put_attr(fixture.store->inodes, record_slice(&xattr), &attr, "");
    attr.data.kind = ATTR_REFERENCE;
    put_attr(NULL, lsmkv_str(one), &attr, "");
    put_attr(NULL, lsmkv_str(two), &attr, "");
}

START_TEST(test_a_file_with_two_names_is_one_file)
{
    put_linked("one", "two");
    expect("two", LARGE);
    put("two", LARGE - 5);
    expect("one", LARGE - 5);
    expect_swept(LARGE / DATA_CHUNK);
    ck_assert_int_eq(rm("one"), 0);
    expect("two", LARGE - 5);
    ck_assert_uint_eq(fixture_count_tag(&fixture, RECORD_INODE), 1);
    ck_assert_int_eq(rm("two"), 0);
    ck_assert_uint_eq(fixture_count_tag(&fixture, RECORD_INODE), 0);
    ck_assert_uint_eq(fixture_count_tag(&fixture, RECORD_XATTR), 0);
    expect_swept(0);
}
END_TEST

START_TEST(test_only_regular_files_are_written)
{
    struct attr attr;

    attr_init(&attr, S_IFLNK | 0777, 1, 2, 77, (struct timespec){5, 5});
    put_attr(NULL, lsmkv_str("link"), &attr, "target");
    ck_assert_int_eq(try_put("link", 5, &root_owner), -EINVAL);
    ck_assert_int_eq(rm("link"), 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("bykey");
    TCase *tests = tcase_create("bykey");

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_what_is_put_is_got_at_every_size);
    tcase_add_test(tests, test_a_put_is_durable);
    tcase_add_test(tests, test_a_put_that_fails_midway_leaves_the_old_file);
    tcase_add_test(tests, test_a_power_cut_in_a_put_leaves_the_old_file);
    tcase_add_test(tests, test_put_keeps_attributes_as_a_write_would);
    tcase_add_test(tests, test_a_new_file_is_its_makers);
    tcase_add_test(tests, test_a_setgid_directory_gives_its_group);
    tcase_add_test(tests, test_directories_are_no_files_and_files_no_directories);
    tcase_add_test(tests, test_odd_keys_are_put_got_and_removed);
    tcase_add_test(tests, test_a_directorys_value_is_rewritten_and_removed_alone);
    tcase_add_test(tests, test_a_plain_value_keeps_its_number_when_it_gets_attributes);
    tcase_add_test(tests, test_the_largest_plain_value_is_got);
    tcase_add_test(tests, test_an_implied_directory_outlives_its_last_file);
    tcase_add_test(tests, test_an_implied_directory_that_holds_a_value_keeps_it);
    tcase_add_test(tests, test_a_file_with_two_names_is_one_file);
    tcase_add_test(tests, test_only_regular_files_are_written);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
