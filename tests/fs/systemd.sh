#!/bin/bash
#
# systemd.sh - the units: systemd's own verification, the notify protocol against a socket, and
# that the daemon gets on with the rights and system calls that its unit leaves it.
#
# systemd itself does not run here: what it would do with the unit is done by hand, with the
# unit's own lines.

root=$(realpath "$(dirname "$0")/../..")
# shellcheck source=tests/fs/mounted.bash
. "$root/tests/fs/mounted.bash"

units=$root/mount-helpers/systemd
unit=$units/lsmfs@.service

mounted() {
    grep -q " $mnt fuse.lsmfs " /proc/mounts
}

# setting NAME: its value in the unit.
setting() {
    sed -n "s/^$1=//p" "$unit"
}

# ---- verification ----

# Copies the units, with the program of this build in place of the installed one.
copy_units() {
    rm -rf verified
    mkdir verified
    cp "$units"/* verified/
    sed -i "s,^ExecStart=lsmfs ,ExecStart=$lsmfs ," verified/*.service
}

verify() {
    systemd-analyze verify --man=no "$@"
}

verified() {
    copy_units
    same '' "$(verify verified/lsmfs@.service 2>&1)"
    same '' "$(verify verified/srv-notes.mount verified/srv-notes.automount 2>&1)"
    # As an instance: a timer alone is looked for by the name of its service.
    same '' "$(verify verified/lsmfs-snapshot@srv-notes.timer \
        verified/lsmfs-snapshot@srv-notes.service 2>&1)"
    # It would say so.
    sed -i 's/^Type=notify/Type=notfy/' verified/lsmfs@.service
    fails_with 0 'Failed to parse service type' verify verified/lsmfs@.service
    sed -i 's,^Where=.*,Where=/srv/others,' verified/srv-notes.mount
    fails_with 1 "doesn't match unit name" verify verified/srv-notes.mount
    sed -i 's/^OnCalendar=.*/OnCalendar=sometimes/' verified/lsmfs-snapshot@.timer
    fails_with 1 'Failed to parse calendar' verify verified/lsmfs-snapshot@srv-notes.timer
}

# With any of these the mount would be seen by the daemon alone.
no_namespace_of_its_own() {
    not grep -E '^(Private[A-Za-z]+|ProtectSystem|ProtectHome|ProtectKernel[A-Za-z]+|Mount[A-Z].*|ProtectControlGroups|ProtectProc|ProcSubset|ProtectHostname|TemporaryFileSystem|(ReadOnly|ReadWrite|Inaccessible|Exec|NoExec|Bind|BindReadOnly)Paths|Root[A-Z][a-z]+|DynamicUser|ProtectClock)=' \
        "$unit" "$units/lsmfs-snapshot@.service"
}

# ---- the socket ----

# Writes each message to `heard`, as one line with blanks for its line ends, the sender before it.
# At READY=1 it looks whether the mount answers.
listen_at() {
    rm -f heard notify
    python3 - "$1" "$mnt" <<'END' &
import os, socket, struct, sys
name, mnt = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
listener.bind("\0" + name[1:] if name[0] == "@" else name)
with open("heard", "w", buffering=1) as heard:
    while True:
        data, extra, _, _ = listener.recvmsg(8192, 64)
        pid = struct.unpack("iii", extra[0][2])[0]
        line = data.decode().replace("\n", " ")
        if line.startswith("READY=1"):
            line += " saw " + " ".join(sorted(os.listdir(mnt)))
        print(pid, line, file=heard)
END
    listener=$!
    for _ in {1..200}; do
        [ ! -e heard ] || return 0
        sleep 0.02
    done
    return 1
}

# await_line PATTERN: what was heard has such a line, after a while.
await_line() {
    for _ in {1..500}; do
        ! grep -qE -- "$1" heard || return 0
        sleep 0.02
    done
    cat heard
    echo "not heard: $1"
    return 1
}

stop_listening() {
    kill $listener
    wait $listener || true
}

