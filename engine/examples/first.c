/*
 * first.c - a store is made, a value put, read and deleted.
 *
 *     cc first.c -o first $(pkg-config --cflags --libs lsmkv) && ./first STORE
 *
 * prints
 *
 *     hello (a mark)
 *     then: not found
 */
#include <lsmkv.h>
#include <stdio.h>

/* What went wrong, with file and offset where there is one. */
static int
fail(const char *what, int result)
{
    fprintf(stderr, "%s: %s: %s\n", what, lsmkv_strerror(result), lsmkv_error_detail());
    return 1;
}

static int
work(struct lsmkv *db)
{
    struct lsmkv_record record;
    char buffer[256];
    int result;

    /* NULL is the keyspace "default"; without LSMKV_UNSYNCED it is on the disk when it
     * returns. */
    result = lsmkv_put(db, NULL, lsmkv_str("notes/today"), lsmkv_str("a mark"),
                       lsmkv_str("hello"), 0);
    if (result != 0)
        return fail("put", result);

    result = lsmkv_get(db, NULL, NULL, lsmkv_str("notes/today"), buffer, sizeof(buffer),
                       &record);
    if (result != 0)
        return fail("get", result);
    printf("%.*s (%.*s)\n", (int)record.value.size, (const char *)record.value.data,
           (int)record.attributes.size, (const char *)record.attributes.data);

    result = lsmkv_delete(db, NULL, lsmkv_str("notes/today"), 0);
    if (result != 0)
        return fail("delete", result);
    result = lsmkv_get(db, NULL, NULL, lsmkv_str("notes/today"), buffer, sizeof(buffer),
                       &record);
    printf("then: %s\n", lsmkv_strerror(result));
    return 0;
}

int
main(int argc, char **argv)
{
    struct lsmkv_options options;
    struct lsmkv *db;
    int status, result;

    if (argc != 2)
        return fprintf(stderr, "usage: first STORE\n"), 2;
    lsmkv_options_init(&options);
    options.create = true;
    result = lsmkv_open(argv[1], &options, &db);
    if (result != 0)
        return fail("open", result);
    status = work(db);
    result = lsmkv_close(db); /* frees db, whatever it returns */
    return result != 0 ? fail("close", result) : status;
}
