/*
 * cli_repair.c - `lsmfs repair`: a new store of what can be read of a damaged one (lsmkv_repair),
 * then the filesystem's own invariants (mend.h), then its name (workdir.h).
 *
 * Of a store that is mounted its daemon does the first of these, from the database that it has open
 * (control_reads.c), into our directory and as our user, and tells us what it finds; the rest we do.
 *
 * The damaged store is only read.
 */
#include "cli/cli_repair.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check/mend.h"
#include "cli/cli_report.h"
#include "common/client.h"
#include "common/coding.h"
#include "common/workdir.h"
#include "store/foreign.h"
#include "store/salvage.h"
#include "store/store.h"

static const char help[] =
    "Usage: lsmfs repair [OPTION]... STORE|MOUNTPOINT [NEW-STORE]\n"
    "Make a good store, NEW-STORE, of all that can be read of STORE, and say what is missing.\n"
    "STORE is only read.  NEW-STORE, by default STORE.repaired, must be missing or an empty\n"
    "directory; it gets its name when it is whole and on the disk.  Files that lost their names\n"
    "are in its directory lost+found.  If STORE is mounted, its daemon reads it, as it is at one\n"
    "moment, for the user alone that it runs as, one repair at a time.\n"
    "\n"
    "      --json    a line is a JSON object\n"
    "  -q, --quiet   say nothing but what is damaged or lost\n"
    "  -h, --help    show this help and exit\n"
    "\n"
    "Example:\n"
    "  lsmfs repair notes.store mended.store\n"
    "\n"
    "Exit status: 0 STORE was not damaged, 1 it was, and nothing is missing in NEW-STORE, 4 what\n"
    "was told is missing or wrong there, 8 NEW-STORE could not be made, 16 wrong usage.\n";

struct command {
    const char *path;
    const char *given; /* as NEW-STORE; NULL: nothing */
    char *target;
    char store[PATH_MAX], mounted[PATH_MAX]; /* of a mounted one; "" */
    struct cli_report report;
    uint64_t damage, lost, mended, left;
    struct salvage_names names; /* once it is known that they are needed */
    bool has_names;
    struct mend_loss *losses;
    size_t loss_count;
    int failure; /* of a callback */
};

/* ---- what is told ---- */

static void
take_file_finding(void *context, const struct lsmkv_finding *finding)
{
    struct command *command = context;
    command->damage += finding->severity == LSMKV_DAMAGE;
    if (finding->severity == LSMKV_DAMAGE || !command->report.quiet)
        report_file(&command->report, finding);
}

static bool
show_bytes(void *context, uint64_t done, uint64_t total)
{
    struct command *command = context;
    report_bytes(&command->report, done, total);
    return true;
}

static void
show_records(void *context, uint64_t records)
{
    struct command *command = context;
    report_records(&command->report, records);
}

/* A line about `where` in the new store. */
static void
say(struct command *command, const char *word, bool bad, const char *where,
    const char *text)
{
    char place[1100];
    if (command->report.json) {
        report_json(json_pack("{ss so ss}", "severity", word, "where", report_text(where),
                              "text", text));
        return;
    }
    snprintf(place, sizeof place, "%s: ", where);
    report_line(&command->report, word, bad, place, text);
}

static void
take_mended(void *context, const char *where, const char *text)
{
    struct command *command = context;
    command->mended++;
    if (!command->report.quiet)
        say(command, "mended", false, where, text);
}

static void
take_lost_contents(void *context, const char *where, const char *text)
{
    struct command *command = context;
    command->lost++;
    say(command, "lost", true, where, text);
}

static void
take_left(void *context, const struct fsck_finding *finding)
{
    struct command *command = context;
    bool bad = finding->severity == LSMKV_DAMAGE;
    command->left += bad;
    if (bad || !command->report.quiet)
        say(command, bad ? "left" : "note", bad, finding->where, finding->text);
}

static const struct mend_report mend_report_of = {take_mended, take_lost_contents,
                                                  take_left, show_records, NULL};

