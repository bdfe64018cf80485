/*
 * mount.c - a mount from its beginning to its end.
 *
 *     parent                child
 *     fork ---------------> open the store, mount, start the loop
 *     wait at a pipe        the kernel's INIT arrives: the mount answers
 *     exit with status <--- leave the terminal, write the status
 *                           wait for the end: unmounted, or told to by a signal
 *                           announce the closing, finish requests, close the store
 *
 * D1  The parent's status is 0 only if the mount answers.
 * D2  From the end of the session to the release of the lock, the lock file says that the
 *     store is closing, so that the next mount waits for it.
 * D3  Nothing is unmounted by path unless that path is seen to have this mount on top:
 *     something else may be mounted there, over it or after its end.
 */
#include "daemon/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "common/client.h"
#include "common/log.h"
#include "common/mountinfo.h"
#include "common/note.h"
#include "daemon/awake.h"
#include "daemon/control.h"
#include "daemon/fuse_ops.h"
#include "daemon/launch.h"
#include "daemon/loop.h"
#include "daemon/manager.h"
#include "daemon/memory.h"
#include "daemon/ring.h"
#include "store/store.h"
#include "vfs/requests.h"
#include "vfs/stats.h"

#define HANDOVER_MS      30000 /* the longest wait for a holder that is shutting down */
#define READER_MS        1000
#define HANDOVER_STEP_MS 20
#define UNMOUNTED_MS     5000 /* from unmounting to the end of the session */
#define WHILE_MS         1000 /* between two looks at the memory */

#define FUSE_CONF "/etc/fuse.conf"

struct mount {
    const struct options *options;
    struct launch *launch;   /* NULL in the foreground */
    struct manager *manager; /* of services; NULL without one */
    struct vfs *vfs;
    struct fuse_ops ops;
    struct fuse_session *session;
    struct loop *loop;
    struct control *control;
    struct requests *requests;
    struct rings *rings; /* NULL: requests come through /dev/fuse alone */
    atomic_bool lost;    /* one of them */
    struct stats_source source;
    struct memory_shares shares;
    struct awake awake; /* open with -o low_latency, where that can be */
    int64_t given_back; /* when free memory was, on the clock of now_ms */
    int ready_fd;       /* readable once INIT has come */
    char device[32];    /* of the mount; empty if unknown */
    bool ready;
    bool detached; /* taken from its place although in use */
};

/* Readable once a signal asks for the end.  One a process, as signals are. */
static int signal_fd = -1;

static void
raise_event(int fd)
{
    uint64_t one = 1;

    /* Fails only if the count is at its limit, and then it is readable anyhow. */
    if (write(fd, &one, sizeof(one)) < 0)
        return;
}

/* ---- opening the store ---- */

int
mount_status_of(int result)
{
    switch (result) {
    case -EBUSY:
        return STATUS_LOCKED;
    case -EACCES:
    case -EPERM:
    case -EROFS:
        return STATUS_PERMISSION;
    case -ENOENT:
    case -ENOTDIR:
    case -EBADMSG:
    case -EUCLEAN:
    case -ENOTSUP: /* a newer engine's */
    case -EPROTONOSUPPORT:
        return STATUS_STORE;
    default:
        return STATUS_FAILED;
    }
}

/* Has the store's holder, after `waited` milliseconds, lost its mount?  Then it is about
 * to close, even if it has not come to say so yet: umount(8) returns before the daemon
 * knows.  Who only reads says nothing of itself, and is given a second. */
static bool
holder_is_leaving(const char *store, int waited)
{
    char point[PATH_MAX];
    struct mountinfo info;
    int pid, result = note_read(store, &pid, point);

    if (result == -ENOENT)
        return true;
    if (result == 0 && pid == 0)
        return waited < READER_MS;
    if (result != 0 || point[0] == '\0')
        return false;
    result = mountinfo_find(pid, point, &info);
    return result == -ENOENT || (result == 0 && strcmp(info.type, MOUNT_TYPE) != 0);
}

