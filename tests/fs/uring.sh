#!/bin/bash
#
# uring.sh - requests over io_uring: the same as through /dev/fuse, many at once, when the daemon
# dies, is aborted, and is unmounted in use; and mounts that ask for it in vain.  Where the kernel has
# it not, or this is not root, only the last.  The kernel's switch, which is for mounts with
# -o io_uring only, is on as long as this runs.

here=$(realpath "$(dirname "$0")")
# shellcheck source=tests/fs/mounted.bash
. "$here/mounted.bash"

switch=/sys/module/fuse/parameters/enable_uring
: "${TESTS:?the directory of prog_forbid}"
before=
[ ! -w $switch ] || before=$(cat $switch)

put_back() {
    [ -z "$before" ] || echo "$before" >$switch
    [ ! -e "$WORK/fusectl" ] || umount /sys/fs/fuse/connections
}
trap put_back EXIT
# Only what is asked for here, whatever the others are mounted with.
unset LSMFS_MOUNT

not_used() {
    same no "$(status io_uring)"
    echo text >"$mnt/file"
    umount_store
}

asked_in_vain() {
    fails_with 0 'does not offer FUSE over io_uring.*/dev/fuse' "$lsmfs" "$store" "$mnt" -o io_uring
    not_used
}

not_asked_for() {
    mount_store
    not_used
}

# forbidden CALL: the kernel offers it, but this process may not use io_uring, or part of it.
forbidden() {
    fails_with 0 'io_uring: Permission denied; requests go through /dev/fuse' \
        "$TESTS/prog_forbid" "$1" "$lsmfs" "$store" "$mnt" -o io_uring
    same text "$(cat "$mnt/file")"
    not_used
}

mount_over_rings() {
    same '' "$(mount_store -o io_uring 2>&1)"
    same yes "$(status io_uring)"
}

listing() {
    (cd "$1" && find . ! -type d ! -name second -printf '%P %y %s %m %T@\n' | sort)
}

# Names, attributes, contents, links, and what is cold.
is_the_same() {
    mount_over_rings
    cp -a /usr/include/linux "$mnt/linux"
    ln "$mnt/linux/fuse.h" "$mnt/linux/second"
    diff -r --exclude second /usr/include/linux "$mnt/linux"
    mv "$mnt/linux" "$mnt/moved"
    echo 2 >/proc/sys/vm/drop_caches
    same "$(listing /usr/include/linux)" "$(listing "$mnt/moved")"
    setfattr -n user.long -v "$(printf '%04000d' 7)" "$mnt/moved/fuse.h"
    same "$(printf '%04000d' 7)" "$(getfattr --only-values -n user.long "$mnt/moved/second")"
    fails_with 1 'No such file' cat "$mnt/moved/absent"
    fails_with 1 'not empty' rmdir "$mnt/moved"
    mkdir "$mnt/.snapshots/one"
    rm -r "$mnt/moved"
    diff -r --exclude second /usr/include/linux "$mnt/.snapshots/one/moved"
}

large_files() {
    head -c 40000000 /dev/urandom >contents
    cp contents "$mnt/large"
    echo 1 >/proc/sys/vm/drop_caches
    cmp contents "$mnt/large"
    dd if=contents of="$mnt/direct" bs=1M oflag=direct status=none
    dd if="$mnt/direct" bs=3M iflag=direct status=none | cmp - contents
    truncate -s 1000000 contents "$mnt/large"
    cmp contents "$mnt/large"
    seq 20000 | sed "s,.*,$mnt/a-name-that-takes-some-room-&," | xargs touch
    same 20000 "$(find "$mnt" -maxdepth 1 -name 'a-name*' | wc -l)"
}

# More callers than a processor has entries, most of them waiting for the disk.
many_at_once() {
    local i pids=()
    for i in {1..40}; do
        (
            for j in {1..20}; do
                echo "$i $j" >"$mnt/$i"
                sync "$mnt/$i"
                [ "$(cat "$mnt/$i")" = "$i $j" ]
            done
        ) &
        pids+=($!)
    done
    for i in "${pids[@]}"; do
        wait "$i"
    done
    same 40 "$(cat "$mnt"/[0-9]* | grep -c ' 20$')"
}

