/*
 * test_compaction.c - flushes and merges on real tables: what readers see stays the same, what
 * can go goes, and whatever fails leaves no file behind (C1 to C4, V2, V3, invariants 3, 10
 * and 13).
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compaction/compaction.h"
#include "compaction/retain.h"
#include "iter/merge.h"
#include "support/array_iterator.h"
#include "support/random.h"
#include "support/suite.h"
#include "support/table_fixture.h"

#define SNAPSHOTS_MAX 64

struct world {
    struct table_fixture fixture;
    enum lsmkv_order order;
    struct entry_array written; /* every entry there ever was */
    struct version *version;
    uint64_t next_number;
    uint64_t sequence; /* the last one written */
    uint64_t snapshots[SNAPSHOTS_MAX];
    size_t snapshot_count; /* the last published sequence stands behind them */
    atomic_bool cancel;
    atomic_uint_fast64_t bytes_read, bytes_written;
    struct build_context context;
};

static struct world world;

static uint64_t
next_number(void *context)
{
    return ++((struct world *)context)->next_number;
}

static void
reap(struct file_reaper *reaper, enum file_kind kind, uint64_t number)
{
    char name[TABLE_NAME_SIZE];

    (void)reaper;
    ck_assert_int_eq(kind, FILE_TABLE);
    table_name(name, number);
    ck_assert_int_eq(env_dir_unlink(world.fixture.dir, name), 0);
}

static struct file_reaper reaper = {reap};

static void
world_init(enum lsmkv_order order)
{
    memset(&world, 0, sizeof(world));
    table_fixture_init(&world.fixture, 1 << 20, 256);
    world.order = order;
    world.written.order = order;
    ck_assert_int_eq(version_new(order, &world.version), 0);
    world.context = (struct build_context){
        .tables = &world.fixture.context,
        .keyspace = 3,
        .order = order,
        .table_size = 1024,
        .snapshots = world.snapshots,
        .next_number = next_number,
        .store = &world,
        .cancel = &world.cancel,
        .bytes_read = &world.bytes_read,
        .bytes_written = &world.bytes_written,
    };
}

static void
setup(void)
{
    world_init(LSMKV_ORDER_PATH);
}

static void
teardown(void)
{
    version_unref(world.version);
    entry_array_fini(&world.written);
    table_fixture_fini(&world.fixture);
}

/* Publishes all that was written. */
static void
publish(void)
{
    world.snapshots[world.snapshot_count] = world.sequence;
    world.context.snapshot_count = world.snapshot_count + 1;
}

static void
write_entry(struct entry_array *batch, const char *key, uint8_t kind)
{
    struct lsmkv_slice payload =
        kind == KIND_DELETE ? lsmkv_bytes("", 0) : lsmkv_bytes("\0value", 6);

    world.sequence++;
    entry_array_add(batch, lsmkv_str(key), world.sequence, kind, payload);
    entry_array_add(&world.written, lsmkv_str(key), world.sequence, kind, payload);
}

/* ---- the edit, as the store applies it ---- */

static struct table_file *
find_file(int level, uint64_t number)
{
    for (size_t i = 0; i < world.version->levels[level].count; i++) {
        if (world.version->levels[level].files[i]->meta.number == number)
            return world.version->levels[level].files[i];
    }
    ck_abort_msg("table %u is not at level %d", (unsigned)number, level);
}

static bool
is_moved(const struct manifest_edit *edit, uint64_t number, int *from)
{
    for (size_t i = 0; i < edit->removed_count; i++) {
        if (edit->removed[i].meta.number == number) {
            *from = edit->removed[i].level;
            return true;
        }
    }
    return false;
}

