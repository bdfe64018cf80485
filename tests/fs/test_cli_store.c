/* test_cli_store.c - the commands for a store that is not mounted: output and exit status. */
#include <fcntl.h>
#include <unistd.h>

#include "cli/cli_store.h"
#include "daemon/mount.h"
#include "store/foreign.h"
#include "store_fixture.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)) - 1)

static char folder[] = "/tmp/lsmfs-cli-XXXXXX";
static char store[64], input[64], output[64];

static void
setup(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(store, sizeof store, "%s/store", folder);
    snprintf(input, sizeof input, "%s/input", folder);
    snprintf(output, sizeof output, "%s/output", folder);
    setenv("TZ", "UTC", 1);
}

static void
teardown(void)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

/* Runs a command with its standard output in `output`. */
static int
run(int (*command)(int, char **), int argc, const char *const *argv)
{
    char *arguments[8];

    ck_assert_int_lt(argc, 8);
    for (int i = 0; i < argc; i++)
        arguments[i] = strdup(argv[i]);
    arguments[argc] = NULL;
    fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    int fd = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    dup2(fd, STDOUT_FILENO);
    close(fd);
    int status = command(argc, arguments);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    for (int i = 0; i < argc; i++)
        free(arguments[i]);
    return status;
}

static int
put(const char *key, const char *contents)
{
    const char *const argv[] = {"put", store, key, input, NULL};
    FILE *file = fopen(input, "w");

    fputs(contents, file);
    fclose(file);
    return run(cli_put, COUNT(argv), argv);
}

static void
expect_output(const char *expected)
{
    char bytes[1024] = "";
    int fd = open(output, O_RDONLY | O_CLOEXEC);

    ssize_t size = read(fd, bytes, sizeof bytes);
    close(fd);
    ck_assert_int_eq(size, (ssize_t)strlen(expected));
    ck_assert_mem_eq(bytes, expected, strlen(expected));
}

static void
expect_get(const char *key, const char *contents)
{
    const char *const argv[] = {"get", store, key, NULL};

    ck_assert_int_eq(run(cli_get, COUNT(argv), argv), 0);
    expect_output(contents);
}

static void
expect_ls(const char *option, const char *key, const char *expected)
{
    const char *const argv[] = {"ls", option, store, key, NULL};

    ck_assert_int_eq(run(cli_ls, COUNT(argv), argv), 0);
    expect_output(expected);
}

START_TEST(test_put_makes_a_store_and_get_reads_it)
{
    ck_assert_int_eq(put("a/b", "first"), 0);
    expect_get("a/b", "first");
    ck_assert_int_eq(put("a/b", "second, longer"), 0);
    expect_get("a/b", "second, longer");
    ck_assert_int_eq(put("a/b", ""), 0);
    expect_get("a/b", "");
}
END_TEST

START_TEST(test_ls_shows_children_or_all_keys)
{
    ck_assert_int_eq(put("a/b/c", "1"), 0);
    ck_assert_int_eq(put("a/d", "2"), 0);
    ck_assert_int_eq(put("a.txt", "3"), 0);
    ck_assert_int_eq(put("a-z", "4"), 0);
    expect_ls("--", "", "a/\na-z\na.txt\n");
    expect_ls("--", "a", "b/\nd\n");
    expect_ls("-R", "", "a/b/c\na/d\na-z\na.txt\n");
    expect_ls("-R", "a", "a/b/c\na/d\n");
    expect_ls("--", "a/d", "a/d\n");
}
END_TEST

START_TEST(test_rm_removes_and_says_what_is_not_there)
{
    const char *const rm[] = {"rm", store, "f", "g", NULL};
    const char *const force[] = {"rm", "-f", store, "f", NULL};
    const char *const get[] = {"get", store, "f", NULL};

    ck_assert_int_eq(put("f", "1"), 0);
    ck_assert_int_eq(put("h", "1"), 0);
    ck_assert_int_eq(run(cli_rm, COUNT(rm), rm), 1);
    ck_assert_int_eq(run(cli_get, COUNT(get), get), 1);
    ck_assert_int_eq(run(cli_rm, COUNT(force), force), 0);
    expect_get("h", "1");
}
END_TEST

/* The next mount took what these commands write for somebody else's work, and looked below every
 * file from then on. */
START_TEST(test_a_store_stays_ours_after_put_and_rm)
{
    const char *const argv[] = {"rm", store, "a", NULL};
    struct store_options options;
    struct store *opened;
    char why[256];
    bool foreign;

    ck_assert_int_eq(put("a", "1"), 0);
    ck_assert_int_eq(put("b", "2"), 0);
    ck_assert_int_eq(run(cli_rm, COUNT(argv), argv), 0);
    store_options_init(&options);
    options.path = store;
    ck_assert_int_eq(store_open(&options, &opened, why, sizeof why), 0);
    ck_assert_int_eq(foreign_find(opened, &foreign), 0);
    ck_assert(!foreign);
    ck_assert_int_eq(store_close(opened), 0);
}
END_TEST

START_TEST(test_wrong_calls_are_status_2_and_help_is_0)
{
    const char *const help[] = {"put", "--help", NULL};
    const char *const few[] = {"get", store, NULL};
    const char *const many[] = {"get", store, "a", "b", NULL};
    const char *const option[] = {"get", "-R", store, "a", NULL};
    const char *const unknown[] = {"ls", "--none", store, NULL};

    ck_assert_int_eq(run(cli_put, COUNT(help), help), 0);
    ck_assert_int_eq(run(cli_get, COUNT(few), few), 2);
    ck_assert_int_eq(run(cli_get, COUNT(many), many), 2);
    ck_assert_int_eq(run(cli_get, COUNT(option), option), 2);
    ck_assert_int_eq(run(cli_ls, COUNT(unknown), unknown), 2);
}
END_TEST

START_TEST(test_reading_commands_make_no_store)
{
    const char *const get[] = {"get", store, "a", NULL};
    const char *const ls[] = {"ls", store, NULL};
    const char *const rm[] = {"rm", store, "a", NULL};

    ck_assert_int_eq(run(cli_get, COUNT(get), get), STATUS_STORE);
    ck_assert_int_eq(run(cli_ls, COUNT(ls), ls), STATUS_STORE);
    ck_assert_int_eq(run(cli_rm, COUNT(rm), rm), STATUS_STORE);
    ck_assert_int_ne(access(store, F_OK), 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cli store");
    TCase *tests = tcase_create("cli store");

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_put_makes_a_store_and_get_reads_it);
    tcase_add_test(tests, test_ls_shows_children_or_all_keys);
    tcase_add_test(tests, test_rm_removes_and_says_what_is_not_there);
    tcase_add_test(tests, test_a_store_stays_ours_after_put_and_rm);
    tcase_add_test(tests, test_wrong_calls_are_status_2_and_help_is_0);
    tcase_add_test(tests, test_reading_commands_make_no_store);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