# Nobody waits until the kernel has told of it: what may be mapped has no holes.
mapped_is_no_hole() {
    truncate -s 1M "$mnt/sparse"
    python3 - "$mnt/sparse" <<'END'
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
page = 100 * mmap.PAGESIZE
memory = mmap.mmap(fd, 1 << 20)
memory[page] = 1
assert os.lseek(fd, page, os.SEEK_DATA) == page
assert os.lseek(fd, 0, os.SEEK_DATA) <= page
assert not page <= os.lseek(fd, 0, os.SEEK_HOLE) < page + mmap.PAGESIZE
memory.flush()
memory.close()
os.close(fd)
fd = os.open(sys.argv[1], os.O_RDONLY)
assert 0 < os.lseek(fd, 0, os.SEEK_DATA) <= page
END
    rm "$mnt/sparse"
}

# The threads of other processors are on this one, too.
one_processor() {
    umount_store
    taskset -c 0 "$lsmfs" "$store" "$mnt" -o io_uring
    same yes "$(status io_uring)"
    many_at_once
    cmp contents "$mnt/large"
}

# others NAME: another script, all of whose mounts are such.
others() {
    rm -rf "$WORK/others"
    mkdir "$WORK/others"
    WORK=$WORK/others LSMFS_MOUNT=io_uring "$here/$1.sh"
    rm -r "$WORK/others"
}

lasts() {
    umount_store
    sound
    mount_over_rings
    same 40 "$(cat "$mnt"/[0-9]* | grep -c ' 20$')"
    cmp contents "$mnt/large"
}

# under_load COMMAND...: twelve write and sync meanwhile, until that ends them; nobody hangs.
under_load() {
    local i pids=()
    for i in {1..12}; do
        (while echo more >>"$mnt/grows$i" && sync "$mnt/grows$i"; do :; done) 2>>errors &
        pids+=($!)
    done
    until [ -s "$mnt/grows1" ] && [ -s "$mnt/grows12" ]; do
        sleep 0.01
    done
    "$@"
    for i in "${pids[@]}"; do
        wait "$i" || true
    done
    grep -qE 'Transport endpoint|connection abort|canceled' errors
    rm errors
}

daemon_dies() {
    local pid
    pid=$(daemon_pid)
    under_load kill -9 "$pid"
    await_end "$pid"
    mount_store -o io_uring 2>said
    grep -q 'detached' said
    grep -q more "$mnt/grows1"
    same yes "$(status io_uring)"
}

# By the kernel, at an administrator's word: the daemon closes the store, and says nothing else.
is_aborted() {
    local pid connection
    umount_store
    "$lsmfs" -f "$store" "$mnt" -o io_uring 2>said &
    pid=$!
    await_mount
    connection=/sys/fs/fuse/connections/$(stat -c %d "$mnt")
    [ -w "$connection/abort" ] || {
        mount -t fusectl none /sys/fs/fuse/connections
        : >fusectl
    }
    under_load eval "echo 1 >$connection/abort"
    wait $pid
    same '' "$(cat said)"
    umount -l "$mnt" || true
    sound
    mount_over_rings
}

# A signal ends a daemon whose files are in use: it detaches the mount and closes.
ended_in_use() {
    local pid
    exec 7>"$mnt/held"
    fails_with 1 'in use|busy' umount_store
    pid=$(daemon_pid)
    kill "$pid"
    await_end "$pid"
    exec 7>&- || true
    sound
    mount_over_rings
    umount_store
}

