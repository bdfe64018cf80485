#!/bin/bash
#
# snapshot_cli.sh - `lsmfs snapshot` and `lsmfs backup`, of a store that is mounted and of one that
# is not: what they do and print, exit statuses, signals, what a backup that was killed leaves; as
# root and as an ordinary user.

script=$(realpath "$0")
# shellcheck source=tests/fs/mounted.bash
. "${script%/*}/mounted.bash"

user=65534
at=$WORK/at
# What an ordinary user has for /run.
export XDG_RUNTIME_DIR=$WORK/run
mkdir -p "$at" "$XDG_RUNTIME_DIR"

snapshot() {
    "$lsmfs" snapshot "$@"
}

backup() {
    "$lsmfs" backup "$@"
}

# names [PLACE]: of the snapshots, in the order of the list.
names() {
    snapshot list "${1:-$store}" | awk '{ print $NF }' | tr '\n' ' '
}

# Where the snapshot of a store that is not mounted is shown.
own_place() {
    if [ "$(id -u)" = 0 ]; then
        echo "/run/lsmfs/$(systemd-escape --path "$store")"
    else
        echo "$XDG_RUNTIME_DIR/lsmfs/$(systemd-escape --path "$store")"
    fi
}

fresh_store() {
    rm -rf "$store"
    mount_store
    mkdir -p "$mnt/dir"
    echo first >"$mnt/dir/file"
    ln "$mnt/dir/file" "$mnt/hard"
}

# ---- lsmfs snapshot ----

# unmounted_and_mounted COMMAND: the store has a file; the command is run on it in both states, with
# the place that it is to name.
unmounted_and_mounted() {
    fresh_store
    umount_store
    "$1" "$store"
    fresh_store
    "$1" "$mnt"
    umount_store
    sound
}

makes_and_lists() {
    local place=$1 made before after
    same "" "$(snapshot list "$place")"
    same monday "$(snapshot create "$place" monday)"
    before=$(date -u +%Y-%m-%dT%H%M%SZ)
    made=$(snapshot create "$place")
    after=$(date -u +%Y-%m-%dT%H%M%SZ)
    [[ ! $made < $before && ! $made > $after ]]
    [[ $(snapshot create --prefix=nightly- "$place") == nightly-20*Z ]]
    same "monday $made $(names "$place" | awk '{ print $3 }') " "$(names "$place")"
    snapshot list "$place" | grep -qE '^20..-..-..T..:..:..Z +[0-9]+ (s|min)  monday$'
    snapshot list --json "$place" | python3 -c '
import json, sys, time
rows = [json.loads(line) for line in sys.stdin]
assert [row["name"] for row in rows][0] == "monday", rows
assert [row["id"] for row in rows] == [1, 2, 3], rows
assert all(0 <= time.time() - row["seconds"] < 600 for row in rows), rows
assert all(0 <= row["age"] < 600 for row in rows), rows
assert all(row["created"] == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(row["seconds"])) for row in rows)'
    fails_with 1 'monday: there is a snapshot of this name' \
        "$lsmfs" snapshot create "$place" monday
    # The next backup deleted it.
    fails_with 1 'for lsmfs backup' "$lsmfs" snapshot create "$place" .backup
    fails_with 1 'for lsmfs backup' "$lsmfs" snapshot rename "$place" monday .backup
    fails_with 1 'not a name' "$lsmfs" snapshot create "$place" a/b
    fails_with 1 'not a name' "$lsmfs" snapshot create "$place" ..
    fails_with 1 'too long' "$lsmfs" snapshot create "$place" "$(printf 'x%.0s' {1..256})"
}

# Two in a second have names, too.
makes_many_in_a_second() {
    local i
    for i in 1 2 3 4 5; do
        snapshot create "$1"
    done >made
    same 5 "$(sort -u made | wc -l)"
    same "$(tr '\n' ' ' <made)" "$(names "$1")"
}

renames_and_deletes() {
    local place=$1 odd=$' odd\tname\n%41\xff '
    snapshot create "$place" one
    snapshot create "$place" two
    snapshot rename "$place" one three
    same 'three two ' "$(names "$place")"
    fails_with 1 'two: there is' "$lsmfs" snapshot rename "$place" three two
    fails_with 4 'one: no such snapshot' "$lsmfs" snapshot rename "$place" one four
    snapshot rename "$place" two "$odd"
    snapshot list --json "$place" | grep -qF '" odd\tname\n%41? "'
    # One that is not there is told, and the others go.
    fails_with 4 'none: no such snapshot' "$lsmfs" snapshot delete "$place" three none "$odd"
    same '' "$(names "$place")"
}

