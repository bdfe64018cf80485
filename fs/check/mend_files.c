/*
 * mend_files.c - mending what belongs to whom: lost+found, and numbers that two records
 * claim.
 *
 * O1  A file's name and its inode record, or two names, have one inode number if an older
 *     version came back: of a name that was removed, or of a file before it got a second
 *     name.  The inode record is right, or else the newer one of two names.
 * O2  An orphan's record that is newer than the file's says that the file was removed.
 * O3  Files with numbers of their own have one data id only if something other than a loss
 *     went wrong, and nothing tells whose the contents are: each has them from then on.
 *     Left as they are, the end of one would take the other's.
 */
#include "check/mend_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/chunks.h"
#include "store/records.h"

#define FOLDERS_MAX 100u /* names that are tried for lost+found, and in it */
#define WHERE_SIZE  1024u

/* ---- lost+found ---- */

static int
make_folder(struct mend *mend)
{
    struct store *store = mend->store;
    struct attr attr;
    uint64_t ino;
    int result = store_new_ino(store, &ino);
    if (result)
        return result;
    attr_init(&attr, S_IFDIR | 0700, store->defaults.uid, store->defaults.gid, ino,
              store_now());
    result = mend_put_attr(mend, store->files, lsmkv_str(mend->folder), &attr, NULL);
    return result ? result : mend_write(mend);
}

static bool
is_directory(struct mend *mend, const char *key)
{
    struct lsmkv_held *held;
    struct attr attr;
    int result =
        lsmkv_get_held(mend->store->db, mend->store->files, NULL, lsmkv_str(key), &held);
    if (result)
        return false;
    result = attr_decode(lsmkv_held_record(held), &mend->store->defaults, &attr);
    lsmkv_held_release(held);
    return result == 0 && S_ISDIR(attr.mode);
}

/* Sets mend->folder to a directory that there is then. */
static int
need_folder(struct mend *mend)
{
    struct store *store = mend->store;
    for (unsigned i = 0; i < FOLDERS_MAX && mend->folder[0] == '\0'; i++) {
        char name[sizeof mend->folder] = "lost+found";
        if (i > 0)
            snprintf(name, sizeof name, "lost+found-%u", i);
        int presence = lsmkv_lookup(store->db, store->files, NULL, lsmkv_str(name), false,
                                    NULL, 0, NULL);
        if (presence < 0)
            return presence;
        if (presence == LSMKV_EXACT && !is_directory(mend, name))
            continue;
        snprintf(mend->folder, sizeof mend->folder, "%s", name);
        if (presence == LSMKV_ABSENT)
            return make_folder(mend);
    }
    return mend->folder[0] == '\0' ? -EEXIST : 0;
}

/* A key in lost+found that there is not. */
static int
free_name(struct mend *mend, const char *what, uint64_t number, char *key, size_t size)
{
    struct store *store = mend->store;
    int result = need_folder(mend);
    for (unsigned i = 0; i < FOLDERS_MAX && result == 0; i++) {
        int length = snprintf(key, size, "%s/%s-%llu", mend->folder, what,
                              (unsigned long long)number);
        if (i > 0)
            snprintf(key + length, size - (size_t)length, "-%u", i);
        int presence = lsmkv_lookup(store->db, store->files, NULL, lsmkv_str(key), false,
                                    NULL, 0, NULL);
        if (presence <= 0)
            return presence;
    }
    return result ? result : -EEXIST;
}

static int
put_reference(struct mend *mend, struct lsmkv_slice key, const struct attr *shared)
{
    struct attr reference;
    attr_init(&reference, shared->mode & S_IFMT, 0, 0, shared->ino, shared->ctime);
    reference.data.kind = ATTR_REFERENCE;
    return mend_put_attr(mend, mend->store->files, key, &reference, NULL);
}

