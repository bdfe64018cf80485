/*
 * options.c - parsing of a mount's command line.
 *
 * Every option of -o is known here: ours are kept, the usual ones are passed to libfuse,
 * those that mean something to mount(8) or fstab alone are accepted and dropped, and any
 * other is an error before anything is touched.
 */
#include "daemon/options.h"

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <math.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mountinfo.h"
#include "daemon/memory.h"

#define COMMIT_MS_MAX 3600000.0 /* an hour */

__attribute__((format(printf, 1, 2))) static int
refuse(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("lsmfs: ", stderr);
    vfprintf(stderr, format, arguments);
    fputs("\n", stderr);
    va_end(arguments);
    return -EINVAL;
}

/* ---- the options of -o ---- */

static int
set_commit(struct options *options, const char *value)
{
    char *end;
    double seconds = strtod(value, &end);

    if (end == value || *end != '\0' || !isfinite(seconds) || seconds < 0.001 ||
        seconds * 1000 > COMMIT_MS_MAX)
        return refuse("-o commit=%s: seconds from 0.001 to 3600 are expected", value);
    options->commit_ms = (unsigned)(seconds * 1000 + 0.5);
    return 0;
}

/* Bytes, or so many KiB, MiB or GiB. */
static int
set_memory(struct options *options, const char *value)
{
    static const char units[] = "KMG";
    const size_t digits = strspn(value, "0123456789");
    const char *unit = value[digits] != '\0' ? strchr(units, value[digits]) : NULL;
    const unsigned shift = unit != NULL ? 10 * (unsigned)(unit - units + 1) : 0;
    unsigned long long number;

    errno = 0;
    number = strtoull(value, NULL, 10);
    if (digits == 0 || strlen(value) != digits + (unit != NULL) || errno != 0 ||
        number > MEMORY_MOST >> shift || number << shift < MEMORY_LEAST)
        return refuse("-o memory=%s: bytes from 48M to 1024G are expected, as in "
                      "memory=128M",
                      value);
    options->memory = number << shift;
    return 0;
}

static int
set_log_level(struct options *options, const char *value)
{
    static const char *const names[] = {
        [LSMKV_LOG_ERROR] = "error",
        [LSMKV_LOG_WARNING] = "warning",
        [LSMKV_LOG_INFO] = "info",
        [LSMKV_LOG_DEBUG] = "debug",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(value, names[i]) == 0) {
            options->log_level = (enum lsmkv_level)i;
            return 0;
        }
    }
    return refuse("-o loglevel=%s: error, warning, info or debug is expected", value);
}

static int
set_snapdir(struct options *options, const char *value)
{
    if (strcmp(value, "visible") != 0 && strcmp(value, "hidden") != 0)
        return refuse("-o snapdir=%s: 'visible' or 'hidden' is expected", value);
    options->show_snapshots = strcmp(value, "visible") == 0;
    return 0;
}

static int
set_snapshot(struct options *options, const char *value)
{
    if (*value == '\0' || strlen(value) > LSMKV_NAME_MAX || strchr(value, '/') != NULL)
        return refuse("-o snapshot=%s: not the name of a snapshot", value);
    stpcpy(options->snapshot, value);
    return 0;
}

/* A number of `base` up to `most`, and nothing else; false: it is none. */
static bool
read_number(const char *value, int base, unsigned long most, unsigned long *number)
{
    char *end;

    errno = 0;
    *number = strtoul(value, &end, base);
    return *value >= '0' && *value <= '9' && *end == '\0' && errno == 0 &&
           *number <= most;
}

/* The largest number is nobody's: chown(2) takes it for "leave it". */
static int
set_uid(struct options *options, const char *value)
{
    const struct passwd *known;
    unsigned long number;

    if (read_number(value, 10, UINT32_MAX - 1, &number))
        options->shown.uid = (uid_t)number;
    else if ((known = getpwnam(value)) != NULL)
        options->shown.uid = known->pw_uid;
    else
        return refuse("-o uid=%s: neither the number nor the name of a user", value);
    options->shown.has_uid = true;
    return 0;
}

static int
set_gid(struct options *options, const char *value)
{
    const struct group *known;
    unsigned long number;

    if (read_number(value, 10, UINT32_MAX - 1, &number))
        options->shown.gid = (gid_t)number;
    else if ((known = getgrnam(value)) != NULL)
        options->shown.gid = known->gr_gid;
    else
        return refuse("-o gid=%s: neither the number nor the name of a group", value);
    options->shown.has_gid = true;
    return 0;
}

