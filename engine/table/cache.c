/*
 * cache.c - the block cache: sixteen shards, each an open-addressed table of slots.
 *
 * A lookup takes no lock and writes nothing but the word that it pins a block with.
 * Whatever changes a table, putting a block in or throwing one out, is under its shard's
 * mutex; those are misses, and reading the block costs far more.
 *
 * A slot is a cache line: the key of its block, where its bytes are, and the word
 * `state`: the pins, a count of how much the block is in use, and whether it is there at
 * all.  Slots are never freed before the cache is, so that a lookup may look at one while
 * it is given to another block: it pins first and then sees whether the block is the one
 * it asked for.
 *
 * The clock's hand goes round the slots.  It takes one from the count of each block it
 * comes to, and throws out the first that has none left and is not pinned.  A block comes
 * in with a count of one, and has the most when it was found: so blocks read once, as by
 * a scan, go before those that are asked for again.
 *
 * C1  Only a slot that is not IN_USE is written to, but for `state` and `displaced`;
 *     IN_USE is set last, by release, and taken away first, and only when there is no
 *     pin.  So what a pin protects does not change.
 * C2  `displaced` of a slot counts the blocks that would stand there or before, had they
 *     not found it taken.  Where it is 0 a search ends.  A lookup beside a change may
 *     miss a block that is there; who puts one in looks again, under the mutex.
 * C3  The bytes of a shard's blocks never exceed its room.  Pinned ones are among them;
 *     what finds no room beside those is not kept.
 * C4  The buffer of a block thrown out is kept for the next that is read, so that in the
 *     long run no memory is asked for: malloc's arenas, one a thread, would each keep
 *     what was freed in them.
 * C5  What is kept beside the blocks (those buffers, and what others charge for) makes
 *     the room for blocks smaller, down to a fourth of the capacity.  A shard throws out
 *     what finds no room any more when the next block comes.
 */
#include "table/cache.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mutex.h"

#define SHARDS     16u
#define SLOTS_MIN  16u
#define SLOT_BYTES 2048u /* a slot for so many bytes of capacity */
#define SLOT_SIZE  64u
#define LENT_PART  4u /* of the capacity may be lent */
#define LENT_LEAST ((size_t)1 << 20)
#define SPARES     2u
#define SPARE_PART 32u /* of a shard's capacity is the most that a spare may be */

/* Of `state`: */
#define PIN_ONE   UINT64_C(1)
#define PINS      UINT64_C(0xffffffff)
#define COUNT_ONE (UINT64_C(1) << 32)
#define COUNT_MAX (UINT64_C(7) << 32)
#define IN_USE    (UINT64_C(1) << 63)

struct slot {
    struct block block; /* first: a pin is a pointer to it */
    _Atomic uint64_t state;
    _Atomic uint64_t table, offset;
    uint8_t *buffer;
    size_t allocated;
    _Atomic uint32_t displaced; /* C2 */
};

/* A block that is in no table: its slot is never IN_USE. */
struct detached {
    struct slot slot; /* first */
    struct lsmkv_env *env;
};

struct spare {
    uint8_t *buffer;
    size_t allocated;
};

struct shard {
    struct mutex mutex;

    /* Constant after construction. */
    size_t capacity;
    size_t mask;
    struct slot *slots;
    void *memory; /* that they are in */

    /* Under the mutex. */
    size_t bytes, count, hand;
    struct spare spares[SPARES];
    unsigned next_spare;            /* the oldest */
    size_t spare_bytes, spare_most; /* now; ever */
};

static_assert(sizeof(struct slot) == SLOT_SIZE, "a slot is a cache line");

struct block_cache {
    struct lsmkv_env *env;
    size_t lent_most;
    _Atomic size_t charged, lent; /* C5 */
    struct shard shards[SHARDS];
};

