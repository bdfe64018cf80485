#!/bin/bash
#
# repair.sh - lsmfs repair of a store that is mounted: by its daemon, beside its work.  Of one that is
# not, see check.sh.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"
new=$WORK/new
copy=$WORK/copy

# Files of all kinds in tables of two levels, a snapshot of others.
fill() {
    mount_store -o suid,dev
    cp -a /usr/include/linux "$mnt/linux"
    mkdir "$mnt/d"
    ln "$mnt/linux/fs.h" "$mnt/d/hard"
    head -c 3000000 /dev/urandom >"$mnt/large"
    mkdir "$mnt/.snapshots/before"
    rm -r "$mnt/linux/can"
    # More than a memtable holds, so that a flush comes.
    head -c 40000000 /dev/urandom >"$mnt/filler"
    rm "$mnt/filler"
    umount_store
}

# repairs STATUS PLACE [OPTION]...: makes $new of what is mounted there.
repairs() {
    local wanted=$1 place=$2 status=0
    shift 2
    rm -rf "$new"
    "$lsmfs" repair "$@" "$place" "$new" >told 2>&1 || status=$?
    cat told
    same "$wanted" $status
    [ ! -e "$new.unfinished" ]
}

# What was just written, and is not in a table yet, is there; snapshots are.
whole_store() {
    local place
    mount_store
    for place in "$store" "$mnt"; do
        echo "$place" >"$mnt/written"
        touch -d '2001-02-03 04:05:06' "$mnt/d"
        "$lsmfs" export -o mounted.tar "$mnt"
        "$lsmfs" export -o snapshot.tar --snapshot=before "$mnt"
        repairs 0 "$place"
        same "$new: whole; 0 findings of damage, 0 of loss, 0 mended, 0 left" "$(cat told)"
        same "" "$("$lsmfs" check --quiet --snapshots "$new")"
        "$lsmfs" export -o new.tar "$new"
        cmp mounted.tar new.tar
        "$lsmfs" export -o new.tar --snapshot=before "$new"
        cmp snapshot.tar new.tar
    done
    repairs 0 "$mnt" --json
    same "{\"result\":\"whole\",\"store\":\"$new\",\"damage\":0,\"lost\":0,\"mended\":0,\"left\":0}" "$(cat told)"
    "$lsmfs" repair "$mnt"
    "$lsmfs" check --quiet "$store.repaired"
    rm -r "$store.repaired"
    fails_with 8 "$new: is there already" "$lsmfs" repair "$mnt" "$new"
    umount_store
    sound
}

# The moment that it shows is one: every name of the writer's leads to whole contents.
beside_a_writer() {
    local writer rounds=0
    mount_store
    "$lsmfs" export -o part.tar "$mnt" linux large d
    (
        for _ in 1 2 3 4; do
            cp -r /usr/include/linux "$mnt/beside"
            mkdir "$mnt/.snapshots/beside"
            mv "$mnt/beside" "$mnt/moved"
            rm -r "$mnt/moved"
            rmdir "$mnt/.snapshots/beside"
        done
    ) &
    writer=$!
    while kill -0 $writer 2>/dev/null; do
        repairs 0 "$mnt"
        same "" "$("$lsmfs" check --quiet --snapshots "$new")"
        "$lsmfs" export -o new.tar "$new" linux large d
        cmp part.tar new.tar
        rounds=$((rounds + 1))
    done
    wait $writer
    echo "repaired $rounds times beside the writer"
    [ $rounds -gt 0 ]
    umount_store
    sound
}

