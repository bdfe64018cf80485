/* import_disk.c - see import_disk.h. */
#include "archive/import_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/client.h"
#include "store/implied.h"

#define COPY_SIZE 65536u
#define PATH_SIZE 64u

struct import_disk {
    struct import_tree tree;
    const char *store;
    bool knows_first;
    uid_t maker; /* whose a new file is shown as: with -o uid= another than the caller */
    ino_t first; /* what is made from now on has higher numbers */
};

/* The path of an open file, for calls that take no descriptor without access. */
static const char *
path_of(union import_file file, char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "/proc/self/fd/%d", file.fd);
    return path;
}

static int
result_of(int status)
{
    return status == 0 ? 0 : -errno;
}

/* ---- names ---- */

static int
find(struct import_tree *tree, union import_file directory, const char *name,
     union import_file *file, struct stat *st)
{
    const struct open_how how = {.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
                                 .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
                                            RESOLVE_NO_XDEV};
    int fd = (int)syscall(SYS_openat2, directory.fd, name, &how, sizeof(how));

    (void)tree;
    if (fd < 0)
        return -errno;
    if (fstat(fd, st) != 0) {
        int result = -errno;
        close(fd);
        return result;
    }
    file->fd = fd;
    return 0;
}

/* Makes a file that has no name, so that nobody can exchange it, to learn what is ours. */
static int
make_first(struct import_disk *disk, union import_file directory)
{
    struct stat st;

    if (disk->knows_first)
        return 0;
    int fd = openat(directory.fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    int result = fd < 0 || fstat(fd, &st) != 0 ? -errno : 0;
    if (fd >= 0)
        close(fd);
    if (result != 0)
        return result;
    disk->knows_first = true;
    disk->maker = st.st_uid;
    disk->first = st.st_ino;
    return 0;
}

/* Is it what was made here, and not what somebody has put in its place (D1)?  Of others than him, he
 * has nothing that is newer than this import: numbers of files come from a counter, but for those of
 * directories that keys imply. */
static bool
is_new(const struct import_disk *disk, const struct stat *st, mode_t type)
{
    return (st->st_mode & S_IFMT) == type && st->st_uid == disk->maker &&
           st->st_ino > disk->first && !implied_is(st->st_ino);
}

static int
make_name(union import_file directory, const char *name, const struct import_kind *kind)
{
    if (S_ISDIR(kind->mode))
        return result_of(mkdirat(directory.fd, name, kind->mode & 07777));
    if (S_ISLNK(kind->mode))
        return result_of(symlinkat(kind->link, directory.fd, name));
    return result_of(mknodat(directory.fd, name, kind->mode, kind->rdev));
}

static int
make(struct import_tree *tree, union import_file directory, const char *name,
     const struct import_kind *kind, union import_file *file)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    struct import_disk *disk = (struct import_disk *)tree;
    struct stat st;

    if (S_ISREG(kind->mode)) {
        int fd = openat(directory.fd, name, flags, kind->mode & 07777);
        if (fd < 0)
            return -errno;
        file->fd = fd;
        return 0;
    }
    int result = make_first(disk, directory);
    if (result == 0)
        result = make_name(directory, name, kind);
    if (result != 0)
        return result;
    result = find(tree, directory, name, file, &st);
    if (result != 0) {
        unlinkat(directory.fd, name, S_ISDIR(kind->mode) ? AT_REMOVEDIR : 0);
        return result;
    }
    if (is_new(disk, &st, kind->mode & S_IFMT))
        return 0;
    close(file->fd);
    return -ESTALE;
}

static int
link_file(struct import_tree *tree, union import_file file, union import_file directory,
          const char *name)
{
    char path[PATH_SIZE];

    (void)tree;
    return result_of(
        linkat(AT_FDCWD, path_of(file, path), directory.fd, name, AT_SYMLINK_FOLLOW));
}

static int
rename_file(struct import_tree *tree, union import_file directory, const char *from,
            const char *to)
{
    (void)tree;
    return result_of(renameat(directory.fd, from, directory.fd, to));
}

static int
exchange(struct import_tree *tree, union import_file directory, const char *from,
         const char *to)
{
    (void)tree;
    return result_of(renameat2(directory.fd, from, directory.fd, to, RENAME_EXCHANGE));
}

static int
remove_name(struct import_tree *tree, union import_file directory, const char *name,
            bool is_folder)
{
    (void)tree;
    return result_of(unlinkat(directory.fd, name, is_folder ? AT_REMOVEDIR : 0));
}

static void
forget(struct import_tree *tree, union import_file file)
{
    if (file.fd != tree->root.fd)
        close(file.fd);
}