# start STORE: runs what ExecStart says, as systemd would; its process is $daemon.
start() {
    local line
    line=$(setting ExecStart)
    same lsmfs "${line%% *}"
    line=${line#lsmfs }
    # shellcheck disable=SC2034
    STORE=$1 OPTIONS=${OPTIONS:-$(setting Environment | sed 's/^OPTIONS=//')}
    line=${line//%f/"$mnt"}
    eval "set -- $line"
    "${within[@]}" "$lsmfs" "$@" &
    daemon=$!
}
within=()

tells_its_manager() {
    local name
    "$lsmfs" "$store" "$mnt"
    echo text >"$mnt/file"
    umount_store
    for name in "$WORK/notify" "@lsmfs-test-$$"; do
        listen_at "$name"
        within=(env NOTIFY_SOCKET="$name")
        start "$store"
        await_line "^$daemon READY=1 STATUS=$store is mounted at $mnt saw file$"
        same "$daemon EXTEND_TIMEOUT_USEC=60000000 STATUS=opening $store" "$(head -n 1 heard)"
        not grep -z NOTIFY_SOCKET= <(tr '\0' '\n' <"/proc/$daemon/environ" | grep -v "^NOTIFY_SOCKET=$name")
        kill -TERM $daemon
        wait $daemon
        await_line "^$daemon STOPPING=1 STATUS=unmounted$"
        same "$daemon EXTEND_TIMEOUT_USEC=60000000 STATUS=closing $store" "$(tail -n 1 heard)"
        not mounted
        stop_listening
    done
    # Unmounted by others, it ends as well, and says so.
    listen_at "$WORK/notify"
    within=(env NOTIFY_SOCKET="$WORK/notify")
    start "$store"
    await_line READY=1
    umount "$mnt"
    wait $daemon
    await_line STOPPING=1
    stop_listening
}

# After a crash: opened, replayed, ready, in this order.
tells_while_it_recovers() {
    listen_at "$WORK/notify"
    within=(env NOTIFY_SOCKET="$WORK/notify")
    OPTIONS=commit=600 start "$store"
    await_line READY=1
    head -c 20000000 /dev/urandom >"$mnt/large"
    kill -KILL $daemon
    wait $daemon || true
    : >heard
    start "$store" 2>said
    await_line READY=1
    # The dead mount is in nobody's way.
    grep -q 'has died.*detached' said
    grep -q 'unclean stop' said
    same "EXTEND_TIMEOUT_USEC=60000000 STATUS=opening" \
        "$(head -n 1 heard | cut -d' ' -f2,3)"
    same 20000000 "$(stat -c %s "$mnt/large")"
    kill -TERM $daemon
    wait $daemon
    stop_listening
}

# Failed, it was never ready; and what cannot become right is not tried again.
fails_without_ready() {
    local status=0
    listen_at "$WORK/notify"
    within=(env NOTIFY_SOCKET="$WORK/notify")
    mkdir missing-disk
    start "$WORK/missing-disk"
    wait $daemon || status=$?
    same 4 $status
    grep -qw $status <<<"$(setting RestartPreventExitStatus)"
    same '' "$(ls -A missing-disk)"
    await_line 'STATUS=opening'
    not grep READY heard
    stop_listening
}

# A daemon in the background, whose parent ends, is nobody's service.
is_silent_in_the_background() {
    listen_at "$WORK/notify"
    NOTIFY_SOCKET=$WORK/notify mount_store
    umount_store
    same '' "$(cat heard)"
    stop_listening
}

works_without_a_listener() {
    within=(env NOTIFY_SOCKET="$WORK/nowhere")
    start "$store" 2>said
    await_mount
    grep -q 'nowhere: No such file' said
    kill -TERM $daemon
    wait $daemon
}

# ---- with what the unit leaves it ----

# A bit of everything that a mount is used for.
use_it() {
    local point=$1
    mkdir "$point/d" "$point/.snapshots/s"
    cp -a /usr/include/arpa "$point/d/"
    diff -r /usr/include/arpa "$point/d/arpa"
    ln "$point/d/arpa/inet.h" "$point/hard"
    ln -s hard "$point/soft"
    chown 65534:65534 "$point/hard"
    chmod 4755 "$point/hard"
    mkfifo "$point/fifo"
    mknod "$point/null" c 1 3
    setfattr -n user.x -v y "$point/hard"
    setfacl -m u:65534:r "$point/d"
    chmod 777 "$point"
    setpriv --reuid 65534 --regid 65534 --clear-groups sh -c "echo theirs >'$point/theirs'"
    flock "$point/theirs" true
    sync "$point/hard"
    fallocate -l 1M "$point/space"
    fallocate -p -o 4096 -l 4096 "$point/space"
    mv "$point/d" "$point/e"
    rm -r "$point/e"
    echo put | "$lsmfs" put "$store" put
    same put "$(cat "$point/put")"
    "$lsmfs" status "$store"
    "$lsmfs" sync "$store"
    df "$point"
    mv "$point/.snapshots/s" "$point/.snapshots/t"
    rmdir "$point/.snapshots/t"
    rm -r "${point:?}"/*
}

# As root with the capabilities of the unit and no way to more.
few_rights_suffice() {
    local list
    list=$(bounds)
    within=(setpriv --bounding-set "-all,$list" --inh-caps "-all" --no-new-privs)
    # Another's store.
    chown -R 65534:65534 "$store"
    chmod 700 "$store"
    OPTIONS=allow_other,acl,suid,dev start "$store"
    await_mount
    # And no more than these.
    same "$(grep -c + <<<"${list//,/$'\n'}")" "$(($(bits "$(sed -n 's/^CapEff:\t*//p' \
        /proc/$daemon/status)")))"
    use_it "$mnt"
    umount_store
    wait $daemon
    sound
    chown -R 0:0 "$store"
}

# bits HEX: how many are set.
bits() {
    python3 -c "print(bin(int('$1', 16)).count('1'))"
}

# The system calls that groups of systemd contain, each on a line.
calls_of() {
    local name
    for name in "$@"; do
        systemd-analyze syscall-filter "$name" | sed -n '2,$s/^ *\([-@a-z0-9_]*\)$/\1/p' |
            while read -r name; do
                case $name in
                @*) calls_of "$name" ;;
                *) echo "$name" ;;
                esac
            done
    done
}

