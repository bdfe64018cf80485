/* memory_group.c - see memory_group.h. */
#include "memory_group.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common.h"

/* The words of a small file, or of a mount's options, that `separators` part. */
static bool
has_word(char *text, const char *separators, const char *word)
{
    char *rest = NULL;

    for (char *at = strtok_r(text, separators, &rest); at != NULL;
         at = strtok_r(NULL, separators, &rest))
        if (strcmp(at, word) == 0)
            return true;
    return false;
}

/* Version 2 gives a directory's children what its cgroup.subtree_control says. */
static bool
controls_memory(const char *mount)
{
    char path[4096], words[256];
    FILE *file;
    bool found;

    snprintf(path, sizeof(path), "%s/cgroup.subtree_control", mount);
    file = fopen(path, "r");
    if (file == NULL)
        return false;
    found = fgets(words, sizeof(words), file) != NULL && has_word(words, " \n", "memory");
    fclose(file);
    return found;
}

/* Where groups of the memory controller are made, and the file of a group that bounds it. */
static bool
find_controller(char *mount, size_t size, const char **bound)
{
    FILE *mounts = setmntent("/proc/self/mounts", "r");
    struct mntent *entry;

    *bound = NULL;
    if (mounts == NULL)
        return false;
    while (*bound == NULL && (entry = getmntent(mounts)) != NULL) {
        if (strcmp(entry->mnt_type, "cgroup") == 0 &&
            has_word(entry->mnt_opts, ",", "memory"))
            *bound = "memory.limit_in_bytes";
        else if (strcmp(entry->mnt_type, "cgroup2") == 0 &&
                 controls_memory(entry->mnt_dir))
            *bound = "memory.max";
        if (*bound != NULL)
            snprintf(mount, size, "%s", entry->mnt_dir);
    }
    endmntent(mounts);
    return *bound != NULL;
}

/* 0, or errno. */
static int
write_number(const char *directory, const char *name, unsigned long long number)
{
    char path[5000], text[32];
    int size = snprintf(text, sizeof(text), "%llu\n", number), error;
    int file;

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return errno;
    error = write(file, text, (size_t)size) == size ? 0 : errno;
    close(file);
    return error;
}

bool
memory_group_make(struct memory_group *group, size_t limit)
{
    char mount[2048];
    const char *bound;
    int error;

    group->path[0] = '\0';
    if (!find_controller(mount, sizeof(mount), &bound)) {
        fputs("no control groups that bound memory are mounted\n", stderr);
        return false;
    }
    snprintf(group->path, sizeof(group->path), "%s/lsm-bench.%d", mount, (int)getpid());
    error =
        mkdir(group->path, 0755) == 0 ? write_number(group->path, bound, limit) : errno;
    if (error == 0)
        return true;
    fprintf(stderr, "%s: %s\n", group->path, strerror(error));
    memory_group_remove(group);
    return false;
}

void
memory_group_enter(const struct memory_group *group)
{
    int error = write_number(group->path, "cgroup.procs", (unsigned long long)getpid());

    if (error != 0)
        die("%s: %s", group->path, strerror(error));
}

void
memory_group_remove(const struct memory_group *group)
{
    rmdir(group->path);
}
