/*
 * test_mend.c - mend.h: what a repair leaves wrong is set right, or told, and nothing else is
 * touched.
 */
#include <errno.h>

#include "check/fsck.h"
#include "check/mend.h"
#include "records_fixture.h"
#include "store/counter.h"
#include "store/data.h"
#include "store/implied.h"

#define TOLD_MAX 64

static struct told {
    unsigned mended, lost, left;
    char lines[TOLD_MAX][256];
} told;

static void
note(const char *where, const char *text)
{
    unsigned line = told.mended + told.lost + told.left;

    if (line < TOLD_MAX)
        snprintf(told.lines[line], sizeof told.lines[0], "%s: %s", where, text);
}

static void
take_mended(void *context, const char *where, const char *text)
{
    (void)context;
    note(where, text);
    told.mended++;
}

static void
take_lost(void *context, const char *where, const char *text)
{
    (void)context;
    note(where, text);
    told.lost++;
}

static void
take_left(void *context, const struct fsck_finding *finding)
{
    (void)context;
    note(finding->where, finding->text);
    told.left += finding->severity == LSMKV_DAMAGE;
}

static const struct mend_report report = {
    .mended = take_mended, .lost = take_lost, .left = take_left};

static void
mend(const struct mend_loss *losses, size_t count)
{
    memset(&told, 0, sizeof told);
    ck_assert_int_eq(mend_store(fixture.store, losses, count, &report), 0);
}

static bool
was_told(const char *line)
{
    for (unsigned i = 0; i < TOLD_MAX; i++)
        if (strstr(told.lines[i], line))
            return true;
    for (unsigned i = 0; i < told.mended + told.lost + told.left; i++)
        printf("# %s\n", told.lines[i]);
    return false;
}

static void
expect(unsigned mended, unsigned lost, unsigned left, const char *line)
{
    ck_assert_msg(was_told(line), "not told: %s", line);
    ck_assert_uint_eq(told.mended, mended);
    ck_assert_uint_eq(told.lost, lost);
    ck_assert_uint_eq(told.left, left);
}

static void
setup(void)
{
    fixture_init(&fixture);
}

static void
teardown(void)
{
    fixture_fini(&fixture);
}

/* The attributes at a key; false: it is not there. */
static bool
attr_at(struct lsmkv_keyspace *keyspace, struct lsmkv_slice key, struct attr *attr)
{
    struct lsmkv_held *held;
    int result = lsmkv_get_held(fixture.store->db, keyspace, NULL, key, &held);

    if (result == -ENOENT)
        return false;
    ck_assert_int_eq(result, 0);
    ck_assert_int_eq(attr_decode(lsmkv_held_record(held), &fixture.store->defaults, attr),
                     0);
    lsmkv_held_release(held);
    return true;
}

static bool
file_at(const char *key, struct attr *attr)
{
    return attr_at(fixture.store->files, lsmkv_str(key), attr);
}

static void
expect_value(struct lsmkv_keyspace *keyspace, struct lsmkv_slice key, const char *value)
{
    struct lsmkv_held *held;

    ck_assert_int_eq(lsmkv_get_held(fixture.store->db, keyspace, NULL, key, &held), 0);
    ck_assert_uint_eq(lsmkv_held_record(held)->value.size, strlen(value));
    ck_assert_mem_eq(lsmkv_held_record(held)->value.data, value, strlen(value));
    lsmkv_held_release(held);
}

static int
read_at(const struct attr *attr, uint64_t offset)
{
    uint8_t byte;
    size_t got;

    return data_read(fixture.store, NULL, &attr->data, nothing, offset, &byte, 1, &got);
}

static void
delete_chunk(uint64_t id, uint64_t index, unsigned fragment)
{
    struct chunk_key key = chunk_key(id, index, fragment);

    ck_assert_int_eq(
        lsmkv_delete(fixture.store->db, fixture.store->chunks, chunk_slice(&key), 0), 0);
}

/* ---- counts and notes ---- */

