/*
 * test_diff_faults.c - diff.h where something is wrong: records, the disk, who listens.
 */
#include "diff_told.h"
#include "store/diff.h"
#include "store/keylist.h"
#include "store/records.h"
#include "support/fault_env.h"

/* They begin as ours do. */
static void
put_damaged(struct lsmkv_keyspace *keyspace, struct lsmkv_slice key)
{
    ck_assert_int_eq(lsmkv_put(db(), keyspace, key, lsmkv_str("\xf5\x01"), lsmkv_str(""),
                               LSMKV_UNSYNCED),
                     0);
}

/* A record that could not be decoded ended the comparison, and nothing said which it was. */
START_TEST(test_what_is_damaged_is_told_and_the_rest_as_well)
{
    struct record_key inode;
    struct stat st;

    ck_assert_int_eq(fs_put(&fs, "a", "1"), 0);
    ck_assert_int_eq(fs_put(&fs, "b", "1"), 0);
    ck_assert_int_eq(fs_put(&fs, "l", "1"), 0);
    ck_assert_int_eq(fs_link(&fs, "l", "m"), 0);
    ck_assert_int_eq(fs_stat(&fs, "l", &st), 0);
    snapshot("s");
    inode = record_inode(st.st_ino);
    put_damaged(NULL, lsmkv_str("b"));
    put_damaged(NULL, lsmkv_str("new/b"));
    put_damaged(NULL, lsmkv_str("odd//b"));
    put_damaged(vfs_store(fs.vfs)->inodes, record_slice(&inode));
    fs_raw_put(&fs, "z", 1, "2");
    expect("s", "", "! b;! l;! m;+ new;! new/b;+ odd;! .lsmfs/keys/odd%2F%2Fb;+ z;");
}
END_TEST

/* Where it is asked whether to go on, the numbered time it is not. */
struct patience {
    unsigned left;
};

static bool
has_patience(void *context)
{
    struct patience *patience = context;

    return patience->left > 0 && patience->left-- > 0;
}

static int
tell_with(const char *names, unsigned patience)
{
    struct patience left = {patience};
    struct snapshots_output output = {fopen("/dev/null", "w"), has_patience, &left};
    int result;

    ck_assert_ptr_nonnull(output.out);
    result = snapshots_diff(fs.vfs, lsmkv_str(names), &output);
    ck_assert_int_eq(fclose(output.out), 0);
    return result;
}

static void
put_many(const char *prefix, int count)
{
    char path[32];

    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof(path), "%s%d", prefix, i);
        ck_assert_int_eq(fs_put(&fs, path, "1"), 0);
    }
}

static void
write_chunks(struct node *node, const char *chunk, size_t size)
{
    for (uint64_t i = 0; i < 72; i++)
        ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, node, i * size, chunk, size, 0),
                         0);
}

/* Nobody could end it: `lsmfs umount` waited for a comparison that took minutes.  So it asks in
 * each of its loops: over what is told, over what was written later and is not, over all names, over
 * chunks. */
START_TEST(test_it_can_be_ended_wherever_it_takes_long)
{
    static const char chunk[131072] = "";
    struct node *node;
    struct stat st;

    ck_assert_int_eq(fs_put(&fs, "l", "1"), 0);
    ck_assert_int_eq(fs_link(&fs, "l", "m"), 0);
    ck_assert_int_eq(fs_write(&fs, "large", "", 0, &node), 0);
    write_chunks(node, chunk, sizeof(chunk));
    vfs_forget(fs.vfs, node, 1);
    put_many("old", 500);
    snapshot("a");
    ck_assert_int_eq(fs_put(&fs, "few", "1"), 0);
    snapshot("b");
    put_many("new", 5000);
    snapshot("c");
    /* What came after `b` is walked over, and one file told. */
    ck_assert_int_eq(tell_with("a/b", 0), -ECANCELED);
    ck_assert_int_eq(tell_with("a/b", 1000), 0);
    ck_assert_int_eq(tell_with("b/c", 10), -ECANCELED);
    ck_assert_int_eq(tell_with("b/c", 1000), 0);
    /* One inode changed, and 5,500 names are read: more than are asked for by what is told. */
    ck_assert_int_eq(fs_put(&fs, "l", "2"), 0);
    snapshot("d");
    ck_assert_int_eq(tell_with("c/d", 50), -ECANCELED);
    ck_assert_int_eq(tell_with("c/d", 1000), 0);
    /* One file, 72 chunks; its size and time are as they were. */
    ck_assert_int_eq(fs_node(&fs, "large", &node), 0);
    ck_assert_int_eq(vfs_getattr(fs.vfs, node, &st, NULL), 0);
    write_chunks(node, chunk, sizeof(chunk));
    ck_assert_int_eq(vfs_setattr(fs.vfs, &fs.caller, node, &st, VFS_MTIME, &st), 0);
    vfs_forget(fs.vfs, node, 1);
    snapshot("e");
    ck_assert_int_eq(tell_with("d/e", 0), -ECANCELED);
    ck_assert_int_eq(tell_with("d/e", 1000), 0);
}
END_TEST

