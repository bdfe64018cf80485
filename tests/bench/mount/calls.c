/*
 * calls.c - system calls on small files: 1 KiB each, a hundred in a directory.
 *
 * A row is one kind of operation on all files, or on all directories; each caller has a part of
 * them.  Rows follow each other on the same tree.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"
#include "common.h"
#include "keys.h"
#include "meter.h"

enum { FILES = 10000, FILES_IN_ONE = 100, FILE_SIZE = 1 << 10, MAIL_SIZE = 4 << 10 };
enum { LINE_SIZE = 100, PAGE = 4 << 10, PAGES = 256 };

/* What a row has of: files, directories, or a tenth as many files, since each waits for the
 * disk. */
enum scope { EACH_FILE, EACH_DIRECTORY, EACH_TENTH };

struct caller {
    int root;
    uint64_t begin, end; /* its part */
    void (*step)(struct caller *caller, uint64_t n);
    pthread_barrier_t *start;
    struct tally tally;
    struct histogram latencies;
    pthread_t thread;
};

/* ---- one operation ---- */

struct path {
    char text[64];
};

/* Of file n: its directory's name begins with `kind`, its own with `stem`. */
static struct path
path_of(char kind, const char *stem, uint64_t n)
{
    struct path path;

    snprintf(path.text, sizeof(path.text), "%c%04u/%s-%03u", kind,
             (unsigned)(n / FILES_IN_ONE), stem, (unsigned)(n % FILES_IN_ONE));
    return path;
}

static int
open_file(const struct caller *caller, const struct path *path, int flags)
{
    int fd = openat(caller->root, path->text, flags | O_CLOEXEC, 0644);

    if (fd < 0)
        die("%s: %s", path->text, strerror(errno));
    return fd;
}

static void
check_call(bool good, const struct path *path)
{
    if (!good)
        die("%s: %s", path->text, strerror(errno));
}

static void
write_new(const struct caller *caller, const struct path *path, uint64_t n, size_t size,
          bool synced)
{
    struct bytes bytes = payload_of(n, size);
    int fd = open_file(caller, path, O_WRONLY | O_CREAT | O_EXCL);

    check_call(write(fd, bytes.data, size) == (ssize_t)size, path);
    check_call(!synced || fsync(fd) == 0, path);
    check_call(close(fd) == 0, path);
}

static void
read_file(struct caller *caller, const struct path *path)
{
    char buffer[MAIL_SIZE];
    int fd = open_file(caller, path, O_RDONLY);
    ssize_t got = read(fd, buffer, sizeof(buffer));

    check_call(got >= 0 && close(fd) == 0, path);
    tally_add(&caller->tally, buffer, (size_t)got);
}

static void
step_create(struct caller *caller, uint64_t n)
{
    struct path path = path_of('d', "file", n);

    write_new(caller, &path, n, FILE_SIZE, false);
}

static void
step_create_synced(struct caller *caller, uint64_t n)
{
    struct path path = path_of('s', "file", n);

    write_new(caller, &path, n, FILE_SIZE, true);
}

static void
step_stat(struct caller *caller, uint64_t n)
{
    struct path path = path_of('d', "file", n);
    struct stat attr;

    check_call(fstatat(caller->root, path.text, &attr, 0) == 0, &path);
    caller->tally.bytes += (uint64_t)attr.st_size;
    caller->tally.sum += (uint64_t)attr.st_size + attr.st_mode;
}

static void
step_stat_absent(struct caller *caller, uint64_t n)
{
    struct path path = path_of('d', "none", n);
    struct stat attr;

    check_call(fstatat(caller->root, path.text, &attr, 0) != 0 && errno == ENOENT, &path);
}

static void
step_read(struct caller *caller, uint64_t n)
{
    struct path path = path_of('d', "file", n);

    read_file(caller, &path);
}

