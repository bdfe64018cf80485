/* control_reads.c - see control_reads.h. */
#include "daemon/control_reads.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "archive/export.h"
#include "check/fsck.h"

#define WORD_SHOWN 1200u /* bytes of a key or a text; more are cut */

/* Sends a blank and a word. */
static void
send_word(struct wire *wire, const void *bytes, size_t size)
{
    char coded[3 * WORD_SHOWN + 1];

    wire_encode(bytes, size < WORD_SHOWN ? size : WORD_SHOWN, coded);
    wire_say(wire, " %s", coded);
}

static void
send_text(struct wire *wire, const char *text)
{
    send_word(wire, text, strlen(text));
}

/* The state that `name` sees, or that of now.  Times that were deferred are put first; if they cannot be,
 * after a failed sync say, there is still something to read. */
static int
pin(struct vfs *vfs, const char *name, struct lsmkv_snapshot **snapshot)
{
    struct lsmkv *db = vfs_store(vfs)->db;

    if (*name != '\0')
        return lsmkv_snapshot_open(db, name, snapshot, NULL);
    int synced = vfs_sync(vfs);
    (void)synced;
    return lsmkv_snapshot_take(db, snapshot);
}

/* ---- export ---- */

static int
send_archive(void *context, const void *bytes, size_t size)
{
    struct wire *wire = context;

    wire_data(wire, bytes, size);
    return wire->failure;
}

static void
send_key(struct wire *wire, const char *word, struct lsmkv_slice key, const char *what)
{
    wire_say(wire, "%s", word);
    send_word(wire, key.data, key.size);
    send_text(wire, what);
    wire_say(wire, "\n");
}

static void
take_lost(void *context, struct lsmkv_slice key, const char *what)
{
    send_key(context, "lost", key, what);
}

static void
take_left(void *context, struct lsmkv_slice key, const char *what)
{
    send_key(context, "left", key, what);
}

/* `paths`: each with a NUL behind it. */
static int
export_paths(struct export *export, struct wire *wire, const char *paths, const char *end)
{
    int result = 0;

    if (paths == end) {
        result = export_tree(export, lsmkv_str(""));
        return result == -ENOENT ? 0 : result;
    }
    while (paths < end && result == 0) {
        struct lsmkv_slice path = lsmkv_str(paths);

        result = export_tree(export, path);
        if (result == -ENOENT) {
            send_key(wire, "absent", path, "");
            result = wire->failure;
        }
        paths += path.size + 1;
    }
    return result;
}

/* Libarchive looks at names as text of the locale, and bytes that are none stay as they are. */
static int
export_state(struct store *store, const struct lsmkv_snapshot *snapshot,
             struct wire *wire, const char *paths, const char *end, char *text,
             size_t size)
{
    const struct export_report report = {take_lost, take_left, wire};
    const struct export_sink sink = {send_archive, wire};
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    locale_t before = utf8 != (locale_t)0 ? uselocale(utf8) : (locale_t)0;
    struct export *export;
    uint64_t lost;
    int result = export_new_to(store, snapshot, &sink, &report, &export);

    if (result == 0) {
        result = export_paths(export, wire, paths, end);
        if (result != 0 && *export_unread(export) != '\0')
            snprintf(text, size, "%s; unmounted, it is exported as far as it can be read",
                     export_unread(export));
        int finished = export_finish(export, &lost);
        result = result != 0 ? result : finished;
    }
    if (utf8 != (locale_t)0) {
        uselocale(before);
        freelocale(utf8);
    }
    return result;
}

int
control_export(struct vfs *vfs, struct wire *wire, struct lsmkv_slice argument,
               char *text, size_t size)
{
    struct store *store = vfs_store(vfs);
    struct lsmkv_snapshot *snapshot;

    if (argument.size == 0)
        return -EPROTO;
    const char *name = argument.data, *end = name + argument.size;
    if (end[-1] != '\0')
        return -EPROTO;
    int result = pin(vfs, name, &snapshot);
    if (result != 0)
        return result;
    result =
        export_state(store, snapshot, wire, name + strlen(name) + 1, end, text, size);
    lsmkv_snapshot_release(store->db, snapshot);
    return result;
}

/* ---- check ---- */

struct checking {
    struct wire *wire;
    const char *snapshot; /* that is looked at; "": the state of now */
    bool damaged;
};

static bool
show_bytes(void *context, uint64_t done, uint64_t total)
{
    struct checking *checking = context;

    return wire_progress(checking->wire, done, total);
}

static bool
show_records(void *context, uint64_t records)
{
    struct checking *checking = context;

    return wire_progress(checking->wire, records, 0);
}

