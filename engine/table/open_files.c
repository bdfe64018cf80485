/*
 * open_files.c - see open_files.h.
 *
 * O1  A file is shut only by who takes its last hold, the one for being open, from 1 to
 *     0.
 * O2  Only 0 holds may become more under the mutex, where the file is opened; from 1 on a
 *     reader adds its hold without it.
 */
#include "table/open_files.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mutex.h"

struct open_files {
    unsigned limit;
    struct mutex mutex;
    /* Protected by mutex. */
    struct open_file *hand; /* in the ring of those that are open; NULL: none */
    unsigned count;
};

struct open_file {
    struct open_files *files;
    struct env_dir *dir;
    char *name;
    /* Readers at this moment, and one more while it is open: 0 is shut. */
    atomic_uint holds;
    atomic_bool used;      /* since the hand passed */
    struct env_file *file; /* guarded by holds */
    /* Protected by the mutex of `files`; NULL while it is shut. */
    struct open_file *next, *previous;
};

int
open_files_new(unsigned limit, struct open_files **files)
{
    struct open_files *made = calloc(1, sizeof(*made));

    if (made == NULL)
        return -ENOMEM;
    made->limit = limit > 0 ? limit : 1;
    mutex_init(&made->mutex);
    *files = made;
    return 0;
}

void
open_files_free(struct open_files *files)
{
    if (files == NULL)
        return;
    mutex_fini(&files->mutex);
    free(files);
}

/* ---- the ring ---- */

/* Just behind the hand, which comes there last. */
static void
ring_add(struct open_files *files, struct open_file *file) LSMKV_REQUIRES(files->mutex)
{
    if (files->hand == NULL) {
        file->next = file->previous = file;
        files->hand = file;
    } else {
        file->next = files->hand;
        file->previous = files->hand->previous;
        file->previous->next = file;
        file->next->previous = file;
    }
    files->count++;
}

static void
ring_remove(struct open_files *files, struct open_file *file) LSMKV_REQUIRES(files->mutex)
{
    if (files->hand == file)
        files->hand = file->next != file ? file->next : NULL;
    file->next->previous = file->previous;
    file->previous->next = file->next;
    file->next = file->previous = NULL;
    files->count--;
}

static void
shut(struct open_files *files, struct open_file *file) LSMKV_REQUIRES(files->mutex)
{
    ring_remove(files, file);
    (void)env_file_close(file->file); /* only read: nothing is lost */
    file->file = NULL;
}

/* Shuts one; false: all are being read.  The second time round none is spared for its
 * use. */
static bool
shut_one(struct open_files *files) LSMKV_REQUIRES(files->mutex)
{
    for (unsigned steps = 2 * files->count; steps > 0; steps--) {
        struct open_file *file = files->hand;
        unsigned open = 1;

        files->hand = file->next;
        if (atomic_exchange_explicit(&file->used, false, memory_order_relaxed))
            continue;
        if (atomic_compare_exchange_strong(&file->holds, &open, 0)) {
            shut(files, file);
            return true;
        }
    }
    return false;
}

/* ---- files ---- */

/* Adds a hold to a file that is open. */
static bool
hold_open(struct open_file *file)
{
    unsigned holds = atomic_load_explicit(&file->holds, memory_order_relaxed);

    while (holds > 0)
        if (atomic_compare_exchange_weak_explicit(&file->holds, &holds, holds + 1,
                                                  memory_order_acquire,
                                                  memory_order_relaxed)) {
            atomic_store_explicit(&file->used, true, memory_order_relaxed);
            return true;
        }
    return false;
}

/* Others may have taken the process's descriptors: then ours make room. */
static int
open_shut(struct open_files *files, struct open_file *file) LSMKV_REQUIRES(files->mutex)
{
    struct env_file *opened;
    int result;

    while (files->count >= files->limit && shut_one(files))
        continue;
    do {
        result = env_file_open(file->dir, file->name, ENV_READ, &opened);
    } while ((result == -EMFILE || result == -ENFILE) && shut_one(files));
    if (result != 0)
        return result;
    file->file = opened;
    ring_add(files, file);
    atomic_store_explicit(&file->holds, 2, memory_order_release);
    return 0;
}

int
open_file_new(struct open_files *files, struct env_dir *dir, const char *name,
              struct open_file **file)
{
    struct open_file *made = calloc(1, sizeof(*made));

    if (made == NULL)
        return -ENOMEM;
    made->files = files;
    made->dir = dir;
    made->name = strdup(name);
    if (made->name == NULL) {
        free(made);
        return -ENOMEM;
    }
    *file = made;
    return 0;
}

void
open_file_free(struct open_file *file)
{
    if (file == NULL)
        return;
    mutex_lock(&file->files->mutex);
    if (atomic_load(&file->holds) > 0)
        shut(file->files, file);
    mutex_unlock(&file->files->mutex);
    free(file->name);
    free(file);
}

int
open_file_hold(struct open_file *file, struct env_file **out)
{
    struct open_files *files = file->files;
    int result = 0;

    if (!hold_open(file)) {
        mutex_lock(&files->mutex);
        if (!hold_open(file))
            result = open_shut(files, file);
        mutex_unlock(&files->mutex);
    }
    if (result != 0)
        return result;
    *out = file->file;
    return 0;
}

void
open_file_release(struct open_file *file)
{
    atomic_fetch_sub_explicit(&file->holds, 1, memory_order_release);
}
