/*
 * check_fixture.h - what `lsmfs check` finds in a store that is not mounted: the engine's files,
 * then the records of the tree and of each snapshot.
 */
#ifndef TESTS_CHECK_FIXTURE_H
#define TESTS_CHECK_FIXTURE_H

#include "check/fsck.h"
#include "support/mem_pages.h"
#include "vfs_fixture.h"

static inline void
fs_print_finding(void *context, const struct lsmkv_finding *finding)
{
    (void)context;
    if (finding->severity == LSMKV_DAMAGE)
        printf("%s: offset %llu: %s\n", finding->file,
               (unsigned long long)finding->offset, finding->text);
}

static inline void
fs_print_record(void *context, const struct fsck_finding *finding)
{
    (void)context;
    if (finding->severity == LSMKV_DAMAGE)
        printf("%s: %s\n", finding->where, finding->text);
}

static inline int
fs_add_snapshot(void *context, const struct lsmkv_snapshot_info *info)
{
    struct fs_names *names = context;

    names->used += (size_t)snprintf(names->text + names->used,
                                    sizeof(names->text) - names->used, "%s ", info->name);
    return 0;
}

static inline uint64_t
fs_check_records(struct store *store)
{
    struct fsck_report report = {.finding = fs_print_record};
    struct fs_names *names = mem_need(sizeof(*names));
    char *name, *rest = names->text;
    uint64_t damage, more;

    ck_assert_int_eq(fsck_run(store, NULL, &report, &damage), 0);
    ck_assert_int_eq(lsmkv_snapshot_list(store->db, fs_add_snapshot, names), 0);
    while ((name = strtok_r(rest, " ", &rest))) {
        struct lsmkv_snapshot *snapshot;

        ck_assert_int_eq(lsmkv_snapshot_open(store->db, name, &snapshot, NULL), 0);
        ck_assert_int_eq(fsck_run(store, snapshot, &report, &more), 0);
        lsmkv_snapshot_release(store->db, snapshot);
        damage += more;
    }
    free(names);
    return damage;
}

/* How much damage is found; it is printed.  A store that was not made yet has none. */
static inline uint64_t
fs_check(struct vfs_fixture *of)
{
    struct lsmkv_check_options check = {.finding = fs_print_finding};
    struct store_options options = of->options.store;
    uint64_t damage = 0;
    struct store *store;
    char why[512] = "";
    int result;

    of->engine.env = mem_env_base(of->env);
    options.engine = &of->engine;
    options.read_only = true;
    result = lsmkv_check(options.path, &of->engine, &check);
    if (result != 0)
        return result == -ENOENT ? 0 : 1;
    result = store_open(&options, &store, why, sizeof(why));
    ck_assert_msg(result == 0, "store_open: %d %s", result, why);
    if (store->inodes != NULL)
        damage = fs_check_records(store);
    ck_assert_int_eq(store_close(store), 0);
    return damage;
}

#endif
