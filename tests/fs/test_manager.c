/* test_manager.c - what a service manager hears. */
#include <check.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "daemon/manager.h"
#include "support/suite.h"

static char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
static int listener;

/* Binds a socket, as systemd does; '@' begins an abstract name. */
static void
listen_at(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);

    memcpy(address.sun_path, name, length);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    listener = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(listener, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)),
                     0);
    setenv("NOTIFY_SOCKET", name, 1);
}

static void
begin(void)
{
    snprintf(path, sizeof(path), "/tmp/test_manager.%d", (int)getpid());
    unlink(path);
    listen_at(path);
}

static void
end(void)
{
    close(listener);
    unlink(path);
    unsetenv("NOTIFY_SOCKET");
}

/* The next message, "" if none comes within `ms`. */
static const char *
heard(int ms)
{
    static char text[8192];
    struct pollfd event = {listener, POLLIN, 0};
    ssize_t got = 0;

    if (poll(&event, 1, ms) == 1)
        got = recv(listener, text, sizeof(text) - 1, 0);
    ck_assert_int_ge(got, 0);
    text[got] = '\0';
    return text;
}

static void
spend(int ms, bool busily)
{
    struct timespec start, now;
    const struct timespec step = {0, 200000000}; /* seldom: a look is work, too */

    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        if (!busily)
            nanosleep(&step, NULL);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - start.tv_sec) * 1000 +
                 (now.tv_nsec - start.tv_nsec) / 1000000 <
             ms);
}

START_TEST(test_says_when_it_is_ready_and_when_it_stops)
{
    begin();
    struct manager *manager = manager_open();

    ck_assert_ptr_nonnull(manager);
    /* No program that is started from here speaks for us. */
    ck_assert_ptr_null(getenv("NOTIFY_SOCKET"));
    manager_ready(manager, "%s is mounted", "/a");
    ck_assert_str_eq(heard(1000), "READY=1\nSTATUS=/a is mounted");
    manager_stopping(manager, "unmounted");
    ck_assert_str_eq(heard(1000), "STOPPING=1\nSTATUS=unmounted");
    manager_close(manager);
    ck_assert_str_eq(heard(0), "");
    end();
}
END_TEST

/* A path could name variables of its own. */
START_TEST(test_a_status_is_one_line_and_has_an_end)
{
    char *lengthy = malloc(20000);

    begin();
    struct manager *manager = manager_open();
    manager_ready(manager, "%s", "/a\nMAINPID=1\tb");
    ck_assert_str_eq(heard(1000), "READY=1\nSTATUS=/a?MAINPID=1?b");
    memset(lengthy, 'x', 19999);
    lengthy[19999] = '\0';
    manager_ready(manager, "%s", lengthy);
    const char *text = heard(1000);
    ck_assert_int_eq(strncmp(text, "READY=1\nSTATUS=xxx", 18), 0);
    ck_assert_uint_lt(strlen(text), 8000);
    manager_close(manager);
    free(lengthy);
    end();
}
END_TEST

START_TEST(test_abstract_names)
{
    char name[64];

    snprintf(name, sizeof(name), "@test_manager.%d", (int)getpid());
    listen_at(name);
    struct manager *manager = manager_open();
    manager_ready(manager, "yes");
    ck_assert_str_eq(heard(1000), "READY=1\nSTATUS=yes");
    manager_close(manager);
    close(listener);
}
END_TEST

START_TEST(test_without_a_manager_nothing_happens)
{
    char lengthy[300];

    unsetenv("NOTIFY_SOCKET");
    ck_assert_ptr_null(manager_open());
    manager_ready(NULL, "x");
    manager_begin_work(NULL, "x");
    manager_end_work(NULL);
    manager_stopping(NULL, "x");
    manager_close(NULL);
    memset(lengthy, '/', sizeof(lengthy) - 1);
    lengthy[sizeof(lengthy) - 1] = '\0';
    const char *const bad[] = {"relative", "/nowhere/at/all", lengthy, ""};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        setenv("NOTIFY_SOCKET", bad[i], 1);
        ck_assert_ptr_null(manager_open());
    }
}
END_TEST

static int
extensions(void)
{
    int count = 0;
    const char *text;

    while (*(text = heard(0)) != '\0')
        count += strcmp(text, "EXTEND_TIMEOUT_USEC=60000000") == 0;
    return count;
}

/* Whoever hangs gets no more time. */
START_TEST(test_time_is_asked_for_while_work_goes_on)
{
    begin();
    struct manager *manager = manager_open();

    manager_begin_work(manager, "opening %s", "/a");
    ck_assert_str_eq(heard(1000), "EXTEND_TIMEOUT_USEC=60000000\nSTATUS=opening /a");
    spend(2500, true);
    ck_assert_int_ge(extensions(), 1);
    /* The second in which the work ends may still count, and on a busy machine one in which the
     * sanitizer has something to do. */
    int counted = 1;
    for (unsigned tries = 0; tries < 12 && counted > 0; tries++) {
        spend(1200, false);
        extensions();
        spend(2500, false);
        counted = extensions();
    }
    ck_assert_int_eq(counted, 0);
    manager_end_work(manager);
    spend(1500, true);
    ck_assert_int_eq(extensions(), 0);
    /* And again, left to manager_close. */
    manager_begin_work(manager, "closing");
    manager_close(manager);
    end();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("manager");
    TCase *tests = tcase_create("manager");

    tcase_add_test(tests, test_says_when_it_is_ready_and_when_it_stops);
    tcase_add_test(tests, test_a_status_is_one_line_and_has_an_end);
    tcase_add_test(tests, test_abstract_names);
    tcase_add_test(tests, test_without_a_manager_nothing_happens);
    tcase_add_test(tests, test_time_is_asked_for_while_work_goes_on);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
