/*
 * test_vfs_power.c - what a power cut leaves of a mounted filesystem, without a kernel.
 *
 * A seeded workload of names, links, renames, contents, attributes, open files without a name
 * and snapshots runs twice.  The first time the tree is hashed after each operation; the second
 * time images of what a power cut could leave are taken at each call that changes storage,
 * checked, opened and hashed.  Each must be the tree after k operations, durable <= k <= issued:
 * a prefix, with everything that was promised by fsync of a file or a directory, O_SYNC,
 * -o sync (every third round), the commit interval, a snapshot's mkdir.  Snapshots that were
 * acknowledged are there and show the tree they were taken of.  When an image has been mounted
 * for a while no orphan is left, the tree is still the same, and a check finds no damage.
 *
 * Each operation is one batch, so that "half of it" would be no state at all: a rename of
 * a directory of many, the change of a file to one of several names, a list of access control
 * that sets a mode.  Every second round moves trees by tables instead of by the log.
 *
 * Times are left out of the hash.  The threads take turns (turns/turns.h).  LSMKV_SEED replays,
 * beginning with that round; LSMKV_IMAGES=N stops after N different images.
 */
#include <stdatomic.h>
#include <sys/personality.h>
#include <unistd.h>

#include "check_fixture.h"
#include "store/records.h"
#include "support/rounds.h"
#include "turns/cuts.h"
#include "turns/turns.h"
#include "vfs_power.h"

#define OPERATIONS 300
#define ROUNDS     3    /* one of them -o sync */
#define IMAGES     2000 /* that they give at least */
#define SNAPSHOTS  20   /* every so many operations one is taken */
#define PATIENCE   200
#define NAP_NS     10000000

struct bounds {
    size_t durable, issued;
    /* Of the snapshot that operation i takes. */
    bool asked[OPERATIONS], made[OPERATIONS], dropping[OPERATIONS], dropped[OPERATIONS];
};

struct look {
    uint64_t state;
    bool snapshots[OPERATIONS];
};

static struct vfs_fixture fs;
static uint64_t hashes[OPERATIONS + 1],
    plain[OPERATIONS + 1]; /* without numbers, where a snapshot is taken */
static atomic_size_t durable, issued;
static atomic_bool asked[OPERATIONS], made[OPERATIONS], dropping[OPERATIONS],
    dropped[OPERATIONS];
static uint64_t round_seed;
static struct cuts cuts;

static void
say_seed(const char *what)
{
    fflush(stdout);
    ck_abort_msg("LSMKV_SEED=%llu: %s", (unsigned long long)round_seed, what);
}

static void
quiet(void *context, enum lsmkv_level level, const char *line)
{
    (void)context;
    if (level == LSMKV_LOG_ERROR)
        printf("%s\n", line);
}

/* ---- what an image holds ---- */

static void
check_store(struct vfs_fixture *of)
{
    if (fs_check(of) != 0)
        say_seed("a check finds damage");
}

static size_t
count_orphans(struct vfs_fixture *of)
{
    struct record_key lower = record_tag_begin(RECORD_ORPHAN),
                      upper = record_tag_end(RECORD_ORPHAN);
    struct lsmkv_iter_options options = {.lower = record_slice(&lower),
                                         .upper = record_slice(&upper)};
    struct lsmkv_iter *iter;
    size_t count = 0;

    ck_assert_int_eq(lsmkv_iter_new(vfs_store(of->vfs)->db, vfs_store(of->vfs)->inodes,
                                    &options, &iter),
                     0);
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter); lsmkv_iter_next(iter))
        count++;
    ck_assert_int_eq(lsmkv_iter_status(iter), 0);
    lsmkv_iter_free(iter);
    return count;
}

/* The sweep of a new mount finds them all, and takes nothing else. */
static void
await_sweep(struct vfs_fixture *of, uint64_t state)
{
    struct timespec nap = {0, NAP_NS};
    unsigned naps = 0;

    if (count_orphans(of) == 0)
        return;
    do
        nanosleep(&nap, NULL);
    while (count_orphans(of) > 0 && ++naps < PATIENCE);
    if (naps == PATIENCE)
        say_seed("an orphan is not swept");
    if (tree_hash(of, "", 0, true, 1) != state)
        say_seed("the sweep changed the tree");
}

