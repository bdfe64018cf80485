#!/bin/bash
#
# leak.sh - a build with AddressSanitizer mounted, used and unmounted: no leak, no bad access.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"

if [ -z "${ASAN_BIN:-}" ]; then
    echo "# no build with AddressSanitizer (--quick): nothing to do"
    echo "ok - skipped"
    exit 0
fi
export ASAN_OPTIONS=detect_leaks=1:exitcode=99:log_path=$WORK/asan
export UBSAN_OPTIONS=halt_on_error=1:exitcode=99:log_path=$WORK/asan
lsmfs=$ASAN_BIN/lsmfs

begin() {
    "$lsmfs" -f "$store" "$mnt" "$@" &
    daemon=$!
    await_mount
}

# Status 99 is the sanitizer's.
end() {
    "$lsmfs" umount "$mnt"
    wait "$daemon"
    if ls asan.* >/dev/null 2>&1; then
        cat asan.*
        return 1
    fi
}

uses() {
    rm -rf "${mnt:?}"/*
    cp -a /usr/include/linux "$mnt/linux"
    cp -a "$mnt/linux" "$mnt/again"
    diff -r "$mnt/linux" "$mnt/again"
    mkdir "$mnt/.snapshots/s"
    head -c 3000000 /dev/urandom >"$mnt/large"
    truncate -s 100000 "$mnt/large"
    mv "$mnt/linux" "$mnt/moved"
    rm -rf "$mnt/again"
    ln -s x "$mnt/link"
    setfattr -n user.a -v b "$mnt/large"
    setfattr -n user.long -v "$(head -c 5000 /dev/zero | tr '\0' v)" "$mnt/large"
    exec 5<>"$mnt/ghost"
    rm "$mnt/ghost"
    echo x >&5
    exec 5>&-
    find "$mnt" -ls >/dev/null
    grep -rq pthread "$mnt/.snapshots/s" || true
    "$lsmfs" sync "$mnt"
    "$lsmfs" status "$mnt"
    echo value | "$lsmfs" put "$store" key
    "$lsmfs" get "$store" key
    "$lsmfs" ls "$store"
    "$lsmfs" rm "$store" key
    rmdir "$mnt/.snapshots/s"
    "$lsmfs" compact "$mnt"
    "$lsmfs" list | grep -q "^$store on $mnt "
    "$lsmfs" list --json >/dev/null
}

once() {
    begin
    uses
    end
}

read_only() {
    begin -o ro
    find "$mnt" -type f -exec cat {} + >/dev/null
    end
}

by_signal() {
    begin
    echo x >"$mnt/x"
    kill -TERM "$daemon"
    wait "$daemon"
    not ls asan.* 2>/dev/null
}

refused() {
    fails_with 2 unknown "$lsmfs" "$store" "$mnt" -o nonsense
    mkdir -p full/x
    fails_with 4 'not a store' "$lsmfs" full "$mnt"
    not ls asan.* 2>/dev/null
}

without_mount() {
    "$lsmfs" put "$store" a/b/c "$0"
    "$lsmfs" get "$store" a/b/c >/dev/null
    "$lsmfs" ls -R "$store" >/dev/null
    "$lsmfs" rm "$store" a/b/c
    "$lsmfs" create copy
    "$lsmfs" export "$store" >all.tar
    "$lsmfs" import --json copy <all.tar
    fails_with 1 'Truncated|too early' "$lsmfs" import copy < <(head -c 100000 all.tar)
    "$lsmfs" compact --json copy
    not ls asan.* 2>/dev/null
}

check "mount, use, unmount" once
check "the same again on what is there" once
check "read-only" read_only
check "ended by a signal" by_signal
check "refused" refused
check "commands without a mount" without_mount
finish