/* ---- what is lost ---- */

/* A bound of chunks' keys, which may be cut short: what is missing is 0. */
static void
decode_bound(struct lsmkv_slice key, uint64_t *id, uint64_t *index)
{
    uint8_t bytes[12] = {0};
    if (key.size > 0)
        memcpy(bytes, key.data, key.size < sizeof bytes ? key.size : sizeof bytes);
    *id = get_be64(bytes);
    *index = get_be32(bytes + 8);
}

static int
copy_bound(struct lsmkv_slice key, struct lsmkv_slice *copy)
{
    void *bytes = key.data ? malloc(key.size + 1) : NULL;
    if (!key.data)
        return 0;
    if (!bytes)
        return -ENOMEM;
    memcpy(bytes, key.data, key.size);
    *copy = lsmkv_bytes(bytes, key.size);
    return 0;
}

/* Keeps what may have been chunks. */
static int
add_loss(struct command *command, const struct lsmkv_loss *loss)
{
    struct mend_loss chunks = {.last_too = loss->last_too, .sequence = loss->sequence};
    void *losses;
    if (loss->keyspace && strcmp(loss->keyspace, "chunks") != 0)
        return 0;
    losses = reallocarray(command->losses, command->loss_count + 1, sizeof chunks);
    if (!losses)
        return -ENOMEM;
    command->losses = losses;
    command->losses[command->loss_count++] = chunks;
    int result = copy_bound(loss->first, &command->losses[command->loss_count - 1].first);
    return result
               ? result
               : copy_bound(loss->last, &command->losses[command->loss_count - 1].last);
}

static void
free_losses(struct command *command)
{
    for (size_t i = 0; i < command->loss_count; i++) {
        free((void *)(uintptr_t)command->losses[i].first.data);
        free((void *)(uintptr_t)command->losses[i].last.data);
    }
    free(command->losses);
}

/* A key in words: of chunks, data id and chunk; of others, itself. */
static void
print_bound(const struct lsmkv_loss *loss, struct lsmkv_slice key, const char *none,
            char *out, size_t size)
{
    uint64_t id, index;
    if (!key.data) {
        snprintf(out, size, "%s", none);
    } else if (loss->keyspace && strcmp(loss->keyspace, "chunks") == 0) {
        decode_bound(key, &id, &index);
        snprintf(out, size, "data %llu chunk %llu", (unsigned long long)id,
                 (unsigned long long)index);
    } else {
        fsck_print_key(key, out, size);
    }
}

static void
say_loss(struct command *command, const struct lsmkv_loss *loss)
{
    char first[300], last[300], where[128] = "", text[800];
    print_bound(loss, loss->first, "the first", first, sizeof first);
    print_bound(loss, loss->last, "the last", last, sizeof last);
    if (command->report.json) {
        report_json(json_pack("{ss ss sI sI ss* so* so*}", "severity", "lost", "file",
                              loss->file, "offset", (json_int_t)loss->offset, "size",
                              (json_int_t)loss->size, "keyspace", loss->keyspace, "first",
                              loss->first.data ? report_text(first) : NULL, "last",
                              loss->last.data ? report_text(last) : NULL));
        return;
    }
    if (loss->size > 0)
        snprintf(where, sizeof where, "%s: offset %llu: %llu bytes: ", loss->file,
                 (unsigned long long)loss->offset, (unsigned long long)loss->size);
    else
        snprintf(where, sizeof where, "%s: all of it: ", loss->file);
    if (loss->keyspace)
        snprintf(text, sizeof text,
                 "records of \"%s\" from %s to %s; older ones may be in their place",
                 strcmp(loss->keyspace, "default") == 0 ? "files" : loss->keyspace, first,
                 last);
    else if (strstr(loss->file, ".log"))
        snprintf(text, sizeof text,
                 "records that were written one after the other, of any file");
    else
        snprintf(text, sizeof text, "records of which nothing is known");
    report_line(&command->report, "lost", true, where, text);
}

