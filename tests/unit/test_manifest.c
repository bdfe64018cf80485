/*
 * test_manifest.c - the manifest: its bytes, and what a power cut or a bad disk may make of
 * it (M1 to M4, invariants 1, 3, 9 and 12).
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "manifest_fixture.h"
#include "support/random.h"
#include "support/suite.h"

/* ---- what the tests build with ---- */

static struct manifest *
make(uint64_t number)
{
    struct manifest_edit state = first_state();
    struct manifest *manifest;

    ck_assert_int_eq(manifest_roll(dir, &reporter, number, &state, &manifest), 0);
    manifest_edit_fini(&state);
    return manifest;
}

/* Adds table `number` at level 0 as one line. */
static int
append_table(struct manifest *manifest, uint64_t number)
{
    struct manifest_edit edit = {0};
    int result;

    add_table(&edit, 0, number, "k", "m");
    result = manifest_append(manifest, &edit);
    manifest_edit_fini(&edit);
    return result;
}

/* ---- the bytes ---- */

static const char golden_first[] =
    "{\"format\":\"lsmkv-manifest\",\"version\":1,\"compatible\":[],"
    "\"incompatible\":[\"pages\"],\"manifest\":7,\"next_file\":20,\"oldest_log\":2,\"last_sequence\":100,"
    "\"next_keyspace\":1,"
    "\"keyspaces\":[{\"id\":0,\"name\":\"64656661756c74\",\"text\":\"default\","
    "\"order\":\"path\"}],"
    "\"added\":[{\"keyspace\":0,\"level\":1,\"table\":3,\"size\":4096,\"entries\":10,"
    "\"tombstones\":3,\"smallest_sequence\":5,\"largest_sequence\":90,"
    "\"smallest\":\"610107000000000000\",\"largest\":\"620009000000000000\"}]}"
    "\tb7208a73\n";
static const char golden_second[] =
    "{\"next_file\":31,\"oldest_log\":8,\"last_sequence\":72057594037927935,"
    "\"next_snapshot\":5,"
    "\"removed\":[{\"keyspace\":0,\"level\":1,\"table\":3}],"
    "\"added\":[{\"keyspace\":0,\"level\":2,\"table\":30,\"size\":4096,\"entries\":10,"
    "\"tombstones\":3,\"smallest_sequence\":5,\"largest_sequence\":90,"
    "\"smallest\":\"0107000000000000\",\"largest\":\"620009000000000000\"}],"
    "\"dropped_keyspaces\":[3],"
    "\"snapshots\":[{\"id\":4,\"name\":\"ff0a22\",\"sequence\":100,\"time\":-5}],"
    "\"dropped_snapshots\":[2]}"
    "\t351d2fba\n";

START_TEST(test_lines_are_these_bytes)
{
    struct manifest *manifest = make(7);
    struct manifest_edit edit = {.oldest_log = 8, .last_sequence = SEQUENCE_MAX};
    struct lsmkv_snapshot_info snapshot = snapshot_of(4, "\xff\n\"", 100);
    char bytes[4096];

    ck_assert_int_eq(manifest_edit_remove(&edit, 0, 1, 3), 0);
    add_table(&edit, 2, 30, "", "b");
    ck_assert_int_eq(manifest_edit_drop_keyspace(&edit, 3), 0);
    ck_assert_int_eq(manifest_edit_snapshot(&edit, &snapshot), 0);
    ck_assert_int_eq(manifest_edit_drop_snapshot(&edit, 2), 0);
    ck_assert_int_eq(manifest_append(manifest, &edit), 0);
    manifest_edit_fini(&edit);

    ck_assert_uint_eq(read_all(bytes, sizeof(bytes)), manifest_end(manifest));
    ck_assert_int_eq(strncmp(bytes, golden_first, strlen(golden_first)), 0);
    ck_assert_str_eq(bytes + strlen(golden_first), golden_second);
    manifest_close(manifest);
}
END_TEST

