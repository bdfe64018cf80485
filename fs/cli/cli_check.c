/*
 * cli_check.c - `lsmfs check`: first what the engine promises of its files (lsmkv_check), then the
 * filesystem's own invariants (fsck.h); of a damaged store, as far as it can be read.
 *
 * Of a store that is mounted its daemon does it, of a state that it pins (control_reads.c), and we say
 * what it finds.
 *
 * Findings go to standard output, one a line; progress and what the command itself could not do
 * to standard error.
 */
#include "cli/cli_check.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check/fsck.h"
#include "cli/cli_report.h"
#include "common/client.h"
#include "store/store.h"

static const char help[] =
    "Usage: lsmfs check [OPTION]... STORE|MOUNTPOINT\n"
    "Read all of the store and say what is wrong with it, a line a finding: checksums, order,\n"
    "levels, filters, sequences, snapshots, logs; then files, links, directories, extended\n"
    "attributes and contents against each other.  Changes nothing.  If it is mounted, its daemon\n"
    "does it, one at a time, of all that was written before: what its logs alone have goes to\n"
    "tables first, or a note says that it was left out.\n"
    "\n"
    "      --json       a line is a JSON object\n"
    "  -q, --quiet      say nothing but what is damaged\n"
    "      --snapshots  look at the files of every snapshot as well\n"
    "  -h, --help       show this help and exit\n"
    "\n"
    "Example:\n"
    "  lsmfs check notes.store\n"
    "\n"
    "Exit status: 0 no damage, 4 damage, 8 the check could not be made, 16 wrong usage.\n";

struct command {
    const char *path;
    const char *snapshot; /* that is looked at; NULL: the newest state */
    bool snapshots;
    bool
        salvaging; /* the files are damaged: their records are read as far as they can be */
    uint64_t damage, notes;
    struct cli_report report;
    char store[PATH_MAX]; /* the path, if a mount point was given */
};

/* ---- progress ---- */

static bool
show_bytes(void *context, uint64_t done, uint64_t total)
{
    struct command *command = context;
    report_bytes(&command->report, done, total);
    return true;
}

static bool
show_records(void *context, uint64_t records)
{
    struct command *command = context;
    report_records(&command->report, records);
    return true;
}

/* ---- findings ---- */

static void
count(struct command *command, enum lsmkv_severity severity)
{
    if (severity == LSMKV_DAMAGE)
        command->damage++;
    else
        command->notes++;
}

/* Whether it is told. */
static bool
take_severity(struct command *command, enum lsmkv_severity severity)
{
    count(command, severity);
    return severity == LSMKV_DAMAGE || !command->report.quiet;
}

static void
take_file_finding(void *context, const struct lsmkv_finding *finding)
{
    struct command *command = context;
    if (take_severity(command, finding->severity))
        report_file(&command->report, finding);
}

static void
take_finding(void *context, const struct fsck_finding *finding)
{
    struct command *command = context;
    const char *snapshot = command->snapshot;
    const char *word = report_severity(finding->severity);
    char where[1500];
    if (!take_severity(command, finding->severity))
        return;
    if (command->report.json) {
        report_json(json_pack("{ss so* so so}", "severity", word, "snapshot",
                              snapshot ? report_text(snapshot) : NULL, "where",
                              report_text(finding->where), "text",
                              report_text(finding->text)));
        return;
    }
    snprintf(where, sizeof where, "%s%s%s: ", snapshot ? snapshot : "",
             snapshot ? ": " : "", finding->where);
    report_line(&command->report, word, finding->severity == LSMKV_DAMAGE, where,
                finding->text);
}

/* What the engine says while the filesystem's records are read: if it has found no damage before,
 * an error is new; the rest was said. */
static void
take_log(void *context, enum lsmkv_level level, const char *line)
{
    const struct command *command = context;
    struct lsmkv_finding finding = {LSMKV_DAMAGE, "", 0, line};
    if (level == LSMKV_LOG_ERROR && !command->salvaging)
        take_file_finding(context, &finding);
}

/* ---- the two checks ---- */

static int
unable(struct command *command, const char *why)
{
    return report_unable(&command->report, why);
}

/* 0 or an exit status. */
static int
check_files(struct command *command)
{
    struct lsmkv_check_options check = {take_file_finding, show_bytes, command};
    int result = lsmkv_check(command->path, NULL, &check);
    if (result == 0 || result == -EUCLEAN)
        return 0;
    return report_unable_at(&command->report, command->path, result);
}

static void
begin_snapshot(void *context, const char *name)
{
    struct command *command = context;
    command->snapshot = name;
}

/* Of a damaged store this is no failure of the check. */
static int
note_unread(struct command *command, const char *why)
{
    struct fsck_finding finding = {.severity = LSMKV_NOTE,
                                   .where = "the records of files cannot be read",
                                   .text = why};
    take_finding(command, &finding);
    return 0;
}

static int
check_tree_of(struct command *command, struct store *store)
{
    struct fsck_report report = {.finding = take_finding,
                                 .progress = show_records,
                                 .context = command,
                                 .salvaging = command->salvaging};
    uint64_t damage, before = command->damage;
    int result = fsck_run(store, NULL, &report, &damage);
    if (result == 0 && command->snapshots)
        result = fsck_run_named(store, &report, begin_snapshot);
    command->snapshot = NULL;
    if (result == 0 || command->damage > before)
        return 0;
    return command->salvaging ? note_unread(command, lsmkv_strerror(result))
                              : unable(command, lsmkv_strerror(result));
}