static void
apply(struct manifest_edit *edit)
{
    struct version_change removed[256], added[256];
    struct version *next;
    int from;

    ck_assert_uint_lt(edit->removed_count, 256);
    ck_assert_uint_lt(edit->added_count, 256);
    for (size_t i = 0; i < edit->removed_count; i++) {
        ck_assert_uint_eq(edit->removed[i].keyspace, 3);
        removed[i].level = edit->removed[i].level;
        removed[i].file = find_file(removed[i].level, edit->removed[i].meta.number);
    }
    for (size_t i = 0; i < edit->added_count; i++) {
        uint64_t number = edit->added[i].meta.number;

        ck_assert_uint_eq(edit->added[i].keyspace, 3);
        ck_assert_uint_lt(number, edit->next_file);
        added[i].level = edit->added[i].level;
        if (is_moved(edit, number, &from)) {
            added[i].file = find_file(from, number);
            table_file_ref(added[i].file);
        } else {
            ck_assert_int_eq(table_file_new(&world.fixture.context, &reaper, 3,
                                            &edit->added[i].meta, &added[i].file),
                             0);
        }
    }
    ck_assert_int_eq(version_edit(world.version, removed, edit->removed_count, added,
                                  edit->added_count, &world.fixture.reporter, &next),
                     0);
    for (size_t i = 0; i < edit->removed_count; i++) {
        bool moved = false;

        for (size_t k = 0; k < edit->added_count; k++)
            moved |= added[k].file == removed[i].file;
        if (!moved)
            atomic_store(&removed[i].file->obsolete, true);
    }
    for (size_t i = 0; i < edit->added_count; i++)
        table_file_unref(added[i].file);
    version_unref(world.version);
    world.version = next;
    manifest_edit_fini(edit);
}

static void
flush(struct entry_array *batch)
{
    struct build_context context = world.context;
    struct manifest_edit edit = {0};
    struct iterator *it;

    context.table_size = UINT64_MAX;
    batch->order = world.order;
    entry_array_sort(batch);
    it = array_iterator_new(batch, NULL);
    ck_assert_int_eq(build_flush(&context, it, &edit), 0);
    ck_assert_uint_le(edit.added_count, 1);
    iterator_free(it);
    apply(&edit);
    entry_array_fini(batch);
}

static void
run(struct compaction *compaction)
{
    struct manifest_edit edit = {0};

    ck_assert_int_eq(compaction_run(&world.context, compaction, &edit), 0);
    ck_assert_uint_eq(edit.removed_count,
                      compaction->input_counts[0] + compaction->input_counts[1]);
    compaction_free(compaction);
    apply(&edit);
}

/* ---- what readers see ---- */

static struct iterator *
iterate_version(void)
{
    struct iterator **children =
        calloc(VERSION_ITERATORS_MAX(world.version) + 1, sizeof(struct iterator *));
    struct iterator *it;
    size_t count = 0;

    ck_assert_int_eq(version_iterators(world.version, TABLE_KEEPING, lsmkv_bytes(NULL, 0),
                                       children, &count),
                     0);
    ck_assert_int_eq(merge_new(world.order, children, count, &it), 0);
    free(children);
    return it;
}

/* The user key that a walk decided last; the empty key is one too. */
struct decided {
    struct keybuf key;
    bool any;
};

/* Goes on, from where the iterator stands, to the first put that a reader sees. */
static void
next_seen(struct iterator *it, uint64_t reader, struct decided *decided)
{
    for (; it->valid; iterator_next(it)) {
        if (internal_sequence(it->entry->key) > reader ||
            (decided->any &&
             slice_equal(internal_user_key(it->entry->key), keybuf_slice(&decided->key))))
            continue;
        ck_assert_int_eq(keybuf_set(&decided->key, internal_user_key(it->entry->key)), 0);
        decided->any = true;
        if (internal_kind(it->entry->key) != KIND_DELETE)
            return;
    }
}

static void
assert_reader_sees_all(uint64_t reader)
{
    struct iterator *expected = array_iterator_new(&world.written, NULL);
    struct iterator *found = iterate_version();
    struct decided decided[2] = {{{0}, false}};

    iterator_first(expected);
    iterator_first(found);
    for (;;) {
        next_seen(expected, reader, &decided[0]);
        next_seen(found, reader, &decided[1]);
        ck_assert_int_eq(found->status, 0);
        ck_assert(expected->valid == found->valid);
        if (!expected->valid)
            break;
        assert_slices(found->entry->key, expected->entry->key);
        assert_slices(found->entry->payload, expected->entry->payload);
        iterator_next(expected);
        iterator_next(found);
    }
    iterator_free(expected);
    iterator_free(found);
    keybuf_fini(&decided[0].key);
    keybuf_fini(&decided[1].key);
}

static void
assert_all_see_all(void)
{
    entry_array_sort(&world.written);
    for (size_t i = 0; i < world.context.snapshot_count; i++)
        assert_reader_sees_all(world.snapshots[i]);
    assert_reader_sees_all(world.sequence);
}

