#!/bin/bash
#
# races.sh [SECONDS] - a build with ThreadSanitizer mounted under a mixed load, unmounted, mounted
# again: no report, no error, a sound store.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"

if [ -z "${TSAN_BIN:-}" ]; then
    echo "# no build with ThreadSanitizer (--quick): nothing to do"
    echo "ok - skipped"
    exit 0
fi
seconds=${1:-60}
export TSAN_OPTIONS=exitcode=99:log_path=$WORK/tsan
lsmfs=$TSAN_BIN/lsmfs
# Randomised addresses collide with the shadow of older thread sanitizers.
fixed=()
if setarch -R true 2>/dev/null; then
    fixed=(setarch -R)
fi

begin() {
    "${fixed[@]}" "$lsmfs" -f -o "commit=0.1${LSMFS_MOUNT:+,$LSMFS_MOUNT}" "$store" "$mnt" &
    daemon=$!
    await_mount
}

# Status 99 is the sanitizer's.
end() {
    umount_store
    wait "$daemon"
    if ls tsan.* >/dev/null 2>&1; then
        cat tsan.*
        return 1
    fi
}

# Each works in a directory of its own, by turns with what the others read and rename.
copies() {
    local dir=$mnt/copies.$1
    while [ $SECONDS -lt "$until" ]; do
        cp -a /usr/include/linux/netfilter "$dir"
        diff -r /usr/include/linux/netfilter "$dir"
        mv "$dir" "$dir.moved"
        rm -r "$dir.moved"
    done
}

reads() {
    while [ $SECONDS -lt "$until" ]; do
        find "$mnt" -type f -exec cat {} + >/dev/null 2>&1 || true
        ls -lR "$mnt" >/dev/null 2>&1 || true
    done
}

large() {
    while [ $SECONDS -lt "$until" ]; do
        head -c 2000000 /dev/urandom >"$mnt/large"
        truncate -s 300000 "$mnt/large"
        dd if=/dev/zero of="$mnt/large" bs=4k count=20 seek=10 conv=notrunc,fsync status=none
        cp "$mnt/large" "$mnt/large.copy"
        cmp "$mnt/large" "$mnt/large.copy"
        ln -f "$mnt/large" "$mnt/large.link"
        rm "$mnt/large" "$mnt/large.copy" "$mnt/large.link"
    done
}

snapshots() {
    while [ $SECONDS -lt "$until" ]; do
        mkdir "$mnt/.snapshots/s"
        find "$mnt/.snapshots/s" >/dev/null
        rmdir "$mnt/.snapshots/s"
    done
}

commands() {
    while [ $SECONDS -lt "$until" ]; do
        echo "by the command" | "$lsmfs" put "$store" "by command"
        same "by the command" "$(cat "$mnt/by command")"
        "$lsmfs" status "$store" >/dev/null
        "$lsmfs" sync "$store"
        "$lsmfs" rm "$store" "by command"
    done
}

reads_of_all() {
    while [ $SECONDS -lt "$until" ]; do
        "$lsmfs" check --quiet --snapshots "$store"
        "$lsmfs" export "$store" | tar -t >/dev/null
        "$lsmfs" snapshot create "$store" before
        tar -C /usr/include/linux -c netfilter | "$lsmfs" import "$store" imported
        "$lsmfs" snapshot diff "$store" before >/dev/null
        rm -r "$mnt/imported"
        "$lsmfs" snapshot delete "$store" before
    done
}

# Several of each at once, for so many seconds.
works() {
    local until=$((SECONDS + $1)) workers=() worker
    for worker in "copies 1" "copies 2" reads reads large snapshots commands reads_of_all; do
        (
            set -e
            # shellcheck disable=SC2086
            $worker
        ) &
        workers+=($!)
    done
    for worker in "${workers[@]}"; do
        wait "$worker"
    done
}

round() {
    begin
    works "$1"
    end
    "$BIN/lsmfs" check --quiet --snapshots "$store"
}

for ((part = 1; part <= 3; part++)); do
    check "round $part of $((seconds / 3)) s" round $((seconds / 3))
done
finish
