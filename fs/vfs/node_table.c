/* node_table.c - see node_table.h. */
#include "vfs/node_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- memory ---- */

#define SPARES_MAX 8192u /* some MiB */

/* Not where a use after the end is to be found. */
#if defined(__SANITIZE_ADDRESS__)
#define KEEPS_SPARES 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KEEPS_SPARES 0
#endif
#endif
#ifndef KEEPS_SPARES
#define KEEPS_SPARES 1
#endif

#define SHORT_NAME 24u /* links for names up to that are of one size */

static void *
spare_take(struct spares *spares, size_t size)
{
    void *block = spares->first;

    if (!block)
        return malloc(size);
    memcpy(&spares->first, block, sizeof(spares->first));
    spares->count--;
    return block;
}

static void
spare_give(struct spares *spares, void *block)
{
    if (!KEEPS_SPARES || spares->count == SPARES_MAX) {
        free(block);
        return;
    }
    memcpy(block, &spares->first, sizeof(spares->first));
    spares->first = block;
    spares->count++;
}

static void
free_spares(struct spares *spares)
{
    while (spares->first)
        free(spare_take(spares, 0));
}

void
table_free_spares(struct nodes *nodes)
{
    free_spares(&nodes->spare_nodes);
    free_spares(&nodes->spare_links);
}

/* ---- finding ---- */

static uint64_t
mix(uint64_t x)
{
    x ^= x >> 32;
    x *= UINT64_C(0xd6e8feb86659fd93);
    x ^= x >> 32;
    return x;
}

static uint64_t
hash_name(const struct nodes *nodes, const struct node *parent, struct lsmkv_slice name)
{
    const uint8_t *bytes = name.data;
    uint64_t hash = mix(nodes->seed ^ (uint64_t)(uintptr_t)parent);
    size_t at = 0;

    for (; name.size - at >= 8; at += 8) {
        uint64_t word;

        memcpy(&word, bytes + at, 8);
        hash = mix(hash ^ word);
    }
    for (; at < name.size; at++)
        hash = (hash ^ bytes[at]) * UINT64_C(0x100000001b3);
    return mix(hash ^ name.size);
}

static uint64_t
hash_ino(const struct nodes *nodes, const struct view *view, uint64_t ino)
{
    return mix(nodes->seed ^ mix(ino) ^ view->id * UINT64_C(0x9e3779b97f4a7c15));
}

static struct link **
name_slot(struct nodes *nodes, const struct node *parent, struct lsmkv_slice name,
          uint64_t hash)
{
    struct link **slot = &nodes->names[hash & (nodes->names_buckets - 1)];

    while (*slot && ((*slot)->hash != hash || (*slot)->parent != parent ||
                     (*slot)->size != name.size ||
                     memcmp((*slot)->name, name.data, name.size) != 0))
        slot = &(*slot)->next_name;
    return slot;
}

struct link *
table_find_link(struct nodes *nodes, const struct node *parent, struct lsmkv_slice name)
{
    return *name_slot(nodes, parent, name, hash_name(nodes, parent, name));
}

struct node *
table_find_ino(struct nodes *nodes, const struct view *view, uint64_t ino)
{
    uint64_t hash = hash_ino(nodes, view, ino);
    struct node *node = nodes->inos[hash & (nodes->inos_buckets - 1)];

    while (node && (node->ino != ino || node->view->id != view->id))
        node = node->next_ino;
    return node;
}

/* A table that cannot grow gets longer chains, no more. */
static void
grow_names(struct nodes *nodes)
{
    size_t buckets = nodes->names_buckets * 2;
    struct link **table = calloc(buckets, sizeof(*table));

    if (!table)
        return;
    for (size_t i = 0; i < nodes->names_buckets; i++) {
        struct link *link = nodes->names[i], *next;

        for (; link; link = next) {
            next = link->next_name;
            link->next_name = table[link->hash & (buckets - 1)];
            table[link->hash & (buckets - 1)] = link;
        }
    }
    free(nodes->names);
    nodes->names = table;
    nodes->names_buckets = buckets;
}

static void
grow_inos(struct nodes *nodes)
{
    size_t buckets = nodes->inos_buckets * 2;
    struct node **table = calloc(buckets, sizeof(*table));

    if (!table)
        return;
    for (size_t i = 0; i < nodes->inos_buckets; i++) {
        struct node *node = nodes->inos[i], *next;

        for (; node; node = next) {
            uint64_t hash = hash_ino(nodes, node->view, node->ino);

            next = node->next_ino;
            node->next_ino = table[hash & (buckets - 1)];
            table[hash & (buckets - 1)] = node;
        }
    }
    free(nodes->inos);
    nodes->inos = table;
    nodes->inos_buckets = buckets;
}

void
table_list_remove(struct node *node)
{
    node->older->newer = node->newer;
    node->newer->older = node->older;
}

