/*
 * fuzz_vfs.c - a filesystem whose records are crafted: inodes, names that refer to them,
 * chunks and fragments, extended attributes, orphans, counters.
 *
 * What must hold: every operation ends, in success or an error; what was written is read
 * back; the filesystem closes well and opens again.
 *
 * Input: records, each
 *     offset  size  field
 *          0     1  keyspace    0 files, 1 inodes, 2 chunks, 3 meta, modulo 4
 *          1     2  key's size, little-endian, as the two below
 *          3     2  attributes' size
 *          5     2  value's size
 *          7        key, attributes, value
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "fuzz.h"
#include "support/mem_env.h"
#include "vfs/vfs.h"

#define STORE       "lsmfs-fuzz-store"
#define DEPTH_MAX   6u
#define NAMES_MAX   24u
#define PAGES_MAX   64u
#define RECORDS_MAX 64u

#define CHUNK_KEY_SIZE 13u /* of records.h */

static const struct vfs_caller caller = {.uid = 0};

/* Keys among those of chunks that are none: they stay there, whatever is written. */
static bool strangers;

static void
silence(void *context, enum lsmkv_level level, const char *line)
{
    (void)context;
    (void)level;
    (void)line;
}

static struct lsmkv_options
engine_of(struct mem_env *env)
{
    struct lsmkv_options options;

    lsmkv_options_init(&options);
    options.env = mem_env_base(env);
    options.write_buffer_size = 256 << 10;
    options.cache_size = 64 << 10;
    options.table_size = 64 << 10;
    options.space_reserve = 1;
    options.log = silence;
    return options;
}

static int
open_vfs(struct mem_env *env, struct lsmkv_options *engine, struct vfs **vfs)
{
    struct vfs_options options;
    char why[256] = "";

    *engine = engine_of(env);
    vfs_options_init(&options);
    options.store.path = STORE;
    options.store.engine = engine;
    options.store.create = true;
    options.store.commit_ms = 60000;
    return vfs_open(&options, vfs, why, sizeof(why));
}

/* A fresh copy of a store that was mounted once. */
static struct mem_env *
new_store(void)
{
    static struct mem_env *made;
    struct lsmkv_options engine;
    struct mem_env *copy;
    struct vfs *vfs;

    if (made == NULL) {
        made = mem_env_new();
        fuzz_check(made != NULL && open_vfs(made, &engine, &vfs) == 0);
        fuzz_check(vfs_close(vfs) == 0);
    }
    copy = mem_env_kill(made);
    fuzz_check(copy != NULL);
    return copy;
}

static void
put_records(struct mem_env *env, struct fuzz_input *input)
{
    static const char *const names[] = {"default", "inodes", "chunks", "meta"};
    struct lsmkv_options options = engine_of(env);
    struct lsmkv_keyspace *keyspaces[4];
    struct lsmkv *db;

    strangers = false;
    fuzz_check(lsmkv_open(STORE, &options, &db) == 0);
    for (size_t i = 0; i < 4; i++)
        fuzz_check(lsmkv_keyspace_open(db, names[i], &keyspaces[i]) == 0);
    for (unsigned i = 0; input->left > 0 && i < RECORDS_MAX; i++) {
        unsigned keyspace = (unsigned)fuzz_number(input, 1) % 4;
        size_t key_size = (size_t)fuzz_number(input, 2);
        size_t attributes_size = (size_t)fuzz_number(input, 2);
        size_t value_size = (size_t)fuzz_number(input, 2);
        struct lsmkv_slice key = fuzz_take(input, key_size);
        struct lsmkv_slice attributes = fuzz_take(input, attributes_size);
        struct lsmkv_slice value = fuzz_take(input, value_size);

        strangers = strangers || (keyspace == 2 && key.size != CHUNK_KEY_SIZE);
        if (key.size <= LSMKV_KEY_MAX && attributes.size <= LSMKV_ATTRIBUTES_MAX)
            fuzz_check(lsmkv_put(db, keyspaces[keyspace], key, attributes, value,
                                 LSMKV_UNSYNCED) == 0);
    }
    fuzz_check(lsmkv_close(db) == 0);
}

/* ---- reading ---- */

/* Names of one directory. */
struct names {
    char names[NAMES_MAX][256];
    unsigned count, calls;
    uint64_t cookie;
    struct vfs *vfs;
    bool more;
};

