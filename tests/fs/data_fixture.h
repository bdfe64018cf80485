/*
 * data_fixture.h - files in a store against arrays of bytes: changes, and what must hold after them.
 *
 * The model of a file is its bytes; the record is read back from the store before every change,
 * so nothing is believed that is not stored.
 */
#ifndef TESTS_DATA_FIXTURE_H
#define TESTS_DATA_FIXTURE_H

#include <errno.h>
#include <unistd.h>

#include "common/coding.h"
#include "store/chunks.h"
#include "store/data.h"
#include "store/known_chunks.h"
#include "store_fixture.h"

#define FILES    4
#define FILE_MAX (900u << 10)

struct model_file {
    char key[8];
    uint8_t *bytes;
    uint64_t size;
};

static struct store_fixture fixture;
static struct model_file files[FILES];
static struct data_buffer buffer;
static struct lsmkv_batch *batch;
static uint8_t scratch[FILE_MAX];

static inline void
setup(void)
{
    fixture_init(&fixture);
    ck_assert_int_eq(lsmkv_batch_new(&batch), 0);
    for (unsigned i = 0; i < FILES; i++) {
        snprintf(files[i].key, sizeof files[i].key, "f%u", i);
        files[i].bytes = calloc(1, FILE_MAX);
        files[i].size = 0;
    }
}

static inline void
teardown(void)
{
    lsmkv_batch_free(batch);
    data_buffer_free(&buffer);
    fixture_fini(&fixture);
    for (unsigned i = 0; i < FILES; i++)
        free(files[i].bytes);
}

/* No two pages of it are alike, nor those that begin a byte later. */
static uint8_t pattern[4 << 20];

