/*
 * compare_workers.c - several processes at once.
 *
 * Each makes the calls of its own stream in a directory of its own, both sides in step, as the
 * only process does.  Between them it takes part in what is shared: calls whose outcome is the
 * same however the processes interleave.  Those are judged when all have ended:
 *
 *     log      records appended, in every way there is: all there, whole, each process's in order
 *     races    of those who make one name, exactly one succeeds
 *     walk     a directory is renamed while others walk it by descriptor
 *     target   replaced by renames: always there, always whole
 *     hub      names given and taken: the link count is right
 *     count    a number in a file, raised under a lock
 *     stripes  interleaved pieces of one file, each written by one
 *     page     a number in a shared mapping, raised atomically
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compare.h"

#define WORKERS_MAX  8
#define RACES        400
#define WALKED       12
#define RECORD       64
#define TARGET_SIZE  9000
#define STRIPE       100
#define SHARED_EVERY 5

/* What the processes tell each other, in memory of their own. */
struct board {
    atomic_uint wins[SIDES][RACES];
    atomic_uint links[SIDES];
    atomic_uint raised[SIDES];
    atomic_uint stored[SIDES];
    atomic_uint records[SIDES][WORKERS_MAX];
};

static struct board *board;
static unsigned workers;
static int shared[SIDES];         /* the directory of what is shared */
static atomic_uint *pages[SIDES]; /* of `page` */
static unsigned race, stripe, links_left;

static void
need(bool holds, int side, const char *what)
{
    if (!holds)
        differ("side %d: %s: %s", side, what, strerror(errno));
}

/* Writes a new file of one byte repeated. */
static void
make_file(int side, int directory, const char *name, int byte, size_t size)
{
    int fd = openat(directory, name, O_CREAT | O_EXCL | O_WRONLY, 0644);
    char text[TARGET_SIZE];

    memset(text, byte, sizeof(text));
    need(fd >= 0, side, name);
    need(write(fd, text, size) == (ssize_t)size, side, "write");
    need(close(fd) == 0, side, "close");
}

/* ---- the shared calls ---- */

static void
append_record(int side, unsigned way)
{
    unsigned number = atomic_fetch_add(&board->records[side][run.worker - 1], 1);
    int flags = way == 1 ? O_WRONLY : O_WRONLY | O_APPEND;
    int fd = openat(shared[side], "log", flags | (way == 2 ? O_DSYNC : 0));
    char record[RECORD + 1];
    struct iovec vector = {record, RECORD};

    need(fd >= 0, side, "open");
    snprintf(record, sizeof(record), "%02d %08u %.*s\n", run.worker, number, RECORD - 13,
             "----------------------------------------------------------------");
    need((way == 1   ? pwritev2(fd, &vector, 1, -1, RWF_APPEND)
          : way == 3 ? writev(fd, &vector, 1)
                     : write(fd, record, RECORD)) == RECORD,
         side, "append");
    need(close(fd) == 0, side, "close");
}

