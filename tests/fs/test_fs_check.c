/*
 * test_fs_check.c - fsck.h: a store as lsmfs makes it has no finding, and each invariant that is
 * broken is told.  The records that break them are put through the engine's interface.
 */
#include <errno.h>

#include "check/fsck.h"
#include "common/coding.h"
#include "records_fixture.h"
#include "store/bykey.h"
#include "store/chunks.h"
#include "store/implied.h"

#define FOUND_MAX 32

static struct {
    unsigned count;
    uint64_t damage;
    char lines[FOUND_MAX][256];
} found;

/* ---- running the check ---- */

static void
take_finding(void *context, const struct fsck_finding *finding)
{
    (void)context;
    if (found.count < FOUND_MAX)
        snprintf(found.lines[found.count++], sizeof found.lines[0], "%s: %s",
                 finding->where, finding->text);
}

static void
run_check(const struct lsmkv_snapshot *snapshot)
{
    struct fsck_report report = {.finding = take_finding};

    memset(&found, 0, sizeof found);
    ck_assert_int_eq(fsck_run(fixture.store, snapshot, &report, &found.damage), 0);
}

static bool
was_found(const char *line)
{
    for (unsigned i = 0; i < found.count; i++)
        if (strstr(found.lines[i], line))
            return true;
    for (unsigned i = 0; i < found.count; i++)
        printf("# %s\n", found.lines[i]);
    return false;
}

static void
expect_clean(void)
{
    run_check(NULL);
    ck_assert_msg(found.count == 0, "%s", found.lines[0]);
    ck_assert_uint_eq(found.damage, 0);
}

/* That finding, and no other. */
static void
expect_damage(const char *line)
{
    run_check(NULL);
    ck_assert_msg(was_found(line), "not found: %s", line);
    ck_assert_uint_eq(found.count, 1);
    ck_assert_uint_eq(found.damage, 1);
}

static void
expect_note(const char *line)
{
    run_check(NULL);
    ck_assert_msg(was_found(line), "not found: %s", line);
    ck_assert_uint_eq(found.damage, 0);
}

static void
setup(void)
{
    struct attr root;

    fixture_init(&fixture);
    root = new_attr(S_IFDIR | 0755);
    root.ino = ATTR_INO_ROOT;
    root.subdirs = 0;
    put_attr(fixture.store->files, lsmkv_bytes("", 0), &root, "");
}

static void
teardown(void)
{
    fixture_fini(&fixture);
}

/* ---- progress ---- */

static bool
count_call(void *context, uint64_t records)
{
    unsigned *left = context;

    (void)records;
    return --*left > 0;
}

/* A large file is few records: by their number alone its check told nothing for half a
 * gigabyte, and could not be ended. */
START_TEST(test_a_check_of_few_large_records_can_be_ended)
{
    unsigned left = 2;
    struct fsck_report report = {
        .finding = take_finding, .progress = count_call, .context = &left};
    struct attr large = put_large("large");
    uint64_t damage;

    for (unsigned i = 3; i * (uint64_t)CHUNK_SIZE < 40u << 20; i++)
        put_chunk(large.data.id, i, CHUNK_SIZE);
    ck_assert_int_eq(fsck_run(fixture.store, NULL, &report, &damage), -ECANCELED);
    ck_assert_uint_eq(left, 0);
    left = 10;
    ck_assert_int_eq(fsck_run(fixture.store, NULL, &report, &damage), 0);
    ck_assert_uint_eq(left, 8);
}
END_TEST

/* ---- good stores ---- */

