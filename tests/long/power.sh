#!/bin/bash
#
# power.sh - a million different images of what a power cut leaves, as many programs at once as
# there are processors, each with a seed of its own.  POWER_IMAGES: how many of the engine's
# store; LSMKV_SEED: the first seed.
#
# Rounds of one program begin with the seeds after its first, so those of the programs lie far
# apart.  A program that takes more than a slice runs several times: Check counts microseconds in
# an int, and gives up after 35 minutes.

set -euo pipefail

images=${POWER_IMAGES:-1000000}
seed=${LSMKV_SEED:-$(date +%s)}
programs=$(nproc)
slice=100000
status=0

# take TEST SEED IMAGES: in slices, one after the other.
take() {
    local test=$1 seed=$2 left=$3 some status=0
    for (( ; left > 0; left -= some, seed += 10000)); do
        some=$((left < slice ? left : slice))
        LSMKV_SEED=$seed LSMKV_IMAGES=$some "$TESTS/$test" || status=1
    done
    return $status
}

# sweep TEST IMAGES: all programs of that test together take so many.
sweep() {
    local test=$1 each=$((($2 + programs - 1) / programs)) children=() child i
    for ((i = 0; i < programs; i++)); do
        take "$test" $((seed + i * 1000000)) "$each" >"$test.$i" 2>&1 &
        children+=($!)
    done
    for child in "${children[@]}"; do
        wait "$child" || status=1
    done
    cat "$test".*
}

sweep test_power "$images"
sweep test_power_groups $((images / 20))
sweep test_vfs_power $((images / 20))
awk '/ distinct, 0 failures/ { images += $2; distinct += $4 }
    END { printf "# %d images, %d distinct\n", images, distinct }' test_*power*.[0-9]*
exit $status
