/*
 * test_direct_recovery.c - after a crash: large values that stand beside the log, and what is missing of
 * them; torn, or damage.
 */
#include "direct_fixture.h"
#include "support/suite.h"

/* ---- recovery ---- */

/* Places in a file of such records: in the header; then in head, key and value of the second. */
static const uint64_t places[] = {SIZE_OF(1) + 1, SIZE_OF(1) + 5,
                                  SIZE_OF(1) + BLOB_HEAD_SIZE + 2,
                                  SIZE_OF(1) + BLOB_HEAD_SIZE + 20};

/* A power cut keeps unsynced sectors in any order: here the log's, and not the value's. */
START_TEST(test_a_value_that_is_not_there_whole_ends_the_log)
{
    (void)put_some_durably();
    rig_kill(&rig);
    change_file(the_file(), places[_i], 0);
    assert_ends_behind_the_first();
    flush();
    die_and_open();
    assert_at(NULL, key_of(1), 1, 2);
}
END_TEST

static uint8_t in_pages[30000], read_back[sizeof(in_pages)];

static void
put_in_pages(const char *key)
{
    for (size_t i = 0; i < sizeof(in_pages); i++)
        in_pages[i] = (uint8_t)(i * i % 251);
    ck_assert_int_eq(lsmkv_put(rig.db, NULL, lsmkv_str(key), none,
                               lsmkv_bytes(in_pages, sizeof(in_pages)), LSMKV_UNSYNCED),
                     0);
}

static void
assert_in_pages(const char *key)
{
    struct lsmkv_record record;

    ck_assert_int_eq(lsmkv_get(rig.db, NULL, NULL, lsmkv_str(key), read_back,
                               sizeof(read_back), &record),
                     0);
    ck_assert_uint_eq(record.value.size, sizeof(in_pages));
    ck_assert_mem_eq(read_back, in_pages, sizeof(in_pages));
}

/* Of such a value the checksums of its pages have to be there, too: a part of it is read by them. */
START_TEST(test_a_value_in_pages_is_there_with_their_checksums)
{
    const uint64_t record = BLOB_HEAD_SIZE + 1 + 8 + 8 * 4 + sizeof(in_pages);
    struct file_list files;
    const char *newest;

    put_in_pages("a");
    sync_store();
    put_in_pages("b");
    put_in_pages("c");
    die_and_open();
    assert_in_pages("a");
    assert_in_pages("b");
    assert_in_pages("c");
    flush();
    put_in_pages("d");
    sync_store();
    put_in_pages("e");
    put_in_pages("f");
    files = blob_files();
    ck_assert_uint_eq(files.count, 2);
    newest = strcmp(files.names[0], files.names[1]) > 0 ? files.names[0] : files.names[1];
    rig_kill(&rig);
    /* Behind head and key of the second. */
    change_file(newest, BLOB_HEADER_SIZE + record + BLOB_HEAD_SIZE + 9 + 5, 0);
    assert_sound();
    rig_open(&rig);
    ck_assert_uint_gt(rig.warnings, 0);
    assert_in_pages("c");
    assert_in_pages("d");
    assert_absent("e");
    assert_absent("f");
    die_and_open();
    assert_in_pages("d");
}
END_TEST

START_TEST(test_a_file_that_ends_in_a_value_ends_the_log)
{
    (void)put_some_durably();
    rig_kill(&rig);
    change_file(the_file(), 0, SIZE_OF(3) - 1);
    assert_sound();
    rig_open(&rig);
    assert_all(NULL, 2, 1);
    ck_assert(rig_holds(&rig, NULL, "between", "is small"));
    assert_absent(key_of(2));
    die_and_open();
    assert_all(NULL, 2, 1);
}
END_TEST

START_TEST(test_a_file_that_never_was_ends_the_log)
{
    rig_put(&rig, "first", "is durable");
    put(1, 1);
    put(2, 1);
    rig_kill(&rig);
    remove_file(the_file());
    assert_sound();
    rig_open(&rig);
    ck_assert(rig_holds(&rig, NULL, "first", "is durable"));
    assert_absent(key_of(1));
    assert_absent(key_of(2));
    put_all(2, 2);
    die_and_open();
    assert_all(NULL, 2, 2);
}
END_TEST

/* The header of a file whose first record is not durable is part of that. */
START_TEST(test_a_bad_header_of_an_unsynced_file_ends_the_log)
{
    rig_put(&rig, "first", "is durable");
    put(1, 1);
    rig_kill(&rig);
    change_file(the_file(), 17, 0);
    assert_sound();
    rig_open(&rig);
    assert_absent(key_of(1));
}
END_TEST

START_TEST(test_what_was_durable_and_is_gone_is_damage)
{
    struct told told;
    char name[32];

    (void)put_some_durably();
    rig_kill(&rig);
    snprintf(name, sizeof(name), "%s", the_file());
    if (_i == 0)
        remove_file(name);
    else
        change_file(name, 0, SIZE_OF(1) - 1);
    ck_assert_uint_gt(damage_of(&told), 0);
    ck_assert_str_eq(told.file, name);
    refuse_to_open();
    ck_assert_ptr_nonnull(strstr(lsmkv_error_detail(), name));
}
END_TEST