static uint64_t
place_of(uint64_t table, uint64_t offset)
{
    uint64_t mixed = (table * UINT64_C(0x9e3779b97f4a7c15)) ^ offset;

    mixed *= UINT64_C(0xd6e8feb86659fd93);
    mixed ^= mixed >> 32;
    return mixed * UINT64_C(0xd6e8feb86659fd93);
}

static struct shard *
shard_of(struct block_cache *cache, uint64_t place)
{
    return &cache->shards[place >> 60];
}

/* The bits below those that choose the shard are the best mixed. */
static size_t
home_of(const struct shard *shard, uint64_t place)
{
    return (size_t)(place >> 24) & shard->mask;
}

/* Half of the slots are in use when blocks have twice SLOT_BYTES. */
static size_t
cost_of(size_t allocated)
{
    return 2 * sizeof(struct slot) + allocated;
}

static struct slot *
slot_of(const struct block *block)
{
    union {
        const struct block *in;
        struct slot *out; /* every pin was made from one */
    } cast = {block};

    return cast.out;
}

/* ---- pins ---- */

void
block_unpin(const struct block *block)
{
    struct slot *slot = slot_of(block);
    struct detached *detached;

    if (atomic_fetch_sub_explicit(&slot->state, PIN_ONE, memory_order_acq_rel) != PIN_ONE)
        return; /* others have it, or the cache */
    detached = (struct detached *)slot;
    detached->env->release(detached->env, slot->buffer, slot->allocated);
    free(detached);
}

const struct block *
block_cache_detached(struct block_cache *cache, uint8_t *data, size_t size,
                     size_t allocated)
{
    struct detached *detached = malloc(sizeof(*detached));

    if (detached == NULL) {
        cache->env->release(cache->env, data, allocated);
        return NULL;
    }
    *detached = (struct detached){
        .slot = {.block = {data, size}, .buffer = data, .allocated = allocated},
        .env = cache->env,
    };
    atomic_init(&detached->slot.state, PIN_ONE);
    return &detached->slot.block;
}

/* ---- buffers ---- */

/* Rounded up so that the buffer of one block often fits another; by a sixteenth at
 * most. */
static size_t
rounded(size_t size)
{
    size_t step = 64;

    while (size / step >= 32)
        step *= 2;
    return size > SIZE_MAX - step ? size : (size + step - 1) / step * step;
}

uint8_t *
block_cache_buffer(struct block_cache *cache, uint64_t table, uint64_t offset,
                   size_t size, size_t *allocated)
{
    struct shard *shard = shard_of(cache, place_of(table, offset));
    uint8_t *buffer = NULL;

    *allocated = rounded(size);
    mutex_lock(&shard->mutex);
    for (unsigned i = 0; i < SPARES && buffer == NULL; i++) {
        struct spare *spare = &shard->spares[i];

        if (spare->buffer == NULL || spare->allocated != *allocated)
            continue;
        buffer = spare->buffer;
        spare->buffer = NULL;
        shard->spare_bytes -= spare->allocated;
    }
    mutex_unlock(&shard->mutex);
    return buffer != NULL ? buffer : cache->env->allocate(cache->env, *allocated);
}

/* Puts a buffer, unless it is large, where the oldest spare was, which is released. */
static void
keep_spare(struct block_cache *cache, struct shard *shard, uint8_t *buffer,
           size_t allocated) LSMKV_REQUIRES(shard->mutex)
{
    struct spare *spare = &shard->spares[shard->next_spare];

    if (allocated > shard->capacity / SPARE_PART) {
        cache->env->release(cache->env, buffer, allocated);
        return;
    }
    shard->next_spare = (shard->next_spare + 1) % SPARES;
    if (spare->buffer != NULL) {
        shard->spare_bytes -= spare->allocated;
        cache->env->release(cache->env, spare->buffer, spare->allocated);
    }
    *spare = (struct spare){buffer, allocated};
    shard->spare_bytes += allocated;
    if (shard->spare_bytes > shard->spare_most)
        shard->spare_most = shard->spare_bytes;
}

/* ---- looking up ---- */

