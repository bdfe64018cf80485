/*
 * test_mend_damage.c - a store of lsmfs of which a place in a file is damaged, repaired as `lsmfs
 * repair` does: what is left wrong is what cannot be mended, and mending again finds nothing to do.
 */
#include <errno.h>

#include "check/fsck.h"
#include "check/mend.h"
#include "records_fixture.h"
#include "store/data.h"
#include "support/rounds.h"

#define FILES_MAX  32
#define LOSSES_MAX 64
#define BOUND_MAX  64

static char names[FILES_MAX][64];
static unsigned name_count;

static struct mend_loss losses[LOSSES_MAX];
static uint8_t bounds[LOSSES_MAX][2][BOUND_MAX];
static unsigned loss_count;

static unsigned mended, lost, left;
static char last_left[256];

/* ---- the store ---- */

static void
put_tree(void)
{
    char key[64];

    put_directory("", 5);
    for (int d = 0; d < 5; d++) {
        snprintf(key, sizeof key, "d%d", d);
        put_directory(key, 0);
        for (int f = 0; f < 8; f++) {
            snprintf(key, sizeof key, "d%d/f%d", d, f);
            if (f == 3)
                put_large(key);
            else
                put_file(key, "the contents of a small file");
        }
    }
}

static void
put_links(void)
{
    char key[64];

    for (int i = 0; i < 12; i++) {
        struct attr inode = put_inode(2);

        snprintf(key, sizeof key, "d%d/link%d", i % 5, i);
        put_reference(key, inode.ino);
        snprintf(key, sizeof key, "d%d/other%d", (i + 1) % 5, i);
        put_reference(key, inode.ino);
    }
}

static void
put_rest(void)
{
    struct attr attr = put_large("d0/fragments");
    struct attr tagged = new_attr(S_IFREG | 0600);
    struct record_key xattr = record_xattr(tagged.ino, lsmkv_str("user.x"));

    for (unsigned i = 1; i < 10; i++)
        put_fragment(attr.data.id, 1, i, 1000 * i, 100 * i, 100);
    tagged.xattr_records = true;
    put_attr(fixture.store->files, lsmkv_str("d0/tagged"), &tagged, "");
    put_bytes(fixture.store->inodes, record_slice(&xattr), nothing, lsmkv_str("value"));
}

static void
setup(void)
{
    fixture_init(&fixture);
    fixture_close(&fixture);
    fixture.engine.block_size = 512;
    fixture_open(&fixture);
    put_tree();
    put_links();
    ck_assert_int_eq(lsmkv_flush(fixture.store->db), 0);
    put_rest();
    ck_assert_int_eq(lsmkv_flush(fixture.store->db), 0);
    put_file("d1/late", "in the log");
    fixture_close(&fixture);
}

static void
teardown(void)
{
    fixture_fini(&fixture);
}

static int
note_name(void *context, const char *name)
{
    (void)context;
    if (strcmp(name, "LOCK") != 0) {
        ck_assert_uint_lt(name_count, FILES_MAX);
        snprintf(names[name_count++], sizeof names[0], "%s", name);
    }
    return 0;
}

/* Turns a byte of a file; its size, if `offset` is behind the end. */
static uint64_t
flip(struct mem_env *env, const char *name, uint64_t offset)
{
    struct env_dir *dir;
    struct env_file *file;
    uint64_t size;
    uint8_t byte;

    ck_assert_int_eq(env_dir_open(mem_env_base(env), "lsmfs-test-store", false, &dir), 0);
    ck_assert_int_eq(env_file_open(dir, name, ENV_WRITE, &file), 0);
    ck_assert_int_eq(env_file_size(file, &size), 0);
    if (offset < size) {
        ck_assert_int_eq(env_file_read(file, offset, &byte, 1), 1);
        byte ^= 0x10;
        ck_assert_int_eq(env_file_write(file, offset, &byte, 1), 0);
    }
    ck_assert_int_eq(env_file_close(file), 0);
    env_dir_close(dir);
    return size;
}

static void
remove_file(struct mem_env *env, const char *name)
{
    struct env_dir *dir;

    ck_assert_int_eq(env_dir_open(mem_env_base(env), "lsmfs-test-store", false, &dir), 0);
    ck_assert_int_eq(env_dir_unlink(dir, name), 0);
    env_dir_close(dir);
}

/* ---- repairing ---- */

static struct lsmkv_slice
keep_bound(unsigned which, struct lsmkv_slice bound)
{
    if (!bound.data)
        return bound;
    ck_assert_uint_le(bound.size, BOUND_MAX);
    memcpy(bounds[loss_count][which], bound.data, bound.size);
    return lsmkv_bytes(bounds[loss_count][which], bound.size);
}

static void
take_loss(void *context, const struct lsmkv_loss *loss)
{
    (void)context;
    if (loss->keyspace && strcmp(loss->keyspace, "chunks") != 0)
        return;
    ck_assert_uint_lt(loss_count, LOSSES_MAX);
    losses[loss_count] = (struct mend_loss){.first = keep_bound(0, loss->first),
                                            .last = keep_bound(1, loss->last),
                                            .last_too = loss->last_too,
                                            .sequence = loss->sequence};
    loss_count++;
}