static inline void
setup_pattern(void)
{
    setup();
    for (uint32_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (uint8_t)((i * 2654435761u) >> 24 ^ i >> 12);
}

/* ---- one file's record, and a change of it ---- */

struct open_file {
    struct lsmkv_held *held;
    struct attr attr;
    struct lsmkv_slice value;
};

static inline void
file_open(const struct model_file *file, struct open_file *open)
{
    int result =
        lsmkv_get_held(fixture.store->db, NULL, NULL, lsmkv_str(file->key), &open->held);

    if (result == -ENOENT) {
        open->held = NULL;
        attr_init(&open->attr, S_IFREG | 0644, 0, 0, 100 + (uint64_t)(file - files),
                  store_now());
        open->value = lsmkv_bytes(NULL, 0);
        return;
    }
    ck_assert_int_eq(result, 0);
    const struct lsmkv_record *record = lsmkv_held_record(open->held);
    ck_assert_int_eq(attr_decode(record, &fixture.store->defaults, &open->attr), 0);
    open->value = record->value;
    if (open->attr.data.kind == ATTR_CHUNKS)
        ck_assert_uint_eq(open->value.size, 0);
}

static inline void
file_close(struct open_file *open)
{
    if (open->held)
        lsmkv_held_release(open->held);
}

static inline struct attr_data
data_of(const struct model_file *file)
{
    struct open_file open;

    file_open(file, &open);
    struct attr_data data = open.attr.data;
    file_close(&open);
    return data;
}

struct change {
    struct open_file open;
    struct data_edit edit;
    struct sweep_list dead;
};

static inline void
change_begin(struct change *change, const struct model_file *file)
{
    memset(change, 0, sizeof *change);
    lsmkv_batch_clear(batch);
    file_open(file, &change->open);
    data_edit_begin(&change->edit, fixture.store, batch, &change->dead, &buffer,
                    &change->open.attr.data, change->open.value, false);
}

static inline void
change_end(struct change *change, const struct model_file *file)
{
    ck_assert_int_eq(
        data_edit_put(&change->edit, NULL, lsmkv_str(file->key), &change->open.attr), 0);
    ck_assert_int_eq(sweep_publish(fixture.store, batch, &change->dead, false), 0);
    data_published(&change->edit);
    file_close(&change->open);
}

static inline void
do_write(struct model_file *file, uint64_t offset, const uint8_t *bytes, size_t size)
{
    struct change change;

    change_begin(&change, file);
    ck_assert_int_eq(data_write(&change.edit, offset, bytes, size), 0);
    change_end(&change, file);
    memcpy(file->bytes + offset, bytes, size);
    if (size > 0 && offset + size > file->size)
        file->size = offset + size;
}

static inline void
do_truncate(struct model_file *file, uint64_t size)
{
    struct change change;

    change_begin(&change, file);
    ck_assert_int_eq(data_truncate(&change.edit, size), 0);
    change_end(&change, file);
    if (size < file->size)
        memset(file->bytes + size, 0, file->size - size);
    file->size = size;
}

static inline void
do_punch(struct model_file *file, uint64_t offset, uint64_t end)
{
    for (uint64_t done = offset; done < end;) {
        struct change change;
        uint64_t before = done;
        change_begin(&change, file);
        ck_assert_int_eq(data_punch(&change.edit, done, end, &done), 0);
        ck_assert_uint_gt(done, before);
        change_end(&change, file);
    }
    if (end > file->size)
        end = file->size;
    if (offset < end)
        memset(file->bytes + offset, 0, end - offset);
}

static inline void
do_remove(struct model_file *file)
{
    struct change change;

    change_begin(&change, file);
    ck_assert_int_eq(data_remove(&change.edit, false), 0);
    ck_assert_int_eq(lsmkv_batch_delete(batch, NULL, lsmkv_str(file->key)), 0);
    ck_assert_int_eq(sweep_publish(fixture.store, batch, &change.dead, false), 0);
    file_close(&change.open);
    memset(file->bytes, 0, file->size);
    file->size = 0;
}

/* ---- checking ---- */

static inline void
check_range(const struct model_file *file, const struct open_file *open, uint64_t offset,
            size_t size)
{
    size_t got, expected = 0;

    if (offset < file->size)
        expected = file->size - offset < size ? file->size - offset : size;
    memset(scratch, 0xEE, size);
    ck_assert_int_eq(data_read(fixture.store, NULL, &open->attr.data, open->value, offset,
                               scratch, size, &got),
                     0);
    ck_assert_uint_eq(got, expected);
    ck_assert_mem_eq(scratch, file->bytes + offset, got);
}

/* By itself, for a read of one chunk that is known reads what it wants alone. */
static inline void
check_each_page(const struct model_file *file)
{
    struct open_file open;

    file_open(file, &open);
    for (uint64_t at = 0; at < file->size; at += 2048)
        check_range(file, &open, at, 4096);
    file_close(&open);
}

static inline bool
all_are(const uint8_t *bytes, size_t size, uint8_t byte)
{
    return size == 0 || (bytes[0] == byte && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* What SEEK_HOLE and SEEK_DATA call a hole has zeros, and the two agree. */
static inline void
check_holes(const struct model_file *file, const struct open_file *open)
{
    const struct attr_data *data = &open->attr.data;
    uint64_t at = 0, hole, next;

    while (at < file->size) {
        int result = data_seek(fixture.store, NULL, data, at, SEEK_DATA, &next);
        ck_assert(result == 0 || result == -ENXIO);
        if (result)
            next = file->size;
        ck_assert(all_are(file->bytes + at, next - at, 0));
        if (next == file->size)
            break;
        ck_assert_int_eq(data_seek(fixture.store, NULL, data, next, SEEK_HOLE, &hole), 0);
        ck_assert_uint_gt(hole, next);
        at = hole;
    }
    ck_assert_int_eq(data_seek(fixture.store, NULL, data, file->size, SEEK_HOLE, &hole),
                     -ENXIO);
}

/* The record at `id`'s chunks: no number missing, none past the end of the file but under a
 * trim (C1, C2, D2, D3). */
static inline void
check_chunks(const struct attr_data *data)
{
    struct chunk_key lower = chunk_key(data->id, 0, 0);
    struct chunk_key upper = chunk_key(data->id, UINT64_MAX, 0);
    struct lsmkv_iter_options options = {.lower = chunk_slice(&lower),
                                         .upper = chunk_slice(&upper)};
    struct lsmkv_iter *iter;
    uint64_t id, index, previous = UINT64_MAX, present = 0;
    unsigned fragment, last = 0;
    uint32_t total = 0;

    ck_assert_int_eq(
        lsmkv_iter_new(fixture.store->db, fixture.store->chunks, &options, &iter), 0);
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter); lsmkv_iter_next(iter)) {
        const struct lsmkv_record *record = lsmkv_iter_record(iter);
        ck_assert(chunk_key_decode(lsmkv_iter_key(iter), &id, &index, &fragment));
        if (index * DATA_CHUNK >= data->size)
            break;
        uint64_t from = index * DATA_CHUNK;
        if (index != previous)
            total = 0;
        if (fragment > 0) {
            const uint8_t *attributes = record->attributes.data;
            from += get_le32(attributes);
            total += (uint32_t)record->value.size;
            ck_assert_uint_eq(get_le32(attributes + 4), total);
        }
        ck_assert_uint_le(from + record->value.size, data->size);
        ck_assert_uint_lt(fragment, DATA_FRAGMENTS_MAX);
        if (index == previous)
            ck_assert_uint_eq(fragment, last + 1);
        else
            ck_assert_uint_le(fragment, 1);
        present += index != previous;
        previous = index;
        last = fragment;
    }
    ck_assert_int_eq(lsmkv_iter_status(iter), 0);
    lsmkv_iter_free(iter);
    ck_assert_uint_le(present, data->chunks);
}

static inline void
check_file(const struct model_file *file)
{
    struct open_file open;

    file_open(file, &open);
    ck_assert_uint_eq(open.attr.data.size, file->size);
    ck_assert(file->size > DATA_INLINE_MAX || open.attr.data.kind == ATTR_INLINE);
    check_range(file, &open, 0, FILE_MAX);
    check_holes(file, &open);
    if (open.attr.data.kind == ATTR_CHUNKS)
        check_chunks(&open.attr.data);
    file_close(&open);
}

/* How many names the data id has: file records and orphan records (D4). */
static inline unsigned
count_names(uint64_t id)
{
    struct record_key orphan = record_orphan(id);
    struct lsmkv_record record;
    uint8_t bytes[16];
    unsigned names = 0;

    names += lsmkv_get(fixture.store->db, fixture.store->inodes, NULL,
                       record_slice(&orphan), bytes, sizeof bytes, &record) == 0;
    for (unsigned i = 0; i < FILES; i++) {
        struct open_file open;
        file_open(&files[i], &open);
        names += open.attr.data.kind == ATTR_CHUNKS && open.attr.data.id == id;
        file_close(&open);
    }
    return names;
}

static inline void
check_all(void)
{
    struct lsmkv_iter_options options = {0};
    struct lsmkv_iter *iter;
    uint64_t id, index, previous = 0;
    unsigned fragment;

    for (unsigned i = 0; i < FILES; i++)
        check_file(&files[i]);
    ck_assert_int_eq(
        lsmkv_iter_new(fixture.store->db, fixture.store->chunks, &options, &iter), 0);
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter); lsmkv_iter_next(iter)) {
        ck_assert(chunk_key_decode(lsmkv_iter_key(iter), &id, &index, &fragment));
        if (id != previous)
            ck_assert_uint_eq(count_names(id), 1);
        previous = id;
    }
    lsmkv_iter_free(iter);
}

#endif
