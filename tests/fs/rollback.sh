#!/bin/bash
#
# rollback.sh - `lsmfs snapshot rollback`, mounted or not: the store is what the snapshot is, and one can
# go on in it; a mount shows nothing else from then on, whatever the kernel kept and programs look up
# meanwhile; killed at any moment it is that or what it was; what it prints, messages; as root and as an
# ordinary user.  SEED=N runs the same steps again.

script=$(realpath "$0")
# shellcheck source=tests/fs/mounted.bash
. "${script%/*}/mounted.bash"
# shellcheck source=tests/fs/steps.bash
. "${script%/*}/steps.bash"

seed=${SEED:-$RANDOM}
user=65534
echo "# SEED=$seed"

rollback() {
    "$lsmfs" snapshot rollback "$@"
}

# Snapshots a to d with steps between them, and what each looks like.
make_store() {
    local first=0 name
    rm -rf "$store"
    mount_store
    for name in a b c d; do
        "$TESTS/prog_steps" "$seed" $first $((first + 300)) "$mnt"
        first=$((first + 300))
        mkdir "$mnt/.snapshots/$name"
        [ $name != b ] || remount
        tree_of "$mnt/.snapshots/$name" >"tree.$name"
    done
    umount_store
}

# is NAME: the store, not mounted, holds what the snapshot does.
is() {
    "$lsmfs" snapshot diff "$store" "$1" >differs
    same '' "$(cat differs)"
    sound
}

# back_to NAME: the tree is what the snapshot is, and one can go on in it.
back_to() {
    rollback "$store" "$1" >said
    grep -qxE "$store: [0-9]+ keys as they were in $1" said
    is "$1"
    mount_store
    tree_of "$mnt" >tree
    diff "tree.$1" tree
    same_states "$mnt/.snapshots/$1" "$mnt"
    "$lsmfs" snapshot list "$mnt" | awk '{ print $NF }' >names
    same 'a b c d ' "$(tr '\n' ' ' <names)"
    "$TESTS/prog_steps" "$seed" 5000 5200 "$mnt"
    remount
    "$TESTS/prog_steps" "$seed" 5200 5300 "$mnt"
    umount_store
    sound
}

leads_back_to_any() {
    local name
    make_store
    for name in b a d c; do
        back_to $name
    done
    # Snapshots have not changed.
    mount_store
    for name in a b c d; do
        tree_of "$mnt/.snapshots/$name" >tree
        diff "tree.$name" tree
    done
    umount_store
}

# shows NAME: the mount shows the snapshot's tree, to rsync, too.
shows() {
    tree_of "$mnt" >tree
    diff "tree.$1" tree
    same_states "$mnt/.snapshots/$1" "$mnt"
    rsync -aHAXn --checksum --delete -i "$mnt/.snapshots/$1/" "$mnt/" >differs
    same '' "$(cat differs)"
}

# The kernel keeps all that it can: entries, attributes, listings, pages, targets, attributes' names,
# and of every name that there ever was, whether it is there.
warm() {
    find "$mnt" -printf '%p %s %l\n' >/dev/null
    find "$mnt" -type f -exec cat {} + >/dev/null
    getfattr -R -P -d -m - "$mnt" >/dev/null 2>&1 || true # of links to nowhere
    (cd "$mnt" && xargs -d '\n' stat) <names >/dev/null 2>&1 || true
}

leads_back_under_a_mount() {
    local name
    make_store
    cut -d' ' -f1 tree.? | sort -u >names
    mount_store
    for name in b a d a c; do
        warm
        rollback "$mnt" $name >said
        grep -qxE "$store: [0-9]+ keys as they were in $name" said
        shows $name
        warm
        "$TESTS/prog_steps" "$seed" 6000 6200 "$mnt"
    done
    rollback "$mnt" a >said
    umount_store
    is a
}

