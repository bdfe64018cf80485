/*
 * test_vfs_names.c - names that come, go and move: create, mkdir, link, unlink, rmdir, rename.
 */
#include "store/sweep.h"
#include "vfs_fixture.h"

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

START_TEST(test_file_survives_reopening)
{
    struct stat before, after;

    ck_assert_int_eq(fs_mkdir(&fs, "d"), 0);
    ck_assert_int_eq(fs_put(&fs, "d/f", "hello"), 0);
    ck_assert_int_eq(fs_stat(&fs, "d/f", &before), 0);
    fs_reopen(&fs);
    fs_expect(&fs, "d/f", "hello");
    ck_assert_int_eq(fs_stat(&fs, "d/f", &after), 0);
    ck_assert_uint_eq(before.st_ino, after.st_ino);
    ck_assert_int_eq(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    ck_assert_int_eq(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
}
END_TEST

START_TEST(test_existing_name_is_not_made_again)
{
    ck_assert_int_eq(fs_put(&fs, "f", "x"), 0);
    ck_assert_int_eq(fs_mkdir(&fs, "f"), -EEXIST);
    ck_assert_int_eq(fs_mkdir(&fs, "d"), 0);
    ck_assert_int_eq(fs_mkdir(&fs, "d"), -EEXIST);
    ck_assert_int_eq(fs_put(&fs, "d", "x"), -EISDIR);
    ck_assert_int_eq(fs_put(&fs, "f/g", "x"), -ENOTDIR);
    ck_assert_int_eq(fs_put(&fs, "no/g", "x"), -ENOENT);
}
END_TEST

START_TEST(test_removal_obeys_types)
{
    ck_assert_int_eq(fs_mkdir(&fs, "d"), 0);
    ck_assert_int_eq(fs_put(&fs, "d/f", "x"), 0);
    ck_assert_int_eq(fs_unlink(&fs, "d"), -EISDIR);
    ck_assert_int_eq(fs_rmdir(&fs, "d/f"), -ENOTDIR);
    ck_assert_int_eq(fs_rmdir(&fs, "d"), -ENOTEMPTY);
    ck_assert_int_eq(fs_unlink(&fs, "d/f"), 0);
    ck_assert_int_eq(fs_unlink(&fs, "d/f"), -ENOENT);
    ck_assert_int_eq(fs_rmdir(&fs, "d"), 0);
    ck_assert_int_eq(fs_rmdir(&fs, "d"), -ENOENT);
    fs_expect_names(&fs, "", "");
}
END_TEST

START_TEST(test_link_counts_follow_subdirectories)
{
    ck_assert_uint_eq(fs_nlink(&fs, ""), 2);
    ck_assert_int_eq(fs_mkdir(&fs, "a"), 0);
    ck_assert_int_eq(fs_mkdir(&fs, "a/b"), 0);
    ck_assert_int_eq(fs_mkdir(&fs, "c"), 0);
    ck_assert_int_eq(fs_put(&fs, "f", ""), 0);
    ck_assert_uint_eq(fs_nlink(&fs, ""), 4);
    ck_assert_uint_eq(fs_nlink(&fs, "a"), 3);
    ck_assert_int_eq(fs_rename(&fs, "a/b", "c/b", 0), 0);
    ck_assert_uint_eq(fs_nlink(&fs, "a"), 2);
    ck_assert_uint_eq(fs_nlink(&fs, "c"), 3);
    ck_assert_int_eq(fs_rename(&fs, "f", "c/b", RENAME_EXCHANGE), 0);
    ck_assert_uint_eq(fs_nlink(&fs, "c"), 2);
    ck_assert_uint_eq(fs_nlink(&fs, ""), 5);
    ck_assert_int_eq(fs_rmdir(&fs, "f"), 0);
    fs_reopen(&fs);
    ck_assert_uint_eq(fs_nlink(&fs, ""), 4);
}
END_TEST

START_TEST(test_rename_replaces)
{
    uint64_t ino;

    ck_assert_int_eq(fs_put(&fs, "a", "new"), 0);
    ck_assert_int_eq(fs_put(&fs, "b", "old"), 0);
    ino = fs_ino(&fs, "a");
    ck_assert_int_eq(fs_rename(&fs, "a", "b", RENAME_NOREPLACE), -EEXIST);
    ck_assert_int_eq(fs_rename(&fs, "a", "b", 8), -EINVAL);
    ck_assert_int_eq(fs_rename(&fs, "a", "b", 0), 0);
    fs_expect(&fs, "b", "new");
    ck_assert_uint_eq(fs_ino(&fs, "b"), ino);
    fs_expect_names(&fs, "", "b ");
    ck_assert_int_eq(fs_rename(&fs, "b", "b", 0), 0);
    ck_assert_int_eq(fs_rename(&fs, "none", "b", 0), -ENOENT);
    fs_expect(&fs, "b", "new");
}
END_TEST

START_TEST(test_rename_of_a_directory_takes_all_below)
{
    struct node *inside;
    struct stat st;
    size_t got;
    char bytes[8];

    ck_assert_int_eq(fs_mkdir(&fs, "d"), 0);
    ck_assert_int_eq(fs_mkdir(&fs, "d/sub"), 0);
    ck_assert_int_eq(fs_put(&fs, "d/sub/f", "deep"), 0);
    ck_assert_int_eq(fs_put(&fs, "d-b", "beside"), 0);
    ck_assert_int_eq(fs_put(&fs, "d.txt", "too"), 0);
    ck_assert_int_eq(fs_node(&fs, "d/sub/f", &inside), 0);
    ck_assert_int_eq(fs_rename(&fs, "d", "e", 0), 0);
    ck_assert_int_eq(fs_stat(&fs, "d", &st), -ENOENT);
    fs_expect(&fs, "e/sub/f", "deep");
    fs_expect_names(&fs, "", "d-b d.txt e/ ");
    /* Whoever held the file goes on with it at its new path. */
    ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, inside, 0, "DE", 2, 0), 0);
    ck_assert_int_eq(vfs_read(fs.vfs, inside, 0, bytes, sizeof(bytes), 0, &got), 0);
    ck_assert_uint_eq(got, 4);
    fs_expect(&fs, "e/sub/f", "DEep");
    vfs_forget(fs.vfs, inside, 1);
    ck_assert_int_eq(fs_rename(&fs, "e", "e/sub/x", 0), -EINVAL);
    ck_assert_int_eq(fs_rename(&fs, "e/sub", "e", 0), -ENOTEMPTY);
    fs_reopen(&fs);
    fs_expect(&fs, "e/sub/f", "DEep");
}
END_TEST