static void
assert_same_state(const struct manifest_edit *a, const struct manifest_edit *b)
{
    ck_assert_uint_eq(a->next_file, b->next_file);
    ck_assert_uint_eq(a->oldest_log, b->oldest_log);
    ck_assert_uint_eq(a->last_sequence, b->last_sequence);
    ck_assert_uint_eq(a->next_keyspace, b->next_keyspace);
    ck_assert_uint_eq(a->next_snapshot, b->next_snapshot);
    ck_assert_uint_eq(a->added_count, b->added_count);
    for (size_t i = 0; i < a->added_count; i++) {
        const struct edit_table *x = &a->added[i], *y = &b->added[i];

        ck_assert_uint_eq(x->keyspace, y->keyspace);
        ck_assert_int_eq(x->level, y->level);
        ck_assert_uint_eq(x->meta.number, y->meta.number);
        ck_assert_uint_eq(x->meta.size, y->meta.size);
        ck_assert_uint_eq(x->meta.entries, y->meta.entries);
        ck_assert_uint_eq(x->meta.tombstones, y->meta.tombstones);
        ck_assert_uint_eq(x->meta.smallest_sequence, y->meta.smallest_sequence);
        ck_assert_uint_eq(x->meta.largest_sequence, y->meta.largest_sequence);
        ck_assert(slice_equal(keybuf_slice(&x->meta.smallest),
                              keybuf_slice(&y->meta.smallest)));
        ck_assert(
            slice_equal(keybuf_slice(&x->meta.largest), keybuf_slice(&y->meta.largest)));
    }
    ck_assert_uint_eq(a->keyspace_count, b->keyspace_count);
    for (size_t i = 0; i < a->keyspace_count; i++) {
        ck_assert_uint_eq(a->keyspaces[i].id, b->keyspaces[i].id);
        ck_assert_int_eq(a->keyspaces[i].order, b->keyspaces[i].order);
        ck_assert_str_eq(a->keyspaces[i].name, b->keyspaces[i].name);
    }
    ck_assert_uint_eq(a->snapshot_count, b->snapshot_count);
    for (size_t i = 0; i < a->snapshot_count; i++) {
        ck_assert_uint_eq(a->snapshots[i].id, b->snapshots[i].id);
        ck_assert_uint_eq(a->snapshots[i].sequence, b->snapshots[i].sequence);
        ck_assert_int_eq(a->snapshots[i].time, b->snapshots[i].time);
        ck_assert_str_eq(a->snapshots[i].name, b->snapshots[i].name);
    }
}

static void
random_bytes_name(struct random *random, char *name, uint64_t unique)
{
    size_t size = 1 + random_below(random, 40);
    size_t head = (size_t)snprintf(name, 32, "%llu.", (unsigned long long)unique);

    for (size_t i = 0; i < size; i++) {
        char byte = (char)(1 + random_below(random, 255));

        name[head + i] = byte == '/' ? '.' : byte;
    }
    name[head + size] = '\0';
}

/* A valid change of `state`, drawn at random. */
static void
random_edit(struct random *random, const struct manifest_edit *state, uint64_t step,
            struct manifest_edit *edit)
{
    edit->next_file = 1000 + step * 10;
    edit->last_sequence = 100 + step;
    if (random_below(random, 4) == 0) {
        struct edit_keyspace keyspace = {
            .id = (uint32_t)step + 1, .order = (enum lsmkv_order)(random_coin(random))};

        random_bytes_name(random, keyspace.name, step);
        ck_assert_int_eq(manifest_edit_keyspace(edit, &keyspace), 0);
    }
    if (random_below(random, 3) == 0) {
        struct lsmkv_snapshot_info info = snapshot_of(step, "", step);

        random_bytes_name(random, info.name, step);
        ck_assert_int_eq(manifest_edit_snapshot(edit, &info), 0);
    }
    if (state->snapshot_count > 2 && random_below(random, 3) == 0)
        ck_assert_int_eq(manifest_edit_drop_snapshot(edit, state->snapshots[1].id), 0);
    for (uint64_t i = 0; i < random_below(random, 4); i++)
        add_table(edit, (int)random_below(random, LEVEL_COUNT), 1000 + step * 10 - i - 1,
                  "c", "d\xff\x01");
    if (state->added_count > 3 && random_coin(random)) {
        size_t victim = random_below(random, state->added_count);

        ck_assert_int_eq(manifest_edit_remove(edit, state->added[victim].keyspace,
                                              state->added[victim].level,
                                              state->added[victim].meta.number),
                         0);
    }
}