/* So did a list of many keys. */
START_TEST(test_a_list_of_keys_can_be_ended)
{
    struct patience left = {1};
    struct keylist_options options = {
        .end = '\n', .go_on = has_patience, .context = &left};
    FILE *out = fopen("/dev/null", "w");

    ck_assert_ptr_nonnull(out);
    put_many("f", 500);
    for (int recursive = 0; recursive < 2; recursive++) {
        options.recursive = recursive;
        left.left = 1;
        ck_assert_int_eq(keylist_print(vfs_store(fs.vfs), lsmkv_str(""), &options, out),
                         -ECANCELED);
        left.left = 500;
        ck_assert_int_eq(keylist_print(vfs_store(fs.vfs), lsmkv_str(""), &options, out),
                         0);
    }
    ck_assert_int_eq(fclose(out), 0);
}
END_TEST

static bool
drop_both(void *context)
{
    bool *dropped = context;

    if (!*dropped) {
        ck_assert_int_eq(fs_rmdir(&fs, ".snapshots/s"), 0);
        ck_assert_int_eq(fs_rmdir(&fs, ".snapshots/t"), 0);
        merge();
    }
    *dropped = true;
    return true;
}

/* They are held until it is done, and merges keep what they see. */
START_TEST(test_snapshots_that_are_dropped_meanwhile_are_told_as_they_were)
{
    bool dropped = false;
    char *text;
    size_t size, lines = 0;
    struct snapshots_output output = {open_memstream(&text, &size), drop_both, &dropped};

    ck_assert_ptr_nonnull(output.out);
    put_many("gone", 300);
    snapshot("s");
    put_many("gone", 300);
    snapshot("t");
    for (int i = 0; i < 300; i++) {
        char path[32];

        snprintf(path, sizeof(path), "gone%d", i);
        ck_assert_int_eq(fs_unlink(&fs, path), 0);
    }
    ck_assert_int_eq(snapshots_diff(fs.vfs, lsmkv_str("s/t"), &output), 0);
    ck_assert(dropped);
    ck_assert_int_eq(fclose(output.out), 0);
    for (size_t at = 0; at < size; at += strlen(text + at) + 1)
        lines += text[at] == DIFF_MODIFIED;
    ck_assert_uint_eq(lines, 300);
    free(text);
}
END_TEST

/* The times of directories that could not be put made it fail, and it reads only. */
START_TEST(test_now_is_told_of_a_full_store_and_after_a_failed_sync)
{
    static const struct {
        enum env_call call;
        int error;
    } failing[] = {{ENV_CALL_FILE_WRITE, ENOSPC}, {ENV_CALL_FILE_SYNC, EIO}};
    struct fault_env *faults = fault_env_new(mem_env_base(fs.env));
    char why[512];

    fs_close(&fs);
    fs.options.store.commit_ms = 3600000;
    fs.engine.env = fault_env_base(faults);
    ck_assert_int_eq(vfs_open(&fs.options, &fs.vfs, why, sizeof(why)), 0);
    ck_assert_int_eq(fs_put(&fs, "f", "1"), 0);
    snapshot("s");
    ck_assert_int_eq(fs_put(&fs, "f", "2"), 0);
    ck_assert_int_eq(fs_put(&fs, "g", "2"), 0);
    fault_env_set(faults, (struct fault){.call = failing[_i].call,
                                         .nth = 1,
                                         .onwards = true,
                                         .error = failing[_i].error});
    ck_assert_int_eq(vfs_sync(fs.vfs), -failing[_i].error);
    /* With the second the root's times were put, and are only not durable. */
    expect("s", "", _i == 0 ? "M f;+ g;" : "M ;M f;+ g;");
    fault_env_heal(faults);
    ck_assert_int_eq(vfs_close(fs.vfs), _i == 0 ? 0 : -EIO);
    fs.vfs = NULL;
    fault_env_free(faults);
}
END_TEST

/* Into `text`, "M path" and the like, a line each; how it ended. */
static int
tell_all(char *text, size_t size)
{
    char *told, *at;
    size_t length, used = 0;
    struct snapshots_output output = {.out = open_memstream(&told, &length)};
    int result;

    ck_assert_ptr_nonnull(output.out);
    result = snapshots_diff(fs.vfs, lsmkv_str("s/t"), &output);
    ck_assert_int_eq(fclose(output.out), 0);
    text[0] = '\0';
    for (at = told; at < told + length; at += strlen(at) + 1) {
        /* A letter for the kind of difference, one for the type, the path. */
        used += (size_t)snprintf(text + used, size - used, "%c %s\n", at[0], at + 2);
        ck_assert_uint_lt(used, size);
    }
    free(told);
    return result;
}

