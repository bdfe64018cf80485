/* engines.c - the contenders that this program was built with. */
#include "engine.h"

extern const struct engine engine_lsmkv, engine_rocksdb, engine_leveldb, engine_lmdb,
    engine_wiredtiger, engine_bare;

const struct engine *const engines[] = {
    &engine_lsmkv,
#ifdef BENCH_ROCKSDB
    &engine_rocksdb,
#endif
#ifdef BENCH_LEVELDB
    &engine_leveldb,
#endif
#ifdef BENCH_LMDB
    &engine_lmdb,
#endif
#ifdef BENCH_WIREDTIGER
    &engine_wiredtiger,
#endif
    &engine_bare,       NULL,
};
