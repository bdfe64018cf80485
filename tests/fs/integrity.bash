# shellcheck shell=bash
#
# integrity.bash - what tests/fs/integrity.sh and tests/long/integrity.sh share: fio and
# stress-ng on a mount, held against the file system that holds WORK.  Sourced by them, after
# they have set
#
#     seconds    how long a stressor runs
#     mib        the size of fio's files
#     rounds     how often the daemon dies under fio
#
# A stressor that fails on the mount runs again beside it, a job of fio too if it needs
# io_uring, which containers often lack: what fails there as well is not held against the
# mount, and a remark says so.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "${BASH_SOURCE[0]}")/mounted.bash"
: "${seconds:?}" "${mib:?}" "${rounds:?}"
seed=${LSMKV_SEED:-$((RANDOM * 32768 + RANDOM))}
echo "# LSMKV_SEED=$seed"
user=65534
tree=$mnt/tree
beside=$WORK/beside
journal=$WORK/journal # what the daemon says
memory_limit=256      # MiB

# The daemon stays in the foreground, so that its messages can be read.
start() {
    "$lsmfs" -f "$store" "$mnt" -o suid,dev,allow_other >>"$journal" 2>&1 &
    await_mount
}

begins() {
    mkdir "$beside"
    start
    mkdir "$tree"
    chmod 755 "$WORK" "$mnt"
    chmod 1777 "$tree" "$beside"
}

again() {
    note_peak
    umount_store
    start
}

# The highest peak of all daemons so far.
note_peak() {
    local peak
    peak=$(peak_of "$(daemon_pid)")
    [ "$peak" -le "$(cat highest 2>/dev/null || echo 0)" ] || echo "$peak" >highest
}

# on_both COMMAND ARGUMENT...: COMMAND with a directory as its first argument, on the mount; what
# fails beside it as well counts as held, with a remark.
on_both() {
    ("$1" "$tree" "${@:2}") && return 0
    echo "beside the mount:"
    if ! ("$1" "$beside" "${@:2}"); then
        echo "the same on the file system beneath" >remark
        return 0
    fi
    return 1
}

# claim NAME COMMAND...: check, with what on_both remarked.
claim() {
    rm -f remark
    check "$@"
    [ ! -s remark ] || echo "# $1: $(cat remark)"
}

# ---- fio ----

# fio writes headers with offsets, sequence and CRC32C into its blocks, and reads them back.
fio_in() {
    local name=$1 directory=$2
    shift 2
    nice fio --name="$name" --directory="$directory" --randseed="$seed" --verify=crc32c \
        --verify_fatal=1 --size="${mib}m" --aux-path="$WORK" --minimal "$@" >fio.out 2>&1 || {
        cut -c1-200 fio.out
        return 1
    }
}

# What the last job read back, KiB: one that verifies nothing is no proof.
verified() {
    awk -F';' '{ read += $6 } END { print read + 0; exit read == 0 }' fio.out
}

# fio_job DIRECTORY NAME OPTION...
fio_job() {
    local name=$2 directory=$1/fio
    shift 2
    rm -rf "$directory"
    mkdir "$directory"
    fio_in "$name" "$directory" "$@"
    verified
}

# Each way to write, and each size and shape of requests.
fio_jobs() {
    local name options
    while read -r name options; do
        # shellcheck disable=SC2086
        case $options in
        *io_uring*) claim "fio: $name" on_both fio_job "$name" $options ;;
        *) check "fio: $name" fio_job "$tree" "$name" $options ;;
        esac
    done <<'END'
sequential --rw=write --bs=4k
sequential-large --rw=write --bs=1m
random --rw=randwrite --bs=4k
mixed --rw=randrw --bs=4k
odd-size --rw=randwrite --bs=3000
unaligned --rw=randwrite --bsrange=512-70000 --bs_unaligned
split-sizes --ioengine=pvsync2 --rw=randwrite --bssplit=4k/60:64k/40
mmap --ioengine=mmap --rw=randwrite --bs=4k
mmap-mixed --ioengine=mmap --rw=randrw --bs=12k
splice --ioengine=splice --rw=write --bs=16k
libaio-direct --ioengine=libaio --direct=1 --iodepth=16 --rw=randwrite --bs=4k
libaio-direct-unaligned --ioengine=libaio --direct=1 --iodepth=16 --rw=randwrite --bs=4k --blockalign=512
libaio --ioengine=libaio --iodepth=16 --rw=randrw --bs=8k
posixaio --ioengine=posixaio --iodepth=8 --rw=randrw --bs=8k
io_uring --ioengine=io_uring --iodepth=16 --rw=randrw --bs=8k
io_uring-direct --ioengine=io_uring --direct=1 --iodepth=16 --rw=randwrite --bs=16k
jobs --numjobs=4 --rw=randwrite --bs=4k --size=4m
jobs-one-file --numjobs=4 --filename=one --offset_increment=4m --size=4m --rw=randwrite --bs=4k
fallocate-none --fallocate=none --rw=randwrite --bs=8k
fallocate-native --fallocate=native --rw=randwrite --bs=8k
fallocate-posix --fallocate=posix --rw=randwrite --bs=8k
fallocate-keep --fallocate=keep --rw=randwrite --bs=8k
fallocate-truncate --fallocate=truncate --rw=randwrite --bs=8k
overwrite --overwrite=1 --rw=randwrite --bs=4k
dsync --sync=dsync --rw=randwrite --bs=4k --size=1m
fsync --fsync=16 --rw=randwrite --bs=4k --size=4m
small-files --nrfiles=200 --filesize=3000 --size=600000 --rw=write --bs=1000
many-files --nrfiles=100 --filesize=1k-64k --size=3m --rw=randwrite --bsrange=512-8k --bs_unaligned
loops --loops=3 --rw=randwrite --bs=4k --size=4m
backlog --verify_backlog=64 --rw=randwrite --bs=4k --size=4m
END
}