prunes() {
    local place=$1 i
    for i in a1 a2 b1 a3 b2 a4; do
        snapshot create "$place" $i
    done >/dev/null
    fails_with 2 'a rule is needed' "$lsmfs" snapshot prune "$place"
    fails_with 2 'a rule is needed' "$lsmfs" snapshot prune --keep-daily=0 "$place"
    fails_with 2 'not a number: -1' "$lsmfs" snapshot prune --keep-daily=-1 "$place"
    snapshot prune --dry-run --keep-last=2 --keep-yearly=1 "$place" >dry
    same 'a1 a2 b1 a3 b2 a4 ' "$(names "$place")"
    same 4 "$(grep -cE '^would delete  20[^ ]*Z  (a1|a2|b1|a3)$' dry)"
    grep -qE '^keep  20[^ ]*Z  b2  \(last 2\)$' dry
    grep -qE '^keep  20[^ ]*Z  a4  \(last 1, yearly 1\)$' dry
    snapshot prune --keep-last=3 --prefix=a "$place" >pruned
    same 1 "$(grep -cE '^delete  20[^ ]*Z  a1$' pruned)"
    same 4 "$(wc -l <pruned)"
    same 'a2 b1 a3 b2 a4 ' "$(names "$place")"
    snapshot prune --keep-last=1 --json "$place" | python3 -c '
import json, sys
rows = [json.loads(line) for line in sys.stdin]
assert [row["name"] for row in rows] == ["a2", "b1", "a3", "b2", "a4"], rows
assert [row["deleted"] for row in rows] == [True] * 4 + [False], rows
assert [row["kept"] for row in rows] == [False] * 4 + [True], rows
assert rows[4]["reasons"] == ["last 1"], rows'
    same 'a4 ' "$(names "$place")"
}

# A clock that was ahead had prune delete the snapshot just taken, as an older one had a later time.
prunes_by_order() {
    fresh_store
    umount_store
    cat >ahead.c <<'END'
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *time)
{
    long result = syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && clock == CLOCK_REALTIME)
        time->tv_sec += 86400 * 40;
    return (int)result;
}
END
    cc -shared -fPIC -o ahead.so ahead.c
    ASAN_OPTIONS=verify_asan_link_order=0 LD_PRELOAD=$WORK/ahead.so \
        "$lsmfs" snapshot create "$store" ahead
    snapshot create "$store" now
    same 'ahead now ' "$(names)"
    [[ $(snapshot list "$store" | head -n 1) > $(snapshot list "$store" | tail -n 1) ]]
    snapshot prune --keep-last=1 "$store"
    same 'now ' "$(names)"
}

# What the kernel knows of .snapshots goes with what the commands do to it, and the other way round.
agrees_with_the_mount() {
    local snaps=$mnt/.snapshots
    fresh_store
    snapshot create "$mnt" one
    same first "$(cat "$snaps/one/dir/file")"
    echo second >"$mnt/dir/file"
    exec 5<"$snaps/one/dir/file"
    snapshot rename "$store" one two
    [ ! -e "$snaps/one" ]
    same first "$(cat "$snaps/two/dir/file")"
    snapshot delete "$store" two
    [ ! -e "$snaps/two" ]
    same first "$(cat <&5)"
    exec 5<&-
    same '' "$(ls -A "$snaps")"
    snapshot create "$store" two
    same second "$(cat "$snaps/two/dir/file")"
    mkdir "$snaps/three"
    same 'two three ' "$(names)"
    rmdir "$snaps/two"
    same 'three ' "$(names)"
    fails_with 4 'two: no such' "$lsmfs" snapshot delete "$mnt" two
    umount_store
}

