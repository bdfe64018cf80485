/*
 * manager.h - what the service manager is told (systemd's Type=notify).
 *
 * The protocol of sd_notify(3): a datagram of lines NAME=VALUE to the socket that the
 * environment names.  Its authors document it as stable and say that libsystemd is not
 * needed for it; that library would bring itself and three others into the daemon, and
 * into systems without systemd, for one sendto(2).
 *
 * Without such a socket nothing here does anything.  Threads: one at a time.
 */
#ifndef FS_MANAGER_H
#define FS_MANAGER_H

struct manager;

/* Takes NOTIFY_SOCKET from the environment, so that no child speaks for us.  NULL: nobody
 * wants to know, or it cannot be reached, which a message says. */
struct manager *manager_open(void);
void manager_close(struct manager *manager);

/* READY=1, or STOPPING=1, and what is the case in words. */
void manager_ready(struct manager *manager, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void manager_stopping(struct manager *manager, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* From here to manager_end_work something goes on that may take long.  As long as the
 * process gets on with it, by its processor time and its reads and writes, the manager is
 * asked for more time, once a second; if it hangs, the manager's time limit holds. */
void manager_begin_work(struct manager *manager, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void manager_end_work(struct manager *manager);

#endif