/* Everything that the other tests break. */
START_TEST(test_a_good_store_has_no_finding)
{
    struct attr root = new_attr(S_IFDIR | 0755), inode, large, named, taken;
    struct record_key key;

    root.ino = ATTR_INO_ROOT;
    root.subdirs = 3;
    put_attr(fixture.store->files, lsmkv_bytes("", 0), &root, "");
    put_directory("d", 1);
    put_directory("d/e", 0);
    put_directory("d-", 0);
    put_file("d/file", "contents");
    inode = put_inode(2);
    put_reference("d/one", inode.ino);
    put_reference("two", inode.ino);
    large = put_large("large");
    put_fragment(large.data.id, 1, 1, 5, 10, 10);
    put_fragment(large.data.id, 1, 2, 0, 30, 20);
    put_mark(record_trim(large.data.id, 3));
    put_chunk(large.data.id, 3, 77);
    put_chunk(large.data.id, 9, CHUNK_SIZE);
    put_mark(record_orphan(new_data_id()));
    named = new_attr(S_IFREG | 0600);
    named.xattr_records = true;
    put_attr(fixture.store->files, lsmkv_str("named"), &named, "");
    key = record_xattr(named.ino, lsmkv_str("user.long"));
    put_bytes(fixture.store->inodes, record_slice(&key), nothing, lsmkv_str("value"));
    taken = new_attr(S_IFDIR | 0755);
    taken.ino = implied_number(fixture.store, lsmkv_str("taken"), 0);
    taken.subdirs = 0;
    put_attr(fixture.store->files, lsmkv_str("taken"), &taken, "");
    put_mark(record_taken(taken.ino));
    expect_clean();
    fixture_reopen(&fixture);
    expect_clean();
    fixture.options.read_only = true;
    fixture_reopen(&fixture);
    expect_clean();
}
END_TEST

/* What others put through the engine's interface is no damage. */
START_TEST(test_values_of_others_are_clean)
{
    put_bytes(fixture.store->files, lsmkv_str("x"), nothing, lsmkv_str("plain"));
    put_bytes(fixture.store->files, lsmkv_str("//odd/../"), nothing, lsmkv_str("1"));
    put_bytes(fixture.store->files, lsmkv_bytes("nul\0/a", 6), lsmkv_str("theirs"),
              lsmkv_str("2"));
    expect_clean();
}
END_TEST

struct text {
    const char *at;
    size_t left;
};

static ssize_t
read_text(void *context, void *bytes, size_t size)
{
    struct text *text = context;
    size_t now = size < text->left ? size : text->left;

    memset(bytes, 'x', now);
    text->left -= now;
    return (ssize_t)now;
}

START_TEST(test_what_the_commands_make_is_clean)
{
    struct bykey_owner owner = {0, 0, 0644, true};

    for (unsigned round = 0; round < 3; round++) {
        struct text text = {"", round == 1 ? LARGE : 100};
        struct bykey_source source = {read_text, &text};

        ck_assert_int_eq(bykey_put(fixture.store, lsmkv_str("a/b/c"), &source, &owner),
                         0);
        text.left = LARGE;
        ck_assert_int_eq(bykey_put(fixture.store, lsmkv_str("a/d"), &source, &owner), 0);
        expect_clean();
    }
    ck_assert_int_eq(bykey_remove(fixture.store, lsmkv_str("a/d")), 0);
    expect_clean();
    ck_assert_int_eq(bykey_remove(fixture.store, lsmkv_str("a/b/c")), 0);
    expect_clean();
    fixture_sweep(&fixture);
    expect_clean();
}
END_TEST

START_TEST(test_a_store_that_was_never_mounted_is_clean)
{
    struct store_fixture *f = &fixture;
    struct lsmkv *db;

    fixture_close(f);
    mem_env_free(f->env);
    f->env = mem_env_new();
    f->engine.env = mem_env_base(f->env);
    f->engine.create = true;
    ck_assert_int_eq(lsmkv_open(f->options.path, &f->engine, &db), 0);
    ck_assert_int_eq(lsmkv_put(db, NULL, lsmkv_str("a/b"), nothing, lsmkv_str("1"), 0),
                     0);
    ck_assert_int_eq(lsmkv_close(db), 0);
    f->options.read_only = true;
    fixture_open(f);
    expect_clean();
}
END_TEST

/* The newest state is good, what the snapshot sees was not. */
START_TEST(test_a_snapshot_is_checked_as_it_was)
{
    struct lsmkv_snapshot *snapshot;

    put_reference("name", 64);
    ck_assert_int_eq(lsmkv_snapshot_take(fixture.store->db, &snapshot), 0);
    ck_assert_int_eq(
        lsmkv_delete(fixture.store->db, NULL, lsmkv_str("name"), LSMKV_UNSYNCED), 0);
    expect_clean();
    run_check(snapshot);
    ck_assert(was_found("name: a name of inode 64, which is not there"));
    lsmkv_snapshot_release(fixture.store->db, snapshot);
}
END_TEST

