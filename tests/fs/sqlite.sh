#!/bin/bash
#
# sqlite.sh - SQLite with its databases on a mount: every journal mode, concurrent writers and
# readers, its processes killed, and the daemon.
#
# SQLITE_SECONDS is how long each load runs, SQLITE_KILLS how often the daemon is killed under
# it, SQLITE_MMAP the mappings each mode is tried with: "each" is both, "mixed" one of them.
#
# Money moves between accounts, and its sum stays: readers look all the time.  Each transfer is
# a row as well, from which all balances follow.  A writer logs each one when it is committed,
# and that is there whatever was killed since.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"
seconds=${SQLITE_SECONDS:-0.6} kills=${SQLITE_KILLS:-1} mmap=${SQLITE_MMAP:-mixed}
seed=${LSMKV_SEED:-$((RANDOM * 32768 + RANDOM))}
echo "# LSMKV_SEED=$seed"
writers=3
accounts=100 balance=1000
text=$(seq -s ' ' 5000 | head -c 20000)
# The database, its mode, and the processes at work on it.
db='' mode=''
writing=() reading=()
# What a reader sees of any moment.
view='select (select sum(balance) from accounts),
    (select sum(moves) from accounts) - 2 * (select count(*) from transfers);'
seen="$((accounts * balance))|0"

# settings PAGE MAPPED: what each process does first.  Ten pages of cache make a transaction
# write to the database long before it is committed.
settings() {
    cat >settings <<END
.timeout 120000
.output /dev/null
pragma page_size=$1;
pragma journal_mode=$mode;
pragma synchronous=full;
pragma mmap_size=$2;
pragma cache_size=10;
.output stdout
END
}

# shell ARGUMENT...: sqlite3, which stops at the first error.
shell() {
    exec stdbuf -oL sqlite3 -batch -bail -init "$WORK/settings" "$@"
}

query() {
    (shell "$db" "$1")
}

# statements WRITER FIRST: transfers of that number and later ones, until there is a file `stop`.
# Now and then everything is changed, and rolled back.  They pause, for a writer that begins again
# at once starves the others, on any file system.
statements() {
    local n from to amount start length
    RANDOM=$((seed + $1 * 1000 + $2))
    for ((n = $2; ; n++)); do
        [ ! -e stop ] || break
        from=$((RANDOM % accounts)) amount=$((RANDOM % 100))
        to=$(((from + 1 + RANDOM % (accounts - 1)) % accounts))
        start=$((RANDOM % 10000)) length=$((RANDOM % 6000))
        echo "begin immediate;
            update accounts set balance = balance - $amount, moves = moves + 1 where id = $from;
            update accounts set balance = balance + $amount, moves = moves + 1 where id = $to;
            insert into transfers values($1, $n, $from, $to, $amount, $start,
                '${text:start:length}');
            commit;
            select $n;"
        echo ".shell sleep 0.0$((RANDOM % 30 + 10))"
        [ $((RANDOM % 10)) != 0 ] || echo "begin immediate;
            update accounts set balance = 0, moves = 0;
            update transfers set note = 'never' where n > $n - 40;
            rollback;"
    done
}

# What is at work when a check fails must not be in the way of the next one.
give_up() {
    : >stop
    kill -KILL "${writing[@]}" "${reading[@]}"
}

start_writers() {
    local writer first
    rm -f stop
    writing=() reading=()
    trap give_up EXIT
    for ((writer = 1; writer <= writers; writer++)); do
        first=$(query "select coalesce(max(n), 0) + 1 from transfers where writer = $writer")
        echo $((first - 1)) >told.$writer
        statements $writer "$first" 2>/dev/null |
            shell "$db" >>told.$writer 2>errors.$writer &
        writing+=($!)
    done
}

