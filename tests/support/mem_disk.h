/*
 * mem_disk.h - directories in memory: the names now, those that were synced, and the changes
 * between the two.
 *
 * A change either gives a file a name (create, rename: it loses any other name) or takes a
 * name away.  A power cut may keep all changes since the directory's last sync, none, or any
 * subset of them, in order: more than a journal allows, as the engine must not rely on one.
 * Directories themselves are durable once made.
 *
 * No locking: mem_env.c does that.
 */
#ifndef SUPPORT_MEM_DISK_H
#define SUPPORT_MEM_DISK_H

#include "support/mem_file.h"

#define MEM_CAPACITY (UINT64_C(1) << 40) /* more than a test writes */

enum mem_names {
    MEM_NAMES_KEPT,    /* every change of a directory */
    MEM_NAMES_DROPPED, /* only what was synced */
    MEM_NAMES_RANDOM,  /* each change kept or not */
};

struct mem_name {
    char *name;
    struct mem_file *file; /* in a list of changes NULL takes the name away */
};

struct mem_names_list {
    struct mem_name *items;
    size_t count;
    size_t capacity;
};

struct mem_dir {
    char *path;
    struct mem_names_list live;
    struct mem_names_list durable;
    struct mem_names_list changes;
    struct mem_dir *next;
};

struct mem_disk {
    struct mem_dir *dirs;
    uint64_t used;     /* bytes of whole pages that files with a name or a handle hold */
    uint64_t capacity; /* bytes; MEM_CAPACITY at first */
};

struct mem_disk *mem_disk_new(void);
void mem_disk_free(struct mem_disk *disk);

/* NULL if there is none and `create` is not set. */
struct mem_dir *mem_disk_dir(struct mem_disk *disk, const char *path, bool create);
void mem_dir_sync(struct mem_dir *dir);
struct mem_file *mem_dir_find(const struct mem_dir *dir, const char *name);
/* The name must be free. */
struct mem_file *mem_dir_create(struct mem_dir *dir, const char *name);
/* 0 or -ENOENT. */
int mem_dir_unlink(struct mem_disk *disk, struct mem_dir *dir, const char *name);
int mem_dir_rename(struct mem_disk *disk, struct mem_dir *dir, const char *from,
                   const char *to);

/* A handle keeps a file and its space. */
void mem_disk_hold(struct mem_file *file);
void mem_disk_drop(struct mem_disk *disk, struct mem_file *file);
/* Writes what there is room for: 0, or -ENOSPC with a part written. */
int mem_disk_write(struct mem_disk *disk, struct mem_file *file, uint64_t offset,
                   const void *data, size_t size);
int mem_disk_resize(struct mem_disk *disk, struct mem_file *file, uint64_t size);

/* Of all names and their files' bytes as they are now, but for those of files called `without`. */
uint64_t mem_disk_hash(const struct mem_disk *disk, const char *without);

struct mem_disk *mem_disk_crash(struct mem_disk *disk, enum mem_data data,
                                enum mem_names names, uint64_t seed);
/* As it is for a process that starts after another has died: nothing is lost, and what was
 * not synced is not synced yet. */
struct mem_disk *mem_disk_clone(struct mem_disk *disk);

#endif
