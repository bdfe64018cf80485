#!/bin/bash
#
# import.sh - lsmfs import: what lsmfs export or another tar wrote is the same tree again, in a store
# that is mounted and in one that is not, as root and as an ordinary user; bad archives, and archives
# that want more than is theirs.

script=$(realpath "$0")
# shellcheck source=tests/fs/mounted.bash
. "${script%/*}/mounted.bash"
# shellcheck source=tests/fs/trees.bash
. "${script%/*}/trees.bash"
# shellcheck source=tests/fs/import.bash
. "${script%/*}/import.bash"
# shellcheck source=tests/fs/import_exact.bash
. "${script%/*}/import_exact.bash"

user=65534

# ---- the same tree again ----

# A tree of root's has everything, an ordinary user's what he may make.
make_tree() {
    if [ "$(id -u)" = 0 ]; then
        make_everything "$1" "$sources"
        return
    fi
    mkdir -p "$1/dir/deep" "$1/locked"
    cp -a "$sources" "$1/source"
    (
        cd "$1"
        : >empty
        echo small >dir/small
        head -c 3000000 /dev/urandom >dir/deep/large
        echo odd >$'new\nline'
        echo odd >$'\xff\xfe'
        truncate -s 5M hole
        ln dir/deep/large hard
        ln -s dir/small symlink
        mkfifo fifo
        chmod 640 dir/small
        setfattr -n user.note -v kept dir/small
        setfacl -m u:77:rw,g:88:r dir/small
        setfacl -m d:u:77:rwx dir/deep
        echo in >locked/in
        touch -d '1999-12-31 23:59:59.987654321' dir/small dir/deep dir
        chmod 500 locked
    )
}

# A store with that tree, all of which is known as $mnt is left.
make_source() {
    rm -rf "$store" "$other"
    mount_store -o "$full"
    make_tree "$mnt/tree"
    # A tar archive has no sockets, no second names of devices, and no times before 1970 to the
    # fraction.
    rm -f "$mnt/tree/socket" "$mnt/tree/block-hard"
    [ ! -e "$mnt/tree/sparse" ] || touch -d '1960-01-01 UTC' "$mnt/tree/sparse"
    chmod 750 "$mnt"
    touch -d '2003-03-03 03:03:03.333333333' "$mnt"
    all_of "$mnt" >wanted
    stat -c '%a %u %g %y' "$mnt" >wanted.root
    umount_store
    sound
}

# is_same DIRECTORY: as make_source left it.
is_same() {
    all_of "$1" >got
    diff wanted got | head -n 20
    cmp wanted got
    diff wanted.root <(stat -c '%a %u %g %y' "$1")
}

comes_back_unmounted() {
    make_source
    "$lsmfs" export "$store" 2>/dev/null | "$lsmfs" import "$other" 2>said
    same "lsmfs import: $other: no store was there: a new one is made" "$(cat said)"
    "$lsmfs" check --quiet "$other"
    "$lsmfs" mount "$other" "$there" -o "$full"
    is_same "$there"
    # What was a hole is one, and does not fill the store.
    same 0 "$(stat -c %b "$there/tree/hole")"
    "$lsmfs" umount "$there"
    # Once more, over what is there.
    "$lsmfs" export "$store" | "$lsmfs" import "$other"
    "$lsmfs" check --quiet "$other"
    "$lsmfs" mount "$other" "$there" -o "$full"
    is_same "$there"
    "$lsmfs" umount "$there"
}

comes_back_mounted() {
    local place
    for place in "$other" "$there"; do
        make_source
        "$lsmfs" mount "$other" "$there" -o "$full"
        "$lsmfs" export "$store" | "$lsmfs" import "$place" 2>said
        same "" "$(cat said)"
        is_same "$there"
        same 0 "$(stat -c %b "$there/tree/hole")"
        "$lsmfs" umount "$there"
        "$lsmfs" check --quiet "$other"
        "$lsmfs" mount "$other" "$there" -o "$full"
        "$lsmfs" export "$store" | "$lsmfs" import "$place"
        is_same "$there"
        "$lsmfs" umount "$there"
    done
}