static void
send_file(struct wire *wire, const struct lsmkv_finding *finding)
{
    wire_say(wire, "file %d", (int)finding->severity);
    send_text(wire, finding->file);
    wire_say(wire, " %llu", (unsigned long long)finding->offset);
    send_text(wire, finding->text);
    wire_say(wire, "\n");
}

static void
take_file(void *context, const struct lsmkv_finding *finding)
{
    struct checking *checking = context;

    checking->damaged |= finding->severity == LSMKV_DAMAGE;
    send_file(checking->wire, finding);
}

static void
take_record(void *context, const struct fsck_finding *finding)
{
    struct checking *checking = context;
    struct wire *wire = checking->wire;

    wire_say(wire, "record %d", (int)finding->severity);
    send_text(wire, checking->snapshot);
    send_text(wire, finding->where);
    send_text(wire, finding->text);
    wire_say(wire, "\n");
}

static void
begin_snapshot(void *context, const char *name)
{
    struct checking *checking = context;

    checking->snapshot = name;
}

static int
check_records(struct vfs *vfs, struct checking *checking, bool snapshots)
{
    const struct fsck_report report = {.finding = take_record,
                                       .progress = show_records,
                                       .context = checking,
                                       .salvaging = checking->damaged};
    struct store *store = vfs_store(vfs);
    struct lsmkv_snapshot *snapshot;
    uint64_t damage;
    int result = pin(vfs, "", &snapshot);

    if (result != 0)
        return result;
    result = fsck_run(store, snapshot, &report, &damage);
    lsmkv_snapshot_release(store->db, snapshot);
    return result == 0 && snapshots ? fsck_run_named(store, &report, begin_snapshot)
                                    : result;
}

/* Damage that the files did not show: of what was written since, or could not be flushed. */
static void
tell_unread(struct checking *checking, int result)
{
    struct fsck_finding finding = {
        .severity = LSMKV_DAMAGE, .where = "store", .text = lsmkv_error_detail()};

    if (finding.text[0] == '\0')
        finding.text = lsmkv_strerror(result);
    take_record(checking, &finding);
}

int
control_check(struct vfs *vfs, struct wire *wire, bool snapshots)
{
    struct checking checking = {.wire = wire, .snapshot = ""};
    const struct lsmkv_check_options check = {take_file, show_bytes, &checking};
    int result = lsmkv_check_open(vfs_store(vfs)->db, &check);

    if (result != 0 && result != -EUCLEAN)
        return result;
    result = check_records(vfs, &checking, snapshots);
    if ((result == -EBADMSG || result == -EUCLEAN) && !checking.damaged)
        tell_unread(&checking, result);
    return result;
}

/* ---- repair ---- */

static void
take_repair_file(void *wire, const struct lsmkv_finding *finding)
{
    send_file(wire, finding);
}

/* NULL data: it is not known. */
static void
send_known(struct wire *wire, struct lsmkv_slice word)
{
    wire_say(wire, word.data != NULL ? " +" : " -");
    if (word.data != NULL) {
        char coded[3 * WORD_SHOWN + 1];

        wire_encode(word.data, word.size < WORD_SHOWN ? word.size : WORD_SHOWN, coded);
        wire_say(wire, "%s", coded);
    }
}

static void
take_loss(void *context, const struct lsmkv_loss *loss)
{
    struct wire *wire = context;

    wire_say(wire, "lost");
    send_text(wire, loss->file);
    wire_say(wire, " %llu %llu %llu %d", (unsigned long long)loss->offset,
             (unsigned long long)loss->size, (unsigned long long)loss->sequence,
             loss->last_too);
    send_known(wire,
               loss->keyspace != NULL ? lsmkv_str(loss->keyspace) : lsmkv_bytes(NULL, 0));
    send_known(wire, loss->first);
    send_known(wire, loss->last);
    wire_say(wire, "\n");
}

/* The daemon writes as its own user, and where it was handed a directory: so it does for that user
 * alone, who could do it without the daemon as well. */
int
control_repair(struct vfs *vfs, struct wire *wire, char *text, size_t size)
{
    const struct lsmkv_repair_options repair = {take_repair_file, take_loss,
                                                wire_progress, NULL, wire};
    char target[64];
    uid_t user;
    int directory;

    if (!wire_is_own_user(wire, &user))
        return -EPERM;
    wire_say(wire, "directory\n");
    int result = wire_receive_descriptor(wire, &directory);
    if (result != 0)
        return result;
    snprintf(target, sizeof(target), "/proc/self/fd/%d/store", directory);
    int synced = vfs_sync(vfs); /* times that were deferred; there is still much else */
    (void)synced;
    result = lsmkv_repair_open(vfs_store(vfs)->db, target, &repair);
    if (result != 0 && result != -EUCLEAN)
        snprintf(text, size, "%s", lsmkv_strerror(result));
    close(directory);
    return result == -EUCLEAN ? 0 : result;
}
