#!/bin/bash
#
# keys.sh - keys are paths and paths are keys: lsmfs put, get, rm and ls beside the mount, on
# a mounted store and on one that is not.

# Lists of names are short and plain here.
# shellcheck disable=SC2010,SC2046
# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"
: "${TESTS:?the directory of prog_fill}"

put() {
    printf '%s' "$2" | "$lsmfs" put "$store" "$1"
}

get() {
    "$lsmfs" get "$store" "$1"
}

puts_without_mount() {
    put greeting hello
    put deep/down/here 'below directories that nobody made'
    head -c 3000000 /dev/urandom >large
    "$lsmfs" put "$store" dir/large large
    "$TESTS/prog_fill" "$store" plain/key 2500
    same hello "$(get greeting)"
    cmp large <("$lsmfs" get "$store" dir/large)
    fails_with 1 'No such file' get absent
    same "deep/ dir/ greeting plain/" "$(echo $("$lsmfs" ls "$store"))"
}

shows_as_files() {
    mount_store
    same hello "$(cat "$mnt/greeting")"
    same 644 "$(stat -c %a "$mnt/greeting")"
    same 'below directories that nobody made' "$(cat "$mnt/deep/down/here")"
    same directory "$(stat -c %F "$mnt/deep/down")"
    cmp large "$mnt/dir/large"
    same 2500 "$(ls "$mnt/plain" | wc -l)"
    same 1234 "$(cat "$mnt/plain/key0001234")"
    same "here" "$(ls "$mnt/deep/down")"
    # Put just now, as their times tell.
    [ $(($(date +%s) - $(stat -c %Y "$mnt/plain/key0000001"))) -lt 600 ]
}

changes_foreign_files() {
    echo changed >>"$mnt/plain/key0000007"
    chmod 600 "$mnt/plain/key0000008"
    mv "$mnt/plain/key0000009" "$mnt/renamed"
    rm "$mnt/plain/key0000010"
    rm "$mnt/deep/down/here"
    # A directory that only its file implied does not vanish with it.
    same directory "$(stat -c %F "$mnt/deep/down")"
    mv "$mnt/dir" "$mnt/dir2"
    cmp large "$mnt/dir2/large"
    umount_store
    same "7changed" "$(get plain/key0000007)"
    same 8 "$(get plain/key0000008)"
    same 9 "$(get renamed)"
    fails_with 1 'No such file' get plain/key0000010
    cmp large <("$lsmfs" get "$store" dir2/large)
}

gets_what_the_mount_wrote() {
    mount_store
    mkdir -p "$mnt/made/here"
    echo small >"$mnt/made/here/small"
    cp large "$mnt/made/large"
    truncate -s 3000000 "$mnt/made/holes"
    umount_store
    same small "$(get made/here/small)"
    cmp large <("$lsmfs" get "$store" made/large)
    cmp <(head -c 3000000 /dev/zero) <("$lsmfs" get "$store" made/holes)
    fails_with 1 'directory' get made/here
}

put_keeps_attributes() {
    mount_store
    chmod 640 "$mnt/made/large"
    setfattr -n user.kept -v yes "$mnt/made/large"
    umount_store
    put made/large 'now small'
    mount_store
    same 'now small' "$(cat "$mnt/made/large")"
    same 640 "$(stat -c %a "$mnt/made/large")"
    same yes "$(getfattr --only-values -n user.kept "$mnt/made/large")"
    umount_store
    "$lsmfs" rm "$store" made/large made/holes
    fails_with 1 'No such file' get made/large
    fails_with 1 'No such file' "$lsmfs" rm "$store" made/large
    "$lsmfs" rm -f "$store" made/large
}

on_a_mounted_store() {
    mount_store
    echo before >"$mnt/both"
    cat "$mnt/both" "$mnt/greeting" >/dev/null
    same before "$(get both)"
    put both after
    # The kernel must have been told: pages, size and names it knew of are wrong.
    same after "$(cat "$mnt/both")"
    same 5 "$(stat -c %s "$mnt/both")"
    [ ! -e "$mnt/fresh" ]
    put fresh made
    same made "$(cat "$mnt/fresh")"
    ls "$mnt" >/dev/null
    "$lsmfs" rm "$store" fresh both
    [ ! -e "$mnt/fresh" ]
    same "" "$(ls "$mnt" | grep -E 'fresh|both')"
    "$lsmfs" put "$store" large-one large
    cmp large "$mnt/large-one"
    cmp large <("$lsmfs" get "$store" large-one)
    # By the mount point as well, and with the mount itself at the other end.
    "$lsmfs" put "$mnt" copied "$mnt/large-one"
    "$lsmfs" get "$mnt" copied >"$mnt/written-by-get"
    cmp large "$mnt/written-by-get"
    fails_with 1 'No such file' get absent
    diff <(ls -p "$mnt") <("$lsmfs" ls "$store")
    "$lsmfs" ls -R "$store" >listed
    grep -qx 'plain/key0000042' listed
    "$lsmfs" ls -l "$store" | grep -q 'large-one'
    umount_store
    diff <("$lsmfs" ls -R "$store") listed
}

