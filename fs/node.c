/*
 * node.c - see node.h.
 *
 * Two hash tables: links by (parent, name), nodes by (view, number).  Both are chained through
 * the objects themselves and double when they hold more than they have buckets.  All nodes
 * stand in a list by when they were last asked for, from which nodes_pick takes.
 */
#include "node.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define BUCKETS_AT_FIRST 1024u
#define PICK_LOOKS       8u /* nodes looked at for each one asked for */

/* One name of one node. */
struct link {
    struct node *node;
    struct node *parent; /* holds a reference on it */
    struct link *next;   /* of the same node */
    struct link *next_name;
    uint64_t hash;
    size_t size;
    char name[];
};

struct nodes {
    pthread_mutex_t mutex;
    /* Constant. */
    uint64_t seed;
    void (*dispose)(void *context, struct node *node);
    void *context;
    /* Guarded by the mutex. */
    struct link **names;
    struct node **inos;
    size_t names_buckets, inos_buckets; /* powers of two */
    size_t names_count;
    _Atomic size_t count;
    _Atomic uint64_t gone;
    uint64_t generation;
    struct node ends; /* of the list: ends.newer is the oldest, ends.older the newest */
};

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

/* ---- the tables; the mutex is held ---- */

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

static struct link *
find_link(struct nodes *nodes, const struct node *parent, struct lsmkv_slice name)
{
    return *name_slot(nodes, parent, name, hash_name(nodes, parent, name));
}

static struct node *
find_ino(struct nodes *nodes, const struct view *view, uint64_t ino)
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

static void
list_remove(struct node *node)
{
    node->older->newer = node->newer;
    node->newer->older = node->older;
}

static void
list_add(struct nodes *nodes, struct node *node)
{
    node->older = nodes->ends.older;
    node->newer = &nodes->ends;
    node->older->newer = node;
    nodes->ends.older = node;
}

static struct node *
touched(struct nodes *nodes, struct node *node)
{
    node->refs++;
    list_remove(node);
    list_add(nodes, node);
    return node;
}

/* Takes `link` out of everything and frees it; the parent's reference is the caller's. */
static struct node *
take_link(struct nodes *nodes, struct link *link)
{
    struct node *parent = link->parent;
    struct link **slot = &nodes->names[link->hash & (nodes->names_buckets - 1)];

    while (*slot != link)
        slot = &(*slot)->next_name;
    *slot = link->next_name;
    for (slot = &link->node->links; *slot != link; slot = &(*slot)->next)
        continue;
    *slot = link->next;
    nodes->names_count--;
    free(link);
    return parent;
}

static struct link *
reserve_link(size_t size)
{
    return malloc(sizeof(struct link) + size);
}

/* Takes the one set aside, which is for a name of this size, or makes one. */
static struct link *
make_link(struct link **reserved, struct node *parent, struct lsmkv_slice name)
{
    struct link *link = reserved ? *reserved : reserve_link(name.size);

    if (reserved)
        *reserved = NULL;
    if (!link)
        return NULL;
    *link = (struct link){.parent = parent, .size = name.size};
    memcpy(link->name, name.data, name.size);
    return link;
}

static void
add_link(struct nodes *nodes, struct node *node, struct link *link)
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

/* Likewise. */
static struct node *
make_node(struct nodes *nodes, const struct node_seed *seed, struct node **reserved)
{
    struct node *node = reserved ? *reserved : calloc(1, sizeof(*node));
    struct node **slot;

    if (reserved)
        *reserved = NULL;
    if (!node)
        return NULL;
    node->ino = seed->ino;
    node->generation = ++nodes->generation;
    node->view = seed->view;
    node->realm = seed->realm;
    node->directory = seed->directory;
    node->top = seed->top;
    node->shared = seed->shared;
    slot =
        &nodes->inos[hash_ino(nodes, seed->view, seed->ino) & (nodes->inos_buckets - 1)];
    node->next_ino = *slot;
    *slot = node;
    list_add(nodes, node);
    node->refs = 1;
    if (++nodes->count > nodes->inos_buckets)
        grow_inos(nodes);
    return node;
}

