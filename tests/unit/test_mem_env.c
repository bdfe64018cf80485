/*
 * test_mem_env.c - what a power cut leaves in the env that can lose power.  If these are
 * wrong, every crash test built on it proves nothing.
 */
#include <check.h>
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "support/mem_env.h"
#include "support/suite.h"

#define SECTORS 24
#define SIZE    (SECTORS * MEM_SECTOR)

static const struct mem_crash keep_all = {MEM_DATA_ALL, MEM_NAMES_KEPT};
static const struct mem_crash keep_none = {MEM_DATA_NONE, MEM_NAMES_DROPPED};
static const struct mem_crash at_random = {MEM_DATA_RANDOM, MEM_NAMES_RANDOM};

static struct mem_env *mem;
static struct env_dir *dir;

static void
setup(void)
{
    mem = mem_env_new();
    ck_assert_int_eq(env_dir_open(mem_env_base(mem), "store", true, &dir), 0);
}

static void
teardown(void)
{
    env_dir_close(dir);
    mem_env_free(mem);
}

static struct env_file *
open_in(struct env_dir *where, const char *name, enum env_open how)
{
    struct env_file *file = NULL;

    ck_assert_int_eq(env_file_open(where, name, how, &file), 0);
    return file;
}

static void
close_file(struct env_file *file)
{
    ck_assert_int_eq(env_file_close(file), 0);
}

static void
write_at(struct env_file *file, uint64_t offset, int byte, size_t size)
{
    static char bytes[1 << 16];

    memset(bytes, byte, size);
    ck_assert_int_eq(env_file_write(file, offset, bytes, size), 0);
}

/* Makes a file of `size` bytes, it and its name synced. */
static struct env_file *
durable_file(const char *name, int byte, size_t size)
{
    struct env_file *file = open_in(dir, name, ENV_CREATE);

    write_at(file, 0, byte, size);
    ck_assert_int_eq(env_file_sync(file), 0);
    ck_assert_int_eq(env_dir_sync(dir), 0);
    return file;
}

/* An image, opened. */
struct image {
    struct mem_env *env;
    struct env_dir *dir;
    char bytes[SIZE * 2];
    size_t size;
};

static void
image_open(struct image *image, struct mem_env *env)
{
    image->env = env;
    ck_assert_int_eq(env_dir_open(mem_env_base(env), "store", false, &image->dir), 0);
}

static void
image_close(struct image *image)
{
    env_dir_close(image->dir);
    mem_env_free(image->env);
}

static bool
image_has(const struct image *image, const char *name)
{
    struct env_file *file;

    if (env_file_open(image->dir, name, ENV_READ, &file) != 0)
        return false;
    close_file(file);
    return true;
}

static void
image_read(struct image *image, const char *name)
{
    struct env_file *file = open_in(image->dir, name, ENV_READ);
    ssize_t n = env_file_read(file, 0, image->bytes, sizeof(image->bytes));

    ck_assert_int_ge(n, 0);
    image->size = (size_t)n;
    close_file(file);
}

/* The image of a crash now, with file `name` read. */
static void
crash(struct image *image, struct mem_crash policy, uint64_t seed, const char *name)
{
    image_open(image, mem_env_crash(mem, policy, seed));
    image_read(image, name);
}

static bool
all_are(const char *bytes, size_t size, int byte)
{
    size_t i;

    for (i = 0; i < size; i++)
        if (bytes[i] != (char)byte)
            return false;
    return true;
}

/* ---- bytes ---- */

START_TEST(test_synced_bytes_survive_every_crash)
{
    struct env_file *file = durable_file("f", 'a', SIZE);
    struct image image;
    uint64_t seed;

    for (seed = 0; seed < 50; seed++) {
        crash(&image, seed == 0 ? keep_none : at_random, seed, "f");
        ck_assert(image.size == SIZE && all_are(image.bytes, SIZE, 'a'));
        image_close(&image);
    }
    close_file(file);
}
END_TEST

