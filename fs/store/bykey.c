/*
 * bykey.c - files by key, without nodes.
 *
 * A put of more than the inline limit goes through batches of its own: the new contents
 * are those of a file without a name, under an orphan record, until one last batch names
 * them, deletes that record and makes an orphan of the old contents.  So a crash at any
 * point leaves the old file or the new one, and nothing that the sweep does not find.
 */
#include "store/bykey.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/slice.h"
#include "store/attr.h"
#include "store/data.h"
#include "store/implied.h"
#include "store/key.h"
#include "store/records.h"
#include "store/sweep.h"

#define TRANSFER_SIZE (1u << 20) /* a multiple of DATA_CHUNK: every chunk is put once */

static const struct lsmkv_slice nothing;

/* The file that a key means. */
struct target {
    struct lsmkv_slice key;    /* as given */
    struct lsmkv_held *held;   /* its record in `files` */
    struct lsmkv_held *shared; /* or, of a file with several names, that in `inodes` */
    struct attr directory;     /* if kept: of the record in `files` */
    struct attr attr;          /* of the file */
    struct lsmkv_slice value;  /* beside them */
    struct record_key inode;   /* if shared: the key in `inodes` */
    bool kept;                 /* a directory's record keeps the value */
};

static void
target_fini(struct target *target)
{
    if (target->held)
        lsmkv_held_release(target->held);
    if (target->shared)
        lsmkv_held_release(target->shared);
}

/* From a reference to what the names share. */
static int
target_follow(struct store *store, const struct lsmkv_snapshot *snapshot,
              struct target *target)
{
    if (!store->inodes)
        return -EUCLEAN;
    target->inode = record_inode(target->attr.ino);
    int result = lsmkv_get_held(store->db, store->inodes, snapshot,
                                record_slice(&target->inode), &target->shared);
    if (result)
        return result == -ENOENT ? -EUCLEAN : result;
    const struct lsmkv_record *record = lsmkv_held_record(target->shared);
    target->value = record->value;
    result = attr_decode(record, &store->defaults, &target->attr);
    return result == 0 && target->attr.data.kind == ATTR_REFERENCE ? -EUCLEAN : result;
}

static int
target_decode(struct store *store, const struct lsmkv_snapshot *snapshot,
              struct target *target)
{
    const struct lsmkv_record *record = lsmkv_held_record(target->held);
    target->value = record->value;
    int result = attr_decode(record, &store->defaults, &target->attr);
    if (result == 0 && S_ISDIR(target->attr.mode)) {
        target->directory = target->attr;
        target->kept = target->attr.has_value;
        if (!target->kept)
            return -EISDIR;
        result =
            attr_decode_kept(&target->directory, record, &store->defaults, &target->attr);
    }
    if (result == 0 && target->attr.data.kind == ATTR_REFERENCE)
        result = target_follow(store, snapshot, target);
    return result;
}

/* Resolves `key`; target_fini follows whatever it returns.  -ENOENT: nothing there at
 * all. */
static int
target_init(struct target *target, struct store *store,
            const struct lsmkv_snapshot *snapshot, struct lsmkv_slice key)
{
    memset(target, 0, sizeof *target);
    target->key = key;
    int result = lsmkv_get_held(store->db, store->files, snapshot, key, &target->held);
    if (result == 0)
        return target_decode(store, snapshot, target);
    if (result != -ENOENT)
        return result;
    int presence =
        lsmkv_lookup(store->db, store->files, snapshot, key, false, NULL, 0, NULL);
    if (presence < 0)
        return presence;
    return presence == LSMKV_IMPLIED || key.size == 0 ? -EISDIR : -ENOENT;
}

/* ---- get ---- */

static int
send_chunks(struct store *store, const struct lsmkv_snapshot *snapshot,
            const struct attr_data *data, const struct bykey_sink *sink)
{
    uint8_t *bytes = malloc(TRANSFER_SIZE);
    uint64_t offset = 0;
    size_t got;
    int result = bytes ? 0 : -ENOMEM;
    while (result == 0) {
        result =
            data_read(store, snapshot, data, nothing, offset, bytes, TRANSFER_SIZE, &got);
        if (result || got == 0)
            break;
        result = sink->write(sink->context, bytes, got);
        offset += got;
    }
    free(bytes);
    return result;
}

