/*
 * cli_list.c - `lsmfs list`: what is mounted where.
 *
 * From the table of mounts, and from who has the lock of each store.  No mount of FUSE is
 * touched, nor is a store that lies in one, so that one whose daemon hangs holds nothing
 * up.
 */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/cli_line.h"
#include "cli/cli_report.h"
#include "common/mountinfo.h"
#include "common/note.h"
#include "daemon/mount.h"

static const char help[] =
    "Usage: lsmfs list [OPTION]...\n"
    "List the stores that are mounted, a line a mount: store, mount point, options, who mounted it,\n"
    "and the process of its daemon.  Which that is cannot be told of a mount that is read-only,\n"
    "of a store that the caller may not look into, or that lies in such a mount itself.\n"
    "\n"
    "      --json  an object a line: store, mountpoint, options, uid, user (null if it has no\n"
    "              name), pid (null if it is not known), daemon (running, dead or unknown), root\n"
    "              (what of the store is shown: / but for bind mounts)\n"
    "  -h, --help  show this help and exit\n"
    "\n"
    "Example:\n"
    "  $ lsmfs list\n"
    "  /home/me/notes.store on /home/me/notes (rw,nosuid,nodev,...) by me, process 5307\n"
    "\n"
    "Exit status: 0, also if nothing is mounted; 1 failed, 2 wrong usage.\n";

struct list {
    struct mountinfo *mounts; /* those of ours */
    size_t count, capacity;
    bool out_of_memory;
};

static bool
take(void *context, const struct mountinfo *info)
{
    struct list *list = context;

    if (strcmp(info->type, MOUNT_TYPE) != 0)
        return true;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity > 0 ? 2 * list->capacity : 8;
        void *grown = reallocarray(list->mounts, capacity, sizeof(*list->mounts));

        list->out_of_memory = grown == NULL;
        if (grown == NULL)
            return false;
        list->mounts = grown;
        list->capacity = capacity;
    }
    list->mounts[list->count++] = *info;
    return true;
}

/* ---- whose daemon it is ---- */

enum daemon { DAEMON_RUNNING, DAEMON_DEAD, DAEMON_UNKNOWN };

/* Is `info` the mount that the holder of its store names, or bound from that?  If another
 * one is, it has lost its daemon. */
static enum daemon
compare_with_holder(const struct list *list, const struct mountinfo *info,
                    const char *point)
{
    enum daemon daemon = DAEMON_UNKNOWN;

    if (point[0] == '\0')
        return DAEMON_DEAD; /* a command has it */
    for (size_t i = 0; i < list->count; i++) {
        const struct mountinfo *other = &list->mounts[i];

        if (strcmp(other->point, point) != 0)
            continue;
        if (strcmp(other->device, info->device) == 0)
            return DAEMON_RUNNING;
        if (strcmp(other->source, info->source) == 0)
            daemon = DAEMON_DEAD;
    }
    return daemon;
}

/* A store that nobody has locked has no daemon; one that is only read says nothing of its
 * readers. */
static enum daemon
find_daemon(const struct list *list, const struct mountinfo *info, int *pid)
{
    char point[PATH_MAX];

    if (mountinfo_may_wait(info->source))
        return DAEMON_UNKNOWN;
    int result = note_read(info->source, pid, point);

    if (result == -ENOENT)
        return access(info->source, F_OK) == 0 ? DAEMON_DEAD : DAEMON_UNKNOWN;
    if (result != 0 || *pid == 0)
        return DAEMON_UNKNOWN;
    return compare_with_holder(list, info, point);
}

/* Who mounted it, as the kernel was told; false: it does not say. */
static bool
find_user(const struct mountinfo *info, uid_t *uid)
{
    const char *at = strstr(info->options, ",user_id=");
    unsigned number;

    if (at == NULL || sscanf(at, ",user_id=%u", &number) != 1)
        return false;
    *uid = number;
    return true;
}

/* ---- telling ---- */

/* False: out of memory. */
static bool
print_json(const struct mountinfo *info, uid_t uid, const char *user, enum daemon daemon,
           int pid)
{
    static const char *const names[] = {"running", "dead", "unknown"};

    json_t *row = json_pack("{so so so sI so ss so}", "store", report_text(info->source),
                            "mountpoint", report_text(info->point), "options",
                            report_text(info->options), "uid", (json_int_t)uid, "user",
                            user != NULL ? report_text(user) : json_null(), "daemon",
                            names[daemon], "root", report_text(info->root));

    if (row == NULL)
        return false;
    json_object_set_new(row, "pid",
                        daemon == DAEMON_RUNNING ? json_integer(pid) : json_null());
    report_json(row);
    return true;
}

/* Quoted, for who mounts chooses the names. */
static void
print(const struct mountinfo *info, uid_t uid, const char *user, enum daemon daemon,
      int pid)
{
    char number[16];

    snprintf(number, sizeof(number), "%u", (unsigned)uid);
    report_quoted(stdout, info->source);
    fputs(" on ", stdout);
    report_quoted(stdout, info->point);
    fputs(" (", stdout);
    report_quoted(stdout, info->options);
    printf(") by %s", user != NULL ? user : number);
    if (strcmp(info->root, "/") != 0) {
        fputs(", its ", stdout);
        report_quoted(stdout, info->root);
    }
    if (daemon == DAEMON_RUNNING)
        printf(", process %d", pid);
    puts(daemon == DAEMON_DEAD ? ", whose daemon has died" : "");
}

/* False: out of memory. */
static bool
show(const struct list *list, const struct mountinfo *info, bool json)
{
    int pid = 0;
    uid_t uid = 0;
    enum daemon daemon = find_daemon(list, info, &pid);
    const struct passwd *known = find_user(info, &uid) ? getpwuid(uid) : NULL;
    const char *user = known != NULL ? known->pw_name : NULL;

    if (json)
        return print_json(info, uid, user, daemon, pid);
    print(info, uid, user, daemon, pid);
    return true;
}

int
cli_list(int argc, char **argv)
{
    struct cli_line line = {.name = "list", .help = help, .takes_json = true};
    struct list list = {0};
    int status = cli_line_parse(&line, argc, argv);

    if (status >= 0)
        return status;
    int result = mountinfo_each(0, take, &list);
    if (result == 0 && list.out_of_memory)
        result = -ENOMEM;
    for (size_t i = 0; i < list.count && result == 0; i++)
        result = show(&list, &list.mounts[i], line.json) ? 0 : -ENOMEM;
    free(list.mounts);
    if (result != 0) {
        fprintf(stderr, "lsmfs list: the table of mounts: %s\n", strerror(-result));
        return STATUS_FAILED;
    }
    return cli_line_finish(&line, STATUS_OK);
}
