/*
 * blob_appender.c - a blob file that grows beside the log; the byte table is in blob.h.
 *
 *      0         before        end           next
 *      |  written  | last write  | added, not yet written |
 */
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mutex.h"
#include "table/blob.h"

/* As the log's: so that no sync waits for a second's worth. */
#define WRITEBACK_SIZE (4u << 20)
/* Of what packed values take in memory until they are written. */
#define ROOM_KEPT (1u << 20)

/* A record that was added: what of it is in `own`, and its value unless that is there, packed. */
struct added {
    size_t own_size;
    struct lsmkv_slice value;
};

struct blob_appender {
    /* constant */
    const struct table_context *context;
    char name[TABLE_NAME_SIZE];
    uint64_t number;
    enum lsmkv_compression compression;
    struct env_file *file;
    uint8_t header[BLOB_HEADER_SIZE];

    /* of the appending thread */
    uint64_t before, end, next;
    uint64_t hinted; /* writeback was asked for up to here */
    /* what was added */
    struct keybuf own;
    struct added *added;
    struct iovec *parts; /* the header, then what is own and the value of each */
    size_t count, capacity;
    struct keybuf packed; /* of the value at hand */

    struct mutex syncing; /* one sync, or one undoing, at a time (B4) */
    bool is_named; /* guarded by it: the directory was synced since the file was made */
    atomic_bool dirty; /* written to since the last sync began */
    _Atomic int error; /* of the sync or the undoing that broke it; 0: none */
};

static void
appender_free(struct blob_appender *appender)
{
    mutex_fini(&appender->syncing);
    keybuf_fini(&appender->own);
    keybuf_fini(&appender->packed);
    free(appender->added);
    free(appender->parts);
    free(appender);
}

int
blob_appender_open(const struct table_context *context, uint64_t number,
                   uint32_t keyspace, enum lsmkv_compression compression,
                   struct blob_appender **appender)
{
    struct blob_header header = {keyspace, number, compression == LSMKV_COMPRESSION_LZ4};
    struct blob_appender *made = calloc(1, sizeof(*made));
    int result;

    if (made == NULL)
        return -ENOMEM;
    made->context = context;
    made->number = number;
    made->compression = compression;
    made->next = BLOB_HEADER_SIZE;
    mutex_init(&made->syncing);
    blob_name(made->name, number);
    blob_header_encode(made->header, &header);
    result = env_file_open(context->dir, made->name, ENV_CREATE, &made->file);
    if (result != 0) {
        appender_free(made);
        return report_error(context->reporter, result, "%06llu.blob: cannot be created",
                            (unsigned long long)number);
    }
    *appender = made;
    return 0;
}

void
blob_appender_close(struct blob_appender *appender)
{
    if (appender == NULL)
        return;
    (void)env_file_close(appender->file); /* what must be durable was synced */
    appender_free(appender);
}

/* ---- adding ---- */

static int
reserve(struct blob_appender *appender)
{
    size_t capacity = appender->capacity == 0 ? 16 : 2 * appender->capacity;
    struct added *added;
    struct iovec *parts;

    if (appender->count < appender->capacity)
        return 0;
    added = reallocarray(appender->added, capacity, sizeof(*added));
    if (added == NULL)
        return -ENOMEM;
    appender->added = added;
    parts = reallocarray(appender->parts, 1 + 2 * capacity, sizeof(*parts));
    if (parts == NULL)
        return -ENOMEM;
    appender->parts = parts;
    appender->capacity = capacity;
    return 0;
}

/* Room for a record's own bytes, and those. */
static uint8_t *
add_own(struct blob_appender *appender, size_t size)
{
    struct keybuf *own = &appender->own;

    if (own->capacity - own->size < size &&
        keybuf_reserve(own, 2 * own->capacity + size) != 0)
        return NULL;
    own->size += size;
    return own->data + own->size - size;
}

int
blob_appender_add(struct blob_appender *appender, struct lsmkv_slice internal,
                  struct lsmkv_slice value, struct blob_ref *ref)
{
    struct blob_ref made;
    size_t front_size;
    uint32_t packed = 0;
    uint8_t *own;
    int result = reserve(appender);

    if (result == 0 && appender->compression == LSMKV_COMPRESSION_LZ4)
        result = blob_pack(value, &appender->packed, &packed);
    if (result != 0)
        return result;
    made =
        blob_place(appender->number, appender->next, internal.size, value.size, packed);
    front_size = blob_front_size(internal.size, &made);
    own = add_own(appender, front_size + packed);
    if (own == NULL)
        return -ENOMEM;
    if (packed > 0) {
        memcpy(own + front_size, appender->packed.data + blob_table_size(&made), packed);
        blob_front_encode(own, internal, appender->packed.data, &made);
        value = lsmkv_bytes(NULL, 0);
    } else {
        blob_front_encode(own, internal, value.data, &made);
    }
    appender->added[appender->count++] = (struct added){front_size + packed, value};
    appender->next = made.offset + blob_stored_size(&made);
    *ref = made;
    return 0;
}

