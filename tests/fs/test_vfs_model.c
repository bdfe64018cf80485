/*
 * test_vfs_model.c - random histories against a tree in an array.
 *
 * Each file has a body that several names may share; a body is its bytes.  After every few
 * operations the whole tree is walked and compared: names, types, numbers, link counts,
 * contents.  In between the store is closed and opened, or its process killed, when every
 * acknowledged operation must be there.  A snapshot remembers the names, sizes and link counts
 * it was taken of.  A second history is one in which memory fails now and then: what says -ENOMEM
 * did not happen.
 *
 * LSMKV_SEED replays; LSMKV_OPERATIONS sets the length.
 */
#include "support/failing_alloc.h"
#include "support/rounds.h"
#include "vfs_fixture.h"

#define NAMES_MAX   120
#define PATH_SIZE   128
#define BODY_MAX    (400u << 10)
#define OPERATIONS  3000
#define CHECK_EVERY 50

struct body {
    unsigned names;
    uint64_t ino;
    size_t size;
    uint8_t *bytes;
};

struct entry {
    char path[PATH_SIZE];
    struct body *body; /* NULL: a directory */
    uint64_t ino;
};

struct tree {
    struct entry entries[NAMES_MAX];
    unsigned count;
};

static struct vfs_fixture fs;
static struct tree tree;
static struct random dice;

/* ---- the model ---- */

static struct entry *
find(const char *path)
{
    for (unsigned i = 0; i < tree.count; i++)
        if (strcmp(tree.entries[i].path, path) == 0)
            return &tree.entries[i];
    return NULL;
}

static bool
is_below(const char *path, const char *directory)
{
    size_t size = strlen(directory);

    return strncmp(path, directory, size) == 0 && path[size] == '/';
}

static bool
has_below(const char *path)
{
    for (unsigned i = 0; i < tree.count; i++)
        if (is_below(tree.entries[i].path, path))
            return true;
    return false;
}

static unsigned
subdirectories(const char *path)
{
    unsigned count = 0;

    for (unsigned i = 0; i < tree.count; i++) {
        const char *at = tree.entries[i].path;
        size_t size = strlen(path);

        if (tree.entries[i].body || (size > 0 && !is_below(at, path)))
            continue;
        count += strchr(at + size + (size > 0), '/') == NULL;
    }
    return count;
}

/* 0, or why the parent of `path` takes no name. */
static int
check_parent(const char *path)
{
    char parent[PATH_SIZE];
    const char *slash = strrchr(path, '/');
    struct entry *entry;

    if (!slash)
        return 0;
    memcpy(parent, path, (size_t)(slash - path));
    parent[slash - path] = '\0';
    entry = find(parent);
    if (!entry) {
        int above = check_parent(parent);

        return above < 0 ? above : -ENOENT;
    }
    return entry->body ? -ENOTDIR : 0;
}

static void
drop_body(struct body *body)
{
    if (body && --body->names == 0) {
        free(body->bytes);
        free(body);
    }
}

static void
take_entry(struct entry *entry)
{
    drop_body(entry->body);
    *entry = tree.entries[--tree.count];
}

static struct entry *
add_entry(const char *path, struct body *body, uint64_t ino)
{
    struct entry *entry = &tree.entries[tree.count++];

    snprintf(entry->path, sizeof(entry->path), "%s", path);
    entry->body = body;
    entry->ino = ino;
    if (body)
        body->names++;
    return entry;
}

/* Gives a subtree another path. */
static void
relabel(const char *from, const char *to)
{
    for (unsigned i = 0; i < tree.count; i++) {
        char *path = tree.entries[i].path, moved[2 * PATH_SIZE];

        if (strcmp(path, from) != 0 && !is_below(path, from))
            continue;
        snprintf(moved, sizeof(moved), "%s%s", to, path + strlen(from));
        ck_assert_uint_lt(strlen(moved), PATH_SIZE);
        strcpy(path, moved);
    }
}

/* ---- comparing ---- */

struct comparing {
    char directory[PATH_SIZE];
    unsigned seen;
};

