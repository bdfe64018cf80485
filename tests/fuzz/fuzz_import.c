/*
 * fuzz_import.c - a hostile archive, imported into a store that is not mounted.
 *
 * What must hold: it ends; what is not as the archive says is told; the records of the store have no
 * damage, and it takes a file afterwards.  What goes into a directory changes nothing outside of it, and
 * no archive makes a snapshot.
 *
 * Input: a byte, of which bit 0 says that all goes into a directory, bit 1 that headers' checksums stay
 * as they are; then the archive.  What is packed by others than gzip is not taken: their limits of
 * memory are libarchive's.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "archive/import.h"
#include "archive/import_vfs.h"
#include "check/fsck.h"
#include "fuzz.h"
#include "support/mem_env.h"
#include "vfs/vfs.h"

#define STORE       "lsmfs-fuzz-store"
#define HEADER      512u
#define HEADERS_MAX 1000u /* no endless archive of few packed bytes */

static const struct vfs_caller caller = {.uid = 0};

/* ---- the store ---- */

static void
silence(void *context, enum lsmkv_level level, const char *line)
{
    (void)context, (void)level, (void)line;
}

static struct vfs *
open_vfs(struct mem_env *env, struct lsmkv_options *engine)
{
    struct vfs_options options;
    char why[256] = "";
    struct vfs *vfs;

    lsmkv_options_init(engine);
    engine->env = mem_env_base(env);
    engine->write_buffer_size = 256 << 10;
    engine->cache_size = 64 << 10;
    engine->table_size = 64 << 10;
    engine->space_reserve = 1;
    engine->log = silence;
    vfs_options_init(&options);
    options.store.path = STORE;
    options.store.engine = engine;
    options.store.create = true;
    options.store.commit_ms = 60000;
    options.acl = true;
    fuzz_check(vfs_open(&options, &vfs, why, sizeof(why)) == 0);
    return vfs;
}

static void
put(struct vfs *vfs, const char *name, const char *text)
{
    struct vfs_entry entry;

    fuzz_check(vfs_create(vfs, &caller, vfs_root(vfs), name, 0644, O_WRONLY, &entry) ==
               0);
    fuzz_check(vfs_write(vfs, &caller, entry.node, 0, text, strlen(text), 0) == 0);
    vfs_forget(vfs, entry.node, 1);
}

/* A fresh copy of a store with one file, "out". */
static struct mem_env *
new_store(void)
{
    static struct mem_env *made;
    struct lsmkv_options engine;
    struct mem_env *copy;
    struct vfs *vfs;

    if (made == NULL) {
        made = mem_env_new();
        vfs = open_vfs(made, &engine);
        put(vfs, "out", "as it was");
        fuzz_check(vfs_close(vfs) == 0);
    }
    copy = mem_env_kill(made);
    fuzz_check(copy != NULL);
    return copy;
}

/* ---- the archive ---- */

/* An octal number; what is none ends it. */
static uint64_t
octal(const uint8_t *text, size_t size)
{
    uint64_t number = 0;

    for (size_t i = 0; i < size && text[i] >= '0' && text[i] <= '7'; i++)
        number = number << 3 | (uint64_t)(text[i] - '0');
    return number;
}

static void
seal_header(uint8_t *header)
{
    unsigned sum = 0;
    char text[8];

    memset(header + 148, ' ', 8);
    for (size_t i = 0; i < HEADER; i++)
        sum += header[i];
    snprintf(text, sizeof(text), "%06o", sum & 0777777u);
    memcpy(header + 148, text, 7);
}

/* The headers of an archive that is not packed, and that nobody would read otherwise. */
static void
seal_archive(uint8_t *bytes, size_t size)
{
    static const uint8_t zeros[HEADER];
    size_t at = 0;

    while (size - at >= HEADER && memcmp(bytes + at, zeros, HEADER) != 0) {
        uint64_t contents = octal(bytes + at + 124, 12), left = size - at - HEADER;

        seal_header(bytes + at);
        if (contents > left)
            return;
        contents = (contents + HEADER - 1) / HEADER * HEADER;
        at += HEADER + (size_t)(contents < left ? contents : left);
    }
}

static bool
is_packed(const uint8_t *bytes, size_t size)
{
    static const char *const magics[] = {"BZh", "\375\067zXZ", "\x28\xb5\x2f\xfd",
                                         "\x04\x22\x4d\x18", "\x02\x21\x4c\x18"};

    for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++)
        if (size >= strlen(magics[i]) && memcmp(bytes, magics[i], strlen(magics[i])) == 0)
            return true;
    /* frames that both zstd and lz4 pass over */
    return size >= 4 && (bytes[0] & 0xf0) == 0x50 &&
           memcmp(bytes + 1, "\x2a\x4d\x18", 3) == 0;
}

