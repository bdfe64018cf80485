# shellcheck shell=bash
#
# fuzz.bash - running one fuzz target for a while.  Sourced by tests/run and tests/long/fuzz.sh,
# which set FUZZERS, where the targets of the preset `fuzz` are, and KEEP, where an input that
# fails one is kept.

fuzz_corpora=$(realpath "$(dirname "${BASH_SOURCE[0]}")")/corpus

# fuzz_target NAME SECONDS: prints what libFuzzer said at the end, and "ok" or "not ok" with the
# command that runs the failing input again.  The corpus in the tree is read only.
fuzz_target() {
    local name=$1 seconds=$2 scratch status=0 input kept
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/lsmfs-fuzz.XXXXXX")
    mkdir "$scratch/new" "$scratch/bad"
    export ASAN_OPTIONS=detect_leaks=1:quarantine_size_mb=16
    "$FUZZERS/fuzz_$name" -max_total_time="$seconds" -rss_limit_mb=512 -malloc_limit_mb=256 \
        -timeout=10 -max_len=16384 -print_final_stats=1 -verbosity=1 \
        ${LSMKV_SEED:+-seed="$((LSMKV_SEED % 2147483647 + 1))"} \
        -artifact_prefix="$scratch/bad/" "$scratch/new" "$fuzz_corpora/$name" \
        >"$scratch/log" 2>&1 || status=$?
    grep -E '^(INFO: Seed|Done |stat::(number_of_exec|peak_rss))' "$scratch/log" || true
    if [ $status = 0 ]; then
        echo "ok $name"
    else
        tail -n 50 "$scratch/log"
        for input in "$scratch/bad"/*; do
            [ -f "$input" ] || continue
            kept=$KEEP/fuzz-$name-${input##*/}
            cp "$input" "$kept"
            echo "to run it again: $FUZZERS/fuzz_$name $kept"
        done
        echo "not ok $name (status $status)"
    fi
    rm -rf "$scratch"
    return $status
}