static bool
is_of(const struct slot *slot, uint64_t table, uint64_t offset)
{
    return atomic_load_explicit(&slot->offset, memory_order_relaxed) == offset &&
           atomic_load_explicit(&slot->table, memory_order_relaxed) == table;
}

/* One pin more, and the count full; false: it is not IN_USE. */
static bool
pin_found(struct slot *slot)
{
    uint64_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);
    uint64_t wanted;

    do {
        if ((state & IN_USE) == 0)
            return false;
        wanted = (state + PIN_ONE) | COUNT_MAX;
    } while (!atomic_compare_exchange_weak_explicit(
        &slot->state, &state, wanted, memory_order_acquire, memory_order_relaxed));
    return true;
}

static const struct block *
find_pinned(struct shard *shard, uint64_t place, uint64_t table, uint64_t offset)
{
    size_t at = home_of(shard, place);

    for (size_t steps = 0; steps <= shard->mask; steps++) {
        struct slot *slot = &shard->slots[at];

        if (is_of(slot, table, offset) && pin_found(slot)) {
            if (is_of(slot, table, offset))
                return &slot->block;
            block_unpin(&slot->block); /* it was given to another meanwhile */
        }
        if (atomic_load_explicit(&slot->displaced, memory_order_relaxed) == 0)
            return NULL;
        at = (at + 1) & shard->mask;
    }
    return NULL;
}

const struct block *
block_cache_get(struct block_cache *cache, uint64_t table, uint64_t offset)
{
    uint64_t place = place_of(table, offset);

    return find_pinned(shard_of(cache, place), place, table, offset);
}

void
block_cache_expect(struct block_cache *cache, uint64_t table, uint64_t offset)
{
    uint64_t place = place_of(table, offset);
    const struct shard *shard = shard_of(cache, place);

    __builtin_prefetch(&shard->slots[home_of(shard, place)]);
}

/* ---- throwing out ---- */

/* Adds `change` to `displaced` of the slots from the block's home up to, not including,
 * its own. */
static void
displace(struct shard *shard, uint64_t place, size_t own, uint32_t change)
    LSMKV_REQUIRES(shard->mutex)
{
    for (size_t at = home_of(shard, place); at != own; at = (at + 1) & shard->mask)
        atomic_fetch_add_explicit(&shard->slots[at].displaced, change,
                                  memory_order_relaxed);
}

/* Throws out the block of a slot, of which `state` was seen: IN_USE, and no pin.  If it
 * has been pinned or found since, it stays. */
static void
throw_out(struct block_cache *cache, struct shard *shard, size_t at, uint64_t state)
    LSMKV_REQUIRES(shard->mutex)
{
    struct slot *slot = &shard->slots[at];

    if (!atomic_compare_exchange_strong_explicit(
            &slot->state, &state, 0, memory_order_acquire, memory_order_relaxed))
        return;
    displace(shard,
             place_of(atomic_load_explicit(&slot->table, memory_order_relaxed),
                      atomic_load_explicit(&slot->offset, memory_order_relaxed)),
             at, UINT32_MAX);
    shard->bytes -= cost_of(slot->allocated);
    shard->count--;
    keep_spare(cache, shard, slot->buffer, slot->allocated);
}

/* Throws out the block of a slot, if there is one with a count of none and without pins;
 * if not, takes one from its count. */
static void
pass_hand(struct block_cache *cache, struct shard *shard, size_t at)
    LSMKV_REQUIRES(shard->mutex)
{
    struct slot *slot = &shard->slots[at];
    uint64_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);

    if ((state & IN_USE) == 0 || (state & PINS) != 0)
        return;
    if ((state & COUNT_MAX) != 0) {
        /* Should it be pinned meanwhile, its count stays. */
        (void)atomic_compare_exchange_strong_explicit(
            &slot->state, &state, state - COUNT_ONE, memory_order_relaxed,
            memory_order_relaxed);
        return;
    }
    throw_out(cache, shard, at, state);
}