START_TEST(test_what_was_appended_is_loaded_and_survives_a_roll)
{
    struct random random = random_of(random_seed());
    struct manifest_edit state = first_state(), loaded = {0};
    struct manifest *manifest = make(7);
    uint64_t number = 0, end = 0;

    for (uint64_t step = 1; step <= 200; step++) {
        struct manifest_edit edit = {0};

        random_edit(&random, &state, step, &edit);
        ck_assert_int_eq(manifest_append(manifest, &edit), 0);
        ck_assert_int_eq(manifest_state_apply(&state, &edit), 0);
        manifest_edit_fini(&edit);
        if (step % 50 == 0) {
            ck_assert_int_eq(manifest_replace(&manifest, 1000 + step, &state), 0);
            ck_assert_uint_eq(manifest_number(manifest), 1000 + step);
        }
        if (step % 20 != 0)
            continue;
        ck_assert_int_eq(manifest_load(dir, &reporter, &loaded, &number, &end), 0);
        ck_assert_uint_eq(number, manifest_number(manifest));
        ck_assert_uint_eq(end, manifest_end(manifest));
        assert_same_state(&loaded, &state);
        manifest_edit_fini(&loaded);
        manifest_close(manifest);
        ck_assert_int_eq(manifest_open(dir, &reporter, number, end, &manifest), 0);
    }
    ck_assert_uint_eq(reports, 0);
    manifest_close(manifest);
    manifest_edit_fini(&state);
}
END_TEST

START_TEST(test_no_manifest_is_enoent_and_not_reported)
{
    uint64_t end;

    ck_assert_int_eq(load_count(dir, &end), -ENOENT);
    ck_assert_uint_eq(reports, 0);
}
END_TEST

/* ---- torn and damaged (M2) ---- */

START_TEST(test_a_last_line_torn_at_any_byte_never_happened)
{
    struct manifest *manifest = make(7);
    uint64_t before, end;
    char bytes[4096];
    size_t size;

    ck_assert_int_eq(append_table(manifest, 10), 0);
    before = manifest_end(manifest);
    ck_assert_int_eq(append_table(manifest, 11), 0);
    manifest_close(manifest);
    size = read_all(bytes, sizeof(bytes));
    for (size_t cut = before; cut < size; cut++) {
        write_all(bytes, cut);
        ck_assert_int_eq(load_count(dir, &end), 2);
        ck_assert_uint_eq(end, before);
        ck_assert_int_eq(manifest_open(dir, &reporter, 7, end, &manifest), 0);
        ck_assert_int_eq(append_table(manifest, 12), 0);
        manifest_close(manifest);
        ck_assert_int_eq(load_count(dir, &end), 3);
    }
}
END_TEST

/* The next line is shorter than what was torn: none of that may be left behind it. */
START_TEST(test_opening_cuts_a_torn_line)
{
    struct manifest *manifest = make(7);
    struct manifest_edit edit = {0};
    uint64_t before = manifest_end(manifest), end;
    char bytes[8192];

    for (uint64_t i = 0; i < 20; i++)
        add_table(&edit, 0, 30 + i, "k", "m");
    ck_assert_int_eq(manifest_append(manifest, &edit), 0);
    manifest_edit_fini(&edit);
    manifest_close(manifest);
    write_all(bytes, read_all(bytes, sizeof(bytes)) - 1);
    ck_assert_int_eq(load_count(dir, &end), 1);
    ck_assert_uint_eq(end, before);
    ck_assert_uint_eq(reports, 1);
    ck_assert_int_eq(manifest_open(dir, &reporter, 7, end, &manifest), 0);
    ck_assert_int_eq(append_table(manifest, 11), 0);
    ck_assert_uint_eq(read_all(bytes, sizeof(bytes)), manifest_end(manifest));
    manifest_close(manifest);
}
END_TEST

