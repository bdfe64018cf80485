/*
 * wire.c - the lines of the control protocol, and its socket.
 *
 * A store's path may be longer than the address of a socket holds, so the socket is reached
 * through /proc/self/fd and its directory.
 */
#include "common/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

void
wire_init(struct wire *wire, int fd)
{
    wire->fd = fd;
    wire->failure = 0;
    wire->begin = wire->end = 0;
}

void
wire_fini(struct wire *wire)
{
    if (wire->fd >= 0)
        close(wire->fd);
    wire->fd = -1;
}

/* ---- receiving ---- */

/* Receives more; false: see `failure`. */
static bool
fill(struct wire *wire)
{
    ssize_t got;

    if (wire->begin > 0) {
        memmove(wire->buffer, wire->buffer + wire->begin, wire->end - wire->begin);
        wire->end -= wire->begin;
        wire->begin = 0;
    }
    if (wire->end == sizeof(wire->buffer)) {
        wire->failure = -EMSGSIZE;
        return false;
    }
    do {
        got =
            recv(wire->fd, wire->buffer + wire->end, sizeof(wire->buffer) - wire->end, 0);
    } while (got < 0 && errno == EINTR);
    if (got <= 0) {
        wire->failure = got == 0 ? -EPIPE : -errno;
        return false;
    }
    wire->end += (size_t)got;
    return true;
}

char *
wire_line(struct wire *wire)
{
    char *newline;

    if (wire->failure != 0)
        return NULL;
    while ((newline = memchr(wire->buffer + wire->begin, '\n',
                             wire->end - wire->begin)) == NULL) {
        if (!fill(wire))
            return NULL;
    }
    char *line = wire->buffer + wire->begin;
    *newline = '\0';
    wire->begin = (size_t)(newline + 1 - wire->buffer);
    return line;
}

static int
write_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t done = write(fd, bytes, size);
        if (done < 0 && errno != EINTR)
            return -errno;
        if (done > 0) {
            bytes += done;
            size -= (size_t)done;
        }
    }
    return 0;
}

/* Moves `size` bytes to `to`; false: see `failure`. */
static bool
copy_bytes(struct wire *wire, int to, unsigned long long size)
{
    while (size > 0) {
        if (wire->begin == wire->end && !fill(wire))
            return false;
        size_t part = wire->end - wire->begin;
        if (part > size)
            part = (size_t)size;
        wire->failure = write_all(to, wire->buffer + wire->begin, part);
        if (wire->failure != 0)
            return false;
        wire->begin += part;
        size -= part;
    }
    return true;
}

char *
wire_copy_data(struct wire *wire, int to)
{
    char *line, *end;

    while ((line = wire_line(wire)) != NULL && strncmp(line, "data ", 5) == 0) {
        errno = 0;
        unsigned long long size = strtoull(line + 5, &end, 10);
        if (errno != 0 || end == line + 5 || *end != '\0') {
            wire->failure = -EPROTO;
            return NULL;
        }
        if (!copy_bytes(wire, to, size))
            return NULL;
    }
    return line;
}

bool
wire_is_cut_off(const struct wire *wire)
{
    struct pollfd event = {wire->fd, POLLRDHUP, 0};

    return wire->failure != 0 || poll(&event, 1, 0) > 0;
}

/* ---- sending ---- */

static void
send_all(struct wire *wire, const char *bytes, size_t size)
{
    while (wire->failure == 0 && size > 0) {
        ssize_t sent = send(wire->fd, bytes, size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR)
            wire->failure = -errno;
        if (sent > 0) {
            bytes += sent;
            size -= (size_t)sent;
        }
    }
}

/* Short ones take no memory, so that the want of it can be told. */
void
wire_say(struct wire *wire, const char *format, ...)
{
    char text[256], *line = text;
    va_list arguments, again;

    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(text, sizeof(text), format, arguments);
    if (length >= (int)sizeof(text))
        length = vasprintf(&line, format, again);
    va_end(again);
    va_end(arguments);
    if (length < 0) {
        wire->failure = -ENOMEM;
        return;
    }
    send_all(wire, line, (size_t)length);
    if (line != text)
        free(line);
}

void
wire_data(struct wire *wire, const void *bytes, size_t size)
{
    wire_say(wire, "data %zu\n", size);
    send_all(wire, bytes, size);
}

