/*
 * mend.c - see mend.h.
 *
 * A check (fsck.h) finds what is wrong, each finding is mended by itself, and it is
 * checked again: what is right in one place may show what is wrong in another (a
 * directory lost+found is one more subdirectory).  It ends when a check finds nothing
 * that can be mended, or after ROUNDS.
 */
#include "check/mend.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check/mend_files.h"
#include "store/implied.h"
#include "store/records.h"

#define ROUNDS 8u

/* ---- what is to be mended ---- */

static int
add_item(struct mend *mend, const struct fsck_finding *finding)
{
    if (mend->count == mend->capacity) {
        size_t capacity = mend->capacity ? 2 * mend->capacity : 256;
        void *items = reallocarray(mend->items, capacity, sizeof *mend->items);
        if (!items)
            return -ENOMEM;
        mend->items = items;
        mend->capacity = capacity;
    }
    struct mend_item item = {.problem = finding->problem,
                             .number = finding->number,
                             .value = finding->value,
                             .key_size = finding->key.size};
    item.where = strdup(finding->where);
    item.key = malloc(finding->key.size + 1);
    if (!item.where || !item.key) {
        free(item.where);
        free(item.key);
        return -ENOMEM;
    }
    if (finding->key.size > 0)
        memcpy(item.key, finding->key.data, finding->key.size);
    mend->items[mend->count++] = item;
    return 0;
}

static void
clear_items(struct mend *mend)
{
    for (size_t i = 0; i < mend->count; i++) {
        free(mend->items[i].where);
        free(mend->items[i].key);
    }
    mend->count = 0;
}

/* A finding of a round: to be mended, or told if this is the last look. */
static void
take_finding(void *context, const struct fsck_finding *finding)
{
    struct mend *mend = context;
    if (mend->failure)
        return;
    if (finding->problem != FSCK_UNMENDABLE && !mend->is_last)
        mend->failure = add_item(mend, finding);
    else if (mend->is_last)
        mend->report->left(mend->report->context, finding);
}

static int
look(struct mend *mend, bool is_last)
{
    struct fsck_report report = {.finding = take_finding,
                                 .progress =
                                     mend->report->progress ? mend_progress : NULL,
                                 .context = mend};
    uint64_t damage;
    clear_items(mend);
    mend->is_last = is_last;
    int result = fsck_run(mend->store, NULL, &report, &damage);
    return result ? result : mend->failure;
}

bool
mend_progress(void *context, uint64_t records)
{
    struct mend *mend = context;
    mend->report->progress(mend->report->context, records);
    return true;
}

void
mend_say(struct mend *mend, const char *where, const char *text)
{
    mend->report->mended(mend->report->context, where, text);
}

/* ---- records ---- */

int
mend_write(struct mend *mend)
{
    int result = store_write(mend->store, mend->batch, false);
    lsmkv_batch_clear(mend->batch);
    return result;
}

int
mend_put_attr(struct mend *mend, struct lsmkv_keyspace *keyspace, struct lsmkv_slice key,
              const struct attr *attr, const struct lsmkv_held *held)
{
    size_t size = attr_encoded_size(attr);
    if (size > LSMKV_ATTRIBUTES_MAX)
        return -E2BIG;
    void *bytes = malloc(size);
    if (!bytes)
        return -ENOMEM;
    struct lsmkv_slice attributes = lsmkv_bytes(bytes, attr_encode(attr, bytes));
    int result = held ? lsmkv_batch_put_held(mend->batch, keyspace, key, attributes, held)
                      : lsmkv_batch_put(mend->batch, keyspace, key, attributes,
                                        lsmkv_bytes(NULL, 0));
    free(bytes);
    return result;
}

