/* crowd.c - see crowd.h. */
#include "crowd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keys.h"

struct path {
    char text[64];
};

static struct path
directory_of(uint64_t number)
{
    struct path path;

    snprintf(path.text, sizeof(path.text), "d%06u", (unsigned)number);
    return path;
}

static struct path
path_of(const struct crowd *crowd, uint64_t n)
{
    struct path path = directory_of(n / crowd->in_one);
    size_t length = strlen(path.text);

    snprintf(path.text + length, sizeof(path.text) - length, "/file-%07u",
             (unsigned)(n % crowd->in_one));
    return path;
}

static void
check_call(bool good, const struct path *path)
{
    if (!good)
        die("%s: %s", path->text, strerror(errno));
}

void
crowd_open(struct crowd *crowd, const char *parent, const char *name, uint64_t files,
           uint64_t in_one)
{
    char path[4200];

    snprintf(path, sizeof(path), "%s/%s", parent, name);
    *crowd = (struct crowd){.root = -1, .files = files, .in_one = in_one};
    if (mkdir(path, 0755) == 0)
        crowd->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (crowd->root < 0)
        die("%s: %s", path, strerror(errno));
    for (uint64_t i = 0; i < files / in_one; i++) {
        struct path directory = directory_of(i);

        check_call(mkdirat(crowd->root, directory.text, 0755) == 0, &directory);
    }
}

void
crowd_close(struct crowd *crowd)
{
    close(crowd->root);
}

void
crowd_create(struct crowd *crowd)
{
    for (uint64_t i = 0; i < crowd->files; i++) {
        struct path path = path_of(crowd, i);
        int fd =
            openat(crowd->root, path.text, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

        check_call(fd >= 0 && close(fd) == 0, &path);
    }
}

static void
note(struct crowd *crowd, const struct stat *attr)
{
    crowd->seen.entries++;
    crowd->seen.sum += (uint64_t)attr->st_size + attr->st_mode;
}

void
crowd_stat(struct crowd *crowd)
{
    crowd->seen = (struct tally){0};
    for (uint64_t i = 0; i < crowd->files; i++) {
        struct path path = path_of(crowd, permute(i, crowd->files));
        struct stat attr;

        check_call(fstatat(crowd->root, path.text, &attr, 0) == 0, &path);
        note(crowd, &attr);
    }
}

static void
list_one(struct crowd *crowd, uint64_t number)
{
    struct path path = directory_of(number);
    int fd = openat(crowd->root, path.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    struct stat attr;

    check_call(directory != NULL, &path);
    while ((entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        check_call(fstatat(fd, entry->d_name, &attr, 0) == 0, &path);
        note(crowd, &attr);
    }
    closedir(directory);
}

void
crowd_list(struct crowd *crowd)
{
    crowd->seen = (struct tally){0};
    for (uint64_t i = 0; i < crowd->files / crowd->in_one; i++)
        list_one(crowd, i);
    if (crowd->seen.entries != crowd->files)
        die("%ju of %ju files are listed", (uintmax_t)crowd->seen.entries,
            (uintmax_t)crowd->files);
}

void
crowd_unlink(struct crowd *crowd)
{
    for (uint64_t i = 0; i < crowd->files; i++) {
        struct path path = path_of(crowd, i);

        check_call(unlinkat(crowd->root, path.text, 0) == 0, &path);
    }
}
