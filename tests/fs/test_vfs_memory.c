/*
 * test_vfs_memory.c - every allocation of every operation of the filesystem fails: once, and from
 * then on, without a kernel.
 *
 * Each step of memory_steps.h is one operation on the tree that the steps before it made.  It runs
 * with its first allocation failing, its second, and so on, until none fails any more:
 *
 *   - it succeeds, or says -ENOMEM, and then the tree is as it was;
 *   - succeeding, whatever failed within it, it leaves the same tree;
 *   - killed then, and mounted again, the filesystem has that tree, and lsmfs check finds no fault.
 *
 * What is compared is all that can be seen (types, modes, owners, sizes, links, contents, targets,
 * extended attributes, snapshots) but times and numbers.
 *
 * Then opening and closing by themselves.  LSMKV_SEED replays which of their allocations fail.
 */
#include "memory_steps.h"
#include "support/rounds.h"

/* ---- sweeping ---- */

/* Which allocations fail: each of an operation, at random one in two of an opening; of both the
 * share that rounds.h says. */
#define OPENINGS_STEP 3

static uint64_t runs, reached;

/* The filesystem as a new process finds it, in place of the one at hand. */
static void
go_back_to(struct mem_env *image)
{
    if (fs.vfs)
        fs_close(&fs);
    mem_env_free(fs.env);
    fs.env = mem_env_kill(image);
    fs_open(&fs);
}

static void
check_store(const struct step *step)
{
    struct fsck_report report = {.finding = count_finding};
    uint64_t damage = 1;

    ck_assert_int_eq(fsck_run(vfs_store(fs.vfs), NULL, &report, &damage), 0);
    ck_assert_msg(damage == 0, "%s: damage", step->name);
}

static void
expect_tree(const struct step *step, const char *expected)
{
    if (strcmp(see_all(), expected) == 0)
        return;
    ck_abort_msg("%s, allocation %llu%s, another tree:\n%s\n-- instead of\n%s",
                 step->name, (unsigned long long)attempt.nth,
                 attempt.onwards ? " onwards" : "", seen, expected);
}

/* One step with its nth allocation failing, for each n, from the state in `image`. */
static void
sweep(const struct step *step, struct mem_env *image, bool onwards)
{
    attempt.onwards = onwards;
    for (attempt.nth = 1 + runs % rounds_one_in();; attempt.nth += rounds_one_in()) {
        int result = step->run(step);
        bool done;

        runs++;
        ck_assert_msg(result == 0 || (result == -ENOMEM && attempt.failures > 0),
                      "%s, allocation %llu%s: %s", step->name,
                      (unsigned long long)attempt.nth, onwards ? " onwards" : "",
                      lsmkv_strerror(result));
        done = result == 0 || (onwards && step->run == do_snapshot && has_snapshot(step));
        if (result == 0 || !is_in_parts(step))
            expect_tree(step, done ? after : before);
        else
            done = true;
        if (result == 0 && attempt.failures == 0)
            break;
        if (done)
            go_back_to(image);
        attempt.failures = 0;
    }
    reached += attempt.nth - 1;
}

static void
no_log(void *context, enum lsmkv_level level, const char *line)
{
    (void)context, (void)level, (void)line;
}

/* Without messages, and nobody waits before trying again. */
static void
begin(void)
{
    struct lsmkv_env *env = mem_env_base(fs.env);

    fs.engine.log = no_log;
    fs.options.acl = true;
    mem_env_set_time(fs.env, env->now(env));
    fs_reopen(&fs);
}

START_TEST(test_an_operation_that_finds_no_memory_changes_nothing)
{
    fs_init(&fs);
    fs.engine.move_log_limit = 1000;
    begin();
    memset(large, 'x', sizeof(large));
    see_all();
    for (size_t i = 0; i < STEPS; i++) {
        struct mem_env *image = mem_env_kill(fs.env);

        strcpy(before, see_all());
        attempt.nth = 0;
        attempt.onwards = false;
        ck_assert_msg(steps[i].run(&steps[i]) == 0, "%s", steps[i].name);
        strcpy(after, see_all());
        for (int onwards = 0; onwards < 2; onwards++) {
            go_back_to(image);
            sweep(&steps[i], image, onwards != 0);
        }
        fs_kill(&fs);
        expect_tree(&steps[i], after);
        check_store(&steps[i]);
        mem_env_free(image);
    }
    printf("memory: %zu operations, %llu allocations, %llu runs, 0 failures\n", STEPS,
           (unsigned long long)reached, (unsigned long long)runs);
    ck_assert_uint_gt(reached, 2000);
    fs_fini(&fs);
}
END_TEST

