/*
 * seen.h - a map from 64-bit hashes to pointers: what a sweep has already looked at.
 *
 * Two things with the same hash count as one; among a million that happens once in 37 million
 * runs.  Without memory these functions abort.
 */
#ifndef SUPPORT_SEEN_H
#define SUPPORT_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed is empty. */
struct seen {
    struct seen_item {
        uint64_t hash;
        bool used;
        void *value;
    } * items;
    size_t count, capacity;
};

/* The value, or NULL. */
void *seen_find(const struct seen *seen, uint64_t hash);
/* False, and nothing changed, if it is there. */
bool seen_add(struct seen *seen, uint64_t hash, void *value);
/* Values are given to `release` if that is not NULL. */
void seen_fini(struct seen *seen, void (*release)(void *value));

#endif