# by_rsync: nothing is left for rsync to do, either.
comes_back_to_rsync() {
    make_source
    "$lsmfs" export "$store" | "$lsmfs" import "$other"
    mount_store -o "$full,ro"
    "$lsmfs" mount "$other" "$there" -o "$full,ro"
    same "" "$(rsync -aHAXni --delete "$mnt/" "$there/" 2>&1)"
    "$lsmfs" umount "$there"
    umount_store
}

# What GNU tar writes has lists as text, and holes as such.
comes_from_tar() {
    local how
    make_source
    mount_store -o "$full"
    tar --acls --xattrs --xattrs-include='*' --sparse --format=posix --exclude=./.lsmfs \
        -C "$mnt" -cf all.tar .
    umount_store
    for how in mounted not; do
        rm -rf "$other"
        "$lsmfs" create "$other"
        [ $how = not ] || "$lsmfs" mount "$other" "$there" -o "$full"
        "$lsmfs" import "$other" <all.tar
        [ $how = mounted ] || "$lsmfs" mount "$other" "$there" -o "$full"
        is_same "$there"
        "$lsmfs" umount "$there"
        "$lsmfs" check --quiet "$other"
    done
}

# By what makes each of them, or, where that is no part of Python, as what holds the bytes as they are.
comes_compressed() {
    local by
    make_source
    "$lsmfs" export "$store" tree/source >all.tar
    for by in gzip bz2 lzma zstd lz4; do
        python3 - $by <<'END' >packed
import importlib, sys
contents = open("all.tar", "rb").read()
parts = [contents[at:at + 65536] for at in range(0, len(contents), 65536)]
if sys.argv[1] == "zstd":
    out = b"\x28\xb5\x2f\xfd\xa0" + len(contents).to_bytes(4, "little")
    for i, part in enumerate(parts):
        out += (len(part) << 3 | (i == len(parts) - 1)).to_bytes(3, "little") + part
elif sys.argv[1] == "lz4":
    out = b"\x04\x22\x4d\x18\x60\x40\x82"
    for part in parts:
        out += (len(part) | 1 << 31).to_bytes(4, "little") + part
    out += bytes(4)
else:
    out = importlib.import_module(sys.argv[1]).compress(contents)
sys.stdout.buffer.write(out)
END
        rm -rf "$other"
        "$lsmfs" import "$other" <packed
        "$lsmfs" mount "$other" "$there"
        same_in_all "$sources" "$there/tree/source"
        "$lsmfs" umount "$there"
    done
}

# A new file takes over its directory's default list, which is not in the archive.
inherits_nothing() {
    local how
    mkdir -p plain/dir
    echo x >plain/dir/file
    chmod 640 plain/dir/file
    tar -C plain -cf plain.tar .
    for how in mounted not; do
        rm -rf "$other"
        "$lsmfs" mount "$other" "$there" -o acl
        mkdir "$there/below"
        setfacl -m d:u:77:rwx,d:m::rwx "$there/below"
        [ $how = mounted ] || "$lsmfs" umount "$there"
        "$lsmfs" import "$other" below <plain.tar
        [ $how = mounted ] || "$lsmfs" mount "$other" "$there" -o acl
        same "640 " "$(stat -c %a "$there/below/dir/file") $(getfattr -m - "$there/below/dir/file")"
        same "" "$(getfattr -m - "$there/below/dir")"
        same x "$(cat "$there/below/dir/file")"
        "$lsmfs" umount "$there"
    done
}

# ---- where it goes ----

goes_into_a_directory() {
    make_source
    "$lsmfs" export "$store" tree/dir | "$lsmfs" import "$other" /new//./place/
    "$lsmfs" mount "$other" "$there" -o "$full"
    same "new/place/tree/dir" "$(cd "$there" && echo new/place/tree/*)"
    "$lsmfs" export "$store" tree/dir | "$lsmfs" import "$there" new/mounted
    same_in_all "$there/new/place/tree/dir" "$there/new/mounted/tree/dir"
    fails_with 2 'not a directory of a store' "$lsmfs" import "$there" ../out </dev/null
    fails_with 2 'not a directory of a store' "$lsmfs" import "$there" .snapshots/x </dev/null
    "$lsmfs" umount "$there"
}

