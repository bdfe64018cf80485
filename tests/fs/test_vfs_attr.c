/*
 * test_vfs_attr.c - attributes and contents by the node: modes, owners, times, sizes, holes,
 * copies, access times, and what an open refuses.
 */
#include <linux/capability.h>
#include <linux/falloc.h>
#include <sys/xattr.h>

#include "store/foreign.h"
#include "vfs_fixture.h"

static struct vfs_fixture fs;
static struct node *node;
static const struct vfs_caller user = {.uid = 1000, .gid = 1000};

static void
setup(void)
{
    fs_init(&fs);
    ck_assert_int_eq(fs_write(&fs, "f", "contents", 8, &node), 0);
}

static void
teardown(void)
{
    if (fs.vfs)
        vfs_forget(fs.vfs, node, 1);
    fs_fini(&fs);
}

static struct stat
set(const struct vfs_caller *caller, struct stat change, unsigned which)
{
    struct stat st;

    ck_assert_int_eq(vfs_setattr(fs.vfs, caller, node, &change, which, &st), 0);
    return st;
}

static struct stat
get(void)
{
    struct stat st;

    ck_assert_int_eq(vfs_getattr(fs.vfs, node, &st, NULL), 0);
    return st;
}

START_TEST(test_times_take_any_second_and_nanosecond)
{
    struct stat change = {.st_atim = {-5000000000, 1},
                          .st_mtim = {9000000000, 999999999}};
    struct stat st = set(&fs.caller, change, VFS_ATIME | VFS_MTIME);

    ck_assert_int_eq(st.st_atim.tv_sec, -5000000000);
    fs_kill(&fs);
    ck_assert_int_eq(fs_stat(&fs, "f", &st), 0);
    ck_assert_int_eq(st.st_atim.tv_sec, -5000000000);
    ck_assert_int_eq(st.st_atim.tv_nsec, 1);
    ck_assert_int_eq(st.st_mtim.tv_sec, 9000000000);
    ck_assert_int_eq(st.st_mtim.tv_nsec, 999999999);
    ck_assert_int_eq(fs_node(&fs, "f", &node), 0);
}
END_TEST

static bool
is_six(void *context, gid_t gid)
{
    (void)context;
    return gid == 6;
}

static const struct vfs_caller member = {.uid = 1000, .gid = 1000, .in_group = is_six};

START_TEST(test_privileges_go_when_others_change_the_file)
{
    struct stat change = {.st_mode = 06755, .st_uid = 5, .st_gid = 6, .st_size = 3};

    set(&fs.caller, change, VFS_MODE);
    ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, node, 0, "x", 1, 0), 0);
    ck_assert_uint_eq(get().st_mode, S_IFREG | 06755); /* root may */
    ck_assert_int_eq(vfs_write(fs.vfs, &user, node, 0, "x", 1, 0), 0);
    ck_assert_uint_eq(get().st_mode, S_IFREG | 0755);
    set(&fs.caller, change, VFS_MODE);
    set(&user, change, VFS_SIZE);
    ck_assert_uint_eq(get().st_mode, S_IFREG | 0755);
    set(&fs.caller, change, VFS_MODE);
    set(&fs.caller, change, VFS_UID);
    ck_assert_uint_eq(get().st_mode, S_IFREG | 0755);
    ck_assert_uint_eq(get().st_uid, 5);
    ck_assert_uint_eq(get().st_gid, 0);
    /* Without execution by the group the bit means something else, and stays. */
    change.st_mode = 02745;
    set(&fs.caller, change, VFS_MODE);
    set(&fs.caller, change, VFS_GID);
    ck_assert_uint_eq(get().st_mode, S_IFREG | 02745);
    /* A member of the group keeps it then, another does not. */
    ck_assert_int_eq(vfs_write(fs.vfs, &member, node, 0, "x", 1, 0), 0);
    ck_assert_uint_eq(get().st_mode, S_IFREG | 02745);
    ck_assert_int_eq(vfs_write(fs.vfs, &user, node, 0, "x", 1, 0), 0);
    ck_assert_uint_eq(get().st_mode, S_IFREG | 0745);
}
END_TEST

/* chown(-1, -1) by a stranger, which ext4 refuses, set ctime.  So comes what precedes his write, too,
 * which does that by itself. */
START_TEST(test_a_stranger_who_changes_nothing_leaves_ctime_alone)
{
    struct stat change = {.st_mode = 06755}, before, after;

    before = set(&fs.caller, change, VFS_MODE);
    after = set(&user, change, VFS_SAME_OWNER);
    ck_assert_uint_eq(after.st_mode, S_IFREG | 06755);
    ck_assert_mem_eq(&before.st_ctim, &after.st_ctim, sizeof(before.st_ctim));
    /* Where there is nothing to take, ext4 sets it. */
    change.st_mode = 0755;
    before = set(&fs.caller, change, VFS_MODE);
    after = set(&user, change, VFS_SAME_OWNER);
    ck_assert_mem_ne(&before.st_ctim, &after.st_ctim, sizeof(before.st_ctim));
}
END_TEST

