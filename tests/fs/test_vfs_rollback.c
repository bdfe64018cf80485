/*
 * test_vfs_rollback.c - a mounted tree goes back to a snapshot: what nodes from before are then, what the
 * kernel is told, and in which order, what is left of removed and cut files.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/xattr.h>
#include <time.h>

#include "check_fixture.h"
#include "store/records.h"
#include "store/sweep.h"

#define LARGE 500000u
/* What cannot be in a directory, told of each (G3 of vfs_rollback.c). */
#define NOBODYS "\001lsmfs\001"

static struct vfs_fixture fs;

/* ---- a kernel ---- */

#define TOLD_MAX 4000u
static struct told {
    struct node *node;
    char name[256]; /* "": the node itself */
} told[TOLD_MAX];
static unsigned told_count;

static void
invalidate(void *context, struct node *node, const char *name, size_t size)
{
    struct told *one = &told[told_count++];

    (void)context;
    ck_assert_uint_lt(told_count, TOLD_MAX);
    one->node = node;
    memcpy(one->name, name ? name : "", name ? size : 0);
    one->name[name ? size : 0] = '\0';
}

/* When it was told of the name, or with "" of the node: 1 for first; 0: not at all. */
static unsigned
told_of(const struct node *node, const char *name)
{
    for (unsigned i = 0; i < told_count; i++)
        if (told[i].node == node && strcmp(told[i].name, name) == 0)
            return i + 1;
    return 0;
}

static void
open_with_kernel(void)
{
    struct vfs_notify notify = {.invalidate = invalidate};

    fs_open(&fs);
    ck_assert_int_eq(vfs_start_notices(fs.vfs, &notify), 0);
    told_count = 0;
}

static void
setup(void)
{
    fs_init(&fs);
    fs_close(&fs);
    open_with_kernel();
}

/* Whatever was done, the store is sound, with nothing that no name shows. */
static void
teardown(void)
{
    if (fs.vfs)
        fs_close(&fs);
    ck_assert_uint_eq(fs_check(&fs), 0);
    fs_fini(&fs);
}

static void
snapshot(const char *name)
{
    char path[64];

    snprintf(path, sizeof(path), ".snapshots/%s", name);
    ck_assert_int_eq(fs_mkdir(&fs, path), 0);
}

static int
roll_back(const char *name, bool force)
{
    struct vfs_rollback rollback = {.snapshot = name, .force = force};

    return vfs_rollback(fs.vfs, &rollback);
}

static struct node *
node_at(const char *path)
{
    struct node *node;

    ck_assert_int_eq(fs_node(&fs, path, &node), 0);
    return node;
}

static void
forget(struct node *node)
{
    vfs_forget(fs.vfs, node, 1);
}

static int
getattr(struct node *node)
{
    struct stat st;

    return vfs_getattr(fs.vfs, node, &st, NULL);
}

static void
put_large(const char *path, int byte)
{
    static char bytes[LARGE];

    memset(bytes, byte, sizeof(bytes));
    ck_assert_int_eq(fs_write(&fs, path, bytes, sizeof(bytes), NULL), 0);
}

static void
expect_large(const char *path, int byte, size_t size)
{
    static char bytes[LARGE + 1], expected[LARGE];
    int got = fs_read(&fs, path, bytes, sizeof(bytes));

    ck_assert_int_eq(got, (int)size);
    memset(expected, byte, size);
    ck_assert_mem_eq(bytes, expected, size);
}

/* ---- nodes ---- */

START_TEST(test_what_is_there_before_and_after_keeps_its_node)
{
    struct node *d, *f;

    ck_assert_int_eq(fs_mkdir(&fs, "d"), 0);
    ck_assert_int_eq(fs_put(&fs, "d/f", "then"), 0);
    snapshot("s");
    d = node_at("d");
    f = node_at("d/f");
    ck_assert_int_eq(fs_unlink(&fs, "d/f"), 0);
    forget(f);
    ck_assert_int_eq(roll_back("s", false), 0);
    f = node_at("d/f");
    ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, f, 0, "later", 5, 0), 0);
    told_count = 0;
    ck_assert_int_eq(roll_back("s", false), 0);
    fs_expect(&fs, "d/f", "then");
    ck_assert_ptr_eq(node_at("d"), d);
    ck_assert_ptr_eq(node_at("d/f"), f);
    /* Forgetting the name of a directory would detach what is mounted in it. */
    ck_assert_uint_eq(told_of(vfs_root(fs.vfs), "d"), 0);
    ck_assert_uint_eq(told_of(d, "f"), 0);
    ck_assert_uint_gt(told_of(d, ""), told_of(d, NOBODYS));
    ck_assert_uint_gt(told_of(f, ""), told_of(d, NOBODYS));
    ck_assert_uint_gt(told_of(d, NOBODYS), 0);
    for (unsigned i = 0; i < 2; i++) {
        forget(d);
        forget(f);
    }
}
END_TEST