START_TEST(test_unsynced_bytes_are_kept_or_dropped_by_policy)
{
    struct env_file *file = durable_file("f", 'a', SIZE);
    struct image image;

    write_at(file, 100, 'b', 1000);
    write_at(file, SIZE, 'c', 10);
    crash(&image, keep_all, 0, "f");
    ck_assert_uint_eq(image.size, SIZE + 10);
    ck_assert(all_are(image.bytes + 100, 1000, 'b') && image.bytes[1100] == 'a');
    ck_assert(all_are(image.bytes + SIZE, 10, 'c'));
    image_close(&image);
    crash(&image, keep_none, 0, "f");
    ck_assert(image.size == SIZE && all_are(image.bytes, SIZE, 'a'));
    image_close(&image);
    close_file(file);
}
END_TEST

/* Each sector is wholly old or wholly new, and both happen to each. */
START_TEST(test_a_random_crash_tears_at_sectors)
{
    struct env_file *file = durable_file("f", 'a', SIZE);
    int seen_old[SECTORS] = {0}, seen_new[SECTORS] = {0}, mixed = 0;
    uint64_t seed;
    size_t i;

    write_at(file, 0, 'b', SIZE);
    for (seed = 0; seed < 200; seed++) {
        struct image image;
        int news = 0;

        crash(&image, at_random, seed, "f");
        ck_assert_uint_eq(image.size, SIZE);
        for (i = 0; i < SECTORS; i++) {
            const char *sector = image.bytes + i * MEM_SECTOR;
            bool is_new = *sector == 'b';

            ck_assert(all_are(sector, MEM_SECTOR, is_new ? 'b' : 'a'));
            news += is_new;
            if (is_new)
                seen_new[i]++;
            else
                seen_old[i]++;
        }
        mixed += news > 0 && news < SECTORS;
        image_close(&image);
    }
    for (i = 0; i < SECTORS; i++)
        ck_assert(seen_old[i] > 20 && seen_new[i] > 20);
    ck_assert_int_gt(mixed, 50);
    close_file(file);
}
END_TEST

/* A grown file may come back short, full, or with zeros where sectors never made it. */
START_TEST(test_a_grown_file_comes_back_at_any_size_with_zeros)
{
    struct env_file *file = durable_file("f", 'a', 700);
    int old_size = 0, full_size = 0, between = 0, zeros = 0, strange = 0;
    uint64_t seed;

    write_at(file, 700, 'b', SIZE - 700);
    for (seed = 0; seed < 300; seed++) {
        struct image image;
        size_t i;

        crash(&image, at_random, seed, "f");
        ck_assert(image.size >= 700 && image.size <= SIZE);
        ck_assert(all_are(image.bytes, 700, 'a'));
        for (i = 700; i < image.size; i++)
            strange += image.bytes[i] != 'b' && image.bytes[i] != 0;
        old_size += image.size == 700;
        full_size += image.size == SIZE;
        between += image.size > 700 && image.size < SIZE;
        zeros += memchr(image.bytes + 700, 0, image.size - 700) != NULL;
        image_close(&image);
    }
    ck_assert_int_eq(strange, 0);
    ck_assert(old_size > 10 && full_size > 10 && between > 10 && zeros > 10);
    close_file(file);
}
END_TEST

/* Truncated and written again: the old tail comes back whole with the old size, or not. */
START_TEST(test_an_unsynced_truncation_happens_or_does_not)
{
    struct env_file *file = durable_file("f", 'a', SIZE);
    int undone = 0, done = 0;
    uint64_t seed;

    ck_assert_int_eq(env_file_truncate(file, 1000), 0);
    write_at(file, 1000, 'b', 2000);
    for (seed = 0; seed < 200; seed++) {
        struct image image;

        crash(&image, at_random, seed, "f");
        ck_assert(all_are(image.bytes, 1000, 'a'));
        if (image.size == SIZE) {
            ck_assert(all_are(image.bytes, SIZE, 'a'));
            undone++;
        } else {
            ck_assert(image.size >= 1000 && image.size <= 3000);
            ck_assert_ptr_null(memchr(image.bytes + 1000, 'a', image.size - 1000));
            done++;
        }
        image_close(&image);
    }
    ck_assert(undone > 20 && done > 20);
    close_file(file);
}
END_TEST