static void
step_rewrite(struct caller *caller, uint64_t n)
{
    struct path path = path_of('d', "file", n);
    struct bytes bytes = payload_of(n + FILES, FILE_SIZE);
    int fd = open_file(caller, &path, O_WRONLY);

    check_call(pwrite(fd, bytes.data, bytes.size, 0) == (ssize_t)bytes.size, &path);
    check_call(close(fd) == 0, &path);
}

static void
step_list(struct caller *caller, uint64_t n)
{
    struct path path;
    struct dirent *entry;
    struct stat attr;
    DIR *directory;

    snprintf(path.text, sizeof(path.text), "d%04u", (unsigned)n);
    directory = fdopendir(open_file(caller, &path, O_RDONLY | O_DIRECTORY));
    check_call(directory != NULL, &path);
    while ((entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        check_call(fstatat(dirfd(directory), entry->d_name, &attr, 0) == 0, &path);
        caller->tally.entries++;
        caller->tally.sum += (uint64_t)attr.st_size;
    }
    closedir(directory);
}

static void
step_rename(struct caller *caller, uint64_t n)
{
    struct path path = path_of('d', "file", n), to = path_of('d', "moved", n);

    check_call(renameat(caller->root, path.text, caller->root, to.text) == 0, &path);
}

static void
step_unlink(struct caller *caller, uint64_t n)
{
    struct path path = path_of('d', "moved", n);

    check_call(unlinkat(caller->root, path.text, 0) == 0, &path);
}

/* A line to a log, as a shell does with >>. */
static void
step_append(struct caller *caller, uint64_t n)
{
    struct path path = path_of('d', "log", caller->begin);
    struct bytes bytes = payload_of(n, LINE_SIZE);
    int fd = open_file(caller, &path, O_WRONLY | O_APPEND | O_CREAT);

    check_call(write(fd, bytes.data, bytes.size) == (ssize_t)bytes.size, &path);
    check_call(close(fd) == 0, &path);
}

/* A page of a file of many, as a database does, anywhere in it: the first time the file is made. */
static void
step_overwrite(struct caller *caller, uint64_t n)
{
    struct path path = path_of('d', "pages", caller->begin);
    struct bytes bytes = payload_of(n, PAGE);
    int fd = open_file(caller, &path, O_WRONLY | O_CREAT);

    for (off_t at = 0; n == caller->begin && at < PAGES * PAGE; at += PAGE)
        check_call(pwrite(fd, bytes.data, bytes.size, at) == PAGE, &path);
    check_call(pwrite(fd, bytes.data, bytes.size,
                      (off_t)(n * UINT64_C(2654435761) % PAGES) * PAGE) == PAGE,
               &path);
    check_call(close(fd) == 0, &path);
}

/* A message comes, is read and deleted. */
static void
step_mail(struct caller *caller, uint64_t n)
{
    struct path new = path_of('m', "new", n), mail = path_of('m', "mail", n);

    write_new(caller, &new, n, MAIL_SIZE, true);
    check_call(renameat(caller->root, new.text, caller->root, mail.text) == 0, &mail);
    read_file(caller, &mail);
    check_call(unlinkat(caller->root, mail.text, 0) == 0, &mail);
}

/* ---- a row ---- */

static const struct row_plan {
    const char *name;
    enum scope scope;
    bool cold;
    void (*step)(struct caller *caller, uint64_t n);
} plans[] = {
    {"create", EACH_FILE, false, step_create},
    {"read-fresh", EACH_FILE, false, step_read},
    {"stat-cold", EACH_FILE, true, step_stat},
    {"stat-warm", EACH_FILE, false, step_stat},
    {"stat-absent", EACH_FILE, false, step_stat_absent},
    {"read-cold", EACH_FILE, true, step_read},
    {"read-warm", EACH_FILE, false, step_read},
    {"list-cold", EACH_DIRECTORY, true, step_list},
    {"rewrite", EACH_FILE, false, step_rewrite},
    {"append", EACH_FILE, false, step_append},
    {"overwrite", EACH_FILE, false, step_overwrite},
    {"create-fsync", EACH_TENTH, false, step_create_synced},
    {"mail", EACH_TENTH, false, step_mail},
    {"rename", EACH_FILE, false, step_rename},
    {"unlink", EACH_FILE, false, step_unlink},
};

static void *
caller_main(void *argument)
{
    struct caller *caller = argument;
    uint64_t before, after;

    pthread_barrier_wait(caller->start);
    before = meter_now();
    for (uint64_t n = caller->begin; n < caller->end; n++, before = after) {
        caller->step(caller, n);
        after = meter_now();
        histogram_add(&caller->latencies, after - before);
    }
    pthread_barrier_wait(caller->start);
    return NULL;
}

static void
emit_row(const struct bench *bench, const char *name, const struct meter *meter,
         const struct caller *sum)
{
    double count = (double)sum->latencies.count;

    bench_emit(bench, name, "", "k/s", BETTER_MORE,
               count / ((double)meter->begin / 1e9) / 1e3, tally_check(&sum->tally));
    bench_emit_costs(bench, name, "us", meter, count * 1e3);
    bench_emit(bench, name, "-p50", "us", BETTER_LESS,
               histogram_percentile(&sum->latencies, 0.5), 0);
    bench_emit(bench, name, "-p99", "us", BETTER_LESS,
               histogram_percentile(&sum->latencies, 0.99), 0);
}

/* The first caller holds the sum afterwards. */
static void
add_up(struct caller *callers, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        callers[0].tally.entries += callers[i].tally.entries;
        callers[0].tally.bytes += callers[i].tally.bytes;
        callers[0].tally.sum += callers[i].tally.sum;
        histogram_merge(&callers[0].latencies, &callers[i].latencies);
    }
}