# What was there and is not, what was not and is, what is another, in each way to notice it.
shows_nothing_stale() {
    rm -rf "$store"
    mount_store
    mkdir -p "$mnt/dir/below" "$mnt/gone"
    echo old >"$mnt/changed"
    echo old >"$mnt/replaced"
    echo old >"$mnt/dir/below/file"
    echo old >"$mnt/gone/file"
    ln "$mnt/changed" "$mnt/dir/link"
    ln -s old "$mnt/symlink"
    head -c 500000 /dev/zero >"$mnt/large"
    setfattr -n user.was -v old "$mnt/changed"
    chmod 600 "$mnt/replaced"
    "$lsmfs" snapshot create "$mnt" s
    echo now, and longer >"$mnt/changed"
    echo now >"$mnt/new"
    (cd "$mnt" && rm -r replaced gone symlink && echo now >replaced && ln -s now symlink)
    mv "$mnt/dir" "$mnt/renamed"
    ln "$mnt/new" "$mnt/new-link"
    rm "$mnt/renamed/link"
    setfattr -n user.was -v now "$mnt/changed"
    setfattr -n user.now -v now "$mnt/changed"
    printf now | dd of="$mnt/large" bs=1 seek=300000 conv=notrunc status=none
    tree_of "$mnt/.snapshots/s" >tree.s
    printf '%s\n' gone gone/file dir dir/below/file dir/link absent >names
    warm
    not stat "$mnt/gone/file"
    not stat "$mnt/dir/below"
    rollback "$mnt" s
    shows s
    same old "$(cat "$mnt/changed")"
    same old "$(readlink "$mnt/symlink")"
    same 'user.was="old"' "$(getfattr --absolute-names -d "$mnt/changed" | grep user)"
    not stat "$mnt/new"
    not stat "$mnt/absent"
    same 2 "$(stat -c %h "$mnt/changed")"
    # Names go on as they should.
    echo later >"$mnt/new"
    echo later >"$mnt/dir/link"
    same later "$(cat "$mnt/changed")"
    same later "$(cat "$mnt/new")"
    remount
    same later "$(cat "$mnt/changed")"
    umount_store
    sound
}

# Who stands in a directory that stays goes on; who stands in one that goes is nowhere.
is_told_of_open_files() {
    rm -rf "$store"
    mount_store
    mkdir "$mnt/stays"
    echo old >"$mnt/stays/file"
    "$lsmfs" snapshot create "$mnt" s
    mkdir "$mnt/goes"
    echo now >"$mnt/goes/file"
    exec 7<"$mnt/stays/file"
    fails_with 3 '1 file is open; see --force' "$lsmfs" snapshot rollback "$mnt" s
    exec 8<>"$mnt/goes/file"
    fails_with 3 '2 files are open; see --force' "$lsmfs" snapshot rollback "$mnt" s
    [ -e "$mnt/goes/file" ]
    # Shells that wait in both.
    rm -f go
    mkfifo go
    (
        cd "$mnt/stays"
        read -r _ <"$WORK/go"
        cat file
    ) >stays.log 2>&1 &
    (
        cd "$mnt/goes"
        read -r _ <"$WORK/go"
        cat file
    ) >goes.log 2>&1 &
    exec 9<>go
    sleep 0.5
    rollback --force --json "$mnt" s >said
    grep -q '"keys":' said
    fails_with 1 'Stale file handle' cat <&7
    not eval 'echo late >&8'
    exec 7<&- 8>&-
    printf 'go\ngo\n' >&9
    wait
    exec 9<&-
    same old "$(cat stays.log)"
    grep -qE 'Stale|No such file' goes.log
    not stat "$mnt/goes"
    same old "$(cat "$mnt/stays/file")"
    # What is stored through a mapping, whose file is closed, stays out of what comes back.
    head -c 100000 /dev/zero >"$mnt/mapped"
    "$lsmfs" snapshot create "$mnt" t
    rm -f stored looked
    python3 - "$mnt/mapped" <<'EOF' &
import mmap, os, sys, time
with open(sys.argv[1], "r+b") as file:
    mapped = mmap.mmap(file.fileno(), 0)
mapped[0:5] = mapped[50000:50005] = b"dirty"
open("stored", "w").close()
while not os.path.exists("looked"):
    time.sleep(0.05)
EOF
    until [ -e stored ]; do sleep 0.05; done
    fails_with 3 'file is open' "$lsmfs" snapshot rollback "$mnt" t
    rollback --force "$mnt" t
    cmp "$mnt/mapped" "$mnt/.snapshots/t/mapped"
    : >looked
    wait
    cmp "$mnt/mapped" "$mnt/.snapshots/t/mapped"
    remount
    cmp "$mnt/mapped" "$mnt/.snapshots/t/mapped"
    umount_store
    sound
}

