/*
 * prog_conform_locks - flock, POSIX and open-file-description locks between processes.
 */
#include <sys/file.h>

#include "prog_conform.h"

static int
lock(int fd, int command, short type, off_t start, off_t length)
{
    struct flock lock = {
        .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};

    return fcntl(fd, command, &lock);
}

/* What F_GETLK or F_OFD_GETLK says would stand in the way: F_UNLCK if nothing. */
static int
in_the_way(int fd, int command, short type, off_t start, off_t length)
{
    struct flock lock = {
        .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};

    return fcntl(fd, command, &lock) == 0 ? lock.l_type : -1;
}

/* The errno that another process gets that opens "f" and locks it, or 0. */
static int
other_posix(short type, off_t start, off_t length)
{
    int fd = open("f", O_RDWR);
    int result = ELSEWHERE(lock(fd, F_SETLK, type, start, length));

    /* Closing it here would drop our own locks: that is how POSIX locks are. */
    return result;
}

static int
other_flock(int operation)
{
    int fd = open("f", O_RDWR);
    int result = ELSEWHERE(flock(fd, operation | LOCK_NB));

    close(fd);
    return result;
}

static void
whole_files(void)
{
    int a, b, twin;

    group("locks: flock");
    make("f", 0666, "");
    OK(a = open("f", O_RDWR));
    OK(b = open("f", O_RDONLY));
    FAILS(EINVAL, flock(a, 0));
    FAILS(EINVAL, flock(a, LOCK_SH | LOCK_EX));
    FAILS(EBADF, flock(-1, LOCK_SH));
    OK(flock(a, LOCK_SH));
    OK(flock(b, LOCK_SH | LOCK_NB));
    IS(0, other_flock(LOCK_SH));
    IS(EWOULDBLOCK, other_flock(LOCK_EX));
    FAILS(EWOULDBLOCK, flock(a, LOCK_EX | LOCK_NB));
    OK(flock(b, LOCK_UN));
    OK(flock(a, LOCK_EX | LOCK_NB));
    FAILS(EWOULDBLOCK, flock(b, LOCK_SH | LOCK_NB));
    IS(EWOULDBLOCK, other_flock(LOCK_SH));
    OK(twin = dup(a));
    OK(flock(twin, LOCK_EX | LOCK_NB));
    OK(close(a));
    FAILS(EWOULDBLOCK, flock(b, LOCK_SH | LOCK_NB));
    /* A child has the same opening, and so the same lock. */
    IS(0, ELSEWHERE(flock(twin, LOCK_EX | LOCK_NB)));
    OK(close(twin));
    OK(flock(b, LOCK_EX | LOCK_NB));
    OK(flock(b, LOCK_SH | LOCK_NB));
    IS(0, other_flock(LOCK_SH));
    /* Both kinds at once do not meet. */
    OK(a = open("f", O_RDWR));
    OK(lock(a, F_SETLK, F_WRLCK, 0, 0));
    OK(unlink("f"));
    make("f", 0666, "");
    IS(0, other_flock(LOCK_EX));
    close(a), close(b);
    OK(a = open(".", O_RDONLY));
    OK(flock(a, LOCK_EX | LOCK_NB));
    OK(b = open(".", O_RDONLY));
    FAILS(EWOULDBLOCK, flock(b, LOCK_EX | LOCK_NB));
    close(a), close(b);
}

