/*
 * cli_snapshot.c - `lsmfs snapshot`: command lines, and what they print.
 */
#include "cli/cli_snapshot.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/cli_report.h"
#include "cli/place.h"
#include "daemon/mount.h"
#include "vfs/snapdir.h"

#define NS_PER_SECOND 1000000000

static const char snapshot_help[] =
    "Usage: lsmfs snapshot create [OPTION]... STORE|MOUNTPOINT [NAME]\n"
    "       lsmfs snapshot list   [OPTION]... STORE|MOUNTPOINT\n"
    "       lsmfs snapshot delete STORE|MOUNTPOINT NAME...\n"
    "       lsmfs snapshot rename STORE|MOUNTPOINT OLD NEW\n"
    "       lsmfs snapshot diff   [OPTION]... STORE|MOUNTPOINT FROM [TO]\n"
    "       lsmfs snapshot rollback [--force] STORE|MOUNTPOINT NAME\n"
    "       lsmfs snapshot prune  [OPTION]... STORE|MOUNTPOINT\n"
    "Take, list, delete, rename and compare snapshots of a store, mounted or not, as mkdir, ls, rmdir\n"
    "and mv in MOUNTPOINT/.snapshots do.  See lsmfs snapshot COMMAND --help.\n"
    "\n"
    "Exit status: 0, or 1 failed, 2 wrong usage, 3 the store is in use, 4 not a good store, or\n"
    "no such snapshot, 5 not permitted.\n";

static const char create_help[] =
    "Usage: lsmfs snapshot create [OPTION]... STORE|MOUNTPOINT [NAME]\n"
    "Take a snapshot of the whole store, and print its name: NAME, or the time of UTC, such as\n"
    "2026-11-26T093000Z.  It is on disk when the command returns.\n"
    "\n"
    "      --prefix=P  put P before a name that is made\n"
    "  -h, --help      show this help and exit\n"
    "\n"
    "Examples:\n"
    "  lsmfs snapshot create notes\n"
    "  lsmfs snapshot create notes before-upgrade\n"
    "\n"
    "Exit status: 0, or 1 failed (there is a snapshot of this name), 2 wrong usage, 3 the store\n"
    "is in use, 4 not a good store, 5 not permitted.\n";

static const char list_help[] =
    "Usage: lsmfs snapshot list [OPTION]... STORE|MOUNTPOINT\n"
    "List the snapshots, the newest last: when each was taken (UTC), its age, its name.\n"
    "\n"
    "      --json  an object a line: name, id, created, seconds (since 1970), age (in seconds)\n"
    "  -h, --help  show this help and exit\n"
    "\n"
    "Example:\n"
    "  $ lsmfs snapshot list notes\n"
    "  2026-11-23T02:00:00Z     3 d  monday\n"
    "  2026-11-26T09:30:00Z    12 s  2026-11-26T093000Z\n"
    "\n"
    "Exit status: 0, or 1 failed, 2 wrong usage, 3 the store is in use, 4 not a good store,\n"
    "5 not permitted.\n";

static const char delete_help[] =
    "Usage: lsmfs snapshot delete STORE|MOUNTPOINT NAME...\n"
    "Delete each snapshot NAME.  The space of what only it had comes back in the background.\n"
    "\n"
    "  -h, --help  show this help and exit\n"
    "\n"
    "Example:\n"
    "  lsmfs snapshot delete notes monday tuesday\n"
    "\n"
    "Exit status: 0, or 1 failed, 2 wrong usage, 3 the store is in use, 4 not a good store, or\n"
    "no such snapshot (others are deleted), 5 not permitted.\n";

static const char rename_help[] =
    "Usage: lsmfs snapshot rename STORE|MOUNTPOINT OLD NEW\n"
    "Call snapshot OLD by the name NEW, which no other has.\n"
    "\n"
    "  -h, --help  show this help and exit\n"
    "\n"
    "Example:\n"
    "  lsmfs snapshot rename notes 2026-11-26T093000Z before-upgrade\n"
    "\n"
    "Exit status: 0, or 1 failed (there is a snapshot of this name), 2 wrong usage, 3 the store\n"
    "is in use, 4 not a good store, or no such snapshot, 5 not permitted.\n";

