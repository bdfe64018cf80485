/*
 * test_diff.c - diff.h against a plain comparison of two trees: random changes, and each kind of
 * change by itself; and what it reads.
 *
 * The comparison mounts both snapshots, walks them from the root and describes what stat, read,
 * readlink and listxattr say.  It knows nothing of keys, records or sequences.
 */
#include <sys/xattr.h>

#include "diff_told.h"
#include "store/attr.h"
#include "support/rounds.h"

/* ---- the plain comparison ---- */

struct thing {
    char path[256];
    mode_t mode;
    char *text; /* all that can be seen of it */
};

struct tree {
    struct thing things[LINES_MAX];
    size_t count;
};

static void
tree_free(struct tree *tree)
{
    while (tree->count > 0)
        free(tree->things[--tree->count].text);
}

static uint64_t
digest(uint64_t hash, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t
digest_contents(struct node *node, const struct stat *st)
{
    static char bytes[1 << 16];
    uint64_t hash = 1;
    size_t got = 1;

    if (S_ISLNK(st->st_mode)) {
        ck_assert_int_eq(vfs_readlink(fs.vfs, node, bytes, sizeof(bytes)), 0);
        return digest(hash, bytes, strlen(bytes));
    }
    for (uint64_t at = 0; S_ISREG(st->st_mode) && got > 0; at += got) {
        ck_assert_int_eq(vfs_read(fs.vfs, node, at, bytes, sizeof(bytes), 0, &got), 0);
        hash = digest(hash, bytes, got);
    }
    return hash;
}

/* In whatever order they come. */
static uint64_t
digest_xattrs(struct node *node)
{
    char names[4096], value[65536];
    uint64_t sum = 0;
    size_t size, length;

    ck_assert_int_eq(vfs_listxattr(fs.vfs, &fs.caller, node, names, sizeof(names), &size),
                     0);
    for (char *name = names; name < names + size; name += strlen(name) + 1) {
        ck_assert_int_eq(vfs_getxattr(fs.vfs, node, name, value, sizeof(value), &length),
                         0);
        sum += digest(digest(1, name, strlen(name)), value, length);
    }
    return sum;
}

static void
describe(struct thing *thing)
{
    struct node *node;
    struct stat st;

    ck_assert_int_eq(fs_node(&fs, thing->path, &node), 0);
    ck_assert_int_eq(vfs_getattr(fs.vfs, node, &st, NULL), 0);
    thing->mode = st.st_mode;
    ck_assert_int_gt(
        asprintf(&thing->text,
                 "ino %llu mode %o owner %u:%u rdev %llu time %lld.%09ld links %u size "
                 "%lld contents %llx xattrs %llx",
                 (unsigned long long)st.st_ino, st.st_mode, st.st_uid, st.st_gid,
                 (unsigned long long)st.st_rdev, (long long)st.st_mtim.tv_sec,
                 st.st_mtim.tv_nsec, S_ISDIR(st.st_mode) ? 0 : (unsigned)st.st_nlink,
                 S_ISDIR(st.st_mode) ? 0 : (long long)st.st_size,
                 (unsigned long long)digest_contents(node, &st),
                 (unsigned long long)digest_xattrs(node)),
        0);
    vfs_forget(fs.vfs, node, 1);
}

static void
gather(const char *path, struct tree *tree)
{
    struct thing *thing = &tree->things[tree->count++];

    ck_assert_uint_lt(tree->count, LINES_MAX);
    snprintf(thing->path, sizeof(thing->path), "%s", path);
    describe(thing);
    if (!S_ISDIR(thing->mode))
        return;
    struct fs_names *names = malloc(sizeof(*names));
    char *rest;
    ck_assert_ptr_nonnull(names);
    fs_list_by(&fs, path, false, 0, names);
    for (char *name = strtok_r(names->text, " ", &rest); name != NULL;
         name = strtok_r(NULL, " ", &rest)) {
        char child[256];

        name[strcspn(name, "/")] = '\0';
        snprintf(child, sizeof(child), "%s%s%s", path, *path != '\0' ? "/" : "", name);
        gather(child, tree);
    }
    free(names);
}

static int
compare_things(const void *left, const void *right)
{
    const struct thing *a = left, *b = right;

    return strcmp(a->path, b->path);
}

/* The tree of a snapshot, mounted by itself, so that inode numbers are the live ones. */
static void
gather_snapshot(const char *name, struct tree *tree)
{
    fs_close(&fs);
    fs.options.snapshot = name;
    fs.options.store.read_only = true;
    fs_open(&fs);
    gather("", tree);
    qsort(tree->things, tree->count, sizeof(tree->things[0]), compare_things);
    fs_close(&fs);
    fs.options.snapshot = NULL;
    fs.options.store.read_only = false;
    fs_open(&fs);
}

static void
compare_trees(const struct tree *a, const struct tree *b, struct lines *lines)
{
    size_t i = 0, k = 0;

    while (i < a->count || k < b->count) {
        const struct thing *left = &a->things[i], *right = &b->things[k];
        int order = i == a->count   ? 1
                    : k == b->count ? -1
                                    : strcmp(left->path, right->path);
        bool other_type = order == 0 && (left->mode & S_IFMT) != (right->mode & S_IFMT);

        if (order < 0 || other_type)
            lines_add(lines, "-", left->path);
        if (order > 0 || other_type)
            lines_add(lines, "+", right->path);
        if (order == 0 && !other_type && strcmp(left->text, right->text) != 0)
            lines_add(lines, "M", left->path);
        i += order <= 0;
        k += order >= 0;
    }
}

static size_t told_in_all;

static void
assert_same(struct lines *told, struct lines *wanted, const char *what)
{
    qsort(told->text, told->count, sizeof(told->text[0]), compare_lines);
    qsort(wanted->text, wanted->count, sizeof(wanted->text[0]), compare_lines);
    for (size_t i = 0; i < told->count || i < wanted->count; i++) {
        const char *a = i < told->count ? told->text[i] : "(nothing)";
        const char *b = i < wanted->count ? wanted->text[i] : "(nothing)";

        ck_assert_msg(strcmp(a, b) == 0, "%s: told \"%s\", and it is \"%s\"", what, a, b);
    }
    told_in_all += told->count;
    lines_free(told);
    lines_free(wanted);
}

/* Both ways. */
static void
check_pair(const char *from, const char *to)
{
    static struct tree a, b;
    static struct lines told, wanted;

    gather_snapshot(from, &a);
    gather_snapshot(to, &b);
    tell(from, to, &told);
    compare_trees(&a, &b, &wanted);
    assert_same(&told, &wanted, "forwards");
    tell(to, from, &told);
    compare_trees(&b, &a, &wanted);
    assert_same(&told, &wanted, "backwards");
    tree_free(&a);
    tree_free(&b);
}

/* ---- random changes ---- */

static struct random dice;

static unsigned
below(unsigned limit)
{
    return (unsigned)random_below(&dice, limit);
}

/* Few, with the bytes on which orders differ. */
static void
random_path(char path[64])
{
    static const char *const names[] = {"a", "b", "a.b", "a-b", "c"};
    unsigned depth = 1 + below(3);

    path[0] = '\0';
    for (unsigned i = 0; i < depth; i++)
        strcat(strcat(path, i > 0 ? "/" : ""), names[below(5)]);
}

static const char *
random_bytes(size_t size)
{
    static char bytes[400000];

    memset(bytes, 'a' + (int)below(26), size);
    if (size > 0)
        bytes[below((unsigned)size)] = 'A';
    return bytes;
}

static size_t
random_size(void)
{
    static const unsigned limits[] = {1, 100, 4097, 5000, 300000};

    return below(limits[below(5)]);
}

static void
change_contents(struct node *node)
{
    struct stat st = {.st_size = (off_t)random_size()};
    size_t size = random_size();

    if (below(3) == 0)
        (void)!vfs_setattr(fs.vfs, &fs.caller, node, &st, VFS_SIZE, &st);
    else
        (void)!vfs_write(fs.vfs, &fs.caller, node, random_size(), random_bytes(size),
                         size, 0);
}

/* Times and sizes meet again, so that contents alone tell. */
static void
change_attributes(struct node *node)
{
    struct stat st = {.st_mode = 0600 + below(4),
                      .st_uid = below(3),
                      .st_mtim = {.tv_sec = 1000 + below(2)},
                      .st_atim = {.tv_sec = below(1000)}};
    static const unsigned which[] = {VFS_MODE, VFS_UID, VFS_MTIME, VFS_MTIME, VFS_ATIME};

    (void)!vfs_setattr(fs.vfs, &fs.caller, node, &st, which[below(5)], &st);
}

static void
change_xattrs(struct node *node)
{
    static const char *const names[] = {"user.a", "user.b", "user.long"};
    const char *name = names[below(3)];
    size_t size = below(4) == 0 ? 3000 + below(2) : below(50);

    if (below(3) == 0)
        (void)!vfs_removexattr(fs.vfs, node, name);
    else
        (void)!vfs_setxattr(fs.vfs, &fs.caller, node, name, random_bytes(size), size, 0);
}

static void
make_symlink(const char *path)
{
    struct vfs_entry entry;
    struct node *parent;
    const char *name;

    if (fs_parent(&fs, path, &parent, &name) < 0)
        return;
    if (vfs_symlink(fs.vfs, &fs.caller, below(2) ? "x" : "y", parent, name, &entry) == 0)
        vfs_forget(fs.vfs, entry.node, 1);
    vfs_forget(fs.vfs, parent, 1);
}

/* As a program that knows nothing of files: directories are implied. */
static int
put_plain(void *context, struct store *store)
{
    return lsmkv_put(store->db, NULL, lsmkv_str(context), lsmkv_bytes(NULL, 0),
                     lsmkv_str("plain"), LSMKV_UNSYNCED);
}

static int
delete_plain(void *context, struct store *store)
{
    return lsmkv_delete(store->db, NULL, lsmkv_str(context), LSMKV_UNSYNCED);
}

/* Where no file is in the way, at a key that never was: directories that are implied anew, with the
 * very keys of another that was renamed, cannot be told apart from it. */
static void
put_as_others(char path[64])
{
    static unsigned number;
    struct stat st;
    bool clear = true;

    sprintf(path + strlen(path), ".%u", number++);
    for (char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        clear = clear && (fs_stat(&fs, path, &st) < 0 || S_ISDIR(st.st_mode));
        *slash = '/';
    }
    if (clear)
        ck_assert_int_eq(vfs_alter(fs.vfs, lsmkv_str(path), put_plain, path), 0);
}

static void
change_as_others(char path[64])
{
    static char made[8][64];
    char *chosen = made[below(8)];
    struct stat st;

    if (below(2) == 0) {
        put_as_others(path);
        strcpy(chosen, path);
    } else if (fs_stat(&fs, chosen, &st) == 0 && S_ISREG(st.st_mode) &&
               (st.st_ino & ATTR_INO_PLAIN) != 0) {
        ck_assert_int_eq(vfs_alter(fs.vfs, lsmkv_str(chosen), delete_plain, chosen), 0);
    }
}

static void
change_node(const char *path)
{
    struct node *node;

    if (fs_node(&fs, path, &node) < 0)
        return;
    if (below(3) == 0)
        change_attributes(node);
    else if (below(2) == 0)
        change_xattrs(node);
    else
        change_contents(node);
    vfs_forget(fs.vfs, node, 1);
}

static void
random_step(void)
{
    char path[64], other[64];
    size_t size = random_size();

    random_path(path);
    random_path(other);
    switch (below(20)) {
    case 0:
    case 1:
    case 2:
        (void)!fs_mkdir(&fs, path);
        break;
    case 3:
    case 4:
    case 5:
        (void)!fs_write(&fs, path, random_bytes(size), size, NULL);
        break;
    case 6:
        (void)!fs_unlink(&fs, path);
        break;
    case 7:
        (void)!fs_rmdir(&fs, path);
        break;
    case 8:
        (void)!fs_rename(&fs, path, other, below(3) == 0 ? RENAME_EXCHANGE : 0);
        break;
    case 9:
    case 10:
    case 11:
        (void)!fs_link(&fs, path, other);
        break;
    case 12:
        make_symlink(path);
        break;
    case 13:
        change_as_others(path);
        break;
    case 14:
        if (below(10) == 0)
            flush();
        else if (below(10) == 0)
            merge();
        break;
    default:
        change_node(path);
    }
}

START_TEST(test_what_is_told_is_what_a_plain_comparison_finds)
{
    uint64_t seed = random_seed(), rounds = rounds_of(60, 10), least = 1000 * rounds / 60;
    char name[16], before[16] = "s0", long_before[16] = "s0";

    dice = random_of(seed);
    snapshot("s0");
    for (unsigned round = 1;
         round <= rounds || (told_in_all <= least && round <= 4 * rounds); round++) {
        snprintf(name, sizeof(name), "s%u", round);
        for (unsigned i = below(round % 3 == 0 ? 200 : 15); i > 0; i--)
            random_step();
        snapshot(name);
        check_pair(before, name);
        if (round % 5 == 0)
            check_pair(long_before, name);
        if (below(4) == 0)
            strcpy(long_before, before);
        strcpy(before, name);
    }
    ck_assert_uint_gt(told_in_all, least);
}
END_TEST

/* ---- each by itself ---- */

static void
set(const char *path, unsigned which, const struct stat *change)
{
    struct stat st;
    struct node *node;

    ck_assert_int_eq(fs_node(&fs, path, &node), 0);
    ck_assert_int_eq(vfs_setattr(fs.vfs, &fs.caller, node, change, which, &st), 0);
    vfs_forget(fs.vfs, node, 1);
}

static void
write_at(const char *path, uint64_t offset, const char *text)
{
    struct node *node;

    ck_assert_int_eq(fs_node(&fs, path, &node), 0);
    ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, node, offset, text, strlen(text), 0),
                     0);
    vfs_forget(fs.vfs, node, 1);
}

