/*
 * skiplist.c - a skip list whose search seldom waits for memory.
 *
 * What a search costs is the places of memory that it has to wait for.  A skip list of
 * one entry a node goes through 18 of them among 300,000 entries.  So the links of each
 * level stand together here, in blocks of up to ENTRIES + 1 neighbours, each link with a
 * hint of the key that it leads to (hint.h); a search fetches a block a level and seldom
 * an entry:
 *
 *     level 1   head ................... k ........................ =>
 *                 |                      |
 *     level 0   head a c d e f g h   =>  k m n o p q r   =>  s t u v
 *                    (nodes: anywhere)
 *
 * A level is one list: the last slot of a block leads to the next block (=>, a bridge).
 * What is above only says where to begin, so that a block that is missing there costs
 * steps, nothing more.  Levels are not drawn by lot: a block that is full is cut in two,
 * and the second half's first entry is added to the level above.  Inserts in order, up or
 * down, leave full blocks behind: a run of them cuts where it stands.
 *
 * Within a block the order is a list, too, by the numbers of slots: an entry takes any
 * free slot.  The slot FIRST is the entry that the block begins with; it never changes.
 *
 * S1  A node is complete before the release store that links it, and so is a slot before
 *     the store of its number in `next`; readers load with acquire.
 * S2  A slot that can be reached from FIRST is not written, but for its `next`.
 * S3  Cutting a block makes slots unreachable, and then counts `version` up, before any
 *     of them is written again.  So a reader that finds the version unchanged after it
 *     has read a block's slots has read no slot that was being written; if not, it begins
 *     at FIRST again.  What it may have read till then are hints and pointers of other
 *     entries: wrong, but safe to follow, for a slot's number tells what its pointer
 *     leads to.
 * S4  Only the writer stores.  There is one at a time.
 * S5  A batch that is reserved for, of `count` entries, adds to level 0 no more blocks
 *     than there are, and one, and one for five entries.  For a cut in the middle needs a
 *     full block and leaves two that are half full, and any other needs a run of RUN.
 *     Let T be 8 for each entry that a block has beyond half, and 9 for each of the run,
 *     up to RUN.  Adding an entry adds 17 at most to T, or takes at least 72 from it if
 *     it cuts; and T is at most 80 a block, and 81.
 */
#include "memtable/skiplist.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "memtable/hint.h"

#define ENTRIES    20u /* slots for entries; a block is nine lines of the cache */
#define HALF       (ENTRIES / 2)
#define RUN        9u /* entries, each next to the one before */
#define BRIDGES    2u /* one in use and one free */
#define FIRST      (ENTRIES + BRIDGES)
#define END        UINT8_MAX /* nothing follows */
#define ALL_FREE   ((1u << FIRST) - 1)
#define ENTRY_BITS ((1u << ENTRIES) - 1)

struct block {
    const struct node *first; /* NULL: before all keys */
    _Atomic uint32_t version;
    uint32_t free; /* the writer's: a bit for each slot that cannot be reached */
    uint8_t level;
    _Atomic uint8_t next[FIRST + 1];
    _Atomic uint64_t high[FIRST], low[FIRST]; /* hints; see hint.h */
    /* Of an entry on level 0 its node, above the block of the level below that begins
     * with it; of a bridge the next block. */
    void *_Atomic to[FIRST + 1];
};

/* ---- reading blocks ---- */

static inline unsigned
next_slot(const struct block *block, unsigned slot)
{
    return atomic_load_explicit(&block->next[slot], memory_order_acquire);
}

static inline void *
slot_to(const struct block *block, unsigned slot)
{
    return atomic_load_explicit(&block->to[slot], memory_order_acquire);
}

static inline uint32_t
block_version(const struct block *block)
{
    return atomic_load_explicit(&block->version, memory_order_acquire);
}

static inline bool
is_bridge(unsigned slot)
{
    return slot >= ENTRIES && slot < FIRST;
}

/* The entry that a slot other than FIRST stands for. */
static inline const struct node *
slot_node(const struct block *block, unsigned slot)
{
    void *to = slot_to(block, slot);

    return block->level == 0 && !is_bridge(slot) ? to : ((const struct block *)to)->first;
}

/* The same of any slot; NULL: before all keys. */
static inline const struct node *
entry_node(const struct block *block, unsigned slot)
{
    return slot == FIRST ? block->first : slot_node(block, slot);
}

