#include "support/heap_env.h"

#include <stdlib.h>

static void *
heap_allocate(struct lsmkv_env *base, size_t size)
{
    struct heap_env *env = (struct heap_env *)base;
    void *buffer = env->failing ? NULL : malloc(size);

    if (buffer != NULL) {
        env->bytes += size;
        env->buffers++;
    }
    return buffer;
}

static void
heap_release(struct lsmkv_env *base, void *buffer, size_t size)
{
    struct heap_env *env = (struct heap_env *)base;

    env->bytes -= size;
    env->buffers--;
    free(buffer);
}

void
heap_env_init(struct heap_env *env)
{
    *env = (struct heap_env){
        .base = {.allocate = heap_allocate, .release = heap_release},
    };
}