static bool
has(void *context, int capability)
{
    return *(int *)context == capability;
}

START_TEST(test_capabilities_count_and_not_the_number_of_root)
{
    int fsetid = CAP_FSETID, admin = CAP_SYS_ADMIN;
    struct vfs_caller caller = {.uid = 1000, .gid = 1000, .capable = has};
    struct stat change = {.st_mode = 06777, .st_size = 0};
    char names[64];
    size_t length;

    caller.context = &fsetid;
    set(&fs.caller, change, VFS_MODE);
    ck_assert_int_eq(vfs_write(fs.vfs, &caller, node, 0, "x", 1, 0), 0);
    ck_assert_int_eq(vfs_file_open(fs.vfs, &caller, node, O_WRONLY | O_TRUNC), 0);
    ck_assert_uint_eq(get().st_mode, S_IFREG | 06777);
    ck_assert_int_eq(vfs_setxattr(fs.vfs, &fs.caller, node, "trusted.t", "1", 1, 0), 0);
    caller.uid = 0;
    ck_assert_int_eq(vfs_listxattr(fs.vfs, &caller, node, names, 64, &length), 0);
    ck_assert_uint_eq(length, 0);
    caller.context = &admin;
    ck_assert_int_eq(vfs_listxattr(fs.vfs, &caller, node, names, 64, &length), 0);
    ck_assert_uint_eq(length, sizeof("trusted.t"));
    ck_assert_int_eq(vfs_file_open(fs.vfs, &caller, node, O_WRONLY | O_TRUNC), 0);
    ck_assert_uint_eq(get().st_mode, S_IFREG | 0777);
}
END_TEST

START_TEST(test_a_new_owner_takes_the_group_bit_from_a_group_not_his)
{
    struct stat change = {.st_mode = 02644, .st_uid = 1000, .st_gid = 7};

    set(&fs.caller, change, VFS_UID | VFS_GID);
    set(&fs.caller, change, VFS_MODE);
    ck_assert_uint_eq(get().st_mode, S_IFREG | 02644);
    /* It is the group before that counts, and the mode a kernel sends along does not help. */
    change.st_gid = 1000;
    set(&user, change, VFS_GID | VFS_MODE);
    ck_assert_uint_eq(get().st_mode, S_IFREG | 0644);
    set(&fs.caller, change, VFS_MODE);
    set(&user, change, VFS_UID);
    ck_assert_uint_eq(get().st_mode, S_IFREG | 02644);
    change.st_gid = 6;
    set(&member, change, VFS_GID);
    ck_assert_uint_eq(get().st_mode, S_IFREG | 02644);
    set(&user, change, VFS_UID);
    ck_assert_uint_eq(get().st_mode, S_IFREG | 0644);
}
END_TEST

START_TEST(test_capabilities_go_with_any_write)
{
    size_t length;

    ck_assert_int_eq(
        vfs_setxattr(fs.vfs, &fs.caller, node, "security.capability", "cap", 3, 0), 0);
    ck_assert_int_eq(vfs_setxattr(fs.vfs, &fs.caller, node, "user.kept", "1", 1, 0), 0);
    ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, node, 0, "x", 1, 0), 0);
    ck_assert_int_eq(vfs_getxattr(fs.vfs, node, "security.capability", NULL, 0, &length),
                     -ENODATA);
    ck_assert_int_eq(vfs_getxattr(fs.vfs, node, "user.kept", NULL, 0, &length), 0);
}
END_TEST