/* Drops references.  Nodes that have none left are taken out and chained to `*gone` through
 * next_ino; their parents may follow them. */
static void
drop(struct nodes *nodes, struct node *node, uint64_t count, struct node **gone)
{
    struct node *stack = NULL;

    assert(node->refs >= count);
    node->refs -= count;
    if (node->refs == 0) {
        list_remove(node);
        node->older = stack;
        stack = node;
    }
    while (stack) {
        struct node **slot;

        node = stack;
        stack = node->older;
        slot = &nodes->inos[hash_ino(nodes, node->view, node->ino) &
                            (nodes->inos_buckets - 1)];
        while (*slot != node)
            slot = &(*slot)->next_ino;
        *slot = node->next_ino;
        nodes->count--;
        nodes->gone++;
        while (node->links) {
            struct node *parent = take_link(nodes, node->links);

            if (--parent->refs == 0) {
                list_remove(parent);
                parent->older = stack;
                stack = parent;
            }
        }
        node->next_ino = *gone;
        *gone = node;
    }
}

/* Without the mutex. */
static void
dispose(struct nodes *nodes, struct node *gone)
{
    struct node *next;

    for (; gone; gone = next) {
        next = gone->next_ino;
        nodes->dispose(nodes->context, gone);
        free(gone);
    }
}

static void
lock(struct nodes *nodes)
{
    pthread_mutex_lock(&nodes->mutex);
}

static void
unlock(struct nodes *nodes)
{
    pthread_mutex_unlock(&nodes->mutex);
}

/* ---- life ---- */

struct nodes *
nodes_new(void (*dispose_one)(void *context, struct node *node), void *context)
{
    struct nodes *nodes = calloc(1, sizeof(*nodes));

    if (!nodes)
        return NULL;
    nodes->dispose = dispose_one;
    nodes->context = context;
    nodes->names_buckets = nodes->inos_buckets = BUCKETS_AT_FIRST;
    nodes->names = calloc(BUCKETS_AT_FIRST, sizeof(struct link *));
    nodes->inos = calloc(BUCKETS_AT_FIRST, sizeof(struct node *));
    nodes->ends.older = nodes->ends.newer = &nodes->ends;
    if (getrandom(&nodes->seed, sizeof(nodes->seed), GRND_NONBLOCK) < 0)
        nodes->seed = (uint64_t)(uintptr_t)nodes; /* guards against crafted names only */
    if (!nodes->names || !nodes->inos) {
        free(nodes->names);
        free(nodes->inos);
        free(nodes);
        return NULL;
    }
    pthread_mutex_init(&nodes->mutex, NULL);
    return nodes;
}

void
nodes_free(struct nodes *nodes)
{
    if (!nodes)
        return;
    for (size_t i = 0; i < nodes->names_buckets; i++) {
        struct link *link = nodes->names[i], *next;

        for (; link; link = next) {
            next = link->next_name;
            free(link);
        }
    }
    while (nodes->ends.newer != &nodes->ends) {
        struct node *node = nodes->ends.newer;

        list_remove(node);
        nodes->dispose(nodes->context, node);
        free(node);
    }
    pthread_mutex_destroy(&nodes->mutex);
    free(nodes->names);
    free(nodes->inos);
    free(nodes);
}

size_t
nodes_count(const struct nodes *nodes)
{
    return nodes->count;
}

uint64_t
nodes_gone(const struct nodes *nodes)
{
    return nodes->gone;
}

struct node *
nodes_add(struct nodes *nodes, const struct node_seed *seed)
{
    struct node *node;

    lock(nodes);
    node = make_node(nodes, seed, NULL);
    unlock(nodes);
    return node;
}

/* ---- finding ---- */

struct node *
nodes_find(struct nodes *nodes, const struct node *parent, struct lsmkv_slice name)
{
    struct link *link;
    struct node *node = NULL;

    lock(nodes);
    link = find_link(nodes, parent, name);
    if (link)
        node = touched(nodes, link->node);
    unlock(nodes);
    return node;
}