START_TEST(test_a_last_line_with_lost_bytes_never_happened)
{
    struct manifest *manifest = make(7);
    uint64_t before, end;
    char bytes[4096], holed[4096];
    size_t size;

    ck_assert_int_eq(append_table(manifest, 10), 0);
    before = manifest_end(manifest);
    ck_assert_int_eq(append_table(manifest, 11), 0);
    manifest_close(manifest);
    size = read_all(bytes, sizeof(bytes));
    for (size_t from = before; from < size; from += 7) {
        memcpy(holed, bytes, size);
        memset(holed + from, 0, size - from < 40 ? size - from : 40);
        write_all(holed, size);
        ck_assert_int_eq(load_count(dir, &end), 2);
        ck_assert_uint_eq(end, before);
    }
}
END_TEST

/* Flips a bit of each byte of [from, to) and loads. */
static void
assert_damage(const char *bytes, size_t size, size_t from, size_t to)
{
    char flipped[8192];
    uint64_t end;

    for (size_t at = from; at < to; at++) {
        int result;

        memcpy(flipped, bytes, size);
        flipped[at] = (char)(flipped[at] ^ (1 << at % 8));
        write_all(flipped, size);
        reports = 0;
        result = load_count(dir, &end);
        ck_assert_msg(result == -EBADMSG || result == -EUCLEAN, "byte %zu: %d", at,
                      result);
        ck_assert_uint_eq(reports, 1);
        ck_assert_ptr_nonnull(strstr(last_report, "MANIFEST: offset "));
    }
}

START_TEST(test_damage_before_the_last_line_is_an_error_at_its_offset)
{
    struct manifest *manifest = make(7);
    char bytes[4096], place[64];
    uint64_t first, second, end;
    size_t size;

    first = manifest_end(manifest);
    ck_assert_int_eq(append_table(manifest, 10), 0);
    second = manifest_end(manifest);
    ck_assert_int_eq(append_table(manifest, 11), 0);
    manifest_close(manifest);
    size = read_all(bytes, sizeof(bytes));
    assert_damage(bytes, size, 0, first);
    ck_assert_ptr_nonnull(strstr(last_report, "MANIFEST: offset 0:"));
    assert_damage(bytes, size, first, second);
    snprintf(place, sizeof(place), "MANIFEST: offset %llu:", (unsigned long long)first);
    ck_assert_ptr_nonnull(strstr(last_report, place));
    /* Nothing was deleted or changed. */
    write_all(bytes, size);
    ck_assert_int_eq(load_count(dir, &end), 3);
}
END_TEST

START_TEST(test_a_manifest_without_a_whole_first_line_is_damage)
{
    struct manifest *manifest = make(7);
    char bytes[4096];
    size_t size;
    uint64_t end;

    manifest_close(manifest);
    size = read_all(bytes, sizeof(bytes));
    for (size_t cut = 0; cut < size; cut += 5) {
        write_all(bytes, cut);
        ck_assert_int_eq(load_count(dir, &end), -EUCLEAN);
    }
}
END_TEST

/* A later read error must not pass for the end: the line would be dropped. */
START_TEST(test_a_read_error_is_not_the_end)
{
    struct manifest *manifest = make(7);
    uint64_t end;

    for (uint64_t i = 0; i < 400; i++)
        ck_assert_int_eq(append_table(manifest, 10 + i), 0);
    manifest_close(manifest);
    for (uint64_t nth = 1; nth <= 3; nth++) {
        fault_env_set(faults, (struct fault){ENV_CALL_FILE_READ, nth, false, EIO, false});
        ck_assert_int_eq(load_count(dir, &end), -EIO);
    }
    fault_env_heal(faults);
    ck_assert_int_eq(load_count(dir, &end), 401);
}
END_TEST

/* Invariant 9: bit rot in the last line passes for a torn one; the line before it may name
 * files that are gone, and then nothing may be deleted on its word. */
START_TEST(test_a_state_whose_tables_are_gone_is_not_to_be_used)
{
    struct manifest_edit state = first_state();
    char bytes[4097] = {0}, name[TABLE_NAME_SIZE];
    struct env_file *file;

    table_name(name, 3);
    ck_assert_int_eq(manifest_check_tables(dir, &reporter, &state), -EUCLEAN);
    ck_assert_ptr_nonnull(strstr(last_report, name));
    for (size_t size = 4095; size <= 4097; size++) {
        ck_assert_int_eq(env_file_open(dir, name, ENV_REPLACE, &file), 0);
        ck_assert_int_eq(env_file_write(file, 0, bytes, size), 0);
        env_file_close(file);
        ck_assert_int_eq(manifest_check_tables(dir, &reporter, &state),
                         size == 4096 ? 0 : -EUCLEAN);
    }
    fault_env_set(faults, (struct fault){ENV_CALL_FILE_OPEN, 1, false, EMFILE, false});
    ck_assert_int_eq(manifest_check_tables(dir, &reporter, &state), -EMFILE);
    manifest_edit_fini(&state);
}
END_TEST