void
block_cache_forget(struct block_cache *cache, uint64_t table, uint64_t offset)
{
    uint64_t place = place_of(table, offset);
    struct shard *shard = shard_of(cache, place);
    const struct block *found;

    mutex_lock(&shard->mutex);
    found = find_pinned(shard, place, table, offset);
    if (found != NULL) {
        struct slot *slot = slot_of(found);
        uint64_t state;

        block_unpin(found);
        state = atomic_load_explicit(&slot->state, memory_order_relaxed);
        if ((state & PINS) == 0)
            throw_out(cache, shard, (size_t)(slot - shard->slots), state);
    }
    mutex_unlock(&shard->mutex);
}

/* Bytes that the shard's blocks may take (C5).  The place of a spare stays free when that
 * is used, or every block thrown out would be taken for one too many. */
static size_t
room_of(const struct block_cache *cache, const struct shard *shard)
    LSMKV_REQUIRES(shard->mutex)
{
    const size_t others = (atomic_load_explicit(&cache->charged, memory_order_relaxed) +
                           atomic_load_explicit(&cache->lent, memory_order_relaxed)) /
                              SHARDS +
                          shard->spare_most;
    const size_t most = shard->capacity - shard->capacity / 4;

    return shard->capacity - (others < most ? others : most);
}

static bool
has_room(const struct block_cache *cache, const struct shard *shard, size_t cost)
    LSMKV_REQUIRES(shard->mutex)
{
    const size_t room = room_of(cache, shard);

    return cost <= room && shard->bytes <= room - cost &&
           shard->count < shard->mask - shard->mask / 8;
}

/* Makes room for `cost` bytes.  False: what is pinned leaves none. */
static bool
make_room(struct block_cache *cache, struct shard *shard, size_t cost)
    LSMKV_REQUIRES(shard->mutex)
{
    size_t steps = (COUNT_MAX / COUNT_ONE + 2) * (shard->mask + 1);

    for (; !has_room(cache, shard, cost); steps--) {
        if (steps == 0)
            return false;
        pass_hand(cache, shard, shard->hand);
        shard->hand = (shard->hand + 1) & shard->mask;
    }
    return true;
}

/* ---- putting in ---- */

/* There is room.  The block is pinned. */
static const struct block *
put_in(struct shard *shard, uint64_t place, uint64_t table, uint64_t offset,
       uint8_t *data, size_t size, size_t allocated) LSMKV_REQUIRES(shard->mutex)
{
    size_t at = home_of(shard, place);
    struct slot *slot = &shard->slots[at];

    while ((atomic_load_explicit(&slot->state, memory_order_relaxed) & IN_USE) != 0) {
        at = (at + 1) & shard->mask;
        slot = &shard->slots[at];
    }
    slot->block = (struct block){data, size};
    slot->buffer = data;
    slot->allocated = allocated;
    atomic_store_explicit(&slot->table, table, memory_order_relaxed);
    atomic_store_explicit(&slot->offset, offset, memory_order_relaxed);
    atomic_store_explicit(&slot->state, IN_USE | COUNT_ONE | PIN_ONE,
                          memory_order_release);
    displace(shard, place, at, 1);
    shard->bytes += cost_of(allocated);
    shard->count++;
    return &slot->block;
}

const struct block *
block_cache_insert(struct block_cache *cache, uint64_t table, uint64_t offset,
                   uint8_t *data, size_t size, size_t allocated)
{
    uint64_t place = place_of(table, offset);
    struct shard *shard = shard_of(cache, place);
    const struct block *pin;
    bool was_there;

    if (allocated > shard->capacity || cost_of(allocated) > shard->capacity)
        return block_cache_detached(cache, data, size, allocated);

    mutex_lock(&shard->mutex);
    pin = find_pinned(shard, place, table, offset);
    was_there = pin != NULL;
    if (!was_there && make_room(cache, shard, cost_of(allocated)))
        pin = put_in(shard, place, table, offset, data, size, allocated);
    mutex_unlock(&shard->mutex);

    if (pin == NULL)
        return block_cache_detached(cache, data, size, allocated);
    if (was_there)
        cache->env->release(cache->env, data, allocated);
    return pin;
}

