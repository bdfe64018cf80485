/*
 * prog_fill - fills a store through the C API, with keys and values that know nothing of files.
 *
 *     prog_fill STORE PREFIX COUNT [SIZE]
 *     prog_fill STORE KEY
 *
 * Puts COUNT keys PREFIX0000000, PREFIX0000001, ...; each holds its own number as text.  Or puts
 * one key, which holds "alone".  With SIZE all are in tables, cut at so many bytes.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lsmkv.h"

#define IN_A_BATCH 1000ul

static int
fill(struct lsmkv *db, const char *prefix, unsigned long count)
{
    struct lsmkv_batch *batch = NULL;
    char key[300], value[32];
    int result = lsmkv_batch_new(&batch);

    for (unsigned long i = 0; i < count && result == 0; i++) {
        snprintf(key, sizeof(key), "%s%07lu", prefix, i);
        snprintf(value, sizeof(value), "%lu", i);
        result =
            lsmkv_batch_put(batch, NULL, lsmkv_str(key), lsmkv_str(""), lsmkv_str(value));
        if (result == 0 && ((i + 1) % IN_A_BATCH == 0 || i + 1 == count)) {
            result = lsmkv_write(db, batch, LSMKV_UNSYNCED);
            lsmkv_batch_clear(batch);
        }
    }
    lsmkv_batch_free(batch);
    return result;
}

/* Twice, for what overlaps nothing is not merged but moved, and not cut. */
static int
fill_tables(struct lsmkv *db, const char *prefix, unsigned long count)
{
    int result = fill(db, prefix, count);

    if (result == 0)
        result = lsmkv_flush(db);
    if (result == 0)
        result = fill(db, prefix, count);
    if (result == 0)
        result = lsmkv_compact(db, NULL, lsmkv_str(""), lsmkv_bytes(NULL, 0));
    return result;
}

int
main(int argc, char **argv)
{
    struct lsmkv_options options;
    struct lsmkv *db;

    if (argc < 3 || argc > 5) {
        fprintf(stderr, "usage: prog_fill STORE PREFIX COUNT [SIZE] | STORE KEY\n");
        return 2;
    }
    lsmkv_options_init(&options);
    options.create = true;
    if (argc == 5)
        options.table_size = strtoul(argv[4], NULL, 10);
    int result = lsmkv_open(argv[1], &options, &db);
    if (result == 0) {
        if (argc == 3)
            result = lsmkv_put(db, NULL, lsmkv_str(argv[2]), lsmkv_str(""),
                               lsmkv_str("alone"), 0);
        else if (argc == 5)
            result = fill_tables(db, argv[2], strtoul(argv[3], NULL, 10));
        else
            result = fill(db, argv[2], strtoul(argv[3], NULL, 10));
        int closed = lsmkv_close(db);
        result = result != 0 ? result : closed;
    }
    if (result != 0)
        fprintf(stderr, "prog_fill: %s\n", lsmkv_strerror(result));
    return result != 0;
}