START_TEST(test_many_extended_attributes_of_any_size)
{
    static char value[65536], back[65536], names[65536];
    char name[32];
    size_t length, expected = 0;

    memset(value, 'v', sizeof(value));
    for (unsigned i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "user.n%02u", i);
        expected += strlen(name) + 1;
        ck_assert_int_eq(vfs_setxattr(fs.vfs, &fs.caller, node, name, value,
                                      i < 39 ? i * 50 : sizeof(value), 0),
                         0);
    }
    ck_assert_int_eq(vfs_setxattr(fs.vfs, &fs.caller, node, "trusted.t", "1", 1, 0), 0);
    /* From large to small and back. */
    ck_assert_int_eq(
        vfs_setxattr(fs.vfs, &fs.caller, node, "user.n38", "s", 1, XATTR_REPLACE), 0);
    ck_assert_int_eq(
        vfs_setxattr(fs.vfs, &fs.caller, node, "user.n01", value, 3000, XATTR_REPLACE),
        0);
    ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, node, 0, "changed", 7, 0), 0);
    vfs_forget(fs.vfs, node, 1);
    fs_kill(&fs);
    ck_assert_int_eq(fs_node(&fs, "f", &node), 0);
    for (unsigned i = 0; i < 40; i++) {
        size_t size = i == 38 ? 1 : i == 1 ? 3000 : i == 39 ? sizeof(value) : i * 50;

        snprintf(name, sizeof(name), "user.n%02u", i);
        ck_assert_int_eq(vfs_getxattr(fs.vfs, node, name, back, sizeof(back), &length),
                         0);
        ck_assert_uint_eq(length, size);
        ck_assert_int_eq(memcmp(back, i == 38 ? "s" : value, size), 0);
    }
    ck_assert_int_eq(vfs_listxattr(fs.vfs, &user, node, names, sizeof(names), &length),
                     0);
    ck_assert_uint_eq(length, expected);
    ck_assert_int_eq(
        vfs_listxattr(fs.vfs, &fs.caller, node, names, sizeof(names), &length), 0);
    ck_assert_uint_eq(length, expected + sizeof("trusted.t"));
    ck_assert_int_eq(vfs_listxattr(fs.vfs, &user, node, names, 10, &length), -ERANGE);
}
END_TEST

START_TEST(test_setting_what_is_set_leaves_ctime_alone)
{
    struct stat before, after;

    ck_assert_int_eq(vfs_setxattr(fs.vfs, &fs.caller, node, "user.a", "1", 1, 0), 0);
    ck_assert_int_eq(vfs_setxattr(fs.vfs, &fs.caller, node, "user.b", "", 0, 0), 0);
    before = get();
    ck_assert_int_eq(
        vfs_setxattr(fs.vfs, &fs.caller, node, "user.a", "1", 1, XATTR_REPLACE), 0);
    ck_assert_int_eq(vfs_setxattr(fs.vfs, &fs.caller, node, "user.b", "", 0, 0), 0);
    after = get();
    ck_assert_mem_eq(&before.st_ctim, &after.st_ctim, sizeof(before.st_ctim));
    ck_assert_int_eq(
        vfs_setxattr(fs.vfs, &fs.caller, node, "user.a", "1", 1, XATTR_CREATE), -EEXIST);
    ck_assert_int_eq(vfs_setxattr(fs.vfs, &fs.caller, node, "user.a", "2", 1, 0), 0);
    after = get();
    ck_assert_mem_ne(&before.st_ctim, &after.st_ctim, sizeof(before.st_ctim));
}
END_TEST

START_TEST(test_extended_attributes_go_with_the_last_name)
{
    static char value[5000];
    struct lsmkv_iter_options options = {0};
    struct lsmkv_iter *iter;
    unsigned count = 0;

    ck_assert_int_eq(
        vfs_setxattr(fs.vfs, &fs.caller, node, "user.big", value, sizeof(value), 0), 0);
    ck_assert_int_eq(fs_link(&fs, "f", "g"), 0);
    ck_assert_int_eq(fs_unlink(&fs, "f"), 0);
    ck_assert_int_eq(fs_unlink(&fs, "g"), 0);
    ck_assert_int_eq(
        lsmkv_iter_new(vfs_store(fs.vfs)->db, vfs_store(fs.vfs)->inodes, &options, &iter),
        0);
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter); lsmkv_iter_next(iter))
        count++;
    lsmkv_iter_free(iter);
    ck_assert_uint_eq(count, 0);
}
END_TEST

