/*
 * test_export.c - export.h: every kind of record comes out as a mount would show it, and what
 * cannot be read is told, and nothing else lost.  Archives are read back by libarchive.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "archive/export.h"
#include "env/env.h"
#include "store/chunks.h"
#include "store_fixture.h"

#define FOUND_MAX 64
#define LARGE     (3 * CHUNK_SIZE)

static const struct lsmkv_slice nothing;

static struct store_fixture fixture;
static unsigned errors; /* lines of the engine's log */
static struct {
    unsigned count, lost, left_out;
    char lines[FOUND_MAX][300]; /* "PATH MODE SIZE TARGET" of entries, "lost KEY: WHAT" */
    char first[FOUND_MAX][8];   /* bytes of the contents */
    unsigned zeros;             /* chunks of contents that are zeros */
} found;

/* ---- exporting, and reading it back ---- */

static void
note(const char *how, struct lsmkv_slice key, const char *what)
{
    ck_assert_uint_lt(found.count, FOUND_MAX);
    snprintf(found.lines[found.count++], sizeof found.lines[0], "%s %.*s: %s", how,
             (int)key.size, (const char *)key.data, what);
}

static void
take_lost(void *context, struct lsmkv_slice key, const char *what)
{
    (void)context;
    found.lost++;
    note("lost", key, what);
}

static void
take_left_out(void *context, struct lsmkv_slice key, const char *what)
{
    (void)context;
    found.left_out++;
    note("left out", key, what);
}

static void
read_contents(struct archive *archive, unsigned line, int64_t size)
{
    static uint8_t bytes[LARGE], zeros[CHUNK_SIZE];

    if (size == 0)
        return;
    ck_assert_int_le(size, LARGE);
    ck_assert_int_eq(archive_read_data(archive, bytes, (size_t)size), size);
    memcpy(found.first[line], bytes, size < 8 ? (size_t)size : 8);
    for (int64_t at = 0; at + (int64_t)CHUNK_SIZE <= size; at += CHUNK_SIZE)
        found.zeros += memcmp(bytes + at, zeros, CHUNK_SIZE) == 0;
}

static void
read_entry(struct archive *archive, struct archive_entry *entry)
{
    const char *link = archive_entry_hardlink(entry);
    unsigned line = found.count++;

    ck_assert_uint_lt(line, FOUND_MAX);
    if (!link)
        link = archive_entry_symlink(entry);
    snprintf(found.lines[line], sizeof found.lines[0], "%s %o %lld%s%s",
             archive_entry_pathname(entry), archive_entry_mode(entry),
             (long long)archive_entry_size(entry), link ? " " : "", link ? link : "");
    if (archive_entry_filetype(entry) == AE_IFREG && !archive_entry_hardlink(entry))
        read_contents(archive, line, archive_entry_size(entry));
}

static void
read_back(int fd)
{
    struct archive *archive = archive_read_new();
    struct archive_entry *entry;
    int status;

    ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
    ck_assert_int_eq(archive_read_support_format_tar(archive), ARCHIVE_OK);
    ck_assert_int_eq(archive_read_open_fd(archive, fd, 10240), ARCHIVE_OK);
    while ((status = archive_read_next_header(archive, &entry)) == ARCHIVE_OK)
        read_entry(archive, entry);
    ck_assert_int_eq(status, ARCHIVE_EOF);
    archive_read_free(archive);
}

static int
export_of(const char *tree, uint64_t *lost)
{
    static const struct export_report report = {take_lost, take_left_out, NULL};
    struct export *export;
    int fd = memfd_create("archive", MFD_CLOEXEC), result;

    memset(&found, 0, sizeof found);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(export_new(fixture.store, NULL, fd, &report, &export), 0);
    result = export_tree(export, lsmkv_str(tree));
    ck_assert_int_eq(export_finish(export, lost), 0);
    ck_assert_uint_eq(*lost, found.lost);
    read_back(fd);
    close(fd);
    return result;
}

static void
export_all(void)
{
    uint64_t lost;

    ck_assert_int_eq(export_of("", &lost), 0);
}

static void
print_found(void)
{
    for (unsigned i = 0; i < found.count; i++)
        fprintf(stderr, "# %s\n", found.lines[i]);
}