static void
take_loss(void *context, const struct lsmkv_loss *loss)
{
    struct command *command = context;
    int result = add_loss(command, loss);
    command->lost++;
    if (result)
        command->failure = result;
    say_loss(command, loss);
}

/* ---- the engine's part ---- */

static void
ignore_log(void *context, enum lsmkv_level level, const char *line)
{
    (void)context;
    (void)level;
    (void)line;
}

static int
find_names(struct command *command)
{
    struct lsmkv_options options;
    struct lsmkv *db;
    store_engine_init(&options);
    options.read_only = options.salvage = true;
    options.log = ignore_log; /* the repair itself tells */
    int result = lsmkv_open(command->path, &options, &db);
    if (result)
        return result;
    result = salvage_find_names(db, &command->names);
    command->has_names = result == 0;
    int closed = lsmkv_close(db);
    return result ? result : closed;
}

static const char *
take_name(void *context, const char *name)
{
    struct command *command = context;
    if (strncmp(name, "keyspace-", 9) != 0 || command->failure)
        return NULL;
    if (!command->has_names)
        command->failure = find_names(command);
    return command->failure ? NULL : salvage_old_name(&command->names, name);
}

/* 0 or an exit status. */
static int
repair_files(struct command *command, const char *store)
{
    struct lsmkv_repair_options ask = {take_file_finding, take_loss, show_bytes,
                                       take_name, command};
    int result = lsmkv_repair(command->path, store, NULL, &ask);
    if (result == 0 || result == -EUCLEAN)
        result = command->failure;
    if (result == 0)
        return 0;
    return report_unable_at(&command->report, command->path, result);
}

/* ---- the same, of a store that is mounted ---- */

/* A word that may not be known.  False: there is none. */
static bool
take_known(char **rest, const char **word)
{
    const char *got = client_word(rest);
    *word = got && *got == '+' ? got + 1 : NULL;
    return got != NULL;
}

/* Bounds may have any bytes, and their words are decoded here. */
static bool
take_bound(char **rest, struct lsmkv_slice *bound)
{
    char *word = strsep(rest, " ");
    size_t size;
    if (!word || (*word != '+' && *word != '-') || wire_decode(word + 1, &size))
        return false;
    *bound = *word == '+' ? lsmkv_bytes(word + 1, size) : lsmkv_bytes(NULL, 0);
    return true;
}

static bool
take_loss_line(struct command *command, char *line)
{
    struct lsmkv_loss loss;
    char *rest = line;
    if (strcmp(strsep(&rest, " "), "lost") != 0)
        return false;
    loss.file = client_word(&rest);
    const char *offset = client_word(&rest), *size = client_word(&rest);
    const char *sequence = client_word(&rest), *last_too = client_word(&rest);
    if (!last_too || !take_known(&rest, &loss.keyspace) ||
        !take_bound(&rest, &loss.first) || !take_bound(&rest, &loss.last))
        return false;
    loss.offset = strtoull(offset, NULL, 10);
    loss.size = strtoull(size, NULL, 10);
    loss.sequence = strtoull(sequence, NULL, 10);
    loss.last_too = *last_too == '1';
    take_loss(command, &loss);
    return true;
}

/* Takes a line of the reply but for the last.  False: it was not one. */
static bool
take_line(struct command *command, char *line)
{
    struct lsmkv_finding finding;
    uint64_t done, total;
    if (client_take_progress(line, &done, &total))
        return show_bytes(command, done, total);
    if (client_take_file(line, &finding)) {
        take_file_finding(command, &finding);
        return true;
    }
    return strncmp(line, "lost ", 5) == 0 && take_loss_line(command, line);
}

/* The daemon writes into a directory of ours, so it must be our user's: of another's it would have no
 * right to, and root would take over files that are not known to be its own making. */
