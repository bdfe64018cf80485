/*
 * skiplist.c - a skip list whose search seldom looks at keys.
 *
 * Keys are paths: neighbours share long prefixes, and a comparison from the first byte on
 * would read, from memory that is in no cache, mostly what it knows already.  So the search
 * keeps `shared`, how many bytes the key sought has in common with the node it stands on, and
 * each node keeps two facts of its making, which never change:
 *
 *     skip   the bytes it had in common with its predecessor P on its highest level
 *     rank   the eight bytes behind them, as a number that sorts as the keys do
 *
 * Standing on x and looking at its successor n, for a key K > x:
 *
 *     skip > shared    n agrees with x where x and K part, so n < K: go on
 *     skip <= shared   all three agree on the first `skip` bytes, so n's rank against K's
 *                      eight bytes there decides; only a tie has to read n's key
 *
 * Both hold because P <= x < n, whatever was inserted since: between P and n every key has
 * at least `skip` bytes in common with n.  So the facts may be old, but never wrong, and
 * readers use them without a lock.
 *
 * S1  A node is complete before the release store that links it; its key, payload, skip and
 *     rank never change.  Readers load links with acquire.
 * S2  Only the writer stores links and height.  Levels at or above the height are empty, and
 *     the hint's path is at head there.
 */
#include "memtable/skiplist.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* A key sought. */
struct target {
    enum lsmkv_order order;
    uint32_t size;
    const uint8_t *data; /* user key */
    uint64_t trailer;
};

/* ---- ranks ---- */

/* Each byte equal to '/' becomes 0, each below it one more: path order.  (Eight bytes at once;
 * no byte carries into the next.) */
static uint64_t
rank_as_path(uint64_t bytes)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t highs = ones << 7;
    uint64_t from_slash = bytes ^ (ones * '/');
    uint64_t below = ~((bytes | highs) - ones * '/') & ~bytes & highs;
    uint64_t other = (((from_slash & ~highs) + ~highs) | from_slash) & highs;

    return (bytes + (below >> 7)) & ((other >> 7) * 0xff);
}

static uint64_t
rank_of(enum lsmkv_order order, uint64_t bytes)
{
    bytes = __builtin_bswap64(bytes);
    return order == LSMKV_ORDER_PATH ? rank_as_path(bytes) : bytes;
}

/* Up to eight bytes of a key from `offset` on; where the key has ended, the lowest rank.  So
 * an end ties with the lowest byte, and a tie says nothing. */
static uint64_t
rank_at(enum lsmkv_order order, const uint8_t *key, uint32_t size, uint32_t offset)
{
    uint32_t left = size - offset;
    uint64_t bytes = 0;

    if (left >= 8)
        return rank_of(order, get_u64(key + offset));
    if (left == 0)
        return 0;
    memcpy(&bytes, key + offset, left);
    return rank_of(order, bytes) & ~(UINT64_MAX >> (8 * left));
}

static uint32_t
smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* How many of the first `size` bytes two keys have in common; `from` are known to be. */
static uint32_t
common(const uint8_t *a, const uint8_t *b, uint32_t size, uint32_t from)
{
    while (size - from >= 8) {
        uint64_t difference = get_u64(a + from) ^ get_u64(b + from);

        if (difference != 0)
            return from + (uint32_t)__builtin_ctzll(difference) / 8;
        from += 8;
    }
    while (from < size && a[from] == b[from])
        from++;
    return from;
}

/* ---- searching ---- */

static struct target
target_of(const struct skiplist *list, struct lsmkv_slice user_key, uint64_t trailer)
{
    struct target target = {list->order, (uint32_t)user_key.size, user_key.data, trailer};

    return target;
}

/* Whether the node sorts before the target, when their first `from` bytes are equal.  If so,
 * sets what they share. */
static bool
key_is_before(const struct node *node, const struct target *target, uint32_t from,
              uint32_t *shared)
{
    const uint8_t *key = node_key(node);
    uint32_t least = smaller(node->key_size, target->size);
    uint32_t same = common(key, target->data, least, from);
    bool before;

    if (same < least)
        before = rank_at(target->order, key, node->key_size, same) <
                 rank_at(target->order, target->data, target->size, same);
    else if (node->key_size != target->size)
        before = node->key_size < target->size;
    else
        before = node_trailer(node) > target->trailer;
    if (before)
        *shared = same;
    return before;
}

/* Whether the node, a successor of one that sorts before the target and shares *shared bytes
 * with it, sorts before the target too; if so, *shared becomes its own. */
static inline bool
is_before(const struct node *node, const struct target *target, uint32_t *shared)
{
    uint32_t skip = node->skip;
    uint64_t rank;

    if (skip > *shared)
        return true;
    rank = rank_at(target->order, target->data, target->size, skip);
    if (node->rank == rank)
        return key_is_before(node, target, skip, shared);
    if (node->rank > rank)
        return false;
    skip += (uint32_t)__builtin_clzll(node->rank ^ rank) / 8;
    *shared = smaller(skip, smaller(node->key_size, target->size));
    return true;
}

/* The last node before the target, or head; sets its successor, as it was compared: read
 * again, the link could lead to a later insert before the target.  `path` may be NULL. */
