#!/bin/bash
#
# limits.sh - the daemon at the limits that a process may have: descriptors, addresses, memory,
# file sizes.  Calls may fail there; the mount goes on, and nothing that was acknowledged is lost.
#
# Where a limit is too small for a mount, it does not come about, and something says why.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"
: "${TESTS:?the directory of prog_fill}"

mounted() {
    grep -q " $mnt fuse.lsmfs " /proc/mounts
}

# limited LIMIT VALUE COMMAND...: under that limit, soft and hard.
limited() {
    local limit=$1 value=$2
    shift 2
    (ulimit "$limit" "$value" && exec "$@")
}

# Whoever had to end the daemon has lost.
ends() {
    local pid
    pid=$(pid_of_daemon)
    "$lsmfs" umount "$mnt"
    [ -n "$pid" ]
    await_end "$pid"
    sound
}

fresh() {
    ! mounted || umount_store
    rm -rf "$store" log failures
}

# ---- load, and what must be left of it ----

# Whatever the calls come to, the daemon lives; `log` has the numbers of the files that were
# written, each with its sum, and of those that were removed again.
load() {
    local i size pid
    pid=$(pid_of_daemon)
    : >log
    mkdir -p "$mnt/files" || true
    for ((i = 1; i <= $1; i++)); do
        size=$((i % 10 == 0 ? 3000000 : i * 37 % 9000))
        head -c $size /dev/urandom >content
        if cat content >"$mnt/files/$i"; then
            echo "written $i $(md5sum <content)" >>log
        fi
        if [ $((i % 7)) = 0 ] && grep -q "^written $((i - 3)) " log &&
            rm "$mnt/files/$((i - 3))"; then
            echo "removed $((i - 3))" >>log
        fi
    done 2>failures
    ls -l "$mnt/files" >/dev/null 2>&1 || true
    sync "$mnt" || true
    kill -0 "$pid"
    echo "of $1 files $(grep -c ^written log) were written; $(wc -l <failures) failures"
}

# What failed did so for want of this, and nothing else did.
failed_by() {
    not grep -v "$1" failures
}

holds_load() {
    local what i sum
    while read -r what i sum; do
        if [ "$what" = removed ]; then
            [ ! -e "$mnt/files/$i" ] || same removed "$i"
        elif ! grep -qx "removed $i" log; then
            same "$sum" "$(md5sum <"$mnt/files/$i")"
        fi
    done <log
}

# After a limit: all is there, and without it the store takes everything.
is_unharmed() {
    mount_store
    holds_load
    cp -r /usr/include/linux/netfilter "$mnt/more"
    diff -r /usr/include/linux/netfilter "$mnt/more"
    ends
}

# starts LIMIT VALUE: the daemon mounts, or it says why not and leaves nothing mounted.
starts() {
    local status=0
    limited "$1" "$2" timeout 30 "$lsmfs" "$store" "$mnt" >said 2>&1 || status=$?
    if [ $status = 0 ]; then
        mounted
        return
    fi
    echo "$1 $2: status $status: $(head -n 3 said)"
    [ $status != 124 ]
    [ -s said ]
    not mounted
    same '' "$(pid_of_daemon)"
    return 1
}

# ---- descriptors ----

# Each table that had been read kept a descriptor.
has_more_tables() {
    local pid
    fresh
    "$TESTS/prog_fill" "$store" all/file 40000 4000
    limited -n 128 "$lsmfs" "$store" "$mnt"
    pid=$(pid_of_daemon)
    [ "$(status tables)" -gt 250 ]
    same 40000 "$(ls "$mnt/all" | wc -l)"
    seq 0 131 39999 >numbers
    (cd "$mnt/all" && seq -f 'file%07.0f' 0 131 39999 | xargs grep -h '') | diff numbers -
    ls "/proc/$pid/fd" | wc -l
    [ "$(ls "/proc/$pid/fd" | wc -l)" -le 128 ]
    # A log and tables are made, and one is taken away.
    load 40
    same 0 "$(wc -l <failures)"
    holds_load
    mkdir "$mnt/.snapshots/s"
    mv "$mnt/all" "$mnt/moved"
    same 40000 "$(find "$mnt/moved" -type f | wc -l)"
    limited -n 128 "$lsmfs" umount "$mnt"
    limited -n 128 "$lsmfs" check --quiet --snapshots "$store"
    limited -n 128 "$lsmfs" export "$store" | tar -t | wc -l
    same 131 "$(limited -n 128 "$lsmfs" get "$store" moved/file0000131)"
}

# connects COUNT: a process, %1, that keeps so many connections open and says nothing.
connects() {
    rm -f clients
    perl -MIO::Socket::UNIX -e '$| = 1;
        my @all = map { IO::Socket::UNIX->new(Peer => "$ARGV[0]/CONTROL") || () } 1 .. $ARGV[1];
        print scalar(@all), " connections\n";
        sleep 30' "$store" "$1" >clients &
    for _ in {1..500}; do
        [ ! -s clients ] || break
        sleep 0.01
    done
    grep -E '^[0-9]{2,} connections' clients
}

# Who keeps connections open is not in the way of the file system, nor later of others.
has_many_clients() {
    fresh
    limited -n 128 "$lsmfs" "$store" "$mnt"
    connects 300
    echo text >"$mnt/file"
    same text "$(cat "$mnt/file")"
    kill %1
    wait %1 || true
    for _ in {1..100}; do
        "$lsmfs" status "$mnt" >/dev/null 2>&1 && break
        sleep 0.05
    done
    ends
}