tells_what_is_wrong() {
    local command
    fails_with 2 'Usage: lsmfs snapshot' "$lsmfs" snapshot
    fails_with 2 "unknown command 'more'" "$lsmfs" snapshot more "$store"
    "$lsmfs" snapshot --help | grep -q '^Usage: lsmfs snapshot create'
    for command in create list delete rename prune; do
        snapshot $command --help >text
        grep -q "^Usage: lsmfs snapshot $command" text
        grep -q '^Example' text
        grep -q '^Exit status: 0, or 1' text
        fails_with 2 'missing operand' "$lsmfs" snapshot $command
        fails_with 2 'unknown option' "$lsmfs" snapshot $command --none "$store"
    done
    fails_with 2 'not an option of this command' "$lsmfs" snapshot create --json "$store"
    fails_with 2 'too many operands' "$lsmfs" snapshot list "$store" "$store"
    fails_with 2 'no value' "$lsmfs" snapshot create "$store" --prefix
    fails_with 4 'No such file' "$lsmfs" snapshot list "$WORK/none"
    [ ! -e "$WORK/none" ]
    fails_with 4 'not a store' "$lsmfs" snapshot create "$WORK/at"
    fresh_store
    umount_store
    # A read-only mount has no socket, and lets the store be read.
    mount_store -o ro
    fails_with 3 'being read by another' "$lsmfs" snapshot create "$store"
    same '' "$(snapshot list "$store")"
    umount_store
    fails_with 1 'standard output' sh -c "'$lsmfs' snapshot create '$store' >/dev/full"
}

# ---- lsmfs backup ----

# seen: what a program that makes backups sees, without what a mount has by itself.
seen='find . -mindepth 1 -printf "%p %i %n %s %T@ %C@\n" | sort'

runs_in_a_snapshot() {
    fresh_store
    cat >script.sh <<'END'
pwd
echo "$LSMFS_SNAPSHOT $LSMFS_SNAPSHOT_DIR"
echo changed >"$1/dir/file"
cat dir/file
touch dir/new || echo "status $?"
cat
END
    same "$mnt/.snapshots/.backup
.backup $mnt/.snapshots/.backup
first
status 1
input" "$(echo input | backup "$mnt" -- sh "$WORK/script.sh" "$mnt" 2>&1 | grep -v '^touch')"
    same changed "$(cat "$mnt/dir/file")"
    same '' "$(names)"
    # With a '/' it is looked for from here.
    printf '#!/bin/sh\npwd\n' >script
    chmod 755 script
    same "$mnt/.snapshots/.backup" "$(backup "$store" ./script)"
    umount_store
}

# The second run finds nothing changed, nor one after remounts, nor where it is not mounted.
shows_the_same_every_time() {
    fresh_store
    backup "$mnt" -- sh -c "$seen; stat -c %i:%Z ." >first
    [ "$(wc -l <first)" = 4 ]
    snapshot create "$mnt" between
    backup "$store" -- sh -c "$seen; stat -c %i:%Z ." >second
    diff first second
    remount
    backup "$store" -- sh -c "$seen; stat -c %i:%Z ." >third
    diff first third
    umount_store
    backup "$store" -- sh -c "$seen; stat -c %i:%Z ." >fourth
    diff first fourth
    same "$(backup "$store" pwd)" "$(backup "$store" pwd)"
    # None of it a live one's.
    mount_store
    same '' "$(comm -12 <(awk '{ print $2 }' first | sort) <(find "$mnt" -printf '%i\n' | sort))"
    umount_store
}

works_without_a_mount() {
    fresh_store
    umount_store
    same "$(own_place)" "$(backup "$store" pwd)"
    [ ! -e "$(own_place)" ]
    same "$at" "$(backup "$store" --at "$at" -- pwd)"
    same "$at" "$(backup --at=at "$store" pwd)"
    fails_with 125 'nowhere: No such file' "$lsmfs" backup --at "$WORK/nowhere" "$store" true
    fails_with 1 'Read-only' "$lsmfs" backup "$store" touch dir/file
    # Who goes on in the snapshot is left behind, and in nobody's way.
    backup "$store" -- sh -c 'sleep 60 & echo $! >"$1"' sh "$WORK/pid"
    backup "$store" true
    kill "$(cat pid)"
    not grep -q " $WORK/" /proc/mounts
    same '' "$(names)"
    sound
}