static int
open_patiently(const struct vfs_options *options, struct vfs **vfs, char *why,
               size_t size)
{
    const struct timespec step = {0, HANDOVER_STEP_MS * 1000000L};
    int result = vfs_open(options, vfs, why, size);

    if (result == -EBUSY && !client_is_killed(options->store.path))
        result = vfs_open(options, vfs, why, size);
    for (int waited = 0; result == -EBUSY && waited < HANDOVER_MS &&
                         holder_is_leaving(options->store.path, waited);
         waited += HANDOVER_STEP_MS) {
        nanosleep(&step, NULL);
        result = vfs_open(options, vfs, why, size);
    }
    return result;
}

static int
open_vfs(struct mount *mount)
{
    const struct options *options = mount->options;
    char note[NOTE_SIZE], why[2048];
    struct lsmkv_options engine;
    struct vfs_options vfs;

    store_engine_init(&engine);
    engine.write_buffer_size = mount->shares.write_buffer;
    engine.cache_size = mount->shares.cache;
    if (engine.move_log_limit > engine.write_buffer_size)
        engine.move_log_limit = engine.write_buffer_size; /* it goes through memtables */
    engine.lock_note = note;
    engine.log = log_engine;
    note_print(options->mountpoint, note);

    vfs_options_init(&vfs);
    vfs.store.path = options->store;
    vfs.store.engine = &engine;
    vfs.store.create = !options->read_only && !options->must_exist;
    vfs.store.read_only = options->read_only;
    vfs.store.sync = options->sync;
    vfs.store.commit_ms = options->commit_ms;
    vfs.snapshot = options->snapshot[0] != '\0' ? options->snapshot : NULL;
    vfs.show_snapshots = options->show_snapshots;
    vfs.acl = options->acl;
    vfs.writeback = options->writeback;
    vfs.atime = options->atime;
    vfs.nodiratime = options->nodiratime;
    vfs.node_limit = mount->shares.nodes;
    vfs.listing_limit = mount->shares.listings;
    vfs.step_aside = loop_step_aside;
    vfs.source = &mount->source;

    manager_begin_work(mount->manager, "opening %s", options->store);
    int result = open_patiently(&vfs, &mount->vfs, why, sizeof(why));
    manager_end_work(mount->manager);
    if (result == 0)
        return STATUS_OK;
    log_say(LSMKV_LOG_ERROR, "%s", why);
    if (result == -ENOENT && options->must_exist && options->snapshot[0] == '\0')
        log_say(
            LSMKV_LOG_ERROR,
            "with nocreate, as with mount(8), no store is made; if it is a new one, and "
            "not its disk that is missing: `lsmfs %s %s` makes it",
            options->store, options->mountpoint);
    return mount_status_of(result);
}

/* ---- mounting ---- */

/* 0, or why nothing can be mounted there. */
static int
problem_of(const char *point)
{
    struct stat st;
    struct statfs fs;
    int problem = stat(point, &st) != 0 ? errno : S_ISDIR(st.st_mode) ? 0 : ENOTDIR;

    /* Attributes may come from the kernel's memory; this asks the daemon, if there is
     * one. */
    if (problem == 0 && statfs(point, &fs) != 0)
        problem = errno;
    return problem;
}

/* Takes away a mount of ours whose daemon has died, though programs may have files open
 * there: they cannot use them any more.  Another's is left to who knows it. */
static bool
detach_stale(const char *point)
{
    struct mountinfo info;

    if (mountinfo_find(0, point, &info) != 0 || strcmp(info.type, MOUNT_TYPE) != 0 ||
        mountinfo_abort(point, true) != 0)
        return false;
    log_say(
        LSMKV_LOG_WARNING,
        "%s: Transport endpoint is not connected: the daemon of a mount of %s has died; "
        "that mount is detached",
        point, info.source);
    return true;
}

/* Says what is wrong with the mount point, so that libfuse need not. */
static int
check_mountpoint(const char *point)
{
    int problem = client_is_killed_at(point) ? ENOTCONN : problem_of(point);

    while (mountinfo_is_dead(problem) && detach_stale(point))
        problem = problem_of(point);
    if (problem == 0)
        return STATUS_OK;
    if (mountinfo_is_dead(problem))
        log_say(
            LSMKV_LOG_ERROR,
            "%s: Transport endpoint is not connected: its daemon has died; clear it away "
            "with `fusermount3 -uz %s`, then mount again",
            point, point);
    else
        log_say(LSMKV_LOG_ERROR, "mount point %s: %s", point, strerror(problem));
    return problem == EACCES ? STATUS_PERMISSION : STATUS_MOUNTPOINT;
}

