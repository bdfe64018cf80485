#!/bin/bash
#
# counts.sh - what things cost, in requests of the kernel, of which a trace of the daemon tells, in
# records and syncs of the engine, and in bytes.  Times vary, these do not.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"

trace=$WORK/trace

mount_traced() {
    "$lsmfs" -d "$store" "$mnt" "$@" 2>"$trace" &
    daemon=$!
    await_mount
    ls "$mnt" >/dev/null
}

# remount_traced [OPTION]...: the kernel knows nothing any more but the root and its names.
remount_traced() {
    local pid
    pid=$(pid_of_daemon)
    umount_store
    await_end "$pid"
    mount_traced "$@"
}

# All that was sent before has been answered, RELEASE too, which nobody waits for: the daemon answers
# it before it reads the next request.
settle() {
    stat -f "$mnt" >/dev/null
}

# traced COMMAND...: leaves the requests that it made in the array `requests`.
traced() {
    local begin
    settle
    begin=$(wc -l <"$trace")
    "$@" >/dev/null
    settle
    mapfile -t requests < <(tail -n "+$((begin + 1))" "$trace" |
        sed -n 's/.*opcode: \([A-Z0-9_]*\) .*/\1/p' | grep -vx 'FORGET\|BATCH_FORGET\|STATFS')
    echo "$*: $(summary)"
}

# How many of each kind were traced, in their order: "20 OPEN 20 RELEASE".
summary() {
    printf '%s\n' "${requests[@]}" | grep . | sort | uniq -c | xargs
}

# undisturbed COMMAND...: again, if it failed and somebody has dropped the kernel's caches meanwhile,
# which makes it ask for what it knew.
undisturbed() {
    local before
    for _ in {1..5}; do
        before=$(grep drop_slab /proc/vmstat)
        (
            set -e
            "$@"
        ) &
        wait $! && return
        not grep -qxF "$before" /proc/vmstat || return 1
    done
    return 1
}

# How often a request is among those traced.
count_of() {
    printf '%s\n' "${requests[@]}" | grep -cx "$1" || true
}

at_most() {
    [ "${#requests[@]}" -le "$1" ]
}

# Programs that do nothing else: the shell itself opens and stats.
creates() {
    rm -f "$mnt/first" "$mnt/second" "$mnt/third"
    dd if=/dev/zero of="$mnt/first" bs=1000 count=1 status=none
    traced dd if=/dev/zero of="$mnt/second" bs=1000 count=1 status=none
    same 1 "$(count_of CREATE)"
    same 1 "$(count_of WRITE)"
    at_most 5
    # A write past the kernel's pages is not asked for its privileges, nor are the next.
    traced dd if=/dev/zero of="$mnt/third" bs=1000 count=10 status=none
    same 10 "$(count_of WRITE)"
    same 0 "$(count_of GETXATTR)"
}

rewrites() {
    # Nobody has read it, so that the kernel has no pages that the write would have to go through.
    traced dd if=/dev/zero of="$mnt/first" bs=100 count=3 conv=notrunc status=none
    same 3 "$(count_of WRITE)"
    same 0 "$(count_of GETXATTR)"
    # Else it looks for a capability before its first write, and then knows.
    cat "$mnt/second" >/dev/null
    dd if=/dev/zero of="$mnt/second" bs=100 count=3 conv=notrunc status=none
    traced dd if=/dev/zero of="$mnt/second" bs=100 count=3 conv=notrunc status=none
    same 3 "$(count_of WRITE)"
    same 0 "$(count_of GETXATTR)"
    at_most 6
}

reads_warm() {
    # The first read makes the kernel forget the access time, so the second asks for it.
    cat "$mnt/second" "$mnt/second" >/dev/null
    cat "$mnt/second" >/dev/null
    traced cat "$mnt/second"
    same 0 "$(count_of READ)"
    same 0 "$(count_of LOOKUP)"
    at_most 2
}