passes_statuses() {
    local status
    fresh_store
    for status in 0 1 3 99; do
        fails_with $status '' "$lsmfs" backup "$store" -- sh -c "exit $status"
    done
    fails_with 143 '' "$lsmfs" backup "$store" -- sh -c 'kill -TERM $$'
    # A PATH may have directories that are closed to an ordinary user.
    PATH=/usr/bin:/bin fails_with 127 'nonsense: No such file' "$lsmfs" backup "$store" nonsense
    # Not what the snapshot has at this path.
    cp /bin/true "$mnt/dir/true"
    fails_with 127 './dir/true: No such file' "$lsmfs" backup "$store" ./dir/true
    # Nor by a PATH with parts that are not absolute: it ran what a user had put into the store.
    cp /bin/true "$mnt/nonsense"
    PATH=:.:/usr/bin:/bin fails_with 127 'nonsense: No such file' "$lsmfs" backup "$store" nonsense
    rm "$mnt/nonsense"
    printf '#!/bin/sh\nexit 9\n' >here
    chmod 755 here
    PATH=/usr/bin:/bin: fails_with 9 '' "$lsmfs" backup "$store" here
    fails_with 126 'dir/file: Permission' "$lsmfs" backup "$store" "$mnt/dir/file"
    umount_store
    fails_with 5 '' "$lsmfs" backup "$store" -- sh -c 'exit 5'
    same '' "$(names)"
    fails_with 125 'missing operand' "$lsmfs" backup
    fails_with 125 'missing command' "$lsmfs" backup "$store"
    fails_with 125 'missing command' "$lsmfs" backup "$store" --
    fails_with 125 'unknown option --none' "$lsmfs" backup "$store" --none
    fails_with 125 'No such file' "$lsmfs" backup "$WORK/none" true
    fails_with 125 'not a store' "$lsmfs" backup "$at" true
    backup --help | grep -q '^Usage: lsmfs backup'
    mount_store -o ro
    fails_with 125 'being read by another' "$lsmfs" backup "$store" true
    umount_store
}

# await_file FILE
await_file() {
    for _ in {1..500}; do
        [ ! -s "$1" ] || return 0
        sleep 0.02
    done
    echo "no $1"
    return 1
}

# begin_backup PLACE: one that goes on until it is told to end; its process is $backup.
begin_backup() {
    rm -f begun caught
    # The shell of a script has its background processes ignore SIGINT.
    python3 - "$lsmfs" backup "$@" <<'END' &
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
command = """
import os, signal, time
def end(number, frame):
    print(number, file=open("%(work)s/caught", "w"))
    raise SystemExit(40 + number)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, end)
print(os.getcwd(), file=open("%(work)s/begun", "w"), flush=True)
time.sleep(60)
""" % {"work": os.getcwd()}
os.execv(sys.argv[1], sys.argv[1:] + ["--", "python3", "-c", command])
END
    backup=$!
    await_file begun
}

passes_signals_on() {
    local name number status
    fresh_store
    for name in mounted unmounted; do
        for number in 2 15 1; do
            begin_backup "$store"
            kill -$number $backup
            status=0
            wait $backup || status=$?
            same $((40 + number)) $status
            same $number "$(cat caught)"
            same '' "$(names)"
        done
        [ $name = unmounted ] || umount_store
    done
    not grep -q " $WORK/" /proc/mounts
}

# Ctrl-C while the store's daemon, stopped, had not made the snapshot yet was taken for one that the
# command had got, too, and so was lost.
ends_before_the_command() {
    fresh_store
    python3 - "$(daemon_pid)" "$lsmfs" backup "$store" touch "$WORK/ran" <<'END'
import os, pty, signal, sys, time
daemon = int(sys.argv[1])
os.kill(daemon, signal.SIGSTOP)
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
time.sleep(0.5)
os.write(terminal, b"\x03")
time.sleep(0.1)
os.kill(daemon, signal.SIGCONT)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
assert status == 128 + signal.SIGINT, status
END
    [ ! -e ran ]
    same '' "$(names)"
    umount_store
}

# That its terminal is gone the leader of a session is told alone; the command was not.
passes_on_the_end_of_its_terminal() {
    fresh_store
    rm -f caught
    python3 - "$lsmfs" backup "$store" -- sh -c \
        'trap "echo 1 >caught; exit" HUP; echo >&3 begun; sleep 20 & wait' 3>begun <<'END'
import os, pty, sys, time
pid, terminal = pty.fork()
if pid == 0:
    os.set_inheritable(3, True)
    os.execv(sys.argv[1], [word.replace("caught", os.getcwd() + "/caught") for word in sys.argv[1:]])
while os.path.getsize("begun") == 0:
    time.sleep(0.02)
os.close(terminal)
began = time.time()
os.waitpid(pid, 0)
assert time.time() - began < 15
END
    same 1 "$(cat caught)"
    same '' "$(names)"
    umount_store
}

