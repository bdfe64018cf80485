#!/bin/bash
#
# golden.sh - stores of earlier versions, kept in tests/fs/golden, are opened by this one, and what
# they hold is what they held; one of a newer version is refused, unchanged.
#
#     golden.sh --make NAME     makes golden/NAME.tar.xz with the lsmfs of BIN: once for a version
#                               that is published, or whose format has something new

root=$(realpath "$(dirname "$0")/../..")
# shellcheck source=tests/fs/mounted.bash
. "$root/tests/fs/mounted.bash"

# ---- making one ----

# The times of a day that no test is run on; names, contents, links, holes, attributes.
write_some() {
    mkdir -p "$mnt/notes/deep/er" "$mnt/was"
    echo hello >"$mnt/greeting"
    : >"$mnt/empty"
    seq 3000 >"$mnt/notes/apart"
    seq 60000 >"$mnt/notes/chunks"
    seq 60000 >whole
    dd if=whole of="$mnt/notes/whole" bs=1M status=none
    truncate -s 1M "$mnt/notes/sparse"
    echo end >>"$mnt/notes/sparse"
    ln "$mnt/greeting" "$mnt/notes/hard"
    ln -s ../greeting "$mnt/notes/soft"
    mkfifo "$mnt/fifo"
    setfattr -n user.mark -v 'a mark' "$mnt/greeting"
    setfattr -n user.long -v "$(seq 1000 | tr '\n' ' ')" "$mnt/notes/apart"
    seq 200 | (cd "$mnt/was" && xargs touch)
    echo 'with a space' >"$mnt/notes/deep/er/two words"
    chmod 640 "$mnt/notes/chunks"
    touch -d '2001-02-03 04:05:06.789' "$mnt/greeting" "$mnt/notes/deep"
}

write_more() {
    mv "$mnt/was" "$mnt/notes/is"
    rm "$mnt/notes/is/1"*
    echo again >"$mnt/greeting"
    seq 70000 | tail -n 100 | dd of="$mnt/notes/chunks" bs=1000 seek=20 conv=notrunc status=none
    "$lsmfs" put "$store" 'no//path' <<<'odd'
    "$lsmfs" put "$store" by/key <<<'put by its key'
}

# All that a reader may ask of a tree.
state_of() {
    (
        cd "$1" || exit 1
        find . -mindepth 1 ! -type d -printf '%P %y %m %s %n %T@ %l\n' | sort
        find . -mindepth 1 -type d -printf '%P %y %m\n' | sort
        find . -type f -print0 | sort -z | xargs -0 md5sum
        find . -type f -print0 | sort -z | xargs -0 getfattr -d
    )
}

states() {
    state_of "$mnt"
    echo "-- monday"
    state_of "$mnt/.snapshots/monday"
    echo "-- keys"
    cat "$mnt/.lsmfs/keys/no%2F%2Fpath"
}