static const char diff_help[] =
    "Usage: lsmfs snapshot diff [OPTION]... STORE|MOUNTPOINT FROM [TO]\n"
    "Print what is different in snapshot TO, or now, from what it was in snapshot FROM, a line each in\n"
    "the order of paths: + added, - removed, M modified; a directory with a '/'.  It takes as long as\n"
    "was written since the older of the two, however many files there are; but if a file with\n"
    "several names changed, all names are read.\n"
    "\n"
    "  -0, --null  only the paths of what was added or modified, a NUL after each, relative to the\n"
    "              root, which is itself left out: for rsync --from0 --files-from\n"
    "      --json  an object a line: change (added, removed, modified), path, type; bytes, the path's\n"
    "              in hexadecimal digits, if it is not UTF-8\n"
    "  -h, --help  show this help and exit\n"
    "\n"
    "Modified is what shows another size, mode, owner, modification time or number of links, or has\n"
    "other contents or extended attributes, or is another file of that name.  What was renamed is\n"
    "removed and added, and so is what is now of another type.  In a line a backslash, and what is no\n"
    "letter to print, is \\OOO, its byte in octal digits.\n"
    "\n"
    "What was removed stays in the copy that the example makes, until rsync --delete has seen it; and\n"
    "a new name of a file with several becomes a file by itself there if the others are as before.\n"
    "\n"
    "Examples:\n"
    "  $ lsmfs snapshot diff notes monday tuesday\n"
    "  M ./\n"
    "  M todo\n"
    "  + travel/\n"
    "  + travel/tickets\n"
    "  $ lsmfs snapshot diff --null notes monday tuesday |\n"
    "    rsync -aHAXI --force --from0 --files-from=- notes/.snapshots/tuesday /backup\n"
    "\n"
    "Exit status: 0, or 1 failed, 2 wrong usage, 3 the store is in use, 4 not a good store, or\n"
    "no such snapshot, 5 not permitted.\n";

static const char rollback_help[] =
    "Usage: lsmfs snapshot rollback [OPTION]... STORE|MOUNTPOINT NAME\n"
    "Make the store what it was when snapshot NAME was taken: all of it or, if that fails or is\n"
    "interrupted, nothing.  Snapshots stay, those taken since as well.  What the store holds now is\n"
    "lost, unless a snapshot has it.\n"
    "\n"
    "If it is mounted, everything on the mount waits meanwhile, and an interrupt does not end it.\n"
    "While files on it are open it is refused: programs would go on with what they have read.\n"
    "\n"
    "      --force  though files are open: who has one open or mapped gets ESTALE from it, also if it\n"
    "               is the same in NAME, and has to open it anew\n"
    "      --json   print an object in the end: store, snapshot, keys (that were put back)\n"
    "  -h, --help   show this help and exit\n"
    "\n"
    "Who stands in a directory that is not in NAME is in none then, as after rmdir; what is mounted\n"
    "in one is detached.\n"
    "\n"
    "Examples:\n"
    "  $ lsmfs snapshot create notes.store before-rollback\n"
    "  before-rollback\n"
    "  $ lsmfs snapshot rollback notes.store monday\n"
    "  /home/me/notes.store: 5 keys as they were in monday\n"
    "\n"
    "Exit status: 0, or 1 failed, 2 wrong usage, 3 the store is in use, mounted read-only, or has open\n"
    "files, 4 not a good store, or no such snapshot, 5 not permitted.\n";

