/* test_data.c - contents of files: inline, chunks, fragments, holes; see data_fixture.h. */
#include "data_fixture.h"
#include "support/rounds.h"

/* ---- random ---- */

/* Small, a block, a part of a chunk, whole chunks: each as likely. */
static size_t
random_size(struct random *random)
{
    static const size_t limits[] = {16, 5000, 70000, 150000, 400000};
    size_t limit = limits[random_below(random, 5)];

    if (random_below(random, 4) == 0)
        return DATA_CHUNK * (1 + random_below(random, 3));
    return 1 + random_below(random, limit);
}

static uint64_t
random_offset(struct random *random, const struct model_file *file)
{
    switch (random_below(random, 4)) {
    case 0:
        return file->size; /* append */
    case 1:
        return DATA_CHUNK * random_below(random, 4);
    case 2:
        return random_below(random, file->size + 1);
    default:
        return random_below(random, FILE_MAX / 2);
    }
}

static void
random_write(struct random *random, struct model_file *file)
{
    static uint8_t bytes[FILE_MAX];
    size_t size = random_size(random);
    uint64_t offset = random_offset(random, file);

    if (offset + size > FILE_MAX)
        return;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(random->state + i * 7 + (i >> 9));
    random_next(random);
    do_write(file, offset, bytes, size);
}

/* As a log is written, or what was written last is written on. */
static void
random_appends(struct random *random, struct model_file *file)
{
    uint64_t at = random_below(random, 2) == 0 ? file->size : random_offset(random, file);
    size_t size = 1 + random_below(random, 400);
    uint8_t bytes[400];

    memset(bytes, (int)(random->state | 1), size);
    for (unsigned i = 0; i < 40 && at + size <= FILE_MAX; i++, at += size)
        do_write(file, at, bytes, size);
}

/* As a database does: some pages, over and over, and now and then what lies across them. */
static void
random_pages(struct random *random, struct model_file *file)
{
    uint64_t base = DATA_CHUNK * random_below(random, 4);
    size_t page = 512u << random_below(random, 5);
    uint8_t bytes[8192];

    for (unsigned i = 0; i < 60; i++) {
        uint64_t at = base + page * random_below(random, 12);

        memset(bytes, (int)(random->state | 1), page);
        if (random_below(random, 10) == 0)
            at += random_below(random, page);
        if (at + page <= FILE_MAX)
            do_write(file, at, bytes, page);
    }
}

static void
random_truncate(struct random *random, struct model_file *file)
{
    switch (random_below(random, 5)) {
    case 0:
        do_truncate(file, 0);
        break;
    case 1:
        do_truncate(file, random_below(random, DATA_INLINE_MAX + 2));
        break;
    case 2:
        do_truncate(file, DATA_CHUNK * random_below(random, 5));
        break;
    case 3:
        do_truncate(file, random_below(random, file->size + 1));
        break;
    default:
        do_truncate(file, random_below(random, FILE_MAX));
    }
}

static void
random_step(struct random *random)
{
    struct model_file *file = &files[random_below(random, FILES)];
    uint64_t from = random_below(random, FILE_MAX);
    struct open_file open;
    bool more;

    switch (random_below(random, 20)) {
    case 0:
    case 1:
    case 2:
        random_truncate(random, file);
        break;
    case 3:
        do_punch(file, from, from + random_size(random));
        break;
    case 4:
        from = DATA_CHUNK * random_below(random, 4);
        do_punch(file, from, from + DATA_CHUNK * (1 + random_below(random, 3)));
        break;
    case 5:
        do_remove(file);
        break;
    case 6:
    case 7:
        ck_assert_int_eq(sweep_step(fixture.store, &more), 0);
        break;
    case 8:
    case 9:
    case 10:
        file_open(file, &open);
        from = random_below(random, file->size + 1);
        check_range(file, &open, from, random_size(random) % (FILE_MAX - from));
        file_close(&open);
        break;
    case 11:
        random_appends(random, file);
        break;
    case 12:
        random_pages(random, file);
        break;
    default:
        random_write(random, file);
    }
}

