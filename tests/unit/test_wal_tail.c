/*
 * test_wal_tail.c - where a log ends: torn or damaged, zeros, foreign frames, hostile bytes.
 *
 * Each test writes a log, changes its bytes as a power cut, a bad disk or an enemy would, and
 * asks where reading stops and why.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/coding.h"
#include "log/frame.h"
#include "log/wal.h"
#include "support/log_fixture.h"
#include "support/suite.h"

#define NUMBER     7u
#define FIRST      (FRAME_HEADER_SIZE + FRAME_FIRST_SIZE)
#define FRAMES_MAX 16u

static const struct wal_previous none = {0, 0};
static struct log_fixture fixture;

/* The log under test: frame i of sequence i + 1 is [starts[i], starts[i + 1]). */
static uint8_t *bytes;
static size_t size;
static uint64_t starts[FRAMES_MAX + 1];

static void
setup(void)
{
    log_fixture_init(&fixture);
}

static void
teardown(void)
{
    free(bytes);
    bytes = NULL;
    log_fixture_fini(&fixture);
}

/* Writes `count` frames with values of these sizes; syncs after the frames whose bit is set
 * in `synced`. */
static void
write_log(const size_t *sizes, unsigned count, unsigned synced)
{
    struct wal_writer *writer = log_create(&fixture, NUMBER, none);
    unsigned i;

    for (i = 0; i < count; i++) {
        starts[i] = wal_end(writer);
        log_append_ok(writer, i + 1, sizes[i]);
        if ((synced >> i & 1) != 0)
            ck_assert_int_eq(wal_sync(writer), 0);
    }
    starts[count] = wal_end(writer);
    ck_assert_int_eq(wal_close(writer), 0);
    bytes = log_bytes(&fixture, NUMBER, &size);
    ck_assert_uint_ge(size, starts[count]);
    size = starts[count]; /* without zeros that were written ahead */
}

static void
write_small(unsigned count, unsigned synced)
{
    static const size_t sizes[FRAMES_MAX] = {30, 31, 32, 33, 34, 35, 36, 37};

    write_log(sizes, count, synced);
}

/* Makes room for `more` bytes of zeros behind the log. */
static void
extend(size_t more)
{
    uint8_t *longer = realloc(bytes, size + more);

    ck_assert_ptr_nonnull(longer);
    memset(longer + size, 0, more);
    bytes = longer;
    size += more;
}

static struct log_reading
read_changed(void)
{
    log_replace(&fixture, NUMBER, bytes, size);
    return log_read(&fixture, NUMBER);
}

/* Checks where and why reading stops, and that it got the frames before. */
static void
expect_stop(enum wal_stop stop, unsigned frame, int error)
{
    struct log_reading reading = read_changed();

    ck_assert_int_eq(reading.result, 0);
    ck_assert_uint_eq(reading.frames, frame);
    ck_assert_uint_eq(reading.last, frame);
    ck_assert_msg(reading.stop == stop, "stopped at %llu: %d, not %d: %s",
                  (unsigned long long)reading.offset, reading.stop, stop, reading.reason);
    ck_assert_uint_eq(reading.offset, starts[frame]);
    ck_assert_int_eq(reading.error, error);
    ck_assert_str_ne(reading.reason, "");
}

START_TEST(test_a_last_frame_cut_at_any_byte_is_torn)
{
    size_t whole;

    write_small(4, 0x7);
    whole = size;
    for (size = starts[3] + 1; size < whole; size++)
        expect_stop(WAL_TORN, 3, 0);
    expect_stop(WAL_CLEAN_END, 4, 0);
    size = starts[3];
    expect_stop(WAL_CLEAN_END, 3, 0);
}
END_TEST

START_TEST(test_a_last_frame_lost_from_any_byte_on_is_torn)
{
    size_t from;

    write_small(4, 0x7);
    for (from = size - 1; from > starts[3]; from--) {
        bool lost = bytes[from] != 0;

        bytes[from] = 0;
        if (lost)
            expect_stop(WAL_TORN, 3, 0);
    }
    bytes[from] = 0;
    expect_stop(WAL_ZERO_TAIL, 3, 0);
}
END_TEST