stats_twice() {
    stat "$mnt/second" >/dev/null
    traced stat -c %s "$mnt/second"
    at_most 0
    [ ! -e "$mnt/absent" ]
    traced not stat -c %s "$mnt/absent"
    at_most 0
}

# ---- the rows of the benchmark, call by call: tests/bench/mount/calls.c ----

calls_py=$(
    cat <<'END'
import os, sys

def fill(name, flags=os.O_CREAT | os.O_EXCL, size=1000, synced=False):
    fd = os.open(name, os.O_WRONLY | flags, 0o644)
    os.write(fd, bytes(size))
    if synced:
        os.fsync(fd)
    os.close(fd)

def overwrite(name):
    fd = os.open("pages", os.O_WRONLY | os.O_CREAT, 0o644)
    os.pwrite(fd, bytes(4096), 4096 * (int(name) * 7 % 20))
    os.close(fd)

def read(name):
    fd = os.open(name, os.O_RDONLY)
    assert os.read(fd, 4096)
    os.close(fd)

def mail(name):
    fill("new" + name, size=4096, synced=True)
    os.rename("new" + name, "mail" + name)
    read("mail" + name)
    os.unlink("mail" + name)

rows = {
    "create": lambda name: fill("file" + name),
    "create-fsync": lambda name: fill("synced" + name, synced=True),
    "absent": lambda name: os.path.exists("none" + name) and sys.exit("it is there"),
    "stat": lambda name: os.stat("file" + name),
    "read": lambda name: read("file" + name),
    "rewrite": lambda name: fill("file" + name, flags=0),
    "append": lambda name: fill("log", flags=os.O_APPEND | os.O_CREAT, size=100),
    "overwrite": overwrite,
    "mail": mail,
    "rename": lambda name: os.rename("file" + name, "moved" + name),
    "unlink": lambda name: os.unlink("moved" + name),
}
directory, row = sys.argv[1:3]
first, past, callers = map(int, sys.argv[3:])
os.chdir(directory)
caller = 0
while caller < callers - 1 and os.fork() > 0:
    caller += 1
for i in range(first + caller, past, callers):
    rows[row]("%03d" % i)
if caller == callers - 1:
    sys.exit(any(os.wait()[1] for _ in range(caller)))
END
)

# calls ROW FIRST PAST [CALLERS]: so many calls, on files of these numbers, by one process or several.
# Isolated, for else Python looks there for its modules.
calls() {
    python3 -IS -c "$calls_py" "$mnt/calls" "$1" "$2" "$3" "${4:-1}"
}

# twenty ROW SUMMARY: what twenty of them cost, once one has left the directory as each does.
twenty() {
    calls "$1" 0 1
    traced calls "$1" 1 21
    same "$2" "$(summary)"
}

# Of GETATTR one is the directory's, which the call before has changed; of a reading, the file's size.
calls_new() {
    rm -rf "$mnt/calls"
    mkdir "$mnt/calls"
    twenty create '20 CREATE 20 GETATTR 20 LOOKUP 20 RELEASE 20 WRITE'
    calls create 21 100
    twenty read '20 GETATTR 20 OPEN 20 READ 20 RELEASE'
    twenty create-fsync '20 CREATE 20 FSYNC 20 GETATTR 20 LOOKUP 20 RELEASE 20 WRITE'
}

# Before the first write to a file that there was the kernel asks for its size and for a capability.
calls_parts() {
    calls append 0 2
    twenty append '20 OPEN 20 RELEASE 20 WRITE'
    calls overwrite 0 2
    twenty overwrite '20 OPEN 20 RELEASE 20 WRITE'
}

calls_mail() {
    local kinds='20 CREATE 20 FSYNC 60 GETATTR 40 LOOKUP 20 OPEN 20 READ 40 RELEASE'
    twenty mail "$kinds 20 RENAME 20 UNLINK 20 WRITE"
}