static int
check_fuse(void)
{
    if (access("/dev/fuse", F_OK) == 0)
        return STATUS_OK;
    log_say(LSMKV_LOG_ERROR,
            "/dev/fuse: %s (`modprobe fuse`; a container needs "
            "--device /dev/fuse --cap-add SYS_ADMIN)",
            strerror(errno));
    return STATUS_FUSE;
}

static int
add_arguments(const struct options *options, struct fuse_args *args)
{
    char *list = NULL, name[sizeof("fsname=") + PATH_MAX];

    snprintf(name, sizeof(name), "fsname=%s", options->store);
    int failed = fuse_opt_add_opt(&list, "default_permissions,subtype=lsmfs") |
                 fuse_opt_add_opt_escaped(&list, name);
    if (options->atime == VFS_NOATIME)
        failed |= fuse_opt_add_opt(&list, "noatime");
    if (options->passed[0] != '\0')
        failed |= fuse_opt_add_opt(&list, options->passed + 1);
    /* Last, since an `rw` may be among them. */
    if (options->read_only)
        failed |= fuse_opt_add_opt(&list, "ro");
    failed |= fuse_opt_add_arg(args, "lsmfs") | fuse_opt_add_arg(args, "-o") |
              fuse_opt_add_arg(args, list);
    if (options->debug)
        failed |= fuse_opt_add_arg(args, "-d");
    free(list);
    return failed ? -ENOMEM : 0;
}

/* Called by a loop thread when INIT has come. */
static void
on_ready(void *context)
{
    raise_event(((struct mount *)context)->ready_fd);
}

static bool
is_on_device(const struct mount *mount, int fd)
{
    char device[sizeof(mount->device)];
    struct stat st;

    if (mount->device[0] == '\0')
        return true; /* as far as anybody knows */
    if (fstat(fd, &st) != 0)
        return false;
    snprintf(device, sizeof(device), "%u:%u", major(st.st_dev), minor(st.st_dev));
    return strcmp(device, mount->device) == 0;
}

/* The descriptor is not kept, or nobody could unmount. */
static void
sync_all(void *context)
{
    const struct mount *mount = context;
    const char *point = mount->options->mountpoint;
    int fd = open(point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0 && !is_on_device(mount, fd))
        log_say(
            LSMKV_LOG_WARNING,
            "%s: something else is mounted there, so the times of files that are open for "
            "writing may be old",
            point);
    else if (fd < 0 || syncfs(fd) != 0)
        log_say(LSMKV_LOG_WARNING, "%s: cannot sync: %s", point, strerror(errno));
    if (fd >= 0)
        close(fd);
}

static int
make_session(struct mount *mount)
{
    struct fuse_args args = FUSE_ARGS_INIT(0, NULL);

    mount->ops.vfs = mount->vfs;
    mount->ops.acl = mount->options->acl;
    mount->ops.writeback = mount->options->writeback && !vfs_is_read_only(mount->vfs);
    mount->ops.shown = mount->options->shown;
    mount->ops.ready = on_ready;
    mount->ops.ready_context = mount;
    mount->ops.sync = sync_all;
    mount->ops.sync_context = mount;
    mount->ops.rings = mount->rings;
    if (add_arguments(mount->options, &args) == 0)
        mount->session = fuse_session_new(&args, fuse_ops_table(),
                                          sizeof(struct fuse_lowlevel_ops), &mount->ops);
    fuse_opt_free_args(&args);
    return mount->session != NULL ? STATUS_OK : STATUS_FAILED;
}

/* Has root allowed ordinary users the options allow_other and allow_root?  As fusermount3
 * reads it: a line without blanks and comments. */
static bool
may_allow_others(void)
{
    static const char wanted[] = "user_allow_other";
    char line[256];
    bool found = false;
    FILE *file = fopen(FUSE_CONF, "re");

    if (file == NULL)
        return false;
    while (!found && fgets(line, sizeof(line), file) != NULL) {
        const char *word = line + strspn(line, " \t");
        size_t length = strcspn(word, " \t\r\n#");

        found = length == strlen(wanted) && strncmp(word, wanted, length) == 0;
    }
    fclose(file);
    return found;
}

