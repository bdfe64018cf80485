/* import_make.c - see import_make.h. */
#include "archive/import_make.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "archive/import_traits.h"
#include "store/acl.h"

#define HOLE_SIZE 4096u /* the smallest hole */
#define NAMES_MAX 1000u /* that are tried */

/* ---- telling ---- */

/* An -EIO may be of what is damaged at one name; the second entry in a row that meets one breaks. */
static bool
breaks(struct import_maker *maker, int result)
{
    static const int all[] = {ENOSPC,     EDQUOT,   EROFS,        ENOMEM,
                              EPIPE,      ENOTCONN, ECONNABORTED, ECONNREFUSED,
                              ECONNRESET, ECANCELED};

    if (result == -EIO) {
        maker->met_io_error = true;
        return maker->met_io_error_before;
    }
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (result == -all[i])
            return true;
    }
    return false;
}

void
import_fail(struct import_maker *maker, const char *path, const char *what, int result)
{
    char why[512];

    if (maker->broken && maker->told)
        return; /* the rest follows from it */
    maker->told = true;
    if (breaks(maker, result))
        maker->broken = true;
    snprintf(why, sizeof(why), "%s%s%s", what, *what != '\0' && result != 0 ? ": " : "",
             result != 0 ? lsmkv_strerror(result) : "");
    maker->tell(maker->context, path, why);
}

bool
import_done(struct import_maker *maker, const char *path, const char *what, int result)
{
    if (result != 0)
        import_fail(maker, path, what, result);
    return result == 0;
}

void
import_next(struct import_maker *maker)
{
    maker->told = false;
    maker->met_io_error_before = maker->met_io_error;
    maker->met_io_error = false;
}

void
import_made(struct import_maker *maker)
{
    if (maker->told)
        maker->failed++;
    else
        maker->put++;
}

/* ---- directories ---- */

/* One step down: `*at` is exchanged for what is there, which is made if it is not and
 * `make`. */
static int
enter(struct import_maker *maker, union import_file *at, const char *name, bool make)
{
    struct import_tree *tree = maker->tree;
    const struct import_kind folder = {.mode = S_IFDIR | maker->permissions};
    union import_file next;
    struct stat st = {.st_mode = S_IFDIR};
    int result = tree->find(tree, *at, name, &next, &st);

    if (result == -ENOENT && make) {
        result = tree->make(tree, *at, name, &folder, &next);
        if (result == -EEXIST) /* somebody else has made it */
            result = tree->find(tree, *at, name, &next, &st);
    }
    if (result != 0)
        return result;
    if (!S_ISDIR(st.st_mode)) {
        tree->forget(tree, next);
        return -ENOTDIR;
    }
    tree->forget(tree, *at);
    *at = next;
    return 0;
}

/* The directory at `size` bytes of `path`; "" and "." are the root. */
static int
walk(struct import_maker *maker, const char *path, size_t size, bool make,
     union import_file *found)
{
    struct import_tree *tree = maker->tree;
    union import_file at = tree->root;
    char *copy = strndup(path, size), *rest = copy;
    const char *name;
    int result = copy != NULL ? 0 : -ENOMEM;

    while (result == 0 && (name = strsep(&rest, "/")) != NULL) {
        if (*name != '\0' && strcmp(name, ".") != 0)
            result = enter(maker, &at, name, make);
    }
    free(copy);
    if (result != 0)
        tree->forget(tree, at);
    else
        *found = at;
    return result;
}

static void
split(const char *path, size_t *folder_size, const char **name)
{
    const char *slash = strrchr(path, '/');

    *folder_size = slash != NULL ? (size_t)(slash - path) : 0;
    *name = slash != NULL ? slash + 1 : path;
}

/* What is at a path, without making anything. */
static int
find_path(struct import_maker *maker, const char *path, union import_file *file,
          struct stat *st)
{
    struct import_tree *tree = maker->tree;
    union import_file folder;
    const char *name;
    size_t size;

    split(path, &size, &name);
    int result = walk(maker, path, size, false, &folder);
    if (result != 0)
        return result;
    if (strcmp(name, ".") == 0) {
        result = tree->stat(tree, folder, st);
        if (result == 0)
            *file = folder;
        return result;
    }
    result = tree->find(tree, folder, name, file, st);
    tree->forget(tree, folder);
    return result;
}

/* M6.  The files that are there count as put, the directory as failed. */
static void
check_place(struct import_maker *maker)
{
    struct import_tree *tree = maker->tree;
    union import_file there;
    struct stat st, ours;
    bool told = maker->told;
    int result = find_path(maker, maker->directory_path, &there, &st);

    if (result == 0)
        tree->forget(tree, there);
    if (result == 0)
        result = tree->stat(tree, maker->directory, &ours);
    if (result == 0 && st.st_ino == ours.st_ino)
        return;
    import_fail(maker, maker->directory_path, "was moved while files came into it", 0);
    maker->failed++;
    maker->told = told;
}

