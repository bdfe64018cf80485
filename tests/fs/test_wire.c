/* test_wire.c - the lines of the control protocol, from friends and from others. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/killed.h"
#include "common/wire.h"
#include "support/suite.h"

static int ends[2];
static struct wire *wire;

static void
setup(void)
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    wire = malloc(sizeof(*wire));
    ck_assert_ptr_nonnull(wire);
    wire_init(wire, ends[0]);
}

static void
teardown(void)
{
    wire_fini(wire);
    free(wire);
    if (ends[1] >= 0)
        close(ends[1]);
}

static void
send_text(const char *text)
{
    ck_assert_int_eq(write(ends[1], text, strlen(text)), (ssize_t)strlen(text));
}

static void
hang_up(void)
{
    close(ends[1]);
    ends[1] = -1;
}

/* ---- words ---- */

START_TEST(test_any_key_becomes_one_graphic_word_and_comes_back)
{
    unsigned char key[256];
    char text[3 * sizeof(key) + 1];
    size_t size;

    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = (unsigned char)i;
    wire_encode(key, sizeof(key), text);
    for (const char *at = text; *at != '\0'; at++)
        ck_assert(*at > ' ' && *at < 0x7f);
    ck_assert_int_eq(wire_decode(text, &size), 0);
    ck_assert_uint_eq(size, sizeof(key));
    ck_assert_mem_eq(text, key, sizeof(key));
}
END_TEST

START_TEST(test_a_plain_path_is_readable_on_the_wire)
{
    char text[64];

    wire_encode("dir/file.txt", 12, text);
    ck_assert_str_eq(text, "dir/file.txt");
    wire_encode("a b%", 4, text);
    ck_assert_str_eq(text, "a%20b%25");
}
END_TEST

START_TEST(test_bad_codes_are_refused)
{
    static const char *const bad[] = {"%", "%2", "a%", "%zz", "%2g", "%-1", "%ab"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[16];
        size_t size;

        strcpy(text, bad[i]);
        ck_assert_int_eq(wire_decode(text, &size), -EINVAL);
    }
}
END_TEST

/* ---- lines ---- */

START_TEST(test_lines_come_one_by_one_however_they_were_sent)
{
    send_text("first\nsec");
    ck_assert_str_eq(wire_line(wire), "first");
    send_text("ond\n\n");
    ck_assert_str_eq(wire_line(wire), "second");
    ck_assert_str_eq(wire_line(wire), "");
}
END_TEST

START_TEST(test_an_end_within_a_line_is_no_line)
{
    send_text("ok");
    hang_up();
    ck_assert_ptr_null(wire_line(wire));
    ck_assert_int_eq(wire->failure, -EPIPE);
    ck_assert_ptr_null(wire_line(wire));
}
END_TEST

static void *
send_endlessly(void *argument)
{
    static char bytes[65536];

    (void)argument;
    memset(bytes, 'x', sizeof(bytes));
    for (int i = 0; i < 8; i++)
        if (send(ends[1], bytes, sizeof(bytes), MSG_NOSIGNAL) < 0)
            break;
    return NULL;
}

START_TEST(test_a_line_without_end_is_refused)
{
    pthread_t sender;

    ck_assert_int_eq(pthread_create(&sender, NULL, send_endlessly, NULL), 0);
    ck_assert_ptr_null(wire_line(wire));
    ck_assert_int_eq(wire->failure, -EMSGSIZE);
    shutdown(ends[0], SHUT_RDWR);
    pthread_join(sender, NULL);
}
END_TEST

/* ---- contents ---- */

static int
sink(void)
{
    int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);

    ck_assert_int_ge(fd, 0);
    return fd;
}

START_TEST(test_contents_are_copied_and_the_line_behind_them_is_left)
{
    char got[32];
    int to = sink();

    send_text("data 5\nab\ncddata 0\ndata 2\nef");
    send_text("error 2 gone\n");
    ck_assert_str_eq(wire_copy_data(wire, to), "error 2 gone");
    ck_assert_int_eq(pread(to, got, sizeof(got), 0), 7);
    ck_assert_mem_eq(got, "ab\ncdef", 7);
    close(to);
}
END_TEST

