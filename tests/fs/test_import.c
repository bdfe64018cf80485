/*
 * test_import.c - lsmfs import into a store that is not mounted, where something fails: each env
 * call, each allocation, the power.
 *
 * One archive with every kind of entry goes into a store that has some of its names:
 *
 *   - what says that all went well has put all there, and after vfs_close it is durable;
 *   - what does not has told so, and a file's name shows what was there before or the whole of what
 *     was to come (M1 of import_make.h), after a power cut with all that belongs to it (M2);
 *   - the store has no damage, and takes the archive again, which then is all there.
 *
 * The same of an archive that was cut off anywhere.  And where owners cannot be set, bits
 * that are for them are not either (M3).
 *
 * LSMKV_SEED replays what a power cut leaves; LSMKV_FAULT=N makes only the N-th run with a fault.
 */
#include <archive.h>
#include <archive_entry.h>
#include <sys/mman.h>
#include <unistd.h>

#include "archive/import.h"
#include "archive/import_vfs.h"
#include "check_fixture.h"
#include "memory_seen.h"
#include "support/fault_env.h"
#include "support/rounds.h"

#define LARGE 140000 /* of more than one chunk */
#define MTIME 1000000000

/* What is in the archive, in its order; the names of files that are whole or not there. */
static const struct member {
    const char *path, *target;
    mode_t mode;
    uid_t uid;
    size_t size;
    bool has_xattrs;
} members[] = {
    {"d", NULL, S_IFDIR | 0750, 5, 0, true},
    {"d/small", NULL, S_IFREG | 06755, 7, 100, true},
    {"d/large", NULL, S_IFREG | 0640, 7, LARGE, false},
    {"d/symlink", "some/where", S_IFLNK | 0777, 8, 0, false},
    {"d/fifo", NULL, S_IFIFO | 0600, 9, 0, false},
    {"over", NULL, S_IFREG | 0600, 3, 3000, false},
    {"turned", NULL, S_IFREG | 0600, 3, 30, false},
    {"made/on/the/way", NULL, S_IFREG | 0600, 3, 5000, false},
    {"d/hard", "d/small", 0, 7, 0, false},
    {ODD, NULL, S_IFREG | 0644, 0, 40, false},
};
#define MEMBERS (sizeof(members) / sizeof(members[0]))

static int archive_fd;
static struct mem_env *first; /* the store before */
static unsigned told;
static void (*change_tree)(struct import_tree *tree); /* that is imported into, or NULL */
static char old_looks[MEMBERS][1024], new_looks[MEMBERS][1024];

/* ---- the archive ---- */

static void
add_xattrs(struct archive_entry *entry)
{
    archive_entry_xattr_add_entry(entry, "user.short", "value", 5);
    archive_entry_xattr_add_entry(entry, "user.long", large, 2000);
}

static void
add_member(struct archive *archive, const struct member *member)
{
    struct archive_entry *entry = archive_entry_new();

    archive_entry_set_pathname(entry, member->path);
    archive_entry_set_mode(entry, member->mode);
    archive_entry_set_uid(entry, member->uid);
    archive_entry_set_gid(entry, member->uid);
    archive_entry_set_mtime(entry, MTIME, 0);
    archive_entry_set_size(entry, (la_int64_t)member->size);
    if (S_ISLNK(member->mode))
        archive_entry_set_symlink(entry, member->target);
    else if (member->target != NULL)
        archive_entry_set_hardlink(entry, member->target);
    if (member->has_xattrs)
        add_xattrs(entry);
    ck_assert_int_eq(archive_write_header(archive, entry), ARCHIVE_OK);
    ck_assert_int_eq(archive_write_data(archive, large, member->size),
                     (la_ssize_t)member->size);
    archive_entry_free(entry);
}

static void
make_archive(void)
{
    struct archive *archive = archive_write_new();

    archive_fd = memfd_create("archive", MFD_CLOEXEC);
    ck_assert_int_ge(archive_fd, 0);
    ck_assert_int_eq(archive_write_set_format_pax(archive), ARCHIVE_OK);
    ck_assert_int_eq(archive_write_open_fd(archive, archive_fd), ARCHIVE_OK);
    for (size_t i = 0; i < MEMBERS; i++)
        add_member(archive, &members[i]);
    ck_assert_int_eq(archive_write_close(archive), ARCHIVE_OK);
    archive_write_free(archive);
}

