#!/bin/bash
#
# stress.sh - ten minutes each under ThreadSanitizer: the engine (histories of reads and writes),
# every operation of the filesystem, and a mounted daemon with unmounts in between.
# STRESS_SECONDS: each of them.

set -euo pipefail

here=$(realpath "$(dirname "$0")")
root=$(realpath "$here/../..")
seconds=${STRESS_SECONDS:-600}
status=0

(cd "$root" && cmake --preset tsan &&
    cmake --build --preset tsan -j "$(nproc)" --target lsmfs test_histories test_vfs_stress) \
    >build.log 2>&1 || {
    tail -n 40 build.log
    exit 1
}

# Randomised addresses collide with the shadow of older thread sanitizers.
fixed=()
if setarch -R true 2>/dev/null; then
    fixed=(setarch -R)
fi

children=()
for test in test_histories test_vfs_stress; do
    LSMKV_SECONDS=$seconds "${fixed[@]}" "$root/.build/tsan/tests/$test" >"$test.out" 2>&1 &
    children+=($!)
done
for child in "${children[@]}"; do
    wait "$child" || status=1
done
cat test_*.out

TSAN_BIN=$root/.build/tsan/bin "$here/../fs/races.sh" "$seconds" >races.out || status=1
sed 's/^/# /' races.out # the cases that are counted are those of the C tests
exit $status