# One reader stays and one comes and goes, which looks for a hot journal each time.
start_readers() {
    : >views.comes
    : >views.stays
    yes "$view
.shell sleep 0.01" 2>/dev/null | shell "$db" >>views.stays 2>errors.stays &
    reading=($!)
    while [ ! -e stop ]; do
        query "$view" || break
        sleep 0.01
    done >>views.comes 2>errors.comes &
    reading+=($!)
}

# let_work FIRST: all that are left work that long, and until each of them, the writers from FIRST
# on and the readers, has come on.
let_work() {
    local file files=() sizes=()
    for ((file = $1; file <= writers; file++)); do
        files+=("told.$file")
    done
    files+=(views.stays views.comes)
    mapfile -t sizes < <(stat -c %s "${files[@]}")
    sleep "$seconds"
    for file in "${!files[@]}"; do
        for _ in {1..1200}; do
            [ "$(stat -c %s "${files[file]}")" = "${sizes[file]}" ] || continue 2
            sleep 0.05
        done
        echo "${files[file]} does not grow"
        return 1
    done
}

# Ends all but what was killed already.
end_work() {
    : >stop
    wait "${writing[@]}" || true
    kill "${reading[0]}" 2>/dev/null || true
    wait "${reading[@]}" || true
    trap - EXIT
}

# What readers saw is one state, again and again.
views_hold() {
    same "$seen" "$(sort -u views.stays views.comes)"
    echo "$(cat views.* | wc -l) views"
}

no_errors() {
    cat errors.*
    same 0 "$(cat errors.* | wc -l)"
}

# told_are_there MORE: so many of each writer may be there beside those that were told; 1 once a
# process was killed, which may have been between its commit and its telling.
told_are_there() {
    local writer told last count
    for ((writer = 1; writer <= writers; writer++)); do
        told=$(tail -n 1 told.$writer)
        IFS='|' read -r last count <<<"$(query "select max(n), count(*) from transfers
            where writer = $writer")"
        echo "writer $writer: told of $told, $count rows, the last $last"
        [ "$last" -ge "$told" ]
        [ "$last" -le $((told + $1)) ]
        same "$last" "$count"
    done
}

# is_whole MORE: all that was told is there, and SQLite finds nothing wrong.
is_whole() {
    same ok "$(query 'pragma integrity_check')"
    same "$seen" "$(query "$view")"
    same 0 "$(query "select count(*) from accounts where balance <> $balance
        + (select total(amount) from transfers where dest = id)
        - (select total(amount) from transfers where source = id)")"
    same 0 "$(query "select count(*) from transfers, texts
        where texts.rowid = 1 and note <> substr(text, start + 1, length(note))")"
    told_are_there "$1"
}

creates() {
    query "create table accounts(id integer primary key, balance, moves);
        create table transfers(writer, n, source, dest, amount, start, note,
            primary key(writer, n));
        create index by_source on transfers(source);
        create index by_dest on transfers(dest);
        create table texts(text);
        with recursive ids(i) as (select 0 union all select i + 1 from ids where i < $accounts - 1)
            insert into accounts select i, $balance, 0 from ids;
        insert into texts select '$text' from accounts where id < 60;"
    same "$mode" "$(query 'pragma journal_mode')"
}

# Under load a copy is made as well: it is of one moment.
works() {
    start_writers
    start_readers
    let_work 1
    rm -f "$mnt/copy.db"
    query "vacuum into '$mnt/copy.db'"
    end_work
    no_errors
    views_hold
    is_whole 0
    same "$seen" "$(sqlite3 "$mnt/copy.db" "$view")"
    same ok "$(sqlite3 "$mnt/copy.db" 'pragma integrity_check')"
    remount
    is_whole 0
}

# A writer dies at any moment, and the others go on: they roll back what it left.
processes_die() {
    local i
    start_writers
    start_readers
    for ((i = 1; i < writers; i++)); do
        let_work $i
        kill -KILL "${writing[i - 1]}"
        wait "${writing[i - 1]}" || same 137 $?
    done
    let_work $writers
    kill -KILL "${writing[@]: -1}" "${reading[0]}"
    end_work
    no_errors
    views_hold
    is_whole 1
    remount
    is_whole 1
}