START_TEST(test_a_synced_truncation_stays)
{
    struct env_file *file = durable_file("f", 'a', SIZE);
    struct image image;

    ck_assert_int_eq(env_file_truncate(file, 1000), 0);
    ck_assert_int_eq(env_file_sync(file), 0);
    ck_assert_int_eq(env_file_truncate(file, SIZE), 0);
    ck_assert_int_eq(env_file_sync(file), 0);
    crash(&image, keep_none, 0, "f");
    ck_assert(image.size == SIZE && all_are(image.bytes + 1000, SIZE - 1000, 0));
    image_close(&image);
    close_file(file);
}
END_TEST

/* ---- a failed sync ---- */

/* Readable, clean and not durable: the next sync succeeds and does not save them. */
START_TEST(test_what_a_failed_sync_lost_no_later_sync_saves)
{
    struct env_file *file = durable_file("f", 'a', SIZE);
    struct image image;
    char byte;

    write_at(file, 0, 'b', MEM_PAGE);
    mem_env_lose_unsynced(file);
    ck_assert_int_eq(env_file_read(file, 0, &byte, 1), 1);
    ck_assert_int_eq(byte, 'b');
    write_at(file, MEM_PAGE, 'c', MEM_PAGE);
    ck_assert_int_eq(env_file_sync(file), 0);
    crash(&image, keep_all, 0, "f");
    ck_assert(all_are(image.bytes, MEM_PAGE, 'a'));
    ck_assert(all_are(image.bytes + MEM_PAGE, MEM_PAGE, 'c'));
    image_close(&image);
    /* Written again in place, as recovery does, they are dirty again. */
    write_at(file, 0, 'b', MEM_PAGE);
    ck_assert_int_eq(env_file_sync(file), 0);
    crash(&image, keep_none, 0, "f");
    ck_assert(all_are(image.bytes, MEM_PAGE, 'b'));
    image_close(&image);
    close_file(file);
}
END_TEST

START_TEST(test_a_killed_process_loses_nothing_but_its_locks)
{
    struct env_file *file = durable_file("f", 'a', SIZE);
    struct env_lock *lock, *again;
    struct image image, later;

    ck_assert_int_eq(mem_env_base(mem)->lock(dir, "LOCK", false, &lock), 0);
    write_at(file, 0, 'b', MEM_PAGE);
    mem_env_lose_unsynced(file);
    write_at(file, MEM_PAGE, 'c', MEM_PAGE);
    close_file(open_in(dir, "new", ENV_CREATE));
    image_open(&image, mem_env_kill(mem));
    image_read(&image, "f");
    ck_assert(all_are(image.bytes, MEM_PAGE, 'b'));
    ck_assert(image_has(&image, "new"));
    ck_assert_int_eq(mem_env_base(image.env)->lock(image.dir, "LOCK", false, &again), 0);
    mem_env_base(image.env)->unlock(again);
    /* Unsynced stays unsynced, lost stays lost. */
    image_open(&later, mem_env_crash(image.env, keep_all, 0));
    image_read(&later, "f");
    ck_assert(all_are(later.bytes, MEM_PAGE, 'a'));
    ck_assert(all_are(later.bytes + MEM_PAGE, MEM_PAGE, 'c'));
    image_close(&later);
    image_open(&later, mem_env_crash(image.env, keep_none, 0));
    ck_assert(!image_has(&later, "new"));
    image_close(&later);
    image_close(&image);
    mem_env_base(mem)->unlock(lock);
    close_file(file);
}
END_TEST