START_TEST(test_names_come_and_go_in_path_order)
{
    ck_assert_int_eq(fs_mkdir(&fs, "a"), 0);
    ck_assert_int_eq(fs_put(&fs, "a/x", "1"), 0);
    ck_assert_int_eq(fs_put(&fs, "a.b", "1"), 0);
    ck_assert_int_eq(fs_put(&fs, "b", "1"), 0);
    snapshot("s");
    expect("s", "s", "");
    expect("s", "", "");
    ck_assert_int_eq(fs_rename(&fs, "a", "c", 0), 0);
    ck_assert_int_eq(fs_put(&fs, "a-b", "1"), 0);
    ck_assert_int_eq(fs_unlink(&fs, "b"), 0);
    ck_assert_int_eq(fs_mkdir(&fs, "b"), 0);
    ck_assert_int_eq(fs_put(&fs, "gone", "1"), 0);
    ck_assert_int_eq(fs_unlink(&fs, "gone"), 0);
    expect("s", "", "M ;- a;- a/x;+ a-b;- b;+ b;+ c;+ c/x;");
    snapshot("t");
    expect("t", "s", "M ;+ a;+ a/x;- a-b;- b;+ b;- c;- c/x;");
}
END_TEST

/* The root's times change in memory first. */
START_TEST(test_now_is_with_what_was_not_put_yet)
{
    snapshot("s");
    ck_assert_int_eq(fs_put(&fs, "f", "1"), 0);
    expect("s", "", "M ;+ f;");
}
END_TEST