START_TEST(test_random_changes_read_back_and_keep_every_invariant)
{
    struct random random = random_of(random_seed() + (uint64_t)_i);
    uint64_t steps = rounds_of(600, 160);

    for (unsigned step = 1; step <= steps; step++) {
        random_step(&random);
        if (step % 50 == 0)
            check_all();
        if (step % 100 == 0) {
            lsmkv_batch_free(batch);
            fixture_reopen(&fixture);
            ck_assert_int_eq(lsmkv_batch_new(&batch), 0);
        }
        if (step % 150 == 0)
            ck_assert_int_eq(lsmkv_flush(fixture.store->db), 0);
    }
    for (unsigned i = 0; i < FILES; i++)
        do_remove(&files[i]);
    fixture_sweep(&fixture);
    ck_assert_uint_eq(fixture_count_chunks(&fixture), 0);
    ck_assert_uint_eq(fixture_count_tag(&fixture, RECORD_ORPHAN), 0);
    ck_assert_uint_eq(fixture_count_tag(&fixture, RECORD_TRIM), 0);
}
END_TEST

/* ---- claims ---- */

START_TEST(test_a_write_is_one_batch_the_change_to_chunks_included)
{
    struct change change;
    struct lsmkv_stats before, after;

    do_write(&files[0], 0, pattern, 4000);
    /* The counter's reservation is a write of its own, once in 65,536. */
    do_write(&files[1], 0, pattern, 5000);
    ck_assert_int_eq(lsmkv_get_stats(fixture.store->db, &before), 0);
    do_write(&files[0], 4000, pattern, 200000);
    ck_assert_int_eq(lsmkv_get_stats(fixture.store->db, &after), 0);
    ck_assert_uint_eq(after.writes - before.writes, 1);
    check_all();

    change_begin(&change, &files[0]);
    ck_assert_int_eq(data_write(&change.edit, 10, pattern, 10), 0);
    ck_assert_uint_eq(lsmkv_batch_count(batch), 1);
    ck_assert_uint_lt(lsmkv_batch_size(batch), 100);
    change_end(&change, &files[0]);
}
END_TEST

START_TEST(test_whole_chunks_are_put_once_and_nothing_is_read)
{
    struct change change;

    for (unsigned i = 0; i < 4; i++) {
        change_begin(&change, &files[0]);
        ck_assert_int_eq(data_write(&change.edit, i * (512u << 10), pattern, 512 << 10),
                         0);
        ck_assert_uint_eq(lsmkv_batch_count(batch), 4);
        ck_assert_ptr_null(buffer.bytes);
        change_end(&change, &files[0]);
    }
    ck_assert_uint_eq(data_of(&files[0]).chunks, 16);
}
END_TEST

START_TEST(test_too_many_fragments_fold_the_chunk)
{
    do_write(&files[0], 0, pattern, 10000);
    for (unsigned i = 0; i < DATA_FRAGMENTS_MAX - 1; i++)
        do_write(&files[0], i * 10, pattern, 5);
    ck_assert_uint_eq(fixture_count_chunks(&fixture), DATA_FRAGMENTS_MAX);
    do_write(&files[0], 7000, pattern, 5);
    ck_assert_uint_eq(fixture_count_chunks(&fixture), 1);
    check_all();
}
END_TEST

START_TEST(test_fragments_of_more_than_a_chunk_fold_it)
{
    do_write(&files[0], 0, pattern, 100000);
    do_write(&files[0], 100, pattern, 70000);
    ck_assert_uint_eq(fixture_count_chunks(&fixture), 2);
    do_write(&files[0], 200, pattern, 70000);
    ck_assert_uint_eq(fixture_count_chunks(&fixture), 1);
    check_all();
}
END_TEST

/* Sixteen bytes at a time: a fragment that grows to 1 KiB, and the next. */
START_TEST(test_what_is_appended_in_small_pieces_grows_a_fragment)
{
    do_write(&files[0], 0, pattern, 10000);
    for (unsigned i = 0; i < 64; i++) {
        do_write(&files[0], files[0].size, pattern + i, 16);
        ck_assert_uint_eq(fixture_count_chunks(&fixture), 2);
    }
    do_write(&files[0], files[0].size, pattern, 16);
    ck_assert_uint_eq(fixture_count_chunks(&fixture), 3);
    check_all();
    fixture_reopen(&fixture);
    do_write(&files[0], files[0].size, pattern, 16);
    ck_assert_uint_eq(fixture_count_chunks(&fixture), 3);
    check_all();
}
END_TEST