/* ---- importing ---- */

struct listener {
    uint64_t told, entries;
};

static void
note_failure(void *context, const char *path, const char *why)
{
    struct listener *listener = context;

    fuzz_check(path != NULL && why != NULL && *why != '\0');
    listener->told++;
}

static void
note_progress(void *context, uint64_t bytes, uint64_t entries)
{
    struct listener *listener = context;

    (void)bytes;
    listener->entries = entries;
}

static bool
is_enough(void *context)
{
    const struct listener *listener = context;

    return listener->entries > HEADERS_MAX;
}

static void
import(struct vfs *vfs, int fd, const char *directory)
{
    struct listener listener = {0};
    const struct import_report report = {note_failure, note_progress, is_enough,
                                         &listener};
    struct import_place place = {import_vfs_new(vfs), directory, true};
    struct import_counts counts = {0};
    struct import *import;
    char why[512] = "";
    int result = import_open(fd, &report, &import, why, sizeof(why));

    fuzz_check(place.tree != NULL);
    if (result == 0) {
        result = import_into(import, &place, &counts, why, sizeof(why));
        fuzz_check((counts.failed > 0) <= (listener.told > 0));
        import_close(import);
    }
    fuzz_check(result == 0 || result == -EBADMSG || result == -ECANCELED ||
               listener.told > 0);
    fuzz_check(result != -EBADMSG || *why != '\0');
    import_vfs_free(place.tree);
}

/* ---- what is there then ---- */

static void
print_record(void *context, const struct fsck_finding *finding)
{
    (void)context;
    if (finding->severity == LSMKV_DAMAGE)
        fprintf(stderr, "%s: %s\n", finding->where, finding->text);
}

static bool
is_beside(void *context, const struct vfs_listed *listed)
{
    struct vfs *vfs = context;

    if (listed->node != NULL)
        vfs_forget(vfs, listed->node, 1);
    fuzz_check(strcmp(listed->name, ".") == 0 || strcmp(listed->name, "..") == 0 ||
               strcmp(listed->name, "in") == 0 || strcmp(listed->name, "out") == 0);
    return true;
}

/* Nothing but "in" and "out", and that as it was. */
static void
check_outside(struct vfs *vfs)
{
    struct vfs_entry entry;
    char text[32];
    size_t got = 0;

    fuzz_check(vfs_readdir(vfs, vfs_root(vfs), 0, false, is_beside, vfs) == 0);
    fuzz_check(vfs_lookup(vfs, vfs_root(vfs), "out", &entry, NULL) == 0);
    fuzz_check(vfs_read(vfs, entry.node, 0, text, sizeof(text), 0, &got) == 0);
    fuzz_check(fuzz_equal(lsmkv_bytes(text, got), lsmkv_str("as it was")));
    fuzz_check(entry.stat.st_nlink == 1 && entry.stat.st_mode == (S_IFREG | 0644));
    vfs_forget(vfs, entry.node, 1);
}

static int
refuse_snapshot(void *context, const struct lsmkv_snapshot_info *info)
{
    (void)context;
    fuzz_fail("a snapshot was made: %s", info->name);
}

static void
check_store(struct vfs *vfs, bool inside)
{
    struct fsck_report report = {.finding = print_record};
    uint64_t damage = 1;

    fuzz_check(fsck_run(vfs_store(vfs), NULL, &report, &damage) == 0);
    fuzz_check(damage == 0);
    fuzz_check(lsmkv_snapshot_list(vfs_store(vfs)->db, refuse_snapshot, NULL) == 0);
    if (inside)
        check_outside(vfs);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    const uint64_t how = fuzz_number(&input, 1);
    const bool inside = (how & 1) != 0;
    struct lsmkv_options engine;
    struct mem_env *env;
    struct vfs *vfs;
    uint8_t *bytes;
    int fd;

    if (is_packed(input.next, input.left))
        return -1;
    bytes = fuzz_copy(lsmkv_bytes(input.next, input.left));
    if ((how & 2) == 0)
        seal_archive(bytes, input.left);
    fd = memfd_create("archive", MFD_CLOEXEC);
    fuzz_check(fd >= 0 && write(fd, bytes, input.left) == (ssize_t)input.left &&
               lseek(fd, 0, SEEK_SET) == 0);
    free(bytes);
    env = new_store();
    vfs = open_vfs(env, &engine);
    import(vfs, fd, inside ? "in" : "");
    check_store(vfs, inside);
    fuzz_check(vfs_close(vfs) == 0);
    vfs = open_vfs(env, &engine);
    check_store(vfs, inside);
    fuzz_check(vfs_close(vfs) == 0);
    mem_env_free(env);
    close(fd);
    return 0;
}
