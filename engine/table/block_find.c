/*
 * block_find.c - one key sought in a block, without putting its keys together.
 *
 * Bisection of the restart points, whose keys are whole, finds where to begin.  From
 * there on each entry says how many bytes it shares with the one before, and the search
 * knows how many bytes that one had in common with the target, and that it sorts before
 * it:
 *
 *     shared > same    the entry agrees with the one before where that and the target part, so
 *                      it sorts before the target too: its bytes are not looked at
 *     shared <= same   the entry agrees with the target in `shared` bytes; what follows is
 *                      compared with what follows in the target
 *
 * A shared run may reach into the trailer of the key before.  Where that decides
 * anything, the cursor of block.c is asked instead, but for the versions of one user key,
 * which are common.
 */
#include <errno.h>

#include "base/coding.h"
#include "table/block.h"

enum { CACHE_LINE = 64, PREFETCHED = 16 * CACHE_LINE };

struct target {
    enum lsmkv_order order;
    const uint8_t *user;
    size_t size;
    uint64_t trailer;
};

/* An entry as it stands in the block. */
struct head {
    size_t shared, rest;
    const uint8_t *key; /* `rest` bytes */
    struct lsmkv_slice payload;
    const uint8_t *end;
};

/* What is known of the entry before. */
struct before {
    size_t size;      /* of its user key */
    size_t same;      /* bytes of it that are the target's */
    uint64_t trailer; /* if all of both are */
};

enum side {
    SIDE_BEFORE, /* sorts before the target */
    SIDE_FOUND,  /* at or after it, the same user key */
    SIDE_AFTER,  /* at or after it, another user key */
    SIDE_ASK,    /* the cursor has to tell */
};

static inline size_t
smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- an entry ---- */

/* The general case of the three lengths. */
static const uint8_t *
read_long_lengths(const uint8_t *next, const uint8_t *end, uint32_t lengths[3])
{
    struct reader reader = {next, end, false};

    for (size_t i = 0; i < 3; i++)
        lengths[i] = read_varint32(&reader);
    return reader.failed ? NULL : reader.next;
}

/* Nearly always the lengths of the key are of one byte, that of the payload of one or
 * two. */
static inline const uint8_t *
read_lengths(const uint8_t *next, const uint8_t *end, uint32_t lengths[3])
{
    if (end - next < 4 || (next[0] | next[1]) >= 0x80)
        return read_long_lengths(next, end, lengths);
    lengths[0] = next[0];
    lengths[1] = next[1];
    lengths[2] = next[2];
    if (next[2] < 0x80)
        return next + 3;
    if (next[3] == 0 || next[3] >= 0x80)
        return read_long_lengths(next, end, lengths);
    lengths[2] = (next[2] & 0x7fu) | (uint32_t)next[3] << 7;
    return next + 4;
}

/* Behind a key of `before` bytes, 0 at a restart point (B1).  False: no entry (B3). */
static inline bool
read_head(const uint8_t *next, const uint8_t *end, size_t before, struct head *head)
{
    uint32_t lengths[3];

    next = read_lengths(next, end, lengths);
    if (next == NULL || lengths[1] > (size_t)(end - next) ||
        lengths[2] > (size_t)(end - next) - lengths[1] || lengths[0] > before ||
        lengths[1] > LSMKV_KEY_MAX + KEY_TRAILER_SIZE - lengths[0] ||
        lengths[0] + lengths[1] < KEY_TRAILER_SIZE)
        return false;
    head->shared = lengths[0];
    head->rest = lengths[1];
    head->key = next;
    head->payload = lsmkv_bytes(next + lengths[1], lengths[2]);
    head->end = next + lengths[1] + lengths[2];
    return true;
}

static inline size_t
user_size(const struct head *head)
{
    return head->shared + head->rest - KEY_TRAILER_SIZE;
}

/* ---- comparing ---- */

/* Whether the entry shares with the one before the byte at which that and the target
 * part: then it sorts before the target too. */
static inline bool
goes_with(const struct head *head, struct before *before)
{
    if (head->shared <= before->same || before->same == before->size)
        return false;
    before->size = user_size(head);
    before->same = smaller(before->same, before->size);
    return true;
}

/* Both user keys are the target's. */
static enum side
side_of_version(const struct target *target, uint64_t trailer, struct before *before)
{
    before->trailer = trailer;
    return trailer > target->trailer ? SIDE_BEFORE : SIDE_FOUND;
}

/* The entry shares all of the user key before, which is how the target begins, and
 * more. */
static enum side
side_behind_prefix(const struct target *target, const struct head *head,
                   struct before *before)
{
    uint8_t trailer[KEY_TRAILER_SIZE];

