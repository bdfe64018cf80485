/*
 * events.c - a keyspace in byte order, read backwards, and a counter of another keyspace
 * that is always as far as it: one batch has both.
 *
 *     cc events.c -o events $(pkg-config --cflags --libs lsmkv) && ./events STORE
 *
 * prints
 *
 *     3 ended
 *     2 went on
 *     1 begun
 */
#include <errno.h>
#include <inttypes.h>
#include <lsmkv.h>
#include <stdio.h>

/* Big-endian, so that the order of bytes is that of numbers. */
static struct lsmkv_slice
number_key(uint64_t number, unsigned char bytes[8])
{
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(number >> (56 - 8 * i));
    return lsmkv_bytes(bytes, 8);
}

static int
open_keyspace(struct lsmkv *db, struct lsmkv_keyspace **events)
{
    int result = lsmkv_keyspace_open(db, "events", events);

    if (result == -ENOENT)
        result = lsmkv_keyspace_create(db, "events", LSMKV_ORDER_BYTES, events);
    return result;
}

static int
last_number(struct lsmkv *db, uint64_t *number)
{
    struct lsmkv_record record;
    char text[24];
    int result = lsmkv_get(db, NULL, NULL, lsmkv_str("last event"), text,
                           sizeof(text) - 1, &record);

    *number = 0;
    if (result == -ENOENT)
        return 0;
    if (result != 0)
        return result;
    text[record.attributes.size + record.value.size] = '\0';
    return sscanf(text, "%" SCNu64, number) == 1 ? 0 : -EINVAL;
}

static int
add(struct lsmkv *db, struct lsmkv_keyspace *events, const char *what)
{
    struct lsmkv_batch *batch;
    unsigned char bytes[8];
    char text[24];
    uint64_t number;
    int result = last_number(db, &number);

    if (result != 0)
        return result;
    result = lsmkv_batch_new(&batch);
    if (result != 0)
        return result;
    number++;
    snprintf(text, sizeof(text), "%" PRIu64, number);
    result = lsmkv_batch_put(batch, events, number_key(number, bytes), lsmkv_str(""),
                             lsmkv_str(what));
    if (result == 0)
        result = lsmkv_batch_put(batch, NULL, lsmkv_str("last event"), lsmkv_str(""),
                                 lsmkv_str(text));
    if (result == 0)
        result = lsmkv_write(db, batch, LSMKV_UNSYNCED);
    lsmkv_batch_free(batch);
    return result;
}

/* The newest first. */
static int
print(struct lsmkv *db, struct lsmkv_keyspace *events)
{
    struct lsmkv_iter *iter;
    int result = lsmkv_iter_new(db, events, NULL, &iter);

    if (result != 0)
        return result;
    for (lsmkv_iter_last(iter); lsmkv_iter_valid(iter); lsmkv_iter_prev(iter)) {
        const unsigned char *key = (const unsigned char *)lsmkv_iter_key(iter).data;
        struct lsmkv_slice value = lsmkv_iter_record(iter)->value;

        printf("%d %.*s\n", key[7], (int)value.size, (const char *)value.data);
    }
    result = lsmkv_iter_status(iter);
    lsmkv_iter_free(iter);
    return result;
}

int
main(int argc, char **argv)
{
    static const char *const what[] = {"begun", "went on", "ended"};
    struct lsmkv_keyspace *events;
    struct lsmkv_options options;
    struct lsmkv *db;
    int closed, result;

    if (argc != 2)
        return fprintf(stderr, "usage: events STORE\n"), 2;
    lsmkv_options_init(&options);
    options.create = true;
    result = lsmkv_open(argv[1], &options, &db);
    if (result != 0)
        return fprintf(stderr, "%s\n", lsmkv_error_detail()), 1;
    result = open_keyspace(db, &events);
    for (size_t i = 0; result == 0 && i < sizeof(what) / sizeof(what[0]); i++)
        result = add(db, events, what[i]);
    if (result == 0)
        result = lsmkv_sync(db); /* all three are on the disk */
    if (result == 0)
        result = print(db, events);
    if (result != 0)
        fprintf(stderr, "%s: %s\n", lsmkv_strerror(result), lsmkv_error_detail());
    closed = lsmkv_close(db);
    return result != 0 || closed != 0;
}
