#!/bin/bash
#
# uring.sh - requests over io_uring: the same as through /dev/fuse, many at once, when the daemon
# dies, is aborted, and is unmounted in use; and mounts that ask for it in vain.  Where the kernel has
# it not, or this is not root, only the last.  The kernel's switch, which is for mounts with
# -o io_uring only, is on as long as this runs.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"

switch=/sys/module/fuse/parameters/enable_uring
: "${TESTS:?the directory of prog_forbid}"
before=
[ ! -w $switch ] || before=$(cat $switch)

put_back() {
    [ -z "$before" ] || echo "$before" >$switch
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

# They are answered by another thread, when the kernel has written pages back; and more wait than
# there are entries, of one processor or of all.
others_answer() {
    mkdir "$mnt/seeks"
    same 1200 "$("$TESTS/prog_seeks" "$mnt/seeks" 60 20)"
    same 1200 "$(taskset -c 0 "$TESTS/prog_seeks" "$mnt/seeks" 60 20)"
    rm -r "$mnt/seeks"
}

# The threads of other processors are on this one, too.
one_processor() {
    umount_store
    taskset -c 0 "$lsmfs" "$store" "$mnt" -o io_uring
    same yes "$(status io_uring)"
    many_at_once
    cmp contents "$mnt/large"
}

# What a large request took is given back.
little_is_kept() {
    local mapped
    umount_store
    mount_over_rings
    for _ in {1..32}; do
        dd if="$mnt/large" of=/dev/null bs=1M iflag=direct status=none &
    done
    wait
    mapped=$(awk '/^Size:/ { size = $2 } /^Rss:/ && size == 1032 { print $2 }' \
        "/proc/$(daemon_pid)/smaps" | sort -n | tail -n 1)
    echo "the entry that keeps most has $mapped KiB"
    [ "$mapped" -le 144 ]
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
    [ -w "$connection/abort" ] || mount -t fusectl none /sys/fs/fuse/connections
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

read_only() {
    mount_store -o ro,io_uring
    same more "$(tail -n 1 "$mnt/grows1")"
    fails_with 1 'Read-only' touch "$mnt/new"
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
echo Y >$switch
check "io_uring forbidden" forbidden setup
check "its use forbidden" forbidden enter
check "its setting up forbidden" forbidden register
check "all is the same" is_the_same
check "large files" large_files
check "many at once" many_at_once
check "others answer" others_answer
check "one processor" one_processor
check "little is kept" little_is_kept
check "it lasts" lasts
check "the daemon dies" daemon_dies
check "is aborted" is_aborted
check "ended while in use" ended_in_use
check "read-only" read_only
finish