static const char prune_help[] =
    "Usage: lsmfs snapshot prune --keep-RULE=N... [OPTION]... STORE|MOUNTPOINT\n"
    "Delete snapshots that no rule keeps; print what is kept, and for which rules, and what is\n"
    "deleted.  At least one rule is needed.\n"
    "\n"
    "      --keep-last=N     the N newest\n"
    "      --keep-hourly=N   the newest of each of the last N hours that have one\n"
    "      --keep-daily=N    of each day, likewise\n"
    "      --keep-weekly=N   of each week, from Monday on\n"
    "      --keep-monthly=N  of each month\n"
    "      --keep-yearly=N   of each year\n"
    "      --prefix=P        only snapshots whose names begin with P are looked at\n"
    "  -n, --dry-run         delete nothing, only print\n"
    "      --json            an object a line: name, created, kept, deleted, reasons\n"
    "  -h, --help            show this help and exit\n"
    "\n"
    "Hours, days, weeks, months and years are those of UTC.  Each rule looks at all snapshots, so\n"
    "that one may be kept for several.\n"
    "\n"
    "Examples:\n"
    "  lsmfs snapshot prune --keep-hourly=24 --keep-daily=7 --keep-weekly=4 notes\n"
    "  lsmfs snapshot prune --dry-run --keep-last=3 --prefix=nightly- notes\n"
    "\n"
    "Exit status: 0, or 1 failed, 2 wrong usage, 3 the store is in use, 4 not a good store,\n"
    "5 not permitted.\n";

/* ---- times ---- */

void
snapshot_time(int64_t time, char text[SNAPSHOT_TIME_SIZE])
{
    time_t seconds = time / NS_PER_SECOND - (time % NS_PER_SECOND < 0);
    struct tm tm;

    if (gmtime_r(&seconds, &tm) == NULL ||
        strftime(text, SNAPSHOT_TIME_SIZE, "%FT%TZ", &tm) == 0)
        snprintf(text, SNAPSHOT_TIME_SIZE, "@%lld", (long long)seconds);
}

static int64_t
now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_REALTIME, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

/* In a unit of which there are not many. */
static void
age_of(int64_t seconds, char *text, size_t size)
{
    static const struct {
        const char *name;
        int64_t seconds, below;
    } units[] = {
        {"s", 1, 120}, {"min", 60, 7200}, {"h", 3600, 172800}, {"d", 86400, INT64_MAX}};
    size_t i = 0;

    while (seconds >= units[i].below)
        i++;
    snprintf(text, size, "%lld %s", (long long)(seconds / units[i].seconds),
             units[i].name);
}

/* ---- the commands ---- */

/* The time without its colons, which other systems do not take in names; a second may have
 * several. */
static int
create_by_time(const struct snapshot_call *call, const struct place *place, char *name,
               size_t size)
{
    char time[SNAPSHOT_TIME_SIZE];
    int length, result;

    snapshot_time(now(), time);
    for (char *colon; (colon = strchr(time, ':')) != NULL;)
        memmove(colon, colon + 1, strlen(colon));
    length = snprintf(name, size, "%s%s", call->prefix, time);
    if (length < 0 || (size_t)length >= size)
        return -ENAMETOOLONG;
    result = place_create(place, name);
    for (unsigned i = 2; result == -EEXIST && i < 1000; i++) {
        snprintf(name + length, size - (size_t)length, "-%u", i);
        result = place_create(place, name);
    }
    return result;
}

/* The next backup would delete it. */
static int
refuse_of_backup(const struct snapshot_call *call, const char *name)
{
    fprintf(stderr, "lsmfs %s: %s: the name is for lsmfs backup\n", call->name, name);
    return STATUS_FAILED;
}

static int
create(const struct snapshot_call *call)
{
    char made[LSMKV_NAME_MAX + 1];
    const char *name = call->count > 1 ? call->operands[1] : made;
    struct place place;

    if (name != made && snapdir_is_backup(name))
        return refuse_of_backup(call, name);
    int result, status = place_open(&place, call->name, call->operands[0], true);
    if (status != STATUS_OK)
        return status;
    if (name == made)
        result = create_by_time(call, &place, made, sizeof(made));
    else
        result = place_create(&place, name);
    if (result != 0)
        status = place_fail(&place, name, result);
    status = place_close(&place, status);
    if (status == STATUS_OK)
        puts(name);
    return status;
}

