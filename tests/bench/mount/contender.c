/* contender.c - see contender.h. */
#include "contender.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common.h"
#include "meter.h"

enum { MOUNT_TRIES = 1000, UNMOUNT_TRIES = 100, PAUSE_MS = 10 };

#define BENEATH "as the file system beneath"

/* FUSE over io_uring. */
static bool
is_uring_on(void)
{
    int fd = open("/sys/module/fuse/parameters/enable_uring", O_RDONLY | O_CLOEXEC);
    char first = 'N';
    bool on = fd >= 0 && read(fd, &first, 1) == 1 && first == 'Y';

    if (fd >= 0)
        close(fd);
    return on;
}

/* A bound on how long waking may take. */
static bool
is_latency_bound(void)
{
    return access("/dev/cpu_dma_latency", W_OK) == 0;
}

const struct contender contenders[] = {
    {.name = "lsmfs",
     .durability = "a change: the daemon's death at once, power within 1 s; fsync: power",
     .standing = PEER,
     .program = "lsmfs",
     .serve = "exec \"$0\" -f store mnt"},
    {.name = "lsmfs-uring",
     .durability = "as lsmfs",
     .standing = ASIDE,
     .program = "lsmfs",
     .serve = "exec \"$0\" -f -o io_uring store mnt",
     .is_offered = is_uring_on},
    {.name = "lsmfs-awake",
     .durability = "as lsmfs",
     .standing = ASIDE,
     .program = "lsmfs",
     .serve = "exec \"$0\" -f -o low_latency store mnt",
     .is_offered = is_latency_bound},
    {.name = "lsmfs-writeback",
     .durability = "a write: not before close; a change: as lsmfs",
     .standing = ASIDE,
     .program = "lsmfs",
     .serve = "exec \"$0\" -f -o writeback_cache store mnt"},
    {.name = "null",
     .durability = "none: all is in memory",
     .standing = YARDSTICK,
     .program = "lsm-null",
     .serve = "exec \"$0\" mnt",
     .serve_pinned = "exec \"$0\" -s mnt"},
    {.name = "ext4",
     .durability = "a change: power within 5 s, contents within 30 s; fsync: power",
     .standing = YARDSTICK},
    {.name = "bindfs",
     .durability = BENEATH,
     .standing = PEER,
     .program = "bindfs",
     .serve = "exec \"$0\" -f lower mnt"},
    {.name = "gocryptfs",
     .durability = BENEATH,
     .standing = PEER,
     .program = "gocryptfs",
     .prepare = "echo bench >pass && gocryptfs -init -q -scryptn 10 -passfile pass lower",
     .serve = "exec \"$0\" -fg -q -passfile pass lower mnt"},
    {.name = "fuse-overlayfs",
     .durability = BENEATH,
     .standing = PEER,
     .program = "fuse-overlayfs",
     .prepare = "mkdir upper work",
     .serve = "exec \"$0\" -f -o lowerdir=lower,upperdir=upper,workdir=work mnt"},
    {.name = NULL},
};

static void
rest(void)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};

    nanosleep(&pause, NULL);
}

/* ---- programs ---- */

/* Beside this program, or where PATH says; NULL: nowhere.  Static. */
static const char *
path_of(const char *program)
{
    static char path[4096];
    const char *folders = getenv("PATH");
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 256);

    if (length > 0) {
        path[length] = '\0';
        strcpy(strrchr(path, '/') + 1, program);
        if (access(path, X_OK) == 0)
            return path;
    }
    while (folders != NULL && *folders != '\0') {
        size_t size = strcspn(folders, ":");

        snprintf(path, sizeof(path), "%.*s/%s", (int)size, folders, program);
        if (access(path, X_OK) == 0)
            return path;
        folders += size + (folders[size] == ':');
    }
    return NULL;
}

bool
contender_is_there(const struct contender *contender)
{
    return (contender->program == NULL || path_of(contender->program) != NULL) &&
           (contender->is_offered == NULL || contender->is_offered());
}

/* JSON and the table take neither quotes nor control characters. */
static void
make_plain(char *text)
{
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text > '~' || strchr("\"\\|", *text) != NULL)
            *text = ' ';
}

const char *
contender_build(const struct contender *contender)
{
    char command[4200], line[80] = "";
    FILE *out;

    if (contender->program == NULL || strcmp(contender->name, "null") == 0)
        return "";
    snprintf(command, sizeof(command), "'%s' --version 2>&1",
             path_of(contender->program));
    out = popen(command, "r");
    if (out == NULL || fgets(line, sizeof(line), out) == NULL)
        line[0] = '\0';
    if (out != NULL)
        pclose(out);
    line[strcspn(line, "\n")] = '\0';
    make_plain(line);
    return strdup(line);
}

