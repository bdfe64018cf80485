/*
 * prog_seeks DIR THREADS ROUNDS - looks for data in files while they are mapped, many at once: each
 * thread has a file of its own in DIR, stores a page into a hole of it through a mapping, and has to
 * find that page.  Prints how many it found.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { THREADS_MAX = 256, PAGE = 4096, PAGES = 256 };

static const char *dir;
static unsigned long rounds;
static atomic_uint next, found;

static void
fail(const char *what)
{
    perror(what);
    exit(1);
}

static void *
seek(void *argument)
{
    char name[4096];
    int fd;
    char *bytes;

    (void)argument;
    snprintf(name, sizeof(name), "%s/seek%u", dir, atomic_fetch_add(&next, 1));
    fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)PAGES * PAGE) != 0)
        fail(name);
    bytes = mmap(NULL, (size_t)PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED)
        fail("mmap");
    /* From the end, so that the page stored last is the first. */
    for (unsigned long i = 0; i < rounds && i < PAGES; i++) {
        off_t page = (off_t)(PAGES - 1 - i) * PAGE, at;

        bytes[page] = 1;
        at = lseek(fd, 0, SEEK_DATA);
        if (at < 0)
            fail("lseek");
        /* Earlier is also true, whatever holes there are. */
        if (at > page) {
            fprintf(stderr, "%s: data at %lld, found at %lld\n", name, (long long)page,
                    (long long)at);
            exit(1);
        }
        atomic_fetch_add(&found, 1);
    }
    close(fd);
    return NULL;
}

int
main(int argc, char **argv)
{
    static pthread_t threads[THREADS_MAX];
    unsigned long count;

    if (argc != 4) {
        fprintf(stderr, "usage: prog_seeks DIR THREADS ROUNDS\n");
        return 2;
    }
    dir = argv[1];
    count = strtoul(argv[2], NULL, 10);
    rounds = strtoul(argv[3], NULL, 10);
    for (unsigned long i = 0; i < count && i < THREADS_MAX; i++)
        if (pthread_create(&threads[i], NULL, seek, NULL) != 0)
            fail("pthread_create");
    for (unsigned long i = 0; i < count && i < THREADS_MAX; i++)
        pthread_join(threads[i], NULL);
    printf("%u\n", atomic_load(&found));
    return 0;
}
