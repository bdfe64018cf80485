/*
 * client.c - a command's end of the control socket.
 */
#include "common/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/killed.h"
#include "common/mountinfo.h"
#include "common/note.h"

int
client_find_store(const char *place, char *store, char *mounted)
{
    char absolute[PATH_MAX];
    struct mountinfo *info = malloc(sizeof(*info));
    int result = info == NULL ? -ENOMEM : mountinfo_absolute(place, absolute);

    if (result == 0) {
        result = mountinfo_find(0, absolute, info);
        bool ours = result == 0 && strcmp(info->type, MOUNT_TYPE) == 0;
        strcpy(store, ours ? info->source : absolute);
        if (mounted != NULL)
            strcpy(mounted, ours ? absolute : "");
        /* Without /proc it can still be a store. */
        result = 0;
    }
    free(info);
    return result;
}

int
client_find_mount(const char *store, char *point)
{
    int pid, result = note_read(store, &pid, point);

    return result == 0 && point[0] == '\0' ? -ENOENT : result;
}

struct client *
client_open(const char *store)
{
    struct client *client = malloc(sizeof(*client));
    pid_t killed;
    int fd;

    if (client == NULL)
        return NULL;
    int result = wire_connect(store, &fd);
    if (result == 0 && (killed = killed_peer(fd)) != 0) {
        close(fd);
        result = killed_end(store, killed);
        if (result == 0)
            result = -ECONNREFUSED;
    }
    if (result != 0) {
        free(client);
        errno = -result;
        return NULL;
    }
    client->text[0] = '\0';
    wire_init(&client->wire, fd);
    return client;
}

void
client_close(struct client *client)
{
    if (client == NULL)
        return;
    wire_fini(&client->wire);
    free(client);
}

bool
client_is_killed(const char *store)
{
    struct client *client = client_open(store);
    bool killed = client == NULL && errno == ENOTCONN;

    client_close(client);
    return killed;
}

bool
client_is_killed_at(const char *point)
{
    struct mountinfo info;

    return mountinfo_find(0, point, &info) == 0 && strcmp(info.type, MOUNT_TYPE) == 0 &&
           client_is_killed(info.source);
}

void
client_ask(struct client *client, const char *command, struct lsmkv_slice argument)
{
    char *coded = malloc(3 * argument.size + 1);

    if (coded == NULL) {
        client->wire.failure = -ENOMEM;
        return;
    }
    wire_encode(argument.data, argument.size, coded);
    wire_say(&client->wire, "lsmfs %d %s %s\n", WIRE_VERSION, command, coded);
    free(coded);
}

int
client_end(struct client *client, const char *line)
{
    char *text;

    if (line == NULL)
        return client->wire.failure;
    if (strcmp(line, "ok") == 0)
        return 0;
    if (strncmp(line, "error ", 6) != 0)
        return -EPROTO;
    long error = strtol(line + 6, &text, 10);
    snprintf(client->text, sizeof(client->text), "%s", *text == ' ' ? text + 1 : text);
    return error > 0 && error < 4096 ? -(int)error : -EPROTO;
}

int
client_answer(struct client *client, int out)
{
    return client_end(client, wire_copy_data(&client->wire, out));
}

bool
client_take_progress(const char *line, uint64_t *done, uint64_t *total)
{
    unsigned long long numbers[2];

    if (sscanf(line, "progress %llu %llu", &numbers[0], &numbers[1]) != 2)
        return false;
    *total = numbers[1];
    *done = *total > 0 && *total < numbers[0] ? *total : numbers[0];
    return true;
}

char *
client_word(char **rest)
{
    char *word = strsep(rest, " ");
    size_t size;

    if (word == NULL || wire_decode(word, &size) != 0)
        return NULL;
    word[size] = '\0';
    return word;
}

bool
client_take_file(char *line, struct lsmkv_finding *finding)
{
    int severity, head = 0;

    /* One blank, no "%d %n": the word behind it may be empty, and another blank comes. */
    if (sscanf(line, "file %d%n", &severity, &head) != 1 || line[head] != ' ')
        return false;
    char *rest = line + head + 1;
    const char *file = client_word(&rest), *offset = client_word(&rest);
    const char *text = client_word(&rest);
    if (text == NULL)
        return false;
    *finding = (struct lsmkv_finding){
        .severity = severity == LSMKV_DAMAGE ? LSMKV_DAMAGE : LSMKV_NOTE,
        .file = file,
        .offset = strtoull(offset, NULL, 10),
        .text = text,
    };
    return true;
}

const char *
client_why(const struct client *client, int result)
{
    /* All that a daemon says so of is a request that it does not know. */
    if (result == -EPROTO && client->text[0] != '\0')
        return "its daemon is of an older version: unmount it and mount it again";
    if (client->text[0] != '\0')
        return client->text;
    return result == -EPIPE ? "the daemon ended before it answered" : strerror(-result);
}

int
client_fail(const struct client *client, const char *command, const char *what,
            int result)
{
    fprintf(stderr, "lsmfs %s: %s: %s\n", command, what, client_why(client, result));
    return EXIT_FAILURE;
}
