/*
 * prog_conform_readdir - readdir, telldir, seekdir, rewinddir and changes in between.
 */
#include <dirent.h>
#include <sys/syscall.h>

#include "prog_conform.h"

#define MANY 3000

static DIR *
open_dir(const char *path)
{
    DIR *dir = opendir(path);

    if (!dir)
        broken("opendir", __FILE__, __LINE__);
    return dir;
}

/* Names of the form "%d" seen in a directory, counted by number. */
static int seen[2 * MANY];

static void
see(const struct dirent *entry)
{
    char *end;
    long number = strtol(entry->d_name, &end, 10);

    if (*end == '\0' && number >= 0 && number < 2 * MANY)
        seen[number]++;
}

static void
see_all(DIR *dir)
{
    struct dirent *entry;

    while ((entry = readdir(dir)))
        see(entry);
}

/* How many of the numbers [from, to) were not seen exactly `times`. */
static int
not_seen(int from, int to, int times)
{
    int wrong = 0;

    for (int i = from; i < to; i++)
        wrong += seen[i] != times;
    return wrong;
}

static void
make_many(const char *path)
{
    char name[64];

    make_dir(path, 0755);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "%s/%d", path, i);
        if (i % 10 == 0)
            MUST(mkdir(name, 0755));
        else if (i % 10 == 1)
            MUST(symlink("x", name));
        else
            MUST(mknod(name, S_IFREG | 0644, 0));
    }
}

static void
errors(void)
{
    DIR *dir;
    char buffer[1024];
    int fd;

    group("readdir: errors");
    make_kinds();
    TRUE(!opendir("missing") && errno == ENOENT);
    TRUE(!opendir("") && errno == ENOENT);
    TRUE(!opendir("file") && errno == ENOTDIR);
    TRUE(!opendir("file/x") && errno == ENOTDIR);
    TRUE(!opendir("fifo") && errno == ENOTDIR);
    TRUE(!opendir("gone") && errno == ENOENT);
    TRUE(!fdopendir(-1) && errno == EBADF);
    OK(fd = open("file", O_RDONLY));
    TRUE(!fdopendir(fd) && errno == ENOTDIR);
    FAILS(ENOTDIR, syscall(SYS_getdents64, fd, buffer, sizeof(buffer)));
    OK(close(fd));
    OK(fd = open("dir", O_RDONLY));
    FAILS(EINVAL, syscall(SYS_getdents64, fd, buffer, 10));
    FAILS(EFAULT, syscall(SYS_getdents64, fd, nowhere(), 1000));
    FAILS(EBADF, syscall(SYS_getdents64, -1, buffer, sizeof(buffer)));
    FAILS(EINVAL, lseek(fd, -1, SEEK_SET));
    OK(close(fd));
    make_dir("private", 0700);
    make_dir("x", 0711);
    make_dir("r", 0744);
    make("r/f", 0644, "");
    be(&alice);
    TRUE(!opendir("private") && errno == EACCES);
    TRUE(!opendir("x") && errno == EACCES);
    dir = open_dir("r");
    int count = 0;

    while (readdir(dir))
        count++;
    IS(3, count);
    closedir(dir);
    FAILS(EACCES, chdir("r"));
    OK(chdir("x"));
    be(&root);
    OK(chdir(".."));
    FAILS(ENOTDIR, chdir("file"));
    FAILS(ENOTDIR, fchdir(open("file", O_RDONLY)));
    /* One that was removed lists as empty. */
    dir = open_dir("dir");
    MUST(rmdir("dir"));
    TRUE(readdir(dir) == NULL);
    closedir(dir);
}

/* The numbers of `.` and `..` in its listing. */
static void
dots_are(const char *directory, const char *parent)
{
    DIR *dir = open_dir(directory);
    struct dirent *entry;

    while ((entry = readdir(dir))) {
        if (strcmp(entry->d_name, "..") == 0)
            IS(lstat_of(parent).st_ino, entry->d_ino);
        if (strcmp(entry->d_name, ".") == 0)
            IS(lstat_of(directory).st_ino, entry->d_ino);
    }
    closedir(dir);
}

