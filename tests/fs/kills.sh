#!/bin/bash
#
# kills.sh - the daemon killed again and again under real programs at once.
#
# KILLS is how many rounds there are.  In each, programs work on the mount and log beside it what
# they were told is done; after so many of these lines the daemon is killed, in some rounds while
# it is closing, or again while it recovers.  Then the store is checked and mounted, and all that
# was logged, in this round and in those before it, is held against the mount.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"
# shellcheck source=tests/fs/steps.bash
. "$(dirname "$0")/steps.bash"
kills=${KILLS:-10} seed=${LSMKV_SEED:-$((RANDOM * 32768 + RANDOM))}
echo "# LSMKV_SEED=$seed"
rounds_a_store=25
# What works at once; for each a function NAME_works, which ends when the file system is gone, and
# NAME_holds.  Each gets its argument and how many rounds the store has seen; told.NAME-ARGUMENT
# has what was acknowledged, a line each.
programs=('steps 1' 'steps 2' 'append log' 'save document' 'sqlite wal' 'sqlite delete' 'git work'
    'untar include' 'snapshots counter')

last_told() {
    tail -n 1 "told.$1"
}

# seen WHAT LINE: one more was there than anybody was told of; now it must stay.
seen() {
    [ "$(last_told "$1")" = "$2" ] || echo "$2" >>"told.$1"
}

# ---- the programs ----

# Of every kind of call: see prog_steps.
steps_works() {
    "$TESTS/prog_steps" $((seed + $1)) "$(cat "next.$1")" 1000000000 "$mnt/steps-$1" "progress.$1"
}

steps_holds() {
    local first done_
    first=$(cat "next.$1")
    done_=$(number_in "progress.$1")
    seq "$first" $((done_ - 1)) >>"told.steps-$1"
    steps_hold $((seed + $1)) "$first" "$done_" "$WORK/expected-$1" "$mnt/steps-$1"
    echo "$next_step" >"next.$1"
}

append_works() {
    local i
    for ((i = $(wc -l <"$mnt/$1") + 1; ; i++)); do
        printf 'line %08d\n' "$i" >>"$mnt/$1" || return
        echo "$i"
    done
}

append_holds() {
    local last found
    last=$(last_told append-log)
    diff <(seq -f 'line %08.0f' "$last") <(head -n "$last" "$mnt/$1")
    found=$(wc -l <"$mnt/$1")
    [ "$found" -le $((last + 1)) ]
    seen append-log "$found"
}

# As editors do it, with and without fsync.
save_works() {
    local i size
    for ((i = $(head -n 1 "$mnt/$1") + 1; ; i++)); do
        { echo "$i" && head -c $((RANDOM % 20000)) /dev/zero; } >"$mnt/new" || return
        [ $((i % 2)) = 0 ] || sync "$mnt/new" || return
        size=$(stat -c %s "$mnt/new") && mv -f "$mnt/new" "$mnt/$1" || return
        echo "$i $size"
    done
}

save_holds() {
    local last size now
    read -r last size < <(last_told save-document)
    now=$(head -n 1 "$mnt/$1" | tr -d '\0')
    [ "$now" = $((last + 1)) ] || same "$last $size" "$now $(stat -c %s "$mnt/$1")"
    seen save-document "$now $(stat -c %s "$mnt/$1")"
}

sqlite_works() {
    local i
    i=$(sqlite3 "$mnt/$1.db" "select coalesce(max(n), 0) + 1 from t")
    {
        echo ".timeout 10000"
        echo "pragma synchronous=full;"
        for ((; ; i++)); do
            echo "insert into t values($i, hex(randomblob(200))); select $i;"
        done
    } 2>/dev/null | stdbuf -oL sqlite3 -bail "$mnt/$1.db"
}

sqlite_holds() {
    local last found
    last=$(last_told "sqlite-$1")
    same ok "$(sqlite3 "$mnt/$1.db" 'pragma integrity_check')"
    same "$last" "$(sqlite3 "$mnt/$1.db" "select count(*) from t where n <= $last")"
    found=$(sqlite3 "$mnt/$1.db" 'select max(n) from t')
    [ "$found" -le $((last + 1)) ]
    seen "sqlite-$1" "$found"
}

