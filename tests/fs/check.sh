#!/bin/bash
#
# check.sh - lsmfs check, lsmfs export and lsmfs repair on stores that real programs made: clean
# ones, killed ones, damaged ones.

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

# By its daemon, beside its work.
checked_while_mounted() {
    local writer place rounds=0
    mount_store
    for place in "$store" "$mnt"; do
        "$lsmfs" check "$place" >told
        same "$store: clean" "$(cat told)"
        "$lsmfs" check --quiet --snapshots "$place" >told
        same "" "$(cat told)"
        "$lsmfs" check --json "$place" >told
        same '{"result":"clean","damage":0,"notes":0}' "$(cat told)"
    done
    (
        for _ in 1 2 3 4; do
            cp -r /usr/include/linux "$mnt/beside"
            mkdir "$mnt/.snapshots/beside"
            rm -r "$mnt/beside"
            rmdir "$mnt/.snapshots/beside"
        done
    ) &
    writer=$!
    while kill -0 $writer 2>/dev/null; do
        "$lsmfs" check --quiet --snapshots "$mnt" >told
        same "" "$(cat told)"
        rounds=$((rounds + 1))
    done
    wait $writer
    echo "checked $rounds times beside the writer"
    [ $rounds -gt 0 ]
    umount_store
    clean_store
}

exported_while_mounted() {
    local reader writer
    "$lsmfs" export -o unmounted.tar "$store"
    "$lsmfs" export "$store" | cat >piped.tar
    cmp unmounted.tar piped.tar
    "$lsmfs" export -o part.tar --snapshot=before "$store" d linux/fs.h
    mount_store -o suid,dev
    "$lsmfs" export "$mnt" >mounted.tar
    cmp unmounted.tar mounted.tar
    "$lsmfs" export "$store" | cmp unmounted.tar
    "$lsmfs" export "$store" | cat >piped.tar
    cmp unmounted.tar piped.tar
    "$lsmfs" export -o mounted.tar --snapshot=before "$mnt" d linux/fs.h
    cmp part.tar mounted.tar
    fails_with 1 "nowhere: No such file" "$lsmfs" export -o t.tar "$mnt" nowhere
    fails_with 1 "none: No such file" "$lsmfs" export --snapshot=none "$mnt"
    # The other end may be a file of the same mount.
    "$lsmfs" export -o "$mnt/itself.tar" "$mnt" linux large
    tar -C "$mnt" -df "$mnt/itself.tar"
    rm "$mnt/itself.tar"
    # One who goes and one who does not read keep nobody waiting.
    not "$lsmfs" export "$mnt" | head -c 1000 >/dev/null
    mkfifo slow
    sh -c 'exec sleep 1000' <slow &
    reader=$!
    "$lsmfs" export "$mnt" >slow &
    writer=$!
    sleep 0.2
    echo written >"$mnt/meanwhile"
    same written "$(cat "$mnt/meanwhile")"
    rm "$mnt/meanwhile"
    umount_store
    kill $reader
    wait $reader || true
    not wait $writer
}

# Unmounting does not wait for what reads all of the store: millions of records here.
unmounted_while_checked() {
    local checker status delay i
    mount_store
    mkdir "$mnt/many"
    (cd "$mnt/many" && touch {1..20000})
    for i in {1..300}; do
        mkdir "$mnt/.snapshots/many$i"
    done
    for delay in 0.1 0.4 1 2 4; do
        "$lsmfs" check --snapshots "$mnt" >told 2>&1 &
        checker=$!
        sleep $delay
        "$lsmfs" umount "$mnt"
        status=0
        wait $checker || status=$?
        echo "after $delay s: $(cat told)"
        mount_store
        ! grep -q "the daemon ended before it answered" told || break
    done
    same 8 $status
    rmdir "$mnt"/.snapshots/many*
    rm -r "$mnt/many"
    umount_store
}