/* ---- importing ---- */

static void
count_told(void *context, const char *path, const char *why)
{
    (void)context, (void)path, (void)why;
    told++;
}

static void
pass_progress(void *context, uint64_t bytes, uint64_t entries)
{
    (void)context, (void)bytes, (void)entries;
}

static bool
go_on(void *context)
{
    (void)context;
    return false;
}

/* True: it says that all is there.  What it says otherwise it must have told. */
static bool
import(void)
{
    const struct import_report report = {count_told, pass_progress, go_on, NULL};
    struct import_counts counts = {0};
    struct import *import = NULL;
    char why[512];
    int result;

    told = 0;
    ck_assert_int_eq(lseek(archive_fd, 0, SEEK_SET), 0);
    arm();
    result = import_open(archive_fd, &report, &import, why, sizeof(why));
    if (result == 0) {
        struct import_place place = {import_vfs_new(fs.vfs), "", true};

        if (place.tree != NULL && change_tree != NULL)
            change_tree(place.tree);
        result = place.tree == NULL
                     ? -ENOMEM
                     : import_into(import, &place, &counts, why, sizeof(why));
        import_vfs_free(place.tree);
        ck_assert(told > 0 || (result == 0 && counts.failed == 0) || result == -EBADMSG ||
                  place.tree == NULL);
        ck_assert(result != 0 || (counts.failed > 0) == (told > 0));
    }
    import_close(import);
    result = disarm(result);
    ck_assert_uint_le(counts.put, MEMBERS);
    return result == 0 && counts.failed == 0;
}

/* ---- what is there ---- */

/* Its number of links aside, for a name that is on its way is one. */
static const char *
look(const char *path)
{
    struct node *node;
    struct stat st;
    int result = fs_node(&fs, path, &node);

    seen_size = 0;
    seen[0] = '\0';
    if (result == -ENOENT)
        return "nothing";
    ck_assert_int_eq(result, 0);
    ck_assert_int_eq(vfs_getattr(fs.vfs, node, &st, NULL), 0);
    see("%o %u %u %lld", st.st_mode, st.st_uid, st.st_gid, (long long)st.st_size);
    see_xattrs(node);
    see_contents(node, &st);
    vfs_forget(fs.vfs, node, 1);
    return seen;
}

static void
look_at_all(char looks[MEMBERS][1024])
{
    for (size_t i = 0; i < MEMBERS; i++)
        snprintf(looks[i], sizeof(looks[i]), "%s", look(members[i].path));
}

static bool
has_contents(const char *path, const struct member *member)
{
    static char bytes[2 * LARGE];
    int got = fs_read(&fs, path, bytes, sizeof(bytes));

    return got == (int)member->size && memcmp(bytes, large, member->size) == 0;
}

/* What the store may hold. */
struct expected {
    bool all; /* of the archive */
    bool
        whole; /* what is there has its attributes, for nothing but power or archive failed */
    bool tidy; /* nothing else, not even under another name */
};

/* No part of a file. */
static void
expect_no_parts(const char *what, uint64_t number, bool whole)
{
    for (size_t i = 0; i < MEMBERS; i++) {
        const struct member *member = &members[i];
        const char *now = look(member->path);

        if (strcmp(now, old_looks[i]) == 0 || strcmp(now, new_looks[i]) == 0)
            continue;
        if (S_ISDIR(member->mode)) /* gets them in the end */
            continue;
        if (!whole && !S_ISREG(member->mode))
            continue;
        ck_assert_msg(!whole && has_contents(member->path, member),
                      "%s %llu: %s is neither what it was nor whole: %s", what,
                      (unsigned long long)number, member->path, now);
    }
    fs_expect(&fs, "kept", "kept");
}

