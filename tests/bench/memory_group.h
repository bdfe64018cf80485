/*
 * memory_group.h - a bound on the memory of a process and on what the kernel keeps of its files
 * for it: a control group (cgroup) of version 1 or 2.
 */
#ifndef BENCH_MEMORY_GROUP_H
#define BENCH_MEMORY_GROUP_H

#include <stdbool.h>
#include <stddef.h>

struct memory_group {
    char path[4096]; /* a directory; empty: there is none */
};

/* False: none can be made, and why not was told (it takes root, and the memory controller). */
bool memory_group_make(struct memory_group *group, size_t limit);
/* This process and its children are in it from now on. */
void memory_group_enter(const struct memory_group *group);
/* Nobody is in it any more. */
void memory_group_remove(const struct memory_group *group);

#endif