static void
compare_file(const struct entry *entry)
{
    static char bytes[BODY_MAX + 1];
    struct stat st;
    int got;

    ck_assert_int_eq(fs_stat(&fs, entry->path, &st), 0);
    ck_assert_uint_eq(st.st_ino, entry->body->ino);
    ck_assert_uint_eq(st.st_nlink, entry->body->names);
    ck_assert_uint_eq((uint64_t)st.st_size, entry->body->size);
    got = fs_read(&fs, entry->path, bytes, sizeof(bytes));
    ck_assert_int_eq(got, (int)entry->body->size);
    ck_assert_msg(memcmp(bytes, entry->body->bytes, entry->body->size) == 0,
                  "contents of %s", entry->path);
}

static unsigned
compare_directory(const char *path, bool plus)
{
    struct fs_names *names = malloc(sizeof(*names));
    unsigned seen = 0;
    char *name, *rest;

    fs_list_by(&fs, path, plus, (unsigned)random_below(&dice, 4), names);
    rest = names->text;
    while ((name = strtok_r(rest, " ", &rest))) {
        char child[PATH_SIZE];
        size_t size = strlen(name);
        bool directory = name[size - 1] == '/';
        struct entry *entry;

        if (directory)
            name[size - 1] = '\0';
        snprintf(child, sizeof(child), "%s%s%s", path, *path ? "/" : "", name);
        entry = find(child);
        ck_assert_msg(entry != NULL, "'%s' is there and should not be", child);
        ck_assert_msg(directory == !entry->body, "type of '%s'", child);
        seen += 1 + (directory ? compare_directory(child, plus) : 0);
    }
    free(names);
    return seen;
}

static void
compare(void)
{
    ck_assert_uint_eq(compare_directory("", random_coin(&dice)), tree.count);
    ck_assert_uint_eq(fs_nlink(&fs, ""), 2 + subdirectories(""));
    for (unsigned i = 0; i < tree.count; i++) {
        const struct entry *entry = &tree.entries[i];

        if (entry->body) {
            compare_file(entry);
            continue;
        }
        ck_assert_uint_eq(fs_ino(&fs, entry->path), entry->ino);
        ck_assert_uint_eq(fs_nlink(&fs, entry->path), 2 + subdirectories(entry->path));
    }
}

/* ---- operations ---- */

static bool memory_fails;
static unsigned refused;

/* Around the call that is tried: only that may find no memory. */
static void
begin_try(void)
{
    failing_alloc_pause(!memory_fails);
}

/* Did it do what was expected?  If not, it found no memory. */
static bool
end_try(int result, int expected)
{
    failing_alloc_pause(true);
    if (memory_fails && result == -ENOMEM) {
        refused++;
        return false;
    }
    ck_assert_int_eq(result, expected);
    return result == 0;
}

/* Mostly of what is there, sometimes a new name. */
static void
pick_path(char *path)
{
    static const char *const names[] = {"a", "b", "a-b", "a.c", "a0", "c"};
    char name[8];

    path[0] = '\0';
    if (tree.count > 0 && random_below(&dice, 4) > 0) {
        strcpy(path, tree.entries[random_below(&dice, tree.count)].path);
        if (random_coin(&dice) || strlen(path) > PATH_SIZE / 3)
            return;
        strcat(path, "/");
    }
    snprintf(name, sizeof(name), "%s", names[random_below(&dice, 6)]);
    strcat(path, name);
}

static int
expect_absent(const char *path)
{
    int result = check_parent(path);

    if (result == 0 && find(path))
        result = -EEXIST;
    return result;
}

static void
do_mkdir(const char *path)
{
    int expected = expect_absent(path);

    begin_try();
    if (end_try(fs_mkdir(&fs, path), expected))
        add_entry(path, NULL, fs_ino(&fs, path));
}

static void
do_create(const char *path)
{
    struct entry *entry = find(path);
    int expected = check_parent(path);

    if (expected == 0 && entry && !entry->body)
        expected = -EISDIR;
    begin_try();
    if (!end_try(fs_put(&fs, path, ""), expected))
        return;
    if (entry) {
        entry->body->size = 0;
    } else {
        struct body *body = calloc(1, sizeof(*body));

        body->bytes = calloc(1, BODY_MAX);
        body->ino = fs_ino(&fs, path);
        add_entry(path, body, body->ino);
    }
}