static void
print_snapshot(const struct snapshot_call *call, const struct place_snapshot *snapshot)
{
    int64_t age = (now() - snapshot->time) / NS_PER_SECOND;
    char time[SNAPSHOT_TIME_SIZE], text[32];

    snapshot_time(snapshot->time, time);
    if (call->json) {
        report_json(json_pack("{so sI ss sI sI}", "name", report_text(snapshot->name),
                              "id", (json_int_t)snapshot->id, "created", time, "seconds",
                              (json_int_t)(snapshot->time / NS_PER_SECOND), "age",
                              (json_int_t)age));
        return;
    }
    age_of(age > 0 ? age : 0, text, sizeof(text));
    printf("%s %7s  %s\n", time, text, snapshot->name);
}

static int
list(const struct snapshot_call *call)
{
    struct place_snapshot *all;
    struct place place;
    size_t count;
    int status = place_open(&place, call->name, call->operands[0], false);

    if (status != STATUS_OK)
        return status;
    int result = place_list(&place, &all, &count);
    if (result != 0)
        return place_close(&place, place_fail(&place, place.store, result));
    for (size_t i = 0; i < count; i++)
        print_snapshot(call, &all[i]);
    free(all);
    return place_close(&place, STATUS_OK);
}

static int
delete_all(const struct snapshot_call *call)
{
    struct place place;
    int status = place_open(&place, call->name, call->operands[0], true);

    if (status != STATUS_OK)
        return status;
    for (int i = 1; i < call->count; i++) {
        int result = place_delete(&place, call->operands[i]);
        if (result != 0)
            status = place_fail(&place, call->operands[i], result);
    }
    return place_close(&place, status);
}

static int
rename_one(const struct snapshot_call *call)
{
    const char *from = call->operands[1], *to = call->operands[2];
    struct place place;

    if (snapdir_is_backup(to))
        return refuse_of_backup(call, to);
    int status = place_open(&place, call->name, call->operands[0], true);
    if (status != STATUS_OK)
        return status;
    int result = place_rename(&place, from, to);
    if (result != 0)
        status = place_fail(&place, result == -EEXIST ? to : from, result);
    return place_close(&place, status);
}

/* ---- command lines ---- */

/* Options without a letter; those for rules have the rules' numbers, from RULE on. */
enum { JSON = 1000, PREFIX, FORCE, RULE };

static const struct subcommand {
    const char *name, *full, *help;
    const char *
        options; /* letters of those that it takes: json, prefix, dry-run, rules, null, force */
    int least, most; /* operands */
    int (*run)(const struct snapshot_call *call);
} subcommands[] = {
    {"create", "snapshot create", create_help, "p", 1, 2, create},
    {"list", "snapshot list", list_help, "j", 1, 1, list},
    {"delete", "snapshot delete", delete_help, "", 2, INT_MAX, delete_all},
    {"rename", "snapshot rename", rename_help, "", 3, 3, rename_one},
    {"diff", "snapshot diff", diff_help, "j0", 2, 3, snapshot_diff},
    {"rollback", "snapshot rollback", rollback_help, "jf", 2, 2, snapshot_rollback},
    {"prune", "snapshot prune", prune_help, "jpnr", 1, 1, snapshot_prune},
};

static int
misused(const char *name, const char *why, const char *what)
{
    fprintf(stderr, "lsmfs %s: %s%s\nTry 'lsmfs %s --help'.\n", name, why, what, name);
    return STATUS_USAGE;
}

static int
show(const char *help)
{
    fputs(help, stdout);
    return fflush(stdout) != 0 ? STATUS_FAILED : STATUS_OK;
}

static bool
parse_number(const char *text, unsigned *number)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (*text < '0' || *text > '9' || *end != '\0' || value > UINT_MAX)
        return false;
    *number = (unsigned)value;
    return true;
}

