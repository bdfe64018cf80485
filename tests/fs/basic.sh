#!/bin/bash
#
# basic.sh - every kind of file and every plain operation on a mount, and again after a remount.

# Lists of names are short and plain here.
# shellcheck disable=SC2046
# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"

mounts() {
    mount_store
    grep -q " $mnt fuse.lsmfs " /proc/mounts
    same "" "$(ls -A "$mnt")"
}

small_files() {
    echo hello >"$mnt/greeting"
    same hello "$(cat "$mnt/greeting")"
    : >"$mnt/empty"
    same 0 "$(stat -c %s "$mnt/empty")"
    echo more >>"$mnt/greeting"
    same "hello
more" "$(cat "$mnt/greeting")"
}

large_files() {
    head -c 4096 /dev/urandom >inline
    head -c 4097 /dev/urandom >chunked
    head -c 5000000 /dev/urandom >large
    local name
    for name in inline chunked large; do
        cp "$name" "$mnt/$name"
        cmp "$name" "$mnt/$name"
    done
    # In the middle, at a chunk's border, past the end.
    local at
    for at in 0 1 131071 131072 3000000 5000000 5200000; do
        for name in large "$mnt/large"; do
            printf 'written at %d' "$at" |
                dd of="$name" bs=64 seek="$at" oflag=seek_bytes conv=notrunc status=none
        done
        cmp large "$mnt/large"
    done
}

truncates() {
    local size
    for size in 4999999 131073 131072 131071 4096 10 0 10 200000; do
        truncate -s "$size" large "$mnt/large"
        cmp large "$mnt/large"
    done
    same 200000 "$(stat -c %s "$mnt/large")"
}

appends() {
    local i
    for i in {1..200}; do
        echo "line $i of a log that grows" >>appended
        echo "line $i of a log that grows" >>"$mnt/appended"
    done
    cmp appended "$mnt/appended"
    head -c 300000 /dev/urandom | tee -a appended >>"$mnt/appended"
    cmp appended "$mnt/appended"
}

directories() {
    mkdir -p "$mnt/a/b/c"
    touch "$mnt/a/b/c/file" "$mnt/a/x" "$mnt/a-b" "$mnt/a.txt"
    same "b x" "$(echo $(ls "$mnt/a"))"
    fails_with 1 'not empty' rmdir "$mnt/a/b"
    fails_with 1 'exists' mkdir "$mnt/a"
    fails_with 1 'Is a directory|directory' unlink "$mnt/a"
    rm "$mnt/a/b/c/file"
    rmdir "$mnt/a/b/c"
    fails_with 2 'No such file' ls "$mnt/a/b/c"
    mkdir "$mnt/a/b/c"
    same "" "$(ls -A "$mnt/a/b/c")"
    same 4 "$(stat -c %h "$mnt/a/b/.." | sed 's/^3$/4/')"
}

symlinks() {
    ln -s greeting "$mnt/link"
    ln -s "$(printf 'x%.0s' {1..4000})" "$mnt/long-link"
    same greeting "$(readlink "$mnt/link")"
    same hello "$(head -n 1 "$mnt/link")"
    same 4000 "$(readlink "$mnt/long-link" | tr -d '\n' | wc -c)"
    same 8 "$(stat -c %s "$mnt/link")"
}

special_files() {
    mkfifo "$mnt/fifo"
    echo through >"$mnt/fifo" &
    same through "$(cat "$mnt/fifo")"
    wait
    if [ "$(id -u)" = 0 ]; then
        mknod "$mnt/null" c 1 3
        same "1:3" "$(stat -c %t:%T "$mnt/null")"
        mknod "$mnt/block" b 259 70000
        same "block special file" "$(stat -c %F "$mnt/block")"
    fi
}

attributes() {
    chmod 2750 "$mnt/a"
    same 2750 "$(stat -c %a "$mnt/a")"
    chmod 604 "$mnt/greeting"
    same 604 "$(stat -c %a "$mnt/greeting")"
    if [ "$(id -u)" = 0 ]; then
        chown 1234:5678 "$mnt/greeting"
        same 1234:5678 "$(stat -c %u:%g "$mnt/greeting")"
        chown -h 12:34 "$mnt/link"
        same 12:34 "$(stat -c %u:%g "$mnt/link")"
    fi
    touch -d '2001-02-03 04:05:06.123456789' "$mnt/greeting"
    same "2001-02-03 04:05:06.123456789" "$(stat -c %y "$mnt/greeting" | cut -d' ' -f1,2)"
    touch -h -d '1960-01-01 00:00:00.5 UTC' "$mnt/link"
    same -315619200 "$(stat -c %Y "$mnt/link")"
    touch -d '2100-01-01 UTC' "$mnt/a/x"
    same 4102444800 "$(stat -c %Y "$mnt/a/x")"
}

extended_attributes() {
    setfattr -n user.colour -v blue "$mnt/greeting"
    setfattr -n user.empty "$mnt/greeting"
    same blue "$(getfattr --only-values -n user.colour "$mnt/greeting")"
    same "user.colour user.empty" \
        "$(echo $(getfattr "$mnt/greeting" 2>/dev/null | grep -v '^#'))"
    # Too long to stand in the record.
    local long
    long=$(head -c 20000 /dev/zero | tr '\0' v)
    setfattr -n user.long -v "$long" "$mnt/large"
    same "$long" "$(getfattr --only-values -n user.long "$mnt/large")"
    setfattr -x user.empty "$mnt/greeting"
    fails_with 1 'No such attribute' getfattr -n user.empty "$mnt/greeting"
}

