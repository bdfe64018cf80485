#!/bin/bash
#
# integrity.sh - what was written is what is read: fio with --verify, over remounts, snapshots
# and the daemon's death, and stress-ng's filesystem stressors with --verify.

seconds=1
mib=8
rounds=4
# shellcheck source=tests/fs/integrity.bash
. "$(dirname "$0")/integrity.bash"

check "a tree on the mount and one beside it" begins
integrity_fio
integrity_stress
integrity_ends