/* ---- failures of the disk (M3) and power cuts (M1, M4) ---- */

START_TEST(test_a_failed_write_is_undone_and_the_manifest_goes_on)
{
    struct manifest *manifest = make(7);
    uint64_t end;

    ck_assert_int_eq(append_table(manifest, 10), 0);
    fault_env_set(faults, (struct fault){ENV_CALL_FILE_WRITE, 1, false, ENOSPC, true});
    ck_assert_int_eq(append_table(manifest, 11), -ENOSPC);
    ck_assert(!manifest_is_broken(manifest));
    ck_assert_int_eq(load_count(dir, &end), 2);
    ck_assert_uint_eq(end, manifest_end(manifest));
    ck_assert_int_eq(append_table(manifest, 12), 0);
    ck_assert_int_eq(load_count(dir, &end), 3);
    manifest_close(manifest);
}
END_TEST

START_TEST(test_a_write_that_cannot_be_undone_breaks_the_manifest)
{
    struct manifest *manifest = make(7);
    const enum env_call undo = _i == 0 ? ENV_CALL_FILE_TRUNCATE : ENV_CALL_FILE_SYNC;
    struct fault_env *outer = fault_env_new(fault_env_base(faults));
    struct env_dir *twice;
    uint64_t number, end;
    struct manifest_edit state = {0};

    ck_assert_int_eq(env_dir_open(fault_env_base(outer), "store", false, &twice), 0);
    manifest_close(manifest);
    ck_assert_int_eq(manifest_load(twice, &reporter, &state, &number, &end), 0);
    manifest_edit_fini(&state);
    ck_assert_int_eq(manifest_open(twice, &reporter, number, end, &manifest), 0);
    fault_env_set(outer, (struct fault){ENV_CALL_FILE_WRITE, 1, false, EIO, false});
    fault_env_set(faults, (struct fault){undo, 1, false, EIO, false});
    ck_assert_int_eq(append_table(manifest, 11), -EIO);
    ck_assert(manifest_is_broken(manifest));
    fault_env_heal(outer);
    fault_env_heal(faults);
    ck_assert_int_eq(append_table(manifest, 12), -EIO);
    manifest_close(manifest);
    env_dir_close(twice);
    fault_env_free(outer);
}
END_TEST

START_TEST(test_a_failed_sync_breaks_the_manifest_and_is_not_tried_again)
{
    struct manifest *manifest = make(7);
    struct manifest_edit state = first_state();
    uint64_t calls;

    fault_env_set(faults, (struct fault){ENV_CALL_FILE_SYNC, 1, false, EIO, false});
    ck_assert_int_eq(append_table(manifest, 11), -EIO);
    ck_assert(manifest_is_broken(manifest));
    calls = fault_env_calls(faults, ENV_CALL_ANY);
    ck_assert_int_eq(append_table(manifest, 12), -EIO);
    ck_assert_int_eq(manifest_replace(&manifest, 9, &state), -EIO);
    ck_assert_uint_eq(fault_env_calls(faults, ENV_CALL_ANY), calls);
    manifest_edit_fini(&state);
    manifest_close(manifest);
}
END_TEST

/* load_count of what a power cut now leaves, if it keeps nothing that was not synced. */
static int
count_after_cut(void)
{
    struct mem_crash policy = {MEM_DATA_NONE, MEM_NAMES_DROPPED};
    struct mem_env *image = mem_env_crash(memory, policy, 0);
    struct env_dir *after;
    uint64_t end;
    int count;

    ck_assert_int_eq(env_dir_open(mem_env_base(image), "store", false, &after), 0);
    count = load_count(after, &end);
    env_dir_close(after);
    mem_env_free(image);
    return count;
}

/* The line of a failed sync is readable, clean and not on the disk.  Once an opener relies on
 * it, it must be. */