/* A group with large values needed more than the next one will. */
static void
shrink(struct keybuf *room)
{
    if (room->capacity > ROOM_KEPT)
        keybuf_fini(room);
    room->size = 0;
}

static void
drop_added(struct blob_appender *appender)
{
    shrink(&appender->own);
    shrink(&appender->packed);
    appender->count = 0;
    appender->next = appender->end > 0 ? appender->end : BLOB_HEADER_SIZE;
}

void
blob_appender_forget(struct blob_appender *appender)
{
    drop_added(appender);
    appender->before = appender->end;
}

/* ---- writing ---- */

static size_t
make_parts(struct blob_appender *appender)
{
    const uint8_t *own = appender->own.data;
    size_t count = 0;

    if (appender->end == 0)
        appender->parts[count++] = env_part(appender->header, sizeof(appender->header));
    for (size_t i = 0; i < appender->count; i++) {
        const struct added *added = &appender->added[i];

        appender->parts[count++] = env_part(own, added->own_size);
        if (added->value.size > 0)
            appender->parts[count++] = env_part(added->value.data, added->value.size);
        own += added->own_size;
    }
    return count;
}

static int
write_parts(struct blob_appender *appender, size_t count)
{
    const struct iovec *parts = appender->parts;
    uint64_t offset = appender->end;
    int result = 0;

    while (count > 0 && result == 0) {
        size_t now = count < IOV_MAX ? count : IOV_MAX;

        result = env_file_writev(appender->file, offset, parts, (int)now);
        for (; now > 0; now--, parts++, count--)
            offset += parts->iov_len;
    }
    return result;
}

static int
cut_locked(struct blob_appender *appender) LSMKV_REQUIRES(appender->syncing)
{
    int result = atomic_load(&appender->error);

    if (result != 0)
        return result; /* a sync beside this failed: there is no other */
    result = env_file_truncate(appender->file, appender->end);
    if (result == 0)
        result = env_file_sync(appender->file);
    if (result == 0)
        return 0;
    atomic_store(&appender->error, result);
    return report_error(appender->context->reporter, result,
                        "%s: undoing a write at offset %llu failed", appender->name,
                        (unsigned long long)appender->end);
}

/* B4. */
static int
undo(struct blob_appender *appender)
{
    int result;

    if (appender->before == appender->end)
        return 0;
    appender->end = appender->before;
    drop_added(appender);
    if (appender->hinted > appender->end)
        appender->hinted = appender->end;
    mutex_lock(&appender->syncing);
    result = cut_locked(appender);
    mutex_unlock(&appender->syncing);
    return result;
}

int
blob_appender_write(struct blob_appender *appender)
{
    int result;

    appender->before = appender->end;
    if (appender->count == 0)
        return 0;
    result = write_parts(appender, make_parts(appender));
    appender->end = appender->next;
    drop_added(appender);
    if (result != 0) {
        result = report_error(appender->context->reporter, result,
                              "%s: offset %llu: %llu bytes cannot be written",
                              appender->name, (unsigned long long)appender->before,
                              (unsigned long long)(appender->end - appender->before));
        /* If that fails too it is broken; the cause is still the write's. */
        (void)undo(appender);
        return result;
    }
    /* Not before: a sync beside the write would take it for its own. */
    atomic_store(&appender->dirty, true);
    if (appender->end - appender->hinted >= WRITEBACK_SIZE) {
        env_file_writeback(appender->file, appender->hinted,
                           appender->end - appender->hinted);
        appender->hinted = appender->end;
    }
    return 0;
}

int
blob_appender_undo(struct blob_appender *appender)
{
    return undo(appender);
}

bool
blob_appender_is_broken(const struct blob_appender *appender)
{
    return atomic_load(&appender->error) != 0;
}

static int
sync_locked(struct blob_appender *appender) LSMKV_REQUIRES(appender->syncing)
{
    int result = atomic_load(&appender->error);

    if (result != 0 || !atomic_exchange(&appender->dirty, false))
        return result;
    result = env_file_sync(appender->file);
    if (result == 0 && !appender->is_named)
        result = env_dir_sync(appender->context->dir);
    if (result != 0) {
        atomic_store(&appender->error, result);
        return report_error(appender->context->reporter, result, "%s: sync failed",
                            appender->name);
    }
    appender->is_named = true;
    return 0;
}

int
blob_appender_sync(struct blob_appender *appender)
{
    int result;

    mutex_lock(&appender->syncing);
    result = sync_locked(appender);
    mutex_unlock(&appender->syncing);
    return result;
}

uint64_t
blob_appender_size(const struct blob_appender *appender)
{
    return appender->end;
}