# From too few to be started with.
begins_with_few() {
    local n began=''
    for n in 3 4 5 6 7 8 9 10 11 12 14 20 40; do
        fresh
        starts -n $n || continue
        began=${began:-$n}
        load 10
        failed_by 'Too many open files'
        umount "$mnt"
        await_end "$(pid_of_daemon)"
        sound
        mount_store
        holds_load
        ends
    done
    echo "mounted with $began descriptors"
    [ -n "$began" ]
}

# Without one descriptor left it waited for ever for its own thread that takes connections.
ends_without_any() {
    local pid highest
    fresh
    mount_store
    mkdir "$mnt/files"
    pid=$(pid_of_daemon)
    highest=$(ls "/proc/$pid/fd" | sort -n | tail -n 1)
    prlimit --pid "$pid" --nofile=$((highest + 2)):$((highest + 2))
    connects 12
    sleep 0.3
    [ "$(ls "/proc/$pid/fd" | wc -l)" -ge $((highest + 2)) ]
    load 10
    umount "$mnt"
    await_end "$pid"
    kill %1
    wait %1 || true
    sound
    is_unharmed
}

# ---- memory ----

# A range from less than a mount takes to enough for all that is asked.  What it has reserved to begin
# may be enough for all: calls that fail for want of memory are the next two checks'.
has_few_addresses() {
    local mib=30 least=0 failures=0
    while [ $mib -lt 2000 ]; do
        fresh
        if starts -v $((mib * 1024)); then
            [ $least != 0 ] || least=$mib
            load 40
            failed_by 'Cannot allocate memory'
            umount "$mnt"
            await_end "$(pid_of_daemon)"
            sound
            is_unharmed
            [ -s failures ] || break
            failures=$((failures + $(wc -l <failures)))
        fi
        mib=$((least == 0 ? mib + 10 : 2 * mib - least + 4))
    done
    echo "mounted with $least MiB, all was done with $mib; $failures calls failed before"
    [ $mib -lt 2000 ]
    [ $least -gt 30 ]
}

# The daemon cannot have one more page.
mount_out_of_memory() {
    fresh
    mount_store
    mkdir "$mnt/files"
    prlimit --pid "$(pid_of_daemon)" --data=1000:1000
    load 40
    [ -s failures ]
}

# A daemon that cannot have one more page can be unmounted, though it may have to tell that its
# store could not be closed in good order.
unmounts_without_memory() {
    mount_out_of_memory
    failed_by 'Cannot allocate memory'
    "$lsmfs" umount "$mnt" 2>said || grep 'Cannot allocate memory' said
    ! mounted || umount "$mnt"
    await_end "$(pid_of_daemon)"
    sound
    is_unharmed
}

# Whoever connects and says nothing kept the only thread that could still take commands.
unmounts_beside_the_silent() {
    local status=0
    mount_out_of_memory
    connects 10
    sleep 0.3
    timeout 25 "$lsmfs" umount "$mnt" 2>said || status=$?
    kill %1
    wait %1 || true
    [ $status != 124 ]
    [ $status = 0 ] || grep 'Cannot allocate memory' said
    ! mounted || umount "$mnt"
    await_end "$(pid_of_daemon)"
    sound
}

# And goes on when there is memory again.
gets_memory_back() {
    local pid
    fresh
    mount_store
    mkdir "$mnt/files"
    pid=$(pid_of_daemon)
    prlimit --pid "$pid" --data=1000:
    load 40
    [ -s failures ]
    prlimit --pid "$pid" --data=unlimited:
    load 30
    same 0 "$(wc -l <failures)"
    holds_load
    ends
    is_unharmed
}

# In a control group with little memory, most of it taken by the pages of what is written.
has_a_small_group() {
    local group limit=$((128 << 20))
    if [ -d /sys/fs/cgroup/memory ]; then
        group=/sys/fs/cgroup/memory/lsmfs-test-$$
    else
        group=/sys/fs/cgroup/lsmfs-test-$$
    fi
    if ! mkdir "$group" || ! echo $limit >"$group/memory.limit_in_bytes" 2>/dev/null &&
        ! echo $limit >"$group/memory.max"; then
        echo "no memory control group can be made here" >"$WORK/remark"
        rmdir "$group" || true
        return 0
    fi
    fresh
    (
        echo $BASHPID >"$group/cgroup.procs"
        exec "$lsmfs" "$store" "$mnt"
    )
    head -c 150000000 /dev/urandom | tee "$mnt/large" | md5sum >sum
    load 40
    same 0 "$(wc -l <failures)"
    # How often the limit was met.
    [ "$(cat "$group/memory.failcnt" 2>/dev/null ||
        sed -n 's/^max //p' "$group/memory.events")" -gt 0 ]
    same "$(cat sum)" "$(md5sum <"$mnt/large")"
    holds_load
    ends
    rmdir "$group"
}

# ---- the sizes of files ----

# It died of SIGXFSZ.
has_small_files() {
    fresh
    limited -f 4096 "$lsmfs" "$store" "$mnt"
    load 40
    [ -s failures ]
    failed_by 'File too large'
    # The times of the directory may find no room any more: then it says so.
    "$lsmfs" umount "$mnt" 2>said || grep 'File too large' said
    await_end "$(pid_of_daemon)"
    sound
    is_unharmed
}

check "more tables than descriptors" has_more_tables
check "more clients than descriptors" has_many_clients
check "few descriptors to begin with" begins_with_few
check "no descriptor left" ends_without_any
check "few addresses" has_few_addresses
check "unmounted without memory" unmounts_without_memory
check "no memory, and a client that says nothing" unmounts_beside_the_silent
check "memory comes back" gets_memory_back
check "a small control group" has_a_small_group
[ ! -s remark ] || echo "# $(cat remark)"
check "small files" has_small_files
finish
