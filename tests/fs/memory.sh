#!/bin/bash
#
# memory.sh [MIB FILES COPIED] - the daemon's resident memory stays below what `-o memory=` says, MIB,
# while many more FILES are looked up than it keeps nodes for, and while COPIED MiB are written and
# read.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"
: "${TESTS:?the directory of prog_fill}"

limit=${1:-48}
files=${2:-200000}
copied=${3:-160}
piece=16 # MiB

begins() {
    "$TESTS/prog_fill" "$store" many/file "$files"
    mount_store -o "memory=${limit}M"
}

small_enough() {
    local peak
    peak=$(peak_of "$(daemon_pid)")
    echo "the daemon's memory at its peak: $peak of $limit MiB, $(now_of "$(daemon_pid)") now"
    [ "$peak" -lt "$limit" ]
}

now_of() {
    awk '/^VmRSS:/ { print int($2 / 1024) }' "/proc/$1/status"
}

nodes() {
    "$lsmfs" stats --json "$mnt" | sed -n 's/.*"inodes": *\([0-9]*\).*/\1/p'
}

# The sizes are asked for one by one.  The kernel would keep all of them.
looks_up() {
    local kept
    same "$files" "$(find "$mnt/many" -type f -size -100c | wc -l)"
    kept=$(nodes)
    echo "$kept of $files nodes are kept"
    [ "$kept" -lt $((files / 2)) ]
    small_enough
}

pieces() {
    local i
    for ((i = 0; i < copied; i += piece)); do
        cat "$WORK/piece"
    done
}

copies() {
    head -c ${piece}M /dev/urandom >"$WORK/piece"
    pieces >"$mnt/large"
    pieces | cmp - "$mnt/large"
    small_enough
    rm "$mnt/large"
}

# Many at once: what is in flight counts, too.
writes_at_once() {
    local i pids=()
    for i in {1..12}; do
        (
            cat "$WORK/piece" >"$mnt/at-once$i"
            cmp "$WORK/piece" "$mnt/at-once$i"
        ) &
        pids+=($!)
    done
    for i in "${pids[@]}"; do
        wait "$i"
    done
    rm "$mnt"/at-once*
    small_enough
}

# A directory whose records all have to be written anew.
renames() {
    mv "$mnt/many" "$mnt/moved"
    [ -e "$mnt/moved/file0000000" ]
    small_enough
}

# Two figures that follow from it.
obeys() {
    local size cache
    umount_store
    fails_with 2 'from 48M to' "$lsmfs" "$store" "$mnt" -o memory=32M
    for size in 48M 512M; do
        mount_store -o memory=$size
        cache+=" $("$lsmfs" stats --json "$mnt" | sed -n 's/.*"cache_limit[a-z_]*": *\([0-9]*\).*/\1/p')"
        umount_store
    done
    echo "caches of $cache bytes"
    # shellcheck disable=SC2086
    set -- $cache
    [ "$1" -lt $((4 << 20)) ]
    [ "$2" -gt $((96 << 20)) ]
}

check "$files files, and a mount of $limit MiB" begins
check "looks them up" looks_up
tail -n 2 "$WORK/check.out" | sed 's/^/# /'
check "copies $copied MiB" copies
tail -n 1 "$WORK/check.out" | sed 's/^/# /'
check "writes 12 files at once" writes_at_once
tail -n 1 "$WORK/check.out" | sed 's/^/# /'
check "renames the directory" renames
tail -n 1 "$WORK/check.out" | sed 's/^/# /'
check "obeys other sizes" obeys
finish