START_TEST(test_access_and_change_times_alone_are_no_difference)
{
    struct stat st = {.st_mode = 0644, .st_atim = {.tv_sec = 5}};

    ck_assert_int_eq(fs_put(&fs, "f", "1"), 0);
    ck_assert_int_eq(fs_put(&fs, "l", "1"), 0);
    ck_assert_int_eq(fs_link(&fs, "l", "m"), 0);
    snapshot("s");
    set("f", VFS_ATIME, &st);
    set("f", VFS_MODE, &st);
    set("l", VFS_ATIME, &st);
    expect("s", "", "");
}
END_TEST

/* Size and time are as they were. */
START_TEST(test_contents_alone_are_a_difference)
{
    static const char *const paths[] = {"inline", "chunks", "hard"};
    static const uint64_t offsets[] = {50, 270000, 50};
    static char bytes[300000];
    struct stat st;

    memset(bytes, 'x', sizeof(bytes));
    ck_assert_int_eq(fs_write(&fs, "inline", bytes, 100, NULL), 0);
    ck_assert_int_eq(fs_write(&fs, "chunks", bytes, sizeof(bytes), NULL), 0);
    ck_assert_int_eq(fs_write(&fs, "hard", bytes, sizeof(bytes), NULL), 0);
    ck_assert_int_eq(fs_link(&fs, "hard", "link"), 0);
    snapshot("s");
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(fs_stat(&fs, paths[i], &st), 0);
        write_at(paths[i], offsets[i], "x");
        set(paths[i], VFS_MTIME, &st);
    }
    expect("s", "", "");
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(fs_stat(&fs, paths[i], &st), 0);
        write_at(paths[i], offsets[i], "y");
        set(paths[i], VFS_MTIME, &st);
    }
    expect("s", "", "M chunks;M hard;M inline;M link;");
}
END_TEST

