/*
 * test_data_pages.c - large files that are written over in parts, as databases do: what lies below
 * goes when nothing of it is left (C4 of chunks.c), and not before; see data_fixture.h.
 */
#include "check/fsck.h"
#include "data_fixture.h"
#include "support/rounds.h"

#define PAGE  4096u
#define PAGES (DATA_CHUNK / PAGE)

static void
show_finding(void *context, const struct fsck_finding *finding)
{
    (void)context;
    fprintf(stderr, "%s: %s\n", finding->where, finding->text);
}

static void
check_sound(void)
{
    struct fsck_report report = {.finding = show_finding};
    uint64_t damage;

    check_all();
    ck_assert_int_eq(fsck_run(fixture.store, NULL, &report, &damage), 0);
    ck_assert_uint_eq(damage, 0);
}

/* The fixture's inode numbers are given out. */
static void
setup_pages(void)
{
    setup_pattern();
    for (uint64_t ino = 0; ino < 100 + FILES;)
        ck_assert_int_eq(store_new_ino(fixture.store, &ino), 0);
}

static bool
has_record(const struct model_file *file, uint64_t index, unsigned fragment)
{
    struct chunk_key key = chunk_key(data_of(file).id, index, fragment);
    struct lsmkv_held *held;
    int result = lsmkv_get_held(fixture.store->db, fixture.store->chunks, NULL,
                                chunk_slice(&key), &held);

    if (result == 0)
        lsmkv_held_release(held);
    ck_assert(result == 0 || result == -ENOENT);
    return result == 0;
}

/* A write whose batch has `records` beside the file's own. */
static void
write_of(struct model_file *file, uint64_t offset, const uint8_t *bytes, size_t size,
         unsigned records)
{
    struct change change;

    change_begin(&change, file);
    ck_assert_int_eq(data_write(&change.edit, offset, bytes, size), 0);
    ck_assert_uint_eq(lsmkv_batch_count(batch), records);
    change_end(&change, file);
    memcpy(file->bytes + offset, bytes, size);
    if (offset + size > file->size)
        file->size = offset + size;
}

static struct lsmkv_stats
stats_now(void)
{
    struct lsmkv_stats stats;

    ck_assert_int_eq(lsmkv_get_stats(fixture.store->db, &stats), 0);
    return stats;
}

static void
reopen(void)
{
    lsmkv_batch_free(batch);
    fixture_reopen(&fixture);
    ck_assert_int_eq(lsmkv_batch_new(&batch), 0);
}

/* One record more than an overwrite has, once. */
START_TEST(test_a_chunk_whose_pages_were_all_written_over_goes)
{
    do_write(&files[0], 0, pattern, 3 * DATA_CHUNK);
    for (unsigned i = 0; i < PAGES - 1; i++)
        write_of(&files[0], DATA_CHUNK + i * 7 % PAGES * PAGE, pattern + i, PAGE, 1);
    ck_assert(has_record(&files[0], 1, 0));
    write_of(&files[0], DATA_CHUNK + (PAGES - 1) * 7 % PAGES * PAGE, pattern, PAGE, 2);
    ck_assert(!has_record(&files[0], 1, 0));
    ck_assert(has_record(&files[0], 0, 0));
    ck_assert(has_record(&files[0], 2, 0));
    check_each_page(&files[0]);
    for (unsigned i = 0; i < 2 * PAGES; i++)
        write_of(&files[0], DATA_CHUNK + i * 5 % PAGES * PAGE, pattern + 9 * i, PAGE, 1);
    ck_assert_uint_eq(fixture_count_chunks(&fixture), 2 + PAGES);
    ck_assert_uint_eq(data_of(&files[0]).chunks, 3);
    check_each_page(&files[0]);
    check_sound();
    reopen();
    check_sound();
    /* It is put again with what cuts it, and with what is written to all of it. */
    do_truncate(&files[0], DATA_CHUNK + 5 * PAGE + 1);
    ck_assert(has_record(&files[0], 1, 0));
    do_truncate(&files[0], 2 * DATA_CHUNK);
    check_sound();
    do_write(&files[0], DATA_CHUNK, pattern, DATA_CHUNK);
    ck_assert(has_record(&files[0], 1, 0));
    ck_assert(!has_record(&files[0], 1, 1));
    check_sound();
}
END_TEST

