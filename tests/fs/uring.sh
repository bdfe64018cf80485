#!/bin/bash
#
# uring.sh - requests over io_uring: the same as through /dev/fuse, many at once, when the daemon
# dies and when it is unmounted in use; and a mount that asks for it in vain.  Where the kernel has
# it not, or this is not root, only the last.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"

switch=/sys/module/fuse/parameters/enable_uring
forbidden=/proc/sys/kernel/io_uring_disabled
before=
[ ! -w $switch ] || [ ! -w $forbidden ] || before=$(cat $switch)
[ -z "$before" ] || forbidden_before=$(cat $forbidden)

put_back() {
    [ -z "$before" ] || echo "$before" >$switch
    [ -z "$before" ] || echo "$forbidden_before" >$forbidden
}
trap put_back EXIT

asked_in_vain() {
    [ -z "$before" ] || echo N >$switch
    fails_with 0 'does not offer FUSE over io_uring.*/dev/fuse' "$lsmfs" "$store" "$mnt" -o io_uring
    same no "$(status io_uring)"
    echo text >"$mnt/file"
    umount_store
    mount_store
    same text "$(cat "$mnt/file")"
    same no "$(status io_uring)"
    umount_store
}

# The kernel offers it, but has no io_uring for this process.
forbidden() {
    echo Y >$switch
    echo 2 >$forbidden
    fails_with 0 'no io_uring: .*/dev/fuse' "$lsmfs" "$store" "$mnt" -o io_uring
    echo "$forbidden_before" >$forbidden
    same no "$(status io_uring)"
    same text "$(cat "$mnt/file")"
    umount_store
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
    echo Y >$switch
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

lasts() {
    umount_store
    sound
    mount_over_rings
    same 40 "$(cat "$mnt"/[0-9]* | grep -c ' 20$')"
    cmp contents "$mnt/large"
}

# All that wait are told; nobody hangs.
daemon_dies() {
    local pid i pids=()
    for i in {1..12}; do
        (while echo more >>"$mnt/grows$i" && sync "$mnt/grows$i"; do :; done) 2>>errors &
        pids+=($!)
    done
    sleep 0.3
    pid=$(daemon_pid)
    kill -9 "$pid"
    for i in "${pids[@]}"; do
        wait "$i" || true
    done
    grep -qE 'Transport endpoint|Software caused connection abort' errors
    await_end "$pid"
    mount_store -o io_uring 2>said
    grep -q 'detached' said
    grep -q more "$mnt/grows1"
    same yes "$(status io_uring)"
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

read_only() {
    mount_store -o ro,io_uring
    same more "$(tail -n 1 "$mnt/grows1")"
    fails_with 1 'Read-only' touch "$mnt/new"
    umount_store
}

check "asked for in vain" asked_in_vain
if [ -z "$before" ]; then
    echo "ok - io_uring # SKIP $switch cannot be written"
    finish
fi
check "forbidden" forbidden
check "all is the same" is_the_same
check "large files" large_files
check "many at once" many_at_once
check "it lasts" lasts
check "the daemon dies" daemon_dies
check "ended while in use" ended_in_use
check "read-only" read_only
finish