START_TEST(test_what_is_gone_or_another_is_stale)
{
    struct node *new, *old, *dir, *below;
    uint64_t ino;

    ck_assert_int_eq(fs_put(&fs, "f", "then"), 0);
    ino = fs_ino(&fs, "f");
    snapshot("s");
    ck_assert_int_eq(fs_unlink(&fs, "f"), 0);
    ck_assert_int_eq(fs_put(&fs, "f", "another"), 0);
    ck_assert_int_eq(fs_put(&fs, "new", "new"), 0);
    ck_assert_int_eq(fs_mkdir(&fs, "dir"), 0);
    ck_assert_int_eq(fs_put(&fs, "dir/below", "below"), 0);
    old = node_at("f");
    new = node_at("new");
    dir = node_at("dir");
    below = node_at("dir/below");
    ck_assert_int_eq(roll_back("s", false), 0);
    ck_assert_int_eq(getattr(old), -ESTALE);
    ck_assert_int_eq(getattr(new), -ESTALE);
    ck_assert_int_eq(getattr(dir), -ESTALE);
    ck_assert_int_eq(getattr(below), -ESTALE);
    ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, old, 0, "x", 1, 0), -ESTALE);
    ck_assert_uint_gt(told_of(vfs_root(fs.vfs), "f"), 0);
    ck_assert_uint_gt(told_of(vfs_root(fs.vfs), "new"), 0);
    ck_assert_uint_gt(told_of(vfs_root(fs.vfs), "dir"), 0);
    ck_assert_uint_gt(told_of(dir, "below"), 0);
    ck_assert_uint_gt(told_of(below, ""), told_of(dir, "below"));
    fs_expect(&fs, "f", "then");
    ck_assert_uint_eq(fs_ino(&fs, "f"), ino);
    fs_expect_names(&fs, "", "f ");
    forget(old);
    forget(new);
    forget(dir);
    forget(below);
    fs_expect(&fs, "f", "then");
}
END_TEST

/* The kernel may know them to be absent: files, and directories that only keys imply. */
START_TEST(test_names_that_come_back_are_told)
{
    struct node *kept;
    unsigned at;

    ck_assert_int_eq(fs_mkdir(&fs, "kept"), 0);
    ck_assert_int_eq(fs_put(&fs, "kept/file", "1"), 0);
    ck_assert_int_eq(fs_put(&fs, "file", "1"), 0);
    fs_raw_put(&fs, "implied/a/b", 11, "1");
    fs_raw_put(&fs, "implied/a/c", 11, "1");
    snapshot("s");
    ck_assert_int_eq(fs_unlink(&fs, "kept/file"), 0);
    ck_assert_int_eq(fs_unlink(&fs, "file"), 0);
    ck_assert_int_eq(fs_unlink(&fs, "implied/a/b"), 0);
    ck_assert_int_eq(fs_unlink(&fs, "implied/a/c"), 0);
    ck_assert_int_eq(fs_rmdir(&fs, "implied/a"), 0);
    ck_assert_int_eq(fs_rmdir(&fs, "implied"), 0);
    kept = node_at("kept");
    ck_assert_int_eq(roll_back("s", false), 0);
    ck_assert_uint_gt(told_of(kept, "file"), 0);
    ck_assert_uint_gt(told_of(vfs_root(fs.vfs), "file"), 0);
    at = told_of(vfs_root(fs.vfs), "implied");
    ck_assert_uint_gt(at, 0);
    for (unsigned i = at; i < told_count; i++) /* once */
        ck_assert_str_ne(told[i].name, "implied");
    fs_expect(&fs, "implied/a/c", "1");
    fs_expect_names(&fs, "", "file implied/ kept/ ");
    forget(kept);
}
END_TEST

