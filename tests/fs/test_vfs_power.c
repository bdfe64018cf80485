/*
 * test_vfs_power.c - what a power cut leaves of a mounted filesystem, without a kernel.
 *
 * A seeded workload of names, links, renames, contents and fsyncs runs twice.  The first time
 * the tree is hashed after each operation; the second time images of what a power cut could
 * leave are taken before storage calls, opened and hashed.  Each must be the tree after k
 * operations, durable <= k <= issued: a prefix, with everything that fsync promised.
 *
 * Times are left out of the hash but for those that rename and write set.  LSMKV_SEED replays;
 * LSMKV_IMAGES sets how many images are taken.
 */
#include <stdatomic.h>

#include "vfs_fixture.h"

#define OPERATIONS 300
#define IMAGES     300

static struct vfs_fixture fs;
static uint64_t hashes[OPERATIONS + 1];

/* ---- hashing a tree ---- */

static uint64_t
mix(uint64_t hash, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t
hash_file(struct vfs_fixture *of, const char *path, uint64_t hash)
{
    static char bytes[400000];
    struct stat st;
    int got = fs_read(of, path, bytes, sizeof(bytes));

    ck_assert_int_eq(fs_stat(of, path, &st), 0);
    ck_assert_msg(got == st.st_size, "%s: %d of %lld bytes", path, got,
                  (long long)st.st_size);
    hash = mix(hash, bytes, (size_t)got);
    hash = mix(hash, &st.st_ino, sizeof(st.st_ino));
    return mix(hash, &st.st_nlink, sizeof(st.st_nlink));
}

static uint64_t
hash_tree(struct vfs_fixture *of, const char *path, uint64_t hash)
{
    struct fs_names *names = malloc(sizeof(*names));
    char *name, *rest = names->text;
    unsigned nlink = fs_nlink(of, path);

    hash = mix(hash, &nlink, sizeof(nlink));
    fs_list_by(of, path, true, 0, names);
    while ((name = strtok_r(rest, " ", &rest))) {
        size_t size = strlen(name);
        char child[256];

        snprintf(child, sizeof(child), "%s%s%s", path, *path ? "/" : "", name);
        hash = mix(hash, child, strlen(child));
        if (name[size - 1] == '/') {
            child[strlen(child) - 1] = '\0';
            hash = hash_tree(of, child, hash);
        } else {
            hash = hash_file(of, child, hash);
        }
    }
    free(names);
    return hash;
}

/* ---- the workload ---- */

static void
some_path(struct random *dice, char *path, size_t size)
{
    snprintf(path, size, "d%u/n%u", (unsigned)random_below(dice, 3),
             (unsigned)random_below(dice, 6));
}

static void
write_some(struct random *dice, const char *path)
{
    static uint8_t bytes[300000];
    size_t limit = random_below(dice, 5) == 0 ? sizeof(bytes) : 5000;
    size_t offset = random_below(dice, limit),
           size = random_below(dice, limit - offset) + 1;
    uint64_t seed = random_next(dice);
    struct node *node;
    struct stat st;

    memset(bytes, (int)(seed & 0xff), size);
    if (fs_node(&fs, path, &node) < 0)
        return;
    if (vfs_getattr(fs.vfs, node, &st, NULL) == 0 && S_ISREG(st.st_mode))
        ck_assert_int_eq(vfs_write(fs.vfs, &fs.caller, node, offset, bytes, size, 0), 0);
    vfs_forget(fs.vfs, node, 1);
}

static void
truncate_some(struct random *dice, const char *path)
{
    struct stat st = {.st_size = (off_t)random_below(dice, 200000)}, old;
    struct node *node;

    if (fs_node(&fs, path, &node) < 0)
        return;
    if (vfs_getattr(fs.vfs, node, &old, NULL) == 0 && S_ISREG(old.st_mode))
        ck_assert_int_eq(vfs_setattr(fs.vfs, &fs.caller, node, &st, VFS_SIZE, &st), 0);
    vfs_forget(fs.vfs, node, 1);
}

/* Returns true if all until now is durable. */
static bool
operate(struct random *dice)
{
    char a[32], b[32];

    some_path(dice, a, sizeof(a));
    some_path(dice, b, sizeof(b));
    switch (random_below(dice, 12)) {
    case 0:
    case 1:
        (void)fs_write(&fs, a, "", 0, NULL); /* one batch, as every operation here */
        break;
    case 2:
        (void)fs_mkdir(&fs, a);
        break;
    case 3:
        (void)fs_link(&fs, a, b);
        break;
    case 4:
        (void)fs_unlink(&fs, a);
        break;
    case 5:
        (void)fs_rmdir(&fs, a);
        break;
    case 6:
    case 7:
        (void)fs_rename(&fs, a, b, random_below(dice, 3) == 0 ? RENAME_EXCHANGE : 0);
        break;
    case 8:
        a[2] = b[2] = '\0'; /* whole directories */
        (void)fs_rename(&fs, a, b, RENAME_EXCHANGE);
        break;
    case 9:
        truncate_some(dice, a);
        break;
    case 10:
        if (random_coin(dice)) {
            ck_assert_int_eq(vfs_fsync(fs.vfs, vfs_root(fs.vfs)), 0);
            return true;
        }
        break;
    default:
        write_some(dice, a);
    }
    return false;
}

static void
begin(void)
{
    fs_init(&fs);
    fs_close(&fs);
    fs.engine.write_buffer_size = 128 << 10; /* flushes and merges in between */
    fs_open(&fs);
    ck_assert_int_eq(fs_mkdir(&fs, "d0"), 0);
    ck_assert_int_eq(fs_mkdir(&fs, "d1"), 0);
    ck_assert_int_eq(fs_mkdir(&fs, "d2"), 0);
    ck_assert_int_eq(vfs_sync(fs.vfs), 0);
}

/* ---- images ---- */

struct image {
    struct mem_env *env;
    size_t durable, issued;
};

static struct image images[2000];
static size_t image_count, image_limit;
static atomic_size_t durable, issued;
static struct random image_dice;

static void
take_image(void *context, uint64_t ordinal, enum env_call call)
{
    static const enum mem_data data[] = {MEM_DATA_ALL, MEM_DATA_NONE, MEM_DATA_RANDOM};
    static const enum mem_names names[] = {MEM_NAMES_KEPT, MEM_NAMES_DROPPED};
    struct mem_crash policy;

    (void)context;
    if (!env_call_changes(call) || image_count == image_limit)
        return;
    policy.data = data[random_below(&image_dice, 3)];
    policy.names = names[random_below(&image_dice, 2)];
    /* What is durable is read first: it may only grow until the image is taken. */
    images[image_count].durable = durable;
    images[image_count].env = mem_env_crash(fs.env, policy, ordinal);
    images[image_count++].issued = issued;
}

static void
check_image(const struct image *image, unsigned number)
{
    struct vfs_fixture of = fs;
    uint64_t hash;
    size_t k;

    of.env = image->env;
    of.options.store.engine = &of.engine;
    fs_open(&of);
    hash = hash_tree(&of, "", 1);
    for (k = image->durable; k <= image->issued && hashes[k] != hash; k++)
        continue;
    ck_assert_msg(k <= image->issued, "image %u is no state from %zu to %zu", number,
                  image->durable, image->issued);
    /* It goes on from there. */
    ck_assert_int_eq(fs_put(&of, "after", "the cut"), 0);
    fs_reopen(&of);
    fs_expect(&of, "after", "the cut");
    fs_close(&of);
    mem_env_free(image->env);
}

START_TEST(test_power_cut_leaves_a_prefix_with_all_that_was_synced)
{
    uint64_t seed = random_seed();
    struct random dice = random_of(seed);
    const char *text = getenv("LSMKV_IMAGES");

    begin();
    hashes[0] = hash_tree(&fs, "", 1);
    for (size_t i = 0; i < OPERATIONS; i++) {
        (void)operate(&dice);
        hashes[i + 1] = hash_tree(&fs, "", 1);
    }
    fs_fini(&fs);

    dice = random_of(seed);
    image_dice = random_of(seed + 1);
    image_limit = text ? (size_t)atoi(text) : IMAGES;
    begin();
    mem_env_set_hook(fs.env, take_image, NULL);
    for (size_t i = 0; i < OPERATIONS; i++) {
        issued = i + 1;
        if (operate(&dice))
            durable = i + 1;
    }
    mem_env_set_hook(fs.env, NULL, NULL);
    ck_assert_uint_eq(hash_tree(&fs, "", 1), hashes[OPERATIONS]);
    fs_close(&fs);
    printf("%zu images\n", image_count);
    ck_assert_uint_gt(image_count, 0);
    for (unsigned i = 0; i < image_count; i++)
        check_image(&images[i], i);
    mem_env_free(fs.env);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("vfs_power");
    TCase *tcase = tcase_create("power");

    tcase_add_test(tcase, test_power_cut_leaves_a_prefix_with_all_that_was_synced);
    tcase_set_timeout(tcase, 300);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