renames() {
    echo one >"$mnt/r1"
    echo two >"$mnt/r2"
    mv -T "$mnt/r1" "$mnt/r3"
    mv -fT "$mnt/r3" "$mnt/r2"
    same one "$(cat "$mnt/r2")"
    fails_with 1 '' cat "$mnt/r1"
    mkdir -p "$mnt/from/sub" "$mnt/to"
    echo below >"$mnt/from/sub/file"
    fails_with 1 '' mv -T "$mnt/from" "$mnt/from/sub/self"
    mv "$mnt/from" "$mnt/to/moved"
    same below "$(cat "$mnt/to/moved/sub/file")"
    fails_with 2 '' ls "$mnt/from"
    mkdir "$mnt/from"
    same "" "$(ls -A "$mnt/from")"
    # Onto an empty directory, not onto a full one.
    mkdir "$mnt/full" "$mnt/full/x"
    fails_with 1 'not empty|exists' mv -T "$mnt/from" "$mnt/full"
    mv -T "$mnt/full" "$mnt/from"
    same x "$(ls "$mnt/from")"
}

unlinked_but_open() {
    head -c 300000 /dev/urandom >ghost
    exec 5<>"$mnt/ghost"
    cat ghost >&5
    exec 6<"$mnt/ghost"
    rm "$mnt/ghost"
    fails_with 1 'No such file' cat "$mnt/ghost"
    cmp ghost <(cat <&6)
    echo end >&5
    same 300004 "$(stat -L -c %s /proc/self/fd/5)"
    exec 5>&- 6<&-
    exec 5<>"$mnt/small-ghost"
    echo tiny >&5
    rm "$mnt/small-ghost"
    echo again >&5
    same "tiny
again" "$(cat /proc/self/fd/5)"
    exec 5>&-
    same "" "$(find "$mnt" -name '*ghost*' -o -name '.fuse_hidden*')"
}

odd_names() {
    local name
    for name in "with space" $'new\nline' $'tab\t' 'ünïcödé' '*?[' '-dash' '%41' '...' \
        "$(printf 'n%.0s' {1..255})" $'\xff\xfe'; do
        echo "$name" >"$mnt/odd-$$"
        mv -T -- "$mnt/odd-$$" "$mnt/$name"
        same "$name" "$(cat -- "$mnt/$name")"
        rm -- "$mnt/$name"
    done
    fails_with 1 'too long' touch "$mnt/$(printf 'n%.0s' {1..256})"
}

durable_calls() {
    dd if=/dev/urandom of="$mnt/synced" bs=10000 count=20 conv=fsync status=none
    sync "$mnt/synced" "$mnt"
    sync -d "$mnt/synced"
    sync -f "$mnt/synced"
    "$lsmfs" sync "$mnt"
    same 200000 "$(stat -c %s "$mnt/synced")"
}

disk_free() {
    local blocks free
    read -r blocks free < <(stat -f -c '%b %a' "$mnt")
    [ "$blocks" -gt 0 ]
    [ "$free" -gt 0 ]
    [ "$free" -le "$blocks" ]
    same 255 "$(stat -f -c %l "$mnt")"
    df "$mnt" | grep -q "$store"
}

holes_and_space() {
    fallocate -l 1000000 "$mnt/reserved"
    same 1000000 "$(stat -c %s "$mnt/reserved")"
    head -c 400000 /dev/urandom >punched
    cp punched "$mnt/punched"
    fallocate -p -o 100 -l 300000 punched
    fallocate -p -o 100 -l 300000 "$mnt/punched"
    cmp punched "$mnt/punched"
}

programs_run() {
    cp /bin/echo "$mnt/echo"
    same works "$("$mnt/echo" works)"
}

survives_remount() {
    tree_of "$mnt" >before
    stat -c '%n %i %y %z %h %u %g' "$mnt"/* >before.stat
    remount
    diff before <(tree_of "$mnt")
    diff before.stat <(stat -c '%n %i %y %z %h %u %g' "$mnt"/*)
    same blue "$(getfattr --only-values -n user.colour "$mnt/greeting")"
}

unmounts() {
    umount_store
    not grep -q " $mnt " /proc/mounts
    # The lock is free at once, also for the engine's own tools.
    "$lsmfs" ls "$store" >/dev/null
}

check "mounts a directory that is not there yet" mounts
check "small files" small_files
check "large files" large_files
check "truncation" truncates
check "appending" appends
check "directories" directories
check "symbolic links" symlinks
check "fifos and devices" special_files
check "modes, owners, times" attributes
check "extended attributes" extended_attributes
check "renames" renames
check "unlinked but open" unlinked_but_open
check "odd names" odd_names
check "fsync and its kin" durable_calls
check "df" disk_free
check "fallocate" holes_and_space
check "programs run from it" programs_run
check "all of it survives a remount" survives_remount
check "unmounts" unmounts
finish