static bool
add_name(void *context, const struct vfs_listed *listed)
{
    struct names *names = context;

    fuzz_check(strlen(listed->name) < sizeof(names->names[0]));
    if (names->calls++ % 5 == 4)
        return false;
    names->cookie = listed->cookie;
    names->more = true;
    if (listed->node != NULL)
        vfs_forget(names->vfs, listed->node, 1);
    if (strcmp(listed->name, ".") != 0 && strcmp(listed->name, "..") != 0 &&
        names->count < NAMES_MAX)
        strcpy(names->names[names->count++], listed->name);
    return true;
}

static void
list(struct vfs *vfs, struct node *node, struct names *names)
{
    unsigned pages = 0;

    memset(names, 0, sizeof(*names));
    names->vfs = vfs;
    do {
        names->more = false;
        if (vfs_readdir(vfs, node, names->cookie, pages % 2 == 0, add_name, names) != 0)
            return;
        names->calls = 0;
    } while (names->more && ++pages < PAGES_MAX);
}

static void
read_xattrs(struct vfs *vfs, struct node *node)
{
    char names[2048], value[256];
    size_t length, got;

    if (vfs_listxattr(vfs, &caller, node, NULL, 0, &length) != 0 ||
        vfs_listxattr(vfs, &caller, node, names, sizeof(names), &length) != 0)
        return;
    fuzz_check(length <= sizeof(names));
    for (size_t at = 0; at < length; at += strlen(names + at) + 1) {
        fuzz_check(memchr(names + at, '\0', length - at) != NULL);
        if (vfs_getxattr(vfs, node, names + at, value, sizeof(value), &got) == 0)
            fuzz_check(got <= sizeof(value));
    }
}

/* A part reads as it does within the whole. */
static void
compare_parts(struct vfs *vfs, struct node *node)
{
    static uint8_t whole[300 << 10], part[300 << 10];
    const uint64_t offset = 128 << 10; /* a chunk */
    size_t got, got_part;

    if (vfs_read(vfs, node, 0, whole, sizeof(whole), 0, &got) != 0 || got <= offset ||
        vfs_read(vfs, node, offset, part, sizeof(part), 0, &got_part) != 0)
        return;
    if (got - offset < got_part)
        got_part = got - offset;
    fuzz_check(memcmp(whole + offset, part, got_part) == 0);
}

static void
read_contents(struct vfs *vfs, struct node *node, uint64_t size)
{
    static uint8_t bytes[300 << 10];
    const uint64_t offsets[] = {0, 128 << 10, size / 2, size > 100 ? size - 100 : 0};
    uint64_t at = 0, found;
    size_t got;

    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++)
        if (vfs_read(vfs, node, offsets[i], bytes, sizeof(bytes), 0, &got) == 0)
            fuzz_check(got <= sizeof(bytes) &&
                       (offsets[i] < size ? got <= size - offsets[i] : got == 0));
    for (unsigned i = 0; i < 8; i++) {
        if (vfs_seek(vfs, node, at, i % 2 ? SEEK_HOLE : SEEK_DATA, &found) != 0)
            break;
        fuzz_check(found >= at && found <= size);
        at = found;
    }
}

static void
read_node(struct vfs *vfs, struct node *node)
{
    char target[4096];
    struct stat st;

    if (vfs_getattr(vfs, node, &st, NULL) != 0)
        return;
    fuzz_check(st.st_size >= 0 && st.st_blocks >= 0);
    read_xattrs(vfs, node);
    if (S_ISREG(st.st_mode)) {
        read_contents(vfs, node, (uint64_t)st.st_size);
        compare_parts(vfs, node);
    } else if (S_ISLNK(st.st_mode) &&
               vfs_readlink(vfs, node, target, sizeof(target)) == 0) {
        fuzz_check(strnlen(target, sizeof(target)) < sizeof(target));
    }
}

/* ---- changing ---- */

static void
change_contents(struct vfs *vfs, struct node *node)
{
    static const char text[] = "written by the fuzzer";
    struct stat change = {.st_size = 130000}, st;
    char back[sizeof(text)];
    uint64_t offset = 131000; /* near the end of a chunk */
    size_t got;

    if (vfs_write(vfs, &caller, node, offset, text, sizeof(text), 0) == 0) {
        int result = vfs_read(vfs, node, offset, back, sizeof(back), 0, &got);

        fuzz_check(result == 0 || (strangers && result == -EUCLEAN));
        fuzz_check(result != 0 ||
                   (got == sizeof(text) && memcmp(back, text, sizeof(text)) == 0));
    }
    if (vfs_setattr(vfs, &caller, node, &change, VFS_SIZE, &st) == 0) {
        fuzz_check(st.st_size == change.st_size);
        if (vfs_read(vfs, node, 0, back, sizeof(back), 0, &got) == 0)
            fuzz_check(got == sizeof(back));
    }
    if (vfs_fallocate(vfs, &caller, node, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10,
                      70000) == 0 &&
        vfs_read(vfs, node, 20, back, sizeof(back), 0, &got) == 0)
        fuzz_check(got == sizeof(back) && back[0] == 0 && back[got - 1] == 0);
}

