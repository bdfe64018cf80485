/* log_fixture.c - see the header. */
#include "support/log_fixture.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/coding.h"
#include "log/frame.h"

static void
remember(void *context, enum lsmkv_level level, const char *line)
{
    struct log_fixture *fixture = context;

    if (level > LSMKV_LOG_WARNING)
        return;
    snprintf(fixture->report, sizeof(fixture->report), "%s", line);
    if (level == LSMKV_LOG_ERROR)
        fixture->errors++;
    else
        fixture->warnings++;
}

static void
mount(struct log_fixture *fixture, struct mem_env *mem)
{
    fixture->mem = mem;
    fixture->fault = fault_env_new(mem_env_base(mem));
    fault_env_on_lost_sync(fixture->fault, mem_env_lose_unsynced);
    ck_assert_int_eq(
        env_dir_open(fault_env_base(fixture->fault), "store", true, &fixture->dir), 0);
}

static void
unmount(struct log_fixture *fixture)
{
    env_dir_close(fixture->dir);
    fault_env_free(fixture->fault);
    mem_env_free(fixture->mem);
}

void
log_fixture_init(struct log_fixture *fixture)
{
    memset(fixture, 0, sizeof(*fixture));
    reporter_init(&fixture->reporter, remember, fixture);
    mount(fixture, mem_env_new());
}

void
log_fixture_fini(struct log_fixture *fixture)
{
    unmount(fixture);
    reporter_fini(&fixture->reporter);
}

void
log_fixture_crash(struct log_fixture *fixture, struct mem_crash policy, uint64_t seed)
{
    struct mem_env *after = mem_env_crash(fixture->mem, policy, seed);

    unmount(fixture);
    mount(fixture, after);
}

void
log_fixture_kill(struct log_fixture *fixture)
{
    struct mem_env *after = mem_env_kill(fixture->mem);

    unmount(fixture);
    mount(fixture, after);
}

struct wal_writer *
log_create(struct log_fixture *fixture, uint64_t number, struct wal_previous previous)
{
    struct wal_writer *writer;

    ck_assert_int_eq(
        wal_create(fixture->dir, number, &previous, &fixture->reporter, &writer), 0);
    return writer;
}

static uint8_t
filler(uint64_t sequence, size_t i)
{
    return (uint8_t)(sequence * 131 + i * 7 + (i >> 8) + 1);
}

void
log_batch(struct lsmkv_batch *batch, uint64_t sequence, size_t size)
{
    uint8_t *value = malloc(size + 1);
    uint8_t key[8];
    struct lsmkv_record record = {.value = lsmkv_bytes(value, size)};
    size_t i;

    ck_assert_ptr_nonnull(value);
    for (i = 0; i < size; i++)
        value[i] = filler(sequence, i);
    put_u64(key, sequence);
    batch_clear(batch);
    ck_assert_int_eq(batch_add(batch, 0, KIND_PUT, lsmkv_bytes(key, 8), &record), 0);
    free(value);
}

int
log_append(struct wal_writer *writer, uint64_t sequence, size_t size)
{
    struct lsmkv_batch batch;
    struct wal_append frame = {.first_sequence = sequence};
    int result;

    batch_init(&batch);
    log_batch(&batch, sequence, size);
    frame.entries = batch_slice(&batch);
    result = wal_append(writer, &frame, 1);
    batch_fini(&batch);
    return result;
}

void
log_append_ok(struct wal_writer *writer, uint64_t sequence, size_t size)
{
    ck_assert_int_eq(log_append(writer, sequence, size), 0);
}

uint8_t *
log_bytes(struct log_fixture *fixture, uint64_t number, size_t *size)
{
    struct env_file *file;
    char name[WAL_NAME_SIZE];
    uint64_t length;
    uint8_t *bytes;
    int result;

    wal_name(name, number);
    result = env_file_open(fixture->dir, name, ENV_READ, &file);
    if (result == -ENOENT)
        return NULL;
    ck_assert_int_eq(result, 0);
    ck_assert_int_eq(env_file_size(file, &length), 0);
    *size = (size_t)length;
    bytes = malloc(*size + 1);
    ck_assert_ptr_nonnull(bytes);
    ck_assert_int_eq(env_file_read(file, 0, bytes, *size), (ssize_t)*size);
    ck_assert_int_eq(env_file_close(file), 0);
    return bytes;
}