START_TEST(test_any_flipped_bit_of_the_last_frame_is_seen)
{
    size_t bit;

    write_small(4, 0x7);
    for (bit = 8 * starts[3]; bit < 8 * size; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        expect_stop(WAL_TORN, 3, 0);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}
END_TEST

START_TEST(test_any_flipped_byte_before_a_durable_one_is_damage)
{
    size_t i;

    write_small(4, 0x7);
    for (i = starts[1]; i < starts[2]; i++) {
        bytes[i] ^= 0xff;
        expect_stop(WAL_DAMAGED, 1, -EBADMSG);
        bytes[i] ^= 0xff;
    }
}
END_TEST

static void
wipe(unsigned frame)
{
    memset(bytes + starts[frame], 0, starts[frame + 1] - starts[frame]);
}

/* pebble #864, rocksdb #12489: good frames behind a hole were replayed, or refused. */
START_TEST(test_a_hole_among_unsynced_frames_is_a_tear)
{
    write_small(8, 0x3);
    wipe(3);
    expect_stop(WAL_TORN, 3, 0);
    wipe(6);
    expect_stop(WAL_TORN, 3, 0);
    wipe(2);
    expect_stop(WAL_TORN, 2, 0);
}
END_TEST

START_TEST(test_a_hole_before_a_later_frames_synced_is_damage)
{
    write_small(8, 0x10); /* synced behind frame 4, so frames 5 to 7 say so */
    wipe(2);
    expect_stop(WAL_DAMAGED, 2, -EBADMSG);
    wipe(5);
    wipe(6);
    expect_stop(WAL_DAMAGED, 2, -EBADMSG);
    wipe(7);
    expect_stop(WAL_TORN, 2, 0);
}
END_TEST

START_TEST(test_synced_up_to_the_hole_is_no_proof_and_past_it_is)
{
    write_small(4, 0x2); /* frames 2 and 3 say: all before frame 2 */
    wipe(2);
    expect_stop(WAL_TORN, 2, 0);
    bytes[starts[1] + 30] ^= 1;
    expect_stop(WAL_DAMAGED, 1, -EBADMSG);
}
END_TEST

START_TEST(test_proof_is_found_across_windows_of_the_search)
{
    static const size_t sizes[] = {30, 700 << 10, 300 << 10, 900 << 10, 30};

    write_log(sizes, 5, 1u << _i);
    bytes[starts[0] + 40] ^= 1;
    expect_stop(WAL_DAMAGED, 0, -EBADMSG);
}
END_TEST

START_TEST(test_a_bad_first_frame_is_damage_exactly_if_a_frame_follows)
{
    struct log_reading reading;

    write_small(1, 0);
    bytes[9] ^= 1;
    reading = read_changed();
    ck_assert_int_eq(reading.stop, WAL_DAMAGED);
    ck_assert_uint_eq(reading.offset, 0);
    memset(bytes + starts[0], 0, size - starts[0]);
    ck_assert_int_eq(read_changed().stop, WAL_TORN);
    size = FIRST;
    reading = read_changed();
    ck_assert_int_eq(reading.stop, WAL_TORN);
    ck_assert_uint_eq(reading.offset, 0);
    memset(bytes, 0, size);
    ck_assert_int_eq(read_changed().stop, WAL_ZERO_TAIL);
}
END_TEST

START_TEST(test_zeros_behind_the_last_frame_are_its_end)
{
    size_t tails[] = {1, 7, 8, 23, 24, 25, 4096, 262144, 262144 + 20, 1 << 20};
    unsigned i;

    write_small(3, 0x7);
    for (i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
        extend(tails[i]);
        expect_stop(WAL_ZERO_TAIL, 3, 0);
        bytes[size - 1] = 1;
        expect_stop(WAL_TORN, 3, 0);
        bytes[size - 1] = 0;
        size = starts[3];
    }
}
END_TEST

/* Bug: the zeros that were written ahead counted as cut. */
START_TEST(test_of_a_torn_tail_what_was_written_counts)
{
    size_t tails[] = {1, 24, 4096, 262144, 262144 + 20, 1 << 20};
    char reason[80];
    unsigned i;

    write_small(5, 0x7);
    bytes[starts[3] + 30] ^= 1; /* a good frame follows */
    for (i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
        extend(tails[i]);
        expect_stop(WAL_TORN, 3, 0);
        snprintf(reason, sizeof(reason), "durable; %zu bytes",
                 size - tails[i] - (size_t)starts[3]);
        ck_assert_msg(strstr(read_changed().reason, reason) != NULL, "%s",
                      read_changed().reason);
        size -= tails[i];
    }
}
END_TEST

/* A file first written as log 5, then begun again as log NUMBER: the second's frames over the
 * first's.  Returns where the second ends. */
static size_t
write_over(unsigned foreign_frames, unsigned frames)
{
    const struct frame_first first = {FRAME_VERSION, 0, 0, 0};
    struct wal_writer *writer = log_create(&fixture, 5, none);
    struct lsmkv_batch batch;
    uint8_t body[FRAME_FIRST_SIZE];
    uint8_t *frame;
    size_t length, end;
    unsigned i;

    for (i = 0; i < foreign_frames; i++) {
        log_append_ok(writer, i + 1, 40);
        ck_assert_int_eq(wal_sync(writer), 0);
    }
    ck_assert_int_eq(wal_close(writer), 0);
    bytes = log_bytes(&fixture, 5, &size);

    frame_first_encode(body, &first);
    frame = log_forge(NUMBER, 0, WAL_FRAME_FIRST, 0, 0, lsmkv_bytes(body, sizeof(body)),
                      &length);
    memcpy(bytes, frame, length);
    free(frame);
    end = length;
    batch_init(&batch);
    for (i = 0; i < frames; i++) {
        starts[i] = end;
        log_batch(&batch, 1000 + i, 24);
        frame = log_forge(NUMBER, end, WAL_FRAME_BATCH, 1000 + i, FIRST,
                          batch_slice(&batch), &length);
        memcpy(bytes + end, frame, length);
        free(frame);
        end += length;
    }
    starts[frames] = end;
    batch_fini(&batch);
    return end;
}

/* Invariant 7; rocksdb #746 #12591, pebble #567.  The number of new frames moves the seam to
 * the middle of foreign frames and, once, to a border. */
START_TEST(test_frames_of_another_log_are_never_read)
{
    size_t end = write_over(30, (unsigned)_i);
    struct log_reading reading = read_changed();

    ck_assert_uint_eq(reading.frames, (unsigned)_i);
    ck_assert_uint_eq(reading.offset, end);
    ck_assert_msg(reading.stop == WAL_TORN, "%s", reading.reason);
    ck_assert_int_eq(reading.error, 0);
}
END_TEST

START_TEST(test_a_torn_frame_over_foreign_ones_is_torn)
{
    struct log_reading reading;

    write_over(30, 4);
    bytes[starts[3] + 60] ^= 1;
    reading = read_changed();
    ck_assert_uint_eq(reading.frames, 3);
    ck_assert_uint_eq(reading.offset, starts[3]);
    ck_assert_msg(reading.stop == WAL_TORN, "%s", reading.reason);
}
END_TEST

/* Puts a frame with a good checksum in place of the last one. */
static void
forge_last(unsigned frame, uint8_t type, uint64_t sequence, uint64_t synced,
           struct lsmkv_slice entries)
{
    size_t length;
    uint8_t *forged =
        log_forge(NUMBER, starts[frame], type, sequence, synced, entries, &length);

    size = starts[frame];
    extend(length);
    memcpy(bytes + starts[frame], forged, length);
    starts[frame + 1] = size;
    free(forged);
}

/* R3: with a good checksum this was written so, and is no tear. */
START_TEST(test_a_good_checksum_over_a_bad_structure_is_damage)
{
    struct lsmkv_batch batch;
    struct lsmkv_slice good, cut, longer;

    write_small(4, 0x7);
    batch_init(&batch);
    log_batch(&batch, 4, 100);
    good = batch_slice(&batch);
    cut = lsmkv_bytes(good.data, good.size - 1);
    longer = lsmkv_bytes("\0\0\0\0\0\0\0\0\0\0\0\0\0", 13);

    forge_last(3, WAL_FRAME_BATCH, 4, starts[3], good);
    expect_stop(WAL_CLEAN_END, 4, 0);
    forge_last(3, WAL_FRAME_BATCH, 4, starts[3] + 8, good);
    expect_stop(WAL_DAMAGED, 3, -EUCLEAN);
    forge_last(3, WAL_FRAME_BATCH, 4, starts[3], cut);
    expect_stop(WAL_DAMAGED, 3, -EUCLEAN);
    forge_last(3, WAL_FRAME_BATCH, 4, starts[3], longer);
    expect_stop(WAL_DAMAGED, 3, -EUCLEAN);
    forge_last(3, WAL_FRAME_BATCH, 3, starts[3], good);
    expect_stop(WAL_DAMAGED, 3, -EUCLEAN);
    forge_last(3, WAL_FRAME_BATCH, SEQUENCE_MAX, starts[3], good);
    expect_stop(WAL_DAMAGED, 3, -EUCLEAN);
    forge_last(3, 77, 4, starts[3], good);
    expect_stop(WAL_DAMAGED, 3, -EUCLEAN);
    forge_last(3, WAL_FRAME_FIRST, 0, starts[3],
               lsmkv_bytes(bytes + FRAME_HEADER_SIZE, 32));
    expect_stop(WAL_DAMAGED, 3, -EUCLEAN);
    batch_fini(&batch);
}
END_TEST

START_TEST(test_a_log_of_another_version_is_refused_as_a_whole)
{
    struct frame_first first = {FRAME_VERSION + 1, 0, 0, 0};
    uint8_t body[FRAME_FIRST_SIZE];
    struct log_reading reading;
    uint8_t *frame;
    size_t length;

    frame_first_encode(body, &first);
    frame = log_forge(NUMBER, 0, WAL_FRAME_FIRST, 0, 0, lsmkv_bytes(body, sizeof(body)),
                      &length);
    log_replace(&fixture, NUMBER, frame, length);
    reading = log_read(&fixture, NUMBER);
    ck_assert_int_eq(reading.stop, WAL_DAMAGED);
    ck_assert_int_eq(reading.error, -EUCLEAN);
    ck_assert_uint_eq(reading.offset, 0);
    free(frame);
}
END_TEST

/* Invariant 16; leveldb #1310: a length is believed only as far as the file goes. */
START_TEST(test_a_length_beyond_the_file_or_the_limit_is_a_bad_frame)
{
    const uint32_t lengths[] = {UINT32_MAX, UINT32_MAX - 23,      UINT32_MAX - 24,
                                0x80000000, FRAME_LENGTH_MAX + 1, FRAME_LENGTH_MAX,
                                4096};
    unsigned i;

    write_small(4, 0x7);
    for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        put_u32(bytes + starts[3] + 4, lengths[i]);
        expect_stop(WAL_TORN, 3, 0);
    }
}
END_TEST

