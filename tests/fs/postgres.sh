#!/bin/bash
#
# postgres.sh - PostgreSQL with all its files on a mount.
#
# PG_SECONDS is how long each pgbench runs, PG_SCALE its size (100,000 accounts each), PG_KILLS
# how often the daemon is killed under it.  The server is the package's programs on a cluster of
# our own; as they refuse root, root becomes the package's user for them.
#
# What the clients were told is what pgbench logs: a line for each transaction that ended.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"
seconds=${PG_SECONDS:-2} scale=${PG_SCALE:-1} kills=${PG_KILLS:-1}
clients=4
data=$mnt/cluster
logs=$WORK/logs
# Where the server's socket is; a check moves it into the mount.
sockets=$WORK/sockets
options=() user=()

bin=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
if [ -z "$bin" ]; then
    if [ "$(id -u)" != 0 ] && ! getent passwd postgres >/dev/null; then
        echo "# skipped: the package postgresql is not here, and not root who could install it"
        exit 0
    fi
    echo "not ok - the package postgresql is installed"
    exit 1
fi
mkdir "$logs" "$sockets"
if [ "$(id -u)" = 0 ]; then
    options=(-o allow_other)
    user=(setpriv --reuid=postgres --regid=postgres --clear-groups)
    chmod 755 "$WORK"
    chown postgres "$logs" "$sockets"
fi

# pg PROGRAM ARGUMENT...: as the server's user, with nothing of the caller's environment.
pg() {
    local program=$1
    shift
    "${user[@]}" env -i LC_ALL=C PATH="$bin:/usr/bin:/bin" PGHOST="$sockets" \
        PGUSER=postgres PGDATABASE=postgres "$bin/$program" "$@"
}

sql() {
    pg psql -X -q -A -t -v ON_ERROR_STOP=1 -c "$1"
}

start_server() {
    pg pg_ctl start -s -w -t 120 -D "$data" -l "$logs/server" -o "-k $sockets \
        -c listen_addresses='' -c fsync=on -c full_page_writes=on -c max_connections=20" || {
        tail -n 20 "$logs/server"
        return 1
    }
    server=$(head -n 1 "$data/postmaster.pid")
    # Once the data directory is gone, only this is left of it.
    echo "$server" >server.pid
}

stop_server() {
    pg pg_ctl stop -s -m fast -D "$data"
}

# The server whose files have gone, and all of its processes.
end_server() {
    local pid children
    pid=$(cat server.pid)
    children=$(pgrep -P "$pid") || true
    kill -QUIT "$pid" 2>/dev/null || true
    for pid in $pid $children; do
        await_end "$pid"
    done
}

# bench LOG SECONDS: pgbench, whose clients' logs are LOG.*.
bench() {
    local log=$1 time=$2
    rm -f "$logs/$log".*
    pg pgbench -n -c $clients -j 2 -T "$time" -l --log-prefix="$logs/$log"
}

# let_work BEFORE: pgbench, begun at so many rows of history, works that long, and until a client
# must have been told of something.
let_work() {
    sleep "$seconds"
    for _ in {1..600}; do
        [ "$(sql 'select count(*) from pgbench_history')" -le $(($1 + clients)) ] || return 0
        sleep 0.1
    done
    echo "pgbench does nothing"
    return 1
}

# How many transactions its clients were told of.
told() {
    cat "$logs/$1".* | wc -l
}

