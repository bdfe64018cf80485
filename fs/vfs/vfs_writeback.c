/*
 * vfs_writeback.c - what only the kernel has of files, before something looks at the store.
 *
 * syncfs(2) has it all sent, and waits for the times of each file; for its contents no more, as newer
 * kernels are.  Pages that are asked to be forgotten are written before that is answered, but without
 * times: so that comes second, of each file that is open for writing.  What is not open any more has been
 * written: closing waits for that.
 *
 * In this order, for contents with times of before look unchanged, to who makes backups by them; what is
 * written between the two does, until the next time.  In the other order times would be told of
 * contents that come later, and these look unchanged for good.
 */
#include <errno.h>
#include <stdlib.h>

#include "vfs/notify.h"
#include "vfs/op.h"
#include "vfs/vfs.h"

struct writing_back {
    struct vfs *vfs;
    void (*done)(void *context);
    void *context;
};

static int
write_all(struct vfs *vfs, const struct vfs_notify *notify)
{
    struct node_known *known;
    size_t count;
    int result = nodes_all(vfs->nodes, &vfs->live, &known, &count);

    if (result < 0)
        return result;
    for (size_t i = 0; i < count; i++) {
        if (vfs_may_be_mapped(known[i].node))
            notify->write_back(notify->context, known[i].node, 0, 0);
        node_unref(vfs->nodes, known[i].node, 1);
    }
    free(known);
    return 0;
}

static void
write_then(void *context, const struct vfs_notify *notify)
{
    struct writing_back *writing = context;

    if (notify && notify->sync)
        notify->sync(notify->context);
    if (notify && write_all(writing->vfs, notify) < 0)
        vfs_log(writing->vfs, LSMKV_LOG_WARNING,
                "no memory to see which files the kernel has yet to write");
    if (writing->done)
        writing->done(writing->context);
    free(writing);
}

int
vfs_write_back_then(struct vfs *vfs, void (*done)(void *context), void *context)
{
    struct writing_back *writing = malloc(sizeof(*writing));
    int result;

    if (!writing)
        return -ENOMEM;
    *writing = (struct writing_back){vfs, done, context};
    result = notices_ask(vfs->notices, vfs->root, write_then, writing);
    if (result < 0)
        free(writing);
    return result;
}

int
vfs_write_back(struct vfs *vfs)
{
    int result = vfs_write_back_then(vfs, NULL, NULL);

    if (result == 0)
        notices_wait(vfs->notices);
    return result == -ESHUTDOWN ? 0 : result;
}

bool
vfs_takes_snapshots(const struct node *parent)
{
    return parent->realm == REALM_SNAPSHOTS;
}
