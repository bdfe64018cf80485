/* mem_file.c - what is synced, what is not, and what a power cut makes of it. */
#include "support/mem_file.h"

#include <stdlib.h>
#include <string.h>

struct mem_file *
mem_file_new(void)
{
    return mem_need(sizeof(struct mem_file));
}

void
mem_file_ref(struct mem_file *file)
{
    file->references++;
}

void
mem_file_unref(struct mem_file *file)
{
    if (--file->references > 0)
        return;
    mem_pages_fini(&file->live);
    mem_pages_fini(&file->durable);
    free(file->lost);
    free(file);
}

static bool
page_lost(const struct mem_file *file, size_t index)
{
    return index < file->lost_count && file->lost[index];
}

/* Whether a power cut could change page `index`. */
static bool
page_unsynced(const struct mem_file *file, size_t index)
{
    return mem_pages_at(&file->live, index) != mem_pages_at(&file->durable, index);
}

static void
pages_written(struct mem_file *file, uint64_t offset, size_t size)
{
    size_t i;

    if (size == 0)
        return;
    for (i = offset / MEM_PAGE; i <= (offset + size - 1) / MEM_PAGE; i++)
        if (i < file->lost_count)
            file->lost[i] = false;
}

void
mem_file_write(struct mem_file *file, uint64_t offset, const void *data, size_t size)
{
    mem_pages_write(&file->live, offset, data, size);
    pages_written(file, offset, size);
}

void
mem_file_resize(struct mem_file *file, uint64_t size)
{
    if (size < file->live.size && size % MEM_PAGE != 0)
        pages_written(file, size, 1); /* its tail is zeroed */
    mem_pages_resize(&file->live, size);
    if (size < file->floor)
        file->floor = size;
}

void
mem_file_sync(struct mem_file *file)
{
    size_t i;

    if (file->floor < file->durable.size)
        mem_pages_resize(&file->durable, file->floor);
    mem_pages_resize(&file->durable, file->live.size);
    for (i = 0; i < file->live.count; i++)
        if (page_unsynced(file, i) && !page_lost(file, i))
            mem_pages_share(&file->durable, i, &file->live);
    file->floor = file->live.size;
}

void
mem_file_lose(struct mem_file *file)
{
    size_t i;

    free(file->lost);
    file->lost = mem_need(file->live.count * sizeof(bool));
    file->lost_count = file->live.count;
    for (i = 0; i < file->live.count; i++)
        file->lost[i] = page_unsynced(file, i);
}

/* The synced bytes, cut where an unsynced truncation did. */
static void
copy_cut(struct mem_pages *out, const struct mem_file *file)
{
    mem_pages_copy(out, &file->durable);
    if (file->floor < out->size)
        mem_pages_resize(out, file->floor);
}

static void
crash_all(struct mem_pages *out, const struct mem_file *file)
{
    size_t i;

    copy_cut(out, file);
    mem_pages_resize(out, file->live.size);
    for (i = 0; i < out->count; i++)
        if (page_unsynced(file, i) && !page_lost(file, i))
            mem_pages_share(out, i, &file->live);
}

/* Some sectors of page `index`, as far as `limit`, come from the live file. */
static void
mix_page(struct mem_pages *out, const struct mem_file *file, size_t index, uint64_t limit,
         struct random *random)
{
    uint64_t end = ((uint64_t)index + 1) * MEM_PAGE;
    uint64_t at;

    for (at = (uint64_t)index * MEM_PAGE; at < end && at < limit; at += MEM_SECTOR) {
        uint8_t sector[MEM_SECTOR];
        size_t n;

        if (random_coin(random))
            continue;
        n = mem_pages_read(&file->live, at, sector, sizeof(sector));
        if (n > limit - at)
            n = (size_t)(limit - at);
        mem_pages_write(out, at, sector, n);
    }
}

/* A size on the way from `from` to `to`. */
static uint64_t
random_size(uint64_t from, uint64_t to, struct random *random)
{
    switch (random_below(random, 4)) {
    case 0:
        return from;
    case 1:
        return from + random_below(random, to - from + 1);
    default:
        return to;
    }
}

static void
crash_half(struct mem_pages *out, const struct mem_file *file, struct random *random)
{
    uint64_t limit;
    size_t i;

    if (file->floor < file->durable.size && random_coin(random)) {
        /* The truncation is undone, and what was written beyond it with it. */
        mem_pages_copy(out, &file->durable);
        limit = file->floor;
    } else {
        copy_cut(out, file);
        limit = random_size(out->size, file->live.size, random);
        mem_pages_resize(out, limit);
    }
    for (i = 0; i < file->live.count; i++)
        if (page_unsynced(file, i))
            mix_page(out, file, i, limit, random);
}

static void
crash_random(struct mem_pages *out, const struct mem_file *file, struct random *random)
{
    switch (random_below(random, 4)) {
    case 0:
        mem_pages_copy(out, &file->durable);
        break;
    case 1:
        crash_all(out, file);
        break;
    default:
        crash_half(out, file, random);
        break;
    }
}

struct mem_file *
mem_file_crash(const struct mem_file *file, enum mem_data data, struct random *random)
{
    struct mem_file *image = mem_file_new();

    if (data == MEM_DATA_ALL)
        crash_all(&image->durable, file);
    else if (data == MEM_DATA_NONE)
        mem_pages_copy(&image->durable, &file->durable);
    else
        crash_random(&image->durable, file, random);
    mem_pages_copy(&image->live, &image->durable);
    image->floor = image->live.size;
    return image;
}

struct mem_file *
mem_file_clone(const struct mem_file *file)
{
    struct mem_file *clone = mem_file_new();

    mem_pages_copy(&clone->live, &file->live);
    mem_pages_copy(&clone->durable, &file->durable);
    clone->lost = mem_need(file->lost_count * sizeof(bool));
    clone->lost_count = file->lost_count;
    if (file->lost_count > 0)
        memcpy(clone->lost, file->lost, file->lost_count * sizeof(bool));
    clone->floor = file->floor;
    return clone;
}
