#!/bin/bash
#
# sparse.sh - a file of 4 GiB that is nearly all hole: what is where, and that it costs nothing.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"

file=$mnt/sparse
gib=$((1 << 30))
places="0 4096 131071 $gib $((2 * gib + 12345)) $((4 * gib - 10))"

makes() {
    local at
    truncate -s $((4 * gib)) "$file"
    for at in $places; do
        printf '%010d' "$((at % 9999999999))" |
            dd of="$file" bs=10 oflag=seek_bytes seek="$at" conv=notrunc status=none
    done
    same $((4 * gib)) "$(stat -c %s "$file")"
}

# read_at OFFSET SIZE
read_at() {
    dd if="$file" bs="$2" count=1 iflag=skip_bytes,fullblock skip="$1" status=none
}

samples() {
    local at
    for at in $places; do
        same "$(printf '%010d' "$((at % 9999999999))")" "$(read_at "$at" 10)"
    done
    for at in 50 100000 $((gib / 2)) $((gib + 20)) $((3 * gib)) $((4 * gib - 5000)); do
        same 0 "$(read_at "$at" 4000 | tr -d '\0' | wc -c)"
        same 4000 "$(read_at "$at" 4000 | wc -c)"
    done
    # Behind the end there is nothing.
    same 0 "$(read_at $((4 * gib)) 10 | wc -c)"
}

costs_little() {
    [ "$(stat -c %b "$file")" -lt 4096 ]
    "$lsmfs" sync "$mnt"
    [ "$(du -sm "$store" | cut -f1)" -lt 200 ]
}

# cp asks for holes by SEEK_HOLE; what it then holds must be the same, and as sparse.
copies_sparsely() {
    cp --sparse=auto "$file" copied
    same $((4 * gib)) "$(stat -c %s copied)"
    [ "$(stat -c %b copied)" -lt 65536 ]
    local at
    for at in $places; do
        same "$(printf '%010d' "$((at % 9999999999))")" \
            "$(dd if=copied bs=10 count=1 iflag=skip_bytes,fullblock skip="$at" status=none)"
    done
    cp --sparse=always copied "$mnt/back"
    same $((4 * gib)) "$(stat -c %s "$mnt/back")"
    [ "$(stat -c %b "$mnt/back")" -lt 65536 ]
    rm copied "$mnt/back"
}

cuts() {
    truncate -s $((gib + 5)) "$file"
    same "$(printf '%010d' $gib | head -c 5)" "$(read_at $gib 100 | tr -d '\0')"
    truncate -s $((4 * gib)) "$file"
    same 0 "$(read_at $((gib + 5)) 100000 | tr -d '\0' | wc -c)"
    same 0 "$(read_at $((4 * gib - 10)) 10 | tr -d '\0' | wc -c)"
}

survives() {
    remount
    same 0000000000 "$(read_at 0 10)"
    same 0000131071 "$(read_at 131071 10)"
    same 0 "$(read_at $((gib + 5)) 1000 | tr -d '\0' | wc -c)"
}

huge() {
    truncate -s 8T "$mnt/huge"
    printf end | dd of="$mnt/huge" bs=3 oflag=seek_bytes seek=$((8 * 1024 * gib - 3)) \
        conv=notrunc status=none
    same 8796093022208 "$(stat -c %s "$mnt/huge")"
    same end "$(tail -c 3 "$mnt/huge")"
    fails_with 1 'too large' truncate -s 17T "$mnt/huge"
    rm "$mnt/huge"
}

mount_store || exit 1
check "a file of 4 GiB with six pieces" makes
check "every piece and every hole reads right" samples
check "it takes next to no space" costs_little
check "cp keeps it sparse, out and in" copies_sparsely
check "what is cut off is gone when it grows again" cuts
check "the same after a remount" survives
check "8 TiB, and no more than 16" huge
check "unmounts" umount_store
finish
