/*
 * test_retain.c - which versions survive (C1, C2, invariant 10), against brute force: whatever
 * any reader could see before a merge it sees after it, and at the bottom nothing is left
 * whose removal no reader would notice.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compaction/retain.h"
#include "support/random.h"
#include "support/rounds.h"
#include "support/suite.h"

#define ENTRIES_MAX 64

struct version_entry {
    uint64_t sequence;
    uint8_t kind;
};

/* Versions of one key, newest first. */
struct versions {
    struct version_entry entries[ENTRIES_MAX];
    size_t count;
};

struct collector {
    struct retain_sink sink;
    struct versions kept;
    size_t firsts;
};

static int
collect(struct retain_sink *sink, struct lsmkv_slice internal, struct lsmkv_slice payload,
        bool first)
{
    struct collector *collector = (struct collector *)sink;
    struct versions *kept = &collector->kept;

    ck_assert_uint_lt(kept->count, ENTRIES_MAX);
    ck_assert(first == (kept->count == 0));
    ck_assert(payload.data != NULL);
    kept->entries[kept->count].sequence = internal_sequence(internal);
    kept->entries[kept->count++].kind = internal_kind(internal);
    return 0;
}

static void
offer(struct retain *retain, const char *key, uint64_t sequence, uint8_t kind)
{
    struct keybuf internal = {0};

    ck_assert_int_eq(keybuf_set_internal(&internal, lsmkv_str(key), sequence, kind), 0);
    ck_assert_int_eq(retain_offer(retain, keybuf_slice(&internal), lsmkv_str("v")), 0);
    keybuf_fini(&internal);
}

/* What a merge leaves of one key. */
static struct versions
merged(const struct versions *versions, const uint64_t *snapshots, size_t count,
       const struct outside *outside)
{
    struct collector collector = {.sink = {collect}};
    struct retain retain;

    retain_init(&retain, LSMKV_ORDER_PATH, snapshots, count, outside, &collector.sink);
    for (size_t i = 0; i < versions->count; i++)
        offer(&retain, "k", versions->entries[i].sequence, versions->entries[i].kind);
    ck_assert_int_eq(retain_end(&retain), 0);
    retain_fini(&retain);
    return collector.kept;
}

/* The sequence of the put that a reader sees, 0 if it sees none. */
static uint64_t
seen(const struct versions *a, const struct versions *b, uint64_t reader)
{
    const struct version_entry *best = NULL;
    const struct versions *both[2] = {a, b};

    for (int which = 0; which < 2; which++) {
        for (size_t i = 0; both[which] != NULL && i < both[which]->count; i++) {
            const struct version_entry *entry = &both[which]->entries[i];

            if (entry->sequence <= reader &&
                (best == NULL || entry->sequence > best->sequence))
                best = entry;
        }
    }
    return best == NULL || best->kind == KIND_DELETE ? 0 : best->sequence;
}

/* ---- by hand ---- */

/* "9P 7D": newest first. */
static struct versions
parse(const char *text)
{
    struct versions versions = {.count = 0};
    unsigned sequence;
    char kind;
    int used;

    for (; sscanf(text, " %u%c%n", &sequence, &kind, &used) == 2; text += used) {
        versions.entries[versions.count].sequence = sequence;
        versions.entries[versions.count++].kind = kind == 'D' ? KIND_DELETE : KIND_PUT;
    }
    return versions;
}

static void
print(const struct versions *versions, char *out, size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < versions->count; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%u%c", i == 0 ? "" : " ",
                                 (unsigned)versions->entries[i].sequence,
                                 versions->entries[i].kind == KIND_DELETE ? 'D' : 'P');
}