int
mend_name_inode(struct mend *mend, const struct mend_item *item)
{
    struct store *store = mend->store;
    struct record_key inode = record_inode(item->number);
    struct lsmkv_held *held;
    struct attr attr;
    char key[128], text[192];
    int result = free_name(mend, "inode", item->number, key, sizeof key);
    if (result == 0)
        result =
            lsmkv_get_held(store->db, store->inodes, NULL, record_slice(&inode), &held);
    if (result)
        return result;
    result = attr_decode(lsmkv_held_record(held), &store->defaults, &attr);
    if (result == 0) {
        attr.nlink = 1;
        result = mend_put_attr(mend, store->inodes, record_slice(&inode), &attr, held);
    }
    if (result == 0)
        result = put_reference(mend, lsmkv_str(key), &attr);
    if (result == 0)
        result = mend_write(mend);
    lsmkv_held_release(held);
    snprintf(text, sizeof text, "the file had lost its name, and is %s now", key);
    if (result == 0)
        mend_say(mend, item->where, text);
    return result;
}

/* How far the contents of a data id reach, and how many chunks they are. */
static int
measure(struct mend *mend, uint64_t id, struct attr_data *data)
{
    struct lsmkv_iter *iter;
    uint64_t index, last = UINT64_MAX, found_id;
    uint32_t end, total;
    unsigned fragment;
    int result = chunks_iter(mend->store, NULL, id, 0, UINT64_MAX, &iter);
    if (result)
        return result;
    *data = (struct attr_data){.kind = ATTR_CHUNKS, .id = id};
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter); lsmkv_iter_next(iter)) {
        if (!chunk_key_decode(lsmkv_iter_key(iter), &found_id, &index, &fragment))
            continue;
        data->chunks += index != last;
        last = index;
        if (chunks_record_decode(lsmkv_iter_record(iter), fragment, &end, &total))
            end = CHUNK_SIZE; /* it cannot be read; nor shall it be cut off */
        if (index * CHUNK_SIZE + end > data->size)
            data->size = index * CHUNK_SIZE + end;
    }
    result = lsmkv_iter_status(iter);
    lsmkv_iter_free(iter);
    return result;
}

int
mend_name_contents(struct mend *mend, const struct mend_item *item)
{
    struct store *store = mend->store;
    struct attr attr;
    uint64_t ino;
    char key[128], text[192];
    int result = free_name(mend, "data", item->number, key, sizeof key);
    if (result == 0)
        result = store_new_ino(store, &ino);
    if (result)
        return result;
    attr_init(&attr, S_IFREG | 0600, store->defaults.uid, store->defaults.gid, ino,
              store_now());
    result = measure(mend, item->number, &attr.data);
    if (result == 0)
        result = mend_put_attr(mend, store->files, lsmkv_str(key), &attr, NULL);
    if (result == 0)
        result = mend_write(mend);
    snprintf(text, sizeof text, "the contents had lost their file, and are %s now", key);
    if (result == 0)
        mend_say(mend, item->where, text);
    return result;
}

/* A file of which nothing is known: it cannot be read, but removed. */
static int
put_lost_file(struct mend *mend, uint64_t ino)
{
    struct store *store = mend->store;
    struct record_key inode = record_inode(ino);
    struct attr attr;
    attr_init(&attr, S_IFREG, store->defaults.uid, store->defaults.gid, ino, store_now());
    attr.data = (struct attr_data){.kind = ATTR_CHUNKS, .size = CHUNK_SIZE, .chunks = 1};
    int result = store_new_data_id(store, &attr.data.id);
    if (result == 0)
        result = chunks_put_lost(store, mend->batch, attr.data.id, 0);
    if (result == 0)
        result = mend_put_attr(mend, store->inodes, record_slice(&inode), &attr, NULL);
    return result ? result : mend_write(mend);
}