/* The same for the records of the filesystem. */
static int
check_filesystem(struct command *command)
{
    struct store_options options;
    struct lsmkv_options engine;
    struct store *store;
    char why[1024];
    store_engine_init(&engine);
    engine.log = take_log;
    engine.log_context = command;
    engine.salvage = command->salvaging;
    store_options_init(&options);
    options.path = command->path;
    options.engine = &engine;
    options.read_only = true;
    int result = store_open(&options, &store, why, sizeof why);
    if (result && command->salvaging)
        return note_unread(command, why);
    if (result == -EUCLEAN) {
        take_finding(command, &(struct fsck_finding){.severity = LSMKV_DAMAGE,
                                                     .where = "store",
                                                     .text = why});
        return 0;
    }
    if (result)
        return unable(command, why);
    int status = check_tree_of(command, store);
    result = store_close(store);
    if (status == 0 && result)
        status = unable(command, lsmkv_strerror(result));
    return status;
}

/* 0 or an exit status. */
static int
check_unmounted(struct command *command)
{
    int status = check_files(command);
    command->salvaging = command->damage > 0;
    return status ? status : check_filesystem(command);
}

/* ---- mounted ---- */

static bool
take_record_line(struct command *command, enum lsmkv_severity severity, char *rest)
{
    const char *snapshot = client_word(&rest), *where = client_word(&rest);
    const char *text = client_word(&rest);
    if (!text)
        return false;
    command->snapshot = *snapshot ? snapshot : NULL;
    take_finding(command, &(struct fsck_finding){
                              .severity = severity, .where = where, .text = text});
    command->snapshot = NULL;
    return true;
}

/* Takes a line of the reply but for the last.  False: it was not one. */
static bool
take_line(struct command *command, char *line)
{
    struct lsmkv_finding finding;
    uint64_t done, total;
    int severity, head = 0;
    if (client_take_progress(line, &done, &total))
        return total == 0 ? show_records(command, done)
                          : show_bytes(command, done, total);
    if (client_take_file(line, &finding)) {
        take_file_finding(command, &finding);
        return true;
    }
    /* One blank, as in client_take_file. */
    if (sscanf(line, "record %d%n", &severity, &head) != 1 || line[head] != ' ')
        return false;
    return take_record_line(command, severity == LSMKV_DAMAGE ? LSMKV_DAMAGE : LSMKV_NOTE,
                            line + head + 1);
}

/* 0 or an exit status. */
static int
check_mounted(struct command *command, struct client *client)
{
    char *line;
    client_ask(client, command->snapshots ? "check-snapshots" : "check",
               lsmkv_bytes(NULL, 0));
    while ((line = wire_line(&client->wire)) && take_line(command, line))
        continue;
    int result = client_end(client, line);
    if (result == 0)
        return 0;
    report_clear_bar(&command->report);
    /* Of a damaged store that its records cannot be read is no failure of the check. */
    if (command->damage > 0 && result != -ENOMEM)
        return note_unread(command, client_why(client, result));
    client_fail(client, "check", command->path, result);
    return REPORT_UNABLE;
}

/* The daemon of the store, if it is mounted read-write. */
static struct client *
find_daemon(struct command *command)
{
    char store[PATH_MAX], mounted[PATH_MAX];
    if (client_find_store(command->path, store, mounted) != 0)
        return NULL;
    if (mounted[0] != '\0') {
        strcpy(command->store, store);
        command->path = command->store;
    }
    return client_open(store);
}

/* ---- the command ---- */

static int
parse(struct command *command, int argc, char **argv)
{
    static const struct option names[] = {
        {"help", no_argument, NULL, 'h'},
        {"json", no_argument, NULL, 'j'},
        {"quiet", no_argument, NULL, 'q'},
        {"snapshots", no_argument, NULL, 's'},
        {0},
    };
    opterr = 0;
    optind = 0;
    for (int letter; (letter = getopt_long(argc, argv, "hq", names, NULL)) != -1;) {
        if (letter == 'h') {
            fputs(help, stdout);
            return fflush(stdout) ? REPORT_UNABLE : REPORT_CLEAN;
        }
        if (letter == '?') {
            fprintf(stderr, "lsmfs check: unknown option '%s'\n", argv[optind - 1]);
            fputs("Try 'lsmfs check --help'.\n", stderr);
            return REPORT_MISUSED;
        }
        command->report.json |= letter == 'j';
        command->report.quiet |= letter == 'q';
        command->snapshots |= letter == 's';
    }
    if (argc - optind != 1) {
        fprintf(stderr, "lsmfs check: %s\nTry 'lsmfs check --help'.\n",
                argc == optind ? "missing operand" : "too many operands");
        return REPORT_MISUSED;
    }
    command->path = argv[optind];
    return -1;
}

static void
print_summary(struct command *command)
{
    if (command->report.json)
        report_json(json_pack(
            "{ss sI sI}", "result", command->damage ? "damaged" : "clean", "damage",
            (json_int_t)command->damage, "notes", (json_int_t)command->notes));
    else if (!command->report.quiet && command->damage)
        printf("%s: damaged, %llu findings\n", command->path,
               (unsigned long long)command->damage);
    else if (!command->report.quiet)
        printf("%s: clean\n", command->path);
}

int
cli_check(int argc, char **argv)
{
    static struct command command = {.report.name = "check"};
    int status = parse(&command, argc, argv);
    if (status >= 0)
        return status;
    report_begin(&command.report);
    struct client *client = find_daemon(&command);
    status = client ? check_mounted(&command, client) : check_unmounted(&command);
    client_close(client);
    report_clear_bar(&command.report);
    if (status)
        return status;
    print_summary(&command);
    if (fflush(stdout) || ferror(stdout))
        return unable(&command, "standard output cannot be written");
    return command.damage ? REPORT_DAMAGED : REPORT_CLEAN;
}
