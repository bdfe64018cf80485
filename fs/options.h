/*
 * options.h - the command line of a mount: `lsmfs STORE MOUNTPOINT [-o OPTION,...] [-f] [-d]`.
 */
#ifndef FS_OPTIONS_H
#define FS_OPTIONS_H

#include <limits.h>
#include <stdbool.h>

#include "lsmkv.h"
#include "vfs.h"

#define OPTIONS_PASSED_MAX 1024u

struct options {
    char store[PATH_MAX];      /* absolute */
    char mountpoint[PATH_MAX]; /* absolute */
    unsigned commit_ms;
    bool sync;
    bool read_only; /* also set by `snapshot` */
    bool show_snapshots;
    bool acl;
    enum vfs_atime atime;
    bool nodiratime;
    bool remount;  /* change a mount that there is: see remount.h */
    bool existing; /* options were given that only such a mount has */
    bool foreground;
    bool debug; /* libfuse prints every request; implies `foreground` */
    char snapshot[LSMKV_NAME_MAX + 1]; /* "" without -o snapshot= */
    char passed[OPTIONS_PASSED_MAX];   /* for libfuse, separated and begun by commas */
};

/* 0, or -EINVAL having said on stderr what is wrong. */
LSMKV_CHECKED int options_parse(int argc, char **argv, struct options *options);

#endif
