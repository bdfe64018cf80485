/*
 * test_syncs.c - syncs of the log beside writes (engine/db/sync.c): one is held up, and others come.
 *
 *     main    put    sync =========#######=   held there, until told
 *     others              put  sync           meanwhile
 */
#include "direct_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "db/db.h"
#include "support/suite.h"

#define OTHERS   5u
#define PATIENCE 20000u /* ms until what should happen counts as never happening */

/* ---- one call of the env, held up ---- */

static struct {
    int (*sync)(struct env_file *file);
    int (*write)(struct env_file *file, uint64_t offset, const struct iovec *parts,
                 int count);
    atomic_bool sync_armed, write_armed; /* the next such call is held up */
    bool after;                          /* a sync when it was made, else before that */
    atomic_bool held, released, in_vain;
    /* Syncs that run now, and whether any of them were of one file. */
    pthread_mutex_t mutex;
    struct env_file *running[16];
    bool at_once;
} gate = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* Whether it comes true at last. */
static bool
comes_true(bool (*condition)(void))
{
    for (unsigned waited = 0; waited < PATIENCE; waited++) {
        if (condition())
            return true;
        usleep(1000);
    }
    return false;
}

static bool
is_held(void)
{
    return atomic_load(&gate.held);
}

static bool
is_released(void)
{
    return atomic_load(&gate.released);
}

static void
hold_up(void)
{
    atomic_store(&gate.held, true);
    if (!comes_true(is_released))
        atomic_store(&gate.in_vain, true);
}

/* Puts `new` where `old` stands, if there is one. */
static bool
note_running(struct env_file *old, struct env_file *new)
{
    bool found = false;

    pthread_mutex_lock(&gate.mutex);
    for (size_t i = 0; i < 16 && !found; i++)
        if (gate.running[i] == old) {
            gate.running[i] = new;
            found = true;
        }
    pthread_mutex_unlock(&gate.mutex);
    return found;
}

static int
gated_sync(struct env_file *file)
{
    bool mine = atomic_exchange(&gate.sync_armed, false);
    int result;

    if (note_running(file, file))
        gate.at_once = true;
    ck_assert(note_running(NULL, file));
    if (mine && !gate.after)
        hold_up();
    result = gate.sync(file);
    if (mine && gate.after)
        hold_up();
    ck_assert(note_running(file, NULL));
    return result;
}

static int
gated_write(struct env_file *file, uint64_t offset, const struct iovec *parts, int count)
{
    if (atomic_exchange(&gate.write_armed, false))
        hold_up();
    return gate.write(file, offset, parts, count);
}

static void
setup_gate(void)
{
    struct lsmkv_env *env;

    prepare();
    env = rig.options.env;
    gate.sync = env->file_sync;
    gate.write = env->file_write;
    env->file_sync = gated_sync;
    env->file_write = gated_write;
    rig_open(&rig);
}

static void
release(void)
{
    atomic_store(&gate.released, true);
}

/* ---- the others ---- */

struct other {
    pthread_t thread;
    const char *key; /* put before the sync; NULL: nothing is */
    unsigned number;
    int put, sync;
};

static void *
put_and_sync(void *argument)
{
    struct other *other = argument;

    if (other->key != NULL)
        other->put = lsmkv_put(rig.db, NULL, lsmkv_str(other->key), none, lsmkv_str("v"),
                               LSMKV_UNSYNCED);
    other->sync = lsmkv_sync(rig.db);
    return NULL;
}

static void *
rotate_only(void *argument)
{
    struct other *other = argument;

    other->sync = lsmkv_flush(rig.db);
    return NULL;
}

static void
start(struct other *other, void *(*body)(void *argument))
{
    ck_assert_int_eq(pthread_create(&other->thread, NULL, body, other), 0);
}

static void
join(struct other *others, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(pthread_join(others[i].thread, NULL), 0);
    ck_assert(!atomic_load(&gate.in_vain));
}

/* How many have, or wait for, the sync's turn. */
static unsigned
queued(void)
{
    unsigned count = 0;

    mutex_lock(&rig.db->mutex);
    for (const struct syncer *s = rig.db->syncers; s != NULL; s = s->next)
        count++;
    mutex_unlock(&rig.db->mutex);
    return count;
}

static bool
all_wait(void)
{
    return queued() == 1 + OTHERS;
}

static bool
two_wait(void)
{
    return queued() == 2;
}

