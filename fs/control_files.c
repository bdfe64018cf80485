/*
 * control_files.c - get, put, rm and ls of a mounted store.
 *
 * bykey.c does the work.  Only what changes a name runs within vfs_alter, which keeps every
 * request of the kernel waiting.  Contents pass through a file without a name in the store's
 * directory (C2 of control.c), so a put that breaks off leaves nothing.
 */
#include "control_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bykey.h"
#include "keylist.h"

#define COPY_SIZE 65536u

struct request {
    struct lsmkv_slice key;
    struct bykey_owner owner;
    struct bykey_upload *upload;
    int spool; /* holds the contents */
};

/* Not every file system beneath a store has files without a name from the beginning. */
static int
open_spool(int directory, int *spool)
{
    char path[64];
    int fd = openat(directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d/spool.XXXXXX", directory);
        fd = mkostemp(path, O_CLOEXEC);
        if (fd < 0 || unlink(path) != 0)
            return -errno;
    }
    *spool = fd;
    return 0;
}

/* Whoever is at the other end owns what put makes; nothing is known of its umask. */
static int
find_owner(int fd, struct bykey_owner *owner)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return -errno;
    owner->uid = peer.uid;
    owner->gid = peer.gid;
    owner->permissions = 0644;
    owner->privileged = peer.uid == 0;
    return 0;
}

/* ---- bykey's source and sink ---- */

static ssize_t
read_spool(void *context, void *bytes, size_t size)
{
    int fd = *(const int *)context;
    size_t used = 0;

    while (used < size) {
        ssize_t got = read(fd, (char *)bytes + used, size - used);
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
write_spool(void *context, const void *bytes, size_t size)
{
    int fd = *(const int *)context;
    const char *from = bytes;

    while (size > 0) {
        ssize_t done = write(fd, from, size);
        if (done < 0 && errno != EINTR)
            return -errno;
        if (done > 0) {
            from += done;
            size -= (size_t)done;
        }
    }
    return 0;
}

/* ---- what runs while the filesystem waits ---- */

static int
commit_file(void *context, struct store *store)
{
    struct request *request = context;

    (void)store; /* the upload has it */
    return bykey_commit(request->upload, request->key, &request->owner);
}

static int
remove_value(void *context, struct store *store)
{
    struct request *request = context;

    return bykey_remove(store, request->key);
}

/* ---- commands ---- */

/* Sends what the spool holds. */
static int
send_spool(struct wire *wire, int spool)
{
    char *bytes = malloc(COPY_SIZE);
    ssize_t got = -1;

    if (bytes == NULL)
        return -ENOMEM;
    if (lseek(spool, 0, SEEK_SET) == 0) {
        while (wire->failure == 0 && (got = read_spool(&spool, bytes, COPY_SIZE)) > 0)
            wire_data(wire, bytes, (size_t)got);
    }
    free(bytes);
    return got < 0 ? (int)got : 0;
}

static int
do_get(struct vfs *vfs, struct wire *wire, struct request *request)
{
    struct bykey_sink sink = {write_spool, &request->spool};
    int result = bykey_get(vfs_store(vfs), request->key, &sink);

    return result != 0 ? result : send_spool(wire, request->spool);
}

static int
put_spool(struct vfs *vfs, struct request *request)
{
    struct bykey_source source = {read_spool, &request->spool};
    int result = bykey_upload(vfs_store(vfs), request->key, &source, &request->upload);

    if (result != 0)
        return result;
    result = vfs_alter(vfs, request->key, commit_file, request);
    bykey_upload_free(request->upload);
    return result;
}

static int
do_put(struct vfs *vfs, struct wire *wire, struct request *request)
{
    const char *line = wire_copy_data(wire, request->spool);
    int result = find_owner(wire->fd, &request->owner);

    if (line == NULL)
        return wire->failure;
    if (strcmp(line, "end") != 0)
        return -EPROTO;
    if (result == 0 && lseek(request->spool, 0, SEEK_SET) != 0)
        result = -errno;
    return result != 0 ? result : put_spool(vfs, request);
}

/* A key whose coded path is too long has a file nowhere. */
static int
do_remove(struct vfs *vfs, struct request *request)
{
    int result = vfs_remove_key(vfs, request->key);

    if (result == -ENOENT || result == -ENAMETOOLONG)
        result = vfs_alter(vfs, request->key, remove_value, request);
    return result;
}

/* "ls" and letters: -R, -l, -0.  False: no such command. */
static bool
is_ls(const char *name, struct keylist_options *options)
{
    if (strncmp(name, "ls", 2) != 0)
        return false;
    options->end = '\n';
    for (name += 2; *name != '\0'; name += 2) {
        if (strncmp(name, "-R", 2) == 0)
            options->recursive = true;
        else if (strncmp(name, "-l", 2) == 0)
            options->lengthy = true;
        else if (strncmp(name, "-0", 2) == 0)
            options->end = '\0';
        else
            return false;
    }
    return true;
}

/* Reads one state of the store, so nothing has to wait for it. */
static int
do_ls(struct vfs *vfs, struct wire *wire, struct request *request,
      const struct keylist_options *options)
{
    FILE *out = fdopen(dup(request->spool), "w");

    if (out == NULL)
        return -errno;
    int result = keylist_print(vfs_store(vfs), request->key, options, out);
    if (fclose(out) != 0 && result == 0)
        result = -errno;
    return result != 0 ? result : send_spool(wire, request->spool);
}

int
control_files(struct vfs *vfs, int directory, struct wire *wire, const char *name,
              struct lsmkv_slice key)
{
    struct request request = {.key = key, .spool = -1};
    struct keylist_options list = {0};
    int result;

    if (strcmp(name, "rm") == 0)
        return do_remove(vfs, &request);
    if (strcmp(name, "get") != 0 && strcmp(name, "put") != 0 && !is_ls(name, &list))
        return -EPROTO;
    result = open_spool(directory, &request.spool);
    if (result != 0)
        return result;
    if (strcmp(name, "get") == 0)
        result = do_get(vfs, wire, &request);
    else if (strcmp(name, "put") == 0)
        result = do_put(vfs, wire, &request);
    else
        result = do_ls(vfs, wire, &request, &list);
    close(request.spool);
    return result;
}