/* The node of "a/x" leads to the inode that it is, but by way of another directory of that name. */
START_TEST(test_renamed_directories_take_what_is_below_along)
{
    struct node *a, *c, *x;

    ck_assert_int_eq(fs_mkdir(&fs, "a"), 0);
    ck_assert_int_eq(fs_put(&fs, "a/x", "x"), 0);
    snapshot("s");
    ck_assert_int_eq(fs_rename(&fs, "a", "c", 0), 0);
    ck_assert_int_eq(fs_mkdir(&fs, "a"), 0);
    ck_assert_int_eq(fs_rename(&fs, "c/x", "a/x", 0), 0);
    a = node_at("a");
    c = node_at("c");
    x = node_at("a/x");
    ck_assert_int_eq(roll_back("s", false), 0);
    ck_assert_int_eq(getattr(a), -ESTALE);
    ck_assert_int_eq(getattr(c), -ESTALE);
    ck_assert_int_eq(getattr(x), -ESTALE);
    fs_expect(&fs, "a/x", "x");
    fs_expect_names(&fs, "", "a/ ");
    forget(a);
    forget(c);
    forget(x);
}
END_TEST

START_TEST(test_hard_links_come_and_go)
{
    struct node *f, *g;

    ck_assert_int_eq(fs_put(&fs, "f", "one"), 0);
    snapshot("single");
    ck_assert_int_eq(fs_link(&fs, "f", "g"), 0);
    ck_assert_int_eq(fs_put(&fs, "other", "1"), 0);
    snapshot("double");
    f = node_at("f");
    ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, f, 0, "two", 3, 0), 0);
    ck_assert_int_eq(roll_back("single", false), 0);
    ck_assert_uint_gt(told_of(vfs_root(fs.vfs), "f"), 0);
    ck_assert_uint_gt(told_of(vfs_root(fs.vfs), "g"), 0);
    fs_expect(&fs, "f", "one");
    ck_assert_uint_eq(fs_nlink(&fs, "f"), 1);
    ck_assert_int_eq(fs_unlink(&fs, "g"), -ENOENT);
    forget(f);
    f = node_at("f"); /* not shared now, and it will be */
    ck_assert_int_eq(roll_back("double", false), 0);
    g = node_at("g");
    ck_assert_ptr_eq(f, g);
    ck_assert_uint_eq(fs_nlink(&fs, "g"), 2);
    ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, f, 0, "six", 3, 0), 0);
    fs_expect(&fs, "g", "six");
    forget(f);
    forget(g);
    ck_assert_int_eq(fs_unlink(&fs, "f"), 0);
    fs_expect(&fs, "g", "six");
    ck_assert_uint_eq(fs_nlink(&fs, "g"), 1);
}
END_TEST

/* ---- open files ---- */

START_TEST(test_open_files_are_told_of_and_forced)
{
    struct vfs_rollback rollback = {.snapshot = "s"};
    struct node *f, *again;
    char bytes[16];
    size_t got;

    ck_assert_int_eq(fs_put(&fs, "f", "then"), 0);
    ck_assert_int_eq(fs_put(&fs, "g", "then"), 0);
    snapshot("s");
    ck_assert_int_eq(fs_put(&fs, "h", "now"), 0);
    f = node_at("f");
    vfs_opened(fs.vfs, f, O_RDWR);
    vfs_opened(fs.vfs, f, O_RDONLY);
    ck_assert_int_eq(vfs_rollback(fs.vfs, &rollback), -EBUSY);
    ck_assert_uint_eq(rollback.open, 1);
    fs_expect(&fs, "h", "now");
    ck_assert_uint_eq(told_count, 0);
    ck_assert_int_eq(vfs_read(fs.vfs, f, 0, bytes, sizeof(bytes), 0, &got), 0);
    rollback.force = true;
    ck_assert_int_eq(vfs_rollback(fs.vfs, &rollback), 0);
    /* Not even the same file is written to by who had it open. */
    ck_assert_int_eq(vfs_read(fs.vfs, f, 0, bytes, sizeof(bytes), 0, &got), -ESTALE);
    ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, f, 0, "old", 3, 0), -ESTALE);
    again = node_at("f");
    ck_assert_ptr_ne(again, f);
    fs_expect(&fs, "f", "then");
    vfs_released(fs.vfs, f, O_RDWR);
    vfs_released(fs.vfs, f, O_RDONLY);
    forget(f);
    forget(again);
    fs_expect(&fs, "f", "then");
}
END_TEST