static inline struct node *
descend(const struct skiplist *list, const struct target *target, struct path *path,
        const struct node **successor)
{
    unsigned level = atomic_load_explicit(&list->height, memory_order_relaxed);
    struct node *at = list->head;
    struct node *bound = NULL; /* known not to be before the target */
    uint32_t shared = 0;

    while (level-- > 0) {
        struct node *next = node_next(at, level);

        while (next != bound && next != NULL) {
            /* Where to look if this one is too far: under way while it is compared. */
            if (level > 0)
                __builtin_prefetch(node_next(at, level - 1));
            if (!is_before(next, target, &shared))
                break;
            at = next;
            next = node_next(at, level);
        }
        bound = next;
        if (path != NULL) {
            path->before[level] = at;
            path->shared[level] = shared;
        }
    }
    *successor = bound;
    return at;
}

const struct node *
skiplist_find(const struct skiplist *list, struct lsmkv_slice user_key, uint64_t trailer,
              const struct node **before)
{
    struct target target = target_of(list, user_key, trailer);
    const struct node *successor;
    const struct node *node = descend(list, &target, NULL, &successor);

    *before = node == list->head ? NULL : node;
    return successor;
}

const struct node *
skiplist_last(const struct skiplist *list)
{
    unsigned level = atomic_load_explicit(&list->height, memory_order_relaxed);
    const struct node *at = list->head;

    while (level-- > 0) {
        const struct node *next;

        while ((next = node_next(at, level)) != NULL)
            at = next;
    }
    return at == list->head ? NULL : at;
}

/* ---- adding ---- */

/* One level more with probability 1/4 each; xorshift64*. */
static unsigned
random_height(struct skiplist *list)
{
    uint64_t bits = list->random;
    unsigned height = 1;

    bits ^= bits >> 12;
    bits ^= bits << 25;
    bits ^= bits >> 27;
    list->random = bits;
    bits = (bits * UINT64_C(0x2545f4914f6cdd1d)) >> 32;
    for (; height < SKIPLIST_HEIGHT_MAX && (bits & 3) == 0; bits >>= 2)
        height++;
    return height;
}

struct node *
skiplist_new_node(struct skiplist *list, struct lsmkv_slice user_key, uint64_t trailer,
                  size_t payload_size)
{
    unsigned height = random_height(list);
    struct node *node =
        arena_allocate(&list->arena, node_head_size(height) + user_key.size +
                                         KEY_TRAILER_SIZE + payload_size);
    uint8_t *key;

    if (node == NULL)
        return NULL;
    node->key_size = (uint32_t)user_key.size;
    node->payload_size = (uint32_t)payload_size;
    node->height = height;
    key = (uint8_t *)node + node_head_size(height);
    if (user_key.size > 0)
        memcpy(key, user_key.data, user_key.size);
    put_u64(key + user_key.size, trailer);
    return node;
}

/* Inserts in order: if the target comes right behind the newest node, the hint is its path,
 * and only `shared` on its highest level is still to be found. */
static bool
hint_leads_to(struct skiplist *list, const struct target *target, unsigned top)
{
    const struct node *before = list->hint.before[top];
    const struct node *next;
    uint32_t shared = 0;
    uint32_t unused;

    if (list->newest == list->head || !key_is_before(list->newest, target, 0, &shared))
        return false;
    next = node_next(list->newest, 0);
    unused = shared;
    if (next != NULL && is_before(next, target, &unused))
        return false;
    if (before != list->newest) /* head has no bytes to share */
        shared = common(node_key(before), target->data,
                        smaller(before->key_size, target->size), 0);
    list->hint.shared[top] = shared;
    return true;
}

void
skiplist_link(struct skiplist *list, struct node *node)
{
    struct target target = target_of(list, node_user_key(node), node_trailer(node));
    struct path *path = &list->hint;
    unsigned top = node->height - 1;
    const struct node *successor;
    unsigned level;

    if (!hint_leads_to(list, &target, top))
        descend(list, &target, path, &successor);
    node->skip = path->shared[top];
    node->rank = rank_at(list->order, target.data, target.size, node->skip);
    for (level = 0; level < node->height; level++) {
        struct node *next = atomic_load_explicit(&path->before[level]->links[level],
                                                 memory_order_relaxed);

        atomic_init(&node->links[level], next);
    }
    for (level = 0; level < node->height; level++) {
        atomic_store_explicit(&path->before[level]->links[level], node,
                              memory_order_release);
        path->before[level] = node;
    }
    if (node->height > atomic_load_explicit(&list->height, memory_order_relaxed))
        atomic_store_explicit(&list->height, node->height, memory_order_relaxed);
    list->newest = node;
}

int
skiplist_reserve(struct skiplist *list, size_t bytes, size_t count)
{
    size_t most =
        node_head_size(SKIPLIST_HEIGHT_MAX) + KEY_TRAILER_SIZE + ARENA_ALIGNMENT;

    if (bytes > SIZE_MAX / 2 || count > SIZE_MAX / 2 / most)
        return -ENOMEM;
    return arena_reserve(&list->arena, bytes + count * most);
}

/* ---- making ---- */

int
skiplist_init(struct skiplist *list, struct lsmkv_env *env, enum lsmkv_order order)
{
    unsigned level;

    *list = (struct skiplist){.order = order, .random = UINT64_C(0x9e3779b97f4a7c15)};
    arena_init(&list->arena, env);
    list->head = arena_allocate(&list->arena, node_head_size(SKIPLIST_HEIGHT_MAX));
    if (list->head == NULL)
        return -ENOMEM;
    *list->head = (struct node){.height = SKIPLIST_HEIGHT_MAX};
    for (level = 0; level < SKIPLIST_HEIGHT_MAX; level++) {
        atomic_init(&list->head->links[level], NULL);
        list->hint.before[level] = list->head;
    }
    list->newest = list->head;
    atomic_init(&list->height, 1);
    return 0;
}

void
skiplist_fini(struct skiplist *list)
{
    arena_fini(&list->arena);
}
