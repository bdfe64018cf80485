/*
 * left_xattr.c - see left_xattr.h.
 */
#include "vfs/left_xattr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/records.h"

struct lsmkv_slice
left_xattr_name(const struct left_xattr *left)
{
    return lsmkv_bytes(left->bytes, left->name_size);
}

int
left_xattr_value(const struct left_xattr *left, struct lsmkv_slice *value)
{
    *value = lsmkv_bytes(left->bytes + left->name_size, left->value_size);
    return left->unread;
}

static int
add(struct left_xattr **list, struct lsmkv_slice name, struct lsmkv_slice value,
    int unread)
{
    struct left_xattr *left = malloc(sizeof(*left) + name.size + value.size);

    if (!left)
        return -ENOMEM;
    left->name_size = name.size;
    left->value_size = value.size;
    left->unread = unread;
    memcpy(left->bytes, name.data, name.size);
    if (value.size > 0)
        memcpy(left->bytes + name.size, value.data, value.size);
    left->next = *list;
    *list = left;
    return 0;
}

/* A damaged value is no reason to keep the file. */
static int
add_record(struct left_xattr **list, struct lsmkv_iter *iter)
{
    struct lsmkv_slice value = lsmkv_bytes(NULL, 0);
    int unread = lsmkv_iter_value(iter, &value);

    if (unread == -ENOMEM)
        return unread;
    return add(list, record_xattr_name(lsmkv_iter_key(iter)), value, unread);
}

int
left_xattr_load(struct op *op, uint64_t ino, struct left_xattr **out)
{
    struct store *store = op->vfs->store;
    struct left_xattr *list = NULL;
    struct lsmkv_iter *iter;
    int result = record_xattrs(store->db, store->inodes, NULL, ino, &iter);

    if (result < 0)
        return result;
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter) && result == 0;
         lsmkv_iter_next(iter))
        result = add_record(&list, iter);
    if (result == 0)
        result = lsmkv_iter_status(iter);
    lsmkv_iter_free(iter);
    if (result < 0)
        left_xattr_free(list);
    else
        *out = list;
    return result;
}

void
left_xattr_free(struct left_xattr *list)
{
    while (list) {
        struct left_xattr *next = list->next;

        free(list);
        list = next;
    }
}

int
left_xattr_put(struct op *op, uint64_t ino, const struct left_xattr *list)
{
    struct store *store = op->vfs->store;
    int result = 0;

    for (; list && result == 0; list = list->next) {
        struct record_key key = record_xattr(ino, left_xattr_name(list));
        struct lsmkv_slice value;

        result = left_xattr_value(list, &value);
        if (result == 0)
            result = lsmkv_batch_put(op->batch, store->inodes, record_slice(&key),
                                     lsmkv_bytes(NULL, 0), value);
    }
    return result;
}

static struct left_xattr **
slot_of(struct left_xattr **slot, struct lsmkv_slice name)
{
    while (*slot && ((*slot)->name_size != name.size ||
                     memcmp((*slot)->bytes, name.data, name.size) != 0))
        slot = &(*slot)->next;
    return slot;
}

struct left_xattr *
left_xattr_find(struct left_xattr *list, struct lsmkv_slice name)
{
    return *slot_of(&list, name);
}

int
left_xattr_change(struct left_xattr **list, struct lsmkv_slice name,
                  const struct lsmkv_slice *value)
{
    struct left_xattr *old = left_xattr_find(*list, name), **slot;
    int result = value ? add(list, name, *value, 0) : 0;

    if (result < 0 || !old)
        return result;
    for (slot = list; *slot != old; slot = &(*slot)->next)
        continue;
    *slot = old->next;
    free(old);
    return 0;
}