struct node *
nodes_find_ino(struct nodes *nodes, const struct view *view, uint64_t ino)
{
    struct node *node;

    lock(nodes);
    node = find_ino(nodes, view, ino);
    if (node)
        touched(nodes, node);
    unlock(nodes);
    return node;
}

bool
nodes_ino_taken(struct nodes *nodes, const struct view *view, uint64_t ino,
                const struct node *parent, struct lsmkv_slice name)
{
    struct node *node;
    struct link *link;
    bool taken;

    lock(nodes);
    node = find_ino(nodes, view, ino);
    link = node ? find_link(nodes, parent, name) : NULL;
    taken = node && (!link || link->node != node);
    unlock(nodes);
    return taken;
}

/* The node that the seed is of, if it has one already under another name. */
static struct node *
find_shared(struct nodes *nodes, const struct node_seed *seed)
{
    struct node *node;

    if (!seed->shared)
        return NULL;
    node = find_ino(nodes, seed->view, seed->ino);
    if (!node || node->directory || node->realm != seed->realm)
        return NULL;
    node->shared = true;
    return node;
}

struct node *
nodes_enter(struct nodes *nodes, struct node *parent, struct lsmkv_slice name,
            const struct node_seed *seed, struct node_room *room)
{
    struct link *link, *fresh = NULL;
    struct node *node = NULL, *gone = NULL;

    lock(nodes);
    link = find_link(nodes, parent, name);
    if (link && link->node->ino == seed->ino &&
        link->node->directory == seed->directory) {
        node = touched(nodes, link->node);
        if (seed->shared)
            node->shared = true;
        goto out;
    }
    fresh = make_link(room ? &room->link : NULL, parent, name);
    if (!fresh)
        goto out;
    if (link)
        drop(nodes, take_link(nodes, link), 1, &gone);
    node = find_shared(nodes, seed);
    node =
        node ? touched(nodes, node) : make_node(nodes, seed, room ? &room->node : NULL);
    if (node)
        add_link(nodes, node, fresh);
    else
        free(fresh);
out:
    unlock(nodes);
    dispose(nodes, gone);
    return node;
}

void
node_ref(struct nodes *nodes, struct node *node)
{
    lock(nodes);
    node->refs++;
    unlock(nodes);
}

void
node_unref(struct nodes *nodes, struct node *node, uint64_t count)
{
    struct node *gone = NULL;

    lock(nodes);
    drop(nodes, node, count, &gone);
    unlock(nodes);
    dispose(nodes, gone);
}

/* ---- memory set aside ---- */

int
node_room_for_entry(struct node_room *room, struct lsmkv_slice name)
{
    *room = (struct node_room){.node = calloc(1, sizeof(*room->node)),
                               .link = reserve_link(name.size)};
    if (room->node && room->link)
        return 0;
    node_room_free(room);
    return -ENOMEM;
}

int
node_room_for_rename(struct node_room *room, struct lsmkv_slice name,
                     struct lsmkv_slice new_name)
{
    *room = (struct node_room){.link = reserve_link(new_name.size),
                               .old_link = reserve_link(name.size)};
    if (room->link && room->old_link)
        return 0;
    node_room_free(room);
    return -ENOMEM;
}

void
node_room_free(struct node_room *room)
{
    free(room->node);
    free(room->link);
    free(room->old_link);
    *room = (struct node_room){NULL, NULL, NULL};
}

/* ---- names ---- */

int
node_name(struct nodes *nodes, struct node *node, struct node *parent,
          struct lsmkv_slice name)
{
    struct link *link = make_link(NULL, parent, name);

    if (!link)
        return -ENOMEM;
    lock(nodes);
    add_link(nodes, node, link);
    unlock(nodes);
    return 0;
}

