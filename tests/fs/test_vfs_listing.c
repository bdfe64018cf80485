/*
 * test_vfs_listing.c - readdir: cookies, large directories, entries that come and go meanwhile.
 */
#include "vfs/listing.h"
#include "vfs_fixture.h"

#define MANY 5000

static struct vfs_fixture fs;

static void
setup(void)
{
    fs_init(&fs);
}

static void
teardown(void)
{
    fs_fini(&fs);
}

static void
make_many(const char *directory, unsigned count)
{
    char path[64];

    ck_assert_int_eq(fs_mkdir(&fs, directory), 0);
    for (unsigned i = 0; i < count; i++) {
        snprintf(path, sizeof(path), "%s/f%06u", directory, i);
        fs_raw_put(&fs, path, strlen(path), "x");
    }
}

/* Listing in replies of a few entries, with something done between two of them. */
struct session {
    struct node *node;
    uint64_t cookie;
    unsigned limit, count;
    bool plus;
    unsigned seen[MANY + 10];
    unsigned others;
    char last[16];
};

static bool
add_seen(void *context, const struct vfs_listed *listed)
{
    struct session *session = context;
    unsigned number;

    if (session->count == session->limit)
        return false;
    session->count++;
    session->cookie = listed->cookie;
    if (listed->node)
        vfs_forget(fs.vfs, listed->node, 1);
    if (sscanf(listed->name, "f%6u", &number) == 1 && number < MANY + 10)
        session->seen[number]++;
    else
        session->others++;
    snprintf(session->last, sizeof(session->last), "%.15s", listed->name);
    return true;
}

static bool
next_reply(struct session *session)
{
    session->count = 0;
    ck_assert_int_eq(vfs_readdir(fs.vfs, session->node, session->cookie, session->plus,
                                 add_seen, session),
                     0);
    return session->count > 0;
}

START_TEST(test_every_entry_is_listed_once)
{
    static struct session session;

    make_many("d", MANY);
    for (unsigned plus = 0; plus < 2; plus++) {
        memset(&session, 0, sizeof(session));
        session.limit = 77;
        session.plus = plus;
        ck_assert_int_eq(fs_node(&fs, "d", &session.node), 0);
        while (next_reply(&session))
            continue;
        vfs_forget(fs.vfs, session.node, 1);
        for (unsigned i = 0; i < MANY; i++)
            ck_assert_uint_eq(session.seen[i], 1);
        ck_assert_uint_eq(session.others, 2);
    }
}
END_TEST

START_TEST(test_entries_that_stay_are_listed_once_while_others_come_and_go)
{
    static struct session session;
    struct random dice = random_of(random_seed());
    char path[64];

    make_many("d", 1000);
    memset(&session, 0, sizeof(session));
    session.limit = 7;
    ck_assert_int_eq(fs_node(&fs, "d", &session.node), 0);
    while (next_reply(&session)) {
        unsigned gone = (unsigned)random_below(&dice, 250) * 4;

        /* Every fourth may go, maybe the one where the listing stands. */
        snprintf(path, sizeof(path), "d/f%06u", gone);
        (void)fs_unlink(&fs, path);
        if (strlen(session.last) == 7 && atoi(session.last + 1) % 4 == 0) {
            snprintf(path, sizeof(path), "d/%s", session.last);
            (void)fs_unlink(&fs, path);
        }
        snprintf(path, sizeof(path), "d/n%06u", (unsigned)random_below(&dice, 100000));
        ck_assert_int_eq(fs_put(&fs, path, ""), 0);
    }
    vfs_forget(fs.vfs, session.node, 1);
    for (unsigned i = 0; i < 1000; i++)
        if (i % 4 != 0)
            ck_assert_msg(session.seen[i] == 1, "f%u: %u times", i, session.seen[i]);
}
END_TEST

START_TEST(test_any_cookie_can_be_gone_back_to)
{
    static struct session session;
    static uint64_t cookies[1100];
    static char names[1100][16];
    unsigned count = 0;

    make_many("d", 1000);
    memset(&session, 0, sizeof(session));
    ck_assert_int_eq(fs_node(&fs, "d", &session.node), 0);
    session.limit = 1;
    while (next_reply(&session)) {
        cookies[count] = session.cookie;
        snprintf(names[count++], sizeof(names[0]), "%s", session.last);
    }
    ck_assert_uint_eq(count, 1002);
    for (unsigned i = 0; i + 1 < count; i += 13) {
        session.cookie = cookies[i];
        ck_assert(next_reply(&session));
        ck_assert_str_eq(session.last, names[i + 1]);
    }
    session.cookie = cookies[count - 1];
    ck_assert(!next_reply(&session));
    session.cookie = UINT64_C(1) << 40;
    session.count = 0;
    ck_assert_int_eq(
        vfs_readdir(fs.vfs, session.node, session.cookie, false, add_seen, &session),
        -EINVAL);
    vfs_forget(fs.vfs, session.node, 1);
}
END_TEST

