/*
 * contender.h - what the mount is held against: each a directory to work in, served by a daemon
 * or by the file system beneath.
 */
#ifndef BENCH_CONTENDER_H
#define BENCH_CONTENDER_H

#include <stdbool.h>
#include <sys/types.h>

#include "report.h"

struct contender {
    const char *name;
    const char *durability;
    enum standing standing;
    const char *program; /* looked for beside this one, then in PATH; NULL: no daemon */
    const char
        *prepare; /* commands of the shell, in the directory of the run; NULL: none */
    /* Execs the daemon in the foreground, mounting at mnt; "$0" is the program.  The second is
     * for one core, NULL: the same. */
    const char *serve, *serve_pinned;
    bool (*is_offered)(void); /* does the kernel, what it needs?  NULL: always */
};

/* Ends with one whose name is NULL; the first is ours. */
extern const struct contender contenders[];

/* False: its program is not there, or the kernel does not offer what it needs. */
bool contender_is_there(const struct contender *contender);
/* The first line of what it says of its version. */
const char *contender_build(const struct contender *contender);

/* A mount that answers. */
struct site {
    char directory[4096]; /* of the run; ends with a slash */
    char root[4096 + 8];  /* where to work */
    pid_t daemon;         /* 0: none */
};

/* Makes a directory in `parent` and mounts there; `core` is where the daemon runs, -1: anywhere.
 * Ends the program if nothing answers. */
void site_open(struct site *site, const struct contender *contender, const char *parent,
               int core);
/* Unmounts, waits for the daemon's end and removes the directory.  False: the daemon failed; that
 * was told. */
bool site_close(struct site *site);

/* This process and its children run on `core` alone; -1: as they are. */
void pin_to(int core);

#endif