static int
expect_own_daemon(struct command *command, const struct client *client)
{
    char why[PATH_MAX + 256];
    uid_t user;
    if (wire_is_own_user(&client->wire, &user))
        return 0;
    snprintf(why, sizeof why,
             "%s: is mounted by user %d, who alone can have it repaired so; or `lsmfs "
             "umount` it before",
             command->path, (int)user);
    return report_unable(&command->report, why);
}

/* The daemon would write to its own mount, which could not be unmounted meanwhile. */
static int
expect_elsewhere(struct command *command, const char *directory)
{
    char mounted[PATH_MAX], why[2 * PATH_MAX + 64];
    struct stat here, there;
    if (client_find_mount(command->path, mounted) != 0 || stat(directory, &here) ||
        stat(mounted, &there) || here.st_dev != there.st_dev)
        return 0;
    snprintf(why, sizeof why, "%s: is in what is mounted at %s", command->target,
             mounted);
    return report_unable(&command->report, why);
}

/* 0 or an exit status.  The new store is in `directory`. */
static int
repair_files_mounted(struct command *command, struct client *client,
                     const char *directory)
{
    int status = expect_elsewhere(command, directory);
    if (status)
        return status;
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return report_unable_at(&command->report, directory, -errno);
    client_ask(client, "repair", lsmkv_bytes(NULL, 0));
    char *line = wire_line(&client->wire);
    if (line && strcmp(line, "directory") == 0) {
        wire_send_descriptor(&client->wire, fd);
        while ((line = wire_line(&client->wire)) && take_line(command, line))
            continue;
    }
    close(fd);
    int result = client_end(client, line);
    if (result == 0 && command->failure)
        return report_unable_at(&command->report, command->path, command->failure);
    if (result == 0)
        return 0;
    report_clear_bar(&command->report);
    client_fail(client, "repair", command->path, result);
    return REPORT_UNABLE;
}

/* ---- the filesystem's part ---- */

static int
mend_opened(struct command *command, struct store *store,
            const struct mend_report *report)
{
    bool foreign = true;
    int result = foreign_find(store, &foreign);
    if (result == 0)
        result = mend_store(store, command->losses, command->loss_count, report);
    /* After damage a file may be back that keys stand below: the next mount shall look. */
    if (result == 0 && !foreign && command->damage == 0)
        result = foreign_note_closed(store);
    return result;
}

static int
prepare(const char *path, const struct mend_report *report, bool *ours)
{
    struct lsmkv_options options;
    struct lsmkv *db;
    store_engine_init(&options);
    options.log = ignore_log;
    int result = lsmkv_open(path, &options, &db);
    if (result)
        return result;
    result = mend_prepare(db, report, ours);
    int closed = lsmkv_close(db);
    return result ? result : closed;
}

/* 0 or an exit status. */
static int
mend_filesystem(struct command *command, const char *path)
{
    struct mend_report report = mend_report_of;
    struct store_options options;
    struct lsmkv_options engine;
    struct store *store;
    char why[1024];
    bool ours = false;
    report.context = command;
    int result = prepare(path, &report, &ours);
    if (result)
        return report_unable_at(&command->report, path, result);
    if (!ours)
        return 0; /* never mounted: keys and values, and nothing to hold them against */
    store_engine_init(&engine);
    engine.log = ignore_log;
    store_options_init(&options);
    options.path = path;
    options.engine = &engine;
    result = store_open(&options, &store, why, sizeof why);
    if (result)
        return report_unable(&command->report, why);
    result = mend_opened(command, store, &report);
    int closed = store_close(store);
    result = result ? result : closed;
    return result ? report_unable_at(&command->report, path, result) : 0;
}

/* ---- the command ---- */

static int
misused(const char *why, const char *what)
{
    fprintf(stderr, "lsmfs repair: %s%s\nTry 'lsmfs repair --help'.\n", why, what);
    return REPORT_MISUSED;
}