START_TEST(test_rename_of_directories_obeys_types)
{
    ck_assert_int_eq(fs_mkdir(&fs, "d"), 0);
    ck_assert_int_eq(fs_mkdir(&fs, "empty"), 0);
    ck_assert_int_eq(fs_mkdir(&fs, "full"), 0);
    ck_assert_int_eq(fs_put(&fs, "d/f", "1"), 0);
    ck_assert_int_eq(fs_put(&fs, "full/g", "2"), 0);
    ck_assert_int_eq(fs_put(&fs, "file", "3"), 0);
    ck_assert_int_eq(fs_rename(&fs, "d", "full", 0), -ENOTEMPTY);
    ck_assert_int_eq(fs_rename(&fs, "d", "file", 0), -ENOTDIR);
    ck_assert_int_eq(fs_rename(&fs, "file", "empty", 0), -EISDIR);
    ck_assert_int_eq(fs_rename(&fs, "d", "empty", 0), 0);
    fs_expect(&fs, "empty/f", "1");
    fs_expect_names(&fs, "", "empty/ file full/ ");
    ck_assert_uint_eq(fs_nlink(&fs, ""), 4);
}
END_TEST

START_TEST(test_exchange_swaps_trees)
{
    ck_assert_int_eq(fs_mkdir(&fs, "a"), 0);
    ck_assert_int_eq(fs_mkdir(&fs, "b"), 0);
    ck_assert_int_eq(fs_put(&fs, "a/1", "one"), 0);
    ck_assert_int_eq(fs_put(&fs, "b/2", "two"), 0);
    ck_assert_int_eq(fs_put(&fs, "f", "file"), 0);
    ck_assert_int_eq(fs_rename(&fs, "a", "b", RENAME_EXCHANGE), 0);
    fs_expect(&fs, "a/2", "two");
    fs_expect(&fs, "b/1", "one");
    ck_assert_int_eq(fs_rename(&fs, "f", "a", RENAME_EXCHANGE), 0);
    fs_expect(&fs, "a", "file");
    fs_expect(&fs, "f/2", "two");
    ck_assert_int_eq(fs_rename(&fs, "f", "f/2", RENAME_EXCHANGE), -EINVAL);
    ck_assert_int_eq(fs_rename(&fs, "f/2", "f", RENAME_EXCHANGE), -EINVAL);
    ck_assert_int_eq(fs_rename(&fs, "f", "none", RENAME_EXCHANGE), -ENOENT);
    fs_reopen(&fs);
    fs_expect_names(&fs, "f", "2 ");
    fs_expect_names(&fs, "b", "1 ");
}
END_TEST

