/* batch_api.c - the public functions that build a batch. */
#include <errno.h>
#include <stdlib.h>

#include "db/db.h"

/* Ids are never reused, and the default keyspace is the first. */
#define DEFAULT_KEYSPACE_ID 0u

static uint32_t
id_of(const struct lsmkv_keyspace *keyspace)
{
    return keyspace != NULL ? keyspace->id : DEFAULT_KEYSPACE_ID;
}

/* Path order keeps the time of a put; plain byte order does without its 8 bytes. */
static uint8_t
put_kind(const struct lsmkv_keyspace *keyspace)
{
    return keyspace == NULL || keyspace->order == LSMKV_ORDER_PATH ? KIND_PUT_TIMED
                                                                   : KIND_PUT;
}

int
lsmkv_batch_new(struct lsmkv_batch **out)
{
    struct lsmkv_batch *batch = malloc(sizeof(*batch));

    if (batch == NULL)
        return -ENOMEM;
    batch_init(batch);
    *out = batch;
    return 0;
}

void
lsmkv_batch_free(struct lsmkv_batch *batch)
{
    if (batch == NULL)
        return;
    batch_fini(batch);
    free(batch);
}

void
lsmkv_batch_clear(struct lsmkv_batch *batch)
{
    batch_clear(batch);
}

size_t
lsmkv_batch_count(const struct lsmkv_batch *batch)
{
    return batch->count;
}

size_t
lsmkv_batch_size(const struct lsmkv_batch *batch)
{
    return batch->size;
}

int
lsmkv_batch_put(struct lsmkv_batch *batch, struct lsmkv_keyspace *keyspace,
                struct lsmkv_slice key, struct lsmkv_slice attributes,
                struct lsmkv_slice value)
{
    struct lsmkv_record record = {.attributes = attributes, .value = value};

    return batch_add(batch, id_of(keyspace), put_kind(keyspace), key, &record);
}

int
lsmkv_batch_put_held(struct lsmkv_batch *batch, struct lsmkv_keyspace *keyspace,
                     struct lsmkv_slice key, struct lsmkv_slice attributes,
                     const struct lsmkv_held *held)
{
    return lsmkv_batch_put(batch, keyspace, key, attributes,
                           lsmkv_held_record(held)->value);
}

int
lsmkv_batch_delete(struct lsmkv_batch *batch, struct lsmkv_keyspace *keyspace,
                   struct lsmkv_slice key)
{
    return batch_add(batch, id_of(keyspace), KIND_DELETE, key, NULL);
}
