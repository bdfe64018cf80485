#!/bin/bash
#
# tools.sh [SOURCE] - rsync, tar, cp, sed and vim with all that they preserve, from the file system
# beneath to the mount and back; SOURCE, a directory, is part of what they copy.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"
# shellcheck source=tests/fs/trees.bash
. "$(dirname "$0")/trees.bash"

from=$beneath/from

makes() {
    make_everything "$from" "$source"
    # The same tree made on the mount itself.
    make_everything "$mnt/made" "$source"
    diff <(cd "$from" && find . -printf '%p %y %m %U %G %n\n' | sort) \
        <(cd "$mnt/made" && find . -printf '%p %y %m %U %G %n\n' | sort)
}

# ---- rsync ----

# Left to itself it takes two times of a second for the same.
rsync=(rsync -aHAX --modify-window=-1)

# syncs FROM TO OPTION...: copies all, then finds nothing to do; -i names what it would change.
syncs() {
    local from=$1 to=$2
    shift 2
    "${rsync[@]}" --devices --specials "$@" "$from/" "$to/"
    same_in_all "$from" "$to"
    same "" "$("${rsync[@]}" -i --delete "$@" "$from/" "$to/")"
}

rsyncs() {
    syncs "$from" "$mnt/there"
    syncs "$mnt/there" "$beneath/back"
    same "" "$("${rsync[@]}" -i --delete "$from/" "$beneath/back/")"
    syncs "$mnt/made" "$mnt/within"
    remount -o acl,suid,dev
    same "" "$("${rsync[@]}" -i --delete "$from/" "$mnt/there/")"
    same "" "$("${rsync[@]}" -i --delete "$mnt/there/" "$beneath/back/")"
    # By what is in them, not by times.
    same "" "$("${rsync[@]}" -ic --delete "$from/" "$mnt/there/")"
}

# What changed is brought over, in place or by a new file, and nothing else..
rsyncs_changes() {
    local option
    for option in --no-whole-file --inplace '--inplace --no-whole-file' -W --sparse --append-verify \
        --delay-updates; do
        printf 'changed %s' "$option" |
            dd of="$from/dir/deep/large" bs=1000 seek=1500 conv=notrunc status=none
        # --append-verify takes files that have grown.
        printf 'longer' >>"$from/dir/deep/large"
        rm -rf "$from/moving" "$from/source/gone"
        mkdir "$from/moving"
        ln "$from/dir/small" "$from/moving/hard-$option"
        # shellcheck disable=SC2086
        "${rsync[@]}" --delete $option "$from/" "$mnt/there/"
        same_in_all "$from" "$mnt/there"
        # shellcheck disable=SC2086
        same "" "$("${rsync[@]}" -i --delete $option "$from/" "$mnt/there/")"
    done
    # As backups by hard links do it.
    "${rsync[@]}" --link-dest="$mnt/there" "$from/" "$mnt/linked/"
    same_in_all "$from" "$beneath/from"
    same "$(stat -c %i "$mnt/there/dir/chunked")" "$(stat -c %i "$mnt/linked/dir/chunked")"
    same "" "$("${rsync[@]}" --no-hard-links -i --delete "$from/" "$mnt/linked/")"
}

rsyncs_holes() {
    rsync -a --sparse "$from/sparse" "$from/hole" "$mnt/"
    cmp "$from/sparse" "$mnt/sparse"
    same 0 "$(stat -c %b "$mnt/hole")"
    [ "$(stat -c %b "$mnt/sparse")" -le 600 ]
    rm "$mnt/sparse" "$mnt/hole"
}

# ---- tar ----