/* V3: for one key, a shallower level holds nothing older than a deeper one. */
static void
assert_levels_are_in_order(void)
{
    for (int above = 0; above < LEVEL_COUNT - 1; above++) {
        const struct level *upper = &world.version->levels[above];
        struct iterator *it;

        for (size_t i = 0; i < upper->count; i++) {
            struct table *table;

            ck_assert_int_eq(table_file_table(upper->files[i], &table), 0);
            ck_assert_int_eq(table_iterate(table, TABLE_KEEPING, &it), 0);
            for (iterator_first(it); it->valid; iterator_next(it)) {
                struct lsmkv_slice key = internal_user_key(it->entry->key);
                struct table_version version;
                struct keybuf newest = {0};

                ck_assert_int_eq(keybuf_set_internal(&newest, key, SEQUENCE_MAX, 0xff),
                                 0);
                for (int below = above + 1; below < LEVEL_COUNT; below++) {
                    const struct level *lower = &world.version->levels[below];
                    size_t at = level_find(lower, world.order, key);

                    if (at == lower->count)
                        continue;
                    ck_assert_int_eq(table_file_table(lower->files[at], &table), 0);
                    if (table_get(table, keybuf_slice(&newest), &version) < 0)
                        continue;
                    ck_assert_uint_lt(version.trailer >> 8,
                                      internal_sequence(it->entry->key));
                    block_unpin(version.block);
                }
                keybuf_fini(&newest);
            }
            iterator_free(it);
        }
    }
}

static size_t
count_file(const char *name, size_t *count)
{
    *count += strstr(name, ".sst") != NULL;
    return 0;
}

static int
each_file(void *context, const char *name)
{
    return (int)count_file(name, context);
}

static size_t
files_on_disk(void)
{
    size_t count = 0;

    ck_assert_int_eq(env_dir_list(world.fixture.dir, each_file, &count), 0);
    return count;
}

static size_t
tables(void)
{
    size_t count = 0;

    for (int level = 0; level < LEVEL_COUNT; level++)
        count += world.version->levels[level].count;
    return count;
}

/* ---- at random ---- */

static const char *const path_keys[] = {
    "",    "a",   "a/b", "a/b/c", "a/b.c", "a-b", "a.b", "a0",  "b",   "b/",  "c",
    "c/d", "c/e", "c/f", "d",     "d/a",   "d/b", "d-",  "e",   "e/e", "f",   "f/1",
    "f/2", "f/3", "g",   "h",     "h/i",   "h/j", "k",   "l/m", "n",   "o/p", "q",
};
#define PATH_KEYS (sizeof(path_keys) / sizeof(path_keys[0]))

static const struct compaction_limits limits = {
    .l0_trigger = 3, .level_base_size = 2048, .table_size = 1024};

static void
random_flush(struct random *random)
{
    struct entry_array batch = {0};
    uint64_t before = world.sequence;

    for (int i = 0; i < 40; i++)
        write_entry(&batch, path_keys[random_below(random, PATH_KEYS)],
                    random_below(random, 5) < 2 ? KIND_DELETE : KIND_PUT);
    publish();
    /* Sometimes not all of it is published yet. */
    if (random_below(random, 4) == 0)
        world.snapshots[world.snapshot_count] = before + random_below(random, 41);
    flush(&batch);
}

static void
random_snapshots(struct random *random)
{
    if (random_below(random, 4) == 0 && world.snapshot_count < 5) {
        world.snapshot_count++; /* at what was published last */
        publish();
    }
    if (random_below(random, 6) == 0 && world.snapshot_count > 0) {
        size_t victim = random_below(random, world.snapshot_count);

        memmove(&world.snapshots[victim], &world.snapshots[victim + 1],
                (world.snapshot_count - victim) * sizeof(world.snapshots[0]));
        world.snapshot_count--;
        world.context.snapshot_count--;
    }
}

static struct compaction *
pick_level(int level)
{
    const struct lsmkv_slice none = {NULL, 0};
    struct compaction *compaction;

    ck_assert_int_eq(
        compaction_pick_range(3, world.version, &limits, level, none, none, &compaction),
        0);
    return compaction;
}

static void
compact_all(void)
{
    for (int level = 0; level < LEVEL_COUNT; level++) {
        struct compaction *compaction = pick_level(level);

        if (compaction != NULL)
            run(compaction);
    }
}