# Holes punched, ranges zeroed and allocated where others verify.
fio_falloc() {
    local directory=$tree/fio way
    rm -rf "$directory"
    mkdir "$directory"
    for way in randtrim randread randwrite; do
        fio_in falloc "$directory" --verify=0 --ioengine=falloc --rw=$way --bs=4k
    done
}

kept=(--rw=randwrite --bsrange=512-16k --bs_unaligned --numjobs=2)

fio_writes_kept() {
    rm -rf "$tree/fio"
    mkdir "$tree/kept"
    fio_in kept "$tree/kept" "${kept[@]}" --do_verify=0
}

fio_finds_kept() {
    fio_in kept "$tree/kept" "${kept[@]}" --verify_only
    verified
}

fio_after_remount() {
    again
    fio_finds_kept
}

# A snapshot keeps the blocks, while other ones replace them.
fio_in_snapshot() {
    local name
    mkdir "$mnt/.snapshots/kept"
    for name in kept.0.0 kept.1.0; do
        cp "$mnt/.snapshots/kept/tree/kept/$name" "$beside"
    done
    fio_in other "$tree/kept" --filename=kept.0.0:kept.1.0 --rw=randwrite --bs=8k --size=$((2 * mib))m
    verified
    cmp "$beside/kept.0.0" "$mnt/.snapshots/kept/tree/kept/kept.0.0"
    cmp "$beside/kept.1.0" "$mnt/.snapshots/kept/tree/kept/kept.1.0"
    not cmp -s "$beside/kept.0.0" "$tree/kept/kept.0.0"
    again
    cmp "$beside/kept.0.0" "$mnt/.snapshots/kept/tree/kept/kept.0.0"
    rmdir "$mnt/.snapshots/kept"
}

# Options of a round's job.  The files are far larger than what is written until the daemon
# dies, and made in full, for fio makes shorter ones anew when it verifies.
killed_job() {
    local ways=('--ioengine=psync --bs=4k' '--ioengine=libaio --direct=1 --iodepth=16 --bs=4k'
        '--ioengine=psync --bsrange=512-20000 --bs_unaligned'
        '--ioengine=io_uring --iodepth=16 --bs=4k')
    echo "${ways[$1 % ${#ways[@]}]} --rw=randwrite --size=$((seconds * 512 + 512))m --fallocate=truncate --numjobs=2"
}

# fio saves which blocks were acknowledged, and kills the daemon.
fio_killed() {
    local pid
    note_peak
    pid=$(daemon_pid)
    mkdir "$tree/killed$1"
    # shellcheck disable=SC2046
    fio_in "killed$1" "$tree/killed$1" $(killed_job "$1") --verify_state_save=1 \
        --trigger-timeout="$seconds" --trigger="kill -KILL $pid" || true
    await_end "$pid"
    fusermount3 -u "$mnt" || fusermount3 -uz "$mnt"
    ls "local-killed$1-0-verify.state" "local-killed$1-1-verify.state"
    start
}

# fio_finds_killed FIRST LAST: every block that was acknowledged in these rounds is there.  One
# request at a time: with several under way, fio 3.33 wants blocks that never were.
fio_finds_killed() {
    local round
    for ((round = $1; round <= $2; round++)); do
        # shellcheck disable=SC2046
        fio_in "killed$round" "$tree/killed$round" $(killed_job "$round") \
            --ioengine=psync --iodepth=1 --verify_only --verify_state_load=1 \
            --verify_state_save=0
        verified
    done
}

fio_kills() {
    local round
    for ((round = 0; round < rounds; round++)); do
        check "fio: the daemon dies, round $round" fio_killed $round
        check "fio: all that was acknowledged is there, round $round" \
            fio_finds_killed $round $round
    done
    check "fio: and that of all rounds after a remount" fio_after_kills
}

fio_after_kills() {
    again
    fio_finds_killed 0 $((rounds - 1))
}

integrity_fio() {
    fio_jobs
    check "fio: fallocate's modes" fio_falloc
    check "fio: writes what is to be kept" fio_writes_kept
    check "fio: it is there" fio_finds_kept
    check "fio: and after a remount" fio_after_remount
    check "fio: a snapshot keeps it" fio_in_snapshot
    fio_kills
}

