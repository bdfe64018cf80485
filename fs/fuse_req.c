/*
 * fuse_req.c - see fuse_req.h.
 */
#include "fuse_req.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "loop.h"

#define SPACE_TRIES 3u
#define GROUPS_MAX  1024 /* of one caller, that are looked at */

struct vfs *
req_vfs(fuse_req_t req)
{
    const struct fuse_ops *ops = fuse_req_userdata(req);

    return ops->vfs;
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

/* Likewise.  Where the daemon cannot look, for the caller is in a namespace or hidden, it is as
 * if root had all and nobody else any. */
static bool
capable(void *context, int capability)
{
    const struct fuse_ctx *ctx = fuse_req_ctx(context);
    char path[32], line[128];
    uint64_t effective = ctx->uid == 0 ? UINT64_MAX : 0;
    FILE *status;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)ctx->pid);
    status = fopen(path, "re");
    if (!status)
        return effective != 0;
    while (fgets(line, sizeof(line), status))
        if (sscanf(line, "CapEff: %" SCNx64, &effective) == 1)
            break;
    fclose(status);
    return effective >> capability & 1;
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