/* T3: a value may hold the image of a frame, made for the very place where it lies. */
START_TEST(test_a_frame_inside_a_value_proves_nothing)
{
    struct wal_writer *writer = log_create(&fixture, NUMBER, none);
    uint64_t inside;
    struct lsmkv_batch inner, outer;
    uint8_t value[400] = {0};
    struct lsmkv_record record = {.value = lsmkv_bytes(value, sizeof(value))};
    struct wal_append append = {.first_sequence = 3};
    uint8_t *forged;
    size_t length;

    starts[0] = wal_end(writer);
    log_append_ok(writer, 1, 30);
    starts[1] = wal_end(writer);
    log_append_ok(writer, 2, 30);

    /* The value begins within the frame's first 60 bytes; the image at its byte 72. */
    inside = wal_end(writer) + FRAME_HEADER_SIZE + BATCH_HEADER_SIZE + 6 + 70;
    inside += FRAME_ALIGNMENT - inside % FRAME_ALIGNMENT;
    batch_init(&inner);
    log_batch(&inner, 9, 50);
    forged = log_forge(NUMBER, inside, WAL_FRAME_BATCH, 9, wal_end(writer),
                       batch_slice(&inner), &length);
    memcpy(value + (inside - wal_end(writer)) - FRAME_HEADER_SIZE - BATCH_HEADER_SIZE - 6,
           forged, length);
    batch_init(&outer);
    ck_assert_int_eq(batch_add(&outer, 0, KIND_PUT, lsmkv_bytes(NULL, 0), &record), 0);
    append.entries = batch_slice(&outer);
    ck_assert_int_eq(wal_append(writer, &append, 1), 0);
    ck_assert_int_eq(wal_close(writer), 0);

    bytes = log_bytes(&fixture, NUMBER, &size);
    ck_assert_mem_eq(bytes + inside, forged, length);
    bytes[starts[1] + 40] ^= 1;
    expect_stop(WAL_TORN, 1, 0);
    /* The image is good: alone it would be the proof. */
    memset(bytes + inside - 80, 0, 40);
    expect_stop(WAL_DAMAGED, 1, -EBADMSG);

    free(forged);
    batch_fini(&inner);
    batch_fini(&outer);
}
END_TEST