int
mend_change(struct mend *mend, struct lsmkv_keyspace *keyspace, struct lsmkv_slice key,
            void (*change)(struct attr *attr, uint64_t value), uint64_t value)
{
    struct lsmkv_held *held;
    struct attr attr;
    int result = lsmkv_get_held(mend->store->db, keyspace, NULL, key, &held);
    if (result)
        return result;
    result = attr_decode(lsmkv_held_record(held), &mend->store->defaults, &attr);
    if (result == 0) {
        change(&attr, value);
        result = mend_put_attr(mend, keyspace, key, &attr, held);
    }
    result = result ? result : mend_write(mend);
    lsmkv_held_release(held);
    return result;
}

static void
set_subdirs(struct attr *attr, uint64_t value)
{
    attr->subdirs = (uint32_t)value;
}

static void
set_links(struct attr *attr, uint64_t value)
{
    attr->nlink = (uint32_t)value;
}

static int
mend_note(struct mend *mend, const struct mend_item *item)
{
    struct store *store = mend->store;
    bool missing = item->problem == FSCK_NOTE_MISSING;
    int result = missing ? implied_take(store, mend->batch, item->number)
                         : implied_give_back(store, mend->batch, item->number);
    if (result == 0)
        result = mend_write(mend);
    if (result == 0)
        mend_say(mend, item->where,
                 missing ? "noted as in use" : "no longer noted as in use");
    return result;
}

/* The file that they were of is lost, and nothing can have them. */
static int
drop_xattrs(struct mend *mend, const struct mend_item *item)
{
    struct store *store = mend->store;
    size_t before = lsmkv_batch_count(mend->batch);
    int result =
        record_xattrs_delete(store->db, store->inodes, item->number, mend->batch);
    bool any = lsmkv_batch_count(mend->batch) > before;
    if (result == 0)
        result = mend_write(mend);
    if (result == 0 && any) /* else they went with the first finding */
        mend_say(mend, item->where,
                 "its extended attributes are removed: the file is lost");
    return result;
}

static int
mend_count(struct mend *mend, const struct mend_item *item)
{
    struct store *store = mend->store;
    struct record_key inode = record_inode(item->number);
    bool links = item->problem == FSCK_LINKS;
    char text[64];
    int result =
        links ? mend_change(mend, store->inodes, record_slice(&inode), set_links,
                            item->value)
              : mend_change(mend, store->files, lsmkv_bytes(item->key, item->key_size),
                            set_subdirs, item->value);
    if (result)
        return result;
    snprintf(text, sizeof text, "it has %llu %s now", (unsigned long long)item->value,
             links ? "names" : "subdirectories");
    mend_say(mend, item->where, text);
    return 0;
}

static int
mend_item(struct mend *mend, const struct mend_item *item)
{
    switch (item->problem) {
    case FSCK_SUBDIRS:
    case FSCK_LINKS:
        return mend_count(mend, item);
    case FSCK_NOTE_MISSING:
    case FSCK_NOTE_UNUSED:
        return mend_note(mend, item);
    case FSCK_XATTR_UNOWNED:
        return drop_xattrs(mend, item);
    case FSCK_NAMELESS:
        return mend_name_inode(mend, item);
    case FSCK_NO_INODE:
        return mend_lost_inode(mend, item);
    case FSCK_UNOWNED:
        return mend_name_contents(mend, item);
    case FSCK_TWO_INODES:
    case FSCK_TWO_OWNERS:
    case FSCK_PAST_END:
    case FSCK_CHUNKS:
    case FSCK_UNMENDABLE:
        break;
    }
    return 0; /* mend_owners does these all at once */
}

static int
mend_round(struct mend *mend)
{
    int result = look(mend, false);
    for (size_t i = 0; i < mend->count && result == 0; i++)
        result = mend_item(mend, &mend->items[i]);
    return result ? result : mend_owners(mend);
}

