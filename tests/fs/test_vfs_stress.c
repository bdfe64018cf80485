/*
 * test_vfs_stress.c - every kind of operation at once by several threads, beside flushes, merges,
 * snapshots, going back to them, and syncs; round after round, closed and checked in between.
 *
 * What must hold: an operation answers with success or an error that another one can have caused;
 * a read of a file that is only ever written whole sees one write, wholly; after each round a
 * check finds no damage and nothing is left but what names show; nor does one meanwhile, and an archive
 * loses nothing.  The rest is the sanitizers'.
 *
 * LSMKV_SECONDS: how long; 3, with the thread sanitizer 60.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "archive/export.h"
#include "check_fixture.h"
#include "vfs/snapshots.h"

#define WORKERS 4
#define ROUND   150 /* operations of each worker */
#define LARGE   150000
#define SMALL   3000

#if defined(__SANITIZE_THREAD__)
#define SECONDS 60
#else
#define SECONDS 3
#endif

static struct vfs_fixture fs;
static atomic_uint working, gone_back;
static uint64_t seed;

/* What is not there, is there, or is of another kind because somebody else was first. */
static void
allow(int result)
{
    ck_assert_msg(result >= 0 || result == -ENOENT || result == -EEXIST ||
                      result == -EISDIR || result == -ENOTDIR || result == -ENOTEMPTY ||
                      result == -EPERM || result == -EINVAL || result == -ESTALE ||
                      result == -ENODATA || result == -ENXIO || result == -EXDEV ||
                      result == -EOPNOTSUPP || result == -EBUSY,
                  "%s", strerror(-result));
}

/* ---- operations on one node ---- */

static void
change_contents(struct random *dice, struct node *node)
{
    static _Thread_local char bytes[LARGE];
    uint64_t offset = random_below(dice, LARGE),
             size = random_below(dice, LARGE - offset);
    struct stat st = {.st_size = (off_t)offset};
    size_t copied;

    switch (random_below(dice, 5)) {
    case 0:
        allow(vfs_write(fs.vfs, &fs.caller, node, offset, bytes, size + 1,
                        random_below(dice, 8) == 0 ? O_SYNC : 0));
        break;
    case 1:
        allow(vfs_write(fs.vfs, &fs.caller, node, offset % SMALL, bytes, size % SMALL + 1,
                        random_coin(dice) ? O_APPEND : 0));
        break;
    case 2:
        allow(vfs_setattr(fs.vfs, &fs.caller, node, &st, VFS_SIZE, &st));
        break;
    case 3:
        allow(vfs_fallocate(fs.vfs, &fs.caller, node,
                            FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset,
                            size + 1));
        break;
    default:
        allow(vfs_copy(fs.vfs, &fs.caller, node, offset, node, 2 * LARGE, size + 1, 0,
                       &copied));
    }
}

static void
look_at_node(struct random *dice, struct node *node)
{
    static _Thread_local char bytes[LARGE];
    struct timespec birth;
    uint64_t found;
    struct stat st;
    size_t got;

    allow(
        vfs_read(fs.vfs, node, random_below(dice, LARGE), bytes, sizeof(bytes), 0, &got));
    allow(vfs_getattr(fs.vfs, node, &st, &birth));
    allow(vfs_seek(fs.vfs, node, 0, random_coin(dice) ? SEEK_DATA : SEEK_HOLE, &found));
    allow(vfs_listxattr(fs.vfs, &fs.caller, node, bytes, sizeof(bytes), &got));
    allow(vfs_getxattr(fs.vfs, node, "user.a", bytes, sizeof(bytes), &got));
}

static void
change_attributes(struct random *dice, struct node *node)
{
    static const char value[2000];
    struct stat st = {.st_mode = 0640, .st_uid = 7};

    switch (random_below(dice, 4)) {
    case 0:
        allow(vfs_setxattr(fs.vfs, &fs.caller, node, "user.a", value,
                           random_below(dice, sizeof(value)), 0));
        break;
    case 1:
        allow(vfs_removexattr(fs.vfs, node, "user.a"));
        break;
    case 2:
        allow(vfs_fsync(fs.vfs, node));
        break;
    default:
        allow(vfs_setattr(fs.vfs, &fs.caller, node, &st,
                          VFS_MODE | VFS_UID | VFS_ATIME_NOW | VFS_MTIME_NOW, &st));
    }
}

static void
use_node(struct random *dice, const char *path)
{
    struct node *node;
    struct stat st;
    int result = fs_node(&fs, path, &node);

    allow(result);
    if (result < 0)
        return;
    result = vfs_getattr(fs.vfs, node, &st, NULL);
    allow(result);
    switch (random_below(dice, 4)) {
    case 0:
        change_attributes(dice, node);
        break;
    case 1:
        if (result == 0 && S_ISREG(st.st_mode)) {
            allow(fs_unlink(&fs, path)); /* and goes on with it */
            change_contents(dice, node);
        }
        break;
    case 2:
        if (result == 0 && S_ISREG(st.st_mode))
            look_at_node(dice, node);
        break;
    default:
        if (result == 0 && S_ISREG(st.st_mode))
            change_contents(dice, node);
    }
    vfs_forget(fs.vfs, node, 1);
}