/* The line of an entry, or of a report. */
static unsigned
line_of(const char *line)
{
    for (unsigned i = 0; i < found.count; i++)
        if (strcmp(found.lines[i], line) == 0)
            return i;
    print_found();
    ck_abort_msg("not found: %s", line);
}

/* Those lines, in any order, and no others. */
static void
expect(const char *const *lines)
{
    unsigned count = 0;

    for (; lines[count]; count++)
        (void)line_of(lines[count]);
    if (found.count != count)
        print_found();
    ck_assert_uint_eq(found.count, count);
}

/* ---- records ---- */

static void
put_bytes(struct lsmkv_slice key, struct lsmkv_slice attributes, const char *value)
{
    ck_assert_int_eq(lsmkv_put(fixture.store->db, NULL, key, attributes, lsmkv_str(value),
                               LSMKV_UNSYNCED),
                     0);
}

static struct attr
new_attr(uint32_t mode)
{
    struct timespec then = {1000000000, 5};
    struct attr attr;
    uint64_t ino;

    ck_assert_int_eq(store_new_ino(fixture.store, &ino), 0);
    attr_init(&attr, mode, 0, 0, ino, then);
    return attr;
}

static void
put_attr(const char *key, const struct attr *attr, const char *value)
{
    uint8_t bytes[ATTR_BUFFER];

    put_bytes(lsmkv_str(key), lsmkv_bytes(bytes, attr_encode(attr, bytes)), value);
}

static struct attr
put_file(const char *key, uint32_t mode, const char *value)
{
    struct attr attr = new_attr(mode);

    put_attr(key, &attr, value);
    return attr;
}

/* Three chunks of ones. */
static void
put_large(const char *key)
{
    static uint8_t ones[CHUNK_SIZE];
    struct attr attr = new_attr(S_IFREG | 0600);
    uint64_t id;

    memset(ones, 1, sizeof ones);
    ck_assert_int_eq(store_new_data_id(fixture.store, &id), 0);
    attr.data = (struct attr_data){ATTR_CHUNKS, LARGE, id, 3};
    put_attr(key, &attr, "");
    for (unsigned i = 0; i < 3; i++) {
        struct chunk_key chunk = chunk_key(id, i, 0);

        ck_assert_int_eq(lsmkv_put(fixture.store->db, fixture.store->chunks,
                                   chunk_slice(&chunk), nothing,
                                   lsmkv_bytes(ones, sizeof ones), LSMKV_UNSYNCED),
                         0);
    }
}

static void
take_log(void *context, enum lsmkv_level level, const char *line)
{
    (void)context;
    (void)line;
    errors += level == LSMKV_LOG_ERROR;
}

static void
setup(void)
{
    fixture_init(&fixture);
    fixture.engine.log = take_log;
    errors = 0;
    setlocale(LC_CTYPE, "C.UTF-8");
}

static void
teardown(void)
{
    fixture_fini(&fixture);
}

/* ---- what is whole ---- */

START_TEST(test_every_kind_of_file)
{
    static const char *const expected[] = {"./ 40755 0",
                                           "d/ 42700 0",
                                           "d/file 104755 8",
                                           "d/link 120777 0 to/where",
                                           "fifo 10644 0",
                                           "null 20666 0",
                                           "block 60660 0",
                                           "large 100600 393216",
                                           "left out socket: a socket",
                                           NULL};
    struct attr device;

    put_file("", S_IFDIR | 0755, "");
    put_file("d", S_IFDIR | S_ISGID | 0700, "");
    put_file("d/file", S_IFREG | S_ISUID | 0755, "contents");
    put_file("d/link", S_IFLNK | 0777, "to/where");
    put_file("fifo", S_IFIFO | 0644, "");
    put_file("socket", S_IFSOCK | 0644, "");
    device = new_attr(S_IFCHR | 0666);
    device.rdev = makedev(1, 3);
    put_attr("null", &device, "");
    device.mode = S_IFBLK | 0660;
    put_attr("block", &device, "");
    put_large("large");
    export_all();
    expect(expected);
    ck_assert_uint_eq(found.lost, 0);
    ck_assert_mem_eq(found.first[line_of("d/file 104755 8")], "contents", 8);
    ck_assert_uint_eq(found.zeros, 0);
}
END_TEST

