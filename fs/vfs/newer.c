/*
 * newer.c - see newer.h.
 */
#include "vfs/newer.h"

#include <linux/fuse.h>
#include <linux/stat.h>
#include <string.h>
#include <sys/sysmacros.h>

_Static_assert(sizeof(struct newer_statx) == 288, "what the kernel expects");

void
newer_translate(void *request, size_t size)
{
    struct fuse_in_header header;

    if (size < sizeof(header))
        return;
    memcpy(&header, request, sizeof(header));
    if (header.opcode == NEWER_TMPFILE)
        header.opcode = FUSE_CREATE;
    else if (header.opcode == NEWER_STATX)
        header.opcode = FUSE_BMAP;
    else
        return;
    memcpy(request, &header, sizeof(header));
}

static struct newer_time
time_of(struct timespec time)
{
    return (struct newer_time){time.tv_sec, (uint32_t)time.tv_nsec, 0};
}

void
newer_statx(const struct stat *st, struct timespec birth, uint64_t valid,
            struct newer_statx *reply)
{
    *reply = (struct newer_statx){
        .valid = valid,
        .mask = STATX_BASIC_STATS | STATX_BTIME,
        .block_size = (uint32_t)st->st_blksize,
        .links = (uint32_t)st->st_nlink,
        .uid = st->st_uid,
        .gid = st->st_gid,
        .mode = (uint16_t)st->st_mode,
        .ino = st->st_ino,
        .size = (uint64_t)st->st_size,
        .blocks = (uint64_t)st->st_blocks,
        .access = time_of(st->st_atim),
        .birth = time_of(birth),
        .change = time_of(st->st_ctim),
        .modification = time_of(st->st_mtim),
        .major = major(st->st_rdev),
        .minor = minor(st->st_rdev),
    };
}
