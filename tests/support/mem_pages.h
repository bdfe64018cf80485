/*
 * mem_pages.h - the bytes of a file in memory: an array of shared pages, copied when written.
 *
 * Two arrays that hold the same page hold the same bytes, so what is not synced is what
 * differs by pointer, and an image of a whole store costs a count a page.  A NULL page is
 * zeros.  Pages may be shared by envs of different threads: their counts are atomic.
 * Without memory these functions abort: they serve tests only.
 */
#ifndef SUPPORT_MEM_PAGES_H
#define SUPPORT_MEM_PAGES_H

#include <stddef.h>
#include <stdint.h>

#define MEM_PAGE   4096u
#define MEM_SECTOR 512u

struct mem_page;

/* Zeroed is an empty file.  Bytes of the last page behind `size` are zero. */
struct mem_pages {
    struct mem_page **page;
    size_t count; /* pages that reach to size */
    size_t capacity;
    uint64_t size; /* bytes */
};

void mem_pages_fini(struct mem_pages *pages);
/* Empty `to` first shares all pages of `from`. */
void mem_pages_copy(struct mem_pages *to, const struct mem_pages *from);
void mem_pages_resize(struct mem_pages *pages, uint64_t size);
size_t mem_pages_read(const struct mem_pages *pages, uint64_t offset, void *buffer,
                      size_t size);
/* Grows the file if it must. */
void mem_pages_write(struct mem_pages *pages, uint64_t offset, const void *data,
                     size_t size);
/* NULL beyond the end too. */
struct mem_page *mem_pages_at(const struct mem_pages *pages, size_t index);
/* Makes page `index`, which must be within the size, the one of `from`. */
void mem_pages_share(struct mem_pages *pages, size_t index, const struct mem_pages *from);

/* Of size and bytes. */
uint64_t mem_pages_hash(const struct mem_pages *pages);

/* Aborts instead of returning NULL; zeroed. */
void *mem_need(size_t size);

#endif
