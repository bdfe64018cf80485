/*
 * cli_store.c - the commands for a store that is not mounted.  What they do to files is in
 * bykey.c; here are arguments, streams and messages.
 */
#include "cli_store.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "attr.h"
#include "bykey.h"
#include "key.h"
#include "records.h"
#include "store.h"
#include "sweep.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

static const char put_help[] =
    "Usage: lsmfs put [OPTION]... STORE KEY [FILE]\n"
    "Store FILE, or standard input, as the contents of KEY.  STORE is made if it is absent or\n"
    "an empty directory.  A file that exists keeps its owner, mode and extended attributes.\n"
    "All or nothing, and durable when the command returns.\n"
    "\n"
    "  -h, --help   show this help and exit\n";

static const char get_help[] = "Usage: lsmfs get [OPTION]... STORE KEY\n"
                               "Write the contents of KEY to standard output.\n"
                               "\n"
                               "  -h, --help   show this help and exit\n";

static const char rm_help[] = "Usage: lsmfs rm [OPTION]... STORE KEY...\n"
                              "Remove each KEY.  Durable when the command returns.\n"
                              "\n"
                              "  -f, --force  a KEY that is not there is no error\n"
                              "  -h, --help   show this help and exit\n";

static const char ls_help[] =
    "Usage: lsmfs ls [OPTION]... STORE [KEY]\n"
    "List what is directly below KEY (by default, in the root), directories with a '/'; or KEY\n"
    "itself if nothing is.\n"
    "\n"
    "  -R, --recursive  list every key below KEY that has a record, whole\n"
    "  -l, --long       show mode, owner, size and time, too\n"
    "  -0, --null       end each line with a NUL instead of a newline\n"
    "  -h, --help       show this help and exit\n";

/* ---- what the commands share ---- */

struct command {
    const char *name;
    const char *help;
    bool force, recursive, lengthy;
    char end; /* of a line of ls */
};

static int
fail(const struct command *command, const char *what, int result)
{
    const char *detail = lsmkv_error_detail();
    fprintf(stderr, "lsmfs %s: %s: %s%s%s\n", command->name, what, strerror(-result),
            *detail ? ": " : "", detail);
    return EXIT_FAILED;
}

static int
misused(const struct command *command)
{
    fprintf(stderr, "Try 'lsmfs %s --help'.\n", command->name);
    return EXIT_USAGE;
}

/* Takes the options in `letters`; -1 to go on, else the exit status. */
static int
parse(struct command *command, int argc, char **argv, const char *letters)
{
    static const struct option names[] = {
        {"help", no_argument, NULL, 'h'},      {"force", no_argument, NULL, 'f'},
        {"recursive", no_argument, NULL, 'R'}, {"long", no_argument, NULL, 'l'},
        {"null", no_argument, NULL, '0'},      {0},
    };
    command->name = argv[0];
    command->end = '\n';
    opterr = 0; /* getopt would call this program by the command's name */
    optind = 0; /* start anew: another parser may have run before */
    for (int letter; (letter = getopt_long(argc, argv, "hfRl0", names, NULL)) != -1;) {
        if (letter == 'h') {
            fputs(command->help, stdout);
            return fflush(stdout) ? EXIT_FAILED : 0;
        }
        if (letter == '?') {
            fprintf(stderr, "lsmfs %s: unknown option '%s'\n", command->name,
                    argv[optind - 1]);
            return misused(command);
        }
        if (!strchr(letters, letter)) {
            fprintf(stderr, "lsmfs %s: option '%c' is not for this command\n",
                    command->name, letter);
            return misused(command);
        }
        command->force |= letter == 'f';
        command->recursive |= letter == 'R';
        command->lengthy |= letter == 'l';
        command->end = letter == '0' ? '\0' : command->end;
    }
    return -1;
}

/* Says so if there are too few or too many operands. */
static bool
operands_fit(const struct command *command, int count, int least, int most)
{
    if (count >= least && count <= most)
        return true;
    fprintf(stderr, "lsmfs %s: %s\n", command->name,
            count < least ? "missing operand" : "too many operands");
    return false;
}

static struct store *
open_store(const struct command *command, const char *path, bool writing, bool create)
{
    struct store_options options;
    struct store *store;
    char why[1024];
    store_options_init(&options);
    options.path = path;
    options.read_only = !writing;
    options.create = create;
    int result = store_open(&options, &store, why, sizeof why);
    if (result) {
        fprintf(stderr, "lsmfs %s: %s\n", command->name, why);
        return NULL;
    }
    result = sweep_new(store);
    if (result == 0)
        return store;
    fail(command, path, result);
    store_close(store);
    return NULL;
}

/* Closes what open_store opened; `status` is the command's so far. */
static int
close_store(const struct command *command, struct store *store, const char *path,
            int status)
{
    bool more = !store->read_only;
    /* What cannot be given back now is left to the next mount. */
    while (more && sweep_step(store, &more) == 0)
        continue;
    sweep_free(store);
    int result = store_close(store);
    return result ? fail(command, path, result) : status;
}