/* Of directories that only keys imply there is no record that could change. */
START_TEST(test_implied_directories_come_and_go)
{
    char one[] = "p/q/one", two[] = "p/two";

    ck_assert_int_eq(vfs_alter(fs.vfs, lsmkv_str(one), put_plain, one), 0);
    snapshot("s");
    ck_assert_int_eq(vfs_alter(fs.vfs, lsmkv_str(two), put_plain, two), 0);
    ck_assert_int_eq(vfs_alter(fs.vfs, lsmkv_str(one), delete_plain, one), 0);
    expect("s", "", "- p/q;- p/q/one;+ p/two;");
    snapshot("t");
    expect("t", "s", "+ p/q;+ p/q/one;- p/two;");
    ck_assert_int_eq(vfs_alter(fs.vfs, lsmkv_str(two), delete_plain, two), 0);
    expect("s", "", "- p;- p/q;- p/q/one;");
    expect("t", "", "- p;- p/two;");
}
END_TEST

/* A file that others put keys below is a directory, and its value a file without a path. */
START_TEST(test_values_without_a_path_are_told_where_they_show)
{
    ck_assert_int_eq(fs_put(&fs, "f", "value"), 0);
    fs_raw_put(&fs, "odd//key", 8, "1");
    snapshot("s");
    fs_raw_put(&fs, "f/below", 7, "1");
    fs_raw_put(&fs, "odd//key", 8, "2");
    fs_raw_put(&fs, "nul\0key", 7, "1");
    expect("s", "",
           "- f;+ f;+ .lsmfs/keys/f;+ f/below;+ .lsmfs/keys/nul%00key;"
           "M .lsmfs/keys/odd%2F%2Fkey;");
    snapshot("t");
    ck_assert_int_eq(lsmkv_delete(db(), NULL, lsmkv_str("odd//key"), 0), 0);
    expect("t", "", "- odd;- .lsmfs/keys/odd%2F%2Fkey;");
}
END_TEST

