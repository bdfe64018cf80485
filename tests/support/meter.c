#include "support/meter.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPEN_MAX_SEEN  1024u
#define NAMED_MAX_SEEN 64u

/* A file that is open. */
struct metered {
    struct env_file *file;
    char name[32];
    uint64_t dirty; /* written, and no writing back asked for, since it was synced */
};

/* A log or a manifest, by its name. */
struct named {
    char name[32];
    uint64_t size;
};

static struct lsmkv_env before; /* the functions that were there; constant */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t let_go = PTHREAD_COND_INITIALIZER;
/* guarded by mutex */
static uint64_t now[METER_COUNT], most[METER_COUNT];
static struct metered files[OPEN_MAX_SEEN];
static struct named names[NAMED_MAX_SEEN];
static bool held, merges_held;

static _Thread_local bool merges; /* this thread does, for a store */

/* ---- what is counted; all under the mutex ---- */

static void
note(enum meter_what what, uint64_t value)
{
    now[what] = value;
    if (value > most[what])
        most[what] = value;
}

static bool
ends_in(const char *name, const char *end)
{
    size_t size = strlen(name), end_size = strlen(end);

    return size >= end_size && strcmp(name + size - end_size, end) == 0;
}

/* METER_COUNT: its bytes are not counted. */
static enum meter_what
sum_of(const char *name)
{
    if (ends_in(name, ".log"))
        return METER_LOGS;
    return strncmp(name, "MANIFEST", 8) == 0 ? METER_MANIFEST : METER_COUNT;
}

static enum meter_what
dirt_of(const char *name)
{
    if (ends_in(name, ".log"))
        return METER_LOG_DIRTY;
    if (ends_in(name, ".sst"))
        return METER_TABLE_DIRTY;
    return ends_in(name, ".blob") ? METER_BLOB_DIRTY : METER_COUNT;
}

/* NULL file: a place that is free. */
static struct metered *
metered_of(const struct env_file *file)
{
    for (size_t i = 0; i < OPEN_MAX_SEEN; i++)
        if (files[i].file == file)
            return &files[i];
    ck_abort_msg("more open files than the meter has room for");
}

static struct named *
named_of(const char *name)
{
    for (size_t i = 0; i < NAMED_MAX_SEEN; i++)
        if (strcmp(names[i].name, name) == 0)
            return &names[i];
    return NULL;
}

static void
set_size(const char *name, uint64_t size)
{
    enum meter_what what = sum_of(name);
    struct named *named = named_of(name);

    if (what == METER_COUNT)
        return;
    if (named == NULL) {
        named = named_of("");
        ck_assert_ptr_nonnull(named);
        snprintf(named->name, sizeof(named->name), "%s", name);
        named->size = 0;
    }
    note(what, now[what] - named->size + size);
    named->size = size;
}

static void
grow_to(const char *name, uint64_t size)
{
    const struct named *named = named_of(name);

    if (named == NULL || named->size < size)
        set_size(name, size);
}

static void
forget_name(const char *name)
{
    struct named *named = named_of(name);

    if (named == NULL)
        return;
    set_size(name, 0);
    named->name[0] = '\0';
}

/* ---- the functions ---- */

static int
meter_file_open(struct env_dir *dir, const char *name, enum env_open how,
                struct env_file **file)
{
    int result;

    pthread_mutex_lock(&mutex);
    while ((held || (merges_held && merges)) && how == ENV_CREATE &&
           ends_in(name, ".sst"))
        pthread_cond_wait(&let_go, &mutex);
    pthread_mutex_unlock(&mutex);
    result = before.file_open(dir, name, how, file);
    if (result != 0)
        return result;
    pthread_mutex_lock(&mutex);
    struct metered *metered = metered_of(NULL);
    *metered = (struct metered){.file = *file};
    snprintf(metered->name, sizeof(metered->name), "%s", name);
    if (how == ENV_REPLACE)
        forget_name(name);
    note(METER_FILES, now[METER_FILES] + 1);
    pthread_mutex_unlock(&mutex);
    return 0;
}

static int
meter_file_close(struct env_file *file)
{
    pthread_mutex_lock(&mutex);
    metered_of(file)->file = NULL;
    note(METER_FILES, now[METER_FILES] - 1);
    pthread_mutex_unlock(&mutex);
    return before.file_close(file);
}

static int
meter_file_write(struct env_file *file, uint64_t offset, const struct iovec *parts,
                 int count)
{
    int result = before.file_write(file, offset, parts, count);
    uint64_t size = 0;

    for (int i = 0; i < count; i++)
        size += parts[i].iov_len;
    pthread_mutex_lock(&mutex);
    struct metered *metered = metered_of(file);
    metered->dirty += size;
    grow_to(metered->name, offset + size);
    pthread_mutex_unlock(&mutex);
    return result;
}