START_TEST(test_opening_makes_the_last_line_durable)
{
    struct manifest *manifest = make(7);
    uint64_t end;

    ck_assert_int_eq(append_table(manifest, 10), 0);
    fault_env_set(faults, (struct fault){ENV_CALL_FILE_SYNC, 1, false, EIO, false});
    ck_assert_int_eq(append_table(manifest, 11), -EIO);
    manifest_close(manifest);
    ck_assert_int_eq(load_count(dir, &end), 3);
    ck_assert_int_eq(manifest_open(dir, &reporter, 7, end, &manifest), 0);
    ck_assert_int_eq(count_after_cut(), 3);
    manifest_close(manifest);
}
END_TEST

START_TEST(test_a_roll_that_fails_before_the_rename_leaves_the_old_one_in_use)
{
    static const enum env_call steps[] = {ENV_CALL_FILE_OPEN, ENV_CALL_FILE_WRITE,
                                          ENV_CALL_FILE_SYNC};
    struct manifest *manifest = make(7);
    struct manifest_edit state = first_state();
    uint64_t end;

    fault_env_set(faults, (struct fault){steps[_i], 1, false, ENOSPC, true});
    ck_assert_int_eq(manifest_replace(&manifest, 9, &state), -ENOSPC);
    ck_assert(!manifest_is_broken(manifest));
    ck_assert_int_eq(append_table(manifest, 11), 0);
    ck_assert_int_eq(load_count(dir, &end), 2);
    ck_assert_int_eq(manifest_replace(&manifest, 10, &state), 0);
    ck_assert_int_eq(load_count(dir, &end), 1);
    manifest_edit_fini(&state);
    manifest_close(manifest);
}
END_TEST

/* From the rename on, the open one may not be the one that the next open finds.  Found by a
 * mutant: that open makes the name durable, or a power cut takes back all lines since. */
START_TEST(test_a_roll_that_fails_from_the_rename_on_breaks_the_old_one)
{
    static const enum env_call steps[] = {ENV_CALL_DIR_RENAME, ENV_CALL_DIR_SYNC};
    struct manifest *manifest = make(7);
    struct manifest_edit state = first_state();
    uint64_t end;

    fault_env_set(faults, (struct fault){steps[_i], 1, false, EIO, false});
    ck_assert_int_eq(manifest_replace(&manifest, 9, &state), -EIO);
    ck_assert(manifest_is_broken(manifest));
    ck_assert_int_eq(append_table(manifest, 11), -EIO);
    manifest_edit_fini(&state);
    manifest_close(manifest);
    ck_assert_int_eq(load_count(dir, &end), 1);
    ck_assert_int_eq(manifest_open(dir, &reporter, 7 + 2 * (unsigned)_i, end, &manifest),
                     0);
    ck_assert_int_eq(append_table(manifest, 11), 0);
    ck_assert_int_eq(count_after_cut(), 2);
    manifest_close(manifest);
}
END_TEST

START_TEST(test_a_manifest_wants_a_roll_past_a_mebibyte)
{
    struct manifest *manifest = make(7);
    struct manifest_edit state = first_state();
    uint64_t number = 10;

    while (manifest_end(manifest) <= 1u << 20) {
        struct manifest_edit edit = {0};

        ck_assert(!manifest_wants_roll(manifest));
        for (int i = 0; i < 500; i++)
            add_table(&edit, 0, number++, "k", "m");
        ck_assert_int_eq(manifest_append(manifest, &edit), 0);
        ck_assert_int_eq(manifest_state_apply(&state, &edit), 0);
        manifest_edit_fini(&edit);
    }
    ck_assert(manifest_wants_roll(manifest));
    ck_assert_int_eq(manifest_replace(&manifest, 9, &state), 0);
    ck_assert(!manifest_wants_roll(manifest));
    manifest_edit_fini(&state);
    manifest_close(manifest);
}
END_TEST

/* What a power cut at each call must leave: at least what was acknowledged, at most what was
 * asked for. */
struct sweep {
    int acknowledged, asked; /* tables */
    unsigned images;
};