/* Its lines come from memory all at once. */
static inline void
fetch(const struct block *block)
{
    for (size_t at = 0; at < sizeof(*block); at += 64)
        __builtin_prefetch((const char *)block + at);
}

/* ---- searching ---- */

static uint32_t
smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* What a node's key says, when its first `from` bytes are known to be the same as those
 * of the key sought.  Sets how many they share. */
static enum side
side_by_key(const struct node *node, const struct sought *sought, uint32_t from,
            uint32_t *shared)
{
    const uint8_t *key = node->bytes;
    uint32_t least = smaller(node->key_size, sought->size);
    uint32_t same = key_common(key, sought->data, least, smaller(from, least)); /* S3 */
    bool before;

    if (same < least)
        before = rank_at(sought->order, key, node->key_size, same) <
                 rank_at(sought->order, sought->data, sought->size, same);
    else if (node->key_size != sought->size)
        before = node->key_size < sought->size;
    else
        before = node_trailer(node) > sought->trailer;
    *shared = same;
    return before ? SIDE_BEFORE : SIDE_NOT;
}

/* Whether a slot's entry sorts before the key sought; then *shared becomes its own. */
static inline bool
is_before(const struct block *block, unsigned slot, const struct sought *sought,
          uint32_t *shared)
{
    uint64_t high = atomic_load_explicit(&block->high[slot], memory_order_acquire);
    enum side side = hint_side(high, &block->low[slot], sought, shared);
    uint32_t same;

    if (side == SIDE_UNDECIDED) {
        side = side_by_key(slot_node(block, slot), sought, (uint32_t)(high >> 48), &same);
        if (side == SIDE_BEFORE)
            *shared = same;
    }
    return side == SIDE_BEFORE;
}

/* Where a search has come to on a level. */
struct landing {
    void *to;      /* of the spot's slot */
    unsigned next; /* the slot behind it, or END */
    void *to_next; /* NULL at END */
};

/* From the first slot of the spot's block along its level to the last slot before the
 * sought. */
static inline void
walk(const struct sought *sought, struct spot *spot, struct landing *landing)
{
    for (;;) {
        const struct block *block = spot->block;
        uint32_t version = block_version(block), shared = spot->shared;
        unsigned slot = FIRST, next;

        while ((next = next_slot(block, slot)) != END &&
               is_before(block, next, sought, &shared) && !is_bridge(slot = next))
            ;
        landing->to = slot_to(block, slot);
        landing->next = next;
        landing->to_next = next == END ? NULL : slot_to(block, next);
        if (block_version(block) != version) /* S3 */
            continue;
        spot->shared = shared;
        if (!is_bridge(slot)) {
            spot->slot = slot;
            spot->version = version;
            return;
        }
        spot->block = landing->to;
        fetch(spot->block);
    }
}

/* Down to the last node before the sought, or head.  `path` may be NULL. */
static inline void
descend(const struct skiplist *list, const struct sought *sought, struct spot *path,
        struct spot *spot, struct landing *landing)
{
    *spot =
        (struct spot){.block = atomic_load_explicit(&list->top, memory_order_acquire)};

    for (unsigned level = spot->block->level;; level--) {
        walk(sought, spot, landing);
        if (path != NULL)
            path[level] = *spot;
        if (level == 0)
            return;
        spot->block = landing->to;
        fetch(spot->block);
    }
}

static struct place
place_of(const struct block *block, uint32_t version, unsigned slot, void *to)
{
    struct place place = {to, block, slot, version};

    if (is_bridge(slot)) {
        place.block = to;
        place.version = block_version(place.block);
        place.slot = FIRST;
        place.node = place.block->first;
    }
    return place;
}

struct place
skiplist_find(const struct skiplist *list, struct lsmkv_slice user_key, uint64_t trailer,
              const struct node **before)
{
    struct sought sought;
    struct landing landing;
    struct spot spot;

    sought_init(&sought, list->order, user_key, trailer);
    descend(list, &sought, NULL, &spot, &landing);
    *before = landing.to;
    return place_of(spot.block, spot.version, landing.next, landing.to_next);
}

/* What a walk reads after the slot that it comes to now. */
static inline void
fetch_ahead(const struct block *block, unsigned slot)
{
    unsigned ahead = slot == END || is_bridge(slot) ? END : next_slot(block, slot);

    if (ahead != END)
        __builtin_prefetch(slot_to(block, ahead));
}