static int
set_umask(struct options *options, const char *value)
{
    unsigned long number;

    if (!read_number(value, 8, 0777, &number))
        return refuse("-o umask=%s: permissions in octal are expected, as in umask=022",
                      value);
    options->shown.umask = (mode_t)number;
    options->shown.has_umask = true;
    return 0;
}

static int
refuse_fsname(struct options *options, const char *value)
{
    (void)options;
    return refuse("-o fsname=%s: the name is always the store's directory, by which "
                  "lsmfs umount finds it",
                  value);
}

/* What the kernel says of a mount that there is; mount(8) repeats it with remount. */
static int
note_existing(struct options *options, const char *value)
{
    (void)value;
    options->existing = true;
    return 0;
}

static int
refuse_auto_unmount(struct options *options, const char *value)
{
    (void)options, (void)value;
    return refuse(
        "-o auto_unmount is not supported: it needs allow_other; after a crash, "
        "fusermount3 -u clears the mount point");
}

/* Options with a value, or with an answer of their own. */
static const struct {
    const char *name;
    bool has_value;
    int (*set)(struct options *options, const char *value);
} settings[] = {
    {"commit", true, set_commit},
    {"memory", true, set_memory},
    {"loglevel", true, set_log_level},
    {"snapdir", true, set_snapdir},
    {"snapshot", true, set_snapshot},
    {"uid", true, set_uid},
    {"gid", true, set_gid},
    {"umask", true, set_umask},
    {"fsname", true, refuse_fsname},
    {"user_id", true, note_existing},
    {"group_id", true, note_existing},
    {"max_read", true, note_existing},
    {"blksize", true, note_existing},
    {"auto_unmount", false, refuse_auto_unmount},
};

/* What libfuse and the kernel understand. */
static const char *const passed[] = {
    "allow_other", "allow_root", "suid",   "nosuid", "dev",
    "nodev",       "exec",       "noexec", "rw",     "async",
};

/* What is meant for others, or is so anyhow; mount(8) knows the most of them, and has no
 * way to see that they mean nothing to us.  A value, as in user=NAME, does not matter. */
static const char *const ignored[] = {
    "defaults",   "nonempty",  "auto",     "noauto",   "_netdev",    "user",
    "nouser",     "users",     "nousers",  "owner",    "noowner",    "group",
    "nogroup",    "comment",   "helper",   "uhelper",  "norelatime", "lazytime",
    "nolazytime", "silent",    "loud",     "iversion", "noiversion", "mand",
    "nomand",     "symfollow", "seclabel",
};

static bool
is_among(const char *option, const char *const *names, size_t count)
{
    size_t length = strcspn(option, "=");

    for (size_t i = 0; i < count; i++) {
        if (strlen(names[i]) == length && strncmp(option, names[i], length) == 0)
            return true;
    }
    return false;
}

bool
options_passes(const struct options *options, const char *word)
{
    size_t length = strlen(word);
    const char *at = options->passed;

    while ((at = strstr(at, word)) != NULL) {
        if (at[-1] == ',' && (at[length] == ',' || at[length] == '\0'))
            return true;
        at += length;
    }
    return false;
}

static int
pass(struct options *options, const char *option)
{
    size_t used = strlen(options->passed);

    if (strlen(option) + 2 > sizeof(options->passed) - used)
        return refuse("too many options");
    stpcpy(stpcpy(options->passed + used, ","), option);
    return 0;
}

/* True: `option` is one of our flags. */
static bool
set_flag(struct options *options, const char *option)
{
    if (strcmp(option, "ro") == 0)
        options->read_only = true;
    else if (strcmp(option, "sync") == 0 || strcmp(option, "dirsync") == 0)
        options->sync = true; /* the kernel would keep dirsync to itself */
    else if (strcmp(option, "acl") == 0)
        options->acl = true;
    else if (strcmp(option, "remount") == 0)
        options->remount = true;
    else if (strcmp(option, "noatime") == 0)
        options->atime = VFS_NOATIME;
    else if (strcmp(option, "strictatime") == 0)
        options->atime = VFS_STRICTATIME;
    else if (strcmp(option, "relatime") == 0 || strcmp(option, "atime") == 0)
        options->atime = VFS_RELATIME;
    else if (strcmp(option, "nostrictatime") == 0)
        options->atime = VFS_RELATIME;
    else if (strcmp(option, "nofail") == 0)
        options->nofail = true;
    else if (strcmp(option, "nocreate") == 0)
        options->must_exist = true;
    else if (strcmp(option, "nodiratime") == 0)
        options->nodiratime = true; /* libfuse does not know it */
    else if (strcmp(option, "diratime") == 0)
        options->nodiratime = false;
    else if (strcmp(option, "writeback_cache") == 0)
        options->writeback = true;
    else if (strcmp(option, "io_uring") == 0)
        options->io_uring = true;
    else if (strcmp(option, "low_latency") == 0)
        options->low_latency = true;
    else if (strcmp(option, "debug") == 0)
        options->debug = options->foreground = true;
    else
        return false;
    return true;
}

