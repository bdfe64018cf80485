#!/bin/bash
#
# crash.sh - the daemon killed in the middle of work: nothing that was acknowledged is lost.
#
# Of random single steps the state afterwards must be exactly that after the acknowledged ones,
# or after one more, the one under way.  Of real programs: what they had finished is there and
# whole, and their own checks find nothing.  Every store that a death left, and every one that was
# unmounted, is clean to `lsmfs check`.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"
# shellcheck source=tests/fs/steps.bash
. "$(dirname "$0")/steps.bash"
seed=${LSMKV_SEED:-$((RANDOM * 32768 + RANDOM))}
echo "# LSMKV_SEED=$seed"

fresh() {
    ! grep -q " $mnt " /proc/mounts || umount_store
    [ ! -d "$store" ] || sound
    rm -rf "$store" expected
    mkdir expected
    mount_store "$@"
}

# steps_survive KILL_AFTER OPTIONS...
steps_survive() {
    local after=$1 steps done_ status=0
    shift
    fresh "$@"
    rm -f progress
    "$TESTS/prog_steps" "$seed" 0 1000000 "$mnt" progress &
    steps=$!
    while [ "$(number_in progress)" -lt "$after" ]; do
        kill -0 $steps
        sleep 0.003
    done
    kill_daemon
    wait $steps || status=$?
    same 3 $status
    sound
    done_=$(number_in progress)
    mount_store "$@"
    echo "killed after $done_ steps"
    steps_hold "$seed" 0 "$done_" "$WORK/expected" "$mnt"
    # And it goes on from there.
    "$TESTS/prog_steps" $((seed + 1)) 0 300 expected
    "$TESTS/prog_steps" $((seed + 1)) 0 300 "$mnt"
    same_trees expected "$mnt"
    remount "$@"
    same_trees expected "$mnt"
}

# kill_when COUNT COMMAND...: kills the daemon once what COMMAND prints has COUNT lines.  The
# file `acknowledged` has those printed before, `log` all of them.
kill_when() {
    local count=$1 worker
    shift
    : >log
    "$@" >log 2>errors &
    worker=$!
    while [ "$(wc -l <log)" -lt "$count" ]; do
        kill -0 $worker 2>/dev/null || break
        sleep 0.003
    done
    # What a program says afterwards of files that it could not write does not count.
    cp log acknowledged
    kill_daemon
    wait $worker || true
    sound
    mount_store
}

copy_survives() {
    fresh
    # cp names a file before it copies it, so all but the last one named are complete.
    kill_when 300 stdbuf -oL cp -rv /usr/include "$mnt/include"
    local name count=0
    while read -r name; do
        [ ! -f "$name" ] || cmp "$name" "$mnt/include/${name#/usr/include/}"
        count=$((count + 1))
    done < <(sed -n "s/^'\(.*\)' -> .*/\1/p" acknowledged | head -n -1)
    echo "$count files were acknowledged"
    [ "$count" -ge 299 ]
    rm -rf "$mnt/include"
    cp -r /usr/include "$mnt/include"
    diff -r --no-dereference /usr/include "$mnt/include"
}

remove_survives() {
    fresh
    cp -r /usr/include/linux "$mnt/linux"
    cp -r /usr/include/linux "$mnt/other"
    kill_when 200 stdbuf -oL rm -rv "$mnt/linux"
    local name
    # rm names a file when it has removed it.
    while read -r name; do
        [ ! -e "$name" ]
    done < <(sed -n "s/^removed '\(.*\)'$/\1/p" acknowledged)
    diff -r /usr/include/linux "$mnt/other"
    rm -rf "$mnt/linux"
    [ ! -e "$mnt/linux" ]
}

untar_survives() {
    fresh
    tar -C /usr -cf include.tar include/linux
    kill_when 250 stdbuf -oL tar -C "$mnt" -xvf include.tar
    local name
    while read -r name; do
        [ ! -f "/usr/$name" ] || cmp "/usr/$name" "$mnt/$name"
    done < <(head -n -1 acknowledged)
    tar -C "$mnt" -xf include.tar
    diff -r /usr/include/linux "$mnt/include/linux"
}

insert_rows() {
    local i
    {
        echo ".timeout 1000"
        for i in $(seq 100000); do
            echo "insert into t values($i, hex(randomblob(200))); select $i;"
        done
    } | stdbuf -oL sqlite3 -bail "$mnt/db"
}

database_survives() {
    fresh
    sqlite3 "$mnt/db" "pragma journal_mode=$1; create table t(n integer primary key, text);"
    kill_when 60 insert_rows
    local last
    last=$(grep -x '[0-9]*' log | tail -n 1)
    same ok "$(sqlite3 "$mnt/db" 'pragma integrity_check')"
    same "$last" "$(sqlite3 "$mnt/db" "select count(*) from t where n <= $last")"
    echo "$last rows were acknowledged"
}

