#!/bin/bash
#
# backup.sh [SOURCE] - restic, borg, tar --listed-incremental and rsync, twice from a snapshot: the
# second run finds nothing changed, read through .snapshots/NAME or mounted by itself, also after
# a remount and in spite of all that the live tree does; and by `lsmfs backup`, from one snapshot after
# the other.  Restored, the trees are the same.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"
# shellcheck source=tests/fs/trees.bash
. "$(dirname "$0")/trees.bash"

options=(-o "acl,suid,dev")
snap=$mnt/.snapshots/monday
export RESTIC_PASSWORD=secret RESTIC_CACHE_DIR=$WORK/restic-cache HOME=$WORK
export BORG_PASSPHRASE=secret BORG_BASE_DIR=$WORK/borg BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes
export BORG_RELOCATED_REPO_ACCESS_IS_OK=yes

makes() {
    mkdir "$mnt/live"
    make_everything "$mnt/live/tree" "$source"
    (
        cd "$mnt/live/tree"
        # restic and tar leave out sockets; that two names are one device or link, and what a link
        # has for attributes, restic does not keep.
        rm socket block-hard symlink-hard
        setfattr -h -x trusted.link symlink
        # To tar the future is always new.
        touch -d 2020-02-02 fifo
        # Borg restores nothing from before 1970.
        touch -d 1971-01-01 sparse
    )
    # Borg takes the newest file for one that may have changed within the tick of a clock.
    sleep 0.1
    echo newest >"$mnt/live/newest"
    mkdir "$mnt/.snapshots/monday"
    all_of "$snap/live/tree" >monday
    change "$mnt/live/tree"
    not cmp -s monday <(all_of "$mnt/live/tree")
}

# All that a live tree may do beside a backup of its past.
change() {
    (
        cd "$1"
        echo changed >dir/small
        printf changed | dd of=dir/deep/large conv=notrunc status=none
        ln dir/deep/large "more$RANDOM"
        mv odd* "renamed$RANDOM"
        rm dangling
        ln -s elsewhere dangling
        setfattr -n user.note -v changed dir/small
        chmod 640 dir/chunked
        mkdir -p 'odd again'
        find source -type f -newermt 2000-01-01 -exec touch {} + -quit
        rm -rf "$(find source -mindepth 1 -type d | head -n 1)"
    )
}

tree_is_monday() {
    all_of "$1" >restored
    diff monday restored >restored.diff || {
        head -n 20 restored.diff
        return 1
    }
}

# ---- restic ----

restic() {
    command restic --quiet --repo "$repository" "$@"
}

# restic_backup DIRECTORY: the summary of it.
restic_backup() {
    stat -c %d "$1" >device
    (cd "$1" && restic --json backup .) >restic.json
    grep '"message_type":"summary"' restic.json | tail -n 1
}

number() {
    sed -n "s/.*\"$1\": *\([0-9]*\).*/\1/p"
}

# restic_finds_nothing DIRECTORY: neither a file nor a directory that it did not know.  It keeps
# device numbers, too, and a mount may get another one each time: then directories are new to it.
restic_finds_nothing() {
    local summary name device before
    before=$(cat device)
    summary=$(restic_backup "$1")
    device=$(cat device)
    echo "device $before, now $device: $summary"
    for name in files_new files_changed dirs_new data_blobs; do
        same "$name 0" "$name $(number $name <<<"$summary")"
    done
    if [ "$device" = "$before" ]; then
        for name in dirs_changed tree_blobs data_added; do
            same "$name 0" "$name $(number $name <<<"$summary")"
        done
    fi
    [ "$(number files_unmodified <<<"$summary")" -gt 100 ]
}

# restic_backs_up REPOSITORY
restic_backs_up() {
    repository=$1
    restic init
    restic_backup "$snap/live" | tee first
    [ "$(number files_new <first)" -gt 100 ]
    change "$mnt/live/tree"
    restic_finds_nothing "$snap/live"
    remount "${options[@]}"
    restic_finds_nothing "$snap/live"
    restic check --read-data
    restic restore latest --target "$2"
    tree_is_monday "$2/tree"
    # What has changed is found.
    restic_backup "$mnt/live" | tee third
    [ "$(number data_blobs <third)" -gt 0 ]
}

restic_beside() {
    restic_backs_up "$WORK/restic-beside" "$beneath/restic"
}

restic_inside() {
    restic_backs_up "$mnt/restic-inside" "$mnt/restic-restored"
    rm -rf "$mnt/restic-restored"
}

