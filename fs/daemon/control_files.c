/*
 * control_files.c - get, put, rm and ls of a mounted store, and what differs between snapshots.
 *
 * bykey.c does the work.  Only what changes a name runs within vfs_alter, which keeps every
 * request of the kernel waiting.  Contents pass through a spool (C2 of control.c), so a put that
 * breaks off leaves nothing.  What only reads ends when nobody waits for it any more (C3).
 */
#include "daemon/control_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/spool.h"
#include "store/bykey.h"
#include "store/keylist.h"
#include "vfs/snapshots.h"

#define COPY_SIZE 65536u

struct request {
    struct wire *wire;
    struct lsmkv_slice key;
    struct bykey_owner owner;
    struct bykey_upload *upload;
    struct spool spool; /* holds the contents */
};

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

/* Does the client still wait? */
static bool
is_wanted(void *context)
{
    return !wire_is_cut_off(context);
}

/* ---- bykey's source and sink ---- */

static ssize_t
read_spool(void *context, void *bytes, size_t size)
{
    struct request *request = context;

    return spool_read(&request->spool, bytes, size);
}

static int
write_spool(void *context, const void *bytes, size_t size)
{
    struct request *request = context;

    return is_wanted(request->wire) ? spool_write(&request->spool, bytes, size)
                                    : -ECANCELED;
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
send_spool(struct request *request)
{
    char *bytes = malloc(COPY_SIZE);
    struct wire *wire = request->wire;
    ssize_t got = -1;

    if (bytes == NULL)
        return -ENOMEM;
    int result = spool_rewind(&request->spool);
    while (result == 0 && wire->failure == 0 &&
           (got = spool_read(&request->spool, bytes, COPY_SIZE)) > 0)
        wire_data(wire, bytes, (size_t)got);
    free(bytes);
    return result == 0 && got < 0 ? (int)got : result;
}

static int
do_get(struct vfs *vfs, struct request *request)
{
    struct bykey_sink sink = {write_spool, request};
    int result = bykey_get(vfs_store(vfs), request->key, &sink);

    return result != 0 ? result : send_spool(request);
}

static int
put_spool(struct vfs *vfs, struct request *request)
{
    struct bykey_source source = {read_spool, request};

    vfs_begin_upload(vfs);
    int result = bykey_upload(vfs_store(vfs), request->key, &source, &request->upload);
    if (result == 0) {
        result = vfs_alter(vfs, request->key, commit_file, request);
        bykey_upload_free(request->upload);
    }
    vfs_end_upload(vfs);
    return result;
}

static int
do_put(struct vfs *vfs, struct request *request)
{
    struct wire *wire = request->wire;
    int result = spool_to_disk(&request->spool);

    if (result != 0)
        return result;
    const char *line = wire_copy_data(wire, request->spool.fd);
    if (line == NULL)
        return wire->failure;
    if (strcmp(line, "end") != 0)
        return -EPROTO;
    result = find_owner(wire->fd, &request->owner);
    if (result == 0)
        result = spool_rewind(&request->spool);
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

/* Keys, or without options differences.  Reads states of the store that stay, so nothing has to
 * wait for it. */
static int
do_print(struct vfs *vfs, struct request *request, struct keylist_options *options)
{
    FILE *out = spool_stream(&request->spool);
    int result;

    if (out == NULL)
        return -errno;
    if (options != NULL) {
        options->go_on = is_wanted;
        options->context = request->wire;
        result = keylist_print(vfs_store(vfs), request->key, options, out);
    } else {
        const struct snapshots_output output = {out, is_wanted, request->wire};
        result = snapshots_diff(vfs, request->key, &output);
    }
    fclose(out);
    if (request->spool.error != 0) /* whatever came of it */
        result = request->spool.error;
    return result != 0 ? result : send_spool(request);
}

int
control_files(struct vfs *vfs, int directory, struct wire *wire, const char *name,
              struct lsmkv_slice key)
{
    struct request request = {.wire = wire, .key = key};
    struct keylist_options list = {0};
    bool diff = strcmp(name, "diff") == 0;
    int result;

    if (strcmp(name, "rm") == 0)
        return do_remove(vfs, &request);
    if (strcmp(name, "get") != 0 && strcmp(name, "put") != 0 && !diff &&
        !is_ls(name, &list))
        return -EPROTO;
    result = spool_open(&request.spool, directory);
    if (result != 0)
        return result;
    if (strcmp(name, "get") == 0)
        result = do_get(vfs, &request);
    else if (strcmp(name, "put") == 0)
        result = do_put(vfs, &request);
    else
        result = do_print(vfs, &request, diff ? NULL : &list);
    spool_close(&request.spool);
    return result;
}