struct place
skiplist_next(const struct skiplist *list, const struct place *place)
{
    struct place at = *place;
    const struct node *before;

    for (;;) {
        if (at.block != NULL) {
            unsigned next = next_slot(at.block, at.slot);
            void *to = next == END ? NULL : slot_to(at.block, next);

            if (block_version(at.block) == at.version) { /* S3 */
                fetch_ahead(at.block, next);
                return place_of(at.block, at.version, next, to);
            }
        }
        at = skiplist_find(list, node_user_key(at.node), node_trailer(at.node), &before);
    }
}

static const struct block *
first_block(const struct skiplist *list)
{
    const struct block *block = atomic_load_explicit(&list->top, memory_order_acquire);

    while (block->level > 0)
        block = slot_to(block, FIRST);
    return block;
}

struct place
skiplist_first(const struct skiplist *list)
{
    const struct block *block = first_block(list);

    for (;;) {
        uint32_t version = block_version(block);
        unsigned next = next_slot(block, FIRST);
        void *to = next == END ? NULL : slot_to(block, next);

        if (block_version(block) == version) /* S3 */
            return place_of(block, version, next, to);
    }
}

const struct node *
skiplist_last(const struct skiplist *list)
{
    const struct block *block = atomic_load_explicit(&list->top, memory_order_acquire);

    for (;;) {
        uint32_t version = block_version(block);
        unsigned slot = FIRST, next;
        void *to;

        while (!is_bridge(slot) && (next = next_slot(block, slot)) != END)
            slot = next;
        to = slot_to(block, slot);
        if (block_version(block) != version) /* S3 */
            continue;
        if (block->level == 0 && !is_bridge(slot))
            return to;
        block = to;
    }
}

/* ---- adding ---- */

struct node *
skiplist_new_node(struct skiplist *list, struct lsmkv_slice user_key, uint64_t trailer,
                  size_t payload_size)
{
    struct node *node = arena_allocate(&list->arena, sizeof(*node) + user_key.size +
                                                         KEY_TRAILER_SIZE + payload_size);

    if (node == NULL)
        return NULL;
    node->key_size = (uint32_t)user_key.size;
    node->payload_size = (uint32_t)payload_size;
    if (user_key.size > 0)
        memcpy(node->bytes, user_key.data, user_key.size);
    put_u64(node->bytes + user_key.size, trailer);
    return node;
}

/* How many blocks on level 0 so many entries make at most. */
static size_t
blocks_for(const struct skiplist *list, size_t count)
{
    size_t most = list->bottom + 1 + count / 5; /* S5 */

    return count < most ? count : most;
}

/* NULL: no memory, or none to spare: what is promised comes before blocks above level
 * 0. */
static struct block *
new_block(struct skiplist *list, unsigned level, const struct node *first, void *to)
{
    struct block *block;

    if (level > 0 && list->promised > 0 &&
        list->blocks <= blocks_for(list, list->promised))
        return NULL;
    block = arena_allocate_lines(&list->arena, sizeof(*block));
    if (block == NULL)
        return NULL;
    if (list->blocks > 0)
        list->blocks--;
    if (level == 0) {
        list->bottom++;
        list->run = 0;
    }
    block->first = first;
    block->level = (uint8_t)level;
    block->free = ALL_FREE;
    atomic_init(&block->version, 0);
    atomic_init(&block->next[FIRST], END);
    atomic_init(&block->to[FIRST], to);
    return block;
}

static struct hint
slot_hint(const struct block *block, unsigned slot)
{
    struct hint hint = {
        atomic_load_explicit(&block->high[slot], memory_order_relaxed),
        atomic_load_explicit(&block->low[slot], memory_order_relaxed),
    };

    return hint;
}

/* The hint of an entry that follows another, which may be NULL. */
static struct hint
hint_behind(const struct skiplist *list, const struct node *before,
            const struct node *node)
{
    uint32_t shared = 0;

    if (before != NULL)
        shared = key_common(before->bytes, node->bytes,
                            smaller(before->key_size, node->key_size), 0);
    return hint_of(list->order, node->bytes, node->key_size, shared);
}

/* The hint of a slot that is moved.  It is made anew if it does not tell the entry from
 * the one before it, as happens when that was put in later: then the skip is too low, and
 * is 0 when all came in falling order. */
static struct hint
moved_hint(const struct skiplist *list, const struct block *block, unsigned before,
           unsigned slot)
{
    struct hint hint = slot_hint(block, slot), other;

    if (before != FIRST) {
        other = slot_hint(block, before);
        if (hint.high != other.high || hint.low != other.low)
            return hint;
    }
    return hint_behind(list, entry_node(block, before), slot_node(block, slot));
}