static void
entries(void)
{
    static const struct {
        const char *name;
        unsigned char type;
    } kinds[] = {{".", DT_DIR},     {"..", DT_DIR},    {"file", DT_REG}, {"dir", DT_DIR},
                 {"fifo", DT_FIFO}, {"sock", DT_SOCK}, {"chr", DT_CHR},  {"blk", DT_BLK},
                 {"link", DT_LNK},  {"gone", DT_LNK}};
    int found[10] = {0}, others = 0;
    struct dirent *entry;
    DIR *dir;

    group("readdir: entries");
    make_kinds();
    dir = open_dir(".");
    while ((entry = readdir(dir))) {
        size_t i;

        for (i = 0; i < 10 && strcmp(entry->d_name, kinds[i].name) != 0; i++)
            ;
        if (i == 10) {
            others++;
            continue;
        }
        found[i]++;
        report_numbers(entry->d_name, kinds[i].type, entry->d_type);
        report_numbers(entry->d_name, (long long)lstat_of(entry->d_name).st_ino,
                       (long long)entry->d_ino);
    }
    IS(0, others);
    for (int i = 0; i < 10; i++)
        IS(1, found[i]);
    closedir(dir);
    IS(0, system("test \"$(ls -A | wc -l)\" = 8"));
    MUST(mkdir("dir/inner", 0755));
    dots_are("dir/inner", "dir");
    /* The kernel once went on listing what it had kept, with the parent that was. */
    MUST(mkdir("other", 0755));
    OK(rename("dir/inner", "other/moved"));
    dots_are("other/moved", "other");
    MUST(mkdir("dir/second", 0755));
    dots_are("dir/second", "dir");
    OK(renameat2(AT_FDCWD, "dir/second", AT_FDCWD, "other/moved", RENAME_EXCHANGE));
    dots_are("other/moved", "other");
    dots_are("dir/second", "dir");
}

/* Every name of 1 byte but '/', '.' and NUL, and others of any bytes. */
static void
names(void)
{
    char name[256];
    struct dirent *entry;
    int wrong = 0, count = 0, got[256] = {0};
    DIR *dir;

    group("readdir: names of any bytes");
    make_dir("d", 0755);
    MUST(chdir("d"));
    for (int byte = 1; byte < 256; byte++) {
        if (byte == '/' || byte == '.')
            continue;
        snprintf(name, sizeof(name), "%c", byte);
        wrong += mknod(name, S_IFREG | 0644, 0) != 0;
    }
    IS(0, wrong);
    dir = open_dir(".");
    while ((entry = readdir(dir))) {
        count++;
        if (entry->d_name[1] == '\0')
            got[(unsigned char)entry->d_name[0]]++;
    }
    closedir(dir);
    IS(253 + 2, count);
    for (int byte = 1; byte < 256; byte++)
        wrong += got[byte] != (byte != '/');
    IS(0, wrong);
    for (int length = 1; length <= 255; length++) {
        memset(name, '\xfe', (size_t)length);
        name[length] = '\0';
        if (length > 1)
            wrong += mkdir(name, 0755) != 0;
    }
    IS(0, wrong);
    IS(2 + 254, links_of("."));
    static const char *const odd[] = {"...",      "..a", ".a", " ", "a b", "a\nb", "%41",
                                      "\xc3\x28", "*",   "\\", "~", "A",   "a"};

    for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
        snprintf(name, sizeof(name), "odd%s", odd[i]);
        OK(close(open(name, O_RDWR | O_CREAT | O_EXCL, 0644)));
        TRUE(exists(name));
    }
    OK(mkdir("...", 0755));
    OK(mkdir("..a", 0755));
    OK(mkdir(".snapshots-not", 0755));
    MUST(chdir(".."));
    IS(0, system("rm -rf d"));
    TRUE(!exists("d"));
}

static void
positions(void)
{
    static long places[MANY + 10];
    static char at[MANY + 10][16];
    int count = 0, wrong = 0;
    struct dirent *entry;
    DIR *dir;

    group("readdir: telldir and seekdir");
    make_many("d");
    dir = open_dir("d");
    for (;;) {
        places[count] = telldir(dir);
        if (!(entry = readdir(dir)))
            break;
        see(entry);
        snprintf(at[count++], sizeof(at[0]), "%.15s", entry->d_name);
    }
    IS(MANY + 2, count);
    IS(0, not_seen(0, MANY, 1));
    for (int i = 0; i < count; i++) {
        int j = (i * 7919 + 13) % count;

        seekdir(dir, places[j]);
        entry = readdir(dir);
        wrong += !entry || strcmp(entry->d_name, at[j]) != 0;
    }
    IS(0, wrong);
    seekdir(dir, places[count]);
    TRUE(readdir(dir) == NULL);
    rewinddir(dir);
    memset(seen, 0, sizeof(seen));
    see_all(dir);
    IS(0, not_seen(0, MANY, 1));
    /* A place means the same after what was there has gone. */
    seekdir(dir, places[count / 2]);
    entry = readdir(dir);
    TRUE(entry && strcmp(entry->d_name, at[count / 2]) == 0);
    char name[64];

    snprintf(name, sizeof(name), "d/%s", at[count / 2 - 1]);
    MUST(remove(name));
    seekdir(dir, places[count / 2]);
    entry = readdir(dir);
    TRUE(entry && strcmp(entry->d_name, at[count / 2]) == 0);
    closedir(dir);
    /* By lseek, and with buffers of every size. */
    int fd, total = 0;
    char buffer[32768];

    OK(fd = open("d", O_RDONLY));
    for (size_t size = 280;; size = size < 30000 ? size + 333 : size) {
        long got = syscall(SYS_getdents64, fd, buffer, size);

        if (got <= 0)
            break;
        for (long i = 0; i < got;) {
            unsigned short length;

            memcpy(&length, buffer + i + 16, 2);
            total++;
            i += length;
        }
    }
    IS(count - 1, total);
    OK(lseek(fd, 0, SEEK_SET));
    TRUE(syscall(SYS_getdents64, fd, buffer, sizeof(buffer)) > 1000);
    TRUE(lseek(fd, 0, SEEK_END) > 0);
    IS(0, syscall(SYS_getdents64, fd, buffer, sizeof(buffer)));
    OK(close(fd));
}