int
mend_store(struct store *store, const struct mend_loss *losses, size_t count,
           const struct mend_report *report)
{
    struct mend mend = {.store = store, .report = report};
    int result = lsmkv_batch_new(&mend.batch);
    if (result == 0 && count > 0)
        result = mend_lost_chunks(&mend, losses, count);
    for (unsigned i = 0; i < ROUNDS && result == 0; i++) {
        result = mend_round(&mend);
        if (mend.count == 0)
            break;
    }
    if (result == 0)
        result = look(&mend, true);
    clear_items(&mend);
    free(mend.items);
    lsmkv_batch_free(mend.batch);
    return result;
}

/* ---- before the store opens ---- */

struct bounds {
    uint64_t inodes, data_ids; /* above all that are in use */
    bool ours;
};

static void
pass(uint64_t *bound, uint64_t number)
{
    if (number >= *bound && number < UINT64_MAX)
        *bound = number + 1;
}

static void
note_attr(struct bounds *bounds, const struct attr *attr)
{
    if (attr->plain)
        return;
    bounds->ours = true;
    if (attr->ino < ATTR_INO_IMPLIED)
        pass(&bounds->inodes, attr->ino);
    if (attr->data.kind == ATTR_CHUNKS)
        pass(&bounds->data_ids, attr->data.id);
}

static int
scan_files(struct lsmkv *db, const struct attr_defaults *defaults, struct bounds *bounds)
{
    struct lsmkv_iter_options all = {.lazy_values = true};
    struct lsmkv_iter *iter;
    struct attr attr;
    int result = lsmkv_iter_new(db, NULL, &all, &iter);
    if (result)
        return result;
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter); lsmkv_iter_next(iter))
        if (attr_decode(lsmkv_iter_record(iter), defaults, &attr) == 0)
            note_attr(bounds, &attr);
    result = lsmkv_iter_status(iter);
    lsmkv_iter_free(iter);
    return result;
}

/* The numbers in the keys of a keyspace of ours, if it is there. */
static int
scan_numbers(struct lsmkv *db, const char *name, struct bounds *bounds)
{
    struct lsmkv_iter_options all = {.lazy_values = true};
    struct lsmkv_keyspace *keyspace;
    struct lsmkv_iter *iter;
    uint64_t id, index;
    unsigned fragment;
    int result = lsmkv_keyspace_open(db, name, &keyspace);
    if (result)
        return result == -ENOENT ? 0 : result;
    bounds->ours = true;
    result = lsmkv_iter_new(db, keyspace, &all, &iter);
    if (result)
        return result;
    if (strcmp(name, "chunks") == 0) { /* the last one has the largest */
        lsmkv_iter_last(iter);
        if (lsmkv_iter_valid(iter) &&
            chunk_key_decode(lsmkv_iter_key(iter), &id, &index, &fragment))
            pass(&bounds->data_ids, id);
    } else if (strcmp(name, "inodes") == 0) {
        for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter); lsmkv_iter_next(iter)) {
            struct lsmkv_slice key = lsmkv_iter_key(iter);
            uint64_t number = record_number_of(key);
            bool is_data = record_decode_sweep(key, &id, &index);
            if (is_data)
                pass(&bounds->data_ids, number);
            else if (number < ATTR_INO_IMPLIED)
                pass(&bounds->inodes, number);
        }
    }
    result = lsmkv_iter_status(iter);
    lsmkv_iter_free(iter);
    return result;
}

int
mend_prepare(struct lsmkv *db, const struct mend_report *report, bool *ours)
{
    static const char *const names[] = {"chunks", "inodes", "meta"};
    struct store_options options;
    struct bounds bounds = {ATTR_INO_FIRST, 1, false};
    bool made = false;
    store_options_init(&options);
    int result = scan_files(db, &options.defaults, &bounds);
    for (size_t i = 0; i < sizeof names / sizeof names[0] && result == 0; i++)
        result = scan_numbers(db, names[i], &bounds);
    *ours = bounds.ours;
    if (result == 0 && bounds.ours)
        result = store_make_meta(db, bounds.inodes, bounds.data_ids, &made);
    if (result == 0 && made)
        report->mended(report->context, "store",
                       "its format or counters were missing or too low, and are new");
    return result;
}
