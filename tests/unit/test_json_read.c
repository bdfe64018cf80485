/*
 * test_json_read.c - reading JSON: as jansson's own reader does, where memory does not fail.
 *
 * Random objects, and such with bytes changed, are given to both: they take the same and make the
 * same of it, but for bytes that are no text: jansson passes over a NUL behind a number, and looks at
 * UTF-8.  LSMKV_SEED replays.
 */
#include <check.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "manifest/json_read.h"
#include "support/random.h"
#include "support/suite.h"

#define ROUNDS 100000

static char text[4096];
static size_t size;

static void
put(const char *piece)
{
    size_t length = strlen(piece);

    if (size + length < sizeof(text)) {
        memcpy(text + size, piece, length);
        size += length;
    }
}

static const char *
one_of(struct random *dice, const char *const *pieces, size_t count)
{
    return pieces[random_below(dice, count)];
}

static void
make_string(struct random *dice)
{
    static const char *const pieces[] = {"a",
                                         "key",
                                         "\\\"",
                                         "\\\\",
                                         "\\/",
                                         "\\b\\f\\n\\r\\t",
                                         "\\u0041",
                                         "\\u00e9",
                                         "\\u20AC",
                                         "\\ud83d\\ude00",
                                         "\xc3\xa9",
                                         "\\u0001",
                                         "0123456789abcdef"};

    put("\"");
    for (uint64_t i = random_below(dice, 4); i > 0; i--)
        put(one_of(dice, pieces, sizeof(pieces) / sizeof(pieces[0])));
    put("\"");
}

static void
make_space(struct random *dice)
{
    static const char *const pieces[] = {"", "", "", "", " ", "\t", "\r\n"};

    put(one_of(dice, pieces, sizeof(pieces) / sizeof(pieces[0])));
}

static void make_value(struct random *dice, unsigned depth);

static void
make_members(struct random *dice, unsigned depth, bool object)
{
    put(object ? "{" : "[");
    for (uint64_t i = random_below(dice, 5); i > 0; i--) {
        make_space(dice);
        if (object) {
            make_string(dice);
            make_space(dice);
            put(":");
            make_space(dice);
        }
        make_value(dice, depth + 1);
        make_space(dice);
        if (i > 1)
            put(",");
    }
    put(object ? "}" : "]");
}

static void
make_value(struct random *dice, unsigned depth)
{
    static const char *const scalars[] = {"0",
                                          "-0",
                                          "17",
                                          "-9223372036854775808",
                                          "9223372036854775807",
                                          "9223372036854775808",
                                          "1.5",
                                          "-2e3",
                                          "1E+2",
                                          "12.25e-2",
                                          "true",
                                          "false",
                                          "null",
                                          "01",
                                          "1.",
                                          "1e400",
                                          "1e-400"};
    uint64_t kind = random_below(dice, depth < 6 ? 5 : 3);

    if (kind == 0)
        make_string(dice);
    else if (kind < 3)
        put(one_of(dice, scalars, sizeof(scalars) / sizeof(scalars[0])));
    else
        make_members(dice, depth, kind == 3);
}

static void
change_bytes(struct random *dice)
{
    static const char bytes[] = "{}[]\",:\\u0189-+.eE truefalsn\t";

    for (uint64_t i = random_below(dice, 3); i > 0; i--) {
        char *byte = &text[random_below(dice, size)];

        if ((*byte & 0x80) == 0) /* of what is no UTF-8 they differ on purpose */
            *byte = bytes[random_below(dice, sizeof(bytes) - 1)];
    }
    if (random_below(dice, 8) == 0)
        size = random_below(dice, size) + 1;
}

START_TEST(test_it_reads_what_jansson_reads)
{
    struct random dice = random_of(random_seed());
    unsigned taken = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        json_t *ours = NULL, *theirs;
        int result;

        size = 0;
        make_members(&dice, 0, true);
        if (random_coin(&dice))
            change_bytes(&dice);
        theirs = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
        if (theirs && !json_is_object(theirs)) {
            json_decref(theirs);
            theirs = NULL;
        }
        result = json_read(text, size, &ours);
        ck_assert_msg(theirs ? result == 0 && json_equal(ours, theirs)
                             : result == -EUCLEAN,
                      "result %d of %.*s", result, (int)size, text);
        taken += result == 0;
        json_decref(ours);
        json_decref(theirs);
    }
    ck_assert_uint_gt(taken, ROUNDS / 10);
    ck_assert_uint_lt(taken, ROUNDS - ROUNDS / 10);
}
END_TEST

START_TEST(test_it_refuses_what_is_too_deep_or_no_text)
{
    static const char nul[] = "{\"a\":1\0}";
    json_t *object = NULL;

    ck_assert_int_eq(json_read(nul, sizeof(nul) - 1, &object), -EUCLEAN);

    memset(text, '[', sizeof(text));
    memcpy(text, "{\"a\":", 5);
    ck_assert_int_eq(json_read(text, sizeof(text), &object), -EUCLEAN);
    ck_assert_ptr_null(object);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("json_read");
    TCase *tcase = tcase_create("json_read");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_it_reads_what_jansson_reads);
    tcase_add_test(tcase, test_it_refuses_what_is_too_deep_or_no_text);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