START_TEST(test_a_good_store_is_left_alone)
{
    struct lsmkv_stats before, after;
    struct attr inode = put_inode(2);

    put_directory("", 1);
    put_directory("d", 0);
    put_file("d/f", "value");
    put_reference("one", inode.ino);
    put_reference("two", inode.ino);
    put_large("large");
    ck_assert_int_eq(lsmkv_get_stats(fixture.store->db, &before), 0);
    mend(NULL, 0);
    ck_assert_int_eq(lsmkv_get_stats(fixture.store->db, &after), 0);
    ck_assert_uint_eq(told.mended + told.lost + told.left, 0);
    ck_assert_uint_eq(before.sequence, after.sequence);
}
END_TEST

START_TEST(test_counts_are_set_right)
{
    struct attr inode = put_inode(5), attr;
    struct record_key key = record_inode(inode.ino);

    put_directory("", 7);
    put_directory("d", 3);
    put_directory("d/e", 0);
    put_reference("one", inode.ino);
    mend(NULL, 0);
    expect(3, 0, 0, "inode 64: it has 1 names now");
    ck_assert(file_at("", &attr) && attr.subdirs == 1);
    ck_assert(file_at("d", &attr) && attr.subdirs == 1);
    ck_assert(attr_at(fixture.store->inodes, record_slice(&key), &attr));
    ck_assert_uint_eq(attr.nlink, 1);
    expect_value(fixture.store->inodes, record_slice(&key), "shared");
}
END_TEST

START_TEST(test_notes_of_implied_numbers)
{
    struct attr attr = new_attr(S_IFDIR | 0755);

    put_mark(record_taken(implied_number(fixture.store, lsmkv_str("x"), 0)));
    attr.ino = implied_number(fixture.store, lsmkv_str("x"), 1);
    put_attr(fixture.store->files, lsmkv_str("y"), &attr, "");
    mend(NULL, 0);
    expect(2, 0, 0, "noted as in use");
}
END_TEST

START_TEST(test_extended_attributes_of_a_lost_file)
{
    struct record_key one = record_xattr(4711, lsmkv_str("user.one"));
    struct record_key two = record_xattr(4711, lsmkv_str("user.two"));

    put_bytes(fixture.store->inodes, record_slice(&one), nothing, lsmkv_str("1"));
    put_bytes(fixture.store->inodes, record_slice(&two), nothing, lsmkv_str("2"));
    mend(NULL, 0);
    expect(1, 0, 0, "inode 4711: its extended attributes are removed");
    ck_assert_uint_eq(fixture_count_tag(&fixture, RECORD_XATTR), 0);
}
END_TEST

/* ---- what lost its name ---- */

START_TEST(test_an_inode_without_a_name_gets_one)
{
    struct attr inode = put_inode(3), attr;
    struct record_key key = record_inode(inode.ino);

    put_directory("", 0);
    mend(NULL, 0);
    ck_assert(was_told("the file had lost its name, and is lost+found/inode-64 now"));
    ck_assert_uint_eq(told.left, 0);
    ck_assert(file_at("lost+found", &attr) && S_ISDIR(attr.mode));
    ck_assert(file_at("lost+found/inode-64", &attr));
    ck_assert(attr.data.kind == ATTR_REFERENCE && attr.ino == inode.ino);
    ck_assert(attr_at(fixture.store->inodes, record_slice(&key), &attr));
    ck_assert_uint_eq(attr.nlink, 1);
    expect_value(fixture.store->inodes, record_slice(&key), "shared");
}
END_TEST

START_TEST(test_contents_without_a_file_get_one)
{
    uint64_t id = new_data_id();
    struct attr attr;

    put_chunk(id, 0, 10);
    put_chunk(id, 2, 100);
    put_fragment(id, 2, 1, 200, 50, 50);
    put_file("lost+found", "no directory");
    mend(NULL, 0);
    ck_assert(was_told("and are lost+found-1/data-1 now"));
    ck_assert_uint_eq(told.left, 0);
    ck_assert(file_at("lost+found-1/data-1", &attr));
    ck_assert_uint_eq(attr.data.id, id);
    ck_assert_uint_eq(attr.data.size, 2 * CHUNK_SIZE + 250);
    ck_assert_uint_eq(attr.data.chunks, 2);
    expect_value(fixture.store->files, lsmkv_str("lost+found"), "no directory");
    /* Once more: what is there stays. */
    put_chunk(new_data_id(), 0, 1);
    mend(NULL, 0);
    ck_assert(was_told("and are lost+found-1/data-2 now"));
}
END_TEST