static uint64_t
syncs(void)
{
    return fault_env_calls(rig.faults, ENV_CALL_FILE_SYNC);
}

/* Begins a sync that is held up. */
static void
start_held(struct other *first, bool after)
{
    gate.after = after;
    atomic_store(&gate.sync_armed, true);
    start(first, put_and_sync);
    ck_assert(comes_true(is_held));
}

static void
cut_power(void)
{
    rig_cut_power(&rig, worst, 1);
    assert_sound();
    rig_open(&rig);
}

/* ---- tests ---- */

/* Small ones and, in the file that is being synced and in a new one, large ones.  Nothing of them was
 * durable when the sync had been made, so the next one is for them. */
START_TEST(test_writes_pass_a_sync_and_are_not_taken_for_durable)
{
    struct other first = {.key = "first"};

    if (_i == 0)
        put(0, 1);
    start_held(&first, true);
    put_small("second", "v");
    put(1, 1);
    ck_assert(rig_holds(&rig, NULL, "second", "v"));
    assert_at(NULL, key_of(1), 1, 1);
    release();
    join(&first, 1);
    ck_assert_int_eq(first.sync, 0);
    sync_store();
    cut_power();
    ck_assert(rig_holds(&rig, NULL, "first", "v"));
    ck_assert(rig_holds(&rig, NULL, "second", "v"));
    assert_at(NULL, key_of(1), 1, 1);
}
END_TEST

/* All wrote after the sync that is held up had been made: one more is enough, and needed. */
START_TEST(test_one_sync_serves_all_who_came_meanwhile)
{
    static const char *const keys[OTHERS] = {"a", "b", "c", "d", "e"};
    struct other first = {.key = "first"}, others[OTHERS];
    uint64_t before = syncs();

    start_held(&first, true);
    for (size_t i = 0; i < OTHERS; i++) {
        others[i] = (struct other){.key = keys[i]};
        start(&others[i], put_and_sync);
    }
    ck_assert(comes_true(all_wait));
    release();
    join(&first, 1);
    join(others, OTHERS);
    ck_assert_uint_eq(syncs(), before + 2);
    cut_power();
    ck_assert(rig_holds(&rig, NULL, "first", "v"));
    for (size_t i = 0; i < OTHERS; i++)
        ck_assert(rig_holds(&rig, NULL, keys[i], "v"));
}
END_TEST

/* Whose write was in the log before the sync began waits for its end alone. */
START_TEST(test_a_sync_that_runs_is_enough_for_what_was_there)
{
    struct other first = {.key = "first"}, others[OTHERS];
    uint64_t before = syncs();

    start_held(&first, false);
    for (size_t i = 0; i < OTHERS; i++) {
        others[i] = (struct other){.key = NULL};
        start(&others[i], put_and_sync);
    }
    ck_assert(comes_true(all_wait));
    release();
    join(&first, 1);
    join(others, OTHERS);
    for (size_t i = 0; i < OTHERS; i++)
        ck_assert_int_eq(others[i].sync, 0);
    ck_assert_uint_eq(syncs(), before + 1);
    ck_assert_int_eq(lsmkv_sync(rig.db), 0);
    ck_assert_uint_eq(syncs(), before + 1);
}
END_TEST

/* Those whose writes it was to make durable, and those who stand behind: no second sync is tried. */
START_TEST(test_a_failed_sync_fails_all_who_wait)
{
    static const char *const keys[OTHERS] = {NULL, NULL, "c", "d", NULL};
    struct other first = {.key = "first"}, others[OTHERS];
    uint64_t before;

    rig_put(&rig, "durable", "v");
    before = syncs();
    fault_env_set(rig.faults,
                  (struct fault){.call = ENV_CALL_FILE_SYNC, .nth = 1, .error = EIO});
    start_held(&first, false);
    for (size_t i = 0; i < OTHERS; i++) {
        others[i] = (struct other){.key = keys[i]};
        start(&others[i], put_and_sync);
    }
    ck_assert(comes_true(all_wait));
    release();
    join(&first, 1);
    join(others, OTHERS);
    ck_assert_int_eq(first.sync, -EIO);
    for (size_t i = 0; i < OTHERS; i++) {
        ck_assert_int_eq(others[i].put, 0);
        ck_assert_int_eq(others[i].sync, -EIO);
    }
    ck_assert_uint_eq(syncs(), before + 1);
    ck_assert_int_eq(sync_log(rig.db), -EIO);
    ck_assert_int_eq(
        lsmkv_put(rig.db, NULL, lsmkv_str("more"), none, none, LSMKV_UNSYNCED), -EIO);
    ck_assert(rig_holds(&rig, NULL, "durable", "v"));
    ck_assert_int_eq(lsmkv_close(rig.db), -EIO);
    rig.db = NULL;
    rig_open(&rig);
    ck_assert(rig_holds(&rig, NULL, "durable", "v"));
}
END_TEST

