/* run.c - reading and checking a run of blocks; see run.h. */
#include "table/run.h"

#include "table/pack.h"

#define RUN_BYTES (256u << 10)

void
block_run_fini(struct block_run *run)
{
    struct lsmkv_env *env;

    keybuf_fini(&run->unpacked);
    if (run->buffer == NULL)
        return;
    env = run->table->context->env;
    env->release(env, run->buffer, run->allocated);
    block_cache_take_back(run->table->context->cache, run->allocated);
    run->buffer = NULL;
}

static bool
has_buffer(struct block_run *run, const struct table *table)
{
    struct lsmkv_env *env = table->context->env;

    if (run->buffer != NULL)
        return true;
    /* A long walk over a crowded level 0 would have one of each table. */
    if (!block_cache_lend(table->context->cache, RUN_BYTES))
        return false;
    run->table = table;
    run->buffer = env->allocate(env, RUN_BYTES);
    run->allocated = RUN_BYTES;
    if (run->buffer == NULL)
        block_cache_take_back(table->context->cache, RUN_BYTES);
    return run->buffer != NULL;
}

static uint64_t
block_end(const struct table *table, size_t i)
{
    struct block_handle handle = table_data_handle(table, i);

    return handle.offset + handle.size + BLOCK_TRAILER_SIZE;
}

/* Without a word if it fails. */
static bool
read_quietly(const struct table *table, uint64_t offset, uint8_t *buffer, size_t size)
{
    struct env_file *file;
    ssize_t got;

    if (open_file_hold(table->file, &file) != 0)
        return false;
    got = env_file_read(file, offset, buffer, size);
    open_file_release(table->file);
    return got == (ssize_t)size;
}

void
block_run_read(struct block_run *run, const struct table *table, size_t i)
{
    const uint64_t offset = table_data_handle(table, i).offset;
    size_t end = i;

    run->first = run->end = 0;
    while (end < table->index.count && block_end(table, end) - offset <= RUN_BYTES)
        end++;
    if (end - i < 2 || !has_buffer(run, table))
        return;
    if (!read_quietly(table, offset, run->buffer,
                      (size_t)(block_end(table, end - 1) - offset)))
        return;
    run->first = i;
    run->end = end;
}

bool
block_run_get(struct block_run *run, size_t i, struct lsmkv_slice *contents)
{
    const struct table *table = run->table;
    struct block_handle handle;
    const uint8_t *data;
    const char *problem;

    if (!block_run_has(run, i))
        return false;
    handle = table_data_handle(table, i);
    data = run->buffer + (handle.offset - table_data_handle(table, run->first).offset);
    if (block_check(data, handle.size, table->footer.number, handle.offset, &problem) !=
        0)
        return false;
    *contents = lsmkv_bytes(data, handle.size);
    if (data[handle.size] != BLOCK_PLAIN) {
        if (block_unpack_into(data, handle.size, &run->unpacked, &problem) != 0)
            return false;
        *contents = keybuf_slice(&run->unpacked);
    }
    table_count_read(table, handle);
    return true;
}