static void
do_write(const char *path)
{
    static uint8_t bytes[BODY_MAX];
    struct entry *entry = find(path);
    bool small = random_below(&dice, 4) > 0;
    size_t limit = small ? 6000 : BODY_MAX;
    size_t offset = random_below(&dice, limit),
           size = random_below(&dice, limit - offset);
    struct node *node;
    bool done;

    if (!entry || !entry->body || size == 0)
        return;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(offset * 7 + i * 13 + random_next(&dice) % 3);
    ck_assert_int_eq(fs_node(&fs, path, &node), 0);
    begin_try();
    done = end_try(vfs_write(fs.vfs, &fs.caller, node, offset, bytes, size, 0), 0);
    vfs_forget(fs.vfs, node, 1);
    if (!done)
        return;
    if (offset > entry->body->size)
        memset(entry->body->bytes + entry->body->size, 0, offset - entry->body->size);
    memcpy(entry->body->bytes + offset, bytes, size);
    if (offset + size > entry->body->size)
        entry->body->size = offset + size;
}

static void
do_truncate(const char *path)
{
    struct entry *entry = find(path);
    size_t size = random_below(&dice, random_coin(&dice) ? 8000 : BODY_MAX);
    struct stat st = {.st_size = (off_t)size};
    struct node *node;
    bool done;

    if (!entry || !entry->body)
        return;
    ck_assert_int_eq(fs_node(&fs, path, &node), 0);
    begin_try();
    done = end_try(vfs_setattr(fs.vfs, &fs.caller, node, &st, VFS_SIZE, &st), 0);
    vfs_forget(fs.vfs, node, 1);
    if (!done)
        return;
    if (size > entry->body->size)
        memset(entry->body->bytes + entry->body->size, 0, size - entry->body->size);
    entry->body->size = size;
}

static void
do_link(const char *path)
{
    char from[PATH_SIZE];
    struct entry *entry;
    int expected;

    pick_path(from);
    entry = find(from);
    if (!entry || !entry->body)
        return;
    expected = expect_absent(path);
    begin_try();
    if (end_try(fs_link(&fs, from, path), expected))
        add_entry(path, entry->body, entry->ino);
}

static void
do_remove(const char *path)
{
    struct entry *entry = find(path);
    bool directory =
        random_below(&dice, 8) == 0 ? random_coin(&dice) : entry && !entry->body;
    int expected = check_parent(path);

    if (expected == 0 && !entry)
        expected = -ENOENT;
    else if (expected == 0 && directory && entry->body)
        expected = -ENOTDIR;
    else if (expected == 0 && !directory && !entry->body)
        expected = -EISDIR;
    else if (expected == 0 && directory && has_below(path))
        expected = -ENOTEMPTY;
    begin_try();
    if (end_try(fs_remove(&fs, path, directory), expected))
        take_entry(entry);
}

static int
expect_rename(const char *from, const char *to, unsigned flags)
{
    struct entry *source = find(from), *target = find(to);
    int result = check_parent(from);

    if (result == 0)
        result = check_parent(to);
    if (result < 0)
        return result;
    if (!source || (!target && flags == RENAME_EXCHANGE))
        return -ENOENT;
    if (target && flags == RENAME_NOREPLACE)
        return -EEXIST;
    if (is_below(to, from))
        return -EINVAL;
    if (target && is_below(from, to))
        return flags == RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
    if (!target || flags == RENAME_EXCHANGE || source == target)
        return 0;
    if (!source->body && target->body)
        return -ENOTDIR;
    if (source->body && !target->body)
        return -EISDIR;
    return target->body || !has_below(to) ? 0 : -ENOTEMPTY;
}

static void
do_rename(const char *to)
{
    static const unsigned flags[] = {0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};
    unsigned flag = flags[random_below(&dice, 4)];
    struct entry *source, *target;
    char from[PATH_SIZE];
    int expected;

    pick_path(from);
    expected = expect_rename(from, to, flag);
    begin_try();
    if (!end_try(fs_rename(&fs, from, to, flag), expected))
        return;
    source = find(from);
    target = find(to);
    if (source == target || (target && source->body && source->body == target->body))
        return;
    if (flag == RENAME_EXCHANGE) {
        relabel(from, "\1");
        relabel(to, from);
        relabel("\1", to);
        return;
    }
    if (target)
        take_entry(target);
    relabel(from, to);
}