int
bykey_get(struct store *store, struct lsmkv_slice key, const struct bykey_sink *sink)
{
    struct lsmkv_snapshot *snapshot;
    struct target target;
    int result = lsmkv_snapshot_take(store->db, &snapshot);
    if (result)
        return result;
    result = target_init(&target, store, snapshot, key);
    if (result == 0 && target.attr.data.kind == ATTR_CHUNKS)
        result = send_chunks(store, snapshot, &target.attr.data, sink);
    else if (result == 0 && target.value.size > 0)
        result = sink->write(sink->context, target.value.data, target.value.size);
    target_fini(&target);
    lsmkv_snapshot_release(store->db, snapshot);
    return result;
}

/* ---- what put and rm share ---- */

/* One change: the batch that makes it, and what that takes along. */
struct change {
    struct store *store;
    struct lsmkv_batch *batch;
    struct sweep_list dead;
    struct timespec now;
    struct lsmkv_held *parent; /* of which the batch has the value */
};

static int
change_init(struct change *change, struct store *store)
{
    *change = (struct change){.store = store, .now = store_now()};
    if (store->read_only)
        return -EROFS;
    return lsmkv_batch_new(&change->batch);
}

static void
change_fini(struct change *change)
{
    lsmkv_batch_free(change->batch);
    if (change->parent)
        lsmkv_held_release(change->parent);
}

/* Puts `attr` beside a value: `value`, or that of `held` unchanged. */
static int
put_attr(struct change *change, struct lsmkv_keyspace *keyspace, struct lsmkv_slice key,
         const struct attr *attr, struct lsmkv_slice value, const struct lsmkv_held *held)
{
    size_t size = attr_encoded_size(attr);
    if (size > LSMKV_ATTRIBUTES_MAX)
        return -E2BIG;
    uint8_t *bytes = malloc(size);
    if (!bytes)
        return -ENOMEM;
    attr_encode(attr, bytes);
    struct lsmkv_slice attributes = lsmkv_bytes(bytes, size);
    int result =
        held ? lsmkv_batch_put_held(change->batch, keyspace, key, attributes, held)
             : lsmkv_batch_put(change->batch, keyspace, key, attributes, value);
    free(bytes);
    return result;
}

/* Puts the file's record as target->attr and target->value are now, wherever it
 * stands. */
static int
put_target(struct change *change, struct target *target)
{
    struct store *store = change->store;
    if (target->shared)
        return put_attr(change, store->inodes, record_slice(&target->inode),
                        &target->attr, target->value, NULL);
    if (!target->kept)
        return put_attr(change, store->files, target->key, &target->attr, target->value,
                        NULL);
    size_t size = attr_encoded_size(&target->attr);
    uint8_t *bytes = malloc(size);
    if (!bytes)
        return -ENOMEM;
    attr_encode(&target->attr, bytes);
    target->directory.value_attributes = lsmkv_bytes(bytes, size);
    target->directory.value_stamp_sequence = 0;
    int result = put_attr(change, store->files, target->key, &target->directory,
                          target->value, NULL);
    free(bytes);
    return result;
}

/* Makes an orphan of what the file had. */
static int
retire_contents(struct change *change, const struct target *target)
{
    if (target->attr.data.kind != ATTR_CHUNKS)
        return 0;
    return sweep_orphan(change->store, change->batch, &change->dead, target->attr.data.id,
                        false);
}

/* The nearest directory above `key` (not empty) that a mount shows. */
static struct lsmkv_slice
visible_parent(struct lsmkv_slice key)
{
    do
        key_split(key, &key, NULL);
    while (!key_is_plain(key));
    return key;
}

/* The directory that `key` is in, if it has a record: `*directory` and `*held`, else
 * NULL. */
static int
find_parent(struct change *change, struct lsmkv_slice parent, struct attr *directory,
            struct lsmkv_held **held)
{
    struct store *store = change->store;
    *held = NULL;
    int result = lsmkv_get_held(store->db, store->files, NULL, parent, held);
    if (result == -ENOENT)
        return 0;
    if (result)
        return result;
    return attr_decode(lsmkv_held_record(*held), &store->defaults, directory);
}