# mount_losing: io_uring fails once there is a file `waits`, when an entry waits for a request; or one
# `answers`, when it gives an answer.
mount_losing() {
    cat >lose.c <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
long syscall(long number, ...)
{
    static long (*next)(long, ...);
    long a[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    if (next == NULL)
        next = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    if (number == SYS_io_uring_enter && access(getenv("LOSE_WAITS"), F_OK) == 0) {
        if (a[1] > 0) /* the answer is given, and nothing is waited for */
            return next(number, a[0], a[1], 0L, a[3] & 16, 0L, 0L);
        close(open(getenv("LOST"), O_CREAT | O_WRONLY, 0600));
        errno = EIO;
        return -1;
    }
    if (number == SYS_io_uring_enter && access(getenv("LOSE_ANSWERS"), F_OK) == 0) {
        errno = EIO;
        return -1;
    }
    return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
END
    cc -shared -fPIC -o lose.so lose.c -ldl
    LOST=$WORK/lost LOSE_WAITS=$WORK/waits LOSE_ANSWERS=$WORK/answers LD_PRELOAD=$WORK/lose.so \
        "$lsmfs" -f "$store" "$mnt" -o io_uring 2>said &
    await_mount
    same yes "$(status io_uring)"
}

nothing_is_lost() {
    umount -l "$mnt" || true
    sound
    mount_over_rings
    same kept "$(cat "$mnt/kept")"
    umount_store
}

# lost HOW: nobody hangs.
lost() {
    local pid status=0
    mount_losing
    pid=$!
    echo kept >"$mnt/kept"
    : >"$1"
    for _ in {1..200}; do
        timeout 10 stat "$mnt/absent.$RANDOM.$RANDOM" 2>error || status=$?
        [ $status != 124 ]
        ! grep -qE 'Transport endpoint|connection abort|canceled' error || break
    done
    grep -E 'Transport endpoint|connection abort|canceled' error
    rm "$1"
    status=0
    wait $pid || status=$?
    [ $status != 0 ]
    same 1 "$(grep -c 'cannot take requests over io_uring: Input/output error' said)"
    nothing_is_lost
}

# Unmounting, the daemon waits for what a program has stored through a mapping, and that for entries
# that are lost; whether it notices that before it is done or not.
lost_meanwhile() {
    local pid writer
    rm -f lost
    mount_losing
    pid=$!
    echo kept >"$mnt/kept"
    truncate -s 32M "$mnt/mapped"
    python3 - "$mnt/mapped" <<'END' &
import mmap, os, sys, time
fd = os.open(sys.argv[1], os.O_RDWR)
memory = mmap.mmap(fd, 32 << 20)
for at in range(0, 32 << 20, 1 << 18): # a request each
    memory[at] = 1
open("stored", "w").close()
time.sleep(60)
END
    writer=$!
    until [ -e stored ]; do
        kill -0 $writer
        sleep 0.01
    done
    : >waits
    kill $pid
    await_end $pid
    kill $writer
    rm waits
    wait $pid || true
    [ -e lost ]
    nothing_is_lost
}

read_only() {
    mount_store -o ro,io_uring
    same more "$(tail -n 1 "$mnt/grows1")"
    fails_with 1 'Read-only' touch "$mnt/new"
    umount_store
}

# Of a file with contents that only the kernel has the end is right, and a snapshot by command has them;
# one by mkdir waits for nobody.
with_writeback_cache() {
    same '' "$(mount_store -o io_uring,writeback_cache 2>&1)"
    same 'yes yes' "$(status io_uring) $(status writeback_cache)"
    perl -e 'use strict; open(my $f, ">", $ARGV[0]) or die; syswrite($f, "x" x 5000);
        die "hole" if sysseek($f, 0, 4) != 5000;
        die "data" if sysseek($f, 100, 3) != 100;
        mkdir "$ARGV[1]/.snapshots/by-mkdir" or die;
        system($ARGV[2], "snapshot", "create", $ARGV[1], "by-command") == 0 or die;' \
        "$mnt/unsent" "$mnt" "$lsmfs" >/dev/null
    same 5000 "$(stat -c %s "$mnt/.snapshots/by-command/unsent")"
    rmdir "$mnt"/.snapshots/by-*
    umount_store
    mount_store
    same 5000 "$(stat -c %s "$mnt/unsent")"
    umount_store
}

check "not asked for" not_asked_for
if [ "${before:-N}" = N ]; then
    check "asked for in vain" asked_in_vain
fi
if [ -z "$before" ]; then
    echo "ok - all else # SKIP $switch cannot be written"
    finish
fi
if [ "$(printf '%s\n' 6.18 "$(uname -r)" | sort -V | head -n 1)" != 6.18 ]; then
    echo "ok - all else # SKIP Linux $(uname -r) cannot be told of many nodes to forget"
    finish
fi
processors=$(sed 's/.*-//' /sys/devices/system/cpu/possible)
if [ "$processors" -ge 16 ]; then
    echo "ok - all else # SKIP more than 16 processors need more memory than a mount has by default"
    finish
fi
echo Y >$switch
check "io_uring forbidden" forbidden setup
check "its use forbidden" forbidden enter
check "its setting up forbidden" forbidden register
check "all is the same" is_the_same
check "large files" large_files
check "many at once" many_at_once
check "what is mapped is no hole" mapped_is_no_hole
check "one processor" one_processor
check "it lasts" lasts
check "the daemon dies" daemon_dies
check "is aborted" is_aborted
check "ended while in use" ended_in_use
check "read-only" read_only
check "with the writeback cache" with_writeback_cache
check "an entry is lost" lost waits
check "an answer cannot be given" lost answers
check "entries are lost while it is unmounted" lost_meanwhile
check "memory is obeyed" others memory
check "nothing acknowledged is lost" others crash
finish