/* As in a table, it is found by who reads it, and by a check. */
START_TEST(test_what_was_durable_and_is_bad_is_found)
{
    struct lsmkv_record record;
    struct told told;
    char name[32];

    (void)put_some_durably();
    rig_kill(&rig);
    snprintf(name, sizeof(name), "%s", the_file());
    change_file(name, 100, 0);
    ck_assert_uint_gt(damage_of(&told), 0);
    ck_assert_str_eq(told.file, name);
    rig_open(&rig);
    ck_assert_int_eq(lsmkv_get(rig.db, NULL, NULL, lsmkv_str(key_of(0)), buffer,
                               sizeof(buffer), &record),
                     -EBADMSG);
    assert_at(NULL, key_of(1), 1, 1);
}
END_TEST

/* A file that was closed cleanly ends with its last record. */
START_TEST(test_a_closed_store_has_no_more_than_its_records)
{
    put_all(2, 1);
    rig_close(&rig);
    append_to(the_file(), "more", 4);
    refuse_to_open();
    ck_assert_ptr_nonnull(strstr(lsmkv_error_detail(), the_file()));
}
END_TEST

/* Values were written and their frames were not: nothing refers to them, and they go. */
START_TEST(test_what_no_frame_refers_to_is_cut_off)
{
    put_all(2, 1);
    rig_kill(&rig);
    append_to(the_file(), value_of(9, 9).data, VALUE);
    assert_sound();
    rig_open(&rig);
    ck_assert_uint_eq(size_of(the_file()), SIZE_OF(2));
    flush();
    die_and_open();
    assert_all(NULL, 2, 1);
}
END_TEST

/* With I/O errors there is no telling: the store stays as it is. */
START_TEST(test_a_read_error_is_not_the_end_of_the_log)
{
    uint64_t nth = 0;
    int result;

    put_all(3, 1);
    rig_kill(&rig);
    do {
        fail_next(ENV_CALL_FILE_READ, ++nth, EIO);
        result = lsmkv_open("store", &rig.options, &rig.db);
        fault_env_heal(rig.faults);
        ck_assert(result == 0 || result == -EIO);
    } while (result != 0);
    ck_assert_uint_gt(nth, 5);
    assert_all(NULL, 3, 1);
}
END_TEST

/* Changes a byte of the newest log, where `text` stands. */
static int
note_log(void *context, const char *name)
{
    if (strstr(name, ".log") != NULL && strcmp(name, context) > 0)
        snprintf(context, 32, "%s", name);
    return 0;
}

static void
flip_in_log(const char *text)
{
    static uint8_t bytes[64 << 10];
    char name[32] = "";
    struct env_dir *dir;
    struct env_file *file;
    const uint8_t *found;
    ssize_t got;

    ck_assert_int_eq(env_dir_open(rig.options.env, "store", false, &dir), 0);
    ck_assert_int_eq(env_dir_list(dir, note_log, name), 0);
    ck_assert_int_eq(env_file_open(dir, name, ENV_READ, &file), 0);
    got = env_file_read(file, 0, bytes, sizeof(bytes));
    ck_assert_int_gt(got, 0);
    ck_assert_int_eq(env_file_close(file), 0);
    env_dir_close(dir);
    found = memmem(bytes, (size_t)got, text, strlen(text));
    ck_assert_ptr_nonnull(found);
    change_file(name, (uint64_t)(found - bytes), 0);
}

START_TEST(test_a_damaged_log_is_salvaged_with_its_values)
{
    struct told told = {.findings = 0};
    const struct lsmkv_repair_options repair = {
        .finding = note_finding, .lost = note_loss, .context = &told};
    struct lsmkv_options options = rig.options;

    put(0, 1);
    put_small("lost", "with its frame");
    put(1, 1);
    sync_store();
    put(2, 1);
    rig_kill(&rig);
    flip_in_log("with its frame");
    ck_assert_int_eq(lsmkv_open("store", &rig.options, &rig.db), -EBADMSG);
    options.env = rig.options.env;
    ck_assert_int_eq(lsmkv_repair("store", "mended", &options, &repair), -EUCLEAN);
    options.create = false;
    ck_assert_int_eq(lsmkv_open("mended", &options, &rig.db), 0);
    assert_all(NULL, 3, 1);
    assert_absent("lost");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("direct_recovery");
    TCase *tests = tcase_create("direct_recovery");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, test_a_value_that_is_not_there_whole_ends_the_log, 0, 4);
    tcase_add_test(tests, test_a_value_in_pages_is_there_with_their_checksums);
    tcase_add_test(tests, test_a_file_that_ends_in_a_value_ends_the_log);
    tcase_add_test(tests, test_a_file_that_never_was_ends_the_log);
    tcase_add_test(tests, test_a_bad_header_of_an_unsynced_file_ends_the_log);
    tcase_add_loop_test(tests, test_what_was_durable_and_is_gone_is_damage, 0, 2);
    tcase_add_test(tests, test_what_was_durable_and_is_bad_is_found);
    tcase_add_test(tests, test_a_closed_store_has_no_more_than_its_records);
    tcase_add_test(tests, test_what_no_frame_refers_to_is_cut_off);
    tcase_add_test(tests, test_a_read_error_is_not_the_end_of_the_log);
    tcase_add_test(tests, test_a_damaged_log_is_salvaged_with_its_values);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