int
mend_lost_inode(struct mend *mend, const struct mend_item *item)
{
    struct store *store = mend->store;
    struct record_key inode = record_inode(item->number);
    struct lsmkv_slice key = lsmkv_bytes(item->key, item->key_size);
    int result = lsmkv_lookup(store->db, store->inodes, NULL, record_slice(&inode), false,
                              NULL, 0, NULL);
    if (result < 0)
        return result;
    if (!S_ISREG(item->value)) {
        result = lsmkv_batch_delete(mend->batch, store->files, key);
        if (result == 0)
            result = mend_write(mend);
        if (result == 0)
            mend->report->lost(mend->report->context, item->where,
                               "removed: what it was is lost");
        return result;
    }
    result = result == LSMKV_ABSENT ? put_lost_file(mend, item->number) : 0;
    if (result == 0)
        mend->report->lost(mend->report->context, item->where,
                           "owner, mode and contents; the name is there");
    return result;
}

/* ---- the records of a number ---- */

/* A record with attributes of a file or directory. */
struct owner {
    uint64_t ino, id; /* id 0: no chunks */
    uint64_t chunks;  /* that its size has room for */
    uint64_t sequence;
    bool shared; /* it is an inode record */
    bool directory;
    bool gone;
    char *key; /* of `default`, or of `inodes` */
    size_t size;
};

/* Numbers, ascending. */
struct numbers {
    uint64_t *list;
    size_t count;
};

struct owners {
    struct mend *mend;
    struct numbers inos, ids; /* that items are about */
    struct owner *list;
    size_t count, capacity;
    /* All of the list by their numbers; those with the same in its order. */
    struct owner **by_ino, **by_id;
};

static bool
is_about_inode(const struct mend_item *item)
{
    return item->problem == FSCK_TWO_INODES;
}

static bool
is_about_data(const struct mend_item *item)
{
    return item->problem == FSCK_TWO_OWNERS || item->problem == FSCK_PAST_END ||
           item->problem == FSCK_CHUNKS;
}

static int
compare_numbers(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static int
find_numbers(const struct mend *mend, bool (*is_about)(const struct mend_item *item),
             struct numbers *numbers)
{
    numbers->list = reallocarray(NULL, mend->count + 1, sizeof *numbers->list);
    if (!numbers->list)
        return -ENOMEM;
    for (size_t i = 0; i < mend->count; i++)
        if (is_about(&mend->items[i]))
            numbers->list[numbers->count++] = mend->items[i].number;
    qsort(numbers->list, numbers->count, sizeof *numbers->list, compare_numbers);
    return 0;
}

static bool
is_among(const struct numbers *numbers, uint64_t number)
{
    return bsearch(&number, numbers->list, numbers->count, sizeof number,
                   compare_numbers) != NULL;
}

static bool
is_wanted(const struct owners *owners, const struct attr *attr)
{
    return is_among(&owners->inos, attr->ino) ||
           (attr->data.kind == ATTR_CHUNKS && is_among(&owners->ids, attr->data.id));
}

static int
add_owner(struct owners *owners, struct lsmkv_slice key, bool shared,
          const struct lsmkv_record *record)
{
    struct attr attr;
    if (attr_decode(record, &owners->mend->store->defaults, &attr) || attr.plain ||
        attr.data.kind == ATTR_REFERENCE || !is_wanted(owners, &attr))
        return 0;
    if (owners->count == owners->capacity) {
        size_t capacity = owners->capacity ? 2 * owners->capacity : 64;
        void *list = reallocarray(owners->list, capacity, sizeof *owners->list);
        if (!list)
            return -ENOMEM;
        owners->list = list;
        owners->capacity = capacity;
    }
    struct owner owner = {.ino = attr.ino,
                          .id = attr.data.kind == ATTR_CHUNKS ? attr.data.id : 0,
                          .chunks = chunk_count(attr.data.size),
                          .sequence = record->sequence,
                          .shared = shared,
                          .directory = S_ISDIR(attr.mode),
                          .key = malloc(key.size + 1),
                          .size = key.size};
    if (!owner.key)
        return -ENOMEM;
    if (key.size > 0)
        memcpy(owner.key, key.data, key.size);
    owners->list[owners->count++] = owner;
    return 0;
}

static int
add_owners_of(struct owners *owners, struct lsmkv_keyspace *keyspace,
              struct lsmkv_slice lower, struct lsmkv_slice upper, bool shared)
{
    struct lsmkv_iter_options options = {
        .lower = lower, .upper = upper, .lazy_values = true};
    struct lsmkv_iter *iter;
    int result = lsmkv_iter_new(owners->mend->store->db, keyspace, &options, &iter);
    if (result)
        return result;
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter) && result == 0;
         lsmkv_iter_next(iter))
        result = add_owner(owners, lsmkv_iter_key(iter), shared, lsmkv_iter_record(iter));
    result = result ? result : lsmkv_iter_status(iter);
    lsmkv_iter_free(iter);
    return result;
}

