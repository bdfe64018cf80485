/* table_fixture.c - tables in memory, and the array that they are compared with. */
#include "support/table_fixture.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/record.h"

/* ---- the fixture ---- */

static void
note_report(void *context, enum lsmkv_level level, const char *line)
{
    struct table_fixture *fixture = context;

    (void)level;
    fixture->reports++;
    snprintf(fixture->last_report, sizeof(fixture->last_report), "%s", line);
}

void
table_fixture_init(struct table_fixture *fixture, size_t cache_bytes, size_t block_size)
{
    struct lsmkv_env *env;

    memset(fixture, 0, sizeof(*fixture));
    fixture->memory = mem_env_new();
    ck_assert_ptr_nonnull(fixture->memory);
    fixture->fault = fault_env_new(mem_env_base(fixture->memory));
    ck_assert_ptr_nonnull(fixture->fault);
    env = fault_env_base(fixture->fault);
    ck_assert_int_eq(env_dir_open(env, "/tables", true, &fixture->dir), 0);
    ck_assert_int_eq(block_cache_new(env, cache_bytes, &fixture->cache), 0);
    ck_assert_int_eq(open_files_new(2, &fixture->files), 0);
    reporter_init(&fixture->reporter, note_report, fixture);
    fixture->context = (struct table_context){
        .env = env,
        .dir = fixture->dir,
        .cache = fixture->cache,
        .files = fixture->files,
        .reporter = &fixture->reporter,
        .counters = &fixture->counters,
        .block_size = block_size,
        .filter_bits_per_key = 10,
    };
}

void
table_fixture_fini(struct table_fixture *fixture)
{
    open_files_free(fixture->files);
    block_cache_free(fixture->cache);
    reporter_fini(&fixture->reporter);
    env_dir_close(fixture->dir);
    fault_env_free(fixture->fault);
    mem_env_free(fixture->memory);
}

struct table *
table_fixture_open(struct table_fixture *fixture, uint64_t number)
{
    struct table *table;
    int result = table_open(&fixture->context, number, 0, &table);

    ck_assert_msg(result == 0, "table_open: %d: %s", result, fixture->last_report);
    return table;
}

static struct env_file *
open_file(struct table_fixture *fixture, uint64_t number, enum env_open how)
{
    char name[TABLE_NAME_SIZE];
    struct env_file *file;

    table_name(name, number);
    ck_assert_int_eq(env_file_open(fixture->dir, name, how, &file), 0);
    return file;
}

uint8_t *
table_fixture_read(struct table_fixture *fixture, uint64_t number, size_t *size)
{
    struct env_file *file = open_file(fixture, number, ENV_READ);
    uint64_t bytes;
    uint8_t *contents;

    ck_assert_int_eq(env_file_size(file, &bytes), 0);
    contents = malloc(bytes + 1);
    ck_assert_ptr_nonnull(contents);
    ck_assert_int_eq(env_file_read(file, 0, contents, bytes), (ssize_t)bytes);
    ck_assert_int_eq(env_file_close(file), 0);
    *size = bytes;
    return contents;
}

void
table_fixture_replace(struct table_fixture *fixture, uint64_t number,
                      const uint8_t *bytes, size_t size)
{
    struct env_file *file = open_file(fixture, number, ENV_REPLACE);

    if (size > 0)
        ck_assert_int_eq(env_file_write(file, 0, bytes, size), 0);
    ck_assert_int_eq(env_file_close(file), 0);
}

void
assert_slices(struct lsmkv_slice a, struct lsmkv_slice b)
{
    ck_assert_uint_eq(a.size, b.size);
    if (a.size > 0)
        ck_assert_mem_eq(a.data, b.data, a.size);
}

/* ---- the model ---- */

void
table_model_fini(struct table_model *model)
{
    for (size_t i = 0; i < model->count; i++) {
        keybuf_fini(&model->entries[i].key);
        keybuf_fini(&model->entries[i].payload);
    }
    free(model->entries);
}

static struct table_model_entry *
model_append(struct table_model *model, struct lsmkv_slice key, uint64_t sequence,
             uint8_t kind)
{
    struct table_model_entry *entry;

    if (model->count == model->capacity) {
        model->capacity = model->capacity == 0 ? 64 : model->capacity * 2;
        model->entries =
            realloc(model->entries, model->capacity * sizeof(*model->entries));
        ck_assert_ptr_nonnull(model->entries);
    }
    entry = &model->entries[model->count++];
    *entry = (struct table_model_entry){0};
    ck_assert_int_eq(keybuf_set_internal(&entry->key, key, sequence, kind), 0);
    return entry;
}

