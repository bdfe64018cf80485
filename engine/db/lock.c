/*
 * lock.c - one holder a store, and what the others are told.
 *
 * The lock is the operating system's; the lock file's text only informs:
 *
 *     pid N
 *     state open|closing
 *     note TEXT
 *
 * Who finds the lock held by somebody that is closing waits for it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "db/db.h"

#define TEXT_SIZE 12288u /* for a path of the longest, each byte of it escaped */
#define POLL_NS   UINT64_C(20000000)

struct holder {
    int pid;
    bool closing;
    char note[TEXT_SIZE];
};

static void
parse(char *text, struct holder *holder)
{
    char *line, *rest = text;

    memset(holder, 0, sizeof(*holder));
    while ((line = strsep(&rest, "\n")) != NULL) {
        if (strncmp(line, "pid ", 4) == 0)
            holder->pid = (int)strtol(line + 4, NULL, 10);
        else if (strcmp(line, "state closing") == 0)
            holder->closing = true;
        else if (strncmp(line, "note ", 5) == 0)
            snprintf(holder->note, sizeof(holder->note), "%s", line + 5);
    }
}

static int
read_holder(struct env_dir *dir, struct holder *holder)
{
    char text[TEXT_SIZE];
    int result = dir->env->lock_read(dir, LOCK_NAME, text, sizeof(text));

    if (result == 0)
        parse(text, holder);
    return result;
}

/* The lock file's text from note and state. */
static int
lock_note_write(struct lsmkv *db)
{
    char text[TEXT_SIZE];
    int result;

    mutex_lock(&db->mutex);
    snprintf(text, sizeof(text), "pid %d\nstate %s\nnote %s\n", (int)getpid(),
             db->lock_closing ? "closing" : "open",
             db->lock_note != NULL ? db->lock_note : "");
    result =
        db->env->lock_write(db->lock, text); /* two notes are written in their order */
    mutex_unlock(&db->mutex);
    return result;
}

static int
refuse(const char *path, const struct holder *holder)
{
    return error_detail(-EBUSY, "%s is in use by process %d%s%s", path, holder->pid,
                        holder->note[0] != '\0' ? ", " : "", holder->note);
}

int
lock_take(struct lsmkv *db, const char *path)
{
    uint64_t begin = db->env->monotonic(db->env);
    uint64_t limit = (uint64_t)db->options.lock_wait_ms * 1000000;
    struct holder holder = {0};
    int result;

    for (;;) {
        result = db->env->lock(db->dir, LOCK_NAME, db->options.read_only, &db->lock);
        if (result != -EBUSY)
            break;
        /* Readers write no note: what the file says is of somebody before them. */
        if (db->env->lock_held(db->dir, LOCK_NAME) != 1)
            return error_detail(-EBUSY, "%s is being read by another process", path);
        (void)read_holder(db->dir, &holder); /* without it the refusal says less */
        if (!holder.closing || db->env->monotonic(db->env) - begin >= limit)
            return refuse(path, &holder);
        db->env->sleep(db->env, POLL_NS);
    }
    /* Its lock file was left out of a copy, or its name lost with the power: nobody holds
     * it. */
    if (result == -ENOENT && db->options.read_only)
        return 0;
    if (result != 0)
        return error_detail(result, "%s/%s: %s", path, LOCK_NAME, strerror(-result));
    return db->options.read_only ? 0 : lock_note_write(db);
}

/* ---- the public functions ---- */

int
lsmkv_set_lock_note(struct lsmkv *db, const char *note)
{
    char *copy = strdup(note), *old;

    error_clear();
    if (copy == NULL)
        return -ENOMEM;
    /* One line: what follows a newline would be read as another field. */
    copy[strcspn(copy, "\n")] = '\0';
    mutex_lock(&db->mutex);
    old = db->lock_note;
    db->lock_note = copy;
    mutex_unlock(&db->mutex);
    free(old);
    return db->options.read_only ? 0 : lock_note_write(db);
}

void
lsmkv_announce_close(struct lsmkv *db)
{
    mutex_lock(&db->mutex);
    db->lock_closing = true;
    mutex_unlock(&db->mutex);
    if (!db->options.read_only && lock_note_write(db) != 0)
        report_warning(&db->reporter, "%s: cannot say that the store is closing",
                       LOCK_NAME);
}

int
lsmkv_lock_holder(const char *path, int *pid, char *note, size_t note_size)
{
    struct lsmkv_env *env = env_posix();
    struct env_dir *dir;
    struct holder holder = {0};
    int result = env_dir_open(env, path, false, &dir);

    error_clear();
    if (result != 0)
        return error_detail(result, "%s: %s", path, strerror(-result));
    result = env->lock_held(dir, LOCK_NAME);
    if (result == 1)
        result = read_holder(dir, &holder);
    else if (result >= 0)
        result = result == 2 ? 0 : -ENOENT; /* readers write no note */
    env_dir_close(dir);
    if (result != 0)
        return result;
    *pid = holder.pid;
    snprintf(note, note_size, "%s", holder.note);
    return 0;
}