/* It can be seen and removed, but not read. */
START_TEST(test_names_of_a_lost_inode)
{
    struct attr attr = new_attr(S_IFREG);
    struct record_key key = record_inode(attr.ino);

    put_reference("one", attr.ino);
    put_reference("two", attr.ino);
    mend(NULL, 0);
    expect(1, 2, 1, "one: owner, mode and contents; the name is there");
    ck_assert(was_told("chunk 0 is lost"));
    ck_assert(attr_at(fixture.store->inodes, record_slice(&key), &attr));
    ck_assert_uint_eq(attr.nlink, 2);
    ck_assert_int_eq(read_at(&attr, 0), -EUCLEAN);
}
END_TEST

/* ---- what two records claim ---- */

/* The removal of the old name was lost. */
START_TEST(test_the_old_name_of_a_renamed_file)
{
    struct attr attr = put_large("old"), found;

    put_attr(fixture.store->files, lsmkv_str("new"), &attr, "");
    mend(NULL, 0);
    expect(1, 0, 0, "old: removed: the file was renamed");
    ck_assert(!file_at("old", &found));
    ck_assert(file_at("new", &found));
    ck_assert_int_eq(read_at(&found, LARGE - 1), 0);
}
END_TEST

/* Each of many is settled among those with its own number: small files, and such as have contents in
 * chunks, old names before new ones and behind them. */
START_TEST(test_many_old_names)
{
    enum { MANY = 500 };
    char old[16], new[16];
    struct attr attr;

    for (unsigned i = 0; i < MANY; i++) {
        snprintf(old, sizeof old, "%c%u", i % 2 ? 'a' : 'z', i);
        snprintf(new, sizeof new, "m%u", i * 7 % MANY);
        attr = i % 5 ? put_file(old, "x") : put_large(old);
        put_attr(fixture.store->files, lsmkv_str(new), &attr, i % 5 ? "x" : "");
        put_file(i % 2 ? "b" : "y", "another");
    }
    mend(NULL, 0);
    ck_assert_uint_eq(told.mended, MANY);
    ck_assert_uint_eq(told.lost + told.left, 0);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(old, sizeof old, "%c%u", i % 2 ? 'a' : 'z', i);
        snprintf(new, sizeof new, "m%u", i * 7 % MANY);
        ck_assert(!file_at(old, &attr));
        ck_assert(file_at(new, &attr));
        if (i % 5 == 0)
            ck_assert_int_eq(read_at(&attr, LARGE - 1), 0);
    }
}
END_TEST

/* The name that linking had left behind was lost, and what it was before is back. */
START_TEST(test_a_name_from_before_it_was_linked)
{
    struct attr attr = put_file("a", "before"), found;
    struct record_key key = record_inode(attr.ino);

    attr.nlink = 2;
    put_attr(fixture.store->inodes, record_slice(&key), &attr, "after");
    put_reference("b", attr.ino);
    mend(NULL, 0);
    ck_assert(was_told("a: it is one of several names of a file again"));
    ck_assert_uint_eq(told.left, 0);
    ck_assert(file_at("a", &found));
    ck_assert(found.data.kind == ATTR_REFERENCE && found.ino == attr.ino);
    expect_value(fixture.store->inodes, record_slice(&key), "after");
}
END_TEST

START_TEST(test_two_directories_with_one_number)
{
    struct attr attr = put_directory("old", 0), older, newer;

    put_attr(fixture.store->files, lsmkv_str("new"), &attr, "");
    put_file("old/f", "1");
    put_file("new/f", "2");
    mend(NULL, 0);
    expect(1, 0, 0, "old: its inode number is another's");
    ck_assert(file_at("old", &older) && file_at("new", &newer));
    ck_assert_uint_eq(newer.ino, attr.ino);
    ck_assert_uint_ne(older.ino, attr.ino);
}
END_TEST