/* ---- names ---- */

START_TEST(test_attributes_that_do_not_decode)
{
    put_bytes(fixture.store->files, lsmkv_str("a\nb"), lsmkv_str("\xf5\x01"), nothing);
    expect_damage("a\\x0ab: its attributes are damaged");
}
END_TEST

START_TEST(test_a_name_without_its_inode)
{
    put_reference("name", 64);
    expect_damage("name: a name of inode 64, which is not there");
}
END_TEST

START_TEST(test_a_wrong_number_of_names)
{
    struct attr inode = put_inode(3);

    put_reference("one", inode.ino);
    put_reference("two", inode.ino);
    expect_damage("it says that it has 3 names, but has 2");
}
END_TEST

START_TEST(test_an_inode_without_a_name)
{
    put_inode(2);
    expect_damage("it has no name");
}
END_TEST

START_TEST(test_a_number_that_two_have)
{
    struct attr attr = put_file("a", "");

    put_attr(fixture.store->files, lsmkv_str("b"), &attr, "");
    expect_damage("two files or directories have it");
}
END_TEST

START_TEST(test_a_number_that_was_never_given_out)
{
    uint64_t inodes, data_ids;
    struct attr attr = new_attr(S_IFREG | 0644);

    store_reserved(fixture.store, &inodes, &data_ids);
    attr.ino = inodes;
    put_attr(fixture.store->files, lsmkv_str("a"), &attr, "");
    expect_damage("a: its inode number was never given out");
    attr.ino = 0;
    put_attr(fixture.store->files, lsmkv_str("a"), &attr, "");
    expect_damage("a: its inode number is 0");
    attr = new_attr(S_IFDIR | 0755);
    attr.ino = inodes;
    put_attr(fixture.store->files, lsmkv_str("a"), &attr, "");
    run_check(NULL);
    ck_assert(was_found("a: its inode number was never given out"));
}
END_TEST

START_TEST(test_a_record_of_another_inode)
{
    struct attr attr = put_inode(1);
    struct record_key key = record_inode(attr.ino);

    put_reference("a", attr.ino);
    attr.ino = new_attr(S_IFREG).ino;
    put_attr(fixture.store->inodes, record_slice(&key), &attr, "");
    expect_damage("its record is that of inode");
}
END_TEST

START_TEST(test_shared_contents_that_were_never_given_out)
{
    struct attr attr = put_inode(1);
    struct record_key key = record_inode(attr.ino);
    uint64_t inodes, data_ids;

    store_reserved(fixture.store, &inodes, &data_ids);
    put_reference("a", attr.ino);
    attr.data = (struct attr_data){ATTR_CHUNKS, LARGE, data_ids, 0};
    put_attr(fixture.store->inodes, record_slice(&key), &attr, "");
    expect_damage(": its data id was never given out");
}
END_TEST

START_TEST(test_inode_records_that_are_no_files)
{
    struct attr attr = put_inode(1);
    struct record_key key = record_inode(attr.ino);

    put_reference("a", attr.ino);
    attr.mode = S_IFDIR | 0755;
    put_attr(fixture.store->inodes, record_slice(&key), &attr, "");
    expect_damage("its record is no file's");
    put_bytes(fixture.store->inodes, record_slice(&key), lsmkv_str("theirs"), nothing);
    expect_damage("its attributes are damaged");
}
END_TEST

START_TEST(test_links_with_targets_of_no_length)
{
    struct attr attr = new_attr(S_IFLNK | 0777);

    put_attr(fixture.store->files, lsmkv_str("a"), &attr, "");
    expect_damage("a symbolic link whose target has no valid length");
}
END_TEST

START_TEST(test_a_root_that_is_no_directory)
{
    put_file("", "contents");
    expect_damage("(root): the root is no directory");
}
END_TEST

/* ---- directories ---- */

