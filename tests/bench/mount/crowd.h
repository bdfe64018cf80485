/*
 * crowd.h - many empty files, `in_one` of them in each directory, and what is done to all.
 *
 * They are made and removed in the order of their names, as programs do, and looked up in another
 * one, so that a cache smaller than all of them does not do as if it held them.
 */
#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

#include <stdint.h>

#include "common.h"

struct crowd {
    int root;       /* of its directories; see crowd_open */
    uint64_t files; /* a multiple of in_one */
    uint64_t in_one;
    struct tally seen; /* by the last crowd_stat or crowd_list */
};

/* Makes the directory `name` in `parent` and in it those of the files, which are not there yet. */
void crowd_open(struct crowd *crowd, const char *parent, const char *name, uint64_t files,
                uint64_t in_one);
void crowd_close(struct crowd *crowd);

/* A failed call ends the process. */
void crowd_create(struct crowd *crowd);
void crowd_stat(struct crowd *crowd);
/* With attributes. */
void crowd_list(struct crowd *crowd);
void crowd_unlink(struct crowd *crowd);

#endif