/* ---- names ---- */

START_TEST(test_unsynced_names_are_kept_or_dropped_by_policy)
{
    struct image image;

    close_file(durable_file("old", 'a', 10));
    close_file(durable_file("gone", 'b', 20));
    close_file(open_in(dir, "new", ENV_CREATE));
    ck_assert_int_eq(env_dir_unlink(dir, "gone"), 0);
    ck_assert_int_eq(env_dir_rename(dir, "old", "renamed"), 0);
    image_open(&image, mem_env_crash(mem, keep_all, 0));
    ck_assert(image_has(&image, "new") && image_has(&image, "renamed"));
    ck_assert(!image_has(&image, "gone") && !image_has(&image, "old"));
    image_close(&image);
    image_open(&image, mem_env_crash(mem, keep_none, 0));
    ck_assert(!image_has(&image, "new") && !image_has(&image, "renamed"));
    image_read(&image, "gone");
    ck_assert(image.size == 20 && all_are(image.bytes, 20, 'b'));
    image_close(&image);
    ck_assert_int_eq(env_dir_sync(dir), 0);
    image_open(&image, mem_env_crash(mem, keep_none, 0));
    ck_assert(image_has(&image, "new") && image_has(&image, "renamed"));
    ck_assert(!image_has(&image, "gone") && !image_has(&image, "old"));
    image_close(&image);
}
END_TEST

/* A replacing rename gives one of the two files, whole, never neither. */
START_TEST(test_a_rename_is_atomic_in_every_crash)
{
    int olds = 0, news = 0;
    uint64_t seed;

    close_file(durable_file("target", 'a', 10));
    close_file(durable_file("temp", 'b', 20));
    ck_assert_int_eq(env_dir_rename(dir, "temp", "target"), 0);
    for (seed = 0; seed < 100; seed++) {
        struct image image;

        crash(&image, at_random, seed, "target");
        if (image.size == 10) {
            ck_assert(image_has(&image, "temp"));
            olds++;
        } else {
            ck_assert(image.size == 20 && all_are(image.bytes, 20, 'b'));
            ck_assert(!image_has(&image, "temp"));
            news++;
        }
        image_close(&image);
    }
    ck_assert(olds > 20 && news > 20);
}
END_TEST

/* The two changes are independent: all four outcomes are seen. */
START_TEST(test_names_are_lost_one_by_one)
{
    int outcomes[4] = {0};
    uint64_t seed;

    close_file(open_in(dir, "one", ENV_CREATE));
    close_file(open_in(dir, "two", ENV_CREATE));
    for (seed = 0; seed < 100; seed++) {
        struct image image;

        image_open(&image, mem_env_crash(mem, at_random, seed));
        outcomes[image_has(&image, "one") + 2 * image_has(&image, "two")]++;
        image_close(&image);
    }
    ck_assert(outcomes[0] > 5 && outcomes[1] > 5 && outcomes[2] > 5 && outcomes[3] > 5);
}
END_TEST

/* ---- images ---- */

START_TEST(test_an_image_is_independent_and_durable)
{
    struct env_file *file = durable_file("f", 'a', SIZE);
    struct env_file *copy;
    struct image image, second;

    write_at(file, 0, 'b', 10);
    image_open(&image, mem_env_crash(mem, keep_all, 0));
    write_at(file, 0, 'c', 10);
    copy = open_in(image.dir, "f", ENV_WRITE);
    write_at(copy, 100, 'd', 10);
    close_file(copy);
    image_read(&image, "f");
    ck_assert(all_are(image.bytes, 10, 'b') && image.bytes[100] == 'd');
    /* After the reboot what came back is on disk; what was written since is not. */
    image_open(&second, mem_env_crash(image.env, keep_none, 0));
    image_read(&second, "f");
    ck_assert(all_are(second.bytes, 10, 'b') && second.bytes[100] == 'a');
    image_close(&second);
    image_close(&image);
    ck_assert_int_eq(env_file_read(file, 95, image.bytes, 10), 10);
    ck_assert(all_are(image.bytes, 10, 'a'));
    close_file(file);
}
END_TEST

