/* test_fs_key.c - plain keys, the coded names of others, and the keys of records. */
#include <errno.h>

#include "store/key.h"
#include "store_fixture.h"

/* With NULs. */
#define BYTES(literal) lsmkv_bytes(literal, sizeof(literal) - 1)

START_TEST(test_a_plain_key_has_names_that_a_path_can_have)
{
    static const char *const plain[] = {"",    "a",     "a/b",      "a.b/.c",
                                        "...", "a/ b ", "x/.lsmfs", "x/.snapshots",
                                        "-",   "\xff"};
    static const char *const odd[] = {
        "/",      "a/",         "/a",     "a//b", ".",           "..",          "a/.",
        "a/../b", ".snapshots", ".lsmfs", "./a",  ".lsmfs/keys", ".snapshots/x"};
    char name[300];

    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        ck_assert_msg(key_is_plain(lsmkv_str(plain[i])), "'%s'", plain[i]);
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        ck_assert_msg(!key_is_plain(lsmkv_str(odd[i])), "'%s'", odd[i]);
    ck_assert(!key_is_plain(BYTES("a\0b")));
    memset(name, 'n', sizeof name);
    ck_assert(key_is_plain(lsmkv_bytes(name, 255)));
    ck_assert(!key_is_plain(lsmkv_bytes(name, 256)));
}
END_TEST

START_TEST(test_below_is_by_components)
{
    ck_assert(key_is_below(lsmkv_str("a/b"), lsmkv_str("a")));
    ck_assert(key_is_below(lsmkv_str("a"), lsmkv_str("")));
    ck_assert(key_is_below(lsmkv_str("/"), lsmkv_str("")));
    ck_assert(!key_is_below(lsmkv_str(""), lsmkv_str("")));
    ck_assert(!key_is_below(lsmkv_str("a"), lsmkv_str("a")));
    ck_assert(!key_is_below(lsmkv_str("ab"), lsmkv_str("a")));
    ck_assert(!key_is_below(lsmkv_str("b/a"), lsmkv_str("a")));
}
END_TEST

/* That of the engine: what is below a path follows it at once. */
START_TEST(test_paths_are_in_the_order_of_the_store)
{
    static const struct {
        const char *bytes;
        size_t size;
    } keys[] = {{"", 0},    {"/", 1},    {"a", 1},   {"a/", 2},  {"a//", 3}, {"a/b", 3},
                {"a\0", 2}, {"a\0/", 3}, {"a-b", 3}, {"a.b", 3}, {"ab", 2},  {"\xff", 1}};
    const size_t count = sizeof keys / sizeof *keys;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < count; k++) {
            int order = key_compare_paths(lsmkv_bytes(keys[i].bytes, keys[i].size),
                                          lsmkv_bytes(keys[k].bytes, keys[k].size));
            ck_assert_int_eq(order < 0, i < k);
            ck_assert_int_eq(order > 0, i > k);
        }
    }
}
END_TEST

START_TEST(test_joining_undoes_splitting)
{
    static const char *const keys[] = {"a", "a/b", "aa/bb/cc", "/x", "a//b"};
    struct lsmkv_slice parent, name;
    char buffer[16];
    size_t size;

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        struct lsmkv_slice key = lsmkv_str(keys[i]);
        key_split(key, &parent, &name);
        if (keys[i][0] == '/')
            continue; /* its parent is the root, which a '/' is not written behind */
        ck_assert_int_eq(key_join(parent, name, buffer, sizeof buffer, &size), 0);
        ck_assert_uint_eq(size, key.size);
        ck_assert_mem_eq(buffer, key.data, size);
    }
    ck_assert_int_eq(key_join(lsmkv_str("ab"), lsmkv_str("cd"), buffer, 5, &size), 0);
    ck_assert_int_eq(key_join(lsmkv_str("ab"), lsmkv_str("cd"), buffer, 4, &size),
                     -ENAMETOOLONG);
    ck_assert_int_eq(key_join(lsmkv_str("ab"), lsmkv_str(""), buffer, 2, &size),
                     -ENAMETOOLONG);
}
END_TEST

static void
expect_code(struct lsmkv_slice key, const char *coded)
{
    char path[64], back[64];
    size_t size = key_encoded_size(key), back_size;

    ck_assert_uint_eq(size, strlen(coded));
    key_encode(key, path);
    ck_assert_mem_eq(path, coded, size);
    ck_assert_int_eq(key_decode(lsmkv_str(coded), back, sizeof back, &back_size), 0);
    ck_assert_uint_eq(back_size, key.size);
    ck_assert_mem_eq(back, key.data, key.size);
}

START_TEST(test_coded_names_are_golden)
{
    expect_code(lsmkv_str(""), "%");
    expect_code(lsmkv_str("a_-Z9"), "a_-Z9");
    expect_code(lsmkv_str("a//b"), "a%2F%2Fb");
    expect_code(lsmkv_str("."), "%2E");
    expect_code(lsmkv_str("+%"), "%2B%25");
    expect_code(BYTES("\0\xff"), "%00%FF");
}
END_TEST

START_TEST(test_only_what_encode_writes_is_decoded)
{
    static const char *const wrong[] = {"",    "%%",  "%4",   "%4",    "%41", "%2f",
                                        "a.b", "a+b", "a/b",  "%2G",   "a+",  "a+/b",
                                        "/a",  "a/",  "%2F/", "%2F%2", "+/a", "%/"};
    char back[64];
    size_t size = 77;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(key_decode(lsmkv_str(wrong[i]), back, sizeof back, &size) ==
                          -ENOENT,
                      "'%s'", wrong[i]);
    ck_assert_uint_eq(size, 77);
    ck_assert_int_eq(key_decode(lsmkv_str("abc"), back, 2, &size), -ENAMETOOLONG);
}
END_TEST

