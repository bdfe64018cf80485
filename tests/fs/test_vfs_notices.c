/*
 * test_vfs_notices.c - what the kernel is asked for: above the limit of nodes, to forget: which
 * files, and how often; of a file that may be mapped, to write.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "vfs_fixture.h"

#define LIMIT 10
#define FILES 50

static struct vfs_fixture fs;
static struct node *_Atomic nodes[FILES];
static atomic_uint asked[FILES], asked_all;

/* A kernel that has reasons not to forget anything. */
static void
invalidate(void *context, struct node *node, const char *name, size_t size)
{
    unsigned i;

    (void)context;
    (void)node;
    if (name && size > 1 && sscanf(name, "f%u", &i) == 1 && i < FILES) {
        asked[i]++;
        asked_all++;
    }
}

static void
pause_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&time, NULL);
}

/* A kernel that holds, of every file, a block in a mapping that is not written yet. */
#define STORED 8192u
static atomic_uint written_back;

static void
write_back(void *context, struct node *node, uint64_t offset, uint64_t size)
{
    struct vfs_caller caller = {0};

    (void)context;
    pause_ms(5);
    written_back++;
    if (offset <= STORED && (size == 0 || STORED < offset + size))
        ck_assert_int_eq(vfs_write(fs.vfs, &caller, node, STORED, "stored", 6, 0), 0);
}

/* Nor does one that is told numbers. */
static bool can_prune;
static bool
prune(void *context, struct node *const *pruned, size_t count)
{
    (void)context;
    if (!can_prune)
        return false;
    ck_assert_uint_le(count, VFS_PRUNE_MAX);
    for (size_t i = 0; i < count; i++)
        for (unsigned j = 0; j < FILES; j++)
            if (pruned[i] == nodes[j]) {
                asked[j]++;
                asked_all++;
            }
    return true;
}

static void
begin(const struct vfs_notify *notify)
{
    fs_init(&fs);
    fs.options.node_limit = LIMIT;
    fs_reopen(&fs);
    ck_assert_int_eq(vfs_start_notices(fs.vfs, notify), 0);
    for (unsigned i = 0; i < FILES; i++) { /* beside the thread that asks */
        struct node *node;
        char name[16];

        snprintf(name, sizeof(name), "f%u", i);
        ck_assert_int_eq(fs_write(&fs, name, "", 0, &node), 0);
        if (i == 0)
            vfs_opened(fs.vfs, node, O_RDONLY);
        nodes[i] = node;
    }
}

static void
setup(void)
{
    begin(&(struct vfs_notify){.invalidate = invalidate, .write_back = write_back});
}

static void
never(void *context, struct node *node, const char *name, size_t size)
{
    (void)context;
    (void)node;
    ck_abort_msg("asked by name: %.*s", (int)size, name);
}

static void
setup_pruning(void)
{
    can_prune = true;
    begin(&(struct vfs_notify){
        .invalidate = never, .write_back = write_back, .prune = prune});
}

/* A kernel that says that it can, and then cannot. */
static void
setup_pruning_in_vain(void)
{
    begin(&(struct vfs_notify){
        .invalidate = invalidate, .write_back = write_back, .prune = prune});
}

static void
teardown(void)
{
    for (unsigned i = 0; i < FILES; i++)
        if (nodes[i])
            vfs_forget(fs.vfs, nodes[i], 1);
    fs_fini(&fs);
}

static void
await(unsigned first, unsigned end)
{
    for (unsigned i = first; i < end; i++)
        for (unsigned waited = 0; asked[i] == 0; waited++) {
            ck_assert_uint_lt(waited, 2000);
            pause_ms(5);
        }
}

/* The oldest were asked for whether or not they were open; a running program's file then was
 * "(deleted)". */
START_TEST(test_open_files_are_not_asked_for)
{
    await(1, FILES);
    ck_assert_uint_eq(asked[0], 0);
    vfs_released(fs.vfs, nodes[0], O_RDONLY);
    await(0, 1);
}
END_TEST

/* Counts those listed with a node, which is forgotten. */
static bool
forget_listed(void *context, const struct vfs_listed *listed)
{
    if (listed->node) {
        ++*(unsigned *)context;
        vfs_forget(fs.vfs, listed->node, 1);
    }
    return true;
}

static unsigned
listed_with_nodes(void)
{
    unsigned count = 0;

    ck_assert_int_eq(
        vfs_readdir(fs.vfs, vfs_root(fs.vfs), 0, true, forget_listed, &count), 0);
    return count;
}

/* Leaves so many nodes, the root among them. */
static void
keep_nodes(unsigned count)
{
    for (unsigned i = count - 1; i < FILES; i++) {
        vfs_forget(fs.vfs, nodes[i], 1);
        nodes[i] = NULL;
    }
}

/* Above the limit that adds to them, while forgetting waits for those who list. */
START_TEST(test_a_crowd_is_listed_without_nodes)
{
    ck_assert_uint_eq(listed_with_nodes(), 0);
    keep_nodes(LIMIT + 2);
    ck_assert_uint_eq(listed_with_nodes(), 0);
    vfs_released(fs.vfs, nodes[0], O_RDONLY);
}
END_TEST