/* It takes the log away that the sync uses (S5). */
START_TEST(test_a_rotation_waits_for_a_sync_that_runs)
{
    struct other first = {.key = "first"}, second = {.key = NULL};
    uint64_t before;

    start_held(&first, _i == 0);
    before = fault_env_calls(rig.faults, ENV_CALL_FILE_OPEN);
    start(&second, rotate_only);
    ck_assert(comes_true(two_wait));
    ck_assert_uint_eq(fault_env_calls(rig.faults, ENV_CALL_FILE_OPEN), before);
    release();
    join(&first, 1);
    join(&second, 1);
    ck_assert_int_eq(first.sync, 0);
    ck_assert_int_eq(second.sync, 0);
    put_small("second", "v");
    sync_store();
    cut_power();
    ck_assert(rig_holds(&rig, NULL, "first", "v"));
    ck_assert(rig_holds(&rig, NULL, "second", "v"));
}
END_TEST

static void *
put_large(void *argument)
{
    struct other *other = argument;

    other->put = try_put(1, 1);
    return NULL;
}

static bool
write_failed(void)
{
    return fault_env_failures(rig.faults) > 0;
}

/* Of two syncs of a file at once the kernel tells one alone what failed. */
START_TEST(test_a_failed_write_is_undone_behind_the_sync_of_its_file)
{
    struct other first = {.key = "first"}, second = {.key = NULL};

    put(0, 1);
    start_held(&first, false); /* in the blob file's */
    fail_next(ENV_CALL_FILE_WRITE, 1, ENOSPC);
    start(&second, put_large);
    ck_assert(comes_true(write_failed));
    usleep(50000); /* to its sync, if nothing keeps it */
    release();
    join(&first, 1);
    join(&second, 1);
    ck_assert(!gate.at_once);
    ck_assert_int_eq(first.sync, 0);
    ck_assert_int_eq(second.put, -ENOSPC);
    put(2, 1);
    sync_store();
    cut_power();
    assert_at(NULL, key_of(0), 0, 1);
    assert_absent(key_of(1));
    assert_at(NULL, key_of(2), 2, 1);
}
END_TEST

/* A sync that fails while a write is undone: the file is not synced a second time (invariant 1). */
START_TEST(test_a_write_is_not_undone_after_a_failed_sync)
{
    struct other first = {.key = "first"}, second = {.key = NULL};
    uint64_t before;

    put(0, 1);
    before = syncs();
    start_held(&first, false);
    fail_next(ENV_CALL_FILE_WRITE, 1, ENOSPC);
    start(&second, put_large);
    ck_assert(comes_true(write_failed));
    fail_next(ENV_CALL_FILE_SYNC, 1, EIO);
    release();
    join(&first, 1);
    join(&second, 1);
    ck_assert_int_eq(first.sync, -EIO);
    ck_assert_int_ne(second.put, 0);
    ck_assert_uint_eq(syncs(), before + 1);
    ck_assert_int_lt(try_put(2, 1), 0);
}
END_TEST

/* What is being written to a blob file while it is synced is not durable by that. */
START_TEST(test_a_large_value_written_beside_a_sync_is_synced_by_the_next)
{
    struct other second = {.key = NULL};

    put(0, 1);
    sync_store();
    put_small("small", "v");
    atomic_store(&gate.write_armed, true);
    start(&second, put_large);
    ck_assert(comes_true(is_held));
    sync_store();
    release();
    join(&second, 1);
    ck_assert_int_eq(second.put, 0);
    sync_store();
    cut_power();
    assert_at(NULL, key_of(1), 1, 1);
}
END_TEST

START_TEST(test_an_empty_batch_that_is_written_synced_is_a_sync)
{
    struct lsmkv_batch *batch;
    uint64_t before = syncs();

    ck_assert_int_eq(lsmkv_batch_new(&batch), 0);
    put_small("key", "v");
    ck_assert_int_eq(lsmkv_write(rig.db, batch, LSMKV_UNSYNCED), 0);
    ck_assert_uint_eq(syncs(), before);
    ck_assert_int_eq(lsmkv_write(rig.db, batch, 0), 0);
    ck_assert_uint_eq(syncs(), before + 1);
    lsmkv_batch_free(batch);
}
END_TEST

