/*
 * main.c - lsm-bench: the same work for each engine, alternating, repeated, reported.
 *
 * Order: a repetition runs each series on each engine before the next one begins, and begins with
 * another engine, so that what else the machine does meets them alike.
 */
#include <getopt.h>
#include <stdlib.h>

#include "apart.h"
#include "run.h"

static void
usage(FILE *out)
{
    fputs(
        "usage: lsm-bench [OPTION]... [SERIES]...\n"
        "\n"
        "Measures the engine: each series makes a store in a process of its own, works on\n"
        "it and removes it.  Without SERIES all of them run.  Prints a row a measurement, in\n"
        "thousands of operations a second where nothing else is said.\n"
        "\n"
        "  --dir=DIR        where stores are made, on the disk to be measured; .\n"
        "  --engines=A,B    these of the engines that --list names; all\n"
        "  --repeat=N       medians of N, 1 to 25; 3\n"
        "  --scale=X        X times the usual number of keys; 1\n"
        "  --seconds=X      how long synced puts, streams and mixed work last; 5\n"
        "  --values=KIND    noise, which does not compress, or words, which do; noise\n"
        "  --compress       lsmkv's tables and blob files are compressed with LZ4; the other engines\n"
        "                   go on without\n"
        "  --quick          sees that it works: --repeat=1 --scale=0.01 --seconds=0.5\n"
        "  --json=FILE      writes all values to FILE\n"
        "  --list           names the engines and the series\n"
        "  --help, --version\n"
        "\n"
        "Exit status: 0 all series ran; 1 one failed; 2 bad usage.\n",
        out);
}

enum option_id {
    OPTION_DIR = 256,
    OPTION_ENGINES,
    OPTION_REPEAT,
    OPTION_SCALE,
    OPTION_SECONDS,
    OPTION_VALUES,
    OPTION_COMPRESS,
    OPTION_QUICK,
    OPTION_JSON,
    OPTION_LIST,
    OPTION_HELP,
    OPTION_VERSION,
};

static const struct option options[] = {
    {"dir", required_argument, NULL, OPTION_DIR},
    {"engines", required_argument, NULL, OPTION_ENGINES},
    {"repeat", required_argument, NULL, OPTION_REPEAT},
    {"scale", required_argument, NULL, OPTION_SCALE},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"values", required_argument, NULL, OPTION_VALUES},
    {"compress", no_argument, NULL, OPTION_COMPRESS},
    {"quick", no_argument, NULL, OPTION_QUICK},
    {"json", required_argument, NULL, OPTION_JSON},
    {"list", no_argument, NULL, OPTION_LIST},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

struct plan {
    struct run_settings settings;
    const char *names; /* of engines, between commas; NULL: all */
    const struct engine *engines[SUBJECTS_MAX]; /* the subjects of the report */
    const char *json;
    char **series; /* names, up to NULL; none: all */
};

/* ---- options ---- */

static void
list(void)
{
    for (size_t i = 0; engines[i] != NULL; i++)
        printf("engine %-12s %s; %s\n", engines[i]->name, engines[i]->build(),
               engines[i]->durability);
    for (const struct series *series = all_series; series->name != NULL; series++)
        printf("series %-12s %s\n", series->name, series->about);
}

static bool
parse_payloads(const char *text, enum payload_kind *kind)
{
    *kind = strcmp(text, "words") == 0 ? PAYLOAD_WORDS : PAYLOAD_NOISE;
    if (*kind == PAYLOAD_WORDS || strcmp(text, "noise") == 0)
        return true;
    fprintf(stderr, "lsm-bench: --values=%s: noise or words\n", text);
    return false;
}

/* False: bad usage, and the reason was told. */
static bool
take_option(struct plan *plan, struct report *report, int option)
{
    double number;

    switch (option) {
    case OPTION_DIR:
        plan->settings.directory = optarg;
        return true;
    case OPTION_ENGINES:
        plan->names = optarg;
        return true;
    case OPTION_REPEAT:
        if (!parse_number(optarg, 1, REPEATS_MAX, &number))
            return false;
        report->repeats = (unsigned)number;
        return true;
    case OPTION_SCALE:
        return parse_number(optarg, 0.001, 100, &plan->settings.scale);
    case OPTION_SECONDS:
        return parse_number(optarg, 0.1, 3600, &plan->settings.seconds);
    case OPTION_VALUES:
        return parse_payloads(optarg, &plan->settings.payloads);
    case OPTION_COMPRESS:
        plan->settings.compress = true;
        return true;
    case OPTION_QUICK:
        report->repeats = 1;
        plan->settings.scale = 0.01;
        plan->settings.seconds = 0.5;
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
        if (option == OPTION_VERSION) {
            printf("lsm-bench %s\n", engines[0]->build());
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

static void
choose_engines(struct plan *plan, struct report *report)
{
    const char *names = plan->names;
    size_t known = 0, wanted = 1;

    for (size_t i = 0; engines[i] != NULL; i++) {
        const struct engine *engine = engines[i];

        if (names == NULL || names_it(names, engine->name)) {
            plan->engines[known] = engine;
            report->subjects[known++] =
                (struct subject){engine->name, engine->build(), engine->durability,
                                 engine->puts_only ? ASIDE : PEER};
        }
    }
    report->subject_count = (unsigned)known;
    for (const char *at = names; at != NULL && *at != '\0'; at++)
        wanted += *at == ',';
    if (names != NULL && known != wanted) {
        fprintf(stderr, "lsm-bench: --engines=%s: --list names those there are\n", names);
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
            fprintf(stderr, "lsm-bench: %s: no such series; --list names them\n", *name);
            exit(2);
        }
    }
}

/* ---- running it ---- */

static bool
run_series_on_all(const struct plan *plan, struct report *report,
                  const struct series *series, unsigned repeat)
{
    bool good = true;

    for (unsigned i = 0; i < report->subject_count; i++) {
        unsigned subject = (i + repeat) % report->subject_count;
        const struct engine *engine = plan->engines[subject];

        if (engine->puts_only && !series->puts_only)
            continue;
        fprintf(stderr, "%u/%u %s %s\n", repeat + 1, report->repeats, series->name,
                engine->name);
        good = run_series(&plan->settings, series, engine, report, subject) && good;
    }
    return good;
}

static bool
run_all(const struct plan *plan, struct report *report)
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
    static struct report report = {.repeats = 3};
    struct plan plan = {.settings = {.directory = ".", .scale = 1, .seconds = 5}};
    bool good;

    parse_arguments(&plan, &report, argc, argv);
    choose_engines(&plan, &report);
    check_series(&plan);
    report.scale = plan.settings.scale;
    catch_signals();
    good = run_all(&plan, &report);
    report_print(&report, stdout);
    if (plan.json != NULL)
        report_save(&report, plan.json);
    return good && fflush(stdout) == 0 ? 0 : 1;
}