/* A name came or went: the directory's times, if it has a record. */
static int
touch_parent(struct change *change, struct lsmkv_slice parent, struct attr *directory)
{
    directory->mtime = directory->ctime = change->now;
    return put_attr(change, change->store->files, parent, directory, nothing,
                    change->parent);
}

/* ---- put ---- */

/* -ENOTDIR if a file stands where `key` has a directory. */
static int
check_ancestors(struct store *store, struct lsmkv_slice key)
{
    const char *bytes = key.data;
    for (size_t i = 0; i < key.size; i++) {
        uint8_t attributes[LSMKV_ATTRIBUTES_MAX];
        struct lsmkv_record record;
        struct attr attr;
        if (bytes[i] != '/')
            continue;
        int presence = lsmkv_lookup(store->db, store->files, NULL, lsmkv_bytes(bytes, i),
                                    false, attributes, sizeof attributes, &record);
        if (presence < 0)
            return presence;
        if (presence != LSMKV_EXACT)
            continue;
        int result = attr_decode(&record, &store->defaults, &attr);
        if (result)
            return result;
        if (!S_ISDIR(attr.mode))
            return -ENOTDIR;
    }
    return 0;
}

/* Climbs from `*directory` to the first that there is; `*grows`: that one gets a
 * directory. */
static int
find_existing(struct store *store, struct lsmkv_slice *directory, bool *grows)
{
    *grows = false;
    while (directory->size > 0) {
        int presence =
            lsmkv_lookup(store->db, store->files, NULL, *directory, false, NULL, 0, NULL);
        if (presence != LSMKV_ABSENT)
            return presence < 0 ? presence : 0;
        *grows = true;
        key_split(*directory, directory, NULL);
    }
    return 0;
}

/* Begins a file at a key that has none. */
static int
make_file(struct change *change, struct target *target, const struct bykey_owner *owner)
{
    struct store *store = change->store;
    struct lsmkv_slice parent = visible_parent(target->key);
    struct attr directory;
    uint64_t ino;
    bool grows;
    int result = store_new_ino(store, &ino);
    result = result ? result : find_existing(store, &parent, &grows);
    if (result)
        return result;
    attr_init(&target->attr, S_IFREG | owner->permissions, owner->uid, owner->gid, ino,
              change->now);
    result = find_parent(change, parent, &directory, &change->parent);
    if (result || !change->parent || !S_ISDIR(directory.mode))
        return result;
    if (directory.mode & S_ISGID)
        target->attr.gid = directory.gid;
    if (grows)
        directory.subdirs = ATTR_SUBDIRS_UNKNOWN;
    return touch_parent(change, parent, &directory);
}

/* What a write does to the attributes of a file that exists. */
static int
touch_file(struct change *change, struct target *target, const struct bykey_owner *owner,
           uint8_t *xattrs)
{
    struct attr *attr = &target->attr;
    struct lsmkv_slice capability = lsmkv_str("security.capability");
    attr->mtime = attr->ctime = change->now;
    if (!owner->privileged)
        attr->mode &= ~(uint32_t)(attr->mode & S_IXGRP ? S_ISUID | S_ISGID : S_ISUID);
    attr->xattrs =
        lsmkv_bytes(xattrs, attr_xattr_replace(attr->xattrs, capability, NULL, xattrs));
    if (!attr->xattr_records)
        return 0;
    struct record_key key = record_xattr(attr->ino, capability);
    return lsmkv_batch_delete(change->batch, change->store->inodes, record_slice(&key));
}

/* New contents on their way in: those of a file without a name. */
struct bykey_upload {
    struct store *store;
    struct lsmkv_batch *batch;
    struct attr_data data;
    struct lsmkv_slice value; /* if they stayed inline: in `bytes` */
    uint8_t *bytes;           /* TRANSFER_SIZE of them */
    struct data_buffer buffer;
};

/* Adds `size` bytes, durable later, under the upload's orphan record. */
static int
upload_append(struct bykey_upload *upload, size_t size)
{
    struct data_edit edit;
    struct sweep_list dead = {0};
    lsmkv_batch_clear(upload->batch);
    data_edit_begin(&edit, upload->store, upload->batch, &dead, &upload->buffer,
                    &upload->data, upload->value, true);
    int result = data_write(&edit, upload->data.size, upload->bytes, size);
    if (result)
        return result;
    upload->value = edit.value;
    result = edit.data.kind == ATTR_CHUNKS
                 ? sweep_publish(upload->store, upload->batch, &dead, false)
                 : 0;
    if (result == 0)
        upload->data = edit.data;
    return result;
}