static void
change_xattrs(struct vfs *vfs, struct node *node)
{
    char value[1200] = "x", back[1200];
    size_t got;

    for (size_t size = 1; size <= sizeof(value); size += sizeof(value) - 1) {
        if (vfs_setxattr(vfs, &caller, node, "user.fuzz", value, size, 0) != 0)
            continue;
        fuzz_check(vfs_getxattr(vfs, node, "user.fuzz", back, sizeof(back), &got) == 0);
        fuzz_check(got == size && memcmp(value, back, size) == 0);
    }
    if (vfs_removexattr(vfs, node, "user.fuzz") == 0)
        fuzz_check(vfs_getxattr(vfs, node, "user.fuzz", back, sizeof(back), &got) ==
                   -ENODATA);
}

/* Gives the name away and takes it back, and at last takes it away, or at least tries. */
static void
change_name(struct vfs *vfs, struct node *parent, const char *name, struct node *node)
{
    struct vfs_entry entry;

    if (vfs_link(vfs, node, parent, "fuzz-link", &entry) == 0) {
        vfs_forget(vfs, entry.node, 1);
        (void)!vfs_unlink(vfs, parent, "fuzz-link");
    }
    if (vfs_rename(vfs, parent, name, parent, "fuzz-renamed", 0) == 0)
        (void)!vfs_rename(vfs, parent, "fuzz-renamed", parent, name, 0);
    if (vfs_unlink(vfs, parent, name) == -EISDIR)
        (void)!vfs_rmdir(vfs, parent, name);
}

static void
walk(struct vfs *vfs, struct node *node, unsigned depth, bool changing)
{
    struct names *names = malloc(sizeof(*names));

    fuzz_check(names != NULL);
    list(vfs, node, names);
    for (unsigned i = 0; i < names->count; i++) {
        struct vfs_entry entry;

        if (vfs_lookup(vfs, node, names->names[i], &entry, NULL) != 0)
            continue;
        read_node(vfs, entry.node);
        if (changing && S_ISREG(entry.stat.st_mode))
            change_contents(vfs, entry.node);
        if (changing)
            change_xattrs(vfs, entry.node);
        if (S_ISDIR(entry.stat.st_mode) && depth < DEPTH_MAX)
            walk(vfs, entry.node, depth + 1, changing);
        if (changing)
            change_name(vfs, node, names->names[i], entry.node);
        vfs_forget(vfs, entry.node, 1);
    }
    free(names);
}

static void
walk_keys(struct vfs *vfs)
{
    struct vfs_entry private, keys;

    if (vfs_lookup(vfs, vfs_root(vfs), ".lsmfs", &private, NULL) != 0)
        return;
    if (vfs_lookup(vfs, private.node, "keys", &keys, NULL) == 0) {
        walk(vfs, keys.node, 0, false);
        vfs_forget(vfs, keys.node, 1);
    }
    vfs_forget(vfs, private.node, 1);
}

static void
make_file(struct vfs *vfs)
{
    struct vfs_entry entry;

    if (vfs_create(vfs, &caller, vfs_root(vfs), "fuzz-new", 0644, O_WRONLY, &entry) != 0)
        return;
    fuzz_check(vfs_write(vfs, &caller, entry.node, 0, "new", 3, 0) == 0);
    vfs_forget(vfs, entry.node, 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    struct mem_env *env = new_store();
    struct lsmkv_options engine;
    struct vfs *vfs;
    int result;

    put_records(env, &input);
    result = open_vfs(env, &engine, &vfs);
    if (result == 0) {
        walk(vfs, vfs_root(vfs), 0, false);
        walk_keys(vfs);
        make_file(vfs);
        walk(vfs, vfs_root(vfs), 0, true);
        fuzz_check(vfs_close(vfs) == 0);
        fuzz_check(open_vfs(env, &engine, &vfs) == 0);
        walk(vfs, vfs_root(vfs), 0, false);
        fuzz_check(vfs_close(vfs) == 0);
    } else if (result != -EUCLEAN && result != -EPROTONOSUPPORT) {
        fuzz_fail("it does not open: %s", lsmkv_strerror(result));
    }
    mem_env_free(env);
    return 0;
}
