/*
 * options.h - the command line of a mount: `lsmfs STORE MOUNTPOINT [-o OPTION,...] [-f]
 * [-d]`.
 *
 * A program with another command line, such as the helper of mount(8), calls
 * options_init, options_add for each -o, and options_place.
 */
#ifndef FS_OPTIONS_H
#define FS_OPTIONS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/shown.h"
#include "lsmkv.h"
#include "vfs/vfs.h"

#define OPTIONS_PASSED_MAX 1024u

struct options {
    char store[PATH_MAX];      /* absolute */
    char mountpoint[PATH_MAX]; /* absolute */
    unsigned commit_ms;
    uint64_t memory;            /* bytes that the daemon's stay below: see memory.h */
    enum lsmkv_level log_level; /* the last that is said */
    bool sync;
    bool read_only;  /* `ro`, or a snapshot */
    bool nofail;     /* a store that is not there is no error: to the helper */
    bool sloppy;     /* options that are not known are passed over */
    bool must_exist; /* `nocreate`: no store is made */
    bool show_snapshots;
    bool acl;
    struct shown shown;
    enum vfs_atime atime;
    bool nodiratime;
    bool writeback; /* the kernel may keep what is written before it sends it */
    bool io_uring;  /* requests come over it, where the kernel allows that: see ring.h */
    bool low_latency; /* processors stay awake while requests come quickly: see awake.h */
    bool remount;     /* change a mount that there is: see remount.h */
    bool existing;    /* options were given that only such a mount has */
    bool foreground;
    bool debug; /* libfuse prints every request; implies `foreground` */
    char snapshot[LSMKV_NAME_MAX + 1]; /* "" without -o snapshot= */
    char passed[OPTIONS_PASSED_MAX];   /* for libfuse, separated and begun by commas */
};

/* These three: 0, or -EINVAL having said on stderr what is wrong. */
LSMKV_CHECKED int options_parse(int argc, char **argv, struct options *options);
/* The value of a -o, which is cut up. */
LSMKV_CHECKED int options_add(struct options *options, char *list);
/* Store and mount point, behind all options. */
LSMKV_CHECKED int options_place(struct options *options, const char *store,
                                const char *mountpoint);

/* What holds without options. */
void options_init(struct options *options);
/* Is this word among those for libfuse? */
bool options_passes(const struct options *options, const char *word);

#endif