START_TEST(test_names_of_one_file_are_links)
{
    static const char *const expected[] = {"a 100644 6", "b 644 0 a", "c/ 40755 0",
                                           "c/d 644 0 a", NULL};
    struct attr attr = new_attr(S_IFREG | 0644),
                name = {.mode = S_IFREG, .ino = attr.ino, .data.kind = ATTR_REFERENCE};
    struct record_key key = record_inode(attr.ino);
    uint8_t bytes[ATTR_BUFFER];

    attr.nlink = 3;
    ck_assert_int_eq(lsmkv_put(fixture.store->db, fixture.store->inodes,
                               record_slice(&key),
                               lsmkv_bytes(bytes, attr_encode(&attr, bytes)),
                               lsmkv_str("shared"), LSMKV_UNSYNCED),
                     0);
    put_attr("a", &name, "");
    put_attr("b", &name, "");
    put_attr("c/d", &name, "");
    export_all();
    expect(expected);
    ck_assert_mem_eq(found.first[line_of("a 100644 6")], "shared", 6);
}
END_TEST

/* Keys that are no path, values with keys below them, and values that a directory keeps. */
START_TEST(test_values_without_a_path)
{
    static const char *const expected[] = {
        "a/ 40755 0",
        "a/b 100644 5",
        ".lsmfs/keys/a 100644 7",
        ".lsmfs/keys/%2E%2E%2Fx 100644 3",
        "kept/ 40755 0",
        ".lsmfs/keys/kept 100644 6",
        NULL,
    };
    struct attr kept = new_attr(S_IFDIR | 0755);

    put_bytes(lsmkv_str("a"), nothing, "above b");
    put_bytes(lsmkv_str("a/b"), nothing, "plain");
    put_bytes(lsmkv_str("../x"), nothing, "odd");
    kept.has_value = true;
    put_attr("kept", &kept, "inside");
    export_all();
    expect(expected);
    ck_assert_mem_eq(found.first[line_of(".lsmfs/keys/kept 100644 6")], "inside", 6);
}
END_TEST

START_TEST(test_a_part)
{
    static const char *const expected[] = {"a/b/ 40755 0", "a/b/c 100644 1", NULL};
    uint64_t lost;

    put_file("a/b/c", S_IFREG | 0644, "1");
    put_file("a/b.", S_IFREG | 0644, "2");
    put_file("a/bb", S_IFREG | 0644, "3");
    ck_assert_int_eq(export_of("a/b", &lost), 0);
    expect(expected);
    ck_assert_int_eq(export_of("a/none", &lost), -ENOENT);
    ck_assert_uint_eq(found.count, 0);
}
END_TEST

START_TEST(test_an_empty_store)
{
    uint64_t lost;

    ck_assert_int_eq(export_of("", &lost), -ENOENT);
    ck_assert_uint_eq(found.count, 0);
}
END_TEST

/* ---- what is lost ---- */

START_TEST(test_bad_records_are_told_and_passed)
{
    static const char *const expected[] = {
        "lost a: its attributes are damaged",
        "b 100644 1",
        "lost c: damaged structure",
        "d 100644 1",
        "lost e: a symbolic link whose target has no valid length",
        "f/ 40755 0",
        "lost f: the attributes of its value are damaged",
        NULL,
    };
    struct attr name = {.mode = S_IFREG, .ino = 64, .data.kind = ATTR_REFERENCE};
    struct attr kept = new_attr(S_IFDIR | 0755);

    put_bytes(lsmkv_str("a"), lsmkv_str("\xf5\x01"), "");
    put_file("b", S_IFREG | 0644, "1");
    put_attr("c", &name, "");
    put_file("d", S_IFREG | 0644, "2");
    put_file("e", S_IFLNK | 0777, "");
    kept.has_value = true;
    kept.value_attributes = lsmkv_str("\xf5\x01");
    put_attr("f", &kept, "value");
    export_all();
    expect(expected);
    ck_assert_uint_eq(found.lost, 4);
}
END_TEST

struct largest {
    struct env_dir *dir;
    char name[64];
    uint64_t size;
};

