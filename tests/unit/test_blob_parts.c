/*
 * test_blob_parts.c - parts of the values of a store: from memory, the cache, blob files, and over damage.
 */
#include "blob_fixture.h"
#include "support/suite.h"
#include "table/blob.h"

static void
setup(void)
{
    rig_init(&rig);
    rig.options.blob_threshold = 1000;
    rig.options.direct_threshold = 0; /* files that a flush makes */
    rig_open(&rig);
}

static void
teardown(void)
{
    rig_fini(&rig);
}

static uint8_t long_value[100000], copied[sizeof(long_value)];

static void
assert_part(struct lsmkv_iter *iter, size_t from, size_t size)
{
    ck_assert_int_eq(lsmkv_iter_value_copy(iter, from, size, copied), 0);
    ck_assert_mem_eq(copied, long_value + from, size);
}

/* From wherever the value is: of a long one no more is read than is wanted. */
START_TEST(test_parts_of_a_value_are_read_by_themselves)
{
    const size_t size = sizeof(long_value);
    const struct lsmkv_iter_options lazy = {.lazy_values = true};

    for (size_t i = 0; i < size; i++)
        long_value[i] = (uint8_t)(i * i % 251);
    for (unsigned flushed = 0; flushed < 2; flushed++) {
        struct lsmkv_iter *iter;
        struct lsmkv_slice value;
        uint64_t before;

        ck_assert_int_eq(lsmkv_put(rig.db, NULL, lsmkv_str("long"), none,
                                   lsmkv_bytes(long_value, size), 0),
                         0);
        ck_assert_int_eq(
            lsmkv_put(rig.db, NULL, lsmkv_str("short"), none, lsmkv_str("short"), 0), 0);
        if (flushed)
            flush();
        ck_assert_int_eq(lsmkv_iter_new(rig.db, NULL, &lazy, &iter), 0);
        lsmkv_iter_seek(iter, lsmkv_str("long"));
        before = rig_stats(&rig).blob_bytes_read;
        assert_part(iter, 50000, 100);
        assert_part(iter, size - 10, 10);
        assert_part(iter, size, 0);
        ck_assert_int_eq(lsmkv_iter_value_copy(iter, size, 1, copied), -ERANGE);
        ck_assert_int_eq(lsmkv_iter_value_copy(iter, SIZE_MAX, 2, copied), -ERANGE);
        ck_assert_int_eq(lsmkv_iter_value_copy(iter, 0, size + 1, copied), -ERANGE);
        ck_assert_uint_le(rig_stats(&rig).blob_bytes_read - before, 2 * 4096);
        assert_part(iter, 0, size);
        assert_part(iter, 1, size - 1);
        ck_assert_int_eq(lsmkv_iter_value(iter, &value), 0);
        before = rig_stats(&rig).blob_bytes_read;
        assert_part(iter, 70000, 5); /* it is at hand */
        ck_assert_uint_eq(rig_stats(&rig).blob_bytes_read, before);
        lsmkv_iter_next(iter);
        ck_assert_int_eq(lsmkv_iter_value_copy(iter, 1, 3, copied), 0);
        ck_assert_mem_eq(copied, "hor", 3);
        lsmkv_iter_free(iter);
    }
}
END_TEST

/* With a cache so large that it keeps such values whole, too: what it has is not read, and what it has
 * not is not read whole for a part. */
START_TEST(test_parts_come_from_the_cache_if_they_are_there)
{
    const size_t size = 40000;
    const struct lsmkv_iter_options lazy = {.lazy_values = true};
    struct lsmkv_iter *iter;
    struct lsmkv_held *held;
    uint64_t before;

    rig_close(&rig);
    rig.options.cache_size = 512u << 20;
    rig_open(&rig);
    for (size_t i = 0; i < size; i++)
        long_value[i] = (uint8_t)(i * i % 251);
    ck_assert_int_eq(lsmkv_put(rig.db, NULL, lsmkv_str("long"), none,
                               lsmkv_bytes(long_value, size), 0),
                     0);
    flush();
    ck_assert_int_eq(lsmkv_iter_new(rig.db, NULL, &lazy, &iter), 0);
    lsmkv_iter_seek(iter, lsmkv_str("long"));
    before = rig_stats(&rig).blob_bytes_read;
    assert_part(iter, 5000, 100);
    ck_assert_uint_eq(rig_stats(&rig).blob_bytes_read, before + 4096);
    ck_assert_int_eq(lsmkv_get_held(rig.db, NULL, NULL, lsmkv_str("long"), &held), 0);
    lsmkv_held_release(held);
    before = rig_stats(&rig).blob_bytes_read;
    assert_part(iter, 9000, 10000);
    assert_part(iter, 0, size);
    ck_assert_uint_eq(rig_stats(&rig).blob_bytes_read, before);
    lsmkv_iter_free(iter);
}
END_TEST

/* A part is given or refused by its own pages; nothing is put in the place of what is refused. */
START_TEST(test_a_damaged_page_refuses_its_parts_alone)
{
    const struct lsmkv_iter_options lazy = {.lazy_values = true};
    struct lsmkv_iter *iter;
    struct lsmkv_slice value;

    for (size_t i = 0; i < sizeof(long_value); i++)
        long_value[i] = (uint8_t)(i * i % 251);
    ck_assert_int_eq(lsmkv_put(rig.db, NULL, lsmkv_str("long"), none,
                               lsmkv_bytes(long_value, sizeof(long_value)), 0),
                     0);
    flush();
    rig_close(&rig);
    change_file(blob_files().names[0],
                BLOB_HEADER_SIZE + BLOB_HEAD_SIZE + 4 + KEY_TRAILER_SIZE + 25 * 4 + 50000,
                0);
    rig_open(&rig);
    ck_assert_int_eq(lsmkv_iter_new(rig.db, NULL, &lazy, &iter), 0);
    lsmkv_iter_seek(iter, lsmkv_str("long"));
    assert_part(iter, 0, 49152);
    assert_part(iter, 53248, sizeof(long_value) - 53248);
    ck_assert_int_eq(lsmkv_iter_value_copy(iter, 50001, 5, copied), -EBADMSG);
    ck_assert_int_eq(lsmkv_iter_value_copy(iter, 0, sizeof(long_value), copied),
                     -EBADMSG);
    ck_assert_int_eq(lsmkv_iter_value(iter, &value), -EBADMSG);
    lsmkv_iter_free(iter);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("blob_parts");
    TCase *tests = tcase_create("blob_parts");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_parts_of_a_value_are_read_by_themselves);
    tcase_add_test(tests, test_parts_come_from_the_cache_if_they_are_there);
    tcase_add_test(tests, test_a_damaged_page_refuses_its_parts_alone);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
