/*
 * heap_env.h - an env that does nothing but hand out memory: it counts what is out, and fails
 * on demand.
 */
#ifndef SUPPORT_HEAP_ENV_H
#define SUPPORT_HEAP_ENV_H

#include "env/env.h"

struct heap_env {
    struct lsmkv_env base;
    size_t bytes;   /* handed out, now */
    size_t buffers; /* likewise */
    bool failing;   /* no more memory */
};

void heap_env_init(struct heap_env *env);

#endif
