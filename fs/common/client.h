/*
 * client.h - a command's end of the control socket.
 */
#ifndef FS_CLIENT_H
#define FS_CLIENT_H

#include <limits.h>
#include <stdbool.h>

#include "common/wire.h"
#include "lsmkv.h"

struct client {
    struct wire wire;
    char text[256]; /* of the daemon's error */
};

/* The store that `place` means: the one mounted there, or the directory itself.  Both are made
 * absolute; `mounted` (PATH_MAX bytes, may be NULL) is the mount point, "" if `place` is none. */
LSMKV_CHECKED int client_find_store(const char *place, char *store, char *mounted);

/* Where the store is mounted read-write, as its daemon says (PATH_MAX bytes).  -ENOENT: it is not. */
LSMKV_CHECKED int client_find_mount(const char *store, char *point);

/* Connects to the daemon of the store in a directory.  NULL: nobody listens there (or no
 * memory; then errno is ENOMEM), at least not any more: what was left of a daemon that was killed has been
 * ended, see killed.h.  ENOTCONN: it could not be. */
struct client *client_open(const char *store);
void client_close(struct client *client);
/* Does what is left of a killed daemon have the store, even after a try to end it? */
bool client_is_killed(const char *store);
/* The same of what is mounted at `point`, an absolute path: then nothing is to be looked at there, for that
 * would wait.  False: another file system is, or none. */
bool client_is_killed_at(const char *point);

/* Sends a request. */
void client_ask(struct client *client, const char *command, struct lsmkv_slice argument);
/* Receives the reply; what it carries goes to file descriptor `out`.  0, the daemon's error
 * (then `text` says it in words) or that of the connection, -EPIPE if the daemon died. */
LSMKV_CHECKED int client_answer(struct client *client, int out);

/* The same of a reply whose last line is `line`, or that broke off with NULL. */
LSMKV_CHECKED int client_end(struct client *client, const char *line);

/* Lines of check and repair.  False: it is another.  What `finding` has holds as long as the line, which is
 * changed. */
bool client_take_progress(const char *line, uint64_t *done, uint64_t *total);
bool client_take_file(char *line, struct lsmkv_finding *finding);
/* The next word of a line, decoded; NULL: there is none. */
char *client_word(char **rest);

/* What is wrong, of a failed client_answer or client_end; holds as long as the client. */
const char *client_why(const struct client *client, int result);

/* Prints "lsmfs COMMAND: WHAT: the error" of a failed client_answer; returns 1. */
int client_fail(const struct client *client, const char *command, const char *what,
                int result);

#endif
