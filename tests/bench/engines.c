/* engines.c - the contenders that this program was built with. */
#include "engine.h"

extern const struct engine engine_lsmkv, engine_bare;

const struct engine *const engines[] = {
    &engine_lsmkv,
    &engine_bare,       NULL,
};