START_TEST(test_hard_links_share_everything)
{
    char big[9000];

    memset(big, 'b', sizeof(big));
    ck_assert_int_eq(fs_mkdir(&fs, "d"), 0);
    ck_assert_int_eq(fs_put(&fs, "a", "text"), 0);
    ck_assert_int_eq(fs_link(&fs, "a", "d/b"), 0);
    ck_assert_int_eq(fs_link(&fs, "a", "d/b"), -EEXIST);
    ck_assert_int_eq(fs_link(&fs, "d", "e"), -EPERM);
    ck_assert_uint_eq(fs_ino(&fs, "a"), fs_ino(&fs, "d/b"));
    ck_assert_uint_eq(fs_nlink(&fs, "a"), 2);
    ck_assert_int_eq(fs_put(&fs, "d/b", "changed"), 0);
    fs_expect(&fs, "a", "changed");
    ck_assert_int_eq(fs_write(&fs, "a", big, sizeof(big), NULL), 0);
    fs_reopen(&fs);
    ck_assert_uint_eq(fs_nlink(&fs, "d/b"), 2);
    ck_assert_int_eq(fs_rename(&fs, "a", "d/b", 0), 0);
    fs_expect_names(&fs, "", "a d/ ");
    ck_assert_int_eq(fs_rename(&fs, "a", "c", 0), 0);
    ck_assert_int_eq(fs_unlink(&fs, "d/b"), 0);
    ck_assert_uint_eq(fs_nlink(&fs, "c"), 1);
    ck_assert_int_eq(fs_link(&fs, "c", "again"), 0);
    ck_assert_int_eq(fs_unlink(&fs, "c"), 0);
    ck_assert_int_eq(fs_unlink(&fs, "again"), 0);
    ck_assert_int_eq(fs_link(&fs, "again", "c"), -ENOENT);
}
END_TEST

