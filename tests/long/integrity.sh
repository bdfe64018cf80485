#!/bin/bash
#
# integrity.sh - tests/fs/integrity.sh with more time and files larger than all memtables; also
# dbench, postmark and bonnie++.

seconds=${INTEGRITY_SECONDS:-12}
mib=128
rounds=6
# shellcheck source=tests/fs/integrity.bash
. "$(dirname "$0")/../fs/integrity.bash"

loadfile=/usr/share/dbench/client.txt
while_long=$((seconds * 10))

# dbench ends with an error at the first call that fails otherwise than its script says.
runs_dbench() {
    mkdir "$tree/dbench"
    nice dbench -c $loadfile -D "$tree/dbench" -t $while_long "$@" >dbench.out
    tail -n 20 dbench.out
    grep '^Throughput' dbench.out
    rm -r "$tree/dbench"
}

# What postmark made it has removed, and the directory is empty.
runs_postmark() {
    mkdir "$tree/postmark"
    nice postmark >postmark.out <<END
set location $tree/postmark
set number 20000
set transactions $((seconds * 5000))
set size 500 50000
set subdirectories 50
set seed $seed
run
quit
END
    cat postmark.out
    same "$(awk '$2 == "created" { print $1 }' postmark.out)" \
        "$(awk '$2 == "deleted" { print $1 }' postmark.out)"
    grep -q ' created ' postmark.out
    rmdir "$tree/postmark"
}

# Without its test of single bytes: half an hour of system calls.
runs_bonnie() {
    mkdir "$tree/bonnie"
    chown $user "$tree/bonnie"
    nice bonnie++ -d "$tree/bonnie" -u $user:$user -f -s 1024 -r 512 -n 32:50000:100:16
    rmdir "$tree/bonnie"
}

check "a tree on the mount and one beside it" begins
integrity_fio
integrity_stress
check "dbench" runs_dbench 8
grep '^Throughput' dbench.out | sed 's/^/# /'
check "dbench with extended attributes and fsync" runs_dbench --xattr --fsync 4
check "postmark" runs_postmark
check "bonnie++" runs_bonnie
integrity_ends