/* Is every path of `all` in `some`, as what it is there or as what could not be read? */
static void
expect_each(const char *all, const char *some)
{
    char line[128];

    for (const char *end; *all != '\0'; all = end + 1) {
        end = strchr(all, '\n');
        snprintf(line, sizeof(line), "%.*s\n", (int)(end - all), all);
        if (strstr(some, line) != NULL)
            continue;
        line[0] = '!';
        ck_assert_msg(strstr(some, line) != NULL, "%s is missing in\n%s", line + 2, some);
    }
}

static void
change_all_kinds(const char *text, const char *large, size_t size)
{
    char path[32];

    ck_assert_int_eq(fs_write(&fs, "large", large, size, NULL), 0);
    ck_assert_int_eq(fs_put(&fs, "l", text), 0);
    for (int i = 0; i < 40; i++) {
        snprintf(path, sizeof(path), "d/f%d", i);
        ck_assert_int_eq(fs_put(&fs, path, text), 0);
    }
}

static int
open_with(struct fault_env *faults)
{
    char why[512];

    fs.engine.env = fault_env_base(faults);
    return vfs_open(&fs.options, &fs.vfs, why, sizeof(why));
}

START_TEST(test_whichever_read_fails_no_difference_is_left_out)
{
    static char large[300000], all[4096], some[4096];
    struct fault fault = {
        .call = ENV_CALL_FILE_READ, .error = EIO, .onwards = _i == 1, .nth = 1};
    struct fault_env *faults = fault_env_new(mem_env_base(fs.env));
    uint64_t failures = 0;
    unsigned whole = 0, runs = 0;

    ck_assert_int_eq(fs_mkdir(&fs, "d"), 0);
    change_all_kinds("then", large, sizeof(large));
    ck_assert_int_eq(fs_link(&fs, "l", "m"), 0);
    ck_assert_int_eq(fs_put(&fs, "gone", "then"), 0);
    merge();
    snapshot("s");
    memset(large + 200000, 'n', 10);
    change_all_kinds("now!", large, sizeof(large));
    ck_assert_int_eq(fs_unlink(&fs, "gone"), 0);
    merge();
    snapshot("t");
    ck_assert_int_eq(tell_all(all, sizeof(all)), 0);
    ck_assert_ptr_nonnull(strstr(all, "M large\n"));
    ck_assert_ptr_nonnull(strstr(all, "M m\n"));
    fs_close(&fs);
    for (;; fault.nth++, runs++) {
        int result;

        ck_assert_int_eq(open_with(faults), 0); /* nothing is in the cache */
        failures = fault_env_failures(faults);
        fault_env_set(faults, fault);
        result = tell_all(some, sizeof(some));
        fault_env_heal(faults);
        failures = fault_env_failures(faults) - failures;
        ck_assert_int_eq(vfs_close(fs.vfs), 0);
        if (failures == 0)
            break;
        ck_assert(result == 0 || result == -EIO);
        if (result == 0)
            expect_each(all, some);
        whole += result == 0;
    }
    fs.vfs = NULL;
    fault_env_free(faults);
    ck_assert_uint_gt(runs, 5);
    printf("diff: %u reads failed, %u told for all that\n", runs, whole);
}
END_TEST

/* A stream that takes nothing: its error is told, where it was always -EIO. */
START_TEST(test_what_the_output_met_is_told)
{
    struct snapshots_output output = {.out = fopen("/dev/full", "w")};

    snapshot("s");
    put_many("f", 2000);
    ck_assert_ptr_nonnull(output.out);
    ck_assert_int_eq(snapshots_diff(fs.vfs, lsmkv_str("s/"), &output), -ENOSPC);
    fclose(output.out);
    output.out = fopen("/dev/null", "w");
    ck_assert_int_eq(snapshots_diff(fs.vfs, lsmkv_str("s/none"), &output), -ENOENT);
    ck_assert_int_eq(snapshots_diff(fs.vfs, lsmkv_str("none/"), &output), -ENOENT);
    ck_assert_int_eq(snapshots_diff(fs.vfs, lsmkv_str("s"), &output), -EPROTO);
    ck_assert_int_eq(snapshots_diff(fs.vfs, lsmkv_bytes("s/\0s", 4), &output), -EINVAL);
    fclose(output.out);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("diff_faults");
    TCase *tcase = tcase_create("faults");

    tcase_set_timeout(tcase, 300);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_what_is_damaged_is_told_and_the_rest_as_well);
    tcase_add_test(tcase, test_it_can_be_ended_wherever_it_takes_long);
    tcase_add_test(tcase, test_a_list_of_keys_can_be_ended);
    tcase_add_test(tcase,
                   test_snapshots_that_are_dropped_meanwhile_are_told_as_they_were);
    tcase_add_loop_test(tcase, test_now_is_told_of_a_full_store_and_after_a_failed_sync,
                        0, 2);
    tcase_add_loop_test(tcase, test_whichever_read_fails_no_difference_is_left_out, 0, 2);
    tcase_add_test(tcase, test_what_the_output_met_is_told);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
