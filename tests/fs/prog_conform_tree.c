/*
 * prog_conform_tree - directories among their neighbours: names that sort around the separator,
 * link counts, trees moved and removed, working directories, the clock.
 */
#include <sys/inotify.h>

#include "prog_conform.h"

/* Names that have "p" as a beginning, and bytes below and above '/' behind it. */
static const char *const neighbours[] = {"p\x01", "p ", "p!",    "p-",    "p.", "p..",
                                         "p0",    "pp", "p\x7f", "p\xff", "o",  "q"};

static int
count(const char *directory)
{
    char command[128];
    int status;

    snprintf(command, sizeof(command), "exit $(find '%s' | wc -l)", directory);
    status = system(command);
    return WEXITSTATUS(status);
}

/* Every neighbour still has its file; how many do not. */
static int
disturbed(void)
{
    int wrong = 0;

    for (size_t i = 0; i < sizeof(neighbours) / sizeof(*neighbours); i++) {
        char name[64];

        snprintf(name, sizeof(name), "%s/in/f", neighbours[i]);
        wrong += strcmp(contents_of(name), neighbours[i]) != 0;
        wrong += links_of(neighbours[i]) != 3;
    }
    return wrong;
}

static void
among_neighbours(void)
{
    group("tree: names around the separator");
    for (size_t i = 0; i < sizeof(neighbours) / sizeof(*neighbours); i++) {
        char name[64];

        MUST(mkdir(neighbours[i], 0755));
        snprintf(name, sizeof(name), "%s/in", neighbours[i]);
        MUST(mkdir(name, 0755));
        strcat(name, "/f");
        make(name, 0644, neighbours[i]);
    }
    IS(0, disturbed());
    OK(mkdir("p", 0755));
    IS(0, disturbed());
    OK(rmdir("p"));
    OK(mkdir("p", 0755));
    OK(mkdir("p/a", 0755));
    make("p/a/1", 0644, "1");
    make("p/b", 0644, "b");
    FAILS(ENOTEMPTY, rmdir("p"));
    IS(4, count("p"));
    OK(rename("p", "r"));
    IS(0, disturbed());
    TRUE(!exists("p"));
    TRUE(!exists("p/a/1"));
    IS(4, count("r"));
    TEXT("1", contents_of("r/a/1"));
    OK(rename("r", "p"));
    IS(0, disturbed());
    OK(renameat2(AT_FDCWD, "p", AT_FDCWD, "p-", RENAME_EXCHANGE));
    TEXT("1", contents_of("p-/a/1"));
    TEXT("p-", contents_of("p/in/f"));
    OK(renameat2(AT_FDCWD, "p-", AT_FDCWD, "p", RENAME_EXCHANGE));
    IS(0, disturbed());
    OK(rename("p", "p./moved"));
    IS(4, links_of("p."));
    OK(rename("p./moved", "p"));
    IS(0, disturbed());
    IS(0, system("rm -r p"));
    IS(0, disturbed());
    make("p", 0644, "file");
    IS(0, disturbed());
    FAILS(ENOTDIR, open("p/in/f", O_RDONLY));
    OK(unlink("p"));
    IS(0, disturbed());
    OK(mkdir(".snapshots", 0755));
    OK(mkdir(".lsmfs", 0755));
    make(".snapshots/f", 0644, "plain");
    make(".lsmfs/keys", 0644, "plain");
    TEXT("plain", contents_of(".snapshots/f"));
    OK(rename(".snapshots", ".lsmfs/s"));
    TEXT("plain", contents_of(".lsmfs/s/f"));
}

static void
link_counts(void)
{
    group("tree: link counts");
    make_dir("a", 0755);
    make_dir("b", 0755);
    make_dir("a/x", 0755);
    make_dir("a/y", 0755);
    make_dir("b/z", 0755);
    IS(4, links_of("."));
    IS(4, links_of("a"));
    OK(rename("a/x", "a/y"));
    IS(3, links_of("a"));
    OK(rename("a/y", "b/z"));
    IS(2, links_of("a"));
    IS(3, links_of("b"));
    OK(rename("b/z", "b/w"));
    IS(3, links_of("b"));
    OK(rename("b", "a"));
    IS(3, links_of("."));
    IS(3, links_of("a"));
    make("f", 0644, "");
    OK(renameat2(AT_FDCWD, "f", AT_FDCWD, "a/w", RENAME_EXCHANGE));
    IS(2, links_of("a"));
    IS(4, links_of("."));
    FAILS(ENOTDIR, rename("f", "a/w"));
    OK(renameat2(AT_FDCWD, "f", AT_FDCWD, "a/w", RENAME_EXCHANGE));
    IS(3, links_of("a"));
    OK(rmdir("a/w"));
    IS(2, links_of("a"));
    IS(3, links_of("."));
}