/* Of the last chunk, what the file has of it.  As many bytes as it has do not suffice. */
START_TEST(test_what_shows_through_stays)
{
    do_write(&files[0], 0, pattern, DATA_CHUNK + 10000);
    do_write(&files[0], DATA_CHUNK + 100, pattern + 1, 6000);
    do_write(&files[0], DATA_CHUNK + 4000, pattern + 2, 6000);
    ck_assert(has_record(&files[0], 1, 0));
    check_each_page(&files[0]);
    write_of(&files[0], DATA_CHUNK, pattern + 3, 99, 1);
    ck_assert(has_record(&files[0], 1, 0));
    write_of(&files[0], DATA_CHUNK + 50, pattern + 3, 51, 2);
    ck_assert(!has_record(&files[0], 1, 0));
    check_sound();
    /* What it grows by is no part of what was there. */
    do_write(&files[1], 0, pattern, DATA_CHUNK);
    do_write(&files[1], DATA_CHUNK, pattern, 10000);
    do_write(&files[1], DATA_CHUNK + 10000, pattern, 10000);
    ck_assert(has_record(&files[1], 1, 0));
    do_write(&files[1], DATA_CHUNK + 5000, pattern + 4, 9000);
    ck_assert(has_record(&files[1], 1, 0));
    do_write(&files[1], DATA_CHUNK + 2500, pattern + 5, 5000);
    ck_assert(has_record(&files[1], 1, 0));
    /* A fragment that grows covers, too. */
    do_write(&files[2], 0, pattern, DATA_CHUNK + 1000);
    do_write(&files[2], DATA_CHUNK + 500, pattern + 6, 500);
    do_write(&files[2], DATA_CHUNK, pattern + 7, 300);
    write_of(&files[2], DATA_CHUNK + 300, pattern + 8, 100, 1);
    write_of(&files[2], DATA_CHUNK + 400, pattern + 9, 100, 2);
    ck_assert(!has_record(&files[2], 1, 0));
    check_sound();
}
END_TEST

/* To the last byte, at the end of a chunk (`_i` is 0) and of a file, where they lie over each other, too. */
START_TEST(test_the_last_byte_shows_through)
{
    const size_t size = _i == 0 ? DATA_CHUNK : 10000, half = size / 2;
    const size_t lapped = _i == 0 ? 0 : 300;

    do_write(&files[0], 0, pattern, DATA_CHUNK + size);
    do_write(&files[0], DATA_CHUNK, pattern + 1, half);
    do_write(&files[0], DATA_CHUNK + half - lapped, pattern + 2,
             size - half + lapped - 1);
    ck_assert(has_record(&files[0], 1, 0));
    check_each_page(&files[0]);
    do_write(&files[0], DATA_CHUNK + size - 1, pattern + 3, 1);
    ck_assert(!has_record(&files[0], 1, 0));
    check_each_page(&files[0]);
    check_sound();
}
END_TEST

/* After a mount, and where more is written than is known: what would fold is looked at before. */
START_TEST(test_fragments_that_are_not_known_are_looked_for)
{
    do_write(&files[0], 0, pattern, 2 * DATA_CHUNK);
    for (unsigned i = 0; i < PAGES; i++) {
        if (i % 5 == 0)
            known_chunks_forget_all(fixture.store->known_chunks);
        write_of(&files[0], DATA_CHUNK + i * 7 % PAGES * PAGE, pattern + i, PAGE,
                 i == PAGES - 1 ? 2 : 1);
    }
    ck_assert(!has_record(&files[0], 1, 0));
    check_each_page(&files[0]);
    for (unsigned i = 0; i < 5 * PAGES; i++) {
        if (i % 11 == 0)
            reopen();
        write_of(&files[0], DATA_CHUNK + i * 3 % PAGES * PAGE, pattern + i, PAGE, 1);
    }
    ck_assert_uint_eq(fixture_count_chunks(&fixture), 1 + PAGES);
    check_each_page(&files[0]);
    check_sound();
    /* What lies there in no page folds. */
    reopen();
    write_of(&files[0], DATA_CHUNK + 100, pattern, PAGE, 1 + PAGES);
    ck_assert_uint_eq(fixture_count_chunks(&fixture), 2);
    check_sound();
}
END_TEST