# A file gives way to a directory and an empty directory to a file; a full one stays.
replaces() {
    local how
    mkdir -p first/folder first/full second/file
    echo 1 >first/file
    echo 1 >first/full/kept
    ln -s file first/link
    echo 2 >second/folder
    echo 2 >second/full
    echo 2 >second/link
    tar -C first -cf first.tar .
    tar -C second -cf second.tar .
    for how in mounted not; do
        rm -rf "$other"
        "$lsmfs" import "$other" <first.tar
        [ $how = not ] || "$lsmfs" mount "$other" "$there"
        fails_with 4 'full: Directory not empty' "$lsmfs" import "$other" <second.tar
        [ $how = mounted ] || "$lsmfs" mount "$other" "$there"
        same "file folder full link" "$(cd "$there" && echo *)"
        [ -d "$there/file" ]
        same 2 "$(cat "$there/folder")"
        same 2 "$(cat "$there/link")"
        same 1 "$(cat "$there/full/kept")"
        "$lsmfs" umount "$there"
    done
}

# Keys that are no path, and those that have a path that does not end there.
keeps_odd_keys() {
    local how
    rm -rf "$store"
    "$lsmfs" create "$store"
    echo odd | "$lsmfs" put "$store" a//b
    echo dots | "$lsmfs" put "$store" ../up
    head -c 200000 /dev/urandom >large
    "$lsmfs" put "$store" "$(printf 'k%.0s' {1..700})" large
    for how in mounted not; do
        rm -rf "$other"
        "$lsmfs" create "$other"
        [ $how = not ] || "$lsmfs" mount "$other" "$there"
        "$lsmfs" export "$store" | "$lsmfs" import "$other"
        # Directories that keys imply may have records of their own now.
        same "" "$(comm -z -23 <("$lsmfs" ls -R0 "$store" | sort -z) <("$lsmfs" ls -R0 "$other" | sort -z) | tr '\0' '\n')"
        same odd "$("$lsmfs" get "$other" a//b)"
        same dots "$("$lsmfs" get "$other" ../up)"
        cmp large <("$lsmfs" get "$other" "$(printf 'k%.0s' {1..700})")
        [ $how = not ] || "$lsmfs" umount "$there"
        "$lsmfs" check --quiet "$other"
    done
}

# ---- what is not to be ----

# crafted: an archive whose paths lead elsewhere.
craft() {
    pack crafted.tar <<END
outside = "$1"
add("good", b"good")
add("../up", b"bad")
add("a/../../up", b"bad")
add("/" + outside.strip("/") + "/absolute", b"inside")
add("to-outside", type=S, linkname=outside)
add("to-outside/through", b"bad")
add("link-outside", type=L, linkname="../../etc/passwd")
add("link-through", type=L, linkname="to-outside/theirs")
add(".snapshots/made", type=D, mode=0o755)
add(".snapshots/made/file", b"bad")
add(".lsmfs/keys/%ZZ", b"bad")
add(".lsmfs/other", b"bad")
add("last", b"last")
END
}