/* They were deleted with the name, and new ones that did not fit beside the inode refused. */
static int
break_blob(void *context, const char *name)
{
    struct env_dir *dir = context;
    struct env_file *file;
    uint64_t size;

    if (strstr(name, ".blob") == NULL)
        return 0;
    ck_assert_int_eq(env_file_open(dir, name, ENV_WRITE, &file), 0);
    ck_assert_int_eq(env_file_size(file, &size), 0);
    ck_assert_int_eq(env_file_write(file, size - 1, "?", 1), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    return 1;
}

/* Bug: listing names and removing a file read the values, so that one damaged value hid the others'
 * names, and its file could not be removed. */
START_TEST(test_a_damaged_extended_attribute_is_in_nobodys_way)
{
    static char value[9000], names[64];
    struct env_dir *dir;
    size_t length;

    memset(value, 'v', sizeof(value));
    ck_assert_int_eq(
        vfs_setxattr(fs.vfs, &fs.caller, node, "user.long", value, sizeof(value), 0), 0);
    ck_assert_int_eq(lsmkv_flush(vfs_store(fs.vfs)->db), 0);
    vfs_forget(fs.vfs, node, 1);
    fs_close(&fs);
    ck_assert_int_eq(env_dir_open(fs.engine.env, fs.options.store.path, false, &dir), 0);
    ck_assert_int_eq(env_dir_list(dir, break_blob, dir), 1);
    env_dir_close(dir);
    fs_open(&fs);
    ck_assert_int_eq(fs_node(&fs, "f", &node), 0);
    ck_assert_int_eq(
        vfs_listxattr(fs.vfs, &fs.caller, node, names, sizeof(names), &length), 0);
    ck_assert_uint_eq(length, sizeof("user.long"));
    ck_assert_int_lt(
        vfs_getxattr(fs.vfs, node, "user.long", value, sizeof(value), &length), 0);
    vfs_forget(fs.vfs, node, 1);
    ck_assert_int_eq(fs_unlink(&fs, "f"), 0);
    ck_assert_int_eq(fs_write(&fs, "f", "contents", 8, &node), 0);
}
END_TEST

START_TEST(test_removed_file_keeps_long_extended_attributes_while_open)
{
    static char value[5000], back[5000];
    char names[64];
    size_t length;

    memset(value, 'v', sizeof(value));
    ck_assert_int_eq(
        vfs_setxattr(fs.vfs, &fs.caller, node, "user.big", value, sizeof(value), 0), 0);
    ck_assert_int_eq(vfs_setxattr(fs.vfs, &fs.caller, node, "user.s", "1", 1, 0), 0);
    ck_assert_int_eq(fs_unlink(&fs, "f"), 0);
    ck_assert_int_eq(vfs_getxattr(fs.vfs, node, "user.big", back, sizeof(back), &length),
                     0);
    ck_assert_uint_eq(length, sizeof(value));
    ck_assert_mem_eq(back, value, sizeof(value));
    ck_assert_int_eq(
        vfs_setxattr(fs.vfs, &fs.caller, node, "user.new", value, 4000, XATTR_CREATE), 0);
    ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, node, 0, "more", 4, 0), 0);
    ck_assert_int_eq(
        vfs_setxattr(fs.vfs, &fs.caller, node, "user.big", "s", 1, XATTR_REPLACE), 0);
    ck_assert_int_eq(vfs_getxattr(fs.vfs, node, "user.new", NULL, 0, &length), 0);
    ck_assert_uint_eq(length, 4000);
    ck_assert_int_eq(vfs_getxattr(fs.vfs, node, "user.big", back, sizeof(back), &length),
                     0);
    ck_assert_uint_eq(length, 1);
    ck_assert_int_eq(vfs_removexattr(fs.vfs, node, "user.new"), 0);
    ck_assert_int_eq(vfs_getxattr(fs.vfs, node, "user.new", NULL, 0, &length), -ENODATA);
    ck_assert_int_eq(
        vfs_listxattr(fs.vfs, &fs.caller, node, names, sizeof(names), &length), 0);
    ck_assert_uint_eq(length, sizeof("user.big") + sizeof("user.s"));
}
END_TEST

static uint8_t *
acl_entry(uint8_t *at, uint8_t tag, uint8_t permissions, uint8_t id)
{
    uint8_t entry[8] = {tag, 0, permissions, 0, id, 0, 0, 0};

    return (uint8_t *)memcpy(at, entry, sizeof(entry)) + sizeof(entry);
}

/* More than 62 entries, and nothing could be made in the directory. */
START_TEST(test_default_list_of_any_length_is_inherited)
{
    static uint8_t list[4 + 8 * 204] = {2}, back[sizeof(list)];
    uint8_t *at = acl_entry(list + 4, 0x01, 7, 0);
    struct node *directory;
    size_t length;

    for (unsigned i = 0; i < 200; i++)
        at = acl_entry(at, 0x02, 6, (uint8_t)(i + 1));
    at = acl_entry(acl_entry(acl_entry(at, 0x04, 5, 0), 0x10, 7, 0), 0x20, 0, 0);
    ck_assert(at == list + sizeof(list));
    vfs_forget(fs.vfs, node, 1);
    fs.options.acl = true;
    fs_reopen(&fs);
    ck_assert_int_eq(fs_mkdir(&fs, "d"), 0);
    ck_assert_int_eq(fs_node(&fs, "d", &directory), 0);
    ck_assert_int_eq(vfs_setxattr(fs.vfs, &fs.caller, directory,
                                  "system.posix_acl_default", list, sizeof(list), 0),
                     0);
    ck_assert_int_eq(fs_put(&fs, "d/f", "made"), 0);
    ck_assert_int_eq(fs_mkdir(&fs, "d/e"), 0);
    ck_assert_int_eq(fs_put(&fs, "d/e/f", "made"), 0);
    ck_assert_int_eq(fs_node(&fs, "d/e/f", &node), 0);
    ck_assert_int_eq(vfs_getxattr(fs.vfs, node, "system.posix_acl_access", back,
                                  sizeof(back), &length),
                     0);
    ck_assert_uint_eq(length, sizeof(list));
    ck_assert_uint_eq(get().st_mode, S_IFREG | 0640);
    vfs_forget(fs.vfs, directory, 1);
}
END_TEST

