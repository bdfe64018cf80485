/*
 * main.c - lsm-mount-bench: the same work on each mount, alternating, repeated, reported.
 *
 * A run is a series of work on one contender, freshly mounted.  Order: a repetition runs each
 * series on each contender before the next one begins, and begins with another contender, so that
 * what else the machine does meets them alike.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "apart.h"
#include "bench.h"
#include "common.h"
#include "contender.h"
#include "keys.h"
#include "meter.h"
#include "source.h"

static void
usage(FILE *out)
{
    fputs(
        "usage: lsm-mount-bench [OPTION]... [SERIES]...\n"
        "\n"
        "Measures the mount beside an in-memory server, the file system beneath and other\n"
        "FUSE file systems that are installed.  As root, for caches are dropped.  Without\n"
        "SERIES all of them run.\n"
        "\n"
        "  --dir=DIR           where stores and mount points are made; on ext4; .\n"
        "  --contenders=A,B    these of those that --list names; all\n"
        "  --repeat=N          medians of N, 1 to 25; 3\n"
        "  --scale=X           X times the usual number of files; 1\n"
        "  --quick             sees that it works: --repeat=1 --scale=0.01\n"
        "  --json=FILE         writes all values to FILE\n"
        "  --list              names the contenders and the series\n"
        "  --help\n"
        "\n"
        "Exit status: 0 all series ran; 1 one failed; 2 bad usage.\n",
        out);
}

enum option_id {
    OPTION_DIR = 256,
    OPTION_CONTENDERS,
    OPTION_REPEAT,
    OPTION_SCALE,
    OPTION_QUICK,
    OPTION_JSON,
    OPTION_LIST,
    OPTION_HELP,
};

static const struct option options[] = {
    {"dir", required_argument, NULL, OPTION_DIR},
    {"contenders", required_argument, NULL, OPTION_CONTENDERS},
    {"repeat", required_argument, NULL, OPTION_REPEAT},
    {"scale", required_argument, NULL, OPTION_SCALE},
    {"quick", no_argument, NULL, OPTION_QUICK},
    {"json", required_argument, NULL, OPTION_JSON},
    {"list", no_argument, NULL, OPTION_LIST},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

struct plan {
    const char *given; /* the directory as it was named */
    char
        directory[4096]; /* of this program in it; absolute, for daemons work elsewhere */
    char source[4200];   /* made when the first series wants it; empty: not yet */
    const char *names;   /* of contenders, between commas; NULL: all */
    const struct contender *contenders[SUBJECTS_MAX]; /* the subjects of the report */
    const char *json;
    char **series; /* names, up to NULL; none: all */
};

/* ---- options ---- */

static void
list(void)
{
    for (const struct contender *contender = contenders; contender->name != NULL;
         contender++)
        if (contender_is_there(contender))
            printf("contender %-15s %s\n", contender->name, contender->durability);
    for (const struct series *series = all_series; series->name != NULL; series++) {
        printf("series %-9s %s", series->name, series->about);
        if (series->takes_part != NULL)
            printf(" (%s alone)", series->takes_part);
        printf("\n");
    }
}

/* False: bad usage, and the reason was told. */
static bool
take_option(struct plan *plan, struct report *report, int option)
{
    double number;

    switch (option) {
    case OPTION_DIR:
        plan->given = optarg;
        return true;
    case OPTION_CONTENDERS:
        plan->names = optarg;
        return true;
    case OPTION_REPEAT:
        if (!parse_number(optarg, 1, REPEATS_MAX, &number))
            return false;
        report->repeats = (unsigned)number;
        return true;
    case OPTION_SCALE:
        return parse_number(optarg, 0.001, 100, &report->scale);
    case OPTION_QUICK:
        report->repeats = 1;
        report->scale = 0.01;
        return true;
    case OPTION_JSON:
        plan->json = optarg;
        return true;
    default:
        return false; /* getopt has told */
    }
}

/* Ends the program where nothing is left to do. */
static void
parse_arguments(struct plan *plan, struct report *report, int argc, char **argv)
{
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == OPTION_HELP) {
            usage(stdout);
            exit(0);
        }
        if (option == OPTION_LIST) {
            list();
            exit(0);
        }
        if (!take_option(plan, report, option))
            exit(2);
    }
    plan->series = argv + optind;
}

/* ---- what is to run ---- */

/* What stands beside the mounts is told by what it is. */
static const char *
name_of(const struct plan *plan, const struct contender *contender)
{
    struct statfs fs;

    if (contender->program != NULL ||
        (statfs(plan->given, &fs) == 0 && fs.f_type == EXT4_SUPER_MAGIC))
        return contender->name;
    return "beneath";
}

static void
choose_contenders(struct plan *plan, struct report *report)
{
    unsigned known = 0, wanted = 1;

    for (const struct contender *contender = contenders; contender->name != NULL;
         contender++) {
        if ((plan->names != NULL && !names_it(plan->names, contender->name)) ||
            !contender_is_there(contender))
            continue;
        plan->contenders[known] = contender;
        report->subjects[known++] =
            (struct subject){name_of(plan, contender), contender_build(contender),
                             contender->durability, contender->standing};
    }
    report->subject_count = known;
    for (const char *at = plan->names; at != NULL && *at != '\0'; at++)
        wanted += *at == ',';
    if (plan->names != NULL && known != wanted) {
        fprintf(stderr,
                "lsm-mount-bench: --contenders=%s: --list names those there are\n",
                plan->names);
        exit(2);
    }
}