/* The chunks of one are given back. */
static void
remove_contents(const struct attr *attr)
{
    for (uint64_t i = 0; i < 3; i++)
        delete_chunk(attr->data.id, i, 0);
}

static void
expect_contents_of_its_own(const struct attr *attr, const struct attr *other)
{
    ck_assert_uint_ne(attr->data.id, other->data.id);
    ck_assert_uint_eq(attr->data.size, LARGE);
    ck_assert_int_eq(read_at(attr, LARGE - 1), 0);
}

/* Nothing was lost there: it was a bug, or somebody's work.  Of two names the older was removed, and two
 * inode records were left to take each other's contents. */
START_TEST(test_two_files_with_one_data_id)
{
    struct attr attr = put_large("a"), other = put_file("b", ""), found;
    struct attr short_one = put_file("c", "");

    other.data = short_one.data = attr.data;
    put_attr(fixture.store->files, lsmkv_str("b"), &other, "");
    short_one.data.size = CHUNK_SIZE;
    short_one.data.chunks = 1;
    put_attr(fixture.store->files, lsmkv_str("c"), &short_one, "");
    mend(NULL, 0);
    ck_assert(was_told("a: its contents are another file's, too; it has a copy"));
    ck_assert_uint_eq(told.left + told.lost, 0);
    ck_assert(file_at("a", &attr) && file_at("b", &other) && file_at("c", &found));
    expect_contents_of_its_own(&attr, &other);
    ck_assert_uint_ne(found.data.id, attr.data.id);
    ck_assert_uint_ne(found.data.id, other.data.id);
    remove_contents(&attr);
    ck_assert_int_eq(read_at(&found, 0), 0);
    expect_contents_of_its_own(&other, &attr);
}
END_TEST

START_TEST(test_two_inode_records_with_one_data_id)
{
    struct attr attr = put_large("a"), other = put_file("b", "");
    struct record_key key = record_inode(attr.ino), other_key = record_inode(other.ino);

    other.data = attr.data;
    attr.nlink = other.nlink = 2;
    put_attr(fixture.store->inodes, record_slice(&key), &attr, "");
    put_attr(fixture.store->inodes, record_slice(&other_key), &other, "");
    put_reference("a", attr.ino);
    put_reference("a2", attr.ino);
    put_reference("b", other.ino);
    put_reference("b2", other.ino);
    mend(NULL, 0);
    ck_assert_uint_eq(told.mended, 1);
    ck_assert_uint_eq(told.left + told.lost, 0);
    ck_assert(attr_at(fixture.store->inodes, record_slice(&key), &attr));
    ck_assert(attr_at(fixture.store->inodes, record_slice(&other_key), &other));
    expect_contents_of_its_own(&attr, &other);
    remove_contents(&attr);
    expect_contents_of_its_own(&other, &attr);
}
END_TEST

START_TEST(test_a_removed_file_that_is_back)
{
    struct attr attr = put_large("a"), found;

    put_mark(record_orphan(attr.data.id));
    mend(NULL, 0);
    expect(1, 0, 0, "a: removed again: it had come back");
    ck_assert(!file_at("a", &found));
    ck_assert_uint_eq(fixture_count_tag(&fixture, RECORD_ORPHAN), 1);
}
END_TEST

START_TEST(test_an_orphan_that_got_a_name)
{
    uint64_t id = new_data_id();
    struct attr attr = new_attr(S_IFREG | 0600), found;

    put_mark(record_orphan(id));
    put_chunk(id, 0, 10);
    attr.data = (struct attr_data){ATTR_CHUNKS, 10, id, 1};
    put_attr(fixture.store->files, lsmkv_str("a"), &attr, "");
    mend(NULL, 0);
    expect(1, 0, 0, "a: its contents are no longer to be swept");
    ck_assert(file_at("a", &found));
    ck_assert_uint_eq(fixture_count_tag(&fixture, RECORD_ORPHAN), 0);
}
END_TEST