/* T2: every place looks like a frame of the whole rest that says all was durable. */
START_TEST(test_searching_hostile_bytes_is_bounded)
{
    const size_t tail = 8u << 20;
    struct log_reading reading;
    size_t at;
    uint64_t reads;

    write_small(2, 0x3);
    extend(tail);
    for (at = starts[2]; size - at >= 2 * FRAME_HEADER_SIZE; at += FRAME_HEADER_SIZE) {
        struct frame_header header = {
            .checksum = 0x12345678,
            .length = (uint32_t)((size - at - FRAME_HEADER_SIZE) & ~(size_t)7),
            .type = WAL_FRAME_BATCH,
            .first_sequence = 100,
            .synced = at & ~UINT64_C(7),
        };

        frame_header_encode(bytes + at, &header);
    }
    log_replace(&fixture, NUMBER, bytes, size);
    reads = fault_env_calls(fixture.fault, ENV_CALL_FILE_READ);
    reading = log_read(&fixture, NUMBER);
    reads = fault_env_calls(fixture.fault, ENV_CALL_FILE_READ) - reads;
    ck_assert_int_eq(reading.stop, WAL_DAMAGED);
    ck_assert_uint_eq(reading.frames, 2);
    /* 96 MiB in pieces of 64 KiB, and the windows. */
    ck_assert_uint_lt(reads, 2000);
}
END_TEST