static void *
close_late(void *node)
{
    const struct timespec pause = {0, 50000000};

    nanosleep(&pause, NULL);
    vfs_released(fs.vfs, node, O_RDONLY);
    return NULL;
}

/* The daemon hears of a close after the program has gone on. */
START_TEST(test_a_file_that_is_being_closed_is_waited_for)
{
    struct node *f;
    pthread_t id;

    ck_assert_int_eq(fs_put(&fs, "f", "then"), 0);
    snapshot("s");
    ck_assert_int_eq(fs_put(&fs, "new", "1"), 0);
    f = node_at("f");
    vfs_opened(fs.vfs, f, O_RDONLY);
    ck_assert_int_eq(pthread_create(&id, NULL, close_late, f), 0);
    ck_assert_int_eq(roll_back("s", false), 0);
    pthread_join(id, NULL);
    forget(f);
    fs_expect_names(&fs, "", "f ");
}
END_TEST

/* Its chunks are those of a file again, and who held it must not take them along. */
START_TEST(test_removed_files_that_are_held_come_back_whole)
{
    struct node *large, *small, *fresh;

    put_large("large", 'l');
    ck_assert_int_eq(fs_put(&fs, "small", "then"), 0);
    snapshot("s");
    put_large("fresh", 'f');
    large = node_at("large");
    small = node_at("small");
    fresh = node_at("fresh");
    ck_assert_int_eq(fs_unlink(&fs, "large"), 0);
    ck_assert_int_eq(fs_unlink(&fs, "small"), 0);
    ck_assert_int_eq(fs_unlink(&fs, "fresh"), 0);
    ck_assert_int_eq(roll_back("s", false), 0);
    ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, large, 0, "x", 1, 0), -ESTALE);
    ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, small, 0, "x", 1, 0), -ESTALE);
    ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, fresh, 0, "x", 1, 0), -ESTALE);
    forget(large);
    forget(small);
    forget(fresh);
    ck_assert_int_eq(vfs_sync(fs.vfs), 0);
    expect_large("large", 'l', LARGE);
    fs_expect(&fs, "small", "then");
    fs_close(&fs);
    open_with_kernel();
    expect_large("large", 'l', LARGE);
}
END_TEST

/* How many chunks there are; of which data id the first is. */
static unsigned
count_chunks(uint64_t *data_id)
{
    struct store *store = vfs_store(fs.vfs);
    struct lsmkv_iter *iter;
    unsigned count = 0;

    ck_assert_int_eq(lsmkv_iter_new(store->db, store->chunks, NULL, &iter), 0);
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter); lsmkv_iter_next(iter)) {
        const uint8_t *key = (const uint8_t *)lsmkv_iter_key(iter).data;

        if (count++ == 0)
            for (unsigned i = 0; i < 8; i++)
                *data_id = *data_id << 8 | key[i];
    }
    ck_assert_int_eq(lsmkv_iter_status(iter), 0);
    lsmkv_iter_free(iter);
    return count;
}

static void
sweep(void)
{
    bool more = true;

    while (more)
        ck_assert_int_eq(sweep_step(vfs_store(fs.vfs), &more), 0);
}

/* As a cut leaves it: chunks that are dead are to be swept, at the latest when the file grows.  The daemon
 * must know of it again. */