# The snapshot at a path of its own, with the inode numbers that the files have.
restic_mounted() {
    local live
    repository=$WORK/restic-beside
    live=$(stat -c %i "$mnt/live/tree/dir/chunked")
    remount -o snapshot=monday "${options[@]}"
    same "$live" "$(stat -c %i "$mnt/live/tree/dir/chunked")"
    restic_backup "$mnt/live"
    restic_finds_nothing "$mnt/live"
    remount -o snapshot=monday "${options[@]}"
    restic_finds_nothing "$mnt/live"
    tree_is_monday "$mnt/live/tree"
    remount "${options[@]}"
}

# ---- borg ----

# borg_backup NAME DIRECTORY: the list of what it saw, "STATUS PATH": A is new, M changed, U not.
borg_backup() {
    local name=$1
    (cd "$2" && borg create --files-cache=ctime,size,inode --list "$repository::$name" . 2>&1) >list
    cut -c 1-2 list | sort | uniq -c
}

# Directories, links and devices have letters of their own; files must be unchanged, all of them but
# the newest, which borg always reads.
borg_finds_nothing() {
    borg_backup "$1" "$2"
    same "A newest" "$(grep -E '^[AMCE?] ' list)"
    [ "$(grep -c '^U ' list)" -gt 100 ]
    same "" "$(borg diff "$repository::first" "$1")"
}

borg_backs_up() {
    repository=$1
    borg init --encryption=repokey-blake2 "$repository"
    borg_backup first "$snap/live"
    [ "$(grep -c '^A ' list)" -gt 100 ]
    change "$mnt/live/tree"
    borg_finds_nothing second "$snap/live"
    remount "${options[@]}"
    borg_finds_nothing third "$snap/live"
    borg check --verify-data "$repository"
    mkdir "$2"
    (cd "$2" && borg extract --numeric-ids --sparse "$repository::third")
    tree_is_monday "$2/tree"
    borg_backup live "$mnt/live"
    grep '^[AM] ' list
}

borg_beside() {
    borg_backs_up "$WORK/borg-beside" "$beneath/borg"
}

borg_inside() {
    borg_backs_up "$mnt/borg-inside" "$mnt/borg-restored"
    borg delete "$mnt/borg-inside::first"
    borg compact "$mnt/borg-inside"
    borg check "$mnt/borg-inside"
    rm -rf "$mnt/borg-restored"
}

borg_mounted() {
    repository=$WORK/borg-mounted
    borg init --encryption=none "$repository"
    remount -o snapshot=monday "${options[@]}"
    borg_backup first "$mnt/live"
    borg_finds_nothing second "$mnt/live"
    remount -o snapshot=monday "${options[@]}"
    borg_finds_nothing third "$mnt/live"
    remount "${options[@]}"
}

# ---- tar and rsync ----

# incremental ARCHIVE DIRECTORY
incremental() {
    tar --listed-incremental="$state" --xattrs '--xattrs-include=*' --acls --no-check-device \
        -cf "$1" -C "$2" live
}

# incremental_finds_nothing DIRECTORY: of a second run from the same state, but directories.
incremental_finds_nothing() {
    incremental "$WORK/level1.tar" "$1"
    tar -tf level1.tar | grep -v '/$' >members || true
    same "" "$(cat members)"
}

tar_twice() {
    state=$WORK/listed
    incremental "$WORK/level0.tar" "$snap"
    [ "$(tar -tf level0.tar | grep -vc '/$')" -gt 100 ]
    change "$mnt/live/tree"
    incremental_finds_nothing "$snap"
    remount "${options[@]}"
    incremental_finds_nothing "$snap"
    mkdir "$mnt/untarred"
    tar --listed-incremental=/dev/null --xattrs '--xattrs-include=*' --acls --numeric-owner \
        -xpf level0.tar -C "$mnt/untarred"
    tar --listed-incremental=/dev/null -xpf level1.tar -C "$mnt/untarred"
    tree_is_monday "$mnt/untarred/live/tree"
    rm -rf "$mnt/untarred"
    # Of the live tree it finds what changed, and what was renamed, as on ext4.
    incremental "$WORK/level1.tar" "$mnt"
    tar -tf level1.tar | grep 'live/tree/dir/small'
}

tar_mounted() {
    state=$WORK/listed-mounted
    remount -o snapshot=monday "${options[@]}"
    incremental "$WORK/level0.tar" "$mnt"
    incremental_finds_nothing "$mnt"
    remount -o snapshot=monday "${options[@]}"
    incremental_finds_nothing "$mnt"
    remount "${options[@]}"
}