START_TEST(test_a_wrong_number_of_subdirectories)
{
    put_directory("d", 0);
    put_directory("d/e", 0);
    run_check(NULL);
    ck_assert(was_found("d: it says that it has 0 subdirectories, but has 1"));
    ck_assert(was_found("(root): it says that it has 0 subdirectories, but has 1"));
    ck_assert_uint_eq(found.damage, 2);
    /* With a trace of others it may be they who made it. */
    put_bytes(fixture.store->files, lsmkv_str("plain"), nothing, nothing);
    expect_note("d: it says that it has 0 subdirectories, but has 1");
}
END_TEST

START_TEST(test_a_file_with_keys_below_it)
{
    put_file("a", "1");
    put_file("a/b", "2");
    expect_note("a: a file that has keys below it");
}
END_TEST

START_TEST(test_directories_with_what_only_files_have)
{
    struct attr attr = new_attr(S_IFDIR | 0755);

    put_attr(fixture.store->files, lsmkv_str("x"), &attr, "value");
    run_check(NULL);
    ck_assert(was_found("x: a directory with a value that it does not know of"));
    attr.data = (struct attr_data){ATTR_CHUNKS, LARGE, new_data_id(), 0};
    put_attr(fixture.store->files, lsmkv_str("x"), &attr, "");
    run_check(NULL);
    ck_assert(was_found("x: a directory with the contents of a file"));
}
END_TEST

START_TEST(test_a_kept_value_whose_attributes_are_damaged)
{
    struct attr attr = new_attr(S_IFDIR | 0755);

    attr.has_value = true;
    attr.value_attributes = lsmkv_str("\xf5\x01");
    put_attr(fixture.store->files, lsmkv_str("x"), &attr, "value");
    run_check(NULL);
    ck_assert(was_found("x: the attributes of the value that its directory keeps"));
    ck_assert_uint_eq(found.damage, 1);
}
END_TEST

/* ---- contents ---- */

START_TEST(test_chunks_without_an_owner)
{
    put_chunk(new_data_id(), 0, 10);
    expect_damage("it has chunks, but no file or orphan");
}
END_TEST

START_TEST(test_contents_of_two)
{
    struct attr attr = put_large("a"), other = put_file("b", "");

    put_mark(record_orphan(attr.data.id));
    expect_damage("two files or orphans have it");
    other.data = attr.data;
    put_attr(fixture.store->files, lsmkv_str("b"), &other, "");
    run_check(NULL);
    ck_assert_uint_eq(found.damage, 2);
}
END_TEST

START_TEST(test_which_two_have_the_contents)
{
    struct attr attr = put_large("a"), other = put_file("b", "");
    char line[96];

    other.data = attr.data;
    put_attr(fixture.store->files, lsmkv_str("b"), &other, "");
    run_check(NULL);
    ck_assert_uint_eq(found.count, 1);
    snprintf(line, sizeof line, "%llu and %llu", (unsigned long long)attr.ino,
             (unsigned long long)other.ino);
    if (!was_found(line)) {
        snprintf(line, sizeof line, "%llu and %llu", (unsigned long long)other.ino,
                 (unsigned long long)attr.ino);
        ck_assert(was_found(line));
    }
}
END_TEST

START_TEST(test_contents_that_were_never_given_out)
{
    uint64_t inodes, data_ids;
    struct attr attr = put_file("a", "");

    store_reserved(fixture.store, &inodes, &data_ids);
    attr.data = (struct attr_data){ATTR_CHUNKS, LARGE, data_ids, 0};
    put_attr(fixture.store->files, lsmkv_str("a"), &attr, "");
    expect_damage("a: its data id was never given out");
    put_file("a", "");
    put_mark(record_orphan(data_ids));
    expect_damage("it is to be swept, but was never given out");
}
END_TEST

START_TEST(test_contents_that_no_file_can_have)
{
    struct attr attr = put_large("a");

    attr.mode = S_IFIFO | 0644;
    put_attr(fixture.store->files, lsmkv_str("a"), &attr, "");
    expect_damage("a: it has chunks, but is no regular file");
    attr.mode = S_IFREG | 0644;
    put_attr(fixture.store->files, lsmkv_str("a"), &attr, "value");
    expect_damage("a: it has a value beside its chunks");
    attr.data.size = DATA_SIZE_MAX + 1;
    put_attr(fixture.store->files, lsmkv_str("a"), &attr, "");
    expect_damage("a: its size is above the largest");
}
END_TEST