static int
upload_all(struct bykey_upload *upload, const struct bykey_source *source)
{
    for (;;) {
        ssize_t got = source->read(source->context, upload->bytes, TRANSFER_SIZE);
        if (got < 0)
            return (int)got;
        int result = upload_append(upload, (size_t)got);
        if (result || got < (ssize_t)TRANSFER_SIZE)
            return result;
    }
}

static struct bykey_upload *
upload_new(struct store *store)
{
    struct bykey_upload *upload = calloc(1, sizeof *upload);
    if (!upload)
        return NULL;
    upload->store = store;
    upload->data.kind = ATTR_INLINE;
    upload->bytes = malloc(TRANSFER_SIZE);
    if (upload->bytes && lsmkv_batch_new(&upload->batch) == 0)
        return upload;
    free(upload->bytes);
    free(upload);
    return NULL;
}

void
bykey_upload_free(struct bykey_upload *upload)
{
    if (!upload)
        return;
    /* Named by now, or an orphan for the sweep. */
    if (upload->data.kind == ATTR_CHUNKS)
        sweep_release(upload->store, upload->data.id);
    lsmkv_batch_free(upload->batch);
    data_buffer_free(&upload->buffer);
    free(upload->bytes);
    free(upload);
}

/* Gives the uploaded contents to `target`, in the change's batch. */
static int
upload_adopt(struct bykey_upload *upload, struct change *change, struct target *target)
{
    int result = target->held ? retire_contents(change, target) : 0;
    if (result == 0 && upload->data.kind == ATTR_CHUNKS) {
        struct record_key orphan = record_orphan(upload->data.id);
        result = lsmkv_batch_delete(change->batch, change->store->inodes,
                                    record_slice(&orphan));
    }
    target->attr.data = upload->data;
    target->value = upload->value;
    return result ? result : put_target(change, target);
}

/* Resolves `key` to what put replaces; `*absent`: there is nothing, and may be
 * something. */
static int
find_target(struct target *target, struct store *store, struct lsmkv_slice key,
            bool *absent)
{
    int result = target_init(target, store, NULL, key);
    *absent = result == -ENOENT;
    if (*absent)
        return check_ancestors(store, key);
    return result == 0 && !S_ISREG(target->attr.mode) ? -EINVAL : result;
}

static int
check_put(struct store *store, struct lsmkv_slice key)
{
    struct target target;
    bool absent;
    int result = store->read_only ? -EROFS : find_target(&target, store, key, &absent);
    if (!store->read_only)
        target_fini(&target);
    return result;
}

int
bykey_upload(struct store *store, struct lsmkv_slice key,
             const struct bykey_source *source, struct bykey_upload **out)
{
    int result = check_put(store, key);
    if (result)
        return result;
    struct bykey_upload *upload = upload_new(store);
    if (!upload)
        return -ENOMEM;
    result = upload_all(upload, source);
    /* Here, so that the commit's sync has nothing to wait for but its own batch. */
    if (result == 0 && upload->data.kind == ATTR_CHUNKS)
        result = store_sync(store);
    if (result)
        bykey_upload_free(upload);
    else
        *out = upload;
    return result;
}

/* The one batch that changes the file. */
static int
commit_put(struct change *change, struct target *target, struct bykey_upload *upload,
           const struct bykey_owner *owner, bool absent)
{
    uint8_t *xattrs = malloc(target->attr.xattrs.size + 1);
    if (!xattrs)
        return -ENOMEM;
    int result = absent ? make_file(change, target, owner)
                        : touch_file(change, target, owner, xattrs);
    result = result ? result : upload_adopt(upload, change, target);
    result = result ? result
                    : sweep_publish(change->store, change->batch, &change->dead, true);
    free(xattrs);
    return result;
}

int
bykey_commit(struct bykey_upload *upload, struct lsmkv_slice key,
             const struct bykey_owner *owner)
{
    struct change change;
    struct target target;
    bool absent;
    int result = change_init(&change, upload->store);
    if (result)
        return result;
    result = find_target(&target, upload->store, key, &absent);
    if (result == 0)
        result = commit_put(&change, &target, upload, owner, absent);
    target_fini(&target);
    change_fini(&change);
    return result;
}