static uint64_t
number_of(const struct owner *owner, bool ino)
{
    return ino ? owner->ino : owner->id;
}

static int
compare_owners(const struct owner *left, const struct owner *right, bool ino)
{
    const uint64_t a = number_of(left, ino), b = number_of(right, ino);
    return a != b ? (a > b) - (a < b) : (left > right) - (left < right);
}

static int
compare_inos(const void *left, const void *right)
{
    return compare_owners(*(struct owner *const *)left, *(struct owner *const *)right,
                          true);
}

static int
compare_ids(const void *left, const void *right)
{
    return compare_owners(*(struct owner *const *)left, *(struct owner *const *)right,
                          false);
}

static int
sort_owners(struct owners *owners)
{
    owners->by_ino = reallocarray(NULL, owners->count + 1, sizeof *owners->by_ino);
    owners->by_id = reallocarray(NULL, owners->count + 1, sizeof *owners->by_id);
    if (!owners->by_ino || !owners->by_id)
        return -ENOMEM;
    for (size_t i = 0; i < owners->count; i++)
        owners->by_ino[i] = owners->by_id[i] = &owners->list[i];
    qsort(owners->by_ino, owners->count, sizeof *owners->by_ino, compare_inos);
    qsort(owners->by_id, owners->count, sizeof *owners->by_id, compare_ids);
    return 0;
}

/* The first of those sorted by their numbers whose number is at or behind `number`. */
static size_t
first_of(const struct owners *owners, bool ino, uint64_t number)
{
    struct owner *const *sorted = ino ? owners->by_ino : owners->by_id;
    size_t from = 0, end = owners->count;
    while (from < end) {
        size_t middle = from + (end - from) / 2;
        if (number_of(sorted[middle], ino) < number)
            from = middle + 1;
        else
            end = middle;
    }
    return from;
}

/* The owner behind `*at` of those with that number; NULL: there is none more. */
static struct owner *
next_of(const struct owners *owners, bool ino, uint64_t number, size_t *at)
{
    struct owner *const *sorted = ino ? owners->by_ino : owners->by_id;
    if (*at == owners->count || number_of(sorted[*at], ino) != number)
        return NULL;
    return sorted[(*at)++];
}

static int
find_owners(struct owners *owners)
{
    struct store *store = owners->mend->store;
    struct record_key lower = record_tag_begin(RECORD_INODE);
    struct record_key upper = record_tag_end(RECORD_INODE);
    int result = find_numbers(owners->mend, is_about_inode, &owners->inos);
    if (result == 0)
        result = find_numbers(owners->mend, is_about_data, &owners->ids);
    if (result == 0)
        result = add_owners_of(owners, store->files, lsmkv_bytes(NULL, 0),
                               lsmkv_bytes(NULL, 0), false);
    if (result == 0)
        result = add_owners_of(owners, store->inodes, record_slice(&lower),
                               record_slice(&upper), true);
    return result == 0 ? sort_owners(owners) : result;
}

static void
owners_fini(struct owners *owners)
{
    for (size_t i = 0; i < owners->count; i++)
        free(owners->list[i].key);
    free(owners->list);
    free(owners->by_ino);
    free(owners->by_id);
    free(owners->inos.list);
    free(owners->ids.list);
}

static struct lsmkv_slice
key_of(const struct owner *owner)
{
    return lsmkv_bytes(owner->key, owner->size);
}

