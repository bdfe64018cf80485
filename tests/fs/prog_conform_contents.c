/*
 * prog_conform_contents - contents at the sizes where a store of ours changes form: small files
 * within a record, chunks, parts of chunks; shared by hard links, copied by reference, unlinked.
 */
#include <sys/uio.h>

#include "prog_conform.h"

#define LARGEST (1 << 20)

/* What the file must hold, beside the file. */
static unsigned char model[2 * LARGEST], back[2 * LARGEST + 1];
static size_t model_size;

static void
model_write(size_t offset, const unsigned char *bytes, size_t size)
{
    if (offset > model_size)
        memset(model + model_size, 0, offset - model_size);
    memcpy(model + offset, bytes, size);
    if (offset + size > model_size)
        model_size = offset + size;
}

static void
model_truncate(size_t size)
{
    if (size > model_size)
        memset(model + model_size, 0, size - model_size);
    model_size = size;
}

static void
holds(const char *what, int fd)
{
    char wrong[96];
    ssize_t got = pread(fd, back, sizeof(back), 0);
    size_t i = 0;

    while (got == (ssize_t)model_size && i < model_size && back[i] == model[i])
        i++;
    snprintf(wrong, sizeof(wrong), "of %zu bytes %zd came, the first %zu right",
             model_size, got, i);
    report(what, got == (ssize_t)model_size && i == model_size ? NULL : wrong);
}

/* Different in every place and of every turn. */
static const unsigned char *
pattern(unsigned turn, size_t size)
{
    static unsigned char bytes[LARGEST];

    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(i * 31 + i / 251 + turn * 97 + 1);
    return bytes;
}

static void
put(int fd, unsigned turn, size_t offset, size_t size)
{
    const unsigned char *bytes = pattern(turn, size);

    if (pwrite(fd, bytes, size, (off_t)offset) != (ssize_t)size)
        broken("pwrite", __FILE__, __LINE__);
    model_write(offset, bytes, size);
}

static const size_t sizes[] = {0,      1,      4095,   4096,   4097,   65536,
                               131071, 131072, 131073, 262144, 300000, 700001};

/* Every size becomes every other one, by truncation and by writing at its end. */
static void
sizes_change(void)
{
    const size_t count = sizeof(sizes) / sizeof(*sizes);
    char what[96];
    int fd;

    group("contents: every size to every size");
    OK(fd = open("f", O_RDWR | O_CREAT, 0644));
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++) {
            MUST(ftruncate(fd, 0));
            model_size = 0;
            put(fd, 1, 0, sizes[i]);
            MUST(ftruncate(fd, (off_t)sizes[j]));
            model_truncate(sizes[j]);
            snprintf(what, sizeof(what), "%zu bytes cut to %zu", sizes[i], sizes[j]);
            holds(what, fd);
            put(fd, 2, sizes[j], 10);
            snprintf(what, sizeof(what), "%zu bytes cut to %zu and 10 more", sizes[i],
                     sizes[j]);
            holds(what, fd);
            put(fd, 3, sizes[i] / 2, 5000);
            snprintf(what, sizeof(what), "%zu bytes cut to %zu and 5000 in it", sizes[i],
                     sizes[j]);
            holds(what, fd);
            put(fd, 4, sizes[i] + sizes[j], 3);
            snprintf(what, sizeof(what), "%zu bytes cut to %zu and beyond", sizes[i],
                     sizes[j]);
            holds(what, fd);
        }
    OK(close(fd));
}

/* A sequence of all kinds of changes, seen by another descriptor, and by another name. */
static void
changes(const char *name, const char *other)
{
    char what[96];
    unsigned state = 12345;
    int fd = open(name, O_RDWR), reader = open(other, O_RDONLY);

    MUST(fd);
    MUST(reader);
    model_size = 0;
    MUST(ftruncate(fd, 0));
    for (unsigned turn = 0; turn < 150; turn++) {
        size_t offset, size;

        state = state * 1103515245u + 12345u;
        offset = state / 7 % 600000;
        if (state / 3 % 3 == 0)
            offset = sizes[state / 11 % 12];
        state = state * 1103515245u + 12345u;
        size = 1 + state / 5 % 50000;
        if (state / 3 % 3 == 0)
            size = sizes[1 + state / 11 % 11];
        if (offset + size > 2 * LARGEST - 1 || size > LARGEST)
            continue;
        switch (state / 17 % 8) {
        case 0:
            MUST(ftruncate(fd, (off_t)offset));
            model_truncate(offset);
            break;
        case 1:
            MUST(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
                           (off_t)size));
            if (offset < model_size)
                memset(model + offset, 0,
                       size < model_size - offset ? size : model_size - offset);
            break;
        case 2:
            MUST(fallocate(fd, FALLOC_FL_ZERO_RANGE, (off_t)offset, (off_t)size));
            if (offset + size > model_size)
                model_truncate(offset + size);
            memset(model + offset, 0, size);
            break;
        case 3:
            MUST(fallocate(fd, 0, (off_t)offset, (off_t)size));
            if (offset + size > model_size)
                model_truncate(offset + size);
            break;
        default:
            put(fd, turn, offset, size);
        }
        snprintf(what, sizeof(what), "%s after change %u (%u at %zu, %zu)", other, turn,
                 state / 17 % 8, offset, size);
        holds(what, reader);
    }
    IS(model_size, size_of(name));
    MUST(close(fd));
    MUST(close(reader));
}