/* ---- all at once ---- */

#define ROUNDS 200u

static const char *
key_of_other(char key[32], unsigned number, unsigned i)
{
    snprintf(key, 32, "k%u/%u", number, i);
    return key;
}

static void *
write_and_sync(void *argument)
{
    static const char large[VALUE];
    struct other *other = argument;
    char key[32];

    for (unsigned i = 0; i < ROUNDS && other->put == 0 && other->sync == 0; i++) {
        other->put = lsmkv_put(
            rig.db, NULL, lsmkv_str(key_of_other(key, other->number, i)), none,
            lsmkv_bytes(large, i % 4 == 0 ? VALUE : 1), i % 8 == 1 ? 0 : LSMKV_UNSYNCED);
        if (other->put == 0 && i % 2 == 0)
            other->sync = i % 32 == 0 ? lsmkv_flush(rig.db) : lsmkv_sync(rig.db);
    }
    return NULL;
}

/* What a thread wrote before a sync of its own is there when the power goes. */
START_TEST(test_syncs_writes_and_rotations_beside_each_other)
{
    struct other others[OTHERS];
    char key[32];

    for (unsigned i = 0; i < OTHERS; i++) {
        others[i] = (struct other){.number = i};
        start(&others[i], write_and_sync);
    }
    join(others, OTHERS);
    ck_assert(!gate.at_once);
    for (size_t i = 0; i < OTHERS; i++) {
        ck_assert_int_eq(others[i].put, 0);
        ck_assert_int_eq(others[i].sync, 0);
    }
    cut_power();
    for (unsigned i = 0; i < OTHERS; i++)
        for (unsigned k = 0; k < ROUNDS - 1; k++)
            ck_assert_int_eq(lsmkv_lookup(rig.db, NULL, NULL,
                                          lsmkv_str(key_of_other(key, i, k)), false, NULL,
                                          0, NULL),
                             LSMKV_EXACT);
}
END_TEST

/* ---- behind a rotation ---- */

static bool
three_wait(void)
{
    return queued() == 3;
}

static int (*real_open)(struct env_dir *dir, const char *name, enum env_open how,
                        struct env_file **file);
static atomic_bool open_armed, open_held, open_released;

static int
gated_open(struct env_dir *dir, const char *name, enum env_open how,
           struct env_file **file)
{
    if (how == ENV_CREATE && strstr(name, ".log") != NULL &&
        atomic_exchange(&open_armed, false)) {
        atomic_store(&open_held, true);
        while (!atomic_load(&open_released))
            usleep(1000);
    }
    return real_open(dir, name, how, file);
}

static bool
open_is_held(void)
{
    return atomic_load(&open_held);
}

static atomic_bool third_done;

static void *
sync_and_note(void *argument)
{
    struct other *other = argument;

    other->sync = lsmkv_sync(rig.db);
    atomic_store(&third_done, true);
    return NULL;
}

/* Bug: what the third wants was in the log when the first's sync began, but it was told only when the
 * rotation between them had ended. */
START_TEST(test_who_is_served_is_told_behind_a_rotation)
{
    struct other first = {.key = "first"}, second = {.key = NULL}, third = {.key = NULL};
    bool told_before_rotation_ended;

    real_open = rig.options.env->file_open;
    rig.options.env->file_open = gated_open;
    start_held(&first, false);
    start(&second, rotate_only);
    ck_assert(comes_true(two_wait));
    start(&third, sync_and_note); /* wants what `first` syncs, no more */
    ck_assert(comes_true(three_wait));
    atomic_store(&open_armed, true);
    release();
    ck_assert(comes_true(open_is_held)); /* the rotation makes its log */
    join(&first, 1);
    usleep(300000);
    told_before_rotation_ended = atomic_load(&third_done);
    ck_assert_uint_ge(atomic_load(&rig.db->durable), 1);
    atomic_store(&open_released, true);
    join(&second, 1);
    join(&third, 1);
    ck_assert_msg(told_before_rotation_ended,
                  "durable, and told only when the rotation had ended");
}
END_TEST

static void *
sync_only(void *argument)
{
    struct other *other = argument;

    other->sync = lsmkv_sync(rig.db);
    return NULL;
}