calls_stat() {
    remount_traced
    twenty stat '20 LOOKUP'
    twenty stat ''
    twenty absent '20 LOOKUP'
    twenty absent ''
}

calls_read() {
    remount_traced
    twenty read '20 LOOKUP 20 OPEN 20 READ 20 RELEASE'
    twenty read '20 OPEN 20 RELEASE'
}

# Where nothing can be written OPEN and FLUSH are asked once, RELEASE never.
calls_read_only() {
    remount_traced "$@"
    traced calls read 0 1
    same '1 FLUSH 1 LOOKUP 1 OPEN 1 READ' "$(summary)"
    twenty read '20 LOOKUP 20 READ'
    twenty read ''
    twenty stat ''
}

# Nothing is asked of what a listing has told.  What was not read is rewritten without more.
calls_listed() {
    remount_traced
    traced ls -l "$mnt/calls"
    [ "$(count_of READDIRPLUS)" -le 5 ]
    same 0 "$(count_of LOOKUP)"
    twenty stat ''
    twenty rewrite '20 OPEN 20 RELEASE 20 WRITE'
}

calls_names() {
    rm -rf "$mnt/calls"
    mkdir "$mnt/calls"
    calls create 0 21
    twenty rename '20 GETATTR 20 LOOKUP 20 RENAME'
    twenty unlink '20 GETATTR 20 UNLINK'
    rmdir "$mnt/calls"
}

# ---- listings, and several at once ----

make_directory() {
    mkdir "$mnt/dir"
    (cd "$mnt/dir" && seq -f 'file%05.0f' 1500 | xargs touch)
}

lists() {
    traced ls -l "$mnt/dir"
    # Of the directory itself.
    [ "$(count_of LOOKUP)" -le 1 ]
    same 0 "$(count_of GETATTR)"
    [ "$(count_of READDIRPLUS)" -le 60 ]
    # And again from the kernel's memory.
    traced ls "$mnt/dir"
    [ "$(count_of LOOKUP)" = 0 ]
}

# asleep PID...: waits until each waits in the kernel for the daemon, or behind one that does.
asleep() {
    local pid
    for pid; do
        for _ in {1..1000}; do
            grep -qE 'request_wait|fuse' "/proc/$pid/wchan" && continue 2
            sleep 0.02
        done
        echo "$pid waits for no answer"
        return 1
    done
}

# It stands still when all its threads do.  Whatever becomes of the check, it goes on.
stop_daemon() {
    trap 'kill -CONT "$daemon"' EXIT
    begin=$(wc -l <"$trace")
    kill -STOP "$daemon"
    while grep -L '^State:.T' /proc/"$daemon"/task/*/status | grep .; do
        sleep 0.02
    done
}

# sent_at_once COUNT OPCODE: so many processes in `callers`, begun since stop_daemon, have all sent a
# request, of that kind.  Those that the kernel holds back wait elsewhere.
# Bug: the order in the trace told it, but threads that answer at the same time print in any.
sent_at_once() {
    local pid sent=0
    asleep "${callers[@]}"
    for pid in "${callers[@]}"; do
        ! grep -q request_wait "/proc/$pid/wchan" || sent=$((sent + 1))
    done
    kill -CONT "$daemon"
    wait "${callers[@]}" || true
    mapfile -t requests < <(tail -n "+$((begin + 1))" "$trace" |
        sed -n 's/.*opcode: \([A-Z0-9_]*\) .*/\1/p')
    same "$1" $sent
    [ "$(count_of "$2")" -ge "$1" ]
}

# libfuse 3.14 kept PARALLEL_DIROPS from the kernel, which then held back all but one.
looks_up_at_once() {
    local begin i callers=()
    stat "$mnt/dir"
    stop_daemon
    for i in {1..8}; do
        stat "$mnt/dir/absent$i" &
        callers+=($!)
    done
    sent_at_once 8 LOOKUP
}