static void
check_image(struct sweep *sweep, struct mem_crash policy, uint64_t seed)
{
    struct mem_env *image = mem_env_crash(memory, policy, seed);
    struct env_dir *after;
    struct manifest *manifest;
    uint64_t end = 0;
    int found;

    ck_assert_int_eq(env_dir_open(mem_env_base(image), "store", false, &after), 0);
    found = load_count(after, &end);
    if (sweep->acknowledged > 0 || found != -ENOENT) {
        ck_assert_msg(found >= sweep->acknowledged && found <= sweep->asked,
                      "%d tables, of %d to %d", found, sweep->acknowledged, sweep->asked);
        ck_assert_int_eq(manifest_open(after, &reporter, 7, end, &manifest), 0);
        ck_assert_int_eq(append_table(manifest, 500), 0);
        manifest_close(manifest);
        ck_assert_int_eq(load_count(after, &end), found + 1);
    }
    env_dir_close(after);
    mem_env_free(image);
    sweep->images++;
}

static void
check_images(void *context, uint64_t ordinal, enum env_call call)
{
    static const enum mem_data data[] = {MEM_DATA_NONE, MEM_DATA_ALL, MEM_DATA_RANDOM};
    static const enum mem_names names[] = {MEM_NAMES_DROPPED, MEM_NAMES_KEPT,
                                           MEM_NAMES_RANDOM};

    (void)call;
    for (int i = 0; i < 9; i++)
        check_image(context, (struct mem_crash){data[i / 3], names[i % 3]}, ordinal);
}

START_TEST(test_a_power_cut_at_any_call_leaves_what_was_acknowledged)
{
    struct sweep sweep = {0, 1, 0};
    struct manifest_edit state = first_state();
    struct manifest *manifest;

    mem_env_set_hook(memory, check_images, &sweep);
    manifest = make(7);
    sweep.acknowledged = 1;
    for (uint64_t step = 0; step < 12; step++) {
        struct manifest_edit edit = {0};

        add_table(&edit, 0, 10 + step, "k", "m");
        sweep.asked++;
        ck_assert_int_eq(manifest_append(manifest, &edit), 0);
        sweep.acknowledged++;
        ck_assert_int_eq(manifest_state_apply(&state, &edit), 0);
        manifest_edit_fini(&edit);
        if (step % 4 == 3)
            ck_assert_int_eq(manifest_replace(&manifest, 100 + step, &state), 0);
    }
    mem_env_set_hook(memory, NULL, NULL);
    ck_assert_uint_gt(sweep.images, 300);
    manifest_edit_fini(&state);
    manifest_close(manifest);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("manifest");
    TCase *cases = tcase_create("manifest");

    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, test_lines_are_these_bytes);
    tcase_add_test(cases, test_what_was_appended_is_loaded_and_survives_a_roll);
    tcase_add_test(cases, test_no_manifest_is_enoent_and_not_reported);
    tcase_add_test(cases, test_a_last_line_torn_at_any_byte_never_happened);
    tcase_add_test(cases, test_opening_cuts_a_torn_line);
    tcase_add_test(cases, test_a_last_line_with_lost_bytes_never_happened);
    tcase_add_test(cases, test_damage_before_the_last_line_is_an_error_at_its_offset);
    tcase_add_test(cases, test_a_manifest_without_a_whole_first_line_is_damage);
    tcase_add_test(cases, test_a_read_error_is_not_the_end);
    tcase_add_test(cases, test_a_state_whose_tables_are_gone_is_not_to_be_used);
    tcase_add_test(cases, test_a_failed_write_is_undone_and_the_manifest_goes_on);
    tcase_add_loop_test(cases, test_a_write_that_cannot_be_undone_breaks_the_manifest, 0,
                        2);
    tcase_add_test(cases, test_a_failed_sync_breaks_the_manifest_and_is_not_tried_again);
    tcase_add_test(cases, test_opening_makes_the_last_line_durable);
    tcase_add_loop_test(
        cases, test_a_roll_that_fails_before_the_rename_leaves_the_old_one_in_use, 0, 3);
    tcase_add_loop_test(
        cases, test_a_roll_that_fails_from_the_rename_on_breaks_the_old_one, 0, 2);
    tcase_add_test(cases, test_a_manifest_wants_a_roll_past_a_mebibyte);
    tcase_add_test(cases, test_a_power_cut_at_any_call_leaves_what_was_acknowledged);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