/* Entries in all tables, and how many keys a reader of everything finds. */
static void
assert_nothing_to_spare(void)
{
    struct iterator *found = iterate_version();
    struct decided decided = {{0}, false};
    size_t entries = 0, live = 0;

    for (iterator_first(found); found->valid; iterator_next(found))
        entries++;
    iterator_first(found);
    for (next_seen(found, world.sequence, &decided); found->valid;
         next_seen(found, world.sequence, &decided)) {
        live++;
        iterator_next(found);
    }
    ck_assert_uint_eq(entries, live);
    iterator_free(found);
    keybuf_fini(&decided.key);
}

START_TEST(test_readers_see_the_same_through_flushes_and_compactions)
{
    struct random random = random_of(random_seed());
    struct compaction_cursor cursor = {0};
    size_t merges = 0;

    teardown();
    world_init(_i == 0 ? LSMKV_ORDER_BYTES : LSMKV_ORDER_PATH);
    for (int round = 0; round < 60; round++) {
        struct compaction *compaction;

        random_flush(&random);
        random_snapshots(&random);
        assert_all_see_all();
        while (true) {
            ck_assert_int_eq(
                compaction_pick(3, world.version, &limits, &cursor, &compaction), 0);
            if (compaction == NULL)
                break;
            merges += !compaction->trivial;
            run(compaction);
            assert_all_see_all();
        }
        assert_levels_are_in_order();
        ck_assert_uint_eq(files_on_disk(), tables());
    }
    ck_assert_uint_gt(merges, 10);
    world.snapshot_count = 0;
    publish();
    compact_all();
    assert_all_see_all();
    assert_nothing_to_spare();
    ck_assert_uint_eq(files_on_disk(), tables());
    ck_assert_uint_eq(world.fixture.reports, 0);
    compaction_cursor_fini(&cursor);
}
END_TEST

/* ---- by hand ---- */

static void
put_many(struct entry_array *batch, unsigned from, unsigned to, uint8_t kind)
{
    char key[16];

    for (unsigned i = from; i < to; i++) {
        snprintf(key, sizeof(key), "dir/%04u", i);
        write_entry(batch, key, kind);
    }
}

static void
flush_many(unsigned from, unsigned to, uint8_t kind)
{
    struct entry_array batch = {0};

    put_many(&batch, from, to, kind);
    publish();
    flush(&batch);
}

START_TEST(test_a_flush_of_nothing_makes_no_table)
{
    struct entry_array batch = {0};

    publish();
    flush(&batch);
    ck_assert_uint_eq(files_on_disk(), 0);
}
END_TEST

START_TEST(test_a_flush_keeps_tombstones_and_its_table_survives_a_power_cut)
{
    struct mem_env *image;
    struct env_dir *after;
    size_t count = 0;

    flush_many(0, 20, KIND_DELETE);
    ck_assert_uint_eq(world.version->levels[0].files[0]->meta.tombstones, 20);
    image = mem_env_crash(world.fixture.memory,
                          (struct mem_crash){MEM_DATA_NONE, MEM_NAMES_DROPPED}, 0);
    ck_assert_int_eq(env_dir_open(mem_env_base(image), "/tables", false, &after), 0);
    ck_assert_int_eq(env_dir_list(after, each_file, &count), 0);
    ck_assert_uint_eq(count, 1);
    env_dir_close(after);
    mem_env_free(image);
}
END_TEST

/* One key has more versions than a table has room for, all seen by somebody (C3, V2). */
START_TEST(test_outputs_are_cut_between_user_keys_only)
{
    struct entry_array batch = {0};

    for (int version = 0; version < 60; version++) {
        write_entry(&batch, "dir/0010", KIND_PUT);
        world.snapshots[world.snapshot_count++] = world.sequence;
    }
    put_many(&batch, 0, 10, KIND_PUT);
    put_many(&batch, 11, 300, KIND_PUT);
    publish();
    flush(&batch);
    run(pick_level(0));
    ck_assert_uint_gt(world.version->levels[6].count, 3);
    assert_all_see_all();
    ck_assert_uint_eq(files_on_disk(), tables());
    ck_assert_uint_gt(atomic_load(&world.bytes_read), 0);
    ck_assert_uint_gt(atomic_load(&world.bytes_written), atomic_load(&world.bytes_read));
}
END_TEST