/* Fills a slot that nobody can reach. */
static void
set_slot(struct block *block, unsigned slot, struct hint hint, void *to, unsigned next)
{
    block->free &= ~(1u << slot);
    atomic_store_explicit(&block->high[slot], hint.high, memory_order_release);
    atomic_store_explicit(&block->low[slot], hint.low, memory_order_release);
    atomic_store_explicit(&block->to[slot], to, memory_order_release);
    atomic_store_explicit(&block->next[slot], (uint8_t)next, memory_order_release);
}

static void
set_next(struct block *block, unsigned slot, unsigned next)
{
    atomic_store_explicit(&block->next[slot], (uint8_t)next, memory_order_release);
}

static unsigned
free_slot(const struct block *block)
{
    return (unsigned)__builtin_ctz(block->free);
}

static unsigned
free_bridge(const struct block *block)
{
    return (block->free & 1u << ENTRIES) != 0 ? ENTRIES : ENTRIES + 1;
}

/* Copies what follows `slot` behind the first of a new block; a spot there moves along.
 * Returns the slots that were copied, as bits. */
static uint32_t
copy_rest(const struct skiplist *list, const struct block *block, unsigned slot,
          struct block *new, struct spot *spot)
{
    unsigned from = next_slot(block, slot), before = slot, last = FIRST;
    uint32_t copied = 0;

    for (; from != END; before = from, from = next_slot(block, from)) {
        unsigned to = is_bridge(from) ? ENTRIES : free_slot(new);

        set_slot(new, to, moved_hint(list, block, before, from), slot_to(block, from),
                 END);
        set_next(new, last, to);
        last = to;
        copied |= 1u << from;
        if (spot->block == block && spot->slot == from) {
            spot->block = new;
            spot->slot = to;
        }
    }
    return copied;
}

/* Ends a block with `slot`, and a bridge to the block that now follows. */
static void
bridge_to(struct block *block, unsigned slot, struct hint hint, struct block *new,
          uint32_t copied)
{
    unsigned bridge = free_bridge(block);

    set_slot(block, bridge, hint, new, END);
    set_next(block, slot, bridge);
    atomic_store_explicit(&block->version, block_version(block) + 1,
                          memory_order_release); /* S3 */
    block->free |= copied;
}

static int insert(struct skiplist *list, unsigned level, struct hint hint,
                  const struct node *node, void *to, bool in_run);

/* The level above learns of a new block. */
static void
promote(struct skiplist *list, struct block *block, bool in_run)
{
    unsigned level = block->level + 1u;
    const struct node *node = block->first;
    struct block *top = atomic_load_explicit(&list->top, memory_order_relaxed);
    struct spot *spot = &list->path[level];
    struct hint hint;

    if (level == SKIPLIST_LEVELS_MAX)
        return;
    if (level > top->level) {
        top = new_block(list, level, NULL, top);
        if (top == NULL)
            return;
        *spot = (struct spot){.block = top, .slot = FIRST};
        atomic_store_explicit(&list->top, top, memory_order_release);
    }
    hint = hint_behind(list, entry_node(spot->block, spot->slot), node);
    /* Without memory the block is found all the same, from the one before it. */
    (void)insert(list, level, hint, node, block, in_run);
}

/* Whether a slot is its block's last entry. */
static bool
is_last(const struct block *block, unsigned slot)
{
    unsigned next = next_slot(block, slot);

    return next == END || is_bridge(next);
}

/* Leaves a full block as it is; the new entry begins another behind it. */
static int
begin_block(struct skiplist *list, struct spot *spot, struct hint hint,
            const struct node *node, void *to)
{
    struct block *block = spot->block;
    struct block *new = new_block(list, block->level, node, to);

    if (new == NULL)
        return -ENOMEM;
    bridge_to(block, spot->slot, hint, new,
              copy_rest(list, block, spot->slot, new, spot));
    spot->block = new;
    spot->slot = FIRST;
    promote(list, new, true);
    return 0;
}

/* Cuts a full block behind `slot`, not its last; the spot stays where it was in the
 * order. */