static void
print_owner(const struct owner *owner, char *where)
{
    if (owner->shared)
        snprintf(where, WHERE_SIZE, "inode %llu", (unsigned long long)owner->ino);
    else if (owner->size == 0)
        snprintf(where, WHERE_SIZE, "(root)");
    else
        fsck_print_key(key_of(owner), where, WHERE_SIZE);
}

static void
say_of(struct mend *mend, const struct owner *owner, const char *text)
{
    char where[WHERE_SIZE];
    print_owner(owner, where);
    mend_say(mend, where, text);
}

/* The name goes; whatever it led to belongs to another record. */
static int
drop_name(struct mend *mend, struct owner *owner, const char *text)
{
    int result = lsmkv_batch_delete(mend->batch, mend->store->files, key_of(owner));
    if (result == 0)
        result = mend_write(mend);
    owner->gone = true;
    if (result == 0)
        say_of(mend, owner, text);
    return result;
}

static bool
is_better(const struct owner *left, const struct owner *right)
{
    if (left->shared != right->shared)
        return left->shared;
    return left->sequence > right->sequence;
}

static void
set_ino(struct attr *attr, uint64_t ino)
{
    attr->ino = ino;
    attr->xattr_records = false;
}

/* O1, of an owner that is not the best one. */
static int
yield_inode(struct mend *mend, struct owner *owner, const struct owner *best)
{
    struct store *store = mend->store;
    struct attr shared = {.mode = S_IFREG, .ino = best->ino};
    uint64_t ino;
    int result;
    if (owner->directory || best->directory) {
        result = store_new_ino(store, &ino);
        if (result == 0)
            result = mend_change(mend, owner->shared ? store->inodes : store->files,
                                 key_of(owner), set_ino, ino);
        if (result == 0)
            say_of(mend, owner, "its inode number is another's; it has a new one");
        return result;
    }
    if (!best->shared)
        return drop_name(mend, owner,
                         "removed: the file was renamed, and its old name had come back");
    result = put_reference(mend, key_of(owner), &shared);
    if (result == 0)
        result = mend_write(mend);
    owner->gone = true;
    if (result == 0)
        say_of(mend, owner, "it is one of several names of a file again");
    return result;
}

static struct owner *
best_owner(struct owners *owners, const struct mend_item *item)
{
    const bool ino = is_about_inode(item);
    struct owner *best = NULL, *owner;
    size_t at = first_of(owners, ino, item->number);
    while ((owner = next_of(owners, ino, item->number, &at)))
        if (!owner->gone && (!best || is_better(owner, best)))
            best = owner;
    return best;
}

static int
settle_inode(struct owners *owners, const struct mend_item *item)
{
    const struct owner *best = best_owner(owners, item);
    struct owner *owner;
    size_t at = first_of(owners, true, item->number);
    int result = 0;
    while (best && result == 0 && (owner = next_of(owners, true, item->number, &at))) {
        if (owner == best)
            continue;
        if (!owner->gone)
            result = yield_inode(owners->mend, owner, best);
        owner->gone = true; /* done, whatever else is told of it */
    }
    return result;
}

/* O2. */
static int
settle_orphan(struct mend *mend, struct owner *best)
{
    struct store *store = mend->store;
    struct record_key key = record_orphan(best->id);
    struct lsmkv_held *held;
    int result =
        lsmkv_get_held(store->db, store->inodes, NULL, record_slice(&key), &held);
    if (result)
        return result == -ENOENT ? 0 : result;
    uint64_t sequence = lsmkv_held_record(held)->sequence;
    lsmkv_held_release(held);
    if (sequence > best->sequence && !best->shared)
        return drop_name(mend, best, "removed again: it had come back");
    result = lsmkv_batch_delete(mend->batch, store->inodes, record_slice(&key));
    if (result == 0)
        result = mend_write(mend);
    if (result == 0)
        say_of(mend, best, "its contents are no longer to be swept");
    return result;
}