static void
by_every_name(void)
{
    int fd;

    group("contents: changes in every form");
    make("f", 0644, "");
    changes("f", "f");
    group("contents: changes of a file with several names");
    make_dir("d", 0755);
    make("f", 0644, "");
    MUST(link("f", "d/g"));
    changes("f", "d/g");
    changes("d/g", "f");
    OK(rename("d", "e"));
    OK(fd = open("e/g", O_RDWR));
    holds("after the directory moved", fd);
    OK(unlink("f"));
    holds("after the other name went", fd);
    put(fd, 5, 100000, 200000);
    holds("and a write", fd);
    OK(unlink("e/g"));
    holds("after the last name went", fd);
    put(fd, 6, 50000, 200000);
    holds("and a write", fd);
    MUST(ftruncate(fd, 100));
    model_truncate(100);
    holds("and a cut", fd);
    put(fd, 7, 4000, 500000);
    holds("and growth", fd);
    OK(close(fd));
    /* Large before it has several names. */
    OK(fd = open("h", O_RDWR | O_CREAT, 0644));
    model_size = 0;
    put(fd, 1, 0, 400000);
    OK(link("h", "i"));
    holds("a large file linked", fd);
    put(fd, 2, 1000, 300000);
    OK(close(fd));
    OK(unlink("h"));
    OK(fd = open("i", O_RDWR));
    holds("by its later name", fd);
    OK(rename("i", "j"));
    OK(link("j", "k"));
    OK(rename("k", "j"));
    OK(unlink("k"));
    holds("after more names", fd);
    make("over", 0644, "over");
    OK(rename("over", "j"));
    holds("after another took its name", fd);
    TEXT("over", contents_of("j"));
    OK(close(fd));
}

/* Copies share what they hold until one of them changes. */
static void
copies(void)
{
    static const size_t offsets[] = {0, 1, 4096, 131072, 131073, 262144};
    char what[96];
    int from, to;

    group("contents: copies by reference");
    for (size_t i = 0; i < 6; i++)
        for (size_t j = 0; j < 6; j++) {
            loff_t in = (loff_t)offsets[i], out = (loff_t)offsets[j];
            size_t size = i % 2 ? 300000 : 393216;
            static unsigned char source[LARGEST];

            OK(from = open("from", O_RDWR | O_CREAT | O_TRUNC, 0644));
            OK(to = open("to", O_RDWR | O_CREAT | O_TRUNC, 0644));
            model_size = 0;
            put(from, 1, 0, 800000);
            memcpy(source, model, 800000);
            model_size = 0;
            put(to, 2, 0, 500000);
            IS(size, copy_file_range(from, &in, to, &out, size, 0));
            model_write(offsets[j], source + offsets[i], size);
            snprintf(what, sizeof(what), "a copy from %zu to %zu", offsets[i],
                     offsets[j]);
            holds(what, to);
            /* The source changes and goes: the copy stays. */
            if (pwrite(from, pattern(9, 200000), 200000, 150000) != 200000)
                broken("pwrite", __FILE__, __LINE__);
            holds("after the source was written", to);
            MUST(ftruncate(from, 0));
            holds("after the source was cut", to);
            MUST(close(from));
            MUST(unlink("from"));
            holds("after the source went", to);
            put(to, 3, 140000, 1000);
            holds("after the copy was written", to);
            MUST(close(to));
            MUST(unlink("to"));
        }
    group("contents: copies within a file");
    OK(from = open("f", O_RDWR | O_CREAT, 0644));
    model_size = 0;
    put(from, 1, 0, 524288);
    for (loff_t at = 0; at < 262144; at += 131072) {
        loff_t in = at, out = at + 262144;

        IS(131072, copy_file_range(from, &in, from, &out, 131072, 0));
        model_write((size_t)at + 262144, model + at, 131072);
        holds("one chunk to another", from);
    }
    put(from, 2, 0, 200000);
    holds("the first ones written again", from);
    loff_t in = 0, out = 524288;

    IS(524288, copy_file_range(from, &in, from, &out, 524288, 0));
    model_write(524288, model, 524288);
    holds("the whole to its end", from);
    MUST(ftruncate(from, 524289));
    model_truncate(524289);
    MUST(ftruncate(from, 600000));
    model_truncate(600000);
    holds("cut and grown", from);
    OK(close(from));
}

static void
vectors(void)
{
    static unsigned char a[5000], b[131072], c[3];
    struct iovec parts[] = {{a, sizeof(a)}, {b, sizeof(b)}, {c, 0}, {c, sizeof(c)}};
    struct iovec bad[] = {{a, sizeof(a)}, {nowhere(), 100}};
    int fd;

    group("contents: vectors");
    OK(fd = open("f", O_RDWR | O_CREAT, 0644));
    memcpy(a, pattern(1, sizeof(a)), sizeof(a));
    memcpy(b, pattern(2, sizeof(b)), sizeof(b));
    memcpy(c, pattern(3, sizeof(c)), sizeof(c));
    model_size = 0;
    model_write(0, a, sizeof(a));
    model_write(sizeof(a), b, sizeof(b));
    model_write(sizeof(a) + sizeof(b), c, sizeof(c));
    IS(model_size, writev(fd, parts, 4));
    holds("four parts", fd);
    IS(5000, pwritev(fd, bad, 2, 0));
    IS(5000, preadv(fd, bad, 2, 0));
    holds("a bad second part changes nothing else", fd);
    memset(a, 0, sizeof(a));
    IS(model_size - 100, preadv(fd, parts, 4, 100));
    IS(0, memcmp(a, model + 100, sizeof(a)));
    OK(close(fd));
}

int
main(int argc, char **argv)
{
    conform_begin(argc, argv);
    sizes_change();
    by_every_name();
    copies();
    vectors();
    return conform_end();
}