static void
look_at_snapshots(struct vfs_fixture *of, struct look *look)
{
    struct fs_names *names = mem_need(sizeof(*names));
    char *name, *rest = names->text;

    fs_list_by(of, ".snapshots", false, 0, names);
    while ((name = strtok_r(rest, " ", &rest))) {
        size_t number = strtoul(name + 1, NULL, 10);
        char path[64];

        snprintf(path, sizeof(path), ".snapshots/s%zu", number);
        look->snapshots[number] = true;
        if (tree_hash(of, path, strlen(path) + 1, false, 1) != plain[number])
            say_seed("a snapshot does not show what it was taken of");
    }
    free(names);
}

static void *
look_at(void *context, struct mem_env *image)
{
    struct vfs_fixture of = fs;
    struct look *look = mem_need(sizeof(*look));

    (void)context;
    of.env = image;
    of.options.store.engine = &of.engine;
    check_store(&of);
    (void)cuts_opening(&cuts, image);
    fs_open(&of);
    cuts_opened(&cuts, image);
    look->state = tree_hash(&of, "", 0, true, 1);
    await_sweep(&of, look->state);
    look_at_snapshots(&of, look);
    /* It goes on from there. */
    ck_assert_int_eq(fs_put(&of, "after", "the cut"), 0);
    fs_reopen(&of);
    fs_expect(&of, "after", "the cut");
    fs_close(&of);
    check_store(&of);
    return look;
}

/* ---- whether it may hold that now ---- */

static void
judge(void *context, const void *seen, const void *at)
{
    const struct bounds *bounds = at;
    const struct look *look = seen;
    size_t k = bounds->durable;

    (void)context;
    while (k <= bounds->issued && hashes[k] != look->state)
        k++;
    if (k > bounds->issued) {
        for (k = 0; k <= OPERATIONS; k++)
            if (hashes[k] == look->state)
                printf("the image is the tree after %zu operations\n", k);
        printf("%zu are durable, %zu issued\n", bounds->durable, bounds->issued);
        say_seed("an image is no state that it may be");
    }
    for (size_t i = 0; i < OPERATIONS; i++)
        if (look->snapshots[i] ? !bounds->asked[i] || bounds->dropped[i]
                               : bounds->made[i] && !bounds->dropping[i])
            say_seed(look->snapshots[i] ? "a snapshot that should not be there"
                                        : "an acknowledged snapshot is gone");
}

static void
take_images(void *context, uint64_t ordinal, enum env_call call)
{
    struct bounds *bounds;

    (void)context;
    if (!cuts_wants(&cuts, ordinal, call))
        return;
    bounds = mem_need(sizeof(*bounds));
    /* What is durable is read first: it may only grow until the image is taken. */
    bounds->durable = durable;
    for (size_t i = 0; i < OPERATIONS; i++) {
        bounds->made[i] = made[i];
        bounds->dropped[i] = dropped[i];
        bounds->asked[i] = asked[i];
        bounds->dropping[i] = dropping[i];
    }
    bounds->issued = issued;
    cuts_take(&cuts, fs.env, ordinal, bounds);
    free(bounds);
}

/* ---- the workload ---- */

/* Durable when mkdir returns, with all that it shows; so is its end when rmdir does. */
static bool
snapshot(size_t number)
{
    char path[64];

    snprintf(path, sizeof(path), ".snapshots/s%zu", number);
    asked[number] = true;
    ck_assert_int_eq(fs_mkdir(&fs, path), 0);
    made[number] = true;
    return true;
}

static bool
drop_snapshot(size_t number)
{
    char path[64];

    snprintf(path, sizeof(path), ".snapshots/s%zu", number);
    dropping[number] = true;
    ck_assert_int_eq(fs_rmdir(&fs, path), 0);
    dropped[number] = true;
    return false;
}

static bool
operate(struct tree *tree, size_t number)
{
    if (number % SNAPSHOTS == SNAPSHOTS - 1)
        return snapshot(number);
    if (number % SNAPSHOTS == SNAPSHOTS / 2 && number > 3 * SNAPSHOTS)
        return drop_snapshot(number - SNAPSHOTS / 2 - 2 * SNAPSHOTS - 1);
    return tree_operate(tree, number);
}

