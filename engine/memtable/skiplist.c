/*
 * skiplist.c - a skip list whose search seldom looks at keys.
 *
 * What a search costs is the nodes it touches, for each is somewhere else in memory, in no
 * cache; and keys are paths, whose long shared prefixes tell nothing.  So each link carries a
 * hint of the node it leads to, which mostly decides without touching that node:
 *
 *     skip  16 bits  how many bytes the next key n surely shares with the node p before it
 *     rank  48 bits  the six bytes of n behind those, as a number that sorts as the keys do
 *
 * and a search keeps `shared`, how many bytes the key sought has in common with the node it
 * stands on.  Standing on p, for a key K > p:
 *
 *     skip > shared    n agrees with p where p and K part, so n < K: go on
 *     skip <= shared   all three agree on the first `skip` bytes, so n's rank against K's six
 *                      bytes there decides; only a tie has to read n's key
 *
 * Both also hold with a skip that is too low, so a hint stays true of n when a key is inserted
 * between p and n: the new node's link takes it over.
 *
 * S1  A node is complete before the release store that links it; its key and payload never
 *     change.  Readers load links with acquire.
 * S2  A link changes in three steps: hint to NONE, then next, then the hint of the new next,
 *     the last two by release.  So a hint other than NONE that was loaded (acquire) between
 *     two loads of the same next is that next's: nodes are only added, so a next that has
 *     changed does not come back.
 * S3  Only the writer stores links and height.  Levels at or above the height are empty, and
 *     the writer's path is at head there.
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

/* ---- hints ---- */

#define HINT_NONE UINT64_MAX /* no hint is: with a skip of 65,535 the key has ended */

static uint64_t
hint_pack(uint32_t skip, uint64_t rank)
{
    return (uint64_t)skip << 48 | rank >> 16;
}

/* Of a key, behind the bytes that it shares. */
static uint64_t
hint_of(const struct skiplist *list, const struct node *node, uint32_t skip)
{
    return hint_pack(skip, rank_at(list->order, node_key(node), node->key_size, skip));
}

/* ---- searching ---- */

static struct target
target_of(const struct skiplist *list, struct lsmkv_slice user_key, uint64_t trailer)
{
    struct target target = {list->order, (uint32_t)user_key.size, user_key.data, trailer};

    return target;
}

enum side {
    SIDE_BEFORE,    /* sorts before the target */
    SIDE_NOT,       /* at or after it */
    SIDE_UNDECIDED, /* its key has to tell */
};

/* What a node's key says, when its first `from` bytes are known to be the target's.  Sets how
 * many they share. */
static enum side
side_by_key(const struct node *node, const struct target *target, uint32_t from,
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
    *shared = same;
    return before ? SIDE_BEFORE : SIDE_NOT;
}

/* What the hint of a node says, standing on one before it that shares *shared bytes with the
 * target.  If the node sorts before the target, *shared becomes its own, but for the sizes of
 * both keys, which the caller sees to. */
static inline enum side
side_by_hint(uint64_t hint, const struct target *target, uint32_t *shared)
{
    uint32_t skip = (uint32_t)(hint >> 48);
    uint64_t mine;

    if (hint == HINT_NONE)
        return SIDE_UNDECIDED;
    if (skip > *shared)
        return SIDE_BEFORE;
    mine = hint_pack(skip, rank_at(target->order, target->data, target->size, skip));
    if (hint == mine)
        return SIDE_UNDECIDED;
    if (hint > mine)
        return SIDE_NOT;
    *shared = skip + (uint32_t)__builtin_clzll(hint ^ mine) / 8 - 2;
    return SIDE_BEFORE;
}

/* A link's next and, if it can be had, its hint (S2). */
static inline struct node *
link_read(const struct link *link, uint64_t *hint)
{
    struct node *next = atomic_load_explicit(&link->next, memory_order_acquire);
    struct node *now;

    for (;; next = now) {
        *hint = atomic_load_explicit(&link->hint, memory_order_acquire);
        now = atomic_load_explicit(&link->next, memory_order_acquire);
        if (now == next)
            return next;
    }
}