void
table_list_add(struct nodes *nodes, struct node *node)
{
    node->older = nodes->ends.older;
    node->newer = &nodes->ends;
    node->older->newer = node;
    nodes->ends.older = node;
}

struct node *
table_touch(struct nodes *nodes, struct node *node)
{
    node->refs++;
    table_list_remove(node);
    table_list_add(nodes, node);
    return node;
}

void
table_unhook_link(struct nodes *nodes, struct link *link)
{
    struct link **slot = &nodes->names[link->hash & (nodes->names_buckets - 1)];

    while (*slot != link)
        slot = &(*slot)->next_name;
    *slot = link->next_name;
    for (slot = &link->node->links; *slot != link; slot = &(*slot)->next)
        continue;
    *slot = link->next;
    nodes->names_count--;
}

struct node *
table_take_link(struct nodes *nodes, struct link *link)
{
    struct node *parent = link->parent;

    table_unhook_link(nodes, link);
    if (link->size <= SHORT_NAME)
        spare_give(&nodes->spare_links, link);
    else
        free(link);
    return parent;
}

struct link *
table_reserve_link(size_t size)
{
    return malloc(sizeof(struct link) + (size > SHORT_NAME ? size : SHORT_NAME));
}

struct link *
table_make_link(struct nodes *nodes, struct link **reserved, struct node *parent,
                struct lsmkv_slice name)
{
    struct link *link;

    if (reserved) {
        link = *reserved;
        *reserved = NULL;
    } else if (name.size <= SHORT_NAME) {
        link = spare_take(&nodes->spare_links, sizeof(*link) + SHORT_NAME);
    } else {
        link = table_reserve_link(name.size);
    }
    if (!link)
        return NULL;
    *link = (struct link){.parent = parent, .size = name.size};
    memcpy(link->name, name.data, name.size);
    return link;
}

void
table_add_link(struct nodes *nodes, struct node *node, struct link *link)
{
    struct lsmkv_slice name = {link->name, link->size};
    struct link **slot;

    link->node = node;
    link->hash = hash_name(nodes, link->parent, name);
    link->parent->refs++;
    link->next = node->links;
    node->links = link;
    slot = &nodes->names[link->hash & (nodes->names_buckets - 1)];
    link->next_name = *slot;
    *slot = link;
    if (++nodes->names_count > nodes->names_buckets)
        grow_names(nodes);
}

static struct node **
ino_slot(struct nodes *nodes, const struct view *view, uint64_t ino)
{
    return &nodes->inos[hash_ino(nodes, view, ino) & (nodes->inos_buckets - 1)];
}

void
table_add_ino(struct nodes *nodes, struct node *node)
{
    struct node **slot = ino_slot(nodes, node->view, node->ino);

    node->next_ino = *slot;
    *slot = node;
}

void
table_take_ino(struct nodes *nodes, struct node *node)
{
    struct node **slot = ino_slot(nodes, node->view, node->ino);

    while (*slot != node)
        slot = &(*slot)->next_ino;
    *slot = node->next_ino;
}

struct node *
table_make_node(struct nodes *nodes, const struct node_seed *seed, struct node **reserved)
{
    struct node *node =
        reserved ? *reserved : spare_take(&nodes->spare_nodes, sizeof(*node));

    if (reserved)
        *reserved = NULL;
    if (!node)
        return NULL;
    memset(node, 0, sizeof(*node));
    node->ino = seed->ino;
    node->generation = ++nodes->generation;
    node->view = seed->view;
    node->realm = seed->realm;
    node->directory = seed->directory;
    node->top = seed->top;
    node->shared = seed->shared;
    table_add_ino(nodes, node);
    table_list_add(nodes, node);
    node->refs = 1;
    if (++nodes->count > nodes->inos_buckets)
        grow_inos(nodes);
    return node;
}

void
table_drop(struct nodes *nodes, struct node *node, uint64_t count, struct node **gone)
{
    struct node *stack = NULL;

    assert(node->refs >= count);
    node->refs -= count;
    if (node->refs == 0) {
        table_list_remove(node);
        node->older = stack;
        stack = node;
    }
    while (stack) {
        node = stack;
        stack = node->older;
        table_take_ino(nodes, node);
        nodes->count--;
        nodes->gone++;
        while (node->links) {
            struct node *parent = table_take_link(nodes, node->links);

            if (--parent->refs == 0) {
                table_list_remove(parent);
                parent->older = stack;
                stack = parent;
            }
        }
        node->next_ino = *gone;
        *gone = node;
    }
}

void
table_dispose(struct nodes *nodes, struct node *gone)
{
    struct node *node, *next;

    if (!gone)
        return;
    for (node = gone; node; node = node->next_ino)
        nodes->dispose(nodes->context, node);
    pthread_mutex_lock(&nodes->mutex);
    for (node = gone; node; node = next) {
        next = node->next_ino;
        spare_give(&nodes->spare_nodes, node);
    }
    pthread_mutex_unlock(&nodes->mutex);
}