git_works() {
    local i
    cd "$mnt/$1" || return
    # Of who died: a lock is the user's to remove.
    find .git -name '*.lock' -delete
    git reset -q --hard || return
    for ((i = 1; ; i++)); do
        echo "$2 $i" >"file$((i % 10))"
        git add . && git -c gc.auto=0 commit -q -m "$2 $i" &&
            git rev-parse -q --verify HEAD || return
    done
}

git_holds() {
    git -C "$mnt/$1" fsck --strict --no-progress
    same '' "$(comm -23 <(sort told.git-work) <(git -C "$mnt/$1" log --format=%H | sort))"
}

# Trees named by numbers, those of one round; each is removed when the next one is there.  tar names a file before it
# writes it, rm when it has removed it.
untar_works() {
    local i
    rm -rf "$mnt/untar" && mkdir "$mnt/untar" || return
    for ((i = 1; ; i++)); do
        stdbuf -oL tar -C "$mnt/untar" -xvf source.tar --transform "s,^,$i/," \
            --show-transformed-names || return
        stdbuf -oL rm -rfv "$mnt/untar/$((i - 1))" || return
    done
}

untar_holds() {
    local i name
    # The last name may be that of a file under way.
    head -n -1 "told.untar-$1" | grep -v "^removed" >names || return 0
    i=$(sed -n '$s,/.*,,p' names)
    sed -n "s,^$i/\($1/.*[^/]\)$,\1,p" names | grep -Fxf source.files >there || return 0
    diff <(cd /usr && xargs -d '\n' md5sum <"$WORK/there") \
        <(cd "$mnt/untar/$i" && xargs -d '\n' md5sum <"$WORK/there")
    while read -r name; do
        [ ! -e "$name" ] || same removed "$name"
    done < <(head -n -1 "told.untar-$1" | sed -n "s/^removed '\(.*\)'$/\1/p" | tail -n 300)
}

# Each has the number that the file had; the last five stay, and the one that comes then.  One that is
# there, if nobody was told of it, counts as told: two of those in a row would have let one go that was
# told of.
snapshots_works() {
    local i old olds
    for ((i = $(ls "$mnt/.snapshots" | sort -n | tail -n 1) + 1; ; i++)); do
        olds=$(ls "$mnt/.snapshots" | sort -n | head -n -5) || return
        for old in $olds; do
            rmdir "$mnt/.snapshots/$old" || return
        done
        echo "$i" >"$mnt/$1" && mkdir "$mnt/.snapshots/$i" || return
        echo "$i"
    done
}

snapshots_holds() {
    local i last
    last=$(last_told snapshots-counter)
    for i in $(tail -n 4 told.snapshots-counter); do
        [ "$i" -lt $((last - 3)) ] || same "$i" "$(cat "$mnt/.snapshots/$i/$1")"
    done
    [ "$(ls "$mnt/.snapshots" | awk -v last="$last" '$1 <= last' | wc -l)" -le 6 ] || return
    seen snapshots-counter "$(ls "$mnt/.snapshots" | sort -n | tail -n 1)"
}

# ---- rounds ----

# A store with what the programs work on, all of it acknowledged.
fresh() {
    local i
    ! grep -q " $mnt " /proc/mounts || umount_store
    rm -rf "$store" expected-* told.* next.* progress.*
    mount_store
    for i in 1 2; do
        mkdir "$mnt/steps-$i" "expected-$i"
        echo 0 | tee "next.$i" >"progress.$i"
        : >"told.steps-$i"
    done
    echo 'line 00000001' >"$mnt/log"
    echo 1 >told.append-log
    echo 1 >"$mnt/document"
    echo '1 2' >told.save-document
    for i in wal delete; do
        sqlite3 "$mnt/$i.db" "pragma journal_mode=$i; create table t(n integer primary key, text);
            insert into t values(1, 'first')"
        echo 1 >"told.sqlite-$i"
    done
    git init -q -b main "$mnt/work"
    git -C "$mnt/work" config user.name t
    git -C "$mnt/work" config user.email t@example.org
    git -C "$mnt/work" commit -q --allow-empty -m first
    git -C "$mnt/work" rev-parse HEAD >told.git-work
    mkdir "$mnt/untar"
    : >told.untar-include
    echo 1 >"$mnt/counter"
    mkdir "$mnt/.snapshots/1"
    echo 1 >told.snapshots-counter
}