few_system_calls_suffice() {
    local groups
    read -ra groups <<<"$(setting SystemCallFilter)"
    calls_of "${groups[@]}" | sort -u >allowed
    [ "$(wc -l <allowed)" -gt 200 ]
    within=(strace -f -qq -o "$WORK/trace")
    OPTIONS=allow_other,acl,suid,dev start "$store"
    await_mount
    use_it "$mnt"
    # As a signal ends it, though in use.
    exec 7>"$mnt/held"
    pkill -TERM -P $daemon lsmfs
    wait $daemon
    exec 7>&- || true
    sed -n 's/^[0-9]* *\([a-z0-9_]*\)(.*/\1/p' trace | sort -u >used
    grep -qx mount used
    # execve is strace's.
    same '' "$(comm -13 allowed used)"
    # Sockets are the control socket, the manager's and the log's.
    same "$(setting RestrictAddressFamilies)" \
        "$(sed -n 's/.* socket(\(AF_[A-Z0-9]*\),.*/\1/p' trace | sort -u)"
}

# ---- the rotation ----

# run_snapshots COMMAND...: what the service runs, by COMMAND, as systemd would.
run_snapshots() {
    local unit=$units/lsmfs-snapshot@.service line words=()
    # shellcheck disable=SC2034
    KEEP=$(sed -n 's/^Environment="KEEP=\(.*\)"/\1/p' "$unit")
    while read -r line; do
        same lsmfs "${line%% *}"
        line=${line#lsmfs }
        eval "words=(${line//%f/"$mnt"})"
        "$@" "$lsmfs" "${words[@]}"
    done < <(setting ExecStart)
}

# Of a store of another user, with the rights and the system calls that the service has.
snapshots_rotate() {
    local unit=$units/lsmfs-snapshot@.service few=() groups
    rm -rf "$store" trace
    mount_store
    mkdir "$mnt/.snapshots/by-hand"
    run_snapshots env >rotation
    grep -qE '^timer-20[0-9T-]*Z$' rotation
    grep -qE '^keep .* timer-.*\(hourly 1, daily 1, weekly 1\)$' rotation
    read -ra groups <<<"$(setting SystemCallFilter)"
    calls_of "${groups[@]}" | sort -u >allowed
    if [ "$(id -u)" = 0 ]; then
        chown -R 65534:65534 "$store"
        chmod 700 "$store"
        few=(setpriv --bounding-set "-all,$(bounds)" --inh-caps -all --no-new-privs)
    fi
    for _ in 1 2 3; do
        run_snapshots strace -f -qq -o "$WORK/trace" -A "${few[@]}"
    done >rotation
    sed -n 's/^[0-9]* *\([a-z0-9_]*\)(.*/\1/p' trace | sort -u >used
    grep -qx connect used
    same '' "$(comm -13 allowed used)"
    same "$(setting RestrictAddressFamilies)" \
        "$(sed -n 's/.* socket(\(AF_[A-Z0-9]*\),.*/\1/p' trace | sort -u)"
    # Of the four one is left for an hour, and the others' are left alone.
    [ "$(find "$mnt/.snapshots" -maxdepth 1 -name 'timer-*' | wc -l)" -le 2 ]
    [ -d "$mnt/.snapshots/by-hand" ]
    umount_store
}

# bounds: the capabilities of the unit, as setpriv wants them.
bounds() {
    setting CapabilityBoundingSet | sed 's/CAP_/+/g; s/ /,/g' | tr '[:upper:]' '[:lower:]'
}

chmod 755 "$WORK"
alone "systemd-analyze verify" verified
alone "nothing hides the mount" no_namespace_of_its_own
alone "READY, STATUS, STOPPING" tells_its_manager
alone "recovery" tells_while_it_recovers
alone "a failure is never READY" fails_without_ready
alone "no word from the background" is_silent_in_the_background
alone "a socket that is not there" works_without_a_listener
if [ "$(id -u)" = 0 ]; then
    alone "the unit's rights suffice" few_rights_suffice
    alone "the unit's system calls suffice" few_system_calls_suffice
fi
alone "snapshots by a timer" snapshots_rotate
finish