/* The kernel asks for it before it lets anybody but the owner through; with -o acl all snapshots were
 * -ENOENT to other users. */
START_TEST(test_directories_that_are_no_records_have_no_list)
{
    static const char *const names[] = {".snapshots", ".lsmfs", ".lsmfs/keys"};
    char value[8];
    size_t length;

    vfs_forget(fs.vfs, node, 1);
    fs.options.acl = true;
    fs_reopen(&fs);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct node *directory;

        ck_assert_int_eq(fs_node(&fs, names[i], &directory), 0);
        ck_assert_int_eq(vfs_getxattr(fs.vfs, directory, "system.posix_acl_access", value,
                                      sizeof(value), &length),
                         -ENODATA);
        vfs_forget(fs.vfs, directory, 1);
    }
    ck_assert_int_eq(fs_node(&fs, "f", &node), 0);
}
END_TEST

/* A change of the key behind the kernel's back makes the file longer than it knows. */
START_TEST(test_appending_is_done_at_the_end)
{
    ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, node, 3, "+", 1, O_APPEND), 0);
    fs_expect(&fs, "f", "contents+");
    ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, node, 20, "+", 1, O_APPEND), 0);
    fs_expect(&fs, "f", "contents++");
    ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, node, 0, "C", 1, O_APPEND | O_DIRECT),
                     0);
    fs_expect(&fs, "f", "Contents++");
}
END_TEST

START_TEST(test_holes_are_found_and_made)
{
    static char bytes[400000], back[400000];
    uint64_t found;
    size_t got;

    memset(bytes, 'h', sizeof(bytes));
    ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, node, 1 << 20, bytes, 1000, 0), 0);
    ck_assert_int_eq(vfs_seek(fs.vfs, node, 200000, SEEK_DATA, &found), 0);
    ck_assert_uint_eq(found, 1 << 20);
    ck_assert_int_eq(vfs_seek(fs.vfs, node, 1 << 20, SEEK_HOLE, &found), 0);
    ck_assert_uint_eq(found, (1 << 20) + 1000);
    ck_assert_int_eq(vfs_seek(fs.vfs, node, (1 << 20) + 1000, SEEK_DATA, &found), -ENXIO);
    ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, node, 0, bytes, sizeof(bytes), 0), 0);
    ck_assert_int_eq(vfs_fallocate(fs.vfs, &fs.caller, node,
                                   FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1000,
                                   300000),
                     0);
    memset(bytes + 1000, 0, 300000);
    ck_assert_int_eq(vfs_read(fs.vfs, node, 0, back, sizeof(back), 0, &got), 0);
    ck_assert_uint_eq(got, sizeof(back));
    ck_assert_int_eq(memcmp(bytes, back, sizeof(back)), 0);
    ck_assert_int_eq(get().st_size, (1 << 20) + 1000);
    ck_assert_int_eq(vfs_fallocate(fs.vfs, &fs.caller, node, 0, 0, 3 << 20), 0);
    ck_assert_int_eq(get().st_size, 3 << 20);
    ck_assert_int_eq(
        vfs_fallocate(fs.vfs, &fs.caller, node, FALLOC_FL_KEEP_SIZE, 0, 4 << 20), 0);
    ck_assert_int_eq(get().st_size, 3 << 20);
    ck_assert_int_eq(
        vfs_fallocate(fs.vfs, &fs.caller, node, FALLOC_FL_COLLAPSE_RANGE, 0, 4096),
        -EOPNOTSUPP);
    ck_assert_int_eq(vfs_fallocate(fs.vfs, &fs.caller, node, 0, UINT64_C(1) << 62, 1),
                     -EFBIG);
    ck_assert_int_eq(vfs_fallocate(fs.vfs, &fs.caller, node, 0, 0, 0), -EINVAL);
}
END_TEST

