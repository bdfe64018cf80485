/* counter.c - see counter.h. */
#include "store/counter.h"

#include <errno.h>

#include "common/coding.h"
#include "store/records.h"

void
counter_init(struct counter *counter, const char *name, uint64_t first)
{
    counter->name = name;
    atomic_init(&counter->next, first);
    atomic_init(&counter->bound, first);
    pthread_mutex_init(&counter->reserving, NULL);
}

int
counter_load(struct store *store, struct counter *counter)
{
    uint8_t value[8];
    struct lsmkv_record record;
    int result = lsmkv_get(store->db, store->meta, NULL, lsmkv_str(counter->name), value,
                           sizeof value, &record);
    if (result == -ENOENT)
        return 0;
    if (result)
        return result == -ERANGE ? -EUCLEAN : result;
    if (record.value.size != sizeof value)
        return -EUCLEAN;
    uint64_t bound = get_le64(record.value.data);
    if (bound < atomic_load(&counter->next) || bound > NUMBER_LIMIT)
        return -EUCLEAN;
    atomic_store(&counter->next, bound);
    atomic_store(&counter->bound, bound);
    return 0;
}

/* ---- what there is ---- */

/* The last number of keys from `lower` to before `upper`; 0: there is none, or it cannot be
 * read. */
static uint64_t
last_number(struct store *store, struct lsmkv_keyspace *keyspace,
            struct lsmkv_slice lower, struct lsmkv_slice upper)
{
    struct lsmkv_iter_options options = {
        .lower = lower, .upper = upper, .lazy_values = true};
    struct lsmkv_iter *iter;
    uint64_t number = 0, index;
    unsigned fragment;
    if (lsmkv_iter_new(store->db, keyspace, &options, &iter))
        return 0;
    for (lsmkv_iter_last(iter); lsmkv_iter_valid(iter) && number == 0;
         lsmkv_iter_prev(iter)) {
        struct lsmkv_slice key = lsmkv_iter_key(iter);
        if (keyspace == store->inodes)
            number = record_number_of(key);
        else if (!chunk_key_decode(key, &number, &index, &fragment))
            number = 0;
    }
    lsmkv_iter_free(iter);
    return number;
}

/* `number` is of a key that is not below the next one; 0: there is none. */
static void
pass(struct counter *counter, uint64_t number)
{
    if (number > 0)
        atomic_store(&counter->next, number + 1);
}

/* Looks only where no number was given out yet: nothing is there, not even what was
 * deleted. */
void
counters_pass_records(struct store *store, struct counter *inodes,
                      struct counter *data_ids)
{
    static const struct {
        enum record_tag tag;
        bool of_data;
    } tags[] = {{RECORD_INODE, false},
                {RECORD_XATTR, false},
                {RECORD_ORPHAN, true},
                {RECORD_TRIM, true}};
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
        struct counter *counter = tags[i].of_data ? data_ids : inodes;
        struct record_key lower = record_tag_begin(tags[i].tag), upper = lower;
        lower.size = upper.size = 9;
        put_be64(lower.bytes + 1, atomic_load(&counter->next));
        put_be64(upper.bytes + 1, NUMBER_LIMIT);
        pass(counter, last_number(store, store->inodes, record_slice(&lower),
                                  record_slice(&upper)));
    }
    struct chunk_key first = chunk_key(atomic_load(&data_ids->next), 0, 0);
    struct chunk_key end = chunk_key(NUMBER_LIMIT, 0, 0);
    pass(data_ids,
         last_number(store, store->chunks, chunk_slice(&first), chunk_slice(&end)));
}

/* ---- giving out ---- */

/* Moves the bound past `number`.  -EUCLEAN: a damaged store, whose numbers are at an end. */
static int
counter_reserve(struct store *store, struct counter *counter, uint64_t number)
{
    int result = 0;
    if (number > NUMBER_LIMIT - COUNTER_BLOCK)
        return -EUCLEAN;
    pthread_mutex_lock(&counter->reserving);
    if (number >= atomic_load(&counter->bound)) {
        uint8_t value[8];
        uint64_t bound = number + COUNTER_BLOCK;
        put_le64(value, bound);
        result = lsmkv_put(store->db, store->meta, lsmkv_str(counter->name),
                           lsmkv_bytes(NULL, 0), lsmkv_bytes(value, sizeof value), 0);
        if (result == 0)
            atomic_store(&counter->bound, bound);
    }
    pthread_mutex_unlock(&counter->reserving);
    return result;
}

int
counter_take(struct store *store, struct counter *counter, uint64_t *number)
{
    uint64_t taken = atomic_fetch_add(&counter->next, 1);
    int result = 0;
    if (taken >= atomic_load(&counter->bound))
        result = counter_reserve(store, counter, taken);
    if (result == 0)
        *number = taken;
    return result;
}

void
counter_keep_ahead(struct store *store, struct counter *counter)
{
    uint64_t next = atomic_load(&counter->next), bound = atomic_load(&counter->bound);
    if (next + COUNTER_BLOCK / 2 < bound || next == bound)
        return;
    int result = counter_reserve(store, counter, next + COUNTER_BLOCK);
    if (result)
        store_log(store, LSMKV_LOG_WARNING, "cannot reserve numbers of '%s': %s",
                  counter->name, lsmkv_strerror(result));
}

void
counter_salvage(struct store *store, struct counter *counter)
{
    uint8_t value[8];
    struct lsmkv_record record;
    uint64_t bound = NUMBER_LIMIT;
    int result = lsmkv_get(store->db, store->meta, NULL, lsmkv_str(counter->name), value,
                           sizeof value, &record);
    if (result == 0 && record.value.size == sizeof value)
        bound = get_le64(record.value.data);
    atomic_store(&counter->next, bound);
    atomic_store(&counter->bound, bound);
}