static int
meter_file_sync(struct env_file *file)
{
    pthread_mutex_lock(&mutex);
    struct metered *metered = metered_of(file);
    enum meter_what what = dirt_of(metered->name);
    if (what != METER_COUNT)
        note(what, metered->dirty);
    metered->dirty = 0;
    pthread_mutex_unlock(&mutex);
    return before.file_sync(file);
}

static int
meter_file_truncate(struct env_file *file, uint64_t size)
{
    int result = before.file_truncate(file, size);

    pthread_mutex_lock(&mutex);
    if (result == 0)
        set_size(metered_of(file)->name, size);
    pthread_mutex_unlock(&mutex);
    return result;
}

static void
meter_file_writeback(struct env_file *file, uint64_t offset, uint64_t size)
{
    pthread_mutex_lock(&mutex);
    struct metered *metered = metered_of(file);
    metered->dirty -= size < metered->dirty ? size : metered->dirty;
    pthread_mutex_unlock(&mutex);
    before.file_writeback(file, offset, size);
}

static int
meter_dir_unlink(struct env_dir *dir, const char *name)
{
    int result = before.dir_unlink(dir, name);

    pthread_mutex_lock(&mutex);
    if (result == 0)
        forget_name(name);
    pthread_mutex_unlock(&mutex);
    return result;
}

static int
meter_dir_rename(struct env_dir *dir, const char *from, const char *to)
{
    int result = before.dir_rename(dir, from, to);

    pthread_mutex_lock(&mutex);
    if (result == 0) {
        struct named *moved = named_of(from);

        forget_name(to);
        if (moved != NULL)
            snprintf(moved->name, sizeof(moved->name), "%s", to);
        for (size_t i = 0; i < OPEN_MAX_SEEN; i++)
            if (files[i].file != NULL && strcmp(files[i].name, from) == 0)
                snprintf(files[i].name, sizeof(files[i].name), "%s", to);
    }
    pthread_mutex_unlock(&mutex);
    return result;
}

static void *
meter_allocate(struct lsmkv_env *env, size_t size)
{
    void *buffer = before.allocate(env, size);

    pthread_mutex_lock(&mutex);
    if (buffer != NULL)
        note(METER_MEMORY, now[METER_MEMORY] + size);
    pthread_mutex_unlock(&mutex);
    return buffer;
}

static void
meter_release(struct lsmkv_env *env, void *buffer, size_t size)
{
    pthread_mutex_lock(&mutex);
    note(METER_MEMORY, now[METER_MEMORY] - size);
    pthread_mutex_unlock(&mutex);
    before.release(env, buffer, size);
}

/* A thread of a store's. */
struct started {
    bool merges;
    void (*body)(void *argument);
    void *argument;
};

static void
run_started(void *argument)
{
    struct started started = *(struct started *)argument;

    free(argument);
    merges = started.merges;
    started.body(started.argument);
}

static int
meter_thread_start(struct lsmkv_env *env, const char *name, void (*body)(void *argument),
                   void *argument, struct env_thread **thread)
{
    struct started *started = malloc(sizeof(*started));
    int result;

    ck_assert_ptr_nonnull(started);
    *started = (struct started){strcmp(name, "lsmkv-compact") == 0, body, argument};
    result = before.thread_start(env, name, run_started, started, thread);
    if (result != 0)
        free(started);
    return result;
}

/* ---- for tests ---- */

void
meter_attach(struct lsmkv_env *env)
{
    ck_assert(before.file_open == NULL);
    before = *env;
    env->file_open = meter_file_open;
    env->file_close = meter_file_close;
    env->file_write = meter_file_write;
    env->file_sync = meter_file_sync;
    env->file_truncate = meter_file_truncate;
    env->file_writeback = meter_file_writeback;
    env->dir_unlink = meter_dir_unlink;
    env->dir_rename = meter_dir_rename;
    env->thread_start = meter_thread_start;
    env->allocate = meter_allocate;
    env->release = meter_release;
}

uint64_t
meter_now(enum meter_what what)
{
    pthread_mutex_lock(&mutex);
    uint64_t value = now[what];
    pthread_mutex_unlock(&mutex);
    return value;
}

uint64_t
meter_most(enum meter_what what)
{
    pthread_mutex_lock(&mutex);
    uint64_t value = most[what];
    pthread_mutex_unlock(&mutex);
    return value;
}

void
meter_reset(void)
{
    pthread_mutex_lock(&mutex);
    memcpy(most, now, sizeof(most));
    for (int what = METER_LOG_DIRTY; what < METER_COUNT; what++)
        now[what] = most[what] = 0;
    pthread_mutex_unlock(&mutex);
}

static void
set_held(bool *which, bool value)
{
    pthread_mutex_lock(&mutex);
    *which = value;
    pthread_cond_broadcast(&let_go);
    pthread_mutex_unlock(&mutex);
}

void
meter_hold_tables(void)
{
    set_held(&held, true);
}

void
meter_let_tables_go(void)
{
    set_held(&held, false);
}

void
meter_hold_merges(void)
{
    set_held(&merges_held, true);
}

void
meter_let_merges_go(void)
{
    set_held(&merges_held, false);
}