# Readers who stopped: there is a limit, and what unmounts is still heard.
unread_exports() {
    local readers=() pid
    mount_store
    head -c 4000000 /dev/urandom >"$mnt/unread"
    mkfifo stopped
    sleep 1000 <>stopped &
    readers+=($!)
    for pid in {1..9}; do
        "$lsmfs" export "$mnt" >stopped 2>"refused$pid" &
        readers+=($!)
    done
    # Whichever came last.
    for _ in {1..300}; do
        ! grep "8 others are running, or wait for who reads them" refused? || break
        sleep 0.1
    done
    same 1 "$(cat refused? | wc -l)"
    same "$store: clean" "$("$lsmfs" check "$mnt")"
    "$lsmfs" umount "$mnt"
    for pid in "${readers[@]}"; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" || true
    done
    rm stopped
    mount_store
    rm "$mnt/unread"
    umount_store
}

# A thread for it cannot be had: it is refused, and not done by the one that hears all others.
check_without_memory() {
    local pid command
    mount_store
    pid=$(pid_of_daemon)
    prlimit --pid "$pid" --data=1000:
    fails_with 8 "its daemon has no memory for a thread" "$lsmfs" check "$mnt"
    for command in export compact; do
        fails_with 1 "its daemon has no memory for a thread" "$lsmfs" $command "$mnt" | cat
    done
    prlimit --pid "$pid" --data=unlimited:
    same "$store: clean" "$("$lsmfs" check "$mnt")"
    umount_store
}

# serve LINE...: stands in for a daemon that answers the next command on the store "$fake" so.
serve() {
    rm -f "$fake/$socket"
    python3 - "$fake/$socket" "$@" <<'END' &
import socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.bind(sys.argv[1])
    server.listen()
    connection = server.accept()[0]
    connection.recv(1000)
    connection.sendall("".join(line + "\n" for line in sys.argv[2:]).encode())
END
    served=$!
    for _ in {1..100}; do
        [ ! -S "$fake/$socket" ] || return 0
        sleep 0.05
    done
    return 1
}

# What a daemon says need not be what this version would.
other_daemons() {
    local fake=$WORK/fake socket=CONTROL served
    local older="its daemon is of an older version: unmount it and mount it again"
    mkdir "$fake"
    serve "error 71 Protocol error"
    fails_with 8 "$older" "$lsmfs" check "$fake"
    wait $served
    serve "error 71 Protocol error"
    fails_with 1 "$older" "$lsmfs" export -o t.tar "$fake"
    wait $served
    serve "nonsense"
    fails_with 8 "Protocol error" "$lsmfs" check "$fake"
    wait $served
    serve "progress 9000 3" "file 1  7 a%1Bb" "record 1  w t" "error 5 Input/output error"
    fails_with 4 "^damage: w: t$" "$lsmfs" check "$fake" >told
    wait $served
    grep -qF 'damage: a\x1bb' told
    grep -qF "note: the records of files cannot be read: Input/output error" told
    grep -qF "$fake: damaged, 2 findings" told
    serve "progress 9000 3" "ok"
    script -qc "'$lsmfs' check '$fake'" screen >/dev/null
    wait $served
    grep -q $'\e\[K\[#* *\] 100 %' screen
    rm -r "$fake"
}