/* The components of a coded path are what the header says: 200 bytes with a '+', but the
 * last. */
static void
check_components(const char *path, size_t size)
{
    while (size > KEY_PART_MAX) {
        ck_assert(key_is_coded_directory(lsmkv_bytes(path, KEY_PART_MAX)));
        ck_assert_int_eq(path[KEY_PART_MAX], '/');
        path += KEY_PART_MAX + 1;
        size -= KEY_PART_MAX + 1;
    }
    ck_assert_uint_gt(size, 0);
    ck_assert(!memchr(path, '/', size) && !memchr(path, '+', size));
}

START_TEST(test_long_keys_are_cut_into_components_and_come_back)
{
    static char key[LSMKV_KEY_MAX], path[4 * LSMKV_KEY_MAX], back[LSMKV_KEY_MAX];
    struct random random = random_of(random_seed());

    for (size_t size = 0; size < sizeof key; size += size < 700 ? 1 : 16384) {
        for (size_t i = 0; i < size; i++)
            key[i] = random_coin(&random) ? 'k' : (char)random_next(&random);
        struct lsmkv_slice slice = lsmkv_bytes(key, size);
        size_t coded = key_encoded_size(slice), back_size;
        ck_assert_uint_le(coded, sizeof path);
        key_encode(slice, path);
        check_components(path, coded);
        ck_assert_int_eq(
            key_decode(lsmkv_bytes(path, coded), back, sizeof back, &back_size), 0);
        ck_assert_uint_eq(back_size, size);
        ck_assert_mem_eq(back, key, size);
    }
}
END_TEST

START_TEST(test_a_cut_that_is_not_needed_or_misplaced_is_refused)
{
    char key[402], path[410], back[410];
    size_t size;

    memset(key, 'a', sizeof key);
    key_encode(lsmkv_bytes(key, 201), path);
    ck_assert_int_eq(key_decode(lsmkv_bytes(path, 203), back, sizeof back, &size), 0);
    ck_assert_uint_eq(size, 201);
    /* 200 bytes need no cut. */
    ck_assert_int_eq(key_decode(lsmkv_bytes(path, 202), back, sizeof back, &size),
                     -ENOENT);
    /* 201 bytes need one. */
    ck_assert_int_eq(key_decode(lsmkv_bytes(key, 201), back, sizeof back, &size),
                     -ENOENT);
    ck_assert_int_eq(key_decode(lsmkv_bytes(path, 201), back, sizeof back, &size),
                     -ENOENT);
    ck_assert_int_eq(key_decode(lsmkv_bytes(path, 200), back, sizeof back, &size),
                     -ENOENT);
    path[10] = '+';
    path[11] = '/';
    ck_assert_int_eq(key_decode(lsmkv_bytes(path, 203), back, sizeof back, &size),
                     -ENOENT);
    ck_assert(!key_is_coded_directory(lsmkv_bytes(path, 200)));
}
END_TEST

static void
expect_bytes(struct lsmkv_slice slice, const char *bytes, size_t size)
{
    ck_assert_uint_eq(slice.size, size);
    ck_assert_mem_eq(slice.data, bytes, size);
}

START_TEST(test_record_keys_are_golden)
{
    struct record_key inode = record_inode(0x0102030405060708);
    struct record_key xattr = record_xattr(1, lsmkv_str("user.a"));
    struct record_key orphan = record_orphan(0x1122);
    struct record_key taken = record_taken(0x2000000000000007);
    struct record_key trim = record_trim(0x1122, 0x33);
    struct chunk_key chunk = chunk_key(0x0102030405060708, 0x090a0b0c, 13);
    uint64_t id, first;

    expect_bytes(record_slice(&inode), "i\1\2\3\4\5\6\7\10", 9);
    expect_bytes(record_slice(&xattr), "x\0\0\0\0\0\0\0\1user.a", 15);
    expect_bytes(record_slice(&orphan), "o\0\0\0\0\0\0\x11\x22", 9);
    expect_bytes(record_slice(&taken), "n\40\0\0\0\0\0\0\7", 9);
    expect_bytes(record_slice(&trim), "t\0\0\0\0\0\0\x11\x22\0\0\0\0\0\0\0\x33", 17);
    expect_bytes(chunk_slice(&chunk), "\1\2\3\4\5\6\7\10\11\12\13\14\15", 13);
    ck_assert(record_decode_sweep(record_slice(&trim), &id, &first));
    ck_assert(id == 0x1122 && first == 0x33);
    ck_assert(record_decode_sweep(record_slice(&orphan), &id, &first));
    ck_assert(id == 0x1122 && first == 0);
    ck_assert(!record_decode_sweep(record_slice(&inode), &id, &first));
    expect_bytes(record_xattr_name(record_slice(&xattr)), "user.a", 6);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("fs key");
    TCase *tests = tcase_create("key");

    tcase_add_test(tests, test_a_plain_key_has_names_that_a_path_can_have);
    tcase_add_test(tests, test_below_is_by_components);
    tcase_add_test(tests, test_paths_are_in_the_order_of_the_store);
    tcase_add_test(tests, test_joining_undoes_splitting);
    tcase_add_test(tests, test_coded_names_are_golden);
    tcase_add_test(tests, test_only_what_encode_writes_is_decoded);
    tcase_add_test(tests, test_long_keys_are_cut_into_components_and_come_back);
    tcase_add_test(tests, test_a_cut_that_is_not_needed_or_misplaced_is_refused);
    tcase_add_test(tests, test_record_keys_are_golden);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
