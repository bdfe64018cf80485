#!/bin/bash
#
# full.sh - a store that fills the file system below it: ext4 in a loop device, a small tmpfs.
#
# Filled through the mount, up to the reserve that the engine keeps, and to the last byte by
# others.  Writes are ENOSPC, reads go on, fsync says what is so, the daemon's death loses nothing,
# and when there is space again, writes go on without a remount.  (What removing files gives back:
# whole.sh.)

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"
if [ "$(id -u)" != 0 ]; then
    echo "ok - skipped: needs root"
    exit 0
fi
disk=$WORK/disk # the small file system
store=$disk/store
ballast=$disk/ballast
size=200 # MiB
mkdir "$disk"

make_ext4() {
    truncate -s ${size}M image
    mkfs.ext4 -q -m 0 image
    mount -o loop image "$disk"
}

make_tmpfs() {
    mount -t tmpfs -o size=${size}m none "$disk"
}

# begins KIND: a small file system, a store in it, and what is to be there whatever happens.
begins() {
    "make_$1"
    mount_store
    cp -r /usr/include/linux "$mnt/tree"
    mkdir "$mnt/.snapshots/before"
    echo kept >"$mnt/kept"
    echo spare >"$mnt/spare"
    setfattr -n user.kept -v kept "$mnt/kept"
    daemon_pid >pid
    : >written
    writes first 3
    [ "$(wc -l <written)" = 3 ]
}

ends() {
    umount_store
    sound
    umount "$disk"
    rm -f image
}

# Not one daemon after another.
is_same_daemon() {
    same "$(cat pid)" "$(daemon_pid)"
}

# writes NAME [COUNT]: so many files, or until one finds no space.  `written` gets the sums of those
# that were written whole, each made durable.
writes() {
    local i size
    for ((i = 1; i <= ${2:-1000}; i++)); do
        size=$((i % 3 == 0 ? 6000000 : i * 777 % 200000))
        head -c $size /dev/urandom >content
        dd if=content of="$mnt/$1$i" bs=64k conv=fsync status=none 2>said || return
        echo "$(md5sum <content | cut -d' ' -f1)  $1$i" >>written
    done
}

# What was freed meanwhile is taken, and then there is none again.
fills() {
    not writes "$1"
    cat said
    grep 'No space left' said
    wc -l written
    is_same_daemon
}

# Everything that can be asked.
reads_go_on() {
    diff -r /usr/include/linux "$mnt/tree"
    diff -r /usr/include/linux "$mnt/.snapshots/before/tree"
    same kept "$(cat "$mnt/kept")"
    same kept "$(getfattr --only-values -n user.kept "$mnt/kept")"
    (cd "$mnt" && md5sum --quiet -c "$WORK/written")
    same "$(find "$mnt/tree" | wc -l)" "$(find /usr/include/linux | wc -l)"
    df "$mnt" >/dev/null
    is_same_daemon
}

# What was written is durable already, so it can be said; for the times of what was read, which
# were to be written some time, there may be no room.
syncs_tell() {
    local name
    while read -r _ name; do
        sync "$mnt/$name"
    done <written
    sync "$mnt/kept"
    "$lsmfs" sync "$mnt" 2>said || grep 'No space left' said
}

# With the reserve for them: what adds next to nothing.
changes_a_little() {
    chmod 640 "$mnt/kept"
    touch -d 2001-01-01 "$mnt/kept"
    same '640 978307200' "$(TZ=UTC stat -c '%a %Y' "$mnt/kept")"
    mkdir "$mnt/.snapshots/full"
    same kept "$(cat "$mnt/.snapshots/full/kept")"
    rmdir "$mnt/.snapshots/full"
    rm "$mnt/spare"
    [ ! -e "$mnt/spare" ]
}

dies() {
    kill_daemon
    sound
    mount_store
    daemon_pid >pid
}

remounts() {
    umount_store
    sound
    mount_store
    daemon_pid >pid
}

# There is space: not by the store's doing.
goes_on() {
    rm -f "$ballast"
    # The engine looks for space now and then.
    for _ in {1..100}; do
        ! head -c 1000000 /dev/zero >"$mnt/again" 2>/dev/null || break
        sleep 0.1
    done
    head -c 5000000 /dev/urandom >content
    dd if=content of="$mnt/again" bs=1M conv=fsync status=none
    cmp content "$mnt/again"
    cp -r /usr/include/linux "$mnt/tree2"
    diff -r /usr/include/linux "$mnt/tree2"
    rm -r "$mnt/tree2" "$mnt/again"
    reads_go_on
}

# All that is left, or so much of it, is somebody else's.
takes_all() {
    local bs
    for bs in 1M 4k 1; do
        fails_with 1 'No space left' dd if=/dev/zero of="$ballast" bs=$bs oflag=append \
            conv=notrunc status=none
    done
}

takes() {
    fallocate -l "$1" "$ballast"
}

# Filled by programs on the mount; in the end what others had comes back.
fills_through_the_mount() {
    check "$1: a store in it" begins "$1"
    check "$1: others take a part" takes 40M
    check "$1: written until it is full" fills a
    check "$1, full: reads go on" reads_go_on
    check "$1, full: what was written can be synced" syncs_tell
    check "$1, full: small changes" changes_a_little
    check "$1, full: the daemon dies" dies
    check "$1, full: writes are refused still" fills b
    check "$1, full: remounted" remounts
    check "$1: space returns, and writes go on" goes_on
    check "$1: ends" ends
}

# To the last byte, under a daemon at work: its log can take no frame.
fills_beneath_it() {
    check "$1: a store in it" begins "$1"
    check "$1: others take all that there is" takes_all
    check "$1, no byte free: written until it is full" fills a
    check "$1, no byte free: reads go on" reads_go_on
    check "$1, no byte free: what was written can be synced" syncs_tell
    check "$1: space returns, and writes go on" goes_on
    check "$1: others take all again" takes_all
    check "$1, no byte free: the daemon dies" dies_without_space
    check "$1: ends" ends
}

# Where nothing can be written it may not be possible to mount; it is when there is space.
dies_without_space() {
    kill_daemon
    sound
    if ! mount_store >said 2>&1; then
        cat said
        grep 'No space left' said
        rm "$ballast"
        mount_store
    fi
    daemon_pid >pid
    reads_go_on
    goes_on
    remounts
    reads_go_on
}

fills_through_the_mount ext4
fills_beneath_it ext4
fills_beneath_it tmpfs
finish