static void
explain_refusal(const struct options *options)
{
    const char *name = options_passes(options, "allow_other")  ? "allow_other"
                       : options_passes(options, "allow_root") ? "allow_root"
                                                               : NULL;

    if (name != NULL && geteuid() != 0 && !may_allow_others())
        log_say(LSMKV_LOG_ERROR,
                "-o %s is for root alone until " FUSE_CONF
                " has a line user_allow_other; as "
                "root: `echo user_allow_other >>" FUSE_CONF "`",
                name);
}

static int
mount_session(struct mount *mount)
{
    const char *point = mount->options->mountpoint;

    log_hold();
    int failed = fuse_session_mount(mount->session, point);
    const char *why = log_release();
    if (!failed && fuse_ops_take_io(mount->session) != 0) {
        log_say(LSMKV_LOG_ERROR, "cannot read from %s", point);
        return STATUS_FAILED;
    }
    if (!failed) {
        struct mountinfo info;

        if (mountinfo_find(0, point, &info) == 0)
            stpcpy(mount->device, info.device);
        return STATUS_OK;
    }
    /* fusermount3 says itself what it objects to. */
    log_say(LSMKV_LOG_ERROR, "cannot mount at %s%s%s", point, *why != '\0' ? ": " : "",
            strncmp(why, "fuse: ", 6) == 0 ? why + 6 : why);
    explain_refusal(mount->options);
    fuse_session_destroy(mount->session);
    mount->session = NULL;
    return geteuid() != 0 ? STATUS_PERMISSION : STATUS_MOUNTPOINT;
}

static void
on_signal(int number)
{
    int saved = errno;

    (void)number;
    raise_event(signal_fd);
    errno = saved;
}

static void
catch_signals(void)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        sigaction(ends[i], &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
    sigaction(SIGXFSZ, &action, NULL); /* a limit of file sizes is an error, EFBIG */
}

/* ---- while it is mounted ---- */

/* The mount answers: all that goes on beside the requests begins. */
static int
become_ready(struct mount *mount)
{
    const struct options *options = mount->options;
    int result = fuse_ops_start_notices(&mount->ops, mount->session);

    if (result != 0) {
        log_say(LSMKV_LOG_ERROR, "cannot start: %s", strerror(-result));
        return STATUS_FAILED;
    }
    mount->source.writeback = mount->ops.writeback;
    mount->source.io_uring = rings_accepted(mount->rings);
    /* A read-only store is left as it is, without a socket. */
    if (!options->read_only) {
        result = control_start(mount->vfs, &mount->source, &mount->control);
        if (result != 0)
            log_say(
                LSMKV_LOG_WARNING,
                "%s: no control socket, so lsmfs's commands will not reach this mount: %s",
                options->store, strerror(-result));
    }
    mount->ready = true;
    manager_ready(mount->manager, "%s is mounted at %s", options->store,
                  options->mountpoint);
    if (mount->launch != NULL)
        launch_detach(mount->launch);
    return STATUS_OK;
}

/* Is the mount what its path leads to?  (D3) */
static bool
is_on_top(const struct mount *mount)
{
    const struct options *options = mount->options;
    struct mountinfo info;

    if (mount->device[0] == '\0')
        return true; /* as far as anybody knows */
    return mountinfo_find(0, options->mountpoint, &info) == 0 &&
           strcmp(info.device, mount->device) == 0 &&
           strcmp(info.source, options->store) == 0;
}

/* Is it mounted, but not to be reached: beneath something else, or bound elsewhere? */
static bool
is_covered(struct mount *mount)
{
    struct mountinfo info;

    if (is_on_top(mount) ||
        mountinfo_find_device(mount->device, mount->options->store, &info) != 0)
        return false;
    log_say(LSMKV_LOG_WARNING,
            "%s is not where this mount can be undone; what is left of it is dead",
            mount->options->mountpoint);
    mount->detached = true;
    return true;
}