/* What fits whole chunks in fragments of 4 KiB is written once: no chunk folds. */
START_TEST(test_what_is_appended_in_blocks_is_put_once)
{
    const unsigned blocks = 2 * DATA_CHUNK / 4096;
    uint64_t before;

    do_write(&files[0], 0, pattern, DATA_CHUNK);
    before = fixture_count_chunks(&fixture);
    for (unsigned i = 0; i < blocks; i++)
        do_write(&files[0], files[0].size, pattern, 4096);
    ck_assert_uint_eq(fixture_count_chunks(&fixture) - before, blocks);
    check_all();
    /* Where they lie across the edges of chunks two of them are in two parts. */
    do_write(&files[1], 0, pattern, DATA_CHUNK + 5000);
    before = fixture_count_chunks(&fixture);
    for (unsigned i = 0; i < blocks; i++)
        do_write(&files[1], files[1].size, pattern, 4096);
    ck_assert_uint_eq(fixture_count_chunks(&fixture) - before, blocks + 2);
    check_all();
}
END_TEST

/* As a database writes its pages again and again: each fragment is put again, and no chunk folds. */
START_TEST(test_what_is_written_over_a_fragment_takes_its_place)
{
    const unsigned pages = DATA_CHUNK / 4096;

    do_write(&files[0], 0, pattern, 2 * DATA_CHUNK);
    for (unsigned i = 0; i < 5 * pages; i++)
        do_write(&files[0], DATA_CHUNK + i * 7 % pages * 4096, pattern + i, 4096);
    ck_assert_uint_eq(fixture_count_chunks(&fixture), 1 + pages);
    check_each_page(&files[0]);
    check_all();
    /* After a crash its place is known of the last alone; what comes behind it is known again. */
    do_write(&files[1], 0, pattern, DATA_CHUNK);
    for (unsigned i = 0; i < 3; i++)
        do_write(&files[1], i * 8192, pattern + i, 8192);
    fixture_reopen(&fixture);
    do_write(&files[1], 2 * 8192, pattern + 5, 8192);
    ck_assert_uint_eq(fixture_count_chunks(&fixture), 1 + pages + 4);
    do_write(&files[1], 8192, pattern + 6, 8192);
    do_write(&files[1], 2 * 8192, pattern + 7, 8192);
    do_write(&files[1], 8192, pattern + 8, 8192);
    ck_assert_uint_eq(fixture_count_chunks(&fixture), 1 + pages + 5);
    check_each_page(&files[1]);
    check_all();
}
END_TEST

/* What lies over it in part has to stay over it. */
START_TEST(test_what_a_later_fragment_lies_over_is_not_put_again)
{
    do_write(&files[0], 0, pattern, DATA_CHUNK);
    do_write(&files[0], 4096, pattern + 1, 4096);
    do_write(&files[0], 8000, pattern + 2, 4096);
    do_write(&files[0], 4096, pattern + 3, 4096);
    ck_assert_uint_eq(fixture_count_chunks(&fixture), 4);
    check_each_page(&files[0]);
    check_all();
    /* Nor one that grew: it is another size. */
    do_write(&files[1], 0, pattern, DATA_CHUNK);
    do_write(&files[1], 4096, pattern + 1, 100);
    do_write(&files[1], 4196, pattern + 2, 100);
    do_write(&files[1], 4096, pattern + 3, 100);
    ck_assert_uint_eq(fixture_count_chunks(&fixture), 4 + 3);
    do_write(&files[1], 4096, pattern + 4, 100);
    ck_assert_uint_eq(fixture_count_chunks(&fixture), 4 + 3);
    do_write(&files[1], 4096, pattern + 5, 200);
    ck_assert_uint_eq(fixture_count_chunks(&fixture), 4 + 4);
    check_all();
}
END_TEST

