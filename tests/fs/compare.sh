#!/bin/bash
#
# compare.sh - the same random calls on the mount and on the file system that holds WORK, with
# remounts and the daemon's death in between.  COMPARE_SECONDS sets how long; LSMKV_SEED repeats.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"
: "${TESTS:?the directory of prog_compare}"
seed=${LSMKV_SEED:-$((RANDOM * 32768 + RANDOM))}
seconds=${COMPARE_SECONDS:-60}
calls=4000
echo "# LSMKV_SEED=$seed"

begins() {
    mount_store -o suid,dev
    mkdir "$mnt/tree" reference
    chmod 755 "$mnt/tree" reference
}

# One run of calls, then a clean remount, a killed daemon, or nothing.
round() {
    "$TESTS/prog_compare" "$mnt/tree" reference $calls $((seed + $1))
    case $(($1 % 3)) in
    1) remount -o suid,dev ;;
    2)
        kill_daemon
        mount_store -o suid,dev
        ;;
    esac
    "$TESTS/prog_compare" "$mnt/tree" reference 0 0
}

rounds() {
    local i=0 end=$((SECONDS + seconds))
    while [ $i -lt 3 ] || [ $SECONDS -lt $end ]; do
        round $i
        i=$((i + 1))
    done
    echo "$((i * calls)) calls"
}

# Permissions are judged for who is not root.
as_a_user() {
    local user=65534
    mkdir "$mnt/theirs" theirs
    chown $user:$user "$mnt/theirs" theirs
    chmod 755 "$mnt" "$WORK"
    setpriv --reuid=$user --regid=$user --clear-groups \
        "$TESTS/prog_compare" "$mnt/theirs" "$WORK/theirs" $calls "$seed"
}

a_user_begins() {
    umount_store
    mount_store -o suid,dev,allow_other
}

check "a tree on the mount and one beside it" begins
check "random calls, remounts and deaths show no difference" rounds
check "others may use the mount" a_user_begins
check "random calls of an ordinary user show no difference" as_a_user
check "unmounts" umount_store
finish
