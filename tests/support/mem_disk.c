/* mem_disk.c - names, space, and images of both. */
#include "support/mem_disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* ---- lists of names ---- */

static char *
copy_text(const char *text)
{
    size_t size = strlen(text) + 1;

    return memcpy(mem_need(size), text, size);
}

static struct mem_name *
list_find(const struct mem_names_list *list, const char *name)
{
    size_t i;

    for (i = 0; i < list->count; i++)
        if (strcmp(list->items[i].name, name) == 0)
            return &list->items[i];
    return NULL;
}

static void
list_add(struct mem_names_list *list, const char *name, struct mem_file *file)
{
    struct mem_name added = {copy_text(name), file};

    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 8 : list->capacity * 2;
        list->items = realloc(list->items, list->capacity * sizeof(*list->items));
        if (list->items == NULL)
            abort();
    }
    if (file != NULL)
        mem_file_ref(file);
    list->items[list->count++] = added;
}

static void
list_remove(struct mem_names_list *list, struct mem_name *item)
{
    struct mem_name removed = *item;

    *item = list->items[--list->count];
    free(removed.name);
    if (removed.file != NULL)
        mem_file_unref(removed.file);
}

static void
list_clear(struct mem_names_list *list)
{
    while (list->count > 0)
        list_remove(list, &list->items[list->count - 1]);
    free(list->items);
    *list = (struct mem_names_list){0};
}

static void
list_copy(struct mem_names_list *to, const struct mem_names_list *from)
{
    size_t i;

    for (i = 0; i < from->count; i++)
        list_add(to, from->items[i].name, from->items[i].file);
}

/* What a change does to a list of names. */
static void
list_apply(struct mem_names_list *list, const struct mem_name *change)
{
    struct mem_name *item = list_find(list, change->name);
    size_t i;

    if (item != NULL)
        list_remove(list, item);
    if (change->file == NULL)
        return;
    for (i = 0; i < list->count; i++) {
        if (list->items[i].file == change->file) {
            list_remove(list, &list->items[i]);
            break;
        }
    }
    list_add(list, change->name, change->file);
}

/* ---- space ---- */

static uint64_t
space_of(uint64_t size)
{
    return (size + MEM_PAGE - 1) / MEM_PAGE * MEM_PAGE;
}

static uint64_t
space_left(const struct mem_disk *disk)
{
    return disk->used < disk->capacity ? disk->capacity - disk->used : 0;
}

static bool
keeps_space(const struct mem_file *file)
{
    return file->names > 0 || file->handles > 0;
}

static void
release_space(struct mem_disk *disk, const struct mem_file *file)
{
    if (!keeps_space(file))
        disk->used -= space_of(file->live.size);
}

void
mem_disk_hold(struct mem_file *file)
{
    file->handles++;
    mem_file_ref(file);
}

void
mem_disk_drop(struct mem_disk *disk, struct mem_file *file)
{
    file->handles--;
    release_space(disk, file);
    mem_file_unref(file);
}

int
mem_disk_resize(struct mem_disk *disk, struct mem_file *file, uint64_t size)
{
    uint64_t before = space_of(file->live.size);
    uint64_t after = space_of(size);

    if (after > before && after - before > space_left(disk))
        return -ENOSPC;
    mem_file_resize(file, size);
    disk->used += after - before;
    return 0;
}

int
mem_disk_write(struct mem_disk *disk, struct mem_file *file, uint64_t offset,
               const void *data, size_t size)
{
    uint64_t before = space_of(file->live.size);
    uint64_t left = space_left(disk) / MEM_PAGE * MEM_PAGE;
    uint64_t reach = left < UINT64_MAX - before ? before + left : UINT64_MAX;
    size_t fits = size;

    if (offset > reach)
        fits = 0;
    else if (size > reach - offset)
        fits = (size_t)(reach - offset);
    mem_file_write(file, offset, data, fits);
    disk->used += space_of(file->live.size) - before;
    return fits == size ? 0 : -ENOSPC;
}

/* ---- directories ---- */

struct mem_disk *
mem_disk_new(void)
{
    struct mem_disk *disk = mem_need(sizeof(*disk));

    disk->capacity = MEM_CAPACITY;
    return disk;
}

void
mem_disk_free(struct mem_disk *disk)
{
    struct mem_dir *dir;

    while ((dir = disk->dirs) != NULL) {
        disk->dirs = dir->next;
        list_clear(&dir->live);
        list_clear(&dir->durable);
        list_clear(&dir->changes);
        free(dir->path);
        free(dir);
    }
    free(disk);
}

struct mem_dir *
mem_disk_dir(struct mem_disk *disk, const char *path, bool create)
{
    struct mem_dir *dir;

    for (dir = disk->dirs; dir != NULL; dir = dir->next)
        if (strcmp(dir->path, path) == 0)
            return dir;
    if (!create)
        return NULL;
    dir = mem_need(sizeof(*dir));
    dir->path = copy_text(path);
    dir->next = disk->dirs;
    disk->dirs = dir;
    return dir;
}

void
mem_dir_sync(struct mem_dir *dir)
{
    list_clear(&dir->durable);
    list_clear(&dir->changes);
    list_copy(&dir->durable, &dir->live);
}

struct mem_file *
mem_dir_find(const struct mem_dir *dir, const char *name)
{
    const struct mem_name *item = list_find(&dir->live, name);

    return item == NULL ? NULL : item->file;
}