START_TEST(test_a_seed_repeats_its_image)
{
    struct env_file *file = durable_file("f", 'a', SIZE);
    struct image one, two;
    uint64_t seed;
    int different = 0;

    write_at(file, 0, 'b', SIZE);
    for (seed = 0; seed < 20; seed++) {
        crash(&one, at_random, seed, "f");
        crash(&two, at_random, seed, "f");
        ck_assert_mem_eq(one.bytes, two.bytes, SIZE);
        image_close(&two);
        crash(&two, at_random, seed + 1, "f");
        different += memcmp(one.bytes, two.bytes, SIZE) != 0;
        image_close(&two);
        image_close(&one);
    }
    ck_assert_int_gt(different, 10);
    close_file(file);
}
END_TEST

/* The sweep of a power-loss test: an image before every call, and its state is what the
 * calls before it made. */
struct sweep {
    uint64_t calls;
    uint64_t last;
    size_t sizes[16];
};

static void
take_image(void *context, uint64_t ordinal, enum env_call call)
{
    struct sweep *sweep = context;
    struct image image;

    ck_assert_uint_eq(ordinal, sweep->last + 1);
    sweep->last = ordinal;
    if (call != ENV_CALL_FILE_SYNC)
        return;
    crash(&image, keep_none, 0, "f");
    sweep->sizes[sweep->calls++] = image.size;
    image_close(&image);
}

START_TEST(test_a_hook_sees_the_state_before_each_call)
{
    struct env_file *file = durable_file("f", 'a', 100);
    struct sweep sweep = {.last = mem_env_calls(mem)};

    mem_env_set_hook(mem, take_image, &sweep);
    write_at(file, 100, 'b', 100);
    ck_assert_int_eq(env_file_sync(file), 0);
    ck_assert_int_eq(env_file_sync(file), 0);
    mem_env_set_hook(mem, NULL, NULL);
    ck_assert_uint_eq(sweep.calls, 2);
    ck_assert_uint_eq(sweep.sizes[0], 100);
    ck_assert_uint_eq(sweep.sizes[1], 200);
    ck_assert_uint_eq(mem_env_calls(mem), sweep.last);
    close_file(file);
}
END_TEST

START_TEST(test_images_are_cheap_enough_for_a_sweep)
{
    struct env_file *file = durable_file("f", 'a', 1 << 16);
    uint64_t seed;
    int i;

    for (i = 1; i < 64; i++)
        write_at(file, (uint64_t)i << 16, 'a', 1 << 16); /* 4 MiB in all */
    ck_assert_int_eq(env_file_sync(file), 0);
    write_at(file, 0, 'b', 1 << 16);
    for (seed = 0; seed < 2000; seed++)
        mem_env_free(mem_env_crash(mem, at_random, seed));
    close_file(file);
}
END_TEST

/* ---- space and time ---- */

START_TEST(test_a_full_disk_takes_what_fits_and_goes_on_once_there_is_room)
{
    struct env_file *file = durable_file("f", 'a', 100);
    char bytes[3 * MEM_PAGE];
    uint64_t size, free_bytes, total_bytes;

    memset(bytes, 'b', sizeof(bytes));
    mem_env_set_capacity(mem, 2 * MEM_PAGE);
    ck_assert_int_eq(env_dir_space(dir, &free_bytes, &total_bytes), 0);
    ck_assert(free_bytes == MEM_PAGE && total_bytes == 2 * MEM_PAGE);
    ck_assert_int_eq(env_file_write(file, 100, bytes, sizeof(bytes)), -ENOSPC);
    ck_assert_int_eq(env_file_size(file, &size), 0);
    ck_assert_uint_eq(size, 2 * MEM_PAGE);
    ck_assert_int_eq(env_file_write(file, 0, bytes, 2 * MEM_PAGE), 0);
    ck_assert_int_eq(env_file_truncate(file, 100), 0);
    ck_assert_uint_eq(mem_env_used(mem), MEM_PAGE);
    mem_env_set_capacity(mem, 10 * MEM_PAGE);
    ck_assert_int_eq(env_file_write(file, 100, bytes, sizeof(bytes)), 0);
    close_file(file);
}
END_TEST