START_TEST(test_unlinked_file_lives_on_in_its_node)
{
    char big[20000], bytes[20000];
    struct node *node;
    struct stat st;
    size_t got;

    memset(big, 'x', sizeof(big));
    ck_assert_int_eq(fs_write(&fs, "f", "small", 5, &node), 0);
    ck_assert_int_eq(fs_unlink(&fs, "f"), 0);
    ck_assert_int_eq(vfs_getattr(fs.vfs, node, &st, NULL), 0);
    ck_assert_uint_eq(st.st_nlink, 0);
    ck_assert_int_eq(fs_put(&fs, "f", "another"), 0);
    ck_assert_int_eq(vfs_read(fs.vfs, node, 0, bytes, sizeof(bytes), 0, &got), 0);
    ck_assert_uint_eq(got, 5);
    ck_assert_int_eq(memcmp(bytes, "small", 5), 0);
    /* It grows past the inline limit and back. */
    ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, node, 3, big, sizeof(big), 0), 0);
    ck_assert_int_eq(vfs_read(fs.vfs, node, 3, bytes, sizeof(bytes), 0, &got), 0);
    ck_assert_uint_eq(got, sizeof(big));
    ck_assert_int_eq(memcmp(bytes, big, sizeof(big)), 0);
    st.st_size = 2;
    ck_assert_int_eq(vfs_setattr(fs.vfs, &fs.caller, node, &st, VFS_SIZE, &st), 0);
    ck_assert_int_eq(vfs_read(fs.vfs, node, 0, bytes, sizeof(bytes), 0, &got), 0);
    ck_assert_uint_eq(got, 2);
    vfs_forget(fs.vfs, node, 1);
    fs_expect(&fs, "f", "another");
}
END_TEST

/* Sweeps, and says how many records of contents are left. */
static unsigned
chunks_left(void)
{
    struct lsmkv_iter_options options = {0};
    struct store *store = vfs_store(fs.vfs);
    struct lsmkv_iter *iter;
    unsigned count = 0;
    bool more = true;

    while (more)
        ck_assert_int_eq(sweep_step(store, &more), 0);
    ck_assert_int_eq(lsmkv_iter_new(store->db, store->chunks, &options, &iter), 0);
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter); lsmkv_iter_next(iter))
        count++;
    lsmkv_iter_free(iter);
    return count;
}

START_TEST(test_contents_go_when_the_last_node_does)
{
    static char big[300000];
    struct node *nodes[3];
    struct stat st = {.st_size = 2};

    ck_assert_int_eq(fs_write(&fs, "a", big, sizeof(big), &nodes[0]), 0);
    ck_assert_int_eq(fs_write(&fs, "b", "small", 5, &nodes[1]), 0);
    ck_assert_int_eq(fs_write(&fs, "c", big, sizeof(big), &nodes[2]), 0);
    ck_assert_int_eq(fs_unlink(&fs, "a"), 0);
    ck_assert_int_eq(fs_unlink(&fs, "b"), 0);
    ck_assert_int_eq(fs_unlink(&fs, "c"), 0);
    ck_assert_uint_gt(chunks_left(), 0);
    ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, nodes[1], 9, big, sizeof(big), 0), 0);
    ck_assert_int_eq(vfs_setattr(fs.vfs, &fs.caller, nodes[2], &st, VFS_SIZE, &st), 0);
    ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, nodes[2], 9, big, sizeof(big), 0), 0);
    for (unsigned i = 0; i < 3; i++) {
        char byte;
        size_t got;

        ck_assert_int_eq(vfs_read(fs.vfs, nodes[i], 200000, &byte, 1, 0, &got), 0);
        ck_assert_uint_eq(got, 1);
        vfs_forget(fs.vfs, nodes[i], 1);
    }
    ck_assert_uint_eq(chunks_left(), 0);
}
END_TEST