void
log_replace(struct log_fixture *fixture, uint64_t number, const void *bytes, size_t size)
{
    struct env_file *file;
    char name[WAL_NAME_SIZE];

    wal_name(name, number);
    ck_assert_int_eq(env_file_open(fixture->dir, name, ENV_REPLACE, &file), 0);
    ck_assert_int_eq(env_file_write(file, 0, bytes, size), 0);
    ck_assert_int_eq(env_file_sync(file), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    ck_assert_int_eq(env_dir_sync(fixture->dir), 0);
}

uint8_t *
log_forge(uint64_t number, uint64_t offset, uint8_t type, uint64_t sequence,
          uint64_t synced, struct lsmkv_slice entries, size_t *size)
{
    struct frame_header header = {
        .length = (uint32_t)entries.size,
        .type = type,
        .first_sequence = sequence,
        .synced = synced,
    };
    uint8_t *frame;

    *size = (size_t)frame_size(header.length);
    frame = calloc(1, *size);
    ck_assert_ptr_nonnull(frame);
    frame_header_encode(frame, &header);
    frame_seal(frame, number, offset, entries);
    memcpy(frame + FRAME_HEADER_SIZE, entries.data, entries.size);
    return frame;
}

uint64_t
log_check_frame(const struct wal_frame *frame)
{
    struct batch_reader reader;
    struct batch_entry entry;
    const uint8_t *value;
    size_t i;

    ck_assert_uint_eq(frame->type, WAL_FRAME_BATCH);
    ck_assert_int_eq(batch_read(&reader, frame->entries, frame->first_sequence), 0);
    ck_assert_int_eq(batch_next(&reader, &entry), 1);
    ck_assert_uint_eq(entry.key.size, 8);
    ck_assert_uint_eq(get_u64(entry.key.data), frame->first_sequence);
    value = entry.record.value.data;
    for (i = 0; i < entry.record.value.size; i++)
        if (value[i] != filler(frame->first_sequence, i))
            ck_abort_msg("sequence %llu: byte %zu of the value is wrong",
                         (unsigned long long)frame->first_sequence, i);
    ck_assert_int_eq(batch_next(&reader, &entry), 0);
    return frame->first_sequence;
}

static void
reading_add(struct log_reading *reading, const struct wal_frame *frame)
{
    uint64_t sequence;

    if (frame->type == WAL_FRAME_FIRST)
        return;
    sequence = log_check_frame(frame);
    if (reading->frames == 0)
        reading->first = sequence;
    else
        ck_assert_uint_eq(sequence, reading->last + 1);
    reading->last = sequence;
    reading->frames++;
}

struct log_reading
log_read(struct log_fixture *fixture, uint64_t number)
{
    struct log_reading reading = {0};
    struct wal_reader *reader;
    struct wal_frame frame;

    reading.result = wal_reader_open(fixture->dir, number, &fixture->reporter, &reader);
    if (reading.result < 0)
        return reading;
    while ((reading.result = wal_read(reader, &frame)) > 0)
        reading_add(&reading, &frame);
    if (reading.result == 0) {
        ck_assert_int_eq(wal_read(reader, &frame), 0); /* an end stays an end */
        reading.stop = wal_reader_stop(reader, &reading.offset);
        reading.error = wal_reader_error(reader);
        snprintf(reading.reason, sizeof(reading.reason), "%s", wal_reader_reason(reader));
    }
    wal_reader_close(reader);
    return reading;
}

static int
add_log(void *context, const char *name)
{
    struct log_list *list = context;
    uint64_t number;
    size_t i;

    if (!wal_name_parse(name, &number) || number < list->oldest)
        return 0;
    ck_assert_uint_lt(list->count, LOG_LIST_MAX);
    for (i = list->count++; i > 0 && list->numbers[i - 1] > number; i--)
        list->numbers[i] = list->numbers[i - 1];
    list->numbers[i] = number;
    return 0;
}

void
log_list_logs(struct log_fixture *fixture, struct log_list *list)
{
    ck_assert_int_eq(env_dir_list(fixture->dir, add_log, list), 0);
}

static int
on_begin(void *context, uint64_t number)
{
    struct log_replay *replay = context;

    ck_assert_uint_eq(replay->begun, replay->ended);
    replay->numbers[replay->begun++] = number;
    return 0;
}

static int
on_frame(void *context, const struct wal_frame *frame)
{
    struct log_replay *replay = context;
    uint64_t sequence = log_check_frame(frame);

    if (replay->fail_frame != 0)
        return replay->fail_frame;
    if (replay->frames++ == 0)
        replay->first = sequence;
    else
        ck_assert_uint_eq(sequence, replay->last + 1);
    replay->last = sequence;
    return 0;
}

static int
on_end(void *context, uint64_t number, uint64_t end)
{
    struct log_replay *replay = context;

    ck_assert_uint_eq(replay->numbers[replay->ended++], number);
    ck_assert_uint_gt(end, 0);
    return 0;
}

const struct wal_recovery_ops log_recovery_ops = {
    .begin_log = on_begin, .frame = on_frame, .end_log = on_end};

int
log_recover(struct log_fixture *fixture, uint64_t oldest, bool read_only,
            struct log_replay *replay)
{
    struct log_list list = {.oldest = oldest};

    log_list_logs(fixture, &list);
    replay->result =
        wal_recover(fixture->dir, list.numbers, list.count, oldest, read_only,
                    &fixture->reporter, &log_recovery_ops, replay, &replay->outcome);
    return replay->result;
}