START_TEST(test_space_comes_back_with_the_last_handle)
{
    struct env_file *file = durable_file("f", 'a', MEM_PAGE);
    struct image image;

    ck_assert_int_eq(env_dir_unlink(dir, "f"), 0);
    ck_assert_uint_eq(mem_env_used(mem), MEM_PAGE);
    close_file(file);
    ck_assert_uint_eq(mem_env_used(mem), 0);
    close_file(durable_file("g", 'a', 10));
    close_file(durable_file("h", 'a', 10));
    ck_assert_int_eq(env_dir_rename(dir, "g", "h"), 0);
    ck_assert_uint_eq(mem_env_used(mem), MEM_PAGE);
    image_open(&image, mem_env_crash(mem, keep_none, 0));
    ck_assert_uint_eq(mem_env_used(image.env), 2 * MEM_PAGE);
    image_close(&image);
}
END_TEST

START_TEST(test_a_hash_is_of_all_names_and_bytes_but_the_lock)
{
    struct env_file *file = open_in(dir, "a", ENV_CREATE);
    struct env_lock *lock;
    uint64_t empty = mem_env_hash(mem), written, grown;

    write_at(file, 0, 'x', 100);
    written = mem_env_hash(mem);
    ck_assert_uint_ne(written, empty);
    ck_assert_int_eq(env_file_truncate(file, 200), 0);
    grown = mem_env_hash(mem);
    ck_assert_uint_ne(grown, written);
    close_file(file);
    ck_assert_int_eq(env_dir_rename(dir, "a", "b"), 0);
    ck_assert_uint_ne(mem_env_hash(mem), grown);
    ck_assert_int_eq(env_dir_rename(dir, "b", "a"), 0);
    ck_assert_uint_eq(mem_env_hash(mem), grown);
    ck_assert_int_eq(mem_env_base(mem)->lock(dir, "LOCK", false, &lock), 0);
    written = mem_env_hash(mem);
    ck_assert_int_eq(mem_env_base(mem)->lock_write(lock, "somebody"), 0);
    ck_assert_uint_eq(mem_env_hash(mem), written);
    mem_env_base(mem)->unlock(lock);
}
END_TEST

START_TEST(test_virtual_time_moves_only_when_told)
{
    struct lsmkv_env *env = mem_env_base(mem);
    struct mem_env *image;

    mem_env_set_time(mem, 1000);
    ck_assert_int_eq(env->now(env), 1000);
    ck_assert_int_eq(env->now(env), 1000);
    env->sleep(env, UINT64_C(3600000000000));
    ck_assert_int_eq(env->now(env), INT64_C(3600000001000));
    mem_env_advance(mem, 5);
    ck_assert_uint_eq(env->monotonic(env), UINT64_C(3600000001005));
    image = mem_env_crash(mem, keep_all, 0);
    ck_assert_int_eq(mem_env_base(image)->now(mem_env_base(image)),
                     INT64_C(3600000001005));
    mem_env_free(image);
}
END_TEST

static void
sleep_an_hour(void *argument)
{
    atomic_bool *begun = argument;
    struct lsmkv_env *env = mem_env_base(mem);

    atomic_store(begun, true);
    env->sleep(env, UINT64_C(3600000000000));
}