/* ---- what it costs ---- */

static uint64_t
blocks(void)
{
    struct lsmkv_stats stats;

    ck_assert_int_eq(lsmkv_get_stats(db(), &stats), 0);
    return stats.blocks_read + stats.cache_hits;
}

/* As many blocks as the iteration over all names takes, and a hundredth of that. */
START_TEST(test_it_reads_what_has_changed_not_the_tree)
{
    char path[32];
    uint64_t before, least, all;
    struct lsmkv_iter *iter;

    for (int i = 0; i < 20000; i++) {
        if (i % 100 == 0) {
            snprintf(path, sizeof(path), "d%d", i / 100);
            ck_assert_int_eq(fs_mkdir(&fs, path), 0);
        }
        snprintf(path, sizeof(path), "d%d/f%d", i / 100, i);
        ck_assert_int_eq(fs_put(&fs, path, "a small file"), 0);
    }
    ck_assert_int_eq(fs_link(&fs, "d0/f0", "d9/hard"), 0);
    snapshot("s");
    merge();
    ck_assert_int_eq(fs_put(&fs, "d50/f5000", "changed"), 0);
    snapshot("t");
    for (int merged = 0; merged < 2; merged++) {
        fs_reopen(&fs);
        before = blocks();
        expect("s", "t", "M d50/f5000;");
        least = blocks() - before;
        ck_assert_uint_lt(least, 60);
        merge();
    }
    /* All names, once, for two of them. */
    before = blocks();
    ck_assert_int_eq(lsmkv_iter_new(db(), NULL, NULL, &iter), 0);
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter);)
        lsmkv_iter_next(iter);
    lsmkv_iter_free(iter);
    all = blocks() - before;
    ck_assert_uint_gt(all, 500);
    ck_assert_int_eq(fs_put(&fs, "d0/f0", "changed"), 0);
    before = blocks();
    expect("t", "", "M d0/f0;M d9/hard;");
    ck_assert_uint_lt(blocks() - before, all + all / 10 + 60);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("diff");
    TCase *tcase = tcase_create("diff");

    tcase_set_timeout(tcase, 600);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_what_is_told_is_what_a_plain_comparison_finds);
    tcase_add_test(tcase, test_names_come_and_go_in_path_order);
    tcase_add_test(tcase, test_now_is_with_what_was_not_put_yet);
    tcase_add_test(tcase, test_access_and_change_times_alone_are_no_difference);
    tcase_add_test(tcase, test_contents_alone_are_a_difference);
    tcase_add_test(tcase, test_implied_directories_come_and_go);
    tcase_add_test(tcase, test_values_without_a_path_are_told_where_they_show);
    tcase_add_test(tcase, test_it_reads_what_has_changed_not_the_tree);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
