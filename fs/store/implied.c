/*
 * implied.c - see implied.h.
 */
#include "store/implied.h"

#include "store/attr.h"
#include "store/records.h"

uint64_t
implied_number(const struct store *store, struct lsmkv_slice key, unsigned attempt)
{
    return attr_implied_ino(store->salt + attempt, key);
}

bool
implied_is(uint64_t ino)
{
    return ino >= ATTR_INO_IMPLIED && ino < ATTR_INO_PLAIN;
}

int
implied_in_use(const struct store *store, const struct lsmkv_snapshot *snapshot,
               uint64_t ino)
{
    struct record_key key = record_taken(ino);
    int presence;

    if (!store->inodes)
        return 0; /* never mounted */
    presence = lsmkv_lookup(store->db, store->inodes, snapshot, record_slice(&key), false,
                            NULL, 0, NULL);
    return presence < 0 ? presence : presence == LSMKV_EXACT;
}

int
implied_find(const struct store *store, struct lsmkv_slice key, uint64_t *ino)
{
    uint64_t number = 0;
    int used = 1;

    for (unsigned i = 0; i < IMPLIED_TRIES && used > 0; i++) {
        number = implied_number(store, key, i);
        used = implied_in_use(store, NULL, number);
    }
    if (used < 0)
        return used;
    *ino = number;
    return 0;
}

int
implied_take(const struct store *store, struct lsmkv_batch *batch, uint64_t ino)
{
    struct record_key key = record_taken(ino);

    return lsmkv_batch_put(batch, store->inodes, record_slice(&key), lsmkv_bytes(NULL, 0),
                           lsmkv_bytes(NULL, 0));
}

int
implied_give_back(const struct store *store, struct lsmkv_batch *batch, uint64_t ino)
{
    struct record_key key = record_taken(ino);

    return lsmkv_batch_delete(batch, store->inodes, record_slice(&key));
}