START_TEST(test_contents_cut_short_are_no_contents)
{
    int to = sink();

    send_text("data 100\nabc");
    hang_up();
    ck_assert_ptr_null(wire_copy_data(wire, to));
    ck_assert_int_eq(wire->failure, -EPIPE);
    close(to);
}
END_TEST

START_TEST(test_a_size_that_is_none_is_refused)
{
    static const char *const bad[] = {"data \n", "data x\n", "data 1x\n",
                                      "data 99999999999999999999999\n"};
    int to = sink();

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        teardown();
        setup();
        send_text(bad[i]);
        ck_assert_ptr_null(wire_copy_data(wire, to));
        ck_assert_int_eq(wire->failure, -EPROTO);
    }
    close(to);
}
END_TEST

START_TEST(test_sending_to_nobody_is_an_error_and_no_signal)
{
    hang_up();
    for (int i = 0; i < 3; i++)
        wire_say(wire, "hello\n");
    ck_assert_int_eq(wire->failure, -EPIPE);
}
END_TEST

/* ---- the socket ---- */

#define FOLDER "/tmp/test_wire.XXXXXX" /* as mkdtemp(3) wants it */

START_TEST(test_the_socket_is_private_and_replaces_a_dead_one)
{
    char folder[300] = FOLDER, path[400];
    struct stat st;
    int directory, listening, connected;

    ck_assert_ptr_nonnull(mkdtemp(folder));
    /* A path beyond what an address holds. */
    size_t length = strlen(folder);
    folder[length++] = '/';
    memset(folder + length, 'l', 200);
    folder[length + 200] = '\0';
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    snprintf(path, sizeof(path), "%s/%s", folder, WIRE_SOCKET);

    ck_assert_int_eq(wire_connect(folder, &connected), -ENOENT);
    umask(0);
    directory = wire_directory(folder);
    ck_assert_int_ge(directory, 0);
    ck_assert_int_eq(wire_listen(directory, &listening), 0);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    ck_assert_int_eq(wire_connect(folder, &connected), 0);
    close(connected);
    /* As a killed daemon leaves it. */
    close(listening);
    ck_assert_int_eq(wire_connect(folder, &connected), -ECONNREFUSED);
    ck_assert_int_eq(wire_listen(directory, &listening), 0);
    ck_assert_int_eq(wire_connect(folder, &connected), 0);
    close(connected);
    close(listening);
    wire_unlisten(directory);
    close(directory);
    ck_assert_int_ne(stat(path, &st), 0);
    rmdir(folder);
    folder[length - 1] = '\0';
    rmdir(folder);
}
END_TEST

/* ---- who was killed ---- */

/* Listens in a process of its own, until that is killed. */
static pid_t
begin_listening(const char *folder)
{
    int ready[2], listening;
    char byte;

    ck_assert_int_eq(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        if (wire_listen(wire_directory(folder), &listening) == 0 &&
            write(ready[1], "", 1) == 1)
            pause();
        _exit(1);
    }
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return child;
}