static void
check_series(const struct plan *plan)
{
    for (char **name = plan->series; *name != NULL; name++) {
        const struct series *series = all_series;

        while (series->name != NULL && strcmp(series->name, *name) != 0)
            series++;
        if (series->name == NULL) {
            fprintf(stderr, "lsm-mount-bench: %s: no such series; --list names them\n",
                    *name);
            exit(2);
        }
    }
}

/* ---- running it ---- */

/* ext4 puts each directory in one with the flag T somewhere else on the disk.  Without, a run
 * that makes files where another has just removed some searches long: for minutes ext4 gives no
 * inode away again, and looks at each that was freed. */
static void
make_directory(struct plan *plan)
{
    char *given = realpath(plan->given, NULL);
    int flags = FS_TOPDIR_FL, fd = -1;

    if (given == NULL)
        die("%s: %s", plan->given, strerror(errno));
    /* The name ends as mkdtemp(3) wants it, which fills it in. */
    snprintf(plan->directory, sizeof(plan->directory), "%s/lsm-mount-bench.XXXXXX",
             given);
    free(given);
    if (mkdtemp(plan->directory) != NULL)
        fd = open(plan->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        die("%s: %s", plan->directory, strerror(errno));
    if (ioctl(fd, FS_IOC_SETFLAGS, &flags) != 0 && errno != ENOTTY && errno != EOPNOTSUPP)
        die("%s: flag T: %s", plan->directory, strerror(errno));
    close(fd);
}

static int
first_core(void)
{
    cpu_set_t set;
    int core = 0;

    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        die("no processors: %s", strerror(errno));
    while (!CPU_ISSET((unsigned)core, &set))
        core++;
    return core;
}

static void
need_source(struct plan *plan, double scale)
{
    char command[8600];

    if (plan->source[0] != '\0')
        return;
    snprintf(plan->source, sizeof(plan->source), "%s/source", plan->directory);
    source_make(plan->source, scale);
    snprintf(command, sizeof(command), "'%s' prepare - '%s' %g", BENCH_WORK, plan->source,
             scale);
    if (system(command) != 0)
        die("%s: cannot be prepared", plan->source);
}

static void
work_on_series(void *context, int out)
{
    struct bench *bench = context;

    bench->out = out;
    pin_to(bench->series->pinned ? first_core() : -1);
    payloads_init(PAYLOAD_NOISE);
    bench->series->run(bench);
}

static bool
run_one(struct plan *plan, struct report *report, const struct series *series,
        unsigned subject)
{
    struct bench bench = {.series = series,
                          .beneath = plan->directory,
                          .script = BENCH_WORK,
                          .scale = report->scale};
    struct site site;
    bool done;

    if (asked_to_end())
        return false;
    if (series->run == series_programs)
        need_source(plan, report->scale);
    site_open(&site, plan->contenders[subject], plan->directory,
              series->pinned ? first_core() : -1);
    bench.root = site.root;
    bench.source = plan->source;
    bench.daemon = site.daemon;
    done = run_apart(work_on_series, &bench, report, subject);
    return site_close(&site) && done;
}

static bool
takes_part(const struct series *series, const struct contender *contender)
{
    return series->takes_part == NULL || names_it(series->takes_part, contender->name);
}

static bool
run_series_on_all(struct plan *plan, struct report *report, const struct series *series,
                  unsigned repeat)
{
    bool good = true;

    for (unsigned i = 0; i < report->subject_count; i++) {
        unsigned subject = (i + repeat) % report->subject_count;

        if (!takes_part(series, plan->contenders[subject]))
            continue;
        fprintf(stderr, "%u/%u %s %s\n", repeat + 1, report->repeats, series->name,
                report->subjects[subject].name);
        good = run_one(plan, report, series, subject) && good;
    }
    return good;
}

static bool
run_all(struct plan *plan, struct report *report)
{
    bool good = true;

    for (unsigned repeat = 0; repeat < report->repeats; repeat++)
        for (const struct series *series = all_series; series->name != NULL; series++)
            if (is_chosen(plan->series, series->name))
                good = run_series_on_all(plan, report, series, repeat) && good;
    return good;
}

int
main(int argc, char **argv)
{
    static struct report report = {.repeats = 3, .scale = 1};
    static struct plan plan = {.given = "."};
    bool good;

    parse_arguments(&plan, &report, argc, argv);
    choose_contenders(&plan, &report);
    check_series(&plan);
    if (access("/proc/sys/vm/drop_caches", W_OK) != 0)
        die("caches cannot be dropped: %s", strerror(errno));
    catch_signals();
    make_directory(&plan);
    good = run_all(&plan, &report);
    remove_tree(plan.directory);
    report_print(&report, stdout);
    if (plan.json != NULL)
        report_save(&report, plan.json);
    return good && fflush(stdout) == 0 ? 0 : 1;
}
