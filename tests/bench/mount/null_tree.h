/*
 * null_tree.h - the files of the null server: names and contents in memory, and nowhere else.
 *
 * One lock guards all: shared to look, exclusive to change.  Callers hold it.
 */
#ifndef BENCH_NULL_TREE_H
#define BENCH_NULL_TREE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct entry {
    struct inode *parent, *inode;
    struct entry *next; /* in its bucket */
    size_t slot;        /* of the parent */
    char name[];
};

struct inode {
    struct stat attr;
    char *bytes;            /* contents, or a link's target */
    size_t room;            /* of bytes */
    struct inode *parent;   /* of a directory */
    struct entry **entries; /* of a directory, by offset; NULL: removed */
    size_t slots, slot_room, live;
    atomic_uint_fast64_t known; /* to the kernel so often */
};

/* Makes the root; ends the program where memory is missing, as everything here does. */
struct inode *tree_init(void);

/* NULL: there is none. */
struct entry *tree_find(const struct inode *parent, const char *name);
/* One without a name. */
struct inode *tree_make(mode_t mode, dev_t device, uid_t uid, gid_t gid);
void tree_link(struct inode *parent, const char *name, struct inode *inode);
void tree_unlink(struct entry *entry);
/* Frees it, if neither a name nor the kernel has it. */
void tree_drop(struct inode *inode);

/* Changes how long the contents are; what is added is zeros. */
void inode_resize(struct inode *inode, size_t size);
void inode_write(struct inode *inode, const char *bytes, size_t size, size_t offset);
/* The contents have changed now. */
void inode_touch(struct inode *inode);

#endif
