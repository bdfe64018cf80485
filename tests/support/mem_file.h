/*
 * mem_file.h - a file of the env in memory: its bytes now, and those that a power cut leaves.
 *
 * `live` is what read(2) shows.  `durable` is what was last synced.  A page that a failed
 * sync lost is readable and clean, so that no later sync writes it, until it is written
 * again; this is what kernels do.
 *
 * A truncation that is not synced hides the durable bytes beyond `floor`, the smallest size
 * since the last sync: a power cut brings back either the old file beyond there, or none of
 * its bytes.
 */
#ifndef SUPPORT_MEM_FILE_H
#define SUPPORT_MEM_FILE_H

#include <stdbool.h>

#include "support/mem_pages.h"
#include "support/random.h"

enum mem_data {
    MEM_DATA_ALL,    /* all that was written, but for what a failed sync lost */
    MEM_DATA_NONE,   /* only what was synced */
    MEM_DATA_RANDOM, /* of each file all, nothing or a random half of its sectors; any size
                      * between the synced one and the last */
};

struct mem_file {
    unsigned references; /* handles, and names in any list */
    unsigned names;      /* in live directories: with handles, what keeps its space */
    unsigned handles;
    unsigned shared_locks;
    bool exclusive_lock;
    struct mem_pages live;
    struct mem_pages durable;
    bool *lost; /* a flag a page of live */
    size_t lost_count;
    uint64_t floor;
    struct mem_file *twin; /* while an image is made: its copy there */
};

struct mem_file *mem_file_new(void);
void mem_file_ref(struct mem_file *file);
void mem_file_unref(struct mem_file *file);

void mem_file_write(struct mem_file *file, uint64_t offset, const void *data,
                    size_t size);
void mem_file_resize(struct mem_file *file, uint64_t size);
void mem_file_sync(struct mem_file *file);
/* What a failed sync does: nothing becomes durable, and nothing stays dirty. */
void mem_file_lose(struct mem_file *file);

/* A new file as a power cut could leave this one, or as it is for a process that starts after
 * another has died. */
struct mem_file *mem_file_crash(const struct mem_file *file, enum mem_data data,
                                struct random *random);
struct mem_file *mem_file_clone(const struct mem_file *file);

#endif