/* A rotation whose sync of the old log fails tells nobody behind it success. */
START_TEST(test_a_failed_rotation_fails_those_behind)
{
    struct other first = {.key = "first"}, second = {.key = NULL}, third = {.key = NULL};

    start_held(&first, true);
    put_small("second", "v"); /* not covered by the first's sync */
    start(&second, rotate_only);
    ck_assert(comes_true(two_wait));
    start(&third, sync_only);
    ck_assert(comes_true(three_wait));
    fail_next(ENV_CALL_FILE_SYNC, 1, EIO);
    release();
    join(&first, 1);
    join(&second, 1);
    join(&third, 1);
    ck_assert_int_eq(first.sync, 0);
    ck_assert_int_eq(second.sync, -EIO);
    ck_assert_int_eq(third.sync, -EIO);
}
END_TEST

/* ---- undoing in the log ---- */

static void *
put_one(void *argument)
{
    struct other *other = argument;

    other->put = lsmkv_put(rig.db, NULL, lsmkv_str(other->key), none, lsmkv_str("v"),
                           LSMKV_UNSYNCED);
    return NULL;
}

/* The log's own undoing, as the blob file's. */
START_TEST(test_a_write_to_the_log_is_undone_behind_the_sync)
{
    struct other first = {.key = "first"}, second = {.key = "second"};

    start_held(&first, false);
    fail_next(ENV_CALL_FILE_WRITE, 1, ENOSPC);
    start(&second, put_one);
    ck_assert(comes_true(write_failed));
    usleep(50000);
    release();
    join(&first, 1);
    join(&second, 1);
    ck_assert(!gate.at_once);
    ck_assert_int_eq(first.sync, 0);
    ck_assert_int_eq(second.put, -ENOSPC);
    put_small("third", "v");
    sync_store();
    cut_power();
    ck_assert(rig_holds(&rig, NULL, "first", "v"));
    ck_assert(rig_holds(&rig, NULL, "second", NULL));
    ck_assert(rig_holds(&rig, NULL, "third", "v"));
}
END_TEST

/* After a failed sync beside a write being undone: the tail that stays is no damage. */
START_TEST(test_a_tail_that_is_left_is_no_damage)
{
    struct other first = {.key = "first"}, second = {.key = NULL};

    put(0, 1);
    start_held(&first, false);
    fail_next(ENV_CALL_FILE_WRITE, 1, ENOSPC);
    start(&second, put_large);
    ck_assert(comes_true(write_failed));
    fail_next(ENV_CALL_FILE_SYNC, 1, EIO);
    release();
    join(&first, 1);
    join(&second, 1);
    ck_assert_int_ne(lsmkv_close(rig.db),
                     0); /* which of the two errors came first is chance */
    rig.db = NULL;
    fault_env_heal(rig.faults);
    assert_sound();
    rig_open(&rig);
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    ck_assert_int_eq(lsmkv_close(rig.db), 0);
    rig.db = NULL;
    assert_sound();
    rig_open(&rig);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("syncs");
    TCase *tests = tcase_create("syncs");

    tcase_add_checked_fixture(tests, setup_gate, teardown);
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, test_writes_pass_a_sync_and_are_not_taken_for_durable, 0,
                        2);
    tcase_add_test(tests, test_one_sync_serves_all_who_came_meanwhile);
    tcase_add_test(tests, test_a_sync_that_runs_is_enough_for_what_was_there);
    tcase_add_test(tests, test_a_failed_sync_fails_all_who_wait);
    tcase_add_loop_test(tests, test_a_rotation_waits_for_a_sync_that_runs, 0, 2);
    tcase_add_test(tests, test_a_failed_write_is_undone_behind_the_sync_of_its_file);
    tcase_add_test(tests, test_a_write_is_not_undone_after_a_failed_sync);
    tcase_add_test(tests, test_a_large_value_written_beside_a_sync_is_synced_by_the_next);
    tcase_add_test(tests, test_an_empty_batch_that_is_written_synced_is_a_sync);
    tcase_add_test(tests, test_syncs_writes_and_rotations_beside_each_other);
    tcase_add_test(tests, test_who_is_served_is_told_behind_a_rotation);
    tcase_add_test(tests, test_a_failed_rotation_fails_those_behind);
    tcase_add_test(tests, test_a_write_to_the_log_is_undone_behind_the_sync);
    tcase_add_test(tests, test_a_tail_that_is_left_is_no_damage);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
