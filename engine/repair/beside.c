/* beside.c - see beside.h. */
#include "repair/beside.h"

#include <errno.h>
#include <stdlib.h>

#include "db/open.h"

/* Beside the store's own. */
#define CACHE  (4u << 20)
#define TABLES 64u

static int
hold_state(struct beside *beside, struct lsmkv *of) LSMKV_EXCLUDES(of->mutex)
{
    size_t wanted = 0;
    int result;

    mutex_lock(&of->mutex);
    for (struct lsmkv_keyspace *ks = of->keyspaces; ks != NULL; ks = ks->next)
        wanted++;
    beside->views = calloc(wanted + 1, sizeof(struct view *));
    result = beside->views == NULL ? -ENOMEM : state_edit(of, &beside->state);
    for (struct lsmkv_keyspace *ks = of->keyspaces; ks != NULL && result == 0;
         ks = ks->next) {
        struct view *view = atomic_load(&ks->view);

        if (view_try_ref(view)) /* it is the keyspace's, who counts it */
            beside->views[beside->count++] = view;
    }
    mutex_unlock(&of->mutex);
    return result;
}

int
beside_open(struct beside *beside, struct lsmkv *of, bool salvage,
            void (*log)(void *context, enum lsmkv_level level, const char *line),
            void *log_context)
{
    struct lsmkv_options changed = of->options;
    int result;

    if (of->options.salvage)
        return error_detail(-EINVAL, "the store was opened with salvage");
    changed.read_only = true;
    changed.salvage = salvage;
    changed.create = changed.exclusive = false;
    changed.lock_note = NULL; /* the caller's, at opening */
    changed.cache_size = CACHE;
    changed.max_open_tables = TABLES;
    changed.log = log;
    changed.log_context = log_context;
    beside->of = of;
    beside->db = db_new(&changed);
    if (beside->db == NULL)
        return -ENOMEM;
    beside->db->dir = of->dir;
    result = make_caches(beside->db);
    return result == 0 ? hold_state(beside, of) : result;
}

void
beside_close(struct beside *beside)
{
    manifest_edit_fini(&beside->state);
    if (beside->db != NULL) {
        beside->db->dir = NULL; /* the store's own */
        db_free(beside->db);
    }
    for (size_t i = 0; i < beside->count; i++)
        view_unref(beside->views[i]);
    free(beside->views);
    if (beside->of != NULL)
        files_delete_obsolete(beside->of);
}