/* Whether `node`, the next one, sorts before the target; then *shared becomes its own.  If
 * not, and its key was read, *hint becomes the best there is for the target's link to it. */
static inline bool
is_before(const struct skiplist *list, const struct node *node,
          const struct target *target, uint64_t *hint, uint32_t *shared)
{
    uint32_t same = *shared;
    enum side side = side_by_hint(*hint, target, &same);

    if (side == SIDE_BEFORE) {
        *shared = smaller(same, smaller(node->key_size, target->size));
        return true;
    }
    if (side == SIDE_NOT)
        return false;
    side = side_by_key(node, target, *hint == HINT_NONE ? 0 : (uint32_t)(*hint >> 48),
                       &same);
    if (side == SIDE_NOT) {
        *hint = hint_of(list, node, same);
        return false;
    }
    *shared = same;
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
        uint64_t hint;
        struct node *next = link_read(&at->links[level], &hint);

        while (next != bound && next != NULL &&
               is_before(list, next, target, &hint, &shared)) {
            at = next;
            next = link_read(&at->links[level], &hint);
        }
        bound = next;
        if (path != NULL) {
            path->before[level] = at;
            path->shared[level] = shared;
            path->hint[level] = hint;
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

/* One level more with probability 1/2 each; xorshift64*.  With hints, more levels mean fewer
 * nodes touched, not more. */
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
    for (; height < SKIPLIST_HEIGHT_MAX && (bits & 1) == 0; bits >>= 1)
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

/* Inserts in order: if the target comes right behind the newest node, the path is still its
 * own, but for what it shares with the nodes of it.  Fills in the levels up to `height`. */
static bool
path_leads_to(struct skiplist *list, const struct target *target, unsigned height)
{
    struct node *newest = list->newest;
    const struct node *next = node_next(newest, 0);
    struct path *path = &list->path;
    uint32_t shared, unused;

    if (newest == list->head || side_by_key(newest, target, 0, &shared) != SIDE_BEFORE)
        return false;
    if (next != NULL && side_by_key(next, target, 0, &unused) == SIDE_BEFORE)
        return false;
    for (unsigned level = 0; level < height; level++) {
        struct node *before = path->before[level];

        path->shared[level] = shared;
        if (before != newest) /* head has no bytes to share */
            path->shared[level] = common(node_key(before), target->data,
                                         smaller(before->key_size, target->size), 0);
        path->hint[level] =
            atomic_load_explicit(&before->links[level].hint, memory_order_relaxed);
    }
    return true;
}

void
skiplist_link(struct skiplist *list, struct node *node)
{
    struct target target = target_of(list, node_user_key(node), node_trailer(node));
    struct path *path = &list->path;
    const struct node *successor;

    if (!path_leads_to(list, &target, node->height))
        descend(list, &target, path, &successor);
    for (unsigned level = 0; level < node->height; level++) {
        struct link *before = &path->before[level]->links[level];

        atomic_init(&node->links[level].next,
                    atomic_load_explicit(&before->next, memory_order_relaxed));
        atomic_init(&node->links[level].hint, path->hint[level]);
    }
    for (unsigned level = 0; level < node->height; level++) {
        struct link *before = &path->before[level]->links[level];
        uint64_t hint = hint_of(list, node, path->shared[level]);

        atomic_store_explicit(&before->hint, HINT_NONE, memory_order_relaxed);
        atomic_store_explicit(&before->next, node, memory_order_release);
        atomic_store_explicit(&before->hint, hint, memory_order_release);
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
        atomic_init(&list->head->links[level].next, NULL);
        atomic_init(&list->head->links[level].hint, HINT_NONE);
        list->path.before[level] = list->head;
        list->path.hint[level] = HINT_NONE;
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