static void
change(struct mem_dir *dir, const char *name, struct mem_file *file)
{
    list_add(&dir->changes, name, file);
    list_apply(&dir->live, &dir->changes.items[dir->changes.count - 1]);
}

struct mem_file *
mem_dir_create(struct mem_dir *dir, const char *name)
{
    struct mem_file *file = mem_file_new();

    file->names = 1;
    change(dir, name, file);
    return file;
}

int
mem_dir_unlink(struct mem_disk *disk, struct mem_dir *dir, const char *name)
{
    struct mem_file *file = mem_dir_find(dir, name);

    if (file == NULL)
        return -ENOENT;
    file->names--;
    release_space(disk, file);
    change(dir, name, NULL);
    return 0;
}

int
mem_dir_rename(struct mem_disk *disk, struct mem_dir *dir, const char *from,
               const char *to)
{
    struct mem_file *file = mem_dir_find(dir, from);
    struct mem_file *replaced = mem_dir_find(dir, to);

    if (file == NULL)
        return -ENOENT;
    if (file == replaced)
        return 0;
    if (replaced != NULL) {
        replaced->names--;
        release_space(disk, replaced);
    }
    change(dir, to, file);
    return 0;
}

/* The order of names in a list has no meaning, so the sum does not keep it. */
static uint64_t
dir_hash(const struct mem_dir *dir, const char *without)
{
    uint64_t hash = 0;

    for (size_t i = 0; i < dir->live.count; i++) {
        const struct mem_name *item = &dir->live.items[i];
        uint64_t bytes =
            strcmp(item->name, without) == 0 ? 0 : mem_pages_hash(&item->file->live);

        hash += XXH3_64bits_withSeed(item->name, strlen(item->name), bytes);
    }
    return XXH3_64bits_withSeed(dir->path, strlen(dir->path), hash);
}

uint64_t
mem_disk_hash(const struct mem_disk *disk, const char *without)
{
    uint64_t hash = 0;

    for (const struct mem_dir *dir = disk->dirs; dir != NULL; dir = dir->next)
        hash += dir_hash(dir, without);
    return hash;
}

/* ---- images ---- */

/* How the files of an image are made. */
struct imaging {
    enum mem_data data;
    bool clone;
    struct random random;
};

/* Each file has random numbers of its own: how many one takes (the note in a lock is as long as
 * the process's number) makes no difference to the others. */
static struct mem_file *
image_file(struct mem_file *file, struct imaging *how)
{
    struct random own = random_of(random_next(&how->random));

    if (file->twin == NULL)
        file->twin =
            how->clone ? mem_file_clone(file) : mem_file_crash(file, how->data, &own);
    return file->twin;
}

static void
image_list(struct mem_names_list *to, const struct mem_names_list *from,
           struct imaging *how)
{
    size_t i;

    for (i = 0; i < from->count; i++)
        list_add(to, from->items[i].name,
                 from->items[i].file == NULL ? NULL
                                             : image_file(from->items[i].file, how));
}

static void
forget_twins(const struct mem_names_list *list)
{
    size_t i;

    for (i = 0; i < list->count; i++)
        if (list->items[i].file != NULL)
            list->items[i].file->twin = NULL;
}

/* Counts the names and the space of an image's files. */
static void
image_space(struct mem_disk *image, const struct mem_dir *dir)
{
    size_t i;

    for (i = 0; i < dir->live.count; i++) {
        struct mem_file *file = dir->live.items[i].file;

        file->names++;
        image->used += space_of(file->live.size);
    }
}

static void
crash_dir(struct mem_disk *image, const struct mem_dir *dir, enum mem_names names,
          struct imaging *how)
{
    struct mem_dir *to = mem_disk_dir(image, dir->path, true);
    struct mem_names_list left = {0};
    size_t i;

    list_copy(&left, &dir->durable);
    for (i = 0; i < dir->changes.count; i++)
        if (names == MEM_NAMES_KEPT ||
            (names == MEM_NAMES_RANDOM && random_coin(&how->random)))
            list_apply(&left, &dir->changes.items[i]);
    image_list(&to->live, &left, how);
    list_copy(&to->durable, &to->live);
    forget_twins(&left);
    list_clear(&left);
    image_space(image, to);
}

struct mem_disk *
mem_disk_crash(struct mem_disk *disk, enum mem_data data, enum mem_names names,
               uint64_t seed)
{
    struct imaging how = {.data = data, .random = random_of(seed)};
    struct mem_disk *image = mem_disk_new();
    const struct mem_dir *dir;

    image->capacity = disk->capacity;
    for (dir = disk->dirs; dir != NULL; dir = dir->next)
        crash_dir(image, dir, names, &how);
    return image;
}

struct mem_disk *
mem_disk_clone(struct mem_disk *disk)
{
    struct imaging how = {.clone = true};
    struct mem_disk *image = mem_disk_new();
    const struct mem_dir *dir;

    image->capacity = disk->capacity;
    for (dir = disk->dirs; dir != NULL; dir = dir->next) {
        struct mem_dir *to = mem_disk_dir(image, dir->path, true);

        image_list(&to->live, &dir->live, &how);
        image_list(&to->durable, &dir->durable, &how);
        image_list(&to->changes, &dir->changes, &how);
        forget_twins(&dir->live);
        forget_twins(&dir->durable);
        forget_twins(&dir->changes);
        image_space(image, to);
    }
    return image;
}