bool
wire_progress(void *context, uint64_t done, uint64_t total)
{
    struct wire *wire = context;

    wire_say(wire, "progress %llu %llu\n", (unsigned long long)done,
             (unsigned long long)total);
    return !wire_is_cut_off(wire);
}

/* ---- descriptors ---- */

/* Room for the one that goes along with a byte. */
union passed {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr aligned;
};

void
wire_send_descriptor(struct wire *wire, int fd)
{
    char byte = 'd';
    union passed passed = {{0}};
    struct iovec io = {&byte, 1};
    struct msghdr message = {.msg_iov = &io,
                             .msg_iovlen = 1,
                             .msg_control = &passed,
                             .msg_controllen = sizeof(passed)};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    ssize_t sent;

    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(head), &fd, sizeof(int));
    do {
        sent = sendmsg(wire->fd, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && wire->failure == 0)
        wire->failure = -errno;
}

int
wire_receive_descriptor(struct wire *wire, int *fd)
{
    char byte;
    union passed passed = {{0}};
    struct iovec io = {&byte, 1};
    struct msghdr message = {.msg_iov = &io,
                             .msg_iovlen = 1,
                             .msg_control = &passed,
                             .msg_controllen = CMSG_LEN(sizeof(int))};
    ssize_t got;

    if (wire->begin != wire->end)
        return -EPROTO;
    do {
        got = recvmsg(wire->fd, &message, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got <= 0)
        return wire->failure = got == 0 ? -EPIPE : -errno;
    /* More than one do not fit, without the padding, and the kernel closes them. */
    const struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    if (head == NULL || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS ||
        head->cmsg_len != CMSG_LEN(sizeof(int)))
        return -EPROTO;
    memcpy(fd, CMSG_DATA(head), sizeof(int));
    return 0;
}

bool
wire_is_own_user(const struct wire *wire, uid_t *user)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    *user = (uid_t)-1;
    if (getsockopt(wire->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
        *user = peer.uid;
    return *user == geteuid();
}

/* ---- words ---- */

void
wire_encode(const void *bytes, size_t size, char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    const unsigned char *from = bytes;

    for (size_t i = 0; i < size; i++) {
        if (from[i] > ' ' && from[i] < 0x7f && from[i] != '%') {
            *text++ = (char)from[i];
        } else {
            *text++ = '%';
            *text++ = digits[from[i] >> 4];
            *text++ = digits[from[i] & 15];
        }
    }
    *text = '\0';
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int
wire_decode(char *text, size_t *size)
{
    char *to = text;

    for (const char *from = text; *from != '\0'; from++) {
        if (*from != '%') {
            *to++ = *from;
            continue;
        }
        int high = hex_digit(from[1]);
        int low = high < 0 ? -1 : hex_digit(from[2]);
        if (low < 0)
            return -EINVAL;
        *to++ = (char)(high << 4 | low);
        from += 2;
    }
    *size = (size_t)(to - text);
    return 0;
}

/* ---- the socket ---- */

int
wire_directory(const char *store)
{
    int directory = open(store, O_PATH | O_DIRECTORY | O_CLOEXEC);

    return directory < 0 ? -errno : directory;
}

/* Binds or connects `fd` to the socket in that directory. */
static int
to_address(int directory, int fd, bool to_bind)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int result;

    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", directory,
             WIRE_SOCKET);
    result = to_bind ? bind(fd, (const struct sockaddr *)&address, sizeof(address))
                     : connect(fd, (const struct sockaddr *)&address, sizeof(address));
    return result != 0 ? -errno : 0;
}

int
wire_connect(const char *store, int *fd)
{
    int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), directory, result;

    if (made < 0)
        return -errno;
    directory = result = wire_directory(store);
    if (directory >= 0) {
        result = to_address(directory, made, false);
        close(directory);
    }
    if (result == 0)
        *fd = made;
    else
        close(made);
    return result;
}

int
wire_listen(int directory, int *fd)
{
    int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), result;

    if (made < 0)
        return -errno;
    wire_unlisten(directory);
    /* The mode of the socket file is what this says, less the umask; nobody can connect before
     * listen. */
    result = fchmod(made, 0600) != 0 ? -errno : to_address(directory, made, true);
    if (result == 0 && listen(made, 16) != 0)
        result = -errno;
    if (result != 0) {
        close(made);
        return result;
    }
    *fd = made;
    return 0;
}

void
wire_unlisten(int directory)
{
    unlinkat(directory, WIRE_SOCKET, 0);
}