void
node_unlink(struct nodes *nodes, const struct node *parent, struct lsmkv_slice name)
{
    struct node *gone = NULL;
    struct link *link;

    lock(nodes);
    link = find_link(nodes, parent, name);
    if (link)
        drop(nodes, take_link(nodes, link), 1, &gone);
    unlock(nodes);
    dispose(nodes, gone);
}

void
node_rename(struct nodes *nodes, const struct node *parent, struct lsmkv_slice name,
            struct node *new_parent, struct lsmkv_slice new_name, struct node_room *room)
{
    struct link *link, *replaced;
    struct node *gone = NULL;

    lock(nodes);
    link = find_link(nodes, parent, name);
    replaced = find_link(nodes, new_parent, new_name);
    if (replaced)
        drop(nodes, take_link(nodes, replaced), 1, &gone);
    if (link) {
        add_link(nodes, link->node, make_link(&room->link, new_parent, new_name));
        drop(nodes, take_link(nodes, link), 1, &gone);
    }
    unlock(nodes);
    dispose(nodes, gone);
}

void
node_exchange(struct nodes *nodes, struct node *parent_a, struct lsmkv_slice name_a,
              struct node *parent_b, struct lsmkv_slice name_b, struct node_room *room)
{
    struct node *gone = NULL, *node_a, *node_b;
    struct link *link_a, *link_b;

    lock(nodes);
    link_a = find_link(nodes, parent_a, name_a);
    link_b = find_link(nodes, parent_b, name_b);
    node_a = link_a ? link_a->node : NULL;
    node_b = link_b ? link_b->node : NULL;
    /* The new links first: they keep the parents alive while the old ones go. */
    if (node_a)
        add_link(nodes, node_a, make_link(&room->link, parent_b, name_b));
    if (node_b)
        add_link(nodes, node_b, make_link(&room->old_link, parent_a, name_a));
    if (link_a)
        drop(nodes, take_link(nodes, link_a), 1, &gone);
    if (link_b)
        drop(nodes, take_link(nodes, link_b), 1, &gone);
    unlock(nodes);
    dispose(nodes, gone);
}

int
node_path(struct nodes *nodes, const struct node *node, void *buffer,
          struct lsmkv_slice *path)
{
    char *end = (char *)buffer + LSMKV_KEY_MAX, *at = end;
    int result = 0;

    lock(nodes);
    for (; !node->top; node = node->links->parent) {
        const struct link *link = node->links;

        if (!link) {
            result = -ENOENT;
            break;
        }
        if ((size_t)(at - (char *)buffer) < link->size + 1) {
            result = -ENAMETOOLONG;
            break;
        }
        if (at != end)
            *--at = '/';
        at -= link->size;
        memcpy(at, link->name, link->size);
    }
    unlock(nodes);
    if (result == 0)
        *path = lsmkv_bytes(at, (size_t)(end - at));
    return result;
}

struct node *
node_parent(struct nodes *nodes, const struct node *node)
{
    struct node *parent;

    lock(nodes);
    parent = node->links ? node->links->parent : NULL;
    if (parent)
        parent->refs++;
    unlock(nodes);
    return parent;
}

bool
node_is_below(struct nodes *nodes, const struct node *node, const struct node *ancestor)
{
    lock(nodes);
    while (node != ancestor && node->links)
        node = node->links->parent;
    unlock(nodes);
    return node == ancestor;
}

size_t
nodes_pick(struct nodes *nodes, struct node_victim *victims, size_t max)
{
    size_t found = 0;

    lock(nodes);
    for (size_t looks = max * PICK_LOOKS; looks > 0 && found < max; looks--) {
        struct node *node = nodes->ends.newer;
        struct link *link;

        if (node == &nodes->ends)
            break;
        list_remove(node);
        list_add(nodes, node);
        link = node->links;
        if (node->directory || node->opens > 0 || !link ||
            link->size >= sizeof(victims->name))
            continue;
        link->parent->refs++;
        victims[found].parent = link->parent;
        memcpy(victims[found].name, link->name, link->size);
        victims[found++].name[link->size] = '\0';
    }
    unlock(nodes);
    return found;
}
