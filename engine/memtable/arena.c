/*
 * arena.c - see arena.h.
 *
 * A reservation that the current block cannot meet is a second block, the spare.  Pieces
 * still go to the current block while they fit; the first that does not makes the spare
 * the current one.  What was allocated since the reservation fitted elsewhere, so the
 * rest fits the spare (A2), and each change of blocks loses less than one piece.
 *
 * Pieces that fill lines are cut from the end of a block, the others from its front:
 * neither kind loses space to the other's alignment.
 */
#include "memtable/arena.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>

#define BLOCK_MIN ((size_t)4 << 10)
#define BLOCK_MAX ((size_t)1 << 20)
#define OWN_BLOCK (BLOCK_MAX / 8) /* pieces above this do not share */

/* The head of a block; its size is a multiple of ARENA_ALIGNMENT. */
struct arena_block {
    struct arena_block *next;
    size_t size; /* this head included */
};

static_assert(sizeof(struct arena_block) % ARENA_ALIGNMENT == 0, "pieces are aligned");

void
arena_init(struct arena *arena, struct block_pool *pool)
{
    *arena = (struct arena){.pool = pool, .block_size = BLOCK_MIN};
}

void
arena_fini(struct arena *arena)
{
    struct arena_block *block = arena->blocks;

    while (block != NULL) {
        struct arena_block *next = block->next;

        pool_give(arena->pool, block, block->size);
        block = next;
    }
    arena_init(arena, arena->pool);
}

static struct arena_room
block_room(struct arena_block *block)
{
    struct arena_room room = {(uint8_t *)block + sizeof(*block),
                              block->size - sizeof(*block)};

    room.left -= ((uintptr_t)block + block->size) % ARENA_LINE;
    return room;
}

static void
add_memory(struct arena *arena, size_t size)
{
    size_t memory = atomic_load_explicit(&arena->memory, memory_order_relaxed);

    atomic_store_explicit(&arena->memory, memory + size, memory_order_relaxed);
}

/* A block of `size` bytes, its head included. */
static struct arena_block *
take_block(struct arena *arena, size_t size)
{
    struct arena_block *block = pool_take(arena->pool, &size);

    if (block == NULL)
        return NULL;
    block->size = size;
    block->next = arena->blocks;
    arena->blocks = block;
    add_memory(arena, size);
    return block;
}

/* The size of a shared block that has room for `size` bytes. */
static size_t
shared_block_size(struct arena *arena, size_t size)
{
    size_t need = size + sizeof(struct arena_block) + ARENA_LINE;
    size_t block_size = arena->block_size;

    if (arena->block_size < BLOCK_MAX)
        arena->block_size *= 2;
    return need > block_size ? need : block_size;
}

static size_t
round_up(size_t size, size_t alignment)
{
    return (size + alignment - 1) & ~(alignment - 1);
}

static void *
cut_front(struct arena_room *room, size_t size)
{
    void *piece = room->next;

    room->next += size;
    room->left -= size;
    return piece;
}

static void *
cut_back(struct arena_room *room, size_t size)
{
    room->left -= size;
    return room->next + room->left;
}

static void
use_spare(struct arena *arena)
{
    arena->current = arena->spare;
    arena->spare = (struct arena_room){0};
    arena->spare_block = NULL;
}

/* Sees to it that the current block has `size` bytes. */
static bool
make_room(struct arena *arena, size_t size)
{
    struct arena_block *block;

    if (size <= arena->current.left)
        return true;
    if (size <= arena->spare.left) {
        use_spare(arena);
        return true;
    }
    block = take_block(arena, shared_block_size(arena, size));
    if (block == NULL)
        return false;
    arena->current = block_room(block);
    return true;
}

void *
arena_allocate(struct arena *arena, size_t size)
{
    size = round_up(size, ARENA_ALIGNMENT);
    if (size > OWN_BLOCK && size > arena->current.left && size > arena->spare.left) {
        struct arena_block *block = take_block(arena, size + sizeof(*block));

        return block == NULL ? NULL : block + 1; /* and the current one goes on */
    }
    return make_room(arena, size) ? cut_front(&arena->current, size) : NULL;
}

void *
arena_allocate_lines(struct arena *arena, size_t size)
{
    size = round_up(size, ARENA_LINE);
    return make_room(arena, size) ? cut_back(&arena->current, size) : NULL;
}

/* The spare has not been cut, so nobody holds a piece of it. */
static void
release_spare(struct arena *arena)
{
    struct arena_block **link = &arena->blocks;
    struct arena_block *block = arena->spare_block;

    if (block == NULL)
        return;
    while (*link != block)
        link = &(*link)->next;
    *link = block->next;
    add_memory(arena, (size_t)0 - block->size);
    pool_give(arena->pool, block, block->size);
}

int
arena_reserve(struct arena *arena, size_t size)
{
    struct arena_block *block;

    if (size <= arena->current.left || size <= arena->spare.left)
        return 0;
    block = take_block(arena, shared_block_size(arena, round_up(size, ARENA_LINE)));
    if (block == NULL)
        return -ENOMEM;
    release_spare(arena);
    arena->spare = block_room(block);
    arena->spare_block = block;
    return 0;
}

size_t
arena_memory(const struct arena *arena)
{
    return atomic_load_explicit(&arena->memory, memory_order_relaxed);
}
