/* rig_fixture.h - a store in memory that is open when a test begins. */
#ifndef UNIT_RIG_FIXTURE_H
#define UNIT_RIG_FIXTURE_H

#include <check.h>

#include "support/rig.h"

static struct rig rig;
static const struct lsmkv_slice none = {NULL, 0};

static inline void
setup(void)
{
    rig_init(&rig);
    rig_open(&rig);
}

static inline void
teardown(void)
{
    rig_fini(&rig);
}

static inline struct lsmkv_snapshot *
take(void)
{
    struct lsmkv_snapshot *snapshot;

    ck_assert_int_eq(lsmkv_snapshot_take(rig.db, &snapshot), 0);
    return snapshot;
}

static inline void
release(struct lsmkv_snapshot *snapshot)
{
    lsmkv_snapshot_release(rig.db, snapshot);
}

static inline void
flush_and_merge(void)
{
    ck_assert_int_eq(lsmkv_flush(rig.db), 0);
    ck_assert_int_eq(lsmkv_compact(rig.db, NULL, none, none), 0);
}

#endif