static void
forget_round(void)
{
    durable = issued = 0;
    for (size_t i = 0; i < OPERATIONS; i++)
        asked[i] = made[i] = dropping[i] = dropped[i] = false;
}

static void
begin(uint64_t number, bool cut)
{
    memset(&fs, 0, sizeof(fs));
    forget_round();
    fs.env = mem_env_new();
    lsmkv_options_init(&fs.engine);
    fs.engine.write_buffer_size = 128 << 10; /* flushes and merges in between */
    fs.engine.table_size = 64 << 10;
    fs.engine.direct_threshold = 4096; /* chunks and fragments */
    fs.engine.space_reserve = 1 << 20;
    fs.engine.log = quiet;
    fs.engine.move_log_limit = number % 2 == 0 ? 1000 : 1 << 20;
    vfs_options_init(&fs.options);
    fs.options.acl = true;
    fs.options.atime = VFS_NOATIME;
    fs.options.store.path = "lsmfs-test-store";
    fs.options.store.engine = &fs.engine;
    fs.options.store.create = true;
    fs.options.store.commit_ms = 50;
    fs.options.store.sync = number % 3 == 2;
    if (cut)
        mem_env_set_hook(fs.env, take_images, NULL);
    fs_open(&fs);
}

/* Without the cuts, to learn what the tree is after each operation. */
static void
rehearse(uint64_t number)
{
    struct tree tree = {.fs = &fs, .dice = random_of(round_seed)};

    turns_begin(round_seed);
    begin(number, false);
    for (size_t i = 0; i <= OPERATIONS; i++) {
        hashes[i] = tree_hash(&fs, "", 0, true, 1);
        if (i % SNAPSHOTS == SNAPSHOTS - 1)
            plain[i] = tree_hash(&fs, "", 0, false, 1);
        if (i < OPERATIONS)
            (void)operate(&tree, i);
    }
    tree_release(&tree);
    fs_fini(&fs);
    turns_end();
}

static void
run_round(uint64_t seed, uint64_t number)
{
    struct tree tree = {.fs = &fs, .dice = random_of(seed)};

    round_seed = seed;
    rehearse(number);
    cuts_begin_round(&cuts, seed);
    turns_begin(seed);
    begin(number, true);
    for (size_t i = 0; i < OPERATIONS; i++) {
        issued = i + 1;
        if (operate(&tree, i) || fs.options.store.sync)
            durable = i + 1;
    }
    mem_env_set_hook(fs.env, NULL, NULL);
    ck_assert_uint_eq(tree_hash(&fs, "", 0, true, 1), hashes[OPERATIONS]);
    tree_release(&tree);
    fs_fini(&fs);
    turns_end();
    cuts_end_round(&cuts);
}

START_TEST(test_power_cut_leaves_a_prefix_with_all_that_was_promised)
{
    uint64_t seed = random_seed(), rounds = 0;

    cuts = (struct cuts){.look = look_at, .judge = judge, .limit = cuts_limit_given(0)};
    do {
        run_round(seed + rounds, seed + rounds);
        rounds++;
    } while (cuts.limit != 0 ? !cuts_are_enough(&cuts) : rounds < ROUNDS);
    printf(
        "vfs: %llu images, %llu distinct, 0 failures; rounds %llu, deaths %llu, digest "
        "%016llx\n",
        (unsigned long long)cuts.images, (unsigned long long)cuts_distinct(&cuts),
        (unsigned long long)rounds, (unsigned long long)cuts.deaths,
        (unsigned long long)cuts.digest);
    ck_assert(cuts.limit != 0 || cuts_distinct(&cuts) >= rounds_of(IMAGES, 0));
    cuts_fini(&cuts);
}
END_TEST

/* ---- single promises ---- */

/* With a timer that does not come to help. */
static void
begin_without_timer(void)
{
    fs_init(&fs);
    fs_close(&fs);
    fs.options.store.commit_ms = 600000;
    fs_open(&fs);
}

