#include "support/store.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static void
log_line(void *context, enum lsmkv_level level, const char *line)
{
    struct store *store = context;

    if (level == LSMKV_LOG_ERROR) {
        store->errors++;
        snprintf(store->last_error, sizeof(store->last_error), "%s", line);
    } else if (level == LSMKV_LOG_WARNING) {
        store->warnings++;
    }
}

static void
wrap(struct store *store)
{
    store->faults = fault_env_new(mem_env_base(store->memory));
    ck_assert_ptr_nonnull(store->faults);
    fault_env_on_lost_sync(store->faults, mem_env_lose_unsynced);
    store->options.env = fault_env_base(store->faults);
}

void
store_init(struct store *store)
{
    memset(store, 0, sizeof(*store));
    lsmkv_options_init(&store->options);
    store->options.create = true;
    store->options.write_buffer_size = 64 << 10;
    store->options.table_size = 32 << 10;
    store->options.level_base_size = 128 << 10;
    store->options.log = log_line;
    store->options.log_context = store;
    store->memory = mem_env_new();
    ck_assert_ptr_nonnull(store->memory);
    wrap(store);
}

void
store_open(struct store *store)
{
    int result = lsmkv_open("store", &store->options, &store->db);

    ck_assert_msg(result == 0, "open: %s (%s)", lsmkv_strerror(result),
                  lsmkv_error_detail());
}

void
store_close(struct store *store)
{
    int result = lsmkv_close(store->db);

    store->db = NULL;
    ck_assert_msg(result == 0, "close: %s", lsmkv_strerror(result));
}

void
store_fini(struct store *store)
{
    (void)lsmkv_close(store->db); /* may have been poisoned on purpose */
    fault_env_free(store->faults);
    mem_env_free(store->memory);
}

static void
go_on_in(struct store *store, struct mem_env *image)
{
    ck_assert_ptr_nonnull(image);
    (void)lsmkv_close(store->db); /* the dead one; its env goes with it */
    store->db = NULL;
    fault_env_free(store->faults);
    mem_env_free(store->memory);
    store->memory = image;
    wrap(store);
}

void
store_kill(struct store *store)
{
    go_on_in(store, mem_env_kill(store->memory));
}

void
store_cut_power(struct store *store, struct mem_crash policy, uint64_t seed)
{
    go_on_in(store, mem_env_crash(store->memory, policy, seed));
}

void
store_put(struct store *store, const char *key, const char *value)
{
    int result =
        lsmkv_put(store->db, NULL, lsmkv_str(key), lsmkv_str(""), lsmkv_str(value), 0);

    ck_assert_msg(result == 0, "put: %s (%s)", lsmkv_strerror(result),
                  lsmkv_error_detail());
}

void
store_delete(struct store *store, const char *key)
{
    int result = lsmkv_delete(store->db, NULL, lsmkv_str(key), 0);

    ck_assert_msg(result == 0, "delete: %s (%s)", lsmkv_strerror(result),
                  lsmkv_error_detail());
}

bool
store_holds(struct store *store, const struct lsmkv_snapshot *snapshot, const char *key,
            const char *value)
{
    struct lsmkv_held *held;
    int result = lsmkv_get_held(store->db, NULL, snapshot, lsmkv_str(key), &held);
    bool same;

    if (result != 0)
        return value == NULL && result == -ENOENT;
    same = value != NULL && lsmkv_held_record(held)->value.size == strlen(value) &&
           memcmp(lsmkv_held_record(held)->value.data, value, strlen(value)) == 0;
    lsmkv_held_release(held);
    return same;
}

struct lsmkv_stats
store_stats(struct store *store)
{
    struct lsmkv_stats stats;

    ck_assert_int_eq(lsmkv_get_stats(store->db, &stats), 0);
    return stats;
}