START_TEST(test_listing_jumps_over_subtrees)
{
    char path[64];
    struct lsmkv_stats before, after;

    for (unsigned d = 0; d < 20; d++) {
        snprintf(path, sizeof(path), "d%02u", d);
        make_many(path, 200);
    }
    ck_assert_int_eq(fs_put(&fs, "d00-beside", ""), 0);
    ck_assert_int_eq(fs_put(&fs, "d00.too", ""), 0);
    ck_assert_int_eq(lsmkv_get_stats(vfs_store(fs.vfs)->db, &before), 0);
    fs_expect_names(
        &fs, "",
        "d00/ d00-beside d00.too d01/ d02/ d03/ d04/ d05/ d06/ d07/ d08/ d09/ "
        "d10/ d11/ d12/ d13/ d14/ d15/ d16/ d17/ d18/ d19/ ");
    ck_assert_int_eq(lsmkv_get_stats(vfs_store(fs.vfs)->db, &after), 0);
    ck_assert_uint_lt(after.iterators - before.iterators, 100);
}
END_TEST

struct dots {
    uint64_t inos[2];
    unsigned count;
};

static bool
add_dot(void *context, const struct vfs_listed *listed)
{
    struct dots *dots = context;

    if (dots->count == 2)
        return false;
    ck_assert_str_eq(listed->name, dots->count == 0 ? "." : "..");
    dots->inos[dots->count++] = listed->st.st_ino;
    return true;
}

START_TEST(test_dots_have_the_right_numbers)
{
    static const char *const paths[][2] = {{"a/b", "a"},
                                           {"a", ""},
                                           {"", ""},
                                           {".snapshots/s/a", ".snapshots/s"},
                                           {".snapshots/s", ".snapshots"},
                                           {".lsmfs/keys", ".lsmfs"}};

    ck_assert_int_eq(fs_mkdir(&fs, "a"), 0);
    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/s"), 0);
    ck_assert_int_eq(fs_mkdir(&fs, "a/b"), 0);
    for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct dots dots = {.count = 0};
        struct node *node;

        ck_assert_int_eq(fs_node(&fs, paths[i][0], &node), 0);
        ck_assert_int_eq(vfs_readdir(fs.vfs, node, 0, false, add_dot, &dots), 0);
        vfs_forget(fs.vfs, node, 1);
        ck_assert_uint_eq(dots.inos[0], fs_ino(&fs, paths[i][0]));
        ck_assert_uint_eq(dots.inos[1], fs_ino(&fs, paths[i][1]));
    }
}
END_TEST

START_TEST(test_snapshots_are_listed_only_if_asked_for)
{
    fs_expect_names(&fs, "", "");
    fs_close(&fs);
    fs.options.show_snapshots = true;
    fs_open(&fs);
    fs_expect_names(&fs, "", ".snapshots/ ");
    ck_assert_int_eq(fs_put(&fs, "a", ""), 0);
    fs_expect_names(&fs, "", ".snapshots/ a ");
}
END_TEST

/* ---- spans alone ---- */

START_TEST(test_spans_keep_ends_when_names_must_go)
{
    enum { SPANS = 400, NAMES = 50 };
    struct listing *listing = listing_new(64 << 10);
    static uint64_t first[SPANS], middle[SPANS], last[SPANS];
    char name[256], text[32];
    unsigned skip, whole = 0, cut = 0;

    for (unsigned s = 0; s < SPANS; s++) {
        struct listing_span *span = listing_begin(listing, 9);

        for (unsigned i = 0; i < NAMES; i++) {
            snprintf(text, sizeof(text), "common%03u-%02u", s, i);
            *(i == 0    ? first + s
              : i == 20 ? middle + s
                        : last + s) = listing_next_cookie(span);
            ck_assert_int_eq(listing_add(span, lsmkv_str(text)), 0);
        }
        listing_end(listing, span);
    }
    for (unsigned s = 0; s < SPANS; s++) {
        int size = listing_name(listing, 9, last[s], name, &skip);

        if (size < 0)
            continue;
        snprintf(text, sizeof(text), "common%03u-%02u", s, NAMES - 1);
        ck_assert_int_eq(memcmp(name, text, (size_t)size), 0);
        size = listing_name(listing, 9, middle[s], name, &skip);
        ck_assert_int_eq(size, (int)strlen(text));
        whole += skip == 0;
        cut += skip == 20;
        snprintf(text, sizeof(text), "common%03u-%02u", s, skip == 0 ? 20 : 0);
        ck_assert_int_eq(memcmp(name, text, (size_t)size), 0);
        ck_assert_int_eq(listing_name(listing, 8, last[s], name, &skip), -EINVAL);
    }
    ck_assert_uint_gt(whole, 10);
    ck_assert_uint_gt(cut, 10);
    ck_assert_uint_lt(whole + cut, SPANS);
    ck_assert_int_ge(listing_name(listing, 9, first[SPANS - 1], name, &skip), 0);
    ck_assert_int_eq(listing_name(listing, 9, first[0], name, &skip), -EINVAL);
    ck_assert_int_eq(listing_name(listing, 9, last[SPANS - 1] + 1, name, &skip), -EINVAL);
    listing_free(listing);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("vfs_listing");
    TCase *tcase = tcase_create("listing");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_every_entry_is_listed_once);
    tcase_add_test(tcase,
                   test_entries_that_stay_are_listed_once_while_others_come_and_go);
    tcase_add_test(tcase, test_any_cookie_can_be_gone_back_to);
    tcase_add_test(tcase, test_listing_jumps_over_subtrees);
    tcase_add_test(tcase, test_dots_have_the_right_numbers);
    tcase_add_test(tcase, test_snapshots_are_listed_only_if_asked_for);
    tcase_add_test(tcase, test_spans_keep_ends_when_names_must_go);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