START_TEST(test_too_much_unlinked_goes_to_the_store)
{
    enum { FILES = 40, SIZE = 1 << 20 };
    static char big[SIZE], back[SIZE];
    struct node *nodes[FILES];

    /* Plain values are inline however large they are. */
    for (unsigned i = 0; i < FILES; i++) {
        char name[16];

        snprintf(name, sizeof(name), "f%u", i);
        memset(big, 'a' + (int)i % 26, sizeof(big));
        ck_assert_int_eq(lsmkv_put(vfs_store(fs.vfs)->db, NULL, lsmkv_str(name),
                                   lsmkv_bytes(NULL, 0), lsmkv_bytes(big, SIZE - i),
                                   LSMKV_UNSYNCED),
                         0);
        ck_assert_int_eq(fs_node(&fs, name, &nodes[i]), 0);
        ck_assert_int_eq(fs_unlink(&fs, name), 0);
    }
    ck_assert_uint_gt(chunks_left(), 0);
    for (unsigned i = 0; i < FILES; i++) {
        struct stat st;
        size_t got;

        memset(big, 'a' + (int)i % 26, sizeof(big));
        ck_assert_int_eq(vfs_getattr(fs.vfs, nodes[i], &st, NULL), 0);
        ck_assert_int_eq(st.st_size, (int)(SIZE - i));
        ck_assert_int_eq(vfs_read(fs.vfs, nodes[i], 0, back, SIZE, 0, &got), 0);
        ck_assert_uint_eq(got, SIZE - i);
        ck_assert_int_eq(memcmp(back, big, got), 0);
        vfs_forget(fs.vfs, nodes[i], 1);
    }
    ck_assert_uint_eq(chunks_left(), 0);
}
END_TEST

START_TEST(test_removed_directory_is_empty_and_takes_nothing)
{
    struct vfs_entry entry;
    struct node *node;
    struct stat st;

    ck_assert_int_eq(fs_mkdir(&fs, "d"), 0);
    ck_assert_int_eq(fs_node(&fs, "d", &node), 0);
    ck_assert_int_eq(fs_rmdir(&fs, "d"), 0);
    ck_assert_int_eq(vfs_getattr(fs.vfs, node, &st, NULL), 0);
    ck_assert_uint_eq(st.st_nlink, 0);
    ck_assert_int_eq(vfs_create(fs.vfs, &fs.caller, node, "f", 0644, O_EXCL, &entry),
                     -ENOENT);
    ck_assert_int_eq(vfs_mkdir(fs.vfs, &fs.caller, node, "f", 0755, &entry), -ENOENT);
    ck_assert_int_eq(vfs_lookup(fs.vfs, node, "f", &entry, NULL), -ENOENT);
    ck_assert_int_eq(fs_mkdir(&fs, "d"), 0);
    ck_assert_int_eq(vfs_lookup(fs.vfs, node, "f", &entry, NULL), -ENOENT);
    vfs_forget(fs.vfs, node, 1);
    fs_expect_names(&fs, "", "d/ ");
}
END_TEST

START_TEST(test_names_are_bytes)
{
    char name[300], list[600];

    ck_assert_int_eq(fs_put(&fs, "\xff\x01 \n", "odd"), 0);
    fs_expect(&fs, "\xff\x01 \n", "odd");
    memset(name, 'n', sizeof(name));
    name[256] = '\0';
    ck_assert_int_eq(fs_put(&fs, name, "x"), -ENAMETOOLONG);
    name[255] = '\0';
    ck_assert_int_eq(fs_put(&fs, name, "x"), 0);
    snprintf(list, sizeof(list), "%s \xff\x01 \n ", name);
    fs_expect_names(&fs, "", list);
}
END_TEST

START_TEST(test_deep_path_ends_at_the_longest_key)
{
    struct node *node = vfs_root(fs.vfs), *nodes[300];
    char name[256];
    int depth = 0, result;

    memset(name, 'p', 255);
    name[255] = '\0';
    for (;;) {
        struct vfs_entry entry;

        result = vfs_mkdir(fs.vfs, &fs.caller, node, name, 0755, &entry);
        if (result < 0)
            break;
        node = nodes[depth++] = entry.node;
    }
    ck_assert_int_eq(result, -ENAMETOOLONG);
    ck_assert_int_eq(depth, (65535 + 1) / 256);
    while (depth > 0) {
        node = --depth > 0 ? nodes[depth - 1] : vfs_root(fs.vfs);
        vfs_forget(fs.vfs, nodes[depth], 1);
        ck_assert_int_eq(vfs_rmdir(fs.vfs, node, name), 0);
    }
}
END_TEST

