#!/bin/bash
#
# conform.sh - the conformance suite: every prog_conform_FAMILY on the file system that holds
# WORK and on the mount, without and with -o acl.  What fails on the former is a mistake of the
# test; what fails on the latter only, of ours.  CONFORM names the families to run, as in
# CONFORM="open link".

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"
: "${TESTS:?the directory of the programs}"
families=${CONFORM:-$(cd "$TESTS" && printf '%s\n' prog_conform_* | sed 's/^prog_conform_//')}

# run_family FAMILY DIRECTORY WHERE: its lines say where; the program that ends otherwise than
# by what its lines say has failed too.
run_family() {
    local status
    mkdir "$2"
    chmod 755 "$2"
    "$TESTS/prog_conform_$1" "$2" >"$WORK/family.out" 2>&1
    status=$?
    sed -nE "s/^(ok|not ok) - /&$3: $1: /p" "$WORK/family.out"
    if [ $status = 0 ]; then
        return
    fi
    failed=1
    if [ $status != 1 ] || ! grep -q '^not ok' "$WORK/family.out"; then
        echo "not ok - $3: $1 ended with status $status"
        tail -n 5 "$WORK/family.out" | sed 's/^/    | /'
    fi
}

# The file system of the mount is judged by what it still says after a remount, too.
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
    check "unmounts $where" umount_store
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
finish