commit_often() {
    local i
    cd "$mnt/repository" || return
    for i in $(seq 1000); do
        echo "$i" >"file$((i % 10))"
        git add . && git -c gc.auto=0 commit -q -m "$i" || return
        git rev-parse HEAD
    done
}

repository_survives() {
    fresh
    git init -q -b main "$mnt/repository"
    git -C "$mnt/repository" config user.name t
    git -C "$mnt/repository" config user.email t@example.org
    kill_when 15 commit_often
    local last
    last=$(grep -xE '[0-9a-f]{40}' log | tail -n 1)
    git -C "$mnt/repository" fsck --strict --no-progress
    git -C "$mnt/repository" cat-file -e "$last"
    git -C "$mnt/repository" log --format=%H | grep -x "$last"
}

save_often() {
    local i
    for i in $(seq 100000); do
        { echo "version $i" && head -c 6000 /dev/zero | tr '\0' v; } >"$mnt/new" &&
            sync "$mnt/new" && mv -f "$mnt/new" "$mnt/document" || return
        echo "$i"
    done
}

save_survives() {
    fresh
    kill_when 40 save_often
    local last now
    last=$(tail -n 1 log)
    now=$(head -n 1 "$mnt/document" | cut -d' ' -f2)
    echo "saved $last, found $now"
    [ "$now" = "$last" ] || [ "$now" = $((last + 1)) ]
    same $((6000 + 9 + ${#now})) "$(stat -c %s "$mnt/document")"
}

append_often() {
    local i
    for i in $(seq 100000); do
        printf 'line %08d\n' "$i" >>"$mnt/log" || return
        echo "$i"
    done
}

append_survives() {
    fresh
    kill_when 500 append_often
    local last
    last=$(tail -n 1 log)
    diff <(seq -f 'line %08.0f' "$last") <(head -n "$last" "$mnt/log")
    [ "$(wc -l <"$mnt/log")" -le $((last + 1)) ]
}

make_often() {
    cd "$mnt/big" && seq -f 'file%06.0f' 200000 | while read -r name; do
        : >"$name" || return
        echo "$name"
    done
}

big_directory_survives() {
    fresh
    mkdir "$mnt/big"
    kill_when 20000 make_often
    local made
    made=$(wc -l <log)
    echo "$made files were acknowledged"
    diff log <(ls "$mnt/big" | head -n "$made")
    [ "$(ls "$mnt/big" | wc -l)" -le $((made + 1)) ]
}

snapshot_often() {
    local i
    for i in $(seq 10000); do
        echo "$i" >"$mnt/counter" && mkdir "$mnt/.snapshots/s$i" || return
        [ "$i" -le 5 ] || rmdir "$mnt/.snapshots/s$((i - 5))" || return
        echo "$i"
    done
}

snapshots_survive() {
    fresh
    kill_when 30 snapshot_often
    local last i
    last=$(tail -n 1 log)
    for i in $(seq $((last - 3)) "$last"); do
        same "$i" "$(cat "$mnt/.snapshots/s$i/counter")"
    done
    [ "$(ls "$mnt/.snapshots" | wc -l)" -le 7 ]
}

# What nobody has a name for any more is given back by the next mount: ten files of 30 MB, one
# after the other, never take the space of all.
orphans_are_swept() {
    fresh
    for _ in {1..10}; do
        exec 5<>"$mnt/orphan"
        head -c 30000000 /dev/urandom >&5
        rm "$mnt/orphan"
        kill_daemon
        exec 5>&- || true
        sound
        mount_store
        same "" "$(ls -A "$mnt")"
    done
    umount_store
    echo "the store takes $(du -sm "$store" | cut -f1) MB"
    [ "$(du -sm "$store" | cut -f1)" -lt 200 ]
}

check "random steps, killed after 100" steps_survive 100
seed=$((seed + 10))
check "random steps, killed after 2,000" steps_survive 2000
seed=$((seed + 10))
check "random steps, killed after 20,000" steps_survive 20000
seed=$((seed + 10))
check "random steps, -o sync, killed after 500" steps_survive 500 -o sync
check "cp -r" copy_survives
check "rm -r" remove_survives
check "tar x" untar_survives
check "sqlite3 with a rollback journal" database_survives delete
check "sqlite3 with a write-ahead log" database_survives wal
check "git commit" repository_survives
check "an editor's save" save_survives
check "appending to a log" append_survives
check "20,000 files made in one directory" big_directory_survives
check "snapshots taken and dropped" snapshots_survive
check "unlinked but open" orphans_are_swept
! grep -q " $mnt " /proc/mounts || umount_store
check "the last store is sound" sound
finish
