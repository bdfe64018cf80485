/* index.c - building, decoding and searching a table's index; see index.h. */
#include "table/index.h"

#include <errno.h>
#include <stdlib.h>

#include "base/coding.h"

int
index_separator(enum lsmkv_order order, struct lsmkv_slice left, struct lsmkv_slice right,
                struct keybuf *separator)
{
    struct lsmkv_slice user = internal_user_key(right);
    struct lsmkv_slice prefix = lsmkv_bytes(user.data, 0);

    if (left.size > 0) {
        struct lsmkv_slice before = internal_user_key(left);

        if (slice_equal(before, user))
            return keybuf_set(separator, right); /* X3 */
        prefix.size = key_separator_size(order, before, user);
    }
    return keybuf_set_internal(separator, prefix, SEPARATOR_TRAILER >> 8,
                               (uint8_t)SEPARATOR_TRAILER);
}

int
index_add(struct block_builder *builder, struct lsmkv_slice separator, uint32_t size,
          uint64_t largest_sequence)
{
    uint8_t payload[VARINT32_MAX + VARINT64_MAX];
    uint8_t *end = put_varint(put_varint(payload, size), largest_sequence);

    return block_builder_add(builder, separator,
                             lsmkv_bytes(payload, (size_t)(end - payload)));
}

/* ---- decoding ---- */

/* What the entries need, and whether they hold together. */
struct index_sizes {
    size_t count;
    size_t separators;
};

static int
wrong(const char *what, const char **problem)
{
    *problem = what;
    return -EUCLEAN;
}

/* Parses the payload of the entry under the cursor; `entry->offset` is set by the
 * caller. */
static int
decode_entry(const struct block_iter *it, struct index_entry *entry)
{
    struct reader reader = reader_of(it->entry.payload);

    entry->size = read_varint32(&reader);
    entry->largest_sequence = read_varint(&reader);
    entry->trailer = internal_trailer(it->entry.key);
    if (reader.failed || reader_left(&reader) != 0 ||
        entry->largest_sequence > SEQUENCE_MAX)
        return -EUCLEAN;
    return 0;
}

/* Each is a prefix of a key that its own block holds whole; and B1 of block.h. */
static uint64_t
separators_limit(size_t index_size, uint64_t raw_limit)
{
    const uint64_t most = (uint64_t)index_size * BLOCK_RESTART_INTERVAL;

    return most < raw_limit ? most : raw_limit;
}

/* Walks all entries: order, sizes against the file's, and what must be allocated. */
static int
measure(struct block_iter *it, uint64_t data_limit, uint64_t limit,
        struct index_sizes *sizes, const char **problem)
{
    struct keybuf last = {0};
    uint64_t offset = 0;
    int result = 0;

    for (block_iter_first(it); result == 0 && it->valid; block_iter_next(it)) {
        struct index_entry entry;

        if (decode_entry(it, &entry) != 0)
            result = wrong("an entry of the index is malformed", problem);
        else if (last.size > 0 &&
                 internal_key_compare(it->order, keybuf_slice(&last), it->entry.key) >= 0)
            result = wrong("the index is out of order", problem);
        else if (entry.size > data_limit - offset ||
                 BLOCK_TRAILER_SIZE > data_limit - offset - entry.size)
            result = wrong("the index names blocks beyond the data", problem);
        else
            result = keybuf_set(&last, it->entry.key);
        offset += (uint64_t)entry.size + BLOCK_TRAILER_SIZE;
        sizes->count++;
        sizes->separators += it->entry.key.size - KEY_TRAILER_SIZE;
        if (result == 0 && sizes->separators > limit)
            result = wrong("the index holds more than it can", problem);
    }
    keybuf_fini(&last);
    if (result == 0 && it->status == -EUCLEAN)
        return wrong("the index is malformed", problem);
    return result != 0 ? result : it->status;
}

static void
fill(struct block_iter *it, struct table_index *index)
{
    uint8_t *next = index->separators;
    struct index_entry *entry = index->entries;

    for (block_iter_first(it); it->valid; block_iter_next(it), entry++) {
        struct lsmkv_slice user = internal_user_key(it->entry.key);

        (void)decode_entry(it, entry); /* measure() found it good */
        memcpy(next, user.data, user.size);
        entry->separator = next;
        entry->separator_size = (uint32_t)user.size;
        entry->offset = index->data_end;
        index->data_end += (uint64_t)entry->size + BLOCK_TRAILER_SIZE;
        next += user.size;
    }
    index->count = (size_t)(entry - index->entries);
}