/* If it does not, the time limit of the test ends it. */
START_TEST(test_who_sleeps_wakes_when_the_clock_becomes_virtual)
{
    struct lsmkv_env *env = mem_env_base(mem);
    struct env_thread *thread;
    atomic_bool begun = false;

    ck_assert_int_eq(env->thread_start(env, "sleeper", sleep_an_hour, &begun, &thread),
                     0);
    while (!atomic_load(&begun))
        sched_yield();
    env_posix()->sleep(env_posix(), 1000000);
    mem_env_set_time(mem, 1000);
    env->thread_join(thread);
}
END_TEST

/* ---- threads ---- */

static void
write_own_file(void *argument)
{
    const char *name = argument;
    struct env_file *file = open_in(dir, name, ENV_CREATE);
    char bytes[100] = {0};
    uint64_t i;

    for (i = 0; i < 300; i++) {
        ck_assert_int_eq(env_file_write(file, i * sizeof(bytes), bytes, sizeof(bytes)),
                         0);
        ck_assert_int_eq(env_file_sync(file), 0);
    }
    close_file(file);
}

static void
take_any_image(void *context, uint64_t ordinal, enum env_call call)
{
    int *images = context; /* hooks never overlap, so no lock */

    (void)call;
    if (ordinal % 10 == 0) {
        mem_env_free(mem_env_crash(mem, at_random, ordinal));
        ++*images;
    }
}

START_TEST(test_threads_write_while_images_are_taken)
{
    struct lsmkv_env *env = mem_env_base(mem);
    static char names[2][2] = {"a", "b"};
    struct env_thread *threads[2];
    int images = 0;
    int i;

    mem_env_set_hook(mem, take_any_image, &images);
    for (i = 0; i < 2; i++)
        ck_assert_int_eq(
            env->thread_start(env, names[i], write_own_file, names[i], &threads[i]), 0);
    for (i = 0; i < 2; i++)
        env->thread_join(threads[i]);
    mem_env_set_hook(mem, NULL, NULL);
    ck_assert_int_gt(images, 100);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("mem_env");
    TCase *tests = tcase_create("all");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_synced_bytes_survive_every_crash);
    tcase_add_test(tests, test_unsynced_bytes_are_kept_or_dropped_by_policy);
    tcase_add_test(tests, test_a_random_crash_tears_at_sectors);
    tcase_add_test(tests, test_a_grown_file_comes_back_at_any_size_with_zeros);
    tcase_add_test(tests, test_an_unsynced_truncation_happens_or_does_not);
    tcase_add_test(tests, test_a_synced_truncation_stays);
    tcase_add_test(tests, test_what_a_failed_sync_lost_no_later_sync_saves);
    tcase_add_test(tests, test_a_killed_process_loses_nothing_but_its_locks);
    tcase_add_test(tests, test_unsynced_names_are_kept_or_dropped_by_policy);
    tcase_add_test(tests, test_a_rename_is_atomic_in_every_crash);
    tcase_add_test(tests, test_names_are_lost_one_by_one);
    tcase_add_test(tests, test_an_image_is_independent_and_durable);
    tcase_add_test(tests, test_a_seed_repeats_its_image);
    tcase_add_test(tests, test_a_hook_sees_the_state_before_each_call);
    tcase_add_test(tests, test_images_are_cheap_enough_for_a_sweep);
    tcase_add_test(tests,
                   test_a_full_disk_takes_what_fits_and_goes_on_once_there_is_room);
    tcase_add_test(tests, test_space_comes_back_with_the_last_handle);
    tcase_add_test(tests, test_a_hash_is_of_all_names_and_bytes_but_the_lock);
    tcase_add_test(tests, test_virtual_time_moves_only_when_told);
    tcase_add_test(tests, test_who_sleeps_wakes_when_the_clock_becomes_virtual);
    tcase_add_test(tests, test_threads_write_while_images_are_taken);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