int
bykey_put(struct store *store, struct lsmkv_slice key, const struct bykey_source *source,
          const struct bykey_owner *owner)
{
    struct bykey_upload *upload;
    int result = bykey_upload(store, key, source, &upload);
    if (result)
        return result;
    result = bykey_commit(upload, key, owner);
    bykey_upload_free(upload);
    return result;
}

/* ---- rm ---- */

static int
delete_xattrs(struct change *change, const struct attr *attr)
{
    struct store *store = change->store;
    if (!attr->xattr_records)
        return 0;
    return record_xattrs_delete(store->db, store->inodes, attr->ino, change->batch);
}

/* One name less: the file stays while it has others. */
static int
unlink_file(struct change *change, struct target *target)
{
    target->attr.ctime = change->now;
    if (target->shared && target->attr.nlink > 1) {
        target->attr.nlink--;
        return put_attr(change, change->store->inodes, record_slice(&target->inode),
                        &target->attr, nothing, target->shared);
    }
    int result = retire_contents(change, target);
    result = result ? result : delete_xattrs(change, &target->attr);
    if (result == 0 && target->shared)
        result = lsmkv_batch_delete(change->batch, change->store->inodes,
                                    record_slice(&target->inode));
    return result;
}

/* Is `key` the only one below `parent`? 1, 0 or an error. */
static int
is_alone(struct store *store, struct lsmkv_slice key, struct lsmkv_slice parent)
{
    struct lsmkv_iter_options options = {.lower = parent, .lazy_values = true};
    struct lsmkv_iter *iter;
    int alone = 1;
    int result = lsmkv_iter_new(store->db, store->files, &options, &iter);
    if (result)
        return result;
    for (lsmkv_iter_first(iter); alone && lsmkv_iter_valid(iter); lsmkv_iter_next(iter)) {
        struct lsmkv_slice at = lsmkv_iter_key(iter);
        if (at.size == parent.size)
            continue;
        if (!key_is_below(at, parent))
            break;
        alone = slices_equal(at, key);
    }
    result = lsmkv_iter_status(iter);
    lsmkv_iter_free(iter);
    return result ? result : alone;
}

/* The directory changes with the name; one that only its keys implied gets a record with
 * the last of them. */
static int
leave_parent(struct change *change, struct lsmkv_slice key)
{
    struct store *store = change->store;
    struct lsmkv_slice parent;
    struct attr directory;
    uint64_t ino;
    if (key.size == 0)
        return 0;
    parent = visible_parent(key);
    int result = find_parent(change, parent, &directory, &change->parent);
    if (result || (change->parent && S_ISDIR(directory.mode)))
        return result ? result : touch_parent(change, parent, &directory);
    int alone = parent.size > 0 ? is_alone(store, key, parent) : 0;
    if (alone <= 0)
        return alone;
    result = implied_find(store, parent, &ino);
    result = result ? result : implied_take(store, change->batch, ino);
    if (result)
        return result;
    attr_init_implied(&directory, &store->defaults, ino, change->now);
    directory.subdirs = 0;
    if (change->parent)
        attr_keep_value(&directory, lsmkv_held_record(change->parent));
    return put_attr(change, store->files, parent, &directory, nothing, change->parent);
}

/* Takes the name away: the record, or the value that a directory's record keeps. */
static int
remove_name(struct change *change, struct target *target)
{
    struct store *store = change->store;
    if (!target->kept) {
        int result = lsmkv_batch_delete(change->batch, store->files, target->key);
        return result ? result : leave_parent(change, target->key);
    }
    target->directory.has_value = false;
    target->directory.value_attributes = nothing;
    int result = store_let_through(store, change->batch);
    return result ? result
                  : put_attr(change, store->files, target->key, &target->directory,
                             nothing, NULL);
}

int
bykey_remove(struct store *store, struct lsmkv_slice key)
{
    struct change change;
    struct target target;
    int result = change_init(&change, store);
    if (result)
        return result;
    result = target_init(&target, store, NULL, key);
    result = result ? result : unlink_file(&change, &target);
    result = result ? result : remove_name(&change, &target);
    result = result ? result : sweep_publish(store, change.batch, &change.dead, true);
    target_fini(&target);
    change_fini(&change);
    return result;
}