void
pin_to(int core)
{
    cpu_set_t set;

    if (core < 0)
        return;
    CPU_ZERO(&set);
    CPU_SET((unsigned)core, &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0)
        die("core %d: %s", core, strerror(errno));
}

/* ---- mounting ---- */

/* In the child; does not return. */
static void
become_daemon(const struct site *site, const struct contender *contender, int core)
{
    const char *program = contender->program;
    const char *command = core >= 0 && contender->serve_pinned != NULL
                              ? contender->serve_pinned
                              : contender->serve;
    int log = open("log", O_WRONLY | O_CREAT | O_TRUNC, 0600);

    /* A terminal's interrupt is for the driver, which unmounts. */
    setpgid(0, 0);
    pin_to(core);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execl("/bin/sh", "sh", "-c", command, path_of(program), (char *)NULL);
    die("%s: /bin/sh: %s", site->directory, strerror(errno));
}

static void
show_log(const struct site *site)
{
    char command[4200];

    snprintf(command, sizeof(command), "tail -n 5 '%slog' >&2", site->directory);
    if (system(command) != 0)
        fprintf(stderr, "%slog cannot be shown\n", site->directory);
}

static bool
is_mounted(const struct site *site)
{
    struct stat above, root;

    return stat(site->directory, &above) == 0 && stat(site->root, &root) == 0 &&
           above.st_dev != root.st_dev;
}

static void
await_mount(const struct site *site, const struct contender *contender)
{
    for (unsigned i = 0; i < MOUNT_TRIES; i++) {
        if (is_mounted(site))
            return;
        if (waitpid(site->daemon, NULL, WNOHANG) != 0)
            break;
        rest();
    }
    show_log(site);
    die("%s does not mount at %s", contender->name, site->root);
}

static void
run_prepare(const struct site *site, const struct contender *contender)
{
    char command[8192];

    snprintf(command, sizeof(command), "cd '%s' && mkdir mnt lower && { %s; }",
             site->directory, contender->prepare != NULL ? contender->prepare : ":");
    if (system(command) != 0)
        die("%s: cannot be prepared", contender->name);
}

void
site_open(struct site *site, const struct contender *contender, const char *parent,
          int core)
{
    bool daemon = contender->program != NULL;

    /* The name ends as mkdtemp(3) wants it, which fills it in; a slash comes behind. */
    snprintf(site->directory, sizeof(site->directory) - 1, "%s/run.XXXXXX", parent);
    if (mkdtemp(site->directory) == NULL)
        die("%s: %s", site->directory, strerror(errno));
    strcat(site->directory, "/");
    snprintf(site->root, sizeof(site->root), "%s%s", site->directory,
             daemon ? "mnt" : "lower");
    site->daemon = 0;
    run_prepare(site, contender);
    if (!daemon)
        return;
    fflush(NULL);
    site->daemon = fork();
    if (site->daemon < 0)
        die("no process can be made: %s", strerror(errno));
    if (site->daemon == 0) {
        if (chdir(site->directory) != 0)
            die("%s: %s", site->directory, strerror(errno));
        become_daemon(site, contender, core);
    }
    await_mount(site, contender);
}

/* ---- unmounting ---- */

/* Something else on the machine may look at the mount just now. */
static void
unmount(const struct site *site)
{
    char command[8192];

    snprintf(command, sizeof(command), "fusermount3 -u '%s' 2>/dev/null", site->root);
    for (unsigned i = 0; i < UNMOUNT_TRIES; i++) {
        if (system(command) == 0 || !is_mounted(site))
            return;
        rest();
    }
    snprintf(command, sizeof(command), "fusermount3 -uz '%s'", site->root);
    if (system(command) != 0)
        fprintf(stderr, "%s cannot be unmounted\n", site->root);
}

bool
site_close(struct site *site)
{
    int status = 0;

    if (site->daemon != 0) {
        unmount(site);
        while (waitpid(site->daemon, &status, 0) != site->daemon && errno == EINTR)
            continue;
    }
    if (status != 0) {
        fprintf(stderr, "the daemon of %s ended with status %d\n", site->root,
                WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
        show_log(site);
    }
    remove_tree(site->directory);
    return status == 0;
}
