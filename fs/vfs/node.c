/* node.c - see node.h. */
#include "vfs/node.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "vfs/node_table.h"

#define BUCKETS_AT_FIRST 1024u
#define PICK_LOOKS       8u /* nodes looked at for each one asked for */

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

        table_list_remove(node);
        nodes->dispose(nodes->context, node);
        free(node);
    }
    pthread_mutex_destroy(&nodes->mutex);
    table_free_spares(nodes);
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
    node = table_make_node(nodes, seed, NULL);
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
    link = table_find_link(nodes, parent, name);
    if (link)
        node = table_touch(nodes, link->node);
    unlock(nodes);
    return node;
}

struct node *
nodes_find_ino(struct nodes *nodes, const struct view *view, uint64_t ino)
{
    struct node *node;

    lock(nodes);
    node = table_find_ino(nodes, view, ino);
    if (node)
        table_touch(nodes, node);
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
    node = table_find_ino(nodes, view, ino);
    link = node ? table_find_link(nodes, parent, name) : NULL;
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
    node = table_find_ino(nodes, seed->view, seed->ino);
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
    link = table_find_link(nodes, parent, name);
    if (link && link->node->ino == seed->ino &&
        link->node->directory == seed->directory) {
        node = table_touch(nodes, link->node);
        if (seed->shared)
            node->shared = true;
        goto out;
    }
    fresh = table_make_link(nodes, room ? &room->link : NULL, parent, name);
    if (!fresh)
        goto out;
    if (link)
        table_drop(nodes, table_take_link(nodes, link), 1, &gone);
    node = find_shared(nodes, seed);
    node = node ? table_touch(nodes, node)
                : table_make_node(nodes, seed, room ? &room->node : NULL);
    if (node)
        table_add_link(nodes, node, fresh);
    else
        free(fresh);
out:
    unlock(nodes);
    table_dispose(nodes, gone);
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
    table_drop(nodes, node, count, &gone);
    unlock(nodes);
    table_dispose(nodes, gone);
}

/* ---- memory set aside ---- */

int
node_room_for_entry(struct node_room *room, struct lsmkv_slice name)
{
    *room = (struct node_room){.node = calloc(1, sizeof(*room->node)),
                               .link = table_reserve_link(name.size)};
    if (room->node && room->link)
        return 0;
    node_room_free(room);
    return -ENOMEM;
}

int
node_room_for_rename(struct node_room *room, struct lsmkv_slice name,
                     struct lsmkv_slice new_name)
{
    *room = (struct node_room){.link = table_reserve_link(new_name.size),
                               .old_link = table_reserve_link(name.size)};
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
    struct link *link;

    lock(nodes);
    link = table_make_link(nodes, NULL, parent, name);
    if (link)
        table_add_link(nodes, node, link);
    unlock(nodes);
    return link ? 0 : -ENOMEM;
}

void
node_unlink(struct nodes *nodes, const struct node *parent, struct lsmkv_slice name)
{
    struct node *gone = NULL;
    struct link *link;

    lock(nodes);
    link = table_find_link(nodes, parent, name);
    if (link)
        table_drop(nodes, table_take_link(nodes, link), 1, &gone);
    unlock(nodes);
    table_dispose(nodes, gone);
}

void
node_rename(struct nodes *nodes, const struct node *parent, struct lsmkv_slice name,
            struct node *new_parent, struct lsmkv_slice new_name, struct node_room *room)
{
    struct link *link, *replaced;
    struct node *gone = NULL;

    lock(nodes);
    link = table_find_link(nodes, parent, name);
    replaced = table_find_link(nodes, new_parent, new_name);
    if (replaced)
        table_drop(nodes, table_take_link(nodes, replaced), 1, &gone);
    if (link) {
        table_add_link(nodes, link->node,
                       table_make_link(nodes, &room->link, new_parent, new_name));
        table_drop(nodes, table_take_link(nodes, link), 1, &gone);
    }
    unlock(nodes);
    table_dispose(nodes, gone);
}

void
node_exchange(struct nodes *nodes, struct node *parent_a, struct lsmkv_slice name_a,
              struct node *parent_b, struct lsmkv_slice name_b, struct node_room *room)
{
    struct node *gone = NULL, *node_a, *node_b;
    struct link *link_a, *link_b;

    lock(nodes);
    link_a = table_find_link(nodes, parent_a, name_a);
    link_b = table_find_link(nodes, parent_b, name_b);
    node_a = link_a ? link_a->node : NULL;
    node_b = link_b ? link_b->node : NULL;
    /* The new links first: they keep the parents alive while the old ones go. */
    if (node_a)
        table_add_link(nodes, node_a,
                       table_make_link(nodes, &room->link, parent_b, name_b));
    if (node_b)
        table_add_link(nodes, node_b,
                       table_make_link(nodes, &room->old_link, parent_a, name_a));
    if (link_a)
        table_drop(nodes, table_take_link(nodes, link_a), 1, &gone);
    if (link_b)
        table_drop(nodes, table_take_link(nodes, link_b), 1, &gone);
    unlock(nodes);
    table_dispose(nodes, gone);
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

/* ---- all of them ---- */

static int
by_depth(const void *a, const void *b)
{
    const struct node_known *first = a, *second = b;

    return (first->depth > second->depth) - (first->depth < second->depth);
}

static unsigned
depth_of(const struct node *node)
{
    unsigned depth = 0;

    for (; !node->top && node->links; node = node->links->parent)
        depth++;
    return depth;
}

int
nodes_all(struct nodes *nodes, const struct view *view, struct node_known **out,
          size_t *count)
{
    struct node_known *all;
    size_t found = 0;

    lock(nodes);
    all = malloc((nodes->count + 1) * sizeof(*all));
    for (struct node *node = nodes->ends.newer; all && node != &nodes->ends;
         node = node->newer) {
        if (node->view != view ||
            (node->realm != REALM_TREE && node->realm != REALM_KEYS))
            continue;
        node->refs++;
        all[found++] = (struct node_known){node, depth_of(node), node->opens > 0};
    }
    unlock(nodes);
    if (!all)
        return -ENOMEM;
    qsort(all, found, sizeof(*all), by_depth);
    *out = all;
    *count = found;
    return 0;
}

void
node_lose(struct nodes *nodes, struct node *node, uint64_t ino, struct link **lost)
{
    lock(nodes);
    while (node->links) {
        struct link *link = node->links;

        table_unhook_link(nodes, link);
        link->next = *lost;
        *lost = link;
    }
    table_take_ino(nodes, node);
    node->ino = ino;
    table_add_ino(nodes, node);
    unlock(nodes);
}

bool
nodes_next_lost(struct link **lost, struct node **parent, char name[256])
{
    struct link *link = *lost;

    if (!link)
        return false;
    assert(link->size < 256);
    *lost = link->next;
    *parent = link->parent;
    memcpy(name, link->name, link->size);
    name[link->size] = '\0';
    free(link);
    return true;
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
        table_list_remove(node);
        table_list_add(nodes, node);
        link = node->links;
        if (node->directory || node->opens > 0 || !link ||
            link->size >= sizeof(victims->name))
            continue;
        link->parent->refs++;
        victims[found].node = node;
        victims[found].parent = link->parent;
        memcpy(victims[found].name, link->name, link->size);
        victims[found++].name[link->size] = '\0';
    }
    unlock(nodes);
    return found;
}