/* A signal asks for the end.  True: wait for the kernel to end the session. */
static bool
unmount(struct mount *mount)
{
    const char *point = mount->options->mountpoint;
    int result;

    if (is_covered(mount))
        return false;
    if (!is_on_top(mount))
        return true;
    result = mountinfo_unmount(point, false);
    if (result == 0)
        return true;
    log_say(LSMKV_LOG_WARNING, "%s: %s; it is taken away from whoever uses it", point,
            mountinfo_why(result));
    result = vfs_write_back(mount->vfs);
    if (result < 0)
        log_say(LSMKV_LOG_WARNING, "%s: cannot write back: %s", point, strerror(-result));
    result = mountinfo_unmount(point, true);
    if (result != 0)
        log_say(LSMKV_LOG_ERROR, "cannot unmount %s: %s", point, mountinfo_why(result));
    mount->detached = true;
    return false;
}

static int64_t
now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* What is left until `deadline` (0: there is none), but at most until the next look, as poll takes
 * it. */
static int
left_ms(const struct mount *mount, int64_t deadline)
{
    const int most = mount->awake.fd < 0 ? WHILE_MS : AWAKE_LOOK_MS;
    int64_t left = deadline - now_ms();

    if (deadline == 0 || left > most)
        return most;
    return left < 0 ? 0 : (int)left;
}

/* What is looked at again and again. */
static void
look(struct mount *mount)
{
    int result = awake_look(&mount->awake, requests_total(mount->requests));

    if (result != 0) {
        log_say(LSMKV_LOG_WARNING,
                "-o low_latency: %s: %s; requests are answered without", AWAKE_DEVICE,
                strerror(-result));
        awake_close(&mount->awake);
    }
    if (now_ms() - mount->given_back >= WHILE_MS) {
        memory_give_back();
        mount->given_back = now_ms();
    }
}

/* Waits for the end of the session. */
static int
serve(struct mount *mount)
{
    enum { READY, ENDED, SIGNALLED };
    struct pollfd events[] = {{mount->ready_fd, POLLIN, 0},
                              {loop_ended_fd(mount->loop), POLLIN, 0},
                              {signal_fd, POLLIN, 0}};
    int64_t deadline = 0;
    int status = STATUS_OK, count;

    while (status == STATUS_OK) {
        count =
            poll(events, sizeof(events) / sizeof(events[0]), left_ms(mount, deadline));
        if (count < 0 && errno == EINTR)
            continue;
        if (count == 0 && left_ms(mount, deadline) > 0) {
            look(mount);
            continue;
        }
        if (count <= 0)
            mount->detached = true; /* somewhere, lazily; not at its path */
        if (count <= 0 || events[ENDED].revents != 0)
            break;
        if (events[READY].revents != 0) {
            events[READY].fd = -1;
            status = become_ready(mount);
        }
        if (events[SIGNALLED].revents != 0) {
            events[SIGNALLED].fd = -1;
            if (!unmount(mount))
                break;
            deadline = now_ms() + UNMOUNTED_MS;
        }
    }
    if (status == STATUS_OK && !mount->ready) {
        log_say(LSMKV_LOG_ERROR, "unmounted before it was ready");
        status = STATUS_FAILED;
    }
    return status;
}

/* In a thread of the loop.  By the connection's number, which it has for as long as it is mounted
 * and alive (D3).  Where that cannot be, it ends with this process, which goes on as long as another
 * thread of it waits in the kernel for one of those requests. */
static void
on_lost(void *context)
{
    struct mount *mount = context;
    int result;

    atomic_store(&mount->lost, true);
    if (mount->device[0] == '\0')
        return;
    result = mountinfo_end_connection(mount->device);
    if (result != 0)
        log_say(LSMKV_LOG_ERROR,
                "cannot end the connection by " MOUNTINFO_CONNECTIONS ": %s",
                strerror(-result));
}

/* ---- the whole ---- */

static bool
changes_wait(void *context)
{
    const struct mount *mount = context;

    return mount->options->sync || vfs_is_full(mount->vfs);
}

static int
run_session(struct mount *mount)
{
    const struct loop_work work = {changes_wait, on_lost, mount};
    int result =
        loop_start(mount->session, mount->requests, mount->rings, &work, &mount->loop);
    int status = STATUS_FAILED;

    if (result == 0)
        status = serve(mount);
    else
        log_say(LSMKV_LOG_ERROR, "cannot start threads: %s", strerror(-result));
    manager_stopping(mount->manager, "unmounted");
    lsmkv_announce_close(vfs_store(mount->vfs)->db);
    vfs_stop_notices(mount->vfs);
    if (mount->control != NULL)
        control_stop(mount->control);
    if (mount->loop != NULL)
        loop_stop(mount->loop);
    if (atomic_load(&mount->lost))
        status = STATUS_FAILED;
    /* Closes, and no more than that if the kernel has ended the session (D3). */
    if (!mount->detached && !is_covered(mount))
        fuse_session_unmount(mount->session);
    fuse_session_destroy(mount->session);
    return status;
}