START_TEST(test_trims_of_the_snapshot_are_swept)
{
    struct store *store = vfs_store(fs.vfs);
    struct record_key trim;
    uint64_t data_id = 0;

    put_large("f", 'f');
    ck_assert_uint_eq(count_chunks(&data_id), 4);
    trim = record_trim(data_id, 2);
    ck_assert_int_eq(lsmkv_put(store->db, store->inodes, record_slice(&trim),
                               lsmkv_bytes(NULL, 0), lsmkv_bytes(NULL, 0), 0),
                     0);
    snapshot("s");
    ck_assert_int_eq(lsmkv_delete(store->db, store->inodes, record_slice(&trim), 0), 0);
    sweep();
    ck_assert_uint_eq(count_chunks(&data_id), 4);
    ck_assert_int_eq(roll_back("s", false), 0);
    sweep();
    ck_assert_uint_eq(count_chunks(&data_id), 2);
    ck_assert_int_eq(fs_rmdir(&fs, ".snapshots/s"), 0);
}
END_TEST

/* A file that was removed but open when the snapshot was taken is nobody's afterwards. */
START_TEST(test_orphans_of_the_snapshot_are_swept)
{
    struct node *node;
    uint64_t data_id = 0;

    put_large("f", 'f');
    node = node_at("f");
    ck_assert_int_eq(fs_unlink(&fs, "f"), 0);
    snapshot("s");
    ck_assert_int_eq(fs_put(&fs, "new", "1"), 0);
    ck_assert_int_eq(roll_back("s", false), 0);
    ck_assert_int_eq(getattr(node), -ESTALE);
    sweep();
    ck_assert_uint_eq(count_chunks(&data_id), 0);
    forget(node);
    fs_expect_names(&fs, "", "");
}
END_TEST

/* ---- the sweep's, the times', the counters' ---- */

static void
cut(const char *path, off_t size)
{
    struct stat change = {.st_size = size}, st;
    struct node *node = node_at(path);

    ck_assert_int_eq(vfs_setattr(fs.vfs, &fs.caller, node, &change, VFS_SIZE, &st), 0);
    forget(node);
}

/* Cutting leaves chunks that are swept later; the sweep must neither take those that came back, nor
 * leave what the snapshot had cut. */
START_TEST(test_cut_files_are_whole_again_and_whole_ones_are_cut)
{
    static char bytes[LARGE + 1], zeros[LARGE];
    struct node *node;
    int got;

    put_large("f", 'f');
    put_large("g", 'g');
    snapshot("whole");
    cut("f", 140000);
    cut("g", 140000);
    snapshot("cut");
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(roll_back("whole", false), 0);
        expect_large("f", 'f', LARGE);
        cut("g", 100);
        ck_assert_int_eq(roll_back("cut", false), 0);
        expect_large("f", 'f', 140000);
        node = node_at("g");
        ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, node, LARGE - 1, "g", 1, 0), 0);
        forget(node);
        got = fs_read(&fs, "g", bytes, sizeof(bytes));
        ck_assert_int_eq(got, LARGE);
        ck_assert_mem_eq(bytes + 140000, zeros, LARGE - 1 - 140000);
    }
    ck_assert_int_eq(roll_back("whole", false), 0);
    expect_large("g", 'g', LARGE);
    fs_close(&fs);
    ck_assert_uint_eq(fs_check(&fs), 0);
    open_with_kernel();
    expect_large("f", 'f', LARGE);
    expect_large("g", 'g', LARGE);
}
END_TEST

/* What is stored of a chunk is another then than was written last: the fragments go on from there. */
START_TEST(test_files_that_went_back_are_written_on)
{
    struct node *node;

    put_large("f", 'f');
    node = node_at("f");
    snapshot("then");
    for (unsigned i = 0; i < 10; i++)
        ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, node, 5000 * i, "g", 1, 0), 0);
    ck_assert_int_eq(roll_back("then", false), 0);
    expect_large("f", 'f', LARGE);
    ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, node, 5000, "f", 1, 0), 0);
    expect_large("f", 'f', LARGE);
    forget(node);
    fs_close(&fs);
    ck_assert_uint_eq(fs_check(&fs), 0);
    open_with_kernel();
}
END_TEST