static void
expect_all(const char *what, uint64_t number)
{
    struct stat st;

    for (size_t i = 0; i < MEMBERS; i++)
        ck_assert_msg(strcmp(look(members[i].path), new_looks[i]) == 0,
                      "%s %llu: %s is %s, not %s", what, (unsigned long long)number,
                      members[i].path, seen, new_looks[i]);
    ck_assert_int_eq(fs_stat(&fs, "d", &st), 0);
    ck_assert_int_eq(st.st_mtim.tv_sec, MTIME);
    ck_assert_int_eq(fs_stat(&fs, "d/large", &st), 0);
    ck_assert_int_eq(st.st_mtim.tv_sec, MTIME);
    ck_assert_uint_eq(fs_nlink(&fs, "d/small"), 2);
}

/* The store in `env`, which this takes, is sound, and the archive can be put there. */
static void
expect_goes_on(const char *what, uint64_t number, struct mem_env *env,
               struct expected expected)
{
    attempt.nth = 0;
    mem_env_free(fs.env);
    fs.env = env;
    fs.vfs = NULL;
    ck_assert_uint_eq(fs_check(&fs), 0);
    fs_open(&fs);
    if (expected.all)
        expect_all(what, number);
    else
        expect_no_parts(what, number, expected.whole);
    ck_assert_msg(import(), "%s %llu: not again", what, (unsigned long long)number);
    expect_all(what, number);
    if (expected.tidy)
        ck_assert_str_eq(see_all(), after);
    fs_close(&fs);
    ck_assert_uint_eq(fs_check(&fs), 0);
}

static void
no_log(void *context, enum lsmkv_level level, const char *line)
{
    (void)context, (void)level, (void)line;
}

static void
setup(void)
{
    for (size_t i = 0; i < sizeof(large); i++)
        large[i] = (char)(i * 7 + i / 256 + 1);
    make_archive();
    fs_init(&fs);
    fs_close(&fs);
    fs.engine.log = no_log;
    fs.options.acl = true;
    fs.options.store.commit_ms = 3600000;
    mem_env_set_time(fs.env, 1); /* nobody waits before trying again */
    fs_open(&fs);
    ck_assert_int_eq(fs_put(&fs, "kept", "kept"), 0);
    ck_assert_int_eq(fs_put(&fs, "over", "what is there"), 0);
    ck_assert_int_eq(fs_mkdir(&fs, "turned"), 0);
    look_at_all(old_looks);
    strcpy(before, see_all());
    fs_close(&fs);
    first = mem_env_kill(fs.env);
    fs_open(&fs);
    attempt.nth = 0;
    ck_assert(import());
    look_at_all(new_looks);
    expect_all("without a fault", 0);
    strcpy(after, see_all());
    fs_close(&fs);
}

static void
teardown(void)
{
    fs.vfs = NULL;
    change_tree = NULL;
    mem_env_free(first);
    mem_env_free(fs.env);
    close(archive_fd);
}

/* ---- each env call ---- */

static const struct fault shapes[] = {
    {.call = ENV_CALL_ANY, .error = EIO},
    {.call = ENV_CALL_ANY, .error = EIO, .onwards = true},
    {.call = ENV_CALL_ANY, .error = ENOSPC, .partial_write = true},
    {.call = ENV_CALL_ANY, .error = ENOSPC, .onwards = true},
};
#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

/* Into a fresh copy of the store, over an env that fails.  True: something failed. */
static bool
import_with(struct fault fault, uint64_t number)
{
    static const struct mem_crash none = {MEM_DATA_NONE, MEM_NAMES_DROPPED},
                                  some = {MEM_DATA_RANDOM, MEM_NAMES_RANDOM};
    struct fault_env *faults;
    char why[512];
    bool all, failed;

    mem_env_free(fs.env);
    fs.env = mem_env_kill(first);
    faults = fault_env_new(mem_env_base(fs.env));
    fault_env_on_lost_sync(faults, mem_env_lose_unsynced);
    fs.engine.env = fault_env_base(faults);
    ck_assert_int_eq(vfs_open(&fs.options, &fs.vfs, why, sizeof(why)), 0);
    attempt.nth = 0;
    fault_env_set(faults, fault);
    all = import();
    all = vfs_close(fs.vfs) == 0 && all;
    failed = fault_env_failures(faults) > 0;
    ck_assert(all || failed);
    fault_env_heal(faults);
    fault_env_free(faults);
    expect_goes_on("fault", number, mem_env_crash(fs.env, all ? none : some, number),
                   (struct expected){.all = all});
    return failed;
}