START_TEST(test_who_runs_or_is_stopped_was_not_killed)
{
    char folder[] = FOLDER;
    int connected;
    siginfo_t info;

    ck_assert_ptr_nonnull(mkdtemp(folder));
    pid_t child = begin_listening(folder);
    ck_assert_int_eq(wire_connect(folder, &connected), 0);
    ck_assert_int_eq(killed_peer(connected), 0);
    kill(child, SIGSTOP);
    ck_assert_int_eq(waitid(P_PID, (id_t)child, &info, WSTOPPED), 0);
    ck_assert_int_eq(killed_peer(connected), 0);
    kill(child, SIGKILL);
    ck_assert_int_eq(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    ck_assert_int_eq(killed_peer(connected), child);
    /* Its number may be another's by now. */
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    ck_assert_int_eq(killed_peer(connected), 0);
    close(connected);
    ck_assert_int_eq(killed_peer(ends[0]), 0);
    wire_unlisten(wire_directory(folder));
    rmdir(folder);
}
END_TEST

/* ---- descriptors ---- */

START_TEST(test_a_descriptor_arrives_and_works)
{
    static struct wire other;
    int pipes[2], got = -1;
    char byte = 0;
    uid_t user;

    ck_assert_int_eq(pipe(pipes), 0);
    wire_init(&other, ends[1]);
    wire_send_descriptor(&other, pipes[1]);
    ck_assert_int_eq(other.failure, 0);
    close(pipes[1]);
    ck_assert_int_eq(wire_receive_descriptor(wire, &got), 0);
    ck_assert_int_eq(fcntl(got, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(write(got, "x", 1), 1);
    ck_assert_int_eq(read(pipes[0], &byte, 1), 1);
    ck_assert_int_eq(byte, 'x');
    close(got);
    ck_assert_int_eq(read(pipes[0], &byte, 1), 0); /* that was the last one */
    close(pipes[0]);
    ck_assert(wire_is_own_user(wire, &user));
    ck_assert_uint_eq(user, geteuid());
}
END_TEST

START_TEST(test_what_is_no_descriptor_is_refused)
{
    int got = -1;

    send_text("d");
    ck_assert_int_eq(wire_receive_descriptor(wire, &got), -EPROTO);
    send_text("line\nand more");
    ck_assert_str_eq(wire_line(wire), "line");
    ck_assert_int_eq(wire_receive_descriptor(wire, &got), -EPROTO);
    ck_assert_int_eq(got, -1);
}
END_TEST

/* There was room for a second one, which came along and stayed open for ever. */
START_TEST(test_of_two_descriptors_the_second_does_not_stay)
{
    union {
        char bytes[CMSG_SPACE(2 * sizeof(int))];
        struct cmsghdr aligned;
    } passed = {{0}};
    int pipes[2], got = -1;
    char byte = 'd';
    struct iovec io = {&byte, 1};
    struct msghdr message = {.msg_iov = &io,
                             .msg_iovlen = 1,
                             .msg_control = &passed,
                             .msg_controllen = sizeof(passed)};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);

    ck_assert_int_eq(pipe(pipes), 0);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(2 * sizeof(int));
    memcpy(CMSG_DATA(head), (int[]){pipes[1], pipes[1]}, 2 * sizeof(int));
    ck_assert_int_eq(sendmsg(ends[1], &message, 0), 1);
    close(pipes[1]);
    ck_assert_int_eq(wire_receive_descriptor(wire, &got), 0);
    close(got);
    ck_assert_int_eq(fcntl(pipes[0], F_SETFL, O_NONBLOCK), 0);
    ck_assert_int_eq(read(pipes[0], &byte, 1), 0); /* nobody has the other end */
    close(pipes[0]);
}
END_TEST

START_TEST(test_an_end_is_no_descriptor)
{
    int got = -1;

    hang_up();
    ck_assert_int_eq(wire_receive_descriptor(wire, &got), -EPIPE);
    ck_assert_int_eq(wire->failure, -EPIPE);
    wire_send_descriptor(wire, 0);
    ck_assert_int_eq(got, -1);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("wire");
    TCase *tests = tcase_create("wire");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_any_key_becomes_one_graphic_word_and_comes_back);
    tcase_add_test(tests, test_a_plain_path_is_readable_on_the_wire);
    tcase_add_test(tests, test_bad_codes_are_refused);
    tcase_add_test(tests, test_lines_come_one_by_one_however_they_were_sent);
    tcase_add_test(tests, test_an_end_within_a_line_is_no_line);
    tcase_add_test(tests, test_a_line_without_end_is_refused);
    tcase_add_test(tests, test_contents_are_copied_and_the_line_behind_them_is_left);
    tcase_add_test(tests, test_contents_cut_short_are_no_contents);
    tcase_add_test(tests, test_a_size_that_is_none_is_refused);
    tcase_add_test(tests, test_sending_to_nobody_is_an_error_and_no_signal);
    tcase_add_test(tests, test_who_runs_or_is_stopped_was_not_killed);
    tcase_add_test(tests, test_a_descriptor_arrives_and_works);
    tcase_add_test(tests, test_what_is_no_descriptor_is_refused);
    tcase_add_test(tests, test_of_two_descriptors_the_second_does_not_stay);
    tcase_add_test(tests, test_an_end_is_no_descriptor);
    tcase_add_test(tests, test_the_socket_is_private_and_replaces_a_dead_one);
    suite_add_tcase(suite, tests);

    return run_suite(suite);
}