# Of the tables that it has, and of what no table refers to yet.
damage_while_mounted() {
    local table blob
    rm -rf "$copy"
    cp -r "$store" "$copy"
    local store_before=$store store=$copy
    # No merge is due then that takes the table away before it is looked at.
    "$lsmfs" compact "$store"
    table=$(table_of_linux)
    mount_store
    printf '\377\376' | dd of="$store/$table" bs=1 seek=5000 conv=notrunc status=none
    fails_with 4 "^damage: $table: offset [0-9]*: " "$lsmfs" check "$mnt" >found
    grep -q "^$store: damaged, [0-9]* findings$" found
    fails_with 4 "$table: .*; unmounted, it is exported as far as it can be read" \
        "$lsmfs" export -o damaged.tar "$mnt"
    tar -tf damaged.tar >/dev/null
    umount_store
    fails_with 4 "not everything could be read" "$lsmfs" export -o damaged.tar "$store"
    rm -rf "$copy"
    cp -r "$store_before" "$copy"
    mount_store
    head -c 1M /dev/urandom >"$mnt/fresh"
    sync "$mnt/fresh"
    blob=$(cd "$store" && ls -t ./*.blob | head -n 1)
    printf '\377\376' | dd of="$store/$blob" bs=1 seek=300000 conv=notrunc status=none
    fails_with 4 "^damage: ${blob#./}: offset [0-9]*: " "$lsmfs" check "$mnt"
    umount_store
}

# It was "Bad message", and the check one that could not be made.
damage_that_cannot_be_flushed() {
    local store=$copy blob daemon
    rm -rf "$copy"
    "$lsmfs" create "$store"
    mount_store
    head -c 1M /dev/urandom >"$mnt/fresh"
    sync "$mnt/fresh"
    daemon=$("$lsmfs" status "$mnt" | sed -n 's/^pid: //p')
    blob=$(cd "$store" && ls -t ./*.blob | head -n 1)
    printf '\377\376' | dd of="$store/$blob" bs=1 seek=300000 conv=notrunc status=none
    prlimit --pid "$daemon" --fsize=1:unlimited
    fails_with 4 "^damage: store: ${blob#./}: offset [0-9]*: .*does not match" \
        "$lsmfs" check "$mnt" >found
    grep -q "^note: logs: what only they have was left out: File too large" found
    grep -q "^$store: damaged, 1 findings$" found
    prlimit --pid "$daemon" --fsize=unlimited:unlimited
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
    script -qc "'$lsmfs' repair '$copy' '$WORK/shown'" screen >/dev/null
    grep -q $'\e\[K\[#* *\] 100 %' screen
    grep -q $'\e\[K[0-9]* records\|\e\[31mdamage' screen
    rm -r "$WORK/shown"
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

# The table that has the files' names.
table_of_linux() {
    "$BIN/lsm-dump" --keys "$store" |
        sed -n 's,^table number=\([0-9]*\) .*keyspace="default".*largest="linux/.*,\1,p' |
        tail -n 1 | sed 's/^/00000/; s/.*\(......\)$/\1.sst/'
}

# In the tables and blob files now.  What is left out is told; what is there is right.
damaged_store_is_exported() {
    local at lost=0 status file table where
    rm -rf "$store"
    mount_store
    cp -r /usr/include/linux "$mnt/linux"
    umount_store
    # More than a memtable holds, so that a flush comes.
    mount_store
    head -c 40000000 /dev/urandom >"$mnt/filler"
    rm "$mnt/filler"
    umount_store
    for where in default:5000 default:20000 default:100000 contents:5000; do
        at=${where#*:}
        case $where in
        default:*) table=$(table_of_linux) ;;
        *) table=$(cd "$store" && grep -l __A_OUT_GNU_H__ ./*.sst ./*.blob | sed -n 1p) ;;
        esac
        [ -n "$table" ]
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
        not diff -rq --no-dereference /usr/include/linux out/linux >differences
        # Files are missing, none is another; what is missing in one is told.
        sed -n 's,^Files /usr/include/\(.*\) and .* differ$,\1,p' differences >changed
        while read -r file; do
            grep -q "^lsmfs export: $file: bytes .* cannot be read, and are zeros$" errors
        done <changed
        not grep -v "^Only in /usr/include/linux\|^Files .* differ$" differences
        lost=$((lost + $(wc -l <differences)))
        [ "$(find out -type f | wc -l)" -gt 100 ]
    done
    echo "$lost files and directories were lost"
}

# All of it, although nothing tells any more which keyspace is which.
exported_without_manifest() {
    local file at
    "$lsmfs" export -o all.tar "$store"
    for file in MANIFEST CLOSED LOCK; do
        rm -rf "$copy"
        cp -r "$store" "$copy"
        rm "$copy/$file"
        "$lsmfs" export -o without.tar "$copy" 2>errors || true
        cmp all.tar without.tar
        [ $file != MANIFEST ] || grep -q "MANIFEST: offset 0: the file is missing" errors
    done
    # A bad line, in the middle or at the end.
    for at in 600 $(($(stat -c %s "$store/MANIFEST") - 20)); do
        rm -rf "$copy"
        cp -r "$store" "$copy"
        printf '\377\376' | dd of="$copy/MANIFEST" bs=1 seek="$at" conv=notrunc status=none
        fails_with 4 "MANIFEST: offset [0-9]*: " "$lsmfs" export -o without.tar "$copy"
        cmp all.tar without.tar
    done
    rm "$copy/MANIFEST" "$copy/CLOSED"
    fails_with 4 "deleted keys may be back" "$lsmfs" export -o without.tar "$copy"
    cmp all.tar without.tar
}

# What is damaged in the store's files does not keep the files' own records from being looked at.
files_of_a_damaged_store() {
    local table at
    table=$(table_of_linux)
    : >found
    for at in 5000 20000 100000; do
        rm -rf "$copy"
        cp -r "$store" "$copy"
        printf '\377\376' | dd of="$copy/$table" bs=1 seek=$at conv=notrunc status=none
        "$lsmfs" check "$copy" >>found && return 1
        same 1 "$(grep -c "^damage: ${table#./}: " found)"
        grep -v "^damage: ${table#./}: " found >rest
        mv rest found
    done
    # Contents whose files were in the damaged blocks.
    grep -q "^damage: data [0-9]*: it has chunks, but no file or orphan" found
}

# ---- repair ----

new=$WORK/new

# repairs STATUS [OPTION]...: of the copy to $new; the copy stays as it is, byte for byte.
repairs() {
    local wanted=$1 status=0
    shift
    rm -rf "$new"
    (cd "$copy" && sha256sum ./*) >before
    "$lsmfs" repair "$@" "$copy" "$new" >told 2>&1 || status=$?
    cat told
    same "$wanted" $status
    diff before <(cd "$copy" && sha256sum ./*)
    [ ! -e "$new.unfinished" ]
}

mount_new() {
    "$lsmfs" "$new" "$mnt" -o suid,dev
}

repaired_without_damage() {
    rm -rf "$copy"
    cp -r "$store" "$copy"
    "$lsmfs" export -o all.tar "$store"
    "$lsmfs" export -o snapshot.tar --snapshot=before "$store"
    repairs 0
    same "$new: whole; 0 findings of damage, 0 of loss, 0 mended, 0 left" "$(cat told)"
    same "" "$("$lsmfs" check --quiet --snapshots "$new")"
    "$lsmfs" export -o new.tar "$new"
    cmp all.tar new.tar
    "$lsmfs" export -o new.tar --snapshot=before "$new"
    cmp snapshot.tar new.tar
    repairs 0 --json
    same "{\"result\":\"whole\",\"store\":\"$new\",\"damage\":0,\"lost\":0,\"mended\":0,\"left\":0}" "$(cat told)"
    "$lsmfs" repair "$copy/"
    [ -d "$copy.repaired" ]
    rm -rf "$copy.repaired"
}

# Whatever it was that is gone of these, all records are there.
repaired_without_manifest() {
    local files
    for files in MANIFEST "MANIFEST CLOSED" "MANIFEST LOCK CLOSED"; do
        rm -rf "$copy"
        cp -r "$store" "$copy"
        (cd "$copy" && eval rm "$files")
        repairs 1
        same "" "$("$lsmfs" check --quiet --snapshots "$new")"
        "$lsmfs" export -o new.tar "$new"
        cmp all.tar new.tar
    done
    mount_new
    echo more >"$mnt/more"
    umount_store
    same "$new: clean" "$("$lsmfs" check "$new")"
}

# A store of which a byte is wrong in each file in turn: what is in the new one is right or an error,
# what is missing was told, and all of it can be removed.
repaired_with_damage() {
    local file at size status lost=0
    for file in $(cd "$store" && ls ./*.sst ./*.blob ./*.log); do
        size=$(stat -c %s "$store/$file")
        for at in $((size / 5)) $((size / 2)) $((size - 30)); do
            rm -rf "$copy" "$new"
            cp -r "$store" "$copy"
            printf '\377\376' | dd of="$copy/$file" bs=1 seek=$at conv=notrunc status=none
            ! cmp -s "$store/$file" "$copy/$file" || continue
            status=0
            "$lsmfs" repair "$copy" "$new" >told 2>&1 || status=$?
            # Of a value that nobody refers to nothing is told, and nothing is missing.
            grep -q "^damage: ${file#./}: offset [0-9]*: " told || [[ $file = *.blob && $status = 0 ]]
            "$lsmfs" check "$new" >found || grep -q "^left: " told
            mount_new
            diff -r --no-dereference /usr/include/linux "$mnt/linux" >differences 2>&1 || true
            # Files are missing or cannot be read, none is another.
            not grep -vE "^Only in /usr/include/linux|Input/output error$" differences
            if [ -s differences ]; then
                same 4 $status
                grep -q "^lost: ${file#./}: " told
                lost=$((lost + 1))
            fi
            rm -r "${mnt:?}"/*
            umount_store
            same "$new: clean" "$("$lsmfs" check "$new")"
        done
    done
    echo "something was lost $lost times"
    [ $lost -gt 0 ]
}

# alike PHASE: check of $new finds the lost chunk, and says of it what it said in the phase before.
alike() {
    local options status lines
    for options in --quiet --json "--quiet --snapshots" "--json --snapshots"; do
        status=0
        # shellcheck disable=SC2086
        "$lsmfs" check $options "$new" >"$1$options" || status=$?
        same 4 $status
        lines=1
        [[ $options != *snapshots ]] || lines=2
        same $lines "$(grep -c "chunk 7 is lost" "$1$options")"
        [ "$1" = unmounted ] || diff "unmounted$options" "$1$options"
    done
}

# What is wrong with records of the state of now was once taken for a bad reply of the daemon, and not told.
told_alike_while_mounted() {
    mount_new
    mkdir "$mnt/.snapshots/of"$'\e'"lost"
    umount_store
    alike unmounted
    # What the store says does not command the terminal.
    grep -qF 'damage: of\x1blost: ' "unmounted--quiet --snapshots"
    mount_new
    alike mounted
    rmdir "$mnt/.snapshots/of"$'\e'"lost"
    umount_store
}

# Not zeros: the contents of a large file of which a piece is lost.
lost_contents_are_an_error() {
    local table at
    rm -rf "$store" "$copy"
    mount_store
    # Of letters: what is looked for below must neither be cut nor be several lines.
    head -c 6750000 /dev/urandom | base64 -w 0 >"$mnt/large"
    cp "$mnt/large" large
    umount_store
    mount_store
    head -c 40000000 /dev/urandom >"$mnt/filler"
    rm "$mnt/filler"
    umount_store
    at=$(cd "$store" && grep -obUaF "$(dd if=../large bs=1 skip=1000000 count=8 status=none)" ./*.sst ./*.blob | sed -n 1p)
    table=${at%%:*}
    at=${at#*:}
    cp -r "$store" "$copy"
    printf '\377\376' | dd of="$copy/$table" bs=1 seek="${at%%:*}" conv=notrunc status=none
    repairs 4
    grep -q "^lost: large: 1 of its 69 chunks cannot be read" told
    fails_with 4 "chunk 7 is lost: bytes 917504 to 1048576" "$lsmfs" check "$new"
    told_alike_while_mounted
    mount_new
    fails_with 1 "Input/output error" cp "$mnt/large" copied
    cmp -n 917504 large "$mnt/large"
    cmp -i 1048576 large "$mnt/large"
    # What is written there is there again.
    dd if=large of="$mnt/large" bs=131072 skip=7 seek=7 count=1 conv=notrunc status=none
    cmp large "$mnt/large"
    umount_store
    same "$new: clean" "$("$lsmfs" check "$new")"
}

# Killed in the middle: the store is as it was, there is no new one, and the next repair replaces
# what is left of it.
repair_is_killed() {
    local pid killed=0 delay
    for delay in 0.02 0.05 0.1 0.15 0.25; do
        rm -rf "$new"
        (cd "$copy" && sha256sum ./*) >before
        "$lsmfs" repair "$copy" "$new" >told 2>&1 &
        pid=$!
        sleep $delay
        kill -KILL $pid 2>/dev/null || true
        wait $pid 2>/dev/null || true
        diff before <(cd "$copy" && sha256sum ./*)
        if [ -e "$new.unfinished/store" ]; then
            killed=$((killed + 1))
            grep -q "interrupted" "$new.unfinished/UNFINISHED"
            [ ! -e "$new" ]
        fi
        repairs 4
    done
    [ $killed -gt 0 ]
    mkdir "$new.unfinished"
    touch "$new.unfinished/mine"
    rm -rf "$new"
    fails_with 8 "is not what a repair leaves" "$lsmfs" repair "$copy" "$new"
    [ -e "$new.unfinished/mine" ]
    rm -r "$new.unfinished"
}

# No space for the new store: nothing is left of it.
repair_of_a_full_disk() {
    local small=$WORK/small
    mkdir "$small"
    mount -t tmpfs -o size=2m none "$small"
    status=0
    "$lsmfs" repair "$copy" "$small/new" >told 2>&1 || status=$?
    ls -A "$small" >left
    umount "$small"
    rmdir "$small"
    cat told
    same 8 $status
    grep -q "No space left on device" told
    same "" "$(cat left)"
}

repair_usage() {
    fails_with 16 "missing operand" "$lsmfs" repair
    fails_with 16 "too many operands" "$lsmfs" repair a b c
    fails_with 16 "unknown option '?--none" "$lsmfs" repair --none "$store"
    fails_with 8 "nowhere: No such file" "$lsmfs" repair nowhere new.store
    fails_with 8 "is there already" "$lsmfs" repair "$store" "$copy"
    [ ! -e new.store ] && [ ! -e new.store.unfinished ]
    "$lsmfs" repair --help | grep -q "^Exit status"
}

# A user's store that root repairs is the user's.
repaired_by_root() {
    rm -rf "$copy"
    cp -r "$store" "$copy"
    chown -R nobody "$copy"
    repairs 0
    same "" "$(find "$new" ! -user nobody)"
}

check "makes a store" fill
check "a clean store is clean" clean_store
check "check and export change nothing" changes_nothing
check "usage" usage
check "export is what the mount shows" exported
check "export without MANIFEST or CLOSED is the same" exported_without_manifest
check "export of a part, and of a snapshot" a_part_is_exported
check "repair of a store without damage is the same" repaired_without_damage
check "repair without MANIFEST loses nothing" repaired_without_manifest
check "repair: usage" repair_usage
check "what root repairs is its owner's" repaired_by_root
check "damage is found with file and offset" damage_is_found
check "a bar and colour on a terminal only" on_a_terminal
check "a mounted store is checked beside its use" checked_while_mounted
check "a mounted store is exported beside its use" exported_while_mounted
check "unmounting ends a check" unmounted_while_checked
check "exports that nobody reads" unread_exports
check "no memory for a check" check_without_memory
check "a daemon of another version" other_daemons
check "a killed store is clean" killed_store
check "what a damaged store still has is exported" damaged_store_is_exported
check "damage of a mounted store" damage_while_mounted
check "damage that a mounted store cannot flush" damage_that_cannot_be_flushed
check "the files of a damaged store are looked at" files_of_a_damaged_store
check "repair of a damaged store tells what is missing" repaired_with_damage
check "lost contents are an error, not zeros" lost_contents_are_an_error
check "a killed repair leaves the store as it was" repair_is_killed
check "repair to a full disk leaves nothing" repair_of_a_full_disk
! grep -q " $mnt " /proc/mounts || umount_store
finish