START_TEST(test_whatever_call_fails_it_is_told_and_no_part_of_a_file_is_left)
{
    const char *only = getenv("LSMKV_FAULT");
    uint64_t number = only ? strtoull(only, NULL, 10) : 0, hits = 0;

    for (;; number += rounds_one_in()) {
        struct fault fault = shapes[number % SHAPES];

        fault.nth = 1 + number / SHAPES;
        if (!import_with(fault, number) || only)
            break;
        hits++;
    }
    printf("import: %llu runs with failed calls, 0 failures\n", (unsigned long long)hits);
    ck_assert(only || hits > 100 / rounds_one_in());
}
END_TEST

/* ---- each allocation ---- */

static void
import_without(uint64_t nth, bool onwards)
{
    bool all;

    mem_env_free(fs.env);
    fs.env = mem_env_kill(first);
    attempt.nth = 0;
    fs_open(&fs);
    attempt.nth = nth;
    attempt.onwards = onwards;
    all = import();
    ck_assert(all || attempt.failures > 0);
    fs_close(&fs);
    nth = attempt.failures;
    expect_goes_on("allocation", attempt.nth, mem_env_kill(fs.env),
                   (struct expected){.all = all, .tidy = !onwards});
    attempt.failures = nth;
}

START_TEST(test_whatever_allocation_fails_it_is_told_and_no_part_of_a_file_is_left)
{
    uint64_t runs = 0;

    for (int onwards = 0; onwards < 2; onwards++) {
        uint64_t nth = 1;

        do {
            import_without(nth, onwards != 0);
            nth += rounds_one_in();
            runs++;
        } while (attempt.failures > 0);
    }
    printf("import: %llu runs with failed allocations, 0 failures\n",
           (unsigned long long)runs);
    ck_assert_uint_gt(runs, 200 / rounds_one_in());
}
END_TEST

/* ---- the archive's end ---- */

/* Into a fresh copy of the store, so many of its bytes. */
static void
import_cut(const char *bytes, size_t size)
{
    int whole = archive_fd;

    mem_env_free(fs.env);
    fs.env = mem_env_kill(first);
    fs_open(&fs);
    attempt.nth = 0;
    archive_fd = memfd_create("cut", MFD_CLOEXEC);
    ck_assert_int_eq(write(archive_fd, bytes, size), (ssize_t)size);
    ck_assert_msg(!import(), "%zu bytes are taken for all", size);
    close(archive_fd);
    archive_fd = whole;
    if (size < 512)
        ck_assert_str_eq(see_all(), before);
    fs_close(&fs);
    expect_goes_on("cut", size, mem_env_kill(fs.env),
                   (struct expected){.whole = true, .tidy = true});
}

START_TEST(test_an_archive_cut_anywhere_is_told)
{
    off_t size = lseek(archive_fd, 0, SEEK_END);
    char *bytes = malloc((size_t)size);
    unsigned runs = 0;

    ck_assert_int_eq(pread(archive_fd, bytes, (size_t)size, 0), size);
    while (bytes[size - 1] == '\0') /* zeros end it */
        size--;
    size = (size + 511) / 512 * 512;
    for (off_t cut = 0; cut <= size; cut += (cut % 512 == 0 ? 100 : 412), runs++) {
        if (cut > 20000 && cut % 8192 > 512 && cut < LARGE - 10000)
            continue; /* in the midst of what is large */
        if (runs % rounds_one_in() != 0)
            continue;
        import_cut(bytes, (size_t)cut);
    }
    ck_assert_uint_gt(runs, 100);
    free(bytes);
}
END_TEST

/* ---- the power ---- */

#define IMAGES_MAX 2000