static int
set_option(struct options *options, const char *option)
{
    size_t length = strcspn(option, "=");

    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        if (strlen(settings[i].name) != length ||
            strncmp(option, settings[i].name, length) != 0)
            continue;
        if (settings[i].has_value != (option[length] == '='))
            return refuse("-o %s: %s", option,
                          settings[i].has_value ? "a value is expected, as in NAME=VALUE"
                                                : "it takes no value");
        return settings[i].set(options, option + length + settings[i].has_value);
    }
    /* That is always so; what says otherwise is refused. */
    if (strcmp(option, "default_permissions") == 0)
        return 0;
    if (set_flag(options, option) || strncasecmp(option, "x-", 2) == 0 ||
        is_among(option, ignored, sizeof(ignored) / sizeof(ignored[0])))
        return 0;
    if (strcmp(option, "rw") == 0)
        options->read_only = false;
    if (strchr(option, '=') == NULL &&
        is_among(option, passed, sizeof(passed) / sizeof(passed[0])))
        return pass(options, option);
    if (options->sloppy)
        return 0;
    return refuse("unknown option '%s'; lsmfs --help lists them", option);
}

int
options_add(struct options *options, char *list)
{
    const char *option;
    int result = 0;

    while (result == 0 && (option = strsep(&list, ",")) != NULL) {
        if (*option != '\0')
            result = set_option(options, option);
    }
    return result;
}

/* ---- the whole line ---- */

/* Is one of two absolute paths the other, or below it? */
static bool
overlap(const char *a, const char *b)
{
    size_t length = strlen(a) < strlen(b) ? strlen(a) : strlen(b);

    if (length == 1) /* the root directory */
        return true;
    return strncmp(a, b, length) == 0 && (a[length] == '\0' || a[length] == '/') &&
           (b[length] == '\0' || b[length] == '/');
}

int
options_place(struct options *options, const char *store, const char *mountpoint)
{
    if (options->existing && !options->remount)
        return refuse("-o user_id=, group_id=, max_read=, blksize=: only with remount");
    if (options->acl && options->shown.has_umask)
        return refuse("-o acl and umask= contradict each other");
    if (options->sync && options->writeback)
        return refuse("-o sync and writeback_cache contradict each other");
    /* mount(8) says rw wherever nobody says ro. */
    options->read_only |= options->snapshot[0] != '\0';

    int result = mountinfo_absolute(store, options->store);
    if (result != 0)
        return refuse("%s: %s", store, strerror(-result));
    result = mountinfo_absolute(mountpoint, options->mountpoint);
    if (result != 0)
        return refuse("%s: %s", mountpoint, strerror(-result));
    if (overlap(options->store, options->mountpoint))
        return refuse(
            "%s and %s: neither the store nor the mount point may lie within the "
            "other",
            options->store, options->mountpoint);
    return 0;
}

void
options_init(struct options *options)
{
    memset(options, 0, sizeof(*options));
    options->commit_ms = 1000;
    options->memory = MEMORY_DEFAULT;
    options->log_level = LSMKV_LOG_WARNING;
}

int
options_parse(int argc, char **argv, struct options *options)
{
    static const struct option names[] = {
        {"foreground", no_argument, NULL, 'f'}, {"debug", no_argument, NULL, 'd'}, {0}};
    int letter, result = 0;

    options_init(options);
    opterr = 0;
    while (result == 0 &&
           (letter = getopt_long(argc, argv, ":o:fdr", names, NULL)) != -1) {
        if (letter == 'o')
            result = options_add(options, optarg);
        else if (letter == 'f')
            options->foreground = true;
        else if (letter == 'd')
            options->debug = options->foreground = true;
        else if (letter == 'r')
            options->read_only = true;
        else if (letter == ':')
            result = refuse("-%c: a value is expected", optopt);
        else if (letter == '?')
            result =
                refuse("unknown option '%s'; lsmfs --help lists them", argv[optind - 1]);
    }
    if (result != 0)
        return result;
    if (argc - optind != 2)
        return refuse("a store and a mount point are expected: lsmfs STORE MOUNTPOINT "
                      "[-o OPTION,...]");
    return options_place(options, argv[optind], argv[optind + 1]);
}