# Each transaction of pgbench adds the same to an account, a teller, a branch and the history.
balanced() {
    local sums
    sums=$(sql 'select (select sum(abalance) from pgbench_accounts) =
            (select coalesce(sum(delta), 0) from pgbench_history),
        (select sum(tbalance) from pgbench_tellers) =
            (select coalesce(sum(delta), 0) from pgbench_history),
        (select sum(bbalance) from pgbench_branches) =
            (select coalesce(sum(delta), 0) from pgbench_history)')
    same 't|t|t' "$sums"
}

# All that was told is there, and no more than the one transaction each client had under way.
history_since() {
    local before=$1 told=$2 rows
    rows=$(($(sql 'select count(*) from pgbench_history') - before))
    echo "$told transactions told, $rows found"
    [ "$told" -gt 0 ]
    [ "$rows" -ge "$told" ]
    [ "$rows" -le $((told + clients)) ]
    balanced
}

whole() {
    pg pg_amcheck --all --install-missing --heapallindexed --parent-check
    balanced
}

checksums() {
    stop_server
    pg pg_checksums --check -D "$data"
    start_server
}

initialises() {
    local files
    mkdir "$data"
    [ ${#user[@]} = 0 ] || chown postgres "$data"
    pg initdb -D "$data" -U postgres --auth=trust --data-checksums --locale=C -E UTF8
    files=$(find "$data" -type f | wc -l)
    echo "$files files, $(du -sm "$data" | cut -f1) MB"
    [ "$files" -gt 500 ]
    start_server
    pg pgbench -i -q -s "$scale"
    same $((scale * 100000)) "$(sql 'select count(*) from pgbench_accounts')"
}

benches() {
    local before
    before=$(sql 'select count(*) from pgbench_history')
    bench bench "$seconds"
    [ "$(told bench)" -gt 0 ]
    same $(($(told bench) + before)) "$(sql 'select count(*) from pgbench_history')"
    whole
}

contents() {
    # A dump's \restrict key is another one each time.
    pg pg_dump | grep -v '^\\\(un\)\?restrict ' | md5sum
}

survives_remount() {
    local before
    before=$(contents)
    stop_server
    remount "${options[@]}"
    pg pg_checksums --check -D "$data"
    start_server
    same "$before" "$(contents)"
    whole
}

socket_in_mount() {
    stop_server
    mkdir "$mnt/run"
    [ ${#user[@]} = 0 ] || chown postgres "$mnt/run"
    sockets=$mnt/run
    start_server
    [ -S "$sockets/.s.PGSQL.5432" ]
    benches
    stop_server
    [ ! -e "$sockets/.s.PGSQL.5432" ]
    sockets=$WORK/sockets
    start_server
}

# Kills the daemon, waits for what that does to clients and server, and mounts again.
daemon_dies() {
    local before bencher
    before=$(sql 'select count(*) from pgbench_history')
    bench killed 600 2>errors &
    bencher=$!
    let_work "$before"
    kill -0 $bencher
    kill_daemon
    wait $bencher || true
    end_server
    mount_store "${options[@]}"
    # A server refuses to start while any process has this number, be it dead and not asked for.
    rm -f "$data/postmaster.pid" "$sockets/.s.PGSQL.5432" "$sockets/.s.PGSQL.5432.lock"
    start_server
    history_since "$before" "$(told killed)"
}

survives_kills() {
    local i
    for ((i = 0; i < kills; i++)); do
        daemon_dies
    done
    whole
    checksums
}

# The server's own death, which the daemon sees as files closed.
server_dies() {
    local before bencher
    before=$(sql 'select count(*) from pgbench_history')
    bench killed 600 2>errors &
    bencher=$!
    let_work "$before"
    kill -KILL "$(pgrep -P "$(cat server.pid)" -f 'walwriter')"
    wait $bencher || true
    for _ in {1..100}; do
        ! pg pg_isready -q || break
        sleep 0.1
    done
    history_since "$before" "$(told killed)"
    whole
}

# A snapshot is a moment: what was told before is in it, and it starts like after a crash.
snapshot_starts() {
    local before bencher told live=$data
    before=$(sql 'select count(*) from pgbench_history')
    bench snapshot "$((seconds * 2))" &
    bencher=$!
    let_work "$before"
    told=$(sql 'select count(*) from pgbench_history')
    mkdir "$mnt/.snapshots/running"
    wait $bencher
    stop_server
    cp -a "$mnt/.snapshots/running/cluster" "$mnt/restored"
    rmdir "$mnt/.snapshots/running"
    rm "$mnt/restored/postmaster.pid"
    data=$mnt/restored
    start_server
    same t "$(sql "select count(*) >= $told from pgbench_history")"
    [ "$told" -gt "$before" ]
    whole
    stop_server
    rm -rf "$mnt/restored"
    data=$live
    start_server
}

mount_store "${options[@]}" || exit 1
check "initdb, and pgbench -i of scale $scale" initialises
check "pgbench: all transactions told are there" benches
check "all is there after a remount" survives_remount
check "its socket in the mount" socket_in_mount
check "$kills times the daemon killed under pgbench" survives_kills
check "the server killed under pgbench" server_dies
check "a snapshot under pgbench is a cluster" snapshot_starts
check "stops" stop_server
check "unmounts after all that" umount_store
finish