static int
make_one(int side, const char *name)
{
    char own[64];
    int result;

    switch (race % 5) {
    case 0:
        result =
            openat(shared[side], name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
        return result < 0 ? -1 : close(result);
    case 1:
        return mkdirat(shared[side], name, 0755);
    case 2:
        return symlinkat("hub", shared[side], name);
    case 3:
        return linkat(shared[side], "other", shared[side], name, 0);
    default:
        snprintf(own, sizeof(own), "own.%d", run.worker);
        make_file(side, shared[side], own, 'r', 10);
        result = renameat2(shared[side], own, shared[side], name, RENAME_NOREPLACE);
        if (result != 0) {
            int error = errno;

            need(unlinkat(shared[side], own, 0) == 0, side, own);
            errno = error;
        }
        return result;
    }
}

static void
run_race(int side)
{
    char name[64];

    snprintf(name, sizeof(name), "race.%u", race);
    if (make_one(side, name) == 0)
        atomic_fetch_add(&board->wins[side][race], 1);
    else
        need(errno == EEXIST, side, name);
}

/* By its descriptor all of it is there, whatever its name is just now. */
static void
walk(int side)
{
    int fd = -1;

    for (unsigned i = 0; fd < 0 && i < 1000; i++) {
        fd =
            openat(shared[side], i % 2 == 0 ? "moving" : "moved", O_RDONLY | O_DIRECTORY);
        need(fd >= 0 || errno == ENOENT, side, "the directory that moves");
    }
    need(fd >= 0, side, "the directory that moves");
    for (int i = 0; i < WALKED; i++) {
        char name[16], byte;
        struct stat st;
        int file;

        snprintf(name, sizeof(name), "in/%d", i);
        need(fstatat(fd, name, &st, 0) == 0 && st.st_size == 10, side, name);
        file = openat(fd, name, O_RDONLY);
        need(file >= 0 && read(file, &byte, 1) == 1 && byte == 'a' + i, side, name);
        close(file);
    }
    close(fd);
}

static void
move(int side)
{
    if (renameat(shared[side], "moving", shared[side], "moved") != 0)
        need(renameat(shared[side], "moved", shared[side], "moving") == 0, side,
             "rename");
}

static void
replace(int side)
{
    char own[64], text[TARGET_SIZE + 1];
    int fd;

    snprintf(own, sizeof(own), "new.%d", run.worker);
    make_file(side, shared[side], own, 'A' + run.worker, TARGET_SIZE);
    need(renameat(shared[side], own, shared[side], "target") == 0, side, "rename");
    fd = openat(shared[side], "target", O_RDONLY);
    need(fd >= 0, side, "the target");
    need(read(fd, text, sizeof(text)) == TARGET_SIZE, side, "read of the target");
    for (int i = 1; i < TARGET_SIZE; i++)
        need(text[i] == text[0], side, "the target is mixed");
    close(fd);
}

/* The kernel may count a name twice that was just taken away, until the next stat: see
 * "Differences from ext4" in fs/README.md. */
static int
link_hub(int side, const char *name)
{
    struct stat st;
    int result = -1;

    for (int i = 0; result != 0 && i < 3; i++) {
        result = linkat(shared[side], "hub", shared[side], name, 0);
        if (result != 0 && (side != 0 || errno != ENOENT))
            break;
        if (result != 0 && fstatat(shared[side], "hub", &st, 0) != 0)
            break;
    }
    return result;
}

static void
link_some(int side, bool stays)
{
    char name[64];

    snprintf(name, sizeof(name), "hub.%d.%u", run.worker, links_left);
    need(link_hub(side, name) == 0, side, name);
    if (stays)
        atomic_fetch_add(&board->links[side], 1);
    else
        need(unlinkat(shared[side], name, 0) == 0, side, name);
}

static void
raise_count(int side, unsigned way)
{
    int fd = openat(shared[side], "count", O_RDWR);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    unsigned count;

    need(fd >= 0, side, "count");
    need((way % 2 == 0 ? fcntl(fd, F_OFD_SETLKW, &lock) : fcntl(fd, F_SETLKW, &lock)) ==
             0,
         side, "lock");
    need(pread(fd, &count, sizeof(count), 0) == (ssize_t)sizeof(count), side, "read");
    count++;
    need(pwrite(fd, &count, sizeof(count), 0) == (ssize_t)sizeof(count), side, "write");
    close(fd);
    atomic_fetch_add(&board->raised[side], 1);
}

static void
write_stripe(int side)
{
    int fd = openat(shared[side], "stripes", O_WRONLY);
    off_t at = ((off_t)stripe * workers + (unsigned)run.worker) * STRIPE;
    char text[STRIPE];

    memset(text, '0' + run.worker, sizeof(text));
    need(fd >= 0, side, "stripes");
    need(pwrite(fd, text, STRIPE, at) == STRIPE, side, "write");
    close(fd);
}

static void
store_in_page(int side)
{
    atomic_fetch_add(pages[side], 1);
    atomic_fetch_add(&board->stored[side], 1);
}

static void
shared_step(void)
{
    unsigned what = (unsigned)below(9), way = (unsigned)below(4);
    mode_t mask = umask(0); /* who wins a race makes the mode */

    for (int side = 0; side < SIDES; side++) {
        call_is("shared call %u, way %u", what, way);
        if (what == 0)
            append_record(side, way);
        else if (what == 1 && race < RACES)
            run_race(side);
        else if (what == 2)
            walk(side);
        else if (what == 3 && run.worker == 1)
            move(side);
        else if (what == 4)
            replace(side);
        else if (what == 5)
            link_some(side, way == 0);
        else if (what == 6)
            raise_count(side, way);
        else if (what == 7)
            write_stripe(side);
        else
            store_in_page(side);
    }
    race += what == 1;
    stripe += what == 7;
    links_left += what == 5;
    umask(mask);
}

/* ---- what must have come of it ---- */

static unsigned
read_number(int side, const char *name)
{
    int fd = openat(shared[side], name, O_RDONLY);
    unsigned number = 0;

    need(fd >= 0 && pread(fd, &number, sizeof(number), 0) == (ssize_t)sizeof(number),
         side, name);
    close(fd);
    return number;
}

static void
check_log(int side)
{
    unsigned next[WORKERS_MAX] = {0};
    char record[RECORD + 1];
    FILE *file = fdopen(openat(shared[side], "log", O_RDONLY), "r");

    need(file != NULL, side, "log");
    while (fread(record, 1, RECORD, file) == RECORD) {
        unsigned worker, number;

        record[RECORD] = '\0';
        if (sscanf(record, "%u %u -", &worker, &number) != 2 || worker < 1 ||
            worker > workers || record[RECORD - 1] != '\n' ||
            number != next[worker - 1]++)
            differ("side %d: the log has \"%.63s\"", side, record);
    }
    fclose(file);
    for (unsigned i = 0; i < workers; i++)
        if (next[i] != board->records[side][i])
            differ("side %d: of %u records of process %u there are %u", side,
                   board->records[side][i], i + 1, next[i]);
}

static void
check_board(int side)
{
    struct stat st;

    check_log(side);
    for (unsigned i = 0; i < RACES; i++) {
        char name[64];

        snprintf(name, sizeof(name), "race.%u", i);
        if (board->wins[side][i] !=
            (fstatat(shared[side], name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? 1u : 0u))
            differ("side %d: %s was made by %u", side, name, board->wins[side][i]);
    }
    if (fstatat(shared[side], "hub", &st, 0) != 0 ||
        st.st_nlink != board->links[side] + 1u)
        differ("side %d: the hub has %lu links, not %u", side, (unsigned long)st.st_nlink,
               board->links[side] + 1u);
    if (read_number(side, "count") != board->raised[side])
        differ("side %d: the number is %u, not %u", side, read_number(side, "count"),
               board->raised[side]);
    if (read_number(side, "page") != board->stored[side])
        differ("side %d: the number stored is %u, not %u", side,
               read_number(side, "page"), board->stored[side]);
    /* Who was last, and in which order, is nobody's: these are not compared. */
    need(unlinkat(shared[side], "log", 0) == 0, side, "log");
    need(unlinkat(shared[side], "target", 0) == 0, side, "target");
    if (fstatat(shared[side], "moved", &st, 0) == 0)
        move(side);
}

/* ---- the processes ---- */

static void
prepare(int side, int root)
{
    static const char *const empty[] = {"log", "stripes"};
    static const char *const other[] = {"hub", "other", "target"};
    static const char *const numbers[] = {"count", "page"};
    char name[32];

    for (size_t i = 0; i < COUNT(empty); i++)
        make_file(side, root, empty[i], 0, 0);
    for (size_t i = 0; i < COUNT(other); i++)
        make_file(side, root, other[i], 'x', TARGET_SIZE);
    for (size_t i = 0; i < COUNT(numbers); i++)
        make_file(side, root, numbers[i], 0, BLOCK);
    need(mkdirat(root, "moving", 0755) == 0, side, "moving");
    need(mkdirat(root, "moving/in", 0755) == 0, side, "moving/in");
    for (int i = 0; i < WALKED; i++) {
        snprintf(name, sizeof(name), "moving/in/%d", i);
        make_file(side, root, name, 'a' + i, 10);
    }
}

/* A new directory of the round: the trees of earlier rounds stay beside it. */
static void
make_round(void)
{
    char name[64];

    call_is("the directory of the processes");
    snprintf(name, sizeof(name), "round.%llu", (unsigned long long)run.seed);
    for (int side = 0; side < SIDES; side++) {
        int fd;

        need(mkdirat(run.roots[side], name, 0777) == 0, side, name);
        shared[side] = openat(run.roots[side], name, O_RDONLY | O_DIRECTORY);
        need(shared[side] >= 0, side, name);
        prepare(side, shared[side]);
        fd = openat(shared[side], "page", O_RDWR);
        pages[side] = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        need(pages[side] != MAP_FAILED, side, "page");
        close(fd);
    }
}

static void
work(unsigned number, uint64_t steps, void (*one)(void))
{
    char name[32];

    run.worker = (int)number;
    run.dice = random_of(run.seed * 1000 + number);
    call_is("the process's directory");
    snprintf(name, sizeof(name), "own-%u", number);
    for (int side = 0; side < SIDES; side++) {
        need(mkdirat(shared[side], name, 0777) == 0, side, name);
        run.roots[side] = openat(shared[side], name, O_RDONLY | O_DIRECTORY);
        need(run.roots[side] >= 0, side, name);
    }
    while (run.step < steps) {
        one();
        if (run.step % SHARED_EVERY == 0)
            shared_step();
    }
    compare_trees();
    exit(0);
}

void
run_workers(unsigned count, uint64_t steps, void (*one)(void))
{
    bool failed = false;

    workers = count < WORKERS_MAX ? count : WORKERS_MAX;
    board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                 -1, 0);
    if (board == MAP_FAILED)
        abort();
    make_round();
    for (unsigned i = 1; i <= workers; i++) {
        pid_t child = fork();

        if (child == 0)
            work(i, steps, one);
        if (child < 0)
            abort();
    }
    for (unsigned i = 0; i < workers; i++) {
        int status;

        failed = wait(&status) < 0 || status != 0 || failed;
    }
    if (failed)
        exit(1);
    call_is("what the processes share");
    for (int side = 0; side < SIDES; side++) {
        need(munmap(pages[side], BLOCK) == 0, side, "munmap");
        check_board(side);
    }
}