static const struct {
    const char *claim, *entries;
    uint64_t snapshots[3]; /* the last is the last published sequence; 0: none */
    const char *flushed, *bottom;
} drawn[] = {
    {"the newest alone is seen", "9P 7P 3P", {0, 0, 20}, "9P", "9P"},
    {"a snapshot keeps what it sees", "9P 7P 3P", {0, 7, 20}, "9P 7P", "9P 7P"},
    {"between a snapshot and an entry", "9P 7P 3P", {0, 5, 20}, "9P 3P", "9P 3P"},
    {"a tombstone hides nothing at the bottom", "9D 7P", {0, 0, 20}, "9D", ""},
    {"a tombstone that a snapshot needs", "9D 7P", {0, 8, 20}, "9D 7P", "9D 7P"},
    {"one above an old snapshot that saw nothing", "9D 7P", {0, 3, 20}, "9D", ""},
    {"rmdir then mkdir", "9P 8D 7P", {0, 0, 20}, "9P", "9P"},
    {"rmdir then mkdir, with a snapshot between", "9P 8D 7P", {0, 8, 20}, "9P 8D", "9P"},
    {"and one before", "9P 8D 7P", {7, 8, 20}, "9P 8D 7P", "9P 8D 7P"},
    {"two tombstones over one put", "9D 7D 5P", {5, 7, 20}, "9D 7D 5P", "7D 5P"},
    {"above the last published all is kept", "9P 8P 7P 3P", {0, 0, 8}, "9P 8P", "9P 8P"},
    {"even far above", "9P 8P 7P 3P", {0, 0, 4}, "9P 8P 7P 3P", "9P 8P 7P 3P"},
    {"a tombstone above the last published", "9D 3P", {0, 0, 4}, "9D 3P", "9D 3P"},
    {"as the comment in retain.c draws it",
     "12P 11P 10P 9P 7P 6P 4P 3P",
     {5, 8, 9},
     "12P 11P 10P 9P 7P 4P",
     "12P 11P 10P 9P 7P 4P"},
};

START_TEST(test_drawn_timelines_keep_what_is_drawn)
{
    const uint64_t *snapshots = drawn[_i].snapshots;
    struct versions versions = parse(drawn[_i].entries), kept;
    struct outside nothing = {.order = LSMKV_ORDER_PATH};
    size_t count = 3;
    char text[128];

    while (*snapshots == 0) {
        snapshots++;
        count--;
    }
    kept = merged(&versions, snapshots, count, NULL);
    print(&kept, text, sizeof(text));
    ck_assert_msg(strcmp(text, drawn[_i].flushed) == 0, "%s: flushed %s", drawn[_i].claim,
                  text);
    kept = merged(&versions, snapshots, count, &nothing);
    print(&kept, text, sizeof(text));
    ck_assert_msg(strcmp(text, drawn[_i].bottom) == 0, "%s: bottom %s", drawn[_i].claim,
                  text);
}
END_TEST

/* ---- against brute force ---- */

static size_t
random_snapshots(struct random *random, uint64_t *snapshots, uint64_t most)
{
    size_t count = 0;

    for (uint64_t s = 1; s < most; s++) {
        if (random_below(random, 6) == 0)
            snapshots[count++] = s;
    }
    snapshots[count++] = most;
    return count;
}

static bool
is_reader(uint64_t reader, const uint64_t *snapshots, size_t count)
{
    if (reader >= snapshots[count - 1])
        return true;
    for (size_t i = 0; i < count; i++) {
        if (snapshots[i] == reader)
            return true;
    }
    return false;
}

static struct versions
without(const struct versions *versions, size_t index)
{
    struct versions less = *versions;

    memmove(&less.entries[index], &less.entries[index + 1],
            (less.count - index - 1) * sizeof(less.entries[0]));
    less.count--;
    return less;
}

/* Whether any reader up to `most` tells the two apart. */
static bool
differ(const struct versions *a, const struct versions *b,
       const struct versions *elsewhere, const uint64_t *snapshots, size_t count,
       uint64_t most)
{
    for (uint64_t reader = 1; reader <= most; reader++) {
        if (is_reader(reader, snapshots, count) &&
            seen(a, elsewhere, reader) != seen(b, elsewhere, reader))
            return true;
    }
    return false;
}

static struct versions
random_versions(struct random *random, uint64_t most)
{
    struct versions versions = {.count = 0};

    for (uint64_t s = most; s > 0; s--) {
        if (random_below(random, 3) != 0)
            continue;
        versions.entries[versions.count].sequence = s;
        versions.entries[versions.count++].kind =
            random_below(random, 5) < 2 ? KIND_DELETE : KIND_PUT;
    }
    return versions;
}

START_TEST(test_no_reader_sees_a_difference_and_the_bottom_holds_nothing_more)
{
    struct random random = random_of(random_seed());
    struct outside nothing = {.order = LSMKV_ORDER_PATH};

    for (uint64_t round = rounds_of(20000, 0); round > 0; round--) {
        uint64_t snapshots[ENTRIES_MAX], most = 1 + random_below(&random, 30);
        size_t count =
            random_snapshots(&random, snapshots, 1 + random_below(&random, most));
        struct versions all = random_versions(&random, most);
        struct versions flushed = merged(&all, snapshots, count, NULL);
        struct versions bottom = merged(&all, snapshots, count, &nothing);

        ck_assert(!differ(&all, &flushed, NULL, snapshots, count, most + 1));
        ck_assert(!differ(&all, &bottom, NULL, snapshots, count, most + 1));
        for (size_t i = 0; i < bottom.count; i++) {
            struct versions less = without(&bottom, i);

            ck_assert(differ(&bottom, &less, NULL, snapshots, count, most + 1));
        }
    }
}
END_TEST

