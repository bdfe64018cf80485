/*
 * tree.c - keys that are paths: a batch, what is below a key, a tree moved, a snapshot.
 *
 *     cc tree.c -o tree $(pkg-config --cflags --libs lsmkv) && ./tree STORE
 *
 * prints
 *
 *     top: doc/ src/ src.tar
 *     src: src/base/key.c src/main.c
 *     now: old/src/base/key.c old/src/main.c
 *     monday: src/base/key.c src/main.c
 */
#include <lsmkv.h>
#include <stdio.h>
#include <string.h>

/* All of the batch, or nothing of it, is there. */
static int
put_some(struct lsmkv *db)
{
    static const char *const names[] = {"src/main.c", "src/base/key.c", "src.tar",
                                        "doc/a"};
    struct lsmkv_batch *batch;
    int result = lsmkv_batch_new(&batch);

    if (result != 0)
        return result;
    for (size_t i = 0; result == 0 && i < sizeof(names) / sizeof(names[0]); i++)
        result = lsmkv_batch_put(batch, NULL, lsmkv_str(names[i]), lsmkv_str(""),
                                 lsmkv_str("text"));
    if (result == 0)
        result = lsmkv_write(db, batch, LSMKV_UNSYNCED);
    lsmkv_batch_free(batch);
    return result;
}

/* What is at and below `tree`: in path order its keys are neighbours, and the iterator
 * can pass over them at once. */
static int
list(struct lsmkv *db, const struct lsmkv_snapshot *snapshot, const char *title,
     const char *tree)
{
    struct lsmkv_iter_options options;
    struct lsmkv_iter *iter;
    size_t size = lsmkv_str(tree).size;
    int result;

    memset(&options, 0, sizeof(options));
    options.snapshot = snapshot;
    options.lower = lsmkv_str(tree);
    options.lazy_values = true; /* large values are not read */
    result = lsmkv_iter_new(db, NULL, &options, &iter);
    if (result != 0)
        return result;
    printf("%s:", title);
    for (lsmkv_iter_first(iter); lsmkv_iter_valid(iter); lsmkv_iter_next(iter)) {
        struct lsmkv_slice key = lsmkv_iter_key(iter);
        const char *bytes = (const char *)key.data;

        if (key.size < size || (key.size > size && bytes[size] != '/'))
            break; /* the first behind the tree */
        printf(" %.*s", (int)key.size, bytes);
    }
    printf("\n");
    result = lsmkv_iter_status(iter);
    lsmkv_iter_free(iter);
    return result;
}

/* The names of the top, directories once. */
static int
list_top(struct lsmkv *db)
{
    struct lsmkv_iter *iter;
    int result = lsmkv_iter_new(db, NULL, NULL, &iter);

    if (result != 0)
        return result;
    printf("top:");
    lsmkv_iter_first(iter);
    while (lsmkv_iter_valid(iter)) {
        struct lsmkv_slice key = lsmkv_iter_key(iter);
        const char *bytes = (const char *)key.data;
        size_t size = 0;

        while (size < key.size && bytes[size] != '/')
            size++;
        printf(" %.*s%s", (int)size, bytes, size < key.size ? "/" : "");
        lsmkv_iter_skip_tree(iter, lsmkv_bytes(bytes, size));
    }
    printf("\n");
    result = lsmkv_iter_status(iter);
    lsmkv_iter_free(iter);
    return result;
}

/* A tree moves whole, however large; the snapshot still sees it where it was. */
static int
move_and_look_back(struct lsmkv *db)
{
    struct lsmkv_move move = {lsmkv_str("src"), lsmkv_str("old/src")};
    struct lsmkv_snapshot *before;
    int result = lsmkv_snapshot_create(db, "monday", NULL);

    if (result != 0)
        return result;
    result = lsmkv_snapshot_open(db, "monday", &before, NULL);
    if (result != 0)
        return result;
    result = lsmkv_move_trees(db, NULL, &move, 1, NULL, 0);
    if (result == 0)
        result = list(db, NULL, "now", "old");
    if (result == 0)
        result = list(db, before, "monday", "src");
    lsmkv_snapshot_release(db, before);
    if (result == 0)
        result = lsmkv_snapshot_drop(db, "monday");
    return result;
}

int
main(int argc, char **argv)
{
    struct lsmkv_options options;
    struct lsmkv *db;
    int closed, result;

    if (argc != 2)
        return fprintf(stderr, "usage: tree STORE\n"), 2;
    lsmkv_options_init(&options);
    options.create = true;
    result = lsmkv_open(argv[1], &options, &db);
    if (result != 0)
        return fprintf(stderr, "%s\n", lsmkv_error_detail()), 1;
    result = put_some(db);
    if (result == 0)
        result = list_top(db);
    if (result == 0)
        result = list(db, NULL, "src", "src");
    if (result == 0)
        result = move_and_look_back(db);
    if (result != 0)
        fprintf(stderr, "%s: %s\n", lsmkv_strerror(result), lsmkv_error_detail());
    closed = lsmkv_close(db);
    return result != 0 || closed != 0;
}