static void
set_data_id(struct attr *attr, uint64_t id)
{
    attr->data.id = id;
}

static int
copy_chunks(struct mend *mend, uint64_t from, uint64_t to, uint64_t count)
{
    struct store *store = mend->store;
    struct lsmkv_iter *iter;
    uint64_t id, index;
    unsigned fragment;
    int result = count > 0 ? chunks_iter(store, NULL, from, 0, count - 1, &iter) : 0;
    if (result || count == 0)
        return result;
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter) && result == 0;
         lsmkv_iter_next(iter)) {
        const struct lsmkv_record *record = lsmkv_iter_record(iter);
        if (!chunk_key_decode(lsmkv_iter_key(iter), &id, &index, &fragment))
            continue;
        struct chunk_key key = chunk_key(to, index, fragment);
        struct lsmkv_slice value;
        result = lsmkv_iter_value(iter, &value);
        if (result == 0)
            result = lsmkv_batch_put(mend->batch, store->chunks, chunk_slice(&key),
                                     record->attributes, value);
        result = result ? result : mend_write(mend);
    }
    result = result ? result : lsmkv_iter_status(iter);
    lsmkv_iter_free(iter);
    return result;
}

/* O3.  How far its contents reach is looked at in the next round. */
static int
copy_contents(struct mend *mend, struct owner *owner)
{
    struct store *store = mend->store;
    uint64_t id;
    int result = store_new_data_id(store, &id);
    if (result == 0)
        result = copy_chunks(mend, owner->id, id, owner->chunks);
    if (result == 0)
        result = mend_change(mend, owner->shared ? store->inodes : store->files,
                             key_of(owner), set_data_id, id);
    owner->gone = true;
    if (result == 0)
        say_of(mend, owner,
               "its contents are another file's, too; it has a copy of them");
    return result;
}

static int
settle_data(struct owners *owners, const struct mend_item *item)
{
    struct owner *best = best_owner(owners, item), *owner;
    size_t at = first_of(owners, false, item->number);
    int result = 0;
    while (best && result == 0 && (owner = next_of(owners, false, item->number, &at))) {
        if (owner != best && !owner->gone)
            result = copy_contents(owners->mend, owner);
    }
    return result || !best ? result : settle_orphan(owners->mend, best);
}

static void
raise_size(struct attr *attr, uint64_t size)
{
    if (attr->data.size < size)
        attr->data.size = size;
}

static void
raise_chunks(struct attr *attr, uint64_t chunks)
{
    if (attr->data.chunks < chunks)
        attr->data.chunks = chunks;
}

/* The contents are newer than what their file says of them. */
static int
raise(struct owners *owners, const struct mend_item *item)
{
    struct mend *mend = owners->mend;
    struct owner *owner = best_owner(owners, item);
    bool is_size = item->problem == FSCK_PAST_END;
    char text[96];
    if (!owner)
        return 0;
    int result =
        mend_change(mend, owner->shared ? mend->store->inodes : mend->store->files,
                    key_of(owner), is_size ? raise_size : raise_chunks, item->value);
    snprintf(text, sizeof text, "it has %llu %s now, for so many there are",
             (unsigned long long)item->value, is_size ? "bytes" : "chunks");
    if (result == 0)
        say_of(mend, owner, text);
    return result;
}

int
mend_owners(struct mend *mend)
{
    struct owners owners = {.mend = mend};
    bool any = false;
    for (size_t i = 0; i < mend->count; i++)
        any |= is_about_inode(&mend->items[i]) || is_about_data(&mend->items[i]);
    int result = any ? find_owners(&owners) : 0;
    for (size_t i = 0; i < mend->count && result == 0 && any; i++) {
        const struct mend_item *item = &mend->items[i];
        if (item->problem == FSCK_TWO_INODES)
            result = settle_inode(&owners, item);
        else if (item->problem == FSCK_TWO_OWNERS)
            result = settle_data(&owners, item);
        else if (is_about_data(item))
            result = raise(&owners, item);
    }
    owners_fini(&owners);
    return result;
}
