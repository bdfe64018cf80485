#!/bin/bash
#
# check.sh - lsmfs check and lsmfs export on stores that real programs made: clean ones, killed
# ones, damaged ones.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"
copy=$WORK/copy

# Every kind of file, large and small, links, attributes, a rename of a tree, snapshots.
fill() {
    mount_store -o suid,dev
    mkdir "$mnt/.snapshots/empty"
    cp -a /usr/include/linux "$mnt/linux"
    mkdir -p "$mnt/d/e/f"
    ln "$mnt/linux/fs.h" "$mnt/d/hard"
    ln -s ../linux "$mnt/d/symbolic"
    mkfifo "$mnt/d/fifo"
    mknod "$mnt/d/null" c 1 3
    setfattr -n user.short -v 1 "$mnt/d"
    setfattr -n user.long -v "$(head -c 3000 /dev/zero | tr '\0' x)" "$mnt/linux/fs.h"
    head -c 3000000 /dev/urandom >"$mnt/large"
    truncate -s 1000000 "$mnt/large"
    truncate -s 5000000 "$mnt/large"
    printf x | dd of="$mnt/large" bs=1 seek=200001 conv=notrunc status=none
    printf 'a\nb' >"$mnt/"$'x\ny\377'
    chown 12:34 "$mnt/d/e"
    chmod 4711 "$mnt/large"
    touch -d '2001-02-03 04:05:06.123456789' "$mnt/d/e/f"
    mkdir "$mnt/.snapshots/before"
    mv "$mnt/d" "$mnt/linux/d"
    rm -r "$mnt/linux/can"
    rmdir "$mnt/linux/d/e/f"
    umount_store
}

clean_store() {
    same "$store: clean" "$("$lsmfs" check "$store")"
    same "" "$("$lsmfs" check --quiet --snapshots "$store")"
    same '{"result":"clean","damage":0,"notes":0}' "$("$lsmfs" check --json "$store")"
}

