/*
 * compare.h - what the parts of prog_compare share.
 *
 *     prog_compare.c      the run: which calls, how often, when the trees are compared
 *     compare_call.c      one call on both sides, who makes it, the report of a difference
 *     compare_watch.c     which times a call changes
 *     compare_tree.c      whole trees
 *     compare_names.c     calls that make, find and take away names
 *     compare_attrs.c     modes, owners, times, access lists, extended attributes
 *     compare_files.c     calls on open files
 *     compare_maps.c      mappings, kept over the other calls
 *     compare_dirs.c      directories read piecemeal while they change
 *     compare_workers.c   several processes at once
 *
 * Side 0 is the mount, side 1 the file system known to be right.
 *
 * C1  What is drawn at random is drawn before the two sides part: the same calls on both.
 * C2  Between calls the program is who started it; only BOTH acts as somebody else.
 */
#ifndef TESTS_FS_COMPARE_H
#define TESTS_FS_COMPARE_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "support/random.h"

#define SIDES     2
#define HANDLES   6
#define DATA_MAX  (300 << 10)
#define PATH_ROOM 1024
#define BLOCK     4096u
#define CALL_ROOM 2048

struct who {
    const char *name;
    uid_t uid;
    gid_t gid;
    size_t group_count;
    gid_t groups[2];
};

struct run {
    /* constant after the start */
    uint64_t seed;
    bool acl;        /* access lists are compared, too */
    bool many_users; /* started by root: calls of several users */
    /* Side 0 has the writeback cache: times go by the kernel's ticks there. */
    bool kernels_times;
    bool mounted; /* side 0 is FUSE: what it never does is checked, too */
    time_t began;

    struct random dice;
    uint64_t step;
    int worker; /* 0: the only one */
    int roots[SIDES];
    const struct who *who;
    long result; /* of the last call */

    char call[CALL_ROOM]; /* the call under way, for the report */
    uint8_t *data;        /* DATA_MAX, aligned for O_DIRECT */
    uint8_t *seen[SIDES];
};

extern struct run run;

/* ---- compare_call.c ---- */

void call_init(void);

/* Names the call under way. */
void call_is(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Reports a difference, the seed and the calls before it, and ends the process with 1. */
void differ(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

void same_result(const long result[SIDES], const int error[SIDES]);

/* Becomes run.who, and who started the program again. */
void act(void);
void act_no_more(void);

/* Draws who makes the next calls; who started the program makes them again. */
void draw_who(void);
void who_started(void);
bool acts_as_root(void);

/* Runs `expression` for both sides as run.who, `side` being 0 and 1, and compares. */
#define BOTH(expression)                           \
    do {                                           \
        long result_[SIDES];                       \
        int error_[SIDES];                         \
        act();                                     \
        for (int side = 0; side < SIDES; side++) { \
            errno = 0;                             \
            result_[side] = (long)(expression);    \
            error_[side] = errno;                  \
        }                                          \
        act_no_more();                             \
        same_result(result_, error_);              \
    } while (0)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

uint64_t below(uint64_t limit);

/* Once in `count` times. */
bool once_in(uint64_t count);

void random_path(char path[PATH_ROOM]);
size_t random_size(void);
uint64_t random_offset(void);
void fill_data(size_t size);

/* The same as an absolute path, for calls that have no *at form. */
void full_path(int side, const char *path, char full[PATH_ROOM * 2]);

/* ---- compare_watch.c ---- */

#define WATCHED 5

struct watch {
    size_t count;
    struct {
        char path[PATH_ROOM]; /* "" is the open file */
        int fds[SIDES];
        struct stat before[SIDES];
        bool there[SIDES];
    } items[WATCHED];
};

/* Remembers the times of what the paths name and of their parents; `second` may be NULL.  The
 * listings under way are told that these names may change. */
void watch_begin(struct watch *watch, const char *first, const char *second);
void watch_handle(struct watch *watch, const int fds[SIDES]);
void watch_end(const struct watch *watch);

void parent_of(const char *path, char parent[PATH_ROOM]);
bool same_time(struct timespec a, struct timespec b);

/* ---- compare_tree.c ---- */

void compare_stat(const char *path, const struct stat st[SIDES]);
void compare_trees(void);

/* ---- steps ---- */

void do_open(void);
void do_make(void);
void do_link(void);
void do_remove(void);
void do_rename(void);
void do_truncate(void);
void do_stand_in(void);
void do_many(void);

void do_attributes(void);
void do_times(void);
void do_xattr(void);
void do_acl(void);
void do_look(void);

void do_handle(void);

void do_map(void);

void do_listing(void);

/* ---- compare_files.c ---- */

struct handle {
    int fds[SIDES]; /* -1: none */
    int flags;
};

/* One of them; may be closed. */
struct handle *random_handle(void);
bool handle_is_regular(const struct handle *handle);
void handle_set(struct handle *handle, const int fds[SIDES], int flags);
void handles_init(void);

/* ---- compare_maps.c ---- */

/* Is the file mapped for shared writing?  Then its times change when the pages are written. */
bool maps_cover(int side, ino_t ino);

/* Has the pages of that file, or of all (0), written. */
void maps_settle(ino_t beneath);

/* What the mappings of that file show is the same. */
void maps_agree(ino_t beneath);
void maps_init(void);

/* ---- compare_dirs.c ---- */

/* A name that may come or go. */
void dirs_touch(const char *path);
void dirs_init(void);

/* ---- compare_workers.c ---- */

/* Runs so many processes of `steps` each, `one` making a step; the trees are compared after. */
void run_workers(unsigned count, uint64_t steps, void (*one)(void));

#endif
