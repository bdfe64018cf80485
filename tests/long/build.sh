#!/bin/bash
#
# build.sh - this project cloned, built and tested on a mount by its own tests/run; the scripts on a
# mount use the lsmfs that was built there, with stores and mount points on the mount.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/../fs/mounted.bash"
root=$(realpath "$(dirname "$0")/../..")
project=$mnt/project

clones() {
    git clone -q "$root" "$project"
    git -C "$project" fsck --strict --no-progress
}

# passes PATTERN...: every suite that is selected, and nothing is left of it.
passes() {
    local patterns=() pattern
    for pattern in "$@"; do
        patterns+=(--only "$pattern")
    done
    mkdir -p "$mnt/tmp"
    TMPDIR=$mnt/tmp "$project/tests/run" --quick "${patterns[@]}"
    same "" "$(ls -A "$mnt/tmp")"
}

makes_nothing() {
    cmake --build "$project/.build/release" -j "$(nproc)" >built
    tail -n 5 built
    same "" "$(grep -E 'Building|Linking|Sealing' built)"
}

makes_nothing_later() {
    makes_nothing
    remount
    makes_nothing
    kill_daemon
    mount_store
    makes_nothing
    same "" "$(git -C "$project" status --porcelain)"
}

mount_store || exit 1
check "git clone of this project" clones
check "built there; its tests pass" passes 'unit/*' 'fs/test_*'
check "after a remount and the daemon's death there is nothing to make" makes_nothing_later
check "the scripts on a mount pass on stores in the mount" passes fs/basic fs/snapshots
check "removed" rm -r "$project"
check "unmounts after all that" umount_store
finish
