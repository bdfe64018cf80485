#!/bin/bash
#
# compare.sh - the same random calls on the mount and on the file system that holds WORK, by one
# process and by several at once, with remounts and the daemon's death in between: as root (whose
# calls are those of several users) and as an ordinary user, without and with -o acl.
#
# COMPARE_SECONDS sets how long in all.  A difference names the seed of its run, the step and the
# call, and the calls before; LSMKV_SEED repeats all runs, COMPARE names the parts to run, as in
# COMPARE="root root-acl".

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"
: "${TESTS:?the directory of prog_compare}"
seed=${LSMKV_SEED:-$((RANDOM * 32768 + RANDOM))}
seconds=${COMPARE_SECONDS:-110}
parts=${COMPARE:-root root-acl user user-acl}
calls=3000
echo "# LSMKV_SEED=$seed"

# Runs as who the part is of.
compare() {
    local tool=("$TESTS/prog_compare")
    case $part in
    user*) tool=(setpriv --reuid=65534 --regid=65534 --clear-groups "${tool[@]}") ;;
    esac
    case $part in
    *-acl) tool+=(-a) ;;
    esac
    case ,${LSMFS_MOUNT:-}, in
    *,writeback_cache,*) tool+=(-t) ;;
    esac
    "${tool[@]}" "$@"
}

# New trees, empty.
begins() {
    local tree
    rm -rf "${mnt:?}/$part" "${WORK:?}/beneath/$part"
    for tree in "$mnt/$part" "$WORK/beneath/$part"; do
        mkdir "$tree"
        chmod 755 "$tree"
        case $part in
        user*) chown 65534:65534 "$tree" ;;
        esac
    done
}

# A run of calls, then a clean remount, a killed daemon, or nothing.
round() {
    local trees=("$mnt/$part" "$WORK/beneath/$part")
    if [ $(($1 % 2)) = 0 ]; then
        compare "${trees[@]}" $calls $((seed + $1))
    else
        compare -p 4 "${trees[@]}" $((calls / 4)) $((seed + $1))
    fi
    case $(($1 % 3)) in
    1)
        umount_store
        sound
        mount_store "${options[@]}"
        ;;
    2)
        kill_daemon
        sound
        mount_store "${options[@]}"
        ;;
    esac
    compare "${trees[@]}" 0 0
}

# The same rounds however long they take.
rounds() {
    local i=0 end=$((SECONDS + seconds / count))
    while [ $i -lt 3 ] || [ $SECONDS -lt $end ]; do
        [ $((i % 12)) != 0 ] || begins
        round $i
        i=$((i + 1))
    done
    echo "# $part: $i rounds"
}

chmod 755 "$WORK"
mkdir beneath
count=$(wc -w <<<"$parts")
for part in $parts; do
    options=(-o 'suid,dev,allow_other')
    case $part in
    *-acl) options+=(-o acl) ;;
    esac
    check "$part: mounts" mount_store "${options[@]}"
    chmod 755 "$mnt"
    check "$part: random calls, remounts and deaths show no difference" rounds
    grep '^# .* rounds$' "$WORK/check.out"
    check "$part: unmounts" umount_store
    seed=$((seed + 1000000))
done
finish