static void
changes(void)
{
    char name[64];
    struct dirent *entry;
    DIR *dir;
    int read = 0;

    group("readdir: while others come and go");
    make_many("d");
    memset(seen, 0, sizeof(seen));
    dir = open_dir("d");
    while ((entry = readdir(dir))) {
        see(entry);
        if (read < MANY / 2) {
            /* Even ones of 1000 to 2000 go; new ones come. */
            int i = 1000 + read;

            snprintf(name, sizeof(name), "d/%d", i);
            if (i < 2000 && i % 2 == 0)
                MUST(remove(name));
            snprintf(name, sizeof(name), "d/%d", MANY + read);
            MUST(mknod(name, S_IFREG | 0644, 0));
        }
        read++;
    }
    closedir(dir);
    int wrong = not_seen(0, 1000, 1) + not_seen(2000, MANY, 1);

    for (int i = 1001; i < 2000; i += 2)
        wrong += seen[i] != 1;
    IS(0, wrong);
    wrong = 0;
    for (int i = 0; i < 2 * MANY; i++)
        wrong += seen[i] > 1;
    IS(0, wrong);
    memset(seen, 0, sizeof(seen));
    dir = open_dir("d");
    see_all(dir);
    IS(0, not_seen(MANY, MANY + MANY / 2, 1));
    wrong = 0;
    for (int i = 1000; i < 2000; i++)
        wrong += seen[i] != i % 2;
    IS(0, wrong);
    /* After rewinding, all is new. */
    MUST(unlink("d/2"));
    make("d/5999", 0644, "");
    rewinddir(dir);
    memset(seen, 0, sizeof(seen));
    see_all(dir);
    IS(0, seen[2]);
    IS(1, seen[5999]);
    /* Removing all that one reads, as rm -r does. */
    rewinddir(dir);
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.') {
            snprintf(name, sizeof(name), "d/%.32s", entry->d_name);
            wrong += remove(name) != 0;
        }
    closedir(dir);
    IS(0, wrong);
    OK(rmdir("d"));
    /* Renames within: never lost, whichever name shows. */
    make_many("e");
    dir = open_dir("e");
    memset(seen, 0, sizeof(seen));
    for (read = 0; (entry = readdir(dir)); read++) {
        see(entry);
        if (read == MANY / 2) {
            MUST(rename("e/7", "e/renamed"));
            MUST(rename("e/renamed", "e/7"));
            MUST(chmod("e/10", 0700));
        }
    }
    closedir(dir);
    wrong = 0;
    for (int i = 0; i < MANY; i++)
        wrong += i != 7 && seen[i] != 1;
    IS(0, wrong);
}

static void
list_whole(const char *path)
{
    DIR *dir = open_dir(path);

    while (readdir(dir))
        continue;
    closedir(dir);
}

/* Some entries of an open directory: what fits. */
static bool
see_some(int fd, size_t size)
{
    char buffer[4096];
    long got = syscall(SYS_getdents64, fd, buffer, size);

    for (long at = 0; at < got;) {
        const struct dirent *entry = (const void *)(buffer + at);

        see(entry);
        at += entry->d_reclen;
    }
    return got > 0;
}

/* The kernel keeps a listing and begins it anew once the directory has changed.  Who was half-way
 * through the old one looks for his place in the new one in vain, and goes on by asking; but if
 * the new one filled its pages to the last byte, that was the end. */
static void
readers(void)
{
    char name[64];
    int wrong = 0;

    group("readdir: several readers and a change");
    make_dir("d", 0755);
    for (int count = 0; count < 140; count++) {
        int slow;

        list_whole("d");
        slow = open("d", O_RDONLY | O_DIRECTORY);
        MUST(slow);
        memset(seen, 0, sizeof(seen));
        see_some(slow, 200);
        snprintf(name, sizeof(name), "d/%03d", count);
        make(name, 0644, "");
        list_whole("d");
        while (see_some(slow, 1000))
            continue;
        wrong += not_seen(0, count, 1);
        close(slow);
    }
    IS(0, wrong);
}

int
main(int argc, char **argv)
{
    conform_begin(argc, argv);
    errors();
    entries();
    names();
    positions();
    changes();
    readers();
    return conform_end();
}
