/*
 * wire.h - what commands and the daemon say to each other over the control socket.
 *
 * The socket is CONTROL in the store's directory, mode 0600.  A connection carries one request
 * and its reply, in lines:
 *
 *     request   lsmfs VERSION COMMAND [ARGUMENT]        the argument coded, see wire_encode
 *     contents  data SIZE, then SIZE bytes              any number of times, then
 *               end                                     (of `put` alone)
 *     reply     data SIZE, then SIZE bytes              any number of times, then
 *               ok                                      or
 *               error ERRNO TEXT
 *
 *     status          text, "name: value" a line
 *     stats-text, stats-json, stats-prometheus          see stats.h
 *     sync            everything acknowledged is on disk
 *     umount          unmounts; the reply comes when the store is closed and its lock free, or
 *                     is EBUSY and says where it is mounted as well
 *     changed [KEY]   the key was changed behind the daemon's back: the kernel forgets it
 *     get, rm KEY; put KEY, contents; ls [KEY]          as lsmfs get, put, rm, ls; the last
 *                                                       with its options: ls-R-l-0
 *     compact         "progress DONE TOTAL" lines (see compact.h), "sizes BEFORE AFTER", then the
 *                     reply; the end of the connection ends it
 *     export ARGUMENT  the archive as data, and among it lines "lost KEY WHAT", "left KEY WHAT" and
 *                     "absent PATH", words coded; the argument is the name of a snapshot or nothing,
 *                     and PATHs, each with a NUL behind it
 *     check, check-snapshots  "progress DONE TOTAL" (TOTAL 0: of records), "file SEVERITY FILE OFFSET
 *                     TEXT" and "record SEVERITY SNAPSHOT WHERE TEXT" lines, words coded
 *     repair          the line "directory", for which a descriptor is sent (wire_send_descriptor): in that
 *                     directory a store "store" is made, as lsmkv_repair_open makes it.  Then "progress
 *                     DONE TOTAL", "file" lines as of check, and "lost FILE OFFSET SIZE SEQUENCE LAST-TOO
 *                     KEYSPACE FIRST LAST", words coded, the last three behind "+", or "-": not known
 *     snapshots, snapshot-create, -delete, -rename, diff    see snapshots.h
 *     rollback, rollback-force NAME    a line "keys COUNT" of those put back; EBUSY: files are open
 *
 * A reader that gets a version it does not know answers with EPROTONOSUPPORT and its own.
 */
#ifndef FS_WIRE_H
#define FS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lsmkv.h"

#define WIRE_VERSION 1
#define WIRE_SOCKET  "CONTROL"
#define WIRE_LINE_MAX \
    (3u * LSMKV_KEY_MAX + 64u) /* bytes in a line, its newline counted */

/* One end of a connection. */
struct wire {
    int fd;
    int failure; /* of sending or receiving; the first one */
    size_t begin, end;
    char buffer[WIRE_LINE_MAX];
};

/* Takes `fd` over. */
void wire_init(struct wire *wire, int fd);
void wire_fini(struct wire *wire);

/* The next line without its newline; it holds until the next call.  NULL: none, see
 * `failure`, which is -EPIPE at the end of the connection. */
char *wire_line(struct wire *wire);

/* Has the other end gone, or does this one go (shutdown)?  What takes long asks now and then. */
bool wire_is_cut_off(const struct wire *wire);

/* Sends; what fails shows in `failure`. */
void wire_say(struct wire *wire, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void wire_data(struct wire *wire, const void *bytes, size_t size);

/* Sends how far something has come.  False: nobody listens any more, or nobody is to be answered.
 * `wire` is a struct wire. */
bool wire_progress(void *wire, uint64_t done, uint64_t total);

/* Reads what `data` lines carry until another line comes, which is returned (NULL: `failure`),
 * and writes it to the file descriptor `to`. */
char *wire_copy_data(struct wire *wire, int to);

/* A descriptor for the other end, which has said that it waits for one; what fails shows in `failure`. */
void wire_send_descriptor(struct wire *wire, int fd);
/* Waits for it; then it is the caller's.  -EPROTO: something else came. */
LSMKV_CHECKED int wire_receive_descriptor(struct wire *wire, int *fd);

/* Does the process at the other end have our user, as it was when it connected, or began to listen?
 * Then `*user` is ours; else that one, or (uid_t)-1 if it cannot be told. */
bool wire_is_own_user(const struct wire *wire, uid_t *user);

/* Codes bytes so that they are one word: %XX for all but graphic ASCII other than '%'.  Writes
 * at most 3 * size + 1 bytes. */
void wire_encode(const void *bytes, size_t size, char *text);
/* Decodes in place; -EINVAL. */
LSMKV_CHECKED int wire_decode(char *text, size_t *size);

/* A descriptor of the store's directory, for those two below, or a negative errno. */
LSMKV_CHECKED int wire_directory(const char *store);
/* Connects to the daemon that has the store at `store` mounted.  -ENOENT and -ECONNREFUSED:
 * nobody listens there. */
LSMKV_CHECKED int wire_connect(const char *store, int *fd);
/* Listens, in place of whatever listened before: for the holder of the store's lock alone. */
LSMKV_CHECKED int wire_listen(int directory, int *fd);
void wire_unlisten(int directory);

#endif