START_TEST(test_contents_that_are_newer_than_their_file)
{
    struct attr attr = put_large("a"), found;

    put_chunk(attr.data.id, 4, 77);
    mend(NULL, 0);
    ck_assert(was_told("a: it has 524365 bytes now"));
    ck_assert_uint_eq(told.left, 0);
    ck_assert(file_at("a", &found));
    ck_assert_uint_eq(found.data.size, 4 * CHUNK_SIZE + 77);
    ck_assert_uint_eq(found.data.chunks, 4);
}
END_TEST

/* ---- chunks that are lost ---- */

static struct mend_loss
loss_of(const struct chunk_key *first, const struct chunk_key *last)
{
    return (struct mend_loss){
        .first = chunk_slice(first), .last = chunk_slice(last), .sequence = UINT64_MAX};
}

START_TEST(test_a_missing_chunk_is_an_error)
{
    struct attr attr = put_large("a"), other = put_large("b");
    struct chunk_key first = chunk_key(attr.data.id, 1, 0);
    struct chunk_key last = chunk_key(other.data.id, 0, 0);
    struct mend_loss loss = loss_of(&first, &last);

    delete_chunk(attr.data.id, 1, 0);
    mend(&loss, 1);
    ck_assert(was_told("a: 1 of its 3 chunks cannot be read"));
    ck_assert(was_told("a: bytes 262144 to 393216 may be older"));
    ck_assert_uint_eq(told.left, 1);
    ck_assert_int_eq(read_at(&attr, 0), 0);
    ck_assert_int_eq(read_at(&attr, CHUNK_SIZE), -EUCLEAN);
    ck_assert_int_eq(read_at(&attr, 2 * CHUNK_SIZE), 0);
    ck_assert_int_eq(read_at(&other, 0), 0);
}
END_TEST

/* What was written over a chunk that cannot be read is read, and nothing else of it.  It was not,
 * though the write had been acknowledged. */
START_TEST(test_what_is_written_over_a_missing_chunk_is_read)
{
    struct attr attr = put_large("a");
    struct chunk_key first = chunk_key(attr.data.id, 1, 0);
    struct chunk_key last = chunk_key(attr.data.id, 2, 0);
    struct mend_loss loss = loss_of(&first, &last);
    uint8_t bytes[300];
    size_t got;

    delete_chunk(attr.data.id, 1, 0);
    mend(&loss, 1);
    put_fragment(attr.data.id, 1, 1, 1000, 200, 200);
    put_fragment(attr.data.id, 1, 2, 1200, 300, 100);
    memset(bytes, 1, sizeof(bytes));
    for (uint32_t at = 999; at <= 1300; at++)
        ck_assert_int_eq(read_at(&attr, CHUNK_SIZE + at),
                         at >= 1000 && at < 1300 ? 0 : -EUCLEAN);
    ck_assert_int_eq(data_read(fixture.store, NULL, &attr.data, nothing,
                               CHUNK_SIZE + 1000, bytes, 200, &got),
                     0);
    ck_assert_uint_eq(got, 200);
    ck_assert(bytes[0] == 0 && bytes[199] == 0 && bytes[200] == 1);
    /* Of two, neither is over all of it. */
    ck_assert_int_eq(data_read(fixture.store, NULL, &attr.data, nothing,
                               CHUNK_SIZE + 1000, bytes, 201, &got),
                     -EUCLEAN);
    put_fragment(attr.data.id, 2, 1, 0, 100, 100);
    ck_assert_int_eq(read_at(&attr, 2 * CHUNK_SIZE), 0);
    ck_assert_int_eq(data_read(fixture.store, NULL, &attr.data, nothing,
                               2 * CHUNK_SIZE - 1, bytes, 2, &got),
                     -EUCLEAN);
}
END_TEST