# These ended the backup, and left the snapshot.
cleans_up_after_any_signal() {
    local number status
    fresh_store
    for number in 14 24 27 34; do
        begin_backup "$store"
        kill -$number $backup
        status=0
        wait $backup || status=$?
        same $((128 + number)) $status
        same '' "$(names)"
    done
    # Nobody reads what it says.
    status=0
    backup "$store" sh -c 'sleep 0.2; rm -r dir' 2> >(true) || status=$?
    same '' "$(names)"
    # The command has SIGPIPE as it was.
    same 141 "$(backup "$store" sh -c 'kill -PIPE $$' || echo $?)"
    umount_store
}

one_at_a_time() {
    fresh_store
    begin_backup "$store"
    fails_with 125 'a backup is under way' "$lsmfs" backup "$store" true
    # And nobody prunes it.
    same '' "$(snapshot prune --keep-last=1 "$store")"
    snapshot create "$store" other
    same 'keep' "$(snapshot prune --keep-last=1 "$store" | cut -d' ' -f1)"
    kill $backup
    wait $backup || true
    umount_store
    begin_backup "$store"
    fails_with 125 'a backup is under way' "$lsmfs" backup "$store" true
    fails_with 3 'being read by another' mount_store
    kill $backup
    wait $backup || true
    same 'other ' "$(names)"
}

# What is left of one that was killed is in nobody's way.
recovers_from_one_that_was_killed() {
    local place command
    fresh_store
    for place in "$@"; do
        # shellcheck disable=SC2086
        begin_backup "$store" $place
        command=$(pgrep -P $backup python3)
        kill -KILL $backup
        wait $backup || true
        # The next one put another snapshot under the command, which went on.
        fails_with 125 'a backup is under way' "$lsmfs" backup "$store" true
        kill -KILL "$command"
        await_end "$command"
        grep -q '\.backup' <<<"$(names)"
        echo changed >"$mnt/dir/file"
        # shellcheck disable=SC2086
        same changed "$(backup "$store" $place cat dir/file)"
        same '' "$(names)"
    done
    umount_store
    begin_backup "$store"
    command=$(pgrep -P $backup python3)
    kill -KILL $backup
    kill -KILL "$command"
    wait $backup || true
    await_end "$command"
    # Its mount goes by itself, and then its daemon, which holds the lock, too.
    flock --wait 10 "$store" true
    not grep -q "^$store " /proc/mounts
    same changed "$(backup "$store" cat dir/file)"
    same '' "$(names)"
    sound
}

# What it had bound kept the daemon alive, and was in the way of whatever came next.
takes_away_what_was_bound() {
    local command
    fresh_store
    begin_backup "$store" --at "$at"
    command=$(pgrep -P $backup python3)
    kill -KILL $backup "$command"
    wait $backup || true
    await_end "$command"
    grep -q " $at fuse.lsmfs " /proc/mounts
    # Another --at, or none, finds it, too.
    same first "$(backup "$store" cat dir/file)"
    not grep -q " $at " /proc/mounts
    same '' "$(names)"
    begin_backup "$store" --at "$at"
    command=$(pgrep -P $backup python3)
    kill -KILL $backup "$command"
    wait $backup || true
    await_end "$command"
    fails_with 1 "still mounted at $at" "$lsmfs" umount "$mnt"
    same first "$(backup "$store" --at "$at" cat dir/file)"
    not grep -q "^$store " /proc/mounts
    same '' "$(names)"
    sound
}

# By its name, which another may have by then, it would have deleted that one.
leaves_another_snapshot() {
    fresh_store
    # shellcheck disable=SC2016
    backup "$mnt" sh -c 'rmdir "$1" && mkdir "$1"' - "$mnt/.snapshots/.backup"
    same '.backup ' "$(names)"
    snapshot delete "$mnt" .backup
    backup "$mnt" rmdir "$mnt/.snapshots/.backup"
    same '' "$(names)"
    umount_store
}

# The path of the mount point was taken for the mount, and links below it were followed: a user who
# owned a directory on the way had root's backup list what root alone may see.
is_not_led_elsewhere() {
    local above=$WORK/above secret=$WORK/secret mnt=$WORK/above/mnt
    mkdir -p "$mnt" "$secret/.snapshots/.backup"
    touch "$secret/.snapshots/.backup/hidden"
    fresh_store
    mv "$above" "$above.real"
    mkdir -p "$mnt/.snapshots"
    ln -s "$secret" "$mnt/.snapshots/.backup"
    fails_with 125 'Not a directory' "$lsmfs" backup "$store" ls
    fails_with 125 'Not a directory' "$lsmfs" backup "$store" --at "$at" ls
    rm -r "$mnt"
    ln -s "$secret" "$mnt"
    fails_with 125 'Not a directory' "$lsmfs" backup "$store" ls
    rm "$mnt"
    mkdir -p "$mnt/.snapshots/.backup"
    fails_with 125 "not on a mount of $store" "$lsmfs" backup "$store" ls
    rm -r "$above"
    mv "$above.real" "$above"
    mount --bind "$secret" "$mnt"
    fails_with 125 "not on a mount of $store" "$lsmfs" backup "$store" --at "$at" ls
    umount "$mnt"
    not grep -q " $at " /proc/mounts
    same '' "$(names)"
    same first "$(backup "$store" cat dir/file)"
    umount_store
}