START_TEST(test_a_move_changes_the_level_and_writes_nothing)
{
    struct compaction *compaction;
    struct manifest_edit edit = {0};
    uint64_t number;

    flush_many(0, 50, KIND_PUT);
    compaction = pick_level(0);
    compaction->trivial = true;
    number = world.next_number;
    ck_assert_int_eq(compaction_run(&world.context, compaction, &edit), 0);
    ck_assert_uint_eq(world.next_number, number);
    ck_assert_uint_eq(edit.added_count, 1);
    ck_assert_uint_eq(edit.removed_count, 1);
    ck_assert_uint_eq(edit.added[0].meta.number, edit.removed[0].meta.number);
    ck_assert_int_eq(edit.added[0].level, 6);
    compaction_free(compaction);
    apply(&edit);
    assert_all_see_all();
}
END_TEST

/*
 * Invariant 10, above: a table of level 0 that is not merged, newer by its largest sequence,
 * holds an older version of what the merged tombstone deletes.
 *
 *     level 0   2: k@1, z@9     not merged
 *     level 0   1: k@5 deleted  merged alone
 */
START_TEST(test_a_tombstone_stays_while_an_unmerged_table_above_may_hold_older)
{
    struct entry_array older = {0}, newer = {0};
    struct compaction *compaction;

    write_entry(&older, "k", KIND_PUT);
    world.sequence = 4;
    write_entry(&newer, "k", KIND_DELETE);
    publish();
    flush(&newer);
    world.sequence = 8;
    write_entry(&older, "z", KIND_PUT);
    publish();
    flush(&older);
    compaction = pick_level(0);
    ck_assert_uint_eq(compaction->input_counts[0], 2);
    ck_assert_uint_eq(compaction->inputs[0][1]->meta.number, 1);
    compaction->inputs[0][0] = compaction->inputs[0][1];
    compaction->input_counts[0] = 1;
    run(compaction);
    ck_assert_uint_eq(world.version->levels[6].count, 1);
    ck_assert_uint_eq(world.version->levels[6].files[0]->meta.tombstones, 1);
}
END_TEST

/* And below: the table at level 6 is not part of a merge into level 5. */
START_TEST(test_a_tombstone_stays_while_a_level_below_may_hold_older)
{
    struct compaction *compaction;

    flush_many(0, 20, KIND_PUT);
    run(pick_level(0));
    flush_many(5, 25, KIND_DELETE);
    compaction = pick_level(0);
    ck_assert_int_eq(compaction->output_level, 6);
    compaction->output_level = 5;
    compaction->input_counts[1] = 0;
    run(compaction);
    ck_assert_uint_eq(world.version->levels[5].count, 1);
    /* 5 to 19 are needed; 20 to 24 lie outside of what level 6 holds. */
    ck_assert_uint_eq(world.version->levels[5].files[0]->meta.tombstones, 15);
    assert_all_see_all();
}
END_TEST

START_TEST(test_rmdir_then_mkdir_leaves_no_trace_unless_a_snapshot_sees_it)
{
    struct entry_array one = {0}, two = {0}, three = {0};

    write_entry(&one, "dir", KIND_PUT);
    publish();
    flush(&one);
    write_entry(&two, "dir", KIND_DELETE);
    publish();
    if (_i == 1)
        world.snapshot_count++;
    flush(&two);
    write_entry(&three, "dir", KIND_PUT);
    publish();
    flush(&three);
    run(pick_level(0));
    assert_all_see_all();
    ck_assert_uint_eq(world.version->levels[6].files[0]->meta.entries, 1);
}
END_TEST

/* ---- what fails ---- */

static void
three_flushes(void)
{
    flush_many(0, 200, KIND_PUT);
    flush_many(100, 300, KIND_PUT);
    flush_many(50, 150, KIND_DELETE);
}