START_TEST(test_a_chunk_past_the_end)
{
    struct attr attr = put_large("a");

    put_chunk(attr.data.id, 2, LARGE - 2 * CHUNK_SIZE + 1);
    expect_damage("chunk 2 reaches past the end of its file");
    put_chunk(attr.data.id, 2, LARGE - 2 * CHUNK_SIZE);
    put_chunk(attr.data.id, 3, 1);
    expect_damage("chunk 3 reaches past the end of its file");
    put_mark(record_trim(attr.data.id, 3));
    expect_clean();
}
END_TEST

START_TEST(test_a_trim_of_what_a_file_has)
{
    struct attr attr = put_large("a");

    put_mark(record_trim(attr.data.id, 2));
    expect_damage("its chunks from 2 on are to be cut off, but its file");
}
END_TEST

START_TEST(test_more_chunks_than_a_file_says)
{
    struct attr attr = put_large("a");

    attr.data.chunks = 2;
    put_attr(fixture.store->files, lsmkv_str("a"), &attr, "");
    expect_damage("says that it has 2 chunks at most, but there are 3");
}
END_TEST

START_TEST(test_fragments_with_gaps_and_wrong_sums)
{
    struct attr attr = put_large("a");

    put_fragment(attr.data.id, 0, 2, 0, 10, 10);
    expect_damage("chunk 0: fragment 2 comes where 1 is expected");
    put_fragment(attr.data.id, 0, 1, 0, 10, 10);
    expect_damage("chunk 0: fragment 2 counts 10 bytes so far, not 20");
}
END_TEST

/* The sweep deletes so many keys a batch, and may end within a chunk: what was left of it was
 * taken for damage. */
START_TEST(test_fragments_of_what_is_to_be_swept)
{
    uint64_t id = new_data_id();
    struct attr attr = put_large("a");

    put_fragment(id, 0, 14, 0, 140, 10);
    put_mark(record_orphan(id));
    put_fragment(attr.data.id, 3, 14, 0, 140, 10);
    put_mark(record_trim(attr.data.id, 3));
    expect_clean();
}
END_TEST

START_TEST(test_a_chunk_that_is_lost)
{
    struct attr attr = put_large("a");
    struct chunk_key key = chunk_key(attr.data.id, 1, 0);
    uint8_t bytes[16];
    size_t got;

    put_bytes(fixture.store->chunks, chunk_slice(&key), lsmkv_str("lost"), nothing);
    expect_damage("chunk 1 is lost: bytes 131072 to 262144 of its file");
    ck_assert_int_eq(
        data_read(fixture.store, NULL, &attr.data, nothing, 0, bytes, sizeof bytes, &got),
        0);
    ck_assert_int_eq(data_read(fixture.store, NULL, &attr.data, nothing, CHUNK_SIZE + 7,
                               bytes, sizeof bytes, &got),
                     -EUCLEAN);
}
END_TEST

START_TEST(test_malformed_chunks)
{
    struct attr attr = put_large("a");

    put_fragment(attr.data.id, 0, 1, CHUNK_SIZE, 10, 10);
    expect_damage("chunk 0, fragment 1 is malformed");
    put_bytes(fixture.store->chunks, lsmkv_str("short"), nothing, nothing);
    run_check(NULL);
    ck_assert(was_found("the key of a chunk is malformed"));
    ck_assert_uint_eq(found.damage, 2);
}
END_TEST

/* ---- the other records ---- */

START_TEST(test_extended_attributes_of_nobody)
{
    struct attr attr = put_file("a", "");
    struct record_key key = record_xattr(attr.ino, lsmkv_str("user.x"));

    put_bytes(fixture.store->inodes, record_slice(&key), nothing, lsmkv_str("v"));
    expect_damage("an extended attribute that its record does not know of");
    ck_assert_int_eq(
        lsmkv_delete(fixture.store->db, NULL, lsmkv_str("a"), LSMKV_UNSYNCED), 0);
    expect_damage("an extended attribute of it, but no file has it");
}
END_TEST

START_TEST(test_an_extended_attribute_without_a_name)
{
    struct attr attr = new_attr(S_IFREG | 0600);
    struct record_key key = record_xattr(attr.ino, nothing);

    attr.xattr_records = true;
    put_attr(fixture.store->files, lsmkv_str("a"), &attr, "");
    put_mark(key);
    expect_damage("an extended attribute whose name has 0 bytes");
}
END_TEST