START_TEST(test_symlink_holds_its_target)
{
    struct vfs_entry entry;
    char target[64];

    ck_assert_int_eq(
        vfs_symlink(fs.vfs, &fs.caller, "../to/there", vfs_root(fs.vfs), "l", &entry), 0);
    ck_assert(S_ISLNK(entry.stat.st_mode));
    ck_assert_int_eq(entry.stat.st_size, 11);
    ck_assert_int_eq(vfs_readlink(fs.vfs, entry.node, target, sizeof(target)), 0);
    ck_assert_str_eq(target, "../to/there");
    vfs_forget(fs.vfs, entry.node, 1);
    fs_reopen(&fs);
    ck_assert_int_eq(fs_node(&fs, "l", &entry.node), 0);
    ck_assert_int_eq(vfs_readlink(fs.vfs, entry.node, target, sizeof(target)), 0);
    ck_assert_str_eq(target, "../to/there");
    vfs_forget(fs.vfs, entry.node, 1);
}
END_TEST

START_TEST(test_setgid_directory_hands_on_its_group)
{
    struct stat st = {.st_mode = 02755, .st_gid = 77};
    struct node *node;

    ck_assert_int_eq(fs_mkdir(&fs, "d"), 0);
    ck_assert_int_eq(fs_node(&fs, "d", &node), 0);
    ck_assert_int_eq(vfs_setattr(fs.vfs, &fs.caller, node, &st, VFS_MODE | VFS_GID, &st),
                     0);
    vfs_forget(fs.vfs, node, 1);
    ck_assert_int_eq(fs_put(&fs, "d/f", ""), 0);
    ck_assert_int_eq(fs_mkdir(&fs, "d/s"), 0);
    ck_assert_int_eq(fs_stat(&fs, "d/f", &st), 0);
    ck_assert_uint_eq(st.st_gid, 77);
    ck_assert_int_eq(fs_stat(&fs, "d/s", &st), 0);
    ck_assert_uint_eq(st.st_gid, 77);
    ck_assert(st.st_mode & S_ISGID);
}
END_TEST

START_TEST(test_directory_times_show_at_once_and_survive)
{
    struct stat before, after, again;

    ck_assert_int_eq(fs_mkdir(&fs, "d"), 0);
    ck_assert_int_eq(fs_stat(&fs, "d", &before), 0);
    do {
        ck_assert_int_eq(fs_put(&fs, "d/f", ""), 0);
        ck_assert_int_eq(fs_stat(&fs, "d", &after), 0);
        ck_assert_int_eq(fs_unlink(&fs, "d/f"), 0);
    } while (after.st_mtim.tv_nsec == before.st_mtim.tv_nsec); /* the clock is coarse */
    ck_assert_int_eq(fs_stat(&fs, "d", &after), 0);
    ck_assert_int_eq(after.st_mtim.tv_nsec, after.st_ctim.tv_nsec);
    fs_reopen(&fs);
    ck_assert_int_eq(fs_stat(&fs, "d", &again), 0);
    ck_assert_int_eq(after.st_mtim.tv_nsec, again.st_mtim.tv_nsec);
    /* What utimens sets is not overtaken by what was deferred. */
    ck_assert_int_eq(fs_put(&fs, "d/g", ""), 0);
    struct node *node;
    struct stat set = {.st_mtim = {5, 6}};
    ck_assert_int_eq(fs_node(&fs, "d", &node), 0);
    ck_assert_int_eq(vfs_setattr(fs.vfs, &fs.caller, node, &set, VFS_MTIME, &again), 0);
    vfs_forget(fs.vfs, node, 1);
    fs_reopen(&fs);
    ck_assert_int_eq(fs_stat(&fs, "d", &again), 0);
    ck_assert_int_eq(again.st_mtim.tv_sec, 5);
}
END_TEST

static bool
add_known(void *context, const struct vfs_listed *listed)
{
    (void)context;
    if (listed->node)
        vfs_forget(fs.vfs, listed->node, 1);
    return true;
}