static void
run_row(const struct bench *bench, const struct row_plan *plan, int root, uint64_t count)
{
    unsigned crew = bench->series->callers;
    struct caller *callers = calloc(crew, sizeof(*callers));
    pthread_barrier_t start;
    struct meter meter;

    if (callers == NULL)
        die("no memory");
    pthread_barrier_init(&start, NULL, crew + 1);
    for (unsigned i = 0; i < crew; i++) {
        callers[i].root = root;
        callers[i].begin = count * i / crew;
        callers[i].end = count * (i + 1) / crew;
        callers[i].step = plan->step;
        callers[i].start = &start;
        if (pthread_create(&callers[i].thread, NULL, caller_main, &callers[i]) != 0)
            die("a thread cannot be started");
    }
    meter_begin(&meter, bench);
    pthread_barrier_wait(&start);
    pthread_barrier_wait(&start);
    meter_end(&meter, bench);
    for (unsigned i = 0; i < crew; i++)
        pthread_join(callers[i].thread, NULL);
    add_up(callers, crew);
    emit_row(bench, plan->name, &meter, &callers[0]);
    pthread_barrier_destroy(&start);
    free(callers);
}

/* ---- the series ---- */

static void
make_directories(int root, char kind, uint64_t count)
{
    char path[64];

    for (uint64_t i = 0; i < (count + FILES_IN_ONE - 1) / FILES_IN_ONE; i++) {
        snprintf(path, sizeof(path), "%c%04u", kind, (unsigned)i);
        if (mkdirat(root, path, 0755) != 0)
            die("%s: %s", path, strerror(errno));
    }
}

void
series_calls(struct bench *bench)
{
    uint64_t files = (uint64_t)(FILES * bench->scale) / FILES_IN_ONE * FILES_IN_ONE;
    int root = open(bench->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (root < 0)
        die("%s: %s", bench->root, strerror(errno));
    files = files < FILES_IN_ONE ? FILES_IN_ONE : files;
    make_directories(root, 'd', files);
    make_directories(root, 's', files / 10);
    make_directories(root, 'm', files / 10);
    for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
        const struct row_plan *plan = &plans[i];

        if (plan->cold)
            bench_go_cold(bench);
        else
            bench_settle(bench);
        run_row(bench, plan, root,
                plan->scope == EACH_FILE        ? files
                : plan->scope == EACH_DIRECTORY ? files / FILES_IN_ONE
                                                : files / 10);
    }
    close(root);
}