/* Of a store of which something was lost: it is no better known than before. */
START_TEST(test_a_chunk_that_lacks_a_fragment_folds)
{
    struct chunk_key key;

    do_write(&files[0], 0, pattern, 2 * DATA_CHUNK);
    for (unsigned i = 0; i < PAGES; i++)
        do_write(&files[0], DATA_CHUNK + i * PAGE, pattern + i, PAGE);
    key = chunk_key(data_of(&files[0]).id, 1, 7);
    ck_assert_int_eq(
        lsmkv_delete(fixture.store->db, fixture.store->chunks, chunk_slice(&key), 0), 0);
    memset(files[0].bytes + DATA_CHUNK + 6 * PAGE, 0, PAGE);
    reopen();
    do_write(&files[0], DATA_CHUNK + 9 * PAGE, pattern + 7, PAGE);
    ck_assert_uint_eq(fixture_count_chunks(&fixture), 2);
    check_sound();
}
END_TEST

/* It could not be read; what has been written to all of it can. */
START_TEST(test_a_lost_chunk_is_whole_when_it_was_written_over)
{
    struct open_file open;
    size_t got;

    do_write(&files[0], 0, pattern, 2 * DATA_CHUNK);
    lsmkv_batch_clear(batch);
    ck_assert_int_eq(chunks_put_lost(fixture.store, batch, data_of(&files[0]).id, 1), 0);
    ck_assert_int_eq(lsmkv_write(fixture.store->db, batch, 0), 0);
    known_chunks_forget_all(fixture.store->known_chunks);
    for (unsigned i = 0; i < PAGES; i++) {
        file_open(&files[0], &open);
        ck_assert_int_eq(data_read(fixture.store, NULL, &open.attr.data, open.value,
                                   DATA_CHUNK, scratch, DATA_CHUNK, &got),
                         -EUCLEAN);
        file_close(&open);
        do_write(&files[0], DATA_CHUNK + i * PAGE, pattern + i, PAGE);
    }
    check_sound();
}
END_TEST

static uint64_t
live_bytes(void)
{
    return stats_now().blob_file_bytes - stats_now().blob_dead_bytes;
}

/* Merges until blob files hold no more than that.  Once is enough unless the store looks through
 * one meanwhile, by itself: what it may still look at is kept then. */
static void
merge_down_to(uint64_t most)
{
    const struct timespec pause = {.tv_nsec = 20000000};

    for (unsigned tries = 0; tries == 0 || (live_bytes() > most && tries < 200);
         tries++) {
        if (tries > 0)
            nanosleep(&pause, NULL);
        ck_assert_int_eq(lsmkv_compact(fixture.store->db, fixture.store->chunks,
                                       lsmkv_bytes(NULL, 0), lsmkv_bytes(NULL, 0)),
                         0);
    }
    ck_assert_uint_le(live_bytes(), most);
}

/* Twice its size at most while it is written over, once when that has been merged. */
START_TEST(test_a_file_written_over_in_pages_takes_its_place_once)
{
    const uint64_t size = 6 * DATA_CHUNK;

    do_write(&files[0], 0, pattern, size);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < size / PAGE; i++)
            do_write(&files[0], i * 7 % (size / PAGE) * PAGE, pattern + 3 * round + i,
                     PAGE);
        merge_down_to(size + size / 16);
        check_sound();
    }
}
END_TEST

/* ---- random ---- */

/* The files as a snapshot has them. */
struct saved {
    struct lsmkv_snapshot *snapshot;
    struct model_file files[FILES];
    struct attr_data data[FILES];
};

static void
save(struct saved *saved)
{
    ck_assert_int_eq(lsmkv_snapshot_take(fixture.store->db, &saved->snapshot), 0);
    for (unsigned i = 0; i < FILES; i++) {
        saved->files[i] = files[i];
        saved->files[i].bytes = malloc(FILE_MAX);
        memcpy(saved->files[i].bytes, files[i].bytes, FILE_MAX);
        saved->data[i] = data_of(&files[i]);
    }
}