# The kernel appended at the size that it remembered, in the middle of what was put.
appends_behind_what_was_put() {
    put log 'one,'
    mount_store
    exec 3>>"$mnt/log"
    printf 'two,' >&3
    put log 'something longer than before,'
    printf 'three,' >&3
    printf 'four' >&3
    same 'something longer than before,three,four' "$(cat "$mnt/log")"
    put log 'short,'
    printf 'five' >&3
    same 'short,five' "$(cat "$mnt/log")"
    exec 3>&-
    umount_store
    same 'short,five' "$(get log)"
}

odd_keys() {
    put '/absolute' one
    put 'a//b' two
    put 'up/../there' three
    put '.snapshots/x' four
    # Where a directory is, lsmfs put refuses; the engine does not.
    fails_with 1 'directory' "$lsmfs" put "$store" '' large
    "$TESTS/prog_fill" "$store" ''
    put 'file' 'a value'
    fails_with 1 'Not a directory' "$lsmfs" put "$store" file/below large
    "$TESTS/prog_fill" "$store" file/below
    put "$(printf 'l%.0s' {1..300})" long
    mount_store
    local keys=$mnt/.lsmfs/keys
    same one "$(cat "$keys/%2Fabsolute")"
    same two "$(cat "$keys/a%2F%2Fb")"
    same three "$(cat "$keys/up%2F%2E%2E%2Fthere")"
    same four "$(cat "$keys/%2Esnapshots%2Fx")"
    same alone "$(cat "$keys/%")"
    same 'a value' "$(cat "$keys/file")"
    same alone "$(cat "$mnt/file/below")"
    same long "$(cat "$keys/$(printf 'l%.0s' {1..199})+/$(printf 'l%.0s' {1..101})")"
    # Nothing of it is in the listings.
    same "" "$(ls -A "$mnt" | grep -E 'absolute|lsmfs|snapshots')"
    # Rewritten and removed.
    echo rewritten >"$keys/a%2F%2Fb"
    rm "$keys/%2Fabsolute"
    # A directory that holds odd keys alone looks empty and is not.
    fails_with 1 'not empty' rmdir "$mnt/up"
    same directory "$(stat -c %F "$mnt/file")"
    rm "$mnt/file/below"
    fails_with 1 'not empty' rmdir "$mnt/file"
    rm "$keys/file"
    rmdir "$mnt/file"
    umount_store
    same rewritten "$(get 'a//b')"
    fails_with 1 'No such file' get /absolute
    same alone "$(get '')"
}

# What shows in .lsmfs/keys changes with other keys, of which the kernel was not told: it kept
# entries and attributes for ever.
shows_odd_keys_as_they_are_now() {
    put 'now//odd' first
    put turning 'a value'
    mount_store
    local keys=$mnt/.lsmfs/keys
    same first "$(cat "$keys/now%2F%2Fodd")"
    [ ! -e "$keys/turning" ]
    put 'now//odd' 'second, longer'
    same 'second, longer' "$(cat "$keys/now%2F%2Fodd")"
    "$lsmfs" rm "$store" 'now//odd'
    [ ! -e "$keys/now%2F%2Fodd" ]
    put 'now//odd' third
    same third "$(cat "$keys/now%2F%2Fodd")"
    rm "$mnt/turning"
    umount_store
}

# Anybody could read a value whose key, as a path, is below a closed directory.
closes_keys_to_others() {
    put 'closed//odd' secret
    mount_store -o allow_other
    chmod 700 "$mnt/closed"
    same secret "$(cat "$mnt/.lsmfs/keys/closed%2F%2Fodd")"
    not setpriv --reuid 65534 --regid 65534 --clear-groups \
        cat "$mnt/.lsmfs/keys/closed%2F%2Fodd"
    not setpriv --reuid 65534 --regid 65534 --clear-groups ls "$mnt/.lsmfs"
    umount_store
}

carries_odd_keys_along() {
    put 'box//odd' inside
    put 'box/plain' visible
    mount_store
    mv "$mnt/box" "$mnt/crate"
    umount_store
    same inside "$(get 'crate//odd')"
    same visible "$(get crate/plain)"
    fails_with 1 'No such file' get 'box//odd'
}

check "keys put without a mount" puts_without_mount
check "they show as files" shows_as_files
check "and can be changed like files" changes_foreign_files
check "files written through the mount are keys" gets_what_the_mount_wrote
check "put keeps attributes, rm removes" put_keeps_attributes
check "put, get, rm and ls on a mounted store" on_a_mounted_store
check "what is appended goes behind what was put" appends_behind_what_was_put
check "odd keys are in .lsmfs/keys" odd_keys
check "they show as they are now" shows_odd_keys_as_they_are_now
check "they are closed to other users" closes_keys_to_others
check "a renamed directory carries them along" carries_odd_keys_along
finish