/* Then the kernel has let go of its pages, too, or it is open. */
START_TEST(test_a_file_counts_as_read_until_it_is_asked_for_by_name)
{
    char bytes[8];
    struct node *node;
    struct stat st;

    ck_assert_int_eq(fs_put(&fs, "f", "text"), 0);
    ck_assert_int_eq(fs_node(&fs, "f", &node), 0);
    ck_assert(!vfs_was_read(node));
    ck_assert_int_eq(fs_read(&fs, "f", bytes, sizeof(bytes)), 4);
    ck_assert(vfs_was_read(node));
    ck_assert_int_eq(fs_stat(&fs, "f", &st), 0);
    ck_assert(!vfs_was_read(node));
    vfs_opened(fs.vfs, node, O_RDONLY);
    ck_assert_int_eq(fs_read(&fs, "f", bytes, sizeof(bytes)), 4);
    ck_assert_int_eq(fs_stat(&fs, "f", &st), 0);
    ck_assert(vfs_was_read(node));
    vfs_released(fs.vfs, node, O_RDONLY);
    ck_assert_int_eq(vfs_readdir(fs.vfs, vfs_root(fs.vfs), 0, false, add_known, NULL), 0);
    ck_assert(vfs_was_read(node));
    ck_assert_int_eq(vfs_readdir(fs.vfs, vfs_root(fs.vfs), 0, true, add_known, NULL), 0);
    ck_assert(!vfs_was_read(node));
    vfs_forget(fs.vfs, node, 1);
}
END_TEST

START_TEST(test_acknowledged_work_survives_the_process)
{
    char name[32];

    ck_assert_int_eq(fs_mkdir(&fs, "d"), 0);
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "d/f%d", i);
        ck_assert_int_eq(fs_put(&fs, name, name), 0);
        if (i % 3 == 0)
            ck_assert_int_eq(fs_unlink(&fs, name), 0);
    }
    ck_assert_int_eq(fs_rename(&fs, "d", "e", 0), 0);
    fs_kill(&fs);
    for (int i = 0; i < 200; i++) {
        struct stat st;

        snprintf(name, sizeof(name), "e/f%d", i);
        ck_assert_int_eq(fs_stat(&fs, name, &st), i % 3 == 0 ? -ENOENT : 0);
    }
    fs_expect(&fs, "e/f1", "d/f1");
    ck_assert_int_eq(fs_put(&fs, "new", ""), 0);
    ck_assert_uint_ne(fs_ino(&fs, "new"), fs_ino(&fs, "e/f199"));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("vfs_names");
    TCase *tcase = tcase_create("names");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_file_survives_reopening);
    tcase_add_test(tcase, test_existing_name_is_not_made_again);
    tcase_add_test(tcase, test_removal_obeys_types);
    tcase_add_test(tcase, test_link_counts_follow_subdirectories);
    tcase_add_test(tcase, test_rename_replaces);
    tcase_add_test(tcase, test_rename_of_a_directory_takes_all_below);
    tcase_add_test(tcase, test_rename_of_directories_obeys_types);
    tcase_add_test(tcase, test_exchange_swaps_trees);
    tcase_add_test(tcase, test_hard_links_share_everything);
    tcase_add_test(tcase, test_unlinked_file_lives_on_in_its_node);
    tcase_add_test(tcase, test_contents_go_when_the_last_node_does);
    tcase_add_test(tcase, test_too_much_unlinked_goes_to_the_store);
    tcase_add_test(tcase, test_removed_directory_is_empty_and_takes_nothing);
    tcase_add_test(tcase, test_names_are_bytes);
    tcase_add_test(tcase, test_deep_path_ends_at_the_longest_key);
    tcase_add_test(tcase, test_symlink_holds_its_target);
    tcase_add_test(tcase, test_setgid_directory_hands_on_its_group);
    tcase_add_test(tcase, test_directory_times_show_at_once_and_survive);
    tcase_add_test(tcase, test_a_file_counts_as_read_until_it_is_asked_for_by_name);
    tcase_add_test(tcase, test_acknowledged_work_survives_the_process);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