rsync_twice() {
    local rsync=(rsync -aHAX --modify-window=-1 --delete)
    "${rsync[@]}" "$snap/live/" "$beneath/rsync/"
    tree_is_monday "$beneath/rsync/tree"
    change "$mnt/live/tree"
    same "" "$("${rsync[@]}" -ic "$snap/live/" "$beneath/rsync/")"
    remount "${options[@]}"
    same "" "$("${rsync[@]}" -i "$snap/live/" "$beneath/rsync/")"
    [ -n "$("${rsync[@]}" -in "$mnt/live/" "$beneath/rsync/")" ]
}

# ---- lsmfs backup: a snapshot of its own for each run ----

# nightly COMMAND...: at the place of this check, which `place` tells.
nightly() {
    "$lsmfs" backup "$store" "${place[@]}" -- "$@"
}

# in_each_state COMMAND...: beside other snapshots, after a remount, and, if that is at the same
# place, without a mount.
in_each_state() {
    mkdir "$mnt/.snapshots/other"
    "$@"
    rmdir "$mnt/.snapshots/other"
    remount "${options[@]}"
    "$@"
    [ ${#place[@]} -gt 0 ] || return 0
    umount_store
    "$@"
    mount_store "${options[@]}"
}

# restic_nightly_finds FILES: so many that it did not know or that had changed.  Device numbers may
# be others, see restic_finds_nothing.
restic_nightly_finds() {
    local summary
    nightly restic --repo "$repository" --json backup . >restic.json
    summary=$(grep '"message_type":"summary"' restic.json | tail -n 1)
    echo "$summary"
    same "$1" $(($(number files_new <<<"$summary") + $(number files_changed <<<"$summary")))
    [ "$1" != 0 ] || same 0 "$(number data_blobs <<<"$summary")"
    [ "$(number files_unmodified <<<"$summary")" -gt 100 ]
}

restic_nightly() {
    local place=("$@")
    repository=$WORK/restic-nightly$#
    restic init
    nightly restic --quiet --repo "$repository" backup .
    in_each_state restic_nightly_finds 0
    restic restore latest --target "$beneath/restic-nightly$#"
    same_in_all "$mnt/live/tree" "$beneath/restic-nightly$#/live/tree"
    echo changed >>"$mnt/live/newest"
    restic_nightly_finds 1
    same monday "$(ls -A "$mnt/.snapshots")"
}

# The newest is always read.
borg_nightly_finds_nothing() {
    nightly borg create --list "$repository::$((++archive))" . >list 2>&1
    same "A live/newest" "$(grep -E '^[AMCE?] ' list)"
    [ "$(grep -c '^U ' list)" -gt 100 ]
    same "" "$(borg diff "$repository::1" "$archive")"
}

borg_nightly() {
    local place=("$@") archive=1
    repository=$WORK/borg-nightly$#
    borg init --encryption=none "$repository"
    sleep 0.1
    echo newest >"$mnt/live/newest"
    nightly borg create "$repository::1" .
    in_each_state borg_nightly_finds_nothing
}

# To tar a directory whose device number is another one is new, so without a remount.
others_nightly() {
    local place=() rsync=(rsync -aHAX --modify-window=-1 --delete)
    nightly "${rsync[@]}" live/ "$beneath/rsync-nightly/"
    same_in_all "$mnt/live/tree" "$beneath/rsync-nightly/tree"
    in_each_state nothing_from nightly "${rsync[@]}" -i live/ "$beneath/rsync-nightly/"
    state=$WORK/listed-nightly
    for archive in level0 level1; do
        nightly tar --listed-incremental="$state" --no-check-device -cf "$WORK/$archive.tar" live
    done
    [ "$(tar -tf level0.tar | grep -vc '/$')" -gt 100 ]
    same "" "$(tar -tf level1.tar | grep -v '/$')"
}

nothing_from() {
    same "" "$("$@")"
}

source=${1:-/usr/include/linux}
mount_store "${options[@]}" || exit 1
check "a tree, its snapshot, and changes" makes
check "restic twice, repository beside the mount" restic_beside
check "restic twice, repository in the mount" restic_inside
check "restic twice from -o snapshot=" restic_mounted
check "borg twice, repository beside the mount" borg_beside
check "borg twice, repository in the mount" borg_inside
check "borg twice from -o snapshot=" borg_mounted
check "tar --listed-incremental twice" tar_twice
check "tar --listed-incremental twice from -o snapshot=" tar_mounted
check "rsync -aHAX twice" rsync_twice
mkdir -p "$WORK/place"
check "lsmfs backup: restic" restic_nightly
check "lsmfs backup: restic, --at, and not mounted" restic_nightly --at "$WORK/place"
check "lsmfs backup: borg" borg_nightly
check "lsmfs backup: borg, --at, and not mounted" borg_nightly --at "$WORK/place"
check "lsmfs backup: rsync, tar" others_nightly
check "unmounts" umount_store
finish