static void
do_any(void)
{
    char path[PATH_SIZE];

    pick_path(path);
    if (tree.count > NAMES_MAX - 2) {
        do_remove(path);
        return;
    }
    switch (random_below(&dice, 16)) {
    case 0:
    case 1:
        do_mkdir(path);
        break;
    case 2:
    case 3:
    case 4:
        do_create(path);
        break;
    case 5:
    case 6:
    case 7:
    case 8:
        do_write(path);
        break;
    case 9:
        do_truncate(path);
        break;
    case 10:
        do_link(path);
        break;
    case 11:
    case 12:
        do_remove(path);
        break;
    default:
        do_rename(path);
    }
}

/* ---- snapshots ---- */

static struct {
    bool taken;
    struct tree tree; /* bodies are not touched, but for the sizes kept here */
    size_t sizes[NAMES_MAX];
    unsigned links[NAMES_MAX];
} kept;

static void
take_snapshot(void)
{
    if (kept.taken)
        ck_assert_int_eq(fs_rmdir(&fs, ".snapshots/kept"), 0);
    ck_assert_int_eq(fs_mkdir(&fs, ".snapshots/kept"), 0);
    kept.taken = true;
    kept.tree = tree;
    for (unsigned i = 0; i < tree.count; i++) {
        kept.sizes[i] = tree.entries[i].body ? tree.entries[i].body->size : 0;
        kept.links[i] = tree.entries[i].body ? tree.entries[i].body->names
                                             : 2 + subdirectories(tree.entries[i].path);
    }
}

static void
compare_snapshot(void)
{
    for (unsigned i = 0; kept.taken && i < kept.tree.count; i++) {
        const struct entry *entry = &kept.tree.entries[i];
        char path[2 * PATH_SIZE];
        struct stat st;

        snprintf(path, sizeof(path), ".snapshots/kept/%s", entry->path);
        ck_assert_int_eq(fs_stat(&fs, path, &st), 0);
        ck_assert(S_ISDIR(st.st_mode) == !entry->body);
        ck_assert_uint_eq(st.st_nlink, kept.links[i]);
        if (entry->body)
            ck_assert_uint_eq((uint64_t)st.st_size, kept.sizes[i]);
    }
}

/* A flush that was under way beside the last call may have found no memory; the next one does. */
static void
flush(void)
{
    struct lsmkv *db = vfs_store(fs.vfs)->db;
    int result = lsmkv_flush(db);

    if (memory_fails && result == -ENOMEM)
        result = lsmkv_flush(db);
    ck_assert_int_eq(result, 0);
}

static void
run_history(void)
{
    const char *text = getenv("LSMKV_OPERATIONS");
    unsigned operations =
        text ? (unsigned)atoi(text) : (unsigned)rounds_of(OPERATIONS, 600);

    for (unsigned i = 0; i < operations; i++) {
        do_any();
        if (i % CHECK_EVERY != CHECK_EVERY - 1)
            continue;
        compare();
        switch (random_below(&dice, 8)) {
        case 0:
            fs_reopen(&fs);
            break;
        case 1:
            fs_kill(&fs);
            break;
        case 2:
            take_snapshot();
            break;
        case 3:
            flush();
            break;
        default:
            continue;
        }
        compare();
        compare_snapshot();
    }
    while (tree.count > 0)
        take_entry(&tree.entries[0]);
    fs_fini(&fs);
}

START_TEST(test_histories_match_the_model)
{
    dice = random_of(random_seed());
    failing_alloc_pause(true);
    fs_init(&fs);
    run_history();
}
END_TEST

/* Keys that are no paths are never made here.  Without memory to look for what a directory shows,
 * rmdir told of them, when it was only not empty. */
static void
hear(void *context, enum lsmkv_level level, const char *line)
{
    (void)context, (void)level;
    ck_assert_msg(!strstr(line, "keys that are not paths"), "%s", line);
}

START_TEST(test_histories_match_the_model_when_memory_fails)
{
    uint64_t seed = random_seed();

    fs_init(&fs);
    fs.engine.log = hear;
    fs_reopen(&fs);
    dice = random_of(seed);
    memory_fails = true;
    failing_alloc_pause(true);
    failing_alloc_at_random(seed, 20);
    run_history();
    printf("memory: %u operations refused\n", refused);
    ck_assert_uint_gt(refused, 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("vfs_model");
    TCase *tcase = tcase_create("model");

    tcase_add_test(tcase, test_histories_match_the_model);
    tcase_add_test(tcase, test_histories_match_the_model_when_memory_fails);
    tcase_set_timeout(tcase, 120);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