# What it looks at, it leaves as it is.
changes_nothing() {
    (cd "$store" && sha256sum ./*) >before
    "$lsmfs" check --snapshots "$store"
    "$lsmfs" export "$store" >/dev/null
    diff before <(cd "$store" && sha256sum ./*)
}

killed_store() {
    mount_store
    cp -r /usr/include/linux "$mnt/again"
    exec 5<>"$mnt/nameless"
    head -c 1000000 /dev/zero >&5
    rm "$mnt/nameless"
    kill_daemon
    exec 5>&- || true
    sound
    "$lsmfs" check "$store" | grep -x "note: recovery: unclean stop; .*"
    mount_store
    umount_store
    clean_store
}

mounted_store() {
    mount_store
    fails_with 8 "in use by process .*, mounted at $mnt" "$lsmfs" check "$store"
    fails_with 1 "in use by process .*, mounted at $mnt" "$lsmfs" export "$store"
    umount_store
}

usage() {
    fails_with 16 "missing operand" "$lsmfs" check
    fails_with 16 "too many operands" "$lsmfs" check a b
    fails_with 16 "unknown option '--none'" "$lsmfs" check --none "$store"
    fails_with 8 "No such file" "$lsmfs" check nowhere
    "$lsmfs" check --help | grep -q "^Exit status"
    fails_with 2 "missing operand" "$lsmfs" export
    fails_with 2 "unknown option" "$lsmfs" export --none "$store"
    fails_with 2 "no value" "$lsmfs" export "$store" -o
    fails_with 1 "nowhere: No such file" "$lsmfs" export nowhere
    fails_with 1 "nowhere: No such file" "$lsmfs" export -o t.tar "$store" nowhere
    fails_with 1 "none: No such file" "$lsmfs" export --snapshot=none "$store"
    "$lsmfs" export --help | grep -q "^Exit status"
}

# A terminal is shown a bar, and colour unless NO_COLOR; what is no terminal neither.
on_a_terminal() {
    script -qc "'$lsmfs' check '$store'" screen >/dev/null
    grep -q $'\e\[K\[#* *\] 100 %' screen
    not grep -q $'\e' <<<"$("$lsmfs" check "$store" 2>&1)"
    damage_copy 700
    script -qc "'$lsmfs' check '$copy'" screen >/dev/null
    grep -q $'\e\[31mdamage' screen
    NO_COLOR=1 script -qc "'$lsmfs' check '$copy'" screen >/dev/null
    not grep -q $'\e\[31m' screen
}

# damage_copy OFFSET: flips a byte there in the largest file of a copy of the store.
damage_copy() {
    rm -rf "$copy"
    cp -r "$store" "$copy"
    victim=$(cd "$copy" && ls -S | head -n 1)
    printf '\377' | dd of="$copy/$victim" bs=1 seek="$1" conv=notrunc status=none
    cmp -s "$store/$victim" "$copy/$victim" || return 0
    printf '\376' | dd of="$copy/$victim" bs=1 seek="$1" conv=notrunc status=none
}

# Wherever a file is damaged, it is named, with an offset at or before the place.
damage_is_found() {
    local size at offset
    size=$(cd "$store" && stat -c %s "$(ls -S | head -n 1)")
    for at in $(seq 0 $((size / 20)) $((size - 1))); do
        damage_copy "$at"
        fails_with 4 "^damage: $victim: offset [0-9]*: " "$lsmfs" check --quiet "$copy"
        "$lsmfs" check --json "$copy" >found || true
        offset=$(sed -n "s/.*\"file\":\"$victim\",\"offset\":\([0-9]*\),.*/\1/p" found | head -n 1)
        [ "$offset" -le "$at" ] || {
            echo "byte $at of $victim is damaged, found at $offset"
            return 1
        }
    done
}

# Everything that a tar archive can hold comes out as it shows on a mount.
exported() {
    "$lsmfs" export "$store" >all.tar
    mount_store -o suid,dev
    tar -C "$mnt" -df all.tar
    rm -rf out
    mkdir out
    tar --xattrs --xattrs-include='*' -C out -xpf all.tar
    same "" "$(rsync -aHXni --delete --devices --specials "$mnt/" out/ 2>&1)"
    same "$(stat -c '%y %u:%g' "$mnt/linux/d/e")" "$(stat -c '%y %u:%g' out/linux/d/e)"
    "$lsmfs" umount "$mnt"
}

a_part_is_exported() {
    "$lsmfs" export -o part.tar --snapshot=before "$store" d linux/fs.h
    same "d/ d/e/ d/e/f/ d/fifo d/hard d/null d/symbolic linux/fs.h" \
        "$(tar -tf part.tar | sort | xargs)"
    mount_store -o suid,dev
    tar -C "$mnt/.snapshots/before" -df part.tar
    umount_store
    same "" "$("$lsmfs" export --snapshot=empty "$store" | tar -t | grep -vx ./)"
}

# In the tables now.  What is left out is told; what is there is right.
damaged_store_is_exported() {
    local at lost=0 status
    rm -rf "$store"
    mount_store
    cp -r /usr/include/linux "$mnt/linux"
    umount_store
    # More than a memtable holds, so that a flush comes.
    mount_store
    head -c 40000000 /dev/urandom >"$mnt/filler"
    rm "$mnt/filler"
    umount_store
    local table
    table=$(cd "$store" && grep -l "linux" ./*.sst | head -n 1)
    [ -n "$table" ]
    for at in 5000 20000 100000; do
        rm -rf "$copy" out
        mkdir out
        cp -r "$store" "$copy"
        printf '\377\376' | dd of="$copy/$table" bs=1 seek=$at conv=notrunc status=none
        status=0
        "$lsmfs" export "$copy" >damaged.tar 2>errors || status=$?
        same 4 $status
        grep -q "${table#./}: offset [0-9]*: " errors
        grep -q "not everything could be read" errors
        tar -C out -xf damaged.tar
        not diff -r --no-dereference /usr/include/linux out/linux >differences
        # Files are missing, none is another.
        not grep -v "^Only in /usr/include/linux" differences
        lost=$((lost + $(wc -l <differences)))
        [ "$(find out -type f | wc -l)" -gt 100 ]
    done
    echo "$lost files and directories were lost"
}

# All of it, although nothing tells any more which keyspace is which.
exported_without_manifest() {
    local file
    "$lsmfs" export -o all.tar "$store"
    for file in MANIFEST CLOSED LOCK; do
        rm -rf "$copy"
        cp -r "$store" "$copy"
        rm "$copy/$file"
        "$lsmfs" export -o without.tar "$copy" 2>errors || true
        cmp all.tar without.tar
        [ $file != MANIFEST ] || grep -q "MANIFEST: offset 0: the file is missing" errors
    done
    rm "$copy/MANIFEST" "$copy/CLOSED"
    fails_with 4 "deleted keys may be back" "$lsmfs" export -o without.tar "$copy"
    cmp all.tar without.tar
}

check "makes a store" fill
check "a clean store is clean" clean_store
check "check and export change nothing" changes_nothing
check "usage" usage
check "a mounted store is refused" mounted_store
check "export is what the mount shows" exported
check "export without MANIFEST or CLOSED is the same" exported_without_manifest
check "export of a part, and of a snapshot" a_part_is_exported
check "damage is found with file and offset" damage_is_found
check "a bar and colour on a terminal only" on_a_terminal
check "a killed store is clean" killed_store
check "what a damaged store still has is exported" damaged_store_is_exported
! grep -q " $mnt " /proc/mounts || umount_store
finish