/* ---- what the kernel is told ---- */

#define HELD 1500u /* more than are queued at once */
static struct node *held[HELD];
static bool forgotten[HELD]; /* its attributes and pages, by the kernel */
static bool heard;

/* There is no memory from the first that it hears on; failures are counted from there. */
static void
invalidate(void *context, struct node *node, const char *name, size_t size)
{
    (void)context, (void)size;
    if (!heard)
        failing_alloc_set(1, true);
    heard = true;
    for (unsigned i = 0; i < HELD && !name; i++)
        forgotten[i] = forgotten[i] || held[i] == node;
}

/* Of what there was no memory for the kernel was not told, and kept the pages that it had. */
START_TEST(test_the_kernel_is_told_of_a_rollback_without_memory)
{
    struct vfs_notify notify = {.invalidate = invalidate};
    struct vfs_rollback rollback = {.snapshot = "then"};
    char name[16];

    fs_init(&fs);
    begin();
    ck_assert_int_eq(vfs_start_notices(fs.vfs, &notify), 0);
    for (unsigned i = 0; i < HELD; i++) {
        snprintf(name, sizeof(name), "%u", i);
        ck_assert_int_eq(fs_write(&fs, name, "then", 4, &held[i]), 0);
    }
    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/then"), 0);
    ck_assert_int_eq(fs_write(&fs, "0", "now", 3, NULL), 0);
    ck_assert_int_eq(disarm(vfs_rollback(fs.vfs, &rollback)), 0);
    ck_assert_uint_gt(attempt.failures, 0);
    for (unsigned i = 0; i < HELD; i++) {
        ck_assert_msg(forgotten[i], "%u", i);
        vfs_forget(fs.vfs, held[i], 1);
    }
    fs_fini(&fs);
}
END_TEST

/* ---- opening and closing ---- */

/* Opens and closes; is the whole of it through without a failure? */
static bool
open_and_close(void)
{
    char why[512] = "";
    int result;

    fs.engine.env = mem_env_base(fs.env);
    arm();
    result = vfs_open(&fs.options, &fs.vfs, why, sizeof(why));
    if (result == 0)
        result = vfs_close(fs.vfs);
    result = disarm(result);
    fs.vfs = NULL;
    runs++;
    ck_assert_msg(result == 0 || result == -ENOMEM, "allocation %llu: %s (%s)",
                  (unsigned long long)attempt.nth, lsmkv_strerror(result), why);
    return attempt.failures == 0;
}

static void
fill(void)
{
    for (size_t i = 0; steps[i].run != do_flush; i++) {
        attempt.nth = 0;
        ck_assert_int_eq(steps[i].run(&steps[i]), 0);
    }
}

/* A fresh store, one that was closed, and one whose daemon was killed. */
START_TEST(test_what_cannot_be_opened_for_want_of_memory_can_be_later)
{
    struct random dice = random_of(random_seed());
    struct mem_env *image;
    bool killed = _i / 2 == 1, fresh = _i / 2 == 2;

    runs = 0;
    fs_init(&fs);
    begin();
    memset(large, 'x', sizeof(large));
    if (!fresh)
        fill();
    strcpy(before, see_all());
    image = mem_env_kill(fs.env);
    fs_close(&fs);
    if (!killed) {
        mem_env_free(image);
        image = fresh ? mem_env_new() : mem_env_kill(fs.env);
    }
    attempt.onwards = _i % 2 == 1;
    for (attempt.nth = 1;;
         attempt.nth += 1 + random_below(&dice, OPENINGS_STEP * rounds_one_in())) {
        bool through;

        mem_env_free(fs.env);
        fs.env = mem_env_kill(image);
        through = open_and_close();
        if (random_below(&dice, 4) == 0 || through) {
            fs_open(&fs);
            expect_tree(&(struct step){.name = "open"}, before);
            check_store(&(struct step){.name = "open"});
            fs_close(&fs);
        }
        if (through)
            break;
    }
    printf("memory: %llu openings, 0 failures\n", (unsigned long long)runs);
    mem_env_free(image);
    fs_fini(&fs);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("vfs_memory");
    TCase *tcase = tcase_create("memory");

    tcase_add_test(tcase, test_an_operation_that_finds_no_memory_changes_nothing);
    tcase_add_test(tcase, test_the_kernel_is_told_of_a_rollback_without_memory);
    tcase_add_loop_test(tcase, test_what_cannot_be_opened_for_want_of_memory_can_be_later,
                        0, 6);
    tcase_set_timeout(tcase, 300);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