/* Of a crafted store: more fragments than are known at once, up to the last number that there is. */
START_TEST(test_a_chunk_of_too_many_fragments_is_folded)
{
    static const unsigned counts[] = {CHUNK_FRAGMENTS_MAX - 1, CHUNK_FRAGMENTS_MAX,
                                      UINT8_MAX};

    for (unsigned i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct model_file *file = &files[i];

        do_write(file, 0, pattern, DATA_CHUNK);
        for (unsigned number = 1; number <= counts[i]; number++) {
            struct chunk_key key = chunk_key(data_of(file).id, 0, number);
            uint8_t attributes[8];

            put_le32(put_le32(attributes, number * 100), number * 10);
            ck_assert_int_eq(lsmkv_put(fixture.store->db, fixture.store->chunks,
                                       chunk_slice(&key),
                                       lsmkv_bytes(attributes, sizeof attributes),
                                       lsmkv_bytes(pattern + number, 10), 0),
                             0);
            memcpy(file->bytes + number * 100, pattern + number, 10);
        }
        known_chunks_forget_all(fixture.store->known_chunks);
        for (unsigned time = 0; time < 3; time++) {
            do_write(file, counts[i] * 100, pattern + 7 + time, 10);
            check_each_page(file);
        }
        ck_assert_uint_le(fixture_count_chunks(&fixture), (i + 1) * CHUNK_FRAGMENTS_MAX);
    }
}
END_TEST

static struct lsmkv_stats
stats_now(void)
{
    struct lsmkv_stats stats;

    ck_assert_int_eq(lsmkv_get_stats(fixture.store->db, &stats), 0);
    return stats;
}

START_TEST(test_what_was_just_written_is_not_looked_for)
{
    uint64_t seeks;

    do_write(&files[0], 0, pattern, 3 * DATA_CHUNK);
    do_write(&files[0], DATA_CHUNK + 5000, pattern, 100);
    seeks = stats_now().seeks;
    for (unsigned i = 0; i < 20; i++) {
        do_write(&files[0], DATA_CHUNK + i * 1000, pattern, 100);
        do_write(&files[0], files[0].size, pattern, 100);
    }
    ck_assert_uint_eq(stats_now().seeks, seeks);
    /* What is cut is. */
    do_truncate(&files[0], files[0].size - 1);
    do_write(&files[0], files[0].size, pattern, 100);
    ck_assert_uint_gt(stats_now().seeks, seeks);
    check_all();
}
END_TEST

/* Of a chunk with many fragments those that have something of it. */
START_TEST(test_a_read_reads_what_is_wanted)
{
    struct open_file open;
    uint64_t before;

    for (unsigned i = 0; i < 30; i++)
        do_write(&files[0], i * 4096u, pattern + i, 4096);
    ck_assert_int_eq(lsmkv_flush(fixture.store->db), 0);
    before = stats_now().blobs_read;
    file_open(&files[0], &open);
    check_range(&files[0], &open, 7 * 4096 + 2048, 4096);
    file_close(&open);
    ck_assert_uint_le(stats_now().blobs_read - before, 2);
    ck_assert_uint_gt(stats_now().blobs_read - before, 0);
    check_all();
}
END_TEST

/* Of a whole chunk the pages that are wanted. */
START_TEST(test_a_small_read_of_a_chunk_reads_its_pages)
{
    struct open_file open;
    uint64_t before;

    do_write(&files[0], 0, pattern, 5 * DATA_CHUNK);
    ck_assert_int_eq(lsmkv_flush(fixture.store->db), 0);
    before = stats_now().blob_bytes_read;
    file_open(&files[0], &open);
    for (unsigned i = 0; i < 10; i++)
        check_range(&files[0], &open, 3 * DATA_CHUNK - 8192 + i * 4096, 4096);
    ck_assert_uint_eq(stats_now().blob_bytes_read - before, 10 * 4096);
    check_range(&files[0], &open, 2 * DATA_CHUNK - 1, 2);
    ck_assert_uint_eq(stats_now().blob_bytes_read - before, 12 * 4096);
    file_close(&open);
    check_all();
}
END_TEST

