#!/bin/bash
#
# compressed.sh - other scripts on stores that were made with --compress=lz4: whatever is read back is
# what was written, after crashes and over full disks, too, and keys and names that are all alike are as
# well.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"
here=$(realpath "$(dirname "$0")")

# others SCRIPT: all its cases pass.
others() {
    mkdir "$WORK/$1"
    WORK=$WORK/$1 LSMFS_CREATE=--compress=lz4 "$here/$1.sh"
    rm -rf "${WORK:?}/$1"
}

# It is what the others have.
is_compressed() {
    LSMFS_CREATE=--compress=lz4
    mount_store
    LSMFS_CREATE=
    "$lsmfs" stats --json "$mnt" | grep '"compression": *"lz4"'
    umount_store
}

export CONFORM="contents io limits mmap truncate"
check "stores are compressed" is_compressed
alone "what every file system does" others conform
alone "files by their holes" others sparse
alone "snapshots" others snapshots
alone "nothing acknowledged is lost" others crash
alone "a full disk" others full
finish
