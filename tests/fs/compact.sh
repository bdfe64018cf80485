#!/bin/bash
#
# compact.sh - lsmfs compact, of a store that is mounted and of one that is not: what it gives back,
# what it keeps, what it shows, and how it is ended; as root and as an ordinary user.

script=$(realpath "$0")
# shellcheck source=tests/fs/mounted.bash
. "${script%/*}/mounted.bash"
: "${TESTS:?the directory of prog_fill}"

user=65534

# number NAME: of the object that was printed.
number() {
    sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" said
}

# A store of which most is written over or deleted, and a snapshot that sees some of it.
make_waste() {
    rm -rf "$store"
    mount_store
    mkdir "$mnt/kept"
    cp -r "${script%/*}/../support" "$mnt/kept"
    mkdir "$mnt/waste"
    echo seen >"$mnt/waste/seen"
    mkdir "$mnt/.snapshots/before"
    for _ in {1..12}; do
        head -c 1500000 /dev/urandom | split -b 1500 -a 3 - "$mnt/waste/"
    done
    rm -r "$mnt/waste"
}

gives_space_back() {
    make_waste
    tree_of "$mnt" >wanted
    [ "$1" = mounted ] || umount_store
    "$lsmfs" compact --json "$store" >said 2>error
    [ ! -s error ]
    grep -qx "{\"store\":\"$store\",\"before\":[0-9]*,\"after\":[0-9]*}" said
    [ "$(number after)" -lt $(($(number before) / 4)) ]
    [ "$1" = mounted ] || mount_store
    diff wanted <(tree_of "$mnt")
    same seen "$(cat "$mnt/.snapshots/before/waste/seen")"
    # There is nothing more to give; by the mount point, too.
    [ "$1" = mounted ] || umount_store
    [ "$1" = mounted ] && place=$mnt || place=$store
    "$lsmfs" compact "$place" | grep -qE "^$store: [0-9]+ bytes before, [0-9]+ now$"
    [ "$1" != mounted ] || umount_store
    same "$store: clean" "$("$lsmfs" check --snapshots "$store")"
}

# A store of nobody's files is one, too.
takes_any_store() {
    rm -rf any
    "$TESTS/prog_fill" any key 5000
    "$lsmfs" compact any
    same 5000 "$("$lsmfs" ls any | wc -l)"
}

tells_what_is_wrong() {
    mkdir -p folder
    fails_with 2 'missing operand' "$lsmfs" compact
    fails_with 2 'too many operands' "$lsmfs" compact a b
    fails_with 2 'unknown option' "$lsmfs" compact --none a
    fails_with 4 'folder: not a store' "$lsmfs" compact folder
    fails_with 4 'nowhere: No such file' "$lsmfs" compact nowhere
    same "" "$(ls folder)"
    mount_store -o ro
    fails_with 3 'being read' "$lsmfs" compact "$mnt"
    umount_store
}

tells_who_may_not() {
    mkdir -m 700 closed
    "$lsmfs" create closed/store
    fails_with 5 'Permission denied' setpriv --reuid $user --regid $user --clear-groups \
        "$lsmfs" compact "$WORK/closed/store"
}

# ---- what takes long ----

# Some slices of keys.
make_large() {
    [ -e large ] || "$TESTS/prog_fill" large key 3500000
    rm -rf "$store"
    cp -r large "$store"
}

shows_a_bar() {
    local how
    make_large
    for how in not mounted; do
        [ $how = not ] || mount_store
        script -qec "'$lsmfs' compact '$store'" screen >/dev/null
        grep -q $'\e\[K[0-9]*00000 records' screen
        grep -q $'\e\[K\[#* *\] 100 %' screen
        [ $how = not ] || umount_store
    done
    not grep -q $'\e' <<<"$("$lsmfs" compact "$store" 2>&1)"
}

# until_caught PID: until that process catches SIGTERM and what else it catches, and so has begun, or is
# no more.
until_caught() {
    local caught
    while caught=$(sed -n 's/^SigCgt:\t//p' "/proc/$1/status" 2>/dev/null) && [ "$caught" ] &&
        ((!(0x$caught & 0x4000))); do
        sleep 0.01
    done
}

# interrupt SIGNAL NUMBER: a while after it has begun.
# Bug: killed before it caught anything, it left a log, whose recovery the next try told of; that was
# taken for an answer to its signal.
interrupt() {
    local try pid status
    for try in 1 2 3 4 5; do
        status=0
        # What is in the background ignores SIGINT unless it is told not to.
        env --default-signal="$1" "$lsmfs" compact "$store" >said 2>&1 &
        pid=$!
        until_caught $pid
        sleep "0.$((6 - try))"
        kill -s "$1" $pid || true
        wait $pid || status=$?
        cat said
        # It had been quicker.
        [ $status != 0 ] || continue
        same $((128 + $2)) $status
        grep -qx "lsmfs compact: $store: interrupted; what was merged stays so" said
        return
    done
    return 1
}

is_interrupted() {
    make_large
    interrupt INT 2
    # It was closed as it should be.
    same "$store: clean" "$("$lsmfs" check "$store")"
    mount_store
    interrupt TERM 15
    interrupt HUP 1
    # The daemon goes on, but not with that.
    "$lsmfs" compact "$mnt"
    umount_store
    same "$store: clean" "$("$lsmfs" check "$store")"
    same 3500000 "$("$lsmfs" ls "$store" | wc -l)"
}

# Bug: a signal that was ignored, as by nohup, was caught, and ended it.
leaves_ignored_signals() {
    local pid
    make_large
    (trap '' HUP && exec "$lsmfs" compact "$store") >said 2>&1 &
    pid=$!
    until_caught $pid
    kill -HUP $pid
    wait $pid
    grep -q 'bytes before' said
}

# It holds the unmounting up no longer than its slice takes.
is_ended_by_unmounting() {
    local status=0
    make_large
    mount_store
    rm -f screen
    script -qefc "'$lsmfs' compact '$mnt'" screen >/dev/null &
    # The daemon tells how far it is.
    timeout 60 bash -c 'until grep -q records screen 2>/dev/null; do sleep 0.01; done'
    timeout 60 "$lsmfs" umount "$mnt"
    wait $! || status=$?
    cat screen
    same 1 $status
    grep -q "$store: the daemon ended before it answered" screen
    sound
}

# ---- as an ordinary user ----

an_ordinary_user_can() {
    local theirs=$WORK/theirs
    rm -rf "$theirs"
    mkdir "$theirs"
    chown $user:$user "$theirs"
    setpriv --reuid $user --regid $user --clear-groups \
        env WORK="$theirs" BIN="$BIN" TESTS="$TESTS" "$script" >theirs.log 2>&1 || {
        cat theirs.log
        return 1
    }
    cat theirs.log
    not grep '^not ok' theirs.log
}

chmod 755 "$WORK"
alone "space comes back, mounted" gives_space_back mounted
alone "space comes back, not mounted" gives_space_back not
alone "a store that was never mounted" takes_any_store
alone "what is wrong is told" tells_what_is_wrong
if [ "$(id -u)" = 0 ]; then
    check "another's store" tells_who_may_not
    alone "on a terminal" shows_a_bar
    alone "interrupted" is_interrupted
    alone "ignored signals" leaves_ignored_signals
    alone "unmounted meanwhile" is_ended_by_unmounting
    fuse_for $user
    alone "as an ordinary user" an_ordinary_user_can
fi
finish
