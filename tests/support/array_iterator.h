/*
 * array_iterator.h - entries in a sorted array, and an iterator over them that is written to
 * be obviously right, strict about lifetimes, and able to fail.
 */
#ifndef SUPPORT_ARRAY_ITERATOR_H
#define SUPPORT_ARRAY_ITERATOR_H

#include "iter/iterator.h"

struct array_entry {
    struct lsmkv_slice key; /* internal; malloced, as is the payload */
    struct lsmkv_slice payload;
};

/* Zero it but for the order to begin. */
struct entry_array {
    enum lsmkv_order order;
    struct array_entry *entries;
    size_t count, capacity;
};

void entry_array_fini(struct entry_array *array);
/* Appends a copy. */
void entry_array_add(struct entry_array *array, struct lsmkv_slice user_key,
                     uint64_t sequence, uint8_t kind, struct lsmkv_slice payload);
void entry_array_add_entry(struct entry_array *array, const struct array_entry *entry);
void entry_array_sort(struct entry_array *array);
/* The index of the first entry at or after an internal key. */
size_t entry_array_ceiling(const struct entry_array *array, struct lsmkv_slice internal);

/* What an iterator did, and how it is to fail. */
struct array_control {
    size_t steps; /* next and prev; of skip_older one, however far */
    size_t seeks; /* the other moves */
    size_t freed;
    int failure; /* negative: the iterator fails with it when it comes on entry fail_at */
    size_t fail_at;
};

/* Borrows both; `control` may be NULL.  The array must be sorted.  A key or payload that it
 * showed is freed as soon as it moves, so that a sanitizer sees who looks at it later. */
struct iterator *array_iterator_new(const struct entry_array *array,
                                    struct array_control *control);

#endif