static void
ranges(void)
{
    int fd, reader, writer, twin;
    struct flock got;

    group("locks: POSIX");
    make("f", 0666, "0123456789");
    OK(fd = open("f", O_RDWR));
    OK(reader = open("f", O_RDONLY));
    OK(writer = open("f", O_WRONLY));
    FAILS(EBADF, lock(reader, F_SETLK, F_WRLCK, 0, 1));
    FAILS(EBADF, lock(writer, F_SETLK, F_RDLCK, 0, 1));
    FAILS(EBADF, lock(-1, F_SETLK, F_RDLCK, 0, 1));
    FAILS(EINVAL, lock(fd, F_SETLK, F_RDLCK, -1, 1));
    FAILS(EINVAL, lock(fd, F_SETLK, 99, 0, 1));
    FAILS(EINVAL, lock(fd, F_GETLK, F_UNLCK, 0, 1));
    FAILS(EFAULT, fcntl(fd, F_SETLK, nowhere()));
    OK(lock(fd, F_SETLK, F_WRLCK, 10, 10));
    IS(EAGAIN, other_posix(F_WRLCK, 0, 0));
    IS(EAGAIN, other_posix(F_RDLCK, 15, 1));
    IS(0, other_posix(F_WRLCK, 0, 10));
    IS(0, other_posix(F_WRLCK, 20, 10));
    IS(EAGAIN, other_posix(F_WRLCK, 19, 1));
    IS(EAGAIN, other_posix(F_WRLCK, 9, 2));
    IS(0, other_posix(F_UNLCK, 10, 10));
    /* To oneself nothing is in the way; to another process it says who. */
    IS(F_UNLCK, in_the_way(fd, F_GETLK, F_WRLCK, 10, 10));
    OK(lock(fd, F_SETLK, F_RDLCK, 12, 4));
    IS(0, other_posix(F_RDLCK, 12, 4));
    IS(EAGAIN, other_posix(F_WRLCK, 12, 4));
    IS(EAGAIN, other_posix(F_RDLCK, 11, 1));
    IS(EAGAIN, other_posix(F_RDLCK, 16, 1));
    OK(lock(fd, F_SETLK, F_UNLCK, 13, 2));
    IS(0, other_posix(F_WRLCK, 13, 2));
    IS(EAGAIN, other_posix(F_WRLCK, 13, 3));
    OK(lock(fd, F_SETLK, F_UNLCK, 0, 0));
    IS(0, other_posix(F_WRLCK, 0, 0));
    OK(lock(fd, F_SETLK, F_WRLCK, 1LL << 40, 0));
    IS(EAGAIN, other_posix(F_RDLCK, 1LL << 50, 1));
    IS(0, other_posix(F_WRLCK, 0, 1LL << 40));
    OK(lseek(fd, 5, SEEK_SET));
    OK(fcntl(fd, F_SETLK,
             &(struct flock){
                 .l_type = F_WRLCK, .l_whence = SEEK_CUR, .l_start = -2, .l_len = 1}));
    IS(EAGAIN, other_posix(F_WRLCK, 3, 1));
    OK(fcntl(fd, F_SETLK,
             &(struct flock){
                 .l_type = F_WRLCK, .l_whence = SEEK_END, .l_start = -1, .l_len = 1}));
    IS(EAGAIN, other_posix(F_WRLCK, 9, 1));
    IS(0, other_posix(F_WRLCK, 8, 1));
    /* Any close of the file drops them all. */
    OK(close(reader));
    IS(0, other_posix(F_WRLCK, 0, 0));
    OK(lock(fd, F_SETLK, F_WRLCK, 0, 0));
    OK(twin = dup(fd));
    OK(close(twin));
    IS(0, other_posix(F_WRLCK, 0, 0));
    /* They are not inherited. */
    OK(lock(fd, F_SETLK, F_WRLCK, 0, 0));
    IS(EAGAIN, ELSEWHERE(lock(fd, F_SETLK, F_WRLCK, 0, 0)));
    pid_t child;
    int ready[2], status;
    char byte;

    MUST(pipe(ready));
    OK(lock(fd, F_SETLK, F_UNLCK, 0, 0));
    MUST(child = fork());
    if (child == 0) {
        if (lock(fd, F_SETLKW, F_WRLCK, 5, 5) != 0 || write(ready[1], "x", 1) != 1)
            _exit(1);
        pause();
        _exit(2);
    }
    IS(1, read(ready[0], &byte, 1));
    got =
        (struct flock){.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
    OK(fcntl(fd, F_GETLK, &got));
    IS(F_WRLCK, got.l_type);
    IS(5, got.l_start);
    IS(5, got.l_len);
    IS(child, got.l_pid);
    FAILS(EAGAIN, lock(fd, F_SETLK, F_RDLCK, 0, 0));
    OK(lock(fd, F_SETLK, F_WRLCK, 0, 5));
    OK(lock(fd, F_SETLK, F_WRLCK, 10, 0));
    MUST(kill(child, SIGKILL));
    MUST(waitpid(child, &status, 0));
    OK(lock(fd, F_SETLK, F_RDLCK, 0, 0));
    close(fd), close(writer);
}

/* A waits for B, who waits for A: one of them is told. */
static void
deadlock(void)
{
    int fd, ready[2], status;
    pid_t child;
    char byte;

    group("locks: waiting, deadlock and interruption");
    make("f", 0666, "");
    MUST(pipe(ready));
    OK(fd = open("f", O_RDWR));
    OK(lock(fd, F_SETLK, F_WRLCK, 0, 1));
    MUST(child = fork());
    if (child == 0) {
        if (lock(fd, F_SETLK, F_WRLCK, 1, 1) != 0 || write(ready[1], "x", 1) != 1)
            _exit(1);
        _exit(lock(fd, F_SETLKW, F_WRLCK, 0, 1) == 0 ? 0 : 2);
    }
    IS(1, read(ready[0], &byte, 1));
    nanosleep(&(struct timespec){.tv_nsec = 400000000}, NULL);
    FAILS(EDEADLK, lock(fd, F_SETLKW, F_WRLCK, 1, 1));
    OK(lock(fd, F_SETLK, F_UNLCK, 0, 1));
    MUST(waitpid(child, &status, 0));
    IS(0, status);
    /* A signal ends the waiting. */
    OK(lock(fd, F_SETLK, F_WRLCK, 0, 1));
    MUST(child = fork());
    if (child == 0) {
        signal(SIGUSR1, SIG_DFL);
        lock(fd, F_SETLKW, F_WRLCK, 0, 1);
        _exit(3);
    }
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    MUST(kill(child, SIGUSR1));
    MUST(waitpid(child, &status, 0));
    IS(SIGUSR1, WTERMSIG(status));
    OK(lock(fd, F_SETLK, F_UNLCK, 0, 1));
    /* Waiting for flock ends when the holder does. */
    int other;

    OK(other = open("f", O_RDWR));
    OK(flock(fd, LOCK_EX));
    MUST(child = fork());
    if (child == 0) {
        int mine = open("f", O_RDWR);

        _exit(flock(mine, LOCK_EX) == 0 ? 0 : 1);
    }
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    IS(0, waitpid(child, &status, WNOHANG));
    OK(flock(fd, LOCK_UN));
    MUST(waitpid(child, &status, 0));
    IS(0, status);
    close(fd), close(other);
}

static void
descriptions(void)
{
    int a, b, twin;

    group("locks: open file descriptions");
    make("f", 0666, "");
    OK(a = open("f", O_RDWR));
    OK(b = open("f", O_RDWR));
    OK(lock(a, F_OFD_SETLK, F_WRLCK, 0, 10));
    FAILS(EAGAIN, lock(b, F_OFD_SETLK, F_WRLCK, 5, 1));
    FAILS(EAGAIN, lock(b, F_OFD_SETLK, F_RDLCK, 9, 10));
    OK(lock(b, F_OFD_SETLK, F_WRLCK, 10, 10));
    IS(F_WRLCK, in_the_way(b, F_OFD_GETLK, F_RDLCK, 0, 1));
    IS(F_UNLCK, in_the_way(a, F_OFD_GETLK, F_RDLCK, 0, 1));
    FAILS(EAGAIN, lock(b, F_SETLK, F_WRLCK, 0, 1));
    /* They are the opening's: inherited, kept by any copy of it. */
    IS(0, ELSEWHERE(lock(a, F_OFD_SETLK, F_RDLCK, 0, 10)));
    OK(lock(b, F_OFD_SETLK, F_RDLCK, 0, 10));
    OK(twin = dup(a));
    OK(close(a));
    FAILS(EAGAIN, lock(b, F_OFD_SETLK, F_WRLCK, 0, 10));
    OK(close(twin));
    OK(lock(b, F_OFD_SETLK, F_WRLCK, 0, 10));
    struct flock odd = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1, .l_pid = 5};

    FAILS(EINVAL, fcntl(b, F_OFD_SETLK, &odd));
    OK(close(b));
}

static void
leases(void)
{
    int a, b;

    group("locks: leases");
    make("f", 0666, "");
    OK(a = open("f", O_RDONLY));
    OK(fcntl(a, F_SETLEASE, F_RDLCK));
    IS(F_RDLCK, fcntl(a, F_GETLEASE));
    OK(b = open("f", O_RDONLY));
    OK(fcntl(a, F_SETLEASE, F_UNLCK));
    FAILS(EAGAIN, fcntl(a, F_SETLEASE, F_WRLCK));
    close(a), close(b);
}

int
main(int argc, char **argv)
{
    conform_begin(argc, argv);
    whole_files();
    ranges();
    deadlock();
    descriptions();
    leases();
    return conform_end();
}