/* ---- operations on names ---- */

static void
some_path(struct random *dice, char *path, size_t size)
{
    snprintf(path, size, "d%u/n%u", (unsigned)random_below(dice, 3),
             (unsigned)random_below(dice, 8));
}

static void
name_a_tmpfile(const char *path)
{
    struct vfs_entry made, entry;
    struct node *parent;
    const char *name;

    allow(vfs_tmpfile(fs.vfs, &fs.caller, vfs_root(fs.vfs), 0600, O_RDWR, &made));
    allow(vfs_write(fs.vfs, &fs.caller, made.node, 0, "text", 4, 0));
    if (fs_parent(&fs, path, &parent, &name) == 0) {
        int result = vfs_link(fs.vfs, made.node, parent, name, &entry);

        allow(result);
        if (result == 0)
            vfs_forget(fs.vfs, entry.node, 1);
        vfs_forget(fs.vfs, parent, 1);
    }
    vfs_forget(fs.vfs, made.node, 1);
}

static void
list(struct random *dice, const char *path)
{
    struct fs_names *names = mem_need(sizeof(*names));

    fs_list_by(&fs, path, random_coin(dice), random_coin(dice) ? 3 : 0, names);
    free(names);
}

static void
snapshot(struct random *dice)
{
    char path[32], below[64];
    int result;

    snprintf(path, sizeof(path), ".snapshots/s%u", (unsigned)random_below(dice, 3));
    result = fs_mkdir(&fs, path);
    allow(result);
    if (result < 0 && random_coin(dice)) {
        struct vfs_rollback rollback = {.snapshot = path + strlen(".snapshots/")};

        result = vfs_rollback(fs.vfs, &rollback);
        allow(result);
        gone_back += result == 0;
        return;
    }
    if (result < 0) {
        allow(fs_rmdir(&fs, path));
        return;
    }
    snprintf(below, sizeof(below), "%s/d0/n1", path);
    use_node(&(struct random){1}, "d0/n0");
    allow(fs_read(&fs, below, (char[SMALL]){0}, SMALL));
}

static void
change_names(struct random *dice)
{
    static const unsigned flags[] = {0, RENAME_NOREPLACE, RENAME_EXCHANGE};
    char a[32], b[32];
    struct statvfs st;

    some_path(dice, a, sizeof(a));
    some_path(dice, b, sizeof(b));
    switch (random_below(dice, 12)) {
    case 0:
    case 1:
        allow(fs_put(&fs, a, "some text"));
        break;
    case 2:
        allow(fs_mkdir(&fs, a));
        break;
    case 3:
        allow(fs_link(&fs, a, b));
        break;
    case 4:
        allow(fs_unlink(&fs, a));
        break;
    case 5:
        allow(fs_rmdir(&fs, a));
        break;
    case 6:
    case 7:
        allow(fs_rename(&fs, a, b, flags[random_below(dice, 3)]));
        break;
    case 8:
        a[2] = b[2] = '\0';
        allow(fs_rename(&fs, a, b, RENAME_EXCHANGE));
        break;
    case 9:
        a[2] = '\0';
        list(dice, a);
        break;
    case 10:
        name_a_tmpfile(a);
        break;
    default:
        allow(vfs_statfs(fs.vfs, &st));
    }
}

/* ---- what goes over everything ---- */

static bool
go_on(void *context)
{
    (void)context;
    return true;
}

/* What is different since a snapshot, or between two. */
static void
compare(struct random *dice)
{
    struct snapshots_output output = {.out = fopen("/dev/null", "w"), .go_on = go_on};
    char names[8];

    ck_assert_ptr_nonnull(output.out);
    snprintf(names, sizeof(names), random_coin(dice) ? "s%u/" : "s%u/s%u",
             (unsigned)random_below(dice, 3), (unsigned)random_below(dice, 3));
    allow(snapshots_diff(fs.vfs, lsmkv_str(names), &output));
    ck_assert_int_eq(fclose(output.out), 0);
}

static void
refuse_loss(void *context, struct lsmkv_slice key, const char *what)
{
    (void)context;
    ck_abort_msg("%.*s: %s", (int)key.size, (const char *)key.data, what);
}

