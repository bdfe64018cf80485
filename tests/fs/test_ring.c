/* test_ring.c - what of ring.c needs no kernel that offers FUSE over io_uring. */
#include <check.h>
#include <errno.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/memory.h"
#include "daemon/ring.h"
#include "support/suite.h"

#define OFFER 0x200u /* of flags2 */

static struct {
    struct fuse_in_header header;
    struct fuse_init_in init;
} request;

static struct fuse_out_header reply_header;
static struct fuse_init_out reply;
static const struct iovec parts[] = {{&reply_header, sizeof(reply_header)},
                                     {&reply, sizeof(reply)}};
static struct rings *rings;

static void
set_up(void)
{
    request.header.opcode = FUSE_INIT;
    request.init.minor = 45;
    request.init.flags = FUSE_INIT_EXT;
    request.init.flags2 = OFFER;
    memset(&reply_header, 0, sizeof(reply_header));
    memset(&reply, 0, sizeof(reply));
    reply.max_write = RINGS_PAYLOAD;
    reply.max_pages = (uint16_t)(RINGS_PAYLOAD / (size_t)sysconf(_SC_PAGESIZE));
    rings = NULL;
}

static void
tear_down(void)
{
    rings_free(rings);
}

/* False: this machine has too many processors for it, or says not how many. */
static bool
make(void)
{
    int result = rings_new(MEMORY_DEFAULT, &rings);

    ck_assert(result == 0 || result == -ENOTSUP);
    if (result != 0)
        printf("no rings for the processors of this machine: skipped\n");
    return result == 0;
}

START_TEST(test_the_offer_is_a_flag_of_init)
{
    ck_assert(rings_offered(&request, sizeof(request)));
    ck_assert(!rings_offered(&request, sizeof(request) - 1));
    request.init.flags2 = ~OFFER;
    ck_assert(!rings_offered(&request, sizeof(request)));
    request.init.flags2 = OFFER;
    request.init.flags = ~(uint32_t)FUSE_INIT_EXT;
    ck_assert(!rings_offered(&request, sizeof(request)));
    request.init.flags = FUSE_INIT_EXT;
    request.init.minor = 44; /* before FUSE_NOTIFY_PRUNE */
    ck_assert(!rings_offered(&request, sizeof(request)));
    request.init.minor = 45;
    request.header.opcode = FUSE_LOOKUP;
    ck_assert(!rings_offered(&request, sizeof(request)));
}
END_TEST

/* Accepted too early, the kernel would wait for rings that do not come. */
START_TEST(test_it_is_accepted_when_all_is_ready)
{
    if (!make())
        return;
    rings_accept(rings, parts, 2);
    ck_assert(!rings_accepted(rings) && reply.flags == 0 && reply.flags2 == 0);
    rings_ready(rings);
    rings_accept(rings, parts, 2);
    ck_assert(rings_accepted(rings));
    ck_assert_uint_eq(reply.flags, FUSE_INIT_EXT);
    ck_assert_uint_eq(reply.flags2, OFFER);
}
END_TEST

START_TEST(test_it_is_not_accepted_for_larger_requests)
{
    if (!make())
        return;
    rings_ready(rings);
    reply.max_write++;
    rings_accept(rings, parts, 2);
    reply.max_write--;
    reply.max_pages *= 2;
    rings_accept(rings, parts, 2);
    reply.max_pages /= 2;
    rings_accept(rings, parts, 1); /* an error */
    ck_assert(!rings_accepted(rings) && reply.flags2 == 0);
    ck_assert(!rings_accepted(NULL));
}
END_TEST

/* What is written to /dev/fuse: what the kernel is told, and answers to what came from there. */
START_TEST(test_other_replies_are_no_ring_s)
{
    ck_assert(!ring_reply(parts, 2));
    reply_header.unique = 42;
    ck_assert(!ring_reply(parts, 2));
    ck_assert(!ring_reply(parts, 0));
    ck_assert_ptr_null(ring_room(1));
}
END_TEST

START_TEST(test_writes_are_as_large_as_entries_allow)
{
    ck_assert_uint_eq(rings_fit(NULL, 1u << 20), 1u << 20);
    if (!make())
        return;
    ck_assert_uint_eq(rings_fit(rings, 1u << 20), 1u << 20);
    rings_ready(rings);
    ck_assert_uint_eq(rings_fit(rings, 1u << 20), RINGS_PAYLOAD);
    ck_assert_uint_eq(rings_fit(rings, 4096), 4096);
}
END_TEST

/* One queue too few, and the kernel holds all requests back. */
START_TEST(test_processors_are_counted_or_it_is_not_used)
{
    static const struct {
        const char *text;
        unsigned count;
    } cases[] = {
        {"0\n", 1},   {"0-1\n", 2},      {"0-3,4\n", 5},    {"0,1,2-47\n", 48},
        {"0-3", 0},   {"0-3,5\n", 0},    {"1-3\n", 0},      {"0-3,", 0},
        {"", 0},      {"\n", 0},         {"0-\n", 0},       {"0-3,3\n", 0},
        {"3-0\n", 0}, {"0-3\n0-4\n", 0}, {"0-123456\n", 0}, {"0-99999\n", 100000},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        ck_assert_msg(rings_processors(cases[i].text) == cases[i].count, "%s",
                      cases[i].text);
}
END_TEST

/* Two to eight a processor, in an eighth of the memory, an entry and what its thread keeps being
 * counted as 1 MiB. */
START_TEST(test_entries_are_as_many_as_memory_allows_or_none)
{
    static const struct {
        unsigned processors, mib, each;
    } cases[] = {
        {1, 48, 6},   {1, 256, 8},  {2, 48, 3},    {2, 256, 8},   {4, 48, 0},
        {3, 48, 2},   {4, 256, 8},  {8, 256, 4},   {16, 256, 2},  {17, 256, 0},
        {48, 767, 0}, {48, 768, 2}, {32, 1024, 2}, {49, 4096, 0}, {0, 256, 0},
        {8, 4096, 8}, {9, 4096, 7},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        ck_assert_msg(rings_entries(cases[i].processors, (uint64_t)cases[i].mib << 20) ==
                          cases[i].each,
                      "%u processors, %u MiB", cases[i].processors, cases[i].mib);
    if (!make())
        return;
    ck_assert_uint_le(rings_memory(rings), MEMORY_DEFAULT / 8);
    ck_assert_uint_ge(rings_memory(rings), rings_count(rings) * (size_t)RINGS_PAYLOAD);
}
END_TEST

START_TEST(test_what_is_not_accepted_is_given_back)
{
    if (!make())
        return;
    rings_shut(rings);
    ck_assert_uint_eq(rings_count(rings), 0);
    ck_assert_uint_eq(rings_memory(rings), 0);
    ck_assert(!rings_accepted(rings));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("ring");
    TCase *tests = tcase_create("ring");

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, test_the_offer_is_a_flag_of_init);
    tcase_add_test(tests, test_it_is_accepted_when_all_is_ready);
    tcase_add_test(tests, test_it_is_not_accepted_for_larger_requests);
    tcase_add_test(tests, test_other_replies_are_no_ring_s);
    tcase_add_test(tests, test_writes_are_as_large_as_entries_allow);
    tcase_add_test(tests, test_entries_are_as_many_as_memory_allows_or_none);
    tcase_add_test(tests, test_processors_are_counted_or_it_is_not_used);
    tcase_add_test(tests, test_what_is_not_accepted_is_given_back);
    suite_add_tcase(suite, tests);

    return run_suite(suite);
}