# Each has opened it before, by a descriptor of its own.
lists_at_once() {
    local begin fd fds=() callers=()
    mkdir "$mnt/listed"
    touch "$mnt/listed/file"
    for _ in {1..4}; do
        exec {fd}<"$mnt/listed"
        fds+=("$fd")
    done
    stat "$mnt/listed"
    stop_daemon
    for fd in "${fds[@]}"; do
        python3 -c 'import os, sys; os.listdir(int(sys.argv[1]))' "$fd" &
        callers+=($!)
    done
    sent_at_once 4 READDIRPLUS
}

# The sync of the first covers what all have written: the others have nothing left to wait for.
syncs_at_once() {
    local begin fd i fds=() callers=() before
    for i in {1..8}; do
        exec {fd}>"$mnt/synced$i"
        echo contents >&"$fd"
        fds+=("$fd")
    done
    before=$(status log_syncs)
    stop_daemon
    for fd in "${fds[@]}"; do
        python3 -IS -c 'import os, sys; os.fsync(int(sys.argv[1]))' "$fd" &
        callers+=($!)
    done
    sent_at_once 8 FSYNC
    same 1 $(($(status log_syncs) - before))
}

# engine_cost COUNTER COMMAND...: how much a counter of the engine grows.
engine_cost() {
    local name=$1 before
    shift
    before=$(status "$name")
    "$@" >/dev/null 2>&1
    echo $(($(status "$name") - before))
}

create_hundred() {
    (cd "$mnt/hundred" && seq -f 'file%03.0f' 100 | xargs touch)
}

write_hundred() {
    local i
    for i in $(seq -f '%03.0f' 100); do
        echo contents >>"$mnt/hundred/file$i"
    done
}

records() {
    mkdir "$mnt/hundred"
    local cost
    # touch sets the times as well: two batches a file.
    cost=$(engine_cost write_entries create_hundred)
    echo "records a create and utimens: $cost"
    [ "$cost" -le 210 ]
    cost=$(engine_cost write_entries write_hundred)
    echo "records a write of an empty file: $cost"
    [ "$cost" -le 110 ]
    cost=$(engine_cost write_entries rm -r "$mnt/hundred")
    echo "records an unlink: $cost"
    [ "$cost" -le 110 ]
}

syncs() {
    local cost
    cost=$(engine_cost log_syncs cp -r /usr/include/linux "$mnt/copied")
    # Reserving numbers for data.
    [ "$cost" -le 1 ]
    cost=$(engine_cost log_syncs dd if=/dev/zero of="$mnt/synced" bs=4k count=10 oflag=sync \
        status=none)
    echo "syncs of ten O_SYNC writes: $cost"
    [ "$cost" -ge 10 ]
    [ "$cost" -le 24 ]
    cost=$(engine_cost log_syncs sync "$mnt/synced")
    [ "$cost" -le 2 ]
}

# Each by itself; several at once share them.  How many do is a matter of chance.
syncs_of_files() {
    local cost
    rm -rf "$mnt/calls"
    mkdir "$mnt/calls"
    cost=$(engine_cost log_syncs calls create-fsync 0 100)
    echo "syncs of 100 files by one caller: $cost"
    same 100 "$cost"
    cost=$(engine_cost log_syncs calls create-fsync 100 300 8)
    echo "# eight callers: $cost syncs of 200 files" | tee "$WORK/shared"
    same 300 "$(find "$mnt/calls" -type f | wc -l)"
    [ "$cost" -ge 1 ]
    [ "$cost" -le 200 ]
}

# Names that do not exist cost no block: the filters know.
absent_names() {
    local i cost
    cost=$(
        before=$(status blocks_read)
        for i in {1..500}; do [ ! -e "$mnt/copied/absent$i" ]; done
        echo $(($(status blocks_read) - before))
    )
    echo "blocks read for 500 absent names: $cost"
    [ "$cost" -le 50 ]
}