stays_in_the_store() {
    local how
    mkdir -p outside
    craft "$WORK/outside"
    for how in mounted not; do
        rm -rf "$other" outside/* up
        echo theirs >outside/theirs
        "$lsmfs" create "$other"
        [ $how = not ] || "$lsmfs" mount "$other" "$there"
        fails_with 4 'left out' "$lsmfs" import "$other" <crafted.tar
        "$lsmfs" import "$other" <crafted.tar >said 2>&1 || true
        for name in '\.\./up' 'a/\.\./\.\./up' link-outside link-through to-outside/through .snapshots/made .lsmfs/other .lsmfs/keys; do
            grep -q "^lsmfs import: $name" said
        done
        same "theirs 1" "$(cd outside && stat -c '%n %h' -- *)"
        [ ! -e up ]
        same "" "$("$lsmfs" snapshot list "$other")"
        [ $how = mounted ] || "$lsmfs" mount "$other" "$there"
        same good "$(cat "$there/good")"
        same last "$(cat "$there/last")"
        same inside "$(cat "$there$WORK/outside/absolute")"
        "$lsmfs" umount "$there"
    done
}

tells_bad_archives() {
    make_source
    "$lsmfs" export "$store" tree/dir >all.tar 2>/dev/null
    rm -rf "$other"
    head -c 5000 /dev/urandom >noise
    fails_with 1 'standard input: ' "$lsmfs" import "$other" <noise
    fails_with 1 'standard input: ' "$lsmfs" import "$other" </dev/null
    # It came when a store had been made.
    [ ! -e "$other" ]
    fails_with 1 'standard input: ' "$lsmfs" import "$other" < <(head -c 1000000 all.tar)
    # Cut within a header, of which libarchive says nothing.
    fails_with 1 'too early|Truncated' "$lsmfs" import "$other" < <(head -c 1700 all.tar)
    # Cut between two entries, which passed for the end.
    fails_with 1 'cut off' "$lsmfs" import "$other" < <(head -c 1536 all.tar)
    # What came before the cut is there.
    "$lsmfs" ls -R "$other" | grep -q '^tree/dir/'
    fails_with 1 'standard input: ' "$lsmfs" import "$other" <"$WORK"
}

tells_what_is_wrong() {
    rm -rf "$store" "$other"
    "$lsmfs" create "$store"
    echo x >x
    tar -cf x.tar x
    fails_with 2 'missing operand' "$lsmfs" import <x.tar
    fails_with 2 'too many operands' "$lsmfs" import a b c <x.tar
    fails_with 2 'unknown option' "$lsmfs" import --none "$store" <x.tar
    fails_with 2 'terminal' script -qec "'$lsmfs' import '$store'" /dev/null
    fails_with 4 'not a store' "$lsmfs" import there/.. <x.tar
    fails_with 4 'No such file' "$lsmfs" import nowhere/store <x.tar
    mount_store -o ro
    fails_with 3 'being read' "$lsmfs" import "$mnt" <x.tar
    umount_store
    same '{"entries":1,"failed":0}' "$("$lsmfs" import --json "$store" <x.tar)"
    same x "$("$lsmfs" get "$store" x)"
    # Lists cannot be kept by a mount without acl, which libarchive passes over.
    setfacl -m u:77:r x
    tar --acls -cf x.tar x
    mount_store
    fails_with 4 'x: no access control list: .* without -o acl' "$lsmfs" import "$mnt" <x.tar
    umount_store
}

# A large file was one step of the bar, whatever its size.
shows_a_bar() {
    rm -rf "$store"
    "$lsmfs" create "$store"
    head -c 30000000 /dev/urandom >x
    tar -cf x.tar x
    script -qec "'$lsmfs' import '$store' <x.tar" screen >/dev/null
    [ "$(grep -oP '\e\[K\[#* *\] *\K[0-9]+(?= %)' screen | sort -un | wc -l)" -gt 10 ]
    # Of a pipe it is told how much has come.
    cat >pipe.sh <<END
{ head -c 20000000 x.tar; sleep 1; tail -c +20000001 x.tar; } | '$lsmfs' import '$store'
END
    script -qec 'sh pipe.sh' screen >/dev/null
    grep -q $'\e\[K0 entries, [0-9]* MiB' screen
    grep -q $'\e\[K0 entries, 1[0-9] MiB' screen
    not grep -q $'\e' <<<"$("$lsmfs" import "$store" <x.tar 2>&1)"
    rm x x.tar
}

# The store is as large as its disk.  With a mount it went on with the file after each write that
# failed, and told so each time.
stops_on_a_full_disk() {
    local how
    mkdir -p small
    mount -t tmpfs -o size=64m none small
    head -c 100000000 /dev/urandom >large
    echo x >x
    tar -cf large.tar large x
    for how in mounted not; do
        "$lsmfs" create small/store
        [ $how = not ] || "$lsmfs" mount small/store "$there"
        fails_with 1 'large: No space' "$lsmfs" import small/store <large.tar >said
        cat said
        same 1 "$(grep -c large said)"
        [ $how = not ] || "$lsmfs" umount "$there"
        "$lsmfs" check --quiet small/store
        same "" "$("$lsmfs" ls -R small/store)"
        rm -rf small/store
    done
    umount small
    rm large large.tar
}

# ---- as an ordinary user ----

# His own store gets owners as they are; by its mount they are his.
an_ordinary_user_can() {
    local theirs=$WORK/theirs
    rm -rf "$theirs"
    mkdir "$theirs"
    chown $user:$user "$theirs"
    setpriv --reuid $user --regid $user --clear-groups \
        env WORK="$theirs" BIN="$BIN" "$script" >theirs.log 2>&1 || {
        cat theirs.log
        return 1
    }
    cat theirs.log
    not grep '^not ok' theirs.log
}

owners_of_another() {
    rm -rf theirs
    make_source
    "$lsmfs" export "$store" >all.tar 2>/dev/null
    mkdir -p theirs/mnt
    chown $user theirs theirs/mnt
    chmod 644 all.tar
    setpriv --reuid $user --regid $user --clear-groups "$lsmfs" import theirs/store <all.tar
    "$lsmfs" mount theirs/store "$there" -o "$full"
    is_same "$there"
    "$lsmfs" umount "$there"
    rm -rf theirs
}

chmod 755 "$WORK"
sources=$WORK/sources
mkdir -p "$sources"
cp -r "${script%/*}"/../support "$sources"
alone "export and import, not mounted" comes_back_unmounted
alone "export and import, mounted" comes_back_mounted
alone "rsync finds no difference" comes_back_to_rsync
alone "what tar wrote" comes_from_tar
alone "compressed archives" comes_compressed
alone "default lists are not taken over" inherits_nothing
alone "into a directory" goes_into_a_directory
alone "what is there is replaced" replaces
alone "keys that are no path" keeps_odd_keys
alone "an archive stays in the store" stays_in_the_store
alone "bad archives" tells_bad_archives
alone "what is wrong is told" tells_what_is_wrong
alone "on a terminal" shows_a_bar
alone "links that have contents" keeps_linked_contents
alone "directories swapped meanwhile" is_not_led_astray
alone "what is made, exchanged" knows_what_it_made
alone "good entries behind a failure" goes_on_after_a_failure
alone "entries that cannot be" refuses_what_cannot_be
alone "no part of a file" leaves_no_part_of_a_file
alone "what cannot be read" tells_what_it_cannot_read
alone "values in a mount and in a directory" tells_of_values
alone "no store within a mount" makes_no_store_in_a_mount
alone "names with control characters" prints_no_orders
alone "attributes that are too long" refuses_long_attributes
alone "lists that are in disorder" refuses_disordered_lists
alone "lists that are too long" refuses_long_lists
alone "lists that have names" keeps_named_lists
alone "the root for last" leaves_the_root_for_last
alone "names in either form" keeps_names
alone "attributes that were exported" keeps_exported_attributes
alone "times of values" keeps_times_of_values
alone "values with holes" refuses_holes_in_values
alone "values of files" leaves_files_to_their_paths
alone "damage in what is compressed" notices_damage
alone "gzip" reads_gzip
alone "archives in a row" takes_archives_in_a_row
alone "contents that cannot be read" leaves_out_what_it_cannot_read
alone "a directory moved meanwhile" tells_of_a_moved_directory
alone "nobody reads what is told" goes_on_without_a_reader
alone "killed" can_be_killed
alone "an empty archive" takes_an_empty_archive
alone "entries that come twice" takes_the_last_entry
alone "set-user-ID bits" lends_no_privileges
alone "pipes that stay open" does_not_wait_for_the_end
alone "interrupted" can_be_interrupted
alone "the daemon dies" stops_when_the_daemon_dies
alone "a mount point with a newline" takes_any_mount_point
if [ "$(id -u)" = 0 ]; then
    alone "bind mounts, and mounts within" stays_in_a_bind_mount
    alone "a mount that shows another owner" is_known_with_another_owner
    alone "a full disk" stops_on_a_full_disk
    alone "a disk with room for one" waits_for_space
    alone "owners, by an ordinary user" owners_of_another
    fuse_for $user
    alone "as an ordinary user" an_ordinary_user_can
fi
finish
