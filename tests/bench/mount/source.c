/* source.c - see source.h. */
#include "source.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common.h"
#include "keys.h"

enum { FILES = 6000, FILES_IN_ONE = 20 };

static void
make_directory(const char *path)
{
    if (mkdir(path, 0755) != 0 && errno != EEXIST)
        die("%s: %s", path, strerror(errno));
}

/* Of a hundred files sixty have up to 4 KiB, thirty 32, nine 128, one a MiB. */
static size_t
size_of(struct random *random)
{
    uint64_t kind = random_below(random, 100);
    uint64_t most = kind < 60 ? 4 : kind < 90 ? 32 : kind < 99 ? 128 : 1024;

    return 1 + (size_t)random_below(random, most << 10);
}

/* Every other file is text: lines of digits and letters. */
static void
write_contents(FILE *file, uint64_t n, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    char text[4096];

    for (size_t done = 0, part; done < size; done += part) {
        struct bytes bytes = payload_of(n * 1000 + done, sizeof(text));
        const unsigned char *from = bytes.data;

        part = size - done < sizeof(text) ? size - done : sizeof(text);
        for (size_t i = 0; i < part; i++)
            text[i] = i % 64 == 63 ? '\n' : digits[from[i] % 16];
        fwrite(n % 2 == 0 ? text : bytes.data, 1, part, file);
    }
}

void
source_make(const char *path, double scale)
{
    struct random random = {.state = 6};
    uint64_t files = (uint64_t)(FILES * scale) + 1;
    char name[4200];

    payloads_init(PAYLOAD_NOISE);
    make_directory(path);
    snprintf(name, sizeof(name), "%s/tree", path);
    make_directory(name);
    for (uint64_t i = 0; i < files; i++) {
        unsigned directory = (unsigned)(i / FILES_IN_ONE);
        int length =
            snprintf(name, sizeof(name), "%s/tree/part-%02u", path, directory % 20);
        FILE *file;

        make_directory(name);
        length += snprintf(name + length, sizeof(name) - (size_t)length, "/folder-%03u",
                           directory);
        make_directory(name);
        snprintf(name + length, sizeof(name) - (size_t)length, "/file-%05u.txt",
                 (unsigned)i);
        file = fopen(name, "w");
        if (file == NULL)
            die("%s: %s", name, strerror(errno));
        write_contents(file, i, size_of(&random));
        if (fclose(file) != 0)
            die("%s: %s", name, strerror(errno));
    }
}
