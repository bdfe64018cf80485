# shellcheck shell=bash
#
# mounted.bash - what the scripts on a real mount share.  Sourced by them; they run in WORK, an
# empty directory of their own, with the programs in BIN (see tests/run).

set -uo pipefail
: "${BIN:?the directory of lsmfs}" "${WORK:?an empty directory}"
lsmfs=$BIN/lsmfs
store=$WORK/store
mnt=$WORK/mnt
failed=0
mkdir -p "$mnt"
cd "$WORK" || exit 1
# Which user a test is must not depend on the caller.
umask 022

# check NAME COMMAND...: runs it, stopping at its first failure, and reports.
check() {
    local name=$1 status
    shift
    (
        set -e
        "$@"
    ) >"$WORK/check.out" 2>&1 </dev/null
    status=$?
    if [ $status = 0 ]; then
        echo "ok - $name"
    else
        echo "not ok - $name (status $status)"
        tail -n 30 "$WORK/check.out" | sed 's/^/    | /'
        failed=1
    fi
}

# alone NAME COMMAND...: check; what a failed one leaves mounted in WORK does not fail the next.
alone() {
    local point
    check "$@"
    while read -r point; do
        fusermount3 -uz "$point" || umount -l "$point"
    done < <(awk -v below="$WORK/" 'index($5, below) == 1 { print $5 }' /proc/self/mountinfo)
}

# Ends the script: its status is 0 if every check held.
finish() {
    exit $failed
}

# same WANTED GOT: fails and shows both if they differ.
same() {
    [ "$1" = "$2" ] || {
        printf 'expected: %s\n     got: %s\n' "$1" "$2"
        return 1
    }
}

# fails_with STATUS PATTERN COMMAND...: it must exit so, with a message that matches.
fails_with() {
    local wanted=$1 pattern=$2 status=0 text
    shift 2
    text=$("$@" 2>&1) || status=$?
    echo "$text"
    same "$wanted" $status
    grep -qE -- "$pattern" <<<"$text" || {
        echo "no match of: $pattern"
        return 1
    }
}

# A plain "!" is no failure to set -e.
not() {
    ! "$@"
}

# LSMFS_MOUNT may hold options for all mounts, as io_uring; LSMFS_CREATE, if set, of `lsmfs create` for
# stores that are not there yet, as --compress=lz4.
mount_store() {
    if [ -n "${LSMFS_CREATE:-}" ] && [ ! -e "$store" ]; then
        "$lsmfs" create "$LSMFS_CREATE" "$store" >/dev/null || return
    fi
    "$lsmfs" "$store" "$mnt" ${LSMFS_MOUNT:+-o "$LSMFS_MOUNT"} "$@"
}

# For a daemon that was started in the foreground: waits until it takes commands, or is
# read-only and answers.
await_mount() {
    for _ in {1..1000}; do
        "$lsmfs" status "$store" >/dev/null 2>&1 && return 0
        if grep -q " $mnt fuse.lsmfs ro" /proc/mounts; then
            ls "$mnt" >/dev/null
            return
        fi
        sleep 0.01
    done
    echo "nothing answers at $mnt"
    return 1
}

umount_store() {
    "$lsmfs" umount "$mnt"
}

remount() {
    umount_store
    mount_store "$@"
}

# Nothing is wrong with the store, which is not mounted.
sound() {
    "$lsmfs" check --quiet --snapshots "$store"
}

# status NAME: one line of lsmfs status.
status() {
    "$lsmfs" status "$store" | sed -n "s/^$1: //p"
}

daemon_pid() {
    status pid
}

# Waits until a process has ended, its last thread, too, with which its locks go; whether somebody
# has asked for its status does not matter.
await_end() {
    local state threads
    for _ in {1..500}; do
        state=$(sed -n 's/^State:.\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null) || true
        threads=$(find "/proc/$1/task" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l) || true
        case $state$threads in
        0 | Z[01]) return 0 ;;
        esac
        sleep 0.02
    done
    echo "process $1 goes on"
    return 1
}

# The death of the daemon without warning, and what an administrator does then.
kill_daemon() {
    local pid
    pid=$(daemon_pid)
    kill -KILL "$pid"
    await_end "$pid"
    fusermount3 -u "$mnt" 2>/dev/null || umount "$mnt" 2>/dev/null ||
        fusermount3 -uz "$mnt"
}

# fuse_for UID: lets that user open /dev/fuse until the script ends, where it is root's alone.
fuse_for() {
    setpriv --reuid "$1" --regid "$1" --clear-groups test -r /dev/fuse -a -w /dev/fuse && return
    [ -e "$WORK/fuse.acl" ] || getfacl -p /dev/fuse >"$WORK/fuse.acl" || return
    trap 'setfacl --restore="$WORK/fuse.acl"' EXIT
    setfacl -m "u:$1:rw" /dev/fuse
}

# All of a tree that a copy must have, names and contents, as text.
tree_of() {
    (
        cd "$1" || exit 1
        find . -mindepth 1 \( -type d -printf '%P %y %m\n' \) -o -printf '%P %y %m %s %l\n' |
            sort
        find . -type f -print0 | sort -z | xargs -0 -r md5sum
    )
}

same_trees() {
    diff <(tree_of "$1") <(tree_of "$2")
}

# The daemon, asked in another way than by its socket.
pid_of_daemon() {
    local pid
    for pid in $(pidof lsmfs); do
        if tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -qxF "$store"; then
            echo "$pid"
        fi
    done
}

# rss_of PID: its resident memory and its peak, in MiB.
peak_of() {
    awk '/^VmHWM:/ { print int($2 / 1024) }' "/proc/$1/status"
}