static void
fill_ranks(enum lsmkv_order order, struct table_index *index)
{
    const struct index_entry *entries = index->entries;
    size_t last = index->count - 1;

    if (index->count < 2)
        return;
    /* Sorted: what the first and the last share, all do. */
    index->shared = entries[1].separator_size < entries[last].separator_size
                        ? entries[1].separator_size
                        : entries[last].separator_size;
    index->shared =
        key_common_size(entries[1].separator, entries[last].separator, index->shared);
    for (size_t i = 1; i <= last; i++)
        index->ranks.levels[0][i - 1] =
            key_rank(order, index_entry_separator(&entries[i]), index->shared);
    ranks_build(&index->ranks);
}

int
table_index_decode(struct lsmkv_slice contents, enum lsmkv_order order,
                   uint64_t data_limit, uint64_t raw_limit, struct table_index *index,
                   const char **problem)
{
    struct block_iter it = {0};
    struct index_sizes sizes = {0};
    struct table_index made = {0};
    int result;

    *problem = "out of memory";
    result = block_iter_set(&it, order, contents);
    if (result != 0)
        return wrong("the index is malformed", problem);
    result = measure(&it, data_limit, separators_limit(contents.size, raw_limit), &sizes,
                     problem);
    if (result != 0)
        goto out;
    made.entries = calloc(sizes.count, sizeof(*made.entries));
    made.separators = malloc(sizes.separators + 1); /* one may be empty */
    result = made.entries == NULL || made.separators == NULL
                 ? -ENOMEM
                 : ranks_reserve(&made.ranks, sizes.count > 0 ? sizes.count - 1 : 0);
    if (result != 0) {
        table_index_fini(&made);
        goto out;
    }
    fill(&it, &made);
    if (it.status != 0) { /* no memory for a key */
        table_index_fini(&made);
        result = it.status;
        goto out;
    }
    fill_ranks(order, &made);
    made.memory =
        made.count * sizeof(*made.entries) + made.ranks.bytes + sizes.separators;
    *index = made;
out:
    block_iter_fini(&it);
    return result;
}

void
table_index_fini(struct table_index *index)
{
    free(index->entries);
    free(index->separators);
    ranks_fini(&index->ranks);
}

/* ---- searching ---- */

static bool
is_at_or_before(const struct index_entry *entry, enum lsmkv_order order,
                struct lsmkv_slice user, uint64_t trailer)
{
    int compared = key_compare(order, index_entry_separator(entry), user);

    return compared < 0 || (compared == 0 && entry->trailer >= trailer);
}

/* The entries whose rank is `rank`, from *low up to *high: mostly none or one, side by
 * side. */
static void
find_ranked(const struct table_index *index, uint64_t rank, size_t *low, size_t *high)
{
    const uint64_t *numbers = index->ranks.levels[0];
    size_t at = ranks_find(&index->ranks, rank), end = at;

    while (end < index->ranks.count && numbers[end] == rank && end - at < RANKS_LINE)
        end++;
    if (end - at == RANKS_LINE)
        end =
            rank == UINT64_MAX ? index->ranks.count : ranks_find(&index->ranks, rank + 1);
    *low = at + 1; /* the first entry has no rank */
    *high = end + 1;
}

size_t
table_index_find(const struct table_index *index, enum lsmkv_order order,
                 struct lsmkv_slice internal)
{
    struct lsmkv_slice user = internal_user_key(internal);
    uint64_t trailer = internal_trailer(internal);
    size_t low, high;

    if (index->count < 2)
        return 0;
    if (user.size < index->shared ||
        memcmp(user.data, index->entries[1].separator, index->shared) != 0)
        return key_compare(order, user, index_entry_separator(&index->entries[1])) < 0
                   ? 0
                   : index->count - 1;
    find_ranked(index, key_rank(order, user, index->shared), &low, &high);
    while (low < high) { /* the first that is after it */
        size_t middle = low + (high - low) / 2;

        if (is_at_or_before(&index->entries[middle], order, user, trailer))
            low = middle + 1;
        else
            high = middle;
    }
    return low - 1;
}
