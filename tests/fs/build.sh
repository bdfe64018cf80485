#!/bin/bash
#
# build.sh - this project configured, built and tested on a mount, and the lsmfs that was built there
# on a store that lies in the mount.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"
root=$(realpath "$(dirname "$0")/../..")
project=$mnt/project
build=$mnt/build
# Those that use the file system that TMPDIR is on, and a few others.
programs=(test_env test_env_posix test_wal test_db test_store test_cli_store test_lsm_dump)

copies() {
    mkdir "$project"
    cp -a "$root"/{CMakeLists.txt,CMakePresets.json,LICENSE,README.md,engine,fs,mount-helpers,tests} \
        "$project"
    same_trees "$root/engine" "$project/engine"
}

configures() {
    cmake -S "$project" -B "$build" -G "Unix Makefiles" -DCMAKE_BUILD_TYPE=Debug \
        -DCMAKE_C_FLAGS_DEBUG=-O0
}

# builds [TARGET]...: what that took is in built.
builds() {
    cmake --build "$build" -j 2 --target lsmkv_shared lsmkv_static lsmfs lsm-dump \
        "${programs[@]}" >built
    tail -n 5 built
}

compiles() {
    builds
    [ "$(grep -c 'Building C object' built)" -gt 100 ]
}

# Every test finds its files in the mount, and leaves none.
passes_tests() {
    local program
    mkdir "$mnt/tmp"
    for program in "${programs[@]}"; do
        TMPDIR=$mnt/tmp CK_DEFAULT_TIMEOUT=60 "$build/tests/$program"
    done
    same "" "$(ls -A "$mnt/tmp")"
}

makes_nothing() {
    builds
    same "" "$(grep -E 'Building|Linking|Sealing' built)"
}

# make goes by mtimes, to the nanosecond.
makes_what_changed() {
    remount
    makes_nothing
    kill_daemon
    mount_store
    makes_nothing
    touch "$project/engine/base/crc32c.c"
    builds
    same 1 "$(grep -c 'Building C object' built)"
    grep 'Building C object .*crc32c' built
}

# A mount within the mount, of a store within the mount.
runs_on_itself() {
    local outer=$mnt
    local lsmfs=$build/bin/lsmfs store=$outer/inner.store mnt=$outer/inner
    mkdir "$mnt"
    mount_store
    cp -a "$project" "$mnt/copy"
    same_trees "$project" "$mnt/copy"
    mkdir "$mnt/.snapshots/copied"
    rm -r "$mnt/copy/engine"
    head -c 20M /dev/urandom >"$mnt/large"
    cp "$mnt/large" "$outer/large"
    remount
    cmp "$mnt/large" "$outer/large"
    kill_daemon
    mount_store
    cmp "$mnt/large" "$outer/large"
    same_trees "$project/fs" "$mnt/copy/fs"
    same_trees "$project" "$mnt/.snapshots/copied/copy"
    # The outer one is in use.
    fails_with 1 'is in use' "$BIN/lsmfs" umount "$outer"
    cmp "$mnt/large" "$outer/large"
    umount_store
    "$build/bin/lsm-dump" --verify "$store"
}

mount_store || exit 1
check "the sources copied" copies
check "configured" configures
check "built" compiles
check "its tests pass with their files on the mount" passes_tests
check "after a remount and the daemon's death only what changed is made" makes_what_changed
check "the lsmfs from there on a store in the mount" runs_on_itself
check "removed" rm -r "$project" "$build"
check "unmounts after all that" umount_store
finish