static int
close_vfs(struct mount *mount, int status)
{
    manager_begin_work(mount->manager, "closing %s", mount->options->store);
    int result = vfs_close(mount->vfs);
    manager_end_work(mount->manager);

    if (result != 0)
        log_say(LSMKV_LOG_ERROR, "%s: closing failed, the last changes may be lost: %s",
                mount->options->store, lsmkv_strerror(result));
    control_finish(mount->control, result);
    return result != 0 && status == STATUS_OK ? STATUS_FAILED : status;
}

/* All of a mount's life, in the daemon or in the foreground. */
static int
live(struct mount *mount)
{
    int status = open_vfs(mount);

    if (status != STATUS_OK)
        return status;
    status = make_session(mount);
    if (status == STATUS_OK) {
        catch_signals();
        status = mount_session(mount);
        if (status == STATUS_OK)
            status = run_session(mount);
    }
    return close_vfs(mount, status);
}

/* The engine keeps half of the limit in tables open, and few systems allow many by
 * default. */
static void
raise_limits(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Without io_uring the mount goes on through /dev/fuse; what these might take stays set aside. */
static void
make_rings(struct mount *mount)
{
    int result = rings_new(mount->options->memory, &mount->rings);

    if (result == -ENOTSUP)
        log_say(LSMKV_LOG_WARNING,
                "no io_uring for the processors of this machine (more than 48, not all "
                "possible, or too many for memory=): requests go through /dev/fuse");
    else if (result != 0)
        log_say(LSMKV_LOG_WARNING, "no io_uring: %s; requests go through /dev/fuse",
                strerror(-result));
}

static void
open_awake(struct mount *mount)
{
    int result = awake_open(&mount->awake, AWAKE_DEVICE);

    if (result != 0)
        log_say(LSMKV_LOG_WARNING,
                "-o low_latency: %s: %s; requests are answered without", AWAKE_DEVICE,
                strerror(-result));
}

int
mount_run(const struct options *options)
{
    struct mount mount = {.options = options, .awake.fd = -1};
    int status = check_mountpoint(options->mountpoint);

    if (status == STATUS_OK)
        status = check_fuse();
    if (status != STATUS_OK)
        return status;
    if (!options->foreground) {
        status = launch_fork(&mount.launch);
        if (mount.launch == NULL)
            return status;
    }
    if (mount.launch == NULL)
        mount.manager = manager_open();
    raise_limits();
    log_set_level(options->debug ? LSMKV_LOG_DEBUG : options->log_level);
    log_adopt_libfuse();
    if (options->io_uring)
        make_rings(&mount);
    if (options->low_latency)
        open_awake(&mount);
    memory_share(options->memory, rings_memory(mount.rings), &mount.shares);
    memory_begin(&mount.shares);
    mount.requests = requests_new(LOOP_THREADS + rings_count(mount.rings));
    mount.source = (struct stats_source){
        .store = options->store,
        .mountpoint = options->mountpoint,
        .requests = mount.requests,
    };
    mount.ready_fd = eventfd(0, EFD_CLOEXEC);
    signal_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (mount.requests == NULL) {
        log_say(LSMKV_LOG_ERROR, "%s", strerror(ENOMEM));
        status = STATUS_FAILED;
    } else if (mount.ready_fd < 0 || signal_fd < 0) {
        log_say(LSMKV_LOG_ERROR, "eventfd: %s", strerror(errno));
        status = STATUS_FAILED;
    } else {
        status = live(&mount);
    }
    awake_close(&mount.awake);
    rings_free(mount.rings);
    requests_free(mount.requests);
    close(mount.ready_fd);
    close(signal_fd);
    manager_close(mount.manager);
    if (mount.launch != NULL)
        launch_end(mount.launch, status);
    return status;
}
