/* null_tree.c - see null_tree.h. */
#include "null_tree.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common.h"

enum { BUCKETS = 1 << 20 };

static struct entry **buckets;
static uint64_t last_number;

static void *
need_zeroed(size_t count, size_t size)
{
    void *memory = calloc(count, size);

    if (memory == NULL)
        die("no memory");
    return memory;
}

static void *
need_more(void *memory, size_t size)
{
    void *more = realloc(memory, size);

    if (more == NULL)
        die("no memory");
    return more;
}

/* ---- names ---- */

static struct entry **
bucket_of(const struct inode *parent, const char *name)
{
    uint64_t hash = parent->attr.st_ino;

    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * 0x9e3779b97f4a7c15u;
    return &buckets[hash >> 44];
}

struct entry *
tree_find(const struct inode *parent, const char *name)
{
    struct entry *entry = *bucket_of(parent, name);

    while (entry != NULL && (entry->parent != parent || strcmp(entry->name, name) != 0))
        entry = entry->next;
    return entry;
}

void
tree_link(struct inode *parent, const char *name, struct inode *inode)
{
    size_t size = strlen(name) + 1;
    struct entry *entry = need(sizeof(*entry) + size);
    struct entry **bucket = bucket_of(parent, name);

    *entry = (struct entry){parent, inode, *bucket, parent->slots};
    memcpy(entry->name, name, size);
    *bucket = entry;
    if (parent->slots == parent->slot_room) {
        parent->slot_room = parent->slot_room * 2 + 16;
        parent->entries =
            need_more(parent->entries, parent->slot_room * sizeof(struct entry *));
    }
    parent->entries[parent->slots++] = entry;
    parent->live++;
    inode_touch(parent);
    inode->attr.st_nlink++;
    if (S_ISDIR(inode->attr.st_mode)) {
        inode->attr.st_nlink = 2;
        inode->parent = parent;
        parent->attr.st_nlink++;
    }
}

/* Offsets stay what they are until the directory is empty. */
void
tree_unlink(struct entry *entry)
{
    struct inode *parent = entry->parent, *inode = entry->inode;
    struct entry **at = bucket_of(parent, entry->name);

    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    parent->entries[entry->slot] = NULL;
    if (--parent->live == 0)
        parent->slots = 0;
    inode_touch(parent);
    if (S_ISDIR(inode->attr.st_mode)) {
        inode->attr.st_nlink--;
        parent->attr.st_nlink--;
    }
    inode->attr.st_nlink--;
    free(entry);
    tree_drop(inode);
}

/* ---- inodes ---- */

struct inode *
tree_make(mode_t mode, dev_t device, uid_t uid, gid_t gid)
{
    struct inode *inode = need_zeroed(1, sizeof(*inode));

    inode->attr.st_ino = ++last_number;
    inode->attr.st_mode = mode;
    inode->attr.st_rdev = device;
    inode->attr.st_uid = uid;
    inode->attr.st_gid = gid;
    inode->attr.st_blksize = 4096;
    inode_touch(inode);
    inode->attr.st_atim = inode->attr.st_mtim;
    return inode;
}

void
tree_drop(struct inode *inode)
{
    if (inode->attr.st_nlink > 0 || atomic_load(&inode->known) > 0)
        return;
    free(inode->entries);
    free(inode->bytes);
    free(inode);
}

struct inode *
tree_init(void)
{
    struct inode *root;

    buckets = need_zeroed(BUCKETS, sizeof(struct entry *));
    root = tree_make(S_IFDIR | 0755, 0, 0, 0);
    root->attr.st_nlink = 2;
    root->parent = root;
    return root;
}

/* How long the contents are; what they become is the caller's. */
static void
set_size(struct inode *inode, size_t size)
{
    if (size > inode->room) {
        inode->room = size <= 4096 ? size : size + size / 2;
        inode->bytes = need_more(inode->bytes, inode->room);
    }
    inode->attr.st_size = (off_t)size;
    inode->attr.st_blocks = (blkcnt_t)((size + 511) / 512);
}

void
inode_resize(struct inode *inode, size_t size)
{
    size_t before = (size_t)inode->attr.st_size;

    set_size(inode, size);
    if (size > before)
        memset(inode->bytes + before, 0, size - before);
}

void
inode_write(struct inode *inode, const char *bytes, size_t size, size_t offset)
{
    if (offset > (size_t)inode->attr.st_size)
        inode_resize(inode, offset);
    if (offset + size > (size_t)inode->attr.st_size)
        set_size(inode, offset + size);
    memcpy(inode->bytes + offset, bytes, size);
    inode_touch(inode);
}

void
inode_touch(struct inode *inode)
{
    clock_gettime(CLOCK_REALTIME, &inode->attr.st_mtim);
    inode->attr.st_ctim = inode->attr.st_mtim;
}