# Of logs, tables and blob files: what was written before an opening is in tables after it.
make() {
    local at
    for at in some more; do
        mount_store
        write_$at
        [ $at = more ] || mkdir "$mnt/.snapshots/monday"
        umount_store
    done
    mount_store
    states >state
    umount_store
    cp -a "$store" closed
    mount_store
    echo after >"$mnt/after"
    "$lsmfs" sync "$store"
    echo 'not synced' >"$mnt/unsynced"
    states >state-killed
    kill_daemon
    cp -a "$store" killed
    rm -f {closed,killed}/{LOCK,CONTROL}
    ls closed/*.{log,sst,blob} killed/*.{log,sst,blob}
    tar -c --sort=name --owner=0 --group=0 --mtime=2001-01-01 closed killed state state-killed |
        xz -9e >"$1"
}

# ---- opening one ----

unpacks() {
    rm -rf archive
    mkdir archive
    tar -x -J -f "$1" -C archive
    mv archive/closed/ "$store"
}

is_sound() {
    "$lsmfs" check --snapshots "$store"
    "$BIN/lsm-dump" --verify "$store" >/dev/null
    "$BIN/lsm-wal-dump" "$store" >/dev/null
}

# In a blob file, referred to by a table, whose properties say so.
has_pages() {
    local file
    for file in "$store"/*.blob; do
        "$BIN/lsm-dump" --keys "$file"
    done >blobs
    for file in "$store"/*.sst; do
        "$BIN/lsm-dump" "$file"
        "$BIN/lsm-dump" --props "$file"
    done >tables
    grep -a 'bytes=131072 pages=32 ' blobs
    grep -a 'bytes=131072 pages=32 checksum=' tables
    grep -a 'has_blobs=true has_pages=true' tables
}

# Likewise packed ones.
has_packed() {
    local file
    for file in "$store"/*.blob; do
        "$BIN/lsm-dump" --keys "$file"
        "$BIN/lsm-dump" --props "$file"
    done >blobs
    for file in "$store"/*.sst; do
        "$BIN/lsm-dump" "$file"
        "$BIN/lsm-dump" --props "$file"
    done >tables
    grep -a 'bytes=131072 packed_bytes=' blobs
    grep -a 'value_bytes=.* packed_bytes=' blobs
    grep -a 'bytes=131072 packed_bytes=.* checksum=' tables
    grep -a 'has_blobs=true .*has_packed=true' tables
}

# read-only changes no byte.
shows_what_it_held() {
    local before
    before=$(md5sum "$store"/*)
    mount_store -o ro
    diff "archive/$1" <(states)
    umount_store
    same "$before" "$(md5sum "$store"/*)"
}

is_written() {
    mount_store
    diff "archive/$1" <(states)
    echo new >"$mnt/new"
    rm -r "$mnt/notes/is"
    remount
    same new "$(cat "$mnt/new")"
    same hello "$(cat "$mnt/.snapshots/monday/greeting")"
    umount_store
    sound
}

is_repaired() {
    "$lsmfs" repair "$store" repaired
    rm -rf "$store"
    mv repaired "$store"
    mount_store
    diff "archive/$1" <(states)
    umount_store
}

# rewrite OLD NEW: in the first line of MANIFEST, with the checksum that it then has.
rewrite() {
    python3 - "$store/MANIFEST" "$1" "$2" <<'PYTHON'
import sys
path, old, new = sys.argv[1:]
first, rest = open(path, "rb").read().split(b"\n", 1)
text, _ = first.split(b"\t")
assert old.encode() in text
text = text.replace(old.encode(), new.encode(), 1)
crc = 0xffffffff
for byte in text:
    crc ^= byte
    for _ in range(8):
        crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
open(path, "wb").write(text + b"\t%08x\n" % (crc ^ 0xffffffff) + rest)
PYTHON
    rm -f "$store/CLOSED" # it tells where MANIFEST ended
}

# Who opens it to write makes the file that is locked first.
sums() {
    find "$store" -type f ! -name LOCK -exec md5sum {} + | sort
}

# refused OLD NEW MESSAGE.  The status was 1, and nothing said "newer": what the engine does not know
# was not among what a store is refused for.
refused() {
    local before
    rewrite "$1" "$2"
    before=$(sums)
    fails_with 4 "written by a newer version of lsmkv: .*$3" "$lsmfs" "$store" "$mnt"
    fails_with 4 "written by a newer version of lsmkv: .*$3" "$lsmfs" "$store" "$mnt" -o ro
    fails_with 4 "$3" "$lsmfs" snapshot list "$store"
    fails_with 4 "$3" "$lsmfs" get "$store" greeting
    # Bug: the two told of it as damage, too.
    fails_with 4 "$3" "$lsmfs" import "$store" </dev/null
    fails_with 8 "newer version of lsmkv, which is no damage: .*$3" "$lsmfs" check "$store" >said
    not grep -q '^damage' said
    fails_with 8 "newer version of lsmkv, which is no damage: .*$3" \
        "$lsmfs" repair "$store" repaired >said
    not grep -q '^damage' said
    same "$before" "$(sums)"
    rewrite "$2" "$1"
    mount_store
    umount_store
}

newer_is_refused() {
    refused '"version":1' '"version":2' 'version 2 of the format is not known'
    # It was written to since then, which named a feature of ours.
    refused '"incompatible":[' '"incompatible":["later",' 'the store needs feature "later"'
}

# With a feature that who writes must know, and we do not.
is_only_read() {
    local before how='can only be read: who writes it needs feature "later"'
    rewrite '"incompatible":[' '"read_only_compatible":["later"],"incompatible":['
    before=$(sums)
    fails_with 4 "written by a newer version of lsmkv: .*$how" "$lsmfs" "$store" "$mnt"
    fails_with 4 "$how" "$lsmfs" rm "$store" greeting
    mount_store -o ro
    [ -s "$mnt/greeting" ]
    umount_store
    [ -n "$("$lsmfs" get "$store" greeting)" ]
    "$lsmfs" check "$store" | grep '^note: MANIFEST: offset 0: .* needs feature "later"$'
    "$BIN/lsm-dump" "$store" 2>&1 >/dev/null | grep 'needs feature "later"$'
    same "$before" "$(sums)"
    rewrite '"read_only_compatible":["later"],"incompatible":[' '"incompatible":['
    mount_store
    umount_store
}

compatible_is_not() {
    rewrite '"compatible":[]' '"compatible":["later"],"unheard":{"of":1}'
    mount_store
    same again "$(cat "$mnt/greeting")"
    umount_store
}

if [ "${1:-}" = --make ]; then
    case $2 in
    *-packed) "$lsmfs" create --compress=lz4 "$store" ;;
    esac
    make "$root/tests/fs/golden/$2.tar.xz"
    exit
fi
for archive in "$root"/tests/fs/golden/*.tar.xz; do
    name=$(basename "$archive" .tar.xz)
    check "$name: is unpacked" unpacks "$archive"
    check "$name: is sound" is_sound
    case $name in
    *-pages) check "$name: has a value in pages" has_pages ;;
    *-packed) check "$name: has a packed value" has_packed ;;
    esac
    alone "$name: shows what it held, without a change" shows_what_it_held state
    alone "$name: a newer one is refused, without a change" newer_is_refused
    alone "$name: one with a read-only compatible feature is only read" is_only_read
    alone "$name: one with a compatible feature is not" compatible_is_not
    alone "$name: is written" is_written state
    rm -rf "$store"
    cp -a archive/killed "$store"
    alone "$name, killed: shows what it held, without a change" shows_what_it_held state-killed
    alone "$name, killed: is repaired" is_repaired state-killed
    rm -rf "$store"
    cp -a archive/killed "$store"
    alone "$name, killed: is written" is_written state-killed
    rm -rf "$store"
done
finish
