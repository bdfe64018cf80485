/*
 * mend_files.h - what mend.c and mend_files.c share.
 */
#ifndef FS_MEND_FILES_H
#define FS_MEND_FILES_H

#include "check/mend.h"
#include "store/attr.h"

struct mend_item {
    enum fsck_problem problem;
    uint64_t number, value;
    char *where;
    char *key; /* of `default` */
    size_t key_size;
};

struct mend {
    struct store *store;
    const struct mend_report *report;
    struct lsmkv_batch *batch; /* empty between two records */
    struct mend_item *items;   /* of this round */
    size_t count, capacity;
    bool is_last; /* this look tells what is left */
    int failure;
    char folder[32]; /* lost+found, once it is there */
};

bool mend_progress(void *context, uint64_t records);
void mend_say(struct mend *mend, const char *where, const char *text);
/* Writes the batch and clears it. */
LSMKV_CHECKED int mend_write(struct mend *mend);
/* Puts `attr` at `key` with the value of `held` (NULL: none). */
LSMKV_CHECKED int mend_put_attr(struct mend *mend, struct lsmkv_keyspace *keyspace,
                                struct lsmkv_slice key, const struct attr *attr,
                                const struct lsmkv_held *held);
/* Changes the attributes of a record, and writes. */
LSMKV_CHECKED int mend_change(struct mend *mend, struct lsmkv_keyspace *keyspace,
                              struct lsmkv_slice key,
                              void (*change)(struct attr *attr, uint64_t value),
                              uint64_t value);

/* An inode without a name, chunks without a file: into lost+found. */
LSMKV_CHECKED int mend_name_inode(struct mend *mend, const struct mend_item *item);
LSMKV_CHECKED int mend_name_contents(struct mend *mend, const struct mend_item *item);
/* A name without an inode: it gets one whose contents read as an error. */
LSMKV_CHECKED int mend_lost_inode(struct mend *mend, const struct mend_item *item);
/* All items about numbers that several records claim, or sizes that are too small. */
LSMKV_CHECKED int mend_owners(struct mend *mend);
/* Marks chunks that are lost, and tells of the files. */
LSMKV_CHECKED int mend_lost_chunks(struct mend *mend, const struct mend_loss *losses,
                                   size_t count);

#endif
