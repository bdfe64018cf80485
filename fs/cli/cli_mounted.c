/*
 * cli_mounted.c - get, put, rm and ls of a store that is mounted: the daemon does them.
 *
 * The command line is that of cli_store.c, which has the help and the complaints: what is
 * not well-formed is left to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "common/client.h"
#include "daemon/mount.h"

#define COPY_SIZE 65536u

struct call {
    const char *command;
    bool force, recursive, lengthy, null;
    const char *store; /* absolute */
    char **operands;   /* behind the store */
    int count;
};

/* ---- put ---- */

/* Sends what `fd` holds.  A failed read is told, and ends the connection without "end",
 * so that nothing is put. */
static int
send_contents(struct client *client, int fd, const char *name)
{
    char *bytes = malloc(COPY_SIZE);
    ssize_t got = -1;

    if (bytes == NULL)
        return -ENOMEM;
    do {
        got = read(fd, bytes, COPY_SIZE);
        if (got > 0)
            wire_data(&client->wire, bytes, (size_t)got);
    } while (client->wire.failure == 0 && (got > 0 || (got < 0 && errno == EINTR)));
    int result = got < 0 ? -errno : 0;
    free(bytes);
    if (result != 0)
        fprintf(stderr, "lsmfs put: %s: %s\n", name, strerror(-result));
    else
        wire_say(&client->wire, "end\n");
    return result;
}

static int
put(const struct call *call, struct client *client)
{
    const char *key = call->operands[0], *name = "standard input";
    int fd = STDIN_FILENO;

    if (call->count == 2) {
        name = call->operands[1];
        fd = open(name, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            fprintf(stderr, "lsmfs put: %s: %s\n", name, strerror(errno));
            return STATUS_FAILED;
        }
    }
    client_ask(client, "put", lsmkv_str(key));
    int result = send_contents(client, fd, name);
    if (fd != STDIN_FILENO)
        close(fd);
    if (result != 0)
        return STATUS_FAILED;
    result = client_answer(client, STDOUT_FILENO);
    return result == 0 ? STATUS_OK : client_fail(client, call->command, key, result);
}

/* ---- get, ls ---- */

static int
fetch(const struct call *call, struct client *client)
{
    const char *key = call->count > 0 ? call->operands[0] : "";
    char command[16];

    snprintf(command, sizeof(command), "%s%s%s%s", call->command,
             call->recursive ? "-R" : "", call->lengthy ? "-l" : "",
             call->null ? "-0" : "");
    client_ask(client, command, lsmkv_str(key));
    int result = client_answer(client, STDOUT_FILENO);
    return result == 0 ? STATUS_OK : client_fail(client, call->command, key, result);
}

/* ---- rm ---- */

/* One connection a key. */
static int
remove_keys(const struct call *call, struct client *client)
{
    int status = STATUS_OK;

    for (int i = 0; i < call->count; i++) {
        struct client *own = i == 0 ? client : client_open(call->store);
        if (own == NULL) {
            fprintf(stderr, "lsmfs rm: %s: %s\n", call->store, strerror(errno));
            return STATUS_FAILED;
        }
        client_ask(own, "rm", lsmkv_str(call->operands[i]));
        int result = client_answer(own, STDOUT_FILENO);
        if (result != 0 && !(result == -ENOENT && call->force))
            status = client_fail(own, "rm", call->operands[i], result);
        if (own != client)
            client_close(own);
    }
    return status;
}

/* ---- the command line ---- */

/* True: well-formed, and no help. */
static bool
parse(int argc, char **argv, struct call *call)
{
    static const struct option names[] = {
        {"force", no_argument, NULL, 'f'},
        {"recursive", no_argument, NULL, 'R'},
        {"long", no_argument, NULL, 'l'},
        {"null", no_argument, NULL, '0'},
        {0},
    };
    const char *letters = strcmp(argv[0], "rm") == 0   ? "f"
                          : strcmp(argv[0], "ls") == 0 ? "Rl0"
                                                       : "";
    bool well = true;
    int letter;

    call->command = argv[0];
    optind = 0;
    opterr = 0;
    while (well && (letter = getopt_long(argc, argv, "fRl0", names, NULL)) != -1) {
        well = letter != '?' && strchr(letters, letter) != NULL;
        call->force |= letter == 'f';
        call->recursive |= letter == 'R';
        call->lengthy |= letter == 'l';
        call->null |= letter == '0';
    }
    opterr = 1;
    call->operands = argv + optind + 1;
    call->count = argc - optind - 1;
    return well && call->count >= 0;
}

static bool
operands_fit(const struct call *call)
{
    if (strcmp(call->command, "put") == 0)
        return call->count == 1 || call->count == 2;
    if (strcmp(call->command, "get") == 0)
        return call->count == 1;
    if (strcmp(call->command, "rm") == 0)
        return call->count >= 1;
    return call->count <= 1;
}

bool
cli_mounted(int argc, char **argv, int *status)
{
    struct call call = {0};
    char store[PATH_MAX];

    if (!parse(argc, argv, &call) || !operands_fit(&call) ||
        client_find_store(call.operands[-1], store, NULL) != 0)
        return false;
    struct client *client = client_open(store);
    if (client == NULL)
        return false;
    call.store = store;
    if (strcmp(call.command, "put") == 0)
        *status = put(&call, client);
    else if (strcmp(call.command, "rm") == 0)
        *status = remove_keys(&call, client);
    else
        *status = fetch(&call, client);
    client_close(client);
    return true;
}
