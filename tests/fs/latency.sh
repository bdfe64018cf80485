#!/bin/bash
#
# latency.sh - -o low_latency: the bound that the kernel shows in /dev/cpu_dma_latency is 0 while
# requests come quickly, and as before afterwards, however the daemon ends; where the device cannot be
# used, that is said, and the mount does without.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"

device=/dev/cpu_dma_latency
user=65534 # nobody
own=$WORK/own

if [ "$(id -u)" != 0 ] || ! od -N4 $device >/dev/null 2>&1; then
    echo "ok - all # SKIP only root asks for it, and the kernel has to have $device"
    finish
fi

# Microseconds that waking may take: the least of what all processes of this machine ask for.
bound() {
    od -An -td4 -N4 $device | tr -d ' '
}

# becomes BOUND: within ten seconds.
becomes() {
    for _ in {1..1000}; do
        [ "$(bound)" != "$1" ] || return 0
        sleep 0.01
    done
    same "$1" "$(bound)"
}

# Requests, quickly, until the bound is 0, or for ten seconds.
hurry() {
    local end=$((SECONDS + 10))
    while [ "$(bound)" != 0 ]; do
        [ $SECONDS -lt $end ] || return
        stat "$mnt"/absent-{1..500}-$RANDOM >/dev/null 2>&1 || :
    done
}

held_and_let_go() {
    same '' "$(mount_store -o low_latency 2>&1)"
    same "$free" "$(bound)"
    hurry
    becomes "$free"
    hurry
    umount_store
    same "$free" "$(bound)"
}

not_without() {
    mount_store
    for _ in {1..50}; do
        stat "$mnt"/absent-{1..500}-$RANDOM >/dev/null 2>&1 || :
        same "$free" "$(bound)"
    done
    umount_store
}

let_go_by_the_dead() {
    mount_store -o low_latency
    hurry
    kill -9 "$(pid_of_daemon)"
    becomes "$free"
    mount_store
    umount_store
}

# stands_in FILE COMMAND...: the daemon finds FILE where the device is.
stands_in() {
    # shellcheck disable=SC2016 # expanded by the other shell
    unshare -m --propagation slave sh -c 'mount --bind "$1" "$2" && shift 2 && exec "$@"' sh \
        "$1" $device "${@:2}"
}

# The mount is the daemon's alone, so what uses it stays there.
used_without() {
    printf '%s\n' 'lsmfs=$1 store=$2 mnt=$3' '"$lsmfs" -f "$store" "$mnt" -o low_latency & ' \
        'while ! mountpoint -q "$mnt"; do sleep 0.01; done' \
        'for i in 1 2 3 4 5 6 7 8 9 10; do stat "$mnt"/absent-$i-{1..500} >/dev/null 2>&1; done' \
        'sleep 0.5; echo kept >"$mnt/file"; cat "$mnt/file"' \
        '"$lsmfs" umount "$mnt"; wait' >use.sh
    stands_in /dev/full bash use.sh "$lsmfs" "$store" "$mnt" >said 2>&1
    same 1 "$(grep -c "low_latency: $device: No space left on device; requests are answered without" said)"
    same kept "$(grep -v low_latency said)"
}

as_a_user() {
    chmod 755 "$WORK"
    mkdir -p "$own/mnt"
    chown -R $user:$user "$own"
    fuse_for $user
    fails_with 0 "low_latency: $device: Permission denied; requests are answered without" \
        setpriv --reuid $user --regid $user --clear-groups \
        "$lsmfs" "$own/store" "$own/mnt" -o low_latency
    ls "$own/mnt" >/dev/null || fails_with 2 denied ls "$own/mnt"
    setpriv --reuid $user --regid $user --clear-groups "$lsmfs" umount "$own/mnt"
}

free=$(bound)
if [ "$free" = 0 ]; then
    echo "ok - all # SKIP something else of this machine keeps processors awake"
    finish
fi
alone "held while requests come quickly" held_and_let_go
alone "not without the option" not_without
alone "the daemon is killed" let_go_by_the_dead
alone "the device fails" used_without
alone "as an ordinary user" as_a_user
finish