START_TEST(test_notes_of_implied_numbers)
{
    struct attr attr = new_attr(S_IFDIR | 0755);

    attr.ino = implied_number(fixture.store, lsmkv_str("x"), 0);
    put_mark(record_taken(attr.ino));
    expect_damage("it is noted as in use, but no directory has it");
    put_attr(fixture.store->files, lsmkv_str("x/y"), &attr, "");
    run_check(NULL);
    ck_assert_uint_eq(found.damage, 0);
    attr.ino = implied_number(fixture.store, lsmkv_str("x"), 1);
    put_attr(fixture.store->files, lsmkv_str("x/z"), &attr, "");
    run_check(NULL);
    ck_assert(was_found("a directory has it, but it is not noted as in use"));
    ck_assert_uint_eq(found.damage, 1);
}
END_TEST

START_TEST(test_records_of_an_unknown_kind)
{
    put_bytes(fixture.store->inodes, lsmkv_str("z"), nothing, nothing);
    expect_damage("a record of 1 bytes of an unknown kind, 0x7a");
    ck_assert_int_eq(lsmkv_delete(fixture.store->db, fixture.store->inodes,
                                  lsmkv_str("z"), LSMKV_UNSYNCED),
                     0);
    put_bytes(fixture.store->inodes, lsmkv_str("o"), nothing, nothing);
    expect_damage("a record of what to sweep is malformed");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("check");
    TCase *tests = tcase_create("check");

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_a_check_of_few_large_records_can_be_ended);
    tcase_add_test(tests, test_a_good_store_has_no_finding);
    tcase_add_test(tests, test_values_of_others_are_clean);
    tcase_add_test(tests, test_what_the_commands_make_is_clean);
    tcase_add_test(tests, test_a_store_that_was_never_mounted_is_clean);
    tcase_add_test(tests, test_a_snapshot_is_checked_as_it_was);
    tcase_add_test(tests, test_attributes_that_do_not_decode);
    tcase_add_test(tests, test_a_name_without_its_inode);
    tcase_add_test(tests, test_a_wrong_number_of_names);
    tcase_add_test(tests, test_an_inode_without_a_name);
    tcase_add_test(tests, test_a_number_that_two_have);
    tcase_add_test(tests, test_a_number_that_was_never_given_out);
    tcase_add_test(tests, test_a_record_of_another_inode);
    tcase_add_test(tests, test_shared_contents_that_were_never_given_out);
    tcase_add_test(tests, test_inode_records_that_are_no_files);
    tcase_add_test(tests, test_links_with_targets_of_no_length);
    tcase_add_test(tests, test_a_root_that_is_no_directory);
    tcase_add_test(tests, test_a_wrong_number_of_subdirectories);
    tcase_add_test(tests, test_a_file_with_keys_below_it);
    tcase_add_test(tests, test_directories_with_what_only_files_have);
    tcase_add_test(tests, test_a_kept_value_whose_attributes_are_damaged);
    tcase_add_test(tests, test_chunks_without_an_owner);
    tcase_add_test(tests, test_contents_of_two);
    tcase_add_test(tests, test_which_two_have_the_contents);
    tcase_add_test(tests, test_contents_that_were_never_given_out);
    tcase_add_test(tests, test_contents_that_no_file_can_have);
    tcase_add_test(tests, test_a_chunk_past_the_end);
    tcase_add_test(tests, test_a_trim_of_what_a_file_has);
    tcase_add_test(tests, test_more_chunks_than_a_file_says);
    tcase_add_test(tests, test_fragments_with_gaps_and_wrong_sums);
    tcase_add_test(tests, test_fragments_of_what_is_to_be_swept);
    tcase_add_test(tests, test_a_chunk_that_is_lost);
    tcase_add_test(tests, test_malformed_chunks);
    tcase_add_test(tests, test_extended_attributes_of_nobody);
    tcase_add_test(tests, test_an_extended_attribute_without_a_name);
    tcase_add_test(tests, test_notes_of_implied_numbers);
    tcase_add_test(tests, test_records_of_an_unknown_kind);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
