#!/bin/bash
#
# snapshot_cli.sh - `lsmfs snapshot`, of a store that is mounted and of one that is not: what it does
# and prints, exit statuses; as root and as an ordinary user.

script=$(realpath "$0")
# shellcheck source=tests/fs/mounted.bash
. "${script%/*}/mounted.bash"

user=65534
at=$WORK/at
mkdir -p "$at"

snapshot() {
    "$lsmfs" snapshot "$@"
}

# names [PLACE]: of the snapshots, in the order of the list.
names() {
    snapshot list "${1:-$store}" | awk '{ print $NF }' | tr '\n' ' '
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
    grep -q '^ok - prune' theirs.log
    ! grep '^not ok' theirs.log
}

chmod 755 "$WORK"
alone "create, list" unmounted_and_mounted makes_and_lists
alone "several in a second" unmounted_and_mounted makes_many_in_a_second
alone "rename, delete" unmounted_and_mounted renames_and_deletes
alone "prune" unmounted_and_mounted prunes
alone "the mount and the commands agree" agrees_with_the_mount
alone "what is wrong is told" tells_what_is_wrong
if [ "$(id -u)" = 0 ]; then
    fuse_for $user
    alone "as an ordinary user" an_ordinary_user_can
fi
finish