/* What is outside of what was lost was a hole before. */
START_TEST(test_a_hole_stays_one)
{
    struct attr attr = put_large("a");
    struct chunk_key first = chunk_key(attr.data.id, 2, 0);
    struct chunk_key last = chunk_key(attr.data.id, 3, 0);
    struct mend_loss loss = loss_of(&first, &last);

    delete_chunk(attr.data.id, 1, 0);
    delete_chunk(attr.data.id, 2, 0);
    mend(&loss, 1);
    expect(0, 1, 1, "chunk 2 is lost");
    ck_assert_int_eq(read_at(&attr, CHUNK_SIZE), 0);
    ck_assert_int_eq(read_at(&attr, 2 * CHUNK_SIZE), -EUCLEAN);
}
END_TEST

/* A file of holes says so: nothing of it is lost, whatever was. */
START_TEST(test_holes_of_a_file_that_has_all_its_chunks)
{
    struct attr attr = put_large("a");
    struct chunk_key first = chunk_key(attr.data.id, 1, 0);
    struct chunk_key last = chunk_key(attr.data.id, 2, 0);
    struct mend_loss all = {.sequence = UINT64_MAX}, loss;

    delete_chunk(attr.data.id, 1, 0);
    attr.data.chunks = 2;
    put_attr(fixture.store->files, lsmkv_str("a"), &attr, "");
    mend(&all, 1);
    ck_assert_uint_eq(told.mended + told.lost + told.left, 0);
    loss = loss_of(&first, &last);
    mend(&loss, 1);
    ck_assert_uint_eq(told.mended + told.lost + told.left, 0);
    ck_assert_int_eq(read_at(&attr, CHUNK_SIZE), 0);
}
END_TEST

/* Of the second chunk, as old as all that there is. */
static struct mend_loss
loss_of_fragments(const struct attr *attr)
{
    static struct chunk_key first, last;
    struct lsmkv_stats stats;
    struct mend_loss loss;

    first = chunk_key(attr->data.id, 1, 1);
    last = chunk_key(attr->data.id, 2, 0);
    loss = loss_of(&first, &last);
    ck_assert_int_eq(lsmkv_get_stats(fixture.store->db, &stats), 0);
    loss.sequence = stats.sequence;
    return loss;
}

/* A fragment is missing, so the chunk shows what was there before: unless the chunk was put whole
 * after that. */
START_TEST(test_a_chunk_that_lacks_a_fragment)
{
    struct attr attr = put_large("a");
    struct mend_loss loss = loss_of_fragments(&attr);

    put_chunk(attr.data.id, 1, CHUNK_SIZE);
    mend(&loss, 1);
    ck_assert_uint_eq(told.mended + told.lost + told.left, 0);
    loss.sequence++;
    mend(&loss, 1);
    expect(0, 1, 1, "a: 1 of its 3 chunks cannot be read");
    ck_assert_int_eq(read_at(&attr, CHUNK_SIZE), -EUCLEAN);
    ck_assert_int_eq(read_at(&attr, CHUNK_SIZE - 1), 0);
}
END_TEST

/* Nor is anything wanted of what was there before fragments that cover it, with the chunk or without. */
START_TEST(test_a_chunk_that_newer_fragments_cover)
{
    struct attr attr = put_large("a");
    struct mend_loss loss = loss_of_fragments(&attr);

    put_fragment(attr.data.id, 1, 1, 1000, CHUNK_SIZE - 1000, CHUNK_SIZE - 1000);
    put_fragment(attr.data.id, 1, 2, 0, CHUNK_SIZE, 1000);
    mend(&loss, 1);
    ck_assert_uint_eq(told.mended + told.lost + told.left, 0);
    delete_chunk(attr.data.id, 1, 0);
    mend(&loss, 1);
    ck_assert_uint_eq(told.mended + told.lost + told.left, 0);
    ck_assert_int_eq(read_at(&attr, CHUNK_SIZE), 0);
    loss.sequence++;
    mend(&loss, 1);
    expect(0, 1, 1, "a: 1 of its 3 chunks cannot be read");
    ck_assert_int_eq(read_at(&attr, CHUNK_SIZE), -EUCLEAN);
}
END_TEST