/* As it is at one moment: an archive of it, or a check, whose files merges replace meanwhile. */
static void
look_at_all(struct random *dice)
{
    struct export_report told = {refuse_loss, refuse_loss, NULL};
    struct fsck_report report = {.finding = fs_print_record};
    struct lsmkv_check_options check = {.finding = fs_print_finding};
    struct store *store = vfs_store(fs.vfs);
    struct lsmkv_snapshot *now;
    uint64_t wrong = 0;

    ck_assert_int_eq(lsmkv_snapshot_take(store->db, &now), 0);
    if (random_coin(dice)) {
        struct export *export;
        int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

        ck_assert_int_eq(export_new(store, now, fd, &told, &export), 0);
        ck_assert_int_eq(export_tree(export, lsmkv_str("")), 0);
        ck_assert_int_eq(export_finish(export, &wrong), 0);
        close(fd);
    } else {
        ck_assert_int_eq(fsck_run(store, now, &report, &wrong), 0);
        ck_assert_int_eq(lsmkv_check_open(store->db, &check), 0);
    }
    ck_assert_uint_eq(wrong, 0);
    lsmkv_snapshot_release(store->db, now);
}

/* ---- files that are only written whole ---- */

static void
write_or_read_whole(struct random *dice)
{
    static _Thread_local char bytes[LARGE + 1];
    unsigned number = (unsigned)random_below(dice, 2);
    size_t size = number == 0 ? SMALL : LARGE, got = 0;
    struct node *node;

    ck_assert_int_eq(fs_node(&fs, number == 0 ? "small" : "large", &node), 0);
    if (random_coin(dice)) {
        memset(bytes, (int)random_below(dice, 256), size);
        ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, node, 0, bytes, size, 0), 0);
    } else {
        ck_assert_int_eq(vfs_read(fs.vfs, node, 0, bytes, size, 0, &got), 0);
        ck_assert_uint_eq(got, size);
        for (size_t i = 1; i < size; i++)
            ck_assert_msg(bytes[i] == bytes[0], "half of a write, from %zu on", i);
    }
    vfs_forget(fs.vfs, node, 1);
}

/* ---- threads ---- */

static void *
work(void *number)
{
    struct random dice = random_of(seed * WORKERS + (uintptr_t)number);

    for (unsigned i = 0; i < ROUND; i++) {
        uint64_t kind = random_below(&dice, 40);
        char path[32];

        some_path(&dice, path, sizeof(path));
        if (kind == 0)
            snapshot(&dice);
        else if (kind == 1 && i % 4 == 0)
            look_at_all(&dice);
        else if (kind == 1)
            compare(&dice);
        else if (kind < 6)
            write_or_read_whole(&dice);
        else if (kind < 20)
            use_node(&dice, path);
        else
            change_names(&dice);
    }
    working--;
    return NULL;
}

static void *
keep_up(void *unused)
{
    static const struct lsmkv_slice none;
    struct timespec nap = {0, 20000000};

    (void)unused;
    while (working > 0) {
        struct lsmkv *db = vfs_store(fs.vfs)->db;

        ck_assert_int_eq(vfs_sync(fs.vfs), 0);
        ck_assert_int_eq(lsmkv_flush(db), 0);
        ck_assert_int_eq(lsmkv_compact(db, NULL, none, none), 0);
        nanosleep(&nap, NULL);
    }
    return NULL;
}

static void
run_round(void)
{
    pthread_t ids[WORKERS + 1];

    working = WORKERS;
    for (uintptr_t i = 0; i < WORKERS; i++)
        ck_assert_int_eq(pthread_create(&ids[i], NULL, work, (void *)i), 0);
    ck_assert_int_eq(pthread_create(&ids[WORKERS], NULL, keep_up, NULL), 0);
    for (unsigned i = 0; i <= WORKERS; i++)
        pthread_join(ids[i], NULL);
}

static void
prepare(void)
{
    static char bytes[LARGE];

    fs_init(&fs);
    fs_close(&fs);
    fs.engine.write_buffer_size = 256 << 10;
    fs.engine.move_log_limit = seed % 2 == 0 ? 200 : 1 << 20;
    fs.options.store.commit_ms = 10;
    fs_open(&fs);
    for (unsigned i = 0; i < 3; i++) {
        char path[8];

        snprintf(path, sizeof(path), "d%u", i);
        ck_assert_int_eq(fs_mkdir(&fs, path), 0);
    }
    ck_assert_int_eq(fs_write(&fs, "small", bytes, SMALL, NULL), 0);
    ck_assert_int_eq(fs_write(&fs, "large", bytes, LARGE, NULL), 0);
}

static double
seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

START_TEST(test_everything_at_once_leaves_a_sound_store)
{
    const char *given = getenv("LSMKV_SECONDS");
    double end = seconds_now() + (given ? strtod(given, NULL) : SECONDS);
    unsigned rounds = 0;

    seed = random_seed();
    prepare();
    do {
        run_round();
        fs_close(&fs);
        ck_assert_uint_eq(fs_check(&fs), 0);
        fs_open(&fs);
        rounds++;
        seed++;
    } while (seconds_now() < end);
    printf("stress: %u rounds of %d operations, %u times gone back\n", rounds,
           WORKERS * ROUND, gone_back);
    fs_fini(&fs);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("vfs_stress");
    TCase *tcase = tcase_create("stress");

    tcase_add_test(tcase, test_everything_at_once_leaves_a_sound_store);
    tcase_set_timeout(tcase, 3600);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