tars() {
    local all=(--xattrs '--xattrs-include=*' --acls --numeric-owner)
    # To tar a socket is nothing, and two names of a device are two devices.
    rm "$mnt/made/socket" "$mnt/made/block-hard"
    tar "${all[@]}" -C "$mnt/made" -cf "$mnt/made.tar" .
    tar "${all[@]}" -C "$mnt/made" --sparse -czf "$mnt/made.tgz" .
    mkdir "$mnt/x1" "$mnt/x2" "$beneath/x"
    tar "${all[@]}" -C "$mnt/x1" -xpf "$mnt/made.tar"
    tar "${all[@]}" -C "$mnt/x2" -xpzf "$mnt/made.tgz"
    tar "${all[@]}" -C "$beneath/x" -xpf "$mnt/made.tar"
    same_in_all "$beneath/x" "$mnt/x1"
    touch -r "$mnt/x1" "$mnt/made"
    same_in_all "$mnt/made" "$mnt/x1"
    same_in_all "$mnt/made" "$mnt/x2"
    same 0 "$(stat -c %b "$mnt/x2/hole")"
    tar "${all[@]}" -C "$mnt/x1" --compare -f "$mnt/made.tar"
    # Over what is there, and nothing but what is newer.
    tar "${all[@]}" -C "$mnt/x1" -xpf "$mnt/made.tar" --overwrite
    same_in_all "$mnt/made" "$mnt/x1"
    tar -C "$mnt/made" -cf "$mnt/newer.tar" --newer-mtime '2099-01-01' dir fifo 2>/dev/null
    same fifo "$(tar -tf "$mnt/newer.tar" | grep -v '/$')"
    # An archive that grows in place.
    tar -C "$mnt/made" -rf "$mnt/newer.tar" dir/small
    tar -C "$mnt/made" -uf "$mnt/newer.tar" dir/small
    same 1 "$(tar -tf "$mnt/newer.tar" | grep -cx dir/small)"
    tar -f "$mnt/newer.tar" --delete dir/small
    not grep -qx dir/small <(tar -tf "$mnt/newer.tar")
    rm -rf "$mnt/x1" "$mnt/x2" "$mnt"/*.tar "$mnt"/*.tgz "$beneath/x"
}

# ---- cp, mv, install ----

# Blocks are counted by chunks (fs/README.md), so data lies where a whole chunk does.
sparse_copies() {
    local option
    truncate -s 4M sparse
    seq 100000 >numbers
    dd if=numbers of=sparse bs=128k count=1 seek=16 conv=notrunc status=none
    rm numbers
    head -c 1M /dev/zero >zeros
    for option in always never auto; do
        cp --sparse=$option sparse copy
        cp --sparse=$option zeros zeros-copy
        cmp sparse copy
        cmp zeros zeros-copy
        stat -c "$option %n %s %b" copy zeros-copy
        rm copy zeros-copy
    done
    dd if=sparse of=by-dd bs=128k conv=sparse status=none
    stat -c '%n %s %b' by-dd
    fallocate --dig-holes zeros
    stat -c '%n %s %b' zeros
    fallocate --punch-hole --offset 2M --length 128k sparse
    stat -c '%n %s %b' sparse
}

plain_copies() {
    echo text >a
    touch -d 2001-01-01 a
    cp --reflink=auto a b
    cp --reflink=never a c
    cp -l a hard
    cp -s a soft
    cp -p a kept
    stat -c '%n %h %Y' kept
    cp --attributes-only --preserve=all a attributes
    echo newer >b
    cp -u a b && cat b
    cp --backup=numbered a b && cp --backup=simple a b
    cp --remove-destination a soft
    chmod 400 c
    cp -f b c
    mkdir -p t/u
    cp --parents t/u/../../a t || true
    cp -r t v
    cp -t v a b
    install -m 750 -D a w/x/y
    mv -b a b
    mv -n b c
    mv -u c b
    ln -sfn w current && ln -sfn v current && readlink current
    shred -n 1 -u b
    truncate -s +1000 c
    split -b 100 c part. && cat part.* | cmp - c
    sort -o hard hard
    head -c 70000 /dev/zero | tr '\0' x | dd of=c bs=999 seek=3 conv=notrunc status=none
    du -b --apparent-size c | cut -f 1
}

preserving_copies() {
    cp -a "$from" "$mnt/copied"
    same_in_all "$from" "$mnt/copied"
    cp -a --reflink=auto --sparse=always "$mnt/copied" "$mnt/again"
    same_in_all "$from" "$mnt/again"
    cp -r --preserve=all --no-dereference "$mnt/again" "$beneath/again"
    same_in_all "$from" "$beneath/again"
    # From one file system to the other: a copy, then a removal.
    mv "$beneath/again" "$mnt/moved"
    same_in_all "$from" "$mnt/moved"
    mv "$mnt/moved" "$beneath/moved"
    same_in_all "$from" "$beneath/moved"
    [ ! -e "$mnt/moved" ]
    diff -r --no-dereference --exclude=socket --exclude='fifo' --exclude=character \
        --exclude='*block*' "$from" "$mnt/again"
    rm -rf "$mnt/again" "$mnt/copied" "$beneath/moved"
}

# ---- editors ----

edits_in_place() {
    local before
    echo one >f
    ln f hard
    ln -s f link
    chmod 640 f
    chown 12:34 f
    setfacl -m u:77:r f
    setfattr -n user.x -v y f
    before=$(stat -c %i f)
    sed -i 's/one/two/' f
    [ "$(stat -c %i f)" = "$before" ] || echo "a new file"
    stat -c '%n %h %a %u:%g' f hard
    getfacl -c f
    getfattr -d f 2>/dev/null
    sed -i.bak 's/two/three/' f
    sed -i --follow-symlinks 's/three/four/' link
    sed -i 's/four/five/' link
    stat -c '%n %F' link
    chmod 400 f
    sed -i 's/four/six/' f
    perl -pi.orig -e 's/one/seven/' hard
    printf '%s\n' '1s/six/eight/' w q | sed -n p | ed -s f 2>/dev/null || true
    ls
    cat f hard link ./*.bak ./*.orig
}

# Without a terminal, and without anybody's settings or history.
edit() {
    "$vim" -es -N -u NONE -i NONE "$@" </dev/null
}

vim_saves() {
    local copy before
    for copy in yes no auto breaksymlink,no breakhardlink,yes; do
        rm -f ./*
        echo one >f
        chmod 640 f
        chown 12:34 f
        setfattr -n user.x -v y f
        setfacl -m u:77:r f
        ln f hard
        ln -s f link
        before=$(stat -c %i f)
        edit -c "set backup writebackup backupskip= backupcopy=$copy backupext=.old backupdir=." \
            -c '1s/one/two/' -c wq f
        [ "$(stat -c %i f)" != "$before" ] || echo "$copy: in place"
        edit -c "set nobackup writebackup backupskip= backupcopy=$copy backupdir=." -c '$s/two/three/' \
            -c 'normal othe end' -c 'wq!' link
        stat -c "$copy %n %F %h %a %u:%g" ./*
        getfacl -c f
        getfattr -d f 2>/dev/null || true
        cat f hard link f.old
        # Nothing is left beside: no swap file, no "4913" that tries whether a name can be made.
        ls -A
    done
}

# Killed while it edits: what was typed comes back from the swap file.
vim_recovers() {
    local status=0
    echo one >f
    # The shell would tell of its death, with a number.
    {
        edit -c 'set swapfile directory=.' -c '1s/one/two/' -c 'normal omore' -c preserve \
            -c '!kill -KILL $PPID' f || status=$?
    } 2>/dev/null
    echo "ended with $status"
    ls -A
    cat f
    edit -r -c 'set directory=.' -c 'wq! recovered' f || true
    cat recovered
    rm .f.swp
}

# The way of emacs: the old file is renamed, the new one written, the lock is a symbolic link.
renames_before_it_saves() {
    local i
    for i in {1..20}; do
        ln -s "user@host.$i:1" '.#f'
        [ ! -e f ] || mv f f~
        echo "$i" >f
        sync f
        chmod 640 f
        rm '.#f'
    done
    cat f f~
}

source=${1:-/usr/include/linux}
vim=$(command -v vim.tiny || command -v vim)
mount_store -o acl,suid,dev || exit 1
check "a tree with everything" makes
check "rsync -aHAX there and back; again it finds nothing" rsyncs
check "rsync of changes: in place, whole, sparse, appended, linked" rsyncs_changes
check "rsync --sparse" rsyncs_holes
check "tar with extended attributes, access lists and holes" tars
check "cp --sparse, holes as ext4 has them" alike sparse_copies
check "cp, mv, ln, install, split, shred as on ext4" alike plain_copies
check "cp -a there and back, mv between file systems" preserving_copies
check "sed -i as on ext4" alike edits_in_place
check "vim's ways to save, as on ext4" alike vim_saves
check "vim recovers from its swap file" alike vim_recovers
check "a save by rename, with a lock" alike renames_before_it_saves
check "unmounts" umount_store
finish