static void
check_saved_and_release(struct saved *saved)
{
    for (unsigned i = 0; saved->snapshot && i < FILES; i++) {
        const struct model_file *file = &saved->files[i];
        size_t got = 0;
        if (saved->data[i].kind == ATTR_CHUNKS)
            ck_assert_int_eq(data_read(fixture.store, saved->snapshot, &saved->data[i],
                                       lsmkv_bytes(NULL, 0), 0, scratch, FILE_MAX, &got),
                             0);
        ck_assert(got == 0 || got == file->size);
        ck_assert_mem_eq(scratch, file->bytes, got);
        free(file->bytes);
    }
    if (saved->snapshot)
        lsmkv_snapshot_release(fixture.store->db, saved->snapshot);
    memset(saved, 0, sizeof *saved);
}

/* The pages of a chunk in any order, some twice, some not, now and then one that lies across two. */
static void
random_pages(struct random *random, struct model_file *file)
{
    uint64_t base = DATA_CHUNK * random_below(random, 6);
    size_t page = 2048u << random_below(random, 5);
    unsigned pages = (unsigned)(DATA_CHUNK / page),
             step = 2 * (unsigned)random->state | 1;
    uint64_t unlike = random_below(random, 3) == 0 ? 20 : 1000;

    for (unsigned i = 0; i < pages + random_below(random, pages); i++) {
        uint64_t at = base + i * step % pages * page;
        if (random_below(random, unlike) == 0)
            at += random_below(random, page);
        if (at + page <= FILE_MAX)
            do_write(file, at, pattern + random_below(random, sizeof pattern - page),
                     page);
    }
}

static void
random_step(struct random *random, struct saved *saved)
{
    struct model_file *file = &files[random_below(random, FILES)];
    uint64_t from = random_below(random, file->size + 1);

    switch (random_below(random, 12)) {
    case 0:
        do_truncate(file, from);
        break;
    case 1:
        do_truncate(file, random_below(random, FILE_MAX));
        break;
    case 2:
        do_punch(file, from, from + random_below(random, 2 * DATA_CHUNK));
        break;
    case 3:
        check_saved_and_release(saved);
        save(saved);
        break;
    case 4:
        known_chunks_forget_all(fixture.store->known_chunks);
        break;
    case 5:
        check_saved_and_release(saved);
        reopen();
        break;
    case 6:
        ck_assert_int_eq(lsmkv_flush(fixture.store->db), 0);
        break;
    case 7:
        do_write(file, 0, pattern + from, FILE_MAX);
        break;
    default:
        random_pages(random, file);
    }
}

START_TEST(test_random_pages_read_back)
{
    struct random random = random_of(random_seed() + (uint64_t)_i);
    uint64_t steps = rounds_of(200, 20);
    struct saved saved = {0};

    for (unsigned i = 0; i < FILES; i++)
        do_write(&files[i], 0, pattern + i, FILE_MAX);
    for (unsigned step = 0; step < steps; step++) {
        random_step(&random, &saved);
        check_each_page(&files[step % FILES]);
        if (step % 10 == 9)
            check_sound();
    }
    check_saved_and_release(&saved);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("data_pages");
    TCase *tests = tcase_create("data_pages");

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup_pages, teardown);
    tcase_add_test(tests, test_a_chunk_whose_pages_were_all_written_over_goes);
    tcase_add_test(tests, test_what_shows_through_stays);
    tcase_add_loop_test(tests, test_the_last_byte_shows_through, 0, 2);
    tcase_add_test(tests, test_fragments_that_are_not_known_are_looked_for);
    tcase_add_test(tests, test_a_chunk_that_lacks_a_fragment_folds);
    tcase_add_test(tests, test_a_lost_chunk_is_whole_when_it_was_written_over);
    tcase_add_test(tests, test_a_file_written_over_in_pages_takes_its_place_once);
    tcase_add_loop_test(tests, test_random_pages_read_back, 0, 4);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