void
table_model_put(struct table_model *model, struct lsmkv_slice key, uint64_t sequence,
                struct lsmkv_slice value)
{
    struct table_model_entry *entry = model_append(model, key, sequence, KIND_PUT);
    struct lsmkv_record record = {.value = value};
    size_t size = record_payload_size(KIND_PUT, &record);
    uint8_t *payload = malloc(size);

    ck_assert_ptr_nonnull(payload);
    record_encode(payload, KIND_PUT, &record);
    ck_assert_int_eq(keybuf_set(&entry->payload, lsmkv_bytes(payload, size)), 0);
    free(payload);
}

void
table_model_delete(struct table_model *model, struct lsmkv_slice key, uint64_t sequence)
{
    model_append(model, key, sequence, KIND_DELETE);
}

struct lsmkv_slice
table_model_random_key(struct random *random, uint8_t *out)
{
    static const uint8_t alphabet[] = {'.', '/', '/', '0', '\0', 'a', 'b', 0xff};
    size_t size = random_below(random, 16);

    for (size_t i = 0; i < size; i++)
        out[i] = alphabet[random_below(random, sizeof(alphabet))];
    return lsmkv_bytes(out, size);
}

void
table_model_fill_random(struct table_model *model, struct random *random, size_t count)
{
    uint8_t key[16], value[40] = {0};
    uint64_t sequence = 1000;

    while (model->count < count) {
        struct lsmkv_slice user = table_model_random_key(random, key);
        uint64_t versions =
            random_below(random, 8) == 0 ? random_below(random, 60) + 1 : 1;

        while (versions-- > 0) {
            sequence += 1 + random_below(random, 3);
            if (random_below(random, 5) == 0)
                table_model_delete(model, user, sequence);
            else
                table_model_put(model, user, sequence,
                                lsmkv_bytes(value, random_below(random, sizeof(value))));
        }
    }
    table_model_sort(model);
}

static enum lsmkv_order sorting_order;

static int
compare_entries(const void *a, const void *b)
{
    const struct table_model_entry *left = a, *right = b;

    return internal_key_compare(sorting_order, keybuf_slice(&left->key),
                                keybuf_slice(&right->key));
}

void
table_model_sort(struct table_model *model)
{
    sorting_order = model->order;
    qsort(model->entries, model->count, sizeof(*model->entries), compare_entries);
}

size_t
table_model_ceiling(const struct table_model *model, struct lsmkv_slice internal)
{
    size_t i = 0;

    while (i < model->count &&
           internal_key_compare(model->order, table_model_key(model, i), internal) < 0)
        i++;
    return i;
}

struct lsmkv_slice
table_model_key(const struct table_model *model, size_t i)
{
    return keybuf_slice(&model->entries[i].key);
}

struct lsmkv_slice
table_model_user_key(const struct table_model *model, size_t i)
{
    return internal_user_key(table_model_key(model, i));
}

struct lsmkv_slice
table_model_payload(const struct table_model *model, size_t i)
{
    return keybuf_slice(&model->entries[i].payload);
}

static void
check_meta(const struct table_model *model, const struct table_meta *meta)
{
    uint64_t tombstones = 0, smallest = UINT64_MAX, largest = 0;

    for (size_t i = 0; i < model->count; i++) {
        uint64_t sequence = internal_sequence(table_model_key(model, i));

        tombstones += internal_kind(table_model_key(model, i)) == KIND_DELETE;
        smallest = sequence < smallest ? sequence : smallest;
        largest = sequence > largest ? sequence : largest;
    }
    ck_assert_uint_eq(meta->entries, model->count);
    ck_assert_uint_eq(meta->tombstones, tombstones);
    ck_assert_uint_eq(meta->smallest_sequence, smallest);
    ck_assert_uint_eq(meta->largest_sequence, largest);
    assert_slices(keybuf_slice(&meta->smallest), table_model_key(model, 0));
    assert_slices(keybuf_slice(&meta->largest), table_model_key(model, model->count - 1));
}

void
table_model_write(const struct table_model *model, struct table_fixture *fixture,
                  uint64_t number)
{
    struct table_writer *writer;
    struct table_meta meta = {0};
    size_t size;

    ck_assert_int_eq(
        table_writer_open(&fixture->context, number, 7, model->order, &writer), 0);
    table_writer_compress(writer, fixture->compression);
    for (size_t i = 0; i < model->count; i++)
        ck_assert_int_eq(table_writer_add(writer, table_model_key(model, i),
                                          table_model_payload(model, i)),
                         0);
    ck_assert_int_eq(table_writer_finish(writer, &meta), 0);
    ck_assert_uint_eq(meta.number, number);
    check_meta(model, &meta);
    free(table_fixture_read(fixture, number, &size));
    ck_assert_uint_eq(meta.size, size);
    table_meta_fini(&meta);
}