START_TEST(test_a_merge_that_fails_at_any_call_leaves_no_file_behind)
{
    struct fault_env *fault = world.fixture.fault;
    size_t before, failures = 0;

    three_flushes();
    before = files_on_disk();
    for (uint64_t nth = 1;; nth++) {
        struct compaction *compaction = pick_level(0);
        struct manifest_edit edit = {0};
        uint64_t failed = fault_env_failures(fault);
        int result;

        fault_env_set(fault, (struct fault){ENV_CALL_ANY, nth, false, EIO, true});
        result = compaction_run(&world.context, compaction, &edit);
        fault_env_heal(fault);
        compaction_free(compaction);
        if (result == 0 && fault_env_failures(fault) == failed) {
            apply(&edit);
            break;
        }
        if (result < 0) {
            failures++;
            ck_assert_uint_eq(edit.added_count, 0);
            ck_assert_uint_eq(edit.removed_count, 0);
            ck_assert_msg(files_on_disk() == before, "call %u: %zu files", (unsigned)nth,
                          files_on_disk());
        } else {
            /* The call could do without. */
            for (size_t i = 0; i < edit.added_count; i++)
                reap(&reaper, FILE_TABLE, edit.added[i].meta.number);
        }
        manifest_edit_fini(&edit);
    }
    ck_assert_uint_gt(failures, 20);
    assert_all_see_all();
}
END_TEST

START_TEST(test_a_cancelled_merge_leaves_no_file_behind)
{
    struct compaction *compaction;
    struct manifest_edit edit = {0};
    size_t before;

    three_flushes();
    before = files_on_disk();
    compaction = pick_level(0);
    atomic_store(&world.cancel, true);
    ck_assert_int_eq(compaction_run(&world.context, compaction, &edit), -ECANCELED);
    ck_assert_uint_eq(edit.added_count, 0);
    ck_assert_uint_eq(files_on_disk(), before);
    compaction_free(compaction);
    manifest_edit_fini(&edit);
}
END_TEST

START_TEST(test_a_damaged_input_is_an_error_and_not_a_shorter_output)
{
    struct compaction *compaction;
    struct manifest_edit edit = {0};
    size_t before, size;
    uint8_t *bytes;

    three_flushes();
    bytes = table_fixture_read(&world.fixture, 1, &size);
    bytes[size / 4] ^= 0x10;
    table_fixture_replace(&world.fixture, 1, bytes, size);
    free(bytes);
    before = files_on_disk();
    compaction = pick_level(0);
    ck_assert_int_eq(compaction_run(&world.context, compaction, &edit), -EBADMSG);
    ck_assert_uint_eq(edit.added_count, 0);
    ck_assert_uint_eq(files_on_disk(), before);
    compaction_free(compaction);
    manifest_edit_fini(&edit);
}
END_TEST

START_TEST(test_entries_out_of_order_are_refused)
{
    struct entry_array batch = {.order = LSMKV_ORDER_PATH};
    struct manifest_edit edit = {0};
    struct iterator *it;

    put_many(&batch, 5, 6, KIND_PUT);
    put_many(&batch, 1, 2, KIND_PUT);
    publish();
    it = array_iterator_new(&batch, NULL);
    ck_assert_int_eq(build_flush(&world.context, it, &edit), -EUCLEAN);
    iterator_free(it);
    ck_assert_uint_eq(files_on_disk(), 0);
    ck_assert_uint_eq(edit.added_count, 0);
    entry_array_fini(&batch);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("compaction");
    TCase *cases = tcase_create("compaction");

    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, test_readers_see_the_same_through_flushes_and_compactions,
                        0, 2);
    tcase_add_test(cases, test_a_flush_of_nothing_makes_no_table);
    tcase_add_test(cases,
                   test_a_flush_keeps_tombstones_and_its_table_survives_a_power_cut);
    tcase_add_test(cases, test_outputs_are_cut_between_user_keys_only);
    tcase_add_test(cases, test_a_move_changes_the_level_and_writes_nothing);
    tcase_add_test(cases,
                   test_a_tombstone_stays_while_an_unmerged_table_above_may_hold_older);
    tcase_add_test(cases, test_a_tombstone_stays_while_a_level_below_may_hold_older);
    tcase_add_loop_test(
        cases, test_rmdir_then_mkdir_leaves_no_trace_unless_a_snapshot_sees_it, 0, 2);
    tcase_add_test(cases, test_a_merge_that_fails_at_any_call_leaves_no_file_behind);
    tcase_add_test(cases, test_a_cancelled_merge_leaves_no_file_behind);
    tcase_add_test(cases, test_a_damaged_input_is_an_error_and_not_a_shorter_output);
    tcase_add_test(cases, test_entries_out_of_order_are_refused);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