static void
places(void)
{
    char here[PATH_MAX], wanted[PATH_MAX + 16];
    int fd;

    group("tree: where one stands");
    MUST(getcwd(wanted, sizeof(wanted)) ? 0 : -1);
    make_dir("a", 0755);
    make_dir("a/b", 0755);
    OK(chdir("a/b"));
    OK(fd = open(".", O_RDONLY));
    OK(rename("../../a", "../../c"));
    strcat(wanted, "/c/b");
    TEXT(wanted, getcwd(here, sizeof(here)) ? here : "(none)");
    OK(rename("../b", "../../d"));
    OK(mkdir("e", 0755));
    TRUE(exists("../d/e"));
    OK(fchdir(fd));
    TRUE(exists("e"));
    OK(rmdir("e"));
    OK(rmdir("../d"));
    TRUE(!getcwd(here, sizeof(here)) && errno == ENOENT);
    FAILS(ENOENT, mkdir("e", 0755));
    FAILS(ENOENT, open("e", O_RDWR | O_CREAT, 0644));
    OK(chdir(".."));
    TRUE(exists("c"));
    OK(close(fd));
    IS(0, ELSEWHERE(chroot("c") == 0 && chdir("/") == 0 && mkdir("/in", 0755) == 0 &&
                            chdir("..") == 0 && exists("in")
                        ? 0
                        : -1));
    TRUE(exists("c/in"));
}

/* Every creation lies between what the clock says before and after, to a tick. */
static void
clock_agrees(void)
{
    struct timespec before, after;
    int early = 0, late = 0, order = 0;
    struct timespec last = {0};
    char name[32];

    group("tree: the clock");
    for (int i = 0; i < 200; i++) {
        struct stat st;

        snprintf(name, sizeof(name), "%d", i);
        MUST(clock_gettime(CLOCK_REALTIME_COARSE, &before));
        MUST(mknod(name, S_IFREG | 0644, 0));
        MUST(clock_gettime(CLOCK_REALTIME, &after));
        st = lstat_of(name);
        early += later(before, st.st_mtim);
        late += later(st.st_mtim, after);
        order += later(last, st.st_mtim);
        last = st.st_mtim;
    }
    IS(0, early);
    IS(0, late);
    IS(0, order);
    /* make(1) and find -newer rely on it. */
    make("source", 0644, "");
    let_time_pass();
    make("object", 0644, "");
    IS(0, system("test object -nt source && test source -ot object"));
    let_time_pass();
    OK(utimensat(AT_FDCWD, "source", NULL, 0));
    IS(0,
       system(
           "test source -nt object && test \"$(find source -newer object)\" = source"));
}

static void
watched(void)
{
    char events[4096];
    int fd;

    group("tree: inotify");
    make_dir("d", 0755);
    OK(fd = inotify_init1(IN_NONBLOCK));
    OK(inotify_add_watch(fd, "d", IN_ALL_EVENTS));
    make("d/f", 0644, "x");
    OK(rename("d/f", "d/g"));
    OK(unlink("d/g"));
    OK(rmdir("d"));
    ssize_t size = read(fd, events, sizeof(events));
    uint32_t seen = 0;

    for (ssize_t at = 0; at + (ssize_t)sizeof(struct inotify_event) <= size;) {
        struct inotify_event event;

        memcpy(&event, events + at, sizeof(event));
        seen |= event.mask;
        at += (ssize_t)(sizeof(event) + event.len);
    }
    IS(IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE |
           IN_DELETE_SELF,
       seen & (IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO |
               IN_DELETE | IN_DELETE_SELF));
    OK(close(fd));
}

/* Trees of files as programs make and remove them. */
static void
whole_trees(void)
{
    group("tree: whole trees");
    IS(0, system("for a in 1 2 3 4 5; do for b in 1 2 3 4 5; do mkdir -p t/$a/$b; "
                 "for c in 1 2 3 4 5; do echo $a$b$c >t/$a/$b/$c; done; done; done"));
    IS(156, count("t"));
    IS(0, system("cp -a t u && diff -r t u"));
    IS(0, system("mv t/3 u/moved && diff -r u/3 u/moved"));
    IS(0, system("tar cf - u | (mkdir v && cd v && tar xf -) && diff -r u v/u"));
    IS(0, system("mv u w && diff -r w v/u && rm -r w v t"));
    IS(0, system("test -z \"$(ls -A)\""));
    IS(2, links_of("."));
}

int
main(int argc, char **argv)
{
    conform_begin(argc, argv);
    among_neighbours();
    link_counts();
    places();
    clock_agrees();
    watched();
    whole_trees();
    return conform_end();
}