# Bytes are overwritten under the daemon, in every file that it reads: the same is told, and the same
# is in the new store, as of the store unmounted.
damaged() {
    local file size at lost=0 status
    # All of it is in tables: what a log has is not lost with them.
    mount_store
    "$lsmfs" compact "$mnt"
    umount_store
    for file in $(cd "$store" && ls ./*.sst ./*.blob); do
        size=$(stat -c %s "$store/$file")
        for at in $((size / 5)) $((size / 2)); do
            rm -rf "$copy" new.*
            cp -r "$store" "$copy"
            "$lsmfs" "$copy" "$mnt"
            printf '\377\376' | dd of="$copy/$file" bs=1 seek=$at conv=notrunc status=none
            echo 3 >/proc/sys/vm/drop_caches
            status=0
            "$lsmfs" repair "$mnt" new.mounted >told 2>&1 || status=$?
            cat told
            # Of a value that nobody refers to nothing is told, and nothing is missing.
            grep -q "^damage: ${file#./}: offset [0-9]*: " told || [[ $file = *.blob && $status = 0 ]]
            echo still >"$mnt/used"
            same still "$(cat "$mnt/used")"
            rm "$mnt/used"
            umount_store
            fails_with $status "" "$lsmfs" repair "$copy" new.unmounted >again
            diff <(grep "^damage\|^lost" told) <(grep "^damage\|^lost" again)
            "$lsmfs" check new.mounted >found || grep -q "^left: " told
            "$lsmfs" export -o unmounted.tar new.unmounted 2>/dev/null || [ $? = 4 ]
            "$lsmfs" export -o mounted.tar new.mounted 2>/dev/null || [ $? = 4 ]
            tar -tf unmounted.tar >unmounted
            tar -tf mounted.tar | diff unmounted -
            [ $status != 4 ] || lost=$((lost + 1))
        done
    done
    echo "something was lost $lost times"
    [ $lost -gt 0 ]
}

# begin_repair: in the background, as $pid, until the daemon writes to the new store, or it has ended.
begin_repair() {
    rm -rf "$new"
    "$lsmfs" repair "$mnt" "$new" >told 2>&1 &
    pid=$!
    while kill -0 $pid 2>/dev/null && [ ! -e "$new.unfinished/store" ]; do
        sleep 0.01
    done
}

# Whoever asked has gone: the daemon stops, and the next repair replaces what is left.
killed() {
    local pid signal delay unfinished=0
    mount_store
    head -c 100000000 /dev/urandom >"$mnt/filler"
    for signal in KILL INT KILL; do
        for delay in 0 0.1; do
            begin_repair
            sleep $delay
            kill -$signal $pid 2>/dev/null || true
            wait $pid || true
            [ ! -e "$new.unfinished/store" ] || unfinished=$((unfinished + 1))
        done
    done
    [ $unfinished -gt 0 ]
    for _ in {1..100}; do
        rm -rf "$new"
        "$lsmfs" repair "$mnt" "$new" >told 2>&1 && break
        grep "another repair is running" told || { cat told; return 1; }
        sleep 0.1
    done
    cat told
    same "" "$("$lsmfs" check --quiet --snapshots "$new")"
    [ ! -e "$new.unfinished" ]
    umount_store
}

# Unmounting does not wait for it.  What the daemon was about to write may be left, as of one that was killed.
unmounted_meanwhile() {
    local pid delay status
    for delay in 0 0 0.05 0.1; do
        mount_store
        begin_repair
        sleep $delay
        umount_store
        status=0
        wait $pid || status=$?
        echo "after $delay s: $(cat told)"
        ! grep -q "the daemon ended before it answered" told || break
    done
    same 8 $status
    [ ! -e "$new" ]
    sound
    "$lsmfs" repair "$store" "$new"
    [ ! -e "$new.unfinished" ]
}

full_disk() {
    local small=$WORK/small status=0
    mount_store
    mkdir "$small"
    mount -t tmpfs -o size=2m none "$small"
    "$lsmfs" repair "$mnt" "$small/new" >told 2>&1 || status=$?
    ls -A "$small" >left
    umount "$small"
    rmdir "$small"
    cat told
    same 8 $status
    grep -q "No space left on device" told
    same "" "$(cat left)"
    umount_store
    sound
}

not_into_itself() {
    mount_store
    fails_with 8 "$mnt/new: is in what is mounted at $mnt" "$lsmfs" repair "$mnt" "$mnt/new"
    same "" "$(ls -d "$mnt"/new* 2>/dev/null)"
    umount_store
}

# It has no daemon to ask, and does not keep others from reading.
read_only() {
    mount_store -o ro
    repairs 0 "$mnt"
    repairs 0 "$store"
    umount_store
}

# The daemon of a user writes as that user: where that one may, and for nobody else.
of_a_user() {
    local user=65534 as home=$WORK/home
    as=(setpriv --reuid "$user" --regid "$user" --clear-groups)
    fuse_for $user
    chmod 755 "$WORK"
    mkdir "$home" "$home/mnt"
    chown -R $user:$user "$home"
    "${as[@]}" "$lsmfs" "$home/store" "$home/mnt"
    "${as[@]}" sh -c "echo text >'$home/mnt/file'"
    fails_with 8 "is mounted by user $user, who alone can" "$lsmfs" repair "$home/store" "$new.root"
    [ ! -e "$new.root" ] && [ ! -e "$new.root.unfinished" ]
    fails_with 8 "Permission denied" "${as[@]}" "$lsmfs" repair "$home/mnt" "$WORK/not"
    "${as[@]}" "$lsmfs" repair "$home/mnt" "$home/new"
    same "" "$(find "$home/new" ! -user $user)"
    same text "$("${as[@]}" "$lsmfs" get "$home/new" file)"
    "${as[@]}" "$lsmfs" umount "$home/mnt"
    # One that does not know us does not come to root's.
    mount_store
    fails_with 8 "Permission denied" "${as[@]}" "$lsmfs" repair "$store" "$home/root"
    umount_store
}

check "makes a store" fill
check "repair of a mounted store without damage is the same" whole_store
check "repair beside a writer is one moment" beside_a_writer
check "a store read-only" read_only
check "not into the mount itself" not_into_itself
check "a full disk leaves nothing" full_disk
check "for the user of the daemon alone" of_a_user
check "damage of a mounted store is told, and mended, as of an unmounted one" damaged
alone "a killed repair" killed
check "unmounting ends a repair" unmounted_meanwhile
! grep -q " $mnt " /proc/mounts || umount_store
finish
