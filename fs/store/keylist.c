/*
 * keylist.c - see keylist.h.
 */
#include "store/keylist.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "store/attr.h"
#include "store/key.h"
#include "store/records.h"

#define ASKED_EVERY 64u /* lines */

struct keylist {
    const struct keylist_options *options;
    FILE *out;
    unsigned lines;               /* since go_on was asked */
    uint8_t bytes[LSMKV_KEY_MAX]; /* a key that outlives the iterator's move */
};

/* ---- one line ---- */

static void
print_long(FILE *out, const struct attr *attr)
{
    char mode[11], when[32];
    struct tm local;
    mode[0] = attr_type_letter(attr->mode);
    for (unsigned i = 0; i < 9; i++)
        mode[1 + i] = attr->mode & (0400u >> i) ? "rwxrwxrwx"[i] : '-';
    if (attr->mode & S_ISUID)
        mode[3] = attr->mode & S_IXUSR ? 's' : 'S';
    if (attr->mode & S_ISGID)
        mode[6] = attr->mode & S_IXGRP ? 's' : 'S';
    if (attr->mode & S_ISVTX)
        mode[9] = attr->mode & S_IXOTH ? 't' : 'T';
    mode[10] = '\0';
    if (!localtime_r(&attr->mtime.tv_sec, &local) ||
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &local) == 0)
        snprintf(when, sizeof when, "%19lld", (long long)attr->mtime.tv_sec);
    fprintf(out, "%s %4u %5u %5u %12llu %s ", mode, attr_nlink(attr), attr->uid,
            attr->gid, (unsigned long long)attr->data.size, when);
}

/* The attributes of what stands at `key`: of a hard link, what its names share. */
static int
attributes_of(struct store *store, const struct lsmkv_record *record, struct attr *attr,
              struct lsmkv_held **held)
{
    int result = attr_decode(record, &store->defaults, attr);
    if (result || attr->data.kind != ATTR_REFERENCE || !store->inodes)
        return result;
    struct record_key key = record_inode(attr->ino);
    result = lsmkv_get_held(store->db, store->inodes, NULL, record_slice(&key), held);
    if (result)
        return result;
    return attr_decode(lsmkv_held_record(*held), &store->defaults, attr);
}

/* One line: `name` is what the iterator's key or a part of it is called. */
static int
print_entry(struct keylist *list, struct store *store, const struct lsmkv_record *record,
            struct lsmkv_slice name)
{
    struct lsmkv_held *held = NULL;
    struct attr attr;
    bool directory = !record;
    int result = record ? attributes_of(store, record, &attr, &held) : 0;
    if (!record)
        attr_init_implied(&attr, &store->defaults, 0, (struct timespec){0});
    if (result == 0) {
        directory |= S_ISDIR(attr.mode);
        if (list->options->lengthy)
            print_long(list->out, &attr);
        fwrite(name.data, 1, name.size, list->out);
        if (directory)
            putc('/', list->out);
        putc(list->options->end, list->out);
    }
    if (held)
        lsmkv_held_release(held);
    return result;
}

/* ---- which lines ---- */

/* The first component of a key below `key`, and the key up to its end. */
static struct lsmkv_slice
child_name(struct lsmkv_slice at, struct lsmkv_slice key, struct lsmkv_slice *child)
{
    size_t begin = key.size > 0 ? key.size + 1 : 0;
    const char *name = (const char *)at.data + begin;
    const char *slash = memchr(name, '/', at.size - begin);
    size_t size = slash ? (size_t)(slash - name) : at.size - begin;
    *child = lsmkv_bytes(at.data, begin + size);
    return lsmkv_bytes(name, size);
}

static bool
is_stopped(struct keylist *list)
{
    if (++list->lines < ASKED_EVERY)
        return false;
    list->lines = 0;
    return list->options->go_on && !list->options->go_on(list->options->context);
}

/* Prints the child that the iterator is at, and moves to the next.  A value with keys
 * below it is a directory, too. */
static int
list_child(struct keylist *list, struct store *store, struct lsmkv_iter *iter,
           struct lsmkv_slice key)
{
    struct lsmkv_slice at = lsmkv_iter_key(iter), child;
    memcpy(list->bytes, at.data, at.size);
    struct lsmkv_slice name = child_name(lsmkv_bytes(list->bytes, at.size), key, &child);
    bool implied = at.size > child.size;
    int result = print_entry(list, store, implied ? NULL : lsmkv_iter_record(iter), name);
    if (result == 0)
        lsmkv_iter_skip_tree(iter, child);
    return result;
}

/* Lists below `key`; `*found` says whether there was anything. */
static int
list_below(struct keylist *list, struct store *store, struct lsmkv_slice key, bool *found)
{
    struct lsmkv_iter_options options = {.lower = key, .lazy_values = true};
    struct lsmkv_iter *iter;
    int result = lsmkv_iter_new(store->db, store->files, &options, &iter);
    if (result)
        return result;
    lsmkv_iter_first(iter);
    if (lsmkv_iter_valid(iter) && lsmkv_iter_key(iter).size == key.size)
        lsmkv_iter_next(iter);
    while (result == 0 && lsmkv_iter_valid(iter) &&
           key_is_below(lsmkv_iter_key(iter), key)) {
        *found = true;
        if (is_stopped(list)) {
            result = -ECANCELED;
            break;
        }
        if (!list->options->recursive) {
            result = list_child(list, store, iter, key);
            continue;
        }
        result = print_entry(list, store, lsmkv_iter_record(iter), lsmkv_iter_key(iter));
        lsmkv_iter_next(iter);
    }
    result = result ? result : lsmkv_iter_status(iter);
    lsmkv_iter_free(iter);
    return result;
}

/* Nothing is below `key`: a file, an empty directory, or nothing. */
static int
list_itself(struct keylist *list, struct store *store, struct lsmkv_slice key)
{
    struct lsmkv_held *held;
    struct attr attr;
    int result = lsmkv_get_held(store->db, store->files, NULL, key, &held);
    if (result)
        return result == -ENOENT && key.size == 0 ? 0 : result;
    const struct lsmkv_record *record = lsmkv_held_record(held);
    result = attr_decode(record, &store->defaults, &attr);
    if (result == 0 && !S_ISDIR(attr.mode))
        result = print_entry(list, store, record, key);
    lsmkv_held_release(held);
    return result;
}

int
keylist_print(struct store *store, struct lsmkv_slice key,
              const struct keylist_options *options, FILE *out)
{
    struct keylist *list = malloc(sizeof *list);
    bool found = false;
    if (!list)
        return -ENOMEM;
    list->options = options;
    list->out = out;
    list->lines = 0;
    int result = list_below(list, store, key, &found);
    if (result == 0 && !found)
        result = list_itself(list, store, key);
    free(list);
    return result;
}