# ---- stress-ng ----

# Of the class "filesystem" all but those that touch no file below --temp-path; of others those
# that do.
stressors() {
    local not_here=' bind-mount binderfs eventfd procfs '
    local others='aio aiol chroot close fault fifo io-uring madvise metamix mincore msync
        readahead remap revio rlimit seek sendfile sigbus swap umount unlink'
    local class name
    class=$(stress-ng --class 'filesystem?' 2>&1 | sed -n 's/^class .* stressors: //p')
    stress-ng --help | sed -n 's/^ *\(-[A-Za-z] *N, *\)\?--\([a-z0-9-]*\) N *.*/\2/p' >known
    for name in $class; do
        [[ $not_here == *" $name "* ]] || echo "$name"
    done
    for name in $others; do
        grep -qx -- "$name" known && echo "$name"
    done
}

# No FIEMAP and no swap file through FUSE: these stressors find out, and say so.
declined() {
    [[ " fiemap swap " == *" $1 "* ]]
}

# Runs a stressor in a directory of its own below DIRECTORY: 0 it did its work, 1 it failed or
# left something, 2 it found that it cannot work there.
stress() {
    local name=$1 as=$2 directory=$3/$2-$1 log=stress-$1.out options=() user_options=()
    case $name in
    hdd) options=(--hdd-opts 'direct,fsync,iovec,utimes,rd-rnd,wr-rnd') ;;
    esac
    [ "$as" = root ] || user_options=(setpriv "--reuid=$user" "--regid=$user" --clear-groups)
    mkdir "$directory"
    [ "$as" = root ] || chown $user:$user "$directory"
    chmod 777 "$directory"
    # A stressor may take its time to clean up; one that hangs ends here.
    timeout -k 5 $((seconds * 3 + 120)) "${user_options[@]}" nice stress-ng \
        --temp-path "$directory" --verify --metrics --timeout "$seconds" --"$name" 2 \
        "${options[@]}" >"$log" 2>&1
    case $? in
    0) ;;
    3 | 4) return 2 ;;
    *) return 1 ;;
    esac
    ! grep -qiE 'skipp|not supported|not implemented' "$log" || return 2
    rmdir "$directory" 2>>"$log"
}

# What came of a stressor on the mount is in stress-NAME.status.
judge() {
    local name=$1 as=$2 status there=0
    status=$(cat "stress-$name.status")
    cat "stress-$name.out"
    [ "$status" != 0 ] || return 0
    if [ "$status" = 2 ] && declined "$name"; then
        rmdir "$tree/$as-$name"
        echo "not possible through FUSE" >remark
        return 0
    fi
    ls -RA "$tree/$as-$name" | head -n 20
    echo "beside the mount:"
    stress "$name" "$as" "$beside" || there=$?
    cat "stress-$name.out"
    rm -rf "$beside/$as-$name" "${tree:?}/$as-$name"
    same "$status" $there
    echo "the same on the file system beneath" >remark
}

# stress_all USER NAME...: four stressors at a time; a line for each.
stress_all() {
    local as=$1 name
    shift
    while [ $# -gt 0 ]; do
        for name in "${@:1:4}"; do
            (
                status=0
                stress "$name" "$as" "$tree" || status=$?
                echo $status >"stress-$name.status"
            ) </dev/null &
        done
        wait
        for name in "${@:1:4}"; do
            claim "stress-ng, $as: $name" judge "$name" "$as"
        done
        shift $(($# < 4 ? $# : 4))
    done
}

integrity_stress() {
    local every
    mapfile -t every < <(stressors)
    stress_all root "${every[@]}"
    stress_all user access chdir chmod copy-file dentry dir dup fallocate fcntl filename flock \
        fstat hdd inotify lease link lockf open rename seek symlink touch utime xattr
}

# ---- the end ----

# Of what the daemon says without being asked, only what follows from its death is no complaint:
# recovery, and a frame cut off that nobody was told of.
no_complaints() {
    cat "$journal"
    not grep -vE ': recovery: unclean stop|: a torn frame, never acknowledged as durable' "$journal"
}

bounded() {
    note_peak
    echo "the daemons' highest peak: $(cat highest) MiB"
    [ "$(cat highest)" -lt $memory_limit ]
}

# The tree can be read and removed, and fio's files are all that is left in it.
lists_and_empties() {
    ls -lR "$mnt"
    rm -rf "$tree"/{fio,kept,killed*}
    rmdir "$tree"
    same '' "$(ls -A "$mnt")"
    "$lsmfs" sync "$mnt"
}

mounts_again() {
    local left
    start
    left=$(ls -A "$mnt")
    umount_store
    same '' "$left"
}

integrity_ends() {
    check "the tree can be listed, and nothing was left in it" lists_and_empties
    check "the daemons stayed below $memory_limit MiB" bounded
    echo "# highest peak: $(cat highest) MiB"
    check "unmounts" umount_store
    check "the store mounts again" mounts_again
    check "the daemon complained of nothing" no_complaints
    finish
}
