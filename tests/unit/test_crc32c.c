/* test_crc32c.c - the checksum is the standard one, so that other tools can check files. */
#include <check.h>
#include <string.h>

#include "base/crc32c.h"
#include "support/random.h"
#include "support/suite.h"

/* Vectors of RFC 3720, appendix B.4, and the usual check value. */
START_TEST(test_known_vectors)
{
    uint8_t bytes[32];
    int i;

    ck_assert_uint_eq(crc32c(0, "123456789", 9), 0xe3069283);
    ck_assert_uint_eq(crc32c(0, NULL, 0), 0);
    memset(bytes, 0, sizeof(bytes));
    ck_assert_uint_eq(crc32c(0, bytes, sizeof(bytes)), 0x8a9136aa);
    memset(bytes, 0xff, sizeof(bytes));
    ck_assert_uint_eq(crc32c(0, bytes, sizeof(bytes)), 0x62a8ab43);
    for (i = 0; i < 32; i++)
        bytes[i] = (uint8_t)i;
    ck_assert_uint_eq(crc32c(0, bytes, sizeof(bytes)), 0x46dd794e);
}
END_TEST

START_TEST(test_continuing_equals_one_pass)
{
    struct random random = random_of(random_seed());
    uint8_t bytes[1000];
    int i;

    for (i = 0; i < (int)sizeof(bytes); i++)
        bytes[i] = (uint8_t)random_next(&random);
    for (i = 0; i < 1000; i++) {
        size_t size = (size_t)random_below(&random, sizeof(bytes) + 1);
        size_t cut = (size_t)random_below(&random, size + 1);
        uint32_t first = crc32c(0, bytes, cut);

        ck_assert_uint_eq(crc32c(first, bytes + cut, size - cut), crc32c(0, bytes, size));
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("crc32c");
    TCase *tests = tcase_create("all");

    tcase_add_test(tests, test_known_vectors);
    tcase_add_test(tests, test_continuing_equals_one_pass);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