START_TEST(test_times_that_were_deferred_are_those_of_then)
{
    const struct timespec pause = {0, 20000000};
    struct stat before, st;

    ck_assert_int_eq(fs_mkdir(&fs, "d"), 0);
    snapshot("s");
    ck_assert_int_eq(fs_stat(&fs, "d", &before), 0);
    nanosleep(&pause, NULL);
    ck_assert_int_eq(fs_put(&fs, "d/f", "1"), 0);
    ck_assert_int_eq(roll_back("s", false), 0);
    ck_assert_int_eq(vfs_sync(fs.vfs), 0);
    ck_assert_int_eq(fs_stat(&fs, "d", &st), 0);
    ck_assert_int_eq(st.st_mtim.tv_sec, before.st_mtim.tv_sec);
    ck_assert_int_eq(st.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
    fs_expect_names(&fs, "d", "");
    ck_assert_int_eq(fs_put(&fs, "d/f", "2"), 0); /* and they go on */
    ck_assert_int_eq(fs_stat(&fs, "d", &st), 0);
    ck_assert(st.st_mtim.tv_sec > before.st_mtim.tv_sec ||
              st.st_mtim.tv_nsec > before.st_mtim.tv_nsec);
}
END_TEST

START_TEST(test_no_number_is_given_out_again)
{
    uint64_t before;

    snapshot("s");
    ck_assert_int_eq(fs_put(&fs, "f", "1"), 0);
    before = fs_ino(&fs, "f");
    ck_assert_int_eq(roll_back("s", false), 0);
    ck_assert_int_eq(fs_put(&fs, "g", "1"), 0);
    ck_assert_uint_gt(fs_ino(&fs, "g"), before);
    fs_kill(&fs);
    fs_expect_names(&fs, "", "g ");
    ck_assert_int_eq(fs_put(&fs, "h", "1"), 0);
    ck_assert_uint_gt(fs_ino(&fs, "h"), fs_ino(&fs, "g"));
}
END_TEST

/* The mount has found that no file has keys below it; that is not so any more. */
START_TEST(test_keys_below_files_that_come_back_are_found)
{
    ck_assert_int_eq(fs_put(&fs, "f", "file"), 0);
    fs_raw_put(&fs, "f/below", 7, "x");
    snapshot("s");
    ck_assert_int_eq(lsmkv_delete(vfs_store(fs.vfs)->db, NULL, lsmkv_str("f/below"), 0),
                     0);
    for (unsigned i = 0; i < 10; i++) {
        const struct timespec step = {0, 10000000};

        nanosleep(&step, NULL); /* the walk ends, and is noted when it is closed */
        fs_close(&fs);
        open_with_kernel();
    }
    fs_expect(&fs, "f", "file");
    ck_assert_int_eq(roll_back("s", false), 0);
    fs_expect(&fs, "f/below", "x");
    fs_expect(&fs, ".lsmfs/keys/f", "file");
    fs_kill(&fs);
    fs_expect(&fs, "f/below", "x");
}
END_TEST

/* ---- the rest ---- */

/* Who fills the kernel's listing goes on in another tree than he began in. */
START_TEST(test_a_listing_under_way_is_not_kept)
{
    struct node *d;

    ck_assert_int_eq(fs_mkdir(&fs, "d"), 0);
    snapshot("s");
    d = node_at("d");
    ck_assert(vfs_listing_holds(d));
    ck_assert(vfs_listing_take(d));
    ck_assert_int_eq(fs_put(&fs, "d/f", "1"), 0);
    ck_assert_int_eq(roll_back("s", false), 0);
    ck_assert(!vfs_listing_holds(d)); /* another, who is not served from it */
    ck_assert(!vfs_listing_take(d));
    vfs_listing_give(d);
    ck_assert(!vfs_listing_holds(d));
    ck_assert(vfs_listing_take(d));
    vfs_listing_give(d);
    ck_assert(vfs_listing_holds(d));
    forget(d);
}
END_TEST

START_TEST(test_files_by_key_are_anew)
{
    struct node *node;

    fs_raw_put(&fs, "a//b", 4, "then");
    snapshot("s");
    ck_assert_int_eq(fs_unlink(&fs, ".lsmfs/keys/a%2F%2Fb"), 0);
    fs_raw_put(&fs, "a//b", 4, "now");
    node = node_at(".lsmfs/keys/a%2F%2Fb");
    ck_assert_int_eq(roll_back("s", false), 0);
    ck_assert_int_eq(getattr(node), -ESTALE);
    forget(node);
    fs_expect(&fs, ".lsmfs/keys/a%2F%2Fb", "then");
}
END_TEST

static atomic_bool gone_back;

static void *
go_back(void *unused)
{
    (void)unused;
    ck_assert_int_eq(roll_back("s", false), 0);
    gone_back = true;
    return NULL;
}

/* What a command has brought in, and no file has yet, would be taken away. */
START_TEST(test_an_upload_is_waited_for)
{
    const struct timespec pause = {0, 100000000};
    pthread_t id;

    snapshot("s");
    ck_assert_int_eq(fs_put(&fs, "f", "1"), 0);
    vfs_begin_upload(fs.vfs);
    ck_assert_int_eq(pthread_create(&id, NULL, go_back, NULL), 0);
    nanosleep(&pause, NULL);
    ck_assert(!gone_back);
    fs_expect(&fs, "f", "1");
    vfs_end_upload(fs.vfs);
    pthread_join(id, NULL);
    fs_expect_names(&fs, "", "");
}
END_TEST

START_TEST(test_what_may_not_is_refused)
{
    snapshot("s");
    ck_assert_int_eq(roll_back("none", true), -ENOENT);
    fs_close(&fs);
    fs.options.store.read_only = true;
    fs.options.store.create = false;
    fs_open(&fs);
    ck_assert_int_eq(roll_back("s", true), -EROFS);
    fs_close(&fs);
    fs.options.store.read_only = false;
    fs.options.snapshot = "s";
    fs_open(&fs);
    ck_assert_int_eq(roll_back("s", true), -EROFS);
}
END_TEST

/* Nothing has happened, and everything goes on. */
START_TEST(test_a_full_disk_lets_it_be)
{
    struct node *f, *removed;

    put_large("large", 'l');
    snapshot("s");
    for (unsigned i = 0; i < 200; i++) {
        char path[16];

        snprintf(path, sizeof(path), "n%u", i);
        ck_assert_int_eq(fs_put(&fs, path, "now"), 0);
    }
    removed = node_at("large");
    ck_assert_int_eq(fs_unlink(&fs, "large"), 0);
    f = node_at("n7");
    mem_env_set_capacity(fs.env, mem_env_used(fs.env));
    ck_assert_int_eq(roll_back("s", false), -ENOSPC);
    mem_env_set_capacity(fs.env, UINT64_MAX);
    fs_expect(&fs, "n199", "now");
    ck_assert_int_eq(getattr(f), 0);
    ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, removed, 0, "x", 1, 0), 0);
    ck_assert_uint_eq(told_count, 0);
    ck_assert_int_eq(roll_back("s", false), 0);
    expect_large("large", 'l', LARGE);
    fs_expect_names(&fs, "", "large ");
    forget(f);
    forget(removed);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("vfs_rollback");
    TCase *tcase = tcase_create("rollback");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, test_what_is_there_before_and_after_keeps_its_node);
    tcase_add_test(tcase, test_what_is_gone_or_another_is_stale);
    tcase_add_test(tcase, test_names_that_come_back_are_told);
    tcase_add_test(tcase, test_renamed_directories_take_what_is_below_along);
    tcase_add_test(tcase, test_hard_links_come_and_go);
    tcase_add_test(tcase, test_open_files_are_told_of_and_forced);
    tcase_add_test(tcase, test_a_file_that_is_being_closed_is_waited_for);
    tcase_add_test(tcase, test_removed_files_that_are_held_come_back_whole);
    tcase_add_test(tcase, test_trims_of_the_snapshot_are_swept);
    tcase_add_test(tcase, test_orphans_of_the_snapshot_are_swept);
    tcase_add_test(tcase, test_cut_files_are_whole_again_and_whole_ones_are_cut);
    tcase_add_test(tcase, test_files_that_went_back_are_written_on);
    tcase_add_test(tcase, test_times_that_were_deferred_are_those_of_then);
    tcase_add_test(tcase, test_no_number_is_given_out_again);
    tcase_add_test(tcase, test_keys_below_files_that_come_back_are_found);
    tcase_add_test(tcase, test_a_listing_under_way_is_not_kept);
    tcase_add_test(tcase, test_files_by_key_are_anew);
    tcase_add_test(tcase, test_an_upload_is_waited_for);
    tcase_add_test(tcase, test_what_may_not_is_refused);
    tcase_add_test(tcase, test_a_full_disk_lets_it_be);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