# Lines in all logs; the steps of this round are in numbers of their own.
acknowledged() {
    local steps=0 i
    for i in 1 2; do
        steps=$((steps + $(number_in "progress.$i") - $(cat "next.$i")))
    done
    echo $((steps + $(cat told.* | wc -l)))
}

start_programs() {
    local program name
    working=()
    trap '[ ${#working[@]} = 0 ] || kill -KILL "${working[@]}" 2>/dev/null || true' EXIT
    for program in "${programs[@]}"; do
        read -r program name <<<"$program"
        [ "$program" != steps ] || cp "next.$name" "progress.$name"
        "${program}_works" "$name" "$1" >>"told.$program-$name" 2>"errors.$program-$name" &
        working+=($!)
    done
}

all_work() {
    local i
    for i in "${!working[@]}"; do
        kill -0 "${working[i]}" 2>/dev/null || {
            echo "ended by itself: ${programs[i]}"
            tail -n 5 "errors.${programs[i]// /-}"
            return 1
        }
    done
}

# The daemon dies; `closing`: while it closes, told to by a signal.  What programs say afterwards
# of files that they could not write does not count.
dies() {
    local pid
    pid=$(daemon_pid)
    if [ "$1" = closing ]; then
        kill -TERM "$pid"
        sleep "0.0$((RANDOM % 50 + 10))"
    fi
    cp told.untar-include told.copy
    kill -KILL "$pid" 2>/dev/null || true
    await_end "$pid"
    wait "${working[@]}" || true
    working=()
    mv told.copy told.untar-include
    ! grep -q " $mnt " /proc/mounts || fusermount3 -u "$mnt" || fusermount3 -uz "$mnt"
}

# The daemon dies before its mount answers, perhaps.
dies_recovering() {
    local pid
    "$lsmfs" -f "$store" "$mnt" 2>recovering &
    pid=$!
    sleep "0.0$((RANDOM % 60 + 10))"
    kill -KILL "$pid"
    wait "$pid" || true
    ! grep -q " $mnt " /proc/mounts || fusermount3 -u "$mnt"
}

all_holds() {
    local program name
    for program in "${programs[@]}"; do
        read -r program name <<<"$program"
        echo "$program $name"
        "${program}_holds" "$name"
        echo "last told of $(last_told "$program-$name")"
    done
}

# round NUMBER WAY
round() {
    local before wanted
    RANDOM=$((seed + $1))
    [ $(($1 % rounds_a_store)) != 1 ] || fresh
    : >told.untar-include
    before=$(acknowledged)
    wanted=$((before + RANDOM % 2000 + 50))
    start_programs "$1"
    while [ "$(acknowledged)" -lt "$wanted" ]; do
        all_work
    done
    all_work
    dies "$2"
    echo $(($(acknowledged) - before)) >>counts
    sound
    [ "$2" != recovering ] || dies_recovering
    [ "$2" != recovering ] || dies_recovering
    mount_store
    all_holds
    if [ $(($1 % 4)) = 0 ]; then
        umount_store
        sound
        mount_store
        all_holds
    fi
}

tar -C /usr -cf source.tar include/linux
(cd /usr && find include/linux -type f) >source.files
ways=(load recovering load closing load)
for ((number = 1; number <= kills; number++)); do
    way=${ways[number % ${#ways[@]}]}
    check "killed, round $number ($way)" round "$number" "$way"
    [ $failed = 0 ] || break
done
echo "# operations acknowledged and verified: $(awk '{ n += $1 } END { print n + 0 }' counts)"
check "unmounts" umount_store
check "the last store is sound" sound
finish