/* -1 to go on, else the exit status. */
static int
take(struct snapshot_call *call, const struct subcommand *command, int option,
     const char *word)
{
    const char letter = option == JSON     ? 'j'
                        : option == PREFIX ? 'p'
                        : option == FORCE  ? 'f'
                        : option >= RULE   ? 'r'
                                           : (char)option;

    if (option == 'h')
        return show(command->help);
    if (option == '?' || option == ':')
        return misused(command->full, option == '?' ? "unknown option " : "no value for ",
                       word);
    if (strchr(command->options, letter) == NULL)
        return misused(command->full, "not an option of this command: ", word);
    if (letter == 'r' && !parse_number(optarg, &call->keep[option - RULE]))
        return misused(command->full, "not a number: ", optarg);
    call->json |= letter == 'j';
    call->dry_run |= letter == 'n';
    call->null |= letter == '0';
    call->force |= letter == 'f';
    if (letter == 'p')
        call->prefix = optarg;
    return -1;
}

/* -1 to go on, else the exit status. */
static int
parse(struct snapshot_call *call, const struct subcommand *command, int argc, char **argv)
{
    static const struct option names[] = {
        {"help", no_argument, NULL, 'h'},
        {"json", no_argument, NULL, JSON},
        {"prefix", required_argument, NULL, PREFIX},
        {"dry-run", no_argument, NULL, 'n'},
        {"null", no_argument, NULL, '0'},
        {"force", no_argument, NULL, FORCE},
        {"keep-last", required_argument, NULL, RULE + PRUNE_LAST},
        {"keep-hourly", required_argument, NULL, RULE + PRUNE_HOURLY},
        {"keep-daily", required_argument, NULL, RULE + PRUNE_DAILY},
        {"keep-weekly", required_argument, NULL, RULE + PRUNE_WEEKLY},
        {"keep-monthly", required_argument, NULL, RULE + PRUNE_MONTHLY},
        {"keep-yearly", required_argument, NULL, RULE + PRUNE_YEARLY},
        {0},
    };
    int status = -1;

    call->name = command->full;
    call->prefix = "";
    opterr = 0;
    optind = 0;
    for (int option;
         status < 0 && (option = getopt_long(argc, argv, ":hn0", names, NULL)) != -1;)
        status = take(call, command, option, argv[optind - 1]);
    if (status >= 0)
        return status;
    call->operands = argv + optind;
    call->count = argc - optind;
    if (call->count < command->least)
        return misused(call->name, "missing operand", "");
    return call->count > command->most ? misused(call->name, "too many operands", "")
                                       : -1;
}

static bool
has_rule(const struct snapshot_call *call)
{
    for (int rule = 0; rule < PRUNE_RULES; rule++) {
        if (call->keep[rule] > 0)
            return true;
    }
    return false;
}

/* What the options and operands together do not mean; NULL: they mean something. */
static const char *
why_not(const struct subcommand *command, const struct snapshot_call *call)
{
    if (command->run == snapshot_prune && !has_rule(call))
        return "a rule is needed, as in --keep-daily=7";
    if (command->run != snapshot_diff)
        return NULL;
    if (call->json && call->null)
        return "--json and --null exclude each other";
    for (int i = 1; i < call->count; i++) {
        if (*call->operands[i] == '\0') /* and not now */
            return "the empty name is no snapshot's";
    }
    return NULL;
}

static int
run(const struct subcommand *command, int argc, char **argv)
{
    struct snapshot_call call = {0};
    int status = parse(&call, command, argc, argv);

    if (status >= 0)
        return status;
    const char *why = why_not(command, &call);
    if (why != NULL)
        return misused(call.name, why, "");
    status = command->run(&call);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fprintf(stderr, "lsmfs %s: standard output: %s\n", call.name, strerror(errno));
    return status != STATUS_OK ? status : STATUS_FAILED;
}

int
cli_snapshot(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";

    for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++) {
        if (strcmp(name, subcommands[i].name) == 0)
            return run(&subcommands[i], argc - 1, argv + 1);
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return show(snapshot_help);
    if (*name != '\0')
        fprintf(stderr, "lsmfs snapshot: unknown command '%s'\n", name);
    fputs(snapshot_help, stderr);
    return STATUS_USAGE;
}