struct salvaged {
    unsigned frames, gaps;
    uint64_t gap_end; /* of the last one */
};

static int
count_salvaged(void *context, const struct wal_frame *frame)
{
    struct salvaged *salvaged = context;

    (void)frame;
    salvaged->frames++;
    return 0;
}

static void
count_gap(void *context, uint64_t from, uint64_t to)
{
    struct salvaged *salvaged = context;

    (void)from;
    salvaged->gaps++;
    salvaged->gap_end = to;
}

static struct salvaged
salvage(uint64_t durable)
{
    struct salvaged salvaged = {0};
    const struct wal_salvage ops = {count_salvaged, count_gap, &salvaged};

    log_replace(&fixture, NUMBER, bytes, size);
    ck_assert_int_eq(
        wal_salvage(fixture.dir, NUMBER, UINT64_MAX, durable, &fixture.reporter, &ops),
        0);
    return salvaged;
}

/* Zeros that were written ahead are no loss, unless it is known that the log went on. */
START_TEST(test_salvaging_takes_zeros_behind_the_last_frame_for_its_end)
{
    struct salvaged salvaged;

    write_small(8, 0xff);
    extend(20000);
    bytes[starts[3] + 30] ^= 1;
    salvaged = salvage(0);
    ck_assert_uint_eq(salvaged.frames, 7);
    ck_assert_uint_eq(salvaged.gaps, 1);
    ck_assert_uint_eq(salvaged.gap_end, starts[4]);
    salvaged = salvage(starts[8]);
    ck_assert_uint_eq(salvaged.gaps, 1);
    salvaged = salvage(starts[8] + 8);
    ck_assert_uint_eq(salvaged.gaps, 2);
    bytes[size - 1] = 1;
    salvaged = salvage(0);
    ck_assert_uint_eq(salvaged.frames, 7);
    ck_assert_uint_eq(salvaged.gaps, 2);
    ck_assert_uint_eq(salvaged.gap_end, size);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("wal_tail");
    TCase *tests = tcase_create("wal_tail");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_a_last_frame_cut_at_any_byte_is_torn);
    tcase_add_test(tests, test_a_last_frame_lost_from_any_byte_on_is_torn);
    tcase_add_test(tests, test_any_flipped_bit_of_the_last_frame_is_seen);
    tcase_add_test(tests, test_any_flipped_byte_before_a_durable_one_is_damage);
    tcase_add_test(tests, test_a_hole_among_unsynced_frames_is_a_tear);
    tcase_add_test(tests, test_a_hole_before_a_later_frames_synced_is_damage);
    tcase_add_test(tests, test_synced_up_to_the_hole_is_no_proof_and_past_it_is);
    tcase_add_loop_test(tests, test_proof_is_found_across_windows_of_the_search, 0, 4);
    tcase_add_test(tests, test_a_bad_first_frame_is_damage_exactly_if_a_frame_follows);
    tcase_add_test(tests, test_zeros_behind_the_last_frame_are_its_end);
    tcase_add_test(tests, test_of_a_torn_tail_what_was_written_counts);
    tcase_add_loop_test(tests, test_frames_of_another_log_are_never_read, 0, 12);
    tcase_add_test(tests, test_a_torn_frame_over_foreign_ones_is_torn);
    tcase_add_test(tests, test_a_good_checksum_over_a_bad_structure_is_damage);
    tcase_add_test(tests, test_a_log_of_another_version_is_refused_as_a_whole);
    tcase_add_test(tests, test_a_length_beyond_the_file_or_the_limit_is_a_bad_frame);
    tcase_add_test(tests, test_a_frame_inside_a_value_proves_nothing);
    tcase_add_test(tests, test_searching_hostile_bytes_is_bounded);
    tcase_add_test(tests, test_salvaging_takes_zeros_behind_the_last_frame_for_its_end);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
