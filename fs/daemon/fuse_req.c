/*
 * fuse_req.c - see fuse_req.h.
 */
#include "daemon/fuse_req.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/loop.h"

#define SPACE_TRIES 3u
#define GROUPS_MAX  1024 /* of one caller, that are looked at */

struct vfs *
req_vfs(fuse_req_t req)
{
    const struct fuse_ops *ops = fuse_req_userdata(req);

    return ops->vfs;
}

const struct shown *
req_shown(fuse_req_t req)
{
    const struct fuse_ops *ops = fuse_req_userdata(req);

    return &ops->shown;
}

struct node *
req_node(fuse_req_t req, fuse_ino_t ino)
{
    return ino == FUSE_ROOT_ID ? vfs_root(req_vfs(req)) : (struct node *)(uintptr_t)ino;
}

fuse_ino_t
req_id(struct vfs *vfs, const struct node *node)
{
    return node == vfs_root(vfs) ? FUSE_ROOT_ID : (fuse_ino_t)(uintptr_t)node;
}

/* Looks in /proc, therefore asked only when the answer matters. */
static bool
in_group(void *context, gid_t gid)
{
    gid_t groups[GROUPS_MAX];
    int count = fuse_req_getgroups(context, GROUPS_MAX, groups);

    for (int i = 0; i < count && i < GROUPS_MAX; i++)
        if (groups[i] == gid)
            return true;
    return false;
}

/* Reads a small file of /proc; what cannot be read is empty. */
static void
read_proc(const char *of, const char *name, char *text, size_t size)
{
    char path[64];
    size_t got = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%s/%s", of, name);
    file = fopen(path, "re");
    if (file) {
        got = fread(text, 1, size - 1, file);
        fclose(file);
    }
    text[got] = '\0';
}

/* Likewise.  A capability counts that its holder has in the daemon's own user namespace:
 * in one that he made himself everybody has all, and the kernel asks of files for the one
 * that was there first.  Where the daemon cannot look, for the caller is hidden, it is as
 * if root had all and nobody else any. */
static bool
capable(void *context, int capability)
{
    const struct fuse_ctx *ctx = fuse_req_ctx(context);
    char pid[16], ours[1024], theirs[1024], status[4096];
    const char *line;
    uint64_t effective = 0;

    snprintf(pid, sizeof(pid), "%d", (int)ctx->pid);
    read_proc(pid, "status", status, sizeof(status));
    line = strstr(status, "\nCapEff:");
    if (!line || sscanf(line + 1, "CapEff: %" SCNx64, &effective) != 1)
        return ctx->uid == 0;
    read_proc("self", "uid_map", ours, sizeof(ours));
    read_proc(pid, "uid_map", theirs, sizeof(theirs));
    return strcmp(ours, theirs) == 0 && effective >> capability & 1;
}

struct vfs_caller
req_caller(fuse_req_t req)
{
    const struct fuse_ctx *context = fuse_req_ctx(req);
    struct vfs_caller caller = {.uid = context->uid,
                                .gid = context->gid,
                                .umask = context->umask,
                                .in_group = in_group,
                                .capable = capable,
                                .context = req};

    return caller;
}

static int
to_errno(int result)
{
    return result == -EBADMSG || result == -EUCLEAN ? EIO : -result;
}

void
req_reply(fuse_req_t req, int result)
{
    fuse_reply_err(req, to_errno(result));
}

/* ---- a buffer for each thread that answers ---- */

bool
req_again(fuse_req_t req, int result, unsigned *tries)
{
    if (result != -ENOSPC || (*tries)++ == SPACE_TRIES)
        return false;
    loop_step_aside();
    return vfs_wait_for_space(req_vfs(req));
}

struct buffer {
    size_t size;
    char bytes[];
};

static pthread_key_t buffer_key;
static pthread_once_t buffer_once = PTHREAD_ONCE_INIT;

static void
make_buffer_key(void)
{
    /* 1024 keys are more than the libraries of one process use. */
    if (pthread_key_create(&buffer_key, free) != 0)
        abort();
}

char *
req_buffer(size_t size)
{
    struct buffer *buffer;

    pthread_once(&buffer_once, make_buffer_key);
    buffer = pthread_getspecific(buffer_key);
    if (buffer && buffer->size >= size)
        return buffer->bytes;
    free(buffer);
    buffer = malloc(sizeof(*buffer) + size);
    if (pthread_setspecific(buffer_key, buffer) != 0) {
        free(buffer);
        return NULL;
    }
    if (!buffer)
        return NULL;
    buffer->size = size;
    return buffer->bytes;
}

char *
req_reply_buffer(size_t size)
{
    char *room = ring_room(size);

    return room != NULL ? room : req_buffer(size);
}