# Its chunks go to a blob file once, and stay there; a merge of all tables moves references.
large_file() {
    local before after
    rm -rf "$store"
    mount_store
    before=$(written)
    dd if=/dev/urandom of="$mnt/large" bs=1M count=64 iflag=fullblock conv=fsync status=none
    "$lsmfs" compact "$store"
    after=$(written)
    echo "bytes written for 64 MiB: $((after - before))"
    [ $((after - before)) -ge $((64 << 20)) ]
    [ $((after - before)) -le $(((64 << 20) * 21 / 20)) ]
    umount_store
}

pages_py=$(
    cat <<'END'
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY)
pages = int(sys.argv[2]) * 256
for i in range(pages):
    at = i * 10007 % pages
    os.pwrite(fd, (b"%015d\n" % (at * int(sys.argv[3]))) * 256, at * 4096)
os.fsync(fd)
END
)

# What a file holds of pages that were written over is there once, not beside what it was, and they are
# written once; also where the daemon that does it has not seen the pages before.
large_file_in_pages() {
    local mib=64 before after size
    rm -rf "$store"
    mount_store
    dd if=/dev/urandom of="$mnt/large" bs=1M count=$mib iflag=fullblock conv=fsync status=none
    python3 -c "$pages_py" "$mnt/large" $mib 1
    remount
    before=$(written)
    python3 -c "$pages_py" "$mnt/large" $mib 2
    after=$(written)
    "$lsmfs" compact "$store"
    size=$(du -sm "$store" | cut -f1)
    echo "$mib MiB in pages over as much: $(((after - before) >> 20)) MiB written, $size kept"
    [ $(((after - before) >> 20)) -le $((mib * 3 / 2)) ]
    [ "$size" -le $((mib * 5 / 4)) ]
    cp "$mnt/large" "$WORK/large"
    remount
    cmp "$mnt/large" "$WORK/large"
    python3 -c "$pages_py" "$WORK/large" $mib 2
    cmp "$mnt/large" "$WORK/large"
    umount_store
    "$lsmfs" check "$store"
}

# What the daemon has written since it began: logs, blob files, tables, and its answers.
written() {
    sed -n 's/^wchar: //p' "/proc/$(daemon_pid)/io"
}

mount_traced
check "calls on new files" undisturbed calls_new
check "appending, and writing over a page" undisturbed calls_parts
check "a mail server's calls" undisturbed calls_mail
mkdir "$mnt/.snapshots/calls"
check "stat, cold and warm, of absent names too" undisturbed calls_stat
check "open, read and close, cold and warm" undisturbed calls_read
check "warm reads of a read-only mount cost nothing" undisturbed calls_read_only -o ro
check "nor do those of a snapshot mounted" undisturbed calls_read_only -o snapshot=calls
check "calls after a listing" undisturbed calls_listed
check "rename and unlink" undisturbed calls_names
check "create, write and close" undisturbed creates
check "a file rewritten" undisturbed rewrites
check "a file read again" undisturbed reads_warm
check "a second stat, a second absence" undisturbed stats_twice
make_directory
remount_traced
check "ls -l of 1500 files looks nothing up" undisturbed lists
check "names of one directory are looked up at once" looks_up_at_once
check "and it is listed by several at once" lists_at_once
# So that no timer puts or syncs anything meanwhile.
remount_traced -o commit=3600
check "eight fsync at once share a sync" syncs_at_once
umount_store
wait "$daemon"
mount_store -o commit=3600
check "records a change" records
check "syncs" syncs
check "syncs of files made one by one, and at once" syncs_of_files
cat "$WORK/shared"
# So that nothing is merged while blocks are counted.
"$lsmfs" compact "$store" >/dev/null
remount
check "absent names" absent_names
check "unmounts" umount_store
alone "a large file is written once" large_file
alone "one written over in pages takes its place once" large_file_in_pages
finish