static int
largest_file(void *context, const char *name)
{
    struct largest *largest = context;
    struct env_file *file;
    uint64_t size;

    if (!strstr(name, ".sst") && !strstr(name, ".blob"))
        return 0;
    ck_assert_int_eq(env_file_open(largest->dir, name, ENV_READ, &file), 0);
    ck_assert_int_eq(env_file_size(file, &size), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    if (size > largest->size) {
        largest->size = size;
        snprintf(largest->name, sizeof largest->name, "%s", name);
    }
    return 0;
}

/* Damages the middle of the largest file, that of chunks, and opens the store to read it. */
static void
damage_chunks(void)
{
    struct lsmkv_env *env = mem_env_base(fixture.env);
    struct largest largest = {0};
    struct env_file *file;

    ck_assert_int_eq(lsmkv_flush(fixture.store->db), 0);
    fixture_close(&fixture);
    ck_assert_int_eq(env_dir_open(env, fixture.options.path, false, &largest.dir), 0);
    ck_assert_int_eq(env_dir_list(largest.dir, largest_file, &largest), 0);
    ck_assert_int_eq(env_file_open(largest.dir, largest.name, ENV_WRITE, &file), 0);
    ck_assert_int_eq(env_file_write(file, largest.size / 2, "?", 1), 0);
    ck_assert_int_eq(env_file_close(file), 0);
    env_dir_close(largest.dir);
    fixture.options.read_only = true;
    fixture_open(&fixture);
}

/* One chunk of three is bad: it becomes zeros, and the archive goes on.  So may the one before it,
 * since a walk over its fragments ends only at what comes next. */
START_TEST(test_a_bad_chunk_becomes_zeros)
{
    put_file("after", S_IFREG | 0644, "1");
    put_large("large");
    put_file("last", S_IFREG | 0644, "2");
    damage_chunks();
    export_all();
    (void)line_of("lost large: bytes 131072 to 262144 cannot be read, and are zeros");
    (void)line_of("large 100600 393216");
    (void)line_of("last 100644 1");
    ck_assert_uint_ge(found.zeros, 1);
    ck_assert_uint_le(found.zeros, 2);
    ck_assert_uint_eq(found.lost, found.zeros);
    ck_assert_uint_gt(errors, 0);
}
END_TEST

/* Bug: the walk over the records read their values, too, and one that could not be read was passed
 * over there, before its path could be told. */
START_TEST(test_a_bad_value_is_told_with_its_path)
{
    static char value[60000];

    memset(value, 'v', sizeof value - 1);
    put_bytes(lsmkv_str("large"), nothing, value);
    put_file("last", S_IFREG | 0644, "2");
    damage_chunks();
    export_all();
    (void)line_of("last 100644 1");
    ck_assert_uint_eq(found.lost, 1);
    ck_assert_ptr_nonnull(strstr(found.lines[0], "lost large: "));
    ck_assert_ptr_nonnull(strstr(found.lines[0], "its checksum does not match"));
}
END_TEST

START_TEST(test_an_archive_that_cannot_be_written)
{
    static const struct export_report report = {take_lost, take_left_out, NULL};
    struct export *export;
    uint64_t lost;
    int ends[2], result;

    put_large("large");
    signal(SIGPIPE, SIG_IGN);
    ck_assert_int_eq(pipe(ends), 0);
    close(ends[0]);
    ck_assert_int_eq(export_new(fixture.store, NULL, ends[1], &report, &export), 0);
    result = export_tree(export, nothing);
    ck_assert_int_eq(result, -EPIPE);
    ck_assert_int_ne(export_finish(export, &lost), 0);
    close(ends[1]);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("export");
    TCase *tests = tcase_create("export");

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_every_kind_of_file);
    tcase_add_test(tests, test_names_of_one_file_are_links);
    tcase_add_test(tests, test_values_without_a_path);
    tcase_add_test(tests, test_a_part);
    tcase_add_test(tests, test_an_empty_store);
    tcase_add_test(tests, test_bad_records_are_told_and_passed);
    tcase_add_test(tests, test_a_bad_chunk_becomes_zeros);
    tcase_add_test(tests, test_a_bad_value_is_told_with_its_path);
    tcase_add_test(tests, test_an_archive_that_cannot_be_written);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