    if (user_size(head) != before->size || before->size != target->size)
        return SIDE_ASK;
    put_u64(trailer, before->trailer);
    memcpy(trailer + (KEY_TRAILER_SIZE - head->rest), head->key, head->rest);
    return side_of_version(target, get_u64(trailer), before);
}

static enum side
side_of(const struct target *target, const struct head *head, struct before *before)
{
    size_t size = user_size(head), same;

    if (head->shared > before->same)
        return side_behind_prefix(target, head, before);
    before->size = size;
    before->same = size;
    if (size < head->shared) /* the beginning of the target */
        return SIDE_BEFORE;
    same = head->shared + key_common_size(head->key, target->user + head->shared,
                                          smaller(size, target->size) - head->shared);
    before->same = same;
    if (same == target->size) {
        if (same < size)
            return SIDE_AFTER;
        return side_of_version(target, get_u64(head->key + head->rest - KEY_TRAILER_SIZE),
                               before);
    }
    if (same == size)
        return SIDE_BEFORE;
    return key_byte_rank(target->order, head->key[same - head->shared]) <
                   key_byte_rank(target->order, target->user[same])
               ? SIDE_BEFORE
               : SIDE_AFTER;
}

/* Whether an entry that sorts after the target is below it, as key_is_below has it. */
static bool
is_below(const struct target *target, const struct head *head,
         const struct before *before)
{
    if (target->size == 0)
        return true;
    return before->same == target->size && head->key[target->size - head->shared] == '/';
}

/* ---- searching ---- */

/* Each entry says where the next one is, so the processor would wait for one cache line
 * after the other; asked for together they come together. */
static inline void
prefetch(const uint8_t *from, const uint8_t *end)
{
    if (end - from > PREFETCHED)
        end = from + PREFETCHED;
    for (; from < end; from += CACHE_LINE)
        __builtin_prefetch(from);
}

static int
found_nothing(struct block_found *found, bool at_end, bool below)
{
    found->at_end = at_end;
    found->below = below;
    return -ENOENT;
}

/* By the cursor, which is pointed at the block. */
static int
ask_cursor(struct block_iter *it, struct lsmkv_slice internal, struct block_found *found)
{
    struct lsmkv_slice user = internal_user_key(internal), next;
    int result;

    block_iter_seek(it, internal);
    if (!it->valid) {
        result = it->status != 0 ? it->status : found_nothing(found, true, false);
    } else {
        next = internal_user_key(it->entry.key);
        if (slice_equal(next, user)) {
            found->trailer = internal_trailer(it->entry.key);
            found->payload = it->entry.payload;
            result = 0;
        } else {
            result = found_nothing(found, false, key_is_below(next, user));
        }
    }
    block_iter_fini(it);
    return result;
}

static bool
restart_head(const struct block_iter *it, size_t i, struct head *head)
{
    uint32_t offset = get_u32(it->data + it->entries_end + i * 4);

    return offset < it->entries_end &&
           read_head(it->data + offset, it->data + it->entries_end, 0, head);
}

/* The last restart point before the target, or the first; false: damage. */
static bool
bisect(const struct block_iter *it, const struct target *target, struct head *head,
       struct before *before, enum side *side)
{
    size_t low = 0, high = it->restarts - 1;

    while (low < high) {
        size_t middle = high - (high - low) / 2;

        *before = (struct before){0};
        if (!restart_head(it, middle, head))
            return false;
        if (side_of(target, head, before) == SIDE_BEFORE)
            low = middle;
        else
            high = middle - 1;
    }
    *before = (struct before){0};
    if (!restart_head(it, low, head))
        return false;
    *side = side_of(target, head, before);
    return true;
}

int
block_find(enum lsmkv_order order, struct lsmkv_slice contents,
           struct lsmkv_slice internal, struct block_found *found)
{
    struct lsmkv_slice user = internal_user_key(internal);
    struct target target = {order, user.data, user.size, internal_trailer(internal)};
    struct block_iter it = {0};
    struct before before;
    struct head head;
    enum side side;
    const uint8_t *end;
    int result = block_iter_set(&it, order, contents);

    if (result != 0)
        return result;
    if (!bisect(&it, &target, &head, &before, &side))
        return -EUCLEAN;
    end = it.data + it.entries_end;
    if (side == SIDE_BEFORE)
        prefetch(head.end, end);
    while (side == SIDE_BEFORE) {
        if (head.end == end)
            return found_nothing(found, true, false);
        if (!read_head(head.end, end, before.size + KEY_TRAILER_SIZE, &head))
            return -EUCLEAN;
        if (!goes_with(&head, &before))
            side = side_of(&target, &head, &before);
    }
    if (side == SIDE_ASK)
        return ask_cursor(&it, internal, found);
    if (side == SIDE_AFTER)
        return found_nothing(found, false, is_below(&target, &head, &before));
    found->trailer = before.trailer;
    found->payload = head.payload;
    return 0;
}
