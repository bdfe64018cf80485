/* empty.c - the iterator over nothing, which may carry the error that explains it. */
#include <stdlib.h>

#include "iter/merge.h"

static void
stay(struct iterator *it)
{
    (void)it;
}

static void
stay_at(struct iterator *it, struct lsmkv_slice internal)
{
    (void)it;
    (void)internal;
}

static void
stay_behind(struct iterator *it, uint64_t sequence, struct lsmkv_slice bound)
{
    (void)it;
    (void)sequence;
    (void)bound;
}

static void
release(struct iterator *it)
{
    free(it);
}

static const struct iterator_ops empty_ops = {
    .seek = stay_at,
    .seek_before = stay_at,
    .first = stay,
    .last = stay,
    .next = stay,
    .prev = stay,
    .skip_older = stay_behind,
    .free = stay,
};

static const struct iterator_ops failed_ops = {
    .seek = stay_at,
    .seek_before = stay_at,
    .first = stay,
    .last = stay,
    .next = stay,
    .prev = stay,
    .skip_older = stay_behind,
    .free = release,
};

/* Shared by all threads: nothing ever writes to it. */
static struct iterator empty = {.ops = &empty_ops};

struct iterator *
iterator_new_empty(int status)
{
    struct iterator *it;

    if (status == 0)
        return &empty;
    it = malloc(sizeof(*it));
    if (it != NULL)
        *it = (struct iterator){.ops = &failed_ops, .status = status};
    return it;
}
