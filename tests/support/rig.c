#include "support/rig.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static void
log_line(void *context, enum lsmkv_level level, const char *line)
{
    struct rig *rig = context;

    if (level == LSMKV_LOG_ERROR) {
        rig->errors++;
        snprintf(rig->last_error, sizeof(rig->last_error), "%s", line);
    } else if (level == LSMKV_LOG_WARNING) {
        rig->warnings++;
    }
}

static void
wrap(struct rig *rig)
{
    rig->faults = fault_env_new(mem_env_base(rig->memory));
    ck_assert_ptr_nonnull(rig->faults);
    fault_env_on_lost_sync(rig->faults, mem_env_lose_unsynced);
    rig->options.env = fault_env_base(rig->faults);
}

void
rig_init(struct rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    lsmkv_options_init(&rig->options);
    rig->options.create = true;
    rig->options.write_buffer_size = 64 << 10;
    rig->options.table_size = 32 << 10;
    rig->options.max_open_tables = 4;
    rig->options.level_base_size = 128 << 10;
    rig->options.log = log_line;
    rig->options.log_context = rig;
    rig->memory = mem_env_new();
    ck_assert_ptr_nonnull(rig->memory);
    wrap(rig);
}

void
rig_open(struct rig *rig)
{
    int result = lsmkv_open("store", &rig->options, &rig->db);

    ck_assert_msg(result == 0, "open: %s (%s)", lsmkv_strerror(result),
                  lsmkv_error_detail());
}

void
rig_close(struct rig *rig)
{
    int result = lsmkv_close(rig->db);

    rig->db = NULL;
    ck_assert_msg(result == 0, "close: %s", lsmkv_strerror(result));
}

void
rig_fini(struct rig *rig)
{
    (void)lsmkv_close(rig->db); /* may have been poisoned on purpose */
    fault_env_free(rig->faults);
    mem_env_free(rig->memory);
}

static void
go_on_in(struct rig *rig, struct mem_env *image)
{
    ck_assert_ptr_nonnull(image);
    (void)lsmkv_close(rig->db); /* the dead one; its env goes with it */
    rig->db = NULL;
    fault_env_free(rig->faults);
    mem_env_free(rig->memory);
    rig->memory = image;
    wrap(rig);
}

void
rig_kill(struct rig *rig)
{
    go_on_in(rig, mem_env_kill(rig->memory));
}

void
rig_cut_power(struct rig *rig, struct mem_crash policy, uint64_t seed)
{
    go_on_in(rig, mem_env_crash(rig->memory, policy, seed));
}

void
rig_hurry(struct rig *rig)
{
    mem_env_set_time(rig->memory, rig->options.env->now(rig->options.env));
}

void
rig_put(struct rig *rig, const char *key, const char *value)
{
    int result =
        lsmkv_put(rig->db, NULL, lsmkv_str(key), lsmkv_str(""), lsmkv_str(value), 0);

    ck_assert_msg(result == 0, "put: %s (%s)", lsmkv_strerror(result),
                  lsmkv_error_detail());
}

void
rig_delete(struct rig *rig, const char *key)
{
    int result = lsmkv_delete(rig->db, NULL, lsmkv_str(key), 0);

    ck_assert_msg(result == 0, "delete: %s (%s)", lsmkv_strerror(result),
                  lsmkv_error_detail());
}

bool
rig_holds(struct rig *rig, const struct lsmkv_snapshot *snapshot, const char *key,
          const char *value)
{
    struct lsmkv_held *held;
    int result = lsmkv_get_held(rig->db, NULL, snapshot, lsmkv_str(key), &held);
    bool same;

    if (result != 0)
        return value == NULL && result == -ENOENT;
    same = value != NULL && lsmkv_held_record(held)->value.size == strlen(value) &&
           memcmp(lsmkv_held_record(held)->value.data, value, strlen(value)) == 0;
    lsmkv_held_release(held);
    return same;
}

struct lsmkv_stats
rig_stats(struct rig *rig)
{
    struct lsmkv_stats stats;

    ck_assert_int_eq(lsmkv_get_stats(rig->db, &stats), 0);
    return stats;
}