static void
leave_directory(struct import_maker *maker)
{
    if (maker->directory_path == NULL)
        return;
    if (maker->tree->is_shared && *maker->directory_path != '\0' && !maker->broken)
        check_place(maker);
    maker->tree->forget(maker->tree, maker->directory);
    free(maker->directory_path);
    maker->directory_path = NULL;
}

/* Goes where `path` is to be made; the next one is mostly in the same directory. */
static int
go_to(struct import_maker *maker, const char *path)
{
    union import_file folder;
    size_t size;

    maker->path = path;
    split(path, &size, &maker->name);
    if (maker->directory_path != NULL && strlen(maker->directory_path) == size &&
        memcmp(maker->directory_path, path, size) == 0)
        return 0;
    leave_directory(maker);
    char *copy = strndup(path, size);
    int result = copy != NULL ? walk(maker, path, size, true, &folder) : -ENOMEM;
    if (result != 0) {
        free(copy);
        return result;
    }
    maker->directory_path = copy;
    maker->directory = folder;
    return 0;
}

int
import_make_directory(struct import_maker *maker, const char *path)
{
    union import_file folder;
    int result = walk(maker, path, strlen(path), true, &folder);

    if (result == 0)
        maker->tree->forget(maker->tree, folder);
    return result;
}

/* ---- its place (M1) ---- */

/* Under a name that nothing has: `linked`, or if that is NULL something new. */
static int
make_temporary(struct import_maker *maker, const union import_file *linked,
               const struct import_kind *kind)
{
    struct import_tree *tree = maker->tree;
    int result = -EEXIST;

    for (unsigned i = 0; i < NAMES_MAX && result == -EEXIST; i++) {
        snprintf(maker->temporary, sizeof(maker->temporary), ".lsmfs-import.%d.%u",
                 (int)getpid(), maker->number++);
        if (linked != NULL)
            result = tree->link(tree, *linked, maker->directory, maker->temporary);
        else
            result =
                tree->make(tree, maker->directory, maker->temporary, kind, &maker->file);
    }
    if (result != 0)
        maker->temporary[0] = '\0';
    return result;
}

static void
remove_temporary(struct import_maker *maker, bool is_folder)
{
    struct import_tree *tree = maker->tree;
    int result = tree->remove(tree, maker->directory, maker->temporary, is_folder);

    if (result != 0 && !maker->broken)
        import_fail(maker, maker->path, maker->temporary, result);
}

/* Rename would not replace what is there: one of the two is a directory.  So they change places, and what
 * was there goes if it can, which one that is not empty cannot. */
static int
exchange_places(struct import_maker *maker, const struct stat *there)
{
    struct import_tree *tree = maker->tree;
    bool is_folder = S_ISDIR(there->st_mode);
    int result = tree->exchange(tree, maker->directory, maker->temporary, maker->name);

    if (result != 0)
        return result;
    result = tree->remove(tree, maker->directory, maker->temporary, is_folder);
    if (result == 0 && is_folder)
        import_lates_remove(&maker->lates, there->st_ino);
    if (result != 0) {
        int back = tree->exchange(tree, maker->directory, maker->temporary, maker->name);
        result = back != 0 ? back : result;
    }
    return result;
}

/* What was made takes its place, or goes. */
static int
take_place(struct import_maker *maker, bool is_folder)
{
    struct import_tree *tree = maker->tree;
    union import_file there;
    struct stat st;
    int result = tree->find(tree, maker->directory, maker->name, &there, &st);
    bool is_there = result == 0;

    if (is_there)
        tree->forget(tree, there);
    if (is_there && (is_folder || S_ISDIR(st.st_mode)))
        result = exchange_places(maker, &st);
    else if (is_there || result == -ENOENT)
        result = tree->rename(tree, maker->directory, maker->temporary, maker->name);
    if (result != 0)
        remove_temporary(maker, is_folder);
    return result;
}

/* ---- making ---- */

static int
begin_folder(struct import_maker *maker)
{
    struct import_tree *tree = maker->tree;
    const struct import_kind folder = {.mode = S_IFDIR | 0700};
    struct stat st;
    int result = tree->find(tree, maker->directory, maker->name, &maker->file, &st);

    if (result == -ENOENT) {
        maker->is_new = true;
        result = tree->make(tree, maker->directory, maker->name, &folder, &maker->file);
        if (result != -EEXIST)
            return result;
        /* Somebody else has made it. */
        result = tree->find(tree, maker->directory, maker->name, &maker->file, &st);
    }
    if (result != 0)
        return result;
    maker->is_new = !S_ISDIR(st.st_mode);
    if (maker->is_new) {
        tree->forget(tree, maker->file);
        result = make_temporary(maker, NULL, &folder);
        if (result != 0)
            return result;
        result = take_place(maker, true);
        maker->temporary[0] = '\0';
        if (result != 0)
            tree->forget(tree, maker->file);
        return result;
    }
    /* As it was the last time, it may keep its own owner out; if it cannot be let in,
     * what comes into it tells. */
    if (!tree->sets_owners && (st.st_mode & 0700) != 0700)
        (void)tree->set_mode(tree, maker->file, (st.st_mode & 07777) | 0700);
    return 0;
}

