#!/bin/bash
#
# programs.sh - real programs at work on a mount.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"

include=/usr/include

copies() {
    cp -a $include "$mnt/include"
    diff -r --no-dereference $include "$mnt/include"
    same_trees $include "$mnt/include"
    remount
    same_trees $include "$mnt/include"
}

finds() {
    diff <(cd $include && find . | sort) <(cd "$mnt/include" && find . | sort)
    diff <(cd $include && find . -name 'std*.h' -size +1k -newermt 2000-01-01 | sort) \
        <(cd "$mnt/include" && find . -name 'std*.h' -size +1k -newermt 2000-01-01 | sort)
    same "$(grep -rl pthread_create $include | wc -l)" \
        "$(grep -rl pthread_create "$mnt/include" | wc -l)"
}

tars() {
    tar -C "$mnt" -cf include.tar include
    mkdir "$mnt/untarred"
    tar -C "$mnt/untarred" -xf include.tar
    same_trees $include "$mnt/untarred/include"
    tar -C "$mnt/untarred" --compare -f include.tar
    rm include.tar
}

removes() {
    rm -rf "$mnt/untarred"
    [ ! -e "$mnt/untarred" ]
    mkdir "$mnt/untarred"
    same "" "$(ls -A "$mnt/untarred")"
    rmdir "$mnt/untarred"
}

renames_a_tree() {
    mv "$mnt/include" "$mnt/renamed"
    same_trees $include "$mnt/renamed"
    [ ! -e "$mnt/include" ]
}

editor_saves() {
    local i
    for i in {1..50}; do
        {
            echo "version $i"
            head -c 10000 /dev/urandom | base64
        } >"$mnt/.document.new"
        sync "$mnt/.document.new"
        mv -f "$mnt/.document.new" "$mnt/document"
        same "version $i" "$(head -n 1 "$mnt/document")"
    done
    sed -i 's/^version .*/edited/' "$mnt/document"
    same edited "$(head -n 1 "$mnt/document")"
    if command -v vim >/dev/null; then
        vim -es -u NONE -c '1s/.*/by vim/' -c wq "$mnt/document"
        same "by vim" "$(head -n 1 "$mnt/document")"
    fi
}

# A tree with everything rsync -aHAX keeps.
make_tree_with_everything() {
    mkdir -p "$mnt/live/dir/deep"
    cp -a /usr/include/linux "$mnt/live/dir"
    head -c 3000000 /dev/urandom >"$mnt/live/big"
    truncate -s 10000000 "$mnt/live/big"
    ln -s big "$mnt/live/symlink"
    mkfifo "$mnt/live/fifo"
    setfattr -n user.note -v kept "$mnt/live/big"
    setfattr -n user.note -v kept "$mnt/live/dir"
    touch -d '1999-12-31 23:59:59.987654321' "$mnt/live/dir/deep"
    chmod 3751 "$mnt/live/dir/deep"
    if ln "$mnt/live/big" "$mnt/live/dir/hardlink" 2>/dev/null; then
        echo "hard links are there"
    fi
    if [ "$(id -u)" = 0 ]; then
        mknod "$mnt/live/device" c 10 229
        chown 77:88 "$mnt/live/big"
    fi
}

keep_changing() {
    local i=0
    while [ ! -e "$WORK/enough" ]; do
        i=$((i + 1))
        echo "$i" >"$mnt/live/dir/linux/changing$((i % 50))"
        mv "$mnt/live/dir/linux/changing$((i % 50))" "$mnt/live/dir/moved$((i % 20))"
        rm -f "$mnt/live/dir/moved$((i * 7 % 20))"
        printf 'overwritten' | dd of="$mnt/live/big" conv=notrunc status=none
    done
}

backs_up() {
    local changer
    make_tree_with_everything
    mkdir "$mnt/.snapshots/backup"
    tree_of "$mnt/live" >at-snapshot
    keep_changing &
    changer=$!
    rsync -aHAX "$mnt/.snapshots/backup/live/" copy/
    # -i names what it changes: nothing, the second time.
    same "" "$(rsync -aHAXi --delete "$mnt/.snapshots/backup/live/" copy/)"
    touch enough
    wait $changer
    diff at-snapshot <(tree_of copy)
    same kept "$(getfattr --only-values -n user.note copy/big)"
    # There and back.
    mkdir "$mnt/restored"
    rsync -aHAX copy/ "$mnt/restored/"
    same "" "$(rsync -aHAXi --delete copy/ "$mnt/restored/")"
    remount
    same "" "$(rsync -aHAXi --delete "$mnt/.snapshots/backup/live/" copy/)"
    same "" "$(rsync -aHAXi --delete copy/ "$mnt/restored/")"
    rmdir "$mnt/.snapshots/backup"
}

locks() {
    : >"$mnt/lock"
    (
        flock -x 9
        # Somebody else must not get it.
        fails_with 1 '' flock -n -x "$mnt/lock" true
    ) 9>"$mnt/lock"
    flock -n -x "$mnt/lock" true
}

mount_store || exit 1
check "cp -a and diff -r of $include" copies
check "find and grep -r" finds
check "tar out and in" tars
check "rm -rf" removes
check "a directory with thousands of files renamed" renames_a_tree
check "an editor's save" editor_saves
check "rsync -aHAX from a snapshot while the tree changes" backs_up
check "flock" locks
check "unmounts after all that" umount_store
finish