/* ---- the cache ---- */

static int
shard_init(struct shard *shard, size_t capacity)
{
    size_t count = SLOTS_MIN;

    while (count < capacity / SLOT_BYTES)
        count *= 2;
    mutex_init(&shard->mutex);
    shard->capacity = capacity;
    shard->mask = count - 1;
    /* Zeroed by calloc, so that pages never used are never there. */
    shard->memory = calloc(count + 1, SLOT_SIZE);
    if (shard->memory == NULL)
        return -ENOMEM;
    shard->slots =
        (struct slot *)((uint8_t *)shard->memory + -(uintptr_t)shard->memory % SLOT_SIZE);
    return 0;
}

static void
shard_fini(struct block_cache *cache, struct shard *shard)
{
    struct lsmkv_env *env = cache->env;

    mutex_lock(&shard->mutex);
    for (size_t i = 0; i <= shard->mask && shard->slots != NULL; i++) {
        struct slot *slot = &shard->slots[i];

        if ((atomic_load_explicit(&slot->state, memory_order_acquire) & IN_USE) != 0)
            env->release(env, slot->buffer, slot->allocated);
    }
    for (unsigned i = 0; i < SPARES; i++)
        if (shard->spares[i].buffer != NULL)
            env->release(env, shard->spares[i].buffer, shard->spares[i].allocated);
    mutex_unlock(&shard->mutex);
    mutex_fini(&shard->mutex);
    free(shard->memory);
}

int
block_cache_new(struct lsmkv_env *env, size_t capacity, struct block_cache **cache)
{
    struct block_cache *made = calloc(1, sizeof(*made));
    int result = 0;

    if (made == NULL)
        return -ENOMEM;
    made->env = env;
    made->lent_most =
        capacity / LENT_PART > LENT_LEAST ? capacity / LENT_PART : LENT_LEAST;
    for (size_t i = 0; i < SHARDS; i++)
        if (shard_init(&made->shards[i], capacity / SHARDS) != 0)
            result = -ENOMEM;
    if (result != 0) {
        block_cache_free(made);
        return result;
    }
    *cache = made;
    return 0;
}

void
block_cache_free(struct block_cache *cache)
{
    if (cache == NULL)
        return;
    for (size_t i = 0; i < SHARDS; i++)
        shard_fini(cache, &cache->shards[i]);
    free(cache);
}

void
block_cache_charge(struct block_cache *cache, size_t bytes)
{
    atomic_fetch_add_explicit(&cache->charged, bytes, memory_order_relaxed);
}

void
block_cache_discharge(struct block_cache *cache, size_t bytes)
{
    atomic_fetch_sub_explicit(&cache->charged, bytes, memory_order_relaxed);
}

bool
block_cache_lend(struct block_cache *cache, size_t bytes)
{
    size_t lent = atomic_load_explicit(&cache->lent, memory_order_relaxed);

    do {
        if (lent > cache->lent_most || bytes > cache->lent_most - lent)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(
        &cache->lent, &lent, lent + bytes, memory_order_relaxed, memory_order_relaxed));
    return true;
}

void
block_cache_take_back(struct block_cache *cache, size_t bytes)
{
    atomic_fetch_sub_explicit(&cache->lent, bytes, memory_order_relaxed);
}

size_t
block_cache_capacity(const struct block_cache *cache)
{
    return SHARDS * cache->shards[0].capacity;
}

size_t
block_cache_bytes(struct block_cache *cache)
{
    size_t bytes = 0;

    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &cache->shards[i];

        mutex_lock(&shard->mutex);
        bytes += shard->bytes;
        mutex_unlock(&shard->mutex);
    }
    return bytes;
}