static int
begin_file(struct import_maker *maker)
{
    const struct import_kind kind = {
        .mode = archive_entry_filetype(maker->entry) | 0600,
        .rdev = makedev((unsigned)archive_entry_rdevmajor(maker->entry),
                        (unsigned)archive_entry_rdevminor(maker->entry)),
        .link = archive_entry_symlink(maker->entry)};

    maker->is_new = true;
    return make_temporary(maker, NULL, &kind);
}

bool
import_begin(struct import_maker *maker, struct archive_entry *entry)
{
    const char *path = archive_entry_pathname(entry);
    bool is_folder = archive_entry_filetype(entry) == AE_IFDIR;

    maker->entry = entry;
    maker->end = 0;
    maker->temporary[0] = '\0';
    if (strcmp(path, ".") == 0) {
        maker->path = path;
        maker->file = maker->tree->root;
        maker->is_new = false;
        return true;
    }
    int result = go_to(maker, path);
    if (result == 0)
        result = is_folder ? begin_folder(maker) : begin_file(maker);
    return import_done(maker, path, "", result);
}

void
import_abandon(struct import_maker *maker)
{
    maker->tree->forget(maker->tree, maker->file);
    if (maker->temporary[0] != '\0')
        remove_temporary(maker, false);
}

/* Renaming one name of a file to another does nothing, so the second has to be something
 * else. */
static int
link_to(struct import_maker *maker, const char *path, union import_file file, ino_t ino)
{
    struct import_tree *tree = maker->tree;
    union import_file there;
    struct stat st;
    int result = go_to(maker, path);

    if (result == 0)
        result = tree->find(tree, maker->directory, maker->name, &there, &st);
    if (result == 0) {
        tree->forget(tree, there);
        if (st.st_ino == ino)
            return 0;
    }
    if (result == 0 || result == -ENOENT)
        result = make_temporary(maker, &file, NULL);
    return result == 0 ? take_place(maker, false) : result;
}

void
import_link(struct import_maker *maker, const char *path, const char *link)
{
    union import_file file;
    struct stat st;
    int result = find_path(maker, link, &file, &st);

    if (result == 0) {
        result = S_ISDIR(st.st_mode) ? -EPERM : link_to(maker, path, file, st.st_ino);
        maker->tree->forget(maker->tree, file);
    }
    import_done(maker, path, "a link to a file", result);
}

/* ---- contents ---- */