/* A table that covers "k" and holds `versions`, as far as its meta says. */
static void
cover(struct table_file *file, const struct versions *versions)
{
    memset(file, 0, sizeof(*file));
    file->meta.smallest_sequence = versions->entries[versions->count - 1].sequence;
    file->meta.largest_sequence = versions->entries[0].sequence;
    ck_assert_int_eq(
        keybuf_set_internal(&file->meta.smallest, lsmkv_str("a"), 1, KIND_PUT), 0);
    ck_assert_int_eq(
        keybuf_set_internal(&file->meta.largest, lsmkv_str("z"), 1, KIND_PUT), 0);
}

/*
 * Invariant 10 with what must not be left out: an unmerged table, above or below, that holds
 * versions older than a tombstone, mixed in any way with those that are merged.
 */
START_TEST(test_nothing_comes_back_from_an_unmerged_table)
{
    struct random random = random_of(random_seed());
    const int level = _i;

    for (uint64_t round = rounds_of(20000, 0); round > 0; round--) {
        uint64_t snapshots[ENTRIES_MAX], most = 1 + random_below(&random, 30);
        size_t count =
            random_snapshots(&random, snapshots, 1 + random_below(&random, most));
        struct versions all = random_versions(&random, most), inputs = {.count = 0},
                        elsewhere = {.count = 0}, kept;
        struct table_file file, *files[1] = {&file};
        struct outside outside = {.order = LSMKV_ORDER_PATH};

        for (size_t i = 0; i < all.count; i++) {
            struct versions *to = random_coin(&random) ? &inputs : &elsewhere;

            to->entries[to->count++] = all.entries[i];
        }
        if (elsewhere.count == 0)
            continue;
        cover(&file, &elsewhere);
        outside.levels[level].files = files;
        outside.levels[level].count = 1;
        kept = merged(&inputs, snapshots, count, &outside);
        ck_assert(!differ(&inputs, &kept, &elsewhere, snapshots, count, most + 1));
        table_meta_fini(&file.meta);
    }
}
END_TEST

START_TEST(test_an_unmerged_table_with_nothing_older_holds_no_tombstone_back)
{
    static const uint64_t snapshots[] = {100};
    struct versions inputs = parse("9D 7P"), newer = parse("30P 20P"),
                    older = parse("8P 3P");
    struct table_file file, *files[1] = {&file};
    struct outside outside = {.order = LSMKV_ORDER_PATH};

    outside.levels[0].files = files;
    outside.levels[0].count = 1;
    cover(&file, &newer);
    ck_assert_uint_eq(merged(&inputs, snapshots, 1, &outside).count, 0);
    table_meta_fini(&file.meta);
    cover(&file, &older);
    ck_assert_uint_eq(merged(&inputs, snapshots, 1, &outside).count, 1);
    table_meta_fini(&file.meta);
}
END_TEST

START_TEST(test_keys_are_settled_apart)
{
    static const char *const keys[] = {"", "a", "a/b", "a-"};
    static const uint64_t snapshots[] = {100};
    struct outside nothing = {.order = LSMKV_ORDER_PATH};
    struct retain retain;

    for (size_t i = 0; i < 4; i++) {
        struct collector collector = {.sink = {collect}};

        retain_init(&retain, LSMKV_ORDER_PATH, snapshots, 1, &nothing, &collector.sink);
        for (size_t k = 0; k < 4; k++) {
            offer(&retain, keys[k], 9, KIND_DELETE);
            if (k == i)
                offer(&retain, keys[k], 8, KIND_PUT);
        }
        ck_assert_int_eq(retain_end(&retain), 0);
        ck_assert_uint_eq(collector.kept.count, 0);
        retain_fini(&retain);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("retain");
    TCase *cases = tcase_create("retain");

    tcase_add_loop_test(cases, test_drawn_timelines_keep_what_is_drawn, 0,
                        sizeof(drawn) / sizeof(drawn[0]));
    tcase_add_test(cases,
                   test_no_reader_sees_a_difference_and_the_bottom_holds_nothing_more);
    tcase_add_loop_test(cases, test_nothing_comes_back_from_an_unmerged_table, 0,
                        LEVEL_COUNT);
    tcase_add_test(cases,
                   test_an_unmerged_table_with_nothing_older_holds_no_tombstone_back);
    tcase_add_test(cases, test_keys_are_settled_apart);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