/* ---- contents ---- */

static int
write_bytes(struct import_tree *tree, union import_file file, const void *bytes,
            size_t size, int64_t offset)
{
    const char *at = bytes;

    (void)tree;
    while (size > 0) {
        ssize_t done = pwrite(file.fd, at, size, offset);
        if (done < 0 && errno != EINTR)
            return -errno;
        if (done > 0) {
            at += done;
            size -= (size_t)done;
            offset += done;
        }
    }
    return 0;
}

/* Every close sends what the kernel has kept back, and tells what came of it. */
static int
finish(struct import_tree *tree, union import_file file, int64_t size)
{
    (void)tree;
    if (ftruncate(file.fd, size) != 0)
        return -errno;
    int copy = fcntl(file.fd, F_DUPFD_CLOEXEC, 0);
    return copy < 0 ? -errno : result_of(close(copy));
}

/* ---- attributes ---- */

static int
stat_file(struct import_tree *tree, union import_file file, struct stat *st)
{
    (void)tree;
    return result_of(fstat(file.fd, st));
}

static int
set_owner(struct import_tree *tree, union import_file file, uid_t uid, gid_t gid)
{
    (void)tree;
    return result_of(fchownat(file.fd, "", uid, gid, AT_EMPTY_PATH));
}

static int
set_mode(struct import_tree *tree, union import_file file, mode_t mode)
{
    char path[PATH_SIZE];

    (void)tree;
    return result_of(chmod(path_of(file, path), mode));
}

static int
set_times(struct import_tree *tree, union import_file file,
          const struct timespec times[2])
{
    (void)tree;
    return result_of(utimensat(file.fd, "", times, AT_EMPTY_PATH));
}

static int
set_xattr(struct import_tree *tree, union import_file file, const char *name,
          const void *value, size_t size)
{
    char path[PATH_SIZE];

    (void)tree;
    return result_of(setxattr(path_of(file, path), name, value, size, 0));
}

static int
remove_xattr(struct import_tree *tree, union import_file file, const char *name)
{
    char path[PATH_SIZE];

    (void)tree;
    return result_of(removexattr(path_of(file, path), name));
}

/* ---- values ---- */

/* A daemon that refuses says why before it has read everything, and closes: that is read
 * even if no more can be sent. */
static int
hear(struct client *client)
{
    int sent = client->wire.failure;

    if (sent != -EPIPE && sent != -ECONNRESET && sent != 0)
        return sent;
    client->wire.failure = 0;
    return client_answer(client, STDOUT_FILENO);
}

static int
send_value(struct client *client, struct lsmkv_slice key,
           const struct bykey_source *source)
{
    char *bytes = malloc(COPY_SIZE);
    ssize_t got = 0;

    if (bytes == NULL)
        return -ENOMEM;
    client_ask(client, "put", key);
    while (client->wire.failure == 0 &&
           (got = source->read(source->context, bytes, COPY_SIZE)) > 0)
        wire_data(&client->wire, bytes, (size_t)got);
    free(bytes);
    /* Without "end" nothing is put. */
    if (got < 0)
        return (int)got;
    wire_say(&client->wire, "end\n");
    return hear(client);
}

static int
put(struct import_tree *tree, struct lsmkv_slice key, const struct bykey_source *source,
    const struct bykey_owner *owner)
{
    struct client *client = client_open(((struct import_disk *)tree)->store);

    (void)owner; /* it is the caller's, as with lsmfs put */
    int result = client != NULL ? send_value(client, key, source) : -errno;
    client_close(client);
    return result;
}

/* ---- its life ---- */

struct import_tree *
import_disk_new(int folder, const char *store)
{
    struct import_disk *disk = calloc(1, sizeof(*disk));

    if (disk == NULL)
        return NULL;
    disk->store = store;
    disk->tree = (struct import_tree){.root.fd = folder,
                                      .sets_owners = geteuid() == 0,
                                      .is_shared = true,
                                      .find = find,
                                      .make = make,
                                      .link = link_file,
                                      .rename = rename_file,
                                      .exchange = exchange,
                                      .remove = remove_name,
                                      .forget = forget,
                                      .write = write_bytes,
                                      .finish = finish,
                                      .stat = stat_file,
                                      .set_owner = set_owner,
                                      .set_mode = set_mode,
                                      .set_times = set_times,
                                      .set_xattr = set_xattr,
                                      .remove_xattr = remove_xattr,
                                      .put = put};
    return &disk->tree;
}

void
import_disk_free(struct import_tree *tree)
{
    free(tree);
}