START_TEST(test_copy_copies)
{
    static char bytes[700000], back[700000];
    struct node *to;
    size_t copied, got;

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 7 / 5);
    ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, node, 0, bytes, sizeof(bytes), 0), 0);
    ck_assert_int_eq(fs_write(&fs, "to", "old", 3, &to), 0);
    ck_assert_int_eq(
        vfs_copy(fs.vfs, &fs.caller, node, 5, to, 2, sizeof(bytes), 0, &copied), 0);
    ck_assert_uint_eq(copied, sizeof(bytes) - 5);
    ck_assert_int_eq(vfs_read(fs.vfs, to, 0, back, sizeof(back), 0, &got), 0);
    ck_assert_uint_eq(got, sizeof(bytes) - 3);
    ck_assert_int_eq(memcmp(back, "ol", 2), 0);
    ck_assert_int_eq(memcmp(back + 2, bytes + 5, sizeof(bytes) - 5), 0);
    /* Within one file, the parts apart. */
    ck_assert_int_eq(vfs_copy(fs.vfs, &fs.caller, to, 0, to, 300000, 1000, 0, &copied),
                     0);
    ck_assert_uint_eq(copied, 1000);
    ck_assert_int_eq(vfs_read(fs.vfs, to, 300000, back, 1000, 0, &got), 0);
    ck_assert_int_eq(memcmp(back, "ol", 2), 0);
    vfs_forget(fs.vfs, to, 1);
}
END_TEST

START_TEST(test_read_moves_the_access_time_once)
{
    struct stat change = {.st_atim = {1000, 0}}, st;
    char bytes[8];
    size_t got;

    set(&fs.caller, change, VFS_ATIME);
    ck_assert_int_eq(vfs_read(fs.vfs, node, 0, bytes, sizeof(bytes), 0, &got), 0);
    st = get();
    ck_assert_int_gt(st.st_atim.tv_sec, 1000);
    ck_assert_int_gt(st.st_mtim.tv_sec, 1000);
    vfs_forget(fs.vfs, node, 1);
    fs_reopen(&fs);
    ck_assert_int_eq(fs_node(&fs, "f", &node), 0);
    ck_assert_int_eq(get().st_atim.tv_nsec, st.st_atim.tv_nsec);
    vfs_forget(fs.vfs, node, 1);
    fs_close(&fs);
    fs.options.atime = VFS_NOATIME;
    fs_open(&fs);
    ck_assert_int_eq(fs_node(&fs, "f", &node), 0);
    set(&fs.caller, change, VFS_ATIME);
    ck_assert_int_eq(vfs_read(fs.vfs, node, 0, bytes, sizeof(bytes), 0, &got), 0);
    ck_assert_int_eq(get().st_atim.tv_sec, 1000);
    vfs_forget(fs.vfs, node, 1);
    fs_close(&fs);
    fs.options.atime = VFS_STRICTATIME;
    fs_open(&fs);
    ck_assert_int_eq(fs_node(&fs, "f", &node), 0);
    ck_assert(!vfs_contents_last(fs.vfs, node));
    for (unsigned i = 0; i < 3; i++) {
        st = get();
        ck_assert_int_eq(vfs_read(fs.vfs, node, 0, bytes, sizeof(bytes), 0, &got), 0);
        ck_assert(get().st_atim.tv_sec != st.st_atim.tv_sec ||
                  get().st_atim.tv_nsec != st.st_atim.tv_nsec);
    }
    set(&fs.caller, change, VFS_ATIME);
    ck_assert_int_eq(vfs_read(fs.vfs, node, 0, bytes, sizeof(bytes), O_NOATIME, &got), 0);
    ck_assert_int_eq(get().st_atim.tv_sec, 1000);
}
END_TEST

START_TEST(test_a_file_without_a_name_has_times_too)
{
    struct stat change = {.st_atim = {1000, 0}}, st;
    char bytes[8];
    size_t got;

    ck_assert_int_eq(vfs_read(fs.vfs, node, 0, bytes, sizeof(bytes), 0, &got), 0);
    ck_assert_int_eq(fs_unlink(&fs, "f"), 0);
    set(&fs.caller, change, VFS_ATIME);
    ck_assert_int_eq(get().st_atim.tv_sec, 1000);
    ck_assert_int_eq(vfs_read(fs.vfs, node, 0, bytes, sizeof(bytes), 0, &got), 0);
    st = get();
    ck_assert_int_gt(st.st_atim.tv_sec, 1000);
    ck_assert_int_eq(vfs_sync(fs.vfs), 0);
    ck_assert_int_eq(get().st_atim.tv_nsec, st.st_atim.tv_nsec);
    ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, node, 0, "x", 1, 0), 0);
    ck_assert_int_eq(get().st_atim.tv_nsec, st.st_atim.tv_nsec);
    set(&fs.caller, change, VFS_ATIME);
    ck_assert_int_eq(get().st_atim.tv_sec, 1000);
}
END_TEST

/* Reading a value of the C API that is larger than ours get, but has a record of ours, wrote all
 * of it again. */