# begin_half DATABASE: a process, `half`, in the middle of a transaction that the database has
# parts of.
begin_half() {
    rm -f statements
    mkfifo statements
    : >half.out
    exec 5<>statements
    shell "$1" <statements >half.out 5<&- &
    half=$!
    echo "begin immediate;
        update transfers set note = zeroblob(length(note)), amount = 0;
        update accounts set balance = 0;
        update texts set text = zeroblob(length(text));
        select 'half';" >&5
    for _ in {1..1000}; do
        ! grep -q half half.out || return 0
        kill -0 $half
        sleep 0.01
    done
    return 1
}

end_half() {
    kill -KILL $half
    wait $half || same 137 $?
    exec 5<&-
}

# The first bytes of a journal that has something to be rolled back.
journal_magic() {
    head -c 8 "$1-journal" | od -An -tx1 | tr -d ' \n'
}

# is_half DATABASE: it needs what stands beside it.
is_half() {
    if [ "$mode" = wal ]; then
        [ "$(stat -c %s "$1-wal")" -gt 100000 ]
    else
        same d9d505f920a163d7 "$(journal_magic "$1")"
        not cmp -s "$WORK/before.db" "$1"
    fi
}

# rolled_back DATABASE: the next to open it brings it back, to the byte.
rolled_back() {
    same "$contents" "$(shell "$1" .sha3sum)"
    same ok "$(shell "$1" 'pragma integrity_check')"
    [ "$mode" = wal ] || cmp "$WORK/before.db" "$1"
    # Whatever its mode will be, it begins with mode delete.
    same "$1" "$(ls "$1"*)"
}

# The same beside the mount; there after a remount, and after the death of the daemon too.
hot_journal() {
    local half contents file
    contents=$(query .sha3sum)
    cp "$db" before.db
    cp "$db" beside.db
    for file in "$db" "$WORK/beside.db"; do
        begin_half "$file"
        end_half
        is_half "$file"
        rolled_back "$file"
    done
    begin_half "$db"
    end_half
    remount
    is_half "$db"
    rolled_back "$db"
    begin_half "$db"
    kill_daemon
    end_half
    mount_store
    is_half "$db"
    rolled_back "$db"
    is_whole 1
}

# Without the daemon who has the database open still reads the pages that the kernel has, and
# SQLite takes a journal that cannot be looked for as absent: what it shows then does not count.
daemon_dies() {
    local comes stays
    start_writers
    start_readers
    let_work 1
    comes=$(wc -l <views.comes) stays=$(wc -l <views.stays)
    kill_daemon
    end_work
    sed -i "$((comes + 1)),\$d" views.comes
    sed -i "$((stays + 1)),\$d" views.stays
    mount_store
    views_hold
    is_whole 1
}

survives_kills() {
    local i
    for ((i = 0; i < kills; i++)); do
        daemon_dies
    done
    remount
    is_whole 1
}

# checks MODE PAGE MAPPED: a database in that mode, with pages and at most so much mapped.
checks() {
    local about="sqlite3, journal $1, pages of $2, $3 mapped"
    mode=$1 db=$mnt/$1-$2-$3.db
    settings "$2" "$3"
    check "$about: created" creates
    check "$about: writers and readers" works
    check "$about: its processes killed" processes_die
    check "$about: a transaction half done is rolled back" hot_journal
    check "$about: the daemon killed $kills times" survives_kills
}

mount_store || exit 1
checks delete 4096 0
checks truncate 1024 100000000
checks persist 8192 0
checks wal 4096 100000000
if [ "$mmap" = each ]; then
    checks delete 1024 100000000
    checks truncate 4096 0
    checks persist 65536 100000000
    checks wal 512 0
fi
check "unmounts after all that" umount_store
finish