START_TEST(test_a_crowd_pruned_in_vain_is_listed_without_nodes)
{
    await(1, FILES);
    keep_nodes(LIMIT + 2);
    ck_assert_uint_eq(listed_with_nodes(), 0);
    vfs_released(fs.vfs, nodes[0], O_RDONLY);
}
END_TEST

/* It does not, by numbers, and a quarter more is allowed. */
START_TEST(test_a_small_crowd_that_can_be_pruned_is_listed_with_nodes)
{
    ck_assert_uint_eq(listed_with_nodes(), 0);
    keep_nodes(LIMIT + 2);
    ck_assert_uint_eq(listed_with_nodes(), FILES);
    vfs_released(fs.vfs, nodes[0], O_RDONLY);
}
END_TEST

/* A thousand times a second, and the thread was busy with nothing else. */
START_TEST(test_in_vain_it_is_asked_less_and_less)
{
    await(1, FILES);
    pause_ms(1000);
    ck_assert_uint_lt(asked_all, 30 * 256); /* thirty times, each as many as at once */
    vfs_released(fs.vfs, nodes[0], O_RDONLY);
}
END_TEST

static struct {
    atomic_uint count;
    int result;
    uint64_t found;
} done;

static void
note_done(void *context, int result, uint64_t found)
{
    (void)context;
    done.result = result;
    done.found = found;
    done.count++;
}

START_TEST(test_a_mapped_file_is_written_before_its_holes_are_told)
{
    struct node *node;

    ck_assert_int_eq(fs_write(&fs, "mapped", "at the front", 12, &node), 0);
    ck_assert(!vfs_may_be_mapped(node));
    vfs_opened(fs.vfs, node, O_RDONLY);
    vfs_opened(fs.vfs, node, O_WRONLY);
    ck_assert(!vfs_may_be_mapped(node));
    vfs_opened(fs.vfs, node, O_RDWR);
    ck_assert(vfs_may_be_mapped(node));
    ck_assert_int_eq(vfs_seek_mapped(fs.vfs, node, 0, SEEK_DATA, note_done, NULL), 0);
    while (done.count < 1)
        pause_ms(1);
    ck_assert_int_eq(done.result, 0);
    ck_assert_uint_eq(done.found, 0);
    ck_assert_uint_eq(written_back, 0); /* data there already */
    ck_assert_int_eq(vfs_seek_mapped(fs.vfs, node, 4096, SEEK_DATA, note_done, NULL), 0);
    while (done.count < 2)
        pause_ms(1);
    ck_assert_int_eq(done.result, 0);
    ck_assert_uint_eq(done.found, STORED);
    ck_assert_uint_eq(written_back, 1);
    vfs_released(fs.vfs, node, O_RDWR);
    ck_assert(!vfs_may_be_mapped(node));
    vfs_released(fs.vfs, node, O_WRONLY);
    vfs_released(fs.vfs, node, O_RDONLY);
    vfs_forget(fs.vfs, node, 1);
    vfs_released(fs.vfs, nodes[0], O_RDONLY);
}
END_TEST

/* Who asked waits for an answer. */
START_TEST(test_none_that_asked_goes_unanswered)
{
    unsigned before = done.count, asked_so_far = 0;
    int result;

    while (asked_so_far < 20) {
        result = vfs_seek_mapped(fs.vfs, nodes[0], 0, SEEK_DATA, note_done, NULL);
        ck_assert_int_eq(result, 0);
        asked_so_far++;
    }
    vfs_stop_notices(fs.vfs);
    ck_assert_uint_eq(done.count, before + asked_so_far);
    result = vfs_seek_mapped(fs.vfs, nodes[0], 0, SEEK_DATA, note_done, NULL);
    ck_assert_int_eq(result, -ESHUTDOWN);
    vfs_released(fs.vfs, nodes[0], O_RDONLY);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("vfs_notices");
    TCase *tcase = tcase_create("notices"), *pruning = tcase_create("pruning"),
          *in_vain = tcase_create("pruning in vain");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_open_files_are_not_asked_for);
    tcase_add_test(tcase, test_in_vain_it_is_asked_less_and_less);
    tcase_add_test(tcase, test_a_mapped_file_is_written_before_its_holes_are_told);
    tcase_add_test(tcase, test_none_that_asked_goes_unanswered);
    tcase_add_test(tcase, test_a_crowd_is_listed_without_nodes);
    suite_add_tcase(suite, tcase);
    tcase_add_checked_fixture(pruning, setup_pruning, teardown);
    tcase_add_test(pruning, test_open_files_are_not_asked_for);
    tcase_add_test(pruning, test_in_vain_it_is_asked_less_and_less);
    tcase_add_test(pruning, test_a_small_crowd_that_can_be_pruned_is_listed_with_nodes);
    suite_add_tcase(suite, pruning);
    tcase_add_checked_fixture(in_vain, setup_pruning_in_vain, teardown);
    tcase_add_test(in_vain, test_open_files_are_not_asked_for);
    tcase_add_test(in_vain, test_a_crowd_pruned_in_vain_is_listed_without_nodes);
    suite_add_tcase(suite, in_vain);
    return run_suite(suite);
}