/* One byte shows through; of three one is missing. */
START_TEST(test_a_chunk_that_newer_fragments_do_not_cover)
{
    struct attr attr = put_large("a");
    struct mend_loss loss = loss_of_fragments(&attr);

    put_fragment(attr.data.id, 1, 1, 1001, CHUNK_SIZE - 1001, CHUNK_SIZE - 1001);
    put_fragment(attr.data.id, 1, 2, 0, CHUNK_SIZE - 1, 1000);
    if (_i == 1)
        put_fragment(attr.data.id, 1, 4, 900, CHUNK_SIZE + 199, 200);
    mend(&loss, 1);
    expect(0, 1, 1, "a: 1 of its 3 chunks cannot be read");
    ck_assert_int_eq(read_at(&attr, CHUNK_SIZE), -EUCLEAN);
}
END_TEST

/* Of one that is fragments alone nothing older lies below what was lost: that is an error, not zeros, and
 * what there is can be read. */
START_TEST(test_a_chunk_of_fragments_that_lacks_some)
{
    struct attr attr = put_large("a"), other = put_large("b");
    struct chunk_key first = chunk_key(attr.data.id, 1, 2);
    struct chunk_key last = chunk_key(other.data.id, 0, 0);
    struct mend_loss loss = loss_of(&first, &last);

    delete_chunk(attr.data.id, 1, 0);
    put_fragment(attr.data.id, 1, 1, 4096, 4096, 4096);
    put_fragment(attr.data.id, 1, 2, 12288, 8192, 4096);
    mend(&loss, 1);
    ck_assert(was_told("a: 1 of its 3 chunks cannot be read"));
    ck_assert(was_told("a: bytes 131072 to 393216 may be older"));
    ck_assert_int_eq(read_at(&attr, CHUNK_SIZE), -EUCLEAN);
    ck_assert_int_eq(read_at(&attr, CHUNK_SIZE + 4096), 0);
    ck_assert_int_eq(read_at(&attr, CHUNK_SIZE + 8192), -EUCLEAN);
    ck_assert_int_eq(read_at(&attr, CHUNK_SIZE + 12288), 0);
    ck_assert_int_eq(read_at(&attr, CHUNK_SIZE + 16384), -EUCLEAN);
    ck_assert_int_eq(read_at(&attr, 2 * CHUNK_SIZE), 0);
}
END_TEST

/* ---- before the store opens ---- */

static void
delete_meta(const char *name)
{
    ck_assert_int_eq(
        lsmkv_delete(fixture.store->db, fixture.store->meta, lsmkv_str(name), 0), 0);
}

/* Without its counters a store would give out numbers again. */
START_TEST(test_counters_that_are_lost)
{
    struct attr attr = put_large("a"), fresh;
    struct lsmkv *db;
    bool ours;

    put_mark(record_orphan(new_data_id()));
    put_inode(1);
    fresh = put_file("z", "");
    delete_meta("inode");
    delete_meta("data");
    delete_meta("format");
    fixture_close(&fixture);
    fixture.engine.create = false;
    ck_assert_int_eq(lsmkv_open("lsmfs-test-store", &fixture.engine, &db), 0);
    memset(&told, 0, sizeof told);
    ck_assert_int_eq(mend_prepare(db, &report, &ours), 0);
    ck_assert(ours);
    expect(1, 0, 0, "store: its format or counters");
    memset(&told, 0, sizeof told);
    ck_assert_int_eq(mend_prepare(db, &report, &ours), 0);
    ck_assert_uint_eq(told.mended, 0);
    ck_assert_int_eq(lsmkv_close(db), 0);
    fixture_open(&fixture);
    ck_assert_uint_gt(new_attr(S_IFREG).ino, fresh.ino);
    ck_assert_uint_gt(new_data_id(), attr.data.id + 1);
}
END_TEST

/* What a repair sets right before it looks at anything. */
static void
prepare_unmounted(void)
{
    struct lsmkv *db;
    bool ours;

    fixture_close(&fixture);
    fixture.engine.create = false;
    ck_assert_int_eq(lsmkv_open("lsmfs-test-store", &fixture.engine, &db), 0);
    ck_assert_int_eq(mend_prepare(db, &report, &ours), 0);
    ck_assert_int_eq(lsmkv_close(db), 0);
    fixture_open(&fixture);
}