static bool
is_zero(const char *bytes, size_t size)
{
    return size == 0 || (bytes[0] == '\0' && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* How much from `offset` on, of `size`, is in whole pages of zeros, or in pages that are
 * not. */
static size_t
run_of(const char *bytes, size_t size, int64_t offset, bool zero)
{
    size_t run = 0;

    while (run < size) {
        size_t page = HOLE_SIZE - (size_t)((uint64_t)(offset + (int64_t)run) % HOLE_SIZE);
        size_t part = page < size - run ? page : size - run;

        if (is_zero(bytes + run, part) != zero || run + part > IMPORT_WRITE_MAX)
            break;
        run += part;
    }
    return run;
}

/* Zeros are left out, and are a hole: what is made here is new. */
bool
import_write(struct import_maker *maker, const void *bytes, size_t size, int64_t offset)
{
    struct import_tree *tree = maker->tree;
    const char *at = bytes, *end = at + size;

    if (offset < 0 || size > (uint64_t)(INT64_MAX - offset))
        return import_done(maker, maker->path, "", -EFBIG);
    while (at < end) {
        size_t left = (size_t)(end - at), part = run_of(at, left, offset, true);

        if (part == 0) {
            part = run_of(at, left, offset, false);
            int result = tree->write(tree, maker->file, at, part, offset);
            if (!import_done(maker, maker->path, "", result))
                return false;
        }
        at += part;
        offset += (int64_t)part;
        maker->end = offset;
    }
    return true;
}

static bool
finish_contents(struct import_maker *maker)
{
    int64_t size = archive_entry_size(maker->entry);

    if (archive_entry_filetype(maker->entry) != AE_IFREG)
        return true;
    return import_done(maker, maker->path, "",
                       maker->tree->finish(maker->tree, maker->file,
                                           size > maker->end ? size : maker->end));
}

/* ---- the end of an entry ---- */

static void
end_file(struct import_maker *maker)
{
    struct import_traits traits = import_traits_read(maker);
    bool is_link = archive_entry_filetype(maker->entry) == AE_IFLNK;

    import_traits_set(maker, maker->path, maker->file, &traits, is_link);
    import_set_xattrs(maker);
    import_traits_set_times(maker, maker->path, maker->file, &traits);
    import_traits_fini(&traits);
    import_done(maker, maker->path, "", take_place(maker, false));
    maker->tree->forget(maker->tree, maker->file);
}

/* ---- what directories get in the end (M4) ---- */

static void
end_folder(struct import_maker *maker)
{
    struct import_tree *tree = maker->tree;
    struct import_late late = {.path = strdup(maker->path)};
    struct stat st;
    int result = late.path != NULL ? tree->stat(tree, maker->file, &st) : -ENOMEM;

    if (maker->is_new)
        import_drop_list(maker, maker->path, maker->file, ACL_DEFAULT);
    import_set_xattrs(maker);
    tree->forget(tree, maker->file);
    late.traits = import_traits_read(maker);
    late.told = maker->told;
    if (result == 0) {
        late.ino = st.st_ino;
        result = import_lates_add(&maker->lates, &late);
    }
    if (!import_done(maker, maker->path, "its owner, mode and times", result)) {
        import_traits_fini(&late.traits);
        free(late.path);
    }
}

void
import_end(struct import_maker *maker)
{
    if (archive_entry_filetype(maker->entry) == AE_IFDIR)
        end_folder(maker);
    else if (finish_contents(maker))
        end_file(maker);
    else
        import_abandon(maker);
}

/* By now somebody may have put another one in its place. */
static void
finish_late(struct import_maker *maker, const struct import_late *late)
{
    union import_file file;
    struct stat st;
    int result = find_path(maker, late->path, &file, &st);

    if (result == 0 && st.st_ino != late->ino) {
        maker->tree->forget(maker->tree, file);
        result = -ESTALE;
    }
    if (!import_done(maker, late->path, "its owner, mode and times", result))
        return;
    import_traits_set(maker, late->path, file, &late->traits, false);
    import_traits_set_times(maker, late->path, file, &late->traits);
    maker->tree->forget(maker->tree, file);
}

/* What is in a directory comes before it, which may let nobody in then.  Once nothing can be written, one
 * failure says so for all others. */
static void
finish_all_late(struct import_maker *maker)
{
    bool goes_on = true;

    import_lates_sort(&maker->lates);
    for (size_t i = 0; i < maker->lates.count && goes_on; i++) {
        const struct import_late *late = &maker->lates.all[i];

        import_next(maker);
        if (late->ino != 0)
            finish_late(maker, late);
        if (maker->told && !late->told) {
            maker->failed++;
            maker->put--;
        }
        goes_on = !(maker->told && maker->broken);
    }
    import_lates_fini(&maker->lates);
}

/* ---- values ---- */

bool
import_is_directory(struct import_maker *maker, const char *path)
{
    union import_file file;
    struct stat st;

    if (find_path(maker, path, &file, &st) != 0)
        return false;
    maker->tree->forget(maker->tree, file);
    return S_ISDIR(st.st_mode);
}

void
import_end_value(struct import_maker *maker, struct archive_entry *entry,
                 const struct bykey_owner *owner)
{
    struct import_tree *tree = maker->tree;
    const char *path = archive_entry_pathname(entry);
    struct timespec times[2];
    union import_file file;
    struct stat st;
    int result = find_path(maker, path, &file, &st);

    if (!import_done(maker, path, "its owner, mode and times", result))
        return;
    import_traits_read_times(entry, times);
    import_done(maker, path, "its times", tree->set_times(tree, file, times));
    tree->forget(tree, file);
    if ((st.st_mode & 07777) != owner->permissions ||
        (tree->sets_owners && (st.st_uid != owner->uid || st.st_gid != owner->gid)))
        import_fail(maker, path,
                    "its owner or mode: a value without a path keeps its own", 0);
    if (archive_entry_xattr_count(entry) > 0)
        import_fail(maker, path, "its attributes: a value without a path has none", 0);
}

/* ---- its life ---- */

void
import_maker_init(struct import_maker *maker, struct import_tree *tree,
                  void (*tell)(void *context, const char *path, const char *why),
                  void *context)
{
    mode_t mask = umask(0);

    umask(mask);
    *maker = (struct import_maker){
        .tree = tree, .tell = tell, .context = context, .permissions = 0777 & ~mask};
}

void
import_maker_finish(struct import_maker *maker)
{
    leave_directory(maker);
    finish_all_late(maker);
}
