/* mem_pages.c - copy-on-write pages. */
#include "support/mem_pages.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct mem_page {
    atomic_uint references;
    uint8_t data[MEM_PAGE];
};

void *
mem_need(size_t size)
{
    void *memory = calloc(1, size == 0 ? 1 : size);

    if (memory == NULL)
        abort();
    return memory;
}

static struct mem_page *
page_ref(struct mem_page *page)
{
    if (page != NULL)
        atomic_fetch_add(&page->references, 1);
    return page;
}

static void
page_unref(struct mem_page *page)
{
    if (page != NULL && atomic_fetch_sub(&page->references, 1) == 1)
        free(page);
}

/* The page at `index`, for writing: nobody else has it. */
static struct mem_page *
page_own(struct mem_pages *pages, size_t index)
{
    struct mem_page *old = pages->page[index];
    struct mem_page *own;

    if (old != NULL && atomic_load(&old->references) == 1)
        return old;
    own = mem_need(sizeof(*own));
    atomic_init(&own->references, 1);
    if (old != NULL)
        memcpy(own->data, old->data, MEM_PAGE);
    page_unref(old);
    pages->page[index] = own;
    return own;
}

void
mem_pages_fini(struct mem_pages *pages)
{
    size_t i;

    for (i = 0; i < pages->count; i++)
        page_unref(pages->page[i]);
    free(pages->page);
    *pages = (struct mem_pages){0};
}

void
mem_pages_copy(struct mem_pages *to, const struct mem_pages *from)
{
    size_t i;

    to->page = mem_need(from->count * sizeof(struct mem_page *));
    to->count = to->capacity = from->count;
    to->size = from->size;
    for (i = 0; i < from->count; i++)
        to->page[i] = page_ref(from->page[i]);
}

static void
reserve(struct mem_pages *pages, size_t count)
{
    size_t capacity = pages->capacity * 2 > count ? pages->capacity * 2 : count;
    struct mem_page **page;

    if (count <= pages->capacity)
        return;
    page = mem_need(capacity * sizeof(struct mem_page *));
    if (pages->count > 0)
        memcpy(page, pages->page, pages->count * sizeof(struct mem_page *));
    free(pages->page);
    pages->page = page;
    pages->capacity = capacity;
}

static void
zero_tail(struct mem_pages *pages)
{
    size_t used = pages->size % MEM_PAGE;

    if (used > 0 && pages->page[pages->count - 1] != NULL)
        memset(page_own(pages, pages->count - 1)->data + used, 0, MEM_PAGE - used);
}

void
mem_pages_resize(struct mem_pages *pages, uint64_t size)
{
    size_t count = (size_t)((size + MEM_PAGE - 1) / MEM_PAGE);
    size_t i;

    reserve(pages, count);
    for (i = pages->count; i < count; i++)
        pages->page[i] = NULL;
    for (i = count; i < pages->count; i++)
        page_unref(pages->page[i]);
    pages->count = count;
    if (size < pages->size) {
        pages->size = size;
        zero_tail(pages);
    }
    pages->size = size;
}

static size_t
piece(uint64_t offset, size_t size)
{
    size_t room = MEM_PAGE - (size_t)(offset % MEM_PAGE);

    return size < room ? size : room;
}

size_t
mem_pages_read(const struct mem_pages *pages, uint64_t offset, void *buffer, size_t size)
{
    uint8_t *out = buffer;
    size_t done = 0;

    if (offset >= pages->size)
        return 0;
    if (size > pages->size - offset)
        size = (size_t)(pages->size - offset);
    while (done < size) {
        uint64_t at = offset + done;
        size_t n = piece(at, size - done);
        const struct mem_page *page = pages->page[at / MEM_PAGE];

        if (page == NULL)
            memset(out + done, 0, n);
        else
            memcpy(out + done, page->data + at % MEM_PAGE, n);
        done += n;
    }
    return size;
}

void
mem_pages_write(struct mem_pages *pages, uint64_t offset, const void *data, size_t size)
{
    const uint8_t *in = data;
    size_t done = 0;

    if (size > 0 && offset + size > pages->size)
        mem_pages_resize(pages, offset + size);
    while (done < size) {
        uint64_t at = offset + done;
        size_t n = piece(at, size - done);

        memcpy(page_own(pages, at / MEM_PAGE)->data + at % MEM_PAGE, in + done, n);
        done += n;
    }
}

struct mem_page *
mem_pages_at(const struct mem_pages *pages, size_t index)
{
    return index < pages->count ? pages->page[index] : NULL;
}

void
mem_pages_share(struct mem_pages *pages, size_t index, const struct mem_pages *from)
{
    struct mem_page *page = page_ref(mem_pages_at(from, index));

    page_unref(pages->page[index]);
    pages->page[index] = page;
    if (index == pages->count - 1)
        zero_tail(pages);
}

uint64_t
mem_pages_hash(const struct mem_pages *pages)
{
    static const struct mem_page zeros;
    uint64_t hash = pages->size;

    for (size_t i = 0; i < pages->count; i++) {
        const struct mem_page *page = pages->page[i] != NULL ? pages->page[i] : &zeros;

        hash = XXH3_64bits_withSeed(page->data, MEM_PAGE, hash);
    }
    return hash;
}