START_TEST(test_a_file_cut_to_nothing_gets_a_new_id)
{
    do_write(&files[0], 0, pattern, 300000);
    uint64_t id = data_of(&files[0]).id;
    do_truncate(&files[0], 0);
    ck_assert(data_of(&files[0]).kind == ATTR_INLINE);
    ck_assert_uint_eq(count_names(id), 1);
    do_write(&files[0], 0, pattern, 300000);
    ck_assert_uint_ne(data_of(&files[0]).id, id);
    fixture_sweep(&fixture);
    ck_assert_uint_eq(count_names(id), 0);
    check_all();
}
END_TEST

START_TEST(test_growing_over_a_trim_finishes_it_first)
{
    memset(scratch, 0xAB, 800000);
    do_write(&files[0], 0, scratch, 800000);
    do_truncate(&files[0], 140000);
    ck_assert_uint_eq(fixture_count_tag(&fixture, RECORD_TRIM), 1);
    /* Within the cut chunk nothing is in the way. */
    do_truncate(&files[0], 150000);
    ck_assert_uint_eq(fixture_count_tag(&fixture, RECORD_TRIM), 1);
    do_truncate(&files[0], 800000);
    ck_assert_uint_eq(fixture_count_tag(&fixture, RECORD_TRIM), 0);
    check_all();
}
END_TEST

START_TEST(test_growing_over_a_trim_finishes_it_first_after_a_crash_too)
{
    struct mem_crash kept = {MEM_DATA_ALL, MEM_NAMES_KEPT};

    memset(scratch, 0xAB, 800000);
    do_write(&files[0], 0, scratch, 800000);
    do_truncate(&files[0], 140000);
    lsmkv_batch_free(batch);
    fixture_crash(&fixture, kept, 0);
    ck_assert_int_eq(lsmkv_batch_new(&batch), 0);
    ck_assert_uint_eq(fixture_count_tag(&fixture, RECORD_TRIM), 1);
    memset(scratch, 0xCD, 10);
    do_write(&files[0], 700000, scratch, 10);
    ck_assert_uint_eq(fixture_count_tag(&fixture, RECORD_TRIM), 0);
    check_all();
}
END_TEST

/* A file of `chunks` chunks of data, with a block punched out of the last. */
static void
punch_last(unsigned chunks)
{
    static uint8_t bytes[DATA_CHUNK];
    struct change change;
    uint64_t done;

    memset(bytes, 'd', sizeof(bytes));
    for (unsigned i = 0; i < chunks; i++) {
        change_begin(&change, &files[0]);
        ck_assert_int_eq(
            data_write(&change.edit, (uint64_t)i * DATA_CHUNK, bytes, sizeof(bytes)), 0);
        change_end(&change, &files[0]);
    }
    change_begin(&change, &files[0]);
    ck_assert_int_eq(data_punch(&change.edit, (uint64_t)chunks * DATA_CHUNK - 8192,
                                (uint64_t)chunks * DATA_CHUNK - 4096, &done),
                     0);
    change_end(&change, &files[0]);
}

START_TEST(test_seek_hole_reads_no_more_than_some_chunks)
{
    const uint64_t limit = (uint64_t)DATA_SEEK_CHUNKS * DATA_CHUNK;
    uint64_t found;

    punch_last(DATA_SEEK_CHUNKS + 1);
    struct attr_data data = data_of(&files[0]);
    ck_assert_int_eq(data_seek(fixture.store, NULL, &data, 0, SEEK_HOLE, &found), 0);
    ck_assert_uint_eq(found, data.size);
    ck_assert_int_eq(data_seek(fixture.store, NULL, &data, DATA_CHUNK, SEEK_HOLE, &found),
                     0);
    ck_assert_uint_eq(found, limit + DATA_CHUNK - 8192);
    ck_assert_int_eq(data_seek(fixture.store, NULL, &data, found, SEEK_DATA, &found), 0);
    ck_assert_uint_eq(found, limit + DATA_CHUNK - 4096);
}
END_TEST

