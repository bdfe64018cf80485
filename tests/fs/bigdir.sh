#!/bin/bash
#
# bigdir.sh [COUNT] - a directory of 100,000 files made, listed and removed; one of 1,000,000
# filled through the engine's own interface and listed, with the daemon's memory measured.

# Lists of names are short and plain here.
# shellcheck disable=SC2010
# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"
: "${TESTS:?the directory of prog_fill}"

count=${1:-100000}
memory_limit=256 # MiB

makes() {
    mkdir "$mnt/big"
    # Names from one process: what is measured is the filesystem.
    (cd "$mnt/big" && seq -f 'file%07.0f' "$count" | xargs touch)
}

lists() {
    same "$count" "$(ls -f "$mnt/big" | grep -c '^file')"
    diff <(seq -f 'file%07.0f' "$count") <(ls "$mnt/big")
    same "$count" "$(find "$mnt/big" -type f -size 0 | wc -l)"
    same "$count" "$(ls -l "$mnt/big" | grep -c '^-')"
}

# Entries that are there throughout must appear exactly once while others come and go.
lists_while_changing() {
    local changer
    (
        i=0
        while [ ! -e "$WORK/enough" ]; do
            i=$((i + 1))
            : >"$mnt/big/a-newcomer$i"
            : >"$mnt/big/z-newcomer$i"
            rm -f "$mnt/big/a-newcomer$((i - 5))" "$mnt/big/z-newcomer$((i - 5))"
        done
        rm -f "$mnt"/big/*newcomer*
    ) &
    changer=$!
    for _ in 1 2 3; do
        ls -f "$mnt/big" | grep '^file' | sort >listed || true
        diff -q <(seq -f 'file%07.0f' "$count") listed
    done
    touch enough
    wait $changer
}

removes_while_listing() {
    # rm -r reads the directory while it removes what it has read.
    rm -r "$mnt/big"
    [ ! -e "$mnt/big" ]
    mkdir "$mnt/big"
    same "" "$(ls -A "$mnt/big")"
    rmdir "$mnt/big"
}

small_enough() {
    local peak
    peak=$(peak_of "$(daemon_pid)")
    echo "the daemon's memory at its peak: $peak MiB"
    [ "$peak" -lt $memory_limit ]
}

fills() {
    "$TESTS/prog_fill" "$store" many/key 1000000
    mount_store
}

lists_a_million() {
    same 1000000 "$(ls -f "$mnt/many" | grep -c '^key')"
    same 1000000 "$(ls -l "$mnt/many" | grep -c '^-rw')"
    same 123456 "$(cat "$mnt/many/key0123456")"
    diff <(seq -f 'key%07.0f' 0 999999) <(ls "$mnt/many")
}

mount_store || exit 1
check "makes $count files" makes
check "lists them" lists
check "lists them while others come and go" lists_while_changing
check "removes them" removes_while_listing
check "below $memory_limit MiB" small_enough
check "unmounts" umount_store
rm -rf "$store"
check "fills a million keys through the engine and mounts them" fills
check "lists a million files" lists_a_million
check "still below $memory_limit MiB" small_enough
tail -n 1 "$WORK/check.out"
check "unmounts again" umount_store
finish
