#!/bin/bash
#
# fuzz.sh - builds the fuzz targets and runs each for an equal part of an hour, as many at once
# as there are processors.  FUZZ_SECONDS: all of them together.

set -euo pipefail

here=$(realpath "$(dirname "$0")")
root=$(realpath "$here/../..")
# shellcheck source=tests/fuzz/fuzz.bash
. "$root/tests/fuzz/fuzz.bash"

begin=$SECONDS
FUZZERS=$root/.build/fuzz/tests
KEEP=$root/.build/logs
mkdir -p "$KEEP"
(cd "$root" && cmake --preset fuzz && cmake --build --preset fuzz -j "$(nproc)") >build.log 2>&1 || {
    tail -n 40 build.log
    exit 1
}

mapfile -t names < <(cd "$root/tests/fuzz" && printf '%s\n' fuzz_*.c | sed 's/^fuzz_//; s/\.c$//')
left=$((${FUZZ_SECONDS:-3400} - SECONDS + begin))
rounds=$(((${#names[@]} + $(nproc) - 1) / $(nproc)))
each=$((left / rounds - 10))
[ $each -gt 0 ] || each=1
echo "${#names[@]} targets, $each s each"

status=0
for ((i = 0; i < ${#names[@]}; i += $(nproc))); do
    children=()
    for name in "${names[@]:i:$(nproc)}"; do
        fuzz_target "$name" $each >"$name.out" 2>&1 &
        children+=($!)
    done
    for child in "${children[@]}"; do
        wait "$child" || status=1
    done
    for name in "${names[@]:i:$(nproc)}"; do
        cat "$name.out"
    done
done
exit $status
