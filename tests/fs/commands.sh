#!/bin/bash
#
# commands.sh - what `lsmfs put`, `get` and `rm` do to a mount that is in use.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"

put() {
    printf %s "$2" | "$lsmfs" put "$store" "$1"
}

# The kernel was told of the name that was given; the other one showed the old length for ever.
tells_all_names_of_a_file() {
    mount_store
    echo old >"$mnt/name-b"
    ln "$mnt/name-b" "$mnt/name-a"
    remount
    same old "$(cat "$mnt/name-b")"
    put name-a 'longer than before'
    same 'longer than before' "$(cat "$mnt/name-b")"
    same 2 "$(stat -c %h "$mnt/name-b")"
    "$lsmfs" rm "$store" name-a
    same 1 "$(stat -c %h "$mnt/name-b")"
    [ ! -e "$mnt/name-a" ]
    umount_store
}

# Every directory on the path was taken from the kernel: getcwd() failed, and what was mounted
# below was detached.
leaves_directories_in_place() {
    mount_store
    mkdir -p "$mnt/above/dir"
    echo x >"$mnt/above/dir/file"
    (
        cd "$mnt/above/dir"
        "$lsmfs" get "$store" above/dir/file >/dev/null
        put above/dir/file y
        put above/dir/new z
        "$lsmfs" rm "$store" above/dir/new
        same "$mnt/above/dir" "$(/bin/pwd -P)"
        same y "$(cat file)"
        [ ! -e new ]
    )
    umount_store
}

# The contents went with the name: readers got nothing, or "no such file".
leaves_open_files_readable() {
    local size got
    mount_store
    for size in 2 300000; do
        head -c "$size" /dev/urandom >contents
        cp contents "$mnt/open"
        exec 3<"$mnt/open"
        "$lsmfs" rm "$store" open
        [ ! -e "$mnt/open" ]
        got=0
        cmp contents - <&3 || got=1
        exec 3<&-
        same 0 $got
    done
    fails_with 1 'No such file' "$lsmfs" rm "$store" open
    mkdir "$mnt/directory"
    fails_with 1 'directory' "$lsmfs" rm "$store" directory
    umount_store
}

# A directory of which the record counts subdirectories did not count one that came with a key.
counts_directories_that_come_with_keys() {
    mount_store
    mkdir "$mnt/counted"
    remount
    same 2 "$(stat -c %h "$mnt/counted")"
    put counted/new/file x
    same x "$(cat "$mnt/counted/new/file")"
    same 1 "$(stat -c %h "$mnt/counted")"
    same "new" "$(find "$mnt/counted" -mindepth 1 -type d -printf '%P\n')"
    umount_store
}

# Everything waited for the whole of a put, and of a get.
puts_large_files_beside_others() {
    local command worst=0 begin took
    mount_store
    head -c 300M /dev/zero >large
    for command in put get; do
        if [ $command = put ]; then
            "$lsmfs" put "$store" large large &
        else
            "$lsmfs" get "$store" large >back &
        fi
        while kill -0 $! 2>/dev/null; do
            begin=$(date +%s%N)
            : >"$mnt/small"
            took=$((($(date +%s%N) - begin) / 1000000))
            [ $took -le $worst ] || worst=$took
            rm "$mnt/small"
        done
        wait $!
    done
    cmp large back
    cmp large "$mnt/large"
    echo "the slowest create took $worst ms"
    [ "$worst" -lt 1500 ]
    umount_store
}

# One accept without a descriptor for it, and no command reached the mount any more.
outlives_a_lack_of_descriptors() {
    local pid soft
    mount_store
    pid=$(daemon_pid)
    soft=$(prlimit --pid "$pid" --nofile --noheadings --output SOFT)
    prlimit --pid "$pid" --nofile=3:
    timeout 2 "$lsmfs" status "$store" || true
    prlimit --pid "$pid" --nofile="$soft:"
    timeout 10 "$lsmfs" status "$store" | grep -q '^pid'
    umount_store
}

# Some file systems beneath a store have no files without a name.
works_without_nameless_files() {
    local plain=$WORK/plain seen=$WORK/seen
    command -v bindfs >/dev/null || return 0
    mkdir -p "$plain" "$seen"
    bindfs "$plain" "$seen"
    "$lsmfs" "$seen/store" "$mnt"
    head -c 300000 /dev/urandom >contents
    "$lsmfs" put "$seen/store" file contents
    "$lsmfs" get "$seen/store" file | cmp - contents
    "$lsmfs" umount "$mnt"
    same "" "$(find "$plain" -name 'spool*')"
    fusermount3 -u "$seen" || umount "$seen"
}

check "all names of a file are told of" tells_all_names_of_a_file
check "directories on the way stay where they are" leaves_directories_in_place
check "removed files can be read by who has them open" leaves_open_files_readable
check "directories that come with keys are counted" counts_directories_that_come_with_keys
check "large files come and go beside others" puts_large_files_beside_others
check "commands outlive a lack of descriptors" outlives_a_lack_of_descriptors
check "a store where no file is without a name" works_without_nameless_files
finish