/* -1 to go on, else the exit status. */
static int
parse(struct command *command, int argc, char **argv)
{
    static const struct option names[] = {
        {"help", no_argument, NULL, 'h'},
        {"json", no_argument, NULL, 'j'},
        {"quiet", no_argument, NULL, 'q'},
        {0},
    };
    opterr = 0;
    optind = 0;
    for (int letter; (letter = getopt_long(argc, argv, "hq", names, NULL)) != -1;) {
        if (letter == 'h') {
            fputs(help, stdout);
            return fflush(stdout) ? REPORT_UNABLE : REPORT_CLEAN;
        }
        if (letter == '?')
            return misused("unknown option ", argv[optind - 1]);
        command->report.json |= letter == 'j';
        command->report.quiet |= letter == 'q';
    }
    if (argc - optind < 1 || argc - optind > 2)
        return misused(argc == optind ? "missing operand" : "too many operands", "");
    command->path = argv[optind];
    command->given = argv[optind + 1];
    return -1;
}

static int
status_of(const struct command *command)
{
    if (command->lost + command->left > 0)
        return REPORT_DAMAGED;
    return command->damage + command->mended > 0 ? REPORT_MENDED : REPORT_CLEAN;
}

static void
print_summary(const struct command *command)
{
    static const char *const results[] = {"whole", "repaired", "incomplete"};
    int status = status_of(command);
    const char *result = results[status == REPORT_DAMAGED ? 2 : status];
    if (command->report.json)
        report_json(
            json_pack("{ss so sI sI sI sI}", "result", result, "store",
                      report_text(command->target), "damage", (json_int_t)command->damage,
                      "lost", (json_int_t)command->lost, "mended",
                      (json_int_t)command->mended, "left", (json_int_t)command->left));
    else if (!command->report.quiet)
        printf("%s: %s; %llu findings of damage, %llu of loss, %llu mended, %llu left\n",
               command->target, result, (unsigned long long)command->damage,
               (unsigned long long)command->lost, (unsigned long long)command->mended,
               (unsigned long long)command->left);
}

/* The store that the path means, where the new one comes, and the daemon, if it is mounted read-write. */
static int
find(struct command *command, struct client **client)
{
    *client = NULL;
    if (client_find_store(command->path, command->store, command->mounted) == 0) {
        if (command->mounted[0] != '\0')
            command->path = command->store;
        *client = client_open(command->store);
    }
    int size = (int)strlen(command->path);
    while (size > 1 && command->path[size - 1] == '/')
        size--;
    if (command->given)
        command->target = strdup(command->given);
    else if (asprintf(&command->target, "%.*s.repaired", size, command->path) < 0)
        command->target = NULL;
    if (!command->target)
        return report_unable(&command->report, strerror(ENOMEM));
    return *client ? expect_own_daemon(command, *client) : 0;
}

static int
make(struct command *command, struct client *client)
{
    struct workdir work;
    char why[1024];
    if (workdir_make(&work, command->target, why, sizeof why))
        return report_unable(&command->report, why);
    int status = client ? repair_files_mounted(command, client, work.path)
                        : repair_files(command, work.store);
    if (status == 0)
        status = mend_filesystem(command, work.store);
    if (status == 0) {
        int result = workdir_publish(&work, command->path);
        if (result) {
            snprintf(why, sizeof why, "%s: %s", command->target, strerror(-result));
            status = report_unable(&command->report, why);
        }
    }
    workdir_drop(&work);
    report_clear_bar(&command->report);
    return status;
}

static int
repair(struct command *command)
{
    struct client *client;
    int status = find(command, &client);
    if (status == 0)
        status = make(command, client);
    client_close(client);
    return status;
}

int
cli_repair(int argc, char **argv)
{
    static struct command command = {.report.name = "repair"};
    int status = parse(&command, argc, argv);
    if (status < 0) {
        report_begin(&command.report);
        status = repair(&command);
        if (status == 0) {
            print_summary(&command);
            status = status_of(&command);
            if (fflush(stdout) || ferror(stdout))
                status =
                    report_unable(&command.report, "standard output cannot be written");
        }
    }
    free_losses(&command);
    free(command.target);
    return status;
}