START_TEST(test_a_sparse_file_has_only_the_chunks_written)
{
    uint64_t far = (UINT64_C(1) << 40) + 5, found;
    struct change change;

    change_begin(&change, &files[0]);
    ck_assert_int_eq(data_write(&change.edit, far, "x", 1), 0);
    change_end(&change, &files[0]);
    struct attr_data data = data_of(&files[0]);
    ck_assert_uint_eq(data.chunks, 1);
    ck_assert_uint_eq(data.size, far + 1);
    ck_assert_int_eq(data_seek(fixture.store, NULL, &data, 0, SEEK_DATA, &found), 0);
    ck_assert_uint_eq(found, UINT64_C(1) << 40);
    ck_assert_int_eq(data_seek(fixture.store, NULL, &data, 5, SEEK_HOLE, &found), 0);
    ck_assert_uint_eq(found, 5);
    ck_assert_int_eq(data_seek(fixture.store, NULL, &data, far, SEEK_HOLE, &found), 0);
    ck_assert_uint_eq(found, far + 1);
}
END_TEST

START_TEST(test_sizes_past_the_largest_are_refused)
{
    struct change change;

    change_begin(&change, &files[0]);
    ck_assert_int_eq(data_write(&change.edit, DATA_SIZE_MAX, "x", 1), -EFBIG);
    ck_assert_int_eq(data_write(&change.edit, UINT64_MAX, "x", 1), -EFBIG);
    ck_assert_int_eq(data_truncate(&change.edit, DATA_SIZE_MAX + 1), -EFBIG);
    ck_assert_int_eq(data_truncate(&change.edit, DATA_SIZE_MAX), 0);
    file_close(&change.open);
}
END_TEST

/* A value put through the C API may be of any size. */
START_TEST(test_a_large_plain_value_becomes_chunks_when_it_changes)
{
    memset(files[0].bytes, 'v', 700000);
    files[0].size = 700000;
    ck_assert_int_eq(lsmkv_put(fixture.store->db, NULL, lsmkv_str("f0"),
                               lsmkv_bytes(NULL, 0), lsmkv_bytes(files[0].bytes, 700000),
                               0),
                     0);
    ck_assert(data_of(&files[0]).kind == ATTR_INLINE);
    check_file(&files[0]);
    switch (_i) {
    case 0:
        do_write(&files[0], 300000, pattern, 10);
        break;
    case 1:
        do_truncate(&files[0], 200001);
        break;
    case 2:
        do_truncate(&files[0], 800000);
        break;
    case 3:
        do_punch(&files[0], 1, 400000);
        break;
    default:
        do_write(&files[0], 720000, pattern, 50000);
    }
    ck_assert(data_of(&files[0]).kind == ATTR_CHUNKS);
    check_all();
}
END_TEST

START_TEST(test_an_unlinked_file_that_outgrows_its_value_puts_an_orphan)
{
    struct sweep_list dead = {0};
    struct data_edit edit;
    struct attr_data data = {ATTR_INLINE, 3, 0, 0};

    lsmkv_batch_clear(batch);
    data_edit_begin(&edit, fixture.store, batch, &dead, &buffer, &data, lsmkv_str("abc"),
                    true);
    ck_assert_int_eq(data_write(&edit, 3, pattern, 10000), 0);
    ck_assert_int_eq(sweep_publish(fixture.store, batch, &dead, false), 0);
    ck_assert_uint_eq(count_names(edit.data.id), 1);
    fixture_sweep(&fixture);
    ck_assert_uint_eq(fixture_count_chunks(&fixture), 1); /* held */

    data = edit.data;
    lsmkv_batch_clear(batch);
    dead = (struct sweep_list){0};
    data_edit_begin(&edit, fixture.store, batch, &dead, &buffer, &data,
                    lsmkv_bytes(NULL, 0), true);
    ck_assert_int_eq(data_truncate(&edit, 2), 0);
    ck_assert_mem_eq(edit.value.data, "ab", 2);
    ck_assert_int_eq(sweep_publish(fixture.store, batch, &dead, false), 0);
    fixture_sweep(&fixture);
    ck_assert_uint_eq(fixture_count_chunks(&fixture), 0);
}
END_TEST