/* A counter was put that no mount would have opened. */
START_TEST(test_a_number_that_no_store_comes_to)
{
    const uint64_t numbers[] = {NUMBER_LIMIT - 1, NUMBER_LIMIT};
    uint64_t id;

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        put_chunk(numbers[i], 0, 1);
        delete_meta("data");
        prepare_unmounted();
        ck_assert_int_eq(store_new_data_id(fixture.store, &id), -EUCLEAN);
    }
}
END_TEST

/* It wrapped, and what a file of holes has was given out again. */
START_TEST(test_the_largest_number_hides_no_other)
{
    struct attr holes = new_attr(S_IFREG | 0644);

    holes.data =
        (struct attr_data){.kind = ATTR_CHUNKS, .size = CHUNK_SIZE, .id = 1000000};
    put_attr(fixture.store->files, lsmkv_str("a"), &holes, "");
    put_chunk(UINT64_MAX, 0, 1);
    delete_meta("data");
    prepare_unmounted();
    ck_assert_uint_gt(new_data_id(), holes.data.id);
}
END_TEST

START_TEST(test_a_store_that_was_never_mounted_is_not_ours)
{
    struct lsmkv *db;
    bool ours = true;

    fixture.engine.create = true;
    ck_assert_int_eq(lsmkv_open("plain", &fixture.engine, &db), 0);
    ck_assert_int_eq(lsmkv_put(db, NULL, lsmkv_str("k"), nothing, lsmkv_str("v"), 0), 0);
    memset(&told, 0, sizeof told);
    ck_assert_int_eq(mend_prepare(db, &report, &ours), 0);
    ck_assert(!ours);
    ck_assert_uint_eq(told.mended, 0);
    ck_assert_int_eq(lsmkv_close(db), 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("mend");
    TCase *tests = tcase_create("mend");

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_a_good_store_is_left_alone);
    tcase_add_test(tests, test_counts_are_set_right);
    tcase_add_test(tests, test_notes_of_implied_numbers);
    tcase_add_test(tests, test_extended_attributes_of_a_lost_file);
    tcase_add_test(tests, test_an_inode_without_a_name_gets_one);
    tcase_add_test(tests, test_contents_without_a_file_get_one);
    tcase_add_test(tests, test_names_of_a_lost_inode);
    tcase_add_test(tests, test_the_old_name_of_a_renamed_file);
    tcase_add_test(tests, test_many_old_names);
    tcase_add_test(tests, test_a_name_from_before_it_was_linked);
    tcase_add_test(tests, test_two_directories_with_one_number);
    tcase_add_test(tests, test_two_files_with_one_data_id);
    tcase_add_test(tests, test_two_inode_records_with_one_data_id);
    tcase_add_test(tests, test_a_removed_file_that_is_back);
    tcase_add_test(tests, test_an_orphan_that_got_a_name);
    tcase_add_test(tests, test_contents_that_are_newer_than_their_file);
    tcase_add_test(tests, test_a_missing_chunk_is_an_error);
    tcase_add_test(tests, test_what_is_written_over_a_missing_chunk_is_read);
    tcase_add_test(tests, test_a_hole_stays_one);
    tcase_add_test(tests, test_holes_of_a_file_that_has_all_its_chunks);
    tcase_add_test(tests, test_a_chunk_that_lacks_a_fragment);
    tcase_add_test(tests, test_a_chunk_of_fragments_that_lacks_some);
    tcase_add_test(tests, test_a_chunk_that_newer_fragments_cover);
    tcase_add_loop_test(tests, test_a_chunk_that_newer_fragments_do_not_cover, 0, 2);
    tcase_add_test(tests, test_counters_that_are_lost);
    tcase_add_test(tests, test_a_number_that_no_store_comes_to);
    tcase_add_test(tests, test_the_largest_number_hides_no_other);
    tcase_add_test(tests, test_a_store_that_was_never_mounted_is_not_ours);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