static struct mem_env *images[IMAGES_MAX];
static size_t image_count;
static uint64_t image_seed;

static void
take_images(void *context, uint64_t ordinal, enum env_call call)
{
    static const struct mem_crash policies[] = {{MEM_DATA_NONE, MEM_NAMES_DROPPED},
                                                {MEM_DATA_RANDOM, MEM_NAMES_RANDOM},
                                                {MEM_DATA_ALL, MEM_NAMES_KEPT}};

    (void)context;
    if (!env_call_changes(call) || ordinal % rounds_one_in() != 0)
        return;
    for (size_t i = 0; i < 3 && image_count < IMAGES_MAX; i++)
        images[image_count++] = mem_env_crash(fs.env, policies[i], image_seed ^ ordinal);
}

START_TEST(test_a_power_cut_at_any_call_leaves_no_part_of_a_file)
{
    image_seed = random_seed();
    mem_env_free(fs.env);
    fs.env = mem_env_kill(first);
    fs_open(&fs);
    mem_env_set_hook(fs.env, take_images, NULL);
    attempt.nth = 0;
    ck_assert(import());
    fs_close(&fs);
    mem_env_set_hook(fs.env, NULL, NULL);
    for (size_t i = 0; i < image_count; i++)
        expect_goes_on("image", i, images[i], (struct expected){.whole = true});
    printf("import: %zu images, 0 failures\n", image_count);
    ck_assert_uint_gt(image_count, 100 / rounds_one_in());
    ck_assert_uint_lt(image_count, IMAGES_MAX);
}
END_TEST

/* ---- owners ---- */

static int (*set_owner)(struct import_tree *tree, union import_file file, uid_t uid,
                        gid_t gid);

static int
refuse_owner(struct import_tree *tree, union import_file file, uid_t uid, gid_t gid)
{
    (void)tree, (void)file, (void)uid, (void)gid;
    return -EPERM;
}

/* As a file system may that has not all users. */
static int
set_user_alone(struct import_tree *tree, union import_file file, uid_t uid, gid_t gid)
{
    (void)gid;
    return set_owner(tree, file, uid, 0);
}

static void
set_all_owners(struct import_tree *tree)
{
    (void)tree;
}

static void
set_no_owners(struct import_tree *tree)
{
    tree->sets_owners = false; /* as those of an ordinary user's import */
}

static void
refuse_owners(struct import_tree *tree)
{
    tree->set_owner = refuse_owner;
}

static void
set_users_alone(struct import_tree *tree)
{
    set_owner = tree->set_owner;
    tree->set_owner = set_user_alone;
}

static const struct {
    void (*change_tree)(struct import_tree *tree);
    mode_t mode;
    bool all; /* it says that all is there */
} owners[] = {
    {set_all_owners, 06755, true},
    {set_no_owners, 0755, true},
    {refuse_owners, 0755, false},
    {set_users_alone, 04755, true},
};

/* M3; found by a mutant. */
START_TEST(test_set_id_bits_are_there_with_their_owner_alone)
{
    struct stat st;

    mem_env_free(fs.env);
    fs.env = mem_env_kill(first);
    fs_open(&fs);
    attempt.nth = 0;
    change_tree = owners[_i].change_tree;
    ck_assert(import() == owners[_i].all);
    ck_assert_int_eq(fs_stat(&fs, "d/small", &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, owners[_i].mode);
    fs_close(&fs);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("import");
    TCase *tcase = tcase_create("import");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 600);
    tcase_add_test(tcase,
                   test_whatever_call_fails_it_is_told_and_no_part_of_a_file_is_left);
    tcase_add_test(
        tcase, test_whatever_allocation_fails_it_is_told_and_no_part_of_a_file_is_left);
    tcase_add_test(tcase, test_an_archive_cut_anywhere_is_told);
    tcase_add_test(tcase, test_a_power_cut_at_any_call_leaves_no_part_of_a_file);
    tcase_add_loop_test(tcase, test_set_id_bits_are_there_with_their_owner_alone, 0,
                        (int)(sizeof(owners) / sizeof(owners[0])));
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
