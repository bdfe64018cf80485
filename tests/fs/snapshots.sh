#!/bin/bash
#
# snapshots.sh - .snapshots: taken, shown, renamed, dropped; complete, unchanging, read-only.

# Lists of names are short and plain here.
# shellcheck disable=SC2010,SC2046
# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"

snaps=$mnt/.snapshots

fills() {
    mkdir -p "$mnt/dir/sub"
    echo first >"$mnt/dir/file"
    head -c 2000000 /dev/urandom >"$mnt/dir/large"
    ln -s file "$mnt/dir/link"
    mkfifo "$mnt/dir/sub/fifo"
    setfattr -n user.when -v first "$mnt/dir/file"
    touch -d '2020-02-02 02:02:02.222222222' "$mnt/dir/sub"
    chmod 1751 "$mnt/dir/sub"
    tree_of "$mnt" >tree1
    (cd "$mnt" && find . -printf '%p %T@ %U %G %n\n' | sort) >times1
}

takes() {
    mkdir "$snaps/one"
    same one "$(ls "$snaps")"
    fails_with 1 'File exists' mkdir "$snaps/one"
}

changes_everything() {
    echo second >"$mnt/dir/file"
    setfattr -n user.when -v second "$mnt/dir/file"
    printf 'changed' | dd of="$mnt/dir/large" seek=1000 bs=1000 conv=notrunc status=none
    mv "$mnt/dir/sub" "$mnt/moved"
    rm "$mnt/dir/link"
    ln -s elsewhere "$mnt/dir/link"
    echo new >"$mnt/new"
    chmod 700 "$mnt/moved"
}

shows_the_past() {
    diff tree1 <(tree_of "$snaps/one")
    diff times1 <(cd "$snaps/one" && find . -printf '%p %T@ %U %G %n\n' | sort)
    same first "$(getfattr --only-values -n user.when "$snaps/one/dir/file")"
    same file "$(readlink "$snaps/one/dir/link")"
    [ ! -e "$snaps/one/new" ]
    [ ! -e "$snaps/one/.snapshots" ]
    same second "$(cat "$mnt/dir/file")"
}

is_read_only() {
    fails_with 1 'Read-only' touch "$snaps/one/new"
    fails_with 2 'Read-only' sh -c "echo x >'$snaps/one/dir/file'"
    fails_with 1 'Read-only' rm -f "$snaps/one/dir/file"
    fails_with 1 'Read-only' mkdir "$snaps/one/dir/more"
    fails_with 1 'Read-only' chmod 777 "$snaps/one/dir"
    fails_with 1 'Read-only' mv "$snaps/one/dir/file" "$snaps/one/dir/other"
    fails_with 1 'Read-only' setfattr -n user.x -v y "$snaps/one/dir/file"
    fails_with 1 'Read-only' truncate -s 0 "$snaps/one/dir/large"
    fails_with 1 'Read-only' rm -r "$snaps/one"
    diff tree1 <(tree_of "$snaps/one")
}

has_borders() {
    fails_with 1 '' ln "$snaps/one/dir/file" "$mnt/hardlink"
    fails_with 1 '' chmod 777 "$snaps"
    fails_with 1 '' rmdir "$snaps"
    fails_with 1 '' mv -T "$snaps" "$mnt/renamed"
    fails_with 1 '' touch "$snaps/file"
    fails_with 1 '' ln -s x "$snaps/link"
    same 755 "$(stat -c %a "$snaps")"
}

# inodes DIRECTORY
inodes() {
    (cd "$1" && find . -printf '%p %i\n' | sort)
}

has_stable_inodes() {
    inodes "$snaps/one" >inodes1
    # Each its own, and none a live one's.
    same "" "$(cut -d' ' -f2 inodes1 | sort | uniq -d)"
    same "" "$(comm -12 <(cut -d' ' -f2 inodes1 | sort) \
        <(find "$mnt" -printf '%i\n' | sort))"
    stat -c %Z "$snaps/one" >ctime1
    remount
    diff inodes1 <(inodes "$snaps/one")
    diff tree1 <(tree_of "$snaps/one")
    diff ctime1 <(stat -c %Z "$snaps/one")
}

is_hidden() {
    same "" "$(ls -A "$mnt" | grep snapshots)"
    same "" "$(find "$mnt" -name '.snapshots')"
    remount -o snapdir=visible
    same ".snapshots" "$(ls -A "$mnt" | grep snapshots)"
    remount
}

renames() {
    mkdir "$snaps/two"
    mv "$snaps/two" "$snaps/three"
    same "one three" "$(echo $(ls "$snaps"))"
    fails_with 1 'exists' mv -T "$snaps/three" "$snaps/one"
    same second "$(cat "$snaps/three/dir/file")"
    remount
    same "one three" "$(echo $(ls "$snaps"))"
}

mounts_one() {
    local live
    live=$(stat -c %i "$mnt/dir/file")
    remount -o snapshot=one
    diff tree1 <(tree_of "$mnt")
    # The original numbers, for programs that key on them.
    same "$live" "$(stat -c %i "$mnt/dir/file")"
    fails_with 1 'Read-only' touch "$mnt/new"
    umount_store
    fails_with 4 'none' mount_store -o snapshot=none
    mount_store
}

drops() {
    exec 5<"$snaps/three/dir/large"
    (
        cd "$snaps/three/dir" || exit
        rmdir "$snaps/three"
        same one "$(ls "$snaps")"
        fails_with 2 'No such file' ls "$snaps/three"
        # Whoever is inside reads on.
        same second "$(cat file)"
        same 2000000 "$(wc -c <&5)"
    )
    exec 5<&-
    remount
    same one "$(ls "$snaps")"
    diff tree1 <(tree_of "$snaps/one")
}

survives_death() {
    mkdir "$snaps/late"
    kill_daemon
    mount_store
    same "late one" "$(echo $(ls "$snaps"))"
    diff tree1 <(tree_of "$snaps/one")
    same second "$(cat "$snaps/late/dir/file")"
}

many() {
    local i
    for i in {1..60}; do
        echo "$i" >"$mnt/counter"
        mkdir "$snaps/n$i"
    done
    for i in {1..60}; do
        same "$i" "$(cat "$snaps/n$i/counter")"
    done
    same 62 "$(ls "$snaps" | wc -l)"
    rmdir "$snaps"/n*
    same 2 "$(ls "$snaps" | wc -l)"
}

mount_store || exit 1
check "a tree" fills
check "mkdir takes a snapshot" takes
check "the tree changes" changes_everything
check "the snapshot shows what was" shows_the_past
check "it is read-only, against rm -r too" is_read_only
check "borders" has_borders
check "inode numbers are stable and its own" has_stable_inodes
check "hidden unless -o snapdir=visible" is_hidden
check "mv renames" renames
check "-o snapshot=" mounts_one
check "rmdir drops, and leaves who is inside in peace" drops
check "snapshots survive the daemon's death" survives_death
check "sixty of them" many
check "unmounts" umount_store
finish