/* Found by a mutant: which images the sweep takes, of those that a sync leaves, is drawn. */
START_TEST(test_a_sync_of_the_mount_outlives_the_power)
{
    begin_without_timer();
    ck_assert_int_eq(fs_put(&fs, "f", "x"), 0);
    ck_assert_int_eq(vfs_sync(fs.vfs), 0);
    fs_cut_power(&fs);
    fs_expect(&fs, "f", "x");
    fs_fini(&fs);
}
END_TEST

/* Found by a mutant: nothing wrote with these flags, so a database's commit could have waited
 * for the timer. */
START_TEST(test_a_synced_write_outlives_the_power)
{
    static const int flags[] = {O_SYNC, O_DSYNC};
    struct node *node;

    begin_without_timer();
    ck_assert_int_eq(fs_put(&fs, "f", "old"), 0);
    ck_assert_int_eq(vfs_sync(fs.vfs), 0);
    ck_assert_int_eq(fs_node(&fs, "f", &node), 0);
    ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, node, 0, "new", 3, flags[_i]), 0);
    vfs_forget(fs.vfs, node, 1);
    fs_cut_power(&fs);
    fs_expect(&fs, "f", "new");
    fs_fini(&fs);
}
END_TEST

/* Found by a mutant: hashes of trees leave times out.  A directory's are in memory until they
 * are put, and its fsync promises them. */
START_TEST(test_fsync_of_a_directory_makes_its_times_durable)
{
    struct stat before, after;
    struct node *node;

    begin_without_timer();
    ck_assert_int_eq(fs_mkdir(&fs, "d"), 0);
    ck_assert_int_eq(vfs_sync(fs.vfs), 0);
    ck_assert_int_eq(fs_stat(&fs, "d", &after), 0);
    ck_assert_int_eq(fs_put(&fs, "d/f", "x"), 0);
    ck_assert_int_eq(fs_stat(&fs, "d", &before), 0);
    ck_assert(before.st_mtim.tv_sec != after.st_mtim.tv_sec ||
              before.st_mtim.tv_nsec != after.st_mtim.tv_nsec);
    ck_assert_int_eq(fs_node(&fs, "d", &node), 0);
    ck_assert_int_eq(vfs_fsync(fs.vfs, node), 0);
    vfs_forget(fs.vfs, node, 1);
    fs_cut_power(&fs);
    ck_assert_int_eq(fs_stat(&fs, "d", &after), 0);
    ck_assert_int_eq(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
    ck_assert_int_eq(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
    fs_expect(&fs, "d/f", "x");
    fs_fini(&fs);
}
END_TEST

/* Found by a mutant: `lsmfs rm` on a mounted store, as on one that is not. */
START_TEST(test_a_file_removed_by_its_key_stays_removed)
{
    struct stat st;

    begin_without_timer();
    ck_assert_int_eq(fs_put(&fs, "f", "x"), 0);
    ck_assert_int_eq(vfs_sync(fs.vfs), 0);
    ck_assert_int_eq(vfs_remove_key(fs.vfs, lsmkv_str("f")), 0);
    fs_cut_power(&fs);
    ck_assert_int_eq(fs_stat(&fs, "f", &st), -ENOENT);
    fs_fini(&fs);
}
END_TEST

/* Locks of files are chosen by the nodes' addresses: where these are random, so is who waits for
 * whom, and a seed would not give the same images again. */
static void
fix_addresses(char **argv)
{
    int now = personality(0xffffffff);

    if (now == -1 || (now & ADDR_NO_RANDOMIZE) != 0 ||
        personality((unsigned long)now | ADDR_NO_RANDOMIZE) == -1)
        return;
    execv("/proc/self/exe", argv);
}

int
main(int argc, char **argv)
{
    Suite *suite = suite_create("vfs_power");
    TCase *tcase = tcase_create("power");

    (void)argc;
    fix_addresses(argv);
    tcase_add_test(tcase, test_a_sync_of_the_mount_outlives_the_power);
    tcase_add_loop_test(tcase, test_a_synced_write_outlives_the_power, 0, 2);
    tcase_add_test(tcase, test_fsync_of_a_directory_makes_its_times_durable);
    tcase_add_test(tcase, test_a_file_removed_by_its_key_stays_removed);
    tcase_add_test(tcase, test_power_cut_leaves_a_prefix_with_all_that_was_promised);
    tcase_set_timeout(tcase, 3600);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