static const char *
take_name(void *context, const char *name)
{
    static const char *const ours[] = {"chunks", "inodes", "meta"};
    unsigned id;

    (void)context;
    return sscanf(name, "keyspace-%u", &id) == 1 && id >= 1 && id <= 3 ? ours[id - 1]
                                                                       : NULL;
}

static void
take_mended(void *context, const char *where, const char *text)
{
    (void)context;
    (void)where;
    (void)text;
    mended++;
}

static void
take_lost(void *context, const char *where, const char *text)
{
    (void)context;
    (void)where;
    (void)text;
    lost++;
}

/* What may be left: pieces of contents that read as errors. */
static void
take_left(void *context, const struct fsck_finding *finding)
{
    (void)context;
    if (finding->severity != LSMKV_DAMAGE)
        return;
    left++;
    snprintf(last_left, sizeof last_left, "%s: %s", finding->where, finding->text);
    ck_assert_msg(strstr(finding->text, "is lost: bytes") ||
                      strstr(finding->text, "fragment"),
                  "%s", last_left);
}

static const struct mend_report report = {
    .mended = take_mended, .lost = take_lost, .left = take_left};

static void
open_and_mend(struct store_options *options, unsigned count)
{
    struct store *store;
    char why[512];
    int result = store_open(options, &store, why, sizeof why);

    ck_assert_msg(result == 0, "%s", why);
    mended = lost = left = 0;
    ck_assert_int_eq(mend_store(store, losses, count, &report), 0);
    ck_assert_int_eq(store_close(store), 0);
}

/* Everything that lsmfs repair does but for names and messages. */
static void
repair(struct mem_env *env)
{
    struct lsmkv_repair_options ask = {.lost = take_loss, .rename = take_name};
    struct lsmkv_options engine = fixture.engine;
    struct store_options options = fixture.options;
    struct lsmkv *db;
    bool ours;
    int result;

    engine.env = mem_env_base(env);
    loss_count = 0;
    result = lsmkv_repair("lsmfs-test-store", "new", &engine, &ask);
    ck_assert_msg(result == 0 || result == -EUCLEAN, "%s", lsmkv_error_detail());
    engine.create = false;
    ck_assert_int_eq(lsmkv_open("new", &engine, &db), 0);
    ck_assert_int_eq(mend_prepare(db, &report, &ours), 0);
    ck_assert(ours);
    ck_assert_int_eq(lsmkv_close(db), 0);
    options.path = "new";
    options.create = false;
    options.engine = &engine;
    open_and_mend(&options, loss_count);
    open_and_mend(&options, 0);
    ck_assert_uint_eq(mended, 0);
    ck_assert_uint_eq(lost, 0);
}

static void
find_files(void)
{
    struct mem_env *copy = mem_env_kill(fixture.env);
    struct env_dir *dir;

    name_count = 0;
    ck_assert_int_eq(env_dir_open(mem_env_base(copy), "lsmfs-test-store", false, &dir),
                     0);
    ck_assert_int_eq(env_dir_list(dir, note_name, NULL), 0);
    env_dir_close(dir);
    mem_env_free(copy);
}

/* A byte in every file, at so many places; `also`: that file is gone as well, or NULL. */
static void
damage_each(unsigned places, const char *also, unsigned *runs, unsigned *marked)
{
    find_files();
    for (unsigned f = 0; f < name_count; f++) {
        uint64_t size = flip(fixture.env, names[f], UINT64_MAX);
        uint64_t step = size / places + 1;
        unsigned one_in = rounds_of_bytes_one_in(); /* of each file another */

        for (uint64_t at = f % one_in % places * step; at < size; at += step * one_in) {
            struct mem_env *copy = mem_env_kill(fixture.env);

            flip(copy, names[f], at);
            if (also)
                remove_file(copy, also);
            repair(copy);
            *marked += left > 0;
            ++*runs;
            mem_env_free(copy);
        }
    }
}

START_TEST(test_any_damage_is_mended_or_told)
{
    unsigned runs = 0, marked = 0;

    damage_each(25, NULL, &runs, &marked);
    ck_assert_uint_gt(runs, 150 / rounds_of_bytes_one_in());
    ck_assert_uint_ge(marked, 6 / rounds_of_bytes_one_in());
}
END_TEST

START_TEST(test_damage_beside_a_missing_manifest)
{
    unsigned runs = 0, marked = 0;

    damage_each(8, "MANIFEST", &runs, &marked);
    ck_assert_uint_gt(runs, 50 / rounds_of_bytes_one_in());
}
END_TEST

START_TEST(test_a_missing_file)
{
    find_files();
    for (unsigned f = 0; f < name_count; f++) {
        struct mem_env *copy = mem_env_kill(fixture.env);

        remove_file(copy, names[f]);
        repair(copy);
        mem_env_free(copy);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("mend_damage");
    TCase *tests = tcase_create("mend_damage");

    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_any_damage_is_mended_or_told);
    tcase_add_test(tests, test_damage_beside_a_missing_manifest);
    tcase_add_test(tests, test_a_missing_file);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