START_TEST(test_a_snapshot_reads_contents_as_they_were)
{
    struct lsmkv_snapshot *snapshot;
    size_t got;

    memset(scratch, 'a', 300000);
    do_write(&files[0], 0, scratch, 300000);
    struct attr_data old = data_of(&files[0]);
    ck_assert_int_eq(lsmkv_snapshot_take(fixture.store->db, &snapshot), 0);
    memset(scratch, 'b', 300000);
    do_write(&files[0], 5, scratch, 200000);
    do_remove(&files[0]);
    fixture_sweep(&fixture);
    ck_assert_uint_eq(fixture_count_chunks(&fixture), 0);
    ck_assert_int_eq(data_read(fixture.store, snapshot, &old, lsmkv_bytes(NULL, 0), 0,
                               scratch, 400000, &got),
                     0);
    ck_assert_uint_eq(got, 300000);
    ck_assert(all_are(scratch, got, 'a'));
    lsmkv_snapshot_release(fixture.store->db, snapshot);
}
END_TEST

/* A power cut at any moment of a change from one state to another leaves either. */
START_TEST(test_a_power_cut_leaves_the_file_before_or_after_a_write)
{
    struct mem_crash policies[] = {{MEM_DATA_NONE, MEM_NAMES_DROPPED},
                                   {MEM_DATA_ALL, MEM_NAMES_KEPT},
                                   {MEM_DATA_RANDOM, MEM_NAMES_RANDOM}};
    struct model_file *file = &files[0];

    for (unsigned i = 0; i < sizeof policies / sizeof *policies; i++) {
        memset(scratch, 'o', 3000);
        do_truncate(file, 0);
        do_write(file, 0, scratch, 3000);
        ck_assert_int_eq(store_sync(fixture.store), 0);
        do_write(file, 1000, pattern, 300000);
        lsmkv_batch_free(batch);
        fixture_crash(&fixture, policies[i], i);
        ck_assert_int_eq(lsmkv_batch_new(&batch), 0);
        if (data_of(file).kind == ATTR_INLINE) {
            memset(file->bytes, 0, file->size);
            memset(file->bytes, 'o', 3000);
            file->size = 3000;
        }
        check_all();
        fixture_sweep(&fixture);
        check_all();
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("data");
    TCase *tests = tcase_create("data");

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup_pattern, teardown);
    tcase_add_loop_test(tests, test_random_changes_read_back_and_keep_every_invariant, 0,
                        4);
    tcase_add_test(tests, test_a_write_is_one_batch_the_change_to_chunks_included);
    tcase_add_test(tests, test_whole_chunks_are_put_once_and_nothing_is_read);
    tcase_add_test(tests, test_too_many_fragments_fold_the_chunk);
    tcase_add_test(tests, test_fragments_of_more_than_a_chunk_fold_it);
    tcase_add_test(tests, test_what_is_appended_in_small_pieces_grows_a_fragment);
    tcase_add_test(tests, test_what_is_appended_in_blocks_is_put_once);
    tcase_add_test(tests, test_what_was_just_written_is_not_looked_for);
    tcase_add_test(tests, test_a_read_reads_what_is_wanted);
    tcase_add_test(tests, test_what_is_written_over_a_fragment_takes_its_place);
    tcase_add_test(tests, test_what_a_later_fragment_lies_over_is_not_put_again);
    tcase_add_test(tests, test_a_chunk_of_too_many_fragments_is_folded);
    tcase_add_test(tests, test_a_small_read_of_a_chunk_reads_its_pages);
    tcase_add_test(tests, test_a_file_cut_to_nothing_gets_a_new_id);
    tcase_add_test(tests, test_growing_over_a_trim_finishes_it_first);
    tcase_add_test(tests, test_growing_over_a_trim_finishes_it_first_after_a_crash_too);
    tcase_add_test(tests, test_a_sparse_file_has_only_the_chunks_written);
    tcase_add_test(tests, test_seek_hole_reads_no_more_than_some_chunks);
    tcase_add_test(tests, test_sizes_past_the_largest_are_refused);
    tcase_add_loop_test(tests, test_a_large_plain_value_becomes_chunks_when_it_changes, 0,
                        5);
    tcase_add_test(tests, test_an_unlinked_file_that_outgrows_its_value_puts_an_orphan);
    tcase_add_test(tests, test_a_snapshot_reads_contents_as_they_were);
    tcase_add_test(tests, test_a_power_cut_leaves_the_file_before_or_after_a_write);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
