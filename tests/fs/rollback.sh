#!/bin/bash
#
# rollback.sh - `lsmfs snapshot rollback`: the store is what the snapshot is, and one can go on in it;
# killed at any moment it is that or what it was; what it prints, messages; as root and as an ordinary
# user.  SEED=N runs the same steps again.

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

tells_what_it_did() {
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
    mount_store
    fails_with 3 'is in use' "$lsmfs" snapshot rollback "$store" a
    fails_with 3 'is in use' "$lsmfs" snapshot rollback "$mnt" a
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

# killed SECONDS: it is what it was, which was is nobody's snapshot, or what the snapshot is.
killed() {
    local pid
    "$lsmfs" snapshot diff "$store" s >before
    [ "$(wc -l <before)" -gt 100000 ]
    "$lsmfs" snapshot rollback "$store" s >said 2>&1 &
    pid=$!
    sleep "$1"
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

an_ordinary_user_can() {
    local theirs=$WORK/theirs
    mkdir "$theirs"
    chown $user:$user "$theirs"
    setpriv --reuid $user --regid $user --clear-groups \
        env WORK="$theirs" BIN="$BIN" TESTS="$TESTS" SEED="$seed" "$script" >theirs.log 2>&1 || {
        cat theirs.log
        return 1
    }
    cat theirs.log
    not grep '^not ok' theirs.log
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
check "what it says" tells_what_it_did
alone "what is wrong is told" tells_what_is_wrong
if [ "$(id -u)" = 0 ]; then
    check "killed" is_all_or_nothing
    check "another's store" tells_who_may_not
    fuse_for $user
    alone "as an ordinary user" an_ordinary_user_can
fi
finish