shows_it_elsewhere_to_root() {
    fresh_store
    same "$at first" "$(backup "$mnt" --at "$at" -- sh -c 'echo "$PWD $(cat dir/file)"')"
    fails_with 1 'Read-only' "$lsmfs" backup "$mnt" --at "$at" -- touch dir/file
    not grep -q " $at " /proc/mounts
    mount -t tmpfs none "$at"
    fails_with 125 'something is mounted there' "$lsmfs" backup "$mnt" --at "$at" true
    umount "$at"
    fails_with 125 'nowhere: No such file' "$lsmfs" backup "$mnt" --at "$WORK/nowhere" true
    same '' "$(names)"
    umount_store
}

tells_an_ordinary_user() {
    fresh_store
    fails_with 125 "only root can.*works in $mnt/.snapshots/.backup" \
        "$lsmfs" backup "$mnt" --at "$at" true
    same '' "$(names)"
    umount_store
}

# Another's mount is closed to root.
tells_who_may_not_look() {
    mkdir -p theirs/mnt
    chown $user theirs theirs/mnt
    as_user "$lsmfs" "$WORK/theirs/store" "$WORK/theirs/mnt"
    fails_with 125 'allow_root' "$lsmfs" backup "$WORK/theirs/mnt" true
    same '' "$(names "$WORK/theirs/mnt")"
    as_user "$lsmfs" umount "$WORK/theirs/mnt"
}

# ---- as an ordinary user ----

as_user() {
    setpriv --reuid $user --regid $user --clear-groups "$@"
}

# The same script, in a directory of his.
an_ordinary_user_can() {
    local theirs=$WORK/theirs
    rm -rf "$theirs"
    mkdir "$theirs"
    chown $user:$user "$theirs"
    as_user env WORK="$theirs" BIN="$BIN" "$script" >theirs.log 2>&1 || {
        cat theirs.log
        return 1
    }
    cat theirs.log
    grep -q '^ok - a backup runs in a snapshot' theirs.log
    ! grep '^not ok' theirs.log
}

chmod 755 "$WORK"
alone "create, list" unmounted_and_mounted makes_and_lists
alone "several in a second" unmounted_and_mounted makes_many_in_a_second
alone "rename, delete" unmounted_and_mounted renames_and_deletes
alone "prune" unmounted_and_mounted prunes
alone "prune, after a clock that was ahead" prunes_by_order
alone "the mount and the commands agree" agrees_with_the_mount
alone "what is wrong is told" tells_what_is_wrong
alone "a backup runs in a snapshot" runs_in_a_snapshot
alone "a backup sees the same every time" shows_the_same_every_time
alone "a backup of a store that is not mounted" works_without_a_mount
alone "a backup passes its command's status" passes_statuses
alone "a backup passes signals on, and cleans up" passes_signals_on
alone "a backup is ended before its command" ends_before_the_command
alone "a backup passes on that its terminal is gone" passes_on_the_end_of_its_terminal
alone "a backup cleans up after any signal" cleans_up_after_any_signal
alone "one backup at a time" one_at_a_time
alone "a backup deletes its own snapshot alone" leaves_another_snapshot
if [ "$(id -u)" = 0 ]; then
    alone "a backup that was killed" recovers_from_one_that_was_killed "" "--at $at"
    alone "a backup that was killed, bound elsewhere" takes_away_what_was_bound
    alone "a backup is not led elsewhere" is_not_led_elsewhere
    alone "--at for root" shows_it_elsewhere_to_root
    fuse_for $user
    alone "another's mount" tells_who_may_not_look
    alone "as an ordinary user" an_ordinary_user_can
else
    alone "a backup that was killed" recovers_from_one_that_was_killed ""
    alone "--at for others" tells_an_ordinary_user
fi
finish