/* Standard output, to its end on the disk or the pipe. */
static int
flush_output(const struct command *command, int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    return fail(command, "standard output", errno ? -errno : -EIO);
}

/* ---- put ---- */

static ssize_t
read_file(void *context, void *bytes, size_t size)
{
    int fd = *(const int *)context;
    uint8_t *at = bytes;
    size_t used = 0;
    while (used < size) {
        ssize_t got = read(fd, at + used, size - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        used += (size_t)got;
    }
    return (ssize_t)used;
}

static int
put_from(const struct command *command, struct store *store, const char *key, int fd)
{
    mode_t mask = umask(0);
    umask(mask);
    struct bykey_source source = {read_file, &fd};
    struct bykey_owner owner = {geteuid(), getegid(), 0666 & ~mask, geteuid() == 0};
    int result = bykey_put(store, lsmkv_str(key), &source, &owner);
    return result ? fail(command, key, result) : 0;
}

int
cli_put(int argc, char **argv)
{
    struct command command = {.help = put_help};
    int status = parse(&command, argc, argv, "");
    if (status >= 0)
        return status;
    char **operands = argv + optind;
    int count = argc - optind;
    if (!operands_fit(&command, count, 2, 3))
        return misused(&command);
    int fd = count == 3 ? open(operands[2], O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    if (fd < 0) {
        fprintf(stderr, "lsmfs put: %s: %s\n", operands[2], strerror(errno));
        return EXIT_FAILED;
    }
    struct store *store = open_store(&command, operands[0], true, true);
    status = EXIT_FAILED;
    if (store) {
        status = put_from(&command, store, operands[1], fd);
        status = close_store(&command, store, operands[0], status);
    }
    if (fd != STDIN_FILENO)
        close(fd);
    return status;
}

/* ---- get ---- */

static int
write_stream(void *context, const void *bytes, size_t size)
{
    return fwrite(bytes, 1, size, context) == size ? 0 : -errno;
}

int
cli_get(int argc, char **argv)
{
    struct command command = {.help = get_help};
    int status = parse(&command, argc, argv, "");
    if (status >= 0)
        return status;
    char **operands = argv + optind;
    if (!operands_fit(&command, argc - optind, 2, 2))
        return misused(&command);
    struct store *store = open_store(&command, operands[0], false, false);
    if (!store)
        return EXIT_FAILED;
    struct bykey_sink sink = {write_stream, stdout};
    int result = bykey_get(store, lsmkv_str(operands[1]), &sink);
    status = result ? fail(&command, operands[1], result) : flush_output(&command, 0);
    return close_store(&command, store, operands[0], status);
}

/* ---- rm ---- */

int
cli_rm(int argc, char **argv)
{
    struct command command = {.help = rm_help};
    int status = parse(&command, argc, argv, "f");
    if (status >= 0)
        return status;
    char **operands = argv + optind;
    int count = argc - optind;
    if (!operands_fit(&command, count, 2, argc))
        return misused(&command);
    struct store *store = open_store(&command, operands[0], true, false);
    if (!store)
        return EXIT_FAILED;
    status = 0;
    for (int i = 1; i < count; i++) {
        int result = bykey_remove(store, lsmkv_str(operands[i]));
        if (result && !(result == -ENOENT && command.force))
            status = fail(&command, operands[i], result);
    }
    return close_store(&command, store, operands[0], status);
}

/* ---- ls ---- */

static void
print_long(const struct attr *attr)
{
    static const char types[] = "?pc?d?b?-?l?s???";
    char mode[11], when[32];
    struct tm local;
    mode[0] = types[(attr->mode & S_IFMT) >> 12];
    for (unsigned i = 0; i < 9; i++)
        mode[1 + i] = attr->mode & (0400u >> i) ? "rwxrwxrwx"[i] : '-';
    if (attr->mode & S_ISUID)
        mode[3] = attr->mode & S_IXUSR ? 's' : 'S';
    if (attr->mode & S_ISGID)
        mode[6] = attr->mode & S_IXGRP ? 's' : 'S';
    if (attr->mode & S_ISVTX)
        mode[9] = attr->mode & S_IXOTH ? 't' : 'T';
    mode[10] = '\0';
    if (!localtime_r(&attr->mtime.tv_sec, &local) ||
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &local) == 0)
        snprintf(when, sizeof when, "%19lld", (long long)attr->mtime.tv_sec);
    printf("%s %4u %5u %5u %12llu %s ", mode, attr_nlink(attr), attr->uid, attr->gid,
           (unsigned long long)attr->data.size, when);
}

/* The attributes of what stands at `key`: of a hard link, what its names share. */
static int
attributes_of(struct store *store, const struct lsmkv_record *record, struct attr *attr,
              struct lsmkv_held **held)
{
    int result = attr_decode(record, &store->defaults, attr);
    if (result || attr->data.kind != ATTR_REFERENCE || !store->inodes)
        return result;
    struct record_key key = record_inode(attr->ino);
    result = lsmkv_get_held(store->db, store->inodes, NULL, record_slice(&key), held);
    if (result)
        return result;
    return attr_decode(lsmkv_held_record(*held), &store->defaults, attr);
}

/* One line: `name` is what the iterator's key or a part of it is called. */
static int
print_entry(const struct command *command, struct store *store,
            const struct lsmkv_record *record, struct lsmkv_slice name)
{
    struct lsmkv_held *held = NULL;
    struct attr attr;
    bool directory = !record;
    int result = record ? attributes_of(store, record, &attr, &held) : 0;
    if (!record)
        attr_init_implied(&attr, &store->defaults, 0, (struct timespec){0});
    if (result == 0) {
        directory |= S_ISDIR(attr.mode);
        if (command->lengthy)
            print_long(&attr);
        fwrite(name.data, 1, name.size, stdout);
        if (directory)
            putchar('/');
        putchar(command->end);
    }
    if (held)
        lsmkv_held_release(held);
    return result;
}

/* The first component of a key below `key`, and the key up to its end. */
static struct lsmkv_slice
child_name(struct lsmkv_slice at, struct lsmkv_slice key, struct lsmkv_slice *child)
{
    size_t begin = key.size > 0 ? key.size + 1 : 0;
    const char *name = (const char *)at.data + begin;
    const char *slash = memchr(name, '/', at.size - begin);
    size_t size = slash ? (size_t)(slash - name) : at.size - begin;
    *child = lsmkv_bytes(at.data, begin + size);
    return lsmkv_bytes(name, size);
}

/* Prints the child that the iterator is at, and moves to the next.  A value with keys below it
 * is a directory, too. */
static int
list_child(const struct command *command, struct store *store, struct lsmkv_iter *iter,
           struct lsmkv_slice key)
{
    static uint8_t bytes[LSMKV_KEY_MAX];
    struct lsmkv_slice at = lsmkv_iter_key(iter), child;
    memcpy(bytes, at.data, at.size);
    struct lsmkv_slice name = child_name(lsmkv_bytes(bytes, at.size), key, &child);
    bool implied = at.size > child.size;
    int result =
        print_entry(command, store, implied ? NULL : lsmkv_iter_record(iter), name);
    if (result == 0)
        lsmkv_iter_skip_tree(iter, child);
    return result;
}

/* Lists below `key`; `*found` says whether there was anything. */
static int
list_below(const struct command *command, struct store *store, struct lsmkv_slice key,
           bool *found)
{
    struct lsmkv_iter_options options = {NULL, key, {0}};
    struct lsmkv_iter *iter;
    int result = lsmkv_iter_new(store->db, store->files, &options, &iter);
    if (result)
        return result;
    lsmkv_iter_first(iter);
    if (lsmkv_iter_valid(iter) && lsmkv_iter_key(iter).size == key.size)
        lsmkv_iter_next(iter);
    while (result == 0 && lsmkv_iter_valid(iter) &&
           key_is_below(lsmkv_iter_key(iter), key)) {
        *found = true;
        if (!command->recursive) {
            result = list_child(command, store, iter, key);
            continue;
        }
        result =
            print_entry(command, store, lsmkv_iter_record(iter), lsmkv_iter_key(iter));
        lsmkv_iter_next(iter);
    }
    result = result ? result : lsmkv_iter_status(iter);
    lsmkv_iter_free(iter);
    return result;
}

/* Nothing is below `key`: a file, an empty directory, or nothing. */
static int
list_itself(const struct command *command, struct store *store, struct lsmkv_slice key)
{
    struct lsmkv_held *held;
    struct attr attr;
    int result = lsmkv_get_held(store->db, store->files, NULL, key, &held);
    if (result)
        return result == -ENOENT && key.size == 0 ? 0 : result;
    const struct lsmkv_record *record = lsmkv_held_record(held);
    result = attr_decode(record, &store->defaults, &attr);
    if (result == 0 && !S_ISDIR(attr.mode))
        result = print_entry(command, store, record, key);
    lsmkv_held_release(held);
    return result;
}

int
cli_ls(int argc, char **argv)
{
    struct command command = {.help = ls_help};
    int status = parse(&command, argc, argv, "Rl0");
    if (status >= 0)
        return status;
    char **operands = argv + optind;
    int count = argc - optind;
    if (!operands_fit(&command, count, 1, 2))
        return misused(&command);
    const char *key = count == 2 ? operands[1] : "";
    struct store *store = open_store(&command, operands[0], false, false);
    if (!store)
        return EXIT_FAILED;
    bool found = false;
    int result = list_below(&command, store, lsmkv_str(key), &found);
    if (result == 0 && !found)
        result = list_itself(&command, store, lsmkv_str(key));
    status = result ? fail(&command, key, result) : flush_output(&command, 0);
    return close_store(&command, store, operands[0], status);
}