# Programs that look, list, read and write all the time, in either tree.
looks() {
    while [ -e go-on ]; do
        find "$mnt" -printf '%s' || true
        cat "$mnt"/f* "$mnt"/d/* || true
        stat "$mnt"/{a,b,d/a,d/b,e/a}{0..20} || true
    done >/dev/null 2>&1
}

changes() {
    while [ -e go-on ]; do
        echo now >"$mnt/f1" || true
        rm -f "$mnt/a3" "$mnt/d/b4" || true
        echo now >"$mnt/b5" || true
        mv "$mnt/d" "$mnt/e" || mv "$mnt/e" "$mnt/d" || true
        sleep 0.05
    done >/dev/null 2>&1
}

races_leave_nothing_stale() {
    local name i
    rm -rf "$store"
    mount_store
    for name in a b; do
        rm -rf "${mnt:?}"/*
        mkdir "$mnt/d"
        for i in {0..20}; do
            echo $name >"$mnt/$name$i"
            echo $name >"$mnt/d/$name$i"
            echo "$name of $i" >"$mnt/f$i"
        done
        mkdir "$mnt/.snapshots/$name"
        tree_of "$mnt/.snapshots/$name" >tree.$name
    done
    for i in {1..8}; do
        for name in a b; do
            : >go-on
            looks &
            looks &
            changes &
            sleep 0.3
            # What only looks goes on when the tree has gone back.
            rollback --force "$mnt" $name
            rm go-on
            wait
            rollback "$mnt" $name
            : >go-on
            looks &
            sleep 0.1
            rollback --force "$mnt" $name
            shows $name
            rm go-on
            wait
        done
    done
    umount_store
    sound
}

tells_what_it_did() {
    rm -rf "$store"
    mount_store
    umount_store
    "$lsmfs" snapshot create "$store" s
    rollback --json "$store" s >said
    same "{\"store\":\"$store\",\"snapshot\":\"s\",\"keys\":0}" "$(cat said)"
    echo 1 | "$lsmfs" put "$store" f
    rollback --json "$store" s >said
    same "{\"store\":\"$store\",\"snapshot\":\"s\",\"keys\":2}" "$(cat said)"
    is s
    if [ "$(id -u)" = 0 ]; then
        rm -rf filled
        "$TESTS/prog_fill" filled key 10
        "$lsmfs" snapshot create filled s
        "$TESTS/prog_fill" filled key 20000
        script -qec "'$lsmfs' snapshot rollback filled s" screen >/dev/null
        grep -q $'\e\[K4096 records' screen
        grep -q '20000 keys as they were in s' screen
    fi
}

# Of the store of the tests before.
tells_what_is_wrong() {
    mount_store -o ro
    fails_with 3 'is being read' "$lsmfs" snapshot rollback "$store" s
    fails_with 3 'is being read' "$lsmfs" snapshot rollback "$mnt" s
    remount -o snapshot=s
    fails_with 3 'is being read' "$lsmfs" snapshot rollback --force "$mnt" s
    remount
    fails_with 4 'none: no such snapshot' "$lsmfs" snapshot rollback "$mnt" none
    fails_with 4 'none: no such snapshot' "$lsmfs" snapshot rollback --force "$store" none
    umount_store
    fails_with 4 'none: no such snapshot' "$lsmfs" snapshot rollback "$store" none
    fails_with 2 'missing operand' "$lsmfs" snapshot rollback "$store"
    fails_with 4 'No such file' "$lsmfs" snapshot rollback "$WORK/nowhere" a
    [ ! -e "$WORK/nowhere" ]
    sound
    # A store that was never mounted is not made one of ours by a name that was mistyped.
    rm -rf plain
    "$TESTS/prog_fill" plain key 10
    fails_with 4 'none: no such snapshot' "$lsmfs" snapshot rollback plain none
    "$lsmfs" check plain >said
    same 'plain: clean' "$(cat said)"
}

# at_most SECONDS PID: waits that long, or until that process has ended.
at_most() {
    timeout "$1" tail -s 0.01 -f --pid="$2" /dev/null || true
}

# killed SECONDS: it is what it was, which was is nobody's snapshot, or what the snapshot is.
killed() {
    local pid
    "$lsmfs" snapshot diff "$store" s >before
    [ "$(wc -l <before)" -gt 100000 ]
    "$lsmfs" snapshot rollback "$store" s >said 2>&1 &
    pid=$!
    at_most "$1" $pid
    kill -KILL $pid 2>/dev/null || true
    wait $pid || true
    "$lsmfs" snapshot diff "$store" s >after
    sound
    [ ! -s after ] || diff before after
}

is_all_or_nothing() {
    local again=0 done=0 seconds
    rm -rf "$store" kept
    mount_store
    mkdir "$mnt/.snapshots/s"
    umount_store
    "$TESTS/prog_fill" "$store" key 120000
    cp -r "$store" kept
    for seconds in 0.02 0.05 0.1 0.2 0.4 0.8 1.6 5 20; do
        rm -rf "$store"
        cp -r kept "$store"
        killed $seconds
        if [ -s after ]; then again=$((again + 1)); else done=$((done + 1)); fi
    done
    echo "# $again times as it was, $done times gone back"
    [ $again -gt 0 ]
    [ $done -gt 0 ]
}

# killed_mounted SECONDS: the same of the daemon.
killed_mounted() {
    local pid
    mount_store
    "$lsmfs" snapshot diff "$mnt" s >before
    [ "$(wc -l <before)" -gt 100000 ]
    ls "$mnt" >/dev/null
    pid=$(daemon_pid)
    "$lsmfs" snapshot rollback "$mnt" s >said 2>&1 &
    at_most "$1" $!
    kill -KILL "$pid"
    wait $! || true
    await_end "$pid"
    fusermount3 -uz "$mnt"
    "$lsmfs" snapshot diff "$store" s >after
    sound
    [ ! -s after ] || diff before after
}

is_all_or_nothing_mounted() {
    local again=0 done=0 seconds
    for seconds in 0.001 0.02 0.05 0.1 0.2 0.4 0.8 20; do
        rm -rf "$store"
        cp -r kept "$store"
        killed_mounted $seconds
        if [ -s after ]; then again=$((again + 1)); else done=$((done + 1)); fi
    done
    echo "# $again times as it was, $done times gone back"
    [ $again -gt 0 ]
    [ $done -gt 0 ]
}

# unmounted_meanwhile SECONDS: who asked hears whether the tree went back.
unmounted_meanwhile() {
    local asked status=0
    mount_store
    ls "$mnt" >/dev/null
    "$lsmfs" snapshot rollback "$mnt" s >said 2>&1 &
    asked=$!
    sleep "$1"
    umount_store
    wait $asked || status=$?
    "$lsmfs" snapshot diff "$store" s >after
    sound
    if [ -s after ]; then [ $status != 0 ]; else same 0 $status; fi
}

# It had gone back, and who asked was told that the daemon ended before it answered.
is_told_of_though_unmounted() {
    local seconds
    for seconds in 0.05 0.1 0.2 0.4; do
        rm -rf "$store"
        cp -r kept "$store"
        unmounted_meanwhile $seconds
    done
}

tells_who_may_not() {
    rm -rf "$store"
    mount_store
    mkdir "$mnt/.snapshots/s"
    umount_store
    fails_with 5 'Permission denied' setpriv --reuid $user --regid $user --clear-groups \
        "$lsmfs" snapshot rollback "$store" s
}

chmod 755 "$WORK"
check "random steps" leads_back_to_any
alone "random steps, mounted" leads_back_under_a_mount
alone "nothing stale is shown" shows_nothing_stale
alone "open files, directories one stands in" is_told_of_open_files
alone "nor where programs look meanwhile" races_leave_nothing_stale
check "what it says" tells_what_it_did
alone "what is wrong is told" tells_what_is_wrong
if [ "$(id -u)" = 0 ]; then
    check "killed" is_all_or_nothing
    alone "killed, mounted" is_all_or_nothing_mounted
    alone "unmounted" is_told_of_though_unmounted
    check "another's store" tells_who_may_not
    fuse_for $user
    alone "as an ordinary user" an_ordinary_user_can
fi
finish
