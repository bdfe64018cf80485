#!/bin/bash
#
# conform.sh - the conformance suite: every prog_conform_FAMILY on the file system that holds
# WORK and on the mount, without and with -o acl.  What fails on the former is a mistake of the
# test; what fails on the latter only, of ours.  CONFORM names the families to run, as in
# CONFORM="open link".

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"
: "${TESTS:?the directory of the programs}"
families=${CONFORM:-$(cd "$TESTS" && printf '%s\n' prog_conform_* |
    sed 's/^prog_conform_//; /^readonly$/d')}

# What the kernel does to every FUSE file system, whatever its daemon answers: the case, as it is
# printed after "WHERE: ".  One that comes to hold must leave this list.
known_differences() {
    cat <<'END'
io: io: offsets: lseek(fd, INT64_MAX, SEEK_SET)
io: io: the largest offsets: lseek(fd, 17LL << 40, SEEK_SET)
open: open: a bound socket and a fifo: write(fd, "hello", 5) marks fifo
END
}

# judge WHERE: the lines of a program, saying where; known differences are none.
judge() {
    local where=$1 known
    known=$(known_differences)
    [ "$where" != beneath ] || known=''
    sed -nE "s/^(ok|not ok) - /&$where: $family: /p" "$WORK/family.out" | if [ -n "$known" ]; then
        awk -v where="$where" -v known="$known" '
            BEGIN {
                n = split(known, names, "\n")
            }
            {
                for (i = 1; i <= n; i++) {
                    name = where ": " names[i]
                    if ($0 == "ok - " name)
                        $0 = "not ok - " name ": no longer a difference"
                    else if (index($0, "not ok - " name ": expected") == 1)
                        $0 = "ok - " name " (known difference)"
                }
                print
            }'
    else
        cat
    fi
}

# run_family FAMILY DIRECTORY WHERE: on a file system.
run_family() {
    local family=$1 status
    [ -d "$2" ] || mkdir "$2"
    "$TESTS/prog_conform_$family" "$2" >"$WORK/family.out" 2>&1
    status=$?
    judge "$3" >"$WORK/family.judged"
    cat "$WORK/family.judged"
    if grep '^not ok' "$WORK/family.judged" >>"$WORK/failures"; then
        failed=1
    elif [ $status -gt 1 ] || ! grep -q '^ok' "$WORK/family.judged"; then
        echo "not ok - $3: $family ended with status $status"
        tail -n 5 "$WORK/family.out" | sed 's/^/    | /'
        failed=1
    fi
}

# All that a file system says of the files on it.  Access times are left out where asking may
# change them.
whole() {
    (
        cd "$1" || exit 1
        find . -printf '%P: %i %n %M %U %G %s %b %T@ %C@ %l\n' | sort
        find . -type f -printf '%P %A@\n' | sort
        getfattr -R -h -m - -d . 2>/dev/null
    )
}

# A mount says the same after it has been away.
remounts() {
    whole "$mnt" >before
    remount "$@"
    whole "$mnt" >after
    cmp before after || diff before after | head -n 20
    cmp -s before after
}

# All families on a mount, whose state is judged by what it still says after a remount, too.
run_mounted() {
    local where=$1 family
    shift
    check "mounts $where" mount_store -o suid,dev,allow_other "$@"
    chmod 755 "$mnt"
    for family in $families; do
        # Access lists are refused without -o acl.
        [ "$where $family" = "mount acl" ] ||
            run_family "$family" "$mnt/$where-$family" "$where"
    done
    check "$where: a remount changes nothing" remounts -o suid,dev,allow_other "$@"
    check "$where: a snapshot keeps all" snapshot_keeps -o suid,dev,allow_other "$@"
    check "unmounts $where" umount_store
}

# A snapshot says what the tree said, but for inode numbers, and goes on saying it, those
# included, when the tree has gone and after a remount.
snapshot_keeps() {
    local kept=$mnt/.snapshots/kept
    mkdir "$kept"
    whole "$kept" >snapshot
    sed -E 's/^(.*: )[0-9]+ /\1/' before | grep -v '^: ' >wanted
    sed -E 's/^(.*: )[0-9]+ /\1/' snapshot | grep -v '^: ' >got
    diff wanted got >differences || head -n 20 differences
    cmp wanted got
    find "$mnt" -mindepth 1 -maxdepth 1 -exec rm -rf {} +
    whole "$kept" | cmp - snapshot
    remount "$@"
    whole "$kept" | cmp - snapshot
    rmdir "$kept"
}

# What prog_conform_readonly expects.
make_tree() {
    mkdir "$1" "$1/dir" "$1/full"
    printf contents >"$1/file"
    printf inner >"$1/full/f"
    chmod 700 "$1/full"
    chmod 666 "$1/file"
    chmod 777 "$1/dir"
    ln "$1/file" "$1/hard"
    ln -s file "$1/link"
    mkfifo "$1/fifo"
    setfattr -n user.a -v 1 "$1/file"
}

read_only_beneath() {
    make_tree beneath/kept
    mkdir bound
    mount --bind beneath/kept bound
    mount -o remount,ro,bind bound
}

read_only_mount() {
    mount_store -o suid,dev,allow_other
    make_tree "$mnt/kept"
    mkdir "$mnt/.snapshots/conform"
}

run_read_only() {
    check "binds a tree read-only" read_only_beneath
    run_family readonly "$WORK/bound" beneath
    umount bound
    check "takes a snapshot" read_only_mount
    run_family readonly "$mnt/.snapshots/conform/kept" snapshot
    check "mounts read-only" remount -o ro,suid,dev,allow_other
    run_family readonly "$mnt/kept" read-only
    check "unmounts" umount_store
}

chmod 755 "$WORK"
mkdir beneath
chmod 755 beneath
for family in $families; do
    # With access lists it is the mount with them that is compared.
    run_family "$family" "$WORK/beneath/$family" beneath
done
run_mounted mount
run_mounted acl -o acl
run_read_only
# Among thousands of lines the few that count are easily missed.
sed 's/^not ok - /# failed: /' "$WORK/failures"
finish