START_TEST(test_read_of_a_large_value_in_its_record_writes_nothing)
{
    struct stat change = {.st_atim = {1000, 0}};
    static char big[200001];
    char bytes[8];
    size_t got;

    memset(big, 'v', sizeof(big) - 1);
    fs_raw_put(&fs, "big", 3, big);
    vfs_forget(fs.vfs, node, 1);
    ck_assert_int_eq(fs_node(&fs, "big", &node), 0);
    set(&fs.caller, change, VFS_ATIME);
    ck_assert_int_eq(vfs_read(fs.vfs, node, 0, bytes, sizeof(bytes), 0, &got), 0);
    ck_assert_int_eq(get().st_atim.tv_sec, 1000);
}
END_TEST

START_TEST(test_contents_of_what_is_no_file_are_refused)
{
    struct vfs_entry entry;
    struct stat st = {.st_size = 0};
    size_t got;
    char byte;

    ck_assert_int_eq(vfs_mknod(fs.vfs, &fs.caller, vfs_root(fs.vfs), "pipe",
                               S_IFIFO | 0600, 0, &entry),
                     0);
    ck_assert_int_eq(vfs_setattr(fs.vfs, &fs.caller, entry.node, &st, VFS_SIZE, &st),
                     -EINVAL);
    ck_assert_int_eq(vfs_read(fs.vfs, entry.node, 0, &byte, 1, 0, &got), -EINVAL);
    vfs_forget(fs.vfs, entry.node, 1);
    ck_assert_int_eq(vfs_mknod(fs.vfs, &fs.caller, vfs_root(fs.vfs), "dev",
                               S_IFCHR | 0600, 0x12345678, &entry),
                     0);
    ck_assert_uint_eq(entry.stat.st_rdev, 0x12345678);
    vfs_forget(fs.vfs, entry.node, 1);
    ck_assert_int_eq(
        vfs_mknod(fs.vfs, &fs.caller, vfs_root(fs.vfs), "dir", S_IFDIR | 0600, 0, &entry),
        -EINVAL);
    ck_assert_int_eq(vfs_read(fs.vfs, vfs_root(fs.vfs), 0, &byte, 1, 0, &got), -EISDIR);
    st.st_size = INT64_MAX;
    ck_assert_int_eq(vfs_setattr(fs.vfs, &fs.caller, node, &st, VFS_SIZE, &st), -EFBIG);
    ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, node, UINT64_C(1) << 50, "x", 1, 0),
                     -EFBIG);
}
END_TEST

START_TEST(test_space_is_the_disks_less_the_reserve)
{
    struct lsmkv_stats stats;
    struct statvfs st;

    ck_assert_int_eq(vfs_statfs(fs.vfs, &st), 0);
    ck_assert_int_eq(lsmkv_get_stats(vfs_store(fs.vfs)->db, &stats), 0);
    ck_assert_uint_eq(st.f_bsize, 4096);
    ck_assert_uint_eq(st.f_namemax, 255);
    ck_assert_uint_eq(st.f_blocks, (stats.total_bytes - stats.reserve_bytes) / 4096);
    ck_assert_uint_le(st.f_bavail, st.f_blocks);
}
END_TEST

/* ---- the price of a lookup ---- */

/* The least of several lookups: threads in the background have iterators of their own. */
static uint64_t
iterators_of_a_lookup(void)
{
    uint64_t least = UINT64_MAX;

    for (unsigned i = 0; i < 20 && least > 0; i++) {
        struct lsmkv_stats before, after;
        struct stat st;

        ck_assert_int_eq(lsmkv_get_stats(vfs_store(fs.vfs)->db, &before), 0);
        ck_assert_int_eq(fs_stat(&fs, "f", &st), 0);
        ck_assert_int_eq(lsmkv_get_stats(vfs_store(fs.vfs)->db, &after), 0);
        if (after.iterators - before.iterators < least)
            least = after.iterators - before.iterators;
    }
    return least;
}

static uint64_t
lookups_of_unlink(const char *path)
{
    struct lsmkv_stats before, after;

    ck_assert_int_eq(lsmkv_get_stats(vfs_store(fs.vfs)->db, &before), 0);
    ck_assert_int_eq(fs_unlink(&fs, path), 0);
    ck_assert_int_eq(lsmkv_get_stats(vfs_store(fs.vfs)->db, &after), 0);
    return after.lookups - before.lookups;
}

/* The second file to go: that the directory has a record is known from the first. */
START_TEST(test_a_directory_that_changes_again_is_not_read)
{
    uint64_t first = UINT64_MAX, second = UINT64_MAX;
    char path[32];

    for (unsigned i = 0; i < 20; i++) {
        static const char *const names[] = {"", "/a", "/b"};
        uint64_t lookups[3] = {0};

        for (unsigned n = 0; n < 3; n++) {
            snprintf(path, sizeof(path), "d%u%s", i, names[n]);
            ck_assert_int_eq(n == 0 ? fs_mkdir(&fs, path) : fs_put(&fs, path, "x"), 0);
        }
        ck_assert_int_eq(vfs_sync(fs.vfs), 0); /* nothing is deferred */
        for (unsigned n = 1; n < 3; n++) {
            snprintf(path, sizeof(path), "d%u%s", i, names[n]);
            lookups[n] = lookups_of_unlink(path);
        }
        first = lookups[1] < first ? lookups[1] : first;
        second = lookups[2] < second ? lookups[2] : second;
    }
    ck_assert_uint_eq(second, first - 1);
}
END_TEST