static struct block *
cut_block(struct skiplist *list, struct spot *spot, unsigned slot)
{
    struct block *block = spot->block, *new;
    unsigned after = next_slot(block, slot);
    struct hint hint = moved_hint(list, block, slot, after);
    uint32_t copied;

    new = new_block(list, block->level, slot_node(block, after), slot_to(block, after));
    if (new == NULL)
        return NULL;
    copied = copy_rest(list, block, after, new, spot) | 1u << after;
    if (spot->block == block && spot->slot == after) {
        spot->block = new;
        spot->slot = FIRST;
    }
    bridge_to(block, slot, hint, new, copied);
    return new;
}

static unsigned
middle_slot(const struct block *block)
{
    unsigned slot = FIRST;

    for (unsigned i = 0; i < HALF; i++)
        slot = next_slot(block, slot);
    return slot;
}

/* Adds an entry behind the path's slot on a level.  A run leaves full blocks behind,
 * other entries blocks that are half full. */
static int
insert(struct skiplist *list, unsigned level, struct hint hint, const struct node *node,
       void *to, bool in_run)
{
    struct spot *spot = &list->path[level];
    struct block *block = spot->block, *new = NULL;
    unsigned slot;

    if ((block->free & ENTRY_BITS) == 0) {
        if (in_run && is_last(block, spot->slot))
            return begin_block(list, spot, hint, node, to);
        new = cut_block(list, spot, in_run ? spot->slot : middle_slot(block));
        if (new == NULL)
            return -ENOMEM;
        list->newest = NULL; /* of the path only this level is mended */
        block = spot->block;
    }
    slot = free_slot(block);
    set_slot(block, slot, hint, to, next_slot(block, spot->slot));
    set_next(block, spot->slot, slot);
    spot->slot = slot;
    if (new != NULL)
        promote(list, new, false);
    return 0;
}

/* Inserts in order: if the key comes right behind the newest node, the path is its own,
 * but for what it shares. */
static bool
path_leads_to(struct skiplist *list, const struct sought *sought)
{
    struct spot *spot = &list->path[0];
    uint32_t unused;
    unsigned next;

    if (list->newest == NULL ||
        side_by_key(list->newest, sought, 0, &spot->shared) != SIDE_BEFORE)
        return false;
    unused = spot->shared;
    next = next_slot(spot->block, spot->slot);
    return next == END || !is_before(spot->block, next, sought, &unused);
}

int
skiplist_link(struct skiplist *list, struct node *node)
{
    struct sought sought;
    bool next_to_newest;
    struct landing landing;
    struct spot spot;
    struct hint hint;
    int result;

    sought_init(&sought, list->order, node_user_key(node), node_trailer(node));
    if (list->promised > 0)
        list->promised--;
    next_to_newest = path_leads_to(list, &sought);
    if (!next_to_newest) {
        descend(list, &sought, list->path, &spot, &landing);
        next_to_newest = list->newest != NULL && landing.to_next == list->newest;
    }
    list->run = next_to_newest ? list->run + 1 : 0;
    list->newest = node;
    hint = hint_of(list->order, sought.data, sought.size,
                   hint_skip(list->order, sought.data, list->path[0].shared));
    result = insert(list, 0, hint, node, node, list->run >= RUN);
    if (result != 0)
        list->newest = NULL;
    return result;
}

/* What is above level 0 needs a block for some ten below, and one of the entries may cut
 * one on each level; should that not do, it goes without. */
int
skiplist_reserve(struct skiplist *list, size_t bytes, size_t count)
{
    const struct block *top = atomic_load_explicit(&list->top, memory_order_relaxed);
    size_t least = blocks_for(list, count);
    size_t blocks = least + least / 8 + top->level + 1;
    size_t each = sizeof(struct node) + KEY_TRAILER_SIZE + ARENA_ALIGNMENT;
    int result;

    if (bytes > SIZE_MAX / 4 || count > SIZE_MAX / 8 / (each + sizeof(*top)))
        return -ENOMEM;
    result = arena_reserve(&list->arena, bytes + count * each + blocks * sizeof(*top));
    if (result != 0)
        return result;
    list->promised = count;
    list->blocks = blocks;
    return 0;
}

/* ---- making ---- */

int
skiplist_init(struct skiplist *list, struct block_pool *pool, enum lsmkv_order order)
{
    struct block *head;

    static_assert(sizeof(*head) % ARENA_LINE == 0, "blocks fill lines");
    *list = (struct skiplist){.order = order};
    arena_init(&list->arena, pool);
    head = new_block(list, 0, NULL, NULL);
    if (head == NULL)
        return -ENOMEM;
    atomic_init(&list->top, head);
    return 0;
}

void
skiplist_fini(struct skiplist *list)
{
    arena_fini(&list->arena);
}