/* Another program writes one key while the store is not mounted. */
static void
write_from_outside(const char *key)
{
    struct lsmkv *db;

    fs_close(&fs);
    ck_assert_int_eq(lsmkv_open("lsmfs-test-store", &fs.engine, &db), 0);
    ck_assert_int_eq(
        lsmkv_put(db, NULL, lsmkv_str(key), lsmkv_bytes(NULL, 0), lsmkv_str("x"), 0), 0);
    ck_assert_int_eq(lsmkv_close(db), 0);
    fs_open(&fs);
}

/* The walk over the store comes to its end, and so does the sweep's first. */
static void
await_cheap_lookups(void)
{
    const struct timespec step = {0, 1000000};

    for (unsigned i = 0; i < 10000 && iterators_of_a_lookup() > 0; i++)
        nanosleep(&step, NULL);
    ck_assert_uint_eq(iterators_of_a_lookup(), 0);
}

/* Closes the store, and it is known to be all ours. */
static void
expect_ours(void)
{
    struct store *store;
    char why[256];
    bool foreign;

    fs_close(&fs);
    ck_assert_int_eq(store_open(&fs.options.store, &store, why, sizeof(why)), 0);
    ck_assert_int_eq(foreign_find(store, &foreign), 0);
    ck_assert(!foreign);
    ck_assert_int_eq(store_close(store), 0);
    fs_open(&fs);
}

/* After one kill, or one key from outside, lookups cost a seek for ever. */
START_TEST(test_lookups_are_cheap_again_after_others_wrote)
{
    vfs_forget(fs.vfs, node, 1);
    expect_ours();
    await_cheap_lookups();
    write_from_outside("other");
    await_cheap_lookups();
    expect_ours();
    fs_kill(&fs);
    await_cheap_lookups();
    expect_ours();
    ck_assert_int_eq(fs_node(&fs, "f", &node), 0);
}
END_TEST

START_TEST(test_stores_with_files_below_files_pay_for_them)
{
    vfs_forget(fs.vfs, node, 1);
    write_from_outside("f/below");
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_gt(iterators_of_a_lookup(), 0);
        fs_expect(&fs, "f/below", "x");
        fs_reopen(&fs);
    }
    ck_assert_int_eq(fs_node(&fs, "f", &node), 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("vfs_attr");
    TCase *tcase = tcase_create("attr");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_times_take_any_second_and_nanosecond);
    tcase_add_test(tcase, test_privileges_go_when_others_change_the_file);
    tcase_add_test(tcase, test_a_stranger_who_changes_nothing_leaves_ctime_alone);
    tcase_add_test(tcase, test_capabilities_count_and_not_the_number_of_root);
    tcase_add_test(tcase, test_a_new_owner_takes_the_group_bit_from_a_group_not_his);
    tcase_add_test(tcase, test_capabilities_go_with_any_write);
    tcase_add_test(tcase, test_many_extended_attributes_of_any_size);
    tcase_add_test(tcase, test_setting_what_is_set_leaves_ctime_alone);
    tcase_add_test(tcase, test_extended_attributes_go_with_the_last_name);
    tcase_add_test(tcase, test_a_damaged_extended_attribute_is_in_nobodys_way);
    tcase_add_test(tcase, test_removed_file_keeps_long_extended_attributes_while_open);
    tcase_add_test(tcase, test_default_list_of_any_length_is_inherited);
    tcase_add_test(tcase, test_directories_that_are_no_records_have_no_list);
    tcase_add_test(tcase, test_appending_is_done_at_the_end);
    tcase_add_test(tcase, test_holes_are_found_and_made);
    tcase_add_test(tcase, test_copy_copies);
    tcase_add_test(tcase, test_read_moves_the_access_time_once);
    tcase_add_test(tcase, test_a_file_without_a_name_has_times_too);
    tcase_add_test(tcase, test_read_of_a_large_value_in_its_record_writes_nothing);
    tcase_add_test(tcase, test_contents_of_what_is_no_file_are_refused);
    tcase_add_test(tcase, test_space_is_the_disks_less_the_reserve);
    tcase_add_test(tcase, test_a_directory_that_changes_again_is_not_read);
    tcase_add_test(tcase, test_lookups_are_cheap_again_after_others_wrote);
    tcase_add_test(tcase, test_stores_with_files_below_files_pay_for_them);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
